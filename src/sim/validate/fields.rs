//! Places in a request body, and what may stand there.

use std::fmt;

use serde_json::{Map, Value};

use super::super::api_error::ApiError;

/// A place such as `messages.0.content`, written only when a message needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub(super) fn top(name: &'a str) -> Self {
        Self { parent: None, step: Step::Key(name) }
    }

    pub(super) fn key(&'a self, name: &'a str) -> At<'a> {
        At { parent: Some(self), step: Step::Key(name) }
    }

    pub(super) fn index(&'a self, index: usize) -> At<'a> {
        At { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(formatter, "{parent}.")?;
        }
        match self.step {
            Step::Key(name) => formatter.write_str(name),
            Step::Index(index) => write!(formatter, "{index}"),
        }
    }
}

/// An object with no other keys than these.
pub(super) fn only<'v>(value: &'v Value, at: At<'_>, known: &[&str]) -> Result<&'v Map<String, Value>, ApiError> {
    let object = value.as_object().ok_or_else(|| ApiError::at(at, "Input should be an object"))?;
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(ApiError::at(at.key(name), "Extra inputs are not permitted")),
        None => Ok(object),
    }
}

pub(super) fn list<'v>(value: &'v Value, at: At<'_>) -> Result<&'v Vec<Value>, ApiError> {
    value.as_array().ok_or_else(|| ApiError::at(at, "Input should be a valid list"))
}

/// A text that has to be there.
pub(super) fn required_text<'v>(object: &'v Map<String, Value>, name: &str, at: At<'_>) -> Result<&'v str, ApiError> {
    match object.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(ApiError::at(at, "Input should be a valid string")),
        None => Err(ApiError::at(at, "Field required")),
    }
}

/// A text that may be missing or null.
pub(super) fn optional_text(object: &Map<String, Value>, name: &str, at: At<'_>) -> Result<(), ApiError> {
    match object.get(name) {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(_) => Err(ApiError::at(at.key(name), "Input should be a valid string")),
    }
}

/// True or false, missing or null.
pub(super) fn optional_bool(object: &Map<String, Value>, name: &str, at: At<'_>) -> Result<(), ApiError> {
    match object.get(name) {
        None | Some(Value::Null | Value::Bool(_)) => Ok(()),
        Some(_) => Err(ApiError::at(at.key(name), "Input should be a valid boolean")),
    }
}

/// One of some texts.
pub(super) fn choice<'v>(value: &'v Value, at: At<'_>, known: &[&str]) -> Result<&'v str, ApiError> {
    match value.as_str() {
        Some(text) if known.contains(&text) => Ok(text),
        _ => {
            let quoted: Vec<String> = known.iter().map(|name| format!("'{name}'")).collect();
            let (last, rest) = quoted.split_last().map_or((String::new(), String::new()), |(last, rest)| (last.clone(), rest.join(", ")));
            Err(ApiError::at(
                at,
                if rest.is_empty() { format!("Input should be {last}") } else { format!("Input should be {rest} or {last}") },
            ))
        }
    }
}

/// A whole number of at least `least`; `3.0` is none, `null` is none.
pub(super) fn whole(value: Option<&Value>, at: At<'_>, least: u64) -> Result<Option<u64>, ApiError> {
    match value {
        None => Ok(None),
        Some(Value::Number(number)) if number.is_u64() || number.is_i64() => match number.as_u64() {
            Some(value) if value >= least => Ok(Some(value)),
            _ => Err(ApiError::at(at, format!("Input should be greater than or equal to {least}"))),
        },
        Some(_) => Err(ApiError::at(at, "Input should be a valid integer")),
    }
}
