//! Damaged, absurd and hostile fixture files: each is named with what is wrong, and the rest is run.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use portico_spec::{
    BlockTestSettings, FILE_BYTES_MAX, Report, RunOptions, SpecError, StateTestSettings, run_block_tests,
    run_state_tests,
};
use tempfile::TempDir;

/// A block test that passes: a chain that never gets beyond its genesis block.
const GOOD: &str = r#"{ "network": "Frontier", "pre": {}, "blocks": [],
    "genesisBlockHeader": { "difficulty": "0x20000", "gasLimit": "0x1388" },
    "lastblockhash": "GENESIS" }"#;

/// The good case, with the hash that its genesis block has.
fn good() -> String {
    let genesis =
        r#"{ "config": { "chainId": 1 }, "alloc": {}, "difficulty": "0x20000", "gasLimit": "0x1388" }"#;
    let spec = portico_chainspec::ChainSpec::from_genesis_json(genesis.as_bytes()).expect("a genesis file");
    GOOD.replace("GENESIS", &spec.genesis_hash().to_string())
}

fn file_of(cases: &[(&str, &str)]) -> String {
    let cases: Vec<String> =
        cases.iter().map(|(name, case)| format!("{}:{case}", serde_json::Value::from(*name))).collect();
    format!("{{{}}}", cases.join(","))
}

fn options() -> RunOptions {
    RunOptions { jobs: 1, ..RunOptions::default() }
}

fn run(path: &Path) -> Report {
    let paths = [path.to_owned()];
    run_block_tests(&paths, &options(), BlockTestSettings::default()).expect("a report")
}

/// A folder with one good file and a bad one.
fn folder(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).expect("a file");
    write("a-good.json", file_of(&[("good", &good())]).as_bytes());
    write(name, content.as_ref());
    write("z-good.json", file_of(&[("also good", &good())]).as_bytes());
    let path = folder.path().to_owned();
    (folder, path)
}

/// The good files ran; the bad one is broken, is named, and the message says `why`.
fn assert_broken(name: &str, content: impl AsRef<[u8]>, why: &str) {
    let (_folder, path) = folder(name, content);
    let report = run(&path);
    assert_eq!(report.total().passed, 2, "{report}");
    assert!(!report.is_success());
    let errors: Vec<&str> = report.broken.iter().map(|broken| broken.error.as_str()).collect();
    assert!(errors.iter().all(|error| error.contains(name) && error.len() < 5000), "{errors:?}");
    assert!(errors.iter().any(|error| error.contains(why)), "{errors:?}");
}

/// The good files ran; the case in the bad one failed, and the report says `why`.
fn assert_failed(case: &str, why: &str) {
    let (_folder, path) = folder("bad.json", file_of(&[("bad", case), ("good beside it", &good())]));
    let report = run(&path);
    let total = report.total();
    assert_eq!((total.passed, total.failed), (3, 1), "{case}\n{report}");
    let failure = &report.failures[0];
    assert_eq!(failure.name, "bad");
    assert!(failure.file.ends_with("bad.json"));
    assert!(failure.got.contains(why), "{case}\n{failure:?}");
    assert!(failure.got.len() < 5000, "{} bytes", failure.got.len());
}

#[test]
fn good_cases_pass() {
    let (_folder, path) = folder("bad.json", file_of(&[("good", &good())]));
    let report = run(&path);
    assert!(report.is_success(), "{report}");
    assert_eq!(report.total().passed, 3);
}

#[test]
fn damaged_json_breaks_its_file_alone() {
    assert_broken("bad.json", "", "EOF");
    assert_broken("bad.json", "{", "EOF");
    assert_broken("bad.json", "{\"case\": {\"pre\": }}", "line 1");
    assert_broken("bad.json", "{\"case\": {}} {}", "trailing");
    assert_broken("bad.json", "null", "an object of cases");
    assert_broken("bad.json", "\"text\"", "an object of cases");
    assert_broken("bad.json", b"{\"case\": \"\xff\"}", "UTF-8 at byte 10");
    assert_broken("bad.json", format!("{{\"{}\": {{}}}}", "n".repeat(20_000)), "name of 20000 bytes");
    let deep = "[".repeat(100_000);
    assert_broken("bad.json", deep, "EOF");
    // A string of 1 MB where cases are wanted is not repeated in the message.
    assert_broken("bad.json", format!("\"{}\"", "x".repeat(1 << 20)), "an object of cases");
}

