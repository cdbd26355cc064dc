//! What did a reply cost, and what can a request cost at most?

use chrono::NaiveDate;
use serde_json::{Map, Value};

use crate::model::catalog::{Catalog, Rates};
use crate::model::money::Money;
use crate::model::reply::{Reply, Usage};
use crate::model::request::{Params, Request};

/// What a reply cost, to the last pico-dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// At the price of the day on which it was paid.
    pub total: Money,
    /// The same without the batch discount.
    pub unbatched: Money,
    /// The same usage with the whole prompt at the plain input rate and without the batch discount: what does not depend on
    /// whose request came first. `max_cost_usd` judges it.
    pub uncached: Money,
}

/// The price of a reply by its own usage; `None` where there is no price to go by: an unpriced model, `speed: fast` without a known
/// fast price, the committed capacity of Priority Tier (which has no list price) unless the settings price the model.
#[must_use]
pub fn cost(catalog: &Catalog, model: &str, reply: &Reply) -> Option<Cost> {
    let (usage, day) = (&reply.usage, reply.paid_on());
    let cost = of_usage(catalog, model, usage, day)?;
    let category = reply.refusal.as_ref().and_then(|details| details.category.as_deref());
    if reply.is_refused_before_output() && !catalog.bills_refusal(category, day) {
        let searches = catalog.web_search().times(usage.web_searches);
        return Some(Cost { total: searches, unbatched: searches, uncached: searches });
    }
    Some(cost)
}

/// The same for a usage that no reply belongs to: one that refused nothing.
#[must_use]
pub fn of_usage(catalog: &Catalog, model: &str, usage: &Usage, day: NaiveDate) -> Option<Cost> {
    if usage.service_tier.as_deref() == Some("priority") {
        catalog.own_price(model)?;
    }
    let fast = usage.speed.as_deref() == Some("fast");
    let rates =
        if fast { catalog.fast_rates(model, day, usage.prompt_tokens())? } else { catalog.rates(model, day, usage.prompt_tokens())? };
    let searches = catalog.web_search().times(usage.web_searches);
    // There is no fast mode in batches, so a reply that claims both gets no discount.
    let batch = usage.service_tier.as_deref() == Some("batch") && !fast;
    let us = usage.inference_geo.as_deref() == Some("us") && catalog.find(model).is_none_or(|entry| entry.inference_geo);
    Some(Cost {
        total: per_million(by_kind(&rates, usage), us, batch) + searches,
        unbatched: per_million(by_kind(&rates, usage), us, false) + searches,
        uncached: per_million(as_plain_input(&rates, usage), us, false) + searches,
    })
}

/// The most that a request can cost on `day` or any later day of known prices: every byte of the prompt is a token, everything at the
/// dearest tier and the dearest cache rate, `max_tokens` of output. `None` where there is no price or no bound: an unpriced model, no
/// `max_tokens` for an unknown model, server tools that bring in prompt tokens of their own.
///
/// `prompt_bytes` is what [`prompt_bound`] says of the request.
#[must_use]
pub fn upper_bound(catalog: &Catalog, model: &str, prompt_bytes: u64, params: &Params, day: NaiveDate) -> Option<Money> {
    let entry = catalog.find(model);
    let output = params.max_tokens.or_else(|| entry.map(|entry| entry.max_output_tokens))?;
    if has_server_tools(params) {
        return None;
    }
    let prompt = prompt_bytes.saturating_add(hidden_tokens(params));
    let mut rates = catalog.dearest_rates(model, day, prompt, false)?;
    if params.speed.as_deref() == Some("fast") {
        rates = rates.dearest(catalog.dearest_rates(model, day, prompt, true)?);
    }
    let dearest_prompt = rates.input.max(rates.cache_write_5m).max(rates.cache_write_1h).max(rates.cache_read);
    // A workspace may pin its requests to the US by itself; only an explicit `global` rules that out.
    let us = params.inference_geo.as_deref() != Some("global") && entry.is_none_or(|entry| entry.inference_geo);
    Some(per_million(dearest_prompt.times(prompt) + rates.output.times(output), us, false))
}

