//! Which two requests have the same answer? A digest of everything that the answer depends on, and of nothing else.
//!
//! The canonical form is injective by construction: every value carries a tag, every text and every list its length, so no text can
//! imitate a structure. What counts as the same:
//!
//! - members of API objects in any order, numbers by value (`1`, `1.0`, `1e0`), a parameter that is absent or spells out its default;
//! - a string where the API also takes blocks (`content` of a tool result), and the one text block that it stands for.
//!
//! What stays apart: everything in the objects that the model reads as text (`input_schema`, the schema of `output_config.format`,
//! `tool_use.input`, `input_examples`): the order of their members and the spelling of their numbers are sent as they stand.
//!
//! What is left out, because no answer depends on it: `metadata` (an opaque user id), `cache_control`, streaming.
//! Where it is not documented that two forms are the same they stay apart: that costs one request, the other mistake a wrong answer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::model::request::{Block, Dialect, EndpointIdentity, Params, Request, Role, Turn};

/// Begins every canonical form; a change of the form changes it, and no answer of the old form is found any more.
const FORM: &str = "promptkeel.key/1";

/// The name under which an answer is stored: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The bytes, for a store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the bytes that a store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({self})")
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key: 64 hexadecimal digits")]
pub struct NotAKey(String);

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        // Only the spelling that Display writes, so that a key has one name wherever it is compared as text.
        let is_ours = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| is_ours);
        hash.map(|hash| Self(*hash.as_bytes())).ok_or_else(|| NotAKey(text.chars().take(80).collect()))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The digest of a file or a text: blake3 in hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> Arc<str> {
    Arc::from(blake3::hash(bytes).to_hex().as_str())
}

/// The key of the `sample`-th answer to a request.
#[must_use]
pub fn key(request: &Request, identity: &EndpointIdentity, sample: u32) -> Key {
    let mut form = Form(Vec::with_capacity(2048));
    form.text(FORM);
    form.identity(identity);
    form.request(request);
    form.0.extend_from_slice(&sample.to_le_bytes());
    Key(*blake3::hash(&form.0).as_bytes())
}

/// The canonical bytes as they grow.
struct Form(Vec<u8>);

impl Form {
    fn tag(&mut self, tag: u8) {
        self.0.push(tag);
    }

    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&(length as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.tag(b'"');
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn absent(&mut self) {
        self.tag(b'-');
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.absent(),
        }
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.tag(b'[');
        self.length(items.len());
        for item in items {
            write(self, item);
        }
    }

    fn identity(&mut self, identity: &EndpointIdentity) {
        let EndpointIdentity { dialect, identity, api_version, beta } = identity;
        self.text(match dialect {
            Dialect::Messages => "messages",
            Dialect::Simulated => "simulated",
        });
        self.text(identity);
        self.text(api_version);
        let mut beta: Vec<&str> = beta.iter().map(String::as_str).collect();
        beta.sort_unstable();
        beta.dedup();
        self.list(&beta, |form, header| form.text(header));
    }

    fn request(&mut self, request: &Request) {
        let Request { model, system, turns, params } = request;
        self.text(model);
        self.list(system, |form, block| form.block(&block.0));
        self.list(turns, |form, Turn { role, content }| {
            form.text(match role {
                Role::User => "user",
                Role::Assistant => "assistant",
            });
            form.list(content, |form, Block(block)| form.block(block));
        });
        self.params(params);
    }

