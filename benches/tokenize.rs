//! Benchmark of tokenising a text into windows.

mod support;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use moderato::model::Dtype;

/// Tokens of a chat message, a paragraph, and a page that takes several windows.
const TEXT_TOKENS: [usize; 3] = [16, 128, 2000];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let tokenizer = support::model(Dtype::F32).tokenizer;
    let mut group = criterion.benchmark_group("tokenize");
    for n_tokens in TEXT_TOKENS {
        let text = support::text(&tokenizer, n_tokens);
        group.throughput(Throughput::Elements(n_tokens as u64));
        group.bench_function(BenchmarkId::from_parameter(n_tokens), |bencher| {
            bencher.iter(|| tokenizer.encode(0, &text));
        });
    }
    group.finish();
    criterion.final_summary();
}
