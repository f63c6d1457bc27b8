//! Every contract run in revm under Osaka rules, with exact results.

use super::*;
use crate::abi::{Argument, call_data};
use alloy_primitives::{Address, B256, Log, U256, address, keccak256};
use revm::{
    Context, DatabaseRef, ExecuteCommitEvm, MainBuilder, MainContext,
    context::{TxEnv, result::ExecutionResult},
    database::InMemoryDB,
    primitives::{TxKind, hardfork::SpecId},
    state::{AccountInfo, Bytecode},
};

const ALICE: Address = address!("0x00000000000000000000000000000000000a11ce");
const BOB: Address = address!("0x0000000000000000000000000000000000000b0b");
const TOKEN: Address = address!("0x0000000000000000000000000000000000010000");
const OTHER_TOKEN: Address = address!("0x0000000000000000000000000000000000020000");
const THIRD_TOKEN: Address = address!("0x0000000000000000000000000000000000030000");
const PAIR: Address = address!("0x0000000000000000000000000000000000040000");
const SECOND_PAIR: Address = address!("0x0000000000000000000000000000000000050000");
const CONTRACT: Address = address!("0x0000000000000000000000000000000000060000");
const ETHER: u128 = 1_000_000_000_000_000_000;
const NUMBER: u64 = 100;
const TIMESTAMP: u64 = 1_700_000_000;
const BASE_FEE: u64 = 7;

/// A state with two rich accounts, and a block to run calls in.
struct Chain {
    db: InMemoryDB,
    spec: SpecId,
    blob_hashes: Vec<B256>,
}

impl Chain {
    fn new() -> Self {
        let mut db = InMemoryDB::default();
        for account in [ALICE, BOB] {
            db.insert_account_info(account, AccountInfo::from_balance(U256::from(1000 * ETHER)));
        }
        Self { db, spec: SpecId::OSAKA, blob_hashes: Vec::new() }
    }

    fn with_code(mut self, address: Address, code: Bytes) -> Self {
        let info = AccountInfo { nonce: 1, ..AccountInfo::from_bytecode(Bytecode::new_raw(code)) };
        self.db.insert_account_info(address, info);
        self
    }

    fn with_token(self, token: Address, balances: &[(Address, u128)]) -> Self {
        let mut chain = self.with_code(token, erc20::runtime());
        for (owner, amount) in balances {
            chain.set(token, erc20::balance_slot(*owner), U256::from(*amount));
        }
        chain
    }

    fn with_pair(self, pair: Address, tokens: [Address; 2], reserves: [u128; 2]) -> Self {
        let mut chain = self.with_code(pair, pair::runtime());
        for (slot, value) in pair::storage(tokens, reserves, TIMESTAMP - 10) {
            chain.set(pair, slot, value.into());
        }
        for (token, reserve) in tokens.into_iter().zip(reserves) {
            chain.set(token, erc20::balance_slot(pair), U256::from(reserve));
        }
        chain
    }

    fn set(&mut self, address: Address, slot: B256, value: U256) {
        self.db.insert_account_storage(address, slot.into(), value).unwrap();
    }

    fn get(&self, address: Address, slot: B256) -> U256 {
        self.db.storage_ref(address, slot.into()).unwrap()
    }

    fn balance(&self, address: Address) -> U256 {
        self.account(address).balance
    }

    fn account(&self, address: Address) -> AccountInfo {
        self.db.basic_ref(address).unwrap().unwrap_or_default()
    }

    fn token_balance(&self, token: Address, owner: Address) -> u128 {
        self.get(token, erc20::balance_slot(owner)).to()
    }

    fn send(&mut self, from: Address, to: TxKind, value: u128, data: Bytes) -> ExecutionResult {
        let mut evm = Context::mainnet()
            .with_db(&mut self.db)
            .modify_cfg_chained(|cfg| cfg.set_spec_and_mainnet_gas_params(self.spec))
            .modify_block_chained(|block| {
                block.number = U256::from(NUMBER);
                block.timestamp = U256::from(TIMESTAMP);
                block.basefee = BASE_FEE;
                block.gas_limit = 36_000_000;
                if self.spec >= SpecId::CANCUN {
                    block.set_blob_excess_gas_and_price(0, 5_007_716);
                }
            })
            .build_mainnet();
        let nonce =
            revm::Database::basic(&mut evm.ctx.journaled_state.database, from).unwrap().unwrap().nonce;
        let builder = TxEnv::builder().caller(from).kind(to).value(U256::from(value)).data(data).nonce(nonce);
        let mut tx = builder.gas_limit(10_000_000).gas_price(u128::from(BASE_FEE)).build().unwrap();
        if !self.blob_hashes.is_empty() {
            tx.tx_type = 3;
            tx.gas_priority_fee = Some(0);
            tx.blob_hashes.clone_from(&self.blob_hashes);
            tx.max_fee_per_blob_gas = 1;
        }
        evm.transact_commit(tx).unwrap()
    }

    /// Calls and insists on success.
    fn call(
        &mut self,
        from: Address,
        to: Address,
        signature: &str,
        arguments: &[Argument],
    ) -> ExecutionResult {
        self.call_with_value(from, to, 0, signature, arguments)
    }

    fn call_with_value(
        &mut self,
        from: Address,
        to: Address,
        value: u128,
        signature: &str,
        arguments: &[Argument],
    ) -> ExecutionResult {
        let result = self.send(from, to.into(), value, call_data(signature, arguments));
        assert!(result.is_success(), "{signature}: {result:?}");
        result
    }

    /// Calls, insists on a revert with `Error(string)`, and returns the string.
    fn revert_reason(
        &mut self,
        from: Address,
        to: Address,
        signature: &str,
        arguments: &[Argument],
    ) -> String {
        let result = self.send(from, to.into(), 0, call_data(signature, arguments));
        let ExecutionResult::Revert { output, .. } = result else { panic!("{signature}: {result:?}") };
        assert_eq!(output[..4], [0x08, 0xc3, 0x79, 0xa0]);
        assert_eq!(output.len(), 100);
        let length = usize::from(output[67]);
        String::from_utf8(output[68..68 + length].to_vec()).unwrap()
    }
}

fn word(result: &ExecutionResult) -> U256 {
    U256::from_be_slice(&result.output().unwrap()[..32])
}

fn as_number(word: B256) -> U256 {
    word.into()
}

fn event(address: Address, signature: &str, indexed: &[B256], data: &[U256]) -> Log {
    let topics = [&[keccak256(signature)], indexed].concat();
    let data: Vec<u8> = data.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    Log::new(address, topics, data.into()).unwrap()
}

fn transfer_event(token: Address, from: Address, to: Address, amount: u128) -> Log {
    event(token, erc20::TRANSFER_EVENT, &[from.into_word(), to.into_word()], &[U256::from(amount)])
}

mod money;
mod others;
