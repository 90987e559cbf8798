//! What waits for the model: a line for each key, and from which of them the next window comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::batch;
use crate::encode::Window;
use crate::engine::progress::Progress;
use crate::engine::queue::Job;
use crate::key::Account;

/// The jobs that wait, in a line for each key; those without a key are in one line.
///
/// The lines take turns by tokens (fair queueing after Demers, Keshav and Shenker, 1989): the next
/// window is of the line that has had the fewest, so that a key with much to do waits for itself
/// and not the others for it.
#[derive(Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    company: Company,
}

/// Whether more than one key has something to do these days.
#[derive(Default)]
struct Company {
    last: Option<Arc<Account>>, // who came last
    met: Option<Instant>,       // when two came one after the other
}

/// The jobs of one key, in order of `due`; never empty.
struct Line {
    account: Option<Arc<Account>>,
    had: u64, // tokens; of a line that has just come, as many as the one that has had the fewest
    jobs: VecDeque<Progress>,
}

/// The next windows of one job, as part of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    line: usize,
    job: usize,
    /// How many.
    pub(super) n_windows: usize,
}

impl Lines {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Puts a job where its turn is in its line, behind those with the same turn.
    pub(super) fn enqueue(&mut self, job: Job) {
        let account = job.room.account().cloned();
        self.company.came(account.as_ref(), job.admitted);
        let line = self.line_of(account);
        let progress = Progress::new(job);
        let place = line.jobs.partition_point(|other| other.due <= progress.due);
        line.jobs.insert(place, progress);
    }

    /// Whether one key has more than so many tokens waiting, and more than all others together, where
    /// others come too. What is computed for it then holds them up, so it had better be little at a
    /// time.
    pub(super) fn is_hogged(&self, n_tokens: usize) -> bool {
        if !self.company.is_there() {
            return false;
        }
        let all: usize = self.lines.iter().map(Line::n_tokens).sum();
        let is_hog = |line: &Line| {
            let own = line.n_tokens();
            line.account.is_some() && own > n_tokens && own > all / 2
        };
        self.lines.iter().any(is_hog)
    }

    /// Takes out the jobs that nobody waits for any more, and says how many they were.
    pub(super) fn drop_abandoned(&mut self) -> usize {
        let n_before = self.n_jobs();
        for line in &mut self.lines {
            line.jobs.retain(|progress| !progress.job.reply.is_closed());
        }
        let n_dropped = n_before - self.n_jobs();
        self.drop_empty();
        n_dropped
    }

    /// Chooses the windows of the next batch, at most `budget` tokens; one at least, whatever its
    /// size. What is chosen is charged to its line.
    pub(super) fn choose(&mut self, budget: usize) -> Vec<Share> {
        let mut cursors: Vec<_> = self.lines.iter().map(Cursor::new).collect();
        let mut turns = Vec::new();
        let lens = std::iter::from_fn(|| {
            let turn = self.next(&mut cursors)?;
            turns.push(turn);
            Some(turn.n_tokens)
        });
        let n_windows = batch::fit(lens, budget);
        let mut shares: Vec<Share> = Vec::new();
        let mut last = vec![None; self.lines.len()]; // of each line, the place of its share
        for turn in &turns[..n_windows] {
            self.lines[turn.line].had += turn.n_tokens as u64;
            match last[turn.line].and_then(|place: usize| shares.get_mut(place)) {
                Some(share) if share.job == turn.job => share.n_windows += 1,
                _ => {
                    last[turn.line] = Some(shares.len());
                    shares.push(Share { line: turn.line, job: turn.job, n_windows: 1 });
                }
            }
        }
        shares
    }

    /// The windows of these shares, one share after the other.
    pub(super) fn windows<'a>(&'a self, shares: &'a [Share]) -> impl Iterator<Item = &'a Window> {
        shares.iter().flat_map(|share| &self.job(*share).pending()[..share.n_windows])
    }

