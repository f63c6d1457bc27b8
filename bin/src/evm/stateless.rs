//! `portico evm stateless`: a block and its execution witness.

use std::{io::Read, path::Path, path::PathBuf, time::Instant};

use alloy_consensus::BlockBody;
use clap::Args;
use eyre::{Context, Result, ensure};
use portico_consensus::RLP_BLOCK_SIZE_MAX;
use portico_files::decode_block_rlp;
use portico_stateless::{
    Block, Report, StatelessError, UnprovenAccounts, WITNESS_BYTES_MAX, Witness, decode_block_json,
    validate_with,
};

use crate::init::ChainArgs;

/// Blocks before Osaka may be longer than RLP's limit, and JSON takes more than twice the bytes.
const BLOCK_FILE_BYTES_MAX: usize = 16 * RLP_BLOCK_SIZE_MAX;

/// Flags of `portico evm stateless`.
#[derive(Debug, Args)]
pub struct StatelessArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// Refuse a witness that lacks the path to an account that is read; without this flag, such accounts are taken for
    /// absent and named
    #[arg(long)]
    strict: bool,
    /// The block: RLP, or JSON as eth_getBlockByNumber answers with whole transactions
    block: PathBuf,
    /// Its witness: RLP [headers, codes, state, keys], or JSON as debug_executionWitness answers
    witness: PathBuf,
}

pub(crate) fn run(args: &StatelessArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let block = read_block(&args.block)?;
    let witness = read_witness(&args.witness)?;
    let unproven = if args.strict { UnprovenAccounts::Refuse } else { UnprovenAccounts::AssumeAbsent };
    let started = Instant::now();
    let report = validate_with(unproven, &spec, &block, &witness)?;
    let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
    print(&report, &witness, elapsed_ms);
    Ok(())
}

/// What was proven and, in the last lines, under which conditions.
fn print(report: &Report, witness: &Witness, elapsed_ms: f64) {
    let (nodes, codes, headers) = (witness.nodes.len(), witness.codes.len(), witness.headers.len());
    println!("block        {} {}", report.number, report.hash);
    println!("parent       {}, state root {}", report.parent_hash, report.parent_state_root);
    println!("transactions {}", report.transactions);
    println!("gas used     {}", report.gas_used);
    println!("state root   {}", report.state_root);
    println!("witness      nodes {nodes}, codes {codes}, headers {headers}");
    println!("time         {elapsed_ms:.1} ms");
    if report.ommers > 0 {
        println!("not judged   ommers {}: a witness does not tell of their ancestors", report.ommers);
    }
    for address in &report.assumed_absent {
        println!("valid if     account {address} does not exist: the witness has no proof of that");
    }
    if report.assumed_absent.is_empty() {
        println!("valid");
    }
}

fn read_block(path: &Path) -> Result<Block> {
    let bytes = read(path, BLOCK_FILE_BYTES_MAX)?;
    if is_json(&bytes) {
        return decode_block_json(&bytes).wrap_err_with(|| path.display().to_string());
    }
    let block = decode_block_rlp(&bytes).wrap_err_with(|| format!("{}: not one block", path.display()))?;
    let body = BlockBody {
        transactions: block.transactions,
        ommers: block.ommers,
        withdrawals: block.withdrawals.map(Into::into),
    };
    Ok(Block { header: block.header, body })
}

fn read_witness(path: &Path) -> Result<Witness> {
    let bytes = read(path, WITNESS_BYTES_MAX)?;
    let witness = if is_json(&bytes) { Witness::decode_json(&bytes) } else { Witness::decode_rlp(&bytes) };
    witness.map_err(StatelessError::from).wrap_err_with(|| path.display().to_string())
}

/// RLP of a list begins with a byte from 0xc0 on.
fn is_json(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes))
        .wrap_err_with(|| format!("reading {}", path.display()))?;
    ensure!(bytes.len() <= bytes_max, "{}: more than {bytes_max} bytes", path.display());
    Ok(bytes)
}
