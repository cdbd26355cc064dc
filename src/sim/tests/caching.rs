//! The prompt cache: what is written, read and billed (docs/wire-reference.md 6.3 to 6.5)?

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::clock::Clock;
use super::super::server::{Options, Simulator};
use super::{Answered, HEADERS, post, send, start, start_with};

const ANSWER: &str = "otherwise: {text: Hello}";

fn clock() -> Clock {
    Clock::standing_at("2026-11-22T12:00:00Z".parse::<DateTime<Utc>>().unwrap())
}

async fn on(clock: &Clock) -> Simulator {
    start_with(ANSWER, Options { clock: clock.clone(), ..Options::default() }).await
}

/// A text of so many tokens: four bytes are one on this model, and prefixes from 1,024 on are cached.
fn words(tokens: usize) -> String {
    "word".repeat(tokens)
}

fn marked(text: &str) -> Value {
    json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}})
}

fn hour(text: &str) -> Value {
    json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": "1h"}})
}

fn plain(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn asking(system: Value, prompt: &str) -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 64, "system": system, "messages": [{"role": "user", "content": prompt}]})
}

/// Read, written for five minutes, written for an hour, uncached.
fn split(answered: &Answered) -> (u64, u64, u64, u64) {
    assert_eq!(answered.status, 200, "{}", answered.message());
    let usage = answered.json()["usage"].clone();
    let number = |value: &Value| value.as_u64().unwrap();
    let (short, long) =
        (number(&usage["cache_creation"]["ephemeral_5m_input_tokens"]), number(&usage["cache_creation"]["ephemeral_1h_input_tokens"]));
    assert_eq!(number(&usage["cache_creation_input_tokens"]), short + long);
    (number(&usage["cache_read_input_tokens"]), short, long, number(&usage["input_tokens"]))
}

async fn asked(simulator: &Simulator, body: &Value) -> (u64, u64, u64, u64) {
    split(&post(simulator, body).await)
}

#[tokio::test]
async fn the_first_request_writes_and_the_second_reads() {
    let simulator = start(ANSWER).await;
    // 2,000 tokens up to the mark; behind it `hi!!`, 3 for the turn and 4 for the request.
    let body = asking(json!([marked(&words(2000))]), "hi!!");
    assert_eq!(asked(&simulator, &body).await, (0, 2000, 0, 8));
    assert_eq!(asked(&simulator, &body).await, (2000, 0, 0, 8));
    let other = asking(json!([marked(&words(2000))]), "Something else, longer.!");
    assert_eq!(asked(&simulator, &other).await, (2000, 0, 0, 13));
    let counted = json!({"model": body["model"], "system": body["system"], "messages": body["messages"]});
    let counted = send(&simulator, "POST", "/v1/messages/count_tokens", HEADERS, counted.to_string().as_bytes()).await.unwrap();
    assert_eq!(counted.json()["input_tokens"], 2008, "all three add up to what is counted");
    let mut streamed = body.clone();
    streamed["stream"] = true.into();
    let events = String::from_utf8(post(&simulator, &streamed).await.body).unwrap();
    assert_eq!(events.matches(r#""cache_read_input_tokens":2000"#).count(), 2, "in `message_start` and in `message_delta`: {events}");
}

#[tokio::test]
async fn without_marks_nothing_is_cached() {
    let simulator = start(ANSWER).await;
    let body = asking(json!([plain(&words(2000))]), "hi!!");
    assert_eq!(asked(&simulator, &body).await, (0, 0, 0, 2008));
    assert_eq!(asked(&simulator, &body).await, (0, 0, 0, 2008));
}

#[tokio::test]
async fn an_entry_is_there_only_when_the_first_response_has_begun() {
    let script = "rules: [{when: {text: slow}, then: {text: late, delay: 60m}}]\notherwise: {text: Hello}";
    let simulator = start(script).await;
    let body = |prompt: &str| asking(json!([marked(&words(2000))]), prompt);
    let (slow, fast) = (body("slow"), body("fast"));
    let (address, waiting) = (simulator.address(), slow.to_string());
    let first = tokio::spawn(async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = "POST /v1/messages HTTP/1.1\r\nhost: s\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\nconnection: close\r\n";
        let request = format!("{head}content-length: {}\r\n\r\n{waiting}", waiting.len());
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut received).await.unwrap();
        super::read(&received).unwrap()
    });
    while simulator.requests() == 0 {
        tokio::task::yield_now().await;
    }
    // The first is under way and nothing came of it yet: whoever asks now writes once more; whoever asks after that reads.
    assert_eq!(asked(&simulator, &fast).await, (0, 2000, 0, 8));
    assert_eq!(asked(&simulator, &fast).await, (2000, 0, 0, 8));
    simulator.stop().await;
    assert_eq!(split(&first.await.unwrap()), (0, 2000, 0, 8), "it was looked up before");
}

