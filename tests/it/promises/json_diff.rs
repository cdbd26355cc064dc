//! Do the differences of two JSON values, applied to the one, give the other?

use promptkeel::diff::{json_diff, json_equal};
use promptkeel::model::verdict::JsonChange;
use serde_json::{Map, Value};

use super::parts;

/// The input is two JSON texts.
pub fn holds(input: &[u8]) {
    let Some([old, new]) = parts(input) else { return };
    let (Ok(old), Ok(new)) = (serde_json::from_str::<Value>(&old), serde_json::from_str::<Value>(&new)) else { return };
    let changes = json_diff(&old, &new);
    assert_eq!(changes.is_empty(), json_equal(&old, &new));
    assert_eq!(json_equal(&old, &new), json_equal(&new, &old));
    assert!(json_equal(&old, &old) && json_diff(&old, &old).is_empty());
    // A difference that is too large to be kept says so; a name that is too long for a path ends in an ellipsis.
    if changes.iter().any(|change| change.shortened || change.left_out > 0 || change.path.contains('…')) {
        return;
    }
    let located: Vec<Located<'_>> = changes.iter().map(|change| (steps(&change.path), change)).collect();
    let result = applied(&old, &located);
    assert!(json_equal(&result, &new), "{old} became {result}, not {new}, by {changes:?}");
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Member(String),
    Item(usize),
}

type Located<'a> = (Vec<Step>, &'a JsonChange);

/// A path as it is documented: `$.items[2]['odd key']`, with the escapes of RFC 9535.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').unwrap_or_else(|| panic!("{path} begins at no root"));
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            steps.push(Step::Member(name[..end].to_owned()));
            rest = &name[end..];
        } else if let Some(quoted) = rest.strip_prefix("['") {
            let (name, behind) = unquoted(quoted).unwrap_or_else(|| panic!("{path}: an open quote"));
            steps.push(Step::Member(name));
            rest = behind.strip_prefix(']').unwrap_or_else(|| panic!("{path}: an open bracket"));
        } else {
            let (index, behind) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).unwrap_or_else(|| panic!("{path}: no step"));
            steps.push(Step::Item(index.parse().unwrap_or_else(|_| panic!("{path}: no index"))));
            rest = behind;
        }
    }
    steps
}

/// The name up to its closing quote, and what stands behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' => return Some((name, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'b' => name.push('\u{8}'),
                'f' => name.push('\u{c}'),
                'n' => name.push('\n'),
                'r' => name.push('\r'),
                't' => name.push('\t'),
                'u' => {
                    let digits: String = characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                    name.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                }
                other => name.push(other),
            },
            other => name.push(other),
        }
    }
    None
}

/// By the rule of `json_diff`: a path speaks of the new value, except the last step of something removed, which is its old place.
fn applied(old: &Value, changes: &[Located<'_>]) -> Value {
    if changes.is_empty() {
        return old.clone();
    }
    if let Some((_, change)) = changes.iter().find(|(steps, _)| steps.is_empty()) {
        let before = change.old.as_ref().expect("a root that changed was there");
        assert!(json_equal(before, old), "{before} is not {old}");
        return change.new.clone().expect("a root that changed is still there");
    }
    let is_removed = |step: &Step| changes.iter().any(|(steps, change)| *steps == [step.clone()] && change.new.is_none());
    let added =
        |step: &Step| changes.iter().find(|(steps, change)| *steps == [step.clone()] && change.old.is_none()).map(|(_, change)| *change);
    let changed = |step: &Step, value: &Value| {
        let inner: Vec<Located<'_>> = changes
            .iter()
            .filter(|(steps, change)| steps[0] == *step && (steps.len() > 1 || (change.old.is_some() && change.new.is_some())))
            .map(|(steps, change)| (steps[1..].to_vec(), *change))
            .collect();
        if inner.is_empty() { value.clone() } else { applied(value, &inner) }
    };
    match old {
        Value::Object(members) => {
            let mut new = Map::new();
            for (name, value) in members {
                let step = Step::Member(name.clone());
                if !is_removed(&step) {
                    new.insert(name.clone(), changed(&step, value));
                }
            }
            for (steps, change) in changes {
                if let ([Step::Member(name)], None) = (steps.as_slice(), &change.old) {
                    new.insert(name.clone(), change.new.clone().expect("what was added is there"));
                }
            }
            Value::Object(new)
        }
        Value::Array(items) => {
            let mut kept = items.iter().enumerate().filter(|(index, _)| !is_removed(&Step::Item(*index))).map(|(_, item)| item);
            let mut new = Vec::new();
            loop {
                let step = Step::Item(new.len());
                if let Some(change) = added(&step) {
                    new.push(change.new.clone().expect("what was added is there"));
                } else if let Some(item) = kept.next() {
                    new.push(changed(&step, item));
                } else {
                    return Value::Array(new);
                }
            }
        }
        scalar => panic!("{changes:?} lead into {scalar}"),
    }
}
