//! Real blocks: every block file of the fixtures, read to its end.

mod support;

use alloy_consensus::proofs::{
    calculate_ommers_root, calculate_transaction_root, calculate_withdrawals_root,
};
use alloy_primitives::{B256, U256, b256, hex};
use portico_files::{
    BlockFile, BlockFiles, Era1Writer, EreWriter, FileBlock, FileFormat, Problem, RlpWriter, decode_block_rlp,
};
use std::path::Path;
use support::{fixture, read_all};

/// Checks what the crate leaves to its consumers: roots, links, total difficulties.
fn check_chain(blocks: &[FileBlock]) {
    for block in blocks {
        let header = &block.header;
        assert_eq!(calculate_transaction_root(&block.transactions), header.transactions_root);
        assert_eq!(calculate_ommers_root(&block.ommers), header.ommers_hash);
        assert_eq!(
            block.withdrawals.as_ref().map(|withdrawals| calculate_withdrawals_root(withdrawals)),
            header.withdrawals_root
        );
        if let Some(receipts) = &block.receipts {
            assert_eq!(receipts.root().unwrap(), header.receipts_root);
            assert_eq!(receipts.decode().unwrap().len(), block.transactions.len());
        }
    }
    for pair in blocks.windows(2) {
        if pair[0].header.mix_hash != ISTANBUL_DIGEST {
            assert_eq!(pair[1].header.parent_hash, pair[0].hash, "block {}", pair[1].number());
        }
        if let (Some(before), Some(after)) = (pair[0].total_difficulty, pair[1].total_difficulty) {
            assert_eq!(before + pair[1].header.difficulty, after);
        }
    }
}

/// The mix hash of IBFT and QBFT headers, whose block hashes leave out their seals.
const ISTANBUL_DIGEST: B256 = b256!("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365");

struct Era1Fixture {
    path: &'static str,
    first_block: u64,
    transactions: usize,
    /// `None` where nobody has counted them for us.
    ommers: Option<usize>,
    last_hash: [u8; 4],
}

const ERA1_FIXTURES: [Era1Fixture; 3] = [
    Era1Fixture {
        path: "real-chains/mainnet/mainnet-00000-5ec1ffb8.era1",
        first_block: 0,
        transactions: 0,
        ommers: Some(1410),
        last_hash: hex!("a6860fef"),
    },
    Era1Fixture {
        path: "real-chains/sepolia/sepolia-00000-643a00f7.era1",
        first_block: 0,
        transactions: 0,
        ommers: None,
        last_hash: hex!("8e3e7dc9"),
    },
    Era1Fixture {
        path: "real-chains/sepolia/sepolia-00021-b8814b14.era1",
        first_block: 172_032,
        transactions: 93,
        ommers: Some(1273),
        last_hash: hex!("af105ff1"),
    },
];

#[test]
fn era1_files_are_read_to_the_end_and_every_root_fits() {
    for Era1Fixture { path, first_block, transactions, ommers, last_hash } in ERA1_FIXTURES {
        let Some(path) = fixture(path) else { continue };
        let mut file = BlockFile::open(&path).unwrap();
        assert_eq!(file.format(), FileFormat::Era1);
        assert_eq!(file.peek_number().unwrap(), Some(first_block));
        assert_eq!(file.last_block_hint(), Some(first_block + 8191));
        let blocks = read_all(&path);
        assert_eq!(blocks.len(), 8192);
        check_chain(&blocks);
        assert_eq!(blocks.iter().map(|block| block.transactions.len()).sum::<usize>(), transactions);
        if let Some(ommers) = ommers {
            assert_eq!(blocks.iter().map(|block| block.ommers.len()).sum::<usize>(), ommers);
        }
        assert_eq!(blocks[8191].hash[..4], last_hash);
        assert_eq!(file.by_ref().count(), 8192);
        assert_eq!(file.bytes_read(), file.byte_length());
    }
}

