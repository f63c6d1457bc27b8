//! Collections, factories, loops, delegated accounts, transient storage, deposits.

use super::*;
use alloy_primitives::hex;

#[test]
fn nft_mints_consecutive_ids_and_transfers_them() {
    let mut chain = Chain::new().with_code(CONTRACT, nft::runtime());
    let result = chain.call(ALICE, CONTRACT, "mint(uint256)", &[3u64.into()]);
    let minted = |id: u64| {
        let topics = [B256::ZERO, ALICE.into_word(), U256::from(id).into()];
        event(CONTRACT, erc20::TRANSFER_EVENT, &topics, &[])
    };
    assert_eq!(result.logs(), [minted(1), minted(2), minted(3)]);
    assert_eq!(chain.get(CONTRACT, slot(6)), U256::from(3));
    assert_eq!(chain.get(CONTRACT, nft::owner_slot(3)), as_number(ALICE.into_word()));

    let arguments = [ALICE.into(), BOB.into(), 2u64.into()];
    chain.call(ALICE, CONTRACT, "transferFrom(address,address,uint256)", &arguments);
    assert_eq!(chain.get(CONTRACT, nft::owner_slot(2)), as_number(BOB.into_word()));
    let owned = |chain: &mut Chain, owner: Address| {
        word(&chain.call(ALICE, CONTRACT, "balanceOf(address)", &[owner.into()]))
    };
    assert_eq!((owned(&mut chain, ALICE), owned(&mut chain, BOB)), (U256::from(2), U256::from(1)));

    let again = "transferFrom(address,address,uint256)";
    assert_eq!(chain.revert_reason(ALICE, CONTRACT, again, &arguments), "not the owner");
    let theft = [BOB.into(), ALICE.into(), 2u64.into()];
    assert_eq!(chain.revert_reason(ALICE, CONTRACT, again, &theft), "caller is not the owner");
    for count in [0, nft::MINT_LIMIT + 1] {
        let reason = chain.revert_reason(ALICE, CONTRACT, "mint(uint256)", &[count.into()]);
        assert_eq!(reason, "mint limit exceeded");
    }
}

fn destroy(chain: &mut Chain, child: Address) {
    chain.call(ALICE, child, "destroy(address)", &[Address::with_last_byte(0x77).into()]);
}

#[test]
fn factory_creates_children() {
    let mut chain = Chain::new().with_code(CONTRACT, factory::runtime());
    let result = chain.call_with_value(ALICE, CONTRACT, 5, "create()", &[]);
    let child = Address::from_word(word(&result).into());
    assert_eq!(child, CONTRACT.create(1));
    let topics = [child.into_word(), ALICE.into_word()];
    assert_eq!(result.logs(), [event(CONTRACT, factory::CREATED_EVENT, &topics, &[])]);
    assert_eq!(chain.balance(child), U256::from(5));
    assert_eq!(chain.account(child).code.unwrap().original_bytes(), factory::child_runtime());
    assert_eq!(chain.get(child, slot(0)), as_number(CONTRACT.into_word()));
    assert_eq!(chain.get(child, slot(1)), U256::from(NUMBER));
    chain.call(BOB, child, "poke(uint256)", &[2u64.into()]);
    let poked = [2, 3, 4].map(|index| chain.get(child, slot(index)));
    assert_eq!(poked, [NUMBER + 1, NUMBER + 2, 0].map(U256::from));
    assert!(chain.send(BOB, child.into(), 1, Bytes::new()).is_success());
    assert_eq!(chain.balance(child), U256::from(6));
}

#[test]
fn destruction_before_cancun_frees_the_address() {
    let mut chain = Chain::new().with_code(CONTRACT, factory::runtime());
    chain.spec = SpecId::SHANGHAI;
    let salt = B256::repeat_byte(9);
    chain.call_with_value(ALICE, CONTRACT, 5, "create2(bytes32)", &[salt.into()]);
    let child = CONTRACT.create2(salt, factory::child_init_hash());
    chain.call(ALICE, child, "poke(uint256)", &[3u64.into()]);
    let reason = chain.revert_reason(ALICE, CONTRACT, "create2(bytes32)", &[salt.into()]);
    assert_eq!(reason, "creation failed");

    destroy(&mut chain, child);
    assert_eq!(chain.account(child), AccountInfo::default());
    assert_eq!(chain.get(child, slot(2)), U256::ZERO);
    assert_eq!(chain.balance(Address::with_last_byte(0x77)), U256::from(5));

    chain.call(ALICE, CONTRACT, "create2(bytes32)", &[salt.into()]);
    assert_eq!(chain.get(child, slot(1)), U256::from(NUMBER));
    assert_eq!(chain.get(child, slot(2)), U256::ZERO);
}

