//! Tests of the whole forward pass, on the tiny model.

use std::sync::mpsc;
use std::time::Duration;

use ndarray::Array2;
use proptest::collection::vec;
use proptest::test_runner::Config as Cases;
use proptest::test_runner::TestRunner;
use rayon::ThreadPoolBuilder;

use super::partition::RowBlocks;
use super::rows::Rows;
use super::team::each;
use super::*;
use crate::model::Artifact;
use crate::model::HubSettings;
use crate::model::Overrides;
use crate::model::Placement;
use crate::model::Source;
use crate::model::device::Dtype;
use crate::model::tensor::TensorTransformer;
use crate::tokenize::Window;

fn tiny() -> Artifact {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
    Artifact::open(&Source::Folder(folder.into()), Overrides::default(), HubSettings::offline())
        .unwrap()
}

fn packed(dtype: Dtype) -> Arc<PackedModel> {
    let Artifact { config, mut weights, .. } = tiny();
    Arc::new(PackedModel::load(&config, &mut weights, dtype).unwrap())
}

/// Creates a replica with this many threads, however few CPUs there are.
fn replica(model: &Arc<PackedModel>, n_threads: usize) -> CpuTransformer {
    let threads = ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    CpuTransformer::new(Arc::clone(model), threads)
}

/// Creates a replica that also divides the products of the tiny model, which are below the minimum
/// work of a part.
fn dividing(model: &Arc<PackedModel>, n_threads: usize) -> CpuTransformer {
    let team = Team { n_threads, min_part_work: 1 };
    CpuTransformer { team, ..replica(model, n_threads) }
}

/// Creates a batch of windows of these lengths; windows of the same length are identical.
fn batch(lens: &[usize]) -> Batch {
    let window = |&len: &usize| {
        let ids = (0..len).map(|place| u32::try_from((place * 37 + len) % 100).unwrap());
        Window { ids: ids.collect(), bytes: 0..0 }
    };
    Batch::pack(&lens.iter().map(window).collect::<Vec<_>>())
}

/// Returns the bits of each row of logits.
fn bits(forward: &CpuTransformer, lens: &[usize]) -> Vec<Vec<u32>> {
    let Logits(logits) = forward.forward(&batch(lens)).unwrap();
    logits.rows().into_iter().map(|row| row.iter().map(|logit| logit.to_bits()).collect()).collect()
}

#[test]
fn logits_are_those_of_plain_candle_on_any_number_of_threads() {
    let Artifact { config, mut weights, .. } = tiny();
    let reference = TensorTransformer::load(&config, &mut weights, Placement::Cpu.open().unwrap());
    let reference = reference.unwrap();
    let model = packed(Dtype::F32);
    for n_threads in [1, 2, 5] {
        let ours = dividing(&model, n_threads);
        // One token; few rows, whose products are divided; many, in blocks; one long window.
        for lens in [&[1][..], &[3, 1, 7], &[33, 2, 128, 128, 90, 5, 77], &[128], &[2; 60]] {
            let (Logits(ours), Logits(theirs)) =
                (ours.forward(&batch(lens)).unwrap(), reference.forward(&batch(lens)).unwrap());
            let difference = (&ours - &theirs).mapv(f32::abs);
            let largest = difference.iter().copied().fold(0.0, f32::max);
            // The same sums in another order.
            assert!(largest < 1e-5, "{lens:?} on {n_threads} threads: {largest}");
        }
    }
}

#[test]
fn a_window_gives_the_same_bits_in_any_batch_on_any_number_of_threads() {
    for dtype in [Dtype::F32, Dtype::Int8] {
        let model = packed(dtype);
        let alone = replica(&model, 1);
        let alone: Vec<_> = (1..=128).map(|len| bits(&alone, &[len]).remove(0)).collect();
        let replicas: Vec<_> = (1..=17)
            .chain([64])
            .flat_map(|n_threads| [replica(&model, n_threads), dividing(&model, n_threads)])
            .collect();
        let batches = (vec(1..=128_usize, 1..20), 0..replicas.len());
        let mut runner = TestRunner::new(Cases { failure_persistence: None, ..Cases::default() });
        let outcome = runner.run(&batches, |(lens, replica)| {
            let forward = &replicas[replica];
            for (len, found) in lens.iter().zip(bits(forward, &lens)) {
                assert_eq!(found, alone[len - 1], "{len} of {lens:?}, {dtype}, {:?}", forward.team);
            }
            Ok(())
        });
        outcome.unwrap();
    }
}

/// A thread that waits for the parts of its block may take up another block meanwhile. If a block
/// locked the scratch memory of its thread, the thread would deadlock.
#[test]
fn blocks_of_which_each_is_divided_among_threads_do_not_wait_for_each_other() {
    let (done, finished) = mpsc::channel();
    let computing = std::thread::spawn(move || {
        let model = packed(Dtype::Int8);
        for n_threads in [4, 7, 16, 64] {
            let forward = dividing(&model, n_threads);
            for _ in 0..200 {
                forward.threads.install(|| finish_in_blocks(&forward, 4 * n_threads));
            }
        }
        done.send(()).unwrap();
    });
    let limit = Duration::from_mins(1); // it takes about a second
    assert!(finished.recv_timeout(limit).is_ok(), "blocks wait for each other");
    computing.join().unwrap();
}

/// Computes a layer for rows in `n_blocks` blocks, each shared by all threads.
fn finish_in_blocks(forward: &CpuTransformer, n_blocks: usize) {
    let CpuTransformer { model, team, scratch, .. } = forward;
    let batch = batch(&[]);
    let (layer, n_rows) = (&model.layers[0], 16 * n_blocks);
    let [mut hidden, context, mut projected] =
        [(); 3].map(|()| Array2::zeros((n_rows, model.hidden_size)));
    let rows = Rows::new(hidden.view_mut(), context.view(), projected.view_mut());
    let pass = Pass { model, batch: &batch, team: *team, scratch };
    let blocks = RowBlocks { n_blocks, n_threads: team.n_threads };
    pass.each_of(blocks, rows, |rows, scratch, team| {
        // Parts that may still run on other threads while the thread of the block waits for them.
        each((0..8).collect(), |_: usize| std::thread::yield_now());
        layer.finish(rows.context, rows.hidden, scratch, team);
    });
}

#[test]
fn replicas_share_the_memory_of_the_weights() {
    let model = packed(Dtype::F32);
    let replicas = [1, 2].map(|n_threads| replica(&model, n_threads));
    assert!(Arc::ptr_eq(&replicas[0].model, &replicas[1].model));
    let lens = [33, 2, 128];
    assert_eq!(bits(&replicas[0], &lens), bits(&replicas[1], &lens));
}

#[test]
fn nothing_gives_nothing() {
    let Logits(logits) = replica(&packed(Dtype::F32), 2).forward(&batch(&[])).unwrap();
    assert_eq!(logits.dim(), (0, 4));
}

#[test]
fn what_has_no_place_in_the_tables_is_refused() {
    let model = replica(&packed(Dtype::F32), 1);
    let refusal = |batch: &Batch| {
        let fault = model.forward(batch).unwrap_err();
        std::error::Error::source(&fault).unwrap().to_string()
    };
    assert_eq!(refusal(&batch(&[3, 0])), "a window of 0 tokens, not of 1 to 128");
    assert_eq!(refusal(&batch(&[129])), "a window of 129 tokens, not of 1 to 128");
    let mut unknown = batch(&[3]);
    unknown.ids[1] = 1 << 20;
    assert!(refusal(&unknown).starts_with("token id 1048576 in a vocabulary of "));
}
