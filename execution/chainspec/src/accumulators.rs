//! Accumulator roots of the public chains that were mined.
//!
//! An era1 archive ends with a root over the hashes and total difficulties of its 8,192 blocks. Blocks under a root
//! that is listed here are known to be the chain's, so that their proof of work need not be verified again. Only roots
//! that were computed from the blocks themselves belong here; to add one, write a line.

use crate::ChainSpec;
use alloy_primitives::{B256, b256};

/// A public chain whose blocks before the merge were really mined.
struct MinedChain {
    genesis_hash: B256,
    /// Another chain began with the same genesis block.
    chain_id: u64,
    /// By epoch, which is the first block's number divided by 8,192.
    accumulators: &'static [(u64, B256)],
}

const MINED_CHAINS: [MinedChain; 2] = [
    MinedChain {
        genesis_hash: b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"),
        chain_id: 1,
        accumulators: &[(0, b256!("5ec1ffb8c3b146f42606c74ced973dc16ec5a107c0345858c343fc94780b4218"))],
    },
    MinedChain {
        genesis_hash: b256!("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9"),
        chain_id: 11_155_111,
        accumulators: &[
            (0, b256!("643a00f78fd6a304a29c80b2f2f946e9e57494597600262b378b2754d34dff41")),
            (21, b256!("b8814b146889489efd392d80c7ca4e418d39302e25323a55882ca8cc0ef013e3")),
        ],
    },
];

impl ChainSpec {
    /// Whether this is a public chain whose blocks before the merge were really mined, by genesis block and chain id:
    /// mainnet or Sepolia, built in or from a file.
    pub fn has_mined_seals(&self) -> bool {
        self.mined_chain().is_some()
    }

    /// Whether `root` is the accumulator root of an era1 epoch that is known to be of this chain.
    pub fn knows_accumulator(&self, root: B256) -> bool {
        let accumulators = self.mined_chain().map_or(&[][..], |chain| chain.accumulators);
        accumulators.iter().any(|(_, known)| *known == root)
    }

    fn mined_chain(&self) -> Option<&'static MinedChain> {
        let is_this = |chain: &&MinedChain| {
            chain.genesis_hash == self.genesis_hash() && chain.chain_id == self.chain_id()
        };
        MINED_CHAINS.iter().find(is_this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mined_chains_are_told_by_their_genesis_block() {
        for (spec, mined) in [
            (ChainSpec::mainnet(), true),
            (ChainSpec::sepolia(), true),
            (ChainSpec::hoodi(), false),
            (ChainSpec::dev(), false),
        ] {
            assert_eq!(spec.has_mined_seals(), mined, "{}", spec.name());
        }
    }

    #[test]
    fn a_root_is_known_on_its_own_chain_only() {
        let [mainnet, sepolia] = &MINED_CHAINS;
        for (_, root) in mainnet.accumulators {
            assert!(ChainSpec::mainnet().knows_accumulator(*root));
            assert!(!ChainSpec::sepolia().knows_accumulator(*root));
        }
        for (_, root) in sepolia.accumulators {
            assert!(ChainSpec::sepolia().knows_accumulator(*root));
            assert!(!ChainSpec::mainnet().knows_accumulator(*root));
        }
        assert!(!ChainSpec::mainnet().knows_accumulator(B256::ZERO));
        assert!(!ChainSpec::dev().knows_accumulator(mainnet.accumulators[0].1));
    }
}
