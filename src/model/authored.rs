//! Which marks for the prompt cache did an author write, and does the API take them? (Wire reference, 6.3.)

use serde_json::{Map, Value};

use crate::model::parameters::Rejection;
use crate::model::prefix::{Life, MOST_MARKS, Place};
use crate::model::request::{Block, Turn};

/// A mark that stands in what an author wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authored {
    /// Which block carries it; all tools are one place.
    pub place: Place,
    /// How long its entry lives.
    pub life: Life,
}

/// The mark of a block or of a tool.
pub(crate) fn mark(block: &Map<String, Value>) -> Option<Life> {
    let mark = block.get("cache_control")?.as_object()?;
    Some(if mark.get("ttl").and_then(Value::as_str) == Some("1h") { Life::Hour } else { Life::FiveMinutes })
}

/// The marks of tools.
pub fn of_tools(tools: &[Value]) -> impl Iterator<Item = Authored> + '_ {
    tools.iter().filter_map(|tool| Some(Authored { place: Place::Tools, life: mark(tool.as_object()?)? }))
}

/// The marks of a system prompt and turns, in the order in which the provider reads them.
pub fn of_blocks<'a>(system: &'a [Block], turns: &'a [Turn]) -> impl Iterator<Item = Authored> + 'a {
    let authored = |place: Place, block: &Block| mark(&block.0).map(|life| Authored { place, life });
    let system = (0..).zip(system).filter_map(move |(at, block)| authored(Place::System(at), block));
    let content = |(turn, content): (u32, &'a Turn)| (0..).zip(&content.content).map(move |(at, block)| (Place::Turn(turn, at), block));
    system.chain((0..).zip(turns).flat_map(content).filter_map(move |(place, block)| authored(place, block)))
}

/// Why the API takes a request with these marks for none, and which of them is the first one too many.
#[must_use]
pub fn refused(marks: &[Authored]) -> Option<(usize, Rejection)> {
    let rejection =
        |parameter: &str, message: String, hint: &str| Rejection { parameter: parameter.to_owned(), message, hint: Some(hint.to_owned()) };
    if marks.len() > MOST_MARKS {
        let count = |wanted: fn(Place) -> bool| marks.iter().filter(|mark| wanted(mark.place)).count();
        let parts = [
            (count(|place| place == Place::Tools), "in tools"),
            (count(|place| matches!(place, Place::System(_))), "in the system prompt"),
            (count(|place| matches!(place, Place::Turn(..))), "in turns"),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, part)| format!("{count} {part}")).collect();
        let message =
            format!("{} blocks are marked with `cache_control` ({}), and the API takes {MOST_MARKS}", marks.len(), parts.join(", "));
        return Some((MOST_MARKS, rejection("cache_control", message, "a mark keeps everything before it: the last ones are enough")));
    }
    let short = marks.iter().position(|mark| mark.life == Life::FiveMinutes)?;
    let late = marks.iter().skip(short).position(|mark| mark.life == Life::Hour)? + short;
    let message = "`cache_control` with `ttl: 1h` stands behind one of five minutes, and the API takes them the other way round".to_owned();
    let hint = "write `ttl: 1h` at the marks before it too, or take it away; the order is tools, system prompt, turns";
    Some((late, rejection("cache_control.ttl", message, hint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(lives: &[Life]) -> Vec<Authored> {
        (0..).zip(lives).map(|(at, life)| Authored { place: Place::System(at), life: *life }).collect()
    }

    #[test]
    fn four_marks_pass_and_the_fifth_is_named() {
        use Life::{FiveMinutes, Hour};
        let at = |lives: &[Life]| refused(&marks(lives)).map(|(at, _)| at);
        assert_eq!([at(&[]), at(&[FiveMinutes; 4]), at(&[Hour; 4]), at(&[Hour, Hour, FiveMinutes])], [None; 4]);
        assert_eq!(at(&[FiveMinutes; 5]), Some(4));
        assert_eq!(at(&[Hour, FiveMinutes, FiveMinutes, Hour]), Some(3));
        assert_eq!(at(&[FiveMinutes, Hour, FiveMinutes]), Some(1));
    }
}
