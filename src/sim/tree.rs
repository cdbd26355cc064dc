//! A YAML script as a tree: which value stands at which line and column?

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

/// Deepest nesting of lists and mappings: what fits a thread of 2 MiB with the frames of an unoptimised build.
const DEEPEST: usize = 32;

/// Most values of a script, aliases expanded; one is written by hand.
const MOST_VALUES: usize = 250_000;

/// One value with its place (both from 1).
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping with its place.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) name: String,
}

impl Node {
    /// Reads one YAML document; the error has the line, the column and the words.
    pub(super) fn read(text: &str) -> Result<Self, (u64, u64, String)> {
        // YAML 1.2 as a person reads it: `no`, `010` and `1_000` are text, a key that stands twice is a mistake.
        let options = serde_yaml::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            reject_tagged_field_names: true,
            duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::Error,
            with_snippet: false,
            budget: serde_yaml::budget! {
                max_depth: DEEPEST,
                flow_nesting_limit: DEEPEST,
                max_nodes: MOST_VALUES,
                max_events: MOST_VALUES * 2,
                max_documents: 2,
                max_recorded_anchor_events: MOST_VALUES,
                // An anchor may be used by every rule; what aliases expand into is counted above.
                enforce_alias_anchor_ratio: false,
            },
        };
        serde_yaml::from_str_with_options::<Self>(text, options).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |place| (place.line().max(1), place.column().max(1)));
            (line, column, plain(&error.without_snippet().to_string()))
        })
    }

    /// The word for the kind of value, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value as JSON, for what goes over the wire as it stands.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(value) => value.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|(key, value)| (key.name.clone(), value.to_json())).collect::<serde_json::Map<_, _>>().into()
            }
        }
    }
}

/// The parser's words without the place that it adds: the place is ours to print.
fn plain(message: &str) -> String {
    let is_one_of = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if is_one_of(&["budget breached", "recursion limit", "alias replay", "alias expansion"]) {
        return format!(
            "it is nested too deep or expands into too much: {DEEPEST} levels and {MOST_VALUES} values may be, aliases expanded"
        );
    }
    if is_one_of(&["recursive references"]) {
        return "this alias stands inside of its own anchor".to_owned();
    }
    if is_one_of(&["multiple YAML documents"]) {
        return "one YAML document is expected, and a second one begins here".to_owned();
    }
    let first = message.lines().next().unwrap_or_default();
    let text = first.split(" at line ").next().unwrap_or(first);
    // Advice to whoever calls the parser, not to whoever wrote the script.
    let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(text);
    match text.strip_prefix("error: ").unwrap_or(text).split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest.to_owned(),
        _ => text.to_owned(),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), column: spanned.referenced.column(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        // A number past i64 keeps its size; nothing in a script needs its last digits.
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let place = Key { line: key.referenced.line(), column: key.referenced.column(), name: key.value };
            entries.push((place, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}
