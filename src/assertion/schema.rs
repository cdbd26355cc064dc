//! Which schemas does a schema hold, and of which part of a value does each of them speak?
//!
//! References are followed as the validator follows them: by the addresses (`$id`), anchors and pointers of the draft that is in force.
//! What stands in `const`, `enum`, `default` and `examples` is a value, whatever it looks like.

use std::collections::HashMap;
use std::error::Error;
use std::ptr::from_ref;
use std::sync::Arc;

use jsonschema::{Draft, ReferencingError, Registry, Retrieve, Uri, uri};
use serde_json::{Map, Value, json};

/// A schema and those in it, the whole one first.
pub(super) struct Graph<'s> {
    pub(super) nodes: Vec<Node<'s>>,
}

/// One of them.
pub(super) struct Node<'s> {
    pub(super) schema: &'s Value,
    pub(super) draft: Draft,
    pub(super) edges: Vec<Edge<'s>>,
}

/// A schema that another one asks.
pub(super) struct Edge<'s> {
    pub(super) how: How<'s>,
    /// Its place among the nodes.
    pub(super) to: usize,
}

/// Of which part of the value it is asked, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How<'s> {
    /// The same value, as this reference says. A dynamic one may name several schemas, of which one is meant.
    Reference(&'s str),
    /// The same value.
    AllOf,
    AnyOf,
    OneOf,
    Not,
    If,
    Then,
    Else,
    /// The same value, if it has a certain member.
    Dependent,
    /// A member.
    Property(&'s str),
    /// Members whose name a pattern matches.
    Pattern,
    /// Members that have no schema of their own.
    Other,
    /// All members that nothing else looked at.
    Unevaluated,
    /// The names of all members.
    Names,
    /// One item.
    Item(usize),
    /// All items, or those behind the ones that have a schema of their own.
    Items,
    /// Any item.
    Contains,
    /// It is only kept there, to be referred to.
    Kept,
}

impl How<'_> {
    /// Whether it is asked of the whole value.
    pub(super) const fn is_same(self) -> bool {
        match self {
            Self::Reference(_) | Self::AllOf | Self::AnyOf | Self::OneOf | Self::Not | Self::If | Self::Then | Self::Else => true,
            Self::Dependent => true,
            Self::Property(_) | Self::Pattern | Self::Other | Self::Unevaluated | Self::Names => false,
            Self::Item(_) | Self::Items | Self::Contains | Self::Kept => false,
        }
    }
}

/// Nothing is fetched, and the drafts' own schemas need not be read: something that is a schema stands for each.
struct Drafts;

impl Retrieve for Drafts {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        if uri.as_str().contains("://json-schema.org/") {
            return Ok(json!({"type": ["object", "boolean"]}));
        }
        Err("nothing is fetched".into())
    }
}

