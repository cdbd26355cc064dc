//! Is a hint given where its evidence is there, and on nothing less?

use super::*;
use crate::model::assertion::AssertionSeverity;
use crate::model::reply::{Served, StopReason, Usage};
use crate::model::request::Role;
use crate::model::run::{RequestFacts, TurnFacts};
use crate::model::verdict::AssertionResult;
use crate::runner::testing;

/// System of 4,000 bytes, a turn of 400, parameters.
fn texts() -> Vec<Arc<str>> {
    vec![Arc::from("s".repeat(4_000)), Arc::from("t".repeat(400)), Arc::from(r#"{"max_tokens": 8000}"#)]
}

fn reply(usage: Usage, uncached: &str) -> ReplyFacts {
    let cost: Money = uncached.parse().unwrap();
    ReplyFacts {
        text: "ok".to_owned(),
        other_blocks: Vec::new(),
        stop_reason: StopReason::EndTurn,
        refusal: None,
        usage,
        cost_usd: Some(cost),
        unbatched_cost_usd: None,
        uncached_cost_usd: Some(cost),
        latency_ms: 1,
        served: Served::Fresh,
        simulated: false,
        request_id: None,
        answered_at: "2026-11-22T10:00:00Z".parse().unwrap(),
        attempts: Vec::new(),
        forgotten: false,
    }
}

/// So many cells that pass with this model, answered with this reply.
fn cells(model: &str, count: usize, reply: &ReplyFacts) -> Vec<CellResult> {
    let cell = |number: usize| {
        let mut cell = testing::cell(&format!("case-{number}"), Verdict::Pass);
        cell.address.model = Arc::from(model);
        cell.model_id = Arc::from(model);
        cell.request = Some(RequestFacts { system: vec![0], turns: vec![TurnFacts { role: Role::User, content: vec![1] }], parameters: 2 });
        cell.samples[0].reply = Some(reply.clone());
        cell.samples[0].assertions =
            vec![AssertionResult { name: "contains".to_owned(), severity: AssertionSeverity::Fail, outcome: Outcome::Pass, site: None }];
        cell
    };
    (0..count).map(cell).collect()
}

fn found(cells: &[CellResult]) -> Vec<RightSize> {
    let uncached = HashSet::new();
    hints(cells, Known { catalog: Some(Catalog::embedded()), uncached: &uncached, texts: &texts() })
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
}

const HAIKU: &str = "claude-haiku-4-5";
const SONNET: &str = "claude-sonnet-4-6";

#[test]
fn max_tokens_far_above_every_answer_is_told_from_twenty_whole_answers_on() {
    let of = |count, longest| found(&cells(HAIKU, count, &reply(usage(100, longest), "0.001")));
    let hint = |answers| RightSize::MaxTokens {
        suite: "greetings".to_owned(),
        model: HAIKU.to_owned(),
        max_tokens: 8_000,
        longest: 1_000,
        answers,
    };
    assert_eq!(of(20, 1_000), [hint(20)]);
    assert_eq!(of(19, 1_000), []);
    assert_eq!(of(20, 1_001), [], "an eighth of it is not far below");
    let mut cut = cells(HAIKU, 21, &reply(usage(100, 1_000), "0.001"));
    cut[3].samples[0].reply.as_mut().unwrap().stop_reason = StopReason::MaxTokens;
    assert_eq!(found(&cut), [], "one was cut, so the longest is not known");
}

#[test]
fn a_cheaper_model_is_told_only_where_it_passes_everything_that_the_dear_one_was_asked() {
    let both = |count, cheap: &str| {
        let mut both = cells(SONNET, count, &reply(usage(100, 5_000), "0.010"));
        both.extend(cells(HAIKU, count, &reply(usage(100, 5_000), cheap)));
        both
    };
    let all = both(20, "0.002");
    let expected = RightSize::CheaperModel {
        suite: "greetings".to_owned(),
        model: SONNET.to_owned(),
        cheaper: HAIKU.to_owned(),
        cells: 20,
        passed: 20,
        usd: "0.2".parse().unwrap(),
        cheaper_usd: "0.04".parse().unwrap(),
    };
    assert_eq!(found(&all), [expected]);
    assert_eq!(found(&both(19, "0.002")), []);
    assert_eq!(found(&both(20, "0.0095")), [], "less than a tenth is no saving to act on");
    assert_eq!(found(&both(20, "0.02")).len(), 1, "the other way round it is the other one");
    // Whatever lets one of its cells not pass takes the hint away.
    let without = |change: &dyn Fn(&mut CellResult)| {
        let mut changed = all.clone();
        change(&mut changed[25]);
        found(&changed)
    };
    assert_eq!(without(&|cell| cell.verdict = Verdict::Fail), []);
    assert_eq!(without(&|cell| cell.samples[0].verdict = Verdict::Error), []);
    assert_eq!(without(&|cell| cell.samples[0].assertions.clear()), [], "nothing was asked of it");
    assert_eq!(without(&|cell| cell.samples[0].assertions[0].outcome = Outcome::Error("no".to_owned())), []);
    assert_eq!(without(&|cell| cell.snapshot = SnapshotState::New { reason: None }), []);
    assert_eq!(without(&|cell| cell.address.case = Arc::from("another")), [], "another case");
    assert_eq!(without(&|cell| cell.samples[0].reply.as_mut().unwrap().uncached_cost_usd = None), [], "without a price");
    assert_eq!(without(&|cell| cell.samples[0].reply.as_mut().unwrap().simulated = true), [], "a simulator proves nothing");
}

#[test]
fn a_prefix_just_below_the_minimum_is_told_with_what_it_would_save() {
    // 10/11 of 4,400 prompt bytes are shared: of 4,070 tokens 3,700; Haiku 4.5 keeps 4,096 or more.
    let of = |count, input| found(&cells(HAIKU, count, &reply(usage(input, 10), "0.001")));
    let below = of(10, 4_070);
    // 10 x 3,700 x 1 = 37,000 now; 4,096 x 1.25 + 9 x 4,096 x 0.10 = 8,806.4 then.
    let expected = RightSize::BelowCacheMinimum {
        suite: "greetings".to_owned(),
        prompt: "hello@2".to_owned(),
        model: HAIKU.to_owned(),
        tokens: 3_700,
        minimum: 4_096,
        requests: 10,
        saving_usd: "0.0281936".parse().unwrap(),
    };
    assert_eq!(below, [expected]);
    assert_eq!(of(9, 4_070), [], "nine requests are too few");
    assert_eq!(of(10, 3_300), [], "3,000 are not just below");
    assert_eq!(of(10, 4_600), [], "long enough by the count, whatever the cache did");
    let cached = Usage { cache_write_5m_tokens: 5, ..usage(4_065, 10) };
    assert_eq!(found(&cells(HAIKU, 10, &reply(cached, "0.001"))), [], "something was written, so it is long enough");
    let mut other = cells(HAIKU, 10, &reply(usage(4_070, 10), "0.001"));
    other[4].request.as_mut().unwrap().system = vec![1];
    assert_eq!(found(&other), [], "they share nothing");
    let off = HashSet::from([Arc::from("greetings")]);
    let cells = cells(HAIKU, 10, &reply(usage(4_070, 10), "0.001"));
    assert_eq!(hints(&cells, Known { catalog: Some(Catalog::embedded()), uncached: &off, texts: &texts() }), []);
    assert_eq!(hints(&cells, Known { catalog: None, uncached: &HashSet::new(), texts: &texts() }), [], "the prices are not known");
}

#[test]
fn writing_to_the_cache_without_reading_is_told_with_what_it_lost() {
    let writes = Usage { cache_write_5m_tokens: 2_000, ..usage(10, 10) };
    // 2,000 tokens for a quarter more.
    let wrote = ReplyFacts { cost_usd: Some("0.0025".parse().unwrap()), ..reply(writes, "0.002") };
    let five = cells(HAIKU, 5, &wrote);
    let expected = RightSize::NeverHit {
        suite: "greetings".to_owned(),
        prompt: "hello@2".to_owned(),
        model: HAIKU.to_owned(),
        requests: 5,
        written_tokens: 10_000,
        lost_usd: "0.0025".parse().unwrap(),
    };
    assert_eq!(found(&five), [expected]);
    assert_eq!(found(&five[..4]), []);
    let mut hit = five.clone();
    hit[2].samples[0].reply.as_mut().unwrap().usage.cache_read_tokens = 1;
    assert_eq!(found(&hit), []);
    let mut stored = five;
    stored.iter_mut().for_each(|cell| cell.samples[0].reply.as_mut().unwrap().served = Served::Stored);
    assert_eq!(found(&stored), [], "what was paid earlier says nothing of this run");
}

#[test]
fn a_report_without_requests_or_replies_gets_no_hint() {
    let mut bare = cells(HAIKU, 30, &reply(usage(4_070, 10), "0.001"));
    bare.iter_mut().for_each(|cell| (cell.request, cell.samples[0].reply) = (None, None));
    assert_eq!(found(&bare), []);
    assert_eq!(hints(&[], Known { catalog: None, uncached: &HashSet::new(), texts: &[] }), []);
}
