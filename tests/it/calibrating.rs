//! Does `promptkeel calibrate` find the noise that is there, pay only for what is new, and keep to what may be spent?

use serde_json::Value;

use crate::harness::{Project, Ran, Server};

/// Twelve cases; of `item 00` every third answer is wrong, of `item 01` every one.
fn project() -> Project {
    let cases: String = (0..12)
        .map(|n| format!("  - id: case-{n:02}\n    vars: {{n: 'item {n:02}'}}\n    assert:\n      - equals: 'item {n:02} is fine'\n"))
        .collect();
    let suite = format!(
        "suite: items\nprompt: [item@1, item@2]\nmodels: [claude-haiku-4-5]\nsamples: 2\nrequest:\n  max_tokens: 50\ncases:\n{cases}"
    );
    Project::new()
        .write("suites/items.yaml", &suite)
        .write("suites/prompts/item/1.md", "How is {{ n }}?\n")
        .write("suites/prompts/item/2.md", "Please say how {{ n }} is.\n")
        .write("fixtures/sim/script.yaml", &script())
}

fn script() -> String {
    let mut script = "rules:\n  - when: {text: 'item 00', call: 'every 3'}\n    then: {text: lost}\n  - when: {text: 'item 01'}\n    then: {text: lost}\n"
        .to_owned();
    for n in 0..12 {
        script.push_str(&format!("  - when: {{text: 'item {n:02}'}}\n    then: {{text: 'item {n:02} is fine'}}\n"));
    }
    script
}

fn calibrated(project: &Project, arguments: &[&str]) -> (Ran, Value) {
    let mut all = vec!["calibrate", "--json", "calibration.json", "--draws", "200"];
    all.extend(arguments);
    let ran = project.run(&all);
    let written = std::fs::read(project.path("calibration.json")).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran, serde_json::from_slice(&written).unwrap())
}

