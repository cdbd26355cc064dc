//! A run with every verdict, state and corner that a format must show: what do the golden files of all formats are made from?

pub(crate) mod assertions;
mod differences;
mod sums;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::model::gate::{Exit, GateKind, GateOutcome, GateResult, SuitePolicy};
use crate::model::problem::{Place, Problem, Site};
use crate::model::remembered::{FlakyCell, ModelSums, Remembered, Trend, TrendPoint};
use crate::model::reply::{Attempt, RefusalDetails, Served, StopReason, Usage};
use crate::model::request::Role;
use crate::model::right_size::RightSize;
use crate::model::run::{
    Address, Bill, CellDigests, CellResult, Improved, ReplyFacts, RequestFacts, RunInfo, RunReport, SCHEMA, SampleResult, Totals, TurnFacts,
};
use crate::model::suite::OnChange;
use crate::model::verdict::{AssertionResult, CellError, ErrorKind, SkipReason, SnapshotState, Verdict};
use crate::report::sample::assertions::{held, hostile, language, queue, refund, refused, truncated, unjudged, warning};
use crate::report::sample::differences::{changed, json_diff, one_of_three, prompt_change, text_diff};
use crate::report::sample::sums::{bill, groups, totals};

/// What a model might write to break whoever shows it.
pub(crate) const HOSTILE: &str = "\u{1b}[2J\u{1b}[31mred\u{0}\u{7}]]></failure><x a='\"'>&amp; | ``` ```` <!-- promptkeel --> @octocat #1 https://evil.example\r\n\ttab \u{202e}dlo\u{fffe}\u{ffff}\u{feff}</details>";

const HAIKU: &str = "claude-haiku-4-5";
const SONNET: &str = "claude-sonnet-4-6";

/// What every cell of the sample was asked.
const TEXTS: [&str; 3] = ["You route support tickets.", "I was charged twice for March.", "{\n  \"max_tokens\": 512\n}"];

/// Three runs of one suite, and a failure that was a pass before.
fn remembered(cells: &[CellResult]) -> Remembered {
    let point = |(run, passed, cost, latency): (&str, u64, &str, u64)| TrendPoint {
        run: run.to_owned(),
        started_at: day("2026-11-22T14:31:20Z"),
        sums: ModelSums { passed, failed: 20 - passed, cost_usd: cost.parse().ok(), latency_p50_ms: Some(latency) },
    };
    let points = [
        ("20261120-101500-0a01", 20, "0.0123", 810),
        ("20261121-101500-0a02", 18, "0.0125", 1_450),
        ("20261122-143120-9f3a", 17, "0.0171", 905),
    ];
    let failed = cells.iter().find(|cell| cell.verdict == Verdict::Fail && cell.gated).expect("the sample fails");
    Remembered {
        trends: vec![Trend { suite: "ticket-triage".to_owned(), model: HAIKU.to_owned(), points: points.map(point).to_vec() }],
        flaky: vec![FlakyCell { address: failed.address.clone(), passed: 3, failed: 2 }],
    }
}

fn right_size() -> Vec<RightSize> {
    let suite = "ticket-triage".to_owned();
    let (prompt, haiku, sonnet) = ("ticket-triage@3".to_owned(), HAIKU.to_owned(), "claude-sonnet-4-6".to_owned());
    vec![
        RightSize::MaxTokens { suite: suite.clone(), model: haiku.clone(), max_tokens: 8_000, longest: 240, answers: 40 },
        RightSize::CheaperModel {
            suite: suite.clone(),
            model: sonnet.clone(),
            cheaper: haiku.clone(),
            cells: 40,
            passed: 39,
            usd: "0.41".parse().unwrap(),
            cheaper_usd: "0.14".parse().unwrap(),
        },
        RightSize::BelowCacheMinimum {
            suite: suite.clone(),
            prompt: prompt.clone(),
            model: haiku,
            tokens: 3_700,
            minimum: 4_096,
            requests: 40,
            saving_usd: "0.1281".parse().unwrap(),
        },
        RightSize::NeverHit { suite, prompt, model: sonnet, requests: 12, written_tokens: 14_400, lost_usd: "0.0108".parse().unwrap() },
    ]
}

