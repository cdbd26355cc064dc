//! How is a run answered by message batches, so that each request is paid once whatever happens in between?
//!
//! One loop: what is waited for is looked at, what has ended is stored, and what nobody asked for yet is asked in a new batch. Everything that
//! matters stands in the store before it is done ([`crate::store::batches`]), so the loop can be left at any point and begun again by anybody.
//! One process at a time goes through it; between two rounds nobody holds anything.

mod collecting;
mod creating;
pub mod looking;
mod seeking;
mod telling;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::endpoint::batches::draft::Limits;
use crate::endpoint::batches::{Batch, BatchFault, Batches, FaultKind, Status};
use crate::endpoint::budget::Budget;
use crate::model::catalog::Catalog;
use crate::model::event::{BatchNews, BatchStage};
use crate::model::key::{Key, digest};
use crate::model::money::Money;
use crate::model::prefix::Marks;
use crate::model::problem::Problem;
use crate::model::request::{Dialect, Request};
use crate::model::suite::BatchPolicy;
use crate::model::verdict::{CellError, ErrorKind};
use crate::store::batches::{BatchRow, Item};
use crate::store::batching::creating::Room;
use crate::store::claim::{Claim, Claimed};
use crate::store::{Store, StoreError};

/// Under [`BatchPolicy::Auto`], fewer requests to one endpoint are asked singly: a batch may take an hour, and half of little is little.
pub const WORTH_A_BATCH: usize = 100;

/// Between two looks: from this ...
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// ... half as long again each time, to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A batch that cannot be looked at for so long is left to a later run.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// One answer that a run needs and that is not stored.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Under which key it will be stored.
    pub key: Key,
    /// Which of the independent answers.
    pub sample: u32,
    /// Whom to ask.
    pub endpoint: Arc<str>,
    /// Which model, for its price.
    pub model: Arc<str>,
    /// The suite whose cap it counts for.
    pub suite: Arc<str>,
    /// The most that it can cost when it is asked singly.
    pub worst_case: Option<Money>,
    /// What is marked in it for the provider's prompt cache. In a batch nobody waits for the one that writes first, so an hour is what helps.
    pub marks: Marks,
    /// Whether a batch may be created for it; one that holds it already is waited for in any case.
    pub policy: BatchPolicy,
}

/// What the batches came to.
#[derive(Debug, Default)]
pub struct Settled {
    /// Answers that came by a batch whose results this run stored, also those that it did not need: it has them on its bill.
    pub paid: HashSet<Key>,
    /// Answers that came by a batch which this run waited for and another one stored: that one has them on its bill.
    pub shared: HashSet<Key>,
    /// What is not to be asked singly, and why.
    pub failed: HashMap<Key, CellError>,
    /// What is worth knowing.
    pub problems: Vec<Problem>,
}

/// Everything that answering by batches needs.
pub struct Batching<'a> {
    /// Where batches and answers are remembered.
    pub store: &'a Store,
    /// The endpoints by name.
    pub endpoints: &'a BTreeMap<Arc<str>, Batches>,
    /// Their dialects: a simulator that runs in process forgets its batches with it.
    pub in_process: &'a dyn Fn(&str) -> bool,
    /// What may be spent.
    pub budget: &'a Budget,
    /// Prices.
    pub catalog: &'a Catalog,
    /// The request of a wish, by its place in the list; `None` where it cannot be rendered.
    pub request: &'a dyn Fn(usize) -> Option<Request>,
    /// Whether a stored answer will do, or everything is asked again.
    pub reads: bool,
    /// Nothing more is begun.
    pub stopped: &'a CancellationToken,
    /// How large a batch may be.
    pub limits: Limits,
    /// The time of day.
    pub now: fn() -> DateTime<Utc>,
}

