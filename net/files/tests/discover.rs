//! Files and folders as one chain.

mod support;

use portico_files::{
    BlockFiles, Era1Writer, EreWriter, FileError, FileFormat, IgnoreReason, Problem, Progress, RlpWriter,
};
use std::path::{Path, PathBuf};
use support::{TestBlock, chain};
use tempfile::tempdir;

fn write_rlp(path: &Path, blocks: &[TestBlock]) -> PathBuf {
    let mut writer = RlpWriter::create(path).unwrap();
    blocks.iter().for_each(|block| writer.write(block.export()).unwrap());
    writer.finish().unwrap();
    path.to_owned()
}

fn numbers(files: &BlockFiles) -> Result<Vec<u64>, FileError> {
    files.blocks().map(|block| block.map(|block| block.number())).collect()
}

#[test]
fn files_of_all_formats_are_read_in_the_order_of_their_blocks() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 40, 40);
    let sub = folder.path().join("a/b");
    std::fs::create_dir_all(&sub).unwrap();
    let last = write_rlp(&folder.path().join("0-last.blocks"), &blocks[30..]);
    write_rlp(&sub.join("z-first.rlp.gz"), &blocks[..10]);
    let mut era1 = Era1Writer::new(folder.path(), "dev");
    let mut ere = EreWriter::new(&sub, "dev");
    for block in &blocks[10..20] {
        era1.write(block.export(), &block.receipts, block.total_difficulty).unwrap();
    }
    for block in &blocks[20..30] {
        ere.write(block.export(), None, Some(block.total_difficulty)).unwrap();
    }
    era1.finish().unwrap();
    ere.finish().unwrap();
    std::fs::write(folder.path().join("README.md"), "words").unwrap();
    std::fs::write(sub.join("other.bin"), "words").unwrap();
    let found = BlockFiles::discover(&[last.clone(), folder.path().to_owned()]).unwrap();
    let formats: Vec<_> = found.files().iter().map(|file| (file.first_block, file.format)).collect();
    let (rlp, era1, ere) = (FileFormat::Rlp, FileFormat::Era1, FileFormat::Ere);
    assert_eq!(formats, [(0, rlp), (10, era1), (20, ere), (30, rlp)]);
    let mut ignored: Vec<_> = found
        .ignored()
        .iter()
        .map(|ignored| (ignored.path.file_name().unwrap().to_str().unwrap(), ignored.reason))
        .collect();
    ignored.sort_by_key(|(name, _)| *name);
    let expected = [
        ("0-last.blocks", IgnoreReason::Twice),
        ("README.md", IgnoreReason::Extension),
        ("other.bin", IgnoreReason::NoBlocks),
    ];
    assert_eq!(ignored, expected);
    assert_eq!(numbers(&found).unwrap(), (0..40).collect::<Vec<_>>());
}

#[test]
fn blocks_can_be_read_in_another_thread() {
    let folder = tempdir().unwrap();
    write_rlp(&folder.path().join("a.rlp"), &chain(0, 5, 5));
    let blocks = BlockFiles::discover(&[folder.path().to_owned()]).unwrap().blocks();
    assert!(format!("{blocks:?}").len() < 2_000);
    assert_eq!(std::thread::spawn(|| blocks.count()).join().unwrap(), 5);
}

#[test]
fn progress_rises_to_the_whole() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 40, 40);
    write_rlp(&folder.path().join("a.rlp"), &blocks[..20]);
    write_rlp(&folder.path().join("b.rlp.gz"), &blocks[20..]);
    let found = BlockFiles::discover(&[folder.path().to_owned()]).unwrap();
    let mut iterator = found.blocks();
    assert!(iterator.current_file().unwrap().path.ends_with("a.rlp"));
    let bytes_total = found.byte_length();
    let start = Progress { bytes_read: 0, bytes_total, file_index: 0, file_count: 2 };
    assert_eq!(iterator.progress(), start);
    let mut before = start;
    while iterator.next().transpose().unwrap().is_some() {
        let progress = iterator.progress();
        assert!(progress.bytes_read >= before.bytes_read && progress.bytes_read <= bytes_total);
        before = progress;
    }
    assert_eq!(iterator.progress(), Progress { bytes_read: bytes_total, file_index: 2, ..start });
    assert_eq!(iterator.current_file(), None);
}

