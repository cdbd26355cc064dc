//! Is any pattern, path or schema compiled or refused, and any reply judged by it in bounded time, with a result of bounded length?

use std::sync::Arc;

use promptkeel::assertion::{CompileCache, CompileError, Compiled, compile, evaluate, subject};
use promptkeel::model::assertion::{
    Assertion, AssertionKind, AssertionSeverity, JsonPathCheck, RefusalRule, SchemaSource, TextMatch, XmlCheck,
};
use promptkeel::model::problem::Site;
use promptkeel::model::reply::{Reply, StopReason, Usage};
use promptkeel::model::request::Block;
use promptkeel::model::suite::{Parse, Variables};
use promptkeel::model::verdict::{AssertionResult, Outcome};

use super::excerpts::is_harmless;
use super::parts;

/// The input is a kind, its argument and a reply.
pub fn holds(input: &[u8]) {
    let Some([kind, argument, text]) = parts(input) else { return };
    let Ok(plain) = compiled(&kind, &argument) else { return };
    let reply = reply(&text);
    let subject = subject(&reply, Parse { fenced: text.len().is_multiple_of(2) }, None);
    let result = evaluate(&plain, &subject);
    is_fit_to_show(&result);
    assert_eq!(said(&result), said(&evaluate(&plain, &subject)), "the same twice");
    let Some(Ok(negated)) = assertion(&kind, &argument, true).map(|assertion| made(&assertion)) else { return };
    let opposite = evaluate(&negated, &subject);
    is_fit_to_show(&opposite);
    // `not` swaps what was reached; what could not be compared fails both ways, and what nobody can know stays unknown.
    match (&result.outcome, &opposite.outcome) {
        (Outcome::Pass, Outcome::Pass) => panic!("{kind} {argument:?} holds and does not hold of {text:?}"),
        (Outcome::Error(_), Outcome::Pass | Outcome::Fail(_)) | (Outcome::Pass | Outcome::Fail(_), Outcome::Error(_)) => {
            panic!("{kind} {argument:?} of {text:?} is known one way only")
        }
        _ => {}
    }
}

/// The result without its difference: which words are marked there is bounded in time, what is said of the reply is not.
fn said(result: &AssertionResult) -> AssertionResult {
    let mut result = result.clone();
    if let Outcome::Fail(failure) = &mut result.outcome {
        failure.diff = None;
    }
    result
}

/// An assertion of a kind by its one argument, ready for replies; `Err(None)` where there is no such kind.
pub fn compiled(kind: &str, argument: &str) -> Result<Compiled, Option<CompileError>> {
    made(&assertion(kind, argument, false).ok_or(None)?).map_err(|error| {
        assert!(!error.message.is_empty() && is_harmless(&error.message), "{error:?}");
        Some(error)
    })
}

fn made(assertion: &Assertion) -> Result<Compiled, CompileError> {
    compile(assertion, &Variables::new(), &CompileCache::new())
}

fn assertion(kind: &str, argument: &str, negated: bool) -> Option<Assertion> {
    let text = |ignore_case| TextMatch { value: argument.to_owned(), ignore_case };
    let json = || serde_json::from_str(argument).ok();
    let kind = match kind {
        "equals" => AssertionKind::Equals(text(true)),
        "contains" => AssertionKind::Contains(text(true)),
        "starts_with" => AssertionKind::StartsWith(text(false)),
        "ends_with" => AssertionKind::EndsWith(text(true)),
        "regex" => AssertionKind::Regex(argument.to_owned()),
        "similar" => AssertionKind::Similar { to: argument.to_owned(), threshold: 0.5 },
        "json" => AssertionKind::Json,
        "json_schema" => AssertionKind::JsonSchema(SchemaSource { label: "inline".into(), schema: Arc::new(json()?) }),
        "json_path" => {
            AssertionKind::JsonPath(JsonPathCheck { path: argument.to_owned(), min_length: Some(1), ..JsonPathCheck::default() })
        }
        "json_path_matches" => AssertionKind::JsonPath(JsonPathCheck {
            path: "$..a".to_owned(),
            matches: Some(argument.to_owned()),
            ..JsonPathCheck::default()
        }),
        "json_path_equals" => {
            AssertionKind::JsonPath(JsonPathCheck { path: "$[*]".to_owned(), equals: Some(json()?), ..JsonPathCheck::default() })
        }
        "xml" => AssertionKind::Xml(XmlCheck { root: Some(argument.to_owned()), contains: vec!["b".to_owned()] }),
        "length" => AssertionKind::Length(json().and_then(|value| serde_json::from_value(value).ok())?),
        "refusal" => AssertionKind::Refusal(RefusalRule::Never),
        _ => return None,
    };
    let site = Site { file: "suites/a.yaml".into(), line: 1 };
    Some(Assertion { kind, negated, name: None, severity: AssertionSeverity::Fail, site })
}

fn reply(text: &str) -> Reply {
    Reply {
        id: None,
        request_id: None,
        model: "claude-haiku-4-5".to_owned(),
        content: vec![Block::text(text)],
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        refusal: None,
        usage: Usage { input_tokens: 1, output_tokens: 1, ..Usage::default() },
        answered_at: "2026-11-22T14:31:20Z".parse().expect("a moment"),
        latency_ms: 1,
        attempts: Vec::new(),
        simulated: false,
    }
}

/// A result says why, in a bounded text that no terminal obeys.
pub fn is_fit_to_show(result: &AssertionResult) {
    match &result.outcome {
        Outcome::Pass => {}
        Outcome::Error(message) => assert!(!message.is_empty() && message.len() <= 2_000 && is_harmless(message), "{message:?}"),
        Outcome::Fail(failure) => {
            assert!(!failure.expected.is_empty() && !failure.got.is_empty(), "{failure:?}");
            assert!(failure.expected.len() <= 10_000 && failure.got.len() <= 20_000, "{failure:?}");
            assert!(is_harmless(&failure.expected) && is_harmless(&failure.got), "{failure:?}");
        }
    }
}
