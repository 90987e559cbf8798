//! The category names of other services, and the categories or labels that they map to.

use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;

use crate::policy::Threshold;

/// The names that the clients of another service expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The identifier of the namespace.
    pub id: String,
    /// The model names that select this namespace; a trailing `*` matches any suffix.
    #[serde(default)]
    pub models: Vec<String>,
    /// The names, in the order of the service's responses.
    pub names: Vec<Name>,
}

/// A category name of another service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The name that the service uses.
    pub name: String,
    /// How closely our categories match the name.
    pub relation: Relation,
    /// Ids of categories or labels of the model, of which the highest score counts; any violation
    /// violates the name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// An alternative to `from`, of which the lowest score counts; all sources must be violated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all_of: Vec<String>,
    /// The lowest score that violates the name, in place of the thresholds of its sources. Without
    /// it, a label has the threshold of the first category with that label, or is never violated if
    /// there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
}

/// How closely our categories match a name of another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// The meanings are the same.
    Exact,
    /// The meanings overlap.
    Partly,
    /// The name is a special case of the categories and has their score, without a judgement of its
    /// own.
    Derived,
    /// The name has no source: its score is 0.
    Uncovered,
}

impl Namespace {
    /// Returns whether clients that request this model expect these names.
    pub(super) fn is_for(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == pattern,
        })
    }

    /// Returns the names with this relation.
    pub fn names_in(&self, relation: Relation) -> Vec<String> {
        let names = self.names.iter().filter(|name| name.relation == relation);
        names.map(|name| name.name.clone()).collect()
    }
}

impl Name {
    /// Returns the sources of the name: ids of categories, or labels of the model.
    pub fn sources(&self) -> impl Iterator<Item = &String> {
        self.from.iter().chain(&self.all_of)
    }
}

/// Checks namespaces for duplicates and inconsistent names; an error is a pair of what was expected
/// and what was found.
pub(super) fn check(namespaces: &[Namespace]) -> Result<(), (&'static str, String)> {
    let mut seen = HashSet::new();
    for Namespace { id, names, .. } in namespaces {
        if !seen.insert((id, None)) {
            return Err(("each namespace once", format!("{id:?} twice")));
        }
        for name in names {
            if !seen.insert((id, Some(&name.name))) {
                let found = format!("{:?} twice in {id:?}", name.name);
                return Err(("each name of a namespace once", found));
            }
            let found = || format!("{:?} in namespace {id:?}", name.name);
            if !name.from.is_empty() && !name.all_of.is_empty() {
                return Err(("either from or all_of", format!("both for {}", found())));
            }
            let is_uncovered = name.relation == Relation::Uncovered;
            if name.sources().next().is_none() != is_uncovered {
                return Err(("from or all_of for each name, unless it is uncovered", found()));
            }
            if is_uncovered && name.threshold.is_some() {
                return Err(("no threshold for a name that is uncovered", found()));
            }
        }
    }
    Ok(())
}
