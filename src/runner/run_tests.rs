//! Does a run end with a verdict for every cell, and count what was paid, whatever the endpoint does?

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::endpoint::Call;
use crate::endpoint::testing::fresh;
use crate::model::assertion::{Assertion, AssertionKind, AssertionSeverity, TextMatch};
use crate::model::reply::{Answer, Attempt};
use crate::model::run::Totals;
use crate::model::verdict::{CellError, ErrorKind, SkipReason};
use crate::runner::execute::PANICS;
use crate::runner::testing::{planned, suite};
use crate::runner::totals;

type Script = Box<dyn Fn(usize, &Call) -> Result<Answer, CellError> + Send + Sync>;

/// Answers by a script, which is asked with the number of the call.
struct Fake {
    script: Script,
    asked: AtomicUsize,
}

impl Fake {
    fn new(script: impl Fn(usize, &Call) -> Result<Answer, CellError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), asked: AtomicUsize::new(0) })
    }
}

impl Endpoint for Fake {
    async fn ask(&self, call: Call) -> Result<Answer, CellError> {
        // A wire takes its time: whatever else is ready goes first.
        tokio::task::yield_now().await;
        (self.script)(self.asked.fetch_add(1, Ordering::SeqCst), &call)
    }
}

fn error(kind: ErrorKind, attempts: &[ErrorKind]) -> CellError {
    let attempt =
        |kind: &ErrorKind| Attempt { status: None, error: Some(*kind), message: None, request_id: None, duration_ms: 1, unsent: false };
    CellError { kind, message: "no".to_owned(), hint: None, attempts: attempts.iter().map(attempt).collect() }
}

fn options() -> Options {
    Options {
        catalog: Arc::new(Catalog::embedded().clone()),
        case_timeout: Duration::from_secs(600),
        lane_width: 1,
        max_fail: None,
        known: HashSet::new(),
        conditions: Conditions::default(),
        detailed: false,
        interrupted: CancellationToken::new(),
        stopping: CancellationToken::new(),
        run_timeout: None,
        waited: Duration::ZERO,
        timed_out: CancellationToken::new(),
    }
}

async fn cells(names: &[&str], endpoint: Arc<Fake>, options: Options) -> Vec<CellResult> {
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(planned(suite(names), None).unwrap());
    run(plan, endpoint, Folder::open(folder.path()), options, |_, _| {}, |_| {}).await.cells
}

fn counts(cells: &[CellResult]) -> (u64, u64, u64, u64) {
    let Totals { planned, passed, failed, errored, skipped, .. } = totals::sum(cells, 0).totals;
    assert_eq!(planned, passed + failed + errored + skipped);
    (passed, failed, errored, skipped)
}

#[tokio::test]
async fn every_cell_has_its_verdict_in_plan_order() {
    let endpoint = Fake::new(|_, call| match &*call.request.model {
        "claude-haiku-4-5" => Ok(fresh("ok")),
        _ => Ok(fresh("no")),
    });
    let cells = cells(&["ada", "bob"], endpoint, options()).await;
    assert_eq!(counts(&cells), (4, 4, 0, 0));
    let plan = planned(suite(&["ada", "bob"]), None).unwrap();
    assert!(cells.iter().map(|cell| &cell.address).eq(plan.cells.iter().map(|cell| cell.address()).collect::<Vec<_>>().iter()));
}

#[tokio::test]
async fn a_panic_below_costs_one_cell_its_verdict_and_no_other() {
    let endpoint = Fake::new(|number, _| if number == 0 { panic!("a mistake below") } else { Ok(fresh("ok")) });
    let cells = cells(&["ada"], endpoint, options()).await;
    assert_eq!(counts(&cells), (3, 0, 1, 0));
    let told = cells.iter().filter_map(|cell| cell.samples[0].error.as_ref()).map(|error| error.message.as_str());
    assert_eq!(told.collect::<Vec<_>>(), ["promptkeel failed: a mistake below"]);
}

#[tokio::test]
async fn a_panic_in_a_comparison_costs_one_cell_its_verdict_and_keeps_what_was_paid() {
    let cells = cells(&["ada", PANICS], Fake::new(|_, _| Ok(fresh("ok"))), options()).await;
    assert_eq!(counts(&cells), (4, 0, 4, 0));
    let broken = cells.iter().filter(|cell| &*cell.address.case == PANICS).map(|cell| &cell.samples[0]);
    for sample in broken {
        assert!(sample.error.as_ref().is_some_and(|error| error.message.starts_with("promptkeel failed: ")), "{:?}", sample.error);
        assert!(sample.reply.as_ref().is_some_and(|reply| reply.cost_usd.is_some()), "it is paid");
    }
}

#[tokio::test]
async fn an_interrupt_between_two_attempts_keeps_the_attempt_that_may_have_been_billed() {
    let options = options();
    let interrupted = options.interrupted.clone();
    let endpoint = Fake::new(move |_, call| {
        call.observer.tell(CallEvent::Sent);
        call.observer.tell(CallEvent::Retrying { message: "timeout".to_owned(), delay: Duration::ZERO, attempt: 2 });
        interrupted.cancel();
        Err(error(ErrorKind::Timeout, &[ErrorKind::Timeout]))
    });
    let cells = cells(&["ada"], endpoint, Options { lane_width: 4, ..options }).await;
    let (passed, failed, errored, skipped) = counts(&cells);
    assert_eq!((passed, failed), (0, 0));
    assert!(errored >= 1 && errored + skipped == 4);
    assert_eq!(totals::sum(&cells, 0).bill.unknown_attempts, errored);
}

