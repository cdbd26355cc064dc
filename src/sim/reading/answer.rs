//! `then:` of a rule: what does it answer?

use std::time::Duration;

use minijinja::Environment;

use crate::template::bounds;

use super::super::api_error;
use super::super::fault::Fault;
use super::super::script::{Answer, Block, ErrorAnswer, MessageAnswer, Refusal, Text, Then, UsageOverrides};
use super::super::tree::{Node, Value};
use super::fields::{Fields, Problems, listed, nearest};

const THEN: [&str; 16] = [
    "text",
    "blocks",
    "thinking",
    "stop_reason",
    "refusal",
    "usage",
    "status",
    "error",
    "message",
    "code",
    "retry_after",
    "x_should_retry",
    "fault",
    "delay",
    "pace",
    "note",
];
const OF_A_MESSAGE: [&str; 6] = ["text", "blocks", "thinking", "stop_reason", "refusal", "usage"];
const OF_AN_ERROR: [&str; 5] = ["error", "message", "code", "retry_after", "x_should_retry"];
/// docs/wire-reference.md 1.7.
const STOP_REASONS: [&str; 6] = ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "model_context_window_exceeded"];
/// docs/wire-reference.md 1.7: `stop_details.category`.
const CATEGORIES: [&str; 5] = ["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"];
/// What a template may use.
const VARIABLES: [&str; 5] = ["model", "prompt", "system", "call", "captures"];

pub(super) fn then(node: &Node, templates: &mut Environment<'static>, problems: &mut Problems) -> Option<Then> {
    let fields = Fields::of(node, "`then`", &THEN, problems)?;
    let fault = fields.get("fault").and_then(|node| super::fault(node, problems));
    let answer = if fields.get("status").is_some() {
        conflict(&fields, "status", &OF_A_MESSAGE, problems);
        if let Some(node) = fields.get("fault") {
            problems.node(
                node,
                "`status` and `fault` do not go together",
                Some("an error response is an answer of its own: leave out one of them".to_owned()),
            );
        }
        Answer::Error(error(&fields, problems)?)
    } else {
        conflict(&fields, "no `status`", &OF_AN_ERROR, problems);
        let says = ["text", "blocks", "refusal", "fault"];
        if says.iter().all(|key| fields.get(key).is_none()) {
            problems.node(node, "`then` does not say what to answer", Some(format!("give one of {}, `status`", listed(&says))));
        }
        Answer::Message(Box::new(message(&fields, fault, templates, problems)))
    };
    Some(Then {
        answer,
        fault,
        delay: fields.duration("delay", problems).unwrap_or(Duration::ZERO),
        pace: fields.duration("pace", problems).unwrap_or(Duration::ZERO),
    })
}

fn conflict(fields: &Fields<'_>, with: &str, keys: &[&str], problems: &mut Problems) {
    for key in keys {
        if let Some(node) = fields.get(key) {
            let (message, hint) = if with == "status" {
                (format!("`{key}` does not go with `status`: an error response has no message"), "leave out one of them".to_owned())
            } else {
                (format!("`{key}` belongs to an error response"), "add `status`, for example `status: 429`".to_owned())
            };
            problems.node(node, message, Some(hint));
        }
    }
}

fn error(fields: &Fields<'_>, problems: &mut Problems) -> Option<ErrorAnswer> {
    let status = u16::try_from(fields.whole("status", 400, 599, problems)?).ok()?;
    let kind = fields.text("error", problems).unwrap_or_else(|| api_error::kind_of(status));
    let message = fields.text("message", problems).unwrap_or_else(|| api_error::words_of(status));
    Some(ErrorAnswer {
        status,
        kind: kind.to_owned(),
        message: message.to_owned(),
        code: fields.text("code", problems).map(str::to_owned),
        retry_after: fields.whole("retry_after", 0, 1_000_000, problems),
        should_retry: fields.flag("x_should_retry", problems),
    })
}

fn message(fields: &Fields<'_>, fault: Option<Fault>, templates: &mut Environment<'static>, problems: &mut Problems) -> MessageAnswer {
    let mut message = MessageAnswer::default();
    match (fields.get("text"), fields.get("blocks")) {
        (Some(_), Some(blocks)) => problems.node(
            blocks,
            "`text` and `blocks` do not go together",
            Some("write the text as a block: {type: text, text: ...}".to_owned()),
        ),
        (Some(node), None) => message.blocks.extend(template(node, "text", templates, problems).map(Block::Text)),
        (None, Some(_)) => {
            message.blocks.extend(fields.list("blocks", problems).iter().filter_map(|node| block(node, templates, problems)))
        }
        // A fault that breaks an answer needs one to break.
        (None, None) if fault.is_some() && fields.get("refusal").is_none() => {
            message.blocks.push(Block::Text(Text::Literal(FILLER.to_owned())))
        }
        (None, None) => {}
    }
    message.thinking = fields.text("thinking", problems).map(str::to_owned);
    message.stop_reason = choice(fields, "stop_reason", &STOP_REASONS, problems);
    message.refusal = fields.get("refusal").and_then(|node| refusal(node, problems));
    if let (Some(node), true) = (fields.get("stop_reason"), message.refusal.is_some()) {
        problems.node(node, "a refusal has its own stop reason", Some("leave out `stop_reason`".to_owned()));
    }
    message.usage = fields.get("usage").and_then(|node| usage(node, problems)).unwrap_or_default();
    message
}

