//! One loaded model that scores inputs.

mod admission;
#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::engine::deadline::AbandonmentGuard;
use crate::engine::deadline::Deadline;
use crate::engine::dispatcher::JobOutput;
use crate::engine::dispatcher::ModelState;
use crate::engine::dispatcher::Queued;
use crate::engine::dispatcher::Submission;
use crate::engine::flow::FlowId;
use crate::engine::group::EngineGroup;
use crate::engine::group::ModelHandle;
use crate::engine::priority::Priority;
use crate::engine::replica::Replica;
use crate::engine::request_context::RequestContext;
use crate::engine::scored_input::ScoredInput;
use crate::engine::scored_input::assemble;
use crate::engine::settings::EngineSettings;
use crate::engine::timings::Phase;
use crate::engine::timings::Step;
use crate::engine::timings::Timings;
use crate::error::Error;
use crate::error::Result;
use crate::error::shorten;
use crate::metrics::CategoryMetrics;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::model::ModelCard;
use crate::model::WarmUp;
use crate::policy::Policy;
use crate::score::Mapping;
use crate::score::Rules;
use crate::score::Scorer;
use crate::text::Input;
use crate::text::Text;
use crate::tokenize::EncodedInput;
use crate::tokenize::Tokenizer;
use crate::tokenize::Window;

/// A loaded model that scores requests. Each request holds a reference to it; its memory is freed
/// when the last reference is dropped.
#[derive(Debug)]
pub struct Engine {
    served: Arc<ModelParts>,
    model: ModelHandle,
    group: EngineGroup,
    metrics: Arc<Metrics>,
}

/// The parts of a model that the forward pass does not need.
#[derive(Debug)]
struct ModelParts {
    card: ModelCard,
    scorer: Scorer,
    rules: Vec<Rules>,                           // at least one, the default first
    category_metrics: Vec<Vec<CategoryMetrics>>, // per policy and category
    tokenizer: Tokenizer,
}

impl Engine {
    /// Starts an engine in a group of its own.
    pub fn start(model: Model, settings: EngineSettings, metrics: Arc<Metrics>) -> Result<Self> {
        Self::join(model, &EngineGroup::new(settings)?, metrics)
    }

    /// Starts an engine in a group. Fails if the model has no policy or no replica.
    pub fn join(model: Model, group: &EngineGroup, metrics: Arc<Metrics>) -> Result<Self> {
        let Model { card, scorer, mappings, tokenizer, replicas, warm_up } = model;
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
        let of_policy = |rules: &Rules| {
            let categories = rules.policy().categories.iter();
            categories.map(|category| metrics.category(&category.id)).collect()
        };
        let category_metrics = rules.iter().map(of_policy).collect();
        let served = Arc::new(ModelParts { card, scorer, rules, category_metrics, tokenizer });
        Ok(Self { served, model, group: group.clone(), metrics })
    }

    /// Scores the texts of one request, in order: all of them or none. Without a deadline, waits
    /// for room in the queue.
    pub async fn score(
        &self,
        texts: Vec<Text>,
        deadline: Option<Deadline>,
    ) -> Result<Vec<ScoredInput>> {
        let inputs = texts.into_iter().map(Input::from).collect();
        let priority = Priority::Foreground;
        let context = RequestContext { deadline, priority, account: None, timings: None };
        self.score_for(inputs, context).await
    }

    /// Scores the inputs of one request, in order: all of them or none.
    pub async fn score_for(
        &self,
        inputs: Vec<Input>,
        context: RequestContext<'_>,
    ) -> Result<Vec<ScoredInput>> {
        let scored = self.score_uncounted(inputs, context).await?;
        for text in &scored {
            self.metrics.count_scored_text(text.n_tokens, text.n_windows());
        }
        Ok(scored)
    }

    /// Scores inputs that no client has sent, without counting them in the metrics of scored texts.
    pub(super) async fn score_uncounted(
        &self,
        inputs: Vec<Input>,
        context: RequestContext<'_>,
    ) -> Result<Vec<ScoredInput>> {
        let Some(deadline) = context.deadline else {
            return self.work(inputs, context).await;
        };
        self.check(&inputs, context)?;
        let guard = AbandonmentGuard::new(deadline, &self.metrics);
        let work = self.work(inputs, context);
        let late = |_| deadline.exceeded();
        let scored = tokio::time::timeout_at(deadline.at(), work).await.map_err(late)?;
        // The queue may have been the first to notice that the deadline has passed.
        if !matches!(scored, Err(Error::DeadlineExceeded { .. })) {
            guard.answered();
        }
        scored
    }

    /// Returns the card of the model.
    pub fn card(&self) -> &ModelCard {
        &self.served.card
    }

    /// Returns the default policy, for requests that name none.
    pub fn policy(&self) -> &Policy {
        self.served.rules[0].policy() // there is at least one
    }

