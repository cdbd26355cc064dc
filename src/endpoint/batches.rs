//! How does one talk to `/v1/messages/batches` (wire reference, 5)? One endpoint's calls, and what it means when one fails.
//!
//! What matters is whether a creation may have happened: only an answer that says so, or a connection that never stood, rules it out.

pub mod draft;
pub mod results;
mod wire;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use tokio::time::{Instant, timeout};

use crate::endpoint::address::Address;
use crate::endpoint::batches::results::Results;
use crate::endpoint::fault::{self, Asked};
use crate::endpoint::http::headers;
use crate::endpoint::receiving::{LONGEST_ERROR, LONGEST_SILENCE, Receiver};
use crate::endpoint::secret::Scrubber;
use crate::endpoint::{Clock, EndpointConfig, EndpointError, client};
use crate::model::request::Dialect;
use crate::model::verdict::ErrorKind;

/// Tries of a call that may be repeated.
const TRIES: u32 = 5;

/// A longer answer is no description of batches.
const LONGEST_ANSWER: usize = 8 << 20;

/// Slower than this nobody uploads: 256 MB take seven hours then.
const SLOWEST_UPLOAD: u64 = 10_000;

/// Most entries of one page of a list.
const PAGE: usize = 1000;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits or is worked on.
    InProgress,
    /// Somebody canceled it; what is under way is finished.
    Canceling,
    /// Its results are there, or were.
    Ended,
}

impl Status {
    /// As the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Canceling => "canceling",
            Self::Ended => "ended",
        }
    }
}

/// How many requests of a batch came to what. All of them are `processing` until the whole batch has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Nothing is known of them.
    pub processing: u64,
    /// They have a reply.
    pub succeeded: u64,
    /// They have an error.
    pub errored: u64,
    /// The batch was canceled before their turn.
    pub canceled: u64,
    /// The batch ran out of time before their turn.
    pub expired: u64,
}

impl Counts {
    /// How many requests there are.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.processing
            .saturating_add(self.succeeded)
            .saturating_add(self.errored)
            .saturating_add(self.canceled)
            .saturating_add(self.expired)
    }
}

/// A batch as the API describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// `msgbatch_...`.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// What came of its requests.
    pub counts: Counts,
    /// By the server's clock.
    pub created_at: DateTime<Utc>,
    /// What is not processed by then expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the last of it was processed.
    pub ended_at: Option<DateTime<Utc>>,
    /// Where its results are; `None` before it ended, and after they were put away.
    pub results_url: Option<String>,
}

