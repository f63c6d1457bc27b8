//! Proof of work: making the cache of an epoch, and a seal.

use std::{hint::black_box, sync::LazyLock};

use alloy_primitives::{B64, B256};
use portico_consensus::ethash::{Cache, EPOCH_BLOCKS, Epoch};

/// The first epoch, and mainnet's last.
const EPOCHS: [u64; 2] = [0, 517];

static CACHES: LazyLock<[Cache; 2]> = LazyLock::new(|| EPOCHS.map(|epoch| Cache::generate(of(epoch))));

fn main() {
    divan::main();
}

fn of(epoch: u64) -> Epoch {
    Epoch::of_block(epoch * EPOCH_BLOCKS).expect("mainnet's epochs are known")
}

#[divan::bench(args = EPOCHS, sample_count = 5, sample_size = 1)]
fn cache(epoch: u64) -> Cache {
    Cache::generate(black_box(of(epoch)))
}

#[divan::bench(args = [0, 1], sample_count = 100)]
fn hashimoto(bencher: divan::Bencher<'_, '_>, position: usize) {
    let cache = &CACHES[position];
    let mut nonce = 0_u64;
    bencher.bench_local(|| {
        nonce += 1;
        cache.hashimoto(B256::repeat_byte(7), B64::from(nonce))
    });
}
