//! How does a text stand in Markdown so that none of it is Markdown, HTML, a mention, a link or a reference?

use std::fmt::Write as _;
use std::io;

use crate::report::visible;

/// Most characters of one block.
const BLOCK: usize = 6_000;

/// A comment mark in an output could pass for the mark by which a bot finds its own comment again.
fn unmarked(text: &str) -> String {
    text.replace("<!--", "<!\u{200b}--")
}

/// A code span: nothing in it is Markdown, a link or a mention.
pub(super) fn code(text: &str) -> String {
    let text = unmarked(&visible::name(text.trim()));
    if text.is_empty() {
        return "–".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The same in a table, where a bar ends a cell even inside a code span.
pub(super) fn cell_code(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A fenced block. Cut at a line where it is too long.
pub(super) fn fenced(text: &str) -> String {
    let mut text = unmarked(&unheeded(text.trim_end()));
    if let Some((end, _)) = text.char_indices().nth(BLOCK) {
        let end = text[..end].rfind('\n').unwrap_or(end);
        let left = text[end..].trim().lines().count();
        text.truncate(end);
        let _ = write!(text, "\n… {left} more lines are in the JSON and JUnit reports");
    }
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}diff\n{text}\n{fence}\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or_default()
}

/// Without lines that are commands in the log of a job. Whoever writes the page does that too, but then it would grow beyond its limit.
fn unheeded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut unheeded = visible::Unheeded::new(&mut out);
    io::Write::write_all(&mut unheeded, text.as_bytes()).and_then(|()| io::Write::flush(&mut unheeded)).expect("memory takes every byte");
    String::from_utf8(out).expect("it puts ASCII between whole characters")
}

/// Text for inside HTML tags.
pub(super) fn html(text: &str, most: usize) -> String {
    visible::brief(text, most).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Our own sentence with a user's names in it: readable, and still neither Markdown nor a mention.
pub(super) fn prose(text: &str, most: usize) -> String {
    let line = visible::brief(text, most);
    let mut safe = String::with_capacity(line.len());
    let mut before = ' ';
    for character in line.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // A zero-width space behind it: no mention, no reference to an issue, no address that links itself. The `@` of
            // `ticket-triage@3` mentions nobody, and stays as it can be copied.
            '@' if !before.is_alphanumeric() => safe.push_str("@\u{200b}"),
            '#' => safe.push_str("#\u{200b}"),
            '/' if before == ':' => safe.push_str("\u{200b}/"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => safe.extend(['\\', character]),
            other => safe.push(other),
        }
        before = character;
    }
    safe
}
