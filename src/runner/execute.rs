//! How does one sample become a result: asked, stored, judged, folded into its cell?

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::assertion;
use crate::assertion::{CompileCache, Compiled};
use crate::endpoint::patience::Flight;
use crate::endpoint::{Call, CallEvent, Endpoint, Observer};
use crate::model::assertion::{Assertion, AssertionSeverity};
use crate::model::catalog::Catalog;
use crate::model::cost::{self, Cost};
use crate::model::key::Key;
use crate::model::reply::{Answer, Reply, Served};
use crate::model::request::{Block, Request};
use crate::model::run::{CellDigests, CellResult, ReplyFacts, RequestFacts, SampleResult};
use crate::model::verdict::{AssertionResult, CellError, ErrorKind, Outcome, SkipReason, SnapshotState, Verdict};
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::prefixes::Prefixes;
use crate::runner::texts::Texts;
use crate::runner::{fingerprint, fold, sampled, totals};
use crate::snapshot::folder::Folder;
use crate::snapshot::format;
use crate::snapshot::output::{Output, Snapshot};

/// What every sample of a run shares.
pub(super) struct Shared<E> {
    pub(super) plan: Arc<Plan>,
    pub(super) endpoint: E,
    pub(super) catalog: Arc<Catalog>,
    pub(super) compiled: CompileCache,
    pub(super) folder: Folder,
    pub(super) case_timeout: Duration,
    /// Ctrl-C or SIGTERM: what was not sent is left out.
    pub(super) interrupted: CancellationToken,
    /// `--max-fail` was reached.
    pub(super) stopping: CancellationToken,
    /// The run's own time limit passed.
    pub(super) timed_out: CancellationToken,
    /// Somebody wants to hear of first bytes and exchanges.
    pub(super) detailed: bool,
    /// Requests on the wire.
    pub(super) in_flight: Arc<AtomicU64>,
    /// What was sent.
    pub(super) texts: Arc<Texts>,
    /// What shares a beginning with others.
    pub(super) prefixes: Arc<Prefixes>,
    /// Samples of unfinished cells, by cell.
    pub(super) slots: Vec<Mutex<Vec<SampleOutcome>>>,
    pub(super) messages: mpsc::UnboundedSender<Message>,
}

/// What the narrating loop hears.
pub(super) enum Message {
    /// Something happened to a request.
    Call { cell: usize, sample: u32, event: CallEvent },
    /// A cell is judged.
    Cell { cell: usize, finished: Box<FinishedCell> },
}

/// A judged cell, and its outputs as a snapshot would hold them.
pub(super) struct FinishedCell {
    pub(super) result: CellResult,
    pub(super) outputs: Option<Snapshot>,
    /// What was sent; numbered only for this run, so the events, which have no texts, do not hold it.
    pub(super) request: Option<RequestFacts>,
}

/// One sample, with its reply's output kept apart until the cell is folded.
pub(super) struct SampleOutcome {
    result: SampleResult,
    output: Option<Output>,
    simulated: bool,
    sent: Option<RequestFacts>,
}

/// One sample to answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) cell: usize,
    pub(super) sample: u32,
    /// It is answered already.
    pub(super) known: bool,
}

impl<E: Endpoint> Shared<E> {
    /// Answers, judges and folds one sample. Never fails: trouble is a result.
    pub(super) async fn run(self: Arc<Self>, job: Job) {
        let key = self.plan.cells[job.cell].keys[job.sample as usize];
        let request = contained(|| self.request(job)).unwrap_or_else(|error| Err(Unanswered::Error(error)));
        let (sent, answer) = match request {
            Ok((request, sent)) => (Some(sent), self.ask(job, key, request).await),
            Err(unanswered) => (None, Err(unanswered)),
        };
        let (done, finished) = oneshot::channel();
        rayon::spawn(move || {
            let mut outcome = match answer {
                Ok(answer) => contained(|| self.judge(job, key, &answer)).unwrap_or_else(|error| SampleOutcome::error(job, key, error)),
                Err(Unanswered::Error(error)) => SampleOutcome::error(job, key, error),
                Err(Unanswered::Skipped(reason)) => SampleOutcome::skipped(job, key, reason),
            };
            outcome.sent = sent;
            self.collect(job.cell, outcome);
            // The receiver is gone only if the whole run was dropped.
            let _ = done.send(());
        });
        let _ = finished.await;
    }

    /// The request, and what reports keep of it.
    fn request(&self, job: Job) -> Result<(Request, RequestFacts), Unanswered> {
        if let Some(reason) = self.skip_reason() {
            return Err(Unanswered::Skipped(reason));
        }
        let cell = &self.plan.cells[job.cell];
        let request = cell.request().map_err(|error| Unanswered::Error(template_error(cell, &error.message)))?;
        let sent = self.texts.request(&request, &cell.variant.parameters);
        Ok((request, sent))
    }

