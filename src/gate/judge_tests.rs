//! Does each gate say what its cells came to, and does none hold by accident?

use serde_json::{Value, json};

use super::*;
use crate::gate::exit::exit;
use crate::model::gate::Exit;

/// One cell of the suite `s` and the model `m`, gated, owning a snapshot.
fn cell(verdict: &str, snapshot: Value, assertions: Value, skipped: Value) -> CellResult {
    let sample =
        json!({ "index": 0, "key": "", "verdict": verdict, "reply": null, "assertions": assertions, "error": null, "skipped": skipped });
    let cell = json!({
        "address": { "suite": "s", "case": "c", "prompt": "p", "version": 1, "model": "m" },
        "model_id": "m", "endpoint": "e", "verdict": verdict, "gated": true, "side_by_side": false, "tags": [],
        "site": { "file": "s.yaml", "line": 1 }, "snapshot": snapshot, "snapshot_path": "snapshots/s/c/m.snap",
        "digests": { "prompt": "", "variables": "", "assertions": "", "fingerprint": "", "fixtures": [] }, "samples": [sample]
    });
    serde_json::from_value(cell).unwrap()
}

fn plain(verdict: &str) -> CellResult {
    cell(verdict, json!({ "state": "same" }), json!([]), Value::Null)
}

fn policy(min_pass_rate: f64, on_change: OnChange) -> SuitePolicy {
    SuitePolicy { name: "s".to_owned(), min_pass_rate, on_change, comparison: None }
}

fn gates(cells: &[CellResult], min_pass_rate: f64) -> (Vec<String>, Exit) {
    let gates = judge(cells, &[policy(min_pass_rate, OnChange::Fail)], &RunFacts::default());
    let told = gates.iter().filter(|gate| gate.outcome != GateOutcome::Pass).map(|gate| gate.message.clone());
    (told.collect(), exit(&gates))
}

#[test]
fn a_rate_fails_only_where_the_missing_verdicts_could_not_save_it() {
    let run = |verdicts: &[&str], rate| gates(&verdicts.iter().map(|verdict| plain(verdict)).collect::<Vec<_>>(), rate);
    assert_eq!(run(&["pass", "pass"], 1.0), (vec![], Exit::Holds));
    assert_eq!(run(&["pass", "fail"], 0.5), (vec![], Exit::Holds));
    assert_eq!(run(&["pass", "fail"], 1.0), (vec!["pass rate 50.0 % (1 of 2 cells), at least 100.0 % asked for".to_owned()], Exit::Fails));
    assert_eq!(run(&["pass", "fail", "error"], 0.6).1, Exit::MissingVerdicts, "the third could still reach 2 of 3");
    assert_eq!(run(&["pass", "fail", "error"], 0.9).1, Exit::Fails, "no third could");
    assert_eq!(run(&["error"], 0.1).1, Exit::MissingVerdicts);
    assert_eq!(run(&["pass", "pass", "error"], 0.5).1, Exit::MissingVerdicts, "a rate that holds hides no error");
}

#[test]
fn a_share_just_below_is_never_shown_as_the_whole() {
    assert_eq!(percent(0.9996), "99.9 %");
    assert_eq!(percent(1.0), "100.0 %");
    assert_eq!(percent(0.57), "57.0 %");
}

#[test]
fn a_critical_failure_fails_a_gate_whose_rate_holds_and_only_where_the_cell_counts() {
    let failed = |severity: &str| {
        let result =
            json!([{ "name": "contains", "severity": severity, "outcome": { "fail": { "expected": "a", "got": "b" } }, "site": null }]);
        cell("fail", json!({ "state": "same" }), result, Value::Null)
    };
    let beside = || plain("pass");
    assert_eq!(gates(&[failed("critical"), beside()], 0.5), (vec!["a critical assertion failed in s::c::p@1::m".to_owned()], Exit::Fails));
    assert_eq!(gates(&[failed("fail"), beside()], 0.5).1, Exit::Holds);
    assert_eq!(gates(&[CellResult { gated: false, ..failed("critical") }, beside()], 0.5).1, Exit::Holds);
}

#[test]
fn a_changed_new_or_unreadable_snapshot_fails_and_only_the_first_two_can_be_a_warning() {
    let diff = json!({ "text": { "hunks": [], "cut": false } });
    for (state, under_warn) in [
        (json!({ "state": "changed", "diff": diff, "accepted_prompt": "p@1" }), Exit::Holds),
        (json!({ "state": "new" }), Exit::Holds),
        (json!({ "state": "unreadable", "message": "no" }), Exit::Fails),
    ] {
        let cells = [cell("pass", state.clone(), json!([]), Value::Null)];
        assert_eq!(gates(&cells, 1.0).1, Exit::Fails, "{state}");
        let warned = judge(&cells, &[policy(1.0, OnChange::Warn)], &RunFacts::default());
        assert_eq!(exit(&warned), under_warn, "{state}");
    }
}

#[test]
fn a_skipped_cell_is_told_by_its_reason() {
    let skipped = |reason: &str| cell("skipped", json!({ "state": "none" }), json!([]), json!(reason));
    assert_eq!(gates(&[skipped("budget"), plain("pass")], 1.0).1, Exit::Budget);
    assert_eq!(gates(&[skipped("max_fail"), plain("pass")], 1.0).1, Exit::MissingVerdicts);
    assert_eq!(gates(&[skipped("interrupted"), plain("pass")], 1.0).1, Exit::MissingVerdicts);
    assert_eq!(gates(&[skipped("budget"), plain("fail")], 1.0).1, Exit::Fails, "a failure outweighs the budget");
}

#[test]
fn a_shard_leaves_rates_and_orphans_to_the_merge() {
    let facts = RunFacts { shard: Some(Shard { index: 1, count: 2 }), rejected_orphans: 1, ..RunFacts::default() };
    assert_eq!(exit(&judge(&[plain("fail")], &[policy(1.0, OnChange::Fail)], &facts)), Exit::Holds);
    let whole = RunFacts { shard: None, ..facts };
    assert_eq!(exit(&judge(&[plain("pass")], &[policy(1.0, OnChange::Fail)], &whole)), Exit::Fails);
}
