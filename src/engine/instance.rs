//! One model at work: inputs in, scores out.

mod admission;
#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::encode::Encoder;
use crate::encode::Reading;
use crate::encode::Window;
use crate::engine::deadline::Deadline;
use crate::engine::deadline::DeadlineGuard;
use crate::engine::dispatcher::JobOutput;
use crate::engine::dispatcher::Life;
use crate::engine::dispatcher::Queued;
use crate::engine::dispatcher::Submission;
use crate::engine::flow::FlowId;
use crate::engine::group::EngineGroup;
use crate::engine::group::ModelHandle;
use crate::engine::priority::Priority;
use crate::engine::replica::Replica;
use crate::engine::request_context::RequestContext;
use crate::engine::scored::Scored;
use crate::engine::scored::assemble;
use crate::engine::settings::EngineSettings;
use crate::engine::timings::Phase;
use crate::engine::timings::Step;
use crate::engine::timings::Timings;
use crate::error::Error;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::model::ModelCard;
use crate::model::WarmUp;
use crate::policy::Policy;
use crate::score::Mapping;
use crate::score::Rules;
use crate::score::Scorer;
use crate::text::Subject;
use crate::text::Text;

/// A model at work. Whoever waits for it holds it; when nobody does any more, its memory is freed.
#[derive(Debug)]
pub struct Engine {
    served: Arc<Served>,
    model: ModelHandle,
    group: EngineGroup,
    metrics: Arc<Metrics>,
}

/// The parts of a model that the forward pass does not need.
#[derive(Debug)]
struct Served {
    card: ModelCard,
    scorer: Scorer,
    rules: Vec<Rules>, // one at least, the default first
    encoder: Encoder,
}

impl Engine {
    /// Puts a model to work that shares nothing with others.
    pub fn start(model: Model, settings: EngineSettings, metrics: Arc<Metrics>) -> Result<Self> {
        Self::join(model, &EngineGroup::new(settings)?, metrics)
    }

    /// Puts a model to work beside others of a group.
    pub fn join(model: Model, group: &EngineGroup, metrics: Arc<Metrics>) -> Result<Self> {
        let Model { card, scorer, mappings, encoder, replicas, warm_up } = model;
        let rules: Vec<_> = mappings.into_iter().map(Rules::new).collect();
        if rules.is_empty() {
            return Err(Error::Config { name: "policy", reason: "none".into() });
        }
        let replica = |forward| Replica::new(forward, Arc::clone(&metrics));
        let replicas: Vec<_> = replicas.into_iter().map(replica).collect();
        if replicas.is_empty() {
            return Err(Error::Config { name: "replicas", reason: "none".into() });
        }
        let rate =
            warm_up.map(|WarmUp { n_tokens, elapsed }| n_tokens as f64 / elapsed.as_secs_f64());
        let model = group.add_model(replicas, rate)?;
        let served = Arc::new(Served { card, scorer, rules, encoder });
        Ok(Self { served, model, group: group.clone(), metrics })
    }

    /// Scores the texts of one request, in order: all of them or none. Without a
    /// deadline, waits for room in the queue.
    pub async fn score(&self, texts: Vec<Text>, deadline: Option<Deadline>) -> Result<Vec<Scored>> {
        let subjects = texts.into_iter().map(Subject::from).collect();
        let priority = Priority::Foreground;
        let context = RequestContext { deadline, priority, account: None, timings: None };
        self.score_for(subjects, context).await
    }

    /// Scores the subjects of one request, in order: all of them or none.
    pub async fn score_for(
        &self,
        subjects: Vec<Subject>,
        context: RequestContext<'_>,
    ) -> Result<Vec<Scored>> {
        let scored = self.score_uncounted(subjects, context).await?;
        for text in &scored {
            self.metrics.scored(text.n_tokens, text.n_windows());
        }
        Ok(scored)
    }

    /// The same, for texts that are not those of a client.
    pub(super) async fn score_uncounted(
        &self,
        subjects: Vec<Subject>,
        context: RequestContext<'_>,
    ) -> Result<Vec<Scored>> {
        let Some(deadline) = context.deadline else {
            return self.work(subjects, context).await;
        };
        self.check(&subjects, context)?;
        let guard = DeadlineGuard::new(deadline, &self.metrics);
        let work = self.work(subjects, context);
        let late = |_| deadline.exceeded();
        let scored = tokio::time::timeout_at(deadline.at(), work).await.map_err(late)?;
        // The queue may have been the first to see that it is too late.
        if !matches!(scored, Err(Error::DeadlineExceeded { .. })) {
            guard.answered();
        }
        scored
    }

    /// What serves.
    pub fn card(&self) -> &ModelCard {
        &self.served.card
    }

    /// What texts are judged by where no policy is asked for.
    pub fn policy(&self) -> &Policy {
        self.served.rules[0].policy() // there is one at least
    }

