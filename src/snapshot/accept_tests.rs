//! Do accepted variants stay, go and join exactly as they were asked to?

use proptest::prelude::*;

use super::*;
use crate::model::suite::{Compare, Parse, SnapshotPolicy};
use crate::model::verdict::SnapshotState;
use crate::snapshot::output::{Output, Part};

const PATH: &str = "snapshots/triage/refund/haiku.snap";

fn comparison(compare: Compare) -> Comparison {
    Comparison::new(&SnapshotPolicy { compare, ..SnapshotPolicy::default() }, Parse::default()).unwrap()
}

fn snapshot(prompt: &str, texts: &[impl AsRef<str>]) -> Snapshot {
    let output = |text: &str| Output { stop_reason: "end_turn".to_owned(), parts: vec![Part::Text(text.to_owned())] };
    let outputs = texts.iter().map(|text| output(text.as_ref())).collect();
    Snapshot { prompt: prompt.to_owned(), model: "haiku".to_owned(), simulated: false, outputs }
}

/// A folder with an accepted file and one that waits.
fn folder(accepted: Option<&Snapshot>, waiting: &Snapshot) -> (tempfile::TempDir, Folder) {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::open(root.path());
    if let Some(accepted) = accepted {
        disk::put(root.path(), PATH, &format::write(accepted)).unwrap();
    }
    disk::put(root.path(), &pending_path(PATH), &format::write(waiting)).unwrap();
    (root, folder)
}

fn accepted(standing: &[&str], waiting: &[&str], how: Acceptance) -> Vec<String> {
    let (_root, folder) = folder(Some(&snapshot("triage@2", standing)), &snapshot("triage@3", waiting));
    let returned = folder.accept_as(PATH, how, &comparison(Compare::Text)).unwrap();
    let written = folder.read(PATH).unwrap().unwrap();
    assert_eq!(written, returned);
    assert_eq!(folder.read_pending(PATH).unwrap(), None, "it waits no more");
    written.outputs.iter().map(Output::shown).collect()
}

#[test]
fn a_new_set_replaces_joins_or_takes_the_place_of_one_variant() {
    let (standing, waiting) = (["a", "b", "c"], ["b ", "x", "y"]);
    assert_eq!(accepted(&standing, &waiting, Acceptance::Replace), ["b ", "x", "y"]);
    assert_eq!(accepted(&standing, &waiting, Acceptance::Add), ["a", "b", "c", "x", "y"]);
    assert_eq!(accepted(&standing, &waiting, Acceptance::ReplaceVariant(1)), ["x", "y", "b", "c"]);
    assert_eq!(accepted(&standing, &waiting, Acceptance::ReplaceVariant(2)), ["a", "x", "y", "c"], "it goes, though it was given again");
    assert_eq!(accepted(&standing, &waiting, Acceptance::ReplaceVariant(3)), ["a", "b", "x", "y"]);
}

#[test]
fn a_variant_that_nobody_replaces_may_just_go() {
    assert_eq!(accepted(&["a", "b"], &["a"], Acceptance::ReplaceVariant(2)), ["a"]);
    assert_eq!(accepted(&["a"], &["a "], Acceptance::ReplaceVariant(1)), ["a "], "something is accepted after it");
}

#[test]
fn adding_what_stands_already_leaves_the_file_as_it_is_head_included() {
    let standing = snapshot("triage@2", &["a", "b"]);
    let (_root, folder) = folder(Some(&standing), &snapshot("triage@3", &["b  "]));
    assert_eq!(folder.accept_as(PATH, Acceptance::Add, &comparison(Compare::Text)).unwrap(), standing);
    assert_eq!((folder.read(PATH).unwrap(), folder.read_pending(PATH).unwrap()), (Some(standing), None));
}

