//! What do several samples say of a cell, and of many cells together?

use crate::gate::statistics::{proportion, sampling};
use crate::model::comparison::Counts;
use crate::model::run::CellResult;
use crate::model::sampled::Sampled;
use crate::model::verdict::Verdict;

/// Of the intervals that are shown.
const CONFIDENCE: f64 = 0.95;

/// The samples of one cell: how many were wanted, and what came of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samples {
    wanted: u32,
    counts: Counts,
}

impl Samples {
    pub(super) fn of(cell: &CellResult) -> Self {
        let count = |verdict| cell.samples.iter().filter(|sample| sample.verdict == verdict).count();
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let (passes, failures) = (count(Verdict::Pass), count(Verdict::Fail));
        Self { wanted: number(cell.samples.len()), counts: Counts::new(number(passes), number(passes + failures)) }
    }
}

/// Of one cell; `None` where it has one sample.
#[must_use]
pub fn of_cell(cell: &CellResult) -> Option<Sampled> {
    of_cells(&[Samples::of(cell)])
}

/// Of the cells of a group; `None` where no cell has several samples.
pub(super) fn of_cells(cells: &[Samples]) -> Option<Sampled> {
    let k = cells.iter().map(|cell| cell.wanted).filter(|wanted| *wanted > 1).min()?;
    let judged: Vec<Counts> = cells.iter().map(|cell| cell.counts).filter(|counts| counts.samples > 0).collect();
    let sum = |of: fn(&Counts) -> u32| judged.iter().map(of).fold(0, u32::saturating_add);
    let counts = Counts::new(sum(|counts| counts.passes), sum(|counts| counts.samples));
    let (rate, interval) = match sampling::mean_rate(&judged, CONFIDENCE) {
        Some((rate, interval)) => (Some(rate), interval),
        None => (None, proportion::wilson(Counts::default(), CONFIDENCE)),
    };
    let mean = |chance: fn(u32, Counts) -> Option<f64>| {
        let chances: Vec<f64> = judged.iter().filter_map(|counts| chance(k, *counts)).collect();
        (!chances.is_empty()).then(|| chances.iter().sum::<f64>() / chances.len() as f64)
    };
    Some(Sampled { counts, rate, interval, k, pass_at_k: mean(sampling::pass_at), all_of_k_pass: mean(sampling::all_pass) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::testing;

    fn cell(verdicts: &str) -> CellResult {
        let mut cell = testing::cell("case", Verdict::Pass);
        let sample = cell.samples[0].clone();
        let verdict = |letter| match letter {
            'p' => Verdict::Pass,
            'f' => Verdict::Fail,
            _ => Verdict::Error,
        };
        cell.samples =
            verdicts.chars().map(|letter| crate::model::run::SampleResult { verdict: verdict(letter), ..sample.clone() }).collect();
        cell
    }

    fn of(cells: &[&str]) -> Option<Sampled> {
        of_cells(&cells.iter().map(|verdicts| Samples::of(&cell(verdicts))).collect::<Vec<_>>())
    }

    #[test]
    fn one_sample_says_nothing_more_than_its_verdict() {
        assert_eq!(of_cell(&cell("p")), None);
        assert_eq!(of(&["p", "f"]), None);
    }

    #[test]
    fn a_cell_has_the_interval_of_its_samples() {
        let told = of_cell(&cell("ppf")).unwrap();
        assert_eq!((told.counts, told.k), (Counts::new(2, 3), 3));
        assert_eq!(told.interval, proportion::wilson(Counts::new(2, 3), 0.95));
        assert_eq!((told.pass_at_k, told.all_of_k_pass), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn an_error_is_missing_data_and_no_failure() {
        let told = of_cell(&cell("pep")).unwrap();
        assert_eq!((told.counts, told.rate), (Counts::new(2, 2), Some(1.0)));
        assert_eq!((told.pass_at_k, told.all_of_k_pass), (None, None), "three of three cannot be told from two");
        let none = of_cell(&cell("eee")).unwrap();
        assert_eq!((none.rate, none.interval.low, none.interval.high), (None, 0.0, 1.0));
    }

    #[test]
    fn cells_count_once_each_and_their_fewest_samples_are_k() {
        let told = of(&["pp", "ppff", "ff", "p"]).unwrap();
        assert_eq!((told.counts, told.k), (Counts::new(5, 9), 2));
        assert!((told.rate.unwrap() - 2.5 / 4.0).abs() < 1e-12, "{told:?}");
        // pp: 1, ppff: 1 - 1/6, ff: 0; the cell of one sample says nothing of two.
        assert!((told.pass_at_k.unwrap() - (1.0 + 5.0 / 6.0) / 3.0).abs() < 1e-12, "{told:?}");
        assert!((told.all_of_k_pass.unwrap() - (1.0 + 1.0 / 6.0) / 3.0).abs() < 1e-12, "{told:?}");
    }
}
