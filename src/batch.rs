//! Windows packed end to end: no padding, offsets instead.

use std::ops::Range;

use crate::encode::Window;

/// Windows as the model reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids of all windows, one after the other.
    pub ids: Vec<u32>,
    /// The place of each token within its window, from 0.
    pub positions: Vec<u32>,
    /// Where each window starts in `ids`, and after the last where it ends: windows + 1 numbers.
    pub offsets: Vec<u32>,
}

impl Batch {
    /// Packs windows in their order.
    pub fn pack<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Self {
        let mut batch = Self { ids: Vec::new(), positions: Vec::new(), offsets: vec![0] };
        for window in windows {
            batch.push(&window.ids);
        }
        batch
    }

    /// The rows of each window.
    pub fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        self.offsets.windows(2).map(|pair| pair[0] as usize..pair[1] as usize)
    }

    /// The same windows, in order, in up to `n_parts` batches of about as many tokens each.
    pub fn split(&self, n_parts: usize) -> Vec<Self> {
        let share = self.n_tokens().div_ceil(n_parts.max(1)).max(1);
        let mut parts: Vec<Self> = Vec::with_capacity(n_parts);
        let mut part = None;
        for span in self.spans() {
            // A window belongs to the share in which its middle lies.
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

    /// Windows in the batch.
    pub fn n_windows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Tokens in the batch.
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }
}

/// How many of the waiting windows, from the first on, go into one batch of `budget` tokens.
///
/// Never none of some: a window larger than the budget goes alone.
pub fn fit(lens: impl IntoIterator<Item = usize>, budget: usize) -> usize {
    let mut room = budget;
    let mut n_windows = 0;
    for len in lens {
        if len > room && n_windows > 0 {
            break;
        }
        room = room.saturating_sub(len);
        n_windows += 1;
    }
    n_windows
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

    #[test]
    fn a_batch_takes_what_fits_from_the_front() {
        struct Case {
            lens: &'static [usize],
            budget: usize,
            fits: usize,
        }
        for Case { lens, budget, fits } in [
            Case { lens: &[], budget: 8, fits: 0 },
            Case { lens: &[4, 4, 4], budget: 8, fits: 2 }, // tokens, not windows
            Case { lens: &[4, 5, 1], budget: 8, fits: 1 }, // oldest first, nobody overtakes
            Case { lens: &[9], budget: 8, fits: 1 },       // never none
            Case { lens: &[9, 1], budget: 8, fits: 1 },
        ] {
            assert_eq!(fit(lens.iter().copied(), budget), fits, "lens {lens:?}, budget {budget}");
        }
    }
}
