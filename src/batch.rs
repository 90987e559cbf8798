//! Windows packed end to end, with offsets instead of padding.

use std::ops::Range;

use crate::tokenize::Window;

/// Windows packed for one forward pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids of all windows, concatenated.
    pub ids: Vec<u32>,
    /// The position of each token within its window, from 0.
    pub positions: Vec<u32>,
    /// The start of each window in `ids`, then the end of the last one: windows + 1 numbers.
    pub offsets: Vec<u32>,
}

impl Batch {
    /// Packs windows into a batch, in order.
    pub fn pack<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Self {
        let mut batch = Self { ids: Vec::new(), positions: Vec::new(), offsets: vec![0] };
        for window in windows {
            batch.push(&window.ids);
        }
        batch
    }

    /// Returns the range of each window in `ids`.
    pub fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        self.offsets.windows(2).map(|pair| pair[0] as usize..pair[1] as usize)
    }

    /// Splits the batch, in order, into at most `n_parts` batches of about as many tokens each.
    pub fn split(&self, n_parts: usize) -> Vec<Self> {
        let share = self.n_tokens().div_ceil(n_parts.max(1)).max(1);
        let mut parts: Vec<Self> = Vec::with_capacity(n_parts);
        let mut part = None;
        for span in self.spans() {
            // A window goes into the part that contains its midpoint.
            let place = (span.start.midpoint(span.end) / share).min(n_parts.max(1) - 1);
            if part != Some(place) {
                part = Some(place);
                parts.push(Self { ids: Vec::new(), positions: Vec::new(), offsets: vec![0] });
            }
            if let Some(last) = parts.last_mut() {
                last.push(&self.ids[span]);
            }
        }
        parts
    }

    fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.positions.extend(0_u32..u32_len(ids.len()));
        self.offsets.push(u32_len(self.ids.len()));
    }

    /// Returns the number of windows.
    pub fn n_windows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Returns the number of tokens.
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }
}

fn u32_len(len: usize) -> u32 {
    u32::try_from(len).expect("a batch is bounded by its token budget, far below 2^32")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_split_batch_keeps_every_window_in_order(
            lens in prop::collection::vec(0_usize..40, 0..20), n_parts in 0_usize..6,
        ) {
            let windows: Vec<_> = lens
                .iter()
                .enumerate()
                .map(|(row, &len)| Window { ids: vec![u32_len(row); len], bytes: 0..0 })
                .collect();
            let batch = Batch::pack(&windows);
            let parts = batch.split(n_parts);
            prop_assert!(parts.len() <= n_parts.max(1));
            let longest = lens.iter().max().copied().unwrap_or(0);
            let share = batch.n_tokens().div_ceil(n_parts.max(1));
            prop_assert!(parts.iter().all(|part| part.n_tokens() <= share + longest));
            let rejoined = parts.iter().flat_map(|part| {
                part.spans().map(|span| Window { ids: part.ids[span].to_vec(), bytes: 0..0 })
            });
            prop_assert_eq!(rejoined.collect::<Vec<_>>(), windows);
        }
    }

    #[test]
    fn windows_lie_end_to_end() {
        let window = |ids: &[u32]| Window { ids: ids.to_vec(), bytes: 0..0 };
        let batch = Batch::pack(&[window(&[1, 2, 3]), window(&[]), window(&[4, 5])]);
        assert_eq!(batch.ids, [1, 2, 3, 4, 5]);
        assert_eq!(batch.positions, [0, 1, 2, 0, 1]);
        assert_eq!(batch.offsets, [0, 3, 3, 5]);
        assert_eq!((batch.n_windows(), batch.n_tokens()), (3, 5));
    }
}
