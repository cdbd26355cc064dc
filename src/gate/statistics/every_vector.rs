//! Is every group and every field of the reference values computed here?
//!
//! A field that is read is either an input or held against what is computed; one that nobody reads is red, and so is a group.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::agreement::{kappa, signed_ranks};
use super::bootstrap::Resampled;
use super::confirm::{benjamini_hochberg, benjamini_yekutieli, fisher_either, fisher_worse, hochberg, holm};
use super::discordant::{Table, mcnemar};
use super::distributions::{beta_share, chi_square_tail, ln_gamma, normal_quantile, student_cdf, student_quantile};
use super::sign_flip::{Unit, test, two_sided};
use super::vectors::{EXACT, NEAR, assert_close, numbers};
use super::{looks, moved, paired, power, proportion, sampling, sequential};
use crate::model::comparison::{Counts, Interval};

/// An object of the file, and which of its fields were read.
struct Fields<'a> {
    group: &'a str,
    of: &'a Value,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Fields<'a> {
    fn of(group: &'a str, of: &'a Value) -> Self {
        assert!(of.is_object(), "{group}");
        Self { group, of, read: RefCell::default() }
    }

    fn value(&self, key: &str) -> &'a Value {
        self.read.borrow_mut().insert(key.to_owned());
        self.of.get(key).unwrap_or_else(|| panic!("{}: no {key} in {}", self.group, self.of))
    }

    fn number(&self, key: &str) -> f64 {
        self.value(key).as_f64().unwrap()
    }

    fn count(&self, key: &str) -> u32 {
        u32::try_from(self.value(key).as_u64().unwrap()).unwrap()
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        numbers(self.value(key))
    }

    #[track_caller]
    fn is(&self, key: &str, got: f64) {
        self.is_within(key, got, EXACT);
    }

    #[track_caller]
    fn is_within(&self, key: &str, got: f64, tolerance: f64) {
        assert_close(got, self.number(key), tolerance, &(self.group, key));
    }

    #[track_caller]
    fn are(&self, key: &str, got: &[f64], tolerance: f64) {
        let expected = self.numbers(key);
        assert_eq!(got.len(), expected.len(), "{} {key}", self.group);
        for (got, expected) in got.iter().zip(expected) {
            assert_close(*got, expected, tolerance, &(self.group, key));
        }
    }

    #[track_caller]
    fn is_interval(&self, key: &str, got: Interval) {
        self.are(key, &[got.low, got.high], EXACT);
    }
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        let all: BTreeSet<String> = self.of.as_object().unwrap().keys().cloned().collect();
        if !std::thread::panicking() {
            assert_eq!(*self.read.borrow(), all, "{}: nothing computes what is missing on the left", self.group);
        }
    }
}

#[test]
fn every_group_and_field_of_the_reference_values_is_reproduced() {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    for (group, value) in all.as_object().unwrap() {
        let check: fn(&Fields<'_>) = match group.as_str() {
            "mcnemar" => of_mcnemar,
            "proportion" => of_proportion,
            "paired_prop_ci" => of_table,
            "paired_t" => of_paired_t,
            "clustered" => of_clusters,
            "signflip" | "signflip_cluster" => of_signs,
            "signflip_equals_mcnemar" => of_coins,
            "signflip_exact_dp_integer_counts" => of_integer_counts,
            "bootstrap_exact_n5" => of_all_resamples,
            "bootstrap_mc_12" => of_drawn_resamples,
            "multiplicity" | "multiplicity4" => of_families,
            "fisher" => of_fisher,
            "stage2_confirm" => of_fresh_samples,
            "passk" => of_passes,
            "sprt" => of_ratio_test,
            "evalue_discordant" => of_evidence,
            "betting" => of_betting,
            "power_miller" | "mde_miller" | "power_mcnemar" | "ni_sample_size" => of_power,
            "exact_power_mcnemar" => of_exact_power,
            "variance_components" => of_variance,
            "quantiles" => of_quantiles,
            "wilcoxon_exact" => of_ranks,
            "kappa" => of_kappa,
            "group_sequential_two_look_one_sided_05_LDOBF" => of_two_looks,
            "zero_failures_upper95_one_sided" => of_no_failures,
            "mmd_hamming" => of_distance,
            "design_effect" => of_design,
            "pocock_two_look_one_sided_05" => {
                assert_close(looks::alike(0.05), value.as_f64().unwrap(), NEAR, group);
                continue;
            }
            _ => panic!("nothing computes the group {group}"),
        };
        match value {
            Value::Array(list) => list.iter().for_each(|one| check(&Fields::of(group, one))),
            one => check(&Fields::of(group, one)),
        }
    }
}

