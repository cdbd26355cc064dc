//! Which parameters is a model documented to reject? Found here, a mistake costs nothing; found by the API, it costs a run.
//!
//! Only what is documented (wire reference, sections 0.1, 1.1 to 1.6, 7.2, 7.3): what may be right is left to the API. Of a model that
//! the catalog does not know, only the rules that hold for every model are checked.

use chrono::NaiveDate;
use serde_json::{Map, Number, Value};

use crate::model::catalog::{Catalog, ModelEntry, Sampling};
use crate::model::output_format;
use crate::model::request::{Params, Role, Turn};

/// A parameter that would come back as a 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its path from the request: `temperature`, `output_config.effort`; `messages` for the turns.
    pub parameter: String,
    /// What is wrong with it, lower case, no full stop.
    pub message: String,
    /// What to do instead.
    pub hint: Option<String>,
}

/// The first version without sampling parameters, and with stricter content (wire reference, section 0.1).
const WITHOUT_SAMPLING: (i32, u32, u32) = (2026, 10, 21);

/// Raises the limit of `max_tokens` in batches (wire reference, section 2.1).
const LONG_BATCH_BETA: &str = "output-300k-2026-03-24";

/// Everything that is known to be rejected about these parameters, in the order of [`Params`]; empty where nothing is.
///
/// `beta` are the endpoint's beta headers; `ends_with_assistant` says that the last turn is the assistant's (a prefill).
#[must_use]
pub fn rejected(
    catalog: &Catalog,
    model: &str,
    api_version: &str,
    beta: &[String],
    params: &Params,
    ends_with_assistant: bool,
) -> Vec<Rejection> {
    let entry = catalog.find(model);
    let mut check = Check { catalog, model, entry, beta, params, found: Vec::new() };
    check.max_tokens();
    check.stop_sequences();
    check.sampling(api_version);
    check.tools();
    check.tool_choice();
    check.thinking();
    check.output_config();
    check.metadata();
    check.places();
    check.speed();
    if ends_with_assistant {
        check.prefill();
    }
    check.found
}

/// Everything that is known to be rejected about rendered turns on that API version (wire reference, section 0.1).
#[must_use]
pub fn rejected_turns(api_version: &str, turns: &[Turn]) -> Vec<Rejection> {
    let mut found = Vec::new();
    if !is_without_sampling(api_version) {
        return found;
    }
    for (position, turn) in turns.iter().enumerate() {
        let mut reject = |message: String, hint: &str| {
            found.push(Rejection { parameter: format!("messages[{position}]"), message, hint: Some(hint.to_owned()) });
        };
        match turn.role {
            Role::Assistant if turn.content.iter().any(|block| block.kind() == "document") => reject(
                format!("API version {api_version} takes no `document` block in an assistant turn"),
                "move it into a user turn or a tool result",
            ),
            Role::User if turn.content.iter().any(|block| is_cited_text(&block.0)) => reject(
                format!("API version {api_version} takes no text with `citations` in a user turn"),
                "leave `citations` out of the text block, or give the source as a `document` block",
            ),
            Role::Assistant | Role::User => {}
        }
    }
    found
}

/// A text block with a non-empty `citations` list, itself or inside a search result.
fn is_cited_text(block: &Map<String, Value>) -> bool {
    let list = |name: &str| block.get(name).and_then(Value::as_array);
    match block.get("type").and_then(Value::as_str) {
        Some("text") => list("citations").is_some_and(|citations| !citations.is_empty()),
        Some("search_result") => list("content").is_some_and(|inner| inner.iter().filter_map(Value::as_object).any(is_cited_text)),
        _ => false,
    }
}

/// Versions are days; one that is not written as a day is some other server's and has no rules here.
fn is_without_sampling(api_version: &str) -> bool {
    let (year, month, day) = WITHOUT_SAMPLING;
    let removed = NaiveDate::from_ymd_opt(year, month, day).expect("21 October 2026 is a day");
    api_version.parse::<NaiveDate>().is_ok_and(|version| version >= removed)
}

/// One request's parameters and what was found about them so far.
struct Check<'a> {
    catalog: &'a Catalog,
    model: &'a str,
    entry: Option<&'a ModelEntry>,
    beta: &'a [String],
    params: &'a Params,
    found: Vec<Rejection>,
}