#[tokio::test]
async fn what_the_budget_refuses_is_skipped_and_what_was_tried_before_is_an_error() {
    let endpoint = Fake::new(|number, _| match number {
        0 => Err(error(ErrorKind::Budget, &[])),
        1 => Err(error(ErrorKind::Budget, &[ErrorKind::Timeout])),
        _ => Ok(fresh("ok")),
    });
    let cells = cells(&["ada"], endpoint, options()).await;
    assert_eq!(counts(&cells), (2, 0, 1, 1));
    assert!(cells.iter().any(|cell| cell.samples[0].skipped == Some(SkipReason::Budget)));
    assert_eq!(totals::sum(&cells, 0).bill.unknown_attempts, 1);
}

#[tokio::test]
async fn after_max_fail_nothing_more_is_asked() {
    let endpoint = Fake::new(|_, _| Ok(fresh("no")));
    let cells = cells(&["ada", "bob", "cyd", "dan", "eve"], Arc::clone(&endpoint), Options { max_fail: Some(1), ..options() }).await;
    let (_, failed, _, skipped) = counts(&cells);
    assert_eq!(failed + skipped, 20);
    assert_eq!(failed, endpoint.asked.load(Ordering::SeqCst) as u64);
    assert!(skipped > 0);
}

#[tokio::test]
async fn a_reply_of_another_model_is_no_verdict_and_stays_in_the_bill() {
    let endpoint = Fake::new(|_, call| {
        let answer = fresh("ok");
        let asked = call.request.model.clone();
        let model = if asked == "claude-haiku-4-5" { "claude-opus-4-7".to_owned() } else { format!("gateway/{asked}") };
        Ok(Answer { reply: Arc::new(crate::model::reply::Reply { model, ..(*answer.reply).clone() }), ..answer })
    });
    let cells = cells(&["ada"], endpoint, options()).await;
    for cell in &cells {
        let expected = if &*cell.model_id == "claude-haiku-4-5" { Verdict::Error } else { Verdict::Pass };
        assert_eq!(cell.verdict, expected, "{}", cell.address);
        assert!(cell.samples[0].reply.as_ref().is_some_and(|reply| reply.cost_usd.is_some()));
    }
}

#[tokio::test]
async fn an_assertion_that_cannot_be_read_any_more_is_an_error_alone_and_its_reply_stays_in_the_bill() {
    let contains = |value: &str| AssertionKind::Contains(TextMatch { value: value.to_owned(), ignore_case: false });
    for (severity, beside, expected) in [
        (AssertionSeverity::Fail, "ok", Verdict::Error),
        (AssertionSeverity::Warn, "ok", Verdict::Pass),
        (AssertionSeverity::Fail, "never", Verdict::Fail),
        (AssertionSeverity::Warn, "never", Verdict::Fail),
    ] {
        let mut suite = suite(&["ada"]);
        let mut case = (*suite.cases[0]).clone();
        let other = (*case.assertions[0]).clone();
        case.assertions = vec![
            Arc::new(Assertion { kind: AssertionKind::Regex("(".to_owned()), severity, ..other.clone() }),
            Arc::new(Assertion { kind: contains(beside), ..other }),
        ];
        suite.cases = vec![Arc::new(case)];
        let folder = tempfile::tempdir().unwrap();
        let plan = Arc::new(planned(suite, None).unwrap());
        let endpoint = Fake::new(|_, _| Ok(fresh("ok")));
        let cells = run(plan, endpoint, Folder::open(folder.path()), options(), |_, _| {}, |_| {}).await.cells;
        for cell in &cells {
            assert_eq!(cell.verdict, expected, "{:?}", cell.samples[0]);
            let sample = &cell.samples[0];
            assert!(sample.reply.as_ref().is_some_and(|reply| reply.cost_usd.is_some()), "{sample:?}");
            let names: Vec<_> = sample.assertions.iter().map(|result| result.name.as_str()).collect();
            assert_eq!(names, ["regex", "contains"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_time_limit_of_the_run_nothing_more_is_asked_and_what_flies_is_finished() {
    struct Slow(CancellationToken);
    impl Endpoint for Slow {
        async fn ask(&self, call: Call) -> Result<Answer, CellError> {
            call.observer.tell(CallEvent::Sent);
            // The limit passes while this one flies; the endpoint lets nothing more out.
            if self.0.is_cancelled() {
                return Err(error(ErrorKind::Timeout, &[]));
            }
            tokio::time::sleep(Duration::from_secs(4)).await;
            Ok(fresh("ok"))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(planned(suite(&["ada", "bob", "cyd"]), None).unwrap());
    let options = Options { run_timeout: Some(Duration::from_secs(2)), ..options() };
    let endpoint = Slow(options.stopping.clone());
    let mut told = Vec::new();
    let started = tokio::time::Instant::now();
    let narrate = |event: &RunEvent| {
        if let RunEvent::TimedOut { limit_ms, in_flight } = event {
            told.push((*limit_ms, *in_flight));
        }
    };
    let cells = run(plan, endpoint, Folder::open(folder.path()), options, |_, _| {}, narrate).await.cells;
    // One sample of each of the two models was under way.
    assert_eq!(counts(&cells), (2, 0, 0, 10));
    assert!(cells.iter().all(|cell| cell.verdict == Verdict::Pass || cell.samples[0].skipped == Some(SkipReason::RunTimeout)));
    assert_eq!((told, started.elapsed()), (vec![(2_000, 2)], Duration::from_secs(4)));
}
