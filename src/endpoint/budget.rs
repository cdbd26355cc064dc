//! May another request start, when spent and in flight together must stay under a cap?
//!
//! Every attempt reserves the most that it can cost before it is sent, and gives back what it did not spend. Where the bill of an attempt
//! stays unknown (a connection that broke, a reply that came damaged), its worst case stays counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::endpoint::Call;
use crate::endpoint::patience::Patience;
use crate::endpoint::wire::{Attempted, Failed, Wire};
use crate::model::catalog::Catalog;
use crate::model::cost;
use crate::model::money::Money;
use crate::model::reply::Answer;
use crate::model::verdict::{CellError, ErrorKind};

/// Caps of a run and of its suites, over every endpoint. Counts simulated money too, so that a cap can be tried without paying.
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

impl State {
    fn reserve(&mut self, suite: &Arc<str>, amount: Money) {
        self.run.reserved += amount;
        self.suites.entry(Arc::clone(suite)).or_default().reserved += amount;
    }
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

/// Money that an attempt under way may cost. Dropped without being settled (the attempt was torn down), it stays counted whole.
#[derive(Debug)]
struct Reservation<'a> {
    budget: &'a Budget,
    suite: &'a Arc<str>,
    amount: Money,
    spent: Money,
}

impl Budget {
    /// A budget with a cap for the run and caps for suites by name.
    #[must_use]
    pub fn new(run_cap: Option<Money>, suite_caps: HashMap<Arc<str>, Money>) -> Self {
        Self { run_cap, suite_caps, ..Self::default() }
    }

    /// The same, where the run goes on with what others spent of its cap. The caps of suites hold for each run alone.
    #[must_use]
    pub fn having_spent(self, spent: Money) -> Self {
        self.state().run.spent = spent;
        self
    }

    /// What the cap of the run has paid for: spent, or possibly spent where the bill of an attempt stayed unknown.
    #[must_use]
    pub fn spent(&self) -> Money {
        self.state().run.spent
    }

    /// What to say of caps that more was spent of than they allow. Only what an earlier run sent can do that: a batch whose results came in this one.
    #[must_use]
    pub fn passed(&self) -> Vec<String> {
        let state = self.state();
        let said = |name: &str, spent: Money, cap: Money| {
            format!("what a batch of an earlier run cost is over {name}: {} of {}", spent.display(4), cap.display(4))
        };
        let run = self.run_cap.filter(|cap| state.run.spent > *cap);
        let mut passed: Vec<_> = run.into_iter().map(|cap| said("`--max-cost`", state.run.spent, cap)).collect();
        let mut suites: Vec<_> =
            self.suite_caps.iter().filter_map(|(suite, cap)| Some((suite, *cap, state.suites.get(suite)?.spent))).collect();
        suites.sort_unstable();
        let suites = suites.into_iter().filter(|(_, cap, spent)| spent > cap);
        passed.extend(suites.map(|(suite, cap, spent)| said(&format!("`max_cost_usd` of suite `{suite}`"), spent, cap)));
        passed
    }

    /// Takes the most that a request of a batch can cost out of what is left, or says which cap it does not fit under. Nobody waits: whatever
    /// is under way comes back only when the whole batch has ended.
    ///
    /// # Errors
    /// Names the cap.
    pub fn take(&self, suite: &Arc<str>, amount: Money) -> Result<(), CellError> {
        let suite_cap = self.suite_caps.get(suite).copied();
        let mut state = self.state();
        let account = state.suites.get(suite).copied().unwrap_or_default();
        let taken = |account: Account| account.spent + account.reserved;
        if let Some(cap) = self.run_cap.filter(|_| !state.run.fits(amount, self.run_cap)) {
            return Err(passes("the cap of this run", "`--max-cost`", cap, taken(state.run), amount));
        }
        if let Some(cap) = suite_cap.filter(|_| !account.fits(amount, suite_cap)) {
            let (name, flag) = (format!("the cap of suite `{suite}`"), format!("`max_cost_usd` in the gate of suite `{suite}`"));
            return Err(passes(&name, &flag, cap, taken(account), amount));
        }
        state.reserve(suite, amount);
        Ok(())
    }

