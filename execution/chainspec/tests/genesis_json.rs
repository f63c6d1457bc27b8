//! Genesis files that are odd, wrong or hostile.

use portico_chainspec::{
    Activation, AmsterdamRules, BlockContext, ChainSpec, ChainSpecError, EngineConfig, Fork,
};
use proptest::prelude::*;

/// A genesis file with these entries in `config`.
fn with_config(config: &str) -> Result<ChainSpec, ChainSpecError> {
    genesis(&format!(
        r#"{{"config":{{"chainId":5{config}}},"gasLimit":"0x1388","difficulty":1,"alloc":{{}}}}"#
    ))
}

/// A genesis file with this allocation.
fn with_alloc(alloc: &str) -> Result<ChainSpec, ChainSpecError> {
    genesis(&format!(r#"{{"config":{{"chainId":5}},"gasLimit":5000,"difficulty":"0x1","alloc":{alloc}}}"#))
}

fn genesis(json: &str) -> Result<ChainSpec, ChainSpecError> {
    ChainSpec::from_genesis_json(json.as_bytes())
}

fn message(result: Result<ChainSpec, ChainSpecError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn errors_name_the_field() {
    let cases = [
        (genesis("[]"), "genesis is not valid JSON: invalid type: sequence, expected an object"),
        (genesis("{}"), "genesis lacks the field `config`"),
        (genesis(r#"{"config":{}}"#), "genesis lacks the field `alloc`"),
        (genesis(r#"{"config":{},"alloc":{}}"#), "genesis lacks the field `gasLimit`"),
        (
            genesis(r#"{"config":{},"alloc":{},"gasLimit":1,"difficulty":1}"#),
            "genesis lacks the field `config.chainId`",
        ),
        (
            genesis(r#"{"config":5,"alloc":{}}"#),
            "genesis field `config` is not valid JSON: invalid type: integer `5`, expected an object",
        ),
        (with_config(r#","londonBlock":-1"#), "genesis field `config.londonBlock` is -1: expected a number"),
        (with_config(r#","shanghaiTime":9"#), "fork Shanghai is scheduled but londonBlock is not set"),
        (
            with_config(r#","berlinBlock":5,"londonBlock":4"#),
            "fork London (block 4) is scheduled before Berlin (block 5)",
        ),
        (
            with_config(r#","petersburgBlock":1,"constantinopleFixBlock":2"#),
            "genesis settings `petersburgBlock` and `constantinopleFixBlock` mean the same but differ",
        ),
        (with_config(r#","bogotaTime":9"#), "genesis setting `config.bogotaTime` asks for rules"),
        (with_config(r#","shanhaiTime":9"#), "genesis setting `config.shanhaiTime` schedules no fork"),
        (
            with_config(r#","glamsterdamBlock":"0x9""#),
            "genesis setting `config.glamsterdamBlock` schedules no fork",
        ),
        (
            with_config(r#","cancunTime":0,"blobSchedule":{"bpo99":{"target":3,"max":6}}"#),
            "genesis setting `config.blobSchedule.bpo99` schedules no fork",
        ),
        (with_config(r#","chainID":6"#), "genesis has the key `config.chainID` twice"),
        (
            with_config(r#","cancunTime":0,"blobSchedule":{"cancun":{"target":3,"max":6}}"#),
            "genesis lacks the field `config.blobSchedule.cancun.baseFeeUpdateFraction`",
        ),
        (
            with_config(
                r#","cancunTime":0,"blobSchedule":{"cancun":{"target":7,"max":6,"baseFeeUpdateFraction":1}}"#,
            ),
            "blob schedule of Cancun: target is above max",
        ),
        (with_config(r#","clique":{"epoch":0}"#), "genesis field `config.clique` is {\"epoch\":0}"),
        (with_alloc(r#"{"0x01":{}}"#), "genesis field `alloc.0x01` is {}: expected an account key"),
        (
            with_alloc(r#"{"0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b":{"balance":"lots"}}"#),
            "genesis field `alloc.0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b.balance` is \"lots\"",
        ),
        (
            with_alloc(
                r#"{"0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b":{},"A94f5374fce5edbc8e2a8697c15331677e6ebf0b":{}}"#,
            ),
            "genesis has the key `alloc.0xa94f5374Fce5edBC8E2a8697C15331677e6EbF0B` twice",
        ),
    ];
    for (result, expected) in cases {
        let message = message(result);
        assert!(message.starts_with(expected), "{message}\nexpected: {expected}");
    }
}

#[test]
fn hostile_files_are_refused_quickly() {
    let deep = "[".repeat(10_000_000);
    assert!(genesis(&deep).is_err());
    assert!(genesis(&format!(r#"{{"config":{deep}"#)).is_err());
    let deep_closed = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(with_config(&format!(r#","unknown":{deep_closed}"#)).is_err());
    let many_digits = "9".repeat(1_000_000);
    let refused = message(with_config(&format!(r#","londonBlock":{many_digits}"#)));
    assert!(refused.len() < 300, "{refused}");
    assert!(ChainSpec::from_genesis_json(&[0xff; 10]).is_err());
    assert!(ChainSpec::from_genesis_json(b"").is_err());
    assert!(ChainSpec::load("no-such-chain").is_err());
}

#[test]
fn sloppy_account_fields_are_understood() {
    let spec = with_alloc(
        r#"{"a94f5374fce5edbc8e2a8697c15331677e6ebf0b":{"nonce":"1","code":"60","storage":{"0x03":"0x07","04":"0"},
            "privateKey":"ignored","comment":["ignored"]}}"#,
    )
    .unwrap();
    let alloc = spec.genesis_alloc();
    let account = &alloc[0].1;
    assert_eq!((account.nonce, account.code.as_ref(), account.balance.is_zero()), (1, &[0x60][..], true));
    assert_eq!(account.storage.len(), 1, "a zero slot is no slot");
    assert_eq!(account.storage[0].0[31], 3);
    assert_eq!(account.storage[0].1.to::<u64>(), 7);
}

#[test]
fn besu_settings_are_read() {
    let spec = with_config(
        r#","networkID":"7","londonBlock":0,"zeroBaseFee":true,"contractSizeLimit":2147483647,
            "ethash":{"fixeddifficulty":100},"transitions":{"qbft":[]}"#,
    )
    .unwrap();
    assert_eq!((spec.chain_id(), spec.network_id()), (5, 7));
    assert!(spec.zero_base_fee());
    assert_eq!(spec.contract_size_limit(), Some(2_147_483_647));
    assert!(
        matches!(spec.engine(), EngineConfig::Ethash { fixed_difficulty: Some(d) } if d.to::<u64>() == 100)
    );
    assert!(spec.other_config().contains_key("transitions"));
    let spec = with_config(r#","newForkTime":null,"ecCurve":"secp256k1","rip7560Block":0"#).unwrap();
    assert!(spec.other_config().contains_key("eccurve"), "what is no fork is kept");
}

#[test]
fn amsterdam_is_final_unless_the_file_says_otherwise() {
    let rules = |config: &str| with_config(config).map(|spec| spec.amsterdam_rules());
    assert_eq!(rules("").unwrap(), AmsterdamRules::Final);
    assert_eq!(rules(r#","amsterdamRules":"final""#).unwrap(), AmsterdamRules::Final);
    assert_eq!(rules(r#","amsterdamRules":"bal-devnet-4""#).unwrap(), AmsterdamRules::BalDevnet4);
    for unknown in [r#""bal-devnet-9""#, "4"] {
        let error = rules(&format!(r#","amsterdamRules":{unknown}"#)).unwrap_err();
        assert!(error.to_string().contains("amsterdamRules"), "{error}");
    }
}

#[test]
fn timestamp_fork_at_genesis_implies_london_at_genesis() {
    let spec = with_config(r#","cancunTime":0"#).unwrap();
    assert_eq!(spec.activation(Fork::London), Some(Activation::Block(0)));
    assert_eq!(spec.genesis_header().base_fee_per_gas, Some(1_000_000_000));
    assert_eq!(spec.fork_at(spec.block_context(1, 1, Default::default())), Fork::Cancun);
    assert!(spec.is_merged(Default::default(), 0), "no total difficulty is given: times decide");
}

#[test]
fn timestamp_forks_of_a_bft_chain_are_not_a_merge() {
    let spec = with_config(r#","londonBlock":0,"shanghaiTime":0,"qbft":{"blockPeriodSeconds":1}"#).unwrap();
    let block = spec.block_context(1, 1, Default::default());
    assert_eq!(block, BlockContext { number: 1, timestamp: 1, merged: false });
    assert_eq!(spec.fork_at(block), Fork::Shanghai);
}

/// JSON values with the keys and numbers that the parser looks for.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        (0_u64..40).prop_map(Into::into),
        "0x[0-9a-f]{0,70}".prop_map(Into::into),
        "[0-9]{0,80}".prop_map(Into::into),
        ".{0,10}".prop_map(Into::into),
    ];
    let key = prop_oneof![
        Just("chainId".to_owned()),
        Just("homesteadBlock".to_owned()),
        Just("londonBlock".to_owned()),
        Just("shanghaiTime".to_owned()),
        Just("cancunTime".to_owned()),
        Just("osakaTime".to_owned()),
        Just("blobSchedule".to_owned()),
        Just("cancun".to_owned()),
        Just("terminalTotalDifficulty".to_owned()),
        Just("balance".to_owned()),
        Just("storage".to_owned()),
        Just("qbft".to_owned()),
        "[0-9a-f]{40}",
        ".{0,6}",
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((key.clone(), inner), 0..8)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ChainSpec::from_genesis_json(&bytes);
    }

    #[test]
    fn arbitrary_values_never_panic(config in any_json(), alloc in any_json(), number in any_json()) {
        let json = serde_json::json!({
            "config": config, "alloc": alloc, "gasLimit": number, "difficulty": "0x1", "timestamp": number,
        });
        let _ = ChainSpec::from_genesis_json(json.to_string().as_bytes());
    }

    #[test]
    fn arbitrary_forks_never_panic(london in any::<u64>(), times in prop::array::uniform5(any::<u64>()), now: u64) {
        let [shanghai, cancun, osaka, bpo1, amsterdam] = times;
        let json = serde_json::json!({
            "config": {
                "chainId": 1, "londonBlock": london, "shanghaiTime": shanghai, "cancunTime": cancun,
                "osakaTime": osaka, "bpo1Time": bpo1, "amsterdamTime": amsterdam,
            },
            "alloc": {}, "gasLimit": 1, "difficulty": 1, "timestamp": now,
        });
        if let Ok(spec) = ChainSpec::from_genesis_json(json.to_string().as_bytes()) {
            spec.fork_at(spec.block_context(now, now, Default::default()));
            spec.blob_params_at(now);
            spec.fork_id(now, now);
        }
    }

    #[test]
    fn truncated_files_never_panic(cut in 0_usize..400) {
        let whole = r#"{"config":{"chainId":5,"londonBlock":0,"blobSchedule":{"cancun":{"target":3,"max":6,
            "baseFeeUpdateFraction":3338477}},"qbft":{"a":1}},"gasLimit":"0x1388","difficulty":1,
            "alloc":{"a94f5374fce5edbc8e2a8697c15331677e6ebf0b":{"balance":"1","storage":{"0x1":"0x2"}}}}"#;
        let _ = genesis(&whole[..cut.min(whole.len())]);
    }
}
