//! Where state comes from when the overlay does not have it.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use portico_db::{
    DbError, TransactionKind,
    models::{Account, StorageEntry},
};
use portico_state::{PlainReader, StateAt, StateError};
use revm::context::DBErrorMarker;

/// Reading state failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct ReadError(Arc<dyn std::error::Error + Send + Sync>);

impl DBErrorMarker for ReadError {}

impl ReadError {
    /// Wraps whatever the reader met.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// What was wrapped, if it was a `T`.
    pub fn downcast_ref<T: std::error::Error + 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl From<DbError> for ReadError {
    fn from(error: DbError) -> Self {
        Self::new(error)
    }
}

impl From<StateError> for ReadError {
    fn from(error: StateError) -> Self {
        Self::new(error)
    }
}

/// The state under an overlay.
pub trait StateReader: std::fmt::Debug {
    /// An account.
    fn account(&mut self, address: &Address) -> Result<Option<Account>, ReadError>;

    /// A storage slot; zero when it is not set.
    fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, ReadError>;

    /// All slots of an account that are set, in order: for wiping them.
    fn slots(&mut self, address: &Address) -> Result<Vec<StorageEntry>, ReadError>;

    /// Whether [`StateReader::slots`] lists them. Where it does not, wiping is noted although no slot is known
    /// ([`WrittenAccount::wipe_storage`](crate::WrittenAccount)).
    fn lists_slots(&self) -> bool {
        true
    }

    /// Whether an account has any slot that is set.
    fn has_storage(&mut self, address: &Address) -> Result<bool, ReadError>;

    /// Contract code; empty when it is not there.
    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError>;

    /// The hash of a block that `BLOCKHASH` may ask for and the overlay was not told
    /// ([`Overlay::set_block_hash`](crate::Overlay::set_block_hash)); zero, unless the reader knows better.
    fn block_hash(&mut self, _block_number: u64) -> Result<B256, ReadError> {
        Ok(B256::ZERO)
    }
}

impl<R: StateReader + ?Sized> StateReader for &mut R {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, ReadError> {
        (**self).account(address)
    }

    fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, ReadError> {
        (**self).storage(address, slot)
    }

    fn slots(&mut self, address: &Address) -> Result<Vec<StorageEntry>, ReadError> {
        (**self).slots(address)
    }

    fn lists_slots(&self) -> bool {
        (**self).lists_slots()
    }

    fn has_storage(&mut self, address: &Address) -> Result<bool, ReadError> {
        (**self).has_storage(address)
    }

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        (**self).code(code_hash)
    }

    fn block_hash(&mut self, block_number: u64) -> Result<B256, ReadError> {
        (**self).block_hash(block_number)
    }
}

pub(crate) fn present(code: Option<Vec<u8>>, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
    code.ok_or_else(|| StateError::MissingCode { address: Address::ZERO, code_hash: *code_hash }.into())
}

impl<K: TransactionKind> StateReader for PlainReader<'_, '_, K> {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, ReadError> {
        Ok(Self::account(self, address)?)
    }

    fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, ReadError> {
        Ok(Self::storage(self, address, slot)?)
    }

    fn slots(&mut self, address: &Address) -> Result<Vec<StorageEntry>, ReadError> {
        Ok(Self::slots(self, address)?)
    }

    fn has_storage(&mut self, address: &Address) -> Result<bool, ReadError> {
        Ok(Self::has_storage(self, address)?)
    }

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        present(Self::code(self, code_hash)?, code_hash)
    }
}

impl<K: TransactionKind> StateReader for StateAt<'_, '_, K> {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, ReadError> {
        Ok(Self::account(self, address)?)
    }

    fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, ReadError> {
        Ok(Self::storage(self, address, slot)?)
    }

    /// Not known without walking the history. For wiping, the slots that are read one by one suffice.
    fn slots(&mut self, _: &Address) -> Result<Vec<StorageEntry>, ReadError> {
        Ok(Vec::new())
    }

    fn lists_slots(&self) -> bool {
        false
    }

    /// Not known without walking the history: a call may create a contract where a block would not (EIP-7610; on
    /// mainnet that is about 28 addresses of 2016).
    fn has_storage(&mut self, _: &Address) -> Result<bool, ReadError> {
        Ok(false)
    }

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        present(Self::code(self, code_hash)?, code_hash)
    }
}

/// No state at all: what lies under a genesis allocation.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyState;

impl StateReader for EmptyState {
    fn account(&mut self, _: &Address) -> Result<Option<Account>, ReadError> {
        Ok(None)
    }

    fn storage(&mut self, _: &Address, _: &B256) -> Result<U256, ReadError> {
        Ok(U256::ZERO)
    }

    fn slots(&mut self, _: &Address) -> Result<Vec<StorageEntry>, ReadError> {
        Ok(Vec::new())
    }

    fn has_storage(&mut self, _: &Address) -> Result<bool, ReadError> {
        Ok(false)
    }

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        present(None, code_hash)
    }
}
