//! `promptkeel calibrate`: how does the gate behave on a suite that did not change, and what would it find?

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::cli::answers::{self, Answers, Wanted};
use crate::cli::arguments::calibrate::CalibrateArguments;
use crate::cli::arguments::run::BatchArgument;
use crate::cli::arguments::{AnswerArguments, CacheArgument, SelectionArguments};
use crate::cli::console::Console;
use crate::cli::formats::{self, Kept};
use crate::cli::plan::There;
use crate::cli::project::{Failure, Project};
use crate::cli::session::{self, Session};
use crate::cli::settings::gate::GateSettings;
use crate::cli::{batching, caps, earlier, locks, plan, recordings};
use crate::gate::pairing;
use crate::gate::statistics::calibration::{self, Gates, PassRate, Pool, Sample};
use crate::gate::statistics::detection;
use crate::model::assertion::AssertionSeverity;
use crate::model::calibration::{Calibration, SCHEMA};
use crate::model::comparison::{ComparisonPolicy, Counts, LocalPolicy};
use crate::model::event::RunEvent;
use crate::model::gate::Exit;
use crate::model::money::Money;
use crate::model::problem::{Problem, Severity};
use crate::model::run::{CellResult, RunInfo, SampleResult};
use crate::model::suite::Suite;
use crate::model::verdict::{Outcome, SkipReason, Verdict};
use crate::report::terminal::{self, progress::Progress};
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::price::PlanPrice;
use crate::runner::run::{self, Options};
use crate::runner::{fold, select};
use crate::store::{Store, StoreError};

/// Samples of one cell; more cannot be planned.
const MOST_SAMPLES: u32 = 10_000;

/// The same samples are dealt in the same way, today and tomorrow.
const SEED: u64 = 1;

/// Of so many deals of the unchanged prompt one comparison of an imagined loss: they are drawn for many sizes of the suite.
const DEALS_PER_LOSS: u32 = 4;
/// Cases in all comparisons of one imagined loss together, a hundred comparisons apart.
const MOST_CASES: u32 = 500_000;

/// What is calibrated.
pub(crate) fn load(project: &Project, arguments: &CalibrateArguments) -> Result<(DateTime<Utc>, Session), Failure> {
    let now = session::now();
    Ok((now, planned(project, arguments, now)?))
}

