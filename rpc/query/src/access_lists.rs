//! The access list that a call would do best with (EIP-2930).

use alloy_rpc_types_eth::AccessListResult;
use portico_evm::inspect_call;
use portico_tracers::AccessListInspector;
use revm::context::result::ExecutionResult;

use crate::{CallOverrides, CallRequest, QueryError, Snapshot, call::output_of};

impl Snapshot<'_> {
    /// Slots and accounts that a call on the state after a block reaches, besides those that every transaction has
    /// warm. A list changes what the call costs and so perhaps what it does: the call runs until its list stays the
    /// same.
    ///
    /// A call that fails has a list too; the answer says how it failed.
    ///
    /// # Errors
    /// Those of [`Snapshot::run_call`].
    pub fn access_list(
        &self,
        mut request: CallRequest,
        block_number: u64,
        overrides: CallOverrides,
    ) -> Result<AccessListResult, QueryError> {
        let (mut database, environment) = self.prepare_calls(block_number, overrides)?;
        let mut access_list = request.access_list.take().unwrap_or_default();
        loop {
            self.check_deadline()?;
            let mut environment = environment.clone();
            let request = CallRequest { access_list: Some(access_list.clone()), ..request.clone() };
            let request = self.prepare_call(request, &mut environment)?;
            let mut inspector = AccessListInspector::new(access_list.clone());
            let result = inspect_call(&mut database, environment, request, &mut inspector)?.result;
            let found = inspector.into_access_list();
            if found == access_list {
                return Ok(answer(access_list, result));
            }
            access_list = found;
        }
    }
}

fn answer(access_list: alloy_eips::eip2930::AccessList, result: ExecutionResult) -> AccessListResult {
    let gas_used = alloy_primitives::U256::from(result.tx_gas_used());
    let error = output_of(result).err().map(|error| match error {
        // The reason is in what the call itself returns.
        QueryError::Reverted { .. } => "execution reverted".to_owned(),
        error => error.to_string(),
    });
    AccessListResult { access_list, gas_used, error }
}
