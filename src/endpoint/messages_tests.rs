//! Do requests, replies and errors read and write as the wire reference spells them?

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::request::{Role, Turn};

fn read(body: &Value) -> Message {
    match parse(&body.to_string()).unwrap() {
        Parsed::Message(message) => *message,
        Parsed::Error(error) => panic!("{error:?}"),
    }
}

/// Section 1.7, word for word.
fn documented() -> Value {
    json!({"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-5-5",
     "content":[{"type":"thinking","thinking":"","signature":"Eos"},{"type":"text","text":"Hi","citations":null}],
     "stop_reason":"end_turn","stop_sequence":null,"stop_details":null,
     "container":null,"diagnostics":null,
     "usage":{"input_tokens":8,"cache_creation_input_tokens":5120,"cache_read_input_tokens":3,
       "cache_creation":{"ephemeral_5m_input_tokens":5000,"ephemeral_1h_input_tokens":120},
       "output_tokens":12,"output_tokens_details":{"thinking_tokens":5},
       "server_tool_use":{"web_search_requests":2,"web_fetch_requests":0},
       "service_tier":"standard","inference_geo":"global","speed":"standard"}})
}

#[test]
fn the_documented_reply_is_read_with_every_kind_of_token() {
    let message = read(&documented());
    assert_eq!(message.id.as_deref(), Some("msg_01"));
    assert_eq!(message.model, "claude-sonnet-5-5");
    assert_eq!(message.stop_reason, StopReason::EndTurn);
    assert_eq!(message.refusal, None);
    assert_eq!(
        message.usage,
        Usage {
            input_tokens: 8,
            cache_write_5m_tokens: 5000,
            cache_write_1h_tokens: 120,
            cache_read_tokens: 3,
            output_tokens: 12,
            thinking_tokens: 5,
            web_searches: 2,
            service_tier: Some("standard".to_owned()),
            inference_geo: Some("global".to_owned()),
            speed: Some("standard".to_owned()),
        }
    );
}

#[test]
fn a_thinking_block_in_front_stays_in_the_content_and_out_of_the_text() {
    let message = read(&documented());
    assert_eq!(message.content.iter().map(Block::kind).collect::<Vec<_>>(), ["thinking", "text"]);
    assert_eq!(message.content.iter().filter_map(Block::as_text).collect::<String>(), "Hi");
}

#[test]
fn a_text_without_citations_is_written_in_one_way() {
    let mut body = documented();
    for none in [json!(null), json!([])] {
        body["content"] = json!([{"type": "text", "text": "Hi", "citations": none}, {"type": "novelty", "citations": none}]);
        assert_eq!(json!(read(&body).content), json!([{"type": "text", "text": "Hi"}, {"type": "novelty", "citations": none}]));
    }
    body["content"] = json!([{"type": "text", "text": "Hi", "citations": [{"type": "char_location"}]}]);
    assert_eq!(json!(read(&body).content), body["content"]);
}

#[test]
fn cache_writes_without_a_split_lived_five_minutes() {
    let mut body = documented();
    body["usage"].as_object_mut().unwrap().shift_remove("cache_creation");
    let usage = read(&body).usage;
    assert_eq!((usage.cache_write_5m_tokens, usage.cache_write_1h_tokens), (5120, 0));
    body["usage"]["cache_creation"] = json!({"ephemeral_1h_input_tokens": 20, "ephemeral_5m_input_tokens": null});
    let usage = read(&body).usage;
    assert_eq!((usage.cache_write_5m_tokens, usage.cache_write_1h_tokens), (5100, 20));
}

#[test]
fn only_two_kinds_of_tokens_are_needed_and_the_rest_may_be_null() {
    let body = json!({"type":"message","model":"m","content":[],"stop_reason":"end_turn",
        "usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":null,"iterations":[1],"service_tier":null}});
    let message = read(&body);
    assert_eq!(message.usage, Usage { input_tokens: 1, output_tokens: 2, ..Usage::default() });
    assert!(message.content.is_empty());
}

#[test]
fn a_structural_refusal_keeps_its_category() {
    let mut body = documented();
    body["stop_reason"] = json!("refusal");
    body["stop_details"] = json!({"type":"refusal","category":"bio","explanation":"no","fallback_credit_token":"t"});
    assert_eq!(read(&body).refusal, Some(RefusalDetails { category: Some("bio".to_owned()), explanation: Some("no".to_owned()) }));
    body["stop_details"] = Value::Null;
    assert_eq!(read(&body).refusal, Some(RefusalDetails::default()));
}

