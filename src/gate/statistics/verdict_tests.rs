//! Does each kind of evidence come to its verdict, and does what is asked for decide?

use proptest::prelude::*;

use super::super::vectors::{EXACT, assert_close};
use super::*;
use crate::model::comparison::Interval;

fn case(index: usize, baseline: u32, candidate: u32, samples: u32) -> PairedCase {
    let (baseline, candidate) = (Counts::new(baseline, samples), Counts::new(candidate, samples));
    PairedCase { case: format!("case-{index}"), cluster: None, baseline, candidate }
}

/// All pass in both arms, but for those given as (index, passes of the candidate).
fn suite(cases: usize, samples: u32, worse: &[(usize, u32)]) -> Vec<PairedCase> {
    let candidate = |index| worse.iter().find(|(of, _)| *of == index).map_or(samples, |(_, passes)| *passes);
    (0..cases).map(|index| case(index, samples, candidate(index), samples)).collect()
}

fn fresh(case: &str, baseline: u32, candidate: u32) -> FreshSamples {
    FreshSamples { case: case.to_owned(), baseline: Counts::new(baseline, 10), candidate: Counts::new(candidate, 10) }
}

fn judged(cases: &[PairedCase], fresh: &[FreshSamples]) -> Comparison {
    compare(cases, fresh, ComparisonPolicy::default())
}

#[test]
fn enough_samples_without_a_difference_show_that_it_is_not_worse() {
    let got = judged(&suite(60, 3, &[]), &[]);
    assert_eq!(got.verdict, ComparisonVerdict::NotWorse);
    assert_eq!((got.cases, got.units, got.candidate, got.difference), (60, 60, Counts::new(180, 180), 0.0));
    assert_eq!((got.need, got.broad.regressed), (None, false));
    assert!(got.interval.low > -0.05 && got.detectable > Some(0.0), "what was never seen is not impossible: {:?}", got.interval);
}

#[test]
fn a_few_samples_without_a_difference_show_nothing_and_say_how_many_would() {
    let got = judged(&suite(5, 3, &[]), &[]);
    assert_eq!(got.verdict, ComparisonVerdict::Undecided);
    let need = got.need.unwrap();
    assert!(need.confirm.is_empty());
    let (samples, cases) = (need.samples.unwrap(), need.cases.unwrap());
    assert_eq!(judged(&suite(5, samples, &[]), &[]).verdict, ComparisonVerdict::NotWorse, "{samples} samples");
    assert_eq!(judged(&suite(cases as usize, 3, &[]), &[]).verdict, ComparisonVerdict::NotWorse, "{cases} cases");
}

#[test]
fn a_case_that_may_have_broken_and_is_not_asked_again_keeps_it_undecided() {
    let lost: Vec<(usize, u32)> = (286..300).map(|index| (index, 0)).collect();
    let once = suite(300, 1, &lost);
    // The mean of so many losses alone would be found: it is the single cases that are looked at.
    let local = LocalPolicy { share: 0.9, ..LocalPolicy::default() };
    let policy = ComparisonPolicy { alpha: 1e-4, margin: 0.3, local: Some(local), look: None, family: 1 };
    let cleared = |cases: &[PairedCase]| {
        let need = compare(cases, &[], policy).need.unwrap();
        assert_eq!(need.confirm.len(), 10);
        let fresh: Vec<FreshSamples> = need.confirm.iter().map(|case| fresh(case, 10, 10)).collect();
        compare(cases, &fresh, policy)
    };
    let got = cleared(&once);
    assert_eq!(got.verdict, ComparisonVerdict::Undecided);
    assert_eq!(got.local.as_ref().map(|local| (local.beyond, local.unasked.len(), local.broken)), Some((4, 4, 4)));
    let said = super::super::words::verdict(&got);
    assert!(said.contains("4 more cases look worse and are beyond the 10 that are asked again: case-"), "{said}");
    assert!(said.contains("4 of them failed all samples now and none before"), "{said}");
    // What lost a sample of three is passed over, and said.
    let some: Vec<(usize, u32)> = lost.iter().map(|(index, _)| (*index, 2)).collect();
    let got = cleared(&suite(300, 3, &some));
    assert_eq!(got.verdict, ComparisonVerdict::NotWorse);
    let said = super::super::words::verdict(&got);
    assert!(said.starts_with("not worse on 300 cases") && said.contains("; 4 more cases look worse and are beyond the 10"), "{said}");
}

#[test]
fn one_broken_case_is_asked_for_again_and_decided_by_what_comes() {
    let cases = suite(100, 3, &[(7, 0)]);
    let first = judged(&cases, &[]);
    assert_eq!(first.verdict, ComparisonVerdict::Undecided, "the mean alone would be within the margin");
    assert!(first.interval.low > -0.05);
    let need = first.need.unwrap();
    assert_eq!((need.confirm.as_slice(), need.fresh_samples), ([String::from("case-7")].as_slice(), 10));
    assert_eq!((need.samples, need.cases), (None, None), "the interval is narrow enough");

    let broken = judged(&cases, &[fresh("case-7", 10, 1)]);
    assert_eq!(broken.verdict, ComparisonVerdict::Regressed);
    assert!(!broken.broad.regressed, "only this case says so");
    assert_eq!(broken.need, None);
    assert_eq!(judged(&cases, &[fresh("case-7", 10, 9)]).verdict, ComparisonVerdict::NotWorse, "it was chance");
    assert_eq!(judged(&cases, &[fresh("case-8", 10, 1)]).verdict, ComparisonVerdict::Undecided, "nobody asked for that one");
}