/// The batches of these endpoints by name. None of them tells a key of another.
///
/// # Errors
/// If an address or a header is unusable.
pub fn clients<'a>(configs: impl Iterator<Item = &'a EndpointConfig> + Clone) -> Result<BTreeMap<Arc<str>, Batches>, EndpointError> {
    let scrubber = Scrubber::new(configs.clone().filter_map(EndpointConfig::secret));
    let client = |config: &EndpointConfig| {
        let batches = Batches { scrubber: scrubber.clone(), ..Batches::new(config)? };
        Ok((Arc::from(config.name.as_str()), batches))
    };
    configs.map(client).collect()
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No connection came about: nothing was done.
    Unsent,
    /// There is no such thing: no batches at this address, or not this one.
    NotFound,
    /// Not now: nothing was done, and it may be asked again.
    Later,
    /// Not at all: nothing was done, and asking again cannot help.
    Refused,
    /// Not so much at once: nothing was done.
    TooLarge,
    /// Nobody knows whether it was done.
    Unknown,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchFault {
    /// What it means.
    pub kind: FaultKind,
    /// One line without any key.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
    /// How long the server wants to be left alone.
    pub after: Option<Duration>,
}

/// The batches of one endpoint. The client is made with the first call.
#[derive(Debug)]
pub struct Batches {
    name: String,
    dialect: Dialect,
    address: Address,
    headers: HeaderMap,
    scrubber: Scrubber,
    attempt_timeout: Duration,
    max_wait: Duration,
    clock: Clock,
    client: OnceLock<Result<Client, EndpointError>>,
    /// The server's last answer said that it is a simulator's.
    simulated: AtomicBool,
}

impl Batches {
    /// Of this endpoint; makes no connection.
    ///
    /// # Errors
    /// If the address or a header is unusable.
    pub fn new(config: &EndpointConfig) -> Result<Self, EndpointError> {
        #[expect(clippy::disallowed_methods, reason = "when a batch ended is a fact of the network, as in `endpoint::build`")]
        Self::with_clock(config, Utc::now)
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clock(config: &EndpointConfig, clock: Clock) -> Result<Self, EndpointError> {
        let address =
            Address::parse(&config.base_url).map_err(|reason| EndpointError::Address { endpoint: config.name.clone(), reason })?;
        Ok(Self {
            name: config.name.clone(),
            dialect: config.dialect,
            headers: headers(config)?,
            scrubber: Scrubber::new(config.secret()),
            attempt_timeout: config.attempt_timeout,
            max_wait: config.max_retry_after,
            clock,
            client: OnceLock::new(),
            simulated: AtomicBool::new(false),
            address,
        })
    }

    /// The endpoint's name in the settings.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.name
    }

    /// How long after a creation whose answer was lost it may still come about: nothing is created again before. Only between us and a
    /// simulator that says it is one stands nothing that could hold a request back; an address of this machine may be a gateway's.
    #[must_use]
    pub fn settling(&self) -> Duration {
        if self.simulated.load(Ordering::Relaxed) { Duration::from_secs(2) } else { Duration::from_secs(60) }
    }

    /// Asks for a new batch, once: whoever repeats it must know that it did not happen.
    ///
    /// # Errors
    /// Says whether it may have happened.
    pub async fn create(&self, body: Bytes) -> Result<Batch, BatchFault> {
        let limit = self.attempt_timeout.max(Duration::from_secs(60)) + Duration::from_secs(body.len() as u64 / SLOWEST_UPLOAD);
        let request = self.request(Method::POST, self.url(""))?.body(body);
        self.described(request, limit).await
    }

    /// How a batch stands.
    ///
    /// # Errors
    /// After some tries.
    pub async fn retrieve(&self, id: &str) -> Result<Batch, BatchFault> {
        self.repeated(async || self.described(self.request(Method::GET, self.url(&format!("/{id}")))?, self.attempt_timeout).await).await
    }

    /// Asks that a batch end early.
    ///
    /// # Errors
    /// After some tries; what has ended cannot be canceled.
    pub async fn cancel(&self, id: &str) -> Result<Batch, BatchFault> {
        let url = || self.url(&format!("/{id}/cancel"));
        self.repeated(async || self.described(self.request(Method::POST, url())?, self.attempt_timeout).await).await
    }

    /// The newest batches, up to `most`, and those before `after` in time where that is given. Whether there are more.
    ///
    /// # Errors
    /// After some tries.
    pub async fn list(&self, most: usize, after: Option<&str>) -> Result<(Vec<Batch>, bool), BatchFault> {
        let mut url = self.url("");
        url.query_pairs_mut().append_pair("limit", &most.clamp(1, PAGE).to_string());
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("after_id", after);
        }
        self.repeated(async || {
            let (body, _) = self.answer(self.request(Method::GET, url.clone())?, self.attempt_timeout).await?;
            wire::list(&body).map_err(|reason| self.unreadable(&reason))
        })
        .await
    }

    /// Begins to read the results of a batch that has ended.
    ///
    /// # Errors
    /// If they are not there.
    pub async fn results(&self, batch: &Batch) -> Result<Results<'_>, BatchFault> {
        // A key goes nowhere but to its own endpoint: a results_url at another place is that of the API behind a gateway.
        let own = self.url(&format!("/{}/results", batch.id));
        let told = batch.results_url.as_deref().and_then(|url| own.join(url).ok()).filter(|url| url.origin() == own.origin());
        let request = self.request(Method::GET, told.unwrap_or(own))?;
        let sent = timeout(self.attempt_timeout, request.send()).await.map_err(|_| self.too_late(self.attempt_timeout))?;
        let response = sent.map_err(|error| self.broken(&error))?;
        if !response.status().is_success() {
            return Err(self.failed(response).await);
        }
        Ok(Results::new(response, batch.clone(), self))
    }

    fn url(&self, path: &str) -> Url {
        self.address.api(&format!("messages/batches{path}"))
    }

    fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, BatchFault> {
        let client = self.client.get_or_init(|| client::build(&self.name, &self.address)).as_ref().map_err(|error| BatchFault {
            kind: FaultKind::Unsent,
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            after: None,
        })?;
        let mut headers = self.headers.clone();
        if method == Method::GET {
            headers.remove(CONTENT_TYPE);
        }
        Ok(client.request(method, url).headers(headers))
    }

    /// Repeats what does no harm when it is done twice.
    async fn repeated<T>(&self, call: impl AsyncFn() -> Result<T, BatchFault>) -> Result<T, BatchFault> {
        let mut tried = 0;
        loop {
            let fault = match call().await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            tried += 1;
            let is_final = matches!(fault.kind, FaultKind::NotFound | FaultKind::Refused | FaultKind::TooLarge);
            if is_final || tried == TRIES {
                return Err(fault);
            }
            let pause = Duration::from_millis(500 << tried.min(6)).mul_f64(0.75 + fastrand::f64() / 4.0);
            tokio::time::sleep(fault.after.map_or(pause, |after| after.min(self.max_wait))).await;
        }
    }

    async fn described(&self, request: RequestBuilder, limit: Duration) -> Result<Batch, BatchFault> {
        let (body, _) = self.answer(request, limit).await?;
        wire::batch(&body).map_err(|reason| self.unreadable(&reason))
    }

    async fn answer(&self, request: RequestBuilder, limit: Duration) -> Result<(Vec<u8>, HeaderMap), BatchFault> {
        let whole = async {
            let mut response = request.send().await.map_err(|error| self.broken(&error))?;
            let is_simulated = response.headers().get("promptkeel-simulated").is_some_and(|value| value == "1");
            self.simulated.store(is_simulated, Ordering::Relaxed);
            if !response.status().is_success() {
                return Err(self.failed(response).await);
            }
            let headers = std::mem::take(response.headers_mut());
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error))? {
                if body.len() + chunk.len() > LONGEST_ANSWER {
                    return Err(self.unreadable(&format!("it is longer than {LONGEST_ANSWER} bytes")));
                }
                body.extend_from_slice(&chunk);
            }
            Ok((body, headers))
        };
        timeout(limit, whole).await.unwrap_or_else(|_| Err(self.too_late(limit)))
    }

    fn receiver(&self) -> Receiver {
        Receiver {
            endpoint: self.name.clone(),
            address: self.address.as_str().to_owned(),
            longest_body: LONGEST_ANSWER,
            longest_silence: LONGEST_SILENCE,
            longest_error: LONGEST_ERROR,
        }
    }

    fn broken(&self, error: &reqwest::Error) -> BatchFault {
        let broken = self.receiver().broken(error);
        BatchFault {
            kind: if broken.unsent { FaultKind::Unsent } else { FaultKind::Unknown },
            message: self.scrubber.message(broken.message),
            hint: broken.hint.map(|hint| self.scrubber.message(hint)),
            after: None,
        }
    }

    fn too_late(&self, limit: Duration) -> BatchFault {
        let message = format!("no whole response from {} within {limit:?}", self.address.as_str());
        BatchFault { kind: FaultKind::Unknown, message, hint: None, after: None }
    }

    fn unreadable(&self, reason: &str) -> BatchFault {
        let message =
            format!("{} answered about batches with something else: {}", self.address.as_str(), self.scrubber.excerpt(reason, 200));
        BatchFault { kind: FaultKind::Unknown, message, hint: None, after: None }
    }

    async fn failed(&self, mut response: Response) -> BatchFault {
        let status = response.status().as_u16();
        let body = self.receiver().beginning(&mut response, Instant::now() + LONGEST_ERROR).await;
        let headers = response.headers();
        // The model is not what these calls are about; where the words name one they would name what nobody asked.
        let asked = Asked { endpoint: &self.name, address: self.address.as_str(), model: "message batches", scrubber: &self.scrubber };
        let fault = fault::of_status(status, headers, &body, asked);
        let kind = match (status, fault.kind) {
            (404 | 405 | 410 | 501, _) => FaultKind::NotFound,
            (413, _) => FaultKind::TooLarge,
            (_, ErrorKind::RateLimited) => FaultKind::Later,
            (408 | 409 | 500..=599, _) => FaultKind::Unknown,
            _ => FaultKind::Refused,
        };
        let hint = match kind {
            FaultKind::NotFound | FaultKind::Unsent => None,
            FaultKind::Later | FaultKind::Refused | FaultKind::TooLarge | FaultKind::Unknown => fault.hint,
        };
        BatchFault {
            kind,
            message: self.scrubber.message(fault.message),
            hint: hint.map(|hint| self.scrubber.message(hint)),
            after: fault::advice(headers, (self.clock)()).after,
        }
    }
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
