//! The run as JUnit XML: which test passed, failed, had an error, was skipped, as CI systems read it?
//!
//! ```xml
//! <testsuite name="ticket-triage::claude-haiku-4-5" tests="20" failures="1" errors="0" skipped="0" time="14.210">
//!   <testcase name="double-charge" classname="ticket-triage::claude-haiku-4-5" time="0.812" file="suites/ticket-triage.yaml" line="24">
//!     <properties>
//!       <property name="cost_usd" value="0.000412"/>
//!     </properties>
//!     <failure type="assertion" message="json_path: expected `$.queue` equals &quot;billing&quot;, got &quot;refunds&quot;">...</failure>
//!   </testcase>
//! </testsuite>
//! ```
//! What the gate tolerates (older versions, `gate: false`, a rate that is reached all the same) is `<skipped type="informs">`, as pytest
//! reports expected failures: it is seen, and turns nothing red.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use crate::model::gate::{Exit, GateOutcome, GateResult};
use crate::model::money::Money;
use crate::model::run::{CellResult, RunReport, SampleResult};
use crate::model::verdict::{SkipReason, Verdict};
use crate::report::finding::Layout;
use crate::report::standing::{self, Standing, Standings, Tolerance};
use crate::report::{finding, visible, words};

/// Writes `report` as JUnit. `strict`: no element and no attribute that `junit-10.xsd` of the Jenkins xunit plugin does not know.
pub(crate) fn write(report: &RunReport, strict: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let standings = Standings::of(report);
    let suites = grouped(report, &standings);
    let whole = run_gate(report, &suites);
    let mut xml = Xml { writer: Writer::new_with_indent(out, b' ', 2), strict };
    xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;

    let gates = suites.iter().map(|suite| &suite.gate).chain(&whole);
    let mut counts: Counts = suites.iter().flat_map(|suite| &suite.models).map(|model| model.counts).sum();
    counts += gates.map(Gate::counts).sum();
    let name = if report.run.simulated { "promptkeel (simulated)" } else { "promptkeel" };
    let mut root = BytesStart::new("testsuites");
    attribute(&mut root, "name", name);
    counts.attributes(&mut root, strict);
    attribute(&mut root, "time", &seconds(report.run.duration_ms));
    if !strict {
        attribute(&mut root, "timestamp", &report.run.started_at.to_rfc3339());
    }
    xml.start(root)?;
    for suite in &suites {
        for model in &suite.models {
            model_suite(&mut xml, report, &standings, suite.name, model)?;
        }
        gate_suite(&mut xml, report, suite.name, &suite.gate)?;
    }
    if let Some(gate) = &whole {
        gate_suite(&mut xml, report, "run", gate)?;
    }
    xml.end("testsuites")?;
    xml.writer.get_mut().write_all(b"\n")
}

/// One suite of the project: its models' cells and its gate.
struct Suite<'a> {
    name: &'a str,
    models: Vec<Model<'a>>,
    gate: Gate<'a>,
}

/// The cells of one suite and model, by their place in the report.
struct Model<'a> {
    name: &'a str,
    cells: Vec<usize>,
    counts: Counts,
    milliseconds: u64,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, counts| {
            sum += counts;
            sum
        })
    }
}

impl Counts {
    const fn of(standing: Standing) -> Self {
        let (failures, errors, skipped) = match standing {
            Standing::Passed => (0, 0, 0),
            Standing::Failed | Standing::Snapshot => (1, 0, 0),
            Standing::Errored => (0, 1, 0),
            Standing::Skipped | Standing::Informs(_) => (0, 0, 1),
        };
        Self { tests: 1, failures, errors, skipped }
    }

    fn attributes(self, element: &mut BytesStart<'_>, root_of_strict: bool) {
        attribute(element, "tests", &self.tests.to_string());
        attribute(element, "failures", &self.failures.to_string());
        attribute(element, "errors", &self.errors.to_string());
        // The Jenkins schema knows `skipped` on a suite, not on the root.
        if !root_of_strict {
            attribute(element, "skipped", &self.skipped.to_string());
        }
    }
}

/// The gates of one suite, or of the whole run, as one test.
struct Gate<'a> {
    results: Vec<&'a GateResult>,
    /// What a run ended with that no gate explains.
    unexplained: Option<Exit>,
}

