//! What must hold of every format, whatever is in a report: bounded, safe, quick?

use std::sync::Arc;

use proptest::prelude::*;

use crate::diff::text_diff;
use crate::model::gate::GateOutcome;
use crate::model::run::RunReport;
use crate::model::verdict::{Diff, SnapshotState};
use crate::report::style::Style;
use crate::report::{Format, finding, sample, terminal};

fn written(format: Format, report: &RunReport) -> String {
    let mut out = Vec::new();
    crate::report::write(format, report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn summary(report: &RunReport, width: u16) -> String {
    let mut out = Vec::new();
    terminal::summary(report, &mut out, Style { colour: false, width }).unwrap();
    String::from_utf8(out).unwrap()
}

/// The same failing cell so many times.
fn failing(count: usize) -> RunReport {
    let mut report = sample::report();
    let cell = report.cells.swap_remove(1);
    report.cells = vec![cell; count];
    report
}

/// Puts a text wherever a text can stand.
fn filled(text: &str) -> RunReport {
    let mut report = sample::report();
    let shared: Arc<str> = Arc::from(text);
    for cell in &mut report.cells {
        let address = &mut cell.address;
        (address.suite, address.case, address.prompt, address.model) = (shared.clone(), shared.clone(), shared.clone(), shared.clone());
        (cell.site.file, cell.snapshot_path) = (shared.clone(), Some(shared.clone()));
        if let SnapshotState::New { reason } = &mut cell.snapshot {
            *reason = Some(text.to_owned());
        }
        for sample in &mut cell.samples {
            sample.assertions.push(sample::assertions::failed(text, text, text, None));
            if let Some(error) = &mut sample.error {
                (error.message, error.hint) = (text.to_owned(), Some(text.to_owned()));
            }
        }
    }
    for gate in &mut report.gates {
        (gate.suite, gate.model, gate.message, gate.outcome) =
            (Some(text.to_owned()), Some(text.to_owned()), text.to_owned(), GateOutcome::Fail);
    }
    for group in report.models.iter_mut().chain(&mut report.versions) {
        (group.suite, group.name) = (Some(text.to_owned()), text.to_owned());
    }
    (report.run.revision, report.run.id, report.run.tool) = (Some(text.to_owned()), text.to_owned(), text.to_owned());
    report.orphans = vec![text.to_owned(); 30];
    report
}

#[test]
fn a_comment_fits_its_limit_and_says_what_was_cut() {
    let text = written(Format::Markdown, &failing(5_000));
    assert!(text.chars().count() < 65_536, "{}", text.chars().count());
    assert!(text.contains("of 5,000 failures are left out here"), "{}", &text[text.len() - 3_000..]);
    assert!(text.contains("**Bill:**"), "the bill is never cut");
    for piece in ["ok `` @octocat <!-- | 返金 ", "::\n", "\u{1b}\n ::", "<&\"", "🧾", "`` "] {
        for size in [1, 40, 1_000, 20_000] {
            let text = written(Format::Markdown, &filled(&piece.repeat(size)));
            let length = text.encode_utf16().count();
            assert!(length < 65_536, "{length} of {piece:?}");
        }
    }
}

#[test]
fn a_comment_has_no_more_details_opened_than_closed_and_no_fence_left_open() {
    let text = written(Format::Markdown, &filled(sample::HOSTILE));
    assert!(text.starts_with("<!-- promptkeel: report -->\n"), "a bot finds its comment again");
    assert_eq!(text.matches("<!--").count(), 1, "another comment mark would hide what follows, or be taken for a bot's own");
    let mut fence: Option<&str> = None;
    let (mut opened, mut closed) = (0, 0);
    for line in text.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 && line.ends_with("diff") => fence = Some(ticks),
            None => {
                // In a code span they are text; on their own they are ours.
                opened += usize::from(line.starts_with("<details><summary>"));
                closed += usize::from(line == "</details>");
                // Outside fences a mention can only stand in a code span.
                let outside: String =
                    line.split("<code>").map(|part| part.split_once("</code>").map_or(part, |(_, after)| after)).collect();
                assert!(!outside.contains(" @octocat") || outside.contains('`'), "{line}");
            }
        }
    }
    assert_eq!(fence, None);
    assert_eq!(opened, closed);
}

