//! Local transactions outlive a restart, whatever happened to their file.

mod kit;

use std::{fs, path::Path};

use kit::*;
use portico_txpool::{JournalLoad, Settings};

fn journaled(path: &Path) -> Bench {
    Bench::with(Settings { journal: Some(path.to_owned()), ..Settings::default() })
}

fn load(bench: &Bench) -> JournalLoad {
    bench.pool.load_journal(&bench.accounts, bench.now).unwrap()
}

/// A journal of one transaction of each kind, in this order, and their hashes.
fn written(path: &Path) -> Vec<alloy_primitives::B256> {
    let bench = journaled(path);
    assert_eq!(load(&bench), JournalLoad::default());
    let sent = [
        signer(1).legacy(0, 2 * GWEI),
        signer(2).blob(0, 2 * GWEI, GWEI),
        signer(3).delegating(0, 2 * GWEI, &[signer(9)]),
        signer(4).fee(7, 2 * GWEI, 1),
    ];
    bench.add(signer(5).fee(0, 2 * GWEI, 1)).unwrap();
    sent.map(|transaction| bench.add_local(transaction).unwrap().hash).into()
}

#[test]
fn local_transactions_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transactions.rlp");
    let hashes = written(&path);
    let again = journaled(&path);
    assert_eq!(load(&again), JournalLoad { added: 4, ..JournalLoad::default() });
    for hash in &hashes {
        assert!(again.pool.get(hash).is_some());
    }
    assert_eq!(again.pool.status().senders, 4);
    assert_eq!(again.pool.status().blobs, 1);
    // What was mined meanwhile is not written down again.
    let third = journaled(&path);
    third.accounts.set(signer(1).address, 1, ETHER);
    assert_eq!(load(&third), JournalLoad { added: 3, refused: 1, ..JournalLoad::default() });
    assert_eq!(load(&journaled(&path)).added, 3);
}

#[test]
fn a_cut_off_journal_gives_what_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transactions.rlp");
    written(&path);
    let whole = fs::read(&path).unwrap();
    for cut in [1, 50, 200, 1_000, 100_000] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let bench = journaled(&path);
        let loaded = load(&bench);
        assert!(loaded.is_cut_off);
        assert_eq!(
            loaded.added,
            if cut < 150 {
                3
            } else if cut < 1_000 {
                2
            } else {
                1
            },
            "cut by {cut}"
        );
        // The damage is gone with the first start.
        let again = load(&journaled(&path));
        assert_eq!(again, JournalLoad { added: loaded.added, ..JournalLoad::default() });
    }
}

#[test]
fn nonsense_in_a_journal_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transactions.rlp");
    written(&path);
    let whole = fs::read(&path).unwrap();
    // Items that are no transactions: an empty list, a string of type 5.
    fs::write(&path, [&[0xc0, 0x82, 0x05, 0xc0][..], &whole].concat()).unwrap();
    assert_eq!(load(&journaled(&path)), JournalLoad { added: 4, undecodable: 2, ..JournalLoad::default() });
    // An item that claims more than there can be, and bytes that are no item.
    for tail in [&[0xff; 9][..], &[0xbb, 0xff, 0xff, 0xff, 0xff], &[0x00], &[0x7f]] {
        fs::write(&path, [&whole, tail].concat()).unwrap();
        let loaded = load(&journaled(&path));
        assert_eq!(loaded, JournalLoad { added: 4, is_cut_off: true, ..JournalLoad::default() });
    }
}

#[test]
fn a_journal_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transactions.rlp");
    let mut bench = journaled(&path);
    load(&bench);
    let hash = bench.add_local(signer(1).fee(0, 2 * GWEI, 1)).unwrap().hash;
    bench.add_local(signer(2).fee(0, 2 * GWEI, 1)).unwrap();
    let before = fs::metadata(&path).unwrap().len();
    bench.accounts.set(signer(1).address, 1, ETHER);
    bench.advance(vec![hash], vec![]);
    assert_eq!(fs::metadata(&path).unwrap().len(), before, "not at once");
    bench.now += 3600;
    bench.advance(vec![], vec![]);
    let after = fs::metadata(&path).unwrap().len();
    assert!(after < before, "{after} of {before} bytes");
    bench.add_local(signer(3).fee(0, 2 * GWEI, 1)).unwrap();
    assert_eq!(load(&journaled(&path)).added, 2);
}

#[test]
fn without_a_path_nothing_is_written() {
    let bench = Bench::new();
    assert_eq!(load(&bench), JournalLoad::default());
    bench.add_local(signer(1).fee(0, 2 * GWEI, 1)).unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let bench = journaled(&folder.path().join("no").join("such"));
    assert!(bench.pool.load_journal(&bench.accounts, NOW).is_err());
    assert!(bench.add_local(signer(1).fee(0, 2 * GWEI, 1)).is_ok());
}
