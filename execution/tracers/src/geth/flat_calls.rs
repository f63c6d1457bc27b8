//! The call tracer's frames one after another, in the form of OpenEthereum and in go-ethereum's words:
//! `flatCallTracer`.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_trace::geth::CallFrame;
use revm_inspectors::tracing::TransactionContext;
use serde::{Deserialize, Serialize};

use super::calls::SELFDESTRUCT;
use crate::{Notes, TracerError};

/// Its name among the tracers.
pub(super) const NAME: &str = "flatCallTracer";

/// What the options say of the form.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FlatConfig {
    /// Whether errors are in OpenEthereum's words.
    convert_parity_errors: bool,
    /// Whether calls of precompiled contracts are shown.
    include_precompiles: bool,
}

/// Asks for the flat form; sees nothing itself.
#[derive(Debug, Default)]
pub struct FlatCalls(Option<FlatConfig>);

impl<CTX> revm::Inspector<CTX> for FlatCalls {}

impl FlatCalls {
    /// # Errors
    /// [`TracerError::Unusable`] for a configuration that makes no sense.
    pub(super) fn enabled(config: serde_json::Value) -> Result<Self, TracerError> {
        if config.is_null() {
            return Ok(Self(Some(FlatConfig::default())));
        }
        let config = serde_json::from_value(config);
        config
            .map(|config| Self(Some(config)))
            .map_err(|_| TracerError::Unusable("invalid tracer config".into()))
    }

    pub(super) fn config(&self) -> Option<FlatConfig> {
        self.0
    }
}

/// A frame by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatFrame {
    action: Action,
    block_hash: Option<B256>,
    block_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Outcome>,
    subtraces: usize,
    trace_address: Vec<usize>,
    transaction_hash: Option<B256>,
    transaction_position: usize,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<U256>,
}

/// What a call gave; for a creation, address and code.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Bytes>,
    gas_used: U256,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Bytes>,
}

/// The frames of a transaction as JSON; callers come before callees.
///
/// # Errors
/// When that is no JSON, which would be a mistake here.
pub(super) fn flatten(
    mut outermost: CallFrame,
    config: FlatConfig,
    notes: &Notes,
    block_number: u64,
    context: TransactionContext,
) -> Result<serde_json::Value, TracerError> {
    if !config.include_precompiles {
        remove_precompiles(&mut outermost, notes);
    }
    let mut flat = Vec::new();
    let mut waiting = vec![(outermost, Vec::new())];
    while let Some((mut frame, trace_address)) = waiting.pop() {
        let calls = std::mem::take(&mut frame.calls);
        let subtraces = calls.len();
        let below = calls.into_iter().enumerate().map(|(index, call)| {
            let address: Vec<usize> = trace_address.iter().copied().chain([index]).collect();
            (call, address)
        });
        let below: Vec<_> = below.collect();
        waiting.extend(below.into_iter().rev());
        let (kind, action, result) = parts(&frame);
        let reverted = frame.error.as_deref() == Some("execution reverted");
        let result = result.filter(|_| frame.error.is_none() || reverted);
        let error = frame
            .error
            .map(|words| if config.convert_parity_errors { in_parity_words(words) } else { words });
        flat.push(FlatFrame {
            action,
            block_hash: context.block_hash,
            block_number,
            error,
            result,
            subtraces,
            trace_address,
            transaction_hash: context.tx_hash,
            transaction_position: context.tx_index.unwrap_or_default(),
            kind,
        });
    }
    serde_json::to_value(flat).map_err(|error| TracerError::Failed(error.to_string()))
}

fn parts(frame: &CallFrame) -> (&'static str, Action, Option<Outcome>) {
    let kind = frame.typ.to_lowercase();
    let output = frame.output.clone().unwrap_or_default();
    match frame.typ.as_str() {
        "CREATE" | "CREATE2" => {
            let action = Action {
                creation_method: Some(kind),
                from: Some(frame.from),
                gas: Some(frame.gas),
                init: Some(frame.input.clone()),
                value: frame.value,
                ..Action::default()
            };
            let result =
                Outcome { address: frame.to, code: Some(output), gas_used: frame.gas_used, output: None };
            ("create", action, Some(result))
        }
        SELFDESTRUCT => {
            let action = Action {
                address: Some(frame.from),
                balance: frame.value,
                refund_address: frame.to,
                ..Action::default()
            };
            ("suicide", action, None)
        }
        _ => {
            let action = Action {
                call_type: Some(kind),
                from: Some(frame.from),
                to: frame.to,
                gas: Some(frame.gas),
                input: Some(frame.input.clone()),
                value: Some(frame.value.unwrap_or_default()),
                ..Action::default()
            };
            let result = Outcome { gas_used: frame.gas_used, output: Some(output), ..Outcome::default() };
            ("call", action, Some(result))
        }
    }
}

/// Frames are numbered as they begin.
fn remove_precompiles(outermost: &mut CallFrame, notes: &Notes) {
    fn remove(frame: &mut CallFrame, number: &mut usize, notes: &Notes) {
        frame.calls.retain_mut(|call| {
            if call.typ == SELFDESTRUCT {
                return true;
            }
            *number += 1;
            let called = *number;
            remove(call, number, notes);
            !(notes.is_precompile(called) && matches!(call.typ.as_str(), "CALL" | "STATICCALL"))
        });
    }
    remove(outermost, &mut 0, notes);
}

fn in_parity_words(words: String) -> String {
    let known = match words.as_str() {
        "contract creation code storage out of gas"
        | "out of gas"
        | "gas uint64 overflow"
        | "max code size exceeded" => "Out of gas",
        "invalid jump destination" => "Bad jump destination",
        "execution reverted" => "Reverted",
        "return data out of bounds" => "Out of bounds",
        "stack limit reached 1024 (1023)" => "Out of stack",
        "invalid input length" => "Built-in failed",
        words if words.starts_with("invalid opcode:") => "Bad instruction",
        words if words.starts_with("stack underflow") => "Stack underflow",
        _ => return words,
    };
    known.to_owned()
}