    /// Returns all policies, the default first.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.served.rules.iter().map(Rules::policy)
    }

    /// Returns all policies with the indices of their labels, the default first.
    pub fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.served.rules.iter().map(Rules::mapping)
    }

    /// Returns the rules of the policy with that id, or of the default policy for `None`. Fails
    /// with [`Error::UnknownPolicy`].
    pub fn rules(&self, policy: Option<&str>) -> Result<&Rules> {
        self.index_of(policy).map(|index| &self.served.rules[index])
    }

    /// Returns the metrics of the categories of a policy, in order.
    pub fn category_metrics(&self, policy: Option<&str>) -> Result<&[CategoryMetrics]> {
        self.index_of(policy).map(|index| &*self.served.category_metrics[index])
    }

    fn index_of(&self, policy: Option<&str>) -> Result<usize> {
        let Some(id) = policy else { return Ok(0) };
        let found = self.policies().position(|policy| policy.id == id);
        found.ok_or_else(|| Error::UnknownPolicy {
            name: shorten(id),
            known: self.policies().map(|policy| policy.id.clone()).collect(),
        })
    }

    /// Returns a receiver for the load of this engine.
    pub fn queued(&self) -> watch::Receiver<Queued> {
        self.model.queued.clone()
    }

    /// Waits until the model has ended: returns true if it panicked, false if it was removed. Does
    /// not keep the engine alive.
    pub fn crashed(&self) -> impl Future<Output = bool> + Send + use<> {
        let mut state = self.model.state.clone();
        async move {
            let end = state.wait_for(|&state| state != ModelState::Running).await;
            end.is_ok_and(|state| *state == ModelState::Crashed)
        }
    }

    /// Returns whether the model has panicked.
    pub fn has_crashed(&self) -> bool {
        *self.model.state.borrow() == ModelState::Crashed
    }

    /// Returns whether the foreground backlog of all models in the group leaves no time to spare.
    pub(super) fn is_busy(&self) -> bool {
        self.group.dispatcher().is_busy()
    }

    /// Returns how many tokens finding the spans of one request may cost.
    pub(super) fn max_span_tokens(&self) -> usize {
        let EngineSettings { span_tokens, max_request_tokens, .. } = self.group.settings;
        span_tokens.min(max_request_tokens)
    }

    async fn work(
        &self,
        inputs: Vec<Input>,
        context: RequestContext<'_>,
    ) -> Result<Vec<ScoredInput>> {
        let mut encoded = self.read(inputs, context).await?;
        let n_tokens: usize = encoded.iter().map(EncodedInput::n_window_tokens).sum();
        let max = self.group.settings.max_request_tokens;
        if n_tokens > max {
            return Err(Error::TooManyTokens { n_tokens, max });
        }
        if encoded.is_empty() {
            return Ok(Vec::new());
        }
        let computed = self.compute(take_windows(&mut encoded), n_tokens, context).await?;
        let scored = assemble(&self.served.scorer, &computed.logits, encoded);
        if let Err(Error::NonFinite { .. }) = scored {
            self.metrics.count_non_finite();
        }
        scored
    }

    /// Computes the windows of a request: all of them or none.
    async fn compute(
        &self,
        windows: Vec<Window>,
        n_tokens: usize,
        RequestContext { deadline, priority, account, timings }: RequestContext<'_>,
    ) -> Result<JobOutput> {
        let _guard = self.metrics.track_queued(n_tokens);
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
        inputs: Vec<Input>,
        context: RequestContext<'_>,
    ) -> Result<Vec<EncodedInput>> {
        let RequestContext { priority, account, timings, .. } = context;
        let start = Instant::now();
        let permit =
            self.group.tokenization().permit(priority, FlowId::from_account(account)).await?;
        self.check(&inputs, context)?; // the queue may have filled up meanwhile
        let served = Arc::clone(&self.served);
        let read_all = move || {
            // Held to the end, even if the client disconnects meanwhile.
            let _permit = permit;
            let read = |(index, input)| served.tokenizer.encode_input(index, input);
            inputs.iter().enumerate().map(read).collect()
        };
        // The message of a panic may quote the text.
        let fault = || std::io::Error::other("the tokenizer panicked");
        let panicked = |_| Error::Encode { index: 0, source: Arc::new(fault()) };
        let encoded = tokio::task::spawn_blocking(read_all).await.map_err(panicked)?;
        let elapsed = start.elapsed();
        self.metrics.record_tokenization(elapsed);
        if let Some(timings) = timings {
            timings.add(Phase { step: Step::Tokenise, start, elapsed });
        }
        encoded
    }
}

/// Moves the token ids out for the forward pass; the rest is kept to assemble the scores.
fn take_windows(encoded: &mut [EncodedInput]) -> Vec<Window> {
    let windows = encoded.iter_mut().flat_map(|encoded_input| &mut encoded_input.windows);
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
