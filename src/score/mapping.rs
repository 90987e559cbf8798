//! A policy held against the labels of a model: which columns of the head stand for what.

use crate::error::Error;
use crate::error::Result;
use crate::policy::Category;
use crate::policy::Name;
use crate::policy::Namespace;
use crate::policy::Policy;

/// A policy with the places of its labels in the head of one model.
#[derive(Debug)]
pub struct Mapping {
    pub(super) policy: Policy,
    pub(super) categories: Vec<CategoryColumns>, // in the order of the policy
    pub(super) namespaces: Vec<Vec<NameSources>>, // for each namespace, and each of its names
    unknown_sources: Vec<String>,
}

/// The places of the labels of a category.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CategoryColumns {
    pub(super) labels: Vec<usize>, // one at least
    pub(super) clauses: Vec<ClauseColumn>,
}

/// A clause with a label.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClauseColumn {
    pub(super) clause: usize, // its place in the category
    pub(super) label: usize,
}

/// What stands for a name of another service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NameSources {
    pub(super) sources: Vec<Source>,
    pub(super) combination: Combination,
}

/// A category of the policy or a label of the model, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Category(usize),
    Label(usize),
}

/// Which of several scores counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Combination {
    Highest,
    Lowest,
}

impl Mapping {
    /// Finds the labels of a policy among those of a model; `file` is that of the policy, named in
    /// errors.
    pub fn new(file: &str, policy: Policy, labels: &[String]) -> Result<Self> {
        let mut finder = Finder { file, policy: &policy, labels, unknown_sources: Vec::new() };
        let categories = policy.categories.iter().map(|category| finder.category(category));
        let categories = categories.collect::<Result<_>>()?;
        let mut names = |namespace: &Namespace| {
            namespace.names.iter().map(|name| finder.name(namespace, name)).collect()
        };
        let namespaces = policy.namespaces.iter().map(&mut names).collect();
        let unknown_sources = finder.unknown_sources;
        Ok(Self { policy, categories, namespaces, unknown_sources })
    }

    /// The policy itself.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What stands for a name in a namespace but is neither a category of the policy nor a label of
    /// the model, in words; it is left out.
    pub fn unknown_sources(&self) -> &[String] {
        &self.unknown_sources
    }

    /// Whether a clause, by the places of its category and its own, has a score.
    pub fn is_scored(&self, category: usize, clause: usize) -> bool {
        self.categories[category].clauses.iter().any(|column| column.clause == clause)
    }
}

struct Finder<'a> {
    file: &'a str,
    policy: &'a Policy,
    labels: &'a [String],
    unknown_sources: Vec<String>,
}

impl Finder<'_> {
    fn category(&self, category: &Category) -> Result<CategoryColumns> {
        let label = |label: &String| self.label(label, || format!("category {:?}", category.id));
        let labels = category.labels.iter().map(label).collect::<Result<_>>()?;
        let mut clauses = Vec::new();
        for (place, clause) in category.clauses.iter().enumerate() {
            let Some(label) = &clause.label else { continue };
            let of = || format!("clause {:?} of category {:?}", clause.id, category.id);
            clauses.push(ClauseColumn { clause: place, label: self.label(label, of)? });
        }
        Ok(CategoryColumns { labels, clauses })
    }

    fn label(&self, label: &str, of: impl FnOnce() -> String) -> Result<usize> {
        self.column(label).ok_or_else(|| Error::Artifact {
            file: self.file.into(),
            expected: format!("labels of the model ({})", self.labels.join(", ")),
            found: format!("label {label:?} of {}", of()),
        })
    }

    fn name(&mut self, namespace: &Namespace, name: &Name) -> NameSources {
        let mut sources = Vec::new();
        for source in name.sources() {
            let category = self.policy.position(source).map(Source::Category);
            match category.or_else(|| self.column(source).map(Source::Label)) {
                Some(found) => sources.push(found),
                None => self.unknown_sources.push(format!(
                    "{source:?} for {:?} in namespace {:?}",
                    name.name, namespace.id
                )),
            }
        }
        let combination =
            if name.all_of.is_empty() { Combination::Highest } else { Combination::Lowest };
        NameSources { sources, combination }
    }

    fn column(&self, label: &str) -> Option<usize> {
        self.labels.iter().position(|other| other == label)
    }
}
