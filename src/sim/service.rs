//! One request: which way does it take from the head to the answer?

mod batching;
mod items;
mod lists;
mod sending;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::accounting::Accounting;
use super::api_error::ApiError;
use super::batches::Shelf;
use super::body::{Body, Broken};
use super::caching::PromptCache;
use super::caching::prefix::Prefix;
use super::chance::Chances;
use super::clock::Clock;
use super::fault::{Fault, Lottery};
use super::journal::{Journal, Received};
use super::limit::{Limit, Taken};
use super::matching::Matcher;
use super::prompt::Prompt;
use super::reply::{self, Asked};
use super::script::{Answer, Script, Then};
use super::server::Options;
use super::socket::Line;
use super::validate;
use batching::Fitted;
use sending::Ids;

/// The largest body that the API takes (docs/wire-reference.md 1).
const LARGEST_BODY: usize = 32 << 20;
/// The same for a batch (5).
const LARGEST_BATCH: usize = 256 << 20;
/// A larger body is read and thrown away up to here, so that the client gets to read its 413.
const LARGEST_READ: usize = 384 << 20;

/// All that answers share.
#[derive(Debug)]
pub(super) struct Service {
    matcher: Matcher,
    lottery: Option<Lottery>,
    limit: Limit,
    latency: Duration,
    accounting: Accounting,
    journal: Journal,
    cache: PromptCache,
    shelf: Shelf,
    fitted: Fitted,
    seed: u64,
    clock: Clock,
    numbers: AtomicU64,
    /// Ends waiting and hanging.
    waiting: CancellationToken,
    /// Ends connections.
    open: CancellationToken,
}

/// A request's body was too large, or its connection ended.
enum Unread {
    TooLarge,
    Gone,
}

