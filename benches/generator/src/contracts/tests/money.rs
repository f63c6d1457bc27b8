//! Tokens, pairs, the router, proxies, airdrops.

use super::*;

#[test]
fn token_is_minted_to_its_creator() {
    let mut chain = Chain::new();
    let result = chain.send(ALICE, TxKind::Create, 0, erc20::init(U256::from(5000)));
    let token = result.created_address().unwrap();
    assert_eq!(token, ALICE.create(0));
    assert_eq!(chain.account(token).code.unwrap().original_bytes(), erc20::runtime());
    assert_eq!(chain.token_balance(token, ALICE), 5000);
    assert_eq!(chain.get(token, erc20::TOTAL_SUPPLY_SLOT), U256::from(5000));
    assert_eq!(result.logs(), [transfer_event(token, Address::ZERO, ALICE, 5000)]);
}

#[test]
fn token_transfer_moves_and_logs() {
    let mut chain = Chain::new().with_token(TOKEN, &[(ALICE, 100)]);
    let result = chain.call(ALICE, TOKEN, "transfer(address,uint256)", &[BOB.into(), 30u64.into()]);
    assert_eq!(word(&result), U256::ONE);
    assert_eq!(result.logs(), [transfer_event(TOKEN, ALICE, BOB, 30)]);
    assert_eq!((chain.token_balance(TOKEN, ALICE), chain.token_balance(TOKEN, BOB)), (70, 30));

    chain.call(ALICE, TOKEN, "transfer(address,uint256)", &[ALICE.into(), 30u64.into()]);
    assert_eq!(chain.token_balance(TOKEN, ALICE), 70);
    let balance = chain.call(BOB, TOKEN, "balanceOf(address)", &[BOB.into()]);
    assert_eq!(word(&balance), U256::from(30));
}

#[test]
fn token_transfer_beyond_the_balance_reverts() {
    let mut chain = Chain::new().with_token(TOKEN, &[(ALICE, 100)]);
    let reason = chain.revert_reason(ALICE, TOKEN, "transfer(address,uint256)", &[BOB.into(), 101u64.into()]);
    assert_eq!(reason, "transfer amount exceeds balance");
    let to_nobody = [Address::ZERO.into(), 1u64.into()];
    let reason = chain.revert_reason(ALICE, TOKEN, "transfer(address,uint256)", &to_nobody);
    assert_eq!(reason, "transfer to the zero address");
    assert_eq!(chain.token_balance(TOKEN, ALICE), 100);
}

#[test]
fn token_allowance_is_used_up_unless_unlimited() {
    let mut chain = Chain::new().with_token(TOKEN, &[(ALICE, 100)]);
    let result = chain.call(ALICE, TOKEN, "approve(address,uint256)", &[BOB.into(), 50u64.into()]);
    let participants = [ALICE.into_word(), BOB.into_word()];
    assert_eq!(result.logs(), [event(TOKEN, erc20::APPROVAL_EVENT, &participants, &[U256::from(50)])]);
    assert_eq!(chain.get(TOKEN, erc20::allowance_slot(ALICE, BOB)), U256::from(50));

    let take = |amount: u64| [ALICE.into(), BOB.into(), amount.into()];
    chain.call(BOB, TOKEN, "transferFrom(address,address,uint256)", &take(20));
    assert_eq!(chain.get(TOKEN, erc20::allowance_slot(ALICE, BOB)), U256::from(30));
    assert_eq!((chain.token_balance(TOKEN, ALICE), chain.token_balance(TOKEN, BOB)), (80, 20));
    let reason = chain.revert_reason(BOB, TOKEN, "transferFrom(address,address,uint256)", &take(31));
    assert_eq!(reason, "insufficient allowance");

    chain.call(ALICE, TOKEN, "approve(address,uint256)", &[BOB.into(), UNLIMITED.into()]);
    chain.call(BOB, TOKEN, "transferFrom(address,address,uint256)", &take(31));
    assert_eq!(chain.get(TOKEN, erc20::allowance_slot(ALICE, BOB)), UNLIMITED);
}

#[test]
fn unknown_selector_reverts_without_data() {
    let mut chain = Chain::new().with_token(TOKEN, &[]);
    let result = chain.send(ALICE, TOKEN.into(), 0, call_data("nonsense()", &[]));
    assert!(matches!(result, ExecutionResult::Revert { ref output, .. } if output.is_empty()));
}

fn pair_chain() -> Chain {
    Chain::new()
        .with_token(TOKEN, &[(ALICE, 1_000_000)])
        .with_token(OTHER_TOKEN, &[(BOB, 1_000_000)])
        .with_pair(PAIR, [TOKEN, OTHER_TOKEN], [10_000_000, 40_000_000])
}

