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

#[test]
fn a_store_of_the_first_format_is_read_and_brought_up_to_date() {
    let project = Project::passing();
    project.run(&["run"]);
    let store = project.path(".promptkeel/store.db");
    let connection = rusqlite::Connection::open(&store).unwrap();
    for column in ["judged", "fingerprint", "answers", "kept"] {
        connection.execute_batch(&format!("ALTER TABLE run_cells DROP COLUMN {column}")).unwrap();
    }
    connection.execute_batch("UPDATE runs SET head = json_remove(head, '$.earlier_rounds'); PRAGMA user_version = 1;").unwrap();
    drop(connection);
    assert_eq!(history(&project, &[]).as_array().unwrap().len(), 1);
    let (_, report) = project.report(&[]);
    assert_eq!(report["totals"]["requests_asked"], 0, "its answers are there");
    let shown: Value = serde_json::from_str(&project.run(&["show", "last", "--json"]).stdout).unwrap();
    assert_eq!(shown["cells"][0]["assertions_passed"], true);
}
