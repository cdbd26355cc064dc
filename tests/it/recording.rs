//! Does a committed recording replay without a key what its author saw, and never anything else?

use serde_json::Value;

use crate::harness::{CAPITALS_SCRIPT, Project, Server};

pub(crate) const FILE: &str = "recordings/capitals.jsonl";

/// The author's project: a paid endpoint, which the simulator stands in for, and what it answered recorded.
pub(crate) fn recorded(server: &Server) -> Project {
    let mut project = Project::passing();
    project.ask(&server.url());
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    let ran = project.run(&["run", "--record", "--quiet"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("recorded 2 answers in recordings/capitals.jsonl: 2 new, 0 changed, 0 gone"), "{ran:?}");
    project
}

/// What a checkout has: the files, and neither the store nor a key.
pub(crate) fn checked_out(project: &mut Project) {
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    project.set("ANTHROPIC_API_KEY", "");
}

pub(crate) fn served(report: &Value) -> Vec<&str> {
    report["cells"].as_array().unwrap().iter().map(|cell| cell["samples"][0]["reply"]["served"].as_str().unwrap_or("nothing")).collect()
}

#[test]
fn a_checkout_replays_what_the_author_saw_without_a_key() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    checked_out(&mut project);
    for mode in ["only", "read-write"] {
        let (ran, report) = project.report(&["--cache", mode]);
        assert_eq!((ran.code, server.requests()), (0, 2), "{ran:?}");
        assert_eq!(served(&report), ["recorded", "recorded"]);
        assert_eq!(report["totals"]["requests_cached"], 2);
    }
    let plan = project.run(&["plan", "--json"]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["answered"], &plan["missing_keys"]), (&Value::from(2), &Value::Array(Vec::new())));
}

#[test]
fn only_what_changed_needs_a_key_and_a_replay_prices_it() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    checked_out(&mut project);
    project.edit("suites/capitals.yaml", "{country: Japan}", "{country: old Japan}");
    let ran = project.run(&["run"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("needs a key"), "{ran:?}");
    let (ran, report) = project.report(&["--cache", "only"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(served(&report), ["recorded", "nothing"]);
    assert!(ran.stdout.contains("no stored answer for capitals::japan::capital@1::claude-haiku-4-5"), "{ran:?}");
    assert!(ran.stderr.contains("1 cell without an answer, about $0.0"), "{ran:?}");
    assert_eq!(server.requests(), 2);
}

#[test]
fn recording_again_writes_the_same_bytes_and_drops_what_no_case_needs() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = recorded(&server);
    let first = project.read(FILE);
    let lines: Vec<&str> = first.lines().collect();
    assert!(
        lines[0].starts_with(
            r#"{"cell":"capitals::france::capital@1::claude-haiku-4-5","sample":0,"content":[{"type":"text","text":"Paris"}]"#
        )
    );
    assert_eq!(project.read("recordings/.gitattributes"), "*.jsonl text eol=lf merge=union\n");
    let ran = project.run(&["run", "--record", "--quiet"]);
    assert!(!ran.stderr.contains("recorded"), "nothing changed: {ran:?}");
    assert_eq!(project.read(FILE), first);
    project.run(&["run", "--record", "--quiet", "--case", "japan", "--samples", "2"]);
    assert_eq!(project.read(FILE).lines().count(), 3, "a selection takes nothing away from the cases that it leaves out");
    project.edit("suites/capitals.yaml", "country: France", "country: old France");
    let ran = project.run(&["run", "--record", "--quiet"]);
    assert!(ran.stderr.contains("recorded 2 answers in recordings/capitals.jsonl: 1 new, 0 changed, 2 gone"), "{ran:?}");
}

#[test]
fn an_edited_line_ends_every_command_before_it_asks() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    checked_out(&mut project);
    project.edit(FILE, "Tokyo", "Kyoto");
    for command in [&["run"][..], &["run", "--cache", "only"], &["plan"], &["show", "japan"]] {
        let ran = project.run(command);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("recordings/capitals.jsonl:2: edited or damaged: its checksum does not fit"), "{ran:?}");
    }
}

