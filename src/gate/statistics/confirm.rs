//! Which single cases look worse, and do fresh samples confirm it?
//!
//! A case that breaks fully moves the mean of forty cases by 2.5 points: no test of the mean sees it. Testing every case would have to divide
//! alpha by their number, and three samples cannot reach what is left. So the samples at hand only screen, and new ones decide: whatever
//! the screening did, they know nothing of it.

use super::distributions::{at_most, exactly};
use crate::model::comparison::{Confirmed, Counts, FreshSamples, LocalPolicy, LocalResult, PairedCase, ScreenedCase};

/// Cases whose candidate passed less often, the worst first; of equals the earlier one. Who calls it puts them into an order that is drawn.
#[must_use]
pub fn screen(cases: &[PairedCase]) -> Vec<&PairedCase> {
    let loss = |case: &PairedCase| Some(case.baseline.rate()? - case.candidate.rate()?);
    let mut worse: Vec<(f64, &PairedCase)> =
        cases.iter().filter_map(|case| loss(case).filter(|loss| *loss > 0.0).map(|loss| (loss, case))).collect();
    worse.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    worse.into_iter().map(|(_, case)| case).collect()
}

/// Fisher's exact test, one-sided: how likely so few of the passes are the candidate's where nothing changed.
///
/// `HypergeomCDF(candidate passes; all samples, all passes, candidate samples)`.
#[must_use]
pub fn fisher_worse(baseline: Counts, candidate: Counts) -> f64 {
    let [baseline, candidate] = [baseline, candidate].map(|counts| Counts::new(counts.passes, counts.samples));
    let all = u64::from(baseline.samples) + u64::from(candidate.samples);
    let passes = u64::from(baseline.passes) + u64::from(candidate.passes);
    at_most(candidate.passes.into(), all, passes, candidate.samples.into())
}

/// Fisher's exact test, two-sided: how likely a table as unlikely as this, or more so.
#[must_use]
pub fn fisher_either(baseline: Counts, candidate: Counts) -> f64 {
    let [baseline, candidate] = [baseline, candidate].map(|counts| Counts::new(counts.passes, counts.samples));
    let all = u64::from(baseline.samples) + u64::from(candidate.samples);
    let passes = u64::from(baseline.passes) + u64::from(candidate.passes);
    let of = |hits: u64| exactly(hits, all, passes, candidate.samples.into());
    let observed = of(candidate.passes.into()) * (1.0 + 1e-7);
    let range = passes.saturating_sub(baseline.samples.into())..=passes.min(candidate.samples.into());
    range.map(of).filter(|chance| *chance <= observed).sum::<f64>().min(1.0)
}

/// Holm's adjusted p-values, in the order given: none of the family is wrongly found more often than alpha. For what blocks.
///
/// `max over j ≤ i of min(1, (m-j+1) p₍ⱼ₎)`. Holm 1979, Scand J Stat 6:65.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let order = ascending(p);
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        least = least.max(((p.len() - rank) as f64 * probability(p[index])).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}

/// Benjamini and Hochberg's adjusted p-values, in the order given: of what is found, the share alpha may be wrong. For lists that advise.
///
/// `min over j ≥ i of min(1, m p₍ⱼ₎ / j)`. Benjamini, Hochberg 1995, JRSS B 57:289.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    from_the_largest(p, |rank| p.len() as f64 / (rank + 1) as f64)
}

/// Hochberg's adjusted p-values: as Holm's or smaller, where the tests do not work against each other. Nothing here uses it: what blocks has
/// to hold whatever the tests have to do with each other.
///
/// `min over j ≥ i of min(1, (m-j+1) p₍ⱼ₎)`. Hochberg 1988, Biometrika 75:800.
#[must_use]
pub fn hochberg(p: &[f64]) -> Vec<f64> {
    from_the_largest(p, |rank| (p.len() - rank) as f64)
}

/// Benjamini and Yekutieli's: as Benjamini and Hochberg's, whatever the tests have to do with each other.
///
/// `min over j ≥ i of min(1, m p₍ⱼ₎ / j · Σ 1/i)`. Benjamini, Yekutieli 2001, Ann Stat 29:1165.
#[must_use]
pub fn benjamini_yekutieli(p: &[f64]) -> Vec<f64> {
    let harmonic: f64 = (1..=p.len()).map(|rank| 1.0 / rank as f64).sum();
    from_the_largest(p, |rank| p.len() as f64 / (rank + 1) as f64 * harmonic)
}

