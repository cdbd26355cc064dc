//! Does a silent endpoint cost little, a restarted one nothing, and does nobody wait for what will not come?

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::endpoint::limit::Limited;
use crate::endpoint::retry::Retrying;
use crate::endpoint::testing::{Scripted, call, call_to, config, failed, fresh, heard};
use crate::endpoint::wire::{Advice, Failed};
use crate::endpoint::{Call, CallEvent, Endpoint, EndpointConfig};
use crate::model::reply::Answer;
use crate::model::verdict::{CellError, ErrorKind};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings(max_concurrency: usize) -> EndpointConfig {
    EndpointConfig { max_concurrency, max_attempts: 5, status_page: Some("https://status.test".to_owned()), ..config("http://127.0.0.1") }
}

fn stack(wire: &Arc<Scripted>, config: &EndpointConfig) -> Retrying<Limited<Arc<Scripted>>> {
    Retrying::new(Limited::new(Arc::clone(wire), config), config, 7)
}

fn down(kind: ErrorKind) -> Failed {
    failed(kind, Advice::default())
}

/// Answers, except between these moments.
fn restarted(from: Duration, to: Duration, kind: ErrorKind) -> Arc<Scripted> {
    let start = Instant::now();
    Arc::new(Scripted::new(move |_, _| {
        let silent = (from..to).contains(&start.elapsed());
        if silent { (Duration::from_millis(1), Err(down(kind))) } else { (Duration::from_millis(100), Ok(fresh("ok"))) }
    }))
}

