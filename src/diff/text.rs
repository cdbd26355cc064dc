//! Which lines of a text changed, and which words in them?
//!
//! Lines are what stands between line feeds: a text that ends in a line feed has an empty last line, so a line feed that was
//! added or lost at the end shows as that empty line, and joining the lines of one side with line feeds gives the text back.
//! A carriage return belongs to its line: CRLF against LF shows as a changed line whose `\r` is emphasised.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline, group_diff_ops};
use unicode_segmentation::UnicodeSegmentation;

use crate::model::verdict::{Change, DiffLine, DiffPart, Hunk, TextDiff};

/// How far a difference may go.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Unchanged lines around a change.
    context: usize,
    /// Time for the whole difference.
    time: Duration,
    /// Lines of all hunks together.
    lines: usize,
    /// Bytes of all lines together.
    bytes: usize,
    /// Bytes of one line.
    line_bytes: usize,
}

/// A report of thousands of failed cells keeps one difference each, so one must stay small.
const LIMITS: Limits = Limits { context: 3, time: Duration::from_millis(300), lines: 1_000, bytes: 128 * 1024, line_bytes: 16 * 1024 };

/// For a person who looks at one difference and pages through all of it.
const AT_LENGTH: Limits = Limits { context: 3, time: Duration::from_millis(500), lines: 20_000, bytes: 1024 * 1024, line_bytes: 64 * 1024 };

/// Below this share of common words two groups of lines are two different things, and marking single words only confuses.
const EMPHASIS_FROM: f64 = 0.3;

/// The changed lines with three lines of context. Bounded in size, and in time to about 300 ms; `cut` says that a bound was hit.
#[must_use]
pub fn text_diff(old: &str, new: &str) -> TextDiff {
    diff(old, new, LIMITS)
}

/// The same with room for twenty times as much, in about 500 ms: to be looked at, not to be kept.
#[must_use]
pub fn text_diff_at_length(old: &str, new: &str) -> TextDiff {
    diff(old, new, AT_LENGTH)
}

fn diff(old: &str, new: &str, limits: Limits) -> TextDiff {
    if old == new {
        return TextDiff::default();
    }
    let deadline = Instant::now() + limits.time;
    let (old, new) = (lines(old), lines(new));
    let operations = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(deadline));
    let mut writer = Writer { limits, room: limits.bytes, lines_left: limits.lines, cut: Instant::now() >= deadline };
    let mut hunks = Vec::new();
    let (mut removed, mut added) = (0, 0);
    for operation in operations.iter().filter(|operation| operation.tag() != DiffTag::Equal) {
        removed += operation.old_range().len();
        added += operation.new_range().len();
    }
    for group in group_diff_ops(operations, limits.context) {
        let Some(first) = group.first() else { continue };
        let mut hunk = Hunk { old_start: one_based(first.old_range()), new_start: one_based(first.new_range()), lines: Vec::new() };
        let complete = group.iter().all(|operation| writer.write(&mut hunk, operation, &old, &new, deadline));
        if !hunk.lines.is_empty() {
            hunks.push(hunk);
        }
        if !complete {
            break;
        }
    }
    let shown = |side: Change| hunks.iter().flat_map(|hunk: &Hunk| &hunk.lines).filter(|line| line.change == side).count();
    let left_out = |all: usize, side: Change| u64::try_from(all.saturating_sub(shown(side))).unwrap_or(u64::MAX);
    let (left_out_removed, left_out_added) = (left_out(removed, Change::Removed), left_out(added, Change::Added));
    TextDiff { hunks, cut: writer.cut, left_out_removed, left_out_added }
}

fn lines(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('\n').collect() }
}

fn one_based(range: Range<usize>) -> u64 {
    u64::try_from(range.start).unwrap_or(u64::MAX).saturating_add(1)
}

/// The parts of several lines.
type Lines = Vec<Vec<DiffPart>>;

struct Writer {
    limits: Limits,
    room: usize,
    lines_left: usize,
    cut: bool,
}

