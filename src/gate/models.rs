//! Does another model of the same run do as well as the one that it is held against?

use std::collections::BTreeSet;

use super::pairing::{self, Across, Pair};
use super::side_by_side::{self, ArmCells, Bought, Held};
use super::{against, coverage};
use crate::model::baseline::{Baseline, ComparisonAsked, ComparisonStanding, MODEL, SuiteComparison};
use crate::model::comparison::{ComparisonPolicy, ComparisonVerdict};
use crate::model::gate::{GateKind, GateOutcome, GateResult};
use crate::model::money::Money;
use crate::model::run::CellResult;
use crate::model::side_by_side::{ArmComparison, Cheapest};

/// The name of the model, where a reference names one.
#[must_use]
pub fn named(reference: &str) -> Option<&str> {
    reference.strip_prefix(MODEL)
}

/// Every other model of a suite beside the one that is asked for, the cheapest first. They share alpha: whichever is picked, and however, the
/// claim about it holds. Suites share what blocks them, as those do that are compared with a baseline; `family` is how many do.
pub(super) fn compare(
    suite: &str,
    asked: &ComparisonAsked,
    family: usize,
    cells: &[&CellResult],
    baselines: &[Baseline],
) -> Vec<SuiteComparison> {
    let Some(base) = named(&asked.baseline) else { return Vec::new() };
    let others: BTreeSet<&str> = cells.iter().map(|cell| &*cell.address.model).filter(|model| *model != base).collect();
    let count = u32::try_from(others.len()).unwrap_or(u32::MAX).max(1);
    let family = u32::try_from(family).unwrap_or(u32::MAX).max(1);
    let policy = ComparisonPolicy { alpha: asked.alpha / f64::from(count), family, ..asked.policy() };
    let known = baselines.iter().filter(|baseline| baseline.reference == asked.baseline);
    let held = known.filter_map(|baseline| Some((baseline, baseline.model.as_deref().filter(|model| others.contains(model))?)));
    let mut compared: Vec<SuiteComparison> =
        held.map(|(baseline, model)| of_one(suite, (policy, asked.decides), base, model, cells, baseline)).collect();
    let cost = |one: &SuiteComparison| one.compared.as_ref().and_then(|compared| compared.candidate.cost_per_1000_calls_usd);
    compared.sort_by_key(|one| (cost(one).is_none(), cost(one)));
    // Whatever left them out, what is compared with nothing must not pass.
    if compared.is_empty() {
        let message = format!("undecided whether another model does as well as {base}: nothing of this run was answered by one");
        return vec![undecided(suite, &asked.baseline, message)];
    }
    let held = |one: &SuiteComparison| match (one.standing, one.gap.is_some()) {
        (ComparisonStanding::NotWorse, _) => Held::Does,
        (ComparisonStanding::Missing | ComparisonStanding::Undecided, true) => Held::Lacks,
        _ => Held::Not,
    };
    let found: Vec<_> = compared.iter().map(|one| (one.model.as_deref().unwrap_or_default(), one.compared.as_ref(), held(one))).collect();
    let cheapest = Cheapest { candidates: count, ..side_by_side::cheapest(base, &found) };
    compared.iter_mut().for_each(|one| one.cheapest = Some(cheapest.clone()));
    compared
}

/// A comparison of a suite that has nothing to show but why.
pub(super) fn undecided(suite: &str, reference: &str, message: String) -> SuiteComparison {
    SuiteComparison {
        suite: suite.to_owned(),
        baseline: reference.to_owned(),
        model: None,
        standing: ComparisonStanding::Undecided,
        compared: None,
        gap: None,
        left_out: Vec::new(),
        cheapest: None,
        message,
    }
}

/// The pairs of a suite, by the names that a comparison gives them.
pub(super) fn pairs<'a>(cells: &[&'a CellResult], baseline: &Baseline) -> Vec<Pair<'a>> {
    let base = named(&baseline.reference).unwrap_or_default();
    let [before, candidate] = [base, baseline.model.as_deref().unwrap_or_default()].map(|model| of_model(cells, model));
    pairing::pair(Across::Models, &before, &candidate).comparable
}

fn of_model<'a>(cells: &[&'a CellResult], model: &str) -> Vec<&'a CellResult> {
    cells.iter().filter(|cell| &*cell.address.model == model).copied().collect()
}

