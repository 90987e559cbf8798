//! The definition of a wire contract.

use utoipa::ToSchema;
use utoipa::openapi::Components;
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
    /// Adds the schemas that only its error responses and headers use.
    pub(in crate::http) schemas: &'static [fn(&mut Components)],
}

/// Routes with the same access rule.
pub(in crate::http) type RouteGroup = (AccessRule, fn() -> OpenApiRouter<App>);

/// Adds the schema of a type, and those that it refers to, to an OpenAPI description.
pub(in crate::http) fn add_schema<T: ToSchema>(components: &mut Components) {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    components.schemas.extend(schemas);
}
