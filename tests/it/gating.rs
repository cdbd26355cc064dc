//! Does a run that is compared with a baseline fail where it is worse, hold where it is not, and say so where it cannot know?

use serde_json::{Value, json};

use crate::harness::{Project, Ran, Server};

/// So many cases with three samples each; `rules` come before those that answer right.
pub(crate) fn project(cases: usize, rules: &str) -> Project {
    let listed: String = (0..cases)
        .map(|n| format!("  - id: case-{n:02}\n    vars: {{n: 'item {n:02}'}}\n    assert:\n      - equals: 'item {n:02} is fine'\n"))
        .collect();
    let suite = format!(
        "suite: items\nprompt: item\nmodels: [claude-haiku-4-5]\nsamples: 3\nrequest:\n  max_tokens: 50\nsnapshot: off\n\
         gate:\n  min_pass_rate: 0.1\nassert:\n  - refusal: never\ncases:\n{listed}"
    );
    Project::new()
        .write("suites/items.yaml", &suite)
        .write("suites/prompts/item/1.md", "How is {{ n }}?\n")
        .write("fixtures/sim/script.yaml", &script(cases, rules))
}

pub(crate) fn script(cases: usize, rules: &str) -> String {
    let mut script = format!("rules:\n{rules}");
    for n in 0..cases {
        script.push_str(&format!("  - when: {{text: 'item {n:02}'}}\n    then: {{text: 'item {n:02} is fine'}}\n"));
    }
    script
}

/// The second version is answered wrong for the first cases.
pub(crate) fn broken(cases: usize) -> String {
    (0..cases).map(|n| format!("  - when: {{text: [Please, 'item {n:02}']}}\n    then: {{text: 'item {n:02} is lost'}}\n")).collect()
}

pub(crate) fn second_version(project: &Project) {
    project.rewrite("suites/prompts/item/2.md", "Please say how {{ n }} is.\n");
}

pub(crate) fn comparison(report: &Value) -> &Value {
    &report["comparisons"][0]
}

