//! Who may ask for what, and how much of it: keys in requests, held against those in the file.

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

use crate::http::app::App;
use crate::http::keyring::Holder;
use crate::http::keyring::Keyring;
use crate::http::problem::Problem;
use crate::key::Name;
use crate::key::Role;

/// Who may ask for what.
#[derive(Debug, Clone)]
pub struct Access {
    /// The keys there are.
    pub keyring: Keyring,
    /// What needs none.
    pub open: Vec<Area>,
}

/// Routes that are open or closed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// What scores and what describes; it is never open where there are keys.
    Service,
    /// The same, where Google's clients put the key into the query.
    Perspective,
    /// What orchestrators ask.
    Health,
    /// For keys of operators.
    Metrics,
    /// The documentation.
    Docs,
    /// What exchanges models; for keys of operators, and never open where there are keys.
    Admin,
}

/// Left on the request for the audit log and on the response for the log: whose request it was.
#[derive(Debug, Clone)]
pub(super) struct KeyName(pub(super) Name);

#[derive(Debug, Clone)]
struct Gate {
    app: App,
    area: Area,
}

/// Puts routes behind the gate, which stands open where there are no keys.
pub(super) fn guarded<S>(app: &App, area: Area, routes: Router<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let gate = Gate { app: app.clone(), area };
    routes.layer(middleware::from_fn_with_state(gate, pass))
}

async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let area = gate.area;
    let access = gate.app.settings().access.as_ref();
    let Some(access) = access.filter(|access| !access.open.contains(&area)) else {
        return next.run(request).await;
    };
    let holder = match access.identify(area, &request) {
        Ok(holder) => holder,
        Err(problem) => return problem.into_response(),
    };
    let mut response = match holder.admit(area) {
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

impl Access {
    /// Whose key came with the request.
    fn identify(&self, area: Area, request: &Request) -> Result<Holder, Problem> {
        let query = request.uri().query().filter(|_| area == Area::Perspective);
        let presented = [
            bearer(request.headers()),
            request.headers().get(KEY_HEADER).map(HeaderValue::as_bytes),
            query.and_then(query_key),
        ];
        // Clients that must send some key in one place may send the real one in another.
        let presented: Vec<_> = presented.into_iter().flatten().collect();
        let mut holders = presented.iter().filter_map(|key| self.keyring.find(key));
        match holders.next() {
            Some(holder) => Ok(holder),
            None if presented.is_empty() => Err(Problem::missing_api_key()),
            None => Err(Problem::unknown_api_key()),
        }
    }
}

impl Holder {
    /// Takes the request out of the quota, if the key opens the area at all.
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

/// A key has no character that would have to be escaped.
fn query_key(query: &str) -> Option<&[u8]> {
    query.split('&').find_map(|pair| pair.strip_prefix("key=")).map(str::as_bytes)
}

const SCHEME: &[u8] = b"Bearer ";
const KEY_HEADER: &str = "x-api-key";
