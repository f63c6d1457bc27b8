//! Verification of KZG proofs (EIP-4844) in the point-evaluation precompile.
//!
//! The interpreter's default loads the whole trusted setup at the first call, with tables that only the *making* of proofs
//! uses: seconds of processor time and 100 MB. One pairing check, with the one point of the setup that it takes, needs
//! neither: the interpreter has that too, for builds without the other library.

use revm::precompile::{
    Crypto, PrecompileHalt, install_crypto, kzg_point_evaluation::blst::verify_kzg_proof,
};

/// Lets all precompiles of this process verify proofs without the trusted setup; to be called before the first block or
/// call is executed. Says whether it was in time.
pub fn install_kzg_verification() -> bool {
    install_crypto(LeanKzg)
}

/// The interpreter's cryptography, but for the trusted setup.
#[derive(Debug)]
struct LeanKzg;

impl Crypto for LeanKzg {
    fn verify_kzg_proof(
        &self,
        z: &[u8; 32],
        y: &[u8; 32],
        commitment: &[u8; 48],
        proof: &[u8; 48],
    ) -> Result<(), PrecompileHalt> {
        if verify_kzg_proof(commitment, z, y, proof) {
            Ok(())
        } else {
            Err(PrecompileHalt::BlobVerifyKzgProofFailed)
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use revm::precompile::DefaultCrypto;

    use super::*;

    /// From c-kzg-4844's test vectors: `verify_kzg_proof_case_correct_proof_4_4`.
    #[test]
    fn proofs_are_judged_as_the_interpreters_default_does() {
        let commitment = hex!(
            "8f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7"
        );
        let proof = hex!(
            "a62ad71d14c5719385c0686f1871430475bf3a00f0aa3f7b8dd99a9abc2160744faf0070725e00b60ad9a026a15b1a8c"
        );
        let z = hex!("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000");
        let y = hex!("1522a4a7f34e1ea350ae07c29c96c7e79655aa926122e95fe69fcbd932ca49e9");
        assert!(LeanKzg.verify_kzg_proof(&z, &y, &commitment, &proof).is_ok());
        let (other_y, no_field_element, no_point) = ([0; 32], [0xff; 32], [0xff; 48]);
        // A constant polynomial: the proof, and for zero the commitment, is the point at infinity.
        let mut infinity = [0; 48];
        infinity[0] = 0xc0;
        assert!(LeanKzg.verify_kzg_proof(&z, &[0; 32], &infinity, &infinity).is_ok());
        assert!(DefaultCrypto.verify_kzg_proof(&z, &[0; 32], &infinity, &infinity).is_ok());
        for (z, y, commitment, proof) in [
            (&z, &other_y, &commitment, &proof),
            (&no_field_element, &y, &commitment, &proof),
            (&z, &y, &no_point, &proof),
            (&z, &y, &commitment, &no_point),
            (&z, &y, &proof, &commitment),
            (&z, &y, &infinity, &infinity),
            (&z, &y, &commitment, &infinity),
        ] {
            let ours = LeanKzg.verify_kzg_proof(z, y, commitment, proof);
            assert!(matches!(ours, Err(PrecompileHalt::BlobVerifyKzgProofFailed)), "{ours:?}");
            assert_eq!(ours.is_ok(), DefaultCrypto.verify_kzg_proof(z, y, commitment, proof).is_ok());
        }
    }
}
