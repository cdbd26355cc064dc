//! Which runs were there, and what came of their cells? Compact rows that point at answers by key.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::model::baseline::KeptCell;
use crate::model::gate::Exit;
use crate::model::key::Key;
use crate::model::run::{Address, Bill, CellResult, Improved, RunInfo, RunReport, Totals};
use crate::model::suite::OnChange;
use crate::model::verdict::{SnapshotState, Verdict};
use crate::store::trends::{self, ModelPoint};
use crate::store::{kept, recent};

/// So many runs are remembered.
pub const KEPT_RUNS: u32 = 200;

/// And so many cells of all of them together (about 200 MB), the newest run always whole.
const KEPT_CELLS: i64 = 500_000;

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHead {
    /// As in its report.
    pub id: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Filters were given, or it is a shard: it says nothing about the rest.
    pub filtered: bool,
    /// Every reply came from a simulator.
    pub simulated: bool,
    /// The endpoints that its cells name; empty where an earlier version saved it.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// `git rev-parse HEAD`, with `-dirty`.
    pub revision: Option<String>,
    /// What it came to.
    pub exit: Exit,
    /// How many of what.
    pub totals: Totals,
    /// How much.
    pub bill: Bill,
    /// The rounds of a watch are one run here, the last of them: this names the watch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<String>,
    /// What came of its suites and models; empty where an earlier version saved it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelPoint>,
    /// How many rounds of the watch there were before; what they spent is in the bill.
    #[serde(default)]
    pub earlier_rounds: u32,
}

impl RunHead {
    /// Another run of the same kind: what a simulator or another server answered says nothing about what got better.
    #[must_use]
    pub fn is_like(&self, run: &RunInfo) -> bool {
        let asked_all = run.endpoints.iter().all(|endpoint| self.endpoints.contains(endpoint));
        self.id != run.id && self.simulated == run.simulated && (self.endpoints.is_empty() || asked_all)
    }
}

/// A run with its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// What a list shows.
    pub head: RunHead,
    /// In plan order.
    pub cells: Vec<RunCell>,
}

/// What is remembered of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCell {
    /// Which.
    pub address: Address,
    /// What came of it; a snapshot that fails its suite's gate counts as a failure.
    pub verdict: Verdict,
    /// Of its samples, in order.
    pub keys: Vec<Key>,
    /// What the verdict was reached with; `None` where no verdict was, and in runs that an older version stored.
    pub evidence: Option<Evidence>,
    /// What a later run is compared with; `None` in runs that an older version stored.
    pub kept: Option<KeptCell>,
}

/// What makes verdicts of two runs comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Whether its assertions held, whatever the snapshot says.
    pub passed: bool,
    /// The cell's digest: the same in both runs, and nothing of it has changed.
    pub fingerprint: String,
    /// A digest of the answers: the same in both runs, and one of them only replays the other.
    pub answers: [u8; 32],
}

impl Evidence {
    fn of(cell: &CellResult) -> Option<Self> {
        let passed = match cell.verdict {
            Verdict::Pass => true,
            Verdict::Fail => false,
            Verdict::Error | Verdict::Skipped => return None,
        };
        let mut answers = blake3::Hasher::new();
        for reply in cell.samples.iter().filter_map(|sample| sample.reply.as_ref()) {
            answers.update(&reply.answered_at.timestamp_micros().to_le_bytes());
            answers.update(blake3::hash(reply.text.as_bytes()).as_bytes());
        }
        Some(Self { passed, fingerprint: cell.digests.fingerprint.to_string(), answers: *answers.finalize().as_bytes() })
    }
}

impl RunRecord {
    /// A run that began: replaced by [`RunRecord::of`] when it ends, and left alone where it is killed.
    #[must_use]
    pub fn begun(info: &RunInfo, planned: u64) -> Self {
        let head = RunHead {
            id: info.id.clone(),
            started_at: info.started_at,
            duration_ms: 0,
            filtered: info.filtered || info.shard.is_some(),
            simulated: info.simulated,
            endpoints: info.endpoints.clone(),
            revision: info.revision.clone(),
            exit: Exit::Interrupted,
            totals: Totals { planned, ..Totals::default() },
            bill: Bill::default(),
            watch: None,
            models: Vec::new(),
            earlier_rounds: 0,
        };
        Self { head, cells: Vec::new() }
    }

    /// The same as a round of this watch.
    #[must_use]
    pub fn of_watch(mut self, watch: Option<String>) -> Self {
        self.head.watch = watch;
        self
    }

