//! How does each suite of a run stand against its baseline, and what does its comparison gate say?

use std::collections::{BTreeSet, HashSet};

use super::coverage;
use super::gone;
use super::models;
use super::pairing::{Across, Pair};
use super::side_by_side::{self, ArmCells, Bought, Incomparable};
use crate::model::baseline::{
    Baseline, ComparisonAsked, ComparisonStanding, PREVIOUS, SuiteComparison, Unasked, WhyUnasked, place as place_of,
};
use crate::model::comparison::{ComparisonPolicy, ComparisonVerdict, Counts, PairedCase};
use crate::model::gate::{GateKind, GateOutcome, GateResult, SuitePolicy};
use crate::model::run::CellResult;
use crate::model::side_by_side::{ArmComparison, Finding, FindingKind};
use crate::model::verdict::{ErrorKind, SkipReason, Verdict};

use super::statistics::{second_look, verdict};

/// Answers that are so many days older than others are said to be.
const OLD: i64 = 7;

/// Compares each suite that asks for it with its baseline: its gated cells alone, all of a suite together. `partial`: cells were left out on
/// purpose, so that the baseline has more of them says nothing.
///
/// One suite that is worse fails the run, so all of them share alpha where they block: by Holm's steps, each with its part of it until one is
/// shown to be worse, the others then with theirs of those that are left.
#[must_use]
pub fn compare(cells: &[CellResult], policies: &[SuitePolicy], baselines: &[Baseline], partial: bool) -> Vec<SuiteComparison> {
    // A report that lost a baseline is no reason to let the suite pass.
    let lost = policies.iter().filter_map(|policy| policy.comparison.as_ref());
    let lost: Vec<Baseline> = lost.map(|asked| Baseline { reference: asked.baseline.clone(), part: true, ..Baseline::default() }).collect();
    let asked = policies.iter().filter_map(|policy| Some((policy.name.as_str(), policy.comparison.as_ref()?)));
    let suites: Vec<(&str, &ComparisonAsked, Vec<&CellResult>, &Baseline)> = asked
        .filter_map(|(suite, asked)| {
            if models::named(&asked.baseline).is_some() {
                return None;
            }
            let found = place_of(baselines, &asked.baseline, suite).and_then(|place| baselines.get(place));
            let baseline = found.or_else(|| lost.iter().find(|lost| lost.reference == asked.baseline))?;
            let of_suite: Vec<&CellResult> = cells.iter().filter(|cell| &*cell.address.suite == suite).collect();
            (!of_suite.is_empty()).then_some((suite, asked, of_suite, baseline))
        })
        .collect();
    let of = |place: usize, family: usize| {
        let (suite, asked, cells, baseline) = &suites[place];
        let policy = ComparisonPolicy { family: u32::try_from(family).unwrap_or(u32::MAX).max(1), ..asked.policy() };
        of_one(suite, policy, asked.decides, cells, baseline, partial)
    };
    let mut family = suites.len();
    let mut compared: Vec<SuiteComparison> = (0..suites.len()).map(|place| of(place, family)).collect();
    loop {
        let verdicts = || compared.iter().filter_map(|one| Some(one.compared.as_ref()?.comparison.verdict));
        let shown = verdicts().filter(|verdict| *verdict == ComparisonVerdict::Regressed).count();
        let left = verdicts().count().saturating_sub(shown);
        if left == 0 || left == family {
            break;
        }
        family = left;
        for (place, one) in compared.iter_mut().enumerate() {
            if one.compared.as_ref().is_some_and(|compared| compared.comparison.verdict != ComparisonVerdict::Regressed) {
                *one = of(place, family);
            }
        }
    }
    // Models of one run are compared beside that, in the order of the suites.
    let mut all = Vec::new();
    let of_models = policies.iter().filter_map(|policy| models::named(&policy.comparison.as_ref()?.baseline)).count();
    let mut compared = compared.into_iter().peekable();
    for (suite, asked) in policies.iter().filter_map(|policy| Some((policy.name.as_str(), policy.comparison.as_ref()?))) {
        if models::named(&asked.baseline).is_some() {
            let of_suite: Vec<&CellResult> = cells.iter().filter(|cell| &*cell.address.suite == suite).collect();
            all.extend(models::compare(suite, asked, of_models, &of_suite, baselines));
        }
        while let Some(one) = compared.next_if(|one| one.suite == suite) {
            all.push(one);
        }
    }
    let gone = gone::of(baselines, &all, partial);
    all.extend(gone);
    all
}

