//! Which message do the events of a stream add up to? (Wire reference, 4.)
//!
//! The answer is the body that the same server would have sent to a request that is not streamed: from there on nothing can tell how a reply
//! came, neither keys nor snapshots nor assertions nor the bill.

use serde_json::{Map, Value};

use crate::endpoint::messages::{ApiError, HALF_A_PAIR, Parsed, is_half_a_pair, parse};
use crate::endpoint::sse::{Decoder, Event, SseError};
use crate::endpoint::unfinished::whole_members;

/// A longer event is none: a document that a server tool fetched arrives whole in one event, and is a quarter of this.
const LONGEST_EVENT: usize = 32 << 20;

/// Why a stream holds no message. The clauses quote nothing of what the server sent but numbers: a key may stand in it in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamFault {
    /// The server said so in an `error` event.
    Error(ApiError),
    /// The events contradict each other or the API; one clause that says how.
    Malformed(String),
    /// It came to its `message_stop`, and a text of it is none.
    NoText(String),
    /// It ended before `message_stop`; one clause that says how far it came.
    Early(String),
}

impl From<SseError> for StreamFault {
    fn from(error: SseError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Reads a stream from its bytes.
#[derive(Debug)]
pub struct Reader {
    decoder: Decoder,
    assembly: Assembly,
}

impl Default for Reader {
    fn default() -> Self {
        Self { decoder: Decoder::new(LONGEST_EVENT), assembly: Assembly::default() }
    }
}

impl Reader {
    /// Takes the next bytes; those behind the end of the message are nobody's.
    ///
    /// # Errors
    /// If no message can come of this stream any more.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), StreamFault> {
        if self.is_whole() {
            return Ok(());
        }
        let mut events = Vec::new();
        let fed = self.decoder.feed_into(bytes, &mut events);
        events.iter().try_for_each(|event| self.assembly.take(event))?;
        if self.is_whole() { Ok(()) } else { Ok(fed?) }
    }

    /// `message_start` came: the model has read the prompt.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.assembly.message.is_some()
    }

    /// `message_stop` came: the message is there and paid. Whatever follows it, in events, in other bytes or in the fate of the connection, changes
    /// nothing in it: asked again, it would be paid again.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.assembly.stopped
    }

    /// The bytes are over: the body of the message, as if it had come in one piece.
    ///
    /// # Errors
    /// If the stream ended too early, or says what no message can be.
    pub fn finish(self) -> Result<Value, StreamFault> {
        let Self { decoder, mut assembly } = self;
        // What was begun and is no JSON was cut off in the middle: that is an early end, not a wrong event.
        if !assembly.stopped
            && let Ok(Some(last)) = decoder.finish()
            && serde_json::from_str::<serde::de::IgnoredAny>(&last.data).is_ok()
        {
            assembly.take(&last)?;
        }
        assembly.finish()
    }
}

/// Reads a whole stream, in whatever pieces it came.
///
/// # Errors
/// As [`Reader`].
pub fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Value, StreamFault> {
    let mut reader = Reader::default();
    pieces.into_iter().try_for_each(|piece| reader.feed(piece))?;
    reader.finish()
}

/// Whether these bytes begin as a stream does, for servers that do not say what they send.
pub(crate) fn looks_like_a_stream(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
    ["event:", "data:", "id:", "retry:", ":"].iter().any(|field| bytes.starts_with(field.as_bytes()))
}

/// A message that grows.
#[derive(Debug, Default)]
struct Assembly {
    message: Option<Map<String, Value>>,
    blocks: Vec<Growing>,
    stopped: bool,
    /// What is no text in it. It is only read on to see whether it was whole.
    no_text: Option<String>,
}

/// A content block that grows.
#[derive(Debug)]
struct Growing {
    block: Map<String, Value>,
    /// `partial_json`, joined; what is no JSON when the block ends stays here until the stop reason is known.
    input: String,
    open: bool,
}

