//! Which commands and flags are there? Every flag has one spelling, and means the same everywhere.

pub(crate) mod history;

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
4 nothing was selected, 5 something could not be written, 6 stopped by the budget, 130 interrupted.";

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
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArguments>),
    /// Print what a run would ask, what is already answered, and the most that the rest can cost; sends nothing
    Plan(PlanArguments),
    /// Validate settings, suites, prompts and fixtures; sends nothing
    Check(CheckArguments),
    /// List suites, cases, tags and models
    List(ListArguments),
    /// Show cells whole (prompt, reply, assertions, cost, attempts, snapshot), or a remembered run
    Show(ShowArguments),
    /// List the remembered runs, flaky cells, or forget runs
    History(history::HistoryArguments),
    /// Create a first suite that runs at once
    Init(InitArguments),
    /// Go through changed, new and orphaned outputs in the terminal, and decide about each
    Review(ReviewArguments),
    /// List outputs that wait for a decision
    Pending(PendingArguments),
    /// Accept pending outputs as snapshots
    Accept(AcceptArguments),
    /// Delete pending outputs
    Reject(DecideArguments),
    /// Render a run report again in other formats
    Report(ReportArguments),
    /// Merge the reports of all shards and judge them as one run
    Merge(MergeArguments),
    /// Compare two runs, models or versions of a prompt: quality with a verdict, cost, speed, and where they differ
    Compare(crate::cli::compare::CompareArguments),
    /// Serve the simulated Messages API on loopback
    Sim(SimArguments),
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

const RUN_EXAMPLES: &str = "\
Examples:
  promptkeel run                                      every suite
  promptkeel run --changed-since origin/main          only the cells that differ from the merge base
  promptkeel run --watch                              again after each edit, what it touches
  promptkeel run --failed                             what did not pass last time
  promptkeel run --cache only --junit junit.xml       replay stored answers; a miss is an error
  promptkeel run --cache refresh --case 'refund-*'    ask again
  promptkeel run --samples 5                          five answers per cell: stored ones are not asked again
  promptkeel run --shard 1/4 --json shard-1.json      one of four parts; `promptkeel merge` judges the whole
  promptkeel run --update                             accept changed and new outputs of passing cells";

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

