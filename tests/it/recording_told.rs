//! Does each message about recordings name the place, the cause and the next step?

use crate::harness::{CAPITALS_SCRIPT, Project, Ran, Server};
use crate::recording::{FILE, checked_out, recorded};

/// Without what another day or another version of the database changes.
fn steady(ran: &Ran) -> String {
    let mut words: Vec<String> = ran.transcript().split(' ').map(str::to_owned).collect();
    for place in 0..words.len() {
        let is_size = words.get(place + 1).is_some_and(|next| next.starts_with("KB"));
        let number = words[place].trim_start_matches('(');
        if is_size && !number.is_empty() && number != "0" && number.bytes().all(|byte| byte.is_ascii_digit()) {
            words[place] = words[place].replace(number, "[SIZE]");
        }
        let day = words[place].trim_end_matches(';').to_owned();
        if day.len() == 10 && day.matches('-').count() == 2 && day.starts_with("20") {
            words[place] = words[place].replace(&day, "[DAY]");
        }
    }
    words.join(" ")
}

/// In one line, as wide as it may be.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What each command says, one after the other.
fn said(project: &Project, commands: &[&[&str]]) -> String {
    commands.iter().map(|command| format!("$ promptkeel {}\n{}\n", command.join(" "), steady(&project.run(command)))).collect()
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line_and_the_way_back() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = recorded(&server);
    let whole = project.read(FILE);
    assert_eq!(project.run(&["run", "--record", "--quiet", "--cache", "refresh"]).code, 0);
    let other = project.read(FILE);
    assert_ne!(whole, other, "asked again: paid at another time");
    let (first, _) = whole.split_once('\n').unwrap();
    let mut told = String::new();
    for (what, text) in [
        ("edited", whole.replace("Tokyo", "Kyoto")),
        ("cut", whole[..whole.len() - 40].to_owned()),
        ("conflict", format!("<<<<<<< HEAD\n{whole}=======\n{other}>>>>>>> other\n")),
        ("two branches recorded other answers", format!("{whole}{other}")),
        ("something else", "not a recording\nat all\n".to_owned()),
        ("of a later version", first.replace("\"sample\"", "\"sampled\"")),
    ] {
        project.rewrite(FILE, &text);
        let ran = project.run(&["run", "--cache", "only"]);
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{what}: {ran:?}");
        told.push_str(&format!("# {what}\n{}\n", ran.stderr));
    }
    std::fs::remove_file(project.path(FILE)).unwrap();
    std::fs::create_dir(project.path(FILE)).unwrap();
    told.push_str(&format!("# a folder\n{}\n", project.run(&["run", "--cache", "only"]).stderr));
    insta::assert_snapshot!(told);
}

#[test]
fn what_a_replay_lacks_is_named_and_priced_in_every_report() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    checked_out(&mut project);
    project.edit("suites/capitals.yaml", "{country: Japan}", "{country: old Japan}");
    let (ran, report) = project.report(&["--cache", "only", "--markdown", "report.md", "--junit", "report.xml"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    insta::assert_snapshot!(ran.stderr);
    // By hand: 18 tokens of prompt by their size at $1 per million and an answer of 2 tokens, as France has one, at $5.
    assert_eq!(
        report["bill"]["unanswered"],
        serde_json::json!({"cells": 1, "requests": 1, "about_usd": "0.000028", "at_most_usd": "0.000592", "unpriced": 0})
    );
    let told = "1 cell without an answer, about $0.000";
    for text in [unwrapped(&ran.stdout), project.read("report.md")] {
        assert!(text.contains(told) && text.contains("run with a key to record them"), "{text}");
    }
    assert!(project.read("report.xml").contains("unanswered_about_usd"));
    let error = &report["cells"][1]["samples"][0]["error"];
    assert_eq!(error["kind"], "cache_miss");
    assert_eq!(error["message"], "no stored answer for capitals::japan::capital@1::claude-haiku-4-5");
    // What is recorded lacks nothing, and a run that may ask lacks nothing either.
    let (_, whole) = project.report(&["--cache", "only", "--case", "france"]);
    assert!(whole["bill"]["unanswered"].is_null(), "{}", whole["bill"]);
    assert_eq!(server.requests(), 2);
}

#[test]
fn parts_of_a_replay_add_up_to_what_the_whole_lacks() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    checked_out(&mut project);
    std::fs::remove_dir_all(project.path("recordings")).unwrap();
    let (_, whole) = project.report(&["--cache", "only"]);
    for shard in ["1/2", "2/2"] {
        project.run(&["run", "--cache", "only", "--shard", shard, "--json", &format!("shard-{}.json", &shard[..1])]);
    }
    let merged = project.run(&["merge", "shard-1.json", "shard-2.json", "--json", "merged.json"]);
    assert!(unwrapped(&merged.stdout).contains("2 cells without an answer, about $"), "{merged:?}");
    let merged: serde_json::Value = serde_json::from_str(&project.read("merged.json")).unwrap();
    assert_eq!(merged["bill"]["unanswered"], whole["bill"]["unanswered"]);
}

