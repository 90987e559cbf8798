//! moderato as its users run it: the embedded model and the engine with the program's defaults.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use moderato::batch::Batch;
use moderato::engine::Engine;
use moderato::engine::EngineSettings;
use moderato::engine::ScoredInput;
use moderato::metrics::Metrics;
use moderato::model::Artifact;
use moderato::model::Dtype;
use moderato::model::Forward;
use moderato::model::HubSettings;
use moderato::model::LoadSettings;
use moderato::model::Logits;
use moderato::model::Model;
use moderato::model::Overrides;
use moderato::model::Placement;
use moderato::model::Source;
use moderato::text::Text;
use moderato::tokenize::Window;

use crate::Fallible;

/// The running engine, its forward pass for plain token ids, and the inputs to measure.
#[derive(Debug)]
pub(crate) struct Contestant {
    engine: Arc<Engine>,
    forward: Shared,
    batches: HashMap<String, Batch>, // by shape
    pub(crate) texts: Vec<Text>,
}

/// The amount scored; all tokens of the texts count, without truncation and with overlaps counted
/// once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) n_texts: usize,
    pub(crate) n_tokens: usize,
}

impl Contestant {
    pub(crate) fn load(dtype: Dtype, threads: usize) -> Fallible<Self> {
        let artifact =
            Artifact::open(&Source::Embedded, Overrides::default(), HubSettings::offline())?;
        let settings = LoadSettings {
            placement: Placement::Cpu,
            dtype,
            threads,
            replicas: 1,
            overlap: 64,
            normalise: true,
        };
        let mut model = Model::load(artifact, &settings)?;
        let replica = model.replicas.pop().ok_or("a model has a replica")?;
        let forward = Shared(Arc::new(Mutex::new(replica)));
        model.replicas.push(Box::new(forward.clone()));
        // The defaults of `moderato serve`, except that the queue time is unlimited.
        let settings = EngineSettings {
            batch_tokens: 256 * threads,
            queue_tokens: 131_072,
            queue_time: Duration::MAX,
            max_request_tokens: 32_768,
            tokenize_permits: threads,
            span_tokens: 0,
        };
        let engine = Arc::new(Engine::start(model, settings, Arc::new(Metrics::new()))?);
        Ok(Self { engine, forward, batches: HashMap::new(), texts: Vec::new() })
    }

    pub(crate) fn load_ids(&mut self, shape: String, ids: Vec<Vec<u32>>) {
        let windows: Vec<_> = ids.into_iter().map(|ids| Window { ids, bytes: 0..0 }).collect();
        self.batches.insert(shape, Batch::pack(&windows));
    }

    /// Returns the logits of a shape, one row per window.
    pub(crate) fn logits(&self, shape: &str) -> Fallible<Vec<Vec<f32>>> {
        let Logits(logits) = self.forward.forward(self.batch(shape)?)?;
        Ok(logits.rows().into_iter().map(|row| row.to_vec()).collect())
    }

    /// Returns the seconds of each repetition.
    pub(crate) fn time_forward(&self, shape: &str, repeats: usize) -> Fallible<Vec<f64>> {
        let batch = self.batch(shape)?;
        let time = |_| {
            let start = Instant::now();
            self.forward.forward(batch)?;
            Ok(start.elapsed().as_secs_f64())
        };
        (0..repeats).map(time).collect()
    }

    /// Scores all texts in requests of 32 texts, one request at a time.
    pub(crate) async fn serve(&self) -> Fallible<Counted> {
        let mut counted = Counted::default();
        for texts in self.texts.chunks(TEXTS_PER_REQUEST) {
            counted.add(&self.engine.score(texts.to_vec(), None).await?);
        }
        Ok(counted)
    }

    /// Scores one text per request, with 512 requests in flight and results in order, as `moderato
    /// score` does.
    pub(crate) async fn score_in_bulk(&self) -> Fallible<Counted> {
        let mut counted = Counted::default();
        let mut in_flight = VecDeque::new();
        let mut waiting = self.texts.iter();
        loop {
            while in_flight.len() < IN_FLIGHT
                && let Some(text) = waiting.next()
            {
                let (engine, texts) = (Arc::clone(&self.engine), vec![text.clone()]);
                let score = async move { engine.score(texts, None).await };
                in_flight.push_back(tokio::spawn(score));
            }
            match in_flight.pop_front() {
                Some(flying) => counted.add(&flying.await??),
                None => return Ok(counted),
            }
        }
    }

    /// Scores one text per request, from callers that each wait for their result: the baseline
    /// without HTTP.
    pub(crate) async fn score_concurrently(&self, n_callers: usize) -> Fallible<Counted> {
        let texts = Arc::new(self.texts.clone());
        let next = Arc::new(AtomicUsize::new(0));
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..n_callers {
            let (engine, texts) = (Arc::clone(&self.engine), Arc::clone(&texts));
            let next = Arc::clone(&next);
            callers.spawn(async move {
                let mut counted = Counted::default();
                while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    counted.add(&engine.score(vec![text.clone()], None).await?);
                }
                Fallible::Ok(counted)
            });
        }
        let mut total = Counted::default();
        while let Some(counted) = callers.join_next().await {
            let Counted { n_texts, n_tokens } = counted??;
            total.n_texts += n_texts;
            total.n_tokens += n_tokens;
        }
        Ok(total)
    }

    fn batch(&self, shape: &str) -> Fallible<&Batch> {
        self.batches.get(shape).ok_or_else(|| format!("no token ids for the shape {shape}").into())
    }
}

impl Counted {
    fn add(&mut self, scored: &[ScoredInput]) {
        self.n_texts += scored.len();
        self.n_tokens += scored.iter().map(|text| text.n_tokens).sum::<usize>();
    }
}

/// A replica shared by the engine and the passes over plain token ids, so that the weights are
/// loaded only once.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Box<dyn Forward>>>);

impl Forward for Shared {
    fn forward(&self, batch: &Batch) -> moderato::error::Result<Logits> {
        // Never contended: the driver sends one command at a time.
        self.0.lock().expect("a forward pass that panics ends the run").forward(batch)
    }
}

/// The size of the peers' batches.
const TEXTS_PER_REQUEST: usize = 32;
/// The bound of the same name in `src/cli/bulk.rs`.
const IN_FLIGHT: usize = 512;
