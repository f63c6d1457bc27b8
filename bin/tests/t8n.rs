//! The transition tool, with the blocks of the execution spec tests: the state before and a block's transactions go
//! in, what the block's header commits to must come out.

use std::{collections::BTreeMap, fs::File};

use alloy_consensus::{BlockBody, Header};
use alloy_eips::{
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    eip8282::{BUILDER_DEPOSIT_CONTRACT_ADDRESS, BUILDER_EXIT_CONTRACT_ADDRESS},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::Decodable;
use portico::evm::t8n::{TransitionInput, TransitionOptions, TransitionOutput, transition};
use portico_evm::Transaction;
use portico_test_support::fixture;
use serde_json::{Value, json};

/// Block tests taken per fork.
const CASES_PER_FORK: usize = 6;
/// Of the files of a fork, every so many.
const FILE_STEP: usize = 3;

const ETHER: u64 = 1_000_000_000_000_000_000;

#[test]
fn blocks_of_the_spec_tests_come_out_as_their_headers_say() {
    let Some(archive) = fixture("eest/devnet.tar.zst") else { return };
    let (ran, failed) = run_archive(&archive, FILE_STEP, CASES_PER_FORK);
    assert!(failed.is_empty(), "{} of {ran:?} failed:\n{}", failed.len(), failed.join("\n"));
    let forks = ["Frontier", "Homestead", "Byzantium", "ConstantinopleFix", "Istanbul", "Berlin", "London"];
    for fork in forks.into_iter().chain(["Paris", "Shanghai", "Cancun", "Prague", "Osaka"]) {
        assert!(ran.get(fork).is_some_and(|cases| *cases >= 3), "{fork}: {ran:?}");
    }
}

#[test]
fn blocks_of_amsterdams_development_network_come_out_as_their_headers_say() {
    let Some(archive) = fixture("eest/devnet-amsterdam.tar.zst") else { return };
    let (ran, failed) = run_archive(&archive, FILE_STEP, 10 * CASES_PER_FORK);
    assert!(failed.is_empty(), "{} of {ran:?} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(ran.get("Amsterdam").is_some_and(|cases| *cases > 40), "{ran:?}");
}

#[test]
#[ignore = "executes some 20,000 blocks for half a minute; `make conformance` runs it, and the test above a selection"]
fn all_first_blocks_of_the_spec_tests_come_out_as_their_headers_say() {
    let mut all_failed = Vec::new();
    for archive in ["blockchain", "blockchain-static-sample", "devnet", "devnet-amsterdam"] {
        let Some(archive) = fixture(&format!("eest/{archive}.tar.zst")) else { return };
        let (ran, failed) = run_archive(&archive, 1, usize::MAX);
        println!("{ran:?}");
        all_failed.extend(failed);
    }
    assert!(all_failed.is_empty(), "{} failed:\n{}", all_failed.len(), all_failed.join("\n"));
}

/// Runs first blocks of an archive's tests; gives how many ran by network, and what failed.
fn run_archive(
    archive: &std::path::Path,
    file_step: usize,
    cases_max: usize,
) -> (BTreeMap<String, usize>, Vec<String>) {
    let decoder = zstd::Decoder::new(File::open(archive).unwrap()).unwrap();
    let mut tar = tar::Archive::new(decoder);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut ran: BTreeMap<String, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let folder = path.split('/').nth(1).unwrap_or_default().to_owned();
        let position = seen.entry(folder).or_default();
        *position += 1;
        if !path.ends_with(".json") || !(*position).is_multiple_of(file_step) {
            continue;
        }
        let tests: BTreeMap<String, Value> = serde_json::from_reader(entry).unwrap();
        // A file's tests differ in parameters: with a limit, one of them stands for all.
        let tests = tests.iter().take(if cases_max == usize::MAX { usize::MAX } else { 1 });
        for (name, test) in tests {
            let network = test["network"].as_str().unwrap();
            if ran.get(network).is_some_and(|cases| *cases >= cases_max) {
                continue;
            }
            let Some(case) = Case::new(test) else { continue };
            *ran.entry(network.to_owned()).or_default() += 1;
            if let Err(difference) = case.check() {
                failed.push(format!("{path} {name}: {difference}"));
            }
        }
    }
    (ran, failed)
}

/// The first block of a block test.
struct Case {
    fork: String,
    chain_id: u64,
    input: TransitionInput,
    header: Header,
}

impl Case {
    /// `None` when the block is one that must be refused.
    fn new(test: &Value) -> Option<Self> {
        let block = test["blocks"].get(0)?;
        if block.get("expectException").is_some() {
            return None;
        }
        let rlp: Bytes = serde_json::from_value(block["rlp"].clone()).unwrap();
        let (header, body) = decode_block(&rlp);
        let chain_id = test["config"]["chainid"].as_str().unwrap();
        // These fixtures are from before the fork was final: no contracts for builders' requests at genesis.
        let has_builders =
            test["pre"].get(BUILDER_DEPOSIT_CONTRACT_ADDRESS.to_string().to_lowercase()).is_some();
        let network = test["network"].as_str().unwrap();
        let rules = if network.ends_with("Amsterdam") && !has_builders { "@bal-devnet-4" } else { "" };
        Some(Self {
            fork: format!("{network}{rules}"),
            chain_id: u64::from_str_radix(chain_id.trim_start_matches("0x"), 16).unwrap(),
            input: TransitionInput {
                alloc: test["pre"].clone(),
                env: environment(&header, &body, &test["genesisBlockHeader"]),
                txs: json!(Bytes::from(alloy_rlp::encode(&body.transactions))),
                blob_params: None,
            },
            header,
        })
    }

    fn check(&self) -> Result<(), String> {
        let options = TransitionOptions::new(&self.fork, self.chain_id, Some(reward(&self.fork)));
        let output = transition(self.input.clone(), &options).map_err(|error| error.to_string())?;
        let result = &output.result;
        for key in ["rejected", "blockException"] {
            if let Some(unexpected) = result.get(key) {
                return Err(format!("{key}: {unexpected}"));
            }
        }
        let header = &self.header;
        let number = |number: Option<u64>| json!(number.map(|number| format!("{number:#x}")));
        let difficulty = (!header.difficulty.is_zero()).then_some(header.difficulty);
        for (key, expected) in [
            ("stateRoot", json!(header.state_root)),
            ("txRoot", json!(header.transactions_root)),
            ("receiptsRoot", json!(header.receipts_root)),
            ("logsBloom", json!(header.logs_bloom)),
            ("gasUsed", number(Some(header.gas_used))),
            ("currentDifficulty", json!(difficulty)),
            ("currentBaseFee", number(header.base_fee_per_gas)),
            ("currentExcessBlobGas", number(header.excess_blob_gas)),
            ("blobGasUsed", number(header.blob_gas_used)),
            ("withdrawalsRoot", json!(header.withdrawals_root)),
            ("requestsHash", json!(header.requests_hash)),
            ("blockAccessListHash", json!(header.block_access_list_hash)),
        ] {
            let got = result.get(key).cloned().unwrap_or_default();
            if got != expected {
                return Err(format!("{key} is {got} and should be {expected}"));
            }
        }
        Ok(())
    }
}

fn decode_block(rlp: &[u8]) -> (Header, BlockBody<Transaction>) {
    let block = alloy_consensus::Block::<Transaction>::decode(&mut &*rlp).unwrap();
    (block.header, block.body)
}

/// The environment as a filler gives it: what follows from the parent is left to be computed.
fn environment(header: &Header, body: &BlockBody<Transaction>, genesis: &Value) -> Value {
    let mut env = json!({
        "currentCoinbase": header.beneficiary,
        "currentGasLimit": header.gas_limit,
        "currentNumber": format!("{:#x}", header.number),
        "currentTimestamp": header.timestamp.to_string(),
        "currentRandom": header.mix_hash,
        "parentTimestamp": genesis["timestamp"],
        "parentDifficulty": genesis["difficulty"],
        "parentUncleHash": genesis["uncleHash"],
        "parentGasLimit": genesis["gasLimit"],
        "parentGasUsed": genesis["gasUsed"],
        "parentBaseFee": genesis["baseFeePerGas"],
        "parentExcessBlobGas": genesis["excessBlobGas"],
        "parentBlobGasUsed": genesis["blobGasUsed"],
        "parentBeaconBlockRoot": header.parent_beacon_block_root,
        "slotNumber": header.slot_number,
        "blockHashes": {"0x0": header.parent_hash},
        "ommers": [],
    });
    if let Some(withdrawals) = &body.withdrawals {
        env["withdrawals"] = json!(withdrawals);
    }
    env
}

fn reward(fork: &str) -> u128 {
    let ethers = match fork {
        "Frontier" | "Homestead" | "EIP150" | "EIP158" => 5,
        "Byzantium" => 3,
        "Constantinople" | "ConstantinopleFix" | "Istanbul" | "Berlin" | "London" => 2,
        name if name.starts_with("BerlinTo") => 2,
        _ => 0,
    };
    u128::from(ETHER) * ethers
}

const KEY: B256 = B256::with_last_byte(1);
/// The account of [`KEY`].
const SENDER: &str = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf";

fn transfer(nonce: u64, gas: u64) -> Value {
    json!({
        "nonce": format!("{nonce:#x}"), "gas": format!("{gas:#x}"), "gasPrice": "0xa", "value": "0x1",
        "to": Address::repeat_byte(0xbb), "input": "0x", "secretKey": KEY, "v": "0x0", "r": "0x0", "s": "0x0",
    })
}

fn execute(fork: &str, txs: Value) -> TransitionOutput {
    execute_upon(fork, json!({}), txs)
}

fn execute_upon(fork: &str, mut alloc: Value, txs: Value) -> TransitionOutput {
    alloc[SENDER] = json!({ "balance": format!("{ETHER:#x}") });
    let env = json!({
        "currentCoinbase": Address::repeat_byte(0xcc), "currentGasLimit": "100000", "currentNumber": 1,
        "currentTimestamp": "0x3e8", "currentDifficulty": 0, "currentRandom": "0x1", "currentBaseFee": 7,
        "withdrawals": [], "parentBeaconBlockRoot": B256::ZERO,
    });
    let input = TransitionInput { alloc, env, txs, blob_params: None };
    transition(input, &TransitionOptions::new(fork, 1, None)).unwrap()
}

#[test]
fn a_block_needs_every_contract_that_its_fork_asks_for_requests() {
    let contracts = [
        WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
        CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
        BUILDER_DEPOSIT_CONTRACT_ADDRESS,
        BUILDER_EXIT_CONTRACT_ADDRESS,
    ];
    for (fork, needed) in [("Cancun", 0), ("Osaka", 2), ("Amsterdam", 4)] {
        for there in 0..=contracts.len() {
            let mut alloc = json!({});
            for contract in &contracts[..there] {
                // It stops at once: no requests.
                alloc[contract.to_string()] = json!({ "balance": "0x0", "code": "0x00" });
            }
            let got = execute_upon(fork, alloc, json!([]));
            let refused = got.result.get("blockException").is_some();
            assert_eq!(refused, there < needed, "{fork} with {there}: {}", got.result);
        }
    }
}

#[test]
fn rejected_transactions_leave_no_mark() {
    let good = [transfer(0, 21_000), transfer(1, 21_000)];
    let too_much_gas = transfer(1, 90_000);
    let unsigned = json!({"nonce": 1, "gas": 21000, "value": 0, "gasPrice": 9});
    let mut poor = transfer(1, 21_000);
    poor["value"] = json!(U256::MAX);
    let mixed = json!([transfer(7, 21_000), good[0], unsigned, too_much_gas, poor, good[1]]);
    for fork in ["Shanghai", "Amsterdam"] {
        let mut got = execute(fork, mixed.clone());
        let expected = execute(fork, json!(good));
        let rejected = got.result.as_object_mut().unwrap().remove("rejected").unwrap();
        assert_eq!(got.result, expected.result, "{fork}");
        assert_eq!((got.alloc, got.body), (expected.alloc, expected.body), "{fork}");
        let reasons: Vec<(u64, &str)> = rejected
            .as_array()
            .unwrap()
            .iter()
            .map(|rejected| (rejected["index"].as_u64().unwrap(), rejected["error"].as_str().unwrap()))
            .collect();
        for ((index, reason), (expected_index, phrase)) in reasons.iter().zip([
            (0, "nonce too high"),
            (2, "invalid transaction v, r, s values"),
            (3, "gas limit reached"),
            (4, "insufficient funds for gas * price + value"),
        ]) {
            assert_eq!(*index, expected_index);
            assert!(reason.starts_with(phrase), "{reason}");
        }
        assert_eq!(reasons.len(), 4);
    }
}

#[test]
fn transactions_that_are_not_of_the_fork_are_rejected() {
    let blob = |to: Value| {
        json!([{
            "type": 3, "chainId": 1, "nonce": 0, "gas": 21000, "value": 0, "to": to, "maxFeePerGas": 10,
            "maxPriorityFeePerGas": 0, "maxFeePerBlobGas": 1, "blobVersionedHashes": [B256::with_last_byte(1)],
            "secretKey": KEY,
        }])
    };
    let reason = |fork: &str, txs: Value| {
        execute(fork, txs).result["rejected"][0]["error"].as_str().unwrap().to_owned()
    };
    let to = json!(Address::ZERO);
    assert!(reason("Shanghai", blob(to.clone())).starts_with("transaction type not supported"));
    let access_list = json!([{"type": 1, "nonce": 0, "gas": 21000, "secretKey": KEY, "to": Address::ZERO}]);
    assert!(reason("Byzantium", access_list).starts_with("transaction type not supported"));
    assert!(reason("Cancun", blob(to)).contains("has invalid hash version"));
    assert!(reason("Cancun", blob(Value::Null)).ends_with("decoding into (types.BlobTx).To"));
    assert_eq!(reason("Berlin", json!("0xc403820102")), "rlp: input too short");
}

#[test]
fn what_is_missing_is_named_with_its_exit_code() {
    let run = |fork: &str, input: TransitionInput| {
        let error = transition(input, &TransitionOptions::new(fork, 1, None)).unwrap_err();
        (error.exit_code(), error.to_string())
    };
    let env = json!({
        "currentCoinbase": Address::ZERO, "currentGasLimit": 1, "currentNumber": 1, "currentTimestamp": 1,
        "currentDifficulty": 1,
    });
    let input = |env: Value, alloc: Value, txs: Value| TransitionInput { alloc, env, txs, blob_params: None };
    let none = || json!({});
    assert_eq!(run("Nowhere", input(env.clone(), none(), Value::Null)).0, 3);
    let (code, text) = run("London", input(env.clone(), none(), Value::Null));
    assert_eq!((code, text.as_str()), (3, "neither currentBaseFee nor parentBaseFee is given"));
    assert_eq!(run("Paris", input(env.clone(), none(), Value::Null)).0, 3);
    assert_eq!(run("Berlin", input(json!({"currentNumber": -1}), none(), Value::Null)).0, 10);
    assert_eq!(run("Berlin", input(env.clone(), json!({"0x12": {}}), Value::Null)).0, 10);
    assert_eq!(run("Berlin", input(env.clone(), none(), json!("0xzz"))).0, 10);
    assert_eq!(run("Berlin", input(env, none(), json!("0xf8"))).0, 10);
}

/// Calls `etc/evm` as the filler of the spec tests calls go-ethereum's `evm`.
#[cfg(unix)]
fn evm(arguments: &[&str], input: &str) -> (String, String) {
    use std::{io::Write, process::Stdio};
    let mut child = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/evm"))
        .env("PORTICO", env!("CARGO_BIN_EXE_portico"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[cfg(unix)]
#[test]
fn the_filler_finds_the_tool_and_its_forks() {
    let (version, complaints) = evm(&["-v"], "");
    assert!(version.starts_with("evm version portico"), "{version}");
    assert_eq!(complaints, "", "the filler takes these for a broken tool");
    let (help, _) = evm(&["t8n", "--help"], "");
    for fork in
        ["Frontier", "EIP150", "ConstantinopleFix", "GrayGlacier", "Merge", "Osaka", "BPO4", "Amsterdam"]
    {
        assert!(help.contains(fork), "{fork}");
    }
}

#[cfg(unix)]
#[test]
fn the_filler_gets_result_alloc_body_traces_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut alloc = json!({});
    alloc[SENDER] = json!({ "nonce": "0x00", "balance": "0x0de0b6b3a7640000", "code": "0x", "storage": {} });
    let contract = Address::repeat_byte(0xbb);
    alloc[contract.to_string()] = json!({ "balance": "0x0", "code": "0x600160010100" });
    let env = json!({
        "currentCoinbase": Address::ZERO, "currentGasLimit": "0x186a0", "currentNumber": "0x1",
        "currentTimestamp": "0x3e8", "currentRandom": "0x0", "currentDifficulty": "0x0", "parentBaseFee": "0x7",
        "parentGasUsed": "0x0", "parentGasLimit": "0x186a0", "withdrawals": [], "ommers": [],
        "blockHashes": {"0x0": B256::ZERO},
    });
    let input = json!({"alloc": alloc, "env": env, "txs": [transfer(5, 30_000), transfer(0, 30_000)]});
    let basedir = format!("--output.basedir={}", folder.path().display());
    let arguments = [
        "t8n",
        "--input.alloc=stdin",
        "--input.txs=stdin",
        "--input.env=stdin",
        "--output.result=stdout",
        "--output.alloc=stdout",
        "--output.body=stdout",
        "--state.fork=Shanghai",
        "--state.chainid=1",
        "--state.reward=0",
        &basedir,
        "--trace",
        "--opcode.count",
        "opcodes.json",
    ];
    let (output, complaints) = evm(&arguments, &input.to_string());
    assert_eq!(complaints, "");
    let output: Value = serde_json::from_str(&output).unwrap();
    let receipt = &output["result"]["receipts"][0];
    // 21,000 and three instructions of 3 gas.
    assert_eq!((receipt["gasUsed"].as_str(), receipt["status"].as_str()), (Some("0x5211"), Some("0x1")));
    assert_eq!(output["result"]["rejected"][0]["index"], 0);
    assert_eq!(output["alloc"][SENDER]["nonce"], "0x1");
    assert!(output["body"].as_str().unwrap().starts_with("0xf8"));
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
    let counts: Value = serde_json::from_str(&read("opcodes.json")).unwrap();
    assert_eq!(counts, json!({"ADD": 1, "PUSH1": 2, "STOP": 1}));
    // The trace is named after the position in the block, where the rejected transaction is not.
    let trace = read(&format!("trace-0-{}.jsonl", receipt["transactionHash"].as_str().unwrap()));
    let names: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = names.iter().filter_map(|line| line["opName"].as_str()).collect();
    assert_eq!(names, ["PUSH1", "PUSH1", "ADD", "STOP"]);
    assert_eq!(trace.lines().last(), Some(r#"{"output":"","gasUsed":"0x9"}"#));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "one trace, one count");
}
