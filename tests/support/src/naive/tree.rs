//! The naive way: every block on a state in maps, with nothing kept from block to block, and every root from scratch.

use std::rc::Rc;

use alloy_consensus::{
    Header, Transaction as _,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS},
    proofs::{calculate_ommers_root, calculate_transaction_root, calculate_withdrawals_root},
};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{Address, B256, U256};
use portico_chain::{BlockParts, Receipt};
use portico_chainspec::{BlockContext, Fork};
use portico_consensus::{
    block_difficulty, next_base_fee, next_blob_fee, next_excess_blob_gas, receipts_root_and_bloom,
    receipts_root_with_states, total_difficulty,
};
use portico_evm::{
    BlockExecution, BlockInput, BlockOutcome, BlockRules, ExecutionError, MemoryState, Overlay,
    OverlayWrites, Transaction, execute_block, execute_block_by_transactions,
};
use portico_state::BlockChanges;
use revm::inspector::NoOpInspector;

use super::{
    network::{BLOCK_SECONDS, Network},
    random::Random,
    transactions::Surroundings,
};

/// A block with everything that is to be known after it.
#[derive(Debug)]
pub struct NaiveBlock {
    /// The block.
    pub parts: BlockParts,
    /// Position of the parent; the genesis block is its own.
    pub parent: usize,
    /// With the block's own.
    pub total_difficulty: U256,
    /// Whether consensus is someone else's.
    pub merged: bool,
    /// The block's rules.
    pub fork: Fork,
    /// After the block.
    pub state: Rc<MemoryState>,
    /// Of its transactions.
    pub senders: Vec<Address>,
    /// Of its transactions.
    pub receipts: Vec<Receipt>,
    /// State root after each transaction, before Byzantium.
    pub state_roots: Vec<B256>,
    /// What the block changed, with the values before it.
    pub changes: BlockChanges,
    /// Requests, from Prague on.
    pub requests: Option<Requests>,
}

impl NaiveBlock {
    /// The block's number.
    pub fn number(&self) -> u64 {
        self.parts.header.number
    }

    /// Whether fork choice takes this block when `head` is the head.
    pub fn replaces(&self, head: &Self) -> bool {
        self.merged || self.outweighs(head)
    }

    /// Whether this block wins by total difficulty, or among equals by number.
    pub fn outweighs(&self, head: &Self) -> bool {
        (self.total_difficulty, self.number()) > (head.total_difficulty, head.number())
    }
}

/// Blocks that were grown from the genesis block.
#[derive(Debug)]
pub struct NaiveTree {
    /// The chain.
    pub network: Network,
    /// Parents before their children.
    pub blocks: Vec<NaiveBlock>,
}

/// What is decided about a block before it is executed.
struct Draft {
    header: Header,
    context: BlockContext,
    ommers: Vec<Header>,
    withdrawals: Option<Vec<Withdrawal>>,
}

impl NaiveTree {
    /// The genesis block alone.
    ///
    /// # Panics
    /// When the root of the genesis state is not the one of the specification.
    pub fn new(network: Network) -> Self {
        let spec = &network.spec;
        let header = spec.genesis_header().clone();
        let state = MemoryState::from_genesis(&spec.genesis_alloc());
        assert_eq!(state.root(), header.state_root, "the root of the genesis state");
        let genesis = NaiveBlock {
            total_difficulty: header.difficulty,
            merged: false,
            fork: Fork::Frontier,
            parent: 0,
            state: Rc::new(state),
            senders: Vec::new(),
            receipts: Vec::new(),
            state_roots: Vec::new(),
            changes: BlockChanges::default(),
            requests: header.requests_hash.map(|_| Requests::default()),
            parts: BlockParts {
                hash: spec.genesis_hash(),
                withdrawals: header.withdrawals_root.map(|_| Vec::new()),
                header,
                transactions: Vec::new(),
                ommers: Vec::new(),
            },
        };
        Self { blocks: vec![genesis], network }
    }

    /// Positions from the genesis block to `tip`.
    pub fn path_to(&self, tip: usize) -> Vec<usize> {
        let mut path = vec![tip];
        while let Some(&first) = path.last().filter(|first| **first != 0) {
            path.push(self.blocks[first].parent);
        }
        path.reverse();
        path
    }

    /// Forgets the state after a block: nothing can be grown upon it any more, and it looks as if no account existed.
    pub fn forget_state(&mut self, index: usize) {
        self.blocks[index].state = Rc::default();
    }

