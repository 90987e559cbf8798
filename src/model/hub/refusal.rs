//! What the faults of the hub's client mean, and what to do about them.

use std::error::Error as StdError;
use std::path::PathBuf;

use hf_hub::HFError;

/// Where a model is looked for.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) endpoint: String,
    pub(super) cache: PathBuf,
    pub(super) repo: String,
}

/// The cause and its remedy, where the client's own words do not tell them.
pub(super) fn explain(fault: &HFError, place: &Place) -> Option<String> {
    if let HFError::Io(fault) = fault {
        return Some(format!(
            "the cache {} cannot be used ({fault}); HF_HOME or HF_HUB_CACHE names another folder",
            place.cache.display()
        ));
    }
    missing(fault, place).or_else(|| refused(fault, place))
}

/// The same for the first file: what is not on the hub may have been meant as a folder.
pub(super) fn explain_first(fault: &HFError, place: &Place) -> Option<String> {
    let (repo, cache) = (&place.repo, place.cache.display());
    match fault {
        HFError::LocalEntryNotFound { .. } => {
            Some(format!("not found in local cache {cache}, nor is there a folder {repo} here"))
        }
        HFError::Request { .. } | HFError::Other(_) => {
            Some(format!("{}; nor is there a folder {repo} here", with_cause(fault)))
        }
        _ => explain(fault, place),
    }
}

/// Whether the fault is that of a hub which may well have what was asked for.
pub(super) fn is_away(fault: &HFError) -> bool {
    match fault {
        HFError::Request { .. } | HFError::RateLimited { .. } | HFError::Other(_) => true,
        HFError::Http { context } => context.status.is_server_error(),
        _ => false,
    }
}

/// The host that answered with a status of refusal.
pub(super) fn host_of(fault: &HFError) -> Option<&str> {
    match fault {
        HFError::Http { context }
        | HFError::AuthRequired { context }
        | HFError::Forbidden { context }
        | HFError::RateLimited { context, .. } => host(&context.url),
        _ => None,
    }
}

/// What is missing, if the hub says that something is; the client always blames the file.
fn missing(fault: &HFError, place: &Place) -> Option<String> {
    let code = match fault {
        HFError::EntryNotFound { context: Some(context), .. }
        | HFError::AuthRequired { context } => context.error_code.as_deref(),
        HFError::EntryNotFound { context: None, .. } => return Some("no such file".into()),
        _ => None,
    };
    let no_repo = format!("no such repository (nor a folder {} here)", place.repo);
    match (code?, fault) {
        ("EntryNotFound", _) => Some("no such file".into()),
        ("RevisionNotFound", _) => Some("no such revision".into()),
        ("RepoNotFound", HFError::AuthRequired { .. }) => {
            Some(format!("{no_repo}, or HF_TOKEN is needed"))
        }
        ("RepoNotFound", _) => Some(no_repo),
        _ => None,
    }
}

/// Who refuses what is there.
fn refused(fault: &HFError, Place { endpoint, repo, .. }: &Place) -> Option<String> {
    let (HFError::Forbidden { context }
    | HFError::AuthRequired { context }
    | HFError::Http { context }) = fault
    else {
        return None;
    };
    let status = context.status;
    let answered = host(&context.url)?;
    if Some(answered) != host(endpoint) {
        let remedy = if status.is_server_error() {
            "try again later"
        } else {
            "let the proxy or firewall pass that host too, name a mirror by HF_ENDPOINT, or fetch \
             the files elsewhere and name their folder"
        };
        return Some(format!("{status} from {answered}, where the hub keeps the file: {remedy}"));
    }
    match fault {
        // The hub gives a code with what it refuses; an answer without one may come from a proxy.
        HFError::Forbidden { .. } | HFError::AuthRequired { .. }
            if context.error_code.is_none() =>
        {
            Some(format!(
                "{status} from {answered}: the token in HF_TOKEN is not accepted, or a proxy or \
                 firewall on the way refuses"
            ))
        }
        HFError::Forbidden { .. } | HFError::AuthRequired { .. } => Some(format!(
            "{status}: access to the repository is restricted; ask for it at {endpoint}/{repo}, and \
             give a token of that account by HF_TOKEN"
        )),
        _ => None,
    }
}

/// The message with its innermost cause; those between repeat each other.
fn with_cause(fault: &HFError) -> String {
    let message = fault.to_string();
    let mut cause = fault.source();
    while let Some(inner) = cause.and_then(StdError::source) {
        cause = Some(inner);
    }
    match cause.map(ToString::to_string) {
        Some(cause) if !message.contains(&cause) => format!("{message}: {cause}"),
        _ => message,
    }
}

/// The host of a URL, with its port; the rest may hold a signature, which stays out of logs.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next().map(|host| host.rsplit('@').next().unwrap_or(host))
}
