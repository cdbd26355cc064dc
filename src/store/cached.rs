//! Is it answered already? Stored answers first, one request per key in flight, and every paid answer stored before it is returned.
//! Where the disk refuses one, it is returned all the same, and nothing more is asked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::endpoint::patience::{Flight, Recheck};
use crate::endpoint::{Call, Endpoint};
use crate::model::key::Key;
use crate::model::reply::{Answer, Served};
use crate::model::verdict::{CellError, ErrorKind};
use crate::store::answers::NewAnswer;
use crate::store::batches::BatchRow;
use crate::store::claim::Asking;
use crate::store::{Store, StoreError};

/// What to do about an answer that a batch under way holds.
pub const LEFT_TO_BATCH: &str = "`promptkeel run` waits for it and stores what it holds; `run --batch=off` asks, and pays, a second time";

/// What the store is used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// What is answered is read, the rest is asked and stored.
    #[default]
    ReadWrite,
    /// Everything is asked again, and stored as a new generation beside the old one.
    Refresh,
    /// Nothing is read, so everything is asked; what was paid is stored all the same.
    Off,
    /// Nothing is asked; what is not answered is an error.
    Only,
}

/// Remembers answers around an endpoint.
///
/// The request and the storing of its answer are one task that this owns: whoever asked may go away, and nothing that was paid is lost.
/// A call that has not been sent yet, or that sleeps between attempts, ends when nobody waits for it any more.
pub struct Cached<E> {
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    inner: E,
    store: Arc<Store>,
    mode: CacheMode,
    rides: Mutex<HashMap<Key, Arc<Ride>>>,
    /// Under `refresh` and `off`: the keys that this run has answered. Two cells with the same request share one answer in every mode.
    answered: Mutex<HashSet<Key>>,
    /// What message batches came to before: answers that are stored and paid, and whether they were handed out; and what is not to be asked.
    batched: Mutex<HashMap<Key, Batched>>,
    uncollected: Uncollected,
    /// What batches hold that somebody created meanwhile, by what they are called.
    held: Mutex<BTreeMap<String, HashSet<Key>>>,
    /// Somebody wants to pay for that a second time.
    asks_held: bool,
    failure: OnceLock<CellError>,
    /// The disk took no more, and what was under way is stored.
    full: OnceLock<CellError>,
    /// Cancelled when nothing more may be sent.
    stopped: CancellationToken,
    tracker: TaskTracker,
}

/// What a message batch came to for one key.
enum Batched {
    /// Paid by this run, stored, and on nobody's bill yet.
    Paid,
    /// A sample has it on its bill.
    Taken,
    Failed(CellError),
}

/// One request in flight and those who wait for it.
struct Ride {
    key: Key,
    landing: watch::Receiver<Option<Landing>>,
    abandoned: CancellationToken,
    seats: Mutex<Seats>,
    uncollected: Uncollected,
}

/// Paid answers that nobody took.
type Uncollected = Arc<Mutex<Vec<(Key, Answer)>>>;

/// Every paid answer is one sample's own: the one that started the flight, or, where that one went away, another passenger's.
/// Otherwise it would be missing from the bill.
#[derive(Default)]
struct Seats {
    waiting: usize,
    starter_left: bool,
    claimed: bool,
}

#[derive(Clone)]
enum Landing {
    Result(Result<Answer, CellError>),
    /// It ended early, because nobody waited or because everything was stopped.
    Abandoned(CellError),
}

impl<E: Endpoint> Cached<E> {
    /// Answers from this store, and from `inner` what is not in it.
    pub fn new(store: Arc<Store>, mode: CacheMode, inner: E) -> Self {
        Self::until(store, mode, inner, CancellationToken::new())
    }

    /// The same, until `stopped` is cancelled: then nothing more is sent, what stands in line or sleeps between attempts ends with an error
    /// (its `attempts` are empty where nothing was sent at all), and what is on the wire is finished and stored. What is stored is still
    /// read.
    pub fn until(store: Arc<Store>, mode: CacheMode, inner: E, stopped: CancellationToken) -> Self {
        Self {
            shared: Arc::new(Shared {
                inner,
                store,
                mode,
                rides: Mutex::default(),
                answered: Mutex::default(),
                batched: Mutex::default(),
                uncollected: Uncollected::default(),
                held: Mutex::default(),
                asks_held: false,
                failure: OnceLock::new(),
                full: OnceLock::new(),
                stopped,
                tracker: TaskTracker::new(),
            }),
        }
    }