fn from_the_largest(p: &[f64], factor: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut most = 1.0_f64;
    for (rank, &index) in ascending(p).iter().enumerate().rev() {
        most = most.min(factor(rank) * probability(p[index]));
        adjusted[index] = most;
    }
    adjusted
}

fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|one, other| probability(p[*one]).total_cmp(&probability(p[*other])));
    order
}

/// What is no probability shows nothing.
fn probability(p: f64) -> f64 {
    if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
}

/// A level that is met to the last digits is met: rounding decides nothing.
pub(super) const ROUNDING: f64 = 1e-12;

/// The gate over single cases, the worst first. Only fresh samples decide; a screened case counts in the family whether it has any or not.
#[must_use]
pub fn local(mut screened: Vec<&PairedCase>, fresh: &[FreshSamples], policy: LocalPolicy, level: f64) -> LocalResult {
    let most = usize::try_from(policy.most_cases).unwrap_or(usize::MAX);
    let beyond = screened.split_off(most.min(screened.len()));
    let unasked = beyond.iter().map(|case| case.case.clone()).collect();
    let lost = |case: &&&PairedCase| case.candidate.passes == 0 && case.baseline.passes == case.baseline.samples;
    let broken = u32::try_from(beyond.iter().filter(lost).count()).unwrap_or(u32::MAX);
    let found: Vec<Option<&FreshSamples>> = screened
        .iter()
        .map(|case| fresh.iter().find(|fresh| fresh.case == case.case && can_show(fresh.baseline, fresh.candidate, screened.len(), level)))
        .collect();
    let p: Vec<f64> = found.iter().map(|fresh| fresh.map_or(1.0, |fresh| fisher_worse(fresh.baseline, fresh.candidate))).collect();
    let adjusted = holm(&p);
    let result = |(index, case): (usize, &&PairedCase)| ScreenedCase {
        case: case.case.clone(),
        baseline: case.baseline,
        candidate: case.candidate,
        confirmed: found[index].map(|fresh| Confirmed {
            baseline: fresh.baseline,
            candidate: fresh.candidate,
            p: p[index],
            adjusted: adjusted[index],
            regressed: adjusted[index] <= level + ROUNDING,
        }),
    };
    let cases = screened.iter().enumerate().map(result).collect();
    LocalResult { level, cases, beyond: u32::try_from(beyond.len()).unwrap_or(u32::MAX), unasked, broken }
}

/// Whether so many samples could show even a complete break: what cannot fail has confirmed nothing.
fn can_show(baseline: Counts, candidate: Counts, family: usize, level: f64) -> bool {
    let (baseline, candidate) = (baseline.samples, candidate.samples);
    let broken = fisher_worse(Counts::new(baseline, baseline), Counts::new(0, candidate));
    baseline > 0 && candidate > 0 && level > 0.0 && broken * family as f64 <= level + ROUNDING
}

/// The fewest fresh samples in each arm with which a complete break of one of so many cases reaches the level; `None` where nobody would buy
/// as many.
#[must_use]
pub fn samples_that_can_show(level: f64, family: usize) -> Option<u32> {
    let shows = |samples: &u32| can_show(Counts::new(*samples, *samples), Counts::new(0, *samples), family, level);
    (1..=MOST_FRESH).find(shows)
}

