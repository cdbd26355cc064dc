//! What is known of one output that waits: whose it is, where it comes from, what was asserted of it, and how it differs?

use std::cell::OnceCell;
use std::iter;
use std::sync::Arc;

use crate::diff::{json_diff, reordered_keys, text_diff_at_length};
use crate::model::assertion::AssertionSeverity;
use crate::model::run::{CellResult, PromptChange, SampleResult};
use crate::model::verdict::{AssertionResult, Diff, ErrorKind, Outcome, SnapshotState, TextDiff, Verdict};
use crate::report::strange::{self, Noun, Strange};
use crate::report::{difference, figures, finding, visible, words};
use crate::review::alike;
use crate::snapshot::accept::Variants;
use crate::snapshot::output::Snapshot;
use crate::snapshot::pending::{Pending, readable};
use crate::snapshot::{compare, format};

/// Most characters of a file that is shown though no cell owns it.
const ORPHAN: usize = 200_000;

/// What a difference says of values that the suite ignores, before their paths.
const LEFT_OUT: &str = "different too, and left out by `snapshot.ignore` (`w` shows it)";

/// Most characters of an output that are laid out: a person reads no more of it, and every key lays it out anew.
pub(super) const MOST: usize = 400_000;

/// What there is to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Another output than the accepted one.
    Changed,
    /// Nothing to compare with is accepted.
    New,
    /// No case of any suite owns the file: accepting removes it.
    Orphaned,
    /// One of the two files makes no sense.
    Unreadable,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::New => "new",
            Self::Orphaned => "orphaned",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What came of the assertions on this very output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judged {
    /// As the suites stand now.
    Cell {
        verdict: Verdict,
        /// What does not hold.
        failing: Vec<Failing>,
        /// Names.
        holding: Vec<String>,
    },
    /// Why nobody knows.
    Unknown(String),
}

/// What does not hold of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failing {
    /// In one line.
    pub(crate) said: String,
    /// The same without what the output has instead: two outputs that fail alike have this in common.
    pub(crate) wanted: String,
}

/// A new output that matches nothing accepted, beside what is nearest to it.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// `output 2 of 3 against variant 1 of 2`; empty where there is one of each.
    pub(crate) title: String,
    /// What the difference alone does not say.
    pub(crate) notes: Vec<String>,
    pub(crate) diff: Diff,
    pub(crate) accepted: String,
    pub(crate) new: String,
    /// The difference of the two texts with more room, once somebody looks at it: of long ones, and of JSON documents side by side.
    at_length: OnceCell<TextDiff>,
}

impl Difference {
    /// A difference of texts as a person can page through it: with more in it than a report keeps.
    pub(super) fn at_length<'a>(&'a self, text: &'a TextDiff) -> &'a TextDiff {
        if text.cut { self.documents() } else { text }
    }

    /// The difference of the two as texts. Found once: it is bounded in time, so that finding it again could leave out another part.
    pub(super) fn documents(&self) -> &TextDiff {
        self.at_length.get_or_init(|| text_diff_at_length(&self.accepted, &self.new))
    }

    /// What of it is on no page.
    fn not_shown(&self, side_by_side: bool) -> Option<String> {
        match &self.diff {
            Diff::Text(text) => difference::left_out(self.at_length(text)),
            // Below the changes stands the difference of the documents, or the new one whole.
            Diff::Json(_) if side_by_side => difference::left_out(self.documents()),
            Diff::Json(_) => beyond(&self.new).or_else(|| beyond(&self.accepted)),
        }
    }
}

/// The variant that the first difference is against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nearest {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) of: usize,
}

/// One output that waits, or a file that nobody owns.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The accepted file's path; an orphan's own.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) suite: String,
    pub(crate) case: String,
    pub(crate) model: String,
    pub(crate) address: String,
    /// `ticket-triage@2 -> ticket-triage@3`, or the one version.
    pub(crate) versions: String,
    /// `suites/triage.yaml:31:5`.
    pub(crate) place: Option<String>,
    /// `None` for a file that cannot be read.
    pub(crate) simulated: Option<bool>,
    pub(crate) judged: Judged,
    /// What the difference does not say.
    pub(crate) notes: Vec<String>,
    /// Several where several outputs match no accepted variant.
    pub(crate) differences: Vec<Difference>,
    /// So many more there are than are kept.
    differences_left_out: u32,
    /// How many are accepted, and would be.
    pub(super) variants: Variants,
    /// Where several variants are accepted.
    pub(crate) nearest: Option<Nearest>,
    /// What changed in the prompt since the accepted output, where it is known.
    pub(crate) prompt: Option<Arc<PromptChange>>,
    /// The accepted output; empty where there is none.
    pub(crate) accepted: String,
    /// The new output; empty for an orphan.
    pub(crate) new: String,
    /// Items with the same text share the same change.
    pub(crate) change: Option<String>,
}