impl Assembly {
    fn take(&mut self, event: &Event) -> Result<(), StreamFault> {
        if self.stopped {
            return Ok(());
        }
        let (kind, mut data) = match serde_json::from_str::<Map<String, Value>>(&event.data) {
            Ok(data) => (data.get("type").and_then(Value::as_str).unwrap_or(&event.name).to_owned(), data),
            Err(error) => match event.name.as_str() {
                "error" => return Err(StreamFault::Error(spoken(&event.data))),
                name @ ("message_start"
                | "content_block_start"
                | "content_block_delta"
                | "content_block_stop"
                | "message_delta"
                | "message_stop") => {
                    if is_half_a_pair(&error.to_string()) {
                        self.no_text.get_or_insert_with(|| format!("a text of a `{name}` event {HALF_A_PAIR}"));
                        return Ok(());
                    }
                    return malformed(format!("the data of a `{name}` event is no JSON object"));
                }
                // Nothing that the API knows: what it says is nobody's business here.
                _ => return Ok(()),
            },
        };
        match Kind::of(&kind) {
            None => Ok(()),
            Some(Kind::Error) => Err(StreamFault::Error(spoken(&event.data))),
            Some(kind) if self.no_text.is_some() => {
                self.stopped = matches!(kind, Kind::MessageStop);
                Ok(())
            }
            Some(Kind::MessageStart) => self.start(data),
            Some(_) if self.message.is_none() => malformed(format!("`{kind}` came before `message_start`")),
            Some(Kind::BlockStart) => self.open(&mut data),
            Some(Kind::BlockDelta) => self.delta(&mut data),
            Some(Kind::BlockStop) => self.close(&data),
            Some(Kind::MessageDelta) => self.end(&mut data),
            Some(Kind::MessageStop) => {
                self.stopped = true;
                Ok(())
            }
        }
    }

    fn start(&mut self, mut data: Map<String, Value>) -> Result<(), StreamFault> {
        if self.message.is_some() {
            return malformed("`message_start` came twice");
        }
        let Some(Value::Object(mut message)) = data.shift_remove("message") else {
            return malformed("`message_start` has no `message`");
        };
        if let Some(Value::Array(blocks)) = message.shift_remove("content") {
            for block in blocks {
                let Value::Object(block) = block else { return malformed("a content block of `message_start` is no object") };
                self.blocks.push(Growing { block, input: String::new(), open: false });
            }
        }
        self.message = Some(message);
        Ok(())
    }

    fn open(&mut self, data: &mut Map<String, Value>) -> Result<(), StreamFault> {
        let index = index(data, "content_block_start")?;
        if index < self.blocks.len() {
            return malformed(format!("content block {index} started twice"));
        }
        if index > self.blocks.len() {
            return malformed(format!("content block {index} started, and block {} never did", self.blocks.len()));
        }
        let Some(Value::Object(block)) = data.shift_remove("content_block") else {
            return malformed(format!("the start of content block {index} has no `content_block`"));
        };
        self.blocks.push(Growing { block, input: String::new(), open: true });
        Ok(())
    }

    fn delta(&mut self, data: &mut Map<String, Value>) -> Result<(), StreamFault> {
        let index = index(data, "content_block_delta")?;
        let growing = self.being_open(index, "a delta")?;
        let Some(Value::Object(mut delta)) = data.shift_remove("delta") else {
            return malformed(format!("a delta of content block {index} has no `delta`"));
        };
        let Some(Value::String(kind)) = delta.shift_remove("type") else {
            return malformed(format!("a delta of content block {index} has no `type`"));
        };
        let block = growing.block.get("type").and_then(Value::as_str).unwrap_or_default();
        // A block of a kind that is newer than this program may grow by any delta.
        let fits = match block {
            "text" => matches!(kind.as_str(), "text_delta" | "citations_delta"),
            "thinking" => matches!(kind.as_str(), "thinking_delta" | "signature_delta"),
            "tool_use" | "server_tool_use" => kind == "input_json_delta",
            "redacted_thinking" => false,
            _ => true,
        };
        let member = match kind.as_str() {
            "text_delta" => "text",
            "thinking_delta" => "thinking",
            "signature_delta" => "signature",
            "input_json_delta" => "partial_json",
            "citations_delta" => "citation",
            // Newer than this program: to be ignored, as unknown events are.
            _ => return Ok(()),
        };
        if !fits {
            return malformed(format!("content block {index} is a `{block}` block, and a `{kind}` came for it"));
        }
        let said = delta.shift_remove(member);
        match (kind.as_str(), said) {
            ("citations_delta", Some(citation @ Value::Object(_))) => match growing.block.entry("citations").or_insert(Value::Null) {
                Value::Array(citations) => citations.push(citation),
                absent => *absent = Value::Array(vec![citation]),
            },
            ("input_json_delta", Some(Value::String(piece))) => growing.input.push_str(&piece),
            // It replaces what was there (section 4).
            ("signature_delta", Some(signature @ Value::String(_))) => drop(growing.block.insert(member.to_owned(), signature)),
            ("text_delta" | "thinking_delta", Some(Value::String(piece))) => match growing.block.entry(member).or_insert(Value::Null) {
                Value::String(text) => text.push_str(&piece),
                absent => *absent = Value::String(piece),
            },
            _ => return malformed(format!("a `{kind}` of content block {index} has no `{member}`")),
        }
        Ok(())
    }

