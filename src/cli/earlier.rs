//! Which earlier answers tell how long the prompts and the answers of this plan will be?

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::key::Key;
use crate::model::run::Address;
use crate::runner::estimate::Earlier;
use crate::runner::plan::{Plan, PlannedCell};
use crate::store::Store;

/// So many earlier runs are looked at, the newest first.
const RUNS: usize = 3;

/// So many answers are read for each suite, prompt and model: their mean changes little after that.
const ENOUGH: u64 = 200;

/// And so many of all of them, whatever the plan: it is an estimate, and somebody waits for it.
const MOST_READ: usize = 5_000;

/// Reads answers of the store and the recordings: first those that the plan has already, then those of earlier runs to the same cells.
pub(crate) fn of(plan: &Plan, known: &HashSet<Key>, store: &Store) -> Earlier {
    let mut reading = Reading { store, earlier: Earlier::default(), read: HashSet::new() };
    let is_asked = |cell: &&PlannedCell| cell.keys.iter().any(|key| !known.contains(key));
    let asked: HashMap<Kind, &PlannedCell> = plan.cells.iter().filter(is_asked).map(|cell| (kind(&cell.address()), cell)).collect();
    if asked.is_empty() {
        return reading.earlier;
    }
    for cell in &plan.cells {
        let address = cell.address();
        let Some(like) = asked.get(&kind(&address)) else { continue };
        for key in cell.keys.iter().filter(|key| known.contains(key)) {
            reading.take(like, &address, *key, Some(cell.estimated_prompt));
        }
    }
    // A history that cannot be read only leaves the estimate without it.
    let runs = store.runs().unwrap_or_default();
    for head in runs.iter().filter(|run| run.exit != crate::model::gate::Exit::Interrupted).take(RUNS) {
        let Ok(Some(run)) = store.run(&head.id) else { continue };
        for cell in &run.cells {
            let Some(like) = asked.get(&kind(&cell.address)) else { continue };
            // Answers of another endpoint, a simulator perhaps, say nothing of this one's.
            if cell.kept.as_ref().is_some_and(|kept| kept.endpoint == like.variant.endpoint) {
                cell.keys.iter().for_each(|key| reading.take(like, &cell.address, *key, None));
            }
        }
    }
    reading.earlier
}

type Kind = (Arc<str>, Arc<str>, Arc<str>);

fn kind(address: &Address) -> Kind {
    (Arc::clone(&address.suite), Arc::clone(&address.prompt), Arc::clone(&address.model))
}

struct Reading<'a> {
    store: &'a Store,
    earlier: Earlier,
    read: HashSet<Key>,
}

impl Reading<'_> {
    fn take(&mut self, like: &PlannedCell, address: &Address, key: Key, estimated: Option<u64>) {
        if self.read.len() >= MOST_READ || self.earlier.answers_like(&like.variant) >= ENOUGH || !self.read.insert(key) {
            return;
        }
        let found = self.store.find(&key).ok().flatten();
        // A refusal is no answer of the usual length.
        if let Some(answer) = found.filter(|answer| answer.reply.stop_reason.is_whole() || answer.reply.stop_reason.is_truncated()) {
            self.earlier.learn(address, estimated, &answer.reply.usage);
        }
    }
}
