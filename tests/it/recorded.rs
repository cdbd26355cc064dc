//! Do recordings stand with everything else: outputs accepted from elsewhere, baselines, shards, samples, batches, a watch?

use serde_json::Value;

use crate::harness::{CAPITALS_SCRIPT, Project, Ran, Server};
use crate::recording::{FILE, checked_out, recorded, served};

/// The author's project, committed, with an older state of it one commit before: another prompt, and what it was answered.
fn with_history(server: &Server) -> Project {
    let project = recorded(server);
    project.rewrite(".gitignore", ".promptkeel\nreport.json\n");
    project.git(&["init", "-q"]);
    project.git(&["add", "-A"]);
    project.git(&["commit", "-qm", "first"]);
    project.edit("suites/prompts/capital/1.md", "Name the capital", "Tell the capital");
    let ran = project.run(&["run", "--record", "--quiet"]);
    assert!(ran.stderr.contains("2 new, 0 changed, 2 gone"), "{ran:?}");
    project.git(&["commit", "-qam", "second"]);
    project
}

fn baseline(report: &Value) -> Vec<&str> {
    let cells = report["baselines"][0]["cells"].as_array().unwrap_or_else(|| panic!("no baseline: {report}"));
    cells.iter().map(|cell| cell["samples"][0]["reply"]["served"].as_str().unwrap_or("nothing")).collect()
}

/// Everything to be said of what could not be recorded.
fn left_unrecorded(ran: &Ran) -> bool {
    ran.stderr.contains("are not recorded")
}

#[test]
fn what_a_revision_recorded_answers_the_baseline_that_it_is() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = with_history(&server);
    checked_out(&mut project);
    // Two cases decide nothing, and that is all that is missing.
    let (ran, report) = project.report(&["--cache", "only", "--baseline", "git:HEAD~1"]);
    assert_eq!((ran.code, server.requests()), (7, 4), "{ran:?}");
    assert_eq!((served(&report), baseline(&report)), (vec!["recorded"; 2], vec!["recorded"; 2]));
    assert!(!ran.stderr.contains("no answer"), "{ran:?}");
    // The usual command needs no key either.
    let (ran, report) = project.report(&["--baseline", "git:HEAD~1"]);
    assert_eq!((ran.code, server.requests(), baseline(&report)), (7, 4, vec!["recorded"; 2]), "{ran:?}");
}

#[test]
fn a_damaged_recording_of_a_revision_is_told_and_left_out() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = with_history(&server);
    let whole = project.read(FILE);
    project.edit(FILE, "Tokyo", "Kyoto");
    project.git(&["commit", "-qam", "damaged"]);
    project.rewrite(FILE, &whole);
    project.edit("suites/prompts/capital/1.md", "Tell the capital", "Say the capital");
    assert_eq!(project.run(&["run", "--record", "--quiet"]).code, 0);
    checked_out(&mut project);
    let (ran, report) = project.report(&["--cache", "only", "--baseline", "git:HEAD"]);
    assert_eq!((ran.code, served(&report), baseline(&report)), (3, vec!["recorded"; 2], vec!["nothing"; 2]), "{ran:?}");
    let told = "baseline `git:HEAD`: recordings/capitals.jsonl:2: edited or damaged: its checksum does not fit; what this file recorded then is not used";
    assert!(ran.stderr.contains(told), "{ran:?}");
}

#[test]
fn what_a_suite_is_always_compared_with_is_recorded_with_it() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing().write("suites/prompts/capital/2.md", "Tell the capital of {{ country }} in one word.\n");
    project.ask(&server.url());
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    project.edit("suites/capitals.yaml", "snapshot:", "gate: {baseline: previous-version}\nsnapshot:");
    let ran = project.run(&["run", "--record", "--quiet"]);
    assert!(ran.stderr.contains("recorded 4 answers in recordings/capitals.jsonl: 4 new, 0 changed, 0 gone"), "{ran:?}");
    let written = project.read(FILE);
    project.run(&["cache", "export"]);
    assert_eq!(project.read(FILE), written, "an export needs the same");
    checked_out(&mut project);
    let (ran, report) = project.report(&["--cache", "only"]);
    assert_eq!((ran.code, server.requests()), (7, 4), "two cases decide nothing: {ran:?}");
    assert_eq!((served(&report), baseline(&report)), (vec!["recorded"; 2], vec!["recorded"; 2]));
}

