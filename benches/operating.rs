//! How often do gates block an unchanged prompt, and how often do they find a worse one?
//!
//! `cargo bench --bench operating` draws 3,000 runs of a suite whose pass probabilities are known for each row and prints what every rule
//! said, beside the figures that the method was chosen by (docs/gating.md, "Why not something simpler"). A number behind `--` asks for more
//! or fewer runs. Nothing fails where a figure is off: it is marked, and the tests of `gate::statistics::simulated` hold the promises.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use fastrand::Rng;
use promptkeel::gate::statistics::paired::mean;
use promptkeel::gate::statistics::sign_flip;
use promptkeel::gate::statistics::simulated::Truth;
use promptkeel::gate::statistics::verdict::judge;
use promptkeel::model::comparison::{ComparisonPolicy, ComparisonVerdict, FreshSamples, LocalPolicy, PairedCase};

const RUNS: u32 = 3_000;
const SEED: u64 = 20_260_801;

/// The figures were measured on so many runs at least.
const RUNS_BEHIND_THE_FIGURES: f64 = 3_000.0;

/// Measured and published differ by less, but for one figure in thousands.
const ERRORS: f64 = 3.5;

/// A rule: does it block this run? The fresh samples are there for those that ask for them.
type Rule = fn(&[PairedCase], &[FreshSamples]) -> bool;

/// One row: a rule with its cases, its samples, and the published shares of blocked runs in percent, scenario by scenario.
struct Row {
    name: &'static str,
    rule: Rule,
    cases: usize,
    samples: u32,
    published: [Option<f64>; 4],
}

const fn row(name: &'static str, rule: Rule, (cases, samples): (usize, u32), published: [Option<f64>; 4]) -> Row {
    Row { name, rule, cases, samples, published }
}

const ROWS: [Row; 15] = [
    row("any case that always passed no longer does", no_longer_all, (40, 1), [Some(84.0), Some(99.0), None, Some(100.0)]),
    row("the same", no_longer_all, (100, 3), [Some(99.8), Some(100.0), None, Some(100.0)]),
    row("any case loses more than 15 points", any_drop, (40, 3), [Some(97.0), Some(100.0), Some(100.0), Some(100.0)]),
    row("the mean falls by more than 2 points", mean_falls, (40, 1), [Some(39.0), Some(77.0), None, Some(92.0)]),
    row("the same", mean_falls, (100, 3), [Some(9.5), Some(93.0), None, Some(100.0)]),
    row("paired t, 5 %", paired_t, (40, 3), [Some(5.25), Some(33.0), Some(10.0), Some(85.0)]),
    row("sign-flip, exact, 5 %", exact_flip, (40, 3), [Some(1.9), Some(23.0), None, Some(81.0)]),
    row("sign-flip, mid-p, 5 % (A)", broad, (40, 3), [Some(3.9), Some(32.0), None, Some(86.0)]),
    row("screen, then confirm, 5 % (B)", local, (40, 3), [Some(0.9), Some(79.0), Some(100.0), Some(0.5)]),
    row("paired t and B, 2.5 % each", t_and_local, (40, 3), [Some(2.1), Some(61.0), Some(100.0), Some(76.0)]),
    row("the same", t_and_local, (100, 3), [Some(2.9), Some(90.0), Some(100.0), Some(99.0)]),
    row("A and B, 2.5 % each: the gate", gate, (40, 3), [Some(2.1), Some(61.0), Some(100.0), Some(76.0)]),
    row("the same", gate, (100, 3), [Some(2.9), Some(90.0), Some(100.0), Some(99.0)]),
    row("the gate, other sizes", gate, (20, 3), [None; 4]),
    row("the gate, other sizes", gate, (40, 5), [None; 4]),
];

const SCENARIOS: [&str; 4] = ["unchanged", "local", "one", "broad"];

fn truth(cases: usize, scenario: &str) -> Truth {
    let unchanged = Truth::unchanged(cases);
    match scenario {
        "local" => unchanged.losing(0.5, |index| index < cases / 10),
        "one" => unchanged.losing(1.0, |index| index == 0),
        "broad" => unchanged.losing(0.1, |_| true),
        _ => unchanged,
    }
}

