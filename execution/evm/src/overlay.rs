//! State in memory above a reader: what was read and written since a batch began, and what each block changed.
//!
//! Accounts lie in one vector; revm gets an account's position as its id, so that a storage access costs one hash
//! look-up, not two. Each account and slot remembers the last block that changed it, so that a block's first change
//! of it, and no later one, records the value before.

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{AddressMap, B256Map, HashMap, U256Map, hash_map::Entry},
};
use portico_db::models::{Account, AccountChange, StorageChange, TraceAddress};
use portico_state::BlockChanges;
use revm::{
    Database, DatabaseCommit,
    bytecode::{Bytecode, eip7702::EIP7702_MAGIC_BYTES},
    state::{Account as EvmAccount, AccountId, AccountInfo, EvmStorage},
};

use crate::{ReadError, StateReader, instructions::BlockDatabase};

/// No block has changed it.
const NEVER: u64 = u64::MAX;

#[derive(Debug, Clone)]
struct Slot {
    current: U256,
    /// What the reader has.
    base: U256,
    changed_in: u64,
}

#[derive(Debug, Clone)]
struct CachedAccount {
    address: Address,
    current: Option<Account>,
    base: Option<Account>,
    changed_in: u64,
    slots: U256Map<Slot>,
    /// Slots that are not in `slots` are zero, whatever the reader has.
    storage_is_known: bool,
    /// The reader's slots are gone: on writing, all of them go first.
    wiped: bool,
}

/// State above a reader; see the module.
#[derive(Debug)]
pub struct Overlay<R> {
    reader: R,
    positions: AddressMap<u32>,
    accounts: Vec<CachedAccount>,
    codes: B256Map<Bytecode>,
    new_codes: Vec<B256>,
    block_hashes: HashMap<u64, B256>,
    unknown_block_hash: Option<u64>,
    block_number: u64,
    changed_accounts: Vec<(u32, Option<Account>)>,
    changed_slots: Vec<(u32, U256, U256)>,
    traces: AddressMap<(bool, bool)>,
    /// What was set since it was last taken, when someone asked for it: accounts, and their slots.
    touched: Option<Vec<(u32, Option<U256>)>>,
    /// Accounts whose slots were wiped although the reader does not list them.
    unlisted_wipes: Vec<Address>,
    slot_count: usize,
    code_bytes: usize,
    /// The first read that failed: while changes are committed revm gives no way to report it, and in a system call
    /// it looks like a fault of the block.
    failed: Option<ReadError>,
}

/// An account to write at the end of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenAccount {
    /// Whose.
    pub address: Address,
    /// The new account, when it differs from the reader's; `Some(None)` deletes it.
    pub account: Option<Option<Account>>,
    /// Delete all the slots that the reader has before writing `slots`.
    pub wipe_storage: bool,
    /// Slots that differ from the reader's, or after a wipe those that are not zero; sorted.
    pub slots: Vec<WrittenSlot>,
}

/// A storage slot to write at the end of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenSlot {
    /// Which one.
    pub slot: B256,
    /// What it holds now; zero deletes it.
    pub value: U256,
    /// The reader, once wiped where that is asked for, has no such slot: none has to be looked for.
    pub is_new: bool,
}

/// Everything to write at the end of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OverlayWrites {
    /// By address.
    pub accounts: Vec<WrittenAccount>,
    /// Code that was deployed, by hash.
    pub codes: Vec<(B256, Vec<u8>)>,
}

