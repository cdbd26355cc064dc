//! What did each attempt cost, row by row, for a spreadsheet?
//!
//! Every amount is an exact decimal in a column of its own, so that the sum of a column is that member of the bill to the last digit.

use std::borrow::Cow;
use std::io;

use crate::model::money::Money;
use crate::model::reply::{Attempt, Served};
use crate::model::run::{Bill, CellResult, ReplyFacts, RunReport, SampleResult};
use crate::report::{visible, words};

/// `docs/cost.md` says what each holds.
pub(super) const COLUMNS: [&str; 36] = [
    "run",
    "started_at",
    "suite",
    "case",
    "prompt",
    "version",
    "model",
    "model_id",
    "endpoint",
    "tags",
    "baseline",
    "sample",
    "attempt",
    "result",
    "http_status",
    "request_id",
    "served",
    "answered_at",
    "service_tier",
    "inference_geo",
    "speed",
    "input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "output_tokens",
    "web_searches",
    "billing",
    "spent_usd",
    "saved_by_store_usd",
    "saved_by_prompt_cache_usd",
    "saved_by_batch_usd",
    "simulated_usd",
    "simulated_saved_by_prompt_cache_usd",
    "simulated_saved_by_batch_usd",
    "unknown_at_most_usd",
];

/// Writes the rows of a run: those of its cells, those of a baseline that it asked for, and one for what stands in no cell.
pub(super) fn write(report: &RunReport, out: &mut dyn io::Write) -> io::Result<()> {
    let mut ledger = Ledger { out: csv::Writer::from_writer(out), run: report, told: Bill::default() };
    ledger.out.write_record(COLUMNS)?;
    for cell in &report.cells {
        ledger.cell(cell, "")?;
    }
    for baseline in report.baselines.iter().filter(|baseline| baseline.run.is_none()) {
        for cell in &baseline.cells {
            ledger.cell(cell, &baseline.reference)?;
        }
    }
    ledger.rest()?;
    ledger.out.flush()
}

struct Ledger<'a> {
    out: csv::Writer<&'a mut dyn io::Write>,
    run: &'a RunReport,
    /// What the rows come to so far.
    told: Bill,
}

/// What became of the money of one row.
#[derive(Clone, Copy)]
enum Billing {
    /// An answer that this run paid for.
    Paid,
    /// An answer that nobody pays for.
    Simulated,
    /// An answer that was there already.
    Stored,
    /// An answer without a price.
    Unpriced,
    /// Nothing was sent, or the server refused it by a status that costs nothing.
    Free,
    /// It was sent, came to nothing, and may have been billed.
    Unknown,
    /// In the bill of the run and in none of its cells.
    Elsewhere,
}

impl Billing {
    const fn word(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Simulated => "simulated",
            Self::Stored => "stored",
            Self::Unpriced => "unpriced",
            Self::Free => "free",
            Self::Unknown => "unknown",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// One row; what it does not hold stays empty.
struct Row<'a> {
    cell: Option<(&'a CellResult, &'a str)>,
    sample: Option<u32>,
    attempt: Option<usize>,
    result: Cow<'a, str>,
    status: Option<u16>,
    request_id: Option<&'a str>,
    reply: Option<&'a ReplyFacts>,
    billing: Billing,
    bill: Bill,
}

impl Ledger<'_> {
    fn cell(&mut self, cell: &CellResult, baseline: &str) -> io::Result<()> {
        for sample in &cell.samples {
            self.sample(cell, baseline, sample)?;
        }
        Ok(())
    }

