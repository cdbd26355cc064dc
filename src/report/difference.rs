//! How is a difference laid out in lines, whoever shows it?
//!
//! ```text
//! @@ -3 +3 @@
//!   Dear customer,
//! - we [-refunded-] the second charge.
//! + we {+will refund+} the second charge.
//! ~ $.queue: "billing" -> "refunds"
//! ~ $.items[0] -> $.items[3]: moved {"id":1}
//! ```

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use crate::model::verdict::{Change, Diff, DiffLine, DiffPart, JsonChange, TextDiff};
use crate::report::{figures, visible};

/// Longest pair of JSON values, in characters, that still reads well on one line with an arrow.
const ARROW: usize = 72;
/// Longest JSON value that is shown whole.
const VALUE: usize = 4_000;

/// What a line of a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Same,
    Removed,
    Added,
    /// A JSON value that is another one now, old and new on one line.
    Changed,
    /// Where a hunk begins, or that something was left out.
    Note,
}

impl Sign {
    pub(crate) const fn as_char(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Removed => '-',
            Self::Added => '+',
            Self::Changed => '~',
            Self::Note => '@',
        }
    }
}

/// One line of a difference; its parts are already safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) sign: Sign,
    pub(crate) parts: Vec<Part<'a>>,
}

/// Some text, and whether it is what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) emphasised: bool,
}

impl<'a> Row<'a> {
    fn plain(sign: Sign, text: impl Into<Cow<'a, str>>) -> Self {
        Self { sign, parts: vec![Part { text: text.into(), emphasised: false }] }
    }

    /// The line without colour: what changed stands in `[-` `-]` or `{+` `+}`, as `git diff --word-diff` marks it.
    pub(crate) fn to_plain(&self) -> String {
        let mut line = match self.sign {
            Sign::Note => String::new(),
            sign => format!("{} ", sign.as_char()),
        };
        let (open, close) = self.marks();
        for part in &self.parts {
            if part.emphasised {
                line.push_str(open);
                line.push_str(&part.text);
                line.push_str(close);
            } else {
                line.push_str(&part.text);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// What stands around an emphasised part where there is no colour.
    pub(crate) const fn marks(&self) -> (&'static str, &'static str) {
        match self.sign {
            Sign::Removed => ("[-", "-]"),
            Sign::Added => ("{+", "+}"),
            Sign::Same | Sign::Changed | Sign::Note => ("", ""),
        }
    }
}

/// All lines of a difference. `arrows`: short JSON changes on one line; without, each as an old and a new line.
pub(crate) fn rows(diff: &Diff, arrows: bool) -> Box<dyn Iterator<Item = Row<'_>> + '_> {
    match diff {
        Diff::Text(text) => Box::new(text_rows(text)),
        Diff::Json(changes) => {
            let moves = moves(changes);
            let rows = changes.iter().enumerate().flat_map(move |(index, change)| match moves.get(&index) {
                Some(Some(to)) => vec![moved_row(change, to)],
                Some(None) => Vec::new(),
                None => json_rows(change, arrows),
            });
            Box::new(rows.chain(cut_rows(changes)))
        }
    }
}

/// How many places differ, in words: `2 values differ`.
pub(crate) fn size(diff: &Diff) -> String {
    let (count, noun) = match diff {
        Diff::Json(changes) => {
            let left_out = changes.last().map_or(0, |change| usize::try_from(change.left_out).unwrap_or(usize::MAX));
            // An item that moved is in two changes, and one that stands where it stood in two that say nothing.
            let told_elsewhere = moves(changes).values().filter(|other| other.is_none()).count();
            ((changes.len() - told_elsewhere).saturating_add(left_out), "value")
        }
        Diff::Text(text) => {
            let side = |side: Change| text.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.change == side).count();
            let all = |side_of: Change, left_out: u64| side(side_of).saturating_add(usize::try_from(left_out).unwrap_or(usize::MAX));
            (all(Change::Removed, text.left_out_removed).max(all(Change::Added, text.left_out_added)), "line")
        }
    };
    match count {
        1 => format!("1 {noun} differs"),
        _ => format!("{count} {noun}s differ"),
    }
}

/// The lines of a difference of texts.
pub(crate) fn text_rows(text: &TextDiff) -> impl Iterator<Item = Row<'_>> {
    // A short answer is one hunk from its first line on: its head would say nothing.
    let heads = text.hunks.len() > 1 || text.hunks.first().is_some_and(|hunk| hunk.old_start > 1);
    let hunks = text.hunks.iter().flat_map(move |hunk| {
        let head = heads.then(|| Row::plain(Sign::Note, format!("@@ -{} +{} @@", hunk.old_start, hunk.new_start)));
        let lines = hunk.lines.iter().map(line);
        head.into_iter().chain(lines)
    });
    hunks.chain(left_out(text).map(|told| Row::plain(Sign::Note, told)))
}

/// How many lines of a difference of texts are not there; changes of JSON values are told by their own row.
pub(crate) fn lines_left_out(diff: &Diff) -> u64 {
    match diff {
        Diff::Text(text) => text.left_out_removed.saturating_add(text.left_out_added),
        Diff::Json(changes) => changes.last().map_or(0, |change| change.left_out),
    }
}

/// What of a difference of texts is not there.
pub(crate) fn left_out(text: &TextDiff) -> Option<String> {
    let sides = [(text.left_out_removed, "removed"), (text.left_out_added, "added")];
    let told: Vec<String> =
        sides.iter().filter(|(count, _)| *count > 0).map(|(count, side)| format!("{} {side}", figures::count(*count))).collect();
    let all = text.left_out_removed.saturating_add(text.left_out_added);
    match all {
        0 => text.cut.then(|| "… some of the difference was left out: it is too large to compare whole".to_owned()),
        _ => Some(format!("… {} not shown: {}", figures::counted(all, "more line is", "more lines are"), told.join(", "))),
    }
}

/// One line of a difference of outputs.
pub(crate) fn line(line: &DiffLine) -> Row<'_> {
    Row { sign: sign(line.change), parts: parts(&line.parts, visible::output, visible::emphasised) }
}