impl Gate<'_> {
    fn outcome(&self) -> GateOutcome {
        let any = |outcome| self.results.iter().any(|gate| gate.outcome == outcome);
        if any(GateOutcome::Fail) || self.unexplained.is_some() {
            GateOutcome::Fail
        } else if any(GateOutcome::Missing) {
            GateOutcome::Missing
        } else if any(GateOutcome::Undecided) {
            GateOutcome::Undecided
        } else {
            GateOutcome::Pass
        }
    }

    fn counts(&self) -> Counts {
        let (failures, errors) = match self.outcome() {
            GateOutcome::Pass => (0, 0),
            GateOutcome::Fail => (1, 0),
            GateOutcome::Missing | GateOutcome::Undecided => (0, 1),
        };
        Counts { tests: 1, failures, errors, skipped: 0 }
    }
}

fn grouped<'a>(report: &'a RunReport, standings: &Standings<'_>) -> Vec<Suite<'a>> {
    let mut suites: Vec<Suite<'a>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut models: HashMap<(usize, &str), usize> = HashMap::new();
    let named = report.cells.iter().map(|cell| &*cell.address.suite).chain(report.suites.iter().map(|suite| suite.name.as_str()));
    for name in named.chain(report.gates.iter().filter_map(|gate| gate.suite.as_deref())) {
        places.entry(name).or_insert_with(|| {
            let results = report.gates.iter().filter(|gate| gate.suite.as_deref() == Some(name)).collect();
            suites.push(Suite { name, models: Vec::new(), gate: Gate { results, unexplained: None } });
            suites.len() - 1
        });
    }
    for (index, cell) in report.cells.iter().enumerate() {
        let place = places[&*cell.address.suite];
        let suite = &mut suites[place];
        let model = *models.entry((place, &cell.address.model)).or_insert_with(|| {
            suite.models.push(Model { name: &cell.address.model, cells: Vec::new(), counts: Counts::default(), milliseconds: 0 });
            suite.models.len() - 1
        });
        let model = &mut suite.models[model];
        model.cells.push(index);
        model.counts += Counts::of(standings.standing(cell));
        model.milliseconds += milliseconds(cell);
    }
    suites
}

/// Gates of the whole run; also there where the run ended badly and no gate says why: nothing selected must not look like all passed.
fn run_gate<'a>(report: &'a RunReport, suites: &[Suite<'_>]) -> Option<Gate<'a>> {
    let results: Vec<&GateResult> = report.gates.iter().filter(|gate| gate.suite.is_none()).collect();
    let explained = report.exit == Exit::Holds || suites.iter().any(|suite| suite.gate.outcome() != GateOutcome::Pass);
    let explained = explained || results.iter().any(|gate| gate.outcome != GateOutcome::Pass);
    let unexplained = (!explained).then_some(report.exit);
    (!results.is_empty() || unexplained.is_some()).then_some(Gate { results, unexplained })
}

fn model_suite(xml: &mut Xml<'_>, report: &RunReport, standings: &Standings<'_>, suite: &str, model: &Model<'_>) -> io::Result<()> {
    let name = format!("{suite}::{}", model.name);
    let mut start = BytesStart::new("testsuite");
    attribute(&mut start, "name", &name);
    model.counts.attributes(&mut start, false);
    attribute(&mut start, "time", &seconds(model.milliseconds));
    attribute(&mut start, "timestamp", &report.run.started_at.format("%Y-%m-%dT%H:%M:%S").to_string());
    xml.start(start)?;
    xml.start(BytesStart::new("properties"))?;
    xml.property("suite", suite)?;
    xml.property("model", model.name)?;
    xml.property("run", &report.run.id)?;
    xml.property("tool", &report.run.tool)?;
    if let Some(revision) = &report.run.revision {
        xml.property("revision", revision)?;
    }
    if report.run.simulated {
        xml.property("simulated", "true")?;
    }
    xml.end("properties")?;
    for &index in &model.cells {
        let cell = &report.cells[index];
        test_case(xml, cell, standings.standing(cell), &name)?;
    }
    xml.end("testsuite")
}

fn test_case(xml: &mut Xml<'_>, cell: &CellResult, standing: Standing, class: &str) -> io::Result<()> {
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
            xml.verdict("failure", "snapshot", &finding::snapshot_line(&cell.snapshot), &text)?;
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
        xml.property("input_tokens", &replies().map(|reply| reply.usage.prompt_tokens()).sum::<u64>().to_string())?;
        xml.property("output_tokens", &replies().map(|reply| reply.usage.output_tokens).sum::<u64>().to_string())?;
        xml.property("served", &joined(replies().map(|reply| words::served(reply.served))))?;
        xml.property("stop_reason", &joined(replies().map(|reply| reply.stop_reason.as_str())))?;
    }
    for id in replies().filter_map(|reply| reply.request_id.as_deref()) {
        xml.property("request_id", id)?;
    }
    xml.end("properties")
}

