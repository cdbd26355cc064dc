//! How does the body of a response arrive, and how can it fail to?

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::endpoint::client;
use crate::endpoint::stream::{Reader, StreamFault};
use crate::model::verdict::ErrorKind;

/// A longer body is no reply: a whole context window of text is a tenth of it.
pub(crate) const LONGEST_BODY: usize = 64 << 20;

/// Of a failed response, so much is read for its message.
const LONGEST_ERROR_BODY: usize = 64 << 10;

/// A stream says something at least this often: the API sends `ping` events while a model thinks.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// Of a failed response, the body is awaited so long: the status has come, and says what failed.
pub(crate) const LONGEST_ERROR: Duration = Duration::from_secs(5);

/// After `message_stop` the end of the body is awaited so long, for the sake of the connection; the reply needs it no more.
const GRACE: Duration = Duration::from_secs(1);

/// A body that came to its end.
#[derive(Debug)]
pub(crate) enum Received {
    /// In one piece.
    Bytes(Vec<u8>),
    /// As events that made up this body.
    Assembled(Value),
    /// As events that did not.
    Faulty(StreamFault),
}

/// Why there is no whole response.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Trying again would end in the same way.
    pub(crate) hopeless: bool,
    /// No connection came about.
    pub(crate) unsent: bool,
}

/// How far a body has come; read where a time limit ends the reading.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    /// Bytes of a stream of events so far.
    pub(crate) streamed: usize,
    /// When the last of them came.
    pub(crate) last: Option<Instant>,
    /// When `message_stop` came.
    pub(crate) whole: Option<Instant>,
}

/// Reads bodies of one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    /// The endpoint's name, for hints.
    pub(crate) endpoint: String,
    /// Its address, for messages.
    pub(crate) address: String,
    pub(crate) longest_body: usize,
    pub(crate) longest_silence: Duration,
    pub(crate) longest_error: Duration,
}

impl Receiver {
    /// The body of a success: to its end, or to the end of the message that is streamed in it, whose first event is told.
    pub(crate) async fn whole(
        &self,
        response: &mut Response,
        headers: &HeaderMap,
        progress: &mut Progress,
        begins: impl Fn(),
    ) -> Result<Received, Broken> {
        if is_event_stream(headers) { self.events(response, progress, begins).await } else { self.bytes(response, Vec::new()).await }
    }