/// One gate for each suite that is compared.
#[must_use]
pub fn gates(comparisons: &[SuiteComparison]) -> Vec<GateResult> {
    let of_suites = comparisons.chunk_by(|one, other| one.suite == other.suite && one.model.is_some() && other.model.is_some());
    let of_suites = of_suites.flat_map(|of_suite| match of_suite {
        [first, ..] if first.model.is_some() => vec![models::gate(&first.suite, &of_suite.iter().collect::<Vec<_>>())],
        of_suite => of_suite.iter().map(gate).collect(),
    });
    of_suites.collect()
}

fn gate(comparison: &SuiteComparison) -> GateResult {
    GateResult {
        kind: match comparison.standing {
            ComparisonStanding::Budget => GateKind::Budget,
            ComparisonStanding::Regressed
            | ComparisonStanding::NotWorse
            | ComparisonStanding::Unchanged
            | ComparisonStanding::New
            | ComparisonStanding::Undecided
            | ComparisonStanding::Missing => GateKind::Comparison,
        },
        suite: Some(comparison.suite.clone()),
        model: None,
        outcome: match comparison.standing {
            ComparisonStanding::Regressed => GateOutcome::Fail,
            ComparisonStanding::NotWorse | ComparisonStanding::Unchanged | ComparisonStanding::New => GateOutcome::Pass,
            ComparisonStanding::Undecided => GateOutcome::Undecided,
            ComparisonStanding::Missing | ComparisonStanding::Budget => GateOutcome::Missing,
        },
        message: comparison.message.clone(),
    }
}

/// The cells of a suite on both sides, the baseline's first: the gated ones of the run, and what stands against them.
fn sides<'a>(suite: &str, cells: &[&'a CellResult], baseline: &'a Baseline, partial: bool) -> [Vec<&'a CellResult>; 2] {
    let candidate: Vec<&CellResult> = cells.iter().filter(|cell| cell.gated).copied().collect();
    let known: HashSet<(&str, &str)> = candidate.iter().map(|cell| place(cell)).collect();
    let is_judged = |model: &str| known.iter().any(|(_, judged)| *judged == model);
    let informing: HashSet<&str> = cells.iter().map(|cell| &*cell.address.model).filter(|model| !is_judged(model)).collect();
    let counts = |cell: &&CellResult| {
        &*cell.address.suite == suite && !informing.contains(&*cell.address.model) && (!partial || known.contains(&place(cell)))
    };
    [baseline.cells.iter().filter(counts).collect(), candidate]
}

/// The pairs of a suite that a comparison names, by the names that it gives them.
#[must_use]
pub fn pairs<'a>(suite: &str, cells: &'a [CellResult], baseline: &'a Baseline, partial: bool) -> Vec<Pair<'a>> {
    let of_suite: Vec<&CellResult> = cells.iter().filter(|cell| &*cell.address.suite == suite).collect();
    if baseline.model.is_some() {
        return models::pairs(&of_suite, baseline);
    }
    let [before, candidate] = sides(suite, &of_suite, baseline, partial);
    super::pairing::pair(Across::Runs, &before, &candidate).comparable
}