/// One line of a difference of texts that are safe to show already.
pub(crate) fn safe_line(line: &DiffLine) -> Row<'_> {
    Row { sign: sign(line.change), parts: parts(&line.parts, visible::lines, visible::lines) }
}

const fn sign(change: Change) -> Sign {
    match change {
        Change::Same => Sign::Same,
        Change::Removed => Sign::Removed,
        Change::Added => Sign::Added,
    }
}

/// Blanks between two changed words belong to the change, and a line that changed whole needs no marks.
fn parts<'a>(parts: &'a [DiffPart], plain: fn(&str) -> Cow<'_, str>, strong: fn(&str) -> Cow<'_, str>) -> Vec<Part<'a>> {
    let mut joined: Vec<(String, bool)> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let blank = !part.emphasised && part.text.trim().is_empty();
        let between = blank && index > 0 && parts[index - 1].emphasised && parts.get(index + 1).is_some_and(|next| next.emphasised);
        let emphasised = part.emphasised || between;
        match joined.last_mut() {
            Some((text, same)) if *same == emphasised => text.push_str(&part.text),
            _ => joined.push((part.text.clone(), emphasised)),
        }
    }
    let whole = joined.iter().all(|(text, emphasised)| *emphasised || text.trim().is_empty());
    let shown = |(text, emphasised): (String, bool)| {
        let emphasised = emphasised && (!whole || text.trim().is_empty());
        let text = if emphasised { strong(&text) } else { plain(&text) };
        Part { text: Cow::Owned(text.into_owned()), emphasised }
    };
    joined.into_iter().map(shown).collect()
}

/// What of a difference of JSON values is not there.
fn cut_rows(changes: &[JsonChange]) -> impl Iterator<Item = Row<'_>> {
    let left_out = changes.last().map_or(0, |change| change.left_out);
    let further = (left_out > 0).then(|| {
        let changes = figures::counted(left_out, "further change was", "further changes were");
        Row::plain(Sign::Note, format!("… {changes} left out: the difference is too large to keep whole"))
    });
    let shortened = changes.iter().any(|change| change.shortened);
    let shortened = shortened.then(|| Row::plain(Sign::Note, "… values that end in `…` are shortened: the reply has them whole"));
    shortened.into_iter().chain(further)
}

