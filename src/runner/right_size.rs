//! What of a run could be smaller, on evidence that its own cells give?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::model::catalog::Catalog;
use crate::model::money::Money;
use crate::model::right_size::RightSize;
use crate::model::run::{CellResult, ReplyFacts, RunReport, SampleResult};
use crate::model::suite::{PromptCache, Suite};
use crate::model::verdict::{Outcome, SnapshotState, Verdict};

/// Fewer answers say little about the longest one that may come.
const LEAST_ANSWERS: u64 = 20;
/// `max_tokens` below this is what people write without thinking of it, and costs little room.
const LEAST_MAX_TOKENS: u64 = 2_048;
/// So many times the longest answer is far above it.
const FAR_ABOVE: u64 = 8;
/// Fewer requests save little by a prefix that is written once.
const LEAST_REQUESTS: u64 = 10;
/// Fewer passes leave more than one failure in seven possible (95 %).
const LEAST_CELLS: usize = 20;
/// The first request of a prefix always writes; so many without one that reads are no beginning any more.
const LEAST_WRITES: u64 = 5;

/// What a run knows besides its cells.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Prices and limits; `None` where those that the run was priced with are not known.
    pub catalog: Option<&'a Catalog>,
    /// Suites that want no prompt caching.
    pub uncached: &'a HashSet<Arc<str>>,
    /// What the cells' requests point into.
    pub texts: &'a [Arc<str>],
}

/// The hints of a run that this machine made. A suite that places the marks for the prompt cache itself, or wants none, is told of no prefix.
#[must_use]
pub fn of_run(report: &RunReport, suites: &[Arc<Suite>], catalog: &Catalog) -> Vec<RightSize> {
    let by_hand = suites.iter().filter(|suite| suite.cache != PromptCache::Auto);
    let uncached = by_hand.map(|suite| Arc::from(suite.name.as_str())).collect();
    hints(&report.cells, Known { catalog: Some(catalog), uncached: &uncached, texts: &report.texts })
}

/// Every hint, in the order of the suites.
#[must_use]
pub fn hints(cells: &[CellResult], known: Known<'_>) -> Vec<RightSize> {
    let mut suites: Vec<&str> = Vec::new();
    for cell in cells {
        if !suites.contains(&&*cell.address.suite) {
            suites.push(&cell.address.suite);
        }
    }
    let mut hints = Vec::new();
    let parameters = Parameters::of(known.texts);
    for suite in suites {
        let cells: Vec<&CellResult> = cells.iter().filter(|cell| &*cell.address.suite == suite).collect();
        hints.extend(max_tokens(suite, &cells, &parameters));
        hints.extend(cheaper_model(suite, &cells));
        for (of, cells) in grouped(&cells) {
            hints.extend(never_hit(suite, &of, &cells));
            if !known.uncached.contains(suite) {
                hints.extend(known.catalog.and_then(|catalog| below_minimum(suite, &of, &cells, catalog, known.texts, &parameters)));
            }
        }
    }
    hints
}

/// Cells that ask one model with one prompt version, in order of appearance.
struct Of<'a> {
    prompt: String,
    model: &'a str,
}

fn grouped<'a>(cells: &[&'a CellResult]) -> Vec<(Of<'a>, Vec<&'a CellResult>)> {
    let mut groups: Vec<(Of<'a>, Vec<&'a CellResult>)> = Vec::new();
    let mut places: HashMap<(&str, u32, &str, &str), usize> = HashMap::new();
    for cell in cells {
        let address = &cell.address;
        let place = *places.entry((&*address.prompt, address.version, &*address.model, &*cell.endpoint)).or_insert_with(|| {
            groups.push((Of { prompt: format!("{}@{}", address.prompt, address.version), model: &address.model }, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(cell);
    }
    groups
}

fn replies<'a>(cells: &[&'a CellResult]) -> impl Iterator<Item = &'a ReplyFacts> {
    cells.iter().flat_map(|cell| &cell.samples).filter_map(|sample| sample.reply.as_ref()).filter(|reply| !reply.forgotten)
}

/// Parameters of requests, read once each.
struct Parameters<'a> {
    texts: &'a [Arc<str>],
}

impl<'a> Parameters<'a> {
    const fn of(texts: &'a [Arc<str>]) -> Self {
        Self { texts }
    }

