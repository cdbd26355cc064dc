//! Which arguments does `run` take?

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::arguments::baseline::ComparisonArguments;
use crate::cli::arguments::reports::{FormatArguments, GithubArguments};
use crate::cli::arguments::{AnswerArguments, SelectionArguments};

pub(super) const EXAMPLES: &str = "\
Examples:
  promptkeel run                                      every suite
  promptkeel run --changed-since origin/main          only the cells that differ from the merge base
  promptkeel run --watch                              again after each edit, what it touches
  promptkeel run --failed                             what did not pass last time
  promptkeel run --cache only --junit junit.xml       replay stored answers; a miss is an error
  promptkeel run --record                             commit the answers: CI and forks replay them without a key
  promptkeel run --cache refresh --case 'refund-*'    ask again
  promptkeel run --batch                              half the price, within a day; run it again to go on waiting
  promptkeel run --samples 5                          five answers per cell: stored ones are not asked again
  promptkeel run --baseline last-green                fail where it is worse than the last run whose gate held
  promptkeel run --baseline git:main                  fail where it is worse than what main would answer
  promptkeel run --against claude-sonnet-4-6 --decide which cheaper model of the suite is not worse?
  promptkeel run --shard 1/4 --json shard-1.json      one of four parts; `promptkeel merge` judges the whole
  promptkeel run --update                             accept changed and new outputs of passing cells";

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
    #[command(flatten)]
    pub(crate) comparison: ComparisonArguments,
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
    /// Write the answers into `recordings/`, to be committed: whoever has them needs no key
    #[arg(long, conflicts_with = "endpoint", help_heading = "Answers")]
    pub(crate) record: bool,
    /// Ask in message batches, at half price and within a day: `auto` where 100 or more requests are to be asked, `off` also where a batch that
    /// is under way holds the answers
    #[arg(
        long,
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on",
        conflicts_with = "watch",
        value_name = "WHEN",
        help_heading = "Answers"
    )]
    pub(crate) batch: Option<BatchArgument>,
    /// Requests under way at once, per endpoint and model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) max_concurrency: Option<u32>,
    /// Spend at most so many dollars, what is under way counted at its worst case
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost: Option<crate::model::money::Money>,
    /// Do not ask before a run that will probably cost more than `confirm_above` of the settings
    #[arg(short, long)]
    pub(crate) yes: bool,
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
pub(crate) enum BatchArgument {
    /// However few there are
    On,
    /// Where there are many
    Auto,
    /// One by one
    Off,
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
