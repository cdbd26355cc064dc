//! What may never end is given up after a while: how is a check stopped that counts no steps itself?

use std::sync::mpsc;
use std::time::Duration;

/// What one check of one reply may take: a hundred times what the slowest sensible one needs.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// Of the thread that tries it: a schema is followed a few calls deeper with every reference.
const STACK: usize = 64 << 20;

/// What `work` gives within `longest`. A thread cannot be ended from outside: past the time it is left to itself until the process ends,
/// so whoever asks remembers that it gave up and does not ask again. With no time at all nothing is begun.
pub(super) fn within<T: Send + 'static>(longest: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if longest.is_zero() {
        return None;
    }
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        // Nobody listens any more where the time has passed.
        let _ = sender.send(work());
    });
    thread.ok().and_then(|_| receiver.recv_timeout(longest).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So long that only an answer ends the waiting.
    const EVER: Duration = Duration::MAX;

    #[test]
    fn what_ends_in_time_is_handed_over_and_a_panic_is_no_answer() {
        assert_eq!(within(EVER, || 1 + 1), Some(2));
        assert_eq!(within(EVER, || panic!("as a library may")), None::<()>);
    }

    #[test]
    fn what_has_not_ended_when_the_time_passes_is_left_to_itself() {
        // The work waits for a word that only comes when it was given up.
        let (word, waiting) = mpsc::channel::<()>();
        let (sender, afterwards) = mpsc::channel();
        let work = move || {
            let heard = waiting.recv();
            let _ = sender.send(heard.is_ok());
        };
        assert_eq!(within(Duration::from_millis(1), work), None);
        word.send(()).unwrap();
        assert_eq!(afterwards.recv(), Ok(true), "it is not ended, only not waited for");
    }

    #[test]
    fn without_any_time_nothing_is_begun() {
        let (sender, begun) = mpsc::channel();
        assert_eq!(within(Duration::ZERO, move || sender.send(()).is_ok()), None);
        assert!(begun.recv().is_err());
    }
}
