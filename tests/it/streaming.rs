//! Does it make any difference, to anybody but the server, that replies are streamed?

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::harness::Project;

/// One case of every kind of reply.
const SUITE: &str = "\
suite: kinds
prompt: ask
models: [claude-haiku-4-5, claude-sonnet-5]
request: {max_tokens: 300, stop_sequences: [END]}
assert:
  - length: {min_chars: 1}
snapshot: {compare: text}
cases:
  - {id: text, vars: {question: umlauts}, assert: [{contains: Grüße}]}
  - {id: json, vars: {question: structure}, assert: [{json_path: {path: $.a, equals: 1}}]}
  - {id: stopped, vars: {question: stop}, assert: [{stop_reason: stop_sequence}]}
  - {id: tool, vars: {question: weather}, inherit: false, assert: [{stop_reason: tool_use}]}
  - {id: refused, vars: {question: poison}, inherit: false, assert: [{refusal: always}]}
  - {id: thoughtful, vars: {question: think}, assert: [{equals: '42'}]}
";

const CUT: &str = "\
suite: cut
prompt: ask
models: [claude-haiku-4-5, claude-sonnet-5]
request: {max_tokens: 5}
assert:
  - contains: Grüße
cases:
  - {id: cut, vars: {question: umlauts}}
";

const SCRIPT: &str = r#"rules:
  - when: {text: umlauts}
    then: {text: 'Grüße aus Zürich, und noch einige weitere Worte ☕ damit es mehrere Stücke werden, alle mit Umlauten: äöü.'}
  - when: {text: structure}
    then: {text: '{"a": 1, "b": ["x", {"c": null}], "d": "☕"}'}
  - when: {text: stop}
    then: {text: 'Until the END of it'}
  - when: {text: weather}
    then:
      blocks:
        - {type: text, text: Let me look.}
        - {type: tool_use, id: toolu_1, name: get_weather, input: {city: Zürich, days: [1, 2], deep: {quote: '"'}}}
        - {type: tool_use, id: toolu_2, name: get_time, input: {}}
  - when: {text: poison}
    then: {refusal: {category: bio, explanation: no}}
  - when: {text: think}
    then: {blocks: [{type: redacted_thinking, data: abc}, {type: text, text: '42'}], usage: {thinking_tokens: 7, ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 3, cache_read_input_tokens: 9}}
"#;

/// `promptkeel sim` in a process of its own.
struct Sim {
    process: Child,
    url: String,
}

