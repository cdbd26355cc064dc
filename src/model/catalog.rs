//! Which models are known, what does each accept, and what does it cost on which day?

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer};

use crate::model::money::Money;

/// The table that this version was built with; `docs/cost.md` says how to read and override it.
static EMBEDDED: LazyLock<Catalog> =
    LazyLock::new(|| serde_json::from_str(include_str!("catalog.json")).expect("the embedded table is read by a test"));

/// Every known model with its dated prices and limits, and the prices that the settings put over them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// The day on which the table was put together; a price that changed later is not in it.
    pub compiled_on: NaiveDate,
    /// Where the numbers come from.
    pub sources: Vec<String>,
    /// Which numbers are not first hand.
    pub uncertain: Vec<String>,
    /// In which unit prices stand.
    pub units: String,
    refusals_before_output: RefusalBilling,
    web_search_usd: Money,
    models: Vec<ModelEntry>,
    retired: Vec<Retired>,
    #[serde(skip)]
    own_prices: BTreeMap<String, Rates>,
}

/// From when, and for which categories, a refusal before any output is billed (wire reference, section 8.2).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalBilling {
    billed_categories: Vec<String>,
    from: NaiveDate,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// As the API spells it.
    pub id: String,
    /// Other names that the API takes for it.
    pub aliases: Vec<String>,
    /// `active`, `active (legacy)`, `deprecated 2026-09-30`: for people.
    pub status: String,
    /// A day, or words about one: for people; [`ModelEntry::retires_on`] has the day.
    pub retirement: Option<String>,
    /// Most tokens of prompt and reply together.
    pub context_window: u64,
    /// Most that `max_tokens` may ask for.
    pub max_output_tokens: u64,
    /// The same in a batch with the beta `output-300k-2026-03-24`; `None` where that changes nothing.
    #[serde(default)]
    pub max_output_tokens_in_batches: Option<u64>,
    /// Shortest prefix that the provider's prompt cache keeps.
    pub min_cacheable_tokens: u64,
    /// Its tokenizer is that of before 4.7, which makes some 30 % fewer tokens of the same text (wire reference, section 6.1).
    #[serde(default)]
    pub older_tokenizer: bool,
    /// Accepted `thinking.type`s (wire reference, section 7.2).
    pub thinking: Vec<String>,
    /// Those of them that are refused with an effort above `high`.
    pub thinking_up_to_high_effort: Vec<String>,
    /// It thinks where nothing is said about thinking.
    pub thinking_by_default: bool,
    /// Accepted `output_config.effort`s; empty where the parameter itself is refused.
    pub effort: Vec<String>,
    /// `tool_choice` may force a tool.
    pub forced_tool_choice: bool,
    /// The conversation may end with an assistant turn.
    pub prefill: bool,
    /// What sampling parameters may say on the API version that still has them.
    pub sampling_before_2026_10_21: Sampling,
    /// `inference_geo` is accepted.
    pub inference_geo: bool,
    /// Prices of `speed: fast`; `None` where it is refused.
    pub fast: Option<Fast>,
    /// In the order of time; empty for a model without a published price.
    periods: Vec<Period>,
}

/// What `temperature`, `top_p` and `top_k` may say on API version 2023-06-01 (wire reference, section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Only their defaults.
    None,
    /// `temperature` or `top_p`, not both.
    OneOfTemperatureTopP,
    /// Anything within their ranges.
    Any,
}

/// Prices of `speed: fast`, in dollars per million tokens. The cache multipliers apply to its input price.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fast {
    /// Prompt tokens.
    pub input: Money,
    /// Generated tokens.
    pub output: Money,
    /// The beta header that it needs; `None` where it needs none.
    pub beta: Option<String>,
}

/// Prices that hold from one day to another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Period {
    /// The first day in UTC; `None` for a price that has no known beginning.
    from: Option<NaiveDate>,
    /// The first day on which it no longer holds; the next period begins there (a test holds that).
    until: Option<NaiveDate>,
    /// By prompt length, ascending; the last one has no limit.
    tiers: Vec<Tier>,
}

