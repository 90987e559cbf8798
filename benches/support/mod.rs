//! Shared by all benchmarks: the embedded model, and texts of an exact length.

use std::num::NonZero;

use moderato::model::Artifact;
use moderato::model::Dtype;
use moderato::model::HubSettings;
use moderato::model::LoadSettings;
use moderato::model::Model;
use moderato::model::Overrides;
use moderato::model::Placement;
use moderato::model::Source;
use moderato::text::Limits;
use moderato::text::Text;
use moderato::tokenize::Tokenizer;

/// Loads the embedded model, to run on [`n_threads`] threads.
pub(crate) fn model(dtype: Dtype) -> Model {
    let artifact = Artifact::open(&Source::Embedded, Overrides::default(), HubSettings::offline());
    let settings = LoadSettings {
        placement: Placement::Cpu,
        dtype,
        threads: n_threads(),
        replicas: 1,
        overlap: 64,
        normalise: true,
    };
    Model::load(artifact.expect("the embedded model is whole"), &settings)
        .expect("the embedded model loads")
}

/// Returns the number of compute threads, by the program's own rule: `MODERATO_THREADS`, else the
/// CPUs that the process may use.
pub(crate) fn n_threads() -> usize {
    #[expect(clippy::disallowed_methods, reason = "criterion takes no arguments but its own")]
    let wanted = std::env::var("MODERATO_THREADS");
    match wanted {
        Ok(number) => number.parse().expect("MODERATO_THREADS is a number"),
        Err(_) => std::thread::available_parallelism().map_or(1, NonZero::get),
    }
}

/// Returns a text of exactly `n_tokens` tokens, special tokens included.
pub(crate) fn text(tokenizer: &Tokenizer, n_tokens: usize) -> Text {
    let words: Vec<_> = SENTENCES.split_whitespace().cycle().take(n_tokens - N_SPECIAL).collect();
    let limits = Limits { max_texts: 1, max_chars: usize::MAX };
    let text = Text::new(0, words.join(" "), &limits).expect("it has words");
    let found = tokenizer.encode(0, &text).expect("plain words can be encoded");
    assert_eq!(found.n_tokens, n_tokens, "each word is one token of the embedded model");
    text
}

/// `[CLS]` and `[SEP]`.
const N_SPECIAL: usize = 2;

/// Everyday words without punctuation, each one token of BERT's English vocabulary.
const SENTENCES: &str = "\
    Good morning and thank you for the long letter about your garden \
    We have read it twice and my sister wants to know which apples you like best \
    The weather in the valley was cold last week but today the sun is out again \
    My father bought an old boat and he will paint it blue before the summer \
    Please tell the children that the train leaves at nine from the small station \
    They should bring warm coats and a book because the journey takes four hours \
    In the evening we can cook soup together and play music near the fire \
    Nobody here plays the piano very well and everyone will enjoy it anyway";