impl Item {
    /// An output that waits. `accepted` is what it would replace, `cell` its cell judged afresh, or why there is none.
    pub(crate) fn waiting(pending: &Pending, accepted: Option<&Snapshot>, cell: Result<&CellResult, String>) -> Self {
        let new = pending.content.as_ref().map(readable).unwrap_or_default();
        let mut notes = Vec::new();
        let kind = match &pending.state {
            SnapshotState::Changed { .. } => Kind::Changed,
            SnapshotState::New { reason } => {
                notes.extend(reason.clone());
                Kind::New
            }
            SnapshotState::Unreadable { message } => {
                // What to do about it is said by the keys here.
                notes.push(message.split("; hint: ").next().unwrap_or(message).to_owned());
                Kind::Unreadable
            }
            SnapshotState::Same => {
                notes.push("the accepted file says the same by now".to_owned());
                Kind::Changed
            }
            SnapshotState::None => Kind::Unreadable,
        };
        notes.extend(pending.content.as_ref().err().cloned());
        notes.extend(strange::summary(&pending.state, Noun::Output));
        notes.extend(strange::left_out(&pending.state, Noun::Output));
        let now = pending.content.as_ref().ok();
        let differences = match (accepted, now) {
            (Some(accepted), Some(now)) => differences(&pending.state, accepted, now),
            _ => Vec::new(),
        };
        if kind == Kind::New {
            let odd = now.and_then(|now| now.outputs.iter().find(|output| output.stop_reason != "end_turn"));
            notes.extend(odd.map(|output| format!("it stopped with `{}`", output.stop_reason)));
        }
        let before = accepted.map(|accepted| accepted.prompt.as_str());
        let variants = pending.variants;
        let nearest = nearest(&pending.state);
        if variants.accepted > 1 || (variants.accepted == 1 && variants.replaced > 1) {
            notes.push(accepted_and_would_be(variants, nearest));
        }
        let versions = match (before, now.map(|now| now.prompt.as_str())) {
            (Some(before), Some(now)) if before != now => format!("{before} -> {now}"),
            (_, Some(now)) => now.to_owned(),
            (before, None) => before.unwrap_or_default().to_owned(),
        };
        let judged = cell.as_ref().map_or_else(|why| Judged::Unknown(why.clone()), |cell| judged(cell, now));
        Self {
            path: pending.path.clone(),
            kind,
            suite: cell.as_ref().map_or_else(|_| pending.suite.clone(), |cell| cell.address.suite.to_string()),
            case: cell.as_ref().map_or_else(|_| pending.case.clone(), |cell| cell.address.case.to_string()),
            model: cell.as_ref().map_or_else(|_| pending.model.clone(), |cell| cell.address.model.to_string()),
            address: cell.as_ref().map_or_else(|_| pending.address(), |cell| cell.address.to_string()),
            versions,
            place: cell.as_ref().ok().map(|cell| cell.site.to_string()),
            simulated: now.map(|now| now.simulated),
            change: now.and_then(|now| alike::change(&pending.state, now, &new, variants, &judged)),
            judged,
            notes,
            differences,
            differences_left_out: match &pending.state {
                SnapshotState::Changed { variants: Some(of), .. } => of.left_out,
                _ => 0,
            },
            variants,
            nearest,
            prompt: None,
            accepted: accepted.map(readable).unwrap_or_default(),
            new,
        }
    }

    /// What changed in the prompt from the accepted output to this one.
    pub(crate) fn prompt_change(&self, changes: &[Arc<PromptChange>]) -> Option<Arc<PromptChange>> {
        let (from, to) = self.versions.split_once(" -> ").unwrap_or((&self.versions, &self.versions));
        changes.iter().find(|change| change.from == from && change.to == to).cloned()
    }

    /// Values differ that the suite ignores: accepting takes them over with the rest.
    pub(crate) fn is_more_than_shown(&self) -> bool {
        self.differences.iter().flat_map(|difference| &difference.notes).any(|note| note.starts_with(LEFT_OUT))
    }

    /// Those of the two files that cannot be read as they stand, so that nobody decides about them blindly.
    pub(crate) fn with_raw(mut self, accepted: Option<String>, new: Option<String>) -> Self {
        let cut = |text: Option<String>| text.map(|text| visible::cut(&text, ORPHAN).into_owned()).unwrap_or_default();
        if self.kind == Kind::Unreadable && self.accepted.is_empty() {
            self.accepted = cut(accepted);
        }
        if self.kind == Kind::Unreadable && self.is_new_unreadable() {
            self.new = cut(new);
        }
        self
    }

