//! Which arguments does `batch` take?

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Tell where the message batches of this project stand
    Status(StatusArguments),
    /// End a batch early: what is answered by then stays answered, the rest is not paid
    Cancel(CancelArguments),
    /// Wait for a batch no more: what it holds is asked, and paid, again
    Forget(ForgetArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Nothing is asked but where they stand. `promptkeel run --batch` waits for them and stores their results.\n\n\
Examples:
  promptkeel batch status
  promptkeel batch status msgbatch_013Zva2CMHLNnXjNJJKqJ2EF --json")]
pub(crate) struct StatusArguments {
    /// Only this one
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "The next run stores what was answered before the end, and asks for the rest.\n\n\
Examples:
  promptkeel batch cancel                                   the only one that is under way
  promptkeel batch cancel msgbatch_013Zva2CMHLNnXjNJJKqJ2EF")]
pub(crate) struct CancelArguments {
    /// Which; needed where several are under way
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "For a batch that was deleted, or created with the key of another workspace. One that goes on is paid all the same: cancel it first.\n\n\
Examples:
  promptkeel batch forget msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"
)]
pub(crate) struct ForgetArguments {
    /// Which, as `promptkeel batch status` names it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}
