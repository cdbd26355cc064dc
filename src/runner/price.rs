//! What will a plan cost, about and at most, and how much of it is already answered?

use std::collections::{BTreeMap, HashSet};

use chrono::NaiveDate;

use crate::model::catalog::Catalog;
use crate::model::key::Key;
use crate::model::money::Money;
use crate::runner::estimate::{Guess, Known};
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::prefixes::Group;

/// The price of a plan before anything is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PlanPrice {
    /// Cells.
    pub cells: u64,
    /// Samples of all cells.
    pub samples: u64,
    /// Samples that are already answered, or share a request with one that is asked.
    pub answered: u64,
    /// Samples that a batch under way holds: they are paid already.
    pub under_way: u64,
    /// The most that the rest can cost: one attempt each, every byte of the prompt a token, every output as long as `max_tokens`. What a batch
    /// holds is in it: it may come back without an answer, and is asked singly then.
    pub upper_bound_usd: Money,
    /// Of that bound what batches under way hold.
    #[serde(skip)]
    pub under_way_bound_usd: Money,
    /// What the rest will probably cost.
    pub estimate: Estimate,
    /// Samples to ask whose price is unknown; they are neither in the upper bound nor in the estimate.
    pub unpriced: u64,
    /// By model's name, in plan order of their first cell.
    pub models: Vec<ModelPrice>,
}

/// One model's share.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ModelPrice {
    /// The model's name.
    pub model: String,
    /// The endpoint that answers for it.
    pub endpoint: String,
    /// Cells.
    pub cells: u64,
    /// Samples to ask.
    pub to_ask: u64,
    /// Samples that are already answered.
    pub answered: u64,
    /// Samples that a batch under way holds.
    pub under_way: u64,
    /// The most that the samples to ask, and those that a batch holds, can cost.
    pub upper_bound_usd: Money,
    /// What they will probably cost.
    pub estimate: Estimate,
}

/// What samples will probably cost: each prompt and answer as long as is known of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Estimate {
    /// All of them, less what the provider's prompt cache and batches are expected to take off.
    pub usd: Money,
    /// That saving.
    pub saved_by_prompt_cache_usd: Money,
    /// What batches take off, already taken off too.
    pub saved_by_batch_usd: Money,
    /// What those samples come to that are asked in batches, before anything is taken off.
    #[serde(skip)]
    in_batches: Money,
    /// Of their prompts.
    pub input_tokens: u64,
    /// Of their answers.
    pub output_tokens: u64,
    /// Samples whose prompt the endpoint counted.
    pub prompts_counted: u64,
    /// Samples whose prompt is estimated by its size in proportion to what earlier answers say of theirs; the others by their size alone.
    pub prompts_from_answers: u64,
    /// Samples whose answer is estimated by earlier ones; the others are taken to be as long as they may be.
    pub outputs_from_answers: u64,
}

impl Estimate {
    fn add(&mut self, guess: Guess, samples: u64, in_batches: bool) {
        self.usd += guess.usd.times(samples);
        if in_batches {
            self.in_batches += guess.usd.times(samples);
        }
        self.input_tokens = self.input_tokens.saturating_add(guess.input_tokens.saturating_mul(samples));
        self.output_tokens = self.output_tokens.saturating_add(guess.output_tokens.saturating_mul(samples));
        match guess.input {
            Known::Counted => self.prompts_counted += samples,
            Known::ByAnswers => self.prompts_from_answers += samples,
            Known::BySize => {}
        }
        self.outputs_from_answers += if guess.output_from_answers { samples } else { 0 };
    }

    fn halve(&mut self) -> Money {
        // The part in millionths: an estimate needs no more, and no product overflows.
        let millionth = ((self.usd + self.saved_by_prompt_cache_usd).pico() / 1_000_000).max(1);
        let part = (self.in_batches.pico() / millionth).min(1_000_000);
        let saving = self.usd.scaled(part, 2_000_000);
        self.usd = self.usd - saving;
        self.saved_by_batch_usd += saving;
        saving
    }

