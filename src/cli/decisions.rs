//! Which snapshots does a run write? Carries out the one policy, cell by cell, and remembers what could not be written.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cli::arguments::RunArguments;
use crate::cli::environment::Environment;
use crate::cli::project::Project;
use crate::model::run::{Address, CellResult};
use crate::model::verdict::SnapshotState;
use crate::runner::plan::Plan;
use crate::snapshot::folder::{Folder, Owner};
use crate::snapshot::output::Snapshot;
use crate::snapshot::policy::{Action, UpdatePolicy};

/// The snapshot side of one run.
pub(crate) struct Decisions {
    folder: Folder,
    policy: UpdatePolicy,
    plan: Arc<Plan>,
    positions: HashMap<Address, usize>,
    accepted: usize,
    unwritten: Vec<String>,
}

impl Decisions {
    pub(crate) fn new(project: &Project, arguments: &RunArguments, plan: Arc<Plan>) -> Self {
        let owners = plan.cells.iter().enumerate().filter(|(_, cell)| cell.snapshot_path.is_some());
        Self {
            folder: Folder::open(&project.root),
            policy: UpdatePolicy::of(arguments.update, arguments.add, Environment::is_ci()),
            positions: owners.map(|(position, cell)| (cell.address(), position)).collect(),
            plan,
            accepted: 0,
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
        match self.folder.carry_out(action, owner, new, &cell.variant.comparison) {
            Ok(_) => match action {
                Action::Accept | Action::Extend => {
                    result.snapshot = SnapshotState::Same;
                    result.candidate = None;
                    self.accepted += 1;
                }
                Action::Leave | Action::RemovePending | Action::Confirm | Action::WritePending => {}
            },
            Err(error) => {
                let message = error.to_string();
                if !self.unwritten.contains(&message) {
                    self.unwritten.push(message);
                }
            }
        }
    }

    /// How many outputs were accepted, and what could not be written.
    pub(crate) fn finish(self) -> (usize, Vec<String>) {
        (self.accepted, self.unwritten)
    }
}