    /// What answers where the store does not.
    #[must_use]
    pub fn inner(&self) -> &E {
        &self.shared.inner
    }

    /// Why nothing more is asked, if the store failed: an answer that cannot be stored would be paid again.
    #[must_use]
    pub fn failure(&self) -> Option<&CellError> {
        self.shared.failed()
    }

    /// The same, with what an interrupted refresh has asked again already: those answers are read, not asked a third time.
    #[must_use]
    pub fn resuming(self, answered: impl IntoIterator<Item = Key>) -> Self {
        lock(&self.shared.answered).extend(answered);
        self
    }

    /// The same, which asks also for what a batch under way holds, and pays for it a second time.
    #[must_use]
    pub fn asking_held(mut self) -> Self {
        Arc::get_mut(&mut self.shared).expect("it is handed out only when it is asked").asks_held = true;
        self
    }

    /// What was left to batches under way: how many answers to which.
    #[must_use]
    pub fn left_to_batches(&self) -> Vec<(String, usize)> {
        lock(&self.shared.held).iter().map(|(name, keys)| (name.clone(), keys.len())).collect()
    }

    /// Takes in what message batches came to: what they answered is read from the store, `paid` by this run, once each, or `shared` with another
    /// one, and what failed in them is not asked.
    pub fn batched(&self, paid: HashSet<Key>, shared: HashSet<Key>, failed: HashMap<Key, CellError>) {
        let mut batched = lock(&self.shared.batched);
        let mut answered = lock(&self.shared.answered);
        let served = paid.into_iter().map(|key| (key, Batched::Paid)).chain(shared.into_iter().map(|key| (key, Batched::Taken)));
        for (key, how) in served {
            answered.insert(key);
            batched.insert(key, how);
        }
        batched.extend(failed.into_iter().map(|(key, error)| (key, Batched::Failed(error))));
    }

    /// Waits until everything in flight has landed and is stored. Returns the paid answers that nobody waited for any more, so that the
    /// bill can hold them.
    pub async fn drain(&self) -> Vec<(Key, Answer)> {
        self.shared.left_in_batches();
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
        self.shared.tracker.reopen();
        std::mem::take(&mut lock(&self.shared.uncollected))
    }
}

impl<E: Endpoint> Endpoint for Cached<E> {
    async fn ask(&self, call: Call) -> Result<Answer, CellError> {
        if let Some(answered) = self.shared.by_batch(&call.key) {
            return answered;
        }
        if let Some(answer) = self.shared.stored(&call.key)? {
            return Ok(answer);
        }
        if self.shared.mode == CacheMode::Only {
            return Err(CellError {
                kind: ErrorKind::CacheMiss,
                message: format!("no answer is stored or recorded under the key {}", call.key),
                hint: Some("run without `--cache only` to ask for it".to_owned()),
                attempts: Vec::new(),
            });
        }
        let mut ended = None;
        while !self.shared.stopped.is_cancelled() {
            let mut passenger = self.shared.board(&call);
            match passenger.landing().await? {
                Landing::Result(result) => return passenger.collect(result),
                // Everything was stopped, or everybody had left just before we came.
                // Its attempts are the story of whoever began it: told twice they would be billed twice.
                Landing::Abandoned(error) if passenger.started_it => ended = Some(error),
                Landing::Abandoned(error) => ended = Some(CellError { attempts: Vec::new(), ..error }),
            }
        }
        Err(ended.unwrap_or_else(stopped))
    }
}

impl<E: Endpoint> Shared<E> {
    /// What a message batch came to; `None` where there was none, or its answer is damaged.
    fn by_batch(&self, key: &Key) -> Option<Result<Answer, CellError>> {
        let mut batched = lock(&self.batched);
        let served = match batched.get_mut(key)? {
            // Its attempts are told, and perhaps billed, once.
            Batched::Failed(error) => {
                let attempts = std::mem::take(&mut error.attempts);
                return Some(Err(CellError { attempts, ..error.clone() }));
            }
            Batched::Taken => Served::Shared,
            Batched::Paid => Served::Batch,
        };
        batched.insert(*key, Batched::Taken);
        drop(batched);
        let found = self.store.get(key).map_err(|error| self.fail(&error, "could not be read")).transpose()?;
        Some(found.map(|reply| Answer { reply, served }))
    }

    /// Paid answers of batches that no sample took: of other suites, or of cells that were left out.
    fn left_in_batches(&self) {
        for (key, batched) in lock(&self.batched).iter_mut().filter(|(_, batched)| matches!(batched, Batched::Paid)) {
            *batched = Batched::Taken;
            if let Ok(Some(reply)) = self.store.get(key) {
                lock(&self.uncollected).push((*key, Answer { reply, served: Served::Batch }));
            }
        }
    }

