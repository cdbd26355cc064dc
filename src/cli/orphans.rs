//! Which snapshot files belong to no cell of any suite?

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cli::project::Project;
use crate::cli::session;
use crate::model::problem::Problem;
use crate::model::suite::Suite;
use crate::snapshot::folder::Folder;
use crate::snapshot::owned;

/// Orphans, computed from all suites of the project, never from the selection; none where a suite cannot be loaded, because then nobody
/// knows. `all` is every suite where they are loaded already: loading 10,000 cases again takes as long as judging them.
pub(crate) fn find(project: &Project, all: Option<Vec<Arc<Suite>>>) -> Result<Vec<String>, Problem> {
    all.or_else(|| session::all_suites(project)).map_or_else(|| Ok(Vec::new()), |suites| of(project, &suites))
}

/// The same of suites that are all there are.
pub(crate) fn of(project: &Project, suites: &[Arc<Suite>]) -> Result<Vec<String>, Problem> {
    let owned: BTreeSet<String> = suites.iter().flat_map(|suite| owned::of_suite(suite)).map(|(path, _)| path).collect();
    Folder::open(&project.root).orphans(&owned).map_err(|error| Problem::warning(error.to_string()).hint(error.hint()))
}

/// Deletes orphans; `Err` says what could not be deleted.
pub(crate) fn delete(project: &Project, orphans: &[String]) -> Result<(), Vec<String>> {
    let folder = Folder::open(&project.root);
    let failed: Vec<String> = orphans.iter().filter_map(|path| folder.remove_orphan(path).err()).map(|error| error.to_string()).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}
