//! What does each answer about batches come to, also where it is hostile?

use std::sync::Mutex;

use chrono::TimeZone;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::results::Outcome;
use super::*;
use crate::endpoint::testing::config;

const KEY: &str = "sk-ant-api03-hunter2hunter2";

/// The n-th connection gets the n-th answer, later ones the last. Returns the address and what was asked.
async fn server(answers: Vec<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        for number in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let answer = answers[number.min(answers.len() - 1)].clone();
            let mut bytes = vec![0; 65_536];
            let read = socket.read(&mut bytes).await.unwrap();
            log.lock().unwrap().push(String::from_utf8_lossy(&bytes[..read]).into_owned());
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

fn batches(url: &str) -> Batches {
    let config = EndpointConfig { key: Some(KEY.into()), ..config(url) };
    Batches::with_clock(&config, || Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap()).unwrap()
}

fn described(results_url: Option<&str>) -> Value {
    json!({"id": "msgbatch_01", "type": "message_batch", "processing_status": if results_url.is_some() { "ended" } else { "in_progress" },
      "request_counts": {"processing": 0, "succeeded": 2, "errored": 1, "canceled": 1, "expired": 1},
      "created_at": "2026-11-23T10:00:00.000001Z", "expires_at": "2026-11-24T10:00:00Z", "ended_at": "2026-11-23T10:20:00Z",
      "cancel_initiated_at": null, "archived_at": null, "results_url": results_url})
}

fn message(text: &str) -> Value {
    json!({"id": "msg_01", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [{"type": "text", "text": text}],
      "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 8, "output_tokens": 2, "service_tier": "standard"}})
}

async fn read(body: String) -> Vec<Result<results::Line, String>> {
    let (url, _) = server(vec![answer(200, "", &described(Some("/x")).to_string()), answer(200, "", &body)]).await;
    let batches = batches(&url);
    let batch = batches.retrieve("msgbatch_01").await.unwrap();
    let mut results = batches.results(&batch).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = results.next().await.unwrap() {
        lines.push(line);
    }
    lines
}

#[tokio::test]
async fn every_kind_of_result_is_read_and_hostile_lines_are_told_apart() {
    let error = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": format!("words {KEY}")}, "request_id": null});
    let lines = [
        json!({"custom_id": "good", "result": {"type": "succeeded", "message": message(&format!("echo {KEY}"))}}).to_string(),
        json!({"custom_id": "bad", "result": {"type": "errored", "error": error("invalid_request_error")}}).to_string(),
        json!({"custom_id": "busy", "result": {"type": "errored", "error": error("overloaded_error")}}).to_string(),
        json!({"custom_id": "late", "result": {"type": "expired"}}).to_string(),
        json!({"custom_id": "gone", "result": {"type": "canceled"}}).to_string(),
        String::new(),
        json!({"custom_id": "odd", "result": {"type": "succeeded", "message": {"type": "message"}}}).to_string(),
        json!({"custom_id": "new", "result": {"type": "postponed"}}).to_string(),
        json!({"custom_id": "none"}).to_string(),
        json!({"result": {"type": "expired"}}).to_string(),
        format!("half a key: {}", &KEY[..20]),
        // The last line of a file need not end.
        json!({"custom_id": "last", "result": {"type": "expired"}}).to_string(),
    ];
    let read = read(lines.join("\r\n")).await;
    let told: Vec<String> = read
        .iter()
        .map(|line| match line {
            Err(reason) => format!("unplaced: {reason}"),
            Ok(results::Line { custom_id, outcome }) => match outcome {
                Outcome::Succeeded(reply) => {
                    assert_eq!(reply.usage.service_tier.as_deref(), Some("batch"), "half price, whatever a gateway says");
                    assert_eq!((reply.answered_at.to_rfc3339(), reply.latency_ms), ("2026-11-23T10:20:00+00:00".to_owned(), 1_199_999));
                    format!("{custom_id}: {}", reply.text())
                }
                Outcome::Errored { error, passing } => format!("{custom_id}: passing {passing}, {:?} {}", error.kind, error.message),
                Outcome::Malformed(error) => {
                    assert!(error.attempts.iter().all(crate::model::reply::Attempt::may_be_billed));
                    format!("{custom_id}: malformed: {}", error.message)
                }
                Outcome::Canceled | Outcome::Expired => format!("{custom_id}: {outcome:?}"),
            },
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    good: echo [REDACTED]
    bad: passing false, InvalidRequest batch msgbatch_01 answered with an error invalid_request_error: words [REDACTED]
    busy: passing true, Overloaded batch msgbatch_01 answered with an error overloaded_error: words [REDACTED]
    late: Expired
    gone: Canceled
    odd: malformed: the line of batch msgbatch_01 about this request is no result: the message has no `stop_reason`
    new: malformed: the line of batch msgbatch_01 about this request is no result: its result is none of `succeeded`, `errored`, `canceled`, `expired`
    none: malformed: the line of batch msgbatch_01 about this request is no result: it has no `result` with a `type`
    unplaced: a line is no JSON object with a `custom_id`
    unplaced: a line is no JSON object with a `custom_id`
    last: Expired
    "#);
}

#[tokio::test]
async fn a_file_that_breaks_off_is_no_end_of_the_results() {
    let line = json!({"custom_id": "a", "result": {"type": "expired"}}).to_string();
    let cut = format!("HTTP/1.1 200 X\r\ncontent-length: 9999\r\nconnection: close\r\n\r\n{line}\n{{\"custom");
    let (url, _) = server(vec![answer(200, "", &described(Some("/x")).to_string()), cut]).await;
    let batches = batches(&url);
    let batch = batches.retrieve("msgbatch_01").await.unwrap();
    let mut results = batches.results(&batch).await.unwrap();
    assert!(results.next().await.unwrap().unwrap().is_ok());
    let fault = results.next().await.unwrap_err();
    assert!(fault.kind == FaultKind::Unknown && fault.message.contains("broke off"), "{fault:?}");
}

#[tokio::test]
async fn the_key_goes_to_its_own_endpoint_alone_wherever_results_are_said_to_be() {
    let elsewhere = server(vec![answer(200, "", "")]).await;
    for (told, path) in [
        (format!("{}/stolen", elsewhere.0), "/v1/messages/batches/msgbatch_01/results"),
        ("/v1/other/results".to_owned(), "/v1/other/results"),
        ("//evil.test/x".to_owned(), "/v1/messages/batches/msgbatch_01/results"),
    ] {
        let (url, asked) = server(vec![answer(200, "", &described(Some(&told)).to_string()), answer(200, "", "")]).await;
        let batches = batches(&url);
        let batch = batches.retrieve("msgbatch_01").await.unwrap();
        assert!(batches.results(&batch).await.unwrap().next().await.unwrap().is_none());
        assert!(asked.lock().unwrap()[1].starts_with(&format!("GET {path} ")), "{:?}", asked.lock().unwrap());
    }
    assert!(elsewhere.1.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_failed_creation_says_whether_it_may_have_happened() {
    let error = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": format!("no {KEY}")}}).to_string();
    for (sent, kind) in [
        (answer(400, "", &error("invalid_request_error")), FaultKind::Refused),
        (answer(401, "", &error("authentication_error")), FaultKind::Refused),
        (answer(404, "", &error("not_found_error")), FaultKind::NotFound),
        (answer(405, "", "<html>"), FaultKind::NotFound),
        (answer(413, "", "too large"), FaultKind::TooLarge),
        (answer(429, "retry-after: 7\r\n", &error("rate_limit_error")), FaultKind::Later),
        (answer(500, "", &error("api_error")), FaultKind::Unknown),
        (answer(504, "", "<html>"), FaultKind::Unknown),
        (answer(529, "", &error("overloaded_error")), FaultKind::Unknown),
        (answer(200, "", "{"), FaultKind::Unknown),
        (answer(200, "", &described(None).to_string().replace("msgbatch_01", "../../models?")), FaultKind::Unknown),
        (String::new(), FaultKind::Unknown),
    ] {
        let (url, asked) = server(vec![sent.clone()]).await;
        let fault = batches(&url).create(Bytes::from_static(b"{}")).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{sent}: {fault:?}");
        assert!(!fault.message.contains("hunter2"), "{fault:?}");
        assert_eq!(fault.after, sent.contains("retry-after").then_some(Duration::from_secs(7)));
        assert_eq!(asked.lock().unwrap().len(), 1, "it is not repeated in silence");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fault = batches(&format!("http://{nobody}")).create(Bytes::from_static(b"{}")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unsent);
}

#[tokio::test]
async fn what_can_be_repeated_is_and_a_list_goes_on_behind_an_id() {
    let page = json!({"data": [described(None)], "has_more": true, "first_id": "msgbatch_01", "last_id": "msgbatch_01"}).to_string();
    let (url, asked) = server(vec![answer(500, "", ""), answer(200, "", &page)]).await;
    let (page, more) = batches(&url).list(5, Some("msgbatch_02")).await.unwrap();
    assert_eq!((page.len(), page[0].counts.sum(), more), (1, 5, true));
    let asked = asked.lock().unwrap();
    assert!(asked[1].starts_with("GET /v1/messages/batches?limit=5&after_id=msgbatch_02 "), "{asked:?}");
    assert!(asked[1].contains(&format!("x-api-key: {KEY}")) && asked[1].contains("anthropic-version: 2026-10-21"), "{asked:?}");
}

#[tokio::test]
async fn only_a_server_that_says_it_is_a_simulator_is_believed_to_hold_nothing_back() {
    let list = json!({"data": [], "has_more": false}).to_string();
    let (url, _) = server(vec![answer(200, "", &list), answer(200, "promptkeel-simulated: 1\r\n", &list)]).await;
    let batches = batches(&url);
    let minute = Duration::from_secs(60);
    assert_eq!(batches.settling(), minute, "nothing is known of it");
    batches.list(1, None).await.unwrap();
    assert_eq!(batches.settling(), minute, "whoever answers on this machine may be a gateway");
    batches.list(1, None).await.unwrap();
    assert_eq!(batches.settling(), Duration::from_secs(2));
}
