//! A valid request as the script sees it: what does it say, and how much does it weigh?

use std::ops::Range;

use serde_json::Value;

use super::tokens::Weight;

/// The texts of a request, in one string with their places.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    all: String,
    system: Range<usize>,
    last_user: Range<usize>,
    pub(super) weight: Weight,
}

/// Between two texts: a blank line, as a reader would put it.
const BETWEEN: &str = "\n\n";

impl Prompt {
    /// Reads a validated body.
    pub(super) fn of(body: &Value) -> Self {
        let mut prompt = Self::default();
        if let Some(system) = body.get("system") {
            prompt.content(system, 0);
        }
        prompt.system = 0..prompt.all.len();
        for turn in body.get("messages").and_then(Value::as_array).into_iter().flatten() {
            prompt.turn();
            let before = prompt.all.len();
            if let Some(content) = turn.get("content") {
                prompt.content(content, 0);
            }
            if turn.get("role").and_then(Value::as_str) == Some("user") && prompt.all.len() > before {
                let start = if before == 0 { 0 } else { before + BETWEEN.len() };
                prompt.last_user = start..prompt.all.len();
            }
        }
        body.get("tools").and_then(Value::as_array).into_iter().flatten().for_each(|tool| prompt.tool(tool));
        prompt
    }

    /// A turn begins.
    pub(super) fn turn(&mut self) {
        self.weight.turns += 1;
    }

    /// A tool weighs what its JSON weighs, a mark for the prompt cache aside: the model does not see it.
    pub(super) fn tool(&mut self, tool: &Value) {
        self.weight.tools = true;
        let mark = tool.get("cache_control").map_or(0, |mark| r#","cache_control":"#.len() + mark.to_string().len());
        self.weight.text_bytes += (tool.to_string().len() - mark) as u64;
    }

    /// System prompt and turns.
    pub(super) fn all(&self) -> &str {
        &self.all
    }

    pub(super) fn system(&self) -> &str {
        &self.all[self.system.clone()]
    }

    /// The text of the last user turn.
    pub(super) fn last_user(&self) -> &str {
        &self.all[self.last_user.clone()]
    }

    fn push(&mut self, text: &str) {
        self.weight.text_bytes += text.len() as u64;
        if text.is_empty() {
            return;
        }
        if !self.all.is_empty() {
            self.all.push_str(BETWEEN);
        }
        self.all.push_str(text);
    }

    /// Text, or blocks that hold text; what is nested deeper than requests can nest is left alone.
    pub(super) fn content(&mut self, content: &Value, depth: usize) {
        match content {
            Value::String(text) => self.push(text),
            Value::Array(blocks) if depth < 4 => blocks.iter().for_each(|block| self.block(block, depth + 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {}
        }
    }

    pub(super) fn block(&mut self, block: &Value, depth: usize) {
        match block.get("type").and_then(Value::as_str) {
            Some("text") => {
                if let Some(Value::String(text)) = block.get("text") {
                    self.push(text);
                }
            }
            Some("image") => self.weight.images += 1,
            Some("document") => match block.get("source") {
                Some(source) if source.get("type").and_then(Value::as_str) == Some("text") => {
                    if let Some(Value::String(text)) = source.get("data") {
                        self.push(text);
                    }
                }
                Some(source) if source.get("type").and_then(Value::as_str) == Some("content") => {
                    if let Some(content) = source.get("content") {
                        self.content(content, depth);
                    }
                }
                _ => self.weight.documents += 1,
            },
            Some("tool_use") => self.weight.text_bytes += block.get("input").map_or(0, |input| input.to_string().len() as u64),
            Some("tool_result" | "search_result") => {
                if let Some(content) = block.get("content") {
                    self.content(content, depth);
                }
            }
            _ => {}
        }
    }
}
