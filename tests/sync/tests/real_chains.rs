//! Real and published chains end at their real heads, with the state root checked at the end of each batch.

use portico_test_support::{TestNode, fixture};

/// Imports `files` (relative to `folder`) and compares the head.
fn ends_at(folder: &str, genesis: &str, files: &[&str], head: u64, hash: &str) {
    let Some(folder) = fixture(folder) else { return };
    let chain = match genesis {
        "mainnet" | "sepolia" => genesis.to_owned(),
        file => folder.join(file).to_string_lossy().into_owned(),
    };
    let node = TestNode::new(&chain).unwrap();
    let files: Vec<_> = files.iter().map(|file| folder.join(file)).collect();
    let (number, found) = node.import(&files, None).unwrap();
    assert_eq!((number, found.to_string()), (head, hash.to_owned()));
}

#[test]
fn mainnet_from_genesis() {
    ends_at(
        "real-chains/mainnet",
        "mainnet",
        &["mainnet-00000-5ec1ffb8.era1"],
        8191,
        "0xa6860fefa339c963e1bb622526cc8dd4344eedd2a9b969e74de5cccc445fbed4",
    );
}

#[test]
fn mainnet_from_plain_rlp() {
    ends_at(
        "real-chains/mainnet",
        "mainnet",
        &["besu/1000.blocks"],
        999,
        "0xc31b362e591aa07faa977dbc492ae43cd47eef291920435153bbbf3acaf2fc2f",
    );
}

#[test]
fn sepolia_from_genesis() {
    ends_at(
        "real-chains/sepolia",
        "sepolia",
        &["sepolia-00000-643a00f7.era1"],
        8191,
        "0x8e3e7dc9ef199c05683417b4aa572f0b7a8bcfafca7edb6045baabc01aa4fb0c",
    );
}

#[test]
fn every_fork_to_osaka_and_its_blob_schedules() {
    ends_at(
        "execution-apis/chain-54-osaka-bpo",
        "genesis.json",
        &["chain.rlp"],
        54,
        "0xd226371d0b1551adb03fb52b71f08e3e11247fe9b1af994768af8cdaa8e7dcd7",
    );
}

#[test]
fn every_fork_to_prague() {
    ends_at(
        "execution-apis/chain-45-prague",
        "genesis.json",
        &["chain.rlp"],
        45,
        "0xe27a3e81bd7cfe2aec2cc9e832c73a17c93e7efcf659cf4b39883b96c48708c2",
    );
}

#[test]
fn graphql_chain() {
    let hash = "0x4859ea10d276f6df988eabd48a02e0696cfd3deb769d2a5e0e416a5f3191028a";
    ends_at("graphql/chain", "testGenesis.json", &["testBlockchain.blocks"], 34, hash);
    ends_at("graphql/chain", "besu/testGenesis.json", &["testBlockchain.blocks"], 34, hash);
}

#[test]
fn besu_chains() {
    let cases = [
        (
            "snap",
            "snapGenesis.json",
            "testBlockchain.blocks",
            500,
            "0x36a166f0dcd160fc5e5c61c9a7c2d7f236d9175bf27f43aaa2150e291f092ef7",
        ),
        (
            "byzantium",
            "testGenesis.json",
            "testBlockchain.blocks",
            32,
            "0x71d59849ddd98543bdfbe8548f5eed559b07b8aaf196369f39134500eab68e53",
        ),
        (
            "fork-london-data",
            "testLondonGenesis.json",
            "testLondonBlockchain.blocks",
            5,
            "0x03290a909cff32be9ce85f27c50570e9a94212dfb212c15f7a15cbdda70a7abc",
        ),
        (
            "test-eth-ref-rpc-compact",
            "genesis.json",
            "chain.blocks",
            3,
            "0x1ec8dde1f5bd29b8fb4c206d6c23924f0b6681951ca90653689995c0c59ffa6f",
        ),
        (
            "clique-to-pos",
            "clique_to_pos.json",
            "clique.blocks",
            4,
            "0xae48cf1ec1ba9ca96eb32fdac8b00ee22880e508fdb2aac93774b43a701aec1c",
        ),
    ];
    for (folder, genesis, blocks, head, hash) in cases {
        ends_at(&format!("besu-chains/{folder}"), genesis, &[blocks], head, hash);
    }
}

#[test]
fn chains_for_sync() {
    let cases = [
        (
            "ethtest-chain",
            "chain.rlp",
            600,
            "0x44e3809c9a3cda717f00aea3a9da336d149612c8d5657fbc0028176ef8d94d2a",
        ),
        (
            "hive-sync-chain",
            "chain.rlp",
            3000,
            "0xd4a8090b9de16baae99540d32b02b4d970428fb1d07b4ea200bc6bb7894034a0",
        ),
        (
            "hive-pow-chain",
            "fullchain.rlp",
            3000,
            "0x08b44ea00a0898751b1561439f7355138dba4561b0f2a5470b6b2daf890585c9",
        ),
    ];
    for (folder, blocks, head, hash) in cases {
        ends_at(&format!("devp2p/{folder}"), "genesis.json", &[blocks], head, hash);
    }
}

#[test]
fn chains_of_rpc_tests() {
    let cases = [
        (
            "trace/chain-data",
            "genesis.json",
            "blocks.bin",
            33,
            "0xacd6cfbb9acbbe3443260a0e73ea80b932a1f32f2479b988c26d02d5eabc2e16",
        ),
        (
            "debug-geth/chain-data",
            "genesis.json",
            "blocks.bin",
            34,
            "0x767faa256232c7b42ca3c9ccb7d0edb763c6c648198e7628b713a778fe213732",
        ),
        (
            "eth-chain",
            "testGenesis.json",
            "testBlockchain.blocks",
            34,
            "0x4859ea10d276f6df988eabd48a02e0696cfd3deb769d2a5e0e416a5f3191028a",
        ),
    ];
    for (folder, genesis, blocks, head, hash) in cases {
        ends_at(&format!("besu-rpc/{folder}"), genesis, &[blocks], head, hash);
    }
}
