//! Can a run be green because it was compared with nothing, with itself, or with a part of what it was to be compared with?

use serde_json::{Value, json};

use crate::gating::{broken, comparison, flat, project, second_version};
use crate::harness::Project;

fn commit(project: &Project) {
    if !project.exists(".git") {
        project.git(&["init", "-q"]);
        project.rewrite(".gitignore", ".promptkeel\n*.json\n");
    }
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "as it stands"]);
}

fn standing(report: &Value) -> &str {
    comparison(report)["standing"].as_str().unwrap_or_else(|| panic!("nothing was compared: {report}"))
}

#[test]
fn another_model_is_not_new_but_undecided_whatever_it_is_compared_with() {
    let project = project(12, "");
    commit(&project);
    assert_eq!(project.run(&["run", "--json", "main.json"]).code, 0);
    assert_eq!(project.run(&["baseline", "set"]).code, 0);
    project.edit("suites/items.yaml", "claude-haiku-4-5", "claude-sonnet-4-6");
    for reference in ["last", "git:main", "last-green", "blessed", "main.json"] {
        let (ran, report) = project.report(&["--baseline", reference]);
        assert_eq!((ran.code, standing(&report)), (7, "undecided"), "{reference}: {ran:?}");
        let told = flat(&ran);
        assert!(told.contains("this run was answered by claude-sonnet-4-6"), "{reference}: {told}");
        assert!(told.contains("the baseline was answered by claude-haiku-4-5"), "{reference}: {told}");
    }
}

#[test]
fn a_model_that_nothing_is_compared_with_does_not_hide_behind_one_that_is() {
    let project = project(60, "");
    commit(&project);
    second_version(&project);
    let (ran, report) = project.report(&["--baseline", "git:main"]);
    assert_eq!((ran.code, standing(&report)), (0, "not_worse"), "{ran:?}");
    project.edit("suites/items.yaml", "[claude-haiku-4-5]", "[claude-haiku-4-5, claude-sonnet-4-6]");
    let (ran, report) = project.report(&["--baseline", "git:main"]);
    assert_eq!((ran.code, standing(&report)), (7, "undecided"), "{ran:?}");
    assert!(flat(&ran).contains("undecided: nothing of claude-sonnet-4-6 is compared"), "{}", ran.stdout);
    assert!(flat(&ran).contains("apart from that item@2 is not worse than item@1 on 60 cases"), "{}", ran.stdout);
}

#[test]
fn renamed_cases_are_not_new() {
    let project = project(12, "");
    commit(&project);
    let suite = project.read("suites/items.yaml");
    project.rewrite("suites/items.yaml", &suite.replace("id: case-", "id: other-"));
    let (ran, report) = project.report(&["--baseline", "git:main"]);
    assert_eq!((ran.code, standing(&report)), (7, "undecided"), "{ran:?}");
    assert!(flat(&ran).contains("no case in common: were they renamed?"), "{}", ran.stdout);
    let left_out = comparison(&report)["left_out"].as_array().unwrap();
    let names: Vec<(&str, usize)> =
        left_out.iter().map(|one| (one["kind"].as_str().unwrap(), one["cases"].as_array().unwrap().len())).collect();
    assert_eq!(names, [("only_candidate", 12), ("only_baseline", 12)], "{left_out:?}");
}

#[test]
fn a_suite_that_the_baseline_does_not_have_is_new() {
    let project = project(12, "");
    commit(&project);
    let other = project.read("suites/items.yaml").replace("suite: items", "suite: others");
    project.rewrite("suites/others.yaml", &other);
    let (ran, report) = project.report(&["--baseline", "git:main"]);
    let standings: Vec<&Value> = report["comparisons"].as_array().unwrap().iter().map(|one| &one["standing"]).collect();
    assert_eq!((ran.code, standings), (0, vec![&json!("unchanged"), &json!("new")]), "{ran:?}");
    assert!(flat(&ran).contains("the baseline git:main does not have this suite"), "{}", ran.stdout);
}

#[test]
fn the_same_command_again_does_not_turn_red_into_green() {
    let project = project(40, &broken(20));
    assert_eq!(project.run(&["run"]).code, 0);
    second_version(&project);
    for round in 0..3 {
        let (ran, report) = project.report(&["--baseline", "last"]);
        assert_eq!((ran.code, standing(&report)), (1, "regressed"), "round {round}: {ran:?}");
    }
}

