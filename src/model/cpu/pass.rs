//! The forward pass of one batch through the encoder and its head.
//!
//! Between two attention steps the rows are independent: output product, norm, feed-forward
//! network, norm, and the projection to the next queries, keys and values. So a layer takes two
//! steps, each on all threads: these operations on blocks of rows, then attention on windows and
//! heads.

use ndarray::Array2;
use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::s;

use crate::batch::Batch;
use crate::model::cpu::attention::Windows;
use crate::model::cpu::layer::Layer;
use crate::model::cpu::packed_model::PackedModel;
use crate::model::cpu::partition::RowBlocks;
use crate::model::cpu::partition::Team;
use crate::model::cpu::rows::Rows;
use crate::model::cpu::rows::matrix;
use crate::model::cpu::rows::side_by_side;
use crate::model::cpu::scratch::Buffers;
use crate::model::cpu::scratch::Pool;
use crate::model::cpu::scratch::Scratch;
use crate::model::cpu::team::Gemm;
use crate::model::cpu::team::each;
use crate::model::ops::Activation;

/// A batch with the model and the threads that compute it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) model: &'a PackedModel,
    pub(super) batch: &'a Batch,
    /// The threads of the current pool that share the work.
    pub(super) team: Team,
    /// One stack per thread.
    pub(super) scratch: &'a Pool<Scratch>,
}

impl Pass<'_> {
    /// Computes the logits, (window, label).
    pub(super) fn run(self, buffers: &mut Buffers) -> Array2<f32> {
        let Buffers { hidden, projected, context, firsts, queries, shared } = buffers;
        let (n_tokens, hidden_size) = (self.batch.n_tokens(), self.model.hidden_size);
        let mut hidden = matrix(hidden, n_tokens, hidden_size);
        let mut context = matrix(context, n_tokens, hidden_size);
        let mut previous = None;
        let (last, others) = self.model.layers.split_last().expect("a model has a layer");
        for layer in others {
            let mut projected = matrix(projected, n_tokens, layer.projection.n_out());
            let rows = Rows::new(hidden.view_mut(), context.view(), projected.view_mut());
            self.advance(previous, layer, rows, shared);
            let [queries, keys, values] = side_by_side(projected.view());
            self.windows(queries, [keys, values]).attend(context.view_mut());
            previous = Some(layer);
        }
        let mut projected = matrix(projected, n_tokens, last.projection.n_out());
        let rows = Rows::new(hidden.view_mut(), context.view(), projected.view_mut());
        self.advance(previous, last, rows, shared);

        let n_windows = self.batch.n_windows();
        let mut firsts = matrix(firsts, n_windows, hidden_size);
        for (mut first, &start) in firsts.rows_mut().into_iter().zip(&self.batch.offsets) {
            first.assign(&hidden.row(start as usize));
        }
        let queries = matrix(queries, n_windows, hidden_size);
        let context = context.slice_move(s![..n_windows, ..]);
        self.classify(projected.view(), [firsts, queries, context], shared)
    }

    /// Finishes the previous layer, or embeds the token ids if there is none, and computes the
    /// projection of the next layer.
    fn advance(self, previous: Option<&Layer>, next: &Layer, rows: Rows<'_>, shared: &mut Scratch) {
        self.each_block(rows, shared, |mut rows, scratch, team| {
            let hidden = rows.hidden.view_mut();
            if let Some(layer) = previous {
                layer.finish(rows.context, hidden, scratch, team);
            } else {
                let place = rows.first..rows.first + hidden.nrows();
                let (ids, positions) =
                    (&self.batch.ids[place.clone()], &self.batch.positions[place]);
                team.embed(&self.model.embeddings, [ids, positions], hidden);
            }
            let gemm = Gemm {
                linear: &next.projection,
                rows: rows.hidden.view(),
                activation: Activation::None,
                output: rows.projected,
            };
            team.multiply(gemm, &mut scratch.quantized);
        });
    }

    /// Computes the last layer and the head, which need the first tokens only. `projected` holds
    /// keys and values, (token, key value). The other matrices are (window, hidden): the first
    /// tokens, and buffers for queries and context.
    fn classify(
        self,
        projected: ArrayView2<'_, f32>,
        [mut firsts, mut queries, mut context]: [ArrayViewMut2<'_, f32>; 3],
        shared: &mut Scratch,
    ) -> Array2<f32> {
        let PackedModel { layers, last_query, classifier, .. } = self.model;
        let rows = Rows::new(firsts.view_mut(), context.view(), queries.view_mut());
        self.each_block(rows, shared, |rows, scratch, team| {
            let gemm = Gemm {
                linear: last_query,
                rows: rows.hidden.view(),
                activation: Activation::None,
                output: rows.projected,
            };
            team.multiply(gemm, &mut scratch.quantized);
        });
        self.windows(queries.view(), side_by_side(projected)).attend(context.view_mut());
        let last = layers.last().expect("a model has a layer");
        let mut logits = Array2::zeros((self.batch.n_windows(), classifier.n_out()));
        let rows = Rows::new(firsts, context.view(), logits.view_mut());
        self.each_block(rows, shared, |mut rows, scratch, team| {
            last.finish(rows.context, rows.hidden.view_mut(), scratch, team);
            self.head(rows, scratch, team);
        });
        logits
    }

    /// Computes the logits of the first tokens into `rows.projected`.
    fn head(self, rows: Rows<'_>, scratch: &mut Scratch, team: Team) {
        let PackedModel { dense, classifier, .. } = self.model;
        let Scratch { attended, quantized, .. } = scratch;
        let mut pooled = matrix(attended, rows.hidden.nrows(), dense.n_out());
        let gemm = Gemm {
            linear: dense,
            rows: rows.hidden.view(),
            activation: Activation::Tanh,
            output: pooled.view_mut(),
        };
        team.multiply(gemm, quantized);
        let gemm = Gemm {
            linear: classifier,
            rows: pooled.view(),
            activation: Activation::None,
            output: rows.projected,
        };
        team.multiply(gemm, quantized);
    }

    /// Calls `work` with each block of rows, scratch memory and the team that shares the block.
    fn each_block(
        self,
        rows: Rows<'_>,
        shared: &mut Scratch,
        work: impl Fn(Rows<'_>, &mut Scratch, Team) + Sync + Send,
    ) {
        let blocks = RowBlocks::new(rows.hidden.nrows(), self.team.n_threads);
        if blocks.n_blocks == 1 {
            work(rows, shared, self.team);
        } else {
            self.each_of(blocks, rows, work);
        }
    }

    /// Does the same as `each_block`, but with the given blocks and in parallel.
    pub(super) fn each_of(
        self,
        blocks: RowBlocks,
        rows: Rows<'_>,
        work: impl Fn(Rows<'_>, &mut Scratch, Team) + Sync + Send,
    ) {
        let team = Team { n_threads: blocks.n_threads, ..self.team };
        let n_rows = rows.hidden.nrows();
        each(rows.into_blocks(blocks.rows(n_rows)), |rows| {
            self.scratch.with_thread_local(|scratch| work(rows, scratch, team));
        });
    }

    fn windows<'a>(
        &'a self,
        queries: ArrayView2<'a, f32>,
        [keys, values]: [ArrayView2<'a, f32>; 2],
    ) -> Windows<'a> {
        Windows {
            offsets: &self.batch.offsets,
            queries,
            keys,
            values,
            n_heads: self.model.n_heads,
            n_threads: self.team.n_threads,
            scratch: self.scratch,
        }
    }
}
