//! Two arms, or several, as one page for a browser: the verdict, the numbers, quality against cost, and where they differ?
//!
//! The page is finished when it is written: it has no script, so it shows the same with JavaScript switched off, in a mail and on paper. What
//! unfolds is the browser's own, and reached by key. Every text of a model is escaped, and the policy lets nothing but the one style count.

use std::io::{self, Write};
use std::sync::LazyLock;

use super::{attribute, hash, lean, plot};
use crate::model::baseline::{ComparisonStanding, SuiteComparison};
use crate::model::comparison::{ComparisonVerdict, percent};
use crate::model::side_by_side::{Arm, ArmComparison, CaseDifference, SideBySide};
use crate::report::difference::{self, Sign};
use crate::report::{compared, figures, visible, words};

static STYLE: LazyLock<String> = LazyLock::new(|| {
    lean(concat!(include_str!("style.css"), include_str!("case.css"), include_str!("compared.css"), include_str!("plot.css")))
});

/// So many cases are unfolded from the beginning.
const OPEN: usize = 3;

/// So many cases of each suite stand in the page of a run, whose matrix has them all.
const IN_A_RUN: usize = 50;

/// Writes the page.
///
/// # Errors
///
/// Only what `out` answers.
pub(crate) fn write(side_by_side: &SideBySide, out: &mut dyn Write) -> io::Result<()> {
    let comparisons = &side_by_side.comparisons;
    let title = attribute(&title(side_by_side)).into_owned();
    let policy = format!("default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'", hash(&STYLE));
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{title}</title>\n<style>{}</style>\n</head>\n\
         <body data-view=\"overview\">\n<div id=\"page\">\n<a class=\"skip button\" href=\"#main\">To the comparison</a>\n\
         <header><div class=\"top\"><p class=\"brand\"><strong>promptkeel</strong> <span class=\"muted\">comparison</span></p></div>\n",
        *STYLE
    )?;
    if let Some(simulated) = compared::simulated(comparisons) {
        writeln!(out, "<p class=\"simulated-banner\"><strong>Simulated:</strong> {}.</p>", attribute(simulated))?;
    }
    writeln!(out, "</header>")?;
    writeln!(out, "<main id=\"main\" tabindex=\"-1\">")?;
    headline(side_by_side, out)?;
    arms(comparisons, "Side by side", 0, out)?;
    write!(out, "{}", plot::of(comparisons))?;
    for comparison in comparisons {
        differences(comparison, comparisons.len() == 1, false, out)?;
    }
    writeln!(out, "</main>\n</div>\n</body>\n</html>")
}

/// How the suites of a run stand against what they are compared with, as a part of the run's page: finished here, and only moved there.
///
/// # Errors
///
/// Only what `out` answers.
pub(super) fn of_run(comparisons: &[SuiteComparison], out: &mut dyn Write) -> io::Result<()> {
    if comparisons.is_empty() {
        return Ok(());
    }
    writeln!(out, "<div id=\"compared\">")?;
    for (place, comparison) in comparisons.iter().enumerate() {
        let (class, sign) = match comparison.standing {
            ComparisonStanding::Regressed => ("fail", "✗"),
            ComparisonStanding::NotWorse | ComparisonStanding::Unchanged | ComparisonStanding::New => ("pass", "✓"),
            ComparisonStanding::Undecided | ComparisonStanding::Missing | ComparisonStanding::Budget => ("error", "?"),
        };
        let standing = words::standing(comparison.standing);
        writeln!(
            out,
            "<section class=\"summary said {class}\"><h2><span class=\"mark\" aria-hidden=\"true\">{sign}</span> {} compared with {}: {standing}</h2>",
            name(&comparison.suite),
            name(&comparison.baseline)
        )?;
        if let (Some(cheapest), Some(compared)) = (&comparison.cheapest, &comparison.compared) {
            writeln!(out, "<p><strong>{}</strong></p>", compared::cheapest(cheapest, compared.comparison.policy.margin, name))?;
        }
        writeln!(out, "<p class=\"sum\">{}</p>", attribute(&visible::brief(&comparison.message, 2_000)))?;
        let Some(compared) = &comparison.compared else {
            writeln!(out, "</section>")?;
            continue;
        };
        if let Some(sensitivity) = &compared.sensitivity {
            writeln!(out, "<p class=\"muted\">{}</p>", attribute(&visible::brief(sensitivity, 600)))?;
        }
        writeln!(out, "</section>")?;
        arms(std::slice::from_ref(compared), &format!("{}: side by side", name(&comparison.suite)), place, out)?;
        differences(compared, false, true, out)?;
    }
    writeln!(out, "</div>")
}

