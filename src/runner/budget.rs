//! May another request start, when spent and in flight together must stay under a cap?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::money::Money;

/// Caps of a run and of its suites. Counts simulated money too, so that a cap can be tried without paying.
#[derive(Debug, Default)]
pub struct Budget {
    run_cap: Option<Money>,
    suite_caps: HashMap<Arc<str>, Money>,
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    run: Account,
    suites: HashMap<Arc<str>, Account>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Account {
    spent: Money,
    reserved: Money,
}

impl Account {
    fn fits(self, amount: Money, cap: Option<Money>) -> bool {
        cap.is_none_or(|cap| self.spent + self.reserved + amount <= cap)
    }
}

/// Money that a request under way may cost; must be settled.
#[derive(Debug)]
#[must_use = "a reservation that is never settled blocks the rest of the run"]
pub struct Reservation {
    suite: Arc<str>,
    amount: Money,
}

impl Budget {
    /// A budget with a cap for the run and caps for some suites.
    #[must_use]
    pub fn new(run_cap: Option<Money>, suite_caps: HashMap<Arc<str>, Money>) -> Self {
        Self { run_cap, suite_caps, ..Self::default() }
    }

    /// Waits while only requests under way keep `amount` from fitting; `None` when it cannot fit any more.
    pub async fn reserve(&self, suite: &Arc<str>, amount: Money) -> Option<Reservation> {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let suite_cap = self.suite_caps.get(suite).copied();
                let account = state.suites.get(suite).copied().unwrap_or_default();
                if state.run.fits(amount, self.run_cap) && account.fits(amount, suite_cap) {
                    state.run.reserved += amount;
                    state.suites.entry(Arc::clone(suite)).or_default().reserved += amount;
                    return Some(Reservation { suite: Arc::clone(suite), amount });
                }
                let alone = |account: Account, cap| Account { reserved: Money::ZERO, ..account }.fits(amount, cap);
                if !alone(state.run, self.run_cap) || !alone(account, suite_cap) {
                    return None;
                }
            }
            settled.await;
        }
    }

    /// Replaces a reservation by what was spent. Where the bill is unknown, pass the reserved amount again: it stays counted.
    pub fn settle(&self, reservation: Reservation, spent: Money) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let suite = state.suites.entry(reservation.suite).or_default();
        suite.reserved = suite.reserved - reservation.amount;
        suite.spent += spent;
        state.run.reserved = state.run.reserved - reservation.amount;
        state.run.spent += spent;
        drop(state);
        self.settled.notify_waiters();
    }
}

impl Reservation {
    /// What was reserved.
    #[must_use]
    pub const fn amount(&self) -> Money {
        self.amount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_request_waits_for_what_flies_and_starts_when_it_turned_out_cheaper() {
        let budget = Arc::new(Budget::new(Some(dollars("1.00")), HashMap::new()));
        let suite: Arc<str> = Arc::from("suite");
        let first = budget.reserve(&suite, dollars("0.70")).await.unwrap();
        let waiting = tokio::spawn({
            let (budget, suite) = (Arc::clone(&budget), Arc::clone(&suite));
            async move { budget.reserve(&suite, dollars("0.70")).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        budget.settle(first, dollars("0.10"));
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn what_cannot_fit_any_more_is_refused_at_once() {
        let budget = Budget::new(None, HashMap::from([(Arc::from("small"), dollars("0.50"))]));
        let (small, large): (Arc<str>, Arc<str>) = (Arc::from("small"), Arc::from("large"));
        let reservation = budget.reserve(&small, dollars("0.40")).await.unwrap();
        budget.settle(reservation, dollars("0.40"));
        assert!(budget.reserve(&small, dollars("0.11")).await.is_none());
        assert!(budget.reserve(&small, dollars("0.10")).await.is_some());
        assert!(budget.reserve(&large, dollars("99")).await.is_some());
    }
}
