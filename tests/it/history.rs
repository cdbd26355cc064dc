//! Is every run remembered, told, and forgotten when somebody asks for it?

use serde_json::Value;

use crate::harness::{Project, Server};

fn history(project: &Project, arguments: &[&str]) -> Value {
    let ran = project.run(&[&["history", "--json"], arguments].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn runs_are_listed_and_shown_as_they_were() {
    let project = Project::passing();
    let none = project.run(&["history"]);
    assert!(none.code == 0 && none.stderr.contains("no run is remembered") && !project.exists(".promptkeel"), "{none:?}");
    assert_eq!(project.run(&["show", "last"]).code, 4);
    project.run(&["run"]);
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    project.run(&["run", "--case", "france"]);
    let runs = history(&project, &[]);
    let exits: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["exit_code"].as_u64().unwrap()).collect();
    assert_eq!(exits, [1, 0], "the newest first: {runs}");
    assert_eq!((&runs[0]["filtered"], &runs[0]["suites"][0]["failed"]), (&Value::from(true), &Value::from(1)));
    let listed = project.run(&["history"]);
    for told in ["run ", "simulated", "capitals (filtered)"] {
        assert!(listed.stdout.contains(told), "{told}: {}", listed.stdout);
    }
    assert_eq!(history(&project, &["--suite", "nothing"]).as_array().unwrap().len(), 0);
    let limited = project.run(&["history", "--limit", "1"]);
    assert!(limited.stdout.lines().count() == 2 && limited.stderr.contains("1 of 2 runs shown"), "{limited:?}");
    let last = project.run(&["show", "last"]);
    assert!(last.stdout.contains("fail   capitals::france::capital@1::claude-haiku-4-5"), "{}", last.stdout);
    let green = project.run(&["show", "last-green", "japan"]);
    assert!(green.stdout.contains("pass   capitals::japan") && !green.stdout.contains("france"), "{}", green.stdout);
    let id = runs[1]["id"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&project.run(&["show", id, "--json"]).stdout).unwrap();
    assert_eq!((&shown["id"], shown["cells"].as_array().unwrap().len()), (&runs[1]["id"], 2));
    assert_eq!(project.run(&["show", "20200101-000000-0000"]).code, 4);
}

#[test]
fn a_cell_is_flaky_if_other_answers_made_it_fail_and_nothing_of_it_changed() {
    let script = "rules:\n  - when: {text: France, call: 2}\n    then: {text: Lyon}\n  - when: {text: France}\n    then: {text: Paris}\n  \
                  - when: {text: Japan}\n    then: {text: Tokyo}\n";
    let server = Server::start(script);
    let mut project = Project::passing();
    project.ask(&server.url());
    let run = |arguments: &[&str]| project.run(&[&["run", "--endpoint", "anthropic"], arguments].concat()).code;
    let codes = [run(&[]), run(&["--cache", "refresh"]), run(&["--cache", "refresh"]), run(&[]), run(&[])];
    assert_eq!(codes, [0, 1, 0, 0, 0], "the second answer is wrong; two replays");
    let flaky = history(&project, &["--flaky"]);
    let found: Vec<_> = flaky.as_array().unwrap().iter().map(|cell| cell["address"]["case"].as_str().unwrap()).collect();
    assert_eq!(found, ["france"], "{flaky}");
    assert_eq!((&flaky[0]["passed"], &flaky[0]["failed"]), (&Value::from(2), &Value::from(1)), "replays are no evidence: {flaky}");
    assert!(project.run(&["history", "--flaky"]).stdout.contains("passed 2, failed 1 of 3 different answers"));
    project.edit("suites/capitals.yaml", "equals: Paris", "contains: Paris");
    run(&[]);
    assert_eq!(history(&project, &["--flaky"]), Value::Array(Vec::new()), "what was changed has no past");
}

#[test]
fn runs_are_forgotten_and_their_answers_stay() {
    let project = Project::passing();
    for _ in 0..3 {
        project.run(&["run"]);
    }
    assert_eq!(project.run(&["history", "prune"]).code, 2, "how many must be said");
    let pruned = project.run(&["history", "prune", "--keep", "1"]);
    assert!(pruned.code == 0 && pruned.stdout.contains("2 runs with 4 cells forgotten, 1 left"), "{pruned:?}");
    assert_eq!(history(&project, &[]).as_array().unwrap().len(), 1);
    let (_, report) = project.report(&[]);
    assert_eq!(report["totals"]["requests_asked"], 0);
    let old = project.run(&["history", "prune", "--older-than", "30d"]);
    assert!(old.stdout.contains("0 runs with 0 cells forgotten, 2 left"), "{old:?}");
}

/// A project whose one run was stored as the first version stored it.
fn of_the_first_format() -> Project {
    let project = Project::passing();
    project.run(&["run"]);
    let store = project.path(".promptkeel/store.db");
    let connection = rusqlite::Connection::open(&store).unwrap();
    for column in ["judged", "fingerprint", "answers", "kept"] {
        connection.execute_batch(&format!("ALTER TABLE run_cells DROP COLUMN {column}")).unwrap();
    }
    connection.execute_batch("DROP TABLE batches; DROP TABLE batch_items;").unwrap();
    let older = "UPDATE runs SET head = json_remove(head, '$.earlier_rounds', '$.models'); PRAGMA user_version = 1;";
    connection.execute_batch(older).unwrap();
    drop(connection);
    project
}

#[test]
fn a_store_of_the_first_format_is_read_and_brought_up_to_date() {
    let project = of_the_first_format();
    assert_eq!(history(&project, &[]).as_array().unwrap().len(), 1);
    let (_, report) = project.report(&[]);
    assert_eq!(report["totals"]["requests_asked"], 0, "its answers are there");
    let shown: Value = serde_json::from_str(&project.run(&["show", "last", "--json"]).stdout).unwrap();
    assert_eq!(shown["cells"][0]["assertions_passed"], true);
}

#[cfg(unix)]
#[test]
fn a_store_of_the_first_format_that_nobody_may_write_is_read_as_it_is() {
    let project = of_the_first_format();
    let bytes = std::fs::read(project.path(".promptkeel/store.db")).unwrap();
    let listed = crate::disks::read_only(&project, &["history", "--json"]);
    let runs: Value = serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {listed:?}"));
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["suites"][0]["passed"]), (1, &Value::from(2)), "{runs}");
    let flaky = crate::disks::read_only(&project, &["history", "--flaky", "--json"]);
    assert_eq!((flaky.code, flaky.stdout.trim()), (0, "[]"), "{flaky:?}");
    let shown = crate::disks::read_only(&project, &["show", "last"]);
    assert!(shown.code == 0 && shown.stdout.contains("pass   capitals::france"), "{shown:?}");
    assert_eq!(std::fs::read(project.path(".promptkeel/store.db")).unwrap(), bytes, "nothing of it changed");
}

