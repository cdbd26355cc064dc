//! Which values of a JSON document changed, and at which path?
//!
//! Objects are compared by key and arrays by alignment: one item that was deleted is one change, not a change of everything
//! behind it, and one that moved is taken out in one place and put in at another. Numbers are compared by value. The place of a key in
//! its object is no difference.

use std::time::{Duration, Instant};

use serde_json::{Number, Value};

use crate::diff::align::Alignment;
use crate::model::verdict::JsonChange;

/// Values nested deeper are compared as wholes. serde_json reads at most 128 levels.
pub(super) const MAX_DEPTH: usize = 128;

/// After so long arrays are no longer aligned by likeness, only by place.
const DEADLINE: Duration = Duration::from_millis(300);

/// Most changes of one difference that are kept; further ones are counted. A report of thousands of failed cells keeps one difference each.
const MAX_CHANGES: usize = 1_000;

/// Bytes that all changes of one difference may take, about.
const MAX_BYTES: usize = 128 * 1024;

/// Bytes that one value of a change may take, about.
const MAX_VALUE: usize = 16 * 1024;

/// Most characters of one key in a path.
const MAX_KEY: usize = 200;

/// A path being written, as reports show it: `$.items[2].name`, `$['odd key']` (RFC 9535 escapes).
#[derive(Debug, Clone)]
pub struct JsonPathText(String);

impl Default for JsonPathText {
    fn default() -> Self {
        Self("$".to_owned())
    }
}

impl JsonPathText {
    /// Steps into an object.
    pub fn push_member(&mut self, key: &str) {
        let plain = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && key.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
        if plain {
            self.0.push('.');
            self.0.push_str(key);
            return;
        }
        self.0.push_str("['");
        for character in key.chars() {
            match character {
                '\'' => self.0.push_str("\\'"),
                '\\' => self.0.push_str("\\\\"),
                '\u{8}' => self.0.push_str("\\b"),
                '\u{c}' => self.0.push_str("\\f"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                control if control < ' ' => self.0.push_str(&format!("\\u{:04x}", u32::from(control))),
                other => self.0.push(other),
            }
        }
        self.0.push_str("']");
    }

    /// Steps into an array.
    pub fn push_index(&mut self, index: usize) {
        self.0.push_str(&format!("[{index}]"));
    }

    /// The path so far.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Equal as JSON: numbers by value (`1`, `1.0` and `1e0` are one number; integers are never rounded), objects whatever their order.
#[must_use]
pub fn json_equal(a: &Value, b: &Value) -> bool {
    // A list of open comparisons instead of recursion: however deep the values are, the stack is not.
    let mut open = vec![(a, b)];
    while let Some(pair) = open.pop() {
        match pair {
            (Value::Number(a), Value::Number(b)) if number(a) == number(b) => {}
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => open.extend(a.iter().zip(b)),
            (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
                for (key, value) in a {
                    let Some(other) = b.get(key) else { return false };
                    open.push((value, other));
                }
            }
            (Value::Null, Value::Null) => {}
            (Value::Bool(a), Value::Bool(b)) if a == b => {}
            (Value::String(a), Value::String(b)) if a == b => {}
            _ => return false,
        }
    }
    true
}

/// A number by its value.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum NumberValue {
    Integer(i128),
    Float(u64),
}

pub(super) fn number(number: &Number) -> NumberValue {
    /// Floats up to here convert to `i128` exactly.
    const EXACT: f64 = 1e30;
    if let Some(integer) = number.as_i128() {
        return NumberValue::Integer(integer);
    }
    match number.as_f64() {
        Some(float) if float.fract() == 0.0 && float.abs() < EXACT => NumberValue::Integer(float as i128),
        Some(float) => NumberValue::Float(float.to_bits()),
        None => NumberValue::Float(f64::NAN.to_bits()),
    }
}

/// What changed from `old` to `new`, in the order of `old` with additions behind.
///
/// A path speaks of the new value, except the last step of something that was removed, which is its place in the old one.
/// Bounded in time, in the number of changes and in their size: see [`JsonChange::shortened`] and [`JsonChange::left_out`].
#[must_use]
pub fn json_diff(old: &Value, new: &Value) -> Vec<JsonChange> {
    json_diff_of(&[JsonPart { label: String::new(), old: Some(old), new: Some(new) }])
}

/// One of several values that are compared together.
#[derive(Debug, Clone)]
pub struct JsonPart<'a> {
    /// What stands in front of its paths.
    pub label: String,
    /// `None`: all of it was added.
    pub old: Option<&'a Value>,
    /// `None`: all of it was removed.
    pub new: Option<&'a Value>,
}