#[test]
fn whoever_looks_after_answers_is_told_what_was_done() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = recorded(&server);
    std::fs::rename(project.path("recordings"), project.path("elsewhere")).unwrap();
    project.rewrite("empty.jsonl", "");
    project.rewrite("wrong.jsonl", &project.read("elsewhere/capitals.jsonl").replace("Tokyo", "Kyoto"));
    let told = said(
        &project,
        &[
            &["cache", "stats"],
            &["cache", "verify"],
            &["cache", "export"],
            &["cache", "export"],
            &["cache", "stats"],
            &["cache", "import", "elsewhere/capitals.jsonl"],
            &["cache", "import", "empty.jsonl"],
            &["cache", "import", "wrong.jsonl"],
            &["cache", "import", "nowhere.jsonl"],
            &["cache", "import", "elsewhere"],
            &["cache", "prune"],
            &["cache", "prune", "--older-than", "0s", "--dry-run"],
            &["cache", "prune", "--max-size", "1 ton"],
            &["cache", "prune", "--unreferenced"],
        ],
    );
    insta::assert_snapshot!(told);
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    let told = said(&project, &[&["cache", "prune", "--older-than", "1d"], &["cache", "import", FILE], &["cache", "import", FILE]]);
    insta::assert_snapshot!("without_a_store", told);
}

#[test]
fn a_file_whose_answers_are_all_to_other_requests_is_kept_until_others_take_their_place() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    let written = project.read(FILE);
    // At another address the requests are other ones, and a suite that cannot be answered there deletes nothing.
    project.set("ANTHROPIC_BASE_URL", "http://127.0.0.1:9");
    let ran = project.run(&["cache", "export"]);
    insta::assert_snapshot!(ran.transcript());
    assert_eq!(project.read(FILE), written);
    project.ask(&server.url());
    project.edit("suites/prompts/capital/1.md", "Name the capital", "Tell the capital");
    project.run(&["cache", "export"]);
    assert_eq!(project.read(FILE), written, "nothing that could take their place is stored");
    let ran = project.run(&["run", "--record", "--quiet"]);
    assert!(ran.stderr.contains("2 new, 0 changed, 2 gone"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_exit_5_and_what_is_stored_is_recorded_afterwards() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = recorded(&server);
    let written = project.read(FILE);
    std::fs::remove_dir_all(project.path("recordings")).unwrap();
    std::os::unix::fs::symlink("nowhere/at/all", project.path("recordings")).unwrap();
    let ran = project.run(&["cache", "export"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    insta::assert_snapshot!(ran.stderr);
    let (ran, report) = project.report(&["--record"]);
    assert_eq!((ran.code, &report["exit"]), (5, &"not_written".into()), "{ran:?}");
    assert!(unwrapped(&ran.stdout).contains("not recorded: the recordings `recordings/capitals.jsonl` cannot be written"), "{ran:?}");
    std::fs::remove_file(project.path("recordings")).unwrap();
    assert_eq!(project.run(&["cache", "export"]).code, 0);
    assert_eq!(project.read(FILE), written);
}
