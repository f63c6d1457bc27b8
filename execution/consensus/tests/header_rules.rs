//! Each rule for headers, at its edge.

#[path = "support/build.rs"]
mod build;

use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bytes, U256};
use build::{Pair, TERMINAL, chain, chain_with};
use portico_chainspec::{ChainSpec, Fork};
use portico_consensus::{
    ConsensusError as Error, HeaderChecks, Parent, validate_header, validate_header_with, validate_not_future,
};
use proptest::prelude::*;

#[test]
fn header_follows_its_parent() {
    let pair = Pair::ethash(chain(), 10);
    assert_eq!(pair.broken(|h| h.number = 11), Error::BlockNumber { expected: 10, got: 11 });
    assert_eq!(pair.broken(|h| h.number = 9), Error::BlockNumber { expected: 10, got: 9 });
    let expected = pair.parent.hash_slow();
    assert_eq!(pair.broken(|h| h.parent_hash = B256::ZERO), Error::ParentHash { expected, got: B256::ZERO });
    assert_eq!(pair.broken(|h| h.timestamp = 499), Error::Timestamp { parent: 499, got: 499 });
}

#[test]
fn number_does_not_wrap() {
    let mut pair = Pair::ethash(chain(), 10);
    pair.parent.number = u64::MAX;
    pair.header.number = u64::MAX;
    let error = pair.check_with_hash(pair.header.parent_hash).unwrap_err();
    assert_eq!(error, Error::BlockNumber { expected: u64::MAX, got: u64::MAX });
}

#[test]
fn gas_limit_moves_by_less_than_a_1024th() {
    let pair = Pair::ethash(chain(), 10);
    let parent = 10_240_000;
    assert_eq!(pair.changed(|h| h.gas_limit = parent + 9999), Ok(()));
    assert_eq!(pair.changed(|h| h.gas_limit = parent - 9999), Ok(()));
    for got in [parent + 10_000, parent - 10_000] {
        let expected = Error::GasLimitChange { parent, bound: 10_000, got };
        assert_eq!(pair.broken(|h| h.gas_limit = got), expected);
    }
    assert_eq!(
        pair.broken(|h| h.gas_limit = 1 << 63),
        Error::GasLimitTooHigh { max: (1 << 63) - 1, got: 1 << 63 }
    );
    assert_eq!(
        pair.broken(|h| h.gas_used = h.gas_limit + 1),
        Error::GasUsedAboveLimit { gas_limit: parent, gas_used: parent + 1 }
    );
}

#[test]
fn gas_limit_stays_at_5000() {
    let mut pair = Pair::ethash(chain(), 10);
    pair.parent.gas_limit = 5001;
    pair.header.parent_hash = pair.parent.hash_slow();
    assert_eq!(pair.changed(|h| h.gas_limit = 5000), Ok(()));
    assert_eq!(pair.broken(|h| h.gas_limit = 4999), Error::GasLimitTooLow { min: 5000, got: 4999 });
}

#[test]
fn first_london_block_doubles_the_gas_limit_and_starts_the_base_fee() {
    let mut pair = Pair::ethash(chain(), 10);
    pair.parent.number = 99;
    pair.header.number = 100;
    pair.header.parent_hash = pair.parent.hash_slow();
    pair.header.base_fee_per_gas = Some(1_000_000_000);
    assert_eq!(
        pair.check(),
        Err(Error::GasLimitChange { parent: 20_480_000, bound: 20_000, got: 10_240_000 })
    );
    pair.header.gas_limit = 20_480_000;
    assert_eq!(pair.check(), Ok(()));
    assert_eq!(
        pair.broken(|h| h.base_fee_per_gas = Some(7)),
        Error::BaseFee { expected: 1_000_000_000, got: 7 }
    );
    let field = "base fee";
    assert_eq!(
        pair.broken(|h| h.base_fee_per_gas = None),
        Error::HeaderFieldMissing { field, fork: Fork::London }
    );
    let early = Pair::ethash(chain(), 10);
    assert_eq!(
        early.broken(|h| h.base_fee_per_gas = Some(7)),
        Error::HeaderFieldUnexpected { field, fork: Fork::London }
    );
    let later = Pair::ethash(chain(), 102);
    assert_eq!(later.header.base_fee_per_gas, Some(875_000_000), "an empty parent lowers it by an eighth");
}

