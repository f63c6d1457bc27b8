//! `portico evm t8n`: the transition tool. A state, a block's environment and transactions go in; the state after it
//! and everything that the block's header commits to come out.
//!
//! The interface is that of go-ethereum's `evm t8n`, as the execution spec tests call it to fill their tests.
//!
//! ```text
//!  alloc ─┐                                     ┌─ result: roots, receipts, rejected transactions, requests
//!  env   ─┼─ transition (every rule of a block) ┼─ alloc
//!  txs   ─┘                                     └─ body: RLP of the transactions that are in it
//! ```

mod environment;
mod error;
pub(super) mod files;
mod rejection;
mod result;
pub(super) mod transactions;
mod transition;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

pub use error::T8nError;
pub use transition::{TransitionInput, TransitionOptions, TransitionOutput, transition};

use portico_tracers::TraceFields;

/// Forks that `--state.fork` takes. The spec-test filler looks for its fork's name in the help text.
const FORKS_HELP: &str = "Forks: Frontier, Homestead, EIP150 (TangerineWhistle), EIP158 (SpuriousDragon), Byzantium, \
    Constantinople, ConstantinopleFix (Petersburg), Istanbul, MuirGlacier, Berlin, London, ArrowGlacier, GrayGlacier, \
    Paris (Merge), Shanghai, Cancun, Prague, Osaka, BPO1, BPO2, BPO3, BPO4, BPO5, Amsterdam.\n\
    Amsterdam@bal-devnet-4: Amsterdam as of April 2026, of that development network and the test release bal@v5.7.0.\n\
    Changes: BerlinToLondonAt5 (block), CancunToPragueAtTime15k (seconds), ArrowGlacierToParisAtDiffC0000, \
    HomesteadToDaoAt5.\n\
    Exit codes: 0 done, 2 execution failed, 3 configuration, 4 missing block hash, 10 input, 11 files.";

#[derive(Debug, Args)]
#[command(after_help = FORKS_HELP)]
pub(crate) struct T8nArgs {
    /// State before the block: a file, or `stdin`
    #[arg(long = "input.alloc", value_name = "FILE", default_value = "alloc.json")]
    input_alloc: String,
    /// The block's environment: a file, or `stdin`
    #[arg(long = "input.env", value_name = "FILE", default_value = "env.json")]
    input_env: String,
    /// Transactions, JSON or (`.rlp`) RLP in hexadecimal: a file, or `stdin`
    #[arg(long = "input.txs", value_name = "FILE", default_value = "txs.json")]
    input_txs: String,
    /// Blob parameters in place of the fork's (target, max, baseFeeUpdateFraction): a file, or `stdin`
    #[arg(long = "input.blobParams", value_name = "FILE")]
    input_blob_params: Option<String>,
    /// Folder for output files; made when it is not there
    #[arg(long = "output.basedir", value_name = "DIR")]
    output_basedir: Option<PathBuf>,
    /// State after the block: a file, `stdout`, `stderr`, or nothing
    #[arg(long = "output.alloc", value_name = "FILE", default_value = "alloc.json")]
    output_alloc: String,
    /// Roots, receipts and the rest: a file, `stdout`, `stderr`, or nothing
    #[arg(long = "output.result", value_name = "FILE", default_value = "result.json")]
    output_result: String,
    /// RLP of the transactions in the block: a file, `stdout`, `stderr`, or nothing
    #[arg(long = "output.body", value_name = "FILE", default_value = "")]
    output_body: String,
    /// Rules of the block; see below
    #[arg(long = "state.fork", value_name = "NAME", default_value = "GrayGlacier")]
    fork: String,
    /// Chain id
    #[arg(long = "state.chainid", value_name = "ID", default_value_t = 1)]
    chain_id: u64,
    /// Block reward in wei, decimal or hexadecimal; -1 for none, not even touching the beneficiary
    #[arg(long = "state.reward", value_name = "WEI", default_value = "0", allow_hyphen_values = true)]
    reward: String,
    /// Write a trace (EIP-3155) per transaction to `trace-<index>-<hash>.jsonl`
    #[arg(long)]
    trace: bool,
    /// Show memory in traces
    #[arg(long = "trace.memory")]
    trace_memory: bool,
    /// Leave the stack out of traces
    #[arg(long = "trace.nostack")]
    trace_nostack: bool,
    /// Show what calls returned in traces
    #[arg(long = "trace.returndata")]
    trace_returndata: bool,
    /// Not supported: a line per call frame in traces
    #[arg(long = "trace.callframes")]
    trace_callframes: bool,
    /// Write how often each instruction ran to this file
    #[arg(long = "opcode.count", value_name = "FILE")]
    opcode_count: Option<String>,
}

/// Runs the tool; an error is printed and becomes the exit code.
pub(super) fn run(args: &T8nArgs) -> ExitCode {
    exit(try_run(args))
}

/// Prints an error; gives the exit code.
pub(super) fn exit(result: Result<(), T8nError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn try_run(args: &T8nArgs) -> Result<(), T8nError> {
    let folder = files::output_folder(args.output_basedir.as_deref())?;
    let options = args.options(&folder)?;
    let output = transition(files::read_input(args)?, &options)?;
    files::write_output(args, &folder, &output)
}

impl T8nArgs {
    fn options(&self, folder: &std::path::Path) -> Result<TransitionOptions, T8nError> {
        if self.trace_callframes {
            return Err(T8nError::configuration("--trace.callframes is not supported"));
        }
        let fields = TraceFields {
            memory: self.trace_memory,
            stack: !self.trace_nostack,
            return_data: self.trace_returndata,
        };
        Ok(TransitionOptions {
            fork: self.fork.clone(),
            chain_id: self.chain_id,
            reward: parse_reward(&self.reward)?,
            trace: self.trace.then(|| (folder.to_owned(), fields)),
            counts_opcodes: self.opcode_count.as_deref().is_some_and(|file| !file.is_empty()),
        })
    }
}

fn parse_reward(text: &str) -> Result<Option<u128>, T8nError> {
    if text == "-1" {
        return Ok(None);
    }
    let number = super::number::Number::parse(text).and_then(|number| u128::try_from(number.0).ok());
    number.map(Some).ok_or_else(|| T8nError::configuration(format_args!("{text:?} is not a block reward")))
}
