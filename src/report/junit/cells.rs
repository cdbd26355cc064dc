//! How is one cell told as a test case?

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use quick_xml::events::BytesStart;

use super::xml::{Xml, attribute, seconds};
use crate::model::money::Money;
use crate::model::run::{CellResult, SampleResult};
use crate::model::sampled::Sampled;
use crate::model::verdict::{SkipReason, Verdict};
use crate::report::finding::{self, Layout};
use crate::report::standing::{self, Standing, Tolerance};
use crate::report::{figures, retries, sampled, visible, words};

/// Writes one cell.
pub(super) fn test_case(xml: &mut Xml<'_>, cell: &CellResult, standing: Standing, class: &str) -> io::Result<()> {
    let mut start = BytesStart::new("testcase");
    let address = &cell.address;
    let name = if cell.side_by_side {
        Cow::Owned(format!("{} [{}@{}]", address.case, address.prompt, address.version))
    } else {
        Cow::Borrowed(&*address.case)
    };
    attribute(&mut start, "name", &name);
    attribute(&mut start, "classname", class);
    attribute(&mut start, "time", &seconds(milliseconds(cell)));
    if !xml.strict {
        attribute(&mut start, "file", &cell.site.file);
        attribute(&mut start, "line", &cell.site.line.to_string());
    }
    xml.start(start)?;
    if !xml.strict {
        properties(xml, cell)?;
    }
    let leading = finding::leading(cell);
    match standing {
        Standing::Passed => {
            for sample in cell.samples.iter().filter(|sample| sample.verdict != Verdict::Pass) {
                rerun(xml, sample, "flakyFailure", "flakyError")?;
            }
            let output = asides(cell);
            if !output.is_empty() {
                xml.text("system-out", &output)?;
            }
        }
        Standing::Snapshot => {
            let mut text = String::new();
            finding::tell_snapshot(cell, Layout::Indented, &mut text);
            xml.verdict("failure", "snapshot", &finding::snapshot_line(cell), &text)?;
        }
        Standing::Failed => {
            xml.verdict("failure", "assertion", &headline(cell, leading), &story(cell, leading))?;
            reruns(xml, cell, leading)?;
        }
        Standing::Errored => {
            let kind = leading.and_then(|sample| sample.error.as_ref()).map_or("judging", |error| words::error_type(error.kind));
            xml.verdict("error", kind, &headline(cell, leading), &story(cell, leading))?;
            reruns(xml, cell, leading)?;
        }
        Standing::Informs(tolerance) => {
            let message = format!("{}: {}", tolerance.reason(), headline(cell, leading));
            xml.verdict("skipped", informs(tolerance), &message, &story(cell, leading))?;
        }
        Standing::Skipped => {
            let reason = leading.and_then(|sample| sample.skipped.as_ref());
            let message = reason.map_or_else(|| "nothing was asked".to_owned(), finding::skip_line);
            xml.verdict("skipped", reason.map_or("skipped", skip_type), &message, "")?;
        }
    }
    xml.end("testcase")
}

/// Cost, tokens, ids: what a dashboard wants from a test, and nothing that a passing test need not say.
fn properties(xml: &mut Xml<'_>, cell: &CellResult) -> io::Result<()> {
    let replies = || cell.samples.iter().filter_map(|sample| sample.reply.as_ref());
    xml.start(BytesStart::new("properties"))?;
    xml.property("prompt", &format!("{}@{}", cell.address.prompt, cell.address.version))?;
    if *cell.model_id != *cell.address.model {
        xml.property("model_id", &cell.model_id)?;
    }
    if replies().any(|reply| reply.simulated) {
        xml.property("simulated", "true")?;
    }
    if replies().next().is_some() {
        let cost: Option<Money> = replies().map(|reply| reply.cost_usd).sum();
        xml.property("cost_usd", &cost.map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string()))?;
        xml.property("input_tokens", &all(replies().map(|reply| reply.usage.prompt_tokens())).to_string())?;
        xml.property("output_tokens", &all(replies().map(|reply| reply.usage.output_tokens)).to_string())?;
        xml.property("served", &joined(replies().map(|reply| words::served(reply.served))))?;
        xml.property("stop_reason", &joined(replies().map(|reply| reply.stop_reason.as_str())))?;
    }
    if let Some(told) = &cell.sampled {
        sampled_properties(xml, told)?;
    }
    if retries::failed(cell).next().is_some() {
        xml.property("retried", &retries::causes(retries::failed(cell)))?;
    }
    for id in replies().filter_map(|reply| reply.request_id.as_deref()) {
        xml.property("request_id", id)?;
    }
    xml.end("properties")
}

/// What several samples say, of a cell or of a suite's model.
pub(super) fn sampled_properties(xml: &mut Xml<'_>, told: &Sampled) -> io::Result<()> {
    xml.property("samples", &told.counts.samples.to_string())?;
    xml.property("samples_passed", &told.counts.passes.to_string())?;
    xml.property("pass_rate_interval", &sampled::interval(told))?;
    for (title, chance) in [(sampled::any_title(told), told.pass_at_k), (sampled::all_title(told), told.all_of_k_pass)] {
        if chance.is_some() {
            xml.property(&title, &sampled::chance(chance))?;
        }
    }
    Ok(())
}

