//! Does the whole stack, store to socket, get every answer once from a server that it did not write?

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use promptkeel::endpoint::address::{Address, identity};
use promptkeel::endpoint::patience::Flight;
use promptkeel::endpoint::{Auth, Call, Endpoint, EndpointConfig, Observer, Spending, Stack, Streaming, build};
use promptkeel::model::catalog::Catalog;
use promptkeel::model::key::key;
use promptkeel::model::prefix::Marks;
use promptkeel::model::reply::{Answer, Served};
use promptkeel::model::request::{Block, Dialect, Params, Request, Role, Turn};
use promptkeel::model::verdict::{CellError, ErrorKind};
use promptkeel::sim::script::Script;
use promptkeel::sim::server::{Options, Simulator};
use promptkeel::store::Store;
use promptkeel::store::cached::{CacheMode, Cached};
use secrecy::SecretString;

const MODEL: &str = "claude-haiku-4-5";

async fn simulator(script: &str) -> Simulator {
    Simulator::start(Script::parse("test.yaml", script).unwrap(), Options::default()).await.unwrap()
}

fn config(url: &str) -> EndpointConfig {
    EndpointConfig {
        name: "simulated".to_owned(),
        dialect: Dialect::Simulated,
        base_url: url.to_owned(),
        key: Some(SecretString::from("any key will do")),
        auth: Auth::Bearer,
        api_version: "2026-10-21".to_owned(),
        beta: Vec::new(),
        max_concurrency: 16,
        requests_per_minute: None,
        input_tokens_per_minute: None,
        output_tokens_per_minute: None,
        max_attempts: 8,
        attempt_timeout: Duration::from_secs(30),
        attempt_grows: false,
        max_retry_after: Duration::from_millis(5),
        give_up_after: Duration::from_secs(30),
        status_page: None,
        stream: Streaming::Auto,
        identity: identity(Dialect::Simulated, &Address::parse(url).unwrap(), "2026-10-21", &[]),
    }
}

fn call(config: &EndpointConfig, text: &str) -> Call {
    let request = Request {
        model: MODEL.to_owned(),
        system: vec![Block::text("Be brief.")],
        turns: vec![Turn { role: Role::User, content: vec![Block::text(text)] }],
        params: Params { max_tokens: Some(100), ..Params::default() },
    };
    Call {
        key: key(&request, &config.identity, 0),
        request: Arc::new(request),
        endpoint: Arc::from(config.name.as_str()),
        sample: 0,
        marks: Marks::AsWritten,
        suite: Arc::from("suite"),
        worst_case: None,
        deadline: Duration::from_secs(60),
        observer: Observer::silent(),
        flight: Flight::default(),
    }
}

fn process(folder: &Path, config: &EndpointConfig, mode: CacheMode) -> Cached<Stack> {
    let spending = Spending { budget: Arc::default(), catalog: Arc::new(Catalog::embedded().clone()) };
    Cached::new(Arc::new(Store::open(folder).unwrap()), mode, build(vec![config.clone()], &spending, 1).unwrap())
}

async fn ask_all(cached: &Cached<Stack>, config: &EndpointConfig, count: usize) -> Vec<Result<Answer, CellError>> {
    join_all((0..count).map(|number| cached.ask(call(config, &format!("question {number}"))))).await
}