    fn save(&mut self, saving: Money) {
        // Both are estimates: no saving is larger than what it is taken from.
        let saving = saving.min(self.usd);
        self.usd = self.usd - saving;
        self.saved_by_prompt_cache_usd += saving;
    }
}

impl PlanPrice {
    /// Samples that must be asked.
    #[must_use]
    pub const fn to_ask(&self) -> u64 {
        self.samples - self.answered - self.under_way
    }

    /// Takes off the estimate what batches are expected to save: half of what is left of the part that is asked in them.
    pub fn halve(&mut self) {
        for model in &mut self.models {
            let saving = model.estimate.halve();
            self.estimate.usd = self.estimate.usd - saving;
            self.estimate.saved_by_batch_usd += saving;
        }
    }

    /// Takes off the estimate what the marks of these groups for the provider's prompt cache are expected to save.
    pub fn save(&mut self, plan: &Plan, groups: &[Group], catalog: &Catalog, day: NaiveDate) {
        let names: BTreeMap<(&str, &str), &str> =
            plan.cells.iter().rev().map(|cell| ((&*cell.variant.endpoint, &*cell.variant.model_id), &*cell.variant.model_name)).collect();
        for group in groups {
            let (Some(saving), Some(name)) = (group.saving(catalog, day), names.get(&(&*group.endpoint, &*group.model))) else { continue };
            let mut models = self.models.iter_mut();
            if let Some(model) = models.find(|model| model.model == **name && *model.endpoint == *group.endpoint) {
                let before = model.estimate.saved_by_prompt_cache_usd;
                model.estimate.save(saving);
                self.estimate.save(model.estimate.saved_by_prompt_cache_usd - before);
            }
        }
    }
}

/// Prices a plan; `is_answered` says whether a sample's reply is known already, `is_under_way` whether a batch holds it, `guess` what one sample of a
/// cell probably costs, `is_batched` whether it is asked in a batch.
pub fn price(
    plan: &Plan,
    is_answered: impl Fn(&Key) -> bool,
    is_under_way: impl Fn(&Key) -> bool,
    guess: impl Fn(&PlannedCell) -> Option<Guess>,
    is_batched: impl Fn(&PlannedCell) -> bool,
) -> PlanPrice {
    let mut total = PlanPrice::default();
    let mut seen: HashSet<Key> = HashSet::new();
    let mut positions: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for cell in &plan.cells {
        let (model, endpoint): (&str, &str) = (&cell.variant.model_name, &cell.variant.endpoint);
        let position = *positions.entry((model, endpoint)).or_insert_with(|| {
            total.models.push(ModelPrice { model: model.to_owned(), endpoint: endpoint.to_owned(), ..ModelPrice::default() });
            total.models.len() - 1
        });
        let share = &mut total.models[position];
        // Equal requests have one key, and are asked once.
        let open = cell.keys.iter().filter(|key| !is_answered(key) && seen.insert(**key));
        let (under_way, to_ask): (Vec<&Key>, Vec<&Key>) = open.partition(|key| is_under_way(key));
        let (under_way, to_ask) = (under_way.len() as u64, to_ask.len() as u64);
        let answered = cell.keys.len() as u64 - to_ask - under_way;
        let held = cell.worst_case.unwrap_or_default().times(under_way);
        let bound = cell.worst_case.unwrap_or_default().times(to_ask) + held;
        share.cells += 1;
        share.to_ask += to_ask;
        share.answered += answered;
        share.under_way += under_way;
        share.upper_bound_usd += bound;
        total.cells += 1;
        total.samples += cell.keys.len() as u64;
        total.answered += answered;
        total.under_way += under_way;
        total.upper_bound_usd += bound;
        total.under_way_bound_usd += held;
        if cell.worst_case.is_none() {
            total.unpriced += to_ask;
        }
        if let Some(guess) = (to_ask > 0).then(|| guess(cell)).flatten() {
            let in_batches = is_batched(cell);
            share.estimate.add(guess, to_ask, in_batches);
            total.estimate.add(guess, to_ask, in_batches);
        }
    }
    total
}
