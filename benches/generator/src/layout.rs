//! The contracts that are there from the start: where they are and what they hold.
//!
//! Genesis and workload both begin with this, so that the model knows the genesis state without reading it.

use crate::{
    accounts::{UserIndex, derive_address},
    config::GeneratorConfig,
    contracts::pair,
    random::Random,
};
use alloy_primitives::Address;

/// What each genesis user owns, in wei: 10,000 ether.
pub(crate) const USER_ETHER: u128 = 10_000 * ETHER;
/// What each first holder of a token owns.
pub(crate) const HOLDER_TOKENS: u128 = 1_000_000 * ETHER;
/// What the airdrop contract owns of each token.
pub(crate) const AIRDROP_TOKENS: u128 = 1_000_000_000 * ETHER;
/// What each pair holds of either token.
pub(crate) const PAIR_TOKENS: u128 = 100_000_000 * ETHER;
/// One ether in wei, and one whole token of any kind.
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;

/// The random stream that chooses first holders.
const STREAM: u64 = 1;
/// One token in this many is behind a proxy, the most used one first.
const PROXY_STEP: u64 = 5;
/// How many of the first tokens are paired with all others.
const QUOTE_TOKENS: usize = 2;
const COLLECTIONS: u64 = 16;
const STORAGE_LOOPS: u64 = 4;
const COMPUTE_LOOPS: u64 = 2;

/// A token of the genesis state.
#[derive(Debug)]
pub(crate) struct TokenLayout {
    pub(crate) address: Address,
    /// Whether the code is a proxy for [`Layout::token_code`].
    pub(crate) is_proxy: bool,
    /// Who owns [`HOLDER_TOKENS`] of it; no one twice.
    pub(crate) holders: Vec<UserIndex>,
}

/// A pair of the genesis state.
#[derive(Debug)]
pub(crate) struct PairLayout {
    pub(crate) address: Address,
    /// Positions in [`Layout::tokens`], the token with the lower address first.
    pub(crate) tokens: [usize; 2],
}

/// The contracts of the genesis state.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) tokens: Vec<TokenLayout>,
    pub(crate) pairs: Vec<PairLayout>,
    /// The token code behind the proxies.
    pub(crate) token_code: Address,
    pub(crate) router: Address,
    pub(crate) collections: Vec<Address>,
    pub(crate) factory: Address,
    pub(crate) storage_loops: Vec<Address>,
    pub(crate) compute_loops: Vec<Address>,
    pub(crate) airdrop: Address,
    pub(crate) account_code: Address,
    pub(crate) transient: Address,
    pub(crate) deposit: Address,
}

impl Layout {
    pub(crate) fn new(config: &GeneratorConfig) -> Self {
        let at = |purpose: &str, index| derive_address(config.seed, purpose.as_bytes(), index);
        let several = |purpose: &str, count| (0..count).map(|index| at(purpose, index)).collect();
        let mut random = Random::new(config.seed, STREAM);
        let tokens: Vec<_> = (0..u64::from(config.tokens))
            .map(|index| TokenLayout {
                address: at("token", index),
                is_proxy: index % PROXY_STEP == 0,
                holders: first_holders(&mut random, config.genesis_users, index),
            })
            .collect();
        Self {
            pairs: pairs_of(&tokens, |index| at("pair", index)),
            tokens,
            token_code: at("token code", 0),
            router: at("router", 0),
            collections: several("collection", COLLECTIONS),
            factory: at("factory", 0),
            storage_loops: several("storage loop", STORAGE_LOOPS),
            compute_loops: several("compute loop", COMPUTE_LOOPS),
            airdrop: at("airdrop", 0),
            account_code: at("account code", 0),
            transient: at("transient", 0),
            deposit: at("deposit", 0),
        }
    }
}

/// All users for the first token, and fewer and fewer, but at least eight, for the later ones.
fn first_holders(random: &mut Random, users: u32, token: u64) -> Vec<UserIndex> {
    let count = (u64::from(users) / (token + 1)).max(8) as usize;
    let mut holders: Vec<UserIndex> = (0..users).collect();
    for position in 0..count {
        let other = random.between(position as u64, u64::from(users) - 1) as usize;
        holders.swap(position, other);
    }
    holders.truncate(count);
    holders
}

/// Pairs of each quote token with every later token.
fn pairs_of(tokens: &[TokenLayout], address: impl Fn(u64) -> Address) -> Vec<PairLayout> {
    let all = (0..QUOTE_TOKENS).flat_map(|quote| (quote + 1..tokens.len()).map(move |other| [quote, other]));
    let in_order = |[a, b]: [usize; 2]| {
        if tokens[a].address < tokens[b].address { [a, b] } else { [b, a] }
    };
    all.zip(0..).map(|(pair, index)| PairLayout { address: address(index), tokens: in_order(pair) }).collect()
}

/// What a swap pays out, and the reserves after it.
pub(crate) fn swap(amount: u128, reserve_in: &mut u128, reserve_out: &mut u128) -> u128 {
    let out = pair::amount_out(amount, *reserve_in, *reserve_out);
    *reserve_in += amount;
    *reserve_out -= out;
    out
}
