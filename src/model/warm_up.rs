//! The first passes of a model: whether it gives scores, and how fast it is.

use std::time::Duration;
use std::time::Instant;

use crate::batch::Batch;
use crate::encode::Encoder;
use crate::encode::Window;
use crate::error::Result;
use crate::model::Forward;
use crate::model::Logits;
use crate::text::Limits;
use crate::text::Text;

/// What the first replica computed in a batch of neutral windows, and in what time: enough for a
/// first estimate of its throughput.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmUp {
    /// Tokens of the batch, special tokens included.
    pub n_tokens: usize,
    /// How long the forward pass took.
    pub elapsed: Duration,
}

impl WarmUp {
    /// Times one pass over about so many tokens; over fewer where they would take much longer than
    /// [`MAX_TIME`]. The passes before it decide whether the memory that it needs is there already,
    /// so run [`first_pass`] before.
    pub(super) fn measure(
        encoder: &Encoder,
        replica: &dyn Forward,
        n_tokens: usize,
    ) -> Result<Self> {
        let text = greeting(MAX_WINDOW_TOKENS)?;
        let windows = encoder.encode(0, &text)?.windows;
        let window = windows.first().map(|window| Window {
            ids: window.ids[..window.ids.len().min(MAX_WINDOW_TOKENS)].to_vec(),
            bytes: 0..0,
        });
        let window = window.expect("every text has a window");
        let one = Self::time(replica, &window, 1)?;
        let n_windows = n_tokens.div_ceil(window.ids.len()).min(one.times_in(MAX_TIME));
        if n_windows > 1 { Self::time(replica, &window, n_windows) } else { Ok(one) }
    }

    fn time(replica: &dyn Forward, window: &Window, n_windows: usize) -> Result<Self> {
        let batch = Batch::pack(std::iter::repeat_n(window, n_windows));
        let start = Instant::now();
        replica.forward(&batch)?;
        Ok(Self { n_tokens: batch.n_tokens(), elapsed: start.elapsed() })
    }

    /// How often it could be repeated in that time.
    fn times_in(&self, time: Duration) -> usize {
        let times = time.as_nanos() / self.elapsed.as_nanos().max(1);
        usize::try_from(times).unwrap_or(usize::MAX)
    }
}

/// The logits of one short text.
pub(super) fn first_pass(encoder: &Encoder, replica: &dyn Forward) -> Result<Logits> {
    let windows = encoder.encode(0, &greeting(1)?)?.windows;
    replica.forward(&Batch::pack(&windows))
}

fn greeting(n_times: usize) -> Result<Text> {
    let limits = Limits { max_texts: 1, max_chars: usize::MAX };
    Text::new(0, "Good morning! ".repeat(n_times).trim_end().into(), &limits)
}

/// A paragraph: attention, which takes longer the longer a window is, has the share that it has in
/// ordinary traffic.
const MAX_WINDOW_TOKENS: usize = 64;

/// What a start may take longer for the estimate, on the slowest of machines.
const MAX_TIME: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_pass_is_not_repeated_and_a_fast_one_often() {
        let took = |elapsed| WarmUp { n_tokens: 64, elapsed };
        assert_eq!(took(Duration::from_secs(20)).times_in(MAX_TIME), 0);
        assert_eq!(took(Duration::from_millis(100)).times_in(MAX_TIME), 5);
        assert!(took(Duration::ZERO).times_in(MAX_TIME) > 1000);
    }
}
