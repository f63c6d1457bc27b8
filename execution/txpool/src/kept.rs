//! What blocks included and may give back: sidecars, which blocks do not hold, and who was local.

use std::{collections::VecDeque, sync::Arc};

use alloy_primitives::{B256, map::HashMap};

use crate::{PoolTransaction, Settings};

/// Included transactions that are not in their blocks as a whole, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    transactions: HashMap<B256, Arc<PoolTransaction>>,
    by_block: VecDeque<(u64, B256)>,
    bytes: usize,
}

impl Kept {
    /// Remembers a transaction that a block included.
    pub fn insert(&mut self, block_number: u64, transaction: Arc<PoolTransaction>) {
        let (hash, footprint) = (transaction.hash(), transaction.footprint());
        if self.transactions.insert(hash, transaction).is_none() {
            self.bytes += footprint;
            self.by_block.push_back((block_number, hash));
        }
    }

    pub fn get(&self, hash: &B256) -> Option<&Arc<PoolTransaction>> {
        self.transactions.get(hash)
    }

    /// Takes a transaction out whose block was taken back.
    pub fn take(&mut self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        let transaction = self.transactions.remove(hash)?;
        self.by_block.retain(|(_, kept)| kept != hash);
        self.bytes -= transaction.footprint();
        Some(transaction)
    }

    /// Forgets what is final, too old or too much; gives what was forgotten.
    pub fn forget(
        &mut self,
        head: u64,
        finalized: Option<u64>,
        settings: &Settings,
    ) -> Vec<Arc<PoolTransaction>> {
        let oldest = head.saturating_sub(settings.kept_blocks);
        let mut forgotten = Vec::new();
        while let Some((block_number, hash)) = self.by_block.front().copied() {
            let is_final = finalized.is_some_and(|finalized| block_number <= finalized);
            if !is_final && block_number > oldest && self.bytes <= settings.kept_bytes_max {
                break;
            }
            self.by_block.pop_front();
            if let Some(transaction) = self.transactions.remove(&hash) {
                self.bytes -= transaction.footprint();
                forgotten.push(transaction);
            }
        }
        forgotten
    }

    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
