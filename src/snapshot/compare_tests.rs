//! Is an output called the same exactly where its suite says so?

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::request::Block;
use crate::snapshot::format;
use crate::snapshot::output::Part;

fn policy(compare: Compare) -> SnapshotPolicy {
    SnapshotPolicy { compare, ..SnapshotPolicy::default() }
}

fn ignoring(paths: &[&str]) -> SnapshotPolicy {
    SnapshotPolicy { ignore: paths.iter().map(|path| (*path).to_owned()).collect(), ..policy(Compare::Json) }
}

const PARSE: Parse = Parse { fenced: true };

fn output(compare: Compare, text: &str) -> Output {
    Output::of_content("end_turn", &[Block::text(text)], compare, PARSE)
}

fn snapshot(outputs: Vec<Output>) -> Snapshot {
    Snapshot { prompt: "triage@2".to_owned(), model: "claude-haiku-4-5".to_owned(), simulated: false, outputs }
}

fn texts(compare: Compare, texts: &[&str]) -> Snapshot {
    snapshot(texts.iter().map(|text| output(compare, text)).collect())
}

fn state(policy: &SnapshotPolicy, accepted: &str, new: &str) -> SnapshotState {
    let (accepted, new) = (texts(policy.compare, &[accepted]), texts(policy.compare, &[new]));
    compare(Some(&accepted), &new, policy, PARSE).unwrap()
}

fn same(policy: &SnapshotPolicy, accepted: &str, new: &str) -> bool {
    match state(policy, accepted, new) {
        SnapshotState::Same => true,
        SnapshotState::Changed { .. } => false,
        other => panic!("{other:?}"),
    }
}

/// Diff and notes of a changed state, for golden texts.
fn told(state: SnapshotState) -> String {
    let SnapshotState::Changed { diff, notes, accepted_prompt, variants } = state else { panic!("{state:?}") };
    assert_eq!(accepted_prompt, "triage@2");
    let Some(variants) = variants else { return differs(diff, notes) };
    let pair = |pair: &VariantPair| format!("= outputs {:?} against variant {}\n", pair.outputs, pair.variant);
    let mut told = format!(
        "{} of {} outputs are strange, variants {:?} of {} unmatched, {} left out\n",
        variants.strange, variants.outputs, variants.unmatched, variants.accepted, variants.left_out
    );
    told += &(pair(&variants.first) + &differs(diff, notes));
    for other in variants.others {
        told += &(pair(&other.pair) + &differs(other.diff, other.notes));
    }
    told
}

fn differs(diff: Diff, notes: Vec<String>) -> String {
    let mut told = match diff {
        Diff::Json(changes) => changes
            .iter()
            .map(|change| {
                let side = |side: &Option<Value>| side.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
                format!("{}: {} -> {}\n", change.path, side(&change.old), side(&change.new))
            })
            .collect(),
        Diff::Text(diff) => diff.hunks.iter().flat_map(|hunk| &hunk.lines).fold(String::new(), |told, line| {
            let text: String = line.parts.iter().map(|part| part.text.as_str()).collect();
            told + &format!("{:?} {text}\n", line.change)
        }),
    };
    for note in notes {
        told.push_str(&format!("({note})\n"));
    }
    told
}

#[test]
fn exact_takes_every_byte() {
    let exact = policy(Compare::Exact);
    assert!(same(&exact, "a b\n", "a b\n"));
    for new in ["a b", "a  b\n", "A b\n", "a b\r\n", ""] {
        assert!(!same(&exact, "a b\n", new), "{new:?}");
    }
    assert!(!same(&exact, "é", "e\u{301}"));
}

#[test]
fn text_takes_words_and_not_how_they_are_spaced_or_composed() {
    let text = policy(Compare::Text);
    assert!(same(&text, "One two.\nThree é", "  One\ttwo.\r\n\r\nThree\u{a0}e\u{301}\n"));
    assert!(!same(&text, "One two.", "Onetwo."));
    assert!(!same(&text, "One two.", "One, two."));
    assert!(!same(&text, "One", ""));
}

