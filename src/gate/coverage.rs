//! Does a comparison cover enough of a suite to let it pass?
//!
//! What is compared with nothing cannot be shown to be worse, so by itself it would always pass. It may, where it is a small part, where it is
//! really new, and where it needs nobody's failures to excuse its own.

use std::collections::{BTreeMap, BTreeSet};

use super::pairing::{self, Across, LeftOut};
use super::side_by_side::{ArmCells, cases};
use super::statistics::{second_look, verdict};
use crate::model::baseline::Baseline;
use crate::model::comparison::{ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, PairedCase};
use crate::model::run::{CellResult, SampleResult};
use crate::model::side_by_side::{ArmComparison, FindingKind};
use crate::model::verdict::Verdict;

/// So many are named; the report has all of them.
const NAMED: usize = 3;

/// Why this comparison must not pass, though what is compared would let it; `None` where it may.
#[must_use]
pub fn gap(across: Across, baseline: &Baseline, [before, now]: &[ArmCells<'_>; 2]) -> Option<String> {
    let pairs = pairing::pair(across, &before.cells, &now.cells);
    let lacking = pairs.comparable.iter().filter(|pair| pair.counted.baseline.samples == 0 && pair.counted.candidate.samples > 0);
    let lacking = lacking.map(|pair| LeftOut {
        cell: pair.candidate,
        name: pair.counted.case.clone(),
        kind: FindingKind::NoVerdictBaseline,
        is_replay: false,
    });
    let (same, alone): (Vec<LeftOut<'_>>, Vec<LeftOut<'_>>) =
        pairs.left_out.into_iter().chain(lacking).filter(|one| is_judged(one.cell)).partition(|one| one.kind == FindingKind::SameAnswers);
    let compared = pairs.comparable.iter().filter(|pair| pair.counted.baseline.samples > 0 && pair.counted.candidate.samples > 0);
    let covered: Vec<&CellResult> = compared.map(|pair| pair.candidate).chain(same.iter().map(|one| one.cell)).collect();

    let models = |cells: &mut dyn Iterator<Item = &CellResult>| cells.map(|cell| cell.address.model.to_string()).collect::<BTreeSet<_>>();
    let known = models(&mut covered.iter().copied());
    let unknown: Vec<String> = models(&mut alone.iter().map(|one| one.cell)).difference(&known).cloned().collect();
    if !unknown.is_empty() {
        return Some(format!("nothing of {} is compared: {}", unknown.join(", "), other_models(baseline, before, &unknown)));
    }
    if let Some(why) = other_prompts(across, baseline, [before, now], &covered, &alone) {
        return Some(why);
    }
    if baseline.part {
        let new: Vec<&LeftOut<'_>> = alone.iter().filter(|one| is_unknown(one.kind)).collect();
        if !new.is_empty() {
            let lacks = if new.len() == 1 { "1 case".to_owned() } else { format!("{} cases", new.len()) };
            return Some(format!("the baseline has only some of the cells, and lacks {lacks}: {}", named(&new)));
        }
    }
    if covered.len() <= alone.len() {
        let all = covered.len() + alone.len();
        return Some(format!("only {} of {all} can be held against the baseline", cases(covered.len())));
    }
    if let Some(why) = thin(across, [before, now], &covered, &alone) {
        return Some(why);
    }
    // More samples of an unchanged request are no other answers of the baseline.
    let grown = same.iter().filter(|one| !one.is_replay);
    let failing: Vec<&LeftOut<'_>> = alone.iter().chain(grown).filter(|one| one.cell.verdict == Verdict::Fail).collect();
    let verb = if failing.len() == 1 { "fails and is" } else { "fail and are" };
    (!failing.is_empty()).then(|| format!("{} {verb} compared with nothing: {}", cases(failing.len()), named(&failing)))
}

/// Which verdicts are missing that could change "not worse"; `None` where none could. Errors are no failures, and no reason to call a candidate as
/// good either: what it cannot answer may be what it is bad at.
///
/// A case without a verdict could have broken. Of a case that has one though some samples have none, these are taken for failures: the mean
/// must lie within the margin all the same.
#[must_use]
pub fn unanswered(across: Across, policy: ComparisonPolicy, arms: &[ArmCells<'_>; 2], second: &[FreshSamples]) -> Option<String> {
    let [before, now] = arms;
    let pairs = pairing::pair(across, &before.cells, &now.cells);
    let counts = |cell: &CellResult| across != Across::Runs || cell.gated;
    let alone = pairs.left_out.iter().filter(|one| !is_judged(one.cell) && counts(one.cell)).map(|one| one.name.clone());
    let of = |lacks: &dyn Fn(&pairing::Pair<'_>) -> bool| -> Vec<String> {
        pairs.comparable.iter().filter(|pair| lacks(pair)).map(|pair| pair.counted.case.clone()).collect()
    };
    let mut of_now = of(&|pair| pair.counted.candidate.samples == 0 || !is_judged(pair.candidate));
    of_now.extend(alone);
    let of_before = of(&|pair| pair.counted.baseline.samples == 0 || !is_judged(pair.baseline));
    // Of two models the second is to do what the first does; what a run does not ask any more is nothing that it gets worse at.
    let suites: BTreeSet<String> = now.cells.iter().map(|cell| format!("{}::", cell.address.suite)).collect();
    let only_before = pairs.findings.iter().filter(|finding| across == Across::Models && finding.kind == FindingKind::OnlyBaseline);
    let is_of_these = |case: &&String| suites.iter().any(|suite| case.starts_with(suite));
    let unasked: Vec<String> = only_before.flat_map(|finding| &finding.cases).filter(is_of_these).cloned().collect();
    let lack = |cases: &[String]| if cases.len() == 1 { "lacks" } else { "lack" };
    for (arm, lacking) in [(now, &of_now), (before, &of_before)] {
        if !lacking.is_empty() {
            return Some(format!("{} {} a verdict of {}: {}", cases(lacking.len()), lack(lacking), arm.name, listed(lacking)));
        }
    }
    if !unasked.is_empty() {
        let were = if unasked.len() == 1 { "was" } else { "were" };
        return Some(format!("{} {were} never asked of {}: {}", cases(unasked.len()), now.name, listed(&unasked)));
    }
    let is_missing = |sample: &&SampleResult| matches!(sample.verdict, Verdict::Error | Verdict::Skipped);
    let missing = |cell: &CellResult| u32::try_from(cell.samples.iter().filter(is_missing).count()).unwrap_or(u32::MAX);
    let all: u32 = pairs.comparable.iter().map(|pair| missing(pair.candidate)).fold(0, u32::saturating_add);
    let failing = |pair: &pairing::Pair<'_>| {
        let Counts { passes, samples } = pair.counted.candidate;
        PairedCase { candidate: Counts::new(passes, samples.saturating_add(missing(pair.candidate))), ..pair.counted.clone() }
    };
    let worst: Vec<PairedCase> = pairs.comparable.iter().map(failing).collect();
    let mean = ComparisonPolicy { local: None, ..policy };
    let holds = || verdict::judge(&second_look::with_second(&worst, second), &[], mean).verdict == ComparisonVerdict::NotWorse;
    let samples = if all == 1 { "1 sample of".to_owned() } else { format!("{all} samples of") };
    (all > 0 && !holds()).then(|| format!("{samples} {} without a verdict could have failed, which would change it", now.name))
}

/// What two arms come to where nothing else of a run is there to say that verdicts are missing, or that too little is compared: "not worse" is
/// undecided then, and says why. `part`: the baseline has only some of the cells.
#[must_use]
pub fn held(across: Across, part: bool, arms: &[ArmCells<'_>; 2], mut compared: ArmComparison) -> ArmComparison {
    if compared.comparison.verdict != ComparisonVerdict::NotWorse {
        return compared;
    }
    let baseline = Baseline { part, ..Baseline::default() };
    let why = unanswered(across, compared.comparison.policy, arms, &[]).or_else(|| gap(across, &baseline, arms));
    if let Some(why) = why {
        compared.comparison.verdict = ComparisonVerdict::Undecided;
        compared.sentence = format!("undecided because {why}; apart from that {}", compared.sentence);
        compared.gap = Some(why);
    }
    compared
}

fn has_several_prompts(across: Across, arms: [&ArmCells<'_>; 2]) -> bool {
    across != Across::Versions && arms.iter().any(|arm| pairing::has_several_prompts(&arm.cells))
}

/// Those that stand beside cells of the baseline: a suite that it has not is new as a whole.
fn of_known_suites<'a>(before: &ArmCells<'_>, alone: &[LeftOut<'a>]) -> Vec<&'a CellResult> {
    let suites: BTreeSet<&str> = before.cells.iter().map(|cell| &*cell.address.suite).collect();
    alone.iter().map(|one| one.cell).filter(|cell| suites.contains(&*cell.address.suite)).collect()
}

/// A prompt of a list with another name is a model with another name: not new.
fn other_prompts(
    across: Across,
    baseline: &Baseline,
    [before, now]: [&ArmCells<'_>; 2],
    covered: &[&CellResult],
    alone: &[LeftOut<'_>],
) -> Option<String> {
    if !has_several_prompts(across, [before, now]) {
        return None;
    }
    let names = |cells: &[&CellResult]| -> BTreeSet<(String, String)> {
        cells.iter().map(|cell| (cell.address.suite.to_string(), cell.address.prompt.to_string())).collect()
    };
    let unknown: BTreeSet<(String, String)> = names(&of_known_suites(before, alone)).difference(&names(covered)).cloned().collect();
    if unknown.is_empty() {
        return None;
    }
    let suites: BTreeSet<&str> = unknown.iter().map(|(suite, _)| suite.as_str()).collect();
    let known = baseline.suites.iter().flat_map(|suite| suite.prompts.iter().map(|prompt| (suite.name.clone(), prompt.clone())));
    let known: BTreeSet<(String, String)> = names(&before.cells).into_iter().chain(known).collect();
    let listed =
        |prompts: &mut dyn Iterator<Item = &(String, String)>| prompts.map(|(_, prompt)| prompt.as_str()).collect::<Vec<_>>().join(", ");
    let now = names(&now.cells);
    let instead = listed(&mut known.difference(&now).filter(|(suite, _)| suites.contains(suite.as_str())));
    let noun = if unknown.len() == 1 { "prompt" } else { "prompts" };
    let step = "or bless a run as it is now (`promptkeel baseline set`)";
    let why = if unknown.iter().any(|prompt| known.contains(prompt)) {
        "what it answers is not the same in both".to_owned()
    } else if instead.is_empty() {
        format!("the baseline has no such prompt: give it a suite of its own until one has it, {step}")
    } else {
        format!("the baseline has {instead} in its place: name it as it was, {step}")
    };
    Some(format!("nothing of the {noun} {} is compared; {why}", listed(&mut unknown.iter())))
}

/// Much of the others is no reason to let one prompt or model pass of which little is compared.
fn thin(across: Across, [before, now]: [&ArmCells<'_>; 2], covered: &[&CellResult], alone: &[LeftOut<'_>]) -> Option<String> {
    let with_prompt = has_several_prompts(across, [before, now]);
    let of = |cell: &CellResult| (with_prompt.then(|| cell.address.prompt.to_string()), cell.address.model.to_string());
    let mut groups: BTreeMap<(Option<String>, String), [usize; 2]> = BTreeMap::new();
    for cell in covered {
        groups.entry(of(cell)).or_default()[0] += 1;
    }
    for cell in of_known_suites(before, alone) {
        groups.entry(of(cell)).or_default()[1] += 1;
    }
    let ((prompt, model), [covered, alone]) = groups.into_iter().find(|(_, [covered, alone])| covered <= alone)?;
    let name = prompt.map_or_else(|| model.clone(), |prompt| format!("{prompt} x {model}"));
    Some(format!("only {} of {} of {name} can be held against the baseline", cases(covered), covered + alone))
}

const fn is_unknown(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::OnlyCandidate | FindingKind::NoVerdictBaseline)
}

/// What has no verdict has a gate of its own.
const fn is_judged(cell: &CellResult) -> bool {
    matches!(cell.verdict, Verdict::Pass | Verdict::Fail)
}

/// What the baseline has in place of these models.
pub(super) fn other_models(baseline: &Baseline, before: &ArmCells<'_>, these: &[String]) -> String {
    let known = baseline.suites.iter().flat_map(|suite| suite.models.iter().cloned());
    let models: BTreeSet<String> = before.cells.iter().map(|cell| cell.address.model.to_string()).chain(known).collect();
    if these.iter().any(|model| models.contains(model)) {
        return "what it answers is not the same in both".to_owned();
    }
    let models: Vec<String> = models.into_iter().collect();
    format!("the baseline was answered by {} (`promptkeel compare --models` compares models)", models.join(", "))
}

fn named(cells: &[&LeftOut<'_>]) -> String {
    listed(&cells.iter().map(|one| one.name.clone()).collect::<Vec<_>>())
}

fn listed(cases: &[String]) -> String {
    let mut names = cases.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if cases.len() > NAMED {
        names.push_str(&format!(" and {} more", cases.len() - NAMED));
    }
    names
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