fn of_one(
    suite: &str,
    policy: ComparisonPolicy,
    decides: bool,
    cells: &[&CellResult],
    baseline: &Baseline,
    partial: bool,
) -> SuiteComparison {
    let [before, candidate] = sides(suite, cells, baseline, partial);
    let end = |standing, compared, message: String| SuiteComparison {
        suite: suite.to_owned(),
        baseline: baseline.reference.clone(),
        model: None,
        standing,
        compared,
        gap: None,
        left_out: Vec::new(),
        cheapest: None,
        message: match other_gate(baseline, suite) {
            Some(changes) => format!("{message}; its gate is another one than the baseline's: {changes}"),
            None => message,
        },
    };
    let lost = lost(suite, cells, baseline, partial);
    let (old, new) = names(&before, &candidate, &baseline.reference);
    let run = baseline.run.clone().unwrap_or_default();
    let arms = [ArmCells { name: old, run, cells: before }, ArmCells { name: new, run: String::new(), cells: candidate }];
    let bought = Bought::of(baseline, decides);
    let compared = side_by_side::compare_with(Across::Runs, &arms[0], &arms[1], bought, policy);
    let mut compared = match compared {
        Ok(compared) => compared,
        Err(error) => {
            let mut left_out = super::pairing::pair(Across::Runs, &arms[0].cells, &arms[1].cells).findings;
            left_out.extend(lost);
            let (standing, message) =
                match (incomparable(suite, baseline, &arms, &error, &left_out), gone::renamed(suite, baseline, &arms[1])) {
                    // What is new only where it stands is not new.
                    ((ComparisonStanding::New, _), Some(gap)) => {
                        (ComparisonStanding::Undecided, format!("undecided whether it is worse than {}: {gap}", baseline.reference))
                    }
                    (found, _) => found,
                };
            return SuiteComparison { left_out, ..end(standing, None, message) };
        }
    };
    compared.validity.extend(lost);
    let prefix = format!("{suite}::");
    compared.critical.extend(baseline.critical.iter().filter(|case| case.starts_with(&prefix)).cloned());
    let is_broken = baseline.critical.iter().any(|case| case.starts_with(&prefix));
    let standing = match standing(&compared, &arms, bought) {
        _ if is_broken => ComparisonStanding::Regressed,
        found => lacking(&compared, suite, baseline).unwrap_or(found),
    };
    let gap = coverage::gap(Across::Runs, baseline, &arms).or_else(|| gone::renamed(suite, baseline, &arms[1]));
    let standing = if gap.is_some() && standing == ComparisonStanding::NotWorse { ComparisonStanding::Undecided } else { standing };
    let gap = gap.filter(|_| standing == ComparisonStanding::Undecided);
    let said = said(&compared);
    let message = match standing {
        _ if is_broken => format!("a critical assertion fails in fresh samples of {}; {said}", named(&compared.critical)),
        ComparisonStanding::Missing => format!("{said}; but verdicts are missing that could change it"),
        ComparisonStanding::Budget => format!("{said}; but the budget left out what would decide it"),
        ComparisonStanding::Undecided => match gap {
            Some(ref gap) if compared.comparison.verdict == ComparisonVerdict::NotWorse => {
                format!("undecided: {gap}; apart from that {said}")
            }
            Some(ref gap) => format!("{said}{}; {gap}", unasked(&compared, suite, baseline)),
            None => format!("{said}{}", unasked(&compared, suite, baseline)),
        },
        ComparisonStanding::Regressed => format!("{said}{}", may_have_moved(&compared)),
        ComparisonStanding::NotWorse if baseline.not_held => {
            format!("{said}; but the gate of that run did not hold (`last-green` takes one whose gate did)")
        }
        ComparisonStanding::NotWorse | ComparisonStanding::Unchanged | ComparisonStanding::New => said,
    };
    SuiteComparison { gap, ..end(standing, Some(compared), message) }
}

/// Providers change what stands behind a name: whatever is worse than old answers may be the model, and not the prompt.
fn may_have_moved(compared: &ArmComparison) -> String {
    let (Some(before), Some(now)) = (compared.baseline.answered, compared.candidate.answered) else { return String::new() };
    match before.days_before(now) {
        days @ OLD.. => format!(
            "; the baseline's answers are {days} days older, and the model may have changed since: `--baseline git:REVISION --cache refresh` asks both anew"
        ),
        _ => String::new(),
    }
}

fn place(cell: &CellResult) -> (&str, &str) {
    (&cell.address.case, &cell.address.model)
}

