//! Which signals came, and when is it time to leave at once?

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// What the signals of a process mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Attention {
    /// Cancelled by the first signal of a command that is under way.
    pub(super) interrupted: CancellationToken,
    is_under_way: Arc<AtomicBool>,
}

impl Attention {
    /// From now on the first signal asks for an end, and only the next one leaves.
    pub(super) fn under_way(&self) {
        self.is_under_way.store(true, Ordering::Release);
    }

    /// Listens from now on, and calls `leave` when it is time to. On a thread of its own: whatever keeps the threads of a run busy, a signal is
    /// heard.
    pub(super) fn pay(&self, leave: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut signals = {
            let _entered = runtime.enter();
            Signals::listen()?
        };
        let attention = self.clone();
        let heed = move || {
            runtime.block_on(attention.until_time_to_leave(&mut signals));
            leave();
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(heed).map(drop)
    }

    /// Each signal counts once: it asks for an end where none was asked for, else this returns.
    async fn until_time_to_leave(&self, signals: &mut Signals) {
        loop {
            signals.next().await;
            if self.interrupted.is_cancelled() || !self.is_under_way.load(Ordering::Acquire) {
                return;
            }
            self.interrupted.cancel();
        }
    }
}

/// Ctrl-C, SIGTERM, and that the terminal was closed. Made once and kept: what comes between two looks at it is remembered, where a listener of its own for each signal would
/// hear nothing between the one and the next.
struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    /// `None`: as the system has it.
    #[cfg(unix)]
    hang_up: Option<Signal>,
    #[cfg(windows)]
    interrupt: CtrlC,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        // Whoever listens hears also what `nohup` wants nobody to hear.
        let hang_up = if is_heard(SignalKind::hangup()) { Some(SignalKind::hangup()) } else { None };
        Self::to(SignalKind::interrupt(), SignalKind::terminate(), hang_up)
    }

    #[cfg(unix)]
    fn to(interrupt: SignalKind, terminate: SignalKind, hang_up: Option<SignalKind>) -> io::Result<Self> {
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)?, hang_up: hang_up.map(signal).transpose()? })
    }

    #[cfg(windows)]
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()? })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }

    #[cfg(windows)]
    async fn next(&mut self) {
        let _ = self.interrupt.recv().await;
    }
}

/// Whether this process is known not to ignore a signal. Only Linux tells; elsewhere it is left as it is.
#[cfg(unix)]
fn is_heard(signal: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| (mask >> (signal.as_raw_value() - 1)) & 1 == 0)
}

#[cfg(all(test, any(target_os = "linux", target_os = "macos")))]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::{Signal as Number, raise};

    use super::*;

    /// Longer than any machine takes to hear of a signal.
    const NEVER: Duration = Duration::from_secs(60);

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_ignored_is_known() {
        // As Rust has it for every process.
        assert!(!is_heard(SignalKind::pipe()));
        assert!(is_heard(SignalKind::terminate()));
    }

    // All of it in one test: signals are the process's, and nothing else here uses these three.
    #[tokio::test]
    async fn every_signal_counts_once_whenever_it_comes() {
        let mut signals = Signals::to(SignalKind::user_defined1(), SignalKind::user_defined2(), Some(SignalKind::window_change())).unwrap();
        let [interrupt, terminate, hang_up] = [Number::SIGUSR1, Number::SIGUSR2, Number::SIGWINCH];
        for (first, second) in [(interrupt, terminate), (terminate, interrupt), (interrupt, interrupt), (hang_up, hang_up)] {
            // Before anything is under way the first one leaves.
            let attention = Attention::default();
            raise(first).unwrap();
            tokio::time::timeout(NEVER, attention.until_time_to_leave(&mut signals)).await.unwrap();
            assert!(!attention.interrupted.is_cancelled(), "nothing was there to be ended");
            // What was heard is not heard again, and the next one asks for an end.
            attention.under_way();
            raise(first).unwrap();
            let leaving = async {
                tokio::time::timeout(NEVER, attention.until_time_to_leave(&mut signals)).await.unwrap();
            };
            let asking = async {
                tokio::time::timeout(NEVER, attention.interrupted.cancelled()).await.unwrap();
                // At once: nobody has looked again since the first one.
                raise(second).unwrap();
            };
            tokio::join!(biased; leaving, asking);
        }
        // One that came while nobody looked is there when somebody does.
        let attention = Attention::default();
        attention.under_way();
        raise(Number::SIGUSR1).unwrap();
        raise(Number::SIGUSR2).unwrap();
        tokio::time::timeout(NEVER, attention.until_time_to_leave(&mut signals)).await.unwrap();
        assert!(attention.interrupted.is_cancelled());
    }
}
