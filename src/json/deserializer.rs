//! Deserialises JSON values, with errors that name the expected and the found type but never the
//! value.

use serde::Deserializer;
use serde::de::IntoDeserializer;
use serde::de::Visitor;
use serde::de::value::MapDeserializer;
use serde::de::value::SeqDeserializer;
use serde::forward_to_deserialize_any;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::json::field_error::FieldError;

/// Deserialises a parsed JSON value.
///
/// A null field of an object counts as absent. An array is never accepted in place of an object,
/// although serde can read one as fields in order.
#[derive(Debug)]
pub(super) struct ValueDeserializer(pub(super) Value);

/// Defines methods that accept one JSON type each.
macro_rules! wrong_type {
    ($($method:ident($pattern:pat): $expected:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            match self.0 {
                $pattern => self.deserialize_any(visitor),
                other => Err(FieldError::wrong_type($expected, &other)),
            }
        }
    )*};
}

/// Defines methods that accept whole numbers.
macro_rules! whole_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            match &self.0 {
                Value::Number(number) if !number.is_f64() => self.deserialize_any(visitor),
                Value::Number(_) => Err(FieldError::Value { expected: WHOLE_NUMBER.into() }),
                other => Err(FieldError::wrong_type(WHOLE_NUMBER, other)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ValueDeserializer {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(boolean) => visitor.visit_bool(boolean),
            Value::Number(number) => visit_number(&number, visitor),
            Value::String(string) => visitor.visit_string(string),
            Value::Array(values) => visit_array(values, visitor),
            Value::Object(fields) => visit_object(fields, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            other => Err(FieldError::wrong_type("a string", &other)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    wrong_type! {
        deserialize_bool(Value::Bool(_)): "true or false"
        deserialize_f32(Value::Number(_)): "a number"
        deserialize_f64(Value::Number(_)): "a number"
        deserialize_str(Value::String(_)): "a string"
        deserialize_string(Value::String(_)): "a string"
        deserialize_seq(Value::Array(_)): "an array"
        deserialize_map(Value::Object(_)): "an object"
    }

    whole_numbers! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    }

    forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

impl IntoDeserializer<'_, FieldError> for ValueDeserializer {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, FieldError> {
    if let Some(number) = number.as_u64() {
        visitor.visit_u64(number)
    } else if let Some(number) = number.as_i64() {
        visitor.visit_i64(number)
    } else {
        visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
    }
}

fn visit_array<'de, V: Visitor<'de>>(
    values: Vec<Value>,
    visitor: V,
) -> Result<V::Value, FieldError> {
    let mut elements = SeqDeserializer::new(values.into_iter().map(ValueDeserializer));
    let value = visitor.visit_seq(&mut elements)?;
    elements.end()?;
    Ok(value)
}

fn visit_object<'de, V: Visitor<'de>>(
    fields: Map<String, Value>,
    visitor: V,
) -> Result<V::Value, FieldError> {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    visitor.visit_map(MapDeserializer::new(
        fields.map(|(name, value)| (name, ValueDeserializer(value))),
    ))
}

const WHOLE_NUMBER: &str = "a whole number";
