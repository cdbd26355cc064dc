//! How do the results of a batch become stored answers, each paid once?
//!
//! The file is read as it comes, in any order; a line is believed only where its `custom_id` names a place of the batch and the key that stands
//! there. It can be read again as often as it takes: an answer that is stored already is not stored twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{Work, unstored};
use crate::endpoint::batches::results::{self, Line, Outcome};
use crate::endpoint::batches::{Batch, BatchFault, Batches, FaultKind, draft};
use crate::model::cost;
use crate::model::event::BatchStage;
use crate::model::key::Key;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::reply::Reply;
use crate::model::verdict::CellError;
use crate::store::answers::NewAnswer;
use crate::store::batches::{BatchEnd, BatchRow, Item};
use crate::store::{Store, StoreError, answers};

/// Times that a file is read which breaks off or lacks lines.
const TRIES: u32 = 5;

/// Answers on their way into the store.
const STORING: usize = 256;

/// What a request came to, without its reply.
enum Came {
    /// Its reply is stored; what it cost, where it has a price.
    Paid(Option<Money>),
    Errored {
        error: CellError,
        passing: bool,
    },
    Canceled,
    Expired,
    /// It may have been paid.
    Lost(CellError),
}

impl Work<'_> {
    /// Stores the results of a batch that has ended.
    pub(super) async fn collect(&mut self, client: &Batches, row: &BatchRow, batch: &Batch, items: &[Item]) -> Result<(), Problem> {
        let mut tried = 0;
        let mut came: HashMap<usize, Came> = HashMap::new();
        let strange = loop {
            let fault = match self.read(client, row, batch, items).await? {
                Ok((read, strange)) => {
                    for (place, what) in read {
                        if !matches!(what, Came::Lost(_)) || !came.contains_key(&place) {
                            came.insert(place, what);
                        }
                    }
                    match lacking(batch, items, &came) {
                        Some(fault) => fault,
                        // What somebody garbled on the way may come whole the next time; what the server itself wrote like that never will.
                        None if tried + 1 < TRIES && came.values().any(|what| matches!(what, Came::Lost(_))) => {
                            incomplete("a line cannot be read".to_owned())
                        }
                        None => break strange,
                    }
                }
                Err(fault) => fault,
            };
            tried += 1;
            let hopeless = matches!(fault.kind, FaultKind::NotFound | FaultKind::Refused | FaultKind::TooLarge);
            if hopeless || tried == TRIES || self.with.stopped.is_cancelled() {
                let (paid, left): (Vec<_>, Vec<_>) = (0..items.len()).partition(|place| matches!(came.get(place), Some(Came::Paid(_))));
                let billed = self.billed(row)?;
                for place in &paid {
                    let Some(Came::Paid(cost)) = came.remove(place) else { continue };
                    self.paid(items[*place].key, cost, billed.contains(place));
                }
                // Whoever reads the whole of it later leaves these out of its bill.
                self.with.store.bill_of_batch(&row.mark, paid).await.map_err(|error| unstored(&error))?;
                let left: Vec<Item> = left.into_iter().map(|place| items[place]).collect();
                self.unread(row, batch, &left, &fault).await?;
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500 << tried)).await;
        };
        if strange > 0 {
            let problem = Problem::warning(format!("{strange} lines in the results of batch {} are no results of its requests", batch.id));
            self.settled.problems.push(problem.hint("they are left out"));
        }
        let billed = self.billed(row)?;
        self.with.store.batch_ended(&row.mark, BatchEnd::Collected).await.map_err(|error| unstored(&error))?;
        let earlier = self.looks.get(&row.mark).is_none_or(|look| look.found && !look.waited);
        self.settle_all(row, batch, items, came, (earlier, &billed));
        self.items.remove(&row.mark);
        self.tell_of(row, Some(&batch.id), BatchStage::Ended, Some(batch));
        Ok(())
    }

    /// Reads the whole file once and stores what it holds; what came of each request, by its place, and how many lines are none of its own.
    async fn read(
        &mut self,
        client: &Batches,
        row: &BatchRow,
        batch: &Batch,
        items: &[Item],
    ) -> Result<Result<(HashMap<usize, Came>, u64), BatchFault>, Problem> {
        let mut results = match client.results(batch).await {
            Ok(results) => results,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut came: HashMap<usize, Came> = HashMap::with_capacity(items.len());
        let mut strange = 0_u64;
        let mut storing = FuturesUnordered::new();
        loop {
            let line = match results.next().await {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(fault) => {
                    stored(&mut storing, 0).await?;
                    return Ok(Err(fault));
                }
            };
            let placed = line.ok().and_then(|Line { custom_id, outcome }| {
                let place = draft::place(&row.mark, &custom_id)?;
                let item = items.get(place)?;
                (draft::is_of(&row.mark, &custom_id, place, &item.key) && !came.contains_key(&place)).then_some((place, item, outcome))
            });
            let Some((place, item, outcome)) = placed else {
                strange += 1;
                continue;
            };
            let what = match outcome {
                Outcome::Succeeded(reply) => {
                    let wish = self.places.get(&item.key).map(|place| &self.wishes[*place]);
                    let model = wish.map_or(&*reply.model, |wish| &wish.model);
                    let cost = cost::cost(self.with.catalog, model, &reply).map(|cost| cost.total);
                    storing.push(self.store(row, *item, reply));
                    Came::Paid(cost)
                }
                Outcome::Errored { error, passing } => Came::Errored { error, passing },
                Outcome::Canceled => Came::Canceled,
                Outcome::Expired => Came::Expired,
                Outcome::Malformed(error) => Came::Lost(error),
            };
            came.insert(place, what);
            stored(&mut storing, STORING).await?;
        }
        stored(&mut storing, 0).await?;
        drop(storing);
        Ok(Ok((came, strange)))
    }

    /// Stores one answer, unless it is stored.
    async fn store(&self, row: &BatchRow, item: Item, reply: Arc<Reply>) -> Result<(), StoreError> {
        let stored = self.with.store.get(&item.key)?;
        if reply.id.is_some() && stored.is_some_and(|stored| stored.id == reply.id) {
            return Ok(());
        }
        let place = self.places.get(&item.key).copied();
        let request = place.and_then(|place| (self.with.request)(place));
        match &request {
            Some(request) => {
                let answer = NewAnswer { key: item.key, endpoint: &row.endpoint, sample: item.sample, request, reply: &reply };
                self.with.store.put(answer).await
            }
            None => self.with.store.put_unasked(item, &reply).await,
        }
    }

    /// What a whole batch came to. What an `earlier` run left behind is asked anew; what this one waited for is asked singly, or told.
    fn settle_all(
        &mut self,
        row: &BatchRow,
        batch: &Batch,
        items: &[Item],
        mut came: HashMap<usize, Came>,
        (earlier, billed): (bool, &HashSet<usize>),
    ) {
        for (place, item) in items.iter().enumerate() {
            let key = item.key;
            let taken = self.taken.get(&key).copied().unwrap_or_default();
            match came.remove(&place) {
                Some(Came::Paid(cost)) => {
                    self.paid(key, cost, billed.contains(&place));
                    continue;
                }
                Some(Came::Errored { passing: true, .. } | Came::Expired) => {
                    if !earlier {
                        self.single.insert(key);
                    }
                }
                Some(Came::Errored { error, passing: false }) => {
                    self.settled.failed.insert(key, error);
                }
                Some(Came::Canceled) if earlier => {}
                Some(Came::Canceled) => {
                    let message = format!("batch {} was canceled before the turn of this request", batch.id);
                    self.give_up(std::iter::once(key), &message, Some("run again to ask for it: nothing of it was paid"));
                }
                Some(Came::Lost(error)) => {
                    self.settled.failed.insert(key, error);
                    self.settle(&key, taken);
                    continue;
                }
                None => {
                    let message = format!("the results of batch {} hold no line for this request", batch.id);
                    self.settled.failed.insert(key, results::malformed(message, 0));
                    self.settle(&key, taken);
                    continue;
                }
            }
            self.settle(&key, Money::ZERO);
        }
        let counts = batch.counts;
        if counts.canceled > 0 && !earlier {
            let problem = Problem::warning(format!(
                "batch {} was canceled: {} of {} requests have no answer",
                batch.id, counts.canceled, row.requests
            ));
            self.settled.problems.push(problem.hint("run again to ask for them: nothing of them was paid"));
        }
        if counts.expired > 0 {
            let how = if earlier { "asked again" } else { "asked singly, at the whole price" };
            let problem = Problem::note(format!("{} of {} requests of batch {} expired", counts.expired, row.requests, batch.id));
            self.settled.problems.push(problem.hint(format!("they were not paid, and are {how}")));
        }
    }

    /// What of the batch an earlier run has on its bill: its results broke off then.
    fn billed(&self, row: &BatchRow) -> Result<HashSet<usize>, Problem> {
        self.with.store.billed_of_batch(&row.mark).map_err(|error| unstored(&error))
    }

    /// This answer is stored, and on one bill: this run's, unless an earlier one told of it.
    fn paid(&mut self, key: Key, cost: Option<Money>, told: bool) {
        if told {
            self.settled.shared.insert(key);
            return self.settle(&key, Money::ZERO);
        }
        let taken = self.taken.get(&key).copied().unwrap_or_default();
        self.settled.paid.insert(key);
        self.settle(&key, cost.unwrap_or(taken));
    }

    /// The results cannot be read.
    async fn unread(&mut self, row: &BatchRow, batch: &Batch, items: &[Item], fault: &BatchFault) -> Result<(), Problem> {
        let keys = || items.iter().map(|item| item.key).collect::<Vec<Key>>();
        if self.with.stopped.is_cancelled() {
            return Ok(());
        }
        if fault.kind == FaultKind::NotFound && self.is_gone(row) {
            self.with.store.batch_ended(&row.mark, BatchEnd::Gone).await.map_err(|error| unstored(&error))?;
            self.release(&row.mark);
            let problem = Problem::warning(format!("the results of batch {} are gone", batch.id));
            self.settled.problems.push(problem.hint("what it held is asked again"));
            return Ok(());
        }
        if let Some(look) = self.looks.get_mut(&row.mark) {
            look.given_up = true;
        }
        let message = format!("the results of batch {} could not be read: {}", batch.id, fault.message);
        let id = &batch.id;
        let hint = format!(
            "`promptkeel run` reads them again: nothing is paid twice; `promptkeel batch forget {id}` lets them be asked, and paid, again"
        );
        self.give_up(keys().into_iter(), &message, Some(&hint));
        self.settled.problems.push(Problem::warning(message).hint(hint));
        Ok(())
    }
}

