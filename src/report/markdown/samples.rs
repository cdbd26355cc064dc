//! How often do samples pass, by suite and model, on the Markdown page?

use super::Page;
use super::escaped::cell_code;
use crate::model::run::RunReport;
use crate::report::sampled;

/// How often samples pass, by suite and model; nothing where no cell has several.
pub(super) fn show(report: &RunReport, page: &mut Page) {
    let models = sampled::models(report);
    if models.is_empty() {
        return;
    }
    page.note("### Samples\n\n| | passed | rate | 95 % interval | at least one of k | all of k |\n");
    page.note("| --- | ---: | ---: | ---: | ---: | ---: |\n");
    let mut left = 0;
    for (group, told) in models {
        let suite = group.suite.as_deref().map(|suite| format!("{} ", cell_code(suite))).unwrap_or_default();
        let row = format!(
            "| {suite}{} | {} | {} | {} | {}: {} | {}: {} |\n",
            cell_code(&group.name),
            sampled::passes(told),
            sampled::rate(told),
            sampled::interval(told),
            sampled::any_title(told),
            sampled::chance(told.pass_at_k),
            sampled::all_title(told),
            sampled::chance(told.all_of_k_pass),
        );
        left += usize::from(left > 0 || !page.add(&row));
    }
    page.note("\n");
    if left > 0 {
        page.note(&format!("_{left} more rows are in the JSON report._\n\n"));
    }
}
