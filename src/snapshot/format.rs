//! How does a snapshot stand in its file?
//!
//! ```text
//! ---
//! prompt: ticket-triage@3
//! model: claude-haiku-4-5
//! stop_reason: end_turn
//! ---
//! {
//!   "queue": "billing"
//! }
//! ```
//! A head of `key: value` lines, then the output and one line feed that is not part of it. A value that would not read back as
//! written stands in JSON quotes. `simulated: true` where a simulator answered. `encoding: escaped` where a text holds characters
//! that nobody sees (`escape.rs`). Only the first closing `---` counts, so an output may look like a head.
//!
//! Anything but one text has a `fence:`, a run of dashes longer than any in the contents; lines that begin with it introduce
//! the parts:
//!
//! ```text
//! ---
//! prompt: ticket-triage@3
//! model: claude-haiku-4-5
//! stop_reason: end_turn
//! fence: ----
//! ---
//! ---- variant
//! ---- text
//! The first accepted answer.
//! ---- variant tool_use
//! ---- json
//! {
//!   "type": "tool_use",
//! ...
//! ```
//! `variant` lines stand where there are several outputs; one names its stop reason where that is not the head's.

use std::fmt::Write as _;

use crate::snapshot::escape;
use crate::snapshot::output::{Output, Part, Snapshot};
use crate::snapshot::tokens;

/// The shortest fence: one dash more than what closes the head.
const MIN_FENCE: usize = 4;

/// A snapshot file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct FormatError {
    /// 1-based.
    pub line: usize,
    /// Lower case, says what was expected.
    pub message: String,
}

impl FormatError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// The text of a snapshot's file: a function of the snapshot alone.
#[must_use]
pub fn write(snapshot: &Snapshot) -> String {
    let contents: Vec<Vec<String>> = {
        let escaped = is_escaped(snapshot);
        let content = |part: &Part| match part {
            Part::Text(text) if escaped => escape::escape(text),
            Part::Text(text) => text.clone(),
            Part::Json(value) => {
                let compact = value.to_string();
                escape::escape_json(&tokens::pretty(&compact).unwrap_or(compact))
            }
        };
        snapshot.outputs.iter().map(|output| output.parts.iter().map(content).collect()).collect()
    };
    let fence = match snapshot.outputs.as_slice() {
        [Output { parts, .. }] if matches!(parts.as_slice(), [Part::Text(_)]) => None,
        _ => Some("-".repeat(contents.iter().flatten().map(|content| longest_dashes(content)).max().unwrap_or(0).max(MIN_FENCE - 1) + 1)),
    };
    let mut file = head(snapshot, fence.as_deref());
    let Some(fence) = fence else {
        file.extend(contents.into_iter().flatten());
        file.push('\n');
        return file;
    };
    let several = snapshot.outputs.len() != 1 || snapshot.outputs[0].parts.is_empty();
    for (output, contents) in snapshot.outputs.iter().zip(contents) {
        if several {
            file.push_str(&fence);
            file.push_str(" variant");
            if output.stop_reason != stop_reason(snapshot) {
                file.push(' ');
                file.push_str(&spelled(&output.stop_reason));
            }
            file.push('\n');
        }
        for (part, content) in output.parts.iter().zip(contents) {
            let label = match part {
                Part::Text(_) => "text",
                Part::Json(_) => "json",
            };
            file.push_str(&format!("{fence} {label}\n{content}\n"));
        }
    }
    file
}

fn head(snapshot: &Snapshot, fence: Option<&str>) -> String {
    let mut head = String::from("---\n");
    let mut line = |key: &str, value: &str| {
        writeln!(head, "{key}: {value}").expect("writing to a String cannot fail");
    };
    line("prompt", &spelled(&snapshot.prompt));
    line("model", &spelled(&snapshot.model));
    line("stop_reason", &spelled(stop_reason(snapshot)));
    if snapshot.simulated {
        line("simulated", "true");
    }
    if is_escaped(snapshot) {
        line("encoding", "escaped");
    }
    if let Some(fence) = fence {
        line("fence", fence);
    }
    head.push_str("---\n");
    head
}

