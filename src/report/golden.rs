//! Does every format read as it should? The files beside this one are read by people whenever they change.

use crate::model::event::RunEvent;
use crate::model::run::{CellResult, RunReport};
use crate::report::style::Style;
use crate::report::{Format, events, sample, terminal};

fn written(format: Format, report: &RunReport) -> String {
    let mut out = Vec::new();
    crate::report::write(format, report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn summary(report: &RunReport, width: u16, colour: bool) -> String {
    let mut out = Vec::new();
    terminal::summary(report, &mut out, Style { colour, width }).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn json() {
    insta::assert_snapshot!(written(Format::Json, &sample::report()));
}

#[test]
fn junit() {
    insta::assert_snapshot!(written(Format::Junit { strict: false }, &sample::report()));
}

#[test]
fn junit_strict() {
    insta::assert_snapshot!(written(Format::Junit { strict: true }, &sample::report()));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(written(Format::Markdown, &sample::report()));
}

#[test]
fn markdown_of_a_simulated_run() {
    insta::assert_snapshot!(written(Format::Markdown, &sample::simulated()));
}

#[test]
fn terminal_at_100_columns() {
    insta::assert_snapshot!(summary(&sample::report(), 100, false));
}

#[test]
fn terminal_at_80_columns() {
    insta::assert_snapshot!(summary(&sample::report(), 80, false));
}

#[test]
fn terminal_at_120_columns() {
    insta::assert_snapshot!(summary(&sample::report(), 120, false));
}

#[test]
fn terminal_in_colour() {
    // Escapes are written out, so that the golden file itself is plain text.
    insta::assert_snapshot!(summary(&sample::report(), 100, true).replace('\u{1b}', "␛"));
}

#[test]
fn where_the_store_failed_nobody_is_told_that_answers_are_stored() {
    let said = "what is answered is stored";
    let mut report = sample::report();
    report.problems.clear();
    assert!(summary(&report, 200, false).contains(said));
    let mut judged = report.clone();
    for sample in judged.cells.iter_mut().flat_map(|cell| &mut cell.samples) {
        (sample.error, sample.skipped) = (None, None);
    }
    // An assertion without a verdict has none the next time either.
    assert!(summary(&judged, 200, false).contains("everything is answered and stored: `promptkeel run` again asks nothing"));
    let failed = "the store failed: `promptkeel run` again asks, and pays";
    for mut untaken in [report.clone(), judged] {
        let words = format!("{}an answer was paid and could not be stored", crate::model::run::NOT_STORED);
        untaken.problems.push(crate::model::problem::Problem::warning(words));
        let summary = summary(&untaken, 200, false);
        assert!(!summary.contains(said) && !summary.contains("answered and stored") && summary.contains(failed), "{summary}");
    }
    report.cells[0].samples[0].skipped = Some(crate::model::verdict::SkipReason::StoreFailed("the disk is full".to_owned()));
    let summary = summary(&report, 200, false);
    assert!(!summary.contains(said) && summary.contains("the store failed: `promptkeel run` again asks, and pays"), "{summary}");
}

#[test]
fn what_a_batch_holds_is_told_in_its_own_words_and_no_endpoint_is_said_to_be_down() {
    let mut report = sample::report();
    let words = "batch msgbatch_01 holds this request: run again to wait for it";
    for sample in report.cells.iter_mut().flat_map(|cell| &mut cell.samples).filter(|sample| sample.skipped.is_some()) {
        sample.skipped = Some(crate::model::verdict::SkipReason::Batch(format!("{words}\u{1b}[2J")));
    }
    let summary = summary(&report, 200, false);
    assert!(summary.contains(&format!("nothing was asked: {words}")), "{summary}");
    assert!(!summary.contains("is down") && !summary.contains('\u{1b}'), "{summary}");
}

#[test]
fn terminal_of_a_simulated_run() {
    insta::assert_snapshot!(summary(&sample::simulated(), 100, false));
}

#[test]
fn whole_cells() {
    let report = sample::report();
    let mut out = Vec::new();
    for case in ["double-charge", "long-thread", "angry-customer", "contract-a", "contract-d"] {
        let cell = report.cells.iter().find(|cell| *cell.address.case == *case).unwrap();
        terminal::cell(cell, &report.texts, &report.prompt_changes, &mut out, Style { width: 100, colour: false }).unwrap();
    }
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn events_are_one_line_each() {
    let report = sample::report();
    // Requests are numbered when the run is over.
    let cell = &CellResult { request: None, ..report.cells[1].clone() };
    let address = cell.address.clone();
    let all = [
        RunEvent::Started {
            run: report.run.clone(),
            cells: 26,
            samples: 31,
            cached: 9,
            under_way: 0,
            upper_bound_usd: None,
            estimate_usd: None,
        },
        RunEvent::Sent { cell: address.clone(), sample: 0 },
        RunEvent::Retrying { cell: address, sample: 0, message: "529\nOverloaded".to_owned(), delay_ms: 1_200 },
        RunEvent::CoolingDown { endpoint: cell.endpoint.clone(), model: cell.model_id.clone(), delay_ms: 12_000 },
        RunEvent::Cell { cell: std::sync::Arc::new(cell.clone()) },
        RunEvent::Overdue { endpoint: cell.endpoint.clone(), model: cell.model_id.clone(), waited_ms: 10_003 },
        RunEvent::Silent { endpoint: cell.endpoint.clone(), give_up_ms: 30_000 },
        RunEvent::Interrupted { in_flight: 3 },
        RunEvent::TimedOut { limit_ms: 600_000, in_flight: 3 },
        RunEvent::Finished { totals: report.totals.clone(), bill: report.bill.clone(), exit: report.exit },
    ];
    let mut out = Vec::new();
    for event in &all {
        events::write(event, &mut out).unwrap();
    }
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), all.len());
    for line in text.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].is_string());
    }
    insta::assert_snapshot!(text);
}
