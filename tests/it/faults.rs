//! Does every cell get its verdict from a server that fails a third of all requests, or dies in mid-run; and what does a dead one cost?

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use promptkeel::sim::server::Options;
use serde_json::Value;

use crate::harness::{Project, Server};

const FAULTS: &str = "\
faults: {rate: 0.34, kinds: [rate_limit, overloaded, server_error, drop, cut, html], retry_after: 1}
otherwise: {text: fine}
";

/// A suite of so many cases, each with a question of its own, and these lines of `[run]`.
fn project(cases: usize, run: &str) -> Project {
    let mut suite = "suite: questions\nprompt: question\nmodels: [claude-haiku-4-5]\nrequest: {max_tokens: 50}\nassert: [{equals: fine}]\n\
                     snapshot: {compare: off}\ncases:\n"
        .to_owned();
    for number in 0..cases {
        suite.push_str(&format!("  - {{id: case-{number:03}, vars: {{number: \"{number:03}\"}}}}\n"));
    }
    Project::new()
        .write("promptkeel.toml", &format!("[run]\nendpoint = \"anthropic\"\n{run}"))
        .write("suites/questions.yaml", &suite)
        .write("suites/prompts/question/1.md", "This is question {{ number }}.\n")
}

fn cells(report: &Value) -> &Vec<Value> {
    report["cells"].as_array().unwrap()
}

/// The attempts of a cell with one sample, those of its error where it has no reply.
fn attempts(cell: &Value) -> &[Value] {
    let sample = &cell["samples"][0];
    let attempts = if sample["reply"].is_null() { &sample["error"]["attempts"] } else { &sample["reply"]["attempts"] };
    attempts.as_array().map_or(&[], Vec::as_slice)
}

/// Every cell passed, and was asked once more than it failed.
fn assert_all_passed(report: &Value, count: usize) {
    assert_eq!(cells(report).len(), count);
    for cell in cells(report) {
        assert_eq!(cell["verdict"], "pass", "{cell:#}");
        let failed = attempts(cell).iter().filter(|attempt| !attempt["error"].is_null()).count();
        assert_eq!(attempts(cell).len(), failed + 1, "{cell:#}");
    }
}

