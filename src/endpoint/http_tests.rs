//! Does every reply and every fault on a real socket come out as what it is?

use std::sync::Mutex;

use chrono::DateTime;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::endpoint::testing::{call, config, heard, unlimited};
use crate::endpoint::{Endpoint, build_with_clock};
use crate::model::request::Params;

/// Word for word from the wire reference, 1.7.
const REPLY: &str = r#"{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":[{"type":"thinking","thinking":"","signature":"Eos"},{"type":"text","text":"Hi","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null,"usage":{"input_tokens":8,"cache_creation_input_tokens":5120,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":5120,"ephemeral_1h_input_tokens":0},"output_tokens":12}}"#;

const KEY: &str = "sk-ant-api03-hunter2hunter2";

/// What the server does with one connection.
#[derive(Clone)]
enum Step {
    /// Writes these bytes and closes.
    Write(String),
    /// Writes these bytes and leaves the connection open.
    Stall(String),
    /// Writes these bytes, and then a comment of a stream every few milliseconds.
    Trickle(String),
}

/// A server of a few lines that knows nothing of ours: the n-th connection gets the n-th step, later ones the last.
struct Server {
    url: String,
    received: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            for number in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, steps[number.min(steps.len() - 1)].clone(), Arc::clone(&log)));
            }
        });
        Self { url, received }
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(mut socket: TcpStream, step: Step, log: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = socket.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(|length| length.parse::<usize>().unwrap()));
        if body.len() >= length.unwrap_or(0) {
            log.lock().unwrap().push(text);
            break;
        }
    }
    match step {
        Step::Write(text) => drop(socket.write_all(text.as_bytes()).await),
        Step::Stall(text) => {
            socket.write_all(text.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        }
        Step::Trickle(text) => {
            let mut next = text.as_bytes();
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while socket.write_all(next).await.is_ok() {
                next = b": still here\n";
                tick.tick().await;
            }
        }
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

fn ok(body: &str) -> String {
    http("200 OK", "content-type: application/json\r\nrequest-id: req_7\r\n", body)
}

fn error(kind: &str, message: &str) -> String {
    serde_json::json!({"type":"error","error":{"type":kind,"message":message},"request_id":"req_body"}).to_string()
}

fn endpoint(url: &str, change: impl FnOnce(&mut EndpointConfig)) -> Http {
    let mut config = config(url);
    config.key = Some(SecretString::from(KEY));
    config.attempt_timeout = Duration::from_secs(5);
    change(&mut config);
    Http::new(&config, || DateTime::UNIX_EPOCH).unwrap()
}

/// One attempt against a server that does this.
async fn attempt(step: Step) -> Result<Answer, Failed> {
    let server = Server::start(vec![step]).await;
    endpoint(&server.url, |_| {}).attempt(&call(1), &Patience::of(&call(1))).await.result
}

fn parts(failed: Failed) -> (CellError, Attempt, Advice) {
    match failed {
        Failed::Attempt { error, attempt, advice } => (error, attempt, advice),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reply_is_read_whole_with_its_ids_and_its_day() {
    let answer = attempt(Step::Write(ok(REPLY))).await.unwrap();
    let reply = &answer.reply;
    assert_eq!((answer.served, reply.text().as_str()), (Served::Fresh, "Hi"));
    assert_eq!((reply.id.as_deref(), reply.request_id.as_deref()), (Some("msg_01"), Some("req_7")));
    assert_eq!((reply.model.as_str(), reply.usage.cache_write_5m_tokens, reply.usage.output_tokens), ("claude-sonnet-5-5", 5120, 12));
    assert_eq!((reply.answered_at, reply.simulated), (DateTime::UNIX_EPOCH, false));
    assert_eq!(reply.attempts.len(), 1);
    assert_eq!((reply.attempts[0].status, reply.attempts[0].error), (Some(200), None));
    assert_eq!(reply.latency_ms, reply.attempts[0].duration_ms);
}

#[tokio::test]
async fn the_request_carries_what_the_api_asks_for() {
    let server = Server::start(vec![Step::Write(ok(REPLY))]).await;
    let beta = |config: &mut EndpointConfig| config.beta = vec!["a-1".to_owned(), " b-2".to_owned()];
    endpoint(&server.url, beta).attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap();
    let bearer = |config: &mut EndpointConfig| config.auth = Auth::Bearer;
    endpoint(&format!("{}/v1/", server.url), bearer).attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap();
    let received = server.received();
    for line in [
        "POST /v1/messages HTTP/1.1",
        "content-type: application/json",
        "accept: application/json",
        "anthropic-version: 2026-10-21",
        "anthropic-beta: a-1,b-2",
        "x-api-key: sk-ant-api03-hunter2hunter2",
        r#"{"model":"m","max_tokens":64,"messages":[{"role":"user","content":[{"type":"text","text":"question 1"}]}]}"#,
    ] {
        assert!(received[0].lines().any(|sent| sent == line), "{line} in\n{}", received[0]);
    }
    assert!(received[1].starts_with("POST /v1/messages HTTP/1.1\r\n"));
    assert!(received[1].contains("\r\nauthorization: Bearer sk-ant-api03-hunter2hunter2\r\n") && !received[1].contains("x-api-key"));
}

#[tokio::test]
async fn a_simulator_is_known_by_its_header_or_by_the_setting() {
    let marked = http("200 OK", "content-type: application/json\r\npromptkeel-simulated: 1\r\n", REPLY);
    assert!(attempt(Step::Write(marked)).await.unwrap().reply.simulated);
    let server = Server::start(vec![Step::Write(ok(REPLY))]).await;
    let ours = endpoint(&server.url, |config| config.dialect = Dialect::Simulated);
    assert!(ours.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap().reply.simulated);
}

#[tokio::test]
async fn every_fault_is_of_its_class_and_its_attempt_is_told() {
    use ErrorKind as K;
    let json = "content-type: application/json\r\n";
    let cut = ok(REPLY).replace("content-length: ", "content-length: 1");
    let half = &REPLY[..REPLY.len() / 2];
    let faults = [
        ("429", http("429 Too Many Requests", json, &error("rate_limit_error", "slow down")), K::RateLimited, Some(429)),
        ("500", http("500 Internal Server Error", json, &error("api_error", "oops")), K::Server, Some(500)),
        ("529", http("529 Overloaded", json, &error("overloaded_error", "Overloaded")), K::Overloaded, Some(529)),
        ("401", http("401 Unauthorized", json, &error("authentication_error", "invalid x-api-key")), K::Denied, Some(401)),
        ("404", http("404 Not Found", json, &error("not_found_error", "model: m")), K::NotFound, Some(404)),
        ("413", http("413 Payload Too Large", "content-type: text/html\r\n", "<html>cloudflare</html>"), K::InvalidRequest, Some(413)),
        ("502 with a page", http("502 Bad Gateway", "content-type: text/html\r\n", "<html>bad gateway</html>"), K::Server, Some(502)),
        ("dropped before the head", String::new(), K::Connection, None),
        ("dropped within the head", "HTTP/1.1 200 OK\r\ncontent-le".to_owned(), K::Connection, None),
        ("no HTTP at all", "\0\u{1}hello\r\n\r\n".to_owned(), K::Connection, None),
        ("cut body", cut, K::Connection, Some(200)),
        ("cut chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{\"id\":".to_owned(), K::Connection, Some(200)),
        ("JSON that ends too early", ok(half), K::MalformedReply, Some(200)),
        ("invalid JSON", ok("{\"type\":\"message\",}"), K::MalformedReply, Some(200)),
        ("other JSON", ok("{\"choices\":[]}"), K::MalformedReply, Some(200)),
        ("a page in place of a reply", http("200 OK", "content-type: text/html\r\n", "<html>log in</html>"), K::MalformedReply, Some(200)),
        ("an empty body", http("204 No Content", "", ""), K::MalformedReply, Some(204)),
        ("an error body with status 200", ok(&error("overloaded_error", "Overloaded")), K::Overloaded, Some(200)),
    ];
    for (name, response, kind, status) in faults {
        let (error, attempt, _) = parts(attempt(Step::Write(response)).await.unwrap_err());
        assert_eq!((error.kind, attempt.status, attempt.error), (kind, status, Some(kind)), "{name}: {}", error.message);
        assert_eq!(attempt.message.as_deref(), Some(error.message.as_str()), "{name}");
        assert!(!error.message.contains('\n') && error.attempts.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_whole_reply_under_a_sloppy_content_type_is_a_reply() {
    let answer = attempt(Step::Write(http("200 OK", "content-type: text/plain\r\n", REPLY))).await.unwrap();
    assert_eq!(answer.reply.text(), "Hi");
}

#[tokio::test]
async fn what_the_server_says_about_trying_again_comes_along() {
    let headers = "retry-after: 3\r\nx-should-retry: false\r\nrequest-id: req_head\r\n";
    let response = http("429 Too Many Requests", headers, &error("rate_limit_error", "slow"));
    let (_, attempt, advice) = parts(attempt(Step::Write(response)).await.unwrap_err());
    assert_eq!(advice, Advice { after: Some(Duration::from_secs(3)), should_retry: Some(false), ..Advice::default() });
    assert_eq!(attempt.request_id.as_deref(), Some("req_head"));
}

#[tokio::test]
async fn the_request_id_of_an_error_body_serves_where_the_header_is_missing() {
    let (_, attempt, _) = parts(attempt(Step::Write(http("500 x", "", &error("api_error", "oops")))).await.unwrap_err());
    assert_eq!(attempt.request_id.as_deref(), Some("req_body"));
}

#[tokio::test]
async fn silence_and_a_stalled_body_are_timeouts_and_the_head_is_not_forgotten() {
    for (bytes, status, id) in
        [("", None, None), ("HTTP/1.1 200 OK\r\nrequest-id: req_s\r\ncontent-length: 900\r\n\r\n{", Some(200), Some("req_s"))]
    {
        let server = Server::start(vec![Step::Stall(bytes.to_owned())]).await;
        let endpoint = endpoint(&server.url, |config| config.attempt_timeout = Duration::from_millis(200));
        let (error, attempt, _) = parts(endpoint.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap_err());
        assert_eq!((error.kind, attempt.status, attempt.request_id.as_deref()), (ErrorKind::Timeout, status, id));
        assert!(attempt.duration_ms >= 200 && error.hint.unwrap().contains("attempt_timeout"));
    }
}

#[tokio::test]
async fn a_failure_is_what_its_status_says_also_where_its_body_does_not_end() {
    use ErrorKind as K;
    let cut = "{\"type\":\"error\",\"error\":{\"ty";
    let whole = error("rate_limit_error", "slow down");
    for (status, body, kind) in [
        ("401", cut, K::Denied),
        ("404", "", K::NotFound),
        ("429", whole.as_str(), K::RateLimited),
        ("529", cut, K::Overloaded),
        ("500", "<html>", K::Server),
    ] {
        let head = format!("HTTP/1.1 {status} x\r\nretry-after: 3\r\nrequest-id: req_h\r\ncontent-length: 900\r\n\r\n");
        let server = Server::start(vec![Step::Stall(format!("{head}{body}"))]).await;
        // Either of the two bounds is the shorter one.
        for (attempt_timeout, longest_error) in [(60_000, 100), (200, 60_000)] {
            let mut endpoint = endpoint(&server.url, |config| config.attempt_timeout = Duration::from_millis(attempt_timeout));
            endpoint.receiver.longest_error = Duration::from_millis(longest_error);
            let (error, attempt, advice) = parts(endpoint.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap_err());
            assert_eq!((error.kind, attempt.status, attempt.error), (kind, status.parse().ok(), Some(kind)), "{}", error.message);
            assert_eq!((advice.after, attempt.request_id.as_deref()), (Some(Duration::from_secs(3)), Some("req_h")));
            assert!(attempt.duration_ms < 10_000 && error.message.starts_with(&format!("HTTP {status}")), "{attempt:?}");
            assert_eq!(error.message.contains("slow down"), status == "429", "what is there is told: {}", error.message);
        }
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_a_connection_error_that_names_the_setting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (error, attempt, _) = parts(endpoint(&url, |_| {}).attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap_err());
    assert_eq!((error.kind, attempt.status), (ErrorKind::Connection, None));
    assert!(error.message.contains(&url) && error.message.contains("refused"), "{}", error.message);
    assert!(error.hint.unwrap().contains("`base_url` of endpoint `anthropic`"));
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let elsewhere = Server::start(vec![Step::Write(ok(REPLY))]).await;
    let location = format!("location: {}/v1/messages\r\n", elsewhere.url);
    for status in ["307 Temporary Redirect", "301 Moved Permanently"] {
        let (error, ..) = parts(attempt(Step::Write(http(status, &location, ""))).await.unwrap_err());
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.hint.unwrap().contains(&elsewhere.url));
    }
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn a_body_without_end_is_not_read_without_end_and_not_asked_for_again() {
    let server = Server::start(vec![Step::Write(ok(&" ".repeat(50_000)))]).await;
    let mut endpoint = endpoint(&server.url, |_| {});
    endpoint.receiver.longest_body = 10_000;
    let (error, _, advice) = parts(endpoint.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap_err());
    assert_eq!((error.kind, advice.should_retry), (ErrorKind::MalformedReply, Some(false)));
}

#[tokio::test]
async fn the_key_is_in_no_error_no_attempt_and_no_reply_whatever_the_server_echoes() {
    let echo = format!("request-id: {KEY}\r\nlocation: http://x.test/{KEY}\r\n");
    let leaks = [
        http("401 Unauthorized", &echo, &error("authentication_error", &format!("no such key {KEY}"))),
        http("500 x", &echo, &error(KEY, KEY).replace("req_body", KEY)),
        http("502 x", &format!("{echo}content-type: {KEY}\r\n"), &format!("<html>{KEY}</html>")),
        http("307 x", &echo, ""),
        http("200 OK", &echo, &format!("<html>{KEY}</html>")),
        http("200 OK", &echo, &error("api_error", KEY)),
        http("200 OK", &echo, &REPLY.replace("\"Hi\"", &format!("\"Hi {KEY}\"")).replace("msg_01", KEY)),
        http("200 OK", "", &REPLY.replace("\"Hi\"", &format!("\"{}\"}},{{\"type\":\"text\",\"text\":\"{}\"", &KEY[..9], &KEY[9..]))),
    ];
    for leak in leaks {
        let told = match attempt(Step::Write(leak)).await {
            Ok(answer) => serde_json::to_string(&answer.reply).unwrap(),
            Err(failed) => format!("{failed:?}"),
        };
        assert!(!told.contains(KEY), "{told}");
        assert!(told.contains("[REDACTED]"), "{told}");
    }
    let endpoint = endpoint("http://127.0.0.1:9", |_| {});
    assert!(!format!("{endpoint:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_key_with_a_quotation_mark_is_in_no_message_of_a_parser_not_even_its_beginning() {
    let key = "sk-planted-012345\"6789";
    let server = Server::start(vec![Step::Write(ok(&format!(r#"{{"type":"message","content":"{key}"#)))]).await;
    let endpoint = endpoint(&server.url, |config| config.key = Some(SecretString::from(key)));
    let (error, attempt, _) = parts(endpoint.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap_err());
    assert!(!format!("{error:?}{attempt:?}").contains("planted"), "{error:?}");
    assert!(error.message.contains("[REDACTED]"), "{error:?}");
}

#[tokio::test]
async fn a_key_in_the_path_of_the_address_is_in_nothing_that_is_told() {
    let server = Server::start(vec![Step::Write(http("503 x", "", "busy"))]).await;
    let (call, heard) = heard(call(1));
    let with_path = |url: &str| endpoint(&format!("{url}/{KEY}/x"), |config| config.key = Some(SecretString::from(KEY)));
    let failed = with_path(&server.url).attempt(&call, &Patience::of(&call)).await.result.unwrap_err();
    assert!(server.received()[0].contains(KEY), "the path itself stays as it is");
    let nobody = with_path("http://127.0.0.1:1").attempt(&call, &Patience::of(&call)).await.result.unwrap_err();
    let heard = heard.lock().unwrap();
    let told = format!("{failed:?} {nobody:?} {heard:?}");
    assert!(!told.contains(KEY) && told.contains("/[REDACTED]/x/v1/messages"), "{told}");
}

#[tokio::test]
async fn the_placeholder_for_our_own_simulator_is_no_secret() {
    let body = REPLY.replace("\"Hi\"", "\"a simulated-placeholder answers\"");
    let server = Server::start(vec![Step::Write(ok(&body))]).await;
    let ours = endpoint(&server.url, |config| {
        config.dialect = Dialect::Simulated;
        config.key = Some(SecretString::from("simulated-placeholder"));
    });
    let answer = ours.attempt(&call(1), &Patience::of(&call(1))).await.result.unwrap();
    assert_eq!(answer.reply.text(), "a simulated-placeholder answers");
}

#[tokio::test]
async fn sending_and_the_first_byte_are_heard() {
    let server = Server::start(vec![Step::Write(ok(REPLY))]).await;
    let (call, heard) = heard(call(1));
    endpoint(&server.url, |_| {}).attempt(&call, &Patience::of(&call)).await.result.unwrap();
    let heard = heard.lock().unwrap();
    let [CallEvent::Sent, CallEvent::FirstByte, CallEvent::Exchange(exchange)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((exchange.status, exchange.received_bytes, exchange.error.as_deref()), (Some(200), Some(REPLY.len() as u64), None));
    assert!(exchange.sent_bytes > 50 && exchange.url.ends_with("/v1/messages"), "{exchange:?}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_errors_before_anything_is_sent() {
    let error = |change: fn(&mut EndpointConfig)| {
        let mut config = config("http://127.0.0.1:9");
        change(&mut config);
        Http::new(&config, || DateTime::UNIX_EPOCH).unwrap_err().to_string()
    };
    insta::assert_snapshot!(error(|config| config.base_url = "https://me:hunter2@api.test".to_owned()), @"`base_url` of endpoint `anthropic` is no usable address: it must not hold a user name or a password, which would end up in reports; keys come from the environment");
    insta::assert_snapshot!(error(|config| config.key = Some(SecretString::from("hunter2\nhunter2"))), @"the key of endpoint `anthropic` holds characters that an HTTP header cannot carry");
    insta::assert_snapshot!(error(|config| config.api_version = "2026\n".to_owned()), @"`api_version` of endpoint `anthropic` holds characters that an HTTP header cannot carry");
}

/// The whole stack without a store, against the server.
async fn through_the_stack(server: &Server) -> Result<Answer, CellError> {
    let mut config = config(&server.url);
    config.key = Some(SecretString::from(KEY));
    let stack = build_with_clock(vec![config], &unlimited(), 1, || DateTime::UNIX_EPOCH).unwrap();
    stack.ask(call(1)).await
}

#[tokio::test]
async fn passing_faults_on_the_wire_are_retried_until_the_reply() {
    let soon = "retry-after-ms: 1\r\n";
    let server = Server::start(vec![
        Step::Write(http("429 x", soon, &error("rate_limit_error", "slow"))),
        Step::Write(http("502 x", soon, "<html>")),
        Step::Write(http("200 OK", soon, &REPLY[..100])),
        Step::Write(ok(REPLY)),
    ])
    .await;
    let answer = through_the_stack(&server).await.unwrap();
    let statuses: Vec<_> = answer.reply.attempts.iter().map(|attempt| (attempt.status, attempt.error)).collect();
    assert_eq!(
        statuses,
        [
            (Some(429), Some(ErrorKind::RateLimited)),
            (Some(502), Some(ErrorKind::Server)),
            (Some(200), Some(ErrorKind::MalformedReply)),
            (Some(200), None)
        ]
    );
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn a_dropped_connection_and_a_cut_body_are_retried() {
    let cut = ok(REPLY).replace("content-length: ", "content-length: 1");
    let server = Server::start(vec![Step::Write(String::new()), Step::Write(cut), Step::Write(ok(REPLY))]).await;
    assert_eq!(through_the_stack(&server).await.unwrap().reply.attempts.len(), 3);
}

#[tokio::test]
async fn a_refused_key_is_asked_once_and_never_again() {
    let server =
        Server::start(vec![Step::Write(http("401 x", "x-should-retry: true\r\n", &error("authentication_error", "invalid x-api-key")))])
            .await;
    let mut config = config(&server.url);
    config.key = Some(SecretString::from(KEY));
    let stack = build_with_clock(vec![config], &unlimited(), 1, || DateTime::UNIX_EPOCH).unwrap();
    let first = stack.ask(call(1)).await.unwrap_err();
    insta::assert_snapshot!(first.message, @"HTTP 401 authentication_error: invalid x-api-key");
    insta::assert_snapshot!(first.hint.unwrap(), @"check the key of endpoint `anthropic` (`api_key_env` in promptkeel.toml) and that it may use `m`");
    let second = stack.ask(call(2)).await.unwrap_err();
    assert_eq!((second.kind, second.attempts.len()), (ErrorKind::Denied, 0));
    insta::assert_snapshot!(second.message, @"not asked, because the model `m` was refused before: HTTP 401 authentication_error: invalid x-api-key");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_unknown_endpoint_is_an_error_and_no_other_one_takes_its_place() {
    let server = Server::start(vec![Step::Write(ok(REPLY))]).await;
    let stack = build_with_clock(vec![config(&server.url)], &unlimited(), 1, || DateTime::UNIX_EPOCH).unwrap();
    let error = stack.ask(Call { endpoint: Arc::from("other"), ..call(1) }).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(server.received().is_empty());
    assert_eq!(
        build_with_clock(vec![config(&server.url), config(&server.url)], &unlimited(), 1, || DateTime::UNIX_EPOCH).unwrap_err(),
        EndpointError::Duplicate("anthropic".to_owned())
    );
}

#[path = "http_stream_tests.rs"]
mod streams;

proptest! {
    #[test]
    fn no_bytes_of_a_response_make_the_reader_panic(status in 200u16..600, body in proptest::collection::vec(any::<u8>(), 0..500)) {
        let endpoint = endpoint("http://127.0.0.1:9", |_| {});
        let head = Head { status: Some(status), ..Head::default() };
        prop_assert!(endpoint.read(Received::Bytes(body), &head, &call(1)).is_err());
    }
}

/// Runs only where the test below has taken the certificates away.
#[test]
#[ignore = "is started by another test, with another environment"]
fn on_a_machine_without_certificates() {
    let https = endpoint("https://api.anthropic.com", |_| {}).prepare().unwrap_err();
    assert_eq!(https, EndpointError::NoCertificates { endpoint: "anthropic".to_owned() });
    assert!(https.hint().unwrap().contains("install ca-certificates"));
    endpoint("http://gateway.test", |_| {}).prepare().unwrap();
    endpoint("http://127.0.0.1:9", |_| {}).prepare().unwrap();
}

#[test]
fn plain_http_needs_no_certificates_and_https_says_what_to_install() {
    #[expect(clippy::disallowed_methods, reason = "the environment of this process cannot be changed safely, that of a child can")]
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "endpoint::http::tests::on_a_machine_without_certificates"]);
    let output = child.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn a_limit_that_nobody_set_grows_with_the_length_of_the_reply() {
    let limit = |grows: bool, max_tokens| {
        let config = EndpointConfig { attempt_timeout: Duration::from_secs(300), attempt_grows: grows, ..config("http://127.0.0.1") };
        config.attempt_limit(&Params { max_tokens, ..Params::default() }).as_secs()
    };
    assert_eq!(
        [None, Some(1_024), Some(10_666), Some(64_000), Some(u64::MAX)].map(|most| limit(true, most)),
        [300, 300, 300, 1_800, 10_800]
    );
    assert_eq!(limit(false, Some(64_000)), 300);
    let config = EndpointConfig { attempt_timeout: Duration::from_secs(300), attempt_grows: true, ..config("http://127.0.0.1") };
    let params = Params { max_tokens: Some(64_000), ..Params::default() };
    assert_eq!([false, true].map(|streamed| config.head_limit(&params, streamed).as_secs()), [1_800, 300]);
}
