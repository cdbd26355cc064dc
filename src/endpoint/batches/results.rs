//! What does the file of results say (wire reference, 5)? One line a request, in any order; nothing in it is believed unseen.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use reqwest::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{Batch, BatchFault, Batches, FaultKind};
use crate::endpoint::fault;
use crate::endpoint::messages::{self, ApiError, Message, Parsed};
use crate::endpoint::receiving::{LONGEST_BODY, LONGEST_SILENCE};
use crate::model::reply::{Attempt, Reply};
use crate::model::request::Dialect;
use crate::model::verdict::{CellError, ErrorKind};

/// What came of one request of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A whole reply, paid at half price.
    Succeeded(Arc<Reply>),
    /// An error; nothing was paid.
    Errored {
        /// Which.
        error: CellError,
        /// The provider had trouble: the same request may go well another time.
        passing: bool,
    },
    /// The batch was canceled before its turn; nothing was paid.
    Canceled,
    /// The batch ran out of time before its turn; nothing was paid.
    Expired,
    /// The line is about this request, and is no result: it may have been paid.
    Malformed(CellError),
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Whose.
    pub custom_id: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// The lines of one file as they come.
#[derive(Debug)]
pub struct Results<'a> {
    response: Response,
    batch: Batch,
    from: &'a Batches,
    simulated: bool,
    /// What has come and was not read yet.
    buffer: Vec<u8>,
    /// How much of it was looked at.
    seen: usize,
    /// The line that is coming is longer than any reply, and is left out.
    overlong: bool,
    ended: bool,
}