fn gate(report: &Value) -> &Value {
    let gates = report["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["kind"] == "comparison").unwrap_or_else(|| panic!("no comparison gate: {gates:?}"))
}

pub(crate) fn flat(ran: &Ran) -> String {
    ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_run_compared_with_itself_is_unchanged_and_buys_nothing() {
    let project = project(12, "");
    assert_eq!(project.run(&["run"]).code, 0);
    let (ran, report) = project.report(&["--baseline", "last"]);
    assert_eq!((ran.code, &report["totals"]["requests_asked"]), (0, &json!(0)), "{ran:?}");
    assert_eq!((&comparison(&report)["standing"], &gate(&report)["outcome"]), (&json!("unchanged"), &json!("pass")));
    assert!(flat(&ran).contains("unchanged since last: the very same answers in 12 cases"), "{}", ran.stdout);
}

#[test]
fn a_run_that_is_worse_than_the_last_green_one_fails() {
    let project = project(40, &broken(20));
    assert_eq!(project.run(&["run"]).code, 0);
    second_version(&project);
    let (ran, report) = project.report(&["--baseline", "last-green", "--markdown", "page.md", "--junit", "junit.xml"]);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (1, &json!("regressed")), "{ran:?}");
    let told = "item@2 is worse than item@1 on 40 cases x 3 samples (difference -50.0 points, 90 % interval";
    assert!(flat(&ran).contains(told), "{}", ran.stdout);
    assert!(flat(&ran).contains("a loss of") && flat(&ran).contains("WORSE items::case-00 3 of 3 -> 0 of 3"), "{}", ran.stdout);
    assert!(gate(&report)["message"].as_str().unwrap().starts_with(told), "{report}");
    let (page, junit) = (project.read("page.md"), project.read("junit.xml"));
    assert!(page.contains("❌ `items`: `item@2` is worse than `item@1` on 40 cases x 3 samples"), "{page}");
    assert!(page.contains("### `items` compared with `last-green`") && page.contains("| `item@1` | 100.0 % (120 of 120) |"), "{page}");
    for told in [r#"name="comparison" value="worse""#, r#"name="difference_points" value="-50.0""#, r#"name="margin_points" value="5.0""#] {
        assert!(junit.contains(told), "{told}: {junit}");
    }
    // A run that failed is no green one, and the same report says the same when it is read again.
    let (again, _) = project.report(&["--baseline", "last-green"]);
    assert_eq!(again.code, 1, "{again:?}");
    let shown = project.run(&["report", "report.json"]);
    assert!(shown.code == 1 && flat(&shown).contains("item@2 is worse than item@1"), "{shown:?}");
}

#[test]
fn a_run_that_is_not_worse_holds_and_its_reports_say_the_sentence() {
    let project = project(60, "");
    project.run(&["run", "--json", "main.json"]);
    second_version(&project);
    let (ran, report) = project.report(&["--baseline", "main.json", "--margin", "0.1", "--markdown", "page.md", "--junit", "junit.xml"]);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (0, &json!("not_worse")), "{ran:?}");
    let told = "item@2 is not worse than item@1 on 60 cases x 3 samples (difference 0.0 points, 90 % interval";
    assert!(flat(&ran).contains(told), "{}", ran.stdout);
    assert!(project.read("page.md").contains("✅ `items`: `item@2` is not worse than `item@1` on 60 cases x 3 samples"));
    let junit = project.read("junit.xml");
    assert!(junit.contains(&format!("<system-out>{told}")) && junit.contains(r#"name="difference_interval" value="-"#), "{junit}");
    assert_eq!(report["policies"][0]["comparison"], json!({"baseline": "main.json", "margin": 0.1, "alpha": 0.05}));
}

#[test]
fn what_the_samples_cannot_say_is_undecided_and_ends_with_7() {
    let project = project(40, &broken(1));
    project.run(&["run"]);
    second_version(&project);
    let (ran, report) = project.report(&["--baseline", "last"]);
    assert_eq!((ran.code, &gate(&report)["outcome"]), (7, &json!("undecided")), "{ran:?}");
    let told = flat(&ran);
    assert!(told.contains("undecided whether item@2 is worse than item@1"), "{told}");
    assert!(told.contains("wants 10 fresh samples in each arm: items::case-00"), "{told}");
    assert!(told.contains("that is 20 more samples of 1 case, about $0.0"), "{told}");
    assert_eq!(told.matches("90 % interval -").count(), 1, "the numbers are said once: {told}");
    assert!(told.contains("hint: `--decide` asks what an undecided comparison wants"), "{told}");
}

#[test]
fn what_is_not_the_same_in_both_is_named_and_not_compared() {
    let project = project(20, "");
    project.run(&["run", "--json", "main.json"]);
    second_version(&project);
    project.edit("suites/items.yaml", "equals: 'item 03 is fine'", "contains: 'item 03'");
    project.edit("suites/items.yaml", "id: case-04", "id: case-fresh");
    let (_, report) = project.report(&["--baseline", "main.json"]);
    let found = &comparison(&report)["compared"]["validity"];
    assert_eq!(found[0]["kind"], "assertions", "{found}");
    assert_eq!(found[0]["cases"], json!(["items::case-03"]));
    assert_eq!((&found[1]["kind"], &found[1]["cases"]), (&json!("only_baseline"), &json!(["items::case-04"])));
    assert_eq!((&found[2]["kind"], &found[2]["cases"]), (&json!("only_candidate"), &json!(["items::case-fresh"])));
    assert_eq!(comparison(&report)["compared"]["comparison"]["cases"], 18);
    assert!(gate(&report)["message"].as_str().unwrap().contains("1 case not compared: other assertions"), "{report}");
    // A part of the suite does not complain of the rest.
    let (_, part) = project.report(&["--baseline", "main.json", "--case", "case-1*"]);
    assert_eq!(comparison(&part)["compared"]["validity"], json!([]));
}

#[test]
fn a_suite_names_its_baseline_and_a_flag_takes_it_away() {
    let project = project(20, "");
    project.edit("suites/items.yaml", "  min_pass_rate: 0.1", "  min_pass_rate: 0.1\n  baseline: last-green\n  margin: 0.2\n  alpha: 0.1");
    let first = project.run(&["run"]);
    assert!(first.code == 2 && first.stderr.contains("baseline `last-green`") && first.stderr.contains("--baseline none"), "{first:?}");
    assert_eq!(project.run(&["run", "--baseline", "none"]).code, 0);
    second_version(&project);
    let (ran, report) = project.report(&[]);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (0, &json!("not_worse")), "{ran:?}");
    let policy = &comparison(&report)["compared"]["comparison"]["policy"];
    assert_eq!((&policy["margin"], &policy["alpha"]), (&json!(0.2), &json!(0.1)));
}

#[test]
fn a_baseline_that_is_not_there_is_said_before_anything_is_sent() {
    let project = project(3, "");
    for (reference, told) in [
        ("last", "no run of these suites is remembered"),
        ("20260101-000000-abcd", "no run `20260101-000000-abcd` is remembered"),
        ("main.json", "baseline `main.json`: cannot open the run report"),
    ] {
        let ran = project.run(&["run", "--baseline", reference]);
        assert!(ran.code == 2 && ran.stderr.contains(told) && ran.stderr.contains("hint:"), "{reference}: {ran:?}");
    }
    project.run(&["run", "--json", "main.json"]);
    project.edit("suites/items.yaml", "suite: items", "suite: other");
    let ran = project.run(&["run", "--baseline", "main.json"]);
    assert!(ran.code == 2 && ran.stderr.contains("has no case in common with what is run"), "{ran:?}");
    for (flag, value) in [("--margin", "2"), ("--alpha", "0.5"), ("--alpha", "x")] {
        assert_eq!(project.run(&["run", "--baseline", "main.json", flag, value]).code, 2);
    }
}

#[test]
fn shards_leave_the_comparison_to_the_merge() {
    let project = project(40, &broken(20));
    project.run(&["run", "--json", "main.json"]);
    second_version(&project);
    for shard in ["1/2", "2/2"] {
        let file = format!("shard-{}.json", &shard[..1]);
        let ran = project.run(&["run", "--baseline", "main.json", "--shard", shard, "--json", &file]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.stdout.contains("is worse than"), "{}", ran.stdout);
    }
    let merged = project.run(&["merge", "shard-1.json", "shard-2.json", "--json", "merged.json"]);
    assert!(merged.code == 1 && flat(&merged).contains("item@2 is worse than item@1 on 40 cases x 3 samples"), "{merged:?}");
}

#[test]
fn the_previous_version_is_asked_in_the_same_run_and_only_informs() {
    let project = project(40, &broken(20));
    let alone = project.run(&["run", "--baseline", "previous-version"]);
    assert!(alone.code == 2 && alone.stderr.contains("no prompt of these suites has an earlier version"), "{alone:?}");
    project.edit("suites/items.yaml", "  min_pass_rate: 0.1", "  min_pass_rate: 0.1\n  baseline: previous-version");
    let (alone, report) = project.report(&[]);
    assert_eq!((alone.code, &comparison(&report)["standing"]), (0, &json!("new")), "{alone:?}");
    assert!(flat(&alone).contains("its prompts have no earlier version: nothing is compared"), "{}", alone.stdout);
    second_version(&project);
    let (ran, report) = project.report(&["--baseline", "previous-version"]);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (1, &json!("regressed")), "{ran:?}");
    assert!(flat(&ran).contains("item@2 is worse than item@1 on 40 cases x 3 samples"), "{}", ran.stdout);
    assert_eq!((&report["totals"]["planned"], &report["totals"]["passed"]), (&json!(40), &json!(20)), "the baseline is in no total");
    assert_eq!(report["baselines"][0]["cells"].as_array().unwrap().len(), 40);
    // Made right again by a third version: the second one is what it is compared with.
    project.rewrite("suites/prompts/item/3.md", "I ask: how is {{ n }}?\n");
    let (ran, report) = project.report(&["--baseline", "previous-version"]);
    assert_eq!((ran.code, &comparison(&report)["compared"]["baseline"]["name"]), (0, &json!("item@2")), "{ran:?}");
}

