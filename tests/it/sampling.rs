//! Do several samples cost what is new of them, and do all reports say how sure they are?

use serde_json::{Value, json};

use crate::harness::{Project, Server};

/// Of three requests in a row for France the third is answered wrong.
const SCRIPT: &str = "\
rules:
  - when: {text: France, call: 3}
    then: {text: Lyon}
  - when: {text: France}
    then: {text: Paris}
  - when: {text: Japan}
    then: {text: Tokyo}
";

fn project() -> Project {
    let project = Project::passing();
    project.edit("suites/capitals.yaml", "suite: capitals", "suite: capitals\npass: {rate: 0.5}");
    project
}

fn asked(report: &Value) -> (u64, u64) {
    (report["totals"]["requests_asked"].as_u64().unwrap(), report["totals"]["requests_cached"].as_u64().unwrap())
}

#[test]
fn more_samples_pay_for_the_new_ones_and_fewer_use_the_first() {
    let server = Server::start(SCRIPT);
    let mut project = project();
    project.ask(&server.url());
    let report = |samples: &str| project.report(&["--endpoint", "anthropic", "--samples", samples]).1;
    assert_eq!((asked(&report("2")), server.requests()), ((4, 0), 4));
    let plan = project.run(&["plan", "--json", "--endpoint", "anthropic", "--samples", "5"]);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["samples"], &plan["answered"]), (&json!(10), &json!(4)));
    assert_eq!((asked(&report("5")), server.requests()), ((6, 4), 10));
    let fewer = report("3");
    assert_eq!((asked(&fewer), server.requests()), ((0, 6), 10));
    let of_five = report("5");
    assert_eq!((asked(&of_five), server.requests()), ((0, 10), 10), "a replay is no new evidence");
    let keys = |report: &Value| report["cells"][0]["samples"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect::<Vec<_>>();
    assert_eq!(keys(&of_five)[..3], keys(&fewer)[..]);
}

#[test]
fn every_report_says_how_often_samples_pass_and_how_sure_that_is() {
    let server = Server::start(SCRIPT);
    let mut project = project();
    project.ask(&server.url());
    let arguments = ["--endpoint", "anthropic", "--samples", "3", "--junit", "junit.xml", "--markdown", "page.md"];
    let (ran, report) = project.report(&arguments);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = &report["cells"][0]["sampled"];
    assert_eq!((&told["passes"], &told["samples"], &told["k"]), (&json!(2), &json!(3), &json!(3)));
    assert_eq!((&told["pass_at_k"], &told["all_of_k_pass"]), (&json!(1.0), &json!(0.0)));
    assert!((told["interval"]["low"].as_f64().unwrap() - 0.207_659_6).abs() < 1e-6, "{told}");
    let model = &report["models"][0]["sampled"];
    assert_eq!((&model["passes"], &model["samples"], &model["all_of_k_pass"]), (&json!(5), &json!(6), &json!(0.5)));
    for told in ["pass@k", "pass^k", "5 of 6", "83.3 %"] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    let (junit, page) = (project.read("junit.xml"), project.read("page.md"));
    for told in
        [r#"name="samples_passed" value="2""#, r#"name="pass_rate_interval" value="20.7–93.9 %""#, r#"name="pass^3" value="50.0 %""#]
    {
        assert!(junit.contains(told), "{told}: {junit}");
    }
    assert!(page.contains("### Samples") && page.contains("| 5 of 6 | 83.3 % |") && page.contains("pass^3: 50.0 %"), "{page}");
    let shown = project.run(&["show", "france", "--endpoint", "anthropic", "--samples", "3"]);
    assert!(shown.stdout.contains("2 of 3 samples pass (95 % interval 20.7–93.9 %)"), "{}", shown.stdout);
}

#[test]
fn one_sample_has_no_interval_and_fewer_than_must_pass_is_refused() {
    let project = Project::passing();
    let (ran, report) = project.report(&["--samples", "1"]);
    assert_eq!(report["cells"][0]["sampled"], Value::Null);
    assert!(!ran.stdout.contains("pass@k"), "{}", ran.stdout);
    project.edit("suites/capitals.yaml", "suite: capitals", "suite: capitals\nsamples: 3\npass: {at_least: 2}");
    let refused = project.run(&["run", "--samples", "1"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("suite `capitals` asks that 2 samples pass") && refused.stderr.contains("--samples 2"),
        "{}",
        refused.stderr
    );
    assert_eq!(project.run(&["run", "--samples", "0"]).code, 2);
}