/// What changed in several values, within the bounds of one difference.
#[must_use]
pub fn json_diff_of(parts: &[JsonPart<'_>]) -> Vec<JsonChange> {
    let kept = Kept { label: "", changes: Vec::new(), room: MAX_BYTES, left_out: 0 };
    let mut walk = Walk { path: Vec::new(), kept, deadline: Instant::now() + DEADLINE };
    for part in parts {
        walk.kept.label = &part.label;
        match (part.old, part.new) {
            (Some(old), Some(new)) => walk.compare(old, new),
            (None, None) => {}
            (old, new) => walk.kept.push(&[], old, new),
        }
    }
    walk.kept.into_changes()
}

/// One step of a path. Paths are spelled only for changes that are kept: keys may be as long as a reply.
#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Index(usize),
}

/// The changes so far, within their bounds.
struct Kept<'a> {
    label: &'a str,
    changes: Vec<JsonChange>,
    room: usize,
    left_out: u64,
}

impl Kept<'_> {
    fn push(&mut self, path: &[Step<'_>], old: Option<&Value>, new: Option<&Value>) {
        if self.left_out > 0 || self.changes.len() == MAX_CHANGES || self.room == 0 {
            self.left_out += 1;
            return;
        }
        let path = format!("{}{}", self.label, spelled(path));
        let mut shortened = false;
        let mut short = |value: &Value| {
            let mut room = MAX_VALUE;
            let value = shortened_value(value, &mut room, &mut shortened);
            (value, MAX_VALUE - room)
        };
        let (old, new) = (old.map(&mut short), new.map(&mut short));
        let size = |value: &Option<(Value, usize)>| value.as_ref().map_or(0, |(_, size)| *size);
        self.room = self.room.saturating_sub(path.len() + size(&old) + size(&new));
        let value = |value: Option<(Value, usize)>| value.map(|(value, _)| value);
        self.changes.push(JsonChange { path, old: value(old), new: value(new), shortened, left_out: 0 });
    }

    fn into_changes(mut self) -> Vec<JsonChange> {
        if let Some(last) = self.changes.last_mut() {
            last.left_out = self.left_out;
        }
        self.changes
    }
}

fn spelled(path: &[Step<'_>]) -> String {
    let mut text = JsonPathText::default();
    for step in path {
        match step {
            Step::Member(key) => match key.char_indices().nth(MAX_KEY) {
                Some((end, _)) => text.push_member(&format!("{}…", &key[..end])),
                None => text.push_member(key),
            },
            Step::Index(index) => text.push_index(*index),
        }
    }
    text.0
}

/// The beginning of a value, of the same type. What it costs is taken from `room`.
fn shortened_value(value: &Value, room: &mut usize, shortened: &mut bool) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            *room = room.saturating_sub(8);
            value.clone()
        }
        Value::String(text) => Value::from(beginning(text, room, shortened)),
        Value::Array(items) => {
            let mut kept = Vec::new();
            for item in items {
                *room = room.saturating_sub(1);
                if *room == 0 {
                    *shortened = true;
                    kept.push(Value::from(format!("… ({} more items)", items.len() - kept.len())));
                    break;
                }
                kept.push(shortened_value(item, room, shortened));
            }
            Value::from(kept)
        }
        Value::Object(members) => {
            let mut kept = serde_json::Map::new();
            for (key, value) in members {
                *room = room.saturating_sub(1);
                if *room == 0 {
                    *shortened = true;
                    kept.insert("…".to_owned(), Value::from(format!("({} more members)", members.len() - kept.len())));
                    break;
                }
                let key = beginning(key, room, shortened);
                kept.insert(key, shortened_value(value, room, shortened));
            }
            Value::Object(kept)
        }
    }
}

