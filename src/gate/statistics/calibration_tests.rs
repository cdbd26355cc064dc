//! Does a calibration find out what is true where the truth is known?

use super::super::detection::detection;
use super::super::simulated::Truth;
use super::*;
use crate::model::comparison::LocalPolicy;

/// A measured share differs from the true one by less, but for one test in thousands.
const ERRORS: f64 = 3.5;

fn policy() -> ComparisonPolicy {
    ComparisonPolicy::default()
}

fn broad_only() -> ComparisonPolicy {
    ComparisonPolicy { local: None, ..policy() }
}

fn pool(case: usize, in_arm: u32, samples: Vec<Sample>) -> Pool {
    Pool {
        suite: "s".to_owned(),
        case: case.to_string(),
        cluster: None,
        in_arm,
        must_pass: in_arm,
        places: (0..samples.len() as u32).collect(),
        samples,
    }
}

/// So many samples of each case, drawn from what is true of it.
fn taken(truth: &[f64], in_arm: u32, samples: usize, seed: u64) -> Vec<Pool> {
    let mut random = Rng::with_seed(seed);
    let mut sample = |probability: f64| if random.f64() < probability { Sample::Pass } else { Sample::Fail };
    truth.iter().enumerate().map(|(case, probability)| pool(case, in_arm, (0..samples).map(|_| sample(*probability)).collect())).collect()
}

fn fixed(passes: usize, failures: usize, in_arm: u32) -> Pool {
    pool(0, in_arm, [vec![Sample::Pass; passes], vec![Sample::Fail; failures]].concat())
}

#[test]
fn false_alarms_are_those_of_the_truth() {
    // Averaged over suites, a deal of what was taken is as good as a run: both must come to the same share.
    let truth = Truth::unchanged(40);
    let really = truth.rates(3, policy(), 1_000, 1);
    let mut blocked = 0;
    for seed in 0..100 {
        let (said, _) = unchanged(&taken(&truth.baseline, 3, 30, seed), &[], &policy().into(), 10, seed);
        blocked += said.blocked.count;
        assert_eq!((said.cases, said.samples, said.reused), (40, [3, 3], 0));
    }
    let (share, really) = (f64::from(blocked) / 1_000.0, really.share(really.regressed));
    let error = (2.0 * really.max(0.01) / 1_000.0).sqrt();
    assert!((share - really).abs() <= ERRORS * error, "{share}, in truth {really}");
    assert!(share <= 0.05, "{share}");
}

#[test]
fn a_rule_that_cries_is_found_out() {
    // Nine of ten samples pass, all cells must: of ten such cells 0.9^10 pass together.
    let pools = taken(&[0.9; 10], 1, 400, 2);
    let all = |min_pass_rate| PassRate { suite: "s".to_owned(), model: "m".to_owned(), min_pass_rate, pools: (0..10).collect() };
    let (_, rates) = unchanged(&pools, &[all(1.0), all(0.5)], &policy().into(), 500, 3);
    let share = rates[0].blocked.share();
    assert!((share - (1.0 - 0.9_f64.powi(10))).abs() < 0.1, "{share}");
    assert_eq!((rates[1].blocked.count, rates[0].cells), (0, 10));
    // An alpha of a half blocks about every other unchanged prompt, so the count can go wrong both ways.
    let coins = ComparisonPolicy { alpha: 0.5, ..broad_only() };
    let (said, _) = unchanged(&taken(&[0.5; 40], 5, 50, 4), &[], &coins.into(), 400, 5);
    assert!((said.blocked.share() - 0.5).abs() < 0.12, "{said:?}");
    assert_eq!((said.broad, said.local), (said.blocked.count, 0));
}