#[test]
fn a_revision_is_read_from_git_asked_in_the_same_run_and_billed() {
    let server = Server::start(&script(40, &broken(20)));
    let mut project = project(40, "");
    project.ask(&server.url());
    for arguments in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "first"]] {
        project.git(arguments);
    }
    let base = ["--endpoint", "anthropic", "--baseline", "git:main"];
    let (ran, report) = project.report(&base);
    assert_eq!((ran.code, &comparison(&report)["standing"], server.requests()), (0, &json!("unchanged"), 120), "{ran:?}");
    // The prompt is changed in its place, one case is new, one is gone.
    project.rewrite("suites/prompts/item/1.md", "Please say how {{ n }} is.\n");
    project.edit("suites/items.yaml", "id: case-39", "id: case-fresh");
    let before = server.requests();
    let (ran, report) = project.report(&base);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (1, &json!("regressed")), "{ran:?}");
    assert!(flat(&ran).contains("this run is worse than git:main on 39 cases x 3 samples"), "{}", ran.stdout);
    assert_eq!(server.requests() - before, 120, "what main would answer is known already");
    let found = comparison(&report)["compared"]["validity"].as_array().unwrap();
    let of = |kind: &str| found.iter().find(|finding| finding["kind"] == kind).map(|finding| finding["cases"].clone());
    assert_eq!((of("only_candidate"), of("only_baseline")), (Some(json!(["items::case-fresh"])), Some(json!(["items::case-39"]))));
    let revision = project.git(&["rev-parse", "main"]);
    assert_eq!(report["baselines"][0]["revision"], json!(revision));
    // Without the answers of main they are asked, and paid.
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    let before = server.requests();
    let (_, report) = project.report(&base);
    assert_eq!(server.requests() - before, 120 + 117);
    let money = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let bill = &report["bill"];
    assert!(money(&bill["simulated_usd"]) > 0.0, "{bill}");
    let unknown = project.run(&["run", "--baseline", "git:nowhere"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("`nowhere` names no commit"), "{unknown:?}");
}