/// The most prompt tokens that a request can come to, for [`upper_bound`]: its bytes, a flat allowance for each image (they are scaled
/// down to a limited size, whatever their bytes), and never more than the model's context window. `None` where the provider unpacks or
/// fetches a document whose length is unknown here, and the model's context window is unknown too.
#[must_use]
pub fn prompt_bound(catalog: &Catalog, request: &Request) -> Option<u64> {
    let window = catalog.find(&request.model).map(|entry| entry.context_window);
    let mut images = 0;
    let mut bytes = json_bytes(&request.params.tools) + json_bytes(&request.params.output_config);
    for block in request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.content)) {
        if let Unpacked::Unknown = unpacked(&block.0, &mut images) {
            return window;
        }
        bytes += json_bytes(block);
    }
    // `{"role":"assistant","content":}` around each turn.
    let bound = bytes + images * IMAGE_TOKENS + 32 * request.turns.len() as u64;
    Some(window.map_or(bound, |window| bound.min(window)))
}

/// More than the largest image takes after it was scaled down.
const IMAGE_TOKENS: u64 = 5_000;

/// More than the frame of a conversation takes.
const FRAME_TOKENS: u64 = 64;

/// More than the hidden prompts that tools add: 286 to 804 tokens, by model (wire reference, section 6.1). What structured output adds is
/// billed too, and documented without a number (1.6): as much again.
const HIDDEN_TOKENS: u64 = 1_024;

/// Whether the bytes of a block bound its tokens.
enum Unpacked {
    /// They do, images aside.
    ByItsBytes,
    /// A PDF, a URL or a file: pages that are not in the bytes.
    Unknown,
}

/// Counts images on the way; walks into tool results and documents made of blocks.
fn unpacked(block: &Map<String, Value>, images: &mut u64) -> Unpacked {
    let text = |object: &Map<String, Value>, key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let source = block.get("source").and_then(Value::as_object);
    match text(block, "type").as_str() {
        "image" => *images += 1,
        "document" if source.is_none_or(|source| !matches!(text(source, "type").as_str(), "text" | "content")) => return Unpacked::Unknown,
        "container_upload" => return Unpacked::Unknown,
        _ => {}
    }
    let nested = [block.get("content"), source.and_then(|source| source.get("content"))];
    for inner in nested.into_iter().flatten().filter_map(Value::as_array).flatten().filter_map(Value::as_object) {
        if let Unpacked::Unknown = unpacked(inner, images) {
            return Unpacked::Unknown;
        }
    }
    Unpacked::ByItsBytes
}

/// What the provider adds to a prompt beyond what is sent.
fn hidden_tokens(params: &Params) -> u64 {
    let tools = params.tools.as_ref().map_or(0, Vec::len) as u64;
    // The provider's own tools (`bash_20250124` ...) are sent as a name and come with a schema that the provider writes.
    let written_by_the_provider =
        params.tools.iter().flatten().filter(|tool| type_of(tool).is_some_and(|kind| kind != "custom")).count() as u64;
    let structured =
        u64::from(params.output_config.as_ref().is_some_and(|config| config.get("format").is_some_and(|format| !format.is_null())));
    FRAME_TOKENS + HIDDEN_TOKENS * (u64::from(tools > 0) + written_by_the_provider + structured)
}

/// Whether the provider runs tools of its own for this request.
#[must_use]
pub fn has_server_tools(params: &Params) -> bool {
    params.tools.iter().flatten().any(runs_on_the_server)
}

/// Tools that the provider runs: their results become prompt tokens of further turns, and searches are billed by the piece.
fn runs_on_the_server(tool: &Value) -> bool {
    let by_name = ["web_search", "web_fetch", "code_execution", "tool_search_tool", "mcp"];
    type_of(tool).is_some_and(|kind| by_name.iter().any(|name| kind.starts_with(name)))
}

fn type_of(tool: &Value) -> Option<&str> {
    tool.get("type").and_then(Value::as_str)
}

fn json_bytes<T: serde::Serialize>(value: &T) -> u64 {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).expect("plain JSON values always have a text, and counting cannot fail");
    counter.0
}

/// Counts what is written to it.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every kind of token at its own rate, in dollars per million times tokens.
fn by_kind(rates: &Rates, usage: &Usage) -> Money {
    rates.input.times(usage.input_tokens)
        + rates.cache_write_5m.times(usage.cache_write_5m_tokens)
        + rates.cache_write_1h.times(usage.cache_write_1h_tokens)
        + rates.cache_read.times(usage.cache_read_tokens)
        + rates.output.times(usage.output_tokens)
}

