//! `portico evm stateless`: a block and its execution witness.

use std::{io::Read, path::Path, path::PathBuf, time::Instant};

use alloy_consensus::BlockBody;
use clap::Args;
use eyre::{Context, Result, ensure};
use portico_consensus::RLP_BLOCK_SIZE_MAX;
use portico_files::decode_block_rlp;
use portico_stateless::{
    Block, Report, UnprovenAccounts, WITNESS_BYTES_MAX, Witness, decode_block_json, validate_with,
};

use crate::init::ChainArgs;

/// Blocks before Osaka may be longer than RLP's limit, and JSON takes more than twice the bytes.
const BLOCK_FILE_BYTES_MAX: usize = 16 * RLP_BLOCK_SIZE_MAX;

/// Flags of `portico evm stateless`.
#[derive(Debug, Args)]
pub struct StatelessArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// Refuse a witness that lacks the proof that an account does not exist; without it, such accounts are taken for
    /// absent and named (witnesses of go-ethereum of 2025 lack it)
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
    let elapsed = started.elapsed();
    print(&report, &witness);
    println!("{:<14} {:.1} ms", "time", elapsed.as_secs_f64() * 1000.0);
    Ok(())
}

fn print(report: &Report, witness: &Witness) {
    let (nodes, codes, headers) = (witness.nodes.len(), witness.codes.len(), witness.headers.len());
    println!("{:<14} {} {}", "valid block", report.number, report.hash);
    println!("{:<14} {}, state root {}", "on parent", report.parent_hash, report.parent_state_root);
    println!("{:<14} {}", "transactions", report.transactions);
    println!("{:<14} {}", "gas used", report.gas_used);
    println!("{:<14} {}", "state root", report.state_root);
    println!("{:<14} {nodes} nodes, {codes} codes, {headers} headers", "witness");
    if report.ommers > 0 {
        println!("{:<14} {} ommers, which no witness can judge", "not judged", report.ommers);
    }
    for address in &report.assumed_absent {
        println!("{:<14} account {address} does not exist (the witness does not prove it)", "assumed");
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
    witness.wrap_err_with(|| format!("{}: the witness", path.display()))
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
