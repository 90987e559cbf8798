//! Benchmark from texts to scores: tokenisation, queue, batches and the forward pass together.

mod support;

use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use criterion::Throughput;
use moderato::engine::Engine;
use moderato::engine::EngineSettings;
use moderato::metrics::Metrics;
use moderato::model::Dtype;

/// (requests, tokens per request), one text each: a burst of short texts, and one page.
const LOADS: [(usize, usize); 2] = [(64, 32), (1, 2000)];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads to give");
    let model = support::model(Dtype::F32);
    let texts = LOADS.map(|(_, n_tokens)| support::text(&model.tokenizer, n_tokens));
    let engine = Engine::start(model, settings(), Arc::new(Metrics::new()));
    let engine = Arc::new(engine.expect("the settings agree with each other"));
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(20); // an iteration takes a good part of a second
    for ((n_requests, n_tokens), text) in LOADS.into_iter().zip(texts) {
        let score_all = async || {
            let mut requests = tokio::task::JoinSet::new();
            for _ in 0..n_requests {
                let (engine, texts) = (Arc::clone(&engine), vec![text.clone()]);
                requests.spawn(async move { engine.score(texts, None).await });
            }
            let scored: Result<Vec<_>, _> = requests.join_all().await.into_iter().collect();
            scored.expect("the engine scores plain words")
        };
        group.throughput(Throughput::Elements((n_requests * n_tokens) as u64));
        group.bench_function(format!("{n_requests}x{n_tokens}"), |bencher| {
            bencher.iter(|| runtime.block_on(score_all()));
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Returns the program's defaults, except that the queue time is unlimited.
fn settings() -> EngineSettings {
    EngineSettings {
        batch_tokens: 256 * support::n_threads(),
        queue_tokens: 131_072,
        queue_time: Duration::MAX,
        max_request_tokens: 32_768,
        tokenize_permits: support::n_threads(),
        span_tokens: 0,
    }
}
