//! What is whole in a JSON text that was cut off? The input of a tool call that `max_tokens` ended.

use std::str::CharIndices;

use serde_json::{Map, Value};

/// As deep as the JSON parser itself goes.
const DEEPEST: usize = 127;

/// The value without what was cut: members and elements that arrived whole stay, a text or number that may have gone on is left out.
///
/// The API's other form gives such a block as an object too (wire reference, 1.7: "may be incomplete") and does not say which one; this is what the
/// official clients make of the same stream. Where nothing is whole it is `{}`.
pub(crate) fn whole_members(text: &str) -> Value {
    let whole = &text[..last_whole(text)];
    let closed: String = whole.chars().chain(still_open(whole)).collect();
    let members = serde_json::from_str::<Map<String, Value>>(&closed);
    Value::Object(members.unwrap_or_default())
}

/// The last place where everything before it is whole but for its closing brackets.
fn last_whole(text: &str) -> usize {
    // For each open bracket: whether a text at this place is a value; in an object it may be a key.
    let mut open: Vec<bool> = Vec::new();
    let mut in_array: Vec<bool> = Vec::new();
    let mut whole = 0;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                if !skip_text(&mut characters) {
                    break;
                }
                if open.last() == Some(&true) {
                    whole = characters.offset();
                }
            }
            '{' | '[' if open.len() == DEEPEST => break,
            '{' | '[' => {
                open.push(character == '[');
                in_array.push(character == '[');
                whole = at + 1;
            }
            '}' | ']' => {
                open.pop();
                in_array.pop();
                whole = at + 1;
            }
            ':' => {
                if let Some(value) = open.last_mut() {
                    *value = true;
                }
            }
            ',' => {
                whole = at;
                if let (Some(value), Some(array)) = (open.last_mut(), in_array.last()) {
                    *value = *array;
                }
            }
            _ => {}
        }
    }
    whole
}

/// The closing brackets that are missing, the innermost first.
fn still_open(text: &str) -> impl Iterator<Item = char> {
    let mut open = Vec::new();
    let mut characters = text.char_indices();
    while let Some((_, character)) = characters.next() {
        match character {
            '"' => drop(skip_text(&mut characters)),
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().rev()
}

/// To behind the closing quote; false where there is none.
fn skip_text(characters: &mut CharIndices<'_>) -> bool {
    while let Some((_, character)) = characters.next() {
        match character {
            '"' => return true,
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_that_arrived_whole_stay_and_the_cut_one_goes() {
        for (text, whole) in [
            ("", json!({})),
            ("{", json!({})),
            (r#"{"city"#, json!({})),
            (r#"{"city""#, json!({})),
            (r#"{"city":"#, json!({})),
            (r#"{"city":"Zür"#, json!({})),
            (r#"{"city":"Zürich""#, json!({"city": "Zürich"})),
            (r#"{"city":"Zürich","#, json!({"city": "Zürich"})),
            (r#"{"city":"Zürich","days"#, json!({"city": "Zürich"})),
            (r#"{"city":"Zürich","days":1"#, json!({"city": "Zürich"})),
            (r#"{"city":"Zürich","days":12,"#, json!({"city": "Zürich", "days": 12})),
            (r#"{"a":[1,2,3"#, json!({"a": [1, 2]})),
            (r#"{"a":[{"b":"c","d":["e","f"#, json!({"a": [{"b": "c", "d": ["e"]}]})),
            (r#"{"a":{"b":1},"c":tr"#, json!({"a": {"b": 1}})),
            (r#"{"a":"\"}\\","b":"\"#, json!({"a": "\"}\\"})),
            ("no JSON at all", json!({})),
            (r#"{"a":1}}}"#, json!({})),
        ] {
            assert_eq!(whole_members(text), whole, "{text}");
        }
        for deep in ["[", "{\"a\":"] {
            assert!(whole_members(&deep.repeat(300_000)).is_object());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{},:\"\\\\a1 ö]{0,40}") {
            let _ = whole_members(&text);
        }

        #[test]
        fn every_beginning_of_an_object_is_an_object_that_says_nothing_else(texts in proptest::collection::vec("[a-zö\"\\\\]{0,6}", 1..5), numbers in proptest::collection::vec(0_u16..999, 0..4)) {
            let whole = json!({"texts": texts, "deeper": {"numbers": numbers, "last": null}, "end": true});
            let text = whole.to_string();
            for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
                let read = whole_members(&text[..end]);
                let members = read.as_object().unwrap();
                if let Some(read) = members.get("texts") {
                    let read = read.as_array().unwrap();
                    prop_assert_eq!(read.as_slice(), &whole["texts"].as_array().unwrap()[..read.len()]);
                }
                prop_assert!(members.keys().all(|name| whole.get(name).is_some()));
            }
            prop_assert_eq!(whole_members(&text), whole);
        }
    }
}
