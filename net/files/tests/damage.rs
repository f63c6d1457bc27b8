//! Damaged files: cut off, with flipped bits, forged. Always an error that says where, or a sound shorter chain; never
//! a panic, never much memory.

mod support;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{B256, Signature, U256};
use alloy_rlp::Encodable;
use portico_files::{
    BlockDecodeError, BlockFile, BlockPart, Era1Writer, EreWriter, FileBlock, FileError, KeepReceipts,
    Problem, ReadSettings, RlpWriter, Transaction, decode_block_rlp,
};
use proptest::{prelude::*, test_runner::RngSeed};
use std::{path::Path, sync::LazyLock};
use support::{chain, fixture, with_receipts};
use tempfile::tempdir;

struct Samples {
    rlp: Vec<u8>,
    gzip: Vec<u8>,
    era1: Vec<u8>,
    ere: Vec<u8>,
    hashes: Vec<B256>,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let folder = tempdir().unwrap();
    let blocks = chain(0, 12, 12);
    let [rlp, gzip] = ["a.rlp", "a.rlp.gz"].map(|name| {
        let path = folder.path().join(name);
        let mut writer = RlpWriter::create(&path).unwrap();
        blocks.iter().for_each(|block| writer.write(block.export()).unwrap());
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    });
    let mut era1 = Era1Writer::new(folder.path(), "dev");
    let mut ere = EreWriter::new(folder.path(), "dev");
    for block in &blocks {
        era1.write(block.export(), &block.receipts, block.total_difficulty).unwrap();
        ere.write(block.export(), Some(&block.receipts), Some(block.total_difficulty)).unwrap();
    }
    let era1 = std::fs::read(&era1.finish().unwrap()[0]).unwrap();
    let ere = std::fs::read(&ere.finish().unwrap()[0]).unwrap();
    let hashes = read(&rlp).unwrap().iter().map(|block| block.hash).collect();
    Samples { rlp, gzip, era1, ere, hashes }
});

impl Samples {
    fn all(&self) -> [&[u8]; 4] {
        [&self.rlp, &self.gzip, &self.era1, &self.ere]
    }
}

/// Reads all blocks, or up to the first error, receipts decoded.
fn read_some(bytes: &[u8]) -> (Vec<FileBlock>, Option<FileError>) {
    let mut blocks = Vec::new();
    let file = match BlockFile::from_bytes(Path::new("sample"), bytes, &with_receipts()) {
        Ok(file) => file,
        Err(error) => return (blocks, Some(error)),
    };
    for block in file {
        match block {
            Ok(block) => {
                let _ = block.receipts.as_ref().map(|receipts| receipts.decode());
                blocks.push(block);
            }
            Err(error) => return (blocks, Some(error)),
        }
    }
    (blocks, None)
}

fn read(bytes: &[u8]) -> Result<Vec<FileBlock>, FileError> {
    match read_some(bytes) {
        (blocks, None) => Ok(blocks),
        (_, Some(error)) => Err(error),
    }
}

fn problem(bytes: &[u8]) -> Problem {
    let error = read(bytes).expect_err("damaged");
    assert!(error.to_string().starts_with("sample: "), "{error}");
    error.problem
}

#[test]
fn a_file_cut_off_anywhere_gives_an_error_or_a_clean_prefix() {
    let samples = &*SAMPLES;
    for (format, bytes) in samples.all().into_iter().enumerate() {
        for length in 0..bytes.len() {
            let (blocks, error) = read_some(&bytes[..length]);
            let hashes: Vec<_> = blocks.iter().map(|block| block.hash).collect();
            assert_eq!(hashes, samples.hashes[..hashes.len()]);
            match format {
                // Between two blocks is a proper end.
                0 => assert!(
                    error.is_some() || blocks.iter().map(|block| block.rlp_length).sum::<usize>() == length
                ),
                1 => assert!(error.is_some()),
                _ => assert!(error.is_some() && blocks.is_empty(), "no block of a damaged archive is used"),
            }
        }
    }
}

#[test]
fn real_files_cut_off_at_sampled_bytes_give_errors_or_clean_prefixes() {
    let archive = fixture("real-chains/sepolia/sepolia-00021-b8814b14.era1");
    let blocks = fixture("real-chains/mainnet/besu/1000.blocks");
    for path in [archive, blocks].into_iter().flatten() {
        let bytes = std::fs::read(path).unwrap();
        for part in 0..40 {
            let length = bytes.len() * part / 40 + 1;
            let (blocks, error) = read_some(&bytes[..length]);
            let used = blocks.iter().map(|block| block.rlp_length).sum::<usize>();
            assert!(error.is_some() || used == length, "{part}: {} blocks", blocks.len());
        }
    }
}

