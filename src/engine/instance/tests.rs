use std::sync::Mutex;
use std::sync::mpsc;

use super::*;
use crate::engine::instance::fixtures::Fake;
use crate::engine::instance::fixtures::SETTINGS;
use crate::engine::instance::fixtures::in_time;
use crate::engine::instance::fixtures::model;
use crate::engine::instance::fixtures::spawn;

#[tokio::test]
async fn a_request_refused_after_waiting_for_a_permit_is_not_tokenised() {
    let (open, opened) = mpsc::channel();
    let settings = EngineSettings { tokenize_permits: 1, ..SETTINGS };
    let fake = model(Fake::Waits(Mutex::new(opened)));
    let engine = Arc::new(Engine::start(fake, settings, Arc::default()).unwrap());
    let (dispatcher, tokenization) = (engine.group.dispatcher(), engine.group.tokenization());
    let mut queued = engine.queued();
    let running = dispatcher.submit(submission(&engine, 1)).await.unwrap();
    queued.wait_for(|queued| (queued.n_requests, queued.n_tokens) == (1, 0)).await.unwrap();

    let turn = tokenization.permit(Priority::Foreground, FlowId::Anonymous).await.unwrap();
    let client = spawn(&engine, "tea");
    tokio::task::yield_now().await; // it passes the first check and waits for a permit
    let waiting = dispatcher.submit(submission(&engine, SETTINGS.queue_tokens)).await.unwrap();
    drop(turn);
    assert!(matches!(client.await.unwrap(), Err(Error::QueueFull { .. })));
    let metrics = engine.metrics.render();
    assert!(metrics.contains("moderato_engine_tokenise_seconds_count 0\n"), "{metrics}");

    drop(open);
    running.output().await.unwrap();
    waiting.output().await.unwrap();
}

/// Returns a submission of one window of `n_tokens` tokens.
fn submission(engine: &Engine, n_tokens: usize) -> Submission {
    Submission {
        model: engine.model.id,
        priority: Priority::Foreground,
        account: None,
        windows: vec![Window { ids: vec![0; n_tokens], bytes: 0..0 }],
        deadline: Some(in_time()),
    }
}