    async fn bytes(&self, response: &mut Response, beginning: Vec<u8>) -> Result<Received, Broken> {
        let mut body = beginning;
        body.reserve(response.content_length().map_or(4096, |length| length.min(1 << 20) as usize));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken_in_body(&error, body.len()))? {
            self.bounded(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        Ok(Received::Bytes(body))
    }

    async fn events(&self, response: &mut Response, progress: &mut Progress, begins: impl Fn()) -> Result<Received, Broken> {
        let mut reader = Reader::default();
        let mut begun = false;
        loop {
            let chunk = match timeout(self.longest_silence, response.chunk()).await {
                Ok(chunk) => chunk.map_err(|error| self.broken_in_body(&error, progress.streamed))?,
                Err(_) => return Err(self.silent(progress.streamed)),
            };
            let Some(chunk) = chunk else { break };
            // Some gateways call everything a stream that answers a streamed request: their JSON is JSON all the same.
            if !begun && chunk.trim_ascii_start().first() == Some(&b'{') {
                return self.bytes(response, chunk.to_vec()).await;
            }
            begun |= !chunk.trim_ascii().is_empty();
            progress.streamed += chunk.len();
            progress.last = Some(Instant::now());
            self.bounded(progress.streamed)?;
            let had_begun = reader.has_begun();
            if let Err(fault) = reader.feed(&chunk) {
                return Ok(Received::Faulty(fault));
            }
            if reader.has_begun() && !had_begun {
                begins();
            }
            if reader.is_whole() {
                progress.whole = progress.last;
                break;
            }
        }
        Ok(match reader.finish() {
            Ok(body) => Received::Assembled(body),
            Err(fault) => Received::Faulty(fault),
        })
    }

    /// What stands behind `message_stop`, which nobody needs: a connection that came to its end can be used again. To be awaited outside of the
    /// attempt's time limit, which would throw the message away.
    pub(crate) async fn rest(&self, response: &mut Response) {
        let until = Instant::now() + GRACE;
        while let Ok(Ok(Some(_))) = timeout_at(until, response.chunk()).await {}
    }

    /// The body of a failed response, as far as its message needs it. The status says enough: that the body breaks off, or does not end before the
    /// attempt has to, is no second failure. To be awaited outside of the attempt's time limit, which would take the status for a timeout.
    pub(crate) async fn beginning(&self, response: &mut Response, deadline: Instant) -> Vec<u8> {
        let until = deadline.min(Instant::now() + self.longest_error);
        let mut body = Vec::new();
        while let Ok(Ok(Some(chunk))) = timeout_at(until, response.chunk()).await {
            body.extend_from_slice(&chunk);
            if body.len() >= LONGEST_ERROR_BODY {
                body.truncate(LONGEST_ERROR_BODY);
                break;
            }
        }
        body
    }

    fn bounded(&self, length: usize) -> Result<(), Broken> {
        if length <= self.longest_body {
            return Ok(());
        }
        Err(Broken {
            kind: ErrorKind::MalformedReply,
            message: format!("the body of the response is longer than {} bytes", self.longest_body),
            hint: Some(format!("check that {} is a Messages API", self.address)),
            hopeless: true,
            unsent: false,
        })
    }

    /// No response at all.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Broken {
        let words = client::chain(error);
        let address = &self.address;
        // Connecting has a time limit of its own: one that is over is no answer that takes long.
        let kind = if error.is_timeout() && !error.is_connect() { ErrorKind::Timeout } else { ErrorKind::Connection };
        let (message, hint) = if error.is_connect() {
            let hint = if words.contains("ertificate") {
                "the server's certificate is not trusted here: install ca-certificates, or name a bundle with SSL_CERT_FILE".to_owned()
            } else {
                format!("check `base_url` of endpoint `{}`, the network and the proxy settings", self.endpoint)
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
            message: format!("the response from {} {what} after {received} bytes: {}", self.address, client::chain(error)),
            hint: None,
            hopeless: false,
            unsent: false,
        }
    }

    fn silent(&self, received: usize) -> Broken {
        Broken {
            kind: ErrorKind::Timeout,
            message: format!("the stream from {} fell silent for {:?} after {received} bytes", self.address, self.longest_silence),
            hint: None,
            hopeless: false,
            unsent: false,
        }
    }

    /// The time limit of the attempt ended it.
    pub(crate) fn too_late(&self, limit: Duration, progress: &Progress) -> Broken {
        // A stream that still flowed would be cut at the same place again, and is paid for each time.
        let flowed = progress.last.is_some_and(|last| last.elapsed() < limit / 10);
        let message = if flowed {
            format!("the stream from {} was still under way after {limit:?} ({} bytes)", self.address, progress.streamed)
        } else {
            format!("no whole response from {} within {limit:?}", self.address)
        };
        Broken {
            kind: ErrorKind::Timeout,
            message,
            hint: Some(format!("raise `attempt_timeout` of endpoint `{}` if such replies need longer", self.endpoint)),
            hopeless: flowed,
            unsent: false,
        }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use reqwest::dns::{Name, Resolve, Resolving};

    use super::*;

    /// Knows no address and never says so: connecting takes until its time limit.
    struct Never;

    impl Resolve for Never {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_connection_that_takes_too_long_is_no_connection_and_no_slow_answer() {
        let builder = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_millis(1));
        let client = client::without_certificates(builder.dns_resolver(std::sync::Arc::new(Never))).unwrap();
        let error = client.get("http://nowhere.test").send().await.unwrap_err();
        assert!(error.is_timeout());
        let receiver = Receiver {
            endpoint: "anthropic".to_owned(),
            address: "http://nowhere.test".to_owned(),
            longest_body: LONGEST_BODY,
            longest_error: LONGEST_SILENCE,
            longest_silence: LONGEST_SILENCE,
        };
        let broken = receiver.broken(&error);
        assert_eq!((broken.kind, broken.unsent), (ErrorKind::Connection, true));
    }
}
