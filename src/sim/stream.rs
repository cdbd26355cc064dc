//! A message as server-sent events: in which order does it arrive?

use bytes::Bytes;
use serde_json::{Value, json};

use super::reply::{Message, Part};

/// A text delta is about so many bytes.
const DELTA: usize = 48;

/// The events of a message (docs/wire-reference.md 4), each ready to be sent.
pub(super) fn events(message: &Message, with_unknown: bool) -> Vec<Bytes> {
    let mut events = Vec::with_capacity(8 + message.content.len() * 4);
    // The head has the counts of the input; of the output it knows one token.
    let mut head = json!(message);
    head["content"] = json!([]);
    head["stop_reason"] = Value::Null;
    head["stop_sequence"] = Value::Null;
    head["stop_details"] = Value::Null;
    head["usage"]["output_tokens"] = message.usage.output_tokens.min(1).into();
    head["usage"]["output_tokens_details"]["thinking_tokens"] = 0.into();
    events.push(event("message_start", &json!({"type": "message_start", "message": head})));
    events.push(event("ping", &json!({"type": "ping"})));
    if with_unknown {
        events.push(event("simulated_novelty", &json!({"type": "simulated_novelty", "note": "an event that clients have to ignore"})));
    }
    for (index, part) in message.content.iter().enumerate() {
        block(index, part, &mut events);
    }
    if with_unknown && let Some(last) = message.content.len().checked_sub(1) {
        // Before the last block closes: a delta of a type that nobody knows.
        let novelty = json!({"type": "content_block_delta", "index": last, "delta": {"type": "simulated_novelty_delta", "novelty": 1}});
        events.insert(events.len() - 1, event("content_block_delta", &novelty));
    }
    let usage = &message.usage;
    let delta = json!({
        "type": "message_delta",
        "delta": {"stop_reason": message.stop_reason, "stop_sequence": message.stop_sequence, "stop_details": message.stop_details},
        // Cumulative; no cache split, tier, place or speed here: those stay with the head.
        "usage": {
            "input_tokens": usage.input_tokens,
            "cache_creation_input_tokens": usage.cache_creation_input_tokens,
            "cache_read_input_tokens": usage.cache_read_input_tokens,
            "output_tokens": usage.output_tokens,
            "output_tokens_details": usage.output_tokens_details,
            "server_tool_use": usage.server_tool_use,
        },
    });
    events.push(event("message_delta", &delta));
    events.push(event("message_stop", &json!({"type": "message_stop"})));
    events
}

fn block(index: usize, part: &Part, events: &mut Vec<Bytes>) {
    let mut start = |block: Value| {
        events.push(event("content_block_start", &json!({"type": "content_block_start", "index": index, "content_block": block})))
    };
    let mut deltas = Vec::new();
    match part {
        Part::Thinking { thinking, signature } => {
            start(json!({"type": "thinking", "thinking": "", "signature": ""}));
            deltas.extend(pieces(thinking).map(|piece| json!({"type": "thinking_delta", "thinking": piece})));
            deltas.push(json!({"type": "signature_delta", "signature": signature}));
        }
        Part::Text { text, .. } => {
            start(json!({"type": "text", "text": ""}));
            deltas.extend(pieces(text).map(|piece| json!({"type": "text_delta", "text": piece})));
        }
        Part::Verbatim(block) => match block.get("type").and_then(Value::as_str) {
            Some("tool_use" | "server_tool_use") => {
                let mut opened = block.clone();
                opened["input"] = json!({});
                start(opened);
                let input = block.get("input").map_or_else(String::new, Value::to_string);
                deltas.push(json!({"type": "input_json_delta", "partial_json": ""}));
                if input != "{}" {
                    deltas.extend(pieces(&input).map(|piece| json!({"type": "input_json_delta", "partial_json": piece})));
                }
            }
            Some("text") => {
                let mut opened = block.clone();
                opened["text"] = "".into();
                if opened.get("citations").is_some() {
                    opened["citations"] = json!([]);
                }
                start(opened);
                deltas.extend(
                    pieces(block.get("text").and_then(Value::as_str).unwrap_or_default())
                        .map(|piece| json!({"type": "text_delta", "text": piece})),
                );
                deltas.extend(
                    block
                        .get("citations")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .map(|citation| json!({"type": "citations_delta", "citation": citation})),
                );
            }
            // `redacted_thinking` and the results of server tools arrive whole.
            _ => start(block.clone()),
        },
    }
    for delta in deltas {
        events.push(event("content_block_delta", &json!({"type": "content_block_delta", "index": index, "delta": delta})));
    }
    events.push(event("content_block_stop", &json!({"type": "content_block_stop", "index": index})));
}

/// A delta that comes too late: its block has ended, or never begun.
pub(super) fn late_delta() -> Bytes {
    event("content_block_delta", &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "too late"}}))
}

/// The event of an error in the middle of a stream.
pub(super) fn error_event(kind: &str, message: &str, request_id: &str) -> Bytes {
    event("error", &json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}))
}

fn event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// Cuts text into deltas, never through a character.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = DELTA.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}
