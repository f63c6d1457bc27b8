//! How much gas a call needs: searched for by running it with one limit after another.

use alloy_eips::{eip4844::DATA_GAS_PER_BLOB, eip7825::MAX_TX_GAS_LIMIT_OSAKA};
use alloy_primitives::U256;
use portico_evm::{CallError, EvmEnv, TxEnv};
use revm::{
    context::result::{ExecutionResult, HaltReason, InvalidTransaction},
    primitives::hardfork::SpecId,
};

use crate::{CallOverrides, CallRequest, QueryError, Snapshot, call::CallDatabase};

/// Gas of a transfer to an account without code.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value gives to its callee.
const CALL_STIPEND: u64 = 2_300;
/// The answer may be this part higher than the least limit, as clients add to it anyway.
const ERROR_RATIO: f64 = 0.015;

impl Snapshot<'_> {
    /// A gas limit with which the call succeeds on the state after a block, at most 1.5 % above the least.
    ///
    /// # Errors
    /// [`QueryError::Reverted`] and [`QueryError::Halted`] for a call that fails however much gas it has,
    /// [`QueryError::GasRequired`] for one that needs more than the block, the sender's funds or the settings allow;
    /// those of [`Snapshot::run_call`].
    pub fn estimate_gas(
        &self,
        request: CallRequest,
        block_number: u64,
        overrides: CallOverrides,
    ) -> Result<u64, QueryError> {
        self.estimate(request, block_number, overrides, ERROR_RATIO)
    }

    /// The least gas limit with which the call succeeds: [`Snapshot::estimate_gas`] for more work.
    ///
    /// # Errors
    /// As [`Snapshot::estimate_gas`].
    pub fn least_gas(
        &self,
        request: CallRequest,
        block_number: u64,
        overrides: CallOverrides,
    ) -> Result<u64, QueryError> {
        self.estimate(request, block_number, overrides, 0.0)
    }

    fn estimate(
        &self,
        request: CallRequest,
        block_number: u64,
        overrides: CallOverrides,
        error_ratio: f64,
    ) -> Result<u64, QueryError> {
        let (mut database, mut environment) = self.prepare_calls(block_number, overrides)?;
        let wanted = request.gas;
        let fee_cap = request.max_fee_per_gas.or(request.gas_price).unwrap_or_default();
        let request = self.prepare_call(request, &mut environment)?;
        let highest = self.highest_limit(wanted, &environment);
        let highest = affordable(highest, fee_cap, &request, &mut database)?;
        let highest = highest.min(self.settings().call_gas_max);
        let is_transfer = is_transfer(&request, &mut database)?;
        let mut attempt = |gas_limit| {
            self.check_deadline()?;
            self.attempt(&mut database, &environment, &request, gas_limit)
        };
        if is_transfer && matches!(attempt(TRANSFER_GAS)?, Attempt::Enough { .. }) {
            return Ok(TRANSFER_GAS);
        }
        least_limit(highest, error_ratio, attempt)
    }

    /// The block's gas limit or the one that is asked for, if a transaction may have it (EIP-7825).
    fn highest_limit(&self, wanted: Option<u64>, environment: &EvmEnv) -> u64 {
        let highest = wanted.filter(|gas| *gas >= TRANSFER_GAS).unwrap_or(environment.block_env.gas_limit);
        let spec = environment.cfg_env.spec;
        let is_capped = spec.is_enabled_in(SpecId::OSAKA) && !spec.is_enabled_in(SpecId::AMSTERDAM);
        if is_capped { highest.min(MAX_TX_GAS_LIMIT_OSAKA) } else { highest }
    }

    fn attempt(
        &self,
        database: &mut CallDatabase<'_, '_>,
        environment: &EvmEnv,
        request: &TxEnv,
        gas_limit: u64,
    ) -> Result<Attempt, QueryError> {
        let request = TxEnv { gas_limit, ..request.clone() };
        match self.execute(database, environment.clone(), request) {
            Ok(executed) => Ok(Attempt::of(executed.result)),
            Err(QueryError::Call(CallError::Invalid(
                InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
                | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
            ))) => Ok(Attempt::TooLittle),
            Err(error) => Err(error),
        }
    }
}

/// What running a call with some gas limit says.
#[derive(Debug)]
enum Attempt {
    /// It succeeded.
    Enough {
        /// After refunds.
        gas_used: u64,
        /// Before refunds.
        gas_spent: u64,
    },
    /// It ran out of gas, or did not begin.
    TooLittle,
    /// It failed in another way, which may be for lack of gas all the same.
    Failed(QueryError),
}

impl Attempt {
    fn of(result: ExecutionResult) -> Self {
        match result {
            ExecutionResult::Success { gas, .. } => {
                let gas_used = gas.tx_gas_used();
                Self::Enough { gas_used, gas_spent: gas.total_gas_spent().max(gas_used) }
            }
            ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => Self::TooLittle,
            ExecutionResult::Halt { reason, .. } => Self::Failed(QueryError::Halted { reason }),
            ExecutionResult::Revert { output, .. } => Self::Failed(QueryError::reverted(output)),
        }
    }
}

