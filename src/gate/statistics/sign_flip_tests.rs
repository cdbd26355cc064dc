//! Is the law of the sum the enumerated one, whatever the counts are?

use proptest::prelude::*;

use super::super::discordant::mcnemar;
use super::super::vectors::{EXACT, assert_close, list, number, numbers, vectors};
use super::*;

fn flipped(counts: &[i64]) -> Vec<Unit> {
    counts.iter().copied().map(Unit::flipped).collect()
}

fn case(cluster: Option<&str>, baseline: (u32, u32), candidate: (u32, u32)) -> PairedCase {
    let counts = |(passes, samples)| Counts::new(passes, samples);
    PairedCase { case: String::new(), cluster: cluster.map(str::to_owned), baseline: counts(baseline), candidate: counts(candidate) }
}

#[test]
fn the_law_of_integer_counts_is_the_enumerated_one() {
    for vector in list("signflip_exact_dp_integer_counts") {
        let counts: Vec<i64> = vector["counts"].as_array().unwrap().iter().map(|count| count.as_i64().unwrap()).collect();
        let got = test(&flipped(&counts));
        assert_close(got.exact, number(&vector, "p1_worse"), EXACT, &counts);
        assert_close(got.mid, number(&vector, "midp1_worse"), EXACT, &counts);
        assert_eq!(got.draws, None);
    }
}

#[test]
fn scores_are_flipped_as_their_counts_are() {
    let differences = numbers(&vectors("clustered")["d"]);
    let units: Vec<Unit> = differences.into_iter().map(Unit::scored).collect();
    assert_close(test(&units).exact, number(&vectors("signflip"), "p1_worse"), EXACT, &"twelve cases of five samples");
    assert_eq!(Unit::scored(f64::NAN), Unit::flipped(0));
}

#[test]
fn clusters_are_flipped_whole() {
    let vector = vectors("signflip_cluster");
    let sums: Vec<Unit> = numbers(&vector["cluster_sums"]).into_iter().map(Unit::scored).collect();
    assert_close(test(&sums).exact, number(&vector, "p1_worse"), EXACT, &"sums");

    // The same twelve cases as above: of five samples each, in four clusters.
    let differences = [0, -1, 0, 0, -2, -1, 0, 0, 1, 0, -2, -1_i32];
    let clusters = ["a", "a", "a", "b", "b", "c", "c", "c", "c", "d", "d", "d"];
    let cases: Vec<PairedCase> = differences
        .iter()
        .zip(clusters)
        .map(|(difference, cluster)| case(Some(cluster), (4, 5), (4_u32.checked_add_signed(*difference).unwrap(), 5)))
        .collect();
    assert_close(test(&units(&cases)).exact, number(&vector, "p1_worse"), EXACT, &"cases in clusters");
}

#[test]
fn with_one_sample_per_case_it_is_mcnemars_test() {
    for vector in list("signflip_equals_mcnemar") {
        let (improved, regressed) = (number(&vector, "b") as u32, number(&vector, "c") as u32);
        let mut cases = vec![case(None, (0, 1), (1, 1)); improved as usize];
        cases.extend(vec![case(None, (1, 1), (0, 1)); regressed as usize]);
        cases.extend(vec![case(None, (1, 1), (1, 1)); 30]);
        let got = test(&units(&cases));
        assert_close(got.exact, number(&vector, "p1_worse"), EXACT, &vector);
        assert_close(got.mid, mcnemar(improved, regressed).worse_mid, EXACT, &vector);
    }
}

#[test]
fn without_a_difference_nothing_is_shown() {
    assert_eq!(test(&[]), SignFlip { exact: 1.0, mid: 0.5, draws: None });
    assert_eq!(test(&units(&[case(None, (3, 3), (3, 3)), case(None, (0, 0), (3, 3))])), test(&[]));
}

#[test]
fn where_the_arms_have_unequal_samples_their_passes_are_dealt_anew() {
    // Three passes and one failure, three samples against one: the failure is the single sample's once in four.
    let got = test(&units(&[case(None, (3, 3), (0, 1))]));
    assert_close(got.exact, 0.25, EXACT, &"one case");
    assert_close(got.mid, 0.125, EXACT, &"one case");
    // A difference counts by its share: a sixth is a sixth, whether of two samples or of three.
    let mixed = test(&units(&[case(None, (2, 2), (1, 2)), case(None, (3, 3), (1, 3))]));
    assert_close(mixed.exact, 0.25, EXACT, &"a half and two thirds, both downwards");
}

#[test]
fn large_suites_are_exact_and_beyond_that_draws_come_close() {
    let counts: Vec<i64> = (0..60).map(|index| if index % 3 == 0 { 2 } else { -1 }).chain([-9, -3]).collect();
    let exact = test(&flipped(&counts));
    assert_eq!(exact.draws, None);
    // One more that hardly matters, but needs a finer scale than a table has room for.
    let fine: Vec<i64> = counts.iter().map(|count| count * 100_000_000).chain([-1]).collect();
    let drawn = test(&flipped(&fine));
    assert!(drawn.draws.is_some_and(|draws| draws >= 1_000), "{drawn:?}");
    // Between them the coin of the last one, which splits the ties in halves: it is the mid-p.
    assert!((drawn.exact - exact.mid).abs() < 0.01, "{drawn:?} and {exact:?}");
    assert_eq!(drawn, test(&flipped(&fine)), "the same data, the same answer");
}

#[test]
fn sample_counts_without_a_common_multiple_are_rounded_and_drawn() {
    let cases: Vec<PairedCase> = [97, 101, 103, 107, 109, 113].map(|samples| case(None, (samples, samples), (samples - 9, samples))).into();
    let got = test(&units(&cases));
    assert!((got.exact - 1.0 / 64.0).abs() < 0.005, "{got:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_table_agrees_with_trying_every_sign(counts in prop::collection::vec(-20_i64..=20, 0..10)) {
        let observed: i64 = counts.iter().sum();
        let (mut below, mut at) = (0_u32, 0_u32);
        for signs in 0_u32..1 << counts.len() {
            let sum: i64 = counts.iter().enumerate().map(|(index, count)| if signs >> index & 1 == 1 { -count } else { *count }).sum();
            below += u32::from(sum < observed);
            at += u32::from(sum == observed);
        }
        let all = f64::from(1_u32 << counts.len());
        let got = test(&flipped(&counts));
        prop_assert!((got.exact - f64::from(below + at) / all).abs() < 1e-9);
        prop_assert!((got.mid - (f64::from(below) + f64::from(at) / 2.0) / all).abs() < 1e-9);
    }

    #[test]
    fn any_counts_come_to_a_probability(
        arms in prop::collection::vec(((0_u32..8, 0_u32..7), (0_u32..8, 0_u32..7), prop::option::of(0_u8..3)), 0..12),
    ) {
        let cases: Vec<PairedCase> = arms.iter().map(|(one, other, cluster)| {
            case(cluster.map(|name| name.to_string()).as_deref(), *one, *other)
        }).collect();
        let got = test(&units(&cases));
        prop_assert!((0.0..=1.0).contains(&got.exact) && got.mid <= got.exact && got.mid >= 0.0, "{got:?}");
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_value_overflows(counts in prop::collection::vec(any::<i64>(), 0..4)) {
        let got = test(&flipped(&counts));
        prop_assert!((0.0..=1.0).contains(&got.exact) && (0.0..=1.0).contains(&got.mid), "{got:?}");
    }
}