/// The whole run: fails, with something of everything.
pub(crate) fn report() -> RunReport {
    let cells = cells();
    RunReport {
        schema: SCHEMA.to_owned(),
        run: RunInfo {
            id: "20261122-143120-9f3a".to_owned(),
            started_at: day("2026-11-22T14:31:20Z"),
            duration_ms: 84_210,
            tool: "promptkeel 0.1.0".to_owned(),
            revision: Some("4be1d2c9e0a7-dirty".to_owned()),
            endpoints: vec!["anthropic".to_owned(), "simulated".to_owned()],
            simulated: false,
            shard: None,
            filtered: false,
        },
        totals: Totals { snapshots_orphaned: 1, ..totals(&cells) },
        bill: Bill { unknown_attempts: 2, ..bill(&cells) },
        policies: ["ticket-triage", "bilingual-summary", "support-answers", "extraction"]
            .map(|name| SuitePolicy { name: name.to_owned(), min_pass_rate: 1.0, on_change: OnChange::Fail, comparison: None })
            .to_vec(),
        gates: gates(),
        exit: Exit::Fails,
        models: groups(&cells, |cell| (Some(cell.address.suite.to_string()), cell.address.model.to_string())),
        suites: groups(&cells, |cell| (None, cell.address.suite.to_string())),
        versions: groups(&cells, |cell| (None, format!("{}@{}", cell.address.prompt, cell.address.version))),
        tags: groups(&cells, |_| (None, "billing".to_owned())),
        prompt_changes: vec![prompt_change()],
        comparisons: Vec::new(),
        baselines: Vec::new(),
        remembered: Some(remembered(&cells)),
        right_size: right_size(),
        improved: vec![Improved {
            run: "20261121-090000-17ac".to_owned(),
            revision: Some("0c1d2c9e0a7b".to_owned()),
            cells: vec![cells[3].address.clone()],
        }],
        orphans: vec!["snapshots/ticket-triage/renamed-case/claude-haiku-4-5.snap".to_owned()],
        texts: TEXTS.map(Arc::from).to_vec(),
        problems: vec![Problem::warning("the text of `ticket-triage@3` changed since it was accepted").at(Place {
            file: Arc::from("suites/ticket-triage.yaml"),
            line: 7,
            column: 9,
            length: 13,
            source: "prompt: ticket-triage".to_owned(),
        })],
        cells,
    }
}

/// A small run where everything holds, answered by the simulator.
pub(crate) fn simulated() -> RunReport {
    let mut whole = report();
    whole
        .cells
        .retain(|cell| cell.verdict == Verdict::Pass && cell.gated && cell.snapshot == SnapshotState::Same && cell.samples.len() == 1);
    for reply in whole.cells.iter_mut().flat_map(|cell| &mut cell.samples).filter_map(|sample| sample.reply.as_mut()) {
        (reply.simulated, reply.served) = (true, Served::Fresh);
    }
    whole.run.simulated = true;
    (whole.gates, whole.exit, whole.orphans, whole.problems) = (Vec::new(), Exit::Holds, Vec::new(), Vec::new());
    whole.improved = Vec::new();
    (whole.totals, whole.bill) = (totals(&whole.cells), bill(&whole.cells));
    whole.models = groups(&whole.cells, |cell| (Some(cell.address.suite.to_string()), cell.address.model.to_string()));
    whole.versions.clear();
    whole
}

