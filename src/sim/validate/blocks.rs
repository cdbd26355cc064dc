//! Content blocks of a request: is each whole, and may it stand where it stands (docs/wire-reference.md 1.2)?

use serde_json::Value;

use super::super::api_error::ApiError;
use super::Version;
use super::fields::{At, choice, list, only, optional_bool, optional_text, required_text};

/// Blocks of tools that run on the server; only their type is looked at.
const SERVER_TOOLS: [&str; 8] = [
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "container_upload",
];

/// Checks one block in a turn of `role` (`system` for the system prompt).
pub(super) fn check(block: &Value, at: At<'_>, role: &str, version: Version) -> Result<(), ApiError> {
    let object = block.as_object().ok_or_else(|| ApiError::at(at, "Input should be an object"))?;
    let kind = match object.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(_) => return Err(ApiError::at(at.key("type"), "Input should be a valid string")),
        None => return Err(ApiError::at(at.key("type"), "Field required")),
    };
    let here = |roles: &[&str]| {
        if roles.contains(&role) { Ok(()) } else { Err(ApiError::at(at, format!("`{kind}` blocks are not permitted in {role} messages"))) }
    };
    match kind {
        "text" => text(block, at, role, version),
        "image" => {
            here(&["user"])?;
            let block = only(block, at, &["type", "source", "cache_control", "transformations"])?;
            cache_control(block.get("cache_control"), at.key("cache_control"))?;
            image_source(block.get("source"), at.key("source"))
        }
        "document" => {
            // Section 0.1: directly in an assistant turn no longer.
            if version == Version::Of20261021 {
                here(&["user"])?;
            } else {
                here(&["user", "assistant"])?;
            }
            let block = only(block, at, &["type", "source", "title", "context", "citations", "cache_control"])?;
            optional_text(block, "title", at)?;
            optional_text(block, "context", at)?;
            cache_control(block.get("cache_control"), at.key("cache_control"))?;
            if let Some(citations) = block.get("citations").filter(|citations| !citations.is_null()) {
                optional_bool(only(citations, at.key("citations"), &["enabled"])?, "enabled", at.key("citations"))?;
            }
            document_source(block.get("source"), at.key("source"))
        }
        "search_result" => {
            here(&["user"])?;
            let block = only(block, at, &["type", "source", "title", "content", "citations", "cache_control"])?;
            required_text(block, "source", at.key("source"))?;
            required_text(block, "title", at.key("title"))?;
            let place = at.key("content");
            for (index, part) in list(block.get("content").ok_or_else(|| ApiError::at(place, "Field required"))?, place)?.iter().enumerate()
            {
                text(part, place.index(index), "user", version)?;
            }
            cache_control(block.get("cache_control"), at.key("cache_control"))
        }
        "thinking" => {
            here(&["assistant"])?;
            let block = only(block, at, &["type", "thinking", "signature"])?;
            required_text(block, "thinking", at.key("thinking"))?;
            required_text(block, "signature", at.key("signature")).map(drop)
        }
        "redacted_thinking" => {
            here(&["assistant"])?;
            required_text(only(block, at, &["type", "data"])?, "data", at.key("data")).map(drop)
        }
        "tool_use" => {
            here(&["assistant"])?;
            let block = only(block, at, &["type", "id", "name", "input", "caller", "toolset_name", "cache_control"])?;
            let id = required_text(block, "id", at.key("id"))?;
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
                return Err(ApiError::at(at.key("id"), "String should match pattern '^[a-zA-Z0-9_-]+$'"));
            }
            required_text(block, "name", at.key("name"))?;
            match block.get("input") {
                Some(Value::Object(_)) => Ok(()),
                Some(_) => Err(ApiError::at(at.key("input"), "Input should be an object")),
                None => Err(ApiError::at(at.key("input"), "Field required")),
            }
        }
        "tool_result" => tool_result(block, at, role, version),
        _ if SERVER_TOOLS.contains(&kind) => Ok(()),
        _ => Err(ApiError::at(at, format!("Input tag '{kind}' found using 'type' does not match any of the expected tags"))),
    }
}

fn text(block: &Value, at: At<'_>, role: &str, version: Version) -> Result<(), ApiError> {
    let block = only(block, at, &["type", "text", "citations", "cache_control"])?;
    let words = required_text(block, "text", at.key("text"))?;
    if words.is_empty() {
        return Err(ApiError::at("messages", "text content blocks must be non-empty"));
    }
    if words.trim().is_empty() {
        return Err(ApiError::at("messages", "text content blocks must contain non-whitespace text"));
    }
    match block.get("citations") {
        None | Some(Value::Null) => {}
        Some(Value::Array(citations)) if citations.is_empty() || role == "assistant" || version == Version::Old => {}
        Some(Value::Array(_)) => {
            return Err(ApiError::at(at.key("citations"), "citations are not permitted on text blocks in user messages"));
        }
        Some(_) => return Err(ApiError::at(at.key("citations"), "Input should be a valid list")),
    }
    cache_control(block.get("cache_control"), at.key("cache_control"))
}

