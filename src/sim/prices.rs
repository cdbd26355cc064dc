//! The simulator's own price table: what would a reply have cost on a given day?
//!
//! Written down from docs/wire-reference.md sections 7.1 and 8.2, apart from the catalogue that the client prices with and computed in another way, so
//! that a bill which both agree on is right. Pico-dollars in integers: nothing is ever rounded, because every rate times every multiplier is whole.

use chrono::NaiveDate;

use super::reply::Usage;

/// Hundredths of a dollar for a million tokens are so many pico-dollars for one.
const CENT: u128 = 10_000;
/// Categories whose refusals before any output are billed, and since when.
const BILLED_REFUSALS: [&str; 3] = ["bio", "frontier_llm", "reasoning_extraction"];
const REFUSALS_BILLED_FROM: (i32, u32, u32) = (2026, 9, 24);

/// What one model costs.
#[derive(Debug)]
pub(super) struct Price {
    id: &'static str,
    input: u128,
    output: u128,
    /// A read costs the input divided by this.
    read_divisor: u128,
    /// Until a day, exclusively, another divisor held.
    earlier_divisor: Option<(i32, u32, u32, u128)>,
    /// Above so many tokens of prompt everything costs so many times as much.
    long_prompts: Option<(u64, u128)>,
    /// Input and output with `speed: fast`.
    fast: Option<(u128, u128)>,
}

/// Hundredths of a dollar for a million tokens of input and output, and by what the input is divided for a read.
const fn price(id: &'static str, input: u128, output: u128, read_divisor: u128) -> Price {
    Price { id, input, output, read_divisor, earlier_divisor: None, long_prompts: None, fast: None }
}

const PRICES: [Price; 18] = [
    price("claude-fable-5-2", 800, 4000, 40),
    price("claude-mythos-5-2", 800, 4000, 40),
    price("claude-fable-5-1", 1000, 5000, 40),
    price("claude-mythos-5-1", 1000, 5000, 40),
    price("claude-fable-5", 1000, 5000, 10),
    price("claude-mythos-5", 1000, 5000, 10),
    Price { fast: Some((800, 4000)), ..price("claude-opus-5-5", 400, 2000, 20) },
    Price { fast: Some((1000, 5000)), ..price("claude-opus-5", 500, 2500, 10) },
    Price { fast: Some((1000, 5000)), ..price("claude-opus-4-8", 500, 2500, 10) },
    price("claude-opus-4-7", 500, 2500, 10),
    price("claude-opus-4-6", 500, 2500, 10),
    price("claude-opus-4-5-20251101", 500, 2500, 10),
    Price { earlier_divisor: Some((2026, 10, 7, 10)), ..price("claude-sonnet-5-5", 200, 1000, 20) },
    price("claude-sonnet-5", 200, 1000, 10),
    price("claude-sonnet-4-6", 300, 1500, 10),
    price("claude-sonnet-4-5-20250929", 300, 1500, 10),
    Price { long_prompts: Some((100_000, 5)), ..price("claude-haiku-5-5", 10, 50, 10) },
    price("claude-haiku-4-5-20251001", 100, 500, 10),
];

/// The price of a model; some have none that is known.
pub(super) fn of(model: &str) -> Option<&'static Price> {
    PRICES.iter().find(|price| price.id == model)
}

/// Whether a refusal before any output is billed (section 8.2).
pub(super) fn bills_refusal(category: Option<&str>, day: NaiveDate) -> bool {
    !before(day, REFUSALS_BILLED_FROM) && category.is_some_and(|category| BILLED_REFUSALS.contains(&category))
}

fn before(day: NaiveDate, (year, month, of_month): (i32, u32, u32)) -> bool {
    NaiveDate::from_ymd_opt(year, month, of_month).is_some_and(|other| day < other)
}