#[test]
fn a_loss_everywhere_needs_no_confirmation() {
    let got = judged(&suite(40, 3, &[0, 4, 8, 12, 16, 20, 24].map(|index| (index, 2))), &[]);
    assert_eq!(got.verdict, ComparisonVerdict::Regressed);
    assert_close(got.broad.p, 1.0 / 256.0, EXACT, &"seven coins, the tie counted half");
    assert!(got.broad.draws.is_none() && got.need.is_none());
    assert_close(got.broad.level + got.local.unwrap().level, 0.05, EXACT, &"the gates share alpha");
}

#[test]
fn a_case_without_a_verdict_in_an_arm_counts_for_neither_side() {
    let mut cases = suite(60, 3, &[]);
    let without = judged(&cases, &[]);
    cases.push(PairedCase { candidate: Counts::default(), ..case(60, 3, 0, 3) });
    let got = judged(&cases, &[]);
    assert_eq!(got.missing, ["case-60"]);
    assert_eq!(Comparison { missing: vec![], ..got }, without);
}

#[test]
fn a_cluster_is_one_unit_for_both_the_test_and_the_interval() {
    let worse: Vec<(usize, u32)> = (0..8).map(|index| (index, 2)).collect();
    let alone = judged(&suite(40, 3, &worse), &[]);
    let mut cases = suite(40, 3, &worse);
    for (index, case) in cases.iter_mut().enumerate() {
        case.cluster = Some(format!("document-{}", index / 8));
    }
    let together = judged(&cases, &[]);
    assert_eq!((alone.units, together.units), (40, 5));
    assert_close(together.broad.p, 0.25, EXACT, &"one coin");
    assert!(alone.broad.regressed && !together.broad.regressed);
    assert!(together.interval.low < alone.interval.low);
    assert_close(together.difference, alone.difference, EXACT, &"the estimate is the same");
}

#[test]
fn without_the_local_gate_the_broad_one_has_all_of_alpha() {
    let policy = ComparisonPolicy { local: None, ..ComparisonPolicy::default() };
    let got = compare(&suite(100, 3, &[(7, 0)]), &[], policy);
    assert_eq!((got.verdict, got.broad.level), (ComparisonVerdict::NotWorse, 0.05));
    assert_eq!(got.local, None);
}

#[test]
fn two_looks_share_alpha_and_the_second_screens_no_case_anew() {
    let cases = suite(100, 3, &[(7, 2)]);
    let look = |look, fresh: &[FreshSamples]| compare(&cases, fresh, ComparisonPolicy { look: Some(look), ..ComparisonPolicy::default() });
    let first = look(Look::First(0.5), &[]);
    assert_close(first.broad.level, looks::equal(0.025, 0.5), EXACT, &"first");
    assert_close(first.confidence, 1.0 - 2.0 * looks::equal(0.05, 0.5), EXACT, &"first");
    assert_close(first.local.unwrap().level, 0.025, EXACT, &"judged once");
    assert_eq!(first.need.unwrap().confirm, ["case-7"]);

    let second = look(Look::Second(0.5), &[fresh("case-9", 10, 10)]);
    assert_close(second.broad.level, looks::equal(0.025, 0.5), EXACT, &"second");
    assert_close(second.confidence, 1.0 - 2.0 * looks::equal(0.05, 0.5), EXACT, &"second");
    assert_eq!(second.verdict, ComparisonVerdict::NotWorse);
    assert_eq!(second.local.unwrap().cases.iter().map(|case| case.case.as_str()).collect::<Vec<_>>(), ["case-9"]);
}

#[test]
fn one_unit_is_never_worse_on_the_average_however_many_samples_it_has() {
    // 20 of 20 and 0 of 19: a break for sure, but of one case, which the local gate is there for.
    let unequal = |cases: usize| -> Vec<PairedCase> {
        let case = |index: usize| PairedCase { candidate: Counts::new(0, 19), ..case(index, 20, 0, 20) };
        (0..cases).map(case).collect()
    };
    for cases in 1..=4 {
        let got = judged(&unequal(cases), &[]);
        assert_eq!((got.verdict, got.broad.regressed), (ComparisonVerdict::Undecided, false), "{cases}: {:?}", got.broad);
        assert_close(got.broad.p, 0.5_f64.powi(cases as i32) / 2.0, EXACT, &"as many coins");
    }
    assert!(judged(&unequal(5), &[]).broad.regressed);
}

