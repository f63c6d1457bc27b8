//! Which chain the database holds, and which versions wrote it.

use alloy_primitives::B256;
use portico_db::{RwTxn, TransactionKind, Txn, tables};

use crate::ChainError;

const CHAIN_ID: &str = "chain_id";
const GENESIS_HASH: &str = "genesis_hash";
const VERSIONS: &str = "versions";
const FORKCHOICE: &str = "forkchoice";

/// What makes a chain this chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainIdentity {
    /// EIP-155 id.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis_hash: B256,
}

/// The chain that the database was made for; `None` before `init`.
pub fn read_identity<K: TransactionKind>(txn: &Txn<'_, K>) -> Result<Option<ChainIdentity>, ChainError> {
    let Some(chain_id) = txn.get::<tables::Metadata>(&CHAIN_ID.to_owned())? else { return Ok(None) };
    let chain_id =
        chain_id.try_into().map(u64::from_be_bytes).map_err(|_| ChainError::BadMetadata("chain id"))?;
    let genesis_hash = txn
        .get::<tables::Metadata>(&GENESIS_HASH.to_owned())?
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or(ChainError::BadMetadata("genesis hash"))?;
    Ok(Some(ChainIdentity { chain_id, genesis_hash: genesis_hash.into() }))
}

/// Notes the chain that the database is for.
pub fn write_identity(txn: &RwTxn<'_>, identity: ChainIdentity) -> Result<(), ChainError> {
    txn.put::<tables::Metadata>(&CHAIN_ID.to_owned(), &identity.chain_id.to_be_bytes().to_vec())?;
    txn.put::<tables::Metadata>(&GENESIS_HASH.to_owned(), &identity.genesis_hash.to_vec())?;
    Ok(())
}

/// The safe and the finalized block that a consensus client named last.
pub fn read_forkchoice<K: TransactionKind>(txn: &Txn<'_, K>) -> Result<[Option<B256>; 2], ChainError> {
    let Some(bytes) = txn.get::<tables::Metadata>(&FORKCHOICE.to_owned())? else { return Ok([None; 2]) };
    let bytes: [u8; 64] = bytes.try_into().map_err(|_| ChainError::BadMetadata("forkchoice"))?;
    let named = |bytes: &[u8]| Some(B256::from_slice(bytes)).filter(|hash| !hash.is_zero());
    Ok([named(&bytes[..32]), named(&bytes[32..])])
}

/// Notes the safe and the finalized block.
pub fn write_forkchoice(txn: &RwTxn<'_>, named: [Option<B256>; 2]) -> Result<(), ChainError> {
    let bytes = named.map(|hash| hash.unwrap_or_default().0).concat();
    txn.put::<tables::Metadata>(&FORKCHOICE.to_owned(), &bytes)?;
    Ok(())
}

/// Refuses a database of another chain.
///
/// # Errors
/// [`ChainError::OtherChain`], or [`ChainError::NoGenesis`] before `init`.
pub fn check_identity<K: TransactionKind>(
    txn: &Txn<'_, K>,
    expected: ChainIdentity,
) -> Result<(), ChainError> {
    let found = read_identity(txn)?.ok_or(ChainError::NoGenesis)?;
    if found == expected {
        return Ok(());
    }
    Err(ChainError::OtherChain {
        found_id: found.chain_id,
        found_genesis: found.genesis_hash,
        expected_id: expected.chain_id,
        expected_genesis: expected.genesis_hash,
    })
}

/// Notes that `version` of this program wrote here, once.
pub fn record_version(txn: &RwTxn<'_>, version: &str) -> Result<(), ChainError> {
    let mut known = versions(txn)?;
    if known.iter().any(|known| known == version) {
        return Ok(());
    }
    known.push(version.to_owned());
    txn.put::<tables::Metadata>(&VERSIONS.to_owned(), &known.join("\n").into_bytes())?;
    Ok(())
}

/// The versions that wrote here, oldest first.
pub fn versions<K: TransactionKind>(txn: &Txn<'_, K>) -> Result<Vec<String>, ChainError> {
    let stored = txn.get::<tables::Metadata>(&VERSIONS.to_owned())?.unwrap_or_default();
    let text = String::from_utf8(stored).map_err(|_| ChainError::BadMetadata("versions"))?;
    Ok(text.lines().map(str::to_owned).collect())
}
