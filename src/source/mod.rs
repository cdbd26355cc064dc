//! What suites do these files describe, and what is wrong with them?
//!
//! [`load`] reads every selected suite file with all that it names (prompts, fixtures, tables, schemas) and reports every mistake of
//! every file at once, each at its place. Nothing is sent and nothing is rendered again later that was not rendered here once.

mod assertion;
mod assertion_shape;
mod by_kind;
mod case;
mod check;
mod cluster;
pub mod decode;
pub mod document;
pub mod earlier;
mod enough;
pub mod git;
mod input;
pub mod json;
pub mod known;
mod marks;
pub mod node;
mod prompt;
mod prompt_file;
mod shape;
pub mod spanned;
mod suite;
mod table;
#[cfg(test)]
mod tests;
pub mod toml;
pub mod tree;
mod vacuous;
pub mod yaml;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::assertion::CompileCache;
use crate::model::problem::{Place, Problem, Severity};
use crate::model::suite::Suite;
use crate::source::document::start_of;
use crate::source::enough::enough;
use crate::source::input::extension;
use crate::source::known::Known;
use crate::source::prompt::Prompts;
use crate::source::tree::{ReadError, Reader, Tree, inside};

pub use shape::schema;

/// The folder that is searched where nothing is selected.
const SUITES: &str = "suites";

/// What was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// In the order of their paths; empty where any problem is an error.
    pub suites: Vec<Arc<Suite>>,
    /// Errors, warnings and notes, by file and line.
    pub problems: Vec<Problem>,
    /// Every file that was looked for, by path, with the digest of what was in it; `None` where it could not be read. There even where
    /// something is wrong: whoever waits for the mistake to be mended watches these.
    pub looked_at: BTreeMap<String, Option<Arc<str>>>,
}

/// Loads the selected suites: paths or folders relative to the project root, or everything in `suites/` where none is given.
#[must_use]
pub fn load(tree: &Tree, selected: &[String], known: &Known<'_>) -> Loaded {
    let reader = match Reader::open(tree, known.allow_outside) {
        Ok(reader) => reader,
        Err(error) => {
            let problem = Problem::error(error.to_string());
            let problem = if let Some(hint) = error.hint() { problem.hint(hint) } else { problem };
            return Loaded { suites: Vec::new(), problems: vec![problem], looked_at: BTreeMap::new() };
        }
    };
    let mut problems = Vec::new();
    let mut suites: Vec<(Suite, Place)> = Vec::new();
    let (prompts, compiled) = (Prompts::default(), CompileCache::bounded());
    for path in files(&reader, selected, &mut problems) {
        match reader.read(&path) {
            Ok(file) => suites.extend(suite::read(&file, &reader, &prompts, &compiled, known, &mut problems)),
            Err(error) => {
                let problem = Problem::error(error.to_string()).at(start_of(&path.as_str().into()));
                problems.push(match error.hint() {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                });
            }
        }
    }
    unique_names(&suites, &mut problems);
    problems.sort_by(|one, other| order(one).cmp(&order(other)));
    problems.dedup();
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    let suites = if failed { Vec::new() } else { suites.into_iter().map(|(suite, _)| Arc::new(suite)).collect() };
    Loaded { suites, problems, looked_at: reader.looked_at() }
}

fn order(problem: &Problem) -> Option<(&str, u32, u32)> {
    problem.place.as_ref().map(|place| (&*place.file, place.line, place.column))
}

fn unique_names(suites: &[(Suite, Place)], problems: &mut Vec<Problem>) {
    let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
    for (suite, place) in suites {
        if let Some(earlier) = first.insert(&suite.name, place) {
            let problem = Problem::error(format!("two suites are called `{}`", suite.name)).at(place.clone());
            problems.push(problem.hint(format!("the other stands at {}:{}; names are unique in the project", earlier.file, earlier.line)));
        }
    }
}

/// A folder that cannot be looked into may hold suites that nobody would miss.
fn unlisted(error: &ReadError) -> Problem {
    Problem::error(error.to_string()).hint("look at its permissions: suites are searched in every folder below")
}

/// The suite files that a selection names, sorted.
fn files(reader: &Reader, selected: &[String], problems: &mut Vec<Problem>) -> Vec<String> {
    let is_suite = |path: &String| matches!(extension(path).as_str(), "yaml" | "yml");
    if selected.is_empty() {
        if !reader.exists(SUITES) {
            problems.push(
                Problem::error("there is no folder `suites` in this project").hint("`promptkeel init` makes one with a suite that runs"),
            );
            return Vec::new();
        }
        let below = match reader.list(SUITES, Some("prompts")) {
            Ok(below) => below,
            Err(error) => {
                problems.push(unlisted(&error));
                return Vec::new();
            }
        };
        let paths: Vec<String> = below.into_iter().filter(is_suite).collect();
        if paths.is_empty() {
            problems.push(
                Problem::error("the folder `suites` holds no suite")
                    .hint("suites end in `.yaml` and do not stand in a folder named `prompts`"),
            );
        }
        return paths;
    }
    let mut paths = Vec::new();
    let all: OnceCell<Vec<String>> = OnceCell::new();
    for path in selected {
        if enough(problems) {
            break;
        }
        let Some(normal) = inside(path) else {
            problems.push(Problem::error(ReadError::Outside(path.clone()).to_string()).hint("name suites inside of the project"));
            continue;
        };
        if !reader.exists(&normal) {
            let all = all.get_or_init(|| reader.list(SUITES, Some("prompts")).unwrap_or_default().into_iter().filter(is_suite).collect());
            let problem = Problem::error(format!("there is no suite or folder `{path}`"));
            problems.push(match decode::nearest(&normal, all.iter().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("`promptkeel list` shows all suites"),
            });
            continue;
        }
        let below = match reader.list(&normal, Some("prompts")) {
            Ok(below) => below,
            Err(error) => {
                problems.push(unlisted(&error));
                continue;
            }
        };
        if below.as_slice() == [normal.clone()] || below.is_empty() {
            paths.push(normal);
            continue;
        }
        let found: Vec<String> = below.into_iter().filter(is_suite).collect();
        if found.is_empty() {
            problems.push(Problem::error(format!("the folder `{path}` holds no suite")).hint("suites end in `.yaml`"));
        }
        paths.extend(found);
    }
    paths.sort();
    paths.dedup();
    paths
}
