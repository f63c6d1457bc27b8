//! Opcodes by name, those the contracts use.

macro_rules! opcodes {
    ($($name:ident = $byte:literal),* $(,)?) => {
        $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: u8 = $byte;)*
    };
}

opcodes! {
    STOP = 0x00, ADD = 0x01, MUL = 0x02, SUB = 0x03, DIV = 0x04, MOD = 0x06, MULMOD = 0x09,
    LT = 0x10, GT = 0x11, EQ = 0x14, ISZERO = 0x15, AND = 0x16, OR = 0x17, XOR = 0x18, SHL = 0x1b, SHR = 0x1c,
    KECCAK256 = 0x20,
    ADDRESS = 0x30, CALLER = 0x33, CALLVALUE = 0x34, CALLDATALOAD = 0x35, CALLDATASIZE = 0x36, CALLDATACOPY = 0x37,
    CODESIZE = 0x38, CODECOPY = 0x39, EXTCODESIZE = 0x3b, RETURNDATASIZE = 0x3d, RETURNDATACOPY = 0x3e,
    TIMESTAMP = 0x42, NUMBER = 0x43, SELFBALANCE = 0x47, BASEFEE = 0x48, BLOBHASH = 0x49, BLOBBASEFEE = 0x4a,
    POP = 0x50, MLOAD = 0x51, MSTORE = 0x52, SLOAD = 0x54, SSTORE = 0x55, JUMP = 0x56, JUMPI = 0x57, GAS = 0x5a,
    JUMPDEST = 0x5b, TLOAD = 0x5c, TSTORE = 0x5d,
    PUSH1 = 0x60, DUP1 = 0x80, LOG0 = 0xa0,
    CREATE = 0xf0, CALL = 0xf1, RETURN = 0xf3, DELEGATECALL = 0xf4, CREATE2 = 0xf5, STATICCALL = 0xfa,
    REVERT = 0xfd, INVALID = 0xfe, SELFDESTRUCT = 0xff,
}
