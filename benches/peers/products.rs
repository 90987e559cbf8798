//! The fastest f32 matrix products on the CPU, a library's or moderato's own: a lower bound on the
//! time of any forward pass.

use std::time::Duration;
use std::time::Instant;

use moderato::model::Dtype;
use moderato::model::ops::Activation;
use moderato::model::ops::Affine;
use moderato::model::ops::Linear;
use moderato::model::ops::LinearInput;
use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use rayon::iter::IndexedParallelIterator;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use rayon::slice::ParallelSliceMut;
use rten_gemm::GemmExecutor;
use rten_gemm::GemmInputA;
use rten_gemm::GemmInputB;
use rten_gemm::GemmOptions;
use rten_gemm::PackedBMatrix;
use rten_tensor::NdTensorView;
use serde_json::Value;
use serde_json::json;

use crate::Fallible;

/// Times (rows, depth) by (depth, columns) for each shape, on all threads, with weights packed in
/// advance.
pub(crate) fn measure(threads: usize, rows: usize, shapes: &[[usize; 2]]) -> Fallible<Value> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let executor = GemmExecutor::<f32>::new();
    let products: Vec<_> = shapes
        .iter()
        .map(|&[depth, columns]| {
            let mut product = Product::new(&executor, [rows, depth, columns]);
            let whole = pool.install(|| best_seconds(|| product.run(&executor, rows)));
            let share = rows.div_ceil(threads);
            let shared = pool.install(|| best_seconds(|| product.run(&executor, share)));
            let own = OwnProduct::new([depth, columns]);
            let (left, out) = (&product.left, &mut product.out);
            let own = pool.install(|| best_seconds(|| own.run(left, out)));
            let flop = 2.0 * (rows * depth * columns) as f64;
            let fastest = whole.min(shared).min(own);
            json!({"depth": depth, "columns": columns, "flops": flop / fastest})
        })
        .collect();
    Ok(json!({"kernel": executor.kernel_name(), "products": products}))
}

/// The two operands of a product, and the buffer for the result.
struct Product {
    left: Vec<f32>, // (row, depth)
    right: PackedBMatrix<f32>,
    out: Vec<f32>, // (row, column)
    depth: usize,
    columns: usize,
}

impl Product {
    fn new(executor: &GemmExecutor<f32>, [rows, depth, columns]: [usize; 3]) -> Self {
        let left = numbers(rows * depth);
        let right = numbers(depth * columns); // (depth, column)
        let right = executor.prepack_b(NdTensorView::from_data([depth, columns], &right[..]));
        Self { left, right, out: vec![0.0; rows * columns], depth, columns }
    }

    /// Computes one product per `share` rows, in parallel; the library splits each product further.
    fn run(&mut self, executor: &GemmExecutor<f32>, share: usize) {
        let (depth, columns) = (self.depth, self.columns);
        let lefts = self.left.par_chunks(share * depth);
        lefts.zip(self.out.par_chunks_mut(share * columns)).for_each(|(left, out)| {
            let left = NdTensorView::from_data([left.len() / depth, depth], left);
            let (left, right) = (GemmInputA::Unpacked(left), GemmInputB::Packed(&self.right));
            executor
                .gemm(out, left, right, GemmOptions::default())
                .expect("the sizes agree with each other");
        });
    }
}

/// A product by moderato's own kernel, with a zero bias and no activation.
struct OwnProduct {
    linear: Linear,
    depth: usize,
    columns: usize,
}

impl OwnProduct {
    fn new([depth, columns]: [usize; 2]) -> Self {
        let parameters = Affine { weight: numbers(depth * columns), bias: vec![0.0; columns] };
        Self { linear: Linear::pack(&parameters, Dtype::F32), depth, columns }
    }

    /// Computes the product in blocks of rows, as the forward pass does.
    fn run(&self, left: &[f32], out: &mut [f32]) {
        const BLOCK_ROWS: usize = 96;
        let (depth, columns) = (self.depth, self.columns);
        let n_panels = columns.div_ceil(self.linear.panel_columns());
        let lefts = left.par_chunks(BLOCK_ROWS * depth);
        lefts.zip(out.par_chunks_mut(BLOCK_ROWS * columns)).for_each(|(left, out)| {
            let n_rows = left.len() / depth;
            let left = ArrayView2::from_shape((n_rows, depth), left).expect("whole rows");
            let out = ArrayViewMut2::from_shape((n_rows, columns), out).expect("whole rows");
            self.linear.multiply(LinearInput::F32(left), 0..n_panels, Activation::None, out);
        });
    }
}

/// Returns the seconds of the fastest run, of all runs in a tenth of a second and at least three.
fn best_seconds(mut run: impl FnMut()) -> f64 {
    const AT_LEAST: usize = 3;
    const LONG_ENOUGH: Duration = Duration::from_millis(100);
    run(); // touches the memory
    let begin = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < AT_LEAST || begin.elapsed() < LONG_ENOUGH {
        let start = Instant::now();
        run();
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.into_iter().fold(f64::INFINITY, f64::min)
}

/// Returns numbers between -1 and 1, none of them denormal.
fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|index| (index * 7919 % 1999) as f32 / 999.5 - 1.0).collect()
}
