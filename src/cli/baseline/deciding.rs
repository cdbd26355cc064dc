//! Which fresh samples does an undecided comparison want, and what do they say? `--decide` asks them, in both arms, and judges once.

use std::sync::Arc;

use crate::cli::baseline::planned::Asking;
use crate::cli::baseline::{Compared, add};
use crate::cli::console::{Console, counted};
use crate::cli::session;
use crate::endpoint::Stack;
use crate::gate::against;
use crate::model::assertion::AssertionSeverity;
use crate::model::baseline::{self, Baseline, Unasked, WhyUnasked};
use crate::model::comparison::{Counts, FreshSamples};
use crate::model::event::RunEvent;
use crate::model::gate::SuitePolicy;
use crate::model::key;
use crate::model::money::Money;
use crate::model::run::CellResult;
use crate::model::suite::{Prompt, Suite};
use crate::model::verdict::{ErrorKind, Outcome, SkipReason, Verdict};
use crate::runner::plan::{Everything, Plan, PlannedCell};
use crate::runner::run::{self, Options};
use crate::runner::totals;
use crate::source::earlier;
use crate::source::tree::Tree;
use crate::store::cached::Cached;

/// What the run has to ask with.
pub(crate) struct Deciding<'a> {
    pub(crate) asking: Asking<'a>,
    pub(crate) cached: Arc<Cached<Stack>>,
    pub(crate) options: Options,
    /// Cells were left out on purpose.
    pub(crate) partial: bool,
    /// `--max-cost`, and what is spent of it.
    pub(crate) cap: Option<(Money, Money)>,
    pub(crate) console: &'a Console,
}

/// A case, and how to ask it in both arms: baseline first.
struct Wanted {
    case: String,
    baseline: usize,
    arms: [PlannedCell; 2],
}

impl Compared {
    /// Asks what single cases want that look worse, and keeps what it said. What is asked has indices above all that the comparison has seen.
    pub(crate) async fn decide(&mut self, with: Deciding<'_>, cells: &[CellResult]) {
        let policies: Vec<SuitePolicy> = with.asking.plan.suites.iter().map(|suite| self.policy(SuitePolicy::from(&**suite))).collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        let (mut price, mut samples) = (Money::ZERO, 0_u64);
        for comparison in against::compare(cells, &policies, &self.baselines, with.partial) {
            let Some(compared) = &comparison.compared else { continue };
            let Some(need) = compared.comparison.need.as_ref().filter(|need| !need.confirm.is_empty()) else { continue };
            let Some(place) = baseline::place(&self.baselines, &comparison.baseline, &comparison.suite) else { continue };
            let cost = compared.confirming.and_then(|price| price.cost_usd).unwrap_or(Money::ZERO);
            let fits = with.cap.is_none_or(|(cap, spent)| spent + price + cost <= cap);
            let (mut found, mut unasked) = (Vec::new(), Vec::new());
            for pair in against::pairs(&comparison.suite, cells, &self.baselines[place], with.partial) {
                let case = &pair.counted.case;
                if !need.confirm.contains(case) {
                    continue;
                }
                let arms =
                    if fits { with.arms(&self.baselines[place], place, pair.baseline, pair.candidate, need.fresh_samples) } else { None };
                match arms {
                    Some(arms) => found.push(Wanted { case: case.clone(), baseline: place, arms }),
                    None => {
                        let reason = if fits { WhyUnasked::Lost } else { WhyUnasked::Budget };
                        unasked.push(Unasked { case: case.clone(), reason });
                    }
                }
            }
            self.baselines[place].unasked.extend(unasked);
            if !found.is_empty() {
                price += cost;
                samples += found.len() as u64 * u64::from(need.fresh_samples) * 2;
            }
            wanted.extend(found);
        }
        if wanted.is_empty() {
            return;
        }
        let (many, cases) = (counted(usize::try_from(samples).unwrap_or(usize::MAX), "fresh sample"), counted(wanted.len(), "case"));
        with.console.tell(format_args!("asking {many} of {cases} to decide, about {}", price.display(4)));
        let (names, cells): (Vec<(String, usize)>, Vec<[PlannedCell; 2]>) =
            wanted.into_iter().map(|wanted| ((wanted.case, wanted.baseline), wanted.arms)).unzip();
        let plan = Plan { cells: cells.into_iter().flatten().collect(), ..Plan::default() };
        let folder = session::folder(with.asking.project);
        let ran = run::run(Arc::new(plan), with.cached, folder, with.options, |_, _| {}, |_: &RunEvent| {}).await;
        add(&mut self.fresh, &totals::sum(&ran.cells, 0).bill);
        for ((case, place), arms) in names.into_iter().zip(ran.cells.as_chunks::<2>().0) {
            hear(&mut self.baselines[place], case, arms);
        }
    }
}