/// Searches up to `highest` as go-ethereum does: most calls need little more than they use. Stops when the answer is at
/// most the part `error_ratio` too high.
fn least_limit(
    highest: u64,
    error_ratio: f64,
    mut attempt: impl FnMut(u64) -> Result<Attempt, QueryError>,
) -> Result<u64, QueryError> {
    let (gas_used, gas_spent) = match attempt(highest)? {
        Attempt::Enough { gas_used, gas_spent } => (gas_used, gas_spent),
        Attempt::TooLittle => return Err(QueryError::GasRequired { allowance: highest }),
        Attempt::Failed(error) => return Err(error),
    };
    let mut suffices = |gas_limit| Ok::<_, QueryError>(matches!(attempt(gas_limit)?, Attempt::Enough { .. }));
    let mut too_low = gas_used.saturating_sub(1);
    let mut enough = highest;
    // A callee gets at most 63 of 64 parts, so that a little more than was spent often does.
    let likely = gas_spent.saturating_add(CALL_STIPEND).saturating_mul(64) / 63;
    if likely < enough {
        if suffices(likely)? { enough = likely } else { too_low = likely }
    }
    while too_low + 1 < enough {
        if (enough - too_low) as f64 / (enough as f64) < error_ratio {
            break;
        }
        let middle = (too_low + (enough - too_low) / 2).min(too_low.saturating_mul(2).max(too_low + 1));
        if suffices(middle)? { enough = middle } else { too_low = middle }
    }
    Ok(enough)
}

/// A limit that the sender can pay for at `fee_cap` wei per gas, beside value and blobs.
fn affordable(
    gas_limit: u64,
    fee_cap: u128,
    request: &TxEnv,
    database: &mut CallDatabase<'_, '_>,
) -> Result<u64, QueryError> {
    if fee_cap == 0 {
        return Ok(gas_limit);
    }
    let address = request.caller;
    let account = database.overlay_mut().known_account(address).map_err(CallError::from)?;
    let balance = account.unwrap_or_default().balance;
    let blob_gas = DATA_GAS_PER_BLOB.saturating_mul(request.blob_hashes.len() as u64);
    let blob_fee = U256::from(blob_gas).saturating_mul(U256::from(request.max_fee_per_blob_gas));
    let spent = request.value.saturating_add(blob_fee);
    let left = balance.checked_sub(spent).filter(|left| !left.is_zero());
    let left = left.ok_or(QueryError::InsufficientFunds { address })?;
    Ok((left / U256::from(fee_cap)).saturating_to::<u64>().min(gas_limit))
}

/// Whether the call gives something to an account without code and nothing else.
fn is_transfer(request: &TxEnv, database: &mut CallDatabase<'_, '_>) -> Result<bool, QueryError> {
    let Some(to) = request.kind.to().filter(|_| request.data.is_empty()) else { return Ok(false) };
    let account = database.overlay_mut().known_account(*to).map_err(CallError::from)?;
    Ok(!account.is_some_and(|account| account.has_code()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;

    /// A call that needs `needed` gas and uses all of it but `refund`.
    fn needs(needed: u64, refund: u64) -> impl FnMut(u64) -> Result<Attempt, QueryError> {
        move |gas_limit| {
            let enough = Attempt::Enough { gas_used: needed - refund, gas_spent: needed };
            Ok(if gas_limit >= needed { enough } else { Attempt::TooLittle })
        }
    }

    #[test]
    fn the_answer_is_at_most_the_error_ratio_too_high() {
        for needed in [21_000, 21_001, 30_000, 123_456, 1_000_000, 29_999_999] {
            for refund in [0, needed / 5] {
                let estimate = least_limit(30_000_000, ERROR_RATIO, needs(needed, refund)).unwrap();
                assert!(estimate >= needed, "{needed} {refund}: {estimate}");
                let excess = (estimate - needed) as f64 / estimate as f64;
                assert!(
                    excess <= ERROR_RATIO * 2.0 || estimate - needed <= 3_000,
                    "{needed} {refund}: {estimate}"
                );
            }
        }
    }

    #[test]
    fn without_an_error_ratio_the_answer_is_the_least() {
        for needed in [21_000, 21_001, 30_000, 123_456, 1_000_000, 29_999_999] {
            for refund in [0, 1, needed / 5] {
                assert_eq!(least_limit(30_000_000, 0.0, needs(needed, refund)).unwrap(), needed);
            }
        }
    }

    #[test]
    fn too_little_gas_and_failures_are_told_apart() {
        let error = least_limit(20_000, ERROR_RATIO, needs(21_000, 0)).unwrap_err();
        assert!(matches!(error, QueryError::GasRequired { allowance: 20_000 }));
        let error =
            least_limit(20_000, ERROR_RATIO, |_| Ok(Attempt::Failed(QueryError::reverted(Bytes::new()))))
                .unwrap_err();
        assert!(matches!(error, QueryError::Reverted { .. }));
    }

    #[test]
    fn nothing_and_everything_can_be_asked_for() {
        assert_eq!(least_limit(0, ERROR_RATIO, needs(0, 0)).unwrap(), 0);
        assert_eq!(least_limit(u64::MAX, ERROR_RATIO, needs(u64::MAX, 0)).unwrap(), u64::MAX);
    }
}
