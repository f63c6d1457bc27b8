//! Packs the allocation of a genesis JSON file into the columns that `src/packed.rs` reads.
//!
//! Usage: `cargo run -p portico-chainspec --example pack_genesis -- genesis.json packed.zst`

use portico_chainspec::{ChainSpec, GenesisAccount};
use std::{error::Error, io};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [json_path, packed_path] = arguments.as_slice() else {
        return Err("usage: pack_genesis <genesis.json> <packed.zst>".into());
    };
    let spec = ChainSpec::from_genesis_json(&std::fs::read(json_path)?)?;
    let packed = zstd::bulk::compress(&columns(&spec)?, 22)?;
    std::fs::write(packed_path, &packed)?;
    println!(
        "{packed_path}: {} bytes, genesis hash {}, state root {}",
        packed.len(),
        spec.genesis_hash(),
        spec.genesis_header().state_root
    );
    Ok(())
}

fn columns(spec: &ChainSpec) -> Result<Vec<u8>, io::Error> {
    let alloc = spec.genesis_alloc();
    let mut out = Vec::new();
    put_u32(&mut out, alloc.len())?;
    for (address, _) in alloc.iter() {
        out.extend_from_slice(address.as_slice());
    }
    for (_, account) in alloc.iter() {
        out.push(account.balance.byte_len() as u8);
    }
    for (_, account) in alloc.iter() {
        out.extend_from_slice(&account.balance.to_be_bytes_trimmed_vec());
    }
    let has_extra = |account: &GenesisAccount| {
        account.nonce != 0 || !account.code.is_empty() || !account.storage.is_empty()
    };
    let extras: Vec<(usize, &GenesisAccount)> = alloc
        .iter()
        .enumerate()
        .filter(|(_, (_, account))| has_extra(account))
        .map(|(index, (_, account))| (index, account))
        .collect();
    put_u32(&mut out, extras.len())?;
    for (index, account) in &extras {
        put_u32(&mut out, *index)?;
        out.extend_from_slice(&account.nonce.to_le_bytes());
        put_u32(&mut out, account.code.len())?;
        put_u32(&mut out, account.storage.len())?;
    }
    for (_, account) in &extras {
        out.extend_from_slice(&account.code);
    }
    for (slot, value) in extras.iter().flat_map(|(_, account)| &account.storage) {
        out.extend_from_slice(slot.as_slice());
        out.extend_from_slice(&value.to_be_bytes::<32>());
    }
    Ok(out)
}

fn put_u32(out: &mut Vec<u8>, value: usize) -> Result<(), io::Error> {
    let value = u32::try_from(value).map_err(io::Error::other)?;
    out.extend_from_slice(&value.to_le_bytes());
    Ok(())
}
