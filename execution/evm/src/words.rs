//! go-ethereum's words for the rules that a transaction breaks.

use revm::context::result::InvalidTransaction as Rule;

/// Which rule, in the words by which wallets, client libraries and the spec-test filler know it; with the numbers that
/// the rule compares, where they are known. What go-ethereum has no words for stays as it is.
pub fn words_for_rule(rule: &Rule) -> String {
    let words = match rule {
        Rule::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            return format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}");
        }
        Rule::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            return format!("insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}");
        }
        Rule::LackOfFundForMaxFee { fee, balance } => {
            return format!("insufficient funds for gas * price + value: have {balance} want {fee}");
        }
        Rule::NonceTooLow { tx, state } => return format!("nonce too low: tx: {tx} state: {state}"),
        Rule::NonceTooHigh { tx, state } => return format!("nonce too high: tx: {tx} state: {state}"),
        Rule::TxGasLimitGreaterThanCap { gas_limit, cap } => {
            return format!("transaction gas limit too high (cap: {cap}, tx: {gas_limit})");
        }
        Rule::BlobGasPriceGreaterThanMax { block_blob_gas_price, tx_max_fee_per_blob_gas } => {
            return format!(
                "max fee per blob gas less than block blob gas fee: maxFeePerBlobGas: {tx_max_fee_per_blob_gas}, blobBaseFee: {block_blob_gas_price}"
            );
        }
        Rule::TooManyBlobs { max, have } => {
            return format!("blob transaction has too many blobs: have {have}, permitted {max}");
        }
        Rule::RejectCallerWithCode => "sender not an eoa",
        Rule::CallerGasLimitMoreThanBlock => "gas limit reached",
        Rule::OverflowPaymentInTransaction => {
            "insufficient funds for gas * price + value: required balance exceeds 256 bits"
        }
        Rule::NonceOverflowInTransaction => "nonce has max value",
        Rule::GasPriceLessThanBasefee => "max fee per gas less than block base fee",
        Rule::PriorityFeeGreaterThanMaxFee => "max priority fee per gas higher than max fee per gas",
        Rule::EmptyBlobs => "blob transaction missing blob hashes",
        Rule::BlobVersionNotSupported => "blob has invalid hash version",
        Rule::BlobCreateTransaction => "blob transaction of type create",
        Rule::EmptyAuthorizationList => "EIP-7702 transaction with empty auth list",
        Rule::CreateInitCodeSizeLimit => "max initcode size exceeded",
        Rule::InvalidChainId | Rule::MissingChainId => "invalid chain id for signer",
        Rule::AccessListNotSupported
        | Rule::MaxFeePerBlobGasNotSupported
        | Rule::BlobVersionedHashesNotSupported
        | Rule::AuthorizationListNotSupported
        | Rule::Eip2930NotSupported
        | Rule::Eip1559NotSupported
        | Rule::Eip4844NotSupported
        | Rule::Eip7702NotSupported => "transaction type not supported",
        other => return other.to_string(),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    #[test]
    fn client_libraries_find_their_words() {
        let fee = Rule::LackOfFundForMaxFee { fee: Box::new(U256::ONE), balance: Box::new(U256::ZERO) };
        assert_eq!(words_for_rule(&fee), "insufficient funds for gas * price + value: have 0 want 1");
        let gas = Rule::CallGasCostMoreThanGasLimit { initial_gas: 21_000, gas_limit: 20_000 };
        assert_eq!(words_for_rule(&gas), "intrinsic gas too low: have 20000, want 21000");
        let nonce = Rule::NonceTooLow { tx: 0, state: 23 };
        assert_eq!(words_for_rule(&nonce), "nonce too low: tx: 0 state: 23");
        assert_eq!(
            words_for_rule(&Rule::GasPriceLessThanBasefee),
            "max fee per gas less than block base fee"
        );
    }
}
