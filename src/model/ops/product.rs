//! Products with a matrix of f32 weights, fused with bias and activation.

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::s;

use crate::model::ops::activation::Activation;
use crate::model::ops::kernel::F32Kernel;
use crate::model::ops::kernel::F32Tile;
use crate::model::ops::panel;

/// F32 weights in panels of columns.
#[derive(Debug)]
pub struct Packed {
    pub(super) n_out: usize,
    kernel: F32Kernel,
    n_in: usize,
    panels: Vec<f32>, // (panel, in, column)
    bias: Vec<f32>,   // padded to whole panels
}

impl Packed {
    /// Packs weights of shape (out, in).
    pub(super) fn new(weight: &[f32], bias: &[f32]) -> Self {
        let kernel = F32Kernel::detect();
        let width = kernel.panel_columns();
        let (n_out, n_in) = (bias.len(), weight.len() / bias.len().max(1));
        let panels = panel::pack(width, [n_in, n_out], |row, column| weight[column * n_in + row]);
        let mut bias = bias.to_vec();
        bias.resize(n_out.next_multiple_of(width), 0.0);
        Self { n_out, kernel, n_in, panels, bias }
    }

    pub(super) fn panel_columns(&self) -> usize {
        self.kernel.panel_columns()
    }

    /// Returns the number of weights in a panel.
    pub(super) fn panel_len(&self) -> usize {
        self.panel_columns() * self.n_in
    }

    /// Computes `activation(rows x weights + bias)` for the columns of some panels.
    pub(super) fn multiply(
        &self,
        rows: ArrayView2<'_, f32>,
        panels: Range<usize>,
        activation: Activation,
        mut output: ArrayViewMut2<'_, f32>,
    ) {
        let (width, n_columns) = (self.panel_columns(), output.ncols());
        for (place, number) in panels.clone().enumerate() {
            let panel = &self.panels[number * self.panel_len()..][..self.panel_len()];
            let start = &self.bias[number * width..][..width];
            let columns = panel::columns(place, width, n_columns);
            let own = output.slice_mut(s![.., columns.clone()]);
            panel::multiply(self.kernel, F32Tile { rows: rows.view(), panel, start, output: own });
            // The activation is applied while the result is still in cache, but to several panels
            // at once: with few columns, locating the rows would cost as much as the function.
            let is_last = place + 1 == panels.len();
            if is_last || (place + 1).is_multiple_of(panel::GROUP_PANELS) {
                let first = place / panel::GROUP_PANELS * panel::GROUP_PANELS * width;
                activation.apply(output.slice_mut(s![.., first..columns.end]));
            }
        }
    }
}
