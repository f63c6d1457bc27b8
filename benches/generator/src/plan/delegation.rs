//! Accounts that delegate to code (EIP-7702), and what they do with it.

use super::{
    BlockPlan, Draft, Payload,
    money::{TOKEN_TRANSFER_GAS, transfer_data},
};
use crate::{
    abi::{Argument, call_data},
    accounts::UserIndex,
    contracts::account,
    mix::Kind,
    sign::sign_hash,
    workload::Workload,
};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Bytes, U256};

/// Of 100 authorizations, how many are skipped by the rules: wrong nonce or wrong chain.
const INVALID_PERCENT: u64 = 6;

/// An authorization to be signed, and what follows if it is valid.
struct Intent {
    authority: UserIndex,
    authorization: Authorization,
    is_valid: bool,
}

impl Workload {
    pub(super) fn plan_delegation(&mut self, block: &mut BlockPlan) {
        let Some(sender) = self.pick_sender() else { return };
        let mut authorities: Vec<UserIndex> = Vec::new();
        for _ in 0..self.random.between(1, 3) {
            let user = if self.random.percent(30) { sender } else { self.pick_user() };
            if !authorities.contains(&user) {
                authorities.push(user);
            }
        }
        let intents: Vec<Intent> =
            authorities.into_iter().map(|authority| self.intend(authority, sender)).collect();
        let list = intents.iter().map(|intent| self.sign_intent(intent)).collect();
        let valid = intents.iter().filter(|intent| intent.is_valid);
        let raised = valid.clone().map(|intent| (intent.authority, intent.authorization.nonce)).collect();
        let to = self.accounts.user(sender).address;
        let draft = Draft::call(Kind::Delegation, sender, to, Bytes::new(), 10_000);
        if self.push(block, Draft { payload: Payload::Authorizations(list, raised), ..draft }) {
            for Intent { authority, authorization, .. } in valid {
                let user = self.accounts.user_mut(*authority);
                user.nonce += 1;
                user.is_delegated = !authorization.address.is_zero();
                if user.is_delegated && !user.has_delegated {
                    user.has_delegated = true;
                    self.delegated.push(*authority);
                }
            }
        }
    }

    /// Sets the authority's delegation, or takes it back; now and then in vain.
    fn intend(&mut self, authority: UserIndex, sender: UserIndex) -> Intent {
        let user = self.accounts.user(authority);
        let takes_back = user.is_delegated && self.random.percent(30);
        let address = if takes_back { Address::ZERO } else { self.layout.account_code };
        // The sender's nonce has been raised when authorizations are looked at.
        let nonce = user.nonce + u64::from(authority == sender);
        let is_valid = !self.random.percent(INVALID_PERCENT);
        let is_any_chain = self.random.percent(10);
        let chain_id = if is_any_chain { U256::ZERO } else { U256::from(self.chain_id()) };
        let authorization = Authorization { chain_id, address, nonce };
        let authorization = match (is_valid, is_any_chain) {
            (true, _) => authorization,
            (false, true) => Authorization { nonce: nonce + 7, ..authorization },
            (false, false) => Authorization { chain_id: chain_id + U256::ONE, ..authorization },
        };
        Intent { authority, authorization, is_valid }
    }

    fn sign_intent(&self, intent: &Intent) -> SignedAuthorization {
        let authorization = intent.authorization.clone();
        let key = &self.accounts.user(intent.authority).key;
        let signature = sign_hash(key, authorization.signature_hash());
        authorization.into_signed(signature)
    }

    /// Some token transfers and a payment in one transaction of an account to itself.
    pub(super) fn plan_batch(&mut self, block: &mut BlockPlan) {
        if self.delegated.is_empty() {
            return self.plan_delegation(block);
        }
        let owner = *self.random.pick(&self.delegated);
        let token = self.random.skewed_below(4) as usize % self.tokens.len();
        let user = self.accounts.user(owner);
        let (address, share) = (user.address, self.token_balance(token, owner) >> 12);
        if !user.is_delegated || !self.can_send(owner) || share == 0 {
            return;
        }
        let payment = user.balance >> 16;
        let transfers = self.random.between(2, 5);
        let mut calls: Vec<Argument> = (0..transfers)
            .map(|_| one_call(self.tokens[token].address, 0, transfer_data(self.pick_cold_address(), share)))
            .collect();
        calls.push(one_call(self.pick_cold_address(), payment, Bytes::new()));
        let data = call_data(account::EXECUTE, &[Argument::Array(calls)]);
        let gas = 60_000 + TOKEN_TRANSFER_GAS * transfers;
        if self.push(block, Draft::call(Kind::Batch, owner, address, data, gas)) {
            self.debit_token(token, owner, share * u128::from(transfers));
            let user = self.accounts.user_mut(owner);
            user.balance = user.balance.saturating_sub(payment);
        }
    }
}

fn one_call(to: Address, value: u128, data: Bytes) -> Argument {
    Argument::Tuple(vec![to.into(), value.into(), Argument::Bytes(data.to_vec())])
}
