//! A generated chain, from its files through all stages.

use std::path::Path;

use portico::{DataDir, GeneratedChain, generate_chain, import_files};
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, SyncMode};
use portico_files::BlockFiles;
use portico_generator::{ForkSchedule, GeneratorConfig, Mix};
use portico_stages::{StageSettings, StopSignal};

/// 40 blocks that pass through all forks and hold transactions of every kind.
fn config() -> GeneratorConfig {
    let defaults = GeneratorConfig::default();
    GeneratorConfig {
        genesis_users: 300,
        tokens: 16,
        transactions_per_block: 100,
        // The rarest kind comes often enough here to be there.
        mix: Mix { staking: 12, ..Mix::default() },
        forks: ForkSchedule::passing_through(defaults.genesis_timestamp, 40),
        ..defaults
    }
}

fn generate(config: &GeneratorConfig, out: &Path) -> GeneratedChain {
    generate_chain(config, 40, out, &StopSignal::default(), &mut |_| {}).unwrap()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn generated_chain_is_imported_up_to_the_same_head() {
    let folder = tempfile::tempdir().unwrap();
    let chain = generate(&config(), folder.path());
    assert_eq!((chain.blocks, chain.surprises), (40, 0));

    let spec = ChainSpec::load(&chain.genesis.to_string_lossy()).unwrap();
    let data_dir = DataDir::new(&folder.path().join("data"));
    let settings = DatabaseSettings { sync_mode: SyncMode::Bulk, ..DatabaseSettings::default() };
    let database = Database::open(&data_dir.database(), &settings).unwrap();
    let files = BlockFiles::discover(std::slice::from_ref(&chain.chain)).unwrap();
    let (stages, stop) = (StageSettings::default(), StopSignal::default());
    let end = import_files(&database, &spec, &data_dir, &stages, files, None, &stop, &()).unwrap();
    assert_eq!((end.head, end.hash), (chain.blocks, chain.head));
}

#[test]
fn same_settings_give_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = generate(&config(), one.path());
    let second = generate(&config(), two.path());
    assert_eq!(read(&first.genesis), read(&second.genesis));
    assert_eq!(read(&first.chain), read(&second.chain));
    let other = generate(&GeneratorConfig { seed: 2, ..config() }, two.path());
    assert_ne!(other.head, first.head);
    // Nothing else stays in the folder.
    assert_eq!(std::fs::read_dir(two.path()).unwrap().count(), 2);
}

#[test]
fn nothing_is_left_of_a_chain_that_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let stop = StopSignal::default();
    let result = generate_chain(&config(), 40, folder.path(), &stop, &mut |chain| {
        if chain.blocks == 3 {
            stop.stop();
        }
    });
    assert!(result.is_err());
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["genesis.json"]);
}
