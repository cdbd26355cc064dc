//! `promptkeel run`: plan, answer, judge, compare, report, and one exit code.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::cli::answers::{self, Answers, Wanted};
use crate::cli::arguments::CacheArgument;
use crate::cli::arguments::reports::GithubArgument;
use crate::cli::arguments::run::{BatchArgument, RunArguments, Unreferenced, WithoutKey};
use crate::cli::baseline::Compared;
use crate::cli::baseline::deciding::Deciding;
use crate::cli::baseline::planned::Asking;
use crate::cli::batching::{self, Batched, Question};
use crate::cli::console::{Console, counted};
use crate::cli::decisions::{Decided, Decisions};
use crate::cli::formats::{self, Kept};
use crate::cli::github::Github;
use crate::cli::plan::There;
use crate::cli::project::{Failure, Project};
use crate::cli::prompts::Texts;
use crate::cli::session::{self, Session};
use crate::cli::{caps, compare, confirm, earlier, locks, orphans, plan, recordings};
use crate::gate::judge::RunFacts;
use crate::model::catalog::Catalog;
use crate::model::cost;
use crate::model::event::RunEvent;
use crate::model::gate::{Exit, SuitePolicy};
use crate::model::key::Key;
use crate::model::money::Money;
use crate::model::problem::{Problem, Severity};
use crate::model::remembered::Remembered;
use crate::model::reply::Answer;
use crate::model::run::{Address, NOT_STORED, RunInfo, RunReport};
use crate::model::verdict::CellError;
use crate::report::events;
use crate::report::files::{self, Outputs};
use crate::report::terminal::{self, progress::Progress};
use crate::runner::assemble::{self, Parts};
use crate::runner::doubt;
use crate::runner::execute;
use crate::runner::plan::Plan;
use crate::runner::price::PlanPrice;
use crate::runner::right_size;
use crate::runner::rounds::Held;
use crate::runner::run::{self, Options};
use crate::runner::totals;
use crate::source::git;
use crate::store::Store;
use crate::store::history::{self, RunRecord};
use crate::store::trends;

/// Least samples in the air per lane; the limiter decides how many of them are on the wire.
const LANE_WIDTH: usize = 256;

/// What is run: everything that was selected, or what is left of it in a round of a watch.
pub(crate) struct Round {
    pub(crate) now: DateTime<Utc>,
    /// Its plan has the cells that run.
    pub(crate) session: Session,
    /// Results of earlier rounds that still hold.
    pub(crate) held: Held,
    /// What earlier rounds took from `--max-cost`.
    pub(crate) spent: Money,
    /// The first round of the watch: all its rounds are one run of the history.
    pub(crate) watch: Option<String>,
}

/// What came of it, before a report is written.
pub(crate) struct Ended {
    pub(crate) report: RunReport,
    /// The cells that ran.
    pub(crate) plan: Arc<Plan>,
    /// Whose outputs were accepted.
    pub(crate) accepted: Vec<Address>,
    /// What all rounds took from `--max-cost`, this one included.
    pub(crate) spent: Money,
    outputs: Outputs,
    unwritten: Vec<String>,
    github: Option<Github>,
}

/// The selected cells.
pub(crate) fn load(project: &Project, arguments: &RunArguments) -> Result<Round, Failure> {
    let now = session::now();
    let session = session::open(project, &arguments.selection, &arguments.answers, now)?;
    Ok(Round { now, session, held: Held::default(), spent: Money::ZERO, watch: None })
}

/// Runs the selected cells.
pub(crate) async fn run(
    project: &Project,
    arguments: &RunArguments,
    console: &Console,
    interrupted: CancellationToken,
    all: Round,
) -> Result<Exit, Failure> {
    let ended = round(project, arguments, console, interrupted, all).await?;
    let told = if arguments.quiet { Told::Terse } else { Told::Whole };
    finish(ended, told, console).map(|(exit, _)| exit)
}

