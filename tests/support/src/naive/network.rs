//! Random chains: from which fork on, which forks follow and when, and the state of the genesis block.

use alloy_primitives::{Address, B256, U256, address, hex};
use portico_chainspec::ChainSpec;
use secp256k1::{SECP256K1, SecretKey};
use serde_json::{Map, Value, json};

use super::{code::random_code, random::Random};

/// When a fork starts, as genesis files say it.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Block,
    Difficulty,
    Time,
}

/// The forks, oldest first, with their keys in a genesis file.
const FORKS: [(By, &[&str]); 19] = [
    (By::Block, &["homesteadBlock"]),
    (By::Block, &["eip150Block"]),
    (By::Block, &["eip155Block", "eip158Block"]),
    (By::Block, &["byzantiumBlock"]),
    (By::Block, &["constantinopleBlock"]),
    (By::Block, &["petersburgBlock"]),
    (By::Block, &["istanbulBlock"]),
    (By::Block, &["muirGlacierBlock"]),
    (By::Block, &["berlinBlock"]),
    (By::Block, &["londonBlock"]),
    (By::Block, &["arrowGlacierBlock"]),
    (By::Block, &["grayGlacierBlock"]),
    (By::Difficulty, &["terminalTotalDifficulty"]),
    (By::Time, &["shanghaiTime"]),
    (By::Time, &["cancunTime"]),
    (By::Time, &["pragueTime"]),
    (By::Time, &["osakaTime"]),
    (By::Time, &["bpo1Time"]),
    (By::Time, &["bpo2Time"]),
];

/// Position of the first fork that is not by block number.
const PARIS: usize = 12;
/// The lowest difficulty that the formula gives, which all blocks of a short chain have.
const DIFFICULTY: u64 = 0x20000;
/// Of the genesis block, in seconds.
const GENESIS_TIMESTAMP: u64 = 1_000_000;
/// Seconds from block to block, on average.
pub(super) const BLOCK_SECONDS: u64 = 10;
const CHAIN_ID: u64 = 7;
const KEYS: u8 = 7;
const CONTRACTS: u8 = 6;

/// Someone who signs.
#[derive(Debug, Clone, Copy)]
pub struct Signer {
    /// The key.
    pub key: SecretKey,
    /// Whose it is.
    pub address: Address,
}

/// A chain, and who and what is on it.
#[derive(Debug)]
pub struct Network {
    /// The genesis file.
    pub genesis_json: String,
    /// What it says.
    pub spec: ChainSpec,
    /// Who sends transactions.
    pub signers: Vec<Signer>,
    /// Contracts of the genesis block.
    pub contracts: Vec<Address>,
    /// Everything that code and transactions name.
    pub pool: Vec<Address>,
}

impl Network {
    /// Any forks, as far as a chain of a few blocks gets.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed, "network", 0);
        let (config, is_merged) = random_config(&mut random);
        Self::with(&mut random, config, is_merged)
    }

    /// A chain that is merged from its first block on and goes from Shanghai to the newest blob schedule; `blocks` lie
    /// between two forks, on average.
    pub fn merged(seed: u64, blocks: u64) -> Self {
        let mut config = base_config();
        let mut start = 0;
        for (by, keys) in FORKS {
            let from_genesis = by != By::Time || keys == ["shanghaiTime"];
            for key in keys {
                let key = (*key).to_owned();
                let time = if from_genesis { 0 } else { GENESIS_TIMESTAMP + start * BLOCK_SECONDS };
                config.insert(key, json!(time));
            }
            start += if by == By::Time { blocks } else { 0 };
        }
        Self::with(&mut Random::new(seed, "network", 0), config, true)
    }

    fn with(random: &mut Random, config: Map<String, Value>, is_merged: bool) -> Self {
        let signers: Vec<Signer> = (1..=KEYS).map(signer).collect();
        let contracts: Vec<Address> =
            (1..=CONTRACTS).map(|index| Address::with_last_byte(index + 0xa0)).collect();
        let pool = pool(&signers, &contracts);
        let alloc = random_alloc(random, &signers, &contracts, &pool);
        let genesis = json!({
            "config": config,
            "difficulty": if is_merged { 0 } else { DIFFICULTY },
            "gasLimit": 30_000_000,
            "timestamp": GENESIS_TIMESTAMP,
            "extraData": "0x",
            "alloc": alloc,
        });
        let genesis_json = genesis.to_string();
        let spec =
            ChainSpec::from_genesis_json(genesis_json.as_bytes()).expect("the genesis file is well formed");
        Self { genesis_json, spec, signers, contracts, pool }
    }
}

