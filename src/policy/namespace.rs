//! How other services call what they judge, and what stands for it here.

use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;

use crate::policy::Threshold;

/// The names that the clients of another service expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// How it is called here.
    pub id: String,
    /// Names of models that ask for it; a `*` at the end stands for anything.
    #[serde(default)]
    pub models: Vec<String>,
    /// Its names, in the order of its answers.
    pub names: Vec<Name>,
}

/// What another service judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// How the service calls it.
    pub name: String,
    /// How near our categories come to it.
    pub relation: Relation,
    /// Ids of categories, or labels of the model, of which the highest score counts; any violation
    /// violates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// The same, of which the lowest score counts; all must be violated. In place of `from`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all_of: Vec<String>,
    /// The score from which on it is violated, in place of the thresholds of what stands for it. A
    /// label has that of the first category with that label, and without one violates nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
}

/// How near our categories come to what another service judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// They mean the same.
    Exact,
    /// They overlap.
    Partly,
    /// It is a kind of what they mean, and has their score: no judgement of its own.
    Derived,
    /// Nothing stands for it: its score is 0.
    Uncovered,
}

impl Namespace {
    /// Whether a client that asks for this model expects these names.
    pub(super) fn is_for(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == pattern,
        })
    }

    /// Names in a relation.
    pub fn names_in(&self, relation: Relation) -> Vec<String> {
        let names = self.names.iter().filter(|name| name.relation == relation);
        names.map(|name| name.name.clone()).collect()
    }
}

impl Name {
    /// What stands for it: ids of categories, or labels of the model.
    pub fn sources(&self) -> impl Iterator<Item = &String> {
        self.from.iter().chain(&self.all_of)
    }
}

/// Holds namespaces against each other; a fault is what was expected and what was found.
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
