//! How far do two judges agree, beyond what chance makes of it, and in which order do differences stand?

use super::sign_flip::{self, Unit};

/// Cohen's kappa of a square table, rows the one judge's verdicts, columns the other's: `(p - pₑ)/(1 - pₑ)`. 1 is agreement in all, 0 what
/// chance would give. `None` for a table that is not square, is empty, or where chance alone agrees in all. Cohen 1960, Educ Psychol Meas 20:37.
#[must_use]
pub fn kappa(table: &[Vec<u32>]) -> Option<f64> {
    if table.iter().any(|row| row.len() != table.len()) {
        return None;
    }
    let all: f64 = table.iter().flatten().map(|count| f64::from(*count)).sum();
    let row = |index: usize| table[index].iter().map(|count| f64::from(*count)).sum::<f64>();
    let column = |index: usize| table.iter().map(|row| f64::from(row[index])).sum::<f64>();
    let agreed = (0..table.len()).map(|index| f64::from(table[index][index])).sum::<f64>() / all;
    let by_chance = (0..table.len()).map(|index| row(index) * column(index)).sum::<f64>() / (all * all);
    (all > 0.0 && by_chance < 1.0).then(|| (agreed - by_chance) / (1.0 - by_chance))
}

/// Wilcoxon's signed ranks: the smaller of both sums of ranks, and the exact two-sided p. Equal sizes share their ranks; what is 0, or no
/// number, is left out. Wilcoxon 1945, Biometrics Bull 1:80.
///
/// It is the sign-flip test of the ranks, and the gate uses that of the differences: a score's size means something.
#[must_use]
pub fn signed_ranks(differences: &[f64]) -> (f64, f64) {
    let mut moved: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0 && !difference.is_nan()).collect();
    moved.sort_by(|one, other| one.abs().total_cmp(&other.abs()));
    // Twice the rank, which is whole where two share one.
    let twice = |size: f64| {
        let below = moved.iter().filter(|other| other.abs() < size).count();
        let at = moved.iter().filter(|other| other.abs() == size).count();
        i64::try_from(2 * below + at + 1).unwrap_or(i64::MAX)
    };
    let ranks: Vec<i64> =
        moved.iter().map(|difference| if *difference < 0.0 { -twice(difference.abs()) } else { twice(difference.abs()) }).collect();
    let sum = |sign: i64| ranks.iter().filter(|rank| rank.signum() == sign).map(|rank| rank.abs() as f64).sum::<f64>() / 2.0;
    let units: Vec<Unit> = ranks.iter().copied().map(Unit::flipped).collect();
    (sum(1).min(sum(-1)), sign_flip::two_sided(&units))
}
