//! What does a hint of a run say, with its figures?

use crate::model::right_size::RightSize;
use crate::report::{figures, visible};

/// Most hints that a report for people shows.
pub(super) const MOST: usize = 10;

/// One line; the names in it are safe to show.
pub(super) fn line(hint: &RightSize) -> String {
    let name = |text: &String| visible::name(text);
    match hint {
        RightSize::MaxTokens { suite, model, max_tokens, longest, answers } => format!(
            "{}, {}: `max_tokens` is {}, and the longest of {} answers has {} tokens; a smaller one costs the same, bounds what a runaway answer \
             can cost, and lets more requests fit under `--max-cost`",
            name(suite),
            name(model),
            figures::count(*max_tokens),
            figures::count(*answers),
            figures::count(*longest)
        ),
        RightSize::BelowCacheMinimum { suite, prompt, model, tokens, minimum, requests, saving_usd } => format!(
            "{}, {}, {}: its requests share about {} tokens, and the prompt cache keeps {} or more; with as many, {} requests would have cost \
             about {} less",
            name(suite),
            name(prompt),
            name(model),
            figures::count(*tokens),
            figures::count(*minimum),
            figures::count(*requests),
            figures::dollars(*saving_usd)
        ),
        RightSize::CheaperModel { suite, model, cheaper, cells, passed, usd, cheaper_usd } => format!(
            "{}: {} passes all {} cells for {}, {} passes {} of them for {} (plain rates); up to {} of such cells may still fail with it (95 %)",
            name(suite),
            name(cheaper),
            figures::count(*cells),
            figures::dollars(*cheaper_usd),
            name(model),
            figures::count(*passed),
            figures::dollars(*usd),
            may_fail(*cells)
        ),
        RightSize::NeverHit { suite, prompt, model, requests, written_tokens, lost_usd } => format!(
            "{}, {}, {}: {} requests wrote {} tokens to the prompt cache and none read any, which cost {} more than without it; look at what \
             differs at the beginning of the prompt, or write `cache: off`",
            name(suite),
            name(prompt),
            name(model),
            figures::count(*requests),
            figures::count(*written_tokens),
            figures::dollars(*lost_usd)
        ),
    }
}

/// The share of failures that so many passes without one leave possible: `11.8 %`.
fn may_fail(cells: u64) -> String {
    let share = 1.0 - 0.05_f64.powf(1.0 / cells.max(1) as f64);
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_leave_room_for_failures() {
        // The exact upper limit without a failure: 1 - 0.05^(1/n).
        assert_eq!([may_fail(1), may_fail(20), may_fail(100)], ["95.0 %", "13.9 %", "3.0 %"]);
    }
}
