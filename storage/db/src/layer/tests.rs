//! A transaction in memory against one of the database that gets the same calls.

use alloy_primitives::{Address, B256, U256};
use proptest::prelude::*;

use crate::{
    Database, RwTxn, TransactionKind, Txn,
    models::StorageEntry,
    tables::{CanonicalHeaders, Metadata, PlainStorage, TABLES},
};

#[derive(Debug, Clone)]
enum Op {
    PutName(u8, u8),
    DeleteName(u8),
    DeleteNames(u8, u8),
    ClearNames,
    AppendNumber(u8),
    DeleteNumbers(u8),
    PutSlot(u8, u8, u8),
    DeleteSlot(u8, u8),
    DeleteAccount(u8),
    DeleteCurrent(u8, u8),
    ClearSlots,
}

fn op() -> impl Strategy<Value = Op> {
    let small = 0..12_u8;
    prop_oneof![
        8 => (small.clone(), any::<u8>()).prop_map(|(key, value)| Op::PutName(key, value)),
        4 => small.clone().prop_map(Op::DeleteName),
        2 => (small.clone(), small.clone()).prop_map(|(from, to)| Op::DeleteNames(from, to)),
        1 => Just(Op::ClearNames),
        4 => any::<u8>().prop_map(Op::AppendNumber),
        2 => any::<u8>().prop_map(Op::DeleteNumbers),
        12 => (0..4_u8, small.clone(), any::<u8>()).prop_map(|(key, slot, value)| Op::PutSlot(key, slot, value)),
        6 => (0..4_u8, small.clone()).prop_map(|(key, slot)| Op::DeleteSlot(key, slot)),
        1 => (0..4_u8).prop_map(Op::DeleteAccount),
        2 => (0..4_u8, small).prop_map(|(key, slot)| Op::DeleteCurrent(key, slot)),
        1 => Just(Op::ClearSlots),
    ]
}

fn name(key: u8) -> String {
    // Of different lengths, one the beginning of another.
    "n".repeat(usize::from(key) + 1)
}

fn slot(slot: u8) -> B256 {
    B256::with_last_byte(slot)
}

fn entry(number: u8, value: u8) -> StorageEntry {
    StorageEntry { slot: slot(number), value: U256::from(value) }
}

/// Does one thing; what the calls answer is part of what is compared.
fn run(txn: &RwTxn<'_>, op: &Op) -> String {
    match *op {
        Op::PutName(key, value) => format!("{:?}", txn.put::<Metadata>(&name(key), &vec![value; 3])),
        Op::DeleteName(key) => format!("{:?}", txn.delete::<Metadata>(&name(key))),
        Op::DeleteNames(from, to) => {
            let mut cursor = txn.cursor::<Metadata>().unwrap();
            format!("{:?}", cursor.delete_range(name(from).as_bytes(), Some(name(to).as_bytes())))
        }
        Op::ClearNames => format!("{:?}", txn.clear::<Metadata>()),
        Op::AppendNumber(value) => {
            let mut cursor = txn.cursor::<CanonicalHeaders>().unwrap();
            let next = cursor.last().unwrap().map_or(0, |(number, _)| number + 1);
            format!("{:?}", cursor.append(&next, &B256::with_last_byte(value)))
        }
        Op::DeleteNumbers(from) => {
            let from = u64::from(from % 16).to_be_bytes();
            format!("{:?}", txn.cursor::<CanonicalHeaders>().unwrap().delete_from(&from))
        }
        Op::PutSlot(key, number, value) => {
            let mut cursor = txn.cursor::<PlainStorage>().unwrap();
            let key = Address::with_last_byte(key);
            let old = cursor.delete_dup(&key, &slot(number)).unwrap();
            cursor.upsert(&key, &entry(number, value)).unwrap();
            old.to_string()
        }
        Op::DeleteSlot(key, number) => {
            let mut cursor = txn.cursor::<PlainStorage>().unwrap();
            format!("{:?}", cursor.delete_dup(&Address::with_last_byte(key), &slot(number)))
        }
        Op::DeleteAccount(key) => format!("{:?}", txn.delete::<PlainStorage>(&Address::with_last_byte(key))),
        Op::DeleteCurrent(key, number) => {
            let mut cursor = txn.cursor::<PlainStorage>().unwrap();
            let found = cursor.seek_dup(&Address::with_last_byte(key), &slot(number)).unwrap();
            if found.is_some() {
                cursor.delete_current().unwrap();
            }
            format!("{found:?}")
        }
        Op::ClearSlots => format!("{:?}", txn.clear::<PlainStorage>()),
    }
}

