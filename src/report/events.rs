//! What happens while a run goes on, as JSON Lines: one object, one line, at once.
//!
//! ```json
//! {"event":"retrying","cell":{"suite":"triage","case":"refund","prompt":"triage","version":3,"model":"claude-haiku-4-5"},"sample":0,"message":"529 overloaded_error","delay_ms":1200}
//! ```

use std::io;

use crate::model::event::RunEvent;
use crate::report::spelled;

/// Writes one event as one line and flushes it, so that whoever follows the file sees it now.
///
/// # Errors
///
/// Only what `out` answers.
pub fn write(event: &RunEvent, out: &mut dyn io::Write) -> io::Result<()> {
    // One write per line: two lines never mix, even where several programs append to one pipe.
    let mut line = Vec::new();
    spelled::write(&mut line, event)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}
