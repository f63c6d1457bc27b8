//! Proof of authority by EIP-225, as far as one header shows it.
//!
//! Extra data: 32 bytes of vanity, at checkpoints the list of signers (20 bytes each), 65 bytes of signature. Which
//! signers are authorised follows from the votes since the last checkpoint and is not checked here.

use crate::ConsensusError;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, crypto::secp256k1::recover_signer};
use alloy_primitives::{Address, B64, B256, Signature, U256};

/// Bytes before the signers in the extra data.
pub const VANITY_SIZE: usize = 32;
/// Bytes of the signature at the end of the extra data.
pub const SEAL_SIZE: usize = 65;

const NONCE_DROP: B64 = B64::ZERO;
const NONCE_AUTHORISE: B64 = B64::repeat_byte(0xff);

/// The account that sealed a block. Transaction fees go to it; there is no block reward.
///
/// # Errors
/// [`ConsensusError::CliqueExtraDataTooShort`], [`ConsensusError::CliqueSeal`].
pub fn recover_block_signer(header: &Header) -> Result<Address, ConsensusError> {
    let (_, seal) = split_seal(header)?;
    let signature = Signature::from_raw(seal).map_err(|_| ConsensusError::CliqueSeal)?;
    recover_signer(&signature, seal_hash(header)?).map_err(|_| ConsensusError::CliqueSeal)
}

/// The hash that the signer signs: the header's with the signature cut off the extra data.
///
/// # Errors
/// [`ConsensusError::CliqueExtraDataTooShort`].
pub fn seal_hash(header: &Header) -> Result<B256, ConsensusError> {
    let (unsealed, _) = split_seal(header)?;
    let unsealed = header.extra_data.slice_ref(unsealed);
    Ok(Header { extra_data: unsealed, ..header.clone() }.hash_slow())
}

/// The rules that need no knowledge of the signers.
pub(crate) fn validate_header(
    period: u64,
    epoch: u64,
    parent: &Header,
    header: &Header,
) -> Result<(), ConsensusError> {
    let checkpoint = header.number.is_multiple_of(epoch);
    validate_signers(checkpoint, header)?;
    if header.nonce != NONCE_DROP && header.nonce != NONCE_AUTHORISE {
        return Err(ConsensusError::CliqueNonce { got: header.nonce });
    }
    if checkpoint && (header.nonce != NONCE_DROP || header.beneficiary != Address::ZERO) {
        let (beneficiary, nonce) = (header.beneficiary, header.nonce);
        return Err(ConsensusError::CliqueCheckpointVote { beneficiary, nonce });
    }
    if header.mix_hash != B256::ZERO {
        return Err(ConsensusError::CliqueMixHash { got: header.mix_hash });
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(ConsensusError::OmmersHashNotEmpty { got: header.ommers_hash });
    }
    if header.difficulty != U256::ONE && header.difficulty != U256::from(2) {
        return Err(ConsensusError::CliqueDifficulty { got: header.difficulty });
    }
    if header.timestamp.saturating_sub(parent.timestamp) < period {
        let (parent, got) = (parent.timestamp, header.timestamp);
        return Err(ConsensusError::CliquePeriod { parent, period, got });
    }
    Ok(())
}

fn validate_signers(checkpoint: bool, header: &Header) -> Result<(), ConsensusError> {
    let (unsealed, _) = split_seal(header)?;
    let got = unsealed.len() - VANITY_SIZE;
    let well_formed = if checkpoint { got > 0 && got.is_multiple_of(20) } else { got == 0 };
    if well_formed { Ok(()) } else { Err(ConsensusError::CliqueSigners { checkpoint, got }) }
}

fn split_seal(header: &Header) -> Result<(&[u8], &[u8]), ConsensusError> {
    let got = header.extra_data.len();
    let min = VANITY_SIZE + SEAL_SIZE;
    if got < min {
        return Err(ConsensusError::CliqueExtraDataTooShort { min, got });
    }
    Ok(header.extra_data.split_at(got - SEAL_SIZE))
}