fn of_mcnemar(of: &Fields<'_>) {
    let got = mcnemar(of.count("b_improved"), of.count("c_regressed"));
    of.is("exact2", got.exact);
    of.is("midp2", got.mid);
    of.is("exact1_worse", got.worse_exact);
    of.is("midp1_worse", got.worse_mid);
    of.is("chi2", got.chi_square);
    of.is("chi2_cc", got.corrected);
}

fn of_proportion(of: &Fields<'_>) {
    let counts = Counts::new(of.count("k"), of.count("n"));
    of.is_interval("wilson95", proportion::wilson(counts, 0.95));
    of.is_interval("wilson90", proportion::wilson(counts, 0.9));
    of.is_interval("clopper95", proportion::clopper_pearson(counts, 0.95));
    of.is_interval("jeffreys95", proportion::jeffreys(counts, 0.95));
    of.is("fail_upper95_one_sided", proportion::most_failures(counts, 0.95));
}

fn of_table(of: &Fields<'_>) {
    let [both, first_only, second_only, neither] = ["n11", "n10", "n01", "n00"].map(|key| of.count(key));
    let table = Table { both, first_only, second_only, neither };
    assert_eq!(both + first_only + second_only + neither, of.count("n"));
    of.is("diff", (f64::from(first_only) - f64::from(second_only)) / of.number("n"));
    of.is_interval("wald", table.wald(0.95));
    of.is_interval("newcombe10", table.newcombe(0.95));
    of.is_interval("bonett_price", table.bonett_price(0.95));
    // Two implementations, each iterating its own way.
    of.are("tango", &[table.tango(0.95).low, table.tango(0.95).high], NEAR);
    of.are("evalstats_tango", &[table.tango(0.95).low, table.tango(0.95).high], NEAR);
}

fn of_paired_t(of: &Fields<'_>) {
    let (base, candidate) = (of.numbers("base"), of.numbers("cand"));
    let differences: Vec<f64> = candidate.iter().zip(&base).map(|(candidate, base)| candidate - base).collect();
    let got = paired::mean(&differences, &(0..differences.len()).collect::<Vec<_>>()).unwrap();
    of.is("mean_diff", got.value);
    of.is("se", got.standard_error);
    of.is("t", got.value / got.standard_error);
    of.is("df", f64::from(got.degrees));
    of.is("p1_worse", got.p_worse());
    of.is("p2", 2.0 * got.p_worse());
    of.is_interval("ci95", got.interval(0.95));
    of.is_interval("ci90", got.interval(0.9));
    let (error, correlation) = paired::unpaired(&base, &candidate).unwrap();
    of.is("unpaired_se", error);
    of.is("corr", correlation);
    of.is_interval("bonett_price_multirun95", paired::bonett_price(&differences, 0.95));
    of.is_interval("bonett_price_multirun90", paired::bonett_price(&differences, 0.9));
}

fn of_clusters(of: &Fields<'_>) {
    let differences = of.numbers("d");
    let clusters: Vec<usize> = of.numbers("clusters").into_iter().map(|cluster| cluster as usize).collect();
    let got = paired::mean(&differences, &clusters).unwrap();
    of.is("mean", got.value);
    of.is("se_cluster_G_over_Gm1", got.standard_error);
    of.is("se_cluster_miller", got.uncorrected_error());
    of.is("se_iid_clt", paired::mean(&differences, &(0..differences.len()).collect::<Vec<_>>()).unwrap().standard_error);
    of.is("G", f64::from(got.degrees) + 1.0);
    of.is_interval("ci95_t_Gm1", got.interval(0.95));
    of.is("t", got.value / got.standard_error);
    of.is("p2", 2.0 * got.p_worse());
}

