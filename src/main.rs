//! Arguments, environment and terminal in; an exit code out; nothing else.

use std::process::ExitCode;

/// Of the threads that render. Only pages that are used are ever taken from the system; a template may nest a value a level deeper with
/// every few of its steps, and each level is a few calls when the value is written, compared or dropped.
const STACK: usize = 128 << 20;

fn main() -> ExitCode {
    // Where a system grants no such stacks, everything but such a template works all the same.
    let _ = rayon::ThreadPoolBuilder::new().stack_size(STACK).build_global();
    let run = || promptkeel::cli::main(std::env::args_os(), end_now);
    let code = match std::thread::Builder::new().stack_size(STACK).spawn(run) {
        // A panic has been printed by then, and Rust's own exit code for it is 101.
        Ok(thread) => thread.join().unwrap_or(101),
        Err(_) => run(),
    };
    ExitCode::from(code)
}

/// The second Ctrl-C: whatever is stored is safe, whatever is in flight is asked again.
#[expect(clippy::disallowed_methods, reason = "this is the one place that ends the process")]
fn end_now(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
