//! Where could a key get out? It is planted in all those places, and everything that is written or printed is searched for it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Project, Ran};
use crate::raw_server::{RawServer, bounded, message, response, saying};

/// With signs that mean something in patterns, in JSON, in URLs and in XML.
const KEY: &str = "sk-plant-Qz7/x+Y.9(a|b)*[c]\\d\"&<7Hq2=";

/// What must be found nowhere: the key in all spellings, and what would be left of one that was cut.
fn spellings(key: &str) -> Vec<String> {
    let json = Value::from(key).to_string();
    let json = json.trim_matches('"');
    let percent: String =
        key.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    let xml = key.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let ends = [&key[..14], &key[key.len() - 14..]];
    let mut all = vec![key.to_owned(), json.to_owned(), json.replace('/', "\\/"), percent, xml, base64(key)];
    all.extend(ends.map(str::to_owned));
    all.extend(all.clone().iter().flat_map(|spelling| [spelling.to_lowercase(), spelling.to_uppercase()]));
    all
}

/// As `base64` writes it, without the last signs, which depend on what follows.
fn base64(key: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "the system's base64 encodes what the test plants")]
    let mut child = std::process::Command::new("base64")
        .arg("-w0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), key.as_bytes()).unwrap();
    let encoded = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let encoded = encoded.trim_end_matches('=');
    encoded[..encoded.len() - 1].to_owned()
}

