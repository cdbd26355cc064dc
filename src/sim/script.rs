//! The script: which rules decide what the simulator answers?

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use minijinja::Environment;
use regex::Regex;

use super::fault::Fault;
use super::reading;

/// Part of every script's digest: raised whenever the same script would answer differently, so that answers of an older simulator are asked again.
pub const BEHAVIOUR: &str = "promptkeel simulator 2";

/// Largest script; one is written by hand.
const LARGEST: u64 = 8 << 20;

/// A script, read and checked. Rules are tried in order; the first that matches answers.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) name: String,
    pub(super) digest: String,
    pub(super) rules: Vec<Rule>,
    pub(super) otherwise: Option<Then>,
    pub(super) faults: Option<Faults>,
    pub(super) requests_per_minute: Option<u32>,
    /// Models beside those of the real API; they take every parameter.
    pub(super) models: Vec<String>,
    pub(super) batches: Batches,
    pub(super) templates: Environment<'static>,
}

/// One rule: a condition and what follows.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Where it stands in the file.
    pub(super) line: u64,
    pub(super) when: When,
    pub(super) then: Then,
}

/// All that must hold for a rule to answer.
#[derive(Debug, Clone, Default)]
pub(super) struct When {
    /// A glob over the model's id.
    pub(super) model: Option<globset::GlobMatcher>,
    /// Each occurs somewhere in the system prompt or a turn.
    pub(super) text: Vec<String>,
    /// Each occurs in the system prompt.
    pub(super) system: Vec<String>,
    /// Matches somewhere in the system prompt or the turns.
    pub(super) regex: Option<Regex>,
    /// Which of the requests that match the rest.
    pub(super) call: Option<Calls>,
    /// Only streamed requests, or only others.
    pub(super) stream: Option<bool>,
    /// How often it holds where all else does, 0 to 1.
    pub(super) chance: Option<f64>,
}

impl When {
    /// Whether there is no condition at all.
    pub(super) fn holds_always(&self) -> bool {
        let Self { model, text, system, regex, call, stream, chance } = self;
        model.is_none() && text.is_empty() && system.is_empty() && regex.is_none() && call.is_none() && stream.is_none() && chance.is_none()
    }
}

/// Which of the matching requests a rule answers, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// From the first to the last of these, both included.
    Between(u64, u64),
    /// Every n-th.
    Every(u64),
}

impl Calls {
    pub(super) fn holds(self, call: u64) -> bool {
        match self {
            Self::Between(first, last) => first <= call && call <= last,
            Self::Every(n) => call.is_multiple_of(n),
        }
    }
}

/// What a rule answers, and how slowly.
#[derive(Debug, Clone)]
pub(super) struct Then {
    pub(super) answer: Answer,
    pub(super) fault: Option<Fault>,
    /// Before the head of the response.
    pub(super) delay: Duration,
    /// Between two server-sent events.
    pub(super) pace: Duration,
}

/// A message or an error.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Message(Box<MessageAnswer>),
    Error(ErrorAnswer),
}

/// A scripted message.
#[derive(Debug, Clone, Default)]
pub(super) struct MessageAnswer {
    pub(super) blocks: Vec<Block>,
    pub(super) thinking: Option<String>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) refusal: Option<Refusal>,
    pub(super) usage: UsageOverrides,
}

/// A content block of a scripted message.
#[derive(Debug, Clone)]
pub(super) enum Block {
    Text(Text),
    /// Sent as it stands; a `tool_use` without an id gets one.
    Verbatim(serde_json::Value),
}

/// Text that stands, or a template to render.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Literal(String),
    /// The name of a template in [`Script::templates`].
    Template(String),
}

/// A structural refusal.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) category: Option<&'static str>,
    pub(super) explanation: Option<String>,
}

/// Usage members that a script sets instead of the estimate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UsageOverrides {
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cache_read_input_tokens: Option<u64>,
    pub(super) ephemeral_5m_input_tokens: Option<u64>,
    pub(super) ephemeral_1h_input_tokens: Option<u64>,
    pub(super) thinking_tokens: Option<u64>,
}

