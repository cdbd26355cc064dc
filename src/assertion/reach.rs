//! Which texts of a value may a pattern with look-around read, which takes more than linear time?

use std::collections::HashSet;
use std::ptr::from_ref;

use serde_json::Value;

use crate::assertion::excerpt;
use crate::assertion::pattern::LONGEST_TEXT;
use crate::assertion::schema::{Graph, How, Node};
use crate::diff::JsonPathText;

/// The schemas that lead to such a pattern, the whole one first.
#[derive(Debug)]
pub(super) struct Reach(Vec<Reader>);

#[derive(Debug, Default)]
struct Reader {
    /// It has such a `pattern`.
    texts: bool,
    /// It has such a key of `patternProperties`.
    names: bool,
    /// Members that have a schema of their own, if others are judged by another.
    own: HashSet<Box<str>>,
    /// Those in it that lead further.
    below: Vec<(Part, usize)>,
}

/// Of which part of a value a schema speaks.
#[derive(Debug, Clone)]
enum Part {
    Whole,
    Member(Box<str>),
    Members,
    OtherMembers,
    Names,
    Item(usize),
    Items,
}

/// A part of a value on the way to where we are, and the one that it is in.
struct Place<'v> {
    inside: usize,
    segment: Segment<'v>,
}

#[derive(Clone, Copy)]
enum Segment<'v> {
    Root,
    Member(&'v str),
    Item(usize),
}

impl Reach {
    /// `None` where every pattern runs in linear time.
    pub(super) fn of(graph: &Graph<'_>) -> Option<Self> {
        let mut readers: Vec<Reader> = graph.nodes.iter().map(reader).collect();
        let mut from: Vec<Vec<usize>> = graph.nodes.iter().map(|_| Vec::new()).collect();
        for (at, node) in graph.nodes.iter().enumerate() {
            node.edges.iter().filter(|edge| edge.how != How::Kept).for_each(|edge| from[edge.to].push(at));
        }
        let mut leads: Vec<bool> = readers.iter().map(|reader| reader.texts || reader.names).collect();
        let mut open: Vec<usize> = (0..leads.len()).filter(|at| leads[*at]).collect();
        while let Some(at) = open.pop() {
            for &above in &from[at] {
                if !std::mem::replace(&mut leads[above], true) {
                    open.push(above);
                }
            }
        }
        for (reader, node) in readers.iter_mut().zip(&graph.nodes) {
            let below = node.edges.iter().filter(|edge| leads[edge.to]);
            reader.below = below.filter_map(|edge| Some((part(edge.how)?, edge.to))).collect();
            if reader.below.iter().any(|(part, _)| matches!(part, Part::OtherMembers)) {
                let own = node.edges.iter().filter_map(|edge| if let How::Property(name) = edge.how { Some(name.into()) } else { None });
                reader.own = own.collect();
            }
        }
        leads.first().is_some_and(|leads| *leads).then_some(Self(readers))
    }

