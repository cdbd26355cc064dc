//! Which commands and flags are there? Every flag has one spelling, and means the same everywhere.

pub(crate) mod baseline;
pub(crate) mod batch;
pub(crate) mod cache;
pub(crate) mod calibrate;
pub(crate) mod history;
pub(crate) mod reports;
pub(crate) mod review;
pub(crate) mod run;
pub(crate) mod sim;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Prompt regression testing: suites, snapshots, exact costs and one verdict that CI can trust.
#[derive(Debug, Parser)]
#[command(name = "promptkeel", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = ColourChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColourChoice,

    /// Tell more on standard error: -v what happens to each request, -vv also what goes over the wire
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Work in this folder instead of the current one
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  promptkeel init                            a first suite that runs at once
  promptkeel run                             run every suite
  promptkeel run suites/triage.yaml --model '*haiku*' --junit junit.xml
  promptkeel run --endpoint simulated        the same, answered by the simulator: no key, no cost
  promptkeel plan                            what would be asked, and what it could cost
  promptkeel review                          go through what changed: accept, reject, skip
  promptkeel accept 'ticket-triage/*'        accept pending outputs as snapshots

Exit codes of `run`: 0 the gate holds, 1 it fails, 2 something is invalid and nothing was sent, 3 a verdict is missing,
4 nothing was selected, 5 something could not be written, 6 stopped by the budget,
7 it cannot be told whether it is worse than its baseline, 130 interrupted.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask the models, judge the replies, compare snapshots, write reports
    #[command(after_help = run::EXAMPLES)]
    Run(Box<run::RunArguments>),
    /// Print what a run would ask, what is already answered, and what the rest will cost, about and at most; asks nothing
    Plan(PlanArguments),
    /// Validate settings, suites, prompts and fixtures; sends nothing
    Check(CheckArguments),
    /// List suites, cases, tags and models
    List(ListArguments),
    /// Show cells whole (prompt, reply, assertions, cost, attempts, snapshot), or a remembered run
    Show(ShowArguments),
    /// Look after the stored and the recorded answers
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// Look after the message batches that runs created
    #[command(subcommand)]
    Batch(batch::BatchCommand),
    /// List the remembered runs, flaky cells, or forget runs
    History(history::HistoryArguments),
    /// Bless a run that later runs are compared with, in a file to commit
    Baseline(baseline::BaselineArguments),
    /// Create a first suite that runs at once
    Init(InitArguments),
    /// Go through changed, new and orphaned outputs in the terminal, and decide about each
    Review(review::ReviewArguments),
    /// List outputs that wait for a decision
    Pending(review::PendingArguments),
    /// Accept pending outputs as snapshots
    Accept(review::AcceptArguments),
    /// Delete pending outputs
    Reject(review::DecideArguments),
    /// Render a run report again in other formats
    Report(reports::ReportArguments),
    /// Merge the reports of all shards and judge them as one run
    Merge(reports::MergeArguments),
    /// Compare two runs, models or versions of a prompt: quality with a verdict, cost, speed, and where they differ
    Compare(crate::cli::compare::CompareArguments),
    /// Run suites several times unchanged: how often would the gate block them, which cases are noise, which loss would be found?
    Calibrate(calibrate::CalibrateArguments),
    /// Serve the simulated Messages API on loopback
    Sim(sim::SimArguments),
    /// Print a JSON Schema for editors and tools
    Schema(SchemaArguments),
    /// Print every setting with its default, as a template of promptkeel.toml
    Settings,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Which suites and cells.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArguments {
    /// Suite files or folders; all suites of the project by default
    #[arg(value_name = "SUITE")]
    pub(crate) suites: Vec<PathBuf>,
    /// Cases whose id, or suite::id, matches the glob (repeatable)
    #[arg(long = "case", value_name = "GLOB")]
    pub(crate) cases: Vec<String>,
    /// Cases with this tag (repeatable)
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Models whose label or id matches the glob (repeatable)
    #[arg(long = "model", value_name = "GLOB")]
    pub(crate) models: Vec<String>,
    /// Prompts by name, or name@version (repeatable)
    #[arg(long = "prompt", value_name = "PROMPT")]
    pub(crate) prompts: Vec<String>,
    /// One part of a run that is split over machines, such as 2/4
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<crate::model::run::Shard>,
    /// Only cells that did not pass in the last run
    #[arg(long)]
    pub(crate) failed: bool,
    /// Only cells that differ from the merge base with this git revision
    #[arg(long, value_name = "REF")]
    pub(crate) changed_since: Option<String>,
}

