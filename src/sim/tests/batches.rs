//! Message batches: what does a client see from creation to deletion (docs/wire-reference.md 5)?

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::clock::Clock;
use super::super::server::{Options, Simulator};
use super::{Answered, HEADERS, get, send, start, start_with};

const PATH: &str = "/v1/messages/batches";
const ANSWER: &str = "otherwise: {text: 'you said {{ prompt }}'}";

fn clock() -> Clock {
    Clock::standing_at("2026-11-22T12:00:00Z".parse::<DateTime<Utc>>().unwrap())
}

async fn on(clock: &Clock, script: &str) -> Simulator {
    start_with(script, Options { clock: clock.clone(), ..Options::default() }).await
}

fn params(prompt: &str) -> Value {
    json!({"model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": prompt}]})
}

fn request(id: &str, params: Value) -> Value {
    json!({"custom_id": id, "params": params})
}

/// So many requests, `item-0` and on.
fn many(count: usize) -> Vec<Value> {
    (0..count).map(|index| request(&format!("item-{index}"), params(&format!("number {index}")))).collect()
}

async fn call(simulator: &Simulator, method: &str, path: &str, body: &str) -> Answered {
    send(simulator, method, &format!("{PATH}{path}"), HEADERS, body.as_bytes()).await.unwrap()
}

async fn create(simulator: &Simulator, requests: Vec<Value>) -> Answered {
    call(simulator, "POST", "", &json!({"requests": requests}).to_string()).await
}

async fn created(simulator: &Simulator, requests: Vec<Value>) -> String {
    let answered = create(simulator, requests).await;
    assert_eq!(answered.status, 200, "{}", answered.message());
    answered.json()["id"].as_str().unwrap().to_owned()
}

async fn retrieve(simulator: &Simulator, id: &str) -> Value {
    let answered = get(simulator, &format!("{PATH}/{id}")).await;
    assert_eq!(answered.status, 200, "{}", answered.message());
    answered.json()
}

