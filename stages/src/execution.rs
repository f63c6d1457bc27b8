//! Running the transactions: plain state, receipts and what each block changed.
//!
//! ```text
//!  reader thread ── decoded blocks ──> execution (this thread) ── outcomes ──> checker thread
//!                                          │                                       │
//!                              overlay of plain state                 receipts root, bloom, gas, requests;
//!                              written sorted at the end              Receipts, AccountChanges, StorageChanges,
//!                                                                     CallTraces
//! ```
//! The batch ends before `range.to` when the overlay is as large, or as much gas was used, as the settings allow.
//!
//! Rows that unwinding leaves in place: `Bytecodes`.

mod blocks;
pub(crate) mod check;
mod state_roots;
mod unwind;
mod write;

use crossbeam_channel::{Receiver, Sender, bounded};
use portico_chain::{ChainError, canonical_hash};
use portico_chainspec::Fork;
use portico_db::RwTxn;
use portico_evm::{BlockInput, BlockRules, ExecutionError, Overlay, execute_block};
use portico_state::PlainReader;

pub use self::write::write_overlay;
use self::{
    blocks::{ExecutableBlock, read_blocks},
    check::{Executed, check_and_write},
    state_roots::{Fault, StateRoots},
};
use crate::{BlockRange, Counters, Stage, StageContext, StageError, StageId, StageOutput};

/// Decoded blocks that wait for execution.
const BLOCKS_AHEAD: usize = 64;
/// Executed blocks that wait for being checked and written.
const BLOCKS_BEHIND: usize = 64;
/// How far back `BLOCKHASH` sees.
const BLOCK_HASHES: u64 = 256;

/// See the module.
#[derive(Debug, Default)]
pub struct Execution;

impl Stage for Execution {
    fn id(&self) -> StageId {
        StageId::Execution
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let (ahead, blocks) = bounded(BLOCKS_AHEAD);
        let (behind, executed) = bounded(BLOCKS_BEHIND);
        let mut overlay = Overlay::new(PlainReader::new(txn)?);
        load_block_hashes(txn, range.done, &mut overlay)?;
        let (batch, read, checked) = std::thread::scope(|scope| {
            let reader = spawn(scope, "exec-read", move || read_blocks(context, txn, range, &ahead));
            let checker =
                spawn(scope, "exec-check", move || check_and_write(context, txn, range.done, &executed));
            let batch = execute_batch(context, txn, &mut overlay, range, &blocks, &behind);
            // Both threads end when their channels do.
            drop((blocks, behind));
            (batch, reader.join(), checker.join())
        });
        // The checker is behind execution: what it finds is in an earlier block.
        checked.map_err(|_| StageError::Worker(StageId::Execution))??;
        let output = batch?;
        read.map_err(|_| StageError::Worker(StageId::Execution))??;
        context.stop.check()?;
        write_overlay(txn, &overlay.into_writes())?;
        Ok(output)
    }

    fn unwind(&mut self, _: &StageContext<'_>, txn: &RwTxn<'_>, range: BlockRange) -> Result<(), StageError> {
        unwind::unwind(txn, range)
    }

    /// Receipts are pruned with another setting, which does not exist yet; changes go in the Prune stage.
    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}

/// A thread whose name shows in profilers and in the process list.
fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, T> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .expect("the system has threads")
}

/// Lets the blocks after `done` see the hashes before them.
///
/// # Errors
/// When the database fails or has no such block.
pub(crate) fn load_block_hashes(
    txn: &RwTxn<'_>,
    done: u64,
    overlay: &mut Overlay<PlainReader<'_, '_, portico_db::RW>>,
) -> Result<(), StageError> {
    for number in (done + 1).saturating_sub(BLOCK_HASHES)..=done {
        let missing = ChainError::Missing { what: "hash", block_number: number };
        overlay.set_block_hash(number, canonical_hash(txn, number)?.ok_or(missing)?);
    }
    Ok(())
}

/// Executes the blocks that come from `blocks` and hands what they gave to `behind`.
fn execute_batch(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    overlay: &mut Overlay<PlainReader<'_, '_, portico_db::RW>>,
    range: BlockRange,
    blocks: &Receiver<ExecutableBlock>,
    behind: &Sender<Executed>,
) -> Result<StageOutput, StageError> {
    let mut counters = Counters::default();
    let mut reached = range.done;
    let mut state_roots = context.settings.receipt_state_roots.then(|| StateRoots::new(txn));
    for mut block in blocks {
        context.stop.check()?;
        overlay.preload(std::mem::take(&mut block.accounts));
        let (number, hash) = (block.header.number, block.hash);
        overlay.begin_block(number);
        let input = BlockInput {
            header: &block.header,
            transactions: &block.transactions,
            senders: &block.senders,
            ommers: &block.ommers,
            withdrawals: block.withdrawals.as_deref(),
        };
        let rules = BlockRules::new(context.spec, block.context);
        if rules.fork() >= Fork::Byzantium && state_roots.take().is_some() {
            overlay.forget_touched();
        }
        let (outcome, roots) = match &mut state_roots {
            Some(state_roots) => {
                let (outcome, roots) =
                    state_roots.execute_block(overlay, rules, input).map_err(|fault| match fault {
                        Fault::Execution(error) => failed(&block, error),
                        Fault::Stage(error) => error,
                    })?;
                (outcome, Some(roots))
            }
            None => (execute_block(overlay, rules, input).map_err(|error| failed(&block, error))?, None),
        };
        let changes = overlay.end_block_unsorted();
        overlay.set_block_hash(number, hash);
        reached = number;
        counters.transactions += block.transactions.len() as u64;
        counters.gas += outcome.gas_used;
        if behind.send(Executed { block, outcome, state_roots: roots, changes }).is_err() {
            // The checker found something and says what.
            break;
        }
        context.progress.at(number, counters);
        let bytes = overlay.bytes() + state_roots.as_ref().map_or(0, StateRoots::bytes);
        if bytes as u64 > context.settings.overlay_bytes || counters.gas > context.settings.batch_gas {
            break;
        }
    }
    Ok(StageOutput { reached, counters })
}

fn failed(block: &ExecutableBlock, error: ExecutionError) -> StageError {
    if error.is_invalid_block() {
        let reason = Box::new(error.into());
        StageError::InvalidBlock { number: block.header.number, hash: block.hash, reason }
    } else {
        StageError::Execution { number: block.header.number, reason: Box::new(error) }
    }
}
