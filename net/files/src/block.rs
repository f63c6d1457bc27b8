//! One block as it stands in a file, and its strict decoding from RLP.
//!
//! ```text
//! block = [header, [tx ...], [ommer ...], [withdrawal ...]?]      .rlp
//! body  =         [[tx ...], [ommer ...], [withdrawal ...]?]      era1, ere; the header is a record of its own
//! ```

use crate::{
    error::{BlockDecodeError, BlockPart},
    receipts::FileReceipts,
};
use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};

/// A transaction as a block holds it: blob transactions without their sidecar.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// One block of a file.
#[derive(Clone, Debug)]
pub struct FileBlock {
    /// The header.
    pub header: Header,
    /// keccak256 of the header's RLP exactly as it stands in the file: the block hash, except on IBFT and QBFT chains,
    /// whose block hashes leave out the seals in the header.
    pub hash: B256,
    /// The transactions, in order. Their hashes are computed when first asked for.
    pub transactions: Vec<Transaction>,
    /// The ommers' headers.
    pub ommers: Vec<Header>,
    /// The withdrawals; `None` before Shanghai, where the body has no such list.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Length of the whole block's RLP, `[header, transactions, ommers, withdrawals?]`, for the limit of EIP-7934.
    pub rlp_length: usize,
    /// Total difficulty up to and including this block, where the file says it (era1, pre-merge ere). Not verified
    /// beyond the file's own accumulator.
    pub total_difficulty: Option<U256>,
    /// Root of the archive's accumulator that covers this block, where it has one (era1, ere for blocks before the
    /// merge). It was found to be the root of the blocks in the file; whether those are a chain's, it does not tell.
    pub accumulator: Option<B256>,
    /// The receipts, where the file has them and [`crate::ReadSettings::receipts`] asks for them.
    pub receipts: Option<FileReceipts>,
}

impl FileBlock {
    /// The block's number.
    pub fn number(&self) -> u64 {
        self.header.number
    }
}

/// Decodes one block from exactly its RLP, `[header, transactions, ommers, withdrawals?]`.
///
/// Strict: nothing may follow the block, blob transactions must be without sidecar, and the bytes must be the ones
/// that encoding the block gives.
///
/// # Errors
/// [`BlockDecodeError`], which names the part of the block.
pub fn decode_block_rlp(rlp: &[u8]) -> Result<FileBlock, BlockDecodeError> {
    BlockDecoder::default().block(rlp)
}

/// Decodes blocks, keeping its scratch space from one to the next.
#[derive(Debug, Default)]
pub(crate) struct BlockDecoder {
    /// Where items are encoded again to compare them with what was read.
    scratch: Vec<u8>,
}

impl BlockDecoder {
    /// Decodes `[header, transactions, ommers, withdrawals?]`.
    pub(crate) fn block(&mut self, rlp: &[u8]) -> Result<FileBlock, BlockDecodeError> {
        let mut rest = rlp;
        let mut fields = take_list(&mut rest, BlockPart::Block)?;
        expect_end(rest, BlockPart::Block)?;
        let (header, hash) = self.hashed_header(&mut fields)?;
        self.after_header(header, hash, fields, BlockPart::Block, rlp.len())
    }

    /// Decodes a header and a `[transactions, ommers, withdrawals?]` body.
    pub(crate) fn header_and_body(
        &mut self,
        header_rlp: &[u8],
        body_rlp: &[u8],
    ) -> Result<FileBlock, BlockDecodeError> {
        let mut rest = header_rlp;
        let (header, hash) = self.hashed_header(&mut rest)?;
        expect_end(rest, BlockPart::Header)?;
        let mut rest = body_rlp;
        let fields = take_list(&mut rest, BlockPart::Body)?;
        expect_end(rest, BlockPart::Body)?;
        let payload_length = header_rlp.len() + fields.len();
        let rlp_length = alloy_rlp::Header { list: true, payload_length }.length_with_payload();
        self.after_header(header, hash, fields, BlockPart::Body, rlp_length)
    }

    fn after_header(
        &mut self,
        header: Header,
        hash: B256,
        mut fields: &[u8],
        part: BlockPart,
        rlp_length: usize,
    ) -> Result<FileBlock, BlockDecodeError> {
        let transactions =
            self.list(&mut fields, BlockPart::Transactions, BlockPart::Transaction, TRANSACTION_BYTES)?;
        let ommers = self.list(&mut fields, BlockPart::Ommers, BlockPart::Ommer, HEADER_BYTES)?;
        let withdrawals = match fields {
            [] => None,
            _ => Some(self.list(
                &mut fields,
                BlockPart::Withdrawals,
                BlockPart::Withdrawal,
                WITHDRAWAL_BYTES,
            )?),
        };
        expect_end(fields, part)?;
        Ok(FileBlock {
            header,
            hash,
            transactions,
            ommers,
            withdrawals,
            rlp_length,
            total_difficulty: None,
            accumulator: None,
            receipts: None,
        })
    }

    fn hashed_header(&mut self, rest: &mut &[u8]) -> Result<(Header, B256), BlockDecodeError> {
        let start = *rest;
        let header = self.item(rest, BlockPart::Header)?;
        Ok((header, keccak256(&start[..start.len() - rest.len()])))
    }

    /// Decodes a list of items; `item_bytes` is what one typically takes, to guess their number.
    pub(crate) fn list<T: Decodable + Encodable>(
        &mut self,
        rest: &mut &[u8],
        list_part: BlockPart,
        item_part: impl Fn(usize) -> BlockPart,
        item_bytes: usize,
    ) -> Result<Vec<T>, BlockDecodeError> {
        let mut payload = take_list(rest, list_part)?;
        let mut items = Vec::with_capacity(payload.len() / item_bytes);
        while !payload.is_empty() {
            items.push(self.item(&mut payload, item_part(items.len()))?);
        }
        Ok(items)
    }

    /// Decodes one item and checks that it encodes back to the bytes it came from.
    fn item<T: Decodable + Encodable>(
        &mut self,
        rest: &mut &[u8],
        part: BlockPart,
    ) -> Result<T, BlockDecodeError> {
        let start = *rest;
        let item = T::decode(rest).map_err(|source| BlockDecodeError::Rlp { part, source })?;
        self.scratch.clear();
        item.encode(&mut self.scratch);
        match self.scratch == start[..start.len() - rest.len()] {
            true => Ok(item),
            false => Err(BlockDecodeError::NotCanonical { part }),
        }
    }
}

/// Typical sizes, of which real items are hardly ever much smaller in memory than in RLP.
const TRANSACTION_BYTES: usize = 256;
const HEADER_BYTES: usize = 500;
const WITHDRAWAL_BYTES: usize = 40;

/// Takes the list at the front of `rest` and returns its payload.
pub(crate) fn take_list<'a>(rest: &mut &'a [u8], part: BlockPart) -> Result<&'a [u8], BlockDecodeError> {
    alloy_rlp::Header::decode_bytes(rest, true).map_err(|source| BlockDecodeError::Rlp { part, source })
}

/// Refuses bytes after the end of `part`.
pub(crate) fn expect_end(rest: &[u8], part: BlockPart) -> Result<(), BlockDecodeError> {
    match rest.len() {
        0 => Ok(()),
        bytes => Err(BlockDecodeError::TrailingBytes { part, bytes }),
    }
}
