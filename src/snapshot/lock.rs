//! With which text was a prompt version accepted?
//!
//! `snapshots/<suite>/prompts.toml` has one line per version, sorted, so that a merge of two branches is a merge of lines:
//!
//! ```toml
//! [prompts]
//! "ticket-triage@2" = { hash = "52a8…" }
//! "ticket-triage@10" = { hash = "91cc…" }
//! ```
//! Versions that no suite lists any more are kept: an old branch may still ask for them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::model::problem::Problem;
use crate::model::suite::{PromptVersion, Suite};

/// The accepted prompt versions of one suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromptLock {
    hashes: BTreeMap<VersionName, String>,
}

/// `ticket-triage@3`, sorted by name, then by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct VersionName {
    prompt: String,
    version: Option<u32>,
    /// As it is spelled, for names of another shape.
    spelled: String,
}

impl From<String> for VersionName {
    fn from(spelled: String) -> Self {
        match spelled.rsplit_once('@').and_then(|(prompt, version)| Some((prompt, version.parse().ok()?))) {
            Some((prompt, version)) => Self { prompt: prompt.to_owned(), version: Some(version), spelled },
            None => Self { prompt: spelled.clone(), version: None, spelled },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    prompts: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    hash: String,
}

impl PromptLock {
    /// Reads the file's text; `Err` says in one line what is wrong and where.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            let before = &text[..error.span().map_or(0, |span| span.start).min(text.len())];
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message().replace('\n', ", "))
        })?;
        Ok(Self { hashes: file.prompts.into_iter().map(|(name, entry)| (name.into(), entry.hash)).collect() })
    }

    /// Notes a version's present text as accepted; whether that is news.
    pub fn accept(&mut self, version: &PromptVersion) -> bool {
        let hash = version.file.digest.to_string();
        self.hashes.insert(name(version).into(), hash.clone()) != Some(hash)
    }

    /// The version was accepted with another text.
    #[must_use]
    pub fn is_changed(&self, version: &PromptVersion) -> bool {
        self.hashes.get(&name(version).into()).is_some_and(|accepted| **accepted != *version.file.digest)
    }

    /// A warning for each version of the suite whose text changed since it was accepted.
    #[must_use]
    pub fn problems(&self, suite: &Suite) -> Vec<Problem> {
        let versions = suite.prompts.iter().flat_map(|prompt| &prompt.versions);
        versions.filter(|version| self.is_changed(version)).map(|version| changed(&suite.name, version)).collect()
    }
}

fn name(version: &PromptVersion) -> String {
    format!("{}@{}", version.prompt, version.version)
}

fn changed(suite: &str, version: &PromptVersion) -> Problem {
    let (name, path) = (name(version), &version.file.path);
    Problem::warning(format!("the text of `{name}` (`{path}`) changed since suite `{suite}` accepted an output of it")).hint(format!(
        "keep version {} as it was and write the new text as version {}, or accept again with `promptkeel run --update`",
        version.version,
        version.version.saturating_add(1)
    ))
}

impl fmt::Display for PromptLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "# The prompt versions whose outputs were accepted, and the blake3 hash of their files. Written by promptkeel.\n[prompts]\n",
        )?;
        for (name, hash) in &self.hashes {
            let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
            writeln!(formatter, "{} = {{ hash = {} }}", quoted_key(&name.spelled), quoted(hash))?;
        }
        Ok(())
    }
}

/// A basic string, which is a key on one line whatever is in it.
fn quoted_key(key: &str) -> String {
    serde_json::Value::from(key).to_string().replace('\u{7f}', "\\u007f")
}
