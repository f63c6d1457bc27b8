//! Real blocks with total difficulties: mainnet 0..8191, Sepolia 0..8191 and 172032..180223.

mod support;

use alloy_consensus::{BlockBody, EthereumReceipt, EthereumTxEnvelope, Header, ReceiptWithBloom, TxEip4844};
use alloy_primitives::{B256, U256};
use alloy_rlp::Decodable;
use portico_chainspec::ChainSpec;
use portico_consensus::{
    Ancestor, BodyView, ExecutionResult, OMMER_GENERATIONS_MAX, Parent, ethash::LightCaches,
    total_difficulty, validate_body, validate_execution, validate_header, validate_ommers,
};
use std::io::Read;
use support::fixtures;

struct Entry {
    hash: B256,
    header: Header,
    body: BlockBody<EthereumTxEnvelope<TxEip4844>>,
    ommer_hashes: Vec<B256>,
    total_difficulty: U256,
    /// As recorded, in RLP.
    receipts: Vec<u8>,
}

fn entries(bytes: &[u8]) -> Vec<Entry> {
    let unsnap = |data: &[u8]| {
        let mut plain = Vec::new();
        snap::read::FrameDecoder::new(data).read_to_end(&mut plain).unwrap();
        plain
    };
    let (mut headers, mut bodies, mut receipts, mut totals) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[2..6].try_into().unwrap()) as usize;
        let (record, data) = (u16::from_le_bytes([rest[0], rest[1]]), &rest[8..8 + length]);
        match record {
            3 => headers.push(Header::decode(&mut unsnap(data).as_slice()).unwrap()),
            4 => bodies.push(BlockBody::decode(&mut unsnap(data).as_slice()).unwrap()),
            5 => receipts.push(unsnap(data)),
            6 => totals.push(U256::from_le_slice(data)),
            _ => {}
        }
        rest = &rest[8 + length..];
    }
    assert!(headers.len() == bodies.len() && bodies.len() == totals.len());
    headers
        .into_iter()
        .zip(bodies)
        .zip(totals)
        .zip(receipts)
        .map(|(((header, body), total_difficulty), receipts): (((Header, BlockBody<_>), _), _)| Entry {
            receipts,
            hash: header.hash_slow(),
            ommer_hashes: body.ommers.iter().map(Header::hash_slow).collect(),
            header,
            body,
            total_difficulty,
        })
        .collect()
}

/// Validates the blocks of an era file; the first block is given.
fn walk(spec: &ChainSpec, file: &str) -> Option<usize> {
    let bytes = std::fs::read(fixtures()?.join("real-chains").join(file)).unwrap();
    let entries = entries(&bytes);
    let mut ommers = 0;
    for index in 1..entries.len() {
        let (before, entry) = (&entries[index - 1], &entries[index]);
        let parent =
            Parent { header: &before.header, hash: before.hash, total_difficulty: before.total_difficulty };
        let header = &entry.header;
        let context = spec.block_context(header.number, header.timestamp, before.total_difficulty);
        let body = BodyView::from(&entry.body);
        let fail = |error| panic!("{file}, block {}: {error}", header.number);
        validate_header(spec, parent, header).unwrap_or_else(fail);
        validate_body(spec, context, header, body).unwrap_or_else(fail);
        // At the start of a file that does not begin with genesis, ancestors are missing.
        if index >= OMMER_GENERATIONS_MAX || entries[0].header.number == 0 {
            let ancestors: Vec<Ancestor<'_>> = entries[..index]
                .iter()
                .rev()
                .take(OMMER_GENERATIONS_MAX)
                .map(|entry| Ancestor {
                    hash: entry.hash,
                    header: &entry.header,
                    ommer_hashes: &entry.ommer_hashes,
                })
                .collect();
            validate_ommers(spec, body.ommers, &ancestors).unwrap_or_else(fail);
        }
        assert_eq!(total_difficulty(before.total_difficulty, header.difficulty), Ok(entry.total_difficulty));
        ommers += body.ommers.len();
    }
    assert_eq!(entries.len(), 8192);
    Some(ommers)
}

#[test]
fn mainnet_era_0_is_valid() {
    if let Some(ommers) = walk(&ChainSpec::mainnet(), "mainnet/mainnet-00000-5ec1ffb8.era1") {
        assert_eq!(ommers, 1410);
    }
}

#[test]
fn recorded_sepolia_receipts_fit_their_headers() {
    let Some(fixtures) = fixtures() else { return };
    let spec = ChainSpec::sepolia();
    let bytes = std::fs::read(fixtures.join("real-chains/sepolia/sepolia-00021-b8814b14.era1")).unwrap();
    let mut seen = 0;
    for Entry { header, total_difficulty, receipts, .. } in entries(&bytes) {
        let receipts = Vec::<ReceiptWithBloom<EthereumReceipt>>::decode(&mut receipts.as_slice()).unwrap();
        let receipts: Vec<_> = receipts.into_iter().map(|receipt| receipt.receipt).collect();
        let result = ExecutionResult {
            gas_used: receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used),
            receipts: &receipts,
            state_roots: None,
            requests: None,
            block_access_list_hash: None,
        };
        let block = spec.block_context(header.number, header.timestamp, total_difficulty);
        validate_execution(&spec, block, &header, result).unwrap();
        seen += receipts.len();
    }
    assert_eq!(seen, 93);
}

#[test]
fn sepolia_eras_are_valid() {
    walk(&ChainSpec::sepolia(), "sepolia/sepolia-00000-643a00f7.era1");
    walk(&ChainSpec::sepolia(), "sepolia/sepolia-00021-b8814b14.era1");
}

/// From the London blocks of Sepolia the base fee is sealed, too.
#[test]
fn one_seal_in_200_of_each_era_holds() {
    let Some(fixtures) = fixtures() else { return };
    let caches = LightCaches::default();
    let mut sealed = 0;
    for file in [
        "mainnet/mainnet-00000-5ec1ffb8.era1",
        "sepolia/sepolia-00000-643a00f7.era1",
        "sepolia/sepolia-00021-b8814b14.era1",
    ] {
        let bytes = std::fs::read(fixtures.join("real-chains").join(file)).unwrap();
        let entries = entries(&bytes);
        assert_eq!(entries[1].header.base_fee_per_gas.is_some(), file.starts_with("sepolia"), "{file}");
        for Entry { header, .. } in entries.iter().skip(1).step_by(200) {
            assert_eq!(caches.verify_seal(header), Ok(()), "{file}, block {}", header.number);
            sealed += 1;
        }
    }
    assert_eq!(sealed, 3 * 41);
}
