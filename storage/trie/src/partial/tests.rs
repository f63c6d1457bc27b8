//! A partial trie = the naive one, given exactly the nodes that it may look at.

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, proof::ProofRetainer};
use portico_db::models::Account;
use proptest::prelude::*;

use super::{NODE_BYTES_MAX, PartialState, PartialTrie, TrieNodes};
use crate::{NodeFault, PartialTrieError, state_root_of, storage_root_of};

/// Slots as they are, never zero.
type Model = BTreeMap<B256, U256>;

fn root_of(model: &Model) -> B256 {
    storage_root_of(model.iter().map(|(slot, value)| (*slot, *value)))
}

/// The nodes on the way to `targets`, by path.
fn proof<'k>(model: &Model, targets: impl IntoIterator<Item = &'k B256>) -> BTreeMap<Nibbles, Bytes> {
    let targets = targets.into_iter().map(|key| Nibbles::unpack_array(&key.0)).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets));
    for (slot, value) in model {
        builder.add_leaf(Nibbles::unpack_array(&slot.0), &alloy_rlp::encode(value));
    }
    assert_eq!(builder.root(), root_of(model));
    let nodes = builder.take_proof_nodes().into_inner().into_iter();
    // Those that are shorter than a hash stand in their parents.
    nodes.filter(|(path, rlp)| path.is_empty() || rlp.len() >= 32).collect()
}

fn nodes_of<'n>(rlp: impl IntoIterator<Item = &'n Bytes>) -> TrieNodes {
    let mut nodes = TrieNodes::default();
    for rlp in rlp {
        nodes.insert(rlp.clone()).unwrap();
    }
    nodes
}

/// Reads and changes, sets before removals; gives the new root.
fn run(nodes: &TrieNodes, model: &Model, writes: &BTreeMap<B256, U256>) -> Result<B256, PartialTrieError> {
    let mut trie = PartialTrie::new(nodes, root_of(model));
    for key in writes.keys() {
        let expected = model.get(key).map(alloy_rlp::encode);
        assert_eq!(trie.get(key)?, expected.as_deref());
    }
    assert_eq!(trie.root(), root_of(model), "reading changes nothing");
    for (key, value) in writes.iter().filter(|(_, value)| !value.is_zero()) {
        trie.insert(key, alloy_rlp::encode(value))?;
    }
    for (key, _) in writes.iter().filter(|(_, value)| value.is_zero()) {
        let before = trie.clone().root();
        match trie.remove(key) {
            Ok(removed) => assert_eq!(removed, model.contains_key(key)),
            Err(error) => {
                assert_eq!(trie.root(), before, "what fails changes nothing");
                return Err(error);
            }
        }
    }
    Ok(trie.root())
}

fn changed(model: &Model, writes: &BTreeMap<B256, U256>) -> Model {
    let mut model = model.clone();
    model.extend(writes);
    model.retain(|_, value| !value.is_zero());
    model
}

/// Keys that share many nibbles, so that extensions and embedded nodes come about.
fn key() -> impl Strategy<Value = B256> {
    let tail = prop_oneof![Just(0_usize), 58_usize..64, 0_usize..64];
    (0_u8..3, tail, any::<[u8; 32]>()).prop_map(|(base, shared, random)| {
        let mut nibbles = vec![base * 5; 64];
        for (index, nibble) in nibbles.iter_mut().enumerate().skip(shared) {
            *nibble = random[index / 2] >> (4 * (index % 2)) & 0xf;
        }
        B256::from_slice(&Nibbles::from_nibbles(nibbles).pack())
    })
}

fn value() -> impl Strategy<Value = U256> {
    prop_oneof![(1_u64..300).prop_map(U256::from), any::<[u8; 32]>().prop_map(U256::from_be_bytes)]
        .prop_filter("zero is no value", |value| !value.is_zero())
}

