//! Do the events of every kind of reply add up to the body that would have come without streaming?

use serde_json::json;

use super::*;
use crate::endpoint::messages::{Message, assembled};
use crate::model::reply::{RefusalDetails, StopReason};
use crate::model::request::Block;

/// Events as the reference writes them.
fn wire(events: &[Value]) -> String {
    events.iter().map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())).collect()
}

fn read_all(events: &[Value]) -> Result<Value, StreamFault> {
    read([wire(events).as_bytes()])
}

fn message_of(events: &[Value]) -> Message {
    *assembled(read_all(events).unwrap()).unwrap()
}

fn reason(events: &[Value]) -> String {
    match read_all(events).unwrap_err() {
        StreamFault::Malformed(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn start() -> Value {
    json!({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}}})
}

fn opened(index: usize, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: usize, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn text(index: usize, text: &str) -> Value {
    delta(index, json!({"type": "text_delta", "text": text}))
}

fn input(index: usize, piece: &str) -> Value {
    delta(index, json!({"type": "input_json_delta", "partial_json": piece}))
}

fn closed(index: usize) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn ended(reason: &str) -> Value {
    json!({"type":"message_delta","delta":{"stop_reason":reason,"stop_sequence":null,"stop_details":null},"usage":{"output_tokens":89}})
}

fn stop() -> Value {
    json!({"type": "message_stop"})
}

fn a_text() -> Value {
    json!({"type": "text", "text": ""})
}

fn a_call() -> Value {
    json!({"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}})
}

/// Section 4, word for word but for the elisions, and what it adds up to.
#[test]
fn the_documented_stream_is_a_message() {
    let stream = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}}}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hello"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"char_location","cited_text":"x","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":9,"file_id":null}}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"location\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":" \"Bern\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"stop_details":null},"usage":{"output_tokens":89}}

event: message_stop
data: {"type":"message_stop"}

"#;
    let body = read([stream.as_bytes()]).unwrap();
    assert_eq!(
        body,
        json!({"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5-5","stop_reason":"tool_use","stop_sequence":null,"stop_details":null,
            "content":[{"type":"thinking","thinking":"Hm.","signature":"EqQB"},
                {"type":"text","text":"Hello","citations":[{"type":"char_location","cited_text":"x","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":9,"file_id":null}]},
                {"type":"tool_use","id":"toolu_1","name":"get_weather","input":{"location":"Bern"}}],
            "usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":89,"service_tier":"standard"}})
    );
}

#[test]
fn what_follows_a_whole_message_in_the_same_piece_takes_nothing_from_it() {
    let whole = wire(&[start(), opened(0, a_text()), text(0, "Hi"), closed(0), ended("end_turn"), stop()]);
    let behind = [whole.as_bytes(), b"data: \xff\xff\n\n"].concat();
    assert_eq!(read([behind.as_slice()]), read([whole.as_bytes()]));
    assert_eq!(read(behind.chunks(1)), read([whole.as_bytes()]));
    let and_more = [behind.as_slice(), wire(&[stop()]).as_bytes()].concat();
    assert_eq!(read([and_more.as_slice()]), read([whole.as_bytes()]));
    assert_eq!(read(and_more.chunks(1)), read([whole.as_bytes()]));
    // Before its end the first thing that is wrong is told, wherever the bytes were cut.
    let wrong = [wire(&[start(), text(3, "x")]).as_bytes(), b"data: \xff\n\n"].concat();
    assert_eq!(read([wrong.as_slice()]), read(wrong.chunks(1)));
}

#[test]
fn no_event_after_its_end_makes_a_paid_message_another_or_none() {
    let whole = [start(), opened(0, a_text()), text(0, "Hi"), closed(0), ended("end_turn"), stop()];
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let more = json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 900}});
    for behind in [start(), opened(1, a_text()), text(0, "!"), text(7, "!"), closed(0), more, stop(), error] {
        let bytes = wire(&[&whole[..], std::slice::from_ref(&behind)].concat());
        assert_eq!(read([bytes.as_bytes()]), read_all(&whole), "{behind}");
        assert_eq!(read(bytes.as_bytes().chunks(1)), read_all(&whole), "{behind}");
    }
    let no_json = format!("{}event: message_delta\ndata: {{\"type\":\n\n", wire(&whole));
    assert_eq!(read([no_json.as_bytes()]), read_all(&whole));
}

#[test]
fn a_signature_replaces_what_was_there() {
    let signature = |text: &str| delta(0, json!({"type": "signature_delta", "signature": text}));
    let block = json!({"type": "thinking", "thinking": "", "signature": ""});
    let message = message_of(&[start(), opened(0, block), signature("a"), signature("b"), closed(0), ended("end_turn"), stop()]);
    assert_eq!(json!(message.content), json!([{"type": "thinking", "thinking": "", "signature": "b"}]));
}

