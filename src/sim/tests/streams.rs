//! Messages as server-sent events.

use serde_json::{Value, json};

use super::{asking, post, start};

/// The events of a stream as name and data.
fn events(body: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(body).unwrap();
    assert!(text.ends_with("\n\n"));
    text.trim_end()
        .split("\n\n")
        .map(|event| {
            let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["type"], name);
            (name.to_owned(), data)
        })
        .collect()
}

#[tokio::test]
async fn the_events_come_in_the_order_of_the_reference() {
    let simulator = start("otherwise: {text: 'Good morning, good day, good evening and good night to all of you.'}").await;
    let mut body = asking("hello there");
    body["stream"] = true.into();
    let answered = post(&simulator, &body).await;
    assert_eq!(answered.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answered.header("promptkeel-simulated"), Some("1"));
    let mut events = events(&answered.body);
    events[0].1["message"]["id"] = "msg_01".into();
    insta::assert_snapshot!(events.iter().map(|(_, data)| data.to_string()).collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn a_stream_adds_up_to_the_message() {
    let simulator = start(
        "otherwise: {blocks: [{type: text, text: 'Grüße aus Zürich: öffentliche Verkehrsmittel überall, täglich geöffnet.'},
           {type: tool_use, id: toolu_1, name: weather, input: {city: Zürich, days: [1, 2]}}, {type: redacted_thinking, data: abc}]}",
    )
    .await;
    let mut body = asking("x");
    body["model"] = "claude-sonnet-5".into();
    body["thinking"] = json!({"type": "adaptive", "display": "summarized"});
    let whole = post(&simulator, &body).await.json();
    body["stream"] = true.into();
    let events = events(&post(&simulator, &body).await.body);
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    let mut end = Value::Null;
    for (name, data) in &events {
        let block = data["index"].as_u64().map(|index| index as usize);
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(block, Some(blocks.len()));
                blocks.push(data["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                let delta = &data["delta"];
                let block = &mut blocks[block.unwrap()];
                let add = |block: &mut Value, name: &str| {
                    block[name] = format!("{}{}", block[name].as_str().unwrap(), delta[name].as_str().unwrap()).into()
                };
                match delta["type"].as_str().unwrap() {
                    "text_delta" => add(block, "text"),
                    "thinking_delta" => add(block, "thinking"),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => input.push_str(delta["partial_json"].as_str().unwrap()),
                    other => panic!("{other}"),
                }
            }
            "content_block_stop" if !input.is_empty() => {
                blocks[block.unwrap()]["input"] = serde_json::from_str(&input).unwrap();
                input.clear();
            }
            "message_delta" => end = data.clone(),
            _ => {}
        }
    }
    assert_eq!(blocks.len(), 4);
    assert_eq!((&blocks[0]["thinking"], blocks[0]["signature"].is_string()), (&whole["content"][0]["thinking"], true));
    assert_eq!(blocks[1]["text"], whole["content"][1]["text"]);
    assert_eq!(blocks[2], whole["content"][2]);
    assert_eq!(blocks[3], json!({"type": "redacted_thinking", "data": "abc"}));
    assert_eq!(end["delta"]["stop_reason"], "tool_use");
    assert_eq!(end["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    assert_eq!(end["usage"].get("cache_creation"), None, "the split stays with the head");
    let billed = simulator.stats()["tokens"]["billed"].clone();
    assert_eq!(billed["output_tokens"].as_u64().unwrap(), 2 * whole["usage"]["output_tokens"].as_u64().unwrap());
}

#[tokio::test]
async fn a_refusal_in_a_stream_comes_with_message_delta() {
    let simulator = start("otherwise: {refusal: {category: cyber}}").await;
    let mut body = asking("x");
    body["stream"] = true.into();
    let events = events(&post(&simulator, &body).await.body);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["message_start", "ping", "message_delta", "message_stop"]);
    assert_eq!(
        events[2].1["delta"],
        json!({"stop_reason": "refusal", "stop_sequence": null, "stop_details": {"type": "refusal", "category": "cyber", "explanation": null}})
    );
}

#[tokio::test]
async fn an_error_before_the_stream_is_json() {
    let simulator = start("otherwise: {status: 529}").await;
    let mut body = asking("x");
    body["stream"] = true.into();
    let answered = post(&simulator, &body).await;
    assert_eq!((answered.status, answered.header("content-type")), (529, Some("application/json")));
}

#[tokio::test]
async fn paced_events_take_their_time_and_all_arrive() {
    let simulator = start("otherwise: {text: x, pace: 10ms}").await;
    let mut body = asking("x");
    body["stream"] = true.into();
    let started = std::time::Instant::now();
    let answered = post(&simulator, &body).await;
    assert_eq!(events(&answered.body).last().unwrap().0, "message_stop");
    assert!(started.elapsed() >= std::time::Duration::from_millis(70), "{:?}", started.elapsed());
}

proptest::proptest! {
    #[test]
    fn the_deltas_of_a_text_are_the_text(text in proptest::prelude::any::<String>(), wide in "[äöü水日€a]{0,200}") {
        for text in [text, wide] {
            assert_eq!(crate::sim::stream::pieces(&text).collect::<String>(), text);
        }
    }
}
