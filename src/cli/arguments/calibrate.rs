//! Which arguments does `calibrate` take?

use std::path::PathBuf;

use clap::Args;

use crate::cli::arguments::AnswerArguments;

#[derive(Debug, Args)]
#[command(
    after_help = "The suites are run several times as they are. Any two of these runs are of the same prompt, so whatever a gate finds between them is a\n\
false alarm. Each run has samples of its own: what was answered before serves, and more runs pay only for what is new.\n\n\
Examples:
  promptkeel calibrate suites/triage.yaml                        five runs
  promptkeel calibrate suites/triage.yaml --runs 10              five more; the first five are stored
  promptkeel calibrate suites/triage.yaml --drop 0.1             what would it take to find a loss of ten points?
  promptkeel calibrate suites/triage.yaml --cache only           from stored answers alone
  promptkeel calibrate suites/triage.yaml --max-cost 2 --markdown calibration.md\n\n\
Exit codes: 0 it was calibrated, whatever came of it; 2 something is invalid and nothing was sent; 3 a case lacks verdicts; 4 nothing was\n\
selected; 5 something could not be written; 6 stopped by the budget; 130 interrupted."
)]
pub(crate) struct CalibrateArguments {
    /// Suite files or folders; all suites of the project by default
    #[arg(value_name = "SUITE", help_heading = "Selection")]
    pub(crate) suites: Vec<PathBuf>,
    /// Cases whose id, or suite::id, matches the glob (repeatable)
    #[arg(long = "case", value_name = "GLOB", help_heading = "Selection")]
    pub(crate) cases: Vec<String>,
    /// Models whose label or id matches the glob (repeatable)
    #[arg(long = "model", value_name = "GLOB", help_heading = "Selection")]
    pub(crate) models: Vec<String>,
    #[command(flatten)]
    pub(crate) answers: AnswerArguments,
    /// How many runs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub(crate) runs: u32,
    /// Requests under way at once, per endpoint and model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) max_concurrency: Option<u32>,
    /// Spend at most so many dollars, what is under way counted at its worst case
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<crate::model::money::Money>,
    /// The loss of pass rate, averaged over all cases, that you would accept, in place of the suites'; 0.05 is five points
    #[arg(long, value_name = "SHARE", value_parser = crate::cli::compare::parse_share, help_heading = "Gate")]
    pub(crate) margin: Option<f64>,
    /// How often, at most, the comparison may be wrong, in place of the suites'; 0.05 is 5 times in 100
    #[arg(long, value_name = "SHARE", value_parser = crate::cli::arguments::baseline::parse_alpha, help_heading = "Gate")]
    pub(crate) alpha: Option<f64>,
    /// Judge the average over all cases alone, and leave cases that look worse unconfirmed: one that broke may hide in it
    #[arg(long, help_heading = "Gate")]
    pub(crate) average_only: bool,
    /// The loss in every case that is to be found; the margin by default
    #[arg(long, value_name = "SHARE", value_parser = crate::cli::compare::parse_share, help_heading = "Gate")]
    pub(crate) drop: Option<f64>,
    /// Comparisons that are dealt; more make the intervals narrower
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000), help_heading = "Gate")]
    pub(crate) draws: u32,
    /// Write the calibration as JSON
    #[arg(long, value_name = "FILE", help_heading = "Reports (`-` is standard output)")]
    pub(crate) json: Option<PathBuf>,
    /// Write Markdown for a pull request
    #[arg(long, value_name = "FILE", help_heading = "Reports (`-` is standard output)")]
    pub(crate) markdown: Option<PathBuf>,
    /// Print no progress, only what it came to
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
