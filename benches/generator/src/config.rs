//! What to generate: sizes, speed, forks and the transaction mix.

use crate::{error::ConfigFault, mix::Mix};
use alloy_eips::eip7840::BlobParams;

/// Room for the largest of the plain transactions. Blocks with less than 5,000 are invalid on any chain.
const GAS_LIMIT_MIN: u64 = 1_000_000;

/// Everything that determines a generated chain. Equal configurations give equal chains, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratorConfig {
    /// Where all randomness comes from.
    pub seed: u64,
    /// The chain id.
    pub chain_id: u64,
    /// Time of the genesis block, in seconds.
    pub genesis_timestamp: u64,
    /// Seconds from block to block. One block in a hundred comes a slot late, as when a proposer misses its
    /// turn.
    pub seconds_per_block: u64,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Base fee of the genesis block, in wei.
    pub base_fee: u64,
    /// Transactions per block when the base fee is as in genesis. More come when it is lower, so in the long
    /// run half the gas limit decides; see [`crate::Workload::next_block`].
    pub transactions_per_block: u64,
    /// Users with ether and tokens in the genesis state.
    pub genesis_users: u32,
    /// Receiving addresses that transactions choose from.
    pub cold_accounts: u64,
    /// How many of them have ether in the genesis state, so that it is as large as that of a network in use.
    pub genesis_cold_accounts: u64,
    /// Tokens in the genesis state. The first few are much more used than the others.
    pub tokens: u32,
    /// How often each kind of transaction comes.
    pub mix: Mix,
    /// When forks become active.
    pub forks: ForkSchedule,
}

impl Default for GeneratorConfig {
    /// The benchmark chain: Osaka from the start, on average about 175 transactions of 85,000 gas in a
    /// block.
    fn default() -> Self {
        Self {
            seed: 1,
            chain_id: 1_337_001,
            genesis_timestamp: 1_700_000_000,
            seconds_per_block: 12,
            gas_limit: 30_000_000,
            base_fee: 1_000_000_000,
            transactions_per_block: 150,
            genesis_users: 2_000,
            cold_accounts: 200_000,
            genesis_cold_accounts: 0,
            tokens: 64,
            mix: Mix::default(),
            forks: ForkSchedule::default(),
        }
    }
}

impl GeneratorConfig {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self) -> Result<(), ConfigFault> {
        if self.genesis_users < 10 {
            return Err(ConfigFault::TooFewUsers);
        }
        if !(2..=10_000).contains(&self.tokens) {
            return Err(ConfigFault::TokenCount);
        }
        if !self.forks.is_ordered() {
            return Err(ConfigFault::ForkOrder);
        }
        if self.mix.weights().all(|(_, weight)| weight == 0) {
            return Err(ConfigFault::EmptyMix);
        }
        if !(GAS_LIMIT_MIN..=i64::MAX as u64).contains(&self.gas_limit) {
            return Err(ConfigFault::GasLimit);
        }
        let sizes = [self.seconds_per_block, self.transactions_per_block, self.cold_accounts];
        if sizes.contains(&0) {
            return Err(ConfigFault::Zero);
        }
        if self.genesis_cold_accounts > self.cold_accounts {
            return Err(ConfigFault::FundedColdAccounts);
        }
        Ok(())
    }
}

/// The forks that a generated chain can be in. Everything before Paris is active from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fork {
    /// Proof of stake, nothing more.
    Paris,
    /// Withdrawals.
    Shanghai,
    /// Blobs, transient storage, beacon roots.
    Cancun,
    /// Delegated accounts, requests, historical block hashes.
    Prague,
    /// The transaction gas cap, the blob base fee's floor.
    Osaka,
}

/// Times, in seconds, from which forks are active. `None` is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkSchedule {
    /// Shanghai.
    pub shanghai: Option<u64>,
    /// Cancun: 3 blobs wanted, 6 allowed.
    pub cancun: Option<u64>,
    /// Prague: 6 and 9.
    pub prague: Option<u64>,
    /// Osaka.
    pub osaka: Option<u64>,
    /// The first blob parameter fork: 10 and 15.
    pub bpo1: Option<u64>,
    /// The second one: 14 and 21.
    pub bpo2: Option<u64>,
}