impl UsageOverrides {
    /// The script says what the prompt cache did, so that nothing of it is counted.
    pub(super) fn set_the_cache(&self) -> bool {
        self.cache_read_input_tokens.is_some() || self.ephemeral_5m_input_tokens.is_some() || self.ephemeral_1h_input_tokens.is_some()
    }
}

/// A scripted error response.
#[derive(Debug, Clone)]
pub(super) struct ErrorAnswer {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) code: Option<String>,
    pub(super) retry_after: Option<u64>,
    pub(super) should_retry: Option<bool>,
}

/// Random faults of a whole script.
#[derive(Debug, Clone)]
pub(super) struct Faults {
    pub(super) rate: f64,
    pub(super) kinds: Vec<Fault>,
    pub(super) retry_after: u64,
    /// At most so many in a row for the same body, so that who retries gets through.
    pub(super) in_a_row: u32,
}

/// How batches go (docs/wire-reference.md 5).
#[derive(Debug, Clone)]
pub(super) struct Batches {
    pub(super) pace: Pace,
    pub(super) expires_after: Duration,
    /// Requests with such a custom id expire whatever else happens.
    pub(super) expire: globset::GlobSet,
    /// The part of the requests that find what is cached: the API promises as much as it can.
    pub(super) cache_hits: f64,
    pub(super) rules: Vec<BatchRule>,
}

/// When a batch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// So long after it was created.
    Takes(Duration),
    /// When it is asked for the so many-th time.
    Polls(u64),
}

/// What goes wrong with a call about batches.
#[derive(Debug, Clone)]
pub(super) struct BatchRule {
    /// Which calls; `None`: all.
    pub(super) on: Option<BatchCall>,
    pub(super) calls: Option<Calls>,
    /// An error or a fault.
    pub(super) then: Then,
}

/// The calls about batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchCall {
    Create,
    Retrieve,
    List,
    Cancel,
    Delete,
    Results,
}

impl BatchCall {
    /// All, by the names that scripts use.
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("create", Self::Create),
        ("retrieve", Self::Retrieve),
        ("list", Self::List),
        ("cancel", Self::Cancel),
        ("delete", Self::Delete),
        ("results", Self::Results),
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, call)| *call)
    }

    /// The place in [`BatchCall::NAMES`], for counters.
    pub(super) fn index(self) -> usize {
        Self::NAMES.iter().position(|(_, call)| *call == self).unwrap_or(0)
    }
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            pace: Pace::Polls(2),
            expires_after: Duration::from_secs(24 * 3600),
            expire: globset::GlobSet::empty(),
            // Documented are 30 to 98 of a hundred.
            cache_hits: 0.75,
            rules: Vec::new(),
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self { rate: 0.0, kinds: Fault::USUAL.to_vec(), retry_after: 1, in_a_row: 2 }
    }
}

impl Script {
    /// Reads a script. `name` is what messages call it, a file name as a rule.
    ///
    /// # Errors
    ///
    /// Every mistake of the script at once, each with its line and column.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        reading::script(name, text).map_err(|problems| ScriptError::Invalid { problems })
    }

    /// Reads a script from a file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read as text, or as for [`Script::parse`].
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = read(path).map_err(|cause| ScriptError::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The identity of what answers: 64 hexadecimal digits over the script's bytes and the simulator's own behaviour.
    #[must_use]
    pub fn digest(&self) -> String {
        self.digest.clone()
    }

    /// What messages call this script.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The text of a regular file of bounded size: a pipe that nobody writes to would be waited for without end.
fn read(path: &Path) -> io::Result<String> {
    let facts = std::fs::metadata(path)?;
    if !facts.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    let length = std::fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if length as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than the limit of {} MiB", LARGEST >> 20)));
    }
    Ok(text)
}

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file could not be read.
    #[error("cannot read the simulator's script {}: {cause}\n  hint: name a YAML file with `rules:`; docs/simulator.md shows one", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The script says something that cannot be.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid {
        /// Every mistake, in the order of the file.
        problems: Vec<ScriptProblem>,
    },
}

/// One mistake in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptProblem {
    /// The script's name.
    pub name: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: {}", self.name, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
