//! The chains that are built in. Fork points come from `alloy-hardforks`, the rest is written down here.

use crate::{
    Activation, AmsterdamRules, BlobSchedule, ChainSpec, EngineConfig, Fork, ForkSchedule, GenesisAccount,
    blob::GivenBlobParams,
    genesis::GenesisFields,
    spec::{DaoFork, Parts},
};
use alloy_eips::{eip2935, eip4788, eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7002, eip7251};
use alloy_hardforks::{EthereumHardfork, ForkCondition};
use alloy_primitives::{Address, B256, U256, address, b256, bytes};
use std::collections::BTreeMap;

const SEPOLIA_DEPOSIT_CONTRACT: Address = address!("7f02c3e3c98b133055b8b348b2ac625669ed295d");
/// The block of Sepolia's network split after the merge: no rules, but a fork id.
const SEPOLIA_NETSPLIT_BLOCK: u64 = 1_735_371;

const MAINNET_STATE_ROOT: B256 = b256!("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544");
const SEPOLIA_STATE_ROOT: B256 = b256!("5eb6e371a698b8d68f665192350ffcecbbbf322916f4b51bd79bb6887da3f494");
const HOODI_STATE_ROOT: B256 = b256!("da87d7f5f91c51508791bbcbd4aa5baf04917830b86985eeb9ad3d5bfb657576");

/// What wallets derive [`DEV_ACCOUNTS`] from.
pub const DEV_PHRASE: &str = "test test test test test test test test test test test junk";

/// The first ten accounts of [`DEV_PHRASE`] (`m/44'/60'/0'/0/0` to `/9`).
pub const DEV_ACCOUNTS: [Address; 10] = [
    address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
    address!("70997970c51812dc3a010c7d01b50e0d17dc79c8"),
    address!("3c44cdddb6a900fa2b585dd299e03d12fa4293bc"),
    address!("90f79bf6eb2c4f870365e785982e1f101e93b906"),
    address!("15d34aaf54267db7d7c367839aaf71a00a2c6a65"),
    address!("9965507d1a55bcc2695c58ba16fb37d819b0a4dc"),
    address!("976ea74026e726554db657fa54763abd0c3a0aa9"),
    address!("14dc79964da2c08b23698b3d3cc7ca32193d9955"),
    address!("23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f"),
    address!("a0ee7a142d267c1f36714e4a8f75612f20a79720"),
];

