//! What does prompt caching come to, against the least that is possible and against doing without?
//!
//! `cargo bench --bench bill` asks 200 cases below a system prompt of 5,400 tokens, twenty at a time, of the built-in simulator, whose books
//! follow the documented rules of the provider's prompt cache (docs/simulator.md). It prints the input bill of each way to ask, in multiples
//! of the least possible, and how much longer the run took than without marks, in request latencies; docs/prompt-caching.md says what the
//! figures mean. It takes a minute and a half, and ends with 1 where a bar is missed.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints and fails by panicking")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const CASES: u64 = 200;
const CONCURRENCY: u64 = 20;

/// With it a cached token costs a tenth, as with most models.
const MODEL: &str = "claude-sonnet-4-6";

/// Of it, in cents per million tokens: plain, written for five minutes, read, output.
const CENTS: [u64; 4] = [300, 375, 30, 1_500];

/// Of one request. Long, so that what the machine does besides is small beside it.
const LATENCY: Duration = Duration::from_secs(1);

/// Odd, so that a median is a value that occurred.
const ROUNDS: usize = 3;

/// The bars: in multiples of the least possible bill, and in latencies.
const MOST_BILL: f64 = 1.02;
const MOST_LATENCIES: f64 = 1.0;

/// Of a latency: what two runs on one machine differ by, whatever they do.
const NOISE: f64 = 0.1;

fn main() -> ExitCode {
    println!("{CASES} cases, one system prompt, {CONCURRENCY} at a time, {MODEL}, {} ms a reply, simulated\n", LATENCY.as_millis());
    let (mut longer, mut asked) = (Vec::new(), Vec::new());
    let mut plain = Books::default();
    for _ in 0..ROUNDS {
        // Both right after one another, each with a store and a server of its own.
        let (marked, with) = measured("auto");
        let (unmarked, without) = measured("off");
        longer.push((with - without) / LATENCY.as_secs_f64());
        asked.push((marked, with, without));
        plain = unmarked;
    }
    let by_hand = by_hand();
    // Every request wrote the shared beginning or read it.
    let (marked, ..) = asked[0];
    let shared = (marked.written + marked.read) / CASES;
    assert_eq!(shared * CASES, marked.written + marked.read, "every request has the whole prefix marked");
    let least = Books { written: shared, read: shared * (CASES - 1), ..marked };
    println!("{:<44}{:>8}{:>14}{:>12}", "", "writes", "input bill", "least = 1");
    let row = |what: &str, books: Books| {
        let ratio = books.input_bill() / least.input_bill();
        println!("{what:<44}{:>8}{:>14}{ratio:>12.2}", books.written / shared, format!("${:.4}", books.input_bill()));
        ratio
    };
    row("the least possible (computed)", least);
    let bill = asked.iter().map(|(books, ..)| row("cache: auto", *books)).fold(0.0, f64::max);
    row("a mark in every request, and nobody waits", by_hand);
    row("cache: off", plain);
    for (_, with, without) in &asked {
        println!("\n{with:.2} s with `cache: auto`, {without:.2} s with `cache: off`");
    }
    longer.sort_by(f64::total_cmp);
    let longer = longer[ROUNDS / 2];
    println!();
    let holds = [
        bar("input bill, in multiples of the least possible", bill, MOST_BILL, 0.0),
        bar("the run takes longer by, in latencies (median)", longer, MOST_LATENCIES, NOISE),
    ];
    if holds == [true; 2] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn bar(what: &str, measured: f64, bar: f64, noise: f64) -> bool {
    let holds = measured <= bar + noise;
    let noise = if noise > 0.0 { format!(" (and {noise} for what the machine does besides)") } else { String::new() };
    println!("{what}: {measured:.2}, at most {bar}{noise}: {}", if holds { "holds" } else { "MISSED" });
    holds
}

/// What a server carried out, in tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Books {
    plain: u64,
    written: u64,
    read: u64,
}

impl Books {
    /// In dollars.
    fn input_bill(self) -> f64 {
        let [plain, write, read, _] = CENTS;
        (self.plain * plain + self.written * write + self.read * read) as f64 / 1e8
    }
}

/// A run of promptkeel: the server's books, and the seconds that it took.
fn measured(cache: &str) -> (Books, f64) {
    let (project, server) = (project(cache), Server::start(LATENCY));
    let mut command = Command::new(program());
    command.args(["run", "--quiet", "--json", "r.json", "--max-concurrency", &CONCURRENCY.to_string()]).current_dir(project.path());
    command.env("ANTHROPIC_BASE_URL", &server.url).env("ANTHROPIC_API_KEY", "any").env_remove("CI");
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let time = start.elapsed().as_secs_f64();
    assert!(status.success(), "the run ended with {status}");
    let report: Value = serde_json::from_slice(&std::fs::read(project.path().join("r.json")).unwrap()).unwrap();
    assert_eq!(report["totals"]["passed"], CASES);
    let (books, usd) = server.books();
    assert_eq!(report["bill"]["simulated_usd"], usd, "the report's bill is that of the books");
    (books, time)
}