    fn sample(&mut self, cell: &CellResult, baseline: &str, sample: &SampleResult) -> io::Result<()> {
        let row = |result: Cow<'static, str>, billing| Row {
            cell: Some((cell, baseline)),
            sample: Some(sample.index),
            attempt: None,
            result,
            status: None,
            request_id: None,
            reply: None,
            billing,
            bill: Bill::default(),
        };
        let failed = |number: usize, attempt: &Attempt| {
            let mut bill = Bill::default();
            let unknown = attempt.may_be_billed();
            bill.add_unknown(u64::from(unknown), cell.attempt_at_most_usd);
            let billing = if unknown { Billing::Unknown } else { Billing::Free };
            let result = Cow::Borrowed(attempt.error.map_or("answer lost", words::error_kind));
            (number, row(result, billing), bill)
        };
        let failures: &[Attempt] = match (&sample.error, &sample.reply) {
            (Some(error), _) => &error.attempts,
            (None, Some(reply)) if reply.served.is_paid() => reply.attempts.split_last().map_or(&[], |(_, earlier)| earlier),
            (None, _) => &[],
        };
        for (number, attempt) in (1..).zip(failures) {
            let (number, row, bill) = failed(number, attempt);
            self.row(&Row { attempt: Some(number), status: attempt.status, request_id: attempt.request_id.as_deref(), bill, ..row })?;
        }
        match &sample.reply {
            Some(reply) if !reply.forgotten => {
                let mut bill = Bill::default();
                bill.add_reply(reply);
                let billing = match (reply.cost_usd, reply.served.is_paid(), reply.simulated) {
                    (None, ..) => Billing::Unpriced,
                    (Some(_), false, _) => Billing::Stored,
                    (Some(_), true, true) => Billing::Simulated,
                    (Some(_), true, false) => Billing::Paid,
                };
                let attempt = reply.served.is_paid().then_some(reply.attempts.len().max(1));
                let status = reply.attempts.last().filter(|_| attempt.is_some()).and_then(|attempt| attempt.status);
                let request_id = reply.request_id.as_deref();
                let result = Cow::Owned(reply.stop_reason.as_str().to_owned());
                self.row(&Row { attempt, status, request_id, reply: Some(reply), bill, ..row(result, billing) })
            }
            Some(_) => Ok(()),
            None if failures.is_empty() => {
                let result = sample.error.as_ref().map_or("skipped", |error| words::error_kind(error.kind));
                self.row(&row(Cow::Borrowed(result), Billing::Free))
            }
            None => Ok(()),
        }
    }

    /// Answers that came after their cells had given up, fresh samples of a comparison, earlier reports that tell less.
    fn rest(&mut self) -> io::Result<()> {
        let (whole, told) = (&self.run.bill, &self.told);
        let mut bill = Bill {
            spent_usd: whole.spent_usd - told.spent_usd,
            saved_by_store_usd: whole.saved_by_store_usd - told.saved_by_store_usd,
            saved_by_prompt_cache_usd: whole.saved_by_prompt_cache_usd - told.saved_by_prompt_cache_usd,
            saved_by_batch_usd: whole.saved_by_batch_usd - told.saved_by_batch_usd,
            simulated_usd: whole.simulated_usd - told.simulated_usd,
            ..Bill::default()
        };
        bill.simulated_saved.by_prompt_cache_usd = whole.simulated_saved.by_prompt_cache_usd - told.simulated_saved.by_prompt_cache_usd;
        bill.simulated_saved.by_batch_usd = whole.simulated_saved.by_batch_usd - told.simulated_saved.by_batch_usd;
        let unknown = whole.unknown_attempts.saturating_sub(told.unknown_attempts);
        let more = whole.unknown_at_most_usd.unwrap_or_default() - told.unknown_at_most_usd.unwrap_or_default();
        bill.unknown_attempts = unknown;
        bill.unknown_at_most_usd = Some(more).filter(|more| unknown > 0 && *more > Money::ZERO);
        if bill == Bill::default() {
            return Ok(());
        }
        self.row(&Row {
            cell: None,
            sample: None,
            attempt: None,
            result: Cow::Borrowed("in no cell"),
            status: None,
            request_id: None,
            reply: None,
            billing: Billing::Elsewhere,
            bill,
        })
    }

    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.told.add(&row.bill);
        let mut fields: Vec<Cow<'_, str>> = Vec::with_capacity(COLUMNS.len());
        let run = &self.run.run;
        fields.push(text(&run.id));
        fields.push(Cow::Owned(run.started_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)));
        if let Some((cell, baseline)) = row.cell {
            let address = &cell.address;
            fields.extend([text(&address.suite), text(&address.case), text(&address.prompt), Cow::Owned(address.version.to_string())]);
            fields.extend([text(&address.model), text(&cell.model_id), text(&cell.endpoint)]);
            fields.extend([Cow::Owned(text(&cell.tags.join(" ")).into_owned()), text(baseline)]);
        } else {
            fields.resize(11, Cow::Borrowed(""));
        }
        fields.extend([number(row.sample), number(row.attempt), text(&row.result), number(row.status)]);
        fields.push(text(row.request_id.unwrap_or_default()));
        match row.reply {
            Some(reply) => {
                let usage = &reply.usage;
                fields.push(Cow::Borrowed(served(reply.served)));
                fields.push(Cow::Owned(reply.answered_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)));
                let told = [&usage.service_tier, &usage.inference_geo, &usage.speed];
                fields.extend(told.map(|told| text(told.as_deref().unwrap_or_default())));
                let tokens = [usage.input_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens, usage.cache_read_tokens];
                fields.extend(tokens.into_iter().chain([usage.output_tokens, usage.web_searches]).map(|count| number(Some(count))));
            }
            None => fields.resize(27, Cow::Borrowed("")),
        }
        fields.push(Cow::Borrowed(row.billing.word()));
        let bill = &row.bill;
        let amounts = [bill.spent_usd, bill.saved_by_store_usd, bill.saved_by_prompt_cache_usd, bill.saved_by_batch_usd];
        let amounts =
            amounts.into_iter().chain([bill.simulated_usd, bill.simulated_saved.by_prompt_cache_usd, bill.simulated_saved.by_batch_usd]);
        // Unknown is not nothing: its fields stay empty.
        let is_known = !matches!(row.billing, Billing::Unknown | Billing::Unpriced);
        fields.extend(amounts.map(|amount| if is_known { Cow::Owned(amount.to_string()) } else { Cow::Borrowed("") }));
        fields.push(match (row.billing, bill.unknown_at_most_usd) {
            (_, Some(amount)) => Cow::Owned(amount.to_string()),
            (Billing::Unknown, None) => Cow::Borrowed(""),
            _ => Cow::Owned(Money::ZERO.to_string()),
        });
        debug_assert_eq!(fields.len(), COLUMNS.len(), "a field for each column");
        self.out.write_record(fields.iter().map(|field| field.as_bytes()))?;
        Ok(())
    }
}