    /// The place of a text that is too long for the pattern that may read it.
    pub(super) fn too_long(&self, json: &Value) -> Option<String> {
        // Only the way to a long text is gone, however much there is beside it.
        let mut long = HashSet::new();
        if !hold_long(json, &mut long) {
            return None;
        }
        let mut places = vec![Place { inside: 0, segment: Segment::Root }];
        let mut seen = HashSet::new();
        let mut open = vec![(0, json, 0)];
        while let Some((at, value, place)) = open.pop() {
            // What judges a value a second time finds the same.
            if !long.contains(&from_ref(value)) || !seen.insert((at, from_ref(value))) {
                continue;
            }
            let reader = &self.0[at];
            if reader.texts && value.as_str().is_some_and(|text| text.len() > LONGEST_TEXT) {
                return Some(path(&places, place));
            }
            let members = value.as_object();
            if reader.names && members.is_some_and(|members| members.keys().any(|name| name.len() > LONGEST_TEXT)) {
                return Some(path(&places, place));
            }
            for (part, to) in &reader.below {
                let mut go = |value, segment| {
                    places.push(Place { inside: place, segment });
                    open.push((*to, value, places.len() - 1));
                };
                match (part, value) {
                    (Part::Whole, _) => open.push((*to, value, place)),
                    (Part::Member(name), Value::Object(members)) => {
                        if let Some((name, member)) = members.get_key_value(&**name) {
                            go(member, Segment::Member(name));
                        }
                    }
                    (Part::Members, Value::Object(members)) => members.iter().for_each(|(name, member)| go(member, Segment::Member(name))),
                    (Part::OtherMembers, Value::Object(members)) => {
                        let others = members.iter().filter(|(name, _)| !reader.own.contains(name.as_str()));
                        others.for_each(|(name, member)| go(member, Segment::Member(name)));
                    }
                    // A name is no value that could be pointed at; whatever judges it reads it.
                    (Part::Names, Value::Object(members)) if members.keys().any(|name| name.len() > LONGEST_TEXT) => {
                        return Some(path(&places, place));
                    }
                    (Part::Item(index), Value::Array(items)) => {
                        if let Some(item) = items.get(*index) {
                            go(item, Segment::Item(*index));
                        }
                    }
                    (Part::Items, Value::Array(items)) => items.iter().enumerate().for_each(|(at, item)| go(item, Segment::Item(at))),
                    _ => {}
                }
            }
        }
        None
    }
}

fn reader(node: &Node<'_>) -> Reader {
    let texts = node.schema.get("pattern").and_then(Value::as_str).is_some_and(looks);
    let patterns = node.schema.get("patternProperties").and_then(Value::as_object);
    let names = patterns.is_some_and(|patterns| patterns.keys().any(|pattern| looks(pattern)));
    Reader { texts, names, ..Reader::default() }
}

fn part(how: How<'_>) -> Option<Part> {
    Some(match how {
        How::Reference(_) | How::AllOf | How::AnyOf | How::OneOf | How::Not | How::If | How::Then | How::Else | How::Dependent => {
            Part::Whole
        }
        How::Property(name) => Part::Member(name.into()),
        How::Pattern | How::Unevaluated => Part::Members,
        How::Other => Part::OtherMembers,
        How::Names => Part::Names,
        How::Item(index) => Part::Item(index),
        How::Items | How::Contains => Part::Items,
        How::Kept => return None,
    })
}

/// Whether a pattern has look-around or back-references. A text that only looks so costs nothing but the bound.
fn looks(pattern: &str) -> bool {
    ["(?=", "(?!", "(?<=", "(?<!", "\\k"].iter().any(|mark| pattern.contains(mark))
        || pattern.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit())
}

/// Whether a value is or holds a text or a name that is long; `long` gets every part of it that does.
fn hold_long(json: &Value, long: &mut HashSet<*const Value>) -> bool {
    let is_long = match json {
        Value::String(text) => text.len() > LONGEST_TEXT,
        Value::Array(items) => items.iter().fold(false, |is_long, item| hold_long(item, long) | is_long),
        Value::Object(members) => {
            members.iter().fold(false, |is_long, (name, value)| hold_long(value, long) | is_long | (name.len() > LONGEST_TEXT))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    if is_long {
        long.insert(from_ref(json));
    }
    is_long
}

fn path(places: &[Place<'_>], place: usize) -> String {
    let mut segments = Vec::new();
    let mut at = place;
    while let Place { inside, segment: segment @ (Segment::Member(_) | Segment::Item(_)) } = places[at] {
        segments.push(segment);
        at = inside;
    }
    let mut path = JsonPathText::default();
    for segment in segments.into_iter().rev() {
        match segment {
            Segment::Root => {}
            Segment::Member(name) => path.push_member(name),
            Segment::Item(index) => path.push_index(index),
        }
    }
    excerpt::clipped(path.as_str(), excerpt::LONGEST_PATH)
}
