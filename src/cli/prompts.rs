//! What did a prompt version say when an output of it was accepted, and what changed from one version to another?
//!
//! The accepted text is looked for where it may be: the file itself, the texts that were run here, the file's history.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::cli::project::Project;
use crate::cli::session;
use crate::diff::text_diff;
use crate::model::key::digest;
use crate::model::run::{CellResult, PromptChange};
use crate::model::suite::{PromptVersion, Suite};
use crate::model::verdict::SnapshotState;
use crate::source::git;
use crate::source::tree::Tree;
use crate::store::prompts;

/// Most pairs of versions that are compared for one report.
const MOST: usize = 50;

/// Endings of a version's file.
const ENDINGS: [&str; 3] = ["md", "yaml", "yml"];

/// From the version of an accepted output to that of a new one, both as `ticket-triage@2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) suite: String,
}

/// The texts of prompt versions, as their digests count them.
pub(crate) struct Texts<'a> {
    project: &'a Project,
}

impl<'a> Texts<'a> {
    pub(crate) const fn of(project: &'a Project) -> Self {
        Self { project }
    }

    /// What a file of the project says now.
    pub(crate) fn now(&self, path: &str) -> Option<String> {
        text(Tree::Disk(self.project.root.clone()).read(path).ok()?)
    }

    /// The text with this digest that the file has or had.
    pub(crate) fn accepted(&self, path: &str, wanted: &str) -> Option<String> {
        let is_wanted = |text: &String| *digest(text.as_bytes()) == *wanted;
        self.now(path)
            .filter(is_wanted)
            .or_else(|| prompts::find(&self.project.store_folder(), wanted))
            .or_else(|| git::earlier(&self.project.root, path, |bytes| text(bytes).filter(is_wanted)).ok().flatten())
    }

    /// Remembers what these versions say. A store that cannot be written only forgets it.
    pub(crate) fn keep<'v>(&self, versions: impl IntoIterator<Item = &'v Arc<PromptVersion>>) {
        let texts = versions.into_iter().filter_map(|version| {
            let same = |text: &String| digest(text.as_bytes()) == version.file.digest;
            self.now(&version.file.path).filter(same)
        });
        let needed = || session::folder(self.project).accepted_texts().ok();
        let _ = prompts::keep(&self.project.store_folder(), texts, session::now().into(), needed);
    }

    /// What changed from the accepted version to the one that gave the output, once for each pair that a cell goes between.
    pub(crate) fn changes(&self, suites: &[Arc<Suite>], cells: &[CellResult]) -> Vec<PromptChange> {
        let mut ways = BTreeSet::new();
        for cell in cells {
            let SnapshotState::Changed { accepted_prompt, .. } = &cell.snapshot else { continue };
            let address = &cell.address;
            let to = format!("{}@{}", address.prompt, address.version);
            if *accepted_prompt != to {
                ways.insert(Way { from: accepted_prompt.clone(), to, suite: address.suite.to_string() });
            }
        }
        self.between(suites, ways)
    }

    /// What changed from version to version, or in the text of one; nothing where nothing did.
    pub(crate) fn between(&self, suites: &[Arc<Suite>], ways: BTreeSet<Way>) -> Vec<PromptChange> {
        let mut changes: Vec<PromptChange> = Vec::new();
        for Way { from, to, suite } in ways.into_iter().take(MOST) {
            if changes.iter().any(|change| change.from == from && change.to == to) {
                continue;
            }
            let Some(suite) = suites.iter().find(|known| *known.name == *suite) else { continue };
            let mut versions = suite.prompts.iter().flat_map(|prompt| prompt.versions.iter().map(move |version| (prompt, version)));
            let Some((_, version)) = versions.find(|(prompt, version)| format!("{}@{}", prompt.name, version.version) == to) else {
                continue;
            };
            let path = &version.file.path;
            let Some((old, new)) = self.before(suite, &from, path).zip(self.now(path)) else { continue };
            if from == to && old == new {
                continue;
            }
            changes.push(PromptChange { from, to, file: Arc::clone(path), diff: text_diff(&old, &new) });
        }
        changes
    }

    /// What `name` (`ticket-triage@2`) said when the suite accepted an output of it, else what it says now; `beside` is the file of another
    /// version of it, or of a prompt that stands in the same folder of prompts.
    fn before(&self, suite: &Suite, name: &str, beside: &str) -> Option<String> {
        let (prompt, version) = name.rsplit_once('@')?;
        let folder = Path::new(beside).parent()?.parent()?.to_str()?;
        let path = |ending: &&str| format!("{folder}/{prompt}/{version}.{ending}");
        let lock = session::folder(self.project).prompt_lock(&suite.name).ok();
        let accepted = lock.as_ref().and_then(|lock| lock.accepted(name));
        accepted
            .and_then(|wanted| ENDINGS.iter().find_map(|ending| self.accepted(&path(ending), wanted)))
            .or_else(|| ENDINGS.iter().find_map(|ending| self.now(&path(ending))))
    }
}

/// As the digest of a version counts it: without a byte order mark, with line feeds.
fn text(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n"))
}
