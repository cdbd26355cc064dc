//! Is this a request that the real API would take?
//!
//! The first thing wrong is answered as the API answers it: status, type and, where docs/wire-reference.md documents them, the very words.

mod blocks;
mod cache;
mod fields;
mod matrix;
mod schema;
mod turns;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING};
use serde_json::{Map, Value};

use super::api_error::ApiError;
use super::models::{self, Model};
use fields::{At, choice, only, required_text, whole};

/// The API versions that are told apart (section 0.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Old,
    Of20261021,
}

/// All fields of `/v1/messages` (section 1.1).
const FIELDS: [&str; 20] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "stop_sequences",
    "stream",
    "metadata",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "diagnostics",
    "inference_geo",
    "service_tier",
    "speed",
    "container",
    "temperature",
    "top_p",
    "top_k",
];
/// Fields that only a beta header opens.
const BETA_FIELDS: [&str; 8] =
    ["context_management", "compaction", "mcp_servers", "fallbacks", "fallback_credit_token", "billing_policy", "thread", "output_format"];
/// All fields of `/v1/messages/count_tokens` (section 6.1).
const COUNT_FIELDS: [&str; 8] = ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"];

/// Authentication and version, which every path wants.
pub(super) fn headers(headers: &HeaderMap) -> Result<Version, ApiError> {
    // Both headers are in use (section 0.2); any key that is not empty is taken.
    let key = headers.get("x-api-key").is_some_and(|value| !value.as_bytes().trim_ascii().is_empty());
    let bearer = headers
        .get(AUTHORIZATION)
        .is_some_and(|value| value.as_bytes().strip_prefix(b"Bearer ").is_some_and(|token| !token.trim_ascii().is_empty()));
    if !key && !bearer {
        let words = if headers.contains_key(AUTHORIZATION) || headers.contains_key("x-api-key") {
            "invalid x-api-key"
        } else {
            "x-api-key or authorization header is required"
        };
        return Err(ApiError::new(401, words));
    }
    match headers.get("anthropic-version").map(|value| value.to_str().unwrap_or("")) {
        Some("2026-10-21") => Ok(Version::Of20261021),
        Some("2023-06-01" | "2023-01-01") => Ok(Version::Old),
        Some(other) => {
            Err(ApiError::at("anthropic-version", format!("\"{other}\" is not a valid version. Versions are 2026-10-21 and 2023-06-01.")))
        }
        None => Err(ApiError::at("anthropic-version", "header is required")),
    }
    .and_then(|version| match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Ok(version),
        Some(_) => {
            let mut error = ApiError::new(400, "The request body's content encoding is not supported");
            error.code = Some("request_body_encoding_unsupported".into());
            Err(error)
        }
    })
}

/// The body as JSON.
pub(super) fn json(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::new(400, format!("The request body is not valid JSON: {error}")))
}

/// A body of `/v1/messages`.
pub(super) fn message(body: &Value, version: Version, headers: &HeaderMap, own: &[String]) -> Result<Model, ApiError> {
    message_with(body, version, headers, own, |model| model.max_output)
}

/// `params` of a request in a batch (section 5).
pub(super) fn in_batch(body: &Value, version: Version, headers: &HeaderMap, own: &[String]) -> Result<Model, ApiError> {
    let is = |name: &str, value: &Value| body.get(name) == Some(value);
    let given = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    for (name, forbidden) in [
        ("stream", is("stream", &Value::Bool(true))),
        ("max_tokens", is("max_tokens", &0.into())),
        ("speed", given("speed")),
        ("fallbacks", given("fallbacks")),
        ("thread", given("thread")),
    ] {
        if forbidden {
            return Err(ApiError::at(name, "not supported in a batch"));
        }
    }
    // Section 2.1.
    let longer = headers
        .get_all("anthropic-beta")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .any(|name| name.trim() == "output-300k-2026-03-24");
    message_with(body, version, headers, own, |model| if longer { model.max_output_in_batches() } else { model.max_output })
}

