//! What if a server, or a model, sends what nobody should have to read? Every answer is clear, bounded, and commands nothing.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Project, Ran};
use crate::raw_server::{RawServer, bounded, message, response, saying};

const SUITE: &str = "\
suite: hostile
prompt: question
models: [claude-haiku-4-5]
snapshot: {compare: text, on_change: warn}
assert:
  - not: {contains: THE FORBIDDEN WORD}
cases:
  - id: one
";

/// Longer than any of these takes in a build without optimisation, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(150);

const REPORTS: [&str; 4] = ["report.json", "junit.xml", "comment.md", "events.jsonl"];

fn project(server: &RawServer, suite: &str) -> Project {
    let settings = "[run]\nendpoint = \"anthropic\"\nmax_attempts = 1\nattempt_timeout = \"60s\"\n";
    let mut project = Project::new()
        .write("promptkeel.toml", settings)
        .write("suites/hostile.yaml", suite)
        .write("suites/prompts/question/1.md", "Say something.\n");
    project.ask(&server.url());
    project
}

fn run(project: &Project, more: &[&str]) -> Ran {
    let mut arguments =
        vec!["run", "-vv", "--json", "report.json", "--junit", "junit.xml", "--markdown", "comment.md", "--events", "events.jsonl"];
    arguments.extend(more);
    let ran = bounded(project, &arguments, PATIENCE);
    assert!([0, 1, 3].contains(&ran.code), "{}\n{}", ran.code, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

/// Characters that a terminal acts upon, or that hide what is there.
fn is_hidden(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Nothing in it is obeyed by a terminal or a CI system that shows it.
fn assert_unheeded(what: &str, text: &str) {
    if what != "comment.md" {
        // Markdown breaks mentions and comments by an invisible blank, on purpose.
        let hidden = text.char_indices().find(|(_, character)| is_hidden(*character));
        assert!(
            hidden.is_none(),
            "{what}: {hidden:?} in {}",
            &text[text.floor_char_boundary(hidden.unwrap().0.saturating_sub(80))..hidden.unwrap().0]
        );
    }
    for line in text.lines() {
        assert!(!line.trim_start().starts_with("::"), "{what}: {line}");
        for command in ["##[", "##vso[", "##teamcity["] {
            assert!(!line.contains(command), "{what}: {}", line.chars().take(500).collect::<String>());
        }
    }
}

/// Every output is safe to show, can be read by those it is for, and is not longer than its kind should be.
fn check(project: &Project, ran: &Ran) -> Value {
    assert!(ran.stdout.len() < 40_000 && ran.stderr.len() < 40_000, "{} and {} bytes", ran.stdout.len(), ran.stderr.len());
    assert_unheeded("stdout", &ran.stdout);
    assert_unheeded("stderr", &ran.stderr);
    for name in REPORTS {
        assert_unheeded(name, &project.read(name));
    }
    let junit = project.read("junit.xml");
    assert!(junit.len() < 400_000, "{} bytes of JUnit", junit.len());
    roxmltree::Document::parse(&junit).unwrap();
    let comment = project.read("comment.md");
    assert!(comment.chars().count() <= 65_536);
    check_markdown(&comment);
    for line in project.read("events.jsonl").lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    serde_json::from_str(&project.read("report.json")).unwrap()
}

/// Outside of fences and code spans nothing of a model's text is left: no tag, mention, reference, image or comment. The page's own mark
/// stands at its head, once.
fn check_markdown(text: &str) {
    let text = text.strip_prefix("<!-- promptkeel: report -->\n").expect("a bot finds its comment by the mark");
    let mut fence: Option<String> = None;
    for line in text.lines() {
        match &fence {
            Some(open) => {
                if line == open {
                    fence = None;
                }
                continue;
            }
            None if line.starts_with("```") => {
                fence = Some(line.trim_end_matches(|letter: char| letter != '`').to_owned());
                continue;
            }
            None => {}
        }
        let line = without_code(line);
        for wrong in ["<script", "<!-- promptkeel", " @someone", "#123", "![x]", "</details><"] {
            assert!(!line.contains(wrong), "{wrong} in {line}");
        }
    }
    assert_eq!(fence, None, "every fence is closed");
    let folded = |tag: &str| text.lines().filter(|line| line.starts_with(tag)).count();
    assert_eq!(folded("<details>"), folded("</details>"));
}

/// Without code spans and `<code>`, in which GitHub reads nothing.
fn without_code(line: &str) -> String {
    let html: String = line.split("<code>").map(|part| part.split_once("</code>").map_or(part, |(_, after)| after)).collect();
    let mut text = String::new();
    let mut rest = html.as_str();
    while let Some((before, after)) = rest.split_once('`') {
        text.push_str(before);
        let fence = "`".repeat(1 + after.chars().take_while(|letter| *letter == '`').count());
        rest = after[fence.len() - 1..].split_once(&fence).map_or("", |(_, after)| after);
    }
    text + rest
}

fn sample(report: &Value) -> &Value {
    &report["cells"][0]["samples"][0]
}

/// Runs twice: the second time the store answers, and the verdict is the same.
fn judged(body: impl AsRef<[u8]>, suite: &str) -> (Project, Ran, Value) {
    let server = RawServer::body(body);
    let project = project(&server, suite);
    let ran = run(&project, &[]);
    let report = check(&project, &ran);
    let again = run(&project, &[]);
    let replayed = check(&project, &again);
    assert_eq!(server.requests().len(), 1, "a stored answer is not asked again");
    assert_eq!((ran.code, &report["cells"][0]["verdict"]), (again.code, &replayed["cells"][0]["verdict"]));
    assert_eq!(sample(&report)["reply"]["text"], sample(&replayed)["reply"]["text"]);
    (project, ran, report)
}

/// One response that is no reply: no verdict, exit 3, and the reason.
fn refused(response: impl Into<Vec<u8>>) -> String {
    let server = RawServer::bytes(response);
    let project = project(&server, SUITE);
    let ran = run(&project, &[]);
    let report = check(&project, &ran);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    let message = sample(&report)["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.chars().count() < 900, "{} characters", message.chars().count());
    message.replace(&server.url(), "SERVER")
}

fn ok(body: &str) -> Vec<u8> {
    response("200 OK", "content-type: application/json\r\n", body.as_bytes())
}

const EQUALS: &str = "    assert:\n      - equals: what was expected\n";

#[test]
fn ten_megabytes_of_text_are_judged_stored_and_told_in_brief() {
    let text = "lorem ipsum ".repeat(900_000);
    let lines = text.replace(' ', "\n");
    let (_, ran, report) = judged(saying(&lines), &format!("{SUITE}{EQUALS}"));
    assert_eq!(ran.code, 1);
    assert_eq!(sample(&report)["reply"]["text"].as_str(), Some(lines.as_str()), "the reply is stored whole");
    // On one line, once.
    let server = RawServer::body(saying(&text));
    let project = project(&server, &format!("{SUITE}{EQUALS}"));
    let ran = run(&project, &[]);
    check(&project, &ran);
    assert_eq!(ran.code, 1);
}

#[test]
fn ten_megabytes_of_json_differ_from_ten_others_in_bounded_time_memory_and_words() {
    let document = |from: u64| {
        let items: Vec<Value> =
            (0..120_000_u64).map(|number| json!({"id": number, "queue": (number * 7 + from) % 9_973, "note": "x".repeat(40)})).collect();
        json!({ "items": items, "text": "y".repeat(1_000_000) }).to_string()
    };
    let suite = SUITE.replace("text, on_change: warn", "json, on_change: fail");
    let (accepted, new) = (document(0), document(5));
    assert!(accepted.len() > 9_000_000, "{}", accepted.len());
    let changed = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&changed);
    let server =
        RawServer::start(move |_, stream| stream.write_all(&ok(&saying(if switch.load(Ordering::Acquire) { &new } else { &accepted }))));
    let project = project(&server, &suite);
    assert_eq!(run(&project, &["--update"]).code, 0);
    changed.store(true, Ordering::Release);
    let began = Instant::now();
    let ran = run(&project, &["--cache", "refresh"]);
    println!("10 MB of JSON against 10 MB accepted: {:?}", began.elapsed());
    assert_eq!(ran.code, 1);
    let report = check(&project, &ran);
    let diff = &report["cells"][0]["snapshot"]["diff"]["json"];
    let bytes = diff.to_string().len();
    assert!(bytes < 400_000, "{bytes} bytes of difference");
    assert!(diff.as_array().unwrap().last().unwrap()["left_out"].as_u64().unwrap() > 10_000);
    assert!(project.read("junit.xml").contains("more lines of the difference"), "the reports say that something was left out");
    assert!(project.read("snapshots/hostile/one/claude-haiku-4-5.snap.new").len() > 9_000_000, "the new output is kept whole");
}

#[test]
fn sixty_megabytes_are_a_reply_and_an_endless_body_is_none() {
    let long = RawServer::body(saying(&"lorem ipsum ".repeat(5 << 20)));
    let ran = bounded(&project(&long, SUITE), &["run"], PATIENCE);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let server = RawServer::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"text\":\"")?;
        loop {
            stream.write_all(&[b'x'; 1 << 16])?;
        }
    });
    let project = project(&server, SUITE);
    let ran = run(&project, &[]);
    let report = check(&project, &ran);
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!(sample(&report)["error"]["message"].as_str().unwrap(), @"the body of the response is longer than 67108864 bytes");
}