fn signer(index: u8) -> Signer {
    let key = SecretKey::from_byte_array([index; 32]).expect("it is a valid key");
    let public = key.public_key(SECP256K1).serialize_uncompressed();
    Signer { key, address: Address::from_raw_public_key(&public[1..]) }
}

/// What the `config` section has besides forks.
fn base_config() -> Map<String, Value> {
    let mut config = Map::new();
    config.insert("chainId".into(), json!(CHAIN_ID));
    config.insert(
        "blobSchedule".into(),
        json!({
            "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 },
            "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
            "bpo1": { "target": 10, "max": 15, "baseFeeUpdateFraction": 8_346_193 },
            "bpo2": { "target": 14, "max": 21, "baseFeeUpdateFraction": 11_684_671 },
        }),
    );
    config
}

/// Gives the `config` section, and whether the genesis block counts as merged.
fn random_config(random: &mut Random) -> (Map<String, Value>, bool) {
    // The oldest forks are the most different ones.
    let first =
        if random.percent(25) { random.below(4) } else { random.below(FORKS.len() as u64 + 1) } as usize;
    let mut config = base_config();
    let mut blocks = 0;
    for (index, (by, keys)) in FORKS.iter().enumerate() {
        if index >= first {
            if !random.percent(70) {
                break;
            }
            blocks += random.pick(&[0, 1, 1, 2, 3, 4]);
        }
        let start = match by {
            By::Block => json!(blocks),
            By::Difficulty if first > PARIS => json!(0),
            By::Difficulty => json!(DIFFICULTY * (blocks + 1)),
            By::Time if index < first => json!(0),
            By::Time => json!(GENESIS_TIMESTAMP + BLOCK_SECONDS * blocks + 1),
        };
        for key in *keys {
            config.insert((*key).to_owned(), start.clone());
        }
    }
    (config, first > PARIS)
}

/// An account without code that has storage, as a creation before Spurious Dragon could leave one (EIP-7610).
const STORAGE_ONLY: Address = address!("0x00000000000000000000000000000000000000b1");
/// An account that is empty, as there are before Spurious Dragon.
const EMPTY: Address = address!("0x00000000000000000000000000000000000000b2");

fn pool(signers: &[Signer], contracts: &[Address]) -> Vec<Address> {
    let mut pool: Vec<Address> = signers.iter().map(|signer| signer.address).collect();
    // Contracts thrice, so that they are often met.
    for _ in 0..3 {
        pool.extend(contracts);
    }
    pool.extend([STORAGE_ONLY, EMPTY]);
    pool.extend((0..4).map(|index| Address::with_last_byte(0xf0 + index)));
    pool.extend((0..=0x11).map(Address::with_last_byte));
    pool.push(Address::with_last_byte(0x10));
    pool.push(address!("0x0000000000000000000000000000000000000100"));
    for nonce in 0..3 {
        pool.push(signers[0].address.create(nonce));
        pool.push(contracts[0].create(nonce));
    }
    pool
}

fn random_alloc(
    random: &mut Random,
    signers: &[Signer],
    contracts: &[Address],
    pool: &[Address],
) -> Map<String, Value> {
    let mut alloc = Map::new();
    for (address, account) in ChainSpec::dev().genesis_alloc().iter() {
        // The contracts that the protocol calls.
        if !account.code.is_empty() {
            alloc.insert(address.to_string(), json!({ "balance": "0x0", "nonce": 1, "code": account.code }));
        }
    }
    for signer in signers {
        let balance = U256::from(10).pow(U256::from(random.pick(&[17, 20, 20, 21])));
        alloc.insert(signer.address.to_string(), json!({ "balance": balance }));
    }
    for address in contracts {
        let mut storage = Map::new();
        for slot in 0..random.below(4) {
            let value = if random.percent(50) { B256::with_last_byte(1) } else { random.word() };
            storage.insert(B256::from(U256::from(slot)).to_string(), json!(value));
        }
        let code = hex::encode_prefixed(random_code(random, pool, 2));
        let (nonce, balance) = (random.below(2), random.pick(&[0_u64, 1, 1_000_000]));
        alloc.insert(
            address.to_string(),
            json!({ "balance": U256::from(balance), "nonce": nonce, "code": code, "storage": storage }),
        );
    }
    if random.percent(30) {
        alloc.insert(EMPTY.to_string(), json!({ "balance": "0x0" }));
    }
    if random.percent(30) {
        let address = random.pick(&[STORAGE_ONLY, signers[0].address.create(0), contracts[0].create(1)]);
        let balance = U256::from(random.below(2));
        let storage = json!({ B256::with_last_byte(1).to_string(): B256::with_last_byte(5) });
        alloc.entry(address.to_string()).or_insert(json!({ "balance": balance, "storage": storage }));
    }
    alloc
}