fn main() {
    let runs = std::env::args().find_map(|argument| argument.parse::<u32>().ok()).unwrap_or(RUNS).max(1);
    println!("blocked runs in percent, measured on {runs} (published); * where they differ by more than {ERRORS} standard errors");
    println!(
        "unchanged: nothing is worse; local: a tenth of the cases loses 50 points; one: one case breaks; broad: every case loses 10\n"
    );
    println!("{:<44}{:>9}{:>18}{:>18}{:>18}{:>18}", "rule", "cases, k", SCENARIOS[0], SCENARIOS[1], SCENARIOS[2], SCENARIOS[3]);
    for row in &ROWS {
        let size = format!("{}, {}", row.cases, row.samples);
        let cells: String = SCENARIOS.iter().zip(row.published).map(|(scenario, published)| cell(row, scenario, published, runs)).collect();
        println!("{:<44}{size:>9}{cells}", row.name);
    }
    println!("\none standard error of a measured 50 % is {:.1} points, of 5 % {:.1}", error(0.5, runs), error(0.05, runs));
}

/// `61.2 (61)`.
fn cell(row: &Row, scenario: &str, published: Option<f64>, runs: u32) -> String {
    let truth = truth(row.cases, scenario);
    let mut random = Rng::with_seed(SEED);
    let blocked = (0..runs).filter(|_| {
        let cases = truth.cases(row.samples, &mut random);
        let fresh = judge(&cases, &[], local_only()).need.map(|need| truth.fresh(&need, &mut random)).unwrap_or_default();
        (row.rule)(&cases, &fresh)
    });
    let share = blocked.count() as f64 / f64::from(runs);
    let Some(published) = published else { return format!("{:>18}", format!("{:.1}", share * 100.0)) };
    // Published figures are rounded: half a point above 10 %, a twentieth below.
    let rounding = if published < 10.0 { 0.05 } else { 0.5 };
    let both = error(published / 100.0, runs) * (1.0 + f64::from(runs) / RUNS_BEHIND_THE_FIGURES).sqrt();
    let off = (share * 100.0 - published).abs() > ERRORS * both + rounding;
    format!("{:>18}", format!("{:.1} ({published}){}", share * 100.0, if off { "*" } else { "" }))
}

/// The standard error of a share, in points.
fn error(share: f64, runs: u32) -> f64 {
    (share * (1.0 - share) / f64::from(runs)).sqrt() * 100.0
}

fn local_only() -> ComparisonPolicy {
    ComparisonPolicy { local: Some(LocalPolicy { share: 1.0, ..LocalPolicy::default() }), ..ComparisonPolicy::default() }
}

fn differences(cases: &[PairedCase]) -> Vec<f64> {
    cases.iter().map(|case| case.candidate.rate().unwrap_or_default() - case.baseline.rate().unwrap_or_default()).collect()
}

fn no_longer_all(cases: &[PairedCase], _: &[FreshSamples]) -> bool {
    cases.iter().any(|case| case.baseline.passes == case.baseline.samples && case.candidate.passes < case.candidate.samples)
}

fn any_drop(cases: &[PairedCase], _: &[FreshSamples]) -> bool {
    differences(cases).iter().any(|difference| *difference < -0.15)
}

fn mean_falls(cases: &[PairedCase], _: &[FreshSamples]) -> bool {
    differences(cases).iter().sum::<f64>() / (cases.len() as f64) < -0.02 - 1e-9
}

fn p_of_t(cases: &[PairedCase]) -> f64 {
    let clusters: Vec<usize> = (0..cases.len()).collect();
    mean(&differences(cases), &clusters).map_or(1.0, |mean| mean.p_worse())
}

fn paired_t(cases: &[PairedCase], _: &[FreshSamples]) -> bool {
    p_of_t(cases) <= 0.05
}

fn exact_flip(cases: &[PairedCase], _: &[FreshSamples]) -> bool {
    sign_flip::test(&sign_flip::units(cases)).exact <= 0.05
}

fn broad(cases: &[PairedCase], _: &[FreshSamples]) -> bool {
    sign_flip::test(&sign_flip::units(cases)).mid <= 0.05
}

fn local(cases: &[PairedCase], fresh: &[FreshSamples]) -> bool {
    judge(cases, fresh, local_only()).verdict == ComparisonVerdict::Regressed
}

fn t_and_local(cases: &[PairedCase], fresh: &[FreshSamples]) -> bool {
    let half = ComparisonPolicy { alpha: 0.025, ..local_only() };
    p_of_t(cases) <= 0.025 || judge(cases, fresh, half).verdict == ComparisonVerdict::Regressed
}

fn gate(cases: &[PairedCase], fresh: &[FreshSamples]) -> bool {
    judge(cases, fresh, ComparisonPolicy::default()).verdict == ComparisonVerdict::Regressed
}