#[test]
fn a_compressed_bomb_ends_where_a_long_body_ends() {
    // 1 GB of zeros, as `gzip -9` packs it three times over, is made here as stored members: a member may be repeated.
    let zeros = {
        let packed = deflated_zeros();
        packed.repeat(1_100)
    };
    let server = RawServer::bytes(response("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", &zeros));
    let project = project(&server, SUITE);
    let ran = run(&project, &[]);
    check(&project, &ran);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
}

/// A gzip member of one megabyte of zeros in about a kilobyte.
fn deflated_zeros() -> Vec<u8> {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("zeros");
    std::fs::write(&path, vec![0; 1 << 20]).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the system's gzip packs what the test needs")]
    let packed = std::process::Command::new("gzip").args(["-9", "-c"]).arg(&path).output().unwrap();
    assert!(packed.status.success() && packed.stdout.len() < 2_000);
    packed.stdout
}

#[test]
fn many_blocks_and_deep_json_are_replies_like_any_other() {
    let blocks: Vec<Value> = (0..50_000)
        .flat_map(|number| {
            [json!({"type": "text", "text": "x"}), json!({"type": "tool_use", "id": number.to_string(), "name": "n", "input": {}})]
        })
        .collect();
    let suite = SUITE.replace("compare: text", "compare: json");
    let (_, ran, report) = judged(message(&Value::from(blocks)), &suite);
    assert_eq!((ran.code, sample(&report)["reply"]["text"].as_str().unwrap().len()), (0, 50_000));
    for open in ["[", "{\"a\":"] {
        let (_, ran, report) = judged(saying(&open.repeat(10_000)), &suite);
        assert_eq!((ran.code, &report["cells"][0]["snapshot"]["state"]), (0, &json!("new")));
    }
    let input = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        message(&json!([{"type": "tool_use", "id": "a", "name": "n", "input": "@"}])).replace("\"@\"", &nested)
    };
    assert_eq!(judged(input(100), &suite).1.code, 0);
    let told = refused(ok(&input(10_000)));
    assert!(told.contains("it is nested deeper than any reply"), "{told}");
}

