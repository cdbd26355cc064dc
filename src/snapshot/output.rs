//! What of a reply does a snapshot keep?
//!
//! What the model said and did: its text and its tool calls. Thinking is left out, and so are the ids of tool calls, which the API
//! draws anew for every reply: a snapshot holds nothing that changes without the output changing.

use serde_json::{Map, Value};

use crate::model::request::Block;
use crate::model::suite::{Compare, Parse};
use crate::snapshot::tokens;

/// The accepted or new outputs of one case and model.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The version that was asked: `ticket-triage@3`.
    pub prompt: String,
    /// The model's id.
    pub model: String,
    /// A simulator answered: it never stands for a real model, nor the other way round.
    pub simulated: bool,
    /// The variants, at least one; one per sample where it is new.
    pub outputs: Vec<Output>,
}

/// One reply, as far as a snapshot keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Why the model stopped, as the API spells it.
    pub stop_reason: String,
    /// In order; an empty reply is one empty text.
    pub parts: Vec<Part>,
}

/// A part of a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A text block: under `compare: json` a JSON answer laid out for review, otherwise as it came.
    Text(String),
    /// Any other block that is not thinking, without its id.
    Json(Value),
}

impl Output {
    /// What a snapshot keeps of a reply's content.
    #[must_use]
    pub fn of_content(stop_reason: &str, content: &[Block], compare: Compare, parse: Parse) -> Self {
        let parts = content.iter().filter_map(|block| match block.kind() {
            "thinking" | "redacted_thinking" => None,
            "text" => block.as_text().map(|text| Part::Text(text.to_owned())),
            _ => Some(Part::Json(without_ids(&block.0))),
        });
        Self::of_parts(stop_reason, parts.collect(), compare, parse)
    }

    /// The same from a report, which keeps a reply's texts apart from its other blocks.
    #[must_use]
    pub fn new(stop_reason: &str, texts: &[&str], other_blocks: &[Value], compare: Compare, parse: Parse) -> Self {
        let texts = texts.iter().map(|text| Part::Text((*text).to_owned()));
        let others = other_blocks.iter().map(|block| Part::Json(block.as_object().map_or_else(|| block.clone(), without_ids)));
        Self::of_parts(stop_reason, texts.chain(others).collect(), compare, parse)
    }

    fn of_parts(stop_reason: &str, mut parts: Vec<Part>, compare: Compare, parse: Parse) -> Self {
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        if compare == Compare::Json {
            let text = text_of(&parts);
            if let Some(document) = tokens::pretty(parse.json_text(&text)) {
                // One document, however many blocks it came in; it stands where the first of them stood.
                let at = parts.iter().position(|part| matches!(part, Part::Text(_))).unwrap_or(0);
                parts.retain(|part| matches!(part, Part::Json(_)));
                parts.insert(at, Part::Text(document));
            }
        }
        if parts.is_empty() {
            parts.push(Part::Text(String::new()));
        }
        Self { stop_reason: stop_reason.to_owned(), parts }
    }

    /// All texts joined, as assertions see them: how the API cut them into blocks is no difference.
    pub(super) fn text(&self) -> String {
        text_of(&self.parts)
    }

    /// What a reply of a report would say otherwise, by the report's names. How a JSON answer is laid out is no matter: the suite may have
    /// asked for another layout then.
    #[must_use]
    pub fn unlike_reply(&self, stop_reason: &str, text: &str, other_blocks: &[Value]) -> Vec<&'static str> {
        let laid_out = |compare, fenced| Self::new(stop_reason, &[text], other_blocks, compare, Parse { fenced });
        let possible = [laid_out(Compare::Text, false), laid_out(Compare::Json, false), laid_out(Compare::Json, true)];
        let mut unlike = Vec::new();
        if self.stop_reason != stop_reason {
            unlike.push("stop_reason");
        }
        if possible.iter().all(|given| given.text() != self.text()) {
            unlike.push("text");
        }
        if !possible[0].blocks().eq(self.blocks()) {
            unlike.push("other_blocks");
        }
        unlike
    }

    /// Whether it is another one only in how its text is cut into blocks and where the others stand among them.
    #[must_use]
    pub fn says_what(&self, other: &Self) -> bool {
        self.stop_reason == other.stop_reason && self.text() == other.text() && self.blocks().eq(other.blocks())
    }

    /// The texts, and below them the other blocks as JSON.
    pub(crate) fn shown(&self) -> String {
        let mut shown = self.text();
        for block in self.blocks() {
            if !shown.is_empty() && !shown.ends_with('\n') {
                shown.push('\n');
            }
            shown.push_str(&block.to_string());
        }
        shown
    }

    /// The other blocks, in order.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Value> {
        self.parts.iter().filter_map(|part| match part {
            Part::Json(value) => Some(value),
            Part::Text(_) => None,
        })
    }
}

fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Json(_) => None,
    });
    texts.collect()
}

/// A block without the ids that tie it to one reply (wire reference, section 1.2).
fn without_ids(block: &Map<String, Value>) -> Value {
    let kept = block.iter().filter(|(key, _)| !matches!(key.as_str(), "id" | "tool_use_id"));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn block(value: Value) -> Block {
        Block(value.as_object().cloned().unwrap_or_default())
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    #[test]
    fn thinking_and_ids_are_left_out() {
        let content = [
            block(json!({"type": "thinking", "thinking": "hm", "signature": "Eos"})),
            Block::text("I look it up."),
            block(json!({"type": "redacted_thinking", "data": "xx"})),
            block(json!({"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"id": 7}})),
            Block::text(""),
        ];
        let output = Output::of_content("tool_use", &content, Compare::Text, Parse::default());
        assert_eq!(output.parts, [text("I look it up."), Part::Json(json!({"type": "tool_use", "name": "look_up", "input": {"id": 7}}))]);
    }

    #[test]
    fn a_json_answer_is_laid_out_only_under_json() {
        let parse = Parse { fenced: true };
        let content = [Block::text("```json\n{\"b\":1.0,"), Block::text("\"a\":2}\n```")];
        let json = Output::of_content("end_turn", &content, Compare::Json, parse);
        assert_eq!(json.parts, [text("{\n  \"b\": 1.0,\n  \"a\": 2\n}")]);
        let verbatim = Output::of_content("end_turn", &content, Compare::Text, parse);
        assert_eq!(verbatim.parts, [text("```json\n{\"b\":1.0,"), text("\"a\":2}\n```")]);
        let unparsable = Output::of_content("end_turn", &[Block::text(" {\"a\":")], Compare::Json, parse);
        assert_eq!(unparsable.parts, [text(" {\"a\":")]);
    }

    #[test]
    fn an_empty_reply_is_one_empty_text() {
        assert_eq!(Output::of_content("refusal", &[], Compare::Json, Parse::default()).parts, [text("")]);
        assert_eq!(Output::new("end_turn", &["", ""], &[], Compare::Text, Parse::default()).parts, [text("")]);
    }
}