#[test]
fn destruction_after_cancun_only_moves_the_balance() {
    let mut chain = Chain::new().with_code(CONTRACT, factory::runtime());
    let child = CONTRACT.create(1);
    chain.call_with_value(ALICE, CONTRACT, 5, "create()", &[]);
    destroy(&mut chain, child);
    assert_eq!(chain.account(child).code.unwrap().original_bytes(), factory::child_runtime());
    assert_eq!(chain.balance(child), U256::ZERO);
    assert_eq!(chain.balance(Address::with_last_byte(0x77)), U256::from(5));
    assert_eq!(chain.get(child, slot(1)), U256::from(NUMBER));
}

#[test]
fn child_can_live_and_die_in_one_transaction_again_and_again() {
    let mut chain = Chain::new().with_code(CONTRACT, factory::runtime());
    let salt = B256::repeat_byte(9);
    let child = CONTRACT.create2(salt, factory::child_init_hash());
    let arguments = [salt.into(), 4u64.into(), BOB.into()];
    let before = chain.balance(BOB);
    for round in 1..=2u64 {
        let signature = "createAndDestroy(bytes32,uint256,address)";
        let result = chain.call_with_value(ALICE, CONTRACT, 5, signature, &arguments);
        assert_eq!(word(&result), as_number(child.into_word()));
        assert_eq!(chain.account(child), AccountInfo::default());
        assert_eq!(chain.get(child, slot(2)), U256::ZERO);
        assert_eq!(chain.balance(BOB), before + U256::from(5 * round));
        assert_eq!(chain.account(CONTRACT).nonce, 1 + round);
    }
}

#[test]
fn storage_loop_writes_reads_and_clears() {
    let mut chain = Chain::new().with_code(CONTRACT, storage::runtime());
    let seed = U256::MAX - U256::from(12345);
    chain.call(ALICE, CONTRACT, "write(uint256,uint256,uint256)", &[10u64.into(), 5u64.into(), seed.into()]);
    let values: Vec<U256> = (0..5).map(|index| storage::written_value(seed, index)).collect();
    for (index, value) in values.iter().enumerate() {
        assert_eq!(chain.get(CONTRACT, slot(10 + index as u8)), *value);
    }
    let sum = chain.call(ALICE, CONTRACT, "sum(uint256,uint256)", &[10u64.into(), 5u64.into()]);
    assert_eq!(word(&sum), values.into_iter().fold(U256::ZERO, U256::wrapping_add));
    chain.call(ALICE, CONTRACT, "clear(uint256,uint256)", &[10u64.into(), 4u64.into()]);
    assert_eq!(chain.get(CONTRACT, slot(13)), U256::ZERO);
    assert_ne!(chain.get(CONTRACT, slot(14)), U256::ZERO);
    assert_eq!(chain.get(CONTRACT, slot(9)), U256::ZERO);
}

#[test]
fn compute_loops_give_the_right_numbers() {
    let mut chain = Chain::new().with_code(CONTRACT, compute::runtime());
    let seed = B256::repeat_byte(0x5a);
    chain.call(ALICE, CONTRACT, "hash(uint256,uint256)", &[3u64.into(), seed.into()]);
    assert_eq!(chain.get(CONTRACT, slot(0)), as_number(keccak256(keccak256(keccak256(seed)))));

    chain.call(ALICE, CONTRACT, "multiply(uint256,uint256)", &[3u64.into(), seed.into()]);
    let mut product = U256::from_be_bytes(seed.0);
    for index in 0..3 {
        product = product.mul_mod(product, compute::MODULUS) + U256::from(index);
    }
    assert_eq!(chain.get(CONTRACT, slot(1)), product);
    assert_eq!(compute::MODULUS, (U256::ONE << 255) - U256::from(19));
}

/// An account that has delegated to the batch contract.
fn delegated_chain() -> Chain {
    let mut chain = Chain::new().with_code(CONTRACT, account::runtime()).with_token(TOKEN, &[(ALICE, 100)]);
    let balance = chain.balance(ALICE);
    let info = AccountInfo {
        nonce: 1,
        ..AccountInfo::from_bytecode(Bytecode::new_eip7702(CONTRACT)).with_balance(balance)
    };
    chain.db.insert_account_info(ALICE, info);
    chain
}

fn batch(calls: &[(Address, u128, Bytes)]) -> [Argument; 1] {
    let tuple = |(to, value, data): &(Address, u128, Bytes)| {
        Argument::Tuple(vec![(*to).into(), (*value).into(), Argument::Bytes(data.to_vec())])
    };
    [Argument::Array(calls.iter().map(tuple).collect())]
}

