//! Proof-of-work seals: the light side of ethash (yellow paper, appendix J).
//!
//! ```text
//!  epoch of 30,000 blocks ── seed ── cache (16 MiB and more) ── dataset items, computed where they are read
//!                                                                       │
//!  header without mix hash and nonce ── seal hash ──┐                   ▼
//!                                           nonce ──┴── 64 reads of 128 bytes ── mix hash, result
//! ```
//! A seal holds when the mix hash is the header's and the result is at most 2^256 / difficulty. A seal takes
//! milliseconds, a cache about half a second in the first epoch and a few seconds in mainnet's last (`benches/ethash.rs`),
//! so [`LightCaches`] keeps the latest ones.

mod cache;
mod epoch;
mod light_caches;

pub use cache::{Cache, Hashimoto};
pub use epoch::{EPOCH_BLOCKS, EPOCHS_MAX, Epoch};
pub use light_caches::LightCaches;

use crate::ConsensusError;
use alloy_consensus::Header;
use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::Encodable;
use portico_chainspec::{BlockContext, ChainSpec, EngineConfig};

/// Which proof-of-work seals a node verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerifyPow {
    /// Every one, those of ommers too.
    All,
    /// About one block in a hundred, which ones nobody can foresee, and the last of every batch; no ommers.
    ///
    /// Since the difficulty of every header is checked against the formula, this bounds how many blocks can be made up
    /// without mining them: a run of 500 passes once in 150 times, one of 1,000 once in 23,000 times, and the last
    /// block of a batch must have been mined at the chain's full difficulty. It does not show that each block was.
    Sample,
    /// None.
    None,
}

impl VerifyPow {
    /// What a node does unless it is told otherwise: a sample where blocks were really mined, and nothing on chains of
    /// one's own, whose blocks mostly carry made-up seals.
    pub fn default_for(spec: &ChainSpec) -> Self {
        if spec.has_mined_seals() { Self::Sample } else { Self::None }
    }
}

/// Whether a block must carry a proof-of-work seal: it is before the merge, on a chain whose difficulty is not fixed.
pub fn is_mined(spec: &ChainSpec, block: BlockContext) -> bool {
    let engine = spec.engine_at(block.number);
    !block.merged && matches!(engine, EngineConfig::Ethash { fixed_difficulty: None })
}

/// What was mined: keccak-256 of the header's RLP without mix hash and nonce.
///
/// Of the later fields only the base fee (EIP-1559) is in it: no other was there while blocks were mined.
pub fn seal_hash(header: &Header) -> B256 {
    let number = U256::from(header.number);
    let mut fields: Vec<&dyn Encodable> = vec![
        &header.parent_hash,
        &header.ommers_hash,
        &header.beneficiary,
        &header.state_root,
        &header.transactions_root,
        &header.receipts_root,
        &header.logs_bloom,
        &header.difficulty,
        &number,
        &header.gas_limit,
        &header.gas_used,
        &header.timestamp,
        &header.extra_data,
    ];
    if let Some(base_fee) = &header.base_fee_per_gas {
        fields.push(base_fee);
    }
    let mut rlp = Vec::with_capacity(600);
    alloy_rlp::encode_list::<_, dyn Encodable>(&fields, &mut rlp);
    keccak256(rlp)
}

/// Checks the seal of a header, given the cache of its epoch.
///
/// # Errors
/// [`ConsensusError::EthashDifficultyZero`], [`ConsensusError::EthashMixHash`], [`ConsensusError::EthashBoundary`].
///
/// # Panics
/// When the cache is of another epoch.
pub fn verify_seal(cache: &Cache, header: &Header) -> Result<(), ConsensusError> {
    assert_eq!(
        cache.epoch().number(),
        header.number / EPOCH_BLOCKS,
        "the cache is that of the block's epoch"
    );
    let boundary = boundary(header.difficulty).ok_or(ConsensusError::EthashDifficultyZero)?;
    let Hashimoto { mix_hash, result } = cache.hashimoto(seal_hash(header), header.nonce);
    if mix_hash != header.mix_hash {
        return Err(ConsensusError::EthashMixHash { expected: mix_hash, got: header.mix_hash });
    }
    if U256::from_be_bytes(result.0) > boundary {
        return Err(ConsensusError::EthashBoundary { difficulty: header.difficulty, result });
    }
    Ok(())
}

/// 2^256 / difficulty, the highest result that will do; `None` for difficulty 0. The one quotient that does not fit,
/// that of difficulty 1, is as good as the highest that does.
fn boundary(difficulty: U256) -> Option<U256> {
    let but_one = difficulty.wrapping_neg().checked_div(difficulty)?;
    Some(but_one.saturating_add(U256::ONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundary_is_the_quotient_of_two_to_the_256() {
        assert_eq!(boundary(U256::ZERO), None);
        assert_eq!(boundary(U256::ONE), Some(U256::MAX));
        assert_eq!(boundary(U256::from(2)), Some(U256::ONE << 255));
        assert_eq!(boundary(U256::from(3)), Some(U256::MAX / U256::from(3)));
        assert_eq!(boundary(U256::from(0x20000)), Some(U256::ONE << 239));
        assert_eq!(boundary(U256::ONE << 255), Some(U256::from(2)));
        assert_eq!(boundary(U256::MAX), Some(U256::ONE));
    }

    #[test]
    fn only_chains_that_were_mined_are_sampled() {
        for spec in [ChainSpec::mainnet(), ChainSpec::sepolia()] {
            assert_eq!(VerifyPow::default_for(&spec), VerifyPow::Sample, "{}", spec.name());
        }
        for spec in [ChainSpec::hoodi(), ChainSpec::dev()] {
            assert_eq!(VerifyPow::default_for(&spec), VerifyPow::None, "{}", spec.name());
        }
    }

    #[test]
    fn blocks_are_mined_until_the_merge() {
        let spec = ChainSpec::mainnet();
        let block = BlockContext { number: 15_537_393, timestamp: 1_663_224_162, merged: false };
        assert!(is_mined(&spec, block));
        assert!(!is_mined(&spec, BlockContext { merged: true, ..block }));
        let fixed = br#"{"config":{"chainId":7,"homesteadBlock":0,"ethash":{"fixeddifficulty":100}},
            "difficulty":"0x1","gasLimit":"0x1388","alloc":{}}"#;
        let fixed = ChainSpec::from_genesis_json(fixed).unwrap();
        assert!(!is_mined(&fixed, BlockContext { number: 1, timestamp: 1, merged: false }));
    }
}
