//! What does a bill say, in the words that every report shares?

use crate::model::bill::Unanswered;
use crate::model::money::Money;
use crate::model::run::{Bill, RunReport};
use crate::report::figures::{counted, dollars};

/// What was spent and what was saved, simulated money apart; `None` for what a wholly simulated run has not.
pub(super) fn spent(report: &RunReport) -> Option<String> {
    let bill = &report.bill;
    if report.run.simulated {
        return None;
    }
    let saved = savings([bill.saved_by_store_usd, bill.saved_by_prompt_cache_usd, bill.saved_by_batch_usd], "saved by the store");
    let compared = match bill.compared_usd {
        Money::ZERO => String::new(),
        compared => format!("; {} of what was spent went to the comparison", dollars(compared)),
    };
    Some(format!("{} spent{}{compared}", dollars(bill.spent_usd), saved.map(|saved| format!(", {saved}")).unwrap_or_default()))
}

/// What simulated answers would have cost.
pub(super) fn simulated(report: &RunReport) -> Option<String> {
    let bill = &report.bill;
    if !report.run.simulated && bill.simulated_usd == Money::ZERO {
        return None;
    }
    let saved = bill.simulated_saved;
    let saved = savings([saved.by_store_usd, saved.by_prompt_cache_usd, saved.by_batch_usd], "of it answered already");
    let saved = saved.map(|saved| format!(" ({saved})")).unwrap_or_default();
    Some(format!("simulated: {} at list prices, which nobody paid{saved}", dollars(bill.simulated_usd)))
}

fn savings(amounts: [Money; 3], by_store: &str) -> Option<String> {
    // A prompt cache that wrote more than it read did not save a negative amount, it cost one.
    let prompt_cache = if amounts[1] < Money::ZERO { "lost to prompt caching" } else { "saved by prompt caching" };
    let named = amounts.into_iter().zip([by_store, prompt_cache, "saved by batches"]);
    let named = named.filter(|(amount, _)| *amount != Money::ZERO);
    let said: Vec<String> = named.map(|(amount, what)| format!("{} {what}", dollars(absolute(amount)))).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn absolute(amount: Money) -> Money {
    if amount < Money::ZERO { Money::ZERO - amount } else { amount }
}

/// What is in no sum: `2 failed attempts that may have been billed (at most $0.0123)`.
pub(super) fn missing(bill: &Bill) -> Option<String> {
    let mut missing = Vec::new();
    if bill.unpriced_samples > 0 {
        missing.push(counted(bill.unpriced_samples, "answer of an unpriced model", "answers of unpriced models"));
    }
    if bill.unknown_attempts > 0 {
        let attempts =
            counted(bill.unknown_attempts, "failed attempt that may have been billed", "failed attempts that may have been billed");
        let at_most = bill.unknown_at_most_usd.map(|most| format!(" (at most {})", dollars(most))).unwrap_or_default();
        missing.push(format!("{attempts}{at_most}"));
    }
    (!missing.is_empty()).then(|| format!("not in these sums: {}", missing.join(", ")))
}

/// What a replay lacked: `12 cells without an answer, about $0.3125 to ask (at most $0.3577): run with a key to record them`.
pub(super) fn unanswered(bill: &Bill) -> Option<String> {
    let Unanswered { cells, requests: _, about_usd, at_most_usd, unpriced } = **bill.unanswered.as_ref()?;
    let unpriced = if unpriced > 0 { format!(", and {unpriced} requests at an unknown price") } else { String::new() };
    let cells = counted(cells, "cell", "cells");
    let (about, at_most) = (dollars(about_usd), dollars(at_most_usd));
    Some(format!("{cells} without an answer, about {about} to ask (at most {at_most}{unpriced}): run with a key to record them"))
}

/// What the endpoint's own counts may make wrong.
pub(super) fn doubtful(bill: &Bill) -> Option<String> {
    let answers = || counted(bill.doubtful_samples, "answer", "answers");
    (bill.doubtful_samples > 0).then(|| format!("the endpoint's counts of {} cannot be right", answers()))
}

/// Every amount by its name in the JSON report, exact; only what was spent is there where it is nothing.
pub(super) fn members(bill: &Bill) -> Vec<(&'static str, String)> {
    let lacking = bill.unanswered.as_deref().copied().unwrap_or_default();
    let amounts = [
        ("saved_by_store_usd", bill.saved_by_store_usd),
        ("saved_by_prompt_cache_usd", bill.saved_by_prompt_cache_usd),
        ("saved_by_batch_usd", bill.saved_by_batch_usd),
        ("simulated_usd", bill.simulated_usd),
        ("simulated_saved_by_store_usd", bill.simulated_saved.by_store_usd),
        ("simulated_saved_by_prompt_cache_usd", bill.simulated_saved.by_prompt_cache_usd),
        ("simulated_saved_by_batch_usd", bill.simulated_saved.by_batch_usd),
        ("compared_usd", bill.compared_usd),
        ("unknown_at_most_usd", bill.unknown_at_most_usd.unwrap_or_default()),
        ("unanswered_about_usd", lacking.about_usd),
        ("unanswered_at_most_usd", lacking.at_most_usd),
    ];
    let counts = [
        ("unpriced_samples", bill.unpriced_samples),
        ("unknown_attempts", bill.unknown_attempts),
        ("doubtful_samples", bill.doubtful_samples),
        ("unanswered_cells", lacking.cells),
    ];
    let amounts = amounts.into_iter().filter(|(_, amount)| *amount != Money::ZERO).map(|(name, amount)| (name, amount.to_string()));
    let counts = counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count.to_string()));
    std::iter::once(("spent_usd", bill.spent_usd.to_string())).chain(amounts).chain(counts).collect()
}
