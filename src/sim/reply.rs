//! From a chosen answer to the message that goes over the wire: what does it hold, why does it stop, what does it cost?

use std::collections::BTreeMap;
use std::fmt::Write;

use minijinja::Value as TemplateValue;
use serde::Serialize;
use serde_json::{Value, json};

use crate::template::metered;

use super::api_error::ApiError;
use super::caching::Split;
use super::matching::{Choice, Matcher};
use super::models::{Generation, Model};
use super::prompt::Prompt;
use super::script::{self, MessageAnswer, UsageOverrides};
use super::tokens;

/// A rendered text may not be longer than this.
const LONGEST_TEXT: usize = 16 << 20;
/// What a reply with visible thinking shows when the script says nothing.
const VISIBLE_THINKING: &str = "The simulator does not think.";

/// A reply, as `/v1/messages` sends it (docs/wire-reference.md 1.7).
#[derive(Debug, Clone, Serialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) r#type: &'static str,
    pub(super) role: &'static str,
    pub(super) model: String,
    pub(super) content: Vec<Part>,
    pub(super) stop_reason: Option<String>,
    pub(super) stop_sequence: Option<String>,
    pub(super) stop_details: Option<Value>,
    pub(super) container: Option<Value>,
    pub(super) diagnostics: Option<Value>,
    pub(super) usage: Usage,
}

/// A content block of a reply.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    Thinking {
        thinking: String,
        signature: String,
    },
    Text {
        text: String,
        citations: Option<Value>,
    },
    #[serde(untagged)]
    Verbatim(Value),
}

/// What a reply cost in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
    pub(super) input_tokens: u64,
    pub(super) cache_creation_input_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
    pub(super) cache_creation: CacheCreation,
    pub(super) output_tokens: u64,
    pub(super) output_tokens_details: OutputDetails,
    pub(super) server_tool_use: ServerToolUse,
    pub(super) service_tier: &'static str,
    pub(super) inference_geo: &'static str,
    pub(super) speed: &'static str,
}

/// Cache writes by how long they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct CacheCreation {
    pub(super) ephemeral_5m_input_tokens: u64,
    pub(super) ephemeral_1h_input_tokens: u64,
}

/// What of the output was thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct OutputDetails {
    pub(super) thinking_tokens: u64,
}

/// Server tools do not run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct ServerToolUse {
    pub(super) web_search_requests: u64,
    pub(super) web_fetch_requests: u64,
}

/// A valid request with all that a reply depends on.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) model: &'a Model,
    pub(super) model_id: &'a str,
    pub(super) body: &'a Value,
    pub(super) prompt: &'a Prompt,
    /// What the prompt cache makes of it, where something is marked.
    pub(super) split: Option<&'a Split>,
    /// Makes the ids of this reply its own.
    pub(super) number: u64,
}

/// How a request wants the model to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    No,
    Omitted,
    Summarized,
}

/// Builds the reply that a rule describes; a template that fails on this request is a 400 that names the rule.
pub(super) fn message(asked: &Asked<'_>, answer: &MessageAnswer, choice: &Choice<'_>, matcher: &Matcher) -> Result<Message, ApiError> {
    let mut builder = Builder::new(asked, answer.thinking.as_deref());
    for block in &answer.blocks {
        match block {
            script::Block::Text(script::Text::Literal(text)) => builder.text(text.clone()),
            script::Block::Text(script::Text::Template(name)) => builder.text(render(name, asked, choice, matcher)?),
            script::Block::Verbatim(block) => builder.verbatim(block.clone()),
        }
    }
    Ok(builder.finish(answer))
}

/// Takes blocks until one reaches a limit of the request.
struct Builder<'a> {
    asked: &'a Asked<'a>,
    stop_sequences: Vec<&'a str>,
    budget: u64,
    /// Bytes of text so far; rounded to tokens once.
    bytes: u64,
    thinking_tokens: u64,
    content: Vec<Part>,
    stopped: Option<(&'static str, Option<String>)>,
    calls_tools: bool,
}

impl<'a> Builder<'a> {
    fn new(asked: &'a Asked<'a>, thinking: Option<&str>) -> Self {
        let body = asked.body;
        let stop_sequences = body.get("stop_sequences").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let budget = body.get("max_tokens").and_then(Value::as_u64).unwrap_or(0);
        let mut builder =
            Self { asked, stop_sequences, budget, bytes: 0, thinking_tokens: 0, content: Vec::new(), stopped: None, calls_tools: false };
        // docs/wire-reference.md 6.5: `max_tokens: 0` writes the prompt cache and says nothing.
        if budget == 0 {
            builder.stopped = Some(("max_tokens", None));
            return builder;
        }
        let shown = shown(asked);
        if shown != Shown::No {
            builder.thinking_tokens = tokens::THINKING.min(budget);
            let text = if shown == Shown::Summarized { thinking.unwrap_or(VISIBLE_THINKING) } else { "" };
            builder.content.push(Part::Thinking { thinking: text.to_owned(), signature: signature(asked.number) });
            // Section 0, 5: a small `max_tokens` can end before any text.
            if builder.thinking_tokens >= budget {
                builder.stopped = Some(("max_tokens", None));
            }
        }
        builder
    }

