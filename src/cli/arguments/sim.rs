//! Which arguments does `sim` take?

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  promptkeel sim --script fixtures/sim/examples.yaml --port 8080\n  ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_API_KEY=any promptkeel run"
)]
pub(crate) struct SimArguments {
    /// The rules to answer by
    #[arg(long, value_name = "FILE")]
    pub(crate) script: PathBuf,
    /// Loopback port; 0 picks a free one and prints it
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Seed of random faults
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Share of requests that meet a random fault, 0 to 1; the script's own rate by default
    #[arg(long, value_name = "RATE")]
    pub(crate) fault_rate: Option<f64>,
    /// Answer more requests than this in a minute with 429 and `retry-after`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) requests_per_minute: Option<u32>,
    /// With a limit, so many requests may come at once; without this a minute's worth
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) request_burst: Option<u32>,
    /// Wait before every answer, such as 200ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) latency: Option<std::time::Duration>,
}
