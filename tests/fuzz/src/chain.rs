//! Blocks and their parts, and the files that hold them.

use std::path::Path;

use alloy_consensus::Header;
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::keccak256;
use alloy_rlp::{Decodable, Encodable};
use portico_evm::{SignatureRules, Transaction, recover_sender};
use portico_files::{
    BlockFile, FileReceipts, KeepReceipts, ReadSettings, ReceiptsEncoding, decode_block_rlp,
};

/// Blocks that are read from one file, at most: damaged ones may seem endless.
const BLOCKS_MAX: usize = 1_000;

/// A block's RLP, which must encode to the same bytes.
pub fn block(bytes: &[u8]) {
    let Ok(decoded) = decode_block_rlp(bytes) else { return };
    assert_eq!(decoded.rlp_length, bytes.len());
    assert_eq!(decoded.hash, decoded.header.hash_slow());
    let block = alloy_consensus::Block::<Transaction> {
        header: decoded.header,
        body: alloy_consensus::BlockBody {
            transactions: decoded.transactions,
            ommers: decoded.ommers,
            withdrawals: decoded.withdrawals.map(Into::into),
        },
    };
    assert_eq!(alloy_rlp::encode(&block), bytes);
}

/// A header's RLP.
pub fn header(bytes: &[u8]) {
    let mut rest = bytes;
    let Ok(header) = Header::decode(&mut rest) else { return };
    let mut again = Vec::new();
    header.encode(&mut again);
    assert_eq!(again.len(), header.length());
    assert_eq!(Header::decode(&mut &again[..]).as_ref(), Ok(&header));
    assert_eq!(keccak256(&again), header.hash_slow());
}

/// A transaction as it goes into blocks' tries (EIP-2718), and who sent it.
pub fn transaction(bytes: &[u8]) {
    let Ok(transaction) = Transaction::decode_2718_exact(bytes) else { return };
    assert_eq!(transaction.encode_2718_len(), bytes.len());
    assert_eq!(transaction.encoded_2718(), bytes);
    let rules =
        SignatureRules { low_s: false, chain_id: alloy_consensus::Transaction::chain_id(&transaction) };
    let (any_s, low_s) = (
        recover_sender(&transaction, rules),
        recover_sender(&transaction, SignatureRules { low_s: true, ..rules }),
    );
    assert!(low_s.is_none() || low_s == any_s, "{low_s:?} and {any_s:?}");
}

/// Receipts as archives hold them; the first byte says in which form.
pub fn receipts(bytes: &[u8]) {
    let Some((form, rlp)) = bytes.split_first() else { return };
    let encoding = match form % 2 {
        0 => ReceiptsEncoding::Consensus,
        _ => ReceiptsEncoding::Slim,
    };
    let receipts = FileReceipts { encoding, rlp: rlp.to_vec().into() };
    let Ok(decoded) = receipts.decode() else { return };
    if encoding == ReceiptsEncoding::Consensus {
        assert_eq!(alloy_rlp::encode(&decoded), rlp);
    }
    receipts.root().expect("what decodes has a root");
}

/// A whole file: RLP, gzip, era1 or ere.
pub fn archive(bytes: &[u8]) {
    let settings = ReadSettings { receipts: KeepReceipts::Yes, ..ReadSettings::default() };
    let Ok(mut file) = BlockFile::from_bytes(Path::new("fuzzed"), bytes, &settings) else { return };
    let first = file.peek_number();
    let mut last = None;
    for (index, block) in file.by_ref().take(BLOCKS_MAX).enumerate() {
        let Ok(block) = block else { break };
        if index == 0 {
            assert_eq!(first.as_ref().ok(), Some(&Some(block.number())));
        }
        assert!(
            last.is_none_or(|last: u64| last.checked_add(1) == Some(block.number())),
            "numbers rise by one"
        );
        last = Some(block.number());
        if let Some(receipts) = &block.receipts {
            let _ = receipts.decode();
        }
    }
    let mut file = BlockFile::from_bytes(Path::new("fuzzed"), bytes, &settings).expect("it opened before");
    if file.skip_to(u64::from(bytes[0])).is_ok() {
        let _ = file.next();
    }
}
