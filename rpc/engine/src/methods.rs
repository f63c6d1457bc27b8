//! Names and arguments of the methods.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B128, B256, Bytes, U64};
use alloy_rpc_types_engine::{ForkchoiceState, PayloadAttributes, PayloadId};
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    types::{ErrorObjectOwned, Params},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use portico_jsonrpc::{MethodError, rpc_receipt};
use portico_query::QueryError;

use crate::{
    Dev, Engine, EngineError,
    dev::{accounts, sign_message},
    envelope::envelope,
    payload::NewPayload,
};

/// What `engine_exchangeCapabilities` names.
const CAPABILITIES: [&str; 25] = [
    "engine_newPayloadV1",
    "engine_newPayloadV2",
    "engine_newPayloadV3",
    "engine_newPayloadV4",
    "engine_newPayloadV5",
    "engine_forkchoiceUpdatedV1",
    "engine_forkchoiceUpdatedV2",
    "engine_forkchoiceUpdatedV3",
    "engine_forkchoiceUpdatedV4",
    "engine_getPayloadV1",
    "engine_getPayloadV2",
    "engine_getPayloadV3",
    "engine_getPayloadV4",
    "engine_getPayloadV5",
    "engine_getPayloadV6",
    "engine_getPayloadBodiesByHashV1",
    "engine_getPayloadBodiesByHashV2",
    "engine_getPayloadBodiesByRangeV1",
    "engine_getPayloadBodiesByRangeV2",
    "engine_getBlobsV1",
    "engine_getBlobsV2",
    "engine_getBlobsV3",
    "engine_getBlobsV4",
    "engine_getClientVersionV1",
    "engine_exchangeTransitionConfigurationV1",
];

type Answer = Result<Value, EngineError>;

/// The positional arguments of one call, from the first on.
struct Arguments(std::vec::IntoIter<Value>);

impl Arguments {
    /// At most `max` of them.
    fn new(params: &Params<'_>, max: usize) -> Result<Self, EngineError> {
        let bad = |error: ErrorObjectOwned| EngineError::InvalidParams(error.message().to_owned());
        let values: Vec<Value> = if params.is_object() {
            return Err(EngineError::InvalidParams("arguments have no names".to_owned()));
        } else {
            params.parse::<Option<Vec<Value>>>().map_err(bad)?.unwrap_or_default()
        };
        if values.len() > max {
            return Err(EngineError::InvalidParams(format!("too many arguments, want at most {max}")));
        }
        Ok(Self(values.into_iter()))
    }

    fn value(&mut self) -> Result<Value, EngineError> {
        self.0.next().ok_or_else(|| EngineError::InvalidParams("missing argument".to_owned()))
    }

    fn required<T: DeserializeOwned>(&mut self) -> Result<T, EngineError> {
        from_value(self.value()?)
    }

    /// None when it is null or left out.
    fn optional<T: DeserializeOwned>(&mut self) -> Result<Option<T>, EngineError> {
        match self.0.next() {
            None | Some(Value::Null) => Ok(None),
            Some(value) => from_value(value).map(Some),
        }
    }
}

fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, EngineError> {
    serde_json::from_value(value).map_err(|error| EngineError::InvalidParams(error.to_string()))
}

fn to_value(answer: &impl serde::Serialize) -> Answer {
    serde_json::to_value(answer).map_err(|error| EngineError::Internal(error.to_string()))
}

fn new_payload(engine: &Engine, version: u8, mut arguments: Arguments) -> Answer {
    let payload = arguments.value()?;
    let new = NewPayload {
        payload,
        versioned_hashes: arguments.optional()?,
        parent_beacon_block_root: arguments.optional()?,
        requests: arguments.optional()?,
    };
    to_value(&engine.new_payload(version, new)?)
}

