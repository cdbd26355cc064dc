//! How does the Messages API spell a request, a reply and an error? (Wire reference, 1, 3.1.) Nothing here is shared with the simulator.
//!
//! A stream of events (section 4) is assembled to the same body ([`crate::endpoint::stream`]), and read by the same rules.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::endpoint::marks::{Blocks, Tools, Turns};
use crate::endpoint::secret::{Scrubber, excerpt};
use crate::model::prefix::{self, Marks};
use crate::model::reply::{RefusalDetails, StopReason, Usage};
use crate::model::request::{Block, Params, Request};

/// Longest excerpt of the JSON parser's words, in characters.
const LONGEST_WORDS: usize = 200;

/// The body of `POST /v1/messages`.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Blocks::is_empty")]
    system: Blocks<'a>,
    messages: Turns<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_geo: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

/// The bytes to send, with the marks for the provider's prompt cache; with `stream`, events are asked for.
pub(crate) fn body(request: &Request, marks: &Marks, stream: bool) -> Vec<u8> {
    let request = match marks {
        Marks::Off => prefix::without_marks(request),
        Marks::AsWritten | Marks::Planned(_) => Cow::Borrowed(request),
    };
    let marks = marks.shared();
    // Taken apart by name, so that a new parameter cannot be forgotten here.
    let Params {
        max_tokens,
        stop_sequences,
        temperature,
        top_p,
        top_k,
        tools,
        tool_choice,
        thinking,
        output_config,
        metadata,
        inference_geo,
        service_tier,
        speed,
    } = &request.params;
    let body = Body {
        model: &request.model,
        max_tokens: *max_tokens,
        system: Blocks::of_system(&request.system, marks),
        messages: Turns { turns: &request.turns, marks },
        stop_sequences: stop_sequences.as_deref(),
        temperature: temperature.as_ref(),
        top_p: top_p.as_ref(),
        top_k: top_k.as_ref(),
        tools: tools.as_deref().map(|tools| Tools { tools, marks }),
        tool_choice: tool_choice.as_ref(),
        thinking: thinking.as_ref(),
        output_config: output_config.as_ref(),
        metadata: metadata.as_ref(),
        inference_geo: inference_geo.as_deref(),
        service_tier: service_tier.as_deref(),
        speed: speed.as_deref(),
        stream,
    };
    serde_json::to_vec(&body).expect("strings, numbers and JSON values always serialise")
}

/// A body of a response, whichever it is. Unknown members are ignored, as the reference asks (1.7).
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: Option<String>,
    error: Option<ErrorDetail>,
    request_id: Option<String>,
    id: Option<String>,
    model: Option<String>,
    content: Option<Vec<Block>>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    stop_details: Option<StopDetails>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    error_code: Option<String>,
}

#[derive(Deserialize)]
struct StopDetails {
    category: Option<String>,
    explanation: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerToolUse>,
    service_tier: Option<String>,
    inference_geo: Option<String>,
    speed: Option<String>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ServerToolUse {
    web_search_requests: Option<u64>,
}

/// A whole message, checked: everything that a verdict or a bill needs is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `msg_...`.
    pub id: Option<String>,
    /// The model that answered.
    pub model: String,
    /// In order.
    pub content: Vec<Block>,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// The stop sequence that was hit.
    pub stop_sequence: Option<String>,
    /// Only with [`StopReason::Refusal`].
    pub refusal: Option<RefusalDetails>,
    /// Tokens by kind.
    pub usage: Usage,
}

impl Message {
    /// Takes keys out of everything that a server wrote. Whoever assembles a message, from a body or from a stream, calls this before
    /// anybody else sees it.
    pub(crate) fn scrub(&mut self, scrubber: &Scrubber) {
        // Taken apart without `..`, so that a new member cannot be forgotten here.
        let Self { id, model, content, stop_reason, stop_sequence, refusal, usage } = self;
        scrubber.content(content);
        scrubber.reply_text(model);
        if let StopReason::Other(other) = stop_reason {
            scrubber.reply_text(other);
        }
        let explained = refusal.iter_mut().flat_map(|refusal| [&mut refusal.category, &mut refusal.explanation]);
        let counted = [&mut usage.service_tier, &mut usage.inference_geo, &mut usage.speed];
        for text in explained.chain(counted).chain([id, stop_sequence]).flatten() {
            scrubber.reply_text(text);
        }
    }
}

/// What an error body says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiError {
    /// `error.type`.
    pub kind: Option<String>,
    /// `error.message`.
    pub message: Option<String>,
    /// `error.details.error_code`.
    pub code: Option<String>,
    /// `request_id`.
    pub request_id: Option<String>,
}

/// A body that could be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// A whole message.
    Message(Box<Message>),
    /// An error.
    Error(ApiError),
}

/// Half of a UTF-16 pair stands in a reply.
pub(super) const HALF_A_PAIR: &str = "holds half of a surrogate pair, which is no Unicode";

/// Whether [`parse`] gave this as the reason: it quotes nothing of the reply before these words.
pub(super) fn is_no_text(reason: &str) -> bool {
    reason.strip_prefix("a text of it ").is_some_and(|rest| rest.starts_with(HALF_A_PAIR))
}

/// Whether a parser says so of half of a UTF-16 pair.
pub(super) fn is_half_a_pair(words: &str) -> bool {
    words.contains("surrogate") || words.contains("hex escape")
}