/// What the arms are called: two versions of one prompt by these, else the baseline by how it was asked for.
fn names(before: &[&CellResult], now: &[&CellResult], reference: &str) -> (String, String) {
    let versions = |cells: &[&CellResult]| -> BTreeSet<String> {
        cells.iter().map(|cell| format!("{}@{}", cell.address.prompt, cell.address.version)).collect()
    };
    // Of several versions only the newest one is compared.
    let newest = |cells: &[&CellResult]| cells.iter().map(|cell| cell.address.version).max();
    let prompts: BTreeSet<&str> = before.iter().chain(now).map(|cell| &*cell.address.prompt).collect();
    match (newest(before), newest(now), prompts.first()) {
        (Some(old), Some(new), Some(prompt)) if old != new && prompts.len() == 1 && versions(now).len() == 1 => {
            (format!("{prompt}@{old}"), format!("{prompt}@{new}"))
        }
        _ => (reference.to_owned(), "this run".to_owned()),
    }
}

/// Cases of the baseline that this run does not gate any more: nobody asked them, or their model only informs now.
fn lost(suite: &str, cells: &[&CellResult], baseline: &Baseline, partial: bool) -> Vec<Finding> {
    let prefix = format!("{suite}::");
    let of_suite = |cases: &[String]| -> Vec<String> { cases.iter().filter(|case| case.starts_with(&prefix)).cloned().collect() };
    let gated: HashSet<&str> = cells.iter().filter(|cell| cell.gated).map(|cell| &*cell.address.model).collect();
    let informs: HashSet<(&str, &str)> = cells.iter().map(|cell| place(cell)).filter(|(_, model)| !gated.contains(model)).collect();
    let models: HashSet<&str> = informs.iter().map(|(_, model)| *model).collect();
    let was_gated = |cell: &&CellResult| {
        let (case, model) = place(cell);
        &*cell.address.suite == suite && cell.gated && models.contains(model) && (!partial || informs.contains(&(case, model)))
    };
    let mut informing = of_suite(&baseline.informing);
    informing.extend(baseline.cells.iter().filter(was_gated).map(|cell| format!("{suite}::{}::{}", cell.address.case, cell.address.model)));
    let found = [(FindingKind::OnlyBaseline, of_suite(&baseline.dropped)), (FindingKind::Informs, informing)];
    let found = found.into_iter().filter(|(_, cases)| !cases.is_empty());
    let found = found.map(|(kind, cases)| Finding { kind, left_out: true, cases, detail: None });
    let gate = |detail| Finding { kind: FindingKind::Gate, left_out: false, cases: Vec::new(), detail: Some(detail) };
    found.chain(other_gate(baseline, suite).map(gate)).collect()
}

/// What the suite's gate asked for then and does not now.
fn other_gate(baseline: &Baseline, suite: &str) -> Option<String> {
    let known = baseline.suites.iter().filter(|known| known.name == suite);
    let changes: Vec<&str> = known.flat_map(|known| &known.gate).map(String::as_str).collect();
    (!changes.is_empty()).then(|| changes.join(", "))
}