/// Which changes are a value that was taken out in one place and put in, equal, at another: of each pair the first one with the other's
/// change, the second one with nothing; both with nothing where that is the same place. Any item may move within its array; from one
/// object or array to another only a value that is taken for itself, and not for one that is equal by chance.
fn moves(changes: &[JsonChange]) -> HashMap<usize, Option<&JsonChange>> {
    // `$.items[3]`, and not `$['odd key']`.
    let array = |change: &JsonChange| {
        let (array, place) = change.path.strip_suffix(']')?.rsplit_once('[')?;
        place.bytes().all(|byte| byte.is_ascii_digit()).then(|| array.to_owned())
    };
    let mut open: HashMap<(String, String), Vec<usize>> = HashMap::new();
    let mut moves = HashMap::new();
    for (index, change) in changes.iter().enumerate().filter(|(_, change)| !change.shortened) {
        let (Some(array), one_side) = (array(change), change.old.as_ref().xor(change.new.as_ref())) else { continue };
        let Some(value) = one_side else { continue };
        let here = open.entry((array, value.to_string())).or_default();
        let pair = here.iter().position(|other| changes[*other].old.is_some() != change.old.is_some());
        match pair {
            Some(at) => {
                let other = here.remove(at);
                // Where it stands at the place where it stood, its neighbours moved.
                moves.insert(other, (changes[other].path != change.path).then_some(change));
                moves.insert(index, None);
            }
            None => here.push(index),
        }
    }
    // Of what is not there nobody knows whether it is the same value once more.
    if changes.last().is_none_or(|last| last.left_out == 0) {
        moved_elsewhere(changes, &mut moves);
    }
    moves
}

fn moved_elsewhere<'a>(changes: &'a [JsonChange], moves: &mut HashMap<usize, Option<&'a JsonChange>>) {
    let mut sides: HashMap<String, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for (index, change) in changes.iter().enumerate().filter(|(index, change)| !change.shortened && !moves.contains_key(index)) {
        match (&change.old, &change.new) {
            (Some(gone), None) => sides.entry(gone.to_string()).or_default().0.push(index),
            (None, Some(come)) => sides.entry(come.to_string()).or_default().1.push(index),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    for pair in sides.values() {
        let ([gone], [come]) = (pair.0.as_slice(), pair.1.as_slice()) else { continue };
        let (first, second) = (*gone.min(come), *gone.max(come));
        let same_key = member(&changes[first].path).is_some_and(|key| member(&changes[second].path) == Some(key));
        if changes[*gone].old.as_ref().is_some_and(|value| is_telling(value, same_key)) {
            moves.insert(first, Some(&changes[second]));
            moves.insert(second, None);
        }
    }
}

/// The key at the end of a path, as it is spelled there; an item of an array has none.
fn member(path: &str) -> Option<&str> {
    match path.strip_suffix("']") {
        Some(path) => path.rsplit_once("['").map(|(_, key)| key),
        None => path.rsplit_once('.').map(|(_, key)| key).filter(|key| !key.ends_with(']')),
    }
}

/// Whether two equal values are the same one: `false` and `"no"` stand anywhere, a number tells something under its own key.
fn is_telling(value: &Value, same_key: bool) -> bool {
    const SHORT: usize = 4;
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => same_key,
        Value::String(text) => text.chars().count() >= if same_key { 1 } else { SHORT },
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// `~ $.items[0] -> $.items[3]: moved {"id":1}`.
fn moved_row<'a>(first: &'a JsonChange, second: &'a JsonChange) -> Row<'a> {
    let (from, to) = if first.old.is_some() { (first, second) } else { (second, first) };
    let (from_path, to_path) = (visible::name(&from.path), visible::name(&to.path));
    let value = from.old.as_ref().map(json).unwrap_or_default();
    let value = visible::brief(&value, ARROW);
    let part = |text: String, emphasised| Part { text: Cow::Owned(text), emphasised };
    Row {
        sign: Sign::Changed,
        parts: vec![part(format!("{from_path} -> {to_path}: "), false), part("moved ".to_owned(), true), part(value, false)],
    }
}

fn json_rows(change: &JsonChange, arrows: bool) -> Vec<Row<'_>> {
    let path = visible::name(&change.path);
    let side = |sign, value: &Value| Row::plain(sign, format!("{path}: {}", json(value)));
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => {
            let (old_text, new_text) = (json(old), json(new));
            if arrows && old_text.chars().count() + new_text.chars().count() <= ARROW {
                let text = |text: Cow<'static, str>, emphasised| Part { text, emphasised };
                let head = text(Cow::Owned(format!("{path}: ")), false);
                let parts = vec![head, text(old_text.into(), false), text(" -> ".into(), false), text(new_text.into(), true)];
                return vec![Row { sign: Sign::Changed, parts }];
            }
            vec![side(Sign::Removed, old), side(Sign::Added, new)]
        }
        (Some(old), None) => vec![side(Sign::Removed, old)],
        (None, Some(new)) => vec![side(Sign::Added, new)],
        (None, None) => Vec::new(),
    }
}