impl Sim {
    fn start(project: &Project, script: &str) -> Self {
        project.rewrite("server.yaml", script);
        let mut process = project
            .command(&["sim", "--script", "server.yaml", "--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        Self { process, url }
    }

    /// What it counted.
    fn stats(&self) -> Value {
        let address = self.url.trim_start_matches("http://");
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET /__sim/stats HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn requests(&self) -> u64 {
        self.stats()["requests"].as_u64().unwrap()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A project that asks `anthropic` with this setting.
fn project(stream: &str) -> Project {
    Project::new()
        .write("promptkeel.toml", &format!("[run]\nendpoint = \"anthropic\"\nmax_attempts = 12\nstream = \"{stream}\"\n"))
        .write("suites/kinds.yaml", SUITE)
        .write("suites/cut.yaml", CUT)
        .write("suites/prompts/ask/1.md", "{{ question }}\n")
}

/// A script that refuses requests in the other form before it answers anything.
fn only(streamed: bool, script: &str) -> String {
    let refusal = format!("rules:\n  - when: {{stream: {}}}\n    then: {{status: 400, message: the other form}}\n", !streamed);
    script.replacen("rules:\n", &refusal, 1)
}

/// Without what differs from one request to the next: times and the server's ids.
fn lasting(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            for passing in ["id", "request_id", "answered_at", "latency_ms", "duration_ms", "started_at", "finished_at"] {
                members.shift_remove(passing);
            }
            members.iter_mut().for_each(|(_, member)| *member = lasting(member.take()));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| *element = lasting(element.take())),
        _ => {}
    }
    value
}

/// Path and content of everything in the project's `snapshots`.
fn snapshots(project: &Project) -> Vec<(String, String)> {
    let mut folders = vec!["snapshots".to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(project.path(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                files.push((path.clone(), project.read(&path)));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn streamed_or_whole_a_reply_has_the_same_verdict_key_snapshot_and_price() {
    // One server for both, because its address is a part of the keys.
    let home = Project::new();
    let sim = Sim::start(&home, SCRIPT);
    let mut told = Vec::new();
    for (number, stream) in (1..).zip(["never", "always"]) {
        let mut project = project(stream);
        project.ask(&sim.url);
        let (ran, report) = project.report(&["--update"]);
        assert_eq!((ran.code, sim.requests()), (1, number * 14), "a cut reply fails: {ran:?}");
        let failed = report["cells"].as_array().unwrap().iter().filter(|cell| cell["verdict"] == "fail").count();
        assert_eq!(failed, 2, "{ran:?}");
        told.push((lasting(report["cells"].clone()), lasting(report["totals"].clone()), report["bill"].clone(), snapshots(&project)));
    }
    let [whole, streamed] = told.as_slice() else { unreachable!() };
    assert!(whole.3.iter().any(|(path, text)| path.contains("/tool/") && text.contains("Zürich")), "{:?}", whole.3);
    assert_eq!(whole.3, streamed.3);
    assert_eq!((&whole.1, &whole.2), (&streamed.1, &streamed.2));
    for (one, other) in whole.0.as_array().unwrap().iter().zip(streamed.0.as_array().unwrap()) {
        assert_eq!(one, other);
    }
}

#[test]
fn how_a_reply_travels_is_no_reason_to_ask_again() {
    let mut project = project("never");
    let sim = Sim::start(&project, SCRIPT);
    project.ask(&sim.url);
    assert_eq!(project.run(&["run"]).code, 1);
    let before = sim.requests();
    project.edit("promptkeel.toml", "stream = \"never\"", "stream = \"always\"");
    let (ran, report) = project.report(&[]);
    assert_eq!((sim.requests(), &report["totals"]["requests_cached"]), (before, &Value::from(14)), "{ran:?}");
}

#[test]
fn large_replies_are_streamed_without_being_asked_to() {
    let script = "rules:\n  - when: {stream: true}\n    then: {text: streamed}\n  - when: {}\n    then: {text: whole}\n";
    let mut project =
        Project::new().write("suites/prompts/ask/1.md", "{{ question }}\n").write("promptkeel.toml", "[run]\nendpoint = \"anthropic\"\n");
    let sim = Sim::start(&project, script);
    project.ask(&sim.url);
    for (name, max_tokens, answer) in [("large", 21_334, "streamed"), ("small", 21_333, "whole")] {
        project.rewrite(
            &format!("suites/{name}.yaml"),
            &format!(
                "suite: {name}\nprompt: ask\nmodels: [claude-haiku-4-5]\nrequest: {{max_tokens: {max_tokens}}}\nassert: [{{equals: {answer}}}]\n\
                 snapshot: {{compare: 'off'}}\ncases: [{{id: one, vars: {{question: a}}}}]\n"
            ),
        );
    }
    let (ran, _) = project.report(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn whatever_breaks_in_streams_every_cell_has_its_verdict() {
    let faults = "faults: {rate: 0.5, kinds: [error_event, early_end, cut, disorder, split, line_ends, unknown_event, overloaded, drop], in_a_row: 3}\n";
    let mut project = project("always");
    let sim = Sim::start(&project, &format!("{}{faults}", only(true, SCRIPT)));
    project.ask(&sim.url);
    std::fs::remove_file(project.path("suites/cut.yaml")).unwrap();
    let cases: String = (0..40).map(|number| format!("  - {{id: case-{number}, vars: {{question: 'umlauts {number}'}}}}\n")).collect();
    project.rewrite(
        "suites/kinds.yaml",
        &format!("suite: kinds\nprompt: ask\nmodels: [claude-haiku-4-5]\nassert:\n  - ends_with: 'mit Umlauten: äöü.'\nsnapshot: {{compare: 'off'}}\ncases:\n{cases}"),
    );
    let (ran, report) = project.report(&[]);
    assert_eq!((ran.code, &report["totals"]["passed"]), (0, &Value::from(40)), "{ran:?}");
    let by_fault = sim.stats()["by_fault"].clone();
    for fault in ["error_event", "early_end", "cut", "disorder", "split", "line_ends", "unknown_event"] {
        assert!(by_fault[fault].as_u64() > Some(0), "{fault} never happened: {by_fault}");
    }
    let mut named = std::collections::BTreeMap::<&str, u64>::new();
    for cell in report["cells"].as_array().unwrap() {
        for attempt in cell["samples"][0]["reply"]["attempts"].as_array().unwrap() {
            *named.entry(attempt["error"].as_str().unwrap_or("none")).or_default() += 1;
        }
    }
    let times = |faults: &[&str]| faults.iter().map(|fault| by_fault[*fault].as_u64().unwrap_or(0)).sum::<u64>();
    let wanted = [
        ("connection", times(&["early_end", "cut", "drop"])),
        ("malformed_reply", times(&["disorder"])),
        ("none", 40),
        ("overloaded", times(&["error_event", "overloaded"])),
    ];
    assert_eq!(named, wanted.into(), "every fault has its name in the report, and none is told of what a client copes with");
}
