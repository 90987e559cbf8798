//! The replicas of a model: forward passes that share its weights, each with threads of its own.

use std::sync::Arc;

use rayon::ThreadPool;
use rayon::ThreadPoolBuilder;

use crate::error::Error;
use crate::error::Result;
use crate::model::Forward;
use crate::model::LoadPriority;
use crate::model::LoadSettings;
use crate::model::Placement;
use crate::model::config::Config;
use crate::model::cpu::CpuTransformer;
use crate::model::cpu::PackedModel;
use crate::model::device::Dtype;
use crate::model::tensor::TensorTransformer;
use crate::model::weights::Weights;

/// The replicas of a model, which share its weights.
pub(super) struct Replicas {
    /// The replicas that serve, at least one.
    pub(super) serving: Vec<Box<dyn Forward>>,
    /// For tests with the idle priority, a replica whose threads have it; on the CPU only.
    pub(super) testing: Option<Box<dyn Forward>>,
}

/// Loads the weights once and creates the replicas that share them.
pub(super) fn load_replicas(
    config: &Config,
    mut weights: Weights,
    settings: &LoadSettings,
    priority: LoadPriority,
) -> Result<Replicas> {
    let refuse = |name, reason| Err(Error::Config { name, reason });
    let replicas = match (settings.placement, settings.dtype) {
        (Placement::Cpu, dtype) => {
            // These pools serve, so they are created outside of `priority.run`.
            let pools = divide_threads(settings.threads, settings.replicas)
                .map(|threads| pool("forward", threads))
                .collect::<Result<Vec<_>>>()?;
            let (model, testing) = priority.run(|| {
                let model = Arc::new(PackedModel::load(config, &mut weights, dtype)?);
                let testing = match priority {
                    LoadPriority::Normal => None,
                    LoadPriority::Idle => Some(pool("self-test", settings.replica_threads())?),
                };
                Ok((model, testing))
            })?;
            let replica = |threads| -> Box<dyn Forward> {
                Box::new(CpuTransformer::new(Arc::clone(&model), threads))
            };
            let serving = pools.into_iter().map(&replica).collect();
            Replicas { serving, testing: testing.map(&replica) }
        }
        (gpu, Dtype::F32) => {
            let replica = TensorTransformer::load(config, &mut weights, gpu.open()?)?;
            Replicas { serving: vec![Box::new(replica)], testing: None }
        }
        (gpu, Dtype::Int8) => {
            return refuse("dtype", format!("int8 is for the CPU, not for {gpu}"));
        }
    };
    weights.finish(config.n_layers)?;
    Ok(replicas)
}

impl LoadSettings {
    /// Checks the number of replicas against the threads and the device.
    pub fn check(&self) -> Result<()> {
        let Self { placement, threads, replicas, .. } = *self;
        let reason = match placement {
            _ if replicas == 0 => "there must be at least 1".into(),
            Placement::Cpu if replicas > threads => {
                format!("{replicas} replicas, but {threads} threads to divide among them")
            }
            Placement::Cuda(_) | Placement::Metal(_) if replicas > 1 => {
                format!("{replicas} replicas, but {placement} runs one")
            }
            _ => return Ok(()),
        };
        Err(Error::Config { name: "replicas", reason })
    }

    /// Returns the number of threads of the first replica, which no other replica exceeds.
    pub(super) fn replica_threads(&self) -> usize {
        replica_threads(self.threads, self.replicas)
    }
}

/// Returns the number of threads of the first of some replicas, which no other one exceeds: its
/// share of all threads, but no more than the process has CPUs. A thread without a CPU would only
/// delay the others, which wait for every part of a product.
pub fn replica_threads(threads: usize, replicas: usize) -> usize {
    bounded(threads.div_ceil(replicas.max(1)))
}

fn bounded(threads: usize) -> usize {
    std::thread::available_parallelism().map_or(threads, |n_cpus| threads.min(n_cpus.get()))
}

/// Returns the number of threads of each replica. The numbers differ by at most one, the larger
/// ones first.
fn divide_threads(threads: usize, replicas: usize) -> impl Iterator<Item = usize> {
    (0..replicas).map(move |replica| threads / replicas + usize::from(replica < threads % replicas))
}

/// Creates a pool of this many threads, but no more than the process has CPUs.
fn pool(name: &'static str, threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(bounded(threads))
        .thread_name(move |thread| format!("{name}-{thread}"))
        .build()
        .map_err(|fault| Error::Config { name: "threads", reason: fault.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_divided_as_evenly_as_possible() {
        for (threads, replicas, each) in
            [(1, 1, &[1][..]), (2, 2, &[1, 1]), (7, 2, &[4, 3]), (64, 3, &[22, 21, 21])]
        {
            let found: Vec<_> = divide_threads(threads, replicas).collect();
            assert_eq!(found, each, "{threads} threads, {replicas} replicas");
        }
    }

    #[test]
    fn a_pool_has_no_more_threads_than_there_are_cpus() {
        let n_cpus = std::thread::available_parallelism().unwrap().get();
        for threads in [1, n_cpus, n_cpus + 1, 64 * n_cpus] {
            let found = pool("test", threads).unwrap().current_num_threads();
            assert_eq!(found, threads.min(n_cpus), "{threads} threads, {n_cpus} CPUs");
            assert_eq!(replica_threads(2 * threads, 2), found, "two replicas");
        }
    }

    #[test]
    fn replicas_that_cannot_be_are_refused() {
        for (placement, replicas, reason) in [
            (Placement::Cpu, 4, None),
            (Placement::Cpu, 5, Some("replicas: 5 replicas, but 4 threads to divide among them")),
            (Placement::Cpu, 0, Some("replicas: there must be at least 1")),
            (Placement::Cuda(1), 1, None),
            (Placement::Cuda(1), 2, Some("replicas: 2 replicas, but cuda:1 runs one")),
        ] {
            let dtype = Dtype::F32;
            let settings = LoadSettings {
                placement,
                dtype,
                threads: 4,
                replicas,
                overlap: 0,
                normalise: true,
            };
            let found = settings.check().err().map(|fault| fault.to_string());
            assert_eq!(found.as_deref(), reason, "{replicas} on {placement}");
        }
    }
}
