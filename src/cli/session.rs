//! Which cells does a command mean? Loading, planning and selecting, the same for `run`, `plan` and `list`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::cli::arguments::{AnswerArguments, SelectionArguments};
use crate::cli::caps;
use crate::cli::project::{Failure, Project};
use crate::model::gate::Exit;
use crate::model::problem::{Problem, Severity};
use crate::model::run::Address;
use crate::model::suite::{PassRule, Suite};
use crate::model::verdict::Verdict;
use crate::runner::fingerprint;
use crate::runner::plan::{self, Choice, Context, Draft, Plan, PlannedCell};
use crate::runner::select::{Pattern, Selected, Selection};
use crate::snapshot::folder::Folder;
use crate::snapshot::format;
use crate::source::Loaded;
use crate::source::git;
use crate::source::tree::{Reader, Tree};
use crate::store::{Store, StoreError};

/// A plan after selection, with what was noticed on the way.
#[derive(Debug)]
pub(crate) struct Session {
    /// Every suite of the project, whether a cell of it is left or not; `None` where only some were loaded.
    pub(crate) all_suites: Option<Vec<Arc<Suite>>>,
    /// The cells that are left.
    pub(crate) plan: Plan,
    /// How many each step left.
    pub(crate) selected: Selected,
    /// Warnings and notes.
    pub(crate) problems: Vec<Problem>,
    /// Flags leave cells out.
    pub(crate) filtered: bool,
}

/// The clock of the whole process, read once per command.
#[expect(clippy::disallowed_methods, reason = "this is where the clock enters; everything below is given it")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Loads, plans and selects.
pub(crate) fn open(
    project: &Project,
    arguments: &SelectionArguments,
    answers: &AnswerArguments,
    now: DateTime<Utc>,
) -> Result<Session, Failure> {
    let loaded = load(project, arguments, answers)?;
    of(project, loaded, arguments, answers, now)
}

/// Reads the suites of the project's folder, right or wrong.
pub(crate) fn load(project: &Project, arguments: &SelectionArguments, answers: &AnswerArguments) -> Result<Loaded, Failure> {
    project.load(&Tree::Disk(project.root.clone()), &arguments.suites, answers.endpoint.as_deref())
}

/// Plans what was loaded, and selects.
pub(crate) fn of(
    project: &Project,
    loaded: Loaded,
    arguments: &SelectionArguments,
    answers: &AnswerArguments,
    now: DateTime<Utc>,
) -> Result<Session, Failure> {
    // Mistakes in the suites are told before those in the flags.
    let loaded = sound(loaded)?;
    let folder = folder(project);
    let accepted = |path: &str| folder.read(path).ok().flatten().map(|snapshot| format::write(&snapshot));
    let selection = selection(project, arguments, answers, now)?;
    let mut sieve = selection.sieve(&accepted);
    let (mut plan, problems) = planned(project, loaded, answers, now, &mut sieve)?;
    let all_suites = arguments.suites.is_empty().then(|| plan.suites.clone());
    let selected = sieve.finish(&mut plan).map_err(|problems| Failure { exit: Exit::NothingSelected, problems, is_unread: false })?;
    Ok(Session { all_suites, plan, selected, problems, filtered: selection.is_filtered() || !arguments.suites.is_empty() })
}

/// The project's snapshots.
pub(crate) fn folder(project: &Project) -> Folder {
    Folder::open(&project.root)
}

/// All suites of the project, whatever was selected: orphans are computed from them. `None` where one cannot be loaded.
pub(crate) fn all_suites(project: &Project) -> Option<Vec<Arc<Suite>>> {
    let loaded = project.load(&Tree::Disk(project.root.clone()), &[], None).ok()?;
    let has_error = loaded.problems.iter().any(|problem| problem.severity == Severity::Error);
    (!has_error).then_some(loaded.suites)
}

/// What was loaded, if nothing is wrong with it.
fn sound(loaded: Loaded) -> Result<Loaded, Failure> {
    let is_wrong = loaded.problems.iter().any(|problem| problem.severity == Severity::Error);
    if is_wrong { Err(loaded.problems.into()) } else { Ok(loaded) }
}

fn planned(
    project: &Project,
    mut loaded: Loaded,
    answers: &AnswerArguments,
    now: DateTime<Utc>,
    choice: &mut dyn Choice,
) -> Result<(Plan, Vec<Problem>), Failure> {
    if let Some(samples) = answers.samples {
        resample(&mut loaded.suites, samples)?;
    }
    let plan = built(project, &loaded.suites, answers, now, choice)?;
    Ok((plan, loaded.problems))
}

/// Plans suites as they are.
pub(crate) fn built(
    project: &Project,
    suites: &[Arc<Suite>],
    answers: &AnswerArguments,
    now: DateTime<Utc>,
    choice: &mut dyn Choice,
) -> Result<Plan, Failure> {
    let endpoint = answers.endpoint.as_deref();
    let identities = project.identities(suites, endpoint)?;
    let context = Context {
        catalog: &project.catalog,
        endpoints: &identities,
        default_endpoint: &project.settings.endpoint,
        endpoint_override: endpoint,
        default_max_tokens: project.settings.max_tokens,
        day: now.date_naive(),
    };
    let plan = plan::build_chosen(suites, &context, choice)?;
    let unbounded = plan.unbounded.iter().map(|variant| &**variant);
    caps::refuse_unbounded(unbounded, &project.catalog, |suite| suite.gate.max_cost_usd.map(|_| "`gate.max_cost_usd`"))?;
    Ok(plan)
}

