use std::sync::Mutex;
use std::sync::mpsc;

use super::*;
use crate::engine::group::EngineGroup;
use crate::engine::instance::fixtures::Fake;
use crate::engine::instance::fixtures::SETTINGS;
use crate::engine::instance::fixtures::engine;
use crate::engine::instance::fixtures::in_time;
use crate::engine::instance::fixtures::model;
use crate::engine::instance::fixtures::source;
use crate::engine::instance::fixtures::spawn;
use crate::engine::instance::fixtures::text_of_tokens;
use crate::engine::instance::fixtures::texts;
use crate::engine::shadow::MirroredRequest;
use crate::text::Input;

#[tokio::test]
async fn a_panicked_shadow_is_removed_counted_and_cannot_be_promoted() {
    let slot = slot();
    slot.swap(engine(Fake::Zeros), None);
    let shadow = start_shadow(&slot, engine(Fake::Panics));
    Arc::clone(&shadow).mirror(mirrored(&shadow, "tea"));
    assert!(shadow.engine().crashed().await);
    assert!(matches!(slot.promote(), Err(Error::ShadowCrashed)), "removed yet or not");
    while slot.overview().shadow.is_some() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(slot.promote(), Err(Error::ShadowCrashed)));
    let staged = slot.overview().staged.unwrap();
    assert!(matches!(staged.fault, Some(Error::ShadowCrashed)));
    assert!(!*slot.crashed.borrow(), "the server keeps running");
    let serving = slot.serving().unwrap();
    serving.score(texts("tea"), Some(in_time())).await.unwrap();
    let metrics = slot.metrics.render();
    assert!(metrics.contains("moderato_shadow_crashes_total 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_crashed_shadow_cannot_be_promoted_before_it_is_removed() {
    let crashed = engine(Fake::Panics);
    let answer = crashed.score(texts("tea"), Some(in_time())).await;
    assert!(matches!(answer, Err(Error::Stopped)));
    assert!(crashed.crashed().await);
    let shadow = Arc::new(Shadow::new(crashed, source(), 1.0, Arc::default()));
    let mut state = State { shadow: Some(shadow), ..State::default() };
    assert!(matches!(state.take_shadow(), Err(Error::ShadowCrashed)));
    assert!(state.shadow.is_some());
    state.shadow = None;
    assert!(matches!(state.take_shadow(), Err(Error::NoShadow)));
}

#[tokio::test]
async fn a_promoted_shadow_serves() {
    let slot = slot();
    slot.swap(engine(Fake::Zeros), None);
    let shadow = start_shadow(&slot, engine(Fake::Zeros));
    slot.promote().unwrap();
    assert!(Arc::ptr_eq(&slot.serving().unwrap(), shadow.engine()));
    assert!(matches!(slot.promote(), Err(Error::NoShadow)));
}

#[tokio::test]
async fn a_panic_of_the_serving_model_is_reported() {
    let slot = slot();
    slot.swap(engine(Fake::Panics), None);
    let mut crashed = slot.crashed.subscribe();
    let serving = slot.serving().unwrap();
    let answer = serving.score(texts("tea"), Some(in_time())).await;
    assert!(matches!(answer, Err(Error::Stopped)));
    crashed.wait_for(|&crashed| crashed).await.unwrap();
}

#[tokio::test]
async fn a_panic_of_a_replaced_model_is_not_reported() {
    let slot = slot();
    let old = engine(Fake::Panics);
    slot.swap(Arc::clone(&old), None);
    slot.swap(engine(Fake::Zeros), None);
    let answer = old.score(texts("tea"), Some(in_time())).await;
    assert!(matches!(answer, Err(Error::Stopped)));
    assert!(old.crashed().await);
    // The watching task drops its weak reference once it has seen the panic.
    while Arc::weak_count(&old) > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!*slot.crashed.borrow());
}

#[tokio::test]
async fn the_shadow_drops_and_counts_what_it_cannot_keep_up_with() {
    let (open, opened) = mpsc::channel();
    let group = EngineGroup::new(SETTINGS).unwrap();
    let join = |fake| Arc::new(Engine::join(model(fake), &group, Arc::default()).unwrap());
    let slot = slot();
    let serving = join(Fake::Waits(Mutex::new(opened)));
    slot.swap(Arc::clone(&serving), None);
    let shadow = start_shadow(&slot, join(Fake::Zeros));
    let text = text_of_tokens(shadow.engine(), 21).await;
    let mut clients = vec![spawn(&serving, "tea")];
    let mut queued = serving.queued();
    queued.wait_for(|queued| (queued.n_requests, queued.n_tokens) == (1, 0)).await.unwrap();
    // The background queue has room for 40 tokens: one such text, not two.
    for _ in 0..3 {
        Arc::clone(&shadow).mirror(mirrored(&shadow, &text));
    }
    while shadow.comparison().n_dropped < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shadow.comparison().n_dropped, 2);
    // The queue is more than half full, so the request is dropped without asking the shadow.
    clients.push(spawn(&serving, &text));
    queued.wait_for(|queued| queued.n_tokens > 20).await.unwrap();
    Arc::clone(&shadow).mirror(mirrored(&shadow, "tea"));
    assert_eq!(shadow.comparison().n_dropped, 3, "dropped immediately");
    drop(open);
    for client in clients {
        client.await.unwrap().unwrap();
    }
    while shadow.comparison().n_texts < 1 {
        tokio::task::yield_now().await;
    }
    let comparison = shadow.comparison();
    assert_eq!((comparison.n_dropped, comparison.n_failed), (3, 0));
}

fn slot() -> Arc<Slot> {
    let (staging, crashed) = (Arc::default(), watch::Sender::new(false));
    Arc::new(Slot::new(None, staging, crashed, Arc::new(Metrics::new())))
}

fn start_shadow(slot: &Arc<Slot>, engine: Arc<Engine>) -> Arc<Shadow> {
    slot.start_shadow(engine, source(), 1.0);
    slot.overview().shadow.unwrap()
}

fn mirrored(shadow: &Shadow, text: &str) -> MirroredRequest {
    let rules = shadow.engine().rules(None).unwrap().clone();
    let inputs = texts(text).into_iter().map(Input::from).collect();
    let n_labels = shadow.engine().card().labels.len();
    MirroredRequest { inputs, scores: vec![crate::score::LabelScores::blank(n_labels)], rules }
}