fn beginning(text: &str, room: &mut usize, shortened: &mut bool) -> String {
    if text.len() <= *room {
        *room -= text.len();
        return text.to_owned();
    }
    *shortened = true;
    format!("{}…", &text[..text.floor_char_boundary(std::mem::take(room))])
}

struct Walk<'a> {
    path: Vec<Step<'a>>,
    kept: Kept<'a>,
    deadline: Instant,
}

impl<'a> Walk<'a> {
    fn compare(&mut self, old: &'a Value, new: &'a Value) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) if self.path.len() < MAX_DEPTH => {
                for (key, before) in old {
                    self.path.push(Step::Member(key));
                    match new.get(key) {
                        Some(after) => self.compare(before, after),
                        None => self.kept.push(&self.path, Some(before), None),
                    }
                    self.path.pop();
                }
                for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                    self.push(Step::Member(key), None, Some(after));
                }
            }
            (Value::Array(old), Value::Array(new)) if self.path.len() < MAX_DEPTH => self.items(old, new),
            _ if json_equal(old, new) => {}
            _ => self.kept.push(&self.path, Some(old), Some(new)),
        }
    }

    fn push(&mut self, step: Step<'a>, old: Option<&Value>, new: Option<&Value>) {
        self.path.push(step);
        self.kept.push(&self.path, old, new);
        self.path.pop();
    }

    fn items(&mut self, old: &'a [Value], new: &'a [Value]) {
        let alignment = Alignment::of(old, new, self.deadline);
        for operation in alignment.changes() {
            let (before, after) = (operation.old_range(), operation.new_range());
            let pairs = alignment.pairs(operation);
            let (mut from, mut to) = (before.start, after.start);
            for (left, right) in pairs.into_iter().chain([(before.end, after.end)]) {
                for (index, item) in (from..).zip(&old[from.min(left)..left]) {
                    self.push(Step::Index(index), Some(item), None);
                }
                for (index, item) in (to..).zip(&new[to.min(right)..right]) {
                    self.push(Step::Index(index), None, Some(item));
                }
                (from, to) = (left + 1, right + 1);
                if left < before.end && right < after.end {
                    self.path.push(Step::Index(right));
                    self.compare(&old[left], &new[right]);
                    self.path.pop();
                }
            }
        }
    }
}

/// Paths of the objects whose common members stand in another order. The place of a key is no difference to a program, but a person who
/// compares two texts sees it.
#[must_use]
pub fn reordered_keys(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    reordered(old, new, &mut Vec::new(), &mut found, Instant::now() + DEADLINE);
    found
}

fn reordered<'a>(old: &'a Value, new: &'a Value, path: &mut Vec<Step<'a>>, found: &mut Vec<String>, deadline: Instant) {
    if path.len() >= MAX_DEPTH || found.len() >= MAX_CHANGES {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let before = old.keys().filter(|key| new.contains_key(*key));
            let after = new.keys().filter(|key| old.contains_key(*key));
            if !before.eq(after) {
                found.push(spelled(path));
            }
            for (key, value) in old {
                if let Some(other) = new.get(key) {
                    path.push(Step::Member(key));
                    reordered(value, other, path, found, deadline);
                    path.pop();
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (before, after) in Alignment::of(old, new, deadline).all_pairs() {
                path.push(Step::Index(after));
                reordered(&old[before], &new[after], path, found, deadline);
                path.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
