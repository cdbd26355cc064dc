//! What do comparisons ask for where neither a flag nor a suite says it?

use schemars::JsonSchema;
use serde::Deserialize;

/// The comparisons of all suites.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GateSettings {
    /// The loss of pass rate, averaged over the cases, that a comparison allows where a suite does not say it; 0.05 is five points.
    #[serde(deserialize_with = "margin")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) margin: Option<f64>,
    /// How often, at most, a comparison may be wrong where a suite does not say it; 0.05 is 5 times in 100.
    #[serde(deserialize_with = "alpha")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub(crate) alpha: Option<f64>,
    /// Suites that were renamed or deleted on purpose, and cases (`suite::case`) that were renamed: that a baseline still has them leaves nothing
    /// undecided.
    pub(crate) gone: Vec<String>,
}

fn margin<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let share = f64::deserialize(deserializer)?;
    let told = || serde::de::Error::custom("`margin` is a share from 0 to 1: 0.05 is five points");
    (0.0..=1.0).contains(&share).then_some(Some(share)).ok_or_else(told)
}

fn alpha<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let share = f64::deserialize(deserializer)?;
    let told = || serde::de::Error::custom("`alpha` is a share above 0 and below 0.5: 0.05 is 5 times in 100");
    (share > 0.0 && share < 0.5).then_some(Some(share)).ok_or_else(told)
}
