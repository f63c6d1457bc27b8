//! `portico bench generate`: a chain of realistic transactions as files that any client can import.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use clap::Args;
use eyre::{Context, Result, bail};
use indicatif::ProgressBar;
use portico_files::{ExportBlock, RlpWriter};
use portico_generator::{
    DatabaseState, ForkSchedule, GeneratedBlock, Generator, GeneratorConfig, genesis, open_state_database,
    write_genesis,
};
use portico_stages::StopSignal;

use crate::{
    import::stop_on_signals_saying,
    progress::{human_bytes, human_seconds, live_line},
};

/// How often the live line changes.
const REDRAW: Duration = Duration::from_millis(100);
/// How often there is a log line when there is no terminal.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Flags of `portico bench generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Blocks to make
    #[arg(long, value_name = "N")]
    blocks: u64,
    /// Where all randomness comes from
    #[arg(long, default_value_t = GeneratorConfig::default().seed, value_name = "N")]
    seed: u64,
    /// Transactions in a block at first; in the long run half the gas limit decides
    #[arg(long, default_value_t = GeneratorConfig::default().transactions_per_block, value_name = "N")]
    transactions_per_block: u64,
    /// Gas limit of every block
    #[arg(long, default_value_t = GeneratorConfig::default().gas_limit, value_name = "GAS")]
    gas_limit: u64,
    /// Users with ether and tokens in the genesis state
    #[arg(long, default_value_t = GeneratorConfig::default().genesis_users, value_name = "N")]
    users: u32,
    /// Addresses without a user that receive
    #[arg(long, default_value_t = GeneratorConfig::default().cold_accounts, value_name = "N")]
    cold_accounts: u64,
    /// How many of those have ether in the genesis state, so that it is as large as that of a network in use
    #[arg(long, default_value_t = GeneratorConfig::default().genesis_cold_accounts, value_name = "N")]
    funded_cold_accounts: u64,
    /// Tokens in the genesis state
    #[arg(long, default_value_t = GeneratorConfig::default().tokens, value_name = "N")]
    tokens: u32,
    /// Begin in Paris and enter another fork every so many seconds; without it all is Osaka
    #[arg(long, value_name = "SECONDS")]
    fork_every: Option<u64>,
    /// Folder for genesis.json and chain.rlp
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    out: PathBuf,
}

impl GenerateArgs {
    fn config(&self) -> Result<GeneratorConfig> {
        let defaults = GeneratorConfig::default();
        let start = defaults.genesis_timestamp;
        let passing = |seconds: u64| {
            let end = seconds.checked_mul(6).and_then(|all| all.checked_add(start));
            end.map(|_| ForkSchedule::passing_through(start, seconds))
        };
        let forks = match self.fork_every {
            Some(seconds) => {
                passing(seconds).ok_or_else(|| eyre::eyre!("--fork-every {seconds}: too long"))?
            }
            None => defaults.forks,
        };
        Ok(GeneratorConfig {
            seed: self.seed,
            transactions_per_block: self.transactions_per_block,
            gas_limit: self.gas_limit,
            genesis_users: self.users,
            cold_accounts: self.cold_accounts,
            genesis_cold_accounts: self.funded_cold_accounts,
            tokens: self.tokens,
            forks,
            ..defaults
        })
    }
}

/// What was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedChain {
    /// The genesis file, in geth's format.
    pub genesis: PathBuf,
    /// The blocks from block 1 on, in RLP.
    pub chain: PathBuf,
    /// Number of blocks, which is also the head's number.
    pub blocks: u64,
    /// Number of transactions.
    pub transactions: u64,
    /// Gas used.
    pub gas: u64,
    /// Hash of the last block; of genesis when there is no block.
    pub head: B256,
    /// Transactions that the executor refused or that ended otherwise than planned: none, unless something is wrong.
    pub surprises: u64,
}

impl GeneratedChain {
    fn count(&mut self, block: &GeneratedBlock) {
        self.blocks += 1;
        self.transactions += block.block.body.transactions.len() as u64;
        self.gas += block.block.header.gas_used;
        self.head = block.hash;
        self.surprises += (block.refused.len() + block.surprises().count()) as u64;
    }
}

pub(crate) fn run(args: &GenerateArgs) -> Result<()> {
    let config = args.config()?;
    let stop = stop_on_signals_saying("stopping: no block file is written", "stopped at once")?;
    let mut progress = GenerateProgress::new(args.blocks);
    let chain = generate_chain(&config, args.blocks, &args.out, &stop, &mut |chain| progress.at(chain));
    progress.finish();
    let chain = chain?;
    if chain.surprises > 0 {
        bail!("{} transactions did not end as planned", chain.surprises);
    }
    print_summary(&chain, progress.started.elapsed())
}

