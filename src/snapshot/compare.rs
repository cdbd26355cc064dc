//! Is a new output the accepted one, under the suite's comparison?
//!
//! Only what was said and why it stopped is compared. All texts of a reply count as one: how the API cut them into blocks is no
//! difference. Tool calls are compared by value, one by one.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::diff::{JsonPart, json_diff_of, json_equal, similarity, text_diff};
use crate::model::suite::{Compare, Parse, SnapshotPolicy};
use crate::model::verdict::{Diff, SnapshotState, VariantDifference, VariantDifferences, VariantPair};
use crate::snapshot::SnapshotError;
use crate::snapshot::ignore::Ignored;
use crate::snapshot::output::{Output, Snapshot};
use crate::snapshot::tokens;

/// Most differences of one cell that are kept beside the first one: a report of thousands of cells keeps them all.
const MAX_OTHERS: usize = 9;

/// Bytes that those may take together, about.
const MAX_BYTES: usize = 256 * 1024;

/// A suite's comparison, ready to use on any number of cells.
#[derive(Debug, Clone)]
pub struct Comparison {
    compare: Compare,
    ignored: Ignored,
    threshold: f64,
    parse: Parse,
}

/// How `new` stands to `accepted`; see [`Comparison`] for many cells of one suite.
///
/// # Errors
/// A path under `ignore` that is no JSONPath.
pub fn compare(accepted: Option<&Snapshot>, new: &Snapshot, policy: &SnapshotPolicy, parse: Parse) -> Result<SnapshotState, SnapshotError> {
    Ok(Comparison::new(policy, parse)?.state(accepted, new))
}

impl Comparison {
    /// Compiles a suite's policy.
    ///
    /// # Errors
    /// A path under `ignore` that is no JSONPath.
    pub fn new(policy: &SnapshotPolicy, parse: Parse) -> Result<Self, SnapshotError> {
        let ignored = Ignored::compile(&policy.ignore)?;
        Ok(Self { compare: policy.compare, ignored, threshold: policy.threshold, parse })
    }

    /// For whoever knows no suite: equal is only what is equal.
    #[must_use]
    pub fn exact() -> Self {
        Self { compare: Compare::Exact, ignored: Ignored::default(), threshold: 1.0, parse: Parse::default() }
    }

    /// How the new outputs stand to the accepted ones: the same if each of them matches a variant.
    #[must_use]
    pub fn state(&self, accepted: Option<&Snapshot>, new: &Snapshot) -> SnapshotState {
        if self.compare == Compare::Off || new.outputs.is_empty() {
            return SnapshotState::None;
        }
        let Some(accepted) = accepted else {
            return SnapshotState::New { reason: None };
        };
        if accepted.simulated != new.simulated {
            return SnapshotState::New { reason: Some(other_kind(accepted).to_owned()) };
        }
        if accepted.outputs == new.outputs {
            return SnapshotState::Same;
        }
        if accepted.outputs.is_empty() {
            return SnapshotState::New { reason: None };
        }
        let matched = |output: &Output| accepted.outputs.iter().any(|variant| self.matches(variant, output));
        let strangers: Vec<usize> = (0..new.outputs.len()).filter(|index| !matched(&new.outputs[*index])).collect();
        if strangers.is_empty() { SnapshotState::Same } else { self.changed(accepted, new, &strangers) }
    }

    /// The snapshot with one of each kind of output: what an accepted file holds of several samples.
    #[must_use]
    pub fn distinct(&self, new: &Snapshot) -> Snapshot {
        let none = Snapshot { outputs: Vec::new(), ..new.clone() };
        self.extended(&none, new)
    }

    /// The accepted variants and behind them those of `new` that match none; the head is that of `new`.
    #[must_use]
    pub fn extended(&self, accepted: &Snapshot, new: &Snapshot) -> Snapshot {
        let mut outputs = accepted.outputs.clone();
        for output in &new.outputs {
            if !outputs.iter().any(|variant| self.matches(variant, output)) {
                outputs.push(output.clone());
            }
        }
        Snapshot { outputs, ..new.clone() }
    }

    /// Those of the new outputs that match no accepted variant.
    pub(super) fn strange(&self, accepted: &Snapshot, new: &Snapshot) -> Snapshot {
        let is_strange = |output: &&Output| !accepted.outputs.iter().any(|variant| self.matches(variant, output));
        Snapshot { outputs: new.outputs.iter().filter(is_strange).cloned().collect(), ..new.clone() }
    }

