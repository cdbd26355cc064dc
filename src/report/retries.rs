//! Which cells were answered only after failed attempts, and what failed?

use std::fmt::Write as _;

use crate::model::reply::Attempt;
use crate::model::run::{CellResult, RunReport};
use crate::report::{figures, words};

/// A cell that this run answered after failed attempts.
#[derive(Debug)]
pub(crate) struct Retried<'a> {
    pub(crate) cell: &'a CellResult,
    /// What failed before the answers of its samples, in order.
    pub(crate) failed: Vec<&'a Attempt>,
}

/// Every such cell, in the order of the report. What the store answered was retried in an earlier run, and is that one's story.
pub(crate) fn retried(report: &RunReport) -> Vec<Retried<'_>> {
    let of = |cell| Retried { cell, failed: failed(cell).collect() };
    report.cells.iter().map(of).filter(|retried| !retried.failed.is_empty()).collect()
}

/// The attempts of a cell that failed before an answer of this run came.
pub(crate) fn failed(cell: &CellResult) -> impl Iterator<Item = &Attempt> {
    let paid = cell.samples.iter().filter_map(|sample| sample.reply.as_ref()).filter(|reply| reply.served.is_paid());
    paid.flat_map(|reply| &reply.attempts).filter(|attempt| attempt.error.is_some())
}

/// `2 overloaded, 1 connection`, the most frequent first.
pub(crate) fn causes<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for kind in attempts.filter_map(|attempt| attempt.error) {
        let name = words::error_kind(kind);
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut text = String::new();
    for (name, count) in counts {
        let _ = write!(text, "{}{} {name}", if text.is_empty() { "" } else { ", " }, figures::count(count));
    }
    text
}

/// `12 cells were answered after 15 failed attempts: 9 overloaded, 6 connection`; nothing where every first attempt was answered.
pub(crate) fn summary(retried: &[Retried<'_>]) -> Option<String> {
    let failed = || retried.iter().flat_map(|retried| &retried.failed).copied();
    let cells = match retried.len() {
        0 => return None,
        1 => "1 cell was answered".to_owned(),
        many => format!("{} cells were answered", figures::count(many as u64)),
    };
    let attempts = figures::counted(failed().count() as u64, "failed attempt", "failed attempts");
    Some(format!("{cells} after {attempts}: {}", causes(failed())))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::reply::Served;
    use crate::model::verdict::ErrorKind;
    use crate::report::sample;

    fn attempt(status: Option<u16>, error: Option<ErrorKind>) -> Attempt {
        let message = error.map(|kind| words::error_kind(kind).to_owned());
        Attempt { status, error, message, request_id: None, duration_ms: 120, unsent: false }
    }

    /// Lets the cell's answer come at the fourth attempt.
    pub(crate) fn after_failures(cell: &mut CellResult) {
        let reply = cell.samples[0].reply.as_mut().unwrap();
        reply.served = Served::Fresh;
        reply.attempts = vec![
            attempt(None, Some(ErrorKind::Connection)),
            attempt(Some(529), Some(ErrorKind::Overloaded)),
            attempt(Some(529), Some(ErrorKind::Overloaded)),
            attempt(Some(200), None),
        ];
    }

    #[test]
    fn what_was_retried_in_this_run_is_told_and_what_the_store_answered_is_not() {
        let mut report = sample::passing(3);
        assert_eq!(summary(&retried(&report)), None);
        report.cells.iter_mut().for_each(after_failures);
        report.cells[2].samples[0].reply.as_mut().unwrap().served = Served::Stored;
        let told = summary(&retried(&report)).unwrap();
        assert_eq!(told, "2 cells were answered after 6 failed attempts: 4 overloaded, 2 connection");
    }
}
