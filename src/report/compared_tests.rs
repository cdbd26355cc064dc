//! Does a comparison read as it should, whatever the outputs try?

use serde_json::{Value, json};

use crate::model::side_by_side::{CaseDifference, SideBySide};
use crate::report::style::Style;
use crate::report::{Format, sample, terminal};

fn arm(name: &str, passes: u32, cost: &str) -> Value {
    json!({
        "name": name, "run": "20261122-143120-9f3a", "prompts": ["ticket-triage@3"], "models": [name],
        "counts": { "passes": passes, "samples": 180 }, "interval": { "low": 0.9559, "high": 0.9943 },
        "replies": 180, "missing_samples": 0, "cost_per_1000_calls_usd": cost, "unpriced": 0, "latency_p50_ms": 820, "latency_p95_ms": 1900,
        "tokens": { "input": 56160, "cache_write": 0, "cache_read": 0, "output": 15120 }, "refusals": 0, "truncations": 1, "simulated": false
    })
}

pub(crate) fn compared(verdict: &str, sentence: &str) -> SideBySide {
    let diff = json!({ "text": { "hunks": [{ "old_start": 1, "new_start": 1, "lines": [
        { "change": "removed", "parts": [{ "text": "billing " }, { "text": "now", "emphasised": true }] },
        { "change": "added", "parts": [{ "text": "billing " }, { "text": sample::HOSTILE, "emphasised": true }] }
    ] }], "cut": false } });
    let case = |name: &str, now: u32, diff: Value| {
        json!({
            "case": name, "baseline": { "passes": 3, "samples": 3 }, "candidate": { "passes": now, "samples": 3 },
            "shown": {
                "baseline_sample": 0, "candidate_sample": 1, "diff": diff,
                "failed": { "name": "equals", "expected": "the text `billing now`", "got": sample::HOSTILE }
            }
        })
    };
    let value = json!({
        "schema": "promptkeel.comparison/1", "tool": "promptkeel 0.1.0",
        "comparisons": [{
            "baseline": arm("claude-sonnet-4-6", 177, "4.2"), "candidate": arm("claude-haiku-4-5", 176, "1.4"),
            "sentence": sentence, "sensitivity": "a loss of 4.8 points over all cases would be found in four of five such comparisons",
            "comparison": {
                "verdict": verdict,
                "policy": { "alpha": 0.05, "margin": 0.05, "local": null },
                "cases": 60, "units": 60, "missing": [], "baseline": { "passes": 177, "samples": 180 },
                "candidate": { "passes": 176, "samples": 180 }, "difference": -0.006, "interval": { "low": -0.031, "high": 0.019 },
                "confidence": 0.9, "detectable": 0.048, "broad": { "p": 0.4, "level": 0.05, "regressed": false }, "local": null, "need": null
            },
            "validity": [
                { "kind": "assertions", "left_out": true, "cases": ["triage::a", "triage::b | <b>`x`</b> @octocat", "triage::c", "triage::d"] },
                { "kind": "samples", "left_out": false, "cases": ["triage::e"], "detail": "3 -> 5" }
            ],
            "critical": ["triage::refund"],
            "differing": [case("triage::refund", 0, diff), case("triage::late <!-- promptkeel -->", 2, Value::Null)],
            "other_outputs": 12
        }]
    });
    serde_json::from_value(value).unwrap()
}

pub(crate) const SENTENCE: &str = "not worse on 60 cases x 3 samples (difference -0.6 points, 90 % interval -3.1 to +1.9, margin 5)";

fn screen(width: u16) -> String {
    shown(&compared("not_worse", SENTENCE), false, width)
}

fn shown(compared: &SideBySide, all: bool, width: u16) -> String {
    let mut out = Vec::new();
    terminal::side_by_side(compared, all, &mut out, Style { width, colour: false }).unwrap();
    String::from_utf8(out).unwrap()
}

