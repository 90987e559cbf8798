//! Explains the errors of the hub's client, with their remedies.

use std::error::Error as StdError;
use std::fmt::Display;
use std::path::PathBuf;

use hf_hub::HFError;

/// Where a model is looked up.
#[derive(Debug)]
pub(super) struct HubLocation {
    pub(super) endpoint: String,
    pub(super) cache: PathBuf,
    pub(super) repo: String,
}

/// Returns the cause and its remedy, if the client's own message does not state them.
pub(super) fn explain(fault: &HFError, location: &HubLocation) -> Option<String> {
    match fault {
        HFError::Io(fault) => Some(unusable_cache(fault, location)),
        // The client does not expose the kind of this error, but the text starts with it.
        HFError::Xet { source, .. } if source.to_string().starts_with("I/O error") => {
            Some(unusable_cache(source, location))
        }
        HFError::Xet { operation, source } => {
            let cause = format!("Xet {operation} failed: {source}");
            Some(unreached(&cause, &cause, location))
        }
        // If no connection was made, the URL is that of the hub, whichever host was contacted last.
        HFError::Request { source, url } => {
            let cause = innermost(source).to_string();
            Some(unreached(&cause, url.as_deref().unwrap_or(&cause), location))
        }
        _ => missing(fault, location).or_else(|| refused(fault, location)),
    }
}

/// Adds the usual cause and remedy to the error of a stalled download, whose cause is unknown.
pub(super) fn with_remedy(fault: HFError, location: &HubLocation) -> HFError {
    match fault {
        HFError::Other(message) => HFError::Other(unreached(&message, &message, location)),
        fault => fault,
    }
}

/// Does the same for the first file: a name that is not on the hub may have been meant as a folder.
pub(super) fn explain_first(fault: &HFError, location: &HubLocation) -> Option<String> {
    let (repo, cache) = (&location.repo, location.cache.display());
    match fault {
        HFError::LocalEntryNotFound { .. } => {
            Some(format!("not found in local cache {cache}, nor is there a folder {repo} here"))
        }
        HFError::Request { .. } | HFError::Other(_) => {
            Some(format!("{}; nor is there a folder {repo} here", with_cause(fault)))
        }
        _ => explain(fault, location),
    }
}

/// Returns whether the error means that the hub is unavailable, though it may well have the file.
pub(super) fn is_unavailable(fault: &HFError) -> bool {
    match fault {
        HFError::Request { .. } | HFError::RateLimited { .. } | HFError::Other(_) => true,
        HFError::Http { context } => context.status.is_server_error(),
        _ => false,
    }
}

/// Returns the host that answered with an error status.
pub(super) fn host_of(fault: &HFError) -> Option<&str> {
    match fault {
        HFError::Http { context }
        | HFError::AuthRequired { context }
        | HFError::Forbidden { context }
        | HFError::RateLimited { context, .. } => host(&context.url),
        _ => None,
    }
}

fn unusable_cache(fault: impl Display, location: &HubLocation) -> String {
    format!(
        "the cache {} cannot be used ({fault}); HF_HOME or HF_HUB_CACHE names another folder",
        location.cache.display()
    )
}

/// Returns the message for a file that does not arrive, perhaps because the storage host behind the
/// hub is unreachable. `url` is a text that may contain the URL of that host.
fn unreached(cause: &str, url: &str, HubLocation { endpoint, .. }: &HubLocation) -> String {
    let cause = without_queries(cause);
    if let Some(store) = host(url).filter(|_| !is_same_host(url, endpoint)) {
        return format!("{cause}; the hub keeps the file on {store}: {PASS}");
    }
    let usual = if is_same_host(endpoint, DEFAULT_ENDPOINT) { " (one of *.hf.co)" } else { "" };
    format!("{cause}; if the hub keeps the file on another host{usual}, {PASS}")
}

/// Returns what is missing, by the hub's error code; the client always blames the file.
fn missing(fault: &HFError, location: &HubLocation) -> Option<String> {
    let code = match fault {
        HFError::EntryNotFound { context: Some(context), .. }
        | HFError::AuthRequired { context } => context.error_code.as_deref(),
        HFError::EntryNotFound { context: None, .. } => return Some("no such file".into()),
        _ => None,
    };
    let no_repo = format!("no such repository (nor a folder {} here)", location.repo);
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

/// Returns which host refused the request, with the likely remedy.
fn refused(fault: &HFError, HubLocation { endpoint, repo, .. }: &HubLocation) -> Option<String> {
    let (HFError::Forbidden { context }
    | HFError::AuthRequired { context }
    | HFError::RateLimited { context, .. }
    | HFError::Http { context }) = fault
    else {
        return None;
    };
    let status = context.status;
    let answered = host(&context.url)?;
    if !is_same_host(&context.url, endpoint) {
        let is_busy = status.is_server_error() || matches!(fault, HFError::RateLimited { .. });
        let remedy = if is_busy { "try again later" } else { PASS };
        return Some(format!("{status} from {answered}, where the hub keeps the file: {remedy}"));
    }
    match fault {
        // The hub sends an error code with a refusal; a response without one may come from a proxy.
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
        HFError::RateLimited { .. } => Some(format!(
            "{status} from {answered}: try again later; with a token in HF_TOKEN the limit may be \
             higher"
        )),
        _ => None,
    }
}

/// Returns the message with its innermost cause; the causes in between repeat each other.
fn with_cause(fault: &HFError) -> String {
    let message = fault.to_string();
    let cause = innermost(fault).to_string();
    if message.contains(&cause) { message } else { format!("{message}: {cause}") }
}

fn innermost<'a>(fault: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut innermost = fault;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost
}

