//! Which answers of a run come by message batches?

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::answers::{self, Answers};
use crate::cli::arguments::CacheArgument;
use crate::cli::arguments::run::{BatchArgument, RunArguments};
use crate::cli::confirm;
use crate::cli::console::counted;
use crate::cli::plan::{self, There};
use crate::cli::project::{Failure, Project};
use crate::cli::session;
use crate::endpoint::Stack;
use crate::endpoint::batches::draft;
use crate::model::assertion::AssertionKind;
use crate::model::event::RunEvent;
use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::model::suite::BatchPolicy;
use crate::model::verdict::{CellError, ErrorKind};
use crate::runner::estimate::Earlier;
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::prefixes::{Asked, Conditions, Prefixes};
use crate::store::batches::BatchRow;
use crate::store::batching::{self, Batching, Settled, Wish};
use crate::store::cached::{Cached, LEFT_TO_BATCH};
use crate::store::{Store, StoreError};

/// What answering by batches needs to know of a run.
pub(crate) struct Batched<'a> {
    pub(crate) project: &'a Project,
    pub(crate) arguments: &'a RunArguments,
    pub(crate) plan: &'a Arc<Plan>,
    pub(crate) store: &'a Store,
    pub(crate) answered: &'a Answers,
    /// Cancelled when nothing more may be sent.
    pub(crate) stopping: &'a CancellationToken,
    /// Cancelled here where the run's time is over.
    pub(crate) timed_out: &'a CancellationToken,
    pub(crate) run_timeout: Option<Duration>,
    /// Whoever is asked what comes back without an answer may be asked singly; `None` where nobody is.
    pub(crate) question: Option<Question<'a>>,
}

/// What is to be known before requests that came back from a batch are asked singly.
pub(crate) struct Question<'a> {
    /// A person said yes to what was to be asked before.
    pub(crate) agreed: bool,
    /// What batches held then.
    pub(crate) under_way: &'a HashSet<Key>,
    pub(crate) earlier: &'a Earlier,
    pub(crate) interrupted: &'a CancellationToken,
}

impl Batched<'_> {
    /// Answers what it can, hands it to whoever answers the run, and returns what is worth knowing. Does nothing where no batch is wanted and
    /// none is under way.
    ///
    /// `known` are the answers that are there, and grows by those that come.
    pub(crate) async fn answer(&self, known: &mut HashSet<Key>, narrate: &mut dyn FnMut(&RunEvent)) -> Result<Vec<Problem>, Failure> {
        let Self { project, arguments, plan, store, answered, stopping, timed_out, run_timeout, question } = self;
        if arguments.answers.cache == CacheArgument::Only || !store.is_writable() {
            return Ok(Vec::new());
        }
        let mut wishes: Vec<Wish> = Vec::new();
        let mut cells: Vec<usize> = Vec::new();
        let pending = store.pending_batches().map_err(|error| Problem::error(error.to_string()).hint(error.hint()))?;
        let policy = |cell: &PlannedCell| policy(project, arguments.batch, cell);
        let watched = arguments.watch.is_some();
        let given_up = store.batches_given_up(session::now() - batching::looking::TURNS_UP).unwrap_or_default();
        if pending.is_empty()
            && (given_up.is_empty() || watched)
            && (watched || plan.cells.iter().all(|cell| policy(cell) == BatchPolicy::Off))
        {
            return Ok(Vec::new());
        }
        let conditions = answers::conditions(project, arguments.max_concurrency, session::now());
        let is_batched = |cell: &PlannedCell| policy(cell) != BatchPolicy::Off;
        let is_known = |key: &Key| known.contains(key);
        let prefixes = Prefixes::asked(plan, Asked::InBatches, is_batched, is_known, &project.catalog, &conditions);
        let mut seen: HashSet<Key> = HashSet::new();
        for (place, cell) in plan.cells.iter().enumerate() {
            for (sample, key) in (cell.first_sample..).zip(&cell.keys) {
                if known.contains(key) || !seen.insert(*key) {
                    continue;
                }
                cells.push(place);
                wishes.push(Wish {
                    key: *key,
                    sample,
                    endpoint: Arc::clone(&cell.variant.endpoint),
                    model: Arc::clone(&cell.variant.model_id),
                    suite: Arc::clone(&cell.variant.suite_name),
                    worst_case: cell.worst_case,
                    marks: prefixes.marks(place).lasting_an_hour(),
                    policy: policy(cell),
                });
            }
        }
        if arguments.batch == Some(BatchArgument::Off) {
            return Ok(paid_twice(store, &pending, &seen).into_iter().collect());
        }
        if watched {
            // A round waits for nothing that can take a day, and pays for nothing that is paid for already.
            let (failed, news) = left_to_batches(store, &pending, &seen);
            answered.cached.batched(HashSet::new(), HashSet::new(), failed);
            return Ok(news);
        }
        let in_process = |name: &str| is_in_process(project, name);
        let request = |wish: usize| plan.cells[cells[wish]].request().ok();
        let batching = Batching {
            store,
            endpoints: &answered.batches,
            in_process: &in_process,
            budget: &answered.budget,
            catalog: &project.catalog,
            request: &request,
            reads: arguments.answers.cache == CacheArgument::ReadWrite,
            stopped: stopping,
            limits: draft::API,
            now: session::now,
        };
        let settled = {
            let mut tell = |batch| narrate(&RunEvent::Batch { batch: Box::new(batch) });
            let mut work = std::pin::pin!(batching.answer(&wishes, &mut tell));
            let limit = run_timeout.unwrap_or(Duration::MAX);
            tokio::select! {
                settled = &mut work => settled,
                () = tokio::time::sleep(limit) => {
                    timed_out.cancel();
                    stopping.cancel();
                    work.await
                }
            }
        };
        if let (true, Some(limit)) = (timed_out.is_cancelled(), run_timeout) {
            narrate(&RunEvent::TimedOut { limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), in_flight: 0 });
        }
        let Settled { paid, shared, mut failed, mut problems } = settled?;
        known.extend(paid.iter().chain(&shared));
        if let (Some(question), false) = (question, stopping.is_cancelled()) {
            let mut open: HashSet<Key> = seen;
            open.retain(|key| !known.contains(key) && !failed.contains_key(key));
            let refused = question.refused(project, plan, open, &conditions).await;
            problems.extend(not_agreed(&refused));
            failed.extend(refused);
        }
        answered.cached.batched(paid, shared, failed);
        Ok(problems)
    }
}

