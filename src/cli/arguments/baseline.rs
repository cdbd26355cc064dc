//! With what is a run compared, and how?

use clap::{Args, Subcommand};

/// The comparison gate of `run`.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Comparison with a baseline")]
pub(crate) struct ComparisonArguments {
    /// Fail where the run is worse than this: `last`, `last-green`, a run's id, a report file, `blessed`, `previous-version` of each prompt,
    /// or `git:REVISION`, which are asked in the same run; `none` for nothing
    #[arg(long, value_name = "REF")]
    pub(crate) baseline: Option<String>,
    /// Hold every other model of a suite against this one, and name the cheapest that is not worse: can this suite move to a smaller model?
    #[arg(long, value_name = "MODEL", conflicts_with = "baseline")]
    pub(crate) against: Option<String>,
    /// The loss of pass rate, averaged over all cases, that you would accept, in place of the suites'; 0.05 is five points
    #[arg(long, value_name = "SHARE", value_parser = parse_margin)]
    pub(crate) margin: Option<f64>,
    /// How often, at most, the comparison may be wrong, in place of the suites'; 0.05 is 5 times in 100
    #[arg(long, value_name = "SHARE", value_parser = parse_alpha)]
    pub(crate) alpha: Option<f64>,
    /// Ask, within the budget, what an undecided comparison wants: fresh samples of cases that look worse, and where all are too few a second
    /// look with more of every case, in both arms. Both looks are planned, so each is held to less than alpha
    #[arg(long)]
    pub(crate) decide: bool,
}

/// What was blessed.
#[derive(Debug, Args)]
#[command(
    after_help = "The file promptkeel.baseline.json is committed; `promptkeel run --baseline blessed` compares with it, also where no store is.\n\n\
Examples:
  promptkeel baseline set                       bless the last run whose gate held
  promptkeel baseline set 20261122-143120-9f3a  or the run of this id, or a report file
  promptkeel baseline show
  promptkeel run --baseline blessed"
)]
pub(crate) struct BaselineArguments {
    #[command(subcommand)]
    pub(crate) command: BaselineCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BaselineCommand {
    /// Write which run later runs are compared with
    Set {
        /// `last`, `last-green`, a run's id, or a report file
        #[arg(value_name = "REF", default_value = "last-green")]
        reference: String,
    },
    /// Show what is blessed
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete the file: nothing is blessed any more
    Clear,
}

fn parse_margin(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share from 0 to 1: 0.05 is five points".to_owned())
}

pub(crate) fn parse_alpha(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share < 0.5);
    share.ok_or_else(|| "write a share above 0 and below 0.5: 0.05 is 5 times in 100".to_owned())
}
