//! How do a cell's samples make its verdict?

use crate::model::run::SampleResult;
use crate::model::suite::PassRule;
use crate::model::verdict::Verdict;

/// The verdict of a cell: decided as soon as the missing samples cannot change it, otherwise missing.
#[must_use]
pub fn verdict(samples: &[SampleResult], rule: PassRule) -> Verdict {
    let total = samples.len() as u64;
    let count = |verdict: Verdict| samples.iter().filter(|sample| sample.verdict == verdict).count() as u64;
    let (passed, errored, skipped) = (count(Verdict::Pass), count(Verdict::Error), count(Verdict::Skipped));
    let needed = needed(total, rule);
    if total > 0 && passed >= needed {
        Verdict::Pass
    } else if passed + errored + skipped < needed {
        Verdict::Fail
    } else if errored > 0 {
        Verdict::Error
    } else {
        Verdict::Skipped
    }
}

/// How many of `total` samples must pass. A missing sample under `all` is a missing verdict, never a pass.
#[must_use]
pub fn needed(total: u64, rule: PassRule) -> u64 {
    match rule {
        PassRule::All => total,
        PassRule::AtLeast(count) => u64::from(count),
        // 1e-9 keeps 0.7 of 10 at 7: 0.7 * 10.0 is a hair above.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count lies between 0 and the count")]
        PassRule::Rate(rate) => (rate * total as f64 - 1e-9).ceil().max(0.0) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(verdicts: &str) -> Vec<SampleResult> {
        let verdict = |letter| match letter {
            'p' => Verdict::Pass,
            'f' => Verdict::Fail,
            'e' => Verdict::Error,
            _ => Verdict::Skipped,
        };
        let sample = |(index, letter)| SampleResult {
            index: index as u32,
            key: String::new(),
            verdict: verdict(letter),
            reply: None,
            assertions: Vec::new(),
            error: None,
            skipped: None,
        };
        verdicts.chars().enumerate().map(sample).collect()
    }

    #[test]
    fn a_cell_is_decided_only_where_the_missing_samples_cannot_change_it() {
        for (letters, rule, expected) in [
            ("ppp", PassRule::All, Verdict::Pass),
            ("ppf", PassRule::All, Verdict::Fail),
            ("pef", PassRule::All, Verdict::Fail),
            ("ppe", PassRule::All, Verdict::Error),
            ("pps", PassRule::All, Verdict::Skipped),
            ("pes", PassRule::All, Verdict::Error),
            ("", PassRule::All, Verdict::Skipped),
            ("ppf", PassRule::AtLeast(2), Verdict::Pass),
            ("ppe", PassRule::AtLeast(2), Verdict::Pass),
            ("pfe", PassRule::AtLeast(2), Verdict::Error),
            ("ffe", PassRule::AtLeast(2), Verdict::Fail),
            ("pppppppfff", PassRule::Rate(0.7), Verdict::Pass),
            ("ppppppffff", PassRule::Rate(0.7), Verdict::Fail),
            ("ppppppfffs", PassRule::Rate(0.7), Verdict::Skipped),
        ] {
            assert_eq!(verdict(&samples(letters), rule), expected, "{letters} under {rule:?}");
        }
    }
}