/// A run's work on its batches.
struct Work<'a> {
    with: &'a Batching<'a>,
    wishes: &'a [Wish],
    places: HashMap<Key, usize>,
    settled: Settled,
    /// What was taken from the budget for a request under way.
    taken: HashMap<Key, Money>,
    /// Asked singly: a batch did not answer them, or cannot.
    single: HashSet<Key>,
    /// What each batch that is waited for holds.
    items: HashMap<String, Arc<Vec<Item>>>,
    looks: HashMap<String, Look>,
    /// Ended batches that turned out to be somebody else's.
    strangers: HashSet<String>,
    /// Endpoints without batches.
    without: HashSet<Arc<str>>,
    /// Endpoints that refused a batch as too large.
    room: HashMap<Arc<str>, Room>,
    /// How often an endpoint had no room for another batch.
    refused: u32,
    tell: &'a mut dyn FnMut(BatchNews),
}

/// What this process did with a batch so far.
#[derive(Debug)]
struct Look {
    /// The first time.
    since: Instant,
    /// It was already there.
    found: bool,
    /// It has been seen to be under way.
    waited: bool,
    /// The last look that went well.
    heard: Instant,
    given_up: bool,
}

/// A batch that is waited for.
struct Waited {
    row: BatchRow,
    id: Option<String>,
}

/// How one round ended.
enum Round {
    /// Nothing is left to wait for.
    Done,
    /// These have not ended.
    Waits(Vec<Waited>),
}

