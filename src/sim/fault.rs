//! Faults: what can go wrong between a client and the API, and when does it?

use std::collections::HashMap;
use std::sync::Mutex;

use super::script::Faults;

/// A way in which a request fails or an answer arrives broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// 429 with `retry-after`.
    RateLimit,
    /// 500.
    ServerError,
    /// 529.
    Overloaded,
    /// 504.
    Timeout,
    /// The connection is closed before the head.
    Drop,
    /// The connection is reset before the head.
    Reset,
    /// The body ends in the middle.
    Cut,
    /// 502 with an HTML page, as a proxy sends it.
    Html,
    /// 200 with a body that is not JSON.
    InvalidJson,
    /// Nothing comes, and the connection stays.
    Hang,
    /// Half of the answer comes, then nothing.
    Stall,
    /// An `error` event after some of the stream.
    ErrorEvent,
    /// The stream ends cleanly without `message_stop`.
    EarlyEnd,
    /// Events and deltas of unknown types among the known ones: a client has to ignore them.
    UnknownEvent,
    /// The answer arrives in pieces of three bytes, through the middle of characters.
    Split,
    /// The lines of a stream end in CR LF, and every piece of it ends between the two.
    LineEnds,
    /// A delta comes for a block that has ended.
    Disorder,
    /// The request is carried out, and the connection closes before any of the answer.
    Lost,
}

impl Fault {
    /// All, by the names that scripts use.
    pub(super) const NAMES: [(&'static str, Self); 18] = [
        ("rate_limit", Self::RateLimit),
        ("server_error", Self::ServerError),
        ("overloaded", Self::Overloaded),
        ("timeout", Self::Timeout),
        ("drop", Self::Drop),
        ("reset", Self::Reset),
        ("cut", Self::Cut),
        ("html", Self::Html),
        ("invalid_json", Self::InvalidJson),
        ("hang", Self::Hang),
        ("stall", Self::Stall),
        ("error_event", Self::ErrorEvent),
        ("early_end", Self::EarlyEnd),
        ("unknown_event", Self::UnknownEvent),
        ("split", Self::Split),
        ("line_ends", Self::LineEnds),
        ("disorder", Self::Disorder),
        ("lost", Self::Lost),
    ];

    /// What `faults` injects when it names no kinds: each passes when the request is sent again.
    pub(super) const USUAL: [Self; 6] = [Self::RateLimit, Self::ServerError, Self::Overloaded, Self::Drop, Self::Cut, Self::Html];

    /// The answer arrives whole all the same, to a client that can read it: it has to be the right one.
    pub(super) const fn arrives(self) -> bool {
        matches!(self, Self::UnknownEvent | Self::Split | Self::LineEnds)
    }

    /// The request is carried out, whatever becomes of the answer: it is on the bill, and what it wrote into the prompt cache is there.
    pub(super) const fn is_carried_out(self, stream: bool) -> bool {
        match self {
            Self::RateLimit | Self::ServerError | Self::Overloaded | Self::Timeout | Self::Drop | Self::Reset | Self::Html | Self::Hang => {
                false
            }
            // What is not streamed gets a status instead.
            Self::ErrorEvent => stream,
            Self::Cut | Self::InvalidJson | Self::Stall | Self::EarlyEnd | Self::Disorder | Self::Lost => true,
            Self::UnknownEvent | Self::Split | Self::LineEnds => true,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault)
    }

    /// The place in [`Fault::NAMES`], for counters.
    pub(super) fn index(self) -> usize {
        Self::NAMES.iter().position(|(_, fault)| *fault == self).unwrap_or(0)
    }
}

/// Decides at random, but always alike, which requests fail.
///
/// The n-th request with the same body fails or not by a hash of seed, body and n alone: neither the order in which different requests arrive nor the
/// number of connections changes it. After `in_a_row` faults for one body its next request is answered, so that retrying ends.
#[derive(Debug)]
pub(super) struct Lottery {
    faults: Faults,
    seed: u64,
    shards: Vec<Mutex<HashMap<u64, Tries>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    asked: u32,
    failed_in_a_row: u32,
}

/// Bodies remembered per shard before it starts afresh: a bound on memory, far above any test.
const REMEMBERED: usize = 100_000;
const SHARDS: usize = 16;

impl Lottery {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, seed, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn retry_after(&self) -> u64 {
        self.faults.retry_after
    }

    /// The fault for this request, if it is to fail.
    pub(super) fn draw(&self, body: &[u8]) -> Option<Fault> {
        if self.faults.rate <= 0.0 || self.faults.kinds.is_empty() {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(body);
        let identity = first_eight(&hasher);
        let mut shard = self.shards[identity as usize % SHARDS].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if shard.len() >= REMEMBERED {
            shard.clear();
        }
        let tries = shard.entry(identity).or_default();
        hasher.update(&tries.asked.to_le_bytes());
        tries.asked = tries.asked.wrapping_add(1);
        let drawn = first_eight(&hasher);
        // The upper 53 bits make a number from 0 up to 1; the lower ones choose the kind.
        let chance = (drawn >> 11) as f64 / (1_u64 << 53) as f64;
        if chance >= self.faults.rate || tries.failed_in_a_row >= self.faults.in_a_row {
            tries.failed_in_a_row = 0;
            return None;
        }
        tries.failed_in_a_row += 1;
        Some(self.faults.kinds[(drawn & 0x7ff) as usize % self.faults.kinds.len()])
    }
}

fn first_eight(hasher: &blake3::Hasher) -> u64 {
    let mut eight = [0; 8];
    hasher.finalize_xof().fill(&mut eight);
    u64::from_le_bytes(eight)
}
