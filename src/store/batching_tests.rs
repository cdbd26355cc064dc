//! Is a request asked once where a batch is created while others ask singly, and what if a batch turns up that was given up?

use std::cell::RefCell;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::endpoint::batches::draft;
use crate::endpoint::testing::{call, config, reply};
use crate::store::answers::NewAnswer;
use crate::store::batches::{BatchEnd, Intent};

/// Knows no batch, takes every one, and stops the run that asked for it. Returns the address and the bodies of the creations.
async fn server(stopped: CancellationToken) -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let created = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&created);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let (head, body) = loop {
                assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "the request breaks off");
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let head = head.to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
                if body.len() >= length {
                    break (head, body.to_owned());
                }
            };
            let answer = if head.starts_with("post") {
                let body: Value = serde_json::from_str(&body).unwrap();
                let requests = body["requests"].as_array().unwrap().len();
                log.lock().unwrap().push(body);
                stopped.cancel();
                json!({"id": "msgbatch_01", "processing_status": "in_progress", "created_at": "2026-11-23T10:00:00Z",
                  "request_counts": {"processing": requests, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}})
            } else {
                json!({"data": [], "has_more": false})
            };
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            socket.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        }
    });
    (url, created)
}

fn wish(number: usize) -> Wish {
    Wish {
        key: call(number).key,
        sample: 0,
        endpoint: Arc::from("anthropic"),
        model: Arc::from("m"),
        suite: Arc::from("suite"),
        worst_case: Some(dollars("1")),
        marks: Marks::AsWritten,
        policy: BatchPolicy::On,
    }
}

fn dollars(text: &str) -> Money {
    text.parse().unwrap()
}

/// As another process does it, from its beginning to its end.
fn store_answer(store: &Store, number: usize) {
    let (request, reply) = (call(number).request, reply("an answer"));
    let answer = NewAnswer { key: call(number).key, endpoint: "anthropic", sample: 0, request: &request, reply: &reply };
    std::thread::scope(|scope| {
        let put = || tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.put(answer)).unwrap();
        scope.spawn(put).join().unwrap();
    });
}

/// What is between the first look of a batch at an answer and its row in the store is `meanwhile`, told for each request. Returns the keys that
/// the batch was asked for, and what it left of three dollars, of which each request may cost half a one.
async fn batched(store: &Store, meanwhile: &dyn Fn(usize)) -> (Vec<Key>, Option<Money>) {
    let stopped = CancellationToken::new();
    let (url, created) = server(stopped.clone()).await;
    let endpoints = crate::endpoint::batches::clients([config(&url)].iter()).unwrap();
    let budget = Budget::new(Some(dollars("3")), HashMap::new());
    let request = |place: usize| {
        meanwhile(place);
        Some(Request::clone(&call(place).request))
    };
    let batching = Batching {
        store,
        endpoints: &endpoints,
        in_process: &|_| false,
        budget: &budget,
        catalog: Catalog::embedded(),
        request: &request,
        reads: true,
        stopped: &stopped,
        limits: draft::API,
        now: || DateTime::UNIX_EPOCH,
    };
    let wishes: Vec<Wish> = (0..4).map(wish).collect();
    let mut tell = |_| {};
    let settled = tokio::select! {
        settled = batching.answer(&wishes, &mut tell) => settled.unwrap(),
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("no batch was created"),
    };
    assert!(settled.failed.is_empty() && settled.problems.iter().all(|told| told.message.contains("goes on without")), "{settled:?}");
    let rows = store.pending_batches().unwrap();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let items = store.batch_items(&row.mark).unwrap();
    assert_eq!(row.requests, items.len() as u64);
    let created = created.lock().unwrap();
    let [body] = &created[..] else { panic!("{created:?}") };
    let asked = body["requests"].as_array().unwrap();
    assert_eq!(asked.len(), items.len());
    for (place, (item, request)) in items.iter().zip(asked).enumerate() {
        assert!(draft::is_of(&row.mark, request["custom_id"].as_str().unwrap(), place, &item.key), "{request}");
    }
    let left = ["3", "2", "1"].map(dollars).into_iter().find(|amount| budget.take(&Arc::from("suite"), *amount).is_ok());
    (items.iter().map(|item| item.key).collect(), left)
}

