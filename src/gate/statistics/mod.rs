//! Is a candidate worse than its baseline, and how sure are we? Pure: counts in, numbers out.
//!
//! The unit is the case, never the sample: `d` of a case is the candidate's pass rate minus the baseline's. [`verdict`] puts the parts
//! together; `docs/gating.md` tells it without formulas. What is here, with the formula and its source at each function:
//!
//! | file | question |
//! | --- | --- |
//! | [`sign_flip`] | could signs alone have made the sum of all `d`? |
//! | [`confirm`] | which cases look worse, and do fresh samples confirm it? |
//! | [`looks`] | may one look twice? |
//! | [`second_look`] | and with how many samples? |
//! | [`paired`] | how large is the mean of `d`, within which interval? |
//! | [`discordant`] | the same for one sample per case: a table of four counts |
//! | [`proportion`] | how large is one pass rate, within which interval? |
//! | [`sampling`] | how much of the spread is noise that more samples would remove? |
//! | [`advice`] | what could these samples have shown, and how many would decide? |
//! | [`power`] | how large a loss would be seen, and how many cases would it take? |
//! | [`simulated`] | how often does the gate say what where the truth is known? |
//! | [`calibration`] | how often does it say what, judged by samples that were really taken? |
//! | [`detection`] | which loss would it find, and with how many samples or cases? |
//! | [`moved`] | did the model move, and not the prompt? |
//! | [`sequential`] | may one stop as soon as it is clear? |
//! | [`bootstrap`] | what would the mean have been with other cases like these? |
//! | [`agreement`] | how far do two judges agree, and in which order do differences stand? |
//! | [`words`] | how is a comparison said in one line? |
//! | [`distributions`] | quantiles and tails |
//!
//! The reference values in `vectors.json` were computed with scipy 1.17.1 and statsmodels 0.15.0; each file is tested against
//! them, and one test walks the whole file: a group or a field of it that nothing computes is red. [`sequential`], [`bootstrap`] and [`agreement`]
//! are no part of a verdict; why not stands in each.

pub mod advice;
pub mod agreement;
pub mod bootstrap;
pub mod calibration;
pub mod confirm;
pub mod detection;
pub mod discordant;
pub mod distributions;
pub mod looks;
pub mod moved;
pub mod paired;
pub mod power;
pub mod proportion;
pub mod sampling;
pub mod second_look;
pub mod sequential;
pub mod sign_flip;
pub mod simulated;
pub mod verdict;
pub mod words;

#[cfg(test)]
mod every_vector;
#[cfg(test)]
mod vectors;
