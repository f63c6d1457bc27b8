//! Synthetic chains, written and read back in every format.

mod support;

use alloy_primitives::{U256, keccak256};
use portico_files::{
    Accumulator, BlockFile, Era1Writer, EreWriter, FileBlock, FileFormat, KeepReceipts, Problem,
    ReadSettings, ReceiptsEncoding, RecordKind, RlpWriter,
};
use std::path::{Path, PathBuf};
use support::{TestBlock, assert_same, chain, read_all, with_receipts};
use tempfile::tempdir;

fn write_ere(folder: &Path, blocks: &[TestBlock], receipts: bool) -> Vec<PathBuf> {
    let mut writer = EreWriter::new(folder, "dev");
    for block in blocks {
        let receipts = receipts.then_some(block.receipts.as_slice());
        writer.write(block.export(), receipts, Some(block.total_difficulty)).unwrap();
    }
    writer.finish().unwrap()
}

fn write_era1(folder: &Path, blocks: &[TestBlock]) -> Vec<PathBuf> {
    let mut writer = Era1Writer::new(folder, "dev");
    for block in blocks {
        writer.write(block.export(), &block.receipts, block.total_difficulty).unwrap();
    }
    writer.finish().unwrap()
}

fn assert_all_same(read: &[FileBlock], written: &[TestBlock]) {
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(written) {
        assert_same(read, written);
    }
}

#[test]
fn rlp_and_gzip_give_back_what_was_written() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 60, 40);
    for name in ["chain.rlp", "chain.blocks", "chain.rlp.gz"] {
        let path = folder.path().join(name);
        let mut writer = RlpWriter::create(&path).unwrap();
        for block in &blocks {
            writer.write(block.export()).unwrap();
        }
        assert!(!path.exists(), "a file appears when it is finished");
        writer.finish().unwrap();
        let read = read_all(&path);
        assert_all_same(&read, &blocks);
        assert!(read.iter().all(|block| block.total_difficulty.is_none() && block.receipts.is_none()));
    }
    let sizes = ["chain.rlp", "chain.rlp.gz"].map(|name| folder.path().join(name).metadata().unwrap().len());
    assert!(sizes[1] < sizes[0] / 2, "{sizes:?}");
}

#[test]
fn gzip_is_told_from_content_and_may_have_several_members() {
    let folder = tempdir().unwrap();
    let blocks = chain(5, 20, 20);
    let mut bytes = Vec::new();
    for part in blocks.chunks(7) {
        let path = folder.path().join("part.gz");
        let mut writer = RlpWriter::create(&path).unwrap();
        part.iter().for_each(|block| writer.write(block.export()).unwrap());
        writer.finish().unwrap();
        bytes.extend(std::fs::read(path).unwrap());
    }
    let path = folder.path().join("no-extension");
    std::fs::write(&path, &bytes).unwrap();
    assert_all_same(&read_all(&path), &blocks);
}

#[test]
fn era1_gives_back_receipts_and_difficulties() {
    let folder = tempdir().unwrap();
    let blocks = chain(8192 * 3 - 5, 12, 12);
    let paths = write_era1(folder.path(), &blocks);
    assert_eq!(paths.len(), 2, "files end with their epoch");
    let mut accumulator = Accumulator::default();
    for block in &blocks[..5] {
        accumulator.push(keccak256(alloy_rlp::encode(&block.header)), block.total_difficulty);
    }
    let expected = format!("dev-00002-{}.era1", &accumulator.root().to_string()[2..10]);
    assert_eq!(paths[0], folder.path().join(expected));
    let read: Vec<FileBlock> = paths.iter().flat_map(|path| read_all(path)).collect();
    assert_all_same(&read, &blocks);
    for (read, written) in read.iter().zip(&blocks) {
        assert_eq!(read.total_difficulty, Some(written.total_difficulty));
        let receipts = read.receipts.as_ref().unwrap();
        assert_eq!(receipts.encoding, ReceiptsEncoding::Consensus);
        assert_eq!(receipts.decode().unwrap(), written.receipts);
    }
}

