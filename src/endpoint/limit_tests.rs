//! Do permits, rates, the cool-down and the stop hold for every call of an endpoint?

use std::sync::atomic::Ordering;

use futures_util::future::join_all;

use super::*;
use crate::endpoint::Endpoint;
use crate::endpoint::patience::Flight;
use crate::endpoint::retry::Retrying;
use crate::endpoint::testing::{Scripted, call, call_to, config, failed, fresh, heard, reply};
use crate::endpoint::wire::Advice;
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
        0 => (seconds(1), Err(failed(ErrorKind::RateLimited, Advice { after: Some(seconds(30)), should_retry: None }))),
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

/// One caller: when it comes, how long its attempt takes, what comes of it, and when nobody waits for it any more.
type Caller = (u64, u64, u8, u64);

/// Attempts with their beginnings, and the cool-downs that they caused: from when until when.
async fn called(callers: Vec<Caller>, concurrency: usize, per_minute: u32) -> (Arc<Scripted>, Vec<(Instant, Instant)>) {
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
            0..=2 => Err(failed(ErrorKind::RateLimited, Advice { after, should_retry: None })),
            3 => Err(failed(ErrorKind::Overloaded, Advice::default())),
            _ => Ok(fresh("ok")),
        };
        (takes, result)
    }));
    let stack = stack(&wire, |config| {
        config.max_concurrency = concurrency;
        config.requests_per_minute = Some(per_minute);
        config.max_retry_after = seconds(20);
    });
    let calls = callers.iter().enumerate().map(|(number, (comes, _, _, leaves))| {
        let stack = &stack;
        async move {
            let abandoned = tokio_util::sync::CancellationToken::new();
            let flight = Flight::new(abandoned.clone(), || Recheck::Ask);
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
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (wire, pauses) = runtime.block_on(called(callers, concurrency, per_minute));
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
        async fn attempt(&self, _: &Call, _: &Patience) -> Attempted {
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