    fn matches(&self, accepted: &Output, new: &Output) -> bool {
        accepted == new
            || (accepted.stop_reason == new.stop_reason && self.same_text(&accepted.text(), &new.text()) && self.same_blocks(accepted, new))
    }

    fn same_text(&self, accepted: &str, new: &str) -> bool {
        accepted == new
            || match self.compare {
                Compare::Exact | Compare::Off => false,
                Compare::Text => same_words(accepted, new),
                Compare::Json => match (self.document(accepted), self.document(new)) {
                    (Some(accepted), Some(new)) => json_equal(&accepted, &new),
                    // What is not JSON is equal to nothing but itself.
                    _ => false,
                },
                Compare::Similar => similarity(accepted, new) >= self.threshold,
            }
    }

    fn same_blocks(&self, accepted: &Output, new: &Output) -> bool {
        accepted.blocks().count() == new.blocks().count()
            && accepted.blocks().zip(new.blocks()).all(|(accepted, new)| json_equal(&self.block(accepted), &self.block(new)))
    }

    /// The JSON of a text, ignored values taken out.
    fn document(&self, text: &str) -> Option<Value> {
        tokens::value(self.parse.json_text(text)).map(|value| self.ignored.without(value))
    }

    /// A tool call, ignored values taken out.
    fn block(&self, block: &Value) -> Value {
        if self.compare == Compare::Json { self.ignored.without(block.clone()) } else { block.clone() }
    }

    /// `strangers` are the places of the new outputs that match no variant, at least one.
    fn changed(&self, accepted: &Snapshot, new: &Snapshot, strangers: &[usize]) -> SnapshotState {
        let mut kinds = self.kinds(&new.outputs, strangers).into_iter();
        let compared = kinds.next().and_then(|kind| self.compared(accepted, new, kind));
        let Some(VariantDifference { pair, diff, notes }) = compared else {
            return SnapshotState::New { reason: None };
        };
        let (outputs, variants) = (new.outputs.len(), accepted.outputs.len());
        let variants = (outputs > 1 || variants > 1).then(|| {
            let (mut others, mut room) = (Vec::new(), MAX_BYTES);
            for other in kinds.by_ref().take(MAX_OTHERS).map_while(|kind| self.compared(accepted, new, kind)) {
                let size = serde_json::to_vec(&other.diff).map_or(usize::MAX, |json| json.len());
                others.push(other);
                room = room.saturating_sub(size);
                if room == 0 {
                    break;
                }
            }
            let given = |variant: &Output| new.outputs.iter().any(|output| self.matches(variant, output));
            let unmatched = accepted.outputs.iter().zip(0..).filter(|(variant, _)| !given(variant)).map(|(_, number)| number);
            Box::new(VariantDifferences {
                outputs: count(outputs),
                accepted: count(variants),
                strange: count(strangers.len()),
                unmatched: unmatched.collect(),
                first: pair,
                others,
                left_out: count(kinds.len()),
            })
        });
        SnapshotState::Changed { diff, accepted_prompt: accepted.prompt.clone(), notes, variants }
    }

    /// The places of outputs, those that match each other together.
    fn kinds(&self, outputs: &[Output], places: &[usize]) -> Vec<Vec<usize>> {
        let mut kinds: Vec<Vec<usize>> = Vec::new();
        for place in places {
            match kinds.iter_mut().find(|kind| self.matches(&outputs[kind[0]], &outputs[*place])) {
                Some(kind) => kind.push(*place),
                None => kinds.push(vec![*place]),
            }
        }
        kinds
    }

    /// A kind of output against the variant that is nearest to it.
    fn compared(&self, accepted: &Snapshot, new: &Snapshot, kind: Vec<usize>) -> Option<VariantDifference> {
        let stranger = &new.outputs[*kind.first()?];
        let variant = self.nearest(&accepted.outputs, stranger)?;
        let nearest = &accepted.outputs[variant];
        let mut notes = Vec::new();
        if nearest.stop_reason != stranger.stop_reason {
            notes.push(format!("the accepted output stopped with `{}`, this one with `{}`", nearest.stop_reason, stranger.stop_reason));
        }
        let diff = if self.compare == Compare::Json { self.json(nearest, stranger, &mut notes) } else { text(nearest, stranger) };
        let pair = VariantPair { outputs: kind.into_iter().map(count).collect(), variant: count(variant) };
        Some(VariantDifference { pair, diff, notes })
    }

