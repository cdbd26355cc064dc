//! What is wrong with what a user wrote, where, and what to do about it?

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::verdict::TextDiff;

/// Most characters of a message and of a hint: a name of megabytes is not echoed whole.
const LONGEST: usize = 4_000;

/// How much a [`Problem`] stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; changes no exit code.
    Note,
    /// Suspicious; changes no exit code unless a rule says so (CI and changed prompt versions).
    Warning,
    /// Nothing is sent: exit 2.
    Error,
}

/// One finding about a file, a setting or a flag. Data only; `report::problem` draws it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// How much it stops.
    pub severity: Severity,
    /// Lower case, one sentence without a full stop, names the thing in backquotes.
    pub message: String,
    /// Where it stands; `None` for a flag or an environment variable.
    pub place: Option<Place>,
    /// The next step, in words that can be followed: a key, a flag or a command.
    pub hint: Option<String>,
    /// What is different from what it should be, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<Box<TextDiff>>,
}

impl Problem {
    /// An error without a place yet.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: bounded(message.into()), place: None, hint: None, diff: None }
    }

    /// A warning without a place yet.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// A note without a place yet.
    #[must_use]
    pub fn note(message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(message) }
    }

    /// The same problem at `place`.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same problem with a difference to be shown below it.
    #[must_use]
    pub fn diff(mut self, diff: TextDiff) -> Self {
        self.diff = Some(Box::new(diff));
        self
    }

    /// The same problem with a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(bounded(hint.into()));
        self
    }
}

/// The text, or its beginning.
fn bounded(mut text: String) -> String {
    if text.len() > LONGEST
        && let Some((end, _)) = text.char_indices().nth(LONGEST)
    {
        text.truncate(end);
        text.push('…');
        // The allocation was as large as what was echoed.
        text.shrink_to_fit();
    }
    text
}

/// A span on one line of a file, with the line itself, so that drawing it needs no disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Place {
    /// Path relative to the project root, with forward slashes.
    pub file: Arc<str>,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// Length of the span in characters, at least 1, never past the end of the line plus one.
    pub length: u32,
    /// The text of that line, without its line break; cut to a bounded length by whoever reads it.
    pub source: String,
}

/// Where a thing stands, without its text: enough for reports and annotations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Site {
    /// Path relative to the project root, with forward slashes.
    pub file: Arc<str>,
    /// 1-based line.
    pub line: u32,
}

impl std::fmt::Display for Site {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_never_as_long_as_what_it_speaks_of() {
        let problem = Problem::error(format!("unknown prompt `{}`", "ö".repeat(100_000))).hint("x".repeat(100_000));
        assert_eq!(problem.message.chars().count(), LONGEST + 1);
        assert_eq!(problem.hint.map(|hint| hint.chars().count()), Some(LONGEST + 1));
        assert_eq!(Problem::note("short").message, "short");
    }
}