    /// The same for what was sent before: it is taken whatever the caps say, so that nothing else is sent for the same money.
    pub fn commit(&self, suite: &Arc<str>, amount: Money) {
        self.state().reserve(suite, amount);
    }

    /// Replaces what was taken for a request by what it cost.
    pub fn settle(&self, suite: &Arc<str>, taken: Money, spent: Money) {
        let mut state = self.state();
        let account = state.suites.entry(Arc::clone(suite)).or_default();
        account.reserved = account.reserved - taken;
        account.spent += spent;
        state.run.reserved = state.run.reserved - taken;
        state.run.spent += spent;
        drop(state);
        self.settled.notify_waiters();
    }

    /// Nothing is capped, so nothing needs counting.
    fn is_unlimited(&self) -> bool {
        self.run_cap.is_none() && self.suite_caps.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while only attempts under way keep `amount` from fitting.
    ///
    /// # Errors
    /// Names the cap that `amount` cannot fit under any more.
    async fn reserve<'a>(&'a self, suite: &'a Arc<str>, amount: Money) -> Result<Reservation<'a>, CellError> {
        let suite_cap = self.suite_caps.get(suite).copied();
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            {
                let mut state = self.state();
                let account = state.suites.get(suite).copied().unwrap_or_default();
                if state.run.fits(amount, self.run_cap) && account.fits(amount, suite_cap) {
                    state.reserve(suite, amount);
                    return Ok(Reservation { budget: self, suite, amount, spent: amount });
                }
                let alone = |account: Account| Account { reserved: Money::ZERO, ..account };
                if let Some(cap) = self.run_cap.filter(|_| !alone(state.run).fits(amount, self.run_cap)) {
                    return Err(passes("the cap of this run", "`--max-cost`", cap, state.run.spent, amount));
                }
                if let Some(cap) = suite_cap.filter(|_| !alone(account).fits(amount, suite_cap)) {
                    let (name, flag) = (format!("the cap of suite `{suite}`"), format!("`max_cost_usd` in the gate of suite `{suite}`"));
                    return Err(passes(&name, &flag, cap, account.spent, amount));
                }
            }
            settled.await;
        }
    }
}

/// No request fits under this cap any more. How far to raise it depends on what else is left to ask, which only the run knows when it ends.
fn passes(name: &str, setting: &str, cap: Money, spent: Money, amount: Money) -> CellError {
    CellError {
        kind: ErrorKind::Budget,
        message: format!(
            "{} of {name} ({}) are spent or may be, and a request can cost {} more",
            spent.display(4),
            cap.display(4),
            amount.display(4)
        ),
        hint: Some(format!("raise {setting}, or lower `max_tokens`: what is answered already is not asked again")),
        attempts: Vec::new(),
    }
}

impl Reservation<'_> {
    /// Replaces what was reserved by what was spent.
    fn settle(mut self, spent: Money) {
        self.spent = spent;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.settle(self.suite, self.amount, self.spent);
    }
}

/// Sends no attempt that could pass a cap.
#[derive(Debug)]
pub struct Budgeted<W> {
    inner: W,
    budget: Arc<Budget>,
    catalog: Arc<Catalog>,
}

impl<W> Budgeted<W> {
    /// Under these caps, which other endpoints share, with these prices.
    pub const fn new(inner: W, budget: Arc<Budget>, catalog: Arc<Catalog>) -> Self {
        Self { inner, budget, catalog }
    }

    /// What spends.
    pub const fn inner(&self) -> &W {
        &self.inner
    }