#[test]
fn a_thousand_failures_stay_readable() {
    let text = summary(&failing(1_000), 100);
    assert!(text.lines().count() < 700, "{}", text.lines().count());
    assert!(text.contains("… and 930 more failures"), "{text}");
    let outage = {
        let mut report = sample::report();
        let cell = report.cells.iter().find(|cell| *cell.address.case == *"contract-a").unwrap().clone();
        report.cells = vec![cell; 1_000];
        report
    };
    let text = summary(&outage, 100);
    assert_eq!(text.matches("overloaded_error").count(), 1, "one outage is told once: {text}");
    assert!(text.contains("1,000 cells: overloaded"), "{text}");
}

#[test]
fn no_text_is_so_long_that_it_fills_the_screen() {
    let text = summary(&filled(&"lorem ipsum ".repeat(2_000)), 80);
    assert!(text.len() < 200_000, "{}", text.len());
    let got = sample::assertions::failed("equals", "the text `ok`", &"one long line ".repeat(20_000), None);
    let mut report = sample::report();
    report.cells = vec![sample::cell("suite", "case", 1, "model", sample::fails(vec![got]))];
    let text = summary(&report, 80);
    assert!(text.lines().count() < 120, "{}", text.lines().count());
}

proptest! {
    // Each case renders a whole run three times.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_hidden_reaches_a_terminal_or_a_comment(text in prop_oneof![any::<String>(), Just(sample::HOSTILE.to_owned())], width in any::<u16>()) {
        let report = filled(&text);
        let shown = summary(&report, width);
        prop_assert!(!shown.chars().any(|c| c != '\n' && crate::model::hidden::is_hidden(c)));
        let page = written(Format::Markdown, &report);
        prop_assert!(page.encode_utf16().count() < 65_536);
        // The zero-width space is ours: it takes the meaning from a mention.
        let hidden = page.chars().any(|c| c != '\n' && c != '\u{200b}' && crate::model::hidden::is_hidden(c));
        prop_assert!(!hidden);
        prop_assert_eq!(page.matches("<!--").count(), 1);
    }
}

#[test]
fn a_headline_that_is_cut_keeps_both_sides_and_how_many_more_there_are() {
    let long = "`a reply of many words that goes on and on, and then some more of it until nobody reads any further` (235 characters)";
    let sample = sample::fails(vec![
        sample::assertions::failed("contains", "a text that contains `Kalender`", long, None),
        sample::assertions::failed("b", "c", "d", None),
    ]);
    assert!(finding::headline(&sample).ends_with("(235 characters) (and 1 more)"));
    insta::assert_snapshot!(finding::headline_in(&sample, 120), @"contains: expected a text that contains `Kalender`, got `a reply of many words that goes on and on, and…` (and 1 more)");
    let swapped = sample::fails(vec![sample::assertions::failed("one_of", long, "`no`", None)]);
    let told = finding::headline_in(&swapped, 100);
    assert!(told.starts_with("one_of: expected `a reply of many words") && told.ends_with("…`, got `no`"), "{told}");
    for room in 60..260 {
        assert!(finding::headline_in(&sample, room).chars().count() <= room);
    }
}

#[test]
fn no_output_commands_the_ci_system_that_prints_it() {
    let text = "::set-output name=x::y\n  ::error file=a::boom\nsee ##vso[task.setvariable variable=x]y, ##[group]";
    for width in [40, 60, 100] {
        let mut report = filled("plain");
        for sample in report.cells.iter_mut().flat_map(|cell| &mut cell.samples) {
            sample.assertions.push(sample::assertions::failed("a", text, text, Some(Diff::Text(text_diff("", text)))));
            if let Some(error) = &mut sample.error {
                error.message = text.to_owned();
            }
        }
        let summary = summary(&report, width);
        assert!(summary.contains("boom"), "{summary}");
        let obeyed = |line: &&str| line.trim_start().starts_with("::") || line.contains("##vso[") || line.contains("##[");
        assert_eq!(summary.lines().find(obeyed), None, "at {width} columns");
    }
}
