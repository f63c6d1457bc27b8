//! Ether and tokens from one to another.

use super::{BlockPlan, Draft};
use crate::{
    abi::call_data,
    accounts::UserIndex,
    contracts::{UNLIMITED, erc20},
    layout::ETHER,
    mix::Kind,
    workload::Workload,
};
use alloy_primitives::{Address, Bytes};

/// More than a token transfer needs, behind a proxy and to a new owner.
pub(super) const TOKEN_TRANSFER_GAS: u64 = 44_000;
/// What it takes to accept ether in delegated code.
const DELEGATED_RECEIVE_GAS: u64 = 10_000;

impl Workload {
    pub(super) fn plan_transfer(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let balance = self.accounts.user(sender).balance;
        let value = balance >> self.random.between(8, 24);
        let (to, user) = self.pick_receiver(50);
        let draft = Draft::call(Kind::Transfer, sender, to, Bytes::new(), self.receive_gas(user));
        if self.push(block, draft.with_value(value))
            && let Some(user) = user
        {
            self.accounts.user_mut(user).balance += value;
        }
    }

    pub(super) fn plan_endowment(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let value = u128::from(self.random.between(500, 4_000)) * (ETHER / 1_000);
        if self.accounts.user(sender).balance < 10 * value {
            return;
        }
        let user = self.accounts.add();
        let to = self.accounts.user(user).address;
        let draft = Draft::call(Kind::Endowment, sender, to, Bytes::new(), 0);
        if self.push(block, draft.with_value(value)) {
            self.accounts.user_mut(user).balance += value;
        }
    }

    pub(super) fn plan_token_transfer(&mut self, block: &mut BlockPlan) {
        let token = self.pick_token();
        let Some((sender, balance)) = self.pick_holder(token) else { return };
        let amount = (balance >> self.random.between(6, 16)).max(1);
        let (to, user) = self.pick_receiver(40);
        let address = self.tokens[token].address;
        let data = transfer_data(to, amount);
        let slots = [self.accounts.user(sender).address, to].map(erc20::balance_slot);
        let draft = Draft::call(Kind::TokenTransfer, sender, address, data, TOKEN_TRANSFER_GAS);
        if self.push(block, draft.touching(address, slots.to_vec())) {
            self.debit_token(token, sender, amount);
            if let Some(user) = user {
                self.credit_token(token, user, amount);
            }
        }
    }

    pub(super) fn plan_approval(&mut self, block: &mut BlockPlan) {
        let token = self.pick_token();
        let Some((owner, _)) = self.pick_holder(token) else { return };
        self.approve_router(block, Kind::Approval, token, owner);
    }

    /// Lets the router take the owner's tokens. Returns whether that was planned.
    pub(super) fn approve_router(
        &mut self,
        block: &mut BlockPlan,
        kind: Kind,
        token: usize,
        owner: UserIndex,
    ) -> bool {
        let address = self.tokens[token].address;
        let router = self.layout.router;
        let data = call_data("approve(address,uint256)", &[router.into(), UNLIMITED.into()]);
        let slot = erc20::allowance_slot(self.accounts.user(owner).address, router);
        let draft = Draft::call(kind, owner, address, data, 36_000).touching(address, vec![slot]);
        let is_planned = self.push(block, draft);
        if is_planned {
            self.tokens[token].approved.insert(owner);
        }
        is_planned
    }

    /// Where something is sent to: in `user_percent` of 100 cases a user, else a cold address.
    pub(super) fn pick_receiver(&mut self, user_percent: u64) -> (Address, Option<UserIndex>) {
        if !self.random.percent(user_percent) {
            return (self.pick_cold_address(), None);
        }
        let user = self.pick_user();
        (self.accounts.user(user).address, Some(user))
    }

    /// Gas that receiving ether takes.
    pub(super) fn receive_gas(&self, user: Option<UserIndex>) -> u64 {
        let is_delegated = user.is_some_and(|user| self.accounts.user(user).is_delegated);
        if is_delegated { DELEGATED_RECEIVE_GAS } else { 0 }
    }
}

/// Call data of an ERC-20 transfer.
pub(super) fn transfer_data(to: Address, amount: u128) -> Bytes {
    call_data("transfer(address,uint256)", &[to.into(), amount.into()])
}
