//! The first forward passes of a model: do they give scores, and how fast are they?

use std::time::Duration;
use std::time::Instant;

use crate::batch::Batch;
use crate::error::Result;
use crate::model::Forward;
use crate::model::Logits;
use crate::text::Limits;
use crate::text::Text;
use crate::tokenize::Tokenizer;
use crate::tokenize::Window;

/// Size and duration of a forward pass of the first replica over neutral windows: enough for a
/// first estimate of its throughput.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmUp {
    /// Tokens of the batch, special tokens included.
    pub n_tokens: usize,
    /// Duration of the forward pass.
    pub elapsed: Duration,
}

impl WarmUp {
    /// Times two passes over about `n_tokens` tokens each, or fewer if these would take much longer
    /// than [`MAX_TIME`], and returns the faster one.
    pub(super) fn measure(
        tokenizer: &Tokenizer,
        replica: &dyn Forward,
        n_tokens: usize,
    ) -> Result<Self> {
        let text = neutral_text(MAX_WINDOW_TOKENS)?;
        let windows = tokenizer.encode(0, &text)?.windows;
        let window = windows.first().map(|window| Window {
            ids: window.ids[..window.ids.len().min(MAX_WINDOW_TOKENS)].to_vec(),
            bytes: 0..0,
        });
        let window = window.expect("every text has a window");
        let one = Self::time(replica, &window, 1)?;
        let n_affordable = one.passes_within(MAX_TIME / 2);
        if n_affordable == 0 {
            return Ok(one);
        }
        let n_windows = n_tokens.div_ceil(window.ids.len()).min(n_affordable);
        // The first pass of this size also allocates memory, and other work may delay either.
        let first = Self::time(replica, &window, n_windows)?;
        let second = Self::time(replica, &window, n_windows)?;
        Ok(if first.elapsed < second.elapsed { first } else { second })
    }

    fn time(replica: &dyn Forward, window: &Window, n_windows: usize) -> Result<Self> {
        let batch = Batch::pack(std::iter::repeat_n(window, n_windows));
        let start = Instant::now();
        replica.forward(&batch)?;
        Ok(Self { n_tokens: batch.n_tokens(), elapsed: start.elapsed() })
    }

    /// Returns how many passes like this one fit into `time`.
    fn passes_within(&self, time: Duration) -> usize {
        let times = time.as_nanos() / self.elapsed.as_nanos().max(1);
        usize::try_from(times).unwrap_or(usize::MAX)
    }
}

/// Computes the logits of one short text.
pub(super) fn first_pass(tokenizer: &Tokenizer, replica: &dyn Forward) -> Result<Logits> {
    let windows = tokenizer.encode(0, &neutral_text(1)?)?.windows;
    replica.forward(&Batch::pack(&windows))
}

fn neutral_text(n_times: usize) -> Result<Text> {
    let limits = Limits { max_texts: 1, max_chars: usize::MAX };
    Text::new(0, "Good morning! ".repeat(n_times).trim_end().into(), &limits)
}

/// The length of a paragraph: attention, whose cost grows with the window length, then has the same
/// share as in ordinary traffic.
const MAX_WINDOW_TOKENS: usize = 64;

/// The most time that the estimate may add to a start, on the slowest machines.
const MAX_TIME: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_pass_is_not_repeated_and_a_fast_one_often() {
        let took = |elapsed| WarmUp { n_tokens: 64, elapsed };
        assert_eq!(took(Duration::from_secs(20)).passes_within(MAX_TIME), 0);
        assert_eq!(took(Duration::from_millis(100)).passes_within(MAX_TIME), 5);
        assert!(took(Duration::ZERO).passes_within(MAX_TIME) > 1000);
    }
}