/// Prices up to a prompt length.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    up_to_prompt_tokens: Option<u64>,
    input: Money,
    output: Money,
    cache_write_5m: Money,
    cache_write_1h: Money,
    cache_read: Money,
}

/// Dollars per million tokens, by kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Prompt tokens that no cache served or kept.
    pub input: Money,
    /// Generated tokens, thinking included.
    pub output: Money,
    /// Prompt tokens written with a five-minute life.
    pub cache_write_5m: Money,
    /// Prompt tokens written with a one-hour life.
    pub cache_write_1h: Money,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: Money,
}

impl Rates {
    /// Kind by kind the dearer of two.
    pub(crate) fn dearest(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_write_5m: self.cache_write_5m.max(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
            cache_read: self.cache_read.max(other.cache_read),
        }
    }

    /// The same with every prompt kind multiplied by `prompt.0 / prompt.1` and output by `output.0 / output.1`.
    fn multiplied(self, prompt: (Money, Money), output: (Money, Money)) -> Self {
        let by = |rate: Money, (numerator, denominator): (Money, Money)| rate.scaled(numerator.pico(), denominator.pico());
        Self {
            input: by(self.input, prompt),
            output: by(self.output, output),
            cache_write_5m: by(self.cache_write_5m, prompt),
            cache_write_1h: by(self.cache_write_1h, prompt),
            cache_read: by(self.cache_read, prompt),
        }
    }
}

impl Tier {
    const fn rates(&self) -> Rates {
        Rates {
            input: self.input,
            output: self.output,
            cache_write_5m: self.cache_write_5m,
            cache_write_1h: self.cache_write_1h,
            cache_read: self.cache_read,
        }
    }

    fn covers(&self, prompt_tokens: u64) -> bool {
        self.up_to_prompt_tokens.is_none_or(|limit| prompt_tokens <= limit)
    }
}

/// A model that answers no more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// As the API spelled it.
    pub id: String,
    /// Other names that it had.
    pub aliases: Vec<String>,
    /// Since that day.
    pub retired_on: NaiveDate,
    /// What the provider recommends instead.
    pub replacement: String,
}

/// A price from the settings, in dollars per million tokens: `[prices."my-own-model"]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceOverride {
    /// Prompt tokens.
    #[serde(deserialize_with = "rate")]
    pub input: Money,
    /// Generated tokens.
    #[serde(deserialize_with = "rate")]
    pub output: Money,
    /// Prompt tokens written with a five-minute life; 1.25 times `input` where it is absent.
    #[serde(default, deserialize_with = "optional_rate")]
    pub cache_write_5m: Option<Money>,
    /// Prompt tokens written with a one-hour life; twice `input` where it is absent.
    #[serde(default, deserialize_with = "optional_rate")]
    pub cache_write_1h: Option<Money>,
    /// Prompt tokens read from the provider's cache; a tenth of `input` where it is absent.
    #[serde(default, deserialize_with = "optional_rate")]
    pub cache_read: Option<Money>,
}

impl PriceOverride {
    /// With the API's own multipliers for what is absent (wire reference, section 7.1).
    fn rates(&self) -> Rates {
        Rates {
            input: self.input,
            output: self.output,
            cache_write_5m: self.cache_write_5m.unwrap_or_else(|| self.input.scaled(5, 4)),
            cache_write_1h: self.cache_write_1h.unwrap_or_else(|| self.input.scaled(2, 1)),
            cache_read: self.cache_read.unwrap_or_else(|| self.input.scaled(1, 10)),
        }
    }
}

