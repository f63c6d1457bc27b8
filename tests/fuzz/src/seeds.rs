//! Inputs to start from: real chains from the fixtures, every form in which they are stored, and a few by hand for
//! when there are no fixtures.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy_consensus::{Header, ReceiptEnvelope, Signed, TxEip4844WithSidecar};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Signature, U256};
use eyre::{Result, eyre};
use portico_db::{Value, models::HistoryChunkBuilder, tables::TABLES};
use portico_files::{
    BlockFile, Era1Writer, EreWriter, ExportBlock, FileBlock, KeepReceipts, ReadSettings, RlpWriter,
};
use portico_spec::for_each_file;
use portico_test_support::{fixtures, import_chain};
use portico_txpool::{NetworkTransaction, Sidecar, decode_network_transaction};

/// Inputs by target.
pub type Corpus = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// Largest seed, in bytes: smaller ones are changed more often where it matters.
const SEED_BYTES_MAX: usize = 64 << 10;
/// Blocks of each chain, and rows of each table.
const TAKEN: usize = 24;

/// Chains in the fixtures: the folder, genesis file and blocks.
const CHAINS: [(&str, &str, &str); 3] = [
    ("besu-chains/snap", "snapGenesis.json", "testBlockchain.blocks"),
    ("devp2p/hive-pow-chain", "genesis.json", "halfchain.rlp"),
    ("execution-apis/chain-54-osaka-bpo", "genesis.json", "chain.rlp"),
];

/// Seeds made by hand and, where the fixtures are, from them.
///
/// # Errors
/// When a fixture cannot be read.
pub fn seeds() -> Result<Corpus> {
    let mut corpus = minimal_seeds()?;
    let Some(folder) = fixtures() else {
        eprintln!(
            "SKIPPED: the fixtures are not at ../shared/fixtures nor at $PORTICO_FIXTURES (seeds of real data)"
        );
        return Ok(corpus);
    };
    for (chain, genesis, blocks) in CHAINS {
        let folder = folder.join(chain);
        add_blocks(&mut corpus, &folder.join(blocks))?;
        add_rows(&mut corpus, &folder.join(genesis), &folder.join(blocks))?;
        add_file(&mut corpus, "genesis", &folder.join(genesis))?;
    }
    add_file(&mut corpus, "genesis", &folder.join("genesis/dev.json"))?;
    add_file(&mut corpus, "witness_rlp", &folder.join("real-chains/stateless/1192c3_witness.rlp"))?;
    add_archive_receipts(&mut corpus, &folder.join("real-chains/sepolia/sepolia-00021-b8814b14.era1"))?;
    add_witnesses(&mut corpus, &folder.join("erigon-rpc/hive/debug_executionWitness"))?;
    add_state_tests(&mut corpus, &folder.join("eest/state.tar.zst"))?;
    for seeds in corpus.values_mut() {
        seeds.retain(|seed| seed.len() <= SEED_BYTES_MAX);
        seeds.sort_unstable();
        seeds.dedup();
    }
    Ok(corpus)
}