#[test]
fn blocks_that_come_whole_stay_whole_and_unknown_ones_are_kept() {
    let blocks = [
        json!({"type": "redacted_thinking", "data": "abc"}),
        json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "url": "https://x.test"}]}),
        json!({"type": "novelty", "depth": {"a": [1, null]}}),
    ];
    let mut events = vec![start()];
    for (index, block) in blocks.iter().enumerate() {
        events.extend([opened(index, block.clone()), closed(index)]);
    }
    events.extend([ended("end_turn"), stop()]);
    assert_eq!(json!(message_of(&events).content), json!(blocks));
}

#[test]
fn an_unknown_block_may_grow_by_known_deltas_and_unknown_ones_are_ignored() {
    let novelty = json!({"type": "mcp_tool_use", "id": "1", "input": {}});
    let unknown = delta(0, json!({"type": "compaction_delta", "content": "?"}));
    let events =
        [start(), opened(0, novelty), input(0, "{\"a\""), unknown, input(0, ":1}"), text(0, "b"), closed(0), ended("end_turn"), stop()];
    assert_eq!(json!(message_of(&events).content), json!([{"type": "mcp_tool_use", "id": "1", "input": {"a": 1}, "text": "b"}]));
}

#[test]
fn pings_and_unknown_events_may_stand_anywhere() {
    let mut stream = String::new();
    for event in [start(), opened(0, a_text()), text(0, "Hi"), closed(0), ended("end_turn"), stop()] {
        stream.push_str("event: ping\ndata: {\"type\": \"ping\"}\n\n: comment\n\nevent: ping\ndata:\n\nevent: novelty\ndata: no JSON\n\n");
        stream.push_str(&wire(&[event, json!({"type": "thread_update", "index": 7})]));
    }
    stream.push_str("data: [DONE]\n\n");
    let message = assembled(read([stream.as_bytes()]).unwrap()).unwrap();
    assert_eq!(message.content, [Block::text("Hi")]);
}

#[test]
fn events_without_names_are_known_by_their_type_and_the_type_outweighs_the_name() {
    let events = [start(), opened(0, a_text()), text(0, "Hi"), closed(0), ended("end_turn"), stop()];
    for name in ["", "event: message\n", "event: novelty\n"] {
        let stream: String = events.iter().map(|data| format!("{name}data: {data}\n\n")).collect();
        assert!(read([stream.as_bytes()]).is_ok(), "{name}");
    }
    let stream: String = events
        .into_iter()
        .map(|mut data| {
            let kind = data.as_object_mut().unwrap().shift_remove("type").unwrap();
            format!("event: {}\ndata: {data}\n\n", kind.as_str().unwrap())
        })
        .collect();
    assert!(read([stream.as_bytes()]).is_ok(), "types that stand in the names alone");
}

#[test]
fn no_input_is_an_empty_object() {
    for deltas in [vec![], vec![input(0, "")], vec![input(0, ""), input(0, " ")]] {
        let mut events = vec![start(), opened(0, a_call())];
        events.extend(deltas);
        events.extend([closed(0), ended("tool_use"), stop()]);
        assert_eq!(message_of(&events).content[0].0["input"], json!({}));
    }
    let bare = json!({"type": "tool_use", "id": "toolu_1", "name": "get_weather"});
    let events = [start(), opened(0, bare), closed(0), ended("tool_use"), stop()];
    assert_eq!(message_of(&events).content[0].0["input"], json!({}));
    let at_once = json!({"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Bern"}});
    let events = [start(), opened(0, at_once), closed(0), ended("tool_use"), stop()];
    assert_eq!(message_of(&events).content[0].0["input"], json!({"city": "Bern"}), "some servers give all of it at the start");
}

#[test]
fn a_tool_call_that_was_cut_keeps_its_whole_members_and_any_other_must_be_json() {
    let events = |reason: &str| {
        [start(), opened(0, a_call()), input(0, "{\"city\": \"Zürich\", \"da"), input(0, "ys\": 1"), closed(0), ended(reason), stop()]
    };
    for cut in ["max_tokens", "model_context_window_exceeded", "refusal"] {
        assert_eq!(message_of(&events(cut)).content[0].0["input"], json!({"city": "Zürich"}), "{cut}");
    }
    for whole in ["tool_use", "end_turn", "something_new"] {
        assert_eq!(reason(&events(whole)), "the input of content block 0 is no JSON", "{whole}");
    }
}

