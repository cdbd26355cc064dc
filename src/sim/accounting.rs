//! The simulator's own books: how many requests were answered how, and what would a bill show?

mod batches;
mod tally;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::fault::Fault;
use super::models::MODELS;
use super::prices;
use super::reply::Message;
use batches::BatchBooks;
use tally::{Dollars, Sums, Tally};

/// Counters; all are only ever raised.
#[derive(Debug)]
pub(super) struct Accounting {
    requests: AtomicU64,
    other_requests: AtomicU64,
    connections: AtomicU64,
    by_status: Vec<AtomicU64>,
    by_fault: Vec<AtomicU64>,
    by_rule: Vec<AtomicU64>,
    /// What the models cost, in the order of `MODELS`.
    prices: Vec<Option<&'static prices::Price>>,
    /// One for each known model, the last for all that the script adds.
    delivered: Vec<Tally>,
    in_batches: Vec<Tally>,
    lost: Vec<Tally>,
    unbilled: Vec<Tally>,
    pub(super) batches: BatchBooks,
}

/// What became of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was sent whole.
    Delivered,
    /// It broke on its way.
    Lost,
    /// It is a result of a batch.
    InBatch,
}

fn counters(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

fn tallies() -> Vec<Tally> {
    (0..=MODELS.len()).map(|_| Tally::default()).collect()
}

fn total(tallies: &[Tally]) -> Sums {
    tallies.iter().map(Tally::sums).fold(Sums::default(), std::ops::Add::add)
}

fn by_model(tallies: &[Tally]) -> BTreeMap<&'static str, Sums> {
    let name = |index: usize| MODELS.get(index).map_or("(of the script)", |model| model.id);
    tallies.iter().enumerate().map(|(index, tally)| (name(index), tally.sums())).filter(|(_, sums)| sums.replies > 0).collect()
}

impl Accounting {
    /// Books for a script with so many rules.
    pub(super) fn new(rules: usize) -> Self {
        Self {
            requests: AtomicU64::new(0),
            other_requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            by_status: counters(600),
            by_fault: counters(Fault::NAMES.len()),
            by_rule: counters(rules + 1),
            prices: MODELS.iter().map(|model| prices::of(model.id)).chain([None]).collect(),
            delivered: tallies(),
            in_batches: tallies(),
            lost: tallies(),
            unbilled: tallies(),
            batches: BatchBooks::default(),
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn other_request(&self) {
        self.other_requests.fetch_add(1, Relaxed);
    }

    pub(super) fn connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn status(&self, status: u16) {
        if let Some(counter) = self.by_status.get(usize::from(status)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.by_fault[fault.index()].fetch_add(1, Relaxed);
    }

    /// A rule answered; `None` is `otherwise`.
    pub(super) fn rule(&self, rule: Option<usize>) {
        self.by_rule[rule.unwrap_or(self.by_rule.len() - 1)].fetch_add(1, Relaxed);
    }

    /// A reply was made on `day`.
    pub(super) fn reply(&self, message: &Message, fate: Fate, day: NaiveDate) {
        let model = MODELS.iter().position(|model| model.id == message.model).unwrap_or(MODELS.len());
        let category = message.stop_details.as_ref().and_then(|details| details.get("category")).and_then(Value::as_str);
        let before_output = message.stop_reason.as_deref() == Some("refusal") && message.content.is_empty();
        if before_output && !prices::bills_refusal(category, day) {
            self.unbilled[model].add(&message.usage, Some(0));
            return;
        }
        let tallies = match fate {
            Fate::Delivered => &self.delivered,
            Fate::Lost => &self.lost,
            Fate::InBatch => &self.in_batches,
        };
        tallies[model].add(&message.usage, self.prices[model].and_then(|price| price.of(&message.usage, day)));
    }

    /// What all of it would have cost: replies that arrived with the results of batches, and those that broke on their way.
    pub(super) fn dollars(&self) -> (String, String) {
        let billed = total(&self.delivered) + total(&self.in_batches);
        (billed.usd.to_string(), total(&self.lost).usd.to_string())
    }

    /// All of it, as `/__sim/stats` shows it.
    pub(super) fn stats(&self, script: &super::script::Script) -> Value {
        let counted = |counters: &[AtomicU64]| {
            counters
                .iter()
                .enumerate()
                .map(|(index, counter)| (index, counter.load(Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect::<Vec<_>>()
        };
        let by_status: BTreeMap<String, u64> =
            counted(&self.by_status).into_iter().map(|(status, count)| (status.to_string(), count)).collect();
        let by_fault: BTreeMap<&str, u64> =
            counted(&self.by_fault).into_iter().map(|(index, count)| (Fault::NAMES[index].0, count)).collect();
        let rules: Vec<Value> = script
            .rules
            .iter()
            .zip(&self.by_rule)
            .map(|(rule, count)| json!({"line": rule.line, "answered": count.load(Relaxed)}))
            .collect();
        let (delivered, in_batches, lost) = (total(&self.delivered), total(&self.in_batches), total(&self.lost));
        json!({
            "simulated": true,
            "script": script.name,
            "digest": script.digest,
            "connections": self.connections.load(Relaxed),
            "requests": self.requests(),
            "other_requests": self.other_requests.load(Relaxed),
            "by_status": by_status,
            "by_fault": by_fault,
            "bill": {
                "usd": Dollars(delivered.usd.0 + in_batches.usd.0),
                "messages_usd": delivered.usd,
                "batches_usd": in_batches.usd,
                "lost_on_the_way_usd": lost.usd,
                "unpriced_replies": delivered.unpriced_replies + in_batches.unpriced_replies + lost.unpriced_replies,
            },
            "tokens": {
                "billed": delivered,
                "billed_in_batches": in_batches,
                "lost_on_the_way": lost,
                "refused_unbilled": total(&self.unbilled),
            },
            "billed_by_model": by_model(&self.delivered),
            "billed_in_batches_by_model": by_model(&self.in_batches),
            "lost_on_the_way_by_model": by_model(&self.lost),
            "batches": self.batches.stats(),
            "rules": rules,
            "otherwise": self.by_rule[script.rules.len()].load(Relaxed),
        })
    }
}
