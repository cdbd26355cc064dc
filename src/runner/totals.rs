//! What do a run's cells add up to: in all, by suite, model, prompt version and tag?

use std::collections::HashMap;
use std::hash::Hash;

use crate::model::assertion::AssertionSeverity;
use crate::model::reply::{Attempt, StopReason};
use crate::model::run::{Bill, CellResult, Group, ReplyFacts, SampleResult, Totals};
use crate::model::verdict::{Outcome, SnapshotState, Verdict};
use crate::runner::sampled::{self, Samples};

/// Every sum of a run.
#[derive(Debug, Default)]
pub struct Sums {
    /// Of all cells.
    pub totals: Totals,
    /// Of all cells.
    pub bill: Bill,
    /// Per suite x model, in order of appearance.
    pub models: Vec<Group>,
    /// Per suite.
    pub suites: Vec<Group>,
    /// Per prompt version.
    pub versions: Vec<Group>,
    /// Per tag; a cell counts for each of its tags.
    pub tags: Vec<Group>,
}

/// Adds up all cells.
#[must_use]
pub fn sum(cells: &[CellResult], orphans: usize) -> Sums {
    let mut whole = Accumulator::default();
    let (mut suites, mut versions, mut tags) = (Groups::default(), Groups::default(), Groups::default());
    let mut models: Groups<(String, String)> = Groups::default();
    for cell in cells {
        let address = &cell.address;
        whole.add(cell);
        suites.entry(address.suite.to_string(), || named(None, &address.suite)).add(cell);
        let model = (address.suite.to_string(), address.model.to_string());
        models.entry(model, || named(Some(&address.suite), &address.model)).add(cell);
        let version = format!("{}@{}", address.prompt, address.version);
        versions.entry(format!("{}::{version}", address.suite), || named(Some(&address.suite), &version)).add(cell);
        for tag in cell.tags.iter() {
            tags.entry(tag.clone(), || named(None, tag)).add(cell);
        }
    }
    whole.group.totals.snapshots_orphaned = orphans as u64;
    Sums {
        totals: whole.group.totals,
        bill: whole.group.bill,
        models: models.finish(Counted::Gated),
        suites: suites.finish(Counted::All),
        versions: versions.finish(Counted::All),
        tags: tags.finish(Counted::All),
    }
}

fn named(suite: Option<&str>, name: &str) -> Group {
    Group { suite: suite.map(str::to_owned), name: name.to_owned(), ..Group::default() }
}

/// Groups in order of appearance.
struct Groups<K> {
    positions: HashMap<K, usize>,
    list: Vec<Accumulator>,
}

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self { positions: HashMap::new(), list: Vec::new() }
    }
}

impl<K: Hash + Eq> Groups<K> {
    fn entry(&mut self, key: K, group: impl FnOnce() -> Group) -> &mut Accumulator {
        let position = *self.positions.entry(key).or_insert_with(|| {
            self.list.push(Accumulator { group: group(), ..Accumulator::default() });
            self.list.len() - 1
        });
        &mut self.list[position]
    }

    fn finish(self, counted: Counted) -> Vec<Group> {
        self.list.into_iter().map(|group| group.finish(counted)).collect()
    }
}

/// Which cells' samples a group tells of.
#[derive(Clone, Copy)]
enum Counted {
    All,
    /// Those that the gate counts, as pass rates of models do; all where there is none.
    Gated,
}

#[derive(Default)]
struct Accumulator {
    group: Group,
    latencies: Vec<u64>,
    samples: Vec<(bool, Samples)>,
    real_replies: u64,
    simulated_replies: u64,
}

