//! `promptkeel schema`, `settings`, `completions`: what do editors and shells want to know?

use std::io::Write;

use clap::CommandFactory;

use crate::cli::arguments::{Cli, SchemaArguments, SchemaOf};
use crate::cli::console::Console;
use crate::cli::project::Failure;
use crate::cli::settings;
use crate::model::gate::Exit;

/// Prints a schema.
pub(crate) fn run(arguments: &SchemaArguments, console: &Console) -> Result<Exit, Failure> {
    let schema = match arguments.of {
        SchemaOf::Suite => crate::source::schema(),
        SchemaOf::Settings => settings::schema(),
        SchemaOf::Run => crate::report::json::schema(),
        SchemaOf::Comparison => crate::report::compared::schema(),
        SchemaOf::Calibration => crate::report::calibrated::schema(),
    };
    console.json(&schema)?;
    Ok(Exit::Holds)
}

/// Prints the embedded defaults, comments included.
pub(crate) fn defaults(console: &Console) -> Result<Exit, Failure> {
    console.line(format_args!("{}", settings::DEFAULTS.trim_end()))?;
    Ok(Exit::Holds)
}

/// Prints a completion script.
pub(crate) fn completions(shell: clap_complete::Shell, console: &Console) -> Result<Exit, Failure> {
    // It panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "promptkeel", &mut script);
    let mut out = console.out();
    out.write_all(&script).and_then(|()| out.flush()).map_err(Console::broken)?;
    Ok(Exit::Holds)
}
