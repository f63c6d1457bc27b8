//! Contract code of random but meaningful pieces: what they do depends on the call data, on storage and on who calls.

use alloy_primitives::{Address, U256};

use super::random::Random;

mod op {
    pub(super) const STOP: u8 = 0x00;
    pub(super) const ADD: u8 = 0x01;
    pub(super) const ISZERO: u8 = 0x15;
    pub(super) const AND: u8 = 0x16;
    pub(super) const BYTE: u8 = 0x1a;
    pub(super) const ADDRESS: u8 = 0x30;
    pub(super) const BALANCE: u8 = 0x31;
    pub(super) const ORIGIN: u8 = 0x32;
    pub(super) const CALLER: u8 = 0x33;
    pub(super) const CALLVALUE: u8 = 0x34;
    pub(super) const CALLDATALOAD: u8 = 0x35;
    pub(super) const CODESIZE: u8 = 0x38;
    pub(super) const GASPRICE: u8 = 0x3a;
    pub(super) const EXTCODESIZE: u8 = 0x3b;
    pub(super) const EXTCODECOPY: u8 = 0x3c;
    pub(super) const RETURNDATASIZE: u8 = 0x3d;
    pub(super) const EXTCODEHASH: u8 = 0x3f;
    pub(super) const BLOCKHASH: u8 = 0x40;
    pub(super) const COINBASE: u8 = 0x41;
    pub(super) const TIMESTAMP: u8 = 0x42;
    pub(super) const NUMBER: u8 = 0x43;
    pub(super) const DIFFICULTY: u8 = 0x44;
    pub(super) const GASLIMIT: u8 = 0x45;
    pub(super) const CHAINID: u8 = 0x46;
    pub(super) const SELFBALANCE: u8 = 0x47;
    pub(super) const BASEFEE: u8 = 0x48;
    pub(super) const BLOBHASH: u8 = 0x49;
    pub(super) const POP: u8 = 0x50;
    pub(super) const MSTORE: u8 = 0x52;
    pub(super) const SLOAD: u8 = 0x54;
    pub(super) const SSTORE: u8 = 0x55;
    pub(super) const JUMP: u8 = 0x56;
    pub(super) const JUMPI: u8 = 0x57;
    pub(super) const GAS: u8 = 0x5a;
    pub(super) const JUMPDEST: u8 = 0x5b;
    pub(super) const TLOAD: u8 = 0x5c;
    pub(super) const TSTORE: u8 = 0x5d;
    pub(super) const PUSH1: u8 = 0x60;
    pub(super) const PUSH2: u8 = 0x61;
    pub(super) const DUP1: u8 = 0x80;
    pub(super) const DUP6: u8 = 0x85;
    pub(super) const SUB: u8 = 0x03;
    pub(super) const LOG0: u8 = 0xa0;
    pub(super) const CREATE: u8 = 0xf0;
    pub(super) const CALL: u8 = 0xf1;
    pub(super) const CALLCODE: u8 = 0xf2;
    pub(super) const RETURN: u8 = 0xf3;
    pub(super) const DELEGATECALL: u8 = 0xf4;
    pub(super) const CREATE2: u8 = 0xf5;
    pub(super) const STATICCALL: u8 = 0xfa;
    pub(super) const REVERT: u8 = 0xfd;
    pub(super) const INVALID: u8 = 0xfe;
    pub(super) const SELFDESTRUCT: u8 = 0xff;
}

/// Slots that all contracts use.
const SLOTS: u64 = 4;

/// Random code that calls, pays and looks at the accounts of `pool`; `depth` bounds creations within creations.
pub(crate) fn random_code(random: &mut Random, pool: &[Address], depth: u64) -> Vec<u8> {
    let mut code = Code { bytes: Vec::new(), pool };
    for _ in 0..random.between(1, 6) {
        if random.percent(50) {
            code.conditional(random, depth);
        } else {
            code.piece(random, depth);
        }
    }
    if random.percent(30) {
        code.ending(random);
    }
    code.bytes
}

/// Code that stores, calls and creates, and mostly returns code.
pub(crate) fn random_init_code(random: &mut Random, pool: &[Address], depth: u64) -> Vec<u8> {
    let mut code = Code { bytes: Vec::new(), pool };
    for _ in 0..random.below(3) {
        code.piece(random, depth);
    }
    match random.below(12) {
        0 => code.ending(random),
        1 => {
            // Not allowed since London; before it, what looks like a delegation could be deployed.
            let delegation = [&[0xef, 0x01, 0x00][..], random.pick(pool).as_slice()].concat();
            let length = random.pick(&[1, 2, 3, 4, delegation.len()]);
            code.returns(&delegation[..length]);
        }
        2 => {
            // More than EIP-170 allows.
            code.bytes.extend([op::PUSH2, 0x60, 0x01, op::PUSH1, 0, op::RETURN]);
        }
        3 => code.returns(&[]),
        _ => {
            let runtime = random_code(random, pool, depth);
            code.returns(&runtime);
        }
    }
    code.bytes
}