impl Price {
    /// Pico-dollars for these tokens; `None` where fast answers have no price.
    pub(super) fn of(&self, usage: &Usage, day: NaiveDate) -> Option<u128> {
        let (mut input, mut output) = if usage.speed == "fast" { self.fast? } else { (self.input, self.output) };
        let written = usage.cache_creation;
        let prompt = usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
        if let Some((length, times)) = self.long_prompts
            && prompt > length
        {
            (input, output) = (input * times, output * times);
        }
        let divisor = match self.earlier_divisor {
            Some((year, month, of_month, earlier)) if before(day, (year, month, of_month)) => earlier,
            _ => self.read_divisor,
        };
        let (input, output) = (input * CENT, output * CENT);
        // A write costs a quarter more than plain input, one for an hour twice as much (section 6.3 and 7.1).
        let sum = u128::from(usage.input_tokens) * input
            + u128::from(written.ephemeral_5m_input_tokens) * (input * 5 / 4)
            + u128::from(written.ephemeral_1h_input_tokens) * (input * 2)
            + u128::from(usage.cache_read_input_tokens) * (input / divisor)
            + u128::from(usage.output_tokens) * output;
        let sum = if usage.inference_geo == "us" { sum * 11 / 10 } else { sum };
        Some(if usage.service_tier == "batch" { sum / 2 } else { sum })
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::{CacheCreation, OutputDetails, ServerToolUse};
    use super::*;

    fn usage() -> Usage {
        Usage {
            input_tokens: 0,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
            cache_creation: CacheCreation { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
            output_tokens: 0,
            output_tokens_details: OutputDetails { thinking_tokens: 0 },
            server_tool_use: ServerToolUse { web_search_requests: 0, web_fetch_requests: 0 },
            service_tier: "standard",
            inference_geo: "global",
            speed: "standard",
        }
    }

    fn written(short: u64, long: u64) -> Usage {
        Usage {
            cache_creation_input_tokens: short + long,
            cache_creation: CacheCreation { ephemeral_5m_input_tokens: short, ephemeral_1h_input_tokens: long },
            ..usage()
        }
    }

    fn read(tokens: u64) -> Usage {
        Usage { cache_read_input_tokens: tokens, ..usage() }
    }

    fn on(day: &str, model: &str, usage: Usage) -> Option<u128> {
        of(model).and_then(|price| price.of(&usage, day.parse().unwrap()))
    }

    fn now(model: &str, usage: Usage) -> Option<u128> {
        on("2026-11-22", model, usage)
    }

    /// Dollars per million tokens in pico-dollars per token, from the decimal as the reference writes it.
    fn dollars(text: &str) -> u128 {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{part:0<6}").parse().unwrap()
    }

    /// The table of section 7.1, by its five columns.
    const TABLE: [(&str, &str, &str, &str, &str, &str); 18] = [
        ("claude-fable-5-2", "8", "40", "10", "16", "0.20"),
        ("claude-mythos-5-2", "8", "40", "10", "16", "0.20"),
        ("claude-fable-5-1", "10", "50", "12.50", "20", "0.25"),
        ("claude-mythos-5-1", "10", "50", "12.50", "20", "0.25"),
        ("claude-fable-5", "10", "50", "12.50", "20", "1.00"),
        ("claude-mythos-5", "10", "50", "12.50", "20", "1.00"),
        ("claude-opus-5-5", "4", "20", "5", "8", "0.20"),
        ("claude-opus-5", "5", "25", "6.25", "10", "0.50"),
        ("claude-opus-4-8", "5", "25", "6.25", "10", "0.50"),
        ("claude-opus-4-7", "5", "25", "6.25", "10", "0.50"),
        ("claude-opus-4-6", "5", "25", "6.25", "10", "0.50"),
        ("claude-opus-4-5-20251101", "5", "25", "6.25", "10", "0.50"),
        ("claude-sonnet-5-5", "2", "10", "2.50", "4", "0.10"),
        ("claude-sonnet-5", "2", "10", "2.50", "4", "0.20"),
        ("claude-sonnet-4-6", "3", "15", "3.75", "6", "0.30"),
        ("claude-sonnet-4-5-20250929", "3", "15", "3.75", "6", "0.30"),
        ("claude-haiku-5-5", "0.10", "0.50", "0.125", "0.20", "0.01"),
        ("claude-haiku-4-5-20251001", "1", "5", "1.25", "2", "0.10"),
    ];

    #[test]
    fn every_kind_of_token_costs_what_the_table_says() {
        for (model, input, output, short, long, cached) in TABLE {
            assert_eq!(now(model, Usage { input_tokens: 1, ..usage() }), Some(dollars(input)), "{model} input");
            assert_eq!(now(model, Usage { output_tokens: 1, ..usage() }), Some(dollars(output)), "{model} output");
            assert_eq!(now(model, written(1, 0)), Some(dollars(short)), "{model} 5m write");
            assert_eq!(now(model, written(0, 1)), Some(dollars(long)), "{model} 1h write");
            assert_eq!(now(model, read(1)), Some(dollars(cached)), "{model} read");
        }
        assert_eq!(now("claude-mythos-preview", read(1)), None);
    }

    #[test]
    fn a_cut_of_prices_holds_from_its_day_on() {
        assert_eq!(on("2026-10-06", "claude-sonnet-5-5", read(1)), Some(dollars("0.20")));
        assert_eq!(on("2026-10-07", "claude-sonnet-5-5", read(1)), Some(dollars("0.10")));
    }

    #[test]
    fn a_long_prompt_makes_everything_dearer_and_all_that_is_prompt_counts() {
        let just = Usage { cache_read_input_tokens: 60_000, input_tokens: 40_000, output_tokens: 10, ..usage() };
        let over = Usage { input_tokens: 40_001, ..just };
        assert_eq!(now("claude-haiku-5-5", just), Some(60_000 * 10_000 + 40_000 * 100_000 + 10 * 500_000));
        assert_eq!(now("claude-haiku-5-5", over), Some(60_000 * 50_000 + 40_001 * 500_000 + 10 * 2_500_000));
    }

    #[test]
    fn batches_places_and_speed_multiply() {
        let mixed = Usage { input_tokens: 3, output_tokens: 7, cache_read_input_tokens: 11, ..written(13, 17) };
        // 0.01 a million is 10,000 pico-dollars a token: half of it times 1.1 is still whole.
        let plain = 3 * 100_000 + 7 * 500_000 + 11 * 10_000 + 13 * 125_000 + 17 * 200_000;
        let batch = Usage { service_tier: "batch", ..mixed };
        assert_eq!(now("claude-haiku-5-5", mixed), Some(plain));
        assert_eq!(now("claude-haiku-5-5", batch), Some(plain / 2));
        assert_eq!(now("claude-haiku-5-5", Usage { inference_geo: "us", ..batch }), Some(plain / 20 * 11));
        let fast = Usage { speed: "fast", ..mixed };
        assert_eq!(now("claude-opus-5-5", fast), Some(3 * 8_000_000 + 7 * 40_000_000 + 11 * 400_000 + 13 * 10_000_000 + 17 * 16_000_000));
        assert_eq!(now("claude-sonnet-5", fast), None);
    }

    #[test]
    fn refusals_before_output_are_billed_by_category_and_day() {
        let day = |text: &str| text.parse().unwrap();
        for (category, billed) in
            [(Some("bio"), true), (Some("frontier_llm"), true), (Some("reasoning_extraction"), true), (Some("cyber"), false), (None, false)]
        {
            assert_eq!(bills_refusal(category, day("2026-09-24")), billed, "{category:?}");
            assert!(!bills_refusal(category, day("2026-09-23")));
        }
    }
}
