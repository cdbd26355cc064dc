//! Do two outputs share the same change, so that one decision fits both?

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::model::verdict::{Change, Diff, SnapshotState, TextDiff};

/// What makes a change the same one: the words that went and came, or the JSON edits; for a new output its text. `None` where the whole
/// change is not known, so that it is like no other.
pub(crate) fn change(state: &SnapshotState, new: &str) -> Option<String> {
    match state {
        // Several differences at once are looked at one by one.
        SnapshotState::Changed { variants: Some(variants), .. } if !variants.others.is_empty() || variants.left_out > 0 => None,
        SnapshotState::Changed { diff, notes, .. } => {
            let mut change = edits(diff)?;
            for note in notes {
                let _ = writeln!(change, "note {note}");
            }
            Some(change)
        }
        SnapshotState::New { reason } => Some(format!("new {reason:?}\n{new}")),
        SnapshotState::Same | SnapshotState::Unreadable { .. } | SnapshotState::None => None,
    }
}

fn edits(diff: &Diff) -> Option<String> {
    match diff {
        Diff::Text(text) if text.cut => None,
        Diff::Text(text) => Some(format!("- {:?}\n+ {:?}\n", words(text, Change::Removed), words(text, Change::Added))),
        Diff::Json(changes) if changes.iter().any(|change| change.shortened || change.left_out > 0) => None,
        Diff::Json(changes) => {
            let mut edits = String::new();
            for change in changes {
                let _ = writeln!(edits, "{} {:?} -> {:?}", change.path, change.old, change.new);
            }
            Some(edits)
        }
    }
}

/// The words of one side that the other has not; of a line that changed whole, all of them.
fn words(text: &TextDiff, side: Change) -> BTreeSet<&str> {
    let lines = text.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.change == side);
    let parts = lines.flat_map(|line| {
        let marked = line.parts.iter().any(|part| part.emphasised);
        line.parts.iter().filter(move |part| part.emphasised || !marked)
    });
    parts.flat_map(|part| part.text.split_whitespace()).collect()
}

#[cfg(test)]
mod tests {

    use serde_json::json;

    use super::*;
    use crate::diff::{json_diff, text_diff};

    fn changed(diff: Diff) -> SnapshotState {
        SnapshotState::Changed { diff, accepted_prompt: "p@1".to_owned(), notes: Vec::new(), variants: None }
    }

    fn text(old: &str, new: &str) -> Option<String> {
        change(&changed(Diff::Text(text_diff(old, new))), new)
    }

    #[test]
    fn the_same_words_in_other_sentences_are_the_same_change() {
        let first = text("The charge was refunded today.", "The charge will be refunded today.");
        let second = text("Your money was sent back.\nBye", "Your money will be sent back.\nBye");
        assert!(first.is_some());
        assert_eq!(first, second);
        assert_ne!(first, text("The charge was refunded today.", "The charge is refunded today."));
    }

    #[test]
    fn the_same_edits_of_other_values_are_the_same_change() {
        let edit = |queue: &str, other: u64| {
            let (old, new) = (json!({"queue": "billing", "n": other}), json!({"queue": queue, "n": other}));
            change(&changed(Diff::Json(json_diff(&old, &new))), "").unwrap()
        };
        assert_eq!(edit("refunds", 1), edit("refunds", 2));
        assert_ne!(edit("refunds", 1), edit("sales", 1));
    }

    #[test]
    fn a_change_that_is_not_whole_is_like_no_other() {
        let mut cut = text_diff("a", "b");
        cut.cut = true;
        assert_eq!(change(&changed(Diff::Text(cut)), "b"), None);
    }
}
