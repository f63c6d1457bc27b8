//! The compact form in which built-in allocations ship.
//!
//! One zstd frame over columns, integers little-endian, accounts ascending by address:
//! ```text
//! count u32 | address 20 B × count | balance length u8 × count | balance bytes, big-endian without leading zeros
//! extra count u32 | (account index u32, nonce u64, code length u32, slot count u32) × extra count
//! code bytes | (slot 32 B, value 32 B) × all slots
//! ```
//! Accounts with only a balance have no extra row. `examples/pack_genesis.rs` writes the files in `data/`.

use crate::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256};

/// Upper bound of the unpacked size, in bytes.
const UNPACKED_SIZE_MAX: usize = 16 << 20;

/// Unpacks an allocation, ascending by address.
///
/// # Panics
/// If the bytes are not a packed allocation; they are part of the binary.
pub(crate) fn unpack(packed: &[u8]) -> Vec<(Address, GenesisAccount)> {
    let columns = zstd::bulk::decompress(packed, UNPACKED_SIZE_MAX).expect("built-in data is a zstd frame");
    let mut columns = Reader(&columns);
    let count = columns.u32();
    let addresses = columns.take(count * 20);
    let balance_lengths = columns.take(count);
    let mut alloc: Vec<(Address, GenesisAccount)> = addresses
        .chunks_exact(20)
        .zip(balance_lengths)
        .map(|(address, &length)| {
            let balance = U256::from_be_slice(columns.take(usize::from(length)));
            (Address::from_slice(address), GenesisAccount::with_balance(balance))
        })
        .collect();
    unpack_extras(&mut columns, &mut alloc);
    assert!(columns.0.is_empty(), "built-in data ends with its last column");
    alloc
}

fn unpack_extras(columns: &mut Reader<'_>, alloc: &mut [(Address, GenesisAccount)]) {
    let extra_count = columns.u32();
    let mut rows = Reader(columns.take(extra_count * 20));
    let extras: Vec<_> = (0..extra_count).map(|_| (rows.u32(), rows.u64(), rows.u32(), rows.u32())).collect();
    for &(index, nonce, code_length, _) in &extras {
        let account = &mut alloc[index].1;
        account.nonce = nonce;
        account.code = Bytes::copy_from_slice(columns.take(code_length));
    }
    for &(index, _, _, slot_count) in &extras {
        let slots = columns.take(slot_count * 64).chunks_exact(64);
        alloc[index].1.storage =
            slots.map(|row| (B256::from_slice(&row[..32]), U256::from_be_slice(&row[32..]))).collect();
    }
}

/// Takes columns off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at_checked(length).expect("built-in data is complete");
        self.0 = tail;
        head
    }

    fn u32(&mut self) -> usize {
        u32::from_le_bytes(self.take(4).try_into().expect("four bytes taken")) as usize
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("eight bytes taken"))
    }
}
