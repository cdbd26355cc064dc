//! Does a streamed reply come out of a real socket as the reply that it is, and a broken stream as what broke?

use super::*;

/// The stream of the same reply as [`REPLY`]; sections 1.7 and 4 of the wire reference.
const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":8,"cache_creation_input_tokens":5120,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":5120,"ephemeral_1h_input_tokens":0},"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Eos"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"H"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"i"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,"stop_details":null},"usage":{"output_tokens":12}}

event: message_stop
data: {"type":"message_stop"}

"#;

const EVENTS: &str = "content-type: text/event-stream; charset=utf-8\r\nrequest-id: req_7\r\n";

/// Everything up to this event.
fn until(event: &str) -> &'static str {
    &STREAM[..STREAM.rfind(&format!("event: {event}")).unwrap()]
}

/// One chunk an event, each through the middle of the next; without its end if it is to break.
fn chunked(body: &str, whole: bool) -> String {
    let mut response = format!("HTTP/1.1 200 OK\r\n{EVENTS}transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    for piece in body.as_bytes().chunks(61) {
        response.push_str(&format!("{:x}\r\n{}\r\n", piece.len(), str::from_utf8(piece).unwrap()));
    }
    response.push_str(if whole { "0\r\n\r\n" } else { "40\r\nevent: conte" });
    response
}

fn event(data: &str) -> String {
    format!("event: error\ndata: {data}\n\n")
}

/// One attempt that asks for a stream, against a server that does this.
async fn streamed(step: Step) -> Result<Answer, Failed> {
    let server = Server::start(vec![step]).await;
    endpoint(&server.url, |config| config.stream = Streaming::Always).attempt(&call(1), &Patience::of(&call(1))).await.result
}

/// Everything about a reply but what differs from attempt to attempt.
fn told(answer: &Answer) -> Reply {
    Reply { latency_ms: 0, attempts: Vec::new(), ..(*answer.reply).clone() }
}

#[tokio::test]
async fn a_streamed_reply_is_the_reply() {
    let whole = attempt(Step::Write(ok(REPLY))).await.unwrap();
    for stream in [http("200 OK", EVENTS, STREAM), chunked(STREAM, true), http("200 OK", EVENTS, &STREAM.replace('\n', "\r\n"))] {
        let streamed = streamed(Step::Write(stream)).await.unwrap();
        assert_eq!(told(&streamed), told(&whole));
        assert_eq!(
            (streamed.reply.attempts.len(), streamed.reply.attempts[0].status, streamed.reply.attempts[0].error),
            (1, Some(200), None)
        );
    }
}

#[tokio::test]
async fn events_are_asked_for_in_the_body_and_only_where_they_are_wanted() {
    let server = Server::start(vec![Step::Write(ok(REPLY))]).await;
    for (stream, max_tokens, wanted) in [
        (Streaming::Auto, 21_333, false),
        (Streaming::Auto, 21_334, true),
        (Streaming::Always, 1, true),
        (Streaming::Always, 0, false),
        (Streaming::Never, 128_000, false),
    ] {
        let mut call = call(1);
        Arc::make_mut(&mut call.request).params.max_tokens = Some(max_tokens);
        endpoint(&server.url, |config| config.stream = stream).attempt(&call, &Patience::of(&call)).await.result.unwrap();
        let sent = server.received().pop().unwrap();
        assert_eq!(sent.ends_with(",\"stream\":true}"), wanted, "{stream:?} {max_tokens}: {sent}");
        assert_eq!(sent.contains("\r\naccept: text/event-stream, application/json\r\n"), wanted, "{sent}");
        assert_eq!(sent.contains("\r\naccept: application/json\r\n"), !wanted, "{sent}");
    }
}

