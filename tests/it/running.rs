//! Does a run ask once, judge afresh, and end with the right exit code?

use serde_json::Value;

use crate::harness::{CAPITALS_SCRIPT, Project, Server};

fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap_or_else(|| panic!("no total {name} in {}", report["totals"]))
}

/// Every cell's address, verdict and snapshot state: what two runs must agree in.
fn verdicts(report: &Value) -> Vec<(String, String, String)> {
    let cell = |cell: &Value| {
        let address = &cell["address"];
        let address = format!("{}::{}@{}::{}", address["suite"], address["case"], address["version"], address["model"]);
        (address, cell["verdict"].to_string(), cell["snapshot"]["state"].to_string())
    };
    report["cells"].as_array().unwrap().iter().map(cell).collect()
}

#[test]
fn a_second_run_asks_nothing_and_agrees_with_the_first() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    let (first, report) = project.report(&["--endpoint", "anthropic"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!((server.requests(), total(&report, "requests_asked"), total(&report, "requests_cached")), (2, 2, 0));
    let (second, again) = project.report(&["--endpoint", "anthropic"]);
    assert_eq!(second.code, 0, "{second:?}");
    assert_eq!((server.requests(), total(&again, "requests_asked"), total(&again, "requests_cached")), (2, 0, 2));
    assert_eq!(verdicts(&report), verdicts(&again));
}

#[test]
fn an_edit_asks_again_only_for_the_cells_that_it_touches() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    let asked = |project: &Project| {
        let before = server.requests();
        let (ran, report) = project.report(&["--endpoint", "anthropic"]);
        (ran.code, server.requests() - before, total(&report, "failed"))
    };
    assert_eq!(asked(&project), (0, 2, 0));
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    assert_eq!(asked(&project), (1, 0, 1), "an assertion is judged afresh and asks nothing");
    project.edit("suites/capitals.yaml", "equals: Lyon", "equals: Paris");
    project.edit("suites/capitals.yaml", "vars: {country: Japan}", "vars: {country: the old Japan}");
    assert_eq!(asked(&project), (0, 1, 0), "one case's variable asks for that case");
    project.edit("suites/prompts/capital/1.md", "one word", "a single word");
    assert_eq!(asked(&project), (0, 2, 0), "the prompt asks for every case");
    project.edit("suites/capitals.yaml", "max_tokens: 50", "max_tokens: 51");
    assert_eq!(asked(&project), (0, 2, 0), "so does a parameter");
    assert_eq!(asked(&project), (0, 0, 0));
}

#[test]
fn cache_modes_look_where_they_say() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    let run = |project: &Project, mode: &str| project.report(&["--endpoint", "anthropic", "--cache", mode]);
    let (only, report) = run(&project, "only");
    assert_eq!((only.code, server.requests(), total(&report, "errored")), (3, 0, 2), "{only:?}");
    assert!(only.stdout.contains("no stored answer for capitals::france::capital@1::claude-haiku-4-5"), "{}", only.stdout);
    assert_eq!((run(&project, "read-write").0.code, server.requests()), (0, 2));
    assert_eq!((run(&project, "only").0.code, server.requests()), (0, 2));
    assert_eq!((run(&project, "refresh").0.code, server.requests()), (0, 4));
    assert_eq!((run(&project, "off").0.code, server.requests()), (0, 6));
    assert_eq!((run(&project, "read-write").0.code, server.requests()), (0, 6));
}

#[test]
fn faults_leave_every_cell_with_its_verdict() {
    let script =
        format!("{CAPITALS_SCRIPT}faults: {{rate: 0.5, kinds: [rate_limit, server_error, overloaded, drop, cut, html], retry_after: 1}}\n");
    let server = Server::start(&script);
    let mut project = Project::passing();
    let cases: String = (0..30).map(|index| format!("  - id: case-{index}\n    vars: {{country: \"France {index}\"}}\n")).collect();
    project.rewrite(
        "suites/capitals.yaml",
        &format!(
            "suite: capitals\nprompt: capital\nmodels: [claude-haiku-4-5]\nassert:\n  - contains: Paris\nsnapshot: {{compare: 'off'}}\ncases:\n{cases}"
        ),
    );
    project.ask(&server.url());
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", "endpoint = \"anthropic\"\nmax_attempts = 12\n");
    let (ran, report) = project.report(&[]);
    assert_eq!((ran.code, total(&report, "passed")), (0, 30), "{ran:?}");
    assert!(total(&report, "requests_retried") > 0);
    assert_eq!(total(&report, "planned"), 30);
}

