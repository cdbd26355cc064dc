//! What came back from a model, and what did getting it take?

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::model::request::Block;
use crate::model::verdict::ErrorKind;

/// Why the model stopped (wire reference, section 1.7).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "String", into = "String")]
pub enum StopReason {
    /// The natural end.
    EndTurn,
    /// The reply was cut at `max_tokens`.
    MaxTokens,
    /// One of `stop_sequences` appeared.
    StopSequence,
    /// The model asks for a tool.
    ToolUse,
    /// A server-side tool loop paused.
    PauseTurn,
    /// A safety classifier stopped the reply: a structural refusal.
    Refusal,
    /// The context window is full.
    ModelContextWindowExceeded,
    /// One that this version does not know, as it was spelled.
    Other(String),
}

impl StopReason {
    /// Every one that this version knows, as the API spells it.
    pub const KNOWN: [&'static str; 7] =
        ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"];

    /// As the API spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::EndTurn => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::StopSequence => "stop_sequence",
            Self::ToolUse => "tool_use",
            Self::PauseTurn => "pause_turn",
            Self::Refusal => "refusal",
            Self::ModelContextWindowExceeded => "model_context_window_exceeded",
            Self::Other(other) => other,
        }
    }

    /// The reply is not whole: it was cut by a limit of tokens.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        matches!(self, Self::MaxTokens | Self::ModelContextWindowExceeded)
    }

    /// The model said all that it was going to say: it ended, it met a stop sequence, or it waits for a tool of ours.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        match self {
            Self::EndTurn | Self::StopSequence | Self::ToolUse => true,
            // What is not known to be whole is not whole.
            Self::MaxTokens | Self::PauseTurn | Self::Refusal | Self::ModelContextWindowExceeded | Self::Other(_) => false,
        }
    }
}

impl From<String> for StopReason {
    fn from(text: String) -> Self {
        match text.as_str() {
            "end_turn" => Self::EndTurn,
            "max_tokens" => Self::MaxTokens,
            "stop_sequence" => Self::StopSequence,
            "tool_use" => Self::ToolUse,
            "pause_turn" => Self::PauseTurn,
            "refusal" => Self::Refusal,
            "model_context_window_exceeded" => Self::ModelContextWindowExceeded,
            _ => Self::Other(text),
        }
    }
}

impl From<StopReason> for String {
    fn from(reason: StopReason) -> Self {
        reason.as_str().to_owned()
    }
}

/// `stop_details` of a structural refusal (wire reference, section 8.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefusalDetails {
    /// `cyber`, `bio`, `frontier_llm`, `reasoning_extraction`, `general_harms`, or one that is newer; decides the billing (8.2).
    pub category: Option<String>,
    /// The API's own words.
    pub explanation: Option<String>,
}

/// Tokens by kind, as the API counted them (wire reference, section 1.7). `input_tokens` counts only what no cache served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to the prompt cache.
    pub input_tokens: u64,
    /// Prompt tokens written with a five-minute life.
    #[serde(default)]
    pub cache_write_5m_tokens: u64,
    /// Prompt tokens written with a one-hour life.
    #[serde(default)]
    pub cache_write_1h_tokens: u64,
    /// Prompt tokens read from the prompt cache.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// Everything generated, thinking included.
    pub output_tokens: u64,
    /// The part of `output_tokens` that was thinking; informational.
    #[serde(default)]
    pub thinking_tokens: u64,
    /// Server-side web searches, billed per search.
    #[serde(default)]
    pub web_searches: u64,
    /// `standard`, `priority` or `batch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// `us` or `global`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_geo: Option<String>,
    /// `standard` or `fast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<String>,
}

impl Usage {
    /// It was asked in a message batch: nothing measured how long the reply itself took.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.service_tier.as_deref() == Some("batch")
    }

    /// The whole prompt: uncached, written and read.
    #[must_use]
    pub const fn prompt_tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_write_5m_tokens)
            .saturating_add(self.cache_write_1h_tokens)
            .saturating_add(self.cache_read_tokens)
    }
}

