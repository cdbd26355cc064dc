//! How is TOML read here? Into the same tree as YAML, so that settings get the same messages with the same places.

use std::ops::Range;

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::problem::Problem;
use crate::source::document::{Document, Span};
use crate::source::node::{Key, Kind, Node};

/// Reads a TOML document.
///
/// # Errors
/// Every syntax error, duplicate keys among them, at its place.
pub fn parse(document: &Document) -> Result<Node, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(document.text());
    if errors.is_empty() {
        let span = span(&table.span());
        return Ok(Node { kind: mapping(table.get_ref()), span });
    }
    let problem = |error: &toml::de::Error| {
        let place = document.place(span(&error.span().unwrap_or_default()));
        Problem::error(format!("this is no TOML: {}", error.message())).at(place).hint("texts stand in quotes, tables in [brackets]")
    };
    Err(errors.iter().map(problem).collect())
}

fn mapping(table: &DeTable<'_>) -> Kind {
    let mut entries: Vec<(Key, Node)> =
        table.iter().map(|(key, value)| (Key { name: key.get_ref().to_string(), span: span(&key.span()) }, node(value))).collect();
    // The library sorts by name: problems come in the order of the file.
    entries.sort_by_key(|(key, _)| key.span.start);
    Kind::Mapping(entries)
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let parsed = i64::from_str_radix(integer.as_str(), integer.radix()).map(Number::from);
            parsed.map_or_else(|_| Kind::Text(integer.to_string()), |value| Kind::Number { value, text: integer.as_str().into() })
        }
        DeValue::Float(float) => {
            let parsed = float.as_str().parse().ok().and_then(Number::from_f64);
            parsed.map_or_else(|| Kind::Text(float.as_str().to_owned()), |value| Kind::Number { value, text: float.as_str().into() })
        }
        DeValue::Boolean(value) => Kind::Bool { value: *value, text: value.to_string().into() },
        DeValue::Datetime(moment) => Kind::Text(moment.to_string()),
        DeValue::Array(items) => Kind::List(items.iter().map(node).collect()),
        DeValue::Table(table) => mapping(table),
    };
    Node { kind, span: span(&value.span()) }
}

fn span(range: &Range<usize>) -> Span {
    Span::new(range.start, range.end)
}
