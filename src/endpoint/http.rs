//! What happens on the wire during one attempt? The one place of the endpoint room that touches the network.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};

use crate::endpoint::address::Address;
use crate::endpoint::fault::{self, Asked, Fault};
use crate::endpoint::messages::{self, Message, Parsed};
use crate::endpoint::patience::Patience;
use crate::endpoint::rate_limits::rate_limits;
use crate::endpoint::secret::{Scrubber, excerpt};
use crate::endpoint::wire::{Advice, Attempted, Failed, Wire};
use crate::endpoint::{Auth, Call, CallEvent, Clock, EndpointConfig, EndpointError, client};
use crate::model::reply::{Answer, Attempt, Reply, Served};
use crate::model::request::Dialect;
use crate::model::verdict::{CellError, ErrorKind};

/// A longer body is no reply: a whole context window of text is a tenth of it.
const LONGEST_BODY: usize = 64 << 20;

/// Of a failed response, so much is read for its message.
const LONGEST_ERROR_BODY: usize = 64 << 10;

/// One endpoint's HTTP side. The client is made when the first request goes out.
#[derive(Debug)]
pub struct Http {
    name: String,
    dialect: Dialect,
    address: Address,
    url: Url,
    headers: HeaderMap,
    scrubber: Scrubber,
    attempt_timeout: Duration,
    longest_body: usize,
    clock: Clock,
    client: OnceLock<Result<Client, EndpointError>>,
}

/// The head of a response; empty until it is there.
#[derive(Default)]
struct Head {
    status: Option<u16>,
    headers: HeaderMap,
}

/// Why there is no whole response.
struct Broken {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    /// Trying again would end in the same way.
    hopeless: bool,
    /// No connection came about.
    unsent: bool,
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
            // Our own simulator takes any key: the placeholder is no secret, and might be a word of its replies.
            scrubber: Scrubber::new(config.key.as_ref().filter(|_| config.dialect != Dialect::Simulated)),
            attempt_timeout: config.attempt_timeout,
            longest_body: LONGEST_BODY,
            clock,
            client: OnceLock::new(),
            address,
        })
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
        Asked { endpoint: &self.name, address: self.address.as_str(), model: &call.request.model }
    }

    /// Sends and reads to the end. The head is handed out as soon as it is there, so that a time limit later on does not lose it.
    async fn exchange(&self, client: &Client, call: &Call, head: &mut Head) -> Result<Vec<u8>, Broken> {
        let body = messages::body(&call.request);
        call.observer.tell(CallEvent::Sent);
        let request = client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let mut response = request.send().await.map_err(|error| self.broken(&error))?;
        call.observer.tell(CallEvent::FirstByte);
        let status = response.status();
        *head = Head { status: Some(status.as_u16()), headers: std::mem::take(response.headers_mut()) };
        if status.is_success() { self.whole(&mut response).await } else { Ok(self.beginning(&mut response).await) }
    }

    async fn whole(&self, response: &mut Response) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::with_capacity(response.content_length().map_or(4096, |length| length.min(1 << 20) as usize));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken_in_body(&error, body.len()))? {
            if body.len() + chunk.len() > self.longest_body {
                return Err(Broken {
                    kind: ErrorKind::MalformedReply,
                    message: format!("the body of the response is longer than {} bytes", self.longest_body),
                    hint: Some(format!("check that {} is a Messages API", self.address.as_str())),
                    hopeless: true,
                    unsent: false,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The status of a failed response says enough: that its body breaks off is no second failure.
    async fn beginning(&self, response: &mut Response) -> Vec<u8> {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= LONGEST_ERROR_BODY {
                body.truncate(LONGEST_ERROR_BODY);
                break;
            }
        }
        body
    }

    fn broken(&self, error: &reqwest::Error) -> Broken {
        let words = client::chain(error);
        let address = self.address.as_str();
        let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Connection };
        let (message, hint) = if error.is_connect() {
            let hint = if words.contains("ertificate") {
                "the server's certificate is not trusted here: install ca-certificates, or name a bundle with SSL_CERT_FILE".to_owned()
            } else {
                format!("check `base_url` of endpoint `{}`, the network and the proxy settings", self.name)
            };
            (format!("no connection to {address}: {words}"), Some(hint))
        } else {
            (format!("the connection to {address} broke before a response came: {words}"), None)
        };
        Broken { kind, message, hint, hopeless: error.is_builder(), unsent: error.is_connect() || error.is_builder() }
    }

    fn broken_in_body(&self, error: &reqwest::Error, received: usize) -> Broken {
        let (kind, what) = if error.is_timeout() { (ErrorKind::Timeout, "took too long") } else { (ErrorKind::Connection, "broke off") };
        Broken {
            kind,
            message: format!("the response from {} {what} after {received} bytes: {}", self.address.as_str(), client::chain(error)),
            hint: None,
            hopeless: false,
            unsent: false,
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
        let request_id = request_id.or(fault.request_id).map(|id| self.scrubber.message(excerpt(&id, 200)));
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
    async fn attempt(&self, call: &Call, _patience: &Patience) -> Attempted {
        let mut head = Head::default();
        let result = self.once(call, &mut head).await;
        Attempted { result, limits: rate_limits(&head.headers, (self.clock)()) }
    }
}

impl Http {
    async fn once(&self, call: &Call, head: &mut Head) -> Result<Answer, Failed> {
        let client = self.client().map_err(|error| {
            Failed::Refused(CellError {
                kind: ErrorKind::Connection,
                message: error.to_string(),
                hint: error.hint().map(str::to_owned),
                attempts: Vec::new(),
            })
        })?;
        let started = Instant::now();
        let outcome = timeout(self.attempt_timeout, self.exchange(client, call, head)).await.unwrap_or_else(|_| Err(self.too_late()));
        let duration = started.elapsed();
        let request_id = head.headers.get("request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.map(|id| self.scrubber.message(excerpt(id, 200)));
        let mut advice = fault::advice(&head.headers, (self.clock)());
        let mut unsent = false;
        let fault = match outcome {
            Ok(body) => match self.read(body, head, call) {
                Ok(message) => {
                    let reply = self.reply(*message, head, request_id, duration);
                    return Ok(Answer { reply: Arc::new(reply), served: Served::Fresh });
                }
                Err(fault) => fault,
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
    fn read(&self, body: Vec<u8>, head: &Head, call: &Call) -> Result<Box<Message>, Fault> {
        let status = head.status.expect("a body comes after its head");
        if !(200..300).contains(&status) {
            return Err(fault::of_status(status, &head.headers, &body, self.asked(call)));
        }
        let text = String::from_utf8(body)
            .map_err(|error| fault::of_body("it is not UTF-8", &head.headers, &String::from_utf8_lossy(error.as_bytes())))?;
        let text = self.scrubber.body(text);
        match messages::parse(&text) {
            Ok(Parsed::Message(message)) => Ok(message),
            Ok(Parsed::Error(error)) => Err(fault::of_error_body(&error, self.asked(call))),
            Err(reason) => Err(fault::of_body(&reason, &head.headers, &text)),
        }
    }

    fn too_late(&self) -> Broken {
        Broken {
            kind: ErrorKind::Timeout,
            message: format!("no whole response from {} within {:?}", self.address.as_str(), self.attempt_timeout),
            hint: Some(format!("raise `attempt_timeout` of endpoint `{}` if such replies need longer", self.name)),
            hopeless: false,
            unsent: false,
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn headers(config: &EndpointConfig) -> Result<HeaderMap, EndpointError> {
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
