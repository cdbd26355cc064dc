//! What do the cells of the sample add up to? Not by the code that counts a real run: a format must show whatever it is given.

use crate::model::comparison::{Counts, Interval};
use crate::model::reply::StopReason;
use crate::model::run::{Bill, CellResult, Group, Tokens, Totals};
use crate::model::sampled::Sampled;
use crate::model::verdict::{SnapshotState, Verdict};

pub(super) fn totals(cells: &[CellResult]) -> Totals {
    let verdicts = |wanted| cells.iter().filter(|cell| cell.verdict == wanted).count() as u64;
    let states = |wanted: fn(&SnapshotState) -> bool| cells.iter().filter(|cell| wanted(&cell.snapshot)).count() as u64;
    let replies = || cells.iter().flat_map(|cell| &cell.samples).filter_map(|sample| sample.reply.as_ref());
    let mut tokens = Tokens::default();
    replies().for_each(|reply| tokens.add(&reply.usage));
    Totals {
        planned: cells.len() as u64,
        passed: verdicts(Verdict::Pass),
        failed: verdicts(Verdict::Fail),
        errored: verdicts(Verdict::Error),
        skipped: verdicts(Verdict::Skipped),
        warned: cells.iter().filter(|cell| cell.verdict == Verdict::Pass && crate::report::finding::warnings(cell).next().is_some()).count()
            as u64,
        samples: cells.iter().map(|cell| cell.samples.len() as u64).sum(),
        snapshots_same: states(|state| *state == SnapshotState::Same),
        snapshots_changed: states(|state| matches!(state, SnapshotState::Changed { .. })),
        snapshots_new: states(|state| matches!(state, SnapshotState::New { .. })),
        snapshots_orphaned: 0,
        requests_asked: replies().filter(|reply| reply.served.is_paid()).count() as u64,
        requests_cached: replies().filter(|reply| !reply.served.is_paid()).count() as u64,
        requests_retried: 4,
        refusals: replies().filter(|reply| reply.stop_reason == StopReason::Refusal).count() as u64,
        truncations: replies().filter(|reply| reply.stop_reason.is_truncated()).count() as u64,
        tokens,
    }
}

pub(super) fn bill(cells: &[CellResult]) -> Bill {
    let mut bill = Bill::default();
    for reply in cells.iter().flat_map(|cell| &cell.samples).filter_map(|sample| sample.reply.as_ref()) {
        bill.add_reply(reply);
    }
    bill
}

/// As a run computes it: passes of samples, the interval, k, and the chances of one and of all of k.
pub(super) fn sampled(passes: (u32, u32), interval: (f64, f64), k: u32, chances: Option<(f64, f64)>) -> Option<Sampled> {
    let counts = Counts::new(passes.0, passes.1);
    let interval = Interval { low: interval.0, high: interval.1 };
    let (pass_at_k, all_of_k_pass) = (chances.map(|chances| chances.0), chances.map(|chances| chances.1));
    Some(Sampled { counts, rate: counts.rate(), interval, k, pass_at_k, all_of_k_pass })
}

pub(super) fn groups(cells: &[CellResult], key: impl Fn(&CellResult) -> (Option<String>, String)) -> Vec<Group> {
    let mut keys: Vec<(Option<String>, String)> = Vec::new();
    for cell in cells {
        if !keys.contains(&key(cell)) {
            keys.push(key(cell));
        }
    }
    let group = |wanted: (Option<String>, String)| {
        let cells: Vec<CellResult> = cells.iter().filter(|cell| key(cell) == wanted).cloned().collect();
        let latencies =
            || cells.iter().flat_map(|cell| &cell.samples).filter_map(|sample| sample.reply.as_ref()).map(|reply| reply.latency_ms);
        Group {
            gated: cells.iter().any(|cell| cell.gated),
            simulated: false,
            totals: totals(&cells),
            bill: bill(&cells),
            latency_p50_ms: latencies().min(),
            latency_p95_ms: latencies().max(),
            sampled: if wanted.1 == "claude-haiku-4-5" && wanted.0.as_deref() == Some("support-answers") {
                sampled((3, 7), (0.138_6, 0.738_5), 3, Some((1.0, 0.0)))
            } else {
                None
            },
            suite: wanted.0,
            name: wanted.1,
        }
    };
    keys.into_iter().map(group).collect()
}
