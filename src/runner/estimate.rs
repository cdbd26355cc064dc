//! What will the samples of a plan probably cost, going by their size and by what was answered before? An estimate, never a bill.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::model::catalog::Catalog;
use crate::model::cost;
use crate::model::key::Key;
use crate::model::money::Money;
use crate::model::reply::Usage;
use crate::model::run::Address;
use crate::runner::plan::{PlannedCell, Variant};

/// Earlier answers to a suite's prompt by one model: the lengths of replies are alike there, and so is what a byte of the prompt comes to.
type Kind = (Arc<str>, Arc<str>, Arc<str>);

/// Prompts of other sizes than estimated beyond this factor were other prompts.
const FURTHEST: u64 = 5;

/// What one sample probably costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    /// At the day's plain rates, without prompt cache and batch.
    pub usd: Money,
    /// Of the prompt.
    pub input_tokens: u64,
    /// How that is known.
    pub input: Known,
    /// Of the answer.
    pub output_tokens: u64,
    /// Earlier answers tell it; otherwise it is `max_tokens`, the most.
    pub output_from_answers: bool,
}

/// How the tokens of a prompt are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// By its bytes.
    BySize,
    /// By its bytes, in proportion to what earlier answers say that theirs came to.
    ByAnswers,
    /// The endpoint counted them.
    Counted,
}

/// What is known of earlier answers, and of prompts that were counted.
#[derive(Debug, Default)]
pub struct Earlier {
    /// By case too, any version of the prompt.
    cells: HashMap<(Kind, Arc<str>), Mean>,
    kinds: HashMap<Kind, Mean>,
    prompts: HashMap<Kind, Proportion>,
    /// By the key of the first sample.
    counted: HashMap<Key, u64>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Mean {
    sum: u64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: u64) {
        self.sum = self.sum.saturating_add(value);
        self.count += 1;
    }

    fn rounded_up(self) -> Option<u64> {
        (self.count > 0).then(|| self.sum.div_ceil(self.count))
    }
}

/// Tokens that were told for so many that had been estimated.
#[derive(Debug, Default, Clone, Copy)]
struct Proportion {
    estimated: u64,
    told: u64,
}

