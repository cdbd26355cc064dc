//! Messages in JSON: content, stop reasons, usage, refusals, lists.

use serde_json::json;

use super::{HEADERS, asking, get, post, send, start, start_with};
use crate::sim::server::Options;

const HELLO: &str = "rules: [{when: {text: hello}, then: {text: Good morning}}]";

#[tokio::test]
async fn a_message_has_the_shape_of_the_reference() {
    let simulator = start(HELLO).await;
    let answered = post(&simulator, &asking("hello there")).await;
    assert_eq!(answered.status, 200);
    assert_eq!(answered.header("content-type"), Some("application/json"));
    assert_eq!(answered.header("promptkeel-simulated"), Some("1"));
    assert!(answered.header("request-id").unwrap().starts_with("req_"));
    let mut body = answered.json();
    assert!(body["id"].as_str().unwrap().starts_with("msg_01"));
    body["id"] = "msg_01".into();
    assert_eq!(
        body,
        json!({
            "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
            "content": [{"type": "text", "text": "Good morning", "citations": null}],
            "stop_reason": "end_turn", "stop_sequence": null, "stop_details": null, "container": null, "diagnostics": null,
            "usage": {
                "input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 0},
                "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
                "service_tier": "standard", "inference_geo": "global", "speed": "standard",
            },
        })
    );
    simulator.stop().await;
}

#[tokio::test]
async fn a_request_that_no_rule_foresees_is_an_error_that_shows_its_prompt() {
    let simulator = start(HELLO).await;
    let answered = post(&simulator, &asking(&format!("good {}", "bye ".repeat(40)))).await;
    assert_eq!(answered.status, 400);
    let message = answered.message();
    assert!(message.starts_with("no rule of test.yaml matches this request; its prompt begins: good bye"), "{message}");
    assert!(message.len() < 160, "{message}");
}

#[tokio::test]
async fn the_first_matching_rule_answers_and_calls_are_counted_per_rule() {
    let simulator = start(
        "rules:
  - {when: {text: [alpha, beta], call: 1}, then: {text: first}}
  - {when: {text: alpha, call: '2..3'}, then: {text: 'call {{ call }}'}}
  - {when: {text: alpha, call: 'every 2'}, then: {status: 503}}
  - {when: {system: clerk, model: claude-haiku-*}, then: {text: '{{ system }}|{{ prompt }}|{{ model }}'}}
otherwise: {text: rest}",
    )
    .await;
    let mut said = Vec::new();
    for _ in 0..6 {
        let answered = post(&simulator, &asking("alpha beta")).await;
        said.push(if answered.status == 200 {
            answered.json()["content"][0]["text"].as_str().unwrap().to_owned()
        } else {
            answered.status.to_string()
        });
    }
    // The second rule sees requests 2 to 6 as its calls 1 to 5, the third those that the second let through.
    assert_eq!(said, ["first", "rest", "call 2", "call 3", "503", "rest"]);
    let mut with_system = asking("who?");
    with_system["system"] = "You are a clerk.".into();
    let answered = post(&simulator, &with_system).await;
    assert_eq!(answered.message(), "");
    assert_eq!(answered.json()["content"][0]["text"], "You are a clerk.|who?|claude-haiku-4-5");
    with_system["model"] = "claude-sonnet-4-6".into();
    assert_eq!(post(&simulator, &with_system).await.json()["content"][0]["text"], "rest");
}

#[tokio::test]
async fn many_rules_find_the_same_as_few() {
    let mut script = String::from("rules:\n");
    for number in 0..200 {
        script.push_str(&format!("  - {{when: {{text: 'ticket {number}.'}}, then: {{text: 'queue {number}'}}}}\n"));
    }
    let simulator = start(&script).await;
    for number in [0, 7, 70, 199] {
        assert_eq!(
            post(&simulator, &asking(&format!("this is ticket {number}."))).await.json()["content"][0]["text"],
            format!("queue {number}")
        );
    }
    assert_eq!(post(&simulator, &asking("this is ticket 200.")).await.status, 400);
}