#[test]
fn a_case_of_the_wrong_shape_fails_alone() {
    let good = good();
    assert_failed(&good.replace("\"network\": \"Frontier\"", "\"network\": 5"), "invalid type");
    assert_failed(&good.replace("\"network\": \"Frontier\",", ""), "missing field `network`");
    assert_failed(&good.replace("\"blocks\": []", "\"blocks\": {}"), "invalid type");
    assert_failed(&good.replace("\"blocks\": []", "\"blocks\": [5]"), "invalid type");
    assert_failed(&good.replace("\"blocks\": []", "\"blocks\": [{\"rlp\": []}]"), "invalid type");
    assert_failed(&good.replace("\"lastblockhash\": \"0x", "\"lastblockhash\": \"0x0"), "");
    assert_failed(&good.replace("\"lastblockhash\": \"0x", "\"lastblockhash\": \"0xzz"), "");
    assert_failed(&good.replace("\"pre\": {}", "\"pre\": []"), "");
    assert_failed(&good.replace("\"pre\": {}", "\"pre\": {\"0x12\": {\"balance\": \"0x1\"}}"), "");
    assert_failed(&good.replace("\"0x1388\"", "\"0x138g\""), "");
    assert_failed(&good.replace("\"0x1388\"", "\"0x1ffffffffffffffff\""), "");
    assert_failed(&good.replace("\"0x1388\"", "1e400"), "");
    assert_failed(&good.replace("\"0x20000\"", &format!("\"0x{}\"", "f".repeat(65))), "");
    // A post-state that is asked of a chain without it.
    let absent = "\"postState\": {\"0x00000000000000000000000000000000000000ff\": \
                  {\"balance\": \"0x1\", \"nonce\": \"0x0\", \"code\": \"0x\", \"storage\": {}}}, \"pre\": {}";
    assert_failed(&good.replace("\"pre\": {}", absent), "absent");
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_failed(&good().replace("\"pre\": {}", &format!("\"pre\": {{\"0x00\": {deep}}}")), "");
    assert_failed(
        &good().replace("\"blocks\": []", &format!("\"blocks\": [{{\"rlp\": \"0x\", \"a\": {deep}}}]")),
        "",
    );
    // A case that is no object at all belongs to another kind of test.
    let (_folder, path) = folder("bad.json", file_of(&[("deep", &deep)]));
    let report = run(&path);
    assert_eq!((report.total().passed, report.total().skipped), (2, 1), "{report}");
}

#[test]
fn blocks_that_are_no_hex_or_no_rlp_count_as_refused() {
    for rlp in ["0x0", "0xzz", "c0", "0xbf0fffffffffffffff", "0xff7fffffffffffffff00", ""] {
        let case = good().replace("\"blocks\": []", &format!("\"blocks\": [{{\"rlp\": \"{rlp}\"}}]"));
        let (_folder, path) = folder("more.json", file_of(&[("refused", &case)]));
        let report = run(&path);
        assert!(report.is_success(), "{rlp}\n{report}");
        assert_eq!(report.refused_blocks, 1, "{rlp}");
    }
}

#[test]
fn state_tests_of_the_wrong_shape_fail_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.json");
    let cases = [
        ("env", r#"{ "env": 5, "post": {}, "transaction": {} }"#),
        ("transaction", r#"{ "env": {}, "post": {}, "transaction": [1], "pre": {} }"#),
        ("post", r#"{ "env": {}, "post": {"Cancun": 1}, "transaction": {}, "pre": {} }"#),
    ];
    std::fs::write(&path, file_of(&cases)).expect("a file");
    let report = run_state_tests(&[path], &options(), &StateTestSettings::default()).expect("a report");
    assert_eq!((report.total().failed, report.total().run), (3, 3), "{report}");
}

#[test]
fn names_with_quotes_can_be_pasted() {
    let case = good().replace("\"lastblockhash\": \"0x", "\"lastblockhash\": \"0xzz");
    let (_folder, path) = folder("bad.json", file_of(&[("it's \"quoted\" $(x)\n\\", &case)]));
    let report = run(&path.join("bad.json"));
    let rerun = report.failures[0].rerun();
    let output = std::process::Command::new("sh").arg("-c").arg(format!("printf '%s|' {rerun}")).output();
    let pasted = String::from_utf8(output.expect("a shell").stdout).expect("UTF-8");
    let (file, filter) = (path.join("bad.json"), "--case=it's \"quoted\" $(x)\n\\");
    assert_eq!(pasted, format!("{}|{filter}|", file.display()));
}

fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, *content).expect("in memory");
    }
    archive.into_inner().expect("in memory")
}

fn zstd_of(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).expect("in memory")
}

