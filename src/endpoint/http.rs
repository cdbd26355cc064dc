//! What happens on the wire during one attempt? The one place of the endpoint room that touches the network.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};

use crate::endpoint::address::Address;
use crate::endpoint::fault::{self, Asked, Fault};
use crate::endpoint::heard;
use crate::endpoint::messages::{self, Message, Parsed};
use crate::endpoint::patience::Patience;
use crate::endpoint::rate_limits::rate_limits;
use crate::endpoint::receiving::{Broken, LONGEST_BODY, LONGEST_ERROR, LONGEST_SILENCE, Progress, Received, Receiver};
use crate::endpoint::secret::Scrubber;
use crate::endpoint::stream::{self, StreamFault};
use crate::endpoint::wire::{Advice, Attempted, Failed, Wire};
use crate::endpoint::{Auth, Call, CallEvent, Clock, EndpointConfig, EndpointError, Streaming, client, counting};
use crate::model::event::Exchange;
use crate::model::reply::{Answer, Attempt, Reply, Served};
use crate::model::request::Dialect;
use crate::model::verdict::{CellError, ErrorKind};

/// One endpoint's HTTP side. The client is made when the first request goes out.
#[derive(Debug)]
pub struct Http {
    name: String,
    dialect: Dialect,
    address: Address,
    url: Url,
    headers: HeaderMap,
    scrubber: Scrubber,
    config: EndpointConfig,
    stream: Streaming,
    receiver: Receiver,
    clock: Clock,
    client: OnceLock<Result<Client, EndpointError>>,
    /// Tokens are counted, and nothing is answered.
    counts: bool,
}

/// The head of a response; empty until it is there.
#[derive(Default)]
struct Head {
    /// Bytes of the request's body.
    sent: usize,
    status: Option<u16>,
    headers: HeaderMap,
    progress: Progress,
}

impl Http {
    /// Checks the settings; makes no connection.
    ///
    /// # Errors
    /// If the address or a header is unusable.
    pub fn new(config: &EndpointConfig, clock: Clock) -> Result<Self, EndpointError> {
        let address =
            Address::parse(&config.base_url).map_err(|reason| EndpointError::Address { endpoint: config.name.clone(), reason })?;
        Ok(Self {
            name: config.name.clone(),
            dialect: config.dialect,
            url: match config.dialect {
                Dialect::Messages | Dialect::Simulated => address.api("messages"),
            },
            headers: headers(config)?,
            scrubber: Scrubber::new(config.secret()),
            config: config.clone(),
            stream: config.stream,
            receiver: Receiver {
                endpoint: config.name.clone(),
                address: address.as_str().to_owned(),
                longest_body: LONGEST_BODY,
                longest_silence: LONGEST_SILENCE,
                longest_error: LONGEST_ERROR,
            },
            clock,
            client: OnceLock::new(),
            counts: false,
            address,
        })
    }

    /// Takes the keys of other endpoints too out of what this one says.
    pub(crate) fn scrubbing(self, scrubber: Scrubber) -> Self {
        Self { scrubber, ..self }
    }

    /// Asks for counts of tokens from now on.
    pub(crate) fn counting(self) -> Self {
        Self { url: self.address.api("messages/count_tokens"), counts: true, stream: Streaming::Never, ..self }
    }

