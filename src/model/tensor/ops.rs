//! The operations of a layer that take more than one call of the tensor library.

use std::ops::Range;

use candle_core::D;
use candle_core::Result;
use candle_core::Tensor;
use candle_nn::ops::softmax_last_dim;

use crate::batch::Batch;
use crate::model::config::HiddenAct;

/// Computes scaled dot-product attention within each window, from (token, 3 x hidden) to (token,
/// hidden).
///
/// The columns are those of query, key and value, each with its heads side by side.
pub(super) fn attention(query_key_value: &Tensor, batch: &Batch, n_heads: usize) -> Result<Tensor> {
    let contexts: Vec<_> = batch
        .spans()
        .map(|Range { start, end }| {
            attend(&query_key_value.narrow(0, start, end - start)?, n_heads)
        })
        .collect::<Result<_>>()?;
    Tensor::cat(&contexts, 0)
}

/// Computes the attention of all tokens of one window to each other: softmax(Q K^T / sqrt(d)) V.
fn attend(query_key_value: &Tensor, n_heads: usize) -> Result<Tensor> {
    let (n_tokens, columns) = query_key_value.dims2()?;
    let hidden = columns / 3;
    let head_size = hidden / n_heads;
    let part = |place: usize| {
        let part = query_key_value.narrow(D::Minus1, place * hidden, hidden)?;
        part.reshape((n_tokens, n_heads, head_size))?.transpose(0, 1)?.contiguous()
    };
    let (query, key, value) = (part(0)?, part(1)?, part(2)?); // (head, token, column)
    let query = (query / (head_size as f64).sqrt())?;
    let scores = query.matmul(&key.t()?)?; // (head, query, key)
    let context = softmax_last_dim(&scores)?.matmul(&value)?; // (head, token, column)
    context.transpose(0, 1)?.reshape((n_tokens, hidden))
}

/// Applies the activation between the two products of the feed-forward network.
pub(super) fn activate(inner: &Tensor, hidden_act: HiddenAct) -> Result<Tensor> {
    match hidden_act {
        HiddenAct::Gelu => inner.gelu_erf(),
        HiddenAct::GeluTanh => inner.gelu(),
        HiddenAct::Relu => inner.relu(),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_nn::attention::flash_attn_varlen_cpu;

    use super::*;
    use crate::tokenize::Window;

    fn batch(lens: &[usize]) -> Batch {
        let windows: Vec<_> =
            lens.iter().map(|&len| Window { ids: vec![0; len], bytes: 0..0 }).collect();
        Batch::pack(&windows)
    }

    /// Reference implementation: the tensor library's own attention over ragged sequences.
    fn reference(query_key_value: &Tensor, lens: &[usize], n_heads: usize) -> Result<Tensor> {
        let (n_tokens, columns) = query_key_value.dims2()?;
        let hidden = columns / 3;
        let part = |place: usize| {
            let part = query_key_value.narrow(1, place * hidden, hidden)?;
            part.reshape((n_tokens, n_heads, hidden / n_heads))
        };
        let lens: Vec<u32> = lens.iter().map(|&len| u32::try_from(len).unwrap()).collect();
        let lens = Tensor::new(lens, &Device::Cpu)?;
        #[expect(clippy::cast_possible_truncation, reason = "a test")]
        let scale = ((hidden / n_heads) as f64).sqrt().recip() as f32;
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        flash_attn_varlen_cpu(
            &query, &key, &value, None, &lens, &lens, 512, 512, scale, false, None, None,
        )?
        .reshape((n_tokens, hidden))
    }

    #[test]
    fn attention_agrees_with_its_reference_on_odd_sizes() {
        for lens in [&[1][..], &[3, 1, 7], &[33, 2], &[511, 1, 512]] {
            let n_tokens = lens.iter().sum::<usize>();
            let input = Tensor::randn(0_f32, 1.0, (n_tokens, 3 * 12), &Device::Cpu).unwrap();
            let ours = attention(&input, &batch(lens), 3).unwrap();
            let theirs = reference(&input, lens, 3).unwrap();
            let difference = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap();
            let difference = difference.to_scalar::<f32>().unwrap();
            // Sums of 512 products in another order.
            assert!(difference < 1e-5, "lens {lens:?}: {difference}");
        }
    }

    #[test]
    fn nan_stays_in_its_window() {
        let mut input = vec![0.5_f32; 4 * 12];
        input[0] = f32::NAN;
        let input = Tensor::from_vec(input, (4, 12), &Device::Cpu).unwrap();
        let rows = attention(&input, &batch(&[2, 2]), 2).unwrap().to_vec2::<f32>().unwrap();
        assert!(rows[0].iter().any(|value| value.is_nan()));
        assert!(rows[2..].iter().flatten().all(|value| value.is_finite()));
    }
}
