//! Is each class of failure retried as it should be, and no longer than the case may take?

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::endpoint::limit::Limited;
use crate::endpoint::testing::{Scripted, call, config, failed, fresh, heard};
use crate::model::reply::Served;

/// Every kind there is, by its schema.
fn kinds() -> Vec<ErrorKind> {
    let schema = serde_json::to_value(schemars::schema_for!(ErrorKind)).unwrap();
    let names = schema["oneOf"].as_array().unwrap().iter().map(|kind| kind["const"].clone());
    names.map(|name| serde_json::from_value(name).unwrap()).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn asks_for(after: Duration) -> Advice {
    Advice { after: Some(after), ..Advice::default() }
}

/// A wire that fails so often, then answers.
fn flaky(failures: usize, kind: ErrorKind, advice: Advice) -> Arc<Scripted> {
    Arc::new(Scripted::new(move |number, _| {
        (Duration::from_millis(10), if number < failures { Err(failed(kind, advice)) } else { Ok(fresh("ok")) })
    }))
}

fn retrying(wire: &Arc<Scripted>) -> Retrying<Limited<Arc<Scripted>>> {
    let config = config("http://127.0.0.1");
    Retrying::new(Limited::new(Arc::clone(wire), &config), &config, 7)
}

#[tokio::test(start_paused = true)]
async fn passing_trouble_is_retried_and_every_attempt_is_told() {
    for kind in kinds().into_iter().filter(|kind| class(*kind) == Class::Retry) {
        let wire = flaky(2, kind, Advice::default());
        let (call, heard) = heard(call(1));
        let answer = retrying(&wire).ask(call).await.unwrap();
        let errors: Vec<_> = answer.reply.attempts.iter().map(|attempt| attempt.error).collect();
        assert_eq!(errors, [Some(kind), Some(kind), None]);
        assert_eq!(wire.count(), 3);
        let retries = heard.lock().unwrap().iter().filter(|event| matches!(event, CallEvent::Retrying { .. })).count();
        assert_eq!(retries, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_no_text_is_asked_for_once_more_and_not_again_whatever_its_words() {
    for (no_text, attempts) in [(true, 2), (false, retrying(&flaky(0, ErrorKind::Server, Advice::default())).max_attempts as usize)] {
        let wire = Arc::new(Scripted::new(move |_, _| {
            let advice = Advice { no_text, ..Advice::default() };
            let Failed::Attempt { error, attempt, advice } = failed(ErrorKind::MalformedReply, advice) else { panic!("it is one") };
            // As a server may write.
            let words =
                "HTTP 200 with a body that is no reply: it begins `is not UTF-8`, holds half of a surrogate pair, which is no Unicode";
            (Duration::from_millis(10), Err(Failed::Attempt { error: CellError { message: words.to_owned(), ..error }, attempt, advice }))
        }));
        let error = retrying(&wire).ask(call(1)).await.unwrap_err();
        assert_eq!((error.kind, error.attempts.len(), wire.count()), (ErrorKind::MalformedReply, attempts, attempts), "{no_text}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_never_retried_whatever_a_header_says() {
    for kind in [ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::SpendLimit] {
        let wire = flaky(9, kind, Advice { after: Some(seconds(1)), should_retry: Some(true), ..Advice::default() });
        let error = retrying(&wire).ask(call(1)).await.unwrap_err();
        assert_eq!((error.kind, error.attempts.len(), wire.count()), (kind, 1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_request_is_not_retried_unless_the_server_says_so() {
    let wire = flaky(1, ErrorKind::InvalidRequest, Advice::default());
    assert_eq!(retrying(&wire).ask(call(1)).await.unwrap_err().kind, ErrorKind::InvalidRequest);
    let wire = flaky(1, ErrorKind::InvalidRequest, Advice { should_retry: Some(true), ..Advice::default() });
    assert!(retrying(&wire).ask(call(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_server_can_forbid_a_retry() {
    let wire = flaky(1, ErrorKind::Server, Advice { should_retry: Some(false), ..Advice::default() });
    assert_eq!(retrying(&wire).ask(call(1)).await.unwrap_err().attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn attempts_end_at_their_number_and_the_error_has_all_of_them() {
    let wire = flaky(99, ErrorKind::Overloaded, Advice::default());
    let error = retrying(&wire).ask(call(1)).await.unwrap_err();
    assert_eq!((error.kind, error.attempts.len(), wire.count()), (ErrorKind::Overloaded, 4, 4));
    assert_eq!(error.message, "Overloaded (after 4 attempts)");
}

#[tokio::test(start_paused = true)]
async fn a_429_is_retried_after_what_the_server_asks() {
    let wire = flaky(1, ErrorKind::RateLimited, asks_for(seconds(20)));
    retrying(&wire).ask(call(1)).await.unwrap();
    let gap = wire.times()[1];
    assert!((seconds(20)..=seconds(22)).contains(&gap), "{gap:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wish_beyond_the_setting_is_cut_to_it() {
    let wire = flaky(1, ErrorKind::RateLimited, asks_for(Duration::MAX));
    retrying(&wire).ask(call(1)).await.unwrap();
    let gap = wire.times()[1];
    assert!((seconds(120)..=seconds(122)).contains(&gap), "{gap:?}");
}

#[test]
fn without_a_wish_the_jitter_is_full_and_capped() {
    let retrying = Retrying::new((), &config("http://127.0.0.1"), 3);
    for failed in 1..40 {
        let most = Duration::from_millis(500 * 2_u64.pow((failed - 1).min(4)));
        let delays: Vec<_> = (0..200).map(|_| retrying.delay(Advice::default(), failed)).collect();
        assert!(delays.iter().all(|delay| *delay <= most), "{failed}");
        // Full: from nothing to the whole of it, not a band near its top.
        assert!(delays.iter().any(|delay| *delay < most / 10) && delays.iter().any(|delay| *delay > most * 9 / 10), "{failed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_jitter() {
    let delays = |seed| {
        let retrying = Retrying::new((), &config("http://127.0.0.1"), seed);
        (1..9).map(|failed| retrying.delay(Advice::default(), failed)).collect::<Vec<_>>()
    };
    assert_eq!(delays(5), delays(5));
    assert_ne!(delays(5), delays(6));
}

#[tokio::test(start_paused = true)]
async fn a_sleep_that_would_pass_the_time_limit_does_not_begin() {
    let wire = flaky(9, ErrorKind::RateLimited, asks_for(seconds(50)));
    let started = Instant::now();
    let error = retrying(&wire).ask(Call { deadline: seconds(30), ..call(1) }).await.unwrap_err();
    assert_eq!((error.kind, error.attempts.len()), (ErrorKind::Timeout, 1));
    assert!(started.elapsed() < seconds(1));
    insta::assert_snapshot!(error.message, @"the case's time limit of 30s leaves no time for another attempt; the last attempt: RateLimited");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_under_way_outlives_the_time_limit() {
    let wire = Arc::new(Scripted::after(seconds(100)));
    let answer = retrying(&wire).ask(Call { deadline: seconds(30), ..call(1) }).await.unwrap();
    assert_eq!(answer.reply.text(), "ok");
}

#[tokio::test(start_paused = true)]
async fn standing_in_line_is_not_counted_against_the_case() {
    let wire = Arc::new(Scripted::after(seconds(20)));
    let mut config = config("http://127.0.0.1");
    config.max_concurrency = 1;
    let retrying = Arc::new(Retrying::new(Limited::new(Arc::clone(&wire), &config), &config, 7));
    let calls = (0..5).map(|number| retrying.ask(Call { deadline: seconds(30), ..call(number) }));
    let results = futures_util::future::join_all(calls).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_retry_holds_no_permit() {
    let wire = Arc::new(Scripted::new(|_, call| {
        let first = call.request.turns[0].content[0].as_text() == Some("question 0");
        let advice = Advice::default();
        (Duration::from_millis(10), if first { Err(failed(ErrorKind::Server, advice)) } else { Ok(fresh("ok")) })
    }));
    let mut config = config("http://127.0.0.1");
    config.max_concurrency = 1;
    config.max_attempts = 99;
    let retrying = Retrying::new(Limited::new(Arc::clone(&wire), &config), &config, 7);
    let failing = retrying.ask(Call { deadline: seconds(60), ..call(0) });
    let others = async {
        let started = Instant::now();
        for number in 1..20 {
            retrying.ask(call(number)).await.unwrap();
        }
        started.elapsed()
    };
    let (error, elapsed) = tokio::join!(failing, others);
    assert_eq!(error.unwrap_err().kind, ErrorKind::Timeout);
    assert!(elapsed < seconds(1), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_sends_nothing_more() {
    let wire = flaky(9, ErrorKind::Server, asks_for(seconds(5)));
    let abandoned = tokio_util::sync::CancellationToken::new();
    let flight = crate::endpoint::patience::Flight::new(abandoned.clone(), || crate::endpoint::patience::Recheck::Ask);
    let retrying = retrying(&wire);
    let (result, ()) = tokio::join!(retrying.ask(Call { flight, ..call(1) }), async {
        tokio::time::sleep(seconds(1)).await;
        abandoned.cancel();
    });
    assert!(result.is_err());
    assert_eq!(wire.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_somebody_else_paid_for_keeps_its_own_story() {
    let wire = Arc::new(Scripted::new(|number, _| {
        let shared = Answer { served: Served::Shared, ..fresh("ok") };
        (Duration::ZERO, if number == 0 { Err(failed(ErrorKind::Server, Advice::default())) } else { Ok(shared) })
    }));
    let answer = retrying(&wire).ask(call(1)).await.unwrap();
    assert_eq!((answer.served, answer.reply.attempts.len(), wire.count()), (Served::Shared, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn the_attempts_of_three_outages_are_forgiven_and_those_of_a_fourth_are_not() {
    let breaker = Arc::new(Breaker::new(&config("http://127.0.0.1")));
    let Failed::Attempt { error, .. } = failed(ErrorKind::Connection, Advice::default()) else { panic!("it is one") };
    let mut tally = Tally { call: 0, ..Tally::default() };
    let mut made = Vec::new();
    for _ in 0..5 {
        // Nine in a row over several calls are an outage; this call has a part in each.
        for number in (1..9).chain([tally.call]) {
            let failure = Failure { call: number, headless: true, hung: false, last_try: false, probe: false };
            let streak = breaker.failed(&call(1), failure, &error);
            if number == tally.call {
                tally.failed_in(streak, &breaker);
            }
        }
        made.push(tally.made(&breaker));
        breaker.alive();
    }
    assert_eq!(made, [0, 0, 0, 1, 2], "an endpoint that goes up and down ends every call at last");
}