    /// Makes the client now, so that a machine without certificates is found out before the first request.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn prepare(&self) -> Result<(), EndpointError> {
        self.client().map(|_| ()).map_err(Clone::clone)
    }

    fn client(&self) -> Result<&Client, &EndpointError> {
        self.client.get_or_init(|| client::build(&self.name, &self.address)).as_ref()
    }

    fn asked<'a>(&'a self, call: &'a Call) -> Asked<'a> {
        Asked { endpoint: &self.name, address: self.address.as_str(), model: &call.request.model, scrubber: &self.scrubber }
    }

    /// Sends, and reads a success to the end of its message; the body of a failure is left unread. The head is handed out as soon as it is there, so
    /// that a time limit later on does not lose it.
    async fn exchange(
        &self,
        client: &Client,
        call: &Call,
        patience: &Patience,
        head: &mut Head,
    ) -> Result<(Response, Option<Received>), Broken> {
        let streamed = self.stream.applies(&call.request.params);
        let body = if self.counts { counting::body(&call.request) } else { messages::body(&call.request, &call.marks, streamed) };
        head.sent = body.len();
        call.observer.tell(CallEvent::Sent);
        let mut headers = self.headers.clone();
        if streamed {
            // An error before the first event is JSON.
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
        }
        let request = client.post(self.url.clone()).headers(headers).body(body);
        let limit = self.config.head_limit(&call.request.params, streamed);
        let sent = timeout(limit, request.send()).await.map_err(|_| self.receiver.too_late(limit, &head.progress))?;
        let mut response = sent.map_err(|error| self.receiver.broken(&error))?;
        call.observer.tell(CallEvent::FirstByte);
        let status = response.status();
        head.status = Some(status.as_u16());
        head.headers = std::mem::take(response.headers_mut());
        if status.is_success() {
            patience.heard();
        }
        let begins = || call.observer.tell(CallEvent::Begun);
        let received = match status.is_success() {
            true => Some(self.receiver.whole(&mut response, &head.headers, &mut head.progress, begins).await?),
            false => None,
        };
        Ok((response, received))
    }

    /// One exchange within the attempt's time limit. Once a message or a status is there, the limit takes neither away.
    async fn within_limit(&self, client: &Client, call: &Call, patience: &Patience, head: &mut Head) -> Result<Received, Broken> {
        let limit = self.config.attempt_limit(&call.request.params);
        let deadline = Instant::now() + limit;
        let exchanged = timeout(limit, self.exchange(client, call, patience, head)).await;
        let (mut response, received) = exchanged.unwrap_or_else(|_| Err(self.receiver.too_late(limit, &head.progress)))?;
        match received {
            Some(received) => {
                if head.progress.whole.is_some() {
                    self.receiver.rest(&mut response).await;
                }
                Ok(received)
            }
            None => Ok(Received::Bytes(self.receiver.beginning(&mut response, deadline).await)),
        }
    }

    fn reply(&self, message: Message, head: &Head, request_id: Option<String>, latency: Duration) -> Reply {
        let latency_ms = milliseconds(latency);
        let attempt = Attempt {
            status: head.status,
            error: None,
            message: None,
            request_id: request_id.clone(),
            duration_ms: latency_ms,
            unsent: false,
        };
        Reply {
            id: message.id,
            request_id,
            model: message.model,
            content: message.content,
            stop_reason: message.stop_reason,
            stop_sequence: message.stop_sequence,
            refusal: message.refusal,
            usage: message.usage,
            answered_at: (self.clock)(),
            latency_ms,
            attempts: vec![attempt],
            // The header marks simulators that we did not start; for our own the setting is enough, should the header be lost on the way.
            simulated: self.dialect == Dialect::Simulated || head.headers.get("promptkeel-simulated").is_some_and(|value| value == "1"),
        }
    }

    fn failed(&self, fault: Fault, sending: Sending, advice: Advice) -> Failed {
        let Sending { status, request_id, duration, unsent } = sending;
        let message = self.scrubber.message(fault.message);
        let request_id = request_id.or(fault.request_id).map(|id| self.scrubber.excerpt(&id, 200));
        Failed::Attempt {
            attempt: Attempt {
                status,
                error: Some(fault.kind),
                message: Some(message.clone()),
                request_id,
                duration_ms: milliseconds(duration),
                unsent,
            },
            error: CellError { kind: fault.kind, message, hint: fault.hint.map(|hint| self.scrubber.message(hint)), attempts: Vec::new() },
            advice,
        }
    }
}

impl Wire for Http {
    async fn attempt(&self, call: &Call, patience: &Patience) -> Attempted {
        let mut head = Head::default();
        let result = self.once(call, patience, &mut head).await;
        Attempted { result, limits: rate_limits(&head.headers, (self.clock)()) }
    }
}

impl Http {
    async fn once(&self, call: &Call, patience: &Patience, head: &mut Head) -> Result<Answer, Failed> {
        let client = self.client().map_err(|error| {
            Failed::Refused(CellError {
                kind: ErrorKind::Connection,
                message: error.to_string(),
                hint: error.hint().map(str::to_owned),
                attempts: Vec::new(),
            })
        })?;
        patience.begin();
        let started = Instant::now();
        let outcome = self.within_limit(client, call, patience, head).await;
        let duration = head.progress.whole.unwrap_or_else(Instant::now) - started;
        call.observer.tell(CallEvent::Exchange(Box::new(self.told(head, outcome.as_ref(), duration))));
        let request_id = head.headers.get("request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.map(|id| self.scrubber.excerpt(id, 200));
        let mut advice = fault::advice(&head.headers, (self.clock)());
        let mut unsent = false;
        let fault = match outcome {
            Ok(received) => match self.read(received, head, call) {
                Ok(message) => {
                    let reply = self.reply(*message, head, request_id, duration);
                    return Ok(Answer { reply: Arc::new(reply), served: Served::Fresh });
                }
                Err(Unread { fault, no_text }) => {
                    advice.no_text = no_text;
                    fault
                }
            },
            Err(broken) => {
                if broken.hopeless {
                    advice.should_retry = Some(false);
                }
                unsent = broken.unsent;
                Fault { kind: broken.kind, message: broken.message, hint: broken.hint, request_id: None }
            }
        };
        let sending = Sending { status: head.status, request_id, duration, unsent };
        Err(self.failed(fault, sending, advice))
    }
}

/// How far an attempt came that failed.
struct Sending {
    status: Option<u16>,
    request_id: Option<String>,
    duration: Duration,
    unsent: bool,
}

impl Http {
    fn read(&self, received: Received, head: &Head, call: &Call) -> Result<Box<Message>, Unread> {
        let status = head.status.expect("a body comes after its head");
        let body = match received {
            Received::Bytes(body) if !(200..300).contains(&status) => {
                return Err(fault::of_status(status, &head.headers, &body, self.asked(call)).into());
            }
            Received::Bytes(body) if stream::looks_like_a_stream(&body) => stream::read([body.as_slice()]),
            Received::Bytes(body) if self.counts => return Ok(self.read_count(&body, head, call)?),
            Received::Bytes(body) => return self.read_text(body, head, call),
            Received::Assembled(body) => Ok(body),
            Received::Faulty(fault) => Err(fault),
        };
        let malformed = |reason: String| fault::of_stream(&reason, &head.headers, &self.scrubber);
        match body {
            Ok(body) => messages::assembled(body).map(|message| self.scrubbed(message)).map_err(|reason| malformed(reason).into()),
            Err(StreamFault::Malformed(reason)) => Err(malformed(reason).into()),
            Err(StreamFault::NoText(reason)) => Err(Unread { fault: malformed(reason), no_text: true }),
            Err(StreamFault::Error(error)) => Err(fault::of_error_event(&error, self.asked(call)).into()),
            Err(StreamFault::Early(reason)) => Err(Fault {
                kind: ErrorKind::Connection,
                message: format!("the stream from {} ended {reason}", self.address.as_str()),
                hint: None,
                request_id: None,
            }
            .into()),
        }
    }

