//! Traces of tests that run: EIP-3155 on standard error, as go-ethereum's `evm` writes them.

use std::io::{self, BufWriter, Stderr};

use alloy_primitives::Address;
use portico_chain::{BlockParts, canonical_hash, read_checkpoint, read_total_difficulty};
use portico_chainspec::ChainSpec;
use portico_db::Database;
use portico_evm::{BlockExecution, BlockInput, BlockRules, Overlay, SignatureRules, recover_sender};
use portico_stages::StageId;
use portico_state::PlainReader;
use portico_tracers::{Eip3155Tracer, TraceFields};

/// How far back `BLOCKHASH` sees.
const BLOCK_HASHES: u64 = 256;

/// A tracer that writes to standard error.
pub(crate) type StderrTracer = Eip3155Tracer<BufWriter<Stderr>>;

pub(crate) fn stderr_tracer(fields: TraceFields) -> StderrTracer {
    Eip3155Tracer::new(fields, BufWriter::new(io::stderr()))
}

/// Executes a child of the head under the tracer and writes nothing to the database. Blocks of side branches have no
/// trace; one that is invalid has it up to where execution ends, and the stages say why.
pub(crate) fn trace_block(
    database: &Database,
    spec: &ChainSpec,
    block: &BlockParts,
    fields: TraceFields,
) -> io::Result<()> {
    let mut tracer = stderr_tracer(fields);
    let _ = try_trace(database, spec, block, &mut tracer);
    tracer.flush()
}

/// `None` where there is nothing more to trace.
fn try_trace(
    database: &Database,
    spec: &ChainSpec,
    block: &BlockParts,
    tracer: &mut StderrTracer,
) -> Option<()> {
    let txn = database.begin_ro().ok()?;
    let head = read_checkpoint(&txn, StageId::Finish.name()).ok()?;
    let header = &block.header;
    if canonical_hash(&txn, head).ok()? != Some(header.parent_hash) || header.number != head + 1 {
        return None;
    }
    let parent_difficulty = read_total_difficulty(&txn, head).ok()??;
    let context = spec.block_context(header.number, header.timestamp, parent_difficulty);
    let rules = BlockRules::new(spec, context);
    let signatures = SignatureRules::of(rules);
    let senders = block.transactions.iter().map(|transaction| recover_sender(transaction, signatures));
    let senders: Vec<Address> = senders.collect::<Option<_>>()?;
    let mut overlay = Overlay::new(PlainReader::new(&txn).ok()?);
    for number in header.number.saturating_sub(BLOCK_HASHES)..=head {
        overlay.set_block_hash(number, canonical_hash(&txn, number).ok()??);
    }
    overlay.begin_block(header.number);
    let input = BlockInput {
        header,
        transactions: &block.transactions,
        senders: &senders,
        ommers: &block.ommers,
        withdrawals: block.withdrawals.as_deref(),
    };
    let mut execution = BlockExecution::begin(&mut overlay, rules, input, tracer).ok()?;
    execution.inspect();
    for (transaction, sender) in block.transactions.iter().zip(&senders) {
        execution.transaction(transaction, *sender).ok()?;
    }
    Some(())
}