/// What a faulty rule without a text of its own sends.
pub(in super::super) const FILLER: &str = "This answer is here to be broken: the script asks for a fault and gives no text of its own.";

fn choice(fields: &Fields<'_>, name: &str, known: &[&'static str], problems: &mut Problems) -> Option<&'static str> {
    let text = fields.text(name, problems)?;
    let found = known.iter().find(|candidate| **candidate == text).copied();
    if found.is_none() {
        let hint = nearest(text, known).map_or_else(|| format!("one of {}", listed(known)), |near| format!("did you mean `{near}`?"));
        problems.node(fields.get(name)?, format!("unknown {name} `{text}`"), Some(hint));
    }
    found
}

fn refusal(node: &Node, problems: &mut Problems) -> Option<Refusal> {
    if matches!(node.value, Value::Null) {
        return Some(Refusal { category: None, explanation: None });
    }
    let fields = Fields::of(node, "`refusal`", &["category", "explanation"], problems)?;
    let category = match fields.get("category").map(|node| &node.value) {
        None | Some(Value::Null) => None,
        Some(_) => choice(&fields, "category", &CATEGORIES, problems),
    };
    Some(Refusal { category, explanation: fields.text("explanation", problems).map(str::to_owned) })
}

fn usage(node: &Node, problems: &mut Problems) -> Option<UsageOverrides> {
    let names = [
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "ephemeral_5m_input_tokens",
        "ephemeral_1h_input_tokens",
        "thinking_tokens",
    ];
    let fields = Fields::of(node, "`usage`", &names, problems)?;
    let mut count = |name| fields.whole(name, 0, 1_000_000_000_000, problems);
    Some(UsageOverrides {
        input_tokens: count("input_tokens"),
        output_tokens: count("output_tokens"),
        cache_read_input_tokens: count("cache_read_input_tokens"),
        ephemeral_5m_input_tokens: count("ephemeral_5m_input_tokens"),
        ephemeral_1h_input_tokens: count("ephemeral_1h_input_tokens"),
        thinking_tokens: count("thinking_tokens"),
    })
}

fn block(node: &Node, templates: &mut Environment<'static>, problems: &mut Problems) -> Option<Block> {
    let Value::Map(entries) = &node.value else {
        problems.node(
            node,
            format!("a content block must be a mapping, not {}", node.kind()),
            Some("for example {type: text, text: Hello}".to_owned()),
        );
        return None;
    };
    let find = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
    match find("type").map(|node| &node.value) {
        Some(Value::Text(kind)) if kind == "text" && entries.len() == 2 => match find("text") {
            Some(text) => template(text, "text", templates, problems).map(Block::Text),
            None => {
                problems.node(node, "a text block needs `text`", None);
                None
            }
        },
        Some(Value::Text(kind)) if kind == "tool_use" && (find("name").is_none() || find("input").is_none()) => {
            problems.node(
                node,
                "a tool_use block needs `name` and `input`",
                Some("for example {type: tool_use, name: get_weather, input: {city: Bern}}".to_owned()),
            );
            None
        }
        Some(Value::Text(_)) => Some(Block::Verbatim(node.to_json())),
        _ => {
            problems.node(node, "a content block needs `type`", Some("for example {type: text, text: Hello}".to_owned()));
            None
        }
    }
}

/// Text that holds `{{`, `{%` or `{#` is a template, any other stands as it is.
fn template(node: &Node, name: &str, templates: &mut Environment<'static>, problems: &mut Problems) -> Option<Text> {
    let Value::Text(text) = &node.value else {
        problems.node(node, format!("`{name}` must be text, not {}", node.kind()), Some("put it in quotes".to_owned()));
        return None;
    };
    if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
        return Some(Text::Literal(text.clone()));
    }
    if let Some(refused) = bounds::refused(text, templates.syntax()) {
        let line = text[..refused.at].matches('\n').count() + 1;
        problems.node(
            node,
            format!("the template cannot be read: {} (its line {line})", refused.message),
            Some(refused.hint.unwrap_or_else(|| "build the text in several steps".to_owned())),
        );
        return None;
    }
    let key = format!("{}:{}", node.line, node.column);
    if let Err(error) = templates.add_template_owned(key.clone(), text.clone()) {
        let cause = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        problems.node(
            node,
            format!("the template is broken on its line {}: {cause}", error.line().unwrap_or(1)),
            Some("write {% raw %}...{% endraw %} around braces that are meant as they stand".to_owned()),
        );
        return None;
    }
    let compiled = templates.get_template(&key).ok()?;
    let mut unknown: Vec<String> = compiled
        .undeclared_variables(false)
        .into_iter()
        .filter(|variable| !VARIABLES.contains(&variable.as_str()) && !is_builtin(variable))
        .collect();
    unknown.sort();
    for variable in unknown {
        let hint = nearest(&variable, &VARIABLES)
            .map_or_else(|| format!("a template knows {}", listed(&VARIABLES)), |near| format!("did you mean `{near}`?"));
        problems.node(node, format!("the template uses `{variable}`, which nothing sets"), Some(hint));
    }
    Some(Text::Template(key))
}

/// Functions that every template has.
fn is_builtin(name: &str) -> bool {
    ["range", "dict", "namespace"].contains(&name)
}
