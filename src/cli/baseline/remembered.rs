//! Which remembered run is each suite compared with?
//!
//! `last` and `last-green` look for a run that says something of its own. A run that gave the very same answers as this one will is no
//! evidence about it, however it ended: whoever runs twice would else be compared with himself, and find nothing changed.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use crate::cli::baseline::gone::{Before, Present};
use crate::cli::baseline::{known_again, told};
use crate::cli::project::{Failure, Project};
use crate::model::baseline::{Baseline, KeptCell, KnownSuite, place};
use crate::model::gate::Exit;
use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::model::run::CellDigests;
use crate::model::verdict::Verdict;
use crate::runner::fingerprint;
use crate::runner::plan::{Plan, PlannedCell};
use crate::store::Store;
use crate::store::history::{RunHead, RunRecord};

/// What is asked for, and where it is looked for.
pub(crate) struct Remembered<'a> {
    pub(crate) project: &'a Project,
    pub(crate) plan: &'a Plan,
    pub(crate) store: &'a Store,
    /// Stored answers are read, so that what was asked before is not asked again.
    pub(crate) replays: bool,
    /// What the project has.
    pub(crate) present: Present<'a>,
    pub(crate) reference: &'a str,
}

/// How far a run can stand against a suite of this one; the first that reaches the most is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// It has other cases or models of the suite.
    Other,
    /// Cells were left out on purpose, and some of this run's are among them.
    Part,
    /// It has the very same answers.
    Same,
    /// It has answers of its own to the same cases.
    Evidence,
}

