//! Genesis files and fork identifiers of public networks and test chains.

use alloy_consensus::Header;
use alloy_primitives::{B256, hex};
use alloy_rlp::Decodable;
use portico_chainspec::{
    Activation, ChainSpec, EngineConfig, Fork, ForkHash, ForkId, ForkIdError, Header as GenesisHeader,
};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder of test data, or `None` with a message.
fn fixtures() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("PORTICO_FIXTURES").map_or_else(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no fixtures at {}", folder.display());
    None
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn spec(path: &Path) -> ChainSpec {
    let json = std::fs::read(path).unwrap();
    ChainSpec::from_genesis_json(&json).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The hash that the first block of a file has (if it is genesis) or names as its parent (if it is block 1).
fn genesis_hash_of_chain(path: &Path) -> B256 {
    let bytes = std::fs::read(path).unwrap();
    let mut block = alloy_rlp::Header::decode_bytes(&mut bytes.as_slice(), true).unwrap();
    let header = Header::decode(&mut block).unwrap();
    match header.number {
        0 => header.hash_slow(),
        1 => header.parent_hash,
        number => panic!("{} starts with block {number}", path.display()),
    }
}

#[test]
fn genesis_hashes_and_state_roots_of_networks() {
    let Some(fixtures) = fixtures() else { return };
    let expected = json(&fixtures.join("genesis/expected.json"));
    for network in ["mainnet", "sepolia", "hoodi", "holesky", "dev"] {
        let spec = spec(&fixtures.join(format!("genesis/{network}.json")));
        let expected = &expected[network];
        let field = |name: &str| expected[name].as_str().map(|text| text.parse::<B256>().unwrap());
        assert_eq!(spec.chain_id(), expected["chainId"].as_u64().unwrap(), "{network}");
        assert_eq!(spec.genesis_alloc().len() as u64, expected["accounts"].as_u64().unwrap(), "{network}");
        assert_eq!(Some(spec.genesis_header().state_root), field("stateRoot"), "{network}");
        if let Some(hash) = field("genesisHash") {
            assert_eq!(spec.genesis_hash(), hash, "{network}");
        }
    }
}

#[test]
fn built_in_networks_equal_their_genesis_files() {
    let Some(fixtures) = fixtures() else { return };
    for built_in in [ChainSpec::mainnet(), ChainSpec::sepolia(), ChainSpec::hoodi()] {
        let file = spec(&fixtures.join(format!("genesis/{}.json", built_in.name())));
        assert_eq!(built_in.genesis_alloc(), file.genesis_alloc(), "{}", built_in.name());
        assert_eq!(built_in.genesis_header(), file.genesis_header());
        assert_eq!(built_in.terminal_total_difficulty(), file.terminal_total_difficulty());
        assert_eq!(built_in.deposit_contract(), file.deposit_contract());
        assert_eq!(built_in.dao_fork(), file.dao_fork());
        for fork in Fork::ALL {
            // The files are older than Sepolia's date for Amsterdam, and leave out Muir Glacier at genesis.
            if fork == Fork::Amsterdam || (fork == Fork::MuirGlacier && built_in.chain_id() != 1) {
                continue;
            }
            assert_eq!(built_in.activation(fork), file.activation(fork), "{} {fork}", built_in.name());
        }
        for time in [1_710_338_135, 1_746_612_311, 1_764_798_551, 1_765_290_071, 1_767_747_671] {
            assert_eq!(
                built_in.blob_params_at(time),
                file.blob_params_at(time),
                "{} {time}",
                built_in.name()
            );
        }
    }
}

#[test]
fn chains_link_to_their_genesis_files() {
    let Some(fixtures) = fixtures() else { return };
    let chains = [
        ("besu-chains/byzantium/testGenesis.json", "besu-chains/byzantium/testBlockchain.blocks"),
        ("besu-chains/clique-to-pos/clique_to_pos.json", "besu-chains/clique-to-pos/clique.blocks"),
        ("besu-chains/fork-chain-data/genesis-outdated.json", "besu-chains/fork-chain-data/common.blocks"),
        ("besu-chains/fork-chain-data/genesis-upgraded.json", "besu-chains/fork-chain-data/common.blocks"),
        (
            "besu-chains/fork-london-data/testLondonGenesis.json",
            "besu-chains/fork-london-data/testLondonBlockchain.blocks",
        ),
        ("besu-chains/snap/snapGenesis.json", "besu-chains/snap/testBlockchain.blocks"),
        (
            "besu-chains/test-eth-ref-rpc-compact/genesis.json",
            "besu-chains/test-eth-ref-rpc-compact/chain.blocks",
        ),
        ("besu-rpc/debug-geth/chain-data/genesis.json", "besu-rpc/debug-geth/chain-data/blocks.bin"),
        ("besu-rpc/eth-chain/testGenesis.json", "besu-rpc/eth-chain/testBlockchain.blocks"),
        ("besu-rpc/eth/simulateV1/chain-data/genesis.json", "besu-rpc/eth/simulateV1/chain-data/blocks.bin"),
        (
            "besu-rpc/testing_buildBlockV1/chain-data/genesis.json",
            "besu-rpc/testing_buildBlockV1/chain-data/blocks.bin",
        ),
        ("besu-rpc/trace/chain-data/genesis.json", "besu-rpc/trace/chain-data/blocks.bin"),
        (
            "besu-rpc/trace-2025-mined/chain-data/genesis-ethash.json",
            "besu-rpc/trace-2025-mined/chain-data/blocks.bin",
        ),
        ("graphql/chain/testGenesis.json", "graphql/chain/testBlockchain.blocks"),
        ("graphql/chain/besu/testGenesis.json", "graphql/chain/testBlockchain.blocks"),
        ("execution-apis/chain-54-osaka-bpo/genesis.json", "execution-apis/chain-54-osaka-bpo/chain.rlp"),
        ("execution-apis/chain-45-prague/genesis.json", "execution-apis/chain-45-prague/chain.rlp"),
        ("devp2p/ethtest-chain/genesis.json", "devp2p/ethtest-chain/chain.rlp"),
        ("devp2p/hive-pow-chain/genesis.json", "devp2p/hive-pow-chain/fullchain.rlp"),
        ("devp2p/hive-sync-chain/genesis.json", "devp2p/hive-sync-chain/chain.rlp"),
    ];
    for (genesis, chain) in chains {
        let expected = genesis_hash_of_chain(&fixtures.join(chain));
        assert_eq!(spec(&fixtures.join(genesis)).genesis_hash(), expected, "{genesis}");
    }
}

#[test]
fn genesis_files_without_a_chain_parse() {
    let Some(fixtures) = fixtures() else { return };
    for path in [
        "besu-chains/json-import/genesis.json",
        "besu-rpc/acceptance/debug/setHead/genesis.json",
        "besu-rpc/acceptance/debug/replayBlock/genesis.json",
        "besu-rpc/eth/config/chain-data/mainnet-plus-future.json",
    ] {
        spec(&fixtures.join(path));
    }
    let spec_of = |path| spec(&fixtures.join(path));
    let block_lookup = spec_of("besu-rpc/acceptance/eth/getBlockBy/genesis.json");
    let answer =
        json(&fixtures.join("besu-rpc/acceptance/eth/getBlockBy/test-cases/05_get_genesis_block.json"));
    let expected = answer["response"]["result"]["hash"].as_str().unwrap();
    assert_eq!(block_lookup.genesis_hash(), expected.parse::<B256>().unwrap());

    let qbft = spec_of("qbft/acceptance/qbft-emptyextradata.json");
    assert!(matches!(qbft.engine(), EngineConfig::Qbft(section) if section["blockperiodseconds"] == 1));
    let migration = spec_of("qbft/acceptance/migration-ibft1/qbft-migration.json");
    assert_eq!(migration.engine_at(100).name(), "ibft");
    assert_eq!(migration.engine_at(101).name(), "qbft");
    assert_eq!(migration.eip155_block(), Some(25));
    assert_eq!(migration.activation(Fork::SpuriousDragon), Some(Activation::Block(30)));
}

#[test]
fn genesis_header_has_the_fields_of_its_forks() {
    let Some(fixtures) = fixtures() else { return };
    let amsterdam = spec(&fixtures.join("besu-rpc/testing_buildBlockV1/chain-data/genesis.json"));
    let header: &GenesisHeader = amsterdam.genesis_header();
    let empty_list: B256 =
        "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347".parse().unwrap();
    assert_eq!(header.block_access_list_hash, Some(empty_list));
    assert_eq!(header.slot_number, Some(0));
    assert_eq!(amsterdam.activation(Fork::Osaka), Some(Activation::Timestamp(0)));
    assert_eq!(amsterdam.blob_params_at(0).unwrap().max_blobs_per_tx, 6);
    assert_eq!(ChainSpec::mainnet().genesis_header().base_fee_per_gas, None);
    assert_eq!(ChainSpec::sepolia().genesis_header().withdrawals_root, None);
    assert!(ChainSpec::hoodi().genesis_header().parent_beacon_block_root.is_some());
    assert_eq!(ChainSpec::hoodi().genesis_header().requests_hash, None);
}

fn fork_id(hash: &Value, next: &Value) -> ForkId {
    let hash = hex::decode_to_array::<_, 4>(hash.as_str().unwrap()).unwrap();
    ForkId { hash: ForkHash(hash), next: next.as_u64().unwrap() }
}

#[test]
fn fork_ids_of_networks() {
    let Some(fixtures) = fixtures() else { return };
    let vectors = json(&fixtures.join("devp2p/vectors/forkid.json"));
    let mut run = 0;
    for (network, cases) in vectors["networks"].as_object().unwrap() {
        // From the files: they do not know of Amsterdam on Sepolia, as the vectors do not.
        let spec = spec(&fixtures.join(format!("genesis/{network}.json")));
        for case in cases.as_array().unwrap() {
            let (head, time) = (case["head"].as_u64().unwrap(), case["time"].as_u64().unwrap());
            let expected = fork_id(&case["hash"], &case["next"]);
            assert_eq!(spec.fork_id(head, time), expected, "{network} {head} {time}");
            let built_in = ChainSpec::load(network);
            if let (Ok(built_in), "mainnet" | "hoodi") = (built_in, network.as_str()) {
                assert_eq!(built_in.fork_id(head, time), expected, "built-in {network} {head} {time}");
            }
            run += 1;
        }
    }
    eprintln!("{run} fork ids");
    assert!(run > 60);
}

#[test]
fn fork_ids_of_peers_are_judged() {
    let Some(fixtures) = fixtures() else { return };
    let vectors = json(&fixtures.join("devp2p/vectors/forkid.json"));
    // By lines: the terminal total difficulty would not survive a parsed value.
    let text = std::fs::read_to_string(fixtures.join("genesis/mainnet.json")).unwrap();
    let lines = text.lines().filter(|line| !line.contains("Time\":")).collect::<Vec<_>>().join("\n");
    let block_forks_only = ChainSpec::from_genesis_json(lines.as_bytes()).unwrap();
    assert_eq!(block_forks_only.activation(Fork::Shanghai), None);
    for case in vectors["validation"].as_array().unwrap() {
        let mainnet = ChainSpec::mainnet();
        let spec = match case["config"].as_str().unwrap() {
            "mainnet" => &*mainnet,
            "mainnet-block-forks-only" => &block_forks_only,
            other => panic!("{other}"),
        };
        let filter = spec.fork_filter(case["head"].as_u64().unwrap(), case["time"].as_u64().unwrap());
        let verdict = match filter.validate(fork_id(&case["remoteHash"], &case["remoteNext"])) {
            Ok(()) => "accept",
            Err(ForkIdError::RemoteStale { .. }) => "reject-remote-stale",
            Err(ForkIdError::LocalIncompatibleOrStale { .. }) => "reject-local-incompatible-or-stale",
        };
        assert_eq!(verdict, case["result"].as_str().unwrap(), "{case}");
    }
}