/// Everything that can be asked, as text.
fn all_reads<K: TransactionKind>(txn: &Txn<'_, K>) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |what: String| out.push(what);
    for index in 0..TABLES.len() {
        say(format!("{:?}", txn.raw_from(index, &[], usize::MAX).unwrap()));
    }
    say(format!("{:?}", txn.raw_from(0, &3_u64.to_be_bytes(), 2).unwrap()));
    let mut names = txn.cursor::<Metadata>().unwrap();
    let mut numbers = txn.cursor::<CanonicalHeaders>().unwrap();
    let mut slots = txn.cursor::<PlainStorage>().unwrap();
    for key in 0..12 {
        say(format!("{:?}", txn.get::<Metadata>(&name(key)).unwrap()));
        say(format!("{:?} {:?}", names.seek(&name(key)).unwrap(), names.next().unwrap()));
        say(format!("{:?}", names.seek_exact(&name(key)).unwrap()));
        if names.seek(&name(key)).unwrap().is_some() {
            say(format!("{:?} {:?}", names.prev().unwrap(), names.next().unwrap()));
        }
        if numbers.seek(&u64::from(key)).unwrap().is_some() {
            say(format!("{:?} {:?}", numbers.prev().unwrap(), numbers.next().unwrap()));
        }
    }
    say(format!("{:?}", numbers.walk(&2).collect::<Result<Vec<_>, _>>().unwrap()));
    say(format!("{:?} {:?}", numbers.last().unwrap(), numbers.prev().unwrap()));
    say(format!("{:?} {:?}", numbers.first().unwrap(), numbers.next_key().unwrap()));
    say(format!("{:?}", names.walk_all().collect::<Result<Vec<_>, _>>().unwrap()));
    for key in 0..4 {
        let address = Address::with_last_byte(key);
        say(format!("{:?}", txn.get::<PlainStorage>(&address).unwrap()));
        say(format!("{:?}", slots.seek_exact(&address).unwrap()));
        for number in 0..12 {
            say(format!("{:?}", slots.seek_dup(&address, &slot(number)).unwrap()));
            say(format!("{:?}", slots.seek_dup_exact(&address, &slot(number)).unwrap()));
            if slots.seek_dup(&address, &slot(number)).unwrap().is_some() {
                say(format!("{:?} {:?}", slots.next_dup().unwrap(), slots.next_dup().unwrap()));
            }
        }
        if slots.seek(&address).unwrap().is_some() {
            say(format!("{:?} {:?}", slots.next_key().unwrap(), slots.prev().unwrap()));
        }
        let mut rows = Vec::new();
        let mut walk = txn.cursor::<PlainStorage>().unwrap();
        walk.for_each_row_from(&address, |key, value| {
            rows.push((key, value));
            rows.len() < 5
        })
        .unwrap();
        say(format!("{rows:?}"));
    }
    out
}

/// Fails with the first answer that differs.
fn same(expected: &[String], got: &[String], when: &str) -> Result<(), TestCaseError> {
    for (position, (expected, got)) in expected.iter().zip(got).enumerate() {
        prop_assert_eq!(expected, got, "read {} {}", position, when);
    }
    prop_assert_eq!(expected.len(), got.len(), "{}", when);
    Ok(())
}

