//! Contracts that come and go: deployments, and the factory's children.

use super::{BlockPlan, Draft};
use crate::{
    abi::call_data,
    accounts::UserIndex,
    asm::op,
    config::Fork,
    contracts::{account, erc20, factory, init_code, proxy},
    layout::ETHER,
    mix::Kind,
    workload::{TRIES, Token, Workload},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::{HashMap, HashSet};

/// How many salts children are made from. Few, so that addresses are used again.
const SALTS: u64 = 2_000;
/// New tokens are used by later transactions until there are this many.
const TOKENS_MAX: usize = 4_000;

impl Workload {
    pub(super) fn plan_deployment(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        match self.random.below(10) {
            0..5 => self.deploy_token(block, sender),
            5..7 => {
                let init = proxy::init(self.layout.token_code);
                self.push(block, Draft::creation(Kind::Deployment, sender, init, 60_000));
            }
            _ => self.deploy_unique_code(block, sender),
        }
    }

    /// A new token, all of it its creator's.
    fn deploy_token(&mut self, block: &mut BlockPlan, sender: UserIndex) {
        let supply = u128::from(self.random.between(1_000, 1_000_000_000)) * ETHER;
        let init = erc20::init(U256::from(supply));
        let gas = 60_000 + 200 * init.len() as u64;
        let creator = self.accounts.user(sender);
        let address = creator.address.create(creator.nonce);
        if self.push(block, Draft::creation(Kind::Deployment, sender, init, gas))
            && self.tokens.len() < TOKENS_MAX
        {
            self.tokens.push(Token {
                address,
                holders: vec![sender],
                balances: HashMap::from([(sender, supply)]),
                approved: HashSet::new(),
            });
        }
    }

    /// Code like no other, as most contracts have: here a batch account with random bytes behind it.
    fn deploy_unique_code(&mut self, block: &mut BlockPlan, sender: UserIndex) {
        let length = self.random.magnitude_between(256, 12_000);
        let metadata = self.random.bytes(length as usize, 10);
        let runtime = [&account::runtime()[..], &[op::INVALID], &metadata].concat();
        let gas = 10_000 + 205 * runtime.len() as u64;
        self.push(block, Draft::creation(Kind::Deployment, sender, init_code(&runtime, |_| ()), gas));
    }

    pub(super) fn plan_creation(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let value = if self.random.percent(50) { u128::from(self.random.below(1_000_000_000)) } else { 0 };
        if self.random.percent(40) {
            let child = self.layout.factory.create(self.factory_nonce);
            self.create_child(block, sender, value, call_data("create()", &[]), Some(child));
            return;
        }
        let Some((salt, child)) = self.pick_free_salt() else { return };
        if self.random.percent(50) {
            let data = call_data("create2(bytes32)", &[salt.into()]);
            if self.create_child(block, sender, value, data, Some(child)) {
                self.salted_children.insert(child);
            }
            return;
        }
        let slots = self.random.between(1, 8);
        let beneficiary = self.pick_cold_address();
        let arguments = [salt.into(), slots.into(), beneficiary.into()];
        let data = call_data("createAndDestroy(bytes32,uint256,address)", &arguments);
        self.create_child(block, sender, value, data, None);
    }

    /// Plans a call of the factory. `survivor` is the child that is there afterwards.
    fn create_child(
        &mut self,
        block: &mut BlockPlan,
        sender: UserIndex,
        value: u128,
        data: Bytes,
        survivor: Option<Address>,
    ) -> bool {
        let gas = 170_000 + if survivor.is_none() { 260_000 } else { 0 };
        let draft = Draft::call(Kind::Creation, sender, self.layout.factory, data, gas);
        let is_planned = self.push(block, draft.with_value(value));
        if is_planned {
            self.factory_nonce += 1;
            self.children.extend(survivor);
        }
        is_planned
    }

    fn pick_free_salt(&mut self) -> Option<(B256, Address)> {
        (0..TRIES).find_map(|_| {
            let salt = B256::from(U256::from(self.random.below(SALTS)));
            let child = self.layout.factory.create2(salt, factory::child_init_hash());
            (!self.salted_children.contains(&child)).then_some((salt, child))
        })
    }

    pub(super) fn plan_child(&mut self, block: &mut BlockPlan) {
        if self.children.is_empty() {
            return self.plan_creation(block);
        }
        let Some(sender) = self.pick_sender() else { return };
        let position = self.random.below(self.children.len() as u64) as usize;
        let child = self.children[position];
        match self.random.below(10) {
            0..5 => {
                let slots = self.random.between(1, 10);
                let data = call_data("poke(uint256)", &[slots.into()]);
                self.push(block, Draft::call(Kind::Child, sender, child, data, 5_000 + 23_000 * slots));
            }
            5..7 => {
                let value = u128::from(self.random.below(1_000_000_000_000));
                let draft = Draft::call(Kind::Child, sender, child, Bytes::new(), 1_000);
                self.push(block, draft.with_value(value));
            }
            _ => self.destroy_child(block, sender, position),
        }
    }

    fn destroy_child(&mut self, block: &mut BlockPlan, sender: UserIndex, position: usize) {
        let beneficiary = self.pick_cold_address();
        let child = self.children[position];
        let data = call_data("destroy(address)", &[beneficiary.into()]);
        if !self.push(block, Draft::call(Kind::Child, sender, child, data, 36_000)) {
            return;
        }
        // From Cancun on a contract of an earlier transaction stays (EIP-6780).
        if block.context.fork < Fork::Cancun {
            self.children.swap_remove(position);
            self.salted_children.remove(&child);
        }
    }
}
