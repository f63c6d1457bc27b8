//! What the pool asks of the state.

use alloy_primitives::{Address, U256};
use portico_evm::ReadError;

/// An account as of the head. An account that does not exist has zeros and no code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolAccount {
    /// Nonce of the next transaction that can be executed.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// What its code is.
    pub code: AccountCode,
}

/// What code an account has, as far as its transactions depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AccountCode {
    /// None.
    #[default]
    None,
    /// A delegation (EIP-7702): it may send transactions, one at a time.
    Delegation,
    /// A contract's: it may not send transactions (EIP-3607).
    Contract,
}

impl AccountCode {
    /// What code is: a delegation is 23 bytes that begin with 0xef0100.
    pub fn of(code: &[u8]) -> Self {
        match code {
            [] => Self::None,
            [0xef, 0x01, 0x00, address @ ..] if address.len() == 20 => Self::Delegation,
            _ => Self::Contract,
        }
    }
}

/// Accounts as of the newest head that the caller knows.
pub trait AccountReader {
    /// Reads accounts, in the order of `addresses`, as of one block.
    ///
    /// # Errors
    /// When the state cannot be read. Nothing is added or changed then.
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<PoolAccount>, ReadError>;
}
