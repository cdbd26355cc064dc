//! Does `--decide` ask exactly the fresh samples that are wanted, and does what was blessed stand for a run that is gone?

use serde_json::{Value, json};

use crate::gating::{broken, comparison, flat, project, script, second_version};
use crate::harness::{Project, Server};

/// A project whose first version was run, and whose second one is there. The server answers both.
fn prepared(server: &Server, cases: usize) -> Project {
    let mut project = project(cases, "");
    project.ask(&server.url());
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0);
    second_version(&project);
    project
}

const DECIDE: [&str; 5] = ["--endpoint", "anthropic", "--baseline", "last-green", "--decide"];

#[test]
fn a_broken_case_is_confirmed_by_fresh_samples_of_both_arms_and_fails() {
    let server = Server::start(&script(40, &broken(1)));
    let project = prepared(&server, 40);
    let before = server.requests();
    let (ran, report) = project.report(&DECIDE);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (1, &json!("regressed")), "{ran:?}");
    assert_eq!(server.requests() - before, 120 + 20, "ten fresh samples in each arm, and nothing else");
    assert!(ran.stderr.contains("asking 20 fresh samples of 1 case to decide, about $0.0007"), "{}", ran.stderr);
    assert!(flat(&ran).contains("items::case-00 passed 10 of 10 fresh samples before and 0 of 10 now"), "{}", ran.stdout);
    assert_eq!(report["totals"]["samples"], 120, "fresh samples are in no total");
    let confirmed = &comparison(&report)["compared"]["comparison"]["local"]["cases"][0]["confirmed"];
    assert_eq!(
        (&confirmed["baseline"], &confirmed["candidate"]),
        (&json!({"passes": 10, "samples": 10}), &json!({"passes": 0, "samples": 10}))
    );
    // The same again replays the same samples, and its report says the same when it is read.
    let before = server.requests();
    let again = project.run(&["run", "--endpoint", "anthropic", "--baseline", report["baselines"][0]["run"].as_str().unwrap(), "--decide"]);
    assert_eq!((again.code, server.requests() - before), (1, 0), "{again:?}");
    let read = project.run(&["report", "report.json"]);
    assert!(read.code == 1 && flat(&read).contains("10 of 10 fresh samples before and 0 of 10 now"), "{read:?}");
}

#[test]
fn a_case_that_was_only_unlucky_is_cleared() {
    let unlucky = "  - when: {text: [Please, 'item 00'], call: 2}\n    then: {text: 'item 00 is lost'}\n";
    let server = Server::start(&script(40, unlucky));
    let project = prepared(&server, 40);
    let undecided = project.run(&["run", "--endpoint", "anthropic", "--baseline", "last-green", "--margin", "0.1"]);
    assert!(undecided.code == 7 && flat(&undecided).contains("1 case looks worse"), "{undecided:?}");
    let mut arguments = DECIDE.to_vec();
    arguments.extend(["--margin", "0.1"]);
    let (ran, report) = project.report(&arguments);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (0, &json!("not_worse")), "{ran:?}");
    assert_eq!(comparison(&report)["compared"]["comparison"]["local"]["cases"][0]["confirmed"]["regressed"], false);
}

#[test]
fn what_the_budget_does_not_allow_is_not_asked_and_ends_with_6() {
    let server = Server::start(&script(40, &broken(1)));
    let project = prepared(&server, 40);
    assert_eq!(project.run(&["run", "--endpoint", "anthropic", "--baseline", "last-green"]).code, 7);
    let before = server.requests();
    let mut arguments = DECIDE.to_vec();
    arguments.extend(["--max-cost", "0.0004"]);
    let (ran, report) = project.report(&arguments);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (6, &json!("budget")), "{ran:?}");
    assert_eq!(server.requests(), before, "a part of what decides would be paid for nothing");
    assert_eq!(report["baselines"][0]["unasked"], json!([{"case": "items::case-00", "reason": "budget"}]));
}

#[test]
fn what_the_baseline_asked_is_found_again_by_its_key_or_said_to_be_lost() {
    let server = Server::start(&script(40, &broken(1)));
    let mut project = project(40, "");
    project.ask(&server.url());
    for arguments in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "first"]] {
        project.git(arguments);
    }
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0);
    // Changed in its place: the old text stands in the revision of the run alone.
    project.rewrite("suites/prompts/item/1.md", "Please say how {{ n }} is.\n");
    let (ran, _) = project.report(&DECIDE);
    assert!(ran.code == 1 && flat(&ran).contains("case-00 passed 10 of 10 fresh samples before and 0 of 10 now"), "{ran:?}");
    std::fs::remove_dir_all(project.path(".git")).unwrap();
    let before = server.requests();
    let (ran, report) = project.report(&DECIDE);
    assert_eq!((ran.code, server.requests() - before), (7, 0), "{ran:?}");
    assert_eq!(report["baselines"][0]["unasked"][0]["reason"], "lost");
    assert!(flat(&ran).contains("what the baseline asked for items::case-00 is neither on the disk nor in its revision"), "{}", ran.stdout);
}