/// `stored` for five samples that were all stored, else each of them.
fn joined<'a>(mut parts: impl Iterator<Item = &'a str> + Clone) -> String {
    let all = parts.clone();
    match parts.next() {
        Some(first) if parts.all(|part| part == first) => first.to_owned(),
        _ => all.collect::<Vec<_>>().join(", "),
    }
}

/// What a passing cell has to say all the same: warnings, a snapshot that the gate does not mind.
fn asides(cell: &CellResult) -> String {
    let mut text = String::new();
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
    use std::fmt::Write as _;
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
    let _ = writeln!(text, "\ncell: {}\ncase: {}", visible::one_line(&cell.address.to_string()), visible::one_line(&cell.site.to_string()));
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
    }
}

fn gate_suite(xml: &mut Xml<'_>, report: &RunReport, name: &str, gate: &Gate<'_>) -> io::Result<()> {
    use std::fmt::Write as _;
    let mut start = BytesStart::new("testsuite");
    attribute(&mut start, "name", name);
    gate.counts().attributes(&mut start, false);
    attribute(&mut start, "time", &seconds(0));
    attribute(&mut start, "timestamp", &report.run.started_at.format("%Y-%m-%dT%H:%M:%S").to_string());
    xml.start(start)?;
    let mut case = BytesStart::new("testcase");
    attribute(&mut case, "name", "gate");
    attribute(&mut case, "classname", name);
    attribute(&mut case, "time", &seconds(0));
    xml.start(case)?;
    let outcome = gate.outcome();
    if outcome != GateOutcome::Pass {
        let mut body = String::new();
        for result in &gate.results {
            let model = result.model.as_deref().map(|model| format!(" ({model})")).unwrap_or_default();
            let _ =
                writeln!(body, "{:<9}  {}{model}: {}", words::gate_outcome(result.outcome), words::gate_kind(result.kind), result.message);
        }
        let worst = gate.results.iter().filter(|result| result.outcome == outcome);
        let mut messages: Vec<&str> = worst.map(|result| result.message.as_str()).collect();
        messages.extend(gate.unexplained.map(words::exit));
        let element = match outcome {
            GateOutcome::Pass | GateOutcome::Fail => "failure",
            GateOutcome::Missing | GateOutcome::Undecided => "error",
        };
        xml.verdict(element, "gate", &visible::cut(&messages.join("; "), 1_000), &body)?;
    }
    xml.end("testcase")?;
    xml.end("testsuite")
}

/// The time that the model took for all samples of a cell, failed attempts included where nothing else is known.
fn milliseconds(cell: &CellResult) -> u64 {
    let of = |sample: &SampleResult| match (&sample.reply, &sample.error) {
        (Some(reply), _) => reply.latency_ms,
        (None, Some(error)) => error.attempts.iter().map(|attempt| attempt.duration_ms).sum(),
        (None, None) => 0,
    };
    cell.samples.iter().map(of).sum()
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Attributes are read with line breaks as blanks, so none is written; nothing that XML 1.0 forbids passes [`visible`].
fn attribute(element: &mut BytesStart<'_>, name: &str, value: &str) {
    element.push_attribute((name, &*visible::one_line(value)));
}

/// The document as far as it is written.
struct Xml<'a> {
    writer: Writer<&'a mut dyn io::Write>,
    strict: bool,
}

impl Xml<'_> {
    fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        self.writer.write_event(event)
    }

    fn start(&mut self, element: BytesStart<'_>) -> io::Result<()> {
        self.event(Event::Start(element))
    }

    fn end(&mut self, name: &'static str) -> io::Result<()> {
        self.event(Event::End(BytesEnd::new(name)))
    }

    fn property(&mut self, name: &str, value: &str) -> io::Result<()> {
        let mut element = BytesStart::new("property");
        attribute(&mut element, "name", name);
        attribute(&mut element, "value", value);
        self.event(Event::Empty(element))
    }

    fn text(&mut self, name: &'static str, text: &str) -> io::Result<()> {
        self.start(BytesStart::new(name))?;
        self.event(Event::Text(BytesText::new(&visible::lines(text))))?;
        self.end(name)
    }

    /// The element that decides what a CI system shows: a line in `message`, everything in the body.
    fn verdict(&mut self, name: &'static str, kind: &str, message: &str, body: &str) -> io::Result<()> {
        let mut element = BytesStart::new(name);
        attribute(&mut element, "type", kind);
        attribute(&mut element, "message", message);
        if body.is_empty() {
            return self.event(Event::Empty(element));
        }
        self.start(element)?;
        self.event(Event::Text(BytesText::new(&visible::lines(body))))?;
        self.end(name)
    }
}