async fn ask_all(wire: &Arc<Scripted>, config: &EndpointConfig, count: usize) -> Vec<Result<Answer, CellError>> {
    let stack = stack(wire, config);
    join_all((0..count).map(|number| stack.ask(call(number)))).await
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_down_costs_a_handful_of_requests_and_its_time() {
    for concurrency in [1, 8] {
        for kind in [ErrorKind::Connection, ErrorKind::Server] {
            let wire = restarted(Duration::ZERO, Duration::MAX, kind);
            let started = Instant::now();
            let results = ask_all(&wire, &settings(concurrency), 300).await;
            let elapsed = started.elapsed();
            assert!((seconds(30)..seconds(32)).contains(&elapsed), "{elapsed:?} at concurrency {concurrency}");
            assert!(wire.count() <= 8 + 2 * concurrency + 10, "{} requests at concurrency {concurrency}", wire.count());
            let errors: Vec<CellError> = results.into_iter().map(Result::unwrap_err).collect();
            assert!(errors.iter().all(|error| error.kind == ErrorKind::Unavailable));
            assert_eq!(errors.iter().map(|error| error.attempts.len()).sum::<usize>(), wire.count());
            assert!(errors.iter().all(|error| error.message == errors[0].message), "one outage is one cause");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_reason_names_the_endpoint_the_silence_the_last_error_and_the_status_page() {
    let wire = restarted(Duration::ZERO, Duration::MAX, ErrorKind::Overloaded);
    let error = ask_all(&wire, &settings(1), 20).await.remove(0).unwrap_err();
    insta::assert_snapshot!(format!("{}\nhint: {}", error.message, error.hint.unwrap()), @r"
    endpoint `anthropic` has given no usable answer for 30s (18 requests); the last one: Overloaded
    hint: look at its status page, https://status.test, and run again later: what was answered is stored
    ");
}

#[tokio::test(start_paused = true)]
async fn a_restart_within_the_time_loses_no_answer() {
    for concurrency in [1, 8] {
        // From a blink to the last moment, and with one call, a few and many.
        for (calls, silence) in [(1, 25), (3, 3), (20, 29), (300, 1), (300, 29)] {
            for kind in [ErrorKind::Connection, ErrorKind::Server] {
                if calls < 9 && kind == ErrorKind::Server {
                    // One request that fails again and again is no outage.
                    continue;
                }
                let wire = restarted(Duration::from_millis(50), seconds(silence), kind);
                let results = ask_all(&wire, &settings(concurrency), calls).await;
                let lost = results.iter().filter(|result| result.is_err()).count();
                assert_eq!(lost, 0, "{calls} calls, {silence} s of {kind:?}, concurrency {concurrency}");
                let attempts: usize = results.iter().map(|result| result.as_ref().unwrap().reply.attempts.len()).sum();
                assert_eq!(attempts, wire.count());
                assert!(wire.count() <= calls + 8 + 2 * concurrency + 10, "{} requests for {calls} calls", wire.count());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_is_tripped_calls_take_turns_and_one_request_goes_out_at_a_time() {
    let wire = restarted(Duration::ZERO, Duration::MAX, ErrorKind::Server);
    let results = ask_all(&wire, &settings(1), 300).await;
    // Eight that tripped it and ten probes. The one that tripped it stands in line first; all others come once.
    assert_eq!(wire.count(), 18);
    assert_eq!(results.iter().filter(|result| !result.as_ref().unwrap_err().attempts.is_empty()).count(), 17);
}

#[tokio::test(start_paused = true)]
async fn giving_up_ends_every_kind_of_waiting() {
    // One model is told to wait for minutes; then the endpoint falls silent.
    let start = Instant::now();
    let wire = Arc::new(Scripted::new(move |number, _| match number {
        0 => (Duration::ZERO, Err(failed(ErrorKind::RateLimited, Advice { after: Some(seconds(15)), ..Advice::default() }))),
        _ => (Duration::from_millis(1), Err(down(ErrorKind::Connection))),
    }));
    let mut config = settings(2);
    config.requests_per_minute = Some(600);
    let stack = stack(&wire, &config);
    let results = join_all((0..50).map(|number| stack.ask(call_to(if number % 2 == 0 { "one" } else { "other" }, number)))).await;
    assert!(results.iter().all(|result| result.as_ref().unwrap_err().kind == ErrorKind::Unavailable));
    assert!(start.elapsed() < seconds(50), "{:?}", start.elapsed());
    // Nobody who comes later waits or sends.
    let (count, now) = (wire.count(), Instant::now());
    assert_eq!(stack.ask(call(99)).await.unwrap_err().attempts.len(), 0);
    assert_eq!((wire.count(), now.elapsed()), (count, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn rate_limits_and_refusals_are_signs_of_life() {
    for kind in [ErrorKind::RateLimited, ErrorKind::InvalidRequest] {
        let wire = Arc::new(Scripted::new(move |_, _| (Duration::from_millis(1), Err(down(kind)))));
        let results = ask_all(&wire, &settings(8), 40).await;
        assert!(results.iter().all(|result| result.as_ref().unwrap_err().kind == kind));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_still_coming_when_its_time_was_over_is_a_sign_of_life() {
    let advice = Advice { should_retry: Some(false), ..Advice::default() };
    let wire = Arc::new(Scripted::new(move |_, _| (seconds(60), Err(failed(ErrorKind::Timeout, advice)))));
    let results = ask_all(&wire, &settings(8), 40).await;
    assert!(results.iter().all(|result| result.as_ref().unwrap_err().kind == ErrorKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn one_request_that_always_fails_takes_nobody_with_it() {
    let wire = Arc::new(Scripted::new(|_, call| {
        let poison = call.request.turns[0].content[0].as_text() == Some("question 7");
        (Duration::from_millis(20), if poison { Err(down(ErrorKind::Server)) } else { Ok(fresh("ok")) })
    }));
    let results = ask_all(&wire, &settings(4), 100).await;
    let error = results[7].as_ref().unwrap_err();
    assert_eq!((error.kind, error.attempts.len()), (ErrorKind::Server, 5));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 99);
}

#[tokio::test(start_paused = true)]
async fn a_third_of_random_failures_loses_nothing_beyond_its_attempts() {
    for seed in 0..20 {
        let random = std::sync::Mutex::new(fastrand::Rng::with_seed(seed));
        let wire = Arc::new(Scripted::new(move |_, _| {
            let mut random = random.lock().unwrap();
            let takes = Duration::from_millis(random.u64(1..50));
            let kinds = [ErrorKind::Connection, ErrorKind::Server, ErrorKind::Overloaded, ErrorKind::MalformedReply];
            (takes, if random.u32(0..3) == 0 { Err(down(kinds[random.usize(0..4)])) } else { Ok(fresh("ok")) })
        }));
        let config = EndpointConfig { max_attempts: 20, ..settings(8) };
        let results = ask_all(&wire, &config, 300).await;
        assert!(results.iter().all(Result::is_ok), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_of_a_case_bounds_waiting_for_a_silent_endpoint() {
    let wire = restarted(Duration::ZERO, Duration::MAX, ErrorKind::Connection);
    let stack = stack(&wire, &EndpointConfig { give_up_after: seconds(300), ..settings(1) });
    let started = Instant::now();
    let results = join_all((0..30).map(|number| stack.ask(Call { deadline: seconds(10), ..call(number) }))).await;
    // The others never sent anything, so their time has not begun: they wait for the endpoint.
    let ended = results.iter().filter(|result| result.as_ref().unwrap_err().kind == ErrorKind::Timeout).count();
    assert!(ended >= 8, "{ended}");
    assert!(started.elapsed() < seconds(310), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_goes_up_and_down_ends_every_call_at_last() {
    // Every ninth attempt is answered with a 429, which is a sign of life, and nothing else ever comes.
    let wire = Arc::new(Scripted::new(|number, _| {
        (Duration::from_millis(5), Err(down(if number % 12 == 11 { ErrorKind::RateLimited } else { ErrorKind::Server })))
    }));
    let results = ask_all(&wire, &settings(4), 20).await;
    assert!(results.iter().all(Result::is_err));
    assert!(wire.count() < 20 * 40, "{} requests", wire.count());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_another_process_is_asking_for_holds_up_no_probe() {
    use crate::endpoint::patience::{Flight, Recheck};
    let wire = restarted(Duration::ZERO, seconds(5), ErrorKind::Connection);
    let config = settings(2);
    let stack = stack(&wire, &config);
    let started = Instant::now();
    let busy = (0..10).map(|number| {
        let look = move || if started.elapsed() < seconds(60) { Recheck::Busy } else { Recheck::Ask };
        let flight = Flight::new(tokio_util::sync::CancellationToken::new(), look);
        stack.ask(Call { flight, ..call(number) })
    });
    let others = async {
        let results = join_all((10..30).map(|number| stack.ask(call(number)))).await;
        (results, started.elapsed())
    };
    let (busy, (others, elapsed)) = tokio::join!(join_all(busy), others);
    assert!(busy.iter().chain(&others).all(Result::is_ok));
    assert!(elapsed < seconds(20), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_another_process_has_stored_is_no_sign_of_life() {
    use crate::endpoint::patience::{Flight, Recheck};
    use crate::endpoint::testing::reply;
    let wire = restarted(Duration::ZERO, Duration::MAX, ErrorKind::Connection);
    let stack = stack(&wire, &settings(1));
    let started = Instant::now();
    let others = async {
        let results = join_all((0..4).map(|number| stack.ask(call(number)))).await;
        (results, started.elapsed())
    };
    // They come while the endpoint is silent, and find their answers when it is their turn to find out whether it is back.
    let found = async {
        tokio::time::sleep(seconds(3)).await;
        join_all((10..13).map(|number| {
            let flight = Flight::new(tokio_util::sync::CancellationToken::new(), || Recheck::Found(Arc::new(reply("stored"))));
            stack.ask(Call { flight, ..call(number) })
        }))
        .await
    };
    let ((others, elapsed), found) = tokio::join!(others, found);
    assert!(found.iter().all(|result| !result.as_ref().unwrap().served.is_paid()));
    assert!(others.iter().all(|result| result.as_ref().unwrap_err().kind == ErrorKind::Unavailable));
    assert!((seconds(30)..seconds(32)).contains(&elapsed), "{elapsed:?}: it was silent all the time");
}

#[tokio::test(start_paused = true)]
async fn each_failed_attempt_is_told_with_the_time_until_the_next() {
    let wire = restarted(Duration::ZERO, seconds(2), ErrorKind::Connection);
    let (call, events) = heard(call(1));
    stack(&wire, &settings(1)).ask(call).await.unwrap();
    let events = events.lock().unwrap();
    let sent = events.iter().filter(|event| matches!(event, CallEvent::Sent)).count();
    let retrying = events.iter().filter(|event| matches!(event, CallEvent::Retrying { .. })).count();
    assert_eq!((sent, retrying), (wire.count(), wire.count() - 1));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_has_no_place_leaves_its_turn_to_one_that_has() {
    // One model's requests hang: its lane is full. The other one's are dropped until the server is back.
    let start = Instant::now();
    let first = std::sync::atomic::AtomicBool::new(true);
    let wire = Arc::new(Scripted::new(move |_, call| {
        let now = start.elapsed();
        let dropped =
            if call.request.model == "hangs" { first.swap(false, std::sync::atomic::Ordering::SeqCst) } else { now < seconds(20) };
        match (dropped, now < seconds(20)) {
            (true, _) => (Duration::from_millis(1), Err(down(ErrorKind::Connection))),
            (false, true) => (seconds(300), Err(down(ErrorKind::Timeout))),
            (false, false) => (Duration::from_millis(100), Ok(fresh("ok"))),
        }
    }));
    let stack = stack(&wire, &settings(4));
    let hanging = join_all((0..20).map(|number| stack.ask(call_to("hangs", number))));
    let others = async {
        let results = join_all((20..26).map(|number| stack.ask(call_to("other", number)))).await;
        (results, start.elapsed())
    };
    // Who comes while the endpoint is silent stands in line for the probe first, and finds only then that there is no place in its lane.
    let late = async {
        tokio::time::sleep(seconds(1)).await;
        join_all((26..36).map(|number| stack.ask(call_to("hangs", number)))).await
    };
    let (hanging, (others, elapsed), late) = tokio::join!(hanging, others, late);
    assert!(hanging.iter().chain(&others).chain(&late).all(Result::is_ok));
    assert!(elapsed < seconds(25), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_is_given_up_after_one_round_of_attempts() {
    for concurrency in [4, 8] {
        let wire = Arc::new(Scripted::new(|_, _| (seconds(300), Err(down(ErrorKind::Timeout)))));
        let stack = stack(&wire, &settings(concurrency));
        let started = Instant::now();
        let ends = join_all((0..100).map(|number| {
            let ask = stack.ask(call(number));
            async move { (ask.await.unwrap_err(), started.elapsed()) }
        }))
        .await;
        assert!(ends.iter().all(|(error, _)| error.kind == ErrorKind::Unavailable));
        assert!(wire.count() <= concurrency + 4, "{} requests at concurrency {concurrency}", wire.count());
        let at_once = ends.iter().filter(|(_, end)| *end <= seconds(300 + 30 + 10)).count();
        assert!(at_once >= 100 - 4, "{at_once} at concurrency {concurrency}");
        assert!(started.elapsed() <= seconds(300 + 40 + 300), "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_the_wire_when_the_endpoint_is_given_up_is_kept() {
    let start = Instant::now();
    let wire = Arc::new(Scripted::new(move |_, _| match start.elapsed() {
        now if now < Duration::from_millis(400) => (Duration::from_millis(1), Err(down(ErrorKind::Connection))),
        _ => (seconds(60), Ok(fresh("late"))),
    }));
    let results = ask_all(&wire, &settings(8), 50).await;
    // One after the other, each of them ten seconds after the one before.
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 4);
    let told = results.iter().map(|result| result.as_ref().map_or_else(|error| error.attempts.len(), |answer| answer.reply.attempts.len()));
    assert_eq!(told.sum::<usize>(), wire.count());
    assert!(results.iter().all(|result| result.as_ref().err().is_none_or(|error| error.kind == ErrorKind::Unavailable)));
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_to_answer_again_saves_everybody() {
    let flaky = Arc::new(Scripted::new(move |number, _| match number {
        0..9 => (Duration::from_millis(1), Err(down(ErrorKind::Connection))),
        _ => (seconds(25), Ok(fresh("ok"))),
    }));
    assert!(ask_all(&flaky, &settings(8), 40).await.iter().all(Result::is_ok));
}