fn forkchoice_updated(engine: &Engine, version: u8, mut arguments: Arguments) -> Answer {
    let state: ForkchoiceState = arguments.required()?;
    let attributes: Option<Value> = arguments.optional()?;
    if version >= 4 {
        // The columns that the consensus client keeps: blobs are held whole here, whatever they are.
        arguments.optional::<B128>()?;
    }
    // Of another shape, they are refused when the state was applied.
    let parsed = attributes.map(serde_json::from_value::<PayloadAttributes>);
    match parsed {
        None => to_value(&engine.forkchoice_updated(version, state, None)?),
        Some(Ok(attributes)) => to_value(&engine.forkchoice_updated(version, state, Some(attributes))?),
        Some(Err(error)) => {
            engine.forkchoice_updated(version, state, None)?;
            Err(EngineError::InvalidAttributes(error.to_string()))
        }
    }
}

fn get_payload(engine: &Engine, version: u8, mut arguments: Arguments) -> Answer {
    let id: PayloadId = arguments.required()?;
    let (best, _) = engine.get_payload(version, id)?;
    envelope(version, &best)
}

fn exchange_transition_configuration(engine: &Engine, mut arguments: Arguments) -> Answer {
    let theirs: Value = arguments.required()?;
    let ours = engine.tip().spec().terminal_total_difficulty();
    Ok(json!({
        "terminalTotalDifficulty": ours.or_else(|| {
            serde_json::from_value(theirs.get("terminalTotalDifficulty")?.clone()).ok()
        }),
        "terminalBlockHash": B256::ZERO,
        "terminalBlockNumber": "0x0",
    }))
}

/// A blocking function of the engine under its name.
fn register(
    module: &mut RpcModule<Engine>,
    name: &'static str,
    arguments_max: usize,
    call: impl Fn(&Engine, Arguments) -> Answer + Send + Sync + Clone + 'static,
) -> Result<(), RegisterMethodError> {
    module.register_blocking_method(name, move |params, engine: Arc<Engine>, _| {
        Arguments::new(&params, arguments_max)
            .and_then(|arguments| call(&engine, arguments))
            .map_err(ErrorObjectOwned::from)
    })?;
    Ok(())
}

/// The `engine_` methods. `commit` is the beginning of the hash of the source that this program was built from.
///
/// # Errors
/// When two methods have the same name, which is a mistake in this file.
pub fn engine_methods(
    engine: Engine,
    version: &'static str,
    commit: &'static str,
) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut module = RpcModule::new(engine);
    for (name, version, arguments) in [
        ("engine_newPayloadV1", 1, 1),
        ("engine_newPayloadV2", 2, 1),
        ("engine_newPayloadV3", 3, 3),
        ("engine_newPayloadV4", 4, 4),
        ("engine_newPayloadV5", 5, 4),
    ] {
        register(&mut module, name, arguments, move |engine, arguments| {
            new_payload(engine, version, arguments)
        })?;
    }
    for (name, version, arguments) in [
        ("engine_forkchoiceUpdatedV1", 1, 2),
        ("engine_forkchoiceUpdatedV2", 2, 2),
        ("engine_forkchoiceUpdatedV3", 3, 2),
        ("engine_forkchoiceUpdatedV4", 4, 3),
    ] {
        register(&mut module, name, arguments, move |engine, arguments| {
            forkchoice_updated(engine, version, arguments)
        })?;
    }
    for (name, version) in [
        ("engine_getPayloadV1", 1),
        ("engine_getPayloadV2", 2),
        ("engine_getPayloadV3", 3),
        ("engine_getPayloadV4", 4),
        ("engine_getPayloadV5", 5),
        ("engine_getPayloadV6", 6),
    ] {
        register(&mut module, name, 1, move |engine, arguments| get_payload(engine, version, arguments))?;
    }
    for (name, version) in [("engine_getPayloadBodiesByHashV1", 1), ("engine_getPayloadBodiesByHashV2", 2)] {
        register(&mut module, name, 1, move |engine, mut arguments| {
            let hashes: Vec<B256> = arguments.required()?;
            to_value(&engine.bodies_by_hash(version, &hashes)?)
        })?;
    }
    for (name, version) in [("engine_getPayloadBodiesByRangeV1", 1), ("engine_getPayloadBodiesByRangeV2", 2)]
    {
        register(&mut module, name, 2, move |engine, mut arguments| {
            let (start, count): (U64, U64) = (arguments.required()?, arguments.required()?);
            to_value(&engine.bodies_by_range(version, start.to(), count.to())?)
        })?;
    }
    register(&mut module, "engine_getBlobsV1", 1, |engine, mut arguments| {
        to_value(&engine.blobs_v1(&arguments.required::<Vec<B256>>()?)?)
    })?;
    for (name, version) in [("engine_getBlobsV2", 2), ("engine_getBlobsV3", 3)] {
        register(&mut module, name, 1, move |engine, mut arguments| {
            to_value(&engine.blobs_with_cells(version, &arguments.required::<Vec<B256>>()?)?)
        })?;
    }
    register(&mut module, "engine_getBlobsV4", 2, |engine, mut arguments| {
        let (hashes, cells): (Vec<B256>, B128) = (arguments.required()?, arguments.required()?);
        to_value(&engine.blob_cells(&hashes, cells)?)
    })?;
    register(&mut module, "engine_exchangeCapabilities", 1, |_, mut arguments| {
        arguments.required::<Vec<String>>()?;
        Ok(json!(CAPABILITIES))
    })?;
    register(&mut module, "engine_getClientVersionV1", 1, move |_, mut arguments| {
        arguments.required::<Value>()?;
        Ok(json!([{ "code": "PO", "name": "Portico", "version": version, "commit": commit }]))
    })?;
    register(&mut module, "engine_exchangeTransitionConfigurationV1", 1, exchange_transition_configuration)?;
    Ok(module.remove_context())
}

