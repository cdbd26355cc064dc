//! About how many tokens does the prompt of a request come to? An estimate, and never a bill.

use serde_json::{Map, Value};

use crate::model::catalog::Catalog;
use crate::model::prefix::tokens_of;
use crate::model::request::{Block, Request};

/// Of an image, of a document whose pages are not in its bytes, and of the hidden prompt that tools add (wire reference, 6.1).
const IMAGE: u64 = 1_600;
const DOCUMENT: u64 = 3_000;
const TOOLS: u64 = 400;

/// What a request has beside its text.
const FRAME: u64 = 8;

/// A token per four bytes of text, and three tenths more on models with the newer tokenizer; images, documents and the hidden prompt of tools
/// by what they usually take.
#[must_use]
pub fn prompt_tokens(catalog: &Catalog, request: &Request) -> u64 {
    let mut size = Size { bytes: 0, other: FRAME };
    for tool in request.params.tools.iter().flatten() {
        size.bytes += bytes(tool);
    }
    size.other += if request.params.tools.as_ref().is_some_and(|tools| !tools.is_empty()) { TOOLS } else { 0 };
    size.bytes += request.params.output_config.as_ref().map_or(0, bytes);
    for block in request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.content)) {
        size.block(block);
    }
    size.other.saturating_add(tokens_of(catalog, &request.model, size.bytes))
}

struct Size {
    bytes: u64,
    other: u64,
}

impl Size {
    fn block(&mut self, block: &Block) {
        match block.kind() {
            "text" => self.bytes += block.as_text().map_or(0, str::len) as u64,
            "image" => self.other += IMAGE,
            "document" if !is_text(&block.0) => self.other += DOCUMENT,
            _ => self.bytes += block.0.values().map(bytes).sum::<u64>(),
        }
    }
}

fn is_text(document: &Map<String, Value>) -> bool {
    let kind = document.get("source").and_then(|source| source.get("type")).and_then(Value::as_str);
    matches!(kind, Some("text" | "content"))
}

/// About so many bytes a value takes in a prompt: its texts and the names of its members.
pub(crate) fn bytes(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() as u64 + bytes(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tokens(model: &str, block: Value) -> u64 {
        let request = json!({"model": model, "system": [], "turns": [{"role": "user", "content": [block]}], "params": {}});
        prompt_tokens(Catalog::embedded(), &serde_json::from_value(request).unwrap())
    }

    #[test]
    fn a_token_is_four_bytes_and_fewer_where_the_tokenizer_is_newer() {
        let text = json!({"type": "text", "text": "x".repeat(4_000)});
        assert_eq!(tokens("claude-haiku-4-5", text.clone()), 1_008);
        assert_eq!(tokens("claude-sonnet-4-6", text.clone()), 1_008);
        assert_eq!(tokens("claude-sonnet-5-5", text), 1_308);
    }

    #[test]
    fn what_its_bytes_do_not_tell_is_counted_by_the_piece() {
        let image = json!({"type": "image", "source": {"type": "base64", "data": "A".repeat(1 << 20)}});
        assert_eq!(tokens("claude-haiku-4-5", image), 1_608);
        let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A".repeat(9_000)}});
        assert_eq!(tokens("claude-haiku-4-5", pdf), 3_008);
    }
}
