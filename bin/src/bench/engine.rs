//! `portico bench engine`: how long a consensus client waits for new blocks, heads, and blocks to be built.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::{Address, B256};
use clap::Args;
use eyre::{Result, bail};
use portico_chain::{BlockParts, Transaction, read_block};
use portico_db::{LiveDatabase, SyncMode};
use portico_stages::{
    BlockRange, BuildAttributes, Candidate, CandidateSource, Counters, KnownSenders, NoBlocks, Pipeline,
    PipelineConfig, PipelineObserver, Progress, Refusal, Room, SharedSource, StageError, StageId,
    StageOutput, StageSettings, StopSignal, Tip, TipConfig, TipSettings, Verdict, validating_and_indexing,
};

use crate::{
    datadir::{DataDir, DatabaseTuning},
    import::{discover, import_files, own_memory, peak_memory},
    init::ChainArgs,
    progress::human_bytes,
};

/// Flags of `portico bench engine`.
#[derive(Debug, Args)]
pub struct EngineArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// New folder for the database; without it a temporary one, which goes in the end
    #[arg(long, value_name = "FOLDER")]
    datadir: Option<PathBuf>,
    #[command(flatten)]
    tuning: DatabaseTuning,
    /// How many of the last blocks come one by one, as from a consensus client
    #[arg(long, default_value_t = 100, value_name = "BLOCKS")]
    last: u64,
    /// Pause between two blocks, in milliseconds: on the network it is twelve seconds
    #[arg(long, default_value_t = 200, value_name = "MS")]
    pause: u64,
    /// Do not build the blocks too before they come
    #[arg(long)]
    no_build: bool,
    /// The senders are known before the blocks come, as those of transactions that a pool has
    #[arg(long)]
    known_senders: bool,
    /// Block files or folders of them, in any order
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Time of each stage in all blocks that came, not in those that were built.
#[derive(Debug, Clone, Default)]
struct StageTimes {
    times: Arc<Mutex<BTreeMap<StageId, Duration>>>,
    building: Arc<AtomicBool>,
}

impl Progress for StageTimes {
    fn at(&self, _: u64, _: Counters) {}
}

impl PipelineObserver for StageTimes {
    fn stage_finished(&self, stage: StageId, _: BlockRange, _: StageOutput, elapsed: Duration) {
        if !self.building.load(Ordering::Relaxed) {
            *self.times.lock().unwrap_or_else(PoisonError::into_inner).entry(stage).or_default() += elapsed;
        }
    }
}

pub(crate) fn run(args: &EngineArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let temporary = tempfile::tempdir()?;
    let data_dir = DataDir::new(args.datadir.as_deref().unwrap_or(temporary.path()));
    let database = Arc::new(args.tuning.open(&data_dir, SyncMode::Bulk)?);
    let (mut settings, stop) = (StageSettings::default(), StopSignal::default());
    // So that all blocks that are to come again can be taken back.
    settings.unwind_horizon = settings.unwind_horizon.max(args.last);
    let files = discover(&args.paths)?;
    let end = import_files(&database, &spec, &data_dir, &settings, files, None, &stop, &())?;
    if end.head <= args.last {
        bail!("the chain has {} blocks only: ask for fewer with --last", end.head);
    }
    let base = end.head - args.last;
    let txn = database.begin_ro()?;
    let blocks = (base + 1..=end.head).filter_map(|number| read_block(&txn, number).transpose());
    let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
    drop(txn);
    let source: SharedSource = std::rc::Rc::new(std::cell::RefCell::new(NoBlocks));
    let config = PipelineConfig {
        database: &database,
        spec: &spec,
        settings: &settings,
        stop: &stop,
        observer: &(),
        scratch: data_dir.scratch()?,
        light_caches: Arc::default(),
    };
    Pipeline::new(config, &source).unwind(base)?;
    let times = StageTimes::default();
    let (tip, worker) = Tip::start(TipConfig {
        live: LiveDatabase::of(database),
        spec,
        stages: settings,
        settings: TipSettings::default(),
        scratch: data_dir.scratch()?,
        observer: Box::new(times.clone()),
    })?;
    if args.known_senders {
        let pooled = blocks.iter().map(candidates).collect::<Result<Vec<_>>>()?;
        let sender = |pooled: Candidate| (*pooled.transaction.hash(), pooled.sender);
        tip.ask_for_senders(Arc::new(Known(pooled.into_iter().flatten().map(sender).collect())));
    }
    measure(args, &tip, &times, &blocks)?;
    worker.stop()?;
    Ok(())
}