#[tokio::test]
async fn an_entry_lives_from_the_start_of_the_last_request_that_used_it() {
    let clock = clock();
    let simulator = on(&clock).await;
    let minutes = |count: u64| clock.advance(Duration::from_secs(60 * count));
    let (short, long) = (asking(json!([marked(&words(2000))]), "hi!!"), asking(json!([hour(&words(3000))]), "hi!!"));
    assert_eq!((asked(&simulator, &short).await.1, asked(&simulator, &long).await.2), (2000, 3000));
    for _ in 0..3 {
        minutes(4);
        assert_eq!(asked(&simulator, &short).await.0, 2000, "each hit gives it five minutes more");
    }
    minutes(5);
    assert_eq!(asked(&simulator, &short).await, (0, 2000, 0, 8), "five minutes without a hit are too long");
    minutes(42);
    assert_eq!(asked(&simulator, &long).await.0, 3000, "59 minutes after its first use");
    minutes(60);
    assert_eq!(asked(&simulator, &long).await, (0, 0, 3000, 8));
}

#[tokio::test]
async fn reads_look_back_twenty_positions_from_a_mark_and_no_further() {
    for (blocks_after, read) in [(19, 2000), (20, 0)] {
        let simulator = start(ANSWER).await;
        assert_eq!(asked(&simulator, &asking(json!([marked(&words(2000))]), "hi!!")).await.1, 2000);
        let mut system = vec![plain(&words(2000))];
        system.extend((1..blocks_after).map(|_| plain("more")));
        system.push(marked("last"));
        let whole = 2000 + blocks_after;
        assert_eq!(asked(&simulator, &asking(system.into(), "hi!!")).await, (read, whole - read, 0, 8), "{blocks_after} blocks later");
    }
}

#[tokio::test]
async fn only_what_was_written_can_be_read() {
    let simulator = start(ANSWER).await;
    // One entry, at the mark: not at the block before it.
    assert_eq!(asked(&simulator, &asking(json!([plain(&words(2000)), marked("more")]), "hi!!")).await.1, 2001);
    assert_eq!(asked(&simulator, &asking(json!([marked(&words(2000))]), "hi!!")).await, (0, 2000, 0, 8));
}

#[tokio::test]
async fn a_prefix_under_the_minimum_of_its_model_is_silently_not_cached() {
    let simulator = start(ANSWER).await;
    for (model, bytes, cached) in [
        ("claude-sonnet-4-5", 4 * 1023, false),
        ("claude-sonnet-4-5", 4 * 1024, true),
        ("claude-haiku-4-5", 4 * 4095, false),
        ("claude-haiku-4-5", 4 * 4096, true),
        // Thirteen tokens of the newer tokenizer are forty bytes.
        ("claude-opus-5", 40 * 39, false),
        ("claude-opus-5", 40 * 40, true),
        ("claude-opus-4-7", 40 * 157, false),
        ("claude-opus-4-7", 40 * 158, true),
    ] {
        let mut body = asking(json!([marked(&"w".repeat(bytes))]), "hi!!");
        body["model"] = model.into();
        assert_eq!(asked(&simulator, &body).await.1 > 0, cached, "{model} with {bytes} bytes");
    }
}

#[tokio::test]
async fn an_hour_is_billed_up_to_its_last_mark_and_five_minutes_behind_it() {
    let simulator = start(ANSWER).await;
    let first = asking(json!([hour(&words(1500)), plain(&words(100)), marked(&words(400))]), "hi!!");
    assert_eq!(asked(&simulator, &first).await, (0, 500, 1500, 8));
    // A is the first mark, B the second, C the last.
    let second = asking(json!([hour(&words(1500)), hour(&words(300)), marked(&words(50))]), "hi!!");
    assert_eq!(asked(&simulator, &second).await, (1500, 50, 300, 8));
    assert_eq!(asked(&simulator, &second).await, (1850, 0, 0, 8));
}

