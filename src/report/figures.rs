//! How are amounts written for people: counts, shares, money, tokens, times?

use crate::model::money::Money;
use crate::model::run::Bill;

/// `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 cell`, `12,345 cells`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Tokens: exact below ten thousand, then `12.3k`, `4.5M`.
pub(crate) fn compact(number: u64) -> String {
    let tenths = |unit: u64, sign: char| format!("{}.{}{sign}", number / unit, number % unit / (unit / 10));
    match number {
        0..10_000 => count(number),
        10_000..1_000_000 => tenths(1_000, 'k'),
        1_000_000..1_000_000_000 => tenths(1_000_000, 'M'),
        _ => tenths(1_000_000_000, 'G'),
    }
}

/// A share in per cent with one decimal, rounded down: `99.9 %` is never shown as 100.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Dollars with as many decimals as the amount needs to say something: cents from one dollar on, else four to eight.
pub(crate) fn dollars(amount: Money) -> String {
    amount.display(decimals(amount))
}

fn decimals(amount: Money) -> u32 {
    match amount.pico().unsigned_abs() {
        0 => 2,
        1..1_000_000 => 8,
        1_000_000..1_000_000_000 => 6,
        1_000_000_000..1_000_000_000_000 => 4,
        _ => 2,
    }
}

/// `842 ms`, `1.2 s`, `2 min 05 s`, `3 h 07 min`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What the answers of a group are worth, paid now or earlier: comparable between runs, unlike what was spent today.
/// `$0.0123`, `$0.0123 sim`, `unpriced`, `$0.0123+` where something is not in the sum. Simulated money is marked and never added to real money.
pub(crate) fn worth(bill: &Bill, decimals: u32) -> String {
    let real = bill.spent_usd + bill.saved_by_store_usd;
    let incomplete = if bill.is_incomplete() { "+" } else { "" };
    match (real == Money::ZERO, bill.simulated_usd == Money::ZERO) {
        (true, true) if bill.unpriced_samples > 0 => "unpriced".to_owned(),
        (_, true) => format!("{}{incomplete}", real.display(decimals)),
        (true, false) => format!("{}{incomplete} sim", bill.simulated_usd.display(decimals)),
        (false, false) => format!("{}{incomplete}, {} sim", real.display(decimals), bill.simulated_usd.display(decimals)),
    }
}

/// Decimals for a column of [`worth`]: enough for its smallest amount, but not many more than its largest needs.
pub(crate) fn worth_decimals<'a>(bills: impl Iterator<Item = &'a Bill>) -> u32 {
    let amounts: Vec<Money> = bills
        .flat_map(|bill| [bill.spent_usd + bill.saved_by_store_usd, bill.simulated_usd])
        .filter(|amount| *amount != Money::ZERO)
        .collect();
    let needed = |amount: Option<&Money>| amount.map_or(2, |amount| decimals(*amount));
    needed(amounts.iter().min()).min(needed(amounts.iter().max()) + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_read_them() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "cell", "cells"), "1 cell");
        assert_eq!([compact(9_999), compact(12_345), compact(4_560_000)], ["9,999", "12.3k", "4.5M"]);
        assert_eq!(
            [duration(842), duration(1_250), duration(125_000), duration(11_220_000)],
            ["842 ms", "1.2 s", "2 min 05 s", "3 h 07 min"]
        );
    }

    #[test]
    fn a_share_that_is_not_whole_is_never_rounded_up_to_it() {
        assert_eq!(share(9_999, 10_000), "99.9 %");
        assert_eq!(share(20, 20), "100.0 %");
        assert_eq!(share(0, 0), "–");
    }

    #[test]
    fn small_money_keeps_the_digits_that_matter() {
        let shown = |text: &str| dollars(text.parse().unwrap());
        assert_eq!(
            ["0", "12.3456", "0.0123", "0.00004", "0.0000004"].map(shown),
            ["$0.00", "$12.35", "$0.0123", "$0.000040", "$0.00000040"]
        );
    }

    #[test]
    fn simulated_money_is_always_marked() {
        let bill = Bill { simulated_usd: "0.5".parse().unwrap(), ..Bill::default() };
        assert_eq!(worth(&bill, 4), "$0.5000 sim");
        let both = Bill { spent_usd: "1".parse().unwrap(), unpriced_samples: 2, ..bill.clone() };
        assert_eq!(worth(&both, 2), "$1.00+, $0.50 sim");
        assert_eq!(worth(&Bill { unpriced_samples: 1, ..Bill::default() }, 2), "unpriced");
        assert_eq!(worth_decimals([&bill, &both].into_iter()), 4);
    }
}
