//! Which suites does a baseline gate that the project has no more, and which of today's may be the same one?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::baseline::{GoneSuite, LikeSuite, RenamedCase};
use crate::model::problem::Problem;
use crate::model::suite::Suite;
use crate::runner::fingerprint;

/// The suites of the project as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present<'a> {
    /// All of them; `None` where only some were asked for: then nobody knows what the others are.
    pub(crate) suites: Option<&'a [Arc<Suite>]>,
    /// Those of which something runs, with all their cases.
    pub(crate) selected: &'a [Arc<Suite>],
    /// What the settings say is gone on purpose.
    pub(crate) meant: &'a [String],
}

/// The gated cases of each suite of a baseline, by id and variables.
#[derive(Debug, Default)]
pub(crate) struct Before(BTreeMap<String, BTreeSet<(String, Arc<str>)>>);

impl Before {
    /// One more of them.
    pub(crate) fn add(&mut self, suite: &str, case: &str, variables: &Arc<str>) {
        if !self.0.contains_key(suite) {
            self.0.insert(suite.to_owned(), BTreeSet::new());
        }
        if let Some(cases) = self.0.get_mut(suite) {
            cases.insert((case.to_owned(), Arc::clone(variables)));
        }
    }

    /// Those of suites that were not run, as they stand.
    pub(crate) fn of(suites: &[Arc<Suite>]) -> Self {
        let mut gated = Self::default();
        for suite in suites.iter().filter(|suite| suite.models.iter().any(|model| model.gate)) {
            suite.cases.iter().for_each(|case| gated.add(&suite.name, &case.id, &fingerprint::variables(case)));
        }
        gated
    }
}

impl Present<'_> {
    /// Those of a baseline that are not there, and not said to be.
    pub(crate) fn gone(self, before: &Before) -> Vec<GoneSuite> {
        let Some(suites) = self.suites else { return Vec::new() };
        let is_there = |name: &str| suites.iter().any(|suite| suite.name == name);
        let is_meant = |name: &str| self.meant.iter().any(|meant| meant == name);
        let gone: Vec<_> = before.0.iter().filter(|(name, _)| !is_there(name) && !is_meant(name)).collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let unknown = suites.iter().filter(|suite| !before.0.contains_key(&suite.name));
        let new = Before::of(&unknown.cloned().collect::<Vec<_>>());
        let count = |cases: usize| u32::try_from(cases).unwrap_or(u32::MAX);
        let like = |cases: &BTreeSet<(String, Arc<str>)>| {
            let shared = new.0.iter().map(|(name, others)| (cases.intersection(others).count(), name));
            // Of several the first in the order of their names.
            let (shared, name) = shared.max_by(|one, other| one.0.cmp(&other.0).then_with(|| other.1.cmp(one.1)))?;
            (shared * 2 >= cases.len() && shared > 0).then(|| LikeSuite { name: name.clone(), cases: count(shared) })
        };
        gone.into_iter().map(|(name, cases)| GoneSuite { name: name.clone(), cases: count(cases.len()), like: like(cases) }).collect()
    }

    /// Cases that the selected suites have under another id than the baseline: what asks the very same is not new.
    pub(crate) fn renamed(self, before: &Before) -> Vec<RenamedCase> {
        let mut found = Vec::new();
        for suite in self.selected {
            let Some(known) = before.0.get(&suite.name) else { continue };
            let ids: BTreeSet<&str> = known.iter().map(|(id, _)| id.as_str()).collect();
            let here: BTreeSet<&str> = suite.cases.iter().map(|case| case.id.as_str()).collect();
            let is_meant = |id: &str| self.meant.iter().any(|meant| meant.split_once("::") == Some((&suite.name, id)));
            let lost = known.iter().filter(|(id, _)| !here.contains(id.as_str()) && !is_meant(id));
            let lost: BTreeMap<&str, &str> = lost.map(|(id, variables)| (&**variables, id.as_str())).collect();
            if lost.is_empty() {
                continue;
            }
            for case in suite.cases.iter().filter(|case| !ids.contains(case.id.as_str())) {
                if let Some(before) = lost.get(&*fingerprint::variables(case)) {
                    found.push(RenamedCase { suite: suite.name.clone(), before: (*before).to_owned(), now: case.id.clone() });
                }
            }
        }
        found
    }

    /// What the settings say is gone, and is there.
    pub(crate) fn contradicted(self) -> Option<Problem> {
        let there = |name: &&String| self.suites.into_iter().flatten().any(|suite| suite.name == **name);
        let name = self.meant.iter().find(there)?;
        let problem =
            Problem::warning(format!("suite `{name}` is there, and `gone` in the [gate] section of promptkeel.toml says that it is not"));
        Some(problem.hint("take it out of that list: once it goes again, nobody would be told"))
    }
}

/// What is said of them before anything is asked.
pub(crate) fn told(reference: &str, gone: &[GoneSuite]) -> impl Iterator<Item = Problem> {
    gone.iter().map(move |suite| {
        let like = crate::gate::gone::like(suite);
        let problem = Problem::warning(format!("suite `{}` is in the baseline `{reference}`, and not in this project{like}", suite.name));
        problem
            .hint("what it gates there is gated no more: rename it back, or put it under `gone` in the [gate] section of promptkeel.toml")
    })
}
