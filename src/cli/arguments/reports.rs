//! Which arguments ask for reports, render them again, or merge them?

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
    /// Write what each attempt cost as CSV, for a spreadsheet
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
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
