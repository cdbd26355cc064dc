//! Who goes first where several calls share a beginning that the provider's prompt cache does not hold yet?
//!
//! An entry of that cache can be read only after the response of the request that writes it has begun (wire reference, 6.3): of calls that
//! begin together each would write it, and pay for that. So one call leads, and the others wait until its response begins. A stream begins
//! with its first event; a reply in one piece is there when it begins, and its usage tells whether anything was kept, so that one is waited
//! for whole. Asking for a stream where none was wanted would begin earlier, and would make of the first request another one than the rest.
//!
//! - Waiting takes no permit and no time of the case: it ends before the first attempt begins. A call takes all that it leads at once, or
//!   nothing: nobody holds what another one waits for.
//! - A lead that fails, retried or not, is handed over. From the third one in a row on two calls lead at once, then four and so on: where
//!   every request fails, a hundred calls wait for some ten of them, not for ninety-nine.
//! - A lead that has not begun its reply after a while (its patience) holds up nobody any longer: the next call leads beside it, and where
//!   that one hangs too, another one after twice the time. A second write costs a little, and a server that is dead is not hit by a burst.
//! - An entry that nobody used for as long as it lives is written by one call again. That is looked at once more with the permit in hand,
//!   because there may be minutes of limits, retries or outages between the first look and the wire.
//! - Where the provider kept nothing (too short after all, or a gateway without a cache), nobody waits any more.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::endpoint::patience::Recheck;
use crate::endpoint::{Call, CallEvent, Endpoint, Observer, Streaming};
use crate::model::prefix::{Digest, Mark, Marks};
use crate::model::reply::{Answer, Reply};
use crate::model::request::{Params, Request};
use crate::model::verdict::CellError;

/// So many leads in a row may fail before two calls lead at once.
const PATIENT_LEADS: u32 = 2;

/// So long a lead may take until its reply begins, before another one goes beside it: streams begin within seconds.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);

/// The same where nothing is streamed and no reply was seen yet, at most: that a long reply is written twice costs less than to wait for
/// as long as the longest reply could take.
const MOST_UNKNOWN: Duration = Duration::from_secs(30);

/// And so many times as long as replies of this model took to begin so far, on average.
const TIMES: u32 = 4;

/// Tokens that a model writes in a second, at least.
const TOKENS_PER_SECOND: u64 = 60;

/// How long a lead of such a request may take to begin, before any reply was seen.
fn patience(stream: Streaming, params: &Params) -> Duration {
    if stream.applies(params) {
        return LEAST_PATIENCE;
    }
    Duration::from_secs(params.max_tokens.unwrap_or(u64::MAX) / TOKENS_PER_SECOND).clamp(LEAST_PATIENCE, MOST_UNKNOWN)
}

/// Lets one call of a group go first.
#[derive(Debug)]
pub struct Warming<E> {
    inner: E,
    stream: Streaming,
    groups: Arc<Groups>,
}

/// What is known to this process.
#[derive(Debug, Default)]
struct Groups(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What the provider's cache holds.
    entries: HashMap<Digest, Entry>,
    /// How long replies took to begin, by model: a mean that forgets.
    begins: HashMap<String, Duration>,
}

impl Known {
    fn learn(&mut self, model: &str, took: Duration) {
        match self.begins.get_mut(model) {
            Some(mean) => *mean = (*mean * 7 + took) / 8,
            None => drop(self.begins.insert(model.to_owned(), took)),
        }
    }
}

/// One prefix.
#[derive(Debug, Default)]
struct Entry {
    /// Calls that go first.
    leaders: u32,
    /// When those of them went out that are on the wire.
    sent: Vec<Instant>,
    /// Leads in a row that wrote nothing.
    failures: u32,
    /// The entry lives at least until then.
    until: Option<Instant>,
    /// When those began that are on the wire and use the entry: each lets it live on. How many, by moment.
    flying: BTreeMap<Instant, u32>,
    /// Going first is of no use.
    free: bool,
    /// Who waits hears of changes.
    changed: Option<Arc<Notify>>,
}

impl Entry {
    /// Whether a request that begins now finds it.
    fn is_alive(&self, now: Instant, life: Duration) -> bool {
        let used = self.flying.last_key_value().is_some_and(|(began, _)| now < *began + life);
        self.free || used || self.until.is_some_and(|until| now < until)
    }

    /// How many may lead at once.
    fn room(&self) -> u32 {
        1 << self.failures.saturating_sub(PATIENT_LEADS).min(16)
    }

    /// How many leads hold up nobody any longer, and when the next one will; each has twice the patience of the one before it.
    fn overdue(&self, now: Instant, patience: Duration) -> (u32, Option<Instant>) {
        let (mut overdue, mut next) = (0, None);
        for sent in &self.sent {
            match sent.checked_add(patience.saturating_mul(1 << overdue.min(16))) {
                Some(due) if due <= now => overdue += 1,
                due => next = [next, due].into_iter().flatten().min(),
            }
        }
        (overdue, next)
    }

