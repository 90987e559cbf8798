//! The machine's best f32 matrix products: the floor under any forward pass.

use std::time::Duration;
use std::time::Instant;

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

/// Times (rows, depth) by (depth, columns) for each shape, on all threads, weights packed before.
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
            let flop = 2.0 * (rows * depth * columns) as f64;
            json!({"depth": depth, "columns": columns, "flops": flop / whole.min(shared)})
        })
        .collect();
    Ok(json!({"library": "rten-gemm", "kernel": executor.kernel_name(), "products": products}))
}

/// Two matrices and room for the third.
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

    /// One product for every `share` rows, side by side; the library splits each further.
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

/// The fastest of the runs that fit into a tenth of a second, at least three.
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

/// Numbers between -1 and 1, none of them denormal.
fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|index| (index * 7919 % 1999) as f32 / 999.5 - 1.0).collect()
}
