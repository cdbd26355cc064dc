//! Which cells does a baseline have that is not remembered, but asked in the same run: the previous version of each prompt, or a git revision?

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::cli::arguments::{AnswerArguments, SelectionArguments};
use crate::cli::baseline::gone::{Before, Present};
use crate::cli::project::{Failure, Project};
use crate::cli::{recordings, session};
pub(crate) use crate::model::baseline::PREVIOUS;
use crate::model::baseline::{Baseline, GoneSuite, How, KnownSuite};
use crate::model::problem::{Problem, Severity};
use crate::model::suite::{Prompt, Suite};
use crate::runner::plan::{Everything, Plan, PlannedCell, Variant};
use crate::source::tree::Tree;
use crate::source::{earlier, git};
use crate::store::recordings::Recordings;

/// How a git revision is: `git:main`.
pub(crate) const GIT: &str = "git:";

/// A baseline whose cells are asked in this run.
#[derive(Debug)]
pub(crate) struct PlannedBaseline {
    /// Without cells, until they are answered.
    pub(crate) baseline: Baseline,
    pub(crate) cells: Vec<PlannedCell>,
    /// Those of which nobody knows what they can cost.
    pub(crate) unbounded: Vec<Arc<Variant>>,
    /// What that revision has recorded.
    pub(crate) recordings: Vec<Recordings>,
    /// What of it is not used.
    pub(crate) told: Vec<Problem>,
}

/// What the run knows that asks for it.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) project: &'a Project,
    pub(crate) plan: &'a Plan,
    pub(crate) selection: &'a SelectionArguments,
    pub(crate) answers: &'a AnswerArguments,
    pub(crate) now: DateTime<Utc>,
}

