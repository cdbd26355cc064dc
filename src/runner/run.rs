//! Which cells are asked in what order, and who tells about it? The one loop that narrates.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::assertion::CompileCache;
use crate::endpoint::{CallEvent, Endpoint};
use crate::model::catalog::Catalog;
use crate::model::event::RunEvent;
use crate::model::key::Key;
use crate::model::run::CellResult;
use crate::model::verdict::Verdict;
use crate::runner::execute::{Job, Message, Shared};
use crate::runner::plan::Plan;
use crate::runner::prefixes::{Conditions, Prefixes};
use crate::runner::texts::Texts;
use crate::snapshot::folder::Folder;
use crate::snapshot::output::Snapshot;

/// How a plan is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Prices.
    pub catalog: Arc<Catalog>,
    /// One answer with all its attempts and waits.
    pub case_timeout: Duration,
    /// The whole run: when it has passed, nothing more is started, as after an interrupt.
    pub run_timeout: Option<Duration>,
    /// What of it had passed before: batches were waited for.
    pub waited: Duration,
    /// Samples in the air per lane: wider than any endpoint's concurrency, so that sleeping retries starve nobody.
    pub lane_width: usize,
    /// Stop asking after so many failed gated cells.
    pub max_fail: Option<u32>,
    /// Answers that are known before the run.
    pub known: HashSet<Key>,
    /// What decides where the provider's prompt cache pays.
    pub conditions: Conditions,
    /// Whether first bytes and exchanges are told.
    pub detailed: bool,
    /// Ctrl-C or SIGTERM. The endpoint must hear of it too: it knows what is on the wire and what can still be left out.
    pub interrupted: CancellationToken,
    /// Nothing more is sent: a child of `interrupted`, cancelled when `max_fail` is reached or `run_timeout` has passed too. The endpoint was
    /// given the same token.
    pub stopping: CancellationToken,
    /// Cancelled when `run_timeout` has passed.
    pub timed_out: CancellationToken,
}

/// What came of a plan.
#[derive(Debug)]
pub struct Ran {
    /// In plan order.
    pub cells: Vec<CellResult>,
    /// What their requests point at.
    pub texts: Vec<Arc<str>>,
}

/// Runs every cell of `plan` and returns their results in plan order.
///
/// `decide` hears of every judged cell together with its outputs before the event goes out: it writes snapshots, and an output that it
/// accepted is the snapshot from then on. `narrate` hears every event.
pub async fn run<E: Endpoint>(
    plan: Arc<Plan>,
    endpoint: E,
    folder: Folder,
    options: Options,
    mut decide: impl FnMut(&mut CellResult, Option<&Snapshot>),
    mut narrate: impl FnMut(&RunEvent),
) -> Ran {
    let (messages, mut heard) = mpsc::unbounded_channel();
    let texts = Arc::new(Texts::default());
    let prefixes = Arc::new(Prefixes::of(&plan, |key| options.known.contains(key), &options.catalog, &options.conditions));
    let shared = Arc::new(Shared {
        endpoint,
        catalog: options.catalog,
        compiled: CompileCache::default(),
        folder,
        case_timeout: options.case_timeout,
        interrupted: options.interrupted.clone(),
        stopping: options.stopping.clone(),
        timed_out: options.timed_out.clone(),
        detailed: options.detailed,
        in_flight: Arc::new(AtomicU64::new(0)),
        texts: Arc::clone(&texts),
        prefixes: Arc::clone(&prefixes),
        slots: plan.cells.iter().map(|_| Mutex::default()).collect(),
        messages,
        plan: Arc::clone(&plan),
    });
    let in_flight = Arc::clone(&shared.in_flight);
    for jobs in lanes(&plan, &options.known, &prefixes) {
        let lane = Arc::clone(&shared);
        let samples = futures_util::stream::iter(jobs).map(move |job| {
            let answered = Arc::clone(&lane).run(job);
            async move {
                if job.known {
                    // Stored answers are read and judged on all cores.
                    let _ = tokio::spawn(answered).await;
                } else {
                    // Where money is spent the order counts: a cap that is reached leaves out the end of the plan.
                    answered.await;
                }
            }
        });
        tokio::spawn(samples.buffer_unordered(options.lane_width).for_each(|()| async {}));
    }
    // Nobody but the samples can tell anything now: if one of them panics, the loop below ends instead of waiting for ever.
    drop(shared);

    let mut results: Vec<Option<CellResult>> = plan.cells.iter().map(|_| None).collect();
    let mut left = results.len();
    let (mut failed, mut told) = (0_u32, false);
    let time_limit = passes(options.run_timeout, options.waited);
    tokio::pin!(time_limit);
    while left > 0 {
        let message = tokio::select! {
            message = heard.recv() => message,
            () = options.interrupted.cancelled(), if !told => {
                told = true;
                narrate(&RunEvent::Interrupted { in_flight: in_flight.load(Ordering::Acquire) });
                continue;
            }
            limit = &mut time_limit, if !options.timed_out.is_cancelled() => {
                options.timed_out.cancel();
                options.stopping.cancel();
                narrate(&RunEvent::TimedOut { limit_ms: millis(limit), in_flight: in_flight.load(Ordering::Acquire) });
                continue;
            }
        };
        match message.expect("every sample tells of itself before it ends") {
            Message::Call { cell, sample, event } => {
                if let Some(event) = told_event(&plan, cell, sample, event) {
                    narrate(&event);
                }
            }
            Message::Cell { cell, mut finished } => {
                left -= 1;
                if plan.cells[cell].baseline.is_some() {
                    // It has an address of this run, and would be taken for a verdict of it.
                    results[cell] = Some(finished.result);
                    continue;
                }
                decide(&mut finished.result, finished.outputs.as_ref());
                failed += u32::from(finished.result.gated && finished.result.verdict == Verdict::Fail);
                if options.max_fail.is_some_and(|most| failed >= most) {
                    options.stopping.cancel();
                }
                let result = Arc::new(finished.result);
                narrate(&RunEvent::Cell { cell: Arc::clone(&result) });
                results[cell] = Some(CellResult { request: finished.request, ..Arc::unwrap_or_clone(result) });
            }
        }
    }
    Ran { cells: results.into_iter().map(|result| result.expect("every cell told of itself")).collect(), texts: texts.list() }
}

