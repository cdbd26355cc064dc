//! Who answers a call? One trait, and the stack of decorators that makes a reliable answer out of attempts on a wire.
//!
//! ```text
//! Cached< Router< Warming< Retrying< Limited< Budgeted< Http >>>>>>
//! ```
//!
//! Order is meaning: a stored answer takes no permit, the router finds the endpoint by name, a sleeping retry holds no permit, and every
//! attempt passes the limiter and reserves what it can cost from the budget. Of calls that share a prompt prefix one goes first
//! ([`warming`]), and the others wait outside of all that. Above [`retry`] there are calls ([`Endpoint`]), below it attempts ([`wire::Wire`]).

pub mod address;
pub mod batches;
mod breaker;
mod bucket;
pub mod budget;
mod circuit;
mod client;
pub mod counting;
mod fault;
mod heard;
pub mod http;
mod lane;
pub mod limit;
mod marks;
pub mod messages;
mod pace;
pub mod patience;
pub mod rate_limits;
mod receiving;
pub mod retry;
pub mod router;
pub(crate) mod secret;
pub mod sse;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;
mod unfinished;
pub mod warming;
pub mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use crate::endpoint::budget::{Budget, Budgeted};
use crate::endpoint::http::Http;
use crate::endpoint::limit::Limited;
use crate::endpoint::patience::Flight;
use crate::endpoint::retry::Retrying;
use crate::endpoint::router::Router;
use crate::endpoint::secret::Scrubber;
use crate::endpoint::warming::Warming;
use crate::model::catalog::Catalog;
use crate::model::event::Exchange;
use crate::model::key::Key;
use crate::model::money::Money;
use crate::model::prefix::Marks;
use crate::model::reply::Answer;
use crate::model::request::{Dialect, EndpointIdentity, Params, Request};
use crate::model::verdict::CellError;

/// Something that answers calls: an endpoint, or a decorator around one.
pub trait Endpoint: Send + Sync + 'static {
    /// The answer, or why there is none. What was paid for is stored even where the caller stops waiting.
    fn ask(&self, call: Call) -> impl Future<Output = Result<Answer, CellError>> + Send;
}

impl<E: Endpoint> Endpoint for Arc<E> {
    fn ask(&self, call: Call) -> impl Future<Output = Result<Answer, CellError>> + Send {
        E::ask(self, call)
    }
}

/// One sample to answer.
#[derive(Debug, Clone)]
pub struct Call {
    /// What to ask.
    pub request: Arc<Request>,
    /// Whom, by the name in the settings.
    pub endpoint: Arc<str>,
    /// Under which key the answer is stored.
    pub key: Key,
    /// Which of the independent answers to the same request; part of the key.
    pub sample: u32,
    /// What goes out with it for the provider's prompt cache, and whom it shares that with; no part of the key.
    pub marks: Marks,
    /// The suite whose cap it counts for.
    pub suite: Arc<str>,
    /// The most that one attempt can cost; `None` where it has no bound.
    pub worst_case: Option<Money>,
    /// How long the case may take, counted from its first attempt: waiting in line behind other cells is not its fault.
    /// It ends waiting and sleeping; an attempt under way has its own limit.
    pub deadline: Duration,
    /// Who hears how it goes.
    pub observer: Observer,
    /// Who waits for it; [`Flight::default`] everywhere but in the store.
    pub flight: Flight,
}

/// What happens to a call on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEvent {
    /// It stands in line for a permit.
    Queued,
    /// A request goes out: money may be spent from here on.
    Sent,
    /// The head of the response is there.
    FirstByte,
    /// The first event of a stream is there: the model has read the prompt.
    Begun,
    /// An attempt is over, well or not: what went out and what came back.
    Exchange(Box<Exchange>),
    /// The attempt failed, and another one follows.
    Retrying {
        /// What failed.
        message: String,
        /// Until the next attempt.
        delay: Duration,
        /// The number of the next attempt; the first was 1.
        attempt: u32,
    },
    /// The endpoint has answered nothing for a while: every call waits, and one at a time finds out whether it is back.
    Silent {
        /// After so long it is given up.
        give_up_after: Duration,
    },
    /// A call that shares its beginning with this one, and went first, has not been answered for so long: this one goes beside it.
    Overdue {
        /// Since it was sent.
        waited: Duration,
    },
    /// This call was told to wait, and every other call of its endpoint waits with it.
    CoolingDown {
        /// For how long.
        delay: Duration,
    },
}

