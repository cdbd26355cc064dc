//! What must hold of a reply, as the author wrote it, resolved and not yet compiled?

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::model::money::Money;
use crate::model::problem::Site;

/// How much a failed assertion weighs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AssertionSeverity {
    /// Reported, never changes the verdict.
    Warn,
    /// Fails the cell.
    #[default]
    Fail,
    /// Fails the cell, and one confirmed failure fails the gate whatever the rates say.
    Critical,
}

/// One assertion of one case. Strings in it are templates over the case's variables until it is compiled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assertion {
    /// What is compared.
    pub kind: AssertionKind,
    /// Inverts a comparison that was reached; what could not be compared still fails.
    pub negated: bool,
    /// The author's name for it, shown instead of the kind.
    pub name: Option<String>,
    /// What its failure does.
    pub severity: AssertionSeverity,
    /// Where it stands in the suite or table file.
    pub site: Site,
}

/// A text and how it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextMatch {
    /// The expected text, a template.
    pub value: String,
    /// Compare without regard to upper and lower case.
    pub ignore_case: bool,
}

/// Several texts and how they are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSet {
    /// The expected texts, templates.
    pub values: Vec<String>,
    /// Compare without regard to upper and lower case.
    pub ignore_case: bool,
}

/// The kinds of assertion (design: text, structure, size, behaviour, cost and speed).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionKind {
    /// The whole reply, white space at both ends apart.
    Equals(TextMatch),
    /// Somewhere in the reply.
    Contains(TextMatch),
    /// At least one of them somewhere in the reply.
    ContainsAny(TextSet),
    /// Each of them somewhere in the reply.
    ContainsAll(TextSet),
    /// At the beginning, after white space.
    StartsWith(TextMatch),
    /// At the end, before white space.
    EndsWith(TextMatch),
    /// A match somewhere in the reply, Rust syntax; look-around is allowed and bounded.
    Regex(String),
    /// The whole reply is one of them.
    OneOf(TextSet),
    /// Similarity of word tokens to a text, 0 to 1, at least the threshold.
    Similar {
        /// The text, a template.
        to: String,
        /// From 0 (exclusive) to 1.
        threshold: f64,
    },
    /// The reply is one JSON value (in a code fence where the suite's `parse` says so).
    Json,
    /// The reply is JSON that a schema accepts.
    JsonSchema(SchemaSource),
    /// Values at a JSONPath (RFC 9535).
    JsonPath(JsonPathCheck),
    /// The reply is well-formed XML.
    Xml(XmlCheck),
    /// Bounds on the length of the reply.
    Length(LengthBounds),
    /// At most so many output tokens by the API's own count.
    MaxOutputTokens(u64),
    /// Whether the reply may or must be a refusal.
    Refusal(RefusalRule),
    /// The stop reason is one of these, as the API spells them.
    StopReason(Vec<String>),
    /// The stored usage, priced uncached and unbatched on the paid day, is at most this.
    MaxCostUsd(Money),
    /// The paid call took at most so long.
    MaxLatencyMs(u64),
}

impl AssertionKind {
    /// The key that the author wrote.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Equals(_) => "equals",
            Self::Contains(_) => "contains",
            Self::ContainsAny(_) => "contains_any",
            Self::ContainsAll(_) => "contains_all",
            Self::StartsWith(_) => "starts_with",
            Self::EndsWith(_) => "ends_with",
            Self::Regex(_) => "regex",
            Self::OneOf(_) => "one_of",
            Self::Similar { .. } => "similar",
            Self::Json => "json",
            Self::JsonSchema(_) => "json_schema",
            Self::JsonPath(_) => "json_path",
            Self::Xml(_) => "xml",
            Self::Length(_) => "length",
            Self::MaxOutputTokens(_) => "max_output_tokens",
            Self::Refusal(_) => "refusal",
            Self::StopReason(_) => "stop_reason",
            Self::MaxCostUsd(_) => "max_cost_usd",
            Self::MaxLatencyMs(_) => "max_latency_ms",
        }
    }
}

/// A JSON Schema and where it came from. Already validated by whoever read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemaSource {
    /// The project-relative file, or `inline`.
    pub label: Arc<str>,
    /// The schema; shared between all cases that name it, so that it is compiled once.
    pub schema: Arc<Value>,
}

/// Checks on the values at one JSONPath; every check that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JsonPathCheck {
    /// The path, RFC 9535: `$.queue`, `$.items[*].id`.
    pub path: String,
    /// Every value at the path equals this one (numbers by value); strings inside are templates.
    pub equals: Option<Value>,
    /// Every value is a string that this regex matches.
    pub matches: Option<String>,
    /// The path leads to something (true) or nothing (false).
    pub exists: Option<bool>,
    /// Length of every value: characters of a string, items of an array, members of an object.
    pub min_length: Option<u64>,
    /// See `min_length`.
    pub max_length: Option<u64>,
    /// Every value is a number of at least this.
    pub min: Option<Number>,
    /// Every value is a number of at most this.
    pub max: Option<Number>,
}

/// What an XML reply must be besides well-formed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XmlCheck {
    /// Name of the root element, without a namespace.
    pub root: Option<String>,
    /// Elements, by name, each of which must appear somewhere.
    pub contains: Vec<String>,
}

/// Bounds on length, each inclusive. Words and sentences as Unicode (UAX #29) separates them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LengthBounds {
    /// Unicode scalar values.
    pub min_chars: Option<u64>,
    /// See `min_chars`.
    pub max_chars: Option<u64>,
    /// Words that hold a letter or a digit.
    pub min_words: Option<u64>,
    /// See `min_words`.
    pub max_words: Option<u64>,
    /// Lines, a final line break apart.
    pub min_lines: Option<u64>,
    /// See `min_lines`.
    pub max_lines: Option<u64>,
    /// Sentences that hold a letter or a digit.
    pub min_sentences: Option<u64>,
    /// See `min_sentences`.
    pub max_sentences: Option<u64>,
    /// Bytes of UTF-8.
    pub min_bytes: Option<u64>,
    /// See `min_bytes`.
    pub max_bytes: Option<u64>,
}

/// Whether a reply may be a refusal. Structural (stop reason) and textual refusals are told apart in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefusalRule {
    /// Neither kind.
    Never,
    /// One of both kinds.
    Always,
    /// Both kinds are fine, a structural one too, and no text is judged.
    Allowed,
}
