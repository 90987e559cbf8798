//! An encoder layer without its attention: the operations on each row alone.

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;

use crate::model::config::Config;
use crate::model::cpu::partition::Team;
use crate::model::cpu::rows::matrix;
use crate::model::cpu::scratch::Scratch;
use crate::model::cpu::team::Gemm;
use crate::model::device::Dtype;
use crate::model::ops::Activation;
use crate::model::ops::LayerNorm;
use crate::model::ops::Linear;
use crate::model::parameters::LayerParameters;

/// The weights and norms of a layer, packed.
#[derive(Debug)]
pub(super) struct Layer {
    /// Projects to queries, keys and values side by side; in the last layer to keys and values
    /// only.
    pub(super) projection: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    hidden_act: Activation,
    output: Linear,
    output_norm: LayerNorm,
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

    /// Computes the output of the layer from the attention context, in place of `hidden`.
    pub(super) fn finish(
        &self,
        context: ArrayView2<'_, f32>,
        mut hidden: ArrayViewMut2<'_, f32>,
        scratch: &mut Scratch,
        team: Team,
    ) {
        let Scratch { quantized, attended, inner, .. } = scratch;
        let n_rows = hidden.nrows();
        let mut attended = matrix(attended, n_rows, self.attention_output.n_out());
        let mut inner = matrix(inner, n_rows, self.intermediate.n_out());
        let gemm = Gemm {
            linear: &self.attention_output,
            rows: context,
            activation: Activation::None,
            output: attended.view_mut(),
        };
        team.multiply(gemm, quantized);
        team.add_and_normalize(&self.attention_norm, attended.view_mut(), hidden.view());
        let gemm = Gemm {
            linear: &self.intermediate,
            rows: attended.view(),
            activation: self.hidden_act,
            output: inner.view_mut(),
        };
        team.multiply(gemm, quantized);
        let gemm = Gemm {
            linear: &self.output,
            rows: inner.view(),
            activation: Activation::None,
            output: hidden.view_mut(),
        };
        team.multiply(gemm, quantized);
        team.add_and_normalize(&self.output_norm, hidden, attended.view());
    }
}