#[test]
fn era1_files_are_written_back_byte_for_byte() {
    for Era1Fixture { path, .. } in ERA1_FIXTURES {
        let Some(path) = fixture(path) else { continue };
        let name = path.file_name().unwrap().to_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Era1Writer::new(folder.path(), name.split('-').next().unwrap());
        for block in read_all(&path) {
            let receipts = block.receipts.as_ref().unwrap().decode().unwrap();
            writer.write((&block).into(), &receipts, block.total_difficulty.unwrap()).unwrap();
        }
        let written = writer.finish().unwrap();
        assert_eq!(written, [folder.path().join(name)], "the name holds the accumulator root");
        let (ours, original) = (std::fs::read(&written[0]).unwrap(), std::fs::read(&path).unwrap());
        assert!(ours == original, "{name}: {} bytes written, {} in the original", ours.len(), original.len());
    }
}

#[test]
fn an_era1_file_written_as_ere_keeps_its_blocks_and_accumulator() {
    let Some(path) = fixture("real-chains/sepolia/sepolia-00021-b8814b14.era1") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EreWriter::new(folder.path(), "sepolia");
    let blocks = read_all(&path);
    for block in &blocks {
        let receipts = block.receipts.as_ref().unwrap().decode().unwrap();
        writer.write(block.into(), Some(&receipts), block.total_difficulty).unwrap();
    }
    let written = writer.finish().unwrap().remove(0);
    assert!(written.ends_with("sepolia-00021-af105ff1-noproofs.ere"), "{}", written.display());
    let again = read_all(&written);
    check_chain(&again);
    for (again, block) in again.iter().zip(&blocks) {
        assert_eq!((again.hash, again.total_difficulty), (block.hash, block.total_difficulty));
    }
    let bytes = std::fs::read(&written).unwrap();
    let index_bytes = 8 + 24 + 8 * 4 * 8192;
    assert_eq!(bytes[bytes.len() - index_bytes - 32..][..4], hex!("b8814b14"), "the accumulator root");
}

#[test]
fn blocks_whose_hashes_leave_out_seals_can_be_archived() {
    let Some(path) = fixture("qbft/acceptance/migration-ibft1/ibft.blocks") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut era1 = Era1Writer::new(folder.path(), "ibft");
    let mut ere = EreWriter::new(folder.path(), "ibft");
    let blocks = read_all(&path);
    for (block, total_difficulty) in blocks.iter().zip(1_u64..) {
        era1.write(block.into(), &[], U256::from(total_difficulty)).unwrap();
        ere.write(block.into(), None, Some(U256::from(total_difficulty))).unwrap();
    }
    for path in [era1.finish().unwrap(), ere.finish().unwrap()].concat() {
        let hashes = |blocks: &[FileBlock]| blocks.iter().map(|block| block.hash).collect::<Vec<_>>();
        assert_eq!(hashes(&read_all(&path)), hashes(&blocks));
    }
}

#[test]
fn archives_are_read_from_any_block_on() {
    let Some(path) = fixture("real-chains/sepolia/sepolia-00021-b8814b14.era1") else { return };
    let mut file = BlockFile::open(&path).unwrap();
    file.skip_to(180_222).unwrap();
    assert_eq!(file.peek_number().unwrap(), Some(180_222));
    let numbers: Vec<u64> = file.map(|block| block.unwrap().number()).collect();
    assert_eq!(numbers, [180_222, 180_223]);
}