#[test]
fn zero_base_fee_chain_has_none() {
    let pair = Pair::ethash(chain_with(r#""londonBlock":0,"zeroBaseFee":true"#), 5);
    assert_eq!(pair.header.base_fee_per_gas, Some(0));
    assert_eq!(pair.broken(|h| h.base_fee_per_gas = Some(7)), Error::BaseFee { expected: 0, got: 7 });
}

#[test]
fn extra_data_is_at_most_32_bytes() {
    let pair = Pair::ethash(chain(), 10);
    assert_eq!(pair.changed(|h| h.extra_data = vec![1; 32].into()), Ok(()));
    let too_long = Error::ExtraDataTooLong { max: 32, got: 33 };
    assert_eq!(pair.broken(|h| h.extra_data = vec![1; 33].into()), too_long);
    let pair = Pair::merged(chain(), 500);
    assert_eq!(pair.broken(|h| h.extra_data = vec![1; 33].into()), too_long);
}

#[test]
fn dao_blocks_say_their_side() {
    let claim = Bytes::from_static(b"dao-hard-fork");
    let with = |supported: bool| {
        chain_with(&format!(r#""byzantiumBlock":900,"daoForkBlock":20,"daoForkSupport":{supported}"#))
    };
    let pro = |number| {
        let mut pair = Pair::ethash(with(true), 10);
        (pair.parent.number, pair.header.number) = (number - 1, number);
        pair.header.parent_hash = pair.parent.hash_slow();
        pair
    };
    for (number, required) in [(19, false), (20, true), (29, true), (30, false)] {
        let pair = pro(number);
        assert_eq!(pair.check().is_err(), required, "{number}");
        assert_eq!(pair.changed(|h| h.extra_data = claim.clone()), Ok(()));
    }
    let refused = Error::DaoExtraData { supported: true, got: Bytes::new() };
    assert_eq!(pro(20).check(), Err(refused));
    let contra = Pair::ethash(with(false), 20);
    let refused = Error::DaoExtraData { supported: false, got: claim.clone() };
    assert_eq!(contra.broken(|h| h.extra_data = claim.clone()), refused);
}

#[test]
fn difficulty_is_the_formula_s_or_the_fixed_one() {
    let pair = Pair::ethash(chain(), 10);
    let expected = U256::from(1_000_000 + 488);
    let wrong = Error::Difficulty { expected, got: U256::from(1_000_000) };
    assert_eq!(pair.broken(|h| h.difficulty = U256::from(1_000_000)), wrong);
    let fixed = Pair::ethash(chain_with(r#""ethash":{"fixeddifficulty":15}"#), 10);
    assert_eq!(fixed.header.difficulty, U256::from(15));
    assert!(fixed.changed(|h| h.difficulty = U256::from(16)).is_err());

    let mut header = pair.header.clone();
    header.difficulty = U256::from(5);
    let parent =
        Parent { header: &pair.parent, hash: header.parent_hash, total_difficulty: pair.total_difficulty };
    let lenient = HeaderChecks { difficulty: false, ..HeaderChecks::default() };
    assert_eq!(validate_header_with(lenient, &pair.spec, parent, &header), Ok(()));
}

#[test]
fn merge_is_at_the_terminal_total_difficulty() {
    let mut pair = Pair::ethash(chain(), 10);
    pair.total_difficulty = U256::from(TERMINAL - 1);
    assert_eq!(pair.check(), Ok(()));
    assert_eq!(
        pair.broken(|h| h.difficulty = U256::ZERO),
        Error::ProofOfStakeBeforeMerge {
            parent_total_difficulty: U256::from(TERMINAL - 1),
            terminal: U256::from(TERMINAL)
        }
    );
    let difficulty = pair.header.difficulty;
    pair.total_difficulty = U256::from(TERMINAL);
    assert_eq!(pair.check(), Err(Error::ProofOfWorkAfterMerge { difficulty }));
    assert_eq!(pair.changed(|h| h.difficulty = U256::ZERO), Ok(()));
}

#[test]
fn merged_blocks_have_no_nonce_and_no_ommers() {
    let pair = Pair::merged(chain(), 500);
    let one = B64::with_last_byte(1);
    assert_eq!(pair.broken(|h| h.nonce = one), Error::NonceNotZero { got: one });
    assert_eq!(pair.broken(|h| h.ommers_hash = B256::ZERO), Error::OmmersHashNotEmpty { got: B256::ZERO });
}

/// A field, its fork, and how to give or take it.
type FieldCase = (&'static str, Fork, fn(&mut Header, bool));

#[test]
fn fields_are_there_exactly_from_their_fork_on() {
    let fields: [FieldCase; 7] = [
        ("withdrawals root", Fork::Shanghai, |h, on| h.withdrawals_root = on.then_some(B256::ZERO)),
        ("blob gas used", Fork::Cancun, |h, on| h.blob_gas_used = on.then_some(0)),
        ("excess blob gas", Fork::Cancun, |h, on| h.excess_blob_gas = on.then_some(0)),
        ("parent beacon block root", Fork::Cancun, |h, on| {
            h.parent_beacon_block_root = on.then_some(B256::ZERO);
        }),
        ("requests hash", Fork::Prague, |h, on| h.requests_hash = on.then_some(B256::ZERO)),
        ("block access list hash", Fork::Amsterdam, |h, on| {
            h.block_access_list_hash = on.then_some(B256::ZERO);
        }),
        ("slot number", Fork::Amsterdam, |h, on| h.slot_number = on.then_some(0)),
    ];
    let forks = [
        (Fork::Paris, 999),
        (Fork::Shanghai, 1000),
        (Fork::Cancun, 2000),
        (Fork::Prague, 3000),
        (Fork::Osaka, 4000),
        (Fork::Bpo1, 5000),
        (Fork::Amsterdam, 6000),
        (Fork::Amsterdam, 7000),
    ];
    for (fork, timestamp) in forks {
        let pair = Pair::merged(chain(), timestamp);
        for (field, since, set) in fields {
            let expected = if fork >= since {
                Error::HeaderFieldMissing { field, fork: since }
            } else {
                Error::HeaderFieldUnexpected { field, fork: since }
            };
            assert_eq!(pair.broken(|h| set(h, fork < since)), expected, "{fork}");
        }
    }
}

#[test]
fn timestamp_forks_do_not_count_before_the_merge() {
    let mut pair = Pair::ethash(chain(), 10);
    pair.header.timestamp = 2500;
    pair.header.difficulty = U256::from(1_000_000 - 99 * 488);
    assert_eq!(pair.check(), Ok(()));
    let error = pair.broken(|h| h.withdrawals_root = Some(B256::ZERO));
    assert_eq!(error, Error::HeaderFieldUnexpected { field: "withdrawals root", fork: Fork::Shanghai });
}

#[test]
fn blob_gas_keeps_to_the_schedule() {
    const BLOB: u64 = 131_072;
    for (timestamp, max) in [(2000, 6), (3000, 9), (4000, 9), (5000, 15), (6000, 15)] {
        let pair = Pair::merged(chain(), timestamp);
        assert_eq!(pair.changed(|h| h.blob_gas_used = Some(max * BLOB)), Ok(()), "{timestamp}");
        let got = (max + 1) * BLOB;
        let expected = Error::BlobGasUsedAboveMax { max: max * BLOB, got };
        assert_eq!(pair.broken(|h| h.blob_gas_used = Some(got)), expected);
        let expected = Error::BlobGasUsedNotMultiple { got: BLOB + 1 };
        assert_eq!(pair.broken(|h| h.blob_gas_used = Some(BLOB + 1)), expected);
        let expected = Error::ExcessBlobGas { expected: 0, got: 1 };
        assert_eq!(pair.broken(|h| h.excess_blob_gas = Some(1)), expected);
    }
}

#[test]
fn excess_follows_the_schedule_of_the_block_itself() {
    const BLOB: u64 = 131_072;
    let excess_after = |timestamp| {
        let mut pair = Pair::merged(chain(), timestamp);
        pair.parent.blob_gas_used = Some(6 * BLOB);
        pair.parent.excess_blob_gas = Some(20 * BLOB);
        pair.parent.base_fee_per_gas = Some(7);
        pair.header.base_fee_per_gas = Some(7);
        pair.header.parent_hash = pair.parent.hash_slow();
        match pair.broken(|h| h.excess_blob_gas = Some(u64::MAX)) {
            Error::ExcessBlobGas { expected, .. } => expected / BLOB,
            other => panic!("{other}"),
        }
    };
    assert_eq!(excess_after(2999), 23);
    assert_eq!(excess_after(3000), 20, "the parent is Cancun, the block Prague");
    assert_eq!(excess_after(5000), 16, "the parent is Osaka, the block BPO1");
}

#[test]
fn bft_engines_are_not_supported_yet() {
    for engine in ["qbft", "ibft2", "ibft"] {
        let spec = chain_with(&format!(r#""berlinBlock":0,"{engine}":{{}}"#));
        let header = Header { number: 1, timestamp: 1, ..Header::default() };
        let parent =
            Parent { header: spec.genesis_header(), hash: spec.genesis_hash(), total_difficulty: U256::ONE };
        assert_eq!(validate_header(&spec, parent, &header), Err(Error::EngineNotSupported { engine }));
    }
}

#[test]
fn clique_headers_have_their_shape() {
    let spec = chain_with(r#""berlinBlock":0,"clique":{"period":5,"epoch":10}"#);
    let genesis = spec.genesis_header().clone();
    let plain = Header {
        number: 1,
        parent_hash: spec.genesis_hash(),
        timestamp: 5,
        gas_limit: genesis.gas_limit,
        difficulty: U256::from(2),
        ommers_hash: genesis.ommers_hash,
        extra_data: vec![0; 97].into(),
        ..Header::default()
    };
    let check = |parent: &Header, header: &Header| {
        let mut header = header.clone();
        header.parent_hash = parent.hash_slow();
        let parent = Parent { header: parent, hash: header.parent_hash, total_difficulty: U256::ONE };
        validate_header(&spec, parent, &header)
    };
    let broken = |change: fn(&mut Header)| {
        let mut header = plain.clone();
        change(&mut header);
        check(&genesis, &header).unwrap_err()
    };
    assert_eq!(check(&genesis, &plain), Ok(()));
    assert_eq!(
        broken(|h| h.extra_data = vec![0; 96].into()),
        Error::CliqueExtraDataTooShort { min: 97, got: 96 }
    );
    assert_eq!(
        broken(|h| h.extra_data = vec![0; 117].into()),
        Error::CliqueSigners { checkpoint: false, got: 20 }
    );
    assert_eq!(
        broken(|h| h.nonce = B64::with_last_byte(1)),
        Error::CliqueNonce { got: B64::with_last_byte(1) }
    );
    assert_eq!(
        broken(|h| h.mix_hash.0[0] = 1),
        Error::CliqueMixHash {
            got: {
                let mut m = B256::ZERO;
                m.0[0] = 1;
                m
            }
        }
    );
    assert_eq!(broken(|h| h.difficulty = U256::from(3)), Error::CliqueDifficulty { got: U256::from(3) });
    assert_eq!(broken(|h| h.ommers_hash = B256::ZERO), Error::OmmersHashNotEmpty { got: B256::ZERO });
    assert_eq!(broken(|h| h.timestamp = 4), Error::CliquePeriod { parent: 0, period: 5, got: 4 });

    let parent = Header { number: 9, ..plain.clone() };
    let checkpoint = Header { number: 10, timestamp: 10, extra_data: vec![0; 117].into(), ..plain.clone() };
    assert_eq!(check(&parent, &checkpoint), Ok(()));
    let unlisted = Header { extra_data: vec![0; 97].into(), ..checkpoint.clone() };
    assert_eq!(check(&parent, &unlisted), Err(Error::CliqueSigners { checkpoint: true, got: 0 }));
    let vote = Header { beneficiary: Address::repeat_byte(1), ..checkpoint };
    assert_eq!(
        check(&parent, &vote),
        Err(Error::CliqueCheckpointVote { beneficiary: Address::repeat_byte(1), nonce: B64::ZERO })
    );
}

#[test]
fn future_blocks_wait() {
    let header = Header { timestamp: 1015, ..Header::default() };
    assert_eq!(validate_not_future(&header, 1000), Ok(()));
    assert_eq!(validate_not_future(&header, 999), Err(Error::FutureBlock { now: 999, got: 1015 }));
    assert_eq!(validate_not_future(&header, u64::MAX), Ok(()));
}

/// Small, boundary and huge numbers.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..3, any::<u64>(), Just(u64::MAX), Just(1 << 63), 4990_u64..5010]
}

fn header() -> impl Strategy<Value = Header> {
    let numbers = prop::array::uniform5(number());
    let optional = prop::array::uniform5(prop::option::of(number()));
    (numbers, optional, any::<[u64; 4]>(), prop::collection::vec(any::<u8>(), 0..120)).prop_map(
        |(
            [number, timestamp, gas_limit, gas_used, nonce],
            [fee, blob, excess, slot, root],
            difficulty,
            extra,
        )| {
            Header {
                number,
                timestamp,
                gas_limit,
                gas_used,
                difficulty: U256::from_limbs(difficulty),
                nonce: B64::from(nonce),
                extra_data: extra.into(),
                base_fee_per_gas: fee,
                blob_gas_used: blob,
                excess_blob_gas: excess,
                slot_number: slot,
                withdrawals_root: root.map(|_| B256::ZERO),
                parent_beacon_block_root: root.map(|_| B256::ZERO),
                requests_hash: root.map(|_| B256::ZERO),
                ..Header::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic(parent in header(), mut header in header(), follow: bool, total: [u64; 4]) {
        let total_difficulty = U256::from_limbs(total);
        if follow {
            header.number = parent.number.saturating_add(1);
            header.timestamp = parent.timestamp.saturating_add(1);
            header.gas_limit = parent.gas_limit;
        }
        let parent = Parent { header: &parent, hash: header.parent_hash, total_difficulty };
        for spec in [ChainSpec::mainnet(), ChainSpec::dev(), chain().into()] {
            let lenient = HeaderChecks { difficulty: false, ..HeaderChecks::default() };
            let _ = validate_header_with(lenient, &spec, parent, &header);
            let _ = portico_consensus::next_base_fee(&spec, &header);
            let _ = portico_consensus::next_blob_fee(&spec, &header, header.timestamp);
            let _ = portico_consensus::blob_fee(&spec, &header);
        }
        let _ = portico_consensus::clique::recover_block_signer(&header);
    }
}