/// What it comes to where nothing may be compared: only what the baseline does not know is new, and only what is the very same is unchanged.
fn incomparable(
    suite: &str,
    baseline: &Baseline,
    arms: &[ArmCells<'_>; 2],
    error: &Incomparable,
    left_out: &[Finding],
) -> (ComparisonStanding, String) {
    let reference = &baseline.reference;
    let undecided = |why: String| (ComparisonStanding::Undecided, format!("undecided whether it is worse than {reference}: {why}"));
    match error {
        Incomparable::NothingInCommon if baseline.knows(suite) => undecided(nothing_in_common(suite, baseline, arms)),
        Incomparable::NothingInCommon if baseline.part => {
            undecided("the baseline has only some of the cells, and none of this suite".to_owned())
        }
        Incomparable::NothingInCommon if reference == PREVIOUS => {
            (ComparisonStanding::New, "its prompts have no earlier version: nothing is compared".to_owned())
        }
        Incomparable::NothingInCommon => {
            let message = format!("the baseline {reference} does not have this suite: it is new, and nothing is compared");
            (ComparisonStanding::New, message)
        }
        Incomparable::AllLeftOut { same: None, .. } => undecided(error.to_string()),
        Incomparable::AllLeftOut { same: Some(same), .. } => {
            match coverage::gap(Across::Runs, baseline, arms).or_else(|| gone::renamed(suite, baseline, &arms[1])) {
                Some(gap) => undecided(format!("{same} {} the very same answers in both, and {gap}", have(same))),
                None if baseline.failed => undecided(format!(
                    "it has the very same answers in {same}, and the gate of that run did not hold; nothing else is remembered to compare with"
                )),
                None => {
                    let rest: Vec<Finding> = left_out.iter().filter(|finding| finding.kind != FindingKind::SameAnswers).cloned().collect();
                    let message = format!("unchanged since {reference}: the very same answers in {same}, nothing to compare");
                    (ComparisonStanding::Unchanged, format!("{message}{}", not_compared(&rest)))
                }
            }
        }
    }
}

/// Why a baseline that knows the suite has nothing that stands against this run's cells of it.
fn nothing_in_common(suite: &str, baseline: &Baseline, [before, now]: &[ArmCells<'_>; 2]) -> String {
    let models: BTreeSet<String> = now.cells.iter().map(|cell| cell.address.model.to_string()).collect();
    let models: Vec<String> = models.into_iter().collect();
    let known = baseline.suites.iter().filter(|known| known.name == suite).flat_map(|known| &known.models);
    let is_known = |model: &String| before.cells.iter().any(|cell| *cell.address.model == **model) || known.clone().any(|one| one == model);
    if known.clone().next().is_none() && before.cells.is_empty() {
        return "it knows this suite, and has no whole run of it that could be compared".to_owned();
    }
    if !models.iter().any(is_known) {
        return format!("this run was answered by {}, and {}", models.join(", "), coverage::other_models(baseline, before, &models));
    }
    "the two have no case in common: were they renamed?".to_owned()
}

fn have(cases: &str) -> &'static str {
    if cases == "1 case" { "has" } else { "have" }
}

/// `v3 is not worse than v2 on 60 cases x 3 samples (...)`.
pub(super) fn said(compared: &ArmComparison) -> String {
    let (old, new) = (&compared.baseline.name, &compared.candidate.name);
    let said = match (compared.comparison.verdict, compared.sentence.split_once(" on ")) {
        (ComparisonVerdict::Regressed | ComparisonVerdict::NotWorse, Some((verdict, rest))) => {
            format!("{new} is {verdict} than {old} on {rest}")
        }
        (ComparisonVerdict::Undecided, Some((verdict, rest))) if compared.comparison.cases > 0 => {
            format!("{verdict} whether {new} is worse than {old} on {rest}")
        }
        _ => format!("{new} and {old}: {}", compared.sentence),
    };
    format!("{said}{}", not_compared(&compared.validity))
}

/// `; 2 cases not compared: other variables`.
fn not_compared(findings: &[Finding]) -> String {
    let told = findings.iter().filter(|finding| finding.left_out);
    let say =
        |finding: &Finding| format!("; {} not compared: {}", side_by_side::cases(finding.cases.len()), side_by_side::reason(finding.kind));
    told.map(say).collect()
}

/// A baseline that is asked in this run can be asked again where it has no verdict; one that is remembered is as it is.
fn lacking(compared: &ArmComparison, suite: &str, baseline: &Baseline) -> Option<ComparisonStanding> {
    let is_whole = !compared.validity.iter().any(|finding| finding.kind == FindingKind::NoVerdictBaseline);
    if compared.comparison.verdict == ComparisonVerdict::Undecided && is_over_budget(compared, suite, baseline) {
        return Some(ComparisonStanding::Budget);
    }
    if baseline.run.is_some() || is_whole || compared.comparison.verdict == ComparisonVerdict::Regressed {
        return None;
    }
    let mut skipped = baseline.cells.iter().flat_map(|cell| &cell.samples);
    let by_budget = skipped.any(|sample| {
        sample.skipped == Some(SkipReason::Budget) || sample.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Budget)
    });
    Some(if by_budget { ComparisonStanding::Budget } else { ComparisonStanding::Missing })
}