/// The same requests, each with a mark at the end of the system prompt, from clients that know nothing of each other.
fn by_hand() -> Books {
    let server = Server::start(Duration::from_millis(300));
    let together = Barrier::new(usize::try_from(CONCURRENCY).unwrap());
    std::thread::scope(|scope| {
        for client in 0..CONCURRENCY {
            let (server, together) = (&server, &together);
            scope.spawn(move || {
                together.wait();
                for case in (client..CASES).step_by(usize::try_from(CONCURRENCY).unwrap()) {
                    let body = json!({
                        "model": MODEL,
                        "max_tokens": 50,
                        "system": [{"type": "text", "text": policy(), "cache_control": {"type": "ephemeral"}}],
                        "messages": [{"role": "user", "content": [{"type": "text", "text": format!("Number {case}?")}]}],
                    });
                    server.post(&body.to_string());
                }
            });
        }
    });
    server.books().0
}

/// 5,400 tokens: four bytes each, with this model.
fn policy() -> String {
    "Every word of this policy is read. ".repeat(700).chars().take(21_599).chain(['.']).collect()
}

fn project(cache: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let mut cases = String::new();
    for case in 0..CASES {
        writeln!(cases, "  - {{id: case-{case}, vars: {{number: {case}}}}}").unwrap();
    }
    write("suites/prompts/number/1.md", &format!("system:\n{}\n\nuser:\nNumber {{{{ number }}}}?\n", policy()));
    write(
        "suites/numbers.yaml",
        &format!(
            "suite: numbers\nprompt: number\nmodels: [{MODEL}]\ncache: \"{cache}\"\nrequest: {{max_tokens: 50}}\nsnapshot: {{compare: \"off\"}}\n\
             assert: [contains: answer]\ncases:\n{cases}"
        ),
    );
    write("promptkeel.toml", "");
    folder
}

/// The program to measure: another build of it where `PROMPTKEEL` names one.
fn program() -> String {
    std::env::var("PROMPTKEEL").unwrap_or_else(|_| env!("CARGO_BIN_EXE_promptkeel").to_owned())
}

/// `promptkeel sim` as a process of its own, which ends with this value.
struct Server {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Server {
    fn start(latency: Duration) -> Self {
        let folder = TempDir::new().unwrap();
        let script: &Path = &folder.path().join("script.yaml");
        std::fs::write(script, "otherwise: {text: The answer is forty-two.}\n").unwrap();
        let mut command = Command::new(program());
        command.args(["sim", "--port", "0", "--latency", &format!("{}ms", latency.as_millis()), "--script"]).arg(script);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, url: String::new(), _folder: folder };
        let mut line = String::new();
        BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        server.url = line.split_whitespace().last().unwrap_or_else(|| panic!("the simulator does not start")).to_owned();
        server
    }

    fn exchange(&self, head: &str, body: &str) -> Value {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        write!(stream, "{head}\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        serde_json::from_str(text[text.find("\r\n\r\n").unwrap()..].trim()).unwrap()
    }

    fn post(&self, body: &str) {
        let head =
            "POST /v1/messages HTTP/1.1\r\ncontent-type: application/json\r\nx-api-key: any\r\nanthropic-version: 2026-10-21".to_owned();
        self.exchange(&head, body);
    }

    /// With the bill as the server states it.
    fn books(&self) -> (Books, Value) {
        let stats = self.exchange("GET /__sim/stats HTTP/1.1", "");
        let billed = &stats["tokens"]["billed"];
        let count = |name: &str| billed[name].as_u64().unwrap();
        assert_eq!((count("replies"), count("cache_creation_1h_input_tokens")), (CASES, 0));
        let books = Books {
            plain: count("input_tokens"),
            written: count("cache_creation_5m_input_tokens"),
            read: count("cache_read_input_tokens"),
        };
        let output = (count("output_tokens") * CENTS[3]) as f64 / 1e8;
        let whole: f64 = stats["bill"]["usd"].as_str().unwrap().parse().unwrap();
        assert!((books.input_bill() + output - whole).abs() < 1e-9, "the prices of this benchmark are those of the books: {stats}");
        (books, stats["bill"]["usd"].clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
