//! Mixed facts: mainnet's genesis block, keys and addresses, old transactions, packed paths, difficulty by network.

use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, U256, hex, keccak256};
use alloy_trie::{Nibbles, nodes::encode_path_leaf};
use portico_chainspec::{BlockContext, ChainSpec};
use portico_consensus::DifficultyRule;
use portico_evm::{SignatureRules, Transaction, recover_sender};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use serde_json::Value;

use crate::{Tally, bytes, claims::EASY_PARENT, difficulty, same};

pub fn run(tally: &mut Tally, cases: &Value) {
    let file = tally.file.strip_prefix("BasicTests/").expect("a file of this kind").to_owned();
    match file.as_str() {
        "blockgenesistest.json" | "crypto.json" => {
            each(tally, cases, |_| Err("not on the list of skips".into()))
        }
        "genesishashestest.json" => tally.case("mainnet", || mainnet(cases)),
        "hexencodetest.json" => each(tally, cases, packed_path),
        "keyaddrtest.json" => each(tally, cases, key),
        "txtest.json" => each(tally, cases, transaction),
        // Ropsten's forks; the network itself is gone.
        "difficultyRopsten.json" => blocks(tally, cases, |block| match block.number {
            ..1_700_000 => DifficultyRule::Homestead,
            1_700_000..4_230_000 => DifficultyRule::Byzantium { bomb_delay: 3_000_000 },
            4_230_000.. => DifficultyRule::Byzantium { bomb_delay: 5_000_000 },
        }),
        "difficultyCustomHomestead.json" => {
            blocks(tally, cases, |_| DifficultyRule::Homestead);
        }
        "difficulty.json" | "difficultyMainNetwork.json" | "difficultyCustomMainNetwork.json" => {
            let spec = ChainSpec::mainnet();
            blocks(tally, cases, |block| DifficultyRule::of(&spec, block));
        }
        // No case is run, which fails the kind.
        _ => {}
    }
}

fn each(tally: &mut Tally, cases: &Value, run: impl Fn(&Value) -> Result<(), String>) {
    match cases {
        Value::Object(cases) => cases.iter().for_each(|(name, case)| tally.case(name, || run(case))),
        Value::Array(cases) => {
            cases.iter().enumerate().for_each(|(index, case)| tally.case(&index.to_string(), || run(case)));
        }
        other => panic!("no cases: {other}"),
    }
}

fn blocks(tally: &mut Tally, cases: &Value, rule: impl Fn(BlockContext) -> DifficultyRule) {
    for (name, case) in cases.as_object().expect("cases by name") {
        if difficulty::has_easy_parent(case) {
            tally.skip(EASY_PARENT);
        } else {
            tally.case(name, || difficulty::check(case, &rule));
        }
    }
}

fn mainnet(case: &Value) -> Result<(), String> {
    let spec = ChainSpec::mainnet();
    let header = spec.genesis_header();
    same("hash", &bytes(&case["genesis_hash"])?, &spec.genesis_hash().to_vec())?;
    same("state root", &bytes(&case["genesis_state_root"])?, &header.state_root.to_vec())?;
    let block = alloy_consensus::Block::<Transaction>::uncle(header.clone());
    same("block", &hex::encode(bytes(&case["genesis_rlp_hex"])?), &hex::encode(alloy_rlp::encode(&block)))
}

fn packed_path(case: &Value) -> Result<(), String> {
    let nibbles: Vec<u8> = serde_json::from_value(case["seq"].clone()).map_err(|error| error.to_string())?;
    let is_leaf = case["term"].as_bool().ok_or("no term")?;
    let packed = encode_path_leaf(&Nibbles::from_nibbles(nibbles), is_leaf);
    same("packed", &bytes(&case["out"])?, &packed.to_vec())
}

fn address_of(key: &Value) -> Result<Address, String> {
    let key = B256::try_from(bytes(key)?.as_slice()).map_err(|error| error.to_string())?;
    let key = SecretKey::from_byte_array(key.0).map_err(|error| error.to_string())?;
    let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
    Ok(Address::from_raw_public_key(&public[1..]))
}

fn key(case: &Value) -> Result<(), String> {
    let seed = case["seed"].as_str().ok_or("no seed")?;
    same("key", &bytes(&case["key"])?, &keccak256(seed).to_vec())?;
    // What `sig_of_emptystring` signs is not said: it is not the hash of the empty string.
    same("address", &bytes(&case["addr"])?, &address_of(&case["key"])?.to_vec())
}

fn transaction(case: &Value) -> Result<(), String> {
    let signed = bytes(&case["signed"])?;
    let transaction = Transaction::decode_2718_exact(&signed).map_err(|error| error.to_string())?;
    let any = SignatureRules { low_s: false, chain_id: None };
    same("sender", &Some(address_of(&case["key"])?), &recover_sender(&transaction, any))?;
    use alloy_consensus::Transaction as _;
    same("nonce", &case["nonce"].as_u64(), &Some(transaction.nonce()))?;
    same("gas price", &case["gasprice"].as_u64().map(u128::from), &transaction.gas_price())?;
    same("gas limit", &case["startgas"].as_u64(), &Some(transaction.gas_limit()))?;
    same("to", &bytes(&case["to"])?, &transaction.to().map(|to| to.to_vec()).unwrap_or_default())?;
    same("value", &case["value"].as_u64().map(U256::from), &Some(transaction.value()))?;
    same("data", &bytes(&case["data"])?, &transaction.input().to_vec())
}
