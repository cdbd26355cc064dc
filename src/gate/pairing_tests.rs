//! Is every case compared with itself, and with nothing else?

use serde_json::{Value, json};

use super::*;

/// A cell with a sample for each verdict. Its answers are nobody else's.
pub(crate) fn cell(address: (&str, &str, u32, &str), run: &str, verdicts: &[&str]) -> CellResult {
    let (suite, case, version, model) = address;
    let moment: u32 = run.bytes().map(u32::from).sum();
    let answered_at = format!("2026-11-22T14:31:20.{moment:06}Z");
    let sample = |(index, verdict): (usize, &&str)| {
        let error = json!({ "kind": "overloaded", "message": "529 overloaded" });
        let reply = json!({
            "text": format!("{verdict} of {run}"), "stop_reason": "end_turn", "usage": { "input_tokens": 10, "output_tokens": 5 },
            "cost_usd": "0.001", "uncached_cost_usd": "0.001", "latency_ms": 100, "served": "fresh", "simulated": false,
            "request_id": format!("{run}-{suite}-{case}-{version}-{model}-{index}"), "answered_at": answered_at, "attempts": []
        });
        let fail = json!({ "fail": { "expected": "a", "got": "b" } });
        let outcome = if *verdict == "fail" { fail } else { json!("pass") };
        json!({
            "index": index, "key": format!("{suite}-{case}-{version}-{model}-{index}"), "verdict": verdict,
            "reply": if *verdict == "error" { Value::Null } else { reply },
            "assertions": [{ "name": "equals", "severity": "fail", "outcome": outcome, "site": null }],
            "error": if *verdict == "error" { error } else { Value::Null }, "skipped": null
        })
    };
    let verdict = ["fail", "error"].into_iter().find(|verdict| verdicts.contains(verdict)).unwrap_or("pass");
    let cell = json!({
        "address": { "suite": suite, "case": case, "prompt": "p", "version": version, "model": model },
        "model_id": model, "endpoint": "e", "verdict": verdict, "gated": true, "side_by_side": false, "tags": [],
        "site": { "file": "s.yaml", "line": 1 }, "snapshot": { "state": "none" }, "snapshot_path": null,
        "digests": { "prompt": "", "variables": "v", "assertions": "a", "fingerprint": "", "fixtures": [] },
        "samples": verdicts.iter().enumerate().map(sample).collect::<Vec<_>>()
    });
    serde_json::from_value(cell).unwrap()
}

type Units = Vec<(String, Counts, Counts)>;
type Findings = Vec<(FindingKind, Vec<String>)>;

fn paired(across: Across, baseline: &[CellResult], candidate: &[CellResult]) -> (Units, Findings) {
    let pairs = pair(across, &baseline.iter().collect::<Vec<_>>(), &candidate.iter().collect::<Vec<_>>());
    let counted = pairs.comparable.into_iter().map(|pair| (pair.counted.case, pair.counted.baseline, pair.counted.candidate));
    (counted.collect(), pairs.findings.into_iter().map(|finding| (finding.kind, finding.cases)).collect())
}

#[test]
fn runs_are_paired_by_suite_case_and_model_whatever_the_version() {
    let baseline = [
        cell(("s", "a", 1, "m"), "one", &["pass"]),
        cell(("s", "a", 2, "m"), "one", &["pass", "fail"]),
        cell(("s", "a", 2, "n"), "one", &["pass"]),
    ];
    let candidate = [
        cell(("s", "a", 3, "n"), "two", &["fail"]),
        cell(("s", "a", 3, "m"), "two", &["pass", "pass"]),
        cell(("t", "a", 3, "m"), "two", &["pass"]),
    ];
    let (pairs, findings) = paired(Across::Runs, &baseline, &candidate);
    assert_eq!(
        pairs,
        [("s::a::m".to_owned(), Counts::new(1, 2), Counts::new(2, 2)), ("s::a::n".to_owned(), Counts::new(1, 1), Counts::new(0, 1))],
        "of two versions in an arm the newest counts"
    );
    assert_eq!(findings, [(FindingKind::OnlyCandidate, vec!["t::a".to_owned()])]);
}

#[test]
fn one_case_under_two_models_is_one_unit() {
    let arm = |run| {
        [cell(("s", "a", 1, "m"), run, &["pass"]), cell(("s", "a", 1, "n"), run, &["pass"]), cell(("s", "b", 1, "m"), run, &["pass"])]
    };
    let (one, two) = (arm("one"), arm("two"));
    let pairs = pair(Across::Runs, &one.iter().collect::<Vec<_>>(), &two.iter().collect::<Vec<_>>());
    let units: Vec<_> = pairs.comparable.iter().map(|pair| pair.counted.cluster.clone().unwrap()).collect();
    assert!(units[0] == units[1] && units[1] != units[2], "{units:?}");
}

#[test]
fn models_and_versions_are_paired_by_what_they_have_in_common() {
    let cells = [
        cell(("s", "a", 1, "m"), "one", &["pass"]),
        cell(("s", "a", 2, "m"), "one", &["fail"]),
        cell(("s", "a", 2, "n"), "one", &["pass"]),
    ];
    let (versions, findings) = paired(Across::Versions, &cells[..1], &cells[1..2]);
    assert_eq!((versions, findings.len()), (vec![("s::a".to_owned(), Counts::new(1, 1), Counts::new(0, 1))], 0));
    let (models, _) = paired(Across::Models, &cells[..2], &cells[2..]);
    assert_eq!(models, [("s::a".to_owned(), Counts::new(0, 1), Counts::new(1, 1))], "the newest version of both");
}

