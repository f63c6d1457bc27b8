//! Accounts that a call is to find changed, as an argument.

use alloy_primitives::map::AddressMap;
use alloy_rpc_types_eth::state::{AccountOverride, StateOverride};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

/// What can be overridden about an account. Other fields are ignored, as in other clients.
const FIELDS: [&str; 7] =
    ["balance", "nonce", "code", "state", "stateDiff", "movePrecompileToAddress", "MovePrecompileToAddress"];

/// Accounts by address, with what is to be changed about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateOverrideArgument(pub StateOverride);

impl<'de> Deserialize<'de> for StateOverrideArgument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let accounts = AddressMap::<Map<String, Value>>::deserialize(deserializer)?;
        let accounts = accounts.into_iter().map(|(address, account)| Ok((address, known_fields(account)?)));
        let accounts: Result<AddressMap<_>, serde_json::Error> = accounts.collect();
        Ok(Self(accounts.map_err(D::Error::custom)?))
    }
}

fn known_fields(mut account: Map<String, Value>) -> Result<AccountOverride, serde_json::Error> {
    account.retain(|field, _| FIELDS.contains(&field.as_str()));
    serde_json::from_value(Value::Object(account))
}

/// The overrides of an argument that may be absent.
pub(super) fn overrides(argument: Option<StateOverrideArgument>) -> Option<StateOverride> {
    argument.map(|StateOverrideArgument(overrides)| overrides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, U256};
    use serde_json::json;

    #[test]
    fn unknown_fields_are_ignored_and_bad_values_refused() {
        let parse = |account: Value| {
            serde_json::from_value::<StateOverrideArgument>(json!({ Address::ZERO.to_string(): account }))
        };
        let known =
            parse(json!({ "comment": "rich", "balance": "0x5", "movePrecompileToAddress": null })).unwrap();
        assert_eq!(known.0[&Address::ZERO].balance, Some(U256::from(5)));
        assert!(parse(json!({ "balance": "five" })).is_err());
        assert!(parse(json!(5)).is_err());
    }
}