    fn read(&self, number: u32) -> Option<Value> {
        serde_json::from_str(self.texts.get(number as usize)?).ok()
    }
}

fn max_tokens(suite: &str, cells: &[&CellResult], parameters: &Parameters<'_>) -> Vec<RightSize> {
    let mut most: HashMap<u32, Option<u64>> = HashMap::new();
    let mut order: Vec<(&str, u64)> = Vec::new();
    let mut groups: HashMap<(&str, u64), (u64, u64, bool)> = HashMap::new();
    for cell in cells {
        let Some(number) = cell.request.as_ref().map(|request| request.parameters) else { continue };
        let read = || parameters.read(number)?.get("max_tokens")?.as_u64();
        let Some(max_tokens) = *most.entry(number).or_insert_with(read) else { continue };
        let key = (&*cell.address.model, max_tokens);
        let (answers, longest, cut) = groups.entry(key).or_insert_with(|| {
            order.push(key);
            (0, 0, false)
        });
        for reply in replies(&[*cell]) {
            *answers += u64::from(reply.stop_reason.is_whole());
            *longest = (*longest).max(reply.usage.output_tokens);
            *cut |= reply.stop_reason.is_truncated();
        }
    }
    let hint = |key: (&str, u64)| {
        let (answers, longest, cut) = groups[&key];
        let (model, max_tokens) = key;
        let far = longest > 0 && max_tokens >= LEAST_MAX_TOKENS && longest.saturating_mul(FAR_ABOVE) <= max_tokens;
        (far && !cut && answers >= LEAST_ANSWERS).then(|| RightSize::MaxTokens {
            suite: suite.to_owned(),
            model: model.to_owned(),
            max_tokens,
            longest,
            answers,
        })
    };
    order.into_iter().filter_map(hint).collect()
}

/// What one model made of a suite.
struct Arm<'a> {
    model: &'a str,
    /// Case, prompt and version of each cell, with how many samples: two arms are compared on the same ones.
    cells: Vec<(&'a str, &'a str, u32, usize)>,
    gated: bool,
    passed: usize,
    /// At plain rates, so that it does not depend on whose request came first; `None` where an answer has no price.
    cost: Option<Money>,
    /// Of answers that cannot be told apart from real ones by anybody but us, none is compared with a real one.
    simulated: bool,
    real: bool,
}

fn arms<'a>(cells: &[&'a CellResult]) -> Vec<Arm<'a>> {
    let mut arms: Vec<Arm<'a>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for cell in cells {
        let address = &cell.address;
        let place = *places.entry(&*address.model).or_insert_with(|| {
            arms.push(Arm {
                model: &address.model,
                cells: Vec::new(),
                gated: false,
                passed: 0,
                cost: Some(Money::ZERO),
                simulated: false,
                real: false,
            });
            arms.len() - 1
        });
        let arm = &mut arms[place];
        arm.cells.push((&*address.case, &*address.prompt, address.version, cell.samples.len()));
        arm.gated |= cell.gated;
        arm.passed += usize::from(passes(cell));
        for sample in &cell.samples {
            let cost = sample.reply.as_ref().and_then(|reply| reply.uncached_cost_usd);
            arm.cost = arm.cost.zip(cost).map(|(sum, cost)| sum + cost);
            let simulated = sample.reply.as_ref().is_some_and(|reply| reply.simulated);
            arm.simulated |= simulated;
            arm.real |= !simulated;
        }
    }
    arms
}

/// Every sample passes something that was asked of it, and the output is not another than the accepted one.
fn passes(cell: &CellResult) -> bool {
    let holds = |sample: &SampleResult| {
        sample.verdict == Verdict::Pass
            && !sample.assertions.is_empty()
            && sample.assertions.iter().all(|assertion| assertion.outcome == Outcome::Pass)
    };
    let snapshot = matches!(cell.snapshot, SnapshotState::None | SnapshotState::Same);
    cell.verdict == Verdict::Pass && snapshot && !cell.samples.is_empty() && cell.samples.iter().all(holds)
}

