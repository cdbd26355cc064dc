//! Marks for the prompt cache: how many, and in which order (docs/wire-reference.md 6.3)?

use serde_json::{Map, Value};

use super::super::api_error::ApiError;

const MOST_MARKS: usize = 4;
const FIVE_MINUTES: &str = "5m";

/// Checks the marks of a body whose shape is already known to hold.
pub(super) fn check(body: &Map<String, Value>) -> Result<(), ApiError> {
    // In the order of the prefix: tools, system, messages.
    let lists = ["tools", "system"].into_iter().filter_map(|name| Some((name.to_owned(), body.get(name)?.as_array()?)));
    let turns = body.get("messages").and_then(Value::as_array).into_iter().flatten().enumerate();
    let contents = turns.filter_map(|(index, turn)| Some((format!("messages.{index}.content"), turn.get("content")?.as_array()?)));
    let mut marks: Vec<(String, &str)> = Vec::new();
    let mut last = None;
    for (place, blocks) in lists.chain(contents) {
        last = None;
        for (index, block) in blocks.iter().enumerate() {
            last = ttl(block.get("cache_control"));
            marks.extend(last.map(|ttl| (format!("{place}.{index}.cache_control.ttl"), ttl)));
        }
    }
    let automatic = ttl(body.get("cache_control"));
    // Automatic caching marks the last block: a mark of the same kind that is there already is the same one.
    if let (Some(automatic), Some(last)) = (automatic, last)
        && automatic != last
    {
        return Err(ApiError::at("cache_control", "the last block is marked with another ttl"));
    }
    let found = marks.len() + usize::from(automatic.is_some() && last.is_none());
    if found > MOST_MARKS {
        return Err(ApiError::new(400, format!("A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {found}.")));
    }
    let mut short = false;
    for (place, ttl) in marks {
        if short && ttl != FIVE_MINUTES {
            return Err(ApiError::at(
                place,
                "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`.",
            ));
        }
        short |= ttl == FIVE_MINUTES;
    }
    Ok(())
}

/// How long a mark lasts, if it is one.
fn ttl(mark: Option<&Value>) -> Option<&str> {
    let mark = mark?.as_object()?;
    Some(mark.get("ttl").and_then(Value::as_str).unwrap_or(FIVE_MINUTES))
}
