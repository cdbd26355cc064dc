//! `/v1/messages/batches`: what does each call do, and what goes wrong with it?

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response};
use serde_json::{Value, json};

use super::super::api_error::{ApiError, words_of};
use super::super::batches::life::Batch;
use super::super::batches::{Paging, Shared, intake, lock};
use super::super::body::{Body, Broken, Step};
use super::super::fault::Fault;
use super::super::limit::Taken;
use super::super::script::{Answer, BatchCall, Then};
use super::super::socket::Line;
use super::super::validate;
use super::sending::Ids;
use super::{Service, method_not_allowed};

/// Where they are.
pub(super) const PATH: &str = "/v1/messages/batches";
const JSON: &str = "application/json";
const JSON_LINES: &str = "application/x-jsonl";

/// An answer that is not yet sent.
#[derive(Debug)]
struct Done {
    body: Bytes,
    kind: &'static str,
}

impl From<Value> for Done {
    fn from(value: Value) -> Self {
        Self { body: Bytes::from(value.to_string()), kind: JSON }
    }
}

/// How often each rule about batches fitted.
#[derive(Debug)]
pub(super) struct Fitted(Vec<AtomicU64>);

impl Fitted {
    pub(super) fn new(rules: usize) -> Self {
        Self((0..rules).map(|_| AtomicU64::new(0)).collect())
    }
}

/// Which call this is, and about which batch.
fn call<'p>(path: &'p str, method: &Method) -> Result<(BatchCall, &'p str), ApiError> {
    let rest = path.strip_prefix(PATH).unwrap_or_default();
    let (id, action) =
        rest.strip_prefix('/').map_or(("", None), |rest| rest.split_once('/').map_or((rest, None), |(id, action)| (id, Some(action))));
    match (id, action, method) {
        ("", None, &Method::POST) => Ok((BatchCall::Create, id)),
        ("", None, &Method::GET) => Ok((BatchCall::List, id)),
        (_, None, &Method::GET) => Ok((BatchCall::Retrieve, id)),
        (id, None, &Method::DELETE) if !id.is_empty() => Ok((BatchCall::Delete, id)),
        (_, Some("cancel"), &Method::POST) => Ok((BatchCall::Cancel, id)),
        (_, Some("results"), &Method::GET) => Ok((BatchCall::Results, id)),
        (_, None | Some("cancel" | "results"), _) => Err(method_not_allowed()),
        (_, Some(_), _) => Err(ApiError::new(404, "Not found")),
    }
}

impl Service {
    pub(super) async fn batches(&self, head: &Parts, body: &Bytes, ids: &Ids, line: &Line) -> Result<Response<Body>, Broken> {
        let refuse = |error: &ApiError| Ok(self.refuse(error, ids, Taken::Unlimited));
        let version = match validate::headers(&head.headers) {
            Ok(version) => version,
            Err(error) => return refuse(&error),
        };
        let (call, id) = match call(head.uri.path(), &head.method) {
            Ok(call) => call,
            Err(error) => return refuse(&error),
        };
        self.accounting.batches.called(call);
        self.wait(self.latency).await;
        let mut fault = None;
        if let Some(Then { answer, fault: scripted, delay, .. }) = self.scripted(call) {
            self.wait(*delay).await;
            if let Answer::Error(error) = answer {
                return refuse(&error.into());
            }
            fault = *scripted;
        }
        let mut retry_after = 1;
        if let (None, Some(lottery)) = (fault, &self.lottery) {
            let what = format!("{} {}", head.method, head.uri);
            fault = lottery.draw(blake3::Hasher::new().update(what.as_bytes()).update(body).finalize().as_bytes());
            retry_after = lottery.retry_after();
        }
        if let Some(fault) = fault.filter(|fault| !fault.is_carried_out(false)) {
            self.fault(fault);
            return self.keep_back(fault, retry_after, ids, Taken::Unlimited, line).await;
        }
        let done = match call {
            BatchCall::Create => self.create(&head.headers, version, body, ids.number),
            BatchCall::List => self.list(&head.headers, head.uri.query().unwrap_or_default()),
            BatchCall::Retrieve => self.batch(id).map(|batch| {
                lock(&batch).polled();
                self.settle(&batch);
                self.shown(&lock(&batch), &head.headers)
            }),
            BatchCall::Cancel => self.batch(id).and_then(|batch| self.cancel(&batch, &head.headers)),
            BatchCall::Delete => self.batch(id).and_then(|batch| self.shelf.remove(&batch).map(Done::from)),
            BatchCall::Results => self.batch(id).and_then(|batch| self.results(&lock(&batch))),
        };
        match (done, fault) {
            (Err(error), _) => refuse(&error),
            (Ok(done), Some(fault)) => {
                self.fault(fault);
                self.break_done(fault, done, ids)
            }
            (Ok(done), None) => Ok(self.done(Body::whole(done.body), done.kind, ids)),
        }
    }

    /// What the script has for this call.
    fn scripted(&self, call: BatchCall) -> Option<&Then> {
        let rules = &self.matcher.script().batches.rules;
        let fitting = rules.iter().zip(&self.fitted.0).filter(|(rule, _)| rule.on.is_none_or(|on| on == call));
        fitting.into_iter().find_map(|(rule, fitted)| {
            let count = fitted.fetch_add(1, Relaxed) + 1;
            rule.calls.is_none_or(|calls| calls.holds(count)).then_some(&rule.then)
        })
    }

