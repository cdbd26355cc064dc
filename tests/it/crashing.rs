//! Is nothing lost, and nothing half written, where a run is killed, suspended, interrupted or started twice?

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use promptkeel::sim::server::Options;
use promptkeel::store::Store;
use serde_json::Value;

use crate::harness::{Project, Server};

/// Requests under way at once.
const AT_ONCE: u64 = 4;

/// A suite of so many cells, each with an answer of its own.
fn project(cells: u64, server: &Server) -> Project {
    let case = |number| format!("  - {{id: case-{number}, vars: {{number: {number}}}, assert: [{{equals: answer {number}}}]}}\n");
    let mut project = Project::new()
        .write(
            "suites/numbers.yaml",
            &format!(
                "suite: numbers\nprompt: number\nmodels: [claude-haiku-4-5]\nrequest: {{max_tokens: 50}}\nsnapshot: {{on_change: warn}}\ncases:\n{}",
                (0..cells).map(case).collect::<String>()
            ),
        )
        .write("suites/prompts/number/1.md", "Answer number {{ number }}.\n");
    let settings = format!("endpoint = \"anthropic\"\nmax_concurrency = {AT_ONCE}\n");
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", &settings);
    project.ask(&server.url());
    project
}

fn server(cells: u64, latency: Duration) -> Server {
    let rule = |number| format!("  - {{when: {{text: number {number}.}}, then: {{text: answer {number}}}}}\n");
    let script = format!("rules:\n{}", (0..cells).map(rule).collect::<String>());
    Server::with(&script, Options { latency, ..Options::default() })
}

fn spawn(project: &Project, arguments: &[&str]) -> Child {
    project.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until this holds; `Some` where the process ended before.
fn until(child: &mut Child, mut holds: impl FnMut() -> bool) -> Option<ExitStatus> {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(120), "what was waited for does not come");
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::yield_now();
    }
    None
}