/// The verdict first, because a tab shows no more.
fn title(side_by_side: &SideBySide) -> String {
    let said = match (&side_by_side.cheapest, side_by_side.comparisons.first()) {
        (Some(cheapest), _) => match &cheapest.model {
            Some(model) => format!("{} will do", visible::name(model)),
            None if cheapest.cheaper == Some(0) => "no model is cheaper".to_owned(),
            None => "no cheaper model will do".to_owned(),
        },
        (None, Some(comparison)) => compared::statement(comparison, visible::name).0,
        (None, None) => "nothing was compared".to_owned(),
    };
    format!("{said} · promptkeel")
}

fn name(name: &str) -> String {
    format!("<bdi>{}</bdi>", attribute(&visible::name(name)))
}

/// The class of a verdict, and its sign for those who see no colour.
fn tone(comparison: &ArmComparison) -> (&'static str, &'static str, &'static str) {
    match comparison.comparison.verdict {
        _ if !comparison.critical.is_empty() => ("fail", "✗", "critical"),
        ComparisonVerdict::Regressed => ("fail", "✗", "worse"),
        ComparisonVerdict::NotWorse => ("pass", "✓", "not worse"),
        ComparisonVerdict::Undecided => ("error", "?", "undecided"),
    }
}

fn headline(side_by_side: &SideBySide, out: &mut dyn Write) -> io::Result<()> {
    let comparisons = &side_by_side.comparisons;
    if let (Some(cheapest), Some(first)) = (&side_by_side.cheapest, comparisons.first()) {
        let (class, sign) = if cheapest.model.is_some() { ("pass", "✓") } else { ("error", "?") };
        let said = compared::cheapest(cheapest, first.comparison.policy.margin, name);
        writeln!(out, "<div class=\"summary said {class}\"><h1><span class=\"mark\" aria-hidden=\"true\">{sign}</span> {said}</h1></div>")?;
    }
    for comparison in comparisons {
        let (class, sign, _) = tone(comparison);
        let (claim, numbers) = compared::statement(comparison, name);
        let level = if side_by_side.cheapest.is_some() { "h2" } else { "h1" };
        writeln!(
            out,
            "<section class=\"summary said {class}\"><{level}><span class=\"mark\" aria-hidden=\"true\">{sign}</span> {claim}</{level}>\n<p class=\"sum\">{}</p>",
            attribute(&visible::brief(&numbers, 2_000))
        )?;
        if !comparison.critical.is_empty() {
            let cases = attribute(&compared::names(&comparison.critical)).into_owned();
            writeln!(out, "<p class=\"reason fail\"><strong>A critical assertion fails in the candidate:</strong> <bdi>{cases}</bdi></p>")?;
        }
        if let Some(sensitivity) = &comparison.sensitivity {
            writeln!(out, "<p class=\"muted\">{}</p>", attribute(&visible::brief(sensitivity, 600)))?;
        }
        writeln!(out, "</section>")?;
    }
    Ok(())
}

