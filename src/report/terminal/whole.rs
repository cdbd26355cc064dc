//! What is one cell, whole: what was sent, what came, what was asked of it, what it cost, and how it stands to its snapshot?

use std::io;

use super::details;
use super::paint::{BAD, BOLD, DIM, GOOD, NAME, ODD, PLAIN, Screen, span};
use crate::model::assertion::AssertionSeverity;
use crate::model::reply::{Attempt, Served, Usage};
use crate::model::request::Role;
use crate::model::run::{CellResult, PromptChange, ReplyFacts, RequestFacts, SampleResult};
use crate::model::verdict::{AssertionResult, Outcome, SnapshotState, Verdict};
use crate::report::{figures, finding, sampled, strange, visible, words};

/// Most lines of one text: whoever asks for a whole cell wants to read it, but a terminal is no place for a book.
const LINES: usize = 2_000;

/// Writes the cell; `texts` and `prompts` are those of its report.
pub(super) fn show(cell: &CellResult, texts: &[impl AsRef<str>], prompts: &[PromptChange], screen: &mut Screen<'_>) -> io::Result<()> {
    let (word, style) = match cell.verdict {
        Verdict::Pass => ("PASS", GOOD),
        Verdict::Fail => ("FAIL", BAD),
        Verdict::Error => ("ERROR", ODD),
        Verdict::Skipped => ("SKIP", ODD),
    };
    details::head(cell, word, style, &about(cell), screen)?;
    if let Some(request) = &cell.request {
        sent(request, texts, screen)?;
    }
    if let Some(sampled) = &cell.sampled {
        screen.heading("samples", &sampled::line(sampled))?;
    }
    for sample in &cell.samples {
        let title = if cell.samples.len() > 1 { format!("sample {}", sample.index + 1) } else { "reply".to_owned() };
        came(&title, sample, screen)?;
    }
    match &cell.snapshot {
        SnapshotState::None => Ok(()),
        SnapshotState::Same => {
            screen.heading("snapshot", "same")?;
            screen.line(&[span(DIM, format!("  {}", visible::name(cell.snapshot_path.as_deref().unwrap_or_default())))])
        }
        SnapshotState::Changed { .. } | SnapshotState::New { .. } | SnapshotState::Unreadable { .. } => {
            screen.heading("snapshot", "")?;
            details::snapshot(cell, screen)?;
            match strange::prompt_change(cell, prompts) {
                Some(change) => {
                    let way = format!("{} -> {}", visible::name(&change.from), visible::name(&change.to));
                    screen.heading("prompt", &way)?;
                    details::text_rows(&change.diff, screen)
                }
                None => Ok(()),
            }
        }
    }
}

fn about(cell: &CellResult) -> String {
    let mut about = format!("endpoint {}", visible::name(&cell.endpoint));
    if *cell.model_id != *cell.address.model {
        about.push_str(&format!(", model {}", visible::name(&cell.model_id)));
    }
    if !cell.tags.is_empty() {
        about.push_str(&format!(", tags {}", visible::brief(&cell.tags.join(", "), 200)));
    }
    if !cell.gated {
        about.push_str(", informs only");
    }
    about
}

fn sent(request: &RequestFacts, texts: &[impl AsRef<str>], screen: &mut Screen<'_>) -> io::Result<()> {
    let text = |number: &u32| texts.get(*number as usize).map(AsRef::as_ref).unwrap_or_default();
    screen.heading("request", "")?;
    let blocks = |name: &str, numbers: &[u32], screen: &mut Screen<'_>| -> io::Result<()> {
        for number in numbers {
            screen.line(&[span(NAME, format!("  {name}"))])?;
            quoted(text(number), screen)?;
        }
        Ok(())
    };
    blocks("system", &request.system, screen)?;
    for turn in &request.turns {
        let name = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        blocks(name, &turn.content, screen)?;
    }
    blocks("parameters", &[request.parameters], screen)
}

fn came(title: &str, sample: &SampleResult, screen: &mut Screen<'_>) -> io::Result<()> {
    let Some(reply) = &sample.reply else {
        screen.heading(title, "none")?;
        screen.wrapped(&[span(PLAIN, "  ")], &[span(ODD, finding::headline(sample))], LINES)?;
        if let Some(hint) = sample.error.as_ref().and_then(|error| error.hint.as_deref()) {
            screen.wrapped(&[span(DIM, "  hint: ")], &[span(PLAIN, visible::brief(hint, 1_000))], LINES)?;
        }
        return sample.error.as_ref().map_or(Ok(()), |error| attempts(&error.attempts, screen));
    };
    screen.heading(title, &reply_line(reply))?;
    quoted(&reply.text, screen)?;
    for block in &reply.other_blocks {
        let kind = block.get("type").and_then(serde_json::Value::as_str).unwrap_or("block");
        screen.line(&[span(NAME, format!("  {}", visible::name(kind)))])?;
        quoted(&serde_json::to_string_pretty(block).unwrap_or_default(), screen)?;
    }
    if let Some(refusal) = &reply.refusal {
        let said = [refusal.category.as_deref(), refusal.explanation.as_deref()];
        let said: Vec<String> = said.into_iter().flatten().map(|text| visible::brief(text, 400)).collect();
        screen
            .line(&[span(ODD, format!("  refused: {}", if said.is_empty() { "no reason given".to_owned() } else { said.join(": ") }))])?;
    }
    screen.heading("assertions", "")?;
    if sample.assertions.is_empty() {
        screen.line(&[span(DIM, "  none: the snapshot alone is compared")])?;
    }
    for result in &sample.assertions {
        assertion(result, screen)?;
    }
    screen.heading("cost", &cost(reply))?;
    screen.line(&[span(PLAIN, format!("  {}", tokens(&reply.usage)))])?;
    attempts(&reply.attempts, screen)
}

