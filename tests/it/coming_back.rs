//! Is what a batch may not answer counted as what it can still cost, on the built binary?

use serde_json::Value;

use crate::batches::{project, server, spawn, until};
use crate::harness::{Project, Server};

fn plan(project: &Project, arguments: &[&str]) -> Value {
    let ran = project.run(&[&["plan", "--json"], arguments].concat());
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// A run was killed before its creation arrived: the batch stands in the store and nowhere else.
fn killed_before_its_creation(server: &Server, cells: usize) -> Project {
    let project = project(cells, server);
    let mut child = spawn(&project, &["run", "--batch"]);
    until(server, |stats| stats["batches"]["calls"]["create"] == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    project
}

#[test]
fn what_a_batch_was_to_hold_that_nobody_knows_of_is_still_to_be_asked() {
    let server = server("", "rules: [{when: {on: create, call: 1}, then: {fault: hang}}]");
    let before = plan(&project(5, &server), &[]);
    let project = killed_before_its_creation(&server, 5);
    assert_eq!(plan(&project, &[]), before, "nothing of it is known to be paid");
    let told = project.run(&["plan"]);
    assert!(told.stderr.contains("a batch of 5 requests may have been created, and nobody has answered: they count as to ask"), "{told:?}");
    let (ran, report) = project.report(&[]);
    let said = ran.stderr.lines().find(|line| line.starts_with("running ")).unwrap_or_else(|| panic!("{ran:?}"));
    insta::assert_snapshot!(said, @"running 5 cells (5 samples, 0 already answered, about $0.0013, at most $0.0026)");
    assert_eq!((ran.code, &report["totals"]["requests_asked"]), (0, &5.into()), "{ran:?}");
}

#[test]
fn a_batch_that_cannot_be_looked_for_is_given_up_by_its_mark() {
    let server =
        server("", "rules: [{when: {on: create, call: 1}, then: {fault: hang}}, {when: {on: list, call: '2..'}, then: {status: 404}}]");
    let project = killed_before_its_creation(&server, 2);
    let ran = project.run(&["run"]);
    let status: Value = serde_json::from_str(&project.run(&["batch", "status", "--json"]).stdout).unwrap();
    let forget = format!("promptkeel batch forget {}", status[0]["mark"].as_str().unwrap());
    assert!(ran.code == 3 && ran.stderr.contains(&forget), "{ran:?}");
    let told = project.run(&["batch", "status"]);
    assert!(told.stdout.contains(&forget), "{told:?}");
    assert_eq!(project.run(&forget.split(' ').skip(1).collect::<Vec<_>>()).code, 0);
    assert_eq!(project.run(&["run"]).code, 0);
}

#[test]
fn a_replay_prices_nothing_that_a_batch_holds() {
    let server = server("", "polls: 100000");
    let project = project(3, &server);
    assert_eq!(project.run(&["run", "--batch", "--case", "case-[0-1]", "--run-timeout", "2s"]).code, 3);
    let (ran, report) = project.report(&["--cache", "only"]);
    assert!(ran.stderr.contains("2 samples without an answer in batches under way, paid already"), "{ran:?}");
    let whole = plan(&project, &["--case", "case-2"]);
    let lacking = &report["bill"]["unanswered"];
    assert_eq!((&lacking["cells"], &lacking["requests"]), (&1.into(), &1.into()), "{lacking}");
    assert_eq!((&lacking["about_usd"], &lacking["at_most_usd"]), (&whole["estimate"]["usd"], &whole["upper_bound_usd"]), "{lacking}");
}

#[cfg(unix)]
#[test]
fn at_a_terminal_what_came_back_from_a_batch_is_asked_singly_after_a_yes() {
    let server = server("", "takes: 3s, expire: ['*']");
    let project = project(4, &server);
    project.edit("promptkeel.toml", "[run]\n", "[run]\nconfirm_above = \"0.0001\"\n");
    assert_eq!(project.run(&["run", "--batch", "--run-timeout", "1s"]).code, 3);
    let (code, said) = crate::pricing::at_a_terminal(&project, &["run"], b"n\n");
    assert!(
        said.contains("4 requests that no batch answered, to pay for singly: about $0.") && said.contains("nothing of them was sent"),
        "{said}"
    );
    assert_eq!((code, &server.stats()["bill"]["usd"]), (Some(3), &"0.00".into()), "{said}");
}
