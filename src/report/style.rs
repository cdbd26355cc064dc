//! What can the stream that is written to show?

/// Colours and width. Whoever knows the stream decides; nothing in here asks the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours and effects.
    pub colour: bool,
    /// Columns; below 40 it counts as 40.
    pub width: u16,
}

impl Style {
    /// No colour, 100 columns: a pipe or a file.
    pub const PLAIN: Self = Self { colour: false, width: 100 };
}