/// The same with the whole prompt at the plain input rate.
fn as_plain_input(rates: &Rates, usage: &Usage) -> Money {
    rates.input.times(usage.prompt_tokens()) + rates.output.times(usage.output_tokens)
}

/// From dollars per million times tokens to dollars, with the multipliers: x1.1 for the US (all kinds of tokens), x0.5 in a batch
/// (likewise; they stack). One division at the end, so nothing is rounded before the sum; the embedded prices divide exactly.
fn per_million(sum: Money, us: bool, batch: bool) -> Money {
    let (us_numerator, us_denominator) = if us { (11, 10) } else { (1, 1) };
    let batch_denominator = if batch { 2 } else { 1 };
    sum.scaled(us_numerator, us_denominator * batch_denominator * 1_000_000)
}

#[cfg(test)]
#[path = "cost_multipliers_tests.rs"]
mod multipliers;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reply::{RefusalDetails, StopReason};
    use crate::model::request::Block;
    use chrono::{NaiveTime, TimeZone, Utc};
    use proptest::prelude::*;
    use serde_json::json;

    const MILLION: u64 = 1_000_000;

    fn usd(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
    }

    fn reply_on(on: &str, usage: Usage) -> Reply {
        Reply {
            id: None,
            request_id: None,
            model: "m".to_owned(),
            content: vec![Block::text("hello")],
            stop_reason: StopReason::EndTurn,
            stop_sequence: None,
            refusal: None,
            usage,
            answered_at: Utc.from_utc_datetime(&day(on).and_time(NaiveTime::MIN)),
            latency_ms: 0,
            attempts: Vec::new(),
            simulated: false,
        }
    }

    fn priced(model: &str, usage: Usage) -> Cost {
        cost(Catalog::embedded(), model, &reply_on("2026-11-22", usage)).unwrap()
    }

    fn total(model: &str, usage: Usage) -> Money {
        priced(model, usage).total
    }

    #[test]
    fn the_seed_prices_come_out_to_the_cent() {
        // Dollars per million tokens: input, output, input read from the cache (90 % off), and input and output in a batch (50 % off).
        for (model, input, output, read, batch_input, batch_output) in [
            ("claude-opus-4-7", "5", "25", "0.50", "2.50", "12.50"),
            ("claude-sonnet-4-6", "3", "15", "0.30", "1.50", "7.50"),
            ("claude-haiku-4-5", "1", "5", "0.10", "0.50", "2.50"),
        ] {
            let in_batch = |usage| Usage { service_tier: Some("batch".to_owned()), ..usage };
            assert_eq!(total(model, usage(MILLION, 0)), usd(input), "{model} input");
            assert_eq!(total(model, usage(0, MILLION)), usd(output), "{model} output");
            assert_eq!(total(model, Usage { cache_read_tokens: MILLION, ..usage(0, 0) }), usd(read), "{model} cached");
            assert_eq!(total(model, in_batch(usage(MILLION, 0))), usd(batch_input), "{model} batch input");
            assert_eq!(total(model, in_batch(usage(0, MILLION))), usd(batch_output), "{model} batch output");
        }
    }

    #[test]
    fn each_kind_of_token_has_its_own_rate_and_one_token_is_exact() {
        // claude-sonnet-4-6: 3 / 15 / 3.75 / 6 / 0.30 dollars per million.
        let usage = Usage {
            input_tokens: 7,           //  7 x 3.00  =  21.00
            cache_write_5m_tokens: 11, // 11 x 3.75  =  41.25
            cache_write_1h_tokens: 13, // 13 x 6.00  =  78.00
            cache_read_tokens: 17,     // 17 x 0.30  =   5.10
            output_tokens: 19,         // 19 x 15.00 = 285.00
            thinking_tokens: 5,        // inside output_tokens
            ..Usage::default()
        };
        let cost = priced("claude-sonnet-4-6", usage);
        assert_eq!(cost.total, usd("0.00043035")); // 430.35 millionths
        // 48 prompt tokens x 3 = 144, + 285 = 429.
        assert_eq!(cost.uncached, usd("0.000429"));
    }

    #[test]
    fn a_batch_halves_every_kind_and_leaves_the_uncached_price_alone() {
        let batch = Usage { cache_read_tokens: 2_000, service_tier: Some("batch".to_owned()), ..usage(1_000, 100) };
        let cost = priced("claude-haiku-4-5", batch);
        // (1,000 x 1 + 2,000 x 0.10 + 100 x 5) / 2 = 850 millionths.
        assert_eq!(cost.total, usd("0.00085"));
        // 3,000 x 1 + 100 x 5 = 3,500 millionths.
        assert_eq!(cost.uncached, usd("0.0035"));
    }

    #[test]
    fn the_us_costs_a_tenth_more_where_the_model_knows_places() {
        let us = || Usage { inference_geo: Some("us".to_owned()), ..usage(1_000, 100) };
        // claude-sonnet-4-6: (1,000 x 3 + 100 x 15) x 1.1 = 4,950 millionths; in a batch half of it.
        assert_eq!(total("claude-sonnet-4-6", us()), usd("0.00495"));
        assert_eq!(total("claude-sonnet-4-6", Usage { service_tier: Some("batch".to_owned()), ..us() }), usd("0.002475"));
        // Generation 4.5 has no places: 1,000 x 1 + 100 x 5.
        assert_eq!(total("claude-haiku-4-5", us()), usd("0.0015"));
        let global = Usage { inference_geo: Some("global".to_owned()), ..usage(1_000, 100) };
        assert_eq!(total("claude-sonnet-4-6", global), usd("0.0045"));
    }

    #[test]
    fn fast_mode_has_its_own_rates_and_the_cache_multiplies_its_input() {
        let fast = Usage {
            input_tokens: 1_000,
            cache_write_5m_tokens: 1_000,
            cache_write_1h_tokens: 1_000,
            cache_read_tokens: 1_000,
            output_tokens: 1_000,
            speed: Some("fast".to_owned()),
            ..Usage::default()
        };
        // claude-opus-5-5 fast is 8 / 40; cache 1.25, 2 and (this model) 0.05 of 8: 8 + 10 + 16 + 0.40 + 40 = 74.4 dollars per million.
        assert_eq!(total("claude-opus-5-5", fast.clone()), usd("0.0744"));
        // claude-opus-4-8 fast is 10 / 50; 10 + 12.50 + 20 + 1 + 50 = 93.5.
        assert_eq!(total("claude-opus-4-8", fast.clone()), usd("0.0935"));
        // There is no fast mode in batches, so no discount on one.
        let in_batch = Usage { service_tier: Some("batch".to_owned()), ..fast.clone() };
        assert_eq!(total("claude-opus-4-8", in_batch), usd("0.0935"));
        // A model without a fast price has none to guess.
        assert_eq!(cost(Catalog::embedded(), "claude-haiku-4-5", &reply_on("2026-11-22", fast)), None);
    }

    #[test]
    fn a_long_prompt_of_haiku_5_5_is_dearer_from_its_first_token_to_its_last() {
        // 100,000 x 0.10 + 1,000 x 0.50 = 10,500 millionths.
        assert_eq!(total("claude-haiku-5-5", usage(100_000, 1_000)), usd("0.0105"));
        // 100,001 x 0.50 + 1,000 x 2.50 = 52,500.5 millionths.
        assert_eq!(total("claude-haiku-5-5", usage(100_001, 1_000)), usd("0.0525005"));
        // What was read from the cache is a part of the prompt: 1 x 0.50 + 100,000 x 0.05 = 5,000.5; uncached 100,001 x 0.50.
        let read = Usage { cache_read_tokens: 100_000, ..usage(1, 0) };
        let cost = priced("claude-haiku-5-5", read);
        assert_eq!((cost.total, cost.uncached), (usd("0.0050005"), usd("0.0500005")));
    }

    #[test]
    fn the_day_that_was_paid_decides_the_price() {
        let on = |on| cost(Catalog::embedded(), "claude-sonnet-5-5", &reply_on(on, Usage { cache_read_tokens: MILLION, ..usage(0, 0) }));
        assert_eq!(on("2026-10-06").unwrap().total, usd("0.20"));
        assert_eq!(on("2026-10-07").unwrap().total, usd("0.10"));
    }

    #[test]
    fn a_web_search_costs_a_cent_in_batches_and_in_the_us_too() {
        // 3 x 0.01 + 1,000 x 3 millionths = 0.033; tokens x 1.1 / 2 = 0.00165.
        assert_eq!(total("claude-sonnet-4-6", Usage { web_searches: 3, ..usage(1_000, 0) }), usd("0.033"));
        let us_batch =
            Usage { web_searches: 3, service_tier: Some("batch".to_owned()), inference_geo: Some("us".to_owned()), ..usage(1_000, 0) };
        assert_eq!(total("claude-sonnet-4-6", us_batch), usd("0.03165"));
    }

    #[test]
    fn a_refusal_before_any_output_is_billed_by_its_category_and_day() {
        // claude-opus-5: 1,000 x 5 + 1 x 25 = 5,025 millionths where it is billed.
        let (billed, free) = (usd("0.005025"), Money::ZERO);
        for (category, before, since) in [
            (Some("bio"), free, billed),
            (Some("frontier_llm"), free, billed),
            (Some("reasoning_extraction"), free, billed),
            (Some("cyber"), free, free),
            (Some("general_harms"), free, free),
            (Some("one-from-next-year"), free, free),
            (None, free, free),
        ] {
            for (on, expected) in [("2026-09-23", before), ("2026-09-24", since)] {
                let refused = Reply {
                    content: Vec::new(),
                    stop_reason: StopReason::Refusal,
                    refusal: Some(RefusalDetails { category: category.map(str::to_owned), explanation: None }),
                    ..reply_on(on, usage(1_000, 1))
                };
                let cost = cost(Catalog::embedded(), "claude-opus-5", &refused).unwrap();
                assert_eq!((cost.total, cost.uncached), (expected, expected), "{category:?} on {on}");
            }
        }
    }

    #[test]
    fn an_empty_text_block_is_no_output() {
        let refused = |content| Reply { content, stop_reason: StopReason::Refusal, ..reply_on("2026-11-22", usage(1_000, 1)) };
        let total = |reply| cost(Catalog::embedded(), "claude-opus-5", &reply).unwrap().total;
        assert_eq!(total(refused(vec![Block::text("")])), Money::ZERO);
        assert_eq!(total(refused(vec![Block::text(""), Block::text("A")])), usd("0.005025"));
    }

    #[test]
    fn a_refusal_after_some_output_is_billed_whatever_its_category() {
        let refused = Reply { stop_reason: StopReason::Refusal, ..reply_on("2026-01-01", usage(1_000, 1)) };
        assert_eq!(cost(Catalog::embedded(), "claude-opus-4-7", &refused).unwrap().total, usd("0.005025"));
    }

    #[test]
    fn filling_the_cache_without_output_bills_the_write() {
        let warmed = Usage { cache_write_1h_tokens: 2_000, ..usage(3, 0) };
        let reply = Reply { content: Vec::new(), stop_reason: StopReason::MaxTokens, ..reply_on("2026-11-22", warmed) };
        // 3 x 5 + 2,000 x 10 = 20,015 millionths.
        assert_eq!(cost(Catalog::embedded(), "claude-opus-4-7", &reply).unwrap().total, usd("0.020015"));
    }

    #[test]
    fn what_has_no_price_has_no_cost() {
        let of = |model: &str, usage| cost(Catalog::embedded(), model, &reply_on("2026-11-22", usage));
        assert_eq!(of("some-model", usage(1, 1)), None);
        assert_eq!(of("claude-mythos-preview", usage(1, 1)), None);
        let priority = Usage { service_tier: Some("priority".to_owned()), ..usage(MILLION, 0) };
        assert_eq!(of("claude-opus-4-7", priority.clone()), None);
        let price = serde_json::from_value(json!({"input": "4", "output": "20"})).unwrap();
        let own = Catalog::embedded().with_prices(&[("claude-opus-4-7".to_owned(), price)].into());
        assert_eq!(cost(&own, "claude-opus-4-7", &reply_on("2026-11-22", priority)).unwrap().total, usd("4"));
    }

    #[test]
    fn the_settings_price_keeps_the_multipliers_of_the_model() {
        let price = serde_json::from_value(json!({"input": "2", "output": "30", "cache_read": "0.0001"})).unwrap();
        let own = Catalog::embedded().with_prices(&[("claude-opus-4-8".to_owned(), price)].into());
        let of = |usage| cost(&own, "claude-opus-4-8", &reply_on("2026-11-22", usage)).unwrap().total;
        // A third of a dollar per million would not divide; 0.0001 per million x 1.1 / 2 for one token is 0.000000000055 dollars.
        let read =
            Usage { cache_read_tokens: 1, inference_geo: Some("us".to_owned()), service_tier: Some("batch".to_owned()), ..usage(0, 0) };
        assert_eq!(of(read), usd("0.000000000055"));
        // The listed fast price is twice the listed standard one, 10/50 to 5/25: so 4 and 60.
        assert_eq!(of(Usage { speed: Some("fast".to_owned()), ..usage(MILLION, MILLION) }), usd("64"));
    }

    #[test]
    fn the_upper_bound_takes_bytes_as_tokens_at_the_dearest_rates() {
        let bound = |model, bytes, params: &Params| upper_bound(Catalog::embedded(), model, bytes, params, day("2026-11-22"));
        let params = Params { max_tokens: Some(100), ..Params::default() };
        // Haiku 4.5: (1,936 + 64 for the frame) x 2 (one-hour write) + 100 x 5 = 4,500 millionths.
        assert_eq!(bound("claude-haiku-4-5", 1_936, &params), Some(usd("0.0045")));
        // Sonnet 4.6: (2,000 x 6 + 100 x 15) x 1.1, as a workspace may pin its requests to the US.
        assert_eq!(bound("claude-sonnet-4-6", 1_936, &params), Some(usd("0.01485")));
        let global = Params { inference_geo: Some("global".to_owned()), ..params.clone() };
        assert_eq!(bound("claude-sonnet-4-6", 1_936, &global), Some(usd("0.0135")));
        // Opus 5.5 fast: 2,000 x 16 + 100 x 40.
        let fast = Params { speed: Some("fast".to_owned()), ..global.clone() };
        assert_eq!(bound("claude-opus-5-5", 1_936, &fast), Some(usd("0.036")));
        // Haiku 5.5: 99,936 + 64 are still in the lower tier (0.20, 0.50); one more byte is not (1, 2.50).
        assert_eq!(bound("claude-haiku-5-5", 99_936, &global), Some(usd("0.02005")));
        assert_eq!(bound("claude-haiku-5-5", 99_937, &global), Some(usd("0.100251")));
        // Without `max_tokens` a known model can write as much as it can: 64,000 x 5 + 2,000 x 2.
        assert_eq!(bound("claude-haiku-4-5", 1_936, &Params::default()), Some(usd("0.324")));
    }

    #[test]
    fn what_cannot_be_bounded_is_not_bounded() {
        let bound = |model, params: Params| upper_bound(Catalog::embedded(), model, 1, &params, day("2026-11-22"));
        let asked = Params { max_tokens: Some(1), ..Params::default() };
        assert_eq!(bound("some-model", asked.clone()), None);
        assert_eq!(bound("claude-mythos-preview", asked.clone()), None);
        let search = Params { tools: Some(vec![json!({"type": "web_search_20260318", "name": "web_search"})]), ..asked.clone() };
        assert_eq!(bound("claude-sonnet-4-6", search), None);
        assert_eq!(bound("claude-haiku-4-5", Params { speed: Some("fast".to_owned()), ..asked }), None);
    }

    #[test]
    fn the_bound_of_a_prompt_counts_what_its_bytes_hide() {
        let request = |model: &str, block: Value| -> Request {
            let request = json!({"model": model, "system": [], "turns": [{"role": "user", "content": [block]}], "params": {}});
            serde_json::from_value(request).unwrap()
        };
        let bound = |model, block| prompt_bound(Catalog::embedded(), &request(model, block));
        // `{"type":"text","text":"Hi"}` is 27 bytes, `null` for tools and output_config 4 each, the frame of the turn 32.
        assert_eq!(bound("some-model", json!({"type": "text", "text": "Hi"})), Some(67));
        let image = json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}});
        let image_bound = bound("claude-haiku-4-5", json!({"type": "tool_result", "content": [image]})).unwrap();
        assert!((5_000..6_000).contains(&image_bound), "{image_bound}");
        let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}});
        assert_eq!(bound("claude-haiku-4-5", pdf.clone()), Some(200_000));
        assert_eq!(bound("some-model", pdf), None);
        let plain = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}});
        assert!(bound("some-model", plain).is_some());
        assert_eq!(bound("claude-haiku-4-5", json!({"type": "text", "text": "x".repeat(300_000)})), Some(200_000));
    }

    fn some_usage(prompt: u64, output: u64, cuts: [u64; 3], batch: bool, us: bool, fast: bool) -> Usage {
        let mut cuts = cuts.map(|cut| if prompt == 0 { 0 } else { cut % (prompt + 1) });
        cuts.sort_unstable();
        Usage {
            input_tokens: cuts[0],
            cache_write_5m_tokens: cuts[1] - cuts[0],
            cache_write_1h_tokens: cuts[2] - cuts[1],
            cache_read_tokens: prompt - cuts[2],
            output_tokens: output,
            service_tier: batch.then(|| "batch".to_owned()),
            inference_geo: us.then(|| "us".to_owned()),
            speed: fast.then(|| "fast".to_owned()),
            ..Usage::default()
        }
    }

    proptest! {
        #[test]
        fn no_reply_costs_more_than_its_upper_bound(
            bytes in prop_oneof![0..300_u64, 90_000..110_000_u64, 0..2_000_000_u64], share in 0..=100_u64, most in 0..200_000_u64, written in 0..=100_u64,
            cuts: [u64; 3], batch: bool, us: bool, fast: bool, asked_on in 0..600_u64, answered_after in 0..3_u64,
        ) {
            let catalog = Catalog::embedded();
            let asked_on = day("2026-01-01") + chrono::Days::new(asked_on);
            let answered_on = (asked_on + chrono::Days::new(answered_after)).to_string();
            for entry in catalog.models() {
                let fast = fast && entry.fast.is_some();
                let params = Params { max_tokens: Some(most), speed: fast.then(|| "fast".to_owned()), ..Params::default() };
                let Some(bound) = upper_bound(catalog, &entry.id, bytes, &params, asked_on) else {
                    prop_assert!(!catalog.is_priced(&entry.id));
                    continue;
                };
                let usage = some_usage(bytes * share / 100, most * written / 100, cuts, batch, us, fast);
                let cost = cost(catalog, &entry.id, &reply_on(&answered_on, usage)).unwrap();
                prop_assert!(cost.total <= bound && cost.uncached <= bound, "{}: {cost:?} > {bound}", entry.id);
            }
        }

        #[test]
        fn listed_prices_are_never_rounded(
            prompt in prop_oneof![0..2_000_000_u64, 0..u64::MAX / 10], output in prop_oneof![0..200_000_u64, 0..u64::MAX / 10], cuts: [u64; 3], batch: bool, us: bool,
        ) {
            // Ten replies of the same usage cost exactly what one reply with ten times the tokens costs (no tier changes in between).
            for entry in Catalog::embedded().models().iter().filter(|entry| entry.id != "claude-haiku-5-5") {
                let one = some_usage(prompt, output, cuts, batch, us, false);
                let ten = Usage {
                    input_tokens: one.input_tokens * 10,
                    cache_write_5m_tokens: one.cache_write_5m_tokens * 10,
                    cache_write_1h_tokens: one.cache_write_1h_tokens * 10,
                    cache_read_tokens: one.cache_read_tokens * 10,
                    output_tokens: one.output_tokens * 10,
                    ..one.clone()
                };
                let of = |usage| cost(Catalog::embedded(), &entry.id, &reply_on("2026-11-22", usage));
                prop_assert_eq!(of(one).map(|cost| cost.total.times(10)), of(ten).map(|cost| cost.total));
            }
        }

        #[test]
        fn multipliers_are_exact(prompt in prop_oneof![0..2_000_000_u64, Just(u64::MAX), any::<u64>()], output: u64, cuts: [u64; 3]) {
            // A server that counts nonsense must not end a run: tokens may be as many as 64 bits hold.
            for entry in Catalog::embedded().models() {
                let prompt = prompt.min(u64::MAX - 1);
                let of = |batch, us| {
                    let usage = some_usage(prompt, output, cuts, batch, us, false);
                    cost(Catalog::embedded(), &entry.id, &reply_on("2026-11-22", usage)).map(|cost| cost.total)
                };
                let Some(plain) = of(false, false) else { continue };
                prop_assert_eq!(of(true, false).unwrap().times(2), plain);
                let (numerator, denominator) = if entry.inference_geo { (11, 10) } else { (1, 1) };
                prop_assert_eq!(of(false, true).unwrap().times(denominator), plain.times(numerator));
                prop_assert_eq!(of(true, true).unwrap().times(2 * denominator), plain.times(numerator));
            }
        }
    }
}
