//! A decoded block against the JSON form that fixtures give beside the RLP: a fixture that contradicts itself tests
//! something else than it says.

use alloy_consensus::Header;
use alloy_primitives::{B256, U256, hex};
use portico_chain::BlockParts;
use serde_json::{Map, Value};

use crate::Difference;

/// A header field in JSON: numbers with any leading zeros, everything else byte by byte.
enum Field<'a> {
    Number(U256),
    Bytes(&'a [u8]),
}

/// The fields of a header by the names that fixtures use; `None` for those that the header's fork does not have.
fn fields<'a>(header: &'a Header, hash: &'a B256) -> [(&'static str, Option<Field<'a>>); 24] {
    let bytes = |bytes: &'a [u8]| Some(Field::Bytes(bytes));
    let number = |number: u64| Some(Field::Number(U256::from(number)));
    let root = |root: &'a Option<B256>| root.as_ref().map(|root| Field::Bytes(root.as_slice()));
    [
        ("parentHash", bytes(header.parent_hash.as_slice())),
        ("uncleHash", bytes(header.ommers_hash.as_slice())),
        ("coinbase", bytes(header.beneficiary.as_slice())),
        ("stateRoot", bytes(header.state_root.as_slice())),
        ("transactionsTrie", bytes(header.transactions_root.as_slice())),
        ("receiptTrie", bytes(header.receipts_root.as_slice())),
        ("bloom", bytes(header.logs_bloom.as_slice())),
        ("difficulty", Some(Field::Number(header.difficulty))),
        ("number", number(header.number)),
        ("gasLimit", number(header.gas_limit)),
        ("gasUsed", number(header.gas_used)),
        ("timestamp", number(header.timestamp)),
        ("extraData", bytes(&header.extra_data)),
        ("mixHash", bytes(header.mix_hash.as_slice())),
        ("nonce", bytes(header.nonce.as_slice())),
        ("baseFeePerGas", header.base_fee_per_gas.and_then(number)),
        ("withdrawalsRoot", root(&header.withdrawals_root)),
        ("blobGasUsed", header.blob_gas_used.and_then(number)),
        ("excessBlobGas", header.excess_blob_gas.and_then(number)),
        ("parentBeaconBlockRoot", root(&header.parent_beacon_block_root)),
        ("requestsHash", root(&header.requests_hash)),
        ("blockAccessListHash", root(&header.block_access_list_hash)),
        ("slotNumber", header.slot_number.and_then(number)),
        ("hash", bytes(hash.as_slice())),
    ]
}

impl Field<'_> {
    fn is_written_as(&self, json: &Value) -> bool {
        let Some(text) = json.as_str() else {
            return matches!(self, Self::Number(number) if json.as_u64().is_some_and(|json| *number == U256::from(json)));
        };
        let digits = text.strip_prefix("0x").unwrap_or(text);
        match self {
            Self::Number(number) if digits.is_empty() => number.is_zero(),
            Self::Number(number) => U256::from_str_radix(digits, 16).is_ok_and(|json| json == *number),
            Self::Bytes(bytes) => hex::decode(digits).is_ok_and(|json| json == *bytes),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Number(number) => format!("{number:#x}"),
            Self::Bytes(bytes) => hex::encode_prefixed(bytes),
        }
    }
}

/// The first field of `json` that is not the header's. Fields that `json` does not have are not compared.
pub(crate) fn header_difference(
    what: &str,
    json: &Map<String, Value>,
    header: &Header,
    hash: B256,
) -> Option<Difference> {
    difference_with(what, json, header, hash, Absent::Differs)
}

/// What it means that a header lacks a field that its JSON form has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Differs,
    /// Of a header that leaves out a field before it, RLP cannot tell: each field stands in the place of another.
    Slid,
}

