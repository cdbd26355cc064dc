//! Do the values at a JSONPath do what was asserted of them?

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Number, Value};

use crate::assertion::path::Path;
use crate::assertion::pattern::Pattern;
use crate::assertion::{Finding, Subject, excerpt, json};
use crate::diff::{json_diff, json_equal, text_diff};
use crate::model::verdict::{Diff, Failure};

/// Values that one failure shows.
const MOST_SHOWN: usize = 5;

/// Changes that the difference of one failure holds.
const MOST_CHANGES: usize = 100;

/// `json_path`: every check holds for every value at the path, and there is at least one.
#[derive(Debug)]
pub(super) struct PathCheck {
    pub(super) path: Arc<Path>,
    pub(super) shown: Arc<str>,
    pub(super) checks: Vec<ValueCheck>,
    /// The path must lead to nothing.
    pub(super) absent: bool,
}

/// One check of one value.
#[derive(Debug)]
pub(super) enum ValueCheck {
    Equals(Value),
    Matches(Arc<Pattern>, Arc<str>),
    MinLength(u64),
    MaxLength(u64),
    Min(Number),
    Max(Number),
}

/// What a check found of one value.
enum ValueFinding {
    Holds,
    Differs,
    /// The value is of a kind that cannot be compared.
    OtherKind(&'static str),
    Unknown(String),
}

impl PathCheck {
    pub(super) fn find(&self, subject: &Subject<'_>) -> Finding {
        let json = match subject.json() {
            Ok(json) => json,
            Err(_) => return Finding::Unreachable(json::no_json(subject, &self.expected(false))),
        };
        if self.path.by_digits
            && let Some(why) = subject.inexact()
        {
            return Finding::Unknown(why);
        }
        let values = match self.path.values(json, subject) {
            Ok(values) => values,
            Err(message) => return Finding::Unknown(message),
        };
        if self.absent {
            return Finding::of(values.is_empty());
        }
        if values.is_empty() {
            return if self.checks.is_empty() { Finding::Differs } else { Finding::Unreachable(self.nothing_there(subject)) };
        }
        let mut finding = Finding::Holds;
        for value in values.iter() {
            for check in &self.checks {
                match check.find(value, subject) {
                    ValueFinding::Holds => {}
                    ValueFinding::Differs => finding = Finding::Differs,
                    ValueFinding::OtherKind(kind) => return Finding::Unreachable(self.other_kind(json, subject, check, kind)),
                    ValueFinding::Unknown(message) => return Finding::Unknown(message),
                }
            }
        }
        finding
    }

    pub(super) fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        let Ok(json) = subject.json() else { return json::no_json(subject, &self.expected(negated)) };
        let nodes = self.path.located(json, subject);
        if nodes.is_empty() {
            return Failure { expected: self.expected(negated), ..self.nothing_there(subject) };
        }
        let wrong = |value: &Value| self.checks.iter().any(|check| matches!(check.find(value, subject), ValueFinding::Differs));
        let interesting: Vec<_> =
            nodes.iter().filter(|(_, value)| negated || self.absent || self.checks.is_empty() || wrong(value)).collect();
        let mut got: Vec<_> =
            interesting.iter().take(MOST_SHOWN).map(|(path, value)| format!("{path} is {}", self.describe(value))).collect();
        if interesting.len() > MOST_SHOWN {
            got.push(format!("and {} more", interesting.len() - MOST_SHOWN));
        }
        let expected_value = self.checks.iter().find_map(|check| if let ValueCheck::Equals(value) = check { Some(value) } else { None });
        let diff = match (expected_value, interesting.first()) {
            (Some(expected), Some((_, value))) if !negated => difference(expected, value, &mut got),
            _ => None,
        };
        Failure { expected: self.expected(negated), got: got.join("\n"), diff }
    }

    fn expected(&self, negated: bool) -> String {
        let path = excerpt::quoted(&self.shown);
        if self.absent || self.checks.is_empty() {
            return format!("{} at {path}", if self.absent == negated { "a value" } else { "nothing" });
        }
        let mut checks = Vec::new();
        for check in &self.checks {
            match (check, checks.last_mut()) {
                (ValueCheck::MaxLength(most), Some(last))
                    if self.checks.iter().any(|other| matches!(other, ValueCheck::MinLength(least) if least == most)) =>
                {
                    *last = format!("has a length of {}", excerpt::thousands(*most));
                }
                _ => checks.push(check.describe()),
            }
        }
        let checks = checks.join(" and ");
        if negated { format!("not every value at {path} {checks}") } else { format!("every value at {path} {checks}") }
    }

    /// A value, with the length where lengths are asked for.
    fn describe(&self, value: &Value) -> String {
        let asks_for_length = self.checks.iter().any(|check| matches!(check, ValueCheck::MinLength(_) | ValueCheck::MaxLength(_)));
        match length(value).filter(|_| asks_for_length) {
            Some(length) => format!("{} (length {})", excerpt::value(value), excerpt::thousands(length)),
            None => excerpt::value(value),
        }
    }

    fn nothing_there(&self, subject: &Subject<'_>) -> Failure {
        let json = subject.json().map_or_else(|_| String::new(), excerpt::value);
        Failure { expected: self.expected(false), got: format!("nothing at {} in {json}", excerpt::quoted(&self.shown)), diff: None }
    }

