//! go-ethereum's tracers.

mod calls;
mod duration;
mod eip3155;
mod erc7562;
mod flat_calls;
mod grams;
mod legacy_calls;
mod preimages;
mod prestate;
mod scripts;
mod step_writer;
mod struct_logs;
mod unpaid;

use std::{collections::VecDeque, io};

use alloy_primitives::Address;
use alloy_rpc_types_trace::geth::{
    GethDebugBuiltInTracerType, GethDebugTracerConfig, GethDebugTracerType, GethDebugTracingOptions,
    GethTrace, PreStateConfig,
};
use portico_evm::ReadError;
use revm::{Database, DatabaseRef, bytecode::Bytecode};
use revm_inspectors::tracing::{CallTraceArena, DebugInspector, DebugInspectorError, TransactionContext};

pub use self::{
    eip3155::{Eip3155Tracer, TraceFields, failure_text},
    flat_calls::FlatCalls,
    grams::Grams,
    legacy_calls::LegacyCalls,
    preimages::Preimages,
    step_writer::StepWriter,
};
use crate::{Bounded, Budget, Executed, Notes, StateBefore, TracerError, bounded::StepRecord};

/// Instructions that a trace can hold with any stack.
const STEPS_THAT_FIT: u64 = 10_000;

/// What sees the execution: the tracer that was asked for, notes on what it does not record, and a tracer that
/// `revm-inspectors` lacks.
pub type GethInspector = (Notes, (Lacking, DebugInspector));

/// Tracers that `revm-inspectors` lacks, or has in another form; at most one of them is asked for.
pub type Lacking = ((Preimages, Grams), (LegacyCalls, FlatCalls));

/// A tracer by its options: the struct logger, or one of the named ones.
#[derive(Debug)]
pub struct GethTracer;

impl GethTracer {
    /// What is to see the execution, within `budget` and the time that the options allow.
    ///
    /// # Errors
    /// [`TracerError::Unusable`] for a name or configuration that makes no sense.
    pub fn inspector(
        mut options: GethDebugTracingOptions,
        budget: Budget,
    ) -> Result<Bounded<GethInspector>, TracerError> {
        let budget = within(&options, budget)?;
        let lacking = lacking(&mut options)?;
        scripts::guard(&mut options)?;
        if options.tracer
            == Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::Erc7562Tracer))
        {
            options.tracer_config = erc7562::with_defaults(options.tracer_config);
        }
        if options.tracer == Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::MuxTracer)) {
            options.tracer_config = put_right(options.tracer_config);
        }
        let mut inspector =
            DebugInspector::new(options).map_err(|error| TracerError::Unusable(error.to_string()))?;
        let is_script = match &mut inspector {
            DebugInspector::Js(script) => {
                scripts::bound(script);
                true
            }
            _ => false,
        };
        let step_record = step_record(&inspector);
        let bounded = Bounded::new((Notes::default(), (lacking, inspector)), budget).recording(step_record);
        // A script takes its time over every instruction.
        Ok(if is_script { bounded.looking_often() } else { bounded })
    }

    /// The struct logger, which writes while the code runs; before each transaction's trace comes the next of `heads`.
    ///
    /// # Errors
    /// As [`GethTracer::inspector`].
    pub fn step_writer<'w>(
        options: &GethDebugTracingOptions,
        heads: VecDeque<String>,
        out: &'w mut dyn io::Write,
        budget: Budget,
    ) -> Result<Bounded<StepWriter<'w>>, TracerError> {
        Ok(StepWriter::inspector(options.config, heads, out, within(options, budget)?))
    }

    /// What the inspector found; it is ready for the next transaction afterwards.
    ///
    /// # Errors
    /// When state cannot be read, or a script fails.
    pub fn finish<D: Database<Error = ReadError>>(
        inspector: &mut Bounded<GethInspector>,
        context: TransactionContext,
        executed: Executed<'_, D>,
    ) -> Result<GethTrace, TracerError> {
        let Executed { block, transaction, result, database } = executed;
        let (notes, (((preimages, grams), (legacy, flat)), inspector)) = inspector.inner_mut();
        let notes = std::mem::take(notes);
        if let Some(found) =
            preimages.take().or_else(|| grams.take()).or_else(|| legacy.take(transaction, &result.result))
        {
            return Ok(GethTrace::JS(found));
        }
        if let Some(traces) = recorded_calls(inspector) {
            notes.complete(traces);
        }
        let mut state = StateBefore::new(database);
        let trace = inspector.get_result(Some(context), transaction, block, result, &mut state);
        let trace = trace.map_err(|error| match error {
            DebugInspectorError::Database(error) => TracerError::Read(error),
            error => TracerError::Failed(error.to_string()),
        })?;
        if let GethTrace::JS(result) = &trace {
            scripts::check_result(result)?;
        }
        let trace = match (trace, &*inspector) {
            (GethTrace::Erc7562Tracer(mut frame), DebugInspector::Erc7562Tracer(calls, _)) => {
                let code_before = |address| code_before(&state, address);
                erc7562::put_as_geth(&mut frame, calls.traces().nodes(), &result.state, code_before);
                GethTrace::Erc7562Tracer(frame)
            }
            (trace, _) => trace,
        };
        let config = prestate_config(inspector)?;
        inspector.fuse().map_err(|error| TracerError::Failed(error.to_string()))?;
        let put = |trace| match trace {
            GethTrace::PreStateTracer(_) => prestate::trace(&config, transaction, &result.state, &state),
            other => Ok(put_as_geth(other, &notes)),
        };
        match trace {
            GethTrace::MuxTracer(mut frames) => {
                for trace in frames.0.values_mut() {
                    *trace = put(std::mem::take(trace))?;
                }
                Ok(GethTrace::MuxTracer(frames))
            }
            GethTrace::CallTracer(mut frame) if let Some(config) = flat.config() => {
                calls::name_faults(&mut frame, &notes);
                let number = block.number.saturating_to();
                flat_calls::flatten(frame, config, &notes, number, context).map(GethTrace::JS)
            }
            trace => put(trace),
        }
    }
}