impl Remembered<'_> {
    /// The runs that the suites are compared with, each with its suites' cells.
    pub(crate) fn find(&self, suites: &HashSet<&str>) -> Result<Vec<Baseline>, Failure> {
        match self.reference {
            "last" => self.newest(suites, false),
            "last-green" => self.newest(suites, true),
            id => {
                let record = self.store.run(id).map_err(told)?;
                let record = record.ok_or_else(|| self.missing(&format!("no run `{id}`")))?;
                let gone = self.present.gone(&gated(&record));
                Ok(vec![Baseline { gone, ..self.of_record(record, suites)? }])
            }
        }
    }

    /// For each suite the newest run that has it, was answered by the same endpoints, and says something of its own: what was tried with the
    /// simulator in between is no baseline of what is real.
    fn newest(&self, suites: &HashSet<&str>, green: bool) -> Result<Vec<Baseline>, Failure> {
        let of_runs = self.store.suites_of_runs().map_err(told)?;
        let asked: HashSet<&str> = self.plan.cells.iter().map(|cell| &*cell.variant.endpoint).collect();
        let is_like = |run: &&RunHead| run.endpoints.is_empty() || asked.iter().all(|name| run.endpoints.iter().any(|one| one == name));
        let has = |run: &RunHead, suite: &str| of_runs.get(&run.id).is_some_and(|of| of.iter().any(|counts| counts.suite == suite));
        let runs = self.store.runs().map_err(told)?;
        let runs: Vec<&RunHead> = runs.iter().filter(is_like).collect();
        let cells = Cells::of(self);
        let mut best: HashMap<&str, (Use, &RunHead)> = HashMap::new();
        for run in runs.iter().filter(|run| if green { run.exit == Exit::Holds } else { run.exit != Exit::Interrupted }) {
            let open = |suite: &str| has(run, suite) && best.get(suite).is_none_or(|(reach, _)| *reach < Use::Evidence);
            let open: Vec<&str> = suites.iter().copied().filter(|suite| open(suite)).collect();
            if open.is_empty() {
                continue;
            }
            let Some(record) = self.store.run(&run.id).map_err(told)?.filter(|record| !record.is_unfinished()) else { continue };
            for suite in open {
                let Some(reach) = cells.reach(&record, suite)? else { continue };
                if best.get(suite).is_none_or(|(known, _)| reach > *known) {
                    best.insert(suite, (reach, run));
                }
            }
        }
        if best.is_empty() {
            let what = if green { "no run of these suites whose gate held" } else { "no run of these suites" };
            return Err(self.missing(what));
        }
        let mut baselines = Vec::new();
        for run in &runs {
            let suites: HashSet<&str> = best.iter().filter(|(_, (_, head))| head.id == run.id).map(|(suite, _)| *suite).collect();
            if suites.is_empty() {
                continue;
            }
            let record = self.store.run(&run.id).map_err(told)?.ok_or_else(|| self.missing(&format!("no run `{}`", run.id)))?;
            let failed =
                !green && suites.iter().any(|suite| best[suite].0 == Use::Same) && matches!(run.exit, Exit::Fails | Exit::Undecided);
            baselines.push(Baseline { failed, ..self.of_record(record, &suites)? });
        }
        // A suite that has been run, and never so that it could be compared with, is not new.
        let without = suites.iter().filter(|suite| !best.contains_key(**suite) && runs.iter().any(|run| has(run, suite)));
        let without = without.map(|suite| KnownSuite { name: (*suite).to_owned(), ..KnownSuite::default() });
        if let Some(first) = baselines.first_mut() {
            first.suites.extend(without);
        }
        self.lost(&mut baselines, &runs)?;
        Ok(baselines)
    }

    /// What the newest whole run gated and the project has no more, or elsewhere. One whose gate held goes before all others: a run that was not green because a
    /// suite is gone must not become the reason why the next one is.
    fn lost(&self, baselines: &mut [Baseline], runs: &[&RunHead]) -> Result<(), Failure> {
        let mut whole: Vec<&RunHead> = runs.iter().copied().filter(|run| !run.filtered && run.exit != Exit::Interrupted).collect();
        whole.sort_by_key(|run| run.exit != Exit::Holds);
        for run in whole {
            let Some(record) = self.store.run(&run.id).map_err(told)?.filter(|record| !record.is_unfinished()) else { continue };
            let gated = gated(&record);
            if let Some(first) = baselines.first_mut() {
                first.gone = self.present.gone(&gated);
            }
            for case in self.present.renamed(&gated) {
                let of_suite = place(baselines, self.reference, &case.suite).and_then(|place| baselines.get_mut(place));
                let of_suite = of_suite.filter(|known| known.renamed.iter().all(|one| (&one.suite, &one.now) != (&case.suite, &case.now)));
                if let Some(baseline) = of_suite {
                    baseline.renamed.push(case);
                }
            }
            break;
        }
        Ok(())
    }

    fn of_record(&self, record: RunRecord, suites: &HashSet<&str>) -> Result<Baseline, Failure> {
        let reference = self.reference;
        if record.is_unfinished() {
            let problem = Problem::error(format!("baseline `{reference}`: run {} did not finish", record.head.id));
            return Err(problem.hint("name another run of `promptkeel history`").into());
        }
        let of_suites = || record.cells.iter().filter(|cell| suites.contains(&*cell.address.suite));
        let kept = of_suites().filter_map(|cell| cell.kept.as_ref());
        let cells = kept.map(|kept| known_again(self.store, &self.project.catalog, kept)).collect::<Result<Vec<_>, _>>()?;
        if cells.is_empty() {
            let problem =
                Problem::error(format!("baseline `{reference}`: of run {} too little is remembered to compare with", record.head.id));
            return Err(problem.hint("an earlier version of promptkeel made it, or none of these suites was in it; run again").into());
        }
        let mut names: Vec<&str> = of_suites().map(|cell| &*cell.address.suite).collect();
        names.sort_unstable();
        names.dedup();
        let mut renamed = self.present.renamed(&gated(&record));
        renamed.retain(|case| suites.contains(case.suite.as_str()));
        let known = names.into_iter().map(|name| KnownSuite { name: name.to_owned(), ..KnownSuite::default() }).collect();
        Ok(Baseline {
            reference: reference.to_owned(),
            run: Some(record.head.id),
            revision: record.head.revision,
            started_at: Some(record.head.started_at),
            part: record.head.filtered || record.head.exit == Exit::Interrupted,
            not_held: matches!(record.head.exit, Exit::Fails | Exit::Undecided),
            suites: known,
            renamed,
            cells,
            ..Baseline::default()
        })
    }

    fn missing(&self, what: &str) -> Failure {
        let problem = Problem::error(format!("baseline `{}`: {what} is remembered", self.reference));
        problem
            .hint("`promptkeel history` lists what is; the first run has nothing to be compared with: make it with `--baseline none`")
            .into()
    }
}

/// What a run gated, as far as it was kept.
fn gated(record: &RunRecord) -> Before {
    let mut gated = Before::default();
    for kept in record.cells.iter().filter_map(|cell| cell.kept.as_ref()).filter(|kept| kept.gated) {
        gated.add(&kept.address.suite, &kept.address.case, &kept.variables);
    }
    gated
}