    async fn ask(&self, job: Job, key: Key, request: Request) -> Result<Answer, Unanswered> {
        let cell = &self.plan.cells[job.cell];
        let flying = Arc::new(AtomicBool::new(false));
        let call = Call {
            request: Arc::new(request),
            endpoint: Arc::clone(&cell.variant.endpoint),
            key,
            sample: cell.first_sample + job.sample,
            marks: self.prefixes.marks(job.cell),
            suite: Arc::clone(&cell.variant.suite_name),
            worst_case: cell.worst_case,
            deadline: self.case_timeout,
            observer: self.observer(job, Arc::clone(&flying)),
            flight: Flight::default(),
        };
        // An interrupt needs no look here: the endpoint hears of it, and ends whatever waits or sleeps with the attempts that it made.
        let answer = AssertUnwindSafe(self.endpoint.ask(call)).catch_unwind().await.unwrap_or_else(|panic| Err(own_mistake(&*panic)));
        if flying.load(Ordering::Acquire) {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
        answer.map_err(|error| match error.kind {
            ErrorKind::CacheMiss => Unanswered::Error(name_miss(cell, error)),
            _ if !error.attempts.is_empty() => Unanswered::Error(error),
            _ => match self.skip_reason().or_else(|| stopped_by(&error)) {
                Some(reason) => Unanswered::Skipped(reason),
                None => Unanswered::Error(error),
            },
        })
    }

    fn skip_reason(&self) -> Option<SkipReason> {
        if self.interrupted.is_cancelled() {
            Some(SkipReason::Interrupted)
        } else if self.timed_out.is_cancelled() {
            Some(SkipReason::RunTimeout)
        } else if self.stopping.is_cancelled() {
            Some(SkipReason::MaxFail)
        } else {
            None
        }
    }

    fn observer(&self, job: Job, flying: Arc<AtomicBool>) -> Observer {
        let (messages, in_flight, detailed) = (self.messages.clone(), Arc::clone(&self.in_flight), self.detailed);
        Observer::new(move |event| {
            match &event {
                CallEvent::Sent if !flying.swap(true, Ordering::AcqRel) => {
                    in_flight.fetch_add(1, Ordering::AcqRel);
                }
                CallEvent::Retrying { .. } if flying.swap(false, Ordering::AcqRel) => {
                    in_flight.fetch_sub(1, Ordering::AcqRel);
                }
                CallEvent::Sent
                | CallEvent::Retrying { .. }
                | CallEvent::CoolingDown { .. }
                | CallEvent::Overdue { .. }
                | CallEvent::Silent { .. } => {}
                CallEvent::FirstByte | CallEvent::Exchange(_) if detailed => {}
                // Nothing is told of these, and waking the loop for nothing costs as much as judging a short reply.
                CallEvent::Queued | CallEvent::FirstByte | CallEvent::Begun | CallEvent::Exchange(_) => return,
            }
            // Nobody listens any more only when the run was dropped.
            let _ = messages.send(Message::Call { cell: job.cell, sample: job.sample, event });
        })
    }

    fn judge(&self, job: Job, key: Key, answer: &Answer) -> SampleOutcome {
        let cell = &self.plan.cells[job.cell];
        let suite = &cell.variant.suite;
        let reply = &answer.reply;
        let cost = cost::cost(&self.catalog, &cell.variant.model_id, reply);
        let compile = |assertion: &Arc<Assertion>| {
            assertion::compile(assertion, &cell.case.variables, &self.compiled).unwrap_or_else(|error| Compiled::unread(assertion, &error))
        };
        let compiled: Vec<Compiled> = cell.case.assertions.iter().map(compile).collect();
        let subject = assertion::subject(reply, suite.parse, cost);
        let mut assertions = assertion::judge(&compiled, &subject);
        assertions.extend(self.another_model(&cell.variant.model_id, &reply.model));
        let output = Output::of_content(reply.stop_reason.as_str(), &reply.content, suite.snapshot.compare, suite.parse);
        let facts = facts(reply, answer.served, cost);
        SampleOutcome {
            output: Some(output),
            simulated: reply.simulated,
            sent: None,
            result: SampleResult {
                index: job.sample,
                key: key.to_string(),
                verdict: Verdict::of(&assertions),
                reply: Some(facts),
                assertions,
                error: None,
                skipped: None,
            },
        }
    }

    /// A reply of another known model says nothing about the asked one: no verdict. Names that the catalog does not know (gateways have
    /// their own) and aliases of one model are taken as they come.
    fn another_model(&self, asked: &str, answered: &str) -> Option<AssertionResult> {
        let (known, other) = (self.catalog.find(asked)?, self.catalog.find(answered)?);
        (known.id != other.id).then(|| AssertionResult {
            name: "answered by the asked model".to_owned(),
            severity: AssertionSeverity::Fail,
            outcome: Outcome::Error(format!("`{asked}` was asked, and the reply says that `{answered}` answered")),
            site: None,
        })
    }

    /// Keeps the sample; the one that completes its cell folds it.
    fn collect(&self, cell: usize, outcome: SampleOutcome) {
        let mut slot = self.slots[cell].lock().unwrap_or_else(PoisonError::into_inner);
        slot.push(outcome);
        if slot.len() < self.plan.cells[cell].keys.len() {
            return;
        }
        let mut outcomes = std::mem::take(&mut *slot);
        drop(slot);
        outcomes.sort_by_key(|outcome| outcome.result.index);
        let finished = Box::new(self.fold(&self.plan.cells[cell], outcomes));
        // The receiver is gone only if the whole run was dropped.
        let _ = self.messages.send(Message::Cell { cell, finished });
    }

    fn fold(&self, cell: &PlannedCell, outcomes: Vec<SampleOutcome>) -> FinishedCell {
        let variant = &cell.variant;
        let (mut outputs, mut answered) = (Vec::new(), Vec::new());
        let mut simulated = false;
        let mut request = None;
        let mut samples = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            if outcome.output.is_some() {
                answered.push(outcome.result.index);
            }
            outputs.extend(outcome.output);
            simulated |= outcome.simulated;
            request = request.or(outcome.sent);
            samples.push(outcome.result);
        }
        let new = (cell.snapshot_path.is_some() && !outputs.is_empty()).then(|| Snapshot {
            prompt: format!("{}@{}", variant.prompt_name, variant.version.version),
            model: variant.model_id.to_string(),
            simulated,
            outputs,
        });
        // What was paid stays in the report, whatever becomes of the comparison.
        let Compared { mut snapshot, candidate, digests } = contained(|| self.compared(cell, new.as_ref())).unwrap_or_else(|error| {
            for sample in samples.iter_mut().filter(|sample| sample.skipped.is_none()) {
                sample.verdict = Verdict::Error;
                sample.error.get_or_insert_with(|| error.clone());
            }
            Compared { snapshot: SnapshotState::None, candidate: None, digests: CellDigests::default() }
        });
        snapshot.of_samples(&answered, u32::try_from(samples.len()).unwrap_or(u32::MAX));
        let mut result = CellResult {
            address: cell.address(),
            model_id: Arc::clone(&variant.model_id),
            endpoint: Arc::clone(&variant.endpoint),
            verdict: fold::verdict(&samples, variant.suite.pass),
            gated: variant.gated,
            side_by_side: variant.side_by_side,
            cluster: cell.case.cluster.clone(),
            tags: cell.case.tags.clone().into(),
            site: cell.case.site.clone(),
            snapshot,
            snapshot_path: cell.snapshot_path.clone(),
            candidate,
            digests,
            request: None,
            samples,
            sampled: None,
            attempt_at_most_usd: None,
        };
        result.sampled = sampled::of_cell(&result);
        result.attempt_at_most_usd = cell.worst_case.filter(|_| totals::unknown_attempts(&result) > 0);
        FinishedCell { result, outputs: new, request }
    }

