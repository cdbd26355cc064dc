//! How is a JSON output laid out for review without changing what the model spelled?
//!
//! Printing a parsed value would rewrite numbers (`1e2`, `1.0`, 25 digits), drop duplicate keys and unescape strings, so the text's
//! own tokens are laid out anew: two spaces a level, one member a line.

use serde_json::{Number, Value};

/// Levels that a file may be wider than its output: a pathological nesting would otherwise grow to hundreds of times its size.
const MAX_GROWTH: usize = 16;

/// A JSON document laid out for review; `None` where `text` is not JSON, or deeper than a person or serde_json reads.
pub(super) fn pretty(text: &str) -> Option<String> {
    serde_json::from_str::<Value>(text).ok()?;
    let limit = text.len().saturating_mul(MAX_GROWTH).saturating_add(4096);
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut tokens = Tokens { rest: text }.peekable();
    while let Some(token) = tokens.next() {
        match token {
            "{" | "[" => {
                out.push_str(token);
                if tokens.peek().is_some_and(|next| matches!(*next, "}" | "]")) {
                    out.push_str(tokens.next().unwrap_or_default());
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push_str(token);
            }
            "," => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ":" => out.push_str(": "),
            other => out.push_str(other),
        }
        if out.len() > limit {
            return None;
        }
    }
    Some(out)
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// The value of a JSON document, for comparing; `None` where `text` is not JSON, or has a key twice in one object: which of the two
/// counts nobody can know, so the assertions take it for no JSON either.
///
/// A number that serde_json would round becomes a text of all its digits: two outputs that differ in the 20th digit differ. A text
/// that ends as such a number does is marked as a text, so that the two are never taken for one another.
pub(super) fn value(text: &str) -> Option<Value> {
    let mut value = serde_json::from_str::<Value>(text).ok()?;
    if (Tokens { rest: text }).filter(|token| *token == ":").count() != members(&value) {
        return None;
    }
    // Without repeated keys the values stand in the order of their tokens.
    exact(&mut value, &mut Tokens { rest: text }.filter(|token| is_number(token)));
    Some(value)
}

/// Behind the digits of a number that is kept as a text.
const NUMBER: &str = " (exact number)";

/// Behind a text that ends in one of these two marks.
const TEXT: &str = " (text)";

fn exact<'a>(value: &mut Value, numbers: &mut impl Iterator<Item = &'a str>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(_) => {
            if let Some(digits) = numbers.next().and_then(rounded) {
                *value = Value::from(digits + NUMBER);
            }
        }
        Value::String(text) => {
            if text.ends_with(NUMBER) || text.ends_with(TEXT) {
                text.push_str(TEXT);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| exact(item, numbers)),
        Value::Object(members) => members.values_mut().for_each(|member| exact(member, numbers)),
    }
}

/// Members of all objects in a value.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn is_number(token: &str) -> bool {
    token.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// All digits of a number that serde_json reads as another one.
fn rounded(token: &str) -> Option<String> {
    let exact = decimal(token);
    let read = serde_json::from_str::<Number>(token).ok().map(|number| decimal(&number.to_string()));
    (read.as_ref() != Some(&exact)).then_some(exact)
}

/// One spelling for each decimal number: sign, digits without zeros at either end, exponent.
fn decimal(token: &str) -> String {
    let (sign, unsigned) = token.strip_prefix('-').map_or(("", token), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.trim_start_matches('0');
    let significant = leading.trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let Ok(exponent) = exponent.parse::<i64>() else {
        return token.to_owned();
    };
    let zeros = i64::try_from(leading.len() - significant.len()).unwrap_or(i64::MAX);
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    match exponent.saturating_sub(places).saturating_add(zeros) {
        0 => format!("{sign}{significant}"),
        shift => format!("{sign}{significant}e{shift}"),
    }
}

/// The tokens of a document that is known to be JSON, as they are spelled, white space left out.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_ascii_start();
        let bytes = rest.as_bytes();
        let length = match bytes.first()? {
            b'"' => string_length(bytes),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => bytes.iter().position(|byte| byte.is_ascii_whitespace() || b"{}[],:\"".contains(byte)).unwrap_or(bytes.len()),
        };
        let (token, after) = rest.split_at(length);
        self.rest = after;
        Some(token)
    }
}

/// Bytes of the string at the start, its quotes included.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn spellings_and_key_order_survive() {
        let text = r#" {"z":1.0,"a":[1e2,-0.50,12345678901234567890123,[],{ },"\u00e9\/ {x}, [y]: \""],"z":null} "#;
        insta::assert_snapshot!(pretty(text).unwrap(), @r#"
        {
          "z": 1.0,
          "a": [
            1e2,
            -0.50,
            12345678901234567890123,
            [],
            {},
            "\u00e9\/ {x}, [y]: \""
          ],
          "z": null
        }
        "#);
    }

    #[test]
    fn what_is_no_json_is_not_laid_out() {
        for text in ["", "{", "{'a': 1}", "[1,]", "NaN", "{} {}", "\"\\ud800\"", &"[".repeat(200)] {
            assert_eq!(pretty(text), None);
            assert_eq!(value(text), None);
        }
        assert_eq!(pretty(" 7 ").as_deref(), Some("7"));
    }

    #[test]
    fn a_hostile_nesting_is_not_blown_up() {
        let text = format!("{}{}{}", "[".repeat(120), vec!["1"; 10_000].join(","), "]".repeat(120));
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        assert_eq!(pretty(&text), None);
    }

    #[test]
    fn digits_that_a_float_cannot_hold_still_count() {
        assert_eq!(value("[1.0, 100, 1e2]").unwrap(), json!([1.0, 100, 1e2]));
        assert_ne!(value("12345678901234567890123"), value("12345678901234567890124"));
        assert_ne!(value("0.10000000000000000001"), value("0.1"));
        assert_eq!(value("[100000000000000000000001.50]"), value("[1000000000000000000000015e-1]"));
        assert_eq!(value("1e-999999999999999999999"), value("1e-999999999999999999999"));
    }

    #[test]
    fn a_text_is_never_taken_for_a_number_that_is_kept_as_one() {
        let number = value("12345678901234567890123").unwrap();
        let same = Value::from(number.as_str().unwrap()).to_string();
        assert_ne!(value(&same), Some(number.clone()), "{number}");
        let marked = value(&same).unwrap().to_string();
        assert_ne!(value(&marked), value(&same));
        assert_ne!(value(&format!("[12345678901234567890123, {same}]")), value(&format!("[{same}, 12345678901234567890123]")));
    }

    #[test]
    fn a_key_that_stands_twice_makes_no_value() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":1,"\u0061":1}}]"#] {
            assert_eq!(value(text), None, "{text}");
            assert!(pretty(text).is_some(), "it is laid out for people all the same");
        }
        assert!(value(r#"{"a:b":":","c":{"a":1},"d":[{"a":1},{"a":1}]}"#).is_some());
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has finite numbers", |float| float.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn laying_out_changes_white_space_and_nothing_else(document in document()) {
            let compact = document.to_string();
            let laid_out = pretty(&compact).unwrap();
            prop_assert_eq!(Tokens { rest: &laid_out }.collect::<String>(), compact);
            prop_assert_eq!(pretty(&laid_out).unwrap(), laid_out.clone());
            prop_assert_eq!(value(&laid_out).unwrap(), document, "floats included: serde_json has to read what it wrote");
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = (pretty(&text), value(&text));
        }
    }
}
