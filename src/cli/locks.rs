//! Was the text of an accepted prompt version changed? A warning at home, an error in CI.

use std::sync::Arc;

use crate::cli::environment::Environment;
use crate::cli::project::Project;
use crate::cli::prompts::Texts;
use crate::model::problem::{Problem, Severity};
use crate::model::suite::{PromptVersion, Suite};
use crate::snapshot::folder::Folder;

/// One problem per accepted version whose text changed, and per lock that cannot be read.
pub(crate) fn check(project: &Project, suites: &[Arc<Suite>]) -> Vec<Problem> {
    let folder = Folder::open(&project.root);
    let texts = Texts::of(project);
    let pair = |version: &PromptVersion, accepted: &str| {
        let path = &version.file.path;
        texts.accepted(path, accepted).zip(texts.now(path))
    };
    let mut problems = Vec::new();
    for suite in suites {
        match folder.prompt_lock(&suite.name) {
            Ok(lock) => problems.extend(lock.problems(suite, pair)),
            Err(error) => problems.push(Problem::from(&error)),
        }
    }
    if Environment::is_ci() {
        for problem in problems.iter_mut().filter(|problem| problem.severity == Severity::Warning) {
            problem.severity = Severity::Error;
        }
    }
    problems
}