impl<R: StateReader> Overlay<R> {
    /// Nothing read, nothing written.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            positions: AddressMap::default(),
            accounts: Vec::new(),
            codes: B256Map::default(),
            new_codes: Vec::new(),
            block_hashes: HashMap::default(),
            unknown_block_hash: None,
            block_number: 0,
            changed_accounts: Vec::new(),
            changed_slots: Vec::new(),
            traces: AddressMap::default(),
            touched: None,
            unlisted_wipes: Vec::new(),
            slot_count: 0,
            code_bytes: 0,
            failed: None,
        }
    }

    /// # Errors
    /// The first read that failed.
    pub fn check(&self) -> Result<(), ReadError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Makes a block's hash known to the `BLOCKHASH` instruction, and forgets those out of its reach.
    pub fn set_block_hash(&mut self, block_number: u64, hash: B256) {
        self.block_hashes.insert(block_number, hash);
        if self.block_hashes.len() > 1024 {
            self.block_hashes.retain(|number, _| number + 256 >= block_number);
        }
    }

    /// The first block whose hash the `BLOCKHASH` instruction asked for in vain; it got zero.
    pub fn unknown_block_hash(&self) -> Option<u64> {
        self.unknown_block_hash
    }

    /// Changes from now on are those of `block_number`.
    pub fn begin_block(&mut self, block_number: u64) {
        self.block_number = block_number;
        self.changed_accounts.clear();
        self.changed_slots.clear();
        self.traces.clear();
    }

    /// What changed since [`Overlay::begin_block`], sorted; what changed and changed back is left out.
    pub fn end_block(&mut self) -> BlockChanges {
        let mut changes = self.end_block_unsorted();
        changes.sort();
        changes
    }

    /// As [`Overlay::end_block`], to be sorted by a thread that has the time.
    pub fn end_block_unsorted(&mut self) -> BlockChanges {
        let accounts = std::mem::take(&mut self.changed_accounts);
        let account_changes: Vec<AccountChange> = accounts
            .iter()
            .filter(|(position, before)| self.accounts[*position as usize].current != *before)
            .map(|(position, before)| AccountChange {
                address: self.accounts[*position as usize].address,
                before: *before,
            })
            .collect();
        let slots = std::mem::take(&mut self.changed_slots);
        let storage_changes: Vec<StorageChange> = slots
            .iter()
            .filter(|(position, slot, before)| {
                let current = self.accounts[*position as usize].slots.get(slot).map(|slot| slot.current);
                current.unwrap_or_default() != *before
            })
            .map(|(position, slot, before)| StorageChange {
                address: self.accounts[*position as usize].address,
                slot: B256::from(*slot),
                before: *before,
            })
            .collect();
        let traces: Vec<TraceAddress> =
            self.traces.drain().map(|(address, (from, to))| TraceAddress { address, from, to }).collect();
        self.changed_accounts = accounts;
        self.changed_accounts.clear();
        self.changed_slots = slots;
        self.changed_slots.clear();
        BlockChanges { accounts: account_changes, storage: storage_changes, traces }
    }

    /// Keeps a list of what is set from now on, for [`Overlay::take_touched`].
    pub fn track_touched(&mut self) {
        self.touched.get_or_insert_default();
    }

    /// Keeps no such list any more.
    pub fn forget_touched(&mut self) {
        self.touched = None;
    }

    /// Calls `account` and `slot` with the present values of everything that was set since the last call, some of it
    /// more than once; a slot's account need not be among the accounts.
    pub fn take_touched(
        &mut self,
        mut account: impl FnMut(&Address, Option<Account>),
        mut slot: impl FnMut(&Address, B256, U256),
    ) {
        let Some(mut touched) = self.touched.take() else { return };
        for (position, key) in touched.drain(..) {
            let cached = &self.accounts[position as usize];
            match key {
                None => account(&cached.address, cached.current),
                Some(key) => {
                    let value = cached.slots.get(&key).map_or(U256::ZERO, |slot| slot.current);
                    slot(&cached.address, B256::from(key), value);
                }
            }
        }
        self.touched = Some(touched);
    }

    /// An account as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn known_account(&mut self, address: Address) -> Result<Option<Account>, ReadError> {
        let position = self.load(address)?;
        Ok(self.accounts[position].current)
    }

    /// Puts an account in, as no transaction could: an empty one stays. Its storage stays too.
    ///
    /// # Errors
    /// When the account that was there cannot be read.
    pub fn replace_account(
        &mut self,
        address: Address,
        account: Account,
        code: Option<Bytecode>,
    ) -> Result<(), ReadError> {
        let position = self.load(address)?;
        if let Some(code) = code {
            self.keep_code(&AccountInfo {
                code_hash: account.code_hash,
                code: Some(code),
                ..AccountInfo::default()
            });
        }
        self.set_account(position, Some(account));
        Ok(())
    }

    /// Puts a slot's value in; an account that does not exist comes to be.
    ///
    /// # Errors
    /// When what was there cannot be read.
    pub fn replace_slot(&mut self, address: Address, slot: U256, value: U256) -> Result<(), ReadError> {
        let position = self.load(address)?;
        let before = self.load_slot(position, slot)?;
        if before != value {
            self.set_slot(position, slot, before, value);
        }
        if self.accounts[position].current.is_none() {
            self.set_account(position, Some(Account::default()));
        }
        Ok(())
    }

    /// Sets every slot of an account to zero.
    ///
    /// # Errors
    /// When the account or its slots cannot be read.
    pub fn wipe_storage(&mut self, address: Address) -> Result<(), ReadError> {
        let position = self.load(address)?;
        self.wipe(position)
    }

    /// The accounts whose slots were wiped since the last call although the reader does not list them: what changed
    /// has only the slots that were read before.
    pub fn take_unlisted_wipes(&mut self) -> Vec<Address> {
        std::mem::take(&mut self.unlisted_wipes)
    }

    /// The slots of an account that are known and not zero: all that it has, once they were wiped.
    pub fn known_slots(&self, address: &Address) -> impl Iterator<Item = (B256, U256)> + use<'_, R> {
        let position = self.positions.get(address);
        let account = position.map(|position| &self.accounts[*position as usize]);
        let slots = account.into_iter().flat_map(|account| &account.slots);
        slots.filter(|(_, slot)| !slot.current.is_zero()).map(|(key, slot)| (B256::from(*key), slot.current))
    }

    /// Memory taken, in bytes, about.
    pub fn bytes(&self) -> usize {
        // Hash tables are three quarters full on average; a slot's entry is its key, three words and the control byte.
        self.accounts.len() * (size_of::<CachedAccount>() + 40) + self.slot_count * 150 + self.code_bytes * 2
    }

    /// Everything that differs from the reader, in key order.
    pub fn into_writes(self) -> OverlayWrites {
        written(self.accounts.into_iter(), self.new_codes, &self.codes)
    }

    /// As [`Overlay::into_writes`], for looking at the state before the end.
    pub fn to_writes(&self) -> OverlayWrites {
        written(self.accounts.iter().cloned(), self.new_codes.clone(), &self.codes)
    }

    /// Takes in accounts as the reader has them, read by someone else; what is known already stays.
    pub fn preload(&mut self, accounts: impl IntoIterator<Item = (Address, Option<Account>)>) {
        for (address, base) in accounts {
            if let Entry::Vacant(entry) = self.positions.entry(address) {
                entry.insert(self.accounts.len() as u32);
                self.accounts.push(CachedAccount::as_read(address, base));
            }
        }
    }

    /// Position of an account, loading it when it is not there.
    fn load(&mut self, address: Address) -> Result<usize, ReadError> {
        let Entry::Vacant(entry) = self.positions.entry(address) else {
            return Ok(self.positions[&address] as usize);
        };
        let base = noted(&mut self.failed, self.reader.account(&address))?;
        let position = self.accounts.len();
        entry.insert(position as u32);
        self.accounts.push(CachedAccount::as_read(address, base));
        Ok(position)
    }

    fn load_slot(&mut self, position: usize, slot: U256) -> Result<U256, ReadError> {
        let account = &mut self.accounts[position];
        match account.slots.entry(slot) {
            Entry::Occupied(entry) => Ok(entry.get().current),
            Entry::Vacant(entry) => {
                let value = if account.storage_is_known {
                    U256::ZERO
                } else {
                    noted(&mut self.failed, self.reader.storage(&account.address, &B256::from(slot)))?
                };
                entry.insert(Slot { current: value, base: value, changed_in: NEVER });
                self.slot_count += 1;
                Ok(value)
            }
        }
    }

    /// See [`BlockDatabase::collides_by_storage`].
    fn has_storage_only(&mut self, address: Address) -> Result<bool, ReadError> {
        let position = self.load(address)?;
        let account = &self.accounts[position];
        if account.current.is_none_or(|current| current.nonce != 0 || current.has_code()) {
            return Ok(false);
        }
        if account.slots.values().any(|slot| !slot.current.is_zero()) {
            return Ok(true);
        }
        // A slot that was set before this batch and cleared in it cannot be of an account without code.
        Ok(!account.storage_is_known && noted(&mut self.failed, self.reader.has_storage(&address))?)
    }

    fn try_move_balances(&mut self, from: &[Address], to: Address) -> Result<(), ReadError> {
        let mut moved = U256::ZERO;
        for address in from {
            let position = self.load(*address)?;
            let account = self.accounts[position].current.unwrap_or_default();
            moved = moved.saturating_add(account.balance);
            self.set_account(position, Some(Account { balance: U256::ZERO, ..account }));
        }
        let position = self.load(to)?;
        let account = self.accounts[position].current.unwrap_or_default();
        let balance = account.balance.saturating_add(moved);
        self.set_account(position, Some(Account { balance, ..account }));
        Ok(())
    }

    fn set_account(&mut self, position: usize, new: Option<Account>) {
        let account = &mut self.accounts[position];
        if account.current == new {
            return;
        }
        if account.changed_in != self.block_number {
            account.changed_in = self.block_number;
            self.changed_accounts.push((position as u32, account.current));
        }
        account.current = new;
        if let Some(touched) = &mut self.touched {
            touched.push((position as u32, None));
        }
    }

    fn set_slot(&mut self, position: usize, slot: U256, original: U256, value: U256) {
        let account = &mut self.accounts[position];
        let cached = account.slots.entry(slot).or_insert_with(|| {
            self.slot_count += 1;
            Slot { current: original, base: original, changed_in: NEVER }
        });
        if cached.changed_in != self.block_number {
            cached.changed_in = self.block_number;
            self.changed_slots.push((position as u32, slot, cached.current));
        }
        cached.current = value;
        if let Some(touched) = &mut self.touched {
            touched.push((position as u32, Some(slot)));
        }
    }

    /// Sets every slot of an account to zero, also those that nobody read yet.
    fn wipe(&mut self, position: usize) -> Result<(), ReadError> {
        if !self.accounts[position].storage_is_known {
            let address = self.accounts[position].address;
            for entry in noted(&mut self.failed, self.reader.slots(&address))? {
                let slot = U256::from_be_bytes(entry.slot.0);
                self.accounts[position].slots.entry(slot).or_insert_with(|| {
                    self.slot_count += 1;
                    Slot { current: entry.value, base: entry.value, changed_in: NEVER }
                });
            }
        }
        let block_number = self.block_number;
        let account = &mut self.accounts[position];
        if !account.storage_is_known && !self.reader.lists_slots() {
            self.unlisted_wipes.push(account.address);
        }
        let had_slots = !self.reader.lists_slots() || account.slots.values().any(|slot| !slot.base.is_zero());
        account.wiped |= account.base.is_some() && had_slots;
        account.storage_is_known = true;
        for (key, slot) in &mut account.slots {
            if slot.current.is_zero() {
                continue;
            }
            if slot.changed_in != block_number {
                slot.changed_in = block_number;
                self.changed_slots.push((position as u32, *key, slot.current));
            }
            slot.current = U256::ZERO;
            if let Some(touched) = &mut self.touched {
                touched.push((position as u32, Some(*key)));
            }
        }
        Ok(())
    }

    fn commit_account(&mut self, address: Address, account: EvmAccount) -> Result<(), ReadError> {
        if !account.is_touched() {
            return Ok(());
        }
        let position = self.load(address)?;
        if account.is_selfdestructed() {
            self.record_trace(address, true, false);
            self.wipe(position)?;
            self.set_account(position, None);
            return Ok(());
        }
        if account.is_created() {
            if !self.accounts[position].storage_is_known || !self.accounts[position].slots.is_empty() {
                self.wipe(position)?;
            }
            self.record_trace(address, false, true);
            self.keep_code(&account.info);
        } else if account.is_empty() {
            // EIP-161; before it, revm marks empty accounts as created or as untouched. An account without nonce,
            // balance and code may still have storage (EIP-7610), which goes with it.
            if self.accounts[position].current.is_some() {
                self.wipe(position)?;
            }
            self.set_account(position, None);
            return Ok(());
        } else if self.accounts[position]
            .current
            .is_none_or(|known| known.code_hash != account.info.code_hash)
        {
            self.keep_code(&account.info);
        }
        self.commit_storage(position, account.storage);
        let AccountInfo { nonce, balance, code_hash, .. } = account.info;
        self.set_account(position, Some(Account { nonce, balance, code_hash }));
        Ok(())
    }

    fn commit_storage(&mut self, position: usize, storage: EvmStorage) {
        for (slot, value) in storage {
            if value.is_changed() {
                self.set_slot(position, slot, value.original_value(), value.present_value());
            }
        }
    }

    fn keep_code(&mut self, info: &AccountInfo) {
        let Some(code) = info.code.as_ref().filter(|code| !code.is_empty()) else { return };
        if let Entry::Vacant(entry) = self.codes.entry(info.code_hash) {
            self.code_bytes += code.original_byte_slice().len();
            // What a creation deployed is never a delegation to revm before it is read again.
            let looks_delegated = code.original_byte_slice().starts_with(EIP7702_MAGIC_BYTES);
            entry.insert(if looks_delegated { analyzed(code.original_bytes()) } else { code.clone() });
        }
        self.new_codes.push(info.code_hash);
    }
}

