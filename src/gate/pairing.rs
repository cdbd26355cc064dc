//! Which cells of two arms answer the same case, and which of these pairs may be compared?
//!
//! Pairing is what makes a comparison sharp, and what makes it wrong where the two did not answer the same question. So a pair whose inputs,
//! assertions or model are not the same is named and left out, never averaged in.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::comparison::{Counts, PairedCase};
use crate::model::run::{CellResult, ReplyFacts, SampleResult};
use crate::model::side_by_side::{Finding, FindingKind};
use crate::model::verdict::Verdict;

/// What tells the two arms apart; all else has to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// Two runs: whatever changed between them.
    Runs,
    /// Two models.
    Models,
    /// Two versions of a prompt, or two prompts.
    Versions,
}

/// Two cells that answer the same case.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// The baseline's cell.
    pub baseline: &'a CellResult,
    /// The candidate's cell.
    pub candidate: &'a CellResult,
    /// What the statistics make of it.
    pub counted: PairedCase,
}

/// The arms, paired.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    /// Pairs that may be compared. Some may lack a verdict in an arm.
    pub comparable: Vec<Pair<'a>>,
    /// How many pairs there are, comparable or not.
    pub all: usize,
    /// What keeps the others out, and what is to be known about these.
    pub findings: Vec<Finding>,
    /// The candidate's cells that are compared with nothing, and the first reason of each.
    pub left_out: Vec<LeftOut<'a>>,
}

/// A cell of the candidate that is compared with nothing.
#[derive(Debug, Clone)]
pub struct LeftOut<'a> {
    /// The cell.
    pub cell: &'a CellResult,
    /// As the findings name it.
    pub name: String,
    /// Why.
    pub kind: FindingKind,
    /// It has no answer but those that the baseline has too, with the verdicts that they have there.
    pub is_replay: bool,
}

/// The same answer: asked once, at this microsecond, and read from the store by whoever asks the same again.
type Answer<'a> = (&'a str, i64);

/// Within an arm no two cells have the same.
type Key<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>);

