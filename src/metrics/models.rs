//! Metrics of the serving models and of model swaps.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;
use crate::metrics::catalogue;
use crate::metrics::registrar::Histograms;
use crate::metrics::registrar::Registrar;

#[derive(Debug)]
pub(super) struct ModelMetrics {
    info: Family<ModelLabels, Gauge>,
    swaps: Family<SwapLabels, Counter>,
    swap_durations: Histograms<SwapLabels>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
    policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SwapLabels {
    result: &'static str,
}

impl ModelMetrics {
    pub(super) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            info: registrar.gauges(catalogue::MODEL_INFO),
            swaps: registrar.counters(catalogue::SWAPS),
            swap_durations: registrar.histograms(catalogue::SWAP_DURATION, SWAP_SECONDS),
        }
    }
}

impl Metrics {
    /// Sets the info metric of a serving model to 1.
    pub fn set_serving(&self, model: &str, policy: &str) {
        self.set_model(model, policy, 1);
    }

    /// Sets the info metric of a model that no longer serves to 0.
    pub fn clear_serving(&self, model: &str, policy: &str) {
        self.set_model(model, policy, 0);
    }

    /// Records an attempt to swap the model; `result` is `swapped` or `failed`.
    pub fn record_swap(&self, result: &'static str, elapsed: Duration) {
        let labels = SwapLabels { result };
        self.models.swaps.get_or_create(&labels).inc();
        self.models.swap_durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    fn set_model(&self, model: &str, policy: &str, value: i64) {
        let labels = ModelLabels { model: model.to_owned(), policy: policy.to_owned() };
        self.models.info.get_or_create(&labels).set(value);
    }
}

/// From loading a small local model to loading a large one from the Hub.
const SWAP_SECONDS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
