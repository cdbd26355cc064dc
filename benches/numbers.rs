//! How fast is the whole program? The numbers that the project holds itself to, each against the simulator as a separate process.
//!
//! `cargo bench --bench numbers` prints a table: what was measured, the bar, and whether it holds. CONTRIBUTING.md, "Numbers", says how to
//! read it. Nothing fails where a bar is missed: times on shared machines are noisy, so most bars are ratios, and every round measures
//! both sides of its ratio right after one another. Linux only: peak memory is read from `/proc`.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints and fails by panicking")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Odd, so that a median is a value that occurred.
const ROUNDS: usize = 3;

/// Connections of `wrk`, and requests that promptkeel has under way.
const CONNECTIONS: usize = 64;

fn main() {
    println!("{:<60} {:>14} {:>14}  holds", "what", "measured", "bar");
    binary();
    start_up();
    let fresh = ten_thousand_cells();
    slow_server();
    limited_server();
    if std::env::var_os("PROMPTKEEL_BENCH_LARGE").is_some() {
        hundred_thousand_cells(&fresh);
    }
}

fn binary() {
    let size = std::fs::metadata(program()).unwrap().len() as f64 / 1e6;
    bar("binary", size, 25.0, "MB", size < 25.0);
}

fn start_up() {
    let command = || {
        let mut command = Command::new(program());
        command.arg("--version").stdout(Stdio::null());
        command
    };
    let mut times: Vec<f64> = (0..21).map(|_| timed(&mut command()) * 1000.0).collect();
    let peak = (0..5).map(|_| watched(&mut command()).1).fold(0.0, f64::max);
    let time = median(&mut times);
    bar("start: `--version`, median of 21", time, 10.0, "ms", time < 10.0);
    bar("  peak memory", peak, 15.0, "MB", peak < 15.0);
}

/// What one of the ten thousand took, for the comparison with ten times as many.
struct PerCell {
    fresh: f64,
    cached: f64,
}

fn ten_thousand_cells() -> PerCell {
    const CELLS: usize = 10_000;
    const ARGUMENTS: &[&str] = &["--json", "r.json", "--junit", "j.xml"];
    let (mut times, mut rates, mut ratios, mut cached) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // A new store and a new server each time: nothing may be left over from the round before.
        let (project, server) = (project(CELLS, CONNECTIONS), Server::start(&[]));
        let fresh = timed(&mut run(project.path(), &server.url, ARGUMENTS));
        assert_eq!(server.requests(), CELLS as u64, "every cell asks once");
        cached.push(timed(&mut run(project.path(), &server.url, ARGUMENTS)));
        assert_eq!(server.requests(), CELLS as u64, "the second run asks nothing");
        assert_reports(project.path(), CELLS);
        let rate = CELLS as f64 / fresh;
        if let Some(most) = wrk(&server.url) {
            rates.push(most);
            ratios.push(rate / most);
        }
        times.push(fresh);
    }
    let (fresh, cached) = (median(&mut times), median(&mut cached));
    fact("10,000 fresh cells, 3 assertions, stored, JSON and JUnit", fresh, "s");
    fact("  rate", CELLS as f64 / fresh, "/s");
    if ratios.is_empty() {
        println!("  `wrk` is not installed: the same server's own rate is not known");
    } else {
        fact("  `wrk` with the same body, 64 connections", median(&mut rates), "/s");
        let ratio = median(&mut ratios);
        bar("  share of the rate of `wrk`", ratio, 0.33, "", ratio >= 0.33);
    }
    let (project, server) = (project(CELLS, CONNECTIONS), Server::start(&[]));
    let (_, peak) = watched(&mut run(project.path(), &server.url, ARGUMENTS));
    bar("  peak memory", peak, 120.0, "MB", peak < 120.0);
    bar("10,000 cached cells, whole process", cached, 0.5, "s", cached < 0.5);
    let (_, peak) = watched(&mut run(project.path(), &server.url, ARGUMENTS));
    bar("  peak memory", peak, 120.0, "MB", peak < 120.0);
    PerCell { fresh: fresh / CELLS as f64, cached: cached / CELLS as f64 }
}

fn slow_server() {
    let server = Server::start(&["--latency", "200ms"]);
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let project = project(600, 20);
            timed(&mut run(project.path(), &server.url, &[])) / (600.0 / 20.0 * 0.2)
        })
        .collect();
    let ratio = median(&mut ratios);
    bar("600 cells, 200 ms latency, concurrency 20: time / ideal", ratio, 1.05, "", ratio <= 1.05);
}

fn limited_server() {
    // Twenty requests a second, as the API might enforce a limit of 1,200 a minute.
    let server = Server::start(&["--requests-per-minute", "1200", "--request-burst", "20"]);
    let project = project(600, 64);
    let ratio = timed(&mut run(project.path(), &server.url, &[])) / (600.0 / 20.0);
    bar("600 cells, a limit of 20/s, concurrency 64: time / ideal", ratio, 1.15, "", ratio <= 1.15);
    let refused = (server.requests() - 600) as f64;
    fact("  requests refused, the first burst included", refused, "");
}

