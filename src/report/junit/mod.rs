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

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use quick_xml::events::BytesStart;

use crate::model::baseline::SuiteComparison;
use crate::model::comparison::percent;
use crate::model::gate::{Exit, GateOutcome, GateResult};
use crate::model::run::{Group, RunReport};
use crate::report::standing::Standings;
use crate::report::{billed, visible, words};
use cells::{milliseconds, sampled_properties, test_case};
use counts::Counts;
use xml::{Xml, attribute, seconds};

mod cells;
#[cfg(test)]
mod conformance;
mod counts;
mod xml;

/// Writes `report` as JUnit. `strict`: no element and no attribute that `junit-10.xsd` of the Jenkins xunit plugin does not know.
pub(crate) fn write(report: &RunReport, strict: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let standings = Standings::of(report);
    let suites = grouped(report, &standings);
    let whole = run_gate(report, &suites);
    let mut xml = Xml::new(out, strict)?;

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
    xml.finish()
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
        model.milliseconds = model.milliseconds.saturating_add(milliseconds(cell));
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
    attribute(&mut start, "timestamp", &report.run.started_at.to_rfc3339());
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
    let of_model = |group: &&Group| group.suite.as_deref() == Some(suite) && group.name == model.name;
    let group = report.models.iter().find(of_model);
    if let Some(told) = group.and_then(|group| group.sampled.as_ref()) {
        sampled_properties(xml, told)?;
    }
    for (member, value) in group.map(|group| billed::members(&group.bill)).unwrap_or_default() {
        xml.property(&format!("bill_{member}"), &value)?;
    }
    // What stands in no cell (answers that came late, a baseline) is in the bill of the run alone, which is told once.
    if model.cells.first() == Some(&0) {
        for (member, value) in billed::members(&report.bill) {
            xml.property(&format!("run_bill_{member}"), &value)?;
        }
    }
    xml.end("properties")?;
    for &index in &model.cells {
        let cell = &report.cells[index];
        test_case(xml, cell, standings.standing(cell), &name)?;
    }
    xml.end("testsuite")
}

fn gate_suite(xml: &mut Xml<'_>, report: &RunReport, name: &str, gate: &Gate<'_>) -> io::Result<()> {
    let mut start = BytesStart::new("testsuite");
    attribute(&mut start, "name", name);
    gate.counts().attributes(&mut start, false);
    attribute(&mut start, "time", &seconds(0));
    attribute(&mut start, "timestamp", &report.run.started_at.to_rfc3339());
    xml.start(start)?;
    let mut case = BytesStart::new("testcase");
    attribute(&mut case, "name", "gate");
    attribute(&mut case, "classname", name);
    attribute(&mut case, "time", &seconds(0));
    xml.start(case)?;
    let mut of_suite = report.comparisons.iter().filter(|comparison| comparison.suite == name);
    // Of several models the one that does, else the cheapest: a dashboard has one line for the gate.
    let does = |comparison: &&SuiteComparison| comparison.cheapest.as_ref().is_some_and(|cheapest| cheapest.model == comparison.model);
    let comparison = of_suite.clone().find(does).or_else(|| of_suite.next());
    if let Some(comparison) = comparison {
        compared_properties(xml, comparison)?;
    }
    let outcome = gate.outcome();
    if outcome != GateOutcome::Pass {
        let mut body = String::new();
        for result in &gate.results {
            let model = result.model.as_deref().map(|model| format!(" ({model})")).unwrap_or_default();
            // The message begins with the kind in most cases: once is enough.
            let kind = words::gate_kind(result.kind);
            let message = result.message.strip_prefix(kind).map_or(&*result.message, |rest| rest.trim_start_matches([':', ' ']));
            let _ = writeln!(body, "{:<9}  {kind}{model}: {message}", words::gate_outcome(result.outcome));
        }
        let worst = gate.results.iter().filter(|result| result.outcome == outcome);
        let mut messages: Vec<&str> = worst.map(|result| result.message.as_str()).collect();
        messages.extend(gate.unexplained.map(words::exit));
        let element = match outcome {
            GateOutcome::Pass | GateOutcome::Fail => "failure",
            GateOutcome::Missing | GateOutcome::Undecided => "error",
        };
        xml.verdict(element, "gate", &visible::cut(&messages.join("; "), 1_000), &body)?;
    } else if let Some(comparison) = comparison {
        xml.text("system-out", &comparison.message)?;
    }
    xml.end("testcase")?;
    xml.end("testsuite")
}

/// What the comparison of a suite with its baseline came to, for a dashboard.
fn compared_properties(xml: &mut Xml<'_>, comparison: &SuiteComparison) -> io::Result<()> {
    if xml.strict {
        return Ok(());
    }
    xml.start(BytesStart::new("properties"))?;
    xml.property("baseline", &comparison.baseline)?;
    if let Some(model) = &comparison.model {
        xml.property("compared_model", model)?;
    }
    xml.property("comparison", words::standing(comparison.standing))?;
    if let Some(compared) = &comparison.compared {
        let told = &compared.comparison;
        let points = |share: f64| format!("{:+.1}", share * 100.0);
        if let Some(answered) = compared.baseline.answered {
            xml.property("baseline_answered", &answered.last.to_rfc3339())?;
        }
        xml.property("compared_cases", &told.cases.to_string())?;
        xml.property("difference_points", &points(told.difference))?;
        let confidence = percent(told.confidence);
        xml.property("difference_interval", &format!("{} to {} ({confidence} %)", points(told.interval.low), points(told.interval.high)))?;
        xml.property("margin_points", &format!("{:.1}", told.policy.margin * 100.0))?;
        if let Some(detectable) = told.detectable {
            xml.property("detectable_points", &format!("{:.1}", detectable * 100.0))?;
        }
    }
    xml.end("properties")
}
