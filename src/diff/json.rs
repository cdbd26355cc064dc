//! Which values of a JSON document changed, and at which path?
//!
//! Objects are compared by key and arrays by alignment: one item that was deleted is one change, not a change of everything
//! behind it, and one that moved is taken out in one place and put in at another. Numbers are compared by value. The place of a key in
//! its object is no difference.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::{Number, Value};
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline};

use crate::model::verdict::JsonChange;

/// Values nested deeper are compared as wholes. serde_json reads at most 128 levels.
const MAX_DEPTH: usize = 128;

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

/// Most pairs of unlike items that are compared with each other to find which became which.
const MAX_PAIRS: usize = 2_500;

/// Most changed items of one array among which those that only moved are looked for.
const MAX_MOVED: usize = 5_000;

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
enum NumberValue {
    Integer(i128),
    Float(u64),
}

fn number(number: &Number) -> NumberValue {
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
        let (left, right): (Vec<_>, Vec<_>) = (old.iter().map(Item).collect(), new.iter().map(Item).collect());
        let operations = capture_diff_slices_deadline(Algorithm::Myers, &left, &right, Some(self.deadline));
        let moved = moved(&operations, &left, &right);
        for operation in operations {
            let (before, after) = (operation.old_range(), operation.new_range());
            if operation.tag() == DiffTag::Equal {
                continue;
            }
            let pairs = if operation.tag() == DiffTag::Replace {
                // An item that only moved became nothing else.
                let stayed = |range: &Range<usize>, moved: &HashSet<usize>| {
                    range.clone().filter(|index| !moved.contains(index)).map(|index| index - range.start).collect::<Vec<_>>()
                };
                let (from, to) = (stayed(&before, &moved.0), stayed(&after, &moved.1));
                let olds: Vec<&Value> = from.iter().map(|index| &old[before.start + index]).collect();
                let news: Vec<&Value> = to.iter().map(|index| &new[after.start + index]).collect();
                self.pair(&olds, &news).into_iter().map(|(left, right)| (from[left], to[right])).collect()
            } else {
                Vec::new()
            };
            let (mut from, mut to) = (before.start, after.start);
            for (left, right) in pairs.into_iter().chain([(before.len(), after.len())]) {
                for (index, item) in (from..).zip(&old[from.min(before.start + left)..before.start + left]) {
                    self.push(Step::Index(index), Some(item), None);
                }
                for (index, item) in (to..).zip(&new[to.min(after.start + right)..after.start + right]) {
                    self.push(Step::Index(index), None, Some(item));
                }
                (from, to) = (before.start + left + 1, after.start + right + 1);
                if left < before.len() && right < after.len() {
                    self.path.push(Step::Index(after.start + right));
                    self.compare(&old[before.start + left], &new[after.start + right]);
                    self.path.pop();
                }
            }
        }
    }

    /// Which of the old items became which of the new ones: in order, as alike as possible.
    fn pair(&self, old: &[&Value], new: &[&Value]) -> Vec<(usize, usize)> {
        let (rows, columns) = (old.len(), new.len());
        if (rows == 1 && columns == 1) || rows.saturating_mul(columns) > MAX_PAIRS || Instant::now() >= self.deadline {
            return (0..rows.min(columns)).map(|index| (index, index)).collect();
        }
        // best[i][j]: most likeness that the items from i and from j on can have together. A pair always beats no pair.
        let mut alike: Vec<Vec<f64>> = Vec::with_capacity(rows);
        for before in old {
            if Instant::now() >= self.deadline {
                return (0..rows.min(columns)).map(|index| (index, index)).collect();
            }
            alike.push(new.iter().map(|after| 0.05 + likeness(before, after, 0)).collect());
        }
        let mut best = vec![vec![0.0_f64; columns + 1]; rows + 1];
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                let paired = alike[row][column] + best[row + 1][column + 1];
                best[row][column] = paired.max(best[row + 1][column]).max(best[row][column + 1]);
            }
        }
        let (mut row, mut column, mut pairs) = (0, 0, Vec::new());
        while row < rows && column < columns {
            if alike[row][column] + best[row + 1][column + 1] >= best[row][column] {
                pairs.push((row, column));
                (row, column) = (row + 1, column + 1);
            } else if best[row + 1][column] >= best[row][column + 1] {
                row += 1;
            } else {
                column += 1;
            }
        }
        pairs
    }
}

