//! The kernel: hashes a trie from its parts in key order, and says which branch nodes to store.
//!
//! Parts are leaves, and subtries of which the hash is known. Open branch nodes lie on a stack, each deeper than the
//! one before it; the last part waits until the next one shows at which depth the two paths part:
//!
//! ```text
//!   parts      1a2…   1a7…   1c…         after 1c… the frames are
//!   common          2      1               depth 1: children a (closed), c waits
//!              └ branch 1a ┘
//! ```
//!
//! A frame is written as the RLP of its node while its children come, so that closing it is one hash and no copy.

use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::{EMPTY_LIST_CODE, EMPTY_STRING_CODE, Encodable};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use portico_db::models::Account;

use crate::{
    path::{KEY_NIBBLES, Path, common_nibbles, nibble},
    proof::Recorder,
    row::RowBuffer,
};

/// How a parent names a child: the hash of its RLP as a string, or the RLP itself when it is shorter than 32 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeRef {
    bytes: [u8; 33],
    len: u8,
}

impl NodeRef {
    pub fn of_hash(hash: &B256) -> Self {
        let mut bytes = [EMPTY_STRING_CODE + 32; 33];
        bytes[1..].copy_from_slice(hash.as_slice());
        Self { bytes, len: 33 }
    }

    fn of_rlp(rlp: &[u8]) -> Self {
        if rlp.len() >= 32 {
            return Self::of_hash(&keccak256(rlp));
        }
        let mut bytes = [0; 33];
        bytes[..rlp.len()].copy_from_slice(rlp);
        Self { bytes, len: rlp.len() as u8 }
    }

    fn hash(&self) -> Option<B256> {
        (self.len == 33).then(|| B256::from_slice(&self.bytes[1..]))
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A branch node that is closed: all that its parent needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch {
    /// Length of its path, which is the front of the key that goes with it.
    pub depth: usize,
    pub reference: NodeRef,
    /// Whether it has a row.
    pub stored: bool,
}

/// What is under some prefix.
#[derive(Debug, Clone)]
pub(crate) enum Subtrie {
    Leaf { key: B256, value: Vec<u8> },
    Branch { key: B256, branch: Branch },
}

/// The part that waits for its successor; a leaf's value is in [`Builder::value`].
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Nothing,
    Leaf,
    Branch(Branch),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Builder {
    frames: Vec<Frame>,
    /// Of the frames, how many are in use; the rest wait to be used again.
    open: usize,
    key: B256,
    waiting: Waiting,
    value: Vec<u8>,
    scratch: Vec<u8>,
    /// Rows of the branch nodes that were closed, children first.
    pub rows: RowBuffer,
    /// Keeps the nodes on the way to some keys.
    pub recorder: Recorder,
}

impl Builder {
    pub fn new() -> Self {
        Self {
            frames: Vec::new(),
            open: 0,
            key: B256::ZERO,
            waiting: Waiting::Nothing,
            value: Vec::new(),
            scratch: Vec::new(),
            rows: RowBuffer::default(),
            recorder: Recorder::default(),
        }
    }

    /// Adds a leaf behind all parts so far; `value` is its RLP.
    pub fn leaf(&mut self, key: &B256, value: &[u8]) {
        self.make_room(key);
        self.waiting = Waiting::Leaf;
        self.value.clear();
        self.value.extend_from_slice(value);
    }

    /// Adds a leaf of a storage trie.
    pub fn slot(&mut self, key: &B256, value: U256) {
        let bytes = value.to_be_bytes::<32>();
        let bytes = &bytes[value.leading_zeros() / 8..];
        match bytes {
            [byte] if *byte < EMPTY_STRING_CODE => self.leaf(key, bytes),
            _ => {
                let mut rlp = [EMPTY_STRING_CODE + bytes.len() as u8; 33];
                rlp[1..=bytes.len()].copy_from_slice(bytes);
                self.leaf(key, &rlp[..=bytes.len()]);
            }
        }
    }

    /// Adds a leaf of the state trie.
    pub fn account(&mut self, key: &B256, account: &Account, storage_root: B256) {
        self.make_room(key);
        self.waiting = Waiting::Leaf;
        self.value.clear();
        let leaf = TrieAccount::new(account.nonce, account.balance, storage_root, account.code_hash);
        leaf.encode(&mut self.value);
    }

    /// Adds the branch node at the front of `key`, with all that is below it.
    pub fn branch(&mut self, key: &B256, branch: Branch) {
        self.make_room(key);
        self.waiting = Waiting::Branch(branch);
    }

    /// Adds what another builder made.
    pub fn subtrie(&mut self, subtrie: &Subtrie) {
        match subtrie {
            Subtrie::Leaf { key, value } => self.leaf(key, value),
            Subtrie::Branch { key, branch } => self.branch(key, *branch),
        }
    }

    /// Closes everything; the builder can then start anew. `None` when there were no parts.
    pub fn finish(&mut self) -> Option<Subtrie> {
        while self.open > 0 {
            self.close_frame();
        }
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => None,
            Waiting::Leaf => Some(Subtrie::Leaf { key: self.key, value: std::mem::take(&mut self.value) }),
            Waiting::Branch(branch) => Some(Subtrie::Branch { key: self.key, branch }),
        }
    }

    /// [`Builder::finish`] of a whole trie.
    pub fn root(&mut self) -> B256 {
        while self.open > 0 {
            self.close_frame();
        }
        let reference = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => return EMPTY_ROOT_HASH,
            Waiting::Leaf => {
                let rlp = leaf(&mut self.scratch, &self.key, 0, &self.value);
                self.recorder.note(&self.key, 0, rlp);
                NodeRef::of_rlp(rlp)
            }
            Waiting::Branch(branch) if branch.depth == 0 => branch.reference,
            Waiting::Branch(branch) => {
                let rlp = extension(&mut self.scratch, &self.key, 0, branch.depth, &branch.reference);
                self.recorder.note(&self.key, 0, rlp);
                NodeRef::of_rlp(rlp)
            }
        };
        reference.hash().unwrap_or_else(|| keccak256(reference.as_bytes()))
    }