impl Proportion {
    fn of(self, estimated: u64) -> Option<u64> {
        let is_believable = self.told <= self.estimated.saturating_mul(FURTHEST) && self.told.saturating_mul(FURTHEST) >= self.estimated;
        let scaled = (u128::from(estimated) * u128::from(self.told)).div_ceil(u128::from(self.estimated.max(1)));
        (self.estimated > 0 && is_believable).then(|| u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

fn kind(address: &Address) -> Kind {
    (Arc::clone(&address.suite), Arc::clone(&address.prompt), Arc::clone(&address.model))
}

impl Earlier {
    /// An earlier answer; `estimated` is the size of its own prompt, where that is known.
    pub fn learn(&mut self, address: &Address, estimated: Option<u64>, usage: &Usage) {
        let kind = kind(address);
        self.cells.entry((kind.clone(), Arc::clone(&address.case))).or_default().add(usage.output_tokens);
        self.kinds.entry(kind.clone()).or_default().add(usage.output_tokens);
        if let Some(estimated) = estimated {
            let known = self.prompts.entry(kind).or_default();
            known.estimated = known.estimated.saturating_add(estimated);
            known.told = known.told.saturating_add(usage.prompt_tokens());
        }
    }

    /// How many answers to prompts like this one are known.
    #[must_use]
    pub fn answers_like(&self, variant: &Variant) -> u64 {
        let kind = (Arc::clone(&variant.suite_name), Arc::clone(&variant.prompt_name), Arc::clone(&variant.model_name));
        self.kinds.get(&kind).map_or(0, |mean| mean.count)
    }

    /// What an endpoint counted for the prompt of a cell.
    pub fn count(&mut self, cell: &PlannedCell, tokens: u64) {
        if let Some(key) = cell.keys.first() {
            self.counted.insert(*key, tokens);
        }
    }

    /// What one sample of this cell probably costs; `None` without a price.
    #[must_use]
    pub fn guess(&self, catalog: &Catalog, cell: &PlannedCell, day: NaiveDate) -> Option<Guess> {
        let params = &cell.variant.params;
        // Tools of the provider bring in prompts of their own, and are billed by the piece: nobody can say how many.
        let worst_case = cell.worst_case?;
        let address = cell.address();
        let kind = kind(&address);
        let estimated = cell.estimated_prompt;
        let (input_tokens, input) = match self.counted.get(cell.keys.first()?) {
            Some(counted) => (*counted, Known::Counted),
            None => match self.prompts.get(&kind).and_then(|known| known.of(estimated)) {
                Some(scaled) => (scaled, Known::ByAnswers),
                None => (estimated, Known::BySize),
            },
        };
        let most = params.max_tokens.or_else(|| catalog.find(&cell.variant.model_id).map(|entry| entry.max_output_tokens))?;
        let of_cell = self.cells.get(&(kind.clone(), address.case)).and_then(|mean| mean.rounded_up());
        let earlier = of_cell.or_else(|| self.kinds.get(&kind).and_then(|mean| mean.rounded_up()));
        let output_tokens = earlier.map_or(most, |tokens| tokens.min(most));
        let usage = Usage {
            input_tokens,
            output_tokens,
            inference_geo: params.inference_geo.clone(),
            speed: params.speed.clone(),
            ..Usage::default()
        };
        let usd = cost::of_usage(catalog, &cell.variant.model_id, &usage, day)?.total;
        Some(Guess { usd: usd.min(worst_case), input_tokens, input, output_tokens, output_from_answers: earlier.is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::suite::Suite;
    use crate::runner::testing::{model, planned, suite};

    fn cells() -> Vec<PlannedCell> {
        let suite = Suite { models: vec![model("claude-haiku-4-5")], ..suite(&["ada", "bob"]) };
        planned(suite, None).unwrap().cells
    }

    fn guess(earlier: &Earlier, cell: &PlannedCell) -> Guess {
        earlier.guess(Catalog::embedded(), cell, "2026-11-22".parse().unwrap()).unwrap()
    }

    fn answered(input: u64, output: u64) -> Usage {
        Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
    }

    #[test]
    fn without_earlier_answers_the_output_is_taken_at_its_most() {
        let cells = cells();
        let guess = guess(&Earlier::default(), &cells[0]);
        // `Hello ada!` is 10 bytes: 3 tokens and a frame of 8; 100 is the default of these tests. (11 x 1 + 100 x 5) / 1,000,000.
        assert_eq!((guess.input_tokens, guess.input, guess.output_tokens, guess.output_from_answers), (11, Known::BySize, 100, false));
        assert_eq!(guess.usd, "0.000511".parse().unwrap());
    }

    #[test]
    fn an_answer_to_the_same_case_tells_more_than_those_to_others() {
        let cells = cells();
        let ada = cells.iter().find(|cell| &*cell.case_id == "ada").unwrap();
        let bob = cells.iter().find(|cell| &*cell.case_id == "bob").unwrap();
        let mut earlier = Earlier::default();
        earlier.learn(&ada.address(), Some(10), &answered(20, 30));
        assert_eq!((guess(&earlier, ada).output_tokens, guess(&earlier, bob).output_tokens), (30, 30), "the only one there is");
        earlier.learn(&bob.address(), Some(10), &answered(20, 51));
        assert_eq!((guess(&earlier, ada).output_tokens, guess(&earlier, bob).output_tokens), (30, 51));
        // 20 told for each 10 that were estimated.
        assert_eq!((guess(&earlier, ada).input_tokens, guess(&earlier, ada).input), (22, Known::ByAnswers));
        // No answer is longer than it may be.
        earlier.learn(&bob.address(), None, &answered(0, 9_000));
        assert_eq!(guess(&earlier, bob).output_tokens, 100);
    }

    #[test]
    fn what_was_counted_is_taken_as_it_is_and_what_cannot_be_true_is_not_taken() {
        let cells = cells();
        let mut earlier = Earlier::default();
        earlier.learn(&cells[0].address(), Some(10), &answered(1_000, 5));
        assert_eq!(guess(&earlier, &cells[0]).input, Known::BySize, "a hundred times as much was another prompt");
        earlier.count(&cells[0], 777);
        assert_eq!((guess(&earlier, &cells[0]).input_tokens, guess(&earlier, &cells[0]).input), (777, Known::Counted));
    }

    #[test]
    fn no_guess_is_above_what_can_be_paid_at_most() {
        let cells = cells();
        let mut earlier = Earlier::default();
        earlier.count(&cells[0], 1_000_000);
        assert_eq!(Some(guess(&earlier, &cells[0]).usd), cells[0].worst_case);
    }
}