impl<'a> Check<'a> {
    fn reject(&mut self, parameter: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Rejection { parameter: parameter.to_owned(), message: message.into(), hint: Some(hint.into()) });
    }

    /// At most four models to choose instead, newest first: of the same family if any of it will do.
    fn models_that(&self, accept: impl Fn(&ModelEntry) -> bool) -> String {
        let family = |id: &str| id.split('-').nth(1).map(str::to_owned);
        let is_offered = |entry: &&ModelEntry| accept(entry) && entry.status.starts_with("active") && !entry.status.contains("limited");
        let offered: Vec<&ModelEntry> = self.catalog.models().iter().filter(is_offered).collect();
        let own = self.entry.and_then(|entry| family(&entry.id));
        let related: Vec<&ModelEntry> = offered.iter().copied().filter(|entry| family(&entry.id) == own).collect();
        let chosen = if related.is_empty() { offered } else { related };
        let name = |entry: &&ModelEntry| format!("`{}`", entry.aliases.first().unwrap_or(&entry.id));
        chosen.iter().take(4).map(name).collect::<Vec<_>>().join(", ")
    }

    fn max_tokens(&mut self) {
        let Some(asked) = self.params.max_tokens else { return };
        if let Some(entry) = self.entry {
            let in_batches = self.beta.iter().any(|beta| beta == LONG_BATCH_BETA);
            let most = entry.max_output_tokens_in_batches.filter(|_| in_batches).unwrap_or(entry.max_output_tokens);
            if asked > most {
                let message = format!("`{}` writes at most {most} tokens, and `max_tokens` asks for {asked}", self.model);
                self.reject("max_tokens", message, format!("set `max_tokens` to {most} or less"));
            }
        }
        if asked > 0 {
            return;
        }
        // Section 6.5: such a request only fills the prompt cache.
        let conflicts = [
            ("thinking", self.thinking_type() == Some("enabled"), "`thinking` of type `enabled`"),
            ("output_config.format", self.format().is_some(), "`output_config.format`"),
            ("tool_choice", self.forces_a_tool(), "a forced `tool_choice`"),
        ];
        for (parameter, _, name) in conflicts.into_iter().filter(|(_, is_there, _)| *is_there) {
            self.reject(parameter, format!("`max_tokens: 0` cannot go with {name}"), "leave it out, or ask for at least one token");
        }
    }

    fn stop_sequences(&mut self) {
        if self.params.stop_sequences.iter().flatten().any(|sequence| sequence.trim().is_empty()) {
            let hint = "remove the one that is empty or white space only";
            self.reject("stop_sequences", "each stop sequence must contain more than white space", hint);
        }
    }

    fn sampling(&mut self, api_version: &str) {
        let Params { temperature, top_p, top_k, .. } = self.params;
        let given = [("temperature", temperature), ("top_p", top_p), ("top_k", top_k)];
        if is_without_sampling(api_version) {
            let accepting = |entry: &ModelEntry| entry.sampling_before_2026_10_21 != Sampling::None;
            let where_to = match self.entry {
                Some(entry) if accepting(entry) => {
                    format!("set `api_version = \"2023-06-01\"` on the endpoint, where `{}` takes it", self.model)
                }
                _ => format!(
                    "set `api_version = \"2023-06-01\"` on the endpoint and choose a model that takes it there ({})",
                    self.models_that(accepting)
                ),
            };
            for (name, _) in given.into_iter().filter(|(_, value)| value.is_some()) {
                let hint = format!("remove it (`samples` and a pass rate measure what varies), or {where_to}");
                self.reject(name, format!("`{name}` was removed in API version 2026-10-21"), hint);
            }
            return;
        }
        for (name, value) in [("temperature", temperature), ("top_p", top_p)] {
            if value.as_ref().and_then(Number::as_f64).is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                self.reject(name, format!("`{name}` must be from 0 to 1"), "choose a value in that range, or remove it");
                return;
            }
        }
        if top_k.as_ref().is_some_and(|value| value.as_u64().is_none()) {
            return self.reject("top_k", "`top_k` must be a whole number from 0", "choose such a number, or remove it");
        }
        let both = temperature.is_some() && top_p.is_some();
        let is = |value: &Option<Number>, default: f64| value.as_ref().and_then(Number::as_f64).is_none_or(|value| value == default);
        match self.entry.map(|entry| entry.sampling_before_2026_10_21) {
            Some(Sampling::OneOfTemperatureTopP) if both => {
                self.reject("top_p", format!("`{}` takes `temperature` or `top_p`, not both", self.model), "remove one of them");
            }
            Some(Sampling::None) => {
                // Documented to the letter for claude-haiku-5-5 and as "no other value than the default" for the others.
                let not_default = [("temperature", !is(temperature, 1.0)), ("top_p", !is(top_p, 0.99)), ("top_k", top_k.is_some())];
                for (name, _) in not_default.into_iter().filter(|(_, is_rejected)| *is_rejected) {
                    let message = format!("`{}` takes no other `{name}` than its own", self.model);
                    self.reject(name, message, "remove it: `samples` and a pass rate measure what varies");
                }
                if both && self.found.iter().all(|found| found.parameter != "top_p") {
                    self.reject("top_p", format!("`{}` does not take `temperature` and `top_p` together", self.model), "remove both");
                }
            }
            Some(Sampling::OneOfTemperatureTopP | Sampling::Any) | None => {}
        }
    }

    fn tools(&mut self) {
        let mut names: Vec<&str> = Vec::new();
        for (position, tool) in self.params.tools.iter().flatten().enumerate() {
            let at = format!("tools[{position}]");
            let member = |name: &str| tool.get(name).and_then(Value::as_str);
            if matches!(member("type"), None | Some("custom")) {
                let is_schema = tool.pointer("/input_schema/type").is_some_and(|kind| kind == "object");
                if member("name").is_none() {
                    self.reject(&at, "a tool needs a `name`", "add `name: ...`");
                } else if !is_schema {
                    let message = format!("the tool `{}` needs an `input_schema` of `type: object`", member("name").unwrap_or_default());
                    self.reject(&at, message, "add `input_schema: {type: object, properties: {...}}`");
                }
            }
            if let Some(name) = member("name") {
                let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
                if name.is_empty() || name.len() > 128 || !name.chars().all(is_plain) {
                    let hint = "use letters, digits, `_` and `-`, at most 128 of them";
                    self.reject(&at, format!("`{name}` cannot be the name of a tool"), hint);
                }
                if names.contains(&name) {
                    self.reject(&at, format!("two tools are called `{name}`"), "rename one of them");
                }
                names.push(name);
            }
        }
    }

    fn tool_choice(&mut self) {
        let Some(choice) = self.params.tool_choice.as_ref().filter(|choice| !choice.is_null()) else { return };
        let kind = choice.get("type").and_then(Value::as_str);
        let named = choice.get("name").and_then(Value::as_str);
        let is_offered = |name: &str| self.params.tools.iter().flatten().any(|tool| tool.get("name").is_some_and(|known| known == name));
        match (kind, named) {
            (Some("auto" | "any" | "none"), _) => {}
            (Some("tool"), Some(name)) if is_offered(name) => {}
            (Some("tool"), Some(name)) => {
                self.reject("tool_choice", format!("`tool_choice` names `{name}`, and no tool has that name"), "name one of `tools`");
            }
            (Some("tool"), None) => self.reject("tool_choice", "`tool_choice` of type `tool` needs a `name`", "add the tool's `name`"),
            _ => {
                let hint = "write `tool_choice: {type: auto}`";
                self.reject("tool_choice", "`tool_choice` needs a `type`: `auto`, `any`, `tool` or `none`", hint);
            }
        }
        if !self.forces_a_tool() {
            return;
        }
        if self.params.tools.as_ref().is_none_or(Vec::is_empty) && kind == Some("any") {
            self.reject("tool_choice", "`tool_choice` forces a tool, and there are no `tools`", "add `tools`, or remove `tool_choice`");
        }
        if self.entry.is_some_and(|entry| !entry.forced_tool_choice) {
            let others = self.models_that(|entry| entry.forced_tool_choice);
            let message = format!("`{}` cannot be forced to use a tool (`tool_choice` of type `any` or `tool`)", self.model);
            self.reject("tool_choice", message, format!("use `tool_choice: {{type: auto}}`, or a model that can be ({others})"));
        }
        if self.thinking_type() == Some("enabled") {
            let message = "a forced `tool_choice` cannot go with `thinking` of type `enabled`";
            self.reject("tool_choice", message, "use `tool_choice: {type: auto}`, or turn thinking off");
        }
    }

    fn thinking(&mut self) {
        let Some(thinking) = self.params.thinking.as_ref().filter(|thinking| !thinking.is_null()) else { return };
        let Some(kind) = self.thinking_type() else {
            let hint = "write `thinking: {type: adaptive}`";
            return self.reject("thinking", "`thinking` needs a `type`: `adaptive`, `enabled`, `disabled` or `between_tools`", hint);
        };
        if let Some(entry) = self.entry {
            let hint = match kind {
                "enabled" if entry.thinking.iter().any(|known| known == "adaptive") => {
                    "use `thinking: {type: adaptive}` and `output_config.effort`".to_owned()
                }
                _ => format!("use one of: {}", quoted(&entry.thinking)),
            };
            if !entry.thinking.iter().any(|known| known == kind) {
                return self.reject("thinking", format!("`{}` does not take `thinking` of type `{kind}`", self.model), hint);
            }
            let effort = self.effort();
            if entry.thinking_up_to_high_effort.iter().any(|known| known == kind) && matches!(effort, Some("xhigh" | "max")) {
                let effort = effort.unwrap_or_default();
                let message = format!("`{}` takes effort `{effort}` only with thinking, and `thinking` is of type `{kind}`", self.model);
                self.reject("output_config.effort", message, "use effort `high` or below, or `thinking: {type: adaptive}`");
            }
        }
        let budget = thinking.get("budget_tokens");
        match (kind, budget) {
            ("enabled", None) => {
                self.reject(
                    "thinking.budget_tokens",
                    "`thinking` of type `enabled` needs `budget_tokens`",
                    "add `budget_tokens: 1024` or more",
                );
            }
            ("enabled", Some(budget)) => self.budget(budget),
            (_, Some(_)) => {
                let message = format!("`thinking` of type `{kind}` takes no `budget_tokens`");
                self.reject("thinking.budget_tokens", message, "remove it; `output_config.effort` says how much is thought");
            }
            (_, None) => {}
        }
        let shown = thinking.get("display");
        if shown.is_some() && matches!(kind, "disabled" | "between_tools") {
            let message = format!("`thinking` of type `{kind}` takes no `display`");
            self.reject("thinking.display", message, "remove it");
        } else if shown.is_some_and(|shown| shown != "summarized" && shown != "omitted" && !shown.is_null()) {
            self.reject("thinking.display", "`thinking.display` must be `summarized` or `omitted`", "use one of them, or remove it");
        }
    }

    fn budget(&mut self, budget: &Value) {
        let Some(budget) = budget.as_u64().filter(|budget| *budget >= 1024) else {
            return self.reject("thinking.budget_tokens", "`thinking.budget_tokens` must be a whole number from 1024", "use 1024 or more");
        };
        // Interleaved thinking spreads its budget over several turns, so there it may exceed one reply.
        let is_interleaved = self.beta.iter().any(|beta| beta.starts_with("interleaved-thinking-"));
        if let Some(most) = self.params.max_tokens.filter(|most| budget >= *most && !is_interleaved) {
            let message = format!("`thinking.budget_tokens` ({budget}) must be less than `max_tokens` ({most})");
            self.reject("thinking.budget_tokens", message, format!("raise `max_tokens` above {budget}, or lower the budget"));
        }
    }

    fn output_config(&mut self) {
        let Some(config) = self.params.output_config.as_ref().filter(|config| !config.is_null()) else { return };
        let Some(members) = config.as_object() else {
            let hint = "write `output_config: {effort: high}`";
            return self.reject("output_config", "`output_config` must be a mapping with `effort` or `format`", hint);
        };
        let unknown = members.keys().find(|name| !matches!(name.as_str(), "effort" | "format"));
        // A beta header may bring members of its own (`task_budget`).
        if let Some(name) = unknown.filter(|_| self.beta.is_empty()) {
            let at = format!("output_config.{name}");
            self.reject(
                &at,
                format!("`output_config` takes no `{name}`"),
                "use `effort` or `format`, or name the endpoint's `beta` header",
            );
        }
        if let Some(effort) = members.get("effort").filter(|effort| !effort.is_null()) {
            self.effort_level(effort);
        }
        if let Some(format) = self.format() {
            for rejection in output_format::rejected(format) {
                self.found.push(rejection);
            }
        }
    }

    fn effort_level(&mut self, effort: &Value) {
        let levels = ["low", "medium", "high", "xhigh", "max"].map(str::to_owned);
        let accepted = self.entry.map_or(&levels[..], |entry| &entry.effort);
        if accepted.is_empty() {
            let message = format!("`{}` takes no `output_config.effort`", self.model);
            return self.reject(
                "output_config.effort",
                message,
                format!("remove it, or use {}", self.models_that(|entry| !entry.effort.is_empty())),
            );
        }
        if !accepted.iter().any(|level| effort == level) {
            let given = effort.as_str().map_or_else(|| effort.to_string(), str::to_owned);
            let who = self.entry.map_or_else(|| "`output_config.effort`".to_owned(), |_| format!("`{}`", self.model));
            self.reject(
                "output_config.effort",
                format!("{who} does not take effort `{given}`"),
                format!("use one of: {}", quoted(accepted)),
            );
        }
    }

    fn metadata(&mut self) {
        let Some(metadata) = self.params.metadata.as_ref().filter(|metadata| !metadata.is_null()) else { return };
        let is_known = metadata.as_object().is_some_and(|map| map.keys().all(|name| name == "user_id"));
        let user_is_text = metadata.get("user_id").is_none_or(|user| user.is_string() || user.is_null());
        if !is_known || !user_is_text {
            self.reject("metadata", "`metadata` takes only `user_id`, a text", "write `metadata: {user_id: ...}`, or remove it");
        }
    }

    fn places(&mut self) {
        if let Some(geo) = &self.params.inference_geo {
            if geo != "us" && geo != "global" {
                self.reject("inference_geo", "`inference_geo` must be `us` or `global`", "use one of them, or remove it");
            } else if self.entry.is_some_and(|entry| !entry.inference_geo) {
                let hint = "remove it, or use a model of generation 4.6 or later";
                self.reject("inference_geo", format!("`{}` takes no `inference_geo`", self.model), hint);
            }
        }
        if self.params.service_tier.as_ref().is_some_and(|tier| tier != "auto" && tier != "standard_only") {
            let hint = "use one of them, or remove it; batches are chosen elsewhere";
            self.reject("service_tier", "`service_tier` must be `auto` or `standard_only`", hint);
        }
    }

    fn speed(&mut self) {
        match (self.params.speed.as_deref(), self.entry) {
            (None | Some("standard"), _) | (Some("fast"), None) => {}
            (Some("fast"), Some(entry)) => match &entry.fast {
                None => {
                    let others = self.models_that(|entry| entry.fast.is_some());
                    let hint = format!("remove `speed`, or use {others}");
                    self.reject("speed", format!("`{}` has no fast mode", self.model), hint);
                }
                Some(fast) => {
                    if let Some(needed) = fast.beta.as_ref().filter(|needed| !self.beta.contains(needed)) {
                        let message = format!("`speed: fast` needs the beta header `{needed}` with `{}`", self.model);
                        self.reject("speed", message, format!("set `beta = [\"{needed}\"]` on the endpoint"));
                    }
                }
            },
            (Some(_), _) => self.reject("speed", "`speed` must be `standard` or `fast`", "use one of them, or remove it"),
        }
    }

    fn prefill(&mut self) {
        let Some(entry) = self.entry else { return };
        if !entry.prefill {
            let others = self.models_that(|entry| entry.prefill);
            let message =
                format!("`{}` does not continue an assistant turn (prefill): the conversation must end with a user turn", self.model);
            let hint = format!("remove the last `assistant:` turn (`output_config.format` asks for JSON), or use {others}");
            self.reject("messages", message, hint);
        } else if self.thinking_type() == Some("enabled") {
            let message = format!("`{}` continues an assistant turn (prefill) only without thinking", self.model);
            self.reject("messages", message, "remove the last `assistant:` turn, or turn thinking off");
        }
    }

    fn thinking_type(&self) -> Option<&'a str> {
        self.params.thinking.as_ref()?.get("type")?.as_str()
    }

    fn effort(&self) -> Option<&'a str> {
        self.params.output_config.as_ref()?.get("effort")?.as_str()
    }

    fn format(&self) -> Option<&'a Value> {
        self.params.output_config.as_ref()?.get("format").filter(|format| !format.is_null())
    }

    fn forces_a_tool(&self) -> bool {
        let kind = self.params.tool_choice.as_ref().and_then(|choice| choice.get("type")).and_then(Value::as_str);
        matches!(kind, Some("any" | "tool"))
    }
}

/// `` `low`, `medium` ``
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
