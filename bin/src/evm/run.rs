//! `portico evm run`: code or one signed transaction, with a trace, a dump of the state, or a measurement.

use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use clap::Args;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use portico_chainspec::{ChainSpec, Fork, Header};
use portico_evm::{
    BlockExecution, BlockInput, BlockRules, CallOutcome, CodeRun, MemoryState, Overlay, SignatureRules,
    Transaction, recover_sender, run_code,
};
use portico_tracers::{Eip3155Tracer, failure_text};
use revm::{
    Inspector, context::result::HaltReason, inspector::NoOpInspector, interpreter::InstructionResult,
};

use super::{alloc::dump_json, number::Number, trace_args::FieldArgs};

/// A measurement repeats for at least this long.
const BENCH_DURATION: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 the code reverted or failed, or it could not be run.")]
pub(crate) struct RunArgs {
    /// Code in hexadecimal
    code: Option<String>,
    /// File with the code in hexadecimal; `-` is standard input
    #[arg(long = "codefile", value_name = "FILE", conflicts_with = "code")]
    code_file: Option<PathBuf>,
    /// Input of the call in hexadecimal
    #[arg(long, value_name = "HEX", default_value = "")]
    input: String,
    /// File with the input in hexadecimal; `-` is standard input
    #[arg(long = "inputfile", value_name = "FILE", conflicts_with = "input")]
    input_file: Option<PathBuf>,
    /// One signed transaction in hexadecimal, or a file with it, in place of code
    #[arg(long, value_name = "HEX|FILE", conflicts_with_all = ["code", "code_file", "input", "input_file", "create"])]
    tx: Option<String>,
    /// Caller and origin
    #[arg(long, value_name = "ADDRESS", default_value = "0x000000000000000000000000000073656e646572")]
    sender: Address,
    /// Contract that is called; the code is put there
    #[arg(long, value_name = "ADDRESS", default_value = "0x0000000000000000000000007265636569766572")]
    receiver: Address,
    /// Value sent, in wei
    #[arg(long, value_name = "WEI", default_value = "0", value_parser = parse_number)]
    value: Number,
    /// Gas; a prestate's gas limit goes before it
    #[arg(long, value_name = "GAS", default_value_t = 10_000_000_000)]
    gas: u64,
    /// Gas price, in wei
    #[arg(long, value_name = "WEI", default_value = "0", value_parser = parse_number)]
    price: Number,
    /// Run the code, with the input behind it, as init code
    #[arg(long)]
    create: bool,
    /// Genesis file: state, rules and block
    #[arg(long, value_name = "FILE")]
    prestate: Option<PathBuf>,
    /// Fork, in place of the prestate's rules [default: Osaka]
    #[arg(long = "state.fork", value_name = "NAME")]
    fork: Option<String>,
    /// Print the state afterwards
    #[arg(long)]
    dump: bool,
    /// Repeat, and print the time of one run
    #[arg(long)]
    bench: bool,
    /// Print gas used and time
    #[arg(long)]
    statdump: bool,
    #[command(flatten)]
    trace: TraceArgs,
}

#[derive(Debug, Args)]
struct TraceArgs {
    /// Write a trace (EIP-3155)
    #[arg(long, visible_alias = "json")]
    trace: bool,
    /// File for the trace [default: standard error]
    #[arg(long = "trace.output", value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    fields: FieldArgs,
}

fn parse_number(text: &str) -> Result<Number, String> {
    Number::parse(text).ok_or_else(|| "expected a number, decimal or 0x-prefixed".to_owned())
}

/// Runs the tool.
pub(super) fn run(args: &RunArgs) -> Result<ExitCode> {
    let mut setting = Setting::new(args)?;
    let job = Job::new(args, &mut setting)?;
    let mut stats = Stats::default();
    let (outcome, state) = if args.trace.trace {
        setting.traced(&job, &args.trace)?
    } else {
        stats.measure(args.bench, || setting.plain(&job))?
    };
    if args.dump {
        println!("{:#}", dump_json(&state));
    }
    if args.bench || args.statdump {
        stats.print(gas_used(&outcome));
    }
    Ok(print_outcome(&outcome, args.trace.trace))
}

