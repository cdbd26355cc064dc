//! What will a plan cost at most, and how much of it is already answered?

use std::collections::{BTreeMap, HashSet};

use crate::model::key::Key;
use crate::model::money::Money;
use crate::runner::plan::Plan;

/// The price of a plan before anything is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PlanPrice {
    /// Cells.
    pub cells: u64,
    /// Samples of all cells.
    pub samples: u64,
    /// Samples that are already answered, or share a request with one that is asked.
    pub answered: u64,
    /// The most that the rest can cost: one attempt each, every byte of the prompt a token, every output as long as `max_tokens`.
    pub upper_bound_usd: Money,
    /// Samples to ask whose price is unknown; they are not in the upper bound.
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
    /// The most that the samples to ask can cost.
    pub upper_bound_usd: Money,
}

impl PlanPrice {
    /// Samples that must be asked.
    #[must_use]
    pub const fn to_ask(&self) -> u64 {
        self.samples - self.answered
    }
}

/// Prices a plan; `is_answered` says whether a sample's reply is known already.
pub fn price(plan: &Plan, is_answered: impl Fn(&Key) -> bool) -> PlanPrice {
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
        let to_ask = cell.keys.iter().filter(|key| !is_answered(key) && seen.insert(**key)).count() as u64;
        let answered = cell.keys.len() as u64 - to_ask;
        let bound = cell.worst_case.unwrap_or_default().times(to_ask);
        share.cells += 1;
        share.to_ask += to_ask;
        share.answered += answered;
        share.upper_bound_usd += bound;
        total.cells += 1;
        total.samples += cell.keys.len() as u64;
        total.answered += answered;
        total.upper_bound_usd += bound;
        if cell.worst_case.is_none() {
            total.unpriced += to_ask;
        }
    }
    total
}