/// Report files; `-` is standard output.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Reports (`-` is standard output)")]
pub(crate) struct FormatArguments {
    /// Write the run report as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Keep JUnit to the Jenkins schema: no properties, file or line on test cases
    #[arg(long)]
    pub(crate) junit_strict: bool,
    /// Write Markdown for a pull request
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write one self-contained HTML page for a browser
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// What GitHub Actions is told beside the exit code.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Reports (`-` is standard output)")]
pub(crate) struct GithubArguments {
    /// Write GitHub's job summary and annotations on the lines of suites
    #[arg(long, value_enum, default_value_t = GithubArgument::Auto, value_name = "WHEN")]
    pub(crate) github: GithubArgument,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GithubArgument {
    /// In GitHub Actions; not for one shard of a run, which `merge` tells of
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) selection: SelectionArguments,
    #[command(flatten)]
    pub(crate) answers: AnswerArguments,
    #[command(flatten)]
    pub(crate) formats: FormatArguments,
    #[command(flatten)]
    pub(crate) github: GithubArguments,
    /// Write events as JSON Lines while it runs
    #[arg(long, value_name = "FILE", help_heading = "Reports (`-` is standard output)")]
    pub(crate) events: Option<PathBuf>,
    /// Where an endpoint's key is missing: end before the first request, or judge what is stored
    #[arg(
        long,
        value_enum,
        default_value_t = WithoutKey::Fail,
        conflicts_with = "cache",
        value_name = "WHAT",
        help_heading = "Answers"
    )]
    pub(crate) without_key: WithoutKey,
    /// With `--cache refresh`: go on with the refresh that was interrupted, and ask only what it did not ask
    #[arg(long, help_heading = "Answers")]
    pub(crate) resume: bool,
    /// Requests under way at once, per endpoint and model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) max_concurrency: Option<u32>,
    /// Spend at most so many dollars, what is under way counted at its worst case
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<crate::model::money::Money>,
    /// Start nothing more after this time, such as 30m: what is under way is finished, and every report written
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::settings::duration)]
    pub(crate) run_timeout: Option<std::time::Duration>,
    /// Stop asking after so many failed cells that count for the gate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_fail: Option<u32>,
    /// Accept changed and new outputs of cells that pass
    #[arg(long, conflicts_with = "add")]
    pub(crate) update: bool,
    /// Accept them as further variants, beside what was accepted
    #[arg(long)]
    pub(crate) add: bool,
    /// What orphaned snapshots do; `delete` needs a run of everything
    #[arg(long, value_enum, default_value_t = Unreferenced::Warn, value_name = "WHAT")]
    pub(crate) unreferenced: Unreferenced,
    /// Print no progress, only what the run came to
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Stay, and after each edit run the cells that it touches; `--max-cost` then holds for all rounds together
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "events", value_name = "HOW")]
    pub(crate) watch: Option<WatchArgument>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WithoutKey {
    /// A missing key is a mistake
    Fail,
    /// Stored answers alone, as with `--cache only`
    Stored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchArgument {
    /// The system tells of edits
    Events,
    /// Look at the files every second: for network file systems, where nobody tells
    Poll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unreferenced {
    /// They are listed
    Warn,
    /// They fail the gate
    Reject,
    /// They are deleted
    Delete,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) selection: SelectionArguments,
    #[command(flatten)]
    pub(crate) answers: AnswerArguments,
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
    pub(crate) github: GithubArguments,
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
#[command(after_help = "Keys: a accept, r reject, s skip, A and R all that share the same change, u undo, ? the others, q quit.\n\
Every decision is carried out at once, so a review can be left at any time; the next one goes on. Nothing is asked.\n\n\
Examples:
  promptkeel review                                everything that waits
  promptkeel review 'ticket-triage/*'              one suite
  promptkeel review '*/refund-*/*' '*haiku*'       some cases, and a model

Without a terminal it lists what waits, and the commands to use instead: pending, accept, reject.")]
pub(crate) struct ReviewArguments {
    /// suite/case/model, globs allowed: 'ticket-triage/*', '*/refund-*/*'; everything that waits by default
    #[arg(value_name = "GLOB")]
    pub(crate) globs: Vec<String>,
    /// The endpoint whose stored answers tell the assertions, for every model
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PendingArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct DecideArguments {
    /// suite/case/model, globs allowed: 'ticket-triage/*', '*/refund-*/*'
    #[arg(value_name = "GLOB")]
    pub(crate) globs: Vec<String>,
    /// All that are pending
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  promptkeel accept 'ticket-triage/*'                   pending outputs of a suite
  promptkeel accept --all
  promptkeel accept --add 'ticket-triage/*'             beside the variants that are accepted
  promptkeel accept --from run.json 'ticket-triage/*'   outputs of a run in CI: nothing is asked
  promptkeel accept --from run.json --all\n\n\
With `--from`, an output is refused if its prompt, its inputs or its parameters are not those of the run any more.")]
pub(crate) struct AcceptArguments {
    #[command(flatten)]
    pub(crate) which: DecideArguments,
    /// Accept them as further variants, beside what was accepted
    #[arg(long)]
    pub(crate) add: bool,
    /// Take the outputs of this report of `run --json` or `merge --json` instead of the pending ones
    #[arg(long, value_name = "RUN.json")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// A report that `run --json` or `merge --json` wrote
    #[arg(value_name = "RUN.json")]
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) formats: FormatArguments,
    // Not by itself: the run that wrote the report has told it.
    /// Write GitHub's job summary and annotations on the lines of suites
    #[arg(long, value_enum, default_value_t = GithubArgument::Never, value_name = "WHEN")]
    pub(crate) github: GithubArgument,
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
pub(crate) struct MergeArguments {
    /// The reports of all shards
    #[arg(value_name = "RUN.json", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// What orphaned snapshots do
    #[arg(long, value_enum, default_value_t = MergeUnreferenced::Warn, value_name = "WHAT")]
    pub(crate) unreferenced: MergeUnreferenced,
    #[command(flatten)]
    pub(crate) formats: FormatArguments,
    #[command(flatten)]
    pub(crate) github: GithubArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MergeUnreferenced {
    /// They are listed
    Warn,
    /// They fail the gate
    Reject,
}

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
}