/// Output on standard output, unless a trace holds it; the exit code is that of the execution.
fn print_outcome(outcome: &CallOutcome, traced: bool) -> ExitCode {
    let (output, error) = match outcome {
        CallOutcome::Success { output, .. } => (output.clone(), None),
        CallOutcome::Revert { output, .. } => (output.clone(), Some(failure_text(InstructionResult::Revert))),
        CallOutcome::Halt { reason, .. } => (Bytes::new(), Some(halt_text(reason.clone()))),
    };
    if !traced {
        println!("{output}");
    }
    match error {
        None => ExitCode::SUCCESS,
        Some(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn halt_text(reason: HaltReason) -> String {
    failure_text(InstructionResult::from(reason))
}

fn gas_used(outcome: &CallOutcome) -> u64 {
    match outcome {
        CallOutcome::Success { gas_used, .. }
        | CallOutcome::Revert { gas_used, .. }
        | CallOutcome::Halt { gas_used, .. } => *gas_used,
    }
}

/// The chain and the block in which something runs, and the state before.
struct Setting {
    spec: ChainSpec,
    header: Header,
    state: MemoryState,
}

/// What runs.
enum Job {
    Code(CodeRun),
    Transaction { transaction: Box<Transaction>, sender: Address },
}

impl Setting {
    fn new(args: &RunArgs) -> Result<Self> {
        let genesis = args.prestate.as_deref().map(read_genesis).transpose()?;
        let chain_id = genesis.as_ref().map_or(1, ChainSpec::chain_id);
        let by_name = |name: &str| ChainSpec::for_test_network(name, chain_id, None);
        let (header, state) = match &genesis {
            Some(genesis) => {
                (genesis.genesis_header().clone(), MemoryState::from_genesis(&genesis.genesis_alloc()))
            }
            None => (Header { gas_limit: args.gas, ..Header::default() }, MemoryState::new()),
        };
        let spec = match (&args.fork, genesis) {
            (Some(name), _) => by_name(name)?,
            (None, Some(genesis)) => genesis,
            (None, None) => by_name("Osaka")?,
        };
        let mut setting = Self { spec, header, state };
        setting.complete_header();
        Ok(setting)
    }

    fn rules(&self) -> BlockRules<'_> {
        let (number, timestamp) = (self.header.number, self.header.timestamp);
        BlockRules::new(&self.spec, self.spec.block_context(number, timestamp, self.header.difficulty))
    }

    /// The fields that the fork needs, when `--state.fork` is newer than the genesis file.
    fn complete_header(&mut self) {
        let fork = self.rules().fork();
        if fork >= Fork::London {
            self.header.base_fee_per_gas.get_or_insert(0);
        }
        if fork >= Fork::Cancun {
            self.header.excess_blob_gas.get_or_insert(0);
            self.header.parent_beacon_block_root.get_or_insert_default();
        }
    }

    /// One run; gives the outcome, and the state after it.
    fn plain(&self, job: &Job) -> Result<(CallOutcome, MemoryState)> {
        let mut overlay = Overlay::new(self.state.clone());
        let outcome = match job {
            Job::Code(code) => {
                let inspector = None::<NoOpInspector>;
                run_code(&mut overlay, self.rules(), &self.header, code.clone(), inspector)?
            }
            Job::Transaction { transaction, sender } => {
                let mut block = self.block(&mut overlay, NoOpInspector)?;
                block.transaction(transaction, *sender)?
            }
        };
        Ok((outcome, self.after(overlay)))
    }

    fn traced(&self, job: &Job, args: &TraceArgs) -> Result<(CallOutcome, MemoryState)> {
        let output: Box<dyn Write> = match &args.output {
            Some(path) => Box::new(File::create(path).wrap_err_with(|| path.display().to_string())?),
            None => Box::new(std::io::stderr()),
        };
        let mut tracer = Eip3155Tracer::new(args.fields.fields(), BufWriter::new(output));
        let mut overlay = Overlay::new(self.state.clone());
        let outcome = match job {
            Job::Code(code) => {
                run_code(&mut overlay, self.rules(), &self.header, code.clone(), Some(&mut tracer))?
            }
            Job::Transaction { transaction, sender } => {
                let mut block = self.block(&mut overlay, &mut tracer)?;
                block.inspect();
                block.transaction(transaction, *sender)?
            }
        };
        tracer.flush().wrap_err("the trace could not be written")?;
        Ok((outcome, self.after(overlay)))
    }

    /// The genesis file's block as if it could hold transactions.
    fn block<'a, I>(
        &'a self,
        overlay: &'a mut Overlay<MemoryState>,
        inspector: I,
    ) -> Result<BlockExecution<'a, MemoryState, I>>
    where
        I: Inspector<portico_evm::BlockEvmContext<'a, MemoryState>>,
    {
        let header = &self.header;
        let input = BlockInput { header, transactions: &[], senders: &[], ommers: &[], withdrawals: None };
        Ok(BlockExecution::begin(overlay, self.rules(), input, inspector)?)
    }

    fn after(&self, overlay: Overlay<MemoryState>) -> MemoryState {
        let mut state = self.state.clone();
        state.apply(overlay.into_writes());
        state
    }
}

fn read_genesis(path: &Path) -> Result<ChainSpec> {
    let json = std::fs::read(path).wrap_err_with(|| path.display().to_string())?;
    Ok(ChainSpec::from_genesis_json(&json)?)
}

impl Job {
    /// Reads what to run; the code of a call is put into the state.
    fn new(args: &RunArgs, setting: &mut Setting) -> Result<Self> {
        if let Some(tx) = &args.tx {
            return Self::transaction(tx, setting);
        }
        let code = match (&args.code, &args.code_file) {
            (Some(code), _) => parse_hex(code)?,
            (None, Some(path)) => parse_hex(&read_text(path)?)?,
            (None, None) => Bytes::new(),
        };
        let input = match &args.input_file {
            Some(path) => parse_hex(&read_text(path)?)?,
            None => parse_hex(&args.input)?,
        };
        let gas_limit = args.prestate.as_ref().map_or(args.gas, |_| setting.header.gas_limit);
        let (to, input) = if args.create {
            (TxKind::Create, [code, input].concat().into())
        } else {
            ensure!(!code.is_empty() || args.prestate.is_some(), "no code to run");
            if !code.is_empty() {
                put_code(&mut setting.state, args.receiver, code);
            }
            (TxKind::Call(args.receiver), input)
        };
        let gas_price = u128::try_from(args.price.0).map_err(|_| eyre!("the gas price is too high"))?;
        let value = args.value.0;
        Ok(Self::Code(CodeRun { caller: args.sender, to, input, value, gas_price, gas_limit }))
    }

    fn transaction(tx: &str, setting: &Setting) -> Result<Self> {
        let text = match tx.starts_with("0x") {
            true => tx.to_owned(),
            false => read_text(Path::new(tx))?,
        };
        let bytes = parse_hex(&text)?;
        let transaction = Transaction::decode_2718_exact(&bytes).wrap_err("the transaction")?;
        let fork = setting.rules().fork();
        let rules = SignatureRules {
            low_s: fork >= Fork::Homestead,
            chain_id: (fork >= Fork::SpuriousDragon).then_some(setting.spec.chain_id()),
        };
        let Some(sender) = recover_sender(&transaction, rules) else {
            bail!(
                "the transaction's signature is invalid, or for another chain than {}",
                setting.spec.chain_id()
            );
        };
        Ok(Self::Transaction { transaction: Box::new(transaction), sender })
    }
}

/// Gives an account code and leaves the rest of it as it is.
fn put_code(state: &mut MemoryState, address: Address, code: Bytes) {
    let known = state.get(&address).cloned().unwrap_or_default();
    state.insert(address, known.account.nonce, known.account.balance, code, known.storage);
}

fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path).wrap_err_with(|| path.display().to_string())?;
    }
    Ok(text)
}

fn parse_hex(text: &str) -> Result<Bytes> {
    hex::decode(text.trim()).map(Bytes::from).wrap_err("expected hexadecimal bytes")
}

/// How long it took.
#[derive(Debug, Default)]
struct Stats {
    runs: u32,
    elapsed: Duration,
}

impl Stats {
    fn measure<T>(&mut self, repeats: bool, mut job: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            let started = Instant::now();
            let result = job()?;
            self.elapsed += started.elapsed();
            self.runs += 1;
            if !repeats || self.elapsed >= BENCH_DURATION {
                return Ok(result);
            }
        }
    }

    fn print(&self, gas_used: u64) {
        let Some(each) = self.elapsed.checked_div(self.runs) else {
            eprintln!("EVM gas used:    {gas_used}");
            return;
        };
        let gas_per_second =
            U256::from(gas_used) * U256::from(1_000_000_000u64) / U256::from(each.as_nanos()).max(U256::ONE);
        eprintln!("EVM gas used:    {gas_used}");
        eprintln!("execution time:  {each:?}");
        eprintln!("runs:            {}", self.runs);
        eprintln!("gas per second:  {gas_per_second}");
    }
}