    /// Puts the waiting part in its place, now that it is known where `next` parts from it.
    fn make_room(&mut self, next: &B256) {
        if !matches!(self.waiting, Waiting::Nothing) {
            debug_assert!(self.key < *next, "parts come in key order");
            let common = common_nibbles(&self.key, next);
            while self.open > 0 && self.frames[self.open - 1].depth > common {
                self.close_frame();
            }
            if self.open == 0 || self.frames[self.open - 1].depth < common {
                self.open_frame(common);
            }
            self.attach();
        }
        self.key = *next;
    }

    fn open_frame(&mut self, depth: usize) {
        if self.open == self.frames.len() {
            self.frames.push(Frame::new());
        }
        self.frames[self.open].open(depth);
        self.open += 1;
    }

    /// Makes the waiting part a child of the deepest frame.
    fn attach(&mut self) {
        let frame = &mut self.frames[self.open - 1];
        let at = frame.depth;
        let nibble = nibble(&self.key, at);
        let reference = match self.waiting {
            Waiting::Nothing => return,
            Waiting::Leaf => {
                let rlp = leaf(&mut self.scratch, &self.key, at + 1, &self.value);
                self.recorder.note(&self.key, at + 1, rlp);
                NodeRef::of_rlp(rlp)
            }
            Waiting::Branch(branch) => {
                if branch.stored {
                    frame.tree_mask |= 1 << nibble;
                }
                if branch.depth > at + 1 {
                    let rlp =
                        extension(&mut self.scratch, &self.key, at + 1, branch.depth, &branch.reference);
                    self.recorder.note(&self.key, at + 1, rlp);
                    NodeRef::of_rlp(rlp)
                } else {
                    if branch.reference.hash().is_some() {
                        frame.hash_mask |= 1 << nibble;
                    }
                    branch.reference
                }
            }
        };
        frame.add(nibble, &reference);
    }

    /// Ends the deepest frame with the waiting part; its branch node waits in turn.
    fn close_frame(&mut self) {
        self.attach();
        self.open -= 1;
        let frame = &mut self.frames[self.open];
        let depth = frame.depth;
        let rlp = frame.close();
        self.recorder.note(&self.key, depth, rlp);
        let reference = NodeRef::of_rlp(rlp);
        let stored = frame.tree_mask | frame.hash_mask != 0;
        if stored {
            self.rows.push_with(Path::of(&self.key, frame.depth), |out| {
                frame.write_row(out);
                if frame.depth == 0 {
                    let hash = reference.hash().expect("a node with a hash in it is longer than a hash");
                    out.extend_from_slice(hash.as_slice());
                }
            });
        }
        self.waiting = Waiting::Branch(Branch { depth: frame.depth, reference, stored });
    }
}

/// Room for the header of a list in front of a frame's children.
const HEADER: usize = 3;
const FRAME_MAX: usize = HEADER + 16 * 33 + 1;

/// A branch node whose children are still coming.
#[derive(Debug)]
struct Frame {
    depth: usize,
    state_mask: u16,
    tree_mask: u16,
    hash_mask: u16,
    /// Children written, present or not.
    children: u8,
    end: usize,
    rlp: [u8; FRAME_MAX],
}

impl Frame {
    fn new() -> Self {
        Self {
            depth: 0,
            state_mask: 0,
            tree_mask: 0,
            hash_mask: 0,
            children: 0,
            end: HEADER,
            rlp: [0; FRAME_MAX],
        }
    }

