//! Rewards of proof-of-work blocks.

use crate::Engine;
use alloy_consensus::Header;
use alloy_primitives::Address;
use portico_chainspec::Fork;

const ETHER: u128 = 1_000_000_000_000_000_000;

/// Reward in wei for sealing a block, without shares for ommers (EIP-649, EIP-1234); 0 from Paris on.
pub const fn block_reward(fork: Fork) -> u128 {
    match fork {
        Fork::Frontier | Fork::Homestead | Fork::TangerineWhistle | Fork::SpuriousDragon => 5 * ETHER,
        Fork::Byzantium => 3 * ETHER,
        Fork::Constantinople
        | Fork::Petersburg
        | Fork::Istanbul
        | Fork::MuirGlacier
        | Fork::Berlin
        | Fork::London
        | Fork::ArrowGlacier
        | Fork::GrayGlacier => 2 * ETHER,
        Fork::Paris
        | Fork::Shanghai
        | Fork::Cancun
        | Fork::Prague
        | Fork::Osaka
        | Fork::Bpo1
        | Fork::Bpo2
        | Fork::Bpo3
        | Fork::Bpo4
        | Fork::Bpo5
        | Fork::Amsterdam => 0,
    }
}

/// Who is rewarded for a block and with how much wei: the ommers' beneficiaries in order, then the block's. Addresses
/// may repeat; amounts add up. Empty for engines without rewards.
///
/// An ommer `n` generations back earns `(8 - n) / 8` of the reward, and the block one 32nd for each ommer.
pub fn block_rewards(engine: Engine, fork: Fork, header: &Header, ommers: &[Header]) -> Vec<(Address, u128)> {
    let reward = block_reward(fork);
    if engine != Engine::Ethash || reward == 0 {
        return Vec::new();
    }
    let mut rewards: Vec<(Address, u128)> = ommers
        .iter()
        .map(|ommer| {
            let generations = header.number.saturating_sub(ommer.number).min(8);
            (ommer.beneficiary, reward * u128::from(8 - generations) / 8)
        })
        .collect();
    rewards.push((header.beneficiary, reward + reward / 32 * ommers.len() as u128));
    rewards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_follow_forks_and_generations() {
        let at =
            |number, byte| Header { number, beneficiary: Address::repeat_byte(byte), ..Header::default() };
        let rewards = |fork| block_rewards(Engine::Ethash, fork, &at(100, 1), &[at(99, 2), at(94, 3)]);
        assert_eq!(
            rewards(Fork::Frontier),
            [
                (Address::repeat_byte(2), 4_375_000_000_000_000_000),
                (Address::repeat_byte(3), 1_250_000_000_000_000_000),
                (Address::repeat_byte(1), 5_312_500_000_000_000_000),
            ]
        );
        assert_eq!(rewards(Fork::Byzantium)[2].1, 3_187_500_000_000_000_000);
        assert_eq!(rewards(Fork::London)[2].1, 2_125_000_000_000_000_000);
        assert!(rewards(Fork::Shanghai).is_empty());
        let clique = Engine::Clique { period: 1, epoch: 1 };
        assert!(block_rewards(clique, Fork::Frontier, &at(1, 1), &[]).is_empty());
    }
}
