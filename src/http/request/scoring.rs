//! Scores and judges the inputs of a request: the only path from a contract to the engine.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use crate::engine::Deadline;
use crate::engine::Engine;
use crate::engine::MirroredRequest;
use crate::engine::Priority;
use crate::engine::RequestContext;
use crate::engine::ScoredInput;
use crate::engine::Slot;
use crate::engine::SpanRequest;
use crate::engine::Spans;
use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::KeyName;
use crate::http::request::audit_entry::Entry;
use crate::http::request::audit_entry::Outcome;
use crate::http::request::audit_entry::sha256;
use crate::http::request::json_request::RequestOptions;
use crate::http::request::judged::Judged;
use crate::http::telemetry::context::Context;
use crate::http::telemetry::context::Cost;
use crate::key::Account;
use crate::model::ModelCard;
use crate::policy::Policy;
use crate::score::CategoryVerdict;
use crate::score::Rules;
use crate::text::Conversation;
use crate::text::Input;
use crate::text::Limits;
use crate::text::Text;
use crate::text::Turn;

/// The model, the rules, the deadline and the caller of one request.
#[derive(Debug)]
pub(in crate::http) struct Scoring {
    app: App,
    slot: Arc<Slot>,
    engine: Arc<Engine>, // the same one for the whole request
    deadline: Deadline,
    account: Option<Arc<Account>>,
    key: Option<KeyName>,
    context: Context,
    pub(in crate::http) rules: Rules,
    pub(in crate::http) spans: bool,
}

impl Scoring {
    /// Prepares scoring with the model that the request names, or else the default model.
    ///
    /// The policy is the one named in a header, or else `policy`, or else the default policy.
    pub(in crate::http) fn new(
        app: &App,
        options: &RequestOptions,
        policy: Option<&str>,
    ) -> Result<Self> {
        let slot = Arc::clone(app.slot(options.model.as_deref())?);
        let engine = slot.serving()?;
        let rules = engine.rules(options.policy.as_deref().or(policy))?.clone();
        let deadline = options.deadline;
        let (app, account) = (app.clone(), options.account.clone());
        let (key, context) = (options.key.clone(), options.context.clone());
        let spans = false;
        Ok(Self { app, slot, engine, deadline, account, key, context, rules, spans })
    }

    /// Applies one threshold, from 0 to 1, to all categories; `None` changes nothing.
    pub(in crate::http) fn set_threshold(&mut self, threshold: Option<f64>) -> Result<()> {
        if let Some(threshold) = threshold {
            self.rules = self.rules.clone().with_threshold(threshold)?;
        }
        Ok(())
    }

    /// Returns the policy that the request is judged by.
    pub(in crate::http) fn policy(&self) -> &Policy {
        self.rules.policy()
    }

    /// Returns the card of the model that scores.
    pub(in crate::http) fn card(&self) -> &ModelCard {
        self.engine.card()
    }

    /// Returns the model's name with its version.
    pub(in crate::http) fn model(&self) -> String {
        self.card().reference()
    }

    /// Scores and judges texts.
    pub(in crate::http) async fn texts(&self, raws: Vec<String>) -> Result<Vec<Judged>> {
        let limits = &self.app.settings().limits;
        limits.check_count(raws.len())?;
        let raws = raws.into_iter().enumerate();
        self.inputs(raws.map(|(index, raw)| CheckedInput::text(index, raw, limits))).await
    }

    /// Scores and judges the last turn of each conversation.
    pub(in crate::http) async fn conversations(&self, raws: Vec<Vec<Turn>>) -> Result<Vec<Judged>> {
        let limits = &self.app.settings().limits;
        limits.check_count(raws.len())?;
        let raws = raws.into_iter().enumerate();
        self.inputs(raws.map(|(index, turns)| CheckedInput::conversation(index, turns, limits)))
            .await
    }

    /// Scores and judges the inputs of one request: all of them or none.
    async fn inputs(
        &self,
        inputs: impl Iterator<Item = Result<CheckedInput>>,
    ) -> Result<Vec<Judged>> {
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let (inputs, digests) = self.digest(inputs).await?;
        let is_blank = |&index: &usize| matches!(inputs[index], CheckedInput::Blank(_));
        let (blank, scored): (Vec<_>, Vec<_>) = (0..inputs.len()).partition(is_blank);
        let inputs = inputs.into_iter().filter_map(CheckedInput::into_scored).collect();
        let judged = self.score(inputs).await;
        let mut judged = judged.map_err(|fault| fault.map_index(|index| scored[index]))?;
        for index in blank {
            judged.insert(index, self.blank());
        }
        self.count(&judged);
        self.audit(&judged, digests).await?;
        Ok(judged)
    }

    async fn score(&self, inputs: Vec<Input>) -> Result<Vec<Judged>> {
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let engine = &self.engine;
        let context = RequestContext {
            deadline: Some(self.deadline),
            priority: Priority::Foreground,
            account: self.account.as_ref(),
            timings: Some(self.context.timings()),
        };
        let shadow = self.slot.shadow();
        // Spans and the shadow score the inputs again.
        let is_needed = self.spans || shadow.is_some();
        let kept = if is_needed { inputs.clone() } else { Vec::new() };
        let scored = engine.score_for(inputs, context).await?;
        let spans = self.locate(&kept, &scored, context).await?;
        if let Some(shadow) = shadow {
            let rules = engine.rules(Some(&self.policy().id))?.clone();
            let answered = scored.iter().map(|scored| scored.scores.pooled.clone()).collect();
            shadow.mirror(MirroredRequest { inputs: kept, scores: answered, rules });
        }
        Ok(self.judge(scored, spans))
    }