#[test]
fn no_sample_is_in_both_arms_and_what_is_fresh_is_in_none() {
    // Of 26 samples one fails: it is in one place at most, so that arms and fresh samples share one failure.
    let pools = [fixed(25, 1, 3)];
    let mut decks: Vec<Deck<'_>> = pools.iter().map(Deck::of).collect();
    let mut random = Rng::with_seed(6);
    let mut seen = 0;
    for _ in 0..200 {
        deal(&mut decks, &[0], &mut random);
        let dealt = decks[0].case();
        let fresh = decks[0].fresh(10, &mut random);
        let failures = [dealt.baseline, dealt.candidate, fresh.baseline, fresh.candidate].map(|counts| counts.samples - counts.passes);
        assert_eq!(failures.iter().sum::<u32>(), 1, "{dealt:?} {fresh:?}");
        seen += failures[1];
    }
    assert!((5..50).contains(&seen), "three of 26 places are the candidate's: {seen} of 200");
    assert_eq!(unchanged(&[fixed(24, 1, 3)], &[], &policy().into(), 10, 1).0.reused, 1, "25 are too few for fresh ones");
    assert_eq!(unchanged(&[fixed(4, 1, 3)], &[], &broad_only().into(), 10, 1).0.samples, [2, 2], "half of five");
}

#[test]
fn a_critical_failure_blocks_whatever_the_averages_say() {
    let mut pools = taken(&[1.0; 20], 1, 10, 7);
    pools[0].samples[0] = Sample::Critical;
    let (said, _) = unchanged(&pools, &[], &policy().into(), 1_000, 8);
    // One sample of ten, in the one place of the candidate.
    assert!((said.blocked.share() - 0.1).abs() < 0.04, "{said:?}");
    assert_eq!(said.critical, said.blocked.count);
    assert_eq!(said.blocked.count + said.not_worse.count + said.undecided.count, 1_000);
}

#[test]
fn a_loss_is_found_as_often_as_where_the_truth_is_known() {
    let truth = Truth::unchanged(40);
    let pools = taken(&truth.baseline, 3, 400, 9);
    let really = truth.losing(0.1, |_| true).rates(3, policy(), 1_000, 10);
    let said = detection(&pools, &policy().into(), 0.1, 300, 11).unwrap();
    let (share, really) = (said.now.found.share(), really.share(really.regressed));
    assert!((share - really).abs() < 0.1, "{share}, in truth {really}");
    assert_eq!((said.now.cases, said.now.samples), (40, 3));
    // 76 % is a little too little: a sample more, or some cases more.
    let (samples, cases) = (said.by_samples.unwrap(), said.by_cases.unwrap());
    assert!((4..=5).contains(&samples.samples) && samples.cases == 40, "{samples:?}");
    assert!((41..=60).contains(&cases.cases) && cases.samples == 3, "{cases:?}");
    let smallest = said.smallest.unwrap();
    assert!((0.1..0.13).contains(&smallest), "{smallest}");
}

#[test]
fn what_cannot_be_found_is_not_promised() {
    // Three coins: no number of samples up to a hundred shows a point, and ninety cases of two do not either.
    let pools = taken(&[0.5; 3], 2, 20, 12);
    let said = detection(&pools, &broad_only().into(), 0.01, 50, 13).unwrap();
    assert_eq!((said.by_samples, said.by_cases), (None, None));
    assert_eq!(detection(&[], &policy().into(), 0.1, 10, 1), None);
    assert_eq!(detection(&[fixed(1, 0, 1)], &policy().into(), 0.1, 10, 1), None);
    assert_eq!(detection(&pools, &policy().into(), 0.0, 10, 1), None);
}

#[test]
fn the_noisiest_cases_come_first_and_flaky_ones_are_marked() {
    let mut pools = vec![fixed(10, 0, 3), fixed(5, 5, 3), fixed(0, 10, 3), fixed(9, 1, 3), fixed(0, 0, 3)];
    for (place, pool) in pools.iter_mut().enumerate() {
        pool.case = format!("case-{place}");
    }
    let cases = noise_of_cases(&pools);
    let told: Vec<(&str, bool)> = cases.iter().map(|case| (&*case.case, case.flaky)).collect();
    assert_eq!(told, [("case-1", true), ("case-3", true), ("case-2", false), ("case-0", false), ("case-4", false)]);
    assert!((cases.iter().map(|case| case.share_of_noise).sum::<f64>() - 1.0).abs() < 1e-12);
    assert!((cases[0].share_of_noise - 25.0 / 34.0).abs() < 1e-12, "{:?}", cases[0]);
    assert_eq!(cases[1].interval, wilson(Counts::new(9, 10), 0.95));
}

