//! How does an output that waits become an accepted one: in place of the variants, beside them, or in place of one of them?

use crate::snapshot::SnapshotError;
use crate::snapshot::compare::Comparison;
use crate::snapshot::disk;
use crate::snapshot::folder::Folder;
use crate::snapshot::format;
use crate::snapshot::kept::Kept;
use crate::snapshot::output::Snapshot;
use crate::snapshot::path::pending_path;

/// What happens to the variants that stand when others are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// They go: the new outputs are the accepted set.
    Replace,
    /// They stay: the new outputs that match none of them stand behind them.
    Add,
    /// The one with this number, from 1 as reports count, goes; the new outputs that match no variant take its place.
    ReplaceVariant(usize),
}

/// How many variants a cell has, and would have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Variants {
    /// Accepted now.
    pub accepted: usize,
    /// After the new outputs replace them.
    pub replaced: usize,
    /// After the new outputs join them.
    pub added: usize,
}

impl Variants {
    /// Of an accepted snapshot, where there is one, and one that waits.
    #[must_use]
    pub fn of(accepted: Option<&Snapshot>, new: &Snapshot, comparison: &Comparison) -> Self {
        let replaced = comparison.distinct(new).outputs.len();
        let Some(accepted) = accepted else {
            return Self { accepted: 0, replaced, added: replaced };
        };
        // A simulated output and a real one never stand side by side.
        let joined = accepted.simulated == new.simulated;
        let added = if joined { comparison.extended(accepted, new).outputs.len() } else { replaced };
        Self { accepted: accepted.outputs.len(), replaced, added }
    }
}

impl Folder {
    /// Makes a pending snapshot the accepted one and returns it; its prompt version is to be noted first, as [`locked`](Self::locked) does.
    ///
    /// # Errors
    /// A pending file that is gone or cannot be read, a simulated one beside a real one, a disk that cannot be written.
    pub fn accept(&self, accepted: &str) -> Result<Snapshot, SnapshotError> {
        let (pending, new) = self.waiting(accepted, &Kept::default())?;
        self.spare_real(accepted, &new)?;
        if disk::rename(&self.root, &pending, accepted)? { Ok(new) } else { Err(SnapshotError::NotPending { path: pending }) }
    }

    /// The same for whoever may keep variants that stand; returns the snapshot that is accepted now. `comparison` is the suite's, or
    /// [`Comparison::exact`] where no suite is known: it says which new outputs are further variants at all.
    ///
    /// # Errors
    /// What [`accept`](Self::accept) answers; an accepted file that cannot be read or is of the other kind (simulated, real), and a number
    /// that no variant has.
    pub fn accept_as(&self, accepted: &str, how: Acceptance, comparison: &Comparison) -> Result<Snapshot, SnapshotError> {
        if how == Acceptance::Replace {
            return self.accept(accepted);
        }
        self.accept_shown(accepted, how, comparison, &Kept::default())
    }

    /// The same for a person who was shown both files: what is accepted is what was kept of them then, not what lies there by now.
    ///
    /// # Errors
    /// What [`accept_as`](Self::accept_as) answers, and one of the files is not what was shown.
    pub fn accept_shown(&self, accepted: &str, how: Acceptance, comparison: &Comparison, shown: &Kept) -> Result<Snapshot, SnapshotError> {
        if let Some(path) = self.moved(shown)? {
            return Err(SnapshotError::Meanwhile { path });
        }
        let (pending, mut new) = self.waiting(accepted, shown)?;
        self.spare_real(accepted, &new)?;
        let standing = if how == Acceptance::Replace { None } else { self.read_kept(shown, accepted)? };
        let Some(mut standing) = standing else {
            if let Acceptance::ReplaceVariant(_) = how {
                return Err(no_variant(accepted, how, 0));
            }
            // Nothing stands that is kept.
            let Some(bytes) = shown.bytes(&pending) else { return self.accept(accepted) };
            disk::put_bytes(&self.root, accepted, bytes)?;
            self.settle(&pending, shown)?;
            return Ok(new);
        };
        if standing.simulated != new.simulated {
            return Err(SnapshotError::OtherKind { path: accepted.to_owned() });
        }
        let variants = standing.outputs.len();
        let at = match how {
            Acceptance::Replace | Acceptance::Add => variants,
            Acceptance::ReplaceVariant(number) => {
                let at = number.checked_sub(1).filter(|at| *at < variants).ok_or_else(|| no_variant(accepted, how, variants))?;
                // The variant goes, also where the new outputs have it too: what takes its place are those that were not accepted.
                let strange = comparison.strange(&standing, &new);
                standing.outputs.remove(at);
                if !(strange.outputs.is_empty() && standing.outputs.is_empty()) {
                    new = strange;
                }
                at
            }
        };
        let kept = standing.outputs.len();
        let mut joined = comparison.extended(&standing, &new);
        let further = joined.outputs.len() - kept;
        if further == 0 && kept == variants {
            // An equal output leaves the file alone, head included.
            self.settle(&pending, shown)?;
            return Ok(standing);
        }
        joined.outputs[at.min(kept)..].rotate_right(further);
        disk::put(&self.root, accepted, &format::write(&joined))?;
        self.settle(&pending, shown)?;
        Ok(joined)
    }

    /// Takes away what waits no longer; another output that was laid there meanwhile stays.
    fn settle(&self, pending: &str, shown: &Kept) -> Result<(), SnapshotError> {
        let is_another = shown.has(pending) && disk::read_bytes(&self.root, pending)?.as_deref() != shown.bytes(pending);
        if is_another { Ok(()) } else { disk::remove(&self.root, pending).map(drop) }
    }

    /// The pending file beside an accepted path, and what is in it.
    fn waiting(&self, accepted: &str, shown: &Kept) -> Result<(String, Snapshot), SnapshotError> {
        disk::locate(&self.root, accepted)?;
        let pending = pending_path(accepted);
        match self.read_kept(shown, &pending)? {
            Some(new) => Ok((pending, new)),
            None => Err(SnapshotError::NotPending { path: pending }),
        }
    }

    /// A simulated output takes no real one's place, nor that of a file that may be one.
    ///
    /// # Errors
    /// What stands there is real, or may be.
    pub fn spare_real(&self, accepted: &str, new: &Snapshot) -> Result<(), SnapshotError> {
        let path = || accepted.to_owned();
        if !new.simulated {
            return Ok(());
        }
        match self.read(accepted) {
            Ok(Some(there)) if !there.simulated => Err(SnapshotError::SimulatedOverReal { path: path() }),
            Ok(_) => Ok(()),
            // A merge conflict below it leaves the head what it was.
            Err(_) => match disk::read(&self.root, accepted) {
                Ok(Some(text)) if format::says_simulated(&text) => Ok(()),
                _ => Err(SnapshotError::MaybeReal { path: path() }),
            },
        }
    }
}

fn no_variant(path: &str, how: Acceptance, variants: usize) -> SnapshotError {
    let number = if let Acceptance::ReplaceVariant(number) = how { number } else { 0 };
    SnapshotError::NoVariant { path: path.to_owned(), number, variants }
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