/// The same passing cell so many times, under different names.
pub(crate) fn passing(count: usize) -> RunReport {
    let mut whole = simulated();
    let cell = whole.cells.swap_remove(0);
    whole.cells = (0..count)
        .map(|index| CellResult { address: Address { case: Arc::from(format!("case-{index}")), ..cell.address.clone() }, ..cell.clone() })
        .collect();
    (whole.totals, whole.bill) = (totals(&whole.cells), bill(&whole.cells));
    whole
}

fn cells() -> Vec<CellResult> {
    let mut cells = vec![
        pass("ticket-triage", "password-reset", 3, HAIKU),
        with(cell("ticket-triage", "double-charge", 3, HAIKU, fails(vec![queue()])), |cell| cell.snapshot = changed(json_diff())),
        with(pass("ticket-triage", "double-charge", 3, SONNET), crate::report::retries::tests::after_failures),
        with(pass("ticket-triage", "long-thread", 3, HAIKU), |cell| cell.snapshot = one_of_three(changed(text_diff()))),
        with(pass("ticket-triage", "long-thread", 3, SONNET), |cell| cell.snapshot = SnapshotState::New { reason: None }),
        with(pass("ticket-triage", "billing-de", 3, SONNET), |cell| {
            cell.snapshot = SnapshotState::New { reason: Some("the accepted one was answered by the simulator".to_owned()) };
        }),
        with(pass("ticket-triage", "billing-fr", 3, SONNET), |cell| {
            cell.snapshot = SnapshotState::Unreadable { message: "line 2: `modle` is no key of a snapshot's head".to_owned() };
        }),
        cell("ticket-triage", "prompt injection | <b>`x`</b> @octocat", 3, HAIKU, fails(vec![hostile()])),
        with(pass("ticket-triage", "terse", 3, HAIKU), |cell| cell.samples[0].assertions.push(warning())),
        with(cell("bilingual-summary", "refund-de", 1, HAIKU, fails(vec![language()])), older),
        with(cell("bilingual-summary", "invoice-de", 1, HAIKU, fails(vec![language()])), older),
        with(pass("bilingual-summary", "refund-de", 2, HAIKU), |cell| cell.side_by_side = true),
        with(pass("bilingual-summary", "invoice-de", 2, HAIKU), |cell| cell.side_by_side = true),
        with(cell("bilingual-summary", "refund-de", 2, "opus-trial", fails(vec![language()])), |cell| {
            (cell.gated, cell.side_by_side, cell.model_id) = (false, true, Arc::from("claude-opus-4-7"));
            cell.samples[0].reply.as_mut().unwrap().cost_usd = None;
        }),
        with(pass("support-answers", "return-policy", 1, HAIKU), |cell| {
            cell.samples = samples(vec![sample(), fails(vec![refund()]), sample()]);
            cell.sampled = sums::sampled((2, 3), (0.207_659_6, 0.938_508_2), 3, Some((1.0, 0.0)));
        }),
        with(cell("support-answers", "angry-customer", 1, HAIKU, sample()), |cell| {
            cell.verdict = Verdict::Fail;
            cell.samples = samples(vec![sample(), fails(vec![refund()]), fails(vec![refund(), language()]), errors(overloaded())]);
            cell.sampled = sums::sampled((1, 3), (0.061_491_9, 0.792_340_3), 4, None);
        }),
        with(cell("support-answers", "off-topic", 1, HAIKU, fails(vec![refund()])), |cell| cell.snapshot = SnapshotState::None),
        cell("extraction", "contract-a", 1, HAIKU, errors(overloaded())),
        cell("extraction", "contract-b", 1, HAIKU, errors(overloaded())),
        cell("extraction", "contract-c", 1, HAIKU, errors(malformed())),
        cell("extraction", "contract-d", 1, HAIKU, skips(SkipReason::Budget)),
        cell("extraction", "contract-a", 1, "claude-retired", errors(denied())),
        cell(
            "extraction",
            "contract-b",
            1,
            "claude-retired",
            skips(SkipReason::ModelUnavailable("404 not_found_error: model: claude-retired".to_owned())),
        ),
        with(cell("extraction", "contract-e", 1, HAIKU, fails(vec![truncated()])), |cell| {
            cell.samples[0].reply.as_mut().unwrap().stop_reason = StopReason::MaxTokens;
        }),
        with(cell("extraction", "contract-f", 1, HAIKU, fails(vec![refused()])), |cell| {
            let reply = cell.samples[0].reply.as_mut().unwrap();
            reply.stop_reason = StopReason::Refusal;
            reply.refusal = Some(RefusalDetails { category: Some("cyber".to_owned()), explanation: None });
            reply.text.clear();
        }),
    ];
    cells.push(with(cell("extraction", "contract-g", 1, HAIKU, fails(vec![unjudged()])), |cell| {
        (cell.verdict, cell.samples[0].verdict) = (Verdict::Error, Verdict::Error);
    }));
    cells
}