/// What Besu answers when a head was set; go-ethereum answers with null, which nobody looks at.
const DONE: &str = "Success";

/// `debug_setHead`, by number, on the chain of the head; `debug_replayBlock`, which executes the block again before that.
///
/// # Errors
/// As [`engine_methods`].
pub fn debug_methods(engine: Engine) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut module = RpcModule::new(engine);
    register(&mut module, "debug_setHead", 1, |engine, mut arguments| {
        let number: Number = arguments.required()?;
        engine.set_head_to(number.0)?;
        Ok(json!(DONE))
    })?;
    register(&mut module, "debug_replayBlock", 1, |engine, mut arguments| {
        let number: Number = arguments.required()?;
        engine.replay_block(number.0)?;
        Ok(json!(DONE))
    })?;
    Ok(module.remove_context())
}

/// A number as tools write it: hexadecimal in a string, or decimal.
struct Number(u64);

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Either {
            Decimal(u64),
            Hexadecimal(U64),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Decimal(number) => Self(number),
            Either::Hexadecimal(number) => Self(number.to()),
        })
    }
}

/// How long the receipt of a transaction is waited for, unless the client says otherwise.
const WAIT: Duration = Duration::from_secs(20);
/// The longest that a client may wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What `evm_mine` may be given.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum MineOptions {
    Timestamp(Number),
    Both { timestamp: Option<Number>, blocks: Option<Number> },
}

type DevAnswer = Result<Value, ErrorObjectOwned>;

fn register_dev(
    module: &mut RpcModule<Dev>,
    name: &'static str,
    arguments_max: usize,
    call: impl Fn(&Dev, Arguments) -> DevAnswer + Send + Sync + Clone + 'static,
) -> Result<(), RegisterMethodError> {
    module.register_blocking_method(name, move |params, dev: Arc<Dev>, _| {
        call(&dev, Arguments::new(&params, arguments_max)?)
    })?;
    Ok(())
}

fn query_error(error: QueryError) -> ErrorObjectOwned {
    MethodError::from(error).into()
}

