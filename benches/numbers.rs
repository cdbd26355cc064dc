//! How fast is the whole program? The numbers that the project holds itself to, each against the simulator as a separate process.
//!
//! `cargo bench --bench numbers` prints a table. Times on shared machines are noisy: compare ratios within one run. Where `wrk` is
//! installed, the rate of fresh cells is compared with what `wrk` gets from the same server with the same body. Linux only: peak memory
//! is read from `/proc`.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints and fails by panicking")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_promptkeel");

fn main() {
    println!("{:<58} {:>12} {:>12} {:>10}", "what", "measured", "bar", "peak MiB");
    start_up();
    let rate = ten_thousand_cells();
    wrk(rate);
    slow_server();
    if std::env::var_os("PROMPTKEEL_BENCH_LARGE").is_some() {
        hundred_thousand_cells();
    }
}

fn row(what: &str, measured: &str, bar: &str, peak: f64) {
    println!("{what:<58} {measured:>12} {bar:>12} {peak:>10.1}");
}

fn start_up() {
    let mut runs: Vec<(Duration, f64)> = (0..21).map(|_| timed(Command::new(PROGRAM).arg("--version").stdout(Stdio::null()))).collect();
    runs.sort_by_key(|(time, _)| *time);
    let (median, _) = runs[10];
    let peak = runs.iter().map(|(_, peak)| *peak).fold(0.0, f64::max);
    row("start: --version, median of 21", &format!("{:.1} ms", millis(median)), "10 ms", peak);
}

/// Returns fresh cells per second.
fn ten_thousand_cells() -> f64 {
    let server = Server::start(&[]);
    let project = project(10_000);
    let run = || {
        timed(&mut command(
            project.path(),
            &server.url,
            &["run", "--quiet", "--json", "r.json", "--junit", "j.xml", "--max-concurrency", "64"],
        ))
    };
    let (fresh, fresh_peak) = run();
    let rate = 10_000.0 / fresh.as_secs_f64();
    row("10,000 fresh cells, 3 assertions, stored, JSON and JUnit", &format!("{:.2} s", fresh.as_secs_f64()), "", fresh_peak);
    row("  rate", &format!("{rate:.0}/s"), "wrk / 3", fresh_peak);
    let asked = server.requests();
    let (cached, cached_peak) = run();
    assert_eq!(server.requests(), asked, "the second run asked again");
    row("10,000 cached cells", &format!("{:.2} s", cached.as_secs_f64()), "0.50 s", cached_peak);
    rate
}

fn wrk(rate: f64) {
    let server = Server::start(&[]);
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("post.lua");
    let body = r#"{\"model\":\"claude-haiku-4-5\",\"max_tokens\":64,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Answer number 1234.\"}]}]}"#;
    let lua = format!(
        "wrk.method = \"POST\"\nwrk.body = \"{body}\"\nwrk.headers[\"content-type\"] = \"application/json\"\n\
         wrk.headers[\"x-api-key\"] = \"any\"\nwrk.headers[\"anthropic-version\"] = \"2026-10-21\"\n"
    );
    std::fs::write(&script, lua).unwrap();
    let url = format!("{}/v1/messages", server.url);
    let wrk = Command::new("wrk").args(["-t1", "-c64", "-d3s", "-s"]).arg(&script).arg(&url).output();
    let Ok(output) = wrk else {
        println!("  wrk is not installed: its rate is not known");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "wrk was refused: {text}");
    let most: f64 = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")).unwrap().trim().parse().unwrap();
    row("  wrk, 1 thread, 64 connections, the same body", &format!("{most:.0}/s"), "", 0.0);
    row("  fresh cells / wrk", &format!("{:.2}", rate / most), "0.33", 0.0);
}

fn slow_server() {
    let server = Server::start(&["--latency", "200ms"]);
    let project = project(600);
    let (time, peak) = timed(&mut command(project.path(), &server.url, &["run", "--quiet", "--max-concurrency", "20"]));
    row("600 cells at 200 ms, concurrency 20: time / ideal", &format!("{:.3}", time.as_secs_f64() / 6.0), "1.05", peak);
}

fn hundred_thousand_cells() {
    let server = Server::start(&[]);
    let project = project(100_000);
    let run = || timed(&mut command(project.path(), &server.url, &["run", "--quiet", "--json", "r.json", "--max-concurrency", "64"]));
    let (fresh, fresh_peak) = run();
    row("100,000 fresh cells", &format!("{:.1} s", fresh.as_secs_f64()), "linear", fresh_peak);
    let (cached, cached_peak) = run();
    row("100,000 cached cells", &format!("{:.1} s", cached.as_secs_f64()), "linear", cached_peak);
}

/// A project with so many cases in one table and three assertions each.
fn project(cases: usize) -> TempDir {
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
    write("promptkeel.toml", "");
    folder
}

fn command(project: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(project).env("ANTHROPIC_BASE_URL", url).env("ANTHROPIC_API_KEY", "any");
    command.env_remove("CI").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Wall time and peak memory in MiB of a command that must succeed.
fn timed(command: &mut Command) -> (Duration, f64) {
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let kibibytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.trim().strip_suffix(" kB"));
            peak = peak.max(kibibytes.and_then(|number| number.trim().parse::<f64>().ok()).unwrap_or(0.0) / 1024.0);
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?} ended with {status}");
            return (start.elapsed(), peak);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// `promptkeel sim` as a separate process.
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
        let mut command = Command::new(PROGRAM);
        command.args(["sim", "--port", "0", "--script"]).arg(&script).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        Self { child, url, _folder: folder }
    }

    fn requests(&self) -> u64 {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(
            &mut stream,
            format!("GET /__sim/stats HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
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