/// Runs the cells of a plan, and judges them together with the results that still hold.
pub(crate) async fn round(
    project: &Project,
    arguments: &RunArguments,
    console: &Console,
    interrupted: CancellationToken,
    round: Round,
) -> Result<Ended, Failure> {
    let clock = Instant::now();
    let Round { now, mut session, held, spent, watch } = round;
    if arguments.unreferenced == Unreferenced::Delete && (session.filtered || arguments.selection.shard.is_some()) {
        let problem = Problem::error("`--unreferenced delete` needs a run of every suite and case");
        return Err(problem.hint("leave the selection out, or use `--unreferenced reject`").into());
    }
    if arguments.unreferenced == Unreferenced::Reject && arguments.selection.shard.is_some() {
        let problem = Problem::error("a shard does not judge the whole, so `--unreferenced reject` would fail nothing");
        return Err(problem.hint("give it to `promptkeel merge`, where the shards come together").into());
    }
    let lock_problems = locks::check(project, &session.plan.suites);
    if lock_problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(lock_problems.into());
    }
    session.problems.extend(lock_problems);
    session.problems.extend(nothing_gated(&session.plan, &held));
    let revision = revision(project);
    files::clear_away(&project.root);
    let kept = Kept::of(&project.root, &project.store_folder(), &session.plan.suites);
    let mut outputs = formats::open(&arguments.formats, arguments.events.as_deref(), &project.current, &kept)?;
    let open = if arguments.answers.cache == CacheArgument::Only { Store::open_to_read } else { Store::open };
    let recordings = recordings::of(project, &session.plan.suites)?;
    let store = open(&project.store_folder()).map_err(|error| store_problem(&error))?.over(recordings);
    let told = store.warnings();
    session.problems.extend(told.iter().cloned());
    let judged = session.plan.cells.len() as u64;
    let mut compared = match arguments.watch {
        None => Compared::open(project, arguments, &mut session.plan, session.all_suites.as_deref(), &store, now)?,
        Some(_) => Compared::of_watch(project, arguments, &session.plan)?,
    };
    session.problems.append(&mut compared.told);
    let store = Arc::new(std::mem::take(&mut compared.recordings).into_iter().fold(store, Store::over));
    let mut known = answers::known(&session.plan, &store, arguments)?;
    let earlier = earlier::of(&session.plan, &known, &store);
    let conditions = answers::conditions(project, arguments.max_concurrency, now);
    let under_way = batching::under_way(project, &store, arguments.batch)?;
    let there = There { known: &known, under_way: &under_way };
    let (price, _) = plan::priced(project, &session.plan, there, &earlier, &conditions, arguments.batch);
    if arguments.max_cost.is_some() {
        caps::refuse(&session.plan, &project.catalog, |_| Some("`--max-cost`"))?;
    }
    let mut mode = arguments.answers.cache;
    let missing = plan::missing_keys(project, &price);
    if arguments.without_key == WithoutKey::Stored && mode == CacheArgument::ReadWrite && !missing.is_empty() {
        mode = CacheArgument::Only;
        let names = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let told = format!("without {names} only stored answers are judged: a cell without one has no verdict");
        session.problems.push(Problem::warning(told).hint("pull requests of forks get no key; elsewhere set it"));
    }
    let mut unanswered = None;
    if mode == CacheArgument::Only {
        unanswered = recordings::missing(&session.plan, there, &price);
        session.problems.extend(recordings::told_missing(unanswered.as_ref(), &price));
    }
    let stopping = interrupted.child_token();
    let wanted = Wanted {
        store: Arc::clone(&store),
        mode,
        known: &known,
        max_cost: arguments.max_cost,
        spent,
        max_concurrency: arguments.max_concurrency,
        stopping: stopping.clone(),
        asks_more: arguments.comparison.decide,
        asks_held: arguments.batch == Some(BatchArgument::Off),
        now,
    };
    let answers = answers::open(project, &session.plan, wanted).await?;
    let asks = !arguments.yes && arguments.watch.is_none() && mode != CacheArgument::Only;
    let agreed = asks && confirm::ask(project, &price, &interrupted).await?;
    let info = info(&session, &held, arguments, revision, now);
    let watch = arguments.watch.map(|_| watch.unwrap_or_else(|| info.id.clone()));
    console.problems(&session.problems);
    if session.selected.left < session.selected.all && !outputs.uses_stdout() {
        console.line(format_args!("{} of {} cells selected", session.selected.left, session.selected.all))?;
    }

    let mut progress = Progress::start(console.error_style(), Console::is_interactive(), arguments.quiet, console.verbosity());
    let mut stream = outputs.take_events();
    let mut unwritten: Vec<String> = Vec::new();
    let mut narrate = |event: &RunEvent| {
        progress.hear(event);
        if let Some(out) = &mut stream
            && let Err(error) = events::write(event, out)
        {
            unwritten.push(format!("`--events` could not be written: {error}"));
            stream = None;
        }
    };
    let prompts = Texts::of(project);
    if store.is_writable() {
        prompts.keep(session.plan.suites.iter().flat_map(|suite| &suite.prompts).flat_map(|prompt| &prompt.versions));
        store.save_run(&RunRecord::begun(&info, judged).of_watch(watch.clone())).map_err(|error| store_problem(&error))?;
    }
    narrate(&started(&info, judged, &price));
    let plan = Arc::new(session.plan);
    let run_timeout = arguments.run_timeout.or(project.settings.run_timeout);
    let timed_out = CancellationToken::new();
    let batched = Batched {
        project,
        arguments,
        plan: &plan,
        store: &store,
        answered: &answers,
        stopping: &stopping,
        timed_out: &timed_out,
        run_timeout,
        question: asks.then_some(Question { agreed, under_way: &under_way, earlier: &earlier, interrupted: &interrupted }),
    };
    let waited = Instant::now();
    let news = match batched.answer(&mut known, &mut narrate).await {
        Ok(news) => news,
        Err(failure) => {
            progress.finish();
            let _ = store.forget_runs(vec![info.id.clone()]);
            return Err(failure);
        }
    };
    console.problems(&news);
    session.problems.extend(news);
    let Answers { cached, simulators, budget, .. } = answers;
    let cached = Arc::new(cached);
    let mut decisions = Decisions::new(project, arguments, Arc::clone(&plan));
    let options = |known, waited| Options {
        catalog: Arc::clone(&project.catalog),
        case_timeout: project.settings.case_timeout,
        run_timeout,
        waited,
        lane_width: lane_width(project, arguments.max_concurrency),
        max_fail: arguments.max_fail,
        known,
        conditions: conditions.clone(),
        detailed: console.verbosity() > 0,
        interrupted: interrupted.clone(),
        stopping: stopping.clone(),
        timed_out: timed_out.clone(),
    };
    let mut ran = run::run(
        Arc::clone(&plan),
        Arc::clone(&cached),
        session::folder(project),
        options(known, waited.elapsed()),
        |cell, outputs| decisions.decide(cell, outputs),
        &mut narrate,
    )
    .await;
    session.problems.extend(caps::left_out(plan.cells.iter().zip(&ran.cells).chain(held.left_out()), arguments.max_cost));
    compared.take(&plan, &mut ran);
    if arguments.comparison.decide && !stopping.is_cancelled() {
        let asking = Asking { project, plan: &plan, selection: &arguments.selection, answers: &arguments.answers, now };
        let cap = arguments.max_cost.map(|cap| (cap, Arc::clone(&budget)));
        let options = options(HashSet::new(), clock.elapsed());
        let with = Deciding { asking, cached: Arc::clone(&cached), options, partial: info.filtered, cap, console };
        compared.decide(with, &ran.cells).await;
    }
    let late = cached.drain().await;
    for simulator in simulators {
        simulator.stop().await;
    }
    let mut orphans = orphans::find(project, session.all_suites).unwrap_or_else(|problem| {
        session.problems.push(problem);
        Vec::new()
    });
    let Decided { accepted, dropped, unwritten: mut unwritten_snapshots } = decisions.finish();
    if !accepted.is_empty() {
        let gone = match dropped {
            0 => String::new(),
            1 => "; 1 accepted variant that no sample gave any more is gone (`--add` keeps them)".to_owned(),
            many => format!("; {many} accepted variants that no sample gave any more are gone (`--add` keeps them)"),
        };
        console.tell(format_args!("accepted {} as snapshots{gone}", counted(accepted.len(), "output")));
    }
    if arguments.unreferenced == Unreferenced::Delete {
        match orphans::delete(project, &orphans) {
            Ok(()) => orphans.clear(),
            Err(left) => unwritten_snapshots.extend(left),
        }
    }
    unwritten_snapshots.extend(recordings::of_run(project, arguments, &plan, &accepted, &store, &mut session.problems, console));
    let facts = RunFacts {
        interrupted: interrupted.is_cancelled(),
        timed_out: run_timeout.filter(|_| timed_out.is_cancelled()),
        unwritten: unwritten_snapshots,
        rejected_orphans: if arguments.unreferenced == Unreferenced::Reject { orphans.len() } else { 0 },
        shard: arguments.selection.shard,
        passed_caps: budget.passed(),
        ..RunFacts::default()
    };
    let variants = held.variants(&plan);
    let run::Ran { cells, texts } = held.whole(ran);
    let (doubtful, doubts) = doubt::doubts(&project.catalog, variants.iter().map(|variant| &**variant).zip(&cells));
    let mut noticed: Vec<Problem> = store.warnings().into_iter().filter(|warning| !told.contains(warning)).collect();
    noticed.extend(cached.failure().map(unstored));
    noticed.extend(batching::left(&cached));
    noticed.extend(doubts);
    session.problems.extend(noticed.iter().cloned());
    let parts = Parts {
        info,
        policies: plan.suites.iter().map(|suite| compared.policy(SuitePolicy::from(&**suite))).collect(),
        cells,
        texts,
        orphans,
        problems: session.problems,
        baselines: compared.baselines,
        carried: Vec::new(),
    };
    let mut report = assemble::report(parts, &facts);
    Compared::bill(&mut report, &compared.fresh);
    compare::tell_all_apart(&mut report);
    report.prompt_changes = prompts.changes(&plan.suites, &report.cells);
    report.bill.doubtful_samples = doubtful;
    report.bill.unanswered = unanswered.map(Box::new);
    report.right_size = right_size::of_run(&report, &plan.suites, &project.catalog);
    report.improved = before(&store, &report.run).and_then(|before| history::improved(&before, &report)).into_iter().collect();
    add_late(&mut report, &plan, &project.catalog, &late);
    report.run.duration_ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    narrate(&RunEvent::Finished { totals: report.totals.clone(), bill: report.bill.clone(), exit: report.exit });
    progress.finish();
    console.problems(&noticed);
    if store.is_writable()
        && let Err(error) = store.save_run(&RunRecord::of(&report).of_watch(watch))
    {
        console.problems(&[Problem::warning(format!("this run is not in the history: {error}"))]);
    }
    report.remembered = remembered(&store, &report);
    // One part of a run does not know what the whole comes to: `merge` tells it, once. A watch is looked at where it runs.
    let is_whole = arguments.selection.shard.is_none() && arguments.watch.is_none();
    let tells = is_whole || arguments.github.github == GithubArgument::Always;
    let github = tells.then(|| Github::of(arguments.github.github, &project.root)).flatten();
    // The process may end before everybody has let go of the store.
    store.settle();
    Ok(Ended { report, plan, accepted, spent: budget.spent(), outputs, unwritten, github })
}

