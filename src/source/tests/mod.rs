//! Does a whole project load as its author meant it, and does each mistake say what a newcomer needs?

mod bounds;
mod correct;
mod messages;
mod promises;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::model::catalog::Catalog;
use crate::model::problem::Problem;
use crate::model::request::Dialect;
use crate::model::suite::Suite;
use crate::source::known::{EndpointFacts, Known};
use crate::source::tree::Tree;
use crate::source::{Loaded, load};

/// A project in a folder of its own.
pub(super) struct Project(tempfile::TempDir);

impl Project {
    /// With these files, and `suites/prompts/triage/1.md` that wants a `ticket`.
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("suites/prompts/triage/1.md", "system:\nYou route tickets.\n\nuser:\n{{ ticket }}\n");
        files.iter().for_each(|(path, text)| project.write(path, text));
        project
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn tree(&self) -> Tree {
        Tree::Disk(self.root().to_owned())
    }

    pub(super) fn load(&self) -> Loaded {
        load(&self.tree(), &[], &known())
    }

    /// The only suite of a project without errors.
    pub(super) fn suite(&self) -> Arc<Suite> {
        let loaded = self.load();
        assert_eq!(loaded.suites.len(), 1, "{}", plain(&loaded.problems));
        Arc::clone(&loaded.suites[0])
    }

    pub(super) fn problems(&self) -> String {
        let loaded = self.load();
        plain(&loaded.problems)
    }
}

pub(super) fn known() -> Known<'static> {
    let facts = |dialect| EndpointFacts { dialect, api_version: "2026-10-21".to_owned(), beta: Vec::new() };
    let endpoints = [("anthropic", Dialect::Messages), ("simulated", Dialect::Simulated)];
    Known {
        catalog: Catalog::embedded(),
        endpoints: endpoints.into_iter().map(|(name, dialect)| (name.to_owned(), facts(dialect))).collect::<BTreeMap<_, _>>(),
        default_endpoint: "anthropic".to_owned(),
        allow_outside: false,
    }
}

/// Problems without colour, one after the other: the caret's place as `^`.
pub(crate) fn plain(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let severity = format!("{:?}", problem.severity).to_lowercase();
        text.push_str(&format!("{severity}: {}\n", problem.message));
        if let Some(place) = &problem.place {
            text.push_str(&format!(" --> {}:{}:{}\n", place.file, place.line, place.column));
            if !place.source.is_empty() {
                let caret = "^".repeat(place.length as usize);
                text.push_str(&format!("  | {}\n  | {}{caret}\n", place.source.replace('\t', "→"), " ".repeat(place.column as usize - 1)));
            }
        }
        if let Some(hint) = &problem.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
    }
    text
}