fn stop_reason(snapshot: &Snapshot) -> &str {
    snapshot.outputs.first().map_or("", |output| &output.stop_reason)
}

fn is_escaped(snapshot: &Snapshot) -> bool {
    let mut parts = snapshot.outputs.iter().flat_map(|output| &output.parts);
    parts.any(|part| matches!(part, Part::Text(text) if escape::needs_escape(text)))
}

/// The longest run of dashes anywhere in `text`.
fn longest_dashes(text: &str) -> usize {
    text.split(|character| character != '-').map(str::len).max().unwrap_or(0)
}

/// A head's value: as it is where it reads back (and where YAML would read the same), else in JSON quotes.
fn spelled(value: &str) -> String {
    let plain = value.starts_with(|first: char| first.is_alphanumeric() || matches!(first, '.' | '_' | '/'))
        // White space at the end, of whatever script, is lost to editors and to whoever trims a line.
        && !value.ends_with(|last: char| last == ':' || last.is_whitespace())
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.chars().any(|character| escape::is_concealed(character) || matches!(character, '\n' | '\t'));
    if plain { value.to_owned() } else { escape::escape_json(&serde_json::Value::from(value).to_string()) }
}

fn unspelled(value: &str, line: usize) -> Result<String, FormatError> {
    if value.starts_with('"') {
        serde_json::from_str(value).map_err(|error| FormatError::new(line, format!("the quoted value cannot be read: {error}")))
    } else {
        Ok(value.to_owned())
    }
}

/// The snapshot in a file's text.
///
/// # Errors
/// With the line that no writer of this format writes.
pub fn read(text: &str) -> Result<Snapshot, FormatError> {
    let text = as_written(text);
    if let Some(line) = escape::conflict(&text) {
        return Err(FormatError::new(line, "a merge conflict is not resolved"));
    }
    let head = Head::read(&text)?;
    let body_line = head.lines + 1;
    let prompt = head.prompt.ok_or_else(|| FormatError::new(head.lines, "the head has no `prompt`"))?;
    let model = head.model.ok_or_else(|| FormatError::new(head.lines, "the head has no `model`"))?;
    let stop_reason = head.stop_reason.ok_or_else(|| FormatError::new(head.lines, "the head has no `stop_reason`"))?;
    let body = Body { stop_reason, escaped: head.escaped };
    let outputs = match head.fence {
        None => {
            let text = body.text(head.body.strip_suffix('\n').unwrap_or(head.body), body_line)?;
            vec![Output { stop_reason: body.stop_reason, parts: vec![Part::Text(text)] }]
        }
        Some(fence) => body.fenced(head.body, &fence, body_line)?,
    };
    Ok(Snapshot { prompt, model, simulated: head.simulated, outputs })
}

/// Whether the head of a file that may make no sense below it says that a simulator answered.
pub(super) fn says_simulated(text: &str) -> bool {
    Head::read(&as_written(text)).is_ok_and(|head| head.simulated)
}

/// The writer leaves no carriage return and no byte order mark: editors and git's line-end conversion put them there.
fn as_written(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n")
}

#[derive(Default)]
struct Head<'a> {
    prompt: Option<String>,
    model: Option<String>,
    stop_reason: Option<String>,
    simulated: bool,
    escaped: bool,
    fence: Option<String>,
    lines: usize,
    body: &'a str,
}

impl<'a> Head<'a> {
    fn read(text: &'a str) -> Result<Self, FormatError> {
        let Some(mut rest) = text.strip_prefix("---\n") else {
            return Err(FormatError::new(1, "a snapshot begins with a line `---`"));
        };
        let mut head = Self { lines: 1, ..Self::default() };
        let mut seen = Vec::new();
        loop {
            head.lines += 1;
            let Some((line, after)) = rest.split_once('\n').or_else(|| (rest == "---").then_some((rest, ""))) else {
                return Err(FormatError::new(head.lines, "the head is not closed by a line `---`"));
            };
            rest = after;
            if line == "---" {
                head.body = rest;
                return Ok(head);
            }
            let key = head.line(line)?;
            if seen.contains(&key) {
                return Err(FormatError::new(head.lines, format!("`{key}` stands twice")));
            }
            seen.push(key);
        }
    }