/// How much is told of what a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The whole summary.
    Whole,
    /// The same without hints about what could be smaller.
    Terse,
    /// The verdict and the counts.
    Brief,
}

/// Writes the files first, so that the terminal's last word is the whole truth.
pub(crate) fn finish(ended: Ended, how: Told, console: &Console) -> Result<(Exit, RunReport), Failure> {
    let Ended { report, outputs, unwritten, github, .. } = ended;
    let to_stdout = !outputs.uses_stdout();
    let errors = outputs.commit(&report).err().unwrap_or_default();
    let mut problems: Vec<Problem> = errors.iter().map(|error| Problem::error(error.to_string()).hint(error.hint())).collect();
    problems.extend(unwritten.into_iter().map(Problem::error));
    let style = if to_stdout { console.style() } else { console.error_style() };
    if to_stdout {
        let mut out = console.out();
        let write = match how {
            Told::Whole => terminal::summary,
            Told::Terse => terminal::terse,
            Told::Brief => terminal::brief,
        };
        write(&report, &mut out, style).and_then(|()| std::io::Write::flush(&mut out)).map_err(Console::broken)?;
    } else {
        // The report on standard output is the result; people still read the summary.
        let mut out = std::io::stderr().lock();
        let write = if how == Told::Terse { terminal::terse } else { terminal::summary };
        let _ = write(&report, &mut out, style);
    }
    console.problems(&problems);
    if let Some(github) = &github {
        github.annotate(&problems, console);
        github.tell(&report, console);
    }
    let written = if problems.is_empty() { report.exit } else { Exit::NotWritten };
    let exit = match report.exit {
        Exit::Interrupted => Exit::Interrupted,
        Exit::Holds
        | Exit::Fails
        | Exit::Invalid
        | Exit::MissingVerdicts
        | Exit::NothingSelected
        | Exit::NotWritten
        | Exit::Budget
        | Exit::Undecided => written,
    };
    Ok((exit, report))
}

