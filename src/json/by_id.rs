//! A map in the order in which it was made.

use serde::Serialize;
use serde::Serializer;

/// Written as an object, in its own order.
#[derive(Debug, Clone, PartialEq)]
pub struct ById<T>(pub Vec<(String, T)>);

impl<T> FromIterator<(String, T)> for ById<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for ById<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, value)| (id, value)))
    }
}
