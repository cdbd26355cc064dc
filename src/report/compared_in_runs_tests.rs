//! Does every report of a run say what its comparison came to? The files beside this one are read by people whenever they change.

use serde_json::json;

use super::tests::{SENTENCE, compared};
use crate::model::baseline::{ComparisonStanding, SuiteComparison};
use crate::model::gate::{Exit, GateKind, GateOutcome, GateResult};
use crate::model::run::RunReport;
use crate::model::side_by_side::{Cheapest, FindingKind};
use crate::report::style::Style;
use crate::report::{Format, sample, terminal};

/// A run whose suites were held against a baseline, which one of them does not know, and whose models against one another.
fn report() -> RunReport {
    let said = |claim: &str| format!("{claim} {}", SENTENCE.split_once(" on ").map_or("", |(_, rest)| rest));
    let undecided = "undecided on 12 cases x 3 samples (difference -11.1 points, 93.9 % interval -24.9 to +1.0, margin 5): about 6 samples per \
                     case would narrow the interval enough; 6 samples per case are 72 more samples of 12 cases, about $0.43";
    let mut worse = compared("regressed", "worse on 60 cases x 3 samples (difference -30 points, 90 % interval -38 to -22, margin 5)");
    worse.comparisons[0].validity.retain(|finding| finding.kind == FindingKind::Samples);
    let of = |suite: &str, baseline: &str, standing, mut arms: Vec<_>, message: String| SuiteComparison {
        suite: suite.to_owned(),
        baseline: baseline.to_owned(),
        model: None,
        standing,
        compared: arms.pop(),
        gap: None,
        left_out: Vec::new(),
        cheapest: None,
        message,
    };
    let base = "model:claude-sonnet-4-6";
    let mut haiku = of(
        "models",
        base,
        ComparisonStanding::NotWorse,
        compared("not_worse", SENTENCE).comparisons,
        said("claude-haiku-4-5 is not worse than claude-sonnet-4-6 on"),
    );
    haiku.model = Some("claude-haiku-4-5".to_owned());
    haiku.cheapest =
        Some(Cheapest { against: "claude-sonnet-4-6".to_owned(), model: haiku.model.clone(), candidates: 1, ..Cheapest::default() });
    let comparisons = vec![
        of(
            "ticket-triage",
            "git:main",
            ComparisonStanding::Regressed,
            worse.comparisons,
            said("ticket-triage@3 is worse than ticket-triage@2 on"),
        ),
        of(
            "support-answers",
            "git:main",
            ComparisonStanding::Undecided,
            compared("undecided", undecided).comparisons,
            "undecided".to_owned(),
        ),
        of(
            "extraction",
            "git:main",
            ComparisonStanding::New,
            Vec::new(),
            "the baseline git:main does not have this suite: it is new".to_owned(),
        ),
        haiku,
    ];
    let gates = comparisons.iter().map(|comparison| GateResult {
        kind: GateKind::Comparison,
        suite: Some(comparison.suite.clone()),
        model: None,
        outcome: match comparison.standing {
            ComparisonStanding::Regressed => GateOutcome::Fail,
            ComparisonStanding::Undecided => GateOutcome::Undecided,
            _ => GateOutcome::Pass,
        },
        message: comparison.message.clone(),
    });
    RunReport { gates: gates.collect(), comparisons, exit: Exit::Fails, ..sample::simulated() }
}

fn written(format: Format) -> String {
    let mut out = Vec::new();
    crate::report::write(format, &report(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// From the first line with `start` to the last with `end`.
fn between(text: &str, start: &str, end: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.contains(start)).unwrap_or_else(|| panic!("{start:?} is missing: {text}"));
    let last = lines.iter().rposition(|line| line.contains(end)).unwrap_or_else(|| panic!("{end:?} is missing: {text}"));
    lines[first..=last].join("\n")
}

#[test]
fn the_screen_says_each_verdict_before_its_figures() {
    let mut out = Vec::new();
    terminal::summary(&report(), &mut out, Style { colour: false, width: 110 }).unwrap();
    insta::assert_snapshot!(between(&String::from_utf8(out).unwrap(), "compared  ticket-triage", "undecided  support-answers"));
}

/// The job summary of GitHub is this page.
#[test]
fn markdown_begins_with_the_sentences() {
    insta::assert_snapshot!(between(&written(Format::Markdown), "<!--", "### "));
}

#[test]
fn junit_has_the_figures_in_the_properties_of_each_gate() {
    let junit = written(Format::Junit { strict: false });
    insta::assert_snapshot!(between(&junit, "name=\"gate\" classname=\"ticket-triage\"", "</testsuites>"));
}

#[test]
fn json_has_all_of_it() {
    let json: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
    let told: Vec<_> =
        json["comparisons"].as_array().unwrap().iter().map(|one| (&one["suite"], &one["standing"], one["compared"].is_object())).collect();
    assert_eq!(
        told,
        [
            (&json!("ticket-triage"), &json!("regressed"), true),
            (&json!("support-answers"), &json!("undecided"), true),
            (&json!("extraction"), &json!("new"), false),
            (&json!("models"), &json!("not_worse"), true),
        ]
    );
    assert_eq!(json["comparisons"][3]["cheapest"]["model"], "claude-haiku-4-5");
}

#[test]
fn the_page_has_a_panel_for_each_that_needs_no_script() {
    let page = written(Format::Html);
    insta::assert_snapshot!(between(&page, "<div id=\"compared\">", "</section>"));
    assert_eq!(page.matches("<script").count(), 2, "nothing of an output became one");
}
