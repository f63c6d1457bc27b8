//! What was hashed.

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY};
use portico_chain::read_checkpoint;
use portico_state::{find_address, find_slot, read_code};

use crate::{QueryError, Snapshot};

impl Snapshot<'_> {
    /// What has this hash, as far as the database can tell: nothing, code, a header, a transaction, or an account's address
    /// or storage slot of the newest state, for which the state is searched.
    ///
    /// # Errors
    /// [`QueryError::UnknownPreimage`]; [`QueryError::NotIndexed`] while the hashed state is behind the other;
    /// [`QueryError::TimedOut`] when there is more state than time.
    pub fn preimage(&self, hash: &B256) -> Result<Bytes, QueryError> {
        if *hash == KECCAK256_EMPTY {
            return Ok(Bytes::new());
        }
        if let Some(code) = read_code(&self.txn, hash)? {
            return Ok(code.into());
        }
        if let Some(header) = self.header_by_hash(hash)? {
            return Ok(alloy_rlp::encode(header.inner()).into());
        }
        if let Some(found) = self.find(hash)? {
            return Ok(found.transaction.encoded_2718().into());
        }
        self.check_hashed()?;
        if let Some(address) = find_address(&self.txn, hash, || self.check_deadline())? {
            return Ok(address.0.into());
        }
        let slot = find_slot(&self.txn, hash, || self.check_deadline())?;
        slot.map(|slot| slot.0.into()).ok_or(QueryError::UnknownPreimage(*hash))
    }

    /// The hashed state leads to the rows of the other one.
    fn check_hashed(&self) -> Result<(), QueryError> {
        let block_number = read_checkpoint(&self.txn, "Execution")?;
        for stage in ["AccountHashing", "StorageHashing"] {
            let reached = read_checkpoint(&self.txn, stage)?;
            if reached != block_number {
                return Err(QueryError::NotIndexed {
                    what: "the hashed state",
                    block_number,
                    stage,
                    reached,
                });
            }
        }
        Ok(())
    }
}