/// What the history says, this run already in it. One that cannot be read says nothing here.
fn remembered(store: &Store, report: &RunReport) -> Option<Remembered> {
    trends::remembered(&store.runs().ok()?, store.flaky().ok()?, report)
}

/// The last run of the same kind. A history that cannot be read is told where runs are asked for.
fn before(store: &Store, run: &RunInfo) -> Option<RunRecord> {
    let runs = store.runs().ok()?;
    let head = runs.iter().find(|head| head.is_like(run))?;
    store.run(&head.id).ok().flatten()
}

/// Wider than any endpoint's concurrency, so that sleeping retries starve nobody.
pub(crate) fn lane_width(project: &Project, max_concurrency: Option<u32>) -> usize {
    let configured = project.settings.endpoints.values().map(|endpoint| endpoint.max_concurrency).max();
    let widest = max_concurrency.or(configured).unwrap_or(1) as usize;
    LANE_WIDTH.max(widest.saturating_mul(2))
}

fn info(session: &Session, held: &Held, arguments: &RunArguments, revision: Option<String>, now: DateTime<Utc>) -> RunInfo {
    let mut endpoints: Vec<String> = Vec::new();
    let named = held.results().map(|cell| &cell.endpoint).chain(session.plan.cells.iter().map(|cell| &cell.variant.endpoint));
    for endpoint in named {
        if !endpoints.iter().any(|name| **name == **endpoint) {
            endpoints.push(endpoint.to_string());
        }
    }
    RunInfo {
        id: format!("{}-{:04x}", now.format("%Y%m%d-%H%M%S"), now.timestamp_subsec_nanos() & 0xffff),
        started_at: now,
        duration_ms: 0,
        tool: format!("promptkeel {}", env!("CARGO_PKG_VERSION")),
        revision,
        endpoints,
        simulated: false,
        shard: arguments.selection.shard,
        filtered: session.filtered,
    }
}

