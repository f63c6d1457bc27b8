//! The interpreter as the block executor takes it: with the gas that each fork gives to system calls, and with the
//! transactions of the chain's Amsterdam.
//!
//! From Amsterdam on a system call has an allowance of state gas beside its 30 million (EIP-8037). The interpreter
//! gives it in every fork; before Amsterdam a system contract that needs more than 30 million must fail.

use alloy_evm::{Database, Evm, EvmEnv, eth::EthEvmContext};
use alloy_primitives::{Address, Bytes};
use portico_chainspec::AmsterdamRules;
use revm::{
    Context, ExecuteEvm, InspectEvm, Inspector, SystemCallEvm,
    context::{
        BlockEnv, CfgEnv, ContextSetters, Evm as RevmEvm, TxEnv,
        result::{EVMError, HaltReason, ResultAndState},
    },
    handler::{
        EthFrame, EthPrecompiles, Handler, MainnetHandler, instructions::EthInstructions,
        system_call::SystemCallTx,
    },
    inspector::InspectorHandler,
    interpreter::interpreter::EthInterpreter,
    primitives::hardfork::SpecId,
};

use crate::{
    bal_devnet4::{SYSTEM_CALL_GAS, TransactionHandler},
    instructions::BlockDatabase,
};

/// The interpreter with Ethereum's instructions and precompiles.
pub(crate) type MainnetEvm<D, I> =
    RevmEvm<EthEvmContext<D>, I, EthInstructions<EthInterpreter, EthEvmContext<D>>, EthPrecompiles, EthFrame>;

/// Gas of a system call before Amsterdam (EIP-4788, EIP-2935, EIP-7002, EIP-7251).
const EARLIER_SYSTEM_CALL_GAS: u64 = 30_000_000;

/// Runs the transactions and system calls of a block.
pub(crate) struct BlockEvm<D: Database, I> {
    inner: MainnetEvm<D, I>,
    rules: AmsterdamRules,
    inspects: bool,
    regular_gas_used: u64,
}

impl<D: Database, I> BlockEvm<D, I> {
    pub(crate) fn new(inner: MainnetEvm<D, I>, rules: AmsterdamRules) -> Self {
        Self { inner, rules, inspects: false, regular_gas_used: 0 }
    }

    /// The rules of the block's fork, [`AmsterdamRules::Final`] for all blocks before Amsterdam too.
    pub(crate) fn rules(&self) -> AmsterdamRules {
        self.rules
    }

    pub(crate) fn into_inner(self) -> MainnetEvm<D, I> {
        self.inner
    }

    /// Regular gas that the last transaction took of the block's, under rules where that is not what its result says.
    pub(crate) fn regular_gas_used(&self) -> u64 {
        self.regular_gas_used
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

    fn cfg_env(&self) -> &CfgEnv<SpecId> {
        &self.inner.ctx.cfg
    }

    fn chain_id(&self) -> u64 {
        self.inner.ctx.cfg.chain_id
    }

    fn transact_raw(&mut self, tx: TxEnv) -> Result<ResultAndState<HaltReason>, Self::Error> {
        match self.rules {
            AmsterdamRules::Final if self.inspects => self.inner.inspect_tx(tx),
            AmsterdamRules::Final => self.inner.transact(tx),
            AmsterdamRules::BalDevnet4 => {
                self.inner.ctx.set_tx(tx);
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
        match self.rules {
            AmsterdamRules::Final if self.inner.ctx.cfg.spec.is_enabled_in(SpecId::AMSTERDAM) => {
                self.inner.system_call_with_caller(caller, contract, data)
            }
            AmsterdamRules::Final => {
                let tx = TxEnv::new_system_tx_with_caller(caller, contract, data);
                self.inner.ctx.set_tx(TxEnv { gas_limit: EARLIER_SYSTEM_CALL_GAS, ..tx });
                let mut handler = MainnetHandler::<_, Self::Error, EthFrame>::default();
                let result = handler.run_system_call(&mut self.inner);
                let state = self.inner.finalize();
                Ok(ResultAndState { result: result?, state })
            }
            AmsterdamRules::BalDevnet4 => {
                let tx = TxEnv::new_system_tx_with_caller(caller, contract, data);
                self.inner.ctx.set_tx(TxEnv { gas_limit: SYSTEM_CALL_GAS, ..tx });
                let result = TransactionHandler::new().run_system_call(&mut self.inner);
                let state = self.inner.finalize();
                Ok(ResultAndState { result: result?, state })
            }
        }
    }

    fn finish(self) -> (D, EvmEnv<SpecId>) {
        let Context { block: block_env, cfg: cfg_env, journaled_state, .. } = self.inner.ctx;
        (journaled_state.database, EvmEnv { block_env, cfg_env })
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.inspects = enabled;
    }

    fn components(&self) -> (&D, &I, &EthPrecompiles) {
        let inner = &self.inner;
        (&inner.ctx.journaled_state.database, &inner.inspector, &inner.precompiles)
    }

    fn components_mut(&mut self) -> (&mut D, &mut I, &mut EthPrecompiles) {
        let inner = &mut self.inner;
        (&mut inner.ctx.journaled_state.database, &mut inner.inspector, &mut inner.precompiles)
    }
}
