//! A tiny EVM assembler, and a small expression language above it.
//!
//! The contracts of this crate are written in it, because the build has no Solidity compiler. Three layers:
//!
//! - [`Assembler`]: opcodes, shortest pushes, labels that are resolved at the end;
//! - [`Expr`]: a tree of operations that leaves one word on the stack, so that contracts read as arithmetic;
//! - [`Program`]: statements (store, require, loop, log, return), local variables and selector dispatch.
//!
//! Memory of a program: `0x00..0x40` scratch for mapping hashes, `0x80..0x280` local variables (one word
//! each), from [`BUFFER`] call data, return data and log data. No `PUSH0`, so the code runs under every fork
//! since Constantinople.

mod expr;
pub mod op;
mod program;

pub use expr::*;
pub(crate) use program::selector;
pub use program::{BUFFER, Program};

use alloy_primitives::{Bytes, U256};

/// A position in the code that is known when it is placed. Made by [`Assembler::label`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// Collects opcodes and resolves labels. Jump targets are pushed with `PUSH2`.
#[derive(Debug, Default)]
pub struct Assembler {
    code: Vec<u8>,
    /// Position of each label, once placed.
    positions: Vec<Option<u16>>,
    /// Where a label's two bytes are to be filled in.
    references: Vec<(usize, Label)>,
}

impl Assembler {
    /// An empty piece of code.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one opcode.
    pub fn op(&mut self, opcode: u8) -> &mut Self {
        self.code.push(opcode);
        self
    }

    /// Pushes `word` with the shortest `PUSH1`…`PUSH32`.
    pub fn push(&mut self, word: impl Into<Expr>) -> &mut Self {
        word.into().emit(self);
        self
    }

    /// Pushes a constant word with the shortest `PUSH1`…`PUSH32`; zero takes `PUSH1 0`.
    pub fn push_word(&mut self, word: U256) -> &mut Self {
        let length = word.byte_len().max(1);
        self.code.push(op::PUSH1 + (length - 1) as u8);
        self.code.extend_from_slice(&word.to_be_bytes::<32>()[32 - length..]);
        self
    }

    /// Reserves a label to be placed later.
    pub fn label(&mut self) -> Label {
        self.positions.push(None);
        Label(self.positions.len() - 1)
    }

    /// Pushes the position of `label`.
    pub fn push_label(&mut self, label: Label) -> &mut Self {
        self.code.push(op::PUSH1 + 1);
        self.references.push((self.code.len(), label));
        self.code.extend_from_slice(&[0, 0]);
        self
    }

    /// Places `label` here as a jump destination.
    pub fn place(&mut self, label: Label) -> &mut Self {
        self.place_data(label);
        self.op(op::JUMPDEST)
    }

    /// Places `label` here without a `JUMPDEST`: the start of data.
    pub fn place_data(&mut self, label: Label) -> &mut Self {
        let position = u16::try_from(self.code.len()).expect("contracts are far below 64 KiB");
        self.positions[label.0] = Some(position);
        self
    }

    /// Jumps to `label`.
    pub fn jump(&mut self, label: Label) -> &mut Self {
        self.push_label(label).op(op::JUMP)
    }

    /// Jumps to `label` if the word on the stack is not zero.
    pub fn jump_if(&mut self, label: Label) -> &mut Self {
        self.push_label(label).op(op::JUMPI)
    }

    /// Appends raw bytes.
    pub fn data(&mut self, data: &[u8]) -> &mut Self {
        self.code.extend_from_slice(data);
        self
    }

    /// The code with all labels filled in.
    pub fn finish(mut self) -> Bytes {
        for (at, label) in self.references {
            let position = self.positions[label.0].expect("every label that is used is placed");
            self.code[at..at + 2].copy_from_slice(&position.to_be_bytes());
        }
        self.code.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::bytes;

    #[test]
    fn pushes_are_as_short_as_the_word() {
        let mut code = Assembler::new();
        code.push_word(U256::ZERO).push_word(U256::from(0xff)).push_word(U256::from(0x100));
        assert_eq!(code.finish(), bytes!("6000 60ff 610100"));
    }

    #[test]
    fn labels_are_filled_in_before_and_after_their_place() {
        let mut code = Assembler::new();
        let (start, end) = (code.label(), code.label());
        code.place(start).jump(end).jump(start).place(end);
        assert_eq!(code.finish(), bytes!("5b 610009 56 610000 56 5b"));
    }

    #[test]
    fn arguments_are_evaluated_right_to_left() {
        let mut code = Assembler::new();
        code.push(sub(caller(), 5));
        assert_eq!(code.finish(), bytes!("6005 33 03"));
    }
}