#[test]
fn where_nothing_stands_adding_is_accepting_and_no_variant_can_be_replaced() {
    let waiting = snapshot("triage@3", &["a"]);
    let (_root, folder) = folder(None, &waiting);
    let error = folder.accept_as(PATH, Acceptance::ReplaceVariant(1), &Comparison::exact()).unwrap_err();
    assert!(matches!(error, SnapshotError::NoVariant { number: 1, variants: 0, .. }), "{error}");
    assert_eq!(folder.accept_as(PATH, Acceptance::Add, &Comparison::exact()).unwrap(), waiting);
    assert_eq!(folder.read(PATH).unwrap(), Some(waiting));
    let gone = folder.accept_as(PATH, Acceptance::Add, &Comparison::exact());
    assert!(matches!(gone, Err(SnapshotError::NotPending { .. })));
}

#[test]
fn a_number_that_no_variant_has_changes_nothing() {
    let standing = snapshot("triage@2", &["a", "b"]);
    for number in [0, 3, usize::MAX] {
        let (_root, folder) = folder(Some(&standing), &snapshot("triage@3", &["x"]));
        let error = folder.accept_as(PATH, Acceptance::ReplaceVariant(number), &Comparison::exact()).unwrap_err();
        assert!(error.to_string().contains("2 accepted variants"), "{error}");
        assert_eq!(folder.read(PATH).unwrap().as_ref(), Some(&standing));
        assert!(folder.read_pending(PATH).unwrap().is_some());
    }
}

#[test]
fn a_simulated_variant_and_a_real_one_never_stand_side_by_side() {
    let real = snapshot("triage@2", &["a"]);
    let simulated = Snapshot { simulated: true, ..snapshot("triage@2", &["x"]) };
    let add = |standing: &Snapshot, waiting: &Snapshot| {
        let (_root, folder) = folder(Some(standing), waiting);
        let error = folder.accept_as(PATH, Acceptance::Add, &Comparison::exact()).unwrap_err();
        assert_eq!(folder.read(PATH).unwrap().as_ref(), Some(standing));
        error
    };
    assert!(matches!(add(&real, &simulated), SnapshotError::SimulatedOverReal { .. }));
    assert!(matches!(add(&simulated, &real), SnapshotError::OtherKind { .. }));
    let (_root, folder) = folder(Some(&simulated), &real);
    assert_eq!(folder.accept_as(PATH, Acceptance::Replace, &Comparison::exact()).unwrap(), real);
}

#[test]
fn how_many_variants_there_would_be_is_told_before() {
    let text = comparison(Compare::Text);
    let (standing, waiting) = (snapshot("p@1", &["a", "b"]), snapshot("p@1", &["b ", "x", "x "]));
    assert_eq!(Variants::of(Some(&standing), &waiting, &text), Variants { accepted: 2, replaced: 2, added: 3 });
    assert_eq!(Variants::of(None, &waiting, &text), Variants { accepted: 0, replaced: 2, added: 2 });
    let simulated = Snapshot { simulated: true, ..standing };
    assert_eq!(Variants::of(Some(&simulated), &waiting, &text), Variants { accepted: 2, replaced: 2, added: 2 });
}

fn any_texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab -]{0,6}\n?-{0,5}", 1..6)
}

proptest! {
    #[test]
    fn every_added_sample_is_the_same_on_the_next_run_and_nothing_accepted_is_lost(
        compare in prop_oneof![Just(Compare::Exact), Just(Compare::Text), Just(Compare::Json), Just(Compare::Similar)],
        standing in any_texts(),
        samples in any_texts(),
    ) {
        let comparison = comparison(compare);
        let standing = comparison.distinct(&snapshot("p@1", &standing));
        let new = snapshot("p@2", &samples);
        let (_root, folder) = folder(Some(&standing), &comparison.distinct(&new));
        let before = Variants::of(Some(&standing), &new, &comparison);
        let joined = folder.accept_as(PATH, Acceptance::Add, &comparison).unwrap();
        prop_assert_eq!(joined.outputs.len(), before.added);
        prop_assert_eq!(&joined.outputs[..standing.outputs.len()], &standing.outputs[..]);
        let read = folder.read(PATH).unwrap();
        prop_assert_eq!(read.as_ref(), Some(&joined), "a file with variants reads back");
        prop_assert_eq!(comparison.state(read.as_ref(), &new), SnapshotState::Same);
        prop_assert_eq!(comparison.state(read.as_ref(), &standing), SnapshotState::Same);
    }
}
