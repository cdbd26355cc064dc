//! Does each published price, and each thing that multiplies it, come out as a person computes it from the provider's table?

use super::*;
use crate::model::reply::{RefusalDetails, StopReason};
use serde_json::json;

/// As the provider lists them on 2026-11-22, in dollars per million tokens: input, output, five-minute write, one-hour write, read.
const LISTED: [(&str, [&str; 5]); 19] = [
    ("claude-fable-5-2", ["8", "40", "10", "16", "0.20"]),
    ("claude-mythos-5-2", ["8", "40", "10", "16", "0.20"]),
    ("claude-fable-5-1", ["10", "50", "12.50", "20", "0.25"]),
    ("claude-mythos-5-1", ["10", "50", "12.50", "20", "0.25"]),
    ("claude-fable-5", ["10", "50", "12.50", "20", "1"]),
    ("claude-mythos-5", ["10", "50", "12.50", "20", "1"]),
    ("claude-opus-5-5", ["4", "20", "5", "8", "0.20"]),
    ("claude-opus-5", ["5", "25", "6.25", "10", "0.50"]),
    ("claude-opus-4-8", ["5", "25", "6.25", "10", "0.50"]),
    ("claude-opus-4-7", ["5", "25", "6.25", "10", "0.50"]),
    ("claude-opus-4-6", ["5", "25", "6.25", "10", "0.50"]),
    ("claude-opus-4-5", ["5", "25", "6.25", "10", "0.50"]),
    ("claude-sonnet-5-5", ["2", "10", "2.50", "4", "0.10"]),
    ("claude-sonnet-5", ["2", "10", "2.50", "4", "0.20"]),
    ("claude-sonnet-4-6", ["3", "15", "3.75", "6", "0.30"]),
    ("claude-sonnet-4-5", ["3", "15", "3.75", "6", "0.30"]),
    ("claude-haiku-5-5", ["0.10", "0.50", "0.125", "0.20", "0.01"]),
    ("claude-haiku-4-5", ["1", "5", "1.25", "2", "0.10"]),
    ("claude-haiku-4-5-20251001", ["1", "5", "1.25", "2", "0.10"]),
];

fn usd(text: &str) -> Money {
    text.parse().unwrap()
}

/// A thousand tokens of each kind, one kind at a time, in the order of [`LISTED`].
fn thousands() -> [Usage; 5] {
    let none = Usage::default;
    [
        Usage { input_tokens: 1_000, ..none() },
        Usage { output_tokens: 1_000, ..none() },
        Usage { cache_write_5m_tokens: 1_000, ..none() },
        Usage { cache_write_1h_tokens: 1_000, ..none() },
        Usage { cache_read_tokens: 1_000, ..none() },
    ]
}

fn of(model: &str, usage: &Usage) -> Cost {
    of_usage(Catalog::embedded(), model, usage, "2026-11-22".parse().unwrap()).unwrap()
}

/// `dollars` per million times `numerator / denominator`, for a thousand tokens.
fn thousandth(dollars: &str, numerator: i128, denominator: i128) -> Money {
    Money::from_pico(usd(dollars).pico() * numerator / denominator / 1_000)
}

#[test]
fn each_kind_of_token_of_each_model_costs_what_the_provider_lists() {
    for (model, listed) in LISTED {
        for (usage, dollars) in thousands().iter().zip(listed) {
            assert_eq!(of(model, usage).total, thousandth(dollars, 1, 1), "{model}: {usage:?}");
        }
    }
}

#[test]
fn a_batch_halves_each_kind_of_token_of_each_model() {
    for (model, listed) in LISTED {
        for (usage, dollars) in thousands().into_iter().zip(listed) {
            let cost = of(model, &Usage { service_tier: Some("batch".to_owned()), ..usage });
            assert_eq!((cost.total, cost.unbatched), (thousandth(dollars, 1, 2), thousandth(dollars, 1, 1)), "{model}");
        }
    }
}

#[test]
fn the_us_add_a_tenth_to_each_kind_and_a_batch_there_halves_that() {
    for (model, listed) in LISTED {
        // Generation 4.5 has no places.
        let us = if model.contains("-4-5") { (1, 1) } else { (11, 10) };
        for (usage, dollars) in thousands().into_iter().zip(listed) {
            let there = Usage { inference_geo: Some("us".to_owned()), ..usage };
            assert_eq!(of(model, &there).total, thousandth(dollars, us.0, us.1), "{model}");
            let in_batch = of(model, &Usage { service_tier: Some("batch".to_owned()), ..there });
            assert_eq!(in_batch.total, thousandth(dollars, us.0, us.1 * 2), "{model}");
            assert_eq!(in_batch.unbatched, thousandth(dollars, us.0, us.1), "{model}");
        }
    }
}