#[test]
fn an_outage_is_a_missing_verdict_and_never_a_failure() {
    let server = Server::start("rules:\n  - when: {}\n    then: {status: 500}\n");
    let mut project = Project::passing();
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", "endpoint = \"anthropic\"\nmax_attempts = 1\n");
    project.ask(&server.url());
    let (ran, report) = project.report(&[]);
    assert_eq!((ran.code, total(&report, "errored"), total(&report, "failed")), (3, 2, 0), "{ran:?}");
}

#[test]
fn a_refused_key_is_asked_with_once_and_never_printed() {
    let server = Server::start(
        "rules:\n  - when: {}\n    then: {status: 401, error: authentication_error, message: \"invalid x-api-key sk-test-not-a-real-key\"}\n",
    );
    let mut project = Project::passing();
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", "endpoint = \"anthropic\"\nmax_concurrency = 1\n");
    project.ask(&server.url());
    let (ran, report) = project.report(&[]);
    assert_eq!((ran.code, server.requests(), total(&report, "errored"), total(&report, "skipped")), (3, 1, 1, 1), "{ran:?}");
    let everything = format!("{}{}{report}", ran.stdout, ran.stderr);
    assert!(!everything.contains("sk-test-not-a-real-key"), "{everything}");
}

#[test]
fn a_missing_key_is_found_before_anything_is_sent_and_only_where_it_is_needed() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.set("ANTHROPIC_BASE_URL", &server.url());
    let without = project.run(&["run", "--endpoint", "anthropic"]);
    assert_eq!((without.code, server.requests()), (2, 0));
    insta::assert_snapshot!(without.stderr);
    project.ask(&server.url());
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0);
    project.set("ANTHROPIC_API_KEY", "");
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0, "everything is answered, so no key is needed");
}

#[test]
fn a_cut_reply_fails_even_if_its_text_matches() {
    let project = Project::passing();
    project.rewrite("fixtures/sim/script.yaml", "rules:\n  - when: {}\n    then: {text: Tokyo, stop_reason: max_tokens}\n");
    let (ran, report) = project.report(&["--case", "japan"]);
    assert_eq!((ran.code, total(&report, "failed"), total(&report, "truncations")), (1, 1, 1), "{ran:?}");
}

