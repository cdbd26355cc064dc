//! How good, how dear and how fast is each model, and each version of a prompt?
//!
//! ```text
//! models                     cells   pass rate     cost  tokens in / out    p50 / p95   errors  refusals
//! ticket-triage
//!   claude-haiku-4-5            20     95.0 %   $0.0123      12.1k / 3.4k  0.8 / 1.9 s       1         0
//! ```

use std::collections::HashSet;
use std::io;

use super::paint::{BAD, DIM, GOOD, ODD, PLAIN, Screen, span};
use super::table::{self, Column, Field, Row, field};
use crate::model::gate::{GateKind, GateOutcome};
use crate::model::run::{Group, RunReport};
use crate::report::standing::GatedRates;
use crate::report::{figures, visible};

/// The columns; `simulated`: all money in the table is.
const fn columns(simulated: bool) -> [Column; 8] {
    const fn number(title: &'static str, short: &'static str) -> Column {
        Column { title, short, right: true }
    }
    [
        Column { title: "", short: "", right: false },
        number("cells", "cells"),
        number("pass rate", "pass"),
        if simulated { number("simulated cost", "sim. cost") } else { number("cost", "cost") },
        number("tokens in/out", "in/out"),
        number("p50/p95", "p50/p95"),
        number("errors", "err"),
        number("refusals", "ref"),
    ]
}

/// The tables of models, and of versions where several run side by side.
pub(super) fn show(report: &RunReport, screen: &mut Screen<'_>) -> io::Result<()> {
    let models: Vec<&Group> = report.models.iter().collect();
    groups(screen, "models", &models, report)?;
    if report.cells.iter().any(|cell| cell.side_by_side && !cell.gated) {
        screen.line(&[span(DIM, "  pass rates are those of the newest versions; older ones stand below")])?;
    }
    let side_by_side: HashSet<String> = report
        .cells
        .iter()
        .filter(|cell| cell.side_by_side)
        .map(|cell| format!("{}@{}", cell.address.prompt, cell.address.version))
        .collect();
    let versions: Vec<&Group> = report.versions.iter().filter(|group| side_by_side.contains(&group.name)).collect();
    groups(screen, "prompt versions side by side", &versions, report)
}

fn groups(screen: &mut Screen<'_>, title: &str, groups: &[&Group], report: &RunReport) -> io::Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    screen.heading(title, "")?;
    let decimals = figures::worth_decimals(groups.iter().map(|group| &group.bill));
    let rates = GatedRates::of(report);
    let mut rows = Vec::new();
    let mut suite: Option<&str> = None;
    for group in groups {
        if group.suite.as_deref() != suite {
            suite = group.suite.as_deref();
            rows.extend(suite.map(|suite| Row::Head(visible::name(suite))));
        }
        rows.push(Row::Fields(fields(group, decimals, &rates, report)));
    }
    table::show(screen, &columns(report.run.simulated), &rows)?;
    if groups.iter().any(|group| !group.gated) {
        screen.line(&[span(DIM, "  * informs only: the gate does not count it")])?;
    }
    Ok(())
}

/// The gate has said that this model's rate is enough.
fn rate_holds(group: &Group, report: &RunReport) -> bool {
    report.gates.iter().any(|gate| {
        gate.kind == GateKind::PassRate
            && gate.suite == group.suite
            && gate.model.as_deref() == Some(group.name.as_str())
            && gate.outcome == GateOutcome::Pass
    })
}

fn fields(group: &Group, decimals: u32, rates: &GatedRates<'_>, report: &RunReport) -> Vec<Field> {
    let totals = &group.totals;
    let (passed, failed) = rates.rate(group);
    let rate = match (passed + failed, failed) {
        (0, _) => DIM,
        (_, 0) => GOOD,
        _ if group.gated && !rate_holds(group, report) => BAD,
        _ => ODD,
    };
    let name = visible::name(&group.name);
    let name = if group.gated { name } else { format!("{name} *") };
    let latency = match (group.latency_p50_ms, group.latency_p95_ms) {
        (Some(p50), Some(p95)) => latencies(p50, p95),
        _ => "–".to_owned(),
    };
    let alarming = |count: u64, style| Field { text: figures::count(count), style: if count == 0 { DIM } else { style } };
    let cost = figures::worth(&group.bill, decimals);
    // The column's title says it of all of them.
    let cost = if report.run.simulated { cost.trim_end_matches(" sim").to_owned() } else { cost };
    let tokens = &totals.tokens;
    vec![
        Field { text: name, style: if group.gated { PLAIN } else { DIM } },
        field(figures::count(totals.planned)),
        Field { text: figures::share(passed, passed + failed), style: rate },
        field(cost),
        field(format!("{}/{}", figures::compact(tokens.prompt()), figures::compact(tokens.output))),
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
