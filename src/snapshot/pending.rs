//! Which outputs wait for a person, and how do they differ from what is accepted?

use globset::{GlobBuilder, GlobMatcher};

use crate::model::suite::{Compare, Parse, SnapshotPolicy};
use crate::model::verdict::SnapshotState;
use crate::snapshot::SnapshotError;
use crate::snapshot::accept::Variants;
use crate::snapshot::compare::{Comparison, shown};
use crate::snapshot::folder::{Folder, unreadable};
use crate::snapshot::kept::Kept;
use crate::snapshot::output::{Output, Snapshot};
use crate::snapshot::path::{self, ACCEPTED, FOLDER, PENDING, pending_path};
use crate::snapshot::tokens;

/// One output that waits.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Where it goes when it is accepted, project-relative.
    pub path: String,
    /// The suite's folder: its name where that is a portable file name, else a slug with a hash.
    pub suite: String,
    /// The case's folder, likewise.
    pub case: String,
    /// The model's file, likewise.
    pub model: String,
    /// The prompt's folder, where the suite lists several prompts.
    pub prompt: Option<String>,
    /// What is in it.
    pub content: Result<Snapshot, String>,
    /// How it stands to what is accepted now.
    pub state: SnapshotState,
    /// How many variants stand, and how many would.
    pub variants: Variants,
}

impl Pending {
    /// `suite::case::prompt@version::model`, as far as the file tells: the model's id where the file is named for it, however its name
    /// had to be altered.
    #[must_use]
    pub fn address(&self) -> String {
        let prompt = self.prompt_version();
        let told = self.content.as_ref().ok().map(|content| content.model.as_str()).filter(|model| path::part(model) == self.model);
        format!("{}::{}::{prompt}::{}", self.suite, self.case, told.unwrap_or(&self.model))
    }

    /// The prompt version that gave it, `ticket-triage@3`; `?` where the file cannot be read.
    #[must_use]
    pub fn prompt_version(&self) -> &str {
        self.content.as_ref().map_or("?", |content| &content.prompt)
    }

    /// What a person should read before taking an output that has nothing to be compared with; empty for any other.
    #[must_use]
    pub fn new_text(&self) -> String {
        match (&self.state, &self.content) {
            (SnapshotState::New { .. }, Ok(content)) => readable(content),
            _ => String::new(),
        }
    }

    /// The same, each output for itself.
    #[must_use]
    pub fn new_texts(&self) -> Vec<String> {
        match (&self.state, &self.content) {
            (SnapshotState::New { .. }, Ok(content)) => content.outputs.iter().map(Output::shown).collect(),
            _ => Vec::new(),
        }
    }
}

/// Outputs that wait and were asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Sorted by path.
    pub pending: Vec<Pending>,
    /// Patterns that match nothing that waits.
    pub unmatched: Vec<String>,
}

impl Folder {
    /// The outputs that wait and match one of the patterns; all of them where there is no pattern.
    ///
    /// A pattern is a glob over the path (with or without `snapshots/` and the ending) or the address, or the beginning of either
    /// up to a whole part: `ticket-triage`, `ticket-triage/double-*`, `*::claude-haiku-4-5`. `*` also matches `/`.
    ///
    /// # Errors
    /// A pattern that is none, a folder that cannot be read. A pending file that cannot be read is an entry that says so.
    pub fn select_pending(&self, patterns: &[String]) -> Result<Selection, SnapshotError> {
        self.select_pending_by(patterns, |_| None)
    }