#[tokio::test]
async fn captures_of_the_regular_expression_reach_the_template() {
    let simulator =
        start(r#"rules: [{when: {regex: 'order (?<id>\d+) of (\w+)'}, then: {text: "{{ captures.id }} {{ captures[2] | tojson }}"}}]"#)
            .await;
    assert_eq!(post(&simulator, &asking("my order 17 of May")).await.json()["content"][0]["text"], "17 \"May\"");
}

#[tokio::test]
async fn a_text_longer_than_max_tokens_is_cut_and_says_so() {
    let simulator = start("otherwise: {text: 'äöü äöü äöü äöü äöü äöü'}").await;
    let mut body = asking("x");
    body["max_tokens"] = 4.into();
    let answered = post(&simulator, &body).await.json();
    assert_eq!(answered["stop_reason"], "max_tokens");
    assert_eq!(answered["usage"]["output_tokens"], 4);
    // Sixteen bytes are four tokens, and the cut goes through no character.
    assert_eq!(answered["content"][0]["text"], "äöü äöü ä");
}

#[tokio::test]
async fn a_text_of_exactly_max_tokens_is_whole_and_one_byte_more_is_cut() {
    let simulator = start("rules: [{when: {text: eight}, then: {text: abcdefgh}}, {when: {text: nine}, then: {text: abcdefghi}}, {then: {text: '1234567890123456789012345678901234567890'}}]").await;
    let said = async |model: &str, prompt: &str, max_tokens: u64| {
        let mut body = asking(prompt);
        (body["model"], body["max_tokens"]) = (model.into(), max_tokens.into());
        let answered = post(&simulator, &body).await.json();
        (
            answered["content"][0]["text"].as_str().unwrap().len(),
            answered["stop_reason"].as_str().unwrap().to_owned(),
            answered["usage"]["output_tokens"].as_u64().unwrap(),
        )
    };
    assert_eq!(said("claude-haiku-4-5", "eight", 2).await, (8, "end_turn".to_owned(), 2));
    assert_eq!(said("claude-haiku-4-5", "nine", 2).await, (8, "max_tokens".to_owned(), 2));
    assert_eq!(said("claude-haiku-4-5", "nine", 3).await, (9, "end_turn".to_owned(), 3));
    // Forty bytes are thirteen tokens of the newer tokenizer; twelve of them hold 36 bytes.
    assert_eq!(said("claude-opus-4-7", "x", 13).await, (40, "end_turn".to_owned(), 13));
    assert_eq!(said("claude-opus-4-7", "x", 12).await, (36, "max_tokens".to_owned(), 12));
}

#[tokio::test]
async fn a_rule_for_an_alias_answers_its_dated_id_too() {
    let simulator =
        start("rules: [{when: {model: claude-haiku-4-5}, then: {text: small}}, {when: {model: '*-20250929'}, then: {text: dated}}]").await;
    for (model, text) in [("claude-haiku-4-5-20251001", "small"), ("claude-haiku-4-5", "small"), ("claude-sonnet-4-5", "dated")] {
        let mut body = asking("x");
        body["model"] = model.into();
        assert_eq!(post(&simulator, &body).await.json()["content"][0]["text"], text);
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let simulator = start(HELLO).await;
    let mut stream = tokio::net::TcpStream::connect(simulator.address()).await.unwrap();
    let body = asking("hello").to_string();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: s\r\nx-api-key: k\r\nanthropic-version: 2026-10-21\r\ncontent-length: {}\r\n",
        body.len()
    );
    // Pipelined, the last with `connection: close`.
    let requests = format!("{head}\r\n{body}{head}\r\n{body}{head}connection: close\r\n\r\n{body}");
    tokio::io::AsyncWriteExt::write_all(&mut stream, requests.as_bytes()).await.unwrap();
    let mut received = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut received).await.unwrap();
    assert_eq!(received.matches("Good morning").count(), 3);
    assert_eq!(simulator.stats()["connections"], 1);
}

#[tokio::test]
async fn a_stop_sequence_ends_the_text_before_it() {
    let simulator = start("otherwise: {text: 'one STOP two END three'}").await;
    let mut body = asking("x");
    body["stop_sequences"] = json!(["END", "STOP"]);
    let answered = post(&simulator, &body).await.json();
    assert_eq!((&answered["stop_reason"], &answered["stop_sequence"]), (&json!("stop_sequence"), &json!("STOP")));
    assert_eq!(answered["content"][0]["text"], "one ");
}