#[test]
fn pair_swaps_what_was_sent_before() {
    let mut chain = pair_chain();
    chain.call(ALICE, TOKEN, "transfer(address,uint256)", &[PAIR.into(), 100_000u64.into()]);
    let out = pair::amount_out(100_000, 10_000_000, 40_000_000);
    assert_eq!(out, 394_863);
    let arguments = [0u64.into(), out.into(), ALICE.into(), Argument::Bytes(vec![])];
    let result = chain.call(ALICE, PAIR, "swap(uint256,uint256,address,bytes)", &arguments);

    let reserves = [10_100_000, 40_000_000 - out].map(U256::from);
    let amounts = [100_000, 0, 0, out].map(U256::from);
    assert_eq!(
        result.logs(),
        [
            transfer_event(OTHER_TOKEN, PAIR, ALICE, out),
            event(PAIR, pair::SYNC_EVENT, &[], &reserves),
            event(PAIR, pair::SWAP_EVENT, &[ALICE.into_word(), ALICE.into_word()], &amounts),
        ]
    );
    let packed = reserves[0] | reserves[1] << 112 | U256::from(TIMESTAMP) << 224;
    assert_eq!(chain.get(PAIR, slot(8)), packed);
    assert_eq!(chain.get(PAIR, slot(9)), (U256::from(40) << 112) / U256::from(10) * U256::from(10));
    assert_eq!(chain.get(PAIR, slot(10)), (U256::from(10) << 112) / U256::from(40) * U256::from(10));
    assert_eq!(chain.get(PAIR, slot(12)), U256::ONE);
    assert_eq!(chain.token_balance(OTHER_TOKEN, ALICE), out);
}

#[test]
fn pair_keeps_its_product() {
    let mut chain = pair_chain();
    let signature = "swap(uint256,uint256,address,bytes)";
    let ask = |out: u64| [0u64.into(), out.into(), ALICE.into(), Argument::Bytes(vec![])];
    assert_eq!(chain.revert_reason(ALICE, PAIR, signature, &ask(1)), "INSUFFICIENT_INPUT_AMOUNT");
    assert_eq!(chain.revert_reason(ALICE, PAIR, signature, &ask(0)), "INSUFFICIENT_OUTPUT_AMOUNT");
    assert_eq!(chain.revert_reason(ALICE, PAIR, signature, &ask(40_000_000)), "INSUFFICIENT_LIQUIDITY");
    chain.call(ALICE, TOKEN, "transfer(address,uint256)", &[PAIR.into(), 100_000u64.into()]);
    assert_eq!(chain.revert_reason(ALICE, PAIR, signature, &ask(394_864)), "K");
}

fn router_chain() -> Chain {
    let mut chain = pair_chain()
        .with_token(THIRD_TOKEN, &[])
        .with_pair(SECOND_PAIR, [OTHER_TOKEN, THIRD_TOKEN], [50_000_000, 50_000_000])
        .with_code(CONTRACT, router::runtime());
    chain.set(OTHER_TOKEN, erc20::balance_slot(PAIR), U256::from(40_000_000));
    for (pair, [a, b]) in [(PAIR, [TOKEN, OTHER_TOKEN]), (SECOND_PAIR, [OTHER_TOKEN, THIRD_TOKEN])] {
        chain.set(CONTRACT, router::pair_slot(a, b), pair.into_word().into());
        chain.set(CONTRACT, router::pair_slot(b, a), pair.into_word().into());
    }
    chain.call(ALICE, TOKEN, "approve(address,uint256)", &[CONTRACT.into(), UNLIMITED.into()]);
    chain.call(BOB, OTHER_TOKEN, "approve(address,uint256)", &[CONTRACT.into(), UNLIMITED.into()]);
    chain
}

fn swap_arguments(amount: u64, least: u128, path: &[Address], to: Address, deadline: u64) -> [Argument; 5] {
    [amount.into(), least.into(), path.iter().copied().collect(), to.into(), deadline.into()]
}

#[test]
fn router_swaps_along_a_path() {
    let mut chain = router_chain();
    let first = pair::amount_out(100_000, 10_000_000, 40_000_000);
    let second = pair::amount_out(first, 50_000_000, 50_000_000);
    let path = [TOKEN, OTHER_TOKEN, THIRD_TOKEN];
    let arguments = swap_arguments(100_000, second, &path, BOB, TIMESTAMP);
    let result = chain.call(ALICE, CONTRACT, router::SWAP, &arguments);
    assert_eq!(result.logs().len(), 7);
    assert_eq!(result.logs()[0], transfer_event(TOKEN, ALICE, PAIR, 100_000));
    assert_eq!(result.logs()[1], transfer_event(OTHER_TOKEN, PAIR, SECOND_PAIR, first));
    assert_eq!(result.logs()[4], transfer_event(THIRD_TOKEN, SECOND_PAIR, BOB, second));
    assert_eq!(chain.token_balance(THIRD_TOKEN, BOB), second);
    assert_eq!(chain.token_balance(TOKEN, ALICE), 900_000);
}