/// Every cell gets so many samples, whatever its suite or case says.
pub(crate) fn resample(suites: &mut [Arc<Suite>], samples: u32) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    for suite in suites {
        if let PassRule::AtLeast(count) = suite.pass
            && count > samples
        {
            let problem =
                Problem::error(format!("`--samples {samples}`: suite `{}` asks that {count} samples pass ({})", suite.name, suite.site));
            problems.push(problem.hint(format!("give `--samples {count}` or more, or write the rule as a share: `pass: {{rate: 0.8}}`")));
            continue;
        }
        let suite = Arc::make_mut(suite);
        suite.samples = samples;
        for case in suite.cases.iter_mut().filter(|case| case.samples.is_some()) {
            Arc::make_mut(case).samples = None;
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn selection(
    project: &Project,
    arguments: &SelectionArguments,
    answers: &AnswerArguments,
    now: DateTime<Utc>,
) -> Result<Selection, Failure> {
    let patterns =
        |flag: &str, texts: &[String]| -> Result<Vec<Pattern>, Problem> { texts.iter().map(|text| Pattern::new(flag, text)).collect() };
    Ok(Selection {
        cases: patterns("--case", &arguments.cases)?,
        tags: arguments.tags.clone(),
        models: patterns("--model", &arguments.models)?,
        prompts: arguments.prompts.clone(),
        failed: arguments.failed.then(|| failed_last_time(&project.store_folder())).transpose()?,
        changed_since: match &arguments.changed_since {
            Some(revision) => Some(fingerprints_at(project, revision, arguments, answers, now)?),
            None => None,
        },
        shard: arguments.shard,
    })
}

fn failed_last_time(store: &Path) -> Result<HashSet<String>, Failure> {
    let no_history = || Problem::error("`--failed` needs an earlier run, and there is none").hint("run once without `--failed`");
    if !store.exists() {
        return Err(no_history().into());
    }
    let told = |error: StoreError| Problem::error(error.to_string()).hint(error.hint());
    let store = Store::open_to_read(store).map_err(told)?;
    let last = store.last_run().map_err(told)?.ok_or_else(no_history)?;
    if last.is_unfinished() {
        let problem = Problem::error(format!("`--failed` needs the last run's verdicts, and run {} did not finish", last.head.id));
        return Err(problem.hint("run once without `--failed`: what is answered is not asked again").into());
    }
    Ok(last.cells.into_iter().filter(|cell| cell.verdict != Verdict::Pass).map(|cell| cell.address.to_string()).collect())
}

/// Fingerprints of all cells as they were at the merge base of `revision` and HEAD. Settings are those of today.
fn fingerprints_at(
    project: &Project,
    revision: &str,
    arguments: &SelectionArguments,
    answers: &AnswerArguments,
    now: DateTime<Utc>,
) -> Result<HashMap<Address, String>, Failure> {
    let base = git::merge_base(&project.root, revision, "HEAD").map_err(|error| {
        Problem::error(format!("`--changed-since {revision}`: {error}"))
            .hint("name a branch, a tag or a commit of this repository; in CI fetch enough history (fetch-depth: 0)")
    })?;
    let tree = Tree::Git { root: project.root.clone(), revision: base };
    // What could not be loaded or planned then has no fingerprint: every cell of today counts as changed.
    let loaded = project.load(&tree, &arguments.suites, answers.endpoint.as_deref());
    let reader = Reader::open(&tree, false).map_err(|error| Problem::error(error.to_string()))?;
    let accepted = |path: &str| {
        let file = reader.read(path).ok()?;
        let snapshot = format::read(std::str::from_utf8(&file.bytes).ok()?).ok()?;
        Some(format::write(&snapshot))
    };
    let mut before = Before { accepted: &accepted, fingerprints: HashMap::new() };
    let planned = loaded.and_then(sound).and_then(|loaded| planned(project, loaded, answers, now, &mut before));
    Ok(planned.map_or_else(|_| HashMap::new(), |_| before.fingerprints))
}

/// Keeps the fingerprints of all cells, and no cell.
struct Before<'a> {
    accepted: &'a dyn Fn(&str) -> Option<String>,
    fingerprints: HashMap<Address, String>,
}

impl Choice for Before<'_> {
    fn wants(&mut self, _: Draft<'_>) -> bool {
        true
    }

    fn keeps_all(&self) -> bool {
        false
    }

    fn keeps(&mut self, cell: &PlannedCell) -> bool {
        let snapshot = cell.snapshot_path.as_deref().and_then(self.accepted);
        let fingerprint = fingerprint::fingerprint(cell, snapshot.as_deref()).to_string();
        self.fingerprints.insert(cell.address(), fingerprint);
        false
    }
}
