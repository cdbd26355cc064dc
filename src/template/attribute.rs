//! Has each item of a list the attribute that a filter asks of it?
//!
//! The engine takes one that is missing for nothing: `sum(attribute="pirce")` is 0, and `map(attribute="di")` a list of nothing.

use minijinja::{Error, ErrorKind, Value};

/// What the error about an attribute says; the item is counted from 1.
pub(super) const MISSING: &str = "has no attribute";

/// Sees that each item has the attribute that is asked for, by name or as the argument at `position`, unless a default is given.
/// `several`: it may be more than one, with commas between.
pub(super) fn asked(arguments: Value, position: Option<usize>, several: bool) -> Result<Value, Error> {
    let mut path = Value::UNDEFINED;
    for (index, argument) in arguments.try_iter()?.enumerate().skip(1) {
        if argument.is_kwargs() {
            let given = |name| argument.get_item(&Value::from(name));
            if !given("default")?.is_undefined() {
                return Ok(arguments);
            }
            let named = given("attribute")?;
            path = if named.is_undefined() || named.is_none() { path } else { named };
        } else if Some(index) == position && argument.as_str().is_some() {
            path = argument;
        }
    }
    let items = arguments.get_item_by_index(0)?;
    if path.is_undefined() || items.is_undefined() {
        return Ok(arguments);
    }
    // What cannot be gone through is the filter's to refuse.
    let Ok(items) = items.try_iter() else { return Ok(arguments) };
    let text = path.to_string();
    let paths: Vec<&str> = if several { text.split(',').map(str::trim).filter(|path| !path.is_empty()).collect() } else { vec![&text] };
    for (index, item) in (1..).zip(items) {
        let missing = match path.as_str() {
            Some(_) => paths.iter().find(|path| !has(&item, path)).copied(),
            None => item.get_item(&path).map_or(true, |value| value.is_undefined()).then_some(text.as_str()),
        };
        if let Some(missing) = missing {
            let missing: String = missing.chars().take(40).collect();
            return Err(Error::new(ErrorKind::InvalidOperation, format!("item {index} of this list {MISSING} `{missing}`")));
        }
    }
    Ok(arguments)
}

/// As the engine finds it: a part that is a number counts.
fn has(item: &Value, path: &str) -> bool {
    let step = |value: Value, part: &str| {
        let found = part.parse().map_or_else(|_| value.get_attr(part), |index| value.get_item_by_index(index));
        found.ok().filter(|found| !found.is_undefined())
    };
    path.split('.').try_fold(item.clone(), step).is_some()
}