fn json(value: &Value) -> String {
    let text = value.to_string();
    visible::brief(&text, VALUE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::json_diff;

    #[test]
    fn an_item_at_another_place_of_its_array_is_moved_in_every_layout() {
        let diff = Diff::Json(json_diff(
            &json!({"queue": "billing", "items": [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]}),
            &json!({"queue": "refunds", "items": [{"id": 2}, {"id": 3}, {"id": 4}, {"id": 1}]}),
        ));
        let told = |arrows: bool| rows(&diff, arrows).map(|row| row.to_plain() + "\n").collect::<String>();
        insta::assert_snapshot!(told(true), @r#"
        ~ $.queue: "billing" -> "refunds"
        ~ $.items[0] -> $.items[3]: moved {"id":1}
        "#);
        insta::assert_snapshot!(told(false), @r#"
        - $.queue: "billing"
        + $.queue: "refunds"
        ~ $.items[0] -> $.items[3]: moved {"id":1}
        "#);
        assert_eq!(size(&diff), "2 values differ");
    }

    #[test]
    fn an_item_at_the_same_place_of_its_array_did_not_move() {
        let diff = Diff::Json(json_diff(&json!({"items": [1, 2, 3, 4, 5]}), &json!({"items": [5, 4, 3, 2, 1]})));
        let told: Vec<String> = rows(&diff, true).map(|row| row.to_plain()).collect();
        let stayed = |line: &String| line.starts_with("~ $.items[2] -> $.items[2]");
        assert!(told.len() >= 3 && !told.iter().any(stayed), "{told:#?}");
        assert!(told.iter().all(|line| line.contains("moved")), "{told:#?}");
        assert_eq!(size(&diff), format!("{} values differ", told.len()));
    }

    #[test]
    fn what_is_left_out_counts_as_differing() {
        let text = |word: &str, lines: usize| (1..=lines).map(|line| format!("{word} {line}\n")).collect::<String>();
        let diff = Diff::Text(crate::diff::text_diff(&text("old", 1_500), &text("new", 1_600)));
        assert_eq!(size(&diff), "1600 lines differ");
        let last = rows(&diff, true).last().unwrap().to_plain();
        assert_eq!(last, "… 2,100 more lines are not shown: 500 removed, 1,600 added");
    }

    #[test]
    fn a_member_that_has_the_value_of_another_one_did_not_move() {
        let diff = Diff::Json(json_diff(&json!({"a b": 1, "x[0": 2}), &json!({"c d": 1, "y[0": 2})));
        assert!(rows(&diff, true).all(|row| !row.to_plain().contains("moved")));
        assert_eq!(size(&diff), "4 values differ");
    }

    #[test]
    fn a_value_that_stands_under_another_key_or_in_another_object_is_moved() {
        let told = |old: Value, new: Value| {
            let diff = Diff::Json(json_diff(&old, &new));
            format!("{}: {}", size(&diff), rows(&diff, true).map(|row| row.to_plain()).collect::<Vec<_>>().join(" | "))
        };
        let address = json!({"street": "Main 1", "zip": "12345"});
        insta::assert_snapshot!(
            told(json!({"user": {"name": "Ada", "addr": address}, "x": 1}), json!({"user": {"name": "Ada"}, "x": 1, "addr": address})),
            @r#"1 value differs: ~ $.user.addr -> $.addr: moved {"street":"Main 1","zip":"12345"}"#
        );
        insta::assert_snapshot!(
            told(json!({"queue": "billing", "n": {"total": 12}}), json!({"category": "billing", "n": {}, "total": 12})),
            @r#"2 values differ: ~ $.queue -> $.category: moved "billing" | ~ $.n.total -> $.total: moved 12"#
        );
        // What is equal by chance, or at several places, is not said to be the same.
        insta::assert_snapshot!(
            told(json!({"a": "no", "b": "billing", "c": true}), json!({"d": "no", "e": "billing", "f": "billing", "g": {"c": true}})),
            @r#"7 values differ: - $.a: "no" | - $.b: "billing" | - $.c: true | + $.d: "no" | + $.e: "billing" | + $.f: "billing" | + $.g: {"c":true}"#
        );
    }

    #[test]
    fn what_goes_in_one_array_and_comes_in_another_did_not_move() {
        let diff = Diff::Json(json_diff(&json!({"a": [1, 2], "b": [3]}), &json!({"a": [2], "b": [3, 1]})));
        assert!(rows(&diff, true).all(|row| !row.to_plain().contains("moved")));
    }
}