/// Ends when this time has passed, of which some has; never without a limit.
async fn passes(limit: Option<Duration>, waited: Duration) -> Duration {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit.saturating_sub(waited)).await;
            limit
        }
        None => std::future::pending().await,
    }
}

/// One lane per endpoint and model, each in plan order, so that a slow model holds up no other; what shares a prefix is not far apart.
fn lanes(plan: &Plan, known: &HashSet<Key>, prefixes: &Prefixes) -> Vec<Vec<Job>> {
    let mut lanes: BTreeMap<(&str, &str), Vec<Job>> = BTreeMap::new();
    for (cell, planned) in plan.cells.iter().enumerate() {
        let lane = lanes.entry((&planned.variant.endpoint, &planned.variant.model_id)).or_default();
        lane.extend((0_u32..).zip(&planned.keys).map(|(sample, key)| Job { cell, sample, known: known.contains(key) }));
    }
    let mut lanes: Vec<Vec<Job>> = lanes.into_values().collect();
    lanes.iter_mut().for_each(|jobs| prefixes.order(jobs, |job| job.cell));
    lanes
}

fn told_event(plan: &Plan, cell: usize, sample: u32, event: CallEvent) -> Option<RunEvent> {
    let planned = &plan.cells[cell];
    match event {
        CallEvent::Queued | CallEvent::Begun => None,
        CallEvent::FirstByte => Some(RunEvent::FirstByte { cell: planned.address(), sample }),
        CallEvent::Exchange(exchange) => Some(RunEvent::Exchange { cell: planned.address(), sample, exchange }),
        CallEvent::Sent => Some(RunEvent::Sent { cell: planned.address(), sample }),
        CallEvent::Retrying { message, delay, .. } => {
            Some(RunEvent::Retrying { cell: planned.address(), sample, message, delay_ms: millis(delay) })
        }
        CallEvent::Silent { give_up_after } => {
            Some(RunEvent::Silent { endpoint: Arc::clone(&planned.variant.endpoint), give_up_ms: millis(give_up_after) })
        }
        CallEvent::Overdue { waited } => Some(RunEvent::Overdue {
            endpoint: Arc::clone(&planned.variant.endpoint),
            model: Arc::clone(&planned.variant.model_id),
            waited_ms: millis(waited),
        }),
        CallEvent::CoolingDown { delay } => Some(RunEvent::CoolingDown {
            endpoint: Arc::clone(&planned.variant.endpoint),
            model: Arc::clone(&planned.variant.model_id),
            delay_ms: millis(delay),
        }),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
