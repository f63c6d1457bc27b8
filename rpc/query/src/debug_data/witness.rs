//! What a block needs to be executed without a database: `portico-stateless` is the other side of it.

mod nodes;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use portico_db::models::{Account, StorageEntry};
use portico_evm::{BlockRules, Overlay, OverlayWrites, ReadError, StateReader, WrittenSlot, execute_block};
use portico_trie::{NodesTo, TrieError, nodes_to_accounts, nodes_to_slots};

use self::nodes::{BadNode, Changes, KnownNodes};
use crate::{FullBlock, QueryError, Snapshot, blocks::missing, replay::StateBelow};

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
    /// The trie before the block is the newest one, taken back: the time grows with what the block looks at and with
    /// what changed since.
    ///
    /// # Errors
    /// [`QueryError::GenesisNotTraceable`]; those of [`Snapshot::state_at`]; [`QueryError::Pruned`] for a block before
    /// the window (setting `proof_blocks_max`), [`QueryError::TooManyChanges`], [`QueryError::TimedOut`].
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
        let state = self.nodes_before(parent, &noted, &writes)?;
        witness.state = state.into_iter().collect();
        Ok(witness)
    }

    /// Nodes of the tries after `parent` that the block looks at, or that are left alone when others go.
    fn nodes_before(
        &self,
        parent: u64,
        noted: &Noted<'_, '_>,
        writes: &OverlayWrites,
    ) -> Result<BTreeSet<Bytes>, QueryError> {
        let past = self.past_trie(parent)?;
        let mut changes = Changes::default();
        for written in &writes.accounts {
            match written.account {
                Some(None) => changes.remove(keccak256(written.address)),
                Some(Some(_)) => changes.set(keccak256(written.address)),
                None => {}
            }
        }
        let read = noted.accounts.iter().map(keccak256).collect();
        let (root, mut found) = self.shown_nodes(parent, read, &changes, |wanted| {
            nodes_to_accounts(&self.txn, &past.state, &past.nodes, wanted)
        })?;
        let expected = self.known_header(parent)?.state_root;
        if root != expected {
            return Err(QueryError::StateRoot { block_number: parent, expected, found: root });
        }
        for (address, read) in &noted.slots {
            let mut changes = Changes::default();
            for WrittenSlot { slot, value, .. } in writes_of(writes, address) {
                if value.is_zero() {
                    changes.remove(keccak256(slot));
                } else {
                    changes.set(keccak256(slot));
                }
            }
            let hashed_address = keccak256(address);
            let read = read.iter().map(keccak256).collect();
            let (_, nodes) = self.shown_nodes(parent, read, &changes, |wanted| {
                nodes_to_slots(&self.txn, &past.state, &past.nodes, &hashed_address, wanted)
            })?;
            found.extend(nodes);
        }
        Ok(found)
    }

    /// What is shown of a trie, from which `nodes_to` reads, and its root.
    fn shown_nodes(
        &self,
        parent: u64,
        read: BTreeSet<B256>,
        changes: &Changes,
        nodes_to: impl Fn(&BTreeSet<B256>) -> Result<NodesTo, TrieError>,
    ) -> Result<(B256, BTreeSet<Bytes>), QueryError> {
        let mut known = KnownNodes::default();
        let mut wanted: BTreeSet<B256> = read.iter().chain(changes.removed()).copied().collect();
        // What is left alone is asked for once; nothing more can be missing then.
        for _ in 0..2 {
            self.check_deadline()?;
            let NodesTo { root, nodes } = nodes_to(&wanted)?;
            known.add(nodes);
            let shown = known.shown(&root, read.iter().copied(), changes);
            let shown = shown.map_err(|BadNode| missing("readable trie node", parent))?;
            if shown.missing.is_empty() {
                return Ok((root, shown.nodes));
            }
            wanted = shown.missing;
        }
        Err(missing("trie node", parent).into())
    }
}

fn writes_of<'w>(writes: &'w OverlayWrites, address: &Address) -> &'w [WrittenSlot] {
    let position = writes.accounts.binary_search_by_key(address, |written| written.address);
    position.map_or(&[], |position| &writes.accounts[position].slots)
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
        slots.extend(writes.accounts.iter().flat_map(|written| &written.slots).map(|written| &written.slot));
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
