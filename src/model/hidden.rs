//! Which characters would be acted upon or not be seen where a text is shown?

/// Controls, escapes, bidirectional marks and overrides, line and paragraph separators, invisible and unassigned ones, tags.
///
/// Joiners (U+200C, U+200D) and variation selectors are none: emoji and several scripts are made of them.
#[must_use]
pub const fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}
