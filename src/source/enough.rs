//! When is so much wrong with a project that looking for more would help nobody?

use crate::model::problem::{Problem, Severity};

/// Problems after which nothing further is looked for: ten times what is shown, and a file can hold millions.
pub(crate) const ENOUGH: usize = 1_000;

/// Whether there are so many. Only errors count: what is left out then is never taken for sound.
#[must_use]
pub(crate) fn enough(problems: &[Problem]) -> bool {
    problems.len() >= ENOUGH && problems.iter().filter(|problem| problem.severity == Severity::Error).nth(ENOUGH - 1).is_some()
}