#[tokio::test]
async fn what_nobody_else_asks_for_is_asked_in_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (keys, left) = batched(&store, &|_| {}).await;
    assert_eq!(keys, [0, 1, 2, 3].map(|number| call(number).key));
    assert_eq!(left, Some(dollars("1")));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn what_another_run_began_or_answered_while_the_batch_was_written_is_left_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
    let claims = RefCell::new(Vec::new());
    let asks_singly = |place: usize| match place {
        1 if claims.borrow().is_empty() => {
            let Claimed::Ours(claim) = other.claim(&call(1).key) else { panic!("the batch keeps no claim") };
            assert!(other.batch_holding(&call(1).key).unwrap().is_none(), "nothing tells of the batch yet, so it is asked");
            claims.borrow_mut().push(claim);
        }
        2 => store_answer(&other, 2),
        _ => {}
    };
    let (keys, left) = batched(&store, &asks_singly).await;
    assert_eq!(keys, [call(0).key, call(3).key]);
    assert_eq!(left, Some(dollars("2")), "what was left out takes no money");
    for (number, is_held) in [(0, true), (1, false), (2, false), (3, true)] {
        assert_eq!(other.batch_holding(&call(number).key).unwrap().is_some(), is_held, "{number}");
    }
}

/// Has one batch, which has ended; its results carry this `custom_id`.
async fn server_with(custom_id: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 65_536];
            let read = socket.read(&mut bytes).await.unwrap();
            let head = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let batch = json!({"id": "msgbatch_late", "processing_status": "ended", "created_at": "2026-11-23T10:00:00Z", "results_url": null,
              "request_counts": {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 1}});
            let answer = if head.contains("/results ") {
                json!({"custom_id": custom_id, "result": {"type": "expired"}})
            } else if head.contains("/msgbatch_late ") {
                batch
            } else {
                json!({"data": [batch], "has_more": false})
            };
            let answer = format!("{answer}\n");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            socket.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        }
    });
    url
}

/// What a run without any wish of its own says where a batch that was given up is in the list of the endpoint.
async fn said_of_one_given_up(end: BatchEnd, now: fn() -> DateTime<Utc>) -> (Store, tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mark = "0123456789abcdef";
    let mut draft = draft::Draft::new(mark, draft::API);
    assert!(draft.push(&call(1).key, &call(1).request, &Marks::AsWritten));
    let body: Value = serde_json::from_slice(&draft.finish()).unwrap();
    let url = server_with(body["requests"][0]["custom_id"].as_str().unwrap().to_owned()).await;
    let items = vec![Item { key: call(1).key, sample: 0 }];
    let at = DateTime::UNIX_EPOCH;
    store.intend_batch(Intent { mark: mark.to_owned(), endpoint: "anthropic".to_owned(), at, newest: None, items }).await.unwrap();
    store.batch_ended(mark, end).await.unwrap();
    let endpoints = crate::endpoint::batches::clients([config(&url)].iter()).unwrap();
    let mut told = Vec::new();
    // The second run has nothing new to say.
    for _ in 0..2 {
        let batching = Batching {
            store: &store,
            endpoints: &endpoints,
            in_process: &|_| false,
            budget: &Budget::new(None, HashMap::new()),
            catalog: Catalog::embedded(),
            request: &|_| None,
            reads: true,
            stopped: &CancellationToken::new(),
            limits: draft::API,
            now,
        };
        let settled = batching.answer(&[], &mut |_| {}).await.unwrap();
        told.extend(settled.problems.into_iter().map(|problem| problem.message));
    }
    (store, folder, told)
}

fn an_hour_later() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(1)
}

#[tokio::test]
async fn a_batch_that_was_given_up_and_turns_up_is_told_of_once() {
    let (store, _folder, told) = said_of_one_given_up(BatchEnd::NeverCreated, an_hour_later).await;
    let [told] = &told[..] else { panic!("{told:?}") };
    assert!(told.starts_with("batch msgbatch_late of 1 requests to anthropic was created after all"), "{told}");
    let rows = store.batches().unwrap();
    assert_eq!((rows[0].id.as_deref(), rows[0].end), (Some("msgbatch_late"), Some(BatchEnd::CreatedLate)));
}

#[tokio::test]
async fn nobody_looks_for_what_was_refused_or_given_up_days_ago() {
    assert_eq!(said_of_one_given_up(BatchEnd::Refused, an_hour_later).await.2, [""; 0]);
    let days_later = || DateTime::UNIX_EPOCH + chrono::TimeDelta::days(2);
    assert_eq!(said_of_one_given_up(BatchEnd::NeverCreated, days_later).await.2, [""; 0]);
}