    fn text(&mut self, mut text: String) {
        if self.stopped.is_some() || text.is_empty() {
            return;
        }
        let sequence =
            self.stop_sequences.iter().filter_map(|sequence| text.find(sequence).map(|at| (at, *sequence))).min_by_key(|(at, _)| *at);
        if let Some((at, sequence)) = sequence {
            text.truncate(at);
            self.stopped = Some(("stop_sequence", Some(sequence.to_owned())));
        }
        let room = tokens::bytes_within(self.budget - self.thinking_tokens, self.asked.model);
        let left = room.saturating_sub(usize::try_from(self.bytes).unwrap_or(usize::MAX));
        if text.len() > left {
            let mut end = left;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            self.stopped = Some(("max_tokens", None));
        }
        self.bytes += text.len() as u64;
        if !text.is_empty() {
            self.content.push(Part::Text { text, citations: None });
        }
    }

    fn verbatim(&mut self, mut block: Value) {
        if self.stopped.is_some() {
            return;
        }
        if block.get("type").and_then(Value::as_str) == Some("tool_use") {
            self.calls_tools = true;
            if block.get("id").is_none()
                && let Value::Object(fields) = &mut block
            {
                let id = format!("toolu_01SIM{:013}{:06}", self.asked.number, self.content.len());
                fields.insert("id".to_owned(), id.into());
            }
        }
        self.bytes += block.to_string().len() as u64;
        if tokens::of_bytes(self.bytes, self.asked.model) + self.thinking_tokens > self.budget {
            // A tool call that was cut has no complete input: what came is shown as the empty object (section 4).
            if let Some(input) = block.get_mut("input") {
                *input = json!({});
            }
            self.stopped = Some(("max_tokens", None));
        }
        self.content.push(Part::Verbatim(block));
    }

    fn finish(self, answer: &MessageAnswer) -> Message {
        let Self { asked, content, stopped, budget, bytes, thinking_tokens, calls_tools, .. } = self;
        let (mut stop_reason, stop_sequence) = stopped.unwrap_or((if calls_tools { "tool_use" } else { "end_turn" }, None));
        if stop_reason == "end_turn" || stop_reason == "tool_use" {
            stop_reason = answer.stop_reason.unwrap_or(stop_reason);
        }
        let mut stop_details = None;
        let mut content = content;
        let output = if stop_reason == "max_tokens" && answer.stop_reason.is_none() {
            budget
        } else {
            (tokens::of_bytes(bytes, asked.model) + thinking_tokens).min(budget)
        };
        let (mut output, mut thinking_tokens) = (output, thinking_tokens);
        if let Some(refusal) = &answer.refusal {
            stop_reason = "refusal";
            stop_details = Some(json!({"type": "refusal", "category": refusal.category, "explanation": refusal.explanation}));
            // A refusal before any output has no content at all, thinking included (section 8.1).
            if answer.blocks.is_empty() {
                (content, output, thinking_tokens) = (Vec::new(), 0, 0);
            }
        }
        Message {
            id: format!("msg_01SIM{:019}", asked.number),
            r#type: "message",
            role: "assistant",
            // The API names the dated model where its alias was asked for.
            model: if asked.model.id.is_empty() { asked.model_id } else { asked.model.id }.to_owned(),
            content,
            stop_reason: Some(stop_reason.to_owned()),
            stop_sequence: if stop_reason == "stop_sequence" { stop_sequence } else { None },
            stop_details,
            container: None,
            diagnostics: None,
            usage: usage(asked, output, thinking_tokens, &answer.usage),
        }
    }
}

