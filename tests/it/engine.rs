//! The engine's guarantees, with a forward pass that tests can block, fail and observe.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use moderato::batch::Batch;
use moderato::engine::Deadline;
use moderato::engine::Engine;
use moderato::engine::EngineGroup;
use moderato::engine::EngineSettings;
use moderato::engine::Priority;
use moderato::engine::Queued;
use moderato::engine::RequestContext;
use moderato::engine::ScoredInput;
use moderato::engine::SpanRequest;
use moderato::error::Error;
use moderato::error::Result;
use moderato::metrics::Metrics;
use moderato::model::Forward;
use moderato::model::Logits;
use moderato::model::Model;
use moderato::model::WarmUp;
use moderato::text::Input;
use moderato::text::Limits;
use moderato::text::Text;
use ndarray::Array2;

use crate::support;
use crate::support::ENGINE;

#[tokio::test(flavor = "multi_thread")]
async fn a_text_scores_the_same_alone_and_among_others() {
    let engine = Arc::new(start(support::tiny_model(), ENGINE));
    let texts: Vec<String> =
        (1..30).map(|n| "the kettle is on and tea is near ".repeat(n)).collect();
    let mut alone = Vec::new();
    for text in &texts {
        alone.extend(score(&engine, &[text]).await.unwrap());
    }
    let together = texts.iter().map(|text| {
        let (engine, text) = (Arc::clone(&engine), text.clone());
        tokio::spawn(async move { score(&engine, &[&text]).await })
    });
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let in_one_request = score(&engine, &all).await.unwrap();
    for (index, scoring) in together.collect::<Vec<_>>().into_iter().enumerate() {
        let among_others = scoring.await.unwrap().unwrap();
        for other in [&among_others[0], &in_one_request[index]] {
            assert_eq!(alone[index].n_windows(), other.n_windows());
            let bits = |scored: &ScoredInput| -> Vec<u32> {
                probabilities(scored).iter().map(|score| score.to_bits()).collect()
            };
            assert_eq!(bits(&alone[index]), bits(other), "text {index}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_window_is_answered_exactly_once_and_in_order() {
    let (seen, windows) = mpsc::channel();
    let echo = Fake::new(move |batch| {
        for span in batch.spans() {
            seen.send(span.len()).unwrap();
        }
        Ok(echo(batch))
    });
    let settings = EngineSettings { batch_tokens: 100, ..ENGINE };
    let engine = Arc::new(start(support::model_with(echo), settings));
    let requests = (0..60_usize).map(|request| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            // Texts of different lengths, the longest with several windows.
            let texts: Vec<String> =
                (0..=request % 5).map(|n| "tea ".repeat(1 + n * request)).collect();
            let all: Vec<&str> = texts.iter().map(String::as_str).collect();
            let scored = score(&engine, &all).await.unwrap();
            for (text, scored) in texts.iter().zip(&scored) {
                // The echo scores a window by its length; the longest window of a text counts.
                let longest = sigmoid(scored.n_tokens.min(128));
                assert_eq!(
                    probabilities(scored)[0].to_bits(),
                    longest.to_bits(),
                    "{} bytes",
                    text.len()
                );
            }
            scored.iter().map(ScoredInput::n_windows).sum::<usize>()
        })
    });
    let mut n_answered = 0;
    for request in requests.collect::<Vec<_>>() {
        n_answered += request.await.unwrap();
    }
    assert_eq!(windows.try_iter().count(), n_answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_while_a_batch_is_computed_makes_up_the_next() {
    let (gate, held) = gated();
    let engine = start_shared(support::model_with(held), ENGINE);
    let mut requests = vec![spawn(&engine, "one")];
    assert_eq!(gate.entered(), 1);
    requests.extend((0..3).map(|_| spawn(&engine, "two")));
    until_inside(&engine, 4).await;
    gate.open();
    assert_eq!(gate.entered(), 3, "three requests waited");
    gate.open();
    for request in requests {
        request.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_larger_than_a_batch_spreads_over_several() {
    let (gate, held) = gated();
    let settings = EngineSettings { batch_tokens: 128, ..ENGINE };
    let engine = Arc::new(start(support::model_with(held), settings));
    let long = "a cup of tea and a slice of cake ".repeat(40);
    let request = spawn(&engine, &long);
    // A batch of at most 128 tokens holds one window.
    for _ in 0..MORE_THAN_ENOUGH_BATCHES {
        gate.open();
    }
    let scored = request.await.unwrap().unwrap();
    assert!(scored[0].n_windows() > 2);
    assert_eq!(gate.entries.try_iter().collect::<Vec<_>>(), vec![1; scored[0].n_windows()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_request_overtakes_a_long_one() {
    let (gate, held) = gated();
    let settings = EngineSettings { batch_tokens: 128, ..ENGINE };
    // At one token per second, the long request yields to anything that arrives within minutes.
    let engine = start_shared(slow(support::model_with(held)), settings);
    let computing = spawn(&engine, "one");
    assert_eq!(gate.entered(), 1);
    let long = spawn(&engine, &"a cup of tea and a slice of cake ".repeat(40));
    until_inside(&engine, 2).await;
    let short = spawn(&engine, "two");
    until_inside(&engine, 3).await;
    // The running batch, the one prepared before the short request arrived, and that of the short
    // request.
    for _ in 0..3 {
        gate.open();
    }
    computing.await.unwrap().unwrap();
    short.await.unwrap().unwrap();
    assert!(!long.is_finished());
    for _ in 0..MORE_THAN_ENOUGH_BATCHES {
        gate.open();
    }
    long.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once() {
    let (gate, held) = gated();
    let settings = EngineSettings { queue_tokens: 40, max_request_tokens: 40, ..ENGINE };
    let engine = start_shared(support::model_with(held), settings);
    let computing = spawn(&engine, "tea");
    assert_eq!(gate.entered(), 1);
    let large = "tea and cake and cream and jam and more of that";
    let waiting = spawn(&engine, large);
    until_inside(&engine, 2).await;
    let refusal = score(&engine, &[large, large]).await;
    assert!(matches!(refusal, Err(Error::QueueFull { capacity: 40, .. })), "{refusal:?}");
    gate.open();
    gate.open();
    computing.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_behind_more_than_there_is_time_for() {
    let (gate, held) = gated();
    let settings =
        EngineSettings { batch_tokens: 4, queue_time: Duration::from_nanos(1), ..ENGINE };
    let engine = start_shared(support::model_with(held), settings);
    gate.open();
    score(&engine, &["tea"]).await.unwrap();
    assert_eq!(gate.entered(), 1);
    // The throughput is known by now and is below one token per nanosecond.
    let computing = spawn(&engine, "tea");
    assert_eq!(gate.entered(), 1);
    let waiting = spawn(&engine, "tea");
    until_inside(&engine, 2).await;
    let refusal = score(&engine, &["tea"]).await;
    assert!(matches!(refusal, Err(Error::QueueFull { capacity: 1, .. })), "{refusal:?}");
    gate.open();
    gate.open();
    computing.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    gate.open();
    score(&engine, &["tea"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_burst_is_bounded_by_what_the_warm_up_has_measured() {
    let (gate, held) = gated();
    let settings = EngineSettings { queue_time: Duration::from_secs(10), ..ENGINE };
    let engine = start_shared(slow(support::model_with(held)), settings);
    let computing = spawn(&engine, "tea");
    assert_eq!(gate.entered(), 1);
    let waiting = spawn(&engine, "tea and cake and cream and jam and more of that");
    until_inside(&engine, 2).await;
    let refusal = score(&engine, &["tea"]).await;
    let Err(Error::QueueFull { capacity: 10, retry_ms, .. }) = refusal else {
        panic!("{refusal:?}");
    };
    assert!((5000..60_000).contains(&retry_ms), "half of what waits: {retry_ms} ms");
    for request in [computing, waiting] {
        gate.open();
        request.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_computes_at_a_place_of_its_own() {
    let (gates, fakes): (Vec<_>, Vec<_>) = (0..3).map(|_| gated()).unzip();
    let replicas = fakes.into_iter().map(|fake| Box::new(fake) as Box<dyn Forward>).collect();
    let model = Model { replicas, warm_up: None, ..support::tiny_model() };
    let engine = start_shared(model, ENGINE);
    let mut requests = Vec::new();
    for n_requests in 1..=3 {
        requests.push(spawn(&engine, "tea"));
        // Each request is running before the next one arrives.
        let has_begun = |queued: &Queued| (queued.n_requests, queued.n_tokens) == (n_requests, 0);
        until(&engine, has_begun).await;
    }
    for gate in &gates {
        assert_eq!(gate.entered(), 1);
        gate.open();
    }
    for request in requests {
        request.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_went_away_costs_no_forward_pass() {
    let (gate, held) = gated();
    let metrics = Arc::new(Metrics::new());
    let model = support::model_with(held);
    let engine = Arc::new(Engine::start(model, ENGINE, Arc::clone(&metrics)).unwrap());
    let first = spawn(&engine, "one");
    assert_eq!(gate.entered(), 1);
    for text in ["two", "three"] {
        let request = spawn(&engine, text);
        until_inside(&engine, 2).await;
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        // Its tokens leave the queue at once, while the first batch is still running.
        assert_eq!(*engine.queued().borrow(), Queued { n_requests: 1, n_tokens: 0 });
    }
    let last = spawn(&engine, "four");
    until_inside(&engine, 2).await;
    gate.open();
    assert_eq!(gate.entered(), 1, "only the last one is still wanted");
    gate.open();
    first.await.unwrap().unwrap();
    last.await.unwrap().unwrap();
    assert!(metrics.render().contains("moderato_queue_abandoned_total 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_past_its_deadline_is_told_so() {
    let (gate, held) = gated();
    let engine = start(support::model_with(held), ENGINE);
    let deadline = Deadline::after(Duration::from_millis(30));
    let late = engine.score(texts(&["one"]), Some(deadline)).await;
    assert!(matches!(late, Err(Error::DeadlineExceeded { timeout_ms: 30 })), "{late:?}");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logit_that_is_not_finite_is_an_error_for_its_text() {
    let poison = Fake::new(|batch: &Batch| {
        let mut logits = echo(batch);
        logits.0[(1, 2)] = f32::NAN;
        Ok(logits)
    });
    let engine = start(support::model_with(poison), ENGINE);
    let fault = score(&engine, &["one", "two", "three"]).await;
    assert!(matches!(fault, Err(Error::NonFinite { index: 1 })), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_shortened_text_names_the_input_whose_spans_are_located() {
    let is_first = Mutex::new(true);
    let poison = Fake::new(move |batch: &Batch| {
        let mut logits = echo(batch);
        if !std::mem::take(&mut *is_first.lock().unwrap()) {
            logits.0[(2, 0)] = f32::NAN;
        }
        Ok(logits)
    });
    let engine = start(support::model_with(poison), ENGINE);
    let raw = "Tea is ready. Milk is here. Cups are clean. Sit down.";
    let scored = score(&engine, &[raw]).await.unwrap();
    let inputs: Vec<Input> = texts(&[raw]).into_iter().map(Input::from).collect();
    let rules = engine.rules(None).unwrap();
    let request = SpanRequest { inputs: &inputs, scored: &scored, rules };
    let context = RequestContext {
        deadline: Some(Deadline::after(PATIENCE)),
        priority: Priority::Foreground,
        account: None,
        timings: None,
    };
    let fault = engine.locate(request, context).await;
    assert!(matches!(fault, Err(Error::NonFinite { index: 0 })), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_batch_is_an_error_for_its_requests_and_the_next_one_works() {
    let fail_once = Mutex::new(true);
    let fake = Fake::new(move |batch| {
        if std::mem::take(&mut *fail_once.lock().unwrap()) {
            let source = Arc::new(std::io::Error::other("out of memory"));
            return Err(Error::Forward { rows: batch.n_windows(), source });
        }
        Ok(echo(batch))
    });
    let engine = start(support::model_with(fake), ENGINE);
    let fault = score(&engine, &["one", "two"]).await.unwrap_err();
    assert_eq!(fault.chain(), "forward pass failed on a batch of 2 windows: out of memory");
    score(&engine, &["one"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_model_answers_everyone_and_ends_the_engine() {
    let (gate, held) = gated();
    let panicking = Fake::new(move |batch| {
        held.forward(batch)?;
        panic!("a panic on purpose");
    });
    let engine = start_shared(support::model_with(panicking), ENGINE);
    let computing = spawn(&engine, "one");
    gate.entered();
    let waiting = spawn(&engine, "two");
    until_inside(&engine, 2).await;
    gate.open();
    assert!(matches!(computing.await.unwrap(), Err(Error::Stopped)));
    assert!(matches!(waiting.await.unwrap(), Err(Error::Stopped)));
    assert!(engine.crashed().await);
    assert!(matches!(score(&engine, &["one"]).await, Err(Error::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_too_many_tokens_is_refused_with_the_figures() {
    let settings = EngineSettings { max_request_tokens: 20, ..ENGINE };
    let engine = start(support::tiny_model(), settings);
    let fault = score(&engine, &["tea ".repeat(30).as_str()]).await.unwrap_err();
    let Error::TooManyTokens { n_tokens, max: 20 } = fault else { panic!("{fault:?}") };
    assert!(n_tokens > 30);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for settings in [
        EngineSettings { max_request_tokens: ENGINE.queue_tokens + 1, ..ENGINE },
        EngineSettings { queue_tokens: usize::MAX, ..ENGINE },
        EngineSettings { batch_tokens: 0, ..ENGINE },
        EngineSettings { tokenize_permits: 0, ..ENGINE },
    ] {
        assert!(matches!(settings.check(), Err(Error::Config { .. })), "{settings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_takes_no_room_of_what_somebody_does() {
    let (gate, held) = gated();
    let settings = EngineSettings { queue_tokens: 40, max_request_tokens: 40, ..ENGINE };
    let engine = start_shared(support::model_with(held), settings);
    let computing = spawn(&engine, "tea");
    assert_eq!(gate.entered(), 1);
    let large = "tea and cake and cream and jam and more of that";
    let behind: Vec<_> = (0..2).map(|_| spawn_background(&engine, large)).collect();
    until_inside(&engine, 3).await;
    let refusal = score_background(&engine, &[large, large]).await;
    assert!(matches!(refusal, Err(Error::QueueFull { capacity: 40, .. })), "{refusal:?}");
    let before = spawn(&engine, large);
    until_inside(&engine, 4).await;
    gate.open();
    assert_eq!(gate.entered(), 1, "the one that somebody waits for");
    gate.open();
    before.await.unwrap().unwrap();
    computing.await.unwrap().unwrap();
    for request in behind {
        gate.open();
        request.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_models_share_one_place_batch_by_batch() {
    let running = Arc::new(Mutex::new(()));
    let (seen, order) = mpsc::channel();
    let group = EngineGroup::new(ENGINE).unwrap();
    let engines: Vec<_> = ["one", "other"]
        .into_iter()
        .map(|name| {
            let (running, seen) = (Arc::clone(&running), seen.clone());
            let fake = Fake::new(move |batch| {
                let _alone = running.try_lock().expect("one batch at a time");
                seen.send(name).unwrap();
                Ok(echo(batch))
            });
            let model = support::model_with(fake);
            Arc::new(Engine::join(model, &group, Arc::new(Metrics::new())).unwrap())
        })
        .collect();
    let requests: Vec<_> =
        (0..200).map(|request| spawn(&engines[request % 2], "a cup of tea")).collect();
    for request in requests {
        request.await.unwrap().unwrap();
    }
    let names: Vec<_> = order.try_iter().collect();
    assert!(names.contains(&"one") && names.contains(&"other"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_an_engine_that_nobody_holds_is_freed() {
    struct Told(mpsc::Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let group = EngineGroup::new(ENGINE).unwrap();
    let (gate, held) = gated();
    let (told, freed) = mpsc::channel();
    let told = Told(told);
    let model = support::model_with(Fake::new(move |batch| {
        let _held_by_the_model = &told;
        held.forward(batch)
    }));
    let engine = Arc::new(Engine::join(model, &group, Arc::new(Metrics::new())).unwrap());
    let request = spawn(&engine, "one");
    assert_eq!(gate.entered(), 1);
    let ended = engine.crashed();
    request.abort();
    let _ = request.await;
    drop(engine);
    assert!(!ended.await, "it has ended well");
    assert!(freed.try_recv().is_err(), "its batch still runs");
    gate.open();
    freed.recv_timeout(PATIENCE).unwrap();
    // The worker continues to serve other models.
    let other = Engine::join(support::tiny_model(), &group, Arc::new(Metrics::new())).unwrap();
    score(&other, &["tea"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_model_leaves_its_neighbours_working() {
    let group = EngineGroup::new(ENGINE).unwrap();
    let join = |fake| Engine::join(support::model_with(fake), &group, Arc::default()).unwrap();
    let panicking = Arc::new(join(Fake::new(|_: &Batch| panic!("a panic on purpose"))));
    let other = join(Fake::new(|batch| Ok(echo(batch))));
    let endless = Arc::clone(&panicking);
    let endless = tokio::spawn(async move { endless.score(texts(&["one"]), None).await });
    assert!(matches!(endless.await.unwrap(), Err(Error::Stopped)));
    assert!(panicking.crashed().await && panicking.has_crashed());
    for _ in 0..3 {
        assert!(matches!(score(&panicking, &["one"]).await, Err(Error::Stopped)));
        score(&other, &["one"]).await.unwrap();
    }
    assert!(!other.has_crashed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_deadline_a_request_waits_for_room() {
    let settings = EngineSettings { queue_tokens: 40, max_request_tokens: 40, ..ENGINE };
    let engine = start_shared(support::tiny_model(), settings);
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let engine = Arc::clone(&engine);
            let text = "tea and cake and cream and jam";
            tokio::spawn(async move { engine.score(texts(&[text, text]), None).await })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap().unwrap().len(), 2);
    }
}

/// A forward pass that calls a function.
struct Fake(Box<Pass>);

type Pass = dyn Fn(&Batch) -> Result<Logits> + Send + Sync;

impl Fake {
    fn new(forward: impl Fn(&Batch) -> Result<Logits> + Send + Sync + 'static) -> Self {
        Self(Box::new(forward))
    }
}

impl Forward for Fake {
    fn forward(&self, batch: &Batch) -> Result<Logits> {
        self.0(batch)
    }
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Fake")
    }
}

/// Creates a forward pass that reports when it is entered and blocks until it is released.
fn gated() -> (Gate, Fake) {
    let (entered, entries) = mpsc::channel();
    let (open, opened) = mpsc::channel();
    let opened = Mutex::new(opened);
    let fake = Fake::new(move |batch| {
        // Once the test has ended, neither send nor receive blocks.
        let _ = entered.send(batch.n_windows());
        let _ = opened.lock().unwrap().recv();
        Ok(echo(batch))
    });
    (Gate { entries, open }, fake)
}

struct Gate {
    entries: mpsc::Receiver<usize>,
    open: mpsc::Sender<()>,
}

impl Gate {
    /// Waits for the next batch and returns its number of windows.
    fn entered(&self) -> usize {
        self.entries.recv_timeout(PATIENCE).unwrap()
    }

    /// Lets one batch through, now or when it arrives.
    fn open(&self) {
        self.open.send(()).unwrap();
    }
}

/// Returns logits that are proportional to the length of each window.
fn echo(batch: &Batch) -> Logits {
    let lens: Vec<f32> = batch.spans().map(|span| logit(span.len())).collect();
    Logits(Array2::from_shape_fn((lens.len(), 4), |(row, _)| lens[row]))
}

fn logit(n_tokens: usize) -> f32 {
    n_tokens as f32 / 64.0
}

fn sigmoid(n_tokens: usize) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a probability fits")]
    let score = (1.0 / (1.0 + (-f64::from(logit(n_tokens))).exp())) as f32;
    score
}

/// Gives a model a measured throughput of one token per second.
fn slow(model: Model) -> Model {
    let warm_up = Some(WarmUp { n_tokens: 1, elapsed: Duration::from_secs(1) });
    Model { warm_up, ..model }
}

fn start(model: Model, settings: EngineSettings) -> Engine {
    Engine::start(model, settings, Arc::new(Metrics::new())).unwrap()
}

fn start_shared(model: Model, settings: EngineSettings) -> Arc<Engine> {
    Arc::new(start(model, settings))
}

/// Waits until `n_requests` requests are in the engine.
async fn until_inside(engine: &Engine, n_requests: usize) {
    until(engine, |queued| queued.n_requests == n_requests).await;
}

async fn until(engine: &Engine, is_so: impl Fn(&Queued) -> bool) {
    let mut queued = engine.queued();
    tokio::time::timeout(PATIENCE, queued.wait_for(|queued| is_so(queued))).await.unwrap().unwrap();
}

async fn score(engine: &Engine, raws: &[&str]) -> Result<Vec<ScoredInput>> {
    engine.score(texts(raws), Some(Deadline::after(PATIENCE))).await
}

fn probabilities(scored: &ScoredInput) -> &[f32] {
    &scored.scores.pooled.probabilities
}

fn texts(raws: &[&str]) -> Vec<Text> {
    let limits = Limits { max_texts: 100, max_chars: 100_000 };
    Text::all(raws.iter().map(|&raw| raw.to_owned()).collect(), &limits).unwrap()
}

type Request = tokio::task::JoinHandle<Result<Vec<ScoredInput>>>;

fn spawn(engine: &Arc<Engine>, raw: &str) -> Request {
    let (engine, raw) = (Arc::clone(engine), raw.to_owned());
    tokio::spawn(async move { score(&engine, &[&raw]).await })
}

/// Scores texts at background priority, with a deadline.
async fn score_background(engine: &Engine, raws: &[&str]) -> Result<Vec<ScoredInput>> {
    let context = RequestContext {
        deadline: Some(Deadline::after(PATIENCE)),
        priority: Priority::Background,
        account: None,
        timings: None,
    };
    let inputs = texts(raws).into_iter().map(Input::from).collect();
    engine.score_for(inputs, context).await
}

fn spawn_background(engine: &Arc<Engine>, raw: &str) -> Request {
    let (engine, raw) = (Arc::clone(engine), raw.to_owned());
    tokio::spawn(async move { score_background(&engine, &[&raw]).await })
}

/// More batches than any request in these tests needs.
const MORE_THAN_ENOUGH_BATCHES: usize = 100;
/// The timeout of a test that would hang; no successful test waits this long.
const PATIENCE: Duration = Duration::from_mins(1);
