//! The default model, compiled into the binary by the feature `embedded-model`.

use crate::error::Result;

/// Name of the default model in responses.
pub(super) const NAME: &str = "moderato-small";

/// Returns the contents of a file of the default model, or `None` if there is no such file.
pub(super) fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(other, _)| *other == name).map(|(_, bytes)| *bytes)
}

/// Returns an error if the model was left out of the binary.
#[cfg(feature = "embedded-model")]
#[expect(clippy::unnecessary_wraps, reason = "its reference below fails")]
pub(super) fn check() -> Result<()> {
    Ok(())
}

#[cfg(not(feature = "embedded-model"))]
pub(super) fn check() -> Result<()> {
    Err(crate::error::Error::Config {
        name: "model",
        reason:
            "this binary was built without the feature embedded-model; name a folder or ORG/NAME"
                .into(),
    })
}

#[cfg(feature = "embedded-model")]
const FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../models/moderato-small/config.json")),
    ("tokenizer.json", include_bytes!("../../models/moderato-small/tokenizer.json")),
    ("model.safetensors", include_bytes!("../../models/moderato-small/model.safetensors")),
    ("policy.toml", include_bytes!("../../models/moderato-small/policy.toml")),
    ("calibration.json", include_bytes!("../../models/moderato-small/calibration.json")),
    ("self_test.jsonl", include_bytes!("../../models/moderato-small/self_test.jsonl")),
];

#[cfg(not(feature = "embedded-model"))]
const FILES: &[(&str, &[u8])] = &[];