/// Whether the file has fewer lines than the batch itself says: then somebody cut it on its way, and the rest stands at the server still.
fn lacking(batch: &Batch, items: &[Item], came: &HashMap<usize, Came>) -> Option<BatchFault> {
    let counts = batch.counts;
    let said = counts.sum().saturating_sub(counts.processing);
    let due = usize::try_from(said).unwrap_or(usize::MAX).min(items.len());
    (came.len() < due).then(|| incomplete(format!("{} of {due} lines came", came.len())))
}

const fn incomplete(message: String) -> BatchFault {
    BatchFault { kind: FaultKind::Unknown, message, hint: None, after: None }
}

/// Waits until no more than so many answers are on their way into the store.
async fn stored<F>(storing: &mut FuturesUnordered<F>, most: usize) -> Result<(), Problem>
where
    F: Future<Output = Result<(), StoreError>>,
{
    while storing.len() > most
        && let Some(stored) = storing.next().await
    {
        stored.map_err(|error| unstored(&error))?;
    }
    Ok(())
}

impl Store {
    /// Stores an answer whose request this run does not know.
    async fn put_unasked(&self, item: Item, reply: &Reply) -> Result<(), StoreError> {
        self.writer()?.put(answers::Row::imported(item.key, item.sample, reply)).await
    }
}