impl Batching<'_> {
    /// Answers what it can by batches: those that hold an answer already, and new ones where the policy of a wish allows it.
    ///
    /// # Errors
    /// If a batch was asked for by name at an endpoint that has none, or the store cannot hold what is about to be paid.
    pub async fn answer(&self, wishes: &[Wish], tell: &mut dyn FnMut(BatchNews)) -> Result<Settled, Problem> {
        let mut work = Work {
            with: self,
            places: wishes.iter().enumerate().map(|(place, wish)| (wish.key, place)).collect(),
            wishes,
            settled: Settled::default(),
            taken: HashMap::new(),
            single: HashSet::new(),
            items: HashMap::new(),
            looks: HashMap::new(),
            strangers: HashSet::new(),
            without: HashSet::new(),
            room: HashMap::new(),
            refused: 0,
            tell,
        };
        work.look_for_given_up().await;
        let mut pause = SHORTEST_WAIT;
        let mut batches = 0;
        loop {
            let Some(turn) = self.turn().await else { break };
            let round = work.round().await?;
            drop(turn);
            let Round::Waits(waited) = round else { break };
            if self.stopped.is_cancelled() {
                work.leave(&waited);
                break;
            }
            if batches != waited.len() {
                (batches, pause) = (waited.len(), SHORTEST_WAIT);
            }
            let jittered = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
            tokio::select! {
                () = self.stopped.cancelled() => {
                    work.leave(&waited);
                    break;
                }
                () = tokio::time::sleep(jittered) => pause = pause.mul_f64(1.5).min(LONGEST_WAIT),
            }
        }
        Ok(work.settled)
    }

    /// Waits for this process's turn; `None` where the run was stopped before.
    async fn turn(&self) -> Option<Claim> {
        let key: Key = digest(b"promptkeel: who looks after batches").parse().expect("a digest has 64 hexadecimal digits");
        loop {
            if let Claimed::Ours(claim) = self.store.claim(&key) {
                return Some(claim);
            }
            tokio::select! {
                () = self.stopped.cancelled() => return None,
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
    }
}

impl Work<'_> {
    /// One look at everything, and what follows from it.
    async fn round(&mut self) -> Result<Round, Problem> {
        let mut waited = Vec::new();
        let mut covered = HashSet::new();
        let rows = self.with.store.pending_batches().map_err(|error| unstored(&error))?;
        self.stored_elsewhere(&rows)?;
        for row in rows {
            let items = self.items(&row)?;
            let wanted = items.iter().find_map(|item| self.places.get(&item.key)).map(|place| &self.wishes[*place]);
            let is_wanted = wanted.is_some();
            // A key says where it is asked; the name may be another one by now.
            let endpoint = wanted.map_or(row.endpoint.as_str(), |wish| &wish.endpoint);
            let endpoints = self.with.endpoints;
            let Some(client) = endpoints.get(endpoint) else { continue };
            let first = !self.looks.contains_key(&row.mark);
            // What no cell of this run needs is stored where it is there, and not waited for.
            if !is_wanted && !first {
                continue;
            }
            let now = Instant::now();
            let look =
                self.looks.entry(row.mark.clone()).or_insert(Look { since: now, found: true, waited: false, heard: now, given_up: false });
            if look.given_up {
                continue;
            }
            if self.with.stopped.is_cancelled() {
                waited.push(Waited { id: row.id.clone(), row });
                continue;
            }
            let looked = self.look(client, &row).await;
            match looked {
                Ok(Some(batch)) if batch.status == Status::Ended => self.collect(client, &row, &batch, &items).await?,
                Ok(Some(batch)) if is_wanted => {
                    covered.extend(items.iter().map(|item| item.key));
                    self.waits(&row, &batch, &items);
                    waited.push(Waited { id: Some(batch.id), row });
                }
                Ok(None) if is_wanted && row.id.is_none() && !self.is_over(&row.mark) => {
                    covered.extend(items.iter().map(|item| item.key));
                    self.tell_of(&row, None, BatchStage::Sought, None);
                    waited.push(Waited { id: None, row });
                }
                Ok(_) => {}
                Err(_) if !is_wanted => {}
                Err(fault) => {
                    covered.extend(items.iter().map(|item| item.key));
                    if self.bears(&row, &fault, &items) {
                        waited.push(Waited { id: row.id.clone(), row });
                    }
                }
            }
        }
        let again = self.create(&covered, &mut waited).await?;
        Ok(if waited.is_empty() && !again { Round::Done } else { Round::Waits(waited) })
    }

    /// What another process stored of batches that this one waited for.
    fn stored_elsewhere(&mut self, rows: &[BatchRow]) -> Result<(), Problem> {
        let is_gone = |mark: &String| self.items.contains_key(mark) && rows.iter().all(|row| row.mark != *mark);
        let gone: Vec<String> = self.looks.keys().filter(|mark| is_gone(mark)).cloned().collect();
        for mark in gone {
            let Some(items) = self.items.remove(&mark) else { continue };
            let keys: Vec<Key> = items.iter().map(|item| item.key).filter(|key| self.taken.contains_key(key)).collect();
            let known = self.with.store.known(&keys).map_err(|error| unstored(&error))?;
            for key in keys {
                if known.contains_key(&key) {
                    self.settled.shared.insert(key);
                } else {
                    // It failed there, and that run asks for it singly.
                    self.single.insert(key);
                }
                self.settle(&key, Money::ZERO);
            }
        }
        Ok(())
    }

    /// Nothing more comes of this batch.
    fn is_over(&self, mark: &str) -> bool {
        self.looks.get(mark).is_some_and(|look| look.given_up)
    }

    /// What was taken for the requests of this batch is free again.
    fn release(&mut self, mark: &str) {
        let Some(items) = self.items.get(mark).cloned() else { return };
        for item in items.iter() {
            self.settle(&item.key, Money::ZERO);
        }
    }

    /// A request under way came to this much.
    fn settle(&mut self, key: &Key, spent: Money) {
        if let Some(place) = self.places.get(key) {
            let taken = self.taken.remove(key).unwrap_or_default();
            self.with.budget.settle(&self.wishes[*place].suite, taken, spent);
        }
    }

    /// A batch that is under way: what it can cost is taken, should another run have created it.
    fn waits(&mut self, row: &BatchRow, batch: &Batch, items: &[Item]) {
        let look = self.looks.get_mut(&row.mark);
        let (found, waited) = look.map_or((true, false), |look| (look.found, std::mem::replace(&mut look.waited, true)));
        if found && !waited {
            for item in items {
                if let Some(place) = self.places.get(&item.key)
                    && !self.taken.contains_key(&item.key)
                {
                    let wish = &self.wishes[*place];
                    let amount = half(wish.worst_case);
                    self.with.budget.commit(&wish.suite, amount);
                    self.taken.insert(item.key, amount);
                }
            }
        }
        let stage = if waited || !found { BatchStage::Waiting } else { BatchStage::Joined };
        self.tell_of(row, Some(&batch.id), stage, Some(batch));
    }

    /// Whether a failed look is no reason to stop waiting.
    fn bears(&mut self, row: &BatchRow, fault: &BatchFault, items: &[Item]) -> bool {
        let Some(look) = self.looks.get_mut(&row.mark) else { return false };
        let hopeless = matches!(fault.kind, FaultKind::NotFound | FaultKind::Refused | FaultKind::TooLarge);
        if !hopeless && look.heard.elapsed() < PATIENCE {
            return true;
        }
        look.given_up = true;
        let name = row.id.as_ref().map_or_else(|| "a batch whose creation was not answered".to_owned(), |id| format!("batch {id}"));
        let (message, hint) = match (fault.kind, &row.id) {
            (FaultKind::NotFound, Some(id)) => (
                format!("endpoint `{}` does not know {name}: {}", row.endpoint, fault.message),
                format!(
                    "use the key of the workspace that created it; if it was deleted, `promptkeel batch forget {id}` lets its requests be asked and paid again"
                ),
            ),
            _ => (
                format!("{name} of endpoint `{}` cannot be looked at: {}", row.endpoint, fault.message),
                match (&fault.hint, &row.id) {
                    (_, None) => format!(
                        "a run looks for it again; where that cannot be, `promptkeel batch forget {}` lets its requests be asked, and paid again if it was created",
                        row.mark
                    ),
                    (Some(hint), Some(_)) => hint.clone(),
                    (None, Some(_)) => "`promptkeel run --batch` goes on with it".to_owned(),
                },
            ),
        };
        self.give_up(items.iter().map(|item| item.key), &message, Some(&hint));
        self.settled.problems.push(Problem::warning(message).hint(hint));
        false
    }

    /// These are not asked, and this is why.
    fn give_up(&mut self, keys: impl Iterator<Item = Key>, message: &str, hint: Option<&str>) {
        for key in keys {
            let error =
                CellError { kind: ErrorKind::Batch, message: message.to_owned(), hint: hint.map(str::to_owned), attempts: Vec::new() };
            self.settled.failed.insert(key, error);
        }
    }

    fn items(&mut self, row: &BatchRow) -> Result<Arc<Vec<Item>>, Problem> {
        if let Some(items) = self.items.get(&row.mark) {
            return Ok(Arc::clone(items));
        }
        let items = Arc::new(self.with.store.batch_items(&row.mark).map_err(|error| unstored(&error))?);
        self.items.insert(row.mark.clone(), Arc::clone(&items));
        Ok(items)
    }
}

/// The most that a request of a batch can cost: half on everything (wire reference, 5).
fn half(worst_case: Option<Money>) -> Money {
    worst_case.unwrap_or_default().scaled(1, 2)
}

/// The look was ended by us.
fn stopped() -> BatchFault {
    BatchFault { kind: FaultKind::Unknown, message: "the run was stopped".to_owned(), hint: None, after: None }
}

fn unstored(error: &StoreError) -> Problem {
    Problem::error(error.to_string()).hint(error.hint())
}

/// Whether this dialect's simulators run in process, where batches live no longer than a run.
#[must_use]
pub const fn is_in_process(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Simulated)
}

#[cfg(test)]
#[path = "batching_tests.rs"]
mod tests;
