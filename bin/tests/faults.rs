//! What a user can do wrong with a data folder: each a clear error, a non-zero exit, and nothing lost.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use portico_test_support::fixture;

struct Case {
    genesis: PathBuf,
    blocks: PathBuf,
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Option<Self> {
        let chain = fixture("devp2p/ethtest-chain")?;
        let (genesis, blocks) = (chain.join("genesis.json"), chain.join("chain.rlp"));
        Some(Self { genesis, blocks, folder: tempfile::tempdir().unwrap() })
    }

    fn datadir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn import(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
        command.args(["-q", "import", "--db.growth-step", "128KB", "--chain"]).arg(&self.genesis);
        command.arg("--datadir").arg(self.datadir()).args(more).arg(&self.blocks);
        command.output().unwrap()
    }
}

fn run(arguments: &[&str], datadir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portico"))
        .args(arguments)
        .arg("--datadir")
        .arg(datadir)
        .output()
        .unwrap()
}

fn fails_with(output: &Output, expected: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in expected {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_full_map_keeps_what_was_committed() {
    let Some(case) = Case::new() else { return };
    let output = case.import(&["--stage.batch-blocks", "50", "--db.max-size", "1500KB"]);
    fails_with(&output, &["--db.max-size"]);
    let stages = stdout(&run(&["stage", "list"], &case.datadir()));
    let head: u64 = stages.lines().last().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(head > 0 && head < 600 && head.is_multiple_of(50), "{stages}");
    assert!(stdout(&case.import(&[])).contains("head: block 600 "));
    assert!(stdout(&run(&["db", "check"], &case.datadir())).contains("601 blocks"));
}

#[test]
fn a_datadir_of_another_chain_is_refused() {
    let Some(case) = Case::new() else { return };
    stdout(&case.import(&["--to", "10"]));
    let before = stdout(&run(&["db", "digest"], &case.datadir()));
    fails_with(
        &run(&["init", "--chain", "sepolia"], &case.datadir()),
        &["the database holds chain", "11155111"],
    );
    fails_with(
        &run(&["node", "--http", "--http.port", "0", "--chain", "sepolia"], &case.datadir()),
        &["the database holds chain"],
    );
    assert_eq!(stdout(&run(&["db", "digest"], &case.datadir())), before);
}

#[test]
fn a_missing_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing");
    let node = ["node", "--http", "--authrpc.disable", "--chain", "dev"];
    for command in [&["db", "stats"][..], &["stage", "list"], &node] {
        fails_with(&run(command, &missing), &["no database at", "portico init"]);
    }
    assert!(!missing.exists(), "looking does not create");
}

#[test]
fn something_else_in_the_folder_is_left_alone() {
    let Some(case) = Case::new() else { return };
    fs::create_dir_all(case.datadir().join("db")).unwrap();
    fs::write(case.datadir().join("db/mdbx.dat"), vec![7; 65536]).unwrap();
    fails_with(&case.import(&[]), &["cannot open the database at"]);
    assert_eq!(fs::read(case.datadir().join("db/mdbx.dat")).unwrap(), vec![7; 65536]);
}

#[test]
fn two_writers_do_not_meet() {
    let Some(case) = Case::new() else { return };
    stdout(&case.import(&["--to", "10"]));
    let settings = portico_db::DatabaseSettings { growth_step: 1 << 20, ..Default::default() };
    let held = portico_db::Database::open(&case.datadir().join("db"), &settings).unwrap();
    fails_with(&case.import(&[]), &["another process"]);
    drop(held);
    assert!(stdout(&case.import(&[])).contains("head: block 600 "));
}

#[test]
fn arguments_that_make_no_sense_are_explained() {
    let Some(case) = Case::new() else { return };
    let nothing = case.folder.path().join("no-such-file.rlp");
    let output = Command::new(env!("CARGO_BIN_EXE_portico"))
        .args(["import", "--chain", "dev", "--datadir"])
        .arg(case.datadir())
        .arg(&nothing)
        .output()
        .unwrap();
    fails_with(&output, &["no-such-file.rlp"]);
    fails_with(&run(&["init", "--chain", "no-such-chain"], &case.datadir()), &["no-such-chain"]);
    stdout(&case.import(&["--to", "10"]));
    let genesis = case.genesis.to_string_lossy().into_owned();
    let unwind = |to| run(&["stage", "unwind", "--to", to, "--chain", &genesis], &case.datadir());
    fails_with(&unwind("11"), &["block 11 is not there: the head is block 10"]);
    assert_eq!(stdout(&unwind("10")), "the head is block 10 already\n");
    fails_with(&run(&["stage", "run", "headers", "--chain", &genesis], &case.datadir()), &["portico import"]);
    fails_with(
        &run(&["db", "get", "NoSuchTable"], &case.datadir()),
        &["no table is called", "PlainAccounts"],
    );
}

#[test]
fn a_newer_schema_is_refused() {
    let Some(case) = Case::new() else { return };
    stdout(&case.import(&["--to", "10"]));
    let settings = portico_db::DatabaseSettings { growth_step: 1 << 20, ..Default::default() };
    let database = portico_db::Database::open(&case.datadir().join("db"), &settings).unwrap();
    let txn = database.begin_rw().unwrap();
    txn.put_bytes::<portico_db::tables::Metadata>(b"schema_version", &999u32.to_be_bytes()).unwrap();
    txn.commit().unwrap();
    drop(database);
    fails_with(&case.import(&[]), &["schema version 999", "use a newer portico"]);
    fails_with(&run(&["db", "stats"], &case.datadir()), &["schema version 999"]);
}

#[test]
fn a_full_disk_keeps_what_was_committed() {
    let Some(mut case) = Case::new() else { return };
    // A file size limit (RLIMIT_FSIZE) would be a signal; a small tmpfs is the real thing, where one can be mounted.
    let mount = case.folder.path().join("small");
    fs::create_dir_all(&mount).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1200k", "tmpfs"]).arg(&mount).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no tmpfs can be mounted here (needs root)");
        return;
    }
    let import = |case: &Case, datadir: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
        command.args(["-q", "import", "--db.growth-step", "128KB", "--stage.batch-blocks", "50", "--chain"]);
        command.arg(&case.genesis).arg("--datadir").arg(datadir).args(more).arg(&case.blocks);
        command.output().unwrap()
    };
    let output = import(&case, &mount.join("data"), &[]);
    let listed = run(&["stage", "list"], &mount.join("data"));
    let copied = case.folder.path().join("rescued");
    let copy = Command::new("cp").arg("-r").arg(mount.join("data")).arg(&copied).status().unwrap();
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
    fails_with(&output, &["committing", "nothing committed is lost"]);
    assert!(stdout(&listed).contains("Finish"), "the database opens");
    assert!(copy.success());
    case.folder.disable_cleanup(false);
    assert!(stdout(&import(&case, &copied, &[])).contains("head: block 600 "));
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let Some(case) = Case::new() else { return };
    let folder = case.datadir();
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    // Root writes everywhere: a read-only mount is what stops it.
    let bind = Command::new("mount").args(["-t", "tmpfs", "-o", "ro,size=1m", "tmpfs"]).arg(&folder).output();
    let mounted = bind.is_ok_and(|output| output.status.success());
    if !mounted && fs::write(folder.join("probe"), b"").is_ok() {
        eprintln!("SKIPPED: this user writes into read-only folders and cannot mount");
        return;
    }
    let output = case.import(&[]);
    if mounted {
        assert!(Command::new("umount").arg(&folder).status().unwrap().success());
    }
    fails_with(&output, &["creating"]);
}

