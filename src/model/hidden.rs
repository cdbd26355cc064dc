//! Which characters would be acted upon or not be seen where a text is shown?

/// Controls, escapes, bidirectional marks and overrides, line and paragraph separators, invisible and unassigned ones, tags.
///
/// The joiners (U+200C, U+200D) are hidden where they join nothing, which [`joins`] says; variation selectors are not: emoji are made of them.
#[must_use]
pub const fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// U+200C and U+200D: they shape the letters and emoji around them.
#[must_use]
pub const fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

/// Whether a joiner between these two does something that can be seen: behind a letter of a script that has joiners, or between emoji.
#[must_use]
pub const fn joins(before: Option<char>, after: Option<char>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    match before {
        // Arabic, Syriac, N'Ko, Mandaic; the scripts of India and its neighbours, Tibetan, Myanmar; Khmer, Mongolian; Arabic's and Indic
        // scripts' further blocks.
        '\u{600}'..='\u{8ff}'
        | '\u{900}'..='\u{109f}'
        | '\u{1700}'..='\u{18af}'
        | '\u{1900}'..='\u{1cff}'
        | '\u{a800}'..='\u{abff}'
        | '\u{fb50}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefc}'
        | '\u{10a00}'..='\u{11fff}'
        | '\u{1e900}'..='\u{1e95f}' => true,
        _ => is_pictured(before) && is_pictured(after),
    }
}

/// An emoji, or what ends one.
const fn is_pictured(character: char) -> bool {
    matches!(character, '\u{fe0f}' | '\u{20e3}' | '\u{203c}' | '\u{2049}' | '\u{2100}'..='\u{214f}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1faff}')
}
