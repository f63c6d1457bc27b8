//! Block 0 and its state.

use portico_chain::{
    ChainIdentity, check_identity, genesis_is_written, insert_genesis, read_identity, record_version,
    write_identity,
};
use portico_chainspec::ChainSpec;
use portico_db::{Database, RwTxn, models::Account};
use portico_state::{PlainWriter, write_code};

use crate::{
    AccountHashing, StageContext, StageError, StorageHashing,
    trie::{check_root, rebuild_trie},
};

/// What a database of this chain must say about itself.
pub fn identity(spec: &ChainSpec) -> ChainIdentity {
    ChainIdentity { chain_id: spec.chain_id(), genesis_hash: spec.genesis_hash() }
}

/// Writes block 0 and its state, unless they are there; says whether it did.
///
/// # Errors
/// [`portico_chain::ChainError::OtherChain`] when the database belongs to another chain.
pub fn initialize(
    database: &Database,
    context: &StageContext<'_>,
    version: &str,
) -> Result<bool, StageError> {
    let txn = database.begin_rw()?;
    if read_identity(&txn)?.is_some() && genesis_is_written(&txn)? {
        check_identity(&txn, identity(context.spec))?;
        record_version(&txn, version)?;
        txn.commit()?;
        return Ok(false);
    }
    write_genesis(&txn, context)?;
    record_version(&txn, version)?;
    txn.commit()?;
    Ok(true)
}

fn write_genesis(txn: &RwTxn<'_>, context: &StageContext<'_>) -> Result<(), StageError> {
    let spec = context.spec;
    write_identity(txn, identity(spec))?;
    insert_genesis(txn, spec.genesis_header(), spec.genesis_hash())?;
    let mut plain = PlainWriter::new(txn)?;
    for (address, genesis) in spec.genesis_alloc().iter() {
        let code_hash = alloy_primitives::keccak256(&genesis.code);
        if !genesis.code.is_empty() {
            write_code(txn, &code_hash, &genesis.code)?;
        }
        let account = Account { nonce: genesis.nonce, balance: genesis.balance, code_hash };
        plain.set_account(address, Some(&account))?;
        for (slot, value) in &genesis.storage {
            plain.set_slot(address, slot, *value)?;
        }
    }
    AccountHashing::rebuild(context, txn)?;
    StorageHashing::rebuild(context, txn)?;
    check_root(txn, 0, rebuild_trie(context, txn)?)
}
