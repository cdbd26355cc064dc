//! Is a reply a refusal?
//!
//! Two facts that are kept apart. A *structural* refusal is stated by the API: the stop reason is `refusal`. A *textual* one is said
//! in prose by a reply that ended normally, and can only be recognised, so it is looked for where refusals stand and nowhere else:
//! in the opening of the reply, said by the model of itself, at the very beginning or behind an apology. "I cannot recommend", "not
//! appropriate" or "unfortunately" inside a helpful answer are none, and neither is a business answer ("I can't give you a refund")
//! or a question for what is missing ("I can't help without your order number").

mod phrases;

use crate::model::reply::{Reply, StopReason};
use phrases::{ALTERNATIVES, DELIVERS, LANGUAGES, LEADS, Language, QUOTES};

/// A refusal that the API states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structural<'a> {
    /// `cyber`, `bio`, ... or a newer one.
    pub category: Option<&'a str>,
    /// The API's own words.
    pub explanation: Option<&'a str>,
}

/// The refusal that the API states, if it does.
#[must_use]
pub fn structural(reply: &Reply) -> Option<Structural<'_>> {
    let details = reply.refusal.as_ref();
    (reply.stop_reason == StopReason::Refusal).then(|| Structural {
        category: details.and_then(|details| details.category.as_deref()),
        explanation: details.and_then(|details| details.explanation.as_deref()),
    })
}

/// Characters of a reply that are looked at, white space before them apart.
const OPENING: usize = 300;

/// Sentences of the opening that can refuse.
const SENTENCES: usize = 4;

/// A reply of more characters that only declines to write or give something has given something else.
const LONG: usize = 1_000;

/// Bytes that may stand before a refusal in its sentence.
const LONGEST_LEAD: usize = 110;

/// The sentence with which a reply refuses in its own words, if its opening does. English, German, French, Spanish, Italian,
/// Portuguese, and the set phrases of Chinese and Japanese.
#[must_use]
pub fn textual(text: &str) -> Option<String> {
    let text = text.trim_start();
    let opening = Opening::of(text);
    let is_long = text.chars().nth(LONG).is_some();
    let mut led = false;
    for (index, sentence) in opening.sentences().into_iter().take(SENTENCES).enumerate() {
        let words = &opening.text[sentence.clone()];
        let before = &opening.text[..sentence.start];
        let may_refuse = (index == 0 || led) && !DELIVERS.is_match(before);
        if may_refuse && LANGUAGES.iter().any(|language| refuses(language, words, &opening.text[sentence.end..], is_long)) {
            return Some(opening.original(text, sentence).to_owned());
        }
        led |= LEADS.is_match(words);
    }
    None
}

/// Whether a sentence refuses. `after` is the rest of the opening.
fn refuses(language: &Language, sentence: &str, after: &str, is_long: bool) -> bool {
    // Behind a colon someone else may speak: `the agent wrote: I can't help`; but `to be clear: I can't help` is the model.
    let said_by_itself = |start: usize| {
        let lead = &sentence[..start];
        let own = !QUOTES.is_match(lead) && (!lead.contains(':') || LEADS.is_match(lead));
        own && start <= LONGEST_LEAD && !DELIVERS.is_match(lead)
    };
    let declines = language.declines.find_iter(sentence).any(|found| said_by_itself(found.start()));
    if declines {
        return true;
    }
    let strong = language
        .strong
        .find_iter(sentence)
        .any(|found| said_by_itself(found.start()) && !language.figurative.is_match(&sentence[found.start()..]));
    if strong {
        return true;
    }
    let weak = language.weak.find_iter(sentence).any(|found| {
        said_by_itself(found.start())
            && !language.figurative.is_match(&sentence[found.start()..])
            && !language.business.is_match(&sentence[found.start()..])
    });
    let rest_delivers = || {
        let delivers = |text: &str| DELIVERS.is_match(text) && !ALTERNATIVES.is_match(text);
        delivers(sentence) || delivers(after)
    };
    weak && !is_long && !rest_delivers()
}

/// The opening of a reply in one spelling: lower case, plain apostrophes, single blanks, no emphasis marks.
struct Opening {
    text: String,
    /// For every byte of `text`, where its character stands in the reply.
    places: Vec<usize>,
}

impl Opening {
    fn of(reply: &str) -> Self {
        let mut opening = Self { text: String::with_capacity(OPENING + 32), places: Vec::with_capacity(OPENING + 32) };
        for (place, character) in reply.char_indices().take(OPENING) {
            match character {
                '’' | '‘' | 'ʼ' | '´' | '`' | '＇' => opening.push('\'', place),
                // Emphasis, headings and quotation in Markdown.
                '*' | '_' | '#' | '>' if opening.at_line_start() || character == '*' || character == '_' => {}
                '\n' => {
                    if !opening.text.ends_with('\n') {
                        opening.push('\n', place);
                    }
                }
                blank if blank.is_whitespace() => {
                    if !opening.text.ends_with([' ', '\n']) {
                        opening.push(' ', place);
                    }
                }
                other => other.to_lowercase().for_each(|lower| opening.push(lower, place)),
            }
        }
        opening
    }

    fn at_line_start(&self) -> bool {
        self.text.is_empty() || self.text.ends_with('\n')
    }

    fn push(&mut self, character: char, place: usize) {
        self.text.push(character);
        self.places.resize(self.text.len(), place);
    }

    /// Sentences without the blanks before them; what ends them is not in them.
    fn sentences(&self) -> Vec<std::ops::Range<usize>> {
        let mut sentences = Vec::new();
        let mut start = 0;
        let mut characters = self.text.char_indices().peekable();
        while let Some((index, character)) = characters.next() {
            let ends = match character {
                '\n' | '。' | '！' | '？' => true,
                '.' | '!' | '?' | '…' => characters.peek().is_none_or(|(_, next)| next.is_whitespace()),
                _ => false,
            };
            if ends {
                sentences.push(start..index);
                start = index + character.len_utf8();
            }
        }
        sentences.push(start..self.text.len());
        sentences.retain_mut(|sentence| {
            let words = &self.text[sentence.clone()];
            sentence.start += words.len() - words.trim_start().len();
            !self.text[sentence.clone()].trim().is_empty()
        });
        sentences
    }

    fn original<'a>(&self, reply: &'a str, sentence: std::ops::Range<usize>) -> &'a str {
        let start = self.places.get(sentence.start).copied().unwrap_or(0);
        let end =
            self.places.get(sentence.end).copied().unwrap_or_else(|| reply.char_indices().nth(OPENING).map_or(reply.len(), |(end, _)| end));
        reply.get(start..end).unwrap_or(reply).trim()
    }
}

#[cfg(test)]
mod tests;
