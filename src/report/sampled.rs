//! In which words are several samples told: how many passed, within which interval, at least one of k, all of k?

use crate::model::run::{Group, RunReport};
use crate::model::sampled::Sampled;
use crate::report::figures;

/// `2 of 3 samples pass (95 % interval 20.7–93.9 %)`.
pub(crate) fn line(sampled: &Sampled) -> String {
    match sampled.counts.samples {
        0 => "no sample has a verdict".to_owned(),
        1 => format!("{} of 1 sample passes (95 % interval {})", sampled.counts.passes, interval(sampled)),
        _ => format!("{} samples pass (95 % interval {})", passes(sampled), interval(sampled)),
    }
}

/// `57 of 60`.
pub(crate) fn passes(sampled: &Sampled) -> String {
    format!("{} of {}", figures::count(sampled.counts.passes.into()), figures::count(sampled.counts.samples.into()))
}

/// `95.0 %`.
pub(crate) fn rate(sampled: &Sampled) -> String {
    sampled.rate.map_or_else(|| "–".to_owned(), share)
}

/// `86.3–98.2 %`, rounded away from the rate: never narrower than it is.
pub(crate) fn interval(sampled: &Sampled) -> String {
    let outward = |value: f64, round: fn(f64) -> f64, slack: f64| round(value.clamp(0.0, 1.0) * 1000.0 + slack) / 10.0;
    let (low, high) = (outward(sampled.interval.low, f64::floor, 1e-9), outward(sampled.interval.high, f64::ceil, -1e-9));
    format!("{low:.1}–{high:.1} %")
}

/// `pass@3`.
pub(crate) fn any_title(sampled: &Sampled) -> String {
    format!("pass@{}", sampled.k)
}

/// `pass^3`.
pub(crate) fn all_title(sampled: &Sampled) -> String {
    format!("pass^{}", sampled.k)
}

/// A chance that may be unknown: `91.6 %`, never rounded up.
pub(crate) fn chance(chance: Option<f64>) -> String {
    chance.map_or_else(|| "–".to_owned(), share)
}

fn share(value: f64) -> String {
    format!("{:.1} %", (value.clamp(0.0, 1.0) * 1000.0 + 1e-9).floor().max(0.0) / 10.0)
}

/// The models, by suite, that have something to tell.
pub(crate) fn models(report: &RunReport) -> Vec<(&Group, &Sampled)> {
    report.models.iter().filter_map(|group| Some((group, group.sampled.as_ref()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::comparison::{Counts, Interval};

    #[test]
    fn an_interval_is_never_told_narrower_than_it_is() {
        let interval_of = |low, high| Sampled {
            counts: Counts::new(2, 3),
            rate: Some(2.0 / 3.0),
            interval: Interval { low, high },
            k: 3,
            pass_at_k: Some(1.0),
            all_of_k_pass: Some(0.0),
        };
        let told = interval_of(0.207_659, 0.938_508);
        assert_eq!(line(&told), "2 of 3 samples pass (95 % interval 20.7–93.9 %)");
        assert_eq!((rate(&told), chance(told.pass_at_k), chance(None)), ("66.6 %".to_owned(), "100.0 %".to_owned(), "–".to_owned()));
        assert_eq!(interval(&interval_of(0.0, 1.0)), "0.0–100.0 %");
        assert_eq!(line(&Sampled { counts: Counts::default(), rate: None, ..told }), "no sample has a verdict");
    }
}
