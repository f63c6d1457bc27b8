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