#[test]
fn a_run_that_was_green_because_nothing_was_compared_is_no_baseline_of_its_own_answers() {
    let project = project(40, &broken(20));
    let first = project.report(&[]).1["run"]["id"].clone();
    second_version(&project);
    assert_eq!(project.run(&["run"]).code, 0, "half of the cases fail, and a tenth has to pass");
    let (ran, report) = project.report(&["--baseline", "last-green"]);
    assert_eq!((ran.code, standing(&report), &report["baselines"][0]["run"]), (1, "regressed", &first), "{ran:?}");
}

#[test]
fn each_suite_looks_for_evidence_of_its_own() {
    let project = project(40, &broken(20));
    let other = project.read("suites/items.yaml").replace("suite: items", "suite: others").replace("prompt: item", "prompt: other");
    project.rewrite("suites/others.yaml", &other);
    project.rewrite("suites/prompts/other/1.md", "Tell me how {{ n }} is.\n");
    assert_eq!(project.run(&["run"]).code, 0);
    second_version(&project);
    assert_eq!(project.run(&["run", "--baseline", "last"]).code, 1);
    // Only the other suite is edited: what was worse is still held against what it was worse than.
    project.rewrite("suites/prompts/other/2.md", "I want to know how {{ n }} is.\n");
    let (ran, report) = project.report(&["--baseline", "last", "--margin", "0.1"]);
    let of = |suite: &str| {
        let all = report["comparisons"].as_array().unwrap();
        all.iter().find(|one| one["suite"] == suite).map(|one| one["standing"].clone())
    };
    assert_eq!((ran.code, of("items"), of("others")), (1, Some(json!("regressed")), Some(json!("not_worse"))), "{ran:?}");
    assert_eq!(report["baselines"].as_array().unwrap().len(), 2, "each has a run of its own");
    let shown = project.run(&["report", "report.json"]);
    assert_eq!(shown.code, 1, "the report says the same when it is read again: {shown:?}");
}

#[test]
fn a_run_of_some_cases_is_no_baseline_of_all() {
    let project = project(40, &broken(20));
    assert_eq!(project.run(&["run", "--case", "case-39"]).code, 0);
    second_version(&project);
    let (ran, report) = project.report(&["--baseline", "last-green"]);
    assert_eq!((ran.code, standing(&report)), (7, "undecided"), "{ran:?}");
    assert!(flat(&ran).contains("only some of the cells, and lacks 39 cases"), "{}", ran.stdout);
    assert!(flat(&ran).contains("items::case-00, items::case-01, items::case-02 and 36 more"), "{}", ran.stdout);
    // A whole one is taken before it, though it is older.
    std::fs::remove_file(project.path("suites/prompts/item/2.md")).unwrap();
    assert_eq!(project.run(&["run"]).code, 0);
    assert_eq!(project.run(&["run", "--case", "case-39"]).code, 0);
    second_version(&project);
    let (ran, report) = project.report(&["--baseline", "last-green"]);
    assert_eq!((ran.code, standing(&report)), (1, "regressed"), "{ran:?}");
}

#[test]
fn a_report_of_a_part_is_no_baseline_of_the_whole() {
    let project = project(40, &broken(1));
    project.run(&["run", "--shard", "2/2", "--json", "shard.json"]);
    project.run(&["run", "--case", "case-[1-3]*", "--json", "part.json"]);
    second_version(&project);
    let shard = project.run(&["run", "--baseline", "shard.json"]);
    assert!(shard.code == 2 && shard.stderr.contains("it is shard 2 of 2") && shard.stderr.contains("`promptkeel merge`"), "{shard:?}");
    let (ran, report) = project.report(&["--baseline", "part.json", "--margin", "0.2"]);
    assert_eq!((ran.code, standing(&report)), (7, "undecided"), "{ran:?}");
    assert!(flat(&ran).contains("the baseline has only some of the cells, and lacks 10 cases: items::case-00"), "{}", ran.stdout);
    let (ran, report) = project.report(&["--baseline", "part.json", "--case", "case-[1-3]*", "--margin", "0.2"]);
    assert_eq!((ran.code, standing(&report)), (0, "not_worse"), "the same part: {ran:?}");
}

