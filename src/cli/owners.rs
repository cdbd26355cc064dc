//! Which suite is behind a snapshot's path: how does it compare, and which prompt version gave the output?

use std::collections::HashMap;
use std::sync::Arc;

use crate::cli::project::Project;
use crate::cli::session;
use crate::model::suite::{Compare, PromptVersion, Suite};
use crate::snapshot::compare::Comparison;
use crate::snapshot::path;

/// The owners of all snapshots of a project, from all suites on disk. Empty where a suite cannot be loaded: then nobody knows.
pub(crate) struct Owners {
    suites: Vec<(Arc<Suite>, Option<Comparison>)>,
    /// Place of the suite, and the prompt by its place in the suite, per path.
    paths: HashMap<String, (usize, Option<usize>)>,
    exact: Comparison,
}

impl Owners {
    pub(crate) fn of(project: &Project) -> Self {
        let suites = session::all_suites(project).unwrap_or_default();
        let mut paths = HashMap::new();
        for (place, suite) in suites.iter().enumerate() {
            let several = suite.prompts.len() > 1;
            for (number, prompt) in suite.prompts.iter().enumerate() {
                for (case, model) in suite.cases.iter().flat_map(|case| suite.models.iter().map(move |model| (case, model))) {
                    let path = path::path(&suite.name, &case.id, several.then_some(prompt.name.as_str()), model.name());
                    paths.insert(path, (place, several.then_some(number)));
                }
            }
        }
        // A suite that keeps no snapshots any more says nothing about those that it kept.
        let keeps = |suite: &Suite| suite.snapshot.compare != Compare::Off;
        let comparison = |suite: &Arc<Suite>| keeps(suite).then(|| Comparison::new(&suite.snapshot, suite.parse).ok()).flatten();
        let suites = suites.into_iter().map(|suite| (Arc::clone(&suite), comparison(&suite))).collect();
        Self { suites, paths, exact: Comparison::exact() }
    }

    /// How the suite of this snapshot compares, where one owns it.
    pub(crate) fn comparison(&self, path: &str) -> Option<&Comparison> {
        let (place, _) = self.paths.get(path)?;
        self.suites[*place].1.as_ref()
    }

    /// The same; where no suite is known, equal is only what is equal.
    pub(crate) fn comparison_or_exact(&self, path: &str) -> &Comparison {
        self.comparison(path).unwrap_or(&self.exact)
    }

    /// The name of the suite that owns this snapshot.
    pub(crate) fn suite(&self, path: &str) -> Option<&str> {
        self.paths.get(path).map(|(place, _)| self.suites[*place].0.name.as_str())
    }

    /// The suite's name and the listed version that `name` (`ticket-triage@3`) means.
    pub(crate) fn version(&self, path: &str, name: &str) -> Option<(&str, &Arc<PromptVersion>)> {
        let (place, prompt) = self.paths.get(path)?;
        let suite = &self.suites[*place].0;
        let mut prompts = suite.prompts.iter().enumerate().filter(|(number, _)| prompt.is_none_or(|prompt| prompt == *number));
        let version = prompts.find_map(|(_, prompt)| {
            prompt.versions.iter().find(|version| name.strip_prefix(prompt.name.as_str()) == Some(format!("@{}", version.version).as_str()))
        })?;
        Some((&suite.name, version))
    }
}