/// Keeps what fresh samples of a case said, in both arms.
fn hear(of: &mut Baseline, case: String, [baseline, candidate]: &[CellResult; 2]) {
    let samples = || [baseline, candidate].into_iter().flat_map(|cell| &cell.samples);
    let by_budget = samples().any(|sample| {
        sample.skipped == Some(SkipReason::Budget) || sample.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Budget)
    });
    let results = candidate.samples.iter().flat_map(|sample| &sample.assertions);
    let mut critical = results.filter(|result| result.severity == AssertionSeverity::Critical);
    if critical.any(|result| matches!(result.outcome, Outcome::Fail(_))) {
        of.critical.push(case.clone());
    }
    let fresh = FreshSamples { case: case.clone(), baseline: counts(baseline), candidate: counts(candidate) };
    if by_budget {
        of.unasked.push(Unasked { case, reason: WhyUnasked::Budget });
    } else if fresh.baseline.samples == 0 || fresh.candidate.samples == 0 {
        of.unasked.push(Unasked { case, reason: WhyUnasked::Unanswered });
    }
    of.fresh.push(fresh);
}

fn counts(cell: &CellResult) -> Counts {
    let count = |wanted| u32::try_from(cell.samples.iter().filter(|sample| sample.verdict == wanted).count()).unwrap_or(u32::MAX);
    let (passes, failures) = (count(Verdict::Pass), count(Verdict::Fail));
    Counts::new(passes, passes.saturating_add(failures))
}

impl Deciding<'_> {
    /// Both arms of a case with so many samples that neither has asked; `None` where the baseline's request is not to be found.
    fn arms(&self, baseline: &Baseline, place: usize, before: &CellResult, now: &CellResult, samples: u32) -> Option<[PlannedCell; 2]> {
        let own = self.asking.plan.cells.iter();
        let candidate = own.clone().find(|cell| cell.baseline.is_none() && cell.address() == now.address)?;
        let key = &before.samples.first()?.key;
        // A request is told by its key: whatever it was read from, it asks the very same.
        let is_it = |cell: &&PlannedCell| cell.keys.first().is_some_and(|first| first.to_string() == *key);
        let first = u32::try_from(before.samples.len().max(now.samples.len())).ok()?;
        let fresh = |cell: &PlannedCell| further(cell, first, samples, place);
        let known = own.clone().filter(|cell| *cell.case_id == *before.address.case).find(is_it);
        let known = known.map(fresh);
        let found = known.or_else(|| self.on_disk(before)?.cells.iter().find(is_it).map(fresh));
        let found = found.or_else(|| self.in_git(baseline, before)?.cells.iter().find(is_it).map(fresh));
        Some([found??, fresh(candidate)?])
    }

    /// The case with the version of the prompt that the baseline had, as it stands on the disk.
    fn on_disk(&self, before: &CellResult) -> Option<Plan> {
        let project = self.asking.project;
        let address = &before.address;
        let suite = self.asking.plan.suites.iter().find(|suite| suite.name == *address.suite)?;
        let tree = Tree::Disk(project.root.clone());
        let outside = project.settings.allow_outside;
        let version = earlier::version(&tree, &address.prompt, &suite.site.file, address.version, outside).ok()?;
        let prompts = vec![Prompt { name: address.prompt.to_string(), versions: vec![version] }];
        self.of_case(&Suite { prompts, ..Suite::clone(suite) }, &address.case)
    }

    /// The same, suite and all, as they stand in the baseline's revision.
    fn in_git(&self, baseline: &Baseline, before: &CellResult) -> Option<Plan> {
        let Asking { project, selection, answers, .. } = self.asking;
        // What was not committed then may be the same all the same: the key says it.
        let revision = baseline.revision.as_deref()?.trim_end_matches("-dirty").to_owned();
        let tree = Tree::Git { root: project.root.clone(), revision };
        let loaded = project.load(&tree, &selection.suites, answers.endpoint.as_deref()).ok()?;
        let suite = loaded.suites.iter().find(|suite| suite.name == *before.address.suite)?;
        self.of_case(suite, &before.address.case)
    }

    fn of_case(&self, suite: &Suite, case: &str) -> Option<Plan> {
        let Asking { project, answers, now, .. } = self.asking;
        let cases = suite.cases.iter().filter(|one| one.id == *case).cloned().collect();
        session::built(project, &[Arc::new(Suite { cases, ..suite.clone() })], answers, now, &mut Everything).ok()
    }
}

/// The same cell with so many samples from `first` on, and nothing of what it has.
fn further(cell: &PlannedCell, first: u32, samples: u32, place: usize) -> Option<PlannedCell> {
    let request = cell.request().ok()?;
    let keys = (first..first.saturating_add(samples)).map(|sample| key::key(&request, &cell.variant.identity, sample)).collect();
    Some(PlannedCell {
        variant: Arc::clone(&cell.variant),
        case: Arc::clone(&cell.case),
        case_id: Arc::clone(&cell.case_id),
        keys,
        first_sample: first,
        worst_case: cell.worst_case,
        estimated_prompt: cell.estimated_prompt,
        snapshot_path: None,
        path: cell.path.clone(),
        baseline: Some(place),
    })
}