/// Cases that still want samples, of their own or for a second look, and could not get them.
fn wanted<'a>(compared: &'a ArmComparison, suite: &str, baseline: &'a Baseline) -> impl Iterator<Item = &'a Unasked> {
    let prefix = format!("{suite}::");
    let confirms = |case: &String| compared.comparison.need.as_ref().is_some_and(|need| need.confirm.contains(case));
    let looks = compared.second_look.is_some();
    baseline.unasked.iter().filter(move |unasked| confirms(&unasked.case) || (looks && unasked.case.starts_with(&prefix)))
}

pub(super) fn is_over_budget(compared: &ArmComparison, suite: &str, baseline: &Baseline) -> bool {
    wanted(compared, suite, baseline).any(|unasked| unasked.reason == WhyUnasked::Budget)
}

/// Why an undecided comparison stays so.
pub(super) fn unasked(compared: &ArmComparison, suite: &str, baseline: &Baseline) -> String {
    let of = |reason| -> Vec<String> {
        wanted(compared, suite, baseline).filter(|unasked| unasked.reason == reason).map(|unasked| unasked.case.clone()).collect()
    };
    let (lost, unanswered) = (of(WhyUnasked::Lost), of(WhyUnasked::Unanswered));
    let mut said = String::new();
    if !lost.is_empty() {
        let cases = named(&lost);
        said.push_str(&format!(
            "; what the baseline asked for {cases} is neither on the disk nor in its revision, so it cannot be asked again"
        ));
    }
    if !unanswered.is_empty() {
        said.push_str(&format!("; fresh samples of {} reached no verdict", named(&unanswered)));
    }
    said
}

pub(super) fn named(cases: &[String]) -> String {
    match cases {
        [one] => one.clone(),
        [one, others @ ..] => format!("{one} and {} more", others.len()),
        [] => String::new(),
    }
}

/// The verdict as a gate's: what is worse fails only where it would be worse with every missing verdict of the candidate a pass.
fn standing(compared: &ArmComparison, arms: &[ArmCells<'_>; 2], bought: Bought<'_>) -> ComparisonStanding {
    match compared.comparison.verdict {
        ComparisonVerdict::NotWorse => ComparisonStanding::NotWorse,
        ComparisonVerdict::Undecided => ComparisonStanding::Undecided,
        ComparisonVerdict::Regressed if still_worse(Across::Runs, compared, arms, bought) => ComparisonStanding::Regressed,
        ComparisonVerdict::Regressed => ComparisonStanding::Missing,
    }
}

pub(super) fn still_worse(across: Across, compared: &ArmComparison, [baseline, candidate]: &[ArmCells<'_>; 2], bought: Bought<'_>) -> bool {
    let is_missing = |cell: &CellResult| cell.samples.iter().any(|sample| matches!(sample.verdict, Verdict::Error | Verdict::Skipped));
    if !candidate.cells.iter().any(|cell| is_missing(cell)) {
        return true;
    }
    let local = compared.comparison.local.iter().flat_map(|local| &local.cases);
    if local.into_iter().any(|case| case.confirmed.is_some_and(|confirmed| confirmed.regressed)) {
        return true;
    }
    let pairs = super::pairing::pair(across, &baseline.cells, &candidate.cells);
    let hopeful: Vec<PairedCase> = pairs
        .comparable
        .iter()
        .map(|pair| {
            let missing =
                pair.candidate.samples.iter().filter(|sample| matches!(sample.verdict, Verdict::Error | Verdict::Skipped)).count();
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            let Counts { passes, samples } = pair.counted.candidate;
            let candidate = Counts::new(passes.saturating_add(missing), samples.saturating_add(missing));
            PairedCase { candidate, ..pair.counted.clone() }
        })
        .collect();
    let hopeful = second_look::with_second(&hopeful, bought.second);
    verdict::judge(&hopeful, &[], compared.comparison.policy).verdict == ComparisonVerdict::Regressed
}

#[cfg(test)]
#[path = "against_tests.rs"]
mod tests;