fn parse_shard(text: &str) -> Result<crate::model::run::Shard, String> {
    let parsed = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match parsed {
        Some((index, count)) if index >= 1 && index <= count => Ok(crate::model::run::Shard { index, count }),
        _ => Err("write I/N with I from 1 to N, such as 2/4".to_owned()),
    }
}

/// Which endpoint, and where answers may come from.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Answers")]
pub(crate) struct AnswerArguments {
    /// Ask this endpoint for every model; `simulated` never pays
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// Where answers may come from
    #[arg(long, value_enum, default_value_t = CacheArgument::ReadWrite, value_name = "MODE")]
    pub(crate) cache: CacheArgument,
    /// Independent answers per cell, in place of what the suites and cases say; only those that are not stored are asked
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) samples: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CacheArgument {
    /// Stored answers first, then the endpoint
    #[default]
    ReadWrite,
    /// Ask again, and store beside the old answers
    Refresh,
    /// Ask again without looking; answers are stored all the same
    Off,
    /// Stored answers alone; a miss is an error
    Only,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) selection: SelectionArguments,
    #[command(flatten)]
    pub(crate) answers: AnswerArguments,
    /// Let the endpoints count the tokens of the prompts that must be asked: free, within their rate limits
    #[arg(long)]
    pub(crate) exact: bool,
    /// What a run would cost that asks in message batches, as run --batch does
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on",
        value_name = "WHEN",
        help_heading = "Answers"
    )]
    pub(crate) batch: Option<run::BatchArgument>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Suite files or folders; all suites of the project by default
    #[arg(value_name = "SUITE")]
    pub(crate) suites: Vec<PathBuf>,
    /// Print problems as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) github: reports::GithubArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) selection: SelectionArguments,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The folder; created where it does not exist
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is asked: the answer comes from the store (or from a report), and is judged and compared as the files are now.\n\n\
Examples:
  promptkeel show ticket-triage::double-charge::ticket-triage@3::claude-haiku-4-5
  promptkeel show double-charge                      every cell of a case
  promptkeel show 'ticket-triage::*::claude-haiku-4-5' --json
  promptkeel show double-charge --from run.json      as a run in CI saw it
  promptkeel show last                               the last run, cell by cell; `last-green`, or an id of `promptkeel history`"
)]
pub(crate) struct ShowArguments {
    /// An address, a part of it (a suite, a case, `prompt@version`, a model, joined by `::`), or a glob; or first a run of the history: its
    /// id, `last` or `last-green`
    #[arg(value_name = "CELL", required = true)]
    pub(crate) cells: Vec<String>,
    /// Show them as this report of `run --json` or `merge --json` tells
    #[arg(long, value_name = "RUN.json", conflicts_with = "endpoint")]
    pub(crate) from: Option<PathBuf>,
    /// The endpoint whose answers are meant, for every model
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// So many answers per cell, in place of what the suites and cases say
    #[arg(long, value_name = "K", conflicts_with = "from", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) samples: Option<u32>,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// Of which file
    #[arg(value_enum)]
    pub(crate) of: SchemaOf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Suite files
    Suite,
    /// promptkeel.toml
    Settings,
    /// Run reports
    Run,
    /// Comparisons
    Comparison,
    /// Calibrations
    Calibration,
}