/// Accounts whose keys the node has: `eth_accounts`, `eth_sendTransaction`, `eth_sendTransactionSync`, `eth_signTransaction`,
/// `eth_sign`.
///
/// # Errors
/// As [`engine_methods`].
pub fn dev_account_methods(dev: Dev) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut module = RpcModule::new(dev);
    register_dev(&mut module, "eth_accounts", 0, |_, _| Ok(json!(accounts())))?;
    register_dev(&mut module, "eth_sendTransaction", 1, |dev, mut arguments| {
        Ok(json!(dev.send(arguments.required()?).map_err(query_error)?))
    })?;
    register_dev(&mut module, "eth_sendTransactionSync", 2, |dev, mut arguments| {
        let request = arguments.required()?;
        let waited = arguments.optional::<Number>()?.map(|timeout| Duration::from_millis(timeout.0));
        let waited = waited.filter(|waited| !waited.is_zero()).unwrap_or(WAIT).min(WAIT_MAX);
        let (hash, receipt) = dev.send_and_wait(request, waited).map_err(query_error)?;
        let receipt = receipt.ok_or(MethodError::NotIncluded { hash, waited })?;
        Ok(json!(rpc_receipt(receipt)))
    })?;
    register_dev(&mut module, "eth_signTransaction", 1, |dev, mut arguments| {
        let (raw, tx) = dev.sign_transaction(arguments.required()?).map_err(query_error)?;
        Ok(json!({ "raw": raw, "tx": tx }))
    })?;
    register_dev(&mut module, "eth_sign", 2, |_, mut arguments| {
        let (address, message): (Address, Bytes) = (arguments.required()?, arguments.required()?);
        let signed = sign_message(address, &message);
        Ok(json!(signed.ok_or_else(|| query_error(QueryError::UnknownAccount { address }))?))
    })?;
    Ok(module.remove_context())
}

/// What development tools call to make blocks, move the clock and go back.
///
/// # Errors
/// As [`engine_methods`].
pub fn dev_methods(dev: Dev) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut module = RpcModule::new(dev);
    register_dev(&mut module, "evm_mine", 1, |dev, mut arguments| {
        let (timestamp, blocks) = match arguments.optional::<MineOptions>()? {
            None => (None, None),
            Some(MineOptions::Timestamp(timestamp)) => (Some(timestamp), None),
            Some(MineOptions::Both { timestamp, blocks }) => (timestamp, blocks),
        };
        if let Some(timestamp) = timestamp {
            dev.set_next_timestamp(timestamp.0)?;
        }
        dev.mine(blocks.map_or(1, |blocks| blocks.0))?;
        Ok(json!("0x0"))
    })?;
    for name in ["hardhat_mine", "anvil_mine"] {
        register_dev(&mut module, name, 2, |dev, mut arguments| {
            let blocks = arguments.optional::<Number>()?.map_or(1, |blocks| blocks.0);
            match arguments.optional::<Number>()? {
                None => dev.mine(blocks)?,
                // Seconds between the blocks.
                Some(interval) => dev.mine_every(blocks, interval.0)?,
            }
            Ok(Value::Null)
        })?;
    }
    register_dev(&mut module, "evm_snapshot", 0, |dev, _| Ok(json!(U64::from(dev.snapshot()))))?;
    register_dev(&mut module, "evm_revert", 1, |dev, mut arguments| {
        Ok(json!(dev.revert(arguments.required::<Number>()?.0)?))
    })?;
    register_dev(&mut module, "evm_setNextBlockTimestamp", 1, |dev, mut arguments| {
        dev.set_next_timestamp(arguments.required::<Number>()?.0)?;
        Ok(Value::Null)
    })?;
    register_dev(&mut module, "evm_increaseTime", 1, |dev, mut arguments| {
        Ok(json!(dev.increase_time(arguments.required::<Number>()?.0)))
    })?;
    register_dev(&mut module, "evm_setAutomine", 1, |dev, mut arguments| {
        dev.set_automatic(arguments.required()?);
        Ok(json!(true))
    })?;
    register_dev(&mut module, "evm_setIntervalMining", 1, |dev, mut arguments| {
        dev.set_period(arguments.required::<Number>()?.0);
        Ok(json!(true))
    })?;
    Ok(module.remove_context())
}

/// The `testing_` methods.
///
/// # Errors
/// As [`engine_methods`].
pub fn testing_methods(engine: Engine) -> Result<RpcModule<()>, RegisterMethodError> {
    let mut module = RpcModule::new(engine);
    register(&mut module, "testing_buildBlockV1", 4, |engine, mut arguments| {
        let parent: B256 = arguments.required()?;
        let attributes: PayloadAttributes = arguments.required()?;
        let transactions: Option<Vec<Bytes>> = arguments.optional()?;
        let extra_data: Option<Bytes> = arguments.optional()?;
        engine.build_block(parent, attributes, transactions, extra_data)
    })?;
    Ok(module.remove_context())
}