    /// The run was killed: nobody knows what would have come of it.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.cells.is_empty() && self.head.totals.planned > 0
    }

    /// What is remembered of this report.
    #[must_use]
    pub fn of(report: &RunReport) -> Self {
        let run = &report.run;
        Self {
            head: RunHead {
                id: run.id.clone(),
                started_at: run.started_at,
                duration_ms: run.duration_ms,
                filtered: run.filtered || run.shard.is_some(),
                simulated: run.simulated,
                endpoints: run.endpoints.clone(),
                revision: run.revision.clone(),
                exit: report.exit,
                totals: report.totals.clone(),
                bill: report.bill.clone(),
                watch: None,
                models: trends::points(report),
                earlier_rounds: 0,
            },
            cells: report
                .cells
                .iter()
                .map(|cell| RunCell {
                    address: cell.address.clone(),
                    verdict: settled(report, cell),
                    keys: cell.samples.iter().filter_map(|sample| sample.key.parse().ok()).collect(),
                    evidence: Evidence::of(cell),
                    kept: KeptCell::of(cell),
                })
                .collect(),
        }
    }
}

/// What passes now and failed in an earlier run, with whatever version of its prompt was the newest then. `None` where nothing did.
#[must_use]
pub fn improved(before: &RunRecord, now: &RunReport) -> Option<Improved> {
    // The newest version of a prompt has the last word.
    let mut failed: HashMap<(&str, &str, &str, &str), (u32, bool)> = HashMap::new();
    for cell in &before.cells {
        let Address { suite, case, prompt, version, model } = &cell.address;
        let known = failed.entry((suite, case, prompt, model)).or_insert((*version, false));
        if *version >= known.0 {
            // That its output was new or another one made no assertion fail: accepting it is no improvement.
            let failed = cell.evidence.as_ref().map_or(cell.verdict == Verdict::Fail, |evidence| !evidence.passed);
            *known = (*version, failed);
        }
    }
    let is_better = |cell: &&CellResult| {
        let Address { suite, case, prompt, model, .. } = &cell.address;
        let before = failed.get(&(&**suite, &**case, &**prompt, &**model));
        cell.gated && before.is_some_and(|(_, failed)| *failed) && settled(now, cell) == Verdict::Pass
    };
    let cells: Vec<Address> = now.cells.iter().filter(is_better).map(|cell| cell.address.clone()).collect();
    let head = &before.head;
    (!cells.is_empty()).then(|| Improved { run: head.id.clone(), revision: head.revision.clone(), cells })
}

/// A cell's verdict, where a snapshot that fails its suite's gate is a failure: `--failed` runs it again.
fn settled(report: &RunReport, cell: &CellResult) -> Verdict {
    let policy = report.policies.iter().find(|policy| *policy.name == *cell.address.suite);
    let fails = match &cell.snapshot {
        SnapshotState::Changed { .. } | SnapshotState::New { .. } => policy.is_some_and(|policy| policy.on_change == OnChange::Fail),
        SnapshotState::Unreadable { .. } => true,
        SnapshotState::Same | SnapshotState::None => false,
    };
    if cell.verdict == Verdict::Pass && cell.gated && fails { Verdict::Fail } else { cell.verdict }
}

pub(super) fn insert(connection: &Connection, run: &RunRecord) -> rusqlite::Result<()> {
    let mut head = run.head.clone();
    if let Some(watch) = head.watch.clone().filter(|_| !run.is_unfinished()) {
        take_over(connection, &watch, &mut head)?;
    }
    let head = serde_json::to_string(&head).expect("strings and numbers always serialise");
    connection.execute("DELETE FROM run_cells WHERE run = (SELECT number FROM runs WHERE id = ?1)", [&run.head.id])?;
    connection.execute("DELETE FROM runs WHERE id = ?1", [&run.head.id])?;
    connection.execute("INSERT INTO runs (id, head) VALUES (?1, ?2)", [&run.head.id, &head])?;
    let number = connection.last_insert_rowid();
    let mut statement = connection.prepare_cached(
        "INSERT INTO run_cells (run, position, suite, case_id, prompt, version, model, verdict, keys, judged, fingerprint, answers, kept) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for (position, cell) in (0_i64..).zip(&run.cells) {
        let RunCell { address, verdict, keys, evidence, kept } = cell;
        let keys: Vec<u8> = keys.iter().flat_map(|key| *key.as_bytes()).collect();
        statement.execute(params![
            number,
            position,
            address.suite,
            address.case,
            address.prompt,
            address.version,
            address.model,
            verdict.as_str(),
            keys,
            evidence.as_ref().map(|evidence| if evidence.passed { "pass" } else { "fail" }),
            evidence.as_ref().map(|evidence| evidence.fingerprint.as_str()),
            evidence.as_ref().map(|evidence| evidence.answers.as_slice()),
            kept.as_ref().map(kept::write),
        ])?;
    }
    forget(connection, number)
}

/// A round of a watch takes the place of the rounds before it, with what they spent.
fn take_over(connection: &Connection, watch: &str, now: &mut RunHead) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT head FROM runs WHERE json_extract(head, '$.watch') = ?1 AND id <> ?2")?;
    let earlier: Vec<RunHead> =
        statement.query_map(params![watch, now.id], |row| head(row.get_ref(0)?.as_str()?))?.collect::<rusqlite::Result<_>>()?;
    for before in &earlier {
        now.earlier_rounds = now.earlier_rounds.saturating_add(before.earlier_rounds).saturating_add(1);
        now.bill.spent_usd += before.bill.spent_usd;
    }
    forget_these(connection, &earlier.into_iter().map(|before| before.id).collect::<Vec<_>>())
}

