//! A chain state in memory: revm's block executor on a map, roots from scratch.

use alloy_consensus::transaction::Recovered;
use alloy_eips::eip4895::Withdrawal;
use alloy_evm::{
    EthEvmFactory, EvmEnv, EvmFactory,
    block::{BlockExecutionError, BlockExecutor, BlockExecutorFactory, BlockValidationError},
    eth::{
        EthBlockExecutionCtx, EthBlockExecutorFactory, receipt_builder::AlloyReceiptBuilder,
        spec::EthExecutorSpec,
    },
};
use alloy_genesis::Genesis;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, B256, U256};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use portico_generator::{
    ChainState, ExecutedBlock, Fork, ForkSchedule, GeneratorConfig, HeaderTemplate, Transaction,
};
use revm::{
    context::BlockEnv,
    context_interface::block::BlobExcessGasAndPrice,
    database::{DbAccount, InMemoryDB},
    state::{AccountInfo, Bytecode},
};
use std::error::Error;

/// The state, and the rules that it is changed by.
#[derive(Debug)]
pub struct InMemoryState {
    db: InMemoryDB,
    chain_id: u64,
    executor: EthBlockExecutorFactory<AlloyReceiptBuilder, Rules, EthEvmFactory>,
}

impl InMemoryState {
    pub fn new(config: &GeneratorConfig, genesis: &Genesis) -> Self {
        let mut db = InMemoryDB::default();
        for (address, account) in &genesis.alloc {
            let info = AccountInfo {
                nonce: account.nonce.unwrap_or(0),
                ..AccountInfo::from_bytecode(Bytecode::new_raw(account.code.clone().unwrap_or_default()))
                    .with_balance(account.balance)
            };
            db.insert_account_info(*address, info);
            for (slot, value) in account.storage_slots() {
                db.insert_account_storage(*address, slot.into(), value).unwrap();
            }
        }
        let deposit_contract = genesis.config.deposit_contract_address;
        let rules = Rules { forks: config.forks, deposit_contract };
        let executor =
            EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), rules, EthEvmFactory::default());
        Self { db, chain_id: config.chain_id, executor }
    }

    /// The root of the whole state, computed from nothing.
    pub fn root(&self) -> B256 {
        let accounts = self.db.cache.accounts.iter();
        state_root_unhashed(accounts.filter_map(|(address, account)| {
            let info = account.info().filter(|info| !info.is_empty())?;
            let account = TrieAccount {
                nonce: info.nonce,
                balance: info.balance,
                storage_root: storage_root(account),
                code_hash: info.code_hash,
            };
            Some((*address, account))
        }))
    }

    pub fn account(&self, address: Address) -> AccountInfo {
        self.db.cache.accounts.get(&address).and_then(DbAccount::info).unwrap_or_default()
    }

    fn environment(&self, header: &HeaderTemplate) -> EvmEnv {
        let mut environment = EvmEnv::for_eth_block(
            alloy_consensus::Header {
                number: header.number,
                timestamp: header.timestamp,
                ..Default::default()
            },
            self.executor.spec(),
            self.chain_id,
            header.blob_params,
        );
        environment.block_env = BlockEnv {
            number: U256::from(header.number),
            beneficiary: header.beneficiary,
            timestamp: U256::from(header.timestamp),
            gas_limit: header.gas_limit,
            basefee: header.base_fee_per_gas,
            prevrandao: Some(header.prev_randao),
            blob_excess_gas_and_price: header.excess_blob_gas.map(|excess_blob_gas| BlobExcessGasAndPrice {
                excess_blob_gas,
                blob_gasprice: header.blob_base_fee(),
            }),
            ..BlockEnv::default()
        };
        environment
    }
}

impl ChainState for InMemoryState {
    fn execute(
        &mut self,
        header: &HeaderTemplate,
        transactions: &[Recovered<Transaction>],
        withdrawals: &[Withdrawal],
    ) -> Result<ExecutedBlock, Box<dyn Error + Send + Sync>> {
        let environment = self.environment(header);
        let context = EthBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: &[],
            withdrawals: (header.fork >= Fork::Shanghai).then_some(withdrawals.into()),
            extra_data: header.extra_data.clone(),
            tx_count_hint: None,
            slot_number: None,
        };
        let evm = self.executor.evm_factory().create_evm(&mut self.db, environment);
        let mut executor = self.executor.create_executor(evm, context);
        executor.apply_pre_execution_changes()?;
        let mut refused = Vec::new();
        for (position, transaction) in transactions.iter().enumerate() {
            let transaction = transaction.clone().map(alloy_consensus::TxEnvelope::from);
            match executor.execute_transaction(&transaction) {
                Ok(_) => {}
                Err(BlockExecutionError::Validation(error)) => {
                    assert!(!matches!(error, BlockValidationError::IncrementBalanceFailed));
                    eprintln!("block {} refuses transaction {position}: {error}", header.number);
                    refused.push(position);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (_, result) = executor.finish()?;
        Ok(ExecutedBlock {
            refused,
            receipts: result.receipts,
            gas_used: result.gas_used,
            requests_hash: (header.fork >= Fork::Prague).then(|| result.requests.requests_hash()),
        })
    }

    fn state_root(&mut self) -> Result<B256, Box<dyn Error + Send + Sync>> {
        Ok(self.root())
    }
}

fn storage_root(account: &DbAccount) -> B256 {
    let slots = account.storage.iter().filter(|(_, value)| !value.is_zero());
    storage_root_unhashed(slots.map(|(slot, value)| (B256::from(*slot), *value)))
}

/// Fork times of a generated chain, for alloy.
#[derive(Debug, Clone)]
pub struct Rules {
    forks: ForkSchedule,
    deposit_contract: Option<Address>,
}

impl EthereumHardforks for Rules {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        let at = |time: Option<u64>| time.map_or(ForkCondition::Never, ForkCondition::Timestamp);
        match fork {
            EthereumHardfork::Dao => ForkCondition::Never,
            EthereumHardfork::Paris => ForkCondition::TTD {
                activation_block_number: 0,
                fork_block: None,
                total_difficulty: U256::ZERO,
            },
            EthereumHardfork::Shanghai => at(self.forks.shanghai),
            EthereumHardfork::Cancun => at(self.forks.cancun),
            EthereumHardfork::Prague => at(self.forks.prague),
            EthereumHardfork::Osaka => at(self.forks.osaka),
            fork if fork < EthereumHardfork::Paris => ForkCondition::Block(0),
            _ => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for Rules {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.deposit_contract
    }
}