#[test]
fn what_is_not_the_same_is_named_and_left_out() {
    let same = || cell(("s", "a", 1, "m"), "two", &["pass"]);
    type Change = fn(&mut CellResult);
    let changed: [(FindingKind, Change); 5] = [
        (FindingKind::Variables, |cell| cell.digests.variables = "w".into()),
        (FindingKind::Assertions, |cell| cell.digests.assertions = "b".into()),
        (FindingKind::Fixtures, |cell| {
            cell.digests.fixtures = [crate::model::suite::SourceFile { path: "f".into(), digest: "d".into() }].into()
        }),
        (FindingKind::Model, |cell| cell.model_id = "other".into()),
        (FindingKind::Simulated, |cell| cell.samples[0].reply.as_mut().unwrap().simulated = true),
    ];
    for (kind, change) in changed {
        let mut candidate = same();
        change(&mut candidate);
        let (pairs, findings) = paired(Across::Runs, &[cell(("s", "a", 1, "m"), "one", &["pass"])], &[candidate]);
        assert_eq!((pairs.len(), findings), (0, vec![(kind, vec!["s::a".to_owned()])]));
    }
    let more = cell(("s", "a", 1, "m"), "two", &["pass", "fail"]);
    let (pairs, findings) = paired(Across::Runs, &[cell(("s", "a", 1, "m"), "one", &["pass"])], &[more]);
    assert_eq!((pairs.len(), findings[0].0), (1, FindingKind::Samples), "rates of other numbers of samples can be compared");
}

#[test]
fn an_error_is_no_failure_and_a_replayed_answer_is_no_evidence() {
    let baseline = [
        cell(("s", "a", 1, "m"), "one", &["pass", "error"]),
        cell(("s", "b", 1, "m"), "one", &["pass"]),
        cell(("s", "c", 1, "m"), "one", &["pass"]),
    ];
    let candidate = [
        cell(("s", "a", 1, "m"), "two", &["pass", "pass"]),
        cell(("s", "b", 1, "m"), "two", &["error"]),
        cell(("s", "c", 1, "m"), "one", &["pass"]),
    ];
    let (pairs, findings) = paired(Across::Runs, &baseline, &candidate);
    assert_eq!(pairs[0], ("s::a".to_owned(), Counts::new(1, 1), Counts::new(2, 2)));
    assert_eq!(pairs[1], ("s::b".to_owned(), Counts::new(1, 1), Counts::new(0, 0)));
    assert_eq!(findings, [(FindingKind::SameAnswers, vec!["s::c".to_owned()]), (FindingKind::NoVerdictCandidate, vec!["s::b".to_owned()])]);
}

fn counted(baseline: &[CellResult], candidate: &[CellResult]) -> Vec<PairedCase> {
    let pairs = pair(Across::Runs, &baseline.iter().collect::<Vec<_>>(), &candidate.iter().collect::<Vec<_>>());
    pairs.comparable.into_iter().map(|pair| pair.counted).collect()
}

#[test]
fn cases_that_hang_together_by_way_of_a_third_are_one_unit() {
    // `a` and `c` ask nothing alike, but the baseline asks `b` as `a`, and the candidate asks `b` as `c`.
    let arm = |run, asked: [&str; 3]| -> Vec<CellResult> {
        let asking = |(case, asked): (&str, &str)| {
            let mut cell = cell(("s", case, 1, "m"), run, &["pass"]);
            cell.samples[0].key = asked.to_owned();
            cell
        };
        ["a", "c", "b"].into_iter().zip(asked).map(asking).collect()
    };
    let units: Vec<_> =
        counted(&arm("one", ["x", "y", "x"]), &arm("two", ["v", "w", "w"])).into_iter().map(|case| case.cluster.unwrap()).collect();
    assert_eq!(units, ["s::a", "s::a", "s::a"]);
}

#[test]
fn arms_of_a_unit_of_several_cases_are_cut_to_equally_many_samples() {
    let baseline = [cell(("s", "a", 1, "m"), "one", &["pass"; 3]), cell(("s", "a", 1, "n"), "one", &["fail"; 3])];
    let candidate =
        [cell(("s", "a", 1, "m"), "two", &["fail", "error", "pass", "pass", "fail"]), cell(("s", "a", 1, "n"), "two", &["pass"; 3])];
    let arms = |counted: Vec<PairedCase>| counted.into_iter().map(|case| (case.baseline, case.candidate)).collect::<Vec<_>>();
    let cut = (Counts::new(3, 3), Counts::new(2, 3));
    assert_eq!(arms(counted(&baseline, &candidate)), [cut, (Counts::new(0, 3), Counts::new(3, 3))], "the first three with a verdict");
    assert_eq!(arms(counted(&baseline[..1], &candidate[..1])), [(Counts::new(3, 3), Counts::new(2, 4))], "a case of its own keeps all");
}

#[test]
fn a_declared_cluster_is_one_unit_in_its_suite_and_in_no_other() {
    let arm = |run| -> Vec<CellResult> {
        let of = |(suite, case, cluster): (&str, &str, Option<&str>)| {
            let mut cell = cell((suite, case, 1, "m"), run, &["pass"]);
            cell.cluster = cluster.map(Into::into);
            cell
        };
        [("s", "a", Some("handbook")), ("s", "b", None), ("s", "c", Some("handbook")), ("t", "d", Some("handbook"))].map(of).into()
    };
    let units: Vec<_> = counted(&arm("one"), &arm("two")).into_iter().map(|case| case.cluster.unwrap()).collect();
    assert_eq!(units, ["s::a", "s::b", "s::a", "t::d"]);
}
