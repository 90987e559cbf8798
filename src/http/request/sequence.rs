//! Reads arrays whose first element decides the type of the others.

use serde::Deserialize;
use serde::de::SeqAccess;

/// Reads the remaining elements of a sequence and appends them to `elements`.
pub(super) fn read_rest<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    mut seq: A,
    mut elements: Vec<T>,
) -> Result<Vec<T>, A::Error> {
    while let Some(element) = seq.next_element()? {
        elements.push(element);
    }
    Ok(elements)
}