/// The gated cells of this run, and what of their answers is known before it begins.
struct Cells<'a> {
    of: &'a Remembered<'a>,
    by_suite: HashMap<&'a str, Vec<Gated<'a>>>,
    /// When the stored answer of a key came.
    answered: RefCell<HashMap<Key, Option<i64>>>,
}

struct Gated<'a> {
    cell: &'a PlannedCell,
    digests: CellDigests,
    /// Several prompts answer the same case.
    with_prompt: bool,
}

impl<'a> Cells<'a> {
    fn of(of: &'a Remembered<'a>) -> Self {
        let mut by_suite: HashMap<&str, Vec<Gated<'_>>> = HashMap::new();
        for cell in of.plan.cells.iter().filter(|cell| cell.variant.gated && cell.baseline.is_none()) {
            let (digests, with_prompt) = (fingerprint::digests(cell, None), cell.variant.suite.prompts.len() > 1);
            by_suite.entry(&cell.variant.suite_name).or_default().push(Gated { cell, digests, with_prompt });
        }
        Self { of, by_suite, answered: RefCell::default() }
    }

    /// What this run can be to the suite; `None` where nothing of it was kept.
    fn reach(&self, record: &RunRecord, suite: &str) -> Result<Option<Use>, Failure> {
        // Of several versions of a prompt the newest one is compared.
        let mut kept: HashMap<(&str, &str, Option<&str>), &KeptCell> = HashMap::new();
        let with_prompt = self.by_suite.get(suite).is_some_and(|cells| cells.iter().any(|gated| gated.with_prompt));
        for cell in record.cells.iter().filter(|cell| &*cell.address.suite == suite).filter_map(|cell| cell.kept.as_ref()) {
            let prompt = with_prompt.then_some(&*cell.address.prompt);
            let newest = kept.entry((&cell.address.case, &cell.address.model, prompt)).or_insert(cell);
            if newest.address.version < cell.address.version {
                *newest = cell;
            }
        }
        let (mut found, mut lacks, mut evidence) = (false, false, false);
        for gated in self.by_suite.get(suite).into_iter().flatten() {
            let variant = &gated.cell.variant;
            let prompt = with_prompt.then_some(&*variant.prompt_name);
            match kept.get(&(&*gated.cell.case_id, &*variant.model_name, prompt)) {
                Some(before) => {
                    found = true;
                    evidence = evidence || self.differs(gated, before)?;
                }
                None => lacks = true,
            }
        }
        Ok(match (found, record.head.filtered && lacks, evidence) {
            (false, ..) if kept.is_empty() => None,
            (false, ..) => Some(Use::Other),
            (true, true, _) => Some(Use::Part),
            (true, false, false) => Some(Use::Same),
            (true, false, true) => Some(Use::Evidence),
        })
    }

    /// Both ask the same question, and each has answers that the other has not.
    fn differs(&self, now: &Gated<'_>, before: &KeptCell) -> Result<bool, Failure> {
        let CellDigests { variables, assertions, fixtures, .. } = &now.digests;
        let is_same = *now.cell.variant.model_id == *before.model_id
            && (variables, assertions, fixtures) == (&before.variables, &before.assertions, &before.fixtures);
        if !is_same {
            return Ok(false);
        }
        let keys: HashSet<Key> = now.cell.keys.iter().copied().collect();
        let mut shared = HashSet::new();
        let mut own = false;
        for sample in before.samples.iter().filter(|sample| matches!(sample.verdict, Verdict::Pass | Verdict::Fail)) {
            let at = sample.answered_at.map(|at| at.timestamp_micros());
            if at.is_some() && keys.contains(&sample.key) && self.answered(&sample.key)? == at {
                shared.insert(sample.key);
            } else {
                own = true;
            }
        }
        Ok(own && shared.len() < keys.len())
    }

    /// When the answer came that this run will have to this key; `None` where it asks.
    fn answered(&self, key: &Key) -> Result<Option<i64>, Failure> {
        if !self.of.replays {
            return Ok(None);
        }
        if let Some(known) = self.answered.borrow().get(key) {
            return Ok(*known);
        }
        let found = self.of.store.find(key).map_err(told)?.map(|answer| answer.reply.answered_at.timestamp_micros());
        self.answered.borrow_mut().insert(*key, found);
        Ok(found)
    }
}
