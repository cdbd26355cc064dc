//! What may never end is given up after a while: how is a check stopped that counts no steps itself?

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What one check of one reply may compute: a hundred times what the slowest sensible one needs.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// Checks of a run that are given up. Each costs [`LONGEST`], and its thread goes on computing beside all that follow: after so many, nothing
/// that needs a thread of its own is tried any more, whatever it is, so that a run of any number of them ends.
pub(super) const MOST_GIVEN_UP: u32 = 2;

/// Of the thread that tries it: a schema is followed a few calls deeper with every reference.
const STACK: usize = 64 << 20;

/// How many times as long is waited where nobody can say what a thread has computed: it may have had to wait for its turn.
const UNMEASURED: u32 = 6;

/// How many times as long is waited for a thread that hardly ever gets its turn, or that does not compute at all.
const AT_ALL: u32 = 60;

/// Looking more often than this is of no use: what a thread has computed is counted in hundredths of a second.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// Why a check has no answer, as the rest of a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GaveUp {
    /// It computed for so long.
    Computed(Duration),
    /// It was waited for so long; how much of it it computed is not known, or it was little.
    Waited(Duration),
    /// It was given up before, on as much or less.
    NotTried,
    /// Too many others of the same run were given up before.
    OthersBefore,
    /// Its thread ended without an answer, or could not begin.
    Failed,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Computed(longest) => write!(f, "was given up after {} seconds of computing", longest.as_secs()),
            Self::Waited(longest) => write!(f, "was given up after {} seconds", longest.as_secs()),
            Self::NotTried => f.write_str("was not tried: on a text that is no longer than this one it was given up"),
            Self::OthersBefore => write!(f, "was not tried: {MOST_GIVEN_UP} checks were given up before it"),
            Self::Failed => f.write_str("was given up: the thread that tried it could not begin, or failed"),
        }
    }
}

impl GaveUp {
    /// The same with the next step: `advice` where it was the check's own fault.
    pub(super) fn advising(self, advice: &str) -> String {
        match self {
            Self::OthersBefore => format!("{self}; mend those first"),
            Self::Computed(_) | Self::Waited(_) | Self::NotTried | Self::Failed => format!("{self}; {advice}"),
        }
    }
}

/// What each check of a run may take, and how many of them may take more.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    longest: Duration,
    given_up: Arc<AtomicU32>,
}

impl Default for Allowed {
    fn default() -> Self {
        Self::from(LONGEST)
    }
}

impl From<Duration> for Allowed {
    fn from(longest: Duration) -> Self {
        Self { longest, given_up: Arc::default() }
    }
}

