//! Which key does somebody press while a watch waits?
//!
//! The terminal gives single keys only while nothing runs, and is as it was before at every end of the waiting: whatever ends a round, the
//! shell finds its terminal in order. Ctrl-C stays a signal all the time.

use crate::runner::rounds::Also;

/// What is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Run these too.
    Run(Also),
    /// End the watch.
    Quit,
}

impl Key {
    /// `None` for keys that mean nothing.
    fn of(byte: u8) -> Option<Self> {
        match byte {
            b'\r' | b'\n' => Some(Self::Run(Also::Everything)),
            b'f' | b'F' => Some(Self::Run(Also::Failed)),
            b'q' | b'Q' => Some(Self::Quit),
            _ => None,
        }
    }
}

pub(super) use system::{Keys, give_back};

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod system {
    use std::io::{self, IsTerminal};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
    use nix::unistd::{getpgrp, read, tcgetpgrp};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::Key;

    /// How the terminal was before it gave single keys, as long as it does: a second Ctrl-C ends the process, and then nothing is dropped.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// Makes the terminal what it was, if it gives single keys. Whoever comes second finds nothing to do.
    pub(in super::super) fn give_back() {
        if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The terminal may be gone; then nobody misses its modes.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &before);
        }
    }

    /// The keyboard.
    pub(in super::super) struct Keys {
        sender: UnboundedSender<Key>,
        pressed: UnboundedReceiver<Key>,
    }

    /// The terminal gives single keys as long as this is there.
    pub(in super::super) struct Listening {
        ended: Arc<AtomicBool>,
        reading: Option<JoinHandle<()>>,
    }

    impl Keys {
        /// `None` where nobody sits at a terminal, and in the background, where reading from it would stop us.
        pub(in super::super) fn open() -> Option<Self> {
            let stdin = io::stdin();
            let is_ours = stdin.is_terminal() && io::stdout().is_terminal() && tcgetpgrp(&stdin).is_ok_and(|group| group == getpgrp());
            let (sender, pressed) = unbounded_channel();
            is_ours.then_some(Self { sender, pressed })
        }

        pub(in super::super) fn listen(&self) -> Option<Listening> {
            let before = tcgetattr(io::stdin()).ok()?;
            let mut single = before.clone();
            single.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            // A read that finds nothing ends after a tenth of a second: nobody may be left reading when the round begins.
            single.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
            single.control_chars[SpecialCharacterIndices::VTIME as usize] = 1;
            let mut kept = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
            tcsetattr(io::stdin(), SetArg::TCSANOW, &single).ok()?;
            *kept = Some(before);
            drop(kept);
            let ended = Arc::new(AtomicBool::new(false));
            let (sender, end) = (self.sender.clone(), Arc::clone(&ended));
            let reading = Some(std::thread::spawn(move || listen(&sender, &end)));
            Some(Listening { ended, reading })
        }

        /// The next key that means something.
        pub(in super::super) async fn pressed(&mut self) -> Key {
            match self.pressed.recv().await {
                Some(key) => key,
                // The sender is kept here, so this does not happen.
                None => std::future::pending().await,
            }
        }
    }

    fn listen(sender: &UnboundedSender<Key>, ended: &AtomicBool) {
        while !ended.load(Ordering::Acquire) {
            let (mut byte, began) = ([0_u8], Instant::now());
            match read(io::stdin(), &mut byte) {
                Ok(1..) => {
                    if let Some(key) = Key::of(byte[0]) {
                        // Nobody listens any more only when the watch has ended.
                        let _ = sender.send(key);
                        return;
                    }
                }
                Ok(0) if began.elapsed() > Duration::from_millis(10) => {}
                // The terminal is gone: no key will come.
                Ok(0) | Err(_) => return,
            }
        }
    }

    impl Drop for Listening {
        fn drop(&mut self) {
            self.ended.store(true, Ordering::Release);
            // It ends within a tenth of a second, and does not panic. Only then the terminal gives lines again: whoever reads until then would
            // wait for a whole one.
            let _ = self.reading.take().map(JoinHandle::join);
            give_back();
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod system {
    use super::Key;

    /// Nothing was taken.
    pub(in super::super) fn give_back() {}

    /// No keyboard: elsewhere a watch is ended by Ctrl-C.
    pub(in super::super) struct Keys;

    impl Keys {
        pub(in super::super) fn open() -> Option<Self> {
            None
        }

        pub(in super::super) fn listen(&self) -> Option<()> {
            None
        }

        pub(in super::super) async fn pressed(&mut self) -> Key {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_keys_mean_something() {
        let keys = [b'\n', b'\r', b'f', b'q', b'x', 0x1b].map(Key::of);
        let everything = Some(Key::Run(Also::Everything));
        assert_eq!(keys, [everything, everything, Some(Key::Run(Also::Failed)), Some(Key::Quit), None, None]);
    }
}
