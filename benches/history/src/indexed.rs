//! Changes by block, and the blocks by slot: what other clients have, with the index as compact as ours for logs.

use std::borrow::Cow;

use libmdbx::{Cursor, NoWriteMap, RO, RW, TableFlags, Transaction, WriteFlags};
use portico_db::{
    Value,
    models::{BlockSet, SHARD_BLOCKS},
};

use crate::{
    Result,
    store::{Form, Reader, TableSpec},
    workload::{Change, SlotKey, Workload},
};

const CHANGES: &str = "Changes";
const INDEX: &str = "Index";
const OPEN: u64 = u64::MAX;

/// See the module.
pub(crate) struct Indexed;

impl Form for Indexed {
    fn name(&self) -> &'static str {
        "indexed"
    }

    fn tables(&self) -> &'static [TableSpec] {
        const TABLES: [TableSpec; 2] = [(CHANGES, TableFlags::DUP_SORT), (INDEX, TableFlags::empty())];
        &TABLES
    }

    fn sorted_tables(&self) -> &'static [&'static str] {
        &[INDEX]
    }

    fn append(
        &self,
        txn: &Transaction<'_, RW, NoWriteMap>,
        workload: &Workload,
        batch: &[Change],
    ) -> Result<()> {
        append_changes(txn, workload, batch)?;
        let mut cursor = txn.cursor(&txn.open_table(Some(INDEX))?)?;
        let end = cursor.last::<Vec<u8>, ()>()?.map(|(key, ())| key);
        for of_slot in workload.by_key(batch).chunk_by(|a, b| a.key == b.key) {
            let key = workload.key(of_slot[0]);
            let open = shard_key(key, OPEN);
            let behind_end = end.as_ref().is_none_or(|end| *end < open);
            let stored = if behind_end { None } else { cursor.set::<Vec<u8>>(&open)? };
            let mut blocks = stored.map(|bytes| BlockSet::decode(&bytes)).transpose()?.unwrap_or_default().0;
            blocks.extend(of_slot.iter().map(|change| change.block));
            let flags = if behind_end { WriteFlags::APPEND } else { WriteFlags::UPSERT };
            write_shards(&mut cursor, key, &blocks, flags)?;
        }
        Ok(())
    }

    fn reader<'txn>(&self, txn: &'txn Transaction<'_, RO, NoWriteMap>) -> Result<Reader<'txn>> {
        let mut index = txn.cursor(&txn.open_table(Some(INDEX))?)?;
        let mut changes = txn.cursor(&txn.open_table(Some(CHANGES))?)?;
        Ok(Box::new(move |key, block| match next_change(&mut index, key, block)? {
            Some(next) => value_before(&mut changes, key, next).map(Some),
            None => Ok(None),
        }))
    }
}

fn append_changes(
    txn: &Transaction<'_, RW, NoWriteMap>,
    workload: &Workload,
    batch: &[Change],
) -> Result<()> {
    let mut cursor = txn.cursor(&txn.open_table(Some(CHANGES))?)?;
    let mut last = Vec::new();
    for change in batch {
        let (address, slot) = workload.key(change).split_at(20);
        let key = changes_key(change.block, address);
        let value = [slot, workload.value(change)].concat();
        let flags = if key == last { WriteFlags::APPEND_DUP } else { WriteFlags::APPEND };
        cursor.put(&key, &value, flags)?;
        last = key;
    }
    Ok(())
}

fn write_shards(cursor: &mut Cursor<'_, RW>, key: &SlotKey, blocks: &[u64], flags: WriteFlags) -> Result<()> {
    let mut shards = blocks.chunks(SHARD_BLOCKS).peekable();
    while let Some(shard) = shards.next() {
        let last = if shards.peek().is_some() { shard[shard.len() - 1] } else { OPEN };
        let mut bytes = Vec::new();
        BlockSet(shard.to_vec()).encode(&mut bytes);
        cursor.put(&shard_key(key, last), &bytes, flags)?;
    }
    Ok(())
}

fn next_change(index: &mut Cursor<'_, RO>, key: &SlotKey, block: u64) -> Result<Option<u64>> {
    let found = index.set_range::<Cow<'_, [u8]>, Cow<'_, [u8]>>(&shard_key(key, block + 1))?;
    let Some((_, shard)) = found.filter(|(found, _)| found.starts_with(key)) else { return Ok(None) };
    let blocks = BlockSet::decode(&shard)?.0;
    Ok(blocks.get(blocks.partition_point(|changed| *changed <= block)).copied())
}

fn value_before(changes: &mut Cursor<'_, RO>, key: &SlotKey, block: u64) -> Result<Vec<u8>> {
    let (address, slot) = key.split_at(20);
    let found = changes.get_both_range::<Cow<'_, [u8]>>(&changes_key(block, address), slot)?;
    match found.as_deref().and_then(|value| value.strip_prefix(slot)) {
        Some(value) => Ok(value.to_vec()),
        None => Err("the index names a change that is not there".into()),
    }
}

fn shard_key(key: &SlotKey, block: u64) -> Vec<u8> {
    [&key[..], &block.to_be_bytes()].concat()
}

fn changes_key(block: u64, address: &[u8]) -> Vec<u8> {
    [&block.to_be_bytes(), address].concat()
}
