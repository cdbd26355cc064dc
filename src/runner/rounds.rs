//! Which cells did an edit touch, and which results still hold? What a watch knows between two rounds.
//!
//! A round runs the cells that are new or made of something else than before. The results of the others are taken over, and the report is
//! the one that a run of everything would give now: what an earlier round paid for counts as answered by the store.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::key;
use crate::model::problem::Site;
use crate::model::reply::Served;
use crate::model::run::{Address, CellResult, RequestFacts, RunReport};
use crate::model::verdict::{SkipReason, Verdict};
use crate::runner::fingerprint;
use crate::runner::plan::{Plan, PlannedCell, Variant};
use crate::runner::run::Ran;

/// What a cell is made of, as far as a person can see it in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    fingerprint: Arc<str>,
    /// The names of its assertions: they decide nothing, so the fingerprint has none of them; but a report shows them.
    names: Arc<str>,
    /// Where its assertions stand: an edit above them moves them and touches nothing.
    sites: Vec<Site>,
}

/// The mark of a cell; `accepted` is the text of its snapshot file.
#[must_use]
pub fn mark(cell: &PlannedCell, accepted: Option<&str>) -> Mark {
    let assertions = &cell.case.assertions;
    let names: Vec<Option<&str>> = assertions.iter().map(|assertion| assertion.name.as_deref()).collect();
    Mark {
        fingerprint: fingerprint::fingerprint(cell, accepted),
        names: key::digest(&serde_json::to_vec(&names).expect("strings are always JSON")),
        sites: assertions.iter().map(|assertion| assertion.site.clone()).collect(),
    }
}

/// Which cells a round runs beside those that are new or made of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Also {
    /// No others.
    Nothing,
    /// Those that did not pass.
    Failed,
    /// Every cell.
    Everything,
}

/// What the last round came to.
#[derive(Debug)]
pub struct Picture {
    report: RunReport,
    cells: HashMap<Address, (Mark, usize)>,
}

/// A plan of which only a part is run, and the results of the rest.
#[derive(Debug, Default)]
pub struct Held {
    /// In the order of the whole plan; `None` is run.
    cells: Vec<Option<CellResult>>,
    /// What all cells of the whole plan were asked with, in its order.
    variants: Vec<Arc<Variant>>,
    texts: Vec<Arc<str>>,
    /// Cells of the plan that the budget left out, by their place among all.
    left_out: Vec<(usize, PlannedCell)>,
}

impl Picture {
    /// What a round came to; `marks` are those of its whole plan, as it was when the round began.
    #[must_use]
    pub fn of(mut marks: HashMap<Address, Mark>, report: RunReport) -> Self {
        let cells = report.cells.iter().enumerate();
        let known = |(place, cell): (usize, &CellResult)| Some((cell.address.clone(), (marks.remove(&cell.address)?, place)));
        let cells = cells.filter_map(known).collect();
        Self { report, cells }
    }

    /// The report of the round.
    #[must_use]
    pub const fn report(&self) -> &RunReport {
        &self.report
    }

    /// Whether the plan has other cells than the picture, or cells that are made of something else.
    #[must_use]
    pub fn differs(&self, plan: &Plan, marks: &HashMap<Address, Mark>) -> bool {
        plan.cells.len() != self.cells.len() || plan.cells.iter().any(|cell| self.is_touched(cell, marks))
    }

    fn is_touched(&self, cell: &PlannedCell, marks: &HashMap<Address, Mark>) -> bool {
        let address = cell.address();
        let same = |(mark, _): &(Mark, usize)| {
            marks.get(&address).is_some_and(|now| now.fingerprint == mark.fingerprint && now.names == mark.names)
        };
        !self.cells.get(&address).is_some_and(same)
    }

    /// Leaves the cells in the plan that are to be run, and answers with the results of the others.
    pub fn split(&self, plan: &mut Plan, marks: &HashMap<Address, Mark>, also: Also) -> Held {
        let mut held = Vec::with_capacity(plan.cells.len());
        let mut left_out = Vec::new();
        let cells = std::mem::take(&mut plan.cells);
        let variants = cells.iter().map(|cell| Arc::clone(&cell.variant)).collect();
        for cell in cells {
            let known = self.cells.get(&cell.address()).filter(|_| !self.is_touched(&cell, marks));
            let known = known.map(|(mark, place)| (mark, &self.report.cells[*place]));
            match known.filter(|(_, result)| !runs_again(result, also)) {
                Some((mark, result)) => {
                    held.push(Some(taken_over(&cell, mark, result)));
                    if result.samples.iter().any(|sample| sample.skipped == Some(SkipReason::Budget)) {
                        left_out.push((held.len() - 1, cell));
                    }
                }
                None => {
                    held.push(None);
                    plan.cells.push(cell);
                }
            }
        }
        Held { cells: held, variants, texts: self.report.texts.clone(), left_out }
    }
}

