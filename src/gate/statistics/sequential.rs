//! May one stop as soon as it is clear? Tests that hold at every case, and not only at the end.
//!
//! The gate does not use them: over forty cases a betting process found a loss everywhere in 3 to 7 of 100 runs where the fixed test found it
//! in 86. From about a hundred cases on they pay. The order of the cases has to be a seeded shuffle, and what is stopped early for another
//! reason has no verdict.

use super::distributions::{beta_share, ln_beta};

/// Wald's sequential probability ratio test between two rates. Wald 1945, Ann Math Stat 16:117.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioTest {
    /// `ln((1-β)/α)`: above it the second rate is taken.
    pub upper: f64,
    /// `ln(β/(1-α))`: below it the first.
    pub lower: f64,
    of_hit: f64,
    of_miss: f64,
}

/// What it says of the hits so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The first rate.
    First,
    /// The second rate.
    Second,
    /// Neither yet; at the end of what may be asked it is undecided.
    Neither,
}

impl RatioTest {
    /// Wrong for the first rate with probability `alpha`, for the second with `beta`.
    #[must_use]
    pub fn between(first: f64, second: f64, alpha: f64, beta: f64) -> Self {
        Self {
            upper: ((1.0 - beta) / alpha).ln(),
            lower: (beta / (1.0 - alpha)).ln(),
            of_hit: (second / first).ln(),
            of_miss: ((1.0 - second) / (1.0 - first)).ln(),
        }
    }

    /// The log likelihood ratio after each observation, up to the one that decides.
    #[must_use]
    pub fn hear(&self, hits: impl IntoIterator<Item = bool>) -> (Vec<f64>, Heard) {
        let (mut path, mut ratio) = (Vec::new(), 0.0);
        for hit in hits {
            ratio += if hit { self.of_hit } else { self.of_miss };
            path.push(ratio);
            if ratio >= self.upper {
                return (path, Heard::Second);
            }
            if ratio <= self.lower {
                return (path, Heard::First);
            }
        }
        (path, Heard::Neither)
    }
}

/// Evidence that more cases changed for the worse than for the better, from those that changed: its mean is 1 where nothing did, however
/// often one looks, so that `1/alpha` is reached with probability alpha at the most.
///
/// `2 · 2^(w+l) · B(w+1, l+1) · I_½(l+1, w+1)`: the likelihood ratio, averaged over all rates from a half to one.
#[must_use]
pub fn evidence_of_worse(regressed: u32, improved: u32) -> f64 {
    let (worse, better) = (f64::from(regressed) + 1.0, f64::from(improved) + 1.0);
    2.0 * evidence_of_change(regressed, improved) * beta_share(0.5, better, worse)
}

/// The same for a change either way: `2^(w+l) · B(w+1, l+1)`.
#[must_use]
pub fn evidence_of_change(regressed: u32, improved: u32) -> f64 {
    let (worse, better) = (f64::from(regressed) + 1.0, f64::from(improved) + 1.0);
    ((worse + better - 2.0) * std::f64::consts::LN_2 + ln_beta(worse, better)).exp()
}

/// What evidence comes to as a p that holds at any time: `min(1, 1/E)`.
#[must_use]
pub fn p_of_evidence(evidence: f64) -> f64 {
    if evidence > 1.0 { 1.0 / evidence } else { 1.0 }
}

/// A fortune that is bet on every difference being below 0: `Π (1 - λ d)`, after each. With a margin it is bet on `d > -margin`:
/// `Π (1 + λ (d + margin))`. Waudby-Smith, Ramdas 2024, JRSS B 86:1, arXiv 2010.09686. The stake is held within 0 and 1.
#[must_use]
pub fn fortune(differences: &[f64], stake: f64, margin: Option<f64>) -> Vec<f64> {
    let stake = if stake.is_nan() { 0.0 } else { stake.clamp(0.0, 1.0) };
    let mut fortune = 1.0;
    let after = |difference: &f64| {
        fortune *= margin.map_or(1.0 - stake * difference, |margin| 1.0 + stake * (difference + margin)).max(0.0);
        fortune
    };
    differences.iter().map(after).collect()
}

/// The mean of the final fortunes of several stakes, none of which need be the right one.
#[must_use]
pub fn mixed_fortune(differences: &[f64], stakes: &[f64]) -> f64 {
    let last = |stake: &f64| fortune(differences, *stake, None).last().copied().unwrap_or(1.0);
    if stakes.is_empty() { 1.0 } else { stakes.iter().map(last).sum::<f64>() / stakes.len() as f64 }
}
