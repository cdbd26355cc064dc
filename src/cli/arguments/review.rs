//! Which arguments do `review`, `pending`, `accept` and `reject` take?

use std::path::PathBuf;

use clap::Args;

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
