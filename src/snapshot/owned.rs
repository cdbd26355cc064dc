//! Which snapshot file does a cell own?

use crate::model::suite::{Compare, Suite};
use crate::snapshot::path::path;

/// Whether outputs of the suite are compared with snapshots at all. One that is not owns no file: what it once kept is orphaned.
#[must_use]
pub fn keeps_snapshots(suite: &Suite) -> bool {
    suite.snapshot.compare != Compare::Off
}

/// The file of a case, a prompt and a model of the suite, by their names; `None` where the suite keeps none. The newest listed version of
/// the prompt owns it.
#[must_use]
pub fn of_cell(suite: &Suite, case: &str, prompt: &str, model: &str) -> Option<String> {
    // Suites of one prompt, which most are, need no folder for it.
    let prompt = (suite.prompts.len() > 1).then_some(prompt);
    keeps_snapshots(suite).then(|| path(&suite.name, case, prompt, model))
}

/// Every file of the suite, with the place of its prompt in the suite.
pub fn of_suite(suite: &Suite) -> impl Iterator<Item = (String, usize)> + '_ {
    let cells = suite.cases.iter().flat_map(|case| suite.prompts.iter().enumerate().map(move |prompt| (case, prompt)));
    let cells = cells.flat_map(|(case, prompt)| suite.models.iter().map(move |model| (case, prompt, model)));
    cells.filter_map(|(case, (place, prompt), model)| Some((of_cell(suite, &case.id, &prompt.name, model.name())?, place)))
}
