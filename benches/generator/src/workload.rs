//! The model of a chain's users and contracts, which plans block after block.
//!
//! The model follows the chain without reading it: it knows each user's nonce, a lower bound of everybody's
//! ether and tokens, the pairs' reserves, which child contracts and storage slots are there. So a planned
//! transaction is valid and ends as intended as long as all earlier ones were included in their order.
//!
//! What it plans depends on the configuration and on the contexts given, nothing else: no clock, no thread
//! count, no order of a hash map.

use crate::{
    accounts::{Accounts, UserIndex},
    config::{Fork, GeneratorConfig},
    error::ConfigFault,
    layout::{ETHER, HOLDER_TOKENS, Layout, PAIR_TOKENS, USER_ETHER},
    mix::Kind,
    plan::{BlockContext, BlockPlan, PlannedBlock, PlannedTransaction},
    random::Random,
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::Address;
use std::collections::{HashMap, HashSet};

/// The random stream of workloads.
const STREAM: u64 = 2;
/// Withdrawals in each block, as on mainnet.
const WITHDRAWALS: u64 = 16;
/// Validators that take turns in withdrawing.
const VALIDATORS: u64 = 1_000_000;
/// Addresses that withdrawals go to.
const WITHDRAWAL_ADDRESSES: u64 = 50_000;
/// Who owns less is not asked to send.
const SENDER_ETHER_MIN: u128 = ETHER / 20;
/// How many users are looked at before a transaction is given up.
pub(crate) const TRIES: usize = 8;

/// What the model knows of a token.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) address: Address,
    /// Users who own some, in the order in which they first did.
    pub(crate) holders: Vec<UserIndex>,
    /// What they own at least.
    pub(crate) balances: HashMap<UserIndex, u128>,
    /// Who has let the router take any amount.
    pub(crate) approved: HashSet<UserIndex>,
}

/// What the model knows of a pair.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Positions in [`Workload::tokens`], in the pair's order.
    pub(crate) tokens: [usize; 2],
    pub(crate) reserves: [u128; 2],
}

/// What the model knows of a storage loop contract.
#[derive(Debug)]
pub(crate) struct StorageLoop {
    pub(crate) address: Address,
    /// First slot never written to.
    pub(crate) next_slot: u64,
    /// First slot and length of each run that is filled.
    pub(crate) filled: Vec<(u64, u64)>,
}

/// A deterministic source of blocks. See the module's documentation.
#[derive(Debug)]
pub struct Workload {
    config: GeneratorConfig,
    pub(crate) random: Random,
    pub(crate) accounts: Accounts,
    pub(crate) layout: Layout,
    pub(crate) tokens: Vec<Token>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) storage_loops: Vec<StorageLoop>,
    /// Nonce of the factory, which names the next child.
    pub(crate) factory_nonce: u64,
    /// Children that are there.
    pub(crate) children: Vec<Address>,
    /// Those of them that `CREATE2` made.
    pub(crate) salted_children: HashSet<Address>,
    /// Users who delegate, or did once; nobody twice.
    pub(crate) delegated: Vec<UserIndex>,
    next_withdrawal: u64,
}

impl Workload {
    /// The workload that follows [`genesis`](crate::genesis()) of the same configuration.
    ///
    /// # Errors
    /// The fault found by [`GeneratorConfig::check`].
    pub fn new(config: &GeneratorConfig) -> Result<Self, ConfigFault> {
        config.check()?;
        let layout = Layout::new(config);
        let tokens = layout.tokens.iter().map(|token| {
            let balances = token.holders.iter().map(|holder| (*holder, HOLDER_TOKENS)).collect();
            let (address, holders) = (token.address, token.holders.clone());
            Token { address, holders, balances, approved: HashSet::new() }
        });
        let pairs = layout.pairs.iter().map(|pair| Pair { tokens: pair.tokens, reserves: [PAIR_TOKENS; 2] });
        let loops = layout.storage_loops.iter();
        Ok(Self {
            config: config.clone(),
            random: Random::new(config.seed, STREAM),
            accounts: Accounts::new(config.seed, config.genesis_users, USER_ETHER),
            tokens: tokens.collect(),
            pairs: pairs.collect(),
            storage_loops: loops
                .map(|address| StorageLoop { address: *address, next_slot: 0, filled: Vec::new() })
                .collect(),
            factory_nonce: 1,
            children: Vec::new(),
            salted_children: HashSet::new(),
            delegated: Vec::new(),
            next_withdrawal: 0,
            layout,
        })
    }

