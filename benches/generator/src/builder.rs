//! Blocks from planned transactions: execution behind a trait, header sealing, the stream of blocks.

use crate::{
    config::{Fork, GeneratorConfig},
    error::{GeneratorError, Mismatch},
    genesis::{EXTRA_DATA, genesis, genesis_header},
    plan::{BlockContext, Outcome, PlannedBlock, PlannedTransaction, Transaction},
    random::Random,
    sign::sign,
    workload::Workload,
};
use alloy_consensus::{
    Block, BlockBody, Header, ReceiptEnvelope, Transaction as _, TxReceipt,
    proofs::{calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root},
    transaction::Recovered,
};
use alloy_eips::{
    eip1559::BaseFeeParams,
    eip4895::{Withdrawal, Withdrawals},
    eip7840::BlobParams,
};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bloom, Bytes};
use std::error::Error;

/// The random stream of header fields.
const STREAM: u64 = 3;
/// Fee recipients take turns at random.
const BENEFICIARIES: u64 = 12;
/// One block in this many comes a slot late.
const MISSED_SLOT: u64 = 100;

/// The fields of a header that are known before execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderTemplate {
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Block number.
    pub number: u64,
    /// Time in seconds.
    pub timestamp: u64,
    /// Who gets the tips.
    pub beneficiary: Address,
    /// Most gas that the transactions may use.
    pub gas_limit: u64,
    /// Wei per gas that is burnt.
    pub base_fee_per_gas: u64,
    /// The beacon chain's randomness, which is the header's mix hash.
    pub prev_randao: B256,
    /// From Cancun on (EIP-4788).
    pub parent_beacon_block_root: Option<B256>,
    /// From Cancun on (EIP-4844).
    pub excess_blob_gas: Option<u64>,
    /// From Cancun on.
    pub blob_params: Option<BlobParams>,
    /// Free text.
    pub extra_data: Bytes,
    /// The rules.
    pub fork: Fork,
}

impl HeaderTemplate {
    /// The blob base fee, in wei per blob gas; 1 before Cancun.
    pub fn blob_base_fee(&self) -> u128 {
        let fee = self.blob_params.zip(self.excess_blob_gas);
        fee.map_or(1, |(params, excess)| params.calc_blob_fee(excess))
    }

    /// What a workload has to know of the block.
    pub fn context(&self) -> BlockContext {
        BlockContext {
            number: self.number,
            timestamp: self.timestamp,
            base_fee: self.base_fee_per_gas,
            gas_limit: self.gas_limit,
            blob_base_fee: self.blob_base_fee(),
            blobs_max: self.blob_params.map_or(0, |params| params.max_blob_count),
            fork: self.fork,
        }
    }
}

/// What the execution of a block leaves behind, as its header needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedBlock {
    /// Positions, ascending, of transactions that the rules refuse. They must have had no effect.
    pub refused: Vec<usize>,
    /// One receipt for each of the others, in order.
    pub receipts: Vec<ReceiptEnvelope>,
    /// Gas of all transactions, after refunds.
    pub gas_used: u64,
    /// EIP-7685; present from Prague on.
    pub requests_hash: Option<B256>,
}

/// A state that blocks are executed on, one after the other, from genesis on.
pub trait ChainState: Send {
    /// Executes a block on the tip and makes the result the new tip.
    ///
    /// System calls before the transactions, the transactions in their order, system calls and withdrawals
    /// after them, as the fork has it. A transaction that the rules refuse is left out and its position
    /// reported.
    ///
    /// # Errors
    /// Anything but a refused transaction.
    fn execute(
        &mut self,
        header: &HeaderTemplate,
        transactions: &[Recovered<Transaction>],
        withdrawals: &[Withdrawal],
    ) -> Result<ExecutedBlock, Box<dyn Error + Send + Sync>>;

    /// Root of the state after the last block executed, withdrawals and system calls included.
    ///
    /// Called once after each block; the next block is planned and signed on other threads meanwhile.
    ///
    /// # Errors
    /// Whatever keeps it from being computed.
    fn state_root(&mut self) -> Result<B256, Box<dyn Error + Send + Sync>>;
}

/// A block with all that was known when it was made.
#[derive(Debug, Clone)]
pub struct GeneratedBlock {
    /// The block, as it goes into chain files.
    pub block: Block<Transaction>,
    /// Its hash.
    pub hash: B256,
    /// Sender of each transaction.
    pub senders: Vec<Address>,
    /// Receipt of each transaction.
    pub receipts: Vec<ReceiptEnvelope>,
    /// Plan of each transaction.
    pub planned: Vec<PlannedTransaction>,
    /// Planned transactions that the state refused. None, unless model and state disagree.
    pub refused: Vec<PlannedTransaction>,
}

