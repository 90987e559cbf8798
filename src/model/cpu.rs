//! The forward pass on the CPU: fused operations over windows packed end to end, on all threads.
//!
//! Between two attentions every row goes its own way: output product, norm, feed-forward network,
//! norm, and the projection to the next queries, keys and values. So a layer is two steps, each of
//! all threads: blocks of rows through all of that, then windows and heads through attention.

mod attention;
mod layer;
mod rows;

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use ndarray::Array2;
use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::s;
use rayon::ThreadPool;

use self::attention::Windows;
use self::layer::Layer;
use self::layer::Worker;
use self::rows::Division;
use self::rows::Rows;
use self::rows::matrix;
use self::rows::side_by_side;
use crate::batch::Batch;
use crate::error::Cause;
use crate::error::Error;
use crate::error::Result;
use crate::model::Forward;
use crate::model::Logits;
use crate::model::config::Config;
use crate::model::device::Dtype;
use crate::model::ops::Activation;
use crate::model::ops::Embeddings;
use crate::model::ops::LayerNorm;
use crate::model::ops::Linear;
use crate::model::parameters::Loader;
use crate::model::weights::Weights;

/// An encoder with its head, packed for this processor.
#[derive(Debug)]
pub(super) struct CpuTransformer {
    embeddings: Embeddings,
    layers: Vec<Layer>, // one at least
    /// The last layer projects keys and values only: of its queries those of first tokens are read.
    last_query: Linear,
    dense: Linear,
    classifier: Linear,
    n_heads: usize,
    hidden_size: usize,
    n_positions: usize,
    threads: ThreadPool,
    scratch: Mutex<Scratch>,
    workers: Vec<Mutex<Worker>>, // one a thread
}

/// Memory that is used again for each batch; it grows with the largest.
#[derive(Debug, Default)]
struct Scratch {
    hidden: Vec<f32>,    // (token, hidden)
    projected: Vec<f32>, // (token, query key value) or (token, key value)
    context: Vec<f32>,   // (token, hidden)
    // Of the first tokens only, for the last layer:
    firsts: Vec<f32>,  // (window, hidden)
    queries: Vec<f32>, // (window, hidden)
}

impl CpuTransformer {
    /// Takes the weights it needs, and packs them for products in `dtype`.
    pub(super) fn load(
        config: &Config,
        weights: &mut Weights,
        dtype: Dtype,
        threads: ThreadPool,
    ) -> Result<Self> {
        let mut loader = Loader { config, weights };
        let embeddings = loader.embeddings()?;
        let norm = |norm| LayerNorm::new(norm, config.layer_norm_eps);
        let embeddings = Embeddings {
            words: embeddings.words,
            positions: embeddings.positions,
            norm: norm(embeddings.norm),
            first_position: config.family.first_position,
        };
        let mut layers = Vec::with_capacity(config.n_layers);
        for layer in 0..config.n_layers - 1 {
            let parameters = loader.layer(layer)?;
            let projection = Linear::pack(&parameters.query_key_value, dtype);
            layers.push(Layer::pack(projection, parameters, config, dtype));
        }
        let parameters = loader.layer(config.n_layers - 1)?;
        let (query, key_value) = parameters.query_key_value.split_at(config.hidden_size);
        layers.push(Layer::pack(Linear::pack(&key_value, dtype), parameters, config, dtype));
        let head = loader.head()?;
        let workers = (0..threads.current_num_threads()).map(|_| Mutex::default()).collect();
        Ok(Self {
            embeddings,
            layers,
            last_query: Linear::pack(&query, dtype),
            // Few rows and few outputs: nothing to gain from less precision.
            dense: Linear::pack(&head.dense, Dtype::F32),
            classifier: Linear::pack(&head.classifier, Dtype::F32),
            n_heads: config.n_heads,
            hidden_size: config.hidden_size,
            n_positions: config.max_window_tokens(),
            threads,
            scratch: Mutex::default(),
            workers,
        })
    }

    /// Refuses what would have no place in the tables.
    fn check(&self, batch: &Batch) -> Result<(), String> {
        let n_words = self.embeddings.words.len() / self.hidden_size;
        if let Some(id) = batch.ids.iter().find(|&&id| id as usize >= n_words) {
            return Err(format!("token id {id} in a vocabulary of {n_words}"));
        }
        match batch.spans().find(|span| span.is_empty() || span.len() > self.n_positions) {
            Some(span) => {
                let most = self.n_positions;
                Err(format!("a window of {} tokens, not of 1 to {most}", span.len()))
            }
            None => Ok(()),
        }
    }

