//! Benchmark of packing windows into a batch.

mod support;

use criterion::Criterion;
use criterion::Throughput;
use moderato::batch::Batch;
use moderato::model::Dtype;

/// (windows, tokens per window): short texts and full windows, 2,048 and 4,096 tokens in total.
const SHAPES: [(usize, usize); 2] = [(128, 16), (8, 512)];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let tokenizer = support::model(Dtype::F32).tokenizer;
    let mut group = criterion.benchmark_group("pack");
    for (n_windows, n_tokens) in SHAPES {
        let text = support::text(&tokenizer, n_tokens);
        let one = tokenizer.encode(0, &text).expect("plain words can be encoded");
        let windows = vec![one.windows; n_windows].concat();
        assert_eq!(windows.len(), n_windows, "each text is one window");
        let shape = format!("{n_windows}x{n_tokens}");
        group.throughput(Throughput::Elements((n_windows * n_tokens) as u64));
        group.bench_function(shape, |bencher| {
            bencher.iter(|| Batch::pack(&windows));
        });
    }
    group.finish();
    criterion.final_summary();
}
