//! State gas of frames (EIP-8037 of that time).
//!
//! A frame *gives back* state gas when it clears a slot that was set in the same transaction, or when a creation
//! fails. What it gives back goes to its reservoir, at most what it has used itself; the rest is pending until the
//! frame succeeds and its caller gives it back in turn.
//!
//! ```text
//! frame succeeds   caller's reservoir = frame's reservoir     caller's use += frame's use
//! frame fails      caller's reservoir = frame's reservoir + frame's use - what was given back in it
//! ```
//! What was given back in a frame that fails is lost: paid for, and counted by the block in neither dimension.

use revm::{
    context_interface::cfg::GasParams,
    interpreter::{Gas, GasTracker},
};

/// State gas that a frame has given back, its successful callees included.
///
/// The interpreter's counts have no place for it, but for one that these rules do not need: how much state gas
/// spilled over into regular gas. It holds both counts while the frame runs, in bytes of state, 32 bits each: a
/// transaction gives back less than 2^32 bytes, because each slot cleared costs regular gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Credits {
    /// Added to the frame's reservoir.
    applied: u64,
    /// For the caller to give back.
    pending: u64,
}

impl Credits {
    /// Those of a running frame.
    pub(super) fn of(gas: &GasTracker, params: &GasParams) -> Self {
        let (packed, state_byte) = (gas.state_gas_spilled(), params.code_deposit_state_gas(1));
        Self { applied: (packed >> 32) * state_byte, pending: (packed & u64::from(u32::MAX)) * state_byte }
    }

    /// Takes those of a frame that stops running.
    pub(super) fn take(gas: &mut GasTracker, params: &GasParams) -> Self {
        let credits = Self::of(gas, params);
        gas.set_state_gas_spilled(0);
        credits
    }

    /// Puts them where a running frame has them.
    pub(super) fn put(self, gas: &mut GasTracker, params: &GasParams) {
        let bytes = |gas: u64| (gas / params.code_deposit_state_gas(1)).min(u64::from(u32::MAX));
        gas.set_state_gas_spilled(bytes(self.applied) << 32 | bytes(self.pending));
    }

    /// Gives state gas back.
    pub(super) fn give_back(&mut self, gas: &mut GasTracker, amount: u64) {
        let applied = amount.min(used(gas));
        gas.set_reservoir(gas.reservoir() + applied);
        gas.set_state_gas_spent(gas.state_gas_spent().saturating_sub_unsigned(applied));
        self.applied += applied;
        self.pending += amount - applied;
    }

    /// Notes what the interpreter itself gives back for a creation that failed.
    pub(super) fn note_failed_creation(&mut self, amount: u64) {
        self.applied += amount;
    }

    /// Takes over those of a callee that succeeded; `gas` is the caller's, which has the callee's use already.
    pub(super) fn take_over(&mut self, gas: &mut GasTracker, callee: Self) {
        self.applied += callee.applied;
        self.give_back(gas, callee.pending);
    }

    /// Settles the gas of a callee that failed; tells what is lost.
    pub(super) fn settle_failed(self, callee_gas: &mut GasTracker) -> u64 {
        let restored = callee_gas.reservoir() + used(callee_gas);
        let lost = self.applied.min(restored);
        callee_gas.set_reservoir(restored - lost);
        callee_gas.set_state_gas_spent(0);
        lost
    }
}

fn used(gas: &GasTracker) -> u64 {
    u64::try_from(gas.state_gas_spent()).unwrap_or_default()
}

/// Charges state gas and leaves the running frame's [`Credits`] as they are.
pub(super) fn keep_credits(gas: &mut Gas, charge: impl FnOnce(&mut Gas) -> bool) -> bool {
    let packed = gas.tracker().state_gas_spilled();
    let is_covered = charge(gas);
    gas.tracker_mut().set_state_gas_spilled(packed);
    is_covered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bal_devnet4::gas_params;

    const SLOT: u64 = 32 * 1_174;

    /// A frame with an empty reservoir that has paid for `slots` out of its regular gas.
    fn frame_with(slots: u64) -> GasTracker {
        let mut gas = GasTracker::new(1_000_000, 1_000_000, 0);
        assert!(gas.record_state_cost(slots * SLOT));
        gas.set_state_gas_spilled(0);
        gas
    }

    #[test]
    fn what_a_frame_paid_comes_back_to_its_reservoir() {
        let mut gas = frame_with(2);
        let mut credits = Credits::default();
        credits.give_back(&mut gas, SLOT);
        assert_eq!((gas.reservoir(), gas.state_gas_spent()), (SLOT, SLOT as i64));
        assert_eq!(credits, Credits { applied: SLOT, pending: 0 });
        assert_eq!(gas.remaining(), 1_000_000 - 2 * SLOT);
    }

    #[test]
    fn what_the_caller_paid_waits_for_success() {
        let mut callee = Credits::default();
        let mut callee_gas = frame_with(0);
        callee.give_back(&mut callee_gas, SLOT);
        assert_eq!((callee_gas.reservoir(), callee), (0, Credits { applied: 0, pending: SLOT }));
        let (mut caller, mut caller_gas) = (Credits::default(), frame_with(1));
        caller.take_over(&mut caller_gas, callee);
        assert_eq!((caller_gas.reservoir(), caller_gas.state_gas_spent()), (SLOT, 0));
        assert_eq!(caller, Credits { applied: SLOT, pending: 0 });
    }

    #[test]
    fn a_failed_frame_returns_what_it_used_and_loses_what_it_gave_back() {
        let mut gas = frame_with(3);
        let mut credits = Credits::default();
        credits.give_back(&mut gas, SLOT);
        assert_eq!(credits.settle_failed(&mut gas), SLOT);
        assert_eq!((gas.reservoir(), gas.state_gas_spent()), (2 * SLOT, 0));
    }

    #[test]
    fn credits_survive_in_the_interpreters_count() {
        let params = gas_params(1_174);
        let credits = Credits { applied: 112 * 1_174, pending: SLOT };
        let mut gas = Gas::new(1_000_000);
        credits.put(gas.tracker_mut(), &params);
        assert!(keep_credits(&mut gas, |gas| gas.record_state_cost(SLOT)));
        assert_eq!(Credits::of(gas.tracker(), &params), credits);
        assert_eq!(Credits::take(gas.tracker_mut(), &params), credits);
        assert_eq!(Credits::of(gas.tracker(), &params), Credits::default());
    }
}
