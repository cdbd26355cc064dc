//! `promptkeel sim`: the simulated Messages API on loopback, until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};

use tokio_util::sync::CancellationToken;

use crate::cli::arguments::sim::SimArguments;
use crate::cli::console::Console;
use crate::cli::project::Failure;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::sim::script::Script;
use crate::sim::server::{Options, Simulator};

/// Serves until it is interrupted.
pub(crate) async fn run(
    current: &std::path::Path,
    arguments: &SimArguments,
    console: &Console,
    interrupted: CancellationToken,
) -> Result<Exit, Failure> {
    let script = Script::load(&current.join(&arguments.script)).map_err(|error| Problem::error(error.to_string()))?;
    let mut options = Options { address: SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)), ..Options::default() };
    options.seed = arguments.seed;
    options.requests_per_minute = arguments.requests_per_minute;
    options.request_burst = arguments.request_burst;
    // Nobody reads the journal from another process.
    options.journal = 0;
    if let Some(rate) = arguments.fault_rate {
        options.fault_rate = rate;
    }
    if let Some(latency) = arguments.latency {
        options.latency = latency;
    }
    let simulator = Simulator::start(script, options).await.map_err(|error| {
        Problem::error(format!("cannot listen on port {}: {error}", arguments.port)).hint("`--port 0` takes a free port")
    })?;
    console.line(format_args!("simulating the Messages API on {}", simulator.url()))?;
    console.tell(format_args!("ask it with: ANTHROPIC_BASE_URL={} ANTHROPIC_API_KEY=any promptkeel run", simulator.url()));
    interrupted.cancelled().await;
    let (requests, (billed, lost)) = (simulator.requests(), simulator.dollars());
    simulator.stop().await;
    console.tell(format_args!(
        "{requests} requests answered; nothing was paid, the list price of it is ${billed}, and ${lost} of answers that broke"
    ));
    Ok(Exit::Holds)
}
