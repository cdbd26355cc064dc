//! Who is asking for an answer right now? One byte of a file, locked from the decision to ask until the answer is stored.
//!
//! The key names the byte, and the lock is the system's: it takes about a microsecond, it is gone with the process whatever ends it, and
//! nothing is written that somebody would have to clean up. On Linux a lock belongs to the open file, elsewhere to the process. Where a
//! file system knows no such locks nothing is claimed: two runs at once may then pay twice for what both ask at the same moment.

use std::path::Path;
use std::time::Duration;
#[cfg(any(target_os = "linux", target_os = "macos"))]
use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use tokio::time::Instant;

use crate::model::key::Key;
use crate::store::Store;

/// What came of claiming a key.
#[derive(Debug)]
pub(super) enum Claimed {
    /// Nobody else asks until this is dropped, as far as the file system can tell.
    Ours(Claim),
    /// Another process is asking.
    Theirs,
}

/// What a flight has to do with other processes that want the same answer.
#[derive(Default)]
pub(super) struct Asking {
    /// Kept over all attempts, until the answer is stored or the flight ends without one.
    claim: Option<Claim>,
    /// When another process was first seen asking.
    busy_since: Option<Instant>,
}

impl Asking {
    /// Whether the claim is ours, now or already.
    pub(super) fn claims(&mut self, store: &Store, key: &Key) -> bool {
        if self.claim.is_none()
            && let Claimed::Ours(claim) = store.claim(key)
        {
            self.claim = Some(claim);
        }
        self.claim.is_some()
    }

    /// Whether the other process had as long as a case may take. It may be suspended, and nobody waits for ever.
    pub(super) fn has_waited(&mut self, patience: Duration) -> bool {
        self.busy_since.get_or_insert_with(Instant::now).elapsed() >= patience
    }
}

/// The claims of one open store.
#[derive(Debug)]
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(super) struct Claims {
    path: PathBuf,
    /// Opened with the first claim: where a lock belongs to the process, closing the file elsewhere in it would take all locks along.
    file: OnceLock<Option<Arc<File>>>,
}

/// A key that this process is asking for.
#[derive(Debug)]
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(super) struct Claim(Option<(Arc<File>, i64)>);

#[cfg(any(target_os = "linux", target_os = "macos"))]
impl Claims {
    /// The claims of the store in this folder.
    pub(super) fn of(folder: &Path) -> Self {
        Self { path: folder.join("claims.lock"), file: OnceLock::new() }
    }

    /// Claims a key, unless another process has. Claimed again by the same store it is the same claim: one flight a key is its promise.
    pub(super) fn claim(&self, key: &Key) -> Claimed {
        // Nothing is ever written into it, so it need not be emptied either.
        let open = || File::options().write(true).create(true).truncate(false).open(&self.path).ok().map(Arc::new);
        let Some(file) = self.file.get_or_init(open) else { return Claimed::Ours(Claim(None)) };
        let byte = place(key);
        match lock(file, byte, nix::libc::F_WRLCK) {
            Ok(()) => Claimed::Ours(Claim(Some((Arc::clone(file), byte)))),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Claimed::Theirs,
            // No locks here, or no more of them.
            Err(_) => Claimed::Ours(Claim(None)),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((file, byte)) = &self.0 {
            // It can only fail where it was not locked.
            let _ = lock(file, *byte, nix::libc::F_UNLCK);
        }
    }
}

/// The byte of a key: 62 bits of it, which no two keys of a project share. The file need not be that long.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn place(key: &Key) -> i64 {
    let (first, _) = key.as_bytes().split_first_chunk().expect("a key has 32 bytes");
    (u64::from_be_bytes(*first) & (u64::MAX >> 2)).cast_signed()
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn lock(file: &File, byte: i64, kind: impl Into<i64>) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    let short = |constant: i64| libc::c_short::try_from(constant).expect("the constants of a lock are small");
    let wanted = libc::flock { l_type: short(kind.into()), l_whence: short(libc::SEEK_SET.into()), l_start: byte, l_len: 1, l_pid: 0 };
    #[cfg(target_os = "linux")]
    let argument = FcntlArg::F_OFD_SETLK(&wanted);
    #[cfg(target_os = "macos")]
    let argument = FcntlArg::F_SETLK(&wanted);
    fcntl(file, argument).map(|_| ())
}

/// Without locks of bytes there are no claims.
#[derive(Debug)]
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) struct Claims;

/// Nobody is kept from asking.
#[derive(Debug)]
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) struct Claim;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
impl Claims {
    pub(super) fn of(_: &Path) -> Self {
        Self
    }

    pub(super) fn claim(&self, _: &Key) -> Claimed {
        Claimed::Ours(Claim)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key::from_bytes([number; 32])
    }

    #[test]
    fn a_key_is_claimed_by_one_store_at_a_time_and_others_are_free() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Claims::of(folder.path()), Claims::of(folder.path()));
        let Claimed::Ours(claim) = one.claim(&key(1)) else { panic!("nobody else claims") };
        assert!(matches!(other.claim(&key(1)), Claimed::Theirs));
        let Claimed::Ours(neighbour) = other.claim(&key(2)) else { panic!("another key is free") };
        drop(claim);
        assert!(matches!(other.claim(&key(1)), Claimed::Ours(_)), "a claim that is dropped is free");
        assert!(matches!(one.claim(&key(2)), Claimed::Theirs), "and takes no other with it");
        drop(neighbour);
        assert_eq!(std::fs::metadata(folder.path().join("claims.lock")).unwrap().len(), 0);
    }

    #[test]
    fn a_store_that_is_gone_claims_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let one = Claims::of(folder.path());
        let Claimed::Ours(claim) = one.claim(&key(255)) else { panic!("nobody else claims") };
        // As the system does with a process that is killed: the file is closed, nothing is unlocked.
        let Claim(Some((file, _))) = &claim else { panic!("this disk has locks") };
        assert_eq!(Arc::strong_count(file), 2);
        drop((claim, one));
        assert!(matches!(Claims::of(folder.path()).claim(&key(255)), Claimed::Ours(_)));
    }

    #[test]
    fn where_nothing_can_be_locked_nobody_is_kept_from_asking() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let (one, other) = (Claims::of(&gone), Claims::of(&gone));
        let both = (one.claim(&key(1)), other.claim(&key(1)));
        assert!(matches!(both, (Claimed::Ours(_), Claimed::Ours(_))));
    }
}
