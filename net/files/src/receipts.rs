//! Receipts as archives hold them: undecoded until somebody wants to check them.

use crate::{
    block::{BlockDecoder, expect_end},
    error::{BlockDecodeError, BlockPart},
};
use alloy_consensus::{
    Eip658Value, Receipt, ReceiptEnvelope, TxReceipt, TxType, Typed2718, proofs::calculate_receipt_root,
};
use alloy_primitives::{B256, Bytes, Log};
use alloy_rlp::{BufMut, Decodable, Encodable};

/// How receipts are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptsEncoding {
    /// As on the wire and in the receipts trie, blooms included (era1).
    Consensus,
    /// `[type, status or root, cumulative gas, logs]` without bloom (ere).
    Slim,
}

/// A block's receipts as they stand in the file: one RLP list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReceipts {
    /// How they are encoded.
    pub encoding: ReceiptsEncoding,
    /// The RLP list.
    pub rlp: Bytes,
}

impl FileReceipts {
    /// Decodes the receipts; missing blooms are computed.
    ///
    /// # Errors
    /// [`BlockDecodeError`] if they are not what encoding them would give.
    pub fn decode(&self) -> Result<Vec<ReceiptEnvelope>, BlockDecodeError> {
        let mut rest: &[u8] = &self.rlp;
        let mut decoder = BlockDecoder::default();
        let receipts = match self.encoding {
            ReceiptsEncoding::Consensus => {
                decoder.list(&mut rest, BlockPart::Receipts, BlockPart::Receipt, RECEIPT_BYTES)?
            }
            ReceiptsEncoding::Slim => decoder
                .list::<SlimReceipt>(&mut rest, BlockPart::Receipts, BlockPart::Receipt, RECEIPT_BYTES)?
                .into_iter()
                .map(|slim| ReceiptEnvelope::from_typed(slim.tx_type, slim.receipt))
                .collect(),
        };
        expect_end(rest, BlockPart::Receipts)?;
        Ok(receipts)
    }

    /// The root of the receipts trie, to compare with the header's `receipts_root`.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn root(&self) -> Result<B256, BlockDecodeError> {
        Ok(calculate_receipt_root(&self.decode()?))
    }
}

/// What a receipt typically takes.
const RECEIPT_BYTES: usize = 300;

/// A receipt of an ere file.
struct SlimReceipt {
    tx_type: TxType,
    receipt: Receipt,
}

impl Encodable for SlimReceipt {
    fn encode(&self, out: &mut dyn BufMut) {
        let Receipt { status, cumulative_gas_used, logs } = &self.receipt;
        encode_slim(self.tx_type as u8, *status, *cumulative_gas_used, logs, out);
    }
}

impl Decodable for SlimReceipt {
    fn decode(rest: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut fields = alloy_rlp::Header::decode_bytes(rest, true)?;
        let tx_type = u8::decode(&mut fields)?;
        let tx_type =
            TxType::try_from(tx_type).map_err(|_| alloy_rlp::Error::Custom("unknown transaction type"))?;
        let receipt = Receipt {
            status: Eip658Value::decode(&mut fields)?,
            cumulative_gas_used: u64::decode(&mut fields)?,
            logs: Vec::<Log>::decode(&mut fields)?,
        };
        match fields {
            [] => Ok(Self { tx_type, receipt }),
            _ => Err(alloy_rlp::Error::UnexpectedLength),
        }
    }
}

/// Encodes receipts as `encoding` asks, as one RLP list.
pub(crate) fn encode_receipts(receipts: &[ReceiptEnvelope], encoding: ReceiptsEncoding, out: &mut Vec<u8>) {
    match encoding {
        ReceiptsEncoding::Consensus => alloy_rlp::encode_list(receipts, out),
        ReceiptsEncoding::Slim => {
            let mut payload = Vec::new();
            for receipt in receipts {
                let status = receipt.status_or_post_state();
                encode_slim(
                    receipt.ty(),
                    status,
                    receipt.cumulative_gas_used(),
                    receipt.logs(),
                    &mut payload,
                );
            }
            alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(out);
            out.extend_from_slice(&payload);
        }
    }
}

fn encode_slim(tx_type: u8, status: Eip658Value, cumulative_gas: u64, logs: &[Log], out: &mut dyn BufMut) {
    let payload_length =
        tx_type.length() + status.length() + cumulative_gas.length() + alloy_rlp::list_length(logs);
    alloy_rlp::Header { list: true, payload_length }.encode(out);
    tx_type.encode(out);
    status.encode(out);
    cumulative_gas.encode(out);
    alloy_rlp::encode_list(logs, out);
}
