//! Is every request paid once where a run is answered by message batches, whatever happens in between, on the built binary?

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Project, Ran, Server};

/// A suite of so many cells, each with an answer of its own, and an endpoint at this server.
pub(crate) fn project(cells: usize, server: &Server) -> Project {
    let case = |number| format!("  - {{id: case-{number}, vars: {{number: {number}}}, assert: [{{equals: answer {number}.}}]}}\n");
    let mut project = Project::new()
        .write(
            "suites/numbers.yaml",
            &format!(
                "suite: numbers\nprompt: number\nmodels: [claude-haiku-4-5]\nrequest: {{max_tokens: 50}}\nsnapshot: {{compare: \"off\"}}\ncases:\n{}",
                (0..cells).map(case).collect::<String>()
            ),
        )
        .write("suites/prompts/number/1.md", "answer {{ number }}.\n");
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", "endpoint = \"anthropic\"\n");
    project.ask(&server.url());
    project
}

/// Says what it is asked, after these rules; `batches` is what stands below `batches:`.
pub(crate) fn server(rules: &str, batches: &str) -> Server {
    Server::start(&format!("rules: [{rules}]\nbatches: {{{batches}}}\notherwise: {{text: '{{{{ prompt }}}}'}}\n"))
}

fn count(stats: &Value, name: &str) -> u64 {
    stats["batches"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
}

/// One batch of so many requests was created, nothing was asked singly, and the report's bill is that of the simulator.
fn paid_once(server: &Server, report: &Value, cells: u64) {
    let stats = server.stats();
    assert_eq!((count(&stats, "created"), count(&stats, "requests")), (1, cells), "{stats}");
    assert_eq!(stats["bill"]["messages_usd"], "0.00", "{stats}");
    assert_eq!(report["bill"]["simulated_usd"], stats["bill"]["usd"], "{}", report["bill"]);
    assert_eq!(report["totals"]["passed"], cells, "{}", report["totals"]);
}

pub(crate) fn spawn(project: &Project, arguments: &[&str]) -> Child {
    project.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the simulator's books say so.
pub(crate) fn until(server: &Server, mut holds: impl FnMut(&Value) -> bool) {
    let begun = Instant::now();
    while !holds(&server.stats()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "what was waited for does not come: {}", server.stats());
        std::thread::yield_now();
    }
}

fn signal(child: &Child, name: &str) {
    #[expect(clippy::disallowed_methods, reason = "the test plays the person at the keyboard")]
    let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn ended(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
}

/// A run that asks for a batch, the so-manieth of its server, and is ended while it waits for it.
fn left_waiting(project: &Project, server: &Server, arguments: &[&str], created: u64) {
    let child = spawn(project, &[&["run", "--batch"], arguments].concat());
    until(server, |stats| count(stats, "created") == created);
    signal(&child, "-INT");
    let (code, stderr) = ended(child);
    assert_eq!(code, 130, "{stderr}");
}

fn served(report: &Value) -> Vec<String> {
    let of = |cell: &Value| {
        let sample = &cell["samples"][0];
        sample["reply"]["served"].as_str().or_else(|| sample["error"]["kind"].as_str()).unwrap_or("none").to_owned()
    };
    report["cells"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_run_is_answered_by_one_batch_at_half_price_and_the_next_by_the_store() {
    let server = server("", "polls: 2");
    let project = project(5, &server);
    let (ran, report) = project.report(&["--batch", "--html", "report.html", "--junit", "junit.xml"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(served(&report), ["batch"; 5], "in whatever order the results come");
    paid_once(&server, &report, 5);
    let reply = &report["cells"][0]["samples"][0]["reply"];
    assert_eq!(reply["usage"]["service_tier"], "batch");
    for said in ["batch msgbatch_01SIM", "of 5 requests to anthropic", "has ended after", "5 succeeded"] {
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    }
    let (_, report) = project.report(&[]);
    assert_eq!(served(&report), ["stored"; 5]);
    assert_eq!(count(&server.stats(), "created"), 1);
    let status = project.run(&["batch", "status"]);
    assert!(status.code == 0 && status.stdout.contains("5 requests") && status.stdout.contains("its results are stored"), "{status:?}");
}

#[test]
fn params_in_a_batch_are_what_would_be_sent_singly() {
    let server = server("", "polls: 1");
    let project = project(1, &server);
    assert_eq!(project.run(&["run", "--batch"]).code, 0);
    assert_eq!(project.run(&["run", "--cache", "refresh"]).code, 0);
    let bodies: Vec<Value> = server.journal().iter().filter_map(|received| serde_json::from_slice(&received.body).ok()).collect();
    let batch = bodies.iter().find_map(|body| body["requests"].get(0)).unwrap_or_else(|| panic!("{bodies:?}"));
    let single = bodies.iter().find(|body| body["messages"].is_array()).unwrap();
    assert_eq!(&batch["params"], single);
}

#[test]
fn every_kind_of_result_ends_as_it_should() {
    let rules = "{when: {text: answer 1., call: 1}, then: {status: 529}}, {when: {text: answer 2.}, then: {status: 400}}";
    let server = server(rules, "polls: 2, expire: ['*-3-*']");
    let project = project(6, &server);
    let (ran, report) = project.report(&["--batch"]);
    assert_eq!(ran.code, 3, "one request is invalid: {ran:?}");
    assert_eq!(served(&report), ["batch", "fresh", "invalid_request", "fresh", "batch", "batch"], "{report}");
    let stats = server.stats();
    assert_eq!((count(&stats, "created"), stats["batches"]["results"]["succeeded"].as_u64()), (1, Some(3)), "{stats}");
    assert_eq!(report["bill"]["simulated_usd"], stats["bill"]["usd"], "what failed in the batch is not paid: {stats}");
    let error = &report["cells"][2]["samples"][0]["error"];
    assert!(error["message"].as_str().unwrap().contains("msgbatch_"), "{error}");
    assert!(ran.stderr.contains("1 of 6 requests of batch"), "{ran:?}");
}

/// Kills `run --batch` when the simulator's books say so, and resumes it.
fn killed(server: &Server, cells: usize, when: impl FnMut(&Value) -> bool) -> (Project, Ran, Value) {
    let project = project(cells, server);
    let mut child = spawn(&project, &["run", "--batch"]);
    until(server, when);
    assert!(child.try_wait().unwrap().is_none(), "it was to be killed under way");
    child.kill().unwrap();
    child.wait().unwrap();
    let (ran, report) = project.report(&["--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    (project, ran, report)
}

#[test]
fn killed_before_its_creation_happened_it_is_created_once() {
    let server = server("", "polls: 2, rules: [{when: {on: create, call: 1}, then: {fault: hang}}]");
    let (_, _, report) = killed(&server, 4, |stats| stats["batches"]["calls"]["create"] == 1);
    paid_once(&server, &report, 4);
}

#[test]
fn killed_before_its_creation_was_answered_it_is_found_by_listing() {
    let server = server("", "polls: 2, rules: [{when: {on: create, call: 1}, then: {fault: stall}}]");
    let (_, ran, report) = killed(&server, 4, |stats| stats["batches"]["created"] == 1);
    paid_once(&server, &report, 4);
    assert!(ran.stderr.contains("it is looked for before anything is asked again"), "{ran:?}");
}

#[test]
fn killed_while_it_waited_it_waits_again() {
    let server = server("", "takes: 3s");
    let (_, ran, report) = killed(&server, 4, |stats| stats["batches"]["calls"]["retrieve"].as_u64() >= Some(1));
    paid_once(&server, &report, 4);
    assert!(ran.stderr.contains("is under way already") || ran.stderr.contains("has ended"), "{ran:?}");
}

#[test]
fn killed_while_its_results_came_it_reads_them_again_and_stores_each_once() {
    let server = server("", "polls: 1, rules: [{when: {on: results, call: 1}, then: {fault: stall}}]");
    let (project, _, report) = killed(&server, 40, |stats| stats["batches"]["calls"]["results"] == 1);
    paid_once(&server, &report, 40);
    let database = rusqlite::Connection::open(project.path(".promptkeel/store.db")).unwrap();
    let answers: u32 = database.query_row("SELECT count(*) FROM answers", [], |row| row.get(0)).unwrap();
    assert_eq!(answers, 40);
}

#[test]
fn results_that_came_short_though_properly_ended_are_read_again_and_nothing_is_asked_twice() {
    let server = server("", "polls: 1, rules: [{when: {on: results, call: 1}, then: {fault: invalid_json}}]");
    let project = project(6, &server);
    let (ran, report) = project.report(&["--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    paid_once(&server, &report, 6);
    assert_eq!(server.stats()["batches"]["calls"]["results"], 2);
}

#[test]
fn results_that_stay_short_leave_the_batch_to_the_next_run() {
    let server = server("", "polls: 1, rules: [{when: {on: results, call: '1..5'}, then: {fault: invalid_json}}]");
    let project = project(6, &server);
    let (ran, report) = project.report(&["--batch"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("of 6 lines came") && ran.stderr.contains("promptkeel batch forget msgbatch_"), "{ran:?}");
    let (came, _): (Vec<String>, Vec<String>) = served(&report).into_iter().partition(|served| served == "batch");
    assert!(!came.is_empty(), "what did come is judged: {report}");
    let (ran, report) = project.report(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let again = served(&report).into_iter().filter(|served| served == "batch").count();
    assert_eq!(came.len() + again, 6, "each answer is on one bill: {report}");
    let stats = server.stats();
    assert_eq!((count(&stats, "created"), &stats["bill"]["messages_usd"]), (1, &Value::from("0.00")), "{stats}");
    assert_eq!(report["totals"]["passed"], 6, "{}", report["totals"]);
}

#[test]
fn a_creation_whose_answer_was_lost_is_found_and_not_repeated() {
    for fault in ["lost", "cut", "invalid_json"] {
        let server = server("", &format!("polls: 2, rules: [{{when: {{on: create, call: 1}}, then: {{fault: {fault}}}}}]"));
        let (ran, report) = project(4, &server).report(&["--batch"]);
        assert_eq!(ran.code, 0, "{fault}: {ran:?}");
        paid_once(&server, &report, 4);
        assert_eq!(server.stats()["batches"]["calls"]["create"], 1, "{fault}");
    }
}

#[test]
fn a_batch_whose_results_came_without_a_line_is_not_taken_for_somebody_elses() {
    // Of the one line that there is, half comes.
    let server = server(
        "",
        "polls: 1, rules: [{when: {on: create, call: 1}, then: {fault: lost}}, {when: {on: results, call: 1}, then: {fault: invalid_json}}]",
    );
    let (ran, report) = project(1, &server).report(&["--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    paid_once(&server, &report, 1);
    assert_eq!(server.stats()["batches"]["calls"]["create"], 1);
}

#[test]
fn a_creation_that_failed_is_repeated_only_when_it_did_not_happen() {
    for then in ["{fault: drop}", "{status: 500}", "{status: 529}", "{status: 429}"] {
        let server = server("", &format!("polls: 2, rules: [{{when: {{on: create, call: 1}}, then: {then}}}]"));
        let (ran, report) = project(4, &server).report(&["--batch"]);
        assert_eq!(ran.code, 0, "{then}: {ran:?}");
        paid_once(&server, &report, 4);
        assert_eq!(server.stats()["batches"]["calls"]["create"], 2, "{then}");
    }
}

#[test]
fn a_batch_of_somebody_else_with_as_many_requests_is_not_taken_for_ours() {
    let server = server("", "polls: 2, rules: [{when: {on: create, call: 2}, then: {fault: drop}}]");
    let other = project(4, &server);
    assert_eq!(other.run(&["run", "--batch"]).code, 0);
    // It stands in the list as ours would, and is as large.
    let ours = project(4, &server);
    ours.edit("suites/prompts/number/1.md", "answer {{ number }}.", "answer {{ number }}. \n");
    let (ran, report) = ours.report(&["--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(served(&report), ["batch"; 4]);
    let stats = server.stats();
    assert_eq!((count(&stats, "created"), &stats["batches"]["calls"]["create"]), (2, &Value::from(3)), "{stats}");
}

#[test]
fn two_processes_at_once_share_one_batch_and_one_of_them_has_it_on_its_bill() {
    let server = server("", "takes: 2s");
    let project = project(6, &server);
    let first = spawn(&project, &["run", "--batch", "--json", "first.json"]);
    let second = spawn(&project, &["run", "--batch", "--json", "second.json"]);
    let (first, second) = (ended(first), ended(second));
    assert_eq!((first.0, second.0), (0, 0), "{first:?} {second:?}");
    let stats = server.stats();
    assert_eq!((count(&stats, "created"), count(&stats, "requests")), (1, 6), "{stats}");
    let reports = ["first.json", "second.json"].map(|file| serde_json::from_str::<Value>(&project.read(file)).unwrap());
    let mut asked = reports.clone().map(|report| report["totals"]["requests_asked"].as_u64().unwrap());
    asked.sort_unstable();
    assert_eq!(asked, [0, 6], "{reports:?}");
    let mut served = reports.map(|report| served(&report));
    served.sort();
    assert!(served[0] == ["batch"; 6] && (served[1] == ["shared"; 6] || served[1] == ["stored"; 6]), "{served:?}");
}

#[test]
fn ctrl_c_leaves_the_batch_running_and_says_how_to_go_on() {
    let server = server("", "takes: 3s");
    let project = project(4, &server);
    let child = spawn(&project, &["run", "--batch"]);
    until(&server, |stats| stats["batches"]["calls"]["retrieve"].as_u64() >= Some(1));
    signal(&child, "-INT");
    let (code, stderr) = ended(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(stderr.contains("goes on without this run") && stderr.contains("`promptkeel batch cancel msgbatch_"), "{stderr}");
    let status = project.run(&["batch", "status"]);
    assert!(status.stdout.contains("in_progress, 4 in processing"), "{status:?}");
    // Without the flag too: what is paid is waited for.
    let (ran, report) = project.report(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    paid_once(&server, &report, 4);
}

#[test]
fn the_time_limit_of_the_run_ends_waiting_and_that_of_a_case_does_not() {
    let server = server("", "takes: 4s");
    let project = project(2, &server);
    project.edit("promptkeel.toml", "endpoint = \"anthropic\"\n", "endpoint = \"anthropic\"\ncase_timeout = \"1s\"\n");
    let (ran, report) = project.report(&["--batch", "--run-timeout", "1s"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(report["totals"]["skipped"], 2, "{report}");
    assert!(ran.stderr.contains("goes on without this run"), "{ran:?}");
    let (ran, report) = project.report(&["--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    paid_once(&server, &report, 2);
}

#[test]
fn a_watch_asks_for_nothing_that_a_batch_under_way_holds() {
    let server = server("", "polls: 100000");
    let project = project(3, &server);
    left_waiting(&project, &server, &[], 1);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = project.command(&["run", "--watch"]);
    let mut watch = command.stdout(writer.try_clone().unwrap()).stderr(writer).stdin(Stdio::null()).spawn().unwrap();
    drop(command);
    let mut heard = String::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(reader)).map_while(Result::ok) {
        heard.push_str(&line);
        if line.contains("Ctrl-C ends") {
            break;
        }
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert!(heard.contains("3 answers left to batch msgbatch_01SIM"), "{heard}");
    let stats = server.stats();
    assert_eq!((count(&stats, "created"), &stats["bill"]["messages_usd"]), (1, &Value::from("0.00")), "{stats}");
}

#[test]
fn a_batch_that_begins_while_a_run_asks_singly_and_that_run_pay_for_nothing_twice() {
    let server = server("{when: {text: answer}, then: {text: '{{ prompt }}', delay: 1s}}", "polls: 100000");
    let project = project(10, &server);
    let single =
        spawn(&project, &["run", "--max-concurrency", "1", "--json", "report.json", "--junit", "junit.xml", "--markdown", "summary.md"]);
    until(&server, |_| server.requests() >= 1);
    // It stands still in the middle of a request until the batch is there.
    signal(&single, "-STOP");
    let batch = spawn(&project, &["run", "--batch"]);
    until(&server, |stats| stats["batches"]["created"] == 1);
    signal(&batch, "-INT");
    ended(batch);
    let plan = project.run(&["plan"]);
    signal(&single, "-CONT");
    let (code, stderr) = ended(single);
    assert_eq!(code, 3, "{stderr}");
    let stats = server.stats();
    let (singly, held) = (stats["tokens"]["billed"]["replies"].as_u64().unwrap(), count(&stats, "requests"));
    assert_eq!((count(&stats, "created"), singly + held), (1, 10), "{stats}");
    let report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
    assert_eq!((&report["totals"]["passed"], &report["totals"]["skipped"]), (&singly.into(), &held.into()), "{stderr}");
    let skipped: Vec<&str> =
        report["cells"].as_array().unwrap().iter().filter_map(|cell| cell["samples"][0]["skipped"]["batch"].as_str()).collect();
    let said = skipped[0];
    assert!(said.starts_with("batch msgbatch_01SIM") && said.ends_with(" holds this request: run again to wait for it"), "{said}");
    assert_eq!(skipped, vec![said; usize::try_from(held).unwrap()], "{report:#}");
    let (junit, markdown) = (project.read("junit.xml"), project.read("summary.md"));
    for (text, words) in [(&junit, "<skipped type=\"batch\" message=\"nothing was asked: "), (&markdown, "")] {
        assert!(text.contains(&format!("{words}{said}")) && !text.contains("is down"), "{text}");
    }
    assert!(
        stderr.contains(&format!("{held} answers left to batch msgbatch_01SIM")) && stderr.contains("`promptkeel run` waits for it"),
        "{stderr}"
    );
    assert!(plan.stdout.contains(&format!("{held} samples are in batches under way")), "{plan:?}");
    // Nor does anything else ask for them.
    let calibrated = project.run(&["calibrate", "--runs", "2"]);
    assert_eq!(calibrated.code, 3, "{calibrated:?}");
    assert!(calibrated.stderr.contains(&format!("{held} answers left to batch")), "{calibrated:?}");
    assert_eq!(server.stats()["tokens"]["billed"]["replies"], singly + 10, "the second run of each cell alone: {calibrated:?}");
}

#[test]
fn a_plan_and_the_first_line_of_a_run_leave_out_what_a_batch_under_way_was_paid_for() {
    let server = server("", "polls: 100000");
    let project = project(5, &server);
    let price = |arguments: &[&str]| -> Value {
        let ran = project.run(&[&["plan", "--json"], arguments].concat());
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    };
    let before = price(&[]);
    assert_eq!(
        (&before["under_way"], &price(&["--batch"])["estimate"]["saved_by_batch_usd"]),
        (&0.into(), &price(&["--batch"])["estimate"]["usd"])
    );
    left_waiting(&project, &server, &["--case", "case-[0-2]"], 1);
    insta::assert_snapshot!("plan_with_a_batch_under_way", project.run(&["plan"]).transcript());
    let told = price(&[]);
    assert_eq!((&told["under_way"], &told["answered"], &told["models"][0]["to_ask"]), (&3.into(), &0.into(), &2.into()), "{told}");
    let counted = price(&["--exact"]);
    assert_eq!((&counted["under_way"], &counted["estimate"]["prompts_counted"]), (&3.into(), &2.into()), "{counted}");
    // Whoever asks for it again pays for it again.
    assert_eq!(price(&["--batch=off"]), before);
    let ran = project.run(&["run", "--run-timeout", "1s"]);
    let said = ran.stderr.lines().find(|line| line.starts_with("running ")).unwrap_or_else(|| panic!("{ran:?}"));
    insta::assert_snapshot!(said, @"running 5 cells (5 samples, 0 already answered, 3 in batches under way, about $0.000522, at most $0.0026)");
    // All of it is paid: nothing is left to be asked about. But any of it may come back without an answer.
    left_waiting(&project, &server, &[], 2);
    let told = price(&["--exact"]);
    assert_eq!(
        (&told["under_way"], &told["estimate"]["usd"], &told["upper_bound_usd"]),
        (&5.into(), &"0.00".into(), &before["upper_bound_usd"]),
        "{told}"
    );
}

#[test]
fn a_batch_of_an_earlier_run_that_cost_more_than_the_cap_ends_with_6_and_its_verdicts_stand() {
    let server = server("", "takes: 3s");
    let project = project(3, &server);
    left_waiting(&project, &server, &[], 1);
    let (ran, report) = project.report(&["--batch", "--max-cost", "0.000001"]);
    assert_eq!((ran.code, &report["totals"]["passed"]), (6, &3.into()), "{ran:?}");
    let gate = report["gates"].as_array().unwrap().iter().find(|gate| gate["kind"] == "budget").unwrap_or_else(|| panic!("{report}"));
    assert!(gate["message"].as_str().unwrap().starts_with("what a batch of an earlier run cost is over `--max-cost`"), "{gate}");
    paid_once(&server, &report, 3);
    let (ran, _) = project.report(&["--batch", "--max-cost", "0"]);
    assert_eq!(ran.code, 0, "answers from the store cost nothing: {ran:?}");
}

#[test]
fn a_batch_that_is_too_large_for_a_gateway_is_asked_in_halves() {
    let server = server("", "polls: 1, rules: [{when: {on: create, call: 1}, then: {status: 413}}]");
    let (ran, report) = project(9, &server).report(&["--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(served(&report), ["batch"; 9]);
    let stats = server.stats();
    assert_eq!((count(&stats, "requests"), &stats["bill"]["messages_usd"]), (9, &Value::from("0.00")), "{stats}");
    assert!((2..=3).contains(&count(&stats, "created")), "{stats}");
    assert_eq!(report["bill"]["simulated_usd"], stats["bill"]["usd"]);
}

#[test]
fn what_is_too_large_for_a_batch_all_alone_is_asked_singly() {
    let server = server("", "polls: 1, rules: [{when: {on: create}, then: {status: 413}}]");
    let (ran, report) = project(9, &server).report(&["--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(served(&report), ["fresh"; 9]);
    assert!(ran.stderr.contains("a batch of a single request is too large for endpoint `anthropic`"), "{ran:?}");
    let stats = server.stats();
    assert_eq!((count(&stats, "created"), &report["bill"]["simulated_usd"]), (0, &stats["bill"]["usd"]), "{stats}");
    // All nine, a half, perhaps a quarter, and three alone.
    assert!(stats["batches"]["calls"]["create"].as_u64() <= Some(6), "{stats}");
}

#[test]
fn a_canceled_batch_keeps_what_it_answered_and_the_next_run_asks_the_rest() {
    let server = server("", "takes: 5s");
    let project = project(10, &server);
    let child = spawn(&project, &["run", "--batch", "--json", "first.json"]);
    until(&server, |stats| stats["batches"]["calls"]["retrieve"].as_u64() >= Some(2));
    let canceled = project.run(&["batch", "cancel"]);
    assert!(canceled.code == 0 && canceled.stdout.contains("canceling, 10 in processing"), "{canceled:?}");
    let (code, stderr) = ended(child);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("was canceled"), "{stderr}");
    let stats = server.stats();
    let left = stats["batches"]["results"]["canceled"].as_u64().unwrap();
    assert!(left > 0, "{stats}");
    let first: Value = serde_json::from_str(&project.read("first.json")).unwrap();
    let skipped = first["cells"].as_array().unwrap().iter().find_map(|cell| cell["samples"][0]["skipped"]["batch"].as_str());
    assert!(skipped.is_some_and(|words| words.contains("was canceled") && words.contains("; run again")), "{first:#}");
    assert_eq!((&first["totals"]["skipped"], &first["bill"]["simulated_usd"]), (&left.into(), &stats["bill"]["usd"]), "{first}");
    let again = project.run(&["batch", "cancel"]);
    assert!(again.code == 2 && again.stderr.contains("no batch is under way"), "{again:?}");
    let (ran, report) = project.report(&[]);
    assert_eq!((ran.code, &report["totals"]["passed"]), (0, &10.into()), "{ran:?}");
}

#[test]
fn an_endpoint_without_batches_is_told_and_automatic_ones_are_asked_singly() {
    let server = server("", "rules: [{then: {status: 404}}]");
    let project = project(100, &server);
    let ran = project.run(&["run", "--batch"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("endpoint `anthropic` has no message batches") && ran.stderr.contains("leave `--batch` out"), "{ran:?}");
    assert_eq!(server.stats()["tokens"]["billed"]["replies"], 0);
    let (ran, report) = project.report(&["--batch=auto"]);
    assert_eq!((ran.code, &report["totals"]["passed"]), (0, &100.into()), "{ran:?}");
    assert!(ran.stderr.contains("has no message batches"), "{ran:?}");
}

#[test]
fn automatic_batches_begin_at_a_hundred_requests_and_a_suite_or_the_settings_say_so() {
    let server = server("", "polls: 1");
    let small = project(99, &server);
    assert_eq!(small.run(&["run", "--batch=auto"]).code, 0);
    assert_eq!(count(&server.stats(), "created"), 0);
    let large = project(100, &server);
    large.edit("suites/numbers.yaml", "prompt: number\n", "prompt: number\nbatch: auto\n");
    assert_eq!(large.run(&["run"]).code, 0);
    assert_eq!(count(&server.stats(), "created"), 1);
    let set = project(2, &server);
    set.edit("promptkeel.toml", "endpoint = \"anthropic\"\n", "endpoint = \"anthropic\"\nbatch = \"on\"\n");
    // What judges how long a reply took is asked singly.
    set.edit("suites/numbers.yaml", "[{equals: answer 1.}]", "[{equals: answer 1.}, {max_latency_ms: 60000}]");
    let (ran, report) = set.report(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(served(&report), ["batch", "fresh"]);
}

#[test]
fn the_worst_case_of_a_batch_counts_at_half_price_before_it_is_created() {
    let server = server("", "polls: 1");
    let project = project(4, &server);
    let plan: Value = serde_json::from_str(&project.run(&["plan", "--json"]).stdout).unwrap();
    let most: f64 =
        plan["price"]["upper_bound_usd"].as_str().or(plan["upper_bound_usd"].as_str()).unwrap_or_else(|| panic!("{plan}")).parse().unwrap();
    // Half of it holds them all in a batch; a little less leaves one out.
    let (ran, report) = project.report(&["--batch", "--max-cost", &format!("{:.9}", most / 2.0 * 0.99)]);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert_eq!((&report["totals"]["passed"], &report["totals"]["skipped"]), (&3.into(), &1.into()), "{ran:?}");
    assert_eq!(count(&server.stats(), "requests"), 3);
    let (ran, report) = project.report(&["--batch", "--max-cost", &format!("{:.9}", most / 2.0)]);
    assert_eq!((ran.code, &report["totals"]["passed"]), (0, &4.into()), "{ran:?}");
}

#[test]
fn refused_batches_leave_their_cells_out_and_say_why() {
    let server = server("", "rules: [{when: {on: create}, then: {status: 400, message: batches are closed today}}]");
    let (ran, report) = project(3, &server).report(&["--batch"]);
    assert_eq!((ran.code, &report["totals"]["skipped"]), (3, &3.into()), "{ran:?}");
    assert!(ran.stderr.contains("batches are closed today"), "{ran:?}");
    assert_eq!(server.stats()["bill"]["usd"], "0.00");
}

#[test]
fn a_refresh_asks_everything_again_in_a_batch_and_a_killed_one_is_resumed_by_the_same_command() {
    let server = server("", "takes: 2s");
    let project = project(3, &server);
    assert_eq!(project.run(&["run", "--batch"]).code, 0);
    let mut child = spawn(&project, &["run", "--batch", "--cache", "refresh"]);
    until(&server, |stats| stats["batches"]["created"] == 2);
    until(&server, |stats| stats["batches"]["calls"]["retrieve"].as_u64() >= Some(4));
    child.kill().unwrap();
    child.wait().unwrap();
    let (ran, report) = project.report(&["--batch", "--cache", "refresh"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!((served(&report), count(&server.stats(), "created")), (vec!["batch".to_owned(); 3], 2));
}

#[test]
fn a_batch_that_the_endpoint_does_not_know_is_not_asked_again_before_it_is_forgotten() {
    let first = server("", "takes: 60s");
    let mut project = project(3, &first);
    left_waiting(&project, &first, &[], 1);
    // The same address in name, another workspace behind it: what the answers are stored under is the same.
    let url = first.url();
    drop(first);
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let other = Server::with(
        "otherwise: {text: '{{ prompt }}'}",
        promptkeel::sim::server::Options { address: ([127, 0, 0, 1], port).into(), ..Default::default() },
    );
    project.ask(&other.url());
    let (ran, report) = project.report(&["--batch"]);
    assert_eq!((ran.code, &report["totals"]["skipped"]), (3, &3.into()), "{ran:?}");
    assert_eq!(count(&other.stats(), "created"), 0);
    let id =
        ran.stderr.split("`promptkeel batch forget ").nth(1).and_then(|rest| rest.split('`').next()).unwrap_or_else(|| panic!("{ran:?}"));
    let forgotten = project.run(&["batch", "forget", id]);
    assert!(forgotten.code == 0 && forgotten.stdout.contains("3 requests are asked again"), "{forgotten:?}");
    assert_eq!(project.run(&["run", "--batch"]).code, 0);
    assert_eq!(count(&other.stats(), "created"), 1);
}

#[test]
fn the_simulator_in_process_has_batches_that_live_as_long_as_the_run() {
    let project = Project::passing();
    let (ran, report) = project.report(&["--batch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(served(&report), ["batch", "batch"]);
}

#[test]
fn without_batches_there_is_nothing_to_look_after() {
    let project = Project::passing();
    for arguments in
        [&["batch", "status"][..], &["batch", "cancel"], &["batch", "forget", "msgbatch_1"], &["batch", "status", "msgbatch_1"]]
    {
        insta::assert_snapshot!(format!("batch_{}", arguments.join("_")), project.run(arguments).transcript());
    }
    for arguments in
        [&["batch", "--help"][..], &["batch", "status", "--help"], &["batch", "cancel", "--help"], &["batch", "forget", "--help"]]
    {
        insta::assert_snapshot!(arguments.join("_"), project.run(arguments).transcript());
    }
    assert!(!project.exists(".promptkeel"), "nobody asked for a store");
}