#[tokio::test]
async fn models_that_think_by_default_open_with_an_empty_thinking_block() {
    let simulator = start("otherwise: {text: Hello}").await;
    let mut body = asking("x");
    body["model"] = "claude-sonnet-5-5".into();
    let answered = post(&simulator, &body).await.json();
    assert_eq!(answered["content"][0]["type"], "thinking");
    assert_eq!(answered["content"][0]["thinking"], "");
    assert!(!answered["content"][0]["signature"].as_str().unwrap().is_empty());
    assert_eq!(answered["content"][1]["text"], "Hello");
    // Thinking is billed as output: 24 tokens, and five bytes on the newer tokenizer are two.
    assert_eq!(
        (&answered["usage"]["output_tokens"], &answered["usage"]["output_tokens_details"]["thinking_tokens"]),
        (&json!(26), &json!(24))
    );
    body["max_tokens"] = 10.into();
    let answered = post(&simulator, &body).await.json();
    assert_eq!(answered["stop_reason"], "max_tokens");
    assert_eq!(answered["content"].as_array().unwrap().len(), 1);
    assert_eq!(answered["usage"]["output_tokens"], 10);
    let mut summarized = asking("x");
    summarized["model"] = "claude-opus-4-6".into();
    summarized["thinking"] = json!({"type": "adaptive"});
    assert_eq!(post(&simulator, &summarized).await.json()["content"][0]["thinking"], "The simulator does not think.");
}

#[tokio::test]
async fn zero_max_tokens_writes_nothing() {
    let simulator = start("otherwise: {text: Hello}").await;
    let mut body = asking("x");
    body["max_tokens"] = 0.into();
    let answered = post(&simulator, &body).await.json();
    assert_eq!(
        (&answered["content"], &answered["stop_reason"], &answered["usage"]["output_tokens"]),
        (&json!([]), &json!("max_tokens"), &json!(0))
    );
    body["stream"] = true.into();
    assert_eq!(post(&simulator, &body).await.status, 400);
}