#[test]
fn without_a_difference_p_is_one() {
    assert_close(judged(&suite(60, 3, &[]), &[]).broad.p, 1.0, EXACT, &"by convention");
}

#[test]
fn so_many_fresh_samples_are_asked_for_as_can_reach_the_level() {
    let cases = suite(100, 3, &[(7, 0)]);
    let need = |alpha| compare(&cases, &[], ComparisonPolicy { alpha, ..ComparisonPolicy::default() }).need.unwrap();
    assert_eq!(need(0.05).fresh_samples, 10);
    let fresh = need(1e-5).fresh_samples;
    let broken = |samples: u32| FreshSamples {
        case: "case-7".to_owned(),
        baseline: Counts::new(samples, samples),
        candidate: Counts::new(0, samples),
    };
    let judged = |samples| compare(&cases, &[broken(samples)], ComparisonPolicy { alpha: 1e-5, ..ComparisonPolicy::default() }).verdict;
    assert_eq!((judged(fresh), judged(fresh - 1)), (ComparisonVerdict::Regressed, ComparisonVerdict::Undecided), "{fresh}");
}

#[test]
fn without_a_case_nothing_is_decided() {
    let got = judged(&[], &[]);
    assert_eq!((got.verdict, got.cases, got.units), (ComparisonVerdict::Undecided, 0, 0));
    assert_eq!(got.interval, Interval { low: -1.0, high: 1.0 });
}

#[test]
fn two_thousand_cases_of_twenty_samples_are_exact() {
    let passes = |index: usize| (17 + index * 7 % 4) as u32;
    let cases: Vec<PairedCase> = (0..2000).map(|index| case(index, passes(index), passes(index * 3 + 1), 20)).collect();
    let got = judged(&cases, &[]);
    assert_eq!(got.broad.draws, None);
    assert!((0.0..=1.0).contains(&got.broad.p));
}

/// Every number of a comparison, as JSON shows it: what is not finite would be null.
fn numbers_are_finite(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Array(values) => values.iter().all(numbers_are_finite),
        serde_json::Value::Object(fields) => {
            fields.iter().all(|(name, value)| numbers_are_finite(value) && (!value.is_null() || MAY_BE_NULL.contains(&name.as_str())))
        }
        _ => true,
    }
}

const MAY_BE_NULL: [&str; 6] = ["local", "need", "confirmed", "samples", "cases", "detectable"];

proptest! {
    #[test]
    fn any_counts_under_any_policy_come_to_a_verdict_with_finite_numbers(
        arms in prop::collection::vec(((0_u32..6, 0_u32..6), (0_u32..6, 0_u32..6), prop::option::of(0_u8..3), (0_u32..12, 0_u32..12)), 0..15),
        alpha in prop_oneof![any::<f64>(), 0.001..0.2], margin in prop_oneof![any::<f64>(), 0.0..0.2], share in prop_oneof![any::<f64>(), 0.0..1.0],
    ) {
        let cases: Vec<PairedCase> = arms.iter().enumerate().map(|(index, (one, other, cluster, _))| PairedCase {
            case: index.to_string(), cluster: cluster.map(|name| name.to_string()),
            baseline: Counts { passes: one.0, samples: one.1 }, candidate: Counts { passes: other.0, samples: other.1 },
        }).collect();
        let fresh: Vec<FreshSamples> = arms.iter().enumerate().map(|(index, (.., (passes, samples)))| FreshSamples {
            case: index.to_string(), baseline: Counts { passes: *samples, samples: 10 }, candidate: Counts { passes: *passes, samples: *samples },
        }).collect();
        let local = Some(LocalPolicy { share, ..LocalPolicy::default() });
        for (fresh, look) in [(&[][..], None), (&fresh, None), (&fresh, Some(Look::First(alpha))), (&fresh, Some(Look::Second(share)))] {
            let policy = ComparisonPolicy { alpha, margin, local, look, family: 1 };
            // What is added to the verdict takes long, so that it is looked at once.
            let got = if fresh.is_empty() { compare(&cases, fresh, policy) } else { judge(&cases, fresh, policy) };
            let json = serde_json::to_value(&got).unwrap();
            prop_assert!(numbers_are_finite(&json), "{json:#}");
            prop_assert_eq!(got.need.is_some(), got.verdict == ComparisonVerdict::Undecided);
            prop_assert!(got.interval.low <= got.difference + 1e-9 && got.difference <= got.interval.high + 1e-9);
        }
    }

    #[test]
    fn what_is_called_not_worse_lies_above_the_margin_and_has_no_case_open(
        passes in prop::collection::vec((2_u32..=3, 2_u32..=3), 10..80), margin in 0.01..0.2,
    ) {
        let cases: Vec<PairedCase> = passes.iter().enumerate().map(|(index, (one, other))| case(index, *one, *other, 3)).collect();
        let got = judge(&cases, &[], ComparisonPolicy { margin, ..ComparisonPolicy::default() });
        if got.verdict == ComparisonVerdict::NotWorse {
            prop_assert!(got.interval.low > -margin && got.local.unwrap().cases.is_empty());
        }
    }
}