fn with(mut cell: CellResult, change: impl FnOnce(&mut CellResult)) -> CellResult {
    change(&mut cell);
    cell
}

fn older(cell: &mut CellResult) {
    (cell.gated, cell.side_by_side, cell.snapshot, cell.snapshot_path) = (false, true, SnapshotState::None, None);
}

fn pass(suite: &str, case: &str, version: u32, model: &str) -> CellResult {
    let mut cell = cell(suite, case, version, model, sample());
    cell.snapshot = SnapshotState::Same;
    cell
}

pub(crate) fn cell(suite: &str, case: &str, version: u32, model: &str, sample: SampleResult) -> CellResult {
    let turns = vec![TurnFacts { role: Role::User, content: vec![1] }];
    CellResult {
        address: Address { suite: Arc::from(suite), case: Arc::from(case), prompt: Arc::from(suite), version, model: Arc::from(model) },
        model_id: Arc::from(model),
        endpoint: Arc::from("anthropic"),
        verdict: sample.verdict,
        gated: true,
        side_by_side: false,
        cluster: None,
        tags: Arc::from(["billing".to_owned()]),
        site: site(suite, 24),
        snapshot: SnapshotState::None,
        snapshot_path: Some(Arc::from(format!("snapshots/{suite}/{case}/{model}.snap"))),
        candidate: None,
        digests: CellDigests::default(),
        request: Some(RequestFacts { system: vec![0], turns, parameters: 2 }),
        samples: vec![sample],
        sampled: None,
        attempt_at_most_usd: None,
    }
}

fn site(suite: &str, line: u32) -> Site {
    Site { file: Arc::from(format!("suites/{suite}.yaml")), line }
}

