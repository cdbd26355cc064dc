//! How is YAML read here? YAML 1.2 with the options fixed once: `no` and `010` are texts, duplicate keys are errors, depth and size are bounded.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_yaml::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Error, Location, Spanned};

use crate::model::problem::Problem;
use crate::source::document::{Document, Span};
use crate::source::enough::enough;
use crate::source::node::{Key, Kind, MOST_VALUES, Node, shortened};

/// Deepest nesting of lists and mappings: what fits a thread of 2 MiB with the frames of an unoptimised build.
const DEEPEST: usize = 32;

/// The whole document as a tree.
///
/// # Errors
/// The syntax error that stopped the reader, or every duplicate key.
pub fn parse(document: &Document) -> Result<Node, Vec<Problem>> {
    let mut problems = Vec::new();
    parse_into(document, &mut problems).filter(|_| problems.is_empty()).ok_or(problems)
}

/// The same where the reading goes on after a duplicate key, with the first value: one mistake must not hide the others.
pub(crate) fn parse_into(document: &Document, problems: &mut Vec<Problem>) -> Option<Node> {
    let options = serde_yaml::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        // Passed through, because `Node::take_duplicates` reports all of them and the parser only the first.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `.inf` is a word in a prompt far more often than a number.
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_nodes: MOST_VALUES,
            max_events: MOST_VALUES * 2,
            max_documents: 2,
            max_recorded_anchor_events: 250_000,
            // A suite may well use one anchor a thousand times; replayed events are bounded on their own.
            enforce_alias_anchor_ratio: false,
        },
    };
    let text = document.text();
    if text.trim().is_empty() {
        return Some(Node { kind: Kind::Null, span: Span::new(0, 0) });
    }
    let read: Result<Spanned<Raw>, Error> = serde_yaml::from_str_with_options(text, options);
    let read = read.map_err(|error| problems.push(syntax_error(document, &error))).ok()?;
    let mut node = build(document, read, problems);
    node.take_duplicates(document, problems);
    Some(node)
}

/// What the parser hands over, before spans become our own.
enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    /// An integer beyond 64 bits.
    TooLong(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;

        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
                Raw::deserialize(deserializer)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Number(value.into()))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
                Ok(i64::try_from(value).map_or_else(|_| Raw::TooLong(value.to_string()), |value| Raw::Number(value.into())))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
                Ok(u64::try_from(value).map_or_else(|_| Raw::TooLong(value.to_string()), |value| Raw::Number(value.into())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Number::from_f64(value).map_or_else(|| Raw::Text(value.to_string()), Raw::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Raw, E> {
                Ok(Raw::Text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = mapping.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Mapping(entries))
            }
        }

        deserializer.deserialize_any(RawVisitor)
    }
}

fn span_of(location: Location) -> Span {
    let span = location.span();
    let start = usize::try_from(span.byte_offset().unwrap_or_default()).unwrap_or(usize::MAX);
    let length = usize::try_from(span.byte_len().unwrap_or_default()).unwrap_or(usize::MAX);
    Span::new(start, start.saturating_add(length))
}

fn build(document: &Document, read: Spanned<Raw>, problems: &mut Vec<Problem>) -> Node {
    // `defined`, not `referenced`: what is wrong inside an anchor is put right there.
    let span = span_of(read.defined);
    let kind = match read.value {
        Raw::Null => Kind::Null,
        Raw::Bool(value) => Kind::Bool { value, text: written(document, span, &value.to_string()) },
        Raw::Number(value) if value.is_f64() && is_integer(document, span) => too_long(document, span, &value.to_string(), problems),
        Raw::Number(value) => {
            let text = written(document, span, &value.to_string());
            Kind::Number { value, text }
        }
        Raw::TooLong(digits) => too_long(document, span, &digits, problems),
        // The parser spells `1e999` as `.inf`.
        Raw::Text(text) if matches!(text.as_str(), ".inf" | "-.inf") && is_integer(document, span) => {
            too_long(document, span, &text, problems)
        }
        Raw::Text(text) if matches!(text.as_str(), ".inf" | "-.inf" | ".nan") => Kind::Text(written(document, span, &text).into()),
        Raw::Text(text) => Kind::Text(text),
        Raw::List(items) => Kind::List(items.into_iter().map(|item| build(document, item, problems)).collect()),
        Raw::Mapping(entries) => Kind::Mapping(
            entries
                .into_iter()
                .map(|(key, value)| (Key { name: key.value, span: span_of(key.defined) }, build(document, value, problems)))
                .collect(),
        ),
    };
    Node { kind, span }
}

