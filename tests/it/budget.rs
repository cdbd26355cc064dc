//! Does a cap on money hold, whatever the server does with the requests, and does the report say what was left out?

use serde_json::Value;

use crate::harness::{CAPITALS, CAPITALS_SCRIPT, Project, Server};

/// Sixty cases, each of which can cost at most some $0.0003.
fn suite(gate: &str) -> String {
    let cases: String = (0..60).map(|number| format!("  - {{id: case-{number}, vars: {{country: \"France {number}\"}}}}\n")).collect();
    format!(
        "suite: capitals\nprompt: capital\nmodels: [claude-haiku-4-5]\nrequest: {{max_tokens: 50}}\nassert: [contains: Paris]\n\
         snapshot: {{compare: \"off\"}}\n{gate}cases:\n{cases}"
    )
}

const LOSING: &str = "\
faults: {rate: 0.4, kinds: [cut, drop, invalid_json, overloaded], in_a_row: 2}
otherwise: {text: Paris}
";

/// What a server put on its bill, answers included that broke on their way: Haiku costs a millionth of a dollar per input token and five
/// per output token.
fn billed_millionths(server: &Server) -> u64 {
    let stats = server.stats();
    let tokens = |section: &str, name: &str| stats["tokens"][section][name].as_u64().unwrap_or_else(|| panic!("{stats}"));
    ["billed", "lost_on_the_way"].iter().map(|section| tokens(section, "input_tokens") + 5 * tokens(section, "output_tokens")).sum()
}

fn project(suite: &str, server: &Server) -> Project {
    let mut project = Project::passing().write("suites/capitals.yaml", suite);
    project.ask(&server.url());
    project
}

fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap()
}

#[test]
fn a_budget_stops_before_it_is_passed() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = project(CAPITALS, &server);
    let (ran, report) = project.report(&["--endpoint", "anthropic", "--max-cost", "0.0001"]);
    assert_eq!((ran.code, server.requests(), total(&report, "skipped")), (6, 0, 2), "{ran:?}");
    assert_eq!(project.run(&["run", "--endpoint", "anthropic", "--max-cost", "1"]).code, 0);
}

#[test]
fn a_cap_holds_also_where_answers_are_lost_on_their_way() {
    for (gate, flags) in [("", &["--max-cost", "0.004"][..]), ("gate: {max_cost_usd: 0.004}\n", &[][..])] {
        let server = Server::start(LOSING);
        let project = project(&suite(gate), &server);
        let mut arguments = vec!["--endpoint", "anthropic", "--max-concurrency", "16"];
        arguments.extend(flags);
        let (ran, report) = project.report(&arguments);
        assert_eq!(ran.code, 6, "{ran:?}");
        assert!(billed_millionths(&server) <= 4000, "{} millionths of a dollar", billed_millionths(&server));
        assert!(total(&report, "passed") > 0 && total(&report, "skipped") > 0, "{}", report["totals"]);
        assert_eq!(total(&report, "failed"), 0);
    }
}

#[test]
fn the_report_says_what_was_left_out_and_what_it_would_cost_at_most() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = project(&suite(""), &server);
    let (ran, report) =
        project.report(&["--endpoint", "anthropic", "--max-cost", "0.002", "--junit", "junit.xml", "--markdown", "report.md"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    let left_out = total(&report, "skipped");
    let told = format!("the budget left out {left_out} cells");
    let problems = report["problems"].as_array().unwrap();
    assert!(problems.iter().any(|problem| problem["message"].as_str().unwrap().starts_with(&told)), "{problems:?}");
    assert!(ran.stdout.contains("it could have passed the budget"), "{}", ran.stdout);
    assert_eq!(project.read("junit.xml").matches("<skipped").count() as u64, left_out);
    let (again, report) = project.report(&["--endpoint", "anthropic", "--max-cost", "1"]);
    assert_eq!((again.code, total(&report, "requests_asked")), (0, left_out), "what was answered was not asked again");
}

#[test]
fn answers_that_are_stored_need_no_budget() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = project(&suite(""), &server);
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0);
    assert_eq!(project.run(&["run", "--endpoint", "anthropic", "--max-cost", "0"]).code, 0);
    assert_eq!(server.requests(), 60);
}

#[test]
fn the_hint_names_the_caps_that_are_too_low_and_no_other() {
    let server = Server::start(CAPITALS_SCRIPT);
    let hint = |gate: &str, max_cost: &str| {
        let project = project(&suite(gate), &server);
        let (ran, report) = project.report(&["--endpoint", "anthropic", "--max-cost", max_cost]);
        assert_eq!((ran.code, total(&report, "skipped")), (6, 60), "{ran:?}");
        let problem = &report["problems"][0];
        // A terminal says it too, and nothing that would leave the same out again.
        let printed = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = format!("hint: {}; {}", problem["message"].as_str().unwrap(), problem["hint"].as_str().unwrap());
        assert!(printed.contains(&told) && !printed.contains("asks only what is missing"), "{told}\n{printed}");
        problem["hint"].as_str().unwrap().to_owned()
    };
    let suites = hint("gate: {max_cost_usd: 0.00001}\n", "10");
    assert!(suites.contains("`max_cost_usd: 0.0") && suites.contains("suite `capitals`") && !suites.contains("--max-cost"), "{suites}");
    let runs = hint("gate: {max_cost_usd: 10}\n", "0.00001");
    assert!(runs.contains("`--max-cost 0.0") && !runs.contains("max_cost_usd"), "{runs}");
}
