//! What is asked in a new batch, and what if nobody says whether it came about?

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Look, WORTH_A_BATCH, Waited, Work, half, unstored};
use crate::endpoint::batches::draft::{self, Draft, Limits};
use crate::endpoint::batches::{Batch, BatchFault, Batches, FaultKind};
use crate::model::event::BatchStage;
use crate::model::key::{Key, digest};
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::suite::BatchPolicy;
use crate::store::batches::{BatchEnd, BatchRow, Intent, Item};
use crate::store::claim::Claimed;

/// Tries of a creation that is known not to have happened.
const TRIES: u32 = 5;

/// How often an endpoint may have no room for another batch before the requests are left out.
const MOST_REFUSALS: u32 = 30;

/// Single requests that an endpoint may refuse as a batch that is too large; it is asked for no other batch then.
const MOST_TOO_LARGE: u32 = 3;

/// A batch that is written and not yet created.
struct Written {
    draft: Draft,
    mark: String,
    items: Vec<Item>,
}

/// What an endpoint's gateway let through so far.
pub(super) struct Room {
    /// A body of twice as many bytes was refused as too large.
    bytes: usize,
    /// Requests that were too large all alone.
    alone: u32,
}

/// What came of a creation.
enum Created {
    Batch(Batch),
    /// It may be there: it is looked for.
    Perhaps,
    /// It is not there, and there may be room later.
    Later,
    /// It is not there, and fits in halves.
    TooLarge(Vec<usize>),
    /// It is not there.
    Not,
}

