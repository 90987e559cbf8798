//! The definition of a wire contract.

use utoipa_axum::router::OpenApiRouter;

use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::request::error_format::ErrorFormat;

/// The contract of another service, or moderato's own.
#[derive(Debug)]
pub(in crate::http) struct Contract {
    /// The routes with their OpenAPI description, grouped by access rule.
    pub(in crate::http) routes: &'static [RouteGroup],
    /// The error format, which also applies to authentication and limit errors.
    pub(in crate::http) error_format: ErrorFormat,
}

/// Routes with the same access rule.
pub(in crate::http) type RouteGroup = (AccessRule, fn() -> OpenApiRouter<App>);
