//! A policy resolved against a model's labels: the head columns behind each category, clause and
//! name.

use crate::error::Error;
use crate::error::Result;
use crate::policy::Category;
use crate::policy::Name;
use crate::policy::Namespace;
use crate::policy::Policy;

/// A policy with the column indices of its labels in the head of one model.
#[derive(Debug)]
pub struct Mapping {
    pub(super) policy: Policy,
    pub(super) categories: Vec<CategoryColumns>, // in the order of the policy
    pub(super) namespaces: Vec<Vec<NameSources>>, // (namespace, name)
    unknown_sources: Vec<String>,
    unused_labels: Vec<String>,
}

/// The head columns of a category's labels and clauses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CategoryColumns {
    pub(super) labels: Vec<usize>, // at least one
    pub(super) clauses: Vec<ClauseColumns>,
}

/// The head columns of a clause that has labels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClauseColumns {
    pub(super) clause: usize,      // index in the category
    pub(super) labels: Vec<usize>, // at least one
}

/// The sources of a name of another service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NameSources {
    pub(super) sources: Vec<Source>,
    pub(super) combination: Combination,
}

/// A category of the policy or a label of the model, by index; or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Category(usize),
    Label(usize),
    Unknown,
}

/// The score that counts among those of several sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Combination {
    Highest,
    Lowest,
}

impl Mapping {
    /// Resolves the labels of a policy against those of a model. A label that the model does not
    /// have is an error, which names `file` as the file of the policy.
    pub fn new(file: &str, policy: Policy, labels: &[String]) -> Result<Self> {
        let mut resolver = Resolver { file, policy: &policy, labels, unknown_sources: Vec::new() };
        let categories = policy.categories.iter().map(|category| resolver.category(category));
        let categories = categories.collect::<Result<Vec<_>>>()?;
        let mut names = |namespace: &Namespace| {
            namespace.names.iter().map(|name| resolver.name(namespace, name)).collect()
        };
        let namespaces: Vec<Vec<_>> = policy.namespaces.iter().map(&mut names).collect();
        let unknown_sources = resolver.unknown_sources;
        let is_used = |(column, label): &(usize, &String)| {
            categories.iter().any(|category| category.uses(*column))
                || namespaces.iter().flatten().any(|name| name.uses(*column))
                || policy.ignored_labels.contains(label)
        };
        let unused = labels.iter().enumerate().filter(|entry| !is_used(entry));
        let unused_labels = unused.map(|(_, label)| label.clone()).collect();
        Ok(Self { policy, categories, namespaces, unknown_sources, unused_labels })
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns a description of each source of a name that is neither a category of the policy nor
    /// a label of the model; such a source scores 0.
    pub fn unknown_sources(&self) -> &[String] {
        &self.unknown_sources
    }

    /// Returns the indices of the categories with this label.
    pub(super) fn categories_with(&self, label: usize) -> impl Iterator<Item = usize> {
        let categories = self.categories.iter().enumerate();
        categories.filter(move |(_, it)| it.labels.contains(&label)).map(|(index, _)| index)
    }

    /// Returns the labels of the model that no category, clause or name uses and that are not
    /// ignored.
    pub fn unused_labels(&self) -> &[String] {
        &self.unused_labels
    }

    /// Returns the names that have no known source, in the namespace with this index in the policy.
    pub fn uncovered(&self, namespace: usize) -> Vec<String> {
        let names =
            std::iter::zip(&self.policy.namespaces[namespace].names, &self.namespaces[namespace]);
        let uncovered = names.filter(|(_, sources)| sources.is_empty());
        uncovered.map(|(name, _)| name.name.clone()).collect()
    }

    /// Returns the categories that no name of a namespace maps to, neither directly nor through one
    /// of their labels; `namespace` is its index in the policy.
    pub fn left_out(&self, namespace: usize) -> Vec<String> {
        let is_named = |category: usize| {
            let labels = &self.categories[category].labels;
            self.namespaces[namespace].iter().any(|name| {
                name.sources.contains(&Source::Category(category))
                    || labels.iter().any(|&label| name.uses(label))
            })
        };
        let categories = self.policy.categories.iter().enumerate();
        let left_out = categories.filter(|(index, _)| !is_named(*index));
        left_out.map(|(_, category)| category.id.clone()).collect()
    }
}

impl CategoryColumns {
    fn uses(&self, column: usize) -> bool {
        let in_clause = |clause: &ClauseColumns| clause.labels.contains(&column);
        self.labels.contains(&column) || self.clauses.iter().any(in_clause)
    }
}

impl NameSources {
    fn uses(&self, column: usize) -> bool {
        self.sources.contains(&Source::Label(column))
    }

    /// Returns whether the name has no known source.
    pub(super) fn is_empty(&self) -> bool {
        self.sources.iter().all(|source| *source == Source::Unknown)
    }
}

struct Resolver<'a> {
    file: &'a str,
    policy: &'a Policy,
    labels: &'a [String],
    unknown_sources: Vec<String>,
}

impl Resolver<'_> {
    fn category(&self, category: &Category) -> Result<CategoryColumns> {
        let label = |label: &String| self.label(label, || format!("category {:?}", category.id));
        let labels = category.labels.iter().map(label).collect::<Result<_>>()?;
        let mut clauses = Vec::new();
        for (index, clause) in category.clauses.iter().enumerate() {
            let of = || format!("clause {:?} of category {:?}", clause.id, category.id);
            let labels = clause.labels.iter().map(|label| self.label(label, of));
            clauses.push(ClauseColumns { clause: index, labels: labels.collect::<Result<_>>()? });
        }
        clauses.retain(|clause| !clause.labels.is_empty());
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
            let found = category.or_else(|| self.column(source).map(Source::Label));
            if found.is_none() {
                let of = format!("{:?} in namespace {:?}", name.name, namespace.id);
                self.unknown_sources.push(format!("{source:?} for {of}"));
            }
            sources.push(found.unwrap_or(Source::Unknown));
        }
        let combination =
            if name.all_of.is_empty() { Combination::Highest } else { Combination::Lowest };
        NameSources { sources, combination }
    }

    fn column(&self, label: &str) -> Option<usize> {
        self.labels.iter().position(|other| other == label)
    }
}