fn arms(comparisons: &[ArmComparison], title: &str, place: usize, out: &mut dyn Write) -> io::Result<()> {
    let Some(first) = comparisons.first() else { return Ok(()) };
    let confidence = percent(first.comparison.confidence);
    writeln!(
        out,
        "<section class=\"panel\" aria-labelledby=\"arms-{place}\"><h2 id=\"arms-{place}\">{title}</h2>\n\
         <div class=\"scrolling\" tabindex=\"0\" role=\"group\" aria-labelledby=\"arms-{place}\"><table class=\"totals arms\">\n<thead><tr><th scope=\"col\"><span class=\"visually-hidden\">arm</span></th>\
         <th scope=\"col\" class=\"number-cell\">pass rate</th><th scope=\"col\" class=\"number-cell\">{confidence} % interval</th>\
         <th scope=\"col\" class=\"number-cell\">difference in points</th><th scope=\"col\">verdict</th>\
         <th scope=\"col\" class=\"number-cell\">cost per 1,000 calls</th><th scope=\"col\" class=\"number-cell\">p50/p95</th>\
         <th scope=\"col\" class=\"number-cell\">tokens in/out</th><th scope=\"col\" class=\"number-cell\">refusals</th>\
         <th scope=\"col\" class=\"number-cell\">cut</th><th scope=\"col\" class=\"number-cell\">no verdict</th></tr></thead>\n<tbody>"
    )?;
    row(&first.baseline, None, out)?;
    for comparison in comparisons {
        row(&comparison.candidate, Some(comparison), out)?;
    }
    writeln!(out, "</tbody></table></div>")?;
    writeln!(out, "<dl class=\"pairs muted\">")?;
    writeln!(out, "<dt>baseline</dt><dd><bdi>{}</bdi></dd>", attribute(&compared::origin(&first.baseline, Some(&first.candidate))))?;
    for comparison in comparisons {
        writeln!(out, "<dt>candidate</dt><dd><bdi>{}</bdi></dd>", attribute(&compared::origin(&comparison.candidate, None)))?;
    }
    writeln!(out, "</dl>")?;
    for comparison in comparisons {
        for finding in &comparison.validity {
            let class = if finding.left_out { "error" } else { "note" };
            let said = attribute(&compared::finding(finding)).into_owned();
            writeln!(out, "<p class=\"hint\"><span class=\"mark {class}\" aria-hidden=\"true\">!</span> <bdi>{said}</bdi></p>")?;
        }
    }
    writeln!(out, "</section>")
}

fn row(arm: &Arm, comparison: Option<&ArmComparison>, out: &mut dyn Write) -> io::Result<()> {
    let (difference, verdict) = match comparison {
        None => ("–".to_owned(), "<span class=\"muted\">baseline</span>".to_owned()),
        Some(comparison) => {
            let (class, sign, word) = tone(comparison);
            (compared::points(&comparison.comparison), format!("<span class=\"verdict {class}\">{sign} {word}</span>"))
        }
    };
    let alarming = |count: u64, said: String| {
        let class = if count == 0 { "figure muted" } else { "figure error" };
        format!("<td class=\"number-cell\"><span class=\"{class}\">{said}</span></td>")
    };
    let of_replies = |count: Option<u64>| alarming(count.unwrap_or(0), compared::of_replies(count));
    writeln!(
        out,
        "<tr><th scope=\"row\">{}</th><td class=\"number-cell\">{} <span class=\"muted\">{}</span></td><td class=\"number-cell\">{}</td>\
         <td class=\"number-cell\">{difference}</td><td>{verdict}</td><td class=\"number-cell\">{}</td><td class=\"number-cell\">{}</td>\
         <td class=\"number-cell\">{}</td>{}{}{}</tr>",
        name(&arm.name),
        compared::rate(arm.counts),
        compared::of(arm.counts),
        compared::interval(arm.interval),
        attribute(&compared::cost(arm)),
        compared::latency(arm),
        compared::tokens(arm),
        of_replies(arm.refusals),
        of_replies(arm.truncations),
        alarming(arm.missing_samples, figures::count(arm.missing_samples)),
    )
}