impl Question<'_> {
    /// What of these answers, which no batch gave, is not to be asked singly.
    async fn refused(&self, project: &Project, plan: &Plan, mut open: HashSet<Key>, conditions: &Conditions) -> HashMap<Key, CellError> {
        if self.agreed {
            // The others were in the sum.
            open.retain(|key| self.under_way.contains(key));
        }
        if open.is_empty() {
            return HashMap::new();
        }
        let others: HashSet<Key> = plan.keys().filter(|key| !open.contains(key)).collect();
        let there = There { known: &others, under_way: &HashSet::new() };
        let (price, _) = plan::priced(project, plan, there, self.earlier, conditions, Some(BatchArgument::Off));
        if confirm::ask_again(project, &price, self.interrupted).await {
            return HashMap::new();
        }
        let error = CellError {
            kind: ErrorKind::Batch,
            message: "its batch did not answer it, and nobody wanted to pay for it singly".to_owned(),
            hint: Some(NOT_AGREED.to_owned()),
            attempts: Vec::new(),
        };
        open.into_iter().map(|key| (key, error.clone())).collect()
    }
}

const NOT_AGREED: &str = "run again, with `--yes` to be asked nothing, or with `--batch`";

fn not_agreed(refused: &HashMap<Key, CellError>) -> Option<Problem> {
    let requests = counted(refused.len(), "request");
    (!refused.is_empty())
        .then(|| Problem::warning(format!("{requests} that no batch answered left out: nothing of them was sent")).hint(NOT_AGREED))
}

/// Whether a batch may be created for this cell: a flag wins over the suite, the suite over the settings.
fn policy(project: &Project, flag: Option<BatchArgument>, cell: &PlannedCell) -> BatchPolicy {
    // Nothing about a batch says how long a reply took: where that is judged it is asked singly.
    if cell.case.assertions.iter().any(|assertion| matches!(assertion.kind, AssertionKind::MaxLatencyMs(_))) {
        return BatchPolicy::Off;
    }
    let flag = flag.map(|batch| match batch {
        BatchArgument::On => BatchPolicy::On,
        BatchArgument::Auto => BatchPolicy::Auto,
        BatchArgument::Off => BatchPolicy::Off,
    });
    flag.or(cell.variant.suite.batch).unwrap_or(project.settings.batch)
}

/// Which cells will be asked in batches, as far as anybody knows before they are asked.
pub(crate) fn expected<'a>(
    project: &'a Project,
    flag: Option<BatchArgument>,
    plan: &Plan,
    is_known: &dyn Fn(&Key) -> bool,
) -> impl Fn(&PlannedCell) -> bool + use<'a> {
    let wanted = move |cell: &PlannedCell| {
        let policy = policy(project, flag, cell);
        if is_in_process(project, &cell.variant.endpoint) { BatchPolicy::Off } else { policy }
    };
    let mut to_ask: HashMap<Arc<str>, usize> = HashMap::new();
    for cell in plan.cells.iter().filter(|cell| wanted(cell) != BatchPolicy::Off) {
        *to_ask.entry(Arc::clone(&cell.variant.endpoint)).or_default() += cell.keys.iter().filter(|key| !is_known(key)).count();
    }
    move |cell| match wanted(cell) {
        BatchPolicy::Off => false,
        BatchPolicy::Auto => to_ask.get(&cell.variant.endpoint).is_some_and(|count| *count >= batching::WORTH_A_BATCH),
        BatchPolicy::On => true,
    }
}

