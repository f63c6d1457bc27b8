//! What a block costs before it is executed: planning it, and signing it.

use divan::{Bencher, counter::ItemsCount};
use portico_generator::{BlockContext, Fork, GeneratorConfig, PlannedBlock, Workload, sign};

fn main() {
    divan::main();
}

fn workload() -> Workload {
    Workload::new(&GeneratorConfig::default()).expect("the default configuration is sound")
}

/// A block as they are in the long run, after `number` others.
fn plan(workload: &mut Workload, number: u64) -> PlannedBlock {
    workload.next_block(&BlockContext {
        number,
        timestamp: 1_700_000_000 + 12 * number,
        base_fee: 250_000_000,
        gas_limit: 30_000_000,
        blob_base_fee: 1,
        blobs_max: 9,
        fork: Fork::Osaka,
    })
}

/// 100 blocks, after 100 others.
#[divan::bench(sample_count = 5)]
fn planning(bencher: Bencher<'_, '_>) {
    let count = 17_000u64;
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let mut workload = workload();
            (0..100).for_each(|number| drop(plan(&mut workload, number)));
            workload
        })
        .bench_local_values(|mut workload| {
            (100..200).map(|number| plan(&mut workload, number).transactions.len()).sum::<usize>()
        });
}

/// One block, on all threads.
#[divan::bench(sample_count = 20)]
fn signing(bencher: Bencher<'_, '_>) {
    let mut workload = workload();
    let blocks = (0..20).map(|number| plan(&mut workload, number).transactions);
    let block = blocks.max_by_key(Vec::len).expect("there are 20 blocks");
    bencher.counter(ItemsCount::new(block.len())).bench_local(|| sign(workload.accounts(), &block));
}