    /// Whether nothing can be accepted, because the new output makes no sense.
    pub(crate) const fn is_new_unreadable(&self) -> bool {
        self.simulated.is_none()
    }

    /// What of it nobody can page to, so that nobody accepts it unseen without saying so twice.
    pub(crate) fn not_shown(&self, side_by_side: bool) -> Option<String> {
        let more = (self.differences_left_out > 0).then(|| {
            format!("… {} not shown", figures::counted(self.differences_left_out.into(), "more difference is", "more differences are"))
        });
        match self.kind {
            Kind::Changed => self.differences.iter().find_map(|difference| difference.not_shown(side_by_side)).or(more),
            Kind::New | Kind::Unreadable => beyond(&self.new),
            Kind::Orphaned => beyond(&self.accepted),
        }
    }

    /// A file that no cell owns; `text` as it stands in the file.
    pub(crate) fn orphaned(path: &str, text: Option<&str>) -> Self {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let part = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
        let file = parts.last().copied().unwrap_or_default();
        let model = file.strip_suffix(".new").unwrap_or(file);
        let read = text.and_then(|text| format::read(text).ok());
        Self {
            path: path.to_owned(),
            kind: Kind::Orphaned,
            suite: part(0),
            case: if parts.len() > 2 { part(1) } else { String::new() },
            model: model.strip_suffix(".snap").unwrap_or(model).to_owned(),
            address: path.to_owned(),
            versions: read.as_ref().map(|snapshot| snapshot.prompt.clone()).unwrap_or_default(),
            place: None,
            simulated: read.as_ref().map(|snapshot| snapshot.simulated),
            judged: Judged::Unknown("no case of any suite owns this file".to_owned()),
            notes: Vec::new(),
            differences: Vec::new(),
            differences_left_out: 0,
            variants: Variants::default(),
            nearest: None,
            prompt: None,
            accepted: match (&read, text) {
                (Some(snapshot), _) => readable(snapshot),
                (None, Some(text)) => visible::cut(text, ORPHAN).into_owned(),
                (None, None) => String::new(),
            },
            new: String::new(),
            // Each is another file, which nobody has seen before it is shown.
            change: None,
        }
    }
}

/// Each output that matches nothing beside the variant that is nearest to it.
fn differences(state: &SnapshotState, accepted: &Snapshot, new: &Snapshot) -> Vec<Difference> {
    let SnapshotState::Changed { variants, .. } = state else { return Vec::new() };
    let pairs = variants.iter().flat_map(|of| iter::once(&of.first).chain(of.others.iter().map(|other| &other.pair)));
    let mut pairs = pairs.map(|pair| (pair.variant as usize, pair.outputs.first().map_or(0, |output| *output as usize)));
    let text = |of: &Snapshot, at: usize| of.outputs.get(at).map(compare::shown).unwrap_or_default();
    let beside = |strange: Strange<'_>| {
        let (variant, output) = pairs.next().unwrap_or_default();
        let (accepted, new) = (text(accepted, variant), text(new, output));
        let mut notes = strange.notes.to_vec();
        if matches!(strange.diff, Diff::Json(_)) {
            notes.extend(reordered(&accepted, &new));
            notes.extend(left_out(strange.diff, &accepted, &new).map(|paths| format!("{LEFT_OUT}: {paths}")));
        }
        Difference { title: strange.title, notes, diff: strange.diff.clone(), accepted, new, at_length: OnceCell::new() }
    };
    strange::strange(state, Noun::Output).into_iter().map(beside).collect()
}

/// That so many characters of a text are on no page.
fn beyond(text: &str) -> Option<String> {
    let more = if text.len() > MOST { text.chars().count().saturating_sub(MOST) } else { 0 };
    (more > 0).then(|| format!("… {} not shown", figures::counted(more as u64, "more character is", "more characters are")))
}

/// `2 variants are accepted; after `a` there would be 3, after `v` 4; `V` replaces one of them, the nearest is variant 1`.
fn accepted_and_would_be(variants: Variants, nearest: Option<Nearest>) -> String {
    let Variants { accepted, replaced, added } = variants;
    let stand = figures::counted(accepted as u64, "variant is accepted", "variants are accepted");
    let would = if replaced == added {
        format!("after `a` or `v` there would be {replaced}")
    } else {
        format!("after `a` there would be {replaced}, after `v` {added}")
    };
    let one = nearest.map(|nearest| format!("; `V` replaces one of them, the nearest is variant {}", nearest.number)).unwrap_or_default();
    format!("{stand}; {would}{one}")
}

