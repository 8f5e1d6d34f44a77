//! JSON as the vendor really sends it: numbers as text, text as numbers, one object where a list is
//! documented.
//!
//! Invariant: a scalar or list of an unexpected kind becomes "nothing", never an error; only a body
//! that is no JSON at all, or whose outermost shape is another one, is unreadable. Depth is bounded
//! by the parser (128).

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

/// Most elements of one list that are kept; the longest documented page has 100.
const LIST_MAX: usize = 1000;

/// A text, number or boolean, as text; anything else, and null, is nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Scalar<'a>(pub Option<Cow<'a, str>>);

impl Scalar<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }

    /// `true`, `"True"`, `"true"`; anything that is neither true nor false is nothing.
    pub(super) fn boolean(&self) -> Option<bool> {
        let text = self.text()?;
        if text.eq_ignore_ascii_case("true") {
            Some(true)
        } else if text.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            None
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Borrowed(if value { "true" } else { "false" }))))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// In a visitor: null, booleans, numbers and texts become the default value.
macro_rules! scalars_are_nothing {
    () => {
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

/// An object, or nothing where something else stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object<T>(pub Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let LenientList { rows, .. } = LenientList::deserialize(deserializer)?;
        let mut rows = rows.unwrap_or_default();
        Ok(Self(if rows.len() == 1 { rows.pop().flatten() } else { None }))
    }
}

/// A list of objects, also given as one object. `rows` is nothing when neither stands there; a row
/// that is no object is nothing in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LenientList<T> {
    pub rows: Option<Vec<Option<T>>>,
}

impl<T> Default for LenientList<T> {
    fn default() -> Self {
        Self { rows: None }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for LenientList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = LenientList<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<LenientList<T>, A::Error> {
                let mut rows = Vec::new();
                while let Some(LenientRow(row)) = seq.next_element()? {
                    if rows.len() == LIST_MAX {
                        return Err(de::Error::custom("a list longer than any page"));
                    }
                    rows.push(row);
                }
                Ok(LenientList { rows: Some(rows) })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LenientList<T>, A::Error> {
                Ok(LenientList {
                    rows: Some(vec![Some(T::deserialize(MapAccessDeserializer::new(map))?)]),
                })
            }
            scalars_are_nothing!();
        }
        deserializer.deserialize_any(ListVisitor(std::marker::PhantomData))
    }
}

/// One element of a list.
struct LenientRow<T>(Option<T>);

impl<T> Default for LenientRow<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for LenientRow<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RowVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for RowVisitor<T> {
            type Value = LenientRow<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LenientRow<T>, A::Error> {
                Ok(LenientRow(Some(T::deserialize(MapAccessDeserializer::new(map))?)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<LenientRow<T>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(LenientRow(None))
            }
            scalars_are_nothing!();
        }
        deserializer.deserialize_any(RowVisitor(std::marker::PhantomData))
    }
}