/// A run that no gate looks at says so: its exit code says nothing about the prompts.
fn nothing_gated(plan: &Plan, held: &Held) -> Option<Problem> {
    let all = plan.cells.len() + held.results().count();
    let gated = plan.cells.iter().any(|cell| cell.variant.gated) || held.results().any(|cell| cell.gated);
    (all > 0 && !gated).then(|| {
        Problem::warning(format!("0 of {} count for the gate", counted(all, "cell")))
            .hint("older prompt versions and models with `gate: false` only inform; exit 0 says nothing about them")
    })
}

/// HEAD, and whether the work tree differs from it; nothing outside of version control.
fn revision(project: &Project) -> Option<String> {
    let head = git::commit(&project.root, "HEAD").ok()?;
    let dirty = git::is_dirty(&project.root).unwrap_or(true);
    Some(if dirty { format!("{head}-dirty") } else { head })
}

fn started(info: &RunInfo, cells: u64, price: &PlanPrice) -> RunEvent {
    RunEvent::Started {
        run: info.clone(),
        cells,
        samples: price.samples,
        cached: price.answered,
        under_way: price.under_way,
        upper_bound_usd: (price.unpriced == 0).then_some(price.upper_bound_usd),
        estimate_usd: (price.unpriced == 0).then_some(price.estimate.usd),
    }
}

/// Answers that came after their cell had given up: they are stored and paid, so the bill holds them.
fn add_late(report: &mut RunReport, plan: &Plan, catalog: &Catalog, late: &[(Key, Answer)]) {
    if late.is_empty() {
        return;
    }
    for (key, answer) in late {
        let cell = plan.cells.iter().find(|cell| cell.keys.contains(key));
        let model = cell.map_or(answer.reply.model.as_str(), |cell| &cell.variant.model_id);
        let facts = execute::facts(&answer.reply, answer.served, cost::cost(catalog, model, &answer.reply));
        report.bill.add_reply(&facts);
        report.bill.add_unknown(totals::unknown_before(&facts), cell.and_then(|cell| cell.worst_case));
    }
    let note = format!("{} answers came after their cells had given up; they are stored and in the bill", late.len());
    report.problems.push(Problem::note(note).hint("the next run judges them without asking again"));
}

/// Verdicts of answers that are paid stand, stored or not; but the next run would pay for them again.
fn unstored(error: &CellError) -> Problem {
    let problem = Problem::warning(format!("{NOT_STORED}{}", error.message));
    match &error.hint {
        Some(hint) => problem.hint(hint.as_str()),
        None => problem,
    }
}

pub(crate) fn store_problem(error: &crate::store::StoreError) -> Failure {
    Failure::from(Problem::error(error.to_string()).hint(error.hint()))
}
