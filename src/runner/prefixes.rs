//! Which requests of a plan begin alike, where does marking them pay, and in which order are they asked?
//!
//! Pure. Every distinct beginning of a request that is really asked is a node of a tree; a beginning is shared where several requests go
//! through its node. Marked is what saves most: the first request writes the tokens that no shorter marked prefix holds, the others read
//! them, and no request carries more marks than the API takes.

mod tree;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use serde::Serialize;

use crate::endpoint::Streaming;
use crate::model::catalog::Catalog;
use crate::model::key::Key;
use crate::model::money::Money;
use crate::model::prefix::{Digest, Life, MOST_MARKS, Mark, Marks, Path, Place, Prefix, Step};
use crate::model::request::Params;
use crate::model::run::CellResult;
use crate::model::suite::PromptCache;
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::prefixes::tree::Tree;

/// Members of a group that stand further apart than this many requests are brought together, whatever is known of the pace: its entry might
/// expire between them.
const FAR_APART: usize = 200;

/// Between two requests of a group no more than this may pass, or its entry must live for an hour. Less than five minutes: replies vary.
const LONGEST_PAUSE: Duration = Duration::from_secs(240);

/// Tokens that a model writes in a second, at least.
const TOKENS_PER_SECOND: u64 = 60;

/// What a plan of marks depends on besides the plan.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// The UTC day on which it is paid.
    pub day: NaiveDate,
    /// How endpoints are asked, by name; one that is missing is asked without limits.
    pub endpoints: BTreeMap<String, Pace>,
}

/// How an endpoint is asked, as far as it decides how much time passes between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Requests under way at once, per model.
    pub max_concurrency: usize,
    /// Requests begun per minute, per model.
    pub requests_per_minute: Option<u32>,
    /// Whether replies are streamed: those begin at once, however long they are.
    pub stream: Streaming,
}

impl Default for Pace {
    fn default() -> Self {
        Self { max_concurrency: usize::MAX, requests_per_minute: None, stream: Streaming::Auto }
    }
}

impl Pace {
    /// How long an entry must live, so that it is still there when the next request of its group begins.
    fn life(self, params: &Params) -> Life {
        // Whoever waits for the first one waits for the beginning of its reply, which comes with its end where nothing is streamed.
        let first = if self.stream.applies(params) { Duration::ZERO } else { reply(params) };
        if first.max(self.between(params)) > LONGEST_PAUSE { Life::Hour } else { Life::FiveMinutes }
    }

    /// From one request to the next, at most.
    fn between(self, params: &Params) -> Duration {
        let between = reply(params) / u32::try_from(self.max_concurrency.max(1)).unwrap_or(u32::MAX);
        between.max(self.requests_per_minute.map_or(Duration::ZERO, |most| Duration::from_secs(60) / most.max(1)))
    }

    /// How many requests may stand between two of a group, so that its entry is still there.
    fn apart(self, params: &Params, life: Life) -> usize {
        let pause = LONGEST_PAUSE.as_millis() * u128::from(life.seconds() / Life::FiveMinutes.seconds());
        let requests = pause / self.between(params).as_millis().max(1);
        usize::try_from(requests).unwrap_or(usize::MAX).clamp(1, FAR_APART)
    }
}

/// How long a reply takes to be written, at most.
fn reply(params: &Params) -> Duration {
    Duration::from_secs(params.max_tokens.unwrap_or(0) / TOKENS_PER_SECOND)
}

/// How requests are asked, as far as it decides what a mark is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The one that writes first, the others when it has begun to be answered.
    Singly,
    /// In a batch, where nobody waits for the one that writes, and what is written lives for an hour.
    InBatches,
}

impl Asked {
    /// Of a hundred requests that could read from the provider's cache, so many do. In batches: the middle of what is documented, 30 to 98 (wire
    /// reference, 5).
    const fn hits(self) -> i128 {
        match self {
            Self::Singly => 100,
            Self::InBatches => 64,
        }
    }
}

/// Requests that share a marked prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// The model's id.
    pub model: Arc<str>,
    /// Requests that are really asked.
    pub requests: u64,
    /// About so many tokens are shared.
    pub tokens: u64,
    /// So many of them are in the prefix of the group around it.
    pub outer_tokens: u64,
    /// How long the entry lives.
    pub life: Life,
    /// What an author marked, and no plan.
    pub authored: bool,
    /// The group around it, by its place in the list.
    pub outer: Option<usize>,
    #[serde(skip)]
    asked: Asked,
    #[serde(skip)]
    digest: Digest,
    /// Members that stand further apart are brought together.
    #[serde(skip)]
    apart: usize,
}

impl Group {
    /// Tokens that the first request writes.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.tokens - self.outer_tokens
    }

    /// Tokens that the others read, together.
    #[must_use]
    pub const fn read(&self) -> u64 {
        self.written().saturating_mul(self.requests.saturating_sub(1))
    }

    /// What the marks take off the bill, beside the group around it; `None` without a price. Below nothing where too few read what an author
    /// has marked.
    #[must_use]
    pub fn saving(&self, catalog: &Catalog, day: NaiveDate) -> Option<Money> {
        let rates = Rates::of(catalog, &self.model, day, self.tokens, self.life)?;
        Some(Money::from_pico(rates.gain(self.requests, self.asked) * i128::from(self.written()) / 100_000_000))
    }
}

