//! Which suite is behind a snapshot's path: how does it compare, and which prompt version gave the output?

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::suite::{PromptVersion, Suite};
use crate::snapshot::compare::Comparison;
use crate::snapshot::owned;

/// The owners of all snapshots of a project, from all suites on disk. Empty where a suite cannot be loaded: then nobody knows.
pub(crate) struct Owners {
    suites: Vec<(Arc<Suite>, Option<Comparison>)>,
    /// The places of the suite and, in it, of the prompt, per path.
    paths: HashMap<String, (usize, usize)>,
    exact: Comparison,
}

impl Owners {
    pub(crate) fn of(suites: &[Arc<Suite>]) -> Self {
        let owned = |(place, suite)| owned::of_suite(suite).map(move |(path, prompt)| (path, (place, prompt)));
        let paths = suites.iter().map(|suite| &**suite).enumerate().flat_map(owned).collect();
        let comparison = |suite: &Suite| Comparison::new(&suite.snapshot, suite.parse).ok();
        let suites = suites.iter().map(|suite| (Arc::clone(suite), comparison(suite))).collect();
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

    /// The listed version that `name` (`ticket-triage@3`) means.
    pub(crate) fn version(&self, path: &str, name: &str) -> Option<&Arc<PromptVersion>> {
        let (place, prompt) = self.paths.get(path)?;
        let suite = &self.suites[*place].0;
        let prompt = &suite.prompts[*prompt];
        let is_meant = |version: &&Arc<PromptVersion>| name == format!("{}@{}", prompt.name, version.version);
        let version = prompt.versions.iter().find(is_meant)?;
        Some(version)
    }
}
