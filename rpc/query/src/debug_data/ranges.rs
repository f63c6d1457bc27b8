//! Pages of accounts and of slots, and single accounts within a block.

use std::{collections::BTreeMap, ops::ControlFlow};

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{Address, B256, Bytes, U256};
use portico_chain::read_checkpoint;
use portico_state::{AsOf, visit_accounts, visit_slots};
use revm::Database;

use crate::{FullBlock, QueryError, Snapshot};

/// Entries of a page at most, whatever is asked for.
const PAGE_MAX: usize = 1024;

/// Slots of an account that are shown with it at most.
const SLOTS_SHOWN_MAX: usize = 1024;

/// What a page of accounts shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOptions {
    /// Accounts at most.
    pub entries_max: usize,
    /// Whether their code is shown.
    pub with_code: bool,
    /// Whether their slots are shown.
    pub with_storage: bool,
}

/// Accounts that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPage {
    /// Root of the state that they are of.
    pub state_root: B256,
    /// By address.
    pub accounts: Vec<(Address, AccountRow)>,
    /// Where the next page begins; `None` after the last account.
    pub next: Option<Address>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Nonce.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// Hash of the code; that of nothing when there is none.
    pub code_hash: B256,
    /// Code, where it is asked for.
    pub code: Option<Bytes>,
    /// Slots that are set, where they are asked for.
    pub storage: Option<Vec<(B256, U256)>>,
}

/// Slots that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoragePage {
    /// Slots that are set, with their values.
    pub slots: Vec<(B256, U256)>,
    /// Where the next page begins; `None` after the last slot.
    pub next: Option<B256>,
}

impl Snapshot<'_> {
    /// Accounts after a canonical block, from an address on; the number was resolved before.
    ///
    /// # Errors
    /// Those of [`Snapshot::state_at`]; [`QueryError::TimedOut`].
    pub fn account_page(
        &self,
        block_number: u64,
        first: Address,
        options: PageOptions,
    ) -> Result<AccountPage, QueryError> {
        let as_of = self.as_of(block_number)?;
        let mut accounts = Vec::new();
        let mut next = None;
        let entries_max = options.entries_max.min(PAGE_MAX);
        visit_accounts(&self.txn, as_of, first, |address, account| {
            self.check_deadline()?;
            if accounts.len() == entries_max {
                next = Some(address);
                return Ok(ControlFlow::Break(()));
            }
            let code = options.with_code.then(|| self.code(&address, block_number)).transpose()?;
            let storage = options.with_storage.then(|| self.slots_of(as_of, &address)).transpose()?;
            let (nonce, balance, code_hash) = (account.nonce, account.balance, account.code_hash);
            accounts.push((address, AccountRow { nonce, balance, code_hash, code, storage }));
            Ok::<_, QueryError>(ControlFlow::Continue(()))
        })?;
        let state_root = self.known_header(block_number)?.state_root;
        Ok(AccountPage { state_root, accounts, next })
    }

    fn slots_of(&self, as_of: AsOf, address: &Address) -> Result<Vec<(B256, U256)>, QueryError> {
        let mut slots = Vec::new();
        visit_slots(&self.txn, as_of, address, B256::ZERO, |slot, value| {
            slots.push((slot, value));
            let full = slots.len() == SLOTS_SHOWN_MAX;
            Ok::<_, QueryError>(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(slots)
    }

    /// Slots of an account that are set before a block's transaction at `tx_index`, from a slot on.
    ///
    /// # Errors
    /// As [`Snapshot::account_page`].
    pub fn storage_page(
        &self,
        block: &FullBlock,
        tx_index: u64,
        address: Address,
        first: B256,
        entries_max: usize,
    ) -> Result<StoragePage, QueryError> {
        let entries_max = entries_max.min(PAGE_MAX);
        let parent = block.parts.header.number.checked_sub(1).ok_or(QueryError::GenesisNotTraceable)?;
        let as_of = self.as_of(parent)?;
        let overlay = self.overlay_within(block, tx_index)?;
        // Slots that the transactions before wrote come from memory, all others from where they lie.
        let writes = overlay.to_writes().accounts;
        let own = writes.into_iter().find(|written| written.address == address);
        let is_wiped = own.as_ref().is_some_and(|written| written.wipe_storage);
        let written: BTreeMap<B256, U256> = own
            .into_iter()
            .flat_map(|written| written.slots)
            .map(|written| (written.slot, written.value))
            .collect();
        let mut page = StoragePage::default();
        let mut below = Vec::new();
        if !is_wiped {
            visit_slots(&self.txn, as_of, &address, first, |slot, value| {
                self.check_deadline()?;
                if !written.contains_key(&slot) {
                    below.push((slot, value));
                }
                let full = below.len() > entries_max;
                Ok::<_, QueryError>(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
        }
        let written = written.into_iter().filter(|(slot, value)| *slot >= first && !value.is_zero());
        below.extend(written);
        below.sort_unstable();
        page.next = below.get(entries_max).map(|(slot, _)| *slot);
        below.truncate(entries_max);
        page.slots = below;
        // Nothing may have failed on the way unseen.
        overlay.check().map_err(|error| QueryError::Call(error.into()))?;
        Ok(page)
    }

    /// Slots of an account that are set after a canonical block, from a slot on, until `visit` breaks; the number was
    /// resolved before.
    ///
    /// # Errors
    /// As [`Snapshot::account_page`].
    pub fn visit_slots(
        &self,
        block_number: u64,
        address: &Address,
        first: B256,
        mut visit: impl FnMut(B256, U256) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        let as_of = self.as_of(block_number)?;
        visit_slots(&self.txn, as_of, address, first, |slot, value| {
            self.check_deadline()?;
            Ok(visit(slot, value))
        })
    }

    /// An account before a block's transaction at `tx_index`; `None` when it does not exist.
    ///
    /// # Errors
    /// As [`Snapshot::account_page`].
    pub fn account_within(
        &self,
        block: &FullBlock,
        tx_index: u64,
        address: Address,
    ) -> Result<Option<AccountRow>, QueryError> {
        let mut overlay = self.overlay_within(block, tx_index)?;
        let read = |error| QueryError::Call(portico_evm::CallError::Read(error));
        let Some(info) = overlay.basic(address).map_err(read)? else { return Ok(None) };
        let code = if info.code_hash == KECCAK_EMPTY {
            Bytes::new()
        } else {
            match info.code {
                Some(code) => code.original_bytes(),
                None => overlay.code_by_hash(info.code_hash).map_err(read)?.original_bytes(),
            }
        };
        let (nonce, balance, code_hash) = (info.nonce, info.balance, info.code_hash);
        Ok(Some(AccountRow { nonce, balance, code_hash, code: Some(code), storage: None }))
    }

    /// How to read the state after a block from the tables.
    pub(crate) fn as_of(&self, block_number: u64) -> Result<AsOf, QueryError> {
        // Says what is missing, if it is.
        self.state_at(block_number)?;
        let executed = read_checkpoint(&self.txn, "Execution")?;
        Ok(if block_number == executed { AsOf::Head } else { AsOf::Block(block_number) })
    }
}
