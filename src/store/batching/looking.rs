//! Where does a batch stand, and was it created at all?

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::seeking::{self, Sought};
use super::{Batching, Work, stopped};
use crate::endpoint::batches::{Batch, BatchFault, Batches, FaultKind};
use crate::model::problem::Problem;
use crate::store::StoreError;
use crate::store::batches::{BatchEnd, BatchRow};

/// Results are kept so long (wire reference, 5).
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(29);

/// So long a batch that was given up may turn up: within a day everything of it is paid or expired (wire reference, 5).
pub const TURNS_UP: chrono::TimeDelta = chrono::TimeDelta::days(1);

/// So long a run looks for all of those, in passing.
const PASSING: Duration = Duration::from_secs(5);

impl Work<'_> {
    /// Looks once for batches that were given up as never created: a request that somebody held back may have arrived since.
    pub(super) async fn look_for_given_up(&mut self) {
        let rows = self.with.store.batches_given_up((self.with.now)() - TURNS_UP).unwrap_or_default();
        let until = Instant::now() + PASSING;
        for row in rows {
            let endpoints = self.with.endpoints;
            let client = endpoints.get(row.endpoint.as_str()).filter(|_| !(self.with.in_process)(&row.endpoint));
            let Some(client) = client else { continue };
            let known = self.with.known_ids();
            let left = until.saturating_duration_since(Instant::now());
            let sought = tokio::select! {
                () = self.with.stopped.cancelled() => return,
                sought = timeout(left, seeking::seek(client, &row, &known, &mut self.strangers)) => sought,
            };
            // Nothing depends on it: the next run looks again.
            let Ok(Ok(Sought::Found(batch))) = sought else { continue };
            if self.with.store.batch_created_late(&row.mark, &batch.id).await.is_err() {
                continue;
            }
            let problem = Problem::warning(format!(
                "batch {} of {} requests to {} was created after all, after nobody had found it: what it held may be paid twice",
                batch.id, row.requests, row.endpoint
            ));
            let hint = "something between here and the endpoint holds requests back; the bill of no run has it";
            self.settled.problems.push(problem.hint(hint));
        }
    }

    /// Where a batch stands; `None` where there is none, or none yet.
    pub(super) async fn look(&mut self, client: &Batches, row: &BatchRow) -> Result<Option<Batch>, BatchFault> {
        let Some(id) = &row.id else { return self.sought(client, row).await };
        let looked = tokio::select! {
            () = self.with.stopped.cancelled() => return Err(stopped()),
            looked = client.retrieve(id) => looked,
        };
        match looked {
            Ok(batch) => {
                if let Some(look) = self.looks.get_mut(&row.mark) {
                    look.heard = Instant::now();
                }
                Ok(Some(batch))
            }
            Err(fault) if fault.kind == FaultKind::NotFound && self.is_gone(row) => {
                self.end(row, BatchEnd::Gone).await?;
                let problem = Problem::warning(format!("batch {id} of endpoint `{}` is gone, and its results with it", row.endpoint));
                self.settled.problems.push(problem.hint("what it held is asked again"));
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Whether a batch that is not found is no more, and not only out of sight for this key.
    pub(super) fn is_gone(&self, row: &BatchRow) -> bool {
        (self.with.in_process)(&row.endpoint) || (self.with.now)() - row.intended_at > KEPT
    }

    /// Looks for a batch whose creation nobody heard of.
    async fn sought(&mut self, client: &Batches, row: &BatchRow) -> Result<Option<Batch>, BatchFault> {
        let known = self.with.known_ids();
        let sought = tokio::select! {
            () = self.with.stopped.cancelled() => return Err(stopped()),
            sought = seeking::seek(client, row, &known, &mut self.strangers) => sought?,
        };
        if let Some(look) = self.looks.get_mut(&row.mark) {
            look.heard = Instant::now();
        }
        match sought {
            Sought::Found(batch) => {
                self.with.store.batch_created(&row.mark, &batch.id).await.map_err(|error| fault(&error))?;
                Ok(Some(batch))
            }
            Sought::Unclear => Ok(None),
            Sought::Nothing => {
                let since = self.looks.get(&row.mark).map_or(Duration::ZERO, |look| look.since.elapsed());
                if since >= client.settling() {
                    self.end(row, BatchEnd::NeverCreated).await?;
                    self.release(&row.mark);
                }
                Ok(None)
            }
        }
    }

    async fn end(&mut self, row: &BatchRow, end: BatchEnd) -> Result<(), BatchFault> {
        self.with.store.batch_ended(&row.mark, end).await.map_err(|error| fault(&error))?;
        if let Some(look) = self.looks.get_mut(&row.mark) {
            look.given_up = true;
        }
        Ok(())
    }
}

impl Batching<'_> {
    /// Ids that are the batch of another row.
    fn known_ids(&self) -> HashSet<String> {
        self.store.batches().unwrap_or_default().into_iter().filter_map(|row| row.id).collect()
    }
}

fn fault(error: &StoreError) -> BatchFault {
    BatchFault { kind: FaultKind::Unknown, message: error.to_string(), hint: Some(error.hint().to_owned()), after: None }
}
