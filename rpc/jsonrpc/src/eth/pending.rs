//! What is answered about the block that would be made now.

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::Value;

use super::{RpcBlock, RpcTransaction};

/// A block or a header, of the chain or of the block that would be made now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum MadeOrPending<T: Serialize> {
    /// Of the chain.
    Made(T),
    /// Of the block that would be made now.
    Pending(Unmade<T>),
}

/// What nobody has made yet: its hash, nonce and miner are `null`, as go-ethereum's clients expect it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmade<T>(T);

impl<T: Serialize> Serialize for Unmade<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serde_json::to_value(&self.0).map_err(S::Error::custom)?;
        for unknown in ["hash", "nonce", "miner"] {
            fields[unknown] = Value::Null;
        }
        fields.serialize(serializer)
    }
}

impl<T: Serialize> MadeOrPending<T> {
    /// As the snapshot has it.
    pub(crate) fn of(answer: T, is_pending: bool) -> Self {
        if is_pending { Self::Pending(Unmade(answer)) } else { Self::Made(answer) }
    }
}

/// A block whose transactions do not name its hash, if it is a pending one.
pub(crate) fn block(block: RpcBlock, is_pending: bool) -> MadeOrPending<RpcBlock> {
    let block = if is_pending { block.map_transactions(|tx| transaction(tx, true)) } else { block };
    MadeOrPending::of(block, is_pending)
}

/// A transaction of a pending block, or of another one.
pub(crate) fn transaction(transaction: RpcTransaction, is_pending: bool) -> RpcTransaction {
    let block_hash = transaction.block_hash.filter(|_| !is_pending);
    RpcTransaction { block_hash, ..transaction }
}
