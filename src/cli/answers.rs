//! Who answers in this run? The store, the endpoints that something must be asked of, and simulators where they are in process.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::cli::arguments::CacheArgument;
use crate::cli::arguments::run::RunArguments;
use crate::cli::project::{Failure, Project};
use crate::cli::run::store_problem;
use crate::cli::settings::EndpointSettings;
use crate::endpoint::batches::{self, Batches};
use crate::endpoint::budget::Budget;
use crate::endpoint::{self, EndpointConfig, Spending, Stack};
use crate::model::gate::Exit;
use crate::model::key::Key;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::request::{Dialect, EndpointIdentity};
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::prefixes::{Conditions, Pace};
use crate::runner::select;
use crate::sim::server::{Options, Simulator};
use crate::store::Store;
use crate::store::cached::{CacheMode, Cached};

/// Bytes that an answer takes in the store with its request, at the least that is reserved.
const AN_ANSWER: usize = 24 << 10;

/// Bytes of a token of an answer as JSON: some four of text (wire reference, section 5.4 counts English so), and what is escaped in it.
const A_TOKEN: u64 = 6;

/// Bytes that are reserved for answers at the most.
const MOST_RESERVED: usize = 8 << 20;

/// The whole request stack of a run.
pub(crate) struct Answers {
    pub(crate) cached: Cached<Stack>,
    pub(crate) simulators: Vec<Simulator>,
    /// Counts what is spent, where anything is capped.
    pub(crate) budget: Arc<Budget>,
    /// The message batches of the endpoints that something must be asked of.
    pub(crate) batches: BTreeMap<Arc<str>, Batches>,
}

/// How answers are wanted in a run.
pub(crate) struct Wanted<'a> {
    pub(crate) store: Arc<Store>,
    pub(crate) mode: CacheArgument,
    /// Samples that need no asking.
    pub(crate) known: &'a HashSet<Key>,
    /// `--max-cost`; suites bring their own caps.
    pub(crate) max_cost: Option<Money>,
    /// What earlier rounds of a watch spent of it.
    pub(crate) spent: Money,
    /// `--max-concurrency`.
    pub(crate) max_concurrency: Option<u32>,
    /// Nothing more is sent once it is cancelled.
    pub(crate) stopping: CancellationToken,
    /// More may be asked than the plan has, so that its endpoints are needed even where everything is answered.
    pub(crate) asks_more: bool,
    /// What a batch under way holds is asked, and paid, again.
    pub(crate) asks_held: bool,
    /// Seeds the jitter of retries.
    pub(crate) now: DateTime<Utc>,
}

/// Builds the stack. Only endpoints that something must be asked of need a key or a CA store.
pub(crate) async fn open(project: &Project, plan: &Plan, wanted: Wanted<'_>) -> Result<Answers, Failure> {
    let Wanted { store, mode, known, max_cost, spent, max_concurrency, stopping, asks_more, asks_held, now } = wanted;
    let asked: BTreeSet<&str> = match mode {
        CacheArgument::Only => BTreeSet::new(),
        CacheArgument::ReadWrite | CacheArgument::Refresh | CacheArgument::Off => plan
            .cells
            .iter()
            .filter(|cell| asks_more || cell.keys.iter().any(|key| !known.contains(key)))
            .map(|cell| &*cell.variant.endpoint)
            .collect(),
    };
    let is_needed = |cell: &PlannedCell| asked.contains(&*cell.variant.endpoint);
    // Where it cannot be read, the run itself says so.
    let stored = store.stored().unwrap_or_default();
    let (configs, simulators) = endpoints(project, plan, is_needed, stored, max_concurrency).await?;
    let seed = now.timestamp_subsec_nanos();
    let budget = Arc::new(budget(plan, max_cost).having_spent(spent));
    let spending = Spending { budget: Arc::clone(&budget), catalog: Arc::clone(&project.catalog) };
    let batches = batches::clients(configs.iter().filter(|config| asked.contains(config.name.as_str())));
    let batches = batches.map_err(|error| endpoint_problem(&error))?;
    let stack = endpoint::build(configs, &spending, u64::from(seed)).map_err(|error| endpoint_problem(&error))?;
    let under_way = |name: &&str| {
        let settings = &project.settings.endpoints[*name];
        let is_paid = settings.dialect == Dialect::Messages;
        if is_paid { max_concurrency.unwrap_or(settings.max_concurrency) as usize * an_answer(plan, name) } else { 0 }
    };
    let reserved: usize = asked.iter().map(under_way).sum();
    if reserved > 0 {
        store.reserve(reserved.min(MOST_RESERVED)).map_err(|error| store_problem(&error))?;
    }
    for name in asked {
        stack.prepare(name).map_err(|error| endpoint_problem(&error))?;
    }
    let mode = match mode {
        CacheArgument::ReadWrite => CacheMode::ReadWrite,
        CacheArgument::Refresh => CacheMode::Refresh,
        CacheArgument::Off => CacheMode::Off,
        CacheArgument::Only => CacheMode::Only,
    };
    let mut cached = Cached::until(store, mode, stack, stopping);
    if asks_held {
        cached = cached.asking_held();
    }
    if mode == CacheMode::Refresh {
        cached = cached.resuming(known.iter().copied());
    }
    Ok(Answers { cached, simulators, budget, batches })
}

