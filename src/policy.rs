//! The usage policy: its categories, what violates them and what to do then; read from `policy.toml`.

mod action;
mod benign;
mod namespace;
mod threshold;

use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

pub use self::action::Action;
pub use self::benign::benign_labels;
pub use self::namespace::Name;
pub use self::namespace::Namespace;
pub use self::namespace::Relation;
pub use self::threshold::Threshold;
use crate::error::Error;
use crate::error::Result;

/// A usage policy, as a platform writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// A short name; with the version it is what answers carry.
    pub id: String,
    /// The full name.
    pub name: String,
    /// Usually the date from which it is in force.
    pub version: String,
    /// Labels of the model that stand for no category.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_labels: Vec<String>,
    /// The categories, in the order of every answer.
    pub categories: Vec<Category>,
    /// How other services name what they judge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
}

/// One thing that the policy forbids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// How the API calls it.
    pub id: String,
    /// How the model calls it.
    pub label: String,
    /// How people call it.
    pub title: String,
    /// What it covers, in a sentence.
    pub summary: String,
    /// The score from which on it is violated.
    pub threshold: Threshold,
    /// What a violation asks for.
    pub action: Action,
    /// The clauses of the policy under it.
    pub clauses: Vec<Clause>,
}

/// One sentence of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Unique within its category.
    pub id: String,
    /// The sentence.
    pub text: String,
}

impl Policy {
    /// Reads `policy.toml`; `file` is named in errors.
    pub fn parse(file: &str, toml: &[u8]) -> Result<Self> {
        let fault = |expected: &str, found: String| Error::Artifact {
            file: file.into(),
            expected: expected.into(),
            found,
        };
        let toml = std::str::from_utf8(toml).map_err(|cause| fault("UTF-8", cause.to_string()))?;
        // The parser would keep CRLF in strings of several lines.
        let toml = toml.replace("\r\n", "\n");
        let policy: Self =
            toml::from_str(&toml).map_err(|cause| fault("a policy", describe(&cause, &toml)))?;
        policy.check(file)?;
        Ok(policy)
    }

    /// The policy of a model that brings none: a category per label, flagged from 0.5 on, but for
    /// labels that stand for no category.
    pub fn from_labels(labels: &[String], ignored_labels: Vec<String>) -> Self {
        let labels = labels.iter().filter(|label| !ignored_labels.contains(label));
        let categories = labels.map(|label| Category::from_label(label)).collect();
        Self {
            id: "model-labels".into(),
            name: "The labels of the model".into(),
            version: "0".into(),
            ignored_labels,
            categories,
            namespaces: Vec::new(),
        }
    }

    /// `id@version`, as answers carry it.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    /// The ids of the categories, in order.
    pub fn ids(&self) -> Vec<String> {
        self.categories.iter().map(|category| category.id.clone()).collect()
    }

    /// The place of a category.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.categories.iter().position(|category| category.id == id)
    }

    /// The names that a client expects which asks for this model; `None` stands for our own ids.
    pub fn namespace_for(&self, model: Option<&str>) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| model.is_some_and(|name| namespace.is_for(name)))
    }

    /// A namespace by its id.
    pub fn namespace(&self, id: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.id == id)
    }

    /// For each category the place of its label; every label must be used or ignored.
    pub fn columns(&self, file: &str, labels: &[String]) -> Result<Vec<usize>> {
        let columns = self.categories.iter().map(|category| {
            labels.iter().position(|label| *label == category.label).ok_or_else(|| {
                Error::Artifact {
                    file: file.into(),
                    expected: format!("labels of the model ({})", labels.join(", ")),
                    found: format!("label {:?} of category {:?}", category.label, category.id),
                }
            })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let forgotten = labels.iter().enumerate().find(|(column, label)| {
            !columns.contains(column) && !self.ignored_labels.contains(label)
        });
        match forgotten {
            Some((_, label)) => Err(Error::Artifact {
                file: file.into(),
                expected: "every label of the model in a category or in ignored_labels".into(),
                found: format!("label {label:?} in neither"),
            }),
            None => Ok(columns),
        }
    }

    fn check(&self, file: &str) -> Result<()> {
        let fault = |expected: &str, found: String| {
            Err(Error::Artifact { file: file.into(), expected: expected.into(), found })
        };
        if self.categories.is_empty() {
            return fault("at least one [[categories]]", "none".into());
        }
        let mut seen = HashSet::new();
        for category in &self.categories {
            for name in [format!("id {:?}", category.id), format!("label {:?}", category.label)] {
                if !seen.insert(name.clone()) {
                    return fault("each id and each label once", format!("{name} twice"));
                }
            }
            if category.id.is_empty() {
                return fault("a category id", "an empty one".into());
            }
            if category.action == Action::Allow {
                let found = format!("\"allow\" in category {:?}", category.id);
                return fault("an action of flag, support, block or report", found);
            }
        }
        namespace::check(&self.namespaces, &self.ids())
            .or_else(|(expected, found)| fault(expected, found))
    }
}

impl Category {
    fn from_label(label: &str) -> Self {
        Self {
            id: label.into(),
            label: label.into(),
            title: label.into(),
            summary: String::new(),
            threshold: Threshold::DEFAULT,
            action: Action::Flag,
            clauses: Vec::new(),
        }
    }
}

/// The parser's message in one line, with the line of the file that it is about.
fn describe(fault: &toml::de::Error, toml: &str) -> String {
    let before = fault.span().and_then(|span| toml.get(..span.start)).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    format!("{} at line {line}", fault.message().replace('\n', ", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = r#"
        id = "house-rules"
        name = "House rules"
        version = "1"
        ignored_labels = ["fine"]
        [[categories]]
        id = "spam"
        label = "SPAM"
        title = "Spam"
        summary = "Unwanted."
        threshold = 0.3
        action = "block"
        clauses = [{ id = "a", text = "No spam." }]
    "#;

    fn parse(toml: &str) -> Result<Policy> {
        Policy::parse("policy.toml", toml.as_bytes())
    }

    #[test]
    fn a_policy_is_read_as_written() {
        let policy = parse(TOML).unwrap();
        assert_eq!(policy.reference(), "house-rules@1");
        assert_eq!(policy.categories[0].action, Action::Block);
        assert!(policy.categories[0].threshold.is_violated_by(0.3));
        assert_eq!(policy.columns("f", &["fine".into(), "SPAM".into()]).unwrap(), [1]);
    }

    #[test]
    fn a_faulty_policy_is_refused_in_one_line_that_names_the_fault() {
        for (from, to, message) in [
            ("0.3", "1.3", "a threshold from 0 to 1, found 1.3"),
            ("block", "allow", "found \"allow\" in category \"spam\""),
            ("block", "sue", "unknown variant `sue`"),
            ("summary", "sumary", "unknown field `sumary`"),
            ("id = \"spam\"", "", "missing field `id`"),
            ("[[categories]]", "[[categories]", "policy.toml: expected a policy"),
        ] {
            let message_seen = parse(&TOML.replace(from, to)).unwrap_err().to_string();
            assert!(message_seen.contains(message), "{from} -> {to}: {message_seen}");
            assert_eq!(message_seen.lines().count(), 1, "{message_seen}");
        }
    }

    #[test]
    fn labels_of_the_model_and_of_the_policy_must_agree() {
        let policy = parse(TOML).unwrap();
        for (labels, message) in [
            (vec!["fine"], "found label \"SPAM\" of category \"spam\""),
            (vec!["SPAM", "fine", "rude"], "found label \"rude\" in neither"),
        ] {
            let labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
            let error = policy.columns("policy.toml", &labels).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
