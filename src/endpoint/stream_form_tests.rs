//! Is a reply the same in one piece and in events, and is every damage to a stream survived?

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A reply as this test knows it; its two forms are written from the reference alone.
#[derive(Debug, Clone)]
struct Told {
    blocks: Vec<Part>,
    end: (&'static str, Value, Value),
    tokens: [u32; 7],
    extras: bool,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String, Vec<String>),
    Thinking(String, String),
    Call(Value),
    Whole(Value),
}

/// Section 1.7.
fn in_one_piece(told: &Told) -> String {
    let content: Vec<Value> = told
        .blocks
        .iter()
        .map(|part| match part {
            Part::Text(text, cited) if cited.is_empty() => json!({"type": "text", "text": text, "citations": null}),
            Part::Text(text, cited) => json!({"type": "text", "text": text, "citations": cited.iter().map(citation).collect::<Vec<_>>()}),
            Part::Thinking(thinking, signature) => json!({"type": "thinking", "thinking": thinking, "signature": signature}),
            Part::Call(input) => json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": input}),
            Part::Whole(block) => block.clone(),
        })
        .collect();
    let (reason, sequence, details) = &told.end;
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": reason, "stop_sequence": sequence, "stop_details": details,
        "usage": usage(told, true)})
    .to_string()
}

fn citation(text: &String) -> Value {
    json!({"type": "char_location", "cited_text": text, "document_index": 0})
}

fn usage(told: &Told, at_the_end: bool) -> Value {
    let [input, short, long, read, output, grown, thought] = told.tokens;
    let grown = if at_the_end { grown } else { 0 };
    json!({"input_tokens": input, "cache_creation_input_tokens": u64::from(short) + u64::from(long) + u64::from(grown), "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": u64::from(short) + u64::from(grown), "ephemeral_1h_input_tokens": long},
        "output_tokens": if at_the_end { output } else { 1 }, "output_tokens_details": {"thinking_tokens": if at_the_end { thought } else { 0 }},
        "service_tier": "standard", "inference_geo": "global", "speed": "standard"})
}

/// Section 4. `width` is how many characters a delta has.
fn in_events(told: &Told, width: usize, line_end: &str) -> Vec<u8> {
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "usage": usage(told, false)}}),
    ];
    let pieces =
        |text: &str| -> Vec<String> { text.chars().collect::<Vec<_>>().chunks(width).map(|piece| piece.iter().collect()).collect() };
    for (index, part) in told.blocks.iter().enumerate() {
        let (block, deltas): (Value, Vec<Value>) = match part {
            Part::Text(text, cited) => {
                let texts = pieces(text).into_iter().map(|piece| json!({"type": "text_delta", "text": piece}));
                let cited = cited.iter().map(|text| json!({"type": "citations_delta", "citation": citation(text)}));
                (
                    if index % 2 == 0 { json!({"type": "text", "text": ""}) } else { json!({"type": "text", "text": "", "citations": []}) },
                    texts.chain(cited).collect(),
                )
            }
            Part::Thinking(thinking, signature) => {
                let thoughts = pieces(thinking).into_iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
                let signed = json!({"type": "signature_delta", "signature": signature});
                (json!({"type": "thinking", "thinking": "", "signature": ""}), thoughts.chain([signed]).collect())
            }
            Part::Call(input) => {
                let text = if input.as_object().unwrap().is_empty() { String::new() } else { input.to_string() };
                let texts = std::iter::once(String::new())
                    .chain(pieces(&text))
                    .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
                (json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}), texts.collect())
            }
            Part::Whole(block) => (block.clone(), Vec::new()),
        };
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        for piece in deltas {
            events.push(delta(index, piece));
            if told.extras {
                events.push(json!({"type": "ping"}));
                events.push(delta(index, json!({"type": "novelty_delta", "text": "?"})));
            }
        }
        events.push(closed(index));
    }
    let (reason, sequence, details) = &told.end;
    let mut counted = usage(told, true);
    for start_only in ["cache_creation", "service_tier", "inference_geo", "speed"] {
        counted.as_object_mut().unwrap().shift_remove(start_only);
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": sequence, "stop_details": details}, "usage": counted}));
    events.push(stop());
    events
        .iter()
        .flat_map(|data| format!("event: {}{line_end}data: {data}{line_end}{line_end}", data["type"].as_str().unwrap()).into_bytes())
        .collect()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-zö ]{0,5}", inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
        ]
    });
    proptest::collection::hash_map("[a-z]{1,6}", value, 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn any_reply() -> impl Strategy<Value = Told> {
    let part = prop_oneof![
        (any::<String>(), proptest::collection::vec(".{0,8}", 0..3)).prop_map(|(text, cited)| Part::Text(text, cited)),
        (any::<String>(), "[A-Za-z0-9+/=]{0,20}").prop_map(|(thinking, signature)| Part::Thinking(thinking, signature)),
        any_json().prop_map(Part::Call),
        any::<String>().prop_map(|data| Part::Whole(json!({"type": "redacted_thinking", "data": data}))),
        any_json()
            .prop_map(|content| Part::Whole(json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}))),
        any_json().prop_map(|deep| Part::Whole(json!({"type": "novelty", "deep": deep}))),
    ];
    let end = prop_oneof![
        Just(("end_turn", Value::Null, Value::Null)),
        Just(("tool_use", Value::Null, Value::Null)),
        Just(("a_new_reason", Value::Null, Value::Null)),
        Just(("max_tokens", Value::Null, Value::Null)),
        any::<String>().prop_map(|hit| ("stop_sequence", Value::from(hit), Value::Null)),
        any::<Option<String>>().prop_map(|words| (
            "refusal",
            Value::Null,
            json!({"type": "refusal", "category": "cyber", "explanation": words})
        )),
    ];
    (proptest::collection::vec(part, 0..5), end, any::<[u32; 7]>(), any::<bool>()).prop_map(|(blocks, end, tokens, extras)| Told {
        blocks,
        end,
        tokens,
        extras,
    })
}

proptest! {
    #[test]
    fn a_reply_is_the_same_in_one_piece_and_in_events(
        told in any_reply(), width in 1_usize..9, cuts in proptest::collection::vec(1_usize..40, 0..60), line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
    ) {
        let Ok(Parsed::Message(whole)) = parse(&in_one_piece(&told)) else { panic!("the test writes messages") };
        let stream = in_events(&told, width, line_end);
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let streamed = assembled(read(pieces).unwrap()).unwrap();
        prop_assert_eq!(streamed, whole);
    }

    #[test]
    fn no_damage_to_a_stream_makes_the_reader_panic(told in any_reply(), flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), end in any::<prop::sample::Index>()) {
        let mut stream = in_events(&told, 5, "\n");
        for (place, byte) in flips {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        let _ = read([&stream[..end.index(stream.len() + 1)]]).map(assembled);
    }

    #[test]
    fn no_events_in_any_order_make_the_reader_panic(events in proptest::collection::vec(prop_oneof![
        Just(start()), (0_usize..3).prop_map(|index| opened(index, a_text())), (0_usize..3).prop_map(|index| opened(index, a_call())), (0_usize..3).prop_map(|index| text(index, "x")),
        (0_usize..3).prop_map(|index| input(index, "{")), (0_usize..3).prop_map(closed), Just(ended("max_tokens")), Just(ended("end_turn")), Just(stop()),
    ], 0..12)) {
        let _ = read_all(&events).map(assembled);
    }
}
