//! Is a merged run judged as the run that was split, and never green because a part is missing or foreign?

use proptest::prelude::*;

use super::*;
use crate::gate::exit::exit;
use crate::gate::judge::judge;
use crate::model::gate::{Exit, GateOutcome, SuitePolicy};
use crate::model::suite::OnChange;
use crate::model::verdict::Verdict;
use crate::runner::testing::cell;
use crate::runner::totals;

fn policy() -> SuitePolicy {
    SuitePolicy { name: "greetings".to_owned(), min_pass_rate: 0.5, on_change: OnChange::Fail, comparison: None }
}

fn report(shard: Option<Shard>, cells: Vec<CellResult>) -> RunReport {
    let info = RunInfo {
        id: "run".to_owned(),
        started_at: "2026-11-22T14:31:20Z".parse().unwrap(),
        duration_ms: 1,
        tool: "promptkeel".to_owned(),
        revision: None,
        endpoints: Vec::new(),
        simulated: false,
        shard,
        filtered: false,
    };
    let (policies, orphans, problems, carried) = (vec![policy()], Vec::new(), Vec::new(), Vec::new());
    let texts = Vec::new();
    let parts = Parts { info, policies, cells, texts, orphans, problems, baselines: Vec::new(), carried };
    assemble::report(parts, &RunFacts { shard, ..RunFacts::default() })
}

fn split(cells: &[CellResult], count: u32) -> Vec<RunReport> {
    let part = |index: u32| cells.iter().skip(index as usize - 1).step_by(count as usize).cloned().collect();
    (1..=count).map(|index| report(Some(Shard { index, count }), part(index))).collect()
}

fn passing(count: usize) -> Vec<CellResult> {
    (0..count).map(|number| cell(&format!("case-{number}"), Verdict::Pass)).collect()
}

fn verdicts() -> impl Strategy<Value = Vec<CellResult>> {
    let verdict = prop_oneof![Just(Verdict::Pass), Just(Verdict::Fail), Just(Verdict::Error), Just(Verdict::Skipped)];
    let cells = |verdicts: Vec<Verdict>| {
        verdicts.into_iter().enumerate().map(|(number, verdict)| cell(&format!("case-{number}"), verdict)).collect::<Vec<_>>()
    };
    proptest::collection::vec(verdict, 0..30).prop_map(cells)
}

proptest! {
    #[test]
    fn a_merged_run_is_the_run_that_was_split(cells in verdicts(), count in 1_u32..6) {
        let whole = report(None, cells.clone());
        let mut parts = split(&cells, count);
        parts.reverse();
        let merged = merge(parts, false).unwrap();
        prop_assert_eq!(&merged.cells, &whole.cells);
        prop_assert_eq!((merged.totals, merged.gates, merged.exit), (whole.totals, whole.gates, whole.exit));
    }

    #[test]
    fn planned_is_passed_and_failed_and_errored_and_skipped(cells in verdicts()) {
        let sums = totals::sum(&cells, 0);
        let groups = sums.models.iter().chain(&sums.suites).chain(&sums.versions).map(|group| &group.totals);
        for totals in groups.chain([&sums.totals]) {
            prop_assert_eq!(totals.planned, totals.passed + totals.failed + totals.errored + totals.skipped);
        }
        prop_assert_eq!(sums.totals.planned, cells.len() as u64);
        prop_assert_eq!(sums.suites.iter().map(|suite| suite.totals.planned).sum::<u64>(), cells.len() as u64);
    }

    #[test]
    fn a_run_holds_only_where_every_cell_of_a_strict_gate_passed(cells in verdicts()) {
        let strict = SuitePolicy { min_pass_rate: 1.0, ..policy() };
        let all_passed = cells.iter().all(|cell| cell.verdict == Verdict::Pass);
        let code = exit(&judge(&cells, &[strict], &RunFacts::default()));
        prop_assert_eq!(code == Exit::Holds, all_passed);
        let any_failed = cells.iter().any(|cell| cell.verdict == Verdict::Fail);
        prop_assert_eq!(code == Exit::Fails, any_failed);
    }
}

#[test]
fn a_missing_shard_is_a_missing_verdict_however_many_are_missing() {
    let cells = passing(8);
    let mut parts = split(&cells, 4);
    parts.drain(1..3);
    let merged = merge(parts, false).unwrap();
    assert_eq!(merged.exit, Exit::MissingVerdicts);
    assert!(merged.gates.iter().any(|gate| gate.outcome == GateOutcome::Missing && gate.message == "shards 2 to 3 of 4 are missing"));
    // A count that no machine could walk through is no reason to wait.
    let alone = vec![report(Some(Shard { index: 2, count: u32::MAX }), passing(1))];
    assert_eq!(merge(alone, false).unwrap().gates.iter().filter(|gate| gate.message.contains("missing")).count(), 2);
}