/// Code as it is stored. Before London, contracts could begin like a delegation (EIP-3541, EIP-7702) without being one.
fn analyzed(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

fn written(
    accounts: impl Iterator<Item = CachedAccount>,
    mut new_codes: Vec<B256>,
    codes: &B256Map<Bytecode>,
) -> OverlayWrites {
    let mut accounts: Vec<WrittenAccount> = accounts.filter_map(CachedAccount::into_written).collect();
    accounts.sort_unstable_by_key(|written| written.address);
    new_codes.sort_unstable();
    new_codes.dedup();
    let codes = new_codes.into_iter().map(|hash| (hash, codes[&hash].original_byte_slice().to_vec()));
    OverlayWrites { codes: codes.collect(), accounts }
}

/// Remembers the first read that fails.
fn noted<T>(failed: &mut Option<ReadError>, read: Result<T, ReadError>) -> Result<T, ReadError> {
    read.inspect_err(|error| {
        failed.get_or_insert_with(|| error.clone());
    })
}

impl CachedAccount {
    fn as_read(address: Address, base: Option<Account>) -> Self {
        Self {
            address,
            current: base,
            base,
            changed_in: NEVER,
            slots: U256Map::default(),
            storage_is_known: base.is_none(),
            wiped: false,
        }
    }

    fn into_written(self) -> Option<WrittenAccount> {
        let account = (self.current != self.base).then_some(self.current);
        let mut slots: Vec<WrittenSlot> = self
            .slots
            .into_iter()
            .filter(|(_, slot)| if self.wiped { !slot.current.is_zero() } else { slot.current != slot.base })
            .map(|(slot, value)| WrittenSlot {
                slot: B256::from(slot),
                value: value.current,
                is_new: self.wiped || value.base.is_zero(),
            })
            .collect();
        if account.is_none() && slots.is_empty() && !self.wiped {
            return None;
        }
        slots.sort_unstable_by_key(|written| written.slot);
        Some(WrittenAccount { address: self.address, account, wipe_storage: self.wiped, slots })
    }
}

impl<R: StateReader> Database for Overlay<R> {
    type Error = ReadError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        let position = self.load(address)?;
        let Some(account) = self.accounts[position].current else { return Ok(None) };
        Ok(Some(AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: AccountId::new(position),
            code: if account.has_code() { None } else { Some(Bytecode::default()) },
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ReadError> {
        if code_hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.codes.get(&code_hash) {
            return Ok(code.clone());
        }
        let code = analyzed(noted(&mut self.failed, self.reader.code(&code_hash))?.into());
        self.code_bytes += code.original_byte_slice().len();
        self.codes.insert(code_hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ReadError> {
        let position = self.load(address)?;
        self.load_slot(position, slot)
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        slot: U256,
    ) -> Result<U256, ReadError> {
        debug_assert_eq!(self.accounts[id.get()].address, address, "ids are positions");
        self.load_slot(id.get(), slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ReadError> {
        if let Some(hash) = self.block_hashes.get(&number) {
            return Ok(*hash);
        }
        self.unknown_block_hash.get_or_insert(number);
        noted(&mut self.failed, self.reader.block_hash(number))
    }
}

impl<R: StateReader> DatabaseCommit for Overlay<R> {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        for (address, account) in changes {
            // Everything that is committed was loaded by `basic` before, so that only wiping can still read.
            if let Err(error) = self.commit_account(address, account) {
                debug_assert!(self.failed.is_some(), "a read that fails is noted: {error}");
            }
        }
    }
}

impl<R: StateReader> BlockDatabase for Overlay<R> {
    fn record_trace(&mut self, address: Address, from: bool, to: bool) {
        let flags = self.traces.entry(address).or_default();
        flags.0 |= from;
        flags.1 |= to;
    }

    fn collides_by_storage(&mut self, address: Address) -> bool {
        // A read that fails is noted.
        self.has_storage_only(address).unwrap_or(false)
    }

    fn move_balances(&mut self, from: &[Address], to: Address) {
        let moved = self.try_move_balances(from, to);
        debug_assert!(moved.is_ok() || self.failed.is_some(), "a read that fails is noted");
    }
}

#[cfg(test)]
mod tests;