#[test]
fn a_simulated_run_says_so_everywhere_and_spends_nothing() {
    let project = Project::passing();
    let ran = project.run(&["run", "--json", "report.json", "--junit", "junit.xml", "--markdown", "report.md", "--html", "report.html"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
    assert_eq!(report["run"]["simulated"], true);
    assert_eq!(report["bill"]["spent_usd"], "0.00");
    assert_ne!(report["bill"]["simulated_usd"], "0.00");
    for text in [&ran.stdout, &project.read("junit.xml"), &project.read("report.md"), &title(&project.read("report.html"))] {
        assert!(text.to_lowercase().contains("simulated"), "{text}");
    }
}

/// What a browser shows of a page in its tab: `PASSED (simulated) · ...`.
fn title(page: &str) -> String {
    page.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).unwrap().0.to_owned()
}

#[test]
fn a_page_made_later_is_the_page_of_the_run() {
    let project = Project::passing();
    let ran = project.run(&["run", "--json", "run.json", "--html", "at-once.html"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(project.run(&["report", "run.json", "--html", "later.html"]).code, 0);
    assert_eq!(project.run(&["merge", "run.json", "--html", "merged.html"]).code, 0);
    let page = project.read("at-once.html");
    assert_eq!(project.read("later.html"), page);
    assert!(title(&project.read("merged.html")).starts_with("PASSED (simulated) · "), "{}", title(&project.read("merged.html")));
}

#[test]
fn planned_is_always_the_sum_of_all_verdicts() {
    let project = Project::passing();
    project.rewrite(
        "fixtures/sim/script.yaml",
        "rules:\n  - when: {text: France}\n    then: {text: Lyon}\n  - when: {text: Japan}\n    then: {status: 400, message: no}\n",
    );
    let (ran, report) = project.report(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let sum: u64 = ["passed", "failed", "errored", "skipped"].iter().map(|name| total(&report, name)).sum();
    assert_eq!((total(&report, "planned"), sum), (2, 2));
    assert!(ran.stdout.contains("2 planned = 0 passed + 1 failed + 1 errored + 0 skipped"), "{}", ran.stdout);
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_what_flies_writes_every_report_and_asks_nothing_new() {
    let options = promptkeel::sim::server::Options { latency: std::time::Duration::from_millis(800), ..Default::default() };
    let server = Server::with(CAPITALS_SCRIPT, options);
    let mut project = Project::passing();
    project.ask(&server.url());
    let mut command = project.command(&["run", "--endpoint", "anthropic", "--max-concurrency", "1", "--json", "report.json"]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    while server.requests() == 0 {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended before it asked anything");
        std::thread::yield_now();
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
    assert_eq!((total(&report, "passed"), total(&report, "skipped"), server.requests()), (1, 1, 1));
    let (again, report) = project.report(&["--endpoint", "anthropic"]);
    assert_eq!((again.code, total(&report, "requests_cached"), server.requests()), (0, 1, 2), "what flew was stored");
}

#[test]
fn max_fail_stops_asking() {
    let server = Server::start("otherwise: {text: wrong, delay: 5ms}\n");
    let mut project = Project::passing();
    let cases: String = (0..40).map(|index| format!("  - id: case-{index}\n    vars: {{country: \"France {index}\"}}\n")).collect();
    project.rewrite(
        "suites/capitals.yaml",
        &format!("suite: capitals\nprompt: capital\nmodels: [claude-haiku-4-5]\nassert:\n  - contains: Paris\nsnapshot: {{compare: 'off'}}\ncases:\n{cases}"),
    );
    project.ask(&server.url());
    let (ran, report) = project.report(&["--endpoint", "anthropic", "--max-fail", "2", "--max-concurrency", "1"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(server.requests() < 20, "{} requests for --max-fail 2", server.requests());
    assert_eq!(total(&report, "planned"), 40);
    assert!(total(&report, "skipped") > 20);
}

#[test]
fn a_replay_prices_what_is_missing() {
    let project = Project::passing();
    let ran = project.run(&["run", "--cache", "only"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("2 cells without an answer, about $0.000536 to ask (2 requests, at most $"), "{}", ran.stderr);
}

#[test]
fn no_report_is_written_over_what_the_project_is_made_of() {
    let project = Project::passing();
    assert_eq!(project.run(&["run"]).code, 0);
    for path in ["suites/capitals.yaml", ".promptkeel/store.db", "./suites/../suites/prompts/capital/1.md", "promptkeel.toml"] {
        let ran = project.run(&["run", "--json", path]);
        assert_eq!(ran.code, 2, "{path}: {ran:?}");
    }
    assert!(project.read("suites/capitals.yaml").starts_with("suite: capitals"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_refresh_resumes_and_asks_only_what_it_did_not() {
    let options = promptkeel::sim::server::Options { latency: std::time::Duration::from_millis(600), ..Default::default() };
    let server = Server::with(CAPITALS_SCRIPT, options);
    let mut project = Project::passing();
    project.ask(&server.url());
    let refresh = ["run", "--endpoint", "anthropic", "--cache", "refresh", "--max-concurrency", "1"];
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0);
    let resume: Vec<&str> = refresh.into_iter().chain(["--resume", "--json", "report.json"]).collect();
    assert_eq!(project.run(&resume).code, 2, "nothing was interrupted");
    assert_eq!((project.run(&["run", "--resume"]).code, server.requests()), (2, 2), "only a refresh resumes");
    let mut child = project.command(&refresh).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    while server.requests() < 3 {
        assert_eq!(child.try_wait().unwrap(), None, "the refresh ended before it asked anything");
        std::thread::yield_now();
    }
    interrupt(&child);
    assert_eq!((child.wait().unwrap().code(), server.requests()), (Some(130), 3));
    let resumed = project.run(&resume);
    let report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
    assert_eq!((resumed.code, server.requests(), total(&report, "requests_cached")), (0, 4, 1), "{resumed:?}");
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    #[expect(clippy::disallowed_methods, reason = "the test plays the person at the keyboard")]
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
}
