//! Local transactions on disk, so that they outlive a restart.
//!
//! One file of RLP items, each a transaction as sent (a legacy one as a list, any other as a string that holds its
//! EIP-2718 bytes): go-ethereum's form. It is appended to, and written anew when it has become much longer than what is
//! still in the pool.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_eips::eip2718::{Decodable2718, Encodable2718};

use crate::{NetworkTransaction, PoolTransaction, settings::BLOB_TRANSACTION_BYTES_MAX};

/// Longest item that is read, in bytes. Nothing longer is written.
const ITEM_BYTES_MAX: usize = BLOB_TRANSACTION_BYTES_MAX + 16;

/// Most items that are read: a file that has more was not written by us.
const ITEMS_MAX: usize = 1 << 20;

/// What a journal held.
#[derive(Debug, Default)]
pub struct Journaled {
    /// In the order in which they were written.
    pub transactions: Vec<NetworkTransaction>,
    /// Items that are no transactions.
    pub undecodable: usize,
    /// Whether the file ends, or turns to nonsense, within an item. What comes after that is lost.
    pub is_cut_off: bool,
}

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    items: usize,
    /// When it was written anew, in seconds.
    written_at: u64,
}

/// Reads a journal; one that does not exist is empty. A damaged one gives what comes before the damage.
pub(crate) fn read(path: &Path) -> io::Result<Journaled> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Journaled::default()),
        Err(error) => return Err(error),
    };
    read_journal(&mut BufReader::new(file))
}

/// Reads a journal's items until its end, or to where it is damaged.
///
/// # Errors
/// When it cannot be read.
pub fn read_journal(reader: &mut dyn Read) -> io::Result<Journaled> {
    let mut journaled = Journaled::default();
    loop {
        match read_item(reader)? {
            Item::Whole(item) => match NetworkTransaction::network_decode(&mut item.as_slice()) {
                Ok(transaction) => journaled.transactions.push(transaction),
                Err(_) => journaled.undecodable += 1,
            },
            Item::End => break,
            Item::Broken => {
                journaled.is_cut_off = true;
                break;
            }
        }
        if journaled.transactions.len() + journaled.undecodable >= ITEMS_MAX {
            journaled.is_cut_off = true;
            break;
        }
    }
    Ok(journaled)
}

enum Item {
    Whole(Vec<u8>),
    End,
    Broken,
}

/// Reads one RLP item with its header.
fn read_item(reader: &mut dyn Read) -> io::Result<Item> {
    let mut item = vec![0];
    if reader.read(&mut item)? == 0 {
        return Ok(Item::End);
    }
    let payload = match item[0] {
        0x80..=0xb7 => usize::from(item[0] - 0x80),
        0xc0..=0xf7 => usize::from(item[0] - 0xc0),
        first @ (0xb8..=0xbf | 0xf8..=0xff) => {
            let length_of_length = usize::from(if first >= 0xf8 { first - 0xf7 } else { first - 0xb7 });
            if !read_more(reader, &mut item, length_of_length)? {
                return Ok(Item::Broken);
            }
            let length = item[1..].iter().fold(0u64, |sum, byte| sum.saturating_mul(256) | u64::from(*byte));
            usize::try_from(length).unwrap_or(usize::MAX)
        }
        0x00..=0x7f => return Ok(Item::Broken),
    };
    let is_whole = payload <= ITEM_BYTES_MAX && read_more(reader, &mut item, payload)?;
    Ok(if is_whole { Item::Whole(item) } else { Item::Broken })
}

/// Appends `count` bytes; `false` when there are not as many.
fn read_more(reader: &mut dyn Read, item: &mut Vec<u8>, count: usize) -> io::Result<bool> {
    Ok(reader.take(count as u64).read_to_end(item)? == count)
}

impl Journal {
    /// Writes a file with exactly these transactions, in place of the one that is there, and leaves it open.
    pub fn write_anew(path: &Path, transactions: &[Arc<PoolTransaction>], now: u64) -> io::Result<Self> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let mut file = BufWriter::new(File::create(&beside)?);
        for transaction in transactions {
            file.write_all(&item(transaction))?;
        }
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&beside, path)?;
        let file = BufWriter::new(OpenOptions::new().append(true).open(path)?);
        Ok(Self { path: path.to_owned(), file, items: transactions.len(), written_at: now })
    }

    /// Adds a transaction.
    pub fn append(&mut self, transaction: &PoolTransaction) -> io::Result<()> {
        self.items += 1;
        self.file.write_all(&item(transaction))?;
        self.file.flush()
    }

    /// Whether it should be written anew, with `live` local transactions in the pool.
    pub fn is_stale(&self, live: usize, now: u64, rejournal_seconds: u64) -> bool {
        let grown = self.items > 2 * live + 1024;
        grown || (self.items > live && now.saturating_sub(self.written_at) >= rejournal_seconds)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn item(transaction: &PoolTransaction) -> Vec<u8> {
    let transaction = transaction.to_network();
    let mut bytes = Vec::with_capacity(transaction.network_len());
    transaction.network_encode(&mut bytes);
    bytes
}
