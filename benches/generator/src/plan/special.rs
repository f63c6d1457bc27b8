//! Blobs, transient storage, and requests to the consensus layer.

use super::{BlockPlan, Draft, Payload};
use crate::{
    abi::{Argument, call_data},
    contracts::deposit,
    layout::ETHER,
    mix::Kind,
    workload::Workload,
};
use alloy_eips::{
    eip4844::VERSIONED_HASH_VERSION_KZG, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};

/// The most blobs in a transaction: Cancun's block limit, and Osaka's limit for one transaction.
const BLOBS_MAX: u64 = 6;
/// Wei that covers the fee of a request. The fee is 1 as long as requests are rare; the rest is lost.
const REQUEST_FEE: u128 = 1_000;

impl Workload {
    pub(super) fn plan_blob(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        if block.blobs_left() == 0 {
            return;
        }
        let count = (1 + self.random.skewed_below(BLOBS_MAX)).min(block.blobs_left());
        let hashes = (0..count)
            .map(|_| {
                let mut hash = self.random.word();
                hash[0] = VERSIONED_HASH_VERSION_KZG;
                hash
            })
            .collect();
        let draft = if self.random.percent(30) {
            self.transient_call(Kind::Blob, sender)
        } else {
            let length = self.random.below(200) as usize;
            let data = self.random.bytes(length, 20);
            let inbox = self.accounts.cold_address(self.random.below(16));
            Draft::call(Kind::Blob, sender, inbox, data, 0)
        };
        self.push(block, Draft { payload: Payload::Blobs(hashes), ..draft });
    }

    pub(super) fn plan_transient(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let draft = self.transient_call(Kind::Transient, sender);
        self.push(block, draft);
    }

    fn transient_call(&mut self, kind: Kind, sender: u32) -> Draft {
        let slots = self.random.between(1, 60);
        let data = call_data("record(uint256)", &[slots.into()]);
        Draft::call(kind, sender, self.layout.transient, data, 52_000 + 330 * slots)
    }

    /// A deposit, a withdrawal request or a consolidation request of a validator.
    pub(super) fn plan_staking(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        match self.random.below(3) {
            0 => self.plan_deposit(block, sender),
            1 => {
                // Public key, then the amount in gwei as 8 bytes; 0 is a full exit (EIP-7002).
                let mut data = self.random.bytes(56, 0);
                data[48..].copy_from_slice(&self.random.below(32_000_000_000).to_be_bytes());
                self.plan_request(block, sender, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, data);
            }
            _ => {
                // Two public keys (EIP-7251).
                let data = self.random.bytes(96, 0);
                self.plan_request(block, sender, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, data);
            }
        }
    }

    fn plan_deposit(&mut self, block: &mut BlockPlan, sender: u32) {
        let value = u128::from(self.random.between(1, 32)) * ETHER;
        let parts = [48, 32, 96].map(|length| Argument::Bytes(self.random.bytes(length, 0)));
        let [public_key, credentials, signature] = parts;
        let root = self.random.word().into();
        let data = call_data(deposit::DEPOSIT, &[public_key, credentials, signature, root]);
        let draft = Draft::call(Kind::Staking, sender, self.layout.deposit, data, 40_000);
        self.push(block, draft.with_value(value));
    }

    fn plan_request(
        &mut self,
        block: &mut BlockPlan,
        sender: u32,
        to: alloy_primitives::Address,
        data: Vec<u8>,
    ) {
        let draft = Draft::call(Kind::Staking, sender, to, data, 180_000);
        self.push(block, draft.with_value(REQUEST_FEE));
    }
}
