//! What is a cell made of, and did any of it change?

use std::sync::Arc;

use serde::Serialize;

use crate::model::assertion::{AssertionKind, AssertionSeverity};
use crate::model::key;
use crate::model::run::CellDigests;
use crate::model::suite::{Case, GatePolicy, Parse, PassRule, SnapshotPolicy};
use crate::runner::plan::PlannedCell;

/// An assertion without its place: moving it in the file changes nothing.
#[derive(Serialize)]
struct Judged<'a> {
    kind: &'a AssertionKind,
    negated: bool,
    severity: AssertionSeverity,
}

/// Everything that can move a cell's verdict.
#[derive(Serialize)]
struct Ingredients<'a> {
    keys: Vec<String>,
    variables: &'a str,
    assertions: &'a str,
    parse: Parse,
    pass: PassRule,
    snapshot: &'a SnapshotPolicy,
    gate: &'a GatePolicy,
    gated: bool,
    accepted: Option<&'a str>,
}

/// Digests of a cell; `accepted` is the text of its snapshot file.
#[must_use]
pub fn digests(cell: &PlannedCell, accepted: Option<&str>) -> CellDigests {
    let variables = variables(&cell.case);
    let assertions = assertions(&cell.case);
    let suite = &cell.variant.suite;
    let ingredients = Ingredients {
        keys: cell.keys.iter().map(ToString::to_string).collect(),
        variables: &variables,
        assertions: &assertions,
        parse: suite.parse,
        pass: suite.pass,
        snapshot: &suite.snapshot,
        gate: &suite.gate,
        gated: cell.variant.gated,
        accepted,
    };
    CellDigests {
        prompt: Arc::clone(&cell.variant.version.file.digest),
        fingerprint: digest(&ingredients),
        variables,
        assertions,
        fixtures: cell.case.fixtures.clone().into(),
    }
}

/// The fingerprint alone: what `--changed-since` compares.
#[must_use]
pub fn fingerprint(cell: &PlannedCell, accepted: Option<&str>) -> Arc<str> {
    digests(cell, accepted).fingerprint
}

/// Digest of a case's variables: two cases of the same ask the same.
#[must_use]
pub fn variables(case: &Case) -> Arc<str> {
    digest(&*case.variables)
}

fn assertions(case: &Case) -> Arc<str> {
    let judged: Vec<Judged<'_>> = case
        .assertions
        .iter()
        .map(|assertion| Judged { kind: &assertion.kind, negated: assertion.negated, severity: assertion.severity })
        .collect();
    digest(&judged)
}

fn digest(value: &impl Serialize) -> Arc<str> {
    key::digest(&serde_json::to_vec(value).expect("plain data with string keys is always JSON"))
}