    /// Takes in one line and returns its key.
    fn line(&mut self, line: &'a str) -> Result<&'a str, FormatError> {
        let wrong = |message: String| Err(FormatError::new(self.lines, message));
        if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|marker| line.starts_with(marker)) {
            return wrong("a merge conflict is not resolved".to_owned());
        }
        let Some((key, value)) = line.split_once(": ") else {
            return wrong("a line of the head is `key: value`".to_owned());
        };
        match (key, value) {
            ("prompt", value) => self.prompt = Some(unspelled(value, self.lines)?),
            ("model", value) => self.model = Some(unspelled(value, self.lines)?),
            ("stop_reason", value) => self.stop_reason = Some(unspelled(value, self.lines)?),
            ("simulated", "true") => self.simulated = true,
            ("encoding", "escaped") => self.escaped = true,
            ("fence", fence) if fence.len() >= MIN_FENCE && fence.bytes().all(|byte| byte == b'-') => self.fence = Some(fence.to_owned()),
            ("simulated", _) => return wrong("`simulated` can only be `true`; a real reply has no such line".to_owned()),
            ("encoding", _) => return wrong("`encoding` can only be `escaped`".to_owned()),
            ("fence", _) => return wrong(format!("`fence` is a run of at least {MIN_FENCE} dashes")),
            (unknown, _) => {
                return wrong(format!("unknown key `{unknown}`: a newer promptkeel may have written it"));
            }
        }
        Ok(key)
    }
}

struct Body {
    stop_reason: String,
    escaped: bool,
}

impl Body {
    fn text(&self, content: &str, line: usize) -> Result<String, FormatError> {
        if !self.escaped {
            return Ok(content.to_owned());
        }
        escape::unescape(content).map_err(|sequence| {
            FormatError::new(line, format!("the output is escaped, and `{sequence}` is no escape: `\\\\`, `\\r` and `\\u{{hex}}` are"))
        })
    }

    fn fenced(&self, body: &str, fence: &str, first_line: usize) -> Result<Vec<Output>, FormatError> {
        let mut outputs: Vec<Output> = Vec::new();
        let mut open: Option<(&str, usize)> = None;
        let mut content = String::new();
        for (line, number) in body.split_inclusive('\n').zip(first_line..) {
            let Some(label) = line.strip_prefix(fence) else {
                if open.is_none() {
                    return Err(FormatError::new(number, format!("a fence `{fence} text` or `{fence} json` was expected")));
                }
                content.push_str(line);
                continue;
            };
            self.close(&mut outputs, open.take(), &mut content)?;
            match label.trim_end().strip_prefix(' ') {
                Some(label @ ("text" | "json")) => open = Some((label, number)),
                Some("variant") => outputs.push(self.output(self.stop_reason.clone())),
                Some(label) if label.starts_with("variant ") => {
                    outputs.push(self.output(unspelled(&label["variant ".len()..], number)?));
                }
                _ => {
                    return Err(FormatError::new(
                        number,
                        format!("after a fence stands `text`, `json` or `variant`, not `{}`", label.trim()),
                    ));
                }
            }
        }
        self.close(&mut outputs, open, &mut content)?;
        if outputs.is_empty() {
            return Err(FormatError::new(first_line, "there is no output"));
        }
        Ok(outputs)
    }

    fn output(&self, stop_reason: String) -> Output {
        Output { stop_reason, parts: Vec::new() }
    }

    /// Ends the part that is open, if one is.
    fn close(&self, outputs: &mut Vec<Output>, open: Option<(&str, usize)>, content: &mut String) -> Result<(), FormatError> {
        let Some((label, line)) = open else { return Ok(()) };
        let content = std::mem::take(content);
        let content = content.strip_suffix('\n').unwrap_or(&content);
        let part = if label == "json" {
            let value = serde_json::from_str(content);
            Part::Json(value.map_err(|error| FormatError::new(line + 1, format!("a part that is called json cannot be read: {error}")))?)
        } else {
            Part::Text(self.text(content, line + 1)?)
        };
        if outputs.is_empty() {
            outputs.push(self.output(self.stop_reason.clone()));
        }
        if let Some(output) = outputs.last_mut() {
            output.parts.push(part);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