/// Forgets these runs; their answers stay.
pub(super) fn forget_these(connection: &Connection, ids: &[String]) -> rusqlite::Result<()> {
    let mut cells = connection.prepare_cached("DELETE FROM run_cells WHERE run = (SELECT number FROM runs WHERE id = ?1)")?;
    let mut runs = connection.prepare_cached("DELETE FROM runs WHERE id = ?1")?;
    for id in ids {
        cells.execute([id])?;
        runs.execute([id])?;
    }
    Ok(())
}

/// The newest run stays, and before it as many as both bounds allow.
fn forget(connection: &Connection, newest: i64) -> rusqlite::Result<()> {
    let mut oldest = newest;
    let mut cells: i64 = 0;
    let mut statement = connection
        .prepare_cached("SELECT number, (SELECT count(*) FROM run_cells WHERE run = number) FROM runs ORDER BY number DESC LIMIT ?1")?;
    let mut rows = statement.query([KEPT_RUNS])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        cells += row.get::<_, i64>(1)?;
        if number != newest && cells > KEPT_CELLS {
            break;
        }
        oldest = number;
    }
    connection.execute("DELETE FROM run_cells WHERE run < ?1", [oldest])?;
    connection.execute("DELETE FROM runs WHERE number < ?1", [oldest])?;
    Ok(())
}

pub(super) fn runs(connection: &Connection) -> rusqlite::Result<Vec<RunHead>> {
    let mut statement = connection.prepare_cached("SELECT head FROM runs ORDER BY number DESC")?;
    statement.query_map([], |row| head(row.get_ref(0)?.as_str()?))?.collect()
}

pub(super) fn last_run(connection: &Connection) -> rusqlite::Result<Option<RunRecord>> {
    whole(connection, "SELECT number, head FROM runs WHERE ?1 IS NULL ORDER BY number DESC LIMIT 1", None)
}

pub(super) fn run(connection: &Connection, id: &str) -> rusqlite::Result<Option<RunRecord>> {
    whole(connection, "SELECT number, head FROM runs WHERE id = ?1", Some(id))
}

fn whole(connection: &Connection, which: &str, id: Option<&str>) -> rusqlite::Result<Option<RunRecord>> {
    let snapshot = connection.unchecked_transaction()?;
    let found = snapshot.query_row(which, [id], |row| Ok((row.get::<_, i64>(0)?, head(row.get_ref(1)?.as_str()?)?))).optional()?;
    let Some((number, head)) = found else { return Ok(None) };
    let mut cells = Vec::new();
    {
        // A store of before that nobody may write has no evidence.
        let evidence = if recent::has_evidence(&snapshot)? { "judged, fingerprint, answers" } else { "NULL, NULL, NULL" };
        let kept = if recent::has_column(&snapshot, "kept")? { "kept" } else { "NULL" };
        let mut statement = snapshot.prepare_cached(&format!(
            "SELECT suite, case_id, prompt, version, model, verdict, keys, {evidence}, {kept} FROM run_cells WHERE run = ?1 ORDER BY position"
        ))?;
        let mut rows = statement.query([number])?;
        while let Some(row) = rows.next()? {
            let address = Address { suite: row.get(0)?, case: row.get(1)?, prompt: row.get(2)?, version: row.get(3)?, model: row.get(4)? };
            let verdict = verdict(row.get_ref(5)?.as_str()?)?;
            let keys: Vec<Key> = row.get_ref(6)?.as_blob()?.as_chunks::<32>().0.iter().map(|bytes| Key::from_bytes(*bytes)).collect();
            let (judged, fingerprint, answers): (Option<String>, Option<String>, Option<Vec<u8>>) = (row.get(7)?, row.get(8)?, row.get(9)?);
            let answers = answers.and_then(|answers| <[u8; 32]>::try_from(answers).ok());
            let evidence = judged.zip(fingerprint).zip(answers);
            let evidence = evidence.map(|((judged, fingerprint), answers)| Evidence { passed: judged == "pass", fingerprint, answers });
            let kept = row.get::<_, Option<String>>(10)?.and_then(|text| kept::read(&text, &address, &keys));
            cells.push(RunCell { address, verdict, keys, evidence, kept });
        }
    }
    snapshot.finish()?;
    Ok(Some(RunRecord { head, cells }))
}

fn head(text: &str) -> rusqlite::Result<RunHead> {
    serde_json::from_str(text).map_err(|error| unreadable(Box::new(error)))
}

fn verdict(text: &str) -> rusqlite::Result<Verdict> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| unreadable(Box::new(error)))
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error)
}
