//! Values separated by commas, where a value may itself contain a comma.

/// Splits at commas, but not within a part that exists; the longest such part is taken.
pub(super) fn split_list(text: &str, exists: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let ends = text.match_indices(',').map(|(end, _)| end).chain([text.len()]);
        let first = text.find(',').unwrap_or(text.len());
        let end = ends.rev().find(|&end| exists(&text[..end])).unwrap_or(first);
        parts.push(&text[..end]);
        rest = text.get(end + 1..);
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_part_that_exists_is_not_split() {
        for (text, existing, parts) in [
            ("a", &[][..], &["a"][..]),
            ("", &[], &[""]),
            ("a,b", &[], &["a", "b"]),
            ("a,b", &["a,b"], &["a,b"]),
            ("a,b", &["a", "b"], &["a", "b"]),
            ("a,b,c", &["a,b", "c"], &["a,b", "c"]),
            ("a,b,c", &["b,c"], &["a", "b,c"]),
            ("a,b,c", &["a", "a,b,c"], &["a,b,c"]),
            ("a,,b", &[], &["a", "", "b"]),
            ("a,", &[], &["a", ""]),
            ("a,", &["a,"], &["a,"]),
        ] {
            assert_eq!(split_list(text, |part| existing.contains(&part)), parts, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_joined_are_the_text(text in "[a,é]{0,8}", lengths in prop::collection::vec(0_usize..9, 0..4)) {
            let parts = split_list(&text, |part| lengths.contains(&part.len()));
            prop_assert_eq!(parts.join(","), text);
        }
    }
}
