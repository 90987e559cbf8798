//! The engine: texts in, scores out; owner of the queue and of the thread that runs the model.

mod queue;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use ndarray::s;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::time::Instant;

use self::queue::Queue;
use self::worker::Worker;
use crate::encode::Encoded;
use crate::encode::Encoder;
use crate::error::Error;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Logits;
use crate::model::Model;
use crate::model::ModelCard;
use crate::policy::Policy;
use crate::score::Scorer;
use crate::score::Scores;
use crate::text::Text;

/// A model at work. When it is dropped, the worker answers what it has and ends.
#[derive(Debug)]
pub struct Engine {
    served: Arc<Served>,
    settings: EngineSettings,
    queue: Queue,
    encoding: Arc<Semaphore>, // as many permits as encodings may run at once
    metrics: Arc<Metrics>,
    alive: watch::Receiver<()>, // closed when the worker has ended
}

/// How much an engine takes on.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    /// Tokens in a batch; a longer window goes alone.
    pub batch_tokens: usize,
    /// Tokens that may wait.
    pub queue_tokens: usize,
    /// Tokens, of all windows, that one request may cost; at most `queue_tokens`.
    pub max_request_tokens: usize,
    /// Texts tokenised at the same time.
    pub encode_threads: usize,
}

/// The scores of one text and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// In the order of the policy's categories.
    pub scores: Scores,
    /// Tokens of the text, special tokens counted once.
    pub n_tokens: usize,
    /// Windows it was read in.
    pub n_windows: usize,
}

/// How long a caller waits, and for what.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// A full queue refuses at once; the answer comes by then or not at all.
    Until(Deadline),
    /// Waits for room in the queue, and for the answer.
    Endless,
}

/// The time by which a request must be answered.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    timeout: Duration,
}

impl Engine {
    /// Puts a model to work on a thread of its own.
    pub fn start(model: Model, settings: EngineSettings, metrics: Arc<Metrics>) -> Result<Self> {
        settings.check()?;
        let Model { card, policy, encoder, forward, scorer } = model;
        metrics.serving(&card.reference(), &policy.reference());
        let (queue, jobs) = Queue::new(settings.queue_tokens);
        let (running, alive) = watch::channel(());
        let worker = Worker::new(jobs, forward, settings.batch_tokens, Arc::clone(&metrics));
        std::thread::Builder::new()
            .name("model".into())
            .spawn(move || {
                let _dropped_at_the_end = running;
                worker.run();
            })
            .map_err(|fault| Error::Config { name: "threads", reason: fault.to_string() })?;
        Ok(Self {
            served: Arc::new(Served { card, policy, encoder, scorer }),
            settings,
            queue,
            encoding: Arc::new(Semaphore::new(settings.encode_threads)),
            metrics,
            alive,
        })
    }

    /// Scores the texts of one request, in order: all of them or none.
    pub async fn score(&self, texts: Vec<Text>, patience: Patience) -> Result<Vec<Scored>> {
        match patience {
            Patience::Endless => self.work(texts, patience).await,
            Patience::Until(deadline) => {
                // Work that would be refused at the end need not be begun.
                self.queue.check_room()?;
                let work = self.work(texts, patience);
                let late = |_| Error::DeadlineExceeded { timeout_ms: deadline.timeout_ms() };
                tokio::time::timeout_at(deadline.at(), work).await.map_err(late)?
            }
        }
    }

    /// What serves.
    pub fn card(&self) -> &ModelCard {
        &self.served.card
    }

    /// What texts are judged by.
    pub fn policy(&self) -> &Policy {
        &self.served.policy
    }

    /// Waits until the model can answer no more, which happens only when it panics.
    pub async fn stopped(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }

    async fn work(&self, texts: Vec<Text>, patience: Patience) -> Result<Vec<Scored>> {
        let encoded = self.encode(texts).await?;
        let n_tokens: usize = encoded.iter().map(Encoded::n_window_tokens).sum();
        if n_tokens > self.settings.max_request_tokens {
            return Err(Error::TooManyTokens { n_tokens, max: self.settings.max_request_tokens });
        }
        let costs: Vec<_> =
            encoded.iter().map(|text| (text.n_tokens, text.windows.len())).collect();
        let windows = encoded.into_iter().flat_map(|text| text.windows).collect();
        let guard = self.metrics.queued(n_tokens);
        let reply = match patience {
            Patience::Until(_) => self.queue.admit(windows, n_tokens)?,
            Patience::Endless => self.queue.wait(windows, n_tokens).await?,
        };
        let logits = reply.await.map_err(|_| Error::Stopped)??;
        drop(guard);
        let scored = self.served.assemble(&logits, &costs)?;
        self.metrics.scored(scored.len(), scored.iter().map(|text| text.n_tokens).sum());
        Ok(scored)
    }

    async fn encode(&self, texts: Vec<Text>) -> Result<Vec<Encoded>> {
        let encoding = Arc::clone(&self.encoding);
        let permit = encoding.acquire_owned().await.map_err(|_| Error::Stopped)?;
        let served = Arc::clone(&self.served);
        let encode_all = move || {
            // Held to the end, also if the client goes away meanwhile.
            let _permit = permit;
            let encode = |(index, text)| served.encoder.encode(index, text);
            texts.iter().enumerate().map(encode).collect()
        };
        let panicked = |fault| Error::Encode { index: 0, source: Arc::new(fault) };
        tokio::task::spawn_blocking(encode_all).await.map_err(panicked)?
    }
}

impl Deadline {
    /// From now on.
    pub fn after(timeout: Duration) -> Self {
        Self { start: Instant::now(), timeout }
    }

    /// The moment itself.
    pub fn at(&self) -> Instant {
        self.start + self.timeout
    }

    /// The time that was given.
    pub fn timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// The same beginning with less time; more is not given.
    #[must_use]
    pub fn lowered_to(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(self.timeout), ..self }
    }
}

impl EngineSettings {
    /// Holds the numbers against each other.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, reason: &str| Err(Error::Config { name, reason: reason.into() });
        if self.max_request_tokens > self.queue_tokens {
            return refuse("max-request-tokens", "above queue-tokens, so it could never be used");
        }
        if u32::try_from(self.queue_tokens).is_err() || self.queue_tokens > Semaphore::MAX_PERMITS {
            return refuse("queue-tokens", "too large");
        }
        if self.batch_tokens == 0 || self.max_request_tokens == 0 || self.encode_threads == 0 {
            return refuse("batch-tokens, max-request-tokens, threads", "each must be at least 1");
        }
        Ok(())
    }
}

/// The parts of a model that the forward pass does not need.
#[derive(Debug)]
struct Served {
    card: ModelCard,
    policy: Policy,
    encoder: Encoder,
    scorer: Scorer,
}

impl Served {
    /// Splits the rows of a request by text; `costs` are tokens and windows of each.
    fn assemble(&self, logits: &Logits, costs: &[(usize, usize)]) -> Result<Vec<Scored>> {
        let mut row = 0;
        let assemble = |(index, &(n_tokens, n_windows))| {
            let rows = logits.0.slice(s![row..row + n_windows, ..]);
            row += n_windows;
            let scores = self.scorer.score(&rows).ok_or(Error::NonFinite { index })?;
            Ok(Scored { scores, n_tokens, n_windows })
        };
        costs.iter().enumerate().map(assemble).collect()
    }
}
