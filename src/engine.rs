//! The engine: texts in, scores out; owner of the queue and of the thread that runs the model.

mod capacity;
mod encoding;
mod headroom;
mod lines;
mod loader;
mod models;
mod pace;
mod progress;
mod queue;
mod room;
mod scored;
mod shadow;
mod slot;
mod spans;
mod timings;
mod turn;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::capacity::Capacity;
pub use self::loader::Loader;
pub use self::models::Models;
use self::queue::Queue;
pub use self::scored::Scored;
pub use self::scored::ScoredWindow;
use self::scored::assemble;
pub use self::shadow::Comparison;
pub use self::shadow::Difference;
pub use self::shadow::Observed;
pub use self::shadow::Shadow;
pub use self::slot::Overview;
pub use self::slot::Past;
pub use self::slot::Serving;
pub use self::slot::Slot;
pub use self::slot::Staged;
pub use self::slot::Wanted;
pub use self::spans::Judged;
pub use self::spans::Spans;
pub use self::timings::Phase;
pub use self::timings::Step;
pub use self::timings::Timings;
use self::timings::Waiting;
use self::worker::Worker;
use crate::encode::Encoder;
use crate::encode::Reading;
use crate::encode::Window;
use crate::error::Error;
use crate::error::Result;
use crate::key::Account;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::model::ModelCard;
use crate::policy::Policy;
use crate::score::Ruleset;
use crate::score::Scorer;
use crate::text::Subject;
use crate::text::Text;

/// A model at work. When it is dropped, the worker answers what it has and ends.
#[derive(Debug)]
pub struct Engine {
    served: Arc<Served>,
    capacity: Capacity,
    queue: Queue,
    is_background: Arc<AtomicBool>, // its batches wait for those of others
    metrics: Arc<Metrics>,
    ended: watch::Receiver<bool>, // true when the worker has ended well, closed if it panicked
}

/// How much an engine takes on.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    /// Tokens in a batch; a longer window goes alone.
    pub batch_tokens: usize,
    /// Tokens that may wait.
    pub queue_tokens: usize,
    /// How long they may take at the pace of the model; [`Duration::MAX`] for any time.
    pub queue_time: Duration,
    /// Tokens, of all windows, that one request may cost; at most `queue_tokens`.
    pub max_request_tokens: usize,
    /// Texts tokenised at the same time.
    pub encode_threads: usize,
    /// Tokens that finding the spans of one request may cost beyond its own.
    pub span_tokens: usize,
}

/// How long a caller waits, and for what.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// A full queue refuses at once; the answer comes by then or not at all.
    Until(Deadline),
    /// Waits for room in the queue, and for the answer.
    Endless,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// How long it waits.
    pub patience: Patience,
    /// What is charged for the tokens as they are queued, also if nobody reads the answer.
    pub account: Option<&'a Arc<Account>>,
    /// Takes down where the time goes.
    pub timings: Option<&'a Timings>,
}

/// The time by which a request must be answered.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    timeout: Duration,
}

impl Engine {
    /// Puts a model to work that shares nothing with others.
    pub fn start(model: Model, settings: EngineSettings, metrics: Arc<Metrics>) -> Result<Self> {
        Self::join(model, &Capacity::new(settings)?, metrics)
    }

    /// Puts a model to work, on a thread of its own, beside others of the same capacity.
    pub fn join(model: Model, capacity: &Capacity, metrics: Arc<Metrics>) -> Result<Self> {
        let Model { card, rulesets, encoder, replicas, .. } = model;
        let forward = replicas.into_iter().next().ok_or_else(no_replica)?;
        let rulesets: Vec<_> = rulesets.into_iter().map(Arc::new).collect();
        let default = rulesets.first().cloned().ok_or_else(no_policy)?;
        let is_background = Arc::new(AtomicBool::new(false));
        let (queue, jobs) = Queue::new(capacity.clone());
        let (running, ended) = watch::channel(false);
        let priority = Arc::clone(&is_background);
        let worker = Worker::new(jobs, forward, capacity.clone(), priority, Arc::clone(&metrics));
        std::thread::Builder::new()
            .name("model".into())
            .spawn(move || {
                worker.run();
                running.send_replace(true);
            })
            .map_err(|fault| Error::Config { name: "threads", reason: fault.to_string() })?;
        Ok(Self {
            served: Arc::new(Served { card, default, rulesets, encoder }),
            capacity: capacity.clone(),
            queue,
            is_background,
            metrics,
            ended,
        })
    }

    /// Scores the texts of one request by the first policy, in order: all of them or none.
    pub async fn score(&self, texts: Vec<Text>, patience: Patience) -> Result<Vec<Scored>> {
        let subjects = texts.into_iter().map(Subject::from).collect();
        let caller = Caller { patience, account: None, timings: None };
        self.score_by(&self.served.default.scorer, subjects, caller).await
    }

    /// Scores the subjects of one request, in order: all of them or none.
    pub async fn score_by(
        &self,
        by: &Scorer,
        subjects: Vec<Subject>,
        caller: Caller<'_>,
    ) -> Result<Vec<Scored>> {
        let scored = self.score_uncounted(by, subjects, caller).await?;
        for text in &scored {
            self.metrics.scored(text.n_tokens, text.n_windows());
        }
        Ok(scored)
    }