    /// How a cell's outputs stand to the accepted ones.
    fn compared(&self, cell: &PlannedCell, new: Option<&Snapshot>) -> Compared {
        #[cfg(test)]
        assert_ne!(&*cell.case_id, PANICS, "a mistake while comparing");
        let comparison = &cell.variant.comparison;
        let accepted = cell.snapshot_path.as_deref().map_or(Ok(None), |path| self.folder.read(path));
        let snapshot = match (new, &accepted) {
            (Some(new), Ok(accepted)) => contained(|| comparison.state(accepted.as_ref(), new))
                .unwrap_or_else(|error| SnapshotState::Unreadable { message: error.message }),
            (Some(_), Err(error)) => SnapshotState::Unreadable { message: error.to_string() },
            (None, _) => SnapshotState::None,
        };
        let candidate = match &snapshot {
            SnapshotState::Changed { .. } | SnapshotState::New { .. } | SnapshotState::Unreadable { .. } => {
                new.map(|new| Arc::from(format::write(&comparison.distinct(new))))
            }
            SnapshotState::Same | SnapshotState::None => None,
        };
        let accepted_text = accepted.ok().flatten().map(|accepted| format::write(&accepted));
        Compared { snapshot, candidate, digests: fingerprint::digests(cell, accepted_text.as_deref()) }
    }
}

/// A case with this name panics where no endpoint can make it.
#[cfg(test)]
pub(super) const PANICS: &str = "panics-when-compared";