    /// What the attempt took from the caps, its worst case where that is not known.
    fn spent(&self, call: &Call, worst: Money, result: &Result<Answer, Failed>) -> Money {
        match result {
            Ok(answer) if answer.served.is_paid() => {
                cost::cost(&self.catalog, &call.request.model, &answer.reply).map_or(worst, |cost| cost.total)
            }
            Err(Failed::Attempt { attempt, .. }) if attempt.may_be_billed() => worst,
            Ok(_) | Err(Failed::Attempt { .. } | Failed::Refused(_) | Failed::GaveUp(_) | Failed::Held) => Money::ZERO,
        }
    }
}

impl<W: Wire> Wire for Budgeted<W> {
    async fn attempt(&self, call: &Call, patience: &Patience) -> Attempted {
        // A cap over a request without an upper bound was refused before the run.
        let Some(worst) = call.worst_case.filter(|_| !self.budget.is_unlimited()) else {
            return self.inner.attempt(call, patience).await;
        };
        let reservation = match patience.wait(self.budget.reserve(&call.suite, worst)).await {
            Ok(Ok(reservation)) => reservation,
            Ok(Err(refused)) => return Err(Failed::Refused(refused)).into(),
            Err(reason) => return Err(Failed::GaveUp(reason)).into(),
        };
        // The endpoint may have fallen silent while the others settled.
        let attempted = if patience.is_held() { Err(Failed::Held).into() } else { self.inner.attempt(call, patience).await };
        reservation.settle(self.spent(call, worst, &attempted.result));
        attempted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::endpoint::breaker::Breaker;
    use crate::endpoint::circuit::Failure;
    use crate::endpoint::limit::Limited;
    use crate::endpoint::retry::Retrying;
    use crate::endpoint::testing::{Scripted, call, config, failed, fresh};
    use crate::endpoint::wire::Advice;

    fn dollars(text: &str) -> Money {
        text.parse().unwrap()
    }

    /// Calls of one suite that reserve 40 cents each; `fresh` replies cost next to nothing.
    fn capped(run_cap: Option<&str>, suite_cap: Option<&str>, wire: &Arc<Scripted>) -> Arc<Budgeted<Arc<Scripted>>> {
        let suites = suite_cap.map(|cap| (Arc::from("suite"), dollars(cap)));
        let budget = Budget::new(run_cap.map(dollars), suites.into_iter().collect());
        Arc::new(Budgeted::new(Arc::clone(wire), Arc::new(budget), Arc::new(Catalog::embedded().clone())))
    }

    fn costing(number: usize, worst: &str) -> Call {
        let mut call = call(number);
        Arc::make_mut(&mut call.request).model = "claude-haiku-4-5".to_owned();
        Call { worst_case: Some(dollars(worst)), ..call }
    }

    async fn attempt(budgeted: &Budgeted<Arc<Scripted>>, call: Call) -> Result<Answer, Failed> {
        budgeted.attempt(&call, &Patience::of(&call)).await.result
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_waits_for_what_flies_and_starts_when_it_turned_out_cheaper() {
        let wire = Arc::new(Scripted::after(Duration::from_secs(3)));
        let budgeted = capped(Some("1.00"), None, &wire);
        let (one, two) = tokio::join!(attempt(&budgeted, costing(1, "0.70")), attempt(&budgeted, costing(2, "0.70")));
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(wire.times(), [Duration::ZERO, Duration::from_secs(3)], "both at once could have cost $1.40");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_fit_any_more_is_refused_and_names_the_cap() {
        let wire = Arc::new(Scripted::new(|_, _| (Duration::ZERO, Err(failed(ErrorKind::Timeout, Advice::default())))));
        let budgeted = capped(None, Some("0.50"), &wire);
        let lost = attempt(&budgeted, costing(1, "0.40")).await;
        assert!(matches!(lost, Err(Failed::Attempt { .. })));
        let Err(Failed::Refused(error)) = attempt(&budgeted, costing(2, "0.40")).await else { panic!("it could cost 80 cents") };
        insta::assert_snapshot!(error.message, @"$0.4000 of the cap of suite `suite` ($0.5000) are spent or may be, and a request can cost $0.4000 more");
        insta::assert_snapshot!(error.hint.unwrap(), @"raise `max_cost_usd` in the gate of suite `suite`, or lower `max_tokens`: what is answered already is not asked again");
        assert_eq!((error.kind, wire.count()), (ErrorKind::Budget, 1));
        let other = Call { suite: Arc::from("other"), ..costing(3, "99") };
        assert!(matches!(attempt(&budgeted, other).await, Err(Failed::Attempt { .. })), "the cap is of one suite");
    }

    #[tokio::test(start_paused = true)]
    async fn the_hint_names_the_cap_that_was_hit_and_no_figure_that_would_lower_another() {
        let wire = Arc::new(Scripted::after(Duration::ZERO));
        for (run, suite, hit, other) in
            [("10", "0.30", "`max_cost_usd` in the gate of suite `suite`", "--max-cost"), ("0.30", "10", "`--max-cost`", "max_cost_usd")]
        {
            let Err(Failed::Refused(error)) = attempt(&capped(Some(run), Some(suite), &wire), costing(1, "0.40")).await else {
                panic!("it could cost 40 cents")
            };
            let hint = error.hint.unwrap();
            assert!(hint.contains(hit) && !hint.contains(other) && !hint.contains("0.4"), "{hint}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waited_for_money_while_the_endpoint_fell_silent_is_held_and_gives_the_money_back() {
        let wire = Arc::new(Scripted::after(Duration::from_secs(3)));
        let budgeted = capped(Some("0.50"), None, &wire);
        let breaker = Arc::new(Breaker::new(&config("http://127.0.0.1")));
        let waits = costing(2, "0.40");
        let patience = Patience::of(&waits).guarded(&breaker);
        let falls_silent = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let error = CellError { kind: ErrorKind::Connection, message: String::new(), hint: None, attempts: Vec::new() };
            for call in 0..3 {
                let failure = Failure { call, headless: true, hung: false, last_try: true, probe: false };
                breaker.failed(&waits, failure, &error);
            }
        };
        let (first, waited, ()) = tokio::join!(attempt(&budgeted, costing(1, "0.40")), budgeted.attempt(&waits, &patience), falls_silent);
        assert!(first.is_ok());
        assert!(matches!(waited.result, Err(Failed::Held)));
        assert_eq!(wire.count(), 1, "what is sent to a silent endpoint is lost");
        assert!(attempt(&budgeted, costing(3, "0.40")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_server_refuses_is_not_billed_and_takes_nothing() {
        let kinds = [ErrorKind::RateLimited, ErrorKind::Overloaded, ErrorKind::Server, ErrorKind::Denied, ErrorKind::InvalidRequest];
        let wire = Arc::new(Scripted::new(move |number, _| {
            let result = match kinds.get(number) {
                Some(kind) => Err(failed(*kind, Advice::default())),
                None => Ok(fresh("ok")),
            };
            (Duration::ZERO, result)
        }));
        let budgeted = capped(Some("0.50"), None, &wire);
        for number in 0..kinds.len() {
            assert!(matches!(attempt(&budgeted, costing(number, "0.50")).await, Err(Failed::Attempt { .. })));
        }
        assert!(attempt(&budgeted, costing(9, "0.50")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_torn_down_stays_counted_at_its_worst() {
        let wire = Arc::new(Scripted::after(Duration::from_secs(60)));
        let budgeted = capped(Some("0.50"), None, &wire);
        let torn_down = tokio::time::timeout(Duration::from_secs(1), attempt(&budgeted, costing(1, "0.50"))).await;
        assert!(torn_down.is_err());
        assert!(matches!(attempt(&budgeted, costing(2, "0.50")).await, Err(Failed::Refused(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_limit_of_a_case_does_not_run_while_it_waits_for_the_budget() {
        let wire = Arc::new(Scripted::after(Duration::from_secs(30)));
        let limited = Limited::new(Arc::into_inner(capped(Some("1.00"), None, &wire)).unwrap(), &config("http://127.0.0.1"));
        let waits = Call { deadline: Duration::from_secs(10), ..costing(2, "0.70") };
        let (one, two) = (costing(1, "0.70"), waits);
        let (patience_one, patience_two) = (Patience::of(&one), Patience::of(&two));
        let (one, two) = tokio::join!(limited.attempt(&one, &patience_one), limited.attempt(&two, &patience_two));
        assert!(one.result.is_ok() && two.result.is_ok());
        assert_eq!(wire.times(), [Duration::ZERO, Duration::from_secs(30)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_waits_for_the_budget_leaves_its_turn_to_another() {
        let start = tokio::time::Instant::now();
        // What the first suite may spend hangs on the wire; the endpoint drops everything else, and then it is back.
        let wire = Arc::new(Scripted::new(move |number, _| match number {
            0 => (Duration::from_secs(300), Err(failed(ErrorKind::Connection, Advice::default()))),
            _ if start.elapsed() < Duration::from_secs(12) => {
                (Duration::from_millis(1), Err(failed(ErrorKind::Connection, Advice::default())))
            }
            _ => (Duration::from_millis(1), Ok(fresh("ok"))),
        }));
        let config = config("http://127.0.0.1");
        let budgeted = Arc::into_inner(capped(None, Some("0.50"), &wire)).unwrap();
        let stack = Retrying::new(Limited::new(budgeted, &config), &config, 7);
        let hanging = stack.ask(costing(0, "0.40"));
        let capped = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            futures_util::future::join_all((1..4).map(|number| stack.ask(costing(number, "0.40")))).await
        };
        let others = async {
            let calls = (10..13).map(|number| stack.ask(Call { suite: Arc::from("other"), ..costing(number, "0.40") }));
            (futures_util::future::join_all(calls).await, start.elapsed())
        };
        let (_, _, (others, elapsed)) = tokio::join!(hanging, capped, others);
        assert!(others.iter().all(Result::is_ok));
        assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
    }

    mod property {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            /// Whatever attempts cost and however they end, spent and in flight never pass the cap.
            #[test]
            fn spent_and_in_flight_never_pass_the_cap(
                cap in 1u32..200,
                attempts in proptest::collection::vec((1u32..60, 0u64..5, 0u8..3), 1..40),
            ) {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
                runtime.block_on(async move {
                    let cents = |cents: u32| dollars(&format!("0.{cents:03}"));
                    let script = attempts.clone();
                    let wire = Arc::new(Scripted::new(move |_, call| {
                        let (_, takes, end) = script[call.sample as usize];
                        let result = match end {
                            0 => Ok(fresh("ok")),
                            1 => Err(failed(ErrorKind::Connection, Advice::default())),
                            _ => Err(failed(ErrorKind::Overloaded, Advice::default())),
                        };
                        (Duration::from_secs(takes), result)
                    }));
                    let suites = HashMap::from([(Arc::from("suite"), cents(cap))]);
                    let budget = Arc::new(Budget::new(Some(cents(cap)), suites));
                    let budgeted = Arc::new(Budgeted::new(wire, Arc::clone(&budget), Arc::new(Catalog::embedded().clone())));
                    let mut all = tokio::task::JoinSet::new();
                    for (number, (worst, _, _)) in attempts.iter().enumerate() {
                        let call = Call { sample: u32::try_from(number).unwrap(), ..costing(number, &format!("0.{worst:03}")) };
                        let budgeted = Arc::clone(&budgeted);
                        all.spawn(async move { attempt(&budgeted, call).await.is_ok() });
                    }
                    loop {
                        let account = budget.state().run;
                        assert!(account.spent + account.reserved <= cents(cap), "{account:?} of {cap}");
                        if all.join_next().await.is_none() {
                            break;
                        }
                    }
                    assert_eq!(budget.state().run.reserved, Money::ZERO, "everything was settled");
                });
            }
        }
    }
}