/// Seeds that need no fixtures.
///
/// # Errors
/// When there is no room for temporary files.
pub fn minimal_seeds() -> Result<Corpus> {
    let mut corpus = Corpus::new();
    corpus.insert("rpc", crate::rpc::seeds());
    let block = FileBlock {
        header: Header::default(),
        hash: Header::default().hash_slow(),
        transactions: Vec::new(),
        ommers: vec![Header::default()],
        withdrawals: Some(Vec::new()),
        rlp_length: 0,
        total_difficulty: None,
        accumulator: None,
        receipts: None,
    };
    add_block(&mut corpus, &block);
    add_archives(&mut corpus, &[(block, Vec::new())])?;
    let genesis =
        br#"{"config":{"chainId":1,"homesteadBlock":0},"difficulty":"0x1","gasLimit":"0x1388","alloc":{}}"#;
    corpus.entry("genesis").or_default().push(genesis.to_vec());
    corpus.entry("witness_rlp").or_default().push(vec![0xc4, 0xc0, 0xc0, 0xc0, 0xc0]);
    corpus.entry("witness_json").or_default().push(br#"{"state":["0x80"],"codes":[],"headers":[]}"#.to_vec());
    let mut chunk = HistoryChunkBuilder::default();
    for block_number in [1, 5, 300] {
        chunk.try_push(block_number, &[7; 20]);
    }
    let chunk = [&4_u64.to_be_bytes()[..], &chunk.take()].concat();
    corpus.entry("chunk").or_default().push(chunk);
    for sidecar in [Sidecar::Eip4844(Default::default()), Sidecar::Eip7594(Default::default())] {
        let tx = TxEip4844WithSidecar { tx: Default::default(), sidecar };
        let signature = Signature::new(U256::from(1), U256::from(1), false);
        let sent = NetworkTransaction::Eip4844(Signed::new_unhashed(tx, signature));
        let mut item = Vec::new();
        sent.network_encode(&mut item);
        corpus.entry("journal").or_default().push(item);
        corpus.entry("pooled").or_default().push(sent.encoded_2718());
    }
    let mut header = vec![2, 1];
    Header::default().encode(&mut header);
    corpus.entry("row").or_default().push(header);
    corpus
        .entry("state_test")
        .or_default()
        .push(br#"{"env":{},"pre":{},"transaction":{},"post":{}}"#.to_vec());
    Ok(corpus)
}

fn add_blocks(corpus: &mut Corpus, file: &Path) -> Result<()> {
    let blocks = BlockFile::open(file)?.collect::<Result<Vec<_>, _>>()?;
    // From everywhere in the chain: forks come one after the other.
    for block in blocks.iter().step_by(blocks.len().div_ceil(TAKEN)) {
        add_block(corpus, block);
    }
    let few: Vec<_> = blocks.iter().take(3).map(|block| (block.clone(), Vec::new())).collect();
    add_archives(corpus, &few)
}

fn add_block(corpus: &mut Corpus, block: &FileBlock) {
    let body = alloy_consensus::BlockBody {
        transactions: block.transactions.clone(),
        ommers: block.ommers.clone(),
        withdrawals: block.withdrawals.clone().map(Into::into),
    };
    corpus.entry("header").or_default().push(alloy_rlp::encode(&block.header));
    corpus
        .entry("transaction")
        .or_default()
        .extend(block.transactions.iter().map(Encodable2718::encoded_2718));
    for transaction in &block.transactions {
        // Blob transactions are not sent as blocks hold them: they are added by hand.
        if let Ok(sent) = decode_network_transaction(&transaction.encoded_2718()) {
            let mut item = Vec::new();
            sent.network_encode(&mut item);
            corpus.entry("journal").or_default().push(item.repeat(2));
            corpus.entry("pooled").or_default().push(sent.encoded_2718());
        }
    }
    let block = alloy_consensus::Block { header: block.header.clone(), body };
    corpus.entry("block").or_default().push(alloy_rlp::encode(&block));
}

/// The blocks in files of all kinds; they must follow each other.
fn add_archives(corpus: &mut Corpus, blocks: &[(FileBlock, Vec<ReceiptEnvelope>)]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut era1 = Era1Writer::new(folder.path(), "fuzz");
    let mut ere = EreWriter::new(folder.path(), "fuzz");
    let plain = folder.path().join("blocks.rlp");
    let packed = folder.path().join("blocks.rlp.gz");
    let (mut rlp, mut gzip) = (RlpWriter::create(&plain)?, RlpWriter::create(&packed)?);
    let mut total_difficulty = U256::ZERO;
    for (block, receipts) in blocks {
        let export = ExportBlock::from(block);
        total_difficulty += block.header.difficulty;
        ere.write(export, Some(receipts), Some(total_difficulty))?;
        rlp.write(export)?;
        gzip.write(export)?;
        era1.write(export, receipts, total_difficulty)?;
    }
    rlp.finish()?;
    gzip.finish()?;
    let files: Vec<PathBuf> =
        era1.finish()?.into_iter().chain(ere.finish()?).chain([plain, packed]).collect();
    files.iter().try_for_each(|file| add_file(corpus, "archive", file))
}

/// Rows of every table, when the chain has been imported.
fn add_rows(corpus: &mut Corpus, genesis: &Path, blocks: &Path) -> Result<()> {
    let node = import_chain(genesis, &[blocks.to_owned()])?;
    let txn = node.database.begin_ro()?;
    let (mut rows, mut chunks) = (Vec::new(), Vec::new());
    for (index, table) in TABLES.iter().enumerate() {
        let table_byte = u8::try_from(index)?;
        let every = 1 + count(&txn, index)? / TAKEN;
        let mut position = 0;
        txn.for_each_raw(index, |key, value| {
            if position % every == 0 {
                rows.push([&[table_byte, 0], key].concat());
                rows.push([&[table_byte, 1], value].concat());
                if matches!(table.name, "AccountHistory" | "StorageHistory") {
                    chunks.push([&3_u64.to_be_bytes()[..], value].concat());
                }
            }
            position += 1;
            true
        })?;
    }
    corpus.entry("row").or_default().extend(rows);
    corpus.entry("chunk").or_default().extend(chunks);
    Ok(())
}

fn count(txn: &portico_db::RoTxn<'_>, index: usize) -> Result<usize> {
    let mut count = 0;
    txn.for_each_raw(index, |_, _| {
        count += 1;
        true
    })?;
    Ok(count)
}

/// Receipts of real blocks in both forms, and these blocks in small archives.
fn add_archive_receipts(corpus: &mut Corpus, file: &Path) -> Result<()> {
    let settings = ReadSettings { receipts: KeepReceipts::Yes, ..ReadSettings::default() };
    let mut blocks = Vec::new();
    for block in BlockFile::open_with(file, &settings)? {
        let block = block?;
        let receipts = block.receipts.as_ref().ok_or_else(|| eyre!("the archive has receipts"))?.clone();
        let count = block.transactions.len();
        if !(1..4).contains(&count) {
            continue;
        }
        let decoded = receipts.decode()?;
        corpus.entry("receipts").or_default().push([&[0], &receipts.rlp[..]].concat());
        blocks.push((block, decoded));
        if blocks.len() == TAKEN {
            break;
        }
    }
    for (index, block) in blocks.into_iter().enumerate() {
        let one = [block];
        add_slim_receipts(corpus, &one)?;
        if index < 4 {
            add_archives(corpus, &one)?;
        }
    }
    Ok(())
}

fn add_slim_receipts(corpus: &mut Corpus, blocks: &[(FileBlock, Vec<ReceiptEnvelope>)]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut writer = EreWriter::new(folder.path(), "fuzz");
    for (block, receipts) in blocks {
        writer.write(ExportBlock::from(block), Some(receipts), block.total_difficulty)?;
    }
    let settings = ReadSettings { receipts: KeepReceipts::Yes, ..ReadSettings::default() };
    for file in writer.finish()? {
        for block in BlockFile::open_with(&file, &settings)? {
            let receipts = block?.receipts.ok_or_else(|| eyre!("the archive has receipts"))?;
            corpus.entry("receipts").or_default().push([&[1], &receipts.rlp[..]].concat());
        }
    }
    Ok(())
}

fn add_witnesses(corpus: &mut Corpus, folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let conversation: serde_json::Value = serde_json::from_slice(&std::fs::read(entry?.path())?)?;
        for exchange in conversation.as_array().into_iter().flatten() {
            let witness = serde_json::to_vec(&exchange["response"]["result"])?;
            corpus.entry("witness_json").or_default().push(witness);
        }
    }
    Ok(())
}

fn add_state_tests(corpus: &mut Corpus, archive: &Path) -> Result<()> {
    for_each_file(&[archive.to_owned()], |file| {
        let cases: BTreeMap<String, Box<serde_json::value::RawValue>> =
            file.ok().and_then(|file| serde_json::from_str(&file.text).ok()).unwrap_or_default();
        let case = cases.values().find(|case| case.get().len() < 8 << 10);
        let tests = corpus.entry("state_test").or_default();
        tests.extend(case.map(|case| case.get().as_bytes().to_vec()));
        if tests.len() < 60 { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
    })?;
    Ok(())
}

fn add_file(corpus: &mut Corpus, target: &'static str, file: &Path) -> Result<()> {
    corpus.entry(target).or_default().push(std::fs::read(file)?);
    Ok(())
}
