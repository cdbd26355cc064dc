//! Which snapshot files belong to no cell of any suite?

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cli::project::Project;
use crate::cli::session;
use crate::model::problem::Problem;
use crate::model::suite::{Compare, Suite};
use crate::snapshot::folder::Folder;
use crate::snapshot::path;

/// Orphans, computed from all suites of the project, never from the selection; none where a suite cannot be loaded, because then nobody
/// knows. `all` is every suite where they are loaded already: loading 10,000 cases again takes as long as judging them.
pub(crate) fn find(project: &Project, all: Option<Vec<Arc<Suite>>>) -> Result<Vec<String>, Problem> {
    let Some(suites) = all.or_else(|| session::all_suites(project)) else { return Ok(Vec::new()) };
    let owned: BTreeSet<String> = suites.iter().flat_map(|suite| owned(suite)).collect();
    Folder::open(&project.root).orphans(&owned).map_err(|error| Problem::warning(error.to_string()).hint(error.hint()))
}

/// Deletes orphans; `Err` says what could not be deleted.
pub(crate) fn delete(project: &Project, orphans: &[String]) -> Result<(), Vec<String>> {
    let folder = Folder::open(&project.root);
    let failed: Vec<String> = orphans.iter().filter_map(|path| folder.remove_orphan(path).err()).map(|error| error.to_string()).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// The snapshot paths of a suite's cases and models.
fn owned(suite: &Suite) -> Vec<String> {
    if suite.snapshot.compare == Compare::Off {
        return Vec::new();
    }
    let several = suite.prompts.len() > 1;
    let mut paths = Vec::with_capacity(suite.cases.len() * suite.models.len() * suite.prompts.len());
    for case in &suite.cases {
        for prompt in &suite.prompts {
            for model in &suite.models {
                paths.push(path::path(&suite.name, &case.id, several.then_some(prompt.name.as_str()), model.name()));
            }
        }
    }
    paths
}
