//! Running blocks and calls with revm.
//!
//! ```text
//!  StateReader (plain state, state as of a block, a map)
//!      │ misses
//!  Overlay: all that was read or written since the batch began, and what each block changed
//!      │ Database + DatabaseCommit
//!  alloy-evm's block executor over revm ──> BlockOutcome { receipts, gas, requests, access list }
//! ```
//! The rules outside the interpreter (system calls, rewards, withdrawals, gas dimensions) are alloy-evm's; fork
//! placement is `portico-chainspec`'s. This crate knows no table and no stage.

mod bal_devnet4;
mod block;
mod block_evm;
mod call;
mod code;
mod constantinople;
mod deposits;
mod environment;
mod error;
mod instructions;
mod kzg;
mod memory;
mod overlay;
mod precompiles;
mod reader;
mod senders;
mod single;
mod transaction;
mod words;

pub use alloy_evm::{EvmEnv, eth::EthEvm};
pub use block::{
    Beneficiary, BlockEvmContext, BlockExecution, BlockInput, BlockOutcome, Traced, execute_block,
    execute_block_by_transactions, spec_id, transaction_environment,
};
pub use call::{CallError, CallEvm, CallOutcome, CallState, Inspect, call, call_evm, inspect_call};
pub use code::{CodeRun, run_code};
pub use environment::{BlockRules, block_environment};
pub use error::ExecutionError;
pub use instructions::BlockDatabase;
pub use kzg::install_kzg_verification;
pub use memory::{MemoryAccount, MemoryState};
pub use overlay::{Overlay, OverlayWrites, WrittenAccount, WrittenSlot};
pub use precompiles::{CallPrecompiles, PrecompileChanges, is_precompile, named_precompiles};
pub use reader::{EmptyState, ReadError, StateReader};
pub use revm::{context::TxEnv, inspector::NoOpInspector};
pub use senders::{SenderError, SignatureRules, recover_sender, recover_senders};
pub use single::{SingleEvmContext, execute_single, inspect_single};
pub use transaction::{
    TransactionFault, ValidTransaction, validate_recovered_transaction, validate_transaction,
};
pub use words::words_for_rule;

/// A transaction as blocks hold it.
pub type Transaction = portico_db::models::Transaction;

/// A receipt without its bloom.
pub type Receipt = portico_db::models::Receipt;
