//! What an operator asks of a database and of the settings: checks, exports, unwinding, the configuration file.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use alloy_primitives::{Address, keccak256};
use portico_db::{Database, DatabaseSettings, RwTxn, models::Account, tables};
use portico_test_support::fixture;

struct Chain {
    genesis: PathBuf,
    blocks: PathBuf,
    folder: tempfile::TempDir,
}

impl Chain {
    /// An imported chain, of which only the newest 100 blocks can be unwound.
    fn imported() -> Option<Self> {
        let chain = fixture("devp2p/ethtest-chain")?;
        let folder = tempfile::tempdir().unwrap();
        let this = Self { genesis: chain.join("genesis.json"), blocks: chain.join("chain.rlp"), folder };
        let blocks = this.blocks.to_string_lossy().into_owned();
        let imported = this.on_chain(&["import"], &["--unwind-horizon", "100", &blocks]);
        assert!(imported.status.success(), "{imported:?}");
        Some(this)
    }

    fn datadir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, command: &[&str], more: &[&str]) -> Output {
        let mut portico = Command::new(env!("CARGO_BIN_EXE_portico"));
        portico.arg("-q").args(command).arg("--datadir").arg(self.datadir()).args(more);
        portico.output().unwrap()
    }

    fn on_chain(&self, command: &[&str], more: &[&str]) -> Output {
        let genesis = self.genesis.to_string_lossy().into_owned();
        self.run(command, &[&["--chain", &genesis], more].concat())
    }

    fn head(&self) -> u64 {
        let list = stdout(&self.run(&["stage", "list"], &[]));
        let finish = list.lines().find(|line| line.starts_with("Finish")).unwrap();
        finish.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Changes the database behind everyone's back.
    fn tamper(&self, change: impl FnOnce(&RwTxn<'_>)) {
        let database = Database::open(&self.datadir().join("db"), &DatabaseSettings::default()).unwrap();
        let txn = database.begin_rw().unwrap();
        change(&txn);
        txn.commit().unwrap();
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn fails_with(output: &Output, expected: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in expected {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

fn faults(output: &Output) -> Vec<String> {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_check_finds_what_was_tampered_with() {
    let Some(chain) = Chain::imported() else { return };
    let head = chain.head();
    let quick = stdout(&chain.run(&["db", "check"], &[]));
    assert!(quick.contains(&format!("{} blocks", head + 1)) && quick.contains("--deep"), "{quick}");
    let deep = stdout(&chain.run(&["db", "check"], &["--deep"]));
    assert!(deep.contains(&format!("{head} blocks were looked into")), "{deep}");

    let stranger = Address::repeat_byte(0xee);
    chain.tamper(|txn| txn.put::<tables::TransactionSenders>(&3, &stranger).unwrap());
    let found = faults(&chain.run(&["db", "check"], &["--deep"]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(&format!("is not signed by {stranger}")), "{found:?}");

    chain.tamper(|txn| {
        let mut receipt = txn.get::<tables::Receipts>(&3).unwrap().unwrap();
        receipt.cumulative_gas_used += 1;
        txn.put::<tables::Receipts>(&3, &receipt).unwrap();
    });
    let found = faults(&chain.run(&["db", "check"], &["--deep"]));
    assert!(found.iter().any(|fault| fault.contains("its receipts have root")), "{found:?}");

    // The sender of the last transaction changed in the newest blocks: those are always looked into.
    let changed = {
        let database = Database::open(&chain.datadir().join("db"), &DatabaseSettings::default()).unwrap();
        let txn = database.begin_ro().unwrap();
        let mut changes = portico_state::read_account_changes(&txn, head).unwrap();
        changes.pop().expect("the last block changed an account").address
    };
    chain.tamper(|txn| {
        let account = Account { nonce: 77, ..Account::default() };
        txn.put::<tables::HashedAccounts>(&keccak256(changed), &account).unwrap();
    });
    let found = faults(&chain.run(&["db", "check"], &[]));
    let differ = format!("plain and hashed state differ in account {changed}");
    assert!(found.iter().any(|fault| fault.contains(&differ)), "{found:?}");
}

#[test]
fn an_export_overwrites_only_when_told() {
    let Some(chain) = Chain::imported() else { return };
    let file = chain.folder.path().join("out.rlp");
    let path = file.to_string_lossy().into_owned();
    stdout(&chain.on_chain(&["export"], &["--to", "3", &path]));
    let before = std::fs::read(&file).unwrap();
    fails_with(&chain.on_chain(&["export"], &["--to", "4", &path]), &["out.rlp", "--force"]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    stdout(&chain.on_chain(&["export"], &["--to", "4", "--force", &path]));
    assert!(std::fs::read(&file).unwrap().len() > before.len());
}

#[test]
fn unwinding_says_where_the_chain_stands_and_what_it_would_take() {
    let Some(chain) = Chain::imported() else { return };
    let head = chain.head();
    let unwind = |to: u64| chain.on_chain(&["stage", "unwind"], &["--to", &to.to_string()]);
    fails_with(&unwind(head + 1), &[&format!("block {} is not there: the head is block {head}", head + 1)]);
    assert!(stdout(&unwind(head)).contains(&format!("the head is block {head} already")));
    let needed = format!("--unwind-horizon {}", head - 5);
    fails_with(&unwind(5), &["cannot unwind to block 5", &needed]);
    let done = stdout(&unwind(head - 7));
    assert!(done.contains(&format!("unwound 7 blocks: the head is block {} 0x", head - 7)), "{done}");
    assert_eq!(chain.head(), head - 7);
}

fn config(arguments: &[&str], file: &Path) -> String {
    let mut portico = Command::new(env!("CARGO_BIN_EXE_portico"));
    portico.arg("config").args(arguments).arg("--config").arg(file);
    stdout(&portico.env("PORTICO_STAGE_ETL_BYTES", "5MB").output().unwrap())
}

#[test]
fn every_setting_is_shown_with_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portico.toml");
    std::fs::write(&file, "datadir = \"/there\"\n[log]\nformat = \"json\"\n[http]\nport = 1234\n").unwrap();
    let row = |shown: &str, setting: &str| -> Vec<String> {
        let line = shown.lines().find(|line| line.starts_with(&format!("{setting} ")));
        line.unwrap_or_default().split_whitespace().skip(1).map(str::to_owned).collect()
    };
    let of_file = |value: &str| vec![value.to_owned(), "file".to_owned(), file.display().to_string()];
    let import = config(&[], &file);
    assert_eq!(row(&import, "--datadir"), of_file("/there"));
    assert_eq!(row(&import, "--log.format"), of_file("json"));
    assert_eq!(row(&import, "--stage.etl-bytes"), ["5MB", "environment", "PORTICO_STAGE_ETL_BYTES"]);
    assert_eq!(row(&import, "--unwind-horizon"), ["10000", "default"]);
    assert_eq!(row(&config(&["node"], &file), "--http.port"), of_file("1234"));
    assert_eq!(row(&config(&["stage", "unwind"], &file), "--datadir"), of_file("/there"));
    let help = Command::new(env!("CARGO_BIN_EXE_portico")).args(["import", "--help"]).output().unwrap();
    assert!(stdout(&help).contains("--config <FILE>"));
}
