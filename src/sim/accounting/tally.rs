//! Sums over many replies: which tokens, and how many dollars to the last pico-dollar?

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::super::reply::Usage;

/// Pico-dollars in a millionth of a dollar.
const MILLIONTH: u128 = 1_000_000;

/// Tokens and dollars of many replies; only ever raised.
#[derive(Debug, Default)]
pub(super) struct Tally {
    replies: AtomicU64,
    unpriced: AtomicU64,
    input_tokens: AtomicU64,
    cache_creation_5m: AtomicU64,
    cache_creation_1h: AtomicU64,
    cache_read: AtomicU64,
    output_tokens: AtomicU64,
    /// In millionths of a dollar, and what is less than one in pico-dollars: together exact, and far from overflowing.
    millionths: AtomicU64,
    picos: AtomicU64,
}

/// The sums of a tally at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Sums {
    pub(super) replies: u64,
    pub(super) input_tokens: u64,
    pub(super) cache_creation_5m_input_tokens: u64,
    pub(super) cache_creation_1h_input_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
    pub(super) output_tokens: u64,
    /// Replies of models without a known price: not in `usd`.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) unpriced_replies: u64,
    pub(super) usd: Dollars,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Pico-dollars, written as a decimal of dollars.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dollars(pub(super) u128);

impl std::fmt::Display for Dollars {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, part) = (self.0 / (MILLIONTH * MILLIONTH), self.0 % (MILLIONTH * MILLIONTH));
        let digits = format!("{part:012}");
        // At least cents, as money is written.
        write!(formatter, "{whole}.{}", &digits[..digits.trim_end_matches('0').len().max(2)])
    }
}

impl Serialize for Dollars {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Tally {
    /// Books a reply and what it cost, in pico-dollars, if that is known.
    pub(super) fn add(&self, usage: &Usage, price: Option<u128>) {
        self.replies.fetch_add(1, Relaxed);
        self.input_tokens.fetch_add(usage.input_tokens, Relaxed);
        self.output_tokens.fetch_add(usage.output_tokens, Relaxed);
        let pico = price.unwrap_or(0);
        // Mostly zero: no need to touch the line of memory that all threads share.
        for (counter, count) in [
            (&self.cache_creation_5m, usage.cache_creation.ephemeral_5m_input_tokens),
            (&self.cache_creation_1h, usage.cache_creation.ephemeral_1h_input_tokens),
            (&self.cache_read, usage.cache_read_input_tokens),
            (&self.unpriced, u64::from(price.is_none())),
            (&self.millionths, u64::try_from(pico / MILLIONTH).unwrap_or(u64::MAX)),
            (&self.picos, (pico % MILLIONTH) as u64),
        ] {
            if count > 0 {
                counter.fetch_add(count, Relaxed);
            }
        }
    }

    pub(super) fn sums(&self) -> Sums {
        Sums {
            replies: self.replies.load(Relaxed),
            input_tokens: self.input_tokens.load(Relaxed),
            cache_creation_5m_input_tokens: self.cache_creation_5m.load(Relaxed),
            cache_creation_1h_input_tokens: self.cache_creation_1h.load(Relaxed),
            cache_read_input_tokens: self.cache_read.load(Relaxed),
            output_tokens: self.output_tokens.load(Relaxed),
            unpriced_replies: self.unpriced.load(Relaxed),
            usd: Dollars(u128::from(self.millionths.load(Relaxed)) * MILLIONTH + u128::from(self.picos.load(Relaxed))),
        }
    }
}

impl std::ops::Add for Sums {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            replies: self.replies + other.replies,
            input_tokens: self.input_tokens + other.input_tokens,
            cache_creation_5m_input_tokens: self.cache_creation_5m_input_tokens + other.cache_creation_5m_input_tokens,
            cache_creation_1h_input_tokens: self.cache_creation_1h_input_tokens + other.cache_creation_1h_input_tokens,
            cache_read_input_tokens: self.cache_read_input_tokens + other.cache_read_input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            unpriced_replies: self.unpriced_replies + other.unpriced_replies,
            usd: Dollars(self.usd.0 + other.usd.0),
        }
    }
}
