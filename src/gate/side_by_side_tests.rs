//! Does the comparison of two arms say what their cells came to?

use super::*;
use crate::gate::pairing::tests::cell;
use crate::model::assertion::AssertionSeverity;
use crate::model::comparison::{ComparisonPolicy, ComparisonVerdict};

const AVERAGE: ComparisonPolicy = ComparisonPolicy { alpha: 0.05, margin: 0.05, local: None, look: None, family: 1 };

fn arm(name: &str, cells: &[CellResult]) -> ArmCells<'static> {
    let cells: &'static [CellResult] = Vec::leak(cells.to_vec());
    ArmCells { name: name.to_owned(), run: name.to_owned(), cells: cells.iter().collect() }
}

/// So many cases of three samples; the first `broken` of them never pass.
fn cells(model: &str, run: &str, cases: usize, broken: usize) -> Vec<CellResult> {
    let verdicts = |index| if index < broken { ["fail"; 3] } else { ["pass"; 3] };
    (0..cases).map(|index| cell(("s", &format!("c{index}"), 1, model), run, &verdicts(index))).collect()
}

fn priced(mut cells: Vec<CellResult>, cost: &str) -> Vec<CellResult> {
    let replies = cells.iter_mut().flat_map(|cell| &mut cell.samples).filter_map(|sample| sample.reply.as_mut());
    replies.for_each(|reply| reply.cost_usd = Some(cost.parse().unwrap()));
    cells
}

#[test]
fn the_worst_case_comes_first_with_the_samples_that_show_it() {
    let mut candidate = cells("m", "two", 60, 1);
    candidate[5] = cell(("s", "c5", 1, "m"), "two", &["pass", "fail", "pass"]);
    let compared = compare(Across::Runs, &arm("one", &cells("m", "one", 60, 0)), &arm("two", &candidate), AVERAGE).unwrap();
    let cases: Vec<_> = compared.differing.iter().map(|case| case.case.as_str()).collect();
    assert_eq!(cases, ["s::c0", "s::c5"]);
    let shown = compared.differing[1].shown.as_ref().unwrap();
    assert_eq!((shown.baseline_sample, shown.candidate_sample), (0, 1));
    assert_eq!((shown.baseline_output.as_str(), shown.candidate_output.as_str()), ("pass of one", "fail of two"));
    assert_eq!(shown.failed.as_ref().unwrap().name, "equals");
    assert_eq!((compared.candidate.counts, compared.candidate.replies), (Counts::new(176, 180), 180));
    assert_eq!(compared.candidate.cost_per_1000_calls_usd, Some("1".parse().unwrap()));
    assert_eq!(compared.other_outputs, 58);
}

#[test]
fn a_gate_tells_worse_undecided_missing_and_critical_apart() {
    let compared = |candidate: Vec<CellResult>| {
        compare(Across::Runs, &arm("one", &cells("m", "one", 60, 0)), &arm("two", &candidate), AVERAGE).unwrap()
    };
    let exit_of = |candidate| exit(&compared(candidate));
    assert_eq!(exit_of(cells("m", "two", 60, 0)), Exit::Holds);
    assert_eq!(exit_of(cells("m", "two", 60, 20)), Exit::Fails);
    assert_eq!(exit_of(cells("m", "two", 60, 2)), Exit::Undecided);
    let mut missing = cells("m", "two", 60, 0);
    missing[7] = cell(("s", "c7", 1, "m"), "two", &["error"; 3]);
    assert_eq!(exit_of(missing), Exit::MissingVerdicts);
    let mut critical = cells("m", "two", 100, 1);
    critical[0].samples[0].assertions[0].severity = AssertionSeverity::Critical;
    let compared = compared(critical);
    assert_eq!((compared.critical.as_slice(), exit(&compared)), (&["s::c0".to_owned()][..], Exit::Fails));
}