#[test]
fn parts_that_are_no_parts_of_one_split_are_refused() {
    let cells = passing(8);
    assert_eq!(merge(Vec::new(), false), Err(MergeError::Empty));
    let twice = vec![split(&cells, 2).remove(0), split(&cells, 2).remove(0)];
    assert_eq!(merge(twice, false), Err(MergeError::Twice(1)));
    let others = vec![split(&cells, 2).remove(0), split(&cells, 3).remove(1)];
    assert_eq!(merge(others, false), Err(MergeError::DifferentSplits(2, 3, 2)));
    let beyond = vec![report(Some(Shard { index: 3, count: 2 }), Vec::new())];
    assert_eq!(merge(beyond, false), Err(MergeError::NoSuchPart(3, 2)));
    // The second machine was given a filter that the first was not.
    let mut filtered = split(&cells, 2);
    filtered[1].cells.truncate(1);
    assert_eq!(merge(filtered, false), Err(MergeError::UnevenParts(1, 4, 2, 1)));
    let overlapping = vec![report(Some(Shard { index: 1, count: 2 }), passing(1)), report(Some(Shard { index: 2, count: 2 }), passing(1))];
    assert!(matches!(merge(overlapping, false), Err(MergeError::Overlap(_))));
}

#[test]
fn parts_that_did_not_ask_the_same_are_refused() {
    type Edit = fn(&mut CellResult);
    let file = |digest: &str| crate::model::suite::SourceFile { path: "data/rows.csv".into(), digest: digest.into() };
    let edits: [(Edit, &str); 3] = [
        (|cell| cell.digests.prompt = "b".into(), "the text of prompt `hello@1` of suite `greetings`"),
        (|cell| cell.digests.variables = "b".into(), "what case `greetings::case-0` has for variables"),
        (|cell| cell.digests.assertions = "b".into(), "what case `greetings::case-0` asserts"),
    ];
    let mut cells = passing(2);
    for cell in &mut cells {
        cell.address = Address { case: "case-0".into(), prompt: "hello".into(), version: 1, ..cell.address.clone() };
        let digests = &mut cell.digests;
        (digests.prompt, digests.variables, digests.assertions) = ("a".into(), "a".into(), "a".into());
        digests.fixtures = [file("a")].into();
    }
    cells[1].address.model = "another".into();
    assert!(merge(split(&cells, 2), false).is_ok());
    for (edit, told) in edits {
        let mut parts = split(&cells, 2);
        edit(&mut parts[1].cells[0]);
        assert_eq!(merge(parts, false), Err(MergeError::DifferentInputs(told.to_owned(), 1, 2)));
    }
    let mut parts = split(&cells, 2);
    parts[1].cells[0].digests.fixtures = [file("b")].into();
    let refused = merge(parts, false).unwrap_err();
    assert_eq!((refused.parts(), refused.to_string().contains("fixture `data/rows.csv`")), (Some([1, 2]), true));
}

#[test]
fn a_merged_bill_holds_what_is_in_no_cell() {
    let mut parts = split(&passing(2), 2);
    parts[1].bill.spent_usd = "0.25".parse().unwrap();
    parts[1].bill.unknown_attempts = 1;
    let bill = merge(parts, false).unwrap().bill;
    assert_eq!((bill.spent_usd, bill.unknown_attempts), ("0.25".parse().unwrap(), 1));
}

#[test]
fn what_only_a_shard_knows_is_carried_into_the_whole() {
    let mut parts = split(&passing(2), 2);
    let interrupted = RunFacts { interrupted: true, shard: parts[0].run.shard, ..RunFacts::default() };
    parts[0].gates = judge(&parts[0].cells, &[policy()], &interrupted);
    assert_eq!(merge(parts, false).unwrap().exit, Exit::Interrupted);
    let mut parts = split(&passing(2), 2);
    parts[1].cells[0].verdict = Verdict::Skipped;
    let limit = Some(std::time::Duration::from_secs(90));
    let timed_out = RunFacts { timed_out: limit, shard: parts[1].run.shard, ..RunFacts::default() };
    parts[1].gates = judge(&parts[1].cells, &[policy()], &timed_out);
    let whole = merge(parts, false).unwrap();
    assert_eq!(whole.exit, Exit::MissingVerdicts);
    assert_eq!(whole.gates.iter().filter(|gate| gate.message.starts_with("the run's time limit of 90s passed")).count(), 1);
}

#[test]
fn orphans_fail_the_whole_where_that_is_asked_for() {
    let parts = || {
        let mut parts = split(&[cell("ada", Verdict::Pass), cell("bob", Verdict::Pass)], 2);
        parts[1].orphans.push("snapshots/greetings/gone/claude-haiku-4-5.snap".to_owned());
        parts
    };
    assert_eq!(merge(parts(), false).unwrap().exit, Exit::Holds);
    assert_eq!(merge(parts(), true).unwrap().exit, Exit::Fails);
}

#[test]
fn what_improved_is_told_of_the_run_in_which_it_failed() {
    let mut parts = split(&passing(4), 4);
    for (part, run) in parts.iter_mut().zip(["monday", "tuesday", "monday"]) {
        let cells = part.cells.iter().map(|cell| cell.address.clone()).collect();
        part.improved = vec![Improved { run: run.to_owned(), revision: None, cells }];
    }
    let merged = merge(parts, false).unwrap();
    let told: Vec<(&str, Vec<&str>)> =
        merged.improved.iter().map(|one| (one.run.as_str(), one.cells.iter().map(|cell| &*cell.case).collect())).collect();
    assert_eq!(told, [("monday", vec!["case-0", "case-2"]), ("tuesday", vec!["case-1"])]);
}
