//! With what is a run compared, and how?

use clap::Args;

/// The comparison gate of `run`.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Comparison with a baseline")]
pub(crate) struct ComparisonArguments {
    /// Fail where the run is worse than this: `last`, `last-green`, a run's id, a report file, `previous-version` of each prompt, or
    /// `git:REVISION`, which are asked in the same run; `none` for nothing
    #[arg(long, value_name = "REF")]
    pub(crate) baseline: Option<String>,
    /// The loss of pass rate, averaged over all cases, that you would accept, in place of the suites'; 0.05 is five points
    #[arg(long, value_name = "SHARE", value_parser = parse_margin)]
    pub(crate) margin: Option<f64>,
    /// How often, at most, the comparison may be wrong, in place of the suites'; 0.05 is 5 times in 100
    #[arg(long, value_name = "SHARE", value_parser = parse_alpha)]
    pub(crate) alpha: Option<f64>,
}

fn parse_margin(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share from 0 to 1: 0.05 is five points".to_owned())
}

fn parse_alpha(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share < 0.5);
    share.ok_or_else(|| "write a share above 0 and below 0.5: 0.05 is 5 times in 100".to_owned())
}
