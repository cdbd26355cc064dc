//! How good, how dear and how fast is each model, and each version of a prompt?
//!
//! ```text
//! models                     cells   pass rate     cost  tokens in / out    p50 / p95   errors  refusals
//! ticket-triage
//!   claude-haiku-4-5            20     95.0 %   $0.0123      12.1k / 3.4k  0.8 / 1.9 s       1         0
//! ```

use std::io;

use super::paint::{BAD, DIM, GOOD, ODD, PLAIN, Screen};
use super::table::{self, Column, Field, Row, field};
use crate::model::run::{Group, RunReport};
use crate::report::{figures, visible};

const COLUMNS: [Column; 8] = [
    Column { title: "", right: false },
    Column { title: "cells", right: true },
    Column { title: "pass rate", right: true },
    Column { title: "cost", right: true },
    Column { title: "tokens in/out", right: true },
    Column { title: "p50/p95", right: true },
    Column { title: "errors", right: true },
    Column { title: "refusals", right: true },
];

/// The tables of models, and of versions where several run side by side.
pub(super) fn show(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    groups(screen, "models", &report.models)?;
    if report.cells.iter().any(|cell| cell.side_by_side) {
        groups(screen, "prompt versions", &report.versions)?;
    }
    Ok(())
}

fn groups(screen: &mut Screen<'_>, title: &str, groups: &[Group]) -> io::Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    screen.heading(title, "")?;
    let mut rows = Vec::new();
    let mut suite: Option<&str> = None;
    for group in groups {
        if group.suite.as_deref() != suite {
            suite = group.suite.as_deref();
            rows.extend(suite.map(|suite| Row::Head(visible::one_line(suite).into_owned())));
        }
        rows.push(Row::Fields(fields(group)));
    }
    table::show(screen, &COLUMNS, &rows)
}

fn fields(group: &Group) -> Vec<Field> {
    let totals = &group.totals;
    let judged = totals.passed + totals.failed;
    let rate = match (judged, totals.failed) {
        (0, _) => DIM,
        (_, 0) => GOOD,
        _ if group.gated => BAD,
        _ => ODD,
    };
    let name = visible::one_line(&group.name);
    let name = if group.gated { name.into_owned() } else { format!("{name} (informs)") };
    let latency = match (group.latency_p50_ms, group.latency_p95_ms) {
        (Some(p50), Some(p95)) => latencies(p50, p95),
        _ => "–".to_owned(),
    };
    let alarming = |count: u64, style| Field { text: figures::count(count), style: if count == 0 { DIM } else { style } };
    let tokens = &totals.tokens;
    let read = tokens.input + tokens.cache_write + tokens.cache_read;
    vec![
        Field { text: name, style: if group.gated { PLAIN } else { DIM } },
        field(figures::count(totals.planned)),
        Field { text: figures::pass_rate(totals), style: rate },
        field(figures::worth(&group.bill)),
        field(format!("{}/{}", figures::compact(read), figures::compact(tokens.output))),
        field(latency),
        alarming(totals.errored, ODD),
        alarming(totals.refusals, ODD),
    ]
}

/// Both in one unit: `820/1,900 ms`, `0.8/12.4 s`.
fn latencies(p50: u64, p95: u64) -> String {
    if p95 < 1_000 {
        return format!("{p50}/{p95} ms");
    }
    let seconds = |milliseconds: u64| format!("{}.{}", figures::count(milliseconds / 1000), milliseconds % 1000 / 100);
    format!("{}/{} s", seconds(p50), seconds(p95))
}
