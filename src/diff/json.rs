//! Which values of a JSON document changed, and at which path?
//!
//! Objects are compared by key and arrays by alignment: one item that was deleted is one change, not a change of everything
//! behind it. Numbers are compared by value. The place of a key in its object is no difference.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use serde_json::{Number, Value};
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};

use crate::model::verdict::JsonChange;

/// Values nested deeper are compared as wholes. serde_json reads at most 128 levels.
const MAX_DEPTH: usize = 128;

/// After so long arrays are no longer aligned by likeness, only by place.
const DEADLINE: Duration = Duration::from_millis(300);

/// Most pairs of unlike items that are compared with each other to find which became which.
const MAX_PAIRS: usize = 2_500;

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
#[must_use]
pub fn json_diff(old: &Value, new: &Value) -> Vec<JsonChange> {
    let mut walk = Walk { changes: Vec::new(), deadline: Instant::now() + DEADLINE };
    walk.compare(&JsonPathText::default(), old, new, 0);
    walk.changes
}

struct Walk {
    changes: Vec<JsonChange>,
    deadline: Instant,
}

impl Walk {
    fn compare(&mut self, path: &JsonPathText, old: &Value, new: &Value, depth: usize) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) if depth < MAX_DEPTH => {
                for (key, before) in old {
                    let path = path.member(key);
                    match new.get(key) {
                        Some(after) => self.compare(&path, before, after, depth + 1),
                        None => self.push(&path, Some(before), None),
                    }
                }
                for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                    self.push(&path.member(key), None, Some(after));
                }
            }
            (Value::Array(old), Value::Array(new)) if depth < MAX_DEPTH => self.items(path, old, new, depth),
            _ if json_equal(old, new) => {}
            _ => self.push(path, Some(old), Some(new)),
        }
    }

    fn push(&mut self, path: &JsonPathText, old: Option<&Value>, new: Option<&Value>) {
        self.changes.push(JsonChange { path: path.0.clone(), old: old.cloned(), new: new.cloned() });
    }

    fn items(&mut self, path: &JsonPathText, old: &[Value], new: &[Value], depth: usize) {
        let (left, right): (Vec<_>, Vec<_>) = (old.iter().map(Item).collect(), new.iter().map(Item).collect());
        for operation in capture_diff_slices_deadline(Algorithm::Myers, &left, &right, Some(self.deadline)) {
            let (before, after) = (operation.old_range(), operation.new_range());
            let pairs = if operation.tag() == DiffTag::Replace { self.pair(&old[before.clone()], &new[after.clone()]) } else { Vec::new() };
            if operation.tag() == DiffTag::Equal {
                continue;
            }
            let (mut from, mut to) = (before.start, after.start);
            for (left, right) in pairs.into_iter().chain([(before.len(), after.len())]) {
                for (index, item) in (from..).zip(&old[from.min(before.start + left)..before.start + left]) {
                    self.push(&path.item(index), Some(item), None);
                }
                for (index, item) in (to..).zip(&new[to.min(after.start + right)..after.start + right]) {
                    self.push(&path.item(index), None, Some(item));
                }
                (from, to) = (before.start + left + 1, after.start + right + 1);
                if left < before.len() && right < after.len() {
                    self.compare(&path.item(after.start + right), &old[before.start + left], &new[after.start + right], depth + 1);
                }
            }
        }
    }

    /// Which of the old items became which of the new ones: in order, as alike as possible.
    fn pair(&self, old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
        let (rows, columns) = (old.len(), new.len());
        if (rows == 1 && columns == 1) || rows.saturating_mul(columns) > MAX_PAIRS || Instant::now() >= self.deadline {
            return (0..rows.min(columns)).map(|index| (index, index)).collect();
        }
        // best[i][j]: most likeness that the items from i and from j on can have together. A pair always beats no pair.
        let likeness: Vec<Vec<f64>> =
            old.iter().map(|before| new.iter().map(|after| 0.05 + likeness(before, after, 0)).collect()).collect();
        let mut best = vec![vec![0.0_f64; columns + 1]; rows + 1];
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                let paired = likeness[row][column] + best[row + 1][column + 1];
                best[row][column] = paired.max(best[row + 1][column]).max(best[row][column + 1]);
            }
        }
        let (mut row, mut column, mut pairs) = (0, 0, Vec::new());
        while row < rows && column < columns {
            if likeness[row][column] + best[row + 1][column + 1] >= best[row][column] {
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

impl JsonPathText {
    fn member(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.push_member(key);
        path
    }

    fn item(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.push_index(index);
        path
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
