//! Token ids cut into overlapping windows.

use std::ops::Range;

use crate::error::Error;
use crate::error::Result;

/// A part of a text that fits into the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// The byte range of the text that its tokens cover.
    pub bytes: Range<usize>,
}

/// How texts are cut into windows.
#[derive(Debug, Clone)]
pub struct Windows {
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    capacity: usize, // above overlap, so that every window advances
    overlap: usize,
}

impl Windows {
    /// Creates windows of at most `max_tokens`, special tokens included. Fails with
    /// [`Error::Config`] if `overlap` is too large.
    pub fn new(
        prefix: Vec<u32>,
        suffix: Vec<u32>,
        max_tokens: usize,
        overlap: usize,
    ) -> Result<Self> {
        let capacity = max_tokens.saturating_sub(prefix.len() + suffix.len());
        if overlap >= capacity {
            let reason = format!("{overlap} tokens, but a window of this model has {capacity}");
            return Err(Error::Config { name: "overlap", reason });
        }
        Ok(Self { prefix, suffix, capacity, overlap })
    }

    /// Returns the number of special tokens in a window.
    pub fn n_special(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }

    /// Returns the maximum tokens in a window, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.capacity + self.n_special()
    }

    /// Cuts the token ids of a text into windows; `offsets` has the byte range of each token. A
    /// text without tokens has one empty window.
    pub fn cut(&self, ids: &[u32], offsets: &[(usize, usize)]) -> Vec<Window> {
        let mut windows = Vec::with_capacity(1 + ids.len() / (self.capacity - self.overlap));
        let mut start = 0;
        loop {
            let end = ids.len().min(start + self.capacity);
            let bytes = match offsets.get(start..end) {
                Some([first, .., last]) => first.0..last.1,
                Some([only]) => only.0..only.1,
                _ => 0..0,
            };
            let ids_framed = [&self.prefix, &ids[start..end], &self.suffix].concat();
            windows.push(Window { ids: ids_framed, bytes });
            if end == ids.len() {
                return windows;
            }
            start = end - self.overlap;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(n_tokens: u32, max_tokens: usize, overlap: usize) -> Vec<Window> {
        let ids: Vec<u32> = (0..n_tokens).collect();
        let offsets: Vec<_> =
            (0..n_tokens as usize).map(|token| (token * 3, token * 3 + 2)).collect();
        Windows::new(vec![100], vec![200], max_tokens, overlap).unwrap().cut(&ids, &offsets)
    }

    #[test]
    fn windows_overlap_and_the_last_one_is_short() {
        let windows = cut(5, 5, 1);
        assert_eq!(windows[0], Window { ids: vec![100, 0, 1, 2, 200], bytes: 0..8 });
        assert_eq!(windows[1], Window { ids: vec![100, 2, 3, 4, 200], bytes: 6..14 });
        assert_eq!(windows.len(), 2);
    }

    #[test]
    fn a_text_without_tokens_has_one_window() {
        assert_eq!(cut(0, 5, 1), [Window { ids: vec![100, 200], bytes: 0..0 }]);
    }

    #[test]
    fn an_overlap_that_would_never_end_is_refused() {
        assert!(Windows::new(vec![1], vec![2], 6, 4).is_err());
        assert!(Windows::new(vec![1], vec![2], 1, 0).is_err());
    }

    proptest! {
        #[test]
        fn every_token_is_in_a_window_and_every_neighbour_shares_the_overlap(
            n_tokens in 0_u32..300, capacity in 2_usize..40, overlap in 0_usize..39,
        ) {
            prop_assume!(overlap < capacity);
            let windows = cut(n_tokens, capacity + 2, overlap);
            let mut read = Vec::new();
            for (row, window) in windows.iter().enumerate() {
                let inner = &window.ids[1..window.ids.len() - 1];
                prop_assert!(inner.len() <= capacity);
                let shared = if row == 0 { 0 } else { overlap };
                prop_assert_eq!(&read[read.len() - shared..], &inner[..shared]);
                read.extend_from_slice(&inner[shared..]);
            }
            prop_assert_eq!(read, (0..n_tokens).collect::<Vec<_>>());
        }
    }
}
