//! Does `-v` tell what happens to each request, and nobody who did not ask?

use std::process::Stdio;

use crate::harness::{CAPITALS_SCRIPT, Project, Server};

fn words(stderr: &str) -> Vec<&str> {
    let told = stderr.lines().filter(|line| line.contains(" s  "));
    told.filter_map(|line| line.split(" s  ").nth(1)?.split("  ").next().map(str::trim)).filter(|word| !word.is_empty()).collect()
}

#[test]
fn each_request_is_told_from_being_sent_to_being_stored_and_later_that_it_was() {
    let failing = "  - when: {text: Japan, call: 1}\n    then: {status: 529}\n";
    let server = Server::start(&CAPITALS_SCRIPT.replace("rules:\n", &format!("rules:\n{failing}")));
    let mut project = Project::passing();
    project.ask(&server.url());
    let quiet = project.run(&["plan", "--endpoint", "anthropic"]);
    assert_eq!(quiet.stderr, "", "nobody asked");
    let ran = project.run(&["run", "--endpoint", "anthropic", "-q", "-v"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = words(&ran.stderr);
    let count = |word: &str| told.iter().filter(|told| **told == word).count();
    assert_eq!((count("sent"), count("first byte"), count("retry"), count("answered"), count("wire")), (3, 3, 1, 2, 0), "{}", ran.stderr);
    assert!(ran.stderr.contains("529") && ran.stderr.contains("2 attempts"), "{}", ran.stderr);
    assert!(ran.stderr.contains("ANTHROPIC_API_KEY is set"), "{}", ran.stderr);
    let again = project.run(&["run", "--endpoint", "anthropic", "-vv"]);
    assert_eq!(words(&again.stderr), ["stored", "stored"], "{}", again.stderr);
}

#[test]
fn the_wire_is_told_to_those_who_ask_twice_and_the_events_say_the_same() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    let ran = project.run(&["run", "--endpoint", "anthropic", "-vv", "--events", "events.jsonl"]);
    assert_eq!(words(&ran.stderr).iter().filter(|word| **word == "wire").count(), 2, "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("POST {}/v1/messages: 200", server.url())) && ran.stderr.contains("request-id: "),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.to_lowercase().contains("x-api-key"), "{}", ran.stderr);
    let events = project.read("events.jsonl");
    assert_eq!(events.lines().filter(|line| line.starts_with("{\"event\":\"exchange\"")).count(), 2, "{events}");
}

#[cfg(unix)]
#[test]
fn what_only_prints_ends_quietly_where_nobody_reads_on_and_a_verdict_does_not() {
    let project = Project::passing();
    assert_eq!(project.run(&["run"]).code, 0);
    let unread = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = project.command(arguments).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [
        &["pending"][..],
        &["list"],
        &["plan"],
        &["history"],
        &["show", "last"],
        &["schema", "suite"],
        &["settings"],
        &["cache", "stats"],
        &["completions", "zsh"],
    ] {
        assert_eq!(unread(arguments), (Some(0), String::new()), "{arguments:?}");
    }
    // What has a verdict has it by its exit code.
    assert_eq!(project.run(&["run", "--json", "report.json"]).code, 0);
    for arguments in [
        &["check"][..],
        &["check", "--json"],
        &["run"],
        &["report", "report.json"],
        &["compare", "report.json", "report.json"],
        &["merge", "report.json"],
    ] {
        let (code, told) = unread(arguments);
        assert!(code == Some(project.run(arguments).code) && !told.contains("standard output"), "{arguments:?}: {code:?} {told}");
    }
    for flag in ["--json", "--csv"] {
        // The report of a run that goes there is lost,
        let (code, told) = unread(&["run", flag, "-"]);
        assert!(code == Some(5) && told.contains("could not be written"), "{flag}: {code:?} {told}");
        // and that of a report is had again.
        assert_eq!(unread(&["report", "report.json", flag, "-"]).0, Some(0), "{flag}");
    }
}
