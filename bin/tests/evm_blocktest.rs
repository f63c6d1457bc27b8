//! `portico evm blocktest` and `statetest` from outside: exit codes, the JSON report, the hint for running one case again.

use std::{
    ops::ControlFlow,
    path::Path,
    process::{Command, Output},
};

use portico_chainspec::ChainSpec;
use portico_spec::for_each_file;
use serde_json::{Value, json};

/// A case that holds just the genesis block, and one that expects another head.
fn fixture(folder: &Path) -> String {
    let genesis =
        json!({ "config": { "chainId": 1 }, "alloc": {}, "difficulty": "0x20000", "gasLimit": "0x1388" });
    let spec = ChainSpec::from_genesis_json(genesis.to_string().as_bytes()).expect("a genesis file");
    let mut good = json!({
        "network": "Frontier", "pre": {}, "blocks": [], "lastblockhash": spec.genesis_hash(),
        "genesisBlockHeader": { "difficulty": "0x20000", "gasLimit": "0x1388" },
    });
    let first = good.clone();
    good["lastblockhash"] = json!(format!("0x{}", "11".repeat(32)));
    let path = folder.join("cases of a user's.json");
    let longer = good.clone();
    // The name of the one is in the name of the other.
    let cases = json!({ "good": first, "bad 'quoted' $HOME": good, "not bad 'quoted' $HOME": longer });
    std::fs::write(&path, cases.to_string()).expect("a file");
    path.display().to_string()
}

fn portico(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portico")).args(arguments).output().expect("portico runs")
}