#[test]
fn what_would_command_a_terminal_a_ci_system_or_a_page_is_only_shown() {
    let hostile = [
        "first\n::error file=a::b\r::add-mask::x\n  ::set-output name=a::b\n\t::warning::c\n##[error]x\n##vso[task.setvariable variable=a]y",
        "\u{1b}[2J\u{1b}[31mred\u{1b}]8;;http://evil.test\u{7}link\u{1b}]8;;\u{7}\u{1b}]52;c;aGk=\u{7}\u{9b}2J\u{202e}\u{2066}\u{0}\u{8}\u{7f}\u{feff}\u{200b}",
        "</details></summary><script>alert(1)</script>]]>&amp;<!-- promptkeel -->\n```````````````````` \n| a | @someone #123 ![x](http://evil.test/x.png)",
        "%0A::error::x %1B[31m \u{fffe}\u{ffff}",
    ];
    let text = hostile.join("\n");
    let (project, ran, report) = judged(saying(&text), &format!("{SUITE}{EQUALS}"));
    assert_eq!(ran.code, 1);
    assert_eq!(sample(&report)["reply"]["text"].as_str(), Some(text.as_str()), "stored and reported as it came");
    let pending = project.read("snapshots/hostile/one/claude-haiku-4-5.snap.new");
    assert!(!pending.contains(is_hidden), "{pending}");
    let shown = bounded(&project, &["pending"], PATIENCE);
    assert_unheeded("pending", &shown.stdout);
    for flag in ["--json", "--junit", "--markdown"] {
        let printed = bounded(&project, &["report", "report.json", flag, "-"], PATIENCE);
        assert_unheeded(if flag == "--markdown" { "comment.md" } else { flag }, &printed.stdout);
    }
    // The accepted snapshot reads back as the same text: the next run finds it the same.
    assert_eq!(bounded(&project, &["accept", "--all"], PATIENCE).code, 0);
    run(&project, &[]);
    let report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
    assert_eq!(report["cells"][0]["snapshot"]["state"], "same");
}

