//! Reading blocks ahead of their execution.

use alloy_consensus::{Header, Transaction as _};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, map::AddressSet};
use crossbeam_channel::Sender;
use portico_chain::{
    ChainError, Transaction, canonical_hash, read_body, read_header, read_senders, read_total_difficulty,
    read_transactions,
};
use portico_chainspec::BlockContext;
use portico_db::{RW, RwTxn, models::Account};
use portico_state::PlainReader;

use crate::{BlockRange, StageContext, StageError};

/// A block with all that execution needs.
#[derive(Debug)]
pub(super) struct ExecutableBlock {
    pub hash: B256,
    pub header: Header,
    pub context: BlockContext,
    pub first_tx_number: u64,
    pub transactions: Vec<Transaction>,
    pub senders: Vec<Address>,
    pub ommers: Vec<Header>,
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Accounts that it will need, as they were before the batch: those that no block of the batch had before.
    pub accounts: Vec<(Address, Option<Account>)>,
}

/// Sends the blocks of `range` in order, until there are no more or nobody takes them.
pub(super) fn read_blocks(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    range: BlockRange,
    ahead: &Sender<ExecutableBlock>,
) -> Result<(), StageError> {
    let mut plain = PlainReader::new(txn)?;
    let mut seen = AddressSet::default();
    for block_number in range.blocks() {
        let mut block = read_block(context, txn, block_number)?;
        block.accounts = read_accounts(&mut plain, &block, &mut seen)?;
        if ahead.send(block).is_err() {
            break;
        }
    }
    Ok(())
}

/// The senders and recipients that were not `seen` yet. Nothing is written to the plain state before the batch's end.
fn read_accounts(
    plain: &mut PlainReader<'_, '_, RW>,
    block: &ExecutableBlock,
    seen: &mut AddressSet,
) -> Result<Vec<(Address, Option<Account>)>, StageError> {
    let recipients = block.transactions.iter().filter_map(Transaction::to);
    let mut accounts = Vec::new();
    for address in block.senders.iter().copied().chain(recipients) {
        if seen.insert(address) {
            accounts.push((address, plain.account(&address)?));
        }
    }
    Ok(accounts)
}

fn read_block(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    block_number: u64,
) -> Result<ExecutableBlock, StageError> {
    let missing = |what| ChainError::Missing { what, block_number };
    let hash = canonical_hash(txn, block_number)?.ok_or_else(|| missing("hash"))?;
    let header = read_header(txn, block_number)?.ok_or_else(|| missing("header"))?;
    let parent_difficulty =
        read_total_difficulty(txn, block_number - 1)?.ok_or_else(|| missing("total difficulty"))?;
    let body = read_body(txn, block_number)?.ok_or_else(|| missing("body"))?;
    let transactions = read_transactions(txn, &body, block_number)?;
    let senders = read_senders(txn, &body, block_number)?;
    let context = context.spec.block_context(block_number, header.timestamp, parent_difficulty);
    Ok(ExecutableBlock {
        hash,
        header,
        context,
        first_tx_number: body.first_tx_number,
        transactions,
        senders,
        ommers: body.ommers,
        withdrawals: body.withdrawals,
        accounts: Vec::new(),
    })
}
