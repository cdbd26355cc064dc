//! What is seen while a run goes on: a bar at a terminal, plain lines in a log, nothing when asked to be quiet?
//!
//! ```text
//! running 200 cells (200 samples, 120 already answered, at most $0.4100)
//! FAIL  ticket-triage::double-charge::ticket-triage@3::claude-haiku-4-5  json_path: expected ..., got ...
//! 100/200 cells, 1 failed, $0.0123 spent, about 12 s left
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::paint::{BAD, DIM, NAME, ODD, PLAIN, Screen, Span, span};
use super::{batch, log};
use crate::model::event::{BatchNews, BatchStage, RunEvent};
use crate::model::money::Money;
use crate::model::run::{Address, CellResult};
use crate::model::verdict::Verdict;
use crate::report::style::Style;
use crate::report::{figures, finding, visible};

/// Lines about single cells before only their number is told.
const CELLS: u64 = 50;
/// Lines about pauses before nothing more is said about them.
const PAUSES: u64 = 10;
/// At least so much time between two counts in a log.
const PERIOD: Duration = Duration::from_secs(10);

/// Between two lines of a log that say that a batch is still waited for.
const STILL_WAITING: Duration = Duration::from_secs(5 * 60);

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// A bar at the bottom, lines above it: only where standard error is a terminal.
    Bar,
    /// Lines only.
    Lines,
    /// Nothing.
    Nothing,
}

