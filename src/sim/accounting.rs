//! The simulator's own books: how many requests were answered how, and which tokens would a bill show?

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use serde_json::{Value, json};

use super::fault::Fault;
use super::models::MODELS;
use super::reply::{Message, Usage};

/// Categories whose refusals before any output are billed (docs/wire-reference.md 8.2).
const BILLED_REFUSALS: [&str; 3] = ["bio", "frontier_llm", "reasoning_extraction"];

/// Counters; all are only ever raised.
#[derive(Debug)]
pub(super) struct Accounting {
    requests: AtomicU64,
    other_requests: AtomicU64,
    connections: AtomicU64,
    by_status: Vec<AtomicU64>,
    by_fault: Vec<AtomicU64>,
    by_rule: Vec<AtomicU64>,
    /// One for each known model, the last for all that the script adds.
    delivered: Vec<Tally>,
    lost: Vec<Tally>,
    unbilled: Vec<Tally>,
}

/// Tokens of many replies.
#[derive(Debug, Default)]
struct Tally {
    replies: AtomicU64,
    input_tokens: AtomicU64,
    cache_creation_5m: AtomicU64,
    cache_creation_1h: AtomicU64,
    cache_read: AtomicU64,
    output_tokens: AtomicU64,
}

/// The sums of a tally at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Sums {
    replies: u64,
    input_tokens: u64,
    cache_creation_5m_input_tokens: u64,
    cache_creation_1h_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

impl Tally {
    fn add(&self, usage: &Usage) {
        self.replies.fetch_add(1, Relaxed);
        self.input_tokens.fetch_add(usage.input_tokens, Relaxed);
        self.output_tokens.fetch_add(usage.output_tokens, Relaxed);
        // Mostly zero: no need to touch the line of memory that all threads share.
        for (counter, tokens) in [
            (&self.cache_creation_5m, usage.cache_creation.ephemeral_5m_input_tokens),
            (&self.cache_creation_1h, usage.cache_creation.ephemeral_1h_input_tokens),
            (&self.cache_read, usage.cache_read_input_tokens),
        ] {
            if tokens > 0 {
                counter.fetch_add(tokens, Relaxed);
            }
        }
    }

    fn sums(&self) -> Sums {
        Sums {
            replies: self.replies.load(Relaxed),
            input_tokens: self.input_tokens.load(Relaxed),
            cache_creation_5m_input_tokens: self.cache_creation_5m.load(Relaxed),
            cache_creation_1h_input_tokens: self.cache_creation_1h.load(Relaxed),
            cache_read_input_tokens: self.cache_read.load(Relaxed),
            output_tokens: self.output_tokens.load(Relaxed),
        }
    }
}

fn total(tallies: &[Tally]) -> Sums {
    tallies.iter().map(Tally::sums).fold(Sums::default(), |a, b| Sums {
        replies: a.replies + b.replies,
        input_tokens: a.input_tokens + b.input_tokens,
        cache_creation_5m_input_tokens: a.cache_creation_5m_input_tokens + b.cache_creation_5m_input_tokens,
        cache_creation_1h_input_tokens: a.cache_creation_1h_input_tokens + b.cache_creation_1h_input_tokens,
        cache_read_input_tokens: a.cache_read_input_tokens + b.cache_read_input_tokens,
        output_tokens: a.output_tokens + b.output_tokens,
    })
}

fn counters(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

fn tallies() -> Vec<Tally> {
    (0..=MODELS.len()).map(|_| Tally::default()).collect()
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
            delivered: tallies(),
            lost: tallies(),
            unbilled: tallies(),
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

    /// A reply was made; it arrives whole or breaks on its way.
    pub(super) fn reply(&self, message: &Message, whole: bool) {
        let model = MODELS.iter().position(|model| model.id == message.model).unwrap_or(MODELS.len());
        let category = message.stop_details.as_ref().and_then(|details| details.get("category")).and_then(Value::as_str);
        let free = message.stop_reason.as_deref() == Some("refusal")
            && message.content.is_empty()
            && !category.is_some_and(|category| BILLED_REFUSALS.contains(&category));
        let tallies = match (free, whole) {
            (true, _) => &self.unbilled,
            (false, true) => &self.delivered,
            (false, false) => &self.lost,
        };
        tallies[model].add(&message.usage);
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
        let models: BTreeMap<&str, Sums> = self
            .delivered
            .iter()
            .enumerate()
            .map(|(index, tally)| (MODELS.get(index).map_or("(of the script)", |model| model.id), tally.sums()))
            .filter(|(_, sums)| sums.replies > 0)
            .collect();
        let rules: Vec<Value> = script
            .rules
            .iter()
            .zip(&self.by_rule)
            .map(|(rule, count)| json!({"line": rule.line, "answered": count.load(Relaxed)}))
            .collect();
        json!({
            "simulated": true,
            "script": script.name,
            "digest": script.digest,
            "connections": self.connections.load(Relaxed),
            "requests": self.requests(),
            "other_requests": self.other_requests.load(Relaxed),
            "by_status": by_status,
            "by_fault": by_fault,
            "tokens": {
                "billed": total(&self.delivered),
                "lost_on_the_way": total(&self.lost),
                "refused_unbilled": total(&self.unbilled),
            },
            "billed_by_model": models,
            "rules": rules,
            "otherwise": self.by_rule[script.rules.len()].load(Relaxed),
        })
    }
}
