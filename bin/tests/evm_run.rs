//! `portico evm run` as a developer calls it.

use std::process::{Command, Output};

fn evm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portico")).args(["evm", "run"]).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap().trim_end()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap().trim_end()
}

/// 1 + 2, returned as a word.
const ADD: &str = "600160020160005260206000f3";

#[test]
fn the_output_is_printed_in_hexadecimal() {
    let output = evm(&[ADD]);
    assert!(output.status.success());
    assert_eq!(stdout(&output), format!("0x{:064x}", 3));
    assert_eq!(stderr(&output), "");
}

#[test]
fn the_input_is_what_the_code_reads() {
    // Returns CALLDATALOAD(0) + GASPRICE.
    let output = evm(&["--input", &format!("0x{:064x}", 41), "--price", "1", "6000353a0160005260206000f3"]);
    assert_eq!(stdout(&output), format!("0x{:064x}", 42));
}

#[test]
fn exceptions_are_named_and_exit_with_one() {
    for (arguments, error, output) in [
        (vec!["602a60005260206000fd"], "execution reverted", format!("0x{:064x}", 42)),
        (vec!["--gas", "100", "5b600056"], "out of gas", "0x".to_owned()),
        (vec!["01"], "stack underflow", "0x".to_owned()),
        (vec!["600456"], "invalid jump destination", "0x".to_owned()),
        (vec!["fe"], "invalid opcode", "0x".to_owned()),
        (vec!["--value", "1", "00"], "insufficient balance for transfer", "0x".to_owned()),
        // PUSH0 is of Shanghai.
        (vec!["--state.fork", "Paris", "5f"], "invalid opcode", "0x".to_owned()),
    ] {
        let got = evm(&arguments);
        assert_eq!(got.status.code(), Some(1), "{arguments:?}");
        assert_eq!(stderr(&got), format!("error: {error}"), "{arguments:?}");
        assert_eq!(stdout(&got), output, "{arguments:?}");
    }
}

#[test]
fn what_is_not_code_is_an_error() {
    for arguments in [vec![], vec!["6"], vec!["0xzz"], vec!["--state.fork", "Olympic", "00"]] {
        let got = evm(&arguments);
        assert_eq!((got.status.code(), stdout(&got)), (Some(1), ""), "{arguments:?}");
        assert!(stderr(&got).starts_with("error: "), "{arguments:?}");
    }
}

#[test]
fn a_trace_has_a_line_per_instruction_and_a_summary() {
    let output = evm(&["--json", "--gas", "100", "--trace.nomemory=false", "6001600255600054"]);
    let lines = [
        r#"{"pc":0,"op":96,"gas":"0x64","gasCost":"0x3","memory":"0x","memSize":0,"stack":[],"depth":1,"refund":0,"opName":"PUSH1"}"#,
        r#"{"pc":2,"op":96,"gas":"0x61","gasCost":"0x3","memory":"0x","memSize":0,"stack":["0x1"],"depth":1,"refund":0,"opName":"PUSH1"}"#,
        r#"{"pc":4,"op":85,"gas":"0x5e","gasCost":"0x0","memory":"0x","memSize":0,"stack":["0x1","0x2"],"depth":1,"refund":0,"opName":"SSTORE","error":"out of gas: not enough gas for reentrancy sentry"}"#,
        r#"{"output":"","gasUsed":"0x64","error":"out of gas: not enough gas for reentrancy sentry"}"#,
        "error: out of gas",
    ];
    assert_eq!(stderr(&output).lines().collect::<Vec<_>>(), lines);
    assert_eq!(stdout(&output), "");
}

/// The last instruction of a trace, which failed: its name, cost and error.
fn failed_instruction(gas: u64, fork: &str, code: &str) -> (String, u64, String) {
    let output = evm(&["--json", "--gas", &gas.to_string(), "--state.fork", fork, code]);
    let lines: Vec<serde_json::Value> =
        stderr(&output).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (summary, steps) = lines.split_last().unwrap();
    let step = steps.last().unwrap();
    assert_eq!(summary["error"], step["error"], "{code}");
    let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
    (text("opName"), hexadecimal(&step["gasCost"]), text("error"))
}

#[test]
fn an_instruction_that_cannot_be_paid_shows_its_price() {
    // Seven words: a call of account 0xaa with a value of 1 and 65,535 gas.
    let call = "6000600060006000600160aa61fffff1";
    for (gas, fork, code, cost) in [
        // The constant part alone, when that is too much already.
        (10, "Osaka", "6000600020", 30),
        (10, "Osaka", "600060006000f0", 32_000),
        // Both parts: a word and its hash; memory of 0x1000 bytes; eight bytes of exponent.
        (40, "Osaka", "6020600020", 30 + 6 + 3),
        (20, "Osaka", "61100051", 3 + 3 * 129 + 129 * 129 / 512),
        (40, "Osaka", "67ffffffffffffffff60020a", 10 + 50 * 8),
        (500, "Osaka", "60206000a0", 375 + 8 * 32 + 3),
        // Cold and warm, and before there was such a thing.
        (103, "Osaka", "600054", 2100),
        (2210, "Osaka", "60aa3160aa31", 2600),
        (2705, "Osaka", "60aa3160aa31", 100),
        (103, "Istanbul", "600054", 800),
        (5010, "Osaka", "60aaff", 5000 + 2600),
        // A cold account that cannot be paid for; then with the value, the new account and all the gas asked for.
        (2021, "Osaka", call, 100),
        (2721, "Osaka", call, 100 + 2500 + 9000 + 25_000 + 65_535),
        (2721, "Byzantium", call, 700 + 9000 + 25_000 + 65_535),
        (2721, "Frontier", call, 40 + 9000 + 25_000 + 65_535),
    ] {
        let (name, shown, error) = failed_instruction(gas, fork, code);
        assert_eq!((shown, error.as_str()), (cost, "out of gas"), "{name} in {code} with {gas}");
    }
}

