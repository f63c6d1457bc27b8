//! The headers of a witness, linked to the block.

use alloy_consensus::Header;
use alloy_primitives::{B256, U256, map::HashMap};
use portico_chainspec::ChainSpec;

use crate::{Witness, WitnessError};

/// The parent, and the hashes that headers give.
#[derive(Debug)]
pub(crate) struct Ancestors<'w> {
    pub parent: &'w Header,
    /// Hashes by block number: of each header's parent, and of the block's own.
    pub hashes: HashMap<u64, B256>,
}

impl<'w> Ancestors<'w> {
    /// Walks from `header` to its parent and on, as far as the witness has headers, which must be all on the way.
    pub fn link(header: &Header, witness: &'w Witness) -> Result<Self, WitnessError> {
        let mut known = witness.headers_by_hash();
        let hash = header.parent_hash;
        let parent = known.remove(&hash).ok_or(WitnessError::MissingParent { hash })?;
        let mut hashes = HashMap::default();
        let mut next = (header.number.checked_sub(1), hash);
        let mut walked = Some(parent);
        // A number that does not go down by one ends the walk: the parent's is refused with the block, and no valid
        // parent has ancestors with any other.
        while let (Some(number), hash) = next {
            hashes.insert(number, hash);
            let Some(ancestor) = walked.filter(|ancestor| ancestor.number == number) else { break };
            next = (number.checked_sub(1), ancestor.parent_hash);
            walked = known.remove(&ancestor.parent_hash);
        }
        match known.into_iter().next() {
            Some((hash, header)) => Err(WitnessError::ForeignHeader { number: header.number, hash }),
            None => Ok(Self { parent, hashes }),
        }
    }

    /// The parent's total difficulty, as far as it matters: whether it reached the terminal one.
    ///
    /// A child of genesis or of a merged parent leaves no choice. That the first block after a parent with proof of work
    /// may be merged cannot be seen from here: its own difficulty says so.
    pub fn total_difficulty(&self, spec: &ChainSpec, header: &Header) -> U256 {
        let own = self.parent.difficulty;
        if self.parent.number == 0 {
            return own;
        }
        let terminal = spec.terminal_total_difficulty();
        let claims_merged = own.is_zero() || header.difficulty.is_zero();
        match terminal {
            Some(terminal) if claims_merged => terminal,
            Some(terminal) => own.min(terminal.saturating_sub(U256::from(1))),
            None => own,
        }
    }
}
