//! Which of the planned cells run? The same flags everywhere.

use std::collections::{HashMap, HashSet};

use globset::{Glob, GlobMatcher};

use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::model::run::{Address, Shard};
use crate::runner::fingerprint;
use crate::runner::plan::{Choice, Draft, Plan, PlannedCell};

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

    /// The selection at work; `accepted` reads a snapshot file.
    pub fn sieve<'a>(&'a self, accepted: &'a dyn Fn(&str) -> Option<String>) -> Sieve<'a> {
        let unmatched = |count: usize| vec![false; count];
        Sieve {
            selection: self,
            accepted,
            matched: [unmatched(self.cases.len()), unmatched(self.tags.len()), unmatched(self.models.len()), unmatched(self.prompts.len())],
            selected: Selected::default(),
            position: 0,
        }
    }
}

/// Chooses the selected cells while a plan is built.
pub struct Sieve<'a> {
    selection: &'a Selection,
    accepted: &'a dyn Fn(&str) -> Option<String>,
    /// Which filter has matched a cell: cases, tags, models, prompts.
    matched: [Vec<bool>; 4],
    selected: Selected,
    /// In the line that shards are dealt from.
    position: u32,
}

impl Choice for Sieve<'_> {
    fn wants(&mut self, draft: Draft<'_>) -> bool {
        self.selected.all += 1;
        let Selection { cases, tags, models, prompts, failed, .. } = self.selection;
        let [by_case, by_tag, by_model, by_prompt] = &mut self.matched;
        // Every filter is looked at, until it has matched once.
        let fits = [
            any(cases, by_case, |pattern| case_matches(pattern, draft)),
            any(tags, by_tag, |tag| draft.case.tags.contains(tag)),
            any(models, by_model, |pattern| model_matches(pattern, draft)),
            any(prompts, by_prompt, |prompt| prompt_matches(prompt, draft)),
        ];
        if fits.contains(&false) {
            return false;
        }
        self.selected.filtered += 1;
        let failed_before = |failed: &HashSet<String>| failed.contains(&draft.variant.address(draft.case_id).to_string());
        if !failed.as_ref().is_none_or(failed_before) {
            return false;
        }
        // Shards are dealt from what the other flags leave, and what changed is not known yet.
        self.selection.changed_since.is_some() || self.is_dealt()
    }

    fn keeps_all(&self) -> bool {
        self.selection.changed_since.is_none()
    }

    fn keeps(&mut self, cell: &PlannedCell) -> bool {
        let keeps = self.selection.changed_since.as_ref().is_none_or(|before| {
            let snapshot = cell.snapshot_path.as_deref().and_then(self.accepted);
            let now = || fingerprint::fingerprint(cell, snapshot.as_deref());
            before.get(&cell.address()).is_none_or(|old| *old != *now()) && self.is_dealt()
        });
        self.selected.left += usize::from(keeps);
        keeps
    }
}

impl Sieve<'_> {
    /// Whether the next cell in line is one of this shard.
    const fn is_dealt(&mut self) -> bool {
        let Some(Shard { index, count }) = self.selection.shard else { return true };
        let is_mine = self.position % count == index - 1;
        self.position = self.position.wrapping_add(1);
        is_mine
    }

    /// Leaves the suites in `plan` that a cell is left of.
    ///
    /// # Errors
    /// One problem for each filter that matches no cell at all, and one if they match none together: a mistyped filter is never green.
    pub fn finish(self, plan: &mut Plan) -> Result<Selected, Vec<Problem>> {
        let [by_case, by_tag, by_model, by_prompt] = &self.matched;
        let mut problems = Vec::new();
        let mut check = |flag: &str, texts: &mut dyn Iterator<Item = &str>, matched: &[bool]| {
            for (text, _) in texts.zip(matched).filter(|(_, matched)| !**matched) {
                let problem = Problem::error(format!("`{flag} {text}` matches no cell"));
                problems.push(problem.hint("`promptkeel list` shows every case, tag and model"));
            }
        };
        let Selection { cases, tags, models, prompts, .. } = self.selection;
        check("--case", &mut cases.iter().map(Pattern::text), by_case);
        check("--tag", &mut tags.iter().map(String::as_str), by_tag);
        check("--model", &mut models.iter().map(Pattern::text), by_model);
        check("--prompt", &mut prompts.iter().map(String::as_str), by_prompt);
        if problems.is_empty() && self.selected.filtered == 0 {
            let problem = Problem::error("no cell matches all filters together");
            problems.push(problem.hint("`promptkeel list` shows every case, tag and model"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let selected: HashSet<&str> = plan.cells.iter().map(|cell| cell.variant.suite.name.as_str()).collect();
        plan.suites.retain(|suite| selected.contains(suite.name.as_str()));
        Ok(self.selected)
    }
}

/// Whether one of these filters matches, or there is none; notes which of them did.
fn any<F>(filters: &[F], matched: &mut [bool], matches: impl Fn(&F) -> bool) -> bool {
    let mut fits = filters.is_empty();
    for (filter, known) in filters.iter().zip(matched) {
        if (!fits || !*known) && matches(filter) {
            (fits, *known) = (true, true);
        }
    }
    fits
}

fn case_matches(pattern: &Pattern, Draft { variant, case, .. }: Draft<'_>) -> bool {
    pattern.matches(&case.id) || pattern.matches(&format!("{}::{}", variant.suite.name, case.id))
}

fn model_matches(pattern: &Pattern, Draft { variant, .. }: Draft<'_>) -> bool {
    pattern.matches(&variant.model_name) || pattern.matches(&variant.model_id)
}

fn prompt_matches(prompt: &str, Draft { variant, .. }: Draft<'_>) -> bool {
    match prompt.rsplit_once('@') {
        Some((name, version)) => *name == *variant.prompt_name && version.parse() == Ok(variant.version.version),
        None => *prompt == *variant.prompt_name,
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