fn written(format: Format, compared: &SideBySide) -> String {
    let mut out = Vec::new();
    crate::report::write_side_by_side(format, compared, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_not_answered_is_said_before_what_is_not_worse() {
    let why = "10 cases lack a verdict of claude-haiku-4-5: s::a and 9 more";
    let mut lacking = compared("undecided", &format!("undecided because {why}; apart from that {SENTENCE}"));
    lacking.comparisons[0].gap = Some(why.to_owned());
    lacking.comparisons[0].critical.clear();
    let claim = "undecided whether claude-haiku-4-5 is worse than claude-sonnet-4-6";
    let told = format!("{claim} because {why}; apart from that not worse on 60 cases x 3 samples (");
    assert!(shown(&lacking, false, 1_000).contains(&told), "{}", shown(&lacking, false, 1_000));
    let page = written(Format::Markdown, &lacking);
    assert!(
        page.contains("## ⚠️ undecided whether `claude-haiku-4-5` is worse than `claude-sonnet-4-6`")
            && page.contains("apart from that not worse on"),
        "{page}"
    );
    let html = written(Format::Html, &lacking);
    assert!(html.contains("? undecided</span>") && !html.contains("✓ not worse"), "{html}");
}

#[test]
fn a_screen_of_80_columns() {
    insta::assert_snapshot!(screen(80));
}

#[test]
fn a_screen_of_120_columns() {
    insta::assert_snapshot!(screen(120));
}

#[test]
fn the_verdict_stands_before_a_long_list_and_the_list_is_cut_with_a_way_to_all_of_it() {
    let mut compared = compared("regressed", "worse on 60 cases x 3 samples (difference -30 points)");
    let case = compared.comparisons[0].differing[1].clone();
    compared.comparisons[0].differing.extend((0..40).map(|index| CaseDifference { case: format!("triage::{index}"), ..case.clone() }));
    let screen = shown(&compared, false, 120);
    let place = |text: &str| screen.find(text).unwrap_or_else(|| panic!("{text:?} is missing: {screen}"));
    assert!(place("is worse than claude-sonnet-4-6") < place("where they differ"), "{screen}");
    assert!(screen.contains("… and 29 more cases: `--all` shows them, `--html` and `--json` have them"), "{screen}");
    assert!(screen.lines().count() < 50, "{} lines", screen.lines().count());
    let all = shown(&compared, true, 120);
    assert!((0..40).all(|index| all.contains(&format!("triage::{index} "))) && !all.contains("more case"), "{all}");
}

#[test]
fn what_no_stored_answer_tells_is_a_dash_and_not_zero() {
    let mut compared = compared("not_worse", SENTENCE);
    let forgotten = &mut compared.comparisons[0].baseline;
    (forgotten.replies, forgotten.refusals, forgotten.truncations, forgotten.tokens) = (0, None, None, None);
    (forgotten.cost_per_1000_calls_usd, forgotten.latency_p50_ms, forgotten.latency_p95_ms) = (None, None, None);
    let screen = shown(&compared, false, 120);
    let row = screen.lines().find(|line| line.starts_with("  claude-sonnet-4-6")).unwrap();
    assert_eq!(row.split_whitespace().skip(3).collect::<Vec<_>>(), ["95.6-99.4", "–", "–", "–", "–", "–"], "{screen}");
    let flat = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("its answers are not stored any more, only their verdicts"), "{screen}");
    let markdown = written(Format::Markdown, &compared);
    assert!(markdown.contains("| `claude-sonnet-4-6` | 98.3 % (177 of 180) | 95.6-99.4 | – | – | – | – | – |"), "{markdown}");
    let page = written(Format::Html, &compared);
    assert!(page.contains("<span class=\"figure muted\">–</span>"), "{page}");
}

#[test]
fn markdown() {
    let text = written(Format::Markdown, &compared("not_worse", SENTENCE));
    assert_eq!(text.matches("<!--").count(), 1, "only our own mark: {text}");
    let closed = text.lines().filter(|line| line.starts_with("</details>")).count();
    assert_eq!(closed, 1, "nothing closes what we opened: {text}");
    for told in [
        "`claude-haiku-4-5` is not worse than `claude-sonnet-4-6` on 60 cases x 3 samples (difference -0.6 points, 90 % interval -3.1 to +1.9, margin 5).",
        "**Critical:** a critical assertion fails in the candidate: triage::refund",
        "| `claude-haiku-4-5` | 97.7 % (176 of 180) | 95.6-99.4 | $1.40 | 0.8/1.9 s | 312/84 | 0 | 1 |",
        "- 4 cases left out: their assertions are not the same in both: triage::a, triage::b \\| &lt;b&gt;",
        "<code>triage::refund</code> 3 of 3 -&gt; 0 of 3",
    ] {
        assert!(text.contains(told), "{told:?} is missing: {text}");
    }
}

#[test]
fn every_verdict_is_a_sentence_with_both_names() {
    let told = |verdict: &str, sentence: &str| {
        let (claim, rest) = super::statement(&compared(verdict, sentence).comparisons[0], str::to_owned);
        format!("{claim} {rest}")
    };
    let told = [
        told("not_worse", SENTENCE),
        told("regressed", "worse on 40 cases x 3 samples (difference -30 points)"),
        told("regressed", "worse, by less than the margin, on 40 cases x 3 samples (difference -1 points)"),
        told("undecided", "undecided on 5 cases x 3 samples (difference 0 points): about 20 cases would narrow the interval enough"),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn json_is_read_back() {
    let compared = compared("not_worse", SENTENCE);
    assert_eq!(serde_json::from_str::<SideBySide>(&written(Format::Json, &compared)).unwrap(), compared);
}

#[test]
fn the_committed_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/comparison.schema.json");
    let mut printed = Vec::new();
    crate::report::spelled::write_pretty(&mut printed, &super::schema()).unwrap();
    printed.push(b'\n');
    let committed = std::fs::read(path).unwrap_or_default();
    if committed != printed {
        std::fs::write(path, printed).unwrap();
        panic!("schemas/comparison.schema.json was out of date and has been written again; commit it");
    }
}