/// Reads a body.
///
/// # Errors
/// Says in one clause what keeps it from being a message or an error.
pub fn parse(text: &str) -> Result<Parsed, String> {
    let envelope: Envelope = serde_json::from_str(text).map_err(|error| {
        let words = words(&error);
        match error.classify() {
            serde_json::error::Category::Eof => format!("the JSON ends too early ({words})"),
            // Half of a UTF-16 pair is no character: no file, no store and no terminal could hold the text as it came.
            serde_json::error::Category::Syntax if is_half_a_pair(&words) => {
                format!("a text of it {HALF_A_PAIR} ({words})")
            }
            serde_json::error::Category::Syntax if words.starts_with("recursion limit") => {
                format!("it is nested deeper than any reply ({words})")
            }
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => format!("it is no JSON ({words})"),
            serde_json::error::Category::Data => format!("it is JSON, and no Messages API body ({words})"),
        }
    })?;
    if envelope.kind.as_deref() == Some("error") || (envelope.error.is_some() && envelope.content.is_none()) {
        let error = envelope.error;
        return Ok(Parsed::Error(ApiError {
            kind: error.as_ref().and_then(|error| error.kind.clone()),
            message: error.as_ref().and_then(|error| error.message.clone()),
            code: error.and_then(|error| error.details).and_then(|details| details.error_code),
            request_id: envelope.request_id,
        }));
    }
    message(envelope).map(|message| Parsed::Message(Box::new(message)))
}

/// What the JSON parser says, which may quote a whole text of the body. Such a text is left out, not cut: half a key would be found by
/// nobody.
pub(super) fn words(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let quoted = words.find('"').zip(words.rfind('"')).filter(|_| words.chars().nth(LONGEST_WORDS).is_some());
    match quoted {
        Some((first, last)) if first < last => excerpt(&format!("{}\"…\"{}", &words[..first], &words[last + 1..]), LONGEST_WORDS),
        _ => excerpt(&words, LONGEST_WORDS),
    }
}

/// Reads a body that was put together from a stream.
///
/// # Errors
/// As [`parse`].
pub fn assembled(body: Value) -> Result<Box<Message>, String> {
    let envelope = serde_json::from_value(body).map_err(|error| format!("its events add up to no message ({})", words(&error)))?;
    message(envelope).map(Box::new)
}

fn message(envelope: Envelope) -> Result<Message, String> {
    if envelope.kind.as_deref() != Some("message") {
        return Err("it is JSON without `\"type\": \"message\"`".to_owned());
    }
    let missing = |member: &str| format!("the message has no `{member}`");
    let stop_reason = StopReason::from(envelope.stop_reason.ok_or_else(|| missing("stop_reason"))?);
    let refusal = (stop_reason == StopReason::Refusal).then(|| {
        envelope
            .stop_details
            .map_or_else(RefusalDetails::default, |details| RefusalDetails { category: details.category, explanation: details.explanation })
    });
    let content = envelope.content.ok_or_else(|| missing("content"))?;
    if let Some(wrong) = content.iter().find_map(incomplete) {
        return Err(wrong);
    }
    Ok(Message {
        id: envelope.id,
        model: envelope.model.ok_or_else(|| missing("model"))?,
        content: content.into_iter().map(plain).collect(),
        stop_reason,
        stop_sequence: envelope.stop_sequence,
        refusal,
        usage: usage(envelope.usage.ok_or_else(|| missing("usage"))?)?,
    })
}

/// A text block without citations: the API writes it in three ways, one of them in streams alone, which mean the same.
fn plain(mut block: Block) -> Block {
    let none = match block.0.get("citations") {
        Some(Value::Null) => true,
        Some(Value::Array(citations)) => citations.is_empty(),
        Some(_) | None => false,
    };
    if none && block.kind() == "text" {
        block.0.shift_remove("citations");
    }
    block
}

/// What a block lacks that is judged. Without this, a text of another type would count as no text at all, and pass for it.
fn incomplete(block: &Block) -> Option<String> {
    let is_text = |member: &str| block.0.get(member).is_some_and(Value::is_string);
    match block.kind() {
        "" => Some("a content block has no `type`".to_owned()),
        "text" if !is_text("text") => Some("a `text` block has no text".to_owned()),
        "tool_use" if !is_text("name") => Some("a `tool_use` block has no `name`".to_owned()),
        _ => None,
    }
}

fn usage(wire: WireUsage) -> Result<Usage, String> {
    let written = wire.cache_creation_input_tokens.unwrap_or(0);
    let (short, long) = match wire.cache_creation {
        Some(split) => {
            let long = split.ephemeral_1h_input_tokens.unwrap_or(0);
            let short = split.ephemeral_5m_input_tokens.unwrap_or(0);
            // `cache_creation_input_tokens = 5m + 1h` (1.7). What a split leaves unnamed was written with the default life.
            (short.max(written.saturating_sub(long)), long)
        }
        None => (written, 0),
    };
    Ok(Usage {
        input_tokens: wire.input_tokens.ok_or("the usage has no `input_tokens`, so the reply has no price")?,
        cache_write_5m_tokens: short,
        cache_write_1h_tokens: long,
        cache_read_tokens: wire.cache_read_input_tokens.unwrap_or(0),
        output_tokens: wire.output_tokens.ok_or("the usage has no `output_tokens`, so the reply has no price")?,
        thinking_tokens: wire.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or(0),
        web_searches: wire.server_tool_use.and_then(|tools| tools.web_search_requests).unwrap_or(0),
        service_tier: wire.service_tier,
        inference_geo: wire.inference_geo,
        speed: wire.speed,
    })
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
