//! Does a JSON difference say everything that changed, once, and nothing else?

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::diff::align::Item;

fn draw(old: &Value, new: &Value) -> String {
    let show = |value: &Option<Value>| value.as_ref().map_or("(none)".to_owned(), Value::to_string);
    json_diff(old, new).iter().map(|change| format!("{}: {} -> {}\n", change.path, show(&change.old), show(&change.new))).collect()
}

#[test]
fn objects_are_compared_by_key_and_order_is_no_difference() {
    let old = json!({"queue": "billing", "gone": 1, "same": {"a": 1, "b": 2}});
    let new = json!({"same": {"b": 2, "a": 1.0}, "odd key": null, "queue": "refunds"});
    insta::assert_snapshot!(draw(&old, &new), @r#"
    $.queue: "billing" -> "refunds"
    $.gone: 1 -> (none)
    $['odd key']: (none) -> null
    "#);
}

#[test]
fn one_deleted_item_is_one_change() {
    let old = json!({"items": [{"id": 1, "q": "a"}, {"id": 2, "q": "b"}, {"id": 3, "q": "c"}, {"id": 4, "q": "d"}]});
    let new = json!({"items": [{"id": 2, "q": "b"}, {"id": 3, "q": "c"}, {"id": 4, "q": "d"}]});
    insta::assert_snapshot!(draw(&old, &new), @r#"$.items[0]: {"id":1,"q":"a"} -> (none)"#);
}

#[test]
fn a_deleted_item_beside_an_edited_one_is_two_changes() {
    let old = json!([{"id": 1, "q": "a", "n": 0}, {"id": 2, "q": "b", "n": 0}, {"id": 3, "q": "c", "n": 0}]);
    let new = json!([{"id": 2, "q": "changed", "n": 0}, {"id": 3, "q": "c", "n": 0}]);
    insta::assert_snapshot!(draw(&old, &new), @r#"
    $[0]: {"id":1,"q":"a","n":0} -> (none)
    $[0].q: "b" -> "changed"
    "#);
}

#[test]
fn an_item_that_moved_is_taken_out_and_put_in_whole() {
    let item = |id: u64| json!({"id": id, "q": "same"});
    let (old, new) = (json!({"items": [item(1), item(2), item(3), item(4)]}), json!({"items": [item(4), item(2), item(3), item(1)]}));
    insta::assert_snapshot!(draw(&old, &new), @r#"
    $.items[0]: {"id":1,"q":"same"} -> (none)
    $.items[0]: (none) -> {"id":4,"q":"same"}
    $.items[3]: {"id":4,"q":"same"} -> (none)
    $.items[3]: (none) -> {"id":1,"q":"same"}
    "#);
}

#[test]
fn keys_in_another_order_are_named_by_their_object() {
    let old = json!({"a": 1, "b": {"c": 1, "d": 2, "gone": 0}, "list": [{"x": 1, "y": 2}]});
    let new = json!({"a": 1, "b": {"d": 2, "new": 0, "c": 1}, "list": [{"y": 2, "x": 1}]});
    assert_eq!(reordered_keys(&old, &new), ["$.b", "$.list[0]"]);
    assert_eq!(reordered_keys(&old, &old), Vec::<String>::new());
}

#[test]
fn keys_of_items_are_compared_with_those_of_the_items_that_they_were() {
    let (old, new) = (json!([{"a": 1, "b": 2}]), json!([{"b": 9, "a": 9}, {"a": 1, "b": 2}]));
    assert_eq!(reordered_keys(&old, &new), Vec::<String>::new(), "the item in front is new");
    assert_eq!(reordered_keys(&old, &json!([7, {"b": 2, "a": 1}])), ["$[1]"]);
    let (old, new) = (json!([{"a": 1, "b": 2}, {"c": 3}, {"d": 4}]), json!([{"c": 3}, {"d": 4}, {"b": 2, "a": 1}]));
    assert_eq!(reordered_keys(&old, &new), ["$[2]"], "an item that moved is still that item");
}

#[test]
fn scalars_in_arrays_change_in_place() {
    insta::assert_snapshot!(draw(&json!([1, 2, 3]), &json!([1, 5, 3, 4])), @r"
    $[1]: 2 -> 5
    $[3]: (none) -> 4
    ");
}

#[test]
fn numbers_are_compared_by_value_and_large_integers_are_not_rounded() {
    assert!(json_equal(&json!(1), &json!(1.0)));
    assert!(json_equal(&json!(-0.0), &json!(0)));
    assert!(json_equal(&serde_json::from_str("1e2").unwrap(), &json!(100)));
    assert!(!json_equal(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)));
    assert!(!json_equal(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992.0)));
    assert!(json_equal(&json!(9_007_199_254_740_992_u64), &json!(9_007_199_254_740_992.0)));
    assert!(!json_equal(&json!(u64::MAX), &json!(18_446_744_073_709_551_616.0)));
    assert!(!json_equal(&json!(1), &json!("1")));
    assert!(!json_equal(&json!(null), &json!(false)));
}

#[test]
fn paths_escape_what_is_no_plain_name() {
    let mut path = JsonPathText::default();
    path.push_member("a_1");
    path.push_index(0);
    path.push_member("it's\n\u{1}\\");
    path.push_member("");
    path.push_member("1a");
    assert_eq!(path.as_str(), r"$.a_1[0]['it\'s\n\u0001\\']['']['1a']");
}

#[test]
fn deep_values_are_compared_without_overflow() {
    let deep = |leaf: Value, depth: usize| (0..depth).fold(leaf, |value, _| json!([value]));
    let changes = json_diff(&deep(json!(1), 1_000), &deep(json!(2), 1_000));
    assert_eq!(changes.len(), 1);
    assert!(!json_equal(&deep(json!(1), 1_000), &deep(json!(2), 1_000)));
}

#[test]
fn long_arrays_of_different_items_end_in_bounded_time() {
    let items = |seed: u64| Value::from((0..30_000_u64).map(|n| json!({"n": (n * seed) % 9_973})).collect::<Vec<_>>());
    let start = Instant::now();
    assert!(!json_diff(&items(7), &items(13)).is_empty());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// The change applied to the old value, by the rule that the documentation of `json_diff` gives.
fn apply(old: &Value, changes: &[(Vec<Step>, &JsonChange)]) -> Value {
    if let Some((_, change)) = changes.iter().find(|(steps, _)| steps.is_empty()) {
        return change.new.clone().unwrap();
    }
    let here = |step: &Step| changes.iter().filter(|(steps, _)| steps[0] == *step).collect::<Vec<_>>();
    let below = |step: &Step, old: &Value| {
        let inner: Vec<_> = here(step)
            .into_iter()
            .filter(|(steps, change)| steps.len() > 1 || (change.old.is_some() && change.new.is_some()))
            .map(|(steps, change)| (steps[1..].to_vec(), *change))
            .collect();
        if inner.is_empty() { old.clone() } else { apply(old, &inner) }
    };
    let removed = |step: &Step| here(step).iter().any(|(steps, change)| steps.len() == 1 && change.new.is_none());
    let added = |step: &Step| here(step).into_iter().find(|(steps, change)| steps.len() == 1 && change.old.is_none());
    match old {
        Value::Object(members) => {
            let mut new = Map::new();
            for (key, value) in members {
                let step = Step::Member(key.clone());
                if !removed(&step) {
                    new.insert(key.clone(), below(&step, value));
                }
            }
            for (steps, change) in changes {
                if let (1, Step::Member(key), None) = (steps.len(), &steps[0], &change.old) {
                    new.insert(key.clone(), change.new.clone().unwrap());
                }
            }
            Value::Object(new)
        }
        Value::Array(items) => {
            let mut kept = items.iter().enumerate().filter(|(index, _)| !removed(&Step::Item(*index))).map(|(_, item)| item).peekable();
            let mut new = Vec::new();
            loop {
                let step = Step::Item(new.len());
                if let Some((_, change)) = added(&step) {
                    new.push(change.new.clone().unwrap());
                } else if let Some(item) = kept.next() {
                    new.push(below(&step, item));
                } else {
                    return Value::Array(new);
                }
            }
        }
        scalar => scalar.clone(),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Member(String),
    Item(usize),
}

/// Only for the keys of the property below: plain names.
fn steps(path: &str) -> Vec<Step> {
    path[1..]
        .split_inclusive(['.', '[', ']'])
        .flat_map(|part| part.trim_matches(['.', '[', ']']).split('.').map(str::to_owned).collect::<Vec<_>>())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_or_else(|_| Step::Member(part), Step::Item))
        .collect()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        Just(json!(1.0)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_changes_applied_to_the_old_value_give_the_new_one(old in value(), new in value()) {
        let changes = json_diff(&old, &new);
        prop_assert_eq!(changes.is_empty(), json_equal(&old, &new));
        let located: Vec<_> = changes.iter().map(|change| (steps(&change.path), change)).collect();
        let applied = apply(&old, &located);
        prop_assert!(json_equal(&applied, &new), "{} became {}", old, applied);
    }

    #[test]
    fn equality_is_an_equivalence(a in value(), b in value(), c in value()) {
        prop_assert!(json_equal(&a, &a));
        prop_assert_eq!(json_equal(&a, &b), json_equal(&b, &a));
        prop_assert!(!(json_equal(&a, &b) && json_equal(&b, &c)) || json_equal(&a, &c));
    }

    #[test]
    fn equal_values_have_equal_hashes(a in value(), b in value()) {
        let hashed = |value: &Value| {
            let mut hasher = DefaultHasher::new();
            Item(value).hash(&mut hasher);
            hasher.finish()
        };
        prop_assert!(!json_equal(&a, &b) || hashed(&a) == hashed(&b));
    }
}

fn bytes(changes: &[JsonChange]) -> usize {
    serde_json::to_string(changes).unwrap().len()
}

/// Time that a difference may take in a build without optimisation, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_difference_of_a_million_values_is_bounded_and_says_what_it_leaves_out() {
    let numbers = |from: u64| Value::from((0..1_000_000).map(|number| (number * 7 + from) % 999_983).collect::<Vec<u64>>());
    let (old, new) = (json!({ "all": numbers(1) }), json!({ "all": numbers(500_000) }));
    let began = Instant::now();
    let changes = json_diff(&old, &new);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(changes.len() <= MAX_CHANGES && bytes(&changes) < 2 * MAX_BYTES, "{} bytes", bytes(&changes));
    assert!(changes.last().unwrap().left_out > 100_000, "{:?}", changes.last());
    assert!(changes.iter().rev().skip(1).all(|change| change.left_out == 0), "only the last one tells");
}

#[test]
fn large_values_are_shortened_and_keep_their_type() {
    let large = |text: &str| json!({"text": text.repeat(3_000_000), "object": {"a": text.repeat(50_000)}, "list": vec![text; 500_000]});
    let changes = json_diff(&large("é"), &large("x"));
    assert!(bytes(&changes) < 2 * MAX_BYTES, "{} bytes", bytes(&changes));
    let of = |path: &str| changes.iter().find(|change| change.path == path).unwrap_or_else(|| panic!("{path} in {}", changes.len()));
    assert!(of("$.text").shortened && of("$.text").new.as_ref().unwrap().as_str().unwrap().ends_with("x…"));
    assert!(of("$.object.a").shortened && !of("$.list[0]").shortened);
    let changes = json_diff(&json!([]), &json!([vec!["item"; 500_000]]));
    let items = changes[0].new.as_ref().unwrap().as_array().unwrap();
    assert!(changes[0].shortened && items.last().unwrap().as_str().unwrap().ends_with("more items)"), "{:?}", items.last());
    let wide: Map<String, Value> = (0..100_000).map(|number| (number.to_string(), json!(number))).collect();
    let changes = json_diff(&json!(null), &Value::Object(wide));
    assert!(changes[0].new.as_ref().unwrap()["…"].as_str().unwrap().ends_with("more members)"));
}

#[test]
fn a_key_as_long_as_a_reply_costs_its_length_once() {
    let key = "key".repeat(1_000_000);
    let nested =
        |leaf: u64| json!({ key.as_str(): (0..20_000).map(|number| (number.to_string(), json!(number + leaf))).collect::<Map<_, _>>() });
    let began = Instant::now();
    let changes = json_diff(&nested(0), &nested(1));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(changes[0].path.len() < 1_000 && bytes(&changes) < 4 * MAX_BYTES);
    assert_eq!(changes.len() as u64 + changes.last().unwrap().left_out, 20_000);
}

#[test]
fn alike_and_heavy_items_are_paired_within_the_time() {
    let item = |last: usize| Value::from((0..20_000).map(|number| json!(if number == 19_999 { last } else { number })).collect::<Vec<_>>());
    let (old, new) = ((0..40).map(item).collect::<Vec<_>>(), (100..140).map(item).collect::<Vec<_>>());
    let began = Instant::now();
    assert_eq!(json_diff(&Value::from(old), &Value::from(new)).len(), 40);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}