impl Default for ForkSchedule {
    /// Osaka from genesis on, without blob parameter forks.
    fn default() -> Self {
        let active = Some(0);
        Self { shanghai: active, cancun: active, prague: active, osaka: active, bpo1: None, bpo2: None }
    }
}

impl ForkSchedule {
    /// A chain that begins in Paris and enters the next fork every `seconds`, the first at `start` +
    /// `seconds`.
    pub const fn passing_through(start: u64, seconds: u64) -> Self {
        Self {
            shanghai: Some(start + seconds),
            cancun: Some(start + 2 * seconds),
            prague: Some(start + 3 * seconds),
            osaka: Some(start + 4 * seconds),
            bpo1: Some(start + 5 * seconds),
            bpo2: Some(start + 6 * seconds),
        }
    }

    /// The fork of a block with this timestamp.
    pub fn fork_at(&self, timestamp: u64) -> Fork {
        let forks = [
            (self.osaka, Fork::Osaka),
            (self.prague, Fork::Prague),
            (self.cancun, Fork::Cancun),
            (self.shanghai, Fork::Shanghai),
        ];
        let active = forks.into_iter().find(|(time, _)| is_active(*time, timestamp));
        active.map_or(Fork::Paris, |(_, fork)| fork)
    }

    /// Blob parameters of a block with this timestamp; `None` before Cancun.
    pub fn blob_params_at(&self, timestamp: u64) -> Option<BlobParams> {
        if is_active(self.bpo2, timestamp) {
            return Some(BlobParams::bpo2());
        }
        if is_active(self.bpo1, timestamp) {
            return Some(BlobParams::bpo1());
        }
        match self.fork_at(timestamp) {
            Fork::Paris | Fork::Shanghai => None,
            Fork::Cancun => Some(BlobParams::cancun()),
            Fork::Prague => Some(BlobParams::prague()),
            Fork::Osaka => Some(BlobParams::osaka()),
        }
    }

    fn is_ordered(&self) -> bool {
        let times = [self.shanghai, self.cancun, self.prague, self.osaka, self.bpo1, self.bpo2];
        times.map(|time| time.unwrap_or(u64::MAX)).is_sorted()
    }
}

fn is_active(time: Option<u64>, timestamp: u64) -> bool {
    time.is_some_and(|time| time <= timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_follow_their_times() {
        let forks = ForkSchedule::passing_through(1000, 100);
        let names: Vec<Fork> = (0..6).map(|step| forks.fork_at(1000 + 100 * step)).collect();
        use Fork::*;
        assert_eq!(names, [Paris, Shanghai, Cancun, Prague, Osaka, Osaka]);
        let blobs: Vec<Option<u64>> = (0..7)
            .map(|step| forks.blob_params_at(1000 + 100 * step).map(|params| params.max_blob_count))
            .collect();
        assert_eq!(blobs, [None, None, Some(6), Some(9), Some(9), Some(15), Some(21)]);
        assert_eq!(ForkSchedule::default().fork_at(0), Osaka);
    }

    #[test]
    fn faults_are_found() {
        let good = GeneratorConfig::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(
            GeneratorConfig { genesis_users: 9, ..good.clone() }.check(),
            Err(ConfigFault::TooFewUsers)
        );
        assert_eq!(GeneratorConfig { tokens: 1, ..good.clone() }.check(), Err(ConfigFault::TokenCount));
        for gas_limit in [0, 1000, u64::MAX] {
            let config = GeneratorConfig { gas_limit, ..good.clone() };
            assert_eq!(config.check(), Err(ConfigFault::GasLimit));
        }
        let funded = GeneratorConfig { cold_accounts: 5, genesis_cold_accounts: 6, ..good.clone() };
        assert_eq!(funded.check(), Err(ConfigFault::FundedColdAccounts));
        assert_eq!(GeneratorConfig { mix: Mix::none(), ..good.clone() }.check(), Err(ConfigFault::EmptyMix));
        let forks = ForkSchedule { shanghai: None, ..good.forks };
        assert_eq!(GeneratorConfig { forks, ..good }.check(), Err(ConfigFault::ForkOrder));
    }
}
