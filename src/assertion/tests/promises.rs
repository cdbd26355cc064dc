//! Which promises hold for any reply?

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// One assertion of every kind that looks at the text.
fn every_kind() -> Vec<Value> {
    vec![
        json!({"equals": {"value": "a b", "ignore_case": true}}),
        json!({"contains": {"value": "ß", "ignore_case": true}}),
        json!({"contains": "a"}),
        json!({"contains_any": ["x", "1"]}),
        json!({"contains_all": ["x", "1"]}),
        json!({"starts_with": "{"}),
        json!({"ends_with": {"value": "}", "ignore_case": true}}),
        json!({"regex": r"\w\s"}),
        json!({"regex": r"(?<=a)b"}),
        json!({"one_of": ["a", "1"]}),
        json!({"similar": {"to": "a b c", "threshold": 0.5}}),
        json!("json"),
        json!({"json_schema": {"type": ["array", "number"], "maxItems": 2, "minimum": 3}}),
        json!({"json_path": {"path": "$..a", "equals": [1, "x"], "max_length": 3}}),
        json!({"json_path": {"path": "$[0]", "exists": true}}),
        json!({"xml": {"root": "a"}}),
        json!({"length": {"min_words": 2, "max_sentences": 3, "max_lines": 2, "max_bytes": 40}}),
        json!({"max_output_tokens": 400}),
        json!({"refusal": "never"}),
        json!({"refusal": "always"}),
        json!({"stop_reason": ["end_turn"]}),
        json!({"max_cost_usd": "0.5"}),
        json!({"max_latency_ms": 10}),
    ]
}

/// Each of them as it is and negated.
static COMPILED: LazyLock<Vec<[Compiled; 2]>> =
    LazyLock::new(|| every_kind().into_iter().map(|kind| [compiled(&assertion(kind.clone())), compiled(&not(kind))]).collect());

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r#"[\[\]{}":,a1 \n\\.ue-]{0,40}"#,
        r"<a>[<>/ab&;! \n]{0,20}",
        "[\u{0}\u{202e}\u{feff}\u{301}ßİςΣa1 \n'’`]{0,30}",
        "```(json)?\n[0-9a\\[\\]\n`]{0,20}\n```",
        "(I'm sorry|I can't|Ich kann|No puedo|[ ,.\n]|help|helfen|with that|nicht){0,12}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_judged_and_every_failure_says_why(text in text(), fenced in any::<bool>()) {
        let reply = reply(&text);
        let subject = subject(&reply, Parse { fenced }, None);
        for compiled in COMPILED.iter().flatten() {
            match evaluate(compiled, &subject).outcome {
                Outcome::Pass => {}
                Outcome::Error(message) => prop_assert!(!message.is_empty()),
                Outcome::Fail(failure) => {
                    prop_assert!(!failure.expected.is_empty() && !failure.got.is_empty());
                    prop_assert!(failure.expected.len() < 5_000 && failure.got.len() < 20_000);
                    prop_assert!(!failure.got.contains(['\u{0}', '\u{202e}', '\u{1b}']), "{}", failure.got);
                }
            }
        }
    }

    #[test]
    fn not_swaps_what_was_reached_and_nothing_else(text in text()) {
        let reply = reply(&text);
        let subject = subject(&reply, Parse::default(), None);
        for [plain, negated] in COMPILED.iter() {
            let (once, twice) = (evaluate(plain, &subject).outcome, evaluate(negated, &subject).outcome);
            match plain.check.find(&subject) {
                Finding::Holds => prop_assert!(once == Outcome::Pass && matches!(twice, Outcome::Fail(_))),
                Finding::Differs => prop_assert!(matches!(once, Outcome::Fail(_)) && twice == Outcome::Pass),
                Finding::Unreachable(_) => match (once, twice) {
                    (Outcome::Fail(once), Outcome::Fail(twice)) => prop_assert_eq!(once.got, twice.got),
                    other => prop_assert!(false, "{other:?}"),
                },
                Finding::Unknown(_) => prop_assert!(matches!(once, Outcome::Error(_)) && once == twice),
            }
        }
    }

    #[test]
    fn what_is_found_stands_in_the_folded_text_where_it_is_shown(before in "[aßİΣς ]{0,9}", after in "[aßİΣς ]{0,9}") {
        let text = format!("{before}NEEDLE{after}");
        let shown = of_not(json!({"contains": {"value": "needle", "ignore_case": true}}), &text);
        prop_assert!(shown.contains("NEEDLE"), "{}", shown);
    }
}

#[test]
fn a_path_into_a_reply_shows_its_names_and_obeys_none() {
    let text = json!({"a\u{202e}\u{1b}[31m": {"b": "x".repeat(9)}, "c".repeat(9_000): {"b": 2}}).to_string();
    for kind in [
        json!({"json_path": {"path": "$.*.b", "equals": 1}}),
        json!({"json_schema": {"additionalProperties": {"properties": {"b": {"type": "null"}}}}}),
    ] {
        let reply = reply(&text);
        let Outcome::Fail(failure) = evaluate(&compiled(&assertion(kind)), &subject(&reply, Parse::default(), None)).outcome else {
            panic!("it holds");
        };
        assert!(failure.got.contains("\\u{202e}") && !failure.got.contains(['\u{202e}', '\u{1b}', '\u{7f}']), "{}", failure.got);
        assert!(failure.got.len() < 2_000, "{}", failure.got.len());
    }
}

#[test]
fn a_megabyte_of_anything_is_judged_in_bounded_time() {
    let texts = [
        "a".repeat(1 << 20),
        "word and \0 another. ".repeat(1 << 15),
        format!("[{}1]", "{\"a\": [1, 2.5]},".repeat(60_000)),
        "[".repeat(1 << 20),
        format!("<a>{}</a>", "<b/>".repeat(1 << 17)),
        "\u{202e}é\n".repeat(1 << 17),
    ];
    let compiled: Vec<_> = every_kind().into_iter().map(|kind| compiled(&assertion(kind))).collect();
    for text in texts {
        let start = Instant::now();
        let reply = reply(&text);
        let results = judge(&compiled, &subject(&reply, Parse { fenced: true }, None));
        assert_eq!(results.len(), compiled.len());
        assert!(start.elapsed() < Duration::from_secs(120), "{:?} for {:?}", start.elapsed(), &text[..8]);
    }
}

#[test]
fn simple_assertions_cost_little() {
    let compiled: Vec<_> = [json!({"contains": "refund"}), json!({"regex": r"\d+ days"}), json!({"length": {"max_chars": 2_000}})]
        .into_iter()
        .map(|kind| compiled(&assertion(kind)))
        .collect();
    let reply = reply(&"A refund takes 14 days from the day on which the parcel comes back to us. ".repeat(5));
    let rounds = 2_000;
    let start = Instant::now();
    for _ in 0..rounds {
        assert_eq!(judge(&compiled, &subject(&reply, Parse::default(), None)).len(), 3);
    }
    let each = start.elapsed() / rounds;
    assert!(each < Duration::from_millis(1), "{each:?}");
}

#[test]
fn what_judges_is_shared_between_threads() {
    const fn shared<T: Send + Sync>() {}
    shared::<Compiled>();
    shared::<CompileCache>();
    shared::<Subject<'_>>();
}
