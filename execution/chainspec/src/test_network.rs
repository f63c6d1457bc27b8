//! The networks of the consensus tests: all rules of one fork from the genesis block on, or a change from one fork to
//! another, by the names that go-ethereum and the execution spec tests give them.
//!
//! `Berlin` · `BerlinToLondonAt5` (block) · `CancunToPragueAtTime15k` (seconds) · `ArrowGlacierToParisAtDiffC0000`
//! (terminal total difficulty, hexadecimal) · `HomesteadToDaoAt5`.

use crate::{
    Activation, AmsterdamRules, BlobSchedule, ChainSpec, ChainSpecError, EngineConfig, Fork, ForkSchedule,
    blob::GivenBlobParams,
    genesis::GenesisFields,
    spec::{DaoFork, Parts},
};
use alloy_eips::eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS;
use alloy_primitives::U256;
use std::collections::BTreeMap;

/// Target, max, update fraction of the forks that bring their own. BPO3 and BPO4 are of the test networks only.
const BLOB_PARAMS: [(Fork, u64, u64, u64); 6] = [
    (Fork::Cancun, 3, 6, 3_338_477),
    (Fork::Prague, 6, 9, 5_007_716),
    (Fork::Bpo1, 10, 15, 8_346_193),
    (Fork::Bpo2, 14, 21, 11_684_671),
    (Fork::Bpo3, 21, 32, 20_609_697),
    (Fork::Bpo4, 14, 21, 13_739_630),
];

/// Blob parameters that a test gives for the newest fork of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestBlobParams {
    /// Blobs a block aims at.
    pub target: u64,
    /// Blobs a block may hold.
    pub max: u64,
    /// Denominator of the blob fee's exponent (EIP-4844).
    pub update_fraction: u64,
}

/// A network's forks: those from the genesis block on, and the later ones with the point of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TestNetwork {
    genesis: Fork,
    change: Option<(Fork, Activation)>,
    dao_block: Option<u64>,
}

impl ChainSpec {
    /// A chain with the rules of a test network; its genesis block holds nothing.
    ///
    /// `blob_params` replace those of the newest fork. The deposit contract is mainnet's. Amsterdam by other rules than the final
    /// ones has their name behind an `@`: `Amsterdam@bal-devnet-4`.
    ///
    /// # Errors
    /// [`ChainSpecError::UnknownTestNetwork`] when there is no such name, and when the parameters make no sense.
    pub fn for_test_network(
        name: &str,
        chain_id: u64,
        blob_params: Option<TestBlobParams>,
    ) -> Result<Self, ChainSpecError> {
        let unknown = || ChainSpecError::UnknownTestNetwork { name: name.to_owned() };
        let (forks, rules) = name.split_once('@').map_or((name, None), |(forks, rules)| (forks, Some(rules)));
        let network = TestNetwork::parse(forks).ok_or_else(unknown)?;
        let amsterdam_rules = match rules {
            None => AmsterdamRules::Final,
            Some(rules) if network.newest() == Fork::Amsterdam => {
                AmsterdamRules::by_name(rules).ok_or_else(unknown)?
            }
            Some(_) => return Err(unknown()),
        };
        let schedule = ForkSchedule::new(network.activations())?;
        let newest = network.newest();
        let blobs = BlobSchedule::new(&schedule, |fork| match blob_params {
            Some(TestBlobParams { target, max, update_fraction }) if fork == newest => {
                Some(GivenBlobParams { target, max, update_fraction })
            }
            _ => default_blob_params(fork),
        })?;
        Ok(Self::from_parts(Parts {
            name: name.to_owned(),
            chain_id,
            network_id: chain_id,
            engines: vec![(0, EngineConfig::Ethash { fixed_difficulty: None })],
            fork_points: schedule.iter().map(|(_, activation)| activation).collect(),
            schedule,
            eip155_block: None,
            dao_fork: network.dao_block.map(|block| DaoFork { block, supported: true }),
            deposit_contract: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
            contract_size_limit: None,
            zero_base_fee: false,
            amsterdam_rules,
            blobs,
            header: GenesisFields::default(),
            alloc: Vec::new(),
            other: BTreeMap::new(),
        }))
    }
}

impl TestNetwork {
    fn parse(name: &str) -> Option<Self> {
        if let Some(genesis) = Fork::by_test_name(name) {
            return Some(Self { genesis, change: None, dao_block: None });
        }
        let (forks, point) = name.split_once("At")?;
        let (from, to) = forks.split_once("To")?;
        let genesis = Fork::by_test_name(from)?;
        if to == "Dao" {
            return Some(Self { genesis, change: None, dao_block: Some(point.parse().ok()?) });
        }
        let to = Fork::by_test_name(to)?;
        let activation = parse_activation(point)?;
        let fits = match activation {
            Activation::Timestamp(_) => to.is_by_timestamp(),
            Activation::TotalDifficulty(_) => to == Fork::Paris,
            Activation::Block(_) => to < Fork::Paris,
        };
        (genesis < to && fits).then_some(Self { genesis, change: Some((to, activation)), dao_block: None })
    }

    fn newest(&self) -> Fork {
        self.change.map_or(self.genesis, |(fork, _)| fork)
    }

    fn activations(&self) -> Vec<(Fork, Activation)> {
        let newest = self.newest();
        let has = |fork: &Fork| *fork <= newest && !(newest == Fork::Amsterdam && is_after_bpo2(*fork));
        let forks = Fork::ALL.into_iter().filter(has);
        forks.map(|fork| (fork, self.activation(fork))).collect()
    }

