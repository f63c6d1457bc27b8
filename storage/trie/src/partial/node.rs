//! Nodes, decoded strictly and encoded.

use alloy_primitives::B256;
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::{
    Nibbles,
    nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode},
};

use super::TrieNodes;
use crate::{
    error::{NodeFault, PartialTrieError},
    path::KEY_NIBBLES,
};

/// A node that its parent points to.
#[derive(Debug, Clone)]
pub(super) enum Link {
    Empty,
    /// Not looked up yet.
    Hash(B256),
    /// Decoded or new.
    Node {
        node: Box<Node>,
        /// What stands for it in its parent, unless it changed since that was computed.
        reference: Option<RlpNode>,
    },
}

/// A node, its path being what follows the nibbles above it.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Leaf { path: Nibbles, value: Vec<u8> },
    Extension { path: Nibbles, child: Link },
    Branch(Box<[Link; 16]>),
}

impl Link {
    pub fn new(node: Node) -> Self {
        Self::Node { node: Box::new(node), reference: None }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// The node, looked up if it was not yet; `None` where there is none.
    ///
    /// It lies at the first `depth` nibbles of `key`.
    pub fn resolve(
        &mut self,
        nodes: &TrieNodes,
        key: &Nibbles,
        depth: usize,
        below_extension: bool,
    ) -> Result<Option<&mut Node>, PartialTrieError> {
        let path = || key.slice(..depth);
        if let Self::Hash(hash) = *self {
            let rlp = nodes.get(&hash);
            let rlp = rlp.ok_or_else(|| PartialTrieError::MissingNode { path: path(), hash })?;
            let node = decode(rlp, depth).map_err(|fault| PartialTrieError::MalformedNode {
                path: path(),
                hash,
                fault,
            })?;
            if below_extension && !matches!(node, Node::Branch(_)) {
                let fault = NodeFault::NoBranchBelowExtension;
                return Err(PartialTrieError::MalformedNode { path: path(), hash, fault });
            }
            *self = Self::Node { node: Box::new(node), reference: Some(RlpNode::word_rlp(&hash)) };
        }
        let Self::Node { node, .. } = self else { return Ok(None) };
        Ok(Some(node))
    }

    /// To be called when the node or one below it changed.
    pub fn forget_reference(&mut self) {
        if let Self::Node { reference, .. } = self {
            *reference = None;
        }
    }

    /// What stands for the node in its parent: nothing, its hash, or itself when it is shorter than a hash.
    pub fn reference(&mut self) -> RlpNode {
        match self {
            Self::Empty => RlpNode::from_rlp(&[EMPTY_STRING_CODE]),
            Self::Hash(hash) => RlpNode::word_rlp(hash),
            Self::Node { node, reference } => {
                reference.get_or_insert_with(|| RlpNode::from_rlp(&node.encode())).clone()
            }
        }
    }
}

impl Node {
    fn encode(&mut self) -> Vec<u8> {
        let mut rlp = Vec::new();
        match self {
            Self::Leaf { path, value } => LeafNodeRef::new(path, value).encode(&mut rlp),
            Self::Extension { path, child } => {
                ExtensionNodeRef::new(path, child.reference().as_slice()).encode(&mut rlp);
            }
            Self::Branch(children) => {
                let mut payload = Vec::with_capacity(super::NODE_BYTES_MAX);
                for child in children.iter_mut() {
                    payload.extend_from_slice(child.reference().as_slice());
                }
                payload.push(EMPTY_STRING_CODE);
                Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
                rlp.extend_from_slice(&payload);
            }
        }
        rlp
    }
}

/// Decodes the node that lies `depth` nibbles below the root and is known by its hash.
pub(super) fn decode(rlp: &[u8], depth: usize) -> Result<Node, NodeFault> {
    if depth > 0 && rlp.len() < B256::len_bytes() {
        return Err(NodeFault::NotEmbedded { bytes: rlp.len() });
    }
    let mut rest = rlp;
    let item = take_item(&mut rest)?;
    if !rest.is_empty() {
        return Err(NodeFault::TrailingBytes { bytes: rest.len() });
    }
    decode_item(item, depth)
}

/// A string or list in RLP.
#[derive(Debug, Clone, Copy)]
struct Item<'a> {
    list: bool,
    payload: &'a [u8],
    /// With its header.
    raw: &'a [u8],
}

impl Item<'_> {
    fn string(&self) -> Result<&[u8], NodeFault> {
        if self.list { Err(NodeFault::Rlp(alloy_rlp::Error::UnexpectedList)) } else { Ok(self.payload) }
    }
}

