//! Which outputs did a reviewer ask to see?
//!
//! ```text
//! ticket-triage/double-*            a glob, as `accept` takes it
//! state:failed model:*haiku*        words that all have to fit
//! ```

use globset::{Glob, GlobMatcher};

use crate::model::verdict::Verdict;
use crate::review::item::{Item, Judged};
use crate::review::state::Status;
use crate::snapshot::pending::Patterns;

/// Words that all have to fit; none fits everything.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    text: String,
    words: Vec<Word>,
}

#[derive(Debug)]
enum Word {
    Suite(GlobMatcher),
    Case(GlobMatcher),
    Model(GlobMatcher),
    State(&'static str),
    Path(String),
}

/// What `state:` knows.
const STATES: [&str; 11] =
    ["changed", "new", "orphaned", "unreadable", "waiting", "skipped", "accepted", "rejected", "passed", "failed", "simulated"];

impl Filter {
    /// Reads it; `Err` says in one line what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words = text.split_whitespace().map(word).collect::<Result<_, _>>()?;
        Ok(Self { text: text.trim().to_owned(), words })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, item: &Item, status: &Status) -> bool {
        self.words.iter().all(|word| match word {
            Word::Suite(glob) => glob.is_match(&item.suite),
            Word::Case(glob) => glob.is_match(&item.case),
            Word::Model(glob) => glob.is_match(&item.model),
            Word::State(state) => is(state, item, status),
            Word::Path(pattern) => {
                Patterns::compile(std::slice::from_ref(pattern)).is_ok_and(|mut patterns| patterns.select(&item.path, &item.address))
            }
        })
    }
}

fn word(word: &str) -> Result<Word, String> {
    let glob = |text: &str| Glob::new(text).map(|glob| glob.compile_matcher()).map_err(|error| format!("`{text}`: {}", error.kind()));
    match word.split_once(':').filter(|(_, rest)| !rest.starts_with(':')) {
        Some(("suite", text)) => glob(text).map(Word::Suite),
        Some(("case", text)) => glob(text).map(Word::Case),
        Some(("model", text)) => glob(text).map(Word::Model),
        Some(("state", text)) => match STATES.into_iter().find(|state| *state == text) {
            Some(state) => Ok(Word::State(state)),
            None => Err(format!("there is no state `{text}`; there are {}", STATES.join(", "))),
        },
        _ => {
            Patterns::compile(&[word.to_owned()]).map_err(|error| error.to_string())?;
            Ok(Word::Path(word.to_owned()))
        }
    }
}

fn is(state: &str, item: &Item, status: &Status) -> bool {
    let verdict = match &item.judged {
        Judged::Cell { verdict, .. } => Some(*verdict),
        Judged::Unknown(_) => None,
    };
    match state {
        "waiting" => *status == Status::Waiting,
        "skipped" => *status == Status::Skipped,
        "accepted" => *status == Status::Accepted,
        "rejected" => *status == Status::Rejected,
        "passed" => verdict == Some(Verdict::Pass),
        "failed" => verdict == Some(Verdict::Fail),
        "simulated" => item.simulated == Some(true),
        kind => item.kind.as_str() == kind,
    }
}