#[test]
fn delegated_account_runs_a_batch() {
    let mut chain = delegated_chain();
    let transfer = |amount: u64| call_data("transfer(address,uint256)", &[BOB.into(), amount.into()]);
    let before = chain.balance(BOB);
    let calls = [(TOKEN, 0, transfer(10)), (BOB, ETHER, Bytes::new()), (TOKEN, 0, transfer(20))];
    let result = chain.call(ALICE, ALICE, account::EXECUTE, &batch(&calls));
    assert_eq!(result.logs(), [transfer_event(TOKEN, ALICE, BOB, 10), transfer_event(TOKEN, ALICE, BOB, 20)]);
    assert_eq!(chain.token_balance(TOKEN, BOB), 30);
    assert_eq!(chain.balance(BOB) - before, U256::from(ETHER));

    assert_eq!(chain.revert_reason(BOB, ALICE, account::EXECUTE, &batch(&calls)), "only the account itself");
    let too_much = batch(&[(TOKEN, 0, transfer(71))]);
    assert_eq!(
        chain.revert_reason(ALICE, ALICE, account::EXECUTE, &too_much),
        "transfer amount exceeds balance"
    );
    assert!(chain.send(BOB, ALICE.into(), 1, Bytes::new()).is_success());
}

#[test]
fn transient_contract_records_fees_and_blob() {
    let mut chain = Chain::new().with_code(CONTRACT, transient::runtime());
    let blob = B256::right_padding_from(&[1, 2, 3]);
    chain.blob_hashes = vec![blob];
    let result = chain.call(ALICE, CONTRACT, "record(uint256)", &[4u64.into()]);
    let number = U256::from(NUMBER);
    let data = [U256::from(BASE_FEE), U256::ONE, blob.into()];
    assert_eq!(result.logs(), [event(CONTRACT, transient::FEES_EVENT, &[number.into()], &data)]);
    assert_eq!(chain.get(CONTRACT, slot(1)), U256::from(4 * NUMBER + 6));
    assert_eq!(chain.get(CONTRACT, transient::blob_hash_slot(NUMBER)), as_number(blob));
    chain.blob_hashes.clear();
    chain.call(ALICE, CONTRACT, "record(uint256)", &[1u64.into()]);
    assert_eq!(chain.get(CONTRACT, transient::blob_hash_slot(NUMBER)), U256::ZERO);
}

#[test]
fn deposit_is_logged_as_the_request_parser_wants_it() {
    let mut chain = Chain::new().with_code(CONTRACT, deposit::runtime());
    let arguments = [
        Argument::Bytes(vec![0x11; 48]),
        Argument::Bytes(vec![0x22; 32]),
        Argument::Bytes(vec![0x33; 96]),
        B256::ZERO.into(),
    ];
    chain.call_with_value(ALICE, CONTRACT, ETHER, deposit::DEPOSIT, &arguments);
    let result = chain.call_with_value(ALICE, CONTRACT, 32 * ETHER, deposit::DEPOSIT, &arguments);
    assert_eq!(result.logs()[0].topics(), [keccak256(deposit::DEPOSIT_EVENT)]);
    let data = &result.logs()[0].data.data;
    assert_eq!(data.len(), 576);
    let heads: Vec<u8> = (0..5).map(|index| data[32 * index + 31]).collect();
    assert_eq!(heads, [0xa0, 0x00, 0x40, 0x80, 0x00]);
    let mut request = [0; 192];
    request[..48].fill(0x11);
    request[48..80].fill(0x22);
    request[80..88].copy_from_slice(&32_000_000_000u64.to_le_bytes());
    request[88..184].fill(0x33);
    request[184] = 1;
    let receipt = alloy_consensus::Receipt { logs: result.logs().to_vec(), ..Default::default() };
    let mut parsed = alloy_primitives::bytes::BytesMut::new();
    let spec = DepositAt(CONTRACT);
    alloy_evm::eth::eip6110::parse_deposits_from_receipts(&spec, &[receipt])
        .map(|bytes| parsed.extend_from_slice(&bytes))
        .unwrap();
    assert_eq!(hex::encode(parsed), hex::encode(request));
    assert_eq!(chain.get(CONTRACT, slot(0)), U256::from(2));
    assert_eq!(chain.revert_reason(ALICE, CONTRACT, deposit::DEPOSIT, &arguments), "deposit value too low");
}

/// Rules with a deposit contract and nothing else.
struct DepositAt(Address);

impl alloy_hardforks::EthereumHardforks for DepositAt {
    fn ethereum_fork_activation(
        &self,
        _fork: alloy_hardforks::EthereumHardfork,
    ) -> alloy_hardforks::ForkCondition {
        alloy_hardforks::ForkCondition::Timestamp(0)
    }
}

impl alloy_evm::eth::spec::EthExecutorSpec for DepositAt {
    fn deposit_contract_address(&self) -> Option<Address> {
        Some(self.0)
    }
}
