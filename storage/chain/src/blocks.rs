//! Headers, bodies and whole blocks by number and hash.

use std::collections::HashMap;

use alloy_consensus::{Block, BlockBody, Header};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, U256};
use portico_db::{
    Key, RwTxn, TransactionKind, Txn,
    models::{BlockHashKey, StoredBody, Transaction},
    tables,
};

use crate::{ChainError, read_transactions};

/// A block with its hash, as sources hand it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockParts {
    /// Keccak of the header's RLP.
    pub hash: B256,
    /// The header.
    pub header: Header,
    /// Transactions in order.
    pub transactions: Vec<Transaction>,
    /// Ommers.
    pub ommers: Vec<Header>,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

impl BlockParts {
    /// From a block in alloy's form, whose hash is known.
    pub fn from_block(hash: B256, block: Block<Transaction>) -> Self {
        Self {
            hash,
            header: block.header,
            transactions: block.body.transactions,
            ommers: block.body.ommers,
            withdrawals: block.body.withdrawals.map(|withdrawals| withdrawals.into_inner()),
        }
    }

    /// The block in alloy's form.
    pub fn into_block(self) -> Block<Transaction> {
        let body = BlockBody {
            transactions: self.transactions,
            ommers: self.ommers,
            withdrawals: self.withdrawals.map(Into::into),
        };
        Block { header: self.header, body }
    }
}

/// Hash of the canonical block at `block_number`.
pub fn canonical_hash<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Option<B256>, ChainError> {
    Ok(txn.get::<tables::CanonicalHeaders>(&block_number)?)
}

/// Number of a canonical or side block.
pub fn block_number_of<K: TransactionKind>(txn: &Txn<'_, K>, hash: &B256) -> Result<Option<u64>, ChainError> {
    Ok(txn.get::<tables::HeaderNumbers>(hash)?)
}

/// Whether `hash` is on the canonical chain.
pub fn is_canonical<K: TransactionKind>(
    txn: &Txn<'_, K>,
    number: u64,
    hash: &B256,
) -> Result<bool, ChainError> {
    Ok(canonical_hash(txn, number)?.as_ref() == Some(hash))
}

/// Canonical header at `block_number`.
pub fn read_header<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Option<Header>, ChainError> {
    Ok(txn.get::<tables::Headers>(&block_number)?)
}

/// Header of a canonical block, by hash.
pub fn read_header_by_hash<K: TransactionKind>(
    txn: &Txn<'_, K>,
    hash: &B256,
) -> Result<Option<Header>, ChainError> {
    let Some(number) = block_number_of(txn, hash)? else { return Ok(None) };
    if !is_canonical(txn, number, hash)? {
        return Ok(None);
    }
    read_header(txn, number)
}

/// Sum of difficulties up to the canonical block at `block_number`.
pub fn read_total_difficulty<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Option<U256>, ChainError> {
    Ok(txn.get::<tables::TotalDifficulties>(&block_number)?)
}

/// Number of the last header.
pub fn last_header_number<K: TransactionKind>(txn: &Txn<'_, K>) -> Result<Option<u64>, ChainError> {
    Ok(txn.cursor::<tables::CanonicalHeaders>()?.last()?.map(|(number, _)| number))
}

/// What a canonical block holds besides header and transactions.
pub fn read_body<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Option<StoredBody>, ChainError> {
    Ok(txn.get::<tables::BlockBodies>(&block_number)?)
}

/// A whole canonical block.
pub fn read_block<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Option<BlockParts>, ChainError> {
    let Some(hash) = canonical_hash(txn, block_number)? else { return Ok(None) };
    let Some(body) = read_body(txn, block_number)? else { return Ok(None) };
    let header =
        read_header(txn, block_number)?.ok_or(ChainError::Missing { what: "header", block_number })?;
    let transactions = read_transactions(txn, &body, block_number)?;
    Ok(Some(BlockParts { hash, header, transactions, ommers: body.ommers, withdrawals: body.withdrawals }))
}

