//! `/v1/models`: what does the list say, and what one model?

use serde_json::{Value, json};

use super::super::api_error::ApiError;
use super::super::batches::Paging;
use super::super::models::{self, Effort, Generation, MODELS, Model, Thinking};

/// The list, paged as the query asks (docs/wire-reference.md 6.2).
pub(super) fn models(query: &str, own: &[String]) -> Result<Value, ApiError> {
    let mut lifecycles = Vec::new();
    let paging = Paging::read(query, |name, value| {
        let known = ["lifecycle", "lifecycle%5B%5D", "lifecycle[]"].contains(&name);
        lifecycles.extend(value.split(',').filter(|_| known));
        known
    })?;
    if let Some(unknown) = lifecycles.iter().find(|name| !["active", "deprecated", "retired"].contains(name)) {
        return Err(ApiError::at("lifecycle", format!("Input should be 'active', 'deprecated' or 'retired', not '{unknown}'")));
    }
    if lifecycles.is_empty() {
        lifecycles = vec!["active", "deprecated"];
    }
    let known = MODELS.iter().filter(|model| lifecycles.contains(&model.lifecycle)).map(|model| (model.id, describe(model, model.id)));
    // A model of the script has no history: it is active.
    let added =
        own.iter().filter(|_| lifecycles.contains(&"active")).filter_map(|id| Some((id.as_str(), describe(&models::find(id, own)?, id))));
    let all: Vec<(&str, Value)> = known.chain(added).collect();
    let ids: Vec<&str> = all.iter().map(|(id, _)| *id).collect();
    let (page, has_more) = paging.page(&ids)?;
    let page = &all[page];
    Ok(json!({
        "data": page.iter().map(|(_, model)| model).collect::<Vec<_>>(),
        "has_more": has_more,
        "first_id": page.first().map(|(id, _)| id),
        "last_id": page.last().map(|(id, _)| id),
    }))
}

/// One model by its id or alias.
pub(super) fn model(id: &str, own: &[String]) -> Result<Value, ApiError> {
    let model = models::find(id, own).ok_or_else(|| ApiError::new(404, format!("model: {id}")))?;
    Ok(describe(&model, if model.id.is_empty() { id } else { model.id }))
}

fn describe(model: &Model, id: &str) -> Value {
    let yes = |supported: bool| json!({"supported": supported});
    let levels = model.effort.levels();
    let level = |name: &str| yes(levels.contains(&name));
    let (adaptive, enabled, disabled, between_tools) = match model.thinking {
        Thinking::Always => (true, false, false, false),
        Thinking::AlwaysOrBudget => (true, true, false, false),
        Thinking::OnUnlessDisabledLow | Thinking::OnUnlessDisabled | Thinking::OffOrAdaptive => (true, false, true, false),
        Thinking::OnOrBetweenTools => (true, false, false, true),
        Thinking::OffOrEither => (true, true, true, false),
        Thinking::OffOrEnabled => (false, true, true, false),
    };
    let own = model.id.is_empty();
    json!({
        "type": "model",
        "id": id,
        "display_name": if own { id } else { model.name },
        "created_at": format!("{}T00:00:00Z", model.created),
        "lifecycle": model.lifecycle,
        "deprecated_at": null,
        "retires_at": null,
        "line": if own { None } else { Some(model.line) },
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": {
            "batch": yes(true),
            "citations": yes(true),
            "code_execution": yes(false),
            "image_input": yes(true),
            "pdf_input": yes(true),
            "structured_outputs": yes(true),
            "effort": {
                "supported": model.effort != Effort::None,
                "low": level("low"),
                "medium": level("medium"),
                "high": level("high"),
                "max": level("max"),
                "xhigh": if model.generation >= Generation::Four7 { level("xhigh") } else { Value::Null },
            },
            "thinking": {
                "supported": true,
                "types": {"adaptive": yes(adaptive), "enabled": yes(enabled), "disabled": yes(disabled), "between_tools": yes(between_tools)},
            },
            "context_management": {"supported": false},
            "server_tools": {"supported": false, "code_execution": yes(false), "web_search": yes(false)},
        },
    })
}