/// What tokens cost, in pico-dollars per million.
#[derive(Debug, Clone, Copy)]
struct Rates {
    plain: i128,
    write: i128,
    read: i128,
}

impl Rates {
    fn of(catalog: &Catalog, model: &str, day: NaiveDate, tokens: u64, life: Life) -> Option<Self> {
        let rates = catalog.rates(model, day, tokens)?;
        let write = match life {
            Life::FiveMinutes => rates.cache_write_5m,
            Life::Hour => rates.cache_write_1h,
        };
        Some(Self { plain: rates.input.pico(), write: write.pico(), read: rates.cache_read.pico() })
    }

    /// The API's own multiples, for a model without a price (wire reference, 7.1).
    const fn usual(life: Life) -> Self {
        let write = match life {
            Life::FiveMinutes => 125,
            Life::Hour => 200,
        };
        Self { plain: 100, write, read: 10 }
    }

    /// What a hundred tokens save that so many requests begin with: some write them, the others read them.
    const fn gain(self, requests: u64, asked: Asked) -> i128 {
        let reads = requests.saturating_sub(1) as i128 * asked.hits();
        let all = requests as i128 * 100;
        all * self.plain - (all - reads) * self.write - reads * self.read
    }
}

/// The marks of a plan.
#[derive(Debug, Default)]
pub struct Prefixes {
    groups: Vec<Group>,
    /// By place in the plan.
    marks: Vec<Marks>,
    places: HashMap<Digest, usize>,
}

/// What the requests of a group found, in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// Answers that were paid in this run.
    pub answers: u64,
    /// Those that read something from the provider's cache.
    pub hits: u64,
    /// Tokens that they read, together.
    pub read: u64,
    /// Tokens that they wrote, together.
    pub written: u64,
}

impl Prefixes {
    /// The marks of a plan, of which `is_answered` says what is not asked any more.
    #[must_use]
    pub fn of(plan: &Plan, is_answered: impl Fn(&Key) -> bool, catalog: &Catalog, conditions: &Conditions) -> Self {
        Self::asked(plan, Asked::Singly, |_| true, is_answered, catalog, conditions)
    }

    /// The same, of those cells only that are asked in this way.
    #[must_use]
    pub fn asked(
        plan: &Plan,
        asked: Asked,
        is_so: impl Fn(&PlannedCell) -> bool,
        is_answered: impl Fn(&Key) -> bool,
        catalog: &Catalog,
        conditions: &Conditions,
    ) -> Self {
        let mut seen: HashSet<Key> = HashSet::new();
        let requests: Vec<u64> = plan
            .cells
            .iter()
            .map(|cell| match cell.path {
                Some(_) if is_so(cell) => cell.keys.iter().filter(|key| !is_answered(key) && seen.insert(**key)).count() as u64,
                Some(_) | None => 0,
            })
            .collect();
        let tree = Tree::of(plan, &requests);
        let chosen = tree.choose(plan, asked, catalog, conditions);
        let mut prefixes = Self::default();
        for (place, chosen) in chosen.iter().enumerate().filter_map(|(place, chosen)| Some((place, chosen.as_ref()?))) {
            let node = &tree.nodes[place];
            let variant = &plan.cells[node.cell].variant;
            let outer = chosen.outer.and_then(|outer| prefixes.places.get(&tree.nodes[outer].digest).copied());
            prefixes.places.insert(node.digest, prefixes.groups.len());
            prefixes.groups.push(Group {
                endpoint: Arc::clone(&variant.endpoint),
                model: Arc::clone(&variant.model_id),
                requests: node.requests,
                tokens: node.tokens,
                outer_tokens: outer.map_or(0, |outer| prefixes.groups[outer].tokens),
                life: chosen.life,
                authored: node.is_authored(),
                outer,
                asked,
                digest: node.digest,
                apart: conditions.endpoints.get(&*variant.endpoint).copied().unwrap_or_default().apart(&variant.params, chosen.life),
            });
        }
        let mut known: HashMap<MarksName, Marks> = HashMap::new();
        prefixes.marks = plan.cells.iter().map(|cell| prefixes.marks_of(cell, &mut known)).collect();
        prefixes
    }

    fn marks_of(&self, cell: &PlannedCell, known: &mut HashMap<MarksName, Marks>) -> Marks {
        let Some(path) = &cell.path else {
            return match cell.variant.suite.cache {
                PromptCache::Off => Marks::Off,
                PromptCache::Auto | PromptCache::Explicit => Marks::AsWritten,
            };
        };
        let marks = self.planned(path);
        if marks.is_empty() {
            return Marks::AsWritten;
        }
        let name = (path.short, marks.iter().map(|mark| (mark.digest, mark.life, mark.added)).collect());
        known.entry(name).or_insert_with(|| Marks::Planned(Arc::new(Prefix { marks, short: path.short }))).clone()
    }

