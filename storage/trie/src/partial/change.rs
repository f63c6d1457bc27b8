//! Insertion and removal.

use alloy_trie::Nibbles;

use super::{
    TrieNodes,
    node::{Link, Node},
};
use crate::error::PartialTrieError;

impl Link {
    /// Sets the value at `key` in the part of the trie below the first `depth` nibbles of `key`; whether it changed.
    pub(super) fn insert(
        &mut self,
        nodes: &TrieNodes,
        key: &Nibbles,
        depth: usize,
        below_extension: bool,
        value: Vec<u8>,
    ) -> Result<bool, PartialTrieError> {
        let rest = key.slice(depth..);
        let Some(node) = self.resolve(nodes, key, depth, below_extension)? else {
            *self = Self::new(Node::Leaf { path: rest, value });
            return Ok(true);
        };
        let changed = match node {
            Node::Leaf { path, value: old } if *path == rest => {
                let changed = *old != value;
                *old = value;
                changed
            }
            Node::Extension { path, child } if rest.starts_with(path) => {
                child.insert(nodes, key, depth + path.len(), true, value)?
            }
            Node::Branch(children) => {
                let child = &mut children[usize::from(key.get_unchecked(depth))];
                child.insert(nodes, key, depth + 1, false, value)?
            }
            Node::Leaf { path, .. } | Node::Extension { path, .. } => {
                let common = rest.common_prefix_length(path);
                let towards = path.get_unchecked(common);
                let taken = Node::Leaf { path: Nibbles::new(), value: Vec::new() };
                let other = std::mem::replace(node, taken).without_first(common + 1);
                *node = branch_of(rest, common, value, towards, other);
                true
            }
        };
        if changed {
            self.forget_reference();
        }
        Ok(changed)
    }

    /// Removes the value at `key` from the part below the first `depth` nibbles of `key`; whether there was one.
    pub(super) fn remove(
        &mut self,
        nodes: &TrieNodes,
        key: &Nibbles,
        depth: usize,
        below_extension: bool,
    ) -> Result<bool, PartialTrieError> {
        let rest = key.slice(depth..);
        let Some(node) = self.resolve(nodes, key, depth, below_extension)? else { return Ok(false) };
        match node {
            Node::Leaf { path, .. } => {
                if *path != rest {
                    return Ok(false);
                }
                *self = Self::Empty;
                return Ok(true);
            }
            Node::Extension { path, child } => {
                let above = *path;
                if !rest.starts_with(&above) || !child.remove(nodes, key, depth + above.len(), true)? {
                    return Ok(false);
                }
                let child = std::mem::replace(child, Self::Empty);
                *node = child.below(above);
            }
            Node::Branch(children) => {
                let nibble = key.get_unchecked(depth);
                let last = last_left(children, nodes, key, depth)?;
                if !children[usize::from(nibble)].remove(nodes, key, depth + 1, false)? {
                    return Ok(false);
                }
                if let Some(last) = last {
                    let child = std::mem::replace(&mut children[usize::from(last)], Self::Empty);
                    *node = child.below(Nibbles::from_nibbles([last]));
                }
            }
        }
        self.forget_reference();
        Ok(true)
    }

    /// The node that stands for this one, which has been decoded, with the nibbles of `above` before it.
    fn below(self, above: Nibbles) -> Node {
        match self {
            Self::Node { node, reference } => match *node {
                Node::Leaf { path, value } => Node::Leaf { path: above.join(&path), value },
                Node::Extension { path, child } => Node::Extension { path: above.join(&path), child },
                branch @ Node::Branch(_) => {
                    Node::Extension { path: above, child: Self::Node { node: Box::new(branch), reference } }
                }
            },
            child @ (Self::Empty | Self::Hash(_)) => Node::Extension { path: above, child },
        }
    }
}

/// The only child that a branch would keep when the value at `key` goes, decoded: it will be merged with the branch.
///
/// `None` when the branch stays a branch. Asked before anything is changed, as that child can be missing.
fn last_left(
    children: &mut [Link; 16],
    nodes: &TrieNodes,
    key: &Nibbles,
    depth: usize,
) -> Result<Option<u8>, PartialTrieError> {
    let nibble = key.get_unchecked(depth);
    let rest = key.slice(depth + 1..);
    match children[usize::from(nibble)].resolve(nodes, key, depth + 1, false)? {
        // Only a leaf can go altogether: below any other node there are at least two.
        Some(Node::Leaf { path, .. }) if *path == rest => {}
        _ => return Ok(None),
    }
    let mut others = (0..16).filter(|other| *other != nibble && !children[usize::from(*other)].is_empty());
    let (Some(last), None) = (others.next(), others.next()) else { return Ok(None) };
    let mut path = key.slice(..depth);
    path.push(last);
    match children[usize::from(last)].resolve(nodes, &path, depth + 1, false) {
        Ok(_) => Ok(Some(last)),
        Err(PartialTrieError::MissingNode { path, hash }) => {
            Err(PartialTrieError::MissingSibling { path, hash })
        }
        Err(error) => Err(error),
    }
}

impl Node {
    /// The node without the first `count` nibbles of its path; of an extension without any, its child.
    fn without_first(self, count: usize) -> Link {
        match self {
            Self::Leaf { path, value } => Link::new(Self::Leaf { path: path.slice(count..), value }),
            Self::Extension { path, child } if path.len() == count => child,
            Self::Extension { path, child } => {
                Link::new(Self::Extension { path: path.slice(count..), child })
            }
            Self::Branch(_) => Link::new(self),
        }
    }
}

/// A branch behind the first `common` nibbles of `path`, with a new leaf at `path` and another child.
fn branch_of(path: Nibbles, common: usize, value: Vec<u8>, towards: u8, other: Link) -> Node {
    let mut children = Box::new([const { Link::Empty }; 16]);
    let leaf = Node::Leaf { path: path.slice(common + 1..), value };
    children[usize::from(path.get_unchecked(common))] = Link::new(leaf);
    children[usize::from(towards)] = other;
    let branch = Node::Branch(children);
    if common == 0 {
        return branch;
    }
    Node::Extension { path: path.slice(..common), child: Link::new(branch) }
}
