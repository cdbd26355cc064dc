//! Does a difference of two texts, applied to the one, give the other?

use promptkeel::diff::{similarity, text_diff};
use promptkeel::model::verdict::{Change, DiffLine, TextDiff};

use super::parts;

/// The input is two texts.
pub fn holds(input: &[u8]) {
    let Some([old, new]) = parts(input) else { return };
    let diff = text_diff(&old, &new);
    assert!(old != new || (diff.hunks.is_empty() && !diff.cut));
    assert!(old == new || !diff.hunks.is_empty() || diff.cut);
    let lines: Vec<&DiffLine> = diff.hunks.iter().flat_map(|hunk| &hunk.lines).collect();
    assert!(lines.len() <= 1_000, "{} lines", lines.len());
    assert!(lines.iter().all(|line| text_of(line).len() <= 16 * 1024));
    assert!(lines.iter().map(|line| text_of(line).len()).sum::<usize>() <= 128 * 1024);
    if !diff.cut {
        assert_eq!(applied(&old, &diff, Change::Removed), new, "{old:?} {diff:?}");
        assert_eq!(applied(&new, &diff, Change::Added), old, "{new:?} {diff:?}");
    }
    let alike = similarity(&old, &new);
    assert!((0.0..=1.0).contains(&alike), "{alike}");
    assert!((alike - similarity(&new, &old)).abs() < 1e-9, "{alike} one way, {} the other", similarity(&new, &old));
    assert!(old != new || (alike - 1.0).abs() < 1e-9, "{alike}");
}

fn text_of(line: &DiffLine) -> String {
    line.parts.iter().map(|part| part.text.as_str()).collect()
}

/// `text` with the lines taken away that `taken` stands for, and those of the other side put in. What stays must be what is there.
fn applied(text: &str, diff: &TextDiff, taken: Change) -> String {
    let lines: Vec<&str> = if text.is_empty() { Vec::new() } else { text.split('\n').collect() };
    let mut result: Vec<String> = Vec::new();
    let mut at = 0;
    for hunk in &diff.hunks {
        let start = if taken == Change::Removed { hunk.old_start } else { hunk.new_start };
        let start = usize::try_from(start).expect("a line of a text in memory") - 1;
        result.extend(lines[at..start].iter().map(|line| (*line).to_owned()));
        at = start;
        for line in &hunk.lines {
            if line.change == Change::Same || line.change == taken {
                assert_eq!(text_of(line), lines[at], "line {} of {text:?}", at + 1);
                at += 1;
            }
            if line.change != taken {
                result.push(text_of(line));
            }
        }
    }
    result.extend(lines[at..].iter().map(|line| (*line).to_owned()));
    result.join("\n")
}