    fn changes(&self) {
        if let Some(changed) = &self.changed {
            changed.notify_waiters();
        }
    }

    fn lands(&mut self, began: Instant) {
        if let Some(count) = self.flying.get_mut(&began) {
            *count -= 1;
            if *count == 0 {
                self.flying.remove(&began);
            }
        }
    }
}

impl<E> Warming<E> {
    /// Lets the first call of each group go first.
    pub fn new(inner: E, stream: Streaming) -> Self {
        Self { inner, stream, groups: Arc::default() }
    }

    /// Who is asked.
    pub const fn inner(&self) -> &E {
        &self.inner
    }
}

impl<E: Endpoint> Endpoint for Warming<E> {
    async fn ask(&self, call: Call) -> Result<Answer, CellError> {
        if call.marks.shared().is_empty() {
            return self.inner.ask(call).await;
        }
        let member = Arc::new(Member {
            groups: Arc::clone(&self.groups),
            marks: call.marks.clone(),
            patience: patience(self.stream, &call.request.params),
            request: Arc::clone(&call.request),
            standing: Mutex::default(),
            came: Instant::now(),
        });
        let _leaves = Leaves(Arc::clone(&member));
        if let Some(waited) = member.wait(call.flight.abandoned().cancelled()).await {
            call.observer.tell(CallEvent::Overdue { waited });
        }
        let (hears, told) = (Arc::clone(&member), call.observer.clone());
        let observer = Observer::new(move |event| {
            hears.hear(&event);
            told.tell(event);
        });
        let looks = Arc::clone(&member);
        let flight = call.flight.looking_first(move || looks.look());
        let answer = self.inner.ask(Call { observer, flight, ..call }).await?;
        member.answered(&answer);
        Ok(answer)
    }
}

/// One call, as a member of the groups that its request belongs to.
#[derive(Debug)]
struct Member {
    groups: Arc<Groups>,
    marks: Marks,
    /// With another call's lead, as long as nothing is known of the model.
    patience: Duration,
    request: Arc<Request>,
    /// Locked after the groups.
    standing: Mutex<Standing>,
    came: Instant,
}

/// Where it stands: a bit for each of its marks.
#[derive(Debug, Default)]
struct Standing {
    leads: u32,
    /// Where it leads and is on the wire.
    sends: u32,
    /// Where it counts as flying.
    flies: u32,
    began: Option<Instant>,
    /// Its reply has begun.
    has_begun: bool,
}

/// What a call waits for: a change, or that a lead takes too long.
struct Behind {
    changed: Arc<Notify>,
    until: Option<Instant>,
}

/// What came of a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// The entry is there from now on.
    Wrote,
    /// Nothing was written.
    Failed,
    /// It was given back before anything was sent.
    GivenBack,
}

impl Member {
    fn marks(&self) -> impl Iterator<Item = (u32, &Mark, Duration)> {
        let marks = self.marks.shared().iter();
        (0..).zip(marks).map(|(at, mark)| (1 << at, mark, Duration::from_secs(mark.life.seconds())))
    }

