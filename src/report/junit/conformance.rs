//! Do readers that know nothing of us read our JUnit, whatever is in a report?

use std::sync::Arc;

use proptest::prelude::*;
use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use roxmltree::{Document, Node};

use crate::model::gate::{Exit, GateKind, GateOutcome, GateResult};
use crate::model::run::RunReport;
use crate::model::suite::OnChange;
use crate::model::verdict::{SnapshotState, Verdict};
use crate::report::sample;

fn junit(report: &RunReport, strict: bool) -> String {
    let mut out = Vec::new();
    super::write(report, strict, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn count(node: Node<'_, '_>, attribute: &str) -> usize {
    node.attribute(attribute).unwrap().parse().unwrap()
}

/// Cases below a node that have this element.
fn with(node: Node<'_, '_>, element: &str) -> usize {
    let cases = node.descendants().filter(|case| case.has_tag_name("testcase"));
    cases.filter(|case| case.children().any(|child| child.has_tag_name(element))).count()
}

fn check_counts(text: &str) {
    let document = Document::parse(text).unwrap();
    let root = document.root_element();
    for node in root.descendants().filter(|node| node.has_tag_name("testsuite")).chain([root]) {
        assert_eq!(count(node, "tests"), node.descendants().filter(|case| case.has_tag_name("testcase")).count());
        assert_eq!(count(node, "failures"), with(node, "failure"));
        assert_eq!(count(node, "errors"), with(node, "error"));
        if node.has_attribute("skipped") {
            assert_eq!(count(node, "skipped"), with(node, "skipped"));
        }
        for case in node.children().filter(|case| case.has_tag_name("testcase")) {
            let verdicts = case.children().filter(|child| ["failure", "error", "skipped"].contains(&child.tag_name().name()));
            assert!(verdicts.count() <= 1, "one case, one verdict");
        }
    }
}

/// What another program, written by other people, reads out of it.
fn check_with_quick_junit(text: &str) {
    let read = Report::deserialize_from_str(text).unwrap();
    let cases = || read.test_suites.iter().flat_map(|suite| &suite.test_cases);
    let of = |wanted: NonSuccessKind| {
        cases().filter(|case| matches!(case.status, TestCaseStatus::NonSuccess { kind, .. } if kind == wanted)).count()
    };
    assert_eq!(read.tests, cases().count());
    assert_eq!(read.failures, of(NonSuccessKind::Failure));
    assert_eq!(read.errors, of(NonSuccessKind::Error));
    let skipped = cases().filter(|case| matches!(case.status, TestCaseStatus::Skipped { .. })).count();
    assert_eq!(read.test_suites.iter().map(|suite| suite.skipped).sum::<usize>(), skipped);
}

/// The rules of `junit-10.xsd` (Jenkins xunit plugin), written down from reading it: element, its attributes (`!` = required), its children.
const JENKINS: [(&str, &[&str], &[&str]); 14] = [
    ("testsuites", &["name", "time", "tests", "failures", "errors"], &["testsuite"]),
    (
        "testsuite",
        &[
            "name!",
            "tests!",
            "failures!",
            "errors!",
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
    ),
    (
        "testcase",
        &["name!", "time", "classname", "group"],
        &["skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out", "system-err"],
    ),
    ("properties", &[], &["property"]),
    ("property", &["name!", "value!"], &[]),
    ("failure", &["type", "message"], &[]),
    ("error", &["type", "message"], &[]),
    ("skipped", &["type", "message"], &[]),
    ("rerunFailure", &["message", "type!"], &["stackTrace", "system-out", "system-err"]),
    ("rerunError", &["message", "type!"], &["stackTrace", "system-out", "system-err"]),
    ("flakyFailure", &["message", "type!"], &["stackTrace", "system-out", "system-err"]),
    ("flakyError", &["message", "type!"], &["stackTrace", "system-out", "system-err"]),
    ("system-out", &[], &[]),
    ("stackTrace", &[], &[]),
];
/// Elements that may hold text beside their children.
const MIXED: [&str; 9] =
    ["failure", "error", "skipped", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out", "stackTrace"];

fn breaches_of_jenkins(text: &str) -> Vec<String> {
    let document = Document::parse(text).unwrap();
    let mut breaches = Vec::new();
    if !document.root_element().has_tag_name("testsuites") {
        breaches.push("the root is not `testsuites`".to_owned());
    }
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let Some((_, attributes, children)) = JENKINS.iter().find(|(known, ..)| *known == name) else {
            breaches.push(format!("unknown element `{name}`"));
            continue;
        };
        for attribute in node.attributes().filter(|found| !attributes.iter().any(|known| known.trim_end_matches('!') == found.name())) {
            breaches.push(format!("`{name}` may not have `{}`", attribute.name()));
        }
        for required in attributes.iter().filter_map(|known| known.strip_suffix('!')).filter(|required| !node.has_attribute(*required)) {
            breaches.push(format!("`{name}` lacks `{required}`"));
        }
        for child in node.children() {
            if child.is_element() && !children.contains(&child.tag_name().name()) {
                breaches.push(format!("`{name}` may not hold `{}`", child.tag_name().name()));
            }
            if child.is_text() && !MIXED.contains(&name) && !child.text().unwrap_or_default().trim().is_empty() {
                breaches.push(format!("`{name}` may not hold text"));
            }
        }
        // SUREFIRE_TIME: digits in groups, a fraction.
        if let Some(time) =
            node.attribute("time").filter(|time| time.split('.').count() > 2 || !time.chars().all(|c| c.is_ascii_digit() || c == '.'))
        {
            breaches.push(format!("`{time}` is no time"));
        }
    }
    breaches
}

#[test]
fn the_sample_is_read_back_with_the_counts_that_it_says() {
    for report in [sample::report(), sample::simulated()] {
        for strict in [false, true] {
            check_counts(&junit(&report, strict));
        }
        check_with_quick_junit(&junit(&report, false));
    }
}

#[test]
fn the_strict_form_keeps_to_the_jenkins_schema_and_the_usual_one_does_not() {
    assert_eq!(breaches_of_jenkins(&junit(&sample::report(), true)), Vec::<String>::new());
    let usual = breaches_of_jenkins(&junit(&sample::report(), false)).join("\n");
    for expected in ["`testcase` may not have `file`", "`testcase` may not hold `properties`", "`testsuites` may not have `skipped`"] {
        assert!(usual.contains(expected), "{usual}");
    }
}

#[test]
fn what_the_gate_tolerates_is_no_failure() {
    let mut report = sample::report();
    report.cells.retain(|cell| !cell.gated || *cell.address.suite == *"support-answers");
    report.gates.retain(|gate| gate.outcome == GateOutcome::Pass);
    report.exit = Exit::Holds;
    let text = junit(&report, false);
    let document = Document::parse(&text).unwrap();
    assert!(report.cells.iter().filter(|cell| cell.verdict == Verdict::Fail).count() >= 5);
    assert_eq!(count(document.root_element(), "failures"), 0);
    assert_eq!(count(document.root_element(), "errors"), 0);
    assert_eq!(count(document.root_element(), "skipped"), 5);
}

#[test]
fn a_changed_snapshot_fails_where_it_fails_the_gate_and_only_there() {
    let cells = |on_change| {
        let mut report = sample::simulated();
        report.policies.iter_mut().for_each(|policy| policy.on_change = on_change);
        report.cells.truncate(1);
        report.cells[0].snapshot = SnapshotState::New { reason: None };
        let outcome = if on_change == OnChange::Fail { GateOutcome::Fail } else { GateOutcome::Pass };
        let suite = Some(report.cells[0].address.suite.to_string());
        report.gates = vec![GateResult { kind: GateKind::Snapshots, suite, model: None, outcome, message: "snapshots: 1 new".to_owned() }];
        junit(&report, true)
    };
    assert_eq!(Report::deserialize_from_str(&cells(OnChange::Fail)).unwrap().failures, 2, "the case and its gate");
    let tolerated = cells(OnChange::Warn);
    assert_eq!(Report::deserialize_from_str(&tolerated).unwrap().failures, 0);
    assert!(tolerated.contains("<system-out>snapshot new"), "{tolerated}");
}

#[test]
fn a_run_that_ended_badly_is_never_a_file_without_a_failure() {
    for exit in [Exit::NothingSelected, Exit::Interrupted, Exit::NotWritten, Exit::Fails] {
        let mut report = sample::simulated();
        (report.exit, report.gates) = (exit, Vec::new());
        assert_eq!(Report::deserialize_from_str(&junit(&report, false)).unwrap().failures, 1, "{exit:?}");
    }
}

#[test]
fn a_passing_case_carries_no_output() {
    let text = junit(&sample::passing(3), false);
    assert!(!text.contains("system-out") && !text.contains("twice"), "{text}");
}

#[test]
fn the_cells_own_failure_is_not_told_again_as_a_rerun() {
    let mut report = sample::report();
    report.gates.clear();
    let text = junit(&report, false);
    let document = Document::parse(&text).unwrap();
    let case = document.descendants().find(|node| node.attribute("name") == Some("angry-customer")).unwrap();
    let names: Vec<_> = case.children().filter(Node::is_element).map(|child| child.tag_name().name()).collect();
    assert_eq!(names, ["properties", "failure", "rerunFailure", "rerunError"], "two of four samples failed, one had no answer");
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), Just(sample::HOSTILE.to_owned()), "[\\x00-\\x20<>&\"'\\]\u{fffe}\u{ffff}\u{85}a]{0,40}"]
}

proptest! {
    // Each case writes and reads a whole run twice.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_in_any_field_breaks_the_document(texts in proptest::collection::vec(anything(), 12), strict in any::<bool>()) {
        let mut report = sample::report();
        let [suite, case, prompt, model, file, name, expected, got, message, id, hint, path] = texts.try_into().unwrap();
        (report.run.id, report.run.tool, report.run.revision) = (id.clone(), name.clone(), Some(got.clone()));
        for cell in &mut report.cells {
            let address = &mut cell.address;
            (address.suite, address.case, address.prompt, address.model) = (Arc::from(&*suite), Arc::from(&*case), Arc::from(&*prompt), Arc::from(&*model));
            (cell.model_id, cell.site.file, cell.snapshot_path) = (Arc::from(&*got), Arc::from(&*file), Some(Arc::from(&*path)));
            if let SnapshotState::Changed { accepted_prompt, notes, .. } = &mut cell.snapshot {
                (*accepted_prompt, *notes) = (message.clone(), vec![got.clone()]);
            }
            for sample in &mut cell.samples {
                sample.assertions.push(sample::assertions::failed(&name, &expected, &got, None));
                if let Some(error) = &mut sample.error {
                    (error.message, error.hint) = (message.clone(), Some(hint.clone()));
                }
                if let Some(reply) = &mut sample.reply {
                    (reply.text, reply.request_id, reply.stop_reason) = (got.clone(), Some(id.clone()), message.clone().into());
                }
            }
        }
        for gate in &mut report.gates {
            (gate.suite, gate.model, gate.message) = (Some(suite.clone()), Some(model.clone()), message.clone());
        }
        let text = junit(&report, strict);
        check_counts(&text);
        if strict {
            prop_assert_eq!(breaches_of_jenkins(&text), Vec::<String>::new());
        } else {
            check_with_quick_junit(&text);
        }
    }
}
