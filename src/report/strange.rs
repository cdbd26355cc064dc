//! Which new outputs match nothing that is accepted, and what is each of them compared with?
//!
//! ```text
//! 2 of 3 samples match none of the 2 accepted variants
//! no sample matches variant 2
//! sample 2 of 3 against variant 1 of 2
//! ```

use crate::model::run::{CellResult, PromptChange};
use crate::model::verdict::{Diff, SnapshotState, VariantDifferences, VariantPair};
use crate::report::{difference, figures, visible};

/// Most numbers that are named one by one.
const MOST: usize = 8;

/// What the new outputs are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noun {
    /// Of a run.
    Sample,
    /// Of a file that waits, which holds each kind once.
    Output,
}

impl Noun {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Sample => ("sample", "samples"),
            Self::Output => ("output", "outputs"),
        }
    }
}

/// One output beside the variant that is nearest to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Strange<'a> {
    /// `sample 2 of 3 against variant 1 of 2`; empty where there is one of each.
    pub(crate) title: String,
    /// What the difference alone does not say.
    pub(crate) notes: &'a [String],
    /// The variant to the output.
    pub(crate) diff: &'a Diff,
}

/// Every output that matches nothing; none where the state is no change.
pub(crate) fn strange(state: &SnapshotState, noun: Noun) -> Vec<Strange<'_>> {
    let SnapshotState::Changed { diff, notes, variants, .. } = state else { return Vec::new() };
    let title = |pair: &VariantPair| variants.as_deref().map(|of| title(pair, of, noun)).unwrap_or_default();
    let first = variants.as_deref().map(|of| title(&of.first)).unwrap_or_default();
    let mut all = vec![Strange { title: first, notes, diff }];
    for other in variants.iter().flat_map(|variants| &variants.others) {
        all.push(Strange { title: title(&other.pair), notes: &other.notes, diff: &other.diff });
    }
    all
}

/// What is said of all of them together, a sentence each.
pub(crate) fn summary(state: &SnapshotState, noun: Noun) -> Vec<String> {
    let SnapshotState::Changed { variants: Some(of), .. } = state else { return Vec::new() };
    let (one, many) = noun.words();
    let mut told = Vec::new();
    let verb = |singular: &'static str, plural: &'static str| if of.strange == 1 { singular } else { plural };
    let share = match of.outputs {
        1 => format!("the {one}"),
        all => format!("{} of {} {many}", figures::count(of.strange.into()), figures::count(all.into())),
    };
    told.push(match of.accepted {
        1 => format!("{share} {} from the accepted output", verb("differs", "differ")),
        all => format!("{share} {} none of the {} accepted variants", verb("matches", "match"), figures::count(all.into())),
    });
    if of.accepted > 1 && !of.unmatched.is_empty() {
        told.push(format!("no {one} matches {}", numbered(&of.unmatched, "variant", "variants", "or")));
    }
    told
}

/// How much changed, in a few words: `2 values differ`, `2 of 3 samples match none of the 2 accepted variants`.
pub(crate) fn size(state: &SnapshotState, noun: Noun) -> String {
    match (summary(state, noun).into_iter().next(), state) {
        (Some(summary), _) => summary,
        (None, SnapshotState::Changed { diff, .. }) => difference::size(diff),
        (None, SnapshotState::Same | SnapshotState::New { .. } | SnapshotState::Unreadable { .. } | SnapshotState::None) => String::new(),
    }
}

/// What of the differences is not there.
pub(crate) fn left_out(state: &SnapshotState, noun: Noun) -> Option<String> {
    let SnapshotState::Changed { variants: Some(of), .. } = state else { return None };
    let (one, many) = noun.words();
    let kinds = figures::counted(of.left_out.into(), &format!("further kind of {one}"), &format!("further kinds of {many}"));
    (of.left_out > 0).then(|| format!("… {kinds} that match no variant: the report has their replies, not their differences"))
}

