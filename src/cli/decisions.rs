//! Which snapshots does a run write? Carries out the one policy, cell by cell, and remembers what could not be written.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::arguments::run::RunArguments;
use crate::cli::environment::Environment;
use crate::cli::project::Project;
use crate::model::run::{Address, CellResult};
use crate::model::verdict::SnapshotState;
use crate::runner::plan::{Plan, PlannedCell};
use crate::snapshot::SnapshotError;
use crate::snapshot::folder::{Folder, Owner};
use crate::snapshot::format;
use crate::snapshot::lock;
use crate::snapshot::output::Snapshot;
use crate::snapshot::path::pending_path;
use crate::snapshot::policy::{Action, UpdatePolicy};
use crate::store::pending;

/// The snapshot side of one run.
pub(crate) struct Decisions {
    folder: Folder,
    /// Where it is noted which text of a prompt gave what waits.
    store: PathBuf,
    noted: bool,
    policy: UpdatePolicy,
    plan: Arc<Plan>,
    positions: HashMap<Address, usize>,
    accepted: Vec<Address>,
    /// Suites and versions whose line was confirmed, with the place of a cell that did.
    confirmed: BTreeMap<(String, String), usize>,
    dropped: usize,
    unwritten: Vec<String>,
}

/// What came of one run's decisions.
#[derive(Debug)]
pub(crate) struct Decided {
    /// Cells whose output was accepted.
    pub(crate) accepted: Vec<Address>,
    /// Accepted variants that were replaced, and that no sample of this run gave.
    pub(crate) dropped: usize,
    /// What could not be written.
    pub(crate) unwritten: Vec<String>,
}

impl Decisions {
    pub(crate) fn new(project: &Project, arguments: &RunArguments, plan: Arc<Plan>) -> Self {
        let owners = plan.cells.iter().enumerate().filter(|(_, cell)| cell.snapshot_path.is_some());
        Self {
            folder: Folder::open(&project.root),
            store: project.store_folder(),
            noted: false,
            policy: UpdatePolicy::of(arguments.update, arguments.add, Environment::is_ci()),
            positions: owners.map(|(position, cell)| (cell.address(), position)).collect(),
            plan,
            accepted: Vec::new(),
            confirmed: BTreeMap::new(),
            dropped: 0,
            unwritten: Vec::new(),
        }
    }

    /// Writes what the policy says for one judged cell. Trouble is remembered: the run goes on, and ends with exit 5.
    pub(crate) fn decide(&mut self, result: &mut CellResult, new: Option<&Snapshot>) {
        let (Some(path), Some(new)) = (result.snapshot_path.clone(), new) else { return };
        let path = &*path;
        let Some(cell) = self.positions.get(&result.address).map(|position| &self.plan.cells[*position]) else { return };
        let accepted = self.folder.read(path).ok().flatten();
        let action = self.policy.action(&result.snapshot, result.verdict, accepted.as_ref(), new);
        let owner = Owner { suite: &cell.variant.suite.name, path, version: &cell.variant.version };
        let version = (cell.variant.suite.name.clone(), lock::name(&cell.variant.version));
        // One cell of a version confirms it for all of them.
        let is_confirmed = action == Action::Confirm && self.confirmed.contains_key(&version);
        let carried_out = if is_confirmed { Action::RemovePending } else { action };
        match self.folder.carry_out(carried_out, owner, new, &cell.variant.comparison) {
            Ok(_) => match action {
                Action::Accept | Action::Extend => {
                    if action == Action::Accept {
                        self.dropped += unmatched(&result.snapshot);
                    }
                    result.snapshot = SnapshotState::Same;
                    result.candidate = None;
                    self.accepted.push(result.address.clone());
                }
                Action::WritePending => {
                    let waits = self.folder.keep(&[pending_path(path)]).unwrap_or_default();
                    let laid = format::write(&cell.variant.comparison.distinct(new));
                    // Another output may wait there, which a simulated one does not push away.
                    if let Some(bytes) = waits.bytes(&pending_path(path)).filter(|bytes| *bytes == laid.as_bytes()) {
                        // What is not noted is taken for the present text when somebody accepts the output.
                        let noted = pending::note(&self.store, &pending_path(path), bytes, &cell.variant.version.file.digest);
                        self.noted |= noted.is_ok();
                    }
                }
                Action::Confirm => {
                    let position = self.positions[&result.address];
                    self.confirmed.entry(version).or_insert(position);
                }
                Action::Leave | Action::RemovePending => {}
            },
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &SnapshotError) {
        let message = error.to_string();
        if !self.unwritten.contains(&message) {
            self.unwritten.push(message);
        }
    }

    /// What came of them all.
    pub(crate) fn finish(mut self) -> Decided {
        // Another process may have noted a version too, and taken it back because it could not accept its own output.
        for position in std::mem::take(&mut self.confirmed).into_values() {
            let PlannedCell { variant, snapshot_path, .. } = &self.plan.cells[position];
            let owner = Owner { suite: &variant.suite.name, path: snapshot_path.as_deref().unwrap_or_default(), version: &variant.version };
            if let Err(error) = self.folder.confirm(owner) {
                self.failed(&error);
            }
        }
        if self.noted {
            // Notes that are too many do no harm.
            let _ = pending::tidy(&self.store);
        }
        Decided { accepted: self.accepted, dropped: self.dropped, unwritten: self.unwritten }
    }
}

/// Accepted variants that no sample gave, where there are several: that one replaces another is what accepting is.
fn unmatched(state: &SnapshotState) -> usize {
    match state {
        SnapshotState::Changed { variants: Some(variants), .. } if variants.accepted > 1 => variants.unmatched.len(),
        SnapshotState::Changed { .. }
        | SnapshotState::Same
        | SnapshotState::New { .. }
        | SnapshotState::Unreadable { .. }
        | SnapshotState::None => 0,
    }
}