fn signal(child: &Child, name: &str) {
    #[expect(clippy::disallowed_methods, reason = "the test plays the person at the keyboard")]
    let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn json(project: &Project, path: &str) -> Value {
    serde_json::from_str(&project.read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap_or_else(|| panic!("no total {name} in {}", report["totals"]))
}

/// The events that were written whole.
fn events(project: &Project) -> Vec<Value> {
    let text = fs::read_to_string(project.path("events.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many answers are stored. Whatever happened before, the store opens, as it is, and is whole.
fn stored(project: &Project) -> u64 {
    let folder = project.path(".promptkeel");
    if !folder.join("store.db").exists() {
        return 0;
    }
    let warnings = Store::open(&folder).unwrap().warnings();
    // One that was killed while it made the file leaves an empty one.
    assert!(warnings.iter().all(|warning| warning.message.contains("was empty")), "{warnings:?}");
    let database = rusqlite::Connection::open(folder.join("store.db")).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    database.query_row("SELECT count(DISTINCT key) FROM answers", [], |row| row.get::<_, u32>(0)).unwrap().into()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() { open.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files
}

/// Reports and snapshots are there whole or not at all. How many snapshots there are.
fn nothing_is_half_written(project: &Project) -> usize {
    if project.exists("report.json") {
        assert!(json(project, "report.json")["exit"].is_string());
    }
    if project.exists("junit.xml") {
        roxmltree::Document::parse(&project.read("junit.xml")).unwrap();
    }
    let snapshots: Vec<PathBuf> =
        files(&project.path("snapshots")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "snap")).collect();
    for path in &snapshots {
        let case = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(path).unwrap();
        let answer = case.replace("case-", "answer ");
        assert!(text.starts_with("---\n") && text.ends_with(&format!("---\n{answer}\n")), "{}: {text}", path.display());
    }
    if project.exists("snapshots/numbers/prompts.toml") {
        let lock = project.read("snapshots/numbers/prompts.toml");
        assert!(lock.ends_with("\" }\n"), "{lock}");
    }
    snapshots.len()
}

/// What a process that was killed may leave beside the files that it was writing.
fn left_overs(project: &Project) -> Vec<PathBuf> {
    let is_temporary = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_str()
            .is_some_and(|name| name.starts_with('.') && (name.ends_with(".tmp") || name.ends_with(".snap.new")))
    };
    files(project.root()).into_iter().filter(is_temporary).collect()
}

#[test]
fn thirty_kills_lose_no_stored_answer_and_leave_nothing_half_written() {
    const CELLS: u64 = 150;
    const KILLS: u64 = 30;
    let server = server(CELLS, Duration::from_millis(15));
    let project = project(CELLS, &server);
    let run = ["run", "--update", "--json", "report.json", "--junit", "junit.xml", "--events", "events.jsonl"];
    let mut random = fastrand::Rng::with_seed(1_795_000_000);
    let (mut kills, mut kept, mut snapshots) = (0, 0, 0);
    while kills < KILLS {
        let _ = fs::remove_file(project.path("events.jsonl"));
        let mut child = spawn(&project, &run);
        // Mostly while it asks; where nothing is left to ask, and now and then before, anywhere in the run, the reports included.
        let ended = if kept < CELLS && random.u8(..) < 200 {
            let enough = server.requests() + random.u64(1..8);
            until(&mut child, || server.requests() >= enough)
        } else {
            let enough = random.u64(0..CELLS + 2);
            let lines =
                || fs::read(project.path("events.jsonl")).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count() as u64);
            until(&mut child, || lines() >= enough)
        };
        if ended.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        let now = stored(&project);
        let judged: HashSet<String> =
            events(&project).iter().filter(|event| event["event"] == "cell").map(|event| event["cell"]["address"].to_string()).collect();
        assert!(judged.len() as u64 <= now, "{} cells were judged, {now} answers are stored", judged.len());
        assert!(kept <= now, "{kept} answers were stored, {now} are left");
        kept = now;
        let whole = nothing_is_half_written(&project);
        assert!(snapshots <= whole, "an accepted snapshot went away");
        snapshots = whole;
    }
    let (last, report) = project.report(&["--update", "--junit", "junit.xml"]);
    assert_eq!((last.code, total(&report, "passed"), stored(&project)), (0, CELLS, CELLS), "{last:?}");
    assert_eq!(nothing_is_half_written(&project) as u64, CELLS);
    let left = left_overs(&project);
    assert!(left.is_empty(), "the next run clears away what a killed one left: {left:?}");
    let asked = server.requests();
    println!("{asked} requests for {CELLS} cells over {kills} kills of up to {AT_ONCE} requests under way");
    assert!((CELLS..=CELLS + KILLS * AT_ONCE).contains(&asked), "{asked} requests");
    // And nothing at all is asked from here on.
    assert_eq!((project.run(&["run"]).code, server.requests()), (0, asked));
}

#[test]
fn two_runs_at_once_ask_nothing_twice_and_are_both_right() {
    const CELLS: u64 = 80;
    let server = server(CELLS, Duration::from_millis(10));
    let project = project(CELLS, &server);
    let mut runs = ["one.json", "other.json"].map(|report| spawn(&project, &["run", "--json", report]));
    let codes = runs.each_mut().map(|run| run.wait().unwrap().code());
    assert_eq!((codes, server.requests()), ([Some(0), Some(0)], CELLS));
    let reports = ["one.json", "other.json"].map(|report| json(&project, report));
    assert_eq!(reports.each_ref().map(|report| total(report, "passed")), [CELLS, CELLS]);
    let asked: u64 = reports.iter().map(|report| total(report, "requests_asked")).sum();
    assert_eq!(asked, CELLS, "each answer is on one bill");
}

#[test]
fn a_run_goes_on_where_another_one_that_is_asking_is_killed_or_stands_still() {
    const CELLS: u64 = 24;
    for how in ["-KILL", "-STOP"] {
        let server = server(CELLS, Duration::from_millis(300));
        let project = project(CELLS, &server);
        // A suspended process is waited for as long as a case may take.
        project.edit("promptkeel.toml", "[run]\n", "[run]\ncase_timeout = \"2s\"\n");
        let mut first = spawn(&project, &["run", "--json", "first.json"]);
        assert_eq!(until(&mut first, || server.requests() >= AT_ONCE), None);
        let mut second = spawn(&project, &["run", "--json", "second.json"]);
        // Both ask by now: what one asks for the other one waits for.
        assert_eq!(until(&mut second, || server.requests() >= 3 * AT_ONCE), None);
        signal(&first, how);
        assert_eq!(second.wait().unwrap().code(), Some(0), "{how}");
        assert_eq!(total(&json(&project, "second.json"), "passed"), CELLS, "{how}");
        let asked = server.requests();
        assert!((CELLS..=CELLS + AT_ONCE).contains(&asked), "{asked} requests after {how}");
        signal_quietly(&first);
        let code = first.wait().unwrap().code();
        assert_eq!(code, if how == "-STOP" { Some(0) } else { None }, "a process that is woken up finishes its run");
    }
}

/// Wakes a suspended process; one that is gone stays gone.
fn signal_quietly(child: &Child) {
    #[expect(clippy::disallowed_methods, reason = "the test plays the person at the keyboard")]
    let _ = std::process::Command::new("kill").args(["-CONT", &child.id().to_string()]).stderr(Stdio::null()).status();
}

#[test]
fn a_termination_finishes_what_flies_and_writes_every_report() {
    const CELLS: u64 = 40;
    let server = server(CELLS, Duration::from_millis(400));
    let project = project(CELLS, &server);
    let mut child = spawn(&project, &["run", "--json", "report.json", "--junit", "junit.xml", "--markdown", "report.md"]);
    assert_eq!(until(&mut child, || server.requests() >= AT_ONCE), None);
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (asked, report) = (server.requests(), json(&project, "report.json"));
    assert_eq!((total(&report, "passed"), total(&report, "skipped")), (asked, CELLS - asked), "what was sent is judged, the rest says so");
    assert!(project.exists("report.md") && roxmltree::Document::parse(&project.read("junit.xml")).is_ok());
    assert_eq!(stored(&project), asked);
    assert_eq!((project.run(&["run"]).code, server.requests()), (0, CELLS));
}

/// Whether it listens to the signal of this number, as Linux shows.
#[cfg(target_os = "linux")]
fn listens(child: &Child, number: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_before_anything_is_under_way_leaves_at_once() {
    for (name, number) in [("-TERM", 15), ("-INT", 2)] {
        let server = server(1, Duration::ZERO);
        let project = project(1, &server);
        // What takes seconds to be read, and is nothing that a project may not have.
        let regexes: String = (60..90).map(|times| format!("  - not: {{regex: 'zz\\w{{{times}}}q'}}\n")).collect();
        project.edit("suites/numbers.yaml", "cases:\n", &format!("assert:\n{regexes}cases:\n"));
        let mut child = spawn(&project, &["run", "--json", "report.json"]);
        while !listens(&child, number) {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it listened");
        }
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
        assert!(!project.exists("report.json") && server.requests() == 0, "nothing was begun that a report could be of");
        for arguments in [&["plan"][..], &["show", "numbers"], &["cache", "export"]] {
            let mut child = spawn(&project, arguments);
            while !listens(&child, number) {
                assert_eq!(child.try_wait().unwrap(), None, "it ended before it listened");
            }
            signal(&child, name);
            assert_eq!(child.wait().unwrap().code(), Some(130), "{name}: {arguments:?}");
        }
    }
}

#[test]
fn a_second_signal_leaves_at_once_and_loses_nothing_that_was_stored() {
    for (first, second) in [("-INT", "-INT"), ("-TERM", "-INT"), ("-INT", "-TERM")] {
        let rules = "rules:\n  - {when: {text: number 0.}, then: {text: answer 0}}\notherwise: {fault: hang}\n";
        let server = Server::start(rules);
        let project = project(10, &server);
        let mut child = spawn(&project, &["run", "--json", "report.json", "--events", "events.jsonl"]);
        let heard = |name: &str| events(&project).iter().any(|event| event["event"] == name);
        assert_eq!(until(&mut child, || server.requests() > 1 && heard("cell")), None);
        signal(&child, first);
        assert_eq!(until(&mut child, || heard("interrupted")), None, "after one signal it waits for what flies");
        signal(&child, second);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{first} {second}");
        assert_eq!((stored(&project), project.exists("report.json")), (1, false));
        assert_eq!(left_overs(&project), Vec::<PathBuf>::new(), "{first} {second}");
    }
}
