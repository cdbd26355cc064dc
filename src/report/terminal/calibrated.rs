//! How does a gate behave on what did not change, on a screen? The sentence that somebody needs comes last, where the eye is.

use std::io;

use super::paint::{BAD, BOLD, DIM, GOOD, ODD, PLAIN, Screen, span};
use super::table::{self, Column, Field, Row, field};
use crate::model::calibration::{Calibration, CaseNoise};
use crate::report::{calibrated, compared, figures, visible};

/// Most flaky cases that are shown.
const SHOWN: usize = 15;

/// Shows everything that was found out.
pub(super) fn show(calibration: &Calibration, screen: &mut Screen<'_>) -> io::Result<()> {
    if calibration.simulated {
        let simulated = "every reply came from a simulator: no number here is about a real model";
        screen.wrapped(&[span(ODD.bold(), "SIMULATED ")], &[span(PLAIN, simulated)], 3)?;
    }
    screen.wrapped(&[], &[span(PLAIN, calibrated::collected(calibration))], 4)?;
    screen.line(&[span(DIM, calibrated::bill(calibration))])?;
    noise(calibration, screen)?;
    if let Some(detection) = &calibration.detection {
        screen.heading(&calibrated::loss(detection), "")?;
        for line in calibrated::detection(detection) {
            screen.wrapped(&[span(PLAIN, "  ")], &[span(PLAIN, line)], 3)?;
        }
    }
    if !calibration.pass_rates.is_empty() {
        screen.heading("the suites' own pass rates", "")?;
    }
    for rate in &calibration.pass_rates {
        let style = if rate.blocked.share() > calibration.policy.alpha { ODD } else { PLAIN };
        screen.wrapped(&[span(PLAIN, "  ")], &[span(style, calibrated::pass_rate(rate, visible::name))], 4)?;
    }
    screen.heading("two runs of the same prompt, compared", "")?;
    let comparison = &calibration.comparison;
    for (what, said) in [
        ("blocked", calibrated::frequency(comparison.blocked)),
        ("not worse", calibrated::frequency(comparison.not_worse)),
        ("undecided", calibrated::frequency(comparison.undecided)),
    ] {
        screen.line(&[span(PLAIN, format!("  {what:<10} {said}"))])?;
    }
    if let Some(reasons) = calibrated::reasons(calibration) {
        screen.wrapped(&[span(DIM, "  blocked by ")], &[span(DIM, reasons)], 3)?;
    }
    for note in calibrated::notes(calibration) {
        screen.wrapped(&[span(ODD, "  ! ")], &[span(PLAIN, note)], 4)?;
    }
    screen.blank()?;
    let style = if calibrated::is_loud(calibration) { BAD } else { GOOD };
    screen.wrapped(&[], &[span(style.bold(), calibrated::verdict(calibration))], 4).map(|_| ())
}

fn noise(calibration: &Calibration, screen: &mut Screen<'_>) -> io::Result<()> {
    const fn number(title: &'static str, short: &'static str) -> Column {
        Column { title, short, right: true }
    }
    let flaky: Vec<&CaseNoise> = calibration.cases.iter().filter(|case| case.flaky).collect();
    screen.heading(
        "noise",
        &format!("{} of {} passed and failed, unchanged", flaky.len(), figures::counted(calibration.cases.len() as u64, "case", "cases")),
    )?;
    let columns = [
        Column { title: "flaky", short: "flaky", right: false },
        number("passed", "passed"),
        number("rate", "rate"),
        number("95 % interval", "95 %"),
        number("of all noise", "noise"),
        number("critical", "crit"),
    ];
    let fields = |case: &&CaseNoise| {
        Row::Fields(vec![
            Field { text: visible::name(&case.case), style: BOLD },
            field(compared::of(case.counts)),
            field(compared::rate(case.counts)),
            field(compared::interval(case.interval)),
            field(calibrated::percent(case.share_of_noise)),
            Field { text: if case.critical == 0 { String::new() } else { figures::count(case.critical.into()) }, style: BAD },
        ])
    };
    if !flaky.is_empty() {
        table::show(screen, &columns, &flaky.iter().take(SHOWN).map(fields).collect::<Vec<_>>())?;
        super::closing::more(flaky.len(), SHOWN, "flaky case", "flaky cases", screen)?;
    }
    match calibrated::steady(calibration) {
        Some(steady) => screen.wrapped(&[span(PLAIN, "  ")], &[span(DIM, steady)], 3).map(|_| ()),
        None => Ok(()),
    }
}