#[test]
fn a_block_may_stay_open_only_where_something_stopped_the_reply() {
    let events = |reason: &str| [start(), opened(0, a_text()), text(0, "Well, "), ended(reason), stop()];
    for cut in ["max_tokens", "refusal"] {
        assert_eq!(message_of(&events(cut)).content, [Block::text("Well, ")]);
    }
    assert_eq!(reason(&events("end_turn")), "`message_stop` came, and content block 0 had not ended");
}

#[test]
fn a_refusal_in_the_middle_keeps_its_details_and_what_was_written() {
    let details = json!({"type": "refusal", "category": "bio", "explanation": "no"});
    let refused = json!({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_sequence": null, "stop_details": details}, "usage": {"output_tokens": 3}});
    let message = message_of(&[start(), opened(0, a_text()), text(0, "Well, "), closed(0), refused, stop()]);
    assert_eq!(message.stop_reason, StopReason::Refusal);
    assert_eq!(message.refusal, Some(RefusalDetails { category: Some("bio".to_owned()), explanation: Some("no".to_owned()) }));
    assert_eq!((message.content, message.usage.output_tokens), (vec![Block::text("Well, ")], 3));
}

#[test]
fn usage_is_cumulative_and_what_the_end_leaves_out_stays_with_the_start() {
    let with = |start_usage: Value, ends: &[Value]| {
        let mut begun = start();
        begun["message"]["usage"] = start_usage;
        let mut events = vec![begun];
        events.extend(ends.iter().map(|usage| json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage})));
        events.push(stop());
        assembled(read_all(&events).unwrap()).map(|message| message.usage)
    };
    let begun = json!({"input_tokens": 10, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 5, "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
        "output_tokens": 1, "service_tier": "standard", "inference_geo": "us", "speed": "fast"});
    let usage = with(begun.clone(), &[json!({"output_tokens": 50})]).unwrap();
    assert_eq!(
        (usage.input_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens, usage.cache_read_tokens, usage.output_tokens),
        (10, 60, 40, 5, 50)
    );
    assert_eq!(
        (usage.service_tier.as_deref(), usage.inference_geo.as_deref(), usage.speed.as_deref()),
        (Some("standard"), Some("us"), Some("fast"))
    );

    let grown = json!({"input_tokens": 12, "cache_creation_input_tokens": 130, "cache_read_input_tokens": null, "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 7}, "server_tool_use": {"web_search_requests": 2}});
    let usage = with(begun.clone(), &[json!({"output_tokens": 20}), grown]).unwrap();
    assert_eq!(
        (usage.input_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens, usage.cache_read_tokens, usage.output_tokens),
        (12, 90, 40, 5, 50)
    );
    assert_eq!((usage.thinking_tokens, usage.web_searches), (7, 2));

    assert_eq!(with(begun.clone(), &[json!(null)]).unwrap().output_tokens, 1);
    assert_eq!(with(json!(null), &[json!({"input_tokens": 3, "output_tokens": 4})]).unwrap().output_tokens, 4);
    assert!(with(json!(null), &[json!({"output_tokens": 4})]).unwrap_err().contains("no price"));
    assert!(with(json!({"input_tokens": 3}), &[json!(null)]).unwrap_err().contains("no price"));
    assert!(with(json!(null), &[json!(null)]).unwrap_err().contains("`usage`"));
    assert!(with(begun, &[json!({"output_tokens": -1})]).is_err());
}

#[test]
fn every_disorder_is_named() {
    let thinking = delta(0, json!({"type": "thinking_delta", "thinking": "x"}));
    let body = [start(), opened(0, a_text()), text(0, "Hi"), closed(0), ended("end_turn"), stop()];
    let with = |at: usize, event: &Value| {
        let mut events = body.to_vec();
        events.insert(at, event.clone());
        reason(&events)
    };
    insta::assert_snapshot!(with(0, &opened(0, a_text())), @"`content_block_start` came before `message_start`");
    insta::assert_snapshot!(with(0, &ended("end_turn")), @"`message_delta` came before `message_start`");
    insta::assert_snapshot!(with(0, &stop()), @"`message_stop` came before `message_start`");
    insta::assert_snapshot!(with(1, &start()), @"`message_start` came twice");
    insta::assert_snapshot!(with(1, &text(0, "Hi")), @"a delta came for content block 0, which never started");
    insta::assert_snapshot!(with(1, &closed(3)), @"its end came for content block 3, which never started");
    insta::assert_snapshot!(with(2, &opened(0, a_text())), @"content block 0 started twice");
    insta::assert_snapshot!(with(2, &opened(2, a_text())), @"content block 2 started, and block 1 never did");
    insta::assert_snapshot!(with(2, &thinking), @"content block 0 is a `text` block, and a `thinking_delta` came for it");
    insta::assert_snapshot!(with(4, &text(0, "Hi")), @"a delta came for content block 0, which had ended");
    insta::assert_snapshot!(with(4, &closed(0)), @"its end came for content block 0, which had ended");
    insta::assert_snapshot!(with(2, &json!({"type": "content_block_delta", "delta": {}})), @"a `content_block_delta` has no `index`");
    insta::assert_snapshot!(with(2, &json!({"type": "content_block_delta", "index": 0})), @"a delta of content block 0 has no `delta`");
    insta::assert_snapshot!(with(2, &delta(0, json!({"text": "x"}))), @"a delta of content block 0 has no `type`");
    insta::assert_snapshot!(with(2, &delta(0, json!({"type": "text_delta", "text": 7}))), @"a `text_delta` of content block 0 has no `text`");
    insta::assert_snapshot!(with(1, &json!({"type": "content_block_start", "index": 0, "content_block": "text"})), @"the start of content block 0 has no `content_block`");
    insta::assert_snapshot!(reason(&[json!({"type": "message_start"})]), @"`message_start` has no `message`");
    let broken = format!("{}event: content_block_delta\ndata: {{\"type\":\n\n", wire(&body[..2]));
    insta::assert_debug_snapshot!(read([broken.as_bytes()]).unwrap_err(), @r#"
    Malformed(
        "the data of a `content_block_delta` event is no JSON object",
    )
    "#);
    let half = format!("{}event: content_block_delta\ndata: {{\"type\": \"\\ud83d\"}}\n\n", wire(&body[..2]));
    insta::assert_debug_snapshot!(read([half.as_bytes()]).unwrap_err(), @r#"
    Malformed(
        "a text of a `content_block_delta` event holds half of a surrogate pair, which is no Unicode",
    )
    "#);
    let whole = format!("{half}{}", wire(&[json!({"type": "message_stop"})]));
    assert!(matches!(read([whole.as_bytes()]), Err(StreamFault::NoText(_))), "it came to its end");
}

#[test]
fn what_a_message_needs_is_needed_of_a_stream() {
    for member in ["model", "type"] {
        let mut begun = start();
        begun["message"].as_object_mut().unwrap().shift_remove(member);
        let body = read_all(&[begun, ended("end_turn"), stop()]).unwrap();
        assert!(assembled(body).unwrap_err().contains(member), "{member}");
    }
    let body = read_all(&[start(), stop()]).unwrap();
    assert!(assembled(body).unwrap_err().contains("stop_reason"));
}

#[test]
fn a_stream_that_ends_early_says_how_far_it_came_wherever_it_is_cut() {
    let stream = wire(&[start(), opened(0, a_text()), text(0, "Grüße ☕"), closed(0), ended("end_turn"), stop()]);
    let last = stream.rfind("event: message_stop").unwrap();
    for end in 0..last {
        match read([&stream.as_bytes()[..end]]).unwrap_err() {
            StreamFault::Early(reason) => assert!(reason.starts_with("before `message_st"), "{end}: {reason}"),
            other => panic!("{end}: {other:?}"),
        }
    }
    insta::assert_debug_snapshot!(read([&stream.as_bytes()[..last]]).unwrap_err(), @r#"
    Early(
        "before `message_stop`, after 1 content block",
    )
    "#);
    for end in stream.len() - 2..=stream.len() {
        assert!(read([&stream.as_bytes()[..end]]).is_ok(), "only the blank line is missing");
    }
}

#[test]
fn an_error_event_ends_the_stream_with_its_error() {
    let error = json!({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"});
    let told = ApiError {
        kind: Some("overloaded_error".to_owned()),
        message: Some("Overloaded".to_owned()),
        code: None,
        request_id: Some("req_1".to_owned()),
    };
    for before in [vec![], vec![start()], vec![start(), opened(0, a_text()), text(0, "Hi")]] {
        let mut events = before;
        events.push(error.clone());
        assert_eq!(read_all(&events).unwrap_err(), StreamFault::Error(told.clone()));
    }
    let words = ApiError { message: Some("upstream is gone".to_owned()), ..ApiError::default() };
    assert_eq!(read([b"event: error\ndata: upstream is gone\n\n".as_slice()]).unwrap_err(), StreamFault::Error(words));
}

#[test]
fn a_stream_is_told_from_a_body() {
    for stream in ["event: message_start\n", "\n\ndata: {}", ": hello", "\u{feff}event: x", "id: 1"] {
        assert!(looks_like_a_stream(stream.as_bytes()), "{stream}");
    }
    for body in ["", "{\"event: 1\"", "<html>", "events:", " [1]"] {
        assert!(!looks_like_a_stream(body.as_bytes()), "{body}");
    }
}

#[path = "stream_form_tests.rs"]
mod forms;