impl Held {
    /// How many cells there are in all.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.cells.len()
    }

    /// Cells whose results are taken over.
    pub fn results(&self) -> impl Iterator<Item = &CellResult> {
        self.cells.iter().flatten()
    }

    /// What the budget of an earlier round left out, and is not asked now.
    pub fn left_out(&self) -> impl Iterator<Item = (&PlannedCell, &CellResult)> {
        self.left_out.iter().filter_map(|(place, cell)| Some((cell, self.cells[*place].as_ref()?)))
    }

    /// What the results of the whole were asked with, in its order: `plan` has the cells that run.
    #[must_use]
    pub fn variants(&self, plan: &Plan) -> Vec<Arc<Variant>> {
        if !self.cells.is_empty() {
            return self.variants.clone();
        }
        plan.cells.iter().filter(|cell| cell.baseline.is_none()).map(|cell| Arc::clone(&cell.variant)).collect()
    }

    /// All results in the order of the whole plan.
    #[must_use]
    pub fn whole(self, ran: Ran) -> Ran {
        if self.cells.is_empty() {
            return ran;
        }
        let mut texts = ran.texts;
        let before = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        texts.extend(self.texts);
        let mut fresh = ran.cells.into_iter();
        let cell = |held: Option<CellResult>| match held {
            Some(mut cell) => {
                if let Some(request) = &mut cell.request {
                    move_by(request, before);
                }
                Some(cell)
            }
            None => fresh.next(),
        };
        Ran { cells: self.cells.into_iter().filter_map(cell).collect(), texts }
    }
}

/// Untouched, and run all the same: it was asked for, or the last round ended before its turn came.
fn runs_again(result: &CellResult, also: Also) -> bool {
    let had_no_turn = || {
        let reasons = result.samples.iter().filter_map(|sample| sample.skipped.as_ref());
        reasons.into_iter().any(|reason| match reason {
            SkipReason::MaxFail | SkipReason::RunTimeout | SkipReason::Interrupted => true,
            // Whether one still holds it is looked up in the store, and costs nothing.
            SkipReason::Batch(_) => true,
            // It would be refused again, and asking whether it still is costs time or money: that is for a person to say.
            SkipReason::Budget | SkipReason::ModelUnavailable(_) | SkipReason::StoreFailed(_) | SkipReason::EndpointDown(_) => false,
        })
    };
    match also {
        Also::Nothing => had_no_turn(),
        Also::Failed => result.verdict != Verdict::Pass,
        Also::Everything => true,
    }
}

/// A result of an earlier round as a run of today would give it.
fn taken_over(cell: &PlannedCell, before: &Mark, result: &CellResult) -> CellResult {
    let mut result = result.clone();
    let moved: HashMap<&Site, &Site> =
        before.sites.iter().zip(cell.case.assertions.iter().map(|assertion| &assertion.site)).filter(|(old, new)| old != new).collect();
    result.site = cell.case.site.clone();
    result.cluster = cell.case.cluster.clone();
    result.tags = cell.case.tags.clone().into();
    result.side_by_side = cell.variant.side_by_side;
    result.endpoint = Arc::clone(&cell.variant.endpoint);
    // Where a round accepted the output itself, its own result knew the snapshot of before.
    result.digests.fingerprint = Arc::clone(&before.fingerprint);
    result.digests.prompt = Arc::clone(&cell.variant.version.file.digest);
    result.digests.fixtures = cell.case.fixtures.clone().into();
    for sample in &mut result.samples {
        for assertion in &mut sample.assertions {
            if let Some(site) = assertion.site.as_ref().and_then(|site| moved.get(site)) {
                assertion.site = Some((*site).clone());
            }
        }
        if let Some(reply) = &mut sample.reply {
            reply.served = kept(reply.served);
        }
    }
    result
}

/// How an answer of an earlier round would come today: what was paid then is in the store.
const fn kept(served: Served) -> Served {
    match served {
        Served::Fresh | Served::Batch | Served::Shared | Served::Stored => Served::Stored,
        Served::Recorded => Served::Recorded,
    }
}

fn move_by(request: &mut RequestFacts, by: u32) {
    let content = request.turns.iter_mut().flat_map(|turn| &mut turn.content);
    for number in request.system.iter_mut().chain(content).chain([&mut request.parameters]) {
        *number = number.saturating_add(by);
    }
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