/// Canonical hashes from `start` on, in order, until `visit` says `false`.
pub fn iter_canonical_hashes<K: TransactionKind>(
    txn: &Txn<'_, K>,
    start: u64,
    mut visit: impl FnMut(u64, B256) -> bool,
) -> Result<(), ChainError> {
    let mut cursor = txn.cursor::<tables::CanonicalHeaders>()?;
    for row in cursor.walk(&start) {
        let (number, hash) = row?;
        if !visit(number, hash) {
            break;
        }
    }
    Ok(())
}

/// Whether block 0 is there.
pub fn genesis_is_written<K: TransactionKind>(txn: &Txn<'_, K>) -> Result<bool, ChainError> {
    Ok(canonical_hash(txn, 0)?.is_some())
}

/// Writes block 0, whose body is empty.
pub fn insert_genesis(txn: &RwTxn<'_>, header: &Header, hash: B256) -> Result<(), ChainError> {
    insert_header(txn, header, hash, header.difficulty)?;
    let withdrawals = header.withdrawals_root.map(|_| Vec::new());
    txn.put::<tables::BlockBodies>(&0, &StoredBody { withdrawals, ..Default::default() })?;
    Ok(())
}

/// Appends a header as the canonical one of its number.
pub fn insert_header(
    txn: &RwTxn<'_>,
    header: &Header,
    hash: B256,
    total_difficulty: U256,
) -> Result<(), ChainError> {
    txn.put::<tables::CanonicalHeaders>(&header.number, &hash)?;
    txn.put::<tables::HeaderNumbers>(&hash, &header.number)?;
    txn.put::<tables::Headers>(&header.number, header)?;
    txn.put::<tables::TotalDifficulties>(&header.number, &total_difficulty)?;
    Ok(())
}

/// A header that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHeader {
    /// The block's hash.
    pub hash: B256,
    /// The header.
    pub header: Header,
    /// Sum of difficulties up to and with it.
    pub total_difficulty: U256,
}

/// Appends headers, which follow each other and the last one that is there, as canonical.
pub fn append_headers(txn: &RwTxn<'_>, headers: &[NewHeader]) -> Result<(), ChainError> {
    let mut hashes = txn.cursor::<tables::CanonicalHeaders>()?;
    let mut rows = txn.cursor::<tables::Headers>()?;
    let mut difficulties = txn.cursor::<tables::TotalDifficulties>()?;
    for new in headers {
        hashes.append(&new.header.number, &new.hash)?;
        rows.append(&new.header.number, &new.header)?;
        difficulties.append(&new.header.number, &new.total_difficulty)?;
    }
    let mut numbers: Vec<(B256, u64)> = headers.iter().map(|new| (new.hash, new.header.number)).collect();
    numbers.sort_unstable();
    let mut by_hash = txn.cursor::<tables::HeaderNumbers>()?;
    for (hash, number) in &numbers {
        by_hash.upsert(hash, number)?;
    }
    Ok(())
}

/// Appends the body of the block after the last one that has one.
pub fn append_bodies(txn: &RwTxn<'_>, block_number: u64, body: &StoredBody) -> Result<(), ChainError> {
    Ok(txn.cursor::<tables::BlockBodies>()?.append(&block_number, body)?)
}

/// Deletes the headers above `block_number`, keeping each as a row of the side blocks' numbers only when asked by
/// [`write_side_block`] before.
pub fn delete_headers_above(txn: &RwTxn<'_>, block_number: u64) -> Result<(), ChainError> {
    let start = block_number + 1;
    let mut hashes = Vec::new();
    iter_canonical_hashes(txn, start, |number, hash| {
        hashes.push((number, hash));
        true
    })?;
    for (number, hash) in hashes {
        if txn.get::<tables::SideBlocks>(&BlockHashKey { number, hash })?.is_none() {
            txn.delete::<tables::HeaderNumbers>(&hash)?;
        }
    }
    txn.cursor::<tables::CanonicalHeaders>()?.delete_from(&start.encode())?;
    txn.cursor::<tables::Headers>()?.delete_from(&start.encode())?;
    txn.cursor::<tables::TotalDifficulties>()?.delete_from(&start.encode())?;
    Ok(())
}

