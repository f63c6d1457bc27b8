//! Each rule for ommers, bodies and outcomes of execution, at its edge.

#[path = "support/build.rs"]
mod build;

use alloy_consensus::{
    EMPTY_ROOT_HASH, EthereumReceipt, EthereumTxEnvelope, Header, SignableTransaction, TxEip1559, TxEip2930,
    TxEip4844, TxEip7702, TxLegacy, TxType, proofs,
};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{Address, B256, Bytes, Log, Signature, U256, keccak256};
use build::{Pair, TERMINAL, chain};
use portico_chainspec::{BlockContext, ChainSpec, Fork};
use portico_consensus::{
    Ancestor, BodyView, ConsensusError as Error, ExecutionResult, RLP_BLOCK_SIZE_MAX,
    receipts_root_and_bloom, receipts_root_with_states, validate_block_access_list_length, validate_body,
    validate_execution, validate_ommers,
};

type Transaction = EthereumTxEnvelope<TxEip4844>;

fn sign<T: SignableTransaction<Signature>>(tx: T) -> Transaction
where
    Transaction: From<alloy_consensus::Signed<T>>,
{
    tx.into_signed(Signature::test_signature()).into()
}

fn blob_tx(blobs: usize) -> Transaction {
    sign(TxEip4844 { blob_versioned_hashes: vec![B256::repeat_byte(1); blobs], ..TxEip4844::default() })
}

/// Ancestors of a block, the parent first: proof-of-work headers up to `number`, and their hashes.
fn ancestry(spec: &ChainSpec, number: u64) -> Vec<(B256, Header)> {
    let mut chain = vec![(spec.genesis_hash(), spec.genesis_header().clone())];
    for number in 1..=number {
        let (parent_hash, parent) = &chain[0];
        let header = child(spec, *parent_hash, parent, b"");
        assert_eq!(header.number, number);
        chain.insert(0, (header.hash_slow(), header));
    }
    chain
}

fn child(spec: &ChainSpec, parent_hash: B256, parent: &Header, extra: &'static [u8]) -> Header {
    let block = BlockContext { number: parent.number + 1, timestamp: parent.timestamp + 10, merged: false };
    Header {
        parent_hash,
        number: block.number,
        timestamp: block.timestamp,
        gas_limit: parent.gas_limit,
        difficulty: portico_consensus::block_difficulty(spec, block, parent),
        ommers_hash: parent.ommers_hash,
        extra_data: Bytes::from_static(extra),
        ..Header::default()
    }
}

#[test]
fn ommers_are_recent_new_and_valid() {
    let spec = chain();
    let chain = ancestry(&spec, 20);
    let none: Vec<Ancestor<'_>> =
        chain.iter().map(|(hash, header)| Ancestor { hash: *hash, header, ommer_hashes: &[] }).collect();
    let ommer_of = |generation: usize, extra| child(&spec, chain[generation].0, &chain[generation].1, extra);
    let check = |ommers: &[Header]| validate_ommers(&spec, ommers, &none);

    // `chain[0]` is the parent of the block. An ommer's parent is `chain[1]` to `chain[6]`.
    for generation in 1..=6 {
        assert_eq!(check(&[ommer_of(generation, b"a"), ommer_of(generation, b"b")]), Ok(()));
    }
    for generation in [0, 7] {
        let ommer = ommer_of(generation, b"a");
        let (hash, parent_hash) = (ommer.hash_slow(), ommer.parent_hash);
        assert_eq!(check(&[ommer]), Err(Error::OmmerParentNotAncestor { hash, parent_hash }));
    }
    let three = [b"a", b"b", b"c"].map(|extra| ommer_of(1, extra));
    assert_eq!(check(&three), Err(Error::TooManyOmmers { max: 2, got: 3 }));
    let twin = ommer_of(1, b"a");
    let hash = twin.hash_slow();
    assert_eq!(check(&[twin.clone(), twin.clone()]), Err(Error::DuplicateOmmer { hash }));
    let ancestor = chain[2].1.clone();
    assert_eq!(check(&[ancestor]), Err(Error::OmmerIsAncestor { hash: chain[2].0 }));

    let included = [hash];
    let mut seen = none.clone();
    seen[6].ommer_hashes = &included;
    assert_eq!(
        validate_ommers(&spec, std::slice::from_ref(&twin), &seen),
        Err(Error::OmmerAlreadyIncluded { hash })
    );

    let mut invalid = twin;
    invalid.gas_used = invalid.gas_limit + 1;
    let hash = invalid.hash_slow();
    assert!(matches!(
        check(&[invalid]),
        Err(Error::InvalidOmmer { hash: of, reason }) if of == hash
            && matches!(*reason, Error::GasUsedAboveLimit { .. })
    ));
}

