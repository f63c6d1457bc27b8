//! RLP, by the primitives with which blocks and transactions are read.

use alloy_primitives::{Bytes, U512};
use alloy_rlp::{Decodable, Encodable, Header};
use portico_files::decode_block_rlp;
use serde_json::Value;

use crate::{Tally, bytes, same};

/// Any RLP item.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    String(Vec<u8>),
    List(Vec<Item>),
}

impl Item {
    fn decode(from: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let header = Header::decode(from)?;
        let (mut payload, rest) =
            from.split_at_checked(header.payload_length).ok_or(alloy_rlp::Error::InputTooShort)?;
        *from = rest;
        if !header.list {
            return Ok(Self::String(payload.to_vec()));
        }
        let mut items = Vec::new();
        while !payload.is_empty() {
            items.push(Self::decode(&mut payload)?);
        }
        Ok(Self::List(items))
    }

    fn decode_whole(mut rlp: &[u8]) -> alloy_rlp::Result<Self> {
        let item = Self::decode(&mut rlp)?;
        if rlp.is_empty() { Ok(item) } else { Err(alloy_rlp::Error::UnexpectedLength) }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(bytes) => bytes.as_slice().encode(out),
            Self::List(items) => {
                let mut payload = Vec::new();
                items.iter().for_each(|item| item.encode(&mut payload));
                Header { list: true, payload_length: payload.len() }.encode(out);
                out.extend(payload);
            }
        }
    }

    fn of_json(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::of_json).collect()),
            Value::Number(number) => Self::of_number(U512::from(number.as_u64().expect("a whole number"))),
            Value::String(text) => match text.strip_prefix('#') {
                Some(number) => Self::of_number(number.parse().expect("a decimal number")),
                None => Self::String(text.as_bytes().to_vec()),
            },
            other => panic!("{other} is no item"),
        }
    }

    fn of_number(number: U512) -> Self {
        Self::String(number.to_be_bytes_trimmed_vec())
    }
}

pub fn run(tally: &mut Tally, cases: &Value) {
    for (name, case) in cases.as_object().expect("cases by name") {
        tally.case(name, || {
            let rlp = bytes(&case["out"])?;
            match case["in"].as_str() {
                Some("INVALID") => must_be_refused(&rlp),
                Some("VALID") => decodes(&rlp).map(|_| ()),
                _ => same("decoded", &Item::of_json(&case["in"]), &decodes(&rlp)?),
            }
        });
    }
}

/// Decodes an item and encodes it to the same bytes.
fn decodes(rlp: &[u8]) -> Result<Item, String> {
    let item = Item::decode_whole(rlp).map_err(|error| error.to_string())?;
    let mut again = Vec::new();
    item.encode(&mut again);
    same("encoded", &rlp, &again.as_slice())?;
    Ok(item)
}

fn must_be_refused(rlp: &[u8]) -> Result<(), String> {
    if let Ok(item) = Item::decode_whole(rlp) {
        return Err(format!("taken as {item:?}"));
    }
    let whole =
        |rest: &[u8], what: &str| if rest.is_empty() { Err(format!("taken as {what}")) } else { Ok(()) };
    let mut rest = rlp;
    if Bytes::decode(&mut rest).is_ok() {
        whole(rest, "a string")?;
    }
    let mut rest = rlp;
    if Vec::<Bytes>::decode(&mut rest).is_ok() {
        whole(rest, "a list of strings")?;
    }
    match decode_block_rlp(rlp) {
        Ok(_) => Err("taken as a block".to_owned()),
        Err(_) => Ok(()),
    }
}