fn open() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::open(folder.path(), &Default::default()).unwrap();
    (folder, db)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Three layers on a committed state, read on their own state, on one to which the first layers were applied, and
    /// applied at last: always the rows that the database has which got the calls directly.
    #[test]
    fn memory_reads_and_applies_as_the_database(
        before in prop::collection::vec(op(), 0..40),
        blocks in prop::collection::vec(prop::collection::vec(op(), 0..25), 3),
    ) {
        let ((_a, direct), (_b, layered)) = (open(), open());
        for db in [&direct, &layered] {
            let txn = db.begin_rw().unwrap();
            before.iter().for_each(|op| drop(run(&txn, op)));
            txn.commit().unwrap();
        }
        let mut view = crate::View::default();
        let mut layers = Vec::new();
        for block in &blocks {
            let on_disk = direct.begin_rw().unwrap();
            let in_memory = layered.begin_in_memory(&view).unwrap();
            for op in block {
                prop_assert_eq!(run(&on_disk, op), run(&in_memory, op), "{:?}", op);
                same(&all_reads(&on_disk), &all_reads(&in_memory), &format!("after {op:?}"))?;
            }
            on_disk.commit().unwrap();
            let (next, layer) = in_memory.into_layer().unwrap();
            prop_assert_eq!(view.with(&layer).rows(), next.rows());
            view = next;
            layers.push(layer);
        }
        let expected = all_reads(&direct.begin_ro().unwrap());
        same(&expected, &all_reads(&layered.begin_ro_on(&view).unwrap()), "at the end")?;

        let txn = layered.begin_rw().unwrap();
        txn.apply(&layers[0]).unwrap();
        txn.commit().unwrap();
        same(&expected, &all_reads(&layered.begin_ro_on(&view).unwrap()), "on a later state")?;
        let rest = crate::View::default().with(&layers[1]).with(&layers[2]);
        same(&expected, &all_reads(&layered.begin_ro_on(&rest).unwrap()), "with fewer layers")?;

        let mut both = layers[1].clone();
        both.extend(&layers[2]);
        let txn = layered.begin_rw().unwrap();
        txn.apply(&both).unwrap();
        txn.commit().unwrap();
        same(&expected, &all_reads(&layered.begin_ro().unwrap()), "applied")?;
    }
}

#[test]
fn a_transaction_in_memory_is_not_committed_and_one_of_the_database_not_taken_as_a_layer() {
    let (_folder, db) = open();
    let view = crate::View::default();
    assert!(matches!(db.begin_in_memory(&view).unwrap().commit(), Err(crate::DbError::NotInMemory)));
    assert!(matches!(db.begin_rw().unwrap().into_layer(), Err(crate::DbError::NotInMemory)));
    let (_, layer) = db.begin_in_memory(&view).unwrap().into_layer().unwrap();
    assert!(matches!(db.begin_in_memory(&view).unwrap().apply(&layer), Err(crate::DbError::NotInMemory)));
    assert_eq!((layer.rows(), layer.bytes()), (0, 0));
}

#[test]
fn a_dropped_transaction_in_memory_leaves_nothing() {
    let (_folder, db) = open();
    let view = crate::View::default();
    let txn = db.begin_in_memory(&view).unwrap();
    txn.put::<Metadata>(&name(1), &vec![1]).unwrap();
    assert_eq!(txn.get::<Metadata>(&name(1)).unwrap(), Some(vec![1]));
    drop(txn);
    assert_eq!(db.begin_ro_on(&view).unwrap().get::<Metadata>(&name(1)).unwrap(), None);
}

#[test]
fn the_key_behind_has_the_same_length() {
    use super::successor;
    assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
    assert_eq!(successor(&[1, 0xff, 0xff]), Some(vec![2, 0, 0]));
    assert_eq!(successor(&[0xff, 0xff]), None);
}
