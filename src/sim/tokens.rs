//! Token counts: how many tokens does a text have, if nobody has the tokenizer?
//!
//! An estimate that anyone can repeat by hand, not the real tokenizer: four bytes of UTF-8 are a token, and on models with the newer tokenizer (4.7 and
//! later, docs/wire-reference.md 6.1) thirty percent more. Rounded up once over all texts of a request or a reply.

use super::models::{Generation, Model};

/// What the envelope of a request costs, and every turn in it.
const ENVELOPE: u64 = 4;
const TURN: u64 = 3;
/// Thinking that nobody sees: always the same, so that bills can be checked.
pub(super) const THINKING: u64 = 24;
/// The hidden system prompt that tools add (286 to 804 on the real API).
const TOOLS: u64 = 346;
const IMAGE: u64 = 1_600;
const DOCUMENT: u64 = 3_000;

/// Tokens of so many bytes of text.
pub(super) fn of_bytes(bytes: u64, model: &Model) -> u64 {
    if model.generation >= Generation::Four7 { bytes.saturating_mul(13).div_ceil(40) } else { bytes.div_ceil(4) }
}

/// The most bytes of text that make at most so many tokens.
pub(super) fn bytes_within(tokens: u64, model: &Model) -> usize {
    let bytes = if model.generation >= Generation::Four7 { tokens.saturating_mul(40) / 13 } else { tokens.saturating_mul(4) };
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// What a request holds, as far as it is counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weight {
    pub(super) text_bytes: u64,
    pub(super) turns: u64,
    pub(super) images: u64,
    pub(super) documents: u64,
    pub(super) tools: bool,
}

impl Weight {
    /// Tokens of the whole request.
    pub(super) fn tokens(&self, model: &Model) -> u64 {
        ENVELOPE + self.tokens_of_prefix(model)
    }

    /// Tokens of what was weighed so far, where it is the beginning of a request: the envelope closes it, so it is never cached.
    pub(super) fn tokens_of_prefix(&self, model: &Model) -> u64 {
        let media = self.images * IMAGE + self.documents * DOCUMENT;
        let tools = if self.tools { TOOLS } else { 0 };
        TURN * self.turns + of_bytes(self.text_bytes, model) + media + tools
    }
}