    fn lock(&self) -> (MutexGuard<'_, Known>, MutexGuard<'_, Standing>) {
        // What is behind these locks is whole between any two statements.
        let groups = self.groups.0.lock().unwrap_or_else(PoisonError::into_inner);
        (groups, self.standing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on where every entry is alive, or is this call's to write: it leads then, and says how long another lead was waited for in
    /// vain. Otherwise takes nothing, and says what to wait for.
    fn enter(&self) -> Result<Option<Duration>, Behind> {
        let now = Instant::now();
        let (mut known, mut standing) = self.lock();
        let seen = known.begins.get(&self.request.model).map_or(Duration::ZERO, |mean| mean.saturating_mul(TIMES));
        let (mut takes, mut waited) = (0, None);
        for (bit, mark, life) in self.marks() {
            let entry = known.entries.entry(mark.digest).or_default();
            if standing.leads & bit != 0 || entry.is_alive(now, life) {
                continue;
            }
            let (overdue, until) = entry.overdue(now, self.patience.max(seen));
            if entry.leaders - overdue >= entry.room() {
                return Err(Behind { changed: Arc::clone(entry.changed.get_or_insert_default()), until });
            }
            if overdue > 0 {
                waited = waited.max(entry.sent.first().map(|sent| now - *sent));
            }
            takes |= bit;
        }
        for (_, mark, _) in self.marks().filter(|(bit, ..)| takes & bit != 0) {
            known.entries.entry(mark.digest).or_default().leaders += 1;
        }
        standing.leads |= takes;
        Ok(waited)
    }

    /// Waits until it may go on, or until nobody waits for its answer any more: then whatever comes next ends it. Says how long it waited
    /// for a lead that it goes beside.
    async fn wait(&self, abandoned: impl Future<Output = ()>) -> Option<Duration> {
        let mut abandoned = pin!(abandoned);
        loop {
            let behind = match self.enter() {
                Ok(waited) => return waited,
                Err(behind) => behind,
            };
            let mut change = pin!(behind.changed.notified());
            change.as_mut().enable();
            // It may have changed between the look and now; or another one is waited for.
            let until = match self.enter() {
                Ok(waited) => return waited,
                Err(other) if !Arc::ptr_eq(&behind.changed, &other.changed) => continue,
                Err(other) => other.until,
            };
            tokio::select! {
                biased;
                () = &mut abandoned => return None,
                () = change => {}
                () = sleep_until(until), if until.is_some() => {}
            }
        }
    }

    /// The last look, with the permit in hand.
    fn look(&self) -> Recheck {
        match self.enter() {
            Ok(_) => Recheck::Ask,
            Err(_) => {
                self.ends(Lead::GivenBack);
                Recheck::Busy
            }
        }
    }

    fn hear(&self, event: &CallEvent) {
        match event {
            CallEvent::Sent => self.sent(),
            CallEvent::Begun => {
                self.begins();
                self.ends(Lead::Wrote);
            }
            CallEvent::Retrying { .. } => self.ends(Lead::Failed),
            CallEvent::Queued
            | CallEvent::FirstByte
            | CallEvent::Exchange(_)
            | CallEvent::Silent { .. }
            | CallEvent::Overdue { .. }
            | CallEvent::CoolingDown { .. } => {}
        }
    }

    fn sent(&self) {
        let now = Instant::now();
        let (mut known, mut standing) = self.lock();
        (standing.began, standing.has_begun) = (Some(now), false);
        for (bit, mark, life) in self.marks() {
            let entry = known.entries.entry(mark.digest).or_default();
            if standing.leads & bit != 0 {
                entry.sent.push(now);
                standing.sends |= bit;
                // Who waits knows from here on for how long.
                entry.changes();
            } else if entry.is_alive(now, life) {
                *entry.flying.entry(now).or_default() += 1;
                standing.flies |= bit;
            }
        }
    }

    /// Its reply begins, once.
    fn begins(&self) {
        let now = Instant::now();
        let (mut known, mut standing) = self.lock();
        if let Some(began) = standing.began.filter(|_| !standing.has_begun) {
            known.learn(&self.request.model, now - began);
            standing.has_begun = true;
        }
    }

    /// Its part is over, in all of its groups: what it led is written or led by another one, what it used lives on from its beginning.
    fn ends(&self, how: Lead) {
        let now = Instant::now();
        let (mut known, mut standing) = self.lock();
        let (leads, flies) = (std::mem::take(&mut standing.leads), std::mem::take(&mut standing.flies));
        let sends = std::mem::take(&mut standing.sends);
        for (bit, mark, life) in self.marks() {
            let entry = known.entries.entry(mark.digest).or_default();
            let (leads, flies) = (leads & bit != 0, flies & bit != 0);
            if let Some(began) = standing.began {
                if sends & bit != 0
                    && let Some(at) = entry.sent.iter().position(|sent| *sent == began)
                {
                    entry.sent.remove(at);
                }
                if flies {
                    entry.lands(began);
                }
                if how == Lead::Wrote {
                    let until = began + life;
                    entry.until = Some(entry.until.map_or(until, |known| known.max(until)));
                    // Its reply took longer than the entry lives: to wait for the next one would be in vain too.
                    entry.free |= leads && until <= now;
                }
            }
            if leads {
                entry.leaders -= 1;
                match how {
                    Lead::Wrote => entry.failures = 0,
                    Lead::Failed => entry.failures = entry.failures.saturating_add(1),
                    Lead::GivenBack => {}
                }
                entry.changes();
            }
        }
    }

    /// What its reply says about the cache.
    fn answered(&self, answer: &Answer) {
        let reply = &*answer.reply;
        if !answer.served.is_paid() {
            return self.found(reply);
        }
        self.begins();
        if is_cached(reply) {
            return self.ends(Lead::Wrote);
        }
        // What refuses before the model has read anything need not have written anything.
        if !reply.is_refused_before_output() {
            let (mut known, _standing) = self.lock();
            for (_, mark, _) in self.marks() {
                let entry = known.entries.entry(mark.digest).or_default();
                entry.free = true;
                entry.changes();
            }
        }
        self.ends(Lead::Failed);
    }

    /// Another process asked the same since this call came: what its request wrote lives at least as long from then on, less its time on
    /// the wire.
    fn found(&self, reply: &Reply) {
        if is_cached(reply) {
            self.lock().1.began = self.came.checked_sub(Duration::from_millis(reply.latency_ms));
            return self.ends(Lead::Wrote);
        }
        self.ends(Lead::Failed);
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Something of its prompt was written to the provider's cache, or read from it.
fn is_cached(reply: &Reply) -> bool {
    let usage = &reply.usage;
    [usage.cache_read_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens] != [0; 3]
}

/// Gives back what a call leads, however it ends.
struct Leaves(Arc<Member>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.ends(Lead::Failed);
    }
}

#[cfg(test)]
#[path = "warming_tests.rs"]
mod tests;
