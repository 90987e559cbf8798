//! Runs work on a thread of the lowest priority.

use crate::error::Error;
use crate::error::Result;

/// Runs `work` on a new thread of the lowest priority, which uses only CPU time that requests leave
/// idle and so does not delay them. On systems other than Linux the priority is the normal one.
///
/// Threads started by `work` inherit the low priority for good, so `work` must not start threads
/// that will serve requests.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let lowered = || {
            lower();
            work()
        };
        let thread = std::thread::Builder::new().name("load".into()).spawn_scoped(scope, lowered);
        let thread =
            thread.map_err(|fault| Error::Config { name: "threads", reason: fault.to_string() })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Lowers the priority of the calling thread; if the system refuses, the work still runs.
fn lower() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LOWEST);
}

/// The nice value of the lowest priority.
#[cfg(target_os = "linux")]
const LOWEST: i32 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn only_the_thread_of_the_work_has_the_low_priority() {
        let priority =
            || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = priority();
        assert_eq!(run(|| Ok(priority())).unwrap(), LOWEST);
        assert_eq!(priority(), before);
    }

    #[test]
    fn an_error_of_the_work_is_handed_on() {
        let failed = run::<()>(|| Err(Error::Stopped));
        assert!(matches!(failed, Err(Error::Stopped)));
    }
}
