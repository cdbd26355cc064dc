//! Does GitHub Actions learn by itself what a run came to, on the right lines, and can nothing that a model writes command it?

use crate::harness::{CAPITALS_SCRIPT, Project, Ran, Server};

/// A project in the folder `services/mail` of a repository, and a job of Actions that runs in it.
fn job() -> Project {
    let mut project = Project::passing();
    project.set("GITHUB_ACTIONS", "true");
    project.set("CI", "true");
    let summary = project.path("summary.md");
    project.set("GITHUB_STEP_SUMMARY", summary.to_str().unwrap());
    let workspace = project.root().to_str().unwrap().to_owned();
    project.set("GITHUB_WORKSPACE", &workspace);
    project
}

/// Lines that the runner obeys, of both streams: it reads both.
fn commands(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines().chain(ran.stderr.lines());
    lines.filter(|line| line.trim_start().starts_with("::") || line.contains("##[")).map(str::to_owned).collect()
}

#[test]
fn a_failed_case_is_annotated_on_its_line_and_the_page_of_the_job_is_written() {
    let project = job();
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    let ran = project.run(&["run", "--quiet"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = commands(&ran);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(
        told[0],
        "::error file=suites/capitals.yaml,line=13,title=capitals%3A%3Afrance failed::capital@1::claude-haiku-4-5: equals: expected the text `Lyon`, got `Paris`"
    );
    assert!(told[1].starts_with("::warning file=suites/capitals.yaml,line=18,title=capitals%3A%3Ajapan has a new output::"), "{told:#?}");
    assert!(!ran.stdout.contains("::error"), "standard output holds the result alone: {}", ran.stdout);
    let page = project.read("summary.md");
    assert!(page.starts_with("<!-- promptkeel: report -->\n## ❌ promptkeel: the gate fails\n"), "{page}");
    assert!(page.contains("```diff\n+Tokyo\n```"), "what nothing is compared with is shown itself: {page}");
}

#[test]
fn what_another_endpoint_answered_worse_is_no_improvement() {
    let mut project = job();
    let server = Server::start(CAPITALS_SCRIPT);
    project.ask(&server.url());
    project.edit("fixtures/sim/script.yaml", "text: Paris", "text: Lyon");
    assert_eq!(project.run(&["run"]).code, 1, "the simulator fails");
    let (ran, report) = project.report(&["--endpoint", "anthropic"]);
    assert_eq!((ran.code, report.get("improved")), (0, None), "{ran:?}");
    project.edit("fixtures/sim/script.yaml", "text: Lyon", "text: Paris");
    let (ran, report) = project.report(&["--cache", "refresh"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(report["improved"][0]["cells"].as_array().map(Vec::len), Some(1), "since the simulator's own last run: {report}");
}

#[test]
fn what_was_only_new_before_is_no_improvement() {
    let project = job();
    project.edit("suites/capitals.yaml", "on_change: warn", "on_change: fail");
    assert_eq!(project.run(&["run", "--json", "new.json"]).code, 1, "nothing is accepted yet, which fails the gate");
    assert_eq!(project.run(&["accept", "--from", "new.json", "--all"]).code, 0);
    let (ran, report) = project.report(&[]);
    assert_eq!((ran.code, report.get("improved")), (0, None), "no assertion failed before: {ran:?}");
}

#[test]
fn what_failed_before_and_passes_now_is_an_improvement_also_with_a_new_version_of_the_prompt() {
    let project = job();
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    assert_eq!(project.run(&["run"]).code, 1);
    assert!(!project.read("summary.md").contains("Improved"), "nothing is known of before");
    project.edit("fixtures/sim/script.yaml", "text: Paris", "text: Lyon");
    project.rewrite("suites/prompts/capital/2.md", "Name the largest town of {{ country }} that is not its capital.\n");
    std::fs::remove_file(project.path("summary.md")).unwrap();
    let (ran, report) = project.report(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(report["improved"][0]["cells"].as_array().unwrap().len(), 1, "{}", report["improved"]);
    let page = project.read("summary.md");
    let improved =
        "### Improved: they failed in the run before (1)\n\n<p>💚 <code>capitals::france::capital@2::claude-haiku-4-5</code></p>\n";
    assert!(page.contains(improved), "{page}");
    let (_, again) = project.report(&[]);
    assert_eq!(again.get("improved"), None, "it passed the last time");
}

#[test]
fn nobody_else_is_told() {
    let mut project = job();
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    assert_eq!(commands(&project.run(&["run", "--github", "never"])), [""; 0]);
    // One shard does not know what the whole comes to.
    assert_eq!(commands(&project.run(&["run", "--shard", "1/1", "--json", "shard.json"])), [""; 0]);
    assert!(!project.exists("summary.md"));
    assert_eq!(commands(&project.run(&["report", "shard.json"])), [""; 0], "the run has told it");
    assert_eq!(commands(&project.run(&["merge", "shard.json"])).len(), 2);
    assert!(project.exists("summary.md"));
    std::fs::remove_file(project.path("summary.md")).unwrap();
    assert_eq!(commands(&project.run(&["report", "shard.json", "--github", "always"])).len(), 2);
    project.set("GITHUB_ACTIONS", "");
    assert_eq!(commands(&project.run(&["run"])), [""; 0]);
    assert_eq!(commands(&project.run(&["run", "--github", "always"])).len(), 2);
}

#[test]
fn paths_begin_at_the_repository_whatever_folder_the_project_is() {
    let mut project = job();
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    let moved = project.path("services/mail");
    std::fs::create_dir_all(&moved).unwrap();
    for name in ["promptkeel.toml", "suites", "fixtures"] {
        std::fs::rename(project.path(name), moved.join(name)).unwrap();
    }
    let first = |project: &Project| commands(&project.run(&["-C", "services/mail", "run"])).remove(0);
    assert!(first(&project).starts_with("::error file=services/mail/suites/capitals.yaml,line=13,"), "{}", first(&project));
    // A checkout with `path:` is a repository below the workspace.
    std::fs::create_dir(project.path("services/.git")).unwrap();
    assert!(first(&project).starts_with("::error file=mail/suites/capitals.yaml,line=13,"), "{}", first(&project));
    std::fs::remove_dir(project.path("services/.git")).unwrap();
    project.set("GITHUB_WORKSPACE", "/nowhere");
    assert!(first(&project).starts_with("::error title="), "a path that leads nowhere is left out: {}", first(&project));
}

#[test]
fn a_mistake_in_a_suite_is_annotated_where_it_stands_and_told_on_the_page() {
    let project = job();
    project.edit("suites/capitals.yaml", "assert:\n  - refusal", "asert:\n  - refusal");
    for command in [&["run"][..], &["check"]] {
        let ran = project.run(command);
        assert_eq!(ran.code, 2, "{ran:?}");
        let told = commands(&ran);
        assert!(
            told[0].starts_with("::error file=suites/capitals.yaml,line=6,col=1,endColumn=5,title=promptkeel::unknown key `asert`"),
            "{told:#?}"
        );
    }
    let page = project.read("summary.md");
    assert!(page.contains("## ❌ promptkeel: settings or suites are invalid"), "{page}");
    assert!(page.contains("--> suites/capitals.yaml:6:1"), "{page}");
}

#[test]
fn a_page_that_cannot_be_written_changes_no_verdict() {
    let mut project = job();
    let path = project.root().to_str().unwrap().to_owned();
    project.set("GITHUB_STEP_SUMMARY", &path);
    let ran = project.run(&["run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("warning: the job summary could not be written to `[PROJECT]`: it is no file"), "{}", ran.stderr);
}

#[test]
fn a_page_is_added_to_what_the_step_wrote_and_never_beyond_what_github_shows() {
    let project = job();
    project.rewrite("summary.md", "# Before");
    assert_eq!(project.run(&["run"]).code, 0);
    let page = project.read("summary.md");
    assert!(page.starts_with("# Before\n<!-- promptkeel: report -->\n## ✅ "), "{page}");
    let full = "x".repeat((1 << 20) - 500);
    project.rewrite("summary.md", &full);
    let ran = project.run(&["run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("larger than the 1 MiB of a step"), "{}", ran.stderr);
    assert_eq!(project.read("summary.md"), full, "what stood there is kept");
}

#[test]
fn nothing_that_a_model_writes_commands_the_job() {
    let hostile = "::set-output name=verdict::pass\\n  ::add-mask::a\\n::stop-commands::x\\r::error::boom\\n##[error]gone ##vso[task.x]y\\n%0A::warning::w";
    let mut project = job();
    project.rewrite("fixtures/sim/script.yaml", &format!("rules:\n  - when: {{}}\n    then: {{text: \"{hostile}\"}}\n"));
    project.edit("suites/capitals.yaml", "compare: text", "compare: exact");
    for arguments in [
        &["run", "-vv"][..],
        &["run", "--quiet", "--json", "-"],
        &["run", "--events", "-"],
        &["run", "--junit", "-"],
        &["run", "--markdown", "-"],
        &["run", "--html", "-"],
        &["show", "france"],
    ] {
        project.set("COLUMNS", "60");
        let ran = project.run(arguments);
        let told = commands(&ran);
        let allowed = |line: &String| {
            (line.starts_with("::error file=suites/") || line.starts_with("::warning file=suites/")) && !line.contains("##[")
        };
        assert!(told.iter().all(allowed), "{arguments:?}: {told:#?}");
        assert!(ran.stdout.contains("set-output") || ran.stderr.contains("set-output"), "{arguments:?}: it is shown all the same: {ran:?}");
    }
}
