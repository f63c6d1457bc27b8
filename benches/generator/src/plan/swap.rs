//! Swaps through the router.

use super::{BlockContext, BlockPlan, Draft};
use crate::{
    abi::{Argument, call_data},
    accounts::UserIndex,
    contracts::{erc20, router},
    layout,
    mix::Kind,
    workload::Workload,
};
use alloy_primitives::{Address, Bytes};

/// Of 100 swaps, how many go through two pairs.
const TWO_HOPS_PERCENT: u64 = 15;
/// Seconds that a swap may wait.
const DEADLINE_SECONDS: u64 = 1_200;

/// One step of a swap: a pair, and which of its tokens goes in.
#[derive(Clone, Copy)]
struct Hop {
    pair: usize,
    input: usize,
}

impl Workload {
    pub(super) fn plan_swap(&mut self, block: &mut BlockPlan) {
        let Some(hops) = self.pick_hops() else { return };
        let token = self.pairs[hops[0].pair].tokens[hops[0].input];
        let Some((trader, balance)) = self.pick_holder(token) else { return };
        if !self.tokens[token].approved.contains(&trader)
            && !self.approve_router(block, Kind::Approval, token, trader)
        {
            return;
        }
        let amount = (balance >> self.random.between(7, 14)).max(1);
        let before: Vec<[u128; 2]> = hops.iter().map(|hop| self.pairs[hop.pair].reserves).collect();
        let out = self.swap_reserves(&hops, amount);
        let least = out - out / 200;
        let last = hops[hops.len() - 1];
        let bought = self.pairs[last.pair].tokens[1 - last.input];
        let is_planned = out > 0 && {
            let draft = self.swap_draft(&block.context, trader, &hops, amount, least);
            self.push(block, draft)
        };
        if is_planned {
            self.debit_token(token, trader, amount);
            self.credit_token(bought, trader, out);
        } else {
            for (hop, reserves) in hops.iter().zip(before) {
                self.pairs[hop.pair].reserves = reserves;
            }
        }
    }

    /// One pair in either direction, or two that share a token.
    fn pick_hops(&mut self) -> Option<Vec<Hop>> {
        let pair = self.pick_pair();
        let input = self.random.below(2) as usize;
        let first = Hop { pair, input };
        if !self.random.percent(TWO_HOPS_PERCENT) {
            return Some(vec![first]);
        }
        let between = self.pairs[pair].tokens[1 - input];
        let pair = self.pick_pair();
        let input = self.pairs[pair].tokens.iter().position(|token| *token == between)?;
        (pair != first.pair).then(|| vec![first, Hop { pair, input }])
    }

    pub(super) fn pick_pair(&mut self) -> usize {
        self.random.skewed_below(self.pairs.len() as u64) as usize
    }

    /// Moves the reserves as the swap will. Returns what comes out at the end.
    fn swap_reserves(&mut self, hops: &[Hop], amount: u128) -> u128 {
        hops.iter().fold(amount, |amount, hop| {
            let [reserve0, reserve1] = &mut self.pairs[hop.pair].reserves;
            let (reserve_in, reserve_out) =
                if hop.input == 0 { (reserve0, reserve1) } else { (reserve1, reserve0) };
            layout::swap(amount, reserve_in, reserve_out)
        })
    }

    fn swap_draft(
        &self,
        context: &BlockContext,
        trader: UserIndex,
        hops: &[Hop],
        amount: u128,
        least: u128,
    ) -> Draft {
        let token_at = |hop: &Hop, side: usize| self.tokens[self.pairs[hop.pair].tokens[side]].address;
        let first = token_at(&hops[0], hops[0].input);
        let path: Vec<Address> =
            std::iter::once(first).chain(hops.iter().map(|hop| token_at(hop, 1 - hop.input))).collect();
        let owner = self.accounts.user(trader).address;
        let data = swap_data(amount, least, path, owner, context.timestamp);
        let slots = vec![erc20::balance_slot(owner), erc20::allowance_slot(owner, self.layout.router)];
        let gas = 40_000 + 130_000 * hops.len() as u64;
        Draft::call(Kind::Swap, trader, self.layout.router, data, gas).touching(first, slots)
    }
}

/// Call data of a swap.
pub(super) fn swap_data(amount: u128, least: u128, path: Vec<Address>, to: Address, timestamp: u64) -> Bytes {
    let path: Argument = path.into_iter().collect();
    let deadline = timestamp + DEADLINE_SECONDS;
    call_data(router::SWAP, &[amount.into(), least.into(), path, to.into(), deadline.into()])
}
