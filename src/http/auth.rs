//! Authentication, authorisation and quotas: API keys in requests, checked against the key file.

mod keyring;

use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use axum::middleware;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;

use self::keyring::Holder;
pub use self::keyring::KeyFile;
pub use self::keyring::Keyring;
use crate::http::problem::Problem;
use crate::key::Name;
use crate::key::Role;

/// The accepted keys, and the areas that need no key.
#[derive(Debug, Clone)]
pub struct Access {
    /// The valid keys.
    pub keyring: Keyring,
    /// The areas that need no key.
    pub open: Vec<Area>,
}

/// A group of routes with the same access rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Scoring, models and policy; never open if keys are configured.
    Service,
    /// Health probes.
    Health,
    /// Metrics; needs an admin key unless open.
    Metrics,
    /// The API documentation.
    Docs,
    /// Swapping models; needs an admin key, and is never open if keys are configured.
    Admin,
}

/// The access rules of a group of routes.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct AccessRule {
    pub(in crate::http) area: Area,
    pub(in crate::http) key_location: KeyLocation,
}

/// Where a request may carry its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum KeyLocation {
    /// In `authorization`, `x-api-key` or `api-key`.
    Headers,
    /// In one of the same headers, or in the query string as `key=KEY`.
    HeadersOrQuery,
}

/// The name of a request's key, attached to the request for the audit log and to the response for
/// the request log.
#[derive(Debug, Clone)]
pub(super) struct KeyName(pub(super) Name);

#[derive(Debug, Clone)]
struct Checked {
    access: Access,
    guard: AccessRule,
}

/// Requires a key on all of the routes, unless no keys are configured or the area is open.
pub(super) fn require_key<S>(
    access: Option<&Access>,
    guard: AccessRule,
    routes: Router<S>,
) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    match access.filter(|access| !access.open.contains(&guard.area)) {
        Some(access) => {
            let checked = Checked { access: access.clone(), guard };
            routes.layer(middleware::from_fn_with_state(checked, check_key))
        }
        None => routes,
    }
}

async fn check_key(State(checked): State<Checked>, mut request: Request, next: Next) -> Response {
    let Checked { access, guard } = checked;
    let holder = match access.identify(guard.key_location, &request) {
        Ok(holder) => holder,
        Err(problem) => return problem.into_response(),
    };
    let mut response = match holder.admit(guard.area) {
        Ok(()) => {
            request.extensions_mut().insert(holder.account);
            request.extensions_mut().insert(KeyName(holder.key.name.clone()));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(KeyName(holder.key.name));
    response
}

impl AccessRule {
    /// Creates the rule for an area whose keys are sent in headers.
    pub(in crate::http) const fn for_area(area: Area) -> Self {
        Self { area, key_location: KeyLocation::Headers }
    }
}

impl Access {
    /// Returns the holder of the key in the request; fails if there is no key or no known one.
    fn identify(&self, key_location: KeyLocation, request: &Request) -> Result<Holder, Problem> {
        let query = request.uri().query().filter(|_| key_location == KeyLocation::HeadersOrQuery);
        let presented = [bearer(request.headers()), query.and_then(query_key)];
        let in_headers = KEY_HEADERS.iter().filter_map(|&header| request.headers().get(header));
        // Some clients always send a placeholder key in one header and the real key in another.
        let presented: Vec<_> =
            presented.into_iter().flatten().chain(in_headers.map(HeaderValue::as_bytes)).collect();
        let mut holders = presented.iter().filter_map(|key| self.keyring.find(key));
        match holders.next() {
            Some(holder) => Ok(holder),
            None if presented.is_empty() => Err(Problem::missing_api_key()),
            None => Err(Problem::unknown_api_key()),
        }
    }
}

impl Holder {
    /// Checks the role of the key, then charges one request to its quota.
    fn admit(&self, area: Area) -> Result<(), Problem> {
        if matches!(area, Area::Metrics | Area::Admin) && self.key.role != Role::Admin {
            return Err(Problem::insufficient_role());
        }
        self.account.admit(Instant::now()).map_err(Problem::slow_down)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(key.trim_ascii())
}

/// Finds `key=KEY` in a query string. The key is not percent-decoded: keys contain no characters
/// that need escaping.
fn query_key(query: &str) -> Option<&[u8]> {
    query.split('&').find_map(|pair| pair.strip_prefix("key=")).map(str::as_bytes)
}

const SCHEME: &[u8] = b"Bearer ";
/// The header that many services use, and the header of Azure OpenAI.
const KEY_HEADERS: [&str; 2] = ["x-api-key", "api-key"];