impl Allowed {
    /// What `work` gives, where it computes no longer than it may and no more were given up than may be.
    pub(super) fn within<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, GaveUp> {
        if self.given_up.load(Ordering::Relaxed) >= MOST_GIVEN_UP {
            return Err(GaveUp::OthersBefore);
        }
        within(self.longest, work).inspect_err(|gave_up| {
            // One that fails costs nothing.
            if matches!(gave_up, GaveUp::Computed(_) | GaveUp::Waited(_)) {
                self.given_up.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}

/// What one check may take, and what it could not do in that time.
#[derive(Debug)]
pub(super) struct Bound {
    allowed: Allowed,
    /// Bytes of the shortest text on which it was given up. A thread cannot be ended from outside: what was given up on a text is not
    /// tried on as much again. Less may well be answered.
    too_slow: AtomicUsize,
}

impl Bound {
    pub(super) fn new(allowed: impl Into<Allowed>) -> Self {
        Self { allowed: allowed.into(), too_slow: AtomicUsize::new(usize::MAX) }
    }

    /// What `work` gives, which looks at a text of `length` bytes.
    pub(super) fn within<T: Send + 'static>(&self, length: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, GaveUp> {
        if length >= self.too_slow.load(Ordering::Relaxed) {
            return Err(GaveUp::NotTried);
        }
        self.allowed.within(work).inspect_err(|gave_up| {
            if *gave_up != GaveUp::OthersBefore {
                self.too_slow.fetch_min(length, Ordering::Relaxed);
            }
        })
    }

    /// As where a check was given up on a text of `length` bytes.
    #[cfg(test)]
    pub(super) fn give_up(&self, length: usize) {
        let _ = self.within(length, || panic!("a thread that fails"));
    }
}

/// What `work` gives, where it computes no longer than `longest`: on a busy machine it may take its time, for a verdict must not depend on
/// what else is running. Past that its thread is left to itself until the process ends. With no time at all nothing is begun.
fn within<T: Send + 'static>(longest: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, GaveUp> {
    let clock = Arc::new(OnceLock::new());
    let of_thread = Arc::clone(&clock);
    let work = move || {
        let _ = of_thread.set(own_clock());
        work()
    };
    within_by(longest, || clock.get().and_then(Option::as_deref).and_then(computed), work)
}

/// The same, where `computed` says what the thread has computed.
fn within_by<T: Send + 'static>(
    longest: Duration,
    mut computed: impl FnMut() -> Option<Duration>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GaveUp> {
    if longest.is_zero() {
        return Err(GaveUp::Computed(longest));
    }
    let (sender, receiver) = mpsc::channel();
    let begin = move || {
        // Nobody listens any more where the time has passed.
        let _ = sender.send(work());
    };
    let began = Instant::now();
    std::thread::Builder::new().stack_size(STACK).spawn(begin).map_err(|_| GaveUp::Failed)?;
    let mut wait = longest;
    loop {
        match receiver.recv_timeout(wait) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Disconnected) => return Err(GaveUp::Failed),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let computed = computed();
        let most = longest.saturating_mul(if computed.is_some() { AT_ALL } else { UNMEASURED });
        // A thread computes no longer than time passes.
        let left = longest.saturating_sub(computed.unwrap_or_default());
        if left.is_zero() {
            return Err(GaveUp::Computed(longest));
        }
        let unwaited = most.saturating_sub(began.elapsed());
        if unwaited.is_zero() {
            return Err(GaveUp::Waited(most));
        }
        wait = left.max(SHORTEST_WAIT).min(unwaited);
    }
}

/// Where other threads read what this one has computed; nothing where the system has no such place.
fn own_clock() -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    std::fs::read_link("/proc/thread-self").ok().map(|thread| PathBuf::from("/proc").join(thread).join("stat"))
}

