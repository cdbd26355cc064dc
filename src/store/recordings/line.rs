//! What is one line of a recording: which answer, and is it as it was written?
//!
//! `{"cell":...,"sample":...,"content":[...],...,"key":"...","checksum":"..."}`: what people review stands first, and nothing that another
//! answer of the same words would differ in: ids of the request and the message, attempts. The checksum is over the bytes before it, so
//! that whoever edits an answer is told, and no verdict comes from it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::key::Key;
use crate::model::reply::{RefusalDetails, Reply, StopReason, Usage};
use crate::model::request::Block;

/// Begins what the checksum is over; another form of the lines has another one.
const FORM: &str = "promptkeel.recording/1\n";

/// What stands before the checksum at the end of a line.
const SEAL: &str = ",\"checksum\":\"";

/// Hexadecimal digits of the checksum.
const DIGITS: usize = 32;

/// A line as it is written and read. A member that this version does not know may be one that a verdict needs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    cell: Cow<'a, str>,
    sample: u32,
    content: Cow<'a, [Block]>,
    stop_reason: Cow<'a, StopReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_sequence: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Cow<'a, RefusalDetails>>,
    model: Cow<'a, str>,
    usage: Cow<'a, Usage>,
    /// Its day prices the answer, and the moment tells one answer from another.
    answered_at: DateTime<Utc>,
    latency_ms: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    simulated: bool,
    key: Key,
}

/// A line of which only the place is needed.
#[derive(Deserialize)]
struct Head {
    key: Key,
    sample: u32,
    answered_at: DateTime<Utc>,
    #[serde(default)]
    simulated: bool,
}

/// Where an answer belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) sample: u32,
    pub(super) answered_at: DateTime<Utc>,
    pub(super) simulated: bool,
}

/// Writes an answer as a line, without its end.
pub(super) fn write(cell: &str, sample: u32, key: &Key, reply: &Reply) -> String {
    let line = Line {
        cell: Cow::Borrowed(cell),
        sample,
        content: Cow::Borrowed(&reply.content),
        stop_reason: Cow::Borrowed(&reply.stop_reason),
        stop_sequence: reply.stop_sequence.as_deref().map(Cow::Borrowed),
        refusal: reply.refusal.as_ref().map(Cow::Borrowed),
        model: Cow::Borrowed(&reply.model),
        usage: Cow::Borrowed(&reply.usage),
        answered_at: reply.answered_at,
        latency_ms: reply.latency_ms,
        simulated: reply.simulated,
        key: *key,
    };
    let mut text = serde_json::to_string(&line).expect("strings, numbers and JSON values always serialise");
    text.truncate(text.len() - 1);
    let checksum = checksum(text.as_bytes());
    text.push_str(SEAL);
    text.push_str(&checksum);
    text.push_str("\"}");
    text
}

/// Which answer a line holds, if it is as it was written.
pub(super) fn place(line: &[u8]) -> Result<Place, String> {
    let sealed = open(line)?;
    let Head { key, sample, answered_at, simulated } = serde_json::from_slice(&sealed).map_err(|error| unknown(&error))?;
    Ok(Place { key, sample, answered_at, simulated })
}

/// The cell of a line that is as it was written.
pub(super) fn cell(line: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Cell {
        cell: String,
    }
    let sealed = open(line)?;
    serde_json::from_slice(&sealed).map(|Cell { cell }| cell).map_err(|error| unknown(&error))
}

/// The answer of a line, if it is as it was written.
pub(super) fn reply(line: &[u8]) -> Result<(Key, Reply), String> {
    let sealed = open(line)?;
    let line: Line<'_> = serde_json::from_slice(&sealed).map_err(|error| unknown(&error))?;
    let reply = Reply {
        id: None,
        request_id: None,
        model: line.model.into_owned(),
        content: line.content.into_owned(),
        stop_reason: line.stop_reason.into_owned(),
        stop_sequence: line.stop_sequence.map(Cow::into_owned),
        refusal: line.refusal.map(Cow::into_owned),
        usage: line.usage.into_owned(),
        answered_at: line.answered_at,
        latency_ms: line.latency_ms,
        attempts: Vec::new(),
        simulated: line.simulated,
    };
    Ok((line.key, reply))
}

/// The line without its checksum, which must fit.
fn open(line: &[u8]) -> Result<Vec<u8>, String> {
    if [&b"<<<<<<<"[..], b"=======", b">>>>>>>", b"|||||||"].iter().any(|mark| line.starts_with(mark)) {
        return Err("a merge conflict that nobody resolved".to_owned());
    }
    let end = SEAL.len() + DIGITS + 2;
    let split = line.len().checked_sub(end).map(|body| line.split_at(body));
    let sealed = split.and_then(|(body, seal)| {
        let digits = seal.strip_prefix(SEAL.as_bytes())?.strip_suffix(b"\"}")?;
        Some((body, digits))
    });
    let Some((body, digits)) = sealed else { return Err("no recorded answer: it does not end with a checksum".to_owned()) };
    if digits != checksum(body).as_bytes() {
        return Err("edited or damaged: its checksum does not fit".to_owned());
    }
    let mut whole = body.to_vec();
    whole.push(b'}');
    Ok(whole)
}

fn unknown(error: &serde_json::Error) -> String {
    format!("whole, but not of a form that this version of promptkeel reads: {error}")
}

fn checksum(body: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(FORM.as_bytes());
    hasher.update(body);
    let mut digits = hasher.finalize().to_hex().to_string();
    digits.truncate(DIGITS);
    digits
}
