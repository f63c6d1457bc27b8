//! A glance at every fuzz target, so that none is broken, and nothing that is easy to find is left. `make fuzz` looks
//! longer.

use portico_tests_fuzz::{Corpus, Mutator, TARGETS, minimal_seeds, seeds};

/// Inputs for each target.
const INPUTS: u64 = 3_000;

fn try_all(corpus: &Corpus, inputs: u64) {
    for target in TARGETS {
        let seeds = corpus.get(target.name).map_or(&[][..], Vec::as_slice);
        for position in 0..inputs {
            let input = Mutator::new(1, position).input(seeds);
            let found = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(found.is_ok(), "target {} on {}", target.name, alloy_primitives::hex::encode(&input));
        }
    }
}

#[test]
fn no_target_finds_anything_in_changed_real_data() {
    let corpus = seeds().unwrap();
    for target in TARGETS {
        for seed in corpus.get(target.name).into_iter().flatten() {
            (target.run)(seed);
        }
    }
    try_all(&corpus, INPUTS);
}

#[test]
fn no_target_finds_anything_without_fixtures() {
    let corpus = minimal_seeds().unwrap();
    for target in TARGETS {
        let has_seed = corpus.get(target.name).is_some_and(|seeds| !seeds.is_empty());
        assert!(has_seed || matches!(target.name, "transaction" | "receipts"), "{} has no seed", target.name);
    }
    try_all(&corpus, INPUTS / 10);
}