#[test]
fn what_a_flag_compares_with_once_is_not_recorded() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = with_history(&server);
    let ran = project.run(&["run", "--record", "--quiet", "--baseline", "git:HEAD~1"]);
    assert_eq!(ran.code, 7, "two cases decide nothing: {ran:?}");
    assert!(!ran.stderr.contains("recorded"), "{ran:?}");
    assert_eq!(project.read(FILE).lines().count(), 2);
}

#[test]
fn shards_replay_their_parts_and_record_them_beside_the_others() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    let written = project.read(FILE);
    checked_out(&mut project);
    for shard in ["1/2", "2/2"] {
        let json = format!("shard-{}.json", &shard[..1]);
        let ran = project.run(&["run", "--cache", "only", "--shard", shard, "--json", &json]);
        assert_eq!((ran.code, server.requests()), (0, 2), "{ran:?}");
    }
    let merged = project.run(&["merge", "shard-1.json", "shard-2.json"]);
    assert_eq!(merged.code, 0, "{merged:?}");
    assert!(merged.stdout.contains("2 planned = 2 passed"), "{merged:?}");

    // Each of two machines records its part; the lines together are the whole.
    std::fs::remove_dir_all(project.path("recordings")).unwrap();
    project.ask(&server.url());
    let mut parts = Vec::new();
    for shard in ["1/2", "2/2"] {
        let ran = project.run(&["run", "--record", "--quiet", "--shard", shard]);
        assert_eq!(ran.code, 0, "{ran:?}");
        parts.extend(project.read(FILE).lines().map(str::to_owned));
        assert_eq!(parts.len(), parts.len().min(3), "the first is still there beside the second");
    }
    let keys = |text: &str| text.lines().map(|line| line.split("\"key\":").nth(1).unwrap()[..20].to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(&project.read(FILE)), keys(&written));
}

#[test]
fn samples_are_recorded_each_and_fewer_are_the_first_of_them() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    project.edit("suites/capitals.yaml", "prompt: capital\n", "prompt: capital\nsamples: 3\n");
    let ran = project.run(&["run", "--record", "--quiet"]);
    assert!(ran.stderr.contains("recorded 6 answers in recordings/capitals.jsonl: 4 new, 0 changed, 0 gone"), "{ran:?}");
    checked_out(&mut project);
    for (samples, code) in [("3", 0), ("2", 0), ("4", 3)] {
        let (ran, report) = project.report(&["--cache", "only", "--samples", samples]);
        assert_eq!((ran.code, server.requests()), (code, 6), "{samples}: {ran:?}");
        assert_eq!(report["totals"]["requests_cached"], if samples == "2" { 4 } else { 6 }, "{samples}: {}", report["totals"]);
        if code == 3 {
            assert!(ran.stderr.contains("2 cells without an answer, about $"), "only what is missing is priced: {ran:?}");
        }
    }
}

