//! go-ethereum's words for what goes wrong in a call.

use alloy_primitives::Address;
use revm::{
    bytecode::opcode::OpCode,
    interpreter::InstructionResult,
    precompile::{PrecompileHalt, PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};

/// A creation ended with more code than its gas pays for.
pub(crate) const CODE_UNPAID: &str = "contract creation code storage out of gas";

/// Words that a stack holds.
const STACK_WORDS_MAX: usize = 1024;

/// Why an instruction failed with `stack_len` words on the stack.
pub(crate) fn of_instruction(result: InstructionResult, opcode: u8, stack_len: usize) -> String {
    use InstructionResult as R;
    match result {
        R::StackUnderflow => {
            let needed = OpCode::new(opcode).map_or(0, |opcode| usize::from(opcode.inputs()));
            format!("stack underflow ({stack_len} <=> {needed})")
        }
        R::StackOverflow => {
            let room =
                OpCode::new(opcode).map_or(1, |opcode| opcode.outputs().saturating_sub(opcode.inputs()));
            format!("stack limit reached {stack_len} ({})", STACK_WORDS_MAX - usize::from(room))
        }
        R::OpcodeNotFound | R::NotActivated | R::InvalidFEOpcode => {
            format!("invalid opcode: {}", name(opcode))
        }
        R::InvalidJump => "invalid jump destination".to_owned(),
        R::OutOfOffset => "return data out of bounds".to_owned(),
        R::StateChangeDuringStaticCall | R::CallNotAllowedInsideStatic => "write protection".to_owned(),
        R::InvalidOperandOOG => "gas uint64 overflow".to_owned(),
        R::ReentrancySentryOOG => "out of gas: not enough gas for reentrancy sentry".to_owned(),
        R::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        R::OutOfGas | R::MemoryOOG | R::MemoryLimitOOG | R::PrecompileOOG => "out of gas".to_owned(),
        other => format!("{other:?}"),
    }
}

/// An instruction's name, also of one that no fork has.
pub(crate) fn name(opcode: u8) -> String {
    OpCode::new(opcode)
        .map_or_else(|| format!("opcode {opcode:#x} not defined"), |known| known.as_str().to_owned())
}

/// Why the precompiled contract at `address` refused `input`: it is asked once more.
pub(crate) fn of_precompile(spec: SpecId, address: &Address, input: &[u8], gas_limit: u64) -> String {
    let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(spec));
    let output = precompiles.get(address).and_then(|contract| contract.execute(input, gas_limit, 0).ok());
    let halt = output.as_ref().and_then(|output| output.halt_reason());
    halt.map_or_else(|| "precompile failed".to_owned(), of_halt)
}

fn of_halt(halt: &PrecompileHalt) -> String {
    use PrecompileHalt as H;
    let words = match halt {
        H::OutOfGas => "out of gas",
        H::Blake2WrongLength
        | H::BlobInvalidInputLength
        | H::Bls12381ScalarInputLength
        | H::Bls12381G1AddInputLength
        | H::Bls12381G1MsmInputLength
        | H::Bls12381G2AddInputLength
        | H::Bls12381G2MsmInputLength
        | H::Bls12381PairingInputLength
        | H::Bls12381MapFpToG1InputLength
        | H::Bls12381MapFp2ToG2InputLength => "invalid input length",
        H::Blake2WrongFinalIndicatorFlag => "invalid final flag",
        H::ModexpEip7823LimitSize => "one or more of base/exponent/modulus length exceeded 1024 bytes",
        H::Bn254FieldPointNotAMember => "bn256: coordinate exceeds modulus",
        H::Bn254AffineGFailedToCreate => "bn256: malformed point",
        H::Bn254PairLength => "bad elliptic curve pairing size",
        H::BlobMismatchedVersion => "mismatched versioned hash",
        H::BlobVerifyKzgProofFailed => "error verifying kzg proof",
        H::NonCanonicalFp => "invalid fp.Element encoding",
        H::Bls12381G1NotOnCurve | H::Bls12381G2NotOnCurve => "invalid point: not on curve",
        H::Bls12381G1NotInSubgroup => "g1 point is not on correct subgroup",
        H::Bls12381G2NotInSubgroup => "g2 point is not on correct subgroup",
        H::Bls12381FpPaddingInvalid => "invalid field element top bytes",
        other => return other.to_string(),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;
    use revm::bytecode::opcode;

    #[test]
    fn faults_name_opcodes_and_stack_sizes() {
        let fault = |result, opcode, stack_len| of_instruction(result, opcode, stack_len);
        assert_eq!(fault(InstructionResult::StackUnderflow, opcode::CALL, 1), "stack underflow (1 <=> 7)");
        assert_eq!(fault(InstructionResult::StackUnderflow, opcode::SWAP2, 1), "stack underflow (1 <=> 3)");
        assert_eq!(
            fault(InstructionResult::StackOverflow, opcode::DUP3, 1024),
            "stack limit reached 1024 (1023)"
        );
        assert_eq!(
            fault(InstructionResult::OpcodeNotFound, 0x1f, 0),
            "invalid opcode: opcode 0x1f not defined"
        );
        assert_eq!(fault(InstructionResult::InvalidFEOpcode, 0xfe, 0), "invalid opcode: INVALID");
        assert_eq!(fault(InstructionResult::NotActivated, opcode::SHL, 2), "invalid opcode: SHL");
        assert_eq!(fault(InstructionResult::MemoryOOG, opcode::MSTORE, 2), "out of gas");
    }

    #[test]
    fn precompiles_say_what_they_refuse() {
        let blake2 = address!("0000000000000000000000000000000000000009");
        assert_eq!(of_precompile(SpecId::ISTANBUL, &blake2, &[], 100), "invalid input length");
        let mut input = [0; 213];
        input[212] = 2;
        assert_eq!(of_precompile(SpecId::ISTANBUL, &blake2, &input, 100), "invalid final flag");
        let pairing = address!("0000000000000000000000000000000000000008");
        assert_eq!(
            of_precompile(SpecId::ISTANBUL, &pairing, &[1], 100_000),
            "bad elliptic curve pairing size"
        );
    }
}