impl GeneratedBlock {
    /// Positions of transactions whose receipts say something else than was planned.
    pub fn surprises(&self) -> impl Iterator<Item = usize> {
        let pairs = self.planned.iter().zip(&self.receipts).enumerate();
        let surprising =
            pairs.filter(|(_, (planned, receipt))| receipt.status() != (planned.outcome == Outcome::Success));
        surprising.map(|(position, _)| position)
    }
}

/// What goes into a block, before it is executed.
#[derive(Debug)]
struct Draft {
    /// Complete but for the parent's hash.
    template: HeaderTemplate,
    planned: Vec<PlannedTransaction>,
    signed: Vec<Recovered<Transaction>>,
    withdrawals: Vec<Withdrawal>,
}

/// Where drafts come from.
#[derive(Debug)]
struct Drafter {
    config: GeneratorConfig,
    workload: Workload,
    random: Random,
}

impl Drafter {
    /// The block after `parent`, of which the roots are not looked at.
    fn draft(&mut self, parent: &Header) -> Draft {
        let template = self.template(parent);
        let PlannedBlock { transactions: planned, withdrawals } =
            self.workload.next_block(&template.context());
        let signed = sign(self.workload.accounts(), &planned);
        Draft { template, planned, signed, withdrawals }
    }

    /// The next header, as far as it follows from the parent and from chance.
    fn template(&mut self, parent: &Header) -> HeaderTemplate {
        let slots = if self.random.below(MISSED_SLOT) == 0 { 2 } else { 1 };
        let timestamp = parent.timestamp + slots * self.config.seconds_per_block;
        let blob_params = self.config.forks.blob_params_at(timestamp);
        let base_fee = parent.next_block_base_fee(BaseFeeParams::ethereum());
        let beneficiary = self.random.below(BENEFICIARIES);
        HeaderTemplate {
            parent_hash: B256::ZERO,
            number: parent.number + 1,
            timestamp,
            beneficiary: crate::accounts::derive_address(self.config.seed, b"beneficiary", beneficiary),
            gas_limit: parent.gas_limit,
            base_fee_per_gas: base_fee.expect("London is active from genesis on"),
            prev_randao: self.random.word(),
            parent_beacon_block_root: blob_params.map(|_| self.random.word()),
            // The first block of Cancun has a parent without excess, which counts as none.
            excess_blob_gas: blob_params.map(|params| parent.next_block_excess_blob_gas(params).unwrap_or(0)),
            blob_params,
            extra_data: EXTRA_DATA,
            fork: self.config.forks.fork_at(timestamp),
        }
    }
}

/// Makes one block after the other. As an iterator it has no end, and plans one block ahead on threads that the
/// state leaves idle; after an error, the chain cannot go on.
#[derive(Debug)]
pub struct Generator<S> {
    drafter: Drafter,
    state: S,
    parent: Header,
    parent_hash: B256,
    /// The next block, when it was planned ahead.
    next: Option<Draft>,
}

impl<S: ChainState> Generator<S> {
    /// The generator of the chain that follows [`genesis`](crate::genesis()) of this configuration.
    ///
    /// `open` makes the state, given the genesis whose allocation it must hold.
    ///
    /// # Errors
    /// [`GeneratorError::Config`], or what `open` says, as an error of block 0.
    pub fn new(
        config: GeneratorConfig,
        open: impl FnOnce(&Genesis) -> Result<S, Box<dyn Error + Send + Sync>>,
    ) -> Result<Self, GeneratorError> {
        let workload = Workload::new(&config).map_err(GeneratorError::Config)?;
        let genesis = genesis(&config);
        let parent = genesis_header(&config, &genesis);
        let state = open(&genesis).map_err(|source| GeneratorError::Execution { block_number: 0, source })?;
        let random = Random::new(config.seed, STREAM);
        let drafter = Drafter { config, workload, random };
        Ok(Self { drafter, state, parent_hash: parent.hash_slow(), parent, next: None })
    }

    /// The header of the last block made, or of genesis.
    pub fn tip(&self) -> &Header {
        &self.parent
    }

    /// The state after the last block made.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The state, when no more blocks are wanted.
    pub fn into_state(self) -> S {
        self.state
    }

    /// The model behind the blocks, which knows the block that was planned ahead, if one was.
    pub fn workload(&self) -> &Workload {
        &self.drafter.workload
    }

    /// Makes the next block and plans nothing beyond it.
    ///
    /// # Errors
    /// [`GeneratorError::Execution`] or [`GeneratorError::Inconsistent`].
    pub fn next_block(&mut self) -> Result<GeneratedBlock, GeneratorError> {
        self.make_block(|_, _| None)
    }

