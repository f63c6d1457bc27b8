//! The genesis file, in geth's format, and the genesis header.

use crate::{
    accounts::Accounts,
    config::{Fork, GeneratorConfig},
    contracts::{
        account, airdrop, compute, deposit, erc20, factory, nft, pair, proxy, router, storage, transient,
    },
    error::GeneratorError,
    layout::{AIRDROP_TOKENS, HOLDER_TOKENS, Layout, PAIR_TOKENS, USER_ETHER},
};
use alloy_consensus::{
    EMPTY_ROOT_HASH, Header,
    constants::{EMPTY_TRANSACTIONS, EMPTY_WITHDRAWALS},
};
use alloy_eips::{eip2935, eip4788, eip7002, eip7251, eip7685::EMPTY_REQUESTS_HASH, eip7840::BlobParams};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::root::state_root_ref_unhashed;
use std::{collections::BTreeMap, io::Write};

/// Extra data of every generated header, genesis included.
pub const EXTRA_DATA: Bytes = Bytes::from_static(b"portico");

/// What the first of the cold accounts with ether has, in wei; each other one has a wei more than the one before.
const COLD_WEI: u64 = 1_000_000_000;

/// The genesis that a chain with this configuration begins with.
pub fn genesis(config: &GeneratorConfig) -> Genesis {
    let layout = Layout::new(config);
    let accounts = Accounts::new(config.seed, config.genesis_users, USER_ETHER);
    let fork = config.forks.fork_at(config.genesis_timestamp);
    Genesis {
        config: chain_config(config, layout.deposit),
        timestamp: config.genesis_timestamp,
        extra_data: EXTRA_DATA,
        gas_limit: config.gas_limit,
        base_fee_per_gas: Some(u128::from(config.base_fee)),
        excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
        blob_gas_used: (fork >= Fork::Cancun).then_some(0),
        number: Some(0),
        parent_hash: Some(B256::ZERO),
        alloc: Allocation::new(config, &layout, &accounts).0,
        ..Genesis::default()
    }
}

/// Writes a genesis as indented JSON.
///
/// # Errors
/// What the writer says.
pub fn write_genesis(genesis: &Genesis, writer: impl Write) -> Result<(), GeneratorError> {
    Ok(serde_json::to_writer_pretty(writer, genesis)?)
}

