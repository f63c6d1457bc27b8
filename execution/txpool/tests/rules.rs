//! Who is let in: each rule, and the words of its refusal.

mod kit;

use alloy_consensus::{TxEip1559, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use kit::*;
use portico_txpool::{
    AccountCode, Incoming, NetworkTransaction, Origin, PoolError, Sidecar, decode_network_transaction,
};

fn dynamic(tx: TxEip1559) -> NetworkTransaction {
    NetworkTransaction::Eip1559(signer(1).sign(tx))
}

#[test]
fn every_type_is_taken_and_given_back_as_it_was_sent() {
    let bench = Bench::new();
    let transactions = [
        signer(1).legacy(0, 2 * GWEI),
        signer(2).access_list(0, 2 * GWEI),
        signer(3).fee(0, 2 * GWEI, GWEI),
        signer(4).blob(0, 2 * GWEI, GWEI),
        signer(5).delegating(0, 2 * GWEI, &[signer(6)]),
    ];
    for (transaction, index) in transactions.into_iter().zip(1..) {
        let sent = transaction.encoded_2718();
        let outcome = bench.pool.add_bytes(Origin::External, &sent, &bench.accounts, NOW).unwrap();
        assert_eq!(outcome.hash, *transaction.tx_hash());
        assert_eq!(outcome.sender, signer(index).address);
        assert!(outcome.is_pending);
        let kept = bench.pool.get(&outcome.hash).unwrap();
        assert_eq!(kept.to_network_bytes(), sent);
        assert_eq!(kept.encoded_length(), sent.len());
        assert_eq!(bench.refusal(transaction), "already known");
    }
    assert_eq!(bench.pool.status().pending, 5);
    assert_eq!(bench.pool.status().blobs, 1);
}

#[test]
fn types_wait_for_their_forks() {
    let refusal = |fork, transaction| Bench::under(fork).refusal(transaction);
    let text =
        |kind, fork| format!("transaction type not supported: type {kind} rejected, pool not yet in {fork}");
    assert_eq!(refusal("Istanbul", signer(1).access_list(0, GWEI)), text(1, "Berlin"));
    assert_eq!(refusal("Berlin", signer(1).fee(0, GWEI, 1)), text(2, "London"));
    assert_eq!(refusal("Shanghai", signer(1).blob(0, GWEI, 1)), text(3, "Cancun"));
    assert_eq!(refusal("Cancun", signer(1).delegating(0, GWEI, &[signer(2)])), text(4, "Prague"));
    for fork in ["Frontier", "Berlin", "London", "Osaka"] {
        let unprotected = TxLegacy {
            gas_limit: 90_000,
            gas_price: 2 * GWEI,
            to: TxKind::Call(Address::ZERO),
            ..TxLegacy::default()
        };
        assert!(Bench::under(fork).add(NetworkTransaction::Legacy(signer(1).sign(unprotected))).is_ok());
    }
}

#[test]
fn bytes_that_are_no_transaction_are_refused() {
    let whole = signer(1).fee(0, GWEI, 1).encoded_2718();
    for bytes in [&[][..], &[0xff], &[0x02], &whole[..whole.len() - 1], &[&whole[..], &[0]].concat()] {
        let error = decode_network_transaction(bytes).unwrap_err();
        assert!(matches!(error, PoolError::Undecodable(_)), "{error}");
    }
    let error = decode_network_transaction(&vec![0x02; (1 << 20) + 1]).unwrap_err();
    assert_eq!(error.to_string(), "oversized data: transaction size 1048577, limit 1048576");
    let bare = bare(&signer(1).blob(0, GWEI, 1)).encoded_2718();
    let error = decode_network_transaction(&bare).unwrap_err();
    assert_eq!(error.to_string(), "missing sidecar in blob transaction");
}

#[test]
fn sizes_end_at_128_kib() {
    let bench = Bench::new();
    let of = |length| dynamic(TxEip1559 { gas_limit: 16_000_000, input: bytes(length), ..plain() });
    let overhead = of(131_000).encode_2718_len() - 131_000;
    assert!(bench.add(of(131_072 - overhead)).is_ok());
    assert_eq!(
        bench.refusal(of(131_073 - overhead)),
        "oversized data: transaction size 131073, limit 131072"
    );
}

#[test]
fn init_code_ends_at_twice_the_code_limit() {
    let of = |length| {
        dynamic(TxEip1559 { gas_limit: 15_000_000, to: TxKind::Create, input: bytes(length), ..plain() })
    };
    assert!(Bench::new().add(of(49_152)).is_ok());
    assert_eq!(Bench::new().refusal(of(49_153)), "max initcode size exceeded: code size 49153");
    assert!(Bench::under("Paris").add(of(49_153)).is_ok());
}

#[test]
fn gas_limits_are_the_blocks_and_from_osaka_the_transactions() {
    let of = |gas_limit| dynamic(TxEip1559 { gas_limit, ..plain() });
    assert_eq!(Bench::new().refusal(of(30_000_001)), "exceeds block gas limit");
    assert!(Bench::under("Prague").add(of(30_000_000)).is_ok());
    let too_high = "transaction gas limit too high (cap: 16777216, tx: 16777217)";
    assert_eq!(Bench::new().refusal(of(16_777_217)), too_high);
    assert!(Bench::new().add(of(16_777_216)).is_ok());
    assert_eq!(Bench::new().refusal(of(20_999)), "intrinsic gas too low: gas 20999, minimum needed 21000");
    let data = |gas_limit| dynamic(TxEip1559 { gas_limit, input: bytes(100), ..plain() });
    assert_eq!(
        Bench::new().refusal(data(24_999)),
        "insufficient gas for floor data gas cost: gas 24999, minimum needed 25000"
    );
    assert!(Bench::under("Cancun").add(data(24_999)).is_ok());
    assert_eq!(
        Bench::under("Cancun").refusal(data(22_599)),
        "intrinsic gas too low: gas 22599, minimum needed 22600"
    );
}

#[test]
fn fees_must_fit_each_other_and_reach_the_minimum() {
    let bench = Bench::new();
    assert_eq!(
        bench.refusal(signer(1).fee(0, GWEI, GWEI + 1)),
        "max priority fee per gas higher than max fee per gas"
    );
    assert_eq!(
        bench.refusal(signer(1).fee(0, GWEI, 0)),
        "transaction gas price below minimum: gas tip cap 0, minimum needed 1"
    );
    assert_eq!(
        bench.refusal(signer(1).blob(0, GWEI, 0)),
        "transaction gas price below minimum: blob fee cap 0, minimum needed 1"
    );
    assert!(bench.add_local(signer(1).fee(0, GWEI, 0)).is_ok());
}

#[test]
fn signatures_must_be_somebodys_and_for_this_chain() {
    let bench = Bench::new();
    let other = dynamic(TxEip1559 { chain_id: 1, ..plain() });
    assert_eq!(bench.refusal(other), "invalid sender: invalid chain id for signer: have 1 want 1337");
    let signature = Signature::new(U256::ZERO, U256::from(1), false);
    let tx = alloy_consensus::SignableTransaction::into_signed(plain(), signature);
    assert_eq!(bench.refusal(NetworkTransaction::Eip1559(tx)), "invalid sender");
}

#[test]
fn the_account_must_be_able_to_send_it() {
    let bench = Bench::new();
    let sender = signer(1).address;
    bench.accounts.set(sender, 5, ETHER);
    assert_eq!(bench.refusal(signer(1).fee(4, GWEI, 1)), "nonce too low: next nonce 5, tx nonce 4");
    assert_eq!(bench.refusal(signer(1).fee(u64::MAX, GWEI, 1)), "nonce has max value");
    bench.accounts.set(sender, 5, 21_000 * GWEI - 1);
    assert_eq!(
        bench.refusal(signer(1).fee(5, GWEI, 1)),
        "insufficient funds for gas * price + value: balance 20999999999999, tx cost 21000000000000, overshot 1"
    );
    bench.accounts.set(sender, 5, 21_000 * GWEI);
    assert!(bench.add(signer(1).fee(5, GWEI, 1)).is_ok());
    let absurd = TxEip1559 { value: U256::MAX, ..plain() };
    assert!(
        bench.refusal(NetworkTransaction::Eip1559(signer(2).sign(absurd))).starts_with("insufficient funds")
    );
    bench.accounts.set_code(signer(3).address, AccountCode::Contract);
    let text = format!("sender not an eoa: address {}", signer(3).address);
    assert_eq!(bench.refusal(signer(3).fee(0, GWEI, 1)), text);
    bench.accounts.set_code(signer(3).address, AccountCode::Delegation);
    assert!(bench.add(signer(3).fee(0, GWEI, 1)).is_ok());
}

#[test]
fn those_in_front_are_paid_first() {
    let bench = Bench::new();
    let cost = 21_000 * GWEI;
    bench.accounts.set(signer(1).address, 0, 3 * cost);
    assert!(bench.add(signer(1).fee(0, GWEI, 1)).is_ok());
    assert!(bench.add(signer(1).fee(2, GWEI, 1)).is_ok());
    let dear = bench.refusal(signer(1).fee(1, 2 * GWEI + 1, 1));
    assert_eq!(
        dear,
        "insufficient funds for gas * price + value: balance 63000000000000, queued cost 21000000000000, \
         tx cost 42000000021000, overshot 21000"
    );
    // The one behind the gap is not in front: it waits.
    assert!(bench.add(signer(1).fee(1, 2 * GWEI, 1)).is_ok());
    assert_eq!(bench.nonces(signer(1).address), (vec![0, 1], vec![2]));
    // A replacement is paid instead of what it replaces.
    assert!(bench.refusal(signer(1).fee(0, GWEI + GWEI / 2, 2)).starts_with("insufficient funds"));
}

#[test]
fn sidecars_have_the_form_of_the_next_fork() {
    let text = |want, got| format!("unexpected sidecar version, want: {want}, got: {got}");
    let old = || signer(1).blob_with(0, 2 * GWEI, GWEI, one_proof());
    assert_eq!(Bench::new().refusal(old()), text(1, 0));
    assert!(Bench::under("Prague").add(old()).is_ok());
    assert_eq!(Bench::under("Cancun").refusal(signer(1).blob(0, 2 * GWEI, GWEI)), text(0, 1));
}

#[test]
fn sidecars_must_hold() {
    let bench = Bench::new();
    let Sidecar::Eip7594(good) = cells(0) else { unreachable!() };
    let Sidecar::Eip7594(other) = cells(1) else { unreachable!() };
    let with = |sidecar| signer(1).blob_with(0, 2 * GWEI, GWEI, Sidecar::Eip7594(sidecar));
    let mut wrong_blob = good.clone();
    wrong_blob.blobs = other.blobs.clone();
    assert!(bench.refusal(with(wrong_blob)).starts_with("KZG verification error: "));
    let mut wrong_proof = good.clone();
    wrong_proof.cell_proofs[127] = other.cell_proofs[0];
    assert!(bench.refusal(with(wrong_proof)).starts_with("KZG verification error: "));
    let mut short = good.clone();
    short.cell_proofs.pop();
    assert_eq!(bench.refusal(with(short)), "invalid number of 127 blob proofs expected 128");
    let mut none = good.clone();
    none.blobs.clear();
    assert_eq!(bench.refusal(with(none)), "invalid number of 0 blobs expected 1");
    let NetworkTransaction::Eip4844(signed) = with(good.clone()) else { unreachable!() };
    let mut tx = signed.strip_signature();
    tx.sidecar = Sidecar::Eip7594(other);
    assert!(
        bench
            .refusal(NetworkTransaction::Eip4844(signer(1).sign(tx)))
            .starts_with("blob 0: computed hash 0x01")
    );
    assert_eq!(bench.pool.status().bytes, 0);
    assert!(bench.add(with(good)).is_ok());
}

#[test]
fn blobs_are_one_to_six() {
    let bench = Bench::new();
    let with = |hashes: usize| {
        let tx = TxEip4844 {
            chain_id: 1337,
            gas_limit: 21_000,
            max_fee_per_gas: GWEI,
            max_priority_fee_per_gas: 1,
            max_fee_per_blob_gas: 1,
            blob_versioned_hashes: vec![B256::with_last_byte(1); hashes],
            ..TxEip4844::default()
        };
        let tx = alloy_consensus::TxEip4844WithSidecar { tx, sidecar: cells(0) };
        NetworkTransaction::Eip4844(signer(1).sign(tx))
    };
    assert_eq!(bench.refusal(with(0)), "blobless blob transaction");
    assert_eq!(bench.refusal(with(7)), "too many blobs in transaction: have 7, permitted 6");
}

#[test]
fn delegating_transactions_name_somebody() {
    let empty = TxEip7702 {
        chain_id: 1337,
        gas_limit: 100_000,
        max_fee_per_gas: GWEI,
        max_priority_fee_per_gas: 1,
        ..TxEip7702::default()
    };
    let refusal = Bench::new().refusal(NetworkTransaction::Eip7702(signer(1).sign(empty)));
    assert_eq!(refusal, "set code tx must have at least one authorization tuple");
}

#[test]
fn a_batch_reads_all_accounts_at_once_and_answers_in_order() {
    let bench = Bench::new();
    let before = bench.accounts.reads.get();
    let mut batch: Vec<Incoming> = (0..50).map(|i| signer(i % 10).fee(i / 10, 2 * GWEI, 1).into()).collect();
    batch.insert(7, signer(3).fee(0, GWEI, 2 * GWEI).into());
    let outcomes = bench.pool.add_batch(Origin::External, batch, &bench.accounts, NOW);
    assert_eq!(bench.accounts.reads.get(), before + 1);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 50);
    assert!(matches!(outcomes[7], Err(PoolError::TipAboveFeeCap)));
    assert_eq!(outcomes[50].as_ref().unwrap().sender, signer(9).address);
    assert_eq!(bench.pool.status().pending, 50);
}

#[test]
fn input_is_not_kept_alive_by_what_it_was_decoded_from() {
    let sent: Bytes = signer(1).fee(0, GWEI, 1).encoded_2718().into();
    let decoded = decode_network_transaction(&sent).unwrap();
    assert_eq!(decoded.encoded_2718(), sent);
}
