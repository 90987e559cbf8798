//! Positive integers.

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;
use utoipa::openapi::Type;

/// A positive integer.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Count(pub(in crate::http) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i128::from(i64::deserialize(deserializer)?) {
            number @ 1.. => Ok(Self(usize::try_from(number).unwrap_or(usize::MAX))),
            _ => Err(D::Error::custom("a whole number above 0")),
        }
    }
}

impl PartialSchema for Count {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).into()
    }
}

impl ToSchema for Count {}