/// Returns whether two URLs have the same host, ignoring case and a default port.
fn is_same_host(one: &str, other: &str) -> bool {
    let plain = |url| {
        let host = host(url)?.to_ascii_lowercase();
        let usual_port = if url.contains("https://") { ":443" } else { ":80" };
        Some(host.strip_suffix(usual_port).unwrap_or(&host).to_owned())
    };
    plain(one) == plain(other)
}

/// Returns the host of the first URL in a text, with its port. The rest may contain a signature,
/// which must stay out of logs.
fn host(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let host = rest.split(['/', '?', '#', ' ', ')', '"']).next()?;
    Some(host.rsplit('@').next().unwrap_or(host))
}

/// Removes the query strings of the URLs in a message, which may contain a signature.
fn without_queries(message: &str) -> String {
    let cut = |word: &str| match word.split_once('?') {
        Some((url, query)) if url.contains("://") => {
            format!("{url}{}", query.find(')').map_or("", |end| &query[end..]))
        }
        _ => word.to_owned(),
    };
    message.split(' ').map(cut).collect::<Vec<_>>().join(" ")
}

pub(super) const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

const PASS: &str = "let the proxy or firewall pass that host too, name a mirror by HF_ENDPOINT, or \
                    fetch the files elsewhere and name their folder";

#[cfg(test)]
mod tests {
    use std::io;

    use hf_hub::XetOperation;

    use super::*;

    #[test]
    fn a_store_behind_the_hub_that_is_not_reached_is_told_with_the_remedy() {
        for (endpoint, cause, told) in [
            (
                DEFAULT_ENDPOINT,
                "Network error: connection reset",
                "Network error: connection reset; if the hub keeps the file on another host (one \
                 of *.hf.co), let the proxy",
            ),
            (
                "https://hub.example",
                "Network error: connection reset",
                "Network error: connection reset; if the hub keeps the file on another host, let \
                 the proxy",
            ),
            (
                DEFAULT_ENDPOINT,
                "Task error: for url (https://cas.example/v2/ab?key=hidden): timed out",
                "Task error: for url (https://cas.example/v2/ab): timed out; the hub keeps the \
                 file on cas.example: let the proxy",
            ),
            (
                DEFAULT_ENDPOINT,
                "Task error: for url (https://HuggingFace.co:443/api)",
                "Task error: for url (https://HuggingFace.co:443/api); if the hub keeps the file \
                 on another host (one of *.hf.co), let the proxy",
            ),
        ] {
            let fault = HFError::xet(XetOperation::Download, io::Error::other(cause));
            let message = explain(&fault, &location(endpoint)).unwrap();
            let expected = format!("Xet download failed: {told}");
            assert!(message.starts_with(&expected), "{message}");
            assert!(message.ends_with("fetch the files elsewhere and name their folder"));
            let fault = with_remedy(HFError::Other(cause.into()), &location(endpoint));
            assert!(fault.to_string().starts_with(told), "{fault}");
        }
    }

    #[test]
    fn a_disk_that_a_store_cannot_write_is_that_of_the_cache() {
        let fault = HFError::xet(XetOperation::Download, io::Error::other("I/O error: disk full"));
        assert_eq!(
            explain(&fault, &location(DEFAULT_ENDPOINT)).unwrap(),
            "the cache /caches/hub cannot be used (I/O error: disk full); HF_HOME or HF_HUB_CACHE \
             names another folder"
        );
    }

    #[test]
    fn a_host_is_the_same_in_any_letters_and_with_its_usual_port() {
        for (one, other, is_same) in [
            ("https://Hub.example.com", "https://hub.example.com/org/tiny", true),
            ("https://hub:443", "https://hub/org/tiny?a=b", true),
            ("http://hub:80/", "http://hub", true),
            ("https://user@hub", "https://hub", true),
            ("https://[::1]:443", "https://[::1]", true),
            ("https://hub:80", "https://hub", false),
            ("http://hub:443", "http://hub", false),
            ("https://hub:8443", "https://hub", false),
            ("https://cdn.hub", "https://hub", false),
        ] {
            assert_eq!(is_same_host(one, other), is_same, "{one} {other}");
            assert_eq!(is_same_host(other, one), is_same, "{other} {one}");
        }
    }

    fn location(endpoint: &str) -> HubLocation {
        HubLocation {
            endpoint: endpoint.into(),
            cache: "/caches/hub".into(),
            repo: "org/tiny".into(),
        }
    }
}
