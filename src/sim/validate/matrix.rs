//! Parameters by model: which of them does this model take (docs/wire-reference.md 7.2 and 7.3)?

use serde_json::{Map, Value};

use super::super::api_error::ApiError;
use super::super::models::{Effort, Fast, Generation, Model, Thinking};
use super::Version;
use super::blocks::cache_control;
use super::fields::{At, choice, list, only, optional_bool, optional_text, required_text, whole};
use super::optional_choice;
use super::schema;

/// All effort levels.
const LEVELS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

pub(super) fn check(
    body: &Map<String, Value>,
    version: Version,
    model: &Model,
    beta: bool,
    max_tokens: Option<u64>,
) -> Result<(), ApiError> {
    if version == Version::Old {
        sampling(body, model)?;
    }
    optional_choice(body, "service_tier", &["auto", "standard_only"])?;
    optional_choice(body, "inference_geo", &["us", "global"])?;
    if model.generation == Generation::Four5 && !model.id.is_empty() && body.get("inference_geo").is_some_and(|geo| !geo.is_null()) {
        return Err(ApiError::at("inference_geo", "not supported on this model"));
    }
    optional_choice(body, "speed", &["standard", "fast"])?;
    let fast = match model.fast {
        Fast::Yes => true,
        Fast::WithBeta => beta,
        Fast::No => false,
    };
    if body.get("speed").and_then(Value::as_str) == Some("fast") && !fast {
        return Err(ApiError::at("speed", "'fast' is not supported on this model"));
    }
    cache_control(body.get("cache_control"), At::top("cache_control"))?;
    if let Some(diagnostics) = body.get("diagnostics").filter(|value| !value.is_null()) {
        optional_text(only(diagnostics, At::top("diagnostics"), &["previous_message_id"])?, "previous_message_id", At::top("diagnostics"))?;
    }
    if let Some(container) = body.get("container")
        && !(container.is_null() || container.is_string() || container.is_object())
    {
        return Err(ApiError::at("container", "Input should be a valid string or an object"));
    }
    let effort = output_config(body, model, beta)?;
    let thinking = thinking(body, model, max_tokens, effort)?;
    tools(body)?;
    tool_choice(body, model, thinking == Some("enabled"))
}

/// Sampling on the older version (7.3).
fn sampling(body: &Map<String, Value>, model: &Model) -> Result<(), ApiError> {
    let number = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) if number < 0.0 => Err(ApiError::at(name, "Input should be greater than or equal to 0")),
            Some(number) if number > 1.0 => Err(ApiError::at(name, "Input should be less than or equal to 1")),
            Some(number) => Ok(Some(number)),
            None => Err(ApiError::at(name, "Input should be a valid number")),
        },
    };
    let (temperature, top_p) = (number("temperature")?, number("top_p")?);
    let top_k = whole(body.get("top_k").filter(|value| !value.is_null()), At::top("top_k"), 0)?;
    if temperature.is_some() && top_p.is_some() {
        return Err(ApiError::new(400, "`temperature` and `top_p` cannot both be specified for this model. Please use only one."));
    }
    if model.generation == Generation::Four7 {
        for (name, value, only_value) in [("temperature", temperature, 1.0), ("top_p", top_p, 0.99)] {
            if value.is_some_and(|value| (value - only_value).abs() > f64::EPSILON) {
                return Err(ApiError::at(name, format!("only the default value {only_value} is supported on this model")));
            }
        }
        if top_k.is_some() {
            return Err(ApiError::at("top_k", "not supported on this model"));
        }
    }
    Ok(())
}