fn texts(answers: &[Result<Answer, CellError>]) -> Vec<String> {
    answers.iter().map(|answer| answer.as_ref().unwrap().reply.text()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_of_all_requests_may_fail_and_every_call_has_its_answer() {
    let script = "
faults: {rate: 0.33, kinds: [rate_limit, server_error, overloaded, timeout, drop, reset, cut, html, invalid_json], retry_after: 1, in_a_row: 2}
otherwise: {text: fine}";
    let simulator = simulator(script).await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(&simulator.url());
    let first = ask_all(&process(folder.path(), &config, CacheMode::ReadWrite), &config, 150).await;
    assert!(texts(&first).iter().all(|text| text == "fine"));
    assert!(first.iter().all(|answer| answer.as_ref().unwrap().reply.simulated));
    let attempts: usize = first.iter().map(|answer| answer.as_ref().unwrap().reply.attempts.len()).sum();
    assert_eq!(simulator.requests(), attempts as u64, "every attempt on the wire is told of");
    assert!(attempts > 180, "{attempts} attempts: the faults did not hit");
    // The second run asks nothing and says the same.
    let second = ask_all(&process(folder.path(), &config, CacheMode::ReadWrite), &config, 150).await;
    assert_eq!(simulator.requests(), attempts as u64);
    assert_eq!(texts(&first), texts(&second));
    assert!(second.iter().all(|answer| answer.as_ref().unwrap().served == Served::Stored));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_project_do_not_ask_what_the_other_has_stored() {
    let simulator = simulator("otherwise: {text: fine, delay: 5ms}").await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&simulator.url());
    config.max_concurrency = 2;
    let (one, other) = (process(folder.path(), &config, CacheMode::ReadWrite), process(folder.path(), &config, CacheMode::ReadWrite));
    let backwards = join_all((0..100).rev().map(|number| other.ask(call(&config, &format!("question {number}")))));
    let (forth, back) = tokio::join!(ask_all(&one, &config, 100), backwards);
    assert!(forth.iter().chain(&back).all(Result::is_ok));
    let asked = simulator.requests();
    // Two stores of one process cannot claim against each other everywhere: what both have under way where they meet is asked twice there.
    let twice = if cfg!(target_os = "linux") { 0 } else { 50 };
    assert!((100..=100 + twice).contains(&asked), "{asked} requests for 100 answers");
}

#[tokio::test]
async fn a_request_that_the_server_rejects_is_asked_once_and_says_why() {
    let simulator = simulator("otherwise: {text: fine}").await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(&simulator.url());
    let cached = process(folder.path(), &config, CacheMode::ReadWrite);
    let mut wrong = call(&config, "hi");
    let request = Arc::make_mut(&mut wrong.request);
    request.params.temperature = Some(1.into());
    let error = cached.ask(wrong).await.unwrap_err();
    assert_eq!((error.kind, error.attempts.len()), (ErrorKind::InvalidRequest, 1));
    assert!(error.message.starts_with("HTTP 400 invalid_request_error: ") && error.message.contains("temperature"), "{}", error.message);
    // The model is not stopped by it.
    assert!(cached.ask(call(&config, "hi")).await.is_ok());
}

#[tokio::test]
async fn an_unknown_model_stops_itself() {
    let simulator = simulator("otherwise: {text: fine}").await;
    let folder = tempfile::tempdir().unwrap();
    let config = config(&simulator.url());
    let cached = process(folder.path(), &config, CacheMode::ReadWrite);
    for (number, attempts) in [(1, 1), (2, 0)] {
        let mut unknown = call(&config, &format!("question {number}"));
        Arc::make_mut(&mut unknown.request).model = "claude-nobody-1".to_owned();
        unknown.key = key(&unknown.request, &config.identity, 0);
        let error = cached.ask(unknown).await.unwrap_err();
        assert_eq!((error.kind, error.attempts.len()), (ErrorKind::NotFound, attempts), "{}", error.message);
    }
    assert_eq!(simulator.requests(), 1);
    assert!(cached.ask(call(&config, "hi")).await.is_ok());
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let simulator = simulator("otherwise: {fault: hang}").await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&simulator.url());
    config.attempt_timeout = Duration::from_millis(100);
    config.max_attempts = 2;
    let error = process(folder.path(), &config, CacheMode::ReadWrite).ask(call(&config, "hi")).await.unwrap_err();
    assert_eq!((error.kind, error.attempts.len()), (ErrorKind::Timeout, 2), "{}", error.message);
}