fn title(pair: &VariantPair, of: &VariantDifferences, noun: Noun) -> String {
    let (one, many) = noun.words();
    let outputs = if of.outputs == 1 {
        String::new()
    } else if pair.outputs.len() as u64 == u64::from(of.outputs) {
        format!("all {} {many}", figures::count(of.outputs.into()))
    } else {
        format!("{} of {}", numbered(&pair.outputs, one, many, "and"), figures::count(of.outputs.into()))
    };
    let against = match of.accepted {
        1 => String::new(),
        all => format!("against variant {} of {}", figures::count(u64::from(pair.variant) + 1), figures::count(all.into())),
    };
    [outputs, against].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `samples 1, 2 and 5`, counted from 1.
fn numbered(numbers: &[u32], one: &str, many: &str, last: &str) -> String {
    let shown: Vec<String> = numbers.iter().take(MOST).map(|number| figures::count(u64::from(*number) + 1)).collect();
    let more = numbers.len() - shown.len();
    match shown.as_slice() {
        [only] => format!("{one} {only}"),
        _ if more > 0 => format!("{many} {} {last} {} more", shown.join(", "), figures::count(more as u64)),
        [before @ .., end] => format!("{many} {} {last} {end}", before.join(", ")),
        [] => many.to_owned(),
    }
}

/// `snapshot changed, ticket-triage@2 -> ticket-triage@3`; empty where there is no news. `prompt` is the version that gave the new output.
pub(crate) fn line(state: &SnapshotState, prompt: &str) -> String {
    match state {
        SnapshotState::Same | SnapshotState::None => String::new(),
        SnapshotState::Changed { accepted_prompt, .. } if accepted_prompt == prompt => {
            format!("snapshot changed, accepted with {}", visible::name(accepted_prompt))
        }
        SnapshotState::Changed { accepted_prompt, .. } => {
            format!("snapshot changed, {} -> {}", visible::name(accepted_prompt), visible::name(prompt))
        }
        SnapshotState::New { reason: None } => "snapshot new: nothing is accepted yet".to_owned(),
        SnapshotState::New { reason: Some(reason) } => format!("snapshot new: {}", visible::brief(reason, 1_000)),
        SnapshotState::Unreadable { message } => format!("snapshot unreadable: {}", visible::brief(message, 1_000)),
    }
}

/// What changed in the prompt between the cell's accepted output and its new one, where that was another version.
pub(crate) fn prompt_change<'a>(cell: &CellResult, changes: &'a [PromptChange]) -> Option<&'a PromptChange> {
    let SnapshotState::Changed { accepted_prompt, .. } = &cell.snapshot else { return None };
    let to = format!("{}@{}", cell.address.prompt, cell.address.version);
    changes.iter().find(|change| change.from == *accepted_prompt && change.to == to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::verdict::{TextDiff, VariantDifference};

    fn state(outputs: u32, accepted: u32, first: &[u32], others: &[&[u32]], unmatched: &[u32]) -> SnapshotState {
        let diff = || Diff::Text(TextDiff::default());
        let pair = |outputs: &[u32]| VariantPair { outputs: outputs.to_vec(), variant: 0 };
        let others: Vec<VariantDifference> =
            others.iter().map(|outputs| VariantDifference { pair: pair(outputs), diff: diff(), notes: Vec::new() }).collect();
        let strange = first.len() + others.iter().map(|other| other.pair.outputs.len()).sum::<usize>();
        let variants = VariantDifferences {
            outputs,
            accepted,
            strange: u32::try_from(strange).unwrap(),
            unmatched: unmatched.to_vec(),
            first: pair(first),
            others,
            left_out: 0,
        };
        SnapshotState::Changed { diff: diff(), accepted_prompt: "p@1".to_owned(), notes: Vec::new(), variants: Some(Box::new(variants)) }
    }

    fn told(state: &SnapshotState, noun: Noun) -> String {
        let titles = strange(state, noun).into_iter().map(|strange| format!("= {}", strange.title));
        summary(state, noun).into_iter().chain(titles).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_output_is_named_with_the_variant_that_it_is_compared_with() {
        insta::assert_snapshot!(told(&state(3, 2, &[1], &[&[2]], &[1]), Noun::Sample), @"
        2 of 3 samples match none of the 2 accepted variants
        no sample matches variant 2
        = sample 2 of 3 against variant 1 of 2
        = sample 3 of 3 against variant 1 of 2
        ");
        insta::assert_snapshot!(told(&state(3, 1, &[0, 1, 2], &[], &[0]), Noun::Output), @"
        3 of 3 outputs differ from the accepted output
        = all 3 outputs
        ");
        insta::assert_snapshot!(told(&state(1, 3, &[0], &[], &[0, 1, 2]), Noun::Output), @"
        the output matches none of the 3 accepted variants
        no output matches variants 1, 2 or 3
        = against variant 1 of 3
        ");
        let many: Vec<u32> = (0..12).collect();
        insta::assert_snapshot!(told(&state(20, 2, &many, &[&[18]], &[]), Noun::Sample), @"
        13 of 20 samples match none of the 2 accepted variants
        = samples 1, 2, 3, 4, 5, 6, 7, 8 and 4 more of 20 against variant 1 of 2
        = sample 19 of 20 against variant 1 of 2
        ");
    }

    #[test]
    fn going_to_another_version_of_the_prompt_is_told_as_the_way() {
        let state = state(1, 2, &[0], &[], &[]);
        assert_eq!(line(&state, "p@2"), "snapshot changed, p@1 -> p@2");
        assert_eq!(line(&state, "p@1"), "snapshot changed, accepted with p@1");
    }
}
