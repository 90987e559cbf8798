//! Tests of every operation against a reference implementation in plain candle, with odd sizes, NaN
//! and infinities.

use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use candle_nn::Module;
use candle_nn::ops::softmax_last_dim;
use ndarray::Array2;
use ndarray::ArrayView2;
use ndarray::s;

use super::*;
use crate::model::device::Dtype;
use crate::model::parameters::Affine;
use crate::model::parameters::Norm;
use crate::model::raw::Format;
use crate::model::raw::Raw;

/// Returns pseudo-random numbers from -1 to 1.
fn numbers(n_rows: usize, n_columns: usize, seed: usize) -> Array2<f32> {
    Array2::from_shape_fn((n_rows, n_columns), |(row, column)| {
        let place = seed + row * 7919 + column * 104_729;
        (place * place % 2003) as f32 / 1001.0 - 1.0
    })
}

/// Puts NaN into one row and an infinity into another if there are enough rows.
fn with_accidents(mut rows: Array2<f32>) -> Array2<f32> {
    let (n_rows, n_columns) = rows.dim();
    if n_rows >= 3 {
        rows[(0, n_columns - 1)] = f32::NAN;
        rows[(2, 0)] = f32::INFINITY;
    }
    rows
}

fn tensor(rows: ArrayView2<'_, f32>) -> Tensor {
    let values: Vec<_> = rows.iter().copied().collect();
    Tensor::from_vec(values, rows.dim(), &Device::Cpu).unwrap()
}

/// Asserts that numbers are equal within a tolerance that grows with their size, and NaN at the
/// same indices.
#[track_caller]
fn assert_near(ours: &Array2<f32>, reference: &Tensor, tolerance: f32, case: &str) {
    let theirs = reference.to_vec2::<f32>().unwrap();
    assert_eq!(ours.nrows(), theirs.len(), "{case}");
    for (row, (ours, theirs)) in ours.rows().into_iter().zip(&theirs).enumerate() {
        assert_eq!(ours.len(), theirs.len(), "{case}");
        for (column, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            let place = format!("{case}: ({row}, {column}): {ours} for {theirs}");
            assert_eq!(ours.is_nan(), theirs.is_nan(), "{place}");
            if ours.is_finite() || theirs.is_finite() {
                let difference = (ours - theirs).abs();
                assert!(difference <= tolerance * theirs.abs().max(1.0), "{place}");
            }
        }
    }
}

/// (rows, inputs, outputs).
const PRODUCTS: [(usize, usize, usize); 8] = [
    (0, 4, 4),
    (1, 1, 1),
    (3, 33, 33),
    (7, 64, 10),
    (13, 384, 100),
    (25, 31, 65),
    (49, 36, 16),
    (101, 12, 48),
];

fn product(
    dtype: Dtype,
    activation: Activation,
    rows: &Array2<f32>,
    affine: &Affine,
) -> Array2<f32> {
    let linear = Linear::pack(affine, dtype);
    let mut output = Array2::from_elem((rows.nrows(), linear.n_out()), f32::NAN);
    let mut buffer = QuantizedRows::default();
    let n_panels = linear.n_out().div_ceil(linear.panel_columns());
    let input = linear.input(rows.view(), &mut buffer);
    // In two parts, as threads share the work.
    let middle = n_panels / 2;
    let n_before = middle * linear.panel_columns();
    let own = output.slice_mut(s![.., ..n_before]);
    linear.multiply(input, 0..middle, activation, own);
    let own = output.slice_mut(s![.., n_before..]);
    linear.multiply(input, middle..n_panels, activation, own);
    output
}

fn product_reference(
    activation: Activation,
    rows: &Tensor,
    weight: &Tensor,
    bias: &[f32],
) -> Result<Tensor> {
    let bias = Tensor::from_slice(bias, bias.len(), &Device::Cpu)?;
    let output = match rows.dim(0)? {
        0 => Tensor::zeros((0, bias.dim(0)?), DType::F32, &Device::Cpu)?,
        _ => candle_nn::Linear::new(weight.clone(), Some(bias)).forward(rows)?,
    };
    match activation {
        Activation::None => Ok(output),
        Activation::Gelu => output.gelu_erf(),
        Activation::GeluTanh => output.gelu(),
        Activation::Relu => output.relu(),
        Activation::Tanh => output.tanh(),
    }
}

