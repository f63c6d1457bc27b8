//! Blocks that could come after a block: `eth_simulateV1`.
//!
//! ```text
//!  requests ── plan: numbers, times, gaps filled ──> for each block: header ─> overrides ─> system calls ─> calls
//!                                                        ▲                                                   │
//!                                                        └── hash, state root, base fee of the one before <──┘
//! ```
//! Nothing is written anywhere. Each simulated block has the header that a real one with these transactions would
//! have, its state root included; therefore the block that they start from must lie within the window of
//! [`QuerySettings::proof_blocks_max`](crate::QuerySettings).

mod block;
mod calls;
mod logs;
mod plan;
mod state_root;
mod transaction;

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::Bytes;
use alloy_rpc_types_eth::{BlockOverrides, state::StateOverride};

use crate::{CallRequest, FullBlock, LogAt, QueryError, Snapshot, call::CallDatabase};
use block::Chain;
use calls::GasPool;
use state_root::StateRoots;

pub use plan::SIMULATED_BLOCKS_MAX;
pub use transaction::encode_unsigned;
pub(crate) use transaction::{Defaults, TYPE_ACCESS_LIST, TYPE_LEGACY, unsigned};

/// What to simulate.
#[derive(Debug, Clone, Default)]
pub struct Simulation {
    /// Blocks in order.
    pub blocks: Vec<BlockRequest>,
    /// Whether transfers of ether show as logs.
    pub trace_transfers: bool,
    /// Whether base fees and nonces are as in real blocks.
    pub validation: bool,
}

/// One block to simulate.
#[derive(Debug, Clone, Default)]
pub struct BlockRequest {
    /// Fields that are not to follow from the block before.
    pub overrides: BlockOverrides,
    /// The slot, from Amsterdam on; the one after the parent's unless it is given.
    pub slot_number: Option<u64>,
    /// Withdrawals; none unless they are given.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// What is to be changed in the state before the first call.
    pub state: Option<StateOverride>,
    /// Calls in order, which become the block's transactions.
    pub calls: Vec<CallRequest>,
}

/// A block that was simulated.
#[derive(Debug)]
pub struct SimulatedBlock {
    /// The block. Nobody signed its transactions.
    pub block: FullBlock,
    /// What each transaction gave.
    pub calls: Vec<SimulatedCall>,
}

/// What a simulated transaction gave.
#[derive(Debug)]
pub struct SimulatedCall {
    /// What it returned; empty when it failed.
    pub output: Bytes,
    /// Logs, with those that stand for transfers.
    pub logs: Vec<LogAt>,
    /// After refunds.
    pub gas_used: u64,
    /// Before refunds.
    pub gas_used_max: u64,
    /// [`QueryError::Reverted`] or [`QueryError::Halted`], if it failed.
    pub error: Option<QueryError>,
}

impl Snapshot<'_> {
    /// Simulates blocks after the one with this number, which was resolved before.
    ///
    /// # Errors
    /// [`QueryError::BlockOrder`], [`QueryError::TimeOrder`], [`QueryError::TooManySimulated`] for blocks that cannot
    /// follow each other; [`QueryError::Call`] and [`QueryError::BlockGas`] for a call that no block could hold;
    /// those of [`Snapshot::proof`] for a block too far back.
    pub fn simulate(
        &self,
        simulation: Simulation,
        block_number: u64,
    ) -> Result<Vec<SimulatedBlock>, QueryError> {
        let base = self.known_header(block_number)?;
        let Simulation { blocks, trace_transfers, validation } = simulation;
        let planned = plan::plan(blocks, base.number, base.timestamp)?;
        let mut database = CallDatabase::new(self, block_number)?;
        database.set_block_hash(block_number, base.hash());
        let roots = StateRoots::new(self, block_number, base.state_root)?;
        let mut chain = Chain {
            snapshot: self,
            total_difficulty: self.total_difficulty(block_number)?.unwrap_or_default(),
            parent: base,
            database,
            roots,
            gas_pool: GasPool { left: self.settings().call_gas_max },
            trace_transfers,
            validation,
        };
        planned
            .into_iter()
            .map(|planned| {
                self.check_deadline()?;
                chain.simulate(planned)
            })
            .collect()
    }
}