/// Places of the items that were taken out in one place and stand, equal, in another: of the old array, and of the new one.
fn moved(operations: &[DiffOp], old: &[Item<'_>], new: &[Item<'_>]) -> (HashSet<usize>, HashSet<usize>) {
    let changed = || operations.iter().filter(|operation| operation.tag() != DiffTag::Equal);
    let mut gone: HashMap<&Item<'_>, Vec<usize>> = HashMap::new();
    let (mut from, mut to) = (HashSet::new(), HashSet::new());
    let olds: Vec<usize> = changed().flat_map(|operation| operation.old_range()).collect();
    if olds.len() > MAX_MOVED || changed().map(|operation| operation.new_range().len()).sum::<usize>() > MAX_MOVED {
        return (from, to);
    }
    // The first of equal items is the first to be found again.
    for index in olds.into_iter().rev() {
        gone.entry(&old[index]).or_default().push(index);
    }
    for index in changed().flat_map(|operation| operation.new_range()) {
        if let Some(place) = gone.get_mut(&new[index]).and_then(Vec::pop) {
            from.insert(place);
            to.insert(index);
        }
    }
    (from, to)
}

/// Paths of the objects whose common members stand in another order. The place of a key is no difference to a program, but a person who
/// compares two texts sees it.
#[must_use]
pub fn reordered_keys(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    reordered(old, new, &mut Vec::new(), &mut found);
    found
}

fn reordered<'a>(old: &'a Value, new: &'a Value, path: &mut Vec<Step<'a>>, found: &mut Vec<String>) {
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
                    reordered(value, other, path, found);
                    path.pop();
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                path.push(Step::Index(index));
                reordered(old, new, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// From 0 (nothing in common) to 1 (equal), looking two levels deep.
fn likeness(a: &Value, b: &Value, depth: usize) -> f64 {
    if json_equal(a, b) {
        return 1.0;
    }
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if depth < 2 => {
            let common: f64 = a.iter().filter_map(|(key, value)| Some(likeness(value, b.get(key)?, depth + 1))).sum();
            let all = a.len() + b.keys().filter(|key| !a.contains_key(*key)).count();
            0.9 * common / all.max(1) as f64
        }
        (Value::Array(a), Value::Array(b)) if depth < 2 => {
            let common: f64 = a.iter().zip(b).map(|(a, b)| likeness(a, b, depth + 1)).sum();
            0.9 * common / a.len().max(b.len()).max(1) as f64
        }
        (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => 0.05,
        _ => 0.0,
    }
}

/// A value that is equal to another one as `json_equal` says.
struct Item<'a>(&'a Value);

impl PartialEq for Item<'_> {
    fn eq(&self, other: &Self) -> bool {
        json_equal(self.0, other.0)
    }
}

impl Eq for Item<'_> {}

impl Hash for Item<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0, state, 0);
    }
}

/// Equal values have equal hashes; what is nested too deep adds nothing.
fn hash<H: Hasher>(value: &Value, state: &mut H, depth: usize) {
    std::mem::discriminant(value).hash(state);
    match value {
        Value::Null => {}
        Value::Bool(value) => value.hash(state),
        Value::Number(value) => number(value).hash(state),
        Value::String(value) => value.hash(state),
        Value::Array(items) => {
            items.len().hash(state);
            if depth < MAX_DEPTH {
                items.iter().for_each(|item| hash(item, state, depth + 1));
            }
        }
        Value::Object(members) => {
            members.len().hash(state);
            if depth < MAX_DEPTH {
                // A sum does not depend on the order of the members.
                let sum = members.iter().fold(0_u64, |sum, (key, value)| {
                    let mut member = DefaultHasher::new();
                    key.hash(&mut member);
                    hash(value, &mut member, depth + 1);
                    sum.wrapping_add(member.finish())
                });
                sum.hash(state);
            }
        }
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