    /// Which variant is most like `output`; of equally like ones the first that stopped alike, else the first.
    fn nearest(&self, variants: &[Output], output: &Output) -> Option<usize> {
        if variants.len() < 2 {
            return (!variants.is_empty()).then_some(0);
        }
        let new = self.weighed(output);
        let likeness = |variant: &Output| (similarity(&self.weighed(variant), &new), variant.stop_reason == output.stop_reason);
        let mut best = (0, likeness(&variants[0]));
        for (index, variant) in variants.iter().enumerate().skip(1) {
            let likeness = likeness(variant);
            if likeness > best.1 {
                best = (index, likeness);
            }
        }
        Some(best.0)
    }

    /// The text by which likeness is measured: without what is not compared.
    fn weighed(&self, output: &Output) -> String {
        let text = output.text();
        let document = if self.compare == Compare::Json { self.document(&text) } else { None };
        let Some(document) = document else { return shown(output) };
        std::iter::once(document)
            .chain(output.blocks().map(|block| self.block(block)))
            .fold(String::new(), |text, value| format!("{text}{value}\n"))
    }

    fn json(&self, accepted: &Output, new_output: &Output, notes: &mut Vec<String>) -> Diff {
        let (old_text, new_text) = (accepted.text(), new_output.text());
        let mut documents = (None, None);
        if old_text != new_text {
            documents = (self.document(&old_text), self.document(&new_text));
            if documents.0.is_none() || documents.1.is_none() {
                notes.push(no_json(documents.0.is_some(), documents.1.is_some()).to_owned());
                return text(accepted, new_output);
            }
        }
        let old: Vec<Value> = accepted.blocks().map(|block| self.block(block)).collect();
        let new: Vec<Value> = new_output.blocks().map(|block| self.block(block)).collect();
        let blocks = (0..old.len().max(new.len())).map(|index| JsonPart {
            label: format!("block {}: ", index + 1),
            old: old.get(index),
            new: new.get(index),
        });
        let document = JsonPart { label: String::new(), old: documents.0.as_ref(), new: documents.1.as_ref() };
        let parts: Vec<JsonPart<'_>> = std::iter::once(document).chain(blocks).collect();
        Diff::Json(json_diff_of(&parts))
    }
}

/// Equal after canonical Unicode composition, every run of white space one space, none at the ends.
fn same_words(accepted: &str, new: &str) -> bool {
    if accepted.split_whitespace().eq(new.split_whitespace()) {
        return true;
    }
    // Composing is the slow part, and nothing composes in ASCII.
    let composed = |text: &str| text.nfc().collect::<String>();
    !(accepted.is_ascii() && new.is_ascii()) && composed(accepted).split_whitespace().eq(composed(new).split_whitespace())
}

/// More than four thousand million outputs are not told apart any more.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn text(accepted: &Output, new: &Output) -> Diff {
    Diff::Text(text_diff(&shown(accepted), &shown(new)))
}

/// An output as one text, tool calls laid out below.
pub(crate) fn shown(output: &Output) -> String {
    let mut shown = output.text();
    for block in output.blocks() {
        if !shown.is_empty() && !shown.ends_with('\n') {
            shown.push('\n');
        }
        let compact = block.to_string();
        shown.push_str(&tokens::pretty(&compact).unwrap_or(compact));
    }
    shown
}

const fn other_kind(accepted: &Snapshot) -> &'static str {
    if accepted.simulated {
        "the accepted snapshot was answered by a simulator, and a real reply is not compared with it"
    } else {
        "the accepted snapshot was answered by a real model, and a simulated reply is not compared with it"
    }
}

const fn no_json(accepted: bool, new: bool) -> &'static str {
    match (accepted, new) {
        (true, _) => "the new output is not JSON, so it differs from the accepted one as a text",
        (false, true) => "the accepted output is not JSON, so the new one differs from it as a text",
        (false, false) => "neither the accepted nor the new output is JSON, so they are compared as texts, byte for byte",
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