/// The differences of `signflip` are those of `clustered`.
fn of_signs(of: &Fields<'_>) {
    let values = if of.group == "signflip" { numbers(&super::vectors::vectors("clustered")["d"]) } else { of.numbers("cluster_sums") };
    let units: Vec<Unit> = values.into_iter().map(Unit::scored).collect();
    let all = 2.0_f64.powi(i32::try_from(of.count("nonzero")).unwrap());
    assert_eq!(of.count("nonzero") as usize, units.iter().filter(|unit| unit.can_differ()).count());
    of.is("perms", all);
    of.is("p1_worse", test(&units).exact);
    of.is("count_le", test(&units).exact * all);
    of.is("p2", two_sided(&units));
    of.is("count_abs_ge", two_sided(&units) * all);
}

fn of_coins(of: &Fields<'_>) {
    let units: Vec<Unit> = [vec![Unit::flipped(1); of.count("b") as usize], vec![Unit::flipped(-1); of.count("c") as usize]].concat();
    of.is("p1_worse", test(&units).exact);
    of.is("p2", two_sided(&units));
}

fn of_integer_counts(of: &Fields<'_>) {
    let counts: Vec<i64> = of.value("counts").as_array().unwrap().iter().map(|count| count.as_i64().unwrap()).collect();
    let units: Vec<Unit> = counts.iter().copied().map(Unit::flipped).collect();
    let (got, all) = (test(&units), of.number("total"));
    of.is("nonzero", units.iter().filter(|unit| unit.can_differ()).count() as f64);
    of.is("obs", counts.iter().sum::<i64>() as f64);
    of.is("p1_worse", got.exact);
    of.is("midp1_worse", got.mid);
    // The mid-p takes half of those at the observed sum.
    of.is("eq", 2.0 * (got.exact - got.mid) * all);
    of.is("lt", (2.0 * got.mid - got.exact) * all);
    of.is("p2", two_sided(&units));
}

fn of_all_resamples(of: &Fields<'_>) {
    let got = Resampled::all(&of.numbers("d")).unwrap();
    of.is("N", got.count() as f64);
    of.is("mean", got.mean());
    of.is("sd_pop", got.deviation());
    for (key, share) in [("q025", 0.025), ("q05", 0.05), ("q50", 0.5), ("q95", 0.95), ("q975", 0.975)] {
        of.is(key, got.quantile(share));
    }
    let (below, at) = got.shares(0.0);
    of.is("frac_lt_0", below);
    of.is("frac_le_0", below + at);
}

/// Drawn there with another generator: the file itself says how near that has to come.
fn of_drawn_resamples(of: &Fields<'_>) {
    assert!(of.value("note").as_str().unwrap().contains("compare with tolerance 0.01"));
    let differences = numbers(&super::vectors::vectors("clustered")["d"]);
    let got = Resampled::drawn(&differences, 20_000, 12_345).unwrap();
    let near = |key: &str, got: &[f64]| {
        for (got, expected) in got.iter().zip(of.numbers(key)) {
            assert!((got - expected).abs() <= 0.01, "{key}: {got} instead of {expected}");
        }
    };
    let ends = |interval: Interval| [interval.low, interval.high];
    near("percentile95", &ends(got.percentiles(0.95)));
    near("bca95", &ends(got.accelerated(&differences, 0.95)));
    assert!((got.deviation() - of.number("se")).abs() <= 0.01);
    let mean = differences.iter().sum::<f64>() / 12.0;
    let plain = (differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / 144.0).sqrt();
    of.is("se_theory_plugin", plain);
}

fn of_families(of: &Fields<'_>) {
    let p = of.numbers("p");
    of.are("holm", &holm(&p), EXACT);
    of.are("bh", &benjamini_hochberg(&p), EXACT);
    if of.group == "multiplicity" {
        of.are("by", &benjamini_yekutieli(&p), EXACT);
        of.are("hochberg", &hochberg(&p), EXACT);
    }
}

fn of_fisher(of: &Fields<'_>) {
    let k = of.count("k");
    let [baseline, candidate] = ["base_pass", "cand_pass"].map(|key| Counts::new(of.count(key), k));
    of.is("p1_worse", fisher_worse(baseline, candidate));
    of.is("p2", fisher_either(baseline, candidate));
}

fn of_fresh_samples(of: &Fields<'_>) {
    let k2 = of.count("k2");
    let pairs = of.value("base_cand").as_array().unwrap();
    let counts = |pair: &Value, arm: usize| Counts::new(u32::try_from(pair[arm].as_u64().unwrap()).unwrap(), k2);
    let p: Vec<f64> = pairs.iter().map(|pair| fisher_worse(counts(pair, 0), counts(pair, 1))).collect();
    of.are("p1", &p, EXACT);
    of.are("holm", &holm(&p), EXACT);
}