fn hundred_thousand_cells(ten_thousand: &PerCell) {
    const CELLS: usize = 100_000;
    const ARGUMENTS: &[&str] = &["--json", "r.json", "--junit", "j.xml"];
    let (project, server) = (project(CELLS, CONNECTIONS), Server::start(&[]));
    let (fresh, peak) = watched(&mut run(project.path(), &server.url, ARGUMENTS));
    fact("100,000 fresh cells", fresh, "s");
    let growth = fresh / CELLS as f64 / ten_thousand.fresh;
    bar("  time per cell / that of 10,000", growth, 1.2, "", growth < 1.2);
    bar("  peak memory", peak, 600.0, "MB", peak < 600.0);
    let (cached, peak) = watched(&mut run(project.path(), &server.url, ARGUMENTS));
    assert_eq!(server.requests(), CELLS as u64, "the second run asks nothing");
    fact("100,000 cached cells", cached, "s");
    let growth = cached / CELLS as f64 / ten_thousand.cached;
    bar("  time per cell / that of 10,000", growth, 1.2, "", growth < 1.2);
    bar("  peak memory", peak, 600.0, "MB", peak < 600.0);
}

fn bar(what: &str, measured: f64, bar: f64, unit: &str, holds: bool) {
    println!("{what:<60} {:>14} {:>14}  {}", figure(measured, unit), figure(bar, unit), if holds { "yes" } else { "NO" });
}

fn fact(what: &str, measured: f64, unit: &str) {
    println!("{what:<60} {:>14}", figure(measured, unit));
}

fn figure(value: f64, unit: &str) -> String {
    let digits = if value >= 1000.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The program to measure: another build of it where `PROMPTKEEL` names one.
fn program() -> String {
    std::env::var("PROMPTKEEL").unwrap_or_else(|_| env!("CARGO_BIN_EXE_promptkeel").to_owned())
}

/// A project with so many cases in one table and three assertions each, of which so many are asked at once.
fn project(cases: usize, concurrency: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let mut rows = String::new();
    for case in 0..cases {
        writeln!(rows, "{{\"id\": \"case-{case}\", \"number\": \"{case}\"}}").unwrap();
    }
    write("fixtures/numbers.jsonl", &rows);
    write("suites/prompts/number/1.md", "Answer number {{ number }}.\n");
    write(
        "suites/numbers.yaml",
        "suite: numbers\nprompt: number\nmodels: [claude-haiku-4-5]\nrequest: {max_tokens: 64}\nsnapshot: {compare: 'off'}\n\
         assert:\n  - contains: answer\n  - length: {max_words: 20}\n  - not: {regex: 'never (ever|said)'}\n\
         cases:\n  - from: fixtures/numbers.jsonl\n",
    );
    write("promptkeel.toml", &format!("[run]\nmax_concurrency = {concurrency}\n"));
    folder
}

/// `promptkeel run` in this project, at home and not in CI.
fn run(project: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(["run", "--quiet"]).args(arguments).current_dir(project);
    command.env("ANTHROPIC_BASE_URL", url).env("ANTHROPIC_API_KEY", "any").env_remove("CI");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A report that is wrong must not count as a fast one.
fn assert_reports(project: &Path, cells: usize) {
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(project.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["totals"]["passed"], cells);
    assert_eq!(report["cells"].as_array().unwrap().len(), cells);
    let junit = std::fs::read_to_string(project.join("j.xml")).unwrap();
    // Gates have test cases of their own.
    assert!(junit.matches("<testcase ").count() >= cells);
}

/// Requests per second that `wrk` gets from the server with the body that promptkeel sends; `None` where it is not installed.
fn wrk(url: &str) -> Option<f64> {
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("post.lua");
    let body = r#"{\"model\":\"claude-haiku-4-5\",\"max_tokens\":64,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Answer number 1234.\"}]}]}"#;
    let lua = format!(
        "wrk.method = \"POST\"\nwrk.body = \"{body}\"\nwrk.headers[\"content-type\"] = \"application/json\"\n\
         wrk.headers[\"accept\"] = \"application/json\"\nwrk.headers[\"x-api-key\"] = \"any\"\n\
         wrk.headers[\"anthropic-version\"] = \"2026-10-21\"\n"
    );
    std::fs::write(&script, lua).unwrap();
    let connections = format!("-c{CONNECTIONS}");
    let output =
        Command::new("wrk").args(["-t1", &connections, "-d2s", "-s"]).arg(&script).arg(format!("{url}/v1/messages")).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !text.contains("Non-2xx"), "`wrk` was refused: {text}");
    Some(text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")).unwrap().trim().parse().unwrap())
}

/// Seconds that a command takes, which must succeed.
fn timed(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command.status().unwrap();
    let time = start.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?} ended with {status}");
    time
}

/// Seconds and peak memory in MB. Watching takes some of the time, so where both have a bar, they are measured in runs of their own.
fn watched(command: &mut Command) -> (f64, f64) {
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let kibibytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.trim().strip_suffix(" kB"));
        peak = peak.max(kibibytes.and_then(|number| number.trim().parse::<f64>().ok()).unwrap_or(0.0) * 1024.0 / 1e6);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?} ended with {status}");
            return (start.elapsed().as_secs_f64(), peak);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// `promptkeel sim` as a separate process, which ends with this value.
struct Server {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let script = folder.path().join("script.yaml");
        std::fs::write(&script, "rules:\n  - when: {}\n    then: {text: The answer is forty-two.}\n").unwrap();
        let mut command = Command::new(program());
        command.args(["sim", "--port", "0", "--script"]).arg(&script).args(arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, url: String::new(), _folder: folder };
        let mut line = String::new();
        BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        server.url = line.split_whitespace().last().unwrap_or_else(|| panic!("the simulator does not start")).to_owned();
        server
    }

    fn requests(&self) -> u64 {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /__sim/stats HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let body = &text[text.find("\r\n\r\n").unwrap()..];
        let stats: serde_json::Value = serde_json::from_str(body.trim()).unwrap();
        stats["requests"].as_u64().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
