//! Does a calibration read as it should, whatever names the suites have?

use serde_json::json;

use crate::model::calibration::Calibration;
use crate::report::style::Style;
use crate::report::{Format, sample, terminal};

fn calibration() -> Calibration {
    let often = |count: u32, low: f64, high: f64| json!({ "count": count, "draws": 2000, "interval": { "low": low, "high": high } });
    let found = |cases: u32, samples: u32, count: u32| json!({ "cases": cases, "samples": samples, "found": { "count": count, "draws": 500, "interval": { "low": 0.77, "high": 0.84 } } });
    let case = |name: &str, passes: u32, share: f64, critical: u32| {
        json!({
            "case": name, "counts": { "passes": passes, "samples": 15 }, "interval": { "low": 0.1, "high": 0.6 },
            "flaky": passes > 0 && passes < 15, "share_of_noise": share, "critical": critical
        })
    };
    let value = json!({
        "schema": "promptkeel.calibration/1", "tool": "promptkeel 0.1.0", "suites": ["ticket-triage"], "runs": 5, "simulated": false,
        "collected": { "passes": 560, "samples": 599 }, "missing_samples": 1, "asked": 480, "spent_usd": "1.2345",
        "policy": { "alpha": 0.05, "margin": 0.05, "local": { "share": 0.5, "most_cases": 10, "fresh_samples": 10 } }, "seed": 1,
        "comparison": {
            "cases": 40, "units": 40, "samples": [3, 3], "blocked": often(42, 0.0156, 0.0283), "broad": 18, "local": 24, "critical": 0,
            "not_worse": often(920, 0.438, 0.482), "undecided": often(1038, 0.497, 0.541), "reused": 40
        },
        "pass_rates": [
            { "suite": "ticket-triage", "model": "claude-haiku-4-5", "min_pass_rate": 1.0, "cells": 40, "blocked": often(1940, 0.961, 0.977) }
        ],
        "detection": {
            "drop": 0.05, "power": 0.8, "now": found(40, 3, 155), "by_samples": found(40, 14, 404), "by_cases": null, "smallest": 0.112
        },
        "cases": [
            case("ticket-triage::refund", 6, 0.52, 1), case(sample::HOSTILE, 14, 0.12, 0), case("ticket-triage::never", 0, 0.0, 0),
            case("ticket-triage::always", 15, 0.0, 0)
        ],
        "left_out": ["ticket-triage::silent"]
    });
    serde_json::from_value(value).unwrap()
}

fn shown(calibration: &Calibration) -> String {
    let mut out = Vec::new();
    terminal::calibration(calibration, &mut out, Style { width: 100, ..Style::PLAIN }).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_screen() {
    insta::assert_snapshot!(shown(&calibration()));
}

#[test]
fn a_page() {
    let mut out = Vec::new();
    crate::report::write_calibration(Format::Markdown, &calibration(), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn what_blocks_too_much_says_so_and_what_is_simulated_too() {
    let mut loud = calibration();
    loud.comparison.blocked.interval.low = 0.06;
    assert!(super::is_loud(&loud) && !super::is_loud(&calibration()));
    loud.simulated = true;
    let told = shown(&loud);
    assert!(told.starts_with("SIMULATED") && told.contains("of a simulator") && !told.contains("$1.23"), "{told}");
}

#[test]
fn no_other_format_is_written() {
    assert!(crate::report::write_calibration(Format::Html, &calibration(), &mut Vec::new()).is_err());
}

#[test]
fn the_schema_describes_what_is_written() {
    let schema = super::schema();
    let mut out = Vec::new();
    crate::report::write_calibration(Format::Json, &calibration(), &mut out).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert!(jsonschema::is_valid(&schema, &written), "{written}");
}

#[test]
fn the_committed_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/calibration.schema.json");
    let mut printed = Vec::new();
    crate::report::spelled::write_pretty(&mut printed, &super::schema()).unwrap();
    printed.push(b'\n');
    let committed = std::fs::read(path).unwrap_or_default();
    if committed != printed {
        std::fs::write(path, &printed).unwrap();
        panic!("schemas/calibration.schema.json was out of date and has been written again; commit it");
    }
}
