//! Was the reply cheap and fast enough?

use crate::assertion::{Finding, Subject, excerpt};
use crate::model::money::Money;
use crate::model::verdict::Failure;

/// `max_cost_usd`: the reply's usage priced without the prompt cache and without the batch discount, so that the verdict does not
/// depend on which case happened to fill the cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct CostCheck(pub(super) Money);

impl CostCheck {
    pub(super) fn find(self, subject: &Subject<'_>) -> Finding {
        match subject.cost {
            Some(cost) => Finding::of(cost.uncached <= self.0),
            None => Finding::Unknown(format!(
                "the reply of `{}` has no price, so `max_cost_usd` cannot be judged (hint: give the model a price under \
                 `[prices.\"...\"]` in promptkeel.toml, or drop the assertion)",
                excerpt::clipped(&subject.reply.model, 80)
            )),
        }
    }

    pub(super) fn failure(self, subject: &Subject<'_>, negated: bool) -> Failure {
        let bound = if negated { "more than" } else { "at most" };
        let usage = &subject.reply.usage;
        // Nobody paid for a simulated reply.
        let at = if subject.reply.simulated { " at list price (simulated)" } else { "" };
        let got = subject.cost.map_or_else(String::new, |cost| format!("${}{at}", cost.uncached));
        Failure {
            expected: format!("{bound} ${}, priced without cache and batch discount", self.0),
            got: format!(
                "{got}: {} prompt and {} output tokens",
                excerpt::thousands(usage.prompt_tokens()),
                excerpt::thousands(usage.output_tokens)
            ),
            diff: None,
        }
    }
}

/// `max_latency_ms`: a reply from the store keeps the latency of the call that was paid.
#[derive(Debug, Clone, Copy)]
pub(super) struct LatencyCheck(pub(super) u64);

impl LatencyCheck {
    pub(super) fn find(self, subject: &Subject<'_>) -> Finding {
        if subject.reply.usage.is_batch() {
            let why = "the reply came in a message batch, which measures no latency, so `max_latency_ms` cannot be judged";
            return Finding::Unknown(format!("{why} (hint: `promptkeel run --cache refresh` for this case asks it singly)"));
        }
        Finding::of(subject.reply.latency_ms <= self.0)
    }

    pub(super) fn failure(self, subject: &Subject<'_>, negated: bool) -> Failure {
        let bound = if negated { "more than" } else { "at most" };
        Failure {
            expected: format!("{bound} {} ms", excerpt::thousands(self.0)),
            got: format!("{} ms when the reply was asked", excerpt::thousands(subject.reply.latency_ms)),
            diff: None,
        }
    }
}
