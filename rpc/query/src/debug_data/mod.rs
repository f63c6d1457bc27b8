//! What is asked for by those who look into a node: ranges of the state, what blocks changed, roots, raw rows.

mod modified;
mod preimage;
mod ranges;
mod roots;
mod witness;

use alloy_primitives::Bytes;
use portico_chain::read_access_list;
use portico_db::tables::TABLES;

pub use self::{
    ranges::{AccountPage, AccountRow, PageOptions, StoragePage},
    witness::ExecutionWitness,
};
use crate::{QueryError, Snapshot};

impl Snapshot<'_> {
    /// The value of a row of a table, both as the database holds them; `None` when there is no such row.
    ///
    /// # Errors
    /// [`QueryError::NoSuchTable`].
    pub fn raw_row(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, QueryError> {
        let index = TABLES.iter().position(|known| known.name.eq_ignore_ascii_case(table));
        let index = index.ok_or_else(|| QueryError::NoSuchTable(table.to_owned()))?;
        let row = self.txn.raw_from(index, key, 1)?.into_iter().next();
        Ok(row.filter(|(found, _)| found == key).map(|(_, value)| value.into()))
    }

    /// The access list of a canonical block as RLP (EIP-7928); the number was resolved before.
    ///
    /// # Errors
    /// [`QueryError::NoAccessList`] for a block before Amsterdam.
    pub fn raw_access_list(&self, block_number: u64) -> Result<Bytes, QueryError> {
        let rlp = read_access_list(&self.txn, block_number)?;
        rlp.map(Into::into).ok_or(QueryError::NoAccessList { block_number })
    }
}