    /// Returns the verdict on a blank text, which is not sent to the model: every score is 0.
    fn blank(&self) -> Judged {
        let scored = ScoredInput::blank(self.card().labels.len());
        let verdict = self.rules.judge(&scored.scores.pooled);
        let spans = self.spans.then(Spans::default);
        Judged { rules: Arc::new(self.rules.clone()), scored, verdict, spans }
    }

    /// Finds the spans that cause the violations of each input, if spans were requested.
    async fn locate(
        &self,
        inputs: &[Input],
        scored: &[ScoredInput],
        context: RequestContext<'_>,
    ) -> Result<Vec<Option<Spans>>> {
        if !self.spans {
            return Ok(vec![None; scored.len()]);
        }
        let request = SpanRequest { inputs, scored, rules: &self.rules };
        let spans = self.engine.locate(request, context).await?;
        Ok(spans.into_iter().map(Some).collect())
    }

    fn judge(&self, scored: Vec<ScoredInput>, spans: Vec<Option<Spans>>) -> Vec<Judged> {
        let rules = Arc::new(self.rules.clone());
        let judge = |(scored, spans): (ScoredInput, _)| {
            let verdict = rules.judge(&scored.scores.pooled);
            Judged { rules: Arc::clone(&rules), scored, verdict, spans }
        };
        std::iter::zip(scored, spans).map(judge).collect()
    }

    /// Computes the digests that identify the inputs in the audit log; none if there is no audit
    /// log.
    async fn digest(&self, inputs: Vec<CheckedInput>) -> Result<(Vec<CheckedInput>, Vec<String>)> {
        let Some(audit) = &self.app.settings().audit else { return Ok((inputs, Vec::new())) };
        audit.check()?;
        // Hashing a long body takes milliseconds.
        let digest = move || {
            let digests = inputs.iter().map(|input| sha256(&input.transcript())).collect();
            (inputs, digests)
        };
        tokio::task::spawn_blocking(digest).await.map_err(|_| Error::Stopped)
    }

    async fn audit(&self, judged: &[Judged], digests: Vec<String>) -> Result<()> {
        let Some(audit) = &self.app.settings().audit else { return Ok(()) };
        let outcome = |(digest, judged)| Outcome::new(digest, judged);
        let entry = Entry {
            time: SystemTime::now(),
            request_id: self.context.request_id(),
            route: self.context.route(),
            key: self.key.as_ref().map(|KeyName(name)| name.to_string()),
            model: &self.model(),
            policy: &self.policy().reference(),
            results: std::iter::zip(digests, judged).map(outcome).collect(),
        };
        audit.write(entry.line(), self.deadline.at()).await
    }

    fn count(&self, judged: &[Judged]) {
        let categories = self.engine.category_metrics(Some(&self.policy().id));
        let categories = categories.unwrap_or_default();
        for judged in judged {
            self.app.metrics().count_action(judged.verdict.action.name());
            for &CategoryVerdict { category, judgement, .. } in &judged.verdict.categories {
                if let Some(metrics) = categories.get(category) {
                    metrics.record_score(judgement.score, judgement.violated);
                }
            }
        }
        self.context.charge(Cost { n_texts: judged.len(), n_tokens: n_tokens(judged) });
    }
}

/// An input within the limits.
enum CheckedInput {
    Scored(Input),
    /// Nothing but white space.
    Blank(String),
}

impl CheckedInput {
    fn text(index: usize, raw: String, limits: &Limits) -> Result<Self> {
        if raw.trim().is_empty() {
            return Ok(Self::Blank(raw));
        }
        Text::new(index, raw, limits).map(|text| Self::Scored(text.into()))
    }

    /// A conversation whose last turn is blank counts as a blank text.
    fn conversation(index: usize, mut turns: Vec<Turn>, limits: &Limits) -> Result<Self> {
        let is_blank = |last: &mut Turn| last.content.trim().is_empty();
        if let Some(last) = turns.pop_if(is_blank) {
            return Ok(Self::Blank(last.content));
        }
        let conversation = Conversation::new(index, turns, limits)?;
        Ok(Self::Scored(Input::Conversation(conversation)))
    }

    fn into_scored(self) -> Option<Input> {
        match self {
            Self::Scored(input) => Some(input),
            Self::Blank(_) => None,
        }
    }

    /// Returns the text whose digest goes into the audit log.
    fn transcript(&self) -> Cow<'_, str> {
        match self {
            Self::Scored(Input::Text(text)) => text.as_str().into(),
            Self::Scored(Input::Conversation(conversation)) => conversation.transcript().into(),
            Self::Blank(raw) => raw.into(),
        }
    }
}

/// Returns the total number of tokens of all inputs of a request.
pub(in crate::http) fn n_tokens(judged: &[Judged]) -> usize {
    judged.iter().map(|judged| judged.scored.n_tokens).sum()
}
