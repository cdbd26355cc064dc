//! What did the author write, value by value, and where does each stand? The one tree that YAML, TOML and JSON become.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use crate::model::problem::{Place, Problem};
use crate::source::document::{Document, Span};
use crate::source::enough::enough;

/// Most values that one file holds, aliases expanded: about a gigabyte of memory at the worst.
pub const MOST_VALUES: usize = 4_000_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands; a list or mapping begins where its first item does.
    pub span: Span,
}

/// A key of a mapping and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// As written, quotes taken off.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool {
        /// The value.
        value: bool,
        /// As written, for where a text was asked for.
        text: Box<str>,
    },
    /// A number.
    Number {
        /// The value.
        value: Number,
        /// As written: money is read from its digits, and `contains: 1.10` means the text `1.10`.
        text: Box<str>,
    },
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file; duplicate keys are reported when it is read and never reach anyone.
    Mapping(Vec<(Key, Node)>),
}

impl Node {
    /// The kind in words, with what it holds: `the text `x``, `a list`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool { text, .. } => format!("`{text}`"),
            Kind::Number { text, .. } => format!("the number {text}"),
            Kind::Text(text) => format!("the text `{}`", shortened(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// The value of a key, where this is a mapping that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    /// The entries of a mapping; empty for anything else.
    #[must_use]
    pub fn entries(&self) -> &[(Key, Self)] {
        if let Kind::Mapping(entries) = &self.kind { entries } else { &[] }
    }

    /// Where a problem with this value is shown: a mapping shows its first key, a list its first item.
    #[must_use]
    pub fn head(&self) -> Span {
        match &self.kind {
            Kind::Mapping(entries) => entries.first().map_or(self.span, |(key, _)| key.span),
            Kind::List(items) => items.first().map_or(self.span, Self::head),
            Kind::Null | Kind::Bool { .. } | Kind::Number { .. } | Kind::Text(_) => self.span,
        }
    }

    /// The place of [`Node::head`].
    #[must_use]
    pub fn place(&self, document: &Document) -> Place {
        document.place(self.head())
    }

    /// The same value without places.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool { value, .. } => Value::Bool(*value),
            Kind::Number { value, .. } => Value::Number(value.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Mapping(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.name.clone(), value.to_value())).collect::<Map<_, _>>())
            }
        }
    }

    /// A value that has no places of its own: everything in it stands at `span` (a row of a table).
    #[must_use]
    pub fn from_value(value: &Value, span: Span) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool { value: *value, text: value.to_string().into() },
            Value::Number(value) => Kind::Number { value: value.clone(), text: value.to_string().into() },
            Value::String(text) => Kind::Text(text.clone()),
            Value::Array(items) => Kind::List(items.iter().map(|item| Self::from_value(item, span)).collect()),
            Value::Object(entries) => Kind::Mapping(
                entries.iter().map(|(name, value)| (Key { name: name.clone(), span }, Self::from_value(value, span))).collect(),
            ),
        };
        Self { kind, span }
    }

    /// Takes every repeated key out of every mapping, and says where each first stood.
    pub(crate) fn take_duplicates(&mut self, document: &Document, problems: &mut Vec<Problem>) {
        match &mut self.kind {
            _ if enough(problems) => {}
            Kind::List(items) => items.iter_mut().for_each(|item| item.take_duplicates(document, problems)),
            Kind::Mapping(entries) => {
                let mut first: HashMap<String, u32> = HashMap::with_capacity(entries.len());
                entries.retain_mut(|(key, value)| {
                    value.take_duplicates(document, problems);
                    let line = document.line(key.span.start);
                    let Some(earlier) = first.get(&key.name) else {
                        first.insert(key.name.clone(), line);
                        return true;
                    };
                    if enough(problems) {
                        return false;
                    }
                    problems.push(
                        Problem::error(format!("duplicate key `{}`", shortened(&key.name)))
                            .at(document.place(key.span))
                            .hint(format!("it stands on line {earlier} already; keep one of them")),
                    );
                    false
                });
            }
            Kind::Null | Kind::Bool { .. } | Kind::Number { .. } | Kind::Text(_) => {}
        }
    }
}

/// At most 40 characters of a text on one line, for messages.
#[must_use]
pub fn shortened(text: &str) -> String {
    let mut characters = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let kept: String = characters.by_ref().take(40).collect();
    if characters.next().is_some() { format!("{kept}...") } else { kept }
}