/// Ids and times are those of another day.
fn dated(text: &str) -> String {
    let patterns = [
        (r"\d{8}-\d{6}-[0-9a-f]{4}", "20261122-143120-9f3a"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d UTC)?", "2026-11-22 14:31$1"),
        (r":\d\d UTC", ":20 UTC"),
        (r", \d+ ms", ", 12 ms"),
    ];
    patterns
        .iter()
        .fold(text.to_owned(), |text, (pattern, plain)| regex::Regex::new(pattern).unwrap().replace_all(&text, *plain).into_owned())
}

#[test]
fn what_is_listed_and_shown_reads_as_it_should() {
    let script = "rules:\n  - when: {text: France, call: 2}\n    then: {text: Lyon}\n  - when: {text: France}\n    then: {text: Paris}\n  \
                  - when: {text: Japan}\n    then: {text: Tokyo}\n";
    let server = Server::start(script);
    let mut project = Project::passing();
    project.ask(&server.url());
    project.run(&["run", "--endpoint", "anthropic"]);
    project.run(&["run", "--endpoint", "anthropic", "--cache", "refresh"]);
    project.run(&["run", "--endpoint", "anthropic", "--case", "japan"]);
    let told = |arguments: &[&str]| dated(&project.run(arguments).transcript());
    insta::assert_snapshot!("history", told(&["history"]));
    insta::assert_snapshot!("history_flaky", told(&["history", "--flaky"]));
    insta::assert_snapshot!("show_last", told(&["show", "last"]));
}

#[test]
fn what_the_history_knows_stands_in_every_report() {
    let script = "rules:\n  - when: {text: France, call: '3..'}\n    then: {text: Lyon}\n  - when: {text: France}\n    then: {text: Paris}\n  \
                  - when: {text: Japan}\n    then: {text: Tokyo}\n";
    let server = Server::start(script);
    let mut project = Project::passing();
    project.ask(&server.url());
    let run = |more: &[&str]| {
        project.report(&[&["--endpoint", "anthropic", "--cache", "refresh", "--markdown", "page.md", "--html", "page.html"], more].concat())
    };
    let (_, first) = run(&[]);
    assert_eq!(first["remembered"], Value::Null, "one run is no trend");
    run(&[]);
    // A part of the suite is no point of a trend.
    let (_, part) = run(&["--case", "japan"]);
    assert_eq!(part["remembered"], Value::Null);
    let (ran, report) = run(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let trend = &report["remembered"]["trends"][0];
    assert_eq!((&trend["suite"], &trend["model"]), (&"capitals".into(), &"claude-haiku-4-5".into()));
    let points = trend["points"].as_array().unwrap();
    let passed: Vec<u64> = points.iter().map(|point| point["passed"].as_u64().unwrap()).collect();
    assert_eq!(passed, [2, 2, 1], "{trend}");
    assert_eq!(points[2]["run"], report["run"]["id"], "this run is the last");
    assert!(points.iter().all(|point| point["cost_usd"].is_string() && point["latency_p50_ms"].is_u64()), "{trend}");
    let flaky = &report["remembered"]["flaky"];
    assert_eq!(
        (flaky.as_array().unwrap().len(), &flaky[0]["case"], &flaky[0]["passed"], &flaky[0]["failed"]),
        (1, &"france".into(), &2.into(), &1.into())
    );
    let line = "flaky: passed 2 and failed 1 of 3 different answers, unchanged";
    for (name, text) in [("terminal", &ran.stdout), ("Markdown", &project.read("page.md"))] {
        assert!(text.contains(line), "{name}: {text}");
    }
    assert!(project.read("page.html").contains(r#""remembered""#));
    // Another endpoint is another kind of run.
    let (_, simulated) = project.report(&[]);
    assert_eq!(simulated["remembered"]["trends"], Value::Null, "{}", simulated["remembered"]);
    let again = project.run(&["report", "report.json", "--json", "again.json"]);
    assert!(again.code <= 1, "{again:?}");
}
