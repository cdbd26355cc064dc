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
    /// The same usage with the whole prompt at the plain input rate and without the batch discount: what does not depend on
    /// whose request came first. `max_cost_usd` judges it.
    pub uncached: Money,
}

/// The price of a reply by its own usage; `None` where there is no price to go by: an unpriced model, `speed: fast` without a known
/// fast price, the committed capacity of Priority Tier (which has no list price) unless the settings price the model.
#[must_use]
pub fn cost(catalog: &Catalog, model: &str, reply: &Reply) -> Option<Cost> {
    let (usage, day) = (&reply.usage, reply.paid_on());
    if usage.service_tier.as_deref() == Some("priority") {
        catalog.own_price(model)?;
    }
    let fast = usage.speed.as_deref() == Some("fast");
    let rates =
        if fast { catalog.fast_rates(model, day, usage.prompt_tokens())? } else { catalog.rates(model, day, usage.prompt_tokens())? };
    let searches = catalog.web_search().times(usage.web_searches);
    let category = reply.refusal.as_ref().and_then(|details| details.category.as_deref());
    if reply.is_refused_before_output() && !catalog.bills_refusal(category, day) {
        return Some(Cost { total: searches, uncached: searches });
    }
    // There is no fast mode in batches, so a reply that claims both gets no discount.
    let batch = usage.service_tier.as_deref() == Some("batch") && !fast;
    let us = usage.inference_geo.as_deref() == Some("us") && catalog.find(model).is_none_or(|entry| entry.inference_geo);
    Some(Cost {
        total: per_million(by_kind(&rates, usage), us, batch) + searches,
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
    if params.tools.iter().flatten().any(runs_on_the_server) {
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

/// More than the hidden prompts that tools add: 286 to 804 tokens, by model (wire reference, section 6.1), and as much again for what
/// structured output adds, which is billed but documented without a number (1.6), and for the frame of the conversation.
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
    HIDDEN_TOKENS * (1 + u64::from(tools > 0) + written_by_the_provider + structured)
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
