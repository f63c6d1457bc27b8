//! What executing a block gave, against its header. The state root is the trie's business.

use crate::ConsensusError;
use alloy_consensus::{Eip658Value, EthereumReceipt, Header, ReceiptEnvelope, TxReceipt, proofs};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{B256, Bloom};
use portico_chainspec::{BlockContext, ChainSpec, Fork};

/// What the header commits to.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionResult<'a> {
    /// Gas used by the block. From Amsterdam on this is the larger of two sums and not the last receipt's (EIP-7778,
    /// EIP-8037).
    pub gas_used: u64,
    /// Receipts in order.
    pub receipts: &'a [EthereumReceipt],
    /// State root after each transaction, before Byzantium; `None`: the receipts root is not checked there.
    pub state_roots: Option<&'a [B256]>,
    /// Requests by type, from Prague on.
    pub requests: Option<&'a Requests>,
    /// Keccak-256 of the RLP of the block access list, from Amsterdam on.
    pub block_access_list_hash: Option<B256>,
}

/// Checks the outcome of executing a block.
///
/// Before Byzantium a receipt holds the state root after its transaction. Where those roots are not given, the
/// receipts root is not checked there; gas used and bloom are checked always.
///
/// # Errors
/// The first commitment that does not hold.
pub fn validate_execution(
    spec: &ChainSpec,
    block: BlockContext,
    header: &Header,
    result: ExecutionResult<'_>,
) -> Result<(), ConsensusError> {
    let fork = spec.fork_at(block);
    if result.gas_used != header.gas_used {
        return Err(ConsensusError::GasUsed { expected: header.gas_used, got: result.gas_used });
    }
    validate_receipts(fork, header, result)?;
    validate_requests(fork, header, result.requests)?;
    validate_block_access_list(fork, header, result.block_access_list_hash)
}

/// Checks that a block access list of so many items fits the block's gas limit (EIP-7928). Each account is an item,
/// and each of its slots, changed or read.
///
/// # Errors
/// [`ConsensusError::BlockAccessListTooLong`].
pub fn validate_block_access_list_length(gas_limit: u64, items: u64) -> Result<(), ConsensusError> {
    const ITEM_GAS: u64 = 2_000;
    let max = gas_limit / ITEM_GAS;
    if items > max { Err(ConsensusError::BlockAccessListTooLong { max, got: items }) } else { Ok(()) }
}

/// Root of the receipts' trie and the union of their blooms, as headers hold them from Byzantium on.
pub fn receipts_root_and_bloom(receipts: &[EthereumReceipt]) -> (B256, Bloom) {
    let with_bloom: Vec<_> = receipts.iter().map(TxReceipt::with_bloom_ref).collect();
    let bloom = with_bloom.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.logs_bloom);
    (proofs::calculate_receipt_root(&with_bloom), bloom)
}

/// Root of the receipts' trie as headers hold it before Byzantium; one state root for each receipt.
pub fn receipts_root_with_states(receipts: &[EthereumReceipt], state_roots: &[B256]) -> B256 {
    debug_assert_eq!(receipts.len(), state_roots.len(), "a state root for each receipt");
    let receipts: Vec<ReceiptEnvelope> = receipts
        .iter()
        .zip(state_roots)
        .map(|(receipt, root)| {
            let receipt = alloy_consensus::Receipt {
                status: Eip658Value::PostState(*root),
                cumulative_gas_used: receipt.cumulative_gas_used,
                logs: receipt.logs.clone(),
            };
            ReceiptEnvelope::Legacy(receipt.into_with_bloom())
        })
        .collect();
    proofs::calculate_receipt_root(&receipts)
}

fn validate_receipts(fork: Fork, header: &Header, result: ExecutionResult<'_>) -> Result<(), ConsensusError> {
    let (root, bloom) = receipts_root_and_bloom(result.receipts);
    let root = if fork >= Fork::Byzantium {
        Some(root)
    } else {
        result.state_roots.map(|state_roots| receipts_root_with_states(result.receipts, state_roots))
    };
    if let Some(got) = root.filter(|root| *root != header.receipts_root) {
        return Err(ConsensusError::ReceiptsRoot { expected: header.receipts_root, got });
    }
    if bloom != header.logs_bloom {
        let (expected, got) = (Box::new(header.logs_bloom), Box::new(bloom));
        return Err(ConsensusError::LogsBloom { expected, got });
    }
    Ok(())
}

fn validate_requests(fork: Fork, header: &Header, requests: Option<&Requests>) -> Result<(), ConsensusError> {
    if fork < Fork::Prague {
        return Ok(());
    }
    let Some(requests) = requests else {
        return Err(ConsensusError::OutcomeMissing { outcome: "requests", fork: Fork::Prague });
    };
    let Some(expected) = header.requests_hash else {
        return Err(ConsensusError::HeaderFieldMissing { field: "requests hash", fork: Fork::Prague });
    };
    let got = requests.requests_hash();
    if got != expected {
        return Err(ConsensusError::RequestsHash { expected, got });
    }
    Ok(())
}

fn validate_block_access_list(fork: Fork, header: &Header, hash: Option<B256>) -> Result<(), ConsensusError> {
    if fork < Fork::Amsterdam {
        return Ok(());
    }
    let fork = Fork::Amsterdam;
    let Some(got) = hash else {
        return Err(ConsensusError::OutcomeMissing { outcome: "block access list", fork });
    };
    let Some(expected) = header.block_access_list_hash else {
        return Err(ConsensusError::HeaderFieldMissing { field: "block access list hash", fork });
    };
    if got != expected {
        return Err(ConsensusError::BlockAccessListHash { expected, got });
    }
    Ok(())
}
