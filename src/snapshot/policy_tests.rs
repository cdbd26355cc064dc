//! Is exactly that written which the table says?

use super::*;
use crate::model::verdict::Diff;
use crate::snapshot::output::{Output, Part};

fn snapshot(stop_reason: &str, simulated: bool) -> Snapshot {
    let output = Output { stop_reason: stop_reason.to_owned(), parts: vec![Part::Text("x".to_owned())] };
    Snapshot { prompt: "p@1".to_owned(), model: "m".to_owned(), simulated, outputs: vec![output] }
}

fn changed() -> SnapshotState {
    SnapshotState::Changed { diff: Diff::Json(Vec::new()), accepted_prompt: "p@1".to_owned(), notes: Vec::new(), variants: None }
}

const POLICIES: [UpdatePolicy; 4] = [UpdatePolicy::Pending, UpdatePolicy::Nothing, UpdatePolicy::Update, UpdatePolicy::Add];

/// One line per state and verdict, a column per policy.
#[test]
fn the_whole_table() {
    let real = snapshot("end_turn", false);
    let mut table = String::new();
    for (name, state, accepted) in [
        ("same", SnapshotState::Same, Some(&real)),
        ("changed", changed(), Some(&real)),
        ("new", SnapshotState::New { reason: None }, None),
        ("unreadable", SnapshotState::Unreadable { message: String::new() }, None),
        ("none", SnapshotState::None, None),
    ] {
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Error, Verdict::Skipped] {
            let actions = POLICIES.map(|policy| format!("{:?}", policy.action(&state, verdict, accepted, &real)));
            let row = actions.map(|action| format!("{action:<14}"));
            table.push_str(format!("{name:<11}{:<8}{}", verdict.as_str(), row.concat()).trim_end());
            table.push('\n');
        }
    }
    insta::assert_snapshot!(table, @"
    same       pass    RemovePending Leave         Confirm       Confirm
    same       fail    RemovePending Leave         RemovePending RemovePending
    same       error   Leave         Leave         Leave         Leave
    same       skipped Leave         Leave         Leave         Leave
    changed    pass    WritePending  Leave         Accept        Extend
    changed    fail    WritePending  Leave         WritePending  WritePending
    changed    error   Leave         Leave         Leave         Leave
    changed    skipped Leave         Leave         Leave         Leave
    new        pass    WritePending  Leave         Accept        Accept
    new        fail    WritePending  Leave         WritePending  WritePending
    new        error   Leave         Leave         Leave         Leave
    new        skipped Leave         Leave         Leave         Leave
    unreadable pass    WritePending  Leave         Accept        WritePending
    unreadable fail    WritePending  Leave         WritePending  WritePending
    unreadable error   Leave         Leave         Leave         Leave
    unreadable skipped Leave         Leave         Leave         Leave
    none       pass    Leave         Leave         Leave         Leave
    none       fail    Leave         Leave         Leave         Leave
    none       error   Leave         Leave         Leave         Leave
    none       skipped Leave         Leave         Leave         Leave
    ");
}

#[test]
fn a_cut_or_refused_output_is_never_accepted_by_a_flag() {
    let accepted = snapshot("end_turn", false);
    for stop_reason in ["max_tokens", "model_context_window_exceeded", "refusal"] {
        let new = snapshot(stop_reason, false);
        for policy in [UpdatePolicy::Update, UpdatePolicy::Add] {
            assert_eq!(policy.action(&changed(), Verdict::Pass, Some(&accepted), &new), Action::WritePending);
            assert_eq!(policy.action(&SnapshotState::New { reason: None }, Verdict::Pass, None, &new), Action::WritePending);
            assert_eq!(policy.action(&SnapshotState::Same, Verdict::Pass, Some(&new), &new), Action::RemovePending);
        }
    }
}

#[test]
fn a_simulated_output_writes_nothing_beside_a_real_one_and_a_real_one_waits_for_a_person() {
    let (real, simulated) = (snapshot("end_turn", false), snapshot("end_turn", true));
    let state = SnapshotState::New { reason: Some("another kind".to_owned()) };
    for policy in POLICIES {
        assert_eq!(policy.action(&state, Verdict::Pass, Some(&real), &simulated), Action::Leave);
        let waits = if policy == UpdatePolicy::Nothing { Action::Leave } else { Action::WritePending };
        assert_eq!(policy.action(&state, Verdict::Pass, Some(&simulated), &real), waits);
        let unreadable = SnapshotState::Unreadable { message: String::new() };
        assert_eq!(policy.action(&unreadable, Verdict::Pass, None, &simulated), waits);
    }
}

#[test]
fn a_flag_outweighs_ci() {
    assert_eq!(UpdatePolicy::of(false, false, true), UpdatePolicy::Nothing);
    assert_eq!(UpdatePolicy::of(false, false, false), UpdatePolicy::Pending);
    assert_eq!(UpdatePolicy::of(true, false, true), UpdatePolicy::Update);
    assert_eq!(UpdatePolicy::of(false, true, true), UpdatePolicy::Add);
}