/// Whether digits stand there and nothing else.
fn is_integer(document: &Document, span: Span) -> bool {
    let text = document.slice(span).trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// An integer that no number of ours holds: as a float it would lose its last digits, and as a text it would be unlike every number of a
/// reply, so that its negation always held.
fn too_long(document: &Document, span: Span, canonical: &str, problems: &mut Vec<Problem>) -> Kind {
    let text = written(document, span, canonical);
    if !enough(problems) {
        let message = format!("`{}` is an integer beyond 64 bits, which cannot be kept exactly", shortened(&text));
        let hint = "put quotes around it where its digits are meant, as in an account number: then it is a text";
        problems.push(Problem::error(message).at(document.place(span)).hint(hint));
    }
    Kind::Text(text.into())
}

/// The spelling in the file, where the span is that of a plain scalar; else the canonical one.
fn written(document: &Document, span: Span, canonical: &str) -> Box<str> {
    let text = document.slice(span).trim();
    if text.is_empty() || text.len() > 60 || text.contains(char::is_whitespace) { canonical.into() } else { text.into() }
}

fn syntax_error(document: &Document, error: &Error) -> Problem {
    let error = error.without_snippet();
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let span = span_of(location);
    // A location that the scanner made carries no byte offsets, only line and column.
    let place = if location.span().byte_offset().is_some() {
        document.place(span)
    } else {
        let offset = offset_of(document.text(), location.line(), location.column());
        document.place(Span::new(offset, offset + 1))
    };
    let line = place.source.clone();
    let problem = |message: String| Problem::error(message).at(place.clone());
    let indented_with_tab = line.chars().take_while(|character| character.is_whitespace()).any(|character| character == '\t');
    let words = error.to_string();
    match error {
        _ if indented_with_tab => {
            problem("YAML is indented with spaces: this line begins with a tab".to_owned()).hint("replace the tab by two spaces")
        }
        Error::MultipleDocuments { .. } => {
            problem("one YAML document is expected, and a second one begins here".to_owned()).hint("split the file at the `---` line")
        }
        Error::UnknownAnchor { .. } => problem("this alias names an anchor that does not exist".to_owned())
            .hint("anchors (`&name`) must stand before their aliases (`*name`); a text that begins with `*` needs quotes"),
        _ if words.contains("budget breached") || words.contains("recursion limit") => {
            problem("this YAML file is nested too deep or expands into too much".to_owned())
                .hint(format!("nesting is bounded to {DEEPEST} levels and a file to {MOST_VALUES} values, aliases expanded"))
        }
        _ if words.contains("recursive references") => problem("this alias stands inside of its own anchor".to_owned())
            .hint("a value cannot hold itself: name another anchor, or write the value out"),
        // The parser wraps these errors where an alias is read inside of a value.
        _ if words.contains("alias replay") || words.contains("alias expansion") => {
            problem("the aliases of this YAML file expand into too much".to_owned()).hint("write the values out, or use fewer aliases")
        }
        Error::UnsupportedTag { .. } => {
            problem("YAML tags (`!name`) mean nothing here".to_owned()).hint("take the tag away; a text that begins with `!` needs quotes")
        }
        _ => {
            let words = words.split(" at line ").next().unwrap_or_default().trim_start_matches("while parsing ");
            let value = line.split_once(": ").map_or(line.as_str(), |(_, value)| value).trim_start_matches([' ', '-', '[', '{']);
            let hint = if value.starts_with(['@', '`', '%']) || line.contains(": {{") || line.contains("- {{") {
                "a text that begins with `{`, `[`, `@`, `%` or a backquote needs quotes: \"{{ name }}\""
            } else if line.matches(": ").count() > 1 {
                "a text that holds `: ` needs quotes"
            } else {
                "look at the indentation, brackets and quotes of this line and the one before"
            };
            problem(format!("this is not YAML: {}", shortened_words(words))).hint(hint)
        }
    }
}

/// The offset of a 1-based line and column (in characters) as YAML counts them: there a carriage return ends a line also where no line feed follows.
fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let bytes = text.as_bytes();
    let is_end = |at: usize| bytes[at] == b'\n' || (bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    let before = usize::try_from(line.max(1) - 1).unwrap_or(usize::MAX);
    let start = match before.checked_sub(1) {
        Some(last) => (0..bytes.len()).filter(|at| is_end(*at)).nth(last).map_or(text.len(), |at| at + 1),
        None => 0,
    };
    let column = usize::try_from(column.max(1) - 1).unwrap_or(usize::MAX);
    text[start..].char_indices().nth(column).map_or(text.len(), |(at, _)| start + at)
}

fn shortened_words(words: &str) -> String {
    let line = words.lines().next().unwrap_or_default();
    if line.chars().count() > 160 { shortened(line) } else { line.to_owned() }
}
