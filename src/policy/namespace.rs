//! How other services call what they judge, and which of our categories stand for it.

use std::collections::HashSet;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// The names that the clients of another service expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// How the service calls it.
    pub name: String,
    /// How near our categories come to it.
    pub relation: Relation,
    /// Ids of the categories that stand for it: the highest score counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
}

/// How near our categories come to what another service judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

    /// Those of our categories that no name stands for.
    pub fn left_out(&self, ids: Vec<String>) -> Vec<String> {
        let named: HashSet<_> = self.names.iter().flat_map(|name| &name.from).collect();
        ids.into_iter().filter(|id| !named.contains(id)).collect()
    }
}

/// Holds namespaces against the categories; a fault is what was expected and what was found.
pub(super) fn check(
    namespaces: &[Namespace],
    ids: &[String],
) -> Result<(), (&'static str, String)> {
    let mut seen = HashSet::new();
    for Namespace { id, names, .. } in namespaces {
        if !seen.insert((id, None)) {
            return Err(("each namespace once", format!("{id:?} twice")));
        }
        for Name { name, relation, from } in names {
            if !seen.insert((id, Some(name))) {
                return Err(("each name of a namespace once", format!("{name:?} twice in {id:?}")));
            }
            if let Some(unknown) = from.iter().find(|category| !ids.contains(category)) {
                let found = format!("{unknown:?} for {name:?} in namespace {id:?}");
                return Err(("ids of categories", found));
            }
            if from.is_empty() != (*relation == Relation::Uncovered) {
                let found = format!("{name:?} in namespace {id:?}");
                return Err(("categories for each name, unless it is uncovered", found));
            }
        }
    }
    Ok(())
}
