//! How does the API spell a batch, and a list of them? Unknown members are ignored.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Batch, Counts, Status};

/// Longest id that is one; it goes into addresses and onto terminals.
const LONGEST_ID: usize = 200;

#[derive(Deserialize)]
struct WireBatch {
    id: String,
    processing_status: String,
    request_counts: Counts,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    results_url: Option<String>,
}

#[derive(Deserialize)]
struct WireList {
    data: Vec<WireBatch>,
    #[serde(default)]
    has_more: bool,
}

/// Reads one batch.
pub(super) fn batch(body: &[u8]) -> Result<Batch, String> {
    let wire: WireBatch = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    checked(wire)
}

/// Reads a page of a list, and whether more follow.
pub(super) fn list(body: &[u8]) -> Result<(Vec<Batch>, bool), String> {
    let list: WireList = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let batches = list.data.into_iter().map(checked).collect::<Result<_, _>>()?;
    Ok((batches, list.has_more))
}

fn checked(wire: WireBatch) -> Result<Batch, String> {
    let is_id =
        (1..=LONGEST_ID).contains(&wire.id.len()) && wire.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !is_id {
        return Err("its `id` is no id of a batch".to_owned());
    }
    let status = match wire.processing_status.as_str() {
        "in_progress" => Status::InProgress,
        "canceling" => Status::Canceling,
        "ended" => Status::Ended,
        // One that is not known yet: it is no end.
        _ => Status::InProgress,
    };
    Ok(Batch {
        id: wire.id,
        status,
        counts: wire.request_counts,
        created_at: wire.created_at,
        expires_at: wire.expires_at,
        ended_at: wire.ended_at,
        results_url: wire.results_url,
    })
}