fn message_with(
    body: &Value,
    version: Version,
    headers: &HeaderMap,
    own: &[String],
    max_output: impl Fn(&Model) -> u64,
) -> Result<Model, ApiError> {
    let body = object(body)?;
    let beta = headers.contains_key("anthropic-beta");
    // Removed by the new version: any value at all is one too many (section 0.1).
    let removed = |name: &str| version == Version::Of20261021 && ["temperature", "top_p", "top_k"].contains(&name);
    for name in body.keys() {
        let known = FIELDS.contains(&name.as_str()) && !removed(name);
        let opened = beta && BETA_FIELDS.contains(&name.as_str());
        if !known && !opened {
            return Err(ApiError::at(name, "Extra inputs are not permitted"));
        }
    }
    let model = known_model(body, own)?;
    let max_tokens =
        whole(body.get("max_tokens"), At::top("max_tokens"), 0)?.ok_or_else(|| ApiError::at("max_tokens", "Field required"))?;
    let max_output = max_output(&model);
    if max_tokens > max_output {
        let id = body.get("model").and_then(Value::as_str).unwrap_or_default();
        return Err(ApiError::at(
            "max_tokens",
            format!("{max_tokens} > {max_output}, which is the maximum allowed number of output tokens for {id}"),
        ));
    }
    optional_flag(body, "stream")?;
    stop_sequences(body)?;
    metadata(body)?;
    turns::check(body, version, &model)?;
    matrix::check(body, version, &model, beta, Some(max_tokens))?;
    cache::check(body)?;
    if max_tokens == 0 {
        no_output(body)?;
    }
    Ok(model)
}

/// A body of `/v1/messages/count_tokens`.
pub(super) fn count(body: &Value, version: Version, headers: &HeaderMap, own: &[String]) -> Result<Model, ApiError> {
    let body = object(body)?;
    let beta = headers.contains_key("anthropic-beta");
    for name in body.keys() {
        let opened = beta && BETA_FIELDS.contains(&name.as_str());
        if !COUNT_FIELDS.contains(&name.as_str()) && !opened {
            return Err(ApiError::at(name, "Extra inputs are not permitted"));
        }
    }
    let model = known_model(body, own)?;
    turns::check(body, version, &model)?;
    matrix::check(body, version, &model, beta, None)?;
    cache::check(body)?;
    Ok(model)
}

fn object(body: &Value) -> Result<&Map<String, Value>, ApiError> {
    body.as_object().ok_or_else(|| ApiError::new(400, "Input should be an object"))
}

fn known_model(body: &Map<String, Value>, own: &[String]) -> Result<Model, ApiError> {
    let id = required_text(body, "model", At::top("model"))?;
    if id.is_empty() {
        return Err(ApiError::at("model", "String should have at least 1 character"));
    }
    models::find(id, own).ok_or_else(|| ApiError::new(404, format!("model: {id}")))
}

fn optional_flag(body: &Map<String, Value>, name: &str) -> Result<(), ApiError> {
    match body.get(name) {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(_) => Err(ApiError::at(name, "Input should be a valid boolean")),
    }
}

fn stop_sequences(body: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(value) = body.get("stop_sequences").filter(|value| !value.is_null()) else { return Ok(()) };
    let at = At::top("stop_sequences");
    let list = value.as_array().ok_or_else(|| ApiError::at(at, "Input should be a valid list"))?;
    for (index, item) in list.iter().enumerate() {
        let text = item.as_str().ok_or_else(|| ApiError::at(at.index(index), "Input should be a valid string"))?;
        if text.trim().is_empty() {
            return Err(ApiError::at(at, "each stop sequence must contain non-whitespace"));
        }
    }
    Ok(())
}

fn metadata(body: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(value) = body.get("metadata").filter(|value| !value.is_null()) else { return Ok(()) };
    let at = At::top("metadata");
    let metadata = only(value, at, &["user_id"])?;
    match metadata.get("user_id") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(id)) if id.chars().count() <= 256 => Ok(()),
        Some(Value::String(_)) => Err(ApiError::at(at.key("user_id"), "String should have at most 256 characters")),
        Some(_) => Err(ApiError::at(at.key("user_id"), "Input should be a valid string")),
    }
}

/// What does not go with `max_tokens: 0` (section 6.5).
fn no_output(body: &Map<String, Value>) -> Result<(), ApiError> {
    let is = |name: &str, key: &str, values: &[&str]| {
        body.get(name).and_then(|value| value.get(key)).and_then(Value::as_str).is_some_and(|value| values.contains(&value))
    };
    let conflict = if body.get("stream") == Some(&Value::Bool(true)) {
        "stream"
    } else if is("thinking", "type", &["enabled"]) {
        "thinking.type.enabled"
    } else if body.get("output_config").and_then(|config| config.get("format")).is_some_and(|format| !format.is_null()) {
        "output_config.format"
    } else if is("tool_choice", "type", &["any", "tool"]) {
        "tool_choice"
    } else {
        return Ok(());
    };
    Err(ApiError::at("max_tokens", format!("0 is not supported together with {conflict}")))
}

/// An optional member with a fixed set of texts; null counts as absent.
fn optional_choice(body: &Map<String, Value>, name: &str, known: &[&str]) -> Result<(), ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(value) => choice(value, At::top(name), known).map(drop),
    }
}