    fn other_kind(&self, json: &Value, subject: &Subject<'_>, check: &ValueCheck, kind: &str) -> Failure {
        let located = self.path.located(json, subject);
        let wrong = located.iter().find(|(_, value)| check.needs(value).is_some());
        let got = wrong.map_or_else(String::new, |(path, value)| format!("{path} is {}, which is not {kind}", excerpt::value(value)));
        Failure { expected: self.expected(false), got, diff: None }
    }
}

impl ValueCheck {
    fn find(&self, value: &Value, subject: &Subject<'_>) -> ValueFinding {
        if let Some(kind) = self.needs(value) {
            return ValueFinding::OtherKind(kind);
        }
        let holds = match (self, value) {
            (Self::Equals(expected), value) => {
                let equal = json_equal(expected, value);
                if equal
                    && has_huge_number(value)
                    && let Some(why) = subject.inexact()
                {
                    return ValueFinding::Unknown(why);
                }
                equal
            }
            (Self::Matches(pattern, _), Value::String(text)) => match pattern.is_match(text) {
                Ok(matches) => matches,
                Err(message) => return ValueFinding::Unknown(message),
            },
            (Self::MinLength(least), value) => length(value).is_some_and(|length| length >= *least),
            (Self::MaxLength(most), value) => length(value).is_some_and(|length| length <= *most),
            (Self::Min(bound) | Self::Max(bound), Value::Number(number)) => {
                let order = order(number, bound);
                // Rounding turns no order around, but may make two numbers one.
                if order.is_eq()
                    && is_huge(number)
                    && let Some(why) = subject.inexact()
                {
                    return ValueFinding::Unknown(why);
                }
                if matches!(self, Self::Min(_)) { order.is_ge() } else { order.is_le() }
            }
            (Self::Matches(..) | Self::Min(_) | Self::Max(_), _) => false,
        };
        if holds { ValueFinding::Holds } else { ValueFinding::Differs }
    }

    /// The kind of value that it can be asked of, where `value` is of another one.
    fn needs(&self, value: &Value) -> Option<&'static str> {
        match self {
            Self::Equals(_) => None,
            Self::Matches(..) => (!value.is_string()).then_some("a string"),
            Self::MinLength(_) | Self::MaxLength(_) => length(value).is_none().then_some("a string, an array or an object"),
            Self::Min(_) | Self::Max(_) => (!value.is_number()).then_some("a number"),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Equals(value) => format!("equals {}", excerpt::value(value)),
            Self::Matches(_, shown) => format!("matches the regex {}", excerpt::quoted(shown)),
            Self::MinLength(least) => format!("has a length of at least {}", excerpt::thousands(*least)),
            Self::MaxLength(most) => format!("has a length of at most {}", excerpt::thousands(*most)),
            Self::Min(least) => format!("is at least {least}"),
            Self::Max(most) => format!("is at most {most}"),
        }
    }
}

/// Characters of a string, items of an array, members of an object.
fn length(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => Some(excerpt::count(text.chars())),
        Value::Array(items) => Some(excerpt::count(items.iter())),
        Value::Object(members) => Some(excerpt::count(members.iter())),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Numbers by value; integers are never rounded.
pub(super) fn order(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => integer_and_float(a, b.as_f64().unwrap_or(f64::NAN)),
        (None, Some(b)) => integer_and_float(b, a.as_f64().unwrap_or(f64::NAN)).reverse(),
        (None, None) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn integer_and_float(integer: i128, float: f64) -> Ordering {
    // A cast of a float to an integer cuts the fraction off and stops at the ends of the range, which no JSON integer reaches.
    let whole = float.trunc() as i128;
    integer.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal))
}

/// As large as an integer that is kept rounded.
pub(super) fn is_huge(number: &Number) -> bool {
    number.as_f64().is_some_and(|float| float.abs() >= HUGE)
}

/// A little less than what 64 bits hold.
pub(super) const HUGE: f64 = 9.2e18;

fn has_huge_number(value: &Value) -> bool {
    match value {
        Value::Number(number) => is_huge(number),
        Value::Array(items) => items.iter().any(has_huge_number),
        Value::Object(members) => members.values().any(has_huge_number),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// The difference where the two values are more than a word each; what is left out is said in `got`.
fn difference(expected: &Value, value: &Value, got: &mut Vec<String>) -> Option<Diff> {
    match (expected, value) {
        (Value::String(expected), Value::String(value)) => {
            (expected.len().max(value.len()) > 80 || expected.contains('\n')).then(|| Diff::Text(text_diff(expected, value)))
        }
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => {
            let mut changes = json_diff(expected, value);
            if changes.len() > MOST_CHANGES {
                got.push(format!("the first {MOST_CHANGES} of {} differences are shown", changes.len()));
                changes.truncate(MOST_CHANGES);
            }
            Some(Diff::Json(changes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_ordered_by_value_without_rounding() {
        let ascending = [
            "-1e300",
            "-2.5",
            "-2",
            "-0.5",
            "0",
            "0.1",
            "1",
            "1.5",
            "9007199254740992",
            "9007199254740993",
            "18446744073709551615",
            "1e20",
            "1e300",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(order(&number(a), &number(b)), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(order(&number("1"), &number("1.0")), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn order_is_antisymmetric(a in any::<f64>().prop_filter("finite", |f| f.is_finite()), b in any::<i64>()) {
            let (a, b) = (Number::from_f64(a).unwrap(), Number::from(b));
            prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
        }
    }
}
