//! A node whose transaction pool is attacked over HTTP: the pool keeps its limits, honest transactions stay and come in.

use alloy_primitives::{Address, Bytes, hex};
use portico::{Attack, Attacker, NodeCommand};
use portico_chainspec::{ChainSpec, DEV_ACCOUNTS, DEV_KEYS};
use portico_spec::EngineClient;
use secp256k1::{SECP256K1, SecretKey};
use serde_json::{Value, json};

const PENDING_MAX: u64 = 64;
const QUEUED_MAX: u64 = 32;
/// Memory that a node may have with a pool of that size: fifty times of what its transactions take.
const MEMORY_MAX: u64 = 400 << 20;
const ATTACKERS: u64 = 400;

fn attacker(index: u64) -> Attacker {
    let key = SecretKey::from_byte_array(alloy_primitives::keccak256(index.to_be_bytes()).0).unwrap();
    let public = key.public_key(SECP256K1).serialize_uncompressed();
    Attacker { key, address: Address::from_raw_public_key(&public[1..]) }
}

/// The development chain with funded attackers.
fn genesis(attackers: &[Attacker]) -> String {
    let mut alloc = serde_json::Map::new();
    for (address, account) in ChainSpec::dev().genesis_alloc().iter() {
        alloc.insert(
            address.to_string(),
            json!({ "balance": account.balance, "nonce": account.nonce, "code": account.code }),
        );
    }
    for attacker in attackers {
        alloc.insert(attacker.address.to_string(), json!({ "balance": "0x56bc75e2d63100000" }));
    }
    let forks = [
        "homesteadBlock",
        "eip150Block",
        "eip155Block",
        "eip158Block",
        "byzantiumBlock",
        "constantinopleBlock",
        "petersburgBlock",
        "istanbulBlock",
        "berlinBlock",
        "londonBlock",
        "terminalTotalDifficulty",
        "shanghaiTime",
        "cancunTime",
    ];
    let mut config: serde_json::Map<String, Value> =
        forks.into_iter().map(|fork| (fork.to_owned(), json!(0))).collect();
    config.insert("chainId".to_owned(), json!(1337));
    config.insert(
        "blobSchedule".to_owned(),
        json!({ "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 } }),
    );
    json!({ "config": config, "difficulty": "0x0", "gasLimit": "0x1c9c380", "timestamp": "0x1", "extraData": "0x", "alloc": alloc })
        .to_string()
}

fn call(client: &mut EngineClient, method: &str, params: Value) -> Value {
    client.call(method, &params).unwrap()
}

fn send(client: &mut EngineClient, raw: &[Bytes], batch: usize) -> u64 {
    let mut taken = 0;
    for part in raw.chunks(batch) {
        let body: Vec<Value> = part
            .iter()
            .map(|raw| {
                json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [hex::encode_prefixed(raw)] })
            })
            .collect();
        let reply = client.exchange(&json!(body).to_string()).unwrap();
        let answers: Vec<Value> = serde_json::from_slice(&reply.body).unwrap();
        taken += answers.iter().filter(|answer| answer.get("error").is_none()).count() as u64;
    }
    taken
}

/// A transfer that pays more than any attacker: made from a replacement far along.
fn honest(account: usize) -> Bytes {
    let key = SecretKey::from_byte_array(DEV_KEYS[account].0).unwrap();
    let sender = Attacker { key, address: DEV_ACCOUNTS[account] };
    // The last but one of the replacements pays most.
    let rising = Attack::Replacements.transactions(&[sender], 1337, 39);
    rising[38].clone()
}

#[test]
fn a_pool_under_attack_keeps_its_limits_and_the_honest() {
    let attackers: Vec<Attacker> = (0..ATTACKERS).map(attacker).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("genesis.json");
    std::fs::write(&file, genesis(&attackers)).unwrap();
    let flags = [
        "--txpool.nolocals",
        "--txpool.globalslots",
        "64",
        "--txpool.globalqueue",
        "32",
        "--txpool.accountslots",
        "4",
    ];
    let command = NodeCommand {
        program: env!("CARGO_BIN_EXE_portico").into(),
        genesis: file,
        datadir: folder.path().join("data"),
        flags: flags.map(str::to_owned).to_vec(),
    };
    let node = command.start().unwrap();
    let (mut rpc, mut engine) = (node.connect().unwrap(), node.connect_engine().unwrap());
    let mut kept = Vec::new();
    for account in 0..4 {
        let hash = call(&mut rpc, "eth_sendRawTransaction", json!([honest(account)]));
        kept.push(hash["result"].clone());
    }
    for (turn, attack) in Attack::ALL.into_iter().enumerate() {
        let count = if matches!(attack, Attack::Blobs | Attack::Oversized) { 40 } else { 400 };
        let raw = attack.transactions(&attackers, 1337, count);
        let taken = send(&mut rpc, &raw, attack.batch());
        // Who comes now and pays more gets in all the same.
        let newcomer = call(&mut rpc, "eth_sendRawTransaction", json!([honest(4 + turn)]));
        kept.push(newcomer["result"].clone());
        match attack {
            Attack::Blobs | Attack::Underpriced => assert_eq!(taken, 0, "{attack:?}"),
            _ => assert!(taken > 0, "{attack:?}"),
        }
        let status = call(&mut rpc, "txpool_status", json!([]))["result"].clone();
        let number = |name: &str| u64::from_str_radix(&status[name].as_str().unwrap()[2..], 16).unwrap();
        assert!(number("pending") <= PENDING_MAX && number("queued") <= QUEUED_MAX, "{attack:?}: {status}");
        assert!(node.memory_bytes() < MEMORY_MAX, "{attack:?}: {} bytes", node.memory_bytes());
        for hash in &kept {
            let found = call(&mut rpc, "eth_getTransactionByHash", json!([hash]));
            assert_eq!(found["result"]["hash"], *hash, "{attack:?}: an honest transaction went");
        }
    }
    // What is left is worth a block. The attacks took longer than an idle connection is kept.
    engine.reconnect().unwrap();
    let head = call(&mut rpc, "eth_getBlockByNumber", json!(["latest", false]))["result"]["hash"].clone();
    let state = json!({ "headBlockHash": head, "safeBlockHash": head, "finalizedBlockHash": head });
    let built = (0x6fff_0000_u64..0x6fff_0400).find_map(|timestamp| {
        let attributes = json!({
            "timestamp": format!("{timestamp:#x}"),
            "prevRandao": head,
            "suggestedFeeRecipient": Address::ZERO,
            "withdrawals": [],
            "parentBeaconBlockRoot": head,
        });
        let updated = call(&mut engine, "engine_forkchoiceUpdatedV3", json!([state, attributes]));
        let id = updated["result"]["payloadId"].clone();
        let built =
            call(&mut engine, "engine_getPayloadV3", json!([id]))["result"]["executionPayload"].clone();
        // A job begins with an empty block.
        let included = built["transactions"].as_array().unwrap_or_else(|| panic!("{updated} {built}")).len();
        (included >= kept.len()).then_some(built)
    });
    let payload = built.expect("a block of what was kept");
    let brought = call(&mut engine, "engine_newPayloadV3", json!([payload, [], head]));
    assert_eq!(brought["result"]["status"], "VALID", "{brought}");
    assert_eq!(node.complaints(), Vec::<String>::new());
    assert!(node.terminate().unwrap().success());
}