    fn run(&self, batch: &Batch) -> Array2<f32> {
        let mut scratch = lock(&self.scratch);
        let Scratch { hidden, projected, context, firsts, queries } = &mut *scratch;
        let n_tokens = batch.n_tokens();
        let mut hidden = matrix(hidden, n_tokens, self.hidden_size);
        let mut context = matrix(context, n_tokens, self.hidden_size);
        let mut previous = None;
        let (last, others) = self.layers.split_last().expect("a model has a layer");
        for layer in others {
            let mut projected = matrix(projected, n_tokens, layer.projection.n_out());
            let rows = Rows::new(hidden.view_mut(), context.view(), projected.view_mut());
            self.advance(batch, previous, layer, rows);
            let [queries, keys, values] = side_by_side(projected.view());
            self.windows(batch, queries, [keys, values]).attend(context.view_mut());
            previous = Some(layer);
        }
        let mut projected = matrix(projected, n_tokens, last.projection.n_out());
        let rows = Rows::new(hidden.view_mut(), context.view(), projected.view_mut());
        self.advance(batch, previous, last, rows);

        let n_windows = batch.n_windows();
        let firsts = matrix(firsts, n_windows, self.hidden_size);
        let queries = matrix(queries, n_windows, self.hidden_size);
        let context = context.slice_move(s![..n_windows, ..]);
        self.classify(batch, hidden.view(), projected.view(), [firsts, queries, context])
    }

    /// The last layer and the head, for which only the first tokens matter. `projected` holds keys
    /// and values, (token, key value); the rest is memory, (window, hidden).
    fn classify(
        &self,
        batch: &Batch,
        hidden: ArrayView2<'_, f32>,
        projected: ArrayView2<'_, f32>,
        [mut firsts, mut queries, mut context]: [ArrayViewMut2<'_, f32>; 3],
    ) -> Array2<f32> {
        for (mut first, &start) in firsts.rows_mut().into_iter().zip(&batch.offsets) {
            first.assign(&hidden.row(start as usize));
        }
        let rows = Rows::new(firsts.view_mut(), context.view(), queries.view_mut());
        self.each_block(rows, |rows, worker| {
            let (query, hidden) = (&self.last_query, rows.hidden.view());
            worker.products.multiply(query, hidden, Activation::None, rows.projected);
        });
        self.windows(batch, queries.view(), side_by_side(projected)).attend(context.view_mut());
        let last = self.layers.last().expect("a model has a layer");
        let mut logits = Array2::zeros((batch.n_windows(), self.classifier.n_out()));
        let rows = Rows::new(firsts, context.view(), logits.view_mut());
        self.each_block(rows, |mut rows, worker| {
            last.finish(rows.context, rows.hidden.view_mut(), worker);
            let head = [&self.dense, &self.classifier];
            worker.classify(head, rows.hidden.view(), rows.projected);
        });
        logits
    }

    /// Takes rows from the context of the previous layer, or from their token ids, to the
    /// projection of the next.
    fn advance(&self, batch: &Batch, previous: Option<&Layer>, next: &Layer, rows: Rows<'_>) {
        self.each_block(rows, |mut rows, worker| {
            let hidden = rows.hidden.view_mut();
            if let Some(layer) = previous {
                layer.finish(rows.context, hidden, worker);
            } else {
                let place = rows.first..rows.first + hidden.nrows();
                let (ids, positions) = (&batch.ids[place.clone()], &batch.positions[place]);
                self.embeddings.embed(ids, positions, hidden);
            }
            let (projection, hidden) = (&next.projection, rows.hidden.view());
            worker.products.multiply(projection, hidden, Activation::None, rows.projected);
        });
    }

    /// Calls `work` with each block of rows and the worker of a thread.
    fn each_block(&self, rows: Rows<'_>, work: impl Fn(Rows<'_>, &mut Worker) + Sync) {
        let division = Division::of(rows.hidden.nrows(), self.workers.len());
        rows.each_block(division.block_rows, &|rows| {
            let mut worker = Worker::mine(&self.workers);
            worker.products.n_parts = division.n_parts;
            work(rows, &mut worker);
        });
    }