#[test]
fn products_with_bias_and_activation_agree() {
    for (n_rows, n_in, n_out) in PRODUCTS {
        for activation in [
            Activation::None,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Relu,
            Activation::Tanh,
        ] {
            let rows = numbers(n_rows, n_in, 1);
            let weight = numbers(n_out, n_in, 2);
            let bias = numbers(1, n_out, 3).into_raw_vec_and_offset().0;
            let reference =
                product_reference(activation, &tensor(rows.view()), &tensor(weight.view()), &bias);
            let affine = Affine { weight: weight.into_raw_vec_and_offset().0, bias };
            let ours = product(Dtype::F32, activation, &rows, &affine);
            // Sums of up to 384 products in another order; the error of erf is 7e-7.
            let case = format!("{n_rows} x {n_in} x {n_out}, {activation:?}");
            assert_near(&ours, &reference.unwrap(), 1e-5, &case);
        }
    }
}

#[test]
fn what_is_not_finite_stays_in_its_row_of_a_product() {
    let rows = with_accidents(numbers(5, 33, 1));
    let weight = numbers(35, 33, 2);
    let bias = vec![0.5; 35];
    let reference =
        product_reference(Activation::Gelu, &tensor(rows.view()), &tensor(weight.view()), &bias);
    let affine = Affine { weight: weight.into_raw_vec_and_offset().0, bias };
    let ours = product(Dtype::F32, Activation::Gelu, &rows, &affine);
    assert_near(&ours, &reference.unwrap(), 1e-5, "f32");
    let ours = product(Dtype::Int8, Activation::Gelu, &rows, &affine);
    for (row, values) in ours.rows().into_iter().enumerate() {
        let lost = row == 0 || row == 2;
        assert!(values.iter().all(|value| value.is_nan() == lost), "int8, row {row}: {values}");
    }
}

/// Rounds numbers as int8 does: inputs have 255 steps for their range, weights 127 on either side
/// of 0.
fn rounded(values: &[f32], are_inputs: bool) -> Vec<f32> {
    let (least, most) = values
        .iter()
        .fold((0.0_f32, 0.0_f32), |(least, most), &value| (least.min(value), most.max(value)));
    let scale = if are_inputs { (most - least) / 255.0 } else { most.max(-least) / 127.0 };
    let round = |value: &f32| (value / scale).round_ties_even() * scale;
    if scale > 0.0 { values.iter().map(round).collect() } else { values.to_vec() }
}

#[test]
fn int8_products_are_those_of_the_rounded_numbers() {
    for (n_rows, n_in, n_out) in PRODUCTS {
        let rows = numbers(n_rows, n_in, 1);
        let weight = numbers(n_out, n_in, 2);
        let bias = numbers(1, n_out, 3).into_raw_vec_and_offset().0;
        let round = |matrix: &Array2<f32>, are_inputs| {
            let rows = matrix.rows().into_iter();
            let values = rows.flat_map(|row| rounded(&row.to_vec(), are_inputs)).collect();
            Array2::from_shape_vec(matrix.dim(), values).unwrap()
        };
        let reference = product_reference(
            Activation::None,
            &tensor(round(&rows, true).view()),
            &tensor(round(&weight, false).view()),
            &bias,
        );
        let affine = Affine { weight: weight.into_raw_vec_and_offset().0, bias };
        let ours = product(Dtype::Int8, Activation::None, &rows, &affine);
        // A number halfway between two may be rounded either way: one step of 2/255, times 1.
        assert_near(&ours, &reference.unwrap(), 0.02, &format!("{n_rows} x {n_in} x {n_out}"));
    }
}

fn norm_reference(rows: &Tensor, weight: &[f32], bias: &[f32]) -> Result<Tensor> {
    let vector = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
    candle_nn::LayerNorm::new(vector(weight)?, vector(bias)?, 1e-12).forward(rows)
}

#[test]
fn sums_with_a_residual_are_normalised_alike() {
    for (n_rows, n_columns) in [(0, 8), (1, 1), (5, 2), (3, 33), (4, 384), (6, 511)] {
        let rows = with_accidents(numbers(n_rows, n_columns, 1));
        let residual = numbers(n_rows, n_columns, 2);
        let [weight, bias] =
            [3, 4].map(|seed| numbers(1, n_columns, seed).into_raw_vec_and_offset().0);
        let sum = tensor((&rows + &residual).view());
        let reference = match n_rows {
            0 => Ok(sum),
            _ => norm_reference(&sum, &weight, &bias),
        };
        let mut ours = rows;
        LayerNorm::new(Norm { weight, bias }, 1e-12)
            .add_and_normalize(ours.view_mut(), residual.view());
        // One column has no variance, and the remaining rounding error is divided by 1e-6.
        let tolerance = if n_columns == 1 { 2.0 } else { 2e-5 };
        assert_near(&ours, &reference.unwrap(), tolerance, &format!("{n_rows} x {n_columns}"));
    }
}

