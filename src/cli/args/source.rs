//! The arguments for the sources of models and policies.

use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

use crate::cli::args::list::split_list;
use crate::model::Source;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct SourceArgs {
    #[arg(long, env = "MODERATO_MODEL", value_name = "SOURCE", default_value = "embedded")]
    #[arg(
        help = "embedded, a folder, or ORG/NAME[@REVISION] of a Hugging Face hub; for serve also \
                  NAME=SOURCE, several times, of which the first is the default"
    )]
    pub(in crate::cli) model: Vec<SourceList>,
    /// A policy.toml to use instead of the model's own; the first of several is the default
    #[arg(long, env = "MODERATO_POLICY", value_name = "FILE")]
    pub(in crate::cli) policy: Vec<FileList>,
    /// A label that stands for harmless texts, where there is no policy; with several models,
    /// NAME=LABEL
    #[arg(long = "benign-label", env = "MODERATO_BENIGN_LABEL", value_name = "LABEL")]
    pub(in crate::cli) benign_labels: Vec<String>,
}

/// One source, or several with names, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct SourceList(Vec<NamedSource>);

/// `[NAME=]SOURCE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct NamedSource {
    pub(in crate::cli) name: Option<String>,
    pub(in crate::cli) source: Source,
}

/// One file, or several separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct FileList(Vec<PathBuf>);

impl SourceArgs {
    /// Returns all models, in order.
    pub(in crate::cli) fn models(&self) -> Vec<NamedSource> {
        self.model.iter().flat_map(|list| list.0.clone()).collect()
    }

    /// Returns all policies, in order.
    pub(in crate::cli) fn policies(&self) -> Vec<PathBuf> {
        self.policy.iter().flat_map(|list| list.0.clone()).collect()
    }
}

impl FromStr for SourceList {
    type Err = String;

    /// Splits at commas, but not within the name of an existing folder.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = split_list(text, |part| {
            let named = part.split_once('=').filter(|(name, _)| is_name(name));
            Path::new(part).exists() || named.is_some_and(|(_, path)| Path::new(path).exists())
        });
        if let [only] = parts.as_slice() {
            return Ok(Self(vec![only.parse()?]));
        }
        let tried = |fault| format!("no such folder; read as a list separated by commas: {fault}");
        let sources: Vec<NamedSource> =
            parts.iter().map(|part| part.parse()).collect::<Result<_, _>>().map_err(tried)?;
        match sources.iter().zip(parts).find(|(source, _)| source.name.is_none()) {
            None => Ok(Self(sources)),
            Some((_, part)) => {
                let fault = format!(
                    "of several models, each needs a name: expected NAME=SOURCE, found {part}"
                );
                Err(tried(fault))
            }
        }
    }
}

impl FromStr for NamedSource {
    type Err = String;

    /// Takes text that names an existing path as a folder. Otherwise the part before the first `=`
    /// is the model's name, if it is a valid one; paths and repository names, which contain a
    /// slash, are not.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = text.split_once('=').filter(|(name, _)| is_name(name));
        let Some((name, source)) = named.filter(|_| !Path::new(text).exists()) else {
            return Ok(Self { name: None, source: text.parse()? });
        };
        let tried = |fault| format!("no such folder; read as a model called {name}: {fault}");
        Ok(Self { name: Some(name.to_owned()), source: source.parse().map_err(tried)? })
    }
}

impl FromStr for FileList {
    type Err = String;

    /// Splits at commas, but not within the name of an existing file.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = split_list(text, |part| Path::new(part).exists());
        match parts.iter().find(|part| !Path::new(part).exists()) {
            Some(missing) if parts.len() > 1 => Err(format!(
                "no such file; read as a list separated by commas: no such file: {missing}"
            )),
            // A single file that is missing is reported when it is read.
            _ => Ok(Self(parts.into_iter().map(PathBuf::from).collect())),
        }
    }
}

/// Returns whether a model name is valid: letters, digits and `._-`, starting with a letter or
/// digit.
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

    #[test]
    fn what_exists_is_a_folder_whatever_its_name_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["a=b", "a,b", "a@b", "a", "x=a,y=b@c"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        for (text, expected) in [
            (path("a=b"), vec![(None, path("a=b"))]),
            (path("a,b"), vec![(None, path("a,b"))]),
            (path("a@b"), vec![(None, path("a@b"))]),
            (path("x=a,y=b@c"), vec![(None, path("x=a,y=b@c"))]),
            (format!("x={}", path("a=b")), vec![(Some("x"), path("a=b"))]),
            (format!("x={}", path("a,b")), vec![(Some("x"), path("a,b"))]),
            (
                format!("x={},y={},z=embedded", path("a,b"), path("a@b")),
                vec![
                    (Some("x"), path("a,b")),
                    (Some("y"), path("a@b")),
                    (Some("z"), "embedded".into()),
                ],
            ),
            (
                format!("x={},y=org/name@v1", path("a")),
                vec![(Some("x"), path("a")), (Some("y"), "org/name@v1".into())],
            ),
        ] {
            let SourceList(sources) = text.parse().unwrap();
            let given = sources.iter().map(|it| (it.name.as_deref(), it.source.to_string()));
            assert_eq!(given.collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn a_path_that_is_missing_is_refused_with_every_reading_that_was_tried() {
        for (text, fault) in [
            ("nowhere", "no such folder and not ORG/NAME[@REVISION]: nowhere"),
            ("no@where", "no such folder and not ORG/NAME[@REVISION]: no@where"),
            (
                "no=where",
                "no such folder; read as a model called no: no such folder and not \
                 ORG/NAME[@REVISION]: where",
            ),
            (
                "./no,where",
                "no such folder; read as a list separated by commas: no such folder and not \
                 ORG/NAME[@REVISION]: where",
            ),
            (
                "./no,where/else",
                "no such folder; read as a list separated by commas: of several models, each \
                 needs a name: expected NAME=SOURCE, found ./no",
            ),
        ] {
            assert_eq!(text.parse::<SourceList>().unwrap_err(), fault, "{text}");
        }
    }

    #[test]
    fn the_name_of_a_policy_file_may_hold_a_comma() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one.toml", "one,other.toml"].map(|name| folder.path().join(name));
        for path in [&one, &other] {
            std::fs::write(path, "").unwrap();
        }
        let files = |text: String| text.parse::<FileList>().map(|FileList(files)| files);
        assert_eq!(files(other.display().to_string()).unwrap(), std::slice::from_ref(&other));
        let both = format!("{},{}", one.display(), other.display());
        assert_eq!(files(both).unwrap(), [one.clone(), other]);
        assert_eq!(files("nowhere.toml".into()).unwrap(), [PathBuf::from("nowhere.toml")]);
        let fault = files(format!("{},nowhere.toml", one.display())).unwrap_err();
        assert!(fault.ends_with("separated by commas: no such file: nowhere.toml"), "{fault}");
    }
}
