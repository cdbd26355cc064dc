//! In which words does a report tell what the history knows of a cell?

use std::collections::HashMap;

use crate::model::remembered::FlakyCell;
use crate::model::run::{Address, CellResult, RunReport};
use crate::report::figures;

/// The flaky cells of a report, by address.
#[derive(Debug, Default)]
pub(crate) struct FlakyCells<'a>(HashMap<&'a Address, &'a FlakyCell>);

impl<'a> FlakyCells<'a> {
    pub(crate) fn of(report: &'a RunReport) -> Self {
        Self(report.remembered.iter().flat_map(|remembered| &remembered.flaky).map(|flaky| (&flaky.address, flaky)).collect())
    }

    /// `flaky: passed 3 and failed 2 of 5 different answers, unchanged`.
    pub(crate) fn line(&self, cell: &CellResult) -> Option<String> {
        let FlakyCell { passed, failed, .. } = self.0.get(&cell.address)?;
        let all = passed.saturating_add(*failed);
        Some(format!(
            "flaky: passed {} and failed {} of {} different answers, unchanged",
            figures::count(*passed),
            figures::count(*failed),
            figures::count(all)
        ))
    }
}
