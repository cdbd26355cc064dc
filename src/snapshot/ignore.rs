//! Which values does `snapshot.ignore` take out of a comparison?

use serde_json::Value;
use serde_json_path::{JsonPath, PathElement};

use crate::snapshot::SnapshotError;

/// Compiled JSONPaths (RFC 9535).
#[derive(Debug, Clone, Default)]
pub(super) struct Ignored {
    paths: Vec<JsonPath>,
}

/// A step of a location. Ordered so that of two items of one array the later is greater.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Member(String),
    Item(usize),
}

impl Ignored {
    pub(super) fn compile(paths: &[String]) -> Result<Self, SnapshotError> {
        let compile =
            |path: &String| JsonPath::parse(path).map_err(|error| SnapshotError::Ignore { path: path.clone(), message: error.to_string() });
        Ok(Self { paths: paths.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// The value without what any of the paths finds in it.
    pub(super) fn without(&self, mut value: Value) -> Value {
        let mut found: Vec<Vec<Step>> = Vec::new();
        for path in &self.paths {
            for location in path.query_located(&value).locations() {
                let steps = location.iter().map(|step| match step {
                    PathElement::Name(name) => Step::Member((*name).to_owned()),
                    PathElement::Index(index) => Step::Item(*index),
                });
                found.push(steps.collect());
            }
        }
        // Backwards: what lies deeper or further behind goes first, so that no step that is still to be taken moves.
        found.sort_unstable();
        found.dedup();
        for steps in found.into_iter().rev() {
            remove(&mut value, &steps);
        }
        value
    }
}

fn remove(value: &mut Value, steps: &[Step]) {
    let Some((last, before)) = steps.split_last() else {
        *value = Value::Null;
        return;
    };
    let parent = before.iter().try_fold(value, |value, step| match step {
        Step::Member(name) => value.get_mut(name),
        Step::Item(index) => value.get_mut(index),
    });
    match (parent, last) {
        (Some(Value::Object(members)), Step::Member(name)) => {
            members.shift_remove(name);
        }
        (Some(Value::Array(items)), Step::Item(index)) if *index < items.len() => {
            items.remove(*index);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {

    use serde_json::json;

    use super::*;

    fn without(paths: &[&str], value: Value) -> Value {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        Ignored::compile(&paths).unwrap().without(value)
    }

    #[test]
    fn everything_that_a_path_finds_is_taken_out() {
        let value = json!({"a": 1, "items": [{"id": 1, "x": 1}, {"id": 2}, {"id": 3, "x": 3}], "z": {"id": 4}});
        assert_eq!(without(&["$.a", "$.missing"], value.clone())["items"], value["items"]);
        assert_eq!(without(&["$..id"], value.clone()), json!({"a": 1, "items": [{"x": 1}, {}, {"x": 3}], "z": {}}));
        assert_eq!(without(&["$.items[0,2]"], value.clone())["items"], json!([{"id": 2}]));
        assert_eq!(without(&["$.items[?@.id > 1]", "$.items[*].x", "$.items[1]"], value.clone())["items"], json!([{"id": 1}]));
        assert_eq!(without(&["$.items", "$.items[1].id", "$.items[-1]"], value.clone()), json!({"a": 1, "z": {"id": 4}}));
        assert_eq!(without(&["$"], value), Value::Null);
    }

    #[test]
    fn a_path_that_is_none_is_an_error_with_its_text() {
        let error = Ignored::compile(&["$.a".to_owned(), "a..".to_owned()]).unwrap_err();
        assert!(matches!(&error, SnapshotError::Ignore { path, .. } if path == "a.."), "{error}");
    }
}
