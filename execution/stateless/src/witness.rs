//! Witnesses as bytes and as JSON.
//!
//! ```text
//! RLP   [[header ...], [code ...], [node ...], [key ...]]                                go-ethereum's keeper
//! JSON  {"headers": [object or RLP ...], "codes": [...], "state": [...], "keys": [...]}   debug_executionWitness
//! ```
//! Headers come in any order. Keys say which addresses and slots were read; nothing depends on them.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256, map::B256Map};
use alloy_rlp::{Decodable, Encodable};
use portico_trie::TrieNodes;
use serde::Deserialize;

use crate::{WitnessError, WitnessPart};

/// Largest witness that is read, in bytes.
pub const WITNESS_BYTES_MAX: usize = 1 << 30;
/// Most headers: as far as `BLOCKHASH` reaches.
pub const WITNESS_HEADERS_MAX: usize = 256;

/// What executing a block reads.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    /// Headers of the parent and, where `BLOCKHASH` reaches further, of its ancestors.
    pub headers: Vec<Header>,
    /// Contract code by its hash.
    pub codes: B256Map<Bytes>,
    /// Nodes of the account trie and of storage tries.
    pub nodes: TrieNodes,
}

impl Witness {
    /// Decodes a witness from exactly its RLP.
    ///
    /// # Errors
    /// When a part is no list of what it should be, or a limit is passed.
    pub fn decode_rlp(rlp: &[u8]) -> Result<Self, WitnessError> {
        check_size(rlp)?;
        let mut rest = rlp;
        let mut parts = take_list(&mut rest, WitnessPart::Witness)?;
        expect_end(rest, WitnessPart::Witness)?;
        let mut headers = Vec::new();
        let mut list = take_list(&mut parts, WitnessPart::Headers)?;
        while !list.is_empty() {
            headers.push(take_header(&mut list)?);
        }
        let mut code_list = take_list(&mut parts, WitnessPart::Codes)?;
        let mut codes = Vec::new();
        while !code_list.is_empty() {
            codes.push(take_string(&mut code_list, WitnessPart::Codes)?);
        }
        let mut node_list = take_list(&mut parts, WitnessPart::State)?;
        let mut nodes = Vec::new();
        while !node_list.is_empty() {
            nodes.push(take_string(&mut node_list, WitnessPart::State)?);
        }
        let mut keys = take_list(&mut parts, WitnessPart::Keys)?;
        while !keys.is_empty() {
            take_string(&mut keys, WitnessPart::Keys)?;
        }
        expect_end(parts, WitnessPart::Witness)?;
        Self::new(headers, codes, nodes)
    }

    /// Decodes a witness from what `debug_executionWitness` answers: the `result`, not its envelope.
    ///
    /// # Errors
    /// When it is no such JSON, a header's RLP is malformed, or a limit is passed.
    pub fn decode_json(json: &[u8]) -> Result<Self, WitnessError> {
        check_size(json)?;
        let witness: JsonWitness =
            serde_json::from_slice(json).map_err(|error| WitnessError::Json { reason: error.to_string() })?;
        let headers = witness.headers.into_iter().map(JsonHeader::decode).collect::<Result<_, _>>()?;
        Self::new(headers, witness.codes.unwrap_or_default(), witness.state)
    }

    /// A witness of these headers, codes and nodes.
    ///
    /// # Errors
    /// When there are too many headers, or a node is longer than any can be.
    pub fn new(
        headers: Vec<Header>,
        codes: impl IntoIterator<Item = Bytes>,
        state: impl IntoIterator<Item = Bytes>,
    ) -> Result<Self, WitnessError> {
        if headers.len() > WITNESS_HEADERS_MAX {
            return Err(WitnessError::TooManyHeaders { max: WITNESS_HEADERS_MAX, got: headers.len() });
        }
        let codes = codes.into_iter().map(|code| (keccak256(&code), code)).collect();
        let mut nodes = TrieNodes::default();
        for rlp in state {
            nodes.insert(rlp).map_err(WitnessError::Node)?;
        }
        Ok(Self { headers, codes, nodes })
    }

    /// Headers by their hash.
    pub(crate) fn headers_by_hash(&self) -> B256Map<&Header> {
        self.headers.iter().map(|header| (header.hash_slow(), header)).collect::<B256Map<_>>()
    }

    /// Code by its hash.
    pub(crate) fn code(&self, code_hash: &B256) -> Option<&Bytes> {
        self.codes.get(code_hash)
    }
}

#[derive(Debug, Deserialize)]
struct JsonWitness {
    headers: Vec<JsonHeader>,
    codes: Option<Vec<Bytes>>,
    state: Vec<Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum JsonHeader {
    Rlp(Bytes),
    Object(Box<Header>),
}

impl JsonHeader {
    fn decode(self) -> Result<Header, WitnessError> {
        match self {
            Self::Object(header) => Ok(*header),
            Self::Rlp(rlp) => {
                let mut rest = rlp.as_ref();
                let header = take_header(&mut rest)?;
                expect_end(rest, WitnessPart::Headers)?;
                Ok(header)
            }
        }
    }
}

fn check_size(bytes: &[u8]) -> Result<(), WitnessError> {
    if bytes.len() > WITNESS_BYTES_MAX {
        return Err(WitnessError::TooLarge { max: WITNESS_BYTES_MAX, got: bytes.len() });
    }
    Ok(())
}

fn take_list<'a>(rest: &mut &'a [u8], part: WitnessPart) -> Result<&'a [u8], WitnessError> {
    alloy_rlp::Header::decode_bytes(rest, true).map_err(|source| WitnessError::Rlp { part, source })
}

fn take_string(rest: &mut &[u8], part: WitnessPart) -> Result<Bytes, WitnessError> {
    let string = alloy_rlp::Header::decode_bytes(rest, false);
    string.map(Bytes::copy_from_slice).map_err(|source| WitnessError::Rlp { part, source })
}

fn take_header(rest: &mut &[u8]) -> Result<Header, WitnessError> {
    let start = *rest;
    let part = WitnessPart::Headers;
    let header = Header::decode(rest).map_err(|source| WitnessError::Rlp { part, source })?;
    let mut encoded = Vec::with_capacity(header.length());
    header.encode(&mut encoded);
    if encoded != start[..start.len() - rest.len()] {
        return Err(WitnessError::NotCanonicalHeader { number: header.number });
    }
    Ok(header)
}

fn expect_end(rest: &[u8], part: WitnessPart) -> Result<(), WitnessError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(WitnessError::Rlp { part, source: alloy_rlp::Error::UnexpectedLength })
}
