//! How does a gate behave on what did not change, for a pull request: the sentence first, then the noise?

use std::io;

use super::escaped::{cell_code, code, prose};
use super::{FRAME, NOTICES, PAGE, Page};
use crate::model::calibration::Calibration;
use crate::report::{calibrated, compared};

/// By this a bot finds its own comment again. Nothing of an output can look like it.
const MARKER: &str = "<!-- promptkeel: calibration -->\n";

/// Characters of one line of ours.
const SENTENCE: usize = 1_500;

/// Writes a calibration as Markdown, within the limit of a comment.
pub(crate) fn write(calibration: &Calibration, out: &mut dyn io::Write) -> io::Result<()> {
    let mut head = Page { most: 2 * FRAME, ..Page::default() };
    head.note(MARKER);
    let sign = if calibrated::is_loud(calibration) { "❌" } else { "✅" };
    head.note(&format!("## {sign} {}\n\n", prose(&calibrated::verdict(calibration), SENTENCE)));
    if calibration.simulated {
        head.note("> **Simulated:** every reply came from a simulator. No number here is about a real model.\n\n");
    }
    head.note(&format!(
        "{}; {}.\n\n",
        prose(&calibrated::collected(calibration), SENTENCE),
        prose(&calibrated::bill(calibration), SENTENCE)
    ));
    let mut page = Page { most: PAGE.saturating_sub(head.length + NOTICES), ..Page::default() };
    let comparison = &calibration.comparison;
    page.add("| two runs of the same prompt | of them (95 % interval) |\n| --- | ---: |\n");
    for (what, frequency) in [("blocked", comparison.blocked), ("not worse", comparison.not_worse), ("undecided", comparison.undecided)] {
        page.add(&format!("| {what} | {} |\n", calibrated::frequency(frequency)));
    }
    page.add("\n");
    let reasons = calibrated::reasons(calibration).map(|reasons| format!("blocked by {reasons}"));
    for note in reasons.into_iter().chain(calibrated::notes(calibration)) {
        page.add(&format!("- {}\n", prose(&note, SENTENCE)));
    }
    for rate in &calibration.pass_rates {
        page.add(&format!("- {}\n", calibrated::pass_rate(rate, code)));
    }
    if let Some(detection) = &calibration.detection {
        page.add(&format!("\n### What would be found: {}\n\n", calibrated::loss(detection)));
        for line in calibrated::detection(detection) {
            page.add(&format!("- {}\n", prose(&line, SENTENCE)));
        }
    }
    noise(calibration, &mut page);
    [head, page].iter().try_for_each(|part| out.write_all(part.text.as_bytes()))
}

fn noise(calibration: &Calibration, page: &mut Page) {
    let flaky: Vec<_> = calibration.cases.iter().filter(|case| case.flaky).collect();
    page.add(&format!("\n### Noise: {} of {} cases passed and failed, unchanged\n\n", flaky.len(), calibration.cases.len()));
    let mut shown = 0;
    if !flaky.is_empty() {
        page.add("| flaky | passed | rate | 95 % interval | of all noise |\n| --- | ---: | ---: | ---: | ---: |\n");
    }
    for case in &flaky {
        let row = format!(
            "| {} | {} | {} | {} | {} |\n",
            cell_code(&case.case),
            compared::of(case.counts),
            compared::rate(case.counts),
            compared::interval(case.interval),
            calibrated::percent(case.share_of_noise),
        );
        if !page.add(&row) {
            break;
        }
        shown += 1;
    }
    if shown < flaky.len() {
        page.note(&format!("\n_{} more are in the JSON report._\n", flaky.len() - shown));
    }
    if let Some(steady) = calibrated::steady(calibration) {
        page.note(&format!("\n{}.\n", prose(&steady, SENTENCE)));
    }
}