    /// Makes the next block; `ahead` may plan the one after it.
    fn make_block(
        &mut self,
        ahead: impl FnOnce(&mut Drafter, &Header) -> Option<Draft> + Send,
    ) -> Result<GeneratedBlock, GeneratorError> {
        let draft = self.next.take().unwrap_or_else(|| self.drafter.draft(&self.parent));
        let Draft { mut template, mut planned, mut signed, withdrawals } = draft;
        template.parent_hash = self.parent_hash;
        let block_number = template.number;
        let failed = |source| GeneratorError::Execution { block_number, source };
        let executed = self.state.execute(&template, &signed, &withdrawals).map_err(failed)?;
        check(&template, &executed, planned.len())
            .map_err(|reason| GeneratorError::Inconsistent { block_number, reason })?;

        let refused = take_positions(&mut planned, &executed.refused);
        take_positions(&mut signed, &executed.refused);
        refused.iter().for_each(|planned| self.drafter.workload.refused(planned));
        let (transactions, senders) = signed.into_iter().map(Recovered::into_parts).unzip();
        let withdrawals = (template.fork >= Fork::Shanghai).then(|| Withdrawals::new(withdrawals));
        let body = BlockBody { transactions, ommers: Vec::new(), withdrawals };
        let (state, drafter) = (&mut self.state, &mut self.drafter);
        let (state_root, (mut header, next)) = rayon::join(
            || state.state_root(),
            || {
                let header = seal(template, &body, &executed);
                let next = ahead(drafter, &header);
                (header, next)
            },
        );
        header.state_root = state_root.map_err(failed)?;
        let hash = header.hash_slow();
        self.parent = header.clone();
        self.parent_hash = hash;
        self.next = next;
        let block = Block { header, body };
        Ok(GeneratedBlock { block, hash, senders, receipts: executed.receipts, planned, refused })
    }
}

impl<S: ChainState> Iterator for Generator<S> {
    type Item = Result<GeneratedBlock, GeneratorError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.make_block(|drafter, header| Some(drafter.draft(header))))
    }
}

/// Whether the executor's answer fits a block of `planned` transactions.
fn check(template: &HeaderTemplate, executed: &ExecutedBlock, planned: usize) -> Result<(), Mismatch> {
    let refused = &executed.refused;
    if !refused.is_sorted_by(|a, b| a < b) || refused.last().is_some_and(|last| *last >= planned) {
        return Err(Mismatch::RefusedPositions);
    }
    let (receipts, included) = (executed.receipts.len(), planned - refused.len());
    if receipts != included {
        return Err(Mismatch::ReceiptCount { receipts, included });
    }
    let cumulative = executed.receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used());
    if cumulative != executed.gas_used {
        return Err(Mismatch::GasUsed { receipts: cumulative, block: executed.gas_used });
    }
    if executed.requests_hash.is_some() != (template.fork >= Fork::Prague) {
        return Err(Mismatch::Requests);
    }
    Ok(())
}

/// Removes the items at these ascending positions and returns them.
fn take_positions<T>(items: &mut Vec<T>, positions: &[usize]) -> Vec<T> {
    let mut taken: Vec<T> = positions.iter().rev().map(|position| items.remove(*position)).collect();
    taken.reverse();
    taken
}

/// The header without its state root.
fn seal(template: HeaderTemplate, body: &BlockBody<Transaction>, executed: &ExecutedBlock) -> Header {
    let blob_gas = body.transactions.iter().filter_map(|transaction| transaction.blob_gas_used()).sum();
    let logs_bloom = executed.receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
    Header {
        parent_hash: template.parent_hash,
        beneficiary: template.beneficiary,
        transactions_root: calculate_transaction_root(&body.transactions),
        receipts_root: calculate_receipt_root(&executed.receipts),
        logs_bloom,
        number: template.number,
        gas_limit: template.gas_limit,
        gas_used: executed.gas_used,
        timestamp: template.timestamp,
        extra_data: template.extra_data,
        mix_hash: template.prev_randao,
        base_fee_per_gas: Some(template.base_fee_per_gas),
        withdrawals_root: body.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list)),
        blob_gas_used: template.excess_blob_gas.map(|_| blob_gas),
        excess_blob_gas: template.excess_blob_gas,
        parent_beacon_block_root: template.parent_beacon_block_root,
        requests_hash: executed.requests_hash,
        ..Header::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_taken_in_order() {
        let mut items = vec!['a', 'b', 'c', 'd'];
        assert_eq!(take_positions(&mut items, &[0, 2]), ['a', 'c']);
        assert_eq!(items, ['b', 'd']);
    }
}
