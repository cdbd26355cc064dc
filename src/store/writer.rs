//! Who writes? One thread, which commits whatever is queued, then acknowledges all of it.
//!
//! No timer: while one commit runs, the next batch gathers, so a single answer is committed at once and ten thousand share few commits.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::store::StoreError;
use crate::store::answers::{self, Row};
use crate::store::batches::{self, Change};
use crate::store::history::{self, RunRecord};
use crate::store::open::{explain, identity};
use crate::store::room::Room;

/// Most jobs in one commit: bounds how long readers of a fresh answer and other processes wait.
const BATCH: usize = 512;

/// The writing side of a store. Dropping it commits what is queued and waits for that.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
    /// What was stored last went where room was kept for it.
    is_full: Arc<AtomicBool>,
}

enum Job {
    Put(Box<Row>, oneshot::Sender<Result<(), StoreError>>),
    SaveRun(Box<RunRecord>, mpsc::SyncSender<Result<(), StoreError>>),
    Forget(Vec<String>, mpsc::SyncSender<Result<(), StoreError>>),
    ForgetAnswers(Vec<i64>, mpsc::SyncSender<Result<(), StoreError>>),
    Batch(Box<Change>, oneshot::Sender<Result<(), StoreError>>),
    Reserve(usize, mpsc::SyncSender<Result<(), StoreError>>),
    Settle(mpsc::SyncSender<()>),
}

impl Writer {
    pub(super) fn start(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel();
        let file = path.to_owned();
        let is_full = Arc::new(AtomicBool::new(false));
        let room = Room::new(Arc::clone(&is_full));
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || work(connection, &queue, &file, room))
            .map_err(|error| StoreError::Database { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), path: path.to_owned(), is_full })
    }

    pub(super) async fn put(&self, row: Row) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Job::Put(Box::new(row), sender))?;
        receiver.await.unwrap_or_else(|_| Err(self.gone()))
    }

    pub(super) async fn change_batch(&self, change: Change) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Job::Batch(Box::new(change), sender))?;
        receiver.await.unwrap_or_else(|_| Err(self.gone()))
    }

    pub(super) fn save_run(&self, run: RunRecord) -> Result<(), StoreError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.send(Job::SaveRun(Box::new(run), sender))?;
        receiver.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    pub(super) fn forget_runs(&self, ids: Vec<String>) -> Result<(), StoreError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.send(Job::Forget(ids, sender))?;
        receiver.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    pub(super) fn forget_answers(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.send(Job::ForgetAnswers(ids, sender))?;
        receiver.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    pub(super) fn reserve(&self, bytes: usize) -> Result<(), StoreError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.send(Job::Reserve(bytes, sender))?;
        receiver.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    /// As if the last commit had taken the room that was kept.
    #[cfg(test)]
    pub(super) fn fill_up(&self) {
        self.is_full.store(true, Ordering::Release);
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    pub(super) fn settle(&self) {
        let (sender, receiver) = mpsc::sync_channel(1);
        if self.send(Job::Settle(sender)).is_ok() {
            let _ = receiver.recv();
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        match &self.jobs {
            Some(jobs) => jobs.send(job).map_err(|_| self.gone()),
            None => Err(self.gone()),
        }
    }

    fn gone(&self) -> StoreError {
        StoreError::Database { path: self.path.clone(), reason: "its writer has ended".to_owned() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was already seen as an error by whoever waited for an acknowledgement.
            let _ = thread.join();
        }
    }
}

fn work(mut connection: Connection, queue: &mpsc::Receiver<Job>, path: &Path, mut room: Room) {
    let opened = identity(path);
    while let Ok(first) = queue.recv() {
        let mut batch = vec![first];
        batch.extend(queue.try_iter().take(BATCH - 1));
        let result = match commit(&mut connection, &batch) {
            Err(error) if room.make_way(&error) => commit(&mut connection, &batch),
            done => done,
        };
        let result = result.map_err(|error| explain(path, &error));
        // A deleted file still takes everything, and nobody will ever read it.
        let result = if identity(path) == opened { result } else { Err(StoreError::Gone { path: path.to_owned() }) };
        for job in batch {
            // Nobody may be waiting any more; the answer is stored all the same.
            match job {
                Job::Put(_, waiting) | Job::Batch(_, waiting) => drop(waiting.send(result.clone())),
                Job::SaveRun(_, waiting) | Job::Forget(_, waiting) | Job::ForgetAnswers(_, waiting) => drop(waiting.send(result.clone())),
                Job::Reserve(bytes, waiting) => {
                    let made = result.clone().and_then(|()| room.make(&mut connection, path, bytes));
                    drop(waiting.send(made));
                }
                Job::Settle(waiting) => {
                    // What other processes are reading right now stays in the log, and nothing is missing.
                    let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                    let _ = waiting.send(());
                }
            }
        }
    }
}

fn commit(connection: &mut Connection, batch: &[Job]) -> rusqlite::Result<()> {
    // A power cut must not take away that a batch may have been created: it would be paid twice.
    if batch.iter().any(|job| matches!(job, Job::Batch(..))) {
        connection.pragma_update(None, "synchronous", "FULL")?;
        let written = write(connection, batch);
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        return written;
    }
    write(connection, batch)
}

fn write(connection: &mut Connection, batch: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        match job {
            Job::Put(row, _) => answers::insert(&transaction, row)?,
            Job::SaveRun(run, _) => history::insert(&transaction, run)?,
            Job::Forget(ids, _) => history::forget_these(&transaction, ids)?,
            Job::ForgetAnswers(ids, _) => answers::forget(&transaction, ids)?,
            Job::Batch(change, _) => batches::change(&transaction, change)?,
            Job::Reserve(..) | Job::Settle(_) => {}
        }
    }
    transaction.commit()
}
