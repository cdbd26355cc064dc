//! Does a cell's result count against the gate, or does it only inform?

use std::collections::HashMap;

use crate::model::assertion::AssertionSeverity;
use crate::model::gate::{GateKind, GateOutcome};
use crate::model::run::{CellResult, Group, RunReport};
use crate::model::verdict::{Outcome, SnapshotState, Verdict};

/// How a cell stands to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its verdict is pass, and its snapshot is no reason to look at it.
    Passed,
    /// Its verdict is pass; its snapshot changed, is new or cannot be read, and that fails the gate.
    Snapshot,
    /// It failed, and that counts.
    Failed,
    /// It failed or has no verdict, and the gate does not mind.
    Informs(Tolerance),
    /// It has no verdict, and that counts.
    Errored,
    /// Nothing was asked.
    Skipped,
}

/// Why a gate does not mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tolerance {
    /// A newer version of the prompt is gated instead.
    OlderVersion,
    /// The suite says `gate: false` of the model.
    UngatedModel,
    /// The pass rate that the suite asks for is reached all the same.
    WithinRate,
}

impl Tolerance {
    /// In words.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::OlderVersion => "an older version informs only",
            Self::UngatedModel => "a model with `gate: false` informs only",
            Self::WithinRate => "the pass rate that the suite asks for is reached all the same",
        }
    }
}

#[derive(Default)]
struct ModelFacts {
    any_gated: bool,
    rate_holds: bool,
}

/// What a whole report says about which cells count; made once, asked for every cell.
pub(crate) struct Standings<'a> {
    models: HashMap<(&'a str, &'a str), ModelFacts>,
    snapshots_fail: HashMap<&'a str, bool>,
}

impl<'a> Standings<'a> {
    pub(crate) fn of(report: &'a RunReport) -> Self {
        let mut models: HashMap<(&str, &str), ModelFacts> = HashMap::new();
        for cell in report.cells.iter().filter(|cell| cell.gated) {
            models.entry((&cell.address.suite, &cell.address.model)).or_default().any_gated = true;
        }
        let mut snapshots_fail = HashMap::new();
        for gate in &report.gates {
            match (gate.kind, gate.suite.as_deref(), gate.model.as_deref()) {
                (GateKind::PassRate, Some(suite), Some(model)) => {
                    models.entry((suite, model)).or_default().rate_holds = gate.outcome == GateOutcome::Pass;
                }
                (GateKind::Snapshots, Some(suite), _) => {
                    *snapshots_fail.entry(suite).or_insert(false) |= gate.outcome == GateOutcome::Fail;
                }
                _ => {}
            }
        }
        Self { models, snapshots_fail }
    }

    pub(crate) fn standing(&self, cell: &CellResult) -> Standing {
        let facts = self.models.get(&(&*cell.address.suite, &*cell.address.model));
        let ungated = || {
            Standing::Informs(if facts.is_some_and(|facts| facts.any_gated) { Tolerance::OlderVersion } else { Tolerance::UngatedModel })
        };
        match cell.verdict {
            Verdict::Pass if cell.gated && self.snapshot_counts(cell) => Standing::Snapshot,
            Verdict::Pass => Standing::Passed,
            Verdict::Fail if !cell.gated => ungated(),
            Verdict::Fail if facts.is_some_and(|facts| facts.rate_holds) && !is_critical(cell) => Standing::Informs(Tolerance::WithinRate),
            Verdict::Fail => Standing::Failed,
            Verdict::Error if !cell.gated => ungated(),
            Verdict::Error => Standing::Errored,
            Verdict::Skipped => Standing::Skipped,
        }
    }

    /// The state of the cell's snapshot is one that fails its suite's gate.
    pub(crate) fn snapshot_counts(&self, cell: &CellResult) -> bool {
        cell.snapshot_path.is_some() && is_news(&cell.snapshot) && self.snapshots_fail.get(&*cell.address.suite).copied().unwrap_or(false)
    }
}

/// Passed and failed cells of every suite and model, counted as the gate counts them: without older versions.
pub(crate) struct GatedRates<'a>(HashMap<(&'a str, &'a str), (u64, u64)>);

impl<'a> GatedRates<'a> {
    pub(crate) fn of(report: &'a RunReport) -> Self {
        let mut rates: HashMap<(&str, &str), (u64, u64)> = HashMap::new();
        for cell in report.cells.iter().filter(|cell| cell.gated) {
            let (passed, failed) = rates.entry((&cell.address.suite, &cell.address.model)).or_default();
            match cell.verdict {
                Verdict::Pass => *passed += 1,
                Verdict::Fail => *failed += 1,
                Verdict::Error | Verdict::Skipped => {}
            }
        }
        Self(rates)
    }

    /// Of a group; all of its cells where it is not one of a suite's models, or none of them is gated.
    pub(crate) fn rate(&self, group: &Group) -> (u64, u64) {
        let whole = (group.totals.passed, group.totals.failed);
        let gated = group.suite.as_deref().and_then(|suite| self.0.get(&(suite, group.name.as_str())));
        gated.copied().unwrap_or(whole)
    }
}

/// A snapshot that somebody has to look at.
pub(crate) const fn is_news(state: &SnapshotState) -> bool {
    match state {
        SnapshotState::Same | SnapshotState::None => false,
        SnapshotState::Changed { .. } | SnapshotState::New { .. } | SnapshotState::Unreadable { .. } => true,
    }
}

/// A failed `critical` assertion counts whatever the rates say.
fn is_critical(cell: &CellResult) -> bool {
    let mut results = cell.samples.iter().flat_map(|sample| &sample.assertions);
    results.any(|result| result.severity == AssertionSeverity::Critical && matches!(result.outcome, Outcome::Fail(_)))
}
