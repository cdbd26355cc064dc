//! How do amounts come onto a bill?

use serde::{Deserialize, Serialize};

use crate::model::money::Money;
use crate::model::run::{Bill, ReplyFacts};

/// What simulated answers did not cost, at list prices: nobody would have saved it either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SimulatedSavings {
    /// The part of `simulated_usd` that was answered already, and so was not asked this time.
    pub by_store_usd: Money,
    /// What the simulated prompt cache took off the price of the answers that were asked for (negative where writes outweigh reads).
    pub by_prompt_cache_usd: Money,
    /// What the batch discount took off.
    pub by_batch_usd: Money,
}

impl SimulatedSavings {
    /// Nothing.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.by_store_usd.is_zero() && self.by_prompt_cache_usd.is_zero() && self.by_batch_usd.is_zero()
    }
}

/// What only replayed (`--cache only`) and had no answer for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Unanswered {
    /// Cells that lack an answer, those of a baseline included.
    pub cells: u64,
    /// Requests that would be asked.
    pub requests: u64,
    /// What they would probably cost.
    pub about_usd: Money,
    /// The most that they could cost.
    pub at_most_usd: Money,
    /// Requests among them whose price is unknown: they are in neither sum.
    pub unpriced: u64,
}

impl Unanswered {
    /// Adds what another part of the same run lacked.
    fn add(&mut self, other: &Self) {
        let Self { cells, requests, about_usd, at_most_usd, unpriced } = other;
        self.cells = self.cells.saturating_add(*cells);
        self.requests = self.requests.saturating_add(*requests);
        self.about_usd += *about_usd;
        self.at_most_usd += *at_most_usd;
        self.unpriced = self.unpriced.saturating_add(*unpriced);
    }
}

/// What took something off the price of one reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Discounts {
    /// The provider's prompt cache; negative where it wrote more than it read.
    pub by_prompt_cache: Money,
    /// The batch discount.
    pub by_batch: Money,
}

impl ReplyFacts {
    /// What was taken off its price; nothing where it has none.
    #[must_use]
    pub fn discounts(&self) -> Discounts {
        let Some(cost) = self.cost_usd else { return Discounts::default() };
        let unbatched = self.unbatched_cost_usd.unwrap_or(cost);
        let uncached = self.uncached_cost_usd.unwrap_or(unbatched);
        Discounts { by_prompt_cache: uncached - unbatched, by_batch: unbatched - cost }
    }
}

impl Bill {
    /// Something is not in the sums.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.unpriced_samples > 0 || self.unknown_attempts > 0
    }

    /// Puts a reply on the bill.
    pub fn add_reply(&mut self, reply: &ReplyFacts) {
        let Some(cost) = reply.cost_usd else {
            self.unpriced_samples = self.unpriced_samples.saturating_add(1);
            return;
        };
        let Discounts { by_prompt_cache, by_batch } = reply.discounts();
        match (reply.simulated, reply.served.is_paid()) {
            (true, paid) => {
                self.simulated_usd += cost;
                if paid {
                    self.simulated_saved.by_prompt_cache_usd += by_prompt_cache;
                    self.simulated_saved.by_batch_usd += by_batch;
                } else {
                    self.simulated_saved.by_store_usd += cost;
                }
            }
            (false, true) => {
                self.spent_usd += cost;
                self.saved_by_prompt_cache_usd += by_prompt_cache;
                self.saved_by_batch_usd += by_batch;
            }
            (false, false) => self.saved_by_store_usd += cost,
        }
    }

    /// Counts attempts that may have been billed; `at_most` is what each can have cost, `None` where that has no bound.
    pub fn add_unknown(&mut self, attempts: u64, at_most: Option<Money>) {
        self.unknown(attempts, at_most.map(|at_most| at_most.times(attempts)));
    }

    /// One without a bound leaves all of them without one.
    fn unknown(&mut self, attempts: u64, at_most: Option<Money>) {
        if attempts > 0 {
            let before = if self.unknown_attempts == 0 { Some(Money::ZERO) } else { self.unknown_at_most_usd };
            self.unknown_at_most_usd = before.zip(at_most).map(|(before, more)| before + more);
            self.unknown_attempts = self.unknown_attempts.saturating_add(attempts);
        }
    }

    /// Adds another part of the same run.
    pub fn add(&mut self, other: &Self) {
        // Taken apart without `..`, so that a new member cannot be forgotten here.
        let Self {
            spent_usd,
            saved_by_store_usd,
            saved_by_prompt_cache_usd,
            saved_by_batch_usd,
            simulated_usd,
            simulated_saved: SimulatedSavings { by_store_usd, by_prompt_cache_usd, by_batch_usd },
            unpriced_samples,
            unknown_attempts,
            unknown_at_most_usd,
            doubtful_samples,
            compared_usd,
            unanswered,
        } = other;
        self.spent_usd += *spent_usd;
        self.saved_by_store_usd += *saved_by_store_usd;
        self.saved_by_prompt_cache_usd += *saved_by_prompt_cache_usd;
        self.saved_by_batch_usd += *saved_by_batch_usd;
        self.simulated_usd += *simulated_usd;
        self.simulated_saved.by_store_usd += *by_store_usd;
        self.simulated_saved.by_prompt_cache_usd += *by_prompt_cache_usd;
        self.simulated_saved.by_batch_usd += *by_batch_usd;
        self.unpriced_samples = self.unpriced_samples.saturating_add(*unpriced_samples);
        self.unknown(*unknown_attempts, *unknown_at_most_usd);
        self.doubtful_samples = self.doubtful_samples.saturating_add(*doubtful_samples);
        self.compared_usd += *compared_usd;
        if let Some(unanswered) = unanswered {
            self.unanswered.get_or_insert_default().add(unanswered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn one_attempt_without_a_bound_leaves_the_sum_without_one() {
        let mut bill = Bill::default();
        bill.add_unknown(0, None);
        assert_eq!((bill.unknown_attempts, bill.unknown_at_most_usd), (0, None));
        bill.add_unknown(2, Some(usd("0.03")));
        assert_eq!((bill.unknown_attempts, bill.unknown_at_most_usd), (2, Some(usd("0.06"))));
        let mut whole = Bill::default();
        whole.add(&bill);
        whole.add(&Bill::default());
        assert_eq!((whole.unknown_attempts, whole.unknown_at_most_usd), (2, Some(usd("0.06"))));
        let mut unbounded = Bill::default();
        unbounded.add_unknown(1, None);
        whole.add(&unbounded);
        assert_eq!((whole.unknown_attempts, whole.unknown_at_most_usd), (3, None));
        whole.add_unknown(1, Some(usd("1")));
        assert_eq!((whole.unknown_attempts, whole.unknown_at_most_usd), (4, None));
    }
}