/// Every file of a folder and of the folders in it.
fn files(folder: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

/// Searches what was printed and every file but those in which the test itself planted the key.
fn assert_nowhere(key: &str, project: &Project, ran: &Ran) {
    let spellings = spellings(key);
    let search = |place: &str, bytes: &[u8]| {
        for spelling in &spellings {
            let found = bytes.windows(spelling.len()).position(|window| window == spelling.as_bytes());
            let around = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(100)..(at + 100).min(bytes.len())]).into_owned());
            assert_eq!(around, None, "{place} holds `{spelling}`");
        }
    };
    search("stdout", ran.stdout.as_bytes());
    search("stderr", ran.stderr.as_bytes());
    let mut all = Vec::new();
    files(project.root(), &mut all);
    for path in all.iter().filter(|path| !path.ends_with("promptkeel.toml") && !path.ends_with(".env")) {
        search(&path.display().to_string(), &std::fs::read(path).unwrap());
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

const SUITE: &str = "\
suite: secrets
prompt: question
models: [claude-haiku-4-5]
snapshot: {compare: json}
cases:
  - id: one
    assert:
      - equals: what was expected
      - json: true
";

const SETTINGS: &str = "[run]\nendpoint = \"anthropic\"\nmax_attempts = 2\nmax_retry_after = \"1ms\"\n";

fn project(url: &str, key: &str) -> Project {
    let mut project = Project::new()
        .write("promptkeel.toml", SETTINGS)
        .write("suites/secrets.yaml", SUITE)
        .write("suites/prompts/question/1.md", "Say something.\n");
    project.set("ANTHROPIC_BASE_URL", url);
    project.set("ANTHROPIC_API_KEY", key);
    project
}

fn run(project: &Project) -> Ran {
    let reports = ["--json", "report.json", "--junit", "junit.xml", "--markdown", "comment.md", "--events", "events.jsonl"];
    let mut arguments = vec!["run", "-vv"];
    arguments.extend(reports);
    bounded(project, &arguments, Duration::from_secs(60))
}

/// Runs against a server that says `response` and searches everything; also everything that later commands say.
fn nowhere(response: Vec<u8>) -> (Project, Ran) {
    let server = RawServer::bytes(response);
    let project = project(&server.url(), KEY);
    let ran = run(&project);
    assert!(server.requests()[0].head.contains(KEY), "the key was sent");
    assert_nowhere(KEY, &project, &ran);
    for arguments in
        [&["pending"][..], &["pending", "--json"], &["accept", "--all"], &["report", "report.json", "--markdown", "-"], &["run", "-vv"]]
    {
        assert_nowhere(KEY, &project, &bounded(&project, arguments, Duration::from_secs(60)));
    }
    (project, ran)
}

/// The key in all the ways that a server may spell it.
fn echoes() -> String {
    let json = Value::from(KEY).to_string();
    let escaped: String = KEY.chars().map(|character| format!("\\u{:04x}", u32::from(character))).collect();
    format!(
        "{KEY} {} {} {} {} {escaped}",
        KEY.to_uppercase(),
        base64(KEY),
        json.trim_matches('"'),
        json.trim_matches('"').replace('/', "\\/")
    )
}

#[test]
fn a_reply_that_says_the_key_is_stored_and_shown_without_it() {
    let content = json!([
        {"type": "text", "text": format!("my key is {}", echoes())},
        {"type": "tool_use", "id": KEY, "name": KEY, "input": {KEY: [KEY, {"deep": echoes()}]}},
        {"type": "thinking", "thinking": KEY, "signature": KEY},
    ]);
    let body = message(&content)
        .replace("\"msg_1\"", &Value::from(KEY).to_string())
        .replace("\"stop_sequence\":null", &format!("\"stop_sequence\":{}", Value::from(KEY)))
        .replace("\"input_tokens\":10", &format!("\"input_tokens\":10,\"service_tier\":{}", Value::from(KEY)));
    let (project, ran) = nowhere(response("200 OK", &format!("request-id: {KEY}\r\n"), body.as_bytes()));
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(project.read("report.json").contains("my key is [REDACTED]"), "it can be seen that something stood there");
    // Every character of it escaped, which only those see who read the JSON first.
    let escaped: String = KEY.chars().map(|character| format!("\\u{:04x}", u32::from(character))).collect();
    let (project, _) = nowhere(response("200 OK", "", saying("my key is KEY").replace("KEY", &escaped).as_bytes()));
    assert!(project.read("report.json").contains("my key is [REDACTED]"));
    let (project, _) = nowhere(response("200 OK", "", saying("x").replace("\"end_turn\"", &Value::from(KEY).to_string()).as_bytes()));
    assert!(project.read("report.json").contains("[REDACTED]"));
    let refusal = format!("\"refusal\",\"stop_details\":{{\"category\":{0},\"explanation\":{0}}}", Value::from(KEY));
    nowhere(response("200 OK", "", saying("x").replace("\"end_turn\"", &refusal).as_bytes()));
}

#[test]
fn an_error_that_says_the_key_is_told_without_it() {
    let headers =
        format!("request-id: {KEY}\r\nlocation: http://x.test/{KEY}\r\ncontent-type: {KEY}\r\nserver: {KEY}\r\nvia: {}\r\n", base64(KEY));
    let error = json!({"type": "error", "error": {"type": KEY, "message": echoes(), "details": {"error_code": KEY}}, "request_id": KEY});
    for status in ["401 x", "529 x", "307 x", "200 OK"] {
        nowhere(response(status, &headers, error.to_string().as_bytes()));
        nowhere(response(status, &headers, format!("<html><h1>{}</h1>", echoes()).as_bytes()));
    }
    // Where an excerpt ends, no half of it is left.
    for before in [48, 70, 280] {
        nowhere(response("500 x", "", format!("{}{KEY}", "x".repeat(before)).as_bytes()));
    }
    let quoted = saying("x").replace("\"input_tokens\":10", &format!("\"input_tokens\":{}", Value::from(KEY)));
    nowhere(response("200 OK", "", quoted.as_bytes()));
}

#[test]
fn one_servers_key_is_taken_out_of_what_another_one_says() {
    let (one, other) = (RawServer::body(saying("fine")), RawServer::body(saying(&format!("I know {KEY}"))));
    let mut project = project(&one.url(), KEY)
        .write("suites/secrets.yaml", &SUITE.replace("[claude-haiku-4-5]", "[claude-haiku-4-5, {id: claude-sonnet-4-6, endpoint: other}]"));
    project.rewrite(
        "promptkeel.toml",
        &format!("{SETTINGS}[endpoints.other]\ndialect = \"messages\"\nbase_url = \"{}\"\napi_key_env = \"OTHER_KEY\"\n", other.url()),
    );
    project.set("OTHER_KEY", "another-key-0123456789");
    let ran = run(&project);
    assert_eq!((one.requests().len(), other.requests().len()), (1, 1), "{ran:?}");
    assert!(other.requests()[0].head.contains("another-key-0123456789"));
    assert_nowhere(KEY, &project, &ran);
    assert!(project.read("report.json").contains("I know [REDACTED]"));
}

#[test]
fn a_key_from_an_env_file_is_a_key() {
    let server = RawServer::bytes(response("401 x", "", format!("no such key: {KEY}").as_bytes()));
    let project = project(&server.url(), "")
        .write("promptkeel.toml", &SETTINGS.replace("[run]", "[run]\nenv_file = \".env\""))
        .write(".env", &format!("ANTHROPIC_API_KEY='{KEY}'\n"));
    let ran = run(&project);
    assert!(server.requests()[0].head.contains(KEY));
    assert_nowhere(KEY, &project, &ran);
    assert!(ran.stderr.contains("ANTHROPIC_API_KEY is set"), "{}", ran.stderr);
    for arguments in [&["plan", "-vv"][..], &["check", "-vv"], &["list"], &["settings"], &["schema", "settings"], &["plan", "--json"]] {
        assert_nowhere(KEY, &project, &bounded(&project, arguments, Duration::from_secs(60)));
    }
    for broken in [format!("ANTHROPIC_API_KEY='{KEY}\n"), format!("{KEY}\n"), format!("ANTHROPIC_API_KEY {KEY}\n"), format!("A=${{{KEY}\n")]
    {
        project.rewrite(".env", &broken);
        assert_nowhere(KEY, &project, &bounded(&project, &["check", "-vv"], Duration::from_secs(60)));
        assert_nowhere(KEY, &project, &run(&project));
    }
}

#[test]
fn a_key_in_a_wrong_place_is_not_repeated() {
    let server = RawServer::body(saying("x"));
    let plain = "sk-plant-Qz7xY9abcd7Hq2";
    let with = |settings: &str| {
        let project = project(&server.url(), "key-0123456789").write("promptkeel.toml", settings);
        for arguments in [&["check", "-vv"][..], &["plan", "-v"], &["run", "-vv", "--json", "report.json"]] {
            let ran = bounded(&project, arguments, Duration::from_secs(60));
            assert_nowhere(plain, &project, &ran);
        }
        bounded(&project, &["run"], Duration::from_secs(60)).stderr
    };
    let endpoint = |line: &str| format!("{SETTINGS}[endpoints.anthropic]\n{line}\n");
    let told = [
        with(&endpoint(&format!("api_key = \"{plain}\""))),
        with(&endpoint(&format!("api_key_env = \"{plain}\""))),
        with(&endpoint(&format!("auth = \"{plain}\""))),
        with(&endpoint(&format!("token = '{plain}'"))),
    ];
    with(&endpoint(&format!("beta = [\"{plain}\"]")));
    with(&endpoint(&format!("x-api-key: {plain}")));
    // Which settings there are is nothing that this test is about.
    let told = told.join("\n");
    let lines: Vec<&str> = told.lines().filter(|line| !line.contains("hint: use one of `dialect`")).collect();
    insta::assert_snapshot!(lines.join("\n"));
    for url in [
        format!("https://{plain}@api.test"),
        format!("https://me:{plain}@api.test"),
        format!("https://api.test?key={plain}"),
        plain.to_owned(),
    ] {
        let project = project(&url, "key-0123456789");
        let ran = run(&project);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert_nowhere(plain, &project, &ran);
    }
}

#[test]
fn a_key_that_no_header_can_carry_is_not_repeated() {
    let server = RawServer::body(saying("x"));
    for key in ["sk-plant-0123456789\nsk-plant-0123456789", "sk-plant-0123456789\u{1}", "sk-plant-0123456789\u{7f}x"] {
        let project = project(&server.url(), key);
        let ran = run(&project);
        assert_eq!((ran.code, server.requests().len()), (2, 0), "{ran:?}");
        assert_nowhere("sk-plant-0123456789", &project, &ran);
    }
}

#[test]
fn a_short_key_changes_no_reply_and_stands_in_no_message() {
    let server = RawServer::bytes(response("401 x", "", b"the key hunter2 is unknown"));
    let project = project(&server.url(), "hunter2");
    let ran = run(&project);
    assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"), "{}", ran.stdout);
    let server = RawServer::body(saying("hunter2 hunted"));
    let project = self::project(&server.url(), "hunter2");
    run(&project);
    assert!(project.read("report.json").contains("hunter2 hunted"), "a word of a reply that a local server's key happens to be");
}

/// An event of a stream.
fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

/// A streamed message of one block that grows by these pieces.
fn streamed(block: &Value, deltas: &[Value]) -> String {
    let start = json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1},
    }});
    let mut events = event(&start) + &event(&json!({"type": "content_block_start", "index": 0, "content_block": block}));
    for delta in deltas {
        events.push_str(&event(&json!({"type": "content_block_delta", "index": 0, "delta": delta})));
    }
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": KEY}, "usage": {"output_tokens": 5}});
    events + &event(&json!({"type": "content_block_stop", "index": 0})) + &event(&end) + &event(&json!({"type": "message_stop"}))
}

