//! The usage policy: its categories, their thresholds and actions; read from `policy.toml`.

mod action;
mod benign;
mod category;
mod namespace;
mod threshold;

use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;

pub use self::action::Action;
pub use self::benign::benign_labels;
pub use self::category::Category;
pub use self::category::Clause;
pub use self::namespace::Name;
pub use self::namespace::Namespace;
pub use self::namespace::Relation;
pub use self::threshold::Threshold;
use crate::error::Error;
use crate::error::Result;

/// A usage policy, as written by a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The short name; responses carry it together with the version.
    pub id: String,
    /// The full name.
    pub name: String,
    /// The version, usually the date from which the policy is in force.
    pub version: String,
    /// Labels of the model that belong to no category.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_labels: Vec<String>,
    /// The categories, in the order of every response.
    pub categories: Vec<Category>,
    /// The category names of other services, mapped to this policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
}

impl Policy {
    /// Parses and checks `policy.toml`; `file` is named in errors.
    pub fn parse(file: &str, toml: &[u8]) -> Result<Self> {
        let fault = |expected: &str, found: String| Error::Artifact {
            file: file.into(),
            expected: expected.into(),
            found,
        };
        let toml = std::str::from_utf8(toml).map_err(|cause| fault("UTF-8", cause.to_string()))?;
        // The parser would keep CRLF in multi-line strings.
        let toml = toml.replace("\r\n", "\n");
        let policy: Self =
            toml::from_str(&toml).map_err(|cause| fault("a policy", describe(&cause, &toml)))?;
        policy.check(file)?;
        Ok(policy)
    }

    /// Creates the policy of a model without one: a category per label, flagged from 0.5 on, except
    /// for the ignored labels.
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

    /// Returns `id@version`, as reported in responses.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    /// Returns the ids of the categories, in order.
    pub fn ids(&self) -> Vec<String> {
        self.categories.iter().map(|category| category.id.clone()).collect()
    }

    /// Returns the index of the category with this id.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.categories.iter().position(|category| category.id == id)
    }

    /// Returns the namespace for clients that request this model, with or without a vendor prefix;
    /// `None` means the ids of this policy.
    pub fn namespace_for(&self, model: Option<&str>) -> Option<&Namespace> {
        let is_for = |namespace: &&Namespace| {
            model.is_some_and(|name| {
                let without_vendor = name.split_once('/').map_or(name, |(_vendor, name)| name);
                namespace.is_for(name) || namespace.is_for(without_vendor)
            })
        };
        self.namespaces.iter().find(is_for)
    }

    /// Returns the namespace with this id.
    pub fn namespace(&self, id: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.id == id)
    }

    fn check(&self, file: &str) -> Result<()> {
        let fault = |expected: &str, found: String| {
            Err(Error::Artifact { file: file.into(), expected: expected.into(), found })
        };
        if self.categories.is_empty() {
            return fault("at least one [[categories]]", "none".into());
        }
        let mut ids = HashSet::new();
        for category in &self.categories {
            if !ids.insert(&category.id) {
                return fault("each id once", format!("id {:?} twice", category.id));
            }
            if let Some(label) = first_duplicate(&category.labels) {
                let found = format!("label {label:?} twice in category {:?}", category.id);
                return fault("each label of a category once", found);
            }
            let repeated = category.clauses.iter().find_map(|clause| {
                first_duplicate(&clause.labels).map(|label| (&clause.id, label))
            });
            if let Some((id, label)) = repeated {
                let found = format!("label {label:?} twice in clause {id:?}");
                return fault("each label of a clause once", found);
            }
            let scored = category.clauses.iter().filter(|clause| !clause.labels.is_empty());
            if let Some(id) = first_duplicate(scored.map(|clause| &clause.id)) {
                let found = format!("{id:?} twice in category {:?}", category.id);
                return fault("each clause with a label once in its category", found);
            }
            if category.id.is_empty() {
                return fault("a category id", "an empty one".into());
            }
            if category.action == Action::Allow {
                let found = format!("\"allow\" in category {:?}", category.id);
                return fault("an action of flag, support, block or report", found);
            }
        }
        namespace::check(&self.namespaces).or_else(|(expected, found)| fault(expected, found))
    }
}

