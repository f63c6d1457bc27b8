//! Whether a transaction can be valid at all under the rules of a fork, whatever the state.

use alloy_consensus::Header;
use alloy_evm::EvmEnv;
use alloy_primitives::Address;
use revm::{
    Context, MainContext,
    context::{Cfg, ContextTr, Transaction as _, result::InvalidTransaction},
    context_interface::cfg::gas_params::Eip2780TxInfo,
    handler::validation::{validate_initial_tx_gas_with_gas_params, validate_tx_env},
};

use crate::{
    BlockRules, SignatureRules, Transaction, block_environment, recover_sender, transaction_environment,
};

/// What a transaction that may be valid says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidTransaction {
    /// Who signed it.
    pub sender: Address,
    /// Gas that it takes before anything is executed.
    pub intrinsic_gas: u64,
    /// The least that it pays for, from Prague on (EIP-7623); 0 before.
    pub floor_gas: u64,
}

/// Why a transaction is invalid whatever the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionFault {
    /// The signature recovers to nobody, its `s` is high (EIP-2), or it is for another chain (EIP-155).
    #[error("the signature is invalid")]
    Signature,
    /// The interpreter refuses it: type, fees, nonce, gas, blobs, size.
    #[error(transparent)]
    Rule(#[from] InvalidTransaction),
}

/// Judges a transaction by the rules of a block, without state: type, signature, chain, intrinsic gas (EIP-2, 2028, 2930,
/// 3860, 7623, 7702), init code limit (EIP-3860), nonce limit (EIP-2681), gas limit cap (EIP-7825), fees against each
/// other, blobs of one transaction (EIP-4844, 7594).
///
/// The block is one without a base fee, at the lowest blob fee, with room for any transaction. These are the
/// interpreter's own checks: what is refused here cannot be in any block under these rules.
///
/// # Errors
/// [`TransactionFault`]: the first rule that is broken. A type that the fork does not have comes before its signature.
pub fn validate_transaction(
    rules: BlockRules<'_>,
    transaction: &Transaction,
) -> Result<ValidTransaction, TransactionFault> {
    let sender = recover_sender(transaction, SignatureRules::of(rules));
    judge(rules, transaction, sender)
}

/// As [`validate_transaction`] for a transaction whose sender was recovered before, under the signature rules of the
/// same block.
///
/// # Errors
/// [`TransactionFault::Rule`]: the first rule that is broken.
pub fn validate_recovered_transaction(
    rules: BlockRules<'_>,
    transaction: &Transaction,
    sender: Address,
) -> Result<ValidTransaction, TransactionFault> {
    judge(rules, transaction, Some(sender))
}

/// Judges a transaction whose signature is invalid if `sender` is `None`.
fn judge(
    rules: BlockRules<'_>,
    transaction: &Transaction,
    sender: Option<Address>,
) -> Result<ValidTransaction, TransactionFault> {
    let EvmEnv { cfg_env, block_env } = block_environment(rules, &roomy_header(rules), Address::ZERO);
    let spec = cfg_env.spec;
    let environment = transaction_environment(transaction, sender.unwrap_or_default());
    let mut context = Context::mainnet().with_cfg(cfg_env).with_block(block_env).with_tx(environment);
    validate_tx_env(&mut context, spec)?;
    let sender = sender.ok_or(TransactionFault::Signature)?;
    let (cfg, tx) = (context.cfg(), context.tx());
    let transfer = cfg
        .is_amsterdam_eip2780_enabled()
        .then(|| Eip2780TxInfo { value: tx.value(), is_self_transfer: tx.kind().to() == Some(&sender) });
    let gas = validate_initial_tx_gas_with_gas_params(
        tx,
        spec,
        cfg.gas_params(),
        cfg.is_eip7623_disabled(),
        cfg.is_amsterdam_eip8037_enabled(),
        cfg.tx_gas_limit_cap(),
        transfer,
    )?;
    Ok(ValidTransaction { sender, intrinsic_gas: gas.initial_total_gas(), floor_gas: gas.floor_gas() })
}