    fn read_count(&self, body: &[u8], head: &Head, call: &Call) -> Result<Box<Message>, Fault> {
        let text = String::from_utf8_lossy(body);
        counting::read(&text, &call.request.model).map_err(|reason| fault::of_body(&reason, &head.headers, &text, &self.scrubber))
    }

    fn scrubbed(&self, mut message: Box<Message>) -> Box<Message> {
        message.scrub(&self.scrubber);
        message
    }

    /// What may be told of an attempt to whoever looks for a mistake: nothing that a key could stand in.
    fn told(&self, head: &Head, outcome: Result<&Received, &Broken>, duration: Duration) -> Exchange {
        let received = match outcome {
            Ok(Received::Bytes(body)) => Some(body.len()),
            Ok(Received::Assembled(_) | Received::Faulty(_)) => Some(head.progress.streamed),
            Err(_) => None,
        };
        Exchange {
            // Some gateways have a key in the path of their address.
            url: self.scrubber.message(self.url.to_string()),
            sent_bytes: head.sent as u64,
            status: head.status,
            headers: heard::headers(&head.headers, &self.scrubber),
            received_bytes: received.map(|bytes| bytes as u64),
            duration_ms: milliseconds(duration),
            error: outcome.err().map(|broken| self.scrubber.excerpt(&broken.message, 300)),
        }
    }

    /// A body is whole here: one that was cut is a broken connection.
    fn read_text(&self, body: Vec<u8>, head: &Head, call: &Call) -> Result<Box<Message>, Unread> {
        let unread = |reason: &str, text: &str| fault::of_body(reason, &head.headers, text, &self.scrubber);
        let text = match String::from_utf8(body) {
            Ok(text) => text,
            Err(error) => {
                let fault = unread("it is not UTF-8", &String::from_utf8_lossy(error.as_bytes()));
                return Err(Unread { fault, no_text: true });
            }
        };
        match messages::parse(&text) {
            Ok(Parsed::Message(message)) => Ok(self.scrubbed(message)),
            Ok(Parsed::Error(error)) => Err(fault::of_error_body(&error, self.asked(call)).into()),
            Err(reason) => Err(Unread { fault: unread(&reason, &text), no_text: messages::is_no_text(&reason) }),
        }
    }
}

/// A response without a reply.
struct Unread {
    fault: Fault,
    /// As in [`Advice`].
    no_text: bool,
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self { fault, no_text: false }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The headers of every request to an endpoint.
pub(crate) fn headers(config: &EndpointConfig) -> Result<HeaderMap, EndpointError> {
    let unusable = |what: &'static str| EndpointError::Header { endpoint: config.name.clone(), what };
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("anthropic-version", HeaderValue::from_str(&config.api_version).map_err(|_| unusable("`api_version`"))?);
    let beta: Vec<&str> = config.beta.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    if !beta.is_empty() {
        headers.insert("anthropic-beta", HeaderValue::from_str(&beta.join(",")).map_err(|_| unusable("`beta`"))?);
    }
    if let Some(key) = &config.key {
        let (name, value) = credentials(config.auth, key);
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| unusable("the key"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn credentials(auth: Auth, key: &SecretString) -> (reqwest::header::HeaderName, SecretString) {
    // A final line break is what `export KEY=$(cat file)` leaves behind on some shells.
    let key = key.expose_secret().trim();
    match auth {
        Auth::XApiKey => (reqwest::header::HeaderName::from_static("x-api-key"), SecretString::from(key)),
        Auth::Bearer => (AUTHORIZATION, SecretString::from(format!("Bearer {key}"))),
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
