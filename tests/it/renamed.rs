//! Can a suite get worse and pass, because it has another name or is no more?

use serde_json::{Value, json};

use crate::gating::{broken, flat, project, second_version};
use crate::harness::Project;

/// `items` and `steady`, in a commit.
fn two_suites() -> Project {
    let project = project(12, &broken(6));
    let steady = project.read("suites/items.yaml").replace("suite: items", "suite: steady").replace("prompt: item", "prompt: steady");
    project.rewrite("suites/steady.yaml", &steady);
    project.rewrite("suites/prompts/steady/1.md", "And {{ n }}?\n");
    project.git(&["init", "-q"]);
    project.rewrite(".gitignore", ".promptkeel\n*.json\n");
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "as it stands"]);
    project
}

/// Half of its cases fail from now on, under another name.
fn rename(project: &Project) {
    let renamed = project.read("suites/items.yaml").replace("suite: items", "suite: others");
    std::fs::remove_file(project.path("suites/items.yaml")).unwrap();
    project.rewrite("suites/others.yaml", &renamed);
    second_version(project);
}

fn of<'a>(report: &'a Value, suite: &str) -> &'a Value {
    let all = report["comparisons"].as_array().unwrap_or_else(|| panic!("nothing was compared: {report}"));
    all.iter().find(|one| one["suite"] == suite).unwrap_or_else(|| panic!("{suite} is not compared: {all:?}"))
}

#[test]
fn a_renamed_suite_is_undecided_whatever_it_is_compared_with() {
    let project = two_suites();
    let (first, report) = project.report(&[]);
    let id = report["run"]["id"].as_str().unwrap().to_owned();
    project.rewrite("main.json", &project.read("report.json"));
    assert_eq!((first.code, project.run(&["baseline", "set"]).code), (0, 0), "{first:?}");
    rename(&project);
    // Again and again: a run that was not green is no reason for the next one to be.
    for reference in ["git:main", "last-green", "blessed", "main.json", &id, "last", "last", "last-green", "git:main"] {
        let (ran, report) = project.report(&["--baseline", reference, "--junit", "junit.xml", "--markdown", "page.md"]);
        assert_eq!((ran.code, &of(&report, "items")["standing"]), (7, &json!("undecided")), "{reference}: {ran:?}");
        let told = flat(&ran);
        assert!(told.contains("has no suite of that name, but `others` has the same 12 cases"), "{reference}: {told}");
        assert!(ran.stderr.contains("suite `items` is in the baseline"), "before anything is asked, too: {}", ran.stderr);
        assert!(project.read("junit.xml").contains("the baseline gates 12 cases of `items`"), "{reference}");
        assert!(project.read("page.md").contains("⚠️ `items`: undecided whether it is worse than"), "{}", project.read("page.md"));
    }
    let read = project.run(&["report", "report.json"]);
    assert_eq!(read.code, 7, "the report says the same when it is read again: {read:?}");
}