/// A body under a header that fits it, valid until a test changes it.
struct Whole {
    spec: ChainSpec,
    block: BlockContext,
    header: Header,
    transactions: Vec<Transaction>,
    withdrawals: Option<Vec<Withdrawal>>,
}

impl Whole {
    fn merged(timestamp: u64, transactions: Vec<Transaction>) -> Self {
        let Pair { spec, mut header, .. } = Pair::merged(chain(), timestamp);
        let block = spec.block_context(header.number, timestamp, U256::from(TERMINAL));
        let blobs: usize = transactions.iter().map(blob_count).sum();
        header.transactions_root = proofs::calculate_transaction_root(&transactions);
        header.blob_gas_used = header.blob_gas_used.map(|_| blobs as u64 * 131_072);
        let withdrawals = header.withdrawals_root.map(|_| Vec::new());
        Self { spec, block, header, transactions, withdrawals }
    }

    fn check(&self) -> Result<(), Error> {
        let body = BodyView {
            transactions: &self.transactions,
            ommers: &[],
            withdrawals: self.withdrawals.as_deref(),
        };
        validate_body(&self.spec, self.block, &self.header, body)
    }
}

fn blob_count(tx: &Transaction) -> usize {
    alloy_consensus::Transaction::blob_versioned_hashes(tx).map_or(0, <[B256]>::len)
}

#[test]
fn transaction_types_start_with_their_fork() {
    let pre_berlin = chain();
    let types: [(Transaction, TxType, Fork); 4] = [
        (sign(TxEip2930::default()), TxType::Eip2930, Fork::Berlin),
        (sign(TxEip1559::default()), TxType::Eip1559, Fork::London),
        (blob_tx(1), TxType::Eip4844, Fork::Cancun),
        (sign(TxEip7702::default()), TxType::Eip7702, Fork::Prague),
    ];
    let header = |transactions: &[Transaction]| Header {
        transactions_root: proofs::calculate_transaction_root(transactions),
        ommers_hash: alloy_consensus::EMPTY_OMMER_ROOT_HASH,
        ..Header::default()
    };
    for (tx, tx_type, fork) in types {
        let transactions = [sign(TxLegacy::default()), tx];
        let body = BodyView { transactions: &transactions, ommers: &[], withdrawals: None };
        let block = BlockContext { number: 10, timestamp: 0, merged: false };
        let expected = Error::TransactionType { tx_index: 1, tx_type: tx_type as u8, fork };
        assert_eq!(validate_body(&pre_berlin, block, &header(&transactions), body), Err(expected));
    }
    let all = vec![
        sign(TxLegacy::default()),
        sign(TxEip2930::default()),
        sign(TxEip1559::default()),
        blob_tx(2),
        sign(TxEip7702::default()),
    ];
    assert_eq!(Whole::merged(3000, all.clone()).check(), Ok(()));
    assert!(matches!(Whole::merged(2000, all).check(), Err(Error::TransactionType { tx_index: 4, .. })));
}

