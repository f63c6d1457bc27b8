//! Heavy transactions: loops, airdrops, bulk data, NFT mints.

use super::{BlockPlan, Draft};
use crate::{
    abi::{Argument, call_data},
    contracts::{airdrop, nft},
    layout::ETHER,
    mix::Kind,
    workload::Workload,
};
use alloy_primitives::Address;

impl Workload {
    pub(super) fn plan_mint(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let collection = self.random.skewed_below(self.layout.collections.len() as u64) as usize;
        let count = 1 + self.random.skewed_below(nft::MINT_LIMIT);
        let data = call_data("mint(uint256)", &[count.into()]);
        let gas = 56_000 + 26_000 * count;
        self.push(block, Draft::call(Kind::Mint, sender, self.layout.collections[collection], data, gas));
    }

    /// Writes a new run of slots, or overwrites, clears or reads one that is there.
    pub(super) fn plan_storage_loop(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let index = self.random.below(self.storage_loops.len() as u64) as usize;
        let action = self.random.below(100);
        if action < 40 || self.storage_loops[index].filled.is_empty() {
            return self.write_new_slots(block, sender, index);
        }
        let contract = &self.storage_loops[index];
        let address = contract.address;
        let position = self.random.below(contract.filled.len() as u64) as usize;
        let (start, count) = contract.filled[position];
        let range = [start.into(), count.into()];
        let (data, gas_per_slot) = match action {
            ..60 => {
                let seed = self.random.number().into();
                let [start, count] = range;
                (call_data("write(uint256,uint256,uint256)", &[start, count, seed]), 5_400)
            }
            60..75 => (call_data("clear(uint256,uint256)", &range), 5_400),
            _ => (call_data("sum(uint256,uint256)", &range), 2_500),
        };
        let draft = Draft::call(Kind::StorageLoop, sender, address, data, 3_000 + gas_per_slot * count);
        if self.push(block, draft) && (60..75).contains(&action) {
            self.storage_loops[index].filled.swap_remove(position);
        }
    }

    fn write_new_slots(&mut self, block: &mut BlockPlan, sender: u32, index: usize) {
        let count = self.random.magnitude_between(4, 64);
        let seed = self.random.number();
        let contract = &self.storage_loops[index];
        let (address, start) = (contract.address, contract.next_slot);
        let data = call_data("write(uint256,uint256,uint256)", &[start.into(), count.into(), seed.into()]);
        let draft = Draft::call(Kind::StorageLoop, sender, address, data, 3_000 + 22_500 * count);
        if self.push(block, draft) {
            let contract = &mut self.storage_loops[index];
            contract.next_slot += count;
            contract.filled.push((start, count));
        }
    }

    pub(super) fn plan_compute_loop(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let contract = *self.random.pick(&self.layout.compute_loops);
        let rounds = self.random.magnitude_between(100, 6_000);
        let is_hash = self.random.percent(50);
        let signature = if is_hash { "hash(uint256,uint256)" } else { "multiply(uint256,uint256)" };
        let seed = self.random.number();
        let data = call_data(signature, &[rounds.into(), seed.into()]);
        let gas = 30_000 + 130 * rounds;
        self.push(block, Draft::call(Kind::ComputeLoop, sender, contract, data, gas));
    }

    pub(super) fn plan_airdrop(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let token = self.random.skewed_below(self.layout.tokens.len() as u64) as usize;
        let (count, receivers) = self.pick_receivers(10, 60);
        let amount = u128::from(self.random.between(1, 100)) * (ETHER / 10);
        let arguments = [self.layout.tokens[token].address.into(), amount.into(), receivers];
        let data = call_data(airdrop::AIRDROP, &arguments);
        let gas = 20_000 + 31_000 * count;
        self.push(block, Draft::call(Kind::Airdrop, sender, self.layout.airdrop, data, gas));
    }

    pub(super) fn plan_disperse(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let (count, receivers) = self.pick_receivers(5, 40);
        let share = u128::from(self.random.between(1, 50)) * (ETHER / 1_000);
        let data = call_data(airdrop::DISPERSE, &[receivers]);
        let gas = 10_000 + 38_000 * count;
        let draft = Draft::call(Kind::Disperse, sender, self.layout.airdrop, data, gas);
        self.push(block, draft.with_value(share * u128::from(count)));
    }

    fn pick_receivers(&mut self, least: u64, most: u64) -> (u64, Argument) {
        let count = self.random.between(least, most);
        let receivers: Vec<Address> = (0..count).map(|_| self.pick_cold_address()).collect();
        (count, receivers.into_iter().collect())
    }

    /// Data for its own sake, as rollups post it. Some of it compresses, some does not.
    pub(super) fn plan_inbox(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let length = self.random.magnitude_between(256, 16_000) as usize;
        let zero_percent = *self.random.pick(&[0, 5, 30, 70]);
        let data = self.random.bytes(length, zero_percent);
        let inbox = self.accounts.cold_address(self.random.below(16));
        self.push(block, Draft::call(Kind::Inbox, sender, inbox, data, 0));
    }
}
