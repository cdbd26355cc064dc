//! Is what is printed what the test and the interval do?

use super::super::simulated::Truth;
use super::super::verdict::{compare, judge};
use super::*;
use crate::model::comparison::{ComparisonPolicy, ComparisonVerdict};

const RUNS: usize = 600;

fn average() -> ComparisonPolicy {
    ComparisonPolicy { local: None, alpha: 0.025, ..ComparisonPolicy::default() }
}

fn suite(cases: usize, samples: u32, passes: impl Fn(usize) -> [u32; 2]) -> Vec<PairedCase> {
    let case = |index: usize| {
        let [baseline, candidate] = passes(index).map(|passes| Counts::new(passes, samples));
        PairedCase { case: index.to_string(), cluster: None, baseline, candidate }
    };
    (0..cases).map(case).collect()
}

fn drawn(rate: impl Fn(usize) -> f64, loss: f64, (cases, samples): (usize, u32), random: &mut Rng) -> Vec<PairedCase> {
    let counts: Vec<[u32; 2]> = (0..cases)
        .map(|index| [rate(index), rate(index) - loss].map(|rate| (0..samples).map(|_| u32::from(random.f64() < rate)).sum()))
        .collect();
    suite(cases, samples, |index| counts[index])
}

/// How often the gate really finds it.
fn power(rate: impl Fn(usize) -> f64, loss: f64, size: (usize, u32)) -> f64 {
    let mut random = Rng::with_seed(11);
    let found = (0..RUNS).filter(|_| judge(&drawn(&rate, loss, size, &mut random), &[], average()).verdict == ComparisonVerdict::Regressed);
    found.count() as f64 / RUNS as f64
}

#[test]
fn a_loss_that_is_said_to_be_found_in_four_of_five_is_found_in_four_of_five() {
    // Where everything passed, as in most suites.
    for size @ (cases, samples) in [(20, 1), (20, 3), (40, 3), (10, 5), (400, 1)] {
        let said = compare(&suite(cases, samples, |_| [samples; 2]), &[], average()).detectable.unwrap();
        let [found, less] = [said, said - 0.002].map(|loss| power(|_| 1.0, loss, size));
        assert!(found > 0.72 && less < 0.86, "{size:?}: {said} is found in {found}, a little less in {less}");
    }
    // Where some cases are noisy; what is said there depends on what was seen.
    let mixed = |index: usize| [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.9, 0.6][index % 10];
    for size @ (cases, samples) in [(40, 3), (100, 1)] {
        let mut random = Rng::with_seed(12);
        let said: Vec<f64> =
            (0..10).filter_map(|_| compare(&drawn(mixed, 0.0, (cases, samples), &mut random), &[], average()).detectable).collect();
        let mean = said.iter().sum::<f64>() / said.len() as f64;
        let found = power(mixed, mean, size);
        assert!((0.72..0.92).contains(&found), "{size:?}: {mean} is found in {found}");
    }
}

#[test]
fn the_loss_that_is_printed_is_found_in_four_of_five_where_much_fails_too() {
    // A thousand decisions a row: ten unchanged comparisons of which each prints a loss, and a hundred of a candidate that has lost as much. Each prints
    // what its own counts say, so a row is off by what ten such guesses are off (up to 2.3 points, beside 1.3 of its decisions), and
    // all six by half a point or so.
    let mut of_rows = Vec::new();
    for (row, (rate, cases)) in [(0.8, 20), (0.8, 40), (0.8, 100), (0.95, 20), (0.95, 40), (0.95, 100)].into_iter().enumerate() {
        let mut random = Rng::with_seed(40 + row as u64);
        let (mut found, mut blocked, mut decisions) = (0_u32, 0_u32, 0_u32);
        for _ in 0..10 {
            let said = compare(&drawn(|_| rate, 0.0, (cases, 3), &mut random), &[], ComparisonPolicy::default()).detectable.unwrap();
            let truth = Truth { baseline: vec![rate; cases], candidate: vec![(rate - said).max(0.0); cases] };
            for _ in 0..100 {
                let decision = truth.decide(3, ComparisonPolicy::default(), &mut random).comparison;
                found += u32::from(decision.broad.regressed);
                blocked += u32::from(decision.verdict == ComparisonVerdict::Regressed);
                decisions += 1;
            }
        }
        let [found, blocked] = [found, blocked].map(|count| f64::from(count) / f64::from(decisions));
        assert!((found - POWER).abs() < 0.08, "{cases} x 3 at {rate}: {found}");
        assert!(blocked >= found, "{cases} x 3 at {rate}: single cases come on top: {blocked}");
        of_rows.push((cases, rate, found, blocked));
    }
    let mean = of_rows.iter().map(|(_, _, found, _)| found).sum::<f64>() / of_rows.len() as f64;
    assert!((mean - POWER).abs() < 0.03, "{mean}: {of_rows:?}");
}