#[tokio::test]
async fn a_mark_moves_from_turn_to_turn_and_the_turns_before_it_are_read() {
    let simulator = start(ANSWER).await;
    let mut body = asking(json!(words(1200)), "hi!!");
    // Automatic: the last block, whatever it is, without a mark in the text that is hashed.
    body["cache_control"] = json!({"type": "ephemeral"});
    assert_eq!(asked(&simulator, &body).await, (0, 1204, 0, 4));
    let next = [json!({"role": "assistant", "content": "Hello"}), json!({"role": "user", "content": [plain("and more")]})];
    body["messages"].as_array_mut().unwrap().extend(next);
    // 1,200 + 1 + (5 + 8 bytes: 4 tokens) + 3 turns, rounded up once.
    assert_eq!(asked(&simulator, &body).await, (1204, 10, 0, 4));
    // The same, marked by hand: nothing is new.
    let by_hand = json!({"type": "text", "text": "and more", "cache_control": {"type": "ephemeral"}});
    body["messages"][2]["content"] = json!([by_hand]);
    assert_eq!(asked(&simulator, &body).await, (1214, 0, 0, 4));
}

#[tokio::test]
async fn models_and_workspaces_do_not_share_and_an_alias_is_its_model() {
    let simulator = start(ANSWER).await;
    let mut body = asking(json!([marked(&words(2000))]), "hi!!");
    assert_eq!(asked(&simulator, &body).await.1, 2000);
    body["model"] = "claude-sonnet-4-5-20250929".into();
    assert_eq!(asked(&simulator, &body).await.0, 2000);
    body["model"] = "claude-sonnet-4-6".into();
    assert_eq!(asked(&simulator, &body).await.1, 2000);
    let mut headers = HEADERS.to_vec();
    headers.push(("anthropic-workspace-id", "wrkspc_other"));
    assert_eq!(split(&send(&simulator, "POST", "/v1/messages", &headers, body.to_string().as_bytes()).await.unwrap()).1, 2000);
}

/// A request with a mark at every level, and what is read after this change of it: 1,500 tokens of tools, 2,000 with the system prompt, all.
async fn after(change: impl Fn(&mut Value)) -> u64 {
    let simulator = start(ANSWER).await;
    let mark = json!({"type": "ephemeral"});
    let tool = |name: &str, text: usize| json!({"name": name, "description": words(text), "input_schema": {"type": "object"}});
    let mut body = json!({
        "model": "claude-sonnet-4-6",
        "max_tokens": 64,
        "tools": [tool("one", 1200)],
        "system": [marked(&words(500))],
        "messages": [{"role": "user", "content": [marked(&words(100)), plain("hi!!")]}],
    });
    body["tools"][0]["cache_control"] = mark;
    let (_, written, _, _) = asked(&simulator, &body).await;
    // The hidden prompt of tools, their JSON, and both texts behind them.
    let json = body["tools"][0].to_string().len() - r#","cache_control":{"type":"ephemeral"}"#.len();
    assert_eq!(written, 346 + (json as u64 + 2400).div_ceil(4) + 3);
    change(&mut body);
    let (read, _, _, _) = asked(&simulator, &body).await;
    let tools = 346 + (json as u64).div_ceil(4);
    match read {
        0 => 0,
        read if read == tools => 1,
        read if read == 346 + (json as u64 + 2000).div_ceil(4) => 2,
        read if read == written => 3,
        other => panic!("{other} of {written}"),
    }
}

