//! Text to windows.

mod support;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use moderato::model::Dtype;

/// A chat message, a paragraph, and a page that takes several windows.
const TEXT_TOKENS: [usize; 3] = [16, 128, 2000];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let encoder = support::model(Dtype::F32).encoder;
    let mut group = criterion.benchmark_group("encode");
    for n_tokens in TEXT_TOKENS {
        let text = support::text(&encoder, n_tokens);
        group.throughput(Throughput::Elements(n_tokens as u64));
        group.bench_function(BenchmarkId::from_parameter(n_tokens), |bencher| {
            bencher.iter(|| encoder.encode(0, &text));
        });
    }
    group.finish();
    criterion.final_summary();
}
