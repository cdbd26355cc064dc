//! How often do gates block an unchanged prompt, and how often do they find a worse one?
//!
//! `cargo bench --bench operating` draws 3,000 runs of a suite whose pass probabilities are known for each row and prints what every rule
//! said, beside the figures that the method was chosen by (docs/gating.md, "Why not something simpler"). A number behind `--` asks for more
//! or fewer runs. A figure that is off by more than the drawing explains is marked, and the command then ends with 1; that the gate keeps its
//! level is held by the tests of `gate::statistics::simulated`. The last rows are not published: other sizes, and baselines that were picked.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::process::ExitCode;

use fastrand::Rng;
use promptkeel::gate::statistics::confirm::{benjamini_hochberg, fisher_worse};
use promptkeel::gate::statistics::discordant::mcnemar;
use promptkeel::gate::statistics::paired::mean;
use promptkeel::gate::statistics::sign_flip;
use promptkeel::gate::statistics::simulated::Truth;
use promptkeel::gate::statistics::verdict::judge;
use promptkeel::model::comparison::{ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, LocalPolicy, PairedCase};

const RUNS: u32 = 3_000;
const SEED: u64 = 20_260_801;

/// The figures were measured on so many runs at least.
const RUNS_BEHIND_THE_FIGURES: f64 = 3_000.0;

/// Measured and published differ by less, but for one figure in thousands.
const ERRORS: f64 = 3.5;

/// One run: what a rule may look at.
struct Run {
    cases: Vec<PairedCase>,
    /// Of both arms, for cases that look worse.
    fresh: Vec<FreshSamples>,
    /// Whether two further samples of the candidate both failed, case by case.
    fails_again: Vec<bool>,
}

/// A rule: does it block this run?
type Rule = fn(&Run) -> bool;

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

