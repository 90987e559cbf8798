//! The environment of the process, read in one place. An empty variable counts as unset, since
//! deployments often have no other way to unset it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

/// The environment variables of a process.
#[derive(Debug)]
pub(super) struct Environment(HashMap<OsString, OsString>);

impl Environment {
    /// Reads the variables of the current process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads them")]
    pub(super) fn from_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Returns the trimmed value of a variable; `None` if it is unset, blank or not UTF-8.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.get(OsStr::new(name))?.to_str()?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Returns a variable as a path, with a leading `~` replaced by the home folder.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        if self.is_blank(name) {
            return None;
        }
        let path = PathBuf::from(self.0.get(OsStr::new(name))?);
        match (path.strip_prefix("~"), self.home()) {
            (Ok(rest), Some(home)) => Some(home.join(rest)),
            _ => Some(path),
        }
    }

    /// Returns the home folder, from `HOME`.
    pub(super) fn home(&self) -> Option<&Path> {
        let home = Path::new(self.0.get(OsStr::new("HOME"))?);
        (!home.as_os_str().is_empty()).then_some(home)
    }

    /// Returns whether a value means true, by the rules of the hub's own clients.
    pub(super) fn is_true(value: &str) -> bool {
        ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
    }

    /// Returns whether a variable is set but empty or only white space.
    pub(super) fn is_blank(&self, name: impl AsRef<OsStr>) -> bool {
        let value = self.0.get(name.as_ref());
        value.is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty()))
    }

    /// Returns whether a variable is set and not blank.
    pub(super) fn is_set(&self, name: impl AsRef<OsStr>) -> bool {
        self.0.contains_key(name.as_ref()) && !self.is_blank(name)
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.map(|(name, value)| (name.into(), value.into())).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_an_unset_one_and_white_space_is_trimmed() {
        let environment = Environment::from([("EMPTY", ""), ("BLANK", " \n"), ("SET", " a b\r\n")]);
        for (name, text, is_blank) in [
            ("EMPTY", None, true),
            ("BLANK", None, true),
            ("SET", Some("a b"), false),
            ("UNSET", None, false),
        ] {
            assert_eq!(environment.text(name), text, "{name}");
            assert_eq!(environment.is_blank(name), is_blank, "{name}");
            assert_eq!(environment.is_set(name), text.is_some(), "{name}");
        }
    }

    #[test]
    fn a_tilde_is_the_home_folder_only_at_the_beginning_of_a_path() {
        for (value, expected) in [
            ("~", Some("/home/ann")),
            ("~/models", Some("/home/ann/models")),
            ("/a/~/b", Some("/a/~/b")),
            ("~ann/models", Some("~ann/models")),
            ("models", Some("models")),
            ("", None),
            ("  ", None),
        ] {
            let environment = Environment::from([("HOME", "/home/ann"), ("FOLDER", value)]);
            assert_eq!(environment.path("FOLDER"), expected.map(PathBuf::from), "{value:?}");
        }
        let homeless = Environment::from([("HOME", ""), ("FOLDER", "~/models")]);
        assert_eq!(homeless.path("FOLDER"), Some("~/models".into()));
    }

    #[test]
    fn yes_is_said_in_several_ways() {
        for yes in ["1", "true", "True", "TRUE", "yes", "on", "ON"] {
            assert!(Environment::is_true(yes), "{yes}");
        }
        for no in ["0", "false", "no", "off", "2", "truth"] {
            assert!(!Environment::is_true(no), "{no}");
        }
    }
}