fn of_passes(of: &Fields<'_>) {
    let (counts, k) = (Counts::new(of.count("c"), of.count("n")), of.count("k"));
    of.is("pass_at_k", sampling::pass_at(k, counts).unwrap());
    of.is("pass_hat_k", sampling::all_pass(k, counts).unwrap());
}

fn of_ratio_test(of: &Fields<'_>) {
    let (alpha, beta) = (of.number("alpha"), of.number("beta"));
    for case in of.value("cases").as_array().unwrap() {
        let case = Fields::of("sprt", case);
        let test = sequential::RatioTest::between(case.number("p0"), case.number("p1"), alpha, beta);
        of.is("upper", test.upper);
        of.is("lower", test.lower);
        let (path, heard) = test.hear(case.value("seq").as_str().unwrap().chars().map(|hit| hit == '1'));
        case.are("llr", &path, EXACT);
        let stop = (heard != sequential::Heard::Neither).then_some(path.len() as u64);
        assert_eq!(case.value("stop").as_u64(), stop);
        let decision = match heard {
            sequential::Heard::First => "H0",
            sequential::Heard::Second => "H1",
            sequential::Heard::Neither => "continue",
        };
        assert_eq!(case.value("decision").as_str(), Some(decision));
        if case.of.get("note").is_some() {
            assert!(case.value("note").as_str().unwrap().contains("1=fail"));
        }
    }
}

fn of_evidence(of: &Fields<'_>) {
    let (regressed, improved) = (of.count("regressed"), of.count("improved"));
    of.is("e_two_sided", sequential::evidence_of_change(regressed, improved));
    of.is("e_one_sided_worse", sequential::evidence_of_worse(regressed, improved));
    of.is("p_anytime_1s", sequential::p_of_evidence(sequential::evidence_of_worse(regressed, improved)));
}

fn of_betting(of: &Fields<'_>) {
    let (differences, stake) = (of.numbers("d"), of.number("lambda_"));
    of.are("worse_path", &sequential::fortune(&differences, stake, None), EXACT);
    of.are("noninf_path", &sequential::fortune(&differences, stake, Some(of.number("noninf_delta"))), EXACT);
    of.is("worse_mixture_final", sequential::mixed_fortune(&differences, &of.numbers("mix_lambdas")));
}

fn of_power(of: &Fields<'_>) {
    let variance = || power::variance(of.number("omega2"), of.number("sA2") + of.number("sB2"), of.number("K"));
    let size = |got: Option<f64>| {
        let got = got.unwrap();
        assert_close(got / of.number("n"), 1.0, EXACT, &of.group);
        of.is("n_ceil", got.ceil());
    };
    match of.group {
        "power_miller" => size(power::cases(variance(), of.number("delta"), 0.025, 0.8)),
        "power_mcnemar" => size(power::cases_of_one_sample(of.number("p_disc"), of.number("delta"), 0.025, 0.8)),
        "ni_sample_size" => size(power::cases(of.number("var_d"), of.number("margin"), 0.05, 0.8)),
        _ => {
            let error = (variance() / of.number("n")).sqrt();
            of.is("mde_two_sided", power::detectable(error, 0.025, 0.8));
            of.is("mde_one_sided", power::detectable(error, 0.05, 0.8));
        }
    }
}

/// Every table of n cases with its probability.
fn of_exact_power(of: &Fields<'_>) {
    let (n, improve, regress) = (of.count("n"), of.number("p_improve"), of.number("p_regress"));
    let mut found = [0.0; 4];
    let mut weight_of_improved = 1.0;
    for improved in 0..=n {
        let mut weight = weight_of_improved * (1.0 - improve - regress).powi(i32::try_from(n - improved).unwrap());
        for regressed in 0..=n - improved {
            let test = mcnemar(improved, regressed);
            for (found, p) in found.iter_mut().zip([test.exact, test.mid, test.worse_exact, test.worse_mid]) {
                *found += if p <= 0.05 { weight } else { 0.0 };
            }
            weight *= f64::from(n - improved - regressed) / f64::from(regressed + 1) * regress / (1.0 - improve - regress);
        }
        weight_of_improved *= f64::from(n - improved) / f64::from(improved + 1) * improve;
    }
    for (key, found) in ["exact2", "midp2", "exact1", "midp1"].into_iter().zip(found) {
        of.is(key, found);
    }
}