#[tokio::test]
async fn a_change_invalidates_what_stands_behind_it() {
    const NOTHING: u64 = 0;
    const TOOLS: u64 = 1;
    const SYSTEM: u64 = 2;
    const ALL: u64 = 3;
    assert_eq!(after(|_| {}).await, ALL);
    assert_eq!(after(|body| body["max_tokens"] = 32.into()).await, ALL);
    assert_eq!(after(|body| body["messages"][0]["content"][1]["text"] = "ho".into()).await, ALL, "behind the last mark");
    assert_eq!(after(|body| body["tools"][0]["description"] = "another".into()).await, NOTHING);
    assert_eq!(after(|body| body["system"][0]["text"] = words(501).into()).await, TOOLS);
    assert_eq!(after(|body| body["messages"][0]["content"][0]["text"] = words(101).into()).await, SYSTEM);
    assert_eq!(after(|body| body["tool_choice"] = json!({"type": "any"})).await, SYSTEM);
    assert_eq!(after(|body| body["tool_choice"] = json!({"type": "auto"})).await, ALL, "what is meant anyway");
    assert_eq!(after(|body| body["thinking"] = json!({"type": "adaptive"})).await, SYSTEM);
    assert_eq!(after(|body| body["thinking"] = json!({"type": "disabled"})).await, ALL, "what is meant anyway");
    assert_eq!(after(|body| body["output_config"] = json!({"effort": "low"})).await, SYSTEM);
    assert_eq!(after(|body| body["output_config"] = json!({"effort": "high"})).await, ALL, "what is meant anyway");
    let image = json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}});
    assert_eq!(after(|body| body["messages"][0]["content"][1] = image.clone()).await, SYSTEM, "even behind the last mark");
    let cited =
        json!({"type": "document", "citations": {"enabled": true}, "source": {"type": "text", "media_type": "text/plain", "data": "x"}});
    assert_eq!(after(|body| body["messages"][0]["content"][1] = cited.clone()).await, TOOLS);
    let search = json!({"type": "web_search_20260318", "name": "web_search"});
    assert_eq!(after(|body| body["tools"].as_array_mut().unwrap().insert(0, search.clone())).await, TOOLS);
    let format = json!({"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}, "additionalProperties": false}}});
    assert_eq!(after(|body| body["output_config"] = format.clone()).await, NOTHING);
}

#[tokio::test]
async fn a_request_without_output_warms_the_cache_without_a_rule() {
    let simulator = start("rules: [{when: {text: question}, then: {text: answer}}]").await;
    let mut body = asking(json!([marked(&words(2000))]), "warm up");
    assert_eq!(post(&simulator, &body).await.status, 400, "no rule foresees it");
    body["max_tokens"] = 0.into();
    let warmed = post(&simulator, &body).await;
    assert_eq!(split(&warmed), (0, 2000, 0, 9));
    let message = warmed.json();
    assert_eq!(
        (&message["content"], &message["stop_reason"], &message["usage"]["output_tokens"]),
        (&json!([]), &json!("max_tokens"), &json!(0))
    );
    assert_eq!(asked(&simulator, &asking(json!([marked(&words(2000))]), "question")).await.0, 2000);
}

#[tokio::test]
async fn a_refused_request_writes_nothing_and_one_whose_answer_broke_does() {
    for (fault, writes) in [("overloaded", false), ("drop", false), ("cut", true), ("lost", true), ("invalid_json", true), ("split", true)]
    {
        let simulator = start(&format!("rules: [{{when: {{call: 1}}, then: {{fault: {fault}}}}}]\notherwise: {{text: x}}")).await;
        let body = asking(json!([marked(&words(2000))]), "hi!!");
        let _ = send(&simulator, "POST", "/v1/messages", HEADERS, body.to_string().as_bytes()).await;
        assert_eq!(asked(&simulator, &body).await.0 > 0, writes, "{fault}");
    }
}

#[tokio::test]
async fn a_rule_that_sets_the_counts_of_the_cache_stands_for_the_cache() {
    let simulator = start(
        "rules:
  - {when: {text: set}, then: {text: x, usage: {cache_read_input_tokens: 7}}}
  - {when: {text: input}, then: {text: x, usage: {input_tokens: 5}}}",
    )
    .await;
    let body = |prompt: &str| asking(json!([marked(&words(2000))]), prompt);
    assert_eq!(asked(&simulator, &body("set!")).await, (7, 0, 0, 2008));
    assert_eq!(asked(&simulator, &body("input")).await, (0, 2000, 0, 5), "nothing was written, and only the one count is set");
}

#[tokio::test]
async fn marks_beyond_what_is_documented_are_refused() {
    let simulator = start(ANSWER).await;
    let automatic = |system: Value, ttl: &str| {
        let mut body = asking(system, "hi!!");
        body["cache_control"] = json!({"type": "ephemeral", "ttl": ttl});
        body
    };
    let four = json!([marked("a"), marked("b"), marked("c"), marked("d")]);
    assert_eq!(post(&simulator, &asking(four.clone(), "hi")).await.status, 200);
    let five = post(&simulator, &automatic(four, "5m")).await;
    assert_eq!((five.status, five.message().as_str()), (400, "A maximum of 4 blocks with cache_control may be provided. Found 5."));
    let late = post(&simulator, &automatic(json!([marked("a")]), "1h")).await;
    assert!(late.status == 400 && late.message().starts_with("cache_control.ttl: a ttl='1h'"), "{}", late.message());
    // The last block is the user's plain text: the mark of the system prompt is another one.
    assert_eq!(post(&simulator, &automatic(json!([hour("a")]), "5m")).await.status, 200);
}