fn difference_with(
    what: &str,
    json: &Map<String, Value>,
    header: &Header,
    hash: B256,
    absent: Absent,
) -> Option<Difference> {
    let fields = fields(header, &hash);
    let differing = fields.iter().find_map(|(name, field)| {
        let json = json.get(*name)?;
        let agrees = field.as_ref().map_or(absent == Absent::Slid, |field| field.is_written_as(json));
        (!agrees).then(|| (name, json, field.as_ref().map_or("no such field".to_owned(), Field::text)))
    });
    let (name, json, got) = differing?;
    let json = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    Some(Difference::new(format!("{what}: {name} in JSON and in RLP"), json, got))
}

/// The first thing in the JSON form of a block (`blockHeader`, `uncleHeaders`, and how many transactions and
/// withdrawals there are) that is not the decoded block's; `is_refused` for a block that must not be accepted.
pub(crate) fn block_difference(
    what: &str,
    json: &Map<String, Value>,
    block: &BlockParts,
    is_refused: bool,
) -> Option<Difference> {
    let absent = if is_refused { Absent::Slid } else { Absent::Differs };
    let header = json.get("blockHeader").and_then(Value::as_object);
    let of_header = header.and_then(|json| difference_with(what, json, &block.header, block.hash, absent));
    of_header.or_else(|| list_difference(what, json, block))
}

fn list_difference(what: &str, json: &Map<String, Value>, block: &BlockParts) -> Option<Difference> {
    let lengths = [
        ("transactions", block.transactions.len()),
        ("uncleHeaders", block.ommers.len()),
        ("withdrawals", block.withdrawals.as_ref().map_or(0, Vec::len)),
    ];
    for (name, len) in lengths {
        let Some(list) = json.get(name).and_then(Value::as_array) else { continue };
        if list.len() != len {
            let what = format!("{what}: how many {name} in JSON and in RLP");
            return Some(Difference::new(what, list.len(), len));
        }
    }
    let ommers = json.get("uncleHeaders").and_then(Value::as_array)?;
    ommers.iter().zip(&block.ommers).find_map(|(json, ommer)| {
        let what = format!("{what}: ommer");
        header_difference(&what, json.as_object()?, ommer, ommer.hash_slow())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_json(header: &Header) -> Map<String, Value> {
        let hash = header.hash_slow();
        let fields = fields(header, &hash);
        let present = fields.iter().filter_map(|(name, field)| Some((name, field.as_ref()?)));
        present.map(|(name, field)| ((*name).to_owned(), Value::from(field.text()))).collect()
    }

    #[test]
    fn a_field_that_differs_is_named_with_both_values() {
        let header = Header { gas_used: 21_000, base_fee_per_gas: Some(7), ..Header::default() };
        let hash = header.hash_slow();
        let json = header_json(&header);
        assert_eq!(header_difference("block 0", &json, &header, hash), None);
        for (name, field) in fields(&header, &hash) {
            if field.is_none() {
                continue;
            }
            let mut changed = json.clone();
            let bytes = json[name].as_str().map_or(0, |text| text.len() / 2 - 1);
            changed[name] = format!("0x{}", "01".repeat(bytes.max(1))).into();
            let difference = header_difference("block 0", &changed, &header, hash);
            let what = difference.map(|difference| difference.what);
            assert_eq!(what, Some(format!("block 0: {name} in JSON and in RLP")));
        }
    }

    #[test]
    fn numbers_may_have_leading_zeros_and_hashes_may_not() {
        let header = Header { number: 16, ..Header::default() };
        let differs = |name: &str, value: Value| {
            let json = Map::from_iter([(name.to_owned(), value)]);
            header_difference("block", &json, &header, B256::ZERO).is_some()
        };
        assert!(!differs("number", "0x0010".into()));
        assert!(!differs("number", 16.into()));
        assert!(!differs("gasUsed", "0x".into()));
        assert!(differs("number", "0x0011".into()));
        assert!(differs("number", Value::Null));
        assert!(differs("hash", "0x00".into()));
        assert!(differs("slotNumber", "0x00".into()), "a field that the header does not have");
    }
}
