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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::diff::text_diff;
use crate::model::problem::{Place, Problem};
use crate::model::suite::{PromptVersion, Suite};
use crate::model::verdict::{Change, TextDiff};

/// Most characters of a prompt's line that a problem shows.
const LONGEST_LINE: usize = 200;

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
#[serde(deny_unknown_fields, expecting = "a table `{ hash = \"...\" }`")]
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

    /// Notes the text with this hash as the accepted one of a version, `ticket-triage@3`; whether that is news.
    pub(super) fn note(&mut self, name: String, hash: &str) -> bool {
        self.hashes.insert(name.into(), hash.to_owned()).as_deref() != Some(hash)
    }

    /// The versions that `other` notes with another text, or not at all, and the other way round.
    pub(super) fn differing(&self, other: &Self) -> BTreeSet<String> {
        let names = self.hashes.keys().chain(other.hashes.keys());
        names.filter(|name| self.hashes.get(name) != other.hashes.get(name)).map(|name| name.spelled.clone()).collect()
    }

    /// Makes one version's line what it is in `other`, where it may be missing.
    pub(super) fn restore(&mut self, name: &str, other: &Self) {
        match other.accepted(name) {
            Some(hash) => drop(self.note(name.to_owned(), hash)),
            None => drop(self.hashes.remove(&name.to_owned().into())),
        }
    }

    /// The hashes of all accepted texts.
    pub(super) fn hashes(&self) -> impl Iterator<Item = &str> {
        self.hashes.values().map(String::as_str)
    }

    /// The version was accepted with another text.
    #[must_use]
    pub fn is_changed(&self, version: &PromptVersion) -> bool {
        self.hashes.get(&name(version).into()).is_some_and(|accepted| **accepted != *version.file.digest)
    }

    /// The hash of the text that `name` (`ticket-triage@3`) had when an output of it was accepted.
    #[must_use]
    pub fn accepted(&self, name: &str) -> Option<&str> {
        self.hashes.get(&name.to_owned().into()).map(String::as_str)
    }

    /// A warning for each version of the suite whose text changed since it was accepted. `texts` gives the text with the accepted hash and
    /// the present one, where both are known.
    #[must_use]
    pub fn problems(&self, suite: &Suite, texts: impl Fn(&PromptVersion, &str) -> Option<(String, String)>) -> Vec<Problem> {
        let versions = suite.prompts.iter().flat_map(|prompt| &prompt.versions);
        let changed = |version: &Arc<PromptVersion>| {
            let accepted = self.accepted(&name(version)).filter(|_| self.is_changed(version))?;
            let texts = texts(version, accepted).map(|(before, now)| text_diff(&before, &now));
            Some(changed(&suite.name, version, texts))
        };
        versions.filter_map(changed).collect()
    }
}

/// A version as its line names it: `ticket-triage@3`.
pub(crate) fn name(version: &PromptVersion) -> String {
    format!("{}@{}", version.prompt, version.version)
}

fn changed(suite: &str, version: &PromptVersion, diff: Option<TextDiff>) -> Problem {
    let (name, path) = (name(version), &version.file.path);
    let problem = Problem::warning(format!("the text of `{name}` (`{path}`) changed since suite `{suite}` accepted an output of it"));
    let mut hint = format!(
        "keep version {} as it was and write the new text as version {}, or accept again with `promptkeel run --update`",
        version.version,
        version.version.saturating_add(1)
    );
    if diff.is_none() {
        hint.push_str(&format!(
            "\nthe accepted text is not known here, neither from the git history of this clone nor from a run: `git log -p --all -- {path}` may show it"
        ));
    }
    let problem = problem.hint(hint).at(first_change(version, diff.as_ref()));
    match diff {
        Some(diff) => problem.diff(diff),
        None => problem,
    }
}