#[test]
fn a_key_that_comes_in_pieces_of_a_stream_is_taken_out_whole() {
    let (first, rest) = KEY.split_at(20);
    let text = streamed(
        &json!({"type": "text", "text": ""}),
        &[json!({"type": "text_delta", "text": format!("my key is {first}")}), json!({"type": "text_delta", "text": rest})],
    );
    let quoted = json!({ "input": KEY }).to_string();
    let (first, rest) = quoted.split_at(20);
    let tool = streamed(
        &json!({"type": "tool_use", "id": KEY, "name": "n", "input": {}}),
        &[json!({"type": "input_json_delta", "partial_json": first}), json!({"type": "input_json_delta", "partial_json": rest})],
    );
    let error = text.split("event: content_block_stop").next().unwrap().to_owned()
        + &event(&json!({"type": "error", "error": {"type": KEY, "message": echoes()}}));
    let disorder =
        text.replace("\"text_delta\"", &Value::from(KEY).to_string()).replace("\"index\":0", &format!("\"index\":{}", Value::from(KEY)));
    let cut = text[..text.len() / 2].to_owned();
    for (stream, told) in [(&text, "my key is [REDACTED]"), (&tool, "[REDACTED]"), (&error, "[REDACTED]"), (&disorder, ""), (&cut, "")] {
        let server = RawServer::bytes(response("200 OK", "content-type: text/event-stream\r\n", stream.as_bytes()));
        let project = project(&server.url(), KEY).write("promptkeel.toml", &SETTINGS.replace("[run]", "[run]\nstream = \"always\""));
        let ran = run(&project);
        assert!(server.requests()[0].body.contains("\"stream\":true"), "{:?}", server.requests()[0]);
        assert_nowhere(KEY, &project, &ran);
        assert!(project.read("report.json").contains(told), "{told}: {}", ran.stdout);
    }
}

#[test]
fn a_file_in_place_of_a_key_is_told_and_nothing_of_it_is_shown() {
    let mut project = Project::passing();
    project.ask("http://127.0.0.1:9");
    project.set("ANTHROPIC_API_KEY", &"not-a-key-at-all/".repeat(4000));
    let ran = project.run(&["run", "--endpoint", "anthropic"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("the key of endpoint `anthropic` is 68000 bytes long") && !ran.stderr.contains("not-a-key"),
        "{}",
        ran.stderr
    );
}
