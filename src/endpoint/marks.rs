//! Where do the marks for the prompt cache stand in what is sent? (Wire reference, 6.3.)

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::model::prefix::{Carried, Mark, Marked, Place};
use crate::model::request::{Block, Role, Turn};

/// The mark that stands at this place, beside the author's.
fn at(marks: &[Mark], place: Place) -> Carried {
    marks.iter().find(|mark| mark.added && mark.place == place).map_or(Carried::Authors, |mark| Carried::Added(mark.life))
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The blocks of the system prompt, or of a turn.
pub(crate) struct Blocks<'a> {
    blocks: &'a [Block],
    marks: &'a [Mark],
    turn: Option<u32>,
}

impl<'a> Blocks<'a> {
    pub(crate) const fn of_system(blocks: &'a [Block], marks: &'a [Mark]) -> Self {
        Self { blocks, marks, turn: None }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

impl Serialize for Blocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.blocks.iter().enumerate().map(|(index, block)| {
            let place = self.turn.map_or(Place::System(number(index)), |turn| Place::Turn(turn, number(index)));
            Marked { block: &block.0, carried: at(self.marks, place) }
        }))
    }
}

/// All turns.
pub(crate) struct Turns<'a> {
    pub(crate) turns: &'a [Turn],
    pub(crate) marks: &'a [Mark],
}

impl Serialize for Turns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Spelled<'a> {
            role: Role,
            content: Blocks<'a>,
        }
        serializer.collect_seq(self.turns.iter().enumerate().map(|(index, turn)| Spelled {
            role: turn.role,
            content: Blocks { blocks: &turn.content, marks: self.marks, turn: Some(number(index)) },
        }))
    }
}

/// All tools; the last one carries the mark.
pub(crate) struct Tools<'a> {
    pub(crate) tools: &'a [Value],
    pub(crate) marks: &'a [Mark],
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Tool<'a> {
            Marked(Marked<'a>),
            AsWritten(&'a Value),
        }
        let last = self.tools.len().saturating_sub(1);
        serializer.collect_seq(self.tools.iter().enumerate().map(|(index, tool)| match tool {
            Value::Object(block) if index == last => Tool::Marked(Marked { block, carried: at(self.marks, Place::Tools) }),
            _ => Tool::AsWritten(tool),
        }))
    }
}