#[test]
fn a_block_without_proof_of_work_is_refused_on_mainnet() {
    let Some(blocks) = fixture("real-chains/mainnet/besu/badpow.blocks") else { return };
    let folder = tempfile::tempdir().unwrap();
    let datadir = folder.path().join("data");
    let import = |more: &[&str]| {
        let arguments = ["-q", "import", "--db.growth-step", "128KB", "--chain", "mainnet"];
        run(&[&arguments, more, &[blocks.to_str().unwrap()]].concat(), &datadir)
    };
    fails_with(&import(&[]), &["badpow.blocks", "block 1 (0x", "mix hash", "stands at block 0"]);
    fails_with(&import(&["--verify-pow", "all"]), &["block 1 (0x", "mix hash"]);
    assert_eq!(import(&["--verify-pow", "some"]).status.code(), Some(2));
    assert!(stdout(&import(&["--verify-pow", "none"])).contains("head: block 1 "));
}

#[test]
fn the_choice_of_seals_is_among_the_settings() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    let printed =
        stdout(&command.args(["config", "import"]).env("PORTICO_VERIFY_POW", "all").output().unwrap());
    let line = printed.lines().find(|line| line.starts_with("--verify-pow")).unwrap();
    assert_eq!(
        line.split_whitespace().skip(1).collect::<Vec<_>>(),
        ["all", "environment", "PORTICO_VERIFY_POW"]
    );
}
