//! Genesis files in go-ethereum's and Besu's dialect.
//!
//! Differences that are bridged: keys in any case (`chainID`, `mixhash`); `constantinopleFixBlock` for
//! `petersburgBlock` and `preMergeForkBlock` for `mergeNetsplitBlock`; numbers as JSON numbers or strings, decimal or
//! hexadecimal; byte strings with or without `0x`; forks left out that a later one implies. Account fields such as
//! `privateKey` and `comment` are ignored.

use crate::{
    Activation, AmsterdamRules, ChainSpecError, EngineConfig, Fork, ForkSchedule, GenesisAccount,
    blob::{BlobSchedule, GivenBlobParams},
    genesis::GenesisFields,
    json::{Field, Object, parse_address, parse_word},
    spec::{ChainSpec, DaoFork, Parts},
};
use alloy_eips::{
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// Spellings of the forks by block, except the two halves of Spurious Dragon.
const BLOCK_FORKS: [(Fork, &[&str]); 12] = [
    (Fork::Frontier, &["frontierBlock"]),
    (Fork::Homestead, &["homesteadBlock"]),
    (Fork::TangerineWhistle, &["eip150Block", "tangerineWhistleBlock"]),
    (Fork::Byzantium, &["byzantiumBlock"]),
    (Fork::Constantinople, &["constantinopleBlock"]),
    (Fork::Petersburg, &["petersburgBlock", "constantinopleFixBlock"]),
    (Fork::Istanbul, &["istanbulBlock"]),
    (Fork::MuirGlacier, &["muirGlacierBlock"]),
    (Fork::Berlin, &["berlinBlock"]),
    (Fork::London, &["londonBlock"]),
    (Fork::ArrowGlacier, &["arrowGlacierBlock"]),
    (Fork::GrayGlacier, &["grayGlacierBlock"]),
];

/// Forks by timestamp: the key, and the key in `blobSchedule`.
const TIME_FORKS: [(Fork, &str, &str); 10] = [
    (Fork::Shanghai, "shanghaiTime", "shanghai"),
    (Fork::Cancun, "cancunTime", "cancun"),
    (Fork::Prague, "pragueTime", "prague"),
    (Fork::Osaka, "osakaTime", "osaka"),
    (Fork::Bpo1, "bpo1Time", "bpo1"),
    (Fork::Bpo2, "bpo2Time", "bpo2"),
    (Fork::Bpo3, "bpo3Time", "bpo3"),
    (Fork::Bpo4, "bpo4Time", "bpo4"),
    (Fork::Bpo5, "bpo5Time", "bpo5"),
    (Fork::Amsterdam, "amsterdamTime", "amsterdam"),
];

/// Forks of other chains or of the future. Leaving them out silently would follow a wrong chain.
const UNSUPPORTED_FORKS: [&str; 19] = [
    "bogotaTime",
    "verkleTime",
    "ubtTime",
    "cancunEOFTime",
    "futureEipsTime",
    "experimentalEipsTime",
    "classicForkBlock",
    "ecip1015Block",
    "dieHardBlock",
    "gothamBlock",
    "ecip1041Block",
    "defuseDifficultyBombBlock",
    "atlantisBlock",
    "aghartaBlock",
    "phoenixBlock",
    "thanosBlock",
    "magnetoBlock",
    "mystiqueBlock",
    "spiralBlock",
];

/// Keys that look like forks and change no rule of blocks: go-ethereum's tests of proposals beside the protocol.
const NO_FORKS: [&str; 2] = ["rip7560block", "rip7712block"];

/// Reads a genesis file.
pub(crate) fn parse(json: &str) -> Result<ChainSpec, ChainSpecError> {
    let mut top = Field::root(json).object()?;
    let mut config = top.require("config")?.object()?;
    let alloc = parse_alloc(&top.require("alloc")?)?;
    let header = parse_header(&mut top)?;

    let chain_id = config.read_u64_of(&["chainId"])?;
    let chain_id = chain_id.ok_or_else(|| ChainSpecError::MissingField { field: "config.chainId".into() })?;
    let network_id = config.read_u64_of(&["networkId"])?.unwrap_or(chain_id);
    refuse_unsupported(&mut config)?;

    let spurious_dragon = parse_spurious_dragon(&mut config)?;
    let dao_fork = parse_dao_fork(&mut config)?;
    let netsplit = config.read_u64_of(&["mergeNetsplitBlock", "preMergeForkBlock"])?;
    let terminal_total_difficulty = parse_terminal_total_difficulty(&mut config)?;
    let given = parse_forks(&mut config, &spurious_dragon, header.timestamp)?;
    let fork_points = fork_points(&given, &spurious_dragon, dao_fork, netsplit);
    let paris = terminal_total_difficulty.map(|ttd| (Fork::Paris, Activation::TotalDifficulty(ttd)));
    let schedule = ForkSchedule::new(given.into_iter().chain(paris))?;
    let blobs = parse_blob_schedule(&mut config, &schedule)?;
    let eip155_block = spurious_dragon.eip155;

    Ok(ChainSpec::from_parts(Parts {
        name: "custom".to_owned(),
        chain_id,
        network_id,
        engines: parse_engines(&mut config)?,
        schedule,
        fork_points,
        eip155_block,
        dao_fork,
        deposit_contract: config.read("depositContractAddress", Field::address)?,
        contract_size_limit: config.read("contractSizeLimit", Field::u64)?,
        zero_base_fee: config.read("zeroBaseFee", Field::boolean)?.unwrap_or_default(),
        amsterdam_rules: parse_amsterdam_rules(&mut config)?,
        blobs,
        header,
        alloc,
        other: config
            .rest()
            .into_iter()
            .map(|(key, field)| other_setting(key, &field))
            .collect::<Result<_, ChainSpecError>>()?,
    }))
}

fn parse_header(top: &mut Object<'_>) -> Result<GenesisFields, ChainSpecError> {
    if let Some(number) = top.take("number")
        && number.u64()? != 0
    {
        return Err(number.invalid("0, the number of the genesis block"));
    }
    let gas_limit = top.require("gasLimit")?;
    if gas_limit.u64()? > i64::MAX as u64 {
        return Err(gas_limit.invalid("a gas limit of at most 2^63 - 1"));
    }
    Ok(GenesisFields {
        parent_hash: top.read("parentHash", Field::word)?.unwrap_or_default(),
        beneficiary: top.read("coinbase", Field::address)?.unwrap_or_default(),
        difficulty: top.require("difficulty")?.u256()?,
        gas_limit: gas_limit.u64()?,
        gas_used: top.read("gasUsed", Field::u64)?.unwrap_or_default(),
        timestamp: top.read("timestamp", Field::u64)?.unwrap_or_default(),
        extra_data: top.read("extraData", Field::bytes)?.unwrap_or_default(),
        mix_hash: top.read("mixHash", Field::word)?.unwrap_or_default(),
        nonce: top.read("nonce", Field::u64)?.unwrap_or_default(),
        base_fee_per_gas: top.read("baseFeePerGas", Field::u64)?,
        blob_gas_used: top.read("blobGasUsed", Field::u64)?,
        excess_blob_gas: top.read("excessBlobGas", Field::u64)?,
        parent_beacon_block_root: top.read("parentBeaconBlockRoot", Field::word)?,
        slot_number: top.read("slotNumber", Field::u64)?,
    })
}

/// A setting that is kept and not looked at; a fork that nobody here has heard of, or a misspelt one, is refused.
fn other_setting(key: String, field: &Field<'_>) -> Result<(String, serde_json::Value), ChainSpecError> {
    let value = field.value()?;
    let is_fork = key.ends_with("block") || key.ends_with("time");
    if is_fork && !value.is_null() && !NO_FORKS.contains(&key.as_str()) {
        return Err(ChainSpecError::UnknownFork { field: field.path.clone() });
    }
    Ok((key, value))
}

fn refuse_unsupported(config: &mut Object<'_>) -> Result<(), ChainSpecError> {
    for key in UNSUPPORTED_FORKS {
        if let Some(field) = config.take(key) {
            return Err(ChainSpecError::UnsupportedRules { field: field.path });
        }
    }
    for (key, standard) in [
        ("withdrawalRequestContractAddress", WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
        ("consolidationRequestContractAddress", CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
    ] {
        if let Some(field) = config.take(key)
            && field.address()? != standard
        {
            return Err(field.invalid("the address that the EIP gives: this client calls no other"));
        }
    }
    Ok(())
}

/// EIP-155 and EIP-158 have a block each; on every known chain but test chains they are the same.
struct SpuriousDragon {
    eip155: Option<u64>,
    eip158: Option<u64>,
}

fn parse_spurious_dragon(config: &mut Object<'_>) -> Result<SpuriousDragon, ChainSpecError> {
    Ok(SpuriousDragon {
        eip155: config.read_u64_of(&["eip155Block"])?,
        eip158: config.read_u64_of(&["eip158Block", "spuriousDragonBlock"])?,
    })
}

fn parse_dao_fork(config: &mut Object<'_>) -> Result<Option<DaoFork>, ChainSpecError> {
    let block = config.read_u64_of(&["daoForkBlock"])?;
    let supported = config.read("daoForkSupport", Field::boolean)?.unwrap_or(true);
    Ok(block.map(|block| DaoFork { block, supported }))
}

fn parse_terminal_total_difficulty(config: &mut Object<'_>) -> Result<Option<U256>, ChainSpecError> {
    let ttd = config.read("terminalTotalDifficulty", Field::u256)?;
    let passed = config.read("terminalTotalDifficultyPassed", Field::boolean)?.unwrap_or_default();
    Ok(ttd.or(passed.then_some(U256::ZERO)))
}

/// A key of our own, for chains of development networks.
fn parse_amsterdam_rules(config: &mut Object<'_>) -> Result<AmsterdamRules, ChainSpecError> {
    let Some(field) = config.take("amsterdamRules") else { return Ok(AmsterdamRules::default()) };
    let value = field.value()?;
    let rules = value.as_str().and_then(AmsterdamRules::by_name);
    rules.ok_or_else(|| field.invalid("\"final\" or \"bal-devnet-4\""))
}

fn parse_forks(
    config: &mut Object<'_>,
    spurious_dragon: &SpuriousDragon,
    genesis_timestamp: u64,
) -> Result<BTreeMap<Fork, Activation>, ChainSpecError> {
    let mut given = BTreeMap::new();
    for (fork, keys) in BLOCK_FORKS {
        if let Some(number) = config.read_u64_of(keys)? {
            given.insert(fork, Activation::Block(number));
        }
    }
    if let Some(number) = spurious_dragon.eip158.or(spurious_dragon.eip155) {
        given.insert(Fork::SpuriousDragon, Activation::Block(number));
    }
    if let Some(Activation::Block(1..)) = given.remove(&Fork::Frontier) {
        return Err(ChainSpecError::UnsupportedRules { field: "config.frontierBlock".into() });
    }
    for (fork, key, _) in TIME_FORKS {
        if let Some(timestamp) = config.read_u64_of(&[key])? {
            given.insert(fork, Activation::Timestamp(timestamp));
        }
    }
    require_london(&mut given, genesis_timestamp)?;
    Ok(given)
}

/// A chain with a fork by timestamp at genesis has London at genesis, as in Besu; else London must be given.
fn require_london(
    given: &mut BTreeMap<Fork, Activation>,
    genesis_timestamp: u64,
) -> Result<(), ChainSpecError> {
    let first = given.iter().find_map(|(&fork, &activation)| match activation {
        Activation::Timestamp(timestamp) => Some((fork, timestamp)),
        Activation::Block(_) | Activation::TotalDifficulty(_) => None,
    });
    match first {
        Some((fork, timestamp)) if !given.contains_key(&Fork::London) => {
            if timestamp > genesis_timestamp {
                return Err(ChainSpecError::LondonMissing { fork });
            }
            given.insert(Fork::London, Activation::Block(0));
        }
        _ => {}
    }
    Ok(())
}

/// The points that count for the fork id, given ones only: implied forks add none.
fn fork_points(
    given: &BTreeMap<Fork, Activation>,
    spurious_dragon: &SpuriousDragon,
    dao_fork: Option<DaoFork>,
    netsplit: Option<u64>,
) -> Vec<Activation> {
    let others = [spurious_dragon.eip155, dao_fork.map(|dao| dao.block), netsplit];
    given.values().copied().chain(others.into_iter().flatten().map(Activation::Block)).collect()
}

fn parse_blob_schedule(
    config: &mut Object<'_>,
    schedule: &ForkSchedule,
) -> Result<BlobSchedule, ChainSpecError> {
    let mut given = BTreeMap::new();
    if let Some(field) = config.take("blobSchedule") {
        let mut entries = field.object()?;
        for (fork, _, key) in TIME_FORKS {
            let Some(entry) = entries.take(key) else { continue };
            let mut entry = entry.object()?;
            let params = GivenBlobParams {
                target: entry.require("target")?.u64()?,
                max: entry.require("max")?.u64()?,
                update_fraction: entry.require("baseFeeUpdateFraction")?.u64()?,
            };
            given.insert(fork, params);
        }
        if let Some((_, entry)) = entries.rest().into_iter().next() {
            return Err(ChainSpecError::UnknownFork { field: entry.path });
        }
    }
    BlobSchedule::new(schedule, |fork| given.get(&fork).copied())
}

/// The engines with the block from which each seals, ascending. A BFT section may name its `startBlock`.
fn parse_engines(config: &mut Object<'_>) -> Result<Vec<(u64, EngineConfig)>, ChainSpecError> {
    let mut engines = Vec::new();
    if let Some(field) = config.take("ethash") {
        let fixed_difficulty = field.object()?.read("fixedDifficulty", Field::u256)?;
        engines.push((0, EngineConfig::Ethash { fixed_difficulty }));
    }
    if let Some(field) = config.take("clique") {
        let mut clique = field.object()?;
        let period = clique.read_u64_of(&["blockPeriodSeconds", "period"])?.unwrap_or(15);
        let epoch = clique.read_u64_of(&["epochLength", "epoch"])?.unwrap_or(30_000);
        if epoch == 0 {
            return Err(field.invalid("an epoch length above zero"));
        }
        engines.push((0, EngineConfig::Clique { period, epoch }));
    }
    type Wrap = fn(serde_json::Map<String, serde_json::Value>) -> EngineConfig;
    let bft: [(&str, Wrap); 3] =
        [("ibft", EngineConfig::Ibft), ("ibft2", EngineConfig::Ibft2), ("qbft", EngineConfig::Qbft)];
    for (key, wrap) in bft {
        let Some(field) = config.take(key) else { continue };
        let start_block = field.object()?.read("startBlock", Field::u64)?.unwrap_or_default();
        engines.push((start_block, wrap(field.section()?)));
    }
    if engines.is_empty() {
        engines.push((0, EngineConfig::Ethash { fixed_difficulty: None }));
    }
    engines.sort_by_key(|(start_block, _)| *start_block);
    Ok(engines)
}

fn parse_alloc(field: &Field<'_>) -> Result<Vec<(Address, GenesisAccount)>, ChainSpecError> {
    let mut alloc = Vec::new();
    field.for_each(|key, entry| {
        let expected = "an account key of 20 hexadecimal bytes";
        let address = parse_address(key).ok_or_else(|| entry.invalid(expected))?;
        alloc.push((address, parse_account(&entry)?));
        Ok(())
    })?;
    alloc.sort_unstable_by_key(|(address, _)| *address);
    if let Some(pair) = alloc.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(ChainSpecError::DuplicateKey { field: format!("alloc.{}", pair[0].0) });
    }
    Ok(alloc)
}

fn parse_account(field: &Field<'_>) -> Result<GenesisAccount, ChainSpecError> {
    let mut account = field.object_of(&["balance", "nonce", "code", "storage"])?;
    let mut storage = Vec::new();
    if let Some(slots) = account.take("storage") {
        slots.for_each(|key, value| {
            let expected = "a slot key of at most 32 hexadecimal bytes";
            let slot = parse_word(key).ok_or_else(|| value.invalid(expected))?;
            storage.push((slot, U256::from_be_bytes(value.word()?.0)));
            Ok(())
        })?;
        storage.sort_unstable();
        if let Some(pair) = storage.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(ChainSpecError::DuplicateKey { field: format!("{}.{}", slots.path, pair[0].0) });
        }
        storage.retain(|(_, value)| !value.is_zero());
    }
    Ok(GenesisAccount {
        balance: account.read("balance", Field::u256)?.unwrap_or_default(),
        nonce: account.read("nonce", Field::u64)?.unwrap_or_default(),
        code: account.read("code", Field::bytes)?.unwrap_or_default(),
        storage,
    })
}
