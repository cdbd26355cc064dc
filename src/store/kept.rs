//! What does the history keep of a cell, so that a later run can be compared with it, and in which form?

use std::sync::Arc;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::model::baseline::{KeptCell, KeptSample};
use crate::model::key::Key;
use crate::model::run::Address;
use crate::model::suite::SourceFile;
use crate::model::verdict::Verdict;

/// One cell in the table; its address and its keys have columns of their own. Names of one letter: half a million of these are stored.
#[derive(Serialize, Deserialize)]
struct Row {
    m: Arc<str>,
    e: Arc<str>,
    v: Arc<str>,
    a: Arc<str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    f: Vec<SourceFile>,
    /// It only informs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    i: bool,
    /// Verdict, microseconds since 1970 where there is an answer, whether a simulator gave it.
    s: Vec<(Verdict, Option<i64>, bool)>,
}

pub(super) fn write(cell: &KeptCell) -> String {
    let sample = |sample: &KeptSample| (sample.verdict, sample.answered_at.map(|at| at.timestamp_micros()), sample.simulated);
    let row = Row {
        m: Arc::clone(&cell.model_id),
        e: Arc::clone(&cell.endpoint),
        v: Arc::clone(&cell.variables),
        a: Arc::clone(&cell.assertions),
        f: cell.fixtures.to_vec(),
        i: !cell.gated,
        s: cell.samples.iter().map(sample).collect(),
    };
    serde_json::to_string(&row).expect("strings and numbers always serialise")
}

/// `None` where it is no such row: then the cell cannot be compared with, and all else about it stands.
pub(super) fn read(text: &str, address: &Address, keys: &[Key]) -> Option<KeptCell> {
    let row: Row = serde_json::from_str(text).ok()?;
    if row.s.len() != keys.len() {
        return None;
    }
    let sample = |(key, (verdict, at, simulated)): (&Key, (Verdict, Option<i64>, bool))| {
        Some(KeptSample {
            key: *key,
            verdict,
            answered_at: at.map(DateTime::from_timestamp_micros).map_or(Some(None), |at| at.map(Some))?,
            simulated,
        })
    };
    Some(KeptCell {
        address: address.clone(),
        model_id: row.m,
        endpoint: row.e,
        variables: row.v,
        assertions: row.a,
        fixtures: row.f.into(),
        gated: !row.i,
        samples: keys.iter().zip(row.s).map(sample).collect::<Option<_>>()?,
    })
}
