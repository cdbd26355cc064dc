//! Is a loss in cases that hang together found as often as it is where the truth is known?

use super::super::verdict::judge;
use super::*;

const ERRORS: f64 = 3.5;
const RUNS: u32 = 600;
const CLUSTERS: usize = 10;
const SIZE: usize = 4;

fn broad_only() -> ComparisonPolicy {
    ComparisonPolicy { local: None, ..ComparisonPolicy::default() }
}

/// What the cases of each cluster answer, sample by sample: all of them the same, or each its own.
fn answers(alike: bool, rate: f64, samples: u32, random: &mut Rng) -> Vec<Vec<bool>> {
    let mut clusters = Vec::new();
    for _ in 0..CLUSTERS {
        let mut drawn = || (0..samples).map(|_| random.f64() < rate).collect::<Vec<bool>>();
        let first = drawn();
        clusters.push(first.clone());
        clusters.extend((1..SIZE).map(|_| if alike { first.clone() } else { drawn() }));
    }
    clusters
}

fn pools(alike: bool, rate: f64, samples: u32, random: &mut Rng) -> Vec<Pool> {
    let pool = |(case, passed): (usize, Vec<bool>)| Pool {
        suite: "s".to_owned(),
        case: case.to_string(),
        cluster: Some((case / SIZE).to_string()),
        in_arm: 3,
        must_pass: 3,
        places: (0..samples).collect(),
        samples: passed.into_iter().map(|passed| if passed { Sample::Pass } else { Sample::Fail }).collect(),
    };
    answers(alike, rate, samples, random).into_iter().enumerate().map(pool).collect()
}

/// How often the gate really finds it.
fn power(alike: bool, before: f64, now: f64) -> f64 {
    let mut random = Rng::with_seed(1);
    let counts = |passed: &Vec<bool>| Counts::new(passed.iter().filter(|passed| **passed).count() as u32, passed.len() as u32);
    let found = (0..RUNS).filter(|_| {
        let arms = [before, now].map(|rate| answers(alike, rate, 3, &mut random));
        let case = |(case, (one, other)): (usize, (&Vec<bool>, &Vec<bool>))| PairedCase {
            case: case.to_string(),
            cluster: Some((case / SIZE).to_string()),
            baseline: counts(one),
            candidate: counts(other),
        };
        let cases: Vec<PairedCase> = arms[0].iter().zip(&arms[1]).enumerate().map(case).collect();
        judge(&cases, &[], broad_only()).verdict == ComparisonVerdict::Regressed
    });
    found.count() as f64 / f64::from(RUNS)
}

#[test]
fn a_loss_in_clusters_is_found_as_often_as_their_cases_hang_together() {
    let mut found = Vec::new();
    for alike in [true, false] {
        let taken = pools(alike, 0.9, 400, &mut Rng::with_seed(2));
        let said = Imagined::of(&taken, &broad_only().into(), RUNS, 3).found(CLUSTERS, None, 0.2).found.share();
        let really = power(alike, 0.9, 0.7);
        let error = (2.0 * really.mul_add(1.0 - really, 0.001) / f64::from(RUNS)).sqrt();
        // The rates of 400 samples a case are known to a point or so, and the loss is found from them.
        assert!((said - really).abs() <= ERRORS * error + 0.03, "alike: {alike}: {said}, in truth {really}");
        found.push(said);
    }
    assert!(found[0] + 0.2 < found[1], "forty cases that hang together are worth ten: {found:?}");
}

#[test]
fn how_far_cases_hang_together_is_seen_in_their_samples() {
    let of = |alike| {
        let taken = pools(alike, 0.8, 400, &mut Rng::with_seed(4));
        dependence(&taken.iter().take(SIZE).collect::<Vec<_>>())
    };
    assert!((of(true) - 1.0).abs() < 1e-9, "{}", of(true));
    assert!(of(false) < 0.15, "{}", of(false));
    // Half of the samples are shared.
    let mut taken = pools(true, 0.5, 2_000, &mut Rng::with_seed(5));
    let mut random = Rng::with_seed(6);
    let lots: Vec<bool> = (0..2_000).map(|_| random.bool()).collect();
    for pool in &mut taken {
        for (sample, _) in pool.samples.iter_mut().zip(&lots).filter(|(_, own)| **own) {
            *sample = if random.bool() { Sample::Pass } else { Sample::Fail };
        }
    }
    let half = dependence(&taken.iter().take(SIZE).collect::<Vec<_>>());
    assert!((half - 0.5).abs() < 0.1, "{half}");
    let certain = pools(false, 1.0, 20, &mut random);
    assert_eq!(dependence(&certain.iter().take(SIZE).collect::<Vec<_>>()).to_bits(), 1.0_f64.to_bits(), "nothing was seen to vary");
}

#[test]
fn only_samples_of_the_same_place_are_held_against_each_other() {
    let mut taken = pools(true, 0.5, 200, &mut Rng::with_seed(7));
    // One case has lost its first sample: what is left still has its places.
    taken[0].samples.remove(0);
    taken[0].places.remove(0);
    let seen = dependence(&[&taken[0], &taken[1]]);
    assert!(seen > 0.97, "{seen}");
}