#[test]
fn body_belongs_to_its_header() {
    let whole = || Whole::merged(3000, vec![sign(TxLegacy::default())]);
    let mut other = whole();
    other.transactions.push(sign(TxLegacy::default()));
    assert!(matches!(other.check(), Err(Error::TransactionsRoot { .. })));

    let mut other = whole();
    other.header.ommers_hash = B256::ZERO;
    let got = alloy_consensus::EMPTY_OMMER_ROOT_HASH;
    assert_eq!(other.check(), Err(Error::OmmersHash { expected: B256::ZERO, got }));

    let mut other = whole();
    other.withdrawals = Some(vec![Withdrawal::default()]);
    assert!(matches!(other.check(), Err(Error::WithdrawalsRoot { expected: EMPTY_ROOT_HASH, .. })));
    other.withdrawals = None;
    assert_eq!(other.check(), Err(Error::WithdrawalsMissing));

    let mut early = Whole::merged(999, vec![]);
    assert_eq!(early.check(), Ok(()));
    early.withdrawals = Some(vec![]);
    assert_eq!(early.check(), Err(Error::WithdrawalsUnexpected));
}

#[test]
fn blobs_are_counted() {
    let mut whole = Whole::merged(3000, vec![blob_tx(4), blob_tx(5)]);
    assert_eq!(whole.check(), Ok(()));
    whole.header.blob_gas_used = Some(8 * 131_072);
    assert_eq!(whole.check(), Err(Error::BlobGasUsed { expected: 8 * 131_072, got: 9 * 131_072 }));
    assert_eq!(Whole::merged(3999, vec![blob_tx(7)]).check(), Ok(()));
    for timestamp in [4000, 5000, 6000] {
        assert_eq!(Whole::merged(timestamp, vec![blob_tx(6)]).check(), Ok(()));
        let expected = Error::TooManyBlobsInTransaction { tx_index: 0, max: 6, got: 7 };
        assert_eq!(Whole::merged(timestamp, vec![blob_tx(7)]).check(), Err(expected));
    }
}

#[test]
fn transaction_gas_is_capped_from_osaka_to_amsterdam() {
    let with = |timestamp, gas_limit| {
        Whole::merged(timestamp, vec![sign(TxLegacy { gas_limit, ..TxLegacy::default() })]).check()
    };
    let (max, got) = (16_777_216, 16_777_217);
    assert_eq!(with(4000, max), Ok(()));
    assert_eq!(with(3999, got), Ok(()));
    for timestamp in [4000, 5999] {
        let expected = Error::TransactionGasLimitTooHigh { tx_index: 0, max, got };
        assert_eq!(with(timestamp, got), Err(expected));
    }
    assert_eq!(with(6000, got), Ok(()), "the cap moves to the execution dimension");
}

#[test]
fn blocks_are_at_most_eight_mebibytes_from_osaka_on() {
    let with = |timestamp, size| {
        let input = Bytes::from(vec![1; size]);
        Whole::merged(timestamp, vec![sign(TxLegacy { input, ..TxLegacy::default() })])
    };
    let size_of = |whole: &Whole| {
        let body = alloy_consensus::BlockBody {
            transactions: whole.transactions.clone(),
            ommers: vec![],
            withdrawals: whole.withdrawals.clone().map(Into::into),
        };
        alloy_rlp::encode(alloy_consensus::Block { header: whole.header.clone(), body }).len()
    };
    let overhead = size_of(&with(4000, 8_000_000)) - 8_000_000;
    let largest = with(4000, RLP_BLOCK_SIZE_MAX - overhead);
    assert_eq!(size_of(&largest), RLP_BLOCK_SIZE_MAX);
    assert_eq!(largest.check(), Ok(()));
    let expected = Error::BlockTooLarge { max: RLP_BLOCK_SIZE_MAX, got: RLP_BLOCK_SIZE_MAX + 1 };
    assert_eq!(with(4000, RLP_BLOCK_SIZE_MAX - overhead + 1).check(), Err(expected));
    assert_eq!(with(3999, RLP_BLOCK_SIZE_MAX).check(), Ok(()));
}

fn receipts() -> Vec<EthereumReceipt> {
    let log = Log::new_unchecked(Address::repeat_byte(1), vec![B256::repeat_byte(2)], Bytes::new());
    let of = |tx_type, gas, logs| EthereumReceipt { tx_type, success: true, cumulative_gas_used: gas, logs };
    vec![of(TxType::Legacy, 21_000, vec![log]), of(TxType::Eip1559, 42_000, vec![])]
}