    /// Plans the next block.
    ///
    /// The number of transactions varies around the configured average. It rises when the base fee is below
    /// half of the genesis block's and falls when it is above twice that, as demand does, so that blocks
    /// settle around their gas target. One block in a hundred is empty, three are as full as can be. The sum
    /// of the gas limits never exceeds the block's, so that any execution fits.
    pub fn next_block(&mut self, context: &BlockContext) -> PlannedBlock {
        let mut block = BlockPlan::new(*context);
        let wanted = self.transactions_wanted(context.base_fee);
        let weights = self.config.mix.weights();
        let weights =
            weights.map(|(kind, weight)| if kind.first_fork() <= context.fork { weight } else { 0 });
        if weights.clone().any(|weight| weight > 0) {
            // A plan may come to nothing, at worst all of them.
            for _ in 0..wanted.saturating_mul(2) {
                if block.transactions.len() as u64 >= wanted {
                    break;
                }
                let kind = Kind::ALL[self.random.weighted(weights.clone())];
                self.plan(&mut block, kind);
            }
        }
        let has_withdrawals = context.fork >= Fork::Shanghai;
        let withdrawals = if has_withdrawals { self.withdrawals() } else { Vec::new() };
        PlannedBlock { transactions: block.transactions, withdrawals }
    }

    /// Tells the model that a planned transaction was not included.
    ///
    /// The nonces that it would have raised go back, and its sender is asked for nothing more.
    pub fn refused(&mut self, planned: &PlannedTransaction) {
        let nonce = alloy_consensus::Transaction::nonce(&planned.transaction);
        for (user, nonce) in [(planned.sender, nonce)].iter().chain(&planned.authorities) {
            let user = self.accounts.user_mut(*user);
            user.nonce = user.nonce.min(*nonce);
        }
        self.accounts.user_mut(planned.sender).balance = 0;
    }

    /// The users, whose keys sign what is planned.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(crate) fn chain_id(&self) -> u64 {
        self.config.chain_id
    }

    fn transactions_wanted(&mut self, base_fee: u64) -> u64 {
        let usual = self.config.base_fee;
        let demand_percent = match base_fee {
            fee if fee < usual / 4 => 130,
            fee if fee < usual / 2 => 115,
            fee if fee > usual.saturating_mul(4) => 70,
            fee if fee > usual.saturating_mul(2) => 85,
            _ => 100,
        };
        let luck_percent = match self.random.below(100) {
            0 => 0,
            1..4 => 250,
            _ => self.random.between(50, 150),
        };
        self.config.transactions_per_block.saturating_mul(demand_percent * luck_percent) / 10_000
    }

    fn withdrawals(&mut self) -> Vec<Withdrawal> {
        let first = self.next_withdrawal;
        self.next_withdrawal += WITHDRAWALS;
        let withdrawal = |index| {
            let validator_index = index % VALIDATORS;
            let address = self.accounts.cold_address(validator_index % WITHDRAWAL_ADDRESSES);
            // Rewards of about nine days, in gwei.
            let amount = self.random.between(16_000_000, 20_000_000);
            Withdrawal { index, validator_index, address, amount }
        };
        (first..first + WITHDRAWALS).map(withdrawal).collect()
    }

    // Choices that planners share.

    /// A user who can pay for an ordinary transaction; some users are far busier than others.
    pub(crate) fn pick_sender(&mut self) -> Option<UserIndex> {
        (0..TRIES).find_map(|_| {
            let user = self.pick_user();
            self.can_send(user).then_some(user)
        })
    }

    /// Any user.
    pub(crate) fn pick_user(&mut self) -> UserIndex {
        let count = self.accounts.len();
        pick_position(&mut self.random, count) as UserIndex
    }

    /// One of the addresses without a key.
    pub(crate) fn pick_cold_address(&mut self) -> Address {
        let index = pick_position(&mut self.random, self.config.cold_accounts);
        self.accounts.cold_address(index)
    }

    pub(crate) fn can_send(&self, user: UserIndex) -> bool {
        self.accounts.user(user).balance >= SENDER_ETHER_MIN
    }

    /// A token; the first ones are far busier than the later ones.
    pub(crate) fn pick_token(&mut self) -> usize {
        self.random.skewed_below(self.tokens.len() as u64) as usize
    }

    /// Someone who can send a little of a token, and how much they own at least.
    pub(crate) fn pick_holder(&mut self, token: usize) -> Option<(UserIndex, u128)> {
        for _ in 0..TRIES {
            let holders = &self.tokens[token].holders;
            let position = pick_position(&mut self.random, holders.len() as u64);
            let holder = holders[position as usize];
            let balance = self.token_balance(token, holder);
            if balance >= 1 << 20 && self.can_send(holder) {
                return Some((holder, balance));
            }
        }
        None
    }

    pub(crate) fn token_balance(&self, token: usize, user: UserIndex) -> u128 {
        self.tokens[token].balances.get(&user).copied().unwrap_or(0)
    }

    pub(crate) fn debit_token(&mut self, token: usize, user: UserIndex, amount: u128) {
        let balance = self.tokens[token].balances.get_mut(&user).expect("who sends tokens owns some");
        *balance -= amount;
    }

    pub(crate) fn credit_token(&mut self, token: usize, user: UserIndex, amount: u128) {
        let token = &mut self.tokens[token];
        let balance = token.balances.entry(user).or_insert_with(|| {
            token.holders.push(user);
            0
        });
        *balance += amount;
    }
}

/// Half of the time the low positions are far more likely, half of the time all are equally so.
fn pick_position(random: &mut Random, count: u64) -> u64 {
    if random.percent(50) { random.skewed_below(count) } else { random.below(count) }
}
