//! What is sent to a model, in the Messages API's own terms?

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// Who speaks in a turn (wire reference, section 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person or the harness.
    User,
    /// The model; as a last turn it is a prefill, which many models reject.
    Assistant,
}

/// One content block, exactly as the API spells it: `{"type": "text", "text": "..."}`, an image, a document, a tool call.
///
/// Kept as JSON because the harness must pass on every kind of block, also those that appear after this version was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Block(pub Map<String, Value>);

impl Block {
    /// A plain text block.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        let mut map = Map::new();
        map.insert("type".to_owned(), Value::from("text"));
        map.insert("text".to_owned(), Value::from(text.into()));
        Self(map)
    }

    /// The `type` member; empty where there is none.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// The text of a `text` block; `None` for every other kind, thinking included.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if self.kind() == "text" { self.0.get("text").and_then(Value::as_str) } else { None }
    }

    /// The same text, to be changed.
    pub(crate) fn as_text_mut(&mut self) -> Option<&mut String> {
        if self.kind() != "text" {
            return None;
        }
        match self.0.get_mut("text") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Block>,
}

/// Messages API parameters by the API's own names (wire reference, section 1.1). Absent means: the API's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Most output tokens of one reply, thinking included. The plan fills it in from the settings where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Texts that end the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_sequences: Option<Vec<String>>,
    /// Sampling temperature; removed in API version 2026-10-21.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    /// Nucleus sampling; removed in API version 2026-10-21.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Number>,
    /// Top-k sampling; removed in API version 2026-10-21.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<Number>,
    /// Tool definitions, passed on as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Value>>,
    /// Which tool must, may or may not be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Thinking configuration; what is accepted depends on the model (section 7.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Value>,
    /// `effort` and `format` (sections 1.5 and 1.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_config: Option<Value>,
    /// Only `user_id`; not seen by the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// `us` or `global`; models 4.6 and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_geo: Option<String>,
    /// `auto` or `standard_only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// `standard` or `fast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<String>,
}

impl Params {
    /// These parameters, with every one that `over` gives taken from `over`. A whole parameter is replaced, never merged inside.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        macro_rules! pick {
            ($($field:ident),* $(,)?) => {
                Self { $($field: over.$field.clone().or_else(|| self.$field.clone())),* }
            };
        }
        pick!(
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
            speed
        )
    }
}

/// One request as the model sees it, rendered. The wire body is made from it by the endpoint's dialect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The model's id as the API spells it.
    pub model: String,
    /// System blocks; empty means no system prompt.
    pub system: Vec<Block>,
    /// At least one turn.
    pub turns: Vec<Turn>,
    /// Parameters, `max_tokens` filled in.
    pub params: Params,
}

/// Who answers, as far as an answer depends on it: part of the cache key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EndpointIdentity {
    /// Which protocol is spoken.
    pub dialect: Dialect,
    /// The normalised base URL; for the in-process simulator the digest of its script.
    pub identity: String,
    /// `anthropic-version`.
    pub api_version: String,
    /// Sorted, without duplicates.
    pub beta: Vec<String>,
}

/// The protocol of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// The Messages API over HTTP.
    Messages,
    /// The same API served by the built-in simulator, in process.
    Simulated,
}