#[test]
fn cases_of_one_cluster_are_one_unit() {
    let mut pools = taken(&[0.7; 12], 2, 30, 14);
    for (place, pool) in pools.iter_mut().enumerate() {
        pool.cluster = Some((place / 3).to_string());
    }
    let (said, _) = unchanged(&pools, &[], &policy().into(), 50, 15);
    assert_eq!((said.cases, said.units), (12, 4));
    let found = detection(&pools, &policy().into(), 0.3, 50, 16).unwrap();
    assert_eq!(found.now.cases, 12);
    assert!(found.by_cases.unwrap().cases.is_multiple_of(3));
}

#[test]
fn several_suites_block_together_no_more_often_than_one() {
    let mut pools = Vec::new();
    for suite in 0..8 {
        let of_suite = taken(&[0.7; 15], 3, 40, 30 + suite);
        pools.extend(of_suite.into_iter().map(|pool| Pool { suite: suite.to_string(), case: format!("{suite}::{}", pool.case), ..pool }));
    }
    let (said, _) = unchanged(&pools, &[], &policy().into(), 400, 18);
    let share = said.blocked.share();
    assert!(share <= 0.05 + ERRORS * (0.05_f64 * 0.95 / 400.0).sqrt(), "{said:?}");
    assert_eq!((said.suites.len(), said.suites[0].cases, said.cases), (8, 15, 120));
    let of_suites: u32 = said.suites.iter().map(|suite| suite.blocked.count).sum();
    assert!(of_suites >= said.blocked.count && said.suites.iter().all(|suite| suite.blocked.count <= said.blocked.count), "{said:?}");
}

/// Suites of cases that pass half of their samples, so that the level of a comparison is nearly used up.
fn coins(suites: &[&str], seed: u64) -> Vec<Pool> {
    let of_suite = |(place, suite): (usize, &&str)| {
        let pools = taken(&[0.5; 40], 5, 50, seed + place as u64);
        let name = (*suite).to_owned();
        pools.into_iter().map(move |pool| Pool { suite: name.clone(), case: format!("{name}::{}", pool.case), ..pool })
    };
    suites.iter().enumerate().flat_map(of_suite).collect()
}

#[test]
fn suites_share_alpha_by_holms_steps_as_in_a_run() {
    let policy = ComparisonPolicy { alpha: 0.5, ..broad_only() };
    let (said, _) = unchanged(&coins(&["a", "b"], 40), &[], &policy.into(), 1_500, 41);
    // A quarter each; and where one is worse, the other has all of the half: 1 - 0.75², and 0.25 + 0.25 of another 0.25.
    for (what, share, truth) in [
        ("both", said.blocked.share(), 0.4375),
        ("a", said.suites[0].blocked.share(), 0.3125),
        ("b", said.suites[1].blocked.share(), 0.3125),
    ] {
        let error = (truth * (1.0 - truth) / 1_500.0_f64).sqrt();
        assert!((share - truth).abs() <= ERRORS * error + 0.01, "{what}: {share}, in truth {truth}");
    }
}

#[test]
fn each_suite_is_judged_by_its_own_margin_and_alpha() {
    let loud = ComparisonPolicy { alpha: 0.5, margin: 0.4, ..broad_only() };
    let strict = ComparisonPolicy { alpha: 0.02, margin: 0.01, ..broad_only() };
    let gates = Gates::of(policy(), BTreeMap::from([("loud".to_owned(), loud), ("strict".to_owned(), strict)]));
    let (said, _) = unchanged(&coins(&["loud", "strict"], 50), &[], &gates, 1_500, 51);
    let [of_loud, of_strict] = said.suites.as_slice() else { panic!("{said:?}") };
    assert_eq!([of_loud.policy, of_strict.policy], [loud, strict]);
    // Half of its alpha each.
    let (share, error) = (of_loud.blocked.share(), (0.25 * 0.75 / 1_500.0_f64).sqrt());
    assert!((share - 0.25).abs() <= ERRORS * error + 0.01, "{share}");
    assert!(of_strict.blocked.share() <= 0.01 + ERRORS * (0.01_f64 / 1_500.0).sqrt(), "{of_strict:?}");
    // Within forty points is all that is not worse; within one point is only what looks better by chance.
    assert_eq!(of_loud.not_worse.count + of_loud.blocked.count, 1_500, "{said:?}");
    assert!(of_strict.not_worse.share() < 0.05, "{of_strict:?}");
}

