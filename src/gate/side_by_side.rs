//! How do two arms stand side by side, on the cases that both have answered?

use std::collections::BTreeSet;

use super::coverage;
use super::pairing::{self, Across, LeftOut, Pair, Pairs};
use super::statistics::second_look::{self, Looks};
use super::statistics::{proportion, verdict, words};
use crate::model::assertion::AssertionSeverity;
use crate::model::baseline::Baseline;
use crate::model::comparison::{Comparison, ComparisonPolicy, ComparisonVerdict, Counts, FreshSamples, Look, PairedCase};
use crate::model::gate::Exit;
use crate::model::money::Money;
use crate::model::reply::StopReason;
use crate::model::run::{CellResult, SampleResult, Tokens};
use crate::model::side_by_side::{
    Answered, Arm, ArmComparison, CaseDifference, Cheapest, FailedAssertion, FindingKind, Price, SecondLook, ShownPair,
};
use crate::model::verdict::{Outcome, Verdict};

/// One arm as it is found in a report.
#[derive(Debug, Clone)]
pub struct ArmCells<'a> {
    /// What tells it from the other.
    pub name: String,
    /// The id of its run.
    pub run: String,
    /// Its cells.
    pub cells: Vec<&'a CellResult>,
}

/// Why two arms cannot be compared at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Incomparable {
    /// They have no case in common.
    #[error("the two have no case in common")]
    NothingInCommon,
    /// They have, but none of these may be compared.
    #[error("none of the {cases} that both have can be compared: {reasons}")]
    AllLeftOut {
        /// How many, in words.
        cases: String,
        /// Why not, with the numbers of cases.
        reasons: String,
        /// What the most cases are left out for.
        first: FindingKind,
        /// How many of them have the very same answers in both, in words; `None` where none has.
        same: Option<String>,
    },
}

/// Compares two arms.
///
/// # Errors
///
/// When there is nothing to compare.
pub fn compare(
    across: Across,
    baseline: &ArmCells<'_>,
    candidate: &ArmCells<'_>,
    policy: ComparisonPolicy,
) -> Result<ArmComparison, Incomparable> {
    compare_with(across, baseline, candidate, Bought::default(), policy)
}

/// What was asked afresh, in both arms, for what an earlier comparison of the same cells wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bought<'a> {
    /// Of single cases, to be confirmed.
    pub fresh: &'a [FreshSamples],
    /// Of all cases, for a second look.
    pub second: &'a [FreshSamples],
    /// Two looks are planned, whether the second was needed or not.
    pub looks: bool,
}

impl<'a> Bought<'a> {
    /// What a run asked beside this baseline.
    #[must_use]
    pub fn of(baseline: &'a Baseline, decides: bool) -> Self {
        Self { fresh: &baseline.fresh, second: &baseline.second, looks: decides }
    }

    /// The cases with all their samples, and the policy of the look that they are for. The plan is made from the samples of the first.
    pub(super) fn look(self, cases: &[PairedCase], policy: ComparisonPolicy) -> (Vec<PairedCase>, ComparisonPolicy, Option<Looks>) {
        let of_these = |more: &FreshSamples| cases.iter().any(|case| case.case == more.case);
        let Some(looks) = Looks::planned(cases, policy) else { return (cases.to_vec(), policy, None) };
        match (self.looks, self.second.iter().any(of_these)) {
            (false, _) => (cases.to_vec(), policy, Some(looks)),
            (true, false) => (cases.to_vec(), looks.first_of(policy), Some(looks)),
            (true, true) => (second_look::with_second(cases, self.second), looks.second_of(policy), None),
        }
    }
}

