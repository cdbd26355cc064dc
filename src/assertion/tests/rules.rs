//! Which rules hold for every cell, and what lifts them?

use super::*;

/// The names of what failed, warnings included.
fn failed(assertions: &[Assertion], reply: &Reply) -> Vec<String> {
    let compiled: Vec<_> = assertions.iter().map(compiled).collect();
    let results = judge(&compiled, &subject(reply, Parse::default(), None));
    results.into_iter().filter(|result| result.outcome != Outcome::Pass).map(|result| result.name).collect()
}

fn warn(kind: Value) -> Assertion {
    Assertion { severity: AssertionSeverity::Warn, ..assertion(kind) }
}

#[test]
fn a_truncated_reply_fails_even_where_everything_matches() {
    let contains = assertion(json!({"contains": "ok"}));
    assert_eq!(failed(std::slice::from_ref(&contains), &cut("ok")), ["not truncated"]);
    assert_eq!(failed(std::slice::from_ref(&contains), &reply("ok")), [""; 0]);
    let full = Reply { stop_reason: StopReason::ModelContextWindowExceeded, ..reply("ok") };
    assert_eq!(failed(&[contains], &full), ["not truncated"]);
    let results = {
        let cut = cut("and so it en");
        judge(&[], &subject(&cut, Parse::default(), None))
    };
    insta::assert_snapshot!(words(&results[0]), @r"
    expected a whole reply (raise `max_tokens`, or accept it with `stop_reason: max_tokens`)
    got `max_tokens` after 340 output tokens: `and so it en`
    ");
    assert_eq!(results[0].site, None);
}

#[test]
fn a_paused_reply_fails_and_one_that_stopped_for_an_unknown_reason_is_an_error() {
    let contains = assertion(json!({"contains": "ok"}));
    for (reason, rule, is_error) in [("pause_turn", "not paused", false), ("compaction", "known stop reason", true)] {
        let stopped = Reply { stop_reason: StopReason::from(reason.to_owned()), ..reply("ok") };
        assert_eq!(failed(std::slice::from_ref(&contains), &stopped), [rule]);
        let results = judge(&[], &subject(&stopped, Parse::default(), None));
        assert_eq!(matches!(results[0].outcome, Outcome::Error(_)), is_error, "{reason}");
        assert_eq!(results[0].severity, AssertionSeverity::Fail);
        assert_eq!(failed(&[assertion(json!({"stop_reason": ["end_turn", reason]}))], &stopped), [""; 0]);
        assert_eq!(failed(&[assertion(json!({"stop_reason": ["end_turn"]}))], &stopped), ["stop_reason"]);
        assert_eq!(failed(&[assertion(json!({"refusal": "allowed"}))], &stopped), [rule]);
    }
    for reason in ["end_turn", "stop_sequence", "tool_use"] {
        let whole = Reply { stop_reason: StopReason::from(reason.to_owned()), ..reply("ok") };
        assert_eq!(failed(std::slice::from_ref(&contains), &whole), [""; 0]);
    }
    let paused = Reply { stop_reason: StopReason::PauseTurn, ..reply("Let me look") };
    insta::assert_snapshot!(words(&judge(&[], &subject(&paused, Parse::default(), None))[0]), @r"
    expected a whole reply (a server tool paused it, and it is not continued; accept it with `stop_reason: pause_turn`)
    got `pause_turn` after 340 output tokens: `Let me look`
    ");
    let newer = Reply { stop_reason: StopReason::from("out of\nbreath".to_owned()), ..reply("x") };
    insta::assert_snapshot!(words(&judge(&[], &subject(&newer, Parse::default(), None))[0]), @r"error: nobody can know whether the reply is whole: promptkeel does not know the stop reason `out of\nbreath` (look it up in the API's documentation, and accept it with `stop_reason: out of\nbreath`)");
}

#[test]
fn an_assertion_that_names_the_stop_reason_lifts_the_rule() {
    assert_eq!(failed(&[assertion(json!({"stop_reason": ["max_tokens"]}))], &cut("ok")), [""; 0]);
    assert_eq!(failed(&[warn(json!({"stop_reason": ["max_tokens"]}))], &cut("ok")), [""; 0]);
    // One cause, one failure.
    assert_eq!(failed(&[assertion(json!({"stop_reason": ["end_turn"]}))], &cut("ok")), ["stop_reason"]);
    assert_eq!(failed(&[not(json!({"stop_reason": ["max_tokens"]}))], &cut("ok")), ["not stop_reason"]);
    // But a warning does not stand in for the rule, and what speaks of another reason says nothing.
    assert_eq!(failed(&[warn(json!({"stop_reason": ["end_turn"]}))], &cut("ok")), ["stop_reason", "not truncated"]);
    assert_eq!(failed(&[not(json!({"stop_reason": ["refusal"]}))], &cut("ok")), ["not truncated"]);
    assert_eq!(failed(&[assertion(json!({"refusal": "allowed"}))], &cut("ok")), ["not truncated"]);
}

#[test]
fn a_structural_refusal_fails_unless_it_is_wanted_or_allowed() {
    let refused = refused(Some("cyber"), "ok");
    assert_eq!(failed(&[assertion(json!({"contains": "ok"}))], &refused), ["not refused"]);
    assert_eq!(failed(&[assertion(json!({"refusal": "always"}))], &refused), [""; 0]);
    assert_eq!(failed(&[assertion(json!({"refusal": "allowed"}))], &refused), [""; 0]);
    assert_eq!(failed(&[not(json!({"refusal": "never"}))], &refused), [""; 0]);
    assert_eq!(failed(&[assertion(json!({"stop_reason": ["refusal", "end_turn"]}))], &refused), [""; 0]);
    assert_eq!(failed(&[assertion(json!({"refusal": "never"}))], &refused), ["refusal"]);
    assert_eq!(failed(&[warn(json!({"refusal": "never"}))], &refused), ["refusal", "not refused"]);
    let results = judge(&[], &subject(&refused, Parse::default(), None));
    insta::assert_snapshot!(words(&results[0]), @r"
    expected a reply that was not refused (`refusal: allowed` or `refusal: always` accepts it)
    got a refusal by the API (stop reason `refusal`, category `cyber`)
    ");
}

#[test]
fn where_refusals_are_allowed_a_refused_reply_is_not_judged_by_its_content() {
    let assertions = [
        assertion(json!({"refusal": "allowed"})),
        assertion(json!({"contains": "42"})),
        assertion(json!("json")),
        assertion(json!({"max_output_tokens": 100})),
    ];
    assert_eq!(failed(&assertions, &refused(None, "")), ["max_output_tokens"]);
    assert_eq!(failed(&assertions, &reply("I can't help with that.")), ["max_output_tokens"]);
    assert_eq!(failed(&assertions, &reply("An answer.")), ["contains", "json", "max_output_tokens"]);
    let compiled: Vec<_> = assertions.iter().map(compiled).collect();
    let refused = refused(None, "");
    let results = judge(&compiled, &subject(&refused, Parse::default(), None));
    assert_eq!(results.iter().map(|result| result.name.as_str()).collect::<Vec<_>>(), ["refusal", "max_output_tokens"]);
}

#[test]
fn a_case_that_nothing_can_fail_is_vacuous() {
    let list = |assertions: &[Assertion]| assertions.iter().cloned().map(Arc::new).collect::<Vec<_>>();
    let contains = assertion(json!({"contains": "x"}));
    let harmless = [warn(json!({"contains": "x"})), assertion(json!({"refusal": "allowed"}))];
    assert!(fails_vacuously(&[], Compare::Off));
    assert!(fails_vacuously(&list(&harmless), Compare::Off));
    assert!(!fails_vacuously(&list(&harmless), Compare::Text));
    assert!(!fails_vacuously(&list(&[contains]), Compare::Off));
    assert!(!fails_vacuously(&list(&[assertion(json!({"refusal": "never"}))]), Compare::Off));
}

#[test]
fn a_result_carries_its_name_severity_and_place() {
    let named =
        Assertion { name: Some("mentions the refund".to_owned()), severity: AssertionSeverity::Critical, ..not(json!({"contains": "x"})) };
    let (named, unnamed) = (compiled(&named), compiled(&not(json!({"contains": "x"}))));
    let reply = reply("y");
    let subject = subject(&reply, Parse::default(), None);
    let result = evaluate(&named, &subject);
    assert_eq!((result.name.as_str(), result.severity), ("mentions the refund", AssertionSeverity::Critical));
    assert_eq!(result.site.unwrap().to_string(), "suites/test.yaml:7");
    assert_eq!(evaluate(&unnamed, &subject).name, "not contains");
}
