//! How much is it, exactly? Pico-dollars in an integer; `f64` never touches a price.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pico-dollars in one dollar: 10^12. One dollar per million tokens is 1,000,000 of them per token.
const PICO: i128 = 1_000_000_000_000;

/// Most digits of whole dollars that are read: whatever is written is read again, and nothing that is read overflows.
const WHOLE_DIGITS: usize = 26;

/// An exact amount of US dollars, kept in pico-dollars (1e-12 USD).
///
/// Prices are dollars per million tokens with at most four decimals, so one token costs a multiple of 100
/// pico-dollars; every multiplier of the API (x0.5, x1.1, x1.25) then stays an integer.
/// In JSON it is a decimal string of dollars (`"0.00001234"`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

impl Money {
    /// No money at all.
    pub const ZERO: Self = Self(0);

    /// Nothing.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// From pico-dollars.
    #[must_use]
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// In pico-dollars.
    #[must_use]
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// This amount `count` times; saturates instead of wrapping.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count as i128))
    }

    /// This amount multiplied by the fraction `numerator / denominator`, rounded up to a whole pico-dollar.
    /// The price table is chosen so that the division is exact; rounding up only guards overridden prices.
    #[must_use]
    pub const fn scaled(self, numerator: i128, denominator: i128) -> Self {
        let product = self.0.saturating_mul(numerator);
        let quotient = product.div_euclid(denominator);
        Self(if product.rem_euclid(denominator) == 0 { quotient } else { quotient + 1 })
    }

    /// Rounded half up to `decimals` places of a dollar (0 to 12), with a dollar sign: `$0.0123`.
    #[must_use]
    pub fn display(self, decimals: u32) -> String {
        let decimals = decimals.min(12);
        let unit = 10_u128.pow(12 - decimals);
        let rounded = (self.0.unsigned_abs() + unit / 2) / unit;
        let scale = 10_u128.pow(decimals);
        let sign = if self.0 < 0 && rounded != 0 { "-" } else { "" };
        if decimals == 0 {
            return format!("{sign}${rounded}");
        }
        let (whole, part) = (rounded / scale, rounded % scale);
        format!("{sign}${whole}.{part:0width$}", width = decimals as usize)
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// The exact decimal, without a sign of currency and without trailing zeros beyond cents: `0.5` is `0.50`.
impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, part) = (magnitude / PICO as u128, magnitude % PICO as u128);
        let digits = format!("{part:012}");
        let kept = digits.trim_end_matches('0').len().max(2);
        write!(formatter, "{sign}{whole}.{}", &digits[..kept])
    }
}

/// Why a text is no amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount of dollars: write digits with at most twelve decimals, such as 0.25")]
pub struct NotMoney(String);

impl FromStr for Money {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let not_money = || NotMoney(text.chars().take(40).collect());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling = unsigned.ends_with('.') || whole.is_empty();
        if dangling || part.len() > 12 || whole.len() > WHOLE_DIGITS || !digits_only(whole) || !digits_only(part) {
            return Err(not_money());
        }
        let whole: i128 = whole.parse().map_err(|_| not_money())?;
        let part: i128 = format!("{part:0<12}").parse().map_err(|_| not_money())?;
        let magnitude = whole * PICO + part;
        Ok(Self(if text.starts_with('-') { -magnitude } else { magnitude }))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]{1,26}(\\.[0-9]{1,12})?$",
            "description": "US dollars as an exact decimal"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_amount_reads_back_as_the_digits_that_were_written() {
        for (written, shown) in [
            ("0", "0.00"),
            ("0.5", "0.50"),
            ("3", "3.00"),
            ("0.000000000001", "0.000000000001"),
            ("-1.25", "-1.25"),
            ("12.3456", "12.3456"),
        ] {
            assert_eq!(written.parse::<Money>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for text in ["", ".", "1.", ".5", "1e3", "+1", "1,5", "0.0000000000001", "$1", "NaN", "--1", "1 ", "999999999999999999999999999"] {
            assert!(text.parse::<Money>().is_err(), "{text:?} was read as money");
        }
    }

    #[test]
    fn display_rounds_half_up_and_never_shows_minus_zero() {
        let cent_and_a_half: Money = "0.015".parse().unwrap();
        assert_eq!(cent_and_a_half.display(2), "$0.02");
        assert_eq!(cent_and_a_half.display(4), "$0.0150");
        assert_eq!(Money::from_pico(-1).display(2), "$0.00");
        assert_eq!("1.5".parse::<Money>().unwrap().display(0), "$2");
        assert!(Money::from_pico(i128::MIN).display(2).starts_with("-$17014118346046923"));
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_text(pico in -10_i128.pow(38)..10_i128.pow(38)) {
            let money = Money::from_pico(pico);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }

        #[test]
        fn whatever_text_is_read_is_written_as_the_same_amount(text in "-?[0-9]{0,27}(\\.[0-9]{0,13})?") {
            if let Ok(money) = text.parse::<Money>() {
                prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
                prop_assert_eq!(serde_json::from_str::<Money>(&serde_json::to_string(&money).unwrap()).unwrap(), money);
                // The digits that were written, zeros at both ends apart: nothing is rounded.
                let digits = |text: &str| text.replace('.', "").trim_matches(['-', '0']).to_owned();
                prop_assert_eq!(digits(&money.to_string()), digits(&text));
            }
        }

        #[test]
        fn a_sum_does_not_depend_on_who_is_added_first(amounts in prop::collection::vec(-10_i128.pow(36)..10_i128.pow(36), 0..12), at: prop::sample::Index) {
            let amounts: Vec<Money> = amounts.into_iter().map(Money::from_pico).collect();
            let whole: Money = amounts.iter().copied().sum();
            let (left, right) = amounts.split_at(at.index(amounts.len() + 1));
            prop_assert_eq!(left.iter().copied().sum::<Money>() + right.iter().copied().sum::<Money>(), whole);
            prop_assert_eq!(amounts.iter().rev().copied().sum::<Money>(), whole);
            prop_assert_eq!(whole.pico(), amounts.iter().map(|amount| amount.pico()).sum::<i128>());
        }

        #[test]
        fn no_arithmetic_wraps_around(one: i128, other: i128, count: u64, numerator in 1_i128..50, denominator in 1_i128..50) {
            let (one, other) = (Money::from_pico(one), Money::from_pico(other));
            prop_assert_eq!((one + other) >= one, other >= Money::ZERO);
            prop_assert_eq!((one - other) <= one, other >= Money::ZERO || one.pico() == i128::MAX);
            prop_assert!(one < Money::ZERO || (one.times(count) >= Money::ZERO && one.scaled(numerator, denominator) >= Money::ZERO));
            let _ = (one.display(4), one.to_string());
        }

        #[test]
        fn scaling_by_a_fraction_never_undercharges(pico in 0..10_i128.pow(20), numerator in 1_i128..50, denominator in 1_i128..50) {
            let scaled = Money::from_pico(pico).scaled(numerator, denominator).pico();
            prop_assert!(scaled * denominator >= pico * numerator);
            prop_assert!((scaled - 1) * denominator < pico * numerator || pico == 0);
        }
    }
}