#[test]
fn archives_are_read_up_to_their_damage() {
    let good = file_of(&[("in the archive", &good())]);
    let long = format!("{}/good.json", "long".repeat(40));
    let tar = tar_of(&[("a.json", good.as_bytes()), (&long, good.as_bytes()), ("b.json", good.as_bytes())]);
    let (_folder, path) = folder("whole.tar.zst", zstd_of(&tar));
    let report = run(&path);
    assert!(report.is_success(), "{report}");
    assert_eq!(report.total().passed, 5);

    // The second entry is cut.
    let (_folder, path) = folder("cut.tar.zst", zstd_of(&tar[..tar.len() / 2 + 300]));
    let report = run(&path);
    assert_eq!(report.broken.len(), 1, "{report}");
    assert!(report.broken[0].error.contains("cut.tar.zst: damaged or truncated archive"), "{report}");
    assert!(report.total().passed >= 3, "{report}");

    let compressed = zstd_of(&tar);
    assert_broken("bad.tar.zst", &compressed[..compressed.len() / 2], "damaged or truncated");
    assert_broken("bad.tar.zst", "no archive at all", "damaged or truncated");
    assert_broken("bad.tar", vec![0xa5; 5000], "damaged or truncated");
}

/// A tar header whose size field is set by hand.
fn header_of(name: &str, kind: tar::EntryType, size: &[u8; 12]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).expect("a short name");
    header.set_entry_type(kind);
    header.as_old_mut().size = *size;
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn sizes_that_no_file_has_are_refused_before_reading() {
    // 2^60 in octal, and in the binary form that larger numbers take.
    let octal = b"1000000000\0\0";
    let mut binary = [0_u8; 12];
    binary[0] = 0x80;
    binary[4..].copy_from_slice(&(1_u64 << 60).to_be_bytes());
    let largest = [0xff; 12];
    let mut nearly = binary;
    nearly[4..].copy_from_slice(&u64::MAX.to_be_bytes());
    let file = tar::EntryType::Regular;
    assert_broken("bad.tar", header_of("a.json", file, octal), "damaged or truncated");
    for size in [binary, nearly] {
        assert_broken("bad.tar", header_of("a.json", file, &size), "bad.tar");
        assert_broken("bad.tar.zst", zstd_of(&header_of("a.json", file, &size)), "bad.tar.zst");
        // Of an entry that is passed over, and of one that holds only the next one's name.
        assert_broken("bad.tar", header_of("a.txt", file, &size), "bad.tar");
        assert_broken("bad.tar", header_of("a", tar::EntryType::GNULongName, &size), "bad.tar");
        assert_broken("bad.tar", header_of("a", tar::EntryType::XHeader, &size), "bad.tar");
    }
    let (_folder, path) = folder("bad.tar", header_of("a.json", file, &largest));
    assert!(!run(&path).is_success());
}

#[test]
fn a_small_archive_of_zeros_does_not_fill_memory() {
    // 2 GiB of name, which is 64 KiB compressed.
    let mut size = [0_u8; 12];
    size[0] = 0x80;
    size[4..].copy_from_slice(&(2_u64 << 30).to_be_bytes());
    let mut archive = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    archive.write_all(&header_of("a", tar::EntryType::GNULongName, &size)).expect("in memory");
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 256 << 20), &mut archive).expect("in memory");
    let archive = archive.finish().expect("in memory");
    assert!(archive.len() < 1 << 20);
    assert_broken("bad.tar.zst", archive, "more than the 65536");
}

#[test]
fn a_frame_that_wants_a_huge_window_is_refused() {
    // Magic; descriptor: no single segment, no content size; window of 2^41 bytes.
    assert_broken(
        "bad.tar.zst",
        [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00],
        "damaged or truncated",
    );
    // A single segment of 2^62 bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend((1_u64 << 62).to_le_bytes());
    frame.extend([0x01, 0x00, 0x00]);
    assert_broken("bad.tar.zst", frame, "damaged or truncated");
}

#[test]
fn a_file_of_500_megabytes_is_refused_unread() {
    let (_folder, path) = folder("bad.json", "{\"case\": \"");
    let file = std::fs::OpenOptions::new().write(true).open(path.join("bad.json")).expect("the file");
    // Sparse: it takes no room on the disk, and would take 500 MB in memory.
    file.set_len(500_000_000).expect("a sparse file");
    let before = peak_memory_kib();
    let report = run(&path);
    assert_eq!(report.broken.len(), 1, "{report}");
    let why = format!("500000000 bytes, more than the {FILE_BYTES_MAX}");
    assert!(report.broken[0].error.contains(&why), "{report}");
    assert_eq!(report.total().passed, 2);
    let grown = peak_memory_kib().saturating_sub(before);
    assert!(grown < 300_000, "{grown} KiB more");
}

/// The most memory that this process has held, in KiB.
fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[test]
fn nothing_to_read_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |path: &Path| {
        run_block_tests(&[path.to_owned()], &options(), BlockTestSettings::default())
            .expect_err("nothing to run")
    };
    assert!(matches!(run(folder.path()), SpecError::NoFiles { .. }));
    let missing = folder.path().join("missing.json");
    let error = run(&missing);
    assert!(matches!(error, SpecError::Io { .. }) && error.to_string().contains("missing.json"), "{error}");
}