#[test]
fn the_only_suite_of_a_project_does_not_pass_by_another_name() {
    let project = two_suites();
    std::fs::remove_file(project.path("suites/steady.yaml")).unwrap();
    project.git(&["commit", "-qam", "one suite"]);
    rename(&project);
    let (ran, report) = project.report(&["--baseline", "git:main"]);
    assert_eq!((ran.code, &of(&report, "others")["standing"]), (7, &json!("new")), "{ran:?}");
    assert_eq!(of(&report, "items")["standing"], "undecided");
    // Shards leave it to the merge.
    for shard in ["1/2", "2/2"] {
        let ran = project.run(&["run", "--baseline", "git:main", "--shard", shard, "--json", &format!("{}.json", &shard[..1])]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let merged = project.run(&["merge", "1.json", "2.json"]);
    assert!(merged.code == 7 && flat(&merged).contains("`others` has the same 12 cases"), "{merged:?}");
    // Some of the cases: what is new may be what is gone.
    let some = project.run(&["run", "--baseline", "git:main", "--case", "case-0*"]);
    assert_eq!(some.code, 7, "{some:?}");
}

#[test]
fn a_suite_that_is_gone_on_purpose_is_said_in_the_settings() {
    let project = two_suites();
    assert_eq!(project.run(&["run"]).code, 0);
    std::fs::remove_file(project.path("suites/items.yaml")).unwrap();
    for reference in ["git:main", "last-green"] {
        let ran = project.run(&["run", "--baseline", reference]);
        assert!(ran.code == 7 && flat(&ran).contains("put it under `gone` in the [gate] section"), "{reference}: {ran:?}");
    }
    let settings = project.read("promptkeel.toml");
    project.rewrite("promptkeel.toml", &format!("{settings}\n[gate]\ngone = [\"items\"]\n"));
    for reference in ["git:main", "last-green"] {
        let ran = project.run(&["run", "--baseline", reference]);
        assert!(ran.code == 0 && !ran.stderr.contains("items"), "{reference}: {ran:?}");
    }
    project.git(&["checkout", "-q", "suites"]);
    let back = project.run(&["run", "--baseline", "git:main"]);
    assert!(back.code == 0 && back.stderr.contains("suite `items` is there, and `gone`"), "{back:?}");
    // Or a run without it becomes what later ones are held against.
    project.rewrite("promptkeel.toml", &settings);
    std::fs::remove_file(project.path("suites/items.yaml")).unwrap();
    assert_eq!(project.run(&["run", "--baseline", "none"]).code, 0);
    assert_eq!(project.run(&["run", "--baseline", "last-green"]).code, 0);
}

#[test]
fn a_run_of_some_suites_loses_none() {
    let project = two_suites();
    assert_eq!(project.run(&["run", "--json", "main.json"]).code, 0);
    for reference in ["git:main", "last-green", "main.json"] {
        for selection in ["suites/steady.yaml", "--case=steady::*"] {
            let ran = project.run(&["run", selection, "--baseline", reference]);
            assert!(ran.code == 0 && !ran.stderr.contains("items"), "{reference} {selection}: {ran:?}");
        }
    }
}

#[test]
fn the_settings_say_what_suites_do_not() {
    let project = two_suites();
    let settings = project.read("promptkeel.toml");
    project.rewrite("promptkeel.toml", &format!("{settings}\n[gate]\nmargin = 0.3\nalpha = 0.1\n"));
    project.edit("suites/steady.yaml", "  min_pass_rate: 0.1", "  min_pass_rate: 0.1\n  margin: 0.2");
    let policies = |report: &Value| -> Vec<(f64, f64)> {
        let asked = report["policies"].as_array().unwrap().iter().map(|policy| &policy["comparison"]);
        asked.map(|asked| (asked["margin"].as_f64().unwrap(), asked["alpha"].as_f64().unwrap())).collect()
    };
    let (_, report) = project.report(&["--baseline", "git:main"]);
    assert_eq!(policies(&report), [(0.3, 0.1), (0.2, 0.1)]);
    let (_, report) = project.report(&["--baseline", "git:main", "--margin", "0.05"]);
    assert_eq!(policies(&report), [(0.05, 0.1), (0.05, 0.1)]);
}

#[test]
fn a_case_that_has_another_id_is_not_new() {
    let project = project(40, "");
    project.git(&["init", "-q"]);
    project.rewrite(".gitignore", ".promptkeel\n*.json\n");
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "as it stands"]);
    assert_eq!(project.report(&[]).0.code, 0);
    project.rewrite("main.json", &project.read("report.json"));
    assert_eq!(project.run(&["baseline", "set"]).code, 0);
    project.edit("suites/items.yaml", "id: case-07", "id: other-07");
    for reference in ["git:main", "last-green", "blessed", "main.json"] {
        let (ran, report) = project.report(&["--baseline", reference]);
        assert_eq!(
            (ran.code, &of(&report, "items")["standing"]),
            (7, &json!("undecided")),
            "the others are the same, {reference}: {ran:?}"
        );
        assert!(
            flat(&ran).contains("1 case has another id than in the baseline") && flat(&ran).contains("`case-07` is `other-07` now"),
            "{ran:?}"
        );
    }
    second_version(&project);
    let wide = ["--baseline", "git:main", "--margin", "0.2"];
    let (ran, _) = project.report(&wide);
    assert!(ran.code == 7 && flat(&ran).contains("`case-07` is `other-07` now; where that is meant"), "{ran:?}");
    assert_eq!(project.run(&["run", "suites/items.yaml", "--baseline", "git:main", "--margin", "0.2"]).code, 7);
    let settings = project.read("promptkeel.toml");
    project.rewrite("promptkeel.toml", &format!("{settings}\n[gate]\ngone = [\"items::case-07\"]\n"));
    let (ran, _) = project.report(&wide);
    assert_eq!(ran.code, 0, "{ran:?}");
}