#[test]
fn ere_gives_back_every_profile_and_both_sides_of_the_merge() {
    for (pre_merge, with_receipts) in
        [(0, true), (0, false), (25, true), (25, false), (12, true), (12, false)]
    {
        let folder = tempdir().unwrap();
        let blocks = chain(8192 * 7 + 3, 25, pre_merge);
        let paths = write_ere(folder.path(), &blocks, with_receipts);
        let last_hash = keccak256(alloy_rlp::encode(&blocks[24].header)).to_string();
        let profile = if with_receipts { "noproofs" } else { "noproofs-noreceipts" };
        let expected = folder.path().join(format!("dev-00007-{}-{profile}.ere", &last_hash[2..10]));
        assert_eq!(paths, [expected]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        let read = read_all(&paths[0]);
        assert_all_same(&read, &blocks);
        for (read, written) in read.iter().zip(&blocks) {
            let total_difficulty = (pre_merge > 0).then_some(written.total_difficulty);
            assert_eq!(read.total_difficulty, total_difficulty);
            let receipts = read.receipts.as_ref().map(|receipts| receipts.decode().unwrap());
            assert_eq!(receipts, with_receipts.then(|| written.receipts.clone()));
        }
        let mut file = BlockFile::open(&paths[0]).unwrap();
        assert_eq!((file.format(), file.last_block_hint()), (FileFormat::Ere, Some(8192 * 7 + 27)));
        file.skip_to(8192 * 7 + 20).unwrap();
        assert_eq!(file.map(|block| block.unwrap().number()).min(), Some(8192 * 7 + 20));
    }
}

/// The layout of protocol.md and of the format's own page, byte by byte, without the reader.
#[test]
fn ere_has_the_layout_of_its_specification() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 3, 2);
    let path = write_ere(folder.path(), &blocks, true).remove(0);
    let bytes = std::fs::read(path).unwrap();
    let mut records = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        let length = u32::from_le_bytes(bytes[position + 2..position + 6].try_into().unwrap()) as usize;
        assert_eq!(bytes[position + 6..position + 8], [0, 0]);
        records.push((position, [bytes[position], bytes[position + 1]], &bytes[position + 8..][..length]));
        position += 8 + length;
    }
    let kinds: Vec<[u8; 2]> = records.iter().map(|record| record.1).collect();
    let [version, header, body, receipts, difficulty, root, index] =
        [[0x65, 0x32], [3, 0], [4, 0], [0x0a, 0], [6, 0], [7, 0], [0x67, 0x32]];
    assert_eq!(
        kinds,
        [
            version, header, header, header, body, body, body, receipts, receipts, receipts, difficulty,
            difficulty, difficulty, root, index
        ]
    );
    let (index_offset, _, data) = records[14];
    let values: Vec<i64> =
        data.chunks(8).map(|value| i64::from_le_bytes(value.try_into().unwrap())).collect();
    assert_eq!((values[0], values[13], values[14]), (0, 4, 3), "start, components, count");
    for block in 0..3 {
        for component in 0..4 {
            let offset = index_offset as i64 + values[1 + block * 4 + component];
            assert_eq!(offset, records[1 + component * 3 + block].0 as i64);
        }
    }
    let final_difficulty = records[12].2;
    assert_eq!(final_difficulty, blocks[1].total_difficulty.to_le_bytes::<32>(), "repeated after the merge");
    let mut accumulator = Accumulator::default();
    for block in &blocks[..2] {
        accumulator.push(keccak256(alloy_rlp::encode(&block.header)), block.total_difficulty);
    }
    assert_eq!(records[13].2, accumulator.root().as_slice(), "only blocks before the merge");
}

