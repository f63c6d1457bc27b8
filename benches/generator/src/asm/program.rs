//! Statements, local variables and selector dispatch above [`Expr`].

use super::{Assembler, Expr, add, calldata_load, is_zero, mload, op, shr};
use alloy_primitives::{Bytes, U256, keccak256};

/// Where call data, return data and log data are put together in memory.
pub const BUFFER: u64 = 0x280;

/// Where local variables begin.
const LOCALS: u64 = 0x80;

/// A contract being written, statement by statement.
#[derive(Debug)]
pub struct Program {
    code: Assembler,
    next_local: u64,
}

impl Default for Program {
    fn default() -> Self {
        Self { code: Assembler::new(), next_local: LOCALS }
    }
}

impl Program {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }

    /// The assembler below, for what statements cannot say.
    pub fn assembler(&mut self) -> &mut Assembler {
        &mut self.code
    }

    /// The finished code.
    pub fn finish(self) -> Bytes {
        self.code.finish()
    }

    // Dispatch.

    /// Puts the selector of the call on the stack, where [`Program::function`] compares it.
    pub fn dispatch(&mut self) {
        self.code.push(shr(0xe0, calldata_load(0)));
    }

    /// Code that runs when the selector is that of `signature`. The body must end the call.
    pub fn function(&mut self, signature: &str, body: impl FnOnce(&mut Self)) {
        let next = self.code.label();
        self.next_local = LOCALS;
        self.code.op(op::DUP1).push(u64::from(selector(signature))).op(op::EQ).op(op::ISZERO).jump_if(next);
        body(self);
        self.code.place(next);
        self.next_local = LOCALS;
    }

    // Variables and control flow.

    /// A new local variable. The result reads it.
    pub fn local(&mut self, value: impl Into<Expr>) -> Expr {
        let at = self.next_local;
        assert!(at < BUFFER, "a function has at most 16 local variables");
        self.next_local += 32;
        self.mstore(at, value);
        mload(at)
    }

    /// Assigns to a variable made by [`Program::local`].
    pub fn set(&mut self, variable: &Expr, value: impl Into<Expr>) {
        let Expr::Op(op::MLOAD, address) = variable else {
            panic!("only local variables can be assigned to");
        };
        self.mstore(&address[0], value);
    }

    /// Runs `then` if `condition` is not zero.
    pub fn if_(&mut self, condition: impl Into<Expr>, then: impl FnOnce(&mut Self)) {
        let end = self.code.label();
        self.code.push(is_zero(condition)).jump_if(end);
        then(self);
        self.code.place(end);
    }

    /// Runs `body` while `condition` is not zero.
    pub fn while_(&mut self, condition: impl Into<Expr>, body: impl FnOnce(&mut Self)) {
        let (start, end) = (self.code.label(), self.code.label());
        self.code.place(start);
        self.code.push(is_zero(condition)).jump_if(end);
        body(self);
        self.code.jump(start).place(end);
    }

    /// Runs `body` with an index variable from 0 up to `count`.
    pub fn repeat(&mut self, count: &Expr, body: impl FnOnce(&mut Self, &Expr)) {
        let index = self.local(0);
        self.while_(super::lt(&index, count), |program| {
            body(program, &index);
            program.set(&index, add(&index, 1));
        });
    }

    // Effects.

    /// Stores a word in memory.
    pub fn mstore(&mut self, offset: impl Into<Expr>, value: impl Into<Expr>) {
        self.statement(op::MSTORE, [offset.into(), value.into()]);
    }

    /// Stores a word in storage.
    pub fn sstore(&mut self, slot: impl Into<Expr>, value: impl Into<Expr>) {
        self.statement(op::SSTORE, [slot.into(), value.into()]);
    }

    /// Stores a word in transient storage (EIP-1153).
    pub fn tstore(&mut self, slot: impl Into<Expr>, value: impl Into<Expr>) {
        self.statement(op::TSTORE, [slot.into(), value.into()]);
    }

    /// Copies call data into memory; bytes past its end are zero.
    pub fn calldata_copy(&mut self, to: impl Into<Expr>, from: impl Into<Expr>, length: impl Into<Expr>) {
        self.statement(op::CALLDATACOPY, [to.into(), from.into(), length.into()]);
    }

    /// Copies code into memory.
    pub fn code_copy(&mut self, to: impl Into<Expr>, from: impl Into<Expr>, length: impl Into<Expr>) {
        self.statement(op::CODECOPY, [to.into(), from.into(), length.into()]);
    }

    /// Destroys the contract in favour of `beneficiary`.
    pub fn self_destruct(&mut self, beneficiary: impl Into<Expr>) {
        self.statement(op::SELFDESTRUCT, [beneficiary.into()]);
    }

    /// Emits the event `signature` with these indexed words and data words.
    pub fn emit_event(&mut self, signature: &str, indexed: &[Expr], data: &[Expr]) {
        for (word, at) in data.iter().zip((BUFFER..).step_by(32)) {
            self.mstore(at, word);
        }
        self.log(signature, indexed, 32 * data.len() as u64);
    }

    /// Emits the event `signature` with `length` bytes of data that lie at [`BUFFER`].
    pub fn log(&mut self, signature: &str, indexed: &[Expr], length: u64) {
        indexed.iter().rev().for_each(|topic| topic.emit(&mut self.code));
        self.code.push(keccak256(signature)).push(length).push(BUFFER);
        self.code.op(op::LOG0 + 1 + indexed.len() as u8);
    }

    /// Writes the call data of `signature` with static arguments to [`BUFFER`]. Returns its length in bytes.
    pub fn encode_call(&mut self, signature: &str, arguments: &[Expr]) -> u64 {
        self.mstore(BUFFER, U256::from(selector(signature)) << 224);
        for (word, at) in arguments.iter().zip((BUFFER + 4..).step_by(32)) {
            self.mstore(at, word);
        }
        4 + 32 * arguments.len() as u64
    }

    /// Calls `to`; reverts with the callee's own data if that fails. The first word returned is at
    /// [`BUFFER`].
    pub fn call_function(&mut self, to: impl Into<Expr>, signature: &str, arguments: &[Expr]) {
        let length = self.encode_call(signature, arguments);
        self.require_forwarded(super::call(super::gas(), to, 0, BUFFER, length, BUFFER, 0x60));
    }

    /// Calls the view function `signature` of `to`. The first three words returned are at [`BUFFER`].
    pub fn call_view(&mut self, to: impl Into<Expr>, signature: &str, arguments: &[Expr]) {
        let length = self.encode_call(signature, arguments);
        self.require_forwarded(super::static_call(super::gas(), to, BUFFER, length, BUFFER, 0x60));
    }

    // Ends.

    /// Reverts with `Error(reason)` unless `condition` holds. At most 32 bytes of reason.
    pub fn require(&mut self, condition: impl Into<Expr>, reason: &str) {
        let mut text = [0; 32];
        text[..reason.len()].copy_from_slice(reason.as_bytes());
        self.if_(is_zero(condition), |program| {
            program.encode_call(
                "Error(string)",
                &[0x20.into(), (reason.len() as u64).into(), U256::from_be_bytes(text).into()],
            );
            program.code.push(0x64).push(BUFFER).op(op::REVERT);
        });
    }

    /// Reverts with the data of the last call unless `success` holds.
    pub fn require_forwarded(&mut self, success: impl Into<Expr>) {
        self.if_(is_zero(success), |program| {
            program.return_data_copy(BUFFER);
            program.code.push(super::return_data_size()).push(BUFFER).op(op::REVERT);
        });
    }

    /// Copies all return data of the last call to memory.
    pub fn return_data_copy(&mut self, to: u64) {
        self.statement(op::RETURNDATACOPY, [to.into(), 0.into(), super::return_data_size()]);
    }

    /// Reverts without data.
    pub fn revert(&mut self) {
        self.code.push(0).push(0).op(op::REVERT);
    }

    /// Ends the call without data.
    pub fn stop(&mut self) {
        self.code.op(op::STOP);
    }

    /// Returns these words.
    pub fn return_words(&mut self, words: &[Expr]) {
        for (word, at) in words.iter().zip((BUFFER..).step_by(32)) {
            self.mstore(at, word);
        }
        self.return_memory(BUFFER, 32 * words.len() as u64);
    }

    /// Returns a piece of memory.
    pub fn return_memory(&mut self, offset: impl Into<Expr>, length: impl Into<Expr>) {
        self.statement(op::RETURN, [offset.into(), length.into()]);
    }

    fn statement<const N: usize>(&mut self, opcode: u8, arguments: [Expr; N]) {
        self.code.push(Expr::Op(opcode, arguments.into()));
    }
}

/// The first four bytes of the hash of a function's signature.
pub(crate) fn selector(signature: &str) -> u32 {
    let hash = keccak256(signature);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}
