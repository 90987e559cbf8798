//! Benchmarks of each operation of the CPU forward pass in isolation, on one thread, at the sizes
//! of the embedded model.

use criterion::BenchmarkGroup;
use criterion::Criterion;
use criterion::Throughput;
use criterion::measurement::WallTime;
use moderato::model::Dtype;
use moderato::model::ops::Activation;
use moderato::model::ops::Affine;
use moderato::model::ops::Attention;
use moderato::model::ops::AttentionScratch;
use moderato::model::ops::Embeddings;
use moderato::model::ops::Format;
use moderato::model::ops::LayerNorm;
use moderato::model::ops::Linear;
use moderato::model::ops::Norm;
use moderato::model::ops::QuantizedRows;
use moderato::model::ops::Raw;
use ndarray::Array2;
use ndarray::s;

/// Columns of the hidden states and of the intermediate states in the feed-forward network.
const HIDDEN: usize = 384;
const INNER: usize = 1536;
const HEAD_SIZE: usize = 32;
/// Rows of a block, the unit of work of a thread.
const ROWS: usize = 96;
/// Tokens of a short text, a paragraph and a full window.
const WINDOWS: [usize; 3] = [22, 128, 512];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("linear");
    for (name, n_in, n_out, activation) in [
        ("query_key_value", HIDDEN, 3 * HIDDEN, Activation::None),
        ("attention_output", HIDDEN, HIDDEN, Activation::None),
        ("intermediate", HIDDEN, INNER, Activation::None),
        ("intermediate_gelu", HIDDEN, INNER, Activation::Gelu),
        ("output", INNER, HIDDEN, Activation::None),
    ] {
        for dtype in [Dtype::F32, Dtype::Int8] {
            linear(&mut group, &format!("{dtype}/{name}"), dtype, [n_in, n_out], activation);
        }
    }
    group.finish();
    quantize(&mut criterion);
    norm(&mut criterion);
    embed(&mut criterion);
    attend(&mut criterion);
    criterion.final_summary();
}

/// Measures a product with bias and activation; throughput in FLOP, two per multiply-add.
fn linear(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    dtype: Dtype,
    [n_in, n_out]: [usize; 2],
    activation: Activation,
) {
    let (rows, mut output) = (numbers(ROWS, n_in), Array2::zeros((ROWS, n_out)));
    let weight = numbers(n_out, n_in).into_raw_vec_and_offset().0;
    let linear = Linear::pack(&Affine { weight, bias: vec![0.5; n_out] }, dtype);
    let n_panels = n_out.div_ceil(linear.panel_columns());
    let mut buffer = QuantizedRows::default();
    let input = linear.input(rows.view(), &mut buffer);
    group.throughput(Throughput::Elements((2 * ROWS * n_in * n_out) as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| linear.multiply(input, 0..n_panels, activation, output.view_mut()));
    });
}

/// Measures quantising rows to int8, as inputs of a product.
fn quantize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quantize");
    for n_columns in [HIDDEN, INNER] {
        let rows = numbers(ROWS, n_columns);
        let parameters = Affine { weight: vec![0.0; n_columns], bias: vec![0.0] };
        let linear = Linear::pack(&parameters, Dtype::Int8);
        let mut buffer = QuantizedRows::default();
        group.throughput(Throughput::Elements((ROWS * n_columns) as u64));
        group.bench_function(format!("{ROWS}x{n_columns}"), |bencher| {
            bencher.iter(|| _ = linear.input(rows.view(), &mut buffer));
        });
    }
    group.finish();
}

/// Measures residual addition and layer norm.
fn norm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("add_and_normalize");
    let (mut rows, residual) = (numbers(ROWS, HIDDEN), numbers(ROWS, HIDDEN));
    group.throughput(Throughput::Elements((ROWS * HIDDEN) as u64));
    group.bench_function(format!("{ROWS}x{HIDDEN}"), |bencher| {
        let norm = layer_norm();
        bencher.iter(|| norm.add_and_normalize(rows.view_mut(), residual.view()));
    });
    group.finish();
}

/// Measures the lookup of f16 word embeddings, the addition of positions, and layer norm.
fn embed(criterion: &mut Criterion) {
    const WORDS: u32 = 1000;
    let mut group = criterion.benchmark_group("embed");
    let embeddings = Embeddings {
        words: Raw { bytes: vec![0x11; WORDS as usize * HIDDEN * 2].into(), format: Format::F16 },
        positions: vec![0.5; 512 * HIDDEN],
        norm: layer_norm(),
        first_position: 0,
    };
    let ids: Vec<_> = (0..WORDS).cycle().step_by(77).take(ROWS).collect();
    let positions: Vec<_> = (0..512).take(ROWS).collect();
    let mut output = Array2::zeros((ROWS, HIDDEN));
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function(format!("{ROWS}x{HIDDEN}"), |bencher| {
        bencher.iter(|| embeddings.embed(&ids, &positions, output.view_mut()));
    });
    group.finish();
}

/// Measures all attention heads of one window; throughput in FLOP of the two products.
fn attend(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attention");
    for n_tokens in WINDOWS {
        let rows = numbers(n_tokens, 3 * HIDDEN);
        let mut output = Array2::zeros((n_tokens, HIDDEN));
        let mut scratch = AttentionScratch::default();
        let attention = Attention {
            queries: rows.slice(s![.., ..HIDDEN]),
            keys: rows.slice(s![.., HIDDEN..2 * HIDDEN]),
            values: rows.slice(s![.., 2 * HIDDEN..]),
            head_size: HEAD_SIZE,
        };
        group.throughput(Throughput::Elements((4 * n_tokens * n_tokens * HIDDEN) as u64));
        group.bench_function(n_tokens.to_string(), |bencher| {
            bencher
                .iter(|| attention.attend(0..HIDDEN / HEAD_SIZE, &mut scratch, output.view_mut()));
        });
    }
    group.finish();
}

fn layer_norm() -> LayerNorm {
    LayerNorm::new(Norm { weight: vec![1.5; HIDDEN], bias: vec![0.5; HIDDEN] }, 1e-12)
}

/// Returns deterministic numbers from -1 to 1: (row, column).
fn numbers(n_rows: usize, n_columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((n_rows, n_columns), |(row, column)| {
        ((row * 7919 + column * 104_729) % 2003) as f32 / 1001.0 - 1.0
    })
}
