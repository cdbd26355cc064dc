//! Does `promptkeel show` tell the whole of a cell, as it is now or as a report has it, and ask nothing?

use crate::harness::{CAPITALS_SCRIPT, Project, Server};

const FRANCE: &str = "capitals::france::capital@1::claude-haiku-4-5";

#[test]
fn a_cell_is_shown_whole_and_nothing_is_asked() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    let before = project.run(&["show", FRANCE, "--endpoint", "anthropic"]);
    assert_eq!((before.code, server.requests()), (0, 0), "{before:?}");
    assert!(before.stdout.contains("Name the capital of France") && before.stdout.contains("not recorded"), "{}", before.stdout);
    project.run(&["run", "--endpoint", "anthropic"]);
    let after = project.run(&["show", FRANCE, "--endpoint", "anthropic"]);
    assert_eq!((after.code, server.requests()), (0, 2), "{after:?}");
    for told in ["PASS", FRANCE, "Name the capital of France", "│ Paris", "end_turn, from the store", "holds equals", "$0.0000"] {
        assert!(after.stdout.contains(told), "{told:?} is missing: {}", after.stdout);
    }
}

#[test]
fn it_is_judged_as_the_files_are_now() {
    let project = Project::passing();
    project.run(&["run"]);
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    let shown = project.run(&["show", "france"]);
    assert_eq!(shown.code, 0, "showing is no judgement: {shown:?}");
    assert!(shown.stdout.contains("FAIL") && shown.stdout.contains("Lyon"), "{}", shown.stdout);
}

#[test]
fn a_report_is_shown_as_it_was_without_a_project() {
    let project = Project::passing();
    project.report(&[]);
    let elsewhere = Project::new();
    std::fs::copy(project.path("report.json"), elsewhere.path("run.json")).unwrap();
    let shown = elsewhere.run(&["show", "capitals::japan", "--from", "run.json"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("│ Name the capital of Japan") && shown.stdout.contains("│ Tokyo"), "{}", shown.stdout);
    let json = elsewhere.run(&["show", "japan", "--from", "run.json", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let text = json["cells"][0]["request"]["turns"][0]["content"][0].as_u64().unwrap();
    assert_eq!(json["texts"][usize::try_from(text).unwrap()], "Name the capital of Japan in one word.");
}

#[test]
fn every_pattern_must_match_something() {
    let project = Project::passing();
    let shown = project.run(&["show", "france", "germany"]);
    assert_eq!(shown.code, 4, "{shown:?}");
    assert!(shown.stderr.contains("no cell matches `germany`") && shown.stdout.is_empty(), "{shown:?}");
    let several = project.run(&["show", "capitals::*::claude-haiku-4-5"]);
    assert!(several.stderr.contains("2 cells shown"), "{several:?}");
}