#[test]
fn an_instruction_that_fails_otherwise_shows_what_it_takes_at_least() {
    let osaka = |code: &str| failed_instruction(1000, "Osaka", code);
    let of = |name: &str, cost: u64, error: &str| (name.to_owned(), cost, error.to_owned());
    assert_eq!(osaka("600101"), of("ADD", 3, "stack underflow (1 <=> 2)"));
    assert_eq!(osaka("54"), of("SLOAD", 0, "stack underflow (0 <=> 1)"));
    assert_eq!(osaka("600456"), of("JUMP", 8, "invalid jump destination"));
    assert_eq!(osaka("fe"), of("INVALID", 0, "invalid opcode: INVALID"));
    assert_eq!(osaka("60006000fd"), of("REVERT", 0, "execution reverted"));
    let huge = format!("7f{}51", "ff".repeat(32));
    assert_eq!(osaka(&huge), of("MLOAD", 3, "gas uint64 overflow"));
}

#[test]
fn a_trace_follows_calls_and_counts_refunds() {
    // The outer code calls itself once (CALLER is the receiver then); each of the two sets a slot and clears it.
    let code = "303314601f5760006000600060006000305af1506001600055600060005500\
                5b6001600155600060015500";
    let output = evm(&["--trace", "--trace.nostack", code]);
    let lines: Vec<serde_json::Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, steps) = lines.split_last().unwrap();
    assert!(steps.iter().all(|step| step.get("stack").is_none()));
    let at = |depth: u64, op: &str| -> Vec<i64> {
        let steps = steps.iter().filter(|step| step["depth"] == depth && step["opName"] == op);
        steps.map(|step| step["refund"].as_i64().unwrap()).collect()
    };
    // Setting and clearing a slot gives back 19,900 (EIP-3529); it counts on in the outer frame.
    assert_eq!(at(2, "STOP"), [19_900]);
    assert_eq!(at(1, "STOP"), [39_800]);
    let call = steps.iter().find(|step| step["opName"] == "CALL").unwrap();
    let passed_on = hexadecimal(&steps.iter().find(|step| step["depth"] == 2).unwrap()["gas"]);
    // A warm call costs 100 gas beside what it passes on.
    assert_eq!(hexadecimal(&call["gasCost"]), passed_on + 100);
    assert!(hexadecimal(&summary["gasUsed"]) > 40_000);
}

fn hexadecimal(value: &serde_json::Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn a_creation_leaves_a_contract_in_the_dump() {
    // Init code: stores 1 in slot 0 and returns one byte, STOP.
    let output = evm(&[
        "--create",
        "--dump",
        "--sender",
        "0x00000000000000000000000000000000000000aa",
        "600160005560016000f3",
    ]);
    let (dump, code) = stdout(&output).rsplit_once('\n').unwrap();
    assert_eq!(code, "0x00");
    let dump: serde_json::Value = serde_json::from_str(dump).unwrap();
    let accounts = dump["accounts"].as_object().unwrap();
    let contract = accounts.values().find(|account| account["code"] == "0x00").unwrap();
    assert_eq!(contract["storage"][format!("0x{:064x}", 0)], "01");
    assert_eq!(accounts["0x00000000000000000000000000000000000000aa"]["nonce"], 1);
}

#[test]
fn a_signed_transaction_runs_on_a_prestate() {
    // The example of EIP-155: nonce 9, 20 gwei, 21,000 gas, 1 ether, signed with the key 0x46…46 for chain 1.
    let tx = "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
    let folder = tempfile::tempdir().unwrap();
    let prestate = folder.path().join("genesis.json");
    let alloc = r#"{"0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f": {"balance": "0x1bc16d674ec80000", "nonce": "0x9"}}"#;
    let genesis = format!(
        r#"{{"config": {{"chainId": 1, "londonBlock": 0, "terminalTotalDifficulty": 0, "shanghaiTime": 0}},
            "gasLimit": "0x1c9c380", "difficulty": "0x0", "alloc": {alloc}}}"#
    );
    std::fs::write(&prestate, genesis).unwrap();
    let output = evm(&["--tx", tx, "--prestate", prestate.to_str().unwrap(), "--dump", "--statdump"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("EVM gas used:    21000\n"));
    let (dump, _) = stdout(&output).rsplit_once('\n').unwrap();
    let dump: serde_json::Value = serde_json::from_str(dump).unwrap();
    assert_eq!(
        dump["accounts"]["0x3535353535353535353535353535353535353535"]["balance"],
        "1000000000000000000"
    );
    // 2 ether, less 1 sent, less 21,000 times 20 gwei.
    let sender = &dump["accounts"]["0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"];
    assert_eq!(
        (sender["balance"].as_str(), sender["nonce"].as_u64()),
        (Some("999580000000000000"), Some(10))
    );
    let failing = evm(&["--tx", tx]);
    assert!(
        stderr(&failing).contains("lack of funds") || stderr(&failing).contains("nonce"),
        "{}",
        stderr(&failing)
    );
}
