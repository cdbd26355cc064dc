//! Which of the planned cells run? The same flags everywhere.

use std::collections::{HashMap, HashSet};

use globset::{Glob, GlobMatcher};

use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::model::run::{Address, Shard};
use crate::runner::fingerprint;
use crate::runner::plan::{Plan, PlannedCell};

/// What a user selects. Filters of one kind are alternatives; different kinds must all match.
#[derive(Debug, Default)]
pub struct Selection {
    /// `--case GLOB`: a case's id, or `suite::case`.
    pub cases: Vec<Pattern>,
    /// `--tag TAG`: exact.
    pub tags: Vec<String>,
    /// `--model GLOB`: a model's label or id.
    pub models: Vec<Pattern>,
    /// `--prompt NAME` or `NAME@N`.
    pub prompts: Vec<String>,
    /// `--failed`: the cells that did not pass in the last run.
    pub failed: Option<HashSet<String>>,
    /// `--changed-since`: fingerprints of the other plan's cells.
    pub changed_since: Option<HashMap<Address, String>>,
    /// `--shard i/n`.
    pub shard: Option<Shard>,
}

/// One glob as the user wrote it.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

impl Pattern {
    /// # Errors
    /// When the glob is malformed.
    pub fn new(flag: &str, text: &str) -> Result<Self, Problem> {
        let glob = Glob::new(text).map_err(|error| {
            Problem::error(format!("`{flag} {text}` is not a glob: {}", error.kind())).hint("write `*` for any text, `?` for one character")
        })?;
        Ok(Self { text: text.to_owned(), matcher: glob.compile_matcher() })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands for this text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.text == text || self.matcher.is_match(text)
    }
}

/// How many cells each step of a selection left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    /// Cells of the suites before any selection.
    pub all: usize,
    /// Cells that the filters match.
    pub filtered: usize,
    /// Cells that remain after `--failed`, `--changed-since` and `--shard`.
    pub left: usize,
}

impl Selection {
    /// Any flag that leaves cells out was given.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        let filters = !(self.cases.is_empty() && self.tags.is_empty() && self.models.is_empty() && self.prompts.is_empty());
        filters || self.failed.is_some() || self.changed_since.is_some()
    }

    /// Leaves the selected cells in `plan`, in their order.
    ///
    /// # Errors
    /// One problem for each filter that matches no cell at all, and one if they match none together: a mistyped filter is never green.
    pub fn apply(&self, plan: &mut Plan, accepted: &dyn Fn(&str) -> Option<String>) -> Result<Selected, Vec<Problem>> {
        let all = plan.cells.len();
        self.check_each_filter(&plan.cells)?;
        plan.cells.retain(|cell| self.filters_match(cell));
        let filtered = plan.cells.len();
        if filtered == 0 {
            return Err(vec![
                Problem::error("no cell matches all filters together").hint("`promptkeel list` shows every case, tag and model"),
            ]);
        }
        if let Some(failed) = &self.failed {
            plan.cells.retain(|cell| failed.contains(&cell.address().to_string()));
        }
        if let Some(before) = &self.changed_since {
            plan.cells.retain(|cell| {
                let snapshot = cell.snapshot_path.as_deref().and_then(accepted);
                before.get(&cell.address()).is_none_or(|old| *old != *fingerprint::fingerprint(cell, snapshot.as_deref()))
            });
        }
        if let Some(Shard { index, count }) = self.shard {
            let mut position = 0_u32;
            plan.cells.retain(|_| {
                let mine = position % count == index - 1;
                position = position.wrapping_add(1);
                mine
            });
        }
        let left = plan.cells.len();
        let selected: HashSet<&str> = plan.cells.iter().map(|cell| cell.variant.suite.name.as_str()).collect();
        let kept = plan.suites.iter().filter(|suite| selected.contains(suite.name.as_str())).cloned().collect();
        plan.suites = kept;
        Ok(Selected { all, filtered, left })
    }

    fn filters_match(&self, cell: &PlannedCell) -> bool {
        let any = |filters: &[Pattern], matches: &dyn Fn(&Pattern) -> bool| filters.is_empty() || filters.iter().any(matches);
        any(&self.cases, &|pattern| case_matches(pattern, cell))
            && any(&self.models, &|pattern| model_matches(pattern, cell))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| cell.case.tags.contains(tag)))
            && (self.prompts.is_empty() || self.prompts.iter().any(|prompt| prompt_matches(prompt, cell)))
    }

    fn check_each_filter(&self, cells: &[PlannedCell]) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        let mut check = |flag: &str, text: &str, matches: &dyn Fn(&PlannedCell) -> bool| {
            if !cells.iter().any(matches) {
                let problem = Problem::error(format!("`{flag} {text}` matches no cell"));
                problems.push(problem.hint("`promptkeel list` shows every case, tag and model"));
            }
        };
        for pattern in &self.cases {
            check("--case", &pattern.text, &|cell| case_matches(pattern, cell));
        }
        for tag in &self.tags {
            check("--tag", tag, &|cell| cell.case.tags.contains(tag));
        }
        for pattern in &self.models {
            check("--model", &pattern.text, &|cell| model_matches(pattern, cell));
        }
        for prompt in &self.prompts {
            check("--prompt", prompt, &|cell| prompt_matches(prompt, cell));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn case_matches(pattern: &Pattern, cell: &PlannedCell) -> bool {
    pattern.matches(&cell.case.id) || pattern.matches(&format!("{}::{}", cell.variant.suite.name, cell.case.id))
}

fn model_matches(pattern: &Pattern, cell: &PlannedCell) -> bool {
    pattern.matches(&cell.variant.model_name) || pattern.matches(&cell.variant.model_id)
}

fn prompt_matches(prompt: &str, cell: &PlannedCell) -> bool {
    match prompt.rsplit_once('@') {
        Some((name, version)) => *name == *cell.variant.prompt_name && version.parse() == Ok(cell.variant.version.version),
        None => *prompt == *cell.variant.prompt_name,
    }
}

/// The keys of cells that are left, for a bulk look-up.
#[must_use]
pub fn keys(plan: &Plan) -> Vec<Key> {
    plan.keys().collect()
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
