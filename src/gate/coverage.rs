//! Does a comparison cover enough of a suite to let it pass?
//!
//! What is compared with nothing cannot be shown to be worse, so by itself it would always pass. It may, where it is a small part, where it is
//! really new, and where it needs nobody's failures to excuse its own.

use std::collections::BTreeSet;

use super::pairing::{self, Across, LeftOut};
use super::side_by_side::{ArmCells, cases};
use crate::model::baseline::Baseline;
use crate::model::run::CellResult;
use crate::model::side_by_side::FindingKind;
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
    // More samples of an unchanged request are no other answers of the baseline.
    let grown = same.iter().filter(|one| !one.is_replay);
    let failing: Vec<&LeftOut<'_>> = alone.iter().chain(grown).filter(|one| one.cell.verdict == Verdict::Fail).collect();
    let verb = if failing.len() == 1 { "fails and is" } else { "fail and are" };
    (!failing.is_empty()).then(|| format!("{} {verb} compared with nothing: {}", cases(failing.len()), named(&failing)))
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
    let mut names = cells.iter().take(NAMED).map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    if cells.len() > NAMED {
        names.push_str(&format!(" and {} more", cells.len() - NAMED));
    }
    names
}
