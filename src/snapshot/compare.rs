//! Is a new output the accepted one, under the suite's comparison?
//!
//! Only what was said and why it stopped is compared. All texts of a reply count as one: how the API cut them into blocks is no
//! difference. Tool calls are compared by value, one by one.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::diff::{JsonPart, json_diff_of, json_equal, similarity, text_diff};
use crate::model::suite::{Compare, Parse, SnapshotPolicy};
use crate::model::verdict::{Diff, SnapshotState};
use crate::snapshot::SnapshotError;
use crate::snapshot::ignore::Ignored;
use crate::snapshot::output::{Output, Snapshot};
use crate::snapshot::tokens;

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
        let matched = |output: &&Output| accepted.outputs.iter().any(|variant| self.matches(variant, output));
        let strangers: Vec<&Output> = new.outputs.iter().filter(|output| !matched(output)).collect();
        match (strangers.first(), accepted.outputs.is_empty()) {
            (None, _) => SnapshotState::Same,
            (Some(_), true) => SnapshotState::New { reason: None },
            (Some(stranger), false) => self.changed(accepted, new, stranger, strangers.len()),
        }
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

    fn changed(&self, accepted: &Snapshot, new: &Snapshot, stranger: &Output, strangers: usize) -> SnapshotState {
        let Some(nearest) = nearest(&accepted.outputs, stranger) else {
            return SnapshotState::New { reason: None };
        };
        let mut notes = Vec::new();
        let (variants, samples) = (accepted.outputs.len(), new.outputs.len());
        if variants > 1 || samples > 1 {
            notes.push(match variants {
                1 => format!("{strangers} of {samples} samples differ from the accepted output"),
                _ => format!("{strangers} of {samples} samples match none of the {variants} accepted variants; the nearest one is shown"),
            });
        }
        if nearest.stop_reason != stranger.stop_reason {
            notes.push(format!("the accepted output stopped with `{}`, this one with `{}`", nearest.stop_reason, stranger.stop_reason));
        }
        let diff = if self.compare == Compare::Json { self.json(nearest, stranger, &mut notes) } else { text(nearest, stranger) };
        SnapshotState::Changed { diff, accepted_prompt: accepted.prompt.clone(), notes }
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

/// The variant that is most like `output`; of equally like ones the first.
fn nearest<'a>(variants: &'a [Output], output: &Output) -> Option<&'a Output> {
    let [first, rest @ ..] = variants else { return None };
    let new = shown(output);
    let likeness = |variant: &Output| similarity(&shown(variant), &new);
    let mut best = (first, if rest.is_empty() { 1.0 } else { likeness(first) });
    for variant in rest {
        let likeness = likeness(variant);
        if likeness > best.1 {
            best = (variant, likeness);
        }
    }
    Some(best.0)
}

fn text(accepted: &Output, new: &Output) -> Diff {
    Diff::Text(text_diff(&shown(accepted), &shown(new)))
}

/// An output as one text, tool calls laid out below.
pub(super) fn shown(output: &Output) -> String {
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