fn differences(comparison: &ArmComparison, alone: bool, folded: bool, out: &mut dyn Write) -> io::Result<()> {
    let most = if folded { IN_A_RUN } else { usize::MAX };
    if comparison.differing.is_empty() && comparison.other_outputs == 0 {
        return Ok(());
    }
    let pair =
        if alone { String::new() } else { format!(": {} and {}", name(&comparison.baseline.name), name(&comparison.candidate.name)) };
    let sum = attribute(&compared::differing(comparison)).into_owned();
    let heading = format!("<h2>Where they differ{pair} <span class=\"number\">{sum}</span></h2>");
    // In the page of a run what is to be looked at comes below.
    let (head, foot) = match folded {
        true => (format!("<details><summary>{heading}</summary>"), "</details>"),
        false => (heading, ""),
    };
    writeln!(out, "<section class=\"panel case differences\">{head}")?;
    for (place, case) in comparison.differing.iter().take(most).enumerate() {
        difference(case, alone && place < OPEN, out)?;
    }
    let left = comparison.differing.len().saturating_sub(most);
    if left > 0 {
        writeln!(out, "<p class=\"muted\">and {}, in the JSON report</p>", figures::counted(left as u64, "more case", "more cases"))?;
    }
    writeln!(out, "{foot}</section>")
}

fn difference(case: &CaseDifference, open: bool, out: &mut dyn Write) -> io::Result<()> {
    let is_worse = case.candidate.rate() < case.baseline.rate();
    let (class, word) = if is_worse { ("fail", "worse") } else { ("pass", "better") };
    let head = format!(
        "<span class=\"verdict {class}\">{word}</span> <strong>{}</strong> <span class=\"number\">{} → {}</span>",
        name(&case.case),
        compared::of(case.baseline),
        compared::of(case.candidate)
    );
    let Some(shown) = &case.shown else {
        return writeln!(out, "<p class=\"part\">{head}</p>");
    };
    let open = if open { " open" } else { "" };
    writeln!(out, "<details{open}><summary>{head}</summary>")?;
    if let Some(failed) = &shown.failed {
        let what = if is_worse { "fails now" } else { "failed before" };
        writeln!(
            out,
            "<div class=\"reason {class}\"><p>{what}: <strong><bdi>{}</bdi></strong></p><dl class=\"expected\"><dt>expected</dt><dd><bdi>{}</bdi></dd><dt>got</dt><dd><bdi>{}</bdi></dd></dl></div>",
            attribute(&visible::name(&failed.name)),
            attribute(&visible::brief(&failed.expected, 400)),
            attribute(&visible::brief(&failed.got, 400))
        )?;
    }
    if let Some(diff) = &shown.diff {
        writeln!(out, "<div class=\"diff\" tabindex=\"0\" role=\"group\" aria-label=\"Difference of the outputs\">")?;
        for row in difference::rows(diff, false) {
            line(&row, out)?;
        }
        writeln!(out, "</div>")?;
    }
    writeln!(out, "</details>")
}

fn line(row: &difference::Row<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (class, word) = match row.sign {
        Sign::Same => ("same", ""),
        Sign::Removed => ("removed", "del"),
        Sign::Added => ("added", "ins"),
        Sign::Changed | Sign::Note => ("hunk", ""),
    };
    write!(out, "<div class=\"diff-line {class}\"><span class=\"sign\">{}</span><span class=\"diff-text\">", row.sign.as_char())?;
    for part in &row.parts {
        let text = attribute(&part.text);
        match (part.emphasised, word) {
            (true, "del" | "ins") => write!(out, "<{word}>{text}</{word}>")?,
            _ => write!(out, "{text}")?,
        }
    }
    writeln!(out, "</span></div>")
}

#[cfg(test)]
#[path = "compared_tests.rs"]
mod tests;