    /// Every parameter by its place; the pattern without `..` keeps a new one from being forgotten.
    fn params(&mut self, params: &Params) {
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
            metadata: _, // An opaque user id that the model does not see.
            inference_geo,
            service_tier,
            speed,
        } = params;
        self.optional(*max_tokens, |form, count| form.number(&Number::from(count)));
        self.list(stop_sequences.as_deref().unwrap_or_default(), |form, text| form.text(text));
        // The default of the API version that has it (wire reference, section 0.1); those of `top_p` and `top_k` differ by model.
        self.number(temperature.as_ref().unwrap_or(&Number::from(1)));
        self.optional(top_p.as_ref(), Self::number);
        self.optional(top_k.as_ref(), Self::number);
        let tools = tools.as_deref().unwrap_or_default();
        self.list(tools, |form, tool| form.value(tool, Place::Tool));
        let chosen = tool_choice.as_ref().filter(|choice| !choice.is_null());
        let by_itself = Value::Object(Map::from_iter([("type".to_owned(), Value::from("auto"))]));
        self.optional(chosen.or((!tools.is_empty()).then_some(&by_itself)), |form, choice| form.value(choice, Place::Api));
        self.optional(thinking.as_ref().filter(|value| !value.is_null()), |form, value| form.value(value, Place::Api));
        self.output_config(output_config.as_ref());
        self.optional(inference_geo.as_deref(), Self::text);
        self.text(service_tier.as_deref().unwrap_or("auto"));
        self.text(speed.as_deref().unwrap_or("standard"));
    }

    /// `{}`, and members that are `null`, say as little as no `output_config` at all.
    fn output_config(&mut self, config: Option<&Value>) {
        let says_nothing = |config: &&Value| config.is_null() || config.as_object().is_some_and(|map| map.values().all(Value::is_null));
        self.optional(config.filter(|config| !says_nothing(config)), |form, config| form.value(config, Place::OutputConfig));
    }

    fn block(&mut self, block: &Map<String, Value>) {
        self.object(block, Place::Block);
    }

    fn value(&mut self, value: &Value, place: Place) {
        match value {
            Value::Null => self.tag(b'n'),
            Value::Bool(false) => self.tag(b'f'),
            Value::Bool(true) => self.tag(b't'),
            Value::Number(number) if place == Place::Verbatim => self.number_as_written(number),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.text(text),
            Value::Array(items) => self.list(items, |form, item| form.value(item, place)),
            Value::Object(object) if place == Place::Verbatim => {
                self.tag(b'<');
                self.length(object.len());
                for (name, value) in object {
                    self.text(name);
                    self.value(value, Place::Verbatim);
                }
            }
            Value::Object(object) => self.object(object, place),
        }
    }

    /// An object of the API: sorted, without cache marks and without members that spell out their default.
    fn object(&mut self, object: &Map<String, Value>, place: Place) {
        let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
        let mut members: Vec<(&str, &Value)> = object.iter().map(|(name, value)| (name.as_str(), value)).collect();
        members.retain(|(name, value)| *name != "cache_control" && !is_default(place, kind, name, value));
        members.sort_unstable_by_key(|(name, _)| *name);
        self.tag(b'{');
        self.length(members.len());
        for (name, value) in members {
            self.text(name);
            match value {
                // Pictures and documents: their digest, so that a canonical form stays small.
                Value::String(data) if name == "data" && kind == "base64" => {
                    self.tag(b'@');
                    self.0.extend_from_slice(blake3::hash(data.as_bytes()).as_bytes());
                }
                Value::String(text) if name == "content" && takes_blocks(kind) => self.list(&[text], |form, text| {
                    form.block(&Block::text(text.as_str()).0);
                }),
                _ => self.value(value, place.of_member(kind, name)),
            }
        }
    }

    /// By value: an integer however it is written, anything else by its shortest digits.
    fn number(&mut self, number: &Number) {
        let as_float = |float: f64| {
            // Every whole float below 2^126 is exactly one `i128`.
            let is_whole = float.fract() == 0.0 && float.abs() < 85_070_591_730_234_615_865_843_651_857_942_052_864.0;
            is_whole.then_some(float as i128)
        };
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        match whole.or_else(|| number.as_f64().and_then(as_float)) {
            Some(whole) => self.digits(&whole.to_string()),
            None => self.digits(&number.as_f64().map_or_else(|| number.to_string(), |float| format!("{float:e}"))),
        }
    }

    /// As it is sent: `1` and `1.0` are two things to a reader.
    fn number_as_written(&mut self, number: &Number) {
        self.digits(&number.to_string());
    }

    fn digits(&mut self, digits: &str) {
        self.tag(b'#');
        self.length(digits.len());
        self.0.extend_from_slice(digits.as_bytes());
    }
}

/// Which kind of object a value stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A content block, or an object within one.
    Block,
    /// A tool definition.
    Tool,
    /// `output_config`.
    OutputConfig,
    /// `output_config.format`.
    Format,
    /// Any other object of the API.
    Api,
    /// Read by the model as it stands.
    Verbatim,
}

impl Place {
    fn of_member(self, kind: &str, name: &str) -> Self {
        match (self, name) {
            (Self::Verbatim, _) | (Self::Tool, "input_schema" | "input_examples") | (Self::Format, "schema") => Self::Verbatim,
            // `tool_use`, `server_tool_use`, `mcp_tool_use`.
            (Self::Block, "input") if kind.ends_with("tool_use") => Self::Verbatim,
            (Self::OutputConfig, "format") => Self::Format,
            (Self::Block, _) => Self::Block,
            (Self::Tool | Self::OutputConfig | Self::Format | Self::Api, _) => Self::Api,
        }
    }
}

/// A member that says what the API assumes without it (wire reference, sections 0.1, 1.1 to 1.4).
fn is_default(place: Place, kind: &str, name: &str, value: &Value) -> bool {
    match (place, name) {
        (Place::Block, "citations") => {
            let is_off = |map: &Map<String, Value>| kind == "document" && map.len() == 1 && map.get("enabled") == Some(&Value::Bool(false));
            value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(is_off)
        }
        (Place::Block, "is_error") => kind == "tool_result" && value == &Value::Bool(false),
        (Place::Tool, "type") => value == "custom",
        (Place::Tool, "strict" | "defer_loading") | (Place::Api, "disable_parallel_tool_use") => value == &Value::Bool(false),
        (Place::OutputConfig, "effort" | "format") => value.is_null(),
        _ => false,
    }
}

/// Blocks whose `content` may be a string instead of text blocks.
fn takes_blocks(kind: &str) -> bool {
    matches!(kind, "tool_result" | "content")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod whole_tests;
