//! What does a person at a terminal (or reading a CI log) see of a run: while it goes on, and at its end?

use std::io;
use std::sync::Arc;

use crate::model::calibration::Calibration;
use crate::model::run::{CellResult, PromptChange, RunReport};
use crate::model::side_by_side::SideBySide;
use crate::model::verdict::SnapshotState;
use crate::report::standing::Standings;
use crate::report::style::Style;
use crate::report::visible;

mod batch;
mod calibrated;
mod closing;
mod compared;
mod details;
mod failures;
mod log;
mod models;
pub(crate) mod paint;
pub mod progress;
pub mod rounds;
mod samples;
mod table;
mod whole;

/// An output that waits for a decision, as a terminal shows it.
#[derive(Debug, Clone)]
pub struct Waiting<'a> {
    /// `suite::case::prompt@version::model`.
    pub address: &'a str,
    /// Where it goes.
    pub path: &'a str,
    /// The prompt version that gave it.
    pub prompt: &'a str,
    /// How it stands to what is accepted.
    pub state: &'a SnapshotState,
    /// Where it is not empty, it is shown from its beginning.
    pub new_text: &'a str,
    /// How many variants stand and would stand, in words.
    pub variants: Option<String>,
}

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
    samples::show(report, &mut screen)?;
    closing::show(report, &standings, closing::Sized::Told, &mut screen)
}

/// The same without what could be smaller, for those who want to hear only what the run came to.
///
/// # Errors
///
/// Only what `out` answers.
pub fn terse(report: &RunReport, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let standings = Standings::of(report);
    let mut screen = paint::Screen::new(out, style);
    failures::show(report, &standings, &mut screen)?;
    models::show(report, &mut screen)?;
    samples::show(report, &mut screen)?;
    closing::show(report, &standings, closing::Sized::Untold, &mut screen)
}

/// Writes what a further round of a watch came to where the lines follow each other: the verdict, the counts, the gates that do not hold.
///
/// # Errors
///
/// Only what `out` answers.
pub fn brief(report: &RunReport, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    closing::brief(report, &Standings::of(report), &mut paint::Screen::new(out, style))
}

/// Writes lines that are nobody's report: names, paths, counts. Nothing in them is hidden, and nothing is a command.
///
/// # Errors
///
/// Only what `out` answers.
pub fn plain(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let mut out = visible::Unheeded::new(out);
    io::Write::write_all(&mut out, visible::lines(text).as_bytes())?;
    io::Write::flush(&mut out)
}

/// Writes one output that waits for a decision: whose it is, where it goes, and how it differs from what is accepted.
///
/// # Errors
///
/// Only what `out` answers.
pub fn pending(waiting: &Waiting<'_>, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let mut screen = paint::Screen::new(out, style);
    details::pending(waiting, &mut screen)
}

/// Writes one cell whole; `texts` and `prompts` are those of its report.
///
/// # Errors
///
/// Only what `out` answers.
pub fn cell(cell: &CellResult, texts: &[Arc<str>], prompts: &[PromptChange], out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let mut screen = paint::Screen::new(out, style);
    whole::show(cell, texts, prompts, &mut screen)
}

/// Writes how two arms, or several, stand side by side; `all`: every case that differs, however many.
///
/// # Errors
///
/// Only what `out` answers.
pub fn side_by_side(side_by_side: &SideBySide, all: bool, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let mut screen = paint::Screen::new(out, style);
    compared::show(side_by_side, all, &mut screen)
}

/// Writes how a gate behaves on what did not change.
///
/// # Errors
///
/// Only what `out` answers.
pub fn calibration(calibration: &Calibration, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
    let mut screen = paint::Screen::new(out, style);
    calibrated::show(calibration, &mut screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_output_is_shown_from_its_beginning_and_its_rest_is_named() {
        let text: String = (1..=30).map(|line| format!("line {line}\n")).collect();
        let show = |text: &str| {
            let mut out = Vec::new();
            let style = Style { width: 80, ..Style::PLAIN };
            let waiting = Waiting {
                address: "a::b::c@1::d",
                path: "snapshots/a/b/d.snap",
                prompt: "c@1",
                state: &SnapshotState::New { reason: None },
                new_text: text,
                variants: None,
            };
            pending(&waiting, &mut out, style).unwrap();
            String::from_utf8(out).unwrap()
        };
        let shown = show(&text);
        assert!(shown.contains("+ line 1\n") && shown.contains("line 12") && !shown.contains("line 13"), "{shown}");
        assert!(shown.contains("the rest stands in snapshots/a/b/d.snap.new"), "{shown}");
        assert!(!show("short").contains("the rest"));
    }
}
