//! `system` and `messages`: do roles, order and contents hold (docs/wire-reference.md 1.3)?

use serde_json::{Map, Value};

use super::super::api_error::ApiError;
use super::super::models::{Generation, Model};
use super::Version;
use super::blocks;
use super::fields::{At, choice, list, only};

/// Section 1.1.
const MOST_MESSAGES: usize = 100_000;

pub(super) fn check(body: &Map<String, Value>, version: Version, model: &Model) -> Result<(), ApiError> {
    if let Some(system) = body.get("system").filter(|system| !system.is_null()) {
        system_prompt(system, version)?;
    }
    let at = At::top("messages");
    let turns = list(body.get("messages").ok_or_else(|| ApiError::at(at, "Field required"))?, at)?;
    if turns.is_empty() {
        return Err(ApiError::at(at, "at least one message is required"));
    }
    if turns.len() > MOST_MESSAGES {
        return Err(ApiError::at(at, format!("at most {MOST_MESSAGES} messages are allowed")));
    }
    let mut roles = Vec::with_capacity(turns.len());
    for (index, turn) in turns.iter().enumerate() {
        roles.push(self::turn(turn, at.index(index), version, index + 1 == turns.len())?);
    }
    if roles[0] == "assistant" {
        return Err(ApiError::at(at, "first message must use the \"user\" role"));
    }
    system_turns(turns, &roles, model)?;
    tool_results(turns, &roles)?;
    if roles.last() == Some(&"assistant") {
        prefill(body, turns, model)?;
    }
    Ok(())
}

fn system_prompt(system: &Value, version: Version) -> Result<(), ApiError> {
    let at = At::top("system");
    match system {
        Value::String(_) => Ok(()),
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                let place = at.index(index);
                let kind = part.get("type").ok_or_else(|| {
                    if part.is_object() {
                        ApiError::at(place.key("type"), "Field required")
                    } else {
                        ApiError::at(place, "Input should be an object")
                    }
                })?;
                choice(kind, place.key("type"), &["text"])?;
                blocks::check(part, place, "system", version)?;
            }
            Ok(())
        }
        _ => Err(ApiError::at(at, "Input should be a valid string or a list of text blocks")),
    }
}

fn turn<'v>(turn: &'v Value, at: At<'_>, version: Version, last: bool) -> Result<&'v str, ApiError> {
    let turn = only(turn, at, &["role", "content"])?;
    let role = choice(
        turn.get("role").ok_or_else(|| ApiError::at(at.key("role"), "Field required"))?,
        at.key("role"),
        &["user", "assistant", "system"],
    )?;
    let place = at.key("content");
    match turn.get("content").ok_or_else(|| ApiError::at(place, "Field required"))? {
        Value::String(text) if text.is_empty() && !(last && role == "assistant") => {
            Err(ApiError::at(at, format!("{role} messages must have non-empty content")))
        }
        Value::String(text) if text.trim().is_empty() && !text.is_empty() => {
            Err(ApiError::at("messages", "text content blocks must contain non-whitespace text"))
        }
        Value::String(_) => Ok(role),
        Value::Array(parts) if parts.is_empty() && !(last && role == "assistant") => {
            Err(ApiError::at(at, format!("{role} messages must have non-empty content")))
        }
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                blocks::check(part, place.index(index), role, version)?;
            }
            Ok(role)
        }
        _ => Err(ApiError::at(place, "Input should be a valid string or a list of content blocks")),
    }
}

/// `role: system` inside `messages`: not first, after a user turn, and last or before an assistant turn.
fn system_turns(turns: &[Value], roles: &[&str], model: &Model) -> Result<(), ApiError> {
    let at = At::top("messages");
    for (index, role) in roles.iter().enumerate() {
        if *role != "system" {
            continue;
        }
        if !model.system_turns {
            return Err(ApiError::at(at.index(index).key("role"), "role 'system' is not supported on this model"));
        }
        let after_server_tool = |turn: &Value| {
            turn.get("content")
                .and_then(Value::as_array)
                .and_then(|parts| parts.last())
                .and_then(|part| part.get("type"))
                .and_then(Value::as_str)
                .is_some_and(|kind| kind != "tool_result" && kind.ends_with("_tool_result"))
        };
        let follows = index
            .checked_sub(1)
            .is_some_and(|before| roles[before] == "user" || (roles[before] == "assistant" && after_server_tool(&turns[before])));
        let precedes = roles.get(index + 1).is_none_or(|next| *next == "assistant");
        if !follows || !precedes {
            return Err(ApiError::at(
                at.index(index),
                "a system message must follow a user message and be last or precede an assistant message",
            ));
        }
    }
    Ok(())
}

/// Every `tool_use` is answered in the next user turn, first thing.
fn tool_results(turns: &[Value], roles: &[&str]) -> Result<(), ApiError> {
    fn ids<'v>(turn: &'v Value, kind: &'v str, name: &'v str) -> impl Iterator<Item = &'v str> {
        turn.get("content")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(move |part| part.get("type").and_then(Value::as_str) == Some(kind))
            .filter_map(move |part| part.get(name).and_then(Value::as_str))
    }
    let at = At::top("messages");
    for (index, turn) in turns.iter().enumerate() {
        let asked: Vec<&str> = ids(turn, "tool_use", "id").collect();
        if !asked.is_empty() {
            let answered: Vec<&str> = match turns.get(index + 1) {
                Some(next) if roles[index + 1] == "user" => ids(next, "tool_result", "tool_use_id").collect(),
                _ => Vec::new(),
            };
            let missing: Vec<&str> = asked.iter().filter(|id| !answered.contains(id)).copied().collect();
            if !missing.is_empty() {
                return Err(ApiError::at(
                    at.index(index),
                    format!(
                        "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                        missing.join(", ")
                    ),
                ));
            }
        }
        let before: Vec<&str> = index.checked_sub(1).map(|before| ids(&turns[before], "tool_use", "id").collect()).unwrap_or_default();
        if let Some(stray) = ids(turn, "tool_result", "tool_use_id").find(|id| !before.contains(id)) {
            return Err(ApiError::at(
                at.index(index),
                format!(
                    "unexpected `tool_use_id` found in `tool_result` blocks: {stray}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                ),
            ));
        }
    }
    Ok(())
}

fn prefill(body: &Map<String, Value>, turns: &[Value], model: &Model) -> Result<(), ApiError> {
    if model.generation > Generation::Four5 {
        return Err(ApiError::new(
            400,
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    let thinks =
        body.get("thinking").and_then(|thinking| thinking.get("type")).and_then(Value::as_str).is_some_and(|kind| kind != "disabled");
    if thinks {
        return Err(ApiError::new(400, "Assistant message prefill is not supported when thinking is enabled."));
    }
    let content = turns.last().and_then(|turn| turn.get("content"));
    let text = match content {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(Value::Array(parts)) => parts.last().and_then(|part| part.get("text")).and_then(Value::as_str),
        _ => None,
    };
    if text.is_some_and(|text| text.ends_with(char::is_whitespace)) {
        return Err(ApiError::at("messages", "final assistant content cannot end with trailing whitespace"));
    }
    Ok(())
}