#[test]
fn shards_that_were_asked_for_other_comparisons_are_not_merged() {
    let project = project(40, &broken(20));
    project.run(&["run", "--json", "main.json"]);
    second_version(&project);
    let shard = |shard: &str, file: &str, more: &[&str]| {
        let ran = project.run(&[&["run", "--shard", shard, "--json", file], more].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    shard("1/2", "one.json", &["--baseline", "main.json"]);
    shard("2/2", "forgotten.json", &[]);
    shard("2/2", "lenient.json", &["--baseline", "main.json", "--margin", "0.9"]);
    shard("2/2", "two.json", &["--baseline", "main.json"]);
    let merged = |file: &str| project.run(&["merge", "one.json", file]);
    for (file, told) in [("forgotten.json", "shard 2 with nothing"), ("lenient.json", "margin 0.9")] {
        let ran = merged(file);
        assert!(ran.code == 2 && ran.stderr.contains(told), "{file}: {ran:?}");
        assert!(ran.stderr.contains("`items`") && ran.stderr.contains("`main.json`, margin 0.05, alpha 0.05"), "{file}: {ran:?}");
    }
    assert_eq!(merged("two.json").code, 1);
}

#[test]
fn a_case_that_is_compared_with_nothing_has_to_pass_by_itself() {
    let project = project(60, &broken(2));
    project.run(&["run", "--json", "main.json"]);
    second_version(&project);
    let wide = ["--baseline", "main.json", "--margin", "0.2"];
    // Other assertions for what is broken: it is left out, and fails.
    project.edit("suites/items.yaml", "equals: 'item 00 is fine'", "contains: 'item 00 is fine'");
    project.edit("suites/items.yaml", "equals: 'item 01 is fine'", "contains: 'item 01 is fine'");
    let (ran, report) = project.report(&wide);
    assert_eq!((ran.code, standing(&report)), (7, "undecided"), "{ran:?}");
    assert!(flat(&ran).contains("2 cases fail and are compared with nothing: items::case-00, items::case-01"), "{}", ran.stdout);
}

#[test]
fn a_new_case_that_passes_leaves_the_others_unchanged() {
    let project = project(12, "");
    commit(&project);
    let suite = project.read("suites/items.yaml");
    project.rewrite(
        "suites/items.yaml",
        &format!("{suite}  - id: fresh\n    vars: {{n: 'item 00'}}\n    assert:\n      - equals: 'item 00 is fine'\n"),
    );
    let (ran, report) = project.report(&["--baseline", "git:main"]);
    assert_eq!((ran.code, standing(&report)), (0, "unchanged"), "{ran:?}");
    assert!(flat(&ran).contains("1 case not compared: only the candidate has them"), "{}", ran.stdout);
    project.edit(
        "suites/items.yaml",
        "  - id: fresh\n    vars: {n: 'item 00'}\n    assert:\n      - equals: 'item 00 is fine'",
        "  - id: fresh\n    vars: {n: 'item 00'}\n    assert:\n      - equals: 'never'",
    );
    let (ran, report) = project.report(&["--baseline", "git:main"]);
    assert_eq!((ran.code, standing(&report)), (7, "undecided"), "{ran:?}");
    assert!(flat(&ran).contains("1 case fails and is compared with nothing: items::fresh"), "{}", ran.stdout);
}

#[test]
fn what_the_baseline_gated_and_this_run_does_not_is_named() {
    let project = project(60, "");
    project.edit("suites/items.yaml", "[claude-haiku-4-5]", "[claude-haiku-4-5, claude-sonnet-4-6]");
    let gone = project.read("suites/items.yaml").replace("suite: items", "suite: gone");
    project.rewrite("suites/gone.yaml", &gone);
    commit(&project);
    project.run(&["run", "--json", "main.json"]);
    std::fs::remove_file(project.path("suites/gone.yaml")).unwrap();
    let settings = project.read("promptkeel.toml");
    project.rewrite("promptkeel.toml", &format!("{settings}\n[gate]\ngone = [\"gone\"]\n"));
    second_version(&project);
    project.edit("suites/items.yaml", "  min_pass_rate: 0.1", "  min_pass_rate: 0.1\n  margin: 0.5");
    let kinds = |report: &Value| -> Vec<(String, usize)> {
        let found = comparison(report)["compared"]["validity"].as_array().unwrap();
        found.iter().map(|one| (one["kind"].as_str().unwrap().to_owned(), one["cases"].as_array().unwrap().len())).collect()
    };
    for (models, kind, told) in [
        ("[{id: claude-sonnet-4-6, gate: false}, claude-haiku-4-5]", "informs", "their model counts for the gate no more"),
        ("[claude-haiku-4-5]", "only_baseline", "60 cases left out: only the baseline has them"),
    ] {
        let suite = project.read("suites/items.yaml");
        let line = suite.lines().find(|line| line.starts_with("models:")).unwrap();
        project.rewrite("suites/items.yaml", &suite.replace(line, &format!("models: {models}")));
        for reference in ["last", "git:main", "main.json"] {
            let (ran, report) = project.report(&["--baseline", reference]);
            assert_eq!((ran.code, standing(&report)), (0, "not_worse"), "{models} {reference}: {ran:?}");
            assert_eq!(kinds(&report).first(), Some(&(kind.to_owned(), 60)), "{models} {reference}: {ran:?}");
            assert!(flat(&ran).contains(told), "{models} {reference}: {}", ran.stdout);
            if reference == "git:main" {
                assert!(
                    flat(&ran).contains("the gate asks for something else than the baseline's (margin the default -> 0.5)"),
                    "{}",
                    ran.stdout
                );
                assert!(!ran.stderr.contains("suite `gone`"), "it is meant: {}", ran.stderr);
            }
        }
    }
    let ungated = project.read("suites/items.yaml").replace("models: [claude-haiku-4-5]", "models: [{id: claude-haiku-4-5, gate: false}]");
    project.rewrite("suites/items.yaml", &ungated);
    let ran = project.run(&["run", "--baseline", "git:main"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("nothing of this run counts for the gate, so nothing is compared with `git:main`"),
        "{ran:?}"
    );
}

#[test]
fn a_blessed_file_that_was_edited_is_not_taken() {
    let project = project(6, "");
    project.run(&["run"]);
    assert_eq!(project.run(&["baseline", "set"]).code, 0);
    assert_eq!(project.run(&["run", "--baseline", "blessed"]).code, 0);
    let whole = project.read("promptkeel.baseline.json");
    for (from, to) in [("\"pass\"", "\"fail\""), ("\"part\": false", "\"part\": true"), ("\"digest\": \"", "\"digest\": \"0")] {
        project.edit("promptkeel.baseline.json", from, to);
        let ran = project.run(&["run", "--baseline", "blessed"]);
        assert!(ran.code == 2 && ran.stderr.contains("its digest is not that of what it says"), "{from}: {ran:?}");
        project.rewrite("promptkeel.baseline.json", &whole);
    }
    // What is only a part says so where it is compared with.
    project.run(&["run", "--case", "case-0[0-2]", "--json", "part.json"]);
    let set = project.run(&["baseline", "set", "part.json"]);
    assert!(set.code == 0 && set.stderr.contains("has only some of the cells"), "{set:?}");
    let (ran, report) = project.report(&["--baseline", "blessed"]);
    assert_eq!((ran.code, standing(&report)), (7, "undecided"), "{ran:?}");
}

#[test]
fn what_was_picked_because_it_failed_is_compared_with_nothing() {
    let project = project(6, &broken(3));
    project.run(&["run", "--json", "main.json"]);
    second_version(&project);
    project.run(&["run"]);
    let ran = project.run(&["run", "--failed", "--baseline", "main.json"]);
    assert!(ran.code == 2 && ran.stderr.contains("`--failed` cannot be compared with `main.json`"), "{ran:?}");
    project.edit("suites/items.yaml", "  min_pass_rate: 0.1", "  min_pass_rate: 0.0\n  baseline: main.json");
    let (ran, report) = project.report(&["--failed"]);
    assert_eq!((ran.code, report.get("comparisons")), (0, None), "{ran:?}");
    assert!(ran.stderr.contains("nothing is compared with a baseline") && ran.stderr.contains("`items` with `main.json`"), "{ran:?}");
}

#[test]
fn a_watch_says_that_it_compares_nothing() {
    let project = project(2, "");
    for more in [&["--baseline", "last"][..], &["--decide"]] {
        let ran = project.run(&[&["run", "--watch"], more].concat());
        assert!(ran.code == 2 && ran.stderr.contains("a comparison with a baseline cannot go together with `--watch`"), "{ran:?}");
    }
}

#[test]
fn comparing_with_a_part_is_undecided_as_a_gate() {
    let project = project(40, &broken(2));
    project.run(&["run", "--case", "case-[1-3]*", "--json", "part.json"]);
    second_version(&project);
    project.run(&["run", "--json", "whole.json"]);
    let compare = ["compare", "part.json", "whole.json", "--margin", "0.2"];
    let told = project.run(&compare);
    assert!(told.code == 0 && told.stderr.is_empty(), "it informs: {told:?}");
    let gate = project.run(&[&compare[..], &["--gate"]].concat());
    for ran in [&told, &gate] {
        let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("because the baseline has only some of the cells, and lacks 10 cases: items::case-00"), "{ran:?}");
    }
    assert_eq!(gate.code, 7, "{gate:?}");
}
