//! Records of requests: the request log, traces and the audit log.

pub(super) mod audit;
pub(super) mod clock;
pub(super) mod context;
pub(super) mod request_log;
pub(super) mod traces;

pub use self::audit::Audit;
pub use self::audit::AuditSettings;
pub use self::audit::OnFailure;
pub(super) use self::request_log::RequestLog;
pub(super) use self::request_log::log_request;
pub use self::traces::TraceSettings;
pub use self::traces::Traces;
