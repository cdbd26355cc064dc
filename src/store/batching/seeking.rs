//! Did a batch come about whose creation nobody answered? The list of batches tells neither names nor requests, so it takes three facts: it is
//! newer than what was there before, it has as many requests, and, once it has ended, its results carry our mark.

use std::collections::HashSet;

use crate::endpoint::batches::draft;
use crate::endpoint::batches::{Batch, BatchFault, Batches, FaultKind, Status};
use crate::store::batches::BatchRow;

/// Entries of a page.
const PAGE: usize = 100;

/// Most pages: a workspace that creates more batches than that in the meantime is looked at no further.
const MOST_PAGES: usize = 1000;

/// What the list said.
pub(super) enum Sought {
    /// It is this one.
    Found(Batch),
    /// It may be one that has not ended yet, or one that could not be read.
    Unclear,
    /// It is none that is there.
    Nothing,
}

/// Looks through what is newer than the intent. `known` are the ids of other batches of ours; `strangers` grows by what is nobody's of ours.
pub(super) async fn seek(
    client: &Batches,
    row: &BatchRow,
    known: &HashSet<String>,
    strangers: &mut HashSet<String>,
) -> Result<Sought, BatchFault> {
    let is_older = |batch: &Batch| row.newest.as_ref().is_some_and(|(id, at)| batch.id == *id || batch.created_at < *at);
    let mut unclear = false;
    // One of them may be it: nothing may be asked again before its results say whose it is.
    let mut unread: Option<BatchFault> = None;
    let mut after: Option<String> = None;
    'pages: for _ in 0..MOST_PAGES {
        let (page, more) = client.list(PAGE, after.as_deref()).await?;
        for batch in &page {
            if is_older(batch) {
                break 'pages;
            }
            // `processing` has all of them until the end, and the sum never changes.
            let fits = batch.counts.sum() == row.requests && !known.contains(&batch.id) && !strangers.contains(&batch.id);
            if !fits {
                continue;
            }
            // A list may lag behind what it lists.
            let batch = match client.retrieve(&batch.id).await {
                Err(fault) if fault.kind == FaultKind::NotFound => continue,
                looked => looked?,
            };
            match batch.status {
                Status::InProgress | Status::Canceling => unclear = true,
                Status::Ended => match whose(client, &batch, &row.mark).await? {
                    Whose::Ours => return Ok(Sought::Found(batch)),
                    Whose::Others => drop(strangers.insert(batch.id)),
                    Whose::Unread => unread = Some(nameless(&batch)),
                },
            }
        }
        after = page.last().map(|batch| batch.id.clone()).filter(|_| more);
        if after.is_none() {
            break;
        }
    }
    match unread {
        Some(fault) => Err(fault),
        None if unclear => Ok(Sought::Unclear),
        None => Ok(Sought::Nothing),
    }
}

/// What the results of a batch tell.
enum Whose {
    Ours,
    Others,
    /// They came without any line that names a request, as a gateway cuts them: every request of a batch that has ended has a line.
    Unread,
}

/// One line is enough: the mark stands in every `custom_id` of a batch of ours, and of no other.
async fn whose(client: &Batches, batch: &Batch, mark: &str) -> Result<Whose, BatchFault> {
    let mut results = match client.results(batch).await {
        // Whoever's it was, nothing of it can be had any more.
        Err(fault) if fault.kind == FaultKind::NotFound => return Ok(Whose::Others),
        results => results?,
    };
    while let Some(line) = results.next().await? {
        if let Ok(line) = line {
            return Ok(if draft::place(mark, &line.custom_id).is_some() { Whose::Ours } else { Whose::Others });
        }
    }
    Ok(Whose::Unread)
}

fn nameless(batch: &Batch) -> BatchFault {
    let Batch { id, .. } = batch;
    BatchFault {
        kind: FaultKind::Unknown,
        message: format!("batch {id} may be it, and no line of its results can be read"),
        hint: Some("`promptkeel run --batch` looks again, and asks nothing twice".to_owned()),
        after: None,
    }
}
