//! Chunks of (block, value before) by slot, the slot named whole or by a number of 5 bytes.

use std::borrow::Cow;

use libmdbx::{Cursor, NoWriteMap, RO, RW, TableFlags, Transaction, WriteFlags};
use portico_db::models::{HistoryChunk, HistoryChunkBuilder};

use crate::{
    Result,
    store::{Form, Reader, TableSpec},
    workload::{Change, SlotKey, Workload},
};

const HISTORY: &str = "History";
const IDS: &str = "Ids";
const OPEN: u64 = u64::MAX;

/// See the module.
pub(crate) struct Transposed {
    short_ids: bool,
}

impl Transposed {
    pub(crate) fn whole_keys() -> Self {
        Self { short_ids: false }
    }

    pub(crate) fn short_ids() -> Self {
        Self { short_ids: true }
    }
}

impl Form for Transposed {
    fn name(&self) -> &'static str {
        if self.short_ids { "5-byte id" } else { "chunks" }
    }

    fn tables(&self) -> &'static [TableSpec] {
        const TABLES: [TableSpec; 2] = [(HISTORY, TableFlags::empty()), (IDS, TableFlags::empty())];
        if self.short_ids { &TABLES } else { &TABLES[..1] }
    }

    fn sorted_tables(&self) -> &'static [&'static str] {
        if self.short_ids { &[HISTORY, IDS] } else { &[HISTORY] }
    }

    fn append(
        &self,
        txn: &Transaction<'_, RW, NoWriteMap>,
        workload: &Workload,
        batch: &[Change],
    ) -> Result<()> {
        let sorted = workload.by_key(batch);
        let mut writer = ChunkWriter::new(txn)?;
        if self.short_ids {
            let mut rows = with_ids(txn, workload, &sorted)?;
            rows.sort_unstable_by_key(|(id, change)| (*id, change.block));
            for (id, change) in rows {
                writer.push(&id, change.block, workload.value(change))?;
            }
        } else {
            for change in sorted {
                writer.push(workload.key(change), change.block, workload.value(change))?;
            }
        }
        writer.finish_key()
    }

    fn reader<'txn>(&self, txn: &'txn Transaction<'_, RO, NoWriteMap>) -> Result<Reader<'txn>> {
        let mut history = txn.cursor(&txn.open_table(Some(HISTORY))?)?;
        if !self.short_ids {
            return Ok(Box::new(move |key, block| value_at(&mut history, key, block)));
        }
        let mut ids = txn.cursor(&txn.open_table(Some(IDS))?)?;
        Ok(Box::new(move |key: &SlotKey, block| match ids.set::<[u8; 5]>(key)? {
            Some(id) => value_at(&mut history, &id, block),
            None => Ok(None),
        }))
    }
}

fn chunk_key(prefix: &[u8], block: u64) -> Vec<u8> {
    [prefix, &block.to_be_bytes()].concat()
}

fn value_at(history: &mut Cursor<'_, RO>, prefix: &[u8], block: u64) -> Result<Option<Vec<u8>>> {
    let found = history.set_range::<Cow<'_, [u8]>, Cow<'_, [u8]>>(&chunk_key(prefix, block + 1))?;
    let Some((key, chunk)) = found.filter(|(key, _)| key.starts_with(prefix)) else { return Ok(None) };
    debug_assert_eq!(key.len(), prefix.len() + 8);
    Ok(HistoryChunk::new(&chunk).value_after(block)?.map(<[u8]>::to_vec))
}

/// Gives slots that have none the next numbers. `sorted` is by key.
fn with_ids<'a>(
    txn: &Transaction<'_, RW, NoWriteMap>,
    workload: &Workload,
    sorted: &[&'a Change],
) -> Result<Vec<([u8; 5], &'a Change)>> {
    let table = txn.open_table(Some(IDS))?;
    let mut next = txn.table_stat(&table)?.entries() as u64;
    let flags = if next == 0 { WriteFlags::APPEND } else { WriteFlags::UPSERT };
    let mut cursor = txn.cursor(&table)?;
    let mut rows = Vec::with_capacity(sorted.len());
    for of_slot in sorted.chunk_by(|a, b| a.key == b.key) {
        let key = workload.key(of_slot[0]);
        let known = if flags == WriteFlags::APPEND { None } else { cursor.set::<[u8; 5]>(key)? };
        let id = match known {
            Some(id) => id,
            None => {
                let id: [u8; 5] = next.to_be_bytes()[3..].try_into()?;
                cursor.put(key, &id, flags)?;
                next += 1;
                id
            }
        };
        rows.extend(of_slot.iter().map(|change| (id, *change)));
    }
    Ok(rows)
}

/// Continues the open chunks of keys that come in order, as the History stage does.
struct ChunkWriter<'txn> {
    cursor: Cursor<'txn, RW>,
    table_end: Option<Vec<u8>>,
    flags: WriteFlags,
    prefix: Vec<u8>,
    chunk: HistoryChunkBuilder,
}

impl<'txn> ChunkWriter<'txn> {
    fn new(txn: &'txn Transaction<'_, RW, NoWriteMap>) -> Result<Self> {
        let mut cursor = txn.cursor(&txn.open_table(Some(HISTORY))?)?;
        let table_end = cursor.last::<Vec<u8>, ()>()?.map(|(key, ())| key);
        let (prefix, chunk) = (Vec::new(), HistoryChunkBuilder::default());
        Ok(Self { cursor, table_end, flags: WriteFlags::APPEND, prefix, chunk })
    }

    fn push(&mut self, prefix: &[u8], block: u64, value: &[u8]) -> Result<()> {
        if prefix != self.prefix {
            self.finish_key()?;
            self.begin_key(prefix)?;
        }
        if !self.chunk.try_push(block, value) {
            self.write(self.chunk.last_block())?;
            self.chunk.try_push(block, value);
        }
        Ok(())
    }

    fn begin_key(&mut self, prefix: &[u8]) -> Result<()> {
        self.prefix = prefix.to_vec();
        let open = chunk_key(prefix, OPEN);
        if self.table_end.as_ref().is_none_or(|end| *end < open) {
            self.flags = WriteFlags::APPEND;
            return Ok(());
        }
        self.flags = WriteFlags::UPSERT;
        if let Some(stored) = self.cursor.set::<Vec<u8>>(&open)? {
            self.chunk = HistoryChunkBuilder::reopen(HistoryChunk::new(&stored))?;
        }
        Ok(())
    }

    fn finish_key(&mut self) -> Result<()> {
        if self.chunk.is_empty() { Ok(()) } else { self.write(OPEN) }
    }

    fn write(&mut self, last_block: u64) -> Result<()> {
        let chunk = self.chunk.take();
        self.cursor.put(&chunk_key(&self.prefix, last_block), &chunk, self.flags)?;
        Ok(())
    }
}
