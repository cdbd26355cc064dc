//! What is told of batches while they are waited for, and where a run leaves them?

use std::sync::Arc;

use super::{Waited, Work};
use crate::endpoint::batches::{Batch, Counts};
use crate::model::event::{BatchNews, BatchStage};
use crate::model::problem::Problem;
use crate::store::batches::BatchRow;

impl Work<'_> {
    /// News of a batch, with what the API says of it where it said anything.
    pub(super) fn tell_of(&mut self, row: &BatchRow, id: Option<&str>, stage: BatchStage, batch: Option<&Batch>) {
        let counts = batch.map_or(Counts { processing: row.requests, ..Counts::default() }, |batch| batch.counts);
        let Counts { processing, succeeded, errored, canceled, expired } = counts;
        let waited = self.looks.get(&row.mark).map_or(0, |look| look.since.elapsed().as_millis());
        (self.tell)(BatchNews {
            endpoint: Arc::from(row.endpoint.as_str()),
            id: id.or(row.id.as_deref()).map(Arc::from),
            stage,
            requests: row.requests,
            processing,
            succeeded,
            errored,
            canceled,
            expired,
            waited_ms: u64::try_from(waited).unwrap_or(u64::MAX),
        });
    }

    /// The run ends, and the batches go on.
    pub(super) fn leave(&mut self, waited: &[Waited]) {
        for Waited { row, id } in waited {
            let problem = match id {
                Some(id) => Problem::warning(format!("batch {id} goes on without this run ({} requests)", row.requests)).hint(format!(
                    "`promptkeel run --batch` waits for it again and pays nothing twice; `promptkeel batch cancel {id}` ends it"
                )),
                None => Problem::warning(format!("a batch of {} requests may have been created, and nobody has answered", row.requests))
                    .hint("`promptkeel run --batch` looks for it before it asks again"),
            };
            self.settled.problems.push(problem);
        }
    }
}
