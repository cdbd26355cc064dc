//! What is told while a run goes on?

use std::sync::Arc;

use serde::Serialize;

use crate::model::gate::Exit;
use crate::model::money::Money;
use crate::model::run::{Address, Bill, CellResult, RunInfo, Totals};

/// One attempt on the wire, without any key: what was sent stands in the report, and of what came back this is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Where the `POST` went.
    pub url: String,
    /// Bytes of its body.
    pub sent_bytes: u64,
    /// `None` where no response came.
    pub status: Option<u16>,
    /// Headers of the response that say something about the attempt.
    pub headers: Vec<(String, String)>,
    /// Bytes of the response's body as far as it was read; `None` where it broke off.
    pub received_bytes: Option<u64>,
    /// From sending to the last byte or the failure.
    pub duration_ms: u64,
    /// Why there is no whole response.
    pub error: Option<String>,
}

/// Where a message batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStage {
    /// It was created, and is waited for.
    Created,
    /// An earlier run, or another one, created it; it is waited for.
    Joined,
    /// Nobody heard whether it was created: it is looked for.
    Sought,
    /// It was looked at, and has not ended.
    Waiting,
    /// Its results are stored.
    Ended,
}

/// News of a message batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchNews {
    /// Endpoint's name.
    pub endpoint: Arc<str>,
    /// `msgbatch_...`; `None` where it is not known.
    pub id: Option<Arc<str>>,
    /// Where it stands.
    pub stage: BatchStage,
    /// All its requests.
    pub requests: u64,
    /// Those of which nothing is known: all of them until the whole batch has ended.
    pub processing: u64,
    /// With a reply.
    pub succeeded: u64,
    /// With an error.
    pub errored: u64,
    /// Canceled before their turn.
    pub canceled: u64,
    /// Out of time before their turn.
    pub expired: u64,
    /// Milliseconds since this run began to wait for it.
    pub waited_ms: u64,
}

/// What a run tells while it runs; one JSON line each with `--events`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum RunEvent {
    /// The plan is made; asking begins.
    Started {
        /// Which run.
        run: RunInfo,
        /// Cells to judge.
        cells: u64,
        /// Samples to answer.
        samples: u64,
        /// Samples that are already answered.
        cached: u64,
        /// Samples that batches under way hold: they are paid already.
        #[serde(default, skip_serializing_if = "is_none")]
        under_way: u64,
        /// The most that the rest can cost; `None` where a model is unpriced.
        upper_bound_usd: Option<Money>,
        /// What the rest will probably cost; `None` where a model is unpriced, or where it was not estimated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        estimate_usd: Option<Money>,
    },
    /// A request goes out for the first time.
    Sent {
        /// The cell.
        cell: Address,
        /// The sample.
        sample: u32,
    },
    /// The head of a response is there. Only told where somebody asked for details.
    FirstByte {
        /// The cell.
        cell: Address,
        /// The sample.
        sample: u32,
    },
    /// An attempt is over: what went out, what came back. Only told where somebody asked for details.
    Exchange {
        /// The cell.
        cell: Address,
        /// The sample.
        sample: u32,
        /// What may be told of it.
        exchange: Box<Exchange>,
    },
    /// An attempt failed and another one follows.
    Retrying {
        /// The cell.
        cell: Address,
        /// The sample.
        sample: u32,
        /// What failed.
        message: String,
        /// Milliseconds until the next attempt.
        delay_ms: u64,
    },
    /// An endpoint asked for a pause, which all of its cells keep.
    CoolingDown {
        /// Endpoint's name.
        endpoint: Arc<str>,
        /// Model's id.
        model: Arc<str>,
        /// Milliseconds.
        delay_ms: u64,
    },
    /// A request that goes first, because others share its beginning, has not been answered for long: another one goes beside it.
    Overdue {
        /// Endpoint's name.
        endpoint: Arc<str>,
        /// Model's id.
        model: Arc<str>,
        /// Milliseconds since it was sent.
        waited_ms: u64,
    },
    /// An endpoint answers nothing: its cells wait, and one request at a time finds out whether it is back.
    Silent {
        /// Endpoint's name.
        endpoint: Arc<str>,
        /// Milliseconds until it is given up.
        give_up_ms: u64,
    },
    /// Something is known of a message batch.
    Batch {
        /// What.
        #[serde(flatten)]
        batch: Box<BatchNews>,
    },
    /// A cell has its verdict.
    Cell {
        /// The whole of it.
        cell: Arc<CellResult>,
    },
    /// Ctrl-C or SIGTERM: nothing new is started.
    Interrupted {
        /// Requests still under way.
        in_flight: u64,
    },
    /// The run's time limit passed: nothing new is started.
    TimedOut {
        /// The limit, in milliseconds.
        limit_ms: u64,
        /// Requests still under way.
        in_flight: u64,
    },
    /// All cells have their verdict; reports follow.
    Finished {
        /// How many of what.
        totals: Totals,
        /// How much.
        bill: Bill,
        /// What the gates come to.
        exit: Exit,
    },
}

/// Whether there are none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_none(number: &u64) -> bool {
    *number == 0
}
