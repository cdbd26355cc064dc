//! Does every kind of assertion say what holds, what does not, and why?

mod compiling;
mod families;
mod filters;
mod hostile;
mod promises;
mod rules;

use std::sync::Arc;

use chrono::DateTime;
use serde_json::{Value, json};

use super::*;
use crate::model::cost::Cost;
use crate::model::money::Money;
use crate::model::reply::{RefusalDetails, Reply, StopReason, Usage};
use crate::model::request::Block;
use crate::model::suite::{Parse, Variables};

/// A whole reply of one text block.
fn reply(text: &str) -> Reply {
    Reply {
        id: None,
        request_id: None,
        model: "claude-haiku-4-5".to_owned(),
        content: vec![Block::text(text)],
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        refusal: None,
        usage: Usage { input_tokens: 1_200, output_tokens: 340, thinking_tokens: 40, ..Usage::default() },
        answered_at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
        latency_ms: 1_840,
        attempts: Vec::new(),
        simulated: false,
    }
}

fn refused(category: Option<&str>, text: &str) -> Reply {
    Reply {
        stop_reason: StopReason::Refusal,
        refusal: Some(RefusalDetails { category: category.map(str::to_owned), explanation: None }),
        ..reply(text)
    }
}

fn cut(text: &str) -> Reply {
    Reply { stop_reason: StopReason::MaxTokens, ..reply(text) }
}

/// `{"contains": {...}}` as the model spells it; `value`/`ignore_case` may be left to a plain text or list.
fn assertion(kind: Value) -> Assertion {
    let mut kind = kind;
    if let Some((key, inner)) = kind.as_object_mut().and_then(|map| map.iter_mut().next()) {
        match (key.as_str(), inner.clone()) {
            ("equals" | "contains" | "starts_with" | "ends_with", text @ Value::String(_)) => {
                *inner = json!({"value": text, "ignore_case": false});
            }
            ("contains_any" | "contains_all" | "one_of", texts @ Value::Array(_)) => {
                *inner = json!({"values": texts, "ignore_case": false});
            }
            ("json_schema", schema) if schema.get("schema").is_none() => {
                *inner = json!({"label": "inline", "schema": schema});
            }
            ("xml", shape) if shape.get("contains").is_none() => {
                let root = shape.get("root").cloned();
                *inner = json!({"root": root, "contains": []});
            }
            _ => {}
        }
    }
    Assertion {
        kind: serde_json::from_value(kind).unwrap(),
        negated: false,
        name: None,
        severity: AssertionSeverity::Fail,
        site: Site { file: "suites/test.yaml".into(), line: 7 },
    }
}

fn not(kind: Value) -> Assertion {
    Assertion { negated: true, ..assertion(kind) }
}

fn compiled(assertion: &Assertion) -> Compiled {
    compile(assertion, &Variables::new(), &CompileCache::new()).unwrap()
}

fn cost(dollars: &str) -> Cost {
    let uncached: Money = dollars.parse().unwrap();
    Cost { total: Money::ZERO, unbatched: uncached, uncached }
}

/// What an assertion says of a reply, in words.
fn say(assertion: &Assertion, reply: &Reply) -> String {
    let fenced = Parse { fenced: true };
    words(&evaluate(&compiled(assertion), &subject(reply, fenced, Some(cost("0.0123")))))
}

fn words(result: &AssertionResult) -> String {
    match &result.outcome {
        Outcome::Pass => "pass".to_owned(),
        Outcome::Error(message) => format!("error: {message}"),
        Outcome::Fail(failure) => {
            assert!(!failure.expected.is_empty() && !failure.got.is_empty(), "{result:?}");
            let diff = failure.diff.as_ref().map_or("", |diff| match diff {
                crate::model::verdict::Diff::Text(_) => "\n(text diff)",
                crate::model::verdict::Diff::Json(_) => "\n(json diff)",
            });
            format!("expected {}\ngot {}{diff}", failure.expected, failure.got)
        }
    }
}

/// What an assertion says of a text.
fn of(kind: Value, text: &str) -> String {
    say(&assertion(kind), &reply(text))
}

/// What its negation says.
fn of_not(kind: Value, text: &str) -> String {
    say(&not(kind), &reply(text))
}

fn passes(kind: Value, text: &str) {
    assert_eq!(of(kind.clone(), text), "pass", "{kind} of {text:?}");
    assert_ne!(of_not(kind.clone(), text), "pass", "not {kind} of {text:?}");
}

fn fails(kind: Value, text: &str) {
    assert!(of(kind.clone(), text).starts_with("expected"), "{kind} of {text:?}");
    assert_eq!(of_not(kind.clone(), text), "pass", "not {kind} of {text:?}");
}

/// Nothing could be compared: fails either way.
fn is_unreachable(kind: Value, text: &str) {
    assert!(of(kind.clone(), text).starts_with("expected"), "{kind} of {text:?}");
    assert!(of_not(kind.clone(), text).starts_with("expected"), "not {kind} of {text:?}");
}
