//! `promptkeel batch`: where do the message batches stand, which is ended early, which is waited for no more?

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::cli::answers;
use crate::cli::arguments::batch::{BatchCommand, CancelArguments, ForgetArguments, StatusArguments};
use crate::cli::console::{Console, counted};
use crate::cli::project::{Failure, Project};
use crate::endpoint::address::{self, Address};
use crate::endpoint::batches::{self, Batch, BatchFault, Batches, Counts};
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::report::visible;
use crate::store::batches::{BatchEnd, BatchRow};
use crate::store::batching;
use crate::store::{Store, StoreError};

/// Batches that are listed, the newest first; those that are waited for are listed in any case.
const LISTED: usize = 20;

/// One batch for programs.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    row: &'a BatchRow,
    /// What the API says; absent where it was not asked or did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

pub(crate) async fn run(project: &Project, command: &BatchCommand, console: &Console) -> Result<Exit, Failure> {
    match command {
        BatchCommand::Status(arguments) => status(project, arguments, console).await,
        BatchCommand::Cancel(arguments) => cancel(project, arguments, console).await,
        BatchCommand::Forget(arguments) => forget(project, arguments, console).await,
    }
}

async fn status(project: &Project, arguments: &StatusArguments, console: &Console) -> Result<Exit, Failure> {
    let all = match store(project)? {
        Some(store) => store.batches().map_err(told)?,
        None => Vec::new(),
    };
    let rows: Vec<BatchRow> = match &arguments.id {
        Some(id) => vec![named(all, id)?],
        None => all.into_iter().enumerate().filter(|(place, row)| *place < LISTED || row.end.is_none()).map(|(_, row)| row).collect(),
    };
    let clients = clients(project, rows.iter().filter(|row| row.end.is_none()))?;
    let mut looked: Vec<(BatchRow, Option<Result<Batch, String>>)> = Vec::new();
    for row in rows {
        let state = match (&row.id, row.end) {
            (Some(id), None) => Some(match clients.get(row.endpoint.as_str()) {
                Some(client) => client.retrieve(id).await.map_err(|fault| fault.message),
                None => Err(unreachable_by(project, &row.endpoint)),
            }),
            (None, _) | (_, Some(_)) => None,
        };
        looked.push((row, state));
    }
    if arguments.json {
        let told: Vec<Told<'_>> = looked
            .iter()
            .map(|(row, state)| {
                let batch = state.as_ref().and_then(|state| state.as_ref().ok());
                Told {
                    row,
                    status: batch.map(|batch| batch.status.as_str()),
                    request_counts: batch.map(|batch| batch.counts),
                    error: state.as_ref().and_then(|state| state.as_ref().err()).map(String::as_str),
                }
            })
            .collect();
        console.json(&told)?;
        return Ok(Exit::Holds);
    }
    if looked.is_empty() {
        console.line(format_args!("no batches; `promptkeel run --batch` creates one"))?;
    }
    for (row, state) in &looked {
        let name = row.id.as_deref().unwrap_or(&row.mark);
        let requests = counted(usize::try_from(row.requests).unwrap_or(usize::MAX), "request");
        let asked = row.intended_at.format("%Y-%m-%d %H:%M:%S");
        let state = match (state, row.end) {
            (Some(Ok(batch)), _) => said(batch),
            (Some(Err(reason)), _) => format!("cannot be looked at: {reason}"),
            (None, None) => format!(
                "whether it was created is not known: `promptkeel run --batch` looks for it, `promptkeel batch forget {}` gives it up",
                row.mark
            ),
            (None, Some(BatchEnd::Collected)) => "its results are stored".to_owned(),
            (None, Some(BatchEnd::NeverCreated)) => "was never created, as far as anybody found".to_owned(),
            (None, Some(BatchEnd::Refused)) => "was not taken: nothing of it was asked".to_owned(),
            (None, Some(BatchEnd::CreatedLate)) => "was created after it had been given up: what it held may be paid twice".to_owned(),
            (None, Some(BatchEnd::Gone)) => "is gone".to_owned(),
            (None, Some(BatchEnd::Forgotten)) => "is forgotten".to_owned(),
        };
        console.line(format_args!("{name}  {}  {requests}, asked {asked} UTC: {state}", visible::name(&row.endpoint)))?;
    }
    Ok(Exit::Holds)
}

/// `ended: 196 succeeded, 2 errored; `promptkeel run --batch` stores them`.
fn said(batch: &Batch) -> String {
    let Counts { processing, succeeded, errored, canceled, expired } = batch.counts;
    let all = [(processing, "in processing"), (succeeded, "succeeded"), (errored, "errored"), (expired, "expired"), (canceled, "canceled")];
    let counts: Vec<String> = all.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let next = match batch.status {
        batches::Status::Ended => "; `promptkeel run --batch` stores its results",
        batches::Status::InProgress | batches::Status::Canceling => "",
    };
    format!("{}, {}{next}", batch.status.as_str(), counts.join(", "))
}