/// Runs the suites several times, and tells how the gate behaves.
pub(crate) async fn run(
    project: &Project,
    arguments: &CalibrateArguments,
    console: &Console,
    interrupted: CancellationToken,
    (now, mut session): (DateTime<Utc>, Session),
) -> Result<Exit, Failure> {
    let kept = Kept::of(&project.root, &project.store_folder(), &session.plan.suites);
    let outputs = formats::open_of_calibration(arguments.json.as_deref(), arguments.markdown.as_deref(), &project.current, &kept)?;
    let open = if arguments.answers.cache == CacheArgument::Only { Store::open_to_read } else { Store::open };
    let recordings = recordings::of(project, &session.plan.suites)?;
    let store = Arc::new(open(&project.store_folder()).map_err(|error| store_problem(&error))?.over(recordings));
    session.problems.extend(store.warnings());
    let known = match arguments.answers.cache {
        CacheArgument::ReadWrite | CacheArgument::Only => {
            store.known(&select::keys(&session.plan)).map_err(|error| store_problem(&error))?.into_keys().collect()
        }
        CacheArgument::Refresh | CacheArgument::Off => HashSet::new(),
    };
    let earlier = earlier::of(&session.plan, &known, &store);
    let conditions = answers::conditions(project, arguments.max_concurrency, now);
    let under_way = match arguments.answers.cache {
        CacheArgument::ReadWrite => batching::under_way(project, &store, None)?,
        CacheArgument::Refresh | CacheArgument::Off | CacheArgument::Only => HashSet::new(),
    };
    let there = There { known: &known, under_way: &under_way };
    let (price, _) = plan::priced(project, &session.plan, there, &earlier, &conditions, Some(BatchArgument::Off));
    if arguments.max_cost.is_some() {
        caps::refuse(&session.plan, &project.catalog, |_| Some("`--max-cost`"))?;
    }
    let stopping = interrupted.child_token();
    let wanted = Wanted {
        store: Arc::clone(&store),
        mode: arguments.answers.cache,
        known: &known,
        max_cost: arguments.max_cost,
        spent: Money::ZERO,
        max_concurrency: arguments.max_concurrency,
        stopping: stopping.clone(),
        asks_more: false,
        asks_held: false,
        now,
    };
    let Answers { cached, simulators, .. } = answers::open(project, &session.plan, wanted).await?;
    let cached = Arc::new(cached);
    console.problems(&session.problems);
    let mut progress = Progress::start(console.error_style(), Console::is_interactive(), arguments.quiet, console.verbosity());
    let mut narrate = |event: &RunEvent| progress.hear(event);
    narrate(&started(&session.plan, &price, now));
    let plan = Arc::new(session.plan);
    let width = arguments.max_concurrency.unwrap_or(0) as usize;
    let options = Options {
        catalog: Arc::clone(&project.catalog),
        case_timeout: project.settings.case_timeout,
        run_timeout: None,
        waited: std::time::Duration::ZERO,
        lane_width: run_lane_width(project, width),
        max_fail: None,
        known,
        conditions,
        detailed: console.verbosity() > 0,
        interrupted: interrupted.clone(),
        stopping,
        timed_out: CancellationToken::new(),
    };
    // How often a cell fails is what is looked for: a failure is no news, and no snapshot is decided about.
    let settle = |cell: &mut CellResult, _: Option<&_>| {
        if cell.verdict == Verdict::Fail {
            cell.verdict = Verdict::Pass;
        }
    };
    let ran = run::run(Arc::clone(&plan), Arc::clone(&cached), session::folder(project), options, settle, &mut narrate).await;
    cached.drain().await;
    for simulator in simulators {
        simulator.stop().await;
    }
    progress.finish();
    let left = batching::left(&cached);
    let problems: Vec<Problem> =
        caps::left_out(plan.cells.iter().zip(&ran.cells), arguments.max_cost).into_iter().chain(left.clone()).collect();
    console.problems(&problems);
    store.settle();

    let calibration = calibrated(&project.settings.gate, &plan, &ran.cells, arguments);
    let is_empty = calibration.comparison.cases == 0;
    let to_stdout = !outputs.uses_stdout();
    formats::commit_calibration(outputs, &calibration)?;
    if to_stdout && !is_empty {
        let mut out = console.out();
        terminal::calibration(&calibration, &mut out, console.style())
            .and_then(|()| std::io::Write::flush(&mut out))
            .map_err(Console::broken)?;
    }
    let skipped =
        |reason: &SkipReason| ran.cells.iter().flat_map(|cell| &cell.samples).any(|sample| sample.skipped.as_ref() == Some(reason));
    if interrupted.is_cancelled() {
        return Ok(Exit::Interrupted);
    }
    if is_empty {
        let problem = Problem::error("no case has two samples with a verdict, so nothing can be compared");
        let problem = match ran.cells.iter().flat_map(|cell| &cell.samples).find_map(|sample| sample.error.as_ref()) {
            Some(error) => problem.hint(format!("the first error: {}", error.message)),
            None if !left.is_empty() => problem.hint("run `promptkeel run` first: it waits for the batch that holds the answers"),
            None => problem.hint("run again with a larger `--max-cost`: what is answered is not paid again"),
        };
        let exit = if skipped(&SkipReason::Budget) { Exit::Budget } else { Exit::MissingVerdicts };
        return Err(Failure::of(exit, problem));
    }
    Ok(match calibration.left_out.is_empty() && left.is_empty() {
        _ if skipped(&SkipReason::Budget) => Exit::Budget,
        true => Exit::Holds,
        false => Exit::MissingVerdicts,
    })
}

fn run_lane_width(project: &Project, asked: usize) -> usize {
    crate::cli::run::lane_width(project, u32::try_from(asked).ok().filter(|width| *width > 0))
}

