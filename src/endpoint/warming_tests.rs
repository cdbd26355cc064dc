//! Does one call of a group go first, whatever becomes of it, and does nobody wait in vain?

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::endpoint::EndpointConfig;
use crate::endpoint::limit::Limited;
use crate::endpoint::patience::{Flight, Patience};
use crate::endpoint::retry::Retrying;
use crate::endpoint::testing::{call, config, failed, heard, reply};
use crate::endpoint::wire::{Advice, Attempted, Wire};
use crate::model::prefix::{Life, Place, Prefix};
use crate::model::reply::{Served, StopReason};
use crate::model::verdict::ErrorKind;

/// What a request comes to.
#[derive(Debug, Clone)]
enum Step {
    /// An answer after so long.
    Answers(Duration),
    /// A stream that begins after the first and ends after the second.
    Streams(Duration, Duration),
    /// A failure after so long, with what the server says about the next attempt.
    Fails(Duration, ErrorKind, Advice),
    /// A refusal before any output, of which the usage says nothing.
    Refuses(Duration),
}

type Script = Box<dyn Fn(usize, &Call) -> Step + Send + Sync>;

/// A provider with a prompt cache by the documented rules, and its books.
struct Provider {
    script: Script,
    keeps: bool,
    state: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    asked: usize,
    /// From when on an entry can be read, and until when it lives.
    entries: HashMap<Digest, (Instant, Instant)>,
    writes: HashMap<Digest, u32>,
    reads: u32,
}

impl Provider {
    fn new(script: impl Fn(usize, &Call) -> Step + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), keeps: true, state: Mutex::default() })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.state.lock().unwrap()
    }

    fn writes(&self) -> u32 {
        self.books().writes.values().sum()
    }

    /// What the request that began then reads and writes: what is there, and what is not.
    fn look_up(&self, call: &Call, began: Instant) -> Vec<Mark> {
        let marks = call.marks.shared().iter().filter(|_| self.keeps);
        let mut books = self.books();
        let (found, missing): (Vec<Mark>, Vec<Mark>) =
            marks.copied().partition(|mark| books.entries.get(&mark.digest).is_some_and(|(from, until)| *from <= began && began < *until));
        for mark in &found {
            let until = began + Duration::from_secs(mark.life.seconds());
            books.entries.get_mut(&mark.digest).unwrap().1 = until;
        }
        books.reads += u32::from(!found.is_empty());
        missing
    }

    fn write(&self, marks: &[Mark], began: Instant) {
        let mut books = self.books();
        for mark in marks {
            books.entries.insert(mark.digest, (Instant::now(), began + Duration::from_secs(mark.life.seconds())));
            *books.writes.entry(mark.digest).or_default() += 1;
        }
    }
}

impl Wire for Arc<Provider> {
    async fn attempt(&self, call: &Call, patience: &Patience) -> Attempted {
        patience.begin();
        let began = Instant::now();
        let number = {
            let mut books = self.books();
            books.asked += 1;
            books.asked - 1
        };
        call.observer.tell(CallEvent::Sent);
        let missing = self.look_up(call, began);
        match (self.script)(number, call) {
            Step::Answers(takes) => {
                tokio::time::sleep(takes).await;
                self.write(&missing, began);
            }
            Step::Streams(begins, ends) => {
                tokio::time::sleep(begins).await;
                self.write(&missing, began);
                call.observer.tell(CallEvent::Begun);
                tokio::time::sleep(ends - begins).await;
            }
            Step::Fails(takes, kind, advice) => {
                tokio::time::sleep(takes).await;
                return Err(failed(kind, advice)).into();
            }
            Step::Refuses(takes) => {
                tokio::time::sleep(takes).await;
                let mut refused = reply("");
                refused.content.clear();
                refused.stop_reason = StopReason::Refusal;
                return Ok(Answer { reply: Arc::new(refused), served: Served::Fresh }).into();
            }
        }
        let mut answer = reply("ok");
        let written = u64::try_from(missing.len()).unwrap() * 1_000;
        answer.usage.cache_write_5m_tokens = written;
        answer.usage.cache_read_tokens = if self.keeps { call.marks.shared().len() as u64 * 1_000 - written } else { 0 };
        Ok(Answer { reply: Arc::new(answer), served: Served::Fresh }).into()
    }
}

