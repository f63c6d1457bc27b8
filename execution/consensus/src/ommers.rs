//! The ommers of a proof-of-work block.

use crate::{ConsensusError, HeaderChecks, Parent, header::validate_header_with};
use alloy_consensus::Header;
use alloy_primitives::{B256, U256};
use portico_chainspec::ChainSpec;

/// Most ommers in one block.
pub const OMMERS_MAX: usize = 2;
/// How many generations of ancestors are looked at: an ommer's parent is the block's grandparent or up to five
/// generations older.
pub const OMMER_GENERATIONS_MAX: usize = 7;

/// One of the blocks before the one that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Ancestor<'a> {
    /// Its hash.
    pub hash: B256,
    /// Its header.
    pub header: &'a Header,
    /// Hashes of its ommers.
    pub ommer_hashes: &'a [B256],
}

/// Checks the ommers of a proof-of-work block.
///
/// `ancestors` are the blocks before it, the parent first: [`OMMER_GENERATIONS_MAX`] of them, or all down to genesis
/// if there are fewer. More are ignored.
///
/// # Errors
/// The first rule that is broken.
pub fn validate_ommers(
    spec: &ChainSpec,
    ommers: &[Header],
    ancestors: &[Ancestor<'_>],
) -> Result<(), ConsensusError> {
    validate_ommers_with(HeaderChecks::default(), spec, ommers, ancestors)
}

/// As [`validate_ommers`], with some rules for the ommers' headers left out.
///
/// # Errors
/// The first rule that is broken.
pub fn validate_ommers_with(
    checks: HeaderChecks,
    spec: &ChainSpec,
    ommers: &[Header],
    ancestors: &[Ancestor<'_>],
) -> Result<(), ConsensusError> {
    if ommers.len() > OMMERS_MAX {
        return Err(ConsensusError::TooManyOmmers { max: OMMERS_MAX, got: ommers.len() });
    }
    let ancestors = &ancestors[..ancestors.len().min(OMMER_GENERATIONS_MAX)];
    let hashes: Vec<B256> = ommers.iter().map(Header::hash_slow).collect();
    for (index, (ommer, &hash)) in ommers.iter().zip(&hashes).enumerate() {
        if hashes[..index].contains(&hash) {
            return Err(ConsensusError::DuplicateOmmer { hash });
        }
        validate_ommer(checks, spec, ommer, hash, ancestors)?;
    }
    Ok(())
}

fn validate_ommer(
    checks: HeaderChecks,
    spec: &ChainSpec,
    ommer: &Header,
    hash: B256,
    ancestors: &[Ancestor<'_>],
) -> Result<(), ConsensusError> {
    if ancestors.iter().any(|ancestor| ancestor.ommer_hashes.contains(&hash)) {
        return Err(ConsensusError::OmmerAlreadyIncluded { hash });
    }
    if ancestors.iter().any(|ancestor| ancestor.hash == hash) {
        return Err(ConsensusError::OmmerIsAncestor { hash });
    }
    // A child of the parent would be the block's sibling.
    let Some(parent) = ancestors.iter().skip(1).find(|ancestor| ancestor.hash == ommer.parent_hash) else {
        return Err(ConsensusError::OmmerParentNotAncestor { hash, parent_hash: ommer.parent_hash });
    };
    // The block is not merged, so none of its ancestors is: their total difficulty does not matter here.
    let parent = Parent { header: parent.header, hash: parent.hash, total_difficulty: U256::ZERO };
    validate_header_with(checks, spec, parent, ommer)
        .map_err(|reason| ConsensusError::InvalidOmmer { hash, reason: Box::new(reason) })
}
