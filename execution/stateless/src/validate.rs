//! The whole of it.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, keccak256};
use portico_chainspec::ChainSpec;
use portico_consensus::{
    BodyView, ConsensusError, ExecutionResult, OMMER_GENERATIONS_MAX, OMMERS_MAX, Parent, validate_body,
    validate_execution, validate_header,
};
use portico_evm::{
    BlockInput, BlockOutcome, BlockRules, ExecutionError, Overlay, OverlayWrites, SignatureRules,
    execute_block, recover_senders,
};

use crate::{Block, InvalidReason, StatelessError, Witness, ancestors::Ancestors, state::WitnessState};

/// What to do with accounts that are read and for which a node is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnprovenAccounts {
    /// The witness does not suffice.
    #[default]
    Refuse,
    /// Take them for absent and name them in [`Report::assumed_absent`]. There are witnesses that lack the proof that an
    /// account which a block looks at does not exist. What is shown is then worth no more than these assumptions: on a
    /// state that has such an account, the block may be invalid. To write to one is still refused.
    AssumeAbsent,
}

/// What was proven: on the state of `parent_hash`, the block is valid and leads to `state_root`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Block number.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// The parent's hash.
    pub parent_hash: B256,
    /// The parent's state root, under which the witness was read.
    pub parent_state_root: B256,
    /// How many transactions.
    pub transactions: usize,
    /// Gas used.
    pub gas_used: u64,
    /// The state root after the block.
    pub state_root: B256,
    /// How many ommers, which were paid without being judged.
    pub ommers: usize,
    /// Accounts taken for absent without proof: none, unless [`UnprovenAccounts::AssumeAbsent`] was asked for.
    pub assumed_absent: Vec<Address>,
}

/// Validates a block by its witness: the rules of header and body, the senders, what executing it gives, and the state
/// root after it.
///
/// Not judged, as a witness cannot tell: proof-of-work and Clique seals, Clique's signers, ommers beyond their number and
/// generation, and whether the total difficulty had reached the terminal one before the first merged block.
///
/// # Errors
/// [`StatelessError::InvalidBlock`] when the block breaks a rule; [`StatelessError::Witness`] when the witness does not
/// suffice to tell.
pub fn validate(spec: &ChainSpec, block: &Block, witness: &Witness) -> Result<Report, StatelessError> {
    validate_with(UnprovenAccounts::Refuse, spec, block, witness)
}

/// As [`validate`], with a choice.
///
/// # Errors
/// As [`validate`].
pub fn validate_with(
    unproven: UnprovenAccounts,
    spec: &ChainSpec,
    block: &Block,
    witness: &Witness,
) -> Result<Report, StatelessError> {
    let header = &block.header;
    let hash = header.hash_slow();
    let invalid = |reason: InvalidReason| StatelessError::InvalidBlock {
        number: header.number,
        hash,
        reason: Box::new(reason),
    };
    let ancestors = Ancestors::link(header, witness)?;
    let total_difficulty = ancestors.total_difficulty(spec, header);
    let parent = Parent { header: ancestors.parent, hash: header.parent_hash, total_difficulty };
    validate_header(spec, parent, header).map_err(|error| invalid(error.into()))?;
    let context = spec.block_context(header.number, header.timestamp, total_difficulty);
    let body = BodyView::from(&block.body);
    validate_body(spec, context, header, body).map_err(|error| invalid(error.into()))?;
    validate_ommers(header.number, body.ommers).map_err(|error| invalid(error.into()))?;
    let rules = BlockRules::new(spec, context);
    let senders = recover_senders(body.transactions, SignatureRules::of(rules))
        .map_err(|error| invalid(error.into()))?;
    let mut state = WitnessState::new(witness, &ancestors.hashes, parent.header.state_root, unproven);
    let input = BlockInput {
        header,
        transactions: body.transactions,
        senders: &senders,
        ommers: body.ommers,
        withdrawals: body.withdrawals,
    };
    let executed = execute(&mut state, rules, input);
    // What the witness lacks may look like a rule that is broken: a system call that fails, for one.
    state.check()?;
    let assumed_absent = state.assumed_absent();
    let invalid = |reason: InvalidReason| match (assumed_absent.is_empty(), Box::new(invalid(reason))) {
        (true, invalid) => *invalid,
        (false, invalid) => StatelessError::Undecided { unproven: assumed_absent.clone(), invalid },
    };
    let (outcome, writes) = executed.map_err(|error| match error {
        error if error.is_invalid_block() => invalid(InvalidReason::Execution(error)),
        error => StatelessError::Internal(error),
    })?;
    let access_list = outcome.access_list.as_ref().map(alloy_rlp::encode);
    let result = ExecutionResult {
        gas_used: outcome.gas_used,
        receipts: &outcome.receipts,
        // Receipts before Byzantium commit to states that only a full trie gives cheaply: not judged here.
        state_roots: None,
        requests: outcome.requests.as_ref(),
        block_access_list_hash: access_list.map(keccak256),
    };
    validate_execution(spec, context, header, result).map_err(|error| invalid(error.into()))?;
    let (expected, got) = (header.state_root, state.root_after(&writes)?);
    if got != expected {
        return Err(invalid(InvalidReason::StateRoot { expected, got }));
    }
    Ok(Report {
        number: header.number,
        hash,
        parent_hash: header.parent_hash,
        parent_state_root: parent.header.state_root,
        transactions: body.transactions.len(),
        gas_used: outcome.gas_used,
        state_root: got,
        ommers: body.ommers.len(),
        assumed_absent,
    })
}

/// What can be said of ommers without their ancestors: how many, that they differ, and that they are of the generations
/// that are paid.
fn validate_ommers(number: u64, ommers: &[Header]) -> Result<(), ConsensusError> {
    if ommers.len() > OMMERS_MAX {
        return Err(ConsensusError::TooManyOmmers { max: OMMERS_MAX, got: ommers.len() });
    }
    let hashes: Vec<B256> = ommers.iter().map(Header::hash_slow).collect();
    for (index, (ommer, &hash)) in ommers.iter().zip(&hashes).enumerate() {
        if hashes[..index].contains(&hash) {
            return Err(ConsensusError::DuplicateOmmer { hash });
        }
        let age = number.checked_sub(ommer.number);
        if !age.is_some_and(|age| (1..OMMER_GENERATIONS_MAX as u64).contains(&age)) {
            return Err(ConsensusError::OmmerParentNotAncestor { hash, parent_hash: ommer.parent_hash });
        }
    }
    Ok(())
}

fn execute(
    state: &mut WitnessState<'_>,
    rules: BlockRules<'_>,
    input: BlockInput<'_>,
) -> Result<(BlockOutcome, OverlayWrites), ExecutionError> {
    let mut overlay = Overlay::new(state);
    overlay.begin_block(input.header.number);
    let outcome = execute_block(&mut overlay, rules, input)?;
    Ok((outcome, overlay.into_writes()))
}
