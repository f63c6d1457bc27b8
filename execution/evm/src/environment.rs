//! A block's place among the forks, in the form that alloy-evm asks for.

use alloy_consensus::Header;
use alloy_evm::{EvmEnv, eth::spec::EthExecutorSpec};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U256};
use portico_chainspec::{AmsterdamRules, BlockContext, ChainSpec, Fork};

use crate::bal_devnet4;

/// The rules of one block.
///
/// alloy-evm asks by number and time, we know the block's context, so each fork is told as active always or never.
#[derive(Debug, Clone, Copy)]
pub struct BlockRules<'a> {
    spec: &'a ChainSpec,
    block: BlockContext,
    /// Whether the chain pays block rewards; told to alloy-evm as "before Paris".
    pays_rewards: bool,
    /// Whether the chain asks builders' contracts for requests (EIP-8282); told to the executor as Amsterdam.
    asks_builders: bool,
}

impl<'a> BlockRules<'a> {
    /// The rules of `block`.
    pub fn new(spec: &'a ChainSpec, block: BlockContext) -> Self {
        Self { spec, block, pays_rewards: true, asks_builders: true }
    }

    /// The same rules for an executor that pays no block rewards, merged or not.
    pub fn without_rewards(self) -> Self {
        Self { pays_rewards: false, ..self }
    }

    /// The same rules for an executor that makes no system calls for builders' requests.
    pub(crate) fn without_builder_requests(self) -> Self {
        Self { asks_builders: false, ..self }
    }

    /// What the block's fork means, where that depends on the chain; final for all blocks before Amsterdam.
    pub fn amsterdam_rules(&self) -> AmsterdamRules {
        if self.fork() >= Fork::Amsterdam { self.spec.amsterdam_rules() } else { AmsterdamRules::Final }
    }

    /// The newest active fork.
    pub fn fork(&self) -> Fork {
        self.spec.fork_at(self.block)
    }

    /// The chain.
    pub fn spec(&self) -> &'a ChainSpec {
        self.spec
    }

    /// The block's place.
    pub fn block(&self) -> BlockContext {
        self.block
    }
}

fn ours(fork: EthereumHardfork) -> Option<Fork> {
    Some(match fork {
        EthereumHardfork::Frontier => Fork::Frontier,
        EthereumHardfork::Homestead => Fork::Homestead,
        EthereumHardfork::Tangerine => Fork::TangerineWhistle,
        EthereumHardfork::SpuriousDragon => Fork::SpuriousDragon,
        EthereumHardfork::Byzantium => Fork::Byzantium,
        EthereumHardfork::Constantinople => Fork::Constantinople,
        // The interpreter has no Constantinople: it is Petersburg with other storage costs, see `constantinople`.
        EthereumHardfork::Petersburg => Fork::Constantinople,
        EthereumHardfork::Istanbul => Fork::Istanbul,
        EthereumHardfork::MuirGlacier => Fork::MuirGlacier,
        EthereumHardfork::Berlin => Fork::Berlin,
        EthereumHardfork::London => Fork::London,
        EthereumHardfork::ArrowGlacier => Fork::ArrowGlacier,
        EthereumHardfork::GrayGlacier => Fork::GrayGlacier,
        EthereumHardfork::Paris => Fork::Paris,
        EthereumHardfork::Shanghai => Fork::Shanghai,
        EthereumHardfork::Cancun => Fork::Cancun,
        EthereumHardfork::Prague => Fork::Prague,
        EthereumHardfork::Osaka => Fork::Osaka,
        EthereumHardfork::Bpo1 => Fork::Bpo1,
        EthereumHardfork::Bpo2 => Fork::Bpo2,
        EthereumHardfork::Bpo3 => Fork::Bpo3,
        EthereumHardfork::Bpo4 => Fork::Bpo4,
        EthereumHardfork::Bpo5 => Fork::Bpo5,
        EthereumHardfork::Amsterdam => Fork::Amsterdam,
        _ => return None,
    })
}

impl EthereumHardforks for BlockRules<'_> {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        // The DAO's balances are moved by us: before the transactions, not after them.
        if fork == EthereumHardfork::Dao {
            return ForkCondition::Never;
        }
        if fork == EthereumHardfork::Amsterdam && !self.asks_builders {
            return ForkCondition::Never;
        }
        if fork == EthereumHardfork::Paris {
            let merged = self.block.merged || !self.pays_rewards;
            let activation_block_number = if merged { 0 } else { u64::MAX };
            return ForkCondition::TTD {
                activation_block_number,
                fork_block: None,
                total_difficulty: U256::ZERO,
            };
        }
        match ours(fork) {
            Some(fork) if self.spec.is_active(fork, self.block) => {
                if fork >= Fork::Shanghai {
                    ForkCondition::Timestamp(0)
                } else {
                    ForkCondition::Block(0)
                }
            }
            _ => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for BlockRules<'_> {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.spec.deposit_contract()
    }
}

/// What the interpreter must know about a block.
pub fn block_environment(rules: BlockRules<'_>, header: &Header, beneficiary: Address) -> EvmEnv {
    // Whether rewards are paid, and builders asked, is told as other forks: the executor's business alone.
    let rules = BlockRules { pays_rewards: true, asks_builders: true, ..rules };
    let blob_params = rules.spec.blob_params_at(header.timestamp);
    let mut environment = EvmEnv::for_eth_block(header, rules, rules.spec.chain_id(), blob_params);
    environment.block_env.beneficiary = beneficiary;
    if let Some(limit) = rules.spec.contract_size_limit() {
        environment.cfg_env.limit_contract_code_size = Some(limit as usize);
    }
    match rules.amsterdam_rules() {
        AmsterdamRules::Final => {}
        AmsterdamRules::BalDevnet4 => bal_devnet4::adjust(&mut environment),
    }
    environment
}
