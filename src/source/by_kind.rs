//! How does a shape take several forms (`contains: x`, `contains: {value: x}`) and still say precisely what is wrong in one of them?

/// Which of its forms a value takes is decided by the kind of value alone, so that a mistake inside keeps its own message and place
/// (serde's `untagged` would say "did not match any variant").
macro_rules! by_kind {
    ($shape:ty, $expecting:literal
        $(, text: $text:expr)? $(, number: $number:expr)? $(, flag: $flag:expr)? $(, list: $list:expr)? $(, mapping: $mapping:expr)?) => {
        impl<'de> serde::Deserialize<'de> for $shape {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ByKind;

                impl<'de> serde::de::Visitor<'de> for ByKind {
                    type Value = $shape;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str($expecting)
                    }

                    $(fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$shape, E> {
                        let form = $text;
                        form(text)
                    })?

                    $(fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<$shape, E> {
                        Ok($number(number))
                    })?

                    $(fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<$shape, E> {
                        Ok($flag(flag))
                    })?

                    $(fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<$shape, A::Error> {
                        let form = $list;
                        serde::Deserialize::deserialize(serde::de::value::SeqAccessDeserializer::new(list)).map(form)
                    })?

                    $(fn visit_map<A: serde::de::MapAccess<'de>>(self, mapping: A) -> Result<$shape, A::Error> {
                        let form = $mapping;
                        serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(mapping)).map(form)
                    })?
                }

                by_kind!(@ask deserializer $($text)?)
            }
        }
    };
    // The decoder answers `identifier` with the spelling of any scalar: `contains: 42` is the text `42`.
    (@ask $deserializer:ident $text:expr) => { $deserializer.deserialize_identifier(ByKind) };
    (@ask $deserializer:ident) => { $deserializer.deserialize_any(ByKind) };
}
pub(crate) use by_kind;
