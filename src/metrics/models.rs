//! The instruments of the models that serve, and of exchanging them.

use std::time::Duration;

use crate::metrics::Metrics;
use crate::metrics::catalogue;

impl Metrics {
    /// Names the model that serves, with a constant 1.
    pub fn serving(&self, model: &str, policy: &str) {
        self.set_model(model, policy, 1.0);
    }

    /// The opposite: this model serves no more.
    pub fn served(&self, model: &str, policy: &str) {
        self.set_model(model, policy, 0.0);
    }

    /// Counts an attempt to exchange the model, `exchanged` or `failed`.
    pub fn swapped(&self, result: &'static str, elapsed: Duration) {
        self.with(|| {
            metrics::counter!(catalogue::SWAPS, "result" => result).increment(1);
            metrics::histogram!(catalogue::SWAP_DURATION, "result" => result).record(elapsed);
        });
    }

    fn set_model(&self, model: &str, policy: &str, value: f64) {
        let labels = [("model", model.to_owned()), ("policy", policy.to_owned())];
        self.with(|| metrics::gauge!(catalogue::MODEL_INFO, &labels).set(value));
    }
}
