//! Expressions: trees of operations that leave one word on the stack.
//!
//! Arguments are evaluated right to left, so that the first one ends on top of the stack, where the opcode
//! wants it.

use super::{Assembler, Label, op};
use alloy_primitives::{Address, B256, U256};

/// A computation that leaves one word on the stack.
#[derive(Debug, Clone)]
pub enum Expr {
    /// A constant.
    Word(U256),
    /// An opcode on its arguments, the first on top of the stack.
    Op(u8, Vec<Expr>),
    /// The storage slot of `key` in the mapping at `slot`: keccak256(key ‖ slot), Solidity's layout.
    Mapping(Box<Expr>, Box<Expr>),
    /// The position of a label.
    Position(Label),
}

impl Expr {
    /// Appends the code of this expression.
    pub fn emit(&self, code: &mut Assembler) {
        match self {
            Self::Word(word) => {
                code.push_word(*word);
            }
            Self::Op(opcode, arguments) => {
                arguments.iter().rev().for_each(|argument| argument.emit(code));
                code.op(*opcode);
            }
            Self::Mapping(key, slot) => {
                slot.emit(code);
                key.emit(code);
                code.push(0).op(op::MSTORE).push(0x20).op(op::MSTORE);
                code.push(0x40).push(0).op(op::KECCAK256);
            }
            Self::Position(label) => {
                code.push_label(*label);
            }
        }
    }
}

impl From<u64> for Expr {
    fn from(word: u64) -> Self {
        Self::Word(U256::from(word))
    }
}

impl From<i32> for Expr {
    /// For literals, whose type is `i32` unless something says otherwise. Negative numbers are not meant.
    fn from(word: i32) -> Self {
        Self::from(u64::try_from(word).expect("literals in contracts are not negative"))
    }
}

impl From<U256> for Expr {
    fn from(word: U256) -> Self {
        Self::Word(word)
    }
}

impl From<B256> for Expr {
    fn from(word: B256) -> Self {
        Self::Word(word.into())
    }
}

impl From<Address> for Expr {
    fn from(address: Address) -> Self {
        Self::Word(address.into_word().into())
    }
}

impl From<&Expr> for Expr {
    fn from(expression: &Expr) -> Self {
        expression.clone()
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($($argument:ident),*) = $opcode:ident;)*) => {
        $($(#[$doc])*
        #[doc = concat!("`", stringify!($opcode), "`")]
        pub fn $name($($argument: impl Into<Expr>),*) -> Expr {
            Expr::Op(op::$opcode, vec![$($argument.into()),*])
        })*
    };
}

operations! {
    add(a, b) = ADD;
    mul(a, b) = MUL;
    sub(a, b) = SUB;
    div(a, b) = DIV;
    modulo(a, b) = MOD;
    mulmod(a, b, n) = MULMOD;
    lt(a, b) = LT;
    gt(a, b) = GT;
    eq(a, b) = EQ;
    is_zero(a) = ISZERO;
    and(a, b) = AND;
    or(a, b) = OR;
    xor(a, b) = XOR;
    /// `value << bits`.
    shl(bits, value) = SHL;
    /// `value >> bits`.
    shr(bits, value) = SHR;
    keccak256(offset, length) = KECCAK256;
    this() = ADDRESS;
    caller() = CALLER;
    call_value() = CALLVALUE;
    calldata_load(offset) = CALLDATALOAD;
    calldata_size() = CALLDATASIZE;
    code_size() = CODESIZE;
    ext_code_size(address) = EXTCODESIZE;
    return_data_size() = RETURNDATASIZE;
    timestamp() = TIMESTAMP;
    number() = NUMBER;
    self_balance() = SELFBALANCE;
    base_fee() = BASEFEE;
    blob_hash(index) = BLOBHASH;
    blob_base_fee() = BLOBBASEFEE;
    mload(offset) = MLOAD;
    sload(slot) = SLOAD;
    tload(slot) = TLOAD;
    gas() = GAS;
    create(value, offset, length) = CREATE;
    create2(value, offset, length, salt) = CREATE2;
    call(gas, to, value, in_offset, in_length, out_offset, out_length) = CALL;
    static_call(gas, to, in_offset, in_length, out_offset, out_length) = STATICCALL;
    delegate_call(gas, to, in_offset, in_length, out_offset, out_length) = DELEGATECALL;
}

/// The `index`-th word of the arguments after the selector.
pub fn argument(index: u64) -> Expr {
    calldata_load(4 + 32 * index)
}

/// The slot of `key` in the mapping at `slot`.
pub fn mapping(key: impl Into<Expr>, slot: impl Into<Expr>) -> Expr {
    Expr::Mapping(Box::new(key.into()), Box::new(slot.into()))
}

/// `a <= b`.
pub fn at_most(a: impl Into<Expr>, b: impl Into<Expr>) -> Expr {
    is_zero(gt(a, b))
}