/// The same with what was bought since an earlier comparison of the same cells.
///
/// # Errors
///
/// When there is nothing to compare.
pub fn compare_with(
    across: Across,
    baseline: &ArmCells<'_>,
    candidate: &ArmCells<'_>,
    bought: Bought<'_>,
    policy: ComparisonPolicy,
) -> Result<ArmComparison, Incomparable> {
    let Pairs { mut comparable, all, findings, left_out } = pairing::pair(across, &baseline.cells, &candidate.cells);
    if all == 0 {
        return Err(Incomparable::NothingInCommon);
    }
    if comparable.is_empty() {
        let reasons: Vec<_> = findings.iter().filter(|finding| finding.left_out && is_of_pair(finding.kind)).collect();
        let said = reasons.iter().map(|finding| format!("{} ({})", reason(finding.kind), cases(finding.cases.len())));
        let first = reasons.iter().max_by_key(|finding| finding.cases.len()).map_or(FindingKind::SameAnswers, |finding| finding.kind);
        let same = reasons.iter().find(|finding| finding.kind == FindingKind::SameAnswers).map(|finding| cases(finding.cases.len()));
        return Err(Incomparable::AllLeftOut { cases: cases(all), reasons: said.collect::<Vec<_>>().join("; "), first, same });
    }
    let counted: Vec<_> = comparable.iter().map(|pair| pair.counted.clone()).collect();
    let (counted, look, looks) = bought.look(&counted, policy);
    let comparison = verdict::compare(&drawn(counted.clone(), policy), bought.fresh, look);
    let confidence = comparison.confidence;
    let confirming = confirming(&comparison, &comparable);
    let second_look = looks.and_then(|looks| second_look(looks, &comparison, &counted, bought, policy, &comparable));
    for (pair, counted) in comparable.iter_mut().zip(counted) {
        pair.counted = counted;
    }
    let differing = differing(&comparable);
    let same_rate = comparable.iter().filter(|pair| change(pair) == Some(0.0));
    let other_outputs = same_rate.filter(|pair| first_output(pair.baseline) != first_output(pair.candidate)).count();
    Ok(ArmComparison {
        baseline: arm(baseline, &comparable, comparison.baseline, confidence, |pair| pair.baseline),
        candidate: arm(candidate, &comparable, comparison.candidate, confidence, |pair| pair.candidate),
        sentence: sentence(&comparison, confirming, second_look),
        gap: None,
        sensitivity: (comparison.cases > 0).then(|| words::sensitivity(&comparison)),
        comparison,
        validity: findings,
        critical: critical(across, &comparable, &left_out),
        differing,
        other_outputs: u32::try_from(other_outputs).unwrap_or(u32::MAX),
        confirming,
        second_look,
    })
}

/// The cases in an order that is drawn, where more look worse than are asked again: of equal losses the earlier ones are asked, and the order of
/// a file would always leave out its end. The draw is seeded by the cases, so that the same are asked when their fresh samples are there.
fn drawn(mut cases: Vec<PairedCase>, policy: ComparisonPolicy) -> Vec<PairedCase> {
    let looks_worse = |case: &&PairedCase| case.candidate.rate() < case.baseline.rate();
    let worse = cases.iter().filter(looks_worse).count();
    if policy.local.is_none_or(|local| worse <= usize::try_from(local.most_cases).unwrap_or(usize::MAX)) {
        return cases;
    }
    let mut seed = blake3::Hasher::new();
    cases.iter().filter(looks_worse).for_each(|case| {
        seed.update(case.case.as_bytes()).update(b"\n");
    });
    let seed = *seed.finalize().as_bytes();
    cases.sort_by_cached_key(|case| *blake3::keyed_hash(&seed, case.case.as_bytes()).as_bytes());
    cases
}