pub(crate) fn day(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn samples(samples: Vec<SampleResult>) -> Vec<SampleResult> {
    (0..).zip(samples).map(|(index, sample)| SampleResult { index, ..sample }).collect()
}

pub(crate) fn sample() -> SampleResult {
    SampleResult {
        index: 0,
        key: "9f3a".repeat(16),
        verdict: Verdict::Pass,
        reply: Some(ReplyFacts {
            text: "{\"queue\": \"billing\", \"summary\": \"Customer was charged twice for March.\"}".to_owned(),
            other_blocks: Vec::new(),
            stop_reason: StopReason::EndTurn,
            refusal: None,
            usage: Usage { input_tokens: 412, cache_read_tokens: 1_200, output_tokens: 38, ..Usage::default() },
            cost_usd: Some("0.000722".parse().unwrap()),
            unbatched_cost_usd: None,
            uncached_cost_usd: Some("0.001802".parse().unwrap()),
            latency_ms: 812,
            served: Served::Stored,
            simulated: false,
            request_id: Some("req_011CSHoEeqs5C35K2UUqR7Fy".to_owned()),
            answered_at: day("2026-11-21T09:00:00Z"),
            attempts: Vec::new(),
            forgotten: false,
        }),
        assertions: vec![held()],
        error: None,
        skipped: None,
    }
}

pub(crate) fn fails(results: Vec<AssertionResult>) -> SampleResult {
    let mut sample = sample();
    sample.verdict = Verdict::Fail;
    sample.assertions.extend(results);
    let reply = sample.reply.as_mut().unwrap();
    (reply.served, reply.latency_ms) = (Served::Fresh, 1_930);
    sample
}

fn errors(error: CellError) -> SampleResult {
    SampleResult { verdict: Verdict::Error, reply: None, assertions: Vec::new(), error: Some(error), ..sample() }
}

fn skips(reason: SkipReason) -> SampleResult {
    SampleResult { verdict: Verdict::Skipped, reply: None, assertions: Vec::new(), skipped: Some(reason), ..sample() }
}

fn attempt(status: Option<u16>, error: ErrorKind, message: &str) -> Attempt {
    let (message, request_id) = (Some(message.to_owned()), Some("req_0429".to_owned()));
    Attempt { status, error: Some(error), message, request_id, duration_ms: 210, unsent: false }
}

fn overloaded() -> CellError {
    let message = "529 overloaded_error: Overloaded";
    CellError {
        kind: ErrorKind::Overloaded,
        message: format!("{message}, after 2 attempts"),
        hint: Some("run again: what was answered is stored".to_owned()),
        attempts: vec![
            attempt(Some(529), ErrorKind::Overloaded, message),
            attempt(None, ErrorKind::Connection, "connection reset by peer"),
        ],
    }
}

fn malformed() -> CellError {
    CellError {
        kind: ErrorKind::MalformedReply,
        message: "the body is HTML, not JSON: `<html><h1>502</h1>`".to_owned(),
        hint: None,
        attempts: Vec::new(),
    }
}

fn denied() -> CellError {
    CellError {
        kind: ErrorKind::NotFound,
        message: "404 not_found_error: model: claude-retired".to_owned(),
        hint: Some("choose a model that the endpoint has".to_owned()),
        attempts: vec![attempt(Some(404), ErrorKind::NotFound, "404 not_found_error")],
    }
}

fn gates() -> Vec<GateResult> {
    let gate = |kind, suite: &str, model: Option<&str>, outcome, message: &str| GateResult {
        kind,
        suite: Some(suite.to_owned()),
        model: model.map(str::to_owned),
        outcome,
        message: message.to_owned(),
    };
    use GateKind::{Budget, Critical, PassRate, Snapshots, Verdicts};
    use GateOutcome::{Fail, Missing, Pass};
    vec![
        gate(PassRate, "ticket-triage", Some(HAIKU), Fail, "pass rate 60.0 % (3 of 5 cells), at least 100.0 % asked for"),
        gate(PassRate, "ticket-triage", Some(SONNET), Pass, "pass rate 100.0 % (4 of 4 cells), at least 100.0 % asked for"),
        gate(
            Critical,
            "ticket-triage",
            None,
            Fail,
            "a critical assertion failed in ticket-triage::double-charge::ticket-triage@3::claude-haiku-4-5",
        ),
        gate(Snapshots, "ticket-triage", None, Fail, "snapshots: 3 same, 2 changed, 2 new, 1 unreadable"),
        gate(PassRate, "bilingual-summary", Some(HAIKU), Pass, "pass rate 100.0 % (2 of 2 cells), at least 100.0 % asked for"),
        gate(Snapshots, "bilingual-summary", None, Pass, "snapshots: 2 same, 0 changed, 0 new"),
        gate(PassRate, "support-answers", Some(HAIKU), Pass, "pass rate 33.3 % (1 of 3 cells), at least 30.0 % asked for"),
        gate(Verdicts, "extraction", None, Missing, "5 errored, 1 skipped of 8 cells without a verdict"),
        gate(Budget, "extraction", None, Missing, "the budget left out 1 of 8 cells"),
    ]
}