#[test]
fn what_is_worse_than_old_answers_may_be_the_model() {
    let project = project(40, &broken(20));
    project.run(&["run", "--json", "main.json"]);
    let today = project.read("main.json");
    let at = today.split("\"answered_at\":").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap().to_owned();
    project.rewrite("old.json", &today.replace(&at[..10], "2026-01-05"));
    second_version(&project);
    let (ran, report) = project.report(&["--baseline", "old.json", "--markdown", "page.md"]);
    assert_eq!((ran.code, &comparison(&report)["standing"]), (1, &json!("regressed")), "{ran:?}");
    let told = flat(&ran);
    assert!(told.contains("; answered 2026-01-05, ") && told.contains(" days before the candidate"), "{told}");
    assert!(
        told.contains("days older, and the model may have changed since: `--baseline git:REVISION --cache refresh` asks both anew"),
        "{told}"
    );
    assert!(project.read("page.md").contains("; answered 2026-01-05, "), "{}", project.read("page.md"));
    assert_eq!(
        comparison(&report)["compared"]["baseline"]["answered"]["last"].as_str().map(|at| at[..10].to_owned()).as_deref(),
        Some("2026-01-05")
    );
    let (fresh, _) = project.report(&["--baseline", "main.json"]);
    assert!(fresh.code == 1 && !flat(&fresh).contains("days older") && flat(&fresh).contains("; answered 20"), "{fresh:?}");
}
