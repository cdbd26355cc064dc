//! Which items of two arrays of JSON values belong together?
//!
//! Equal ones in their order first; of the rest those that only moved; and between them the most alike ones.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::time::Instant;

use serde_json::Value;
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline};

use crate::diff::json::{MAX_DEPTH, json_equal, number};

/// Most pairs of unlike items that are compared with each other to find which became which.
const MAX_PAIRS: usize = 2_500;

/// Most changed items of one array among which those that only moved are looked for.
const MAX_MOVED: usize = 5_000;

/// How the items of two arrays stand to each other.
pub(super) struct Alignment<'a> {
    old: &'a [Value],
    new: &'a [Value],
    operations: Vec<DiffOp>,
    /// Items that are equal in another place: where they are, by where they were.
    moved: BTreeMap<usize, usize>,
    arrived: HashSet<usize>,
    deadline: Instant,
}

impl<'a> Alignment<'a> {
    pub(super) fn of(old: &'a [Value], new: &'a [Value], deadline: Instant) -> Self {
        let (left, right): (Vec<_>, Vec<_>) = (old.iter().map(Item).collect(), new.iter().map(Item).collect());
        let operations = capture_diff_slices_deadline(Algorithm::Myers, &left, &right, Some(deadline));
        let moved = moved(&operations, &left, &right);
        let arrived = moved.values().copied().collect();
        Self { old, new, operations, moved, arrived, deadline }
    }

    /// Where the arrays differ.
    pub(super) fn changes(&self) -> impl Iterator<Item = &DiffOp> {
        self.operations.iter().filter(|operation| operation.tag() != DiffTag::Equal)
    }

    /// Which of the items of a change became which others.
    pub(super) fn pairs(&self, change: &DiffOp) -> Vec<(usize, usize)> {
        if change.tag() != DiffTag::Replace {
            return Vec::new();
        }
        // An item that only moved became nothing else.
        let stayed = |range: Range<usize>, moved: &dyn Fn(&usize) -> bool| range.filter(|index| !moved(index)).collect::<Vec<_>>();
        let from = stayed(change.old_range(), &|index| self.moved.contains_key(index));
        let to = stayed(change.new_range(), &|index| self.arrived.contains(index));
        let olds: Vec<&Value> = from.iter().map(|index| &self.old[*index]).collect();
        let news: Vec<&Value> = to.iter().map(|index| &self.new[*index]).collect();
        pair(&olds, &news, self.deadline).into_iter().map(|(left, right)| (from[left], to[right])).collect()
    }

    /// All items that belong together, wherever they stand.
    pub(super) fn all_pairs(&self) -> Vec<(usize, usize)> {
        let together = |operation: &DiffOp| match operation.tag() {
            DiffTag::Equal => operation.old_range().zip(operation.new_range()).collect(),
            DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => self.pairs(operation),
        };
        let moved = self.moved.iter().map(|(from, to)| (*from, *to));
        self.operations.iter().flat_map(together).chain(moved).collect()
    }
}

/// Which of the old items became which of the new ones: in order, as alike as possible.
fn pair(old: &[&Value], new: &[&Value], deadline: Instant) -> Vec<(usize, usize)> {
    let (rows, columns) = (old.len(), new.len());
    if (rows == 1 && columns == 1) || rows.saturating_mul(columns) > MAX_PAIRS || Instant::now() >= deadline {
        return (0..rows.min(columns)).map(|index| (index, index)).collect();
    }
    // best[i][j]: most likeness that the items from i and from j on can have together. A pair always beats no pair.
    let mut alike: Vec<Vec<f64>> = Vec::with_capacity(rows);
    for before in old {
        if Instant::now() >= deadline {
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

/// Places of the items that were taken out in one place and stand, equal, in another: of the new array by those of the old one.
fn moved(operations: &[DiffOp], old: &[Item<'_>], new: &[Item<'_>]) -> BTreeMap<usize, usize> {
    let changed = || operations.iter().filter(|operation| operation.tag() != DiffTag::Equal);
    let mut gone: HashMap<&Item<'_>, Vec<usize>> = HashMap::new();
    let mut moved = BTreeMap::new();
    let olds: Vec<usize> = changed().flat_map(|operation| operation.old_range()).collect();
    if olds.len() > MAX_MOVED || changed().map(|operation| operation.new_range().len()).sum::<usize>() > MAX_MOVED {
        return moved;
    }
    // The first of equal items is the first to be found again.
    for index in olds.into_iter().rev() {
        gone.entry(&old[index]).or_default().push(index);
    }
    for index in changed().flat_map(|operation| operation.new_range()) {
        if let Some(place) = gone.get_mut(&new[index]).and_then(Vec::pop) {
            moved.insert(place, index);
        }
    }
    moved
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
pub(super) struct Item<'a>(pub(super) &'a Value);

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