/// The verdict, and what deciding would cost.
fn sentence(comparison: &Comparison, confirming: Option<Price>, second: Option<SecondLook>) -> String {
    let mut said = words::verdict(comparison);
    let told = |Price { samples, cases: of, cost_usd }: Price| {
        let cost = cost_usd.map(|cost| format!(", about {}", cost.display(if cost < Money::from_pico(1_000_000_000_000) { 4 } else { 2 })));
        format!("{samples} more samples of {}{}", cases(usize::try_from(of).unwrap_or(usize::MAX)), cost.unwrap_or_default())
    };
    if let Some(price) = confirming {
        said.push_str(&format!("; that is {}", told(price)));
    }
    if let Some(look) = second.filter(|look| look.would_decide) {
        said.push_str(&format!("; {} samples per case are {}", look.second, told(look.price)));
    }
    if matches!(comparison.policy.look, Some(Look::Second(_))) {
        said.push_str("; this was the second of two planned looks");
    }
    said
}

/// What a second look would take, where the first shows neither because its interval is too wide.
fn second_look(
    looks: Looks,
    comparison: &Comparison,
    counted: &[PairedCase],
    bought: Bought<'_>,
    policy: ComparisonPolicy,
    pairs: &[Pair<'_>],
) -> Option<SecondLook> {
    let is_wide = comparison.verdict == ComparisonVerdict::Undecided && comparison.interval.low <= -comparison.policy.margin;
    if !is_wide {
        return None;
    }
    // Whoever plans two looks is held to more at each.
    let would_decide = match comparison.policy.look {
        Some(_) => looks.would_decide(comparison, counted, policy),
        None => looks.would_decide(&verdict::compare(counted, bought.fresh, looks.first_of(policy)), counted, policy),
    };
    let price = price(&pairs.iter().collect::<Vec<_>>(), looks.second.saturating_sub(looks.first), pairs);
    Some(SecondLook { first: looks.first, second: looks.second, would_decide, price })
}

/// What the wanted fresh samples would cost: as much as those of the same cases did, on the average.
fn confirming(comparison: &Comparison, pairs: &[Pair<'_>]) -> Option<Price> {
    let need = comparison.need.as_ref().filter(|need| !need.confirm.is_empty())?;
    let wanted: Vec<&Pair<'_>> = pairs.iter().filter(|pair| need.confirm.contains(&pair.counted.case)).collect();
    Some(price(&wanted, need.fresh_samples, pairs))
}

/// What so many more samples of these cases would cost in both arms: as much as theirs did, on the average, or those of all.
fn price(wanted: &[&Pair<'_>], samples: u32, pairs: &[Pair<'_>]) -> Price {
    let known: Vec<Money> = pairs.iter().flat_map(|pair| costs(pair.candidate).chain(costs(pair.baseline))).collect();
    let mean = |costs: &[Money]| {
        let count = i128::try_from(costs.len()).ok().filter(|count| *count > 0)?;
        Some(costs.iter().copied().sum::<Money>().scaled(1, count))
    };
    let all = mean(&known);
    let of_arm = |cell: &CellResult, other: &CellResult| {
        let one = |cell| mean(&costs(cell).collect::<Vec<_>>());
        one(cell).or_else(|| one(other)).or(all)
    };
    let each = wanted.iter().map(|pair| Some(of_arm(pair.candidate, pair.baseline)? + of_arm(pair.baseline, pair.candidate)?));
    let each: Option<Vec<Money>> = each.collect();
    let cost = each.map(|each| each.into_iter().sum::<Money>().scaled(i128::from(samples), 1));
    let cases = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
    Price { samples: cases.saturating_mul(2).saturating_mul(u64::from(samples)), cases, cost_usd: cost }
}

fn costs(cell: &CellResult) -> impl Iterator<Item = Money> {
    pairing::replies(cell).filter_map(|reply| reply.cost_usd)
}

/// Compares every candidate with the same baseline: alpha is shared among them, and the cheapest stands first.
///
/// # Errors
///
/// When a candidate has nothing in common with the baseline.
pub fn against(
    baseline: &ArmCells<'_>,
    candidates: &[ArmCells<'_>],
    policy: ComparisonPolicy,
) -> Result<(Cheapest, Vec<ArmComparison>), Incomparable> {
    let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX).max(1);
    // Bonferroni: whichever of them is picked, and however, the claim about it holds.
    let policy = ComparisonPolicy { alpha: policy.alpha / f64::from(count), ..policy };
    let compared = candidates.iter().map(|candidate| {
        let compared = compare(Across::Models, baseline, candidate, policy)?;
        Ok(coverage::held(Across::Models, false, &[baseline.clone(), candidate.clone()], compared))
    });
    let mut compared = compared.collect::<Result<Vec<_>, _>>()?;
    let cost = |comparison: &ArmComparison| comparison.candidate.cost_per_1000_calls_usd;
    compared.sort_by_key(|comparison| (cost(comparison).is_none(), cost(comparison)));
    let held = |comparison: &ArmComparison| match comparison.comparison.verdict {
        ComparisonVerdict::NotWorse if comparison.critical.is_empty() => Held::Does,
        ComparisonVerdict::Undecided if comparison.critical.is_empty() && comparison.gap.is_some() => Held::Lacks,
        ComparisonVerdict::NotWorse | ComparisonVerdict::Regressed | ComparisonVerdict::Undecided => Held::Not,
    };
    let found: Vec<_> = compared.iter().map(|one| (one.candidate.name.as_str(), Some(one), held(one))).collect();
    let cheapest = cheapest(&baseline.name, &found);
    Ok((cheapest, compared))
}

/// What a candidate was shown to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Not worse.
    Does,
    /// Not worse in what is compared, which is too little.
    Lacks,
    /// Worse, or nothing.
    Not,
}

/// Which of the candidates will do; they come with the cheapest first.
pub(super) fn cheapest(against: &str, candidates: &[(&str, Option<&ArmComparison>, Held)]) -> Cheapest {
    let saves = |compared: &Option<&ArmComparison>| compared.is_some_and(|one| costs_less(one) == Some(true));
    let is_dearer = |compared: &Option<&ArmComparison>| compared.is_some_and(|one| costs_less(one) == Some(false));
    let named = |keep: &dyn Fn(&Option<&ArmComparison>, Held) -> bool| {
        let kept = candidates.iter().filter(|(_, compared, held)| keep(compared, *held));
        kept.map(|(name, ..)| (*name).to_owned()).collect::<Vec<_>>()
    };
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Cheapest {
        against: against.to_owned(),
        model: named(&|compared, held| held == Held::Does && saves(compared)).into_iter().next(),
        candidates: count(candidates.len()).max(1),
        cheaper: Some(count(candidates.iter().filter(|(_, compared, _)| !is_dearer(compared)).count())),
        dearer: named(&|compared, held| held == Held::Does && !saves(compared)),
        lacking: named(&|_, held| held == Held::Lacks),
    }
}

/// Whether a call costs less than with the baseline; `None` where nobody knows.
pub(super) fn costs_less(compared: &ArmComparison) -> Option<bool> {
    let (before, now) = (compared.baseline.cost_per_1000_calls_usd?, compared.candidate.cost_per_1000_calls_usd?);
    match now < before {
        true => (compared.candidate.unpriced == 0).then_some(true),
        false => (compared.baseline.unpriced == 0).then_some(false),
    }
}

/// What a comparison comes to where it is asked to be a gate: what broke counts before what is not known.
#[must_use]
pub fn exit(comparison: &ArmComparison) -> Exit {
    let missing = |kind| matches!(kind, FindingKind::NoVerdictBaseline | FindingKind::NoVerdictCandidate);
    match comparison.comparison.verdict {
        _ if !comparison.critical.is_empty() => Exit::Fails,
        ComparisonVerdict::Regressed => Exit::Fails,
        _ if comparison.validity.iter().any(|finding| missing(finding.kind)) => Exit::MissingVerdicts,
        ComparisonVerdict::Undecided => Exit::Undecided,
        ComparisonVerdict::NotWorse => Exit::Holds,
    }
}

/// What a finding says, without its cases.
#[must_use]
pub const fn reason(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Variables => "other variables",
        FindingKind::Fixtures => "other fixtures",
        FindingKind::Assertions => "other assertions",
        FindingKind::Model => "another model under the same name",
        FindingKind::Simulated => "one arm is simulated, the other is not",
        FindingKind::Samples => "another number of samples",
        FindingKind::Endpoint => "another endpoint",
        FindingKind::SameAnswers => "the very same answers in both arms",
        FindingKind::OnlyBaseline => "only the baseline has them",
        FindingKind::OnlyCandidate => "only the candidate has them",
        FindingKind::Informs => "their model counts for the gate no more",
        FindingKind::Gate => "another gate",
        FindingKind::NoVerdictBaseline => "no verdict in the baseline",
        FindingKind::NoVerdictCandidate => "no verdict in the candidate",
    }
}