/// Pairs the cells of two arms. Of several versions of a prompt only the newest of an arm counts, unless versions are what is compared.
#[must_use]
pub fn pair<'a>(across: Across, baseline: &[&'a CellResult], candidate: &[&'a CellResult]) -> Pairs<'a> {
    let (baseline, candidate) = (newest(across, baseline), newest(across, candidate));
    let several_prompts = across != Across::Versions && (has_several_prompts(&baseline) || has_several_prompts(&candidate));
    let key = |cell: &'a CellResult| -> Key<'a> {
        let address = &cell.address;
        (&address.suite, &address.case, several_prompts.then_some(&*address.prompt), (across != Across::Models).then_some(&*address.model))
    };
    let others: HashMap<Key<'_>, &CellResult> = candidate.iter().map(|cell| (key(cell), *cell)).collect();
    let known: HashSet<Key<'_>> = baseline.iter().map(|cell| key(cell)).collect();
    let matched: Vec<(&CellResult, &CellResult)> =
        baseline.iter().filter_map(|cell| others.get(&key(cell)).map(|other| (*cell, *other))).collect();

    let same = same_answers(&matched);
    let mut of_case: HashMap<(&str, &str), u32> = HashMap::new();
    for (cell, _) in &matched {
        *of_case.entry((&cell.address.suite, &cell.address.case)).or_default() += 1;
    }
    let name = |cell: &CellResult| name(cell, &of_case, several_prompts, across != Across::Models);
    let mut noted = Noted::default();
    let mut left_out = Vec::new();
    for cell in baseline.iter().filter(|cell| !others.contains_key(&key(cell))) {
        noted.add(FindingKind::OnlyBaseline, name(cell), None);
    }
    for cell in candidate.iter().filter(|cell| !known.contains(&key(cell))) {
        noted.add(FindingKind::OnlyCandidate, name(cell), None);
        left_out.push(LeftOut { cell, name: name(cell), kind: FindingKind::OnlyCandidate, is_replay: false });
    }
    let mut kept = Vec::new();
    for (baseline, candidate) in &matched {
        let case = name(baseline);
        let mut kept_out = None;
        for (kind, detail) in mismatches(across, baseline, candidate) {
            kept_out = kept_out.or(leaves_out(kind).then_some(kind));
            noted.add(kind, case.clone(), detail);
        }
        match kept_out {
            Some(kind) => left_out.push(LeftOut { cell: candidate, name: case, kind, is_replay: false }),
            None => kept.push((case, *baseline, *candidate)),
        }
    }
    let units = units(&kept.iter().map(|(_, baseline, candidate)| [*baseline, *candidate]).collect::<Vec<_>>());
    let mut comparable = Vec::new();
    for ((case, baseline, candidate), unit) in kept.into_iter().zip(units) {
        let counted = PairedCase { cluster: Some(unit), baseline: counts(baseline, &same), candidate: counts(candidate, &same), case };
        let is_replay = |cell: &CellResult| cell.samples.iter().any(|sample| answer(sample).is_some_and(|answer| same.contains(&answer)));
        let lacking = counted.baseline.samples == 0 || counted.candidate.samples == 0;
        if lacking && (is_replay(baseline) || is_replay(candidate)) {
            noted.add(FindingKind::SameAnswers, counted.case.clone(), None);
            // The same answer, judged in another way, is no replay.
            let is_known = |sample: &SampleResult| {
                let mut known = baseline.samples.iter().filter(|one| answer(one) == answer(sample));
                answer(sample).is_none() || known.any(|one| one.verdict == sample.verdict)
            };
            let has_nothing_else = counted.candidate.samples == 0 && candidate.samples.iter().all(is_known);
            let (name, kind) = (counted.case, FindingKind::SameAnswers);
            left_out.push(LeftOut { cell: candidate, name, kind, is_replay: has_nothing_else });
            continue;
        }
        for (counts, cell, kind) in
            [(counted.baseline, baseline, FindingKind::NoVerdictBaseline), (counted.candidate, candidate, FindingKind::NoVerdictCandidate)]
        {
            if counts.samples == 0 {
                noted.add(kind, counted.case.clone(), why(cell));
            }
        }
        comparable.push(Pair { baseline, candidate, counted });
    }
    trim(&mut comparable, &same);
    Pairs { comparable, all: matched.len(), findings: noted.findings(), left_out }
}

/// Cuts the arms of a case to equally many samples, the first ones, where it stands or falls with others. Only then can a whole unit change
/// places, whatever its cases have in common; a case of its own needs no such cut.
fn trim(pairs: &mut [Pair<'_>], same: &HashSet<Answer<'_>>) {
    let mut sizes: HashMap<String, u32> = HashMap::new();
    let has_both = |pair: &Pair<'_>| pair.counted.baseline.samples > 0 && pair.counted.candidate.samples > 0;
    for unit in pairs.iter().filter(|pair| has_both(pair)).filter_map(|pair| pair.counted.cluster.clone()) {
        *sizes.entry(unit).or_default() += 1;
    }
    let is_shared = |pair: &Pair<'_>| pair.counted.cluster.as_ref().is_some_and(|unit| sizes.get(unit).is_some_and(|size| *size > 1));
    for pair in pairs.iter_mut().filter(|pair| has_both(pair) && is_shared(pair)) {
        let most = pair.counted.baseline.samples.min(pair.counted.candidate.samples) as usize;
        pair.counted.baseline = first_counts(pair.baseline, same, most);
        pair.counted.candidate = first_counts(pair.candidate, same, most);
    }
}

/// What the cells of one arm are called, and the unit that each belongs to: as [`pair`] would name and cluster them.
#[must_use]
pub fn units_of(cells: &[&CellResult]) -> Vec<(String, String)> {
    let several_prompts = has_several_prompts(cells);
    let mut of_case: HashMap<(&str, &str), u32> = HashMap::new();
    for cell in cells {
        *of_case.entry((&cell.address.suite, &cell.address.case)).or_default() += 1;
    }
    let units = units(&cells.iter().map(|cell| [*cell, *cell]).collect::<Vec<_>>());
    cells.iter().map(|cell| name(cell, &of_case, several_prompts, true)).zip(units).collect()
}

/// The suite and the case; what else tells it from other cells, where several answer the same case.
fn name(cell: &CellResult, of_case: &HashMap<(&str, &str), u32>, several_prompts: bool, with_model: bool) -> String {
    let address = &cell.address;
    let mut name = format!("{}::{}", address.suite, address.case);
    if of_case.get(&(&*address.suite, &*address.case)).is_some_and(|cells| *cells > 1) {
        let parts = [several_prompts.then_some(&address.prompt), with_model.then_some(&address.model)];
        parts.into_iter().flatten().for_each(|part| name.extend(["::", part]));
    }
    name
}

/// Samples that reached a verdict, and that are not the other arm's own answers.
fn counts(cell: &CellResult, same: &HashSet<Answer<'_>>) -> Counts {
    first_counts(cell, same, usize::MAX)
}

/// The same of the first ones.
fn first_counts(cell: &CellResult, same: &HashSet<Answer<'_>>, most: usize) -> Counts {
    let own = cell.samples.iter().filter(|sample| answer(sample).is_none_or(|answer| !same.contains(&answer)));
    own.filter(|sample| matches!(sample.verdict, Verdict::Pass | Verdict::Fail)).take(most).fold(Counts::default(), |counts, sample| {
        match sample.verdict {
            Verdict::Pass => Counts { passes: counts.passes.saturating_add(1), samples: counts.samples.saturating_add(1) },
            Verdict::Fail => Counts { samples: counts.samples.saturating_add(1), ..counts },
            Verdict::Error | Verdict::Skipped => counts,
        }
    })
}

fn answer(sample: &SampleResult) -> Option<Answer<'_>> {
    let reply = sample.reply.as_ref()?;
    Some((&sample.key, reply.answered_at.timestamp_micros()))
}

/// Answers that stand in both arms.
fn same_answers<'a>(matched: &[(&'a CellResult, &'a CellResult)]) -> HashSet<Answer<'a>> {
    let baseline: HashSet<Answer<'_>> = matched.iter().flat_map(|pair| &pair.0.samples).filter_map(answer).collect();
    matched.iter().flat_map(|pair| &pair.1.samples).filter_map(answer).filter(|answer| baseline.contains(answer)).collect()
}

fn newest<'a>(across: Across, cells: &[&'a CellResult]) -> Vec<&'a CellResult> {
    if across == Across::Versions {
        return cells.to_vec();
    }
    let prompt = |cell: &'a CellResult| (&*cell.address.suite, &*cell.address.case, &*cell.address.prompt, &*cell.address.model);
    let mut last: HashMap<(&str, &str, &str, &str), u32> = HashMap::new();
    for cell in cells {
        let version = last.entry(prompt(cell)).or_default();
        *version = (*version).max(cell.address.version);
    }
    cells.iter().filter(|cell| last.get(&prompt(cell)) == Some(&cell.address.version)).copied().collect()
}