/// A flipped bit in compressed data may give the same data: then, and only then, it goes unnoticed.
#[test]
fn any_flipped_bit_of_an_archive_is_found_or_changes_nothing() {
    let samples = &*SAMPLES;
    let same = |read: &FileBlock, sound: &FileBlock| {
        read.hash == sound.hash
            && read.transactions == sound.transactions
            && read.ommers == sound.ommers
            && read.withdrawals == sound.withdrawals
            && read.total_difficulty == sound.total_difficulty
    };
    for bytes in [&samples.era1, &samples.ere] {
        let sound = read(bytes).unwrap();
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << (position % 8);
            let (blocks, error) = read_some(&damaged);
            assert!(error.is_some() || blocks.len() == sound.len(), "byte {position}");
            assert!(blocks.iter().zip(&sound).all(|(read, sound)| same(read, sound)), "byte {position}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn flipped_bytes_never_panic(
        format in 0_usize..4,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..6),
    ) {
        let mut bytes = SAMPLES.all()[format].to_vec();
        for (index, flip) in flips {
            let position = index.index(bytes.len());
            bytes[position] ^= flip;
        }
        let (blocks, _) = read_some(&bytes);
        prop_assert!(blocks.len() <= SAMPLES.hashes.len());
    }

    #[test]
    fn removed_and_repeated_pieces_never_panic(
        format in 0_usize..4,
        (a, b) in any::<(prop::sample::Index, prop::sample::Index)>(),
        repeat in any::<bool>(),
    ) {
        let bytes = SAMPLES.all()[format];
        let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
        let (start, end) = (a.min(b), a.max(b));
        let tail = if repeat { start } else { end };
        let _ = read_some(&[&bytes[..end - usize::from(!repeat) * (end - start)], &bytes[tail..]].concat());
    }

    #[test]
    fn a_block_decodes_only_to_itself(
        block in 0_u64..12,
        index in any::<prop::sample::Index>(),
        flip in 0..=255_u8,
    ) {
        let blocks = read(&SAMPLES.rlp).unwrap();
        let start: usize = blocks.iter().take(block as usize).map(|block| block.rlp_length).sum();
        let mut rlp = SAMPLES.rlp[start..][..blocks[block as usize].rlp_length].to_vec();
        let position = index.index(rlp.len());
        rlp[position] ^= flip;
        if let Ok(decoded) = decode_block_rlp(&rlp) {
            let body = alloy_consensus::BlockBody {
                transactions: decoded.transactions,
                ommers: decoded.ommers,
                withdrawals: decoded.withdrawals.map(Into::into),
            };
            let block = alloy_consensus::Block { header: decoded.header, body };
            prop_assert_eq!(alloy_rlp::encode(block), rlp);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), magic in 0_usize..4) {
        let magics: [&[u8]; 4] = [b"", b"e2\0\0\0\0\0\0", &[0x1f, 0x8b, 8, 0], &[0xf9]];
        let _ = read_some(&[magics[magic], &bytes].concat());
        let _ = decode_block_rlp(&bytes);
    }
}

#[test]
fn errors_say_which_block_which_byte_and_what() {
    let samples = &*SAMPLES;
    let blocks = read(&samples.rlp).unwrap();
    let start: usize = blocks[..5].iter().map(|block| block.rlp_length).sum();
    let error = read(&samples.rlp[..start + 100]).unwrap_err();
    let length = blocks[5].rlp_length;
    let expected =
        format!("sample: block 5 at byte {start}: truncated: {length} bytes needed, the file has 100 more");
    assert_eq!(error.to_string(), expected);

    let mut skipped = samples.rlp.clone();
    skipped.drain(start..start + length);
    let error = read(&skipped).unwrap_err();
    let expected = format!("sample: block 5 at byte {start}: block number 6 where 5 should follow");
    assert_eq!(error.to_string(), expected);

    // A transaction that is no longer one.
    let mut damaged = samples.rlp.clone();
    let header_length = blocks[5].header.length();
    damaged[start + 3 + header_length + 3] = 0;
    let error = read(&damaged).unwrap_err();
    assert_eq!((error.block_number, error.offset), (Some(5), start as u64));
    assert!(error.to_string().contains("transaction 0"), "{error}");
}