#[test]
fn where_too_few_units_can_differ_no_loss_is_promised() {
    let detectable = |cases| compare(&suite(cases, 20, |_| [20; 2]), &[], average()).detectable;
    assert_eq!([1, 2, 4].map(detectable), [None; 3], "four coins come to 1/32 at best, and the level is 1/40");
    assert!(detectable(5).is_some());
    let together: Vec<PairedCase> =
        suite(12, 3, |_| [3; 2]).into_iter().map(|case| PairedCase { cluster: Some("one".to_owned()), ..case }).collect();
    assert_eq!(compare(&together, &[], average()).detectable, None);
    assert_eq!(compare(&suite(20, 3, |_| [0; 2]), &[], average()).detectable, None, "what never passes cannot get worse");
}

#[test]
fn what_is_said_to_decide_decides_and_one_less_does_not() {
    let verdict = |cases: &[PairedCase]| judge(cases, &[], average()).verdict;
    for (cases, samples) in [(20, 1), (19, 1), (2, 1), (12, 3), (5, 3), (10, 2)] {
        let need = compare(&suite(cases, samples, |_| [samples; 2]), &[], average()).need.unwrap();
        let (more, larger) = (need.cases.unwrap() as usize, need.samples.unwrap());
        let all_pass = |cases, samples| verdict(&suite(cases, samples, |_| [samples; 2]));
        assert_eq!(all_pass(more, samples), ComparisonVerdict::NotWorse, "{more} cases for {cases} x {samples}");
        assert_ne!(all_pass(more - 1, samples), ComparisonVerdict::NotWorse, "{} cases for {cases} x {samples}", more - 1);
        assert_eq!(all_pass(cases, larger), ComparisonVerdict::NotWorse, "{larger} samples for {cases} x {samples}");
        assert_ne!(all_pass(cases, larger - 1), ComparisonVerdict::NotWorse, "{} samples for {cases} x {samples}", larger - 1);
    }
}

#[test]
fn a_loss_that_stays_is_shown_by_as_many_cases_as_are_named() {
    // Two of twelve lost two samples of three: a third of a tenth, too little for two coins.
    let lost = |cases| suite(cases, 3, |index| [3, if index % 6 == 0 { 1 } else { 3 }]);
    let need = compare(&lost(12), &[], average()).need.unwrap();
    let cases = need.cases.unwrap() as usize;
    assert!((24..=36).contains(&cases), "{cases}");
    assert_eq!(judge(&lost(cases.next_multiple_of(6)), &[], average()).verdict, ComparisonVerdict::Regressed);
}

#[test]
fn one_unit_says_nothing_of_how_many_would_do() {
    let cases: Vec<PairedCase> =
        suite(12, 3, |_| [3, 2]).into_iter().map(|case| PairedCase { cluster: Some("one".to_owned()), ..case }).collect();
    let got = compare(&cases, &[], average());
    assert_eq!((got.units, got.verdict), (1, ComparisonVerdict::Undecided));
    let need = got.need.unwrap();
    assert_eq!((need.samples, need.cases), (None, None));
}

#[test]
fn large_suites_are_advised() {
    for (cases, samples) in [(300, 3), (2_000, 20), (10_000, 3)] {
        let got =
            compare(&suite(cases, samples, |index| [samples - (index % 3 == 0) as u32, samples - (index % 4 == 0) as u32]), &[], average());
        assert!(got.detectable.is_some());
    }
}