const fn is_of_pair(kind: FindingKind) -> bool {
    !matches!(kind, FindingKind::OnlyBaseline | FindingKind::OnlyCandidate | FindingKind::Informs | FindingKind::Gate)
}

pub(super) fn cases(count: usize) -> String {
    format!("{count} case{}", if count == 1 { "" } else { "s" })
}

fn arm<'a>(arm: &ArmCells<'_>, pairs: &[Pair<'a>], counts: Counts, confidence: f64, side: impl Fn(&Pair<'a>) -> &'a CellResult) -> Arm {
    let cells: Vec<&CellResult> = pairs.iter().map(&side).collect();
    let distinct =
        |name: &dyn Fn(&CellResult) -> String| cells.iter().map(|cell| name(cell)).collect::<BTreeSet<_>>().into_iter().collect();
    let replies: Vec<_> = pairs.iter().filter(|pair| is_compared(pair)).flat_map(|pair| pairing::replies(side(pair))).collect();
    let costs: Vec<Money> = replies.iter().filter_map(|reply| reply.cost_usd).collect();
    let mut latencies: Vec<u64> = replies.iter().filter_map(|reply| reply.latency()).collect();
    latencies.sort_unstable();
    let mut tokens = Tokens::default();
    replies.iter().for_each(|reply| tokens.add(&reply.usage));
    let samples = cells.iter().flat_map(|cell| &cell.samples);
    let missing = samples.filter(|sample| matches!(sample.verdict, Verdict::Error | Verdict::Skipped)).count();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    // No reply that is known is not the same as none that did it.
    let is_known = !replies.is_empty();
    // What is compared is as old as it is, also where only its verdicts are known.
    let compared = pairs.iter().filter(|pair| is_compared(pair)).flat_map(|pair| &side(pair).samples);
    let answered = || compared.clone().filter_map(|sample| sample.reply.as_ref()).map(|reply| reply.answered_at);
    Arm {
        answered: answered().min().zip(answered().max()).map(|(first, last)| Answered { first, last }),
        name: arm.name.clone(),
        run: arm.run.clone(),
        prompts: distinct(&|cell| format!("{}@{}", cell.address.prompt, cell.address.version)),
        models: distinct(&|cell| cell.address.model.to_string()),
        counts,
        interval: proportion::wilson(counts, confidence),
        replies: count(replies.len()),
        missing_samples: count(missing),
        cost_per_1000_calls_usd: i128::try_from(costs.len())
            .ok()
            .filter(|calls| *calls > 0)
            .map(|calls| costs.iter().copied().sum::<Money>().scaled(1_000, calls)),
        unpriced: count(replies.len() - costs.len()),
        latency_p50_ms: nearest_rank(&latencies, 50),
        latency_p95_ms: nearest_rank(&latencies, 95),
        tokens: is_known.then_some(tokens),
        refusals: is_known.then(|| count(replies.iter().filter(|reply| reply.stop_reason == StopReason::Refusal).count())),
        truncations: is_known.then(|| count(replies.iter().filter(|reply| reply.stop_reason.is_truncated()).count())),
        simulated: pairs
            .iter()
            .filter(|pair| is_compared(pair))
            .flat_map(|pair| &side(pair).samples)
            .any(|sample| sample.reply.as_ref().is_some_and(|reply| reply.simulated)),
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

fn is_compared(pair: &Pair<'_>) -> bool {
    change(pair).is_some()
}

/// Candidate minus baseline.
fn change(pair: &Pair<'_>) -> Option<f64> {
    Some(pair.counted.candidate.rate()? - pair.counted.baseline.rate()?)
}

/// What must never happen is told of every case that the candidate answered, compared or not.
fn critical(across: Across, comparable: &[Pair<'_>], left_out: &[LeftOut<'_>]) -> Vec<String> {
    let compared = comparable.iter().map(|pair| (pair.candidate, &pair.counted.case));
    // Of runs, what only informs is no reason; of models and versions, whoever compares them asks for these.
    let alone = left_out.iter().filter(|one| across != Across::Runs || one.cell.gated).map(|one| (one.cell, &one.name));
    compared.chain(alone).filter(|(cell, _)| breaks_critical(cell)).map(|(_, name)| name.clone()).collect()
}

fn breaks_critical(cell: &CellResult) -> bool {
    let mut results = cell.samples.iter().flat_map(|sample| &sample.assertions);
    results.any(|result| result.severity == AssertionSeverity::Critical && matches!(result.outcome, Outcome::Fail(_)))
}

fn differing(pairs: &[Pair<'_>]) -> Vec<CaseDifference> {
    let mut changed: Vec<(f64, &Pair<'_>)> =
        pairs.iter().filter_map(|pair| Some((change(pair)?, pair))).filter(|(change, _)| *change != 0.0).collect();
    changed.sort_by(|one, other| one.0.total_cmp(&other.0));
    let difference = |(change, pair): (f64, &Pair<'_>)| CaseDifference {
        case: pair.counted.case.clone(),
        baseline: pair.counted.baseline,
        candidate: pair.counted.candidate,
        shown: shown(pair, change < 0.0),
    };
    changed.into_iter().map(difference).collect()
}

/// A sample that passed and one that failed: of the worse arm the one that failed.
fn shown(pair: &Pair<'_>, is_worse: bool) -> Option<ShownPair> {
    let (before, now) = if is_worse { (Verdict::Pass, Verdict::Fail) } else { (Verdict::Fail, Verdict::Pass) };
    let of =
        |cell: &'_ CellResult, verdict: Verdict| cell.samples.iter().position(|sample| sample.verdict == verdict && sample.reply.is_some());
    let baseline = &pair.baseline.samples[of(pair.baseline, before)?];
    let candidate = &pair.candidate.samples[of(pair.candidate, now)?];
    Some(ShownPair {
        baseline_sample: baseline.index,
        candidate_sample: candidate.index,
        failed: failed(if is_worse { candidate } else { baseline }),
        diff: None,
        baseline_output: output(baseline),
        candidate_output: output(candidate),
    })
}

fn failed(sample: &SampleResult) -> Option<FailedAssertion> {
    let mut counts = sample.assertions.iter().filter(|result| result.severity != AssertionSeverity::Warn);
    counts.find_map(|result| match &result.outcome {
        Outcome::Fail(failure) => {
            Some(FailedAssertion { name: result.name.clone(), expected: failure.expected.clone(), got: failure.got.clone() })
        }
        Outcome::Pass | Outcome::Error(_) => None,
    })
}

/// What was answered: the text, and other blocks as JSON below it.
fn output(sample: &SampleResult) -> String {
    let Some(reply) = &sample.reply else { return String::new() };
    let blocks = reply.other_blocks.iter().map(|block| format!("{block:#}"));
    std::iter::once(reply.text.clone()).chain(blocks).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn first_output(cell: &CellResult) -> Option<String> {
    cell.samples.first().map(output)
}

#[cfg(test)]
#[path = "side_by_side_tests.rs"]
mod tests;