    /// The stored or recorded answer, where the mode lets it be used.
    fn stored(&self, key: &Key) -> Result<Option<Answer>, CellError> {
        let reads = match self.mode {
            CacheMode::ReadWrite | CacheMode::Only => true,
            CacheMode::Refresh | CacheMode::Off => lock(&self.answered).contains(key),
        };
        if reads { self.store.find(key).map_err(|error| self.fail(&error, "could not be read")) } else { Ok(None) }
    }

    /// The first failure of the store ends all asking.
    fn fail(&self, error: &StoreError, what: &str) -> CellError {
        let error = store_failed(format!("an answer {what}: {error}"), error);
        self.failure.get_or_init(|| error.clone());
        error
    }

    fn failed(&self) -> Option<&CellError> {
        self.failure.get().or_else(|| self.full.get())
    }

    /// Joins the flight of this key, or starts it.
    fn board(self: &Arc<Self>, call: &Call) -> Passenger {
        let mut rides = lock(&self.rides);
        if let Some(ride) = rides.get(&call.key) {
            lock(&ride.seats).waiting += 1;
            return Passenger { ride: Arc::clone(ride), started_it: false, done: false };
        }
        let (sender, landing) = watch::channel(None);
        let ride = Arc::new(Ride {
            key: call.key,
            landing,
            abandoned: self.stopped.child_token(),
            seats: Mutex::new(Seats { waiting: 1, ..Seats::default() }),
            uncollected: Arc::clone(&self.uncollected),
        });
        rides.insert(call.key, Arc::clone(&ride));
        drop(rides);
        let runway = Runway { shared: Arc::clone(self), ride: Arc::clone(&ride), sender };
        let call = call.clone();
        self.tracker.spawn(async move {
            let result = runway.shared.fly(call, runway.ride.abandoned.clone()).await;
            runway.land(result);
        });
        Passenger { ride, started_it: true, done: false }
    }

    async fn fly(self: &Arc<Self>, call: Call, abandoned: CancellationToken) -> Result<Answer, CellError> {
        let (looking, asking) = (Arc::clone(self), Mutex::new(Asking::default()));
        let (key, patience) = (call.key, call.deadline);
        let flight = Flight::new(abandoned, move || looking.recheck(&key, &mut lock(&asking), patience));
        let answer = self.inner.ask(Call { flight: flight.clone(), ..call.clone() }).await?;
        if answer.served.is_paid() {
            let row = NewAnswer { key, endpoint: &call.endpoint, sample: call.sample, request: &call.request, reply: &answer.reply };
            let put = self.store.put(row).await;
            self.look_for_room();
            match put {
                Ok(()) if matches!(self.mode, CacheMode::Refresh | CacheMode::Off) => {
                    lock(&self.answered).insert(key);
                }
                Ok(()) => {}
                // It is paid and as good as any other: it is judged and billed. But nothing more is asked.
                Err(error) => drop(self.fail(&error, "was paid and could not be stored")),
            }
        }
        // Only now, stored, may another process look for it, and another request take its place on the wire: the flight has both, the
        // claim and the place.
        drop(flight);
        Ok(answer)
    }

    /// Once the room that was kept is taken, nothing more is asked.
    fn look_for_room(&self) {
        if let Some(full) = self.store.filled_up() {
            self.full.get_or_init(|| store_failed(full.to_string(), &full));
        }
    }

    /// With the permit in hand, right before money is spent. The claim comes before the look: whoever had it before has stored its answer.
    fn recheck(&self, key: &Key, asking: &mut Asking, patience: Duration) -> Recheck {
        // Other answers than those of flights take room too, such as those of batches.
        self.look_for_room();
        if let Some(error) = self.failed() {
            return Recheck::Stop(error.clone());
        }
        let free = self.mode != CacheMode::ReadWrite || asking.claims(&self.store, key);
        // Before the answers: a batch lets go of one only when it is stored.
        let holding = match self.holding(key) {
            Ok(holding) => holding,
            Err(error) => return Recheck::Stop(error),
        };
        match (self.stored(key), holding) {
            (Ok(Some(answer)), _) => Recheck::Found(answer.reply),
            (Ok(None), Some(batch)) => Recheck::Stop(self.left_to(&batch, key)),
            (Ok(None), None) if free || asking.has_waited(patience) => Recheck::Ask,
            (Ok(None), None) => Recheck::Busy,
            (Err(error), _) => Recheck::Stop(error),
        }
    }

