//! Registers the metrics of the catalogue.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::family::MetricConstructor;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Metric;
use prometheus_client::registry::Registry;

use crate::metrics::catalogue::Instrument;

/// The traits that a label set must implement.
pub(super) trait Labels:
    EncodeLabelSet + Clone + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static
{
}

impl<T> Labels for T where
    T: EncodeLabelSet + Clone + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static
{
}

/// Histograms with the same name and buckets, one per label set.
pub(super) type Histograms<L> = Family<L, Histogram, Buckets>;

/// The upper bounds of the buckets of a histogram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// Registers metrics with a registry.
#[derive(Debug)]
pub(super) struct Registrar<'a>(pub(super) &'a mut Registry);

impl Registrar<'_> {
    pub(super) fn counter(&mut self, instrument: Instrument) -> Counter {
        self.register(instrument, Counter::default())
    }

    pub(super) fn counters<L: Labels>(&mut self, instrument: Instrument) -> Family<L, Counter> {
        self.register(instrument, Family::default())
    }

    pub(super) fn gauge(&mut self, instrument: Instrument) -> Gauge {
        self.register(instrument, Gauge::default())
    }

    pub(super) fn gauges<L: Labels>(&mut self, instrument: Instrument) -> Family<L, Gauge> {
        self.register(instrument, Family::default())
    }

    pub(super) fn histogram(
        &mut self,
        instrument: Instrument,
        bounds: &'static [f64],
    ) -> Histogram {
        self.register(instrument, Buckets(bounds).new_metric())
    }

    pub(super) fn histograms<L: Labels>(
        &mut self,
        instrument: Instrument,
        bounds: &'static [f64],
    ) -> Histograms<L> {
        self.register(instrument, Family::new_with_constructor(Buckets(bounds)))
    }

    /// Registers a metric and returns it; the registered clone shares its values.
    pub(super) fn register<M: Metric + Clone>(&mut self, instrument: Instrument, metric: M) -> M {
        let Instrument { name, help, .. } = instrument;
        // The registry adds the full stop, and rendering adds `_total` to every counter.
        let (name, help) = (name.trim_end_matches("_total"), help.trim_end_matches('.'));
        self.0.register(name, help, metric.clone());
        metric
    }
}