#[test]
fn what_a_server_says_in_an_error_is_only_shown() {
    let words = "\r\n::error file=a::b\n::add-mask::x ##[error]x ##vso[task.x]y \u{1b}]52;c;aGk=\u{7} \u{202e}<script> @someone #123 ![x](http://evil.test/x.png)";
    let body = json!({"type": "error", "error": {"type": format!("::error::{words}"), "message": words}, "request_id": format!("::error::{words}")});
    refused(response("500 ::error::x", "request-id: ::error::x\r\n", body.to_string().as_bytes()));
    refused(response("502 Bad Gateway", "content-type: ::error::x\r\n", format!("{words}<html>").as_bytes()));
    refused(response("307 Temporary Redirect", "location: ::error::x\r\nretry-after: ::error::x\r\n", b""));
    refused(ok(&format!("{words}{}", saying("x"))));
    // A value of a wrong type is quoted by whoever reads it.
    let long = json!({"type": "message", "model": "m", "content": [], "stop_reason": "end_turn", "usage": {"input_tokens": words.repeat(100_000), "output_tokens": 1}});
    refused(ok(&long.to_string()));
}

#[test]
fn what_is_no_reply_is_told_as_such() {
    let with = |old: &str, new: &str| {
        let body = saying("a text");
        assert!(body.contains(old), "{old}");
        ok(&body.replace(old, new))
    };
    let told = [
        refused(with("a text", "a \\ud800 text")),
        refused(with("a text", "a \\udc00 text")),
        refused(response("200 OK", "content-type: application/json\r\n", &[saying("a").as_bytes(), b"\xff"].concat())),
        refused(ok("{\"type\": \"message\"")),
        refused(ok("[]")),
        refused(ok("")),
        refused(with("\"id\":", "\"id\":\"msg_0\",\"id\":")),
        refused(with("\"type\":\"message\"", "\"type\":\"massage\"")),
        refused(with("\"stop_reason\":\"end_turn\"", "\"stop_reason\":null")),
        refused(with("\"stop_reason\":\"end_turn\"", "\"stop_reason\":7")),
        refused(with("\"input_tokens\":10,", "")),
        refused(with("\"input_tokens\":10", "\"input_tokens\":-10")),
        refused(with("\"input_tokens\":10", "\"input_tokens\":18446744073709551616")),
        refused(with("\"input_tokens\":10", "\"input_tokens\":1e999")),
        refused(with("\"a text\"", "[\"a text\"]")),
        refused(with("{\"type\":\"text\",", "{")),
        refused(with("\"type\":\"text\"", "\"type\":\"tool_use\"")),
        refused(with("[{\"type\":\"text\",\"text\":\"a text\"}]", "{}")),
        refused(response("200 OK", "content-type: text/html\r\n", b"<html><script>alert(1)</script>")),
        refused(response("200 OK", "content-encoding: gzip\r\n", saying("x").as_bytes())),
        refused(response("200 OK", "content-length: 3\r\n", saying("x").as_bytes())),
        refused(response("200 OK", &format!("x-a: {}\r\n", "a".repeat(1 << 20)), saying("x").as_bytes())),
        refused(response("200 OK", &"x-a: b\r\n".repeat(10_000), saying("x").as_bytes())),
        refused(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        refused(Vec::new()),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_odd_and_still_a_reply_is_taken() {
    for body in [
        saying("x").replace("\"text\":\"x\"", "\"text\":\"THE FORBIDDEN WORD\",\"text\":\"x\""),
        saying("x").replace("\"id\":\"msg_1\"", "\"new_member\":\"\\ud800\",\"id\":\"msg_1\""),
        saying("x").replace("\"claude-haiku-4-5\"", "\"a-gateway's own name\""),
        message(&json!([{"type": "text", "text": "x"}, {"type": "tool_use", "id": "a", "name": "n", "input": "@"}]))
            .replace("\"@\"", "{\"a\":1234567890123456789012345678901234567890,\"b\":-0,\"c\":1e-400}"),
    ] {
        let (_, ran, report) = judged(&body, SUITE);
        assert_eq!((ran.code, sample(&report)["reply"]["text"].as_str()), (0, Some("x")), "{body}");
    }
    // A flood of interim responses, and a content type that lies.
    let flood = [
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(10_000),
        response("200 OK", "content-type: text/html\r\n", saying("x").as_bytes()),
    ]
    .concat();
    let server = RawServer::bytes(flood);
    let project = project(&server, SUITE);
    let ran = run(&project, &[]);
    check(&project, &ran);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
}

#[test]
fn a_reply_that_stopped_for_no_known_reason_reaches_no_verdict_and_a_paused_one_fails() {
    let pass = |stop_reason: &str| saying("fine").replace("end_turn", stop_reason);
    let (project, ran, report) = judged(pass("taking_a_break"), SUITE);
    assert_eq!((ran.code, report["cells"][0]["verdict"].as_str()), (3, Some("error")));
    let said = |ran: &Ran| format!("{}{}", ran.stdout, ran.stderr);
    assert!(said(&ran).contains("does not know the stop reason `taking_a_break`"), "{}", said(&ran));
    // It is paid and stored: who accepts it pays nothing.
    project.edit("suites/hostile.yaml", "assert:\n", "assert:\n  - stop_reason: [end_turn, taking_a_break]\n");
    let ran = run(&project, &["--cache", "only"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (_project, ran, report) = judged(pass("pause_turn"), SUITE);
    assert_eq!((ran.code, report["cells"][0]["verdict"].as_str()), (1, Some("fail")));
    assert!(said(&ran).contains("a server tool paused it"), "{}", said(&ran));
}

#[test]
fn a_reply_of_another_known_model_reaches_no_verdict() {
    let (_, ran, _) = judged(saying("x").replace("claude-haiku-4-5", "claude-sonnet-4-6"), SUITE);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
}

#[test]
fn counts_at_the_end_of_all_numbers_neither_panic_nor_become_small() {
    let most = u64::MAX.to_string();
    let usage = format!(
        "\"input_tokens\":{most},\"cache_read_input_tokens\":{most},\"cache_creation_input_tokens\":{most},\"cache_creation\":{{\"ephemeral_1h_input_tokens\":{most},\"ephemeral_5m_input_tokens\":{most}}},\"server_tool_use\":{{\"web_search_requests\":{most}}}"
    );
    let body = saying("x").replace("\"input_tokens\":10", &usage).replace("\"output_tokens\":5", &format!("\"output_tokens\":{most}"));
    let server = RawServer::body(&body);
    let project = project(&server, &SUITE.replace("models:", "samples: 3\nmodels:"));
    let ran = run(&project, &[]);
    let report = check(&project, &ran);
    assert_eq!(report["totals"]["tokens"]["input"].as_u64(), Some(u64::MAX));
    let spent: f64 = report["bill"]["spent_usd"].as_str().unwrap().parse().unwrap();
    assert!(spent > 1e13, "{spent}");
}

#[test]
fn counts_that_cannot_be_right_are_warned_of_and_change_no_verdict() {
    let suite = SUITE.replace("cases:", "request: {max_tokens: 64}\ncases:");
    let counted = |input: &str, output: &str| saying("fine").replace("_tokens\":10", input).replace("_tokens\":5", output);
    for (input, output, said) in [
        ("_tokens\":10", "_tokens\":65", "65 output tokens where `max_tokens` is 64"),
        ("_tokens\":18446744073709551615", "_tokens\":5", "18446744073709551615 prompt tokens, and the model reads at most"),
        ("_tokens\":0", "_tokens\":5", "no prompt tokens at all"),
        ("_tokens\":10", "_tokens\":0", "no output tokens for 4 bytes of text"),
    ] {
        let (_project, ran, report) = judged(counted(input, output), &suite);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let name =
            "endpoint `anthropic` counts tokens of `claude-haiku-4-5` that cannot be right: hostile::one::question@1::claude-haiku-4-5: ";
        assert!(ran.stderr.contains(&format!("{name}{said}")), "{}", ran.stderr);
        assert_eq!(report["bill"]["doubtful_samples"], 1);
        assert!(ran.stdout.contains("may be wrong: the endpoint's counts of 1 answer cannot be right"), "{}", ran.stdout);
    }
    let (_project, ran, report) = judged(counted("_tokens\":10", "_tokens\":64"), &suite);
    assert_eq!((ran.code, &report["bill"]["doubtful_samples"]), (0, &json!(0)), "{}", ran.stderr);
}

#[test]
fn a_body_that_drips_ends_with_its_attempt() {
    let server = RawServer::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{")?;
        loop {
            stream.write_all(b" ")?;
            #[expect(clippy::disallowed_methods, reason = "a server in a thread of its own drips")]
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let project = project(&server, SUITE);
    project.edit("promptkeel.toml", "60s", "500ms");
    let began = Instant::now();
    let ran = run(&project, &[]);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let report = check(&project, &ran);
    assert_eq!((ran.code, &sample(&report)["error"]["kind"]), (3, &json!("timeout")), "{}", ran.stdout);
}

#[test]
fn a_flood_of_informational_responses_ends_with_its_attempt() {
    let server = RawServer::start(|_, stream| {
        let flood = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1_000);
        loop {
            stream.write_all(&flood)?;
        }
    });
    let project = project(&server, SUITE);
    project.edit("promptkeel.toml", "60s", "500ms");
    let began = Instant::now();
    let ran = run(&project, &[]);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(ran.code, 3, "{}", ran.stderr);
}

#[test]
fn a_redirect_takes_no_key_anywhere() {
    let elsewhere = RawServer::body(saying("x"));
    for status in ["301 x", "302 x", "303 x", "307 x", "308 x"] {
        refused(response(status, &format!("location: {}/v1/messages\r\n", elsewhere.url()), b""));
    }
    assert_eq!(elsewhere.requests().len(), 0);
}
