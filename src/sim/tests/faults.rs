//! Faults, from the client's side of the socket.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{HEADERS, asking, post, send, start, start_with};
use crate::sim::server::Options;

async fn with_fault(fault: &str, stream: bool) -> std::io::Result<super::Answered> {
    let simulator =
        start(&format!("otherwise: {{fault: {fault}, text: 'Grüße, und noch viele weitere Worte, damit es etwas zu zerbrechen gibt.'}}"))
            .await;
    let mut body = asking("x");
    body["stream"] = stream.into();
    let answered = send(&simulator, "POST", "/v1/messages", HEADERS, body.to_string().as_bytes()).await;
    assert_eq!(simulator.stats()["by_fault"], json!({fault: 1}));
    assert_eq!(simulator.requests(), 1);
    answered
}

#[tokio::test]
async fn each_status_has_its_error_type() {
    for (fault, status, kind) in [
        ("rate_limit", 429, "rate_limit_error"),
        ("server_error", 500, "api_error"),
        ("timeout", 504, "timeout_error"),
        ("overloaded", 529, "overloaded_error"),
    ] {
        let answered = with_fault(fault, false).await.unwrap();
        assert_eq!((answered.status, &answered.json()["error"]["type"]), (status, &json!(kind)));
        assert_eq!(answered.json()["request_id"].as_str(), answered.header("request-id"));
        assert_eq!(answered.header("retry-after"), (status == 429).then_some("1"));
    }
}

