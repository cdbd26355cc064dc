//! What does a baseline gate that nothing gates any more, and where in the project may it stand now?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::baseline::{GoneSuite, How, LikeSuite, RenamedCase};
use crate::model::problem::Problem;
use crate::model::suite::Suite;
use crate::runner::fingerprint;

/// The suites of the project as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present<'a> {
    /// All of them; `None` where one cannot be read: then nobody knows what the others are.
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
        for suite in suites.iter().filter(|suite| counts(suite)) {
            suite.cases.iter().for_each(|case| gated.add(&suite.name, &case.id, &fingerprint::variables(case)));
        }
        gated
    }

    /// How many cases of this suite it has.
    pub(crate) fn cases(&self, suite: &str) -> u32 {
        self.0.get(suite).map_or(0, |cases| count(cases.len()))
    }
}

/// A gated case of a baseline whose suite has it no more.
struct Lost<'a> {
    suite: &'a str,
    id: &'a str,
    /// The suite went with it.
    with_suite: bool,
}

/// Those that have the same id, or the same digest of their variables.
type LostBy<'a> = HashMap<&'a str, Vec<Lost<'a>>>;

fn counts(suite: &Suite) -> bool {
    suite.models.iter().any(|model| model.gate)
}

fn count(cases: usize) -> u32 {
    u32::try_from(cases).unwrap_or(u32::MAX)
}

impl<'a> Present<'a> {
    /// Those of the project, as far as they are known.
    fn all(self) -> impl Iterator<Item = &'a Arc<Suite>> {
        self.suites.into_iter().flatten().chain(self.selected)
    }

    /// Those of a baseline that nothing gates any more, and that are not said to be gone.
    pub(crate) fn gone(self, before: &Before) -> Vec<GoneSuite> {
        let is_meant = |name: &str| self.meant.iter().any(|meant| meant == name);
        let informing = self.selected.iter().filter(|suite| !counts(suite) && before.cases(&suite.name) > 0 && !is_meant(&suite.name));
        let informs =
            |suite: &Arc<Suite>| GoneSuite { name: suite.name.clone(), cases: before.cases(&suite.name), like: None, how: How::Informs };
        let mut found: Vec<GoneSuite> = informing.map(informs).collect();
        found.extend(self.not_there(before, is_meant));
        found
    }

    fn not_there(self, before: &Before, is_meant: impl Fn(&str) -> bool) -> Vec<GoneSuite> {
        if self.suites.is_none() {
            return Vec::new();
        }
        let suites: BTreeMap<&str, &Arc<Suite>> = self.all().map(|suite| (suite.name.as_str(), suite)).collect();
        let gone: Vec<_> = before.0.iter().filter(|(name, _)| !suites.contains_key(name.as_str()) && !is_meant(name)).collect();
        if gone.is_empty() {
            return Vec::new();
        }
        let unknown = suites.into_values().filter(|suite| !before.0.contains_key(&suite.name));
        let new = Before::of(&unknown.cloned().collect::<Vec<_>>());
        let like = |cases: &BTreeSet<(String, Arc<str>)>| {
            let shared = new.0.iter().map(|(name, others)| (cases.intersection(others).count(), name));
            // Of several the first in the order of their names.
            let (shared, name) = shared.max_by(|one, other| one.0.cmp(&other.0).then_with(|| other.1.cmp(one.1)))?;
            (shared * 2 >= cases.len() && shared > 0).then(|| LikeSuite { name: name.clone(), cases: count(shared) })
        };
        let gone = gone.into_iter().map(|(name, cases)| GoneSuite {
            name: name.clone(),
            cases: count(cases.len()),
            like: like(cases),
            how: How::Gone,
        });
        gone.collect()
    }

    /// Cases that the selected suites have elsewhere than the baseline, under another id or in another suite: compared with nothing, they would
    /// pass by themselves. What stands in its old place too is looked at there.
    pub(crate) fn renamed(self, before: &Before) -> Vec<RenamedCase> {
        let (by_variables, by_id) = self.lost(before);
        if by_id.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for suite in self.selected {
            let known = before.0.get(&suite.name);
            let ids: BTreeSet<&str> = known.into_iter().flatten().map(|(id, _)| id.as_str()).collect();
            // That a whole suite is gone, and may be this new one, is said of it.
            let is_told = |lost: &&Lost<'_>| known.is_none() && lost.with_suite;
            for case in suite.cases.iter().filter(|case| !ids.contains(case.id.as_str())) {
                let same = by_variables.get(&*fingerprint::variables(case)).into_iter().flatten();
                // No variables are the same in every prompt.
                let mut same = same.filter(|lost| lost.suite == suite.name || !case.variables.is_empty()).filter(|lost| !is_told(lost));
                let here = same.clone().find(|lost| lost.suite == suite.name);
                let elsewhere = || by_id.get(case.id.as_str()).into_iter().flatten().find(|lost| !is_told(lost));
                if let Some(lost) = here.or_else(elsewhere).or_else(|| same.next()) {
                    let from = (lost.suite != suite.name).then(|| lost.suite.to_owned());
                    found.push(RenamedCase { suite: suite.name.clone(), from, before: lost.id.to_owned(), now: case.id.clone() });
                }
            }
        }
        found
    }

    /// What the baseline gates and the project has no more where it was, by the digest of its variables and by its id.
    fn lost<'b>(self, before: &'b Before) -> (LostBy<'b>, LostBy<'b>) {
        let mut there: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        for suite in self.all() {
            there.entry(&suite.name).or_default().extend(suite.cases.iter().map(|case| case.id.as_str()));
        }
        let is_meant = |suite: &str, id: &str| {
            let with_suite = !there.contains_key(suite);
            self.meant.iter().any(|meant| meant.split_once("::") == Some((suite, id)) || (with_suite && meant == suite))
        };
        let (mut by_variables, mut by_id) = (LostBy::new(), LostBy::new());
        for (suite, cases) in &before.0 {
            let ids = there.get(suite.as_str());
            let with_suite = ids.is_none();
            if with_suite && self.suites.is_none() {
                continue;
            }
            for (id, variables) in cases {
                if ids.is_some_and(|ids| ids.contains(id.as_str())) || is_meant(suite, id) {
                    continue;
                }
                by_variables.entry(variables).or_default().push(Lost { suite, id, with_suite });
                by_id.entry(id).or_default().push(Lost { suite, id, with_suite });
            }
        }
        (by_variables, by_id)
    }

    /// What the settings say is gone, and is there to be `compared`.
    pub(crate) fn contradicted(self, compared: impl Fn(&str) -> bool) -> Option<Problem> {
        let name = self.meant.iter().find(|name| compared(name))?;
        let problem =
            Problem::warning(format!("suite `{name}` is there, and `gone` in the [gate] section of promptkeel.toml says that it is not"));
        Some(problem.hint("take it out of that list: once it goes again, nobody would be told"))
    }
}

/// What is said of them before anything is asked.
pub(crate) fn told(reference: &str, gone: &[GoneSuite]) -> impl Iterator<Item = Problem> {
    // That a suite only informs is said where the suites are looked at.
    gone.iter().filter(|suite| suite.how == How::Gone).map(move |suite| {
        let like = crate::gate::gone::like(suite);
        let problem = Problem::warning(format!("suite `{}` is in the baseline `{reference}`, and not in this project{like}", suite.name));
        problem
            .hint("what it gates there is gated no more: rename it back, or put it under `gone` in the [gate] section of promptkeel.toml")
    })
}