    /// The job that a share is of.
    pub(super) fn job(&self, share: Share) -> &Progress {
        &self.lines[share.line].jobs[share.job]
    }

    /// The same, to go on.
    pub(super) fn job_mut(&mut self, share: Share) -> &mut Progress {
        &mut self.lines[share.line].jobs[share.job]
    }

    /// Takes out, of the jobs of these shares, those that are to go. The shares hold no more.
    pub(super) fn remove(
        &mut self,
        shares: &[Share],
        is_to_go: impl Fn(&Progress) -> bool,
    ) -> Vec<Progress> {
        let mut places: Vec<_> = shares.iter().map(|share| (share.line, share.job)).collect();
        // From behind, so that the places before stay what they are.
        places.sort_unstable_by(|one, other| other.cmp(one));
        let mut removed = Vec::new();
        for (line, job) in places {
            let jobs = &mut self.lines[line].jobs;
            if is_to_go(&jobs[job]) {
                removed.extend(jobs.remove(job));
            }
        }
        self.drop_empty();
        removed
    }

    /// The window whose turn it is; the cursor of its line goes on.
    fn next(&self, cursors: &mut [Cursor]) -> Option<Turn> {
        let lines = std::iter::zip(&self.lines, cursors.iter_mut()).enumerate();
        let waiting = lines.filter_map(|(place, (line, cursor))| {
            let n_tokens = cursor.look(line)?;
            Some((cursor.had, place, n_tokens))
        });
        let (_, line, n_tokens) = waiting.min()?;
        Some(Turn { line, job: cursors[line].take(n_tokens), n_tokens })
    }

    fn line_of(&mut self, account: Option<Arc<Account>>) -> &mut Line {
        let same = |line: &Line| match (&line.account, &account) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        let place = self.lines.iter().position(same).unwrap_or_else(|| {
            let had = self.lines.iter().map(|line| line.had).min().unwrap_or(0);
            self.lines.push(Line { account, had, jobs: VecDeque::new() });
            self.lines.len() - 1
        });
        &mut self.lines[place]
    }

    fn n_jobs(&self) -> usize {
        self.lines.iter().map(|line| line.jobs.len()).sum()
    }

    fn drop_empty(&mut self) {
        self.lines.retain(|line| !line.jobs.is_empty());
    }
}

impl Line {
    /// Tokens that wait.
    fn n_tokens(&self) -> usize {
        self.jobs.iter().flat_map(Progress::pending).map(|window| window.ids.len()).sum()
    }
}

impl Company {
    fn came(&mut self, account: Option<&Arc<Account>>, at: Instant) {
        let is_same = match (&self.last, account) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.met = Some(at);
            self.last = account.cloned();
        }
    }

    fn is_there(&self) -> bool {
        self.met.is_some_and(|met| met.elapsed() < COMPANY_LASTS)
    }
}

/// A window that is next.
#[derive(Clone, Copy)]
struct Turn {
    line: usize,
    job: usize,
    n_tokens: usize,
}

/// How far the choice has come in a line.
struct Cursor {
    had: u64,
    job: usize,
    window: usize, // of those that are pending
}

impl Cursor {
    fn new(line: &Line) -> Self {
        Self { had: line.had, job: 0, window: 0 }
    }

    /// The tokens of the next window, wherever it is; none at the end of the line.
    fn look(&mut self, line: &Line) -> Option<usize> {
        loop {
            let pending = line.jobs.get(self.job)?.pending();
            if let Some(window) = pending.get(self.window) {
                return Some(window.ids.len());
            }
            (self.job, self.window) = (self.job + 1, 0);
        }
    }

    /// Goes on by the window that it looks at, and tells whose it is.
    fn take(&mut self, n_tokens: usize) -> usize {
        self.had += n_tokens as u64;
        self.window += 1;
        self.job
    }
}

/// Longer than the pauses of somebody who asks every other second.
const COMPANY_LASTS: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