/// `output_config`; returns the effort that was asked for.
fn output_config<'v>(body: &'v Map<String, Value>, model: &Model, beta: bool) -> Result<Option<&'v str>, ApiError> {
    let Some(config) = body.get("output_config").filter(|value| !value.is_null()) else { return Ok(None) };
    let at = At::top("output_config");
    let known: &[&str] = if beta { &["effort", "format", "task_budget"] } else { &["effort", "format"] };
    let config = only(config, at, known)?;
    if let Some(format) = config.get("format").filter(|value| !value.is_null()) {
        let at = at.key("format");
        let format = only(format, at, &["type", "schema", "name"])?;
        choice(format.get("type").ok_or_else(|| ApiError::at(at.key("type"), "Field required"))?, at.key("type"), &["json_schema"])?;
        match format.get("schema") {
            Some(schema @ Value::Object(_)) => schema::check(schema)?,
            Some(_) => return Err(ApiError::at(at.key("schema"), "Input should be an object")),
            None => return Err(ApiError::at(at.key("schema"), "Field required")),
        }
    }
    let Some(effort) = config.get("effort").filter(|value| !value.is_null()) else { return Ok(None) };
    let effort = choice(effort, at.key("effort"), &LEVELS)?;
    if model.effort == Effort::None {
        return Err(ApiError::new(400, "This model does not support the effort parameter."));
    }
    if !model.effort.levels().contains(&effort) {
        return Err(ApiError::new(400, format!("output_config.effort '{effort}' is not supported on this model.")));
    }
    Ok(Some(effort))
}

/// `thinking`; returns its type.
fn thinking<'v>(
    body: &'v Map<String, Value>,
    model: &Model,
    max_tokens: Option<u64>,
    effort: Option<&str>,
) -> Result<Option<&'v str>, ApiError> {
    let Some(thinking) = body.get("thinking").filter(|value| !value.is_null()) else { return Ok(None) };
    let at = At::top("thinking");
    let object = thinking.as_object().ok_or_else(|| ApiError::at(at, "Input should be an object"))?;
    let kind = choice(
        object.get("type").ok_or_else(|| ApiError::at(at.key("type"), "Field required"))?,
        at.key("type"),
        &["adaptive", "enabled", "disabled", "between_tools"],
    )?;
    let known: &[&str] = match kind {
        "adaptive" => &["type", "display"],
        "enabled" => &["type", "budget_tokens", "display"],
        _ => &["type"],
    };
    let object = only(thinking, at, known)?;
    if let Some(display) = object.get("display").filter(|value| !value.is_null()) {
        choice(display, at.key("display"), &["summarized", "omitted"])?;
    }
    let high = effort.is_none_or(|effort| effort != "xhigh" && effort != "max");
    let unsupported = || ApiError::new(400, format!("\"thinking.type.{kind}\" is not supported for this model."));
    let own = model.id.is_empty();
    match kind {
        "adaptive" if model.thinking == Thinking::OffOrEnabled => {
            Err(ApiError::new(400, "adaptive thinking is not supported on this model"))
        }
        "enabled" => match model.thinking {
            Thinking::AlwaysOrBudget | Thinking::OffOrEither | Thinking::OffOrEnabled => {
                let place = at.key("budget_tokens");
                let budget = whole(object.get("budget_tokens"), place, 1024)?.ok_or_else(|| ApiError::at(place, "Field required"))?;
                if max_tokens.is_some_and(|max| budget >= max) {
                    return Err(ApiError::new(400, "`max_tokens` must be greater than `thinking.budget_tokens`."));
                }
                Ok(Some(kind))
            }
            Thinking::Always
            | Thinking::OnUnlessDisabledLow
            | Thinking::OnUnlessDisabled
            | Thinking::OnOrBetweenTools
            | Thinking::OffOrAdaptive => Err(ApiError::new(
                400,
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior.",
            )),
        },
        "disabled" => match model.thinking {
            Thinking::Always | Thinking::AlwaysOrBudget | Thinking::OnOrBetweenTools => Err(unsupported()),
            Thinking::OnUnlessDisabledLow if !high => Err(ApiError::new(
                400,
                format!(
                    "output_config.effort '{}' is not supported when thinking is disabled on this model. Use effort 'high' or below, or enable thinking.",
                    effort.unwrap_or_default()
                ),
            )),
            Thinking::OnUnlessDisabledLow
            | Thinking::OnUnlessDisabled
            | Thinking::OffOrAdaptive
            | Thinking::OffOrEither
            | Thinking::OffOrEnabled => Ok(Some(kind)),
        },
        "between_tools" if !own && (model.thinking != Thinking::OnOrBetweenTools || !high) => Err(unsupported()),
        _ => Ok(Some(kind)),
    }
}