    /// Adds a random child of `parent` with up to `transactions_max` transactions.
    ///
    /// # Panics
    /// When the block in one go differs from the block transaction by transaction.
    pub fn grow(&mut self, parent: usize, seed: u64, transactions_max: u64) {
        let index = self.blocks.len() as u64;
        let draft = self.draft(parent, &mut Random::new(seed, "block", index));
        let part = format!("transactions of block {index}");
        let chosen = self.choose_transactions(parent, &draft, |tx_index| {
            (tx_index < transactions_max).then(|| Random::new(seed, &part, tx_index))
        });
        let block = self.execute(parent, draft, chosen);
        self.blocks.push(block);
    }

    fn draft(&self, parent: usize, random: &mut Random) -> Draft {
        let (spec, above) = (&self.network.spec, &self.blocks[parent]);
        let previous = &above.parts.header;
        let number = previous.number + 1;
        let timestamp = previous.timestamp + random.between(1, 2 * BLOCK_SECONDS - 1);
        let context = spec.block_context(number, timestamp, above.total_difficulty);
        let fork = spec.fork_at(context);
        let base_fee_per_gas = next_base_fee(spec, previous);
        let begins_london = base_fee_per_gas.is_some() && previous.base_fee_per_gas.is_none();
        let ommers = if context.merged { Vec::new() } else { self.random_ommers(parent, random) };
        let withdrawals = (fork >= Fork::Shanghai).then(|| self.random_withdrawals(random));
        let blob_params = spec.blob_params_at(timestamp).filter(|_| fork >= Fork::Cancun);
        let header = Header {
            parent_hash: above.parts.hash,
            ommers_hash: match ommers.is_empty() {
                true => EMPTY_OMMER_ROOT_HASH,
                false => calculate_ommers_root(&ommers),
            },
            beneficiary: random.pick(&self.network.pool),
            difficulty: if context.merged { U256::ZERO } else { block_difficulty(spec, context, previous) },
            number,
            gas_limit: if begins_london { previous.gas_limit * 2 } else { previous.gas_limit },
            timestamp,
            extra_data: random.bytes(8).into(),
            mix_hash: random.word(),
            base_fee_per_gas,
            withdrawals_root: withdrawals.as_ref().map(|list| match list.is_empty() {
                true => EMPTY_WITHDRAWALS,
                false => calculate_withdrawals_root(list),
            }),
            excess_blob_gas: blob_params.map(|params| next_excess_blob_gas(&params, previous)),
            parent_beacon_block_root: blob_params.map(|_| random.word()),
            ..Header::default()
        };
        Draft { header, context, ommers, withdrawals }
    }

    /// Siblings of the last blocks, which never were blocks of their own.
    fn random_ommers(&self, parent: usize, random: &mut Random) -> Vec<Header> {
        let path = self.path_to(parent);
        let recent: Vec<usize> = path.iter().skip(1).rev().take(6).copied().collect();
        if recent.is_empty() || random.percent(60) {
            return Vec::new();
        }
        let ommers = (0..random.between(1, 2)).map(|_| {
            let sibling = &self.blocks[random.pick(&recent)].parts.header;
            Header {
                beneficiary: random.pick(&self.network.pool),
                extra_data: random.bytes(8).into(),
                ..sibling.clone()
            }
        });
        ommers.collect()
    }

    fn random_withdrawals(&self, random: &mut Random) -> Vec<Withdrawal> {
        let withdrawals = (0..random.below(4)).map(|index| Withdrawal {
            index,
            validator_index: random.below(100),
            address: random.pick(&self.network.pool),
            amount: random.pick(&[0, 0, 1, 1_000_000_000]),
        });
        withdrawals.collect()
    }

    /// Tries transactions until `streams` has no more randomness for another one; those that are refused are left out.
    fn choose_transactions(
        &self,
        parent: usize,
        draft: &Draft,
        streams: impl Fn(u64) -> Option<Random>,
    ) -> Chosen {
        let spec = &self.network.spec;
        let rules = BlockRules::new(spec, draft.context);
        let above = &self.blocks[parent];
        let existing: Vec<Address> = above.state.accounts().map(|(address, _)| *address).collect();
        let header = &draft.header;
        let blobs_max = match header.excess_blob_gas {
            Some(_) => spec.blob_params_at(header.timestamp).map_or(0, |params| params.max_blob_count),
            None => 0,
        };
        let mut state = (*above.state).clone();
        let mut overlay = self.overlay(parent, &mut state);
        overlay.begin_block(header.number);
        let input = draft.input(&[], &[]);
        let mut execution =
            BlockExecution::begin(&mut overlay, rules, input, NoOpInspector).expect("the block can begin");
        let (mut transactions, mut senders, mut blobs) = (Vec::new(), Vec::new(), 0);
        for random in (0..).map_while(streams) {
            let mut random = random;
            let writes = execution.overlay().to_writes();
            let nonce_of = |address: &Address| {
                let written = writes.accounts.iter().find(|written| written.address == *address);
                match written.and_then(|written| written.account) {
                    Some(account) => account.map_or(0, |account| account.nonce),
                    None => above.state.get(address).map_or(0, |known| known.account.nonce),
                }
            };
            let surroundings = Surroundings {
                network: &self.network,
                fork: rules.fork(),
                base_fee: header.base_fee_per_gas.unwrap_or_default(),
                blob_fee: next_blob_fee(spec, &above.parts.header, header.timestamp).unwrap_or_default(),
                blobs_left: blobs_max - blobs,
                existing: &existing,
                nonce_of: &nonce_of,
            };
            let (transaction, sender) = surroundings.random_transaction(&mut random);
            match execution.transaction(&transaction, sender) {
                Ok(_) => {
                    blobs += transaction.blob_versioned_hashes().map_or(0, |hashes| hashes.len() as u64);
                    transactions.push(transaction);
                    senders.push(sender);
                }
                Err(error) => assert!(error.is_invalid_block(), "{error}"),
            }
        }
        let outcome = execution.finish().expect("the block can end");
        Chosen { transactions, senders, outcome, writes: overlay.into_writes() }
    }