fn cheaper_model(suite: &str, cells: &[&CellResult]) -> Option<RightSize> {
    let arms = arms(cells);
    let dear = arms.iter().filter(|arm| arm.gated).max_by_key(|arm| arm.cost)?;
    let usd = dear.cost?;
    let is_as_good = |arm: &&Arm<'_>| {
        arm.passed == arm.cells.len()
            && arm.cells.len() >= LEAST_CELLS
            && arm.cells == dear.cells
            && (arm.simulated, arm.real) == (dear.simulated, dear.real)
            && arm.cost.is_some()
    };
    let cheap = arms.iter().filter(is_as_good).min_by_key(|arm| arm.cost)?;
    let cheaper_usd = cheap.cost?;
    // A tenth is within what another wording of the same answers costs.
    (cheaper_usd.times(10) <= usd.times(9) && cheap.model != dear.model).then(|| RightSize::CheaperModel {
        suite: suite.to_owned(),
        model: dear.model.to_owned(),
        cheaper: cheap.model.to_owned(),
        cells: cheap.cells.len() as u64,
        passed: dear.passed as u64,
        usd,
        cheaper_usd,
    })
}

fn never_hit(suite: &str, of: &Of<'_>, cells: &[&CellResult]) -> Option<RightSize> {
    let (mut requests, mut written_tokens, mut lost) = (0, 0_u64, Money::ZERO);
    for reply in replies(cells).filter(|reply| reply.served.is_paid()) {
        if reply.usage.cache_read_tokens > 0 {
            return None;
        }
        let written = reply.usage.cache_write_5m_tokens.saturating_add(reply.usage.cache_write_1h_tokens);
        if written > 0 {
            requests += 1;
            written_tokens = written_tokens.saturating_add(written);
            lost = lost - reply.discounts().by_prompt_cache;
        }
    }
    (requests >= LEAST_WRITES && lost > Money::ZERO).then(|| RightSize::NeverHit {
        suite: suite.to_owned(),
        prompt: of.prompt.clone(),
        model: of.model.to_owned(),
        requests,
        written_tokens,
        lost_usd: lost,
    })
}

fn below_minimum(
    suite: &str,
    of: &Of<'_>,
    cells: &[&CellResult],
    catalog: &Catalog,
    texts: &[Arc<str>],
    parameters: &Parameters<'_>,
) -> Option<RightSize> {
    let first = cells.first()?;
    let model_id = &*first.model_id;
    let minimum = catalog.find(model_id)?.min_cacheable_tokens;
    let shared = &first.request.as_ref()?.system;
    let bytes = |number: &u32| texts.get(*number as usize).map_or(0, |text| text.len() as u64);
    let mut tools: BTreeMap<u32, u64> = BTreeMap::new();
    let (mut requests, mut tokens) = (0, 0_u64);
    let mut days = Vec::new();
    for cell in cells {
        let request = cell.request.as_ref()?;
        if request.system != *shared {
            return None;
        }
        let of_tools = *tools.entry(request.parameters).or_insert_with(|| {
            let read = parameters.read(request.parameters);
            read.and_then(|read| read.get("tools").map(|tools| tools.to_string().len() as u64)).unwrap_or_default()
        });
        let prefix = request.system.iter().map(bytes).sum::<u64>() + of_tools;
        let whole = prefix + request.turns.iter().flat_map(|turn| &turn.content).map(bytes).sum::<u64>();
        for reply in replies(&[*cell]).filter(|reply| reply.served.is_paid()) {
            let usage = &reply.usage;
            if [usage.cache_read_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens] != [0; 3] {
                return None;
            }
            requests += 1;
            // What the whole prompt was counted as, by the share of its bytes.
            tokens = tokens.saturating_add(usage.prompt_tokens().saturating_mul(prefix) / whole.max(1));
            days.push(reply.answered_at.date_naive());
        }
    }
    let tokens = tokens / requests.max(1);
    let is_just_under = tokens < minimum && tokens.saturating_mul(4) >= minimum.saturating_mul(3);
    if !is_just_under || requests < LEAST_REQUESTS {
        return None;
    }
    let rates = catalog.rates(model_id, *days.first()?, tokens)?;
    let now = rates.input.times(tokens).times(requests);
    let then = rates.cache_write_5m.times(minimum) + rates.cache_read.times(minimum).times(requests - 1);
    let saving_usd = (now - then).scaled(1, 1_000_000);
    (saving_usd > Money::ZERO).then(|| RightSize::BelowCacheMinimum {
        suite: suite.to_owned(),
        prompt: of.prompt.clone(),
        model: of.model.to_owned(),
        tokens,
        minimum,
        requests,
        saving_usd,
    })
}

#[cfg(test)]
#[path = "right_size_tests.rs"]
mod tests;
