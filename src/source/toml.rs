//! How is TOML read here? Into the same tree as YAML, so that settings decode with the same places and hints.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use serde_json::Number;

use crate::model::problem::Problem;
use crate::source::document::{Document, Span};
use crate::source::node::{Key, Kind, Node};

/// Deepest nesting of arrays and tables.
const DEEPEST: usize = 64;

/// The whole document as a mapping.
///
/// # Errors
/// Every syntax error and duplicate key.
pub fn parse(document: &Document) -> Result<Node, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(document.text());
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| problem(document, error)).collect());
    }
    let span = Span::new(table.span().start, table.span().end);
    match mapping(table.get_ref(), DEEPEST) {
        Some(kind) => Ok(Node { kind, span }),
        None => Err(vec![Problem::error(format!("this TOML file is nested deeper than {DEEPEST} levels")).at(document.place(span))]),
    }
}

fn problem(document: &Document, error: &::toml::de::Error) -> Problem {
    let span = error.span().unwrap_or_default();
    let mut words = error.message().lines();
    let message = words.next().unwrap_or("it cannot be read");
    let problem = Problem::error(format!("this is not TOML: {message}")).at(document.place(Span::new(span.start, span.end)));
    if message.contains("duplicate key") {
        return problem.hint("keep one of them");
    }
    match words.next() {
        Some(expected) => problem.hint(expected.trim()),
        None => problem.hint("texts need quotes, tables are headed by [name]"),
    }
}

fn mapping(table: &DeTable<'_>, depth: usize) -> Option<Kind> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let name = key.get_ref().to_string();
        entries.push((Key { name, span: Span::new(key.span().start, key.span().end) }, node(value, depth.checked_sub(1)?)?));
    }
    // The table is sorted by name; an author thinks in the order of the file.
    entries.sort_by_key(|(key, _)| key.span.start);
    Some(Kind::Mapping(entries))
}

fn node(value: &Spanned<DeValue<'_>>, depth: usize) -> Option<Node> {
    let span = Span::new(value.span().start, value.span().end);
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Boolean(value) => Kind::Bool { value: *value, text: value.to_string().into() },
        DeValue::Integer(integer) => {
            let digits = integer.as_str();
            let number = i64::from_str_radix(digits, integer.radix()).map(Number::from);
            let number = number.or_else(|_| u64::from_str_radix(digits, integer.radix()).map(Number::from));
            // Beyond 64 bits nothing of ours holds it: it stays the text that was written, which no number accepts.
            number.map_or_else(|_| Kind::Text(digits.to_owned()), |value| Kind::Number { value, text: digits.into() })
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse::<f64>().ok().and_then(Number::from_f64);
            number.map_or_else(|| Kind::Text(float.as_str().to_owned()), |value| Kind::Number { value, text: float.as_str().into() })
        }
        DeValue::Datetime(moment) => Kind::Text(moment.to_string()),
        DeValue::Array(items) => Kind::List(items.iter().map(|item| node(item, depth.checked_sub(1)?)).collect::<Option<Vec<_>>>()?),
        DeValue::Table(table) => mapping(table, depth)?,
    };
    Some(Node { kind, span })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::decode::decode_all;
    use crate::source::tests::plain;
    use proptest::prelude::*;
    use serde_json::json;

    fn document(text: &str) -> Document {
        Document::new("promptkeel.toml".into(), text.into())
    }

    #[test]
    fn values_keep_their_order_their_digits_and_their_places() {
        let document =
            document("[run]\nz = 1_000\na = 0.50\n[[list]]\nx = 'y'\n[prices.\"my model\"]\ninput = \"0.40\"\nday = 2026-11-22\n");
        let node = parse(&document).unwrap();
        let value =
            json!({"run": {"z": 1000, "a": 0.5}, "list": [{"x": "y"}], "prices": {"my model": {"input": "0.40", "day": "2026-11-22"}}});
        assert_eq!(node.to_value().to_string(), value.to_string());
        let (key, value) = &node.get("run").unwrap().entries()[1];
        assert_eq!((key.name.as_str(), document.slice(key.span), document.slice(value.span)), ("a", "a", "0.50"));
        assert!(matches!(&value.kind, Kind::Number { text, .. } if &**text == "0.50"));
    }

    #[test]
    fn mistakes_have_places() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only its decoding is looked at")]
        struct Run {
            endpoint: String,
            max_concurrency: Option<u32>,
        }
        let settings = document("endpoint = 1\nmax_concurency = 8\n");
        let mut problems = Vec::new();
        decode_all::<Run>(&parse(&settings).unwrap(), &settings, &mut problems);
        insta::assert_snapshot!(plain(&problems));
        let broken = document("a = 1\na = 2\n[b\nc = yes\n");
        insta::assert_snapshot!(plain(&parse(&broken).unwrap_err()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-c=\\[\\]{}\"'.,#\n 0-9ß-]{0,60}") {
            let document = document(&text);
            if let Ok(node) = parse(&document) {
                let _ = node.to_value();
            }
        }
    }
}