#[tokio::test]
async fn whatever_form_comes_is_understood_whatever_was_asked_for() {
    let json = "content-type: application/json\r\n";
    for (stream, response) in [
        (Streaming::Always, http("200 OK", json, REPLY)),
        (Streaming::Always, http("200 OK", EVENTS, REPLY)),
        (Streaming::Never, http("200 OK", EVENTS, STREAM)),
        (Streaming::Always, http("200 OK", "content-type: text/plain\r\n", STREAM)),
        (Streaming::Always, http("200 OK", "", STREAM)),
        (Streaming::Always, http("200 OK", "Content-Type: TEXT/Event-Stream\r\n", STREAM)),
    ] {
        let server = Server::start(vec![Step::Write(response.clone())]).await;
        let answer = endpoint(&server.url, |config| config.stream = stream).attempt(&call(1), &Patience::of(&call(1))).await.result;
        assert_eq!(answer.unwrap_or_else(|failed| panic!("{failed:?}: {response}")).reply.text(), "Hi");
    }
}

#[tokio::test]
async fn every_way_to_break_a_stream_is_of_its_class() {
    use ErrorKind as K;
    let early = |whole| chunked(until("message_stop"), whole);
    let late_error = |kind: &str| http("200 OK", EVENTS, &format!("{}{}", until("content_block_stop"), event(&error(kind, "x"))));
    let faults = [
        ("a clean early end", early(true), K::Connection),
        (
            "an early end by closing",
            format!("HTTP/1.1 200 OK\r\n{EVENTS}connection: close\r\n\r\n{}", until("message_delta")),
            K::Connection,
        ),
        ("a cut chunk", early(false), K::Connection),
        ("no event at all", http("200 OK", EVENTS, ""), K::Connection),
        ("overloaded", late_error("overloaded_error"), K::Overloaded),
        ("api", late_error("api_error"), K::Server),
        ("rate limit", late_error("rate_limit_error"), K::RateLimited),
        ("timeout", late_error("timeout_error"), K::Server),
        ("invalid request", late_error("invalid_request_error"), K::InvalidRequest),
        ("authentication", late_error("authentication_error"), K::Denied),
        ("an unknown error", late_error("new_error"), K::MalformedReply),
        ("an error before the first event", http("200 OK", EVENTS, &event(&error("overloaded_error", "x"))), K::Overloaded),
        ("a JSON error under a success", http("200 OK", EVENTS, &error("overloaded_error", "x")), K::Overloaded),
        ("an error status", http("529 x", "content-type: application/json\r\n", &error("overloaded_error", "x")), K::Overloaded),
        ("a second start", http("200 OK", EVENTS, &format!("{}{STREAM}", until("message_delta"))), K::MalformedReply),
        ("no count of the output", http("200 OK", EVENTS, &STREAM.replace("output_tokens", "tokens")), K::MalformedReply),
        ("bytes that are no text", http("200 OK", EVENTS, &STREAM.replace("\"H\"", "\"\u{1}\"")), K::MalformedReply),
        ("a page that calls itself a stream", http("200 OK", EVENTS, "<html>log in</html>"), K::Connection),
    ];
    for (name, response, kind) in faults {
        let (error, attempt, advice) = parts(streamed(Step::Write(response)).await.unwrap_err());
        assert_eq!((error.kind, attempt.error, attempt.unsent), (kind, Some(kind), false), "{name}: {}", error.message);
        assert_eq!(advice.should_retry, None, "{name}");
        assert!(!error.message.contains('\n'), "{name}");
    }
}

#[tokio::test]
async fn what_broke_in_a_stream_is_told_in_one_line() {
    let message = async |body: String| parts(streamed(Step::Write(http("200 OK", EVENTS, &body))).await.unwrap_err()).0.message;
    let early = message(until("message_stop").to_owned()).await;
    insta::assert_snapshot!(early.split_once("127.0.0.1").unwrap().1.split_once(' ').unwrap().1, @"ended before `message_stop`, after 2 content blocks");
    let error = message(format!("{}{}", until("message_stop"), event(&error("overloaded_error", "Overloaded")))).await;
    insta::assert_snapshot!(error, @"HTTP 200 with an `error` event in its stream overloaded_error: Overloaded");
    let disorder = message(STREAM.replace("\"index\":1", "\"index\":4")).await;
    insta::assert_snapshot!(disorder, @"HTTP 200 with a stream that is no reply (text/event-stream; charset=utf-8): content block 4 started, and block 1 never did");
}