/// The budget, and no more time than the options allow.
fn within(options: &GethDebugTracingOptions, budget: Budget) -> Result<Budget, TracerError> {
    Ok(match &options.timeout {
        Some(timeout) => budget.at_most(duration::parse(timeout)?),
        None => budget,
    })
}

/// What the inspector keeps of each instruction.
fn step_record(inspector: &DebugInspector) -> StepRecord {
    match inspector {
        DebugInspector::Default(_, config) => match config.limit {
            // So few instructions fit, whatever they are.
            Some(1..=STEPS_THAT_FIT) => StepRecord::None,
            _ if config.is_memory_enabled() => StepRecord::Memory,
            _ if config.is_stack_enabled() => StepRecord::Stack,
            _ => StepRecord::Effect,
        },
        DebugInspector::Erc7562Tracer(..) => StepRecord::Memory,
        DebugInspector::CallTracer(..) | DebugInspector::FlatCallTracer(_) | DebugInspector::Mux(..) => {
            StepRecord::Inputs
        }
        // Tracers that are ours may stand behind this one.
        DebugInspector::Noop(_) => StepRecord::Inputs,
        DebugInspector::FourByte(_)
        | DebugInspector::PreStateTracer(..)
        | DebugInspector::StateGasTracer(_)
        | DebugInspector::Js(_) => StepRecord::None,
    }
}

/// Tracers that run beside each other may have a configuration or none; the inspector wants one of each, but none of
/// those that have nothing to be configured.
fn put_right(config: GethDebugTracerConfig) -> GethDebugTracerConfig {
    use GethDebugBuiltInTracerType as BuiltIn;
    let mut config = config.into_json();
    for (name, own) in config.as_object_mut().into_iter().flatten() {
        match serde_json::from_value(name.clone().into()) {
            Ok(GethDebugTracerType::BuiltInTracer(
                BuiltIn::FourByteTracer | BuiltIn::NoopTracer | BuiltIn::StateGasTracer,
            )) => *own = serde_json::Value::Null,
            _ if own.is_null() => *own = serde_json::json!({}),
            _ => {}
        }
    }
    config.into()
}

/// Asks `revm-inspectors` for what it has in place of what it lacks.
fn lacking(options: &mut GethDebugTracingOptions) -> Result<Lacking, TracerError> {
    use GethDebugBuiltInTracerType as BuiltIn;
    let mut lacking = Lacking::default();
    let instead = match options.tracer.as_ref().map(GethDebugTracerType::as_str) {
        Some(preimages::NAME) => {
            lacking.0.0 = Preimages::enabled();
            BuiltIn::NoopTracer
        }
        Some("4byteTracerLegacy") => BuiltIn::FourByteTracer,
        Some("noopTracerLegacy") => BuiltIn::NoopTracer,
        Some(legacy_calls::NAME) => {
            lacking.1.0 = LegacyCalls::enabled();
            BuiltIn::NoopTracer
        }
        Some(flat_calls::NAME) => {
            lacking.1.1 = FlatCalls::enabled(std::mem::take(&mut options.tracer_config).into_json())?;
            BuiltIn::CallTracer
        }
        Some(name) => match Grams::by_name(name) {
            Some(grams) => {
                lacking.0.1 = grams;
                BuiltIn::NoopTracer
            }
            None => return Ok(lacking),
        },
        None => return Ok(lacking),
    };
    options.tracer = Some(GethDebugTracerType::BuiltInTracer(instead));
    Ok(lacking)
}

/// In go-ethereum's words, where the inspector has others.
fn put_as_geth(mut trace: GethTrace, notes: &Notes) -> GethTrace {
    match &mut trace {
        GethTrace::Default(frame) => struct_logs::put_as_geth(frame, notes),
        GethTrace::CallTracer(frame) => calls::name_faults(frame, notes),
        _ => {}
    }
    trace
}

fn code_before(state: &impl DatabaseRef, address: Address) -> Option<Bytecode> {
    let account = state.basic_ref(address).ok().flatten()?;
    account.code.or_else(|| state.code_by_hash_ref(account.code_hash).ok())
}

fn prestate_config(inspector: &DebugInspector) -> Result<PreStateConfig, TracerError> {
    let prestate = GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::PreStateTracer);
    match inspector {
        DebugInspector::PreStateTracer(_, config) => Ok(*config),
        DebugInspector::Mux(_, config) => match config.0.get(&prestate).cloned().flatten() {
            Some(config) => {
                config.from_value().map_err(|_| TracerError::Unusable("invalid tracer config".to_owned()))
            }
            None => Ok(PreStateConfig::default()),
        },
        _ => Ok(PreStateConfig::default()),
    }
}

fn recorded_calls(inspector: &mut DebugInspector) -> Option<&mut CallTraceArena> {
    match inspector {
        DebugInspector::CallTracer(calls, _)
        | DebugInspector::FlatCallTracer(calls)
        | DebugInspector::Erc7562Tracer(calls, _) => Some(calls.traces_mut()),
        DebugInspector::FourByte(_)
        | DebugInspector::PreStateTracer(..)
        | DebugInspector::Noop(_)
        | DebugInspector::StateGasTracer(_)
        | DebugInspector::Mux(..)
        | DebugInspector::Default(..)
        | DebugInspector::Js(_) => None,
    }
}