#[test]
fn exit_codes_tell_agreement() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fixture(folder.path());
    let good = portico(&["evm", "blocktest", &path, "--filter", "good"]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let all = portico(&["evm", "blocktest", &path]);
    assert_eq!(all.status.code(), Some(1), "{all:?}");
    assert!(String::from_utf8_lossy(&all.stderr).contains("2 of 3 cases failed"), "{all:?}");
    let none = portico(&["evm", "blocktest", &path, "--filter", "no such case"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    let other = portico(&["evm", "statetest", &path]);
    assert_eq!(other.status.code(), Some(1), "no state test among them: {other:?}");
    std::fs::write(folder.path().join("broken.json"), "{").expect("a file");
    let broken = portico(&["evm", "blocktest", &folder.path().display().to_string(), "--filter", "good"]);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(String::from_utf8_lossy(&broken.stdout).contains("broken.json"), "{broken:?}");
}

#[test]
fn the_json_report_has_counts_and_failures() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fixture(folder.path());
    let output = portico(&["evm", "blocktest", &path, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["forks"]["Frontier"], json!({ "run": 3, "passed": 1, "failed": 2, "skipped": 0 }));
    assert_eq!(report["failures"][0]["what"], "head");
    assert_eq!(report["failures"][0]["name"], "bad 'quoted' $HOME");
}

#[test]
fn the_hint_runs_the_failed_case_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fixture(folder.path());
    let output = portico(&["evm", "blocktest", &path]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let hint = text.lines().find_map(|line| line.trim().strip_prefix("rerun")).expect("a hint").trim();
    let arguments = hint.strip_prefix("portico ").expect("a whole command");
    let command = format!("{} {arguments} --json", env!("CARGO_BIN_EXE_portico"));
    let again = Command::new("sh").arg("-c").arg(command).output().expect("a shell");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let report: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!((&report["forks"]["Frontier"]["run"], &report["filtered"]), (&json!(1), &json!(2)));
}

/// The first case of an archive that is `wanted`, as a file.
fn published(folder: &Path, archive: &str, wanted: impl Fn(&Value) -> bool) -> Option<(String, Value)> {
    let archive = portico_test_support::fixture(archive)?;
    let mut found = None;
    for_each_file(&[archive], |file| {
        let cases: serde_json::Map<String, Value> =
            serde_json::from_str(&file.expect("a file").text).expect("cases");
        found = cases.into_iter().find(|(_, case)| wanted(case));
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .expect("an archive");
    let (name, case) = found.expect("such a case");
    let path = folder.join("case.json");
    std::fs::write(&path, json!({ name: case.clone() }).to_string()).expect("a file");
    Some((path.display().to_string(), case))
}

fn trace_lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stderr).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn tests_are_traced_as_they_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let has_code = |case: &Value| case["transaction"]["to"] != "" && case["post"].get("Osaka").is_some();
    let Some((path, case)) = published(folder.path(), "eest/state.tar.zst", has_code) else { return };
    let output = portico(&["evm", "statetest", "--trace", "--fork", "Osaka", "--index", "0", &path]);
    assert!(output.status.success(), "{output:?}");
    let lines = trace_lines(&output);
    let [steps @ .., summary, root] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(root["stateRoot"], case["post"]["Osaka"][0]["hash"]);
    assert!(summary["gasUsed"].is_string(), "{summary}");
    assert!(steps.iter().all(|step| step["opName"].is_string() && step["stack"].is_array()), "{steps:?}");
    assert!(!steps.is_empty());

    let of_one_block = |case: &Value| {
        let blocks = case["blocks"].as_array().into_iter().flatten();
        blocks.clone().count() == 1
            && blocks.flat_map(|block| block["transactions"].as_array()).flatten().any(|tx| tx["to"] != "")
    };
    let archive = "eest/blockchain-static-sample.tar.zst";
    let Some((path, _)) = published(folder.path(), archive, of_one_block) else { return };
    let output = portico(&["evm", "--verbosity", "0", "blocktest", "--trace", "--trace.nostack", &path]);
    assert!(output.status.success(), "{output:?}");
    let lines = trace_lines(&output);
    assert!(lines.iter().any(|line| line["opName"].is_string()), "{lines:?}");
    assert!(lines.iter().all(|line| line.get("stack").is_none()), "{lines:?}");
}

/// Calls `etc/evm` as the consumer of the spec tests calls go-ethereum's `evm`, and reads its results as that does.
#[cfg(unix)]
fn results(arguments: &[&str]) -> Vec<Value> {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/evm"))
        .env("PORTICO", env!("CARGO_BIN_EXE_portico"))
        .args(arguments)
        .output()
        .expect("a shell");
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    let results: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    results.as_array().expect("a list").clone()
}

#[cfg(unix)]
#[test]
fn the_consumer_of_the_spec_tests_reads_results_as_those_of_go_ethereum() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fixture(folder.path());
    let all = results(&["blocktest", &path]);
    let passed: Vec<(&str, bool)> =
        all.iter().map(|case| (case["name"].as_str().unwrap(), case["pass"].as_bool().unwrap())).collect();
    assert_eq!(passed, [("bad 'quoted' $HOME", false), ("good", true), ("not bad 'quoted' $HOME", false)]);
    assert_eq!(all[1], json!({ "name": "good", "pass": true, "fork": "Frontier" }));
    assert!(all[0]["error"].as_str().unwrap().starts_with("head: expected 0x1111"), "{}", all[0]);
    // As Python escapes a name, with what it asks for to debug a case.
    let one =
        results(&["--verbosity", "100", "blocktest", "--trace", "--run", r"^bad\ 'quoted'\ \$HOME", &path]);
    assert_eq!(one.len(), 1);

    let nothing = portico(&["evm", "blocktest", "--geth-json", "--run", "no such case", &path]);
    assert_eq!(nothing.status.code(), Some(1), "a name that is not there must not look as if it had passed");
    let other = portico(&["evm", "statetest", "--geth-json", &path]);
    assert_eq!(other.status.code(), Some(1), "{other:?}");
}

#[cfg(unix)]
#[test]
fn state_tests_have_a_result_for_each_expectation() {
    let folder = tempfile::tempdir().expect("a folder");
    let sender = "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b";
    let post = |byte: &str| {
        json!({ "hash": format!("0x{}", byte.repeat(32)), "logs": format!("0x{}", "22".repeat(32)),
            "indexes": { "data": 0, "gas": 0, "value": 0 } })
    };
    let case = json!({
        "env": { "currentCoinbase": "0x00000000000000000000000000000000000000fe", "currentGasLimit": "0x989680",
            "currentNumber": "0x1", "currentTimestamp": "0x3e8", "currentDifficulty": "0x20000" },
        "pre": { sender: { "balance": "0x1000000000000", "nonce": "0x0", "code": "0x", "storage": {} } },
        "transaction": { "data": ["0x"], "gasLimit": ["0x5208"], "gasPrice": "0xa", "nonce": "0x0",
            "to": "0x00000000000000000000000000000000000000aa", "value": ["0x1"],
            "secretKey": "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8" },
        "post": { "Berlin": [post("11")], "Nowhere": [post("33")] },
    });
    let path = folder.path().join("case.json");
    std::fs::write(&path, json!({ "transfer": case }).to_string()).expect("a file");
    let all = results(&["statetest", &path.display().to_string()]);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(
        (&all[0]["name"], &all[0]["fork"], &all[0]["pass"]),
        (&json!("transfer"), &json!("Berlin"), &json!(false))
    );
    assert!(all[0]["error"].as_str().unwrap().starts_with("state root: expected 0x1111"), "{}", all[0]);
    assert_eq!((&all[1]["fork"], &all[1]["error"]), (&json!("Nowhere"), &json!("not run: unknown network")));
}