#[test]
fn a_critical_assertion_that_fails_in_a_fresh_sample_fails_the_gate() {
    let rules = "  - when: {text: [Please, 'item 00'], call: 2}\n    then: {text: 'item 00 is lost'}\n  \
                 - when: {text: [Please, 'item 00'], call: 7}\n    then: {text: 'item 00 is secret'}\n";
    let server = Server::start(&script(40, rules));
    let mut project = project(40, "");
    project.edit("suites/items.yaml", "  - refusal: never", "  - refusal: never\n  - not: {contains: secret}\n    severity: critical");
    project.ask(&server.url());
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0);
    second_version(&project);
    let (ran, report) = project.report(&DECIDE);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (1, &json!("regressed")), "{ran:?}");
    assert!(flat(&ran).contains("a critical assertion fails in fresh samples of items::case-00"), "{}", ran.stdout);
}

#[test]
fn deciding_needs_something_to_compare() {
    let project = project(3, "");
    for arguments in [&["run", "--decide"][..], &["run", "--decide", "--baseline", "last", "--shard", "1/2"]] {
        let ran = project.run(arguments);
        assert!(ran.code == 2 && ran.stderr.contains("`--decide`") && ran.stderr.contains("hint:"), "{ran:?}");
    }
}

#[test]
fn what_was_blessed_is_enough_to_compare_with_where_the_store_is_gone() {
    let server = Server::start(&script(40, &broken(20)));
    let mut project = project(40, "");
    project.ask(&server.url());
    let nothing = project.run(&["baseline", "show"]);
    assert!(nothing.code == 4 && nothing.stderr.contains("nothing is blessed"), "{nothing:?}");
    let early = project.run(&["baseline", "set"]);
    assert!(early.code == 2 && early.stderr.contains("names no run that is remembered"), "{early:?}");
    let absent = project.run(&["run", "--endpoint", "anthropic", "--baseline", "blessed"]);
    assert!(absent.code == 2 && absent.stderr.contains("there is no promptkeel.baseline.json"), "{absent:?}");
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0);
    let set = project.run(&["baseline", "set"]);
    assert!(set.code == 0 && set.stdout.contains("1 suite, 40 cells, 120 of 120 samples passed; commit"), "{set:?}");
    let shown = project.run(&["baseline", "show"]);
    assert!(shown.stdout.contains("suite     items: 40 cells, 120 of 120 samples passed"), "{shown:?}");
    let json: Value = serde_json::from_str(&project.run(&["baseline", "show", "--json"]).stdout).unwrap();
    assert_eq!((&json["schema"], json["cells"].as_array().unwrap().len()), (&json!("promptkeel.baseline/1"), 40));

    let (same, report) = project.report(&["--endpoint", "anthropic", "--baseline", "blessed"]);
    assert_eq!((same.code, &comparison(&report)["standing"]), (0, &json!("unchanged")), "{same:?}");
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    second_version(&project);
    project.edit("suites/items.yaml", "  min_pass_rate: 0.1", "  min_pass_rate: 0.1\n  baseline: blessed");
    let (worse, report) = project.report(&["--endpoint", "anthropic"]);
    assert_eq!((worse.code, &comparison(&report)["standing"]), (1, &json!("regressed")), "{worse:?}");
    assert!(flat(&worse).contains("item@2 is worse than item@1 on 40 cases x 3 samples"), "{}", worse.stdout);
    assert_eq!(comparison(&report)["compared"]["baseline"]["cost_per_1000_calls_usd"], Value::Null, "nobody knows any more");

    project.edit("promptkeel.baseline.json", "promptkeel.baseline/1", "promptkeel.baseline/9");
    let other = project.run(&["run", "--endpoint", "anthropic"]);
    assert!(other.code == 2 && other.stderr.contains("its schema is `promptkeel.baseline/9`"), "{other:?}");
    project.rewrite("promptkeel.baseline.json", "{\"cells\": [");
    assert_eq!(project.run(&["baseline", "show"]).code, 2);
    assert_eq!((project.run(&["baseline", "clear"]).code, project.exists("promptkeel.baseline.json")), (0, false));
}