#[test]
fn outcome_of_execution_fits_the_header() {
    let receipts = receipts();
    let (receipts_root, logs_bloom) = receipts_root_and_bloom(&receipts);
    let requests = Requests::new(vec![Bytes::from_static(&[1, 2, 3])]);
    let list_hash = keccak256([0xc0]);
    let Pair { spec, header, .. } = Pair::merged(chain(), 6000);
    let header = Header {
        gas_used: 50_000,
        receipts_root,
        logs_bloom,
        requests_hash: Some(requests.requests_hash()),
        block_access_list_hash: Some(list_hash),
        ..header
    };
    let block = spec.block_context(header.number, header.timestamp, U256::from(TERMINAL));
    let result = ExecutionResult {
        gas_used: 50_000,
        receipts: &receipts,
        state_roots: None,
        requests: Some(&requests),
        block_access_list_hash: Some(list_hash),
    };
    let check = |result| validate_execution(&spec, block, &header, result);
    assert_eq!(check(result), Ok(()), "gas used need not be the last receipt's");
    assert_eq!(
        check(ExecutionResult { gas_used: 42_000, ..result }),
        Err(Error::GasUsed { expected: 50_000, got: 42_000 })
    );
    assert!(matches!(
        check(ExecutionResult { receipts: &receipts[..1], ..result }),
        Err(Error::ReceiptsRoot { .. })
    ));
    let none = Requests::default();
    assert!(matches!(
        check(ExecutionResult { requests: Some(&none), ..result }),
        Err(Error::RequestsHash { .. })
    ));
    assert_eq!(
        check(ExecutionResult { requests: None, ..result }),
        Err(Error::OutcomeMissing { outcome: "requests", fork: Fork::Prague })
    );
    assert_eq!(
        check(ExecutionResult { block_access_list_hash: Some(B256::ZERO), ..result }),
        Err(Error::BlockAccessListHash { expected: list_hash, got: B256::ZERO })
    );
    assert_eq!(
        check(ExecutionResult { block_access_list_hash: None, ..result }),
        Err(Error::OutcomeMissing { outcome: "block access list", fork: Fork::Amsterdam })
    );
    let no_bloom = Header { logs_bloom: Default::default(), ..header.clone() };
    assert!(matches!(validate_execution(&spec, block, &no_bloom, result), Err(Error::LogsBloom { .. })));
}

#[test]
fn a_block_access_list_has_an_item_for_each_2000_gas_at_most() {
    assert_eq!(validate_block_access_list_length(30_000, 15), Ok(()));
    assert_eq!(
        validate_block_access_list_length(29_999, 15),
        Err(Error::BlockAccessListTooLong { max: 14, got: 15 })
    );
}

#[test]
fn receipts_root_counts_from_byzantium_on() {
    let receipts = receipts();
    let (_, logs_bloom) = receipts_root_and_bloom(&receipts);
    let header = Header { gas_used: 42_000, logs_bloom, receipts_root: B256::ZERO, ..Header::default() };
    let result = ExecutionResult {
        gas_used: 42_000,
        receipts: &receipts,
        state_roots: None,
        requests: None,
        block_access_list_hash: None,
    };
    let mainnet = ChainSpec::mainnet();
    let check = |number| {
        let block = BlockContext { number, timestamp: 0, merged: false };
        validate_execution(&mainnet, block, &header, result)
    };
    assert_eq!(check(4_369_999), Ok(()), "the state roots are not given");
    assert!(matches!(check(4_370_000), Err(Error::ReceiptsRoot { .. })));

    let state_roots = vec![B256::repeat_byte(1); receipts.len()];
    let block = BlockContext { number: 4_369_999, timestamp: 0, merged: false };
    let result = ExecutionResult { state_roots: Some(&state_roots), ..result };
    assert!(matches!(validate_execution(&mainnet, block, &header, result), Err(Error::ReceiptsRoot { .. })));
    let receipts_root = receipts_root_with_states(&receipts, &state_roots);
    let header = Header { receipts_root, ..header.clone() };
    assert_eq!(validate_execution(&mainnet, block, &header, result), Ok(()));
}
