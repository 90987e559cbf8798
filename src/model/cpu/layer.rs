//! A layer of the encoder, without its attention: what every row goes through by itself.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::MutexGuard;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;

use crate::model::config::Config;
use crate::model::cpu::lock;
use crate::model::cpu::matrix;
use crate::model::device::Dtype;
use crate::model::ops::Activation;
use crate::model::ops::AttentionScratch;
use crate::model::ops::Input;
use crate::model::ops::LayerNorm;
use crate::model::ops::Linear;
use crate::model::ops::QuantizedRows;
use crate::model::parameters::LayerParameters;

/// The products and norms of a layer, packed.
#[derive(Debug)]
pub(super) struct Layer {
    /// To queries, keys and values side by side; in the last layer to keys and values.
    pub(super) projection: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    hidden_act: Activation,
    output: Linear,
    output_norm: LayerNorm,
}

/// What a thread needs to itself.
#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) attention: AttentionScratch,
    pub(super) products: Products,
    attended: Vec<f32>, // (row, hidden)
    inner: Vec<f32>,    // (row, intermediate)
}

/// How products are done.
#[derive(Debug, Default)]
pub(super) struct Products {
    /// Parts into which the columns are divided, each for a thread.
    pub(super) n_parts: usize,
    quantized: QuantizedRows,
}

impl Layer {
    pub(super) fn pack(
        projection: Linear,
        parameters: LayerParameters,
        config: &Config,
        dtype: Dtype,
    ) -> Self {
        let norm = |norm| LayerNorm::new(norm, config.layer_norm_eps);
        Self {
            projection,
            attention_output: Linear::pack(&parameters.attention_output, dtype),
            attention_norm: norm(parameters.attention_norm),
            intermediate: Linear::pack(&parameters.intermediate, dtype),
            hidden_act: config.hidden_act.into(),
            output: Linear::pack(&parameters.output, dtype),
            output_norm: norm(parameters.output_norm),
        }
    }

    /// From the context that attention found to the outcome of the layer, in place of `hidden`.
    pub(super) fn finish(
        &self,
        context: ArrayView2<'_, f32>,
        mut hidden: ArrayViewMut2<'_, f32>,
        worker: &mut Worker,
    ) {
        let Worker { products, attended, inner, .. } = worker;
        let n_rows = hidden.nrows();
        let mut attended = matrix(attended, n_rows, self.attention_output.n_out());
        let mut inner = matrix(inner, n_rows, self.intermediate.n_out());
        let none = Activation::None;
        products.multiply(&self.attention_output, context, none, attended.view_mut());
        self.attention_norm.add_and_normalize(attended.view_mut(), hidden.view());
        let (rows, hidden_act) = (attended.view(), self.hidden_act);
        products.multiply(&self.intermediate, rows, hidden_act, inner.view_mut());
        products.multiply(&self.output, inner.view(), none, hidden.view_mut());
        self.output_norm.add_and_normalize(hidden, attended.view());
    }
}

impl Worker {
    /// That of the thread which calls.
    pub(super) fn mine(workers: &[Mutex<Self>]) -> MutexGuard<'_, Self> {
        lock(&workers[rayon::current_thread_index().expect("on a thread of the pool")])
    }

    /// From the first tokens to logits.
    pub(super) fn classify(
        &mut self,
        [dense, classifier]: [&Linear; 2],
        rows: ArrayView2<'_, f32>,
        logits: ArrayViewMut2<'_, f32>,
    ) {
        let mut pooled = matrix(&mut self.attended, rows.nrows(), dense.n_out());
        self.products.multiply(dense, rows, Activation::Tanh, pooled.view_mut());
        self.products.multiply(classifier, pooled.view(), Activation::None, logits);
    }
}

impl Products {
    /// `activation(rows x weights + bias)`.
    pub(super) fn multiply(
        &mut self,
        linear: &Linear,
        rows: ArrayView2<'_, f32>,
        activation: Activation,
        output: ArrayViewMut2<'_, f32>,
    ) {
        let input = linear.input(rows, &mut self.quantized);
        let n_panels = linear.n_out().div_ceil(linear.panel_columns());
        Columns { linear, input, activation }.divide(0..n_panels, output, self.n_parts);
    }
}

struct Columns<'a> {
    linear: &'a Linear,
    input: Input<'a>,
    activation: Activation,
}

impl Columns<'_> {
    fn divide(&self, panels: Range<usize>, output: ArrayViewMut2<'_, f32>, n_parts: usize) {
        if n_parts <= 1 || panels.len() <= 1 {
            return self.linear.multiply(self.input, panels, self.activation, output);
        }
        let n_before = panels.len() * (n_parts / 2) / n_parts;
        let middle = panels.start + n_before.max(1);
        let n_columns = (middle - panels.start) * self.linear.panel_columns();
        let (output, output_behind) = output.split_at(Axis(1), n_columns);
        rayon::join(
            || self.divide(panels.start..middle, output, n_parts / 2),
            || self.divide(middle..panels.end, output_behind, n_parts - n_parts / 2),
        );
    }
}