pub(super) fn has_several_prompts(cells: &[&CellResult]) -> bool {
    let mut prompt: HashMap<&str, &str> = HashMap::new();
    cells.iter().any(|cell| **prompt.entry(&cell.address.suite).or_insert(&cell.address.prompt) != *cell.address.prompt)
}

/// What is not the same in both cells, with a word on it.
fn mismatches(across: Across, baseline: &CellResult, candidate: &CellResult) -> Vec<(FindingKind, Option<String>)> {
    let (one, other) = (&baseline.digests, &candidate.digests);
    let ways = |one: &str, other: &str| Some(format!("{one} -> {other}"));
    let mut found = Vec::new();
    if let (Some(one), Some(other)) = (simulated(baseline), simulated(candidate))
        && one != other
    {
        let kind = |simulated: bool| if simulated { "simulated" } else { "real" };
        found.push((FindingKind::Simulated, ways(kind(one), kind(other))));
    }
    if across != Across::Models && baseline.model_id != candidate.model_id {
        found.push((FindingKind::Model, ways(&baseline.model_id, &candidate.model_id)));
    }
    if one.variables != other.variables {
        found.push((FindingKind::Variables, None));
    }
    if one.fixtures != other.fixtures {
        let changed = other.fixtures.iter().find(|file| !one.fixtures.contains(file)).or_else(|| one.fixtures.first());
        found.push((FindingKind::Fixtures, changed.map(|file| file.path.to_string())));
    }
    if one.assertions != other.assertions {
        found.push((FindingKind::Assertions, None));
    }
    if baseline.samples.len() != candidate.samples.len() {
        found.push((FindingKind::Samples, ways(&baseline.samples.len().to_string(), &candidate.samples.len().to_string())));
    }
    if across != Across::Models && baseline.endpoint != candidate.endpoint {
        found.push((FindingKind::Endpoint, ways(&baseline.endpoint, &candidate.endpoint)));
    }
    found
}

