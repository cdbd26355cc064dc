//! Marks for the prompt cache: how many, and in which order (docs/wire-reference.md 6.3)?

use serde_json::{Map, Value};

use super::super::api_error::ApiError;

const MOST_MARKS: usize = 4;
const FIVE_MINUTES: &str = "5m";
const TOO_LATE: &str = "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, `system`, `messages`.";

/// A mark and where it stands; the place is put into words only when it is wrong.
struct Mark<'v> {
    list: &'static str,
    turn: Option<usize>,
    index: usize,
    ttl: &'v str,
}

/// Checks the marks of a body whose shape is already known to hold.
pub(super) fn check<'v>(body: &'v Map<String, Value>) -> Result<(), ApiError> {
    // In the order of the prefix: tools, system, messages. A plain text is a block that cannot carry a mark.
    let blocks = |value: &'v Value| value.as_array().map_or(&[][..], Vec::as_slice);
    let lists = ["tools", "system"].into_iter().filter_map(|name| Some((name, None, blocks(body.get(name)?))));
    let turns = body.get("messages").and_then(Value::as_array).into_iter().flatten().enumerate();
    let contents = turns.filter_map(|(index, turn)| Some(("messages", Some(index), blocks(turn.get("content")?))));
    let mut marks: Vec<Mark<'_>> = Vec::new();
    let mut last = None;
    for (list, turn, blocks) in lists.chain(contents) {
        last = None;
        for (index, block) in blocks.iter().enumerate() {
            last = ttl(block.get("cache_control"));
            marks.extend(last.map(|ttl| Mark { list, turn, index, ttl }));
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
    for Mark { list, turn, index, ttl } in marks {
        if short && ttl != FIVE_MINUTES {
            let place = turn.map_or_else(|| format!("{list}.{index}"), |turn| format!("{list}.{turn}.content.{index}"));
            return Err(ApiError::at(format!("{place}.cache_control.ttl"), TOO_LATE));
        }
        short |= ttl == FIVE_MINUTES;
    }
    if short && automatic.is_some_and(|automatic| automatic != FIVE_MINUTES) {
        return Err(ApiError::at("cache_control.ttl", TOO_LATE));
    }
    Ok(())
}

/// How long a mark lasts, if it is one.
fn ttl(mark: Option<&Value>) -> Option<&str> {
    let mark = mark?.as_object()?;
    Some(mark.get("ttl").and_then(Value::as_str).unwrap_or(FIVE_MINUTES))
}