fn of_one(
    suite: &str,
    (policy, decides): (ComparisonPolicy, bool),
    base: &str,
    model: &str,
    cells: &[&CellResult],
    baseline: &Baseline,
) -> SuiteComparison {
    let arms = [base, model].map(|name| ArmCells { name: name.to_owned(), run: String::new(), cells: of_model(cells, name) });
    let bought = Bought::of(baseline, decides);
    let compared = side_by_side::compare_with(Across::Models, &arms[0], &arms[1], bought, policy);
    let end = |standing, compared, message| {
        let model = Some(model.to_owned());
        SuiteComparison { model, standing, compared, ..undecided(suite, &baseline.reference, message) }
    };
    let mut compared = match compared {
        Ok(compared) => compared,
        Err(error) => return end(ComparisonStanding::Undecided, None, format!("undecided whether {model} is worse than {base}: {error}")),
    };
    let prefix = format!("{suite}::");
    let fresh = baseline.critical.iter().filter(|case| case.starts_with(&prefix) && !compared.critical.contains(case));
    let fresh: Vec<String> = fresh.cloned().collect();
    compared.critical.extend(fresh);
    let missing = coverage::unanswered(Across::Models, compared.comparison.policy, &arms, bought.second);
    let is_not_worse = compared.comparison.verdict == ComparisonVerdict::NotWorse && compared.critical.is_empty();
    let gap = coverage::gap(Across::Models, baseline, &arms).filter(|_| is_not_worse);
    let said = against::said(&compared);
    let (standing, message) = match compared.comparison.verdict {
        _ if !compared.critical.is_empty() => {
            let cases = against::named(&compared.critical);
            (ComparisonStanding::Regressed, format!("{model} breaks a critical assertion in {cases}; {said}"))
        }
        ComparisonVerdict::Regressed if against::still_worse(Across::Models, &compared, &arms, bought) => {
            (ComparisonStanding::Regressed, said)
        }
        ComparisonVerdict::Undecided if against::is_over_budget(&compared, suite, baseline) => {
            (ComparisonStanding::Budget, format!("{said}; but the budget left out what would decide it"))
        }
        ComparisonVerdict::Regressed => (ComparisonStanding::Missing, format!("{said}; but verdicts are missing that could change it")),
        // What it is in the others must not stand as what it is.
        ComparisonVerdict::NotWorse if missing.is_some() => {
            let missing = missing.as_deref().unwrap_or_default();
            let message = format!("undecided: {said} by what was answered, but verdicts are missing that could change it: {missing}");
            (ComparisonStanding::Missing, message)
        }
        ComparisonVerdict::Undecided if missing.is_some() => {
            let missing = missing.as_deref().unwrap_or_default();
            (ComparisonStanding::Missing, format!("{said}; but verdicts are missing that could change it: {missing}"))
        }
        ComparisonVerdict::NotWorse => match &gap {
            Some(gap) => (ComparisonStanding::Undecided, format!("undecided: {gap}; apart from that {said}")),
            None => (ComparisonStanding::NotWorse, said),
        },
        ComparisonVerdict::Undecided => (ComparisonStanding::Undecided, format!("{said}{}", against::unasked(&compared, suite, baseline))),
    };
    let gap = match standing {
        ComparisonStanding::Undecided => gap,
        ComparisonStanding::Missing if is_not_worse => missing,
        _ => None,
    };
    SuiteComparison { gap, ..end(standing, Some(compared), message) }
}

/// What a thousand calls cost, and what they would, where that is less.
fn saved(compared: &ArmComparison) -> Option<(Money, Money)> {
    let both = (compared.baseline.cost_per_1000_calls_usd?, compared.candidate.cost_per_1000_calls_usd?);
    (side_by_side::costs_less(compared) == Some(true)).then_some(both)
}

/// One gate for the models of a suite: it holds where one of them is shown to do, fails where all are shown not to, and is undecided between.
pub(super) fn gate(suite: &str, of_suite: &[&SuiteComparison]) -> GateResult {
    let is = |standing| of_suite.iter().any(|one| one.standing == standing);
    let (kind, outcome) = if is(ComparisonStanding::NotWorse) {
        (GateKind::Comparison, GateOutcome::Pass)
    } else if is(ComparisonStanding::Budget) {
        (GateKind::Budget, GateOutcome::Missing)
    } else if is(ComparisonStanding::Missing) {
        (GateKind::Comparison, GateOutcome::Missing)
    } else if of_suite.iter().all(|one| one.standing == ComparisonStanding::Regressed) {
        (GateKind::Comparison, GateOutcome::Fail)
    } else {
        (GateKind::Comparison, GateOutcome::Undecided)
    };
    let said = |one: &&SuiteComparison| format!("{}{}", one.message, price(one));
    let (does, others): (Vec<&SuiteComparison>, _) = of_suite.iter().copied().partition(|one| {
        let cheapest = one.cheapest.as_ref().and_then(|cheapest| cheapest.model.as_ref());
        cheapest.is_some() && cheapest == one.model.as_ref()
    });
    let said: Vec<String> = does.iter().chain(&others).map(said).collect();
    GateResult { kind, suite: Some(suite.to_owned()), model: None, outcome, message: said.join("; ") }
}

/// `; 1,000 calls cost $1.40 instead of $4.20`, of one that does.
fn price(of: &SuiteComparison) -> String {
    let Some(compared) = of.compared.as_ref().filter(|_| of.standing == ComparisonStanding::NotWorse) else { return String::new() };
    let Some((before, now)) = saved(compared) else { return String::new() };
    let simulated = if compared.candidate.simulated || compared.baseline.simulated { " (simulated)" } else { "" };
    let money = |money: Money| money.display(if money < Money::from_pico(1_000_000_000_000) { 4 } else { 2 });
    format!("; 1,000 calls cost {} instead of {}{simulated}", money(now), money(before))
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
