//! CBOR (RFC 8949) with integer map keys.
//!
//! A structure is a map from small integers to values. A key that the reader does not know is skipped; a key that is
//! missing is an error unless its type has an empty value (`Option`, `Vec`) or its declaration says what an older peer means
//! by leaving it out. Numbers of keys are never reused.

pub use ciborium::Value;

/// Why bytes are not the expected message.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
pub enum DecodeError {
    #[error("not CBOR: {0}")]
    Syntax(String),
    #[error("{structure} lacks field {field}")]
    Missing { structure: &'static str, field: u64 },
    #[error("expected {expected}")]
    Type { expected: &'static str },
}

/// A value that has one CBOR form.
pub trait Wire: Sized {
    fn to_value(&self) -> Value;
    fn from_value(value: Value) -> Result<Self, DecodeError>;
    /// What an absent field means; `None`: the field is required.
    fn absent() -> Option<Self> {
        None
    }
}

pub fn encode(message: &impl Wire) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a Vec cannot fail.
    let _ = ciborium::into_writer(&message.to_value(), &mut bytes);
    bytes
}

pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, DecodeError> {
    let value = ciborium::from_reader(bytes).map_err(|error| DecodeError::Syntax(format!("{error}")))?;
    T::from_value(value)
}

impl Wire for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        value.into_text().map_err(|_| DecodeError::Type { expected: "text" })
    }
}

impl Wire for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        value.into_bool().map_err(|_| DecodeError::Type { expected: "boolean" })
    }
}

macro_rules! wire_integers {
    ($($kind:ty),*) => {$(
        impl Wire for $kind {
            fn to_value(&self) -> Value {
                Value::Integer((*self).into())
            }
            fn from_value(value: Value) -> Result<Self, DecodeError> {
                let wrong = || DecodeError::Type { expected: stringify!($kind) };
                value.into_integer().map_err(|_| wrong())?.try_into().map_err(|_| wrong())
            }
        }
    )*};
}
wire_integers!(u16, u32, u64, i64);

impl<T: Wire> Wire for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Wire::to_value)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn to_value(&self) -> Value {
        Value::Array(self.iter().map(Wire::to_value).collect())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let items = value.into_array().map_err(|_| DecodeError::Type { expected: "array" })?;
        items.into_iter().map(T::from_value).collect()
    }
    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

/// Takes the fields of one structure out of a map.
pub struct Fields {
    structure: &'static str,
    entries: Vec<(Value, Value)>,
}

impl Fields {
    pub fn of(structure: &'static str, value: Value) -> Result<Self, DecodeError> {
        let entries = value.into_map().map_err(|_| DecodeError::Type { expected: structure })?;
        Ok(Self { structure, entries })
    }

    /// `default`: what the field is when it is not there, instead of what its type says.
    pub fn take<T: Wire>(&mut self, field: u64, default: Option<T>) -> Result<T, DecodeError> {
        let wanted = Value::Integer(field.into());
        match self.entries.iter().position(|(key, _)| *key == wanted) {
            Some(at) => T::from_value(self.entries.swap_remove(at).1),
            None => {
                default.or_else(T::absent).ok_or(DecodeError::Missing { structure: self.structure, field })
            }
        }
    }
}

/// Declares a structure together with the integer key of each field. A field that came later says after `=` what its absence
/// means: `8 => delete_policy: DeletePolicy = DeletePolicy::Mirror`.
#[macro_export]
macro_rules! wire_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $key:literal => $field:ident : $kind:ty $(= $default:expr)?),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind),* }

        impl $crate::cbor::Wire for $name {
            fn to_value(&self) -> $crate::cbor::Value {
                $crate::cbor::Value::Map(vec![$(($crate::cbor::Value::Integer(($key as u64).into()), self.$field.to_value())),*])
            }
            fn from_value(value: $crate::cbor::Value) -> Result<Self, $crate::cbor::DecodeError> {
                let mut fields = $crate::cbor::Fields::of(stringify!($name), value)?;
                Ok(Self { $($field: fields.take($key, None$(.or(Some($default)))?)?),* })
            }
        }
    };
}

/// Declares an enumeration of words with an integer for each; a number from a newer peer reads as `$unknown`.
#[macro_export]
macro_rules! wire_words {
    ($(#[$meta:meta])* pub enum $name:ident unknown $unknown:ident { $($(#[$word_meta:meta])* $key:literal => $word:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$word_meta])* $word),* }

        impl $name {
            /// The word as it stands in ARM documents.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => stringify!($word)),* }
            }

            /// On the wire and on disk.
            pub fn number(self) -> u64 {
                match self { $(Self::$word => $key),* }
            }

            pub fn from_number(number: u64) -> Self {
                match number { $($key => Self::$word,)* _ => Self::$unknown }
            }
        }

        impl $crate::cbor::Wire for $name {
            fn to_value(&self) -> $crate::cbor::Value {
                $crate::cbor::Value::Integer(self.number().into())
            }
            fn from_value(value: $crate::cbor::Value) -> Result<Self, $crate::cbor::DecodeError> {
                Ok(Self::from_number(u64::from_value(value)?))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    wire_struct! {
        pub struct Old { 1 => name: String }
    }

    wire_struct! {
        pub struct New { 1 => name: String, 2 => limit: u64 = 7, 3 => count: u64 }
    }

    #[test]
    fn a_field_that_an_older_peer_leaves_out_has_its_default_and_one_that_is_there_does_not() {
        let old = |fields: Vec<(u64, Value)>| {
            Value::Map(fields.into_iter().map(|(key, value)| (key.to_value(), value)).collect())
        };
        let short = old(vec![(1, "a".to_owned().to_value()), (3, 1u64.to_value())]);
        assert_eq!(New::from_value(short), Ok(New { name: "a".into(), limit: 7, count: 1 }));
        let whole = New { name: "a".into(), limit: 0, count: 1 };
        assert_eq!(decode::<New>(&encode(&whole)), Ok(whole.clone()));
        assert_eq!(decode::<Old>(&encode(&whole)), Ok(Old { name: "a".into() }));
        let bare = encode(&Old { name: "a".into() });
        assert_eq!(decode::<New>(&bare), Err(DecodeError::Missing { structure: "New", field: 3 }));
    }
}