fn of_variance(of: &Fields<'_>) {
    let case = |samples: &Value| Counts::new(numbers(samples).iter().map(|sample| *sample as u32).sum(), numbers(samples).len() as u32);
    let cases: Vec<Counts> = of.value("S").as_array().unwrap().iter().map(case).collect();
    let got = sampling::spread_of_rates(&cases).unwrap();
    let all = cases.iter().fold(Counts::default(), |all, one| Counts::new(all.passes + one.passes, all.samples + one.samples));
    of.is("mean", all.rate().unwrap());
    of.is("var_of_case_means", got.observed);
    of.is("mean_within_var", got.noise * f64::from(cases[0].samples));
    of.is("var_x_hat", got.between);
    of.is("se_mean", (got.observed / cases.len() as f64).sqrt());
    of.is("share_noise", got.noise / got.observed);
    of.is("naive_iid_se", (sampling::noise(all).unwrap() / f64::from(all.samples)).sqrt());
}

fn of_quantiles(of: &Fields<'_>) {
    for (key, probability) in [("norm_975", 0.975), ("norm_95", 0.95), ("norm_80", 0.8)] {
        of.is(key, normal_quantile(probability));
    }
    for (key, probability) in [("t_975", 0.975), ("t_95", 0.95)] {
        for (degrees, expected) in of.value(key).as_object().unwrap() {
            let got = student_quantile(probability, degrees.parse().unwrap());
            assert_close(got, expected.as_f64().unwrap(), EXACT, &(key, degrees));
        }
    }
    for one in of.value("t_cdf").as_array().unwrap() {
        let one = Fields::of("t_cdf", one);
        one.is("cdf", student_cdf(one.number("t"), one.count("df")));
    }
    for one in of.value("betainc").as_array().unwrap() {
        let one = Fields::of("betainc", one);
        one.is("v", beta_share(one.number("x"), one.number("a"), one.number("b")));
    }
    of.is("lgamma_10_5", ln_gamma(10.5));
    for (x, expected) in of.value("chi2_sf_1").as_object().unwrap() {
        assert_close(chi_square_tail(x.parse().unwrap()), expected.as_f64().unwrap(), EXACT, x);
    }
}

fn of_ranks(of: &Fields<'_>) {
    let (statistic, p) = signed_ranks(&of.numbers("d"));
    of.is("statistic", statistic);
    of.is("p2", p);
}

fn of_kappa(of: &Fields<'_>) {
    let row = |row: &Value| numbers(row).into_iter().map(|count| count as u32).collect();
    let table: Vec<Vec<u32>> = of.value("table").as_array().unwrap().iter().map(row).collect();
    of.is("kappa", kappa(&table).unwrap());
    assert_eq!((kappa(&[]), kappa(&[vec![1, 2]]), kappa(&[vec![5, 0], vec![0, 0]])), (None, None, None));
}

fn of_two_looks(of: &Fields<'_>) {
    let fraction = of.number("t1");
    of.is("alpha1", looks::first(0.05, fraction));
    of.is("z1", normal_quantile(1.0 - looks::first(0.05, fraction)));
    // Behind these stands an integral, there and here.
    of.is_within("p2_nominal", looks::second(0.05, fraction), NEAR);
    of.is_within("z2", normal_quantile(1.0 - looks::second(0.05, fraction)), NEAR);
}

fn of_no_failures(of: &Fields<'_>) {
    for samples in of.of.as_object().unwrap().keys() {
        let count = samples.parse().unwrap();
        of.is(samples, proportion::most_failures(Counts::new(count, count), 0.95));
    }
}

fn of_distance(of: &Fields<'_>) {
    let texts = |key: &str| of.value(key).as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>();
    let got = moved::test(&[(texts("X"), texts("Y"))], of.count("L") as usize).unwrap();
    of.is("mmd2", got.distance);
    of.is("exact_p", got.p);
    assert_eq!(got.deals, (u64::from(of.count("count")), u64::from(of.count("total"))));
}

fn of_design(of: &Fields<'_>) {
    let effect = sampling::design_effect(of.number("m"), of.number("icc"));
    of.is("deff", effect);
    of.is("n_eff_of_200", 200.0 / effect);
}
