//! What do the remembered runs say together: which suites ran, and which cells went both ways though nothing of them changed?

use std::collections::HashMap;

use rusqlite::Connection;
use serde::Serialize;

use crate::model::run::Address;

/// Newest runs in which flaky cells are looked for.
pub const LOOKED_AT: u32 = 50;

/// Cells of one suite in one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SuiteCounts {
    /// The suite's name.
    pub suite: String,
    /// Cells; a snapshot that fails its suite's gate is a failure.
    pub passed: u64,
    /// Cells.
    pub failed: u64,
    /// Cells without a verdict.
    pub errored: u64,
    /// Cells that were not asked.
    pub skipped: u64,
}

/// A cell that passed and failed, unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaky {
    /// Which.
    pub address: Address,
    /// How often other answers made it pass; replays do not count.
    pub passed: u64,
    /// How often other answers made it fail.
    pub failed: u64,
}

/// What a run of each id had in its suites, in the order of their cells.
pub(super) fn suites(connection: &Connection) -> rusqlite::Result<HashMap<String, Vec<SuiteCounts>>> {
    let mut statement = connection.prepare_cached(
        "SELECT runs.id, suite, verdict, count(*) FROM run_cells JOIN runs ON number = run GROUP BY run, suite, verdict \
         ORDER BY run, min(position)",
    )?;
    let mut found: HashMap<String, Vec<SuiteCounts>> = HashMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, suite, verdict, cells): (String, String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let suites = found.entry(id).or_default();
        let place = suites.iter().position(|known| known.suite == suite).unwrap_or_else(|| {
            suites.push(SuiteCounts { suite, ..SuiteCounts::default() });
            suites.len() - 1
        });
        let counts = &mut suites[place];
        let count = match verdict.as_str() {
            "pass" => &mut counts.passed,
            "fail" => &mut counts.failed,
            "error" => &mut counts.errored,
            _ => &mut counts.skipped,
        };
        *count += cells.unsigned_abs();
    }
    Ok(found)
}

/// The evidence of verdicts is stored from format 2 on.
pub(super) fn has_evidence(connection: &Connection) -> rusqlite::Result<bool> {
    has_column(connection, "fingerprint")
}

/// Whether the table of cells has this column: an older file that nobody may write has fewer.
pub(super) fn has_column(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM pragma_table_info('run_cells') WHERE name = ?1")?;
    statement.query_row([name], |row| row.get::<_, i64>(0)).map(|found| found > 0)
}

/// Cells that are today as they were when they passed and when they failed, with different answers, in the order of their addresses.
pub(super) fn flaky(connection: &Connection) -> rusqlite::Result<Vec<Flaky>> {
    if !has_evidence(connection)? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT suite, case_id, prompt, version, model, \
         count(DISTINCT CASE judged WHEN 'pass' THEN answers END) AS passed, \
         count(DISTINCT CASE judged WHEN 'fail' THEN answers END) AS failed, max(run) \
         FROM run_cells WHERE fingerprint IS NOT NULL \
         AND run >= (SELECT min(number) FROM (SELECT number FROM runs ORDER BY number DESC LIMIT ?1)) \
         GROUP BY suite, case_id, prompt, version, model, fingerprint ORDER BY suite, case_id, prompt, version, model, max(run)",
    )?;
    let mut newest: Vec<Flaky> = Vec::new();
    let mut rows = statement.query([LOOKED_AT])?;
    while let Some(row) = rows.next()? {
        let address = Address { suite: row.get(0)?, case: row.get(1)?, prompt: row.get(2)?, version: row.get(3)?, model: row.get(4)? };
        let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        let found = Flaky { address, passed: count(5)?, failed: count(6)? };
        // What a cell was before it was changed says nothing of what it is now.
        match newest.last_mut() {
            Some(last) if last.address == found.address => *last = found,
            _ => newest.push(found),
        }
    }
    newest.retain(|cell| cell.passed > 0 && cell.failed > 0);
    Ok(newest)
}

/// Bytes in the file that hold nothing and will be used again.
pub(super) fn unused_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    Ok(number("freelist_count")?.saturating_mul(number("page_size")?))
}
