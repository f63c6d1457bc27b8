//! Planned transactions: what a workload hands out, and how a draft becomes one.
//!
//! A [`Draft`] says who does what with how much gas of execution. Planning it chooses the envelope, works out
//! the intrinsic gas and the fees, and takes nonce, balance and block space; see [`Workload::push`].
//!
//! The planners in the modules below make drafts, one per [`Kind`], and keep the model of the chain up to
//! date.

mod bulk;
mod children;
mod delegation;
mod envelope;
mod failure;
mod money;
mod special;
mod swap;

use crate::{accounts::UserIndex, config::Fork, mix::Kind, workload::Workload};
use alloy_consensus::{EthereumTxEnvelope, EthereumTypedTransaction, TxEip4844};
use alloy_eips::{eip2930::AccessListItem, eip4895::Withdrawal, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, TxKind};

/// A signed transaction as blocks hold it: blob transactions without their sidecars.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;
/// The same before signing.
pub type UnsignedTransaction = EthereumTypedTransaction<TxEip4844>;

/// The block that transactions are planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockContext {
    /// Its number.
    pub number: u64,
    /// Its time, in seconds.
    pub timestamp: u64,
    /// Its base fee, in wei.
    pub base_fee: u64,
    /// Its gas limit.
    pub gas_limit: u64,
    /// Its blob base fee, in wei; 1 before Cancun.
    pub blob_base_fee: u128,
    /// How many blobs it may carry; 0 before Cancun.
    pub blobs_max: u64,
    /// Its fork.
    pub fork: Fork,
}

/// Whether a transaction is meant to succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Receipt status 1.
    Success,
    /// Included, with receipt status 0.
    Failure,
}

/// A transaction of a planned block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTransaction {
    /// The transaction, not yet signed.
    pub transaction: UnsignedTransaction,
    /// Who sends it.
    pub sender: UserIndex,
    /// What it is.
    pub kind: Kind,
    /// What it is meant to end with.
    pub outcome: Outcome,
    /// Whose nonces it raises besides the sender's, with the nonces before (EIP-7702).
    pub authorities: Vec<(UserIndex, u64)>,
}

/// The content of a block, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedBlock {
    /// All valid one after the other on the state that the workload has led to.
    pub transactions: Vec<PlannedTransaction>,
    /// Empty before Shanghai.
    pub withdrawals: Vec<Withdrawal>,
}

/// A block being planned.
#[derive(Debug)]
pub(crate) struct BlockPlan {
    pub(crate) context: BlockContext,
    pub(crate) transactions: Vec<PlannedTransaction>,
    /// What the gas limits of the transactions leave.
    gas_left: u64,
    blobs_left: u64,
}

impl BlockPlan {
    pub(crate) fn new(context: BlockContext) -> Self {
        let (gas_left, blobs_left) = (context.gas_limit, context.blobs_max);
        Self { context, transactions: Vec::new(), gas_left, blobs_left }
    }

    pub(crate) fn blobs_left(&self) -> u64 {
        self.blobs_left
    }
}

/// What goes beyond a plain call.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// Nothing: any of types 0 to 2 will do.
    Plain,
    /// Versioned hashes, for type 3.
    Blobs(Vec<B256>),
    /// Authorizations, for type 4, and what to put in [`PlannedTransaction::authorities`].
    Authorizations(Vec<SignedAuthorization>, Vec<(UserIndex, u64)>),
}

/// A transaction without nonce, fees and envelope.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) sender: UserIndex,
    pub(crate) to: TxKind,
    pub(crate) value: u128,
    pub(crate) input: Bytes,
    /// Gas to allow for beyond the intrinsic cost.
    pub(crate) execution_gas: u64,
    /// What an access list would name.
    pub(crate) touched: Vec<AccessListItem>,
    pub(crate) outcome: Outcome,
    pub(crate) payload: Payload,
}

impl Draft {
    /// A call that is meant to succeed.
    pub(crate) fn call(
        kind: Kind,
        sender: UserIndex,
        to: Address,
        input: impl Into<Bytes>,
        execution_gas: u64,
    ) -> Self {
        Self {
            kind,
            sender,
            to: to.into(),
            value: 0,
            input: input.into(),
            execution_gas,
            touched: Vec::new(),
            outcome: Outcome::Success,
            payload: Payload::Plain,
        }
    }

    /// A contract creation that is meant to succeed.
    pub(crate) fn creation(kind: Kind, sender: UserIndex, init: Bytes, execution_gas: u64) -> Self {
        Self { to: TxKind::Create, ..Self::call(kind, sender, Address::ZERO, init, execution_gas) }
    }

    pub(crate) fn with_value(self, value: u128) -> Self {
        Self { value, ..self }
    }

    pub(crate) fn touching(self, address: Address, storage_keys: Vec<B256>) -> Self {
        Self { touched: vec![AccessListItem { address, storage_keys }], ..self }
    }

    pub(crate) fn failing(self) -> Self {
        Self { outcome: Outcome::Failure, ..self }
    }
}

impl Workload {
    /// Plans one transaction of this kind, or a few where one needs another before it.
    ///
    /// Plans nothing when the block has no room, or nobody who was looked at can do it.
    pub(crate) fn plan(&mut self, block: &mut BlockPlan, kind: Kind) {
        match kind {
            Kind::Transfer => self.plan_transfer(block),
            Kind::Endowment => self.plan_endowment(block),
            Kind::TokenTransfer => self.plan_token_transfer(block),
            Kind::Approval => self.plan_approval(block),
            Kind::Swap => self.plan_swap(block),
            Kind::Mint => self.plan_mint(block),
            Kind::Deployment => self.plan_deployment(block),
            Kind::Creation => self.plan_creation(block),
            Kind::Child => self.plan_child(block),
            Kind::StorageLoop => self.plan_storage_loop(block),
            Kind::ComputeLoop => self.plan_compute_loop(block),
            Kind::Airdrop => self.plan_airdrop(block),
            Kind::Disperse => self.plan_disperse(block),
            Kind::Inbox => self.plan_inbox(block),
            Kind::Blob => self.plan_blob(block),
            Kind::Transient => self.plan_transient(block),
            Kind::Delegation => self.plan_delegation(block),
            Kind::Batch => self.plan_batch(block),
            Kind::Staking => self.plan_staking(block),
            Kind::Failure => self.plan_failure(block),
        }
    }
}
