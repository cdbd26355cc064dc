//! How is JSON read here? Strictly: a repeated key is a mistake with a place, not the last value in silence.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::source::node::{MOST_VALUES, shortened};

/// What is wrong with a JSON text, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotJson {
    /// Lower case, without a place.
    pub message: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in bytes.
    pub column: u32,
}

/// The values that a file may still hold.
#[derive(Debug)]
pub struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(MOST_VALUES))
    }
}

impl Budget {
    /// Whether so many more values may come.
    pub fn take(&self, values: usize) -> bool {
        let left = self.0.get().checked_sub(values);
        self.0.set(left.unwrap_or_default());
        left.is_some()
    }
}

/// The one JSON value of a text.
///
/// # Errors
/// A syntax error, a repeated key, or more than [`MOST_VALUES`].
pub fn parse(text: &str) -> Result<Value, NotJson> {
    parse_within(text, &Budget::default())
}

/// The same where the text is only a part of a file, whose values are counted together.
///
/// # Errors
/// As [`parse`].
pub fn parse_within(text: &str, budget: &Budget) -> Result<Value, NotJson> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict(budget).deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| not_json(&error))
}

/// What is said where the budget is spent.
#[must_use]
pub fn too_many_values() -> String {
    format!("more than {MOST_VALUES} values are too many for one file")
}

/// serde's error in our words.
#[must_use]
pub fn not_json(error: &serde_json::Error) -> NotJson {
    let number = |value: usize| u32::try_from(value.max(1)).unwrap_or(u32::MAX);
    let words = error.to_string();
    let message = words.rsplit_once(" at line ").map_or(words.as_str(), |(message, _)| message).to_owned();
    NotJson { message, line: number(error.line()), column: number(error.column()) }
}

#[derive(Clone, Copy)]
struct Strict<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.0.take(1) { deserializer.deserialize_any(self) } else { Err(D::Error::custom(too_many_values())) }
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some(name) = mapping.next_key::<String>()? {
            let value = mapping.next_value_seed(self)?;
            if entries.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate key `{}`", shortened(&name))));
            }
            entries.insert(name, value);
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_is_a_mistake_with_a_line() {
        assert_eq!(parse("{\"a\": [1, 1.5, null, \"x\"]}"), Ok(serde_json::json!({"a": [1, 1.5, null, "x"]})));
        let error = parse("{\"a\": 1,\n \"a\": 2}").expect_err("repeated");
        assert_eq!((error.message.as_str(), error.line), ("duplicate key `a`", 2));
        assert_eq!(parse("{\"a\": }").expect_err("no value").message, "expected value");
    }
}