fn usage(asked: &Asked<'_>, output: u64, thinking: u64, set: &UsageOverrides) -> Usage {
    let whole = asked.prompt.weight.tokens(asked.model);
    // A script that sets one of the cache's counts sets all of them: what it leaves out is 0.
    let (read, five_minutes, one_hour, rest) = match asked.split {
        Some(split) if !set.set_the_cache() => (split.read, split.written_5m, split.written_1h, whole - split.cached()),
        _ => {
            let scripted = [set.cache_read_input_tokens, set.ephemeral_5m_input_tokens, set.ephemeral_1h_input_tokens];
            let [read, five_minutes, one_hour] = scripted.map(Option::unwrap_or_default);
            (read, five_minutes, one_hour, whole)
        }
    };
    let text = |name: &str| asked.body.get(name).and_then(Value::as_str);
    Usage {
        input_tokens: set.input_tokens.unwrap_or(rest),
        // Section 1.7: the sum is always that of its parts.
        cache_creation_input_tokens: five_minutes + one_hour,
        cache_read_input_tokens: read,
        cache_creation: CacheCreation { ephemeral_5m_input_tokens: five_minutes, ephemeral_1h_input_tokens: one_hour },
        output_tokens: set.output_tokens.unwrap_or(output),
        output_tokens_details: OutputDetails { thinking_tokens: set.thinking_tokens.unwrap_or(thinking) },
        server_tool_use: ServerToolUse { web_search_requests: 0, web_fetch_requests: 0 },
        service_tier: "standard",
        inference_geo: if text("inference_geo") == Some("us") { "us" } else { "global" },
        speed: if text("speed") == Some("fast") { "fast" } else { "standard" },
    }
}

/// Whether this request makes the model think, and whether the reply shows it (section 1.5).
fn shown(asked: &Asked<'_>) -> Shown {
    let forced = asked
        .body
        .get("tool_choice")
        .and_then(|choice| choice.get("type"))
        .and_then(Value::as_str)
        .is_some_and(|kind| kind == "any" || kind == "tool");
    let thinking = asked.body.get("thinking").filter(|thinking| !thinking.is_null());
    let on = match thinking.and_then(|thinking| thinking.get("type")).and_then(Value::as_str) {
        Some("disabled" | "between_tools") => false,
        Some(_) => true,
        None => asked.model.thinking.on_by_default(),
    };
    // Section 1.4: a model that may be forced to a tool does not think then.
    if !on || forced {
        return Shown::No;
    }
    match thinking.and_then(|thinking| thinking.get("display")).and_then(Value::as_str) {
        Some("summarized") => Shown::Summarized,
        Some(_) => Shown::Omitted,
        None if asked.model.generation >= Generation::Four7 => Shown::Omitted,
        None => Shown::Summarized,
    }
}

/// An opaque text that looks like a signature and says what it is.
fn signature(number: u64) -> String {
    format!("EpromptkeelSimulated{number:016x}==")
}

/// Renders a template over this request.
fn render(name: &str, asked: &Asked<'_>, choice: &Choice<'_>, matcher: &Matcher) -> Result<String, ApiError> {
    let script = matcher.script();
    let rule = choice.rule.map(|index| &script.rules[index]);
    let failed = |cause: String| {
        let place = rule.map_or_else(|| "otherwise".to_owned(), |rule| format!("rule at line {}", rule.line));
        ApiError::new(400, format!("{}: the template of the {place} failed: {cause}", script.name))
    };
    let mut captures: BTreeMap<TemplateValue, TemplateValue> = BTreeMap::new();
    if let Some(regex) = rule.and_then(|rule| rule.when.regex.as_ref())
        && let Some(found) = regex.captures(asked.prompt.all())
    {
        for (index, name) in regex.capture_names().enumerate() {
            let text = TemplateValue::from(found.get(index).map_or("", |part| part.as_str()));
            captures.insert(TemplateValue::from(index), text.clone());
            captures.extend(name.map(|name| (TemplateValue::from(name), text)));
        }
    }
    let context = minijinja::context! {
        model => asked.model_id,
        prompt => asked.prompt.last_user(),
        system => asked.prompt.system(),
        call => choice.call,
        captures => TemplateValue::from(captures),
    };
    let text = metered::render(&script.templates, name, context).map_err(|error| {
        let mut words = error.kind().to_string();
        if let Some(detail) = error.detail() {
            let _ = write!(words, ": {detail}");
        }
        failed(words)
    })?;
    if text.len() > LONGEST_TEXT {
        return Err(failed(format!("its text is longer than {LONGEST_TEXT} bytes")));
    }
    Ok(text)
}

/// The message that a random fault breaks: no rule is asked for it.
pub(super) fn filler(asked: &Asked<'_>) -> Message {
    let mut builder = Builder::new(asked, None);
    builder.text("This answer never arrives: a random fault breaks it.".to_owned());
    builder.finish(&MessageAnswer::default())
}

/// What a request with `max_tokens: 0` gets that no rule foresees: it writes the prompt cache and asks for nothing else (section 6.5).
pub(super) fn nothing(asked: &Asked<'_>) -> Message {
    Builder::new(asked, None).finish(&MessageAnswer::default())
}