const fn served(served: Served) -> &'static str {
    match served {
        Served::Fresh => "asked",
        Served::Batch => "batch",
        Served::Stored => "stored",
        Served::Shared => "shared",
        Served::Recorded => "recorded",
    }
}

fn number<N: std::fmt::Display>(number: Option<N>) -> Cow<'static, str> {
    number.map_or(Cow::Borrowed(""), |number| Cow::Owned(number.to_string()))
}

/// A text that a spreadsheet takes as a text. What begins like a formula would be computed where the file is opened, so an apostrophe stands
/// before it, as the spreadsheets themselves write it: also behind a semicolon, where those begin a cell that are set to a language whose
/// decimals have a comma.
fn text(text: &str) -> Cow<'_, str> {
    let line = visible::one_line(text);
    if line.split(CELL_ENDS).any(is_formula) {
        let guard = |cell: &str| if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() };
        return Cow::Owned(line.split(CELL_ENDS).map(guard).collect::<Vec<_>>().join(";"));
    }
    line
}

/// Where another spreadsheet ends a cell within a field of ours; line ends and tabs do not get this far.
const CELL_ENDS: char = ';';

/// Blanks before it are skipped by some of them, and quotes are taken for those of the cell.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches(|first: char| first.is_whitespace() || first == '"')
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn written(report: &RunReport) -> String {
        let mut out = Vec::new();
        write(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn column(text: &str, name: &str) -> Money {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let at = reader.headers().unwrap().iter().position(|column| column == name).unwrap();
        reader.records().map(|row| row.unwrap()[at].parse::<Money>().unwrap_or_default()).sum()
    }

    #[test]
    fn a_row_for_each_attempt() {
        insta::assert_snapshot!(written(&sample::report()));
    }

    #[test]
    fn each_column_of_money_comes_to_its_member_of_the_bill() {
        for report in [sample::report(), sample::simulated()] {
            let text = written(&report);
            for (name, amount) in [
                ("spent_usd", report.bill.spent_usd),
                ("saved_by_store_usd", report.bill.saved_by_store_usd),
                ("saved_by_prompt_cache_usd", report.bill.saved_by_prompt_cache_usd),
                ("saved_by_batch_usd", report.bill.saved_by_batch_usd),
                ("simulated_usd", report.bill.simulated_usd),
            ] {
                assert_eq!(column(&text, name), amount, "{name}");
            }
        }
    }

    #[test]
    fn what_stands_in_no_cell_has_a_row_of_its_own() {
        let mut report = sample::report();
        report.bill.spent_usd += "0.25".parse().unwrap();
        let text = written(&report);
        assert_eq!(column(&text, "spent_usd"), report.bill.spent_usd);
        let last = text.lines().last().unwrap();
        assert!(last.contains("in no cell") && last.contains(",elsewhere,0.25,"), "{last}");
    }

    #[test]
    fn no_name_is_a_formula_and_no_name_breaks_a_row() {
        for name in [
            "=1+2",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            " =cmd|' /C calc'!A0",
            "＝1",
            "a,b\"c",
            "two\nlines",
            "\r=1",
            ";=1+1",
            "x;=HYPERLINK(1);y",
            "a,b; ;\t@SUM(A1)",
            "a;\"=1",
            "a\";=1\"",
            "; ＝1",
            ";;-1;",
        ] {
            let mut report = sample::report();
            report.cells.truncate(1);
            report.cells[0].address.case = name.into();
            report.cells[0].tags = [name.to_owned()].into();
            let text = written(&report);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let row = reader.records().next().unwrap().unwrap();
            assert_eq!(row.len(), COLUMNS.len(), "{name:?}");
            for field in [&row[3], &row[9]] {
                assert!(!field.trim_start().starts_with(['=', '+', '-', '@', '＝']) && !field.contains(['\n', '\r', '\t']), "{field:?}");
            }
            // As a spreadsheet reads it that ends its cells at semicolons, whatever it makes of quotes within one.
            for quoting in [true, false] {
                let mut reader = csv::ReaderBuilder::new().delimiter(b';').flexible(true).quoting(quoting).from_reader(text.as_bytes());
                for cell in reader.records().flat_map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()) {
                    let begins = cell.trim_start_matches([' ', '"']);
                    assert!(!begins.starts_with(['=', '+', '-', '@', '＝']), "{name:?}: {cell:?}");
                }
            }
        }
    }

    #[test]
    fn a_semicolon_before_anything_else_stays_as_it_is() {
        assert_eq!(text("a; b;c;\"d\";"), "a; b;c;\"d\";");
        assert_eq!(text("x;=1;y;-2"), "x;'=1;y;'-2");
    }
}
