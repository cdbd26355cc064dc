//! Which fresh samples does an undecided comparison want, and what do they say? `--decide` asks them, in both arms.

use std::sync::Arc;

use crate::cli::baseline::Compared;
use crate::cli::baseline::planned::Asking;
use crate::cli::console::{Console, counted};
use crate::cli::session;
use crate::endpoint::Stack;
use crate::endpoint::budget::Budget;
use crate::gate::against;
use crate::model::assertion::AssertionSeverity;
use crate::model::baseline::{Baseline, ComparisonStanding, SuiteComparison, Unasked, WhyUnasked};
use crate::model::comparison::{Counts, FreshSamples, LocalPolicy};
use crate::model::event::RunEvent;
use crate::model::gate::SuitePolicy;
use crate::model::key;
use crate::model::money::Money;
use crate::model::run::CellResult;
use crate::model::side_by_side::{ArmComparison, Price};
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
    /// `--max-cost`, and who knows what is spent of it.
    pub(crate) cap: Option<(Money, Arc<Budget>)>,
    pub(crate) console: &'a Console,
}

/// What fresh samples are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// To confirm or clear single cases that look worse.
    Confirming,
    /// To look at all cases a second time.
    Looking,
}

/// A case, and how to ask it in both arms: baseline first.
struct Wanted {
    case: String,
    baseline: usize,
    arms: [PlannedCell; 2],
}

/// What one round asks.
#[derive(Default)]
struct Shopping {
    wanted: Vec<Wanted>,
    price: Money,
    samples: u64,
}

impl Compared {
    /// Asks what single cases want that look worse, judges, and where the interval of all is too wide then looks a second time with more
    /// samples of every case. What is asked has indices above all that the comparison has seen: the fresh samples of single cases the next
    /// ones, those of the second look the ones after them, whether the former were needed or not.
    pub(crate) async fn decide(&mut self, with: Deciding<'_>, cells: &[CellResult]) {
        let policies: Vec<SuitePolicy> = with.asking.plan.suites.iter().map(|suite| self.policy(SuitePolicy::from(&**suite))).collect();
        for purpose in [For::Confirming, For::Looking] {
            if with.options.stopping.is_cancelled() {
                return;
            }
            let comparisons = against::compare(cells, &policies, &self.baselines, with.partial);
            let shopping = self.shopping(purpose, &comparisons, &with, cells);
            self.ask(purpose, shopping, &with).await;
        }
    }

    /// What is wanted, can be asked and is within the budget; what is not is noted.
    fn shopping(&mut self, purpose: For, comparisons: &[SuiteComparison], with: &Deciding<'_>, cells: &[CellResult]) -> Shopping {
        let mut all = Shopping::default();
        for comparison in comparisons {
            let Some(compared) = &comparison.compared else { continue };
            // What failed for another reason, or lacks verdicts, is not decided by looking again.
            if purpose == For::Looking && comparison.standing != ComparisonStanding::Undecided {
                continue;
            }
            let Some(wish) = Wish::of(purpose, compared) else { continue };
            let Some(place) = comparison.place(&self.baselines) else { continue };
            let cost = wish.price.and_then(|price| price.cost_usd).unwrap_or(Money::ZERO);
            let fits = with.cap.as_ref().is_none_or(|(cap, budget)| budget.spent() + all.price + cost <= *cap);
            let (mut found, mut unasked) = (Vec::new(), Vec::new());
            for pair in against::pairs(&comparison.suite, cells, &self.baselines[place], with.partial) {
                let case = &pair.counted.case;
                if wish.cases.is_some_and(|cases| !cases.contains(case)) {
                    continue;
                }
                let asked = Asked { above: self.above(purpose, place), samples: wish.samples, place };
                let arms = if fits { with.arms(&self.baselines[place], asked, pair.baseline, pair.candidate) } else { None };
                match arms {
                    Some(arms) => found.push(Wanted { case: case.clone(), baseline: place, arms }),
                    None => {
                        let reason = if fits { WhyUnasked::Lost } else { WhyUnasked::Budget };
                        unasked.push(Unasked { case: case.clone(), reason });
                    }
                }
            }
            // A look at some of the cases would be a look at others than were planned.
            if purpose == For::Looking && !unasked.is_empty() {
                found.clear();
            }
            self.baselines[place].unasked.extend(unasked);
            if !found.is_empty() {
                all.price += cost;
                all.samples += found.len() as u64 * u64::from(wish.samples) * 2;
            }
            all.wanted.extend(found);
        }
        all
    }

    /// How many samples stand between those that were compared and those that are asked now.
    fn above(&self, purpose: For, place: usize) -> u32 {
        let fresh = self.baselines[place].fresh.iter().map(|fresh| fresh.baseline.samples.max(fresh.candidate.samples));
        match purpose {
            For::Confirming => 0,
            For::Looking => fresh.max().unwrap_or(0).max(LocalPolicy::default().fresh_samples),
        }
    }

