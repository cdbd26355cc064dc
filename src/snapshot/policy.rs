//! What is written after a cell was judged?
//!
//! One function, so that CI and flags change what is written and nothing else: how the output stands to its snapshot, and with it the
//! exit code, is known before.

use crate::model::reply::StopReason;
use crate::model::verdict::{SnapshotState, Verdict};
use crate::snapshot::output::Snapshot;

/// Who may write what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdatePolicy {
    /// At home: a changed or new output is laid beside the accepted one, for review.
    Pending,
    /// In CI: nothing.
    Nothing,
    /// `--update`: what passed is accepted and replaces the variants.
    Update,
    /// `--add`: what passed is accepted beside the variants that are there.
    Add,
}

/// What is to be done with a cell's snapshot files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Leave,
    /// A pending output from an earlier run says nothing any more: it goes.
    RemovePending,
    /// The accepted file stays as it is and counts as accepted for this prompt version; a pending output goes.
    Confirm,
    /// The new outputs become the pending file.
    WritePending,
    /// The new outputs become the accepted file.
    Accept,
    /// The new outputs that match no variant join the accepted file.
    Extend,
}

impl UpdatePolicy {
    /// What the flags and the surroundings ask for. A flag is a wish, so it holds in CI too.
    #[must_use]
    pub const fn of(update: bool, add: bool, ci: bool) -> Self {
        match (add, update, ci) {
            (true, _, _) => Self::Add,
            (false, true, _) => Self::Update,
            (false, false, true) => Self::Nothing,
            (false, false, false) => Self::Pending,
        }
    }

    /// What is to be done with the snapshot of a cell in this state with this verdict.
    ///
    /// `accepted` is `None` where there is none, and where it cannot be read.
    #[must_use]
    pub fn action(self, state: &SnapshotState, verdict: Verdict, accepted: Option<&Snapshot>, new: &Snapshot) -> Action {
        match verdict {
            // Not all samples may have answered, so nothing is known about the whole.
            Verdict::Error | Verdict::Skipped => return Action::Leave,
            Verdict::Pass | Verdict::Fail => {}
        }
        match state {
            SnapshotState::None => Action::Leave,
            SnapshotState::Same => match self {
                Self::Nothing => Action::Leave,
                Self::Pending => Action::RemovePending,
                Self::Update | Self::Add if is_acceptable(verdict, new) => Action::Confirm,
                Self::Update | Self::Add => Action::RemovePending,
            },
            SnapshotState::Changed { .. } | SnapshotState::New { .. } | SnapshotState::Unreadable { .. } => {
                self.of_difference(state, verdict, accepted, new)
            }
        }
    }

    /// What is to be done with an output that is not the accepted one, where something may be written.
    fn of_difference(self, state: &SnapshotState, verdict: Verdict, accepted: Option<&Snapshot>, new: &Snapshot) -> Action {
        if self == Self::Nothing {
            return Action::Leave;
        }
        let unreadable = matches!(state, SnapshotState::Unreadable { .. });
        if accepted.is_some_and(|accepted| accepted.simulated != new.simulated) {
            // A simulated output beside a real one could only be accepted by mistake; a real one waits for a person.
            return if new.simulated { Action::Leave } else { Action::WritePending };
        }
        if unreadable && new.simulated {
            // The file that cannot be read may be a real one.
            return Action::WritePending;
        }
        match self {
            Self::Nothing => Action::Leave,
            Self::Pending => Action::WritePending,
            Self::Update | Self::Add if !is_acceptable(verdict, new) => Action::WritePending,
            Self::Update => Action::Accept,
            Self::Add if unreadable => Action::WritePending,
            Self::Add if accepted.is_some() => Action::Extend,
            Self::Add => Action::Accept,
        }
    }
}

/// Nobody has to look at it before it is accepted: it passed, it is whole, and it is no refusal, even where a refusal is allowed.
fn is_acceptable(verdict: Verdict, new: &Snapshot) -> bool {
    let whole = |stop_reason: &String| StopReason::from(stop_reason.clone()).is_whole();
    verdict == Verdict::Pass && new.outputs.iter().all(|output| whole(&output.stop_reason))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