/// Path, number of the first block, number of blocks.
const RLP_FIXTURES: [(&str, u64, usize); 24] = [
    ("real-chains/mainnet/besu/1000.blocks", 0, 1000),
    ("real-chains/mainnet/besu/badpow.blocks", 0, 2),
    ("real-chains/mainnet/besu/single/block_1.blocks", 1, 1),
    ("real-chains/mainnet/besu/single/block_300005.blocks", 300_005, 1),
    ("real-chains/mainnet/besu/single/block_300006.blocks", 300_006, 1),
    ("real-chains/mainnet/besu/single/block_1200000.blocks", 1_200_000, 1),
    ("real-chains/mainnet/besu/single/block_1200001.blocks", 1_200_001, 1),
    ("real-chains/mainnet/besu/single/block_4400000.blocks", 4_400_000, 1),
    ("real-chains/mainnet/besu/single/block_4400001.blocks", 4_400_001, 1),
    ("real-chains/mainnet/besu/single/block_4400002.blocks", 4_400_002, 1),
    ("real-chains/stateless/1192c3_block.rlp", 1_151_683, 1),
    ("execution-apis/chain-54-osaka-bpo/chain.rlp", 1, 54),
    ("execution-apis/chain-45-prague/chain.rlp", 1, 45),
    ("devp2p/ethtest-chain/chain.rlp", 1, 600),
    ("devp2p/hive-pow-chain/fullchain.rlp", 1, 3000),
    ("devp2p/hive-pow-chain/halfchain.rlp", 1, 999),
    ("devp2p/hive-sync-chain/chain.rlp", 1, 3000),
    ("besu-chains/byzantium/testBlockchain.blocks", 0, 33),
    ("besu-chains/clique-to-pos/clique.blocks", 0, 5),
    ("besu-chains/fork-chain-data/common.blocks", 0, 7),
    ("besu-chains/fork-chain-data/fork-outdated.blocks", 0, 11),
    ("besu-chains/fork-chain-data/fork-upgraded.blocks", 0, 11),
    ("graphql/chain/testBlockchain.blocks", 0, 35),
    ("qbft/acceptance/migration-ibft1/ibft.blocks", 0, 101),
];

#[test]
fn rlp_files_hold_the_blocks_they_are_known_for() {
    for (name, first, count) in RLP_FIXTURES {
        let Some(path) = fixture(name) else { continue };
        let blocks = read_all(&path);
        println!("{name}: {} to {}", blocks[0].number(), blocks[blocks.len() - 1].number());
        assert_eq!((blocks[0].number(), blocks.len()), (first, count), "{name}");
        check_chain(&blocks);
        let total: usize = blocks.iter().map(|block| block.rlp_length).sum();
        assert_eq!(total as u64, path.metadata().unwrap().len(), "{name}: lengths add up to the file");
    }
}

#[test]
fn first_thousand_mainnet_blocks_end_in_the_known_hash() {
    let Some(path) = fixture("real-chains/mainnet/besu/1000.blocks") else { return };
    let blocks = read_all(&path);
    assert_eq!(blocks[999].hash[..4], hex!("c31b362e"));
    assert_eq!(blocks.iter().map(|block| block.ommers.len()).sum::<usize>(), 293);
}

#[test]
fn every_other_block_file_of_the_fixtures_is_read_and_written_back() {
    for folder in ["execution-apis", "graphql", "besu-chains", "besu-rpc", "devp2p", "qbft"] {
        let Some(folder) = fixture(folder) else { continue };
        let found = BlockFiles::discover(&[folder]).unwrap();
        assert!(found.files().iter().all(|file| file.format == FileFormat::Rlp));
        for file in found.files() {
            let blocks = read_all(&file.path);
            println!("{}: {} blocks", file.path.display(), blocks.len());
            check_chain(&blocks);
            for name in ["again.rlp", "again.rlp.gz"] {
                check_written_back(&file.path, &blocks, name);
            }
        }
    }
}

fn check_written_back(original: &Path, blocks: &[FileBlock], name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut writer = RlpWriter::create(&path).unwrap();
    for block in blocks {
        writer.write(block.into()).unwrap();
    }
    writer.finish().unwrap();
    let hashes = |path: &Path| read_all(path).iter().map(|block| block.hash).collect::<Vec<B256>>();
    match name.ends_with(".gz") {
        true => assert_eq!(hashes(&path), hashes(original)),
        false => assert!(std::fs::read(&path).unwrap() == std::fs::read(original).unwrap()),
    }
}

#[test]
fn a_witness_is_no_block() {
    let Some(path) = fixture("real-chains/stateless/1192c3_witness.rlp") else { return };
    assert!(decode_block_rlp(&std::fs::read(&path).unwrap()).is_err());
    let error = BlockFile::open(&path).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error.problem, Problem::Block(_)), "{error}");
}
