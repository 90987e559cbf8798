use ndarray::Array2;

use super::*;
use crate::batch::Batch;
use crate::metrics::Metrics;
use crate::model::Forward;

#[tokio::test]
async fn the_next_batch_is_ready_while_one_runs_and_starts_before_the_answers_of_the_first() {
    let (dispatcher, model) = dispatcher(1);
    let mut first = submit(&dispatcher, model.id, &[10]).await;
    let running = next(&dispatcher, HERE);
    assert_eq!(dispatcher.start(&running).map(|waits| waits.len()), Some(1));
    let _second = submit(&dispatcher, model.id, &[10]).await;
    let prepared = next(&dispatcher, HERE);
    let complete = std::thread::scope(|scope| {
        let starting = scope.spawn(|| dispatcher.start(&prepared).map(|waits| waits.len()));
        let complete = dispatcher.complete(&running, logits(&[1.0]), MS);
        assert_eq!(starting.join().unwrap(), Some(1));
        complete
    });
    assert!(first.answer.try_recv().is_err(), "it runs before this one is answered");
    answer(complete);
    assert_eq!(first.output().await.unwrap().logits, logits(&[1.0]));
}

#[tokio::test]
async fn windows_that_are_computed_out_of_order_are_answered_in_order() {
    let (dispatcher, model) = dispatcher(2);
    let ticket = submit(&dispatcher, model.id, &[10, 10]).await;
    let (here, there) = (next(&dispatcher, HERE), next(&dispatcher, WorkerId(1)));
    assert!(dispatcher.start(&here).is_some());
    assert_eq!(dispatcher.start(&there), Some(Vec::new()), "the job has begun before");
    assert!(dispatcher.complete(&there, logits(&[2.0]), MS).is_empty());
    let complete = dispatcher.complete(&here, logits(&[1.0]), MS);
    answer(complete);
    assert_eq!(ticket.output().await.unwrap().logits, logits(&[1.0, 2.0]));
}

#[tokio::test]
async fn a_crash_answers_everyone_whatever_has_become_of_their_windows() {
    let (dispatcher, model) = dispatcher(2);
    let both = submit(&dispatcher, model.id, &[10, 10]).await;
    let (here, there) = (next(&dispatcher, HERE), next(&dispatcher, WorkerId(1)));
    assert!(dispatcher.start(&here).is_some() && dispatcher.start(&there).is_some());
    let waiting = submit(&dispatcher, model.id, &[10, 10]).await;
    let prepared = next(&dispatcher, HERE);
    assert_eq!(model.queued.borrow().n_requests, 2);
    dispatcher.crash(here.model, here.batch);
    assert_eq!(*model.state.borrow(), ModelState::Crashed);
    assert_eq!(*model.queued.borrow(), Queued::default());
    for ticket in [both, waiting] {
        assert!(matches!(ticket.output().await, Err(Error::Stopped)));
    }
    assert_eq!(dispatcher.start(&prepared), None, "it is not wanted any more");
    assert!(dispatcher.complete(&there, logits(&[1.0]), MS).is_empty());
    let refused = dispatcher.submit(submission(model.id, &[10])).await;
    assert!(matches!(refused, Err(Error::Stopped)));
    // The workers go on.
    let other = dispatcher.add_model(vec![replica()], None);
    let _ticket = submit(&dispatcher, other.id, &[10]).await;
    assert!(dispatcher.start(&next(&dispatcher, HERE)).is_some());
}

#[tokio::test]
async fn a_request_that_waits_past_its_deadline_is_told_so_and_costs_nothing() {
    let (dispatcher, model) = dispatcher(1);
    let deadline = Some(Deadline::after(Duration::ZERO));
    let late = Submission { deadline, ..submission(model.id, &[10]) };
    let ticket = dispatcher.submit(late).await.unwrap();
    let Task::Expire(jobs) = dispatcher.next(HERE) else { panic!("it is late") };
    for job in jobs {
        job.expire();
    }
    let answer = ticket.output().await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded { timeout_ms: 0 })), "{answer:?}");
    assert_eq!(*model.queued.borrow(), Queued::default());
}