impl Writer {
    /// Whether everything of `operation` found room.
    fn write(&mut self, hunk: &mut Hunk, operation: &DiffOp, old: &[&str], new: &[&str], deadline: Instant) -> bool {
        let (removed, added) = (&old[operation.old_range()], &new[operation.new_range()]);
        match operation.tag() {
            DiffTag::Equal => self.plain(hunk, Change::Same, removed),
            DiffTag::Delete => self.plain(hunk, Change::Removed, removed),
            DiffTag::Insert => self.plain(hunk, Change::Added, added),
            DiffTag::Replace => match emphasised(removed, added, self.limits.bytes, deadline) {
                Some((removed, added)) => {
                    removed.into_iter().all(|parts| self.push(hunk, Change::Removed, parts))
                        && added.into_iter().all(|parts| self.push(hunk, Change::Added, parts))
                }
                None => self.plain(hunk, Change::Removed, removed) && self.plain(hunk, Change::Added, added),
            },
        }
    }

    fn plain(&mut self, hunk: &mut Hunk, change: Change, lines: &[&str]) -> bool {
        lines.iter().all(|line| {
            let (line, cut) = clip(line, self.limits.line_bytes);
            self.cut |= cut;
            self.push(hunk, change, vec![DiffPart { text: line, emphasised: false }])
        })
    }

    fn push(&mut self, hunk: &mut Hunk, change: Change, mut parts: Vec<DiffPart>) -> bool {
        parts.retain(|part| !part.text.is_empty());
        let bytes = |parts: &[DiffPart]| parts.iter().map(|part| part.text.len()).sum::<usize>();
        if bytes(&parts) > self.limits.line_bytes {
            parts = narrowed(&parts, self.limits.line_bytes);
            self.cut = true;
        }
        let size = bytes(&parts);
        if self.lines_left == 0 || size > self.room {
            self.cut = true;
            return false;
        }
        self.lines_left -= 1;
        self.room -= size;
        hunk.lines.push(DiffLine { change, parts });
        true
    }
}

/// The words that changed between two groups of lines; `None` where they have too little in common, or are too large.
fn emphasised(old: &[&str], new: &[&str], limit: usize, deadline: Instant) -> Option<(Lines, Lines)> {
    let size = |lines: &[&str]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
    if size(old) > limit || size(new) > limit || Instant::now() >= deadline {
        return None;
    }
    let (old, new) = (tokens(old), tokens(new));
    let operations = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(deadline));
    let mut common = 0;
    let mut changed = (vec![true; old.len()], vec![true; new.len()]);
    for operation in operations.iter().filter(|operation| operation.tag() == DiffTag::Equal) {
        changed.0[operation.old_range()].fill(false);
        changed.1[operation.new_range()].fill(false);
        common += old[operation.old_range()].iter().filter(|token| is_solid(token)).count();
    }
    let solid = old.iter().chain(&new).filter(|token| is_solid(token)).count();
    let share = 2.0 * common as f64 / solid.max(1) as f64;
    (share >= EMPHASIS_FROM || solid == 0).then(|| (parts(&old, &changed.0), parts(&new, &changed.1)))
}

/// Words, white space and punctuation of all lines, with a line feed between lines.
fn tokens<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut tokens = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            tokens.push("\n");
        }
        tokens.extend(line.split_word_bounds());
    }
    tokens
}

fn is_solid(token: &str) -> bool {
    token.chars().any(|character| !character.is_whitespace())
}

/// Tokens back into lines; neighbours with the same emphasis become one part.
fn parts(tokens: &[&str], changed: &[bool]) -> Lines {
    let mut lines = vec![Vec::<DiffPart>::new()];
    for (token, &emphasised) in tokens.iter().zip(changed) {
        if *token == "\n" {
            lines.push(Vec::new());
            continue;
        }
        let Some(line) = lines.last_mut() else { continue };
        match line.last_mut() {
            Some(part) if part.emphasised == emphasised => part.text.push_str(token),
            _ => line.push(DiffPart { text: (*token).to_owned(), emphasised }),
        }
    }
    lines
}

