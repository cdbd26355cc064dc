//! The life of a batch: when does it end, and how far did it come by then?

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use hyper::HeaderMap;
use serde_json::{Value, json};

use super::super::script::Pace;
use super::super::validate::Version;
use super::intake::Item;

/// How ids begin.
pub(in super::super) const ID: &str = "msgbatch_01SIM";
/// Results are kept so long (docs/wire-reference.md 5).
const KEPT: TimeDelta = TimeDelta::days(29);

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Outcome {
    Succeeded,
    Errored,
    Canceled,
    Expired,
}

impl Outcome {
    pub(in super::super) const NAMES: [&'static str; 4] = ["succeeded", "errored", "canceled", "expired"];
}

/// One batch.
#[derive(Debug)]
pub(in super::super) struct Batch {
    pub(in super::super) number: u64,
    pub(in super::super) id: String,
    pub(in super::super) created: DateTime<Utc>,
    pub(in super::super) expires: DateTime<Utc>,
    pub(in super::super) version: Version,
    /// Those of the creation that its requests depend on.
    pub(in super::super) headers: HeaderMap,
    /// Taken when they are processed.
    pub(in super::super) items: Vec<Item>,
    count: usize,
    /// How often it was asked for.
    polls: u64,
    /// When it was canceled, and after how many polls.
    canceled: Option<(DateTime<Utc>, u64)>,
    pub(in super::super) ended: Option<Ended>,
}

/// What there is at the end.
#[derive(Debug)]
pub(in super::super) struct Ended {
    pub(in super::super) at: DateTime<Utc>,
    /// In the order of [`Outcome::NAMES`].
    pub(in super::super) counts: [u64; 4],
    /// JSON Lines.
    pub(in super::super) results: Bytes,
}

/// How a batch ends that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct End {
    pub(in super::super) at: DateTime<Utc>,
    /// So many of its requests were processed, in their order, ...
    pub(in super::super) processed: usize,
    /// ... until then; and this is what became of the rest.
    pub(in super::super) until: DateTime<Utc>,
    pub(in super::super) rest: Outcome,
}

impl Batch {
    pub(in super::super) fn new(
        number: u64,
        items: Vec<Item>,
        version: Version,
        headers: HeaderMap,
        now: DateTime<Utc>,
        expires_after: Duration,
    ) -> Self {
        Self {
            number,
            id: format!("{ID}{number:016}"),
            created: now,
            expires: now + TimeDelta::from_std(expires_after).unwrap_or(TimeDelta::MAX),
            version,
            headers,
            count: items.len(),
            items,
            polls: 0,
            canceled: None,
            ended: None,
        }
    }

    /// Requests that wait, and their bytes.
    pub(in super::super) fn queued(&self) -> (usize, usize) {
        (self.items.len(), self.items.iter().map(|item| item.params.len()).sum())
    }

    /// Somebody asked where it stands.
    pub(in super::super) fn polled(&mut self) {
        self.polls += 1;
    }

    /// It is to end early.
    pub(in super::super) fn cancel(&mut self, now: DateTime<Utc>) {
        self.canceled.get_or_insert((now, self.polls));
    }

    /// How it ends, if it is over by now and nobody noticed yet.
    pub(in super::super) fn end(&self, now: DateTime<Utc>, pace: Pace) -> Option<End> {
        if self.ended.is_some() {
            return None;
        }
        match pace {
            Pace::Takes(time) => self.end_by_time(now, TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)),
            Pace::Polls(polls) => self.end_by_polls(now, polls),
        }
    }

    fn end_by_time(&self, now: DateTime<Utc>, takes: TimeDelta) -> Option<End> {
        let done = self.created.checked_add_signed(takes).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let natural = done.min(self.expires);
        let (at, until, rest) = match self.canceled {
            // What is under way is finished: a tenth of the whole.
            Some((canceled, _)) if canceled < natural => (natural.min(canceled + takes / 10), canceled, Outcome::Canceled),
            _ => (natural, natural, Outcome::Expired),
        };
        let processed =
            if until >= done { self.count } else { self.part((until - self.created).num_milliseconds(), takes.num_milliseconds()) };
        (now >= at).then_some(End { at, processed, until, rest })
    }

    fn end_by_polls(&self, now: DateTime<Utc>, polls: u64) -> Option<End> {
        let part = |seen: u64| self.part(i64::try_from(seen).unwrap_or(i64::MAX), i64::try_from(polls).unwrap_or(i64::MAX));
        match self.canceled {
            // Counted anew, so that there is something to wait for.
            Some((canceled, seen)) if self.polls - seen >= polls || now >= self.expires => {
                Some(End { at: now.min(self.expires), processed: part(seen), until: canceled, rest: Outcome::Canceled })
            }
            Some(_) => None,
            None if now >= self.expires => {
                Some(End { at: self.expires, processed: part(self.polls.saturating_sub(1)), until: self.expires, rest: Outcome::Expired })
            }
            None => (self.polls >= polls).then_some(End { at: now, processed: self.count, until: now, rest: Outcome::Expired }),
        }
    }

    /// So many of its requests as `passed` is of `whole`.
    fn part(&self, passed: i64, whole: i64) -> usize {
        let (passed, whole) = (passed.max(0) as u128, whole.max(1) as u128);
        usize::try_from(self.count as u128 * passed / whole).unwrap_or(self.count).min(self.count)
    }

    /// As the API shows it; `base` is what the address of the results begins with.
    pub(in super::super) fn shown(&self, base: &str, now: DateTime<Utc>) -> Value {
        let [succeeded, errored, canceled, expired] = self.ended.as_ref().map_or([0; 4], |ended| ended.counts);
        let status = match (&self.ended, self.canceled) {
            (Some(_), _) => "ended",
            (None, Some(_)) => "canceling",
            (None, None) => "in_progress",
        };
        let archived = self.archived(now);
        json!({
            "id": self.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {
                // All of them until the whole batch ends.
                "processing": if self.ended.is_some() { 0 } else { self.count },
                "succeeded": succeeded,
                "errored": errored,
                "canceled": canceled,
                "expired": expired,
            },
            "created_at": written(self.created),
            "expires_at": written(self.expires),
            "ended_at": self.ended.as_ref().map(|ended| written(ended.at)),
            "cancel_initiated_at": self.canceled.map(|(at, _)| written(at)),
            "archived_at": archived.map(written),
            "results_url": (self.ended.is_some() && archived.is_none()).then(|| format!("{base}/v1/messages/batches/{}/results", self.id)),
        })
    }

    /// When its results were put away, if they were.
    pub(in super::super) fn archived(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let archived = self.created + KEPT;
        (now >= archived).then_some(archived)
    }
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
