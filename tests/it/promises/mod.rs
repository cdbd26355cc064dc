//! What must hold of any bytes whatever? One promise a file, kept by the fuzz targets of `fuzz/` and by the test over their seeds.
//!
//! `holds(input)` panics where the promise is broken, and takes any input without a complaint otherwise.

mod excerpts;
mod project;

pub mod assertions;
pub mod json_diff;
pub mod problem;
pub mod prompt;
pub mod reply;
pub mod report;
pub mod script;
pub mod settings;
pub mod snapshot;
pub mod sse;
pub mod suite;
pub mod table;
pub mod template;
pub mod text_diff;

/// Stands between the parts of an input that has several; a text editor keeps it, and git takes the file for a text.
pub const SEPARATOR: u8 = 0x1e;

/// A promise about any input.
pub type Promise = fn(&[u8]);

/// Every promise, by the name of its target.
pub const ALL: [(&str, Promise); 14] = [
    ("assertions", assertions::holds),
    ("json_diff", json_diff::holds),
    ("problem", problem::holds),
    ("prompt", prompt::holds),
    ("reply", reply::holds),
    ("report", report::holds),
    ("script", script::holds),
    ("settings", settings::holds),
    ("snapshot", snapshot::holds),
    ("sse", sse::holds),
    ("suite", suite::holds),
    ("table", table::holds),
    ("template", template::holds),
    ("text_diff", text_diff::holds),
];

/// The parts of an input as texts; bytes that are no UTF-8 become U+FFFD.
fn parts<const N: usize>(input: &[u8]) -> Option<[std::borrow::Cow<'_, str>; N]> {
    let parts: Vec<_> = input.splitn(N, |byte| *byte == SEPARATOR).map(String::from_utf8_lossy).collect();
    parts.try_into().ok()
}
