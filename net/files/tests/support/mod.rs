//! Test data: where the fixtures are, and a synthetic chain that needs none.

#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses its own part of this module")]

use alloy_consensus::{
    Header, Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxEip4844, TxLegacy, TxType,
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, Log, Signature, TxKind, U256, keccak256};
use portico_files::{BlockFile, ExportBlock, FileBlock, KeepReceipts, ReadSettings, Transaction};
use std::path::{Path, PathBuf};

/// A folder or file of the fixtures, or `None`, said aloud, where they are absent.
pub fn fixture(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PORTICO_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    let path = root.join(name);
    if !path.exists() {
        println!("SKIPPED: fixture {name} is absent");
        return None;
    }
    Some(path)
}

pub fn with_receipts() -> ReadSettings {
    ReadSettings { receipts: KeepReceipts::Yes, ..Default::default() }
}

pub fn read_all(path: &Path) -> Vec<FileBlock> {
    BlockFile::open_with(path, &with_receipts())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// One block of a synthetic chain with what an archive holds besides.
pub struct TestBlock {
    pub header: Header,
    pub transactions: Vec<Transaction>,
    pub ommers: Vec<Header>,
    pub withdrawals: Option<Vec<Withdrawal>>,
    pub receipts: Vec<ReceiptEnvelope>,
    pub total_difficulty: U256,
}

impl TestBlock {
    pub fn export(&self) -> ExportBlock<'_> {
        ExportBlock {
            header: &self.header,
            transactions: &self.transactions,
            ommers: &self.ommers,
            withdrawals: self.withdrawals.as_deref(),
        }
    }
}

/// Blocks `from .. from + count`, linked, the first `pre_merge` of them with a difficulty and ommers, the others with
/// withdrawals; with transactions of several types, and receipts.
pub fn chain(from: u64, count: u64, pre_merge: u64) -> Vec<TestBlock> {
    let mut parent_hash = B256::repeat_byte(0x11);
    let mut total_difficulty = U256::from(1_000_000_u64);
    (0..count)
        .map(|position| {
            let number = from + position;
            let merged = position >= pre_merge;
            let difficulty = if merged { U256::ZERO } else { U256::from(131_072 + number) };
            total_difficulty += difficulty;
            let header = Header {
                parent_hash,
                number,
                difficulty,
                gas_limit: 30_000_000,
                timestamp: 1_600_000_000 + number,
                extra_data: Bytes::from(number.to_be_bytes().to_vec()),
                base_fee_per_gas: merged.then_some(7),
                withdrawals_root: merged.then_some(B256::repeat_byte(0x22)),
                ..Default::default()
            };
            parent_hash = keccak256(alloy_rlp::encode(&header));
            let ommer = Header { number: number.saturating_sub(1), difficulty, ..Default::default() };
            let withdrawal =
                Withdrawal { index: number, validator_index: 9, address: Address::ZERO, amount: 5 };
            let transactions = transactions(number, merged);
            TestBlock {
                header,
                receipts: receipts(&transactions, number, merged),
                transactions,
                ommers: if merged { vec![] } else { vec![ommer; (number % 3) as usize] },
                withdrawals: merged.then(|| vec![withdrawal; (number % 4) as usize]),
                total_difficulty,
            }
        })
        .collect()
}

fn transactions(number: u64, merged: bool) -> Vec<Transaction> {
    let signature = Signature::new(U256::from(number + 1), U256::from(3), number.is_multiple_of(2));
    let input = Bytes::from(vec![number as u8; (number as usize * 37) % 700]);
    let legacy = TxLegacy {
        chain_id: number.is_multiple_of(2).then_some(1),
        nonce: number,
        gas_price: 5,
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(number as u8)),
        value: U256::from(number),
        input: input.clone(),
    };
    let dynamic = TxEip1559 { chain_id: 1, nonce: number, to: TxKind::Create, input, ..Default::default() };
    let blob =
        TxEip4844 { chain_id: 1, blob_versioned_hashes: vec![B256::repeat_byte(1)], ..Default::default() };
    let mut transactions: Vec<Transaction> = vec![legacy.into_signed(signature).into()];
    if number.is_multiple_of(3) {
        transactions.push(dynamic.into_signed(signature).into());
    }
    if merged {
        transactions.push(Transaction::Eip4844(blob.into_signed(signature)));
    }
    transactions
}

fn receipts(transactions: &[Transaction], number: u64, merged: bool) -> Vec<ReceiptEnvelope> {
    transactions
        .iter()
        .enumerate()
        .map(|(index, tx)| {
            let topics = vec![B256::with_last_byte(number as u8); index % 5];
            let log = Log::new_unchecked(Address::repeat_byte(7), topics, Bytes::from_static(b"data"));
            let receipt = Receipt {
                status: match merged {
                    true => (index % 2 == 0).into(),
                    false => alloy_consensus::Eip658Value::PostState(B256::with_last_byte(number as u8)),
                },
                cumulative_gas_used: 21_000 * (index as u64 + 1),
                logs: vec![log; (number % 3) as usize],
            };
            ReceiptEnvelope::from_typed(TxType::try_from(tx.tx_type() as u8).unwrap(), receipt.with_bloom())
        })
        .collect()
}

/// Asserts that a block read is the block written.
pub fn assert_same(read: &FileBlock, written: &TestBlock) {
    assert_eq!(read.header, written.header);
    assert_eq!(read.hash, keccak256(alloy_rlp::encode(&written.header)));
    assert_eq!(read.transactions, written.transactions);
    assert_eq!(read.ommers, written.ommers);
    assert_eq!(read.withdrawals, written.withdrawals);
}
