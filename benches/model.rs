//! Benchmark of the forward pass of the embedded model, from a batch to logits, on every core or on
//! the number of threads in the environment variable `MODERATO_THREADS`.

mod support;

use criterion::Criterion;
use criterion::Throughput;
use moderato::batch::Batch;
use moderato::model::Dtype;

/// (windows, tokens per window): one message, one paragraph, 512 tokens as messages and as one
/// page, many messages, many paragraphs, many pages.
const SHAPES: [(usize, usize); 7] =
    [(1, 16), (1, 128), (32, 16), (1, 512), (32, 32), (32, 128), (8, 512)];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for dtype in [Dtype::F32, Dtype::Int8] {
        forward(&mut criterion, dtype);
    }
    criterion.final_summary();
}

fn forward(criterion: &mut Criterion, dtype: Dtype) {
    let model = support::model(dtype);
    let mut group = criterion.benchmark_group(format!("forward/{dtype}"));
    group.sample_size(20); // a pass of the largest batch takes a good part of a second
    for (n_windows, n_tokens) in SHAPES {
        let text = support::text(&model.tokenizer, n_tokens);
        let one = model.tokenizer.encode(0, &text).expect("plain words can be encoded");
        let batch = Batch::pack(&vec![one.windows; n_windows].concat());
        assert_eq!(batch.n_windows(), n_windows, "each text is one window");
        let shape = format!("{n_windows}x{n_tokens}");
        group.throughput(Throughput::Elements(batch.n_tokens() as u64));
        group.bench_function(shape, |bencher| bencher.iter(|| model.replicas[0].forward(&batch)));
    }
    group.finish();
}