    fn close(&mut self, data: &Map<String, Value>) -> Result<(), StreamFault> {
        let index = index(data, "content_block_stop")?;
        let growing = self.being_open(index, "its end")?;
        growing.open = false;
        growing.parse_input();
        Ok(())
    }

    fn being_open(&mut self, index: usize, what: &str) -> Result<&mut Growing, StreamFault> {
        match self.blocks.get_mut(index) {
            Some(growing) if growing.open => Ok(growing),
            Some(_) => malformed(format!("{what} came for content block {index}, which had ended")),
            None => malformed(format!("{what} came for content block {index}, which never started")),
        }
    }

    fn end(&mut self, data: &mut Map<String, Value>) -> Result<(), StreamFault> {
        let message = self.message.as_mut().expect("whoever calls has seen `message_start`");
        if let Some(Value::Object(mut delta)) = data.shift_remove("delta") {
            for member in ["stop_reason", "stop_sequence", "stop_details"] {
                if let Some(value) = delta.shift_remove(member).filter(|value| !value.is_null()) {
                    message.insert(member.to_owned(), value);
                }
            }
        }
        // Cumulative, not additive: what is given holds, what is absent stays with the start.
        if let Some(Value::Object(counted)) = data.shift_remove("usage") {
            let usage = message.entry("usage").or_insert(Value::Null);
            if !usage.is_object() {
                *usage = Value::Object(Map::new());
            }
            let usage = usage.as_object_mut().expect("it was just made one");
            usage.extend(counted.into_iter().filter(|(_, value)| !value.is_null()));
        }
        Ok(())
    }

    fn finish(self) -> Result<Value, StreamFault> {
        if let Some(reason) = self.no_text {
            return Err(if self.stopped { StreamFault::NoText(reason) } else { StreamFault::Malformed(reason) });
        }
        let Some(mut message) = self.message else { return Err(StreamFault::Early("before `message_start`".to_owned())) };
        if !self.stopped {
            let blocks = self.blocks.len();
            return Err(StreamFault::Early(format!(
                "before `message_stop`, after {blocks} content block{}",
                if blocks == 1 { "" } else { "s" }
            )));
        }
        // A reply that was stopped from outside may stop in the middle of a block.
        let stopped_in_the_middle =
            matches!(message.get("stop_reason").and_then(Value::as_str), Some("max_tokens" | "model_context_window_exceeded" | "refusal"));
        let mut content = Vec::with_capacity(self.blocks.len());
        for (index, mut growing) in self.blocks.into_iter().enumerate() {
            if growing.open {
                if !stopped_in_the_middle {
                    return malformed(format!("`message_stop` came, and content block {index} had not ended"));
                }
                growing.parse_input();
            }
            if !growing.input.is_empty() {
                if !stopped_in_the_middle {
                    return malformed(format!("the input of content block {index} is no JSON"));
                }
                growing.block.insert("input".to_owned(), whole_members(&growing.input));
            }
            content.push(Value::Object(growing.block));
        }
        message.insert("content".to_owned(), Value::Array(content));
        Ok(Value::Object(message))
    }
}

impl Growing {
    /// Joined and parsed where the block ends; nothing at all means `{}`, which the start has said.
    fn parse_input(&mut self) {
        if self.input.trim_ascii().is_empty() {
            self.input.clear();
            if matches!(self.block.get("type").and_then(Value::as_str), Some("tool_use" | "server_tool_use")) {
                self.block.entry("input").or_insert_with(|| Value::Object(Map::new()));
            }
        } else if let Ok(input) = serde_json::from_str(&self.input) {
            self.input.clear();
            self.block.insert("input".to_owned(), input);
        }
    }
}

/// The events that count; all others, `ping` among them, say nothing about the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    MessageStart,
    BlockStart,
    BlockDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
    Error,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "message_start" => Self::MessageStart,
            "content_block_start" => Self::BlockStart,
            "content_block_delta" => Self::BlockDelta,
            "content_block_stop" => Self::BlockStop,
            "message_delta" => Self::MessageDelta,
            "message_stop" => Self::MessageStop,
            "error" => Self::Error,
            _ => return None,
        })
    }
}

fn index(data: &Map<String, Value>, event: &str) -> Result<usize, StreamFault> {
    let index = data.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
    index.ok_or_else(|| StreamFault::Malformed(format!("a `{event}` has no `index`")))
}

/// An `error` event: as an error body, or whatever words it has.
fn spoken(data: &str) -> ApiError {
    match parse(data) {
        Ok(Parsed::Error(error)) => error,
        Ok(Parsed::Message(_)) | Err(_) => ApiError { message: Some(data.to_owned()), ..ApiError::default() },
    }
}

fn malformed<T>(reason: impl Into<String>) -> Result<T, StreamFault> {
    Err(StreamFault::Malformed(reason.into()))
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
