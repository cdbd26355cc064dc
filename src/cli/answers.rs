//! Who answers in this run? The store, the endpoints that something must be asked of, and simulators where they are in process.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::cli::arguments::CacheArgument;
use crate::cli::project::{Failure, Project};
use crate::endpoint::{self, EndpointConfig, Stack};
use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::model::request::Dialect;
use crate::runner::plan::Plan;
use crate::sim::server::{Options, Simulator};
use crate::store::Store;
use crate::store::cached::{CacheMode, Cached};

/// The whole request stack of a run.
pub(crate) struct Answers {
    pub(crate) cached: Cached<Stack>,
    pub(crate) simulators: Vec<Simulator>,
}

/// Builds the stack. Only endpoints that something must be asked of need a key, a CA store or a running simulator.
pub(crate) async fn open(
    project: &Project,
    plan: &Plan,
    store: Arc<Store>,
    mode: CacheArgument,
    max_concurrency: Option<u32>,
    is_answered: impl Fn(&Key) -> bool,
    now: DateTime<Utc>,
) -> Result<Answers, Failure> {
    let asked: BTreeSet<&str> = match mode {
        CacheArgument::Only => BTreeSet::new(),
        CacheArgument::ReadWrite | CacheArgument::Refresh | CacheArgument::Off => {
            plan.cells.iter().filter(|cell| cell.keys.iter().any(|key| !is_answered(key))).map(|cell| &*cell.variant.endpoint).collect()
        }
    };
    let mut simulators = Vec::new();
    let mut configs = Vec::new();
    let mut problems = Vec::new();
    for name in asked {
        let settings = &project.settings.endpoints[name];
        let identity = plan.cells.iter().find(|cell| *cell.variant.endpoint == *name).map(|cell| cell.variant.identity.clone());
        let (base_url, key) = match settings.dialect {
            Dialect::Simulated => {
                let script = project.script(name, settings)?;
                let simulator = start(script).await?;
                let url = simulator.url();
                simulators.push(simulator);
                (url, Some("simulated".into()))
            }
            Dialect::Messages => {
                let variable = settings.api_key_env.as_deref().unwrap_or_default();
                let key = project.environment.secret(variable);
                if key.is_none() {
                    problems.push(
                        Problem::error(format!("endpoint `{name}` needs a key, and `{variable}` is not set"))
                            .hint(format!("set {variable}, or answer with the simulator: `--endpoint simulated`")),
                    );
                }
                (settings.base_url.clone().unwrap_or_default(), key)
            }
        };
        configs.push(EndpointConfig {
            name: name.to_owned(),
            dialect: settings.dialect,
            base_url,
            key,
            auth: settings.auth,
            api_version: settings.api_version.clone(),
            beta: settings.beta.clone(),
            max_concurrency: max_concurrency.unwrap_or(settings.max_concurrency) as usize,
            requests_per_minute: settings.requests_per_minute,
            max_attempts: settings.max_attempts,
            attempt_timeout: settings.attempt_timeout,
            max_retry_after: settings.max_retry_after,
            identity: identity.expect("an endpoint is asked because a cell names it"),
        });
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let seed = now.timestamp_subsec_nanos();
    let names: Vec<String> = configs.iter().map(|config| config.name.clone()).collect();
    let stack = endpoint::build(configs, u64::from(seed)).map_err(|error| endpoint_problem(&error))?;
    for name in names {
        stack.prepare(&name).map_err(|error| endpoint_problem(&error))?;
    }
    let mode = match mode {
        CacheArgument::ReadWrite => CacheMode::ReadWrite,
        CacheArgument::Refresh => CacheMode::Refresh,
        CacheArgument::Off => CacheMode::Off,
        CacheArgument::Only => CacheMode::Only,
    };
    Ok(Answers { cached: Cached::new(store, mode, stack), simulators })
}

async fn start(script: crate::sim::script::Script) -> Result<Simulator, Problem> {
    let options = Options { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), journal: 0, ..Options::default() };
    Simulator::start(script, options).await.map_err(|error| Problem::error(format!("the simulator cannot listen on loopback: {error}")))
}

fn endpoint_problem(error: &endpoint::EndpointError) -> Problem {
    let problem = Problem::error(error.to_string());
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}