#[test]
fn answers_of_a_batch_are_recorded_at_what_they_cost() {
    let server = Server::start(&format!("{CAPITALS_SCRIPT}batches: {{polls: 1}}\n"));
    let mut project = Project::passing();
    project.ask(&server.url());
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    let (ran, paid) = project.report(&["--record", "--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("recorded 2 answers"), "{ran:?}");
    checked_out(&mut project);
    let (ran, replayed) = project.report(&["--cache", "only"]);
    assert_eq!((ran.code, served(&replayed)), (0, vec!["recorded"; 2]), "{ran:?}");
    let cost = |report: &Value| report["cells"][0]["samples"][0]["reply"]["cost_usd"].clone();
    let tier = |report: &Value| report["cells"][0]["samples"][0]["reply"]["usage"]["service_tier"].clone();
    assert_eq!((cost(&replayed), tier(&replayed)), (cost(&paid), "batch".into()));
    let bill = &replayed["bill"];
    assert_eq!(bill["simulated_usd"], bill["simulated_saved"]["by_store_usd"], "nothing was paid this time: {bill}");
}

#[test]
fn a_record_of_what_was_replayed_changes_nothing() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    let written = project.read(FILE);
    checked_out(&mut project);
    for arguments in
        [&["run", "--record", "--quiet"][..], &["run", "--record", "--quiet", "--cache", "only"], &["run", "--update", "--quiet"]]
    {
        let ran = project.run(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(project.read(FILE), written, "{arguments:?}");
    }
    // Nor does accepting an output that a recording gave.
    std::fs::remove_dir_all(project.path("snapshots")).unwrap();
    project.set("CI", "true");
    let (ran, report) = project.report(&[]);
    assert_eq!((ran.code, served(&report)), (0, vec!["recorded"; 2]), "{ran:?}");
    let accepted = project.run(&["accept", "--from", "report.json", "--all"]);
    assert_eq!((accepted.code, project.read(FILE)), (0, written), "{accepted:?}");
    assert!(!left_unrecorded(&accepted) && accepted.stdout.contains("2 outputs accepted"), "{accepted:?}");
    assert_eq!(server.requests(), 2);
}

#[test]
fn what_ci_recorded_is_recorded_at_home_with_what_is_accepted_of_its_report() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    project.edit("suites/capitals.yaml", "{country: Japan}", "{country: old Japan}");
    project.set("CI", "true");
    let before = project.read(FILE);
    let (ran, _) = project.report(&["--record"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // At home there is what was committed, a store without the new answer, and what CI kept.
    std::fs::rename(project.path(FILE), project.path("artifact.jsonl")).unwrap();
    project.rewrite(FILE, &before);
    checked_out(&mut project);
    let accepted = project.run(&["accept", "--from", "report.json", "capitals/japan"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    insta::assert_snapshot!(accepted.stderr);
    assert_eq!(project.read(FILE), before);
    assert_eq!(project.run(&["cache", "import", "artifact.jsonl"]).code, 0);
    let accepted = project.run(&["accept", "--from", "report.json", "capitals/japan"]);
    assert!(!left_unrecorded(&accepted), "{accepted:?}");
    assert!(accepted.stderr.contains("recorded 2 answers in recordings/capitals.jsonl: 1 new, 0 changed, 1 gone"), "{accepted:?}");
    assert_eq!(project.read(FILE), project.read("artifact.jsonl"));
}

#[test]
fn another_answer_to_the_same_request_is_not_recorded_for_the_accepted_one() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = recorded(&server);
    project.set("CI", "true");
    std::fs::remove_dir_all(project.path("recordings")).unwrap();
    std::fs::create_dir(project.path("recordings")).unwrap();
    project.report(&[]);
    // Home asked by itself: the same words, and yet another answer.
    assert_eq!(project.run(&["run", "--cache", "refresh", "--quiet"]).code, 0);
    let accepted = project.run(&["accept", "--from", "report.json", "--all"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(accepted.stderr.contains("the answers of 2 accepted outputs are not recorded"), "{accepted:?}");
    assert!(!project.exists(FILE), "{accepted:?}");
}

#[test]
fn free_text_that_gates_is_warned_of_until_it_is_recorded() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    project.edit("suites/capitals.yaml", "on_change: warn", "on_change: fail");
    let warned = project.run(&["check"]);
    assert_eq!(warned.code, 0, "{warned:?}");
    insta::assert_snapshot!(warned.stderr);
    project.run(&["run", "--update", "--record", "--case", "france"]);
    let warned = project.run(&["check"]);
    assert!(warned.stderr.contains("anew; no answer is recorded for 1 of its 2 cells"), "{warned:?}");
    project.run(&["run", "--update", "--record"]);
    let silent = project.run(&["check"]);
    assert_eq!((silent.code, &*silent.stderr), (0, ""), "what is recorded is replayed, and never drawn anew");
    project.edit(FILE, "Paris", "Lyon");
    let wrong = project.run(&["check"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("recordings/capitals.jsonl:1: edited or damaged"), "{wrong:?}");
}