type Warm = Warming<Retrying<Limited<Arc<Provider>>>>;

fn stack(provider: &Arc<Provider>, concurrency: usize) -> Warm {
    let config = EndpointConfig { max_concurrency: concurrency, max_retry_after: seconds(1_000.0), ..config("https://a.test") };
    Warming::new(Retrying::new(Limited::new(Arc::clone(provider), &config), &config, 1), config.stream)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A call that goes through these groups.
fn sharing(number: usize, groups: &[u128]) -> Call {
    let mark = |group: &u128| Mark { digest: Digest(*group), place: Place::System(0), life: Life::FiveMinutes, added: true };
    Call { marks: Marks::Planned(Arc::new(Prefix { marks: groups.iter().map(mark).collect(), short: None })), ..call(number) }
}

async fn ask_all(warm: &Warm, calls: impl Iterator<Item = Call>) -> Vec<Result<Answer, CellError>> {
    join_all(calls.map(|call| warm.ask(call))).await
}

/// Nobody leads, flies or waits when all is over.
fn is_at_rest(warm: &Warm) -> bool {
    let known = warm.groups.0.lock().unwrap();
    known.entries.values().all(|entry| entry.leaders == 0 && entry.sent.is_empty() && entry.flying.is_empty())
}

#[tokio::test(start_paused = true)]
async fn one_writes_and_the_others_read_and_it_takes_one_reply_longer() {
    let provider = Provider::new(|_, _| Step::Answers(seconds(1.0)));
    let begun = Instant::now();
    let warm = stack(&provider, 20);
    let answers = ask_all(&warm, (0..200).map(|number| sharing(number, &[1]))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((provider.writes(), provider.books().reads), (1, 199));
    assert_eq!(begun.elapsed(), seconds(11.0), "ten rounds of twenty, and the first reply");
    assert!(is_at_rest(&warm));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_followed_from_its_first_event_on() {
    let provider = Provider::new(|_, _| Step::Streams(seconds(0.2), seconds(5.0)));
    let begun = Instant::now();
    ask_all(&stack(&provider, 20), (0..20).map(|number| sharing(number, &[1]))).await;
    assert_eq!((provider.writes(), begun.elapsed()), (1, seconds(5.2)));
}

#[tokio::test(start_paused = true)]
async fn a_prefix_within_a_prefix_is_written_once_too() {
    let provider = Provider::new(|_, _| Step::Answers(seconds(1.0)));
    let begun = Instant::now();
    let warm = stack(&provider, 50);
    ask_all(&warm, (0..100).map(|number| sharing(number, &[1, 10 + number as u128 % 5]))).await;
    assert_eq!(provider.books().writes.values().copied().collect::<HashSet<u32>>(), HashSet::from([1]));
    // The first one, one for each of the other documents, and two rounds.
    assert_eq!((provider.books().writes.len(), begun.elapsed()), (6, seconds(4.0)));
}

#[tokio::test(start_paused = true)]
async fn groups_do_not_wait_for_each_other_and_neither_does_what_shares_nothing() {
    let provider = Provider::new(|_, call| Step::Answers(if call.marks.shared().is_empty() { seconds(0.1) } else { seconds(1.0) }));
    let warm = stack(&provider, 100);
    let begun = Instant::now();
    let alone = async {
        ask_all(&warm, (0..10).map(call)).await;
        begun.elapsed()
    };
    let (alone, _) = tokio::join!(alone, ask_all(&warm, (10..50).map(|number| sharing(number, &[number as u128 % 4]))));
    assert_eq!((alone, provider.writes(), begun.elapsed()), (seconds(0.1), 4, seconds(2.0)));
}

#[tokio::test(start_paused = true)]
async fn a_first_one_that_fails_hands_over_at_once() {
    let fails = [
        (ErrorKind::Overloaded, Advice { after: Some(seconds(60.0)), ..Advice::default() }),
        (ErrorKind::InvalidRequest, Advice::default()),
    ];
    for (kind, advice) in fails {
        let provider =
            Provider::new(move |number, _| if number == 0 { Step::Fails(seconds(0.1), kind, advice) } else { Step::Answers(seconds(1.0)) });
        let warm = stack(&provider, 20);
        let answers = ask_all(&warm, (0..20).map(|number| sharing(number, &[1]))).await;
        let failures = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!((failures, provider.writes()), (usize::from(kind == ErrorKind::InvalidRequest), 1), "{kind:?}");
        assert!(is_at_rest(&warm));
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_one_that_is_refused_unread_hands_over() {
    let provider = Provider::new(|number, _| if number == 0 { Step::Refuses(seconds(0.5)) } else { Step::Answers(seconds(1.0)) });
    let answers = ask_all(&stack(&provider, 20), (0..20).map(|number| sharing(number, &[1]))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((provider.writes(), provider.books().reads), (1, 18));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_kept_nobody_waits_twice() {
    let provider = Arc::new(Provider { keeps: false, ..Arc::into_inner(Provider::new(|_, _| Step::Answers(seconds(1.0)))).unwrap() });
    let begun = Instant::now();
    let warm = stack(&provider, 200);
    ask_all(&warm, (0..100).map(|number| sharing(number, &[1]))).await;
    assert_eq!(begun.elapsed(), seconds(2.0));
    tokio::time::sleep(seconds(1_000.0)).await;
    let begun = Instant::now();
    ask_all(&warm, (100..200).map(|number| sharing(number, &[1]))).await;
    assert_eq!(begun.elapsed(), seconds(1.0), "it is known by now");
}

#[tokio::test(start_paused = true)]
async fn where_every_request_fails_a_hundred_wait_for_ten() {
    let provider = Provider::new(|_, _| Step::Fails(seconds(1.0), ErrorKind::InvalidRequest, Advice::default()));
    let begun = Instant::now();
    let answers = ask_all(&stack(&provider, 200), (0..100).map(|number| sharing(number, &[1]))).await;
    assert!(answers.iter().all(Result::is_err));
    assert!(begun.elapsed() <= seconds(10.0), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_that_is_longer_than_an_entry_lives_one_goes_first_again() {
    let provider = Provider::new(|_, _| Step::Answers(seconds(1.0)));
    let warm = stack(&provider, 20);
    for (pause, writes) in [(290.0, 1), (290.0, 1), (301.0, 2)] {
        ask_all(&warm, (0..20).map(|number| sharing(number, &[1]))).await;
        tokio::time::sleep(seconds(pause)).await;
        ask_all(&warm, (20..40).map(|number| sharing(number, &[1]))).await;
        assert_eq!(provider.writes(), writes, "after {pause} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waited_in_line_for_longer_than_an_entry_lives_looks_again() {
    // Everything behind the first one is told to come back in ten minutes.
    let told = Advice { after: Some(seconds(600.0)), ..Advice::default() };
    let provider = Provider::new(move |number, _| match number {
        1..=20 => Step::Fails(seconds(0.1), ErrorKind::RateLimited, told),
        _ => Step::Answers(seconds(1.0)),
    });
    let warm = stack(&provider, 20);
    let answers = ask_all(&warm, (0..100).map(|number| Call { deadline: seconds(5_000.0), ..sharing(number, &[1]) })).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(provider.writes(), 2, "the first one, and the first one after the pause");
    assert!(is_at_rest(&warm));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_takes_longer_than_an_entry_lives_holds_up_nobody_twice() {
    let provider = Provider::new(|_, _| Step::Answers(seconds(400.0)));
    let begun = Instant::now();
    ask_all(&stack(&provider, 100), (0..50).map(|number| sharing(number, &[1]))).await;
    assert_eq!(begun.elapsed(), seconds(800.0));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_first_one_takes_no_time_of_the_case() {
    let provider = Provider::new(|_, _| Step::Answers(seconds(5.0)));
    let answers = ask_all(&stack(&provider, 20), (0..20).map(|number| Call { deadline: seconds(2.0), ..sharing(number, &[1]) })).await;
    assert!(answers.iter().all(Result::is_ok), "an attempt under way is not ended either");
}

/// A request that is never answered, until its time limit ends it.
fn hangs() -> Step {
    Step::Fails(seconds(300.0), ErrorKind::InvalidRequest, Advice::default())
}

/// When each of the calls was over, counted from now.
async fn ends_of(warm: &Warm, calls: impl Iterator<Item = Call>) -> Vec<Duration> {
    let begun = Instant::now();
    let ended = |call| async move {
        drop(warm.ask(call).await);
        begun.elapsed()
    };
    join_all(calls.map(ended)).await
}

#[tokio::test(start_paused = true)]
async fn a_first_one_that_hangs_holds_up_the_others_for_ten_seconds() {
    let provider = Provider::new(|number, _| if number == 0 { hangs() } else { Step::Answers(seconds(1.0)) });
    let warm = stack(&provider, 200);
    let (second, heard) = heard(sharing(1, &[1]));
    let calls = [sharing(0, &[1]), second].into_iter().chain((2..100).map(|number| sharing(number, &[1])));
    let mut ends = ends_of(&warm, calls).await;
    assert_eq!(ends.remove(0), seconds(300.0), "an attempt under way is not ended");
    assert_eq!(ends.iter().max(), Some(&seconds(12.0)), "ten seconds, the reply of the one that goes beside it, and theirs");
    assert_eq!((provider.writes(), provider.books().reads), (1, 98));
    let told = CallEvent::Overdue { waited: seconds(10.0) };
    assert_eq!(heard.lock().unwrap().first(), Some(&told), "it says why nothing was sent");
    assert!(is_at_rest(&warm));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_nothing_is_asked_less_and_less_often() {
    let provider = Provider::new(|_, _| hangs());
    let warm = stack(&provider, 200);
    let begun = Instant::now();
    let asking = ask_all(&warm, (0..100).map(|number| sharing(number, &[1])));
    let mut asked = Vec::new();
    let watching = async {
        for number in 1..=5 {
            while provider.books().asked < number {
                tokio::time::sleep(seconds(0.5)).await;
            }
            asked.push(begun.elapsed().as_secs());
        }
        tokio::time::sleep(seconds(299.0) - begun.elapsed()).await;
        provider.books().asked
    };
    tokio::select! {
        count = watching => assert_eq!(count, 5, "and no burst"),
        _ = asking => panic!("nothing is answered before five minutes"),
    }
    assert_eq!(asked, [0, 10, 30, 70, 150]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_slow_is_waited_for_as_long_as_its_replies_take() {
    // An answer of 1,200 tokens in one piece may take twenty seconds, and this model takes nineteen.
    let long = |number, group| {
        let mut call = sharing(number, &[group]);
        Arc::make_mut(&mut call.request).params.max_tokens = Some(1_200);
        call
    };
    let provider = Provider::new(|number, _| Step::Answers(seconds(if number < 20 { 19.0 } else { 70.0 })));
    let warm = stack(&provider, 20);
    ask_all(&warm, (0..20).map(|number| long(number, 1))).await;
    assert_eq!(provider.writes(), 1);
    // It is known by now: four times nineteen seconds are longer than seventy.
    ask_all(&warm, (20..40).map(|number| long(number, 2))).await;
    assert_eq!(provider.writes(), 2);
    let floor = |stream, max_tokens| patience(stream, &Params { max_tokens: Some(max_tokens), ..Params::default() }).as_secs();
    assert_eq!([floor(Streaming::Auto, 64), floor(Streaming::Auto, 1_200), floor(Streaming::Never, 64_000)], [10, 20, 30]);
    assert_eq!(floor(Streaming::Always, 64_000), 10, "a stream begins at once, however long it is");
}

#[tokio::test(start_paused = true)]
async fn a_run_at_ten_requests_a_minute_writes_each_of_its_prefixes_once() {
    let provider = Provider::new(|_, _| Step::Answers(seconds(3.0)));
    let config = EndpointConfig { requests_per_minute: Some(10), ..config("https://a.test") };
    let warm = Warming::new(Retrying::new(Limited::new(Arc::clone(&provider), &config), &config, 1), config.stream);
    let begun = Instant::now();
    // Three prompts in turn, in the order of the plan; a run holds so many calls at once.
    let asking = futures_util::stream::iter(0..300).map(|number| warm.ask(sharing(number, &[number as u128 % 3])));
    let answers: Vec<_> = asking.buffer_unordered(64).collect().await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(begun.elapsed() > seconds(29.0 * 60.0), "six times as long as an entry lives: {:?}", begun.elapsed());
    let books = provider.books();
    assert_eq!((&books.writes, books.reads), (&(0..3).map(|group| (Digest(group), 1)).collect(), 297));
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_waiting_and_nothing_more_is_sent() {
    let provider = Provider::new(|_, _| Step::Answers(seconds(60.0)));
    let warm = stack(&provider, 20);
    let stopped = CancellationToken::new();
    let calls = (0..20).map(|number| Call { flight: Flight::new(stopped.clone(), || Recheck::Ask), ..sharing(number, &[1]) });
    let begun = Instant::now();
    let (answers, ()) = tokio::join!(ask_all(&warm, calls), async {
        tokio::time::sleep(seconds(1.0)).await;
        stopped.cancel();
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "what is on the wire is finished");
    assert_eq!((provider.books().asked, begun.elapsed()), (1, seconds(60.0)));
    assert!(is_at_rest(&warm));
}

#[tokio::test(start_paused = true)]
async fn what_another_process_was_answered_meanwhile_is_written() {
    let provider = Provider::new(|_, _| Step::Answers(seconds(1.0)));
    let begun = Instant::now();
    // The other process writes, and is answered after two seconds.
    let mut other = reply("ok");
    other.usage.cache_write_5m_tokens = 1_000;
    let other = Arc::new(other);
    let theirs = move || if begun.elapsed() < seconds(2.0) { Recheck::Busy } else { Recheck::Found(Arc::clone(&other)) };
    provider.books().entries.insert(Digest(1), (begun, begun + seconds(300.0)));
    let warm = stack(&provider, 20);
    let first = Call { flight: Flight::new(CancellationToken::new(), theirs), ..sharing(0, &[1]) };
    let calls = std::iter::once(first).chain((1..20).map(|number| sharing(number, &[1])));
    let answers = ask_all(&warm, calls).await;
    assert!(answers.iter().all(Result::is_ok));
    let books = provider.books();
    assert_eq!((books.writes.len(), books.reads, books.asked), (0, 19, 19));
    assert!(begun.elapsed() < seconds(3.2), "{:?}: nobody else led meanwhile, and all followed at once", begun.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_call_ends_and_nothing_is_left_behind(
        steps in prop::collection::vec((0_u8..10, 1_u32..400_000), 1..40),
        calls in prop::collection::vec((0_u128..3, prop::option::of(3_u128..6), prop::option::of(0_u32..600_000), 0_u32..700_000), 1..60),
        concurrency in 1_usize..8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (steps, many) = (steps, calls.len());
            let provider = Provider::new(move |number, _| {
                let (kind, millis) = steps[number % steps.len()];
                let takes = Duration::from_millis(u64::from(millis));
                match kind {
                    0 => Step::Fails(takes, ErrorKind::Overloaded, Advice::default()),
                    1 => Step::Fails(takes, ErrorKind::InvalidRequest, Advice::default()),
                    2 => Step::Fails(takes, ErrorKind::RateLimited, Advice { after: Some(takes), ..Advice::default() }),
                    3 => Step::Refuses(takes),
                    4 => Step::Streams(takes / 10, takes),
                    _ => Step::Answers(takes),
                }
            });
            let warm = stack(&provider, concurrency);
            let asked = calls.into_iter().enumerate().map(|(number, (outer, inner, leaves, comes))| {
                let warm = &warm;
                let groups: Vec<u128> = std::iter::once(outer).chain(inner.map(|inner| 10 * outer + inner)).collect();
                async move {
                    tokio::time::sleep(Duration::from_millis(u64::from(comes))).await;
                    let abandoned = CancellationToken::new();
                    let flight = Flight::new(abandoned.clone(), || Recheck::Ask);
                    let asked = warm.ask(Call { flight, deadline: Duration::from_secs(1_000_000), ..sharing(number, &groups) });
                    match leaves {
                        // Half of those who leave are torn down, the others are told.
                        Some(after) if after % 2 == 0 => drop(tokio::time::timeout(Duration::from_millis(u64::from(after)), asked).await),
                        Some(after) => drop(tokio::join!(asked, async {
                            tokio::time::sleep(Duration::from_millis(u64::from(after))).await;
                            abandoned.cancel();
                        })),
                        None => drop(asked.await),
                    }
                }
            });
            // The clock stands still while anything can go on: where this time passes, somebody waits for ever.
            let ended = tokio::time::timeout(Duration::from_secs(100_000_000), join_all(asked)).await;
            prop_assert_eq!(ended.map(|ended| ended.len()).ok(), Some(many));
            prop_assert!(is_at_rest(&warm));
            Ok(())
        })?;
    }
}