fn tool_result(block: &Value, at: At<'_>, role: &str, version: Version) -> Result<(), ApiError> {
    if role != "user" {
        return Err(ApiError::at(at, format!("`tool_result` blocks are not permitted in {role} messages")));
    }
    let block = only(block, at, &["type", "tool_use_id", "content", "is_error", "toolset_name", "cache_control"])?;
    required_text(block, "tool_use_id", at.key("tool_use_id"))?;
    optional_bool(block, "is_error", at)?;
    let place = at.key("content");
    match block.get("content") {
        None | Some(Value::Null | Value::String(_)) => {}
        Some(Value::Array(parts)) => {
            for (index, part) in parts.iter().enumerate() {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                match kind {
                    "tool_reference" | "browser_state" => {}
                    // A result that holds results would nest without end.
                    "text" | "image" | "search_result" | "document" => check(part, place.index(index), "user", version)?,
                    _ => {
                        return Err(ApiError::at(
                            place.index(index),
                            format!("Input tag '{kind}' found using 'type' does not match any of the expected tags"),
                        ));
                    }
                }
            }
        }
        Some(_) => return Err(ApiError::at(place, "Input should be a valid string or a list of content blocks")),
    }
    cache_control(block.get("cache_control"), at.key("cache_control"))
}

fn image_source(source: Option<&Value>, at: At<'_>) -> Result<(), ApiError> {
    let source = source.ok_or_else(|| ApiError::at(at, "Field required"))?;
    match source.get("type").and_then(Value::as_str) {
        Some("base64") => {
            let source = only(source, at, &["type", "media_type", "data"])?;
            let place = at.key("media_type");
            choice(
                source.get("media_type").ok_or_else(|| ApiError::at(place, "Field required"))?,
                place,
                &["image/jpeg", "image/png", "image/gif", "image/webp"],
            )?;
            base64(required_text(source, "data", at.key("data"))?, at.key("data"))
        }
        _ => by_reference(source, at, "'base64', 'url' or 'file'"),
    }
}

fn document_source(source: Option<&Value>, at: At<'_>) -> Result<(), ApiError> {
    let source = source.ok_or_else(|| ApiError::at(at, "Field required"))?;
    match source.get("type").and_then(Value::as_str) {
        Some("base64") => {
            let source = only(source, at, &["type", "media_type", "data"])?;
            let place = at.key("media_type");
            choice(source.get("media_type").ok_or_else(|| ApiError::at(place, "Field required"))?, place, &["application/pdf"])?;
            base64(required_text(source, "data", at.key("data"))?, at.key("data"))
        }
        Some("text") => {
            let source = only(source, at, &["type", "media_type", "data"])?;
            let place = at.key("media_type");
            choice(source.get("media_type").ok_or_else(|| ApiError::at(place, "Field required"))?, place, &["text/plain"])?;
            required_text(source, "data", at.key("data")).map(drop)
        }
        Some("content") => match only(source, at, &["type", "content"])?.get("content") {
            Some(Value::String(_) | Value::Array(_)) => Ok(()),
            Some(_) => Err(ApiError::at(at.key("content"), "Input should be a valid string or a list of content blocks")),
            None => Err(ApiError::at(at.key("content"), "Field required")),
        },
        _ => by_reference(source, at, "'base64', 'text', 'content', 'url' or 'file'"),
    }
}

fn by_reference(source: &Value, at: At<'_>, known: &str) -> Result<(), ApiError> {
    match source.get("type").and_then(Value::as_str) {
        Some("url") => required_text(only(source, at, &["type", "url"])?, "url", at.key("url")).map(drop),
        Some("file") => required_text(only(source, at, &["type", "file_id"])?, "file_id", at.key("file_id")).map(drop),
        Some(_) => Err(ApiError::at(at.key("type"), format!("Input should be {known}"))),
        None if source.is_object() => Err(ApiError::at(at.key("type"), "Field required")),
        None => Err(ApiError::at(at, "Input should be an object")),
    }
}

fn base64(data: &str, at: At<'_>) -> Result<(), ApiError> {
    let digits = data.trim_end_matches('=');
    let whole = !data.is_empty() && data.len().is_multiple_of(4) && data.len() - digits.len() <= 2;
    if whole && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/') {
        Ok(())
    } else {
        Err(ApiError::at(at, "Input should be valid base64"))
    }
}

/// `{type: ephemeral, ttl?: 5m | 1h}` or nothing.
pub(super) fn cache_control(value: Option<&Value>, at: At<'_>) -> Result<(), ApiError> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(()) };
    let mark = only(value, at, &["type", "ttl"])?;
    choice(mark.get("type").ok_or_else(|| ApiError::at(at.key("type"), "Field required"))?, at.key("type"), &["ephemeral"])?;
    match mark.get("ttl") {
        None | Some(Value::Null) => Ok(()),
        Some(ttl) => choice(ttl, at.key("ttl"), &["5m", "1h"]).map(drop),
    }
}