/// The header of a genesis, with the state root of its allocation and the fields of its fork.
pub fn genesis_header(config: &GeneratorConfig, genesis: &Genesis) -> Header {
    let fork = config.forks.fork_at(genesis.timestamp);
    Header {
        number: 0,
        parent_hash: B256::ZERO,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        gas_limit: genesis.gas_limit,
        difficulty: genesis.difficulty,
        mix_hash: genesis.mix_hash,
        beneficiary: genesis.coinbase,
        nonce: genesis.nonce.into(),
        base_fee_per_gas: Some(config.base_fee),
        state_root: state_root_ref_unhashed(&genesis.alloc),
        transactions_root: EMPTY_TRANSACTIONS,
        receipts_root: EMPTY_ROOT_HASH,
        withdrawals_root: (fork >= Fork::Shanghai).then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: genesis.blob_gas_used,
        excess_blob_gas: genesis.excess_blob_gas,
        parent_beacon_block_root: (fork >= Fork::Cancun).then_some(B256::ZERO),
        requests_hash: (fork >= Fork::Prague).then_some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

fn chain_config(config: &GeneratorConfig, deposit_contract: Address) -> ChainConfig {
    let start = Some(0);
    let forks = config.forks;
    let schedule = [
        ("cancun", forks.cancun, BlobParams::cancun()),
        ("prague", forks.prague, BlobParams::prague()),
        ("osaka", forks.osaka, BlobParams::osaka()),
        ("bpo1", forks.bpo1, BlobParams::bpo1()),
        ("bpo2", forks.bpo2, BlobParams::bpo2()),
    ];
    let scheduled = schedule.into_iter().filter(|(_, time, _)| time.is_some());
    ChainConfig {
        chain_id: config.chain_id,
        homestead_block: start,
        eip150_block: start,
        eip155_block: start,
        eip158_block: start,
        byzantium_block: start,
        constantinople_block: start,
        petersburg_block: start,
        istanbul_block: start,
        muir_glacier_block: start,
        berlin_block: start,
        london_block: start,
        arrow_glacier_block: start,
        gray_glacier_block: start,
        merge_netsplit_block: start,
        shanghai_time: forks.shanghai,
        cancun_time: forks.cancun,
        prague_time: forks.prague,
        osaka_time: forks.osaka,
        bpo1_time: forks.bpo1,
        bpo2_time: forks.bpo2,
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        deposit_contract_address: Some(deposit_contract),
        blob_schedule: scheduled.map(|(name, _, params)| (name.to_owned(), params)).collect(),
        ..ChainConfig::default()
    }
}

/// The genesis state being put together.
#[derive(Default)]
struct Allocation(BTreeMap<Address, GenesisAccount>);

impl Allocation {
    fn new(config: &GeneratorConfig, layout: &Layout, accounts: &Accounts) -> Self {
        let mut state = Self::default();
        for index in 0..config.genesis_users {
            let account = GenesisAccount { balance: U256::from(USER_ETHER), ..GenesisAccount::default() };
            state.0.insert(accounts.user(index).address, account);
        }
        for index in 0..config.genesis_cold_accounts {
            let balance = U256::from(COLD_WEI + index);
            let account = GenesisAccount { balance, ..GenesisAccount::default() };
            state.0.insert(accounts.cold_address(index), account);
        }
        state.add_system_contracts();
        state.add_tokens(layout, accounts);
        state.add_pairs(layout, config.genesis_timestamp);
        state.add_contract(layout.token_code, erc20::runtime());
        state.add_contract(layout.factory, factory::runtime());
        state.add_contract(layout.airdrop, airdrop::runtime());
        state.add_contract(layout.account_code, account::runtime());
        state.add_contract(layout.transient, transient::runtime());
        state.add_contract(layout.deposit, deposit::runtime());
        for (addresses, code) in [
            (&layout.collections, nft::runtime()),
            (&layout.storage_loops, storage::runtime()),
            (&layout.compute_loops, compute::runtime()),
        ] {
            addresses.iter().for_each(|address| state.add_contract(*address, code.clone()));
        }
        state
    }

    /// EIP-4788, 2935, 7002 and 7251.
    fn add_system_contracts(&mut self) {
        let consolidation_code = &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE;
        self.add_contract(eip4788::BEACON_ROOTS_ADDRESS, eip4788::BEACON_ROOTS_CODE.clone());
        self.add_contract(eip2935::HISTORY_STORAGE_ADDRESS, eip2935::HISTORY_STORAGE_CODE.clone());
        self.add_contract(
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone(),
        );
        // The constant has two bytes too many: the code deployed on public networks ends in REVERT.
        let code = consolidation_code.strip_suffix(&[0, 0]).unwrap_or(consolidation_code);
        self.add_contract(eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, Bytes::copy_from_slice(code));
    }

    fn add_tokens(&mut self, layout: &Layout, accounts: &Accounts) {
        let code = erc20::runtime();
        for token in &layout.tokens {
            if token.is_proxy {
                self.add_contract(token.address, proxy::runtime());
                self.set(token.address, proxy::IMPLEMENTATION_SLOT, layout.token_code.into_word());
            } else {
                self.add_contract(token.address, code.clone());
            }
            for holder in &token.holders {
                self.mint(token.address, accounts.user(*holder).address, HOLDER_TOKENS);
            }
            self.mint(token.address, layout.airdrop, AIRDROP_TOKENS);
        }
    }

    fn add_pairs(&mut self, layout: &Layout, timestamp: u64) {
        self.add_contract(layout.router, router::runtime());
        let code = pair::runtime();
        for pair in &layout.pairs {
            self.add_contract(pair.address, code.clone());
            let tokens = pair.tokens.map(|token| layout.tokens[token].address);
            for (slot, value) in pair::storage(tokens, [PAIR_TOKENS; 2], timestamp) {
                self.set(pair.address, slot, value);
            }
            let [a, b] = tokens;
            self.mint(a, pair.address, PAIR_TOKENS);
            self.mint(b, pair.address, PAIR_TOKENS);
            self.set(layout.router, router::pair_slot(a, b), pair.address.into_word());
            self.set(layout.router, router::pair_slot(b, a), pair.address.into_word());
        }
    }

    fn add_contract(&mut self, address: Address, code: Bytes) {
        let account = GenesisAccount { nonce: Some(1), code: Some(code), ..GenesisAccount::default() };
        self.0.insert(address, account);
    }

    fn set(&mut self, address: Address, slot: B256, value: B256) {
        let account = self.0.get_mut(&address).expect("contracts are added before their storage");
        account.storage.get_or_insert_default().insert(slot, value);
    }

    /// Gives `owner`, who has none yet, `amount` of a token, and adds it to the total supply.
    fn mint(&mut self, token: Address, owner: Address, amount: u128) {
        self.set(token, erc20::balance_slot(owner), U256::from(amount).into());
        let storage = self.0.get_mut(&token).and_then(|account| account.storage.as_mut());
        let total = storage.expect("a balance was just set").entry(erc20::TOTAL_SUPPLY_SLOT).or_default();
        *total = (U256::from_be_bytes(total.0) + U256::from(amount)).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genesis_survives_its_json() {
        let config = GeneratorConfig { genesis_users: 20, tokens: 4, ..GeneratorConfig::default() };
        let genesis = genesis(&config);
        let mut json = Vec::new();
        write_genesis(&genesis, &mut json).unwrap();
        let read: Genesis = serde_json::from_slice(&json).unwrap();
        assert_eq!(read.alloc, genesis.alloc);
        assert_eq!(read.config.blob_schedule_blob_params(), genesis.config.blob_schedule_blob_params());
        assert_eq!(genesis_header(&config, &read).hash_slow(), genesis_header(&config, &genesis).hash_slow());
        let text = String::from_utf8(json).unwrap();
        for part in ["\"osakaTime\": 0", "\"blobSchedule\"", "\"baseFeeUpdateFraction\": 5007716"] {
            assert!(text.contains(part), "{part} is missing");
        }
    }

    #[test]
    fn header_has_the_fields_of_its_fork() {
        use crate::config::ForkSchedule;
        let mut config = GeneratorConfig { genesis_users: 20, tokens: 4, ..GeneratorConfig::default() };
        let header = genesis_header(&config, &genesis(&config));
        assert_eq!(header.requests_hash, Some(EMPTY_REQUESTS_HASH));
        assert_eq!(header.excess_blob_gas, Some(0));
        config.forks = ForkSchedule::passing_through(config.genesis_timestamp, 120);
        let header = genesis_header(&config, &genesis(&config));
        assert_eq!(header.base_fee_per_gas, Some(1_000_000_000));
        assert_eq!((header.withdrawals_root, header.blob_gas_used, header.requests_hash), (None, None, None));
    }

    #[test]
    fn supply_is_the_sum_of_all_balances() {
        let config = GeneratorConfig { genesis_users: 20, tokens: 3, ..GeneratorConfig::default() };
        let layout = Layout::new(&config);
        let genesis = genesis(&config);
        for token in &layout.tokens {
            let storage = genesis.alloc[&token.address].storage.as_ref().unwrap();
            let owned = storage.iter().filter(|(slot, _)| {
                **slot != erc20::TOTAL_SUPPLY_SLOT && **slot != proxy::IMPLEMENTATION_SLOT
            });
            let sum: U256 = owned.map(|(_, amount)| U256::from_be_bytes(amount.0)).sum();
            assert_eq!(U256::from_be_bytes(storage[&erc20::TOTAL_SUPPLY_SLOT].0), sum);
        }
    }

    #[test]
    fn system_contracts_have_the_code_of_the_public_networks() {
        let config = GeneratorConfig { genesis_users: 20, tokens: 2, ..GeneratorConfig::default() };
        let alloc = genesis(&config).alloc;
        let length = |address: Address| alloc[&address].code.as_ref().unwrap().len();
        assert_eq!(length(eip4788::BEACON_ROOTS_ADDRESS), 97);
        assert_eq!(length(eip2935::HISTORY_STORAGE_ADDRESS), 83);
        assert_eq!(length(eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS), 504);
        assert_eq!(length(eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS), 414);
    }
}
