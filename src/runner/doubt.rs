//! Can the tokens that an endpoint counts be right? The bill goes by them, and by nothing else.

use std::collections::BTreeMap;

use crate::model::catalog::Catalog;
use crate::model::cost;
use crate::model::problem::Problem;
use crate::model::reply::StopReason;
use crate::model::run::{CellResult, ReplyFacts};
use crate::runner::plan::Variant;

/// More than any model reads, for models whose context window is unknown.
const LONGEST_PROMPT: u64 = 100_000_000;

/// How many samples were answered with counts that cannot be right, and a warning for each endpoint and model that did so.
#[must_use]
pub fn doubts<'a>(catalog: &Catalog, cells: impl IntoIterator<Item = (&'a Variant, &'a CellResult)>) -> (u64, Vec<Problem>) {
    let mut found: BTreeMap<(&'a str, &'a str), (String, u64)> = BTreeMap::new();
    for (variant, cell) in cells {
        for sample in &cell.samples {
            if let Some(doubt) = sample.reply.as_ref().and_then(|reply| doubt(variant, catalog, reply)) {
                let first = || (format!("{}: {doubt}", cell.address), 0);
                found.entry((&cell.endpoint, &cell.model_id)).or_insert_with(first).1 += 1;
            }
        }
    }
    let problem = |((endpoint, model), (first, count)): (&(&str, &str), &(String, u64))| {
        let more = match count - 1 {
            0 => String::new(),
            1 => ", and 1 answer more like it".to_owned(),
            more => format!(", and {more} answers more like it"),
        };
        Problem::warning(format!("endpoint `{endpoint}` counts tokens of `{model}` that cannot be right: {first}{more}"))
            .hint("the bill goes by what the endpoint counts, so it may be wrong")
    };
    (found.values().map(|(_, count)| count).sum(), found.iter().map(problem).collect())
}

/// What is wrong with the counts of one reply.
fn doubt(variant: &Variant, catalog: &Catalog, reply: &ReplyFacts) -> Option<String> {
    // Tools of the provider bring in prompts of their own, and answer in several turns; a refusal before any output counts nothing.
    if cost::has_server_tools(&variant.params) || reply.stop_reason == StopReason::Refusal {
        return None;
    }
    let (prompt, output) = (reply.usage.prompt_tokens(), reply.usage.output_tokens);
    let window = catalog.find(&variant.model_id).map_or(LONGEST_PROMPT, |entry| entry.context_window);
    let most = variant.params.max_tokens.unwrap_or(u64::MAX);
    if output > most {
        Some(format!("{output} output tokens where `max_tokens` is {most}"))
    } else if prompt > window {
        Some(format!("{prompt} prompt tokens, and the model reads at most {window}"))
    } else if prompt == 0 {
        Some("no prompt tokens at all".to_owned())
    } else if output == 0 && !reply.text.is_empty() {
        Some(format!("no output tokens for {} bytes of text", reply.text.len()))
    } else {
        None
    }
}
