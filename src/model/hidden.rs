//! Which characters would be acted upon or not be seen where a text is shown?

/// Controls, escapes, bidirectional marks and overrides, line and paragraph separators, invisible and unassigned ones, tags: with what
/// [`shows_beside`] judges, all that Unicode calls `Default_Ignorable_Code_Point`.
#[must_use]
pub const fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether it depends on its neighbours if it can be seen what the character does: joiners, which shape the letters and emoji around
/// them, and the selectors of how an emoji or a Mongolian letter looks.
#[must_use]
pub const fn is_shaping(character: char) -> bool {
    matches!(character, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

/// Whether such a character does something between these two: a joiner behind a letter of a script that has joiners, or between emoji;
/// a selector behind what has two looks, once. Many of them behind one another are the usual way to hide a text in a text.
#[must_use]
pub const fn shows_beside(character: char, before: Option<char>, after: Option<char>) -> bool {
    match (character, before) {
        ('\u{fe0e}' | '\u{fe0f}', Some('\u{fe0e}' | '\u{fe0f}' | '\u{20e3}') | None) => false,
        ('\u{fe0e}' | '\u{fe0f}', Some(before)) => matches!(before, '#' | '*' | '0'..='9' | '\u{a9}' | '\u{ae}') || is_pictured(before),
        ('\u{180b}'..='\u{180d}' | '\u{180f}', before) => matches!(before, Some('\u{1820}'..='\u{18aa}')),
        _ => joins(before, after),
    }
}

/// Whether a character is acted upon or not seen where it stands: between these two, in what is shown.
#[must_use]
pub const fn is_concealed(character: char, before: Option<char>, after: Option<char>) -> bool {
    is_hidden(character) || (is_shaping(character) && !shows_beside(character, before, after))
}

const fn joins(before: Option<char>, after: Option<char>) -> bool {
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