#[test]
fn noise_is_found_and_named_and_nothing_of_the_project_changes() {
    let project = project();
    let (ran, told) = calibrated(&project, &["--runs", "6", "--markdown", "page.md"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(told["schema"], "promptkeel.calibration/1");
    // The newest version alone: 12 cases, 6 runs of 2 samples.
    assert_eq!((&told["collected"]["samples"], &told["comparison"]["cases"]), (&144.into(), &12.into()));
    let first = &told["cases"][0];
    assert_eq!((&first["case"], &first["flaky"], &first["counts"]["passes"]), (&"items::case-00".into(), &true.into(), &8.into()));
    assert_eq!(told["cases"].as_array().unwrap().iter().filter(|case| case["flaky"] == true).count(), 1);
    assert_eq!(
        (&told["pass_rates"][0]["blocked"]["count"], &told["pass_rates"][0]["cells"]),
        (&200.into(), &12.into()),
        "case-01 fails always"
    );
    let text = ran.stdout.replace('\n', " ");
    for told in [
        "SIMULATED",
        "6 runs of 12 cases x 2 samples",
        "items::case-00",
        "8 of 12",
        "1 case never did: items::case-01",
        "of runs in which nothing changed",
    ] {
        assert!(text.contains(told), "{told:?} is missing: {}", ran.stdout);
    }
    assert!(ran.stderr.contains("running 12 cells (144 samples, 0 already answered, about $"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("FAIL"), "a failure is no news here: {}", ran.stderr);
    assert!(project.read("page.md").contains("| `items::case-00` | 8 of 12 |"), "{}", project.read("page.md"));
    assert!(!project.exists("snapshots"), "nothing is decided about snapshots");
    let history = project.run(&["history", "--json"]);
    assert_eq!(history.stdout.trim(), "[]", "a calibration is no run");
}

#[test]
fn more_runs_pay_for_what_is_new_and_runs_before_serve() {
    let server = Server::start(&script());
    let mut project = project();
    project.ask(&server.url());
    project.run(&["run", "--endpoint", "anthropic", "--prompt", "item@2"]);
    assert_eq!(server.requests(), 24);
    let (_, told) = calibrated(&project, &["--endpoint", "anthropic", "--runs", "2"]);
    assert_eq!((server.requests(), &told["asked"]), (48, &24.into()), "the first run is that of `run`");
    let (_, grown) = calibrated(&project, &["--endpoint", "anthropic", "--runs", "3"]);
    assert_eq!((server.requests(), &grown["asked"]), (72, &24.into()));
    let (ran, again) = calibrated(&project, &["--endpoint", "anthropic", "--runs", "3", "--cache", "only"]);
    assert_eq!((ran.code, server.requests(), &again["asked"]), (0, 72, &0.into()));
    assert!(ran.stdout.contains("nothing was asked"), "{}", ran.stdout);
    assert_eq!(again["comparison"], grown["comparison"], "the same samples, the same numbers");
}

#[test]
fn what_may_be_spent_holds_and_what_was_left_out_is_told() {
    let server = Server::start(&script());
    let mut project = project();
    project.ask(&server.url());
    let plan: Value =
        serde_json::from_str(&project.run(&["plan", "--json", "--endpoint", "anthropic", "--prompt", "item@2", "--samples", "1"]).stdout)
            .unwrap();
    let bound: f64 = plan["upper_bound_usd"].as_str().unwrap().parse().unwrap();
    // A fraction of what five runs of twelve cases of two samples cost.
    let most = format!("{:.6}", bound * 0.5);
    let arguments = ["--endpoint", "anthropic", "--max-cost", &most, "--max-concurrency", "1"];
    let (ran, told) = calibrated(&project, &arguments);
    assert_eq!(ran.code, 6, "{ran:?}");
    let (asked, missing) = (told["asked"].as_u64().unwrap(), told["missing_samples"].as_u64().unwrap());
    assert!(ran.stderr.contains("the budget left out") && missing > 0, "{ran:?}");
    assert_eq!((asked + missing, server.requests()), (120, asked));
    // Whatever of this case was asked before the budget ended.
    let none = project.run(&["calibrate", "--endpoint", "anthropic", "--case", "case-11", "--max-cost", "0", "--cache", "refresh"]);
    assert_eq!(none.code, 6, "{none:?}");
    assert!(none.stderr.contains("no case has two samples with a verdict"), "{}", none.stderr);
}

#[test]
fn what_cannot_be_calibrated_is_refused_before_anything_is_sent() {
    let project = project();
    for (arguments, code, told) in [
        (&["calibrate", "--runs", "1"][..], 2, "--runs"),
        (&["calibrate", "--drop", "5"], 2, "0.05 is five points"),
        (&["calibrate", "--runs", "1000", "--samples", "11"], 2, "11000"),
        (&["calibrate", "--case", "no-such-case"], 4, "no-such-case"),
        (&["calibrate", "--json", "suites/items.yaml"], 2, "would write over"),
    ] {
        let ran = project.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(told == "11000" && ran.stderr.contains("1000 runs of 11 samples") || ran.stderr.contains(told), "{ran:?}");
    }
    project.edit("suites/items.yaml", "models: [claude-haiku-4-5]", "models: [{id: claude-haiku-4-5, gate: false}]");
    let none = project.run(&["calibrate"]);
    assert_eq!(none.code, 4, "{none:?}");
    assert!(none.stderr.contains("no selected cell counts for the gate"), "{}", none.stderr);
}

#[test]
fn suites_with_gates_of_their_own_are_calibrated_each_by_its_own() {
    let project = project();
    let other = project.read("suites/items.yaml").replace("suite: items\n", "suite: others\ngate: {margin: 0.4, alpha: 0.1}\n");
    project.rewrite("suites/others.yaml", &other);
    let (both, told) = calibrated(&project, &["--average-only"]);
    assert_eq!(both.code, 0, "{both:?}");
    let suites = told["comparison"]["suites"].as_array().unwrap();
    let set: Vec<(&str, f64, f64)> = suites
        .iter()
        .map(|of| (of["suite"].as_str().unwrap(), of["policy"]["margin"].as_f64().unwrap(), of["policy"]["alpha"].as_f64().unwrap()))
        .collect();
    assert_eq!(set, [("items", 0.05, 0.05), ("others", 0.4, 0.1)]);
    assert_eq!(suites[1]["not_worse"]["count"], 200, "eleven cases that never change are within forty points: {told}");
    assert_eq!(suites[0]["not_worse"]["count"], 0, "and not within five: {told}");
    let alpha = told["policy"]["alpha"].as_f64().unwrap();
    assert!((alpha - 0.075).abs() < 1e-12 && both.stdout.contains("at most 7.5 % may be"), "{both:?}");
    assert_eq!(told["detection"]["drop"], 0.05, "the smallest margin");
    assert!(both.stdout.contains("(alpha 10.0 %, margin 40 points)"), "{}", both.stdout);
    let (one, told) = calibrated(&project, &["suites/others.yaml", "--average-only"]);
    assert_eq!(
        (one.code, &told["policy"]["margin"], &told["policy"]["alpha"]),
        (0, &0.4.into(), &0.1.into()),
        "as the suite's gate is set"
    );
    assert_eq!(told["detection"]["drop"], 0.4, "the loss to be found is the margin");
    let (flags, told) = calibrated(&project, &["--average-only", "--margin", "0.2", "--alpha", "0.02"]);
    assert_eq!((flags.code, &told["policy"]["margin"], &told["policy"]["alpha"]), (0, &0.2.into(), &0.02.into()), "flags go before");
}

#[test]
fn a_model_whose_truth_is_known_is_found_out_and_further_runs_are_new_evidence() {
    let script = "rules:\n  - when: {text: item, chance: 0.8}\n    then: {text: 'all is fine'}\notherwise: {text: lost}\n";
    let project = project();
    let suite = project.read("suites/items.yaml");
    let any: String = suite
        .lines()
        .map(|line| if line.contains("- equals") { "      - contains: fine\n".to_owned() } else { format!("{line}\n") })
        .collect();
    project.rewrite("suites/items.yaml", &any);
    project.rewrite("fixtures/sim/script.yaml", script);
    let passes = |runs: &str| {
        let told = calibrated(&project, &["--runs", runs, "--average-only"]).1;
        let counts = |case: &Value| case["counts"]["passes"].as_u64().unwrap();
        let mut cases: Vec<(String, u64)> =
            told["cases"].as_array().unwrap().iter().map(|case| (case["case"].to_string(), counts(case))).collect();
        cases.sort();
        (told["collected"]["passes"].as_u64().unwrap(), cases)
    };
    let (first, of_first) = passes("10");
    let (all, of_all) = passes("20");
    // 480 samples at 0.8: 384, give or take three and a half times 8.8.
    assert!((353..=415).contains(&all), "{all}");
    let second: Vec<u64> = of_all.iter().zip(&of_first).map(|(all, first)| all.1 - first.1).collect();
    assert_ne!(second, of_first.iter().map(|case| case.1).collect::<Vec<_>>(), "ten runs more are not the first ten again");
    assert!(all > first);
}
