//! Which arguments does `history` take?

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "The last 200 runs are remembered; the rounds of a watch are one run. A cell is flaky if it passed and failed with different answers\n\
while nothing of it changed.\n\n\
Examples:
  promptkeel history                            the last runs
  promptkeel history --suite ticket-triage      those with a cell of this suite, counted for it alone
  promptkeel history --flaky                    cells that passed and failed, unchanged
  promptkeel show last-green                    the last run whose gate held, cell by cell
  promptkeel history prune --older-than 30d"
)]
pub(crate) struct HistoryArguments {
    #[command(subcommand)]
    pub(crate) command: Option<HistoryCommand>,
    /// Most runs that are listed, the newest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Only runs with cells of this suite, and only those cells counted
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,
    /// List cells that passed and failed though nothing of them changed
    #[arg(long, conflicts_with = "limit")]
    pub(crate) flaky: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Forget runs; their answers stay stored
    Prune(PruneArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  promptkeel history prune --keep 50\n  promptkeel history prune --older-than 30d")]
#[group(required = true, multiple = true)]
pub(crate) struct PruneArguments {
    /// Keep the newest N runs
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<u32>,
    /// Forget runs that began longer ago than this, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<std::time::Duration>,
}
