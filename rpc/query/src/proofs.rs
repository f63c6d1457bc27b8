//! Proofs of accounts and storage as of any block of a window before the head (EIP-1186).

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use portico_trie::{StateProof, prove};

use crate::{QueryError, Snapshot};

/// An account and what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountProof {
    /// Wei; 0 for an account that does not exist.
    pub balance: U256,
    /// 0 for an account that does not exist.
    pub nonce: u64,
    /// That of no code for an account that does not exist.
    pub code_hash: B256,
    /// That of an empty trie for an account that does not exist.
    pub storage_hash: B256,
    /// RLP of the nodes from the state root to the account, or to where it would be.
    pub nodes: Vec<Bytes>,
    /// In the order in which the slots were asked for.
    pub slots: Vec<SlotProof>,
}

/// A storage slot and what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotProof {
    /// Zero when it is not set.
    pub value: U256,
    /// RLP of the nodes from the storage root to the slot, or to where it would be.
    pub nodes: Vec<Bytes>,
}

impl Snapshot<'_> {
    /// Proves an account and slots of it after a block.
    ///
    /// # Errors
    /// [`QueryError::Pruned`] for a block before the window (setting `proof_blocks_max`),
    /// [`QueryError::TooManyChanges`], [`QueryError::TimedOut`]; those of [`Snapshot::state_at`].
    pub fn proof(
        &self,
        address: &Address,
        slots: &[B256],
        block_number: u64,
    ) -> Result<AccountProof, QueryError> {
        let past = self.past_trie(block_number)?;
        let hashed_slots: Vec<B256> = slots.iter().map(keccak256).collect();
        let proof = prove(&self.txn, &past.state, &past.nodes, keccak256(address), &hashed_slots)?;
        let StateProof { root, account: nodes, storage_root, slots: slot_nodes } = proof;
        self.check_root(block_number, root)?;
        self.check_deadline()?;
        let mut state = self.state_at(block_number)?;
        let account = state.account(address)?;
        let mut proven = Vec::with_capacity(slots.len());
        for (slot, nodes) in slots.iter().zip(slot_nodes) {
            proven.push(SlotProof { value: state.storage(address, slot)?, nodes });
        }
        Ok(AccountProof {
            balance: account.map_or(U256::ZERO, |account| account.balance),
            nonce: account.map_or(0, |account| account.nonce),
            code_hash: account.map_or(KECCAK_EMPTY, |account| account.code_hash),
            storage_hash: if account.is_some() { storage_root } else { EMPTY_ROOT_HASH },
            nodes,
            slots: proven,
        })
    }

    /// A wrong proof is worse than none.
    fn check_root(&self, block_number: u64, found: B256) -> Result<(), QueryError> {
        let expected = self.known_header(block_number)?.state_root;
        if found == expected { Ok(()) } else { Err(QueryError::StateRoot { block_number, expected, found }) }
    }
}
