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

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers 1 to `count`, each the parent of the next, and their child.
    fn chain(count: u64) -> (Vec<Header>, Header) {
        let mut headers = Vec::new();
        let mut parent_hash = B256::repeat_byte(9);
        for number in 1..=count {
            headers.push(Header { number, parent_hash, ..Header::default() });
            parent_hash = headers.last().map(Header::hash_slow).unwrap();
        }
        (headers, Header { number: count + 1, parent_hash, ..Header::default() })
    }

    fn link(headers: Vec<Header>, header: &Header) -> Result<HashMap<u64, B256>, WitnessError> {
        let witness = Witness::new(headers, [], []).unwrap();
        Ancestors::link(header, &witness).map(|ancestors| ancestors.hashes)
    }

    #[test]
    fn each_header_gives_its_parents_hash_in_whatever_order() {
        let (mut headers, child) = chain(3);
        let mut expected: Vec<(u64, B256)> =
            headers.iter().map(|header| (header.number, header.hash_slow())).collect();
        expected.insert(0, (0, B256::repeat_byte(9)));
        for _ in 0..headers.len() {
            headers.rotate_left(1);
            let mut hashes: Vec<_> = link(headers.clone(), &child).unwrap().into_iter().collect();
            hashes.sort_unstable();
            assert_eq!(hashes, expected);
        }
    }

    #[test]
    fn a_gap_leaves_headers_that_are_no_ancestors() {
        let (mut headers, child) = chain(3);
        let first = headers[0].clone();
        headers.remove(1);
        let error = link(headers, &child).unwrap_err();
        assert_eq!(error, WitnessError::ForeignHeader { number: 1, hash: first.hash_slow() });
    }

    #[test]
    fn the_parent_must_be_there() {
        let (mut headers, child) = chain(3);
        headers.pop();
        assert_eq!(link(headers, &child), Err(WitnessError::MissingParent { hash: child.parent_hash }));
    }

    #[test]
    fn a_number_out_of_order_ends_the_walk() {
        let (mut headers, _) = chain(2);
        headers[1].number = 7;
        let child = Header { number: 3, parent_hash: headers[1].hash_slow(), ..Header::default() };
        let error = link(headers.clone(), &child).unwrap_err();
        assert!(matches!(error, WitnessError::ForeignHeader { number: 1, .. }), "{error}");
        let hashes = link(vec![headers.remove(1)], &child).unwrap();
        assert_eq!(hashes.into_iter().collect::<Vec<_>>(), [(2, child.parent_hash)]);
        assert!(link(Vec::new(), &Header::default()).is_err(), "genesis has no parent");
    }

    #[test]
    fn only_the_first_merged_block_says_itself_that_it_is_merged() {
        let spec = ChainSpec::mainnet();
        let terminal = spec.terminal_total_difficulty().unwrap();
        let total = |parent: u64, own: u64| {
            let parent = Header { number: 9, difficulty: U256::from(parent), ..Header::default() };
            let header = Header { number: 10, difficulty: U256::from(own), ..Header::default() };
            Ancestors { parent: &parent, hashes: HashMap::default() }.total_difficulty(&spec, &header)
        };
        assert_eq!(total(0, 0), terminal);
        assert_eq!(total(0, 5), terminal, "proof of work after the merge is refused");
        assert_eq!(total(5, 0), terminal);
        assert!(total(5, 5) < terminal);
    }
}