/// Who hears how a call goes. Called on the async threads: it must return at once.
#[derive(Clone)]
pub struct Observer(Option<Arc<dyn Fn(CallEvent) + Send + Sync>>);

impl Observer {
    /// Hears every event.
    pub fn new(hear: impl Fn(CallEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }

    /// Hears nothing.
    #[must_use]
    pub const fn silent() -> Self {
        Self(None)
    }

    /// Tells it what happened.
    pub fn tell(&self, event: CallEvent) {
        if let Some(hear) = &self.0 {
            hear(event);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Observer(..)" } else { "Observer(silent)" })
    }
}

/// How the key is sent (wire reference, 0.2): the API takes both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Auth {
    /// `x-api-key: KEY`.
    #[default]
    XApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
}

/// The largest `max_tokens` that the official clients take without streaming: they expect 3,600 s for 128,000 tokens, and stream what would
/// take longer than 600 s (wire reference, 3.2).
const LONGEST_UNSTREAMED: u64 = 600 * 128_000 / 3600;

/// Whether replies are asked for as streams of events. It changes how a reply travels, never what it is: it is no part of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Streaming {
    /// Where `max_tokens` is so large that the official clients insist on it.
    #[default]
    Auto,
    /// Wherever the API takes it.
    Always,
    /// Nowhere.
    Never,
}

impl Streaming {
    /// Whether a request with these parameters is streamed.
    #[must_use]
    pub fn applies(self, params: &Params) -> bool {
        match self {
            Self::Auto => params.max_tokens.is_some_and(|most| most > LONGEST_UNSTREAMED),
            // Filling the prompt cache, which is what a zero means, is refused in streams (6.5).
            Self::Always => params.max_tokens != Some(0),
            Self::Never => false,
        }
    }
}

/// Everything about one endpoint, resolved from settings and environment.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Its name in the settings.
    pub name: String,
    /// Which protocol it speaks.
    pub dialect: Dialect,
    /// Where it is: `https://api.anthropic.com`, with or without `/v1` or a final slash.
    pub base_url: String,
    /// The key; printed nowhere.
    pub key: Option<SecretString>,
    /// How the key is sent.
    pub auth: Auth,
    /// `anthropic-version`.
    pub api_version: String,
    /// `anthropic-beta`.
    pub beta: Vec<String>,
    /// Requests under way at once, per model.
    pub max_concurrency: usize,
    /// Requests begun per minute, per model; `None` means no limit.
    pub requests_per_minute: Option<u32>,
    /// Input tokens per minute, per model; what a prompt cache served does not count. `None` means no limit.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens per minute, per model, as they are written. `None` means no limit.
    pub output_tokens_per_minute: Option<u64>,
    /// Attempts per call, the first included.
    pub max_attempts: u32,
    /// One attempt, from sending to the last byte.
    pub attempt_timeout: Duration,
    /// A reply gets longer than that where its `max_tokens` can take longer; the beginning of a stream never does.
    pub attempt_grows: bool,
    /// The longest wait that a server may ask for; a longer one is cut to this.
    pub max_retry_after: Duration,
    /// An endpoint that gives no usable answer for so long is given up.
    pub give_up_after: Duration,
    /// Where its provider says how it is.
    pub status_page: Option<String>,
    /// Whether replies are streamed.
    pub stream: Streaming,
    /// What the cache key says about it.
    pub identity: EndpointIdentity,
}

/// The longest that a reply is waited for because of its `max_tokens`.
const LONGEST_REPLY: Duration = Duration::from_secs(3 * 3600);

impl EndpointConfig {
    /// The time limit of one attempt with these parameters: at least as long as the official clients expect `max_tokens` to take, 3,600 s for
    /// 128,000 (wire reference, 3.2).
    pub(crate) fn attempt_limit(&self, params: &Params) -> Duration {
        let expected = Duration::from_millis(params.max_tokens.unwrap_or(0).saturating_mul(3_600_000) / 128_000).min(LONGEST_REPLY);
        if self.attempt_grows { self.attempt_timeout.max(expected) } else { self.attempt_timeout }
    }

    /// How long the head of a response is awaited. A reply in one piece begins when it is written to its end; a stream begins at once,
    /// however long it will be, and where nothing begins nobody is writing.
    pub(crate) fn head_limit(&self, params: &Params, streamed: bool) -> Duration {
        if streamed { self.attempt_timeout } else { self.attempt_limit(params) }
    }