/// A model, and writes of which about half meet what is there.
fn case() -> impl Strategy<Value = (Model, BTreeMap<B256, U256>)> {
    let model = prop::collection::btree_map(key(), value(), 0..40);
    let old = prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(value())), 0..12);
    let new = prop::collection::btree_map(key(), prop::option::of(value()), 0..6);
    (model, old, new).prop_map(|(model, old, new)| {
        let keys: Vec<B256> = model.keys().copied().collect();
        let mut writes: BTreeMap<B256, U256> =
            new.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect();
        for (index, value) in old.into_iter().filter(|_| !keys.is_empty()) {
            writes.insert(*index.get(&keys), value.unwrap_or_default());
        }
        (model, writes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_nodes_on_the_way_and_siblings_that_are_asked_for_suffice((model, writes) in case()) {
        let mut proven = proof(&model, writes.keys());
        loop {
            match run(&nodes_of(proven.values()), &model, &writes) {
                Ok(root) => {
                    prop_assert_eq!(root, root_of(&changed(&model, &writes)));
                    break;
                }
                Err(PartialTrieError::MissingSibling { path, hash }) => {
                    let below = model.keys().find(|key| Nibbles::unpack_array(&key.0).starts_with(&path));
                    let sibling = proof(&model, below).remove(&path).expect("the path is that of a node");
                    prop_assert_eq!(keccak256(&sibling), hash);
                    prop_assert!(proven.insert(path, sibling).is_none(), "it was there");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn any_node_less_is_an_error_and_never_zero((model, writes) in case()) {
        let proven = proof(&model, writes.keys());
        for path in proven.keys().filter(|_| !model.is_empty() && !writes.is_empty()) {
            let mut less = proven.clone();
            let hash = keccak256(less.remove(path).unwrap());
            if less.values().any(|rlp| keccak256(rlp) == hash) {
                continue;
            }
            let error = run(&nodes_of(less.values()), &model, &writes).unwrap_err();
            prop_assert_eq!(error, PartialTrieError::MissingNode { path: *path, hash });
        }
    }

    #[test]
    fn damaged_nodes_never_panic(
        (model, writes) in case(),
        at: prop::sample::Index,
        byte: u8,
        cut in 0_usize..4,
        key in key(),
    ) {
        let proven = proof(&model, writes.keys());
        for rlp in proven.values() {
            let mut damaged = rlp.to_vec();
            damaged[at.index(rlp.len())] = byte;
            damaged.truncate(damaged.len().saturating_sub(cut));
            let mut nodes = nodes_of(proven.values());
            let root = nodes.insert(damaged.into()).unwrap();
            let mut trie = PartialTrie::new(&nodes, root);
            let (_, _) = (trie.get(&key).map(|_| ()), trie.remove(&key));
            for (key, value) in &writes {
                let _ = trie.get(key).map(|_| ());
                let _ = if value.is_zero() { trie.remove(key) } else { trie.insert(key, vec![1]).map(|()| true) };
            }
            trie.root();
        }
    }

    #[test]
    fn noise_is_no_node(noise in prop::collection::vec(any::<u8>(), 0..600), key in key()) {
        let mut nodes = TrieNodes::default();
        let Ok(root) = nodes.insert(noise.clone().into()) else {
            prop_assert!(noise.len() > NODE_BYTES_MAX);
            return Ok(());
        };
        let mut trie = PartialTrie::new(&nodes, root);
        prop_assume!(root != EMPTY_ROOT_HASH);
        let is_malformed = matches!(trie.get(&key), Err(PartialTrieError::MalformedNode { .. }));
        prop_assert!(is_malformed, "noise is no node");
    }
}

/// A state with storage, and the whole of its nodes.
fn state_with_nodes(accounts: &BTreeMap<B256, (Account, Model)>) -> (B256, TrieNodes) {
    let all = accounts.keys().map(|key| Nibbles::unpack_array(&key.0)).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(all));
    let mut nodes = TrieNodes::default();
    for (address, (account, slots)) in accounts {
        let root = root_of(slots);
        let leaf = alloy_trie::TrieAccount::new(account.nonce, account.balance, root, account.code_hash);
        builder.add_leaf(Nibbles::unpack_array(&address.0), &alloy_rlp::encode(leaf));
        for rlp in proof(slots, slots.keys()).into_values() {
            nodes.insert(rlp).unwrap();
        }
    }
    let root = builder.root();
    for rlp in builder.take_proof_nodes().into_inner().into_values() {
        nodes.insert(rlp).unwrap();
    }
    (root, nodes)
}

fn state_root(accounts: &BTreeMap<B256, (Account, Model)>) -> B256 {
    state_root_of(accounts.iter().map(|(address, (account, slots))| (*address, *account, root_of(slots))))
}

type Accounts = BTreeMap<B256, (Account, Model)>;

#[derive(Debug, Clone)]
enum Write {
    Remove,
    Set { balance: Option<u64>, wipe: bool, slots: Model },
}

fn write() -> impl Strategy<Value = Write> {
    let slots = prop::collection::btree_map(key(), prop_oneof![Just(U256::ZERO), value()], 0..6);
    prop_oneof![
        1 => Just(Write::Remove),
        4 => (any::<Option<u64>>(), any::<bool>(), slots)
            .prop_map(|(balance, wipe, slots)| Write::Set { balance, wipe, slots }),
    ]
}

proptest! {
    #[test]
    fn a_state_follows_its_accounts_and_their_storage(
        accounts in prop::collection::btree_map(
            key(),
            (any::<u64>(), prop::collection::btree_map(key(), value(), 0..8)),
            0..12,
        ),
        writes in prop::collection::vec((any::<prop::sample::Index>(), key(), any::<bool>(), write()), 0..10),
    ) {
        let account = |balance| Account { balance: U256::from(balance), ..Account::default() };
        let mut accounts: Accounts =
            accounts.into_iter().map(|(key, (balance, slots))| (key, (account(balance), slots))).collect();
        let (root, nodes) = state_with_nodes(&accounts);
        let mut state = PartialState::new(&nodes, root);
        let known: Vec<B256> = accounts.keys().copied().collect();
        for (index, new, is_new, write) in writes {
            let address = if is_new || known.is_empty() { new } else { *index.get(&known) };
            prop_assert_eq!(state.account(&address).unwrap(), accounts.get(&address).map(|(account, _)| *account));
            match write {
                Write::Remove => {
                    state.remove_account(&address).unwrap();
                    accounts.remove(&address);
                }
                Write::Set { balance, wipe, slots } => {
                    let entry = accounts.entry(address).or_default();
                    if wipe {
                        state.wipe_storage(&address);
                        entry.1.clear();
                    }
                    for slot in slots.keys() {
                        let expected = entry.1.get(slot).copied().unwrap_or_default();
                        prop_assert_eq!(state.slot(&address, slot).unwrap(), expected);
                    }
                    for (slot, value) in &slots {
                        state.set_slot(&address, slot, *value).unwrap();
                    }
                    entry.1 = changed(&entry.1, &slots);
                    entry.0 = balance.map_or(entry.0, account);
                    state.set_account(&address, entry.0).unwrap();
                }
            }
            prop_assert_eq!(state.root(), state_root(&accounts));
        }
    }
}

#[test]
fn a_wiped_storage_needs_none_of_its_nodes() {
    let address = B256::repeat_byte(1);
    let slots: Model = (1..20_u64).map(|slot| (keccak256(slot.to_be_bytes()), U256::from(slot))).collect();
    let account = Account { nonce: 1, ..Account::default() };
    let (root, _) = state_with_nodes(&[(address, (account, slots.clone()))].into());
    let leaf = alloy_trie::TrieAccount::new(1, U256::ZERO, root_of(&slots), account.code_hash);
    let mut builder = HashBuilder::default()
        .with_proof_retainer(ProofRetainer::new(vec![Nibbles::unpack_array(&address.0)]));
    builder.add_leaf(Nibbles::unpack_array(&address.0), &alloy_rlp::encode(leaf));
    assert_eq!(builder.root(), root);
    let nodes = nodes_of(&builder.take_proof_nodes().into_inner().into_values().collect::<Vec<_>>());
    let mut state = PartialState::new(&nodes, root);
    let slot = *slots.keys().next().unwrap();
    assert!(state.slot(&address, &slot).unwrap_err().is_missing());
    state.wipe_storage(&address);
    assert_eq!(state.slot(&address, &slot).unwrap(), U256::ZERO);
    state.set_slot(&address, &slot, U256::from(7)).unwrap();
    state.set_account(&address, account).unwrap();
    assert_eq!(state.root(), state_root(&[(address, (account, [(slot, U256::from(7))].into()))].into()));
}

#[test]
fn setting_before_removing_saves_the_sibling() {
    let key = |first: u8| B256::right_padding_from(&[first]);
    let model: Model = [(key(0x10), U256::MAX), (key(0x20), U256::MAX >> 1)].into();
    let writes = [(key(0x10), U256::ZERO), (key(0x30), U256::from(3))];
    let nodes = nodes_of(proof(&model, [&key(0x10)]).values());
    assert_eq!(nodes.len(), 2, "the branch and the leaf that goes");
    let root = run(&nodes, &model, &writes.into()).unwrap();
    assert_eq!(root, root_of(&[(key(0x20), U256::MAX >> 1), (key(0x30), U256::from(3))].into()));
    let mut trie = PartialTrie::new(&nodes, root_of(&model));
    let error = trie.remove(&key(0x10)).unwrap_err();
    assert!(
        matches!(error, PartialTrieError::MissingSibling { path, .. } if path.to_vec() == [2]),
        "{error}"
    );
}

fn list(items: &[&[u8]]) -> Vec<u8> {
    let payload = items.concat();
    let mut rlp = Vec::new();
    Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
    rlp.extend_from_slice(&payload);
    rlp
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut rlp = Vec::new();
    bytes.encode(&mut rlp);
    rlp
}

/// The path of a whole key, and its leaf with this value.
fn leaf(prefix: u8, path: usize, value: &[u8]) -> Vec<u8> {
    let mut encoded = vec![prefix];
    encoded.resize(1 + path, 0x11);
    list(&[&string(&encoded), &string(value)])
}

fn branch(children: &[&[u8]], value: &[u8]) -> Vec<u8> {
    let mut items = children.to_vec();
    items.resize(16, &[EMPTY_STRING_CODE]);
    items.push(value);
    list(&items)
}

fn fault_of(rlp: Vec<u8>) -> NodeFault {
    let mut nodes = TrieNodes::default();
    let root = nodes.insert(rlp.into()).unwrap();
    match PartialTrie::new(&nodes, root).get(&B256::repeat_byte(0x11)).unwrap_err() {
        PartialTrieError::MalformedNode { path, hash, fault } => {
            assert_eq!((path.len(), hash), (0, root));
            fault
        }
        error => panic!("{error}"),
    }
}

#[test]
fn malformed_nodes_are_told_apart() {
    let empty = [EMPTY_STRING_CODE];
    let hash = string(&[7; 32]);
    assert_eq!(fault_of(vec![]), NodeFault::Rlp(alloy_rlp::Error::InputTooShort));
    assert_eq!(fault_of(vec![0x05]), NodeFault::Rlp(alloy_rlp::Error::UnexpectedString));
    assert_eq!(fault_of([leaf(0x20, 32, b"v"), vec![0]].concat()), NodeFault::TrailingBytes { bytes: 1 });
    assert_eq!(fault_of(list(&[&empty])), NodeFault::ItemCount);
    assert_eq!(fault_of(list(&[&empty[..]; 18])), NodeFault::ItemCount);
    assert_eq!(fault_of(leaf(0x20, 31, b"v")), NodeFault::LeafDepth { end: 62 });
    assert_eq!(fault_of(leaf(0x20, 33, b"v")), NodeFault::TooDeep);
    assert_eq!(fault_of(leaf(0x31, 32, b"v")), NodeFault::TooDeep);
    assert_eq!(fault_of(leaf(0x21, 32, b"v")), NodeFault::PathPrefix { prefix: Some(0x21) });
    assert_eq!(fault_of(leaf(0x40, 32, b"v")), NodeFault::PathPrefix { prefix: Some(0x40) });
    assert_eq!(fault_of(list(&[&empty, &hash])), NodeFault::PathPrefix { prefix: None });
    assert_eq!(fault_of(leaf(0x20, 32, b"")), NodeFault::EmptyValue);
    assert_eq!(fault_of(list(&[&[0x00], &hash])), NodeFault::EmptyExtension);
    assert_eq!(fault_of(list(&[&string(&[0; 33]), &hash])), NodeFault::TooDeep);
    assert_eq!(fault_of(list(&[&[0x11], &string(&[7; 31])])), NodeFault::ChildHash { bytes: 31 });
    assert_eq!(fault_of(list(&[&[0x11], &empty])), NodeFault::NoBranchBelowExtension);
    assert_eq!(fault_of(branch(&[&hash, &hash], b"v")), NodeFault::BranchValue);
    assert_eq!(fault_of(branch(&[&hash], &empty)), NodeFault::LonelyChild { count: 1 });
    assert_eq!(
        fault_of(branch(&[&leaf(0x20, 31, b"value")], &empty)),
        NodeFault::EmbeddedTooLong { bytes: 40 }
    );
    assert_eq!(fault_of(branch(&[&leaf(0x20, 3, b"v")], &empty)), NodeFault::LeafDepth { end: 7 });
    let error = TrieNodes::default().insert(vec![0; NODE_BYTES_MAX + 1].into()).unwrap_err();
    assert_eq!(error, PartialTrieError::NodeTooLong { max: NODE_BYTES_MAX, got: NODE_BYTES_MAX + 1 });
}

#[test]
fn a_child_is_judged_by_its_place() {
    let mut nodes = TrieNodes::default();
    // Four children below one another would end a key after 64 nibbles, were it not for their depth.
    let short = nodes.insert(leaf(0x20, 3, b"v").into()).unwrap();
    let deep = nodes.insert(leaf(0x20, 32, b"v").into()).unwrap();
    let hashes = [string(short.as_slice()), string(deep.as_slice())];
    let below_branch = nodes.insert(branch(&[&hashes[0], &hashes[1]], &[EMPTY_STRING_CODE]).into()).unwrap();
    let below_extension = nodes.insert(list(&[&[0x11], &hashes[1]]).into()).unwrap();
    let fault = |root: B256, key: u8| {
        let error = PartialTrie::new(&nodes, root).get(&B256::repeat_byte(key)).map(|_| ()).unwrap_err();
        match error {
            PartialTrieError::MalformedNode { path, fault, .. } => (path.to_vec(), fault),
            error => panic!("{error}"),
        }
    };
    assert_eq!(fault(below_branch, 0x00), (vec![0], NodeFault::NotEmbedded { bytes: 7 }));
    assert_eq!(fault(below_branch, 0x11), (vec![1], NodeFault::LeafDepth { end: 65 }));
    assert_eq!(fault(below_extension, 0x11), (vec![1], NodeFault::LeafDepth { end: 65 }));
}

#[test]
fn the_empty_trie_needs_no_node() {
    let nodes = TrieNodes::default();
    let mut trie = PartialTrie::new(&nodes, EMPTY_ROOT_HASH);
    assert_eq!(trie.get(&B256::ZERO), Ok(None));
    assert_eq!(trie.remove(&B256::ZERO), Ok(false));
    trie.insert(&B256::ZERO, vec![1]).unwrap();
    assert_eq!(trie.root(), root_of(&[(B256::ZERO, U256::from(1))].into()));
    assert_eq!(trie.remove(&B256::ZERO), Ok(true));
    assert_eq!(trie.root(), EMPTY_ROOT_HASH);
}
