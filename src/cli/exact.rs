//! How many tokens do the endpoints themselves count for the prompts of a plan (`plan --exact`)?

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::cli::answers;
use crate::cli::console::{Console, counted};
use crate::cli::project::{Failure, Project};
use crate::endpoint::patience::Flight;
use crate::endpoint::{Call, Endpoint, Observer, counting};
use crate::model::gate::Exit;
use crate::model::key::Key;
use crate::model::prefix::Marks;
use crate::model::problem::Problem;
use crate::model::verdict::CellError;
use crate::runner::estimate::Earlier;
use crate::runner::plan::{Plan, PlannedCell};

/// More than any endpoint has under way at once by default; its own limits decide how many are on the wire.
const UNDER_WAY: usize = 256;

/// Counts the prompt of each cell that must be asked, through the limits of its endpoint. What cannot be counted stays estimated by its size.
pub(crate) async fn count(
    project: &Project,
    plan: &Plan,
    is_known: impl Fn(&Key) -> bool,
    earlier: &mut Earlier,
    now: DateTime<Utc>,
    interrupted: &CancellationToken,
    console: &Console,
) -> Result<Vec<Problem>, Failure> {
    let asked: Vec<&PlannedCell> = plan.cells.iter().filter(|cell| cell.keys.iter().any(|key| !is_known(key))).collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let (configs, simulators) = answers::endpoints(project, plan, |cell| cell.keys.iter().any(|key| !is_known(key)), 0, None).await?;
    let mut names: Vec<&str> = configs.iter().map(|config| config.name.as_str()).collect();
    names.retain(|name| asked.iter().any(|cell| *cell.variant.endpoint == **name));
    console.tell(format_args!(
        "asking {} for the tokens of {}: counts are free, and nothing else is asked",
        names.join(", "),
        counted(asked.len(), "prompt")
    ));
    let counters = counting::build(configs, u64::from(now.timestamp_subsec_nanos())).map_err(|error| answers::endpoint_problem(&error))?;
    let counters = &counters;
    let one = |(at, call): (usize, Option<Call>)| async move {
        match call {
            Some(call) => (at, Some(counters.ask(call).await)),
            None => (at, None),
        }
    };
    // What never ends by itself ends with the command.
    let calls = asked.iter().map(|cell| call(project, cell)).enumerate();
    let all = futures_util::stream::iter(calls.map(one)).buffer_unordered(UNDER_WAY).collect::<Vec<_>>();
    let all = tokio::select! {
        all = all => all,
        () = interrupted.cancelled() => return Err(Failure::of(Exit::Interrupted, Problem::note("the prompts were not counted to the end"))),
    };
    let mut failed: Vec<CellError> = Vec::new();
    for (at, told) in all {
        match told {
            Some(Ok(answer)) => earlier.count(asked[at], answer.reply.usage.input_tokens),
            Some(Err(error)) => failed.push(error),
            None => {}
        }
    }
    for simulator in simulators {
        simulator.stop().await;
    }
    Ok(failed.first().map(|error| uncounted(failed.len(), error)).into_iter().collect())
}

fn uncounted(count: usize, first: &CellError) -> Problem {
    Problem::warning(format!("{} could not be counted, and stay estimated by their size: {}", counted(count, "prompt"), first.message))
        .hint("gateways may not have `/v1/messages/count_tokens`; leave `--exact` out")
}

fn call(project: &Project, cell: &PlannedCell) -> Option<Call> {
    Some(Call {
        request: Arc::new(cell.request().ok()?),
        endpoint: Arc::clone(&cell.variant.endpoint),
        key: *cell.keys.first()?,
        sample: cell.first_sample,
        suite: Arc::clone(&cell.variant.suite_name),
        worst_case: None,
        deadline: project.settings.case_timeout,
        observer: Observer::silent(),
        flight: Flight::default(),
        marks: Marks::AsWritten,
    })
}