    async fn ask(&mut self, purpose: For, shopping: Shopping, with: &Deciding<'_>) {
        let Shopping { wanted, price, samples } = shopping;
        if wanted.is_empty() {
            return;
        }
        let samples = usize::try_from(samples).unwrap_or(usize::MAX);
        let (what, why) = match purpose {
            For::Confirming => (counted(samples, "fresh sample"), "to decide"),
            For::Looking => (counted(samples, "more sample"), "to look a second time"),
        };
        let cases = counted(wanted.len(), "case");
        with.console.tell(format_args!("asking {what} of {cases} {why}, about {}", price.display(4)));
        let (names, cells): (Vec<(String, usize)>, Vec<[PlannedCell; 2]>) =
            wanted.into_iter().map(|wanted| ((wanted.case, wanted.baseline), wanted.arms)).unzip();
        let plan = Plan { cells: cells.into_iter().flatten().collect(), ..Plan::default() };
        let folder = session::folder(with.asking.project);
        let cached = Arc::clone(&with.cached);
        let ran = run::run(Arc::new(plan), cached, folder, with.options.clone(), |_, _| {}, |_: &RunEvent| {}).await;
        self.fresh.add(&totals::sum(&ran.cells, 0).bill);
        for ((case, place), arms) in names.into_iter().zip(ran.cells.as_chunks::<2>().0) {
            hear(&mut self.baselines[place], purpose, case, arms);
        }
        for baseline in &mut self.baselines {
            let left_out = |one: &FreshSamples| {
                let suite = one.case.split_once("::").map_or("", |(suite, _)| suite);
                let of_suite = |case: &str| case.split_once("::").is_some_and(|(of, _)| of == suite);
                baseline.unasked.iter().any(|unasked| unasked.reason == WhyUnasked::Budget && of_suite(&unasked.case))
            };
            // Half a look is none.
            baseline.second.retain(|one| !left_out(one));
        }
    }
}

/// What a comparison wants to be asked.
struct Wish<'a> {
    /// Which cases; `None`: all.
    cases: Option<&'a [String]>,
    /// In each arm.
    samples: u32,
    price: Option<Price>,
}

impl<'a> Wish<'a> {
    fn of(purpose: For, compared: &'a ArmComparison) -> Option<Self> {
        let need = compared.comparison.need.as_ref()?;
        match purpose {
            For::Confirming if need.confirm.is_empty() => None,
            For::Confirming => Some(Self { cases: Some(&need.confirm), samples: need.fresh_samples, price: compared.confirming }),
            // Whatever a second look showed, a case that still looks worse would keep it undecided.
            For::Looking if !need.confirm.is_empty() => None,
            For::Looking => {
                let look = compared.second_look.filter(|look| look.would_decide)?;
                Some(Self { cases: None, samples: look.second.saturating_sub(look.first), price: Some(look.price) })
            }
        }
    }
}

/// Keeps what fresh samples of a case said, in both arms.
fn hear(of: &mut Baseline, purpose: For, case: String, [baseline, candidate]: &[CellResult; 2]) {
    let samples = || [baseline, candidate].into_iter().flat_map(|cell| &cell.samples);
    let by_budget = samples().any(|sample| {
        sample.skipped == Some(SkipReason::Budget) || sample.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Budget)
    });
    let results = candidate.samples.iter().flat_map(|sample| &sample.assertions);
    let mut critical = results.filter(|result| result.severity == AssertionSeverity::Critical);
    if critical.any(|result| matches!(result.outcome, Outcome::Fail(_))) && !of.critical.contains(&case) {
        of.critical.push(case.clone());
    }
    let fresh = FreshSamples { case: case.clone(), baseline: counts(baseline), candidate: counts(candidate) };
    if by_budget {
        of.unasked.push(Unasked { case, reason: WhyUnasked::Budget });
    } else if purpose == For::Confirming && (fresh.baseline.samples == 0 || fresh.candidate.samples == 0) {
        of.unasked.push(Unasked { case, reason: WhyUnasked::Unanswered });
    }
    match purpose {
        For::Confirming => of.fresh.push(fresh),
        For::Looking => of.second.push(fresh),
    }
}

fn counts(cell: &CellResult) -> Counts {
    let count = |wanted| u32::try_from(cell.samples.iter().filter(|sample| sample.verdict == wanted).count()).unwrap_or(u32::MAX);
    let (passes, failures) = (count(Verdict::Pass), count(Verdict::Fail));
    Counts::new(passes, passes.saturating_add(failures))
}

/// Which samples are asked: so many, and so many above those that were compared.
#[derive(Clone, Copy)]
struct Asked {
    above: u32,
    samples: u32,
    place: usize,
}

impl Deciding<'_> {
    /// Both arms of a case with so many samples that neither has asked; `None` where the baseline's request is not to be found.
    fn arms(&self, baseline: &Baseline, asked: Asked, before: &CellResult, now: &CellResult) -> Option<[PlannedCell; 2]> {
        let Asked { above, samples, place } = asked;
        let own = self.asking.plan.cells.iter();
        let candidate = own.clone().find(|cell| cell.baseline.is_none() && cell.address() == now.address)?;
        let key = &before.samples.first()?.key;
        // A request is told by its key: whatever it was read from, it asks the very same.
        let is_it = |cell: &&PlannedCell| cell.keys.first().is_some_and(|first| first.to_string() == *key);
        let first = u32::try_from(before.samples.len().max(now.samples.len())).ok()?.checked_add(above)?;
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
