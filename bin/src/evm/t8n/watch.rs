//! What looks on while transactions run: the trace files and the instruction counter, each if it was asked for.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
use portico_tracers::{Eip3155Tracer, TraceFields};
use revm::{
    Inspector,
    context::ContextTr,
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter, interpreter::EthInterpreter,
    },
};

use super::{T8nError, files::file_error};
use crate::evm::opcode_count::OpcodeCount;

/// The inspector of a block.
pub(super) struct Watch {
    folder: PathBuf,
    file: PathBuf,
    tracer: Option<Eip3155Tracer<Box<dyn Write>>>,
    counts: Option<OpcodeCount>,
}

impl Watch {
    pub(super) fn new(trace: Option<&(PathBuf, TraceFields)>, counts_opcodes: bool) -> Self {
        Self {
            folder: trace.map(|(folder, _)| folder.clone()).unwrap_or_default(),
            file: PathBuf::new(),
            tracer: trace.map(|(_, fields)| {
                let nowhere: Box<dyn Write> = Box::new(std::io::sink());
                Eip3155Tracer::new(*fields, nowhere)
            }),
            counts: counts_opcodes.then(OpcodeCount::default),
        }
    }

    /// Whether anything is looked at.
    pub(super) fn is_on(&self) -> bool {
        self.tracer.is_some() || self.counts.is_some()
    }

    /// Opens the trace file of a transaction that is going to be the `index`-th in the block.
    pub(super) fn begin(&mut self, index: usize, hash: B256) -> Result<(), T8nError> {
        let Some(tracer) = &mut self.tracer else { return Ok(()) };
        self.file = self.folder.join(format!("trace-{index}-{hash}.jsonl"));
        let file = File::create(&self.file).map_err(|source| file_error(&self.file, source))?;
        let written = tracer.write_to(Box::new(BufWriter::new(file)));
        written.map_err(|source| file_error(&self.file, source))
    }

    /// The transaction is in the block.
    pub(super) fn end(&mut self) -> Result<(), T8nError> {
        let Some(tracer) = &mut self.tracer else { return Ok(()) };
        tracer.flush().map_err(|source| file_error(&self.file, source))
    }

    /// The transaction is not in the block: it has no trace either.
    pub(super) fn discard(&mut self) -> Result<(), T8nError> {
        if self.tracer.is_none() {
            return Ok(());
        }
        self.end()?;
        remove(&self.file)
    }

    pub(super) fn opcode_count(&self) -> OpcodeCount {
        self.counts.clone().unwrap_or_default()
    }
}

fn remove(file: &Path) -> Result<(), T8nError> {
    std::fs::remove_file(file).map_err(|source| file_error(file, source))
}

impl<C: ContextTr<Journal: JournalExt>> Inspector<C, EthInterpreter> for Watch {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut C) {
        if let Some(tracer) = &mut self.tracer {
            tracer.step(interpreter, context);
        }
        if let Some(counts) = &mut self.counts {
            counts.step(interpreter, context);
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut C) {
        if let Some(tracer) = &mut self.tracer {
            tracer.step_end(interpreter, context);
        }
    }

    fn call_end(&mut self, context: &mut C, inputs: &CallInputs, outcome: &mut CallOutcome) {
        if let Some(tracer) = &mut self.tracer {
            tracer.call_end(context, inputs, outcome);
        }
    }

    fn create_end(&mut self, context: &mut C, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        if let Some(tracer) = &mut self.tracer {
            tracer.create_end(context, inputs, outcome);
        }
    }
}