#[test]
fn cases_that_hang_together_are_dealt_together() {
    // Ten clusters of four cases with the very same answers: forty cases are worth ten.
    let policy = ComparisonPolicy { margin: 0.2, ..broad_only() };
    let alike = |in_arm: u32, samples: usize, seed: u64| -> Vec<Pool> {
        let clusters = taken(&[0.9; 10], in_arm, samples, seed).into_iter().enumerate();
        let of_cluster = |(cluster, pool): (usize, Pool)| {
            (0..4).map(move |case| Pool { case: format!("{cluster}-{case}"), cluster: Some(cluster.to_string()), ..pool.clone() })
        };
        clusters.flat_map(of_cluster).collect()
    };
    let (mut said, mut really) = (0, 0);
    for seed in 0..100 {
        said += unchanged(&alike(3, 30, seed), &[], &policy.into(), 10, seed).0.not_worse.count;
        for run in 0..10 {
            let [baseline, candidate] = [0, 1].map(|arm| alike(3, 3, 1_000 + 20 * seed + 2 * run + arm));
            let pair = |(one, other): (&Pool, &Pool)| PairedCase {
                case: one.case.clone(),
                cluster: one.cluster.clone(),
                baseline: one.counts(),
                candidate: other.counts(),
            };
            let cases: Vec<PairedCase> = baseline.iter().zip(&candidate).map(pair).collect();
            really += u32::from(judge(&cases, &[], policy).verdict == ComparisonVerdict::NotWorse);
        }
    }
    let [share, really] = [said, really].map(|count| f64::from(count) / 1_000.0);
    let error = (2.0 * really * (1.0 - really) / 1_000.0).sqrt();
    assert!((share - really).abs() <= ERRORS * error, "{share}, in truth {really}");
    assert!(really < 0.95, "dealt one by one they would nearly always be shown to be not worse: {really}");
}

#[test]
fn the_same_places_come_into_the_same_arm_and_are_fresh_together() {
    let pool = |cluster: &str| Pool { cluster: Some(cluster.to_owned()), ..taken(&[0.5], 3, 30, 60).remove(0) };
    let pools = [pool("one"), pool("one"), Pool { places: (1..30).collect(), samples: pool("one").samples[1..].to_vec(), ..pool("one") }];
    let mut decks: Vec<Deck<'_>> = pools.iter().map(Deck::of).collect();
    let mut random = Rng::with_seed(61);
    let mut other = 0;
    for _ in 0..200 {
        deal(&mut decks, &[0, 1, 2], &mut random);
        let [one, two, less] = [0, 1, 2].map(|deck| (decks[deck].candidate().to_vec(), decks[deck].baseline().to_vec()));
        assert_eq!(one, two);
        other += u32::from(less != one);
        let [one, two] = [0, 1].map(|deck| decks[deck].fresh(10, &mut random));
        assert_eq!((one.baseline, one.candidate), (two.baseline, two.candidate));
        let [one, two] = [0, 1].map(|deck| decks[deck].fresh(20, &mut random));
        assert_eq!((one.baseline, one.candidate), (two.baseline, two.candidate), "drawn again, from the same places");
    }
    assert!((1..100).contains(&other), "one place less moves the others only where it was dealt: {other} of 200");
}

#[test]
fn a_baseline_that_was_picked_because_it_was_green_blocks_more() {
    // Samples of every case pass in nine of ten; green is what few runs are.
    let pools = taken(&[0.93; 40], 3, 60, 19);
    let rate = |least| [PassRate { suite: "s".to_owned(), model: "m".to_owned(), min_pass_rate: least, pools: (0..40).collect() }];
    let green = |least| unchanged(&pools, &rate(least), &policy().into(), 3_000, 20).0;
    let hardly = green(0.9);
    let picked = hardly.green.unwrap();
    assert!(picked.draws < 1_000 && picked.share() > 2.0 * hardly.blocked.share(), "{hardly:?}");
    let always = green(0.0);
    assert_eq!(always.green.map(|green| (green.draws, green.count)), Some((3_000, always.blocked.count)));
}

#[test]
fn the_same_seed_deals_the_same() {
    let pools = taken(&[0.5; 20], 3, 30, 17);
    let once = |seed| unchanged(&pools, &[], &ComparisonPolicy { local: Some(LocalPolicy::default()), ..policy() }.into(), 100, seed).0;
    assert_eq!(once(1), once(1));
    assert_ne!(once(1), once(2));
}
