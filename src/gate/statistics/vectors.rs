//! What did scipy and statsmodels compute for the same inputs?

use serde_json::Value;

/// What was compared to the last digits: combinatorics and closed formulas.
pub(super) const EXACT: f64 = 1e-9;

/// What an iteration or a series stands behind.
pub(super) const NEAR: f64 = 1e-6;

/// The vectors of one name.
pub(super) fn vectors(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let found = all[name].clone();
    assert!(!found.is_null(), "vectors.json has no {name}");
    found
}

/// The vectors of one name that are a list.
pub(super) fn list(name: &str) -> Vec<Value> {
    vectors(name).as_array().unwrap().clone()
}

/// A number of a vector.
pub(super) fn number(vector: &Value, key: &str) -> f64 {
    vector[key].as_f64().unwrap_or_else(|| panic!("{key} of {vector}"))
}

/// A count of a vector.
pub(super) fn count(vector: &Value, key: &str) -> u32 {
    u32::try_from(vector[key].as_u64().unwrap_or_else(|| panic!("{key} of {vector}"))).unwrap()
}

/// The numbers of a list.
pub(super) fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// Both within the tolerance of the other; relative where a number is below 1, so that a tiny p is held to its digits too.
#[track_caller]
pub(super) fn assert_close(got: f64, expected: f64, tolerance: f64, what: &dyn std::fmt::Debug) {
    let allowed = if expected.abs() < 1.0 && expected != 0.0 { tolerance * expected.abs().max(1e-3) } else { tolerance };
    assert!((got - expected).abs() <= allowed, "{got} instead of {expected} for {what:?}");
}