#[derive(Deserialize)]
struct WireLine<'a> {
    custom_id: String,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireResult<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl<'a> Results<'a> {
    pub(super) fn new(response: Response, batch: Batch, from: &'a Batches) -> Self {
        let marked = response.headers().get("promptkeel-simulated").is_some_and(|value| value == "1");
        let simulated = marked || from.dialect == Dialect::Simulated;
        Self { response, batch, from, simulated, buffer: Vec::new(), seen: 0, overlong: false, ended: false }
    }

    /// The next line; `Err(reason)` within is a line that nobody can place.
    ///
    /// # Errors
    /// If the file breaks off: what was read of it holds, and it can be read again.
    pub async fn next(&mut self) -> Result<Option<Result<Line, String>>, BatchFault> {
        while let Some(line) = self.raw().await? {
            match line {
                Ok(bytes) if bytes.trim_ascii().is_empty() => {}
                Ok(bytes) => return Ok(Some(self.read(&bytes))),
                Err(reason) => return Ok(Some(Err(reason))),
            }
        }
        Ok(None)
    }

    /// The bytes of the next line.
    async fn raw(&mut self) -> Result<Option<Result<Vec<u8>, String>>, BatchFault> {
        loop {
            if let Some(end) = self.buffer[self.seen..].iter().position(|byte| *byte == b'\n').map(|end| self.seen + end) {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.seen = 0;
                if std::mem::take(&mut self.overlong) {
                    return Ok(Some(Err(overlong())));
                }
                return Ok(Some(Ok(line)));
            }
            if self.overlong {
                self.buffer.clear();
            }
            self.seen = self.buffer.len();
            self.overlong |= self.seen > LONGEST_BODY;
            if self.ended {
                let line = std::mem::take(&mut self.buffer);
                self.seen = 0;
                if std::mem::take(&mut self.overlong) {
                    return Ok(Some(Err(overlong())));
                }
                return Ok((!line.is_empty()).then_some(Ok(line)));
            }
            let chunk = timeout(LONGEST_SILENCE, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| self.from.too_late(LONGEST_SILENCE))?.map_err(|error| BatchFault {
                kind: FaultKind::Unknown,
                message: format!("the results of batch {} broke off: {}", self.batch.id, self.from.broken(&error).message),
                hint: None,
                after: None,
            })?;
            match chunk {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => self.ended = true,
            }
        }
    }

    fn read(&self, bytes: &[u8]) -> Result<Line, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "a line is not UTF-8".to_owned())?;
        // A parser's words may quote what stands there, half a key too.
        let line: WireLine<'_> = serde_json::from_str(text).map_err(|_| "a line is no JSON object with a `custom_id`".to_owned())?;
        let outcome = line.result.and_then(|result| serde_json::from_str(result.get()).ok()).map_or_else(
            || Outcome::Malformed(self.malformed("it has no `result` with a `type`")),
            |result: WireResult<'_>| self.outcome(&result),
        );
        Ok(Line { custom_id: line.custom_id, outcome })
    }

    fn outcome(&self, result: &WireResult<'_>) -> Outcome {
        match (result.kind.as_str(), result.message, result.error) {
            ("succeeded", Some(message), _) => match messages::parse(message.get()) {
                Ok(Parsed::Message(message)) => Outcome::Succeeded(Arc::new(self.reply(*message))),
                Ok(Parsed::Error(_)) => Outcome::Malformed(self.malformed("it says `succeeded` and holds an error")),
                Err(reason) if self.from.scrubber.finds(message.get()) => {
                    drop(reason);
                    Outcome::Malformed(self.malformed("its message cannot be read, and a key stands in it"))
                }
                Err(reason) => Outcome::Malformed(self.malformed(&reason)),
            },
            ("errored", _, Some(error)) => match messages::parse(error.get()) {
                Ok(Parsed::Error(error)) => self.errored(&error),
                Ok(Parsed::Message(_)) | Err(_) => Outcome::Malformed(self.malformed("it says `errored` and holds no error")),
            },
            ("canceled", _, _) => Outcome::Canceled,
            ("expired", _, _) => Outcome::Expired,
            _ => Outcome::Malformed(self.malformed("its result is none of `succeeded`, `errored`, `canceled`, `expired`")),
        }
    }

    fn reply(&self, mut message: Message) -> Reply {
        message.scrub(&self.from.scrubber);
        let now = (self.from.clock)();
        // Within the batch nobody says when; it was complete when the batch was, and by our clock not later than now.
        let answered_at = self.batch.ended_at.map_or(now, |ended| ended.min(now));
        let took = (answered_at - self.batch.created_at).num_milliseconds();
        let latency_ms = u64::try_from(took).unwrap_or(0);
        let attempt = Attempt { status: Some(200), error: None, message: None, request_id: None, duration_ms: latency_ms, unsent: false };
        let mut usage = message.usage;
        // What is asked in a batch is priced as one, whatever a gateway in between writes (section 5).
        usage.service_tier = Some("batch".to_owned());
        Reply {
            id: message.id,
            request_id: None,
            model: message.model,
            content: message.content,
            stop_reason: message.stop_reason,
            stop_sequence: message.stop_sequence,
            refusal: message.refusal,
            usage,
            answered_at,
            latency_ms,
            attempts: vec![attempt],
            simulated: self.simulated,
        }
    }

    fn errored(&self, error: &ApiError) -> Outcome {
        let kind = fault::kind_of_late_error(error);
        let passing = match kind {
            ErrorKind::RateLimited | ErrorKind::Overloaded | ErrorKind::Server => true,
            ErrorKind::SpendLimit
            | ErrorKind::Denied
            | ErrorKind::NotFound
            | ErrorKind::InvalidRequest
            | ErrorKind::MalformedReply
            | ErrorKind::Connection
            | ErrorKind::Timeout
            | ErrorKind::Budget
            | ErrorKind::Unavailable
            | ErrorKind::Batch
            | ErrorKind::CacheMiss
            | ErrorKind::Store
            | ErrorKind::Judging
            | ErrorKind::Template => false,
        };
        let words = fault::words(error, &self.from.scrubber);
        let message = self.from.scrubber.message(format!("batch {} answered with an error{words}", self.batch.id));
        Outcome::Errored { error: CellError { kind, message, hint: None, attempts: Vec::new() }, passing }
    }

    fn malformed(&self, reason: &str) -> CellError {
        let reason = self.from.scrubber.excerpt(reason, 300);
        let message = format!("the line of batch {} about this request is no result: {reason}", self.batch.id);
        malformed(message, self.latency())
    }

    fn latency(&self) -> u64 {
        let since = |end: DateTime<Utc>| u64::try_from((end - self.batch.created_at).num_milliseconds()).unwrap_or(0);
        self.batch.ended_at.map_or(0, since)
    }
}

fn overlong() -> String {
    format!("a line is longer than {LONGEST_BODY} bytes")
}

/// A result that came damaged, or never: it may stand on the bill, and nobody knows with how much.
pub(crate) fn malformed(message: String, duration_ms: u64) -> CellError {
    let kind = ErrorKind::MalformedReply;
    let attempt =
        Attempt { status: Some(200), error: Some(kind), message: Some(message.clone()), request_id: None, duration_ms, unsent: false };
    let hint = Some("run again to ask for it anew".to_owned());
    CellError { kind, message, hint, attempts: vec![attempt] }
}