#[tokio::test]
async fn a_failed_batch_fails_its_jobs() {
    let (dispatcher, model) = dispatcher(1);
    let ticket = submit(&dispatcher, model.id, &[10]).await;
    let work = next(&dispatcher, HERE);
    dispatcher.start(&work).unwrap();
    for job in dispatcher.fail(&work) {
        job.fail(Error::NoTexts);
    }
    assert!(matches!(ticket.output().await, Err(Error::NoTexts)));
}

#[tokio::test]
async fn whoever_goes_away_leaves_at_once() {
    let (dispatcher, model) = dispatcher(1);
    let ticket = submit(&dispatcher, model.id, &[10, 20]).await;
    assert_eq!(*model.queued.borrow(), Queued { n_requests: 1, n_tokens: 30 });
    drop(ticket);
    assert_eq!(*model.queued.borrow(), Queued::default());
}

#[tokio::test]
async fn after_a_panic_under_the_lock_nobody_waits_for_ever() {
    let (dispatcher, model) = dispatcher(1);
    let ticket = submit(&dispatcher, model.id, &[10]).await;
    std::thread::scope(|scope| {
        let panicking = scope.spawn(|| {
            let _held = dispatcher.lock();
            panic!("a panic on purpose");
        });
        assert!(panicking.join().is_err());
    });
    assert!(matches!(dispatcher.next(HERE), Task::End));
    assert!(matches!(ticket.output().await, Err(Error::Stopped)));
    assert_eq!(*model.state.borrow(), ModelState::Crashed);
    let refused = dispatcher.submit(submission(model.id, &[10])).await;
    assert!(matches!(refused, Err(Error::Stopped)));
}

/// A forward pass that is never run.
#[derive(Debug)]
struct Idle;

impl Forward for Idle {
    fn forward(&self, _: &Batch) -> Result<Logits> {
        Err(Error::Stopped)
    }
}

/// Creates workers without threads, and a model with a replica for each.
fn dispatcher(n_workers: usize) -> (Dispatcher, AddedModel) {
    let dispatcher = Dispatcher::new(SchedulerSettings {
        batch_tokens: 10,
        queue_tokens: 1000,
        max_request_tokens: 1000,
        queue_time: Duration::MAX,
    });
    for worker in 0..n_workers {
        dispatcher.add_worker(WorkerId(worker));
    }
    let model = dispatcher.add_model((0..n_workers).map(|_| replica()).collect(), None);
    (dispatcher, model)
}

fn replica() -> Arc<Replica> {
    Arc::new(Replica::new(Box::new(Idle), Arc::new(Metrics::new())))
}

async fn submit<'a>(dispatcher: &'a Dispatcher, model: ModelId, lens: &[usize]) -> Ticket<'a> {
    dispatcher.submit(submission(model, lens)).await.unwrap()
}

fn submission(model: ModelId, lens: &[usize]) -> Submission {
    let window = |&len: &usize| Window { ids: vec![0; len], bytes: 0..0 };
    Submission {
        model,
        priority: Priority::Foreground,
        account: None,
        windows: lens.iter().map(window).collect(),
        deadline: Some(Deadline::after(Duration::from_mins(1))),
    }
}

fn answer(jobs: Vec<PendingJob>) {
    for job in jobs {
        job.complete(Instant::now());
    }
}

fn next(dispatcher: &Dispatcher, worker: WorkerId) -> Work {
    match dispatcher.next(worker) {
        Task::Compute(work) => work,
        other => panic!("{other:?}"),
    }
}

/// Returns one row of logits per number.
fn logits(rows: &[f32]) -> Logits {
    Logits(Array2::from_shape_fn((rows.len(), 2), |(row, _)| rows[row]))
}

const HERE: WorkerId = WorkerId(0);
const MS: Duration = Duration::from_millis(1);