/// A million dollars per million tokens: more is a slip of the keyboard, and would leave the range of exact sums.
const DEAREST_RATE: Money = Money::from_pico(1_000_000 * 1_000_000_000_000);

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    let rate = Money::deserialize(deserializer)?;
    if (Money::ZERO..=DEAREST_RATE).contains(&rate) {
        Ok(rate)
    } else {
        Err(serde::de::Error::custom(format!("`{rate}` is no price: dollars per million tokens, from 0 to {DEAREST_RATE}")))
    }
}

fn optional_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Money>, D::Error> {
    rate(deserializer).map(Some)
}

impl ModelEntry {
    /// The day on which it stops answering, where the provider has named one.
    #[must_use]
    pub fn retires_on(&self) -> Option<NaiveDate> {
        self.retirement.as_deref()?.parse().ok()
    }

    /// The id and every alias.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Where in `periods` the one in force on `day` stands. A day before the first one is priced by the first one: the model
    /// answered, so it had a price, and the oldest known one is nearer to it than nothing.
    fn in_force(&self, day: NaiveDate) -> usize {
        self.periods.iter().rposition(|period| period.from.is_none_or(|from| from <= day)).unwrap_or(0)
    }

    fn listed(&self, day: NaiveDate, prompt_tokens: u64) -> Option<Rates> {
        let period = self.periods.get(self.in_force(day))?;
        period.tiers.iter().find(|tier| tier.covers(prompt_tokens)).map(Tier::rates)
    }
}

impl Catalog {
    /// The table that this version was built with.
    #[must_use]
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// This table with the settings' prices over it. A name of a known model (id or alias) prices it under all of its names.
    #[must_use]
    pub fn with_prices(&self, prices: &BTreeMap<String, PriceOverride>) -> Self {
        let mut catalog = self.clone();
        catalog.own_prices.extend(prices.iter().map(|(name, price)| (name.clone(), price.rates())));
        catalog
    }