#[test]
fn fast_mode_multiplies_its_own_input_price_for_the_cache_and_the_us_add_a_tenth_to_that() {
    // Input and output as listed for `speed: fast`; 1.25, 2, and 0.1 times that input, of Opus 5.5 a twentieth.
    for (model, listed) in [
        ("claude-opus-5-5", ["8", "40", "10", "16", "0.40"]),
        ("claude-opus-5", ["10", "50", "12.50", "20", "1"]),
        ("claude-opus-4-8", ["10", "50", "12.50", "20", "1"]),
    ] {
        for (usage, dollars) in thousands().into_iter().zip(listed) {
            let fast = Usage { speed: Some("fast".to_owned()), ..usage };
            assert_eq!(of(model, &fast).total, thousandth(dollars, 1, 1), "{model}");
            let us = Usage { inference_geo: Some("us".to_owned()), ..fast };
            assert_eq!(of(model, &us).total, thousandth(dollars, 11, 10), "{model}");
        }
    }
}

#[test]
fn above_100_000_tokens_haiku_5_5_lists_other_prices_for_each_kind() {
    // The prompt of 100,001 tokens, read but for the thousand in question.
    for (usage, dollars) in thousands().into_iter().zip(["0.50", "2.50", "0.625", "1", "0.05"]) {
        let prompt = usage.prompt_tokens();
        let long = Usage { cache_read_tokens: usage.cache_read_tokens + 100_001 - prompt, ..usage };
        // 0.05 per million for what is read beside it.
        let read = Money::from_pico(50_000 * i128::from(100_001 - prompt));
        assert_eq!(of("claude-haiku-5-5", &long).total, thousandth(dollars, 1, 1) + read);
    }
}

#[test]
fn what_the_cache_and_what_the_batch_took_off_are_told_apart() {
    // Sonnet 4.6 in a batch: 1,000 x 3 + 10,000 read x 0.30 + 100 x 15 = 7,500 millionths, half of it 3,750; without the cache 11,000 x 3
    // + 1,500 = 34,500. So the cache took 27,000 off, and the batch 3,750.
    let usage = Usage {
        input_tokens: 1_000,
        cache_read_tokens: 10_000,
        output_tokens: 100,
        service_tier: Some("batch".to_owned()),
        ..Usage::default()
    };
    let cost = of("claude-sonnet-4-6", &usage);
    assert_eq!((cost.total, cost.unbatched, cost.uncached), (usd("0.00375"), usd("0.0075"), usd("0.0345")));
}

#[test]
fn a_refusal_in_a_batch_is_billed_by_the_same_rule_at_half_the_price() {
    let refused = |category: &str| -> Reply {
        serde_json::from_value(json!({
            "id": null, "request_id": null, "model": "m", "content": [], "stop_reason": "refusal", "stop_sequence": null,
            "refusal": {"category": category, "explanation": null},
            "usage": {"input_tokens": 1_000, "output_tokens": 0, "cache_write_1h_tokens": 1_000, "service_tier": "batch"},
            "answered_at": "2026-11-22T00:00:00Z", "latency_ms": 0, "attempts": [], "simulated": false
        }))
        .unwrap()
    };
    let total = |category| cost(Catalog::embedded(), "claude-opus-5", &refused(category)).unwrap().total;
    // (1,000 x 5 + 1,000 x 10) / 2 = 7,500 millionths.
    assert_eq!([total("bio"), total("cyber")], [usd("0.0075"), Money::ZERO]);
    assert_eq!(refused("bio").stop_reason, StopReason::Refusal);
    assert_eq!(refused("bio").refusal, Some(RefusalDetails { category: Some("bio".to_owned()), explanation: None }));
}

#[test]
fn a_price_of_the_settings_goes_through_every_multiplier() {
    let price = serde_json::from_value(json!({"input": "2", "output": "6"})).unwrap();
    let own = Catalog::embedded().with_prices(&[("my-own-model".to_owned(), price)].into());
    let listed = ["2", "6", "2.50", "4", "0.20"];
    for (usage, dollars) in thousands().into_iter().zip(listed) {
        let usage = Usage { service_tier: Some("batch".to_owned()), inference_geo: Some("us".to_owned()), ..usage };
        let cost = of_usage(&own, "my-own-model", &usage, "2026-11-22".parse().unwrap()).unwrap();
        assert_eq!((cost.total, cost.unbatched), (thousandth(dollars, 11, 20), thousandth(dollars, 11, 10)));
    }
}
