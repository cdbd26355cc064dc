//! Which version of a prompt came before another one, and what does it say?

use std::sync::Arc;

use crate::model::problem::{Problem, Severity};
use crate::model::suite::PromptVersion;
use crate::source::document::start_of;
use crate::source::input::Inputs;
use crate::source::prompt::{self, Prompts, Reference};
use crate::source::tree::{Reader, Tree};

/// The versions of a prompt that a suite file can name, by their numbers, ascending. Empty where there is no such prompt.
///
/// # Errors
/// Where the project cannot be read.
pub fn versions(tree: &Tree, prompt: &str, suite: &str, allow_outside: bool) -> Result<Vec<u32>, Vec<Problem>> {
    let reader = Reader::open(tree, allow_outside).map_err(|error| vec![Problem::error(error.to_string())])?;
    Ok(prompt::numbers(prompt, suite, &Inputs::new(&reader)))
}

/// One version of a prompt, as a suite file names it, whether the suite lists it or not.
///
/// # Errors
/// Where it cannot be read, or is wrong.
pub fn version(tree: &Tree, prompt: &str, suite: &str, version: u32, allow_outside: bool) -> Result<Arc<PromptVersion>, Vec<Problem>> {
    let reader = Reader::open(tree, allow_outside).map_err(|error| vec![Problem::error(error.to_string())])?;
    let inputs = Inputs::new(&reader);
    let reference = Reference { name: prompt.to_owned(), version: Some(version) };
    let mut problems = Vec::new();
    let found = Prompts::default().find(&reference, suite, &start_of(&Arc::from(suite)), &inputs, &mut problems);
    problems.retain(|problem| problem.severity == Severity::Error);
    match found {
        Some(file) if problems.is_empty() => Ok(Arc::clone(&file.version)),
        _ => Err(problems),
    }
}
