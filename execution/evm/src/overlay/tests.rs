use super::*;
use crate::MemoryState;

const ALICE: Address = Address::repeat_byte(0xa1);
const SLOT: B256 = B256::with_last_byte(1);

fn commit(overlay: &mut Overlay<impl StateReader>, account: EvmAccount) {
    overlay.basic(ALICE).unwrap();
    overlay.commit([(ALICE, account)].into_iter().collect());
    overlay.check().unwrap();
}

/// EIP-161 deletes what has no nonce, balance and code; before it, a creation could leave storage behind (EIP-7610).
#[test]
fn storage_of_an_empty_account_goes_with_it() {
    let mut state = MemoryState::new();
    state.insert(ALICE, 0, U256::ZERO, Bytes::new(), [(SLOT, U256::from(5))]);
    let mut overlay = Overlay::new(&mut state);
    overlay.begin_block(1);
    let mut touched = EvmAccount::default();
    touched.mark_touch();
    commit(&mut overlay, touched);
    assert_eq!(overlay.storage(ALICE, SLOT.into()).unwrap(), U256::ZERO);
    let changes = overlay.end_block();
    assert_eq!(changes.accounts, [AccountChange { address: ALICE, before: Some(Account::default()) }]);
    assert_eq!(changes.storage, [StorageChange { address: ALICE, slot: SLOT, before: U256::from(5) }]);
    let expected =
        WrittenAccount { address: ALICE, account: Some(None), wipe_storage: true, slots: Vec::new() };
    assert_eq!(overlay.into_writes().accounts, [expected]);
}

/// Before London, anything could be deployed (EIP-3541).
#[test]
fn code_that_begins_like_a_delegation_is_read_as_code() {
    for code in
        [&[0xef, 0x01][..], &[0xef, 0x01, 0x00], &[0xef, 0x01, 0x01, 0x00], &[0xef, 0x01, 0x00, 0x60, 0x00]]
    {
        let mut state = MemoryState::new();
        let code_hash = state.insert_code(Bytes::copy_from_slice(code));
        let read = Overlay::new(&mut state).code_by_hash(code_hash).unwrap();
        assert!(read.is_legacy(), "{code:02x?}");
        assert_eq!(read.original_byte_slice(), code);
    }
}

#[test]
fn deployed_code_is_the_same_in_its_batch_and_after_it() {
    for code in [vec![0xef, 0x01], [&[0xef, 0x01, 0x00][..], &[7; 20]].concat(), vec![0x60, 0x00]] {
        let mut state = MemoryState::new();
        let mut overlay = Overlay::new(&mut state);
        overlay.begin_block(1);
        let mut created = EvmAccount::default();
        created.info = AccountInfo::from_bytecode(Bytecode::new_legacy(code.into()));
        created.mark_touch();
        created.mark_created();
        let code_hash = created.info.code_hash;
        commit(&mut overlay, created);
        let within = overlay.code_by_hash(code_hash).unwrap();
        let writes = overlay.into_writes();
        state.apply(writes);
        assert_eq!(Overlay::new(&mut state).code_by_hash(code_hash).unwrap(), within);
    }
}

/// What is told of an account counts as what the reader has, which is not asked; what is known already stays.
#[test]
fn accounts_that_were_read_by_someone_else_are_not_read_again() {
    let mut state = MemoryState::new();
    state.insert(ALICE, 1, U256::ZERO, Bytes::new(), []);
    let mut overlay = Overlay::new(&mut state);
    let told = Account { nonce: 9, ..Account::default() };
    overlay.preload([(ALICE, Some(told))]);
    overlay.preload([(ALICE, None)]);
    assert_eq!(overlay.basic(ALICE).unwrap().unwrap().nonce, 9);
    assert_eq!(overlay.into_writes(), OverlayWrites::default());
}

#[test]
fn slots_are_new_where_the_reader_has_none() {
    let (old, new) = (SLOT, B256::with_last_byte(2));
    let mut state = MemoryState::new();
    state.insert(ALICE, 1, U256::ZERO, Bytes::new(), [(old, U256::from(5))]);
    let touched = |slots: &[(B256, u64)]| {
        let mut account = EvmAccount::default();
        account.info.nonce = 1;
        account.mark_touch();
        let slots = slots.iter().map(|(slot, value)| {
            let changed =
                revm::state::EvmStorageSlot::new_changed(U256::ZERO, U256::from(*value), Default::default());
            ((*slot).into(), changed)
        });
        account.storage.extend(slots);
        account
    };
    let written = |slot, value, is_new| WrittenSlot { slot, value: U256::from(value), is_new };

    let mut overlay = Overlay::new(&mut state);
    overlay.begin_block(1);
    // As the EVM does before it writes.
    assert_eq!(overlay.storage(ALICE, old.into()).unwrap(), U256::from(5));
    commit(&mut overlay, touched(&[(old, 6), (new, 7)]));
    let writes = overlay.to_writes();
    assert_eq!(writes.accounts[0].slots, [written(old, 6, false), written(new, 7, true)]);

    // Once its storage is wiped, nothing is there.
    let mut gone = touched(&[]);
    gone.mark_selfdestruct();
    commit(&mut overlay, gone);
    let mut again = touched(&[(old, 8)]);
    again.mark_created();
    commit(&mut overlay, again);
    let writes = overlay.into_writes();
    assert!(writes.accounts[0].wipe_storage);
    assert_eq!(writes.accounts[0].slots, [written(old, 8, true)]);
}