struct Code<'a> {
    bytes: Vec<u8>,
    pool: &'a [Address],
}

impl Code<'_> {
    fn push(&mut self, value: U256) {
        let bytes = value.to_be_bytes_trimmed_vec();
        let bytes = if bytes.is_empty() { vec![0] } else { bytes };
        self.bytes.push(op::PUSH1 - 1 + bytes.len() as u8);
        self.bytes.extend(bytes);
    }

    fn push_number(&mut self, value: u64) {
        self.push(U256::from(value));
    }

    fn push_address(&mut self, address: Address) {
        self.push(U256::from_be_slice(address.as_slice()));
    }

    fn ops(&mut self, ops: &[u8]) {
        self.bytes.extend(ops);
    }

    /// A piece that runs only when a bit of the call data is set.
    fn conditional(&mut self, random: &mut Random, depth: u64) {
        self.push_number(random.below(32));
        self.ops(&[op::CALLDATALOAD]);
        self.push_number(0);
        self.ops(&[op::BYTE]);
        self.push_number(1 << random.below(3));
        self.ops(&[op::AND, op::ISZERO, op::PUSH2, 0, 0, op::JUMPI]);
        let hole = self.bytes.len() - 3;
        if random.percent(30) {
            self.ending(random);
        } else {
            self.piece(random, depth);
        }
        let target = u16::try_from(self.bytes.len()).expect("the code is short");
        self.bytes[hole..hole + 2].copy_from_slice(&target.to_be_bytes());
        self.ops(&[op::JUMPDEST]);
    }

    /// Something that leaves the stack as it was.
    fn piece(&mut self, random: &mut Random, depth: u64) {
        match random.below(20) {
            0..=4 => self.store(random),
            5 => {
                self.push_number(random.below(SLOTS));
                self.ops(&[op::SLOAD, op::POP]);
            }
            6..=9 => self.call(random),
            10..=12 if depth > 0 => self.create(random, depth - 1),
            10..=13 => self.log(random),
            14 => self.look(random),
            15 => self.transient(random),
            16 => {
                self.push_number(random.below(4));
                self.ops(&[op::NUMBER, op::SUB, op::BLOCKHASH]);
                self.push_number(random.below(SLOTS));
                self.ops(&[op::SSTORE]);
            }
            17 => {
                // Counts up.
                let slot = random.below(SLOTS);
                self.push_number(1);
                self.push_number(slot);
                self.ops(&[op::SLOAD, op::ADD]);
                self.push_number(slot);
                self.ops(&[op::SSTORE]);
            }
            18 => {
                self.push(random.word().into());
                self.push_number(0);
                self.ops(&[op::MSTORE]);
            }
            _ => {
                // Sets and takes back.
                let slot = random.below(SLOTS);
                for value in [random.below(3), 0, random.below(3)] {
                    self.push_number(value);
                    self.push_number(slot);
                    self.ops(&[op::SSTORE]);
                }
            }
        }
    }

    fn store(&mut self, random: &mut Random) {
        const VALUES: [u8; 15] = [
            op::CALLVALUE,
            op::CALLER,
            op::ORIGIN,
            op::ADDRESS,
            op::TIMESTAMP,
            op::COINBASE,
            op::DIFFICULTY,
            op::GASLIMIT,
            op::CHAINID,
            op::SELFBALANCE,
            op::BASEFEE,
            op::GASPRICE,
            op::CODESIZE,
            op::RETURNDATASIZE,
            op::GAS,
        ];
        match random.below(8) {
            0..=2 => self.push_number(0),
            3..=5 => self.push_number(random.below(3)),
            6 => self.push(random.word().into()),
            _ => self.ops(&[random.pick(&VALUES)]),
        }
        self.push_number(random.below(SLOTS));
        self.ops(&[op::SSTORE]);
    }

    fn log(&mut self, random: &mut Random) {
        let topics = random.below(5);
        for _ in 0..topics {
            self.push_number(random.below(3));
        }
        self.push_number(random.pick(&[0, 5, 32, 64]));
        self.push_number(0);
        self.ops(&[op::LOG0 + topics as u8]);
    }

    fn look(&mut self, random: &mut Random) {
        let ask = random.pick(&[op::BALANCE, op::EXTCODESIZE, op::EXTCODEHASH, op::EXTCODECOPY]);
        if ask == op::EXTCODECOPY {
            self.push_number(32);
            self.push_number(0);
            self.push_number(64);
        }
        self.push_address(random.pick(self.pool));
        self.ops(&[ask]);
        if ask == op::EXTCODECOPY {
            self.push_number(0);
            self.ops(&[op::BLOBHASH]);
        }
        self.push_number(random.below(SLOTS));
        self.ops(&[op::SSTORE]);
    }

    fn transient(&mut self, random: &mut Random) {
        let slot = random.below(SLOTS);
        self.push_number(random.below(3));
        self.push_number(slot);
        self.ops(&[op::TSTORE]);
        self.push_number(slot);
        self.ops(&[op::TLOAD]);
        self.push_number(random.below(SLOTS));
        self.ops(&[op::SSTORE]);
    }

    fn call(&mut self, random: &mut Random) {
        let kind =
            random.pick(&[op::CALL, op::CALL, op::CALL, op::CALLCODE, op::DELEGATECALL, op::STATICCALL]);
        self.push_number(random.pick(&[0, 32]));
        self.push_number(0);
        self.push_number(random.pick(&[0, 32, 56, 128]));
        self.push_number(0);
        if matches!(kind, op::CALL | op::CALLCODE) {
            self.push_number(random.pick(&[0, 0, 1, 1_000]));
        }
        self.push_address(random.pick(self.pool));
        self.call_gas(random);
        self.ops(&[kind, op::POP]);
    }

    fn call_gas(&mut self, random: &mut Random) {
        match random.below(8) {
            0 => self.ops(&[op::GAS]),
            _ => self.push_number(random.pick(&[0, 2_300, 30_000, 60_000, 120_000])),
        }
    }

    fn create(&mut self, random: &mut Random, depth: u64) {
        let init_code = random_init_code(random, self.pool, depth);
        self.put_in_memory(&init_code);
        let value = random.pick(&[0, 0, 1, 7]);
        let is_salted = random.percent(60);
        if is_salted {
            self.push_number(random.below(2));
        }
        self.push_number(init_code.len() as u64);
        self.push_number(0);
        self.push_number(value);
        self.ops(&[if is_salted { op::CREATE2 } else { op::CREATE }]);
        for _ in 0..random.below(3) {
            // Calls what was created.
            self.push_number(0);
            self.push_number(0);
            self.push_number(32);
            self.push_number(0);
            self.push_number(random.below(2));
            self.ops(&[op::DUP6]);
            self.push_number(random.pick(&[30_000, 80_000]));
            self.ops(&[op::CALL, op::POP]);
        }
        if random.percent(50) {
            self.push_number(random.below(SLOTS));
            self.ops(&[op::SSTORE]);
        } else {
            self.ops(&[op::POP]);
        }
    }

    fn put_in_memory(&mut self, bytes: &[u8]) {
        for (index, chunk) in bytes.chunks(32).enumerate() {
            let mut word = [0; 32];
            word[..chunk.len()].copy_from_slice(chunk);
            self.push(U256::from_be_bytes(word));
            self.push_number(index as u64 * 32);
            self.ops(&[op::MSTORE]);
        }
    }

    fn returns(&mut self, bytes: &[u8]) {
        self.put_in_memory(bytes);
        self.push_number(bytes.len() as u64);
        self.push_number(0);
        self.ops(&[op::RETURN]);
    }

    fn ending(&mut self, random: &mut Random) {
        match random.below(10) {
            0..=4 => {
                if random.percent(25) {
                    self.ops(&[op::ADDRESS]);
                } else {
                    self.push_address(random.pick(self.pool));
                }
                self.ops(&[op::SELFDESTRUCT]);
            }
            5 | 6 => {
                self.push_number(random.pick(&[0, 4, 32]));
                self.push_number(0);
                self.ops(&[op::REVERT]);
            }
            7 => self.ops(&[op::INVALID]),
            8 => self.ops(&[op::STOP]),
            _ => {
                // Until the gas is gone.
                let here = u16::try_from(self.bytes.len()).expect("the code is short");
                self.ops(&[op::JUMPDEST, op::PUSH2]);
                self.ops(&here.to_be_bytes());
                self.ops(&[op::DUP1, op::POP, op::JUMP]);
            }
        }
    }
}
