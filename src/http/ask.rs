//! From what a contract asks to verdicts: the one way from a handler to the engine.

use std::sync::Arc;
use std::time::SystemTime;

use crate::engine::Deadline;
use crate::engine::Engine;
use crate::engine::MirroredRequest;
use crate::engine::Priority;
use crate::engine::RequestContext;
use crate::engine::Scored;
use crate::engine::Slot;
use crate::engine::SpanRequest;
use crate::engine::Spans;
use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::audit;
use crate::http::audit::Entry;
use crate::http::audit::Outcome;
use crate::http::context::Context;
use crate::http::context::Cost;
use crate::http::gate::KeyName;
use crate::http::judged::Judged;
use crate::http::posted::Posted;
use crate::key::Account;
use crate::model::ModelCard;
use crate::policy::Policy;
use crate::score::Rules;
use crate::text::Conversation;
use crate::text::Subject;
use crate::text::Text;
use crate::text::Turn;

/// By what to judge, how far to look, and until when.
#[derive(Debug)]
pub(super) struct Ask {
    app: App,
    slot: Arc<Slot>,
    engine: Arc<Engine>, // the same from the first question to the answer
    deadline: Deadline,
    account: Option<Arc<Account>>,
    key: Option<KeyName>,
    context: Context,
    pub(super) rules: Rules,
    pub(super) spans: bool,
}

impl Ask {
    /// Of the model that the request names, else of the default. By the policy of that id, else by
    /// the one that the headers ask for, else by the model's first.
    pub(super) fn new(app: &App, posted: &Posted, policy: Option<&str>) -> Result<Self> {
        let slot = Arc::clone(app.models().slot(posted.model.as_deref())?);
        let engine = slot.serving()?;
        let rules = engine.rules(policy.or(posted.policy.as_deref()))?.clone();
        let deadline = posted.deadline;
        let (app, account) = (app.clone(), posted.account.clone());
        let (key, context) = (posted.key.clone(), posted.context.clone());
        let spans = false;
        Ok(Self { app, slot, engine, deadline, account, key, context, rules, spans })
    }

    /// What it is judged by.
    pub(super) fn policy(&self) -> &Policy {
        self.rules.policy()
    }

    /// What scores.
    pub(super) fn card(&self) -> &ModelCard {
        self.engine.card()
    }

    /// The model's name with its version.
    pub(super) fn model(&self) -> String {
        self.card().reference()
    }

    /// Judges texts.
    pub(super) async fn texts(&self, raws: Vec<String>) -> Result<Vec<Judged>> {
        let texts = Text::all(raws, &self.app.settings().limits)?;
        self.subjects(texts.into_iter().map(Subject::from).collect()).await
    }

    /// Judges the last turn of each conversation.
    pub(super) async fn conversations(&self, raws: Vec<Vec<Turn>>) -> Result<Vec<Judged>> {
        let limits = &self.app.settings().limits;
        limits.check_count(raws.len())?;
        let raws = raws.into_iter().enumerate();
        let accept = |(index, turns)| Conversation::new(index, turns, limits);
        let accepted = raws.map(accept).collect::<Result<Vec<_>>>()?;
        self.subjects(accepted.into_iter().map(Subject::Conversation).collect()).await
    }

    /// Scores and judges the subjects of one request: all of them or none.
    async fn subjects(&self, subjects: Vec<Subject>) -> Result<Vec<Judged>> {
        let (subjects, digests) = self.digest(subjects).await?;
        let engine = &self.engine;
        let context = RequestContext {
            deadline: Some(self.deadline),
            priority: Priority::Foreground,
            account: self.account.as_ref(),
            timings: Some(self.context.timings()),
        };
        let shadow = self.slot.shadow();
        // The spans and the shadow need the subjects once more.
        let is_needed = self.spans || shadow.is_some();
        let kept = if is_needed { subjects.clone() } else { Vec::new() };
        let scored = engine.score_for(subjects, context).await?;
        let spans = self.locate(&kept, &scored, context).await?;
        if let Some(shadow) = shadow {
            let rules = engine.rules(Some(&self.policy().id))?.clone();
            let answered = scored.iter().map(|scored| scored.scores.pooled.clone()).collect();
            shadow.mirror(MirroredRequest { subjects: kept, scores: answered, rules });
        }
        let judged = self.judge(scored, spans);
        self.count(&judged);
        self.audit(&judged, digests).await?;
        Ok(judged)
    }

    /// The parts that carry the violations of each subject; none of them if they were not asked for.
    async fn locate(
        &self,
        subjects: &[Subject],
        scored: &[Scored],
        context: RequestContext<'_>,
    ) -> Result<Vec<Option<Spans>>> {
        if !self.spans {
            return Ok(vec![None; scored.len()]);
        }
        let request = SpanRequest { subjects, scored, rules: &self.rules };
        let spans = self.engine.locate(request, context).await?;
        Ok(spans.into_iter().map(Some).collect())
    }

    fn judge(&self, scored: Vec<Scored>, spans: Vec<Option<Spans>>) -> Vec<Judged> {
        let rules = Arc::new(self.rules.clone());
        let judge = |(scored, spans): (Scored, _)| {
            let verdict = rules.judge(&scored.scores.pooled);
            Judged { rules: Arc::clone(&rules), scored, verdict, spans }
        };
        std::iter::zip(scored, spans).map(judge).collect()
    }

    /// What the audit log calls the subjects; nothing without such a log.
    async fn digest(&self, subjects: Vec<Subject>) -> Result<(Vec<Subject>, Vec<String>)> {
        let Some(audit) = &self.app.settings().audit else { return Ok((subjects, Vec::new())) };
        audit.check()?;
        // A long body takes milliseconds.
        let digest = move || {
            let digests = subjects.iter().map(audit::sha256).collect();
            (subjects, digests)
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
        audit.write(&entry, self.deadline.at()).await
    }

    fn count(&self, judged: &[Judged]) {
        let metrics = self.app.metrics();
        for judged in judged {
            metrics.acted(judged.verdict.action.to_string());
            for category in &judged.verdict.categories {
                let judgement = category.judgement;
                metrics.judged(judged.id(category), judgement.score, judgement.violated);
            }
        }
        self.context.charge(Cost { n_texts: judged.len(), n_tokens: n_tokens(judged) });
    }
}

/// Tokens of all texts of a request.
pub(super) fn n_tokens(judged: &[Judged]) -> usize {
    judged.iter().map(|judged| judged.scored.n_tokens).sum()
}