#[test]
fn archives_say_what_is_wrong_with_them() {
    let samples = &*SAMPLES;
    let bytes = &samples.era1;
    let change = |position: usize, value: u8| {
        let mut damaged = bytes.clone();
        damaged[position] = value;
        problem(&damaged)
    };
    let index = bytes.len() - (24 + 8 * 12);
    let accumulator = index - 40;
    assert!(matches!(change(accumulator + 8, !bytes[accumulator + 8]), Problem::Accumulator { .. }));
    assert!(matches!(change(accumulator, 8), Problem::UnexpectedRecord { .. }));
    let difficulty = accumulator - 32;
    assert!(matches!(change(difficulty, !bytes[difficulty]), Problem::Accumulator { .. }));
    assert!(matches!(change(index + 16, !bytes[index + 16]), Problem::IndexOffset { .. }));
    assert!(matches!(change(index + 8, 1), Problem::Number { expected: 1, found: 0 }));
    assert!(matches!(change(bytes.len() - 8, 13), Problem::IndexMissing));
    assert!(matches!(change(14, 1), Problem::ReservedBytes([1, 0])));
    assert!(matches!(change(13, 0x7f), Problem::RecordTooLarge { .. }));
    assert!(matches!(change(12, 0x7f), Problem::Truncated { .. }));
    assert!(matches!(change(8, 0x0c), Problem::UnexpectedRecord { .. }));
    assert!(matches!(change(16, 0), Problem::Snappy { .. }));
    assert!(matches!(change(60, !bytes[60]), Problem::Snappy { .. }));
    assert!(matches!(change(2, 1), Problem::RecordLength { .. } | Problem::ReservedBytes(_)));
}

#[test]
fn rlp_that_is_not_canonical_is_refused() {
    let block = chain(1, 1, 1).remove(0);
    let mut rlp = Vec::new();
    let body = alloy_consensus::BlockBody {
        transactions: block.transactions.clone(),
        ommers: vec![],
        withdrawals: None,
    };
    alloy_consensus::Block { header: block.header.clone(), body }.encode(&mut rlp);
    assert!(decode_block_rlp(&rlp).is_ok());
    let trailing = [&rlp[..], &[0]].concat();
    let expected = BlockDecodeError::TrailingBytes { part: BlockPart::Block, bytes: 1 };
    assert_eq!(decode_block_rlp(&trailing).unwrap_err(), expected);
    assert!(decode_block_rlp(&rlp[..rlp.len() - 1]).is_err());
    assert!(decode_block_rlp(&[]).is_err());

    // A typed transaction without the string it belongs into.
    let tx: Transaction =
        TxEip1559::default().into_signed(Signature::new(U256::from(1), U256::from(1), false)).into();
    let mut bare = Vec::new();
    alloy_eips::Encodable2718::encode_2718(&tx, &mut bare);
    let mut payload = alloy_rlp::encode(&block.header);
    alloy_rlp::Header { list: true, payload_length: bare.len() }.encode(&mut payload);
    payload.extend_from_slice(&bare);
    payload.push(0xc0);
    let mut rlp = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
    rlp.extend_from_slice(&payload);
    let expected = BlockDecodeError::NotCanonical { part: BlockPart::Transaction(0) };
    assert_eq!(decode_block_rlp(&rlp).unwrap_err(), expected);
}

#[test]
fn bombs_and_forged_lengths_are_stopped_by_the_limit() {
    // An RLP block that claims to be huge, plain and in a small gzip file.
    let forged = [&[0xfb, 0xff, 0xff, 0xff, 0xff][..], &[0; 100]].concat();
    assert!(matches!(problem(&forged), Problem::BlockTooLarge { length: 0x1_0000_0004, .. }));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &forged).unwrap();
    assert!(matches!(problem(&gzip.finish().unwrap()), Problem::BlockTooLarge { .. }));

    // A header record that decompresses to far more than it is.
    let folder = tempdir().unwrap();
    let mut block = chain(0, 1, 1).remove(0);
    block.header.extra_data = vec![0; 3 << 20].into();
    let mut writer = Era1Writer::new(folder.path(), "dev");
    writer.write(block.export(), &[], U256::ZERO).unwrap();
    let path = writer.finish().unwrap().remove(0);
    assert!(path.metadata().unwrap().len() < 300_000);
    let settings = ReadSettings { block_bytes_max: 1 << 20, receipts: KeepReceipts::No };
    let error = BlockFile::open_with(&path, &settings).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error.problem, Problem::BlockTooLarge { limit: 0x10_0000, .. }), "{error}");
}
