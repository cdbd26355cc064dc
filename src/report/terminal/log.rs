//! What does `-v` tell of one event, and `-vv`?
//!
//! ```text
//!    0.012 s  sent        ticket-triage::double-charge::ticket-triage@3::claude-haiku-4-5 #1
//!    0.840 s  wire        POST https://api.anthropic.com/v1/messages: 529 after 828 ms, 1,204 bytes sent, 98 received
//!    0.840 s              retry-after: 12
//!    0.841 s  retry       ticket-triage::double-charge::ticket-triage@3::claude-haiku-4-5 #1 in 12.3 s: HTTP 529 overloaded_error: Overloaded
//! ```

use std::time::Duration;

use super::paint::{BAD, DIM, NAME, ODD, PLAIN, Span, span};
use crate::model::event::{Exchange, RunEvent};
use crate::model::run::{Address, CellResult, ReplyFacts, SampleResult};
use crate::model::verdict::CellError;
use crate::report::{figures, finding, visible, words};

/// `-v`: what happens to each request.
const REQUESTS: u8 = 1;
/// `-vv`: also what went over the wire.
const WIRE: u8 = 2;

/// One line: when, what, and about whom.
type Line = Vec<Span<'static>>;

/// The lines of an event; none where nobody asked for so much.
pub(super) fn lines(event: &RunEvent, verbosity: u8, now: Duration) -> Vec<Line> {
    if verbosity < REQUESTS {
        return Vec::new();
    }
    let line = |word: &'static str, style, text: String| line(now, word, style, text);
    match event {
        RunEvent::Sent { cell, sample } => vec![line("sent", NAME, whose(cell, *sample))],
        RunEvent::FirstByte { cell, sample } => vec![line("first byte", DIM, whose(cell, *sample))],
        RunEvent::Retrying { cell, sample, message, delay_ms } => {
            let text = format!("{} in {}: {}", whose(cell, *sample), figures::duration(*delay_ms), visible::brief(message, 400));
            vec![line("retry", ODD, text)]
        }
        RunEvent::CoolingDown { endpoint, model, delay_ms } => {
            let (endpoint, model) = (visible::name(endpoint), visible::name(model));
            vec![line("cool-down", ODD, format!("{endpoint}, {model}: nothing is sent for {}", figures::duration(*delay_ms)))]
        }
        RunEvent::Overdue { endpoint, model, waited_ms } => {
            let text = format!("{}, {}: {}", visible::name(endpoint), visible::name(model), super::progress::overdue(*waited_ms));
            vec![line("overdue", ODD, text)]
        }
        RunEvent::Silent { endpoint, give_up_ms } => {
            let text = format!("{}: given up in {} unless something answers", visible::name(endpoint), figures::duration(*give_up_ms));
            vec![line("silent", ODD, text)]
        }
        RunEvent::Exchange { exchange, .. } if verbosity >= WIRE => wire(exchange, now),
        RunEvent::Cell { cell } => samples(cell, now),
        RunEvent::Started { .. }
        | RunEvent::Batch { .. }
        | RunEvent::Exchange { .. }
        | RunEvent::Interrupted { .. }
        | RunEvent::TimedOut { .. }
        | RunEvent::Finished { .. } => Vec::new(),
    }
}

fn line(now: Duration, word: &'static str, style: anstyle::Style, text: String) -> Line {
    vec![span(DIM, format!("{:>8.3} s  ", now.as_secs_f64())), span(style, format!("{word:<10}  ")), span(PLAIN, text)]
}

/// `suite::case::prompt@1::model #1`.
fn whose(cell: &Address, sample: u32) -> String {
    format!("{} #{}", visible::name(&cell.to_string()), u64::from(sample) + 1)
}

fn wire(exchange: &Exchange, now: Duration) -> Vec<Line> {
    let status = exchange.status.map_or_else(|| "no response".to_owned(), |status| status.to_string());
    let sent = figures::counted(exchange.sent_bytes, "byte sent", "bytes sent");
    let received = exchange.received_bytes.map(|bytes| format!(", {} received", figures::count(bytes))).unwrap_or_default();
    let error = exchange.error.as_deref().map(|error| format!(": {}", visible::brief(error, 400))).unwrap_or_default();
    let (url, took) = (visible::name(&exchange.url), figures::duration(exchange.duration_ms));
    let style = if exchange.status.is_some_and(|status| status < 300) { DIM } else { ODD };
    let head = line(now, "wire", style, format!("POST {url}: {status} after {took}, {sent}{received}{error}"));
    let header = |(name, value): &(String, String)| line(now, "", DIM, format!("{}: {}", visible::name(name), visible::name(value)));
    std::iter::once(head).chain(exchange.headers.iter().map(header)).collect()
}

