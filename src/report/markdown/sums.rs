//! What do models and prompt versions come to, and what did the run cost: the end of the page?

use std::collections::HashSet;

use crate::model::run::{Group, RunReport};
use crate::report::markdown::escaped::{cell_code, code, prose, prose_with_code};
use crate::report::markdown::{Page, samples};
use crate::report::standing::GatedRates;
use crate::report::{billed, figures, right_size, visible};

/// Tables, the bill, and which run it was.
pub(super) fn tail(report: &RunReport) -> Page {
    let mut page = Page::frame();
    let models: Vec<&Group> = report.models.iter().collect();
    let rates = GatedRates::of(report);
    table(&mut page, "Models", &models, &rates);
    let side_by_side: HashSet<String> = report
        .cells
        .iter()
        .filter(|cell| cell.side_by_side)
        .map(|cell| format!("{}@{}", cell.address.prompt, cell.address.version))
        .collect();
    let versions: Vec<&Group> = report.versions.iter().filter(|group| side_by_side.contains(&group.name)).collect();
    table(&mut page, "Prompt versions side by side", &versions, &rates);
    samples::show(report, &mut page);
    page.note(&format!("**Bill:** {}\n\n", bill(report)));
    if !report.right_size.is_empty() {
        page.note("**Could be smaller:**\n\n");
        let mut left = 0;
        for hint in &report.right_size {
            let line = format!("- {}\n", prose_with_code(&right_size::line(hint), 1_000));
            left += usize::from(left > 0 || !page.add(&line));
        }
        page.note(&if left > 0 { format!("\n_{left} more are in the JSON report._\n\n") } else { "\n".to_owned() });
    }
    if report.totals.snapshots_changed + report.totals.snapshots_new > 0 {
        page.note("Take changed and new outputs with `promptkeel accept` (from a run elsewhere with `promptkeel accept --from run.json`, its JSON report), then commit the snapshots.\n\n");
    }
    let run = &report.run;
    // Within `<sub>` Markdown is read, other than within `<summary>`.
    let revision = run.revision.as_deref().map(|revision| format!(" at {}", code(&visible::brief(revision, 60)))).unwrap_or_default();
    let shard = run.shard.map(|shard| format!(", shard {}/{}", shard.index, shard.count)).unwrap_or_default();
    let (id, tool) = (code(&visible::brief(&run.id, 60)), prose(&run.tool, 60));
    page.note(&format!(
        "<sub>run {id}{revision}, {tool}, {}{shard}, exit {}</sub>\n",
        figures::duration(run.duration_ms),
        report.exit.code()
    ));
    page
}

fn table(page: &mut Page, title: &str, groups: &[&Group], rates: &GatedRates<'_>) {
    if groups.is_empty() {
        return;
    }
    page.note(&format!("### {title}\n\n| | cells | pass rate | cost | tokens in/out | p50/p95 | errors | refusals |\n"));
    page.note("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    let decimals = figures::worth_decimals(groups.iter().map(|group| &group.bill));
    let mut left = 0;
    for group in groups {
        let totals = &group.totals;
        let (passed, failed) = rates.rate(group);
        let suite = group.suite.as_deref().map(|suite| format!("{} ", cell_code(suite))).unwrap_or_default();
        let latency = match (group.latency_p50_ms, group.latency_p95_ms) {
            (Some(p50), Some(p95)) => format!("{} / {}", figures::duration(p50), figures::duration(p95)),
            _ => "–".to_owned(),
        };
        let row = format!(
            "| {suite}{}{} | {} | {} | {} | {} / {} | {latency} | {} | {} |\n",
            cell_code(&group.name),
            if group.gated { "" } else { " (informs)" },
            figures::count(totals.planned),
            figures::share(passed, passed + failed),
            figures::worth(&group.bill, decimals),
            figures::compact(totals.tokens.prompt()),
            figures::compact(totals.tokens.output),
            figures::count(totals.errored),
            figures::count(totals.refusals),
        );
        left += usize::from(left > 0 || !page.add(&row));
    }
    page.note("\n");
    if left > 0 {
        page.note(&format!("_{left} more rows are in the JSON report._\n\n"));
    }
}

fn bill(report: &RunReport) -> String {
    let missing = billed::missing(&report.bill).map(|missing| format!("**incomplete**, {missing}"));
    let doubtful = billed::doubtful(&report.bill).map(|doubtful| format!("**may be wrong**: {doubtful}"));
    let parts: Vec<String> = [billed::spent(report), billed::simulated(report), missing, doubtful, billed::unanswered(&report.bill)]
        .into_iter()
        .flatten()
        .collect();
    parts.join("; ").replace('$', "\\$")
}