/// No more are asked for.
const MOST_FRESH: u32 = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors::{EXACT, assert_close, count, list, number, numbers, vectors};
    use super::*;

    #[test]
    fn fishers_test_is_that_of_scipy() {
        for vector in list("fisher") {
            let k = count(&vector, "k");
            let got = fisher_worse(Counts::new(count(&vector, "base_pass"), k), Counts::new(count(&vector, "cand_pass"), k));
            let expected = number(&vector, "p1_worse");
            assert!((got / expected - 1.0).abs() < EXACT, "{got} instead of {expected} for {vector}");
        }
    }

    #[test]
    fn families_are_adjusted_as_by_statsmodels() {
        for name in ["multiplicity", "multiplicity4"] {
            let vector = vectors(name);
            let p = numbers(&vector["p"]);
            for (adjust, got) in [("holm", holm(&p)), ("bh", benjamini_hochberg(&p))] {
                for (got, expected) in got.iter().zip(numbers(&vector[adjust])) {
                    assert_close(*got, expected, EXACT, &(name, adjust));
                }
            }
        }
    }

    fn case(id: &str, baseline: u32, candidate: u32) -> PairedCase {
        PairedCase { case: id.to_owned(), cluster: None, baseline: Counts::new(baseline, 3), candidate: Counts::new(candidate, 3) }
    }

    fn fresh(id: &str, baseline: u32, candidate: u32, samples: u32) -> FreshSamples {
        FreshSamples { case: id.to_owned(), baseline: Counts::new(baseline, samples), candidate: Counts::new(candidate, samples) }
    }

    #[test]
    fn screened_cases_are_confirmed_by_their_fresh_samples_alone() {
        let vector = vectors("stage2_confirm");
        let k2 = count(&vector, "k2");
        let pairs = vector["base_cand"].as_array().unwrap();
        let cases: Vec<PairedCase> = (0..pairs.len()).map(|index| case(&index.to_string(), 3, 2)).collect();
        let samples: Vec<FreshSamples> = pairs
            .iter()
            .enumerate()
            .map(|(index, pair)| fresh(&index.to_string(), pair[0].as_u64().unwrap() as u32, pair[1].as_u64().unwrap() as u32, k2))
            .collect();
        let policy = LocalPolicy { fresh_samples: k2, ..LocalPolicy::default() };
        let confirmed: Vec<Confirmed> =
            local(screen(&cases), &samples, policy, 0.025).cases.iter().map(|case| case.confirmed.unwrap()).collect();
        let expected = numbers(&vector["p1"]).into_iter().zip(numbers(&vector["holm"]));
        for (got, (p, adjusted)) in confirmed.iter().zip(expected) {
            assert_close(got.p, p, EXACT, &got);
            assert_close(got.adjusted, adjusted, EXACT, &got);
        }
        assert_eq!(confirmed.iter().map(|case| case.regressed).collect::<Vec<_>>(), [true, false, false, false]);
    }

    #[test]
    fn the_worst_cases_are_screened_first_and_the_rest_is_counted() {
        let cases = [case("better", 1, 3), case("same", 3, 3), case("a little", 3, 2), case("broken", 3, 0), case("as little", 2, 1)];
        let policy = LocalPolicy { most_cases: 2, ..LocalPolicy::default() };
        let got = local(screen(&cases), &[], policy, 0.025);
        assert_eq!(got.cases.iter().map(|case| case.case.as_str()).collect::<Vec<_>>(), ["broken", "a little"]);
        assert_eq!((got.beyond, got.unasked.as_slice(), got.broken), (1, &["as little".to_owned()][..], 0));
    }

    #[test]
    fn what_broke_beyond_the_most_is_counted() {
        let cases: Vec<PairedCase> = (0..14).map(|index| case(&index.to_string(), 3, 0)).chain([case("a little", 3, 2)]).collect();
        let got = local(screen(&cases), &[], LocalPolicy::default(), 0.025);
        assert_eq!((got.cases.len(), got.beyond, got.broken), (10, 5, 4));
    }

    #[test]
    fn too_few_fresh_samples_confirm_nothing() {
        let cases = [case("a", 3, 0), case("b", 3, 2)];
        let with = |samples| local(screen(&cases), &[fresh("a", samples, 0, samples)], LocalPolicy::default(), 0.025).cases[0].confirmed;
        assert_eq!(with(0), None);
        assert_eq!(with(4), None, "a complete break of four is 0.014, and twice that above the level");
        assert!(with(5).unwrap().regressed);
    }

    proptest! {
        #[test]
        fn adjusting_makes_no_p_smaller_and_keeps_their_order(p in prop::collection::vec(prop_oneof![0.0..=1.0, any::<f64>()], 0..20)) {
            for adjusted in [holm(&p), benjamini_hochberg(&p)] {
                for (one, before) in adjusted.iter().zip(&p) {
                    prop_assert!((0.0..=1.0).contains(one) && *one >= probability(*before) - 1e-12);
                    for (other, other_before) in adjusted.iter().zip(&p) {
                        prop_assert!(probability(*before) > probability(*other_before) || one <= other);
                    }
                }
            }
        }

        #[test]
        fn fishers_p_is_a_probability(a in 0_u32..500, b in 0_u32..500, c in 0_u32..500, d in 0_u32..500) {
            let p = fisher_worse(Counts { passes: a, samples: b }, Counts { passes: c, samples: d });
            prop_assert!((0.0..=1.0).contains(&p));
        }
    }
}