#[test]
fn router_swaps_against_the_order_of_the_tokens() {
    let mut chain = router_chain();
    let out = pair::amount_out(400, 40_000_000, 10_000_000);
    let arguments = swap_arguments(400, out, &[OTHER_TOKEN, TOKEN], BOB, TIMESTAMP + 1);
    chain.call(BOB, CONTRACT, router::SWAP, &arguments);
    assert_eq!(out, 99);
    assert_eq!(chain.token_balance(TOKEN, BOB), out);
}

#[test]
fn router_refuses_late_dear_and_impossible_swaps() {
    let mut chain = router_chain();
    let mut reason = |least: u128, path: &[Address], deadline: u64| {
        let arguments = swap_arguments(100_000, least, path, ALICE, deadline);
        chain.revert_reason(ALICE, CONTRACT, router::SWAP, &arguments)
    };
    assert_eq!(reason(0, &[TOKEN, OTHER_TOKEN], TIMESTAMP - 1), "EXPIRED");
    assert_eq!(reason(394_864, &[TOKEN, OTHER_TOKEN], TIMESTAMP), "INSUFFICIENT_OUTPUT_AMOUNT");
    assert_eq!(reason(0, &[TOKEN, THIRD_TOKEN], TIMESTAMP), "NO_PAIR");
}

#[test]
fn proxy_keeps_the_storage_of_its_implementation() {
    let mut chain = Chain::new().with_token(TOKEN, &[(ALICE, 1)]);
    let proxy = chain.send(ALICE, TxKind::Create, 0, proxy::init(TOKEN)).created_address().unwrap();
    assert_eq!(chain.get(proxy, proxy::IMPLEMENTATION_SLOT), as_number(TOKEN.into_word()));
    chain.set(proxy, erc20::balance_slot(ALICE), U256::from(100));
    let result = chain.call(ALICE, proxy, "transfer(address,uint256)", &[BOB.into(), 60u64.into()]);
    assert_eq!(word(&result), U256::ONE);
    assert_eq!(result.logs(), [transfer_event(proxy, ALICE, BOB, 60)]);
    assert_eq!(chain.token_balance(proxy, BOB), 60);
    assert_eq!(chain.token_balance(TOKEN, ALICE), 1);
    let reason = chain.revert_reason(ALICE, proxy, "transfer(address,uint256)", &[BOB.into(), 60u64.into()]);
    assert_eq!(reason, "transfer amount exceeds balance");
    let hash = keccak256("eip1967.proxy.implementation");
    assert_eq!(U256::from_be_bytes(proxy::IMPLEMENTATION_SLOT.0), U256::from_be_bytes(hash.0) - U256::ONE);
}

#[test]
fn airdrop_reaches_every_receiver() {
    let receivers: Vec<Address> = (1..=20).map(Address::with_last_byte).collect();
    let mut chain =
        Chain::new().with_code(CONTRACT, airdrop::runtime()).with_token(TOKEN, &[(CONTRACT, 1000)]);
    let arguments = [TOKEN.into(), 7u64.into(), receivers.iter().copied().collect()];
    let result = chain.call(ALICE, CONTRACT, airdrop::AIRDROP, &arguments);
    let expected: Vec<Log> = receivers.iter().map(|to| transfer_event(TOKEN, CONTRACT, *to, 7)).collect();
    assert_eq!(result.logs(), expected);
    assert_eq!(chain.token_balance(TOKEN, CONTRACT), 1000 - 140);
    let too_much = [TOKEN.into(), 700u64.into(), receivers.iter().copied().collect()];
    assert_eq!(
        chain.revert_reason(ALICE, CONTRACT, airdrop::AIRDROP, &too_much),
        "transfer amount exceeds balance"
    );
}

#[test]
fn disperse_splits_ether() {
    let receivers: Vec<Address> = (0x31..0x35).map(Address::with_last_byte).collect();
    let mut chain = Chain::new().with_code(CONTRACT, airdrop::runtime());
    let list = [receivers.iter().copied().collect()];
    chain.call_with_value(ALICE, CONTRACT, 4 * ETHER + 3, airdrop::DISPERSE, &list);
    for receiver in receivers {
        assert_eq!(chain.balance(receiver), U256::from(ETHER));
    }
    assert_eq!(chain.balance(CONTRACT), U256::from(3));
}