    fn windows<'a>(
        &'a self,
        batch: &'a Batch,
        queries: ArrayView2<'a, f32>,
        [keys, values]: [ArrayView2<'a, f32>; 2],
    ) -> Windows<'a> {
        let (n_heads, workers) = (self.n_heads, self.workers.as_slice());
        Windows { offsets: &batch.offsets, queries, keys, values, n_heads, workers }
    }
}

impl Forward for CpuTransformer {
    fn forward(&self, batch: &Batch) -> Result<Logits> {
        self.check(batch).map_err(|reason| Error::Forward {
            rows: batch.n_windows(),
            source: Cause::from(Box::from(reason)),
        })?;
        Ok(Logits(self.threads.install(|| self.run(batch))))
    }
}

/// Locks what holds nothing that a panic could leave half done: every use writes it anew.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rayon::ThreadPoolBuilder;

    use super::*;
    use crate::encode::Window;
    use crate::model::Artifact;
    use crate::model::HubSettings;
    use crate::model::Overrides;
    use crate::model::Source;
    use crate::model::tensor::TensorTransformer;

    fn tiny() -> Artifact {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
        Artifact::open(&Source::Folder(folder.into()), Overrides::default(), HubSettings::offline())
            .unwrap()
    }

    fn on_threads(n_threads: usize, dtype: Dtype) -> CpuTransformer {
        let Artifact { config, mut weights, .. } = tiny();
        let threads = ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        CpuTransformer::load(&config, &mut weights, dtype, threads).unwrap()
    }

    fn batch(lens: &[usize]) -> Batch {
        let window = |&len: &usize| {
            let ids = (0..len).map(|place| u32::try_from((place * 37 + len) % 100).unwrap());
            Window { ids: ids.collect(), bytes: 0..0 }
        };
        Batch::pack(&lens.iter().map(window).collect::<Vec<_>>())
    }

    #[test]
    fn logits_are_those_of_plain_candle_on_any_number_of_threads() {
        let Artifact { config, mut weights, .. } = tiny();
        let twin = TensorTransformer::load(&config, &mut weights, Device::Cpu).unwrap();
        for n_threads in [1, 2, 5] {
            let ours = on_threads(n_threads, Dtype::F32);
            // One token; few rows, whose columns are shared; many, in blocks; one long window.
            for lens in [&[1][..], &[3, 1, 7], &[33, 2, 128, 128, 90, 5, 77], &[128], &[2; 60]] {
                let (Logits(ours), Logits(theirs)) =
                    (ours.forward(&batch(lens)).unwrap(), twin.forward(&batch(lens)).unwrap());
                let difference = (&ours - &theirs).mapv(f32::abs);
                let largest = difference.iter().copied().fold(0.0, f32::max);
                // The same sums in another order.
                assert!(largest < 1e-5, "{lens:?} on {n_threads} threads: {largest}");
            }
        }
    }

    #[test]
    fn int8_gives_the_same_on_any_number_of_threads() {
        let lens = [33, 2, 128, 128, 90, 5, 77];
        let one = on_threads(1, Dtype::Int8).forward(&batch(&lens)).unwrap();
        let three = on_threads(3, Dtype::Int8).forward(&batch(&lens)).unwrap();
        assert_eq!(one, three);
    }

    #[test]
    fn nothing_gives_nothing() {
        let Logits(logits) = on_threads(2, Dtype::F32).forward(&batch(&[])).unwrap();
        assert_eq!(logits.dim(), (0, 4));
    }

    #[test]
    fn what_has_no_place_in_the_tables_is_refused() {
        let model = on_threads(1, Dtype::F32);
        let refusal = |batch: &Batch| {
            let fault = model.forward(batch).unwrap_err();
            std::error::Error::source(&fault).unwrap().to_string()
        };
        assert_eq!(refusal(&batch(&[3, 0])), "a window of 0 tokens, not of 1 to 128");
        assert_eq!(refusal(&batch(&[129])), "a window of 129 tokens, not of 1 to 128");
        let mut unknown = batch(&[3]);
        unknown.ids[1] = 1 << 20;
        assert!(refusal(&unknown).starts_with("token id 1048576 in a vocabulary of "));
    }
}