impl Service {
    pub(super) fn new(script: Script, options: &Options) -> Self {
        let mut faults = script.faults.clone();
        if options.fault_rate > 0.0 {
            faults.get_or_insert_default().rate = options.fault_rate.min(1.0);
        }
        let limit = Limit::new(options.requests_per_minute.or(script.requests_per_minute), options.request_burst);
        Self {
            lottery: faults.map(|faults| Lottery::new(faults, options.seed)),
            limit,
            latency: options.latency,
            accounting: Accounting::new(script.rules.len()),
            journal: Journal::new(options.journal),
            cache: PromptCache::default(),
            shelf: Shelf::default(),
            fitted: Fitted::new(script.batches.rules.len()),
            seed: options.seed,
            clock: options.clock.clone(),
            numbers: AtomicU64::new(1),
            waiting: CancellationToken::new(),
            open: CancellationToken::new(),
            matcher: Matcher::new(script, Chances::new(options.seed, options.earlier)),
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.accounting.requests()
    }

    pub(super) fn journal(&self) -> Vec<Received> {
        self.journal.all()
    }

    pub(super) fn stats(&self) -> Value {
        self.settle_all();
        self.accounting.stats(self.matcher.script())
    }

    pub(super) fn dollars(&self) -> (String, String) {
        self.settle_all();
        self.accounting.dollars()
    }

    pub(super) fn connected(&self) {
        self.accounting.connection();
    }

    pub(super) fn stop_waiting(&self) {
        self.waiting.cancel();
    }

    pub(super) fn cut_off(&self) {
        self.open.cancel();
    }

    pub(super) fn cut_off_token(&self) -> CancellationToken {
        self.open.clone()
    }

    /// Answers one request; an error closes its connection without an answer.
    pub(super) async fn answer(&self, request: Request<Incoming>, line: &Line) -> Result<Response<Body>, Broken> {
        let ids = Ids::new(self.numbers.fetch_add(1, Ordering::Relaxed));
        let (head, body) = request.into_parts();
        if head.uri.path() == "/__sim/stats" {
            return Ok(self.plain(200, Bytes::from(format!("{:#}\n", self.stats())), &ids));
        }
        let is_batch = head.uri.path() == batching::PATH || head.uri.path().starts_with("/v1/messages/batches/");
        let body = match read(body, &head.headers, if is_batch { LARGEST_BATCH } else { LARGEST_BODY }).await {
            Ok(body) => body,
            Err(Unread::Gone) => return Err(Broken),
            Err(Unread::TooLarge) => {
                if is_batch {
                    self.accounting.other_request()
                } else {
                    self.accounting.request()
                }
                return Ok(self.refuse(&ApiError::new(413, super::api_error::words_of(413)), &ids, Taken::Unlimited));
            }
        };
        self.journal.keep(&head.method, &head.uri, &head.headers, &body);
        let path = head.uri.path();
        if path == "/v1/messages" && head.method == Method::POST {
            self.accounting.request();
            return self.messages(&head.headers, &body, &ids, line).await;
        }
        self.accounting.other_request();
        if is_batch {
            return self.batches(&head, &body, &ids, line).await;
        }
        let answered = match validate::headers(&head.headers) {
            Err(error) => Err(error),
            Ok(_) => match (path, &head.method) {
                ("/v1/messages/count_tokens", &Method::POST) => self.count_tokens(&head.headers, &body),
                ("/v1/messages" | "/v1/messages/count_tokens", _) => Err(method_not_allowed()),
                ("/v1/models", &Method::GET) => lists::models(head.uri.query().unwrap_or_default(), &self.matcher.script().models),
                _ if path.starts_with("/v1/models") && head.method != Method::GET => Err(method_not_allowed()),
                _ => match path.strip_prefix("/v1/models/") {
                    Some(id) => lists::model(id, &self.matcher.script().models),
                    None => Err(ApiError::new(404, "Not found")),
                },
            },
        };
        Ok(match answered {
            Ok(value) => self.plain(200, Bytes::from(value.to_string()), &ids),
            Err(error) => self.refuse(&error, &ids, Taken::Unlimited),
        })
    }

    async fn messages(&self, headers: &HeaderMap, body: &Bytes, ids: &Ids, line: &Line) -> Result<Response<Body>, Broken> {
        let version = match validate::headers(headers) {
            Ok(version) => version,
            Err(error) => return Ok(self.refuse(&error, ids, Taken::Unlimited)),
        };
        let taken = self.limit.take();
        if let Taken::TooMany { retry_after, .. } = taken {
            let mut error = ApiError::new(429, super::api_error::words_of(429));
            error.retry_after = Some(retry_after);
            return Ok(self.refuse(&error, ids, taken));
        }
        let checked = validate::json(body)
            .and_then(|body| validate::message(&body, version, headers, &self.matcher.script().models).map(|model| (body, model)));
        // What the prompt cache holds is looked up when a request comes in; latency is what passes until its response begins.
        let split = checked.as_ref().ok().and_then(|(body, model)| {
            let model_id = body.get("model").and_then(Value::as_str).unwrap_or_default();
            let prefix = Prefix::of(body, model, model_id, workspace(headers))?;
            Some(self.cache.look_up(&prefix, model, self.clock.now(), true))
        });
        self.wait(self.latency).await;
        let (body_json, model) = match checked {
            Ok(checked) => checked,
            Err(error) => return Ok(self.refuse(&error, ids, taken)),
        };
        let stream = body_json.get("stream").and_then(Value::as_bool).unwrap_or(false);
        let prompt = Prompt::of(&body_json);
        let model_id = body_json.get("model").and_then(Value::as_str).unwrap_or_default();
        let asked = Asked { model: &model, model_id, body: &body_json, prompt: &prompt, split: split.as_ref(), number: ids.number };
        // The lottery comes before the script: a request that fails at random is not a call of any rule.
        let drawn = self.lottery.as_ref().and_then(|lottery| Some((lottery, lottery.draw(body)?)));
        if let Some((lottery, fault)) = drawn
            && !fault.arrives()
        {
            let message = reply::filler(&asked);
            self.begin(&asked, fault.is_carried_out(stream));
            return self.break_it(fault, &message, stream, Duration::ZERO, lottery.retry_after(), ids, taken, line).await;
        }
        let Some(choice) = self.matcher.choose(model_id, stream, &prompt) else {
            if body_json.get("max_tokens").and_then(Value::as_u64) == Some(0) {
                self.begin(&asked, true);
                return Ok(self.send(&reply::nothing(&asked), stream, Duration::ZERO, ids, taken));
            }
            return Ok(self.refuse(&self.unmatched(&prompt), ids, taken));
        };
        self.accounting.rule(choice.rule);
        let Then { answer, fault, delay, pace } = choice.then;
        self.wait(*delay).await;
        let fault = fault.or(drawn.map(|(_, fault)| fault));
        let message = match answer {
            Answer::Error(error) => return Ok(self.refuse(&error.into(), ids, taken)),
            Answer::Message(answer) => match reply::message(&asked, answer, &choice, &self.matcher) {
                Ok(message) => {
                    self.begin(&asked, !answer.usage.set_the_cache() && fault.is_none_or(|fault| fault.is_carried_out(stream)));
                    message
                }
                Err(error) => return Ok(self.refuse(&error, ids, taken)),
            },
        };
        match fault {
            Some(fault) => self.break_it(fault, &message, stream, *pace, 1, ids, taken, line).await,
            None => Ok(self.send(&message, stream, *pace, ids, taken)),
        }
    }

    fn count_tokens(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, ApiError> {
        let version = validate::headers(headers)?;
        let body = validate::json(body)?;
        let model = validate::count(&body, version, headers, &self.matcher.script().models)?;
        Ok(serde_json::json!({"input_tokens": Prompt::of(&body).weight.tokens(&model)}))
    }

    /// The response begins, if it does: from now on others can use what this request wrote into the prompt cache.
    fn begin(&self, asked: &Asked<'_>, begins: bool) {
        if let Some(split) = asked.split.filter(|_| begins) {
            self.cache.write(split);
        }
    }

    fn today(&self) -> chrono::NaiveDate {
        self.clock.now().date_naive()
    }

    /// The default for what the script does not foresee is an error: an answer made up here would make a test green by accident.
    fn unmatched(&self, prompt: &Prompt) -> ApiError {
        let beginning: String = prompt.last_user().chars().take(80).collect();
        ApiError::new(400, format!("no rule of {} matches this request; its prompt begins: {beginning}", self.matcher.script().name))
    }

    /// Waits, unless the server stops.
    async fn wait(&self, time: Duration) {
        if time > Duration::ZERO {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.waiting.cancelled() => {}
            }
        }
    }

    /// Waits until the server stops.
    async fn hang(&self) {
        self.waiting.cancelled().await;
    }

    fn fault(&self, fault: Fault) {
        self.accounting.fault(fault);
    }
}

/// Whose prompt cache is used: a key belongs to one workspace unless the request names another.
fn workspace(headers: &HeaderMap) -> &[u8] {
    headers.get("anthropic-workspace-id").map_or(&[], |id| id.as_bytes())
}

fn method_not_allowed() -> ApiError {
    ApiError::new(405, "Method Not Allowed")
}

/// Reads a body within bounds.
async fn read(mut body: Incoming, headers: &HeaderMap, largest: usize) -> Result<Bytes, Unread> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let announced = headers
        .get(hyper::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(0);
    let mut length = 0;
    loop {
        let data = match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(_) => continue,
            },
            Some(Err(_)) => return Err(Unread::Gone),
            None => break,
        };
        length += data.len();
        if length > LARGEST_READ {
            return Err(Unread::TooLarge);
        }
        if length > largest || announced > largest {
            (first, all) = (None, BytesMut::new());
            continue;
        }
        // Most bodies come in one piece, which needs no copy.
        match first.take() {
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(piece) => {
                all.reserve(announced.max(piece.len() + data.len()).min(largest));
                all.extend_from_slice(&piece);
                all.extend_from_slice(&data);
            }
        }
    }
    if length > largest || announced > largest {
        return Err(Unread::TooLarge);
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}
