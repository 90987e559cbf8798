//! Agreement with transformers, on the numbers from `scripts/make_golden.py`.

use std::collections::BTreeMap;

use moderato::batch::Batch;
use moderato::model::Dtype;
use moderato::model::LoadSettings;
use moderato::model::Logits;
use moderato::model::Model;
use moderato::text::Limits;
use moderato::text::Text;
use moderato::tokenize::Encoded;
use moderato::tokenize::Window;
use serde::Deserialize;

use crate::support;

#[test]
fn the_tiny_model_gives_the_ids_and_logits_of_transformers() {
    check(&support::tiny_model(), "tests/golden/tiny-bert.jsonl", |_| true);
}

/// Few tokens, so that an emulated processor finishes within a minute.
#[test]
fn the_embedded_model_gives_the_ids_and_logits_of_transformers_for_short_texts() {
    check(&support::embedded_model(), "tests/golden/moderato-small.jsonl", Reference::is_short);
}

#[test]
fn the_embedded_model_gives_the_ids_and_logits_of_transformers_for_longer_texts() {
    let is_longer = |reference: &Reference| !reference.is_short();
    check(&support::embedded_model(), "tests/golden/moderato-small.jsonl", is_longer);
}

/// The scores in `self_test.jsonl` follow the arithmetic of `scripts/model/export.py`: logits from
/// transformers and calibration in numpy.
#[test]
fn the_embedded_model_is_calibrated_with_the_arithmetic_of_the_pipeline() {
    let model = support::embedded_model();
    let lines = read::<SelfTest>("models/moderato-small/self_test.jsonl");
    assert!(!lines.is_empty());
    for SelfTest { text, scores: expected } in lines {
        let Logits(logits) = forward(&model, &encode(&model, &text).windows);
        let scores = model.scorer.score(logits.view()).unwrap().pooled.probabilities;
        assert_eq!(expected.len(), scores.len());
        for (label, theirs) in expected {
            let place = model.card.labels.iter().position(|other| *other == label).unwrap();
            let ours = scores[place];
            assert!((f64::from(ours) - theirs).abs() < 1e-4, "{label}: {ours} for {theirs}");
        }
    }
}

#[test]
fn a_window_of_the_tiny_model_scores_the_same_to_the_bit_alone_and_in_any_batch() {
    let model = support::tiny_model();
    check_batches(&model, &windows(&model, texts().len()));
}

#[test]
fn a_window_of_the_embedded_model_scores_the_same_to_the_bit_alone_and_in_any_batch() {
    let model = support::embedded_model();
    // Enough for blocks of several tiles on two threads, few enough for an emulated processor.
    check_batches(&model, &windows(&model, 12));
}

#[test]
fn a_window_of_the_embedded_model_scores_the_same_to_the_bit_on_any_number_of_threads() {
    for dtype in [Dtype::F32, Dtype::Int8] {
        let load = |threads| {
            let settings = LoadSettings { dtype, threads, ..support::LOAD };
            support::embedded_model_with(&settings)
        };
        let one = load(1);
        let windows = windows(&one, 12);
        let expected = logits(&one, &windows);
        for threads in [2, 3, 8, 17] {
            let model = load(threads);
            assert_eq!(logits(&model, &windows), expected, "{dtype} on {threads} threads");
            assert_eq!(logits(&model, &windows[..1]), expected[..1], "{dtype}, {threads} threads");
        }
    }
}

/// Compares the logits of all windows together, in reverse order, and each alone.
fn check_batches(model: &Model, windows: &[Window]) {
    let together = logits(model, windows);
    let mut backwards = logits(model, windows.iter().rev());
    backwards.reverse();
    assert_eq!(backwards, together, "reversed");
    for (row, window) in windows.iter().enumerate() {
        assert_eq!(logits(model, [window])[0], together[row], "window {row}");
    }
}

/// Returns the logits as bits, `(window, label)`.
fn logits<'a>(model: &Model, windows: impl IntoIterator<Item = &'a Window>) -> Vec<Vec<u32>> {
    let Logits(logits) = forward(model, windows);
    logits.rows().into_iter().map(|row| row.iter().map(|logit| logit.to_bits()).collect()).collect()
}

/// Returns the windows of the first `n_texts` texts.
fn windows(model: &Model, n_texts: usize) -> Vec<Window> {
    let texts = texts().into_iter().take(n_texts);
    texts.flat_map(|named| encode(model, &named.text).windows).collect()
}

#[derive(Deserialize)]
struct Named {
    id: String,
    text: String,
}

#[derive(Deserialize)]
struct SelfTest {
    text: String,
    scores: BTreeMap<String, f64>, // by label
}

#[derive(Deserialize)]
struct Reference {
    id: String,
    n_tokens: usize,
    windows: Vec<ReferenceWindow>,
}

impl Reference {
    fn is_short(&self) -> bool {
        self.n_tokens <= 12
    }
}

#[derive(Deserialize)]
struct ReferenceWindow {
    start_byte: usize,
    end_byte: usize,
    ids: Vec<u32>,
    logits: Vec<f32>,
}

fn check(model: &Model, golden: &str, is_asked: impl Fn(&Reference) -> bool) {
    let (texts, references) = (texts(), read::<Reference>(golden));
    assert_eq!(texts.len(), references.len());
    assert!(references.iter().any(&is_asked));
    for (named, reference) in texts.iter().zip(&references) {
        assert_eq!(named.id, reference.id);
        if !is_asked(reference) {
            continue;
        }
        let encoded = encode(model, &named.text);
        assert_eq!(encoded.n_tokens, reference.n_tokens, "{}", named.id);
        assert_eq!(encoded.windows.len(), reference.windows.len(), "{}", named.id);
        let Logits(logits) = forward(model, &encoded.windows);
        for (row, (window, expected)) in encoded.windows.iter().zip(&reference.windows).enumerate()
        {
            let place = format!("{}, window {row}", named.id);
            assert_eq!(window.ids, expected.ids, "{place}");
            assert_eq!(window.bytes, expected.start_byte..expected.end_byte, "{place}");
            assert!(
                named.text.get(window.bytes.clone()).is_some(),
                "{place}: not whole characters"
            );
            for (column, (&ours, &theirs)) in
                logits.row(row).iter().zip(&expected.logits).enumerate()
            {
                // Both sides use f32 with different orders of summation in all layers. The tanh
                // approximation of GELU would differ by 3e-4 or more.
                let difference = (ours - theirs).abs();
                assert!(difference < 1e-4, "{place}, label {column}: {ours} for {theirs}");
            }
        }
    }
}

fn forward<'a>(model: &Model, windows: impl IntoIterator<Item = &'a Window>) -> Logits {
    model.replicas[0].forward(&Batch::pack(windows)).unwrap()
}

fn encode(model: &Model, text: &str) -> Encoded {
    let limits = Limits { max_texts: 1, max_chars: usize::MAX };
    model.tokenizer.encode(0, &Text::new(0, text.into(), &limits).unwrap()).unwrap()
}

fn texts() -> Vec<Named> {
    read("tests/golden/texts.jsonl")
}

fn read<T: for<'de> Deserialize<'de>>(path: &str) -> Vec<T> {
    let lines = std::fs::read_to_string(support::repo(path)).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