    /// The key, where it is a secret: our own simulator takes any, and its placeholder might be a word of its replies.
    pub(crate) fn secret(&self) -> Option<&SecretString> {
        match self.dialect {
            Dialect::Messages => self.key.as_ref(),
            Dialect::Simulated => None,
        }
    }
}

/// Why the endpoints cannot be built from their settings. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an address that a Messages API can have.
    #[error("`base_url` of endpoint `{endpoint}` is no usable address: {reason}")]
    Address {
        /// The endpoint's name.
        endpoint: String,
        /// What is wrong; never repeats a password.
        reason: String,
    },
    /// A value that no HTTP header can carry.
    #[error("{what} of endpoint `{endpoint}` holds characters that an HTTP header cannot carry")]
    Header {
        /// The endpoint's name.
        endpoint: String,
        /// The setting.
        what: &'static str,
    },
    /// More than any service's key: a file, perhaps.
    #[error("the key of endpoint `{endpoint}` is {bytes} bytes long, and no key is longer than {}", secret::LONGEST_KEY)]
    LongKey {
        /// The endpoint's name.
        endpoint: String,
        /// How long.
        bytes: usize,
    },
    /// The same name twice.
    #[error("endpoint `{0}` is configured twice")]
    Duplicate(String),
    /// The machine knows no certificate authorities.
    #[error("endpoint `{endpoint}` speaks https, and this machine has no CA certificates to check it with")]
    NoCertificates {
        /// The endpoint's name.
        endpoint: String,
    },
    /// The HTTP client does not start, for another reason.
    #[error("the HTTP client of endpoint `{endpoint}` does not start: {reason}")]
    Client {
        /// The endpoint's name.
        endpoint: String,
        /// The library's words.
        reason: String,
    },
}

impl EndpointError {
    /// The next step.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Address { .. } => Some("write it like `https://api.anthropic.com`"),
            Self::Header { .. } => Some("look for line breaks or spaces at its ends"),
            Self::LongKey { .. } => Some("look at what the variable holds: the key alone belongs into it"),
            Self::Duplicate(_) | Self::Client { .. } => None,
            Self::NoCertificates { .. } => Some("install ca-certificates, or name a bundle with SSL_CERT_FILE"),
        }
    }
}

/// The stack below the store.
pub type Stack = Router<Warming<Retrying<Limited<Budgeted<Http>>>>>;

/// The time of day; passed in so that a test can choose the day on which an answer is paid.
pub type Clock = fn() -> DateTime<Utc>;

/// What the attempts of every endpoint may cost together.
#[derive(Debug, Clone)]
pub struct Spending {
    /// The caps.
    pub budget: Arc<Budget>,
    /// The prices.
    pub catalog: Arc<Catalog>,
}

/// The stack over these endpoints, with the system's clock. The seed decides the jitter of retries.
///
/// # Errors
/// If an address or a header is unusable, or a name stands twice. No connection is made and no certificate read.
pub fn build(configs: Vec<EndpointConfig>, spending: &Spending, seed: u64) -> Result<Stack, EndpointError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the moment at which an answer arrives is a fact of the network, and this is its address"
    )]
    build_with_clock(configs, spending, seed, Utc::now)
}

/// The stack over these endpoints.
///
/// # Errors
/// As [`build`].
pub fn build_with_clock(configs: Vec<EndpointConfig>, spending: &Spending, seed: u64, clock: Clock) -> Result<Stack, EndpointError> {
    let mut endpoints = Vec::with_capacity(configs.len());
    for config in &configs {
        let bytes = config.key.as_ref().map_or(0, |key| key.expose_secret().len());
        if bytes > secret::LONGEST_KEY {
            return Err(EndpointError::LongKey { endpoint: config.name.clone(), bytes });
        }
    }
    let scrubber = Scrubber::new(configs.iter().filter_map(EndpointConfig::secret));
    for config in configs {
        let name: Arc<str> = Arc::from(config.name.as_str());
        let http = Http::new(&config, clock)?.scrubbing(scrubber.clone());
        let budgeted = Budgeted::new(http, Arc::clone(&spending.budget), Arc::clone(&spending.catalog));
        let limited = Limited::new(budgeted, &config);
        endpoints.push((name, Warming::new(Retrying::new(limited, &config, seed), config.stream)));
    }
    Router::new(endpoints)
}