async fn cancel(project: &Project, arguments: &CancelArguments, console: &Console) -> Result<Exit, Failure> {
    let store = store(project)?;
    let pending = store.map_or_else(|| Ok(Vec::new()), |store| store.pending_batches()).map_err(told)?;
    let row = match &arguments.id {
        Some(id) => named(pending, id)?,
        None => {
            let mut known: Vec<BatchRow> = pending.into_iter().filter(|row| row.id.is_some()).collect();
            match (known.pop(), known.as_slice()) {
                (Some(row), []) => row,
                (None, _) => {
                    return Err(Problem::error("no batch is under way").hint("`promptkeel batch status` lists the earlier ones").into());
                }
                (Some(last), others) => {
                    let names: Vec<&str> = others.iter().chain([&last]).filter_map(|row| row.id.as_deref()).collect();
                    let problem = Problem::error(format!(
                        "{} are under way: {}",
                        counted(names.len(), "batch").replace("batchs", "batches"),
                        names.join(", ")
                    ));
                    return Err(problem.hint("name the one to cancel").into());
                }
            }
        }
    };
    let Some(id) = &row.id else {
        let problem = Problem::error("whether this batch was created is not known");
        let hint = format!("`promptkeel run --batch` looks for it, `promptkeel batch forget {}` gives it up", row.mark);
        return Err(problem.hint(hint).into());
    };
    let clients = clients(project, std::iter::once(&row))?;
    let Some(client) = clients.get(row.endpoint.as_str()) else {
        return Err(Problem::error(unreachable_by(project, &row.endpoint)).into());
    };
    let batch = client.cancel(id).await.map_err(|fault| refused(id, &fault))?;
    console.line(format_args!("{id}: {}; the next run stores what was answered by then, and asks for the rest", said(&batch)))?;
    Ok(Exit::Holds)
}

async fn forget(project: &Project, arguments: &ForgetArguments, console: &Console) -> Result<Exit, Failure> {
    let folder = project.store_folder();
    let store = if folder.exists() { Some(Store::open(&folder).map_err(told)?) } else { None };
    let pending = store.as_ref().map_or_else(|| Ok(Vec::new()), Store::pending_batches).map_err(told)?;
    let row = named(pending, &arguments.id)?;
    if let Some(store) = store {
        store.batch_ended(&row.mark, BatchEnd::Forgotten).await.map_err(told)?;
        store.settle();
    }
    let requests = counted(usize::try_from(row.requests).unwrap_or(usize::MAX), "request");
    console.line(format_args!("{} is forgotten: its {requests} are asked again where a run needs them", arguments.id))?;
    Ok(Exit::Holds)
}

fn named(rows: Vec<BatchRow>, id: &str) -> Result<BatchRow, Failure> {
    let found = rows.into_iter().find(|row| row.id.as_deref() == Some(id) || row.mark == id);
    found.ok_or_else(|| {
        let problem = Problem::error(format!("this project waits for no batch `{}`", visible::brief(id, 80)));
        problem.hint("`promptkeel batch status` lists them").into()
    })
}

fn refused(id: &str, fault: &BatchFault) -> Failure {
    let problem = Problem::error(format!("batch {id} was not canceled: {}", fault.message));
    match &fault.hint {
        Some(hint) => problem.hint(hint.as_str()).into(),
        None => problem.hint(format!("`promptkeel batch status {id}` tells where it stands")).into(),
    }
}

/// The endpoints of these batches, as far as they can be asked.
fn clients<'a>(project: &Project, rows: impl Iterator<Item = &'a BatchRow>) -> Result<BTreeMap<Arc<str>, Batches>, Failure> {
    let mut configs = BTreeMap::new();
    for row in rows {
        let name = row.endpoint.as_str();
        let Some(settings) = project.settings.endpoints.get(name) else { continue };
        let key = settings.api_key_env.as_deref().and_then(|variable| project.environment.secret(variable));
        let url = settings.base_url.clone().unwrap_or_default();
        let (Some(key), false) = (key, batching::is_in_process(settings.dialect)) else { continue };
        let Ok(place) = Address::parse(&url) else { continue };
        let identity = address::identity(settings.dialect, &place, &settings.api_version, &settings.beta);
        configs.entry(name).or_insert_with(|| answers::config(name, settings, url, Some(key), identity));
    }
    batches::clients(configs.values()).map_err(|error| answers::endpoint_problem(&error).into())
}

/// Why an endpoint cannot be asked.
fn unreachable_by(project: &Project, name: &str) -> String {
    match project.settings.endpoints.get(name) {
        None => format!("the settings have no endpoint `{name}` any more"),
        Some(settings) if batching::is_in_process(settings.dialect) => {
            format!("the simulator of endpoint `{name}` runs in process, and its batches ended with it")
        }
        Some(settings) => {
            format!("endpoint `{name}` needs a key, and `{}` is not set", settings.api_key_env.as_deref().unwrap_or_default())
        }
    }
}

/// `None` in a project that never ran.
fn store(project: &Project) -> Result<Option<Store>, Failure> {
    let folder = project.store_folder();
    if folder.exists() { Store::open_to_read(&folder).map(Some).map_err(told) } else { Ok(None) }
}

fn told(error: StoreError) -> Failure {
    Problem::error(error.to_string()).hint(error.hint()).into()
}
