//! Where models and policies come from.

use std::path::PathBuf;
use std::str::FromStr;

use crate::model::Source;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct SourceArgs {
    #[arg(long, env = "MODERATO_MODEL", value_name = "SOURCE", default_value = "embedded")]
    #[arg(value_delimiter = ',')]
    #[arg(
        help = "embedded, a folder, or ORG/NAME[@REVISION] of a Hugging Face hub; for serve also \
                  NAME=SOURCE, several times, of which the first is the default"
    )]
    pub(in crate::cli) model: Vec<NamedSource>,
    /// A policy.toml to use instead of the model's own; of several the first is the default
    #[arg(long, env = "MODERATO_POLICY", value_name = "FILE", value_delimiter = ',')]
    pub(in crate::cli) policy: Vec<PathBuf>,
    /// A label that stands for harmless texts, where there is no policy; of several models
    /// NAME=LABEL
    #[arg(long = "benign-label", env = "MODERATO_BENIGN_LABEL", value_name = "LABEL")]
    pub(in crate::cli) benign_labels: Vec<String>,
}

/// `[NAME=]SOURCE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct NamedSource {
    pub(in crate::cli) name: Option<String>,
    pub(in crate::cli) source: Source,
}

impl FromStr for NamedSource {
    type Err = String;

    /// What stands before the first `=` is a name if it could be one: neither a path nor the name
    /// of a repository could.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = text.split_once('=').filter(|(name, _)| is_name(name));
        let (name, source) = match named {
            Some((name, source)) => (Some(name.to_owned()), source),
            None => (None, text),
        };
        Ok(Self { name, source: source.parse()? })
    }
}

/// Letters, digits and `._-`, of which the first is none of the latter.
fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_before_the_equals_sign_and_a_path_may_have_one() {
        for (text, name, source) in [
            ("embedded", None, "embedded"),
            ("fast=embedded", Some("fast"), "embedded"),
            ("my-2.b=org/name@v1", Some("my-2.b"), "org/name@v1"),
            ("./a=b", None, "./a=b"),
            ("/models/a=b", None, "/models/a=b"),
            ("x=/models/a=b", Some("x"), "/models/a=b"),
        ] {
            let parsed: NamedSource = text.parse().unwrap();
            assert_eq!(parsed.name.as_deref(), name, "{text}");
            assert_eq!(parsed.source, source.parse().unwrap(), "{text}");
        }
        assert!("x=".parse::<NamedSource>().is_err());
    }
}
