//! How often do samples pass, by suite and model, where several are asked for?
//!
//! ```text
//! samples                        passed     rate    95 % interval    k   pass@k   pass^k
//! ticket-triage
//!   claude-haiku-4-5           57 of 60   95.0 %      83.4–98.6 %    3  100.0 %   90.0 %
//! ```

use std::io;

use super::paint::{DIM, Screen, span};
use super::table::{self, Column, Row, field};
use crate::model::run::RunReport;
use crate::report::{figures, sampled, visible};

const fn number(title: &'static str, short: &'static str) -> Column {
    Column { title, short, right: true }
}

const COLUMNS: [Column; 7] = [
    Column { title: "", short: "", right: false },
    number("passed", "passed"),
    number("rate", "rate"),
    number("95 % interval", "95 %"),
    number("k", "k"),
    number("pass@k", "pass@k"),
    number("pass^k", "pass^k"),
];

/// The table; nothing where no cell has several samples.
pub(super) fn show(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    let models = sampled::models(report);
    if models.is_empty() {
        return Ok(());
    }
    screen.heading("samples", "")?;
    let mut rows = Vec::new();
    let mut suite: Option<&str> = None;
    for (group, told) in models {
        if group.suite.as_deref() != suite {
            suite = group.suite.as_deref();
            rows.extend(suite.map(|suite| Row::Head(visible::name(suite))));
        }
        rows.push(Row::Fields(vec![
            field(visible::name(&group.name)),
            field(sampled::passes(told)),
            field(sampled::rate(told)),
            field(sampled::interval(told)),
            field(figures::count(told.k.into())),
            field(sampled::chance(told.pass_at_k)),
            field(sampled::chance(told.all_of_k_pass)),
        ]));
    }
    table::show(screen, &COLUMNS, &rows)?;
    screen.line(&[span(DIM, "  pass@k: one of k samples passes; pass^k: all of k do")])
}