    async fn score_uncounted(
        &self,
        by: &Scorer,
        subjects: Vec<Subject>,
        caller: Caller<'_>,
    ) -> Result<Vec<Scored>> {
        match caller.patience {
            Patience::Endless => self.work(by, subjects, caller).await,
            Patience::Until(deadline) => {
                // Work that would be refused at the end need not be begun.
                let n_tokens =
                    least_tokens(&subjects).min(self.capacity.settings.max_request_tokens);
                self.queue.check_room(n_tokens, caller.account)?;
                let waiting = Waiting::until(deadline, &self.metrics);
                let work = self.work(by, subjects, caller);
                let late = |_| Error::DeadlineExceeded { timeout_ms: deadline.timeout_ms() };
                let scored = tokio::time::timeout_at(deadline.at(), work).await.map_err(late)?;
                waiting.over();
                scored
            }
        }
    }

    /// What serves.
    pub fn card(&self) -> &ModelCard {
        &self.served.card
    }

    /// What texts are judged by where no policy is asked for.
    pub fn policy(&self) -> &Policy {
        &self.served.default.policy
    }

    /// All that texts may be judged by, the default first.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.served.rulesets.iter().map(|ruleset| &ruleset.policy)
    }

    /// The policy of that id with what scores for it; the default if none is asked for.
    pub fn ruleset(&self, policy: Option<&str>) -> Result<Arc<Ruleset>> {
        let Some(id) = policy else { return Ok(Arc::clone(&self.served.default)) };
        let found = self.served.rulesets.iter().find(|ruleset| ruleset.policy.id == id);
        found.cloned().ok_or_else(|| Error::UnknownPolicy {
            // A name may be anything, a whole text too; the first characters tell which it is.
            name: id.chars().take(40).collect(),
            known: self.policies().map(|policy| policy.id.clone()).collect(),
        })
    }

    /// Computes only when no other model does, in smaller batches.
    fn step_back(&self) {
        self.is_background.store(true, Ordering::Relaxed);
    }

    /// The opposite.
    fn come_forward(&self) {
        self.is_background.store(false, Ordering::Relaxed);
    }

    /// Whether so much waits, for this model and its neighbours, that there is no time to spare.
    fn is_busy(&self) -> bool {
        self.capacity.room.n_taken() > self.capacity.max_waiting() / 2
    }

    /// Waits until the model can answer no more: true if it panicked, false if nobody needs it any
    /// more. Does not keep the engine.
    pub fn crashed(&self) -> impl Future<Output = bool> + Send + use<> {
        let mut ended = self.ended.clone();
        async move { ended.wait_for(|&ended| ended).await.is_err() }
    }

    async fn work(
        &self,
        by: &Scorer,
        subjects: Vec<Subject>,
        Caller { patience, account, timings }: Caller<'_>,
    ) -> Result<Vec<Scored>> {
        let start = std::time::Instant::now();
        let mut readings = self.read(subjects, account).await?;
        let elapsed = start.elapsed();
        self.metrics.tokenised(elapsed);
        if let Some(timings) = timings {
            timings.add(Phase { step: Step::Tokenise, start, elapsed });
        }
        let n_tokens: usize = readings.iter().map(Reading::n_window_tokens).sum();
        if n_tokens > self.capacity.settings.max_request_tokens {
            return Err(Error::TooManyTokens {
                n_tokens,
                max: self.capacity.settings.max_request_tokens,
            });
        }
        // The model needs the ids, and what comes of it the rest.
        let windows = readings.iter_mut().flat_map(|reading| &mut reading.windows);
        let windows = windows.map(|window| Window {
            ids: std::mem::take(&mut window.ids),
            bytes: window.bytes.clone(),
        });
        let windows = windows.collect();
        let guard = self.metrics.queued(n_tokens);
        let reply = match patience {
            Patience::Until(_) => self.queue.admit(windows, n_tokens, account)?,
            Patience::Endless => self.queue.wait(windows, n_tokens).await?,
        };
        if let Some(account) = account {
            account.charge(n_tokens, std::time::Instant::now());
        }
        let computed = reply.await.map_err(|_| Error::Stopped)??;
        drop(guard);
        if let Some(timings) = timings {
            timings.add_computed(&computed);
        }
        let scored = assemble(by, &computed.logits, readings);
        if let Err(Error::NonFinite { .. }) = scored {
            self.metrics.not_finite();
        }
        scored
    }

    async fn read(
        &self,
        subjects: Vec<Subject>,
        account: Option<&Arc<Account>>,
    ) -> Result<Vec<Reading>> {
        let thread = self.capacity.encoding.thread(account).await?;
        let served = Arc::clone(&self.served);
        let encode_all = move || {
            // Held to the end, also if the client goes away meanwhile.
            let _thread = thread;
            let read = |(index, subject)| served.encoder.read(index, subject);
            subjects.iter().enumerate().map(read).collect()
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
    default: Arc<Ruleset>, // the first of them
    rulesets: Vec<Arc<Ruleset>>,
    encoder: Encoder,
}

/// About how many tokens they will be, and hardly ever more than they are: an English token is four
/// to five bytes long.
fn least_tokens(subjects: &[Subject]) -> usize {
    const BYTES_PER_TOKEN: usize = 8;
    let n_bytes = |subject: &Subject| subject.judged().as_str().len();
    subjects.iter().map(|subject| n_bytes(subject).div_ceil(BYTES_PER_TOKEN)).sum()
}

fn no_replica() -> Error {
    Error::Config { name: "replicas", reason: "none".into() }
}

fn no_policy() -> Error {
    Error::Config { name: "policy", reason: "none".into() }
}
