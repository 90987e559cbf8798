//! Metrics of the process: memory, files, time. Read on every render, on Linux only.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::metrics::catalogue;
use crate::metrics::catalogue::Instrument;

/// Figures of this process at one moment; `None` where the operating system provides none.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Figures {
    resident_bytes: Option<f64>,
    cpu_seconds: Option<f64>,
    start_time: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

impl Figures {
    #[cfg(target_os = "linux")]
    fn read() -> Self {
        use procfs::process::LimitValue;

        let Ok(process) = procfs::process::Process::myself() else { return Self::default() };
        let stat = process.stat().ok();
        let ticks = procfs::ticks_per_second() as f64;
        let limit = process.limits().ok().map(|limits| limits.max_open_files.soft_limit);
        let begin = procfs::boot_time_secs().ok().zip(stat.as_ref());
        Self {
            resident_bytes: stat.as_ref().map(|stat| (stat.rss * procfs::page_size()) as f64),
            cpu_seconds: stat.as_ref().map(|stat| (stat.utime + stat.stime) as f64 / ticks),
            start_time: begin.map(|(boot, stat)| boot as f64 + stat.starttime as f64 / ticks),
            open_fds: process.fd_count().ok().map(|n_fds| n_fds as f64),
            max_fds: limit.map(|limit| match limit {
                LimitValue::Value(limit) => limit as f64,
                LimitValue::Unlimited => f64::INFINITY,
            }),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read() -> Self {
        Self::default()
    }
}

/// Reads the figures of the process whenever the metrics are rendered.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Figures { resident_bytes, cpu_seconds, start_time, open_fds, max_fds } =
            Figures::read();
        let cpu_seconds = cpu_seconds.map(ConstCounter::new);
        encode(&mut encoder, catalogue::CPU_SECONDS, cpu_seconds.as_ref())?;
        for (instrument, figure) in [
            (catalogue::RESIDENT, resident_bytes),
            (catalogue::START_TIME, start_time),
            (catalogue::OPEN_FDS, open_fds),
            (catalogue::MAX_FDS, max_fds),
        ] {
            encode(&mut encoder, instrument, figure.map(ConstGauge::new).as_ref())?;
        }
        Ok(())
    }
}

fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    Instrument { name, help, .. }: Instrument,
    metric: Option<&impl EncodeMetric>,
) -> std::fmt::Result {
    let Some(metric) = metric else { return Ok(()) };
    // Rendering appends `_total` to every counter.
    let name = name.trim_end_matches("_total");
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_all_of_them() {
        let before = Figures::read();
        assert!(before.resident_bytes > Some(100_000.0), "{before:?}");
        assert!(before.cpu_seconds.is_some() && before.max_fds > before.open_fds, "{before:?}");
        let _file = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(Figures::read().open_fds > Some(0.0), "{before:?}");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let age = now - before.start_time.unwrap();
        assert!((-2.0..86_400.0).contains(&age), "began {age} seconds ago");
    }
}