impl Work<'_> {
    /// Creates batches for what no batch holds yet. Says whether there is more to create later.
    pub(super) async fn create(&mut self, covered: &HashSet<Key>, waited: &mut Vec<Waited>) -> Result<bool, Problem> {
        let mut again = false;
        for (endpoint, places) in self.open(covered)? {
            let endpoints = self.with.endpoints;
            let Some(client) = endpoints.get(&endpoint) else { continue };
            let newest = match self.newest(client).await {
                Ok(newest) => newest,
                Err(fault) => {
                    self.refused(client, &places, &fault)?;
                    continue;
                }
            };
            let mut queue = VecDeque::from(places);
            while !self.with.stopped.is_cancelled() && !self.without.contains(&endpoint) {
                let Some(written) = self.write(&endpoint, &mut queue) else { break };
                let mut row = BatchRow {
                    mark: written.mark.clone(),
                    endpoint: endpoint.to_string(),
                    intended_at: (self.with.now)(),
                    requests: written.items.len() as u64,
                    newest: newest.clone(),
                    id: None,
                    end: None,
                };
                let is_first = self.refused == 0;
                match self.send(client, &mut row, written).await? {
                    Created::Batch(batch) => {
                        self.refused = 0;
                        self.tell_of(&row, Some(&batch.id), BatchStage::Created, Some(&batch));
                        waited.push(Waited { id: Some(batch.id), row });
                    }
                    Created::Perhaps => {
                        self.tell_of(&row, None, BatchStage::Sought, None);
                        waited.push(Waited { id: None, row });
                    }
                    Created::Later => {
                        self.refused += 1;
                        again = self.refused <= MOST_REFUSALS || !waited.is_empty();
                        if is_first {
                            let problem = Problem::note(format!("endpoint `{endpoint}` has no room for another batch now"));
                            self.settled.problems.push(problem.hint("it is asked again from time to time"));
                        }
                        if !again {
                            let left: Vec<Key> = self
                                .open(covered)?
                                .remove(&endpoint)
                                .unwrap_or_default()
                                .into_iter()
                                .map(|place| self.wishes[place].key)
                                .collect();
                            self.give_up(
                                left.into_iter(),
                                &format!("endpoint `{endpoint}` has no room for another batch"),
                                Some("run again later"),
                            );
                        }
                        break;
                    }
                    Created::TooLarge(places) => places.into_iter().rev().for_each(|place| queue.push_front(place)),
                    Created::Not => {}
                }
            }
        }
        Ok(again)
    }

    /// What may be asked in a new batch, by endpoint.
    fn open(&self, covered: &HashSet<Key>) -> Result<BTreeMap<Arc<str>, Vec<usize>>, Problem> {
        let mut open: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
        if self.with.stopped.is_cancelled() {
            return Ok(open);
        }
        let mut seen = HashSet::new();
        for (place, wish) in self.wishes.iter().enumerate() {
            let settled = &self.settled;
            let is_settled =
                settled.paid.contains(&wish.key) || settled.shared.contains(&wish.key) || settled.failed.contains_key(&wish.key);
            let is_open = wish.policy != BatchPolicy::Off
                && !is_settled
                && !covered.contains(&wish.key)
                && !self.taken.contains_key(&wish.key)
                && !self.single.contains(&wish.key)
                && !self.without.contains(&wish.endpoint);
            if is_open && seen.insert(wish.key) {
                open.entry(Arc::clone(&wish.endpoint)).or_default().push(place);
            }
        }
        if self.with.reads && !open.is_empty() {
            // Another process may have stored them while this one waited for its turn.
            let keys: Vec<Key> = open.values().flatten().map(|place| self.wishes[*place].key).collect();
            let known = self.with.store.known(&keys).map_err(|error| unstored(&error))?;
            open.values_mut().for_each(|places| places.retain(|place| !known.contains_key(&self.wishes[*place].key)));
        }
        for places in open.values_mut() {
            let all = places.len();
            places.retain(|place| self.wishes[*place].policy == BatchPolicy::On || all >= WORTH_A_BATCH);
        }
        open.retain(|_, places| !places.is_empty());
        Ok(open)
    }

    /// The newest batch that is there: what will be newer may be ours.
    async fn newest(&self, client: &Batches) -> Result<Option<(String, chrono::DateTime<chrono::Utc>)>, BatchFault> {
        let looked = tokio::select! {
            () = self.with.stopped.cancelled() => return Err(super::stopped()),
            looked = client.list(1, None) => looked,
        };
        looked.map(|(batches, _)| batches.into_iter().next().map(|batch| (batch.id, batch.created_at)))
    }

    /// Writes as much into one batch as fits; `None` where nothing is left to write.
    fn write(&mut self, endpoint: &str, queue: &mut VecDeque<usize>) -> Option<Written> {
        let mark = mark();
        let limits = self.limits(endpoint);
        let mut draft = Draft::new(&mark, limits);
        let mut items = Vec::new();
        while let Some(place) = queue.front().copied() {
            let wish = &self.wishes[place];
            // Somebody asks for it singly right now; this run waits for that answer as for any other.
            let is_free = !self.with.reads || matches!(self.with.store.claim(&wish.key), Claimed::Ours(_));
            let request = (self.with.request)(place).filter(|request| is_free && draft::is_taken(request));
            let Some(request) = request else {
                self.single.insert(wish.key);
                queue.pop_front();
                continue;
            };
            let amount = half(wish.worst_case);
            if let Err(error) = self.with.budget.take(&wish.suite, amount) {
                self.settled.failed.insert(wish.key, error);
                queue.pop_front();
                continue;
            }
            let mut fits = draft.push(&wish.key, &request, &wish.marks);
            if !fits && draft.is_empty() && limits != self.with.limits {
                // Alone, then.
                draft = Draft::new(&mark, self.with.limits);
                fits = draft.push(&wish.key, &request, &wish.marks);
            }
            if fits {
                self.taken.insert(wish.key, amount);
                items.push(Item { key: wish.key, sample: wish.sample });
                queue.pop_front();
                if draft.length() > limits.bytes {
                    break;
                }
                continue;
            }
            self.with.budget.settle(&wish.suite, amount, Money::ZERO);
            if draft.is_empty() {
                // Larger than a whole batch may be.
                self.single.insert(wish.key);
                queue.pop_front();
                continue;
            }
            break;
        }
        (!draft.is_empty()).then_some(Written { draft, mark, items })
    }

    fn limits(&self, endpoint: &str) -> Limits {
        let bytes = self.room.get(endpoint).map_or(usize::MAX, |room| room.bytes);
        Limits { bytes: self.with.limits.bytes.min(bytes), ..self.with.limits }
    }

    /// Leaves out what somebody else asked singly, or stored, before the batch stood in the store. Whoever looks from then on finds it there and
    /// leaves its answers to it, so that nothing is asked twice though nobody holds a claim on all of it.
    async fn trimmed(&mut self, written: Written) -> Result<Written, Problem> {
        let store = self.with.store;
        let is_asked = |item: &&Item| matches!(store.claim(&item.key), Claimed::Theirs);
        let asked: HashSet<Key> = written.items.iter().filter(is_asked).map(|item| item.key).collect();
        // After the claims: who gave one back since has stored the answer.
        let keys: Vec<Key> = written.items.iter().map(|item| item.key).collect();
        let known = store.known(&keys).map_err(|error| unstored(&error))?;
        let (left, kept): (Vec<Item>, Vec<Item>) =
            written.items.iter().copied().partition(|item| asked.contains(&item.key) || known.contains_key(&item.key));
        if left.is_empty() {
            return Ok(written);
        }
        for item in left {
            self.settle(&item.key, Money::ZERO);
            self.single.insert(item.key);
        }
        let Written { mark, .. } = written;
        let mut draft = Draft::new(&mark, self.with.limits);
        for item in &kept {
            let place = self.places[&item.key];
            let request = (self.with.request)(place).expect("it was rendered a moment ago");
            draft.push(&item.key, &request, &self.wishes[place].marks);
        }
        store.trim_batch(&mark, kept.clone()).await.map_err(|error| unstored(&error))?;
        Ok(Written { draft, mark, items: kept })
    }

    /// Remembers the batch, asks for it, remembers its id.
    async fn send(&mut self, client: &Batches, row: &mut BatchRow, written: Written) -> Result<Created, Problem> {
        let intent = Intent {
            mark: written.mark.clone(),
            endpoint: row.endpoint.clone(),
            at: row.intended_at,
            newest: row.newest.clone(),
            items: written.items.clone(),
        };
        self.with.store.intend_batch(intent).await.map_err(|error| unstored(&error))?;
        let Written { draft, mark, items } = if self.with.reads { self.trimmed(written).await? } else { written };
        if items.is_empty() {
            self.with.store.batch_ended(&mark, BatchEnd::Refused).await.map_err(|error| unstored(&error))?;
            return Ok(Created::Not);
        }
        row.requests = items.len() as u64;
        let keys: Vec<Key> = items.iter().map(|item| item.key).collect();
        self.items.insert(mark.clone(), Arc::new(items));
        let body = draft.finish();
        let mut tried = 0;
        let fault = loop {
            let fault = match client.create(body.clone()).await {
                Ok(batch) => {
                    self.with.store.batch_created(&mark, &batch.id).await.map_err(|error| unstored(&error))?;
                    self.begun(&mark);
                    return Ok(Created::Batch(batch));
                }
                Err(fault) => fault,
            };
            tried += 1;
            if fault.kind != FaultKind::Unsent || tried == TRIES || self.with.stopped.is_cancelled() {
                break fault;
            }
            tokio::time::sleep(Duration::from_millis(500 << tried)).await;
        };
        if fault.kind == FaultKind::Unknown {
            self.begun(&mark);
            return Ok(Created::Perhaps);
        }
        self.with.store.batch_ended(&mark, BatchEnd::Refused).await.map_err(|error| unstored(&error))?;
        self.release(&mark);
        self.items.remove(&mark);
        if fault.kind == FaultKind::Later {
            return Ok(Created::Later);
        }
        let places: Vec<usize> = keys.iter().filter_map(|key| self.places.get(key).copied()).collect();
        if fault.kind == FaultKind::TooLarge {
            return Ok(self.too_large(client.endpoint(), places, body.len(), &fault));
        }
        self.refused(client, &places, &fault)?;
        Ok(Created::Not)
    }

    /// A gateway takes no body of so many bytes (wire reference, 3.1): it is tried in halves, and what is too large all alone is asked singly.
    fn too_large(&mut self, endpoint: &str, places: Vec<usize>, bytes: usize, fault: &BatchFault) -> Created {
        let room = self.room.entry(Arc::from(endpoint)).or_insert(Room { bytes: usize::MAX, alone: 0 });
        if places.len() > 1 {
            room.bytes = bytes / 2;
            return Created::TooLarge(places);
        }
        room.alone += 1;
        let alone = room.alone;
        self.single.extend(places.iter().map(|place| self.wishes[*place].key));
        let is_last = alone == MOST_TOO_LARGE;
        if is_last {
            self.without.insert(Arc::from(endpoint));
        }
        if alone == 1 || is_last {
            let message = format!("a batch of a single request is too large for endpoint `{endpoint}`: {}", fault.message);
            let what = if is_last { "what is left is" } else { "it is" };
            self.settled.problems.push(Problem::warning(message).hint(format!("{what} asked singly, at the whole price")));
        }
        Created::Not
    }

    fn begun(&mut self, mark: &str) {
        let now = Instant::now();
        self.looks.insert(mark.to_owned(), Look { since: now, found: false, waited: false, heard: now, given_up: false });
    }

    /// These requests are in no batch, and this is why.
    fn refused(&mut self, client: &Batches, places: &[usize], fault: &BatchFault) -> Result<(), Problem> {
        if self.with.stopped.is_cancelled() {
            return Ok(());
        }
        let endpoint = client.endpoint();
        if fault.kind == FaultKind::NotFound {
            self.without.insert(Arc::from(endpoint));
            let message = format!("endpoint `{endpoint}` has no message batches: {}", fault.message);
            if places.iter().any(|place| self.wishes[*place].policy == BatchPolicy::On) {
                return Err(Problem::error(message).hint("leave `--batch` out, or set `batch: off`: its requests are asked singly then"));
            }
            self.settled.problems.push(Problem::warning(message).hint("its requests are asked singly, at the whole price"));
            return Ok(());
        }
        let message = format!("no batch of endpoint `{endpoint}` could be created: {}", fault.message);
        let keys: Vec<Key> = places.iter().map(|place| self.wishes[*place].key).collect();
        self.give_up(keys.into_iter(), &message, fault.hint.as_deref());
        let problem = Problem::warning(message);
        self.settled.problems.push(match &fault.hint {
            Some(hint) => problem.hint(hint.as_str()),
            None => problem.hint("run again: nothing of it was asked"),
        });
        Ok(())
    }
}

/// Sixteen digits that no other batch has.
fn mark() -> String {
    let drawn = [fastrand::u64(..), fastrand::u64(..), u64::from(std::process::id())];
    let bytes: Vec<u8> = drawn.iter().flat_map(|number| number.to_le_bytes()).collect();
    digest(&bytes)[..16].to_owned()
}
