//! The process as the system sees it: memory, files, time.

use crate::metrics::catalogue;

/// Figures of this process; none where the system does not tell.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<f64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) start_time: Option<f64>,
    pub(super) open_fds: Option<f64>,
    pub(super) max_fds: Option<f64>,
}

impl Process {
    /// Reads the figures from `/proc`, of which other systems than Linux have none.
    pub(super) fn read() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let open_fds = std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        // One of them is the folder itself, just now.
        let open_fds = open_fds.map(|n_fds| n_fds.saturating_sub(1) as f64);
        let stat = file("/proc/self/stat");
        Self {
            resident_bytes: resident_bytes(&file("/proc/self/status")),
            cpu_seconds: cpu_seconds(&stat),
            start_time: start_time(&stat, &file("/proc/stat")),
            open_fds,
            max_fds: max_fds(&file("/proc/self/limits")),
        }
    }

    /// Sets the gauges of the recorder at hand.
    pub(super) fn record(self) {
        for (name, figure) in [
            (catalogue::RESIDENT, self.resident_bytes),
            (catalogue::START_TIME, self.start_time),
            (catalogue::OPEN_FDS, self.open_fds),
            (catalogue::MAX_FDS, self.max_fds),
            (catalogue::CPU_SECONDS, self.cpu_seconds),
        ] {
            if let Some(figure) = figure {
                metrics::gauge!(name).set(figure);
            }
        }
    }
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0)
}

/// The time in user mode and that in the system's.
fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_time(stat: &str, system: &str) -> Option<f64> {
    let boot = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + field(stat, 22)? / TICKS_PER_SECOND)
}

/// By its number in proc(5). The name of the program may have spaces, but nothing after it has a
/// parenthesis.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(number - 3)?.parse().ok()
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What Linux shows to programs on every architecture that we build for, whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_in_what_the_system_writes() {
        let stat = "42 (a ) name) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 1000 1 2";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(start_time(stat, "cpu 1\nbtime 1700000000\n"), Some(1_700_000_010.0));
        assert_eq!(resident_bytes("VmPeak: 9 kB\nVmRSS:\t  2048 kB\n"), Some(2_097_152.0));
        let limits = "Limit  Soft Limit\nMax open files            1024      4096     files\n";
        assert_eq!(max_fds(limits), Some(1024.0));
        for text in ["", "42 (name", "Max open files unlimited"] {
            let figures = [cpu_seconds(text), resident_bytes(text), max_fds(text)];
            assert_eq!(figures, [None; 3], "{text}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_all_of_them() {
        let before = Process::read();
        assert!(before.resident_bytes > Some(100_000.0), "{before:?}");
        assert!(before.cpu_seconds.is_some() && before.max_fds > before.open_fds, "{before:?}");
        let _file = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(Process::read().open_fds > Some(0.0), "{before:?}");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let age = now - before.start_time.unwrap();
        assert!((-2.0..86_400.0).contains(&age), "began {age} seconds ago");
    }
}
