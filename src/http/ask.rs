//! From what a contract asks to reports: the one way from a handler to the engine.

use std::sync::Arc;
use std::time::SystemTime;

use crate::engine::Caller;
use crate::engine::Deadline;
use crate::engine::Engine;
use crate::engine::Judged;
use crate::engine::Observed;
use crate::engine::Patience;
use crate::engine::Scored;
use crate::engine::Slot;
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
use crate::http::posted::Posted;
use crate::key::Account;
use crate::model::ModelCard;
use crate::policy::Action;
use crate::policy::Policy;
use crate::score::Report;
use crate::score::Ruleset;
use crate::score::Terms;
use crate::score::Verdict;
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
    ruleset: Arc<Ruleset>,
    deadline: Deadline,
    account: Option<Arc<Account>>,
    key: Option<KeyName>,
    context: Context,
    pub(super) terms: Terms,
    pub(super) spans: bool,
}

impl Ask {
    /// Of the model that the request names, else of the default. By the policy of that id, else by
    /// the one that the headers ask for, else by the model's first.
    pub(super) fn new(app: &App, posted: &Posted, policy: Option<&str>) -> Result<Self> {
        let slot = Arc::clone(app.models().slot(posted.model.as_deref())?);
        let engine = slot.serving()?;
        let ruleset = engine.ruleset(policy.or(posted.policy.as_deref()))?;
        let (terms, deadline) = (Terms::of(&ruleset.policy), posted.deadline);
        let (app, account) = (app.clone(), posted.account.clone());
        let (key, context) = (posted.key.clone(), posted.context.clone());
        let spans = false;
        Ok(Self { app, slot, engine, ruleset, deadline, account, key, context, terms, spans })
    }

    /// What it is judged by.
    pub(super) fn policy(&self) -> &Policy {
        &self.ruleset.policy
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
    pub(super) async fn texts(&self, raws: Vec<String>) -> Result<Vec<Report>> {
        let texts = Text::all(raws, &self.app.settings().limits)?;
        self.subjects(texts.into_iter().map(Subject::from).collect()).await
    }

    /// Judges the last turn of each conversation.
    pub(super) async fn conversations(&self, raws: Vec<Vec<Turn>>) -> Result<Vec<Report>> {
        let limits = &self.app.settings().limits;
        limits.check_count(raws.len())?;
        let raws = raws.into_iter().enumerate();
        let accept = |(index, turns)| Conversation::new(index, turns, limits);
        let accepted = raws.map(accept).collect::<Result<Vec<_>>>()?;
        self.subjects(accepted.into_iter().map(Subject::Conversation).collect()).await
    }

    /// Scores and judges the subjects of one request: all of them or none.
    async fn subjects(&self, subjects: Vec<Subject>) -> Result<Vec<Report>> {
        let (subjects, digests) = self.digest(subjects).await?;
        let (engine, patience) = (&self.engine, Patience::Until(self.deadline));
        let timings = Some(self.context.timings());
        let caller = Caller { patience, account: self.account.as_ref(), timings };
        let shadow = self.slot.shadow();
        // The spans and the shadow need the subjects once more.
        let is_needed = self.spans || shadow.is_some();
        let kept = if is_needed { subjects.clone() } else { Vec::new() };
        let scored = engine.score_by(&self.ruleset.scorer, subjects, caller).await?;
        let verdicts: Vec<_> = scored.iter().map(|text| self.terms.judge(&text.scores)).collect();
        let spans = self.locate(&kept, &scored, &verdicts, caller).await?;
        if let Some(shadow) = shadow {
            let ruleset = Arc::clone(&self.ruleset);
            let answered = scored.iter().map(|text| text.scores.clone()).collect();
            shadow.watch(Observed { subjects: kept, scores: answered, ruleset });
        }
        let policy = self.policy();
        let report = |(index, (scored, verdict)): (usize, (&_, &_))| {
            Scored::report(scored, verdict, policy, spans.get(index))
        };
        let reports: Vec<_> = std::iter::zip(&scored, &verdicts).enumerate().map(report).collect();
        self.count(&reports);
        self.audit(&reports, digests).await?;
        Ok(reports)
    }

    /// The parts that carry the violations, if they were asked for.
    async fn locate(
        &self,
        subjects: &[Subject],
        scored: &[Scored],
        verdicts: &[Verdict],
        caller: Caller<'_>,
    ) -> Result<Vec<Spans>> {
        if !self.spans {
            return Ok(Vec::new());
        }
        let judged = std::iter::zip(subjects, std::iter::zip(scored, verdicts));
        let judged: Vec<_> = judged
            .map(|(subject, (scored, verdict))| Judged { subject, scored, verdict })
            .collect();
        self.engine.locate(&self.ruleset, &judged, caller).await
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

    async fn audit(&self, reports: &[Report], digests: Vec<String>) -> Result<()> {
        let Some(audit) = &self.app.settings().audit else { return Ok(()) };
        let outcome = |(digest, report)| Outcome::new(digest, report);
        let entry = Entry {
            time: SystemTime::now(),
            request_id: self.context.request_id(),
            route: self.context.route(),
            key: self.key.as_ref().map(|KeyName(name)| name.to_string()),
            model: &self.model(),
            policy: &self.policy().reference(),
            results: std::iter::zip(digests, reports).map(outcome).collect(),
        };
        audit.write(&entry, self.deadline.at()).await
    }

    fn count(&self, reports: &[Report]) {
        let metrics = self.app.metrics();
        for report in reports {
            metrics.acted(report.action.to_string());
            for (id, category) in &report.categories.0 {
                metrics.judged(id, category.score, category.violated);
            }
        }
        self.context.charge(Cost { n_texts: reports.len(), n_tokens: n_tokens(reports) });
    }
}

/// Tokens of all texts of a request.
pub(super) fn n_tokens(reports: &[Report]) -> usize {
    reports.iter().map(|report| report.n_tokens).sum()
}

/// Whether the policy has a text withheld.
pub(super) fn is_blocked(report: &Report) -> bool {
    report.action >= Action::Block
}
