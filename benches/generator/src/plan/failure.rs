//! Transactions that are included and fail.

use super::{BlockPlan, Draft, money::transfer_data, swap::swap_data};
use crate::{
    abi::call_data,
    accounts::UserIndex,
    asm::op,
    contracts::{init_code, nft},
    mix::Kind,
    workload::Workload,
};
use alloy_primitives::{Address, Bytes};

/// An amount that nobody has.
const TOO_MUCH: u128 = u128::MAX;

impl Workload {
    pub(super) fn plan_failure(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let draft = match self.random.below(6) {
            0 => self.overdraft(sender),
            1 => self.greedy_swap(block, sender),
            2 => self.out_of_gas(sender),
            3 => self.unknown_function(sender),
            4 => self.failing_creation(sender),
            _ => self.too_many_mints(sender),
        };
        self.push(block, draft.failing());
    }

    /// Reverts with a reason in the token.
    fn overdraft(&mut self, sender: UserIndex) -> Draft {
        let token = self.tokens[self.random.below(self.tokens.len() as u64) as usize].address;
        let data = transfer_data(self.pick_cold_address(), TOO_MUCH);
        Draft::call(Kind::Failure, sender, token, data, 40_000)
    }

    /// Reverts deep in the router's calls: no allowance, no balance, or too little comes out.
    fn greedy_swap(&mut self, block: &BlockPlan, sender: UserIndex) -> Draft {
        let pair = self.pick_pair();
        let path: Vec<Address> =
            self.pairs[pair].tokens.iter().map(|token| self.tokens[*token].address).collect();
        let to = self.accounts.user(sender).address;
        let data = swap_data(1_000_000, TOO_MUCH, path, to, block.context.timestamp);
        Draft::call(Kind::Failure, sender, self.layout.router, data, 240_000)
    }

    /// Spends all its gas.
    fn out_of_gas(&mut self, sender: UserIndex) -> Draft {
        let contract = *self.random.pick(&self.layout.compute_loops);
        let seed = self.random.number();
        let data = call_data("hash(uint256,uint256)", &[1_000_000u64.into(), seed.into()]);
        let gas = self.random.between(30_000, 150_000);
        Draft::call(Kind::Failure, sender, contract, data, gas)
    }

    /// Reverts without data.
    fn unknown_function(&mut self, sender: UserIndex) -> Draft {
        let token = self.pick_token();
        let data = call_data("permit(address,uint256)", &[self.pick_cold_address().into(), 1u64.into()]);
        Draft::call(Kind::Failure, sender, self.tokens[token].address, data, 30_000)
    }

    /// A constructor that reverts, one that runs into an invalid opcode, or code that may not be deployed
    /// (EIP-3541).
    fn failing_creation(&mut self, sender: UserIndex) -> Draft {
        let init = match self.random.below(3) {
            0 => init_code(&[op::STOP], |p| p.revert()),
            1 => Bytes::from_static(&[op::INVALID]),
            _ => init_code(&[0xef, 0x00], |_| ()),
        };
        Draft::creation(Kind::Failure, sender, init, 20_000)
    }

    fn too_many_mints(&mut self, sender: UserIndex) -> Draft {
        let collection = *self.random.pick(&self.layout.collections);
        let data = call_data("mint(uint256)", &[(nft::MINT_LIMIT + 1).into()]);
        Draft::call(Kind::Failure, sender, collection, data, 30_000)
    }
}