fn samples(cell: &CellResult, now: Duration) -> Vec<Line> {
    let told = |sample: &SampleResult| {
        let whose = whose(&cell.address, sample.index);
        match (&sample.reply, &sample.error) {
            (Some(reply), _) if reply.served.is_paid() => line(now, "answered", NAME, format!("{whose}: {}, stored", answered(reply))),
            (Some(reply), _) => {
                let when = reply.answered_at.format("%Y-%m-%d %H:%M:%S");
                line(now, words::served(reply.served), DIM, format!("{whose}: asked {when} UTC, {}", answered(reply)))
            }
            (None, Some(error)) => line(now, "no verdict", BAD, format!("{whose}: {}", gave_up(error))),
            (None, None) => line(now, "skipped", DIM, format!("{whose}: {}", finding::headline(sample))),
        }
    };
    cell.samples.iter().map(told).collect()
}

/// `end_turn, 412 tokens in, 17 out, $0.0005, 812 ms, 2 attempts, request req_1`.
fn answered(reply: &ReplyFacts) -> String {
    let cost = reply.cost_usd.map_or_else(|| "unpriced".to_owned(), figures::dollars);
    let simulated = if reply.simulated { " simulated" } else { "" };
    let attempts = if reply.attempts.len() > 1 { format!(", {} attempts", reply.attempts.len()) } else { String::new() };
    let request = reply.request_id.as_deref().map(|id| format!(", request {}", visible::name(id))).unwrap_or_default();
    format!(
        "{}, {} tokens in, {} out, {cost}{simulated}, {}{attempts}{request}",
        visible::name(reply.stop_reason.as_str()),
        figures::count(reply.usage.prompt_tokens()),
        figures::count(reply.usage.output_tokens),
        figures::duration(reply.latency_ms),
    )
}

fn gave_up(error: &CellError) -> String {
    let hint = error.hint.as_deref().map(|hint| format!(" (hint: {})", visible::brief(hint, 400))).unwrap_or_default();
    format!("{}{hint}", finding::error_line(error))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::report::sample;

    fn told(event: &RunEvent, verbosity: u8) -> Vec<String> {
        let whole = |line: Line| line.iter().map(|span| span.text.as_ref()).collect::<String>();
        lines(event, verbosity, Duration::from_millis(1_234)).into_iter().map(whole).collect()
    }

    fn exchange() -> RunEvent {
        let exchange = Exchange {
            url: "https://api.anthropic.com/v1/messages".to_owned(),
            sent_bytes: 1_204,
            status: Some(529),
            headers: vec![("retry-after".to_owned(), "12".to_owned()), ("request-id".to_owned(), "::error::\u{1b}[2J".to_owned())],
            received_bytes: Some(98),
            duration_ms: 828,
            error: None,
        };
        RunEvent::Exchange { cell: sample::report().cells[0].address.clone(), sample: 0, exchange: Box::new(exchange) }
    }

    #[test]
    fn the_wire_is_told_only_to_those_who_ask_twice_and_commands_nothing() {
        assert_eq!(told(&exchange(), 1), Vec::<String>::new());
        insta::assert_snapshot!(told(&exchange(), 2).join("\n"), @r"
           1.234 s  wire        POST https://api.anthropic.com/v1/messages: 529 after 828 ms, 1,204 bytes sent, 98 received
           1.234 s              retry-after: 12
           1.234 s              request-id: ::error::\u{1b}[2J
        ");
    }

    #[test]
    fn each_sample_says_where_its_answer_came_from_or_why_there_is_none() {
        let report = sample::report();
        let all: Vec<String> = report.cells.iter().flat_map(|cell| told(&RunEvent::Cell { cell: Arc::new(cell.clone()) }, 1)).collect();
        for word in ["answered", "stored", "no verdict", "skipped"] {
            assert!(all.iter().any(|line| line.contains(word)), "{word} in {all:#?}");
        }
        assert!(all.iter().all(|line| !line.contains(crate::model::hidden::is_hidden)));
        assert_eq!(told(&RunEvent::Cell { cell: Arc::new(report.cells[0].clone()) }, 0), Vec::<String>::new());
    }
}