/// The cells that count for the gate, each with the samples of all runs.
fn planned(project: &Project, arguments: &CalibrateArguments, now: DateTime<Utc>) -> Result<Session, Failure> {
    let selection = SelectionArguments {
        suites: arguments.suites.clone(),
        cases: arguments.cases.clone(),
        models: arguments.models.clone(),
        ..SelectionArguments::default()
    };
    let answers = AnswerArguments { endpoint: arguments.answers.endpoint.clone(), cache: arguments.answers.cache, samples: None };
    let mut loaded = session::load(project, &selection, &answers)?;
    if let Some(samples) = arguments.answers.samples {
        session::resample(&mut loaded.suites, samples)?;
    }
    let mut problems = Vec::new();
    for suite in &mut loaded.suites {
        multiply(Arc::make_mut(suite), arguments.runs, &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let mut session = session::of(project, loaded, &selection, &answers, now)?;
    session.plan.cells.retain(|cell| cell.variant.gated);
    if session.plan.cells.is_empty() {
        let problem = Problem::error("no selected cell counts for the gate");
        let hint = "the newest listed version of a prompt counts, under models without `gate: false`";
        return Err(Failure::of(Exit::NothingSelected, problem.hint(hint)));
    }
    let lock_problems = locks::check(project, &session.plan.suites);
    if lock_problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(lock_problems.into());
    }
    session.problems.extend(lock_problems);
    Ok(session)
}

/// The gate of each suite, but for what flags say; and what is said of a run of all of them: each blocks with its part of its alpha, so together
/// they block at most the mean of these.
fn policies(of_settings: &GateSettings, plan: &Plan, arguments: &CalibrateArguments) -> (Gates, ComparisonPolicy) {
    let default = ComparisonPolicy::default();
    let local = (!arguments.average_only).then(LocalPolicy::default);
    let of_suite = |suite: &Arc<Suite>| ComparisonPolicy {
        margin: arguments.margin.or(suite.gate.margin).or(of_settings.margin).unwrap_or(default.margin),
        alpha: arguments.alpha.or(suite.gate.alpha).or(of_settings.alpha).unwrap_or(default.alpha),
        local,
        look: None,
        family: 1,
    };
    let asked: BTreeSet<&str> = plan.cells.iter().map(|cell| &*cell.variant.suite_name).collect();
    let of_suites: BTreeMap<String, ComparisonPolicy> =
        plan.suites.iter().filter(|suite| asked.contains(&*suite.name)).map(|suite| (suite.name.to_string(), of_suite(suite))).collect();
    let whole = match of_suites.values().next() {
        Some(first) if of_suites.values().all(|other| other == first) => *first,
        _ => ComparisonPolicy {
            alpha: of_suites.values().map(|policy| policy.alpha).sum::<f64>() / of_suites.len().max(1) as f64,
            margin: of_suites.values().map(|policy| policy.margin).fold(1.0, f64::min),
            local,
            ..default
        },
    };
    (Gates::of(whole, of_suites), whole)
}

/// As many samples as all runs have together; a suite's cap holds for each of them.
fn multiply(suite: &mut Suite, runs: u32, problems: &mut Vec<Problem>) {
    let of_cases = suite.cases.iter().filter_map(|case| case.samples);
    let most = of_cases.chain([suite.samples]).max().unwrap_or(1);
    if most.saturating_mul(runs) > MOST_SAMPLES {
        let problem = Problem::error(format!("{runs} runs of {most} samples are more than the {MOST_SAMPLES} that a cell may have"));
        problems.push(problem.hint("ask for fewer runs"));
        return;
    }
    suite.samples *= runs;
    suite.gate.max_cost_usd = suite.gate.max_cost_usd.map(|most| most.times(u64::from(runs)));
    for case in suite.cases.iter_mut().filter(|case| case.samples.is_some()) {
        let case = Arc::make_mut(case);
        case.samples = case.samples.map(|samples| samples * runs);
    }
}

fn started(plan: &Plan, price: &PlanPrice, now: DateTime<Utc>) -> RunEvent {
    RunEvent::Started {
        run: RunInfo {
            id: String::new(),
            started_at: now,
            duration_ms: 0,
            tool: tool(),
            revision: None,
            endpoints: Vec::new(),
            simulated: false,
            shard: None,
            filtered: false,
        },
        cells: plan.cells.len() as u64,
        samples: price.samples,
        cached: price.answered,
        under_way: price.under_way,
        upper_bound_usd: (price.unpriced == 0).then_some(price.upper_bound_usd),
        estimate_usd: (price.unpriced == 0).then_some(price.estimate.usd),
    }
}

fn tool() -> String {
    format!("promptkeel {}", env!("CARGO_PKG_VERSION"))
}

fn store_problem(error: &StoreError) -> Failure {
    Problem::error(error.to_string()).hint(error.hint()).into()
}

fn calibrated(of_settings: &GateSettings, plan: &Plan, cells: &[CellResult], arguments: &CalibrateArguments) -> Calibration {
    let (gates, policy) = policies(of_settings, plan, arguments);
    let (pools, rates) = (pools(plan, cells, arguments.runs), rates(plan));
    let affordable = MOST_CASES / u32::try_from(pools.len()).unwrap_or(u32::MAX).max(1);
    let losses = (arguments.draws / DEALS_PER_LOSS).min(affordable).max(100);
    let (comparison, pass_rates) = calibration::unchanged(&pools, &rates, &gates, arguments.draws, SEED);
    let drop = arguments.drop.unwrap_or(policy.margin);
    let samples = || cells.iter().flat_map(|cell| &cell.samples);
    let replies = || samples().filter_map(|sample| sample.reply.as_ref());
    let paid = || replies().filter(|reply| reply.served.is_paid());
    let number = |verdict| u32::try_from(samples().filter(|sample| sample.verdict == verdict).count()).unwrap_or(u32::MAX);
    let (passes, failures) = (number(Verdict::Pass), number(Verdict::Fail));
    let too_few = pools.iter().filter(|pool| pool.samples.len() < 2);
    Calibration {
        schema: SCHEMA.to_owned(),
        tool: tool(),
        suites: plan.suites.iter().map(|suite| suite.name.clone()).collect(),
        runs: arguments.runs,
        simulated: replies().next().is_some() && replies().all(|reply| reply.simulated),
        collected: Counts::new(passes, passes.saturating_add(failures)),
        missing_samples: samples().filter(|sample| matches!(sample.verdict, Verdict::Error | Verdict::Skipped)).count() as u64,
        asked: paid().count() as u64,
        spent_usd: paid().filter(|reply| !reply.simulated).filter_map(|reply| reply.cost_usd).sum(),
        policy,
        seed: SEED,
        comparison,
        pass_rates,
        detection: detection::detection(&pools, &gates, drop, losses, SEED),
        cases: calibration::noise_of_cases(&pools),
        left_out: too_few.map(|pool| pool.case.clone()).collect(),
    }
}

fn pools(plan: &Plan, cells: &[CellResult], runs: u32) -> Vec<Pool> {
    let units = pairing::units_of(&cells.iter().collect::<Vec<_>>());
    let of_cell = |((planned, cell), (case, unit)): ((&PlannedCell, &CellResult), (String, String))| {
        let in_arm = u32::try_from(planned.keys.len()).unwrap_or(u32::MAX) / runs;
        let must_pass = u32::try_from(fold::needed(u64::from(in_arm), planned.variant.suite.pass)).unwrap_or(u32::MAX);
        let suite = planned.variant.suite_name.to_string();
        let (places, samples) = cell.samples.iter().filter_map(|taken| Some((taken.index, sample(taken)?))).unzip();
        Pool { suite, case, cluster: Some(unit), in_arm, must_pass, samples, places }
    };
    plan.cells.iter().zip(cells).zip(units).map(of_cell).collect()
}

/// An error is missing data, never a failure.
fn sample(sample: &SampleResult) -> Option<Sample> {
    let critical = || {
        let mut results = sample.assertions.iter();
        results.any(|result| result.severity == AssertionSeverity::Critical && matches!(result.outcome, Outcome::Fail(_)))
    };
    match sample.verdict {
        Verdict::Pass => Some(Sample::Pass),
        Verdict::Fail if critical() => Some(Sample::Critical),
        Verdict::Fail => Some(Sample::Fail),
        Verdict::Error | Verdict::Skipped => None,
    }
}

/// The pass rates that the suites' own gates ask for, by suite and model.
fn rates(plan: &Plan) -> Vec<PassRate> {
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut rates: Vec<PassRate> = Vec::new();
    for (cell, planned) in plan.cells.iter().enumerate() {
        let (suite, model) = (&*planned.variant.suite_name, &*planned.variant.model_name);
        let place = *places.entry((suite, model)).or_insert_with(|| {
            let min_pass_rate = planned.variant.suite.gate.min_pass_rate;
            rates.push(PassRate { suite: suite.to_owned(), model: model.to_owned(), min_pass_rate, pools: Vec::new() });
            rates.len() - 1
        });
        rates[place].pools.push(cell);
    }
    rates
}
