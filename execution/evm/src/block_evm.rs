//! The interpreter as block execution uses it: alloy-evm's, with the system calls' gas of each fork, and with the
//! transactions of what the chain means by Amsterdam.
//!
//! From Amsterdam on a system call has an allowance of state gas beside its 30 million (EIP-8037). The interpreter
//! gives it in every fork; before Amsterdam a system contract that needs more than 30 million must fail.

use alloy_evm::{
    Database, Evm, EvmEnv,
    eth::{EthEvm, EthEvmContext},
};
use alloy_primitives::{Address, Bytes, TxKind};
use portico_chainspec::AmsterdamRules;
use revm::{
    Context, ExecuteEvm, InspectEvm, Inspector,
    context::{
        BlockEnv, CfgEnv, ContextSetters, Evm as RevmEvm, TxEnv,
        result::{EVMError, HaltReason, ResultAndState},
    },
    handler::{
        EthFrame, EthPrecompiles, Handler, MainnetHandler, SystemCallEvm, instructions::EthInstructions,
    },
    inspector::InspectorHandler,
    interpreter::interpreter::EthInterpreter,
    primitives::hardfork::SpecId,
};

use crate::{bal_devnet4::TransactionHandler, instructions::BlockDatabase};

/// The interpreter's own type, with everything that Ethereum's mainnet has.
pub(crate) type Inner<D, I> =
    RevmEvm<EthEvmContext<D>, I, EthInstructions<EthInterpreter, EthEvmContext<D>>, EthPrecompiles, EthFrame>;

/// Gas of a system call before the final Amsterdam (EIP-4788, EIP-2935, EIP-7002, EIP-7251).
const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// See the module.
#[expect(missing_debug_implementations, reason = "the interpreter has none")]
pub struct BlockEvm<D: Database, I> {
    inner: Inner<D, I>,
    /// Those of the block's fork: final for all blocks before Amsterdam too.
    rules: AmsterdamRules,
    inspects: bool,
    regular_gas_used: u64,
}

impl<D: Database, I> BlockEvm<D, I> {
    /// With an inspector that is there, and not in use.
    pub(crate) fn new(inner: Inner<D, I>, rules: AmsterdamRules) -> Self {
        Self { inner, rules, inspects: false, regular_gas_used: 0 }
    }

    /// What the block's fork means, where that depends on the chain.
    pub(crate) fn rules(&self) -> AmsterdamRules {
        self.rules
    }

    /// Regular gas that the last transaction took of the block's, under rules where its result does not say it.
    pub(crate) fn regular_gas_used(&self) -> u64 {
        self.regular_gas_used
    }

    pub(crate) fn into_inner(self) -> Inner<D, I> {
        self.inner
    }

    /// In alloy-evm's form.
    pub fn into_eth_evm(self) -> EthEvm<D, I, EthPrecompiles> {
        EthEvm::new(self.inner, self.inspects)
    }
}

impl<D: Database + BlockDatabase, I: Inspector<EthEvmContext<D>>> Evm for BlockEvm<D, I> {
    type DB = D;
    type Tx = TxEnv;
    type Error = EVMError<D::Error>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = EthPrecompiles;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        &self.inner.ctx.block
    }

    fn cfg_env(&self) -> &CfgEnv {
        &self.inner.ctx.cfg
    }

    fn chain_id(&self) -> u64 {
        self.inner.ctx.cfg.chain_id
    }

    fn transact_raw(&mut self, transaction: TxEnv) -> Result<ResultAndState<HaltReason>, Self::Error> {
        match self.rules {
            AmsterdamRules::Final if self.inspects => self.inner.inspect_tx(transaction),
            AmsterdamRules::Final => self.inner.transact(transaction),
            AmsterdamRules::BalDevnet4 => {
                self.inner.ctx.set_tx(transaction);
                let mut handler = TransactionHandler::new();
                let result = if self.inspects {
                    handler.inspect_run(&mut self.inner)
                } else {
                    handler.run(&mut self.inner)
                };
                let state = self.inner.finalize();
                let result = result?;
                self.regular_gas_used = handler.regular_gas_used(result.gas());
                Ok(ResultAndState { result, state })
            }
        }
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState<HaltReason>, Self::Error> {
        let is_amsterdam = self.inner.ctx.cfg.spec.is_enabled_in(SpecId::AMSTERDAM);
        if is_amsterdam && self.rules == AmsterdamRules::Final {
            return self.inner.system_call_with_caller(caller, contract, data);
        }
        let kind = TxKind::Call(contract);
        let call = TxEnv { caller, kind, data, gas_limit: SYSTEM_CALL_GAS, ..TxEnv::default() };
        self.inner.ctx.set_tx(call);
        let result = match self.rules {
            AmsterdamRules::Final => {
                MainnetHandler::<_, Self::Error, EthFrame>::default().run_system_call(&mut self.inner)
            }
            AmsterdamRules::BalDevnet4 => TransactionHandler::new().run_system_call(&mut self.inner),
        }?;
        Ok(ResultAndState::new(result, self.inner.finalize()))
    }

    fn finish(self) -> (D, EvmEnv) {
        let Context { block: block_env, cfg: cfg_env, journaled_state, .. } = self.inner.ctx;
        (journaled_state.database, EvmEnv { block_env, cfg_env })
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.inspects = enabled;
    }

    fn components(&self) -> (&D, &I, &EthPrecompiles) {
        (&self.inner.ctx.journaled_state.database, &self.inner.inspector, &self.inner.precompiles)
    }

    fn components_mut(&mut self) -> (&mut D, &mut I, &mut EthPrecompiles) {
        let inner = &mut self.inner;
        (&mut inner.ctx.journaled_state.database, &mut inner.inspector, &mut inner.precompiles)
    }
}