/// Returns the first name that occurs a second time.
fn first_duplicate<'a>(names: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// Formats a parser error on one line, with the line number in the file.
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
        assert_eq!(policy.categories[0].labels, ["SPAM"]);
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
            ("threshold = 0.3", "threshold = true", "at line 11"),
            ("id = \"spam\"", "id = \"\"", "expected a category id, found an empty one"),
            ("id = \"a\", text", "id = \"a\", txt", "unknown field `txt`"),
        ] {
            let message_seen = parse(&TOML.replace(from, to)).unwrap_err().to_string();
            assert!(message_seen.contains(message), "{from} -> {to}: {message_seen}");
            assert_eq!(message_seen.lines().count(), 1, "{message_seen}");
        }
    }

    #[test]
    fn ids_are_there_and_each_once() {
        let categories = TOML.find("[[categories]]").unwrap();
        for (toml, message) in [
            (format!("{}categories = []", &TOML[..categories]), "at least one [[categories]]"),
            (
                format!("{TOML}{}", &TOML[categories..]),
                "expected each id once, found id \"spam\" twice",
            ),
            (
                format!("{TOML}{}", THEIRS.repeat(2)),
                "expected each namespace once, found \"theirs\"",
            ),
            (
                format!("{TOML}{}", THEIRS.replace("\"b\"", "\"a\"")),
                "expected each name of a namespace once, found \"a\" twice in \"theirs\"",
            ),
        ] {
            let fault = parse(&toml).unwrap_err().to_string();
            assert!(fault.contains(message), "{fault}");
        }
    }

    #[test]
    fn a_namespace_is_found_by_its_id_and_by_the_models_that_ask_for_it() {
        let policy = parse(&format!("{TOML}{THEIRS}")).unwrap();
        for (model, is_found) in [
            (Some("their-latest"), true),
            (Some("their-"), true),
            (Some("exact"), true),
            (Some("vendor/exact"), true),
            (Some("exactly"), false),
            (Some("other"), false),
            (None, false),
        ] {
            assert_eq!(policy.namespace_for(model).is_some(), is_found, "{model:?}");
        }
        let theirs = policy.namespace("theirs").unwrap();
        assert_eq!(theirs.names_in(Relation::Derived), ["b"]);
        assert!(policy.namespace("ours").is_none());
        assert_eq!((policy.position("spam"), policy.position("ham")), (Some(0), None));
        assert_eq!(policy.ids(), ["spam"]);
    }

    const THEIRS: &str = r#"
        [[namespaces]]
        id = "theirs"
        models = ["their-*", "exact"]
        names = [
            { name = "a", relation = "exact", from = ["spam"] },
            { name = "b", relation = "derived", from = ["spam"] },
        ]
    "#;

    #[test]
    fn a_category_has_one_label_or_several() {
        let several = TOML.replace("label = \"SPAM\"", "labels = [\"SPAM\", \"ADS\"]");
        assert_eq!(parse(&several).unwrap().categories[0].labels, ["SPAM", "ADS"]);
        for (labels, found) in [
            ("", "found neither"),
            ("labels = []", "found no label in labels"),
            ("label = \"SPAM\"\nlabels = [\"ADS\"]", "found both"),
            ("labels = [\"ADS\", \"ADS\"]", "label \"ADS\" twice in category \"spam\""),
        ] {
            let fault = parse(&TOML.replace("label = \"SPAM\"", labels)).unwrap_err().to_string();
            assert!(fault.contains(found), "{labels}: {fault}");
        }
    }

    #[test]
    fn a_policy_that_is_written_is_read_as_the_same() {
        let several = TOML.replace("label = \"SPAM\"", "labels = [\"SPAM\", \"ADS\"]");
        let clause = |labels: &str| {
            several.replace("text = \"No spam.\"", &format!("text = \"No spam.\", {labels}"))
        };
        let clauses = ["label = \"ADS\"", "labels = [\"ADS\", \"SPAM\"]"].map(clause);
        for toml in [TOML, &several, &clauses[0], &clauses[1]] {
            let policy = parse(toml).unwrap();
            assert_eq!(parse(&toml::to_string_pretty(&policy).unwrap()).unwrap(), policy);
        }
    }

    #[test]
    fn clauses_with_a_label_have_ids_of_their_own() {
        let clauses = |second: &str| {
            TOML.replace("\"No spam.\" }]", &format!("\"No spam.\", label = \"x\" }}, {second}]"))
        };
        let fault = parse(&clauses("{ id = \"a\", text = \"\", label = \"y\" }")).unwrap_err();
        assert!(fault.to_string().contains("\"a\" twice in category \"spam\""), "{fault}");
        let fault = parse(&clauses("{ id = \"b\", text = \"\", labels = [\"y\", \"y\"] }"));
        let fault = fault.unwrap_err().to_string();
        assert!(fault.contains("label \"y\" twice in clause \"b\""), "{fault}");
        parse(&clauses("{ id = \"b\", text = \"\", labels = [\"y\", \"z\"] }")).unwrap();
        parse(&clauses("{ id = \"a\", text = \"\" }")).unwrap();
    }

    #[test]
    fn names_have_something_that_stands_for_them_one_way() {
        for (sources, found) in [
            ("relation = \"partly\"", "found \"x\" in namespace \"theirs\""),
            ("relation = \"uncovered\", from = [\"spam\"]", "found \"x\" in namespace"),
            (
                "relation = \"uncovered\", threshold = 0.0",
                "no threshold for a name that is uncovered",
            ),
            ("relation = \"exact\", from = [\"spam\"], all_of = [\"b\"]", "found both for \"x\""),
        ] {
            let names =
                format!("[[namespaces]]\nid = \"theirs\"\nnames = [{{ name = \"x\", {sources} }}]");
            let fault = parse(&format!("{TOML}{names}")).unwrap_err().to_string();
            assert!(fault.contains(found), "{sources}: {fault}");
        }
    }
}
