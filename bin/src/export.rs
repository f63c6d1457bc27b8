//! `portico export`: blocks as files.

use std::path::{Path, PathBuf};

use alloy_consensus::{Receipt, ReceiptEnvelope};
use clap::Args;
use eyre::{Result, bail, eyre};
use portico_chain::{check_identity, read_block, read_block_receipts, read_body, read_total_difficulty};
use portico_db::{Database, RoTxn};
use portico_files::{Era1Writer, ExportBlock, RlpWriter};
use portico_stages::identity;

use crate::{datadir::DatabaseArgs, import::head, init::ChainArgs};

/// Flags of `portico export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// First block
    #[arg(long, default_value_t = 0, value_name = "BLOCK")]
    from: u64,
    /// Last block; the head without it
    #[arg(long, value_name = "BLOCK")]
    to: Option<u64>,
    /// Overwrite a file that is there
    #[arg(long)]
    force: bool,
    /// A file that ends in .rlp or .rlp.gz, or a folder for era1 files
    path: PathBuf,
}

pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let database = args.database.open_read_only()?;
    check_identity(&database.begin_ro()?, identity(&spec))?;
    let last = head(&database)?;
    let to = args.to.unwrap_or(last);
    if to > last || args.from > to {
        bail!("blocks {} to {to} are not all there: the head is block {last}", args.from);
    }
    let name = args.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.ends_with(".rlp") || name.ends_with(".rlp.gz") {
        if args.path.exists() && !args.force {
            bail!("{} is there already: --force overwrites it", args.path.display());
        }
        write_rlp(&database, args.from..=to, &args.path)?;
    } else if args.path.is_dir() {
        write_era1(&database, spec.name(), args.from..=to, &args.path)?;
    } else {
        bail!(
            "{}: neither a .rlp or .rlp.gz file nor an existing folder (for era1 files)",
            args.path.display()
        );
    }
    Ok(())
}

fn read(txn: &RoTxn<'_>, number: u64) -> Result<portico_chain::BlockParts> {
    read_block(txn, number)?.ok_or_else(|| eyre!("block {number} is not in the database"))
}

fn write_rlp(database: &Database, blocks: std::ops::RangeInclusive<u64>, path: &Path) -> Result<()> {
    let mut writer = RlpWriter::create(path)?;
    for number in blocks.clone() {
        // A transaction a block: a long export does not keep old pages from being reused.
        let block = read(&database.begin_ro()?, number)?;
        writer.write(export_block(&block))?;
    }
    writer.finish()?;
    println!("{}: blocks {} to {}", path.display(), blocks.start(), blocks.end());
    Ok(())
}

fn write_era1(
    database: &Database,
    network: &str,
    blocks: std::ops::RangeInclusive<u64>,
    folder: &Path,
) -> Result<()> {
    let mut writer = Era1Writer::new(folder, network);
    for number in blocks {
        let txn = database.begin_ro()?;
        let block = read(&txn, number)?;
        if block.header.difficulty.is_zero() {
            bail!("block {number} is after the merge: era1 files end before it");
        }
        let body = read_body(&txn, number)?.ok_or_else(|| eyre!("block {number} has no body"))?;
        let receipts = read_block_receipts(&txn, &body, number)?;
        let receipts: Vec<ReceiptEnvelope> = receipts.into_iter().map(envelope).collect();
        let total = read_total_difficulty(&txn, number)?
            .ok_or_else(|| eyre!("block {number} has no total difficulty"))?;
        writer.write(export_block(&block), &receipts, total)?;
    }
    for path in writer.finish()? {
        println!("{}", path.display());
    }
    Ok(())
}

fn export_block(block: &portico_chain::BlockParts) -> ExportBlock<'_> {
    ExportBlock {
        header: &block.header,
        transactions: &block.transactions,
        ommers: &block.ommers,
        withdrawals: block.withdrawals.as_deref(),
    }
}

fn envelope(receipt: portico_chain::Receipt) -> ReceiptEnvelope {
    let tx_type = receipt.tx_type;
    let receipt = Receipt {
        status: receipt.success.into(),
        cumulative_gas_used: receipt.cumulative_gas_used,
        logs: receipt.logs,
    };
    ReceiptEnvelope::from_typed(tx_type, receipt.with_bloom())
}