/// Deletes the bodies and transactions of the blocks above `block_number`.
pub fn delete_bodies_above(txn: &RwTxn<'_>, block_number: u64) -> Result<(), ChainError> {
    let mut bodies = txn.cursor::<tables::BlockBodies>()?;
    let Some((_, first)) = bodies.seek(&(block_number + 1))? else { return Ok(()) };
    txn.cursor::<tables::Transactions>()?.delete_from(&first.first_tx_number.encode())?;
    bodies.delete_from(&(block_number + 1).encode())?;
    Ok(())
}

/// Keeps a block that is not, or no longer, canonical.
pub fn write_side_block(txn: &RwTxn<'_>, block: BlockParts) -> Result<(), ChainError> {
    let (number, hash) = (block.header.number, block.hash);
    let rlp = alloy_rlp::encode(block.into_block());
    txn.put_bytes::<tables::SideBlocks>(&BlockHashKey { number, hash }.encode(), &rlp)?;
    txn.put::<tables::HeaderNumbers>(&hash, &number)?;
    Ok(())
}

/// Keeps a block that nobody has executed yet: it is not found by its hash alone.
pub fn put_block_aside(txn: &RwTxn<'_>, block: &BlockParts) -> Result<(), ChainError> {
    let key = BlockHashKey { number: block.header.number, hash: block.hash };
    let rlp = alloy_rlp::encode(block.clone().into_block());
    Ok(txn.put_bytes::<tables::SideBlocks>(&key.encode(), &rlp)?)
}

/// Hashes and numbers of the blocks that [`put_block_aside`] keeps.
pub fn aside_blocks<K: TransactionKind>(txn: &Txn<'_, K>) -> Result<HashMap<B256, u64>, ChainError> {
    let mut aside = HashMap::new();
    for BlockHashKey { number, hash } in side_block_keys(txn, u64::MAX)? {
        if block_number_of(txn, &hash)?.is_none() {
            aside.insert(hash, number);
        }
    }
    Ok(aside)
}

fn side_block_keys<K: TransactionKind>(
    txn: &Txn<'_, K>,
    through: u64,
) -> Result<Vec<BlockHashKey>, ChainError> {
    let mut keys = Vec::new();
    let start = BlockHashKey { number: 0, hash: B256::ZERO };
    txn.cursor::<tables::SideBlocks>()?.for_each_key_from(&start, |key| {
        let wanted = key.number <= through;
        keys.extend(wanted.then_some(key));
        wanted
    })?;
    Ok(keys)
}

/// Forgets the blocks beside the chain that have numbers up to `through`.
pub fn prune_side_blocks(txn: &RwTxn<'_>, through: u64) -> Result<(), ChainError> {
    for BlockHashKey { number, hash } in side_block_keys(txn, through)? {
        delete_side_block(txn, number, hash)?;
    }
    Ok(())
}

/// A block that lost, as RLP.
pub fn read_side_block<K: TransactionKind>(
    txn: &Txn<'_, K>,
    number: u64,
    hash: B256,
) -> Result<Option<Vec<u8>>, ChainError> {
    Ok(txn.get::<tables::SideBlocks>(&BlockHashKey { number, hash })?)
}

/// Forgets a block that was kept beside the chain.
pub fn delete_side_block(txn: &RwTxn<'_>, number: u64, hash: B256) -> Result<(), ChainError> {
    if txn.delete::<tables::SideBlocks>(&BlockHashKey { number, hash })? && !is_canonical(txn, number, &hash)?
    {
        txn.delete::<tables::HeaderNumbers>(&hash)?;
    }
    Ok(())
}

/// Keeps the RLP of a canonical block's access list (EIP-7928).
pub fn write_access_list(txn: &RwTxn<'_>, block_number: u64, rlp: &[u8]) -> Result<(), ChainError> {
    Ok(txn.put_bytes::<tables::BlockAccessLists>(&Key::encode(&block_number), rlp)?)
}

/// The RLP of a canonical block's access list, when it is kept.
pub fn read_access_list<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Option<Vec<u8>>, ChainError> {
    Ok(txn.get::<tables::BlockAccessLists>(&block_number)?)
}

/// Deletes the access lists of the blocks above `block_number`.
pub fn delete_access_lists_above(txn: &RwTxn<'_>, block_number: u64) -> Result<(), ChainError> {
    txn.cursor::<tables::BlockAccessLists>()?.delete_from(&(block_number + 1).encode())?;
    Ok(())
}