    /// All that texts may be judged by, the default first.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.served.rules.iter().map(Rules::policy)
    }

    /// The same with the places of their labels.
    pub fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.served.rules.iter().map(Rules::mapping)
    }

    /// The rules of the policy of that id; of the default if none is asked for.
    pub fn rules(&self, policy: Option<&str>) -> Result<&Rules> {
        let Some(id) = policy else { return Ok(&self.served.rules[0]) };
        let found = self.served.rules.iter().find(|rules| rules.policy().id == id);
        found.ok_or_else(|| Error::UnknownPolicy {
            // A name may be anything, a whole text too; the first characters tell which it is.
            name: id.chars().take(40).collect(),
            known: self.policies().map(|policy| policy.id.clone()).collect(),
        })
    }

    /// What is in this engine, now and whenever it changes.
    pub fn queued(&self) -> watch::Receiver<Queued> {
        self.model.queued.clone()
    }

    /// Waits until the model can answer no more: true if it panicked, false if nobody needs it any
    /// more. Does not keep the engine.
    pub fn crashed(&self) -> impl Future<Output = bool> + Send + use<> {
        let mut life = self.model.life.clone();
        async move {
            let end = life.wait_for(|&life| life != Life::Working).await;
            end.is_ok_and(|life| *life == Life::Crashed)
        }
    }

    /// Whether the model has panicked.
    pub fn has_crashed(&self) -> bool {
        *self.model.life.borrow() == Life::Crashed
    }

    /// Whether so much waits, for this model and its neighbours, that there is no time to spare.
    pub(super) fn is_busy(&self) -> bool {
        self.group.dispatcher().is_busy()
    }

    /// Tokens that finding the spans of one request may cost.
    pub(super) fn max_span_tokens(&self) -> usize {
        let EngineSettings { span_tokens, max_request_tokens, .. } = self.group.settings;
        span_tokens.min(max_request_tokens)
    }

    async fn work(
        &self,
        subjects: Vec<Subject>,
        context: RequestContext<'_>,
    ) -> Result<Vec<Scored>> {
        let mut readings = self.read(subjects, context).await?;
        let n_tokens: usize = readings.iter().map(Reading::n_window_tokens).sum();
        let max = self.group.settings.max_request_tokens;
        if n_tokens > max {
            return Err(Error::TooManyTokens { n_tokens, max });
        }
        if readings.is_empty() {
            return Ok(Vec::new());
        }
        let computed = self.compute(take_windows(&mut readings), n_tokens, context).await?;
        let scored = assemble(&self.served.scorer, &computed.logits, readings);
        if let Err(Error::NonFinite { .. }) = scored {
            self.metrics.not_finite();
        }
        scored
    }

    /// Has the windows of a request computed: all of them or none.
    async fn compute(
        &self,
        windows: Vec<Window>,
        n_tokens: usize,
        RequestContext { deadline, priority, account, timings }: RequestContext<'_>,
    ) -> Result<JobOutput> {
        let _guard = self.metrics.queued(n_tokens);
        let model = self.model.id;
        let submission =
            Submission { model, priority, account: account.cloned(), windows, deadline };
        let ticket = self.group.dispatcher().submit(submission).await?;
        if let Some(account) = account {
            account.charge(n_tokens, Instant::now());
        }
        let output = ticket.output().await?;
        if let Some(timings) = timings {
            add_phases(timings, &output);
        }
        Ok(output)
    }

    async fn read(
        &self,
        subjects: Vec<Subject>,
        context: RequestContext<'_>,
    ) -> Result<Vec<Reading>> {
        let RequestContext { priority, account, timings, .. } = context;
        let start = Instant::now();
        let permit = self.group.tokenization().permit(priority, FlowId::of(account)).await?;
        self.check(&subjects, context)?; // others may have come in meanwhile
        let served = Arc::clone(&self.served);
        let read_all = move || {
            // Held to the end, also if the client goes away meanwhile.
            let _permit = permit;
            let read = |(index, subject)| served.encoder.read(index, subject);
            subjects.iter().enumerate().map(read).collect()
        };
        let panicked = |fault| Error::Encode { index: 0, source: Arc::new(fault) };
        let readings = tokio::task::spawn_blocking(read_all).await.map_err(panicked)?;
        let elapsed = start.elapsed();
        self.metrics.tokenised(elapsed);
        if let Some(timings) = timings {
            timings.add(Phase { step: Step::Tokenise, start, elapsed });
        }
        readings
    }
}

/// The model needs the ids, and what comes of it the rest.
fn take_windows(readings: &mut [Reading]) -> Vec<Window> {
    let windows = readings.iter_mut().flat_map(|reading| &mut reading.windows);
    let take = |window: &mut Window| Window {
        ids: std::mem::take(&mut window.ids),
        bytes: window.bytes.clone(),
    };
    windows.map(take).collect()
}

fn add_phases(timings: &Timings, output: &JobOutput) {
    let &JobOutput { admitted, began, ended, .. } = output;
    timings.add(Phase { step: Step::Queue, start: admitted, elapsed: began - admitted });
    timings.add(Phase { step: Step::Forward, start: began, elapsed: ended - began });
}