#[tokio::test]
async fn a_drop_closes_the_connection_before_the_head() {
    assert_eq!(with_fault("drop", false).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    assert_eq!(with_fault("reset", false).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_cut_body_is_shorter_than_its_head_says() {
    let answered = with_fault("cut", false).await.unwrap();
    assert_eq!(answered.status, 200);
    let announced: usize = answered.header("content-length").unwrap().parse().unwrap();
    assert_eq!(answered.body.len(), announced / 2);
    assert!(answered.cut);
}

#[tokio::test]
async fn a_proxy_answers_with_a_page() {
    let answered = with_fault("html", false).await.unwrap();
    assert_eq!((answered.status, answered.header("content-type")), (502, Some("text/html")));
    assert!(answered.body.starts_with(b"<html>"));
    assert_eq!(answered.header("promptkeel-simulated"), Some("1"));
}

#[tokio::test]
async fn invalid_json_arrives_whole() {
    let answered = with_fault("invalid_json", false).await.unwrap();
    assert_eq!((answered.status, answered.cut), (200, false));
    assert!(serde_json::from_slice::<serde_json::Value>(&answered.body).is_err());
}

#[tokio::test]
async fn a_hanging_request_gets_nothing_until_the_server_stops() {
    let simulator = start("otherwise: {fault: hang}").await;
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    let body = asking("x").to_string();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: s\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = [0; 1];
    assert!(tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await.is_err());
    simulator.stop().await;
    assert_eq!(stream.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stalled_body_begins_and_goes_no_further() {
    let simulator = start("otherwise: {fault: stall}").await;
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    let body = asking("x").to_string();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: s\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    assert!(tokio::time::timeout(Duration::from_millis(300), stream.read_to_end(&mut received)).await.is_err());
    let text = String::from_utf8_lossy(&received);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"id\":\"msg_"), "{text}");
}

#[tokio::test]
async fn lines_may_end_otherwise_and_events_may_come_in_disorder() {
    let text = |answered: super::Answered| String::from_utf8(answered.body).unwrap();
    let ends = text(with_fault("line_ends", true).await.unwrap());
    assert_eq!(ends.matches('\n').count(), ends.matches("\r\n").count());
    assert!(ends.ends_with("event: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n"), "{ends}");
    let disorder = text(with_fault("disorder", true).await.unwrap());
    let (before, after) = disorder.split_once("too late").unwrap();
    assert!(before.contains("content_block_stop") && !after.contains("content_block") && after.contains("message_stop"), "{disorder}");
    assert!(with_fault("line_ends", false).await.unwrap().json()["content"].is_array());
    assert!(serde_json::from_str::<serde_json::Value>(&text(with_fault("disorder", false).await.unwrap())).is_err());
}

#[tokio::test]
async fn what_arrives_whole_is_the_rule_s_answer_at_random_too() {
    for fault in ["unknown_event", "split", "line_ends"] {
        let simulator = start(&format!("faults: {{rate: 1, kinds: [{fault}], in_a_row: 9}}\notherwise: {{text: mine}}")).await;
        for stream in [false, true] {
            let mut body = asking("x");
            body["stream"] = stream.into();
            let answered = post(&simulator, &body).await;
            assert!(String::from_utf8(answered.body).unwrap().contains("\"mine\""), "{fault}");
        }
        assert_eq!(simulator.stats()["by_fault"], json!({fault: 2}));
    }
}

#[tokio::test]
async fn an_answer_in_pieces_of_three_bytes_is_still_the_answer() {
    for stream in [false, true] {
        let answered = with_fault("split", stream).await.unwrap();
        assert!(!answered.cut);
        assert!(String::from_utf8(answered.body).unwrap().contains("Grüße"));
    }
}

#[tokio::test]
async fn a_cut_stream_ends_inside_an_event() {
    let answered = with_fault("cut", true).await.unwrap();
    assert!(answered.cut);
    let text = String::from_utf8_lossy(&answered.body).into_owned();
    assert!(text.starts_with("event: message_start\n") && !text.ends_with("\n\n") && !text.contains("message_delta"), "{text}");
}

#[tokio::test]
async fn an_early_end_closes_the_stream_properly_without_message_stop() {
    let answered = with_fault("early_end", true).await.unwrap();
    assert!(!answered.cut);
    let text = String::from_utf8_lossy(&answered.body).into_owned();
    assert!(text.contains("event: content_block_start") && text.ends_with("\n\n") && !text.contains("message_stop"), "{text}");
}

#[tokio::test]
async fn an_error_event_comes_after_some_of_the_stream() {
    let answered = with_fault("error_event", true).await.unwrap();
    let text = String::from_utf8_lossy(&answered.body).into_owned();
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let data = last.strip_prefix("event: error\ndata: ").unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(data).unwrap()["error"]["type"], "overloaded_error");
    assert!(text.starts_with("event: message_start\n"));
}

#[tokio::test]
async fn unknown_events_and_deltas_stand_among_the_known() {
    let answered = with_fault("unknown_event", true).await.unwrap();
    let text = String::from_utf8_lossy(&answered.body).into_owned();
    assert!(
        text.contains("event: simulated_novelty\n") && text.contains("simulated_novelty_delta") && text.contains("event: message_stop\n"),
        "{text}"
    );
}

#[tokio::test]
async fn stream_faults_on_a_json_request_are_failures_too() {
    assert_eq!(with_fault("error_event", false).await.unwrap().status, 529);
    assert!(with_fault("early_end", false).await.unwrap().cut);
}

#[tokio::test]
async fn a_scripted_error_has_the_words_and_headers_of_the_script() {
    let simulator =
        start("otherwise: {status: 429, message: Enough for this month, code: enforced_spend_limit_reached, x_should_retry: false}").await;
    let answered = post(&simulator, &asking("x")).await;
    let id = answered.header("request-id").unwrap().to_owned();
    assert_eq!(
        answered.json(),
        json!({
            "type": "error",
            "error": {"type": "rate_limit_error", "message": "Enough for this month", "details": {"error_code": "enforced_spend_limit_reached"}},
            "request_id": id,
        })
    );
    assert_eq!((answered.header("x-should-retry"), answered.header("retry-after")), (Some("false"), None));
}

#[tokio::test]
async fn a_delay_comes_before_the_answer() {
    let simulator =
        start_with("otherwise: {text: x, delay: 120ms}", Options { latency: Duration::from_millis(80), ..Options::default() }).await;
    let started = Instant::now();
    assert_eq!(post(&simulator, &asking("x")).await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
}

/// Sends until an answer comes; returns what happened on the way.
async fn insist(simulator: &crate::sim::server::Simulator, prompt: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let body = asking(prompt).to_string();
        match send(simulator, "POST", "/v1/messages", HEADERS, body.as_bytes()).await {
            Ok(answered) if answered.status == 200 && !answered.cut => return seen,
            Ok(answered) if answered.cut => seen.push("cut".to_owned()),
            Ok(answered) => seen.push(answered.status.to_string()),
            Err(error) => seen.push(format!("{:?}", error.kind())),
        }
        assert!(seen.len() <= 2, "more faults in a row than promised: {seen:?}");
    }
}

#[tokio::test]
async fn random_faults_hit_their_share_never_last_and_repeat_with_the_seed() {
    let script = "{faults: {rate: 0.33}, otherwise: {text: fine}}";
    let run = async |seed: u64, backwards: bool| {
        let simulator = start_with(script, Options { seed, ..Options::default() }).await;
        let mut seen = BTreeMap::new();
        let mut order: Vec<u32> = (0..300).collect();
        if backwards {
            order.reverse();
        }
        for number in order {
            seen.insert(number, insist(&simulator, &format!("question {number}")).await);
        }
        (seen, simulator.stats())
    };
    let (first, stats) = run(7, false).await;
    let (again, _) = run(7, true).await;
    let (other, _) = run(8, false).await;
    assert_eq!(first, again, "the order of arrival must not matter");
    assert_ne!(first, other, "the seed must matter");
    let faults: u64 = stats["by_fault"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    let share = faults as f64 / stats["requests"].as_u64().unwrap() as f64;
    assert!((0.25..0.40).contains(&share), "{share}");
    assert_eq!(stats["by_fault"].as_object().unwrap().len(), 6, "every kind is drawn: {stats}");
}

#[tokio::test]
async fn the_fault_rate_of_the_options_goes_before_the_script() {
    let simulator = start_with(
        "{faults: {rate: 0, kinds: [overloaded], in_a_row: 3}, otherwise: {text: fine}}",
        Options { fault_rate: 1.0, ..Options::default() },
    )
    .await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(post(&simulator, &asking("x")).await.status);
    }
    assert_eq!(statuses, [529, 529, 529, 200, 529]);
    // What failed at random was no call of a rule.
    assert_eq!(simulator.stats()["otherwise"], 1);
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_without_its_delays() {
    let simulator = start("rules: [{when: {stream: true}, then: {text: slow stream, pace: 1m}}, {then: {text: slow, delay: 1m}}]").await;
    let idle = TcpStream::connect(simulator.address()).await.unwrap();
    let mut open = Vec::new();
    for stream in [false, true] {
        let mut body = asking("x");
        body["stream"] = stream.into();
        let body = body.to_string();
        let mut line = TcpStream::connect(simulator.address()).await.unwrap();
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: s\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        line.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        open.push(line);
    }
    while simulator.requests() < 2 {
        tokio::task::yield_now().await;
    }
    let address = simulator.address();
    simulator.stop().await;
    for (line, last) in open.iter_mut().zip(["\"text\":\"slow\"", "event: message_stop"]) {
        let mut received = String::new();
        line.read_to_string(&mut received).await.unwrap();
        assert!(received.contains(last), "{received}");
    }
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
