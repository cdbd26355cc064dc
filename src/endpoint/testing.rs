//! What do the tests of this room and of the store ask, and who answers them?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use tokio::time::Instant;

use crate::endpoint::patience::{Flight, Patience};
use crate::endpoint::wire::{Advice, Attempted, Failed, Wire};
use crate::endpoint::{Auth, Call, CallEvent, EndpointConfig, Observer, Spending, Streaming};
use crate::model::catalog::Catalog;
use crate::model::key::Key;
use crate::model::prefix::Marks;
use crate::model::reply::{Answer, Attempt, Reply, Served, StopReason, Usage};
use crate::model::request::{Block, Dialect, EndpointIdentity, Params, Request, Role, Turn};
use crate::model::verdict::{CellError, ErrorKind};

pub(crate) fn config(base_url: &str) -> EndpointConfig {
    EndpointConfig {
        name: "anthropic".to_owned(),
        dialect: Dialect::Messages,
        base_url: base_url.to_owned(),
        key: None,
        auth: Auth::XApiKey,
        api_version: "2026-10-21".to_owned(),
        beta: Vec::new(),
        max_concurrency: 8,
        requests_per_minute: None,
        input_tokens_per_minute: None,
        output_tokens_per_minute: None,
        max_attempts: 4,
        attempt_timeout: Duration::from_secs(60),
        attempt_grows: false,
        max_retry_after: Duration::from_secs(120),
        give_up_after: Duration::from_secs(30),
        status_page: None,
        stream: Streaming::Auto,
        identity: EndpointIdentity {
            dialect: Dialect::Messages,
            identity: base_url.to_owned(),
            api_version: "2026-10-21".to_owned(),
            beta: Vec::new(),
        },
    }
}

/// No caps.
pub(crate) fn unlimited() -> Spending {
    Spending { budget: Arc::default(), catalog: Arc::new(Catalog::embedded().clone()) }
}

pub(crate) fn request(model: &str, text: &str) -> Request {
    Request {
        model: model.to_owned(),
        system: Vec::new(),
        turns: vec![Turn { role: Role::User, content: vec![Block::text(text)] }],
        params: Params { max_tokens: Some(64), ..Params::default() },
    }
}

/// The n-th call: a key of its own, the model `m`, ten minutes.
pub(crate) fn call(number: usize) -> Call {
    call_to("m", number)
}

pub(crate) fn call_to(model: &str, number: usize) -> Call {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    Call {
        request: Arc::new(request(model, &format!("question {number}"))),
        endpoint: Arc::from("anthropic"),
        key: Key::from_bytes(key),
        sample: 0,
        marks: Marks::AsWritten,
        suite: Arc::from("suite"),
        worst_case: None,
        deadline: Duration::from_secs(600),
        observer: Observer::silent(),
        flight: Flight::default(),
    }
}

/// The call with an ear: what it hears is written down.
pub(crate) fn heard(mut call: Call) -> (Call, Arc<Mutex<Vec<CallEvent>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    call.observer = Observer::new(move |event| ear.lock().unwrap().push(event));
    (call, heard)
}

pub(crate) fn reply(text: &str) -> Reply {
    Reply {
        id: Some("msg_1".to_owned()),
        request_id: Some("req_1".to_owned()),
        model: "m".to_owned(),
        content: vec![Block::text(text)],
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        refusal: None,
        usage: Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() },
        answered_at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
        latency_ms: 5,
        attempts: vec![Attempt {
            status: Some(200),
            error: None,
            message: None,
            request_id: Some("req_1".to_owned()),
            duration_ms: 5,
            unsent: false,
        }],
        simulated: false,
    }
}

pub(crate) fn fresh(text: &str) -> Answer {
    Answer { reply: Arc::new(reply(text)), served: Served::Fresh }
}

/// A failed attempt of this class.
pub(crate) fn failed(kind: ErrorKind, advice: Advice) -> Failed {
    let message = format!("{kind:?}");
    Failed::Attempt {
        error: CellError { kind, message: message.clone(), hint: None, attempts: Vec::new() },
        attempt: Attempt { status: None, error: Some(kind), message: Some(message), request_id: None, duration_ms: 1, unsent: false },
        advice,
    }
}

/// How long one attempt takes, and what comes of it.
pub(crate) type Step = (Duration, Result<Answer, Failed>);

type Script = Box<dyn Fn(usize, &Call) -> Step + Send + Sync>;

/// A wire that answers by a script and remembers when it was used.
pub(crate) struct Scripted {
    script: Script,
    pub(crate) begun: Mutex<Vec<Instant>>,
    under_way: AtomicUsize,
    pub(crate) most_at_once: AtomicUsize,
}

impl Scripted {
    /// The script is asked with the number of the attempt over all calls, from 0.
    pub(crate) fn new(script: impl Fn(usize, &Call) -> Step + Send + Sync + 'static) -> Self {
        Self { script: Box::new(script), begun: Mutex::default(), under_way: AtomicUsize::new(0), most_at_once: AtomicUsize::new(0) }
    }

    /// Answers everything after this time.
    pub(crate) fn after(time: Duration) -> Self {
        Self::new(move |_, _| (time, Ok(fresh("ok"))))
    }

    pub(crate) fn count(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    /// When the attempts began, counted from the first one.
    pub(crate) fn times(&self) -> Vec<Duration> {
        let begun = self.begun.lock().unwrap();
        begun.iter().map(|moment| *moment - begun[0]).collect()
    }
}

impl Wire for Arc<Scripted> {
    async fn attempt(&self, call: &Call, patience: &Patience) -> Attempted {
        patience.begin();
        let number = {
            let mut begun = self.begun.lock().unwrap();
            begun.push(Instant::now());
            begun.len() - 1
        };
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        call.observer.tell(CallEvent::Sent);
        let (takes, result) = (self.script)(number, call);
        tokio::time::sleep(takes).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        result.into()
    }
}