/// What the accepted outputs of a cell say of its new ones.
struct Compared {
    snapshot: SnapshotState,
    candidate: Option<Arc<str>>,
    digests: CellDigests,
}

/// Why there is no answer.
enum Unanswered {
    Error(CellError),
    Skipped(SkipReason),
}

impl SampleOutcome {
    fn without_reply(result: SampleResult) -> Self {
        Self { result, output: None, simulated: false, sent: None }
    }

    fn error(job: Job, key: Key, error: CellError) -> Self {
        Self::without_reply(SampleResult {
            index: job.sample,
            key: key.to_string(),
            verdict: Verdict::Error,
            reply: None,
            assertions: Vec::new(),
            error: Some(error),
            skipped: None,
        })
    }

    fn skipped(job: Job, key: Key, reason: SkipReason) -> Self {
        Self::without_reply(SampleResult {
            index: job.sample,
            key: key.to_string(),
            verdict: Verdict::Skipped,
            reply: None,
            assertions: Vec::new(),
            error: None,
            skipped: Some(reason),
        })
    }
}

/// Why nothing was sent, where an earlier answer already said that sending is of no use.
fn stopped_by(error: &CellError) -> Option<SkipReason> {
    match error.kind {
        ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::SpendLimit => Some(SkipReason::ModelUnavailable(error.message.clone())),
        ErrorKind::Store => Some(SkipReason::StoreFailed(error.message.clone())),
        ErrorKind::Budget => Some(SkipReason::Budget),
        ErrorKind::Unavailable => Some(SkipReason::EndpointDown(with_hint(error))),
        ErrorKind::Batch => Some(SkipReason::Batch(with_hint(error))),
        ErrorKind::Connection
        | ErrorKind::Timeout
        | ErrorKind::RateLimited
        | ErrorKind::Overloaded
        | ErrorKind::Server
        | ErrorKind::InvalidRequest
        | ErrorKind::MalformedReply
        | ErrorKind::CacheMiss
        | ErrorKind::Judging
        | ErrorKind::Template => None,
    }
}

/// A skipped cell has no place for a next step of its own.
fn with_hint(error: &CellError) -> String {
    error.hint.as_ref().map_or_else(|| error.message.clone(), |hint| format!("{}; {hint}", error.message))
}

fn template_error(cell: &PlannedCell, message: &str) -> CellError {
    CellError {
        kind: ErrorKind::Template,
        message: format!("{}: {message}", cell.variant.version.file.path),
        hint: None,
        attempts: Vec::new(),
    }
}

fn judging_error(message: &str) -> CellError {
    CellError { kind: ErrorKind::Judging, message: message.to_owned(), hint: None, attempts: Vec::new() }
}

/// A panic ends one cell, not the run: on the rayon pool it would take the whole process with it, reports and all.
fn contained<T>(work: impl FnOnce() -> T) -> Result<T, CellError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| own_mistake(&*panic))
}

fn own_mistake(panic: &(dyn Any + Send)) -> CellError {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    CellError {
        hint: Some("this is a mistake of promptkeel; please report it with the suite and the reply".to_owned()),
        ..judging_error(&format!("promptkeel failed: {}", words.unwrap_or("it did not say why")))
    }
}

fn name_miss(cell: &PlannedCell, error: CellError) -> CellError {
    let price = cell.worst_case.map_or_else(String::new, |worst| format!(", at most {}", worst.display(4)));
    CellError {
        message: format!("no stored answer for {}", cell.address()),
        hint: Some(format!("run without `--cache only` and with a key to ask for it (1 request{price})")),
        ..error
    }
}

/// What a report keeps of a reply, with what it cost.
#[must_use]
pub fn facts(reply: &Reply, served: Served, cost: Option<Cost>) -> ReplyFacts {
    ReplyFacts {
        text: reply.text(),
        other_blocks: other_blocks(reply),
        stop_reason: reply.stop_reason.clone(),
        refusal: reply.refusal.clone(),
        usage: reply.usage.clone(),
        cost_usd: cost.map(|cost| cost.total),
        unbatched_cost_usd: cost.filter(|cost| cost.unbatched != cost.total).map(|cost| cost.unbatched),
        uncached_cost_usd: cost.map(|cost| cost.uncached),
        latency_ms: reply.latency_ms,
        served,
        simulated: reply.simulated,
        request_id: reply.request_id.clone(),
        answered_at: reply.answered_at,
        attempts: reply.attempts.clone(),
        forgotten: false,
    }
}

/// Everything that is neither text nor thinking.
fn other_blocks(reply: &Reply) -> Vec<serde_json::Value> {
    let is_other = |block: &&Block| !matches!(block.kind(), "text" | "thinking" | "redacted_thinking");
    reply.content.iter().filter(is_other).map(|block| serde_json::Value::Object(block.0.clone())).collect()
}