#[test]
fn of_a_server_where_a_third_of_the_requests_fail_every_cell_gets_its_verdict() {
    let server = Server::with(FAULTS, Options { journal: 10_000, ..Options::default() });
    // What a fault is does not depend on how long the pauses are.
    let mut project = project(300, "max_retry_after = \"100ms\"\n");
    project.ask(&server.url());
    let (ran, report) = project.report(&["--junit", "junit.xml", "--markdown", "report.md"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_all_passed(&report, 300);
    // By the server's own books: each question as often as its cell has attempts, and no other.
    let mut asked: HashMap<String, usize> = HashMap::new();
    for request in server.journal() {
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        let number = body.split("This is question ").nth(1).unwrap()[..3].to_owned();
        *asked.entry(number).or_default() += 1;
    }
    assert_eq!(asked.len(), 300);
    for cell in cells(&report) {
        let case = cell["address"]["case"].as_str().unwrap();
        assert_eq!(asked[case.trim_start_matches("case-")], attempts(cell).len(), "{case}");
    }
    let all: Vec<&Value> = cells(&report).iter().flat_map(attempts).filter(|attempt| !attempt["error"].is_null()).collect();
    assert!((90..250).contains(&all.len()), "{} faults", all.len());
    for (status, kind, message) in [
        (429, "rate_limited", ""),
        (529, "overloaded", ""),
        (500, "server", ""),
        (502, "server", "html"),
        (200, "connection", "broke off"),
        (0, "connection", "before a response"),
    ] {
        let is = |attempt: &&&Value| {
            attempt["status"].as_u64().unwrap_or(0) == status
                && attempt["error"] == kind
                && attempt["message"].as_str().unwrap().contains(message)
        };
        assert!(all.iter().filter(is).count() > 3, "{status} {kind}");
    }
    // Who had to be asked again is told everywhere.
    let retried = cells(&report).iter().filter(|cell| attempts(cell).len() > 1).count();
    let told = format!("{retried} cells were answered after {} failed attempts: ", all.len());
    assert!(ran.stdout.contains(&told), "{told}\n{}", ran.stdout);
    assert!(project.read("report.md").contains(&told));
    assert_eq!(project.read("junit.xml").matches("<property name=\"retried\"").count(), retried);
    let most = cells(&report).iter().map(|cell| attempts(cell).len()).max();
    println!("{} requests for 300 cells, at most {most:?} for one", server.requests());
}

/// `promptkeel sim` as a process of its own, killed without notice when it is dropped.
struct Sim {
    child: Child,
    port: String,
    _out: Lines<BufReader<ChildStdout>>,
}

impl Sim {
    fn start(project: &Project, port: &str) -> Self {
        let mut command = project.command(&["sim", "--script", "script.yaml", "--port", port, "--latency", "5ms"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = out.next().unwrap().unwrap();
        Self { child, port: line.rsplit(':').next().unwrap().to_owned(), _out: out }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Runs all cells; the server dies when a third of them have their verdict, and comes back when promptkeel has noticed.
fn restarted(count: usize, concurrency: &str) -> Value {
    let mut project = project(count, "max_retry_after = \"100ms\"\n").write("script.yaml", FAULTS);
    let first = Sim::start(&project, "0");
    let port = first.port.clone();
    project.ask(&format!("http://127.0.0.1:{port}"));
    let mut command = project.command(&["run", "--events", "-", "--json", "report.json", "--max-concurrency", concurrency]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(run.stdout.take().unwrap()).lines().map(|line| {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        event["event"].as_str().unwrap().to_owned()
    });
    assert_eq!(events.by_ref().filter(|event| event == "cell").take(count / 3).count(), count / 3);
    drop(first);
    assert!(events.any(|event| event == "silent"), "the outage was not noticed");
    let second = Sim::start(&project, &port);
    assert_eq!(second.port, port);
    let rest: Vec<String> = events.collect();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rest.last().unwrap(), "finished");
    serde_json::from_str(&project.read("report.json")).unwrap()
}

#[test]
fn a_server_that_is_killed_and_started_again_in_mid_run_costs_no_verdict() {
    for (count, concurrency) in [(300, "8"), (60, "1")] {
        let report = restarted(count, concurrency);
        assert_all_passed(&report, count);
        let refused = |attempt: &&Value| attempt["message"].as_str().is_some_and(|message| message.contains("no connection"));
        assert!(cells(&report).iter().flat_map(attempts).any(|attempt| refused(&attempt)), "the server was never away");
        let most = cells(&report).iter().map(|cell| attempts(cell).len()).max();
        println!("concurrency {concurrency}: at most {most:?} requests for one of {count} cells");
    }
}

#[test]
fn an_endpoint_that_is_down_costs_a_handful_of_requests_and_says_where_to_look() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let failing = Server::start("otherwise: {status: 503}\n");
    let hanging = Server::start("otherwise: {fault: hang}\n");
    for (name, url, server) in [("nobody", nobody, None), ("503", failing.url(), Some(&failing)), ("hang", hanging.url(), Some(&hanging))] {
        let limits = "give_up_after = \"1s\"\nattempt_timeout = \"300ms\"\n";
        let mut project = project(200, &format!("{limits}[endpoints.anthropic]\nstatus_page = \"https://status.example\"\n"));
        project.ask(&url);
        let started = Instant::now();
        let (ran, report) = project.report(&["--junit", "junit.xml"]);
        let elapsed = started.elapsed();
        assert_eq!(ran.code, 3, "{name}: {ran:?}");
        assert!(elapsed < Duration::from_secs(15), "{name}: {elapsed:?}");
        let asked = cells(&report).iter().map(|cell| attempts(cell).len()).sum::<usize>();
        // Nine trip the circuit at concurrency 8, seven more may be under way by then, and two or three are probes.
        assert!(asked <= 30, "{name}: {asked} requests");
        if let Some(server) = server {
            assert_eq!(server.requests(), asked as u64, "{name}");
        }
        println!("{name}: {asked} requests, {elapsed:?}");
        // What was asked is an error with its attempts, the rest is skipped; both say why.
        let page = "https://status.example";
        for cell in cells(&report) {
            let sample = &cell["samples"][0];
            if attempts(cell).is_empty() {
                let reason = sample["skipped"]["endpoint_down"].as_str().unwrap_or_else(|| panic!("{name}: {cell:#}"));
                assert!(reason.starts_with("endpoint `anthropic` has given no usable answer for ") && reason.contains(page), "{reason}");
            } else {
                assert_eq!(sample["error"]["kind"], "unavailable", "{name}: {cell:#}");
                assert!(sample["error"]["hint"].as_str().unwrap().contains(page));
            }
        }
        let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("the endpoint is down: endpoint `anthropic` has given no usable answer for "), "{name}: {}", ran.stdout);
        assert!(words.contains(page), "{name}: {}", ran.stdout);
        assert!(project.read("junit.xml").contains("type=\"endpoint_down\""), "{name}");
    }
}

#[test]
fn the_time_limit_of_a_run_ends_asking_and_writes_every_report() {
    let server = Server::start("otherwise: {text: fine, delay: 200ms}\n");
    let mut project = project(60, "max_concurrency = 4\n");
    project.ask(&server.url());
    let (ran, report) = project.report(&["--run-timeout", "1s", "--junit", "junit.xml"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let skipped = cells(&report).iter().filter(|cell| cell["samples"][0]["skipped"] == "run_timeout").count();
    let passed = cells(&report).iter().filter(|cell| cell["verdict"] == "pass").count();
    assert_eq!(skipped + passed, 60, "{report:#}");
    // What was under way when the limit passed was finished.
    assert_eq!(server.requests(), passed as u64);
    assert!(passed >= 4 && skipped >= 4, "{passed} passed, {skipped} skipped");
    assert!(ran.stderr.contains("time limit: the run's 1.0 s have passed"), "{}", ran.stderr);
    assert!(ran.stdout.contains("the run's time limit of 1s passed"), "{}", ran.stdout);
    assert_eq!(project.read("junit.xml").matches("type=\"run_timeout\"").count(), skipped);
    // The setting says the same as the flag; what is answered is not asked again.
    project.edit("promptkeel.toml", "[run]\n", "[run]\nrun_timeout = \"1h\"\n");
    assert_eq!(project.run(&["run"]).code, 0);
    assert_eq!(server.requests(), 60);
    let refused = project.run(&["run", "--run-timeout", "0s"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("`0s` is not a duration"), "{}", refused.stderr);
}