    /// The batch under way that was paid for this answer, where that counts.
    fn holding(&self, key: &Key) -> Result<Option<BatchRow>, CellError> {
        if self.asks_held || self.mode != CacheMode::ReadWrite {
            return Ok(None);
        }
        self.store.batch_holding(key).map_err(|error| self.fail(&error, "could not be looked for"))
    }

    /// What a batch holds is not asked: it may take a day, and whoever goes on with it stores the answer.
    fn left_to(&self, batch: &BatchRow, key: &Key) -> CellError {
        let name = batch.name();
        let message = format!("{name} holds this request: run again to wait for it");
        lock(&self.held).entry(name).or_default().insert(*key);
        CellError { kind: ErrorKind::Batch, message, hint: None, attempts: Vec::new() }
    }
}

/// Lands a flight however it ends, a panic included: nobody waits for ever.
struct Runway<E> {
    shared: Arc<Shared<E>>,
    ride: Arc<Ride>,
    sender: watch::Sender<Option<Landing>>,
}

impl<E> Runway<E> {
    fn land(&self, result: Result<Answer, CellError>) {
        // Under these locks nobody boards or leaves, so that an answer is either waited for or uncollected.
        let mut rides = lock(&self.shared.rides);
        rides.remove(&self.ride.key);
        let mut seats = lock(&self.ride.seats);
        if seats.waiting == 0 {
            self.ride.left_over(&mut seats, &result);
        }
        let landing = match result {
            Err(error) if self.ride.abandoned.is_cancelled() => Landing::Abandoned(error),
            result => Landing::Result(result),
        };
        self.sender.send_replace(Some(landing));
    }
}

impl Ride {
    /// Keeps a paid answer that nobody took for the bill.
    fn left_over(&self, seats: &mut Seats, result: &Result<Answer, CellError>) {
        match result {
            Ok(answer) if answer.served.is_paid() && !seats.claimed => {
                seats.claimed = true;
                lock(&self.uncollected).push((self.key, answer.clone()));
            }
            Ok(_) | Err(_) => {}
        }
    }
}

impl<E> Drop for Runway<E> {
    fn drop(&mut self) {
        if self.sender.borrow().is_none() {
            self.land(Err(lost()));
        }
    }
}

fn store_failed(message: String, error: &StoreError) -> CellError {
    CellError { kind: ErrorKind::Store, message, hint: Some(error.hint().to_owned()), attempts: Vec::new() }
}

fn stopped() -> CellError {
    CellError { kind: ErrorKind::Timeout, message: "stopped before anything was sent".to_owned(), hint: None, attempts: Vec::new() }
}

fn lost() -> CellError {
    CellError {
        kind: ErrorKind::Connection,
        message: "the call ended without a result".to_owned(),
        hint: Some("this is a mistake of promptkeel; please report it".to_owned()),
        attempts: Vec::new(),
    }
}

/// One of those who wait for a flight.
struct Passenger {
    ride: Arc<Ride>,
    started_it: bool,
    done: bool,
}

impl Passenger {
    async fn landing(&mut self) -> Result<Landing, CellError> {
        let mut landing = self.ride.landing.clone();
        let seen = landing.wait_for(Option::is_some).await.map_err(|_| lost())?;
        seen.clone().ok_or_else(lost)
    }

    fn collect(mut self, result: Result<Answer, CellError>) -> Result<Answer, CellError> {
        self.done = true;
        let mut seats = lock(&self.ride.seats);
        let mine = self.started_it || (seats.starter_left && !seats.claimed);
        seats.claimed |= mine;
        drop(seats);
        match result {
            Ok(answer) if !mine => Ok(Answer { served: Served::Shared, ..answer }),
            // They are counted, and perhaps billed, once.
            Err(error) if !mine => Err(CellError { attempts: Vec::new(), ..error }),
            result => result,
        }
    }
}

impl Drop for Passenger {
    fn drop(&mut self) {
        let mut seats = lock(&self.ride.seats);
        seats.waiting -= 1;
        if self.done {
            return;
        }
        seats.starter_left |= self.started_it;
        if seats.waiting == 0 {
            match &*self.ride.landing.borrow() {
                Some(Landing::Result(result)) => self.ride.left_over(&mut seats, result),
                Some(Landing::Abandoned(_)) => {}
                None => self.ride.abandoned.cancel(),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "cached_tests.rs"]
mod tests;