#[test]
fn a_gap_is_an_error_when_it_is_reached_and_names_both_files() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 40, 40);
    let before = write_rlp(&folder.path().join("before.rlp"), &blocks[..10]);
    let after = write_rlp(&folder.path().join("after.rlp"), &blocks[12..]);
    let found = BlockFiles::discover(&[folder.path().to_owned()]).unwrap();
    let mut iterator = found.blocks();
    assert_eq!(iterator.by_ref().take(10).filter(|block| block.is_ok()).count(), 10);
    let error = iterator.next().unwrap().unwrap_err();
    assert!(iterator.next().is_none());
    assert_eq!((&error.path, error.block_number), (&after, Some(10)));
    let text = error.to_string();
    assert!(text.contains(&before.display().to_string()) && text.contains("block 12"), "{text}");
    assert!(matches!(error.problem, Problem::Gap { previous_block: 9, first_block: 12, .. }), "{text}");
    let mut iterator = found.blocks();
    iterator.skip_to(10);
    let error = iterator.next().unwrap().unwrap_err();
    assert!(matches!(error.problem, Problem::Gap { .. }), "also when the blocks before are skipped: {error}");
}

#[test]
fn overlaps_are_handed_out_or_skipped() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 40, 40);
    write_rlp(&folder.path().join("long.rlp"), &blocks[..30]);
    write_rlp(&folder.path().join("inside.rlp"), &blocks[5..10]);
    let mut era1 = Era1Writer::new(folder.path(), "dev");
    for block in &blocks[20..30] {
        era1.write(block.export(), &block.receipts, block.total_difficulty).unwrap();
    }
    era1.finish().unwrap();
    write_rlp(&folder.path().join("rest.rlp"), &blocks[25..]);
    let found = BlockFiles::discover(&[folder.path().to_owned()]).unwrap();
    let expected = (0..30).chain(5..10).chain(20..30).chain(25..40).collect::<Vec<_>>();
    assert_eq!(numbers(&found).unwrap(), expected);
    let mut iterator = found.blocks();
    let mut seen = Vec::new();
    while let Some(block) = iterator.next().transpose().unwrap() {
        seen.push(block.number());
        iterator.skip_to(block.number() + 1);
    }
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
}

#[test]
fn reading_can_start_anywhere() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 40, 40);
    write_rlp(&folder.path().join("a.rlp"), &blocks[..20]);
    write_rlp(&folder.path().join("b.rlp.gz"), &blocks[20..]);
    let found = BlockFiles::discover(&[folder.path().to_owned()]).unwrap();
    for start in [0, 7, 19, 20, 33, 39, 40, u64::MAX] {
        let mut iterator = found.blocks();
        iterator.skip_to(start);
        let numbers: Vec<u64> = iterator.map(|block| block.unwrap().number()).collect();
        assert_eq!(numbers, (start.min(40)..40).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_no_block_file_is_said_so() {
    let folder = tempdir().unwrap();
    let discover = |path: &Path| BlockFiles::discover(&[path.to_owned()]).map(|_| ()).unwrap_err();
    assert!(matches!(discover(folder.path()).problem, Problem::NoBlockFiles));
    assert!(matches!(discover(&folder.path().join("absent.rlp")).problem, Problem::Io(_)));
    let text = folder.path().join("text.rlp");
    std::fs::write(&text, "words").unwrap();
    assert!(matches!(discover(&text).problem, Problem::UnknownFormat { first_byte: b'w' }));
    assert!(matches!(discover(folder.path()).problem, Problem::UnknownFormat { .. }), "by its extension");
    #[cfg(unix)]
    assert!(matches!(discover(Path::new("/dev/null")).problem, Problem::Io(_)));
    std::fs::write(&text, "").unwrap();
    assert!(matches!(discover(&text).problem, Problem::Empty));
    std::fs::write(&text, b"e2\0\0\0\0\0\0\x01\0\0\0\0\0\0\0").unwrap();
    let error = discover(&text);
    assert!(matches!(error.problem, Problem::Unsupported { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn folders_that_link_to_themselves_end() {
    let folder = tempdir().unwrap();
    write_rlp(&folder.path().join("a.rlp"), &chain(0, 3, 3));
    std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("a.rlp"), folder.path().join("b.rlp")).unwrap();
    let mut deep = folder.path().to_owned();
    (0..10).for_each(|_| deep.push("down"));
    std::fs::create_dir_all(&deep).unwrap();
    let found = BlockFiles::discover(&[folder.path().to_owned()]).unwrap();
    let reasons: Vec<_> = found.ignored().iter().map(|ignored| ignored.reason).collect();
    assert_eq!(reasons, [IgnoreReason::LinkedFolder, IgnoreReason::Twice, IgnoreReason::TooDeep]);
    assert_eq!(numbers(&found).unwrap(), [0, 1, 2]);
}