#[test]
fn a_critical_failure_counts_where_its_case_is_not_compared() {
    let changed = |assertions: &str, id: &str| {
        let mut candidate = cells("m", "two", 60, 0);
        candidate[3] = cell(("s", id, 1, "m"), "two", &["pass", "pass", "fail"]);
        candidate[3].digests.assertions = assertions.into();
        candidate[3].samples[2].assertions[0].severity = AssertionSeverity::Critical;
        candidate
    };
    let of =
        |candidate: &[CellResult]| compare(Across::Runs, &arm("one", &cells("m", "one", 60, 0)), &arm("two", candidate), AVERAGE).unwrap();
    for (candidate, named) in [(changed("others", "c3"), "s::c3"), (changed("a", "fresh"), "s::fresh")] {
        let compared = of(&candidate);
        assert_eq!((compared.comparison.cases, compared.critical.as_slice()), (59, &[named.to_owned()][..]));
        assert_eq!(exit(&compared), Exit::Fails);
        let informs: Vec<CellResult> = candidate.into_iter().map(|cell| CellResult { gated: false, ..cell }).collect();
        assert_eq!(of(&informs).critical.len(), 0, "a model that only informs");
    }
}

#[test]
fn of_more_equal_losses_than_are_asked_again_no_place_in_the_file_is_left_out() {
    let policy = ComparisonPolicy { local: Some(crate::model::comparison::LocalPolicy::default()), ..AVERAGE };
    let asked = |first: usize, lost: usize| -> Vec<String> {
        let verdict = |index: usize| if index >= 100 - lost { "fail" } else { "pass" };
        let cells = |run: &str, verdict: &dyn Fn(usize) -> &'static str| -> Vec<CellResult> {
            (0..100).map(|index| cell(("s", &format!("c{}", first + index), 1, "m"), run, &[verdict(index)])).collect()
        };
        let compared =
            compare(Across::Runs, &arm("one", &cells("one", &|_| "pass")), &arm("two", &cells("two", &verdict)), policy).unwrap();
        compared.comparison.local.unwrap().cases.into_iter().map(|case| case.case).collect()
    };
    let last: BTreeSet<bool> = (0..20).map(|first| asked(first, 14).contains(&format!("s::c{}", first + 99))).collect();
    assert_eq!(last.len(), 2, "the last one is asked in some suites and not in others");
    assert_eq!(asked(0, 14), asked(0, 14), "and in one suite always or never");
    assert_eq!(asked(0, 3), ["s::c97", "s::c98", "s::c99"], "what is all asked stands in the order of the file");
}

#[test]
fn the_cheapest_that_holds_is_not_the_cheapest() {
    let baseline = arm("large", &priced(cells("large", "one", 80, 0), "0.004"));
    let candidates = [
        arm("dear", &priced(cells("dear", "one", 80, 0), "0.005")),
        arm("middle", &priced(cells("middle", "one", 80, 0), "0.002")),
        arm("small", &priced(cells("small", "one", 80, 30), "0.001")),
    ];
    let (cheapest, compared) = against(&baseline, &candidates, AVERAGE).unwrap();
    assert_eq!((cheapest.model.as_deref(), cheapest.candidates), (Some("middle"), 3));
    let names: Vec<_> = compared.iter().map(|compared| compared.candidate.name.as_str()).collect();
    assert_eq!(names, ["small", "middle", "dear"]);
    assert_eq!(compared[0].comparison.verdict, ComparisonVerdict::Regressed);
    assert!((compared[0].comparison.policy.alpha - 0.05 / 3.0).abs() < 1e-12, "alpha is shared");
    let (none, _) = against(&baseline, &candidates[..1], AVERAGE).unwrap();
    assert_eq!(none.model, None, "what costs more is no saving");
}

#[test]
fn where_nothing_can_be_compared_the_reason_is_said() {
    let same = cells("m", "one", 3, 0);
    let error = compare(Across::Runs, &arm("one", &same), &arm("two", &same), AVERAGE).unwrap_err();
    assert_eq!(error.to_string(), "none of the 3 cases that both have can be compared: the very same answers in both arms (3 cases)");
    let other = [cell(("t", "c0", 1, "m"), "two", &["pass"])];
    assert_eq!(compare(Across::Runs, &arm("one", &same), &arm("two", &other), AVERAGE).unwrap_err(), Incomparable::NothingInCommon);
}