/// What batches under way hold, of all the answers that a run would wait for. The batches of a simulator in process are gone with it, and one
/// whose creation was not answered may hold nothing at all: what it was to hold is still to be asked.
pub(crate) fn under_way(project: &Project, store: &Store, flag: Option<BatchArgument>) -> Result<HashSet<Key>, Failure> {
    if flag == Some(BatchArgument::Off) {
        return Ok(HashSet::new());
    }
    let told = |error: StoreError| Problem::error(error.to_string()).hint(error.hint());
    let mut keys = HashSet::new();
    for row in store.pending_batches().map_err(told)? {
        if row.id.is_some() && !is_in_process(project, &row.endpoint) {
            keys.extend(store.batch_items(&row.mark).map_err(told)?.into_iter().map(|item| item.key));
        }
    }
    Ok(keys)
}

/// Batches that nobody knows of whether they were created, of those that a run would look for.
pub(crate) fn unanswered(project: &Project, store: &Store, flag: Option<BatchArgument>) -> Vec<Problem> {
    if flag == Some(BatchArgument::Off) {
        return Vec::new();
    }
    let rows = store.pending_batches().unwrap_or_default().into_iter();
    rows.filter(|row| row.id.is_none() && !is_in_process(project, &row.endpoint))
        .map(|row| {
            let requests = counted(usize::try_from(row.requests).unwrap_or(usize::MAX), "request");
            Problem::note(format!("a batch of {requests} may have been created, and nobody has answered: they count as to ask"))
                .hint("a run looks for it before it asks them again")
        })
        .collect()
}

/// What was left to batches that began while answers were asked singly.
pub(crate) fn left(cached: &Cached<Stack>) -> Vec<Problem> {
    let left = cached.left_to_batches().into_iter();
    left.map(|(name, answers)| {
        Problem::warning(format!("{} left to {name}, which holds them", counted(answers, "answer"))).hint(LEFT_TO_BATCH)
    })
    .collect()
}

fn is_in_process(project: &Project, endpoint: &str) -> bool {
    project.settings.endpoints.get(endpoint).is_some_and(|settings| batching::is_in_process(settings.dialect))
}

/// What a round of a watch leaves out, because a batch under way holds it.
fn left_to_batches(store: &Store, pending: &[BatchRow], needed: &HashSet<Key>) -> (HashMap<Key, CellError>, Vec<Problem>) {
    let mut failed = HashMap::new();
    let mut news = Vec::new();
    for row in pending {
        let Ok(items) = store.batch_items(&row.mark) else { continue };
        let name = row.name();
        let held: Vec<Key> = items.iter().map(|item| item.key).filter(|key| needed.contains(key)).collect();
        if held.is_empty() {
            continue;
        }
        let message = format!("{name} holds this request, and a watch does not wait for it");
        let hint = "`promptkeel run` without `--watch` stores its results; `--batch=off` asks, and pays, again";
        news.push(Problem::warning(format!("{} left to {name}: a watch does not wait for it", counted(held.len(), "answer"))).hint(hint));
        failed.extend(held.into_iter().map(|key| {
            let hint = Some(hint.to_owned());
            (key, CellError { kind: ErrorKind::Batch, message: message.clone(), hint, attempts: Vec::new() })
        }));
    }
    (failed, news)
}

/// Says that `--batch=off` asks for what a batch under way holds already.
fn paid_twice(store: &Store, pending: &[BatchRow], needed: &HashSet<Key>) -> Option<Problem> {
    let mut held: HashMap<&str, usize> = HashMap::new();
    for row in pending {
        let count = store.batch_items(&row.mark).ok()?.iter().filter(|item| needed.contains(&item.key)).count();
        if count > 0 {
            *held.entry(row.id.as_deref().unwrap_or("a batch that may have been created")).or_default() += count;
        }
    }
    let all: usize = held.values().sum();
    let mut names: Vec<&str> = held.into_keys().collect();
    names.sort_unstable();
    (all > 0).then(|| {
        Problem::warning(format!("{} asked singly though {} holds them: they may be paid twice", counted(all, "answer"), names.join(", ")))
            .hint("leave `--batch=off` out to wait for it")
    })
}
