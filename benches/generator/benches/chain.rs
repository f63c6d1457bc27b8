//! Whole blocks: planned, signed, executed on a database and sealed.

use divan::{Bencher, counter::ItemsCount};
use portico_generator::{DatabaseState, Generator, GeneratorConfig, open_state_database};

fn main() {
    divan::main();
}

/// Blocks after 100 others.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn blocks(bencher: Bencher<'_, '_>) {
    let count = 200u64;
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written to");
    let database = open_state_database(&folder.path().join("db")).expect("the folder is empty");
    let mut generator = Generator::new(GeneratorConfig::default(), |genesis| {
        DatabaseState::new(&database, genesis, folder.path())
    })
    .expect("the default configuration is sound");
    let generate =
        |generator: &mut Generator<_>| generator.next().expect("there is no end").expect("the plan is valid");
    (0..100).for_each(|_| drop(generate(&mut generator)));
    bencher
        .counter(ItemsCount::new(count))
        .bench_local(|| (0..count).map(|_| generate(&mut generator).block.header.gas_used).sum::<u64>());
}
