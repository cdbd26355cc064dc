//! Which differences does the sample show?

use std::sync::Arc;

use serde_json::json;

use crate::model::run::PromptChange;
use crate::model::verdict::{
    Change, Diff, DiffLine, DiffPart, Hunk, JsonChange, SnapshotState, TextDiff, VariantDifference, VariantDifferences, VariantPair,
};

pub(super) fn json_diff() -> Diff {
    let change = |path: &str, old, new| JsonChange::new(path.to_owned(), old, new);
    Diff::Json(vec![
        change("$.queue", Some(json!("billing")), Some(json!("refunds"))),
        change("$.tags[2]", None, Some(json!(null))),
        change("$.steps[0]", Some(json!({"do": "refund"})), None),
        change("$.steps[2]", None, Some(json!({"do": "refund"}))),
        change("$['odd key']", Some(json!({"a": [1, 2.50]})), None),
        change(
            "$.summary",
            Some(json!("The customer says that the March invoice was charged twice and asks for the second charge to be returned.")),
            Some(json!("The customer wants money back.")),
        ),
    ])
}

pub(super) fn text_diff() -> Diff {
    let long = "We are sorry about the trouble that this has caused, and we would like to explain in some detail how it came about, what we have done since, and what will happen next on our side, ";
    Diff::Text(TextDiff {
        hunks: vec![
            hunk(
                1,
                &[
                    (Change::Same, &[("Dear customer,", false)]),
                    (Change::Same, &[("", false)]),
                    (Change::Removed, &[("we ", false), ("refunded", true), (" ", false), ("the", true), (" second charge.", false)]),
                    (Change::Added, &[("we ", false), ("will refund", true), (" ", false), ("your", true), (" second charge.", false)]),
                    (Change::Same, &[("Kind regards", false)]),
                ],
            ),
            hunk(
                41,
                &[
                    (
                        Change::Removed,
                        &[
                            (long, false),
                            ("which takes two days", true),
                            (", and there is nothing else that you would have to do in the meantime.", false),
                        ],
                    ),
                    (
                        Change::Added,
                        &[
                            (long, false),
                            ("which takes a week", true),
                            (", and there is nothing else that you would have to do in the meantime.", false),
                        ],
                    ),
                    (Change::Added, &[("P.S. 返金は一週間以内に行われます。\t", true)]),
                ],
            ),
        ],
        ..TextDiff::default()
    })
}

pub(super) fn hunk(start: u64, lines: &[(Change, &[(&str, bool)])]) -> Hunk {
    let part = |&(text, emphasised): &(&str, bool)| DiffPart { text: text.to_owned(), emphasised };
    let line = |(change, parts): &(Change, &[(&str, bool)])| DiffLine { change: *change, parts: parts.iter().map(part).collect() };
    Hunk { old_start: start, new_start: start, lines: lines.iter().map(line).collect() }
}

pub(super) fn changed(diff: Diff) -> SnapshotState {
    SnapshotState::Changed {
        diff,
        accepted_prompt: "ticket-triage@2".to_owned(),
        notes: vec!["stop reason `end_turn` became `max_tokens`".to_owned()],
        variants: None,
    }
}

/// Two of three samples are strange, against two variants.
pub(super) fn one_of_three(mut state: SnapshotState) -> SnapshotState {
    if let SnapshotState::Changed { variants, .. } = &mut state {
        let pair = |output, variant| VariantPair { outputs: vec![output], variant };
        let other = VariantDifference { pair: pair(2, 1), diff: json_diff(), notes: Vec::new() };
        let all = VariantDifferences {
            outputs: 3,
            accepted: 2,
            strange: 2,
            unmatched: vec![1],
            first: pair(1, 0),
            others: vec![other],
            left_out: 0,
        };
        *variants = Some(Box::new(all));
    }
    state
}

pub(super) fn prompt_change() -> PromptChange {
    PromptChange {
        from: "ticket-triage@2".to_owned(),
        to: "ticket-triage@3".to_owned(),
        file: Arc::from("suites/prompts/ticket-triage/3.md"),
        diff: TextDiff {
            hunks: vec![hunk(
                1,
                &[
                    (Change::Same, &[("system:", false)]),
                    (Change::Removed, &[("You route support tickets.", false)]),
                    (Change::Added, &[("You route support tickets.", false), (" Answer with ``` JSON </details> only.", true)]),
                ],
            )],
            ..TextDiff::default()
        },
    }
}