const ROWS: [Row; 20] = [
    row("any case that always passed no longer does", no_longer_all, (40, 1), [Some(84.0), Some(99.0), None, Some(100.0)]),
    row("the same", no_longer_all, (100, 3), [Some(99.8), Some(100.0), None, Some(100.0)]),
    row("any case loses more than 15 points", any_drop, (40, 3), [Some(97.0), Some(100.0), Some(100.0), Some(100.0)]),
    row("the mean falls by more than 2 points", mean_falls, (40, 1), [Some(39.0), Some(77.0), None, Some(92.0)]),
    row("the same", mean_falls, (100, 3), [Some(9.5), Some(93.0), None, Some(100.0)]),
    row("failing cases are asked twice more", retried, (40, 3), [Some(11.0), Some(68.0), Some(100.0), Some(32.0)]),
    row("the same", retried, (100, 3), [Some(27.0), Some(94.0), Some(100.0), Some(63.0)]),
    row("majority of three, exact McNemar", majority, (40, 3), [Some(0.1), Some(6.0), Some(1.0), Some(8.0)]),
    row("Fisher per case, Benjamini-Hochberg", each_case, (40, 3), [Some(0.0), Some(0.0), Some(0.0), Some(0.0)]),
    row("unpaired z of all samples", unpaired, (40, 3), [Some(3.0), Some(40.0), None, Some(84.0)]),
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

fn main() -> ExitCode {
    let runs = std::env::args().find_map(|argument| argument.parse::<u32>().ok()).unwrap_or(RUNS).max(1);
    println!("blocked runs in percent, measured on {runs} (published); * where they differ by more than {ERRORS} standard errors");
    println!(
        "unchanged: nothing is worse; local: a tenth of the cases loses 50 points; one: one case breaks; broad: every case loses 10\n"
    );
    println!("{:<44}{:>9}{:>18}{:>18}{:>18}{:>18}", "rule", "cases, k", SCENARIOS[0], SCENARIOS[1], SCENARIOS[2], SCENARIOS[3]);
    let mut off = 0;
    for row in &ROWS {
        let size = format!("{}, {}", row.cases, row.samples);
        let cells: String = SCENARIOS.iter().zip(row.published).map(|(scenario, published)| cell(row, scenario, published, runs)).collect();
        off += cells.matches('*').count();
        println!("{:<44}{size:>9}{cells}", row.name);
    }
    println!("\none standard error of a measured 50 % is {:.1} points, of 5 % {:.1}", error(0.5, runs), error(0.05, runs));
    println!("\nunchanged prompts that the gate blocks where the baseline is a run that was green, 40 cases of 3 samples");
    for (least, cases) in [(0.0, 0), (0.85, 34), (0.9, 36), (0.925, 37), (0.95, 38)] {
        let (green, blocked) = picked(cases, runs);
        println!(
            "  all three samples of {cases} cases pass ({:.1} %): {:.1} % of runs are green, {:.1} % are blocked",
            least * 100.0,
            green,
            blocked
        );
    }
    if off > 0 {
        println!("\n{off} figures differ from the published ones by more than chance");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// `61.2 (61)`.
fn cell(row: &Row, scenario: &str, published: Option<f64>, runs: u32) -> String {
    let truth = truth(row.cases, scenario);
    let mut random = Rng::with_seed(SEED);
    let blocked = (0..runs).filter(|_| {
        let cases = truth.cases(row.samples, &mut random);
        let fresh = judge(&cases, &[], local_only()).need.map(|need| truth.fresh(&need, &mut random)).unwrap_or_default();
        let fails_again = truth.candidate.iter().map(|passes| random.f64() >= *passes && random.f64() >= *passes).collect();
        (row.rule)(&Run { cases, fresh, fails_again })
    });
    let share = blocked.count() as f64 / f64::from(runs);
    let Some(published) = published else { return format!("{:>18}", format!("{:.1}", share * 100.0)) };
    // Published figures are rounded: half a point above 10 %, a twentieth below.
    let rounding = if published < 10.0 { 0.05 } else { 0.5 };
    let both = error(published / 100.0, runs) * (1.0 + f64::from(runs) / RUNS_BEHIND_THE_FIGURES).sqrt();
    let off = (share * 100.0 - published).abs() > ERRORS * both + rounding;
    format!("{:>18}", format!("{:.1} ({published}){}", share * 100.0, if off { "*" } else { "" }))
}

/// In percent: how many runs of the unchanged suite are green, by so many cases that pass all samples, and how many candidates the gate then
/// blocks whose baseline such a run is.
fn picked(cases: usize, runs: u32) -> (f64, f64) {
    let truth = truth(40, SCENARIOS[0]);
    let mut random = Rng::with_seed(SEED);
    let (mut all, mut blocked) = (0_u32, 0_u32);
    for _ in 0..runs {
        let baseline = loop {
            all += 1;
            let run = truth.cases(3, &mut random);
            if run.iter().filter(|case| case.baseline.passes == 3).count() >= cases {
                break run;
            }
        };
        let candidate = truth.cases(3, &mut random);
        let pair = |(one, other): (PairedCase, PairedCase)| PairedCase { baseline: one.baseline, ..other };
        let paired: Vec<PairedCase> = baseline.into_iter().zip(candidate).map(pair).collect();
        let fresh = judge(&paired, &[], ComparisonPolicy::default()).need.map(|need| truth.fresh(&need, &mut random)).unwrap_or_default();
        blocked += u32::from(judge(&paired, &fresh, ComparisonPolicy::default()).verdict == ComparisonVerdict::Regressed);
    }
    (f64::from(runs) / f64::from(all) * 100.0, f64::from(blocked) / f64::from(runs) * 100.0)
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

fn no_longer_all(run: &Run) -> bool {
    run.cases.iter().any(is_no_longer_all)
}

fn is_no_longer_all(case: &PairedCase) -> bool {
    case.baseline.passes == case.baseline.samples && case.candidate.passes < case.candidate.samples
}

fn any_drop(run: &Run) -> bool {
    differences(&run.cases).iter().any(|difference| *difference < -0.15)
}

fn mean_falls(run: &Run) -> bool {
    differences(&run.cases).iter().sum::<f64>() / (run.cases.len() as f64) < -0.02 - 1e-9
}

/// Only the candidate is asked again.
fn retried(run: &Run) -> bool {
    run.cases.iter().zip(&run.fails_again).any(|(case, fails_again)| is_no_longer_all(case) && *fails_again)
}

fn majority(run: &Run) -> bool {
    let passes = |counts: Counts| 2 * counts.passes > counts.samples;
    let changed =
        |before: bool| run.cases.iter().filter(|case| passes(case.baseline) == before && passes(case.candidate) != before).count();
    let number = |count: usize| u32::try_from(count).expect("a few cases");
    mcnemar(number(changed(false)), number(changed(true))).worse_exact <= 0.05
}

fn each_case(run: &Run) -> bool {
    let p: Vec<f64> = run.cases.iter().map(|case| fisher_worse(case.baseline, case.candidate)).collect();
    benjamini_hochberg(&p).iter().any(|p| *p <= 0.05)
}

fn unpaired(run: &Run) -> bool {
    let sum = |of: fn(&PairedCase) -> Counts| {
        run.cases.iter().map(of).fold((0.0, 0.0), |(passes, all), one| (passes + f64::from(one.passes), all + f64::from(one.samples)))
    };
    let ((before, all), (now, all_now)) = (sum(|case| case.baseline), sum(|case| case.candidate));
    let pooled = (before + now) / (all + all_now);
    let error = (pooled * (1.0 - pooled) * (1.0 / all + 1.0 / all_now)).sqrt();
    error > 0.0 && (now / all_now - before / all) / error <= -1.644_853_626_951_472
}

fn p_of_t(cases: &[PairedCase]) -> f64 {
    let clusters: Vec<usize> = (0..cases.len()).collect();
    mean(&differences(cases), &clusters).map_or(1.0, |mean| mean.p_worse())
}

fn paired_t(run: &Run) -> bool {
    p_of_t(&run.cases) <= 0.05
}

fn exact_flip(run: &Run) -> bool {
    sign_flip::test(&sign_flip::units(&run.cases)).exact <= 0.05
}

fn broad(run: &Run) -> bool {
    sign_flip::test(&sign_flip::units(&run.cases)).mid <= 0.05
}

fn local(run: &Run) -> bool {
    judge(&run.cases, &run.fresh, local_only()).verdict == ComparisonVerdict::Regressed
}

fn t_and_local(run: &Run) -> bool {
    let half = ComparisonPolicy { alpha: 0.025, ..local_only() };
    p_of_t(&run.cases) <= 0.025 || judge(&run.cases, &run.fresh, half).verdict == ComparisonVerdict::Regressed
}

fn gate(run: &Run) -> bool {
    judge(&run.cases, &run.fresh, ComparisonPolicy::default()).verdict == ComparisonVerdict::Regressed
}
