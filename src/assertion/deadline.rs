//! What may never end is given up after a while: how is a check stopped that counts no steps itself?

use std::sync::mpsc;
use std::time::Duration;

/// What one check of one reply may take: a hundred times what the slowest sensible one needs.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// Of the thread that tries it: a schema is followed a few calls deeper with every reference.
const STACK: usize = 64 << 20;

/// What `work` gives within [`LONGEST`]. A thread cannot be ended from outside: past the time it is left to itself until the process ends,
/// so whoever asks remembers that it gave up and does not ask again.
pub(super) fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        // Nobody listens any more where the time has passed.
        let _ = sender.send(work());
    });
    thread.ok().and_then(|_| receiver.recv_timeout(LONGEST).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_in_time_is_handed_over_and_a_panic_is_no_answer() {
        assert_eq!(within(|| 1 + 1), Some(2));
        assert_eq!(within(|| panic!("as a library may")), None::<()>);
    }
}