#[test]
fn json_takes_values_and_not_their_layout() {
    let json = policy(Compare::Json);
    assert!(same(&json, r#"{"a": 1, "b": [1.0, "x"]}"#, "```json\n{\"b\":[1,\"\\u0078\"],\"a\":1e0}\n```"));
    assert!(!same(&json, "[1, 2]", "[2, 1]"));
    assert!(!same(&json, "{}", r#"{"a": null}"#));
    assert!(!same(&json, "[10000000000000000000000001]", "[10000000000000000000000002]"));
    assert!(!same(&json, "1", "\"1\""));
}

#[test]
fn ignored_values_are_left_out_on_both_sides() {
    let policy = ignoring(&["$.summary", "$.items[*].id"]);
    let accepted = r#"{"queue": "billing", "summary": "x", "items": [{"id": 1, "n": 1}]}"#;
    assert!(same(&policy, accepted, r#"{"queue": "billing", "items": [{"id": 2, "n": 1.0}], "summary": ["y"]}"#));
    let new = r#"{"queue": "refunds", "items": [{"n": 1}, {"id": 9}], "other": true}"#;
    insta::assert_snapshot!(told(state(&policy, accepted, new)), @r#"
    $.queue: "billing" -> "refunds"
    $.items[1]: nothing -> {}
    $.other: nothing -> true
    "#);
}

#[test]
fn what_is_not_json_is_changed_and_says_so() {
    let json = policy(Compare::Json);
    insta::assert_snapshot!(told(state(&json, r#"{"a":1}"#, "Sorry, no.")), @r#"
    Removed {
    Removed   "a": 1
    Removed }
    Added Sorry, no.
    (the new output is not JSON, so it differs from the accepted one as a text)
    "#);
    insta::assert_snapshot!(told(state(&json, "Sorry, no.", r#"{"a":1}"#)), @r#"
    Removed Sorry, no.
    Added {
    Added   "a": 1
    Added }
    (the accepted output is not JSON, so the new one differs from it as a text)
    "#);
    insta::assert_snapshot!(told(state(&json, "Sorry, no.", "Sorry,  no.")), @"
    Removed Sorry, no.
    Added Sorry,  no.
    (neither the accepted nor the new output is JSON, so they are compared as texts, byte for byte)
    ");
    assert!(same(&json, "Sorry, no.", "Sorry, no."), "a person accepted exactly this");
}

#[test]
fn similar_takes_the_share_of_common_words() {
    let similar = SnapshotPolicy { threshold: 0.75, ..policy(Compare::Similar) };
    assert!(same(&similar, "the customer was charged twice", "the customer was billed twice"));
    assert!(!same(&similar, "the customer was charged twice", "a package never arrived"));
    assert!(!same(&SnapshotPolicy { threshold: 1.0, ..similar }, "one two three", "one two four"));
}

#[test]
fn off_keeps_no_snapshot() {
    assert_eq!(state(&policy(Compare::Off), "a", "b"), SnapshotState::None);
    assert_eq!(compare(None, &texts(Compare::Off, &["a"]), &policy(Compare::Off), PARSE).unwrap(), SnapshotState::None);
}

#[test]
fn without_an_accepted_output_it_is_new_and_without_a_reply_it_is_nothing() {
    let text = policy(Compare::Text);
    assert_eq!(compare(None, &texts(Compare::Text, &["a"]), &text, PARSE).unwrap(), SnapshotState::New { reason: None });
    assert_eq!(compare(Some(&texts(Compare::Text, &["a"])), &snapshot(vec![]), &text, PARSE).unwrap(), SnapshotState::None);
}

#[test]
fn another_stop_reason_is_a_change() {
    for compare_by in [Compare::Exact, Compare::Text, Compare::Json, Compare::Similar] {
        let accepted = texts(compare_by, &["{}"]);
        let mut new = accepted.clone();
        new.outputs[0].stop_reason = "max_tokens".to_owned();
        let state = compare(Some(&accepted), &new, &policy(compare_by), PARSE).unwrap();
        assert_eq!(told(state), "(the accepted output stopped with `end_turn`, this one with `max_tokens`)\n");
    }
}

#[test]
fn prompt_and_model_of_the_head_are_not_compared() {
    let accepted = texts(Compare::Text, &["a"]);
    let new = Snapshot { prompt: "triage@3".to_owned(), model: "other".to_owned(), ..accepted.clone() };
    assert_eq!(compare(Some(&accepted), &new, &policy(Compare::Exact), PARSE).unwrap(), SnapshotState::Same);
}

#[test]
fn a_simulated_reply_and_a_real_one_never_meet() {
    let real = texts(Compare::Text, &["a"]);
    let simulated = Snapshot { simulated: true, ..real.clone() };
    for (accepted, new, reason) in [
        (&real, &simulated, "the accepted snapshot was answered by a real model, and a simulated reply is not compared with it"),
        (&simulated, &real, "the accepted snapshot was answered by a simulator, and a real reply is not compared with it"),
    ] {
        let state = compare(Some(accepted), new, &policy(Compare::Text), PARSE).unwrap();
        assert_eq!(state, SnapshotState::New { reason: Some(reason.to_owned()) });
    }
    assert_eq!(compare(Some(&simulated), &simulated, &policy(Compare::Text), PARSE).unwrap(), SnapshotState::Same);
}

#[test]
fn every_sample_must_match_a_variant() {
    let text = policy(Compare::Text);
    let accepted = texts(Compare::Text, &["yes, it is", "no, it is not"]);
    let of = |new: &[&str]| compare(Some(&accepted), &texts(Compare::Text, new), &text, PARSE).unwrap();
    assert_eq!(of(&["no, it is not"]), SnapshotState::Same);
    assert_eq!(of(&["no, it  is not", "no, it is not", "yes, it is"]), SnapshotState::Same);
    insta::assert_snapshot!(told(of(&["yes, it is", "no, it is never", "perhaps"])), @"
    2 of 3 outputs are strange, variants [1] of 2 unmatched, 0 left out
    = outputs [1] against variant 1
    Removed no, it is not
    Added no, it is never
    = outputs [2] against variant 0
    Removed yes, it is
    Added perhaps
    ");
    let one = texts(Compare::Text, &["yes"]);
    insta::assert_snapshot!(told(compare(Some(&one), &texts(Compare::Text, &["yes", "no"]), &text, PARSE).unwrap()), @"
    1 of 2 outputs are strange, variants [] of 1 unmatched, 0 left out
    = outputs [1] against variant 0
    Removed yes
    Added no
    ");
}

#[test]
fn equal_strangers_are_one_difference_and_too_many_are_counted() {
    let text = policy(Compare::Text);
    let one = texts(Compare::Text, &["yes"]);
    let of = |new: &[&str]| compare(Some(&one), &texts(Compare::Text, new), &text, PARSE).unwrap();
    insta::assert_snapshot!(told(of(&["no", "yes", "no "])), @"
    2 of 3 outputs are strange, variants [] of 1 unmatched, 0 left out
    = outputs [0, 2] against variant 0
    Removed yes
    Added no
    ");
    let many: Vec<String> = (0..40).map(|number| format!("number {number}")).collect();
    let SnapshotState::Changed { variants: Some(variants), .. } = of(&many.iter().map(String::as_str).collect::<Vec<_>>()) else {
        panic!()
    };
    assert_eq!((variants.strange, variants.others.len(), variants.left_out), (40, MAX_OTHERS, 30));
    let huge: Vec<String> = (0..8).map(|number| format!("{number}\n").repeat(60_000)).collect();
    let state = of(&huge.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(serde_json::to_vec(&state).unwrap().len() < 2 * MAX_BYTES, "however much the samples say");
}

#[test]
fn what_is_ignored_does_not_make_a_variant_near() {
    let policy = ignoring(&["$.summary"]);
    let long = "the very same words in a long summary that nobody compares";
    let variant = |queue: &str, tone: &str, summary: &str| json!({"queue": queue, "tone": tone, "summary": summary}).to_string();
    let accepted = texts(Compare::Json, &[&variant("billing", "calm", long), &variant("refunds", "angry", "other")]);
    let new = texts(Compare::Json, &[&variant("refunds", "calm down", long), &variant("refunds", "very angry", long)]);
    let SnapshotState::Changed { variants: Some(variants), .. } = compare(Some(&accepted), &new, &policy, PARSE).unwrap() else { panic!() };
    assert_eq!(variants.others[0].pair, VariantPair { outputs: vec![1], variant: 1 });
}

#[test]
fn variants_are_kept_once_and_added_behind() {
    let comparison = Comparison::new(&policy(Compare::Text), PARSE).unwrap();
    let distinct = comparison.distinct(&texts(Compare::Text, &["a  b", "c", "a b", "c"]));
    assert_eq!(distinct, texts(Compare::Text, &["a  b", "c"]));
    assert_eq!(comparison.extended(&distinct, &texts(Compare::Text, &["d", "c", "d "])), texts(Compare::Text, &["a  b", "c", "d"]));
}

#[test]
fn tool_calls_are_compared_by_value() {
    let calling = |input: Value| {
        let call = json!({"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": input});
        let content = [Block::text("I look."), Block(call.as_object().cloned().unwrap())];
        snapshot(vec![Output::of_content("tool_use", &content, Compare::Json, PARSE)])
    };
    let accepted = calling(json!({"city": "Bonn", "days": 2, "trace": "x"}));
    let policy = ignoring(&["$.input.trace"]);
    let state = |new: &Snapshot| compare(Some(&accepted), new, &policy, PARSE).unwrap();
    assert_eq!(state(&calling(json!({"trace": "y", "days": 2.0, "city": "Bonn"}))), SnapshotState::Same);
    insta::assert_snapshot!(told(state(&calling(json!({"city": "Berlin", "days": 2})))), @r#"block 1: $.input.city: "Bonn" -> "Berlin""#);
    insta::assert_snapshot!(told(state(&texts(Compare::Json, &["I look."]))), @r#"
    block 1: $: {"type":"tool_use","name":"look_up","input":{"city":"Bonn","days":2}} -> nothing
    (the accepted output stopped with `tool_use`, this one with `end_turn`)
    "#);
}

#[test]
fn how_the_api_cuts_a_text_into_blocks_is_no_difference() {
    let whole = texts(Compare::Exact, &["one two"]);
    let cut = snapshot(vec![Output {
        stop_reason: "end_turn".to_owned(),
        parts: vec![Part::Text("one".to_owned()), Part::Text(" two".to_owned())],
    }]);
    assert_eq!(compare(Some(&whole), &cut, &policy(Compare::Exact), PARSE).unwrap(), SnapshotState::Same);
}

fn any_content() -> impl Strategy<Value = Vec<Block>> {
    let text = prop_oneof![
        any::<String>(),
        Just("{\"a\": [1e2, 12345678901234567890123, 0.1]}".to_owned()),
        any::<f64>().prop_map(|float| format!("{{\"x\":{float:e},\"y\":\"\u{202e}\"}}")),
    ];
    let call = (any::<String>(), any::<f64>()).prop_map(|(name, number)| {
        let call = json!({"type": "tool_use", "id": "toolu_9", "name": name, "input": {"x": number}});
        Block(call.as_object().cloned().unwrap())
    });
    prop::collection::vec(prop_oneof![2 => text.prop_map(Block::text), 1 => call], 0..4)
}

fn any_compare() -> impl Strategy<Value = Compare> {
    prop_oneof![Just(Compare::Exact), Just(Compare::Text), Just(Compare::Json), Just(Compare::Similar)]
}

proptest! {
    #[test]
    fn the_nearest_variant_is_never_farther_than_any_other(
        compare_by in any_compare(),
        variants in prop::collection::vec("[abc ]{0,12}", 1..6),
        new in prop::collection::vec("[abcd ]{0,12}", 1..5),
    ) {
        let policy = policy(compare_by);
        let comparison = Comparison::new(&policy, PARSE).unwrap();
        let outputs = |texts: &[String]| snapshot(texts.iter().map(|text| output(compare_by, text)).collect());
        let (accepted, new) = (outputs(&variants), outputs(&new));
        let state = comparison.state(Some(&accepted), &new);
        let strange: Vec<usize> = new.outputs.iter().enumerate()
            .filter(|(_, output)| !accepted.outputs.iter().any(|variant| comparison.matches(variant, output)))
            .map(|(index, _)| index).collect();
        let SnapshotState::Changed { variants: found, .. } = state else {
            prop_assert!(strange.is_empty());
            return Ok(());
        };
        let Some(found) = found else {
            prop_assert_eq!((accepted.outputs.len(), new.outputs.len()), (1, 1));
            return Ok(());
        };
        let pairs: Vec<&VariantPair> = std::iter::once(&found.first).chain(found.others.iter().map(|other| &other.pair)).collect();
        let mut told: Vec<usize> = pairs.iter().flat_map(|pair| &pair.outputs).map(|number| *number as usize).collect();
        told.sort_unstable();
        prop_assert_eq!(&told, &strange, "every output that matches nothing is told once");
        for pair in pairs {
            let shown = &new.outputs[pair.outputs[0] as usize];
            let likeness = |variant: &Output| similarity(&comparison.weighed(variant), &comparison.weighed(shown));
            let chosen = likeness(&accepted.outputs[pair.variant as usize]);
            prop_assert!(accepted.outputs.iter().all(|variant| likeness(variant) <= chosen));
        }
    }

    #[test]
    fn an_output_that_was_accepted_is_the_same_on_the_next_run(
        compare_by in any_compare(),
        samples in prop::collection::vec(any_content(), 1..4),
        earlier in any_content(),
    ) {
        let policy = SnapshotPolicy { compare: compare_by, ignore: vec!["$.a[0]".to_owned()], ..SnapshotPolicy::default() };
        let comparison = Comparison::new(&policy, PARSE).unwrap();
        let output = |content: &Vec<Block>| Output::of_content("end_turn", content, compare_by, PARSE);
        let new = snapshot(samples.iter().map(output).collect());
        let accepted = format::read(&format::write(&comparison.distinct(&new))).unwrap();
        prop_assert_eq!(comparison.state(Some(&accepted), &new), SnapshotState::Same);
        let before = snapshot(vec![output(&earlier)]);
        let extended = format::read(&format::write(&comparison.extended(&before, &new))).unwrap();
        prop_assert_eq!(comparison.state(Some(&extended), &new), SnapshotState::Same);
        prop_assert_eq!(comparison.state(Some(&extended), &before), SnapshotState::Same);
    }
}