/// One try at a request, kept with the reply or the error it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attempt {
    /// The HTTP status; `None` where no response head came.
    pub status: Option<u16>,
    /// What went wrong; `None` for the attempt that answered.
    pub error: Option<ErrorKind>,
    /// One line on what happened.
    pub message: Option<String>,
    /// `request-id` of the response.
    pub request_id: Option<String>,
    /// From sending to the last byte or the failure, in milliseconds.
    pub duration_ms: u64,
    /// No connection came about: nothing was sent, so nothing can be billed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
}

impl Attempt {
    /// The server may have answered, and nobody knows what it wrote on the bill (wire reference, 3.3): a refusal by status costs nothing,
    /// a response that began and came to no good may cost all that it could.
    #[must_use]
    pub fn may_be_billed(&self) -> bool {
        let began = self.status.is_some_and(|status| (200..300).contains(&status));
        let lost = match self.error {
            Some(ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::MalformedReply) | None => true,
            Some(
                ErrorKind::RateLimited
                | ErrorKind::SpendLimit
                | ErrorKind::Overloaded
                | ErrorKind::Server
                | ErrorKind::Denied
                | ErrorKind::NotFound
                | ErrorKind::InvalidRequest
                | ErrorKind::Budget
                | ErrorKind::Unavailable
                | ErrorKind::Batch
                | ErrorKind::CacheMiss
                | ErrorKind::Store
                | ErrorKind::Judging
                | ErrorKind::Template,
            ) => false,
        };
        !self.unsent && (began || lost)
    }
}

/// A whole answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The message's id (`msg_...`).
    pub id: Option<String>,
    /// `request-id` of the response.
    pub request_id: Option<String>,
    /// The model that the API says answered.
    pub model: String,
    /// Content blocks in order; the first may be `thinking`.
    pub content: Vec<Block>,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// The stop sequence that was hit.
    pub stop_sequence: Option<String>,
    /// Only with [`StopReason::Refusal`].
    pub refusal: Option<RefusalDetails>,
    /// Tokens by kind.
    pub usage: Usage,
    /// When the answer was complete; its UTC day prices it.
    pub answered_at: DateTime<Utc>,
    /// From sending the request that answered to its last byte, in milliseconds.
    pub latency_ms: u64,
    /// Every attempt, the last being the one that answered.
    pub attempts: Vec<Attempt>,
    /// The server said that it is a simulator.
    pub simulated: bool,
}

impl Reply {
    /// All text blocks joined, thinking left out. Blocks are selected by type, never by position.
    #[must_use]
    pub fn text(&self) -> String {
        self.content.iter().filter_map(Block::as_text).collect()
    }

    /// The UTC day on which the answer was paid.
    #[must_use]
    pub fn paid_on(&self) -> NaiveDate {
        self.answered_at.date_naive()
    }

    /// The API refused before it wrote anything: billed only for some categories. A text block without a character is nothing written: some
    /// servers open the block before they refuse.
    #[must_use]
    pub fn is_refused_before_output(&self) -> bool {
        self.stop_reason == StopReason::Refusal && self.content.iter().all(|block| block.as_text() == Some(""))
    }
}

/// Where an answer came from this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Served {
    /// Asked and paid by this run.
    Fresh,
    /// Asked and paid by this run in a batch.
    Batch,
    /// Read from the local store.
    Stored,
    /// Another sample or process asked the same while this one waited.
    Shared,
    /// Read from committed recordings.
    Recorded,
}

impl Served {
    /// This run paid for it.
    #[must_use]
    pub const fn is_paid(self) -> bool {
        match self {
            Self::Fresh | Self::Batch => true,
            Self::Stored | Self::Shared | Self::Recorded => false,
        }
    }
}

/// A reply and where it came from.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The reply as it was stored.
    pub reply: Arc<Reply>,
    /// Where it came from.
    pub served: Served,
}
