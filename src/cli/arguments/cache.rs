//! Which arguments does `cache` take?

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Write the stored answers that suites need into `recordings/`, to be committed
    Export(ExportArguments),
    /// Store the answers of a recording, such as one from another machine
    Import(ImportArguments),
    /// Tell how many answers are stored and recorded
    Stats(StatsArguments),
    /// Check that every stored and recorded answer is as it was written
    Verify,
    /// Delete stored answers; never recordings, never runs
    Prune(PruneArguments),
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

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// A file as `run --record` writes it
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "An answer goes that any flag names. Recorded answers stay stored; what remembered runs were judged with counts as referenced.\n\n\
Examples:
  promptkeel cache prune --unreferenced --dry-run
  promptkeel cache prune --older-than 90d
  promptkeel cache prune --max-size 500MB"
)]
pub(crate) struct PruneArguments {
    #[command(flatten)]
    pub(crate) which: WhichGo,
    /// Only tell what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct WhichGo {
    /// Answers that were paid longer ago than this, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<std::time::Duration>,
    /// The oldest answers, until the rest is no larger than this, such as 500MB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_size: Option<u64>,
    /// Answers that no case of any suite and no remembered run needs
    #[arg(long)]
    pub(crate) unreferenced: bool,
}

fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write a number with kB, MB or GB, such as 500MB".to_owned();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1_000,
        "mb" | "m" => 1_000_000,
        "gb" | "g" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}
