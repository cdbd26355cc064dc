//! Which filters does a template have that the engine does not bring?

use std::borrow::Cow;

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind};

/// What Jinja takes where a template says nothing.
const LENGTH: usize = 255;
const LEEWAY: usize = 5;
const END: &str = "...";

/// Gives them to an environment.
pub(super) fn equip(environment: &mut Environment<'static>) {
    environment.add_filter("truncate", truncate);
    environment.add_filter("wordcount", wordcount);
}

fn wordcount(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A text of `length` characters at the most, its end included; one that is longer by no more than `leeway` is left as it is.
fn truncate(
    text: &str,
    length: Option<usize>,
    killwords: Option<bool>,
    end: Option<Cow<'_, str>>,
    options: Kwargs,
) -> Result<String, Error> {
    let length = length.map_or_else(|| options.get::<Option<usize>>("length"), |length| Ok(Some(length)))?.unwrap_or(LENGTH);
    let killwords = killwords.map_or_else(|| options.get::<Option<bool>>("killwords"), |kill| Ok(Some(kill)))?.unwrap_or(false);
    let end = end.map_or_else(|| options.get::<Option<Cow<'_, str>>>("end"), |end| Ok(Some(end)))?.unwrap_or(END.into());
    let leeway = options.get::<Option<usize>>("leeway")?.unwrap_or(LEEWAY);
    options.assert_all_used()?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text.to_owned());
    }
    let Some(kept) = length.checked_sub(end.chars().count()) else {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("`truncate` to {length} characters leaves no room for its end")));
    };
    let kept: String = text.chars().take(kept).collect();
    let kept = if killwords { kept.as_str() } else { kept.rsplit_once(' ').map_or(kept.as_str(), |(words, _)| words) };
    Ok(format!("{kept}{end}"))
}
