//! Arguments, environment and terminal in; an exit code out; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(promptkeel::cli::main(std::env::args_os(), end_now))
}

/// The second Ctrl-C: whatever is stored is safe, whatever is in flight is asked again.
#[expect(clippy::disallowed_methods, reason = "this is the one place that ends the process")]
fn end_now(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