/// The results by their custom id, and the ids in the order in which they came.
async fn results(simulator: &Simulator, id: &str) -> (BTreeMap<String, Value>, Vec<String>) {
    let answered = get(simulator, &format!("{PATH}/{id}/results")).await;
    assert_eq!(answered.status, 200, "{}", answered.message());
    let lines: Vec<Value> = String::from_utf8(answered.body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let id_of = |line: &Value| line["custom_id"].as_str().unwrap().to_owned();
    (lines.iter().map(|line| (id_of(line), line["result"].clone())).collect(), lines.iter().map(id_of).collect())
}

/// Processing, succeeded, errored, canceled, expired.
fn counts(batch: &Value) -> [u64; 5] {
    ["processing", "succeeded", "errored", "canceled", "expired"].map(|name| batch["request_counts"][name].as_u64().unwrap())
}

#[tokio::test]
async fn a_batch_is_created_polled_and_its_results_come_in_any_order() {
    let simulator = on(&clock(), ANSWER).await;
    let answered = create(&simulator, many(20)).await;
    let batch = answered.json();
    let id = batch["id"].as_str().unwrap();
    assert!(id.starts_with("msgbatch_") && answered.header("request-id").unwrap().starts_with("req_"));
    assert_eq!(
        batch,
        json!({
            "id": id,
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {"processing": 20, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
            "created_at": "2026-11-22T12:00:00.000000Z",
            "expires_at": "2026-11-23T12:00:00.000000Z",
            "ended_at": null,
            "cancel_initiated_at": null,
            "archived_at": null,
            "results_url": null,
        })
    );
    let early = get(&simulator, &format!("{PATH}/{id}/results")).await;
    assert_eq!((early.status, early.json()["error"]["type"].clone()), (400, json!("invalid_request_error")));
    assert_eq!(retrieve(&simulator, id).await, batch, "the first look changes nothing: all counts stay in `processing`");
    let ended = retrieve(&simulator, id).await;
    assert_eq!((&ended["processing_status"], counts(&ended)), (&json!("ended"), [0, 20, 0, 0, 0]));
    assert_eq!(ended["ended_at"], "2026-11-22T12:00:00.000000Z");
    assert_eq!(ended["results_url"], format!("http://simulator{PATH}/{id}/results"));
    let (by_id, order) = results(&simulator, id).await;
    assert_eq!((by_id.len(), order.len()), (20, 20));
    assert!(!order.is_sorted_by_key(|id| id["item-".len()..].parse::<u32>().unwrap()), "{order:?}");
    assert_eq!(results(&simulator, id).await.1, order, "the same each time");
    let seven = &by_id["item-7"];
    assert_eq!((&seven["type"], &seven["message"]["content"][0]["text"]), (&json!("succeeded"), &json!("you said number 7")));
    assert_eq!(
        (&seven["message"]["usage"]["service_tier"], &seven["message"]["model"]),
        (&json!("batch"), &json!("claude-haiku-4-5-20251001"))
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_shows_in_its_result_and_costs_nothing() {
    let script = "
batches: {polls: 1, expire: [late-*]}
rules:
  - {when: {text: overloaded}, then: {status: 529}}
  - {when: {text: broken}, then: {fault: server_error}}
  - {when: {text: fine}, then: {text: fine, usage: {input_tokens: 1000000, output_tokens: 0}}}";
    let simulator = start(script).await;
    let with = |name: &str, value: Value| {
        let mut params = params("fine");
        params[name] = value;
        params
    };
    let id = created(
        &simulator,
        vec![
            request("fine", params("fine")),
            request("streamed", with("stream", true.into())),
            request("fast", with("speed", "standard".into())),
            request("nothing", with("max_tokens", 0.into())),
            request("fallbacks", with("fallbacks", "default".into())),
            request("unknown-field", with("colour", "red".into())),
            request("unknown-model", with("model", "claude-of-next-year".into())),
            request("empty", json!({})),
            request("unforeseen", params("something else")),
            request("overloaded", params("overloaded")),
            request("broken", params("broken")),
            request("late-1", params("fine")),
        ],
    )
    .await;
    let ended = retrieve(&simulator, &id).await;
    assert_eq!(counts(&ended), [0, 1, 10, 0, 1]);
    let (by_id, _) = results(&simulator, &id).await;
    assert_eq!(by_id["late-1"], json!({"type": "expired"}));
    let unknown = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "colour: Extra inputs are not permitted"}, "request_id": null});
    assert_eq!(by_id["unknown-field"], json!({"type": "errored", "error": unknown}));
    for (id, kind, words) in [
        ("streamed", "invalid_request_error", "stream: "),
        ("fast", "invalid_request_error", "speed: "),
        ("nothing", "invalid_request_error", "max_tokens: "),
        ("fallbacks", "invalid_request_error", "fallbacks: "),
        ("unknown-model", "not_found_error", "model: claude-of-next-year"),
        ("empty", "invalid_request_error", "model: Field required"),
        ("unforeseen", "invalid_request_error", "no rule of"),
        ("overloaded", "overloaded_error", "Overloaded"),
        ("broken", "api_error", "Internal"),
    ] {
        let error = &by_id[id]["error"]["error"];
        assert!(error["type"] == kind && error["message"].as_str().unwrap().starts_with(words), "{id}: {error}");
    }
    // A million tokens at half of one dollar, and nothing else.
    let stats = simulator.stats();
    assert_eq!(
        (&stats["bill"]["usd"], &stats["bill"]["batches_usd"], &stats["bill"]["messages_usd"]),
        (&json!("0.50"), &json!("0.50"), &json!("0.00"))
    );
    assert_eq!(stats["batches"]["results"], json!({"succeeded": 1, "errored": 10, "canceled": 0, "expired": 1}));
    assert_eq!(stats["batches"]["calls"]["retrieve"], 1);
    assert_eq!(stats["billed_in_batches_by_model"]["claude-haiku-4-5-20251001"]["replies"], 1);
}

#[tokio::test]
async fn what_is_wrong_with_the_frame_is_refused_at_once() {
    let simulator = start(ANSWER).await;
    let item = request("a", params("x"));
    for (body, words) in [
        ("{", "The request body is not valid JSON"),
        ("[]", "Input should be an object"),
        ("{}", "requests: Field required"),
        (r#"{"requests": [], "model": "x"}"#, "model: Extra inputs are not permitted"),
        (r#"{"requests": {}}"#, "requests: Input should be a valid list"),
        (r#"{"requests": []}"#, "requests: List should have at least 1 item after validation, not 0"),
        (r#"{"requests": [1]}"#, "requests.0: Input should be an object"),
        (r#"{"requests": [{"params": {}}]}"#, "requests.0.custom_id: Field required"),
        (r#"{"requests": [{"custom_id": 1, "params": {}}]}"#, "requests.0.custom_id: Input should be a valid string"),
        (r#"{"requests": [{"custom_id": "a"}]}"#, "requests.0.params: Field required"),
        (r#"{"requests": [{"custom_id": "a", "params": []}]}"#, "requests.0.params: Input should be an object"),
        (r#"{"requests": [{"custom_id": "a", "params": {}, "x": 1}]}"#, "requests.0.x: Extra inputs are not permitted"),
    ] {
        let answered = call(&simulator, "POST", "", body).await;
        assert!(answered.status == 400 && answered.message().starts_with(words), "{body}: {} {}", answered.status, answered.message());
    }
    let id = |id: &str| request(id, params("x"));
    for (wrong, fits) in [("", "a"), ("a b", "a_b"), ("ä", "A"), (&"x".repeat(65), &"x".repeat(64)), ("a.b", "a-b")] {
        let answered = create(&simulator, vec![item.clone(), id(wrong)]).await;
        assert_eq!(
            (answered.status, answered.message().as_str()),
            (400, "requests.1.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'")
        );
        assert_eq!(create(&simulator, vec![id(fits)]).await.status, 200, "{fits}");
    }
    let twice = create(&simulator, vec![item.clone(), id("b"), item]).await;
    assert_eq!(
        (twice.status, twice.message().as_str()),
        (400, "requests.2.custom_id: custom_id must be unique within a batch: 'a' stands before")
    );
    for (method, path, status) in [
        ("PUT", "", 405),
        ("DELETE", "", 405),
        ("GET", "/msgbatch_none", 404),
        ("POST", "/msgbatch_none/cancel", 404),
        ("DELETE", "/msgbatch_none", 404),
        ("GET", "/msgbatch_none/results", 404),
        ("GET", "/a/b", 404),
        ("GET", "/a/cancel", 405),
    ] {
        assert_eq!(call(&simulator, method, path, "").await.status, status, "{method} {path}");
    }
    assert_eq!(send(&simulator, "GET", PATH, &[("anthropic-version", "2026-10-21")], b"").await.unwrap().status, 401);
}

#[tokio::test]
async fn a_hundred_thousand_requests_are_the_most() {
    let simulator = start("{batches: {polls: 1}, otherwise: {text: x}}").await;
    let body = |count: usize| {
        let items: Vec<String> = (0..count).map(|index| format!(r#"{{"custom_id":"{index}","params":{{}}}}"#)).collect();
        format!(r#"{{"requests":[{}]}}"#, items.join(","))
    };
    let over = call(&simulator, "POST", "", &body(100_001)).await;
    assert_eq!(
        (over.status, over.message().as_str()),
        (400, "requests: List should have at most 100000 items after validation, not 100001")
    );
    for count in [100_000, 99_000, 1_000] {
        assert_eq!(call(&simulator, "POST", "", &body(count)).await.status, 200);
    }
    // The queue holds no more until one of them has ended.
    let full = call(&simulator, "POST", "", &body(1)).await;
    assert_eq!((full.status, full.json()["error"]["type"].clone()), (429, json!("rate_limit_error")));
    let newest = get(&simulator, PATH).await.json()["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(counts(&retrieve(&simulator, &newest).await), [0, 0, 1_000, 0, 0]);
    assert_eq!(call(&simulator, "POST", "", &body(1)).await.status, 200);
}

#[tokio::test]
async fn a_batch_may_be_larger_than_a_message_may() {
    let simulator = start(ANSWER).await;
    let large = format!(r#"{{"requests":[{{"custom_id":"a","params":{{"x":"{}"}}}}]}}"#, "x".repeat(33 << 20));
    assert_eq!(call(&simulator, "POST", "", &large).await.status, 200);
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: s\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\nconnection: close\r\n");
    let mut stream = tokio::net::TcpStream::connect(simulator.address()).await.unwrap();
    let announced = (256 << 20) + 1;
    tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{head}content-length: {announced}\r\n\r\n").as_bytes()).await.unwrap();
    let piece = vec![b' '; 1 << 20];
    for _ in 0..256 {
        tokio::io::AsyncWriteExt::write_all(&mut stream, &piece).await.unwrap();
    }
    tokio::io::AsyncWriteExt::write_all(&mut stream, b" ").await.unwrap();
    let mut received = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut received).await.unwrap();
    let refused = super::read(&received).unwrap();
    assert_eq!((refused.status, refused.json()["error"]["type"].clone()), (413, json!("request_too_large")));
    assert_eq!((simulator.requests(), &simulator.stats()["other_requests"]), (0, &json!(2)), "neither was a message");
}

#[tokio::test]
async fn a_batch_takes_its_time_and_expires_after_a_day() {
    let clock = clock();
    let simulator = on(&clock, "{batches: {takes: 30h}, otherwise: {text: x}}").await;
    let id = created(&simulator, many(30)).await;
    clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(counts(&retrieve(&simulator, &id).await), [30, 0, 0, 0, 0]);
    clock.advance(Duration::from_secs(1));
    let ended = retrieve(&simulator, &id).await;
    // 24 of 30 hours.
    assert_eq!((&ended["processing_status"], counts(&ended)), (&json!("ended"), [0, 24, 0, 0, 6]));
    assert_eq!(ended["ended_at"], ended["expires_at"]);
    assert_eq!(results(&simulator, &id).await.0["item-29"], json!({"type": "expired"}));
    clock.advance(Duration::from_secs(28 * 24 * 3600));
    let archived = retrieve(&simulator, &id).await;
    assert_eq!((&archived["archived_at"], &archived["results_url"]), (&json!("2026-12-21T12:00:00.000000Z"), &Value::Null));
    assert_eq!(get(&simulator, &format!("{PATH}/{id}/results")).await.status, 404);
    let soon = on(&clock, "{batches: {takes: 2s, expires_after: 1s}, otherwise: {text: x}}").await;
    let id = created(&soon, many(2)).await;
    clock.advance(Duration::from_secs(1));
    assert_eq!(counts(&retrieve(&soon, &id).await), [0, 1, 0, 0, 1]);
}

#[tokio::test]
async fn a_canceled_batch_keeps_what_was_done_and_ends_a_little_later() {
    let clock = clock();
    let simulator = on(&clock, "{batches: {takes: 100m}, otherwise: {text: x}}").await;
    let id = created(&simulator, many(10)).await;
    let delete = call(&simulator, "DELETE", &format!("/{id}"), "").await;
    assert_eq!((delete.status, delete.json()["error"]["type"].clone()), (400, json!("invalid_request_error")));
    clock.advance(Duration::from_secs(45 * 60));
    let canceling = call(&simulator, "POST", &format!("/{id}/cancel"), "").await.json();
    assert_eq!(
        (&canceling["processing_status"], &canceling["cancel_initiated_at"]),
        (&json!("canceling"), &json!("2026-11-22T12:45:00.000000Z"))
    );
    assert_eq!(counts(&canceling), [10, 0, 0, 0, 0], "also while it is canceled");
    clock.advance(Duration::from_secs(9 * 60));
    assert_eq!(retrieve(&simulator, &id).await["processing_status"], "canceling");
    clock.advance(Duration::from_secs(60));
    let ended = retrieve(&simulator, &id).await;
    assert_eq!((&ended["processing_status"], counts(&ended)), (&json!("ended"), [0, 4, 0, 6, 0]));
    assert_eq!(ended["cancel_initiated_at"], canceling["cancel_initiated_at"]);
    assert_eq!(results(&simulator, &id).await.0["item-9"], json!({"type": "canceled"}));
    assert_eq!(call(&simulator, "POST", &format!("/{id}/cancel"), "").await.status, 400, "it has ended");
    let deleted = call(&simulator, "DELETE", &format!("/{id}"), "").await;
    assert_eq!(deleted.json(), json!({"id": id, "type": "message_batch_deleted"}));
    assert_eq!(get(&simulator, &format!("{PATH}/{id}")).await.status, 404);
    assert_eq!(get(&simulator, PATH).await.json(), json!({"data": [], "has_more": false, "first_id": null, "last_id": null}));
    // Counted in polls it ends after as many again.
    let counted = start("{batches: {polls: 2}, otherwise: {text: x}}").await;
    let id = created(&counted, many(10)).await;
    retrieve(&counted, &id).await;
    call(&counted, "POST", &format!("/{id}/cancel"), "").await;
    assert_eq!(retrieve(&counted, &id).await["processing_status"], "canceling");
    assert_eq!(counts(&retrieve(&counted, &id).await), [0, 5, 0, 5, 0]);
}

#[tokio::test]
async fn the_list_is_newest_first_and_pages_both_ways() {
    let simulator = start(ANSWER).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, created(&simulator, many(1)).await);
    }
    let list = async |query: &str| {
        let page = get(&simulator, &format!("{PATH}?{query}")).await.json();
        let found: Vec<String> = page["data"].as_array().unwrap().iter().map(|batch| batch["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(
            (page["first_id"].as_str(), page["last_id"].as_str()),
            (found.first().map(String::as_str), found.last().map(String::as_str))
        );
        (found, page["has_more"].as_bool().unwrap())
    };
    assert_eq!(list("").await, (ids.clone(), false));
    assert_eq!(list("limit=2").await, (ids[..2].to_vec(), true));
    assert_eq!(list(&format!("limit=2&after_id={}", ids[1])).await, (ids[2..4].to_vec(), true));
    assert_eq!(list(&format!("limit=2&after_id={}", ids[3])).await, (ids[4..].to_vec(), false));
    assert_eq!(list(&format!("limit=2&before_id={}", ids[3])).await, (ids[1..3].to_vec(), true));
    assert_eq!(list(&format!("limit=2&before_id={}", ids[2])).await, (ids[..2].to_vec(), false));
    for wrong in ["limit=0", "limit=1001", "limit=x", "after_id=msgbatch_none", "color=red"] {
        assert_eq!(get(&simulator, &format!("{PATH}?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn calls_fail_as_the_script_says_and_a_lost_creation_is_there() {
    let script = "
batches:
  polls: 1
  rules:
    - {when: {on: create, call: 1}, then: {status: 429, retry_after: 3}}
    - {when: {on: create, call: 1}, then: {fault: drop}}
    - {when: {on: create, call: 1}, then: {fault: lost}}
    - {when: {on: retrieve, call: 1}, then: {fault: overloaded}}
    - {when: {on: results, call: 1}, then: {fault: cut}}
    - {when: {on: results, call: 1}, then: {fault: invalid_json}}
    - {when: {on: results, call: 1}, then: {fault: split}}
otherwise: {text: x}";
    let simulator = start(script).await;
    let body = json!({"requests": many(3)}).to_string();
    let limited = call(&simulator, "POST", "", &body).await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("3")));
    for lost in [false, true] {
        assert!(send(&simulator, "POST", PATH, HEADERS, body.as_bytes()).await.is_err());
        // A client that lists before it repeats finds out.
        assert_eq!(get(&simulator, PATH).await.json()["data"].as_array().unwrap().len(), usize::from(lost));
    }
    let id = get(&simulator, PATH).await.json()["first_id"].as_str().unwrap().to_owned();
    assert_eq!(get(&simulator, &format!("{PATH}/{id}")).await.status, 529);
    assert_eq!(retrieve(&simulator, &id).await["processing_status"], "ended", "a refused poll does not count");
    let path = format!("{PATH}/{id}/results");
    let cut = get(&simulator, &path).await;
    assert!(cut.cut && cut.status == 200);
    let half = get(&simulator, &path).await;
    assert!(!half.cut && serde_json::from_str::<Value>(String::from_utf8(half.body).unwrap().lines().last().unwrap()).is_err());
    assert_eq!(results(&simulator, &id).await.0.len(), 3, "in pieces, but whole");
    assert_eq!(simulator.stats()["by_fault"], json!({"drop": 1, "lost": 1, "overloaded": 1, "cut": 1, "invalid_json": 1, "split": 1}));
}

#[tokio::test]
async fn random_faults_hit_calls_about_batches_too_and_end() {
    let simulator = start("{batches: {polls: 1}, faults: {rate: 1, kinds: [overloaded], in_a_row: 2}, otherwise: {text: x}}").await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(create(&simulator, many(1)).await.status);
    }
    assert_eq!(statuses, [529, 529, 200]);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(get(&simulator, PATH).await.status);
    }
    assert_eq!(statuses, [529, 529, 200]);
    // What is inside of a batch is not drawn for: its rules say what fails there.
    let stats = simulator.stats();
    assert_eq!((&stats["batches"]["created"], &stats["requests"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_shared_prefix_is_cached_inside_a_batch_as_far_as_it_goes() {
    let cached = |ttl: &str| {
        let mut params = params("hi!!");
        params["system"] = json!([{"type": "text", "text": "word".repeat(5000), "cache_control": {"type": "ephemeral", "ttl": ttl}}]);
        params
    };
    let requests = |ttl: &str| (0..100).map(|index| request(&format!("item-{index}"), cached(ttl))).collect::<Vec<_>>();
    let reads = async |script: &str, ttl: &str| {
        let clock = clock();
        let simulator = on(&clock, script).await;
        let id = created(&simulator, requests(ttl)).await;
        clock.advance(Duration::from_secs(12 * 3600));
        retrieve(&simulator, &id).await;
        let (by_id, _) = results(&simulator, &id).await;
        let usage = |name: &str| by_id.values().map(|result| result["message"]["usage"][name].as_u64().unwrap()).sum::<u64>();
        assert_eq!(usage("cache_read_input_tokens") + usage("cache_creation_input_tokens"), 100 * 5000);
        let books = simulator.stats()["tokens"]["billed_in_batches"].clone();
        assert_eq!(books["cache_read_input_tokens"], usage("cache_read_input_tokens"));
        usage("cache_read_input_tokens") / 5000
    };
    let all = "{batches: {takes: 10m, cache_hits: 1}, otherwise: {text: x}}";
    assert_eq!((reads(all, "5m").await, reads(all, "1h").await), (99, 99));
    assert_eq!(reads("{batches: {takes: 10m, cache_hits: 0}, otherwise: {text: x}}", "1h").await, 0);
    let some = reads("{batches: {takes: 10m}, otherwise: {text: x}}", "1h").await;
    assert!((60..=90).contains(&some), "{some} of a hundred, about three quarters");
    // Over ten hours a request comes every six minutes.
    let slow = "{batches: {takes: 10h, cache_hits: 1}, otherwise: {text: x}}";
    assert_eq!((reads(slow, "5m").await, reads(slow, "1h").await), (0, 99));
}

#[tokio::test]
async fn a_beta_header_of_the_creation_allows_longer_output_inside() {
    let simulator = start("{batches: {polls: 1}, otherwise: {text: x}}").await;
    let mut long = params("x");
    (long["model"], long["max_tokens"]) = ("claude-sonnet-5".into(), 300_000.into());
    let mut haiku = long.clone();
    haiku["model"] = "claude-haiku-4-5".into();
    let body = json!({"requests": [request("long", long), request("old", haiku)]}).to_string();
    let mut headers = HEADERS.to_vec();
    for (beta, counted) in [("other-beta", [0, 0, 2, 0, 0]), ("other-beta,output-300k-2026-03-24", [0, 1, 1, 0, 0])] {
        headers.push(("anthropic-beta", beta));
        let id = send(&simulator, "POST", PATH, &headers, body.as_bytes()).await.unwrap().json()["id"].as_str().unwrap().to_owned();
        assert_eq!(counts(&retrieve(&simulator, &id).await), counted, "{beta}");
    }
}

#[test]
fn mistakes_of_a_script_about_batches_are_reported() {
    let script = "{batches: {takes: 3s, polls: 2, expires_after: 3d, expire: ['['], cache_hits: 2, rules: [{when: {on: creat, call: 0}, then: {text: x}}, {when: {}}, {then: {fault: drop, text: x}}]}, otherwise: {text: x}}";
    let error = super::super::script::Script::parse("sim.yaml", script).unwrap_err();
    insta::assert_snapshot!(error, @r#"
    sim.yaml:1:30: `takes` and `polls` do not go together
      hint: a batch ends after some time, or when it was asked for so often: leave out one of them
    sim.yaml:1:48: `expires_after` must be a time with its unit
      hint: write 200ms, 1.5s, 2m or 24h; at most 48 hours
    sim.yaml:1:61: `expire` is not a glob: unclosed character class; missing ']'
      hint: write a custom_id, or a pattern such as late-*
    sim.yaml:1:79: `cache_hits` must be a number from 0 to 1
      hint: 0.9 lets nine of ten requests find what is cached
    sim.yaml:1:102: unknown call `creat`
      hint: did you mean `create`?
    sim.yaml:1:115: `call` must say which of the matching requests, counted from 1
      hint: write 2, "3..", "2..4" (both included) or "every 5"
    sim.yaml:1:125: a rule of `batches` gives a `status` or a `fault`: calls about batches have no message
      hint: what requests of a batch are answered stands in `rules` at the top of the script
    sim.yaml:1:137: a rule needs `then`
      hint: for example `then: {status: 529}` or `then: {fault: drop}`
    "#);
}
