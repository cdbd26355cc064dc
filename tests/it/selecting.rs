//! Do selections mean the same everywhere, and is nothing green by accident?

use serde_json::Value;

use crate::harness::Project;

fn cases(project: &Project, arguments: &[&str]) -> (i32, Vec<String>) {
    let (ran, report) = project.report(arguments);
    let case = |cell: &Value| cell["address"]["case"].as_str().unwrap().to_owned();
    (ran.code, report["cells"].as_array().unwrap().iter().map(case).collect())
}

#[test]
fn filters_choose_cells() {
    let project = Project::passing();
    assert_eq!(cases(&project, &["--case", "fr*"]), (0, vec!["france".to_owned()]));
    assert_eq!(cases(&project, &["--case", "capitals::j*"]), (0, vec!["japan".to_owned()]));
    assert_eq!(cases(&project, &["--tag", "asia"]), (0, vec!["japan".to_owned()]));
    assert_eq!(cases(&project, &["--model", "*haiku*", "--prompt", "capital@1"]).1.len(), 2);
    assert_eq!(cases(&project, &["suites/capitals.yaml", "--tag", "asia", "--tag", "europe"]).1.len(), 2);
}

#[test]
fn a_filter_that_matches_nothing_is_exit_4_and_named() {
    let project = Project::passing();
    for arguments in [["--case", "frnace"], ["--tag", "africa"], ["--model", "gpt-*"], ["--prompt", "capital@2"]] {
        let ran = project.run(&["run", arguments[0], arguments[1]]);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.stderr.contains(arguments[1]), "{}", ran.stderr);
    }
    assert_eq!(project.run(&["run", "--case", "france", "--tag", "asia"]).code, 4);
}

#[test]
fn shards_part_the_cells_and_merge_judges_the_whole() {
    let project = Project::passing();
    for shard in ["1", "2", "3"] {
        let ran = project.run(&["run", "--shard", &format!("{shard}/3"), "--json", &format!("{shard}.json")]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let whole = project.run(&["merge", "1.json", "2.json", "3.json", "--json", "whole.json"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    let report: Value = serde_json::from_str(&project.read("whole.json")).unwrap();
    assert_eq!(report["totals"]["planned"], 2);
    assert_eq!(project.run(&["merge", "1.json", "2.json"]).code, 3, "a missing shard is a missing verdict");
    assert_eq!(project.run(&["merge", "1.json", "1.json"]).code, 2, "the same shard twice is a mistake");
}

#[test]
fn failed_means_the_cells_of_the_last_run_that_did_not_pass() {
    let project = Project::passing();
    assert_eq!(project.run(&["run", "--failed"]).code, 2, "there is no history yet");
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    assert_eq!(project.run(&["run"]).code, 1);
    assert_eq!(cases(&project, &["--failed"]), (1, vec!["france".to_owned()]));
    project.edit("suites/capitals.yaml", "equals: Lyon", "equals: Paris");
    assert_eq!(cases(&project, &["--failed"]), (0, vec!["france".to_owned()]));
    let nothing = project.run(&["run", "--failed"]);
    assert_eq!(nothing.code, 0);
    assert!(nothing.stdout.contains("0 of 2"), "{}", nothing.stdout);
}

#[test]
fn changed_since_selects_what_differs_from_the_merge_base() {
    let project = Project::passing();
    project.git(&["init", "-q"]);
    project.rewrite(".gitignore", ".promptkeel/\nreport.json\n*.snap.new\n");
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "-m", "first"]);
    let (code, none) = cases(&project, &["--changed-since", "main"]);
    assert_eq!((code, none.len()), (0, 0));
    project.edit("suites/capitals.yaml", "contains: Tokyo", "contains: Toky");
    assert_eq!(cases(&project, &["--changed-since", "main"]).1, ["japan"], "an assertion selects itself, uncommitted");
    project.git(&["commit", "-q", "-a", "-m", "second"]);
    project.rewrite("suites/capitals.yaml", &format!("# moved down\n\n{}", project.read("suites/capitals.yaml")));
    assert_eq!(cases(&project, &["--changed-since", "HEAD"]).1.len(), 0, "a comment changes no cell");
    project.edit("suites/prompts/capital/1.md", "Name", "Say");
    assert_eq!(cases(&project, &["--changed-since", "HEAD"]).1.len(), 2);
    assert_eq!(project.run(&["run", "--changed-since", "nowhere"]).code, 2);
}

#[test]
fn a_snapshot_that_fails_the_gate_belongs_to_failed_and_a_killed_run_has_no_verdicts() {
    let project = Project::passing();
    project.edit("suites/capitals.yaml", "on_change: warn", "on_change: fail");
    assert_eq!(project.run(&["run"]).code, 1);
    let (code, again) = cases(&project, &["--failed"]);
    assert_eq!((code, again.len()), (1, 2), "new snapshots fail the gate");
    assert_eq!(project.run(&["run", "--failed", "--update"]).code, 0);

    let options = promptkeel::sim::server::Options { latency: std::time::Duration::from_secs(20), ..Default::default() };
    let server = crate::harness::Server::with(crate::harness::CAPITALS_SCRIPT, options);
    let mut project = project;
    project.ask(&server.url());
    let mut command = project.command(&["run", "--endpoint", "anthropic"]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    while server.requests() == 0 {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended before it asked anything");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let failed = project.run(&["run", "--failed"]);
    assert_eq!(failed.code, 2, "{failed:?}");
    assert!(failed.stderr.contains("did not finish"), "{}", failed.stderr);
}

#[test]
fn a_run_in_which_nothing_counts_says_so() {
    let project = Project::passing();
    project.edit("suites/capitals.yaml", "models: [claude-haiku-4-5]", "models: [{id: claude-haiku-4-5, gate: false}]");
    let ran = project.run(&["run"]);
    assert!(ran.stderr.contains("0 of 2 cells count for the gate"), "{}", ran.stderr);
}