/// The beginning of a line that is too long.
fn clip(line: &str, limit: usize) -> (String, bool) {
    if line.len() <= limit {
        return (line.to_owned(), false);
    }
    (format!("{}…", &line[..line.floor_char_boundary(limit.saturating_sub('…'.len_utf8()))]), true)
}

/// A line that is too long, around its first change.
fn narrowed(parts: &[DiffPart], limit: usize) -> Vec<DiffPart> {
    let first = parts.iter().position(|part| part.emphasised).unwrap_or(0);
    let mut kept = Vec::new();
    let mut room = limit.saturating_sub(2 * '…'.len_utf8());
    if let Some(before) = first.checked_sub(1).map(|index| &parts[index]) {
        let start = before.text.ceil_char_boundary(before.text.len().saturating_sub(room / 4));
        let ellipsis = if start > 0 || first > 1 { "…" } else { "" };
        room -= before.text.len() - start;
        kept.push(DiffPart { text: format!("{ellipsis}{}", &before.text[start..]), emphasised: false });
    }
    for part in &parts[first..] {
        let end = part.text.floor_char_boundary(room);
        if end < part.text.len() {
            kept.push(DiffPart { text: format!("{}…", &part.text[..end]), emphasised: part.emphasised });
            break;
        }
        room -= end;
        kept.push(part.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(diff: &TextDiff) -> String {
        let mut drawn = String::new();
        for hunk in &diff.hunks {
            drawn.push_str(&format!("@@ -{} +{} @@\n", hunk.old_start, hunk.new_start));
            for line in &hunk.lines {
                drawn.push(match line.change {
                    Change::Same => ' ',
                    Change::Removed => '-',
                    Change::Added => '+',
                });
                for part in &line.parts {
                    let text = part.text.escape_debug();
                    drawn.push_str(&if part.emphasised { format!("[{text}]") } else { text.to_string() });
                }
                drawn.push('\n');
            }
        }
        if diff.cut {
            drawn.push_str("(cut)\n");
        }
        drawn
    }

    fn side(diff: &TextDiff, other: Change) -> String {
        let lines = diff.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.change != other);
        lines.map(|line| line.parts.iter().map(|part| part.text.as_str()).collect::<String>()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn changed_words_are_emphasised_and_context_is_three_lines() {
        let old = "a\nb\nc\nd\nThe queue is billing today.\nf\ng\nh\ni\nj";
        let new = "a\nb\nc\nd\nThe queue is refunds today.\nf\ng\nh\ni\nj";
        insta::assert_snapshot!(draw(&text_diff(old, new)), @r"
        @@ -2 +2 @@
         b
         c
         d
        -The queue is [billing] today.
        +The queue is [refunds] today.
         f
         g
         h
        ");
    }

    #[test]
    fn lines_with_little_in_common_are_not_emphasised() {
        insta::assert_snapshot!(draw(&text_diff("completely different words here", "nothing shared at all")), @r"
        @@ -1 +1 @@
        -completely different words here
        +nothing shared at all
        ");
    }

    #[test]
    fn a_lost_final_line_feed_and_a_carriage_return_show() {
        insta::assert_snapshot!(draw(&text_diff("one\n", "one")), @r"
        @@ -1 +1 @@
         one
        -
        ");
        insta::assert_snapshot!(draw(&text_diff("one line\r\ntwo", "one line\ntwo")), @r"
        @@ -1 +1 @@
        -one line[\r]
        +one line
         two
        ");
    }

    #[test]
    fn far_changes_make_two_hunks() {
        let old: Vec<String> = (1..=30).map(|n| n.to_string()).collect();
        let mut new = old.clone();
        new.remove(2);
        new.insert(24, "new".to_owned());
        let diff = text_diff(&old.join("\n"), &new.join("\n"));
        assert_eq!(diff.hunks.len(), 2);
        assert_eq!((diff.hunks[1].old_start, diff.hunks[1].new_start), (23, 22));
    }

    #[test]
    fn equal_texts_have_no_difference_and_an_empty_one_has_no_lines() {
        assert_eq!(text_diff("same\n", "same\n"), TextDiff::default());
        insta::assert_snapshot!(draw(&text_diff("", "new")), @r"
        @@ -1 +1 @@
        +new
        ");
    }

    #[test]
    fn huge_texts_are_cut_in_size_and_time_and_say_so() {
        let make = |seed: u64| (0..200_000_u64).map(|n| format!("{}\n", (n * seed) % 99_991)).collect::<String>();
        let (old, new) = (make(7), make(13));
        let start = Instant::now();
        let diff = text_diff(&old, &new);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        assert!(diff.cut);
        let lines: Vec<_> = diff.hunks.iter().flat_map(|hunk| &hunk.lines).collect();
        assert!(lines.len() <= LIMITS.lines);
    }

    #[test]
    fn what_is_left_out_is_counted_and_at_length_it_is_there() {
        let text = |word: &str| (1..=1_500).map(|line| format!("{word} {line}\n")).collect::<String>();
        let (old, new) = (text("old"), format!("{}more\n", text("new")));
        let diff = text_diff(&old, &new);
        let count =
            |diff: &TextDiff, side: Change| diff.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.change == side).count();
        assert_eq!((count(&diff, Change::Removed), count(&diff, Change::Added)), (1_000, 0));
        assert_eq!((diff.cut, diff.left_out_removed, diff.left_out_added), (true, 500, 1_501));
        let whole = text_diff_at_length(&old, &new);
        assert_eq!((count(&whole, Change::Removed), count(&whole, Change::Added)), (1_500, 1_501));
        assert_eq!((whole.cut, whole.left_out_removed, whole.left_out_added), (false, 0, 0));
    }

    #[test]
    fn a_very_long_line_is_narrowed_to_its_change() {
        let old = format!("{}old{}", "word ".repeat(10_000), " tail".repeat(3_000));
        let new = format!("{}new{}", "word ".repeat(10_000), " tail".repeat(3_000));
        let diff = text_diff(&old, &new);
        assert!(diff.cut);
        let line = &diff.hunks[0].lines[0];
        assert!(line.parts.iter().any(|part| part.emphasised && part.text == "old"), "{line:?}");
        assert!(line.parts.iter().map(|part| part.text.len()).sum::<usize>() <= LIMITS.line_bytes);
        let megabytes = "é".repeat(5_000_000);
        assert!(text_diff(&megabytes, "x").cut);
    }

    proptest! {
        #[test]
        fn with_all_context_both_texts_come_back(old in "[abc \r\né]{0,60}", new in "[abc \r\né]{0,60}") {
            let diff = diff(&old, &new, Limits { context: 1_000, ..LIMITS });
            prop_assert!(!diff.cut);
            if old != new {
                prop_assert_eq!(side(&diff, Change::Added), old);
                prop_assert_eq!(side(&diff, Change::Removed), new);
            }
        }

        #[test]
        fn any_two_texts_are_compared_without_panic(old in any::<String>(), new in any::<String>(), line_bytes in 8_usize..64) {
            let diff = diff(&old, &new, Limits { line_bytes, ..LIMITS });
            prop_assert_eq!(diff.hunks.is_empty(), old == new);
            prop_assert!(diff.hunks.iter().flat_map(|hunk| &hunk.lines).all(|line| line.parts.iter().map(|part| part.text.len()).sum::<usize>() <= line_bytes));
        }
    }

    #[test]
    fn a_difference_survives_its_json() {
        let diff = text_diff("a b", "a c");
        let json = serde_json::to_string(&diff).unwrap();
        assert_eq!(serde_json::from_str::<TextDiff>(&json).unwrap(), diff);
    }
}