/// A header that no transaction is too large or too cheap for.
fn roomy_header(rules: BlockRules<'_>) -> Header {
    let block = rules.block();
    Header {
        number: block.number,
        timestamp: block.timestamp,
        gas_limit: u64::MAX,
        base_fee_per_gas: Some(0),
        excess_blob_gas: Some(0),
        ..Header::default()
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{SignableTransaction, TxEip4844, TxLegacy};
    use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
    use portico_chainspec::{BlockContext, ChainSpec};

    use super::*;

    /// Under the rules of a test network's first block.
    fn judge_by(fork: &str, transaction: &Transaction) -> Result<ValidTransaction, TransactionFault> {
        let spec = ChainSpec::for_test_network(fork, 1, None).unwrap();
        let merged = spec.terminal_total_difficulty().is_some();
        validate_transaction(
            BlockRules::new(&spec, BlockContext { number: 1, timestamp: 1, merged }),
            transaction,
        )
    }

    fn signature(s: U256) -> Signature {
        Signature::new(U256::from(1), s, false)
    }

    fn legacy(gas_limit: u64, nonce: u64, to: TxKind, input: Vec<u8>) -> Transaction {
        let input = Bytes::from(input);
        let tx = TxLegacy { chain_id: Some(1), nonce, gas_price: 1, gas_limit, to, value: U256::ZERO, input };
        Transaction::Legacy(tx.into_signed(signature(U256::from(1))))
    }

    fn call() -> TxKind {
        TxKind::Call(Address::ZERO)
    }

    #[test]
    fn a_call_takes_21000_and_its_data() {
        assert_eq!(judge_by("Berlin", &legacy(21_000, 0, call(), vec![])).unwrap().intrinsic_gas, 21_000);
        assert_eq!(
            judge_by("Byzantium", &legacy(90_000, 0, call(), vec![0, 1])).unwrap().intrinsic_gas,
            21_072
        );
        assert_eq!(
            judge_by("Istanbul", &legacy(90_000, 0, call(), vec![0, 1])).unwrap().intrinsic_gas,
            21_020
        );
        let prague = judge_by("Prague", &legacy(90_000, 0, call(), vec![0, 1])).unwrap();
        assert_eq!((prague.intrinsic_gas, prague.floor_gas), (21_020, 21_050));
        let short = judge_by("Berlin", &legacy(20_999, 0, call(), vec![]));
        let rule = InvalidTransaction::CallGasCostMoreThanGasLimit { gas_limit: 20_999, initial_gas: 21_000 };
        assert_eq!(short, Err(TransactionFault::Rule(rule)));
    }

    #[test]
    fn limits_come_with_their_forks() {
        let nonce = legacy(21_000, u64::MAX, call(), vec![]);
        let too_far = Err(TransactionFault::Rule(InvalidTransaction::NonceOverflowInTransaction));
        assert_eq!(judge_by("Frontier", &nonce), too_far);
        let init_code = legacy(10_000_000, 0, TxKind::Create, vec![0; 49_153]);
        assert!(judge_by("Paris", &init_code).is_ok());
        let too_long = Err(TransactionFault::Rule(InvalidTransaction::CreateInitCodeSizeLimit));
        assert_eq!(judge_by("Shanghai", &init_code), too_long);
        let greedy = legacy((1 << 24) + 1, 0, call(), vec![]);
        assert!(judge_by("Prague", &greedy).is_ok());
        assert!(matches!(
            judge_by("Osaka", &greedy),
            Err(TransactionFault::Rule(InvalidTransaction::TxGasLimitGreaterThanCap { .. }))
        ));
    }

    #[test]
    fn signatures_are_judged_by_fork() {
        let chain_id = legacy(21_000, 0, call(), vec![]);
        assert_eq!(judge_by("Homestead", &chain_id), Err(TransactionFault::Signature));
        assert!(judge_by("SpuriousDragon", &chain_id).is_ok());
        let order: U256 =
            "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141".parse().unwrap();
        let tx = TxLegacy { gas_limit: 60_000, gas_price: 1, to: call(), ..TxLegacy::default() };
        let high = Transaction::Legacy(tx.into_signed(signature(order - U256::from(1))));
        assert!(judge_by("Frontier", &high).is_ok());
        assert_eq!(judge_by("Homestead", &high), Err(TransactionFault::Signature));
    }

    #[test]
    fn blobs_are_one_at_least_and_of_a_known_version() {
        let of = |blob_versioned_hashes: Vec<B256>| {
            let tx = TxEip4844 {
                chain_id: 1,
                gas_limit: 21_000,
                max_fee_per_gas: 1,
                max_fee_per_blob_gas: 1,
                blob_versioned_hashes,
                ..TxEip4844::default()
            };
            Transaction::Eip4844(tx.into_signed(signature(U256::from(1))))
        };
        let mut hash = B256::ZERO;
        hash[0] = 1;
        assert!(judge_by("Cancun", &of(vec![hash])).is_ok());
        let fault = |rule| Err(TransactionFault::Rule(rule));
        assert_eq!(judge_by("Cancun", &of(vec![])), fault(InvalidTransaction::EmptyBlobs));
        assert_eq!(
            judge_by("Cancun", &of(vec![B256::ZERO])),
            fault(InvalidTransaction::BlobVersionNotSupported)
        );
        assert_eq!(judge_by("Shanghai", &of(vec![hash])), fault(InvalidTransaction::Eip4844NotSupported));
    }
}
