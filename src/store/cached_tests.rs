//! Is every answer asked once, stored before it is returned, and never lost?

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::*;
use crate::endpoint::EndpointConfig;
use crate::endpoint::limit::Limited;
use crate::endpoint::patience::Patience;
use crate::endpoint::retry::Retrying;
use crate::endpoint::testing::{Scripted, call, config, failed, fresh};
use crate::endpoint::wire::{Advice, Attempted, Wire};
use crate::store::batches::{BatchEnd, Intent, Item};

type TestStack = Cached<Retrying<Limited<Arc<Scripted>>>>;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn cached_with(folder: &tempfile::TempDir, mode: CacheMode, wire: &Arc<Scripted>, change: impl FnOnce(&mut EndpointConfig)) -> TestStack {
    let mut config = config("http://127.0.0.1");
    change(&mut config);
    let limited = Limited::new(Arc::clone(wire), &config);
    let retrying = Retrying::new(limited, &config, 1);
    Cached::new(Arc::new(Store::open(folder.path()).unwrap()), mode, retrying)
}

fn cached(folder: &tempfile::TempDir, mode: CacheMode, wire: &Arc<Scripted>) -> TestStack {
    cached_with(folder, mode, wire, |_| {})
}

/// Answers with the number of the attempt, after a tenth of a second.
fn numbering() -> Arc<Scripted> {
    Arc::new(Scripted::new(|number, _| (Duration::from_millis(100), Ok(fresh(&format!("answer {number}"))))))
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_once_is_not_asked_again() {
    let folder = folder();
    let wire = numbering();
    let first = cached(&folder, CacheMode::ReadWrite, &wire);
    assert_eq!(first.ask(call(1)).await.unwrap().served, Served::Fresh);
    assert_eq!(first.ask(call(1)).await.unwrap().served, Served::Stored);
    let second = cached(&folder, CacheMode::ReadWrite, &wire);
    let answer = second.ask(call(1)).await.unwrap();
    assert_eq!((answer.served, answer.reply.text().as_str()), (Served::Stored, "answer 0"));
    assert_eq!(wire.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_of_one_key_make_one_request_and_one_bill() {
    let folder = folder();
    let wire = numbering();
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    let answers = join_all((0..100).map(|_| cached.ask(call(1)))).await;
    assert_eq!(wire.count(), 1);
    let paid = answers.iter().filter(|answer| answer.as_ref().unwrap().served.is_paid()).count();
    assert_eq!(paid, 1);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().reply.text() == "answer 0"));
    assert!(cached.drain().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_stored_although_its_caller_left_and_the_bill_hears_of_it() {
    let folder = folder();
    let wire = numbering();
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    assert!(tokio::time::timeout(Duration::from_millis(50), cached.ask(call(1))).await.is_err());
    let left_over = cached.drain().await;
    assert_eq!(
        left_over.iter().map(|(key, answer)| (*key, answer.reply.text())).collect::<Vec<_>>(),
        [(call(1).key, "answer 0".to_owned())]
    );
    assert_eq!(cached.ask(call(1)).await.unwrap().served, Served::Stored);
    assert_eq!(wire.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_the_one_who_began_left_another_passenger_counts_the_answer_as_its_own() {
    let folder = folder();
    let wire = numbering();
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    let (left, second, third) =
        tokio::join!(tokio::time::timeout(Duration::from_millis(50), cached.ask(call(1))), cached.ask(call(1)), cached.ask(call(1)));
    assert!(left.is_err());
    let mut served = [second.unwrap().served, third.unwrap().served];
    served.sort_by_key(|served| served.is_paid());
    assert_eq!(served, [Served::Shared, Served::Fresh]);
    assert!(cached.drain().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_in_line_is_not_sent_once_its_caller_left() {
    let folder = folder();
    let wire = numbering();
    let cached = cached_with(&folder, CacheMode::ReadWrite, &wire, |config| config.max_concurrency = 1);
    let (first, left) = tokio::join!(cached.ask(call(1)), tokio::time::timeout(Duration::from_millis(50), cached.ask(call(2))));
    assert!(first.is_ok() && left.is_err());
    cached.drain().await;
    assert_eq!(wire.count(), 1);
    // And whoever comes later is not told of it.
    assert_eq!(cached.ask(call(2)).await.unwrap().served, Served::Fresh);
}

#[tokio::test(start_paused = true)]
async fn whoever_joins_an_abandoned_call_gets_an_answer_all_the_same() {
    let folder = folder();
    let wire = Arc::new(Scripted::new(|number, _| match number {
        0 => (
            Duration::from_millis(10),
            Err(failed(ErrorKind::Server, Advice { after: Some(Duration::from_secs(60)), ..Advice::default() })),
        ),
        _ => (Duration::from_millis(10), Ok(fresh("ok"))),
    }));
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    let (left, joined) = tokio::join!(tokio::time::timeout(Duration::from_secs(1), cached.ask(call(1))), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cached.ask(call(1)).await
    });
    assert!(left.is_err());
    assert_eq!(joined.unwrap().reply.text(), "ok");
}

/// The first request fails and asks for a long pause, the second one answers after ten seconds, others are answered at once.
fn failing_then_slow() -> Arc<Scripted> {
    Arc::new(Scripted::new(|number, _| match number {
        0 => (Duration::ZERO, Err(failed(ErrorKind::Server, Advice { after: None, ..Advice::default() }))),
        1 => (Duration::from_secs(10), Ok(fresh("slow"))),
        _ => (Duration::ZERO, Ok(fresh("ok"))),
    }))
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_waiting_and_sleeping_and_finishes_what_is_on_the_wire() {
    let folder = folder();
    let wire = failing_then_slow();
    let mut config = config("http://127.0.0.1");
    config.max_concurrency = 1;
    let stopped = CancellationToken::new();
    let limited = Limited::new(Arc::clone(&wire), &config);
    let retrying = Retrying::new(limited, &config, 1);
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let cached = Cached::until(store, CacheMode::ReadWrite, retrying, stopped.clone());
    let started = Instant::now();
    let (failing, flying, waiting, ()) = tokio::join!(cached.ask(call(1)), cached.ask(call(2)), cached.ask(call(3)), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        stopped.cancel();
    });
    assert_eq!(flying.unwrap().reply.text(), "slow");
    assert_eq!(failing.unwrap_err().attempts.len(), 1, "what was tried is told");
    assert!(waiting.unwrap_err().attempts.is_empty());
    assert_eq!((wire.count(), started.elapsed().as_secs()), (2, 10));
    // Afterwards nothing is asked, and what is stored is read.
    assert!(cached.ask(call(4)).await.is_err());
    assert_eq!(cached.ask(call(2)).await.unwrap().served, Served::Stored);
    assert_eq!(wire.count(), 2);
}

/// The first request waits until the gate opens; the others are answered at once.
#[derive(Default)]
struct Gated {
    gate: tokio::sync::Notify,
    asked: std::sync::atomic::AtomicUsize,
}

impl Wire for Arc<Gated> {
    async fn attempt(&self, _call: &Call, patience: &Patience) -> Attempted {
        patience.begin();
        if self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            self.gate.notified().await;
        }
        Ok(fresh("asked here")).into()
    }
}

#[tokio::test]
async fn what_another_process_stored_while_this_one_stood_in_line_is_not_asked_again() {
    let folder = folder();
    let wire = Arc::new(Gated::default());
    let mut config = config("http://127.0.0.1");
    config.max_concurrency = 1;
    let retrying = Retrying::new(Limited::new(Arc::clone(&wire), &config), &config, 1);
    let one = Cached::new(Arc::new(Store::open(folder.path()).unwrap()), CacheMode::ReadWrite, retrying);
    let other = cached(&folder, CacheMode::ReadWrite, &numbering());
    // The second call stands in line behind the first one, which is answered only when the other process has stored the second one's answer.
    let (first, second, ()) = tokio::join!(one.ask(call(1)), one.ask(call(2)), async {
        other.ask(call(2)).await.unwrap();
        wire.gate.notify_one();
    });
    assert_eq!(first.unwrap().reply.text(), "asked here");
    let second = second.unwrap();
    assert_eq!((second.served, second.reply.text().as_str()), (Served::Shared, "answer 0"));
    assert_eq!(wire.asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn refresh_asks_again_once_and_stores_beside_the_old_answer() {
    let folder = folder();
    let wire = numbering();
    cached(&folder, CacheMode::ReadWrite, &wire).ask(call(1)).await.unwrap();
    let refreshing = cached(&folder, CacheMode::Refresh, &wire);
    let fresh = refreshing.ask(call(1)).await.unwrap();
    assert_eq!((fresh.served, fresh.reply.text().as_str()), (Served::Fresh, "answer 1"));
    // A second cell with the same request shares the new answer.
    let again = refreshing.ask(call(1)).await.unwrap();
    assert_eq!((again.served, again.reply.text().as_str()), (Served::Stored, "answer 1"));
    let known = refreshing.shared.store.known(&[call(1).key]).unwrap();
    assert_eq!(known[&call(1).key].generation, 2);
    assert_eq!(cached(&folder, CacheMode::ReadWrite, &wire).ask(call(1)).await.unwrap().reply.text(), "answer 1");
}

#[tokio::test(start_paused = true)]
async fn off_reads_nothing_and_stores_all_the_same() {
    let folder = folder();
    let wire = numbering();
    cached(&folder, CacheMode::ReadWrite, &wire).ask(call(1)).await.unwrap();
    assert_eq!(cached(&folder, CacheMode::Off, &wire).ask(call(1)).await.unwrap().reply.text(), "answer 1");
    assert_eq!(cached(&folder, CacheMode::Only, &wire).ask(call(1)).await.unwrap().reply.text(), "answer 1");
}

#[tokio::test(start_paused = true)]
async fn only_asks_nothing() {
    let folder = folder();
    let wire = numbering();
    let error = cached(&folder, CacheMode::Only, &wire).ask(call(1)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::CacheMiss);
    assert!(error.message.contains(&call(1).key.to_string()));
    assert_eq!(wire.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_stored_and_is_the_same_for_all_who_waited_and_its_attempts_are_counted_once() {
    let folder = folder();
    let wire = Arc::new(Scripted::new(|number, _| match number {
        0 => (Duration::from_millis(10), Err(failed(ErrorKind::InvalidRequest, Advice::default()))),
        _ => (Duration::from_millis(10), Ok(fresh("ok"))),
    }));
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    let (one, other) = tokio::join!(cached.ask(call(1)), cached.ask(call(1)));
    let (one, other) = (one.unwrap_err(), other.unwrap_err());
    assert_eq!((one.attempts.len(), other.attempts.len()), (1, 0));
    assert_eq!(CellError { attempts: Vec::new(), ..one }, other);
    assert_eq!(cached.ask(call(1)).await.unwrap().served, Served::Fresh);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_write_ends_all_asking() {
    let folder = folder();
    let wire = numbering();
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    let hand = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    hand.execute_batch("CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT raise(FAIL, 'database or disk is full'); END").unwrap();
    let mut results = vec![cached.ask(call(0)).await];
    results.extend(join_all((1..5).map(|number| cached.ask(call(number)))).await);
    assert_eq!(results[0].as_ref().unwrap().served, Served::Fresh, "what is paid is judged and billed");
    for result in &results[1..] {
        let error = result.as_ref().unwrap_err();
        assert_eq!((error.kind, error.attempts.len()), (ErrorKind::Store, 0));
        assert!(error.message.contains("disk is full"), "{}", error.message);
    }
    assert_eq!(wire.count(), 1);
    assert_eq!(cached.failure().map(|error| error.kind), Some(ErrorKind::Store));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_once_something_else_took_the_room_that_was_kept() {
    let folder = folder();
    let wire = numbering();
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    cached.ask(call(0)).await.unwrap();
    cached.shared.store.writer.as_ref().unwrap().fill_up();
    assert_eq!(cached.ask(call(0)).await.unwrap().served, Served::Stored, "what is stored is read");
    for result in join_all((1..5).map(|number| cached.ask(call(number)))).await {
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.attempts.len()), (ErrorKind::Store, 0));
    }
    assert_eq!(wire.count(), 1);
    assert_eq!(cached.failure().map(|error| error.kind), Some(ErrorKind::Store));
}

#[tokio::test(start_paused = true)]
async fn a_panic_below_leaves_nobody_waiting_and_the_next_one_asks_again() {
    let folder = folder();
    let wire = Arc::new(Scripted::new(|number, _| match number {
        0 => panic!("a mistake"),
        _ => (Duration::ZERO, Ok(fresh("ok"))),
    }));
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    let results = join_all((0..3).map(|_| cached.ask(call(1)))).await;
    assert!(results.iter().all(|result| result.as_ref().unwrap_err().message.contains("without a result")));
    assert_eq!(cached.ask(call(1)).await.unwrap().served, Served::Fresh, "nobody joins a flight that is over");
    cached.drain().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_the_process_is_gone() {
    let folder = folder();
    let wire = numbering();
    let cached = cached(&folder, CacheMode::ReadWrite, &wire);
    cached.ask(call(1)).await.unwrap();
    // A killed process runs no destructor: the file must be whole without one.
    std::mem::forget(cached);
    let other = Store::open(folder.path()).unwrap();
    assert!(other.get(&call(1).key).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_attempts_of_a_flight_that_is_stopped_are_told_once() {
    let folder = folder();
    let wire = Arc::new(Scripted::new(|_, _| {
        (
            Duration::from_millis(10),
            Err(failed(ErrorKind::Connection, Advice { after: Some(Duration::from_secs(60)), ..Advice::default() })),
        )
    }));
    let config = config("https://api.anthropic.com");
    let stopped = CancellationToken::new();
    let stack = Retrying::new(Limited::new(Arc::clone(&wire), &config), &config, 1);
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let cached = Cached::until(store, CacheMode::ReadWrite, stack, stopped.clone());
    let (one, two, ()) = tokio::join!(cached.ask(call(1)), cached.ask(call(1)), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stopped.cancel();
    });
    let attempts = [one, two].map(|result| result.unwrap_err().attempts.len());
    assert_eq!((attempts.iter().sum::<usize>(), wire.count()), (1, 1), "told twice they would be billed twice");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_in_flight_until_it_is_stored() {
    let folder = folder();
    let hand = Arc::new(Store::open(folder.path()).unwrap());
    let looks = Arc::new(Mutex::new(Vec::new()));
    let (store, seen) = (Arc::clone(&hand), Arc::clone(&looks));
    // Whoever is sent looks which of those that were sent before are not stored yet.
    let wire = Arc::new(Scripted::new(move |number, _| {
        let unstored = (0..number).filter(|earlier| store.get(&call(*earlier).key).unwrap().is_none()).count();
        seen.lock().unwrap().push(unstored);
        (Duration::from_millis(10), Ok(fresh("ok")))
    }));
    let cached = cached_with(&folder, CacheMode::ReadWrite, &wire, |config| config.max_concurrency = 2);
    join_all((0..40).map(|number| cached.ask(call(number)))).await;
    let most = looks.lock().unwrap().iter().copied().max();
    assert_eq!((wire.count(), most), (40, Some(1)), "a kill at any moment loses at most what may be under way at once");
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_holds_is_left_to_it_though_it_began_after_the_run() {
    let folder = folder();
    let wire = numbering();
    let asks = cached(&folder, CacheMode::ReadWrite, &wire);
    assert_eq!(asks.ask(call(1)).await.unwrap().served, Served::Fresh);
    let other = Store::open(folder.path()).unwrap();
    let intent = |mark: &str, numbers: &[usize]| Intent {
        mark: mark.to_owned(),
        endpoint: "anthropic".to_owned(),
        at: chrono::DateTime::UNIX_EPOCH,
        newest: None,
        items: numbers.iter().map(|number| Item { key: call(*number).key, sample: 0 }).collect(),
    };
    other.intend_batch(intent("first", &[1, 2, 3])).await.unwrap();
    assert_eq!(asks.ask(call(1)).await.unwrap().served, Served::Stored, "what is answered is answered");
    let held = asks.ask(call(2)).await.unwrap_err();
    assert_eq!(
        (held.kind, held.message.as_str()),
        (ErrorKind::Batch, "a batch that may have been created holds this request: run again to wait for it")
    );
    other.batch_created("first", "msgbatch_1").await.unwrap();
    for _ in 0..2 {
        assert_eq!(asks.ask(call(3)).await.unwrap_err().message, "batch msgbatch_1 holds this request: run again to wait for it");
    }
    assert_eq!(wire.count(), 1, "neither is asked");
    assert_eq!(asks.left_to_batches(), [("a batch that may have been created".to_owned(), 1), ("batch msgbatch_1".to_owned(), 1)]);
    assert!(cached(&folder, CacheMode::ReadWrite, &wire).asking_held().ask(call(2)).await.is_ok(), "somebody wants to pay again");
    assert!(cached(&folder, CacheMode::Off, &wire).ask(call(2)).await.is_ok(), "it wants an answer of its own");
    other.trim_batch("first", vec![Item { key: call(2).key, sample: 0 }]).await.unwrap();
    assert_eq!(asks.ask(call(3)).await.unwrap().served, Served::Fresh, "it was left out of the batch");
    other.intend_batch(intent("second", &[4])).await.unwrap();
    other.batch_ended("second", BatchEnd::NeverCreated).await.unwrap();
    assert_eq!(asks.ask(call(4)).await.unwrap().served, Served::Fresh);
}

/// Locks belong to the open file there, so that two stores of one process keep each other off as two processes do.
#[cfg(target_os = "linux")]
mod claims {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_runs_in_lockstep_share_the_work_and_ask_nothing_twice() {
        let folder = folder();
        let wire = numbering();
        let (one, other) = (cached(&folder, CacheMode::ReadWrite, &wire), cached(&folder, CacheMode::ReadWrite, &wire));
        let (ours, theirs) =
            tokio::join!(join_all((0..60).map(|number| one.ask(call(number)))), join_all((0..60).map(|number| other.ask(call(number)))));
        assert_eq!(wire.count(), 60);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let (ours, theirs) = (ours.as_ref().unwrap(), theirs.as_ref().unwrap());
            assert_eq!(ours.reply.text(), theirs.reply.text());
            assert_eq!(u8::from(ours.served.is_paid()) + u8::from(theirs.served.is_paid()), 1, "it is billed once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_is_kept_over_retries_and_given_up_with_the_last_one() {
        let folder = folder();
        // Three failures with pauses between them, and then whoever asks next has an answer.
        let wire = Arc::new(Scripted::new(|number, _| match number {
            0..3 => (
                Duration::from_millis(10),
                Err(failed(ErrorKind::Server, Advice { after: Some(Duration::from_secs(5)), ..Advice::default() })),
            ),
            _ => (Duration::from_millis(10), Ok(fresh("ok"))),
        }));
        let three = |config: &mut EndpointConfig| config.max_attempts = 3;
        let one = cached_with(&folder, CacheMode::ReadWrite, &wire, three);
        let other = cached_with(&folder, CacheMode::ReadWrite, &wire, three);
        let (failed, answered) = tokio::join!(one.ask(call(1)), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            other.ask(call(1)).await
        });
        assert_eq!(failed.unwrap_err().attempts.len(), 3);
        assert_eq!((answered.unwrap().reply.attempts.len(), wire.count()), (1, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_a_process_that_stands_still() {
        let folder = folder();
        let wire = numbering();
        let suspended = Store::open(folder.path()).unwrap();
        let crate::store::claim::Claimed::Ours(_claim) = suspended.claim(&call(1).key) else { panic!("nobody else claims") };
        let cached = cached(&folder, CacheMode::ReadWrite, &wire);
        let started = Instant::now();
        let (stuck, free) = tokio::join!(cached.ask(call(1)), async {
            cached.ask(call(2)).await.unwrap();
            started.elapsed()
        });
        assert!(free < call(2).deadline, "other calls go on: {free:?}");
        assert_eq!(stuck.unwrap().served, Served::Fresh);
        assert!(started.elapsed() >= call(1).deadline, "as long as a case may take: {:?}", started.elapsed());
        assert_eq!(wire.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_share_a_byte_are_answered_all_the_same() {
        let folder = folder();
        let wire = numbering();
        let (one, other) = (cached(&folder, CacheMode::ReadWrite, &wire), cached(&folder, CacheMode::ReadWrite, &wire));
        let alike = |number: u8| {
            let mut key = [7; 32];
            key[31] = number;
            Call { key: Key::from_bytes(key), ..call(usize::from(number)) }
        };
        let (ours, theirs) =
            tokio::join!(join_all((0..20).map(|number| one.ask(alike(number)))), join_all((0..20).map(|number| other.ask(alike(number)))));
        assert!(ours.iter().chain(&theirs).all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn who_wants_an_answer_of_its_own_does_not_wait_for_anybody() {
        for mode in [CacheMode::Refresh, CacheMode::Off] {
            let folder = folder();
            let wire = numbering();
            let (one, other) = (cached(&folder, mode, &wire), cached(&folder, mode, &wire));
            let (ours, theirs) = tokio::join!(one.ask(call(1)), other.ask(call(1)));
            assert_eq!((ours.unwrap().served, theirs.unwrap().served), (Served::Fresh, Served::Fresh));
        }
    }
}
