//! How does decoded data keep its places? [`Spanned`] carries one along; a [`Node`] inside of a shape is the tree itself.

use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use crate::source::document::Span;
use crate::source::node::Node;

/// The name by which [`Spanned`] is recognised.
pub(crate) const SPANNED: &str = "$promptkeel::Spanned";
/// The name by which a [`Node`] is recognised.
pub(crate) const NODE: &str = "$promptkeel::Node";

thread_local! {
    /// serde's data model cannot carry a `Node`; the decoder lays it here and the very next call takes it.
    static HANDED_OVER: RefCell<Option<Node>> = const { RefCell::new(None) };
}

/// Lays a node down for the visitor that is called next.
pub(crate) fn hand_over(node: Node) {
    HANDED_OVER.with_borrow_mut(|place| *place = Some(node));
}

/// A decoded value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Spanned<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value with its place")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
                let missing = || A::Error::custom("a place was asked for, and this format has none");
                let value = parts.next_element()?.ok_or_else(missing)?;
                let start = parts.next_element()?.ok_or_else(missing)?;
                let end = parts.next_element()?.ok_or_else(missing)?;
                Ok(Spanned { value, span: Span { start, end } })
            }
        }

        deserializer.deserialize_tuple_struct(SPANNED, 3, Parts(std::marker::PhantomData))
    }
}

/// In a JSON Schema the place is invisible.
impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;

        impl Visitor<'_> for Take {
            type Value = Node;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("any value")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
                HANDED_OVER.take().ok_or_else(|| E::custom("a tree was asked for, and this format has none"))
            }
        }

        deserializer.deserialize_unit_struct(NODE, Take)
    }
}

/// In a JSON Schema: anything.
impl schemars::JsonSchema for Node {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}