/// `end_turn, stored, 1.9 s, paid 2026-11-22 14:31, request req_1`.
fn reply_line(reply: &ReplyFacts) -> String {
    let served = match reply.served {
        Served::Fresh => "asked by the run",
        Served::Batch => "asked by the run, in a batch",
        Served::Stored => "from the store",
        Served::Shared => "shared with an equal request",
        Served::Recorded => "recorded",
    };
    let simulated = if reply.simulated { ", simulated" } else { "" };
    let when = reply.answered_at.format("%Y-%m-%d %H:%M UTC");
    let latency = match reply.latency() {
        Some(latency) => figures::duration(latency),
        None => format!("in a batch of {}", figures::duration(reply.latency_ms)),
    };
    let mut line = format!("{}, {served}{simulated}, {latency}, answered {when}", visible::name(reply.stop_reason.as_str()));
    if let Some(id) = &reply.request_id {
        line.push_str(&format!(", request {}", visible::name(id)));
    }
    line
}

fn cost(reply: &ReplyFacts) -> String {
    let Some(cost) = reply.cost_usd else { return "no price is known".to_owned() };
    let mut line = figures::dollars(cost);
    if let Some(uncached) = reply.uncached_cost_usd.filter(|uncached| *uncached != cost) {
        line.push_str(&format!(", {} without prompt cache and batch", figures::dollars(uncached)));
    }
    if reply.simulated {
        line.push_str(" at list prices, which nobody paid");
    }
    line
}

fn tokens(usage: &Usage) -> String {
    let mut line = format!("{} input, {} output", figures::count(usage.input_tokens), figures::count(usage.output_tokens));
    for (number, name) in [
        (usage.thinking_tokens, "of them thinking"),
        (usage.cache_read_tokens, "read from the prompt cache"),
        (usage.cache_write_5m_tokens, "written to it for 5 minutes"),
        (usage.cache_write_1h_tokens, "written to it for an hour"),
        (usage.web_searches, "web searches"),
    ] {
        if number > 0 {
            line.push_str(&format!(", {} {name}", figures::count(number)));
        }
    }
    line
}

fn assertion(result: &AssertionResult, screen: &mut Screen<'_>) -> io::Result<()> {
    if result.outcome != Outcome::Pass {
        return details::assertion(result, screen);
    }
    let mut line = vec![span(PLAIN, "  "), span(GOOD, "holds "), span(PLAIN, visible::name(&result.name))];
    let weight = match result.severity {
        AssertionSeverity::Fail => String::new(),
        AssertionSeverity::Warn | AssertionSeverity::Critical => format!(" ({})", words::severity(result.severity)),
    };
    line.push(span(DIM, weight));
    if let Some(site) = &result.site {
        line.push(span(DIM, format!("  {}", visible::name(&site.to_string()))));
    }
    screen.line(&line)
}

/// Shown where there was more than one, or where one came to nothing.
fn attempts(attempts: &[Attempt], screen: &mut Screen<'_>) -> io::Result<()> {
    if attempts.iter().all(|attempt| attempt.error.is_none()) && attempts.len() < 2 {
        return Ok(());
    }
    screen.heading("attempts", &figures::count(attempts.len() as u64))?;
    for (number, attempt) in (1..).zip(attempts) {
        let (style, what) = match attempt.error {
            None => (GOOD, "answered"),
            Some(kind) => (ODD, words::error_kind(kind)),
        };
        let took = figures::duration(attempt.duration_ms);
        let head = [span(DIM, format!("  {number} ")), span(style, what), span(DIM, format!(" after {took}  "))];
        let mut said = attempt.message.as_deref().map(|message| visible::brief(message, 400)).unwrap_or_default();
        if let Some(id) = &attempt.request_id {
            said.push_str(&format!(" ({})", visible::name(id)));
        }
        screen.wrapped(&head, &[span(PLAIN, said)], LINES)?;
    }
    Ok(())
}

/// A foreign text behind a bar, so that it cannot be taken for ours.
fn quoted(text: &str, screen: &mut Screen<'_>) -> io::Result<()> {
    let text = text.trim_end_matches('\n');
    if text.is_empty() {
        return screen.line(&[span(DIM, "    (empty)")]);
    }
    let mut left = 0;
    for (number, line) in text.lines().enumerate() {
        if number >= LINES {
            left += 1;
            continue;
        }
        let line = visible::cut(line, 20_000);
        screen.wrapped(&[span(DIM, "  │ ")], &[span(PLAIN, visible::output(&line))], LINES)?;
    }
    if left > 0 {
        screen.line(&[span(BOLD, format!("    … {} more; `--json` has all of it", figures::counted(left, "line", "lines")))])?;
    }
    Ok(())
}
