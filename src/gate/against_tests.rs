//! Does each suite's gate say what its comparison came to, and nothing more than the verdicts allow?

use super::*;
use crate::gate::pairing::tests::cell;
use crate::model::suite::OnChange;

/// So many cases of three samples; the first `broken` of them never pass.
fn cells(version: u32, run: &str, cases: usize, broken: usize) -> Vec<CellResult> {
    let verdicts = |index| if index < broken { ["fail"; 3] } else { ["pass"; 3] };
    (0..cases).map(|index| cell(("s", &format!("c{index}"), version, "m"), run, &verdicts(index))).collect()
}

fn baseline(cells: Vec<CellResult>) -> Baseline {
    let reference = "main.json".to_owned();
    Baseline { reference, cells, ..Baseline::default() }
}

fn policy(suite: &str) -> SuitePolicy {
    let comparison = ComparisonAsked { baseline: "main.json".to_owned(), margin: 0.05, alpha: 0.05, decides: false };
    SuitePolicy { name: suite.to_owned(), min_pass_rate: 0.0, on_change: OnChange::Warn, comparison: Some(comparison) }
}

fn of(candidate: &[CellResult], baseline: &Baseline) -> SuiteComparison {
    let mut found = compare(candidate, &[policy("s")], std::slice::from_ref(baseline), false);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[test]
fn a_verdict_becomes_a_gate_with_its_sentence() {
    let base = baseline(cells(1, "one", 60, 0));
    for (candidate, standing, outcome, said) in [
        (cells(2, "two", 60, 30), ComparisonStanding::Regressed, GateOutcome::Fail, "p@2 is worse than p@1 on 60 cases x 3 samples"),
        (cells(2, "two", 60, 0), ComparisonStanding::NotWorse, GateOutcome::Pass, "p@2 is not worse than p@1 on 60 cases"),
        (
            cells(1, "two", 60, 1),
            ComparisonStanding::Undecided,
            GateOutcome::Undecided,
            "undecided whether this run is worse than main.json on 60",
        ),
        (
            cells(1, "one", 60, 0),
            ComparisonStanding::Unchanged,
            GateOutcome::Pass,
            "unchanged since main.json: the very same answers in 60 cases",
        ),
    ] {
        let found = of(&candidate, &base);
        assert_eq!(found.standing, standing, "{}", found.message);
        let gate = &gates(&[found])[0];
        assert_eq!((gate.kind, gate.outcome), (GateKind::Comparison, outcome));
        assert!(gate.message.starts_with(said), "{}", gate.message);
    }
}

#[test]
fn what_is_worse_only_by_verdicts_that_are_missing_does_not_fail() {
    let base = baseline(cells(1, "one", 20, 0));
    let lost = |errors: usize| {
        let mut candidate = cells(2, "two", 20, 6);
        for (index, one) in candidate.iter_mut().enumerate().skip(6).take(errors) {
            *one = cell(("s", &format!("c{index}"), 2, "m"), "two", &["error"; 3]);
        }
        of(&candidate, &base).standing
    };
    assert_eq!(lost(0), ComparisonStanding::Regressed);
    assert_eq!(lost(13), ComparisonStanding::Regressed, "six lost cases are shown whatever the others would say");
    // Two of three passed before; now one sample failed and two never came: they may have passed.
    let usual = ["pass", "pass", "fail"];
    let verdicts = |n| if n < 8 { usual } else { ["fail", "error", "error"] };
    let candidate: Vec<CellResult> = (0..20).map(|n| cell(("s", &format!("c{n}"), 2, "m"), "two", &verdicts(n))).collect();
    let before = (0..20).map(|n| cell(("s", &format!("c{n}"), 1, "m"), "one", &usual)).collect();
    let found = of(&candidate, &baseline(before));
    assert_eq!(found.standing, ComparisonStanding::Missing, "{}", found.message);
    assert_eq!(gates(&[found])[0].outcome, GateOutcome::Missing);
}

#[test]
fn models_that_only_inform_are_in_no_comparison() {
    let mut candidate = cells(2, "two", 60, 0);
    let informs: Vec<CellResult> =
        (0..60).map(|index| CellResult { gated: false, ..cell(("s", &format!("c{index}"), 2, "small"), "two", &["fail"; 3]) }).collect();
    candidate.extend(informs);
    let mut before = cells(1, "one", 60, 0);
    before.extend((0..60).map(|index| cell(("s", &format!("c{index}"), 1, "small"), "one", &["pass"; 3])));
    let found = of(&candidate, &baseline(before));
    assert_eq!(found.standing, ComparisonStanding::NotWorse, "{}", found.message);
    let validity = found.compared.unwrap().validity;
    assert_eq!((validity.len(), validity[0].kind, validity[0].cases.len()), (1, FindingKind::Informs, 60), "named, and not compared");
}

#[test]
fn the_same_answer_judged_in_another_way_is_not_unchanged() {
    let base = baseline(cells(1, "one", 60, 0));
    let found = of(&cells(1, "one", 60, 1), &base);
    assert_eq!(found.standing, ComparisonStanding::Undecided, "{}", found.message);
    assert!(found.message.contains("1 case fails and is compared with nothing: s::c0"), "{}", found.message);
}

#[test]
fn more_samples_of_the_same_request_are_no_other_answers_of_the_baseline() {
    let base = baseline(cells(1, "one", 60, 0));
    let grown = |last: &str| -> Vec<CellResult> {
        let mut candidate = cells(1, "one", 60, 0);
        candidate[7] = cell(("s", "c7", 1, "m"), "one", &["pass", "pass", "pass", last]);
        candidate
    };
    assert_eq!(of(&grown("pass"), &base).standing, ComparisonStanding::Unchanged);
    let found = of(&grown("fail"), &base);
    assert_eq!(found.standing, ComparisonStanding::Undecided, "{}", found.message);
    assert!(found.message.contains("1 case fails and is compared with nothing: s::c7"), "{}", found.message);
}

#[test]
fn a_baseline_that_is_not_in_the_report_lets_nothing_pass() {
    let found = compare(&cells(1, "two", 60, 0), &[policy("s")], &[], false);
    assert_eq!((found.len(), found[0].standing), (1, ComparisonStanding::Undecided), "{found:?}");
}

#[test]
fn less_than_half_of_a_suite_is_not_enough() {
    let base = baseline(cells(1, "one", 60, 0));
    let mut candidate = cells(2, "two", 120, 0);
    assert_eq!(of(&candidate[..119], &base).standing, ComparisonStanding::NotWorse);
    let found = of(&candidate, &base);
    assert_eq!(found.standing, ComparisonStanding::Undecided, "{}", found.message);
    assert!(found.message.contains("only 60 cases of 120 can be held against the baseline"), "{}", found.message);
    assert_eq!(found.gap.as_deref(), Some("only 60 cases of 120 can be held against the baseline"));
    candidate[0] = cell(("s", "c0", 2, "m"), "two", &["fail"; 3]);
    assert_eq!(of(&candidate[..60], &base).gap, None, "what is compared has a verdict of its own");
}

#[test]
fn nothing_to_compare_is_new_or_undecided_and_never_silent() {
    let base = baseline(cells(1, "one", 10, 0));
    let other: Vec<CellResult> = (0..3).map(|index| cell(("t", &format!("c{index}"), 1, "m"), "two", &["pass"])).collect();
    let found = compare(&other, &[policy("s"), policy("t")], std::slice::from_ref(&base), false);
    assert_eq!((found.len(), found[0].standing), (1, ComparisonStanding::New), "{}", found[0].message);
    let mut changed = cells(2, "two", 10, 0);
    changed.iter_mut().for_each(|cell| cell.digests.assertions = "others".into());
    let found = of(&changed, &base);
    assert_eq!(found.standing, ComparisonStanding::Undecided);
    assert!(found.message.contains("other assertions (10 cases)"), "{}", found.message);
    let shared = compare(&changed, &[SuitePolicy { comparison: None, ..policy("s") }], &[base], false);
    assert_eq!(shared, [], "a suite that asks for nothing is compared with nothing");
}

/// A suite of so many noisy cases, of which as many lost one sample of three as won one, or lost more.
fn noisy(suite: &str, version: u32, run: &str, lost: usize) -> Vec<CellResult> {
    let verdicts = |index: usize| if version == 2 && index < lost { ["pass", "pass", "fail"] } else { ["pass"; 3] };
    (0..30).map(|index| cell((suite, &format!("c{index}"), version, "m"), run, &verdicts(index))).collect()
}

#[test]
fn suites_of_one_run_share_alpha_where_they_block() {
    // Six lost samples of thirty cases come to a p of 1/128: below 1/40 for one suite, above 1/320 for each of eight.
    let names: Vec<String> = (0..8).map(|suite| format!("s{suite}")).collect();
    let compared = |suites: usize, lost: fn(usize) -> usize| -> Vec<ComparisonStanding> {
        let suites = || names[..suites].iter().enumerate();
        let before = suites().flat_map(|(_, name)| noisy(name, 1, "one", 0)).collect();
        let now: Vec<CellResult> = suites().flat_map(|(place, name)| noisy(name, 2, "two", lost(place))).collect();
        let policies: Vec<SuitePolicy> = suites().map(|(_, name)| policy(name)).collect();
        compare(&now, &policies, &[baseline(before)], false).into_iter().map(|one| one.standing).collect()
    };
    assert_eq!(compared(1, |_| 6), [ComparisonStanding::Regressed]);
    assert_eq!(compared(8, |_| 6), [ComparisonStanding::Undecided; 8], "eight times as many chances");
    // One that is shown beyond doubt leaves its part to the others.
    assert_eq!(compared(2, |place| if place == 0 { 20 } else { 5 })[0], ComparisonStanding::Regressed);
    assert_eq!(
        compared(2, |place| if place == 0 { 20 } else { 5 })[1],
        ComparisonStanding::Regressed,
        "1/64 is below 1/40, not below 1/80"
    );
    assert_eq!(compared(2, |_| 5), [ComparisonStanding::Undecided; 2]);
}