/// Shows all that a schema holds.
///
/// # Errors
/// Where an address in it is none, or it refers to something outside of it.
pub(super) fn read<T>(schema: &Value, see: impl FnOnce(&Graph<'_>) -> T) -> Result<T, ReferencingError> {
    let draft = Draft::default().detect(schema);
    let base = uri::from_str(draft.create_resource_ref(schema).id().unwrap_or_default().trim_end_matches('#'))?;
    let registry = Registry::new().add(base.as_str(), draft.create_resource_ref(schema))?.draft(draft).retriever(Drafts).prepare()?;
    let mut reading = Reading { registry: &registry, places: HashMap::new(), nodes: Vec::new(), bases: Vec::new() };
    let base = Arc::new(base);
    reading.node(registry.resolver((*base).clone()).lookup("#")?.contents(), &base, draft);
    let mut next = 0;
    while next < reading.nodes.len() {
        reading.follow(next);
        next += 1;
    }
    reading.follow_dynamic();
    Ok(see(&Graph { nodes: reading.nodes }))
}

struct Reading<'r, 'a> {
    registry: &'r Registry<'a>,
    /// By the address of the schema.
    places: HashMap<*const Value, usize>,
    nodes: Vec<Node<'r>>,
    /// What the references of each are relative to.
    bases: Vec<Arc<Uri<String>>>,
}

impl<'r> Reading<'r, '_> {
    fn node(&mut self, schema: &'r Value, base: &Arc<Uri<String>>, draft: Draft) -> usize {
        if let Some(place) = self.places.get(&from_ref(schema)) {
            return *place;
        }
        let place = self.nodes.len();
        self.places.insert(from_ref(schema), place);
        self.bases.push(self.own_base(schema, base, draft).unwrap_or_else(|| Arc::clone(base)));
        self.nodes.push(Node { schema, draft, edges: Vec::new() });
        place
    }

    /// The address that a schema gives itself.
    fn own_base(&self, schema: &Value, base: &Uri<String>, draft: Draft) -> Option<Arc<Uri<String>>> {
        let resource = draft.create_resource_ref(schema);
        let own = self.registry.resolve_uri(&base.borrow(), resource.id()?.trim_end_matches('#')).ok()?;
        // One that was found by its own address is there already, and a relative one would lead on from it.
        let named = self.registry.resolver((*own).clone()).lookup("#").ok()?;
        std::ptr::eq(named.contents(), schema).then_some(own)
    }

    fn add(&mut self, from: usize, how: How<'r>, schema: &'r Value) {
        let (base, draft) = (Arc::clone(&self.bases[from]), self.nodes[from].draft);
        let to = self.node(schema, &base, draft);
        self.nodes[from].edges.push(Edge { how, to });
    }

    fn refer(&mut self, from: usize, reference: &'r str) {
        let resolver = self.registry.resolver((*self.bases[from]).clone());
        // What leads nowhere the validator has refused.
        let Ok(found) = resolver.lookup(reference) else { return };
        let (schema, resolver, draft) = found.into_inner();
        let to = self.node(schema, &resolver.base_uri(), draft);
        self.nodes[from].edges.push(Edge { how: How::Reference(reference), to });
    }

    fn follow(&mut self, from: usize) {
        let Node { schema: Value::Object(members), draft, .. } = self.nodes[from] else { return };
        let keyword = dynamic_keyword(draft);
        for reference in [Some("$ref"), keyword].into_iter().flatten().filter_map(|key| members.get(key)?.as_str()) {
            self.refer(from, reference);
        }
        // Up to draft 7 nothing beside a `$ref` counts.
        if draft <= Draft::Draft7 && members.contains_key("$ref") {
            return;
        }
        for (key, value) in members {
            self.below(from, draft, members, key, value);
        }
    }

    fn below(&mut self, from: usize, draft: Draft, members: &'r Map<String, Value>, key: &str, value: &'r Value) {
        let since = |since: Draft, how: How<'r>| (draft >= since).then_some(how);
        let single = match key {
            "not" => Some(How::Not),
            "if" => since(Draft::Draft7, How::If),
            // Without `if` the other two are not looked at.
            "then" if members.contains_key("if") => since(Draft::Draft7, How::Then),
            "else" if members.contains_key("if") => since(Draft::Draft7, How::Else),
            "additionalProperties" => Some(How::Other),
            "propertyNames" => since(Draft::Draft6, How::Names),
            "contains" => since(Draft::Draft6, How::Contains),
            "unevaluatedProperties" => since(Draft::Draft201909, How::Unevaluated),
            "unevaluatedItems" => since(Draft::Draft201909, How::Items),
            "items" if !value.is_array() => Some(How::Items),
            "additionalItems" if members.get("items").is_some_and(Value::is_array) => Some(How::Items),
            _ => None,
        };
        if let Some(how) = single {
            return self.add(from, how, value);
        }
        match (key, value) {
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                let how = if key == "allOf" {
                    How::AllOf
                } else if key == "anyOf" {
                    How::AnyOf
                } else {
                    How::OneOf
                };
                schemas.iter().for_each(|schema| self.add(from, how, schema));
            }
            ("items", Value::Array(schemas)) => schemas.iter().enumerate().for_each(|(at, schema)| self.add(from, How::Item(at), schema)),
            ("prefixItems", Value::Array(schemas)) if draft >= Draft::Draft202012 => {
                schemas.iter().enumerate().for_each(|(at, schema)| self.add(from, How::Item(at), schema));
            }
            ("properties", Value::Object(schemas)) => schemas.iter().for_each(|(name, schema)| self.add(from, How::Property(name), schema)),
            ("patternProperties", Value::Object(schemas)) => schemas.values().for_each(|schema| self.add(from, How::Pattern, schema)),
            ("dependentSchemas", Value::Object(schemas)) if draft >= Draft::Draft201909 => {
                schemas.values().for_each(|schema| self.add(from, How::Dependent, schema));
            }
            // A list there names members.
            ("dependencies", Value::Object(schemas)) => {
                schemas.values().filter(|schema| !schema.is_array()).for_each(|schema| self.add(from, How::Dependent, schema));
            }
            ("$defs" | "definitions", Value::Object(schemas)) => schemas.values().for_each(|schema| self.add(from, How::Kept, schema)),
            _ => {}
        }
    }

    /// A dynamic reference may mean each schema that has the same dynamic anchor.
    fn follow_dynamic(&mut self) {
        let anchor = |node: &Node<'r>| match node.draft {
            Draft::Draft201909 => (node.schema.get("$recursiveAnchor")? == true).then_some("#"),
            draft if draft >= Draft::Draft202012 => node.schema.get("$dynamicAnchor")?.as_str(),
            _ => None,
        };
        let mut anchors: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, node) in self.nodes.iter().enumerate() {
            if let Some(anchor) = anchor(node) {
                anchors.entry(anchor).or_default().push(place);
            }
        }
        for node in &mut self.nodes {
            let Some(reference) = dynamic_keyword(node.draft).and_then(|key| node.schema.get(key)?.as_str()) else { continue };
            let name = if reference == "#" { "#" } else { reference.rsplit('#').next().unwrap_or_default() };
            for to in anchors.get(name).into_iter().flatten().copied() {
                if !node.edges.iter().any(|edge| edge.to == to && edge.how == How::Reference(reference)) {
                    node.edges.push(Edge { how: How::Reference(reference), to });
                }
            }
        }
    }
}

fn dynamic_keyword(draft: Draft) -> Option<&'static str> {
    match draft {
        Draft::Draft201909 => Some("$recursiveRef"),
        draft if draft >= Draft::Draft202012 => Some("$dynamicRef"),
        _ => None,
    }
}