/// The first line of the version's file that is other than it was; the first line of all where that is not known.
fn first_change(version: &PromptVersion, diff: Option<&TextDiff>) -> Place {
    let changed = diff.and_then(|diff| diff.hunks.first()).map(|hunk| {
        let same = hunk.lines.iter().take_while(|line| line.change == Change::Same).count();
        let now = hunk.lines[same..].iter().find(|line| line.change != Change::Removed);
        let text = now.map(|line| line.parts.iter().map(|part| part.text.as_str()).collect::<String>()).unwrap_or_default();
        (u32::try_from(hunk.new_start.saturating_add(same as u64)).unwrap_or(u32::MAX).max(1), text)
    });
    let (line, text) = changed.unwrap_or((1, String::new()));
    let source: String = text.trim_end_matches(['\n', '\r']).chars().take(LONGEST_LINE).collect();
    let length = u32::try_from(source.chars().count()).unwrap_or(u32::MAX).max(1);
    Place { file: Arc::clone(&version.file.path), line, column: 1, length, source }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::request::Params;
    use crate::model::suite::SourceFile;

    fn version(prompt: &str, version: u32, digest: &str) -> PromptVersion {
        let file = SourceFile { path: format!("suites/prompts/{prompt}/{version}.md").into(), digest: Arc::from(digest) };
        PromptVersion {
            prompt: prompt.to_owned(),
            version,
            file,
            description: None,
            system: Vec::new(),
            turns: Vec::new(),
            request: Params::default(),
        }
    }

    #[test]
    fn one_line_a_version_sorted_by_number() {
        let mut lock = PromptLock::default();
        for (prompt, number) in [("triage", 10), ("triage", 2), ("answer", 1)] {
            assert!(lock.note(format!("{prompt}@{number}"), &format!("h{number}")));
        }
        assert!(!lock.note("triage@2".to_owned(), "h2"), "nothing new");
        insta::assert_snapshot!(lock, @r#"
        # The prompt versions whose outputs were accepted, and the blake3 hash of their files. Written by promptkeel.
        [prompts]
        "answer@1" = { hash = "h1" }
        "triage@2" = { hash = "h2" }
        "triage@10" = { hash = "h10" }
        "#);
        assert_eq!(PromptLock::parse(&lock.to_string()), Ok(lock));
    }

    #[test]
    fn only_an_accepted_version_with_another_text_is_changed() {
        let mut lock = PromptLock::default();
        lock.note("triage@3".to_owned(), "aa");
        assert!(!lock.is_changed(&version("triage", 3, "aa")));
        assert!(!lock.is_changed(&version("triage", 4, "bb")), "a version that nobody accepted may change");
        let changed_version = version("triage", 3, "bb");
        assert!(lock.is_changed(&changed_version));
        let problem = changed("ticket-triage", &changed_version, Some(text_diff("a", "b")));
        assert!(problem.diff.is_some());
        let place = |before: &str, now: &str| {
            let place = changed("ticket-triage", &changed_version, Some(text_diff(before, now))).place.unwrap();
            (place.file.to_string(), place.line, place.source)
        };
        let file = "suites/prompts/triage/3.md".to_owned();
        assert_eq!(place("a\nb\nc\n", "a\nb\nchanged\n"), (file.clone(), 3, "changed".to_owned()));
        assert_eq!(place("a\nb\nc\nd\n", "a\nb\nd\n"), (file.clone(), 3, "d".to_owned()), "a line that went is told where it stood");
        assert_eq!(
            changed("ticket-triage", &changed_version, None).place.map(|place| (place.file.to_string(), place.line)),
            Some((file, 1))
        );
        insta::assert_snapshot!(format!("{}\nhint: {}", problem.message, problem.hint.unwrap()), @"
        the text of `triage@3` (`suites/prompts/triage/3.md`) changed since suite `ticket-triage` accepted an output of it
        hint: keep version 3 as it was and write the new text as version 4, or accept again with `promptkeel run --update`
        ");
    }

    #[test]
    fn what_is_unknown_stays_and_every_spelling_of_a_table_is_read() {
        let mut lock = PromptLock::parse("[prompts.\"old@1\"]\nhash = \"aa\"\n[prompts.\"no version\"]\nhash = \"bb\"\n").unwrap();
        lock.note("new@2".to_owned(), "cc");
        insta::assert_snapshot!(lock, @r#"
        # The prompt versions whose outputs were accepted, and the blake3 hash of their files. Written by promptkeel.
        [prompts]
        "new@2" = { hash = "cc" }
        "no version" = { hash = "bb" }
        "old@1" = { hash = "aa" }
        "#);
        assert_eq!(PromptLock::parse(""), Ok(PromptLock::default()));
    }

    #[test]
    fn a_lock_that_makes_no_sense_says_where() {
        let texts = [
            "[prompts]\n\"a@1\" = { hash = \"x\" }\n\"a@1\" = { hash = \"y\" }\n",
            "[prompts]\n<<<<<<< HEAD\n",
            "[prompts]\n\"a@1\" = \"x\"\n",
            "[prompts]\n\"a@1\" = { hash = \"x\", other = 1 }\n",
            "[promts]\n",
        ];
        insta::assert_snapshot!(texts.map(|text| PromptLock::parse(text).unwrap_err()).join("\n"), @r#"
        line 3: duplicate key
        line 2: key with no value, expected `=`
        line 2: invalid type: string "x", expected a table `{ hash = "..." }`
        line 2: unknown field `other`, expected `hash`
        line 1: unknown field `promts`, expected `prompts`
        "#);
    }

    proptest! {
        #[test]
        fn any_prompt_name_comes_back(names in prop::collection::btree_map((any::<String>(), any::<u32>()), "[0-9a-f]{4}", 0..6)) {
            let mut lock = PromptLock::default();
            for ((prompt, number), digest) in &names {
                lock.note(format!("{prompt}@{number}"), digest);
            }
            let text = lock.to_string();
            prop_assert_eq!(text.lines().count(), names.len() + 2);
            prop_assert_eq!(PromptLock::parse(&text), Ok(lock));
        }
    }
}
