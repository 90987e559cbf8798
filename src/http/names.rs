//! Names of other services, as answers carry them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::policy::Name;
use crate::policy::Threshold;

/// What another service judges, and what stands for it here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NameEntry {
    /// How the service calls it.
    name: String,
    /// How near our categories come to it.
    relation: Relation,
    /// Ids of categories, or labels of the model, of which the highest score counts; any violation
    /// violates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    from: Vec<String>,
    /// The same, of which the lowest score counts; all must be violated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    all_of: Vec<String>,
    /// The score from which on it is violated, in place of the thresholds of what stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    threshold: Option<Threshold>,
}

/// How near our categories come to what another service judges.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Relation {
    /// They mean the same.
    Exact,
    /// They overlap.
    Partly,
    /// It is a kind of what they mean, and has their score: no judgement of its own.
    Derived,
    /// Nothing stands for it: its score is 0.
    Uncovered,
}

impl NameEntry {
    pub(super) fn new(name: &Name) -> Self {
        Self {
            name: name.name.clone(),
            relation: name.relation.into(),
            from: name.from.clone(),
            all_of: name.all_of.clone(),
            threshold: name.threshold,
        }
    }
}

impl From<crate::policy::Relation> for Relation {
    fn from(relation: crate::policy::Relation) -> Self {
        match relation {
            crate::policy::Relation::Exact => Self::Exact,
            crate::policy::Relation::Partly => Self::Partly,
            crate::policy::Relation::Derived => Self::Derived,
            crate::policy::Relation::Uncovered => Self::Uncovered,
        }
    }
}
