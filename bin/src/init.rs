//! `portico init`: a database with the genesis state.

use std::sync::Arc;

use clap::Args;
use eyre::Result;
use portico_chainspec::ChainSpec;
use portico_db::{Database, SyncMode};
use portico_stages::{StageContext, StageSettings, StopSignal, initialize};

use crate::datadir::{DataDir, DatabaseArgs};

/// Which chain.
#[derive(Debug, Clone, Args)]
pub struct ChainArgs {
    /// mainnet, sepolia, hoodi, dev, or a genesis JSON file
    #[arg(long, env = "PORTICO_CHAIN", default_value = "mainnet", value_name = "CHAIN")]
    pub chain: String,
}

impl ChainArgs {
    /// The chain's rules.
    pub fn load(&self) -> Result<Arc<ChainSpec>> {
        ChainSpec::load(&self.chain).map_err(|error| eyre::eyre!("chain {}: {error}", self.chain))
    }

    /// The chain's rules; instead of the public network that is the default, those for development.
    pub fn load_or_dev(&self) -> Result<Arc<ChainSpec>> {
        if self.chain == "mainnet" { Ok(ChainSpec::dev()) } else { self.load() }
    }
}

/// Flags of `portico init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) fn run(args: &InitArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let database = args.database.open(SyncMode::Durable)?;
    let created = ensure_genesis(&database, &spec, &args.database.data_dir())?;
    let what = if created { "created" } else { "was there already" };
    println!(
        "{}: genesis {} of {} (chain id {}) {what}",
        database.path().display(),
        spec.genesis_hash(),
        spec.name(),
        spec.chain_id()
    );
    Ok(())
}

/// Writes block 0 unless it is there; refuses a database of another chain.
pub(crate) fn ensure_genesis(database: &Database, spec: &Arc<ChainSpec>, data_dir: &DataDir) -> Result<bool> {
    let context = StageContext {
        spec,
        settings: &StageSettings::default(),
        stop: &StopSignal::default(),
        progress: &(),
        scratch: data_dir.scratch()?,
    };
    Ok(initialize(database, &context, env!("CARGO_PKG_VERSION"))?)
}
