//! What does a person at a terminal (or reading a CI log) see of a run: while it goes on, and at its end?

use std::io;

use crate::model::run::RunReport;
use crate::model::verdict::SnapshotState;
use crate::report::standing::Standings;
use crate::report::style::Style;

mod closing;
mod details;
mod failures;
mod models;
mod paint;
pub mod progress;
mod table;

/// Writes what a run came to: what informs first, then what failed, the numbers, and the verdict last, where the eye is.
///
/// # Errors
///
/// Only what `out` answers.
pub fn summary(report: &RunReport, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let standings = Standings::of(report);
    let mut screen = paint::Screen::new(out, style);
    failures::show(report, &standings, &mut screen)?;
    models::show(report, &mut screen)?;
    closing::show(report, &standings, &mut screen)
}

/// Writes one output that waits for a decision: whose it is, where it goes, and how it differs from what is accepted.
///
/// # Errors
///
/// Only what `out` answers.
pub fn pending(address: &str, path: &str, state: &SnapshotState, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let mut screen = paint::Screen::new(out, style);
    details::pending(address, path, state, &mut screen)
}
