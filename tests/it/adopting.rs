//! Can the outputs of a run in CI be accepted at home, without asking again, and only while they are answers to the same question?

use serde_json::Value;

use crate::harness::{CAPITALS_SCRIPT, Project, Server};

const PARIS: &str = "snapshots/capitals/france/claude-haiku-4-5.snap";
const TOKYO: &str = "snapshots/capitals/japan/claude-haiku-4-5.snap";

/// A project whose snapshots say something else than the server now does, and the report that CI made of it.
fn after_ci(server: &Server) -> Project {
    let mut project = Project::passing();
    project.edit("suites/capitals.yaml", "on_change: warn", "on_change: fail");
    project.edit("suites/capitals.yaml", "models: [claude-haiku-4-5]", "models: [{id: claude-haiku-4-5, endpoint: anthropic}]");
    project.ask(&server.url());
    project.set("CI", "true");
    let (ran, _) = project.report(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!project.exists(PARIS) && !project.exists(&format!("{PARIS}.new")), "CI writes nothing");
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    project
}

#[test]
fn what_ci_saw_is_accepted_without_asking_anybody() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = after_ci(&server);
    let accepted = project.run(&["accept", "--from", "report.json", "capitals/france"]);
    assert_eq!((accepted.code, server.requests()), (0, 2), "{accepted:?}");
    assert!(accepted.stdout.contains(&format!("accepted {PARIS}")), "{accepted:?}");
    assert!(project.read(PARIS).ends_with("---\nParis\n") && !project.exists(TOKYO));
    assert!(project.read("snapshots/capitals/prompts.toml").contains("capital"), "the prompt version counts as accepted");
    assert_eq!(project.run(&["accept", "--from", "report.json", "--all"]).code, 0);
    assert_eq!(project.run(&["run"]).code, 0);
}

#[test]
fn an_output_of_another_question_is_refused_and_what_changed_is_named() {
    let server = Server::start(CAPITALS_SCRIPT);
    for (file, old, new, named) in [
        ("suites/prompts/capital/1.md", "Name", "Tell", "the prompt `suites/prompts/capital/1.md`"),
        ("suites/capitals.yaml", "country: France", "country: La France", "the variables of case `france`"),
        ("suites/capitals.yaml", "max_tokens: 50", "max_tokens: 60", "the request parameters"),
        ("suites/capitals.yaml", "id: france", "id: frankreich", "no suite has this cell any more"),
        ("suites/capitals.yaml", "compare: text", "compare: \"off\"", "it keeps no snapshot any more"),
    ] {
        let project = after_ci(&server);
        project.edit(file, old, new);
        let refused = project.run(&["accept", "--from", "report.json", "--all"]);
        assert_eq!(refused.code, 2, "{named}: {refused:?}");
        assert!(refused.stderr.contains(named) && refused.stderr.contains("nothing was accepted"), "{named}: {}", refused.stderr);
        assert!(!project.exists(PARIS) && !project.exists(TOKYO), "all or nothing");
    }
}

#[test]
fn a_fixture_that_changed_is_named() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing().write("fixtures/france.txt", "France");
    project.edit("suites/capitals.yaml", "{country: France}", "{country: {file: fixtures/france.txt}}");
    project.ask(&server.url());
    project.set("CI", "true");
    project.report(&["--endpoint", "anthropic"]);
    project.rewrite("fixtures/france.txt", "La France");
    let refused = project.run(&["accept", "--from", "report.json", "capitals/france"]);
    assert!(refused.stderr.contains("the fixture `fixtures/france.txt` changed since run"), "{refused:?}");
    assert_eq!(project.run(&["accept", "--from", "report.json", "capitals/japan"]).code, 0, "the other case is what it was");
}

#[test]
fn a_report_names_no_paths_and_no_other_prompts() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = after_ci(&server);
    let edit = |change: fn(&mut Value)| {
        let mut report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
        change(&mut report["cells"][0]);
        project.rewrite("edited.json", &report.to_string());
        project.run(&["accept", "--from", "edited.json", "capitals::france"])
    };
    let refused = edit(|cell| cell["candidate"] = "---\nprompt: other@9\nmodel: gpt\nstop_reason: end_turn\n---\nParis\n".into());
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("an output of other@9 from gpt"), "{refused:?}");
    let refused = edit(|cell| cell["candidate"] = "rubbish".into());
    assert!(refused.stderr.contains("the report holds no snapshot for it"), "{refused:?}");
    let accepted = edit(|cell| cell["snapshot_path"] = "../../outside.snap".into());
    assert_eq!(accepted.code, 0, "the path is the project's own: {accepted:?}");
    assert!(project.exists(PARIS) && !project.root().parent().unwrap().join("outside.snap").exists());
}