/// Generates the blocks 1 to `blocks` of a configuration's chain into `genesis.json` and `chain.rlp` of a folder, which
/// is made when it is missing. `at` is told after each block what there is so far.
///
/// # Errors
/// When the configuration cannot work, the disk refuses or `stop` asks to; there is no `chain.rlp` then.
pub fn generate_chain(
    config: &GeneratorConfig,
    blocks: u64,
    out: &Path,
    stop: &StopSignal,
    at: &mut dyn FnMut(&GeneratedChain),
) -> Result<GeneratedChain> {
    std::fs::create_dir_all(out).wrap_err_with(|| format!("creating {}", out.display()))?;
    let state_folder = tempfile::Builder::new().prefix(".state").tempdir_in(out)?;
    let database = open_state_database(&state_folder.path().join("db"))?;
    let generator = Generator::new(config.clone(), |genesis| {
        DatabaseState::new(&database, genesis, state_folder.path())
    })?;
    let mut chain = GeneratedChain {
        genesis: out.join("genesis.json"),
        chain: out.join("chain.rlp"),
        blocks: 0,
        transactions: 0,
        gas: 0,
        head: generator.tip().hash_slow(),
        surprises: 0,
    };
    write_genesis_file(config, &chain.genesis)?;
    let mut writer = RlpWriter::create(&chain.chain)?;
    for block in generator.take(usize::try_from(blocks)?) {
        stop.check()?;
        let block = block?;
        chain.count(&block);
        let (header, body) = (&block.block.header, &block.block.body);
        writer.write(ExportBlock {
            header,
            transactions: &body.transactions,
            ommers: &body.ommers,
            withdrawals: body.withdrawals.as_ref().map(|list| list.as_slice()),
        })?;
        at(&chain);
    }
    writer.finish()?;
    Ok(chain)
}

fn write_genesis_file(config: &GeneratorConfig, path: &Path) -> Result<()> {
    let failed = || format!("writing {}", path.display());
    let mut file = BufWriter::new(File::create(path).wrap_err_with(failed)?);
    write_genesis(&genesis(config), &mut file)?;
    file.flush().wrap_err_with(failed)
}

fn print_summary(chain: &GeneratedChain, elapsed: Duration) -> Result<()> {
    let bytes = |path: &Path| Ok::<u64, std::io::Error>(path.metadata()?.len());
    let per_block = |count: u64| count.checked_div(chain.blocks).unwrap_or_default();
    println!("blocks        {:>16}", chain.blocks);
    println!("transactions  {:>16}   {} per block", chain.transactions, per_block(chain.transactions));
    println!("gas           {:>16}   {} per block", chain.gas, per_block(chain.gas));
    for path in [&chain.genesis, &chain.chain] {
        let bytes = bytes(path)?;
        println!("bytes         {bytes:>16}   {} {}", human_bytes(bytes), path.display());
    }
    let seconds = elapsed.as_secs_f64();
    println!("seconds       {seconds:>16.1}   {:.0} blocks/s", chain.blocks as f64 / seconds);
    println!("head          {}", chain.head);
    Ok(())
}

/// One live line on a terminal, log lines otherwise.
struct GenerateProgress {
    line: Option<ProgressBar>,
    blocks: u64,
    started: Instant,
    shown: Instant,
}

impl GenerateProgress {
    fn new(blocks: u64) -> Self {
        let now = Instant::now();
        Self { line: live_line(), blocks, started: now, shown: now }
    }

    fn at(&mut self, chain: &GeneratedChain) {
        let pause = if self.line.is_some() { REDRAW } else { LOG_EVERY };
        if self.shown.elapsed() < pause {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let per_second = |count: u64| count as f64 / seconds;
        let eta = human_seconds(((self.blocks - chain.blocks) as f64 / per_second(chain.blocks)) as u64);
        let GeneratedChain { blocks, transactions, gas, .. } = *chain;
        let Some(line) = &self.line else {
            tracing::info!(block_number = blocks, transactions, mgas = gas / 1_000_000, eta, "generating");
            return;
        };
        line.set_message(format!(
            "block {blocks}/{}  {:.1}%  {:.0} blocks/s  {:.0} Mgas/s  {:.0} tx/s  ETA {eta}",
            self.blocks,
            blocks as f64 / self.blocks as f64 * 100.0,
            per_second(blocks),
            per_second(gas) / 1e6,
            per_second(transactions),
        ));
        line.tick();
    }

    fn finish(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}