#[test]
fn what_is_missing_from_a_message_is_named() {
    for member in ["model", "content", "stop_reason", "usage"] {
        let mut body = documented();
        body.as_object_mut().unwrap().shift_remove(member);
        assert!(parse(&body.to_string()).unwrap_err().contains(member), "{member}");
        body[member] = Value::Null;
        assert!(parse(&body.to_string()).unwrap_err().contains(member), "{member}: null");
    }
    for member in ["input_tokens", "output_tokens"] {
        let mut body = documented();
        body["usage"].as_object_mut().unwrap().shift_remove(member);
        assert!(parse(&body.to_string()).unwrap_err().contains(member), "{member}");
    }
}

#[test]
fn a_body_that_is_no_message_says_what_it_is() {
    let whole = documented().to_string();
    assert!(parse(&whole[..whole.len() - 5]).unwrap_err().contains("ends too early"));
    assert!(parse("<html>").unwrap_err().contains("no JSON"));
    assert!(parse("").unwrap_err().contains("ends too early"));
    assert!(parse("[1]").unwrap_err().contains("no Messages API body"));
    assert!(parse("{}").unwrap_err().contains("type"));
    assert!(parse(&"[".repeat(100_000)).is_err());
    let mut negative = documented();
    negative["usage"]["output_tokens"] = json!(-1);
    assert!(parse(&negative.to_string()).is_err());
}

#[test]
fn an_error_body_is_read_with_its_code() {
    let body = json!({"type":"error","error":{"type":"rate_limit_error","message":"You have reached your API usage limits: x",
        "details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_1"});
    let Parsed::Error(error) = parse(&body.to_string()).unwrap() else { panic!("not an error") };
    assert_eq!(error.kind.as_deref(), Some("rate_limit_error"));
    assert_eq!(error.code.as_deref(), Some("enforced_spend_limit_reached"));
    assert_eq!(error.request_id.as_deref(), Some("req_1"));
}

#[test]
fn a_request_is_spelled_as_the_api_spells_it_and_absent_parameters_are_absent() {
    let request = Request {
        model: "claude-haiku-4-5".to_owned(),
        system: vec![Block::text("Be brief.")],
        turns: vec![Turn { role: Role::User, content: vec![Block::text("Hi")] }],
        params: Params { max_tokens: Some(64), stop_sequences: Some(vec!["END".to_owned()]), ..Params::default() },
    };
    let sent = String::from_utf8(body(&request, &Marks::AsWritten, false)).unwrap();
    insta::assert_snapshot!(sent, @r#"{"model":"claude-haiku-4-5","max_tokens":64,"system":[{"type":"text","text":"Be brief."}],"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"stop_sequences":["END"]}"#);
    let bare = Request { system: Vec::new(), params: Params::default(), ..request };
    insta::assert_snapshot!(String::from_utf8(body(&bare, &Marks::AsWritten, true)).unwrap(), @r#"{"model":"claude-haiku-4-5","messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"stream":true}"#);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_damage_to_a_reply_makes_the_reader_panic(cut in 0usize..600, flip in 0usize..600, byte in any::<u8>()) {
        let mut bytes = documented().to_string().into_bytes();
        bytes.truncate(cut);
        if let Some(place) = bytes.get_mut(flip) { *place = byte; }
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn planned_marks_stand_beside_the_authors_and_nothing_else_changes() {
    use crate::model::prefix::{Digest, Life, Mark, Place, Prefix};
    let object = |value: Value| value.as_object().unwrap().clone();
    let request = Request {
        model: "claude-haiku-5-5".to_owned(),
        system: vec![Block::text("a"), Block(object(json!({"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}})))],
        turns: vec![Turn { role: Role::User, content: vec![Block::text("c"), Block::text("d")] }],
        params: Params { tools: Some(vec![json!({"name": "e"}), json!({"name": "f"})]), ..Params::default() },
    };
    let mark = |place, life| Mark { digest: Digest(0), place, life, added: true };
    let authors = Mark { added: false, ..mark(Place::System(1), Life::FiveMinutes) };
    let marks = vec![mark(Place::Tools, Life::Hour), authors, mark(Place::Turn(0, 1), Life::FiveMinutes)];
    let sent = |marks: &Marks| String::from_utf8(body(&request, marks, false)).unwrap();
    insta::assert_snapshot!(sent(&Marks::Planned(std::sync::Arc::new(Prefix { marks, short: None }))), @r#"{"model":"claude-haiku-5-5","system":[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d","cache_control":{"type":"ephemeral"}}]}],"tools":[{"name":"e"},{"name":"f","cache_control":{"type":"ephemeral","ttl":"1h"}}]}"#);
    insta::assert_snapshot!(sent(&Marks::Off), @r#"{"model":"claude-haiku-5-5","system":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"messages":[{"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}],"tools":[{"name":"e"},{"name":"f"}]}"#);
    assert_eq!(sent(&Marks::AsWritten).matches("cache_control").count(), 1);
}
