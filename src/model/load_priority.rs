//! The priority of the threads that load a model.

use crate::error::Error;
use crate::error::Result;

/// How urgent it is that a model is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadPriority {
    /// Nothing is served before the model is.
    Normal,
    /// Another model serves meanwhile: use CPU time that its requests leave idle, and hardly any
    /// other.
    Idle,
}

impl LoadPriority {
    /// Runs `work` with this priority, `Idle` on a new thread. On systems other than Linux every
    /// priority is the normal one.
    ///
    /// Threads started by `work` inherit the priority for good, so `work` must not start threads
    /// that will serve requests.
    pub(crate) fn run<T: Send>(self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if self == Self::Normal {
            return work();
        }
        std::thread::scope(|scope| {
            let lowered = || {
                lower();
                work()
            };
            let thread =
                std::thread::Builder::new().name("load".into()).spawn_scoped(scope, lowered);
            let thread = thread
                .map_err(|fault| Error::Config { name: "threads", reason: fault.to_string() })?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Lowers the priority of the calling thread; if the system refuses, the work still runs.
///
/// The policy for idle time ranks below every nice value (sched(7)), and Linux's fair scheduler
/// interrupts such a thread as soon as another one wakes up; one of nice 19 may finish its slice.
/// The nice value is for systems that refuse the policy.
#[cfg(target_os = "linux")]
fn lower() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), HIGHEST_NICE);
    let parameters = libc::sched_param { sched_priority: 0 };
    #[expect(unsafe_code, reason = "no safe interface to this call is at hand")]
    // SAFETY: the call reads `parameters`, which outlive it; 0 is the calling thread
    // (sched_setscheduler(2)).
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters);
    }
}

#[cfg(not(target_os = "linux"))]
fn lower() {}

/// The nice value of the lowest priority.
#[cfg(target_os = "linux")]
const HIGHEST_NICE: i32 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the nice value and the scheduling policy of the calling thread.
    #[cfg(target_os = "linux")]
    fn scheduling() -> (i32, u32) {
        let id = rustix::thread::gettid();
        let nice = rustix::process::getpriority_process(Some(id)).unwrap();
        let process = procfs::process::Process::myself().unwrap();
        let thread = process.task_from_tid(id.as_raw_nonzero().get()).unwrap();
        (nice, thread.stat().unwrap().policy.unwrap())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_the_threads_of_the_work_have_the_low_priority() {
        let before = scheduling();
        let of_idle = (HIGHEST_NICE, u32::try_from(libc::SCHED_IDLE).unwrap());
        assert_eq!(LoadPriority::Idle.run(|| Ok(scheduling())).unwrap(), of_idle);
        let inherited = || Ok(std::thread::scope(|scope| scope.spawn(scheduling).join().unwrap()));
        assert_eq!(LoadPriority::Idle.run(inherited).unwrap(), of_idle);
        assert_eq!(LoadPriority::Normal.run(|| Ok(scheduling())).unwrap(), before);
        assert_eq!(scheduling(), before);
    }

    #[test]
    fn an_error_of_the_work_is_handed_on() {
        for priority in [LoadPriority::Normal, LoadPriority::Idle] {
            let failed = priority.run::<()>(|| Err(Error::Stopped));
            assert!(matches!(failed, Err(Error::Stopped)));
        }
    }
}