/// The live view of one run. Fed with every event, in order, by one thread.
pub struct Progress {
    bar: Option<ProgressBar>,
    out: Option<Box<dyn Write + Send>>,
    style: Style,
    /// How often `-v` was given; its lines come even where everything else is quiet.
    verbosity: u8,
    quiet: bool,
    began: Instant,
    told: Duration,
    facts: Facts,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Progress").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// What the events have told so far.
#[derive(Debug, Default)]
struct Facts {
    cells: u64,
    samples: u64,
    cached: u64,
    done: u64,
    failed: u64,
    errored: u64,
    skipped: u64,
    informs: u64,
    /// Samples that this run asked, and when the first of them went out.
    asked: u64,
    first_sent: Option<Duration>,
    retries: u64,
    pauses: u64,
    lines: u64,
    spent: Money,
    simulated: Money,
    /// The latest thing that is not a verdict: a pause, an interrupt.
    note: String,
    note_until: Duration,
    batch_told: Duration,
    silenced: HashMap<(Arc<str>, Arc<str>), Duration>,
}

impl Progress {
    /// A view on `out`, which is standard error for everyone but tests. With [`Show::Bar`] only lines above the bar pass through `style`.
    #[must_use]
    pub fn new(show: Show, out: Box<dyn Write + Send>, style: Style) -> Self {
        let (bar, out) = match show {
            Show::Bar => (Some(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10))), None),
            Show::Lines => (None, Some(out)),
            Show::Nothing => (None, Some(out)),
        };
        Self {
            bar,
            out,
            style,
            verbosity: 0,
            quiet: show == Show::Nothing,
            began: Instant::now(),
            told: Duration::ZERO,
            facts: Facts::default(),
        }
    }

    /// On standard error: a bar where that is a terminal, else lines.
    #[must_use]
    pub fn start(style: Style, is_terminal: bool, quiet: bool, verbosity: u8) -> Self {
        let show = match (quiet, is_terminal) {
            (true, _) => Show::Nothing,
            (false, true) => Show::Bar,
            (false, false) => Show::Lines,
        };
        Self { verbosity, ..Self::new(show, Box::new(io::stderr()), style) }
    }

    /// Shows what an event changes.
    pub fn hear(&mut self, event: &RunEvent) {
        self.hear_at(event, self.began.elapsed());
    }

    /// Takes the bar away, so that the summary stands alone. Called by the last event too.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn hear_at(&mut self, event: &RunEvent, now: Duration) {
        for line in log::lines(event, self.verbosity, now) {
            self.print(&line);
        }
        match event {
            RunEvent::Started { cells, samples, cached, under_way, upper_bound_usd, estimate_usd, run } => {
                self.facts = Facts { cells: *cells, samples: *samples, cached: *cached, ..Facts::default() };
                let kind = if run.simulated { "simulated, " } else { "" };
                let most = match upper_bound_usd {
                    Some(bound) if *bound == Money::ZERO => String::new(),
                    Some(bound) => {
                        let about = estimate_usd.map(|about| format!(", about {}", figures::dollars(about))).unwrap_or_default();
                        format!("{about}, at most {}{}", figures::dollars(*bound), if run.simulated { " at list prices" } else { "" })
                    }
                    None => ", at an unknown price".to_owned(),
                };
                let cells = figures::counted(*cells, "cell", "cells");
                let samples = figures::counted(*samples, "sample", "samples");
                let batched = if *under_way > 0 { format!(", {} in batches under way", figures::count(*under_way)) } else { String::new() };
                let text = format!("running {cells} ({kind}{samples}, {} already answered{batched}{most})", figures::count(*cached));
                self.line(&[span(PLAIN, text)]);
                self.start_bar();
            }
            RunEvent::Sent { .. } => {
                self.facts.first_sent.get_or_insert(now);
            }
            RunEvent::FirstByte { .. } | RunEvent::Exchange { .. } => {}
            RunEvent::Retrying { .. } => self.facts.retries += 1,
            RunEvent::CoolingDown { endpoint, model, delay_ms } => self.pause(endpoint, model, *delay_ms, now),
            RunEvent::Overdue { endpoint, model, waited_ms } => {
                self.facts.pauses += 1;
                if self.facts.pauses <= PAUSES {
                    let text = format!(" {}, {}: {}", visible::name(endpoint), visible::name(model), overdue(*waited_ms));
                    self.line(&[span(ODD, "slow  "), span(DIM, text)]);
                }
            }
            RunEvent::Silent { endpoint, give_up_ms } => self.silent(endpoint, *give_up_ms, now),
            RunEvent::Batch { batch } => self.batch(batch, now),
            RunEvent::Cell { cell } => self.cell(cell),
            RunEvent::Interrupted { in_flight } => {
                let flying = figures::counted(*in_flight, "request", "requests");
                self.line(&[
                    span(ODD, "interrupted"),
                    span(PLAIN, format!(": waiting for {flying} under way; interrupt again to leave at once")),
                ]);
                self.facts.note = "interrupted".to_owned();
                self.facts.note_until = Duration::MAX;
            }
            RunEvent::TimedOut { limit_ms, in_flight } => {
                let flying = figures::counted(*in_flight, "request", "requests");
                let limit = figures::duration(*limit_ms);
                self.line(&[
                    span(ODD, "time limit"),
                    span(PLAIN, format!(": the run's {limit} have passed; waiting for {flying} under way")),
                ]);
                self.facts.note = "time limit passed".to_owned();
                self.facts.note_until = Duration::MAX;
            }
            RunEvent::Finished { .. } => {
                self.finish();
                return;
            }
        }
        self.refresh(now);
    }

    fn batch(&mut self, news: &BatchNews, now: Duration) {
        if let Some(line) = batch::line(news).filter(|_| news.stage != BatchStage::Sought || self.facts.note != batch::note(news)) {
            self.line(&line);
        }
        self.facts.note = batch::note(news);
        self.facts.note_until = Duration::MAX;
        // A log hears from time to time that somebody still waits, and nothing of cells that cannot have a verdict meanwhile.
        self.told = now;
        if self.bar.is_none() && news.stage == BatchStage::Waiting && now.saturating_sub(self.facts.batch_told) >= STILL_WAITING {
            self.facts.batch_told = now;
            let text = format!(" {}", self.facts.note);
            self.line(&[span(NAME, "batch"), span(DIM, text)]);
        }
    }

    fn silent(&mut self, endpoint: &str, give_up_ms: u64, now: Duration) {
        let name = visible::name(endpoint);
        self.facts.note = format!("{name} is silent");
        self.facts.note_until = now + Duration::from_millis(give_up_ms);
        self.facts.pauses += 1;
        if self.facts.pauses <= PAUSES {
            let text =
                format!("{name} answers nothing; it is asked from time to time, and given up after {}", figures::duration(give_up_ms));
            self.line(&[span(ODD, "silent"), span(DIM, format!(" {text}"))]);
        }
    }

    fn pause(&mut self, endpoint: &Arc<str>, model: &Arc<str>, delay_ms: u64, now: Duration) {
        let until = now + Duration::from_millis(delay_ms);
        let name = visible::name(model);
        self.facts.note = format!("{name} pauses for {}", figures::duration(delay_ms));
        self.facts.note_until = until;
        // Every cell of a paused model says so; one line a pause is enough.
        let silenced = self.facts.silenced.insert((endpoint.clone(), model.clone()), until);
        if silenced.is_some_and(|silenced| silenced > now) {
            return;
        }
        self.facts.pauses += 1;
        if self.facts.pauses <= PAUSES {
            let text = format!("{} asks to pause {name} for {}", visible::name(endpoint), figures::duration(delay_ms));
            self.line(&[span(ODD, "pause "), span(DIM, text)]);
        }
    }

    fn cell(&mut self, cell: &CellResult) {
        self.facts.done += 1;
        // A request that came to nothing took its time too.
        self.facts.asked += cell.samples.iter().filter(|sample| sample.error.is_some()).count() as u64;
        for reply in cell.samples.iter().filter_map(|sample| sample.reply.as_ref()).filter(|reply| reply.served.is_paid()) {
            self.facts.asked += 1;
            let cost = reply.cost_usd.unwrap_or_default();
            *(if reply.simulated { &mut self.facts.simulated } else { &mut self.facts.spent }) += cost;
        }
        let (word, style) = match cell.verdict {
            Verdict::Pass => return,
            Verdict::Skipped => {
                self.facts.skipped += 1;
                return;
            }
            // What the gate does not count must not look like an alarm.
            Verdict::Fail | Verdict::Error if !cell.gated => {
                self.facts.informs += 1;
                ("info ", NAME)
            }
            Verdict::Fail => {
                self.facts.failed += 1;
                ("FAIL ", BAD.bold())
            }
            Verdict::Error => {
                self.facts.errored += 1;
                ("ERROR", ODD.bold())
            }
        };
        self.facts.lines += 1;
        if self.facts.lines <= CELLS {
            let headline = finding::leading(cell).map(finding::headline).unwrap_or_default();
            let line = shortened(&cell.address, &headline, usize::from(self.style.width).max(40), self.bar.is_some());
            self.line(&[span(style, word), span(PLAIN, format!(" {}", line.0)), span(DIM, line.1)]);
        } else if self.facts.lines == CELLS + 1 {
            self.line(&[span(DIM, "more failures follow; the summary and the reports list them")]);
        }
    }

    /// The bar's text, and a count in the log from time to time.
    fn refresh(&mut self, now: Duration) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.facts.done);
            bar.set_message(self.facts.status(now));
        } else if self.facts.done < self.facts.cells && now.saturating_sub(self.told) >= PERIOD {
            self.told = now;
            let status = self.facts.status(now);
            let line = format!("{}/{} cells{status}", figures::count(self.facts.done), figures::count(self.facts.cells));
            self.line(&[span(DIM, line)]);
        }
    }

    fn start_bar(&mut self) {
        let Some(bar) = &self.bar else { return };
        let template = if self.style.colour {
            "{spinner:.cyan} {bar:24.cyan/dim} {human_pos}/{human_len}{wide_msg}"
        } else {
            "{spinner} {bar:24} {human_pos}/{human_len}{wide_msg}"
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        bar.set_length(self.facts.cells);
        bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn line(&mut self, spans: &[Span<'_>]) {
        if !self.quiet {
            self.print(spans);
        }
    }

    fn print(&mut self, spans: &[Span<'_>]) {
        let mut text = Vec::new();
        let written = Screen::new(&mut text, self.style).line(spans);
        debug_assert!(written.is_ok(), "writing into memory does not fail");
        match (&self.bar, &mut self.out) {
            (Some(bar), _) => bar.println(String::from_utf8_lossy(&text).trim_end_matches('\n')),
            // A log that nobody can write to any more must not end a run that was paid for.
            (None, Some(out)) => drop(out.write_all(&text).and_then(|()| out.flush())),
            (None, None) => {}
        }
    }
}

/// What is told of a request that others wait for.
pub(super) fn overdue(waited_ms: u64) -> String {
    let waited = figures::duration(waited_ms);
    format!("the request that went first, for the prompt cache, is not answered after {waited}; the next one goes beside it")
}

impl Facts {
    /// `, 3 failed, $0.0123 spent, about 12 s left`.
    fn status(&self, now: Duration) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (number, what) in [
            (self.cached, "cached"),
            (self.failed, "failed"),
            (self.errored, "without a verdict"),
            (self.skipped, "skipped"),
            (self.informs, "for information"),
            (self.retries, "retried"),
        ] {
            if number > 0 {
                let _ = write!(text, ", {} {what}", figures::count(number));
            }
        }
        if self.spent != Money::ZERO {
            let _ = write!(text, ", {} spent", figures::dollars(self.spent));
        }
        if self.simulated != Money::ZERO {
            let _ = write!(text, ", {} simulated", figures::dollars(self.simulated));
        }
        if let Some(left) = self.left(now) {
            let _ = write!(text, ", about {} left", figures::duration(left.as_secs().max(1) * 1000));
        }
        if now < self.note_until && !self.note.is_empty() {
            let _ = write!(text, ", {}", self.note);
        }
        text
    }

    /// From the rate of what was asked; what was answered before the run says nothing about it.
    fn left(&self, now: Duration) -> Option<Duration> {
        let taken = now.checked_sub(self.first_sent?)?;
        let open = self.samples.saturating_sub(self.cached).saturating_sub(self.asked);
        if self.asked == 0 || open == 0 || taken < Duration::from_secs(1) {
            return None;
        }
        Some(taken.mul_f64(open as f64 / self.asked as f64))
    }
}

/// Address and headline in one line at a terminal; in a log they are as long as they are.
fn shortened(address: &Address, headline: &str, width: usize, one_line: bool) -> (String, String) {
    let address = visible::name(&address.to_string());
    let room = width.saturating_sub(8 + visible::width(&address));
    let headline: Cow<'_, str> = if one_line { visible::fitted(headline, room) } else { Cow::Borrowed(headline) };
    (address, format!("  {headline}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::report::sample;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Everything that a run of the sample says, a cell every three seconds.
    fn told(show: Show, times: usize) -> String {
        let (log, report) = (Log::default(), sample::report());
        let mut progress = Progress::new(show, Box::new(log.clone()), Style::PLAIN);
        let (cells, samples) = (report.totals.planned * times as u64, report.totals.samples * times as u64);
        let bound = Some(Money::from_pico(410_000_000_000));
        let started = RunEvent::Started {
            run: report.run.clone(),
            cells,
            samples,
            cached: 12,
            under_way: 0,
            upper_bound_usd: bound,
            estimate_usd: bound,
        };
        progress.hear_at(&started, Duration::ZERO);
        let address = report.cells[0].address.clone();
        progress.hear_at(&RunEvent::Sent { cell: address.clone(), sample: 0 }, Duration::from_secs(1));
        progress
            .hear_at(&RunEvent::Retrying { cell: address, sample: 0, message: "529".to_owned(), delay_ms: 500 }, Duration::from_secs(1));
        let (endpoint, model) = (Arc::from("anthropic"), Arc::from("claude-haiku-4-5"));
        let pause = RunEvent::CoolingDown { endpoint, model, delay_ms: 12_000 };
        progress.hear_at(&pause, Duration::from_secs(2));
        progress.hear_at(&pause, Duration::from_secs(3));
        for (index, cell) in std::iter::repeat_n(&report.cells, times).flatten().enumerate() {
            progress.hear_at(&RunEvent::Cell { cell: Arc::new(cell.clone()) }, Duration::from_secs(3 * (index as u64 + 1)));
        }
        progress.hear_at(&RunEvent::Silent { endpoint: Arc::from("anthropic"), give_up_ms: 30_000 }, Duration::from_secs(80));
        progress.hear_at(&RunEvent::TimedOut { limit_ms: 90_000, in_flight: 2 }, Duration::from_secs(90));
        progress.hear_at(&RunEvent::Interrupted { in_flight: 1 }, Duration::from_secs(90));
        progress.finish();
        let text = log.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_log_gets_a_line_a_failure_and_a_count_from_time_to_time() {
        insta::assert_snapshot!(told(Show::Lines, 1));
    }

    #[test]
    fn many_failures_do_not_flood_a_log() {
        let text = told(Show::Lines, 100);
        assert_eq!(text.lines().filter(|line| line.contains("::")).count() as u64, CELLS);
        assert_eq!(text.matches("more failures follow").count(), 1);
        assert_eq!(text.matches("asks to pause").count(), 1, "a pause is told once, not by each of its cells");
    }

    #[test]
    fn quiet_is_quiet() {
        assert_eq!(told(Show::Nothing, 1), "");
    }
}