#[test]
fn embeddings_are_summed_and_normalised_alike_in_every_format() {
    let n_columns = 70;
    // These numbers are exact in bf16, so all formats store the same values.
    let words = numbers(9, n_columns, 1).mapv(|value| (value * 64.0).round() / 64.0);
    let positions = numbers(5, n_columns, 2);
    let (ids, places) = ([8_u32, 0, 3, 3], [0_u32, 1, 2, 0]);
    let sums = Array2::from_shape_fn((4, n_columns), |(row, column)| {
        words[(ids[row] as usize, column)] + positions[(places[row] as usize + 2, column)]
    });
    let (weight, bias) = (vec![0.5; n_columns], vec![0.25; n_columns]);
    let reference = norm_reference(&tensor(sums.view()), &weight, &bias).unwrap();
    for format in [Format::F32, Format::F16, Format::Bf16] {
        let bytes: Vec<u8> = words
            .iter()
            .flat_map(|&value| match format {
                Format::F32 => value.to_le_bytes().to_vec(),
                Format::F16 => half::f16::from_f32(value).to_le_bytes().to_vec(),
                Format::Bf16 => half::bf16::from_f32(value).to_le_bytes().to_vec(),
            })
            .collect();
        let norm = Norm { weight: weight.clone(), bias: bias.clone() };
        let embeddings = Embeddings {
            words: Raw { bytes: bytes.into(), format },
            positions: positions.iter().copied().collect(),
            norm: LayerNorm::new(norm, 1e-12),
            first_position: 2,
        };
        let mut ours = Array2::from_elem((4, n_columns), f32::NAN);
        embeddings.embed(&ids, &places, ours.view_mut());
        assert_near(&ours, &reference, 1e-5, &format!("{format:?}"));
    }
}

fn attention_reference(
    [queries, keys, values]: [&Tensor; 3],
    n_heads: usize,
    head_size: usize,
) -> Result<Tensor> {
    let heads = |rows: &Tensor| {
        rows.reshape((rows.dim(0)?, n_heads, head_size))?.transpose(0, 1)?.contiguous()
    };
    let scores = (heads(queries)?.matmul(&heads(keys)?.t()?)? / (head_size as f64).sqrt())?;
    let context = softmax_last_dim(&scores)?.matmul(&heads(values)?)?;
    context.transpose(0, 1)?.reshape((queries.dim(0)?, n_heads * head_size))
}

#[test]
fn attention_agrees_at_odd_sizes() {
    let mut scratch = AttentionScratch::default(); // reused, as it is from batch to batch
    for (n_queries, n_keys, n_heads, head_size) in [
        (1, 1, 1, 1),
        (1, 1, 3, 32),
        (3, 3, 2, 5),
        (33, 33, 2, 32),
        (1, 77, 4, 33),
        (512, 512, 2, 32),
        (511, 511, 1, 64),
        (16, 16, 12, 32),
    ] {
        for accidents in [false, true] {
            let mut rows = [1, 2, 3].map(|seed| numbers(n_keys, n_heads * head_size, seed) * 3.0);
            if accidents && n_keys > 1 {
                rows[1][(n_keys - 1, 0)] = f32::NAN; // a key: all outputs of its head are NaN
                rows[2][(0, n_heads * head_size - 1)] = f32::INFINITY;
            }
            let queries = rows[0].slice(s![..n_queries, ..]).to_owned();
            let tensors = [&queries, &rows[1], &rows[2]].map(|rows| tensor(rows.view()));
            let reference = attention_reference(tensors.each_ref(), n_heads, head_size).unwrap();
            let attention = Attention {
                queries: queries.view(),
                keys: rows[1].view(),
                values: rows[2].view(),
                head_size,
            };
            let mut ours = Array2::from_elem(queries.dim(), f32::NAN);
            // In two parts, as threads share the work.
            let middle = n_heads / 2;
            let own = ours.slice_mut(s![.., ..middle * head_size]);
            attention.attend(0..middle, &mut scratch, own);
            let own = ours.slice_mut(s![.., middle * head_size..]);
            attention.attend(middle..n_heads, &mut scratch, own);
            let case = format!("{n_queries} of {n_keys}, {n_heads} x {head_size}, {accidents}");
            // Sums of up to 512 products in another order.
            assert_near(&ours, &reference, 2e-5, &case);
        }
    }
}

#[test]
fn softmax_of_large_scores_is_one_for_the_largest() {
    let mut keys = Array2::zeros((3, 4));
    keys[(1, 0)] = 1000.0;
    let queries = Array2::ones((3, 4));
    let values = Array2::from_shape_fn((3, 4), |(row, _)| row as f32);
    let attention = Attention {
        queries: queries.view(),
        keys: keys.view(),
        values: values.view(),
        head_size: 4,
    };
    let mut ours = Array2::zeros((3, 4));
    attention.attend(0..1, &mut AttentionScratch::default(), ours.view_mut());
    assert_eq!(ours, Array2::<f32>::ones((3, 4)));
}