    fn create(&self, headers: &HeaderMap, version: validate::Version, body: &Bytes, number: u64) -> Result<Done, ApiError> {
        let items = intake::items(body)?;
        let count = items.len();
        let kept = ["anthropic-beta", "anthropic-workspace-id"];
        let headers_kept = kept.iter().flat_map(|name| headers.get_all(*name).iter().map(|value| ((*name), value.clone())));
        let mut of_items = HeaderMap::new();
        for (name, value) in headers_kept {
            of_items.append(name, value);
        }
        let batch = Batch::new(number, items, version, of_items, self.clock.now(), self.matcher.script().batches.expires_after);
        let batch = self.shelf.add(batch)?;
        self.accounting.batches.created(count);
        Ok(self.shown(&lock(&batch), headers))
    }

    /// The batch of an id, as it stands by now.
    fn batch(&self, id: &str) -> Result<Shared, ApiError> {
        let batch = self.shelf.find(id)?;
        self.settle(&batch);
        Ok(batch)
    }

    fn shown(&self, batch: &Batch, headers: &HeaderMap) -> Done {
        batch.shown(&base(headers), self.clock.now()).into()
    }

    fn list(&self, headers: &HeaderMap, query: &str) -> Result<Done, ApiError> {
        let paging = Paging::read(query, |_, _| false)?;
        let all = self.shelf.newest_first();
        let ids: Vec<String> = all.iter().map(|batch| lock(batch).id.clone()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (page, has_more) = paging.page(&ids)?;
        let (base, now) = (base(headers), self.clock.now());
        let data: Vec<Value> = all[page.clone()]
            .iter()
            .map(|batch| {
                self.settle(batch);
                lock(batch).shown(&base, now)
            })
            .collect();
        let page = &ids[page];
        Ok(json!({"data": data, "has_more": has_more, "first_id": page.first(), "last_id": page.last()}).into())
    }

    fn cancel(&self, batch: &Shared, headers: &HeaderMap) -> Result<Done, ApiError> {
        let mut batch = lock(batch);
        if batch.ended.is_some() {
            return Err(ApiError::new(400, format!("Batch {} has already ended and cannot be canceled", batch.id)));
        }
        batch.cancel(self.clock.now());
        Ok(self.shown(&batch, headers))
    }

    fn results(&self, batch: &Batch) -> Result<Done, ApiError> {
        if batch.archived(self.clock.now()).is_some() {
            return Err(ApiError::new(404, format!("The results of batch {} are no longer available", batch.id)));
        }
        match &batch.ended {
            Some(ended) => Ok(Done { body: ended.results.clone(), kind: JSON_LINES }),
            None => Err(ApiError::new(400, format!("Batch {} has no results while it is being processed", batch.id))),
        }
    }

    fn done(&self, body: Body, kind: &'static str, ids: &Ids) -> Response<Body> {
        let mut response = self.head(200, body, ids, Some(Taken::Unlimited));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    /// The call did what it does, and its answer suffers.
    fn break_done(&self, fault: Fault, done: Done, ids: &Ids) -> Result<Response<Body>, Broken> {
        let Done { body, kind } = done;
        let half = body.slice(..body.len() / 2);
        let ended = |end: Step| {
            let mut response = self.done(Body::steps([Step::Send(half.clone()), Step::Flush, end], self.waiting.clone()), kind, ids);
            response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
            response
        };
        match fault {
            Fault::Cut | Fault::EarlyEnd => Ok(ended(Step::Break)),
            Fault::Stall => Ok(ended(Step::Hang)),
            Fault::InvalidJson | Fault::Disorder => Ok(self.done(Body::whole(half), kind, ids)),
            Fault::Split => {
                // Results can be large: at most some ten thousand pieces.
                let length = 3.max(body.len() / 10_000);
                let pieces = (0..body.len()).step_by(length).map(|at| body.slice(at..body.len().min(at + length)));
                let steps: Vec<Step> = pieces.flat_map(|piece| [Step::Send(piece), Step::Flush]).collect();
                Ok(self.done(Body::steps(steps, self.waiting.clone()), kind, ids))
            }
            Fault::UnknownEvent | Fault::LineEnds => Ok(self.done(Body::whole(body), kind, ids)),
            Fault::Lost
            | Fault::RateLimit
            | Fault::ServerError
            | Fault::Overloaded
            | Fault::Timeout
            | Fault::Drop
            | Fault::Reset
            | Fault::Html
            | Fault::Hang
            | Fault::ErrorEvent => Err(Broken),
        }
    }

    /// Ends what is over by now.
    pub(super) fn settle_all(&self) {
        self.shelf.newest_first().iter().rev().for_each(|batch| self.settle(batch));
    }
}

/// What addresses begin with for whoever asked; without a host they are relative, which clients follow too.
fn base(headers: &HeaderMap) -> String {
    headers.get(HOST).and_then(|host| host.to_str().ok()).map_or_else(String::new, |host| format!("http://{host}"))
}

/// What a request of a batch gets that a fault hits: there is no connection that could break.
pub(super) fn error_of(fault: Fault) -> Option<ApiError> {
    let status = match fault {
        Fault::RateLimit => 429,
        Fault::Overloaded | Fault::ErrorEvent => 529,
        Fault::Timeout => 504,
        Fault::ServerError | Fault::Drop | Fault::Reset | Fault::Html | Fault::Hang => 500,
        Fault::Cut
        | Fault::InvalidJson
        | Fault::Stall
        | Fault::EarlyEnd
        | Fault::UnknownEvent
        | Fault::Split
        | Fault::LineEnds
        | Fault::Disorder
        | Fault::Lost => return None,
    };
    Some(ApiError::new(status, words_of(status)))
}