    /// The model of that id or alias; `None` for an unknown or retired one, also where the settings price it.
    #[must_use]
    pub fn find(&self, id_or_alias: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|entry| entry.names().any(|name| name == id_or_alias))
    }

    /// Whether answers of that model have a price, from the table or from the settings.
    #[must_use]
    pub fn is_priced(&self, id: &str) -> bool {
        self.own_price(id).is_some() || self.find(id).is_some_and(|entry| !entry.periods.is_empty())
    }

    /// What became of a model that answers no more.
    #[must_use]
    pub fn retired(&self, id: &str) -> Option<&Retired> {
        self.retired.iter().find(|retired| retired.id == id || retired.aliases.iter().any(|alias| alias == id))
    }

    /// Every known model, newest families first.
    #[must_use]
    pub fn models(&self) -> &[ModelEntry] {
        &self.models
    }

    /// Ids and aliases of known models, then the names that the settings price: for `did you mean`.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let own = self.own_prices.keys().map(String::as_str).filter(|name| self.find(name).is_none());
        self.models.iter().flat_map(ModelEntry::names).chain(own)
    }

    /// The settings' price for that model, under whichever of its names they give it; the name asked for comes first.
    pub(crate) fn own_price(&self, id: &str) -> Option<Rates> {
        let exact = self.own_prices.get(id);
        exact.or_else(|| self.find(id)?.names().find_map(|name| self.own_prices.get(name))).copied()
    }

    /// Rates for a prompt of that length on that day; the whole request is priced by the tier of its whole prompt.
    #[must_use]
    pub fn rates(&self, id: &str, day: NaiveDate, prompt_tokens: u64) -> Option<Rates> {
        self.own_price(id).or_else(|| self.find(id)?.listed(day, prompt_tokens))
    }

    /// The same at `speed: fast`. The settings' price keeps the ratio of the listed fast price to the listed standard one.
    #[must_use]
    pub fn fast_rates(&self, id: &str, day: NaiveDate, prompt_tokens: u64) -> Option<Rates> {
        let entry = self.find(id)?;
        let (fast, listed) = (entry.fast.as_ref()?, entry.listed(day, prompt_tokens)?);
        let standard = self.own_price(id).unwrap_or(listed);
        Some(standard.multiplied((fast.input, listed.input), (fast.output, listed.output)))
    }

    /// Kind by kind the dearest that a prompt of at most `prompt_tokens` can be charged on `day` or any later known day.
    #[must_use]
    pub fn dearest_rates(&self, id: &str, day: NaiveDate, prompt_tokens: u64, fast: bool) -> Option<Rates> {
        let days_and_lengths = self.find(id).into_iter().flat_map(|entry| {
            let later = &entry.periods[entry.in_force(day).min(entry.periods.len())..];
            later.iter().flat_map(move |period| {
                let on = period.from.unwrap_or(day).max(day);
                let limits = period.tiers.iter().filter_map(|tier| tier.up_to_prompt_tokens);
                limits.map(move |limit| limit.min(prompt_tokens)).chain([prompt_tokens]).map(move |length| (on, length))
            })
        });
        let one = |day, length| if fast { self.fast_rates(id, day, length) } else { self.rates(id, day, length) };
        let first = one(day, prompt_tokens)?;
        Some(days_and_lengths.filter_map(|(day, length)| one(day, length)).fold(first, Rates::dearest))
    }

    /// Whether a refusal before any output is billed on that day.
    pub(crate) fn bills_refusal(&self, category: Option<&str>, day: NaiveDate) -> bool {
        let rule = &self.refusals_before_output;
        day >= rule.from && category.is_some_and(|category| rule.billed_categories.iter().any(|billed| billed == category))
    }

    /// One server-side web search.
    pub(crate) const fn web_search(&self) -> Money {
        self.web_search_usd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn usd(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn own(input: &str, output: &str) -> PriceOverride {
        serde_json::from_value(serde_json::json!({"input": input, "output": output})).unwrap()
    }

    #[test]
    fn the_table_is_well_formed() {
        let catalog = Catalog::embedded();
        let mut names = std::collections::BTreeSet::new();
        for entry in catalog.models() {
            assert!(entry.names().all(|name| names.insert(name.to_owned())), "{} has a name that is taken", entry.id);
            assert!(entry.max_output_tokens < entry.context_window, "{}", entry.id);
            assert!(entry.thinking_up_to_high_effort.iter().all(|kind| entry.thinking.contains(kind)), "{}", entry.id);
            for pair in entry.periods.windows(2) {
                assert_eq!(pair[0].until, pair[1].from, "{}: a gap between two periods", entry.id);
                assert!(pair[0].from < pair[1].from && pair[1].from.is_some(), "{}: periods out of order", entry.id);
            }
            assert!(entry.periods.last().is_none_or(|last| last.until.is_none()), "{}: a price that ends", entry.id);
            for period in &entry.periods {
                let limits: Vec<_> = period.tiers.iter().map(|tier| tier.up_to_prompt_tokens.unwrap_or(u64::MAX)).collect();
                assert!(limits.is_sorted_by(|a, b| a < b) && limits.last() == Some(&u64::MAX), "{}: tiers", entry.id);
            }
        }
        for retired in &catalog.retired {
            assert!(catalog.find(&retired.replacement).is_some(), "{} is replaced by an unknown model", retired.id);
            assert!(catalog.find(&retired.id).is_none() && catalog.retired(&retired.id) == Some(retired));
        }
    }

    #[test]
    fn every_listed_rate_stays_a_whole_pico_dollar_under_every_multiplier() {
        // One token costs rate / 1,000,000; x11/10 and x1/2 together divide by 20.
        for entry in Catalog::embedded().models() {
            for tier in entry.periods.iter().flat_map(|period| &period.tiers) {
                let rates = tier.rates();
                for rate in [rates.input, rates.output, rates.cache_write_5m, rates.cache_write_1h, rates.cache_read] {
                    assert!(rate > Money::ZERO && rate.pico() % 20_000_000 == 0, "{}: {rate}", entry.id);
                }
            }
        }
    }

    #[test]
    fn a_price_holds_from_its_first_day_until_the_next_one_begins() {
        let read = |on| Catalog::embedded().rates("claude-sonnet-5-5", day(on), 10).unwrap().cache_read;
        assert_eq!(read("2026-09-28"), usd("0.20"));
        assert_eq!(read("2026-10-06"), usd("0.20"));
        assert_eq!(read("2026-10-07"), usd("0.10"));
        assert_eq!(read("2030-01-01"), usd("0.10"));
        assert_eq!(read("2026-01-01"), usd("0.20"), "a day before the first known price takes that one");
    }

    #[test]
    fn the_tier_is_that_of_the_whole_prompt_and_its_limit_is_inside() {
        let input = |tokens| Catalog::embedded().rates("claude-haiku-5-5", day("2026-11-22"), tokens).unwrap().input;
        assert_eq!(input(100_000), usd("0.10"));
        assert_eq!(input(100_001), usd("0.50"));
    }

    #[test]
    fn a_model_without_a_published_price_is_known_and_unpriced() {
        let catalog = Catalog::embedded();
        assert!(catalog.find("claude-mythos-preview").is_some() && !catalog.is_priced("claude-mythos-preview"));
        assert_eq!(catalog.rates("claude-mythos-preview", day("2026-11-22"), 1), None);
        assert!(catalog.find("gpt-none").is_none() && !catalog.is_priced("gpt-none"));
    }

    #[test]
    fn settings_price_an_unknown_model_and_the_cache_follows_the_api() {
        let catalog = Catalog::embedded().with_prices(&BTreeMap::from([("my-own-model".to_owned(), own("0.40", "1.60"))]));
        let rates = catalog.rates("my-own-model", day("2026-11-22"), 1).unwrap();
        let expected = ["0.40", "1.60", "0.50", "0.80", "0.04"].map(usd);
        assert_eq!([rates.input, rates.output, rates.cache_write_5m, rates.cache_write_1h, rates.cache_read], expected);
        assert!(catalog.is_priced("my-own-model") && catalog.find("my-own-model").is_none());
        assert!(catalog.ids().any(|id| id == "my-own-model"));
        assert!(!Catalog::embedded().is_priced("my-own-model"));
    }

    #[test]
    fn settings_price_a_known_model_under_all_of_its_names() {
        let catalog = Catalog::embedded().with_prices(&BTreeMap::from([("claude-haiku-4-5".to_owned(), own("9", "9"))]));
        for name in ["claude-haiku-4-5", "claude-haiku-4-5-20251001"] {
            assert_eq!(catalog.rates(name, day("2026-11-22"), 1).unwrap().input, usd("9"), "{name}");
        }
        assert_eq!(catalog.ids().filter(|id| *id == "claude-haiku-4-5").count(), 1);
    }

    #[test]
    fn a_price_that_cannot_be_meant_is_refused() {
        for wrong in ["-1", "1000000.01"] {
            let read = serde_json::from_value::<PriceOverride>(serde_json::json!({"input": wrong, "output": "1"}));
            assert!(read.unwrap_err().to_string().contains("is no price"), "{wrong}");
        }
        assert!(serde_json::from_value::<PriceOverride>(serde_json::json!({"input": "1"})).is_err());
        assert!(serde_json::from_value::<PriceOverride>(serde_json::json!({"input": "1", "output": "1", "cached": "1"})).is_err());
    }

    #[test]
    fn a_retired_model_names_its_replacement() {
        let retired = Catalog::embedded().retired("claude-3-5-haiku-latest").unwrap();
        assert_eq!((retired.retired_on, retired.replacement.as_str()), (day("2026-02-19"), "claude-haiku-4-5-20251001"));
        assert_eq!(Catalog::embedded().find("claude-sonnet-4-5").unwrap().retires_on(), Some(day("2026-11-30")));
    }
}
