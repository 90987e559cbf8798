//! Models with several replicas, and the throughput measured at startup.

use moderato::batch::Batch;
use moderato::error::Error;
use moderato::error::Result;
use moderato::model::Artifact;
use moderato::model::HubSettings;
use moderato::model::LoadSettings;
use moderato::model::Model;
use moderato::model::Overrides;
use moderato::model::Source;
use moderato::model::replica_threads;
use moderato::text::Limits;
use moderato::text::Text;

use crate::support;

#[test]
fn replicas_give_the_same_logits_to_the_bit() {
    let model = load(&LoadSettings { threads: 5, replicas: 3, ..support::LOAD }).unwrap();
    let limits = Limits { max_texts: 1, max_chars: 1000 };
    let text = Text::new(0, "Two cups of tea, please.".into(), &limits).unwrap();
    let batch = Batch::pack(&model.tokenizer.encode(0, &text).unwrap().windows);
    let logits: Vec<_> =
        model.replicas.iter().map(|replica| replica.forward(&batch).unwrap()).collect();
    assert_eq!(logits.len(), 3);
    assert_eq!(logits[1], logits[0]);
    assert_eq!(logits[2], logits[0]);
}

#[test]
fn more_replicas_than_threads_are_refused() {
    let refusal = load(&LoadSettings { threads: 2, replicas: 3, ..support::LOAD }).unwrap_err();
    assert!(matches!(refusal, Error::Config { name: "replicas", .. }), "{refusal}");
}

#[test]
fn a_loaded_model_says_how_fast_it_is() {
    for (threads, replicas) in [(1, 1), (4, 1), (4, 2), (64, 1)] {
        let n_tokens = (64 * replica_threads(threads, replicas)).clamp(128, 4096);
        let settings = LoadSettings { threads, replicas, ..support::LOAD };
        let warm_up = load(&settings).unwrap().warm_up.unwrap();
        let case = format!("{threads} threads, {replicas} replicas");
        // Whole windows of up to 64 tokens.
        assert!((n_tokens..n_tokens + 64).contains(&warm_up.n_tokens), "{case}: {warm_up:?}");
        assert!(!warm_up.elapsed.is_zero(), "{case}");
    }
}

fn load(settings: &LoadSettings) -> Result<Model> {
    let source = Source::Folder(support::tiny());
    Model::load(Artifact::open(&source, Overrides::default(), HubSettings::offline())?, settings)
}