#[tokio::test]
async fn broken_streams_are_asked_again_until_a_whole_one_comes() {
    let server = Server::start(vec![
        Step::Write(chunked(until("message_stop"), true)),
        Step::Write(chunked(until("message_delta"), false)),
        Step::Write(http("200 OK", EVENTS, &format!("{}{}", until("ping"), event(&error("overloaded_error", "x"))))),
        Step::Write(chunked(STREAM, true)),
    ])
    .await;
    let mut config = config(&server.url);
    config.stream = Streaming::Always;
    let answer = build_with_clock(vec![config], &unlimited(), 1, || DateTime::UNIX_EPOCH).unwrap().ask(call(1)).await.unwrap();
    let kinds: Vec<_> = answer.reply.attempts.iter().map(|attempt| attempt.error).collect();
    assert_eq!(kinds, [Some(ErrorKind::Connection), Some(ErrorKind::Connection), Some(ErrorKind::Overloaded), None]);
    assert_eq!(answer.reply.text(), "Hi");
}

#[tokio::test]
async fn a_whole_message_needs_no_end_of_its_connection() {
    for rest in ["", "event: ping\ndata: {}\n\n"] {
        let head = format!("HTTP/1.1 200 OK\r\n{EVENTS}content-length: 100000\r\n\r\n");
        for step in [Step::Stall(format!("{head}{STREAM}{rest}")), Step::Write(format!("{head}{STREAM}{rest}"))] {
            let answer = streamed(step).await.unwrap();
            assert_eq!(answer.reply.text(), "Hi");
            assert!(answer.reply.latency_ms < 900, "the latency ends with the message: {}", answer.reply.latency_ms);
        }
    }
}