fn take_item<'a>(rest: &mut &'a [u8]) -> Result<Item<'a>, NodeFault> {
    let start = *rest;
    let Header { list, payload_length } = Header::decode(rest)?;
    let (payload, after) = rest.split_at(payload_length);
    *rest = after;
    Ok(Item { list, payload, raw: &start[..start.len() - after.len()] })
}

fn decode_item(node: Item<'_>, depth: usize) -> Result<Node, NodeFault> {
    if !node.list {
        return Err(NodeFault::Rlp(alloy_rlp::Error::UnexpectedString));
    }
    let mut rest = node.payload;
    let mut items = Vec::with_capacity(17);
    while !rest.is_empty() {
        if items.len() == 17 {
            return Err(NodeFault::ItemCount);
        }
        items.push(take_item(&mut rest)?);
    }
    match items.as_slice() {
        [path, second] => decode_short(path.string()?, second, depth),
        [children @ .., value] if children.len() == 16 => decode_branch(children, value, depth),
        _ => Err(NodeFault::ItemCount),
    }
}

/// A leaf or an extension.
fn decode_short(path: &[u8], second: &Item<'_>, depth: usize) -> Result<Node, NodeFault> {
    let (is_leaf, path) = decode_path(path)?;
    let end = depth + path.len();
    if is_leaf {
        if end != KEY_NIBBLES {
            return Err(NodeFault::LeafDepth { end });
        }
        let value = second.string()?.to_vec();
        return if value.is_empty() { Err(NodeFault::EmptyValue) } else { Ok(Node::Leaf { path, value }) };
    }
    if path.is_empty() {
        return Err(NodeFault::EmptyExtension);
    }
    if end >= KEY_NIBBLES {
        return Err(NodeFault::TooDeep);
    }
    let child = decode_child(second, end)?;
    match &child {
        Link::Hash(_) => {}
        Link::Node { node, .. } if matches!(**node, Node::Branch(_)) => {}
        Link::Empty | Link::Node { .. } => return Err(NodeFault::NoBranchBelowExtension),
    }
    Ok(Node::Extension { path, child })
}

fn decode_branch(children: &[Item<'_>], value: &Item<'_>, depth: usize) -> Result<Node, NodeFault> {
    if depth >= KEY_NIBBLES {
        return Err(NodeFault::TooDeep);
    }
    if !value.string()?.is_empty() {
        return Err(NodeFault::BranchValue);
    }
    let mut links = Box::new([const { Link::Empty }; 16]);
    for (link, child) in links.iter_mut().zip(children) {
        *link = decode_child(child, depth + 1)?;
    }
    let count = links.iter().filter(|link| !link.is_empty()).count();
    if count < 2 {
        return Err(NodeFault::LonelyChild { count });
    }
    Ok(Node::Branch(links))
}

fn decode_child(child: &Item<'_>, depth: usize) -> Result<Link, NodeFault> {
    if !child.list {
        return match child.payload.len() {
            0 => Ok(Link::Empty),
            32 => Ok(Link::Hash(B256::from_slice(child.payload))),
            bytes => Err(NodeFault::ChildHash { bytes }),
        };
    }
    if child.raw.len() >= B256::len_bytes() {
        return Err(NodeFault::EmbeddedTooLong { bytes: child.raw.len() });
    }
    let reference = Some(RlpNode::from_rlp(child.raw));
    Ok(Link::Node { node: Box::new(decode_item(*child, depth)?), reference })
}

/// Hex-prefix: the first nibble says leaf (2) and odd (1); with an even number of nibbles, a zero follows.
fn decode_path(encoded: &[u8]) -> Result<(bool, Nibbles), NodeFault> {
    let (first, rest) = encoded.split_first().ok_or(NodeFault::PathPrefix { prefix: None })?;
    let (flags, nibble) = (first >> 4, first & 0xf);
    let is_odd = flags & 1 != 0;
    if flags > 3 || (!is_odd && nibble != 0) {
        return Err(NodeFault::PathPrefix { prefix: Some(*first) });
    }
    if rest.len() * 2 + usize::from(is_odd) > KEY_NIBBLES {
        return Err(NodeFault::TooDeep);
    }
    let mut path = Nibbles::new();
    if is_odd {
        path.push(nibble);
    }
    path.extend(&Nibbles::unpack(rest));
    Ok((flags & 2 != 0, path))
}