impl Accumulator {
    fn add(&mut self, cell: &CellResult) {
        self.group.gated |= cell.gated;
        self.samples.push((cell.gated, Samples::of(cell)));
        let totals = &mut self.group.totals;
        totals.planned += 1;
        match cell.verdict {
            Verdict::Pass => totals.passed += 1,
            Verdict::Fail => totals.failed += 1,
            Verdict::Error => totals.errored += 1,
            Verdict::Skipped => totals.skipped += 1,
        }
        totals.warned += u64::from(cell.verdict == Verdict::Pass && has_warning(cell));
        match cell.snapshot {
            SnapshotState::Same => totals.snapshots_same += 1,
            SnapshotState::Changed { .. } | SnapshotState::Unreadable { .. } => totals.snapshots_changed += 1,
            SnapshotState::New { .. } => totals.snapshots_new += 1,
            SnapshotState::None => {}
        }
        for sample in &cell.samples {
            self.add_sample(sample);
        }
        self.group.bill.add_unknown(unknown_attempts(cell), cell.attempt_at_most_usd);
    }

    fn add_sample(&mut self, sample: &SampleResult) {
        self.group.totals.samples += 1;
        if let Some(error) = &sample.error {
            self.group.totals.requests_retried += error.attempts.len().saturating_sub(1) as u64;
        }
        if let Some(reply) = &sample.reply {
            self.add_reply(reply);
        }
    }

    fn add_reply(&mut self, reply: &ReplyFacts) {
        let totals = &mut self.group.totals;
        if reply.served.is_paid() {
            totals.requests_asked += 1;
            totals.requests_retried += reply.attempts.len().saturating_sub(1) as u64;
        } else {
            totals.requests_cached += 1;
        }
        totals.refusals += u64::from(reply.stop_reason == StopReason::Refusal);
        totals.truncations += u64::from(reply.stop_reason.is_truncated());
        totals.tokens.add(&reply.usage);
        self.latencies.extend(reply.latency());
        if reply.simulated {
            self.simulated_replies += 1;
        } else {
            self.real_replies += 1;
        }
        self.group.bill.add_reply(reply);
    }

    fn finish(mut self, counted: Counted) -> Group {
        let only_gated = matches!(counted, Counted::Gated) && self.group.gated;
        let samples = self.samples.iter().filter(|(gated, _)| *gated || !only_gated).map(|(_, samples)| *samples);
        self.group.sampled = sampled::of_cells(&samples.collect::<Vec<_>>());
        self.latencies.sort_unstable();
        self.group.latency_p50_ms = nearest_rank(&self.latencies, 50);
        self.group.latency_p95_ms = nearest_rank(&self.latencies, 95);
        self.group.simulated = self.simulated_replies > 0 && self.real_replies == 0;
        self.group
    }
}

fn has_warning(cell: &CellResult) -> bool {
    let mut results = cell.samples.iter().flat_map(|sample| &sample.assertions);
    results.any(|result| result.severity == AssertionSeverity::Warn && !matches!(result.outcome, Outcome::Pass))
}

/// Attempts of this run at a cell that came to nothing, and may have been billed.
pub(super) fn unknown_attempts(cell: &CellResult) -> u64 {
    let of_sample = |sample: &SampleResult| {
        let failed = sample.error.as_ref().map_or(0, |error| may_be_billed(&error.attempts));
        failed + sample.reply.as_ref().map_or(0, unknown_before)
    };
    cell.samples.iter().map(of_sample).sum()
}

/// Attempts of this run before the one that answered, and may have been billed too.
pub(crate) fn unknown_before(reply: &ReplyFacts) -> u64 {
    if reply.served.is_paid() { may_be_billed(earlier(&reply.attempts)) } else { 0 }
}

/// The attempts before the one that answered, which has a price of its own.
pub(super) fn earlier(attempts: &[Attempt]) -> &[Attempt] {
    attempts.split_last().map_or(&[], |(_, earlier)| earlier)
}

/// Attempts without an answer for which the server may have worked, or whose answer was lost again (it could not be stored).
pub(super) fn may_be_billed(attempts: &[Attempt]) -> u64 {
    attempts.iter().filter(|attempt| attempt.may_be_billed()).count() as u64
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=20).collect();
        assert_eq!(nearest_rank(&values, 50), Some(10));
        assert_eq!(nearest_rank(&values, 95), Some(19));
        assert_eq!(nearest_rank(&[7], 95), Some(7));
        assert_eq!(nearest_rank(&[], 95), None);
    }
}
