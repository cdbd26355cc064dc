//! What is different between two texts or two JSON values?
//!
//! Both differences are data (`model::verdict`); reports draw them. Every function here is bounded in time and size, because
//! both sides may be a reply that nobody has read yet: a text difference that had to be coarsened says so in `cut`.

mod align;
mod json;
mod similarity;
mod text;

pub use json::{JsonPart, JsonPathText, json_diff, json_diff_of, json_equal, reordered_keys};
pub use similarity::similarity;
pub use text::{text_diff, text_diff_at_length};