    /// Marks of a path: at the groups that it goes through. Marks of an hour stand before those of five minutes (wire reference, 6.3).
    fn planned(&self, path: &Path) -> Vec<Mark> {
        let mark = |step: &Step| {
            let group = &self.groups[*self.places.get(&step.digest)?];
            let planned = match group.life {
                _ if path.long.is_some_and(|long| step.place < long) => Life::Hour,
                _ if path.short.is_some_and(|short| step.place >= short) => Life::FiveMinutes,
                life => life,
            };
            Some(Mark { digest: step.digest, place: step.place, life: step.mark.unwrap_or(planned), added: step.mark.is_none() })
        };
        let mut room = MOST_MARKS.saturating_sub(path.authored);
        let mut marks: Vec<Mark> = path.steps.iter().filter_map(mark).collect();
        marks.retain(|mark| {
            let fits = !mark.added || room > 0;
            room = room.saturating_sub(usize::from(mark.added && fits));
            fits && (!mark.added || !path.explicit)
        });
        // A group within a group may be asked for more slowly than the one around it.
        let last = marks.iter().rposition(|mark| mark.life == Life::Hour).unwrap_or(0);
        marks.iter_mut().take(last).filter(|mark| mark.added).for_each(|mark| mark.life = Life::Hour);
        marks
    }

    /// Every group, the one around it first.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Every group of these, and behind them those of others.
    #[must_use]
    pub fn groups_with(self, others: Self) -> Vec<Group> {
        let mut groups = self.groups;
        let before = groups.len();
        let others = others.groups.into_iter();
        groups.extend(others.map(|group| Group { outer: group.outer.map(|outer| before + outer), ..group }));
        groups
    }

    /// The marks of a cell, by its place in the plan.
    #[must_use]
    pub fn marks(&self, cell: usize) -> Marks {
        self.marks.get(cell).cloned().unwrap_or_default()
    }

    /// The groups of a cell, by its place in the plan; the shortest prefix first.
    pub fn groups_of(&self, cell: usize) -> impl Iterator<Item = usize> + '_ {
        let marks = self.marks.get(cell).map(Marks::shared).unwrap_or_default();
        marks.iter().filter_map(|mark| self.places.get(&mark.digest).copied())
    }

    /// What all marks together take off the bill; groups without a price are not in it.
    #[must_use]
    pub fn saving(&self, catalog: &Catalog, day: NaiveDate) -> Money {
        self.groups.iter().filter_map(|group| group.saving(catalog, day)).sum()
    }

    /// What the requests of each group found, in the order of the groups; `cells` are the results of the plan's cells.
    #[must_use]
    pub fn hits(&self, cells: &[CellResult]) -> Vec<Hits> {
        let mut hits = vec![Hits::default(); self.groups.len()];
        for (place, cell) in cells.iter().enumerate() {
            for reply in cell.samples.iter().filter_map(|sample| sample.reply.as_ref()).filter(|reply| reply.served.is_paid()) {
                let (read, written) =
                    (reply.usage.cache_read_tokens, reply.usage.cache_write_5m_tokens.saturating_add(reply.usage.cache_write_1h_tokens));
                for group in self.groups_of(place) {
                    let hits = &mut hits[group];
                    hits.answers += 1;
                    hits.hits += u64::from(read > 0);
                    hits.read = hits.read.saturating_add(read);
                    hits.written = hits.written.saturating_add(written);
                }
            }
        }
        hits
    }

    /// Brings members of a group together that stand so far apart that its entry might expire between them; everything else stays in
    /// the order of the plan. The things are those that one model of one endpoint is asked; `cell` says which cell a thing belongs to.
    pub fn order<T>(&self, things: &mut Vec<T>, cell: impl Fn(&T) -> usize) {
        if self.groups.is_empty() {
            return;
        }
        // Where each group begins, where it was last seen, and whether it is scattered.
        let mut seen: HashMap<usize, (usize, usize, bool)> = HashMap::new();
        for (at, thing) in things.iter().enumerate() {
            for group in self.groups_of(cell(thing)) {
                let (_, last, scattered) = seen.entry(group).or_insert((at, at, false));
                *scattered |= at - *last > self.groups[group].apart;
                *last = at;
            }
        }
        if seen.values().all(|(.., scattered)| !scattered) {
            return;
        }
        let begins = |group: usize| seen.get(&group).filter(|(.., scattered)| *scattered).map(|(first, ..)| *first);
        let mut placed: Vec<(Vec<usize>, T)> = things
            .drain(..)
            .enumerate()
            .map(|(at, thing)| (self.groups_of(cell(&thing)).filter_map(begins).chain([at]).collect(), thing))
            .collect();
        placed.sort_by(|(one, _), (other, _)| one.cmp(other));
        things.extend(placed.into_iter().map(|(_, thing)| thing));
    }
}

/// What tells the marks of one request from those of another.
type MarksName = (Option<Place>, Vec<(Digest, Life, bool)>);

#[cfg(test)]
#[path = "prefixes_tests.rs"]
mod tests;