/// `stored` for five samples that were all stored, else each of them.
fn joined<'a>(mut parts: impl Iterator<Item = &'a str> + Clone) -> String {
    let all = parts.clone();
    match parts.next() {
        Some(first) if parts.all(|part| part == first) => first.to_owned(),
        _ => all.collect::<Vec<_>>().join(", "),
    }
}

/// What a passing cell has to say all the same: failed attempts, warnings, a snapshot that the gate does not mind.
fn asides(cell: &CellResult) -> String {
    let mut text = String::new();
    let failed = retries::failed(cell).count() as u64;
    if failed > 0 {
        let attempts = figures::counted(failed, "failed attempt", "failed attempts");
        let _ = writeln!(text, "answered after {attempts}: {}", retries::causes(retries::failed(cell)));
    }
    for result in finding::warnings(cell) {
        finding::tell_assertion(result, Layout::Indented, &mut text);
    }
    if standing::is_news(&cell.snapshot) {
        finding::tell_snapshot(cell, Layout::Indented, &mut text);
    }
    text
}

fn headline(cell: &CellResult, leading: Option<&SampleResult>) -> String {
    let line = leading.map(finding::headline).unwrap_or_default();
    let line = if line.is_empty() { format!("the cell's verdict is {}", cell.verdict.as_str()) } else { line };
    let failing = finding::samples(cell, cell.verdict).count();
    if cell.samples.len() > 1 { format!("{failing} of {} samples: {line}", cell.samples.len()) } else { line }
}

fn story(cell: &CellResult, leading: Option<&SampleResult>) -> String {
    let mut text = String::new();
    if let Some(sample) = leading {
        if cell.samples.len() > 1 {
            let _ = writeln!(text, "sample {} of {}", sample.index + 1, cell.samples.len());
        }
        finding::tell(sample, Layout::Indented, &mut text);
    }
    if standing::is_news(&cell.snapshot) {
        finding::tell_snapshot(cell, Layout::Indented, &mut text);
    }
    let _ = writeln!(text, "\ncell: {}\ncase: {}", visible::name(&cell.address.to_string()), visible::name(&cell.site.to_string()));
    text
}

/// The other samples that did not pass; the leading one is the cell's own failure already.
fn reruns(xml: &mut Xml<'_>, cell: &CellResult, leading: Option<&SampleResult>) -> io::Result<()> {
    let others =
        cell.samples.iter().filter(|sample| sample.verdict != Verdict::Pass && leading.is_none_or(|leading| leading.index != sample.index));
    for sample in others {
        rerun(xml, sample, "rerunFailure", "rerunError")?;
    }
    Ok(())
}

fn rerun(xml: &mut Xml<'_>, sample: &SampleResult, failure: &'static str, error: &'static str) -> io::Result<()> {
    let (element, kind) = match sample.verdict {
        Verdict::Fail => (failure, "assertion"),
        Verdict::Error => (error, sample.error.as_ref().map_or("judging", |error| words::error_type(error.kind))),
        Verdict::Pass | Verdict::Skipped => return Ok(()),
    };
    let mut text = String::new();
    finding::tell(sample, Layout::Indented, &mut text);
    let mut start = BytesStart::new(element);
    attribute(&mut start, "message", &format!("sample {}: {}", sample.index + 1, finding::headline(sample)));
    attribute(&mut start, "type", kind);
    xml.start(start)?;
    xml.text("stackTrace", &text)?;
    xml.end(element)
}

const fn informs(tolerance: Tolerance) -> &'static str {
    match tolerance {
        Tolerance::OlderVersion | Tolerance::UngatedModel => "informs",
        Tolerance::WithinRate => "tolerated",
    }
}

const fn skip_type(reason: &SkipReason) -> &'static str {
    match reason {
        SkipReason::Interrupted => "interrupted",
        SkipReason::Budget => "budget",
        SkipReason::MaxFail => "max_fail",
        SkipReason::ModelUnavailable(_) => "model_unavailable",
        SkipReason::StoreFailed(_) => "store_failed",
        SkipReason::EndpointDown(_) => "endpoint_down",
        SkipReason::Batch(_) => "batch",
        SkipReason::RunTimeout => "run_timeout",
    }
}

/// The time that the model took for all samples of a cell, failed attempts included where nothing else is known.
pub(super) fn milliseconds(cell: &CellResult) -> u64 {
    let of = |sample: &SampleResult| match (&sample.reply, &sample.error) {
        (Some(reply), _) => reply.latency().unwrap_or(0),
        (None, Some(error)) => all(error.attempts.iter().map(|attempt| attempt.duration_ms)),
        (None, None) => 0,
    };
    all(cell.samples.iter().map(of))
}

/// A sum that saturates: the numbers are a server's, or those of a file that anybody may have written.
pub(super) fn all(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}