#[tokio::test]
async fn a_whole_message_is_paid_once_whatever_follows_it_and_whenever_the_time_limit_falls() {
    let open = |rest: &str| Step::Stall(format!("HTTP/1.1 200 OK\r\n{EVENTS}content-length: 100000\r\n\r\n{STREAM}{rest}"));
    let late_error = event(&error("overloaded_error", "x"));
    for step in [open(""), open(STREAM), open(&late_error), Step::Write(http("200 OK", EVENTS, &format!("{STREAM}{late_error}")))] {
        let server = Server::start(vec![step]).await;
        let mut config = config(&server.url);
        config.stream = Streaming::Always;
        // Shorter than the end of the body is awaited.
        config.attempt_timeout = Duration::from_millis(600);
        let stack = build_with_clock(vec![config], &unlimited(), 1, || DateTime::UNIX_EPOCH).unwrap();
        let answer = stack.ask(call(1)).await.unwrap();
        assert_eq!((answer.reply.text().as_str(), answer.reply.attempts.len(), server.received().len()), ("Hi", 1, 1));
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up_and_asked_again() {
    let stalled = format!("HTTP/1.1 200 OK\r\n{EVENTS}content-length: 100000\r\n\r\n{}", until("message_delta"));
    let server = Server::start(vec![Step::Stall(stalled)]).await;
    let mut endpoint = endpoint(&server.url, |config| config.stream = Streaming::Always);
    endpoint.receiver.longest_silence = Duration::from_millis(200);
    let (error, attempt, advice) = parts(endpoint.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap_err());
    assert_eq!((error.kind, attempt.status, advice.should_retry), (ErrorKind::Timeout, Some(200), None));
    assert!(error.message.contains("fell silent for 200ms after"), "{}", error.message);
}

#[tokio::test]
async fn a_stream_that_flows_beyond_the_time_limit_is_not_paid_for_again() {
    let flowing = format!("HTTP/1.1 200 OK\r\n{EVENTS}content-length: 100000\r\n\r\n{}", until("message_delta"));
    let server = Server::start(vec![Step::Trickle(flowing)]).await;
    let endpoint = endpoint(&server.url, |config| {
        config.stream = Streaming::Always;
        config.attempt_timeout = Duration::from_millis(500);
    });
    let (error, _, advice) = parts(endpoint.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap_err());
    assert_eq!((error.kind, advice.should_retry), (ErrorKind::Timeout, Some(false)));
    assert!(error.message.contains("was still under way after 500ms") && error.hint.unwrap().contains("attempt_timeout"));
}

/// A request whose reply can take half an hour.
fn long(number: usize) -> Call {
    let mut call = call(number);
    Arc::make_mut(&mut call.request).params.max_tokens = Some(64_000);
    call
}

#[tokio::test]
async fn a_stream_that_never_begins_is_awaited_no_longer_because_it_could_be_long() {
    let server = Server::start(vec![Step::Stall(String::new())]).await;
    let endpoint = endpoint(&server.url, |config| {
        (config.attempt_timeout, config.attempt_grows) = (Duration::from_millis(300), true);
    });
    let asked = long(1);
    let attempted = timeout(Duration::from_secs(20), async { endpoint.attempt(&asked, &Patience::of(&asked)).await }).await;
    let (error, attempt, advice) = parts(attempted.expect("half an hour is for a reply that is being written").result.unwrap_err());
    assert_eq!((error.kind, attempt.status, advice.should_retry), (ErrorKind::Timeout, None, None));
    assert!(error.message.ends_with("within 300ms"), "{}", error.message);
}

#[tokio::test]
async fn a_stream_that_has_begun_has_the_time_that_its_length_can_take() {
    let flowing = format!("HTTP/1.1 200 OK\r\n{EVENTS}content-length: 100000\r\n\r\n{}", until("message_delta"));
    let server = Server::start(vec![Step::Trickle(flowing)]).await;
    let endpoint = endpoint(&server.url, |config| {
        (config.attempt_timeout, config.attempt_grows) = (Duration::from_millis(200), true);
    });
    let asked = long(1);
    let patience = Patience::of(&asked);
    let attempted = timeout(Duration::from_secs(1), endpoint.attempt(&asked, &patience)).await;
    assert!(attempted.is_err(), "it still flows: {attempted:?}");
}

#[tokio::test]
async fn a_stream_without_end_is_not_read_without_end() {
    let server = Server::start(vec![Step::Write(http("200 OK", EVENTS, &": x\n".repeat(20_000)))]).await;
    let mut endpoint = endpoint(&server.url, |config| config.stream = Streaming::Always);
    endpoint.receiver.longest_body = 10_000;
    let (error, _, advice) = parts(endpoint.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap_err());
    assert_eq!((error.kind, advice.should_retry), (ErrorKind::MalformedReply, Some(false)));
}

#[tokio::test]
async fn the_key_is_in_nothing_that_comes_of_a_stream_not_even_in_pieces() {
    let (front, back) = KEY.split_at(9);
    let in_text = STREAM.replace("\"H\"", &format!("\"H {front}\"")).replace("\"i\"", &format!("\"{back}\""));
    let in_input = until("message_delta").replace(r#"{"type":"text","text":""}"#, r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#)
        + &STREAM[until("message_delta").len()..];
    let in_input = in_input
        .replace(r#"{"type":"text_delta","text":"H"}"#, &format!(r#"{{"type":"input_json_delta","partial_json":"{{\"a\":\"{front}"}}"#))
        .replace(r#"{"type":"text_delta","text":"i"}"#, &format!(r#"{{"type":"input_json_delta","partial_json":"{back}\"}}"}}"#));
    let long = format!("{}{KEY}", "x".repeat(290));
    let leaks = [
        in_text,
        in_input,
        STREAM.replace("msg_01", KEY),
        format!("{}{}", until("message_stop"), event(&error("api_error", KEY))),
        format!("{}{}", until("message_stop"), event(&error("api_error", &long))),
        format!("{}{}", until("message_stop"), event(KEY)),
        STREAM.replace("data: {\"type\":\"content_block_stop\"", &format!("data: {{\"{KEY}\" \"type\":\"content_block_stop\"")),
        STREAM.replace("\"index\":0", &format!("\"index\":\"{KEY}\"")),
        STREAM.replace("\"output_tokens\":12", &format!("\"output_tokens\":\"{long}\"")),
    ];
    for (number, leak) in leaks.into_iter().enumerate() {
        let told = match streamed(Step::Write(http("200 OK", EVENTS, &leak))).await {
            Ok(answer) => serde_json::to_string(&answer.reply).unwrap(),
            Err(failed) => format!("{failed:?}"),
        };
        assert!(!told.contains("sk-ant") && !told.contains("hunter2"), "{number}: {told}");
        assert!(told.contains("[REDACTED]") || (6..9).contains(&number), "{number}: {told}");
    }
}