    fn open(&mut self, depth: usize) {
        self.depth = depth;
        (self.state_mask, self.tree_mask, self.hash_mask) = (0, 0, 0);
        (self.children, self.end) = (0, HEADER);
    }

    fn add(&mut self, nibble: u8, reference: &NodeRef) {
        self.skip_to(nibble);
        self.state_mask |= 1 << nibble;
        let bytes = reference.as_bytes();
        self.rlp[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        self.children += 1;
    }

    /// Children that are not there are empty strings.
    fn skip_to(&mut self, nibble: u8) {
        let absent = usize::from(nibble - self.children);
        self.rlp[self.end..self.end + absent].fill(EMPTY_STRING_CODE);
        self.end += absent;
        self.children = nibble;
    }

    /// The RLP of the node: a list of 16 children and an empty value.
    fn close(&mut self) -> &[u8] {
        self.skip_to(16);
        self.rlp[self.end] = EMPTY_STRING_CODE;
        self.end += 1;
        let len = self.end - HEADER;
        let start = match len {
            0..=55 => {
                self.rlp[2] = EMPTY_LIST_CODE + len as u8;
                2
            }
            56..=255 => {
                self.rlp[1..3].copy_from_slice(&[EMPTY_LIST_CODE + 56, len as u8]);
                1
            }
            _ => {
                self.rlp[..3].copy_from_slice(&[EMPTY_LIST_CODE + 57, (len >> 8) as u8, len as u8]);
                0
            }
        };
        &self.rlp[start..self.end]
    }

    /// The masks, and of the children those hashes that are in the hash mask.
    fn write_row(&self, out: &mut Vec<u8>) {
        for mask in [self.state_mask, self.tree_mask, self.hash_mask] {
            out.extend_from_slice(&mask.to_be_bytes());
        }
        let mut at = HEADER;
        for nibble in 0..16 {
            let len = match self.rlp[at] {
                code if code < EMPTY_LIST_CODE => usize::from(code - EMPTY_STRING_CODE),
                code => usize::from(code - EMPTY_LIST_CODE),
            };
            if self.hash_mask & 1 << nibble != 0 {
                out.extend_from_slice(&self.rlp[at + 1..at + 33]);
            }
            at += 1 + len;
        }
    }
}

/// A leaf whose parent has taken the first `from` nibbles of `key`.
fn leaf<'s>(scratch: &'s mut Vec<u8>, key: &B256, from: usize, value: &[u8]) -> &'s [u8] {
    short_node(scratch, key, from, KEY_NIBBLES, |out| {
        match value {
            [byte] if *byte < EMPTY_STRING_CODE => {}
            _ if value.len() < 56 => out.push(EMPTY_STRING_CODE + value.len() as u8),
            _ => {
                debug_assert!(value.len() < 256, "an account is at most 110 bytes");
                out.extend_from_slice(&[EMPTY_STRING_CODE + 56, value.len() as u8]);
            }
        }
        out.extend_from_slice(value);
    })
}

/// An extension from nibble `from` of `key` to the branch node at nibble `to`.
fn extension<'s>(scratch: &'s mut Vec<u8>, key: &B256, from: usize, to: usize, child: &NodeRef) -> &'s [u8] {
    short_node(scratch, key, from, to, |out| out.extend_from_slice(child.as_bytes()))
}

/// A list of a part of the key, in hex-prefix form (flag 2: it reaches the key's end), and what `second` writes.
fn short_node<'s>(
    scratch: &'s mut Vec<u8>,
    key: &B256,
    from: usize,
    to: usize,
    second: impl FnOnce(&mut Vec<u8>),
) -> &'s [u8] {
    scratch.clear();
    scratch.extend_from_slice(&[0, 0]);
    let prefix_len = (to - from) / 2 + 1;
    if prefix_len > 1 {
        scratch.push(EMPTY_STRING_CODE + prefix_len as u8);
    }
    let flag = if to == KEY_NIBBLES { 0x20 } else { 0 };
    let mut at = from;
    if (to - from).is_multiple_of(2) {
        scratch.push(flag);
    } else {
        scratch.push(flag | 0x10 | nibble(key, at));
        at += 1;
    }
    if at.is_multiple_of(2) && to.is_multiple_of(2) {
        scratch.extend_from_slice(&key[at / 2..to / 2]);
    } else {
        scratch.extend((at..to).step_by(2).map(|at| nibble(key, at) << 4 | nibble(key, at + 1)));
    }
    second(scratch);
    let len = scratch.len() - 2;
    let start = if len < 56 {
        scratch[1] = EMPTY_LIST_CODE + len as u8;
        1
    } else {
        scratch[..2].copy_from_slice(&[EMPTY_LIST_CODE + 56, len as u8]);
        0
    };
    &scratch[start..]
}