    fn activation(&self, fork: Fork) -> Activation {
        match self.change {
            Some((_, activation)) if fork > self.genesis => activation,
            _ if fork == Fork::Paris => Activation::TotalDifficulty(U256::ZERO),
            _ if fork.is_by_timestamp() => Activation::Timestamp(0),
            _ => Activation::Block(0),
        }
    }
}

/// Amsterdam's test networks inherit from BPO2.
fn is_after_bpo2(fork: Fork) -> bool {
    matches!(fork, Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5)
}

/// `5`, `Time15k`, `DiffC0000`.
fn parse_activation(point: &str) -> Option<Activation> {
    if let Some(time) = point.strip_prefix("Time") {
        let (digits, unit) = time.strip_suffix('k').map_or((time, 1), |digits| (digits, 1000));
        return Some(Activation::Timestamp(digits.parse::<u64>().ok()?.checked_mul(unit)?));
    }
    if let Some(difficulty) = point.strip_prefix("Diff") {
        return Some(Activation::TotalDifficulty(U256::from_str_radix(difficulty, 16).ok()?));
    }
    point.parse().ok().map(Activation::Block)
}

fn default_blob_params(fork: Fork) -> Option<GivenBlobParams> {
    let (_, target, max, update_fraction) = BLOB_PARAMS.into_iter().find(|(of, ..)| *of == fork)?;
    Some(GivenBlobParams { target, max, update_fraction })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlockContext;

    fn spec(name: &str) -> ChainSpec {
        ChainSpec::for_test_network(name, 1, None).unwrap()
    }

    fn fork_at(spec: &ChainSpec, number: u64, timestamp: u64) -> Fork {
        spec.fork_at(spec.block_context(number, timestamp, U256::ZERO))
    }

    #[test]
    fn a_fork_by_name_holds_from_genesis_on() {
        for fork in Fork::ALL {
            let name = fork.name().replace(' ', "");
            assert_eq!(fork_at(&spec(&name), 0, 0), fork, "{name}");
        }
        for (name, fork) in [
            ("EIP150", Fork::TangerineWhistle),
            ("EIP158", Fork::SpuriousDragon),
            ("ConstantinopleFix", Fork::Petersburg),
            ("Merge", Fork::Paris),
        ] {
            assert_eq!(fork_at(&spec(name), 0, 0), fork, "{name}");
        }
    }

    #[test]
    fn a_transition_changes_the_rules_at_its_point() {
        let by_block = spec("BerlinToLondonAt5");
        assert_eq!((fork_at(&by_block, 4, 99), fork_at(&by_block, 5, 0)), (Fork::Berlin, Fork::London));
        let by_time = spec("CancunToPragueAtTime15k");
        assert_eq!(fork_at(&by_time, 9, 14_999), Fork::Cancun);
        assert_eq!(fork_at(&by_time, 9, 15_000), Fork::Prague);
        assert_eq!(by_time.blob_params_at(15_000).unwrap().max_blob_count, 9);
        let merge = spec("ArrowGlacierToParisAtDiffC0000");
        assert_eq!(merge.terminal_total_difficulty(), Some(U256::from(0xc0000)));
        assert_eq!(fork_at(&merge, 9, 0), Fork::ArrowGlacier);
        let merged = BlockContext { number: 9, timestamp: 0, merged: true };
        assert_eq!(merge.fork_at(merged), Fork::Paris);
        assert_eq!(spec("HomesteadToDaoAt5").dao_fork_block(), Some(5));
    }

    #[test]
    fn amsterdam_can_be_that_of_a_development_network() {
        for (name, rules) in [
            ("Amsterdam", AmsterdamRules::Final),
            ("Amsterdam@final", AmsterdamRules::Final),
            ("Amsterdam@bal-devnet-4", AmsterdamRules::BalDevnet4),
            ("BPO2ToAmsterdamAtTime15k@bal-devnet-4", AmsterdamRules::BalDevnet4),
        ] {
            assert_eq!(spec(name).amsterdam_rules(), rules, "{name}");
            assert_eq!(fork_at(&spec(name), 9, 15_000), Fork::Amsterdam, "{name}");
        }
    }

    #[test]
    fn blob_parameters_can_be_given() {
        let given = TestBlobParams { target: 1, max: 2, update_fraction: 3 };
        let bpo1 = ChainSpec::for_test_network("BPO1", 1, Some(given)).unwrap();
        let params = bpo1.blob_params_at(0).unwrap();
        assert_eq!((params.target_blob_count, params.max_blob_count, params.update_fraction), (1, 2, 3));
        assert_eq!(spec("BPO1").blob_params_at(0).unwrap().max_blob_count, 15);
        let senseless = TestBlobParams { update_fraction: 0, ..given };
        assert!(ChainSpec::for_test_network("BPO1", 1, Some(senseless)).is_err());
    }

    #[test]
    fn names_without_meaning_are_refused() {
        for name in [
            "",
            "Frontier+1346",
            "Olympic",
            "LondonToBerlinAt5",
            "BerlinToLondonAtTime15k",
            "ParisToShanghaiAt5",
            "Osaka@bal-devnet-4",
            "Amsterdam@bal-devnet-9",
            "Amsterdam@",
            "@bal-devnet-4",
        ] {
            let error = ChainSpec::for_test_network(name, 1, None).unwrap_err();
            assert!(matches!(error, ChainSpecError::UnknownTestNetwork { .. }), "{name}: {error}");
        }
    }
}