impl Asking<'_> {
    /// The suites of this run with the version before the newest one that they list. A prompt of one version has no cell.
    pub(crate) fn previous_version(self, suites: &HashSet<&str>) -> Result<PlannedBaseline, Failure> {
        let of_run = self.plan.suites.iter().filter(|suite| suites.contains(suite.name.as_str()));
        let before = of_run.filter_map(|suite| self.before(suite).transpose()).collect::<Result<Vec<_>, _>>()?;
        let plan = session::built(self.project, &before, self.answers, self.now, &mut Everything)?;
        Ok(self.planned(PREVIOUS, None, plan))
    }

    /// The suite with the previous versions of its prompts; `None` where none has any.
    fn before(self, suite: &Suite) -> Result<Option<Arc<Suite>>, Failure> {
        let tree = Tree::Disk(self.project.root.clone());
        let outside = self.project.settings.allow_outside;
        let mut prompts = Vec::new();
        for prompt in &suite.prompts {
            let Some(newest) = prompt.versions.last() else { continue };
            let file = &suite.site.file;
            let Some(number) = earlier::versions(&tree, &prompt.name, file, outside)?.into_iter().rfind(|number| *number < newest.version)
            else {
                continue;
            };
            let listed = prompt.versions.iter().find(|version| version.version == number).cloned();
            let version = match listed {
                Some(version) => version,
                None => earlier::version(&tree, &prompt.name, file, number, outside)?,
            };
            prompts.push(Prompt { name: prompt.name.clone(), versions: vec![version] });
        }
        Ok((!prompts.is_empty()).then(|| Arc::new(Suite { prompts, ..suite.clone() })))
    }

    /// Prompts, fixtures and suites as they stand in that revision; settings are those of today.
    pub(crate) fn revision(self, reference: &str, suites: &HashSet<&str>, present: Present<'_>) -> Result<PlannedBaseline, Failure> {
        let revision = reference.strip_prefix(GIT).unwrap_or(reference);
        let commit = git::commit(&self.project.root, revision).map_err(|error| {
            let problem = Problem::error(format!("baseline `{reference}`: {error}"));
            Failure::from(problem.hint(error.hint().unwrap_or("name a branch, a tag or a commit of this repository")))
        })?;
        let told = |problems: Vec<Problem>| {
            let said = |problem: Problem| Problem { message: format!("baseline `{reference}`: {}", problem.message), ..problem };
            let mut told: Vec<Problem> = problems.into_iter().filter(|problem| problem.severity == Severity::Error).map(said).collect();
            told.push(Problem::note(format!("these files stand in the revision {commit}, not on the disk")));
            Failure::from(told)
        };
        let tree = Tree::Git { root: self.project.root.clone(), revision: commit.clone() };
        let loaded = self.project.load(&tree, &self.selection.suites, self.answers.endpoint.as_deref());
        let loaded = loaded.map_err(|failure| told(failure.problems))?;
        if loaded.problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(told(loaded.problems));
        }
        // What stands in suites that are not named may have moved into one that is.
        let others = if self.selection.suites.is_empty() { None } else { self.project.load(&tree, &[], None).ok() };
        let whole = others.map_or_else(Vec::new, |others| others.suites);
        let gated = Before::of(&[&loaded.suites[..], &whole].concat());
        let (mut gone, renamed) = (present.gone(&gated), present.renamed(&gated));
        gone.extend(self.uncompared(&loaded.suites, suites, &gated, present.meant));
        let mut before: Vec<Arc<Suite>> = loaded.suites.into_iter().filter(|suite| suites.contains(suite.name.as_str())).collect();
        if let Some(samples) = self.answers.samples {
            session::resample(&mut before, samples)?;
        }
        let (recordings, unused) = recordings::of_revision(reference, &tree, &before);
        let plan =
            session::built(self.project, &before, self.answers, self.now, &mut Everything).map_err(|failure| told(failure.problems))?;
        let planned = self.planned(reference, Some(commit), plan);
        Ok(PlannedBaseline { baseline: Baseline { gone, renamed, ..planned.baseline }, recordings, told: unused, ..planned })
    }

    /// Suites that named a baseline then, and name none now: what they gated is compared with nothing.
    fn uncompared(self, before: &[Arc<Suite>], compared: &HashSet<&str>, gated: &Before, meant: &[String]) -> Vec<GoneSuite> {
        let names = |suite: &Suite| suite.gate.baseline.as_deref().is_some_and(|baseline| baseline != super::NONE);
        let judged: HashSet<&str> =
            self.plan.cells.iter().filter(|cell| cell.variant.gated).map(|cell| &*cell.variant.suite_name).collect();
        let now = self.plan.suites.iter().filter(|suite| judged.contains(suite.name.as_str()) && !compared.contains(suite.name.as_str()));
        let now = now.filter(|suite| !names(suite) && !meant.contains(&suite.name));
        let now = now.filter(|suite| before.iter().any(|one| one.name == suite.name && names(one)));
        let found =
            now.map(|suite| GoneSuite { name: suite.name.clone(), cases: gated.cases(&suite.name), like: None, how: How::Uncompared });
        found.collect()
    }

    /// What the suite's gate asked for then and does not now: who loosens it should be seen to.
    fn other_gate(self, before: &Suite) -> Vec<String> {
        let Some(now) = self.plan.suites.iter().find(|suite| suite.name == before.name) else { return Vec::new() };
        let number = |number: Option<f64>| number.map_or_else(|| "the default".to_owned(), |number| number.to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        let (one, other) = (&before.gate, &now.gate);
        let each = [
            ("min_pass_rate", number(Some(one.min_pass_rate)), number(Some(other.min_pass_rate))),
            ("margin", number(one.margin), number(other.margin)),
            ("alpha", number(one.alpha), number(other.alpha)),
            ("baseline", text(&one.baseline), text(&other.baseline)),
        ];
        each.into_iter().filter(|(_, one, other)| one != other).map(|(key, one, other)| format!("{key} {one} -> {other}")).collect()
    }

    /// The cells that stand against a gated cell of this run; cases that the run's suites do not have any more are only named.
    fn planned(self, reference: &str, revision: Option<String>, before: Plan) -> PlannedBaseline {
        let several = |suite: &Suite| suite.prompts.len() > 1;
        let place = |cell: &PlannedCell| {
            let variant = &cell.variant;
            let prompt = several(&variant.suite).then(|| Arc::clone(&variant.prompt_name));
            (Arc::clone(&variant.suite_name), Arc::clone(&cell.case_id), prompt, Arc::clone(&variant.model_name))
        };
        let judged: HashSet<_> = self.plan.cells.iter().filter(|cell| cell.variant.gated).map(place).collect();
        let cases: HashMap<&str, HashSet<&str>> =
            self.plan.suites.iter().map(|suite| (suite.name.as_str(), suite.cases.iter().map(|case| case.id.as_str()).collect())).collect();
        let is_gone = |suite: &Suite, case: &str| cases.get(suite.name.as_str()).is_some_and(|cases| !cases.contains(case));
        let dropped = before.suites.iter().flat_map(|suite| {
            let gone = suite.cases.iter().filter(|case| is_gone(suite, &case.id));
            gone.map(|case| format!("{}::{}", suite.name, case.id))
        });
        let mut dropped: Vec<String> = dropped.collect();
        let models = |gated: bool| {
            let mut found: HashSet<(&str, &str)> = HashSet::new();
            for suite in &self.plan.suites {
                found.extend(suite.models.iter().filter(|model| model.gate == gated).map(|model| (suite.name.as_str(), model.name())));
            }
            found
        };
        let (counting, informs) = (models(true), models(false));
        let mut informing = Vec::new();
        for cell in before.cells.iter().filter(|cell| cell.variant.gated && !is_gone(&cell.variant.suite, &cell.case_id)) {
            let model = (&*cell.variant.suite_name, &*cell.variant.model_name);
            let name = || format!("{}::{}::{}", model.0, cell.case_id, model.1);
            match (counting.contains(&model), informs.contains(&model)) {
                (true, _) => {}
                (false, true) => informing.push(name()),
                (false, false) => dropped.push(name()),
            }
        }
        let gated = |suite: &Suite, what: fn(&Variant) -> &str| {
            let of_suite = before.cells.iter().filter(|cell| cell.variant.gated && *cell.variant.suite_name == *suite.name);
            of_suite.map(|cell| what(&cell.variant).to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let known = before
            .suites
            .iter()
            .map(|suite| KnownSuite {
                name: suite.name.clone(),
                models: gated(suite, |variant| &variant.model_name),
                prompts: gated(suite, |variant| &variant.prompt_name),
                gate: self.other_gate(suite),
            })
            .collect();
        let cells = before.cells.into_iter().filter(|cell| cell.variant.gated && judged.contains(&place(cell)));
        PlannedBaseline {
            baseline: Baseline { reference: reference.to_owned(), revision, dropped, informing, suites: known, ..Baseline::default() },
            recordings: Vec::new(),
            told: Vec::new(),
            unbounded: before.unbounded,
            // Nothing is accepted from it, and no snapshot is its own.
            cells: cells.map(|cell| PlannedCell { snapshot_path: None, ..cell }).collect(),
        }
    }
}