/// What the thread has computed, for its program and in the system.
fn computed(clock: &Path) -> Option<Duration> {
    /// In which every Linux that Rust runs on counts here, whatever its timer does.
    const TICKS_IN_A_SECOND: u64 = 100;
    let line = std::fs::read(clock).ok()?;
    // The name of the thread stands in parentheses and may hold anything; the two counts are the 12th and 13th behind it (proc(5)).
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(&line[end + 1..]).ok()?;
    let mut counts = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = counts.next()?.ok()?.saturating_add(counts.next()?.ok()?);
    Some(Duration::from_millis(ticks.saturating_mul(1_000 / TICKS_IN_A_SECOND)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So long that only an answer ends the waiting.
    const EVER: Duration = Duration::MAX;

    #[test]
    fn what_ends_in_time_is_handed_over_and_a_panic_is_no_answer() {
        assert_eq!(within(EVER, || 1 + 1), Ok(2));
        assert_eq!(within(EVER, || panic!("as a library may")), Err::<(), _>(GaveUp::Failed));
    }

    #[test]
    fn what_has_not_ended_when_the_time_passes_is_left_to_itself() {
        for computed in [None, Some(Duration::ZERO), Some(Duration::from_millis(2))] {
            // The work waits for a word that only comes when it was given up.
            let (word, waiting) = mpsc::channel::<()>();
            let (sender, afterwards) = mpsc::channel();
            let work = move || {
                let heard = waiting.recv();
                let _ = sender.send(heard.is_ok());
            };
            let longest = Duration::from_millis(2);
            let gave_up = match computed {
                None => GaveUp::Waited(longest * UNMEASURED),
                Some(Duration::ZERO) => GaveUp::Waited(longest * AT_ALL),
                Some(_) => GaveUp::Computed(longest),
            };
            assert_eq!(within_by(longest, || computed, work), Err(gave_up));
            word.send(()).unwrap();
            assert_eq!(afterwards.recv(), Ok(true), "it is not ended, only not waited for");
        }
    }

    #[test]
    fn a_thread_that_had_to_wait_for_its_turn_is_waited_for() {
        // Its turn comes when it was asked for the third time, long after the time has passed by the clock on the wall.
        let (turn, waiting) = mpsc::channel::<()>();
        let mut asked = 0_u32;
        let computed = || {
            asked += 1;
            if asked == 3 {
                turn.send(()).unwrap();
            }
            Some(Duration::from_millis(u64::from(asked)))
        };
        assert_eq!(within_by(Duration::from_secs(1) / 100, computed, move || waiting.recv().is_ok()), Ok(true));
        assert!(asked >= 3);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_thread_computes_is_measured() {
        let (word, told) = mpsc::channel::<()>();
        let spinning = move || while told.try_recv() == Err(mpsc::TryRecvError::Empty) {};
        assert_eq!(within(Duration::from_millis(100), spinning), Err(GaveUp::Computed(Duration::from_millis(100))));
        drop(word);
    }

    #[test]
    fn without_any_time_nothing_is_begun() {
        let (sender, begun) = mpsc::channel();
        assert_eq!(within(Duration::ZERO, move || sender.send(()).is_ok()), Err(GaveUp::Computed(Duration::ZERO)));
        assert!(begun.recv().is_err());
    }

    #[test]
    fn what_was_given_up_is_not_tried_on_as_much_again_but_on_less() {
        let bound = Bound::new(EVER);
        assert_eq!(bound.within(100, || panic!("as a library may")), Err::<(), _>(GaveUp::Failed));
        assert_eq!((bound.within(100, || 1), bound.within(101, || 1)), (Err(GaveUp::NotTried), Err(GaveUp::NotTried)));
        assert_eq!(bound.within(99, || 1), Ok(1));
    }

    #[test]
    fn after_a_few_checks_that_were_given_up_no_other_of_the_run_is_tried() {
        let allowed = Allowed::from(Duration::ZERO);
        let others = Allowed { longest: EVER, given_up: Arc::clone(&allowed.given_up) };
        // One that fails has cost nothing, and one that is not tried on as much again neither.
        assert_eq!(Bound::new(others.clone()).within(1, || panic!("as a library may")), Err::<(), _>(GaveUp::Failed));
        let slow = Bound::new(allowed.clone());
        assert_eq!(slow.within(1, || ()), Err(GaveUp::Computed(Duration::ZERO)));
        for _ in 0..100 {
            assert_eq!(slow.within(1, || ()), Err(GaveUp::NotTried));
        }
        for _ in 1..MOST_GIVEN_UP {
            assert_eq!(Bound::new(others.clone()).within(1, || 1), Ok(1), "as long as there are few, all others are tried");
            assert_eq!(Bound::new(allowed.clone()).within(1, || ()), Err(GaveUp::Computed(Duration::ZERO)));
        }
        let (sender, begun) = mpsc::channel();
        let other = Bound::new(others);
        assert_eq!(other.within(1, move || sender.send(())), Err(GaveUp::OthersBefore));
        assert!(begun.recv().is_err());
        assert_eq!(GaveUp::OthersBefore.advising("write less"), "was not tried: 2 checks were given up before it; mend those first");
        // Of another run all are tried.
        assert_eq!(Bound::new(EVER).within(1, || 1), Ok(1));
    }
}