fn tools(body: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(tools) = body.get("tools").filter(|value| !value.is_null()) else { return Ok(()) };
    let at = At::top("tools");
    let mut names: Vec<&str> = Vec::new();
    for (index, tool) in list(tools, at)?.iter().enumerate() {
        let at = at.index(index);
        let object = tool.as_object().ok_or_else(|| ApiError::at(at, "Input should be an object"))?;
        match object.get("type") {
            None | Some(Value::Null) => {}
            Some(Value::String(kind)) if kind == "custom" => {}
            // The API's own tools have their own fields; their type carries a date.
            Some(Value::String(kind))
                if kind.rsplit_once('_').is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())) =>
            {
                continue;
            }
            Some(_) => return Err(ApiError::at(at.key("type"), "does not match any of the expected tags")),
        }
        let known = [
            "name",
            "description",
            "input_schema",
            "type",
            "strict",
            "cache_control",
            "defer_loading",
            "eager_input_streaming",
            "input_examples",
            "allowed_callers",
        ];
        let object = only(tool, at, &known)?;
        let name = required_text(object, "name", at.key("name"))?;
        if name.is_empty() || name.len() > 128 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Err(ApiError::at(at.key("name"), "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"));
        }
        if names.contains(&name) {
            return Err(ApiError::at("tools", "Tool names must be unique."));
        }
        names.push(name);
        optional_text(object, "description", at)?;
        optional_bool(object, "strict", at)?;
        cache_control(object.get("cache_control"), at.key("cache_control"))?;
        match object.get("input_schema") {
            Some(schema @ Value::Object(_)) if schema.get("type").and_then(Value::as_str) == Some("object") => {}
            Some(Value::Object(_)) => return Err(ApiError::at(at.key("input_schema").key("type"), "Input should be 'object'")),
            Some(_) => return Err(ApiError::at(at.key("input_schema"), "Input should be an object")),
            None => return Err(ApiError::at(at.key("input_schema"), "Field required")),
        }
    }
    Ok(())
}

fn tool_choice(body: &Map<String, Value>, model: &Model, budget_thinking: bool) -> Result<(), ApiError> {
    let Some(value) = body.get("tool_choice").filter(|value| !value.is_null()) else { return Ok(()) };
    let at = At::top("tool_choice");
    let object = value.as_object().ok_or_else(|| ApiError::at(at, "Input should be an object"))?;
    let kind = choice(
        object.get("type").ok_or_else(|| ApiError::at(at.key("type"), "Field required"))?,
        at.key("type"),
        &["auto", "any", "tool", "none"],
    )?;
    let known: &[&str] = match kind {
        "tool" => &["type", "name", "disable_parallel_tool_use"],
        "none" => &["type"],
        _ => &["type", "disable_parallel_tool_use"],
    };
    let object = only(value, at, known)?;
    optional_bool(object, "disable_parallel_tool_use", at)?;
    if kind == "auto" || kind == "none" {
        return Ok(());
    }
    if !model.forced_tools {
        return Err(ApiError::new(400, "tool_choice: type \"tool\" and \"any\" are not supported for this model."));
    }
    if budget_thinking {
        return Err(ApiError::new(400, "Thinking may not be enabled when tool_choice forces tool use."));
    }
    let tools = body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if tools.is_empty() {
        return Err(ApiError::at(at, "may only be specified while providing tools"));
    }
    if kind == "tool" {
        let name = required_text(object, "name", at.key("name"))?;
        if !tools.iter().any(|tool| tool.get("name").and_then(Value::as_str) == Some(name)) {
            return Err(ApiError::at(at, format!("Tool '{name}' not found in provided tools")));
        }
    }
    Ok(())
}
