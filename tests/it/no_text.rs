//! What if a reply comes with bytes or halves of characters that are no text?

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::Project;
use crate::raw_server::{RawServer, response, saying};

/// More than the once more that is asked for what is no text.
const ATTEMPTS: usize = 4;

fn project(server: &RawServer) -> Project {
    let mut project = Project::passing();
    project.rewrite("promptkeel.toml", &format!("[run]\nendpoint = \"anthropic\"\nmax_attempts = {ATTEMPTS}\n"));
    project.rewrite(
        "suites/capitals.yaml",
        "suite: capitals\nprompt: capital\nmodels: [claude-haiku-4-5]\nassert: [{contains: Paris}]\nsnapshot: {compare: 'off'}\n\
         cases:\n  - {id: france, vars: {country: France}}\n",
    );
    project.ask(&server.url());
    project
}

/// The same bytes with one that is in no UTF-8 text where `@` stands.
fn broken(text: &str) -> Vec<u8> {
    assert_eq!(text.matches('@').count(), 1, "{text}");
    text.bytes().map(|byte| if byte == b'@' { 0xff } else { byte }).collect()
}

/// The pause before the next attempt is none.
fn in_one_piece(body: &[u8]) -> Vec<u8> {
    response("200 OK", "content-type: application/json\r\nretry-after-ms: 1\r\n", body)
}

fn in_events(body: &[u8]) -> Vec<u8> {
    response("200 OK", "content-type: text/event-stream\r\nretry-after-ms: 1\r\n", body)
}

/// A whole stream whose second piece of text is `text`, as it stands in JSON.
fn events(text: &str) -> String {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1},
    });
    let delta = |text: &str| {
        format!("{{\"type\": \"content_block_delta\", \"index\": 0, \"delta\": {{\"type\": \"text_delta\", \"text\": \"{text}\"}}}}")
    };
    let all = [
        json!({"type": "message_start", "message": message}).to_string(),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}).to_string(),
        delta("Paris"),
        delta(text),
        json!({"type": "content_block_stop", "index": 0}).to_string(),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 5}})
            .to_string(),
        json!({"type": "message_stop"}).to_string(),
    ];
    let event = |data: &String| {
        let kind = serde_json::from_str::<Value>(data)
            .map_or_else(|_| "content_block_delta".to_owned(), |data| data["type"].as_str().unwrap().to_owned());
        format!("event: {kind}\ndata: {data}\n\n")
    };
    all.iter().map(event).collect()
}

/// How often the one cell was asked, and how its story ended.
fn asked(answer: Vec<u8>) -> (usize, usize, Value) {
    let server = RawServer::bytes(answer);
    let (ran, report) = project(&server).report(&["-q"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let error = &report["cells"][0]["samples"][0]["error"];
    (server.requests().len(), error["attempts"].as_array().unwrap().len(), error["kind"].clone())
}

#[test]
fn a_whole_reply_that_is_no_text_is_asked_for_exactly_once_more() {
    for (what, answer) in [
        ("bytes that are no UTF-8, in one piece", in_one_piece(&broken(&saying("Paris @")))),
        ("half of a pair, in one piece", in_one_piece(saying("Paris @").replace('@', "\\ud83d").as_bytes())),
        ("half of a pair, in a stream that came to its end", in_events(events("\\ud83d").as_bytes())),
    ] {
        assert_eq!(asked(answer), (2, 2, "malformed_reply".into()), "{what}");
    }
}

#[test]
fn a_stream_with_a_broken_byte_in_its_middle_is_asked_for_as_often_as_any_that_breaks() {
    assert_eq!(asked(in_events(&broken(&events("@")))), (ATTEMPTS, ATTEMPTS, "malformed_reply".into()));
}

#[test]
fn bytes_that_were_broken_on_their_way_once_cost_one_attempt_more() {
    for (first, then) in [
        (in_events(&broken(&events("@"))), in_events(events("!").as_bytes())),
        (in_one_piece(&broken(&saying("Paris @"))), in_one_piece(saying("Paris!").as_bytes())),
    ] {
        let calls = AtomicUsize::new(0);
        let server = RawServer::start(move |_, stream| {
            let answer = if calls.fetch_add(1, Ordering::AcqRel) == 0 { &first } else { &then };
            stream.write_all(answer)
        });
        let (ran, report) = project(&server).report(&["-q"]);
        assert_eq!((ran.code, server.requests().len()), (0, 2), "{ran:?}");
        assert_eq!(report["cells"][0]["samples"][0]["reply"]["attempts"].as_array().map(Vec::len), Some(2), "{}", report["cells"][0]);
    }
}