/// Bytes that the longest answer of an endpoint may take in the store.
fn an_answer(plan: &Plan, endpoint: &str) -> usize {
    let asked = plan.cells.iter().filter(|cell| *cell.variant.endpoint == *endpoint);
    let longest = asked.filter_map(|cell| cell.variant.params.max_tokens).max().unwrap_or(0);
    usize::try_from(longest.saturating_mul(A_TOKEN)).unwrap_or(MOST_RESERVED).clamp(AN_ANSWER, MOST_RESERVED)
}

/// Every endpoint that the plan names, as far as it can be built. Only where a cell is asked does a missing key stop everything. `stored` answers
/// were drawn from simulators before.
pub(crate) async fn endpoints(
    project: &Project,
    plan: &Plan,
    is_asked: impl Fn(&PlannedCell) -> bool,
    stored: u64,
    max_concurrency: Option<u32>,
) -> Result<(Vec<EndpointConfig>, Vec<Simulator>), Failure> {
    let asked: BTreeSet<&str> = plan.cells.iter().filter(|cell| is_asked(cell)).map(|cell| &*cell.variant.endpoint).collect();
    let used: BTreeSet<&str> = plan.cells.iter().map(|cell| &*cell.variant.endpoint).collect();
    let mut simulators = Vec::new();
    let mut configs = Vec::new();
    let mut problems = Vec::new();
    for name in used {
        let needed = asked.contains(name);
        let settings = &project.settings.endpoints[name];
        let identity = plan.cells.iter().find(|cell| *cell.variant.endpoint == *name).map(|cell| cell.variant.identity.clone());
        let (base_url, key) = match settings.dialect {
            // An answer that is damaged in the store is asked again, so what can be built is built, needed or not.
            Dialect::Simulated => {
                let script = project.script(name, settings)?;
                let simulator = start(script, stored).await?;
                let url = simulator.url();
                simulators.push(simulator);
                (url, Some("simulated".into()))
            }
            Dialect::Messages => {
                let variable = settings.api_key_env.as_deref().unwrap_or_default();
                let key = project.environment.secret(variable);
                if key.is_none() && !needed {
                    continue;
                }
                if key.is_none() {
                    problems.push(
                        Problem::error(format!("endpoint `{name}` needs a key, and `{variable}` is not set"))
                            .hint(format!("set {variable}, or answer with the simulator: `--endpoint simulated`")),
                    );
                }
                (settings.base_url.clone().unwrap_or_default(), key)
            }
        };
        let identity = identity.expect("an endpoint is asked because a cell names it");
        let config = config(name, settings, base_url, key, identity);
        configs.push(EndpointConfig { max_concurrency: max_concurrency.map_or(config.max_concurrency, |most| most as usize), ..config });
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    Ok((configs, simulators))
}

/// An endpoint as the settings have it.
pub(crate) fn config(
    name: &str,
    settings: &EndpointSettings,
    base_url: String,
    key: Option<SecretString>,
    identity: EndpointIdentity,
) -> EndpointConfig {
    EndpointConfig {
        name: name.to_owned(),
        dialect: settings.dialect,
        base_url,
        key,
        auth: settings.auth,
        api_version: settings.api_version.clone(),
        beta: settings.beta.clone(),
        max_concurrency: settings.max_concurrency as usize,
        requests_per_minute: settings.requests_per_minute,
        input_tokens_per_minute: settings.input_tokens_per_minute,
        output_tokens_per_minute: settings.output_tokens_per_minute,
        max_attempts: settings.max_attempts,
        attempt_timeout: settings.attempt_timeout,
        attempt_grows: settings.attempt_grows,
        max_retry_after: settings.max_retry_after,
        give_up_after: settings.give_up_after,
        status_page: settings.status_page.clone(),
        stream: settings.stream,
        identity,
    }
}

/// What decides where the provider's prompt cache pays, in a run that begins `now`.
pub(crate) fn conditions(project: &Project, max_concurrency: Option<u32>, now: DateTime<Utc>) -> Conditions {
    let pace = |settings: &EndpointSettings| Pace {
        max_concurrency: max_concurrency.unwrap_or(settings.max_concurrency) as usize,
        requests_per_minute: settings.requests_per_minute,
        stream: settings.stream,
    };
    let endpoints = project.settings.endpoints.iter().map(|(name, settings)| (name.clone(), pace(settings))).collect();
    Conditions { day: now.date_naive(), endpoints }
}

/// Samples that a run need not ask.
pub(crate) fn known(plan: &Plan, store: &Store, arguments: &RunArguments) -> Result<HashSet<Key>, Failure> {
    let mode = arguments.answers.cache;
    if arguments.resume && mode != CacheArgument::Refresh {
        return Err(Problem::error("`--resume` goes on with a refresh")
            .hint("add `--cache refresh`; other runs go on by themselves")
            .into());
    }
    let known = || store.known(&select::keys(plan)).map_err(|error| store_problem(&error));
    match mode {
        CacheArgument::ReadWrite | CacheArgument::Only => Ok(known()?.into_keys().collect()),
        CacheArgument::Refresh if arguments.resume => {
            let since = interrupted_since(store)?;
            Ok(known()?.into_iter().filter(|(_, answer)| answer.created_at >= since).map(|(key, _)| key).collect())
        }
        CacheArgument::Refresh | CacheArgument::Off => Ok(HashSet::new()),
    }
}

/// When the first of the last runs began that were interrupted one after the other.
fn interrupted_since(store: &Store) -> Result<DateTime<Utc>, Failure> {
    let mut runs = store.runs().map_err(|error| store_problem(&error))?;
    runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
    let interrupted = runs.iter().take_while(|run| run.exit == Exit::Interrupted).last();
    interrupted.map(|run| run.started_at).ok_or_else(|| {
        Problem::error("`--resume` needs an interrupted run, and the last one ended by itself").hint("leave `--resume` out").into()
    })
}

fn budget(plan: &Plan, run_cap: Option<Money>) -> Budget {
    let caps = plan.suites.iter().filter_map(|suite| Some((Arc::from(suite.name.as_str()), suite.gate.max_cost_usd?)));
    Budget::new(run_cap, caps.collect())
}

async fn start(script: crate::sim::script::Script, earlier: u64) -> Result<Simulator, Problem> {
    let options = Options { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), journal: 0, earlier, ..Options::default() };
    Simulator::start(script, options).await.map_err(|error| Problem::error(format!("the simulator cannot listen on loopback: {error}")))
}

pub(crate) fn endpoint_problem(error: &endpoint::EndpointError) -> Problem {
    let problem = Problem::error(error.to_string());
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
