//! The engine scenarios of Besu's acceptance tests: each on a node of its own, one request after another, over HTTP.

use std::path::{Path, PathBuf};

use portico::NodeCommand;
use portico_test_support::fixture;
use serde_json::Value;

/// Where this node is meant to answer otherwise: a member of the answer, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("result.payloadId", "the id of a payload is for the client to choose: eight bytes"),
    ("result.totalDifficulty", "totalDifficulty left the specification"),
];

/// The folders with a genesis file.
fn scenarios(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if folder.join("genesis.json").is_file() {
            found.push(folder);
            continue;
        }
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| path.is_dir()));
    }
    found.sort();
    found
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Members in which two answers differ, those that only one has included.
fn differing(expected: &Value, found: &Value, path: &str) -> Vec<(String, Value, Value)> {
    if let (Value::Object(expected), Value::Object(found)) = (expected, found) {
        let mut names: Vec<&String> = expected.keys().chain(found.keys()).collect();
        names.sort();
        names.dedup();
        let member = |object: &serde_json::Map<String, Value>, name: &str| {
            object.get(name).cloned().unwrap_or_else(|| "missing".into())
        };
        let nested = names.into_iter().flat_map(|name| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            differing(&member(expected, name), &member(found, name), &path)
        });
        return nested.collect();
    }
    if expected == found { Vec::new() } else { vec![(path.to_owned(), expected.clone(), found.clone())] }
}

/// Why a difference is none, if it is.
fn reason(path: &str, found: &Value) -> Option<&'static str> {
    let (_, reason) = DIFFERENCES.iter().find(|(member, _)| *member == path)?;
    let is_id = found.as_str().is_some_and(|id| id.len() == 18 && id.starts_with("0x"));
    (path != "result.payloadId" || is_id).then_some(reason)
}

#[test]
fn besus_engine_scenarios_go_as_recorded() {
    let Some(folder) = fixture("besu-rpc/acceptance") else { return };
    let scenarios = scenarios(&folder);
    assert!(scenarios.len() >= 3, "{scenarios:?}");
    let (mut steps, mut known) = (0, Vec::new());
    for scenario in scenarios {
        let datadir = tempfile::tempdir().unwrap();
        let command = NodeCommand {
            program: env!("CARGO_BIN_EXE_portico").into(),
            genesis: scenario.join("genesis.json"),
            datadir: datadir.path().to_owned(),
            flags: Vec::new(),
        };
        let node = command.start().unwrap();
        let (mut http, mut engine) = (node.connect().unwrap(), node.connect_engine().unwrap());
        let mut files: Vec<PathBuf> = std::fs::read_dir(scenario.join("test-cases"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let case = read(&file);
            let is_engine = case["request"]["method"].as_str().unwrap().starts_with("engine_");
            let client = if is_engine { &mut engine } else { &mut http };
            let reply = client.exchange(&case["request"].to_string()).unwrap();
            let name = file.strip_prefix(&folder).unwrap().display();
            assert_eq!(Some(u64::from(reply.status)), case["statusCode"].as_u64(), "{name}");
            let found: Value = serde_json::from_slice(&reply.body).unwrap();
            for (path, expected, got) in differing(&case["response"], &found, "") {
                let reason = reason(&path, &got);
                let reason = reason.unwrap_or_else(|| panic!("{name}: {path} is {got}, expected {expected}"));
                known.push(format!("{name}: {path}: {reason}"));
            }
            steps += 1;
        }
        drop((http, engine));
        assert_eq!(node.complaints(), Vec::<String>::new());
        assert!(node.terminate().unwrap().success());
    }
    println!("{steps} steps, {} known differences:\n{}", known.len(), known.join("\n"));
    assert!(steps >= 25, "{steps} steps");
    assert!(known.len() <= 3, "{} known differences", known.len());
}