fn nearest(state: &SnapshotState) -> Option<Nearest> {
    let SnapshotState::Changed { variants: Some(of), .. } = state else { return None };
    (of.accepted > 1).then_some(Nearest { number: of.first.variant as usize + 1, of: of.accepted as usize })
}

/// Whether keys stand in another order, which no comparison of values tells.
fn reordered(accepted: &str, new: &str) -> Option<String> {
    let (accepted, new) = (serde_json::from_str(accepted).ok()?, serde_json::from_str(new).ok()?);
    let paths = some(reordered_keys(&accepted, &new))?;
    Some(format!("the keys stand in another order at {paths}, which is no change of a value"))
}

/// Where values differ that the suite ignores, so that the difference does not tell of them.
fn left_out(shown: &Diff, accepted: &str, new: &str) -> Option<String> {
    let Diff::Json(shown) = shown else { return None };
    let (accepted, new) = (serde_json::from_str(accepted).ok()?, serde_json::from_str(new).ok()?);
    let mut paths: Vec<String> = json_diff(&accepted, &new).into_iter().map(|change| change.path).collect();
    // The path of a change in a tool call stands behind the name of its block.
    paths.retain(|path| shown.iter().all(|change| !change.path.ends_with(path.as_str())));
    some(paths)
}

/// A few paths, and how many more there are; `None` where there is none.
fn some(mut paths: Vec<String>) -> Option<String> {
    let more = paths.len().saturating_sub(5);
    paths.truncate(5);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!paths.is_empty()).then(|| format!("{}{more}", paths.join(", ")))
}

/// What the cell says, if it speaks of this output.
fn judged(cell: &CellResult, waiting: Option<&Snapshot>) -> Judged {
    let missing = |sample: &SampleResult| sample.error.as_ref().is_some_and(|error| error.kind == ErrorKind::CacheMiss);
    if cell.samples.iter().any(missing) {
        return Judged::Unknown("the store does not have its answer any more".to_owned());
    }
    let same = waiting.is_some_and(|waiting| cell.candidate.as_deref() == Some(&*format::write(waiting)));
    if !same {
        return Judged::Unknown("the suite's present prompt, inputs or answers give another output: run again".to_owned());
    }
    let several = cell.samples.len() > 1;
    let mut failing = Vec::new();
    for sample in &cell.samples {
        let head = if several { format!("sample {}: ", sample.index + 1) } else { String::new() };
        if sample.error.is_some() || sample.skipped.is_some() {
            let said = format!("{head}{}", finding::headline(sample));
            failing.push(Failing { wanted: said.clone(), said });
            continue;
        }
        failing.extend(
            finding::findings(sample)
                .map(|result| Failing { said: format!("{head}{}", said(result)), wanted: format!("{head}{}", wanted(result)) }),
        );
    }
    let mut holding: Vec<String> = Vec::new();
    for result in cell.samples.iter().flat_map(|sample| &sample.assertions).filter(|result| result.outcome == Outcome::Pass) {
        let name = visible::name(&result.name);
        // The two rules that every cell has are news only where they do not hold.
        if result.site.is_some() && !holding.contains(&name) {
            holding.push(name);
        }
    }
    Judged::Cell { verdict: cell.verdict, failing, holding }
}

/// The assertion and what it expects; not where it stands, which may be in each case.
fn wanted(result: &AssertionResult) -> String {
    let expected = match &result.outcome {
        Outcome::Pass => String::new(),
        Outcome::Fail(failure) => format!("expected {}", visible::brief(&failure.expected, 1_000)),
        Outcome::Error(message) => format!("not judged: {}", visible::brief(message, 1_000)),
    };
    format!("{} {:?}: {expected}", result.name, result.severity)
}

fn said(result: &AssertionResult) -> String {
    let place = result.site.as_ref().map(|site| format!(" ({})", visible::name(&site.to_string()))).unwrap_or_default();
    let weight = match result.severity {
        AssertionSeverity::Fail => String::new(),
        AssertionSeverity::Warn | AssertionSeverity::Critical => format!(", {}", words::severity(result.severity)),
    };
    let what = match &result.outcome {
        Outcome::Pass => String::new(),
        Outcome::Fail(failure) => {
            format!("expected {}, got {}", visible::brief(&failure.expected, 300), visible::brief(&failure.got, 300))
        }
        Outcome::Error(message) => format!("not judged: {}", visible::brief(message, 300)),
    };
    format!("{}{weight}{place}: {what}", visible::name(&result.name))
}