#[tokio::test]
async fn a_refusal_before_output_is_empty_and_one_after_keeps_what_came() {
    let simulator = start(
        "rules:
  - {when: {text: bomb}, then: {refusal: {category: bio, explanation: no}}}
  - {when: {text: hack}, then: {refusal: {category: cyber}, text: First you}}
  - {when: {text: hm}, then: {refusal: }}",
    )
    .await;
    let bio = post(&simulator, &asking("bomb")).await.json();
    assert_eq!((&bio["stop_reason"], &bio["content"], &bio["usage"]["output_tokens"]), (&json!("refusal"), &json!([]), &json!(0)));
    assert_eq!(bio["stop_details"], json!({"type": "refusal", "category": "bio", "explanation": "no"}));
    let cyber = post(&simulator, &asking("hack")).await.json();
    assert_eq!((&cyber["stop_reason"], &cyber["content"][0]["text"]), (&json!("refusal"), &json!("First you")));
    let null = post(&simulator, &asking("hm")).await.json();
    assert_eq!(null["stop_details"], json!({"type": "refusal", "category": null, "explanation": null}));
    // Before output `bio` is billed and null is not; after output every category is.
    let tokens = simulator.stats()["tokens"].clone();
    assert_eq!((&tokens["billed"]["replies"], &tokens["refused_unbilled"]["replies"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn blocks_go_out_as_they_stand_and_tool_calls_get_an_id() {
    let simulator =
        start("otherwise: {blocks: [{type: text, text: Let me look.}, {type: tool_use, name: weather, input: {city: Bern, days: 2}}]}")
            .await;
    let answered = post(&simulator, &asking("x")).await.json();
    assert_eq!(answered["stop_reason"], "tool_use");
    assert_eq!(answered["content"][1]["input"], json!({"city": "Bern", "days": 2}));
    assert!(answered["content"][1]["id"].as_str().unwrap().starts_with("toolu_"));
}

#[tokio::test]
async fn usage_can_be_set_and_keeps_its_identities() {
    let simulator = start("otherwise: {text: x, usage: {input_tokens: 8, ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 20, cache_read_input_tokens: 7, output_tokens: 5}}").await;
    let usage = post(&simulator, &asking("x")).await.json()["usage"].clone();
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"], &usage["cache_read_input_tokens"]), (&json!(8), &json!(5), &json!(7)));
    assert_eq!(usage["cache_creation_input_tokens"], 120);
    assert_eq!(simulator.stats()["tokens"]["billed"]["cache_creation_1h_input_tokens"], 20);
}

#[tokio::test]
async fn tokens_are_counted_as_messages_count_them() {
    let simulator = start("otherwise: {text: x}").await;
    let body =
        json!({"model": "claude-opus-5", "system": "You count.", "messages": [{"role": "user", "content": "How many tokens are these?"}]});
    let counted = send(&simulator, "POST", "/v1/messages/count_tokens", HEADERS, body.to_string().as_bytes()).await.unwrap();
    let mut asked = body.clone();
    asked["max_tokens"] = 100.into();
    let answered = post(&simulator, &asked).await.json();
    assert_eq!(counted.json()["input_tokens"], answered["usage"]["input_tokens"]);
    let refused = send(&simulator, "POST", "/v1/messages/count_tokens", HEADERS, asked.to_string().as_bytes()).await.unwrap();
    assert_eq!((refused.status, refused.message().as_str()), (400, "max_tokens: Extra inputs are not permitted"));
}

#[tokio::test]
async fn the_list_of_models_pages_and_filters() {
    let simulator = start("{models: [my-model], otherwise: {text: x}}").await;
    let list = get(&simulator, "/v1/models?limit=2").await.json();
    assert_eq!((&list["has_more"], list["data"].as_array().unwrap().len()), (&json!(true), 2));
    let next = get(&simulator, &format!("/v1/models?limit=1000&after_id={}", list["last_id"].as_str().unwrap())).await.json();
    assert_eq!((&next["has_more"], &next["last_id"]), (&json!(false), &json!("my-model")));
    let haiku = get(&simulator, "/v1/models/claude-haiku-4-5").await.json();
    assert_eq!(
        (&haiku["id"], &haiku["max_tokens"], &haiku["capabilities"]["thinking"]["types"]["adaptive"]["supported"]),
        (&json!("claude-haiku-4-5-20251001"), &json!(64_000), &json!(false))
    );
    assert_eq!(get(&simulator, "/v1/models?lifecycle=deprecated").await.json()["data"].as_array().unwrap().len(), 2);
    let missing = get(&simulator, "/v1/models/claude-3-opus-20240229").await;
    assert_eq!((missing.status, missing.json()["error"]["type"].clone()), (404, json!("not_found_error")));
    let mut own = asking("x");
    own["model"] = "my-model".into();
    assert_eq!(post(&simulator, &own).await.json()["model"], "my-model");
}

#[tokio::test]
async fn an_enforced_limit_answers_429_and_says_when_to_come_back() {
    let simulator = start_with("otherwise: {text: x}", Options { requests_per_minute: Some(2), ..Options::default() }).await;
    let first = post(&simulator, &asking("x")).await;
    assert_eq!(
        (first.header("anthropic-ratelimit-requests-limit"), first.header("anthropic-ratelimit-requests-remaining")),
        (Some("2"), Some("1"))
    );
    assert!(chrono::DateTime::parse_from_rfc3339(first.header("anthropic-ratelimit-requests-reset").unwrap()).is_ok());
    assert_eq!(post(&simulator, &asking("x")).await.status, 200);
    let third = post(&simulator, &asking("x")).await;
    assert_eq!((third.status, third.json()["error"]["type"].clone()), (429, json!("rate_limit_error")));
    let wait: u64 = third.header("retry-after").unwrap().parse().unwrap();
    assert!((25..=30).contains(&wait), "{wait}");
    let unlimited = start("otherwise: {text: x}").await;
    let free = post(&unlimited, &asking("x")).await;
    assert!(free.header("anthropic-workspace-id").is_some_and(|id| id.starts_with("wrkspc_")));
    for kind in ["requests", "tokens", "input-tokens", "output-tokens"] {
        let limit = free.header(&format!("anthropic-ratelimit-{kind}-limit"));
        assert_eq!(limit, free.header(&format!("anthropic-ratelimit-{kind}-remaining")));
        assert!(chrono::DateTime::parse_from_rfc3339(free.header(&format!("anthropic-ratelimit-{kind}-reset")).unwrap()).is_ok());
    }
}

#[tokio::test]
async fn statistics_and_journal_tell_what_happened() {
    let simulator = start("rules: [{when: {text: bad}, then: {status: 529}}, {when: {}, then: {text: Good morning}}]").await;
    post(&simulator, &asking("hello there")).await;
    post(&simulator, &asking("bad")).await;
    get(&simulator, "/v1/models").await;
    assert_eq!(simulator.requests(), 2);
    let stats = get(&simulator, "/__sim/stats").await.json();
    assert_eq!((&stats["requests"], &stats["other_requests"], &stats["by_status"]), (&json!(2), &json!(1), &json!({"200": 1, "529": 1})));
    assert_eq!((&stats["tokens"]["billed"]["input_tokens"], &stats["tokens"]["billed"]["output_tokens"]), (&json!(10), &json!(3)));
    let journal = simulator.journal();
    assert_eq!(journal.len(), 3);
    assert_eq!((journal[0].method.as_str(), journal[0].path.as_str()), ("POST", "/v1/messages"));
    assert_eq!((journal[0].header("anthropic-version"), journal[0].header("x-api-key")), (Some("2026-10-21"), Some("redacted")));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&journal[0].body).unwrap(), asking("hello there"));
}
