//! Do two outputs share the same change, so that one decision fits both?

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::model::verdict::{Change, Diff, DiffLine, SnapshotState, TextDiff};
use crate::review::item::Judged;
use crate::snapshot::accept::Variants;
use crate::snapshot::output::Snapshot;

/// What makes a change the same one: the words that went and came, or the JSON edits; for a new output its text; and for every one what
/// the assertions say of it, whether a model answered, why it stopped, and how many variants would stand. `None` where the whole change is
/// not known, so that it is like no other.
pub(crate) fn change(state: &SnapshotState, new: &Snapshot, text: &str, variants: Variants, judged: &Judged) -> Option<String> {
    let mut change = match state {
        // Several differences at once are looked at one by one.
        SnapshotState::Changed { variants: Some(variants), .. } if !variants.others.is_empty() || variants.left_out > 0 => return None,
        SnapshotState::Changed { diff, notes, .. } => {
            let mut change = edits(diff)?;
            for note in notes {
                let _ = writeln!(change, "note {note}");
            }
            change
        }
        SnapshotState::New { reason } => format!("new {reason:?}\n{text}\n"),
        SnapshotState::Same | SnapshotState::Unreadable { .. } | SnapshotState::None => return None,
    };
    let stopped: Vec<&str> = new.outputs.iter().map(|output| output.stop_reason.as_str()).collect();
    let _ = writeln!(change, "{stopped:?}, simulated: {}, {variants:?}", new.simulated);
    // Which assertions hold is no matter as long as none fails; why nobody knows is.
    let _ = match judged {
        // What an assertion says of the output quotes the rest of it, too: only which fails is the same for both.
        Judged::Cell { verdict, failing, .. } => {
            let failing: Vec<&str> = failing.iter().map(|failing| failing.wanted.as_str()).collect();
            writeln!(change, "{verdict:?} {failing:?}")
        }
        Judged::Unknown(why) => writeln!(change, "unknown: {why}"),
    };
    Some(change)
}

fn edits(diff: &Diff) -> Option<String> {
    match diff {
        Diff::Text(text) if text.cut => None,
        Diff::Text(text) => Some(lines(text)),
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

/// The words that went and came, each as often and in the order in which they did. A word that did both stands elsewhere now, and only the
/// whole lines say where.
fn lines(text: &TextDiff) -> String {
    let lines = || text.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.change != Change::Same);
    let side = |side: Change| lines().filter(move |line| line.change == side).flat_map(words).collect::<BTreeSet<&str>>();
    let is_moved = !side(Change::Removed).is_disjoint(&side(Change::Added));
    let mut edits = String::new();
    for line in lines() {
        let sign = if line.change == Change::Removed { '-' } else { '+' };
        let words: Vec<&str> = words(line).collect();
        let _ = if is_moved || words.is_empty() {
            writeln!(edits, "{sign} {:?}", line.parts.iter().map(|part| part.text.as_str()).collect::<String>())
        } else {
            writeln!(edits, "{sign} {words:?}")
        };
    }
    edits
}

/// The words of a line that the other side has not; of one that changed whole, all of them.
fn words(line: &DiffLine) -> impl Iterator<Item = &str> {
    let marked = line.parts.iter().any(|part| part.emphasised);
    line.parts.iter().filter(move |part| part.emphasised || !marked).flat_map(|part| part.text.split_whitespace())
}

#[cfg(test)]
mod tests {

    use serde_json::json;

    use super::*;
    use crate::diff::{json_diff, text_diff};
    use crate::model::verdict::Verdict;
    use crate::review::item::Failing;
    use crate::snapshot::output::Output;

    const ONE: Variants = Variants { accepted: 1, replaced: 1, added: 2 };

    fn changed(diff: Diff) -> SnapshotState {
        SnapshotState::Changed { diff, accepted_prompt: "p@1".to_owned(), notes: Vec::new(), variants: None }
    }

    fn judged(verdict: Verdict, failing: &[&str]) -> Judged {
        let failing = failing.iter().map(|line| Failing { said: String::new(), wanted: (*line).to_owned() }).collect();
        Judged::Cell { verdict, failing, holding: Vec::new() }
    }

    fn passing(state: &SnapshotState, new: &str) -> Option<String> {
        change(state, &snapshot(false), new, ONE, &judged(Verdict::Pass, &[]))
    }

    fn snapshot(simulated: bool) -> Snapshot {
        let output = Output { stop_reason: "end_turn".to_owned(), parts: Vec::new() };
        Snapshot { prompt: "p@1".to_owned(), model: "m".to_owned(), simulated, outputs: vec![output] }
    }

    fn text(old: &str, new: &str) -> Option<String> {
        passing(&changed(Diff::Text(text_diff(old, new))), new)
    }

    #[test]
    fn a_word_that_moved_is_another_change_than_its_way_back() {
        let (first, second) = ("You are not eligible and you are insured.", "You are eligible and you are not insured.");
        assert_ne!(text(first, second), text(second, first));
        let lines = |first: &str, second: &str| format!("A: {first}\nB: {second}\n");
        assert_ne!(text(&lines("yes", "no"), &lines("no", "yes")), text(&lines("no", "yes"), &lines("yes", "no")));
    }

    #[test]
    fn the_same_words_more_often_or_in_another_order_are_another_change() {
        assert_ne!(text("a b c d e", "a b not c d e"), text("a b c d e", "a not b c not d e"));
        assert_ne!(text("the fee", "the fee of 2 or 30"), text("the fee", "the fee of 30 or 2"));
    }

    #[test]
    fn what_fails_is_simulated_or_has_other_variants_is_another_change() {
        let state = changed(Diff::Text(text_diff("the charge was refunded", "the charge will be refunded")));
        let passes = judged(Verdict::Pass, &[]);
        let same = change(&state, &snapshot(false), "", ONE, &passes);
        assert_eq!(same, passing(&state, ""));
        assert_ne!(same, change(&state, &snapshot(false), "", ONE, &judged(Verdict::Fail, &["contains: expected"])));
        assert_ne!(same, change(&state, &snapshot(false), "", ONE, &Judged::Unknown("the store does not have it".to_owned())));
        assert_ne!(same, change(&state, &snapshot(true), "", ONE, &passes));
        let three = Variants { accepted: 3, replaced: 1, added: 4 };
        assert_ne!(same, change(&state, &snapshot(false), "", three, &passes));
        let fails = |line: &str| change(&state, &snapshot(false), "", ONE, &judged(Verdict::Fail, &[line]));
        assert_ne!(fails("contains: expected"), fails("length: expected"));
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
            passing(&changed(Diff::Json(json_diff(&old, &new))), "").unwrap()
        };
        assert_eq!(edit("refunds", 1), edit("refunds", 2));
        assert_ne!(edit("refunds", 1), edit("sales", 1));
    }

    #[test]
    fn a_change_that_is_not_whole_is_like_no_other() {
        let mut cut = text_diff("a", "b");
        cut.cut = true;
        assert_eq!(passing(&changed(Diff::Text(cut)), "b"), None);
    }
}
