//! What does a reviewer see of the outputs that wait, and what does each key do?
//!
//! Pure: `state::Review` takes a key and answers with an `state::Effect`, `view` lays the screen out in lines. Whoever has a terminal
//! draws the lines, carries the effects out and tells what came of them. The disk is the state: nothing here is ever saved.

pub(crate) mod alike;
pub(crate) mod body;
pub(crate) mod filter;
pub(crate) mod item;
pub(crate) mod press;
pub(crate) mod state;
pub(crate) mod view;

#[cfg(test)]
mod golden;