#[test]
fn a_pattern_that_matches_nothing_new_is_told() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = after_ci(&server);
    let told = project.run(&["accept", "--from", "report.json", "capitals/germany"]);
    assert_eq!(told.code, 4, "{told:?}");
    assert!(told.stderr.contains("`capitals/germany` matches no new or changed output"), "{told:?}");
}

#[test]
fn an_output_that_is_not_what_its_replies_say_is_refused_and_the_field_is_named() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = after_ci(&server);
    let refused = |change: fn(&mut Value), named: &str| {
        let mut report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
        change(&mut report["cells"][0]);
        project.rewrite("edited.json", &report.to_string());
        let refused = project.run(&["accept", "--from", "edited.json", "capitals::france"]);
        assert_eq!(refused.code, 2, "{named}: {refused:?}");
        assert!(refused.stderr.contains(named) && refused.stderr.contains("hint:"), "{named}: {}", refused.stderr);
        assert!(!project.exists(PARIS), "{named}");
    };
    refused(|cell| edit(cell, "Paris", "Lyon"), "`text` of output 1");
    refused(|cell| edit(cell, "end_turn", "max_tokens"), "`stop_reason` of output 1");
    refused(|cell| edit(cell, "simulated: true\n", ""), "`simulated` is false, and a simulator answered");
    refused(|cell| cell["samples"][0]["reply"]["simulated"] = false.into(), "cannot be believed");
    refused(
        |cell| {
            let two = "---\nprompt: capital@1\nmodel: claude-haiku-4-5\nstop_reason: end_turn\nsimulated: true\nfence: ----\n---\n";
            cell["candidate"] = format!("{two}---- variant\n---- text\nParis\n---- variant\n---- text\nLyon\n").into();
        },
        "`text` of output 2",
    );
    assert_eq!(project.run(&["accept", "--from", "report.json", "capitals::france"]).code, 0);
}

/// Changes a cell's output, and nothing of its replies.
fn edit(cell: &mut Value, old: &str, new: &str) {
    let text = cell["candidate"].as_str().unwrap();
    assert!(text.contains(old), "{text}");
    cell["candidate"] = text.replacen(old, new, 1).into();
}

#[test]
fn a_simulated_output_without_its_mark_is_refused() {
    let mut project = Project::passing();
    project.edit("suites/capitals.yaml", "on_change: warn", "on_change: fail");
    project.set("CI", "true");
    project.report(&[]);
    let mut report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
    edit(&mut report["cells"][0], "simulated: true\n", "");
    project.rewrite("edited.json", &report.to_string());
    let refused = project.run(&["accept", "--from", "edited.json", "--all"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("`simulated`"), "{refused:?}");
    assert!(!project.exists(PARIS) && !project.exists(TOKYO));
}

#[test]
fn a_suite_that_compares_otherwise_by_now_gets_the_replies_and_nothing_that_no_model_gave() {
    let mut project = Project::passing();
    project.edit("suites/capitals.yaml", "compare: text", "compare: json");
    project.edit("suites/capitals.yaml", "on_change: warn", "on_change: fail");
    project.edit("suites/capitals.yaml", "equals: Paris", "contains: capital");
    project.edit("fixtures/sim/script.yaml", "text: Paris", "text: '{\"capital\":   \"Paris\"}'");
    project.set("CI", "true");
    project.report(&["--case", "france"]);
    project.edit("suites/capitals.yaml", "compare: json", "compare: exact");
    let accepted = project.run(&["accept", "--from", "report.json", "--all"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    let file = project.read(PARIS);
    assert!(file.ends_with("---\n{\"capital\":   \"Paris\"}\n") && !file.contains("variant"), "one reply, one variant: {file}");
    assert_eq!(project.run(&["run", "--case", "france"]).code, 0);
}