    /// The same, compared as `comparison` says of each path: as its suite does, where one owns it.
    ///
    /// # Errors
    /// What [`select_pending`](Self::select_pending) answers.
    pub fn select_pending_by<'a>(
        &self,
        patterns: &[String],
        comparison: impl Fn(&str) -> Option<&'a Comparison>,
    ) -> Result<Selection, SnapshotError> {
        let mut patterns = Patterns::compile(patterns)?;
        let mut selection = Selection::default();
        for path in self.pending()? {
            let pending = self.pending_at(&path, comparison(&path));
            if patterns.select(&pending.path, &pending.address()) {
                selection.pending.push(pending);
            }
        }
        selection.unmatched = patterns.unmatched();
        Ok(selection)
    }

    /// What waits beside an accepted path, compared as `comparison` says; its content says so where nothing does.
    #[must_use]
    pub fn pending_at(&self, path: &str, comparison: Option<&Comparison>) -> Pending {
        self.pending_in(&Kept::default(), path, comparison)
    }

    /// The same, told from the very bytes that were kept of both files.
    #[must_use]
    pub fn pending_in(&self, kept: &Kept, path: &str, comparison: Option<&Comparison>) -> Pending {
        let stem = path.strip_suffix(ACCEPTED).unwrap_or(path);
        let parts: Vec<&str> = stem.split('/').skip(1).collect();
        let part = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
        let (prompt, model) = match parts.as_slice() {
            [_, _, prompt, .., model] => (Some((*prompt).to_owned()), (*model).to_owned()),
            [.., model] => (None, (*model).to_owned()),
            [] => (None, String::new()),
        };
        let content = match self.read_kept(kept, &pending_path(path)) {
            Ok(Some(content)) => Ok(content),
            Ok(None) => Err("it was accepted or rejected meanwhile".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let exact = Comparison::exact();
        let (state, variants) = match (self.read_kept(kept, path), &content) {
            (Err(error), _) => (unreadable(&error), Variants::default()),
            (Ok(accepted), Ok(new)) => {
                let accepted = accepted.as_ref();
                let state = comparison.map(|comparison| comparison.state(accepted, new));
                // What the suite takes for the same by now was a difference when it was laid here.
                let state = state.filter(|state| !matches!(state, SnapshotState::Same | SnapshotState::None));
                (state.unwrap_or_else(|| shown_state(accepted, new)), Variants::of(accepted, new, comparison.unwrap_or(&exact)))
            }
            (Ok(_), Err(_)) => (SnapshotState::None, Variants::default()),
        };
        Pending { path: path.to_owned(), suite: part(0), case: part(1), model, prompt, content, state, variants }
    }
}

/// How a pending output differs, for people, where no suite says how to compare: value by value where both are JSON objects or arrays and
/// differ in a value, else line by line. There was a difference when the file was written.
fn shown_state(accepted: Option<&Snapshot>, new: &Snapshot) -> SnapshotState {
    let structured = |snapshot: &Snapshot| {
        snapshot.outputs.iter().all(|output| {
            let text = output.text();
            text.trim_start().starts_with(['{', '[']) && tokens::value(&text).is_some()
        })
    };
    let is_json = structured(new) && accepted.is_some_and(structured);
    if is_json {
        let policy = SnapshotPolicy { compare: Compare::Json, ..SnapshotPolicy::default() };
        let comparison = Comparison::new(&policy, Parse::default()).expect("there is no path that could be wrong");
        let state = comparison.state(accepted, new);
        if state != SnapshotState::Same {
            return state;
        }
    }
    match Comparison::exact().state(accepted, new) {
        SnapshotState::Changed { diff, accepted_prompt, mut notes, variants } => {
            if is_json {
                notes.push("the same JSON values: only the order of keys or the layout differs".to_owned());
            }
            SnapshotState::Changed { diff, accepted_prompt, notes, variants }
        }
        state => state,
    }
}

/// All outputs of a snapshot as a person reads them; several variants stand each under a line of its own.
#[must_use]
pub fn readable(snapshot: &Snapshot) -> String {
    let [one] = snapshot.outputs.as_slice() else {
        let all = snapshot.outputs.len();
        let variants = snapshot.outputs.iter().enumerate();
        return variants.map(|(index, output)| format!("variant {} of {all}\n{}\n", index + 1, shown(output))).collect();
    };
    shown(one)
}

/// What a person asked for, and whether anything was found for it.
#[derive(Debug)]
pub struct Patterns(Vec<(Pattern, bool)>);

#[derive(Debug)]
struct Pattern {
    text: String,
    glob: GlobMatcher,
}

impl Patterns {
    /// As [`Folder::select_pending`] takes them.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn compile(patterns: &[String]) -> Result<Self, SnapshotError> {
        patterns.iter().map(|pattern| Ok((Pattern::compile(pattern)?, false))).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the snapshot at this path, of the cell with this address, is meant. Where there is no pattern, every one is.
    pub fn select(&mut self, path: &str, address: &str) -> bool {
        let mut selected = self.0.is_empty();
        for (pattern, used) in &mut self.0 {
            if pattern.matches(path, address) {
                *used = true;
                selected = true;
            }
        }
        selected
    }

    /// Those that selected nothing.
    #[must_use]
    pub fn unmatched(&self) -> Vec<String> {
        self.0.iter().filter(|(_, used)| !used).map(|(pattern, _)| pattern.text.clone()).collect()
    }
}

impl Pattern {
    fn compile(text: &str) -> Result<Self, SnapshotError> {
        let wrong = |error: globset::Error| SnapshotError::Pattern { pattern: text.to_owned(), message: error.kind().to_string() };
        let glob = GlobBuilder::new(text.trim_end_matches('/')).literal_separator(false).backslash_escape(true).build().map_err(wrong)?;
        Ok(Self { text: text.to_owned(), glob: glob.compile_matcher() })
    }

    fn matches(&self, path: &str, address: &str) -> bool {
        let stem = path.strip_suffix(ACCEPTED).unwrap_or(path);
        let below = stem.strip_prefix(FOLDER).and_then(|below| below.strip_prefix('/')).unwrap_or(stem);
        let whole = [path.to_owned(), format!("{stem}{PENDING}"), stem.to_owned(), below.to_owned(), address.to_owned()];
        whole.iter().any(|candidate| self.glob.is_match(candidate))
            || begins_with_parts(below, '/', &self.glob)
            || begins_with_parts(stem, '/', &self.glob)
            || begins_with_parts(address, ':', &self.glob)
    }
}

/// The glob matches the beginning of `text` up to a separator.
fn begins_with_parts(text: &str, separator: char, glob: &GlobMatcher) -> bool {
    text.match_indices(separator).any(|(at, _)| glob.is_match(&text[..at]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::verdict::Diff;

    fn file(prompt: &str, model: &str, text: &str) -> String {
        format!("---\nprompt: {prompt}\nmodel: {model}\nstop_reason: end_turn\n---\n{text}\n")
    }

    fn project() -> (tempfile::TempDir, Folder) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("triage/double-charge/haiku.snap.new", file("triage@3", "haiku", "{\"queue\": \"refunds\"}")),
            ("triage/double-charge/haiku.snap", file("triage@2", "haiku", "{\"queue\": \"billing\"}")),
            ("triage/double-charge/sonnet.snap.new", file("triage@3", "sonnet", "new")),
            ("triage-de/long/summary/haiku.snap.new", file("summary@1", "haiku", "two\nlines")),
            ("triage-de/long/summary/haiku.snap", file("summary@1", "haiku", "one\nlines")),
            ("triage-de/long/broken.snap.new", "rubbish".to_owned()),
            ("triage/accepted/haiku.snap", file("triage@3", "haiku", "fine")),
        ] {
            let place = root.path().join(FOLDER).join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        }
        let folder = Folder::open(root.path());
        (root, folder)
    }

    fn selected(folder: &Folder, patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        folder.select_pending(&patterns).unwrap().pending.iter().map(Pending::address).collect()
    }

    #[test]
    fn what_waits_is_told_from_its_file() {
        let (_root, folder) = project();
        let all = folder.select_pending(&[]).unwrap().pending;
        let told: Vec<_> = all.iter().map(|pending| (pending.path.as_str(), pending.address(), pending.prompt.as_deref())).collect();
        insta::assert_debug_snapshot!(told, @r#"
        [
            (
                "snapshots/triage-de/long/broken.snap",
                "triage-de::long::?::broken",
                None,
            ),
            (
                "snapshots/triage-de/long/summary/haiku.snap",
                "triage-de::long::summary@1::haiku",
                Some(
                    "summary",
                ),
            ),
            (
                "snapshots/triage/double-charge/haiku.snap",
                "triage::double-charge::triage@3::haiku",
                None,
            ),
            (
                "snapshots/triage/double-charge/sonnet.snap",
                "triage::double-charge::triage@3::sonnet",
                None,
            ),
        ]
        "#);
        assert!(all[0].content.is_err());
        assert_eq!(all[0].state, SnapshotState::None);
        assert!(matches!(&all[1].state, SnapshotState::Changed { diff: Diff::Text(_), .. }));
        assert!(matches!(&all[2].state, SnapshotState::Changed { diff: Diff::Json(changes), accepted_prompt, .. }
            if changes[0].path == "$.queue" && accepted_prompt == "triage@2"));
        assert_eq!(all[3].state, SnapshotState::New { reason: None });
    }

    #[test]
    fn an_output_without_a_predecessor_is_shown_and_named_by_its_model() {
        let (root, folder) = project();
        let place = root.path().join(pending_path(&path::path("triage", "one", None, "vendor/model:1")));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, file("triage@3", "vendor/model:1", "first\nsecond")).unwrap();
        let all = folder.select_pending(&["*one*".to_owned()]).unwrap().pending;
        assert_eq!(all[0].address(), "triage::one::triage@3::vendor/model:1");
        assert_eq!(all[0].new_text(), "first\nsecond");
        let changed = folder.select_pending(&["triage/double-charge/haiku".to_owned()]).unwrap().pending;
        assert_eq!(changed[0].new_text(), "");
        let mut several = all[0].content.clone().unwrap();
        several.outputs.push(changed[0].content.clone().unwrap().outputs.remove(0));
        let place = root.path().join(pending_path(&path::path("triage", "two", None, "sonnet")));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, crate::snapshot::format::write(&several)).unwrap();
        let all = folder.select_pending(&["*two*".to_owned()]).unwrap().pending;
        assert_eq!(all[0].new_text(), "variant 1 of 2\nfirst\nsecond\nvariant 2 of 2\n{\"queue\": \"refunds\"}\n");
    }

    #[test]
    fn a_pattern_selects_by_path_by_address_and_by_their_beginning() {
        let (_root, folder) = project();
        let (haiku, sonnet) = ("triage::double-charge::triage@3::haiku", "triage::double-charge::triage@3::sonnet");
        let (german, broken) = ("triage-de::long::summary@1::haiku", "triage-de::long::?::broken");
        assert_eq!(selected(&folder, &[]), [broken, german, haiku, sonnet]);
        assert_eq!(selected(&folder, &["triage"]), [haiku, sonnet], "a whole part, so not triage-de");
        assert_eq!(selected(&folder, &["snapshots/triage/"]), [haiku, sonnet]);
        assert_eq!(selected(&folder, &["snapshots/triage"]), [haiku, sonnet]);
        assert_eq!(selected(&folder, &["triage/double-charge/haiku"]), [haiku]);
        assert_eq!(selected(&folder, &["snapshots/triage/double-charge/sonnet.snap.new", haiku]), [haiku, sonnet]);
        assert_eq!(selected(&folder, &["*haiku"]), [german, haiku]);
        assert_eq!(selected(&folder, &["*::triage@3::*"]), [haiku, sonnet]);
        assert_eq!(selected(&folder, &["*/double-*"]), [haiku, sonnet]);
        assert_eq!(selected(&folder, &["{triage-de,nothing}"]), [broken, german]);
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_named() {
        let (_root, folder) = project();
        let selection = folder.select_pending(&["triage".to_owned(), "trage".to_owned()]).unwrap();
        assert_eq!(selection.unmatched, ["trage"]);
        let error = folder.select_pending(&["[".to_owned()]).unwrap_err();
        assert!(matches!(&error, SnapshotError::Pattern { pattern, .. } if pattern == "["), "{error}");
    }
}