/// Puts records together with an index of our own making: offsets of `columns`, block by block.
fn assemble(records: &[(RecordKind, Vec<u8>)], columns: &[RecordKind], blocks: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for (kind, data) in records {
        offsets.push((*kind, bytes.len() as i64));
        bytes.extend(kind.0);
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(data);
    }
    let index_offset = bytes.len() as i64;
    let mut values = vec![0];
    for block in 0..blocks {
        for column in columns {
            let mut of_kind = offsets.iter().filter(|(kind, _)| kind == column);
            values.push(of_kind.nth(block).unwrap().1 - index_offset);
        }
    }
    values.extend([columns.len() as i64, blocks as i64]);
    bytes.extend(RecordKind::DYNAMIC_BLOCK_INDEX.0);
    bytes.extend((values.len() as u32 * 8).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

fn records_of(bytes: &[u8]) -> Vec<(RecordKind, Vec<u8>)> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let [a, b, length @ ..] = rest {
        let data_length = u32::from_le_bytes(length[..4].try_into().unwrap()) as usize;
        assert_eq!(rest[6..8], [0, 0]);
        records.push((RecordKind([*a, *b]), rest[8..8 + data_length].to_vec()));
        rest = &rest[8 + data_length..];
    }
    records
}

#[test]
fn ere_with_proofs_and_unknown_records_is_read() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 3, 3);
    let path = write_ere(folder.path(), &blocks, true).remove(0);
    let mut records = records_of(&std::fs::read(path).unwrap());
    records.pop();
    let accumulator = records.pop().unwrap();
    let difficulties = records.split_off(10);
    records.extend((0..3).map(|block| (RecordKind::PROOF, vec![block; 5])));
    records.extend(difficulties);
    records.push((RecordKind([0x42, 0x42]), vec![1, 2, 3]));
    records.push(accumulator);
    let columns = [
        RecordKind::HEADER,
        RecordKind::BODY,
        RecordKind::SLIM_RECEIPTS,
        RecordKind::TOTAL_DIFFICULTY,
        RecordKind::PROOF,
    ];
    let read = |bytes: &[u8]| {
        let file = BlockFile::from_bytes(Path::new("made.ere"), bytes, &with_receipts())?;
        file.collect::<Result<Vec<_>, _>>()
    };
    let sound = assemble(&records, &columns, 3);
    assert_all_same(&read(&sound).unwrap(), &blocks);

    let mut swapped = columns;
    swapped.swap(0, 1);
    let error = read(&assemble(&records, &swapped, 3)).unwrap_err();
    assert!(matches!(error.problem, Problem::UnexpectedRecord { .. }), "{error}");
    let error = read(&assemble(&records, &columns, 2)).unwrap_err();
    assert!(matches!(error.problem, Problem::IndexCount { found: 3, indexed: 2, .. }), "{error}");
    // Receipts where a body belongs.
    let (body, receipts) = (records[4].1.clone(), records[7].1.clone());
    (records[4].1, records[7].1) = (receipts, body);
    let error = read(&assemble(&records, &columns, 3)).unwrap_err();
    assert!(matches!(error.problem, Problem::Block(_)), "{error}");
    assert_eq!(error.block_number, Some(0));
}

#[test]
fn receipts_are_left_out_unless_asked_for() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 4, 4);
    for path in [write_era1(folder.path(), &blocks), write_ere(folder.path(), &blocks, true)].concat() {
        assert!(BlockFile::open(&path).unwrap().all(|block| block.unwrap().receipts.is_none()));
    }
}

#[test]
fn writers_refuse_gaps_and_uneven_components() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 4, 4);
    let mut rlp = RlpWriter::create(&folder.path().join("chain.rlp")).unwrap();
    rlp.write(blocks[0].export()).unwrap();
    let error = rlp.write(blocks[2].export()).unwrap_err();
    assert!(matches!(error.problem, Problem::Number { expected: 1, found: 2 }), "{error}");
    let mut era1 = Era1Writer::new(folder.path(), "dev");
    era1.write(blocks[1].export(), &blocks[1].receipts, U256::from(1)).unwrap();
    let error = era1.write(blocks[1].export(), &blocks[1].receipts, U256::from(1)).unwrap_err();
    assert!(matches!(error.problem, Problem::Number { expected: 2, found: 1 }), "{error}");
    let mut ere = EreWriter::new(folder.path(), "dev");
    ere.write(blocks[0].export(), None, Some(U256::from(1))).unwrap();
    for (receipts, total_difficulty) in [(Some(&blocks[1].receipts), Some(U256::from(2))), (None, None)] {
        let error = ere.write(blocks[1].export(), receipts.map(Vec::as_slice), total_difficulty).unwrap_err();
        assert!(matches!(error.problem, Problem::Uneven { .. }), "{error}");
    }
    drop((rlp, era1, ere));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "unfinished files leave nothing");
}

#[test]
fn settings_bound_the_size_of_a_block() {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 4, 4);
    let rlp = folder.path().join("chain.rlp");
    let mut writer = RlpWriter::create(&rlp).unwrap();
    blocks.iter().for_each(|block| writer.write(block.export()).unwrap());
    writer.finish().unwrap();
    let settings = ReadSettings { block_bytes_max: 400, receipts: KeepReceipts::No };
    let archives = [write_era1(folder.path(), &blocks), write_ere(folder.path(), &blocks, true)].concat();
    for path in [vec![rlp], archives].concat() {
        let error = BlockFile::open_with(&path, &settings).unwrap().next().unwrap().unwrap_err();
        assert!(matches!(error.problem, Problem::BlockTooLarge { limit: 400, .. }), "{error}");
    }
}
