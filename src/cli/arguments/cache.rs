//! Which arguments does `cache` take?

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Write the stored answers that suites need into `recordings/`, to be committed
    Export(ExportArguments),
    /// Tell how many answers are stored and recorded
    Stats(StatsArguments),
    /// Check that every stored and recorded answer is as it was written
    Verify,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is asked. What no case needs any more leaves the files.\n\nExamples:\n  promptkeel cache export\n  promptkeel cache export suites/triage.yaml"
)]
pub(crate) struct ExportArguments {
    /// Suite files or folders; all suites of the project by default
    #[arg(value_name = "SUITE")]
    pub(crate) suites: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
