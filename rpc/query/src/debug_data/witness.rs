//! What a block needs to be executed without a database: `portico-stateless` is the other side of it.

mod nodes;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount, root::storage_root_unhashed};
use portico_db::models::{Account, StorageEntry};
use portico_evm::{BlockRules, Overlay, OverlayWrites, ReadError, StateReader, execute_block};
use portico_state::{AsOf, visit_accounts, visit_slots};

use self::nodes::{Changes, TrieLeaves};
use crate::{FullBlock, QueryError, Snapshot, replay::StateBelow};

/// Nodes, codes and headers with which a block can be executed on nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutionWitness {
    /// Nodes of the account trie and of storage tries before the block, in order of their bytes.
    pub state: Vec<Bytes>,
    /// Code that was there before the block and was looked at, in order of its hash.
    pub codes: Vec<Bytes>,
    /// Addresses and slots that were looked at.
    pub keys: Vec<Bytes>,
    /// The parent's header and those before it, as far as the block asked for hashes; in order, as RLP.
    pub headers: Vec<Bytes>,
}

impl Snapshot<'_> {
    /// The witness of a canonical block: it is executed again, and what it reads is noted.
    ///
    /// The trie before the block is made from the state of then, all of it: the time grows with the state.
    ///
    /// # Errors
    /// [`QueryError::GenesisNotTraceable`]; those of [`Snapshot::state_at`]; [`QueryError::TimedOut`].
    pub fn execution_witness(&self, block: &FullBlock) -> Result<ExecutionWitness, QueryError> {
        let header = &block.parts.header;
        let parent = header.number.checked_sub(1).ok_or(QueryError::GenesisNotTraceable)?;
        let mut noted = Noted::new(StateBelow::new(self.state_at(parent)?, self), parent);
        let mut overlay = Overlay::new(&mut noted);
        overlay.begin_block(header.number);
        let rules = BlockRules::new(self.spec(), self.block_context(header)?);
        execute_block(&mut overlay, rules, block.input())?;
        let writes = overlay.into_writes();
        let mut witness = ExecutionWitness {
            codes: noted.codes.values().cloned().collect(),
            keys: noted.keys(&writes),
            ..ExecutionWitness::default()
        };
        for number in noted.oldest..=parent {
            let header = self.known_header(number)?;
            witness.headers.push(alloy_rlp::encode(header.inner()).into());
        }
        let state = self.nodes_before(self.as_of(parent)?, &noted, &writes)?;
        witness.state = state.into_iter().collect();
        Ok(witness)
    }

    /// Nodes of the tries before the block that it looks at, or that are left alone when others go.
    fn nodes_before(
        &self,
        as_of: AsOf,
        noted: &Noted<'_, '_>,
        writes: &OverlayWrites,
    ) -> Result<BTreeSet<Bytes>, QueryError> {
        let mut found = BTreeSet::new();
        let mut leaves = TrieLeaves::default();
        visit_accounts(&self.txn, as_of, Address::ZERO, |address, account| {
            self.check_deadline()?;
            let slots = self.all_slots(as_of, &address)?;
            let storage_root = match noted.slots.get(&address) {
                Some(read) => storage_nodes(&slots, read, writes_of(writes, &address), &mut found),
                None => storage_root_unhashed(slots.iter().copied()),
            };
            let Account { nonce, balance, code_hash } = account;
            let account = TrieAccount { nonce, balance, storage_root, code_hash };
            leaves.push(keccak256(address), alloy_rlp::encode(account));
            Ok::<_, QueryError>(ControlFlow::Continue(()))
        })?;
        let mut changes = Changes::default();
        for written in &writes.accounts {
            match written.account {
                Some(None) => changes.remove(keccak256(written.address)),
                Some(Some(_)) => changes.set(keccak256(written.address)),
                None => {}
            }
        }
        leaves.nodes_to(noted.accounts.iter().map(keccak256), &changes, &mut found);
        Ok(found)
    }

    fn all_slots(&self, as_of: AsOf, address: &Address) -> Result<Vec<(B256, U256)>, QueryError> {
        let mut slots = Vec::new();
        visit_slots(&self.txn, as_of, address, B256::ZERO, |slot, value| {
            self.check_deadline()?;
            slots.push((slot, value));
            Ok::<_, QueryError>(ControlFlow::Continue(()))
        })?;
        Ok(slots)
    }
}

fn writes_of<'w>(writes: &'w OverlayWrites, address: &Address) -> &'w [(B256, U256)] {
    let position = writes.accounts.binary_search_by_key(address, |written| written.address);
    position.map_or(&[], |position| &writes.accounts[position].slots)
}

/// Adds the nodes of an account's storage trie and gives its root.
fn storage_nodes(
    slots: &[(B256, U256)],
    read: &BTreeSet<B256>,
    written: &[(B256, U256)],
    found: &mut BTreeSet<Bytes>,
) -> B256 {
    if slots.is_empty() {
        return EMPTY_ROOT_HASH;
    }
    let mut leaves = TrieLeaves::default();
    for (slot, value) in slots {
        leaves.push(keccak256(slot), alloy_rlp::encode(value));
    }
    let mut changes = Changes::default();
    for (slot, value) in written {
        if value.is_zero() {
            changes.remove(keccak256(slot));
        } else {
            changes.set(keccak256(slot));
        }
    }
    leaves.nodes_to(read.iter().map(keccak256), &changes, found)
}

/// A reader that notes what is read.
#[derive(Debug)]
struct Noted<'s, 'q> {
    inner: StateBelow<'s, 'q>,
    accounts: BTreeSet<Address>,
    slots: BTreeMap<Address, BTreeSet<B256>>,
    codes: BTreeMap<B256, Bytes>,
    oldest: u64,
}

impl<'s, 'q> Noted<'s, 'q> {
    fn new(inner: StateBelow<'s, 'q>, parent: u64) -> Self {
        Self {
            inner,
            accounts: BTreeSet::new(),
            slots: BTreeMap::new(),
            codes: BTreeMap::new(),
            oldest: parent,
        }
    }

    /// Addresses and slots that were read; of accounts that are new, slots that were written.
    fn keys(&self, writes: &OverlayWrites) -> Vec<Bytes> {
        let addresses = self.accounts.iter().map(|address| Bytes::copy_from_slice(address.as_slice()));
        let mut slots: BTreeSet<&B256> = self.slots.values().flatten().collect();
        slots.extend(writes.accounts.iter().flat_map(|written| &written.slots).map(|(slot, _)| slot));
        addresses.chain(slots.into_iter().map(|slot| Bytes::copy_from_slice(slot.as_slice()))).collect()
    }
}

impl StateReader for Noted<'_, '_> {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, ReadError> {
        self.accounts.insert(*address);
        self.inner.account(address)
    }

    fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, ReadError> {
        self.slots.entry(*address).or_default().insert(*slot);
        self.inner.storage(address, slot)
    }

    fn slots(&mut self, address: &Address) -> Result<Vec<StorageEntry>, ReadError> {
        self.inner.slots(address)
    }

    fn has_storage(&mut self, address: &Address) -> Result<bool, ReadError> {
        self.inner.has_storage(address)
    }

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        let code = self.inner.code(code_hash)?;
        self.codes.entry(*code_hash).or_insert_with(|| Bytes::copy_from_slice(&code));
        Ok(code)
    }

    fn block_hash(&mut self, block_number: u64) -> Result<B256, ReadError> {
        self.oldest = self.oldest.min(block_number);
        self.inner.block_hash(block_number)
    }
}
