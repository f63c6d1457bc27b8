//! `portico evm stateless` on files.

use std::{path::Path, process::Command};

use portico_test_support::fixture;

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn stateless(arguments: &[&str], block: &Path, witness: &Path) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    let output = command.args(["evm", "stateless"]).args(arguments).args([block, witness]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Answer { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn hoodi_block_is_valid_if_an_account_is_absent() {
    let Some(folder) = fixture("real-chains/stateless") else { return };
    let (block, witness) = (folder.join("1192c3_block.rlp"), folder.join("1192c3_witness.rlp"));
    let answer = stateless(&["--chain", "hoodi"], &block, &witness);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert!(answer.stdout.starts_with("block        1151683 0x"), "{}", answer.stdout);
    assert!(answer.stdout.contains("\nwitness      nodes 104, codes 4, headers 1\n"), "{}", answer.stdout);
    let condition = "valid if     account 0x00d8B9E957BecC0978A9882F0cd5e776CD7c5B20 does not exist";
    assert!(answer.stdout.to_lowercase().contains(&condition.to_lowercase()), "{}", answer.stdout);
    let strict = stateless(&["--chain", "hoodi", "--strict"], &block, &witness);
    assert_eq!((strict.code, strict.stdout.as_str()), (Some(1), ""));
    assert!(strict.stderr.to_lowercase().contains("0x00d8b9e957becc0978a9882f0cd5e776cd7c5b20"));
    assert_eq!(strict.stderr.lines().count(), 1, "{}", strict.stderr);
}

#[test]
fn a_wrong_chain_a_wrong_file_and_no_file_are_errors() {
    let Some(folder) = fixture("real-chains/stateless") else { return };
    let (block, witness) = (folder.join("1192c3_block.rlp"), folder.join("1192c3_witness.rlp"));
    let error = |chain, block: &Path, witness: &Path| {
        let answer = stateless(&["--chain", chain], block, witness);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""), "{}", answer.stderr);
        answer.stderr
    };
    assert!(error("mainnet", &block, &witness).contains("block 1151683"), "its rules are others");
    assert!(error("hoodi", &witness, &block).contains("1192c3_witness.rlp: not one block"));
    assert!(error("hoodi", &block, &block).contains("1192c3_block.rlp: the witness is malformed"));
    assert!(error("hoodi", &block, Path::new("/nowhere")).contains("/nowhere"));
}

#[test]
fn witnesses_in_json_are_read() {
    let Some(chain) = fixture("execution-apis/chain-45-prague") else { return };
    let Some(case) = fixture("erigon-rpc/hive/debug_executionWitness/test_143.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let conversation: serde_json::Value = serde_json::from_slice(&std::fs::read(case).unwrap()).unwrap();
    let witness = folder.path().join("witness.json");
    std::fs::write(&witness, conversation[0]["response"]["result"].to_string()).unwrap();
    // Block 44 of the chain, cut out of its file.
    let blocks = std::fs::read(chain.join("chain.rlp")).unwrap();
    let mut rest = blocks.as_slice();
    for _ in 1..44 {
        alloy_rlp::Header::decode_bytes(&mut rest, true).unwrap();
    }
    let start = rest;
    alloy_rlp::Header::decode_bytes(&mut rest, true).unwrap();
    let block = folder.path().join("block.rlp");
    std::fs::write(&block, &start[..start.len() - rest.len()]).unwrap();
    let genesis = chain.join("genesis.json");
    let answer = stateless(&["--chain", genesis.to_str().unwrap()], &block, &witness);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert!(answer.stdout.starts_with("block        44 0x"), "{}", answer.stdout);
    assert!(answer.stdout.ends_with("\nvalid\n"), "{}", answer.stdout);
}