fn measure(args: &EngineArgs, tip: &Tip, times: &StageTimes, blocks: &[BlockParts]) -> Result<()> {
    let mut samples: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut gas = 0;
    for (position, block) in blocks.iter().enumerate() {
        if position % (blocks.len() / 10).max(1) == 0 {
            let memory = own_memory().map(human_bytes).unwrap_or_default();
            tracing::info!(block_number = block.header.number, memory, "blocks come");
        }
        std::thread::sleep(Duration::from_millis(args.pause));
        tip.settle()?;
        if !args.no_build {
            times.building.store(true, Ordering::Relaxed);
            let pooled = candidates(block)?;
            let built = timed(&mut samples, "build the same block", || build(tip, block, pooled))?;
            times.building.store(false, Ordering::Relaxed);
            if built != block.hash {
                bail!("block {} is built as {built}, not as {}", block.header.number, block.hash);
            }
        }
        let verdict = timed(&mut samples, "newPayload to VALID", || tip.insert(block.clone()))?;
        if verdict != Verdict::Valid {
            bail!("block {}: {verdict:?}", block.header.number);
        }
        timed(&mut samples, "forkchoiceUpdated", || tip.set_head(block.hash))?;
        timed(&mut samples, "until readers see it", || tip.live().begin_ro().map(drop))?;
        gas += block.header.gas_used;
    }
    println!("{:<24} {:>9} {:>9} {:>9}", "", "p50 ms", "p95 ms", "max ms");
    for (what, mut all) in samples {
        all.sort_unstable();
        let at = |share: usize| all[(all.len() * share / 100).min(all.len() - 1)].as_secs_f64() * 1e3;
        println!("{what:<24} {:>9.2} {:>9.2} {:>9.2}", at(50), at(95), at(100));
    }
    println!("\n{:.1} Mgas a block; time of the stages, ms a block:", gas as f64 / 1e6 / blocks.len() as f64);
    let times = times.times.lock().unwrap_or_else(PoisonError::into_inner);
    let (validating, indexing) = validating_and_indexing();
    for (when, stages) in [("before the answer", validating), ("behind it", indexing)] {
        let of = |stage: &StageId| times.get(stage).copied().unwrap_or_default();
        let whole: Duration = stages.iter().map(of).sum();
        let per_block = |time: Duration| time.as_secs_f64() * 1e3 / blocks.len() as f64;
        println!("{when:<18} {:>8.2}", per_block(whole));
        for stage in stages {
            let share = of(stage).as_secs_f64() / whole.as_secs_f64().max(f64::EPSILON) * 100.0;
            println!("  {stage:<16} {:>8.2} {share:>6.1} %", per_block(of(stage)));
        }
    }
    if let Some(bytes) = peak_memory() {
        println!("peak memory {}, with the import before and the blocks that came", human_bytes(bytes));
    }
    Ok(())
}

fn timed<T, E>(
    samples: &mut BTreeMap<&'static str, Vec<Duration>>,
    what: &'static str,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let started = Instant::now();
    let result = work();
    samples.entry(what).or_default().push(started.elapsed());
    result
}

/// The transactions of a block that exists.
struct Same(std::vec::IntoIter<Candidate>);

impl CandidateSource for Same {
    fn next(&mut self, _: Room) -> Option<Candidate> {
        self.0.next()
    }

    fn refused(&mut self, _: &Candidate, reason: &Refusal) -> Result<(), StageError> {
        tracing::warn!(%reason, "a transaction of the chain was refused");
        Ok(())
    }
}

/// Senders by transaction hash.
struct Known(HashMap<B256, Address>);

impl KnownSenders for Known {
    fn sender(&self, tx_hash: &B256) -> Option<Address> {
        self.0.get(tx_hash).copied()
    }
}

/// A block's transactions as a pool has them: their senders are known.
fn candidates(block: &BlockParts) -> Result<Vec<Candidate>> {
    let candidate = |transaction: &Transaction| {
        Ok(Candidate { sender: transaction.recover_signer()?, transaction: transaction.clone() })
    };
    block.transactions.iter().map(candidate).collect()
}

fn build(tip: &Tip, block: &BlockParts, pooled: Vec<Candidate>) -> Result<B256> {
    let header = &block.header;
    let mut source = Same(pooled.into_iter());
    let attributes = BuildAttributes {
        timestamp: header.timestamp,
        prev_randao: header.mix_hash,
        fee_recipient: header.beneficiary,
        withdrawals: block.withdrawals.clone(),
        parent_beacon_block_root: header.parent_beacon_block_root,
        slot_number: header.slot_number,
        gas_limit_target: header.gas_limit,
        extra_data: header.extra_data.clone(),
    };
    let built = tip.build(&header.parent_hash, &attributes, &mut source)?;
    Ok(built.map(|built| built.block.hash).unwrap_or_default())
}