/// The private keys of [`DEV_ACCOUNTS`], which everybody knows.
pub const DEV_KEYS: [B256; 10] = [
    b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    b256!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    b256!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    b256!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    b256!("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    b256!("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    b256!("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    b256!("4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    b256!("dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
    b256!("2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
];

pub(crate) fn mainnet() -> ChainSpec {
    let header = GenesisFields {
        difficulty: U256::from(0x4_0000_0000_u64),
        gas_limit: 5000,
        extra_data: bytes!("11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa"),
        nonce: 0x42,
        ..GenesisFields::default()
    };
    let mut parts = public("mainnet", 1, &EthereumHardfork::mainnet(), header);
    parts.dao_fork = Some(DaoFork { block: alloy_hardforks::mainnet::MAINNET_DAO_BLOCK, supported: true });
    parts.fork_points.push(Activation::Block(alloy_hardforks::mainnet::MAINNET_DAO_BLOCK));
    parts.deposit_contract = Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS);
    ChainSpec::from_packed_parts(parts, MAINNET_STATE_ROOT, include_bytes!("../data/mainnet.zst"))
}

pub(crate) fn sepolia() -> ChainSpec {
    let header = GenesisFields {
        difficulty: U256::from(0x20000),
        gas_limit: 30_000_000,
        timestamp: 0x6159_af19,
        extra_data: (*b"Sepolia, Athens, Attica, Greece!").into(),
        ..GenesisFields::default()
    };
    let mut parts = public("sepolia", 11_155_111, &EthereumHardfork::sepolia(), header);
    parts.fork_points.push(Activation::Block(SEPOLIA_NETSPLIT_BLOCK));
    parts.deposit_contract = Some(SEPOLIA_DEPOSIT_CONTRACT);
    ChainSpec::from_packed_parts(parts, SEPOLIA_STATE_ROOT, include_bytes!("../data/sepolia.zst"))
}

pub(crate) fn hoodi() -> ChainSpec {
    let header = GenesisFields {
        difficulty: U256::from(1),
        gas_limit: 0x225_5100,
        timestamp: 1_742_212_800,
        nonce: 0x1234,
        ..GenesisFields::default()
    };
    let mut parts = public("hoodi", 560_048, &EthereumHardfork::hoodi(), header);
    parts.deposit_contract = Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS);
    ChainSpec::from_packed_parts(parts, HOODI_STATE_ROOT, include_bytes!("../data/hoodi.zst"))
}

pub(crate) fn dev() -> ChainSpec {
    let forks: Vec<(Fork, Activation)> = Fork::ALL
        .into_iter()
        .filter(|fork| *fork <= Fork::Osaka)
        .map(|fork| match fork {
            Fork::Paris => (fork, Activation::TotalDifficulty(U256::ZERO)),
            _ if fork.is_by_timestamp() => (fork, Activation::Timestamp(0)),
            _ => (fork, Activation::Block(0)),
        })
        .collect();
    let header = GenesisFields { gas_limit: 60_000_000, ..GenesisFields::default() };
    let mut parts = parts("dev", 1337, forks, header);
    parts.alloc = dev_alloc();
    ChainSpec::from_parts(parts)
}

fn dev_alloc() -> Vec<(Address, GenesisAccount)> {
    let ether_10k = U256::from(10_000) * U256::from(1_000_000_000_000_000_000_u64);
    let funded = DEV_ACCOUNTS.map(|address| (address, GenesisAccount::with_balance(ether_10k)));
    let contracts = [
        (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
        (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
        (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        (eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
    ]
    .map(|(address, code)| (address, GenesisAccount::with_code(code.clone())));
    let mut alloc: Vec<_> = funded.into_iter().chain(contracts).collect();
    alloc.sort_unstable_by_key(|(address, _)| *address);
    alloc
}

/// A public network by its table of forks. A timestamp of `u64::MAX` there means "not scheduled".
fn public(
    name: &str,
    chain_id: u64,
    table: &[(EthereumHardfork, ForkCondition)],
    header: GenesisFields,
) -> Parts {
    let forks = Fork::ALL.into_iter().filter_map(|fork| {
        let (_, condition) = table.iter().find(|(known, _)| *known == EthereumHardfork::from(fork))?;
        let activation = match *condition {
            ForkCondition::Block(number) => Activation::Block(number),
            ForkCondition::Timestamp(u64::MAX) | ForkCondition::Never => return None,
            ForkCondition::Timestamp(timestamp) => Activation::Timestamp(timestamp),
            ForkCondition::TTD { total_difficulty, .. } => Activation::TotalDifficulty(total_difficulty),
        };
        Some((fork, activation))
    });
    parts(name, chain_id, forks.collect(), header)
}

fn parts(name: &str, chain_id: u64, forks: Vec<(Fork, Activation)>, header: GenesisFields) -> Parts {
    let fork_points = forks.iter().map(|(_, activation)| *activation).collect();
    let schedule = ForkSchedule::new(forks).expect("built-in forks are in order");
    let blobs = BlobSchedule::new(&schedule, blob_params).expect("built-in blob parameters are sound");
    Parts {
        name: name.to_owned(),
        chain_id,
        network_id: chain_id,
        engines: vec![(0, EngineConfig::Ethash { fixed_difficulty: None })],
        schedule,
        fork_points,
        eip155_block: None,
        dao_fork: None,
        deposit_contract: None,
        contract_size_limit: None,
        zero_base_fee: false,
        amsterdam_rules: AmsterdamRules::Final,
        blobs,
        header,
        alloc: Vec::new(),
        other: BTreeMap::new(),
    }
}

/// The blob schedule that the public networks share: target, max, update fraction. Osaka and Amsterdam inherit.
const BLOB_PARAMS: [(Fork, u64, u64, u64); 4] = [
    (Fork::Cancun, 3, 6, 3_338_477),
    (Fork::Prague, 6, 9, 5_007_716),
    (Fork::Bpo1, 10, 15, 8_346_193),
    (Fork::Bpo2, 14, 21, 11_684_671),
];

fn blob_params(fork: Fork) -> Option<GivenBlobParams> {
    let (_, target, max, update_fraction) = BLOB_PARAMS.into_iter().find(|(of, ..)| *of == fork)?;
    Some(GivenBlobParams { target, max, update_fraction })
}