const fn leaves_out(kind: FindingKind) -> bool {
    !matches!(kind, FindingKind::Samples | FindingKind::Endpoint)
}

fn simulated(cell: &CellResult) -> Option<bool> {
    cell.samples.iter().find_map(|sample| sample.reply.as_ref()).map(|reply| reply.simulated)
}

/// The replies of a cell, as far as they are known.
pub fn replies(cell: &CellResult) -> impl Iterator<Item = &ReplyFacts> {
    cell.samples.iter().filter_map(|sample| sample.reply.as_ref()).filter(|reply| !reply.forgotten)
}

/// Why a cell has no verdict.
fn why(cell: &CellResult) -> Option<String> {
    cell.samples.iter().find_map(|sample| sample.error.as_ref()).map(|error| error.message.clone())
}

/// Findings by kind, with their cases in the order in which they came.
#[derive(Default)]
struct Noted(BTreeMap<FindingKind, (Vec<String>, Option<String>)>);

impl Noted {
    fn add(&mut self, kind: FindingKind, case: String, detail: Option<String>) {
        let (cases, first) = self.0.entry(kind).or_default();
        cases.push(case);
        *first = first.take().or(detail);
    }

    fn findings(self) -> Vec<Finding> {
        let finding = |(kind, (cases, detail))| Finding { kind, left_out: leaves_out(kind), cases, detail };
        self.0.into_iter().map(finding).collect()
    }
}

/// By what two pairs of cells are known to stand or fall together.
#[derive(PartialEq, Eq, Hash)]
enum Bond<'a> {
    /// One case, under several models.
    Case(&'a str, &'a str),
    /// What the suite's author put into one cluster.
    Declared(&'a str, &'a str),
    /// The very same request.
    Asked(&'a str),
}

/// The unit of each pair, named after the first case in it. What hangs together by way of others hangs together.
fn units<'a>(pairs: &[[&'a CellResult; 2]]) -> Vec<String> {
    let mut first: HashMap<Bond<'a>, usize> = HashMap::new();
    let mut above: Vec<usize> = (0..pairs.len()).collect();
    for (index, pair) in pairs.iter().enumerate() {
        for cell in pair {
            let asked = cell.samples.first().map(|sample| &*sample.key).filter(|key| !key.is_empty());
            let declared = cell.cluster.as_deref().map(|cluster| Bond::Declared(&cell.address.suite, cluster));
            let bonds = [Some(Bond::Case(&cell.address.suite, &cell.address.case)), declared, asked.map(Bond::Asked)];
            for bond in bonds.into_iter().flatten() {
                let other = *first.entry(bond).or_insert(index);
                let (one, other) = (root(&mut above, index), root(&mut above, other));
                above[one.max(other)] = one.min(other);
            }
        }
    }
    let name = |index: usize| format!("{}::{}", pairs[index][0].address.suite, pairs[index][0].address.case);
    (0..pairs.len()).map(|index| name(root(&mut above, index))).collect()
}

/// The first pair of a unit; every step on the way is halved for the next.
fn root(above: &mut [usize], mut index: usize) -> usize {
    while above[index] != index {
        above[index] = above[above[index]];
        index = above[index];
    }
    index
}

#[cfg(test)]
#[path = "pairing_tests.rs"]
pub(crate) mod tests;