#[test]
fn two_branches_that_add_cases_merge_by_themselves() {
    let server = Server::start("rules:\n  - then: {text: Paris}\n");
    let project = {
        let mut project = Project::passing();
        project.ask(&server.url());
        project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
        project.edit("suites/capitals.yaml", "contains: Tokyo", "contains: Paris");
        project.run(&["run", "--record", "--quiet"]);
        project
    };
    project.rewrite(".gitignore", ".promptkeel\nreport.json\n");
    project.git(&["init", "-q"]);
    project.git(&["add", "-A"]);
    project.git(&["commit", "-qm", "first"]);
    for case in ["italy", "norway"] {
        project.git(&["checkout", "-qb", case, "main"]);
        // Each branch has the case in a file of its own, as people who merge well do; the recording is one file.
        let suite = project.read("suites/capitals.yaml");
        let at = if case == "italy" { "cases:\n" } else { "  - id: japan\n" };
        let new = format!("  - id: {case}\n    vars: {{country: {case}}}\n");
        let text = if case == "italy" { suite.replace(at, &format!("{at}{new}")) } else { suite.replace(at, &format!("{new}{at}")) };
        project.rewrite("suites/capitals.yaml", &text);
        let ran = project.run(&["run", "--record", "--quiet"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        project.git(&["add", "-A"]);
        project.git(&["commit", "-qm", case]);
    }
    project.git(&["checkout", "-q", "italy"]);
    project.git(&["merge", "-q", "--no-edit", "norway"]);
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    let (ran, report) = project.report(&["--cache", "only"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(served(&report), ["recorded"; 4]);
}

#[test]
fn accepting_records_where_answers_are_recorded() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    assert_eq!(project.run(&["run", "--update"]).code, 0);
    assert!(!project.exists("recordings"), "nobody asked for recordings");
    std::fs::create_dir(project.path("recordings")).unwrap();
    std::fs::remove_dir_all(project.path("snapshots")).unwrap();
    project.run(&["run"]);
    let ran = project.run(&["accept", "capitals/japan/*"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("recorded 1 answer in recordings/capitals.jsonl: 1 new, 0 changed, 0 gone"), "{ran:?}");
    let ran = project.run(&["run", "--update"]);
    assert!(ran.stderr.contains("recorded 2 answers in recordings/capitals.jsonl: 1 new, 0 changed, 0 gone"), "{ran:?}");
    checked_out(&mut project);
    assert_eq!(project.run(&["run", "--cache", "only"]).code, 0);
}

#[test]
fn what_is_stored_is_exported_counted_and_verified() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    project.run(&["run", "--case", "france"]);
    let ran = project.run(&["cache", "export"]);
    assert_eq!(
        ran.transcript(),
        "exit code: 0\n--- stdout\nrecordings/capitals.jsonl: 1 answer, 1 new, 0 changed, 0 gone; \
         1 answer missing: `promptkeel plan` prices them\n--- stderr\n"
    );
    let stats: Value = serde_json::from_str(&project.run(&["cache", "stats", "--json"]).stdout).unwrap();
    assert_eq!((&stats["store"]["answers"], &stats["recordings"][0]["answers"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(
        project.run(&["cache", "verify"]).transcript(),
        "exit code: 0\n--- stdout\n1 stored and 1 recorded answers are as they were written; 0 problems\n--- stderr\n"
    );
    project.edit(FILE, "Paris", "Lyon");
    let ran = project.run(&["cache", "verify"]);
    assert_eq!((ran.code, &*ran.stdout), (2, "1 stored and 0 recorded answers are as they were written; 1 problem\n"));
    assert!(ran.stderr.contains("recordings/capitals.jsonl:1: edited or damaged: its checksum does not fit"), "{ran:?}");
    assert_eq!(project.run(&["cache", "export"]).code, 2, "japan might be recorded in the damaged line");
}

#[test]
fn pruning_takes_what_it_says_and_never_what_is_recorded() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = recorded(&server);
    project.edit("suites/capitals.yaml", "country: France", "country: old France");
    assert_eq!(project.run(&["run"]).code, 0);
    let old = project.run(&["cache", "prune", "--older-than", "0s", "--dry-run"]);
    assert!(old.stdout.starts_with("0 answers (0 KB) would be deleted, 3 "), "two are recorded, and the newest row stays: {old:?}");
    std::fs::remove_dir_all(project.path("recordings")).unwrap();
    let unused = project.run(&["cache", "prune", "--unreferenced"]);
    assert!(unused.stdout.starts_with("0 answers"), "a remembered run was judged with it: {unused:?}");
    project.run(&["history", "prune", "--keep", "1"]);
    let unused = project.run(&["cache", "prune", "--unreferenced"]);
    assert!(unused.stdout.starts_with("1 answer "), "{unused:?}");
    assert_eq!(project.run(&["run", "--cache", "only"]).code, 0, "what is needed is there");
    let small = project.run(&["cache", "prune", "--max-size", "1kB"]);
    assert!(small.stdout.starts_with("1 answer "), "{small:?}");
    assert_eq!(project.run(&["cache", "prune"]).code, 2);
    assert_eq!(project.run(&["cache", "prune", "--max-size", "1 ton"]).code, 2);
}

#[test]
fn what_another_machine_recorded_is_imported_once() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    checked_out(&mut project);
    std::fs::rename(project.path("recordings"), project.path("elsewhere")).unwrap();
    let import = || project.run(&["cache", "import", "elsewhere/capitals.jsonl"]).stdout;
    assert_eq!(import(), "2 of 2 answers stored\n");
    assert_eq!(import(), "0 of 2 answers stored; the others were stored already\n");
    let (ran, report) = project.report(&["--cache", "only"]);
    assert_eq!((ran.code, served(&report)), (0, vec!["stored", "stored"]));
    assert_eq!(project.run(&["cache", "import", "nowhere.jsonl"]).code, 2);
}
