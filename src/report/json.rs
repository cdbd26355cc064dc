//! The run report as a file: how is it written, and how is it read back?
//!
//! ```json
//! {
//! "schema": "promptkeel.run/1",
//! "run": {"id":"20261122-143120-9f3a","started_at":"2026-11-22T14:31:20Z", ...},
//! ...
//! "cells": [
//! {"address":{"suite":"ticket-triage","case":"double-charge", ...},"verdict":"pass", ...},
//! {"address":{"suite":"ticket-triage","case":"long-thread", ...},"verdict":"fail", ...}
//! ]
//! }
//! ```
//! One line a member and one line a cell: `grep` finds a cell, and nothing of the size of the run is held in memory.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::run::{RunReport, SCHEMA};
use crate::report::spelled;

/// Why a file is not a run report that this version reads.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("the run report could not be read: {0}")]
    Io(#[from] io::Error),
    /// It is no JSON, or something in it has the wrong shape.
    #[error("not a run report: {0}")]
    Malformed(#[source] serde_json::Error),
    /// It is JSON of something else.
    #[error("not a run report: it has no `schema` of the form `promptkeel.run/N`")]
    NotAReport,
    /// Another version wrote it.
    #[error("the run report has schema `{found}`{by}, and this version reads `{SCHEMA}`")]
    OtherSchema {
        /// What the file says.
        found: String,
        /// Who wrote it, where the file tells.
        by: String,
    },
}

impl ReadError {
    /// The next step.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Io(_) => "look at the disk and the permissions of the file",
            Self::Malformed(_) | Self::NotAReport => "pass a file that `promptkeel run --json FILE` wrote",
            Self::OtherSchema { .. } => "render it with the version that wrote it, or run again",
        }
    }
}

/// The part of every version's report that tells who wrote it.
#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
    run: Option<Writer>,
}

#[derive(Deserialize)]
struct Writer {
    tool: Option<String>,
}

/// Writes `report`, a cell at a time.
///
/// # Errors
///
/// Only what `out` answers.
pub fn write(report: &RunReport, out: &mut dyn io::Write) -> io::Result<()> {
    // Taken apart without `..`, so that a new member cannot be forgotten here.
    let RunReport {
        schema,
        run,
        totals,
        bill,
        policies,
        gates,
        exit,
        models,
        suites,
        versions,
        tags,
        orphans,
        problems,
        prompt_changes,
        improved,
        comparisons,
        baselines,
        remembered,
        right_size,
        texts,
        cells,
    } = report;
    out.write_all(b"{\n")?;
    member(out, "schema", schema)?;
    member(out, "run", run)?;
    member(out, "totals", totals)?;
    member(out, "bill", bill)?;
    list(out, "policies", policies)?;
    list(out, "gates", gates)?;
    member(out, "exit", exit)?;
    list(out, "models", models)?;
    list(out, "suites", suites)?;
    list(out, "versions", versions)?;
    list(out, "tags", tags)?;
    list(out, "orphans", orphans)?;
    list(out, "problems", problems)?;
    list(out, "prompt_changes", prompt_changes)?;
    if !improved.is_empty() {
        list(out, "improved", improved)?;
    }
    if !comparisons.is_empty() {
        list(out, "comparisons", comparisons)?;
    }
    if !baselines.is_empty() {
        list(out, "baselines", baselines)?;
    }
    if let Some(remembered) = remembered {
        member(out, "remembered", remembered)?;
    }
    if !right_size.is_empty() {
        list(out, "right_size", right_size)?;
    }
    list(out, "texts", texts)?;
    items(out, "cells", cells)?;
    out.write_all(b"\n}\n")
}

fn member(out: &mut dyn io::Write, name: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, "\"{name}\": ")?;
    spelled::write(out, value)?;
    out.write_all(b",\n")
}

fn list(out: &mut dyn io::Write, name: &str, values: &[impl Serialize]) -> io::Result<()> {
    items(out, name, values)?;
    out.write_all(b",\n")
}

fn items(out: &mut dyn io::Write, name: &str, values: &[impl Serialize]) -> io::Result<()> {
    write!(out, "\"{name}\": [")?;
    for (index, value) in values.iter().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        spelled::write(out, value)?;
    }
    out.write_all(if values.is_empty() { b"]" } else { b"\n]" })
}

/// Reads a run report back.
///
/// # Errors
///
/// See [`ReadError`]; another schema version is told before anything else is said about the content.
pub fn read(mut from: impl Read) -> Result<RunReport, ReadError> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    let head: Head = serde_json::from_slice(&bytes).map_err(ReadError::Malformed)?;
    match head.schema {
        Some(schema) if schema == SCHEMA => serde_json::from_slice(&bytes).map_err(ReadError::Malformed),
        Some(found) if found.starts_with("promptkeel.run/") => {
            let by = head.run.and_then(|run| run.tool).map(|tool| format!(" (written by {tool})")).unwrap_or_default();
            Err(ReadError::OtherSchema { found, by })
        }
        _ => Err(ReadError::NotAReport),
    }
}

/// The JSON Schema (2020-12) of the run report, from its types.
#[must_use]
pub fn schema() -> Value {
    let mut generated = schemars::schema_for!(RunReport).to_value();
    generated["properties"]["schema"] = json!({ "description": "The version of this format.", "type": "string", "const": SCHEMA });
    // What a person who opens the file wants to see first.
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "promptkeel run report",
        "description": "What `promptkeel run --json FILE` writes: the plain data of one run, from which every other report is made.",
    });
    if let (Some(schema), Value::Object(generated)) = (schema.as_object_mut(), generated) {
        for (key, value) in generated {
            schema.entry(key).or_insert(value);
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn written(report: &RunReport) -> Vec<u8> {
        let mut out = Vec::new();
        write(report, &mut out).unwrap();
        out
    }

    #[test]
    fn a_report_reads_back_as_it_was() {
        for report in [sample::report(), sample::simulated(), sample::passing(0)] {
            assert_eq!(read(&*written(&report)).unwrap(), report);
        }
    }

    #[test]
    fn what_is_written_is_what_the_schema_says() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let value: Value = serde_json::from_slice(&written(&sample::report())).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new());
        let mut other = value;
        other["schema"] = json!("promptkeel.run/2");
        assert!(!validator.is_valid(&other), "another version is not this schema");
    }

    #[test]
    fn the_committed_schema_is_current() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/run.schema.json");
        let current = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == current, "schemas/run.schema.json is not current; hint: promptkeel schema run > schemas/run.schema.json");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_the_next_step() {
        let told = |text: &str| {
            let error = read(text.as_bytes()).unwrap_err();
            format!("{error}\n  hint: {}", error.hint())
        };
        let all = [
            told("{\"schema\": \"promptkeel.run/2\", \"run\": {\"tool\": \"promptkeel 3.0.0\"}}"),
            told("{\"name\": \"package.json\"}"),
            told("{\"schema\": \"promptkeel.run/1\"}"),
            told("<html>"),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }
}
