//! Sending an answer: whole, streamed, or broken as a fault demands.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Response};

use super::super::accounting::Fate;
use super::super::api_error::{ApiError, kind_of, words_of};
use super::super::body::{Body, Broken, Step};
use super::super::fault::Fault;
use super::super::limit::Taken;
use super::super::reply::Message;
use super::super::script::ErrorAnswer;
use super::super::socket::Line;
use super::super::stream;
use super::Service;

/// What a proxy in front of the API sends when it has lost the way.
const HTML: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>simulated proxy</center>\r\n</body>\r\n</html>\r\n";

/// What names one request.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) number: u64,
    request: String,
}

impl Ids {
    pub(super) fn new(number: u64) -> Self {
        Self { number, request: format!("req_01SIM{number:019}") }
    }
}

impl From<&ErrorAnswer> for ApiError {
    fn from(answer: &ErrorAnswer) -> Self {
        Self {
            status: answer.status,
            kind: answer.kind.clone().into(),
            message: answer.message.clone(),
            code: answer.code.clone().map(Into::into),
            retry_after: answer.retry_after,
            should_retry: answer.should_retry,
        }
    }
}

impl Service {
    /// An answer that is no message: lists, counts, statistics.
    pub(super) fn plain(&self, status: u16, body: Bytes, ids: &Ids) -> Response<Body> {
        let mut response = self.head(status, Body::whole(body), ids, None);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// An error of the API.
    pub(super) fn refuse(&self, error: &ApiError, ids: &Ids, taken: Taken) -> Response<Body> {
        self.accounting.status(error.status);
        let mut response = self.head(error.status, Body::whole(error.body(&ids.request)), ids, Some(taken));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = error.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(retry) = error.should_retry {
            headers.insert("x-should-retry", HeaderValue::from_static(if retry { "true" } else { "false" }));
        }
        response
    }

    /// A message, whole or as events.
    pub(super) fn send(&self, message: &Message, stream: bool, pace: Duration, ids: &Ids, taken: Taken) -> Response<Body> {
        self.deliver(message);
        if stream {
            let mut steps = Vec::new();
            for event in stream::events(message, false) {
                steps.push(Step::Send(event));
                if pace > Duration::ZERO {
                    steps.extend([Step::Flush, Step::Wait(pace)]);
                }
            }
            return self.streamed(steps, ids, taken);
        }
        self.json(Body::whole(encode(message)), ids, taken)
    }

    fn json(&self, body: Body, ids: &Ids, taken: Taken) -> Response<Body> {
        let mut response = self.head(200, body, ids, Some(taken));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    fn streamed(&self, steps: Vec<Step>, ids: &Ids, taken: Taken) -> Response<Body> {
        let mut response = self.head(200, Body::steps(steps, self.waiting.clone()), ids, Some(taken));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    /// The head that every answer has: whoever reads it can tell that nothing of this was paid.
    pub(super) fn head(&self, status: u16, body: Body, ids: &Ids, taken: Option<Taken>) -> Response<Body> {
        let mut response = Response::new(body);
        // Room for all that follows: an answer has up to twenty headers.
        *response.headers_mut() = HeaderMap::with_capacity(24);
        *response.status_mut() = hyper::StatusCode::from_u16(status).expect("scripts and validation only use statuses from 200 to 599");
        let headers = response.headers_mut();
        headers.insert("request-id", HeaderValue::from_str(&ids.request).expect("a request id is ASCII"));
        headers.insert("promptkeel-simulated", HeaderValue::from_static("1"));
        headers.insert("anthropic-organization-id", HeaderValue::from_static("00000000-0000-4000-8000-5173a7ed0000"));
        // Section 2.2: whoever did not say who they are has no workspace.
        if status != 401 {
            headers.insert("anthropic-workspace-id", HeaderValue::from_static("wrkspc_01SIM"));
        }
        if let Some(taken) = taken {
            self.limit.headers(taken, headers);
        }
        response
    }

    /// Nothing is carried out: an error, or no answer at all.
    pub(super) async fn keep_back(
        &self,
        fault: Fault,
        retry_after: u64,
        ids: &Ids,
        taken: Taken,
        line: &Line,
    ) -> Result<Response<Body>, Broken> {
        let error = |status: u16, retry_after: Option<u64>| {
            let mut error = ApiError::new(status, words_of(status));
            error.retry_after = retry_after;
            Ok(self.refuse(&error, ids, taken))
        };
        match fault {
            Fault::RateLimit => error(429, Some(retry_after)),
            Fault::ServerError => error(500, None),
            Fault::Overloaded | Fault::ErrorEvent => error(529, None),
            Fault::Timeout => error(504, None),
            Fault::Reset => {
                line.reset();
                Err(Broken)
            }
            Fault::Hang => {
                self.hang().await;
                Err(Broken)
            }
            Fault::Html => {
                self.accounting.status(502);
                let mut response = Response::new(Body::whole(Bytes::from_static(HTML.as_bytes())));
                // A proxy knows neither the request's id nor the limits; only that this is simulated is always said.
                *response.status_mut() = hyper::StatusCode::BAD_GATEWAY;
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                response.headers_mut().insert("promptkeel-simulated", HeaderValue::from_static("1"));
                Ok(response)
            }
            Fault::Drop
            | Fault::Cut
            | Fault::InvalidJson
            | Fault::Stall
            | Fault::EarlyEnd
            | Fault::UnknownEvent
            | Fault::Split
            | Fault::LineEnds
            | Fault::Disorder
            | Fault::Lost => Err(Broken),
        }
    }

    /// Answers as a fault demands. `message` is what would have been answered.
    #[expect(clippy::too_many_arguments, reason = "one call site each for scripted and random faults; a struct would only rename the list")]
    pub(super) async fn break_it(
        &self,
        fault: Fault,
        message: &Message,
        stream: bool,
        pace: Duration,
        retry_after: u64,
        ids: &Ids,
        taken: Taken,
        line: &Line,
    ) -> Result<Response<Body>, Broken> {
        self.fault(fault);
        match fault {
            Fault::RateLimit
            | Fault::ServerError
            | Fault::Overloaded
            | Fault::Timeout
            | Fault::Drop
            | Fault::Reset
            | Fault::Hang
            | Fault::Html => self.keep_back(fault, retry_after, ids, taken, line).await,
            Fault::Lost => {
                self.accounting.reply(message, Fate::Lost, self.today());
                Err(Broken)
            }
            // On a request that is not streamed these are what comes nearest.
            Fault::ErrorEvent if !stream => self.keep_back(fault, retry_after, ids, taken, line).await,
            Fault::Cut | Fault::Stall | Fault::EarlyEnd | Fault::ErrorEvent if stream => {
                self.lose(message);
                Ok(self.streamed(self.broken_events(fault, message, pace, ids), ids, taken))
            }
            Fault::Cut | Fault::Stall | Fault::EarlyEnd | Fault::ErrorEvent => {
                self.lose(message);
                let whole = encode(message);
                let half = whole.slice(..whole.len() / 2);
                let end = if fault == Fault::Stall { Step::Hang } else { Step::Break };
                let mut response = self.json(Body::steps([Step::Send(half), Step::Flush, end], self.waiting.clone()), ids, taken);
                response.headers_mut().insert(CONTENT_LENGTH, whole.len().into());
                Ok(response)
            }
            Fault::UnknownEvent if stream => {
                self.deliver(message);
                Ok(self.streamed(stream::events(message, true).into_iter().map(Step::Send).collect(), ids, taken))
            }
            Fault::UnknownEvent => Ok(self.send(message, stream, pace, ids, taken)),
            Fault::LineEnds if stream => {
                self.deliver(message);
                let text = String::from_utf8_lossy(&stream::events(message, false).concat()).replace('\n', "\r\n");
                let pieces = text.split_inclusive('\r').map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
                let steps = pieces.flat_map(|piece| [Step::Send(piece), Step::Flush]).collect();
                Ok(self.streamed(steps, ids, taken))
            }
            Fault::LineEnds => Ok(self.send(message, stream, pace, ids, taken)),
            Fault::Disorder if stream => {
                self.lose(message);
                let mut events = stream::events(message, false);
                // Behind everything but `message_delta` and `message_stop`.
                events.insert(events.len() - 2, stream::late_delta());
                Ok(self.streamed(events.into_iter().map(Step::Send).collect(), ids, taken))
            }
            Fault::InvalidJson | Fault::Disorder => {
                self.lose(message);
                let mut body = encode(message).to_vec();
                body.truncate(body.len() / 2);
                Ok(self.json(Body::whole(Bytes::from(body)), ids, taken))
            }
            Fault::Split => {
                self.deliver(message);
                let whole = if stream { Bytes::from(stream::events(message, false).concat()) } else { encode(message) };
                let mut steps = Vec::with_capacity(whole.len());
                for at in (0..whole.len()).step_by(3) {
                    steps.extend([Step::Send(whole.slice(at..whole.len().min(at + 3))), Step::Flush]);
                }
                Ok(if stream { self.streamed(steps, ids, taken) } else { self.json(Body::steps(steps, self.waiting.clone()), ids, taken) })
            }
        }
    }

    /// The head of the answer says 200, but the answer is lost.
    fn lose(&self, message: &Message) {
        self.accounting.status(200);
        self.accounting.reply(message, Fate::Lost, self.today());
    }

    fn deliver(&self, message: &Message) {
        self.accounting.status(200);
        self.accounting.reply(message, Fate::Delivered, self.today());
    }

    fn broken_events(&self, fault: Fault, message: &Message, pace: Duration, ids: &Ids) -> Vec<Step> {
        let events = stream::events(message, false);
        // The head and about half of the rest; never `message_delta`, with which an answer would be nearly whole.
        let kept = (events.len() / 2).clamp(1, events.len() - 2);
        let mut steps = Vec::new();
        for event in &events[..kept] {
            steps.push(Step::Send(event.clone()));
            if pace > Duration::ZERO {
                steps.extend([Step::Flush, Step::Wait(pace)]);
            }
        }
        steps.push(Step::Flush);
        match fault {
            Fault::ErrorEvent => steps.push(Step::Send(stream::error_event(kind_of(529), words_of(529), &ids.request))),
            Fault::Stall => steps.push(Step::Hang),
            Fault::Cut => {
                let next = &events[kept];
                steps.extend([Step::Send(next.slice(..next.len() / 2)), Step::Flush, Step::Break]);
            }
            // The body ends as if all were well.
            _ => {}
        }
        steps
    }
}

fn encode(message: &Message) -> Bytes {
    Bytes::from(serde_json::to_vec(message).expect("a message has only text keys"))
}
