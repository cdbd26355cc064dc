//! What did the run come to, in the form that someone reads: JSON, JUnit, Markdown, HTML, a terminal?
//!
//! Every format is a pure function of [`RunReport`] (or of [`crate::model::event::RunEvent`], [`crate::model::problem::Problem`]), written a cell at a time.

use std::io;

use crate::model::calibration::Calibration;
use crate::model::run::RunReport;
use crate::model::side_by_side::SideBySide;

mod billed;
pub(crate) mod calibrated;
pub(crate) mod compared;
pub(crate) mod difference;
pub mod events;
pub(crate) mod figures;
pub mod files;
pub(crate) mod finding;
pub mod github;
#[cfg(test)]
mod golden;
mod html;
pub mod json;
mod junit;
mod ledger;
mod markdown;
pub mod problem;
#[cfg(test)]
mod promises;
pub(crate) mod remembered;
mod retries;
mod right_size;
#[cfg(test)]
mod sample;
mod sampled;
pub mod spelled;
mod standing;
pub(crate) mod strange;
pub mod style;
pub mod terminal;
pub(crate) mod visible;
pub(crate) mod words;

/// The formats of a finished run that go into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The run report itself, from which every other format can be made later.
    Json,
    /// For the test pages of CI systems.
    Junit {
        /// Nothing but what the Jenkins schema (`junit-10.xsd`) allows.
        strict: bool,
    },
    /// For a pull request comment or a job summary.
    Markdown,
    /// One page for a browser, without a network.
    Html,
    /// A row for each attempt, with what it cost.
    Csv,
}

/// Writes `report` as `format`. The caller buffers `out`, and flushes it.
///
/// # Errors
///
/// Only what `out` answers.
pub fn write(format: Format, report: &RunReport, out: &mut dyn io::Write) -> io::Result<()> {
    // Whether these become a file or the log of a job is not known here.
    let mut out = visible::Unheeded::new(out);
    match format {
        Format::Json => json::write(report, &mut out),
        Format::Junit { strict } => junit::write(report, strict, &mut out),
        Format::Markdown => markdown::write(report, &mut out),
        Format::Html => html::write(report, &mut out),
        Format::Csv => ledger::write(report, &mut out),
    }?;
    io::Write::flush(&mut out)
}

/// Writes a comparison as `format`: JSON, Markdown or HTML.
///
/// # Errors
///
/// What `out` answers; a format that a comparison does not have.
pub fn write_side_by_side(format: Format, side_by_side: &SideBySide, out: &mut dyn io::Write) -> io::Result<()> {
    let mut out = visible::Unheeded::new(out);
    match format {
        Format::Json => {
            spelled::write_pretty(&mut out, side_by_side)?;
            io::Write::write_all(&mut out, b"\n")
        }
        Format::Markdown => markdown::compared::write(side_by_side, &mut out),
        Format::Html => html::compared::write(side_by_side, &mut out),
        Format::Junit { .. } | Format::Csv => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "a comparison is written as JSON, Markdown or HTML"))
        }
    }?;
    io::Write::flush(&mut out)
}

/// Writes a calibration as `format`: JSON or Markdown.
///
/// # Errors
///
/// What `out` answers; a format that a calibration does not have.
pub fn write_calibration(format: Format, calibration: &Calibration, out: &mut dyn io::Write) -> io::Result<()> {
    let mut out = visible::Unheeded::new(out);
    match format {
        Format::Json => {
            spelled::write_pretty(&mut out, calibration)?;
            io::Write::write_all(&mut out, b"\n")
        }
        Format::Markdown => markdown::calibrated::write(calibration, &mut out),
        Format::Junit { .. } | Format::Html | Format::Csv => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "a calibration is written as JSON or Markdown"))
        }
    }?;
    io::Write::flush(&mut out)
}
