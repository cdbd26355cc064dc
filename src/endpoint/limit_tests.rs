//! Do permits, rates, the cool-down and the stop hold for every call of an endpoint?

use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::*;
use crate::endpoint::Endpoint;
use crate::endpoint::patience::Flight;
use crate::endpoint::retry::Retrying;
use crate::endpoint::testing::{Scripted, call, call_to, config, failed, fresh, heard, reply};
use crate::endpoint::wire::Advice;
use crate::model::reply::Usage;
use crate::model::verdict::ErrorKind;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn stack(wire: &Arc<Scripted>, change: impl FnOnce(&mut EndpointConfig)) -> Retrying<Limited<Arc<Scripted>>> {
    let mut config = config("http://127.0.0.1");
    change(&mut config);
    Retrying::new(Limited::new(Arc::clone(wire), &config), &config, 1)
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_permitted_number_is_under_way_at_once_per_model() {
    let wire = Arc::new(Scripted::after(seconds(1)));
    let stack = stack(&wire, |config| config.max_concurrency = 3);
    let started = Instant::now();
    let calls = (0..30).map(|number| stack.ask(call(number))).chain((0..30).map(|number| stack.ask(call_to("other", number))));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(wire.most_at_once.load(Ordering::SeqCst), 6);
    assert_eq!(started.elapsed(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn requests_per_minute_are_kept_to_and_used_up() {
    let wire = Arc::new(Scripted::after(Duration::from_millis(1)));
    let stack = stack(&wire, |config| config.requests_per_minute = Some(30));
    join_all((0..61).map(|number| stack.ask(call(number)))).await;
    let times = wire.times();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(1999)), "{times:?}");
    assert!(times[60] <= seconds(121), "{times:?}");
}

/// An answer that took so many tokens.
fn took(input_tokens: u64, output_tokens: u64) -> Answer {
    let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
    Answer { reply: Arc::new(crate::model::reply::Reply { usage, ..reply("ok") }), served: Served::Fresh }
}

/// The n-th call, of which more tokens are expected than a minute of the limits below has.
fn large(number: usize) -> Call {
    let mut call = call(number);
    let mut request = crate::endpoint::testing::request("m", &"word ".repeat(800));
    request.params.max_tokens = Some(100_000);
    call.request = Arc::new(request);
    call
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_took_less_than_was_thought_lets_the_next_one_begin_at_once() {
    for (input, output) in [(None, Some(256)), (Some(300), None), (Some(300), Some(256))] {
        let wire = Arc::new(Scripted::new(|_, _| (seconds(1), Ok(took(3, 1)))));
        let stack = stack(&wire, |config| (config.input_tokens_per_minute, config.output_tokens_per_minute) = (input, output));
        let calls: Vec<_> = (0..3).map(large).collect();
        // The places stay taken, as long as the answers are not stored.
        let _storing: Vec<_> = calls.iter().map(|call| call.flight.clone()).collect();
        join_all(calls.into_iter().map(|call| stack.ask(call))).await;
        let times = wire.times();
        assert!(times[1] == seconds(1) && times[2] <= seconds(2), "{input:?} {output:?}: {times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_lets_the_next_one_begin_at_once() {
    for (requests, output) in [(Some(1), None), (None, Some(256))] {
        let mut config = config("http://127.0.0.1");
        (config.requests_per_minute, config.output_tokens_per_minute) = (requests, output);
        let lane = Arc::new(Lane::new(&config));
        let call = large(0);
        let (size, patience) = (Size::of(&call.request), Patience::of(&call));
        let started = Instant::now();
        let found = lane.turn(size, &patience, || None).await.unwrap();
        // The next one sets its clock while the permit is out.
        let (next, ()) = tokio::join!(lane.turn(size, &patience, || None), async {
            tokio::time::sleep(seconds(1)).await;
            found.give_back();
        });
        assert!(next.is_ok());
        assert_eq!(started.elapsed(), seconds(1));
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_a_server_tells_are_no_way_to_keep_a_run_for_hours() {
    struct Tiny;
    impl Wire for Arc<Tiny> {
        async fn attempt(&self, _: &Call, _: &Patience) -> Attempted {
            tokio::time::sleep(seconds(1)).await;
            let tiny = crate::endpoint::rate_limits::Standing { limit: Some(1), remaining: Some(0), reset: None };
            let limits = crate::endpoint::rate_limits::RateLimits { requests: tiny, tokens: tiny, input_tokens: tiny, output_tokens: tiny };
            Attempted { result: Ok(took(1000, 100)), limits }
        }
    }
    let config = config("http://127.0.0.1");
    let stack = Retrying::new(Limited::new(Arc::new(Tiny), &config), &config, 1);
    let started = Instant::now();
    let results = join_all((0..60).map(|number| stack.ask(large(number)))).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(started.elapsed() <= seconds(600), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_came_first_goes_first() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let wire = Arc::new(Scripted::new(move |_, call| {
        seen.lock().unwrap().push(call.key);
        (seconds(1), Ok(fresh("ok")))
    }));
    let stack = stack(&wire, |config| {
        config.max_concurrency = 2;
        config.requests_per_minute = Some(120);
    });
    let calls: Vec<_> = (0..20).map(call).collect();
    let expected: Vec<_> = calls.iter().map(|call| call.key).collect();
    join_all(calls.into_iter().map(|call| stack.ask(call))).await;
    assert_eq!(*order.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_429_cools_down_every_cell_of_that_endpoint() {
    let wire = Arc::new(Scripted::new(|number, _| match number {
        0 => (seconds(1), Err(failed(ErrorKind::RateLimited, Advice { after: Some(seconds(30)), ..Advice::default() }))),
        _ => (seconds(1), Ok(fresh("ok"))),
    }));
    let stack = stack(&wire, |config| config.max_concurrency = 1);
    let (first, heard) = heard(call(0));
    let calls = [first, call(1), call_to("other", 2)];
    // The other model's call comes while the endpoint cools down.
    let (results, late) = tokio::join!(join_all(calls.map(|call| stack.ask(call))), async {
        tokio::time::sleep(seconds(5)).await;
        stack.ask(call_to("third", 3)).await
    });
    assert!(results.iter().all(Result::is_ok) && late.is_ok());
    let times = wire.times();
    // Two had begun together; whatever came later waited for the whole cool-down.
    assert!(times[2..].iter().all(|time| *time >= seconds(31)), "{times:?}");
    let cooling = heard.lock().unwrap().iter().filter(|event| matches!(event, CallEvent::CoolingDown { .. })).count();
    assert_eq!(cooling, 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_of_a_model_stops_that_model_alone() {
    for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::SpendLimit] {
        let wire = Arc::new(Scripted::new(move |_, call| match call.request.model.as_str() {
            "m" => (seconds(1), Err(failed(kind, Advice::default()))),
            _ => (seconds(1), Ok(fresh("ok"))),
        }));
        let stack = stack(&wire, |config| config.max_concurrency = 1);
        let results = join_all((0..10).map(|number| stack.ask(call(number)))).await;
        assert!(results.iter().all(|result| result.as_ref().unwrap_err().kind == kind));
        assert_eq!(wire.count(), 1, "the calls in line were stopped too");
        let asked = results.iter().filter(|result| !result.as_ref().unwrap_err().attempts.is_empty()).count();
        assert_eq!(asked, 1);
        assert!(results[9].as_ref().unwrap_err().message.starts_with("not asked"));
        stack.ask(call_to("other", 1)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_permit_in_hand_it_looks_once_more() {
    let wire = Arc::new(Scripted::after(seconds(1)));
    let stack = stack(&wire, |config| {
        config.max_concurrency = 1;
        config.requests_per_minute = Some(1);
    });
    let found = Arc::new(reply("stored meanwhile"));
    let flight = Flight::new(tokio_util::sync::CancellationToken::new(), move || Recheck::Found(Arc::clone(&found)));
    let answer = stack.ask(Call { flight, ..call(0) }).await.unwrap();
    assert_eq!((answer.reply.text().as_str(), answer.served), ("stored meanwhile", Served::Shared));
    assert_eq!(wire.count(), 0);
    // It took nothing from the rate either.
    let started = Instant::now();
    stack.ask(call(1)).await.unwrap();
    assert_eq!(started.elapsed(), seconds(1));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_the_line_does_not_hold_it_up() {
    let wire = Arc::new(Scripted::after(seconds(10)));
    let stack = stack(&wire, |config| config.max_concurrency = 1);
    let started = Instant::now();
    let (first, left, third) = tokio::join!(stack.ask(call(0)), tokio::time::timeout(seconds(1), stack.ask(call(1))), stack.ask(call(2)));
    assert!(first.is_ok() && left.is_err() && third.is_ok());
    assert_eq!(started.elapsed(), seconds(20));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_another_process_is_asking_lets_others_go_first_and_looks_again() {
    let wire = Arc::new(Scripted::after(Duration::from_millis(10)));
    let stack = stack(&wire, |config| config.max_concurrency = 1);
    let looks = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&looks);
    let flight = Flight::new(tokio_util::sync::CancellationToken::new(), move || {
        let mut looks = seen.lock().unwrap();
        *looks += 1;
        if *looks < 4 { Recheck::Busy } else { Recheck::Found(Arc::new(reply("theirs"))) }
    });
    let started = Instant::now();
    let (theirs, ours) = tokio::join!(stack.ask(Call { flight, ..call(0) }), async {
        join_all((1..6).map(|number| stack.ask(call(number)))).await;
        started.elapsed()
    });
    assert_eq!((theirs.unwrap().reply.text().as_str(), ours), ("theirs", Duration::from_millis(50)), "its permit was free meanwhile");
    assert_eq!((wire.count(), *looks.lock().unwrap()), (5, 4));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_another_process_ends_once_nobody_waits_for_it() {
    let wire = Arc::new(Scripted::after(Duration::from_millis(10)));
    let stack = stack(&wire, |_| {});
    let abandoned = tokio_util::sync::CancellationToken::new();
    let flight = Flight::new(abandoned.clone(), || Recheck::Busy);
    let (result, ()) = tokio::join!(stack.ask(Call { flight, ..call(0) }), async {
        tokio::time::sleep(seconds(20)).await;
        abandoned.cancel();
    });
    assert_eq!((result.unwrap_err().attempts.len(), wire.count()), (0, 0));
}

/// What the last look says to one call: so often that another process is asking, and then that it has the answer, or that this call may ask.
fn looked(busy: usize, found: bool) -> Recheck {
    match (busy, found) {
        (1.., _) => Recheck::Busy,
        (0, true) => Recheck::Found(Arc::new(reply("theirs"))),
        (0, false) => Recheck::Ask,
    }
}

/// A flight whose last look says that, and when nobody waits for it any more.
fn looking(busy: usize, found: bool) -> (Flight, tokio_util::sync::CancellationToken) {
    let abandoned = tokio_util::sync::CancellationToken::new();
    let busy_left = Mutex::new(busy);
    let flight = Flight::new(abandoned.clone(), move || {
        let mut busy = busy_left.lock().unwrap();
        let says = looked(*busy, found);
        *busy = busy.saturating_sub(1);
        says
    });
    (flight, abandoned)
}

/// One caller: when it comes, how long its attempt takes, what comes of it, and when nobody waits for it any more.
type Caller = (u64, u64, u8, u64);

/// Attempts with their beginnings, and the cool-downs that they caused: from when until when.
async fn called(
    callers: Vec<Caller>,
    concurrency: usize,
    per_minute: u32,
    tokens_per_minute: u64,
) -> (Arc<Scripted>, Vec<(Instant, Instant)>) {
    let pauses = Arc::new(Mutex::new(Vec::new()));
    let (told, script) = (Arc::clone(&pauses), callers.clone());
    let wire = Arc::new(Scripted::new(move |number, _| {
        let (_, takes, outcome, _) = script[number % script.len()];
        let takes = Duration::from_millis(takes);
        let ends = Instant::now() + takes;
        let after = match outcome {
            0 => Some(Duration::from_millis(700)),
            1 => Some(seconds(500)),
            _ => None,
        };
        // A longer wish is cut to the setting.
        told.lock().unwrap().extend(after.map(|after| (ends, ends + after.min(seconds(20)))));
        let result = match outcome {
            0..=2 => Err(failed(ErrorKind::RateLimited, Advice { after, ..Advice::default() })),
            3 => Err(failed(ErrorKind::Overloaded, Advice::default())),
            _ => Ok(fresh("ok")),
        };
        (takes, result)
    }));
    let stack = stack(&wire, |config| {
        config.max_concurrency = concurrency;
        config.requests_per_minute = Some(per_minute);
        (config.input_tokens_per_minute, config.output_tokens_per_minute) = (Some(tokens_per_minute), Some(tokens_per_minute));
        config.max_retry_after = seconds(20);
    });
    let calls = callers.iter().enumerate().map(|(number, (comes, takes, _, leaves))| {
        let stack = &stack;
        async move {
            // Some find that another process is asking, or has asked.
            let (flight, abandoned) = looking((*takes % 3) as usize, *takes % 5 == 0);
            tokio::time::sleep(Duration::from_millis(*comes)).await;
            let _ = tokio::join!(stack.ask(Call { flight, ..call(number) }), async {
                tokio::time::sleep(Duration::from_millis(*leaves)).await;
                abandoned.cancel();
            });
        }
    });
    join_all(calls).await;
    let pauses = pauses.lock().unwrap().clone();
    (wire, pauses)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    /// Whatever callers and the server do: never too many at once, no window above the rate, nobody begins while the endpoint cools down.
    #[test]
    fn no_limit_is_ever_broken(
        callers in proptest::collection::vec((0u64..3000, 1u64..900, 0u8..12, 1u64..60_000), 1..60),
        concurrency in 1usize..6,
        per_minute in 20u32..3000,
        tokens_per_minute in 300u64..60_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (wire, pauses) = runtime.block_on(called(callers, concurrency, per_minute, tokens_per_minute));
        proptest::prop_assert!(wire.most_at_once.load(Ordering::SeqCst) <= concurrency);
        let begun = wire.begun.lock().unwrap();
        for moment in begun.iter() {
            proptest::prop_assert!(pauses.iter().all(|(from, until)| moment <= from || moment >= until), "begun in a cool-down");
        }
        let burst = (f64::from(per_minute) / 60.0).max(1.0);
        for (index, from) in begun.iter().enumerate() {
            for (count, to) in begun[index..].iter().enumerate() {
                let allowed = (*to - *from).as_secs_f64() * f64::from(per_minute) / 60.0 + burst;
                proptest::prop_assert!((count + 1) as f64 <= allowed + 1e-3, "{} requests within {:?}", count + 1, *to - *from);
            }
        }
    }

    /// And nobody waits for nothing: the lane is never idle for longer than its limits, its replies and the looks at other processes need.
    #[test]
    fn a_busy_lane_ends_as_soon_as_its_limits_allow(
        callers in proptest::collection::vec((1u64..900, 1u64..200, 1u64..20, 0usize..4, proptest::bool::weighted(0.2)), 1..40),
        concurrency in 1usize..6,
        per_minute in 60u32..3000,
        input_per_minute in 600u64..60_000,
        output_per_minute in 60u64..6000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let script = callers.clone();
        let wire = Arc::new(Scripted::new(move |_, call| {
            let number = usize::from_be_bytes(call.key.as_bytes()[..8].try_into().unwrap());
            let (takes, input, output, ..) = script[number];
            (Duration::from_millis(takes), Ok(took(input, output)))
        }));
        let stack = stack(&wire, |config| {
            config.max_concurrency = concurrency;
            config.requests_per_minute = Some(per_minute);
            (config.input_tokens_per_minute, config.output_tokens_per_minute) = (Some(input_per_minute), Some(output_per_minute));
        });
        let elapsed = runtime.block_on(async {
            let started = Instant::now();
            let calls = callers.iter().enumerate().map(|(number, (.., busy, found))| stack.ask(Call { flight: looking(*busy, *found).0, ..large(number) }));
            assert!(join_all(calls).await.iter().all(Result::is_ok));
            started.elapsed()
        });
        // As if everything came one after the other.
        let asked = callers.iter().filter(|(.., found)| !found);
        let needed: f64 = asked.map(|(takes, input, output, ..)| {
            let tokens = *input as f64 / input_per_minute as f64 + *output as f64 / output_per_minute as f64;
            *takes as f64 / 1000.0 + 60.0 * (tokens + 1.0 / f64::from(per_minute))
        }).sum();
        let looks: usize = callers.iter().map(|(.., busy, _)| busy).sum();
        let bound = needed + looks as f64 * LOOK_AGAIN.as_secs_f64() + 2.0;
        proptest::prop_assert!(elapsed.as_secs_f64() <= bound, "{elapsed:?} of {bound} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_goes_before_what_was_never_sent() {
    let wire = Arc::new(Scripted::new(|number, _| {
        let result = if number == 0 { Err(failed(ErrorKind::Server, Advice::default())) } else { Ok(fresh("ok")) };
        (seconds(10), result)
    }));
    let stack = stack(&wire, |config| config.max_concurrency = 1);
    let started = Instant::now();
    let calls = (0..40).map(|number| {
        let stack = &stack;
        async move { (stack.ask(call(number)).await, started.elapsed()) }
    });
    let ended = join_all(calls).await;
    assert!(ended[0].0.is_ok() && ended[0].1 <= seconds(30), "{:?}: behind all others its time limit would have passed", ended[0].1);
}

#[tokio::test(start_paused = true)]
async fn nothing_left_of_a_limit_that_is_not_told_waits_for_its_reset() {
    struct Spent(Mutex<Vec<Instant>>);
    impl Wire for Arc<Spent> {
        async fn attempt(&self, _: &Call, patience: &Patience) -> Attempted {
            patience.begin();
            self.0.lock().unwrap().push(Instant::now());
            let requests = crate::endpoint::rate_limits::Standing { limit: None, remaining: Some(0), reset: Some(seconds(12)) };
            Attempted { result: Ok(fresh("ok")), limits: crate::endpoint::rate_limits::RateLimits { requests, ..Default::default() } }
        }
    }
    let wire = Arc::new(Spent(Mutex::default()));
    let config = config("http://127.0.0.1");
    let stack = Retrying::new(Limited::new(Arc::clone(&wire), &config), &config, 1);
    stack.ask(call(0)).await.unwrap();
    stack.ask(call(1)).await.unwrap();
    let begun = wire.0.lock().unwrap();
    assert_eq!(begun[1] - begun[0], seconds(12));
}
