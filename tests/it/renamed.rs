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

/// `items` of 40 cases and `steady` of 12, as they stand in a commit, a report and a blessed run.
fn kept(rules: &str) -> Project {
    let project = project(40, rules);
    let steady = project.read("suites/items.yaml").replace("suite: items", "suite: steady").replace("prompt: item", "prompt: steady");
    let steady = steady.replace("id: case-", "id: steady-").replace("{n: 'item ", "{k: 1, n: 'item ");
    let steady = steady.split("  - id: steady-12").next().unwrap().to_owned();
    project.rewrite("suites/steady.yaml", &steady);
    project.rewrite("suites/prompts/steady/1.md", "And {{ n }}{{ k }}?\n");
    project.git(&["init", "-q"]);
    project.rewrite(".gitignore", ".promptkeel\n*.json\n!promptkeel.baseline.json\n");
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "as it stands"]);
    assert_eq!(project.report(&[]).0.code, 0);
    project.rewrite("main.json", &project.read("report.json"));
    assert_eq!(project.run(&["baseline", "set"]).code, 0);
    project
}

/// The cases of `items` from this one on go, and are given back.
fn taken(project: &Project, first: usize) -> String {
    let suite = project.read("suites/items.yaml");
    let at = suite.find(&format!("  - id: case-{first:02}")).unwrap();
    project.rewrite("suites/items.yaml", &suite[..at]);
    suite[at..].to_owned()
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

#[test]
fn cases_that_moved_into_a_new_suite_are_not_new() {
    let project = kept("");
    let moved = taken(&project, 1);
    let suite = project.read("suites/items.yaml");
    let head = suite.split("cases:\n").next().unwrap().replace("suite: items", "suite: other").replace("prompt: item", "prompt: other");
    project.rewrite("suites/other.yaml", &format!("{head}cases:\n{moved}"));
    project.rewrite("suites/prompts/other/1.md", "Tell {{ n }}!\n");
    // The last green run first: once a run has been remembered that knows the new suite, it lacks a green one of it.
    for reference in ["last-green", "git:main", "last", "blessed", "main.json"] {
        let (ran, report) = project.report(&["--baseline", reference]);
        assert_eq!((ran.code, &of(&report, "other")["standing"]), (7, &json!("undecided")), "{reference}: {ran:?}");
        let told = "39 cases of the baseline stand elsewhere now, and so are compared with nothing: `items::case-01` is `other::case-01` now and 38 more";
        assert!(flat(&ran).contains(told), "{reference}: {}", ran.stdout);
        assert!(of(&report, "other")["message"].as_str().unwrap().contains("move back what moved"), "{report}");
    }
    let ran = project.run(&["run", "suites/other.yaml", "--baseline", "git:main"]);
    assert!(ran.code != 0, "a file that is named alone: {ran:?}");
    // Said once, it is meant: a run that somebody blesses is what later ones are held against.
    assert_eq!(project.run(&["run", "--baseline", "none"]).code, 0);
    assert_eq!(project.run(&["baseline", "set"]).code, 0);
    let ran = project.run(&["run", "--baseline", "blessed"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn cases_that_moved_between_two_suites_are_not_new() {
    let project = kept("");
    let moved = taken(&project, 35);
    let steady = project.read("suites/steady.yaml");
    project.rewrite("suites/steady.yaml", &format!("{steady}{}", moved.replace("{n:", "{k: 1, n:")));
    for reference in ["git:main", "last-green", "blessed", "main.json"] {
        for named in [&[][..], &["suites/steady.yaml"]] {
            let ran = project.run(&[&["run", "--baseline", reference][..], named].concat());
            assert_eq!(ran.code, 7, "{reference}: {ran:?}");
            assert!(flat(&ran).contains("`items::case-35` is `steady::case-35` now and 4 more"), "{reference}: {}", ran.stdout);
        }
    }
}

#[test]
fn a_suite_and_a_case_that_are_new_beside_all_that_was_there_pass() {
    let project = kept("");
    let suite = project.read("suites/items.yaml");
    // The same cases once more, under another prompt: the old ones are compared as ever.
    project.rewrite("suites/other.yaml", &suite.replace("suite: items", "suite: other").replace("prompt: item", "prompt: other"));
    project.rewrite("suites/prompts/other/1.md", "Tell {{ n }}!\n");
    let more = "  - id: case-99\n    vars: {n: 'item 39, item 38'}\n    assert:\n      - contains: 'is fine'\n";
    project.rewrite("suites/items.yaml", &format!("{suite}{more}"));
    for reference in ["git:main", "last", "last-green", "blessed", "main.json"] {
        let ran = project.run(&["run", "--baseline", reference]);
        assert_eq!(ran.code, 0, "{reference}: {ran:?}");
    }
}

#[test]
fn a_renamed_suite_is_not_new_where_its_folder_or_file_is_named() {
    let project = kept("");
    project.edit("suites/items.yaml", "suite: items", "suite: others");
    for (named, references) in [("suites", &["git:main", "main.json", "blessed"][..]), ("suites/items.yaml", &["git:main"])] {
        for reference in references {
            let ran = project.run(&["run", named, "--baseline", reference]);
            assert!(ran.code == 7 && flat(&ran).contains("`others` has the same 40 cases"), "{named} {reference}: {ran:?}");
        }
    }
    // What is merely not named is there all the same.
    let ran = project.run(&["run", "suites/steady.yaml", "--baseline", "git:main"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_suite_whose_only_model_informs_now_is_undecided() {
    let project = kept("");
    project.edit("suites/items.yaml", "models: [claude-haiku-4-5]", "models: [{id: claude-haiku-4-5, gate: false}]");
    for reference in ["git:main", "last-green", "blessed", "main.json"] {
        let (ran, report) = project.report(&["--baseline", reference]);
        assert_eq!((ran.code, &of(&report, "items")["standing"]), (7, &json!("undecided")), "{reference}: {ran:?}");
        assert!(flat(&ran).contains("the baseline gates 40 cases of `items`, and nothing of it counts for the gate now"), "{}", ran.stdout);
    }
    let settings = project.read("promptkeel.toml");
    project.rewrite("promptkeel.toml", &format!("{settings}\n[gate]\ngone = [\"items\"]\n"));
    let ran = project.run(&["run", "--baseline", "git:main"]);
    assert!(ran.code == 0 && !ran.stderr.contains("says that it is not"), "{ran:?}");
}

#[test]
fn a_prompt_of_a_list_that_has_another_name_is_not_new() {
    let project = project(12, "");
    project.edit("suites/items.yaml", "prompt: item\n", "prompt: [pa, pb, pc]\n");
    for name in ["pa", "pb", "pc", "pd"] {
        project.rewrite(&format!("suites/prompts/{name}/1.md"), &format!("{name}: {{{{ n }}}}\n"));
    }
    project.git(&["init", "-q"]);
    project.rewrite(".gitignore", ".promptkeel\n*.json\n");
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "as it stands"]);
    assert_eq!(project.report(&[]).0.code, 0);
    project.rewrite("main.json", &project.read("report.json"));
    project.edit("suites/items.yaml", "[pa, pb, pc]", "[pa, pb, pd]");
    for reference in ["git:main", "last-green", "main.json"] {
        let ran = project.run(&["run", "--baseline", reference]);
        assert!(ran.code == 7 && flat(&ran).contains("nothing of the prompt pd is compared; the baseline has pc"), "{reference}: {ran:?}");
    }
}

#[test]
fn shards_of_two_prompts_are_no_run() {
    let project = project(12, "");
    let shard = |index: usize| project.run(&["run", "--shard", &format!("{index}/2"), "--json", &format!("part-{index}.json")]);
    assert_eq!(shard(2).code, 0);
    project.rewrite("suites/prompts/item/1.md", "Please say how {{ n }} is.\n");
    assert_eq!(shard(1).code, 0);
    let merged = project.run(&["merge", "part-1.json", "part-2.json"]);
    assert_eq!(merged.code, 2, "{merged:?}");
    assert!(merged.stderr.contains("the text of prompt `item@1`") && merged.stderr.contains("part-1.json"), "{merged:?}");
    assert!(merged.stderr.contains("part-2.json"), "{merged:?}");
    assert_eq!(shard(2).code, 0);
    assert_eq!(project.run(&["merge", "part-1.json", "part-2.json"]).code, 0);
}

#[test]
fn a_baseline_whose_own_gate_did_not_hold_is_said_to_be_one() {
    let project = project(40, &broken(20));
    assert_eq!(project.run(&["run"]).code, 0);
    second_version(&project);
    assert_eq!(project.run(&["run", "--baseline", "last"]).code, 1);
    let (ran, report) = project.report(&["--baseline", "last", "--cache", "refresh"]);
    assert!(of(&report, "items")["message"].as_str().unwrap().contains("but the gate of that run did not hold"), "{ran:?}");
}
