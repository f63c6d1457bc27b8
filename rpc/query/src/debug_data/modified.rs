//! What blocks changed.

use std::{collections::BTreeSet, ops::RangeInclusive};

use alloy_primitives::{Address, U256};
use portico_state::{first_changes_block, iter_account_changes, iter_storage_changes, read_account_changes};

use crate::{QueryError, Snapshot};

impl Snapshot<'_> {
    /// Accounts that the canonical blocks `blocks` changed, or slots of theirs; in order.
    ///
    /// # Errors
    /// [`QueryError::RangeReversed`]; [`QueryError::ChangesGone`] for blocks whose changes were deleted.
    pub fn modified_accounts(&self, blocks: RangeInclusive<u64>) -> Result<BTreeSet<Address>, QueryError> {
        let (from, to) = (*blocks.start(), *blocks.end());
        if from > to {
            return Err(QueryError::RangeReversed { from, to });
        }
        self.check_changes(from)?;
        let mut modified = BTreeSet::new();
        iter_account_changes(&self.txn, blocks.clone(), |_, change| {
            self.check_deadline()?;
            modified.insert(change.address);
            Ok::<_, QueryError>(())
        })?;
        iter_storage_changes(&self.txn, blocks, |_, change| {
            self.check_deadline()?;
            modified.insert(change.address);
            Ok::<_, QueryError>(())
        })?;
        Ok(modified)
    }

    /// Accounts whose balance a canonical block changed, with their balance after it; the number was resolved before.
    ///
    /// # Errors
    /// [`QueryError::ChangesGone`]; those of [`Snapshot::state_at`].
    pub fn balance_changes(&self, block_number: u64) -> Result<Vec<(Address, U256)>, QueryError> {
        self.check_changes(block_number)?;
        let mut after = self.state_at(block_number)?;
        let mut changed = Vec::new();
        for change in read_account_changes(&self.txn, block_number)? {
            self.check_deadline()?;
            let before = change.before.map(|account| account.balance).unwrap_or_default();
            let balance = after.account(&change.address)?.map(|account| account.balance).unwrap_or_default();
            if balance != before {
                changed.push((change.address, balance));
            }
        }
        Ok(changed)
    }

    /// # Errors
    /// [`QueryError::ChangesGone`] when the changes of the block are not kept.
    pub(super) fn check_changes(&self, block_number: u64) -> Result<(), QueryError> {
        match first_changes_block(&self.txn)? {
            Some(first_block) if block_number < first_block && block_number > 0 => {
                Err(QueryError::ChangesGone { block_number, first_block })
            }
            _ => Ok(()),
        }
    }
}