    /// The state after a block, for the next one only, with the hashes that `BLOCKHASH` may ask for.
    fn overlay<'s>(&self, parent: usize, state: &'s mut MemoryState) -> Overlay<&'s mut MemoryState> {
        let mut overlay = Overlay::new(state);
        for index in self.path_to(parent).into_iter().rev().take(256) {
            let block = &self.blocks[index];
            overlay.set_block_hash(block.number(), block.parts.hash);
        }
        overlay
    }

    fn execute(&self, parent: usize, draft: Draft, chosen: Chosen) -> NaiveBlock {
        let above = &self.blocks[parent];
        let rules = BlockRules::new(&self.network.spec, draft.context);
        let Chosen { transactions, senders, .. } = &chosen;
        let input = draft.input(transactions, senders);
        let (mut state, mut state_roots) = ((*above.state).clone(), Vec::new());
        let mut overlay = self.overlay(parent, &mut state);
        overlay.begin_block(draft.header.number);
        let outcome = if rules.fork() >= Fork::Byzantium {
            execute_block(&mut overlay, rules, input)
        } else {
            execute_block_by_transactions(&mut overlay, rules, input, |overlay| {
                let mut state = (*above.state).clone();
                state.apply(overlay.to_writes());
                state_roots.push(state.root());
                Ok::<_, ExecutionError>(())
            })
        };
        let outcome = outcome.expect("the transactions fit");
        assert_eq!(outcome, chosen.outcome, "a block in one go and transaction by transaction");
        let changes = overlay.end_block();
        let writes = overlay.into_writes();
        assert_eq!(writes, chosen.writes, "what a block writes in one go and transaction by transaction");
        state.apply(writes);
        let header = seal(draft.header, &transactions[..], &outcome, &state, &state_roots);
        NaiveBlock {
            requests: outcome.requests,
            total_difficulty: total_difficulty(above.total_difficulty, header.difficulty).unwrap(),
            merged: draft.context.merged,
            fork: rules.fork(),
            parent,
            state: Rc::new(state),
            senders: chosen.senders,
            receipts: outcome.receipts,
            state_roots,
            changes,
            parts: BlockParts {
                hash: header.hash_slow(),
                header,
                transactions: chosen.transactions,
                ommers: draft.ommers,
                withdrawals: draft.withdrawals,
            },
        }
    }
}

/// Transactions that fit a block, and what came of them one by one.
struct Chosen {
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
    outcome: BlockOutcome,
    writes: OverlayWrites,
}

impl Draft {
    fn input<'a>(&'a self, transactions: &'a [Transaction], senders: &'a [Address]) -> BlockInput<'a> {
        BlockInput {
            header: &self.header,
            transactions,
            senders,
            ommers: &self.ommers,
            withdrawals: self.withdrawals.as_deref(),
        }
    }
}

fn seal(
    header: Header,
    transactions: &[Transaction],
    outcome: &BlockOutcome,
    state: &MemoryState,
    state_roots: &[B256],
) -> Header {
    let (mut receipts_root, logs_bloom) = receipts_root_and_bloom(&outcome.receipts);
    if !state_roots.is_empty() {
        receipts_root = receipts_root_with_states(&outcome.receipts, state_roots);
    }
    Header {
        state_root: state.root(),
        transactions_root: calculate_transaction_root(transactions),
        receipts_root,
        logs_bloom,
        gas_used: outcome.gas_used,
        blob_gas_used: header.excess_blob_gas.map(|_| outcome.blob_gas_used),
        requests_hash: outcome.requests.as_ref().map(|requests| requests.requests_hash()),
        ..header
    }
}
