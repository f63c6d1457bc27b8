//! A transaction that ran and has not changed the state yet, for tracers that look values up afterwards.

use std::cell::RefCell;

use alloy_primitives::{Address, B256, U256};
use portico_evm::ReadError;
use revm::{
    Database, DatabaseRef,
    bytecode::Bytecode,
    context::{
        BlockEnv, TxEnv,
        result::{HaltReason, ResultAndState},
    },
    state::AccountInfo,
};

/// A transaction, or a call, that ran.
#[expect(missing_debug_implementations, reason = "databases need not have one")]
pub struct Executed<'a, D> {
    /// The block that it is in.
    pub block: &'a BlockEnv,
    /// What was executed.
    pub transaction: &'a TxEnv,
    /// What it gave, and how it changes the state.
    pub result: &'a ResultAndState<HaltReason>,
    /// The state before it.
    pub database: &'a mut D,
}

/// Reads through a shared reference. What it reads is cached where it comes from; nothing changes.
#[derive(Debug)]
pub struct StateBefore<'a, D>(RefCell<&'a mut D>);

impl<'a, D: Database<Error = ReadError>> StateBefore<'a, D> {
    /// Reads of `database`.
    pub fn new(database: &'a mut D) -> Self {
        Self(RefCell::new(database))
    }
}

impl<D: Database<Error = ReadError>> DatabaseRef for StateBefore<'_, D> {
    type Error = ReadError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        self.0.borrow_mut().basic(address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, ReadError> {
        self.0.borrow_mut().code_by_hash(code_hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, ReadError> {
        self.0.borrow_mut().storage(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, ReadError> {
        self.0.borrow_mut().block_hash(number)
    }
}
