//! Are snapshots written by one policy, accepted on purpose, and never by accident?

use crate::harness::{CAPITALS_SCRIPT, Project, Server};

const PARIS: &str = "snapshots/capitals/france/claude-haiku-4-5.snap";

fn strict() -> Project {
    let project = Project::passing();
    project.edit("suites/capitals.yaml", "on_change: warn", "on_change: fail");
    project
}

#[test]
fn a_new_output_waits_beside_and_fails_until_it_is_accepted() {
    let project = strict();
    assert_eq!(project.run(&["run"]).code, 1);
    assert!(project.exists(&format!("{PARIS}.new")) && !project.exists(PARIS));
    let pending = project.run(&["pending"]);
    insta::assert_snapshot!(pending.transcript());
    let accepted = project.run(&["accept", "--all"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    insta::assert_snapshot!(project.read(PARIS), @r"
    ---
    prompt: capital@1
    model: claude-haiku-4-5
    stop_reason: end_turn
    simulated: true
    ---
    Paris
    ");
    assert_eq!(project.run(&["run"]).code, 0);
    assert!(!project.exists(&format!("{PARIS}.new")));
}

#[test]
fn a_changed_output_shows_its_diff_and_asks_nothing_new() {
    let project = strict();
    assert_eq!(project.run(&["run", "--update"]).code, 0, "what was accepted on request is the snapshot from then on");
    assert_eq!(project.run(&["run"]).code, 0);
    project.edit(PARIS, "Paris", "Parizo");
    let (changed, report) = project.report(&[]);
    assert_eq!((changed.code, report["totals"]["requests_asked"].as_u64()), (1, Some(0)), "{changed:?}");
    assert!(changed.stdout.contains("Parizo") && changed.stdout.contains("Paris"), "{}", changed.stdout);
    assert_eq!(project.run(&["reject", "capitals/france"]).code, 0);
    assert!(!project.exists(&format!("{PARIS}.new")));
    assert_eq!(project.run(&["reject", "capitals/france"]).code, 4, "nothing is pending any more");
}

#[test]
fn ci_changes_what_is_written_and_never_the_exit_code() {
    let mut project = strict();
    project.set("CI", "true");
    assert_eq!(project.run(&["run"]).code, 1);
    assert!(!project.exists("snapshots"));
}

#[test]
fn update_never_accepts_a_cell_that_fails() {
    let project = strict();
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    assert_eq!(project.run(&["run", "--update"]).code, 1);
    assert!(!project.exists(PARIS));
    assert!(project.exists("snapshots/capitals/japan/claude-haiku-4-5.snap"));
}

#[test]
fn an_accepted_prompt_version_whose_text_changes_is_a_warning_at_home_and_exit_2_in_ci() {
    let mut project = strict();
    project.run(&["run", "--update"]);
    project.edit("suites/prompts/capital/1.md", "Name", "Tell");
    let home = project.run(&["check"]);
    assert_eq!(home.code, 0, "{home:?}");
    assert!(home.stderr.contains("capital@1"), "{}", home.stderr);
    project.set("CI", "true");
    assert_eq!(project.run(&["check"]).code, 2);
    assert_eq!(project.run(&["run"]).code, 2);
}

#[test]
fn an_orphan_is_listed_whatever_was_selected() {
    let project = strict();
    project.run(&["run", "--update"]);
    project.edit("suites/capitals.yaml", "id: japan", "id: nippon");
    let (ran, report) = project.report(&["--case", "france"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(report["orphans"], serde_json::json!(["snapshots/capitals/japan/claude-haiku-4-5.snap"]));
    assert!(ran.stdout.contains("snapshots/capitals/japan"), "{}", ran.stdout);
}

#[test]
fn orphans_fail_or_go_only_where_that_is_asked_for() {
    let project = strict();
    project.run(&["run", "--update"]);
    project.edit("suites/capitals.yaml", "id: japan", "id: nippon");
    project.run(&["run", "--update"]);
    let orphan = "snapshots/capitals/japan/claude-haiku-4-5.snap";
    assert_eq!(project.run(&["run"]).code, 0);
    assert_eq!(project.run(&["run", "--unreferenced", "reject"]).code, 1);
    assert_eq!(
        project.run(&["run", "--unreferenced", "reject", "--shard", "1/2"]).code,
        2,
        "a shard cannot say it, so it does not keep silent"
    );
    for shard in ["1/2", "2/2"] {
        assert_eq!(project.run(&["run", "--shard", shard, "--json", &format!("shard-{}.json", &shard[..1])]).code, 0);
    }
    assert_eq!(project.run(&["merge", "shard-1.json", "shard-2.json"]).code, 0);
    assert_eq!(project.run(&["merge", "shard-1.json", "shard-2.json", "--unreferenced", "reject"]).code, 1);
    assert_eq!(project.run(&["run", "--unreferenced", "delete", "--case", "france"]).code, 2);
    assert!(project.exists(orphan));
    assert_eq!(project.run(&["run", "--unreferenced", "delete"]).code, 0);
    assert!(!project.exists(orphan) && project.exists(PARIS));
}

#[test]
fn a_real_answer_never_matches_what_a_simulator_said() {
    // The header that marks a simulated reply is taken away on its way, as if another server had answered.
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = strict();
    project.run(&["run", "--update"]);
    assert_eq!(project.run(&["run"]).code, 0);
    project.edit(PARIS, "simulated: true\n", "");
    project.ask(&server.url());
    let (ran, report) = project.report(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(report["cells"][0]["snapshot"]["state"], "new");
    assert!(report["cells"][0]["snapshot"]["reason"].as_str().unwrap().contains("simulat"), "{report}");
}

#[test]
fn an_output_that_an_earlier_text_gave_is_accepted_without_locking_the_present_one() {
    let mut project = strict();
    assert_eq!(project.run(&["run"]).code, 1);
    let before = project.run(&["accept", "capitals/japan"]);
    assert_eq!((before.code, before.stderr.as_str()), (0, ""), "the text is what it was");
    let lock = project.read("snapshots/capitals/prompts.toml");
    project.edit("suites/prompts/capital/1.md", "Name", "Tell");
    let accepted = project.run(&["accept", "--all"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(project.exists(PARIS));
    insta::assert_snapshot!(accepted.transcript());
    assert_eq!(project.read("snapshots/capitals/prompts.toml"), lock, "the present text gave nothing that was accepted");
    project.set("CI", "true");
    let check = project.run(&["check"]);
    assert_eq!(check.code, 2, "{check:?}");
    assert!(check.stderr.contains("changed since suite `capitals` accepted an output of it"), "{check:?}");
}

#[test]
fn the_text_that_gave_the_first_accepted_output_is_noted_and_not_the_present_one() {
    let project = strict();
    project.run(&["run"]);
    project.edit("suites/prompts/capital/1.md", "Name", "Tell");
    assert_eq!(project.run(&["accept", "--all"]).code, 0);
    let check = project.run(&["check"]);
    assert!(check.stderr.contains("the text of `capital@1`"), "{check:?}");
    assert!(check.stderr.contains("[-Name-]") || check.stderr.contains("Name"), "the run kept the text: {check:?}");
    // Put back, it is what was accepted.
    project.edit("suites/prompts/capital/1.md", "Tell", "Name");
    let check = project.run(&["check"]);
    assert_eq!((check.code, check.stderr.as_str()), (0, ""), "{check:?}");
}

#[test]
fn where_nobody_noted_which_text_gave_an_output_the_present_one_counts() {
    let project = strict();
    project.run(&["run"]);
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    let accepted = project.run(&["accept", "--all"]);
    assert_eq!((accepted.code, accepted.stderr.as_str()), (0, ""), "{accepted:?}");
    assert!(project.read("snapshots/capitals/prompts.toml").contains("capital@1"));
    assert_eq!(project.run(&["check"]).code, 0);
}

#[test]
fn no_output_is_accepted_where_its_prompt_version_cannot_be_noted() {
    let project = strict();
    project.run(&["run"]);
    std::fs::create_dir_all(project.path("snapshots/capitals/prompts.toml/in-the-way")).unwrap();
    let accepted = project.run(&["accept", "--all"]);
    assert_eq!(accepted.code, 5, "{accepted:?}");
    assert!(accepted.stderr.contains("prompts.toml") && accepted.stdout.contains("0 accepted"), "{accepted:?}");
    assert!(!project.exists(PARIS) && project.exists(&format!("{PARIS}.new")));
    let updated = project.run(&["run", "--update"]);
    assert_eq!(updated.code, 2, "told before anything is asked: {updated:?}");
    assert!(!project.exists(PARIS), "{updated:?}");
}

#[test]
fn what_waits_is_told_to_programs() {
    let project = strict();
    project.edit("suites/capitals.yaml", "compare: text", "compare: exact");
    project.run(&["run", "--update"]);
    project.edit(PARIS, "Paris", "Lyon");
    std::fs::remove_file(project.path("snapshots/capitals/japan/claude-haiku-4-5.snap")).unwrap();
    project.rewrite(
        "snapshots/capitals/spain/claude-haiku-4-5.snap",
        "---\nprompt: capital@1\nmodel: m\nstop_reason: end_turn\n---\nMadrid\n",
    );
    project.run(&["run"]);
    let pending = project.run(&["pending", "--json"]);
    assert_eq!((pending.code, pending.stderr.as_str()), (0, ""), "{pending:?}");
    insta::assert_snapshot!(pending.stdout);
}

#[test]
fn a_suite_that_keeps_no_snapshots_owns_none() {
    let project = strict();
    project.run(&["run", "--update"]);
    project.edit(PARIS, "Paris", "Lyon");
    project.run(&["run"]);
    project.edit("suites/capitals.yaml", "compare: text", "compare: \"off\"");
    let (ran, report) = project.report(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(report["cells"].as_array().unwrap().iter().all(|cell| cell["snapshot_path"].is_null()), "{report}");
    assert_eq!(report["orphans"].as_array().unwrap().len(), 4, "two outputs, one that waits, the lock: {}", report["orphans"]);
    let accepted = project.run(&["accept", "--all"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(accepted.stderr.contains("belongs to no case of any suite"), "{accepted:?}");
}

#[test]
fn an_output_of_another_text_is_not_accepted_under_the_line_of_the_present_one() {
    let project = strict();
    assert_eq!(project.run(&["run", "--update"]).code, 0);
    let (lock, paris) = (project.read("snapshots/capitals/prompts.toml"), project.read(PARIS));
    project.edit("suites/prompts/capital/1.md", "Name", "Tell");
    project.edit("fixtures/sim/script.yaml", "text: Paris", "text: Paris!");
    project.edit("suites/capitals.yaml", "equals: Paris", "contains: Paris");
    project.run(&["run"]);
    assert!(project.exists(&format!("{PARIS}.new")));
    // Put back: what waits is still the other text's.
    project.edit("suites/prompts/capital/1.md", "Tell", "Name");
    let refused = project.run(&["accept", "--all"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("another text of `capital@1`") && refused.stderr.contains("run again"), "{refused:?}");
    assert_eq!((project.read("snapshots/capitals/prompts.toml"), project.read(PARIS)), (lock, paris));
    assert!(project.exists(&format!("{PARIS}.new")), "it waits until a run or a person decides");
}

#[test]
fn an_output_whose_text_nobody_knows_is_not_accepted_without_a_line() {
    let project = strict();
    project.run(&["run"]);
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    project.rewrite("suites/broken.yaml", "suite: [\n");
    let refused = project.run(&["accept", "--all"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("nobody knows which text of `capital@1` gave it"), "{refused:?}");
    assert!(refused.stderr.contains("`promptkeel check` says what is wrong"), "{refused:?}");
    assert!(!project.exists(PARIS) && project.exists(&format!("{PARIS}.new")));
    std::fs::remove_file(project.path("suites/broken.yaml")).unwrap();
    // Of a version that no suite lists nobody knows it either.
    project.edit("suites/capitals.yaml", "prompt: capital\n", "prompt: town\n");
    project.rewrite("suites/prompts/town/1.md", "Name the town of {{ country }}.\n");
    let refused = project.run(&["accept", "--all"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("no suite lists") && !project.exists(PARIS), "{refused:?}");
    project.edit("suites/capitals.yaml", "prompt: town\n", "prompt: capital\n");
    assert_eq!(project.run(&["accept", "--all"]).code, 0);
    assert!(project.read("snapshots/capitals/prompts.toml").contains("capital@1"));
}

#[test]
fn a_simulated_snapshot_with_a_merge_conflict_is_replaced_and_one_that_may_be_real_is_not() {
    let project = strict();
    assert_eq!(project.run(&["run", "--update"]).code, 0);
    let whole = project.read(PARIS);
    let conflict = "<<<<<<< HEAD\nParis\n=======\nLyon\n>>>>>>> other\n";
    project.rewrite(PARIS, &whole.replace("Paris\n", conflict));
    assert_eq!(project.run(&["run"]).code, 1);
    assert!(project.exists(&format!("{PARIS}.new")));
    let accepted = project.run(&["accept", "--all"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert_eq!(project.read(PARIS), whole);
    let head = "<<<<<<< HEAD\n=======\nsimulated: true\n>>>>>>> other\n";
    project.rewrite(PARIS, &whole.replace("simulated: true\n", head));
    assert_eq!(project.run(&["run"]).code, 1);
    let refused = project.run(&["accept", "--all"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("cannot be read, and a real output may stand in it"), "{refused:?}");
    assert!(refused.stderr.contains("git checkout") && !refused.stderr.contains("was not answered by a simulator"), "{refused:?}");
}

#[test]
fn what_waits_as_before_is_noted_once() {
    let project = strict();
    project.run(&["run"]);
    let notes = || {
        let times = std::fs::read_dir(project.path(".promptkeel/pending")).unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), entry.metadata().unwrap().modified().unwrap())
        });
        times.collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = notes();
    assert!(!before.is_empty());
    project.run(&["run"]);
    assert_eq!(notes(), before, "the same output of the same text is no news");
}

#[test]
fn a_version_that_a_run_confirms_is_noted_and_what_waits_of_every_cell_goes() {
    let project = strict();
    assert_eq!(project.run(&["run", "--update"]).code, 0);
    let lock = project.read("snapshots/capitals/prompts.toml");
    let waiting = ["france", "japan"].map(|case| format!("snapshots/capitals/{case}/claude-haiku-4-5.snap.new"));
    for path in &waiting {
        project.rewrite(path, &project.read(PARIS).replace("Paris", "Lyon"));
    }
    project.edit("suites/prompts/capital/1.md", "Name", "Tell");
    assert_eq!(project.run(&["run", "--update"]).code, 0, "the outputs are the accepted ones");
    assert!(waiting.iter().all(|path| !project.exists(path)));
    assert_ne!(project.read("snapshots/capitals/prompts.toml"), lock);
    assert_eq!(project.run(&["check"]).stderr, "", "the new text counts as accepted");
}
