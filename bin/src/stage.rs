//! `portico stage`: work on single stages.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use clap::{Subcommand, ValueEnum};
use eyre::{Result, bail};
use portico_chain::{canonical_hash, check_identity, prune_checkpoint, read_checkpoint};
use portico_chainspec::ChainSpec;
use portico_db::{Database, SyncMode};
use portico_stages::{
    FORWARD, NoBlocks, Pipeline, PipelineConfig, SharedSource, StageId, StageSettings, identity,
};

use crate::{
    datadir::DatabaseArgs,
    import::{StageArgs, head, stop_on_signals},
    init::ChainArgs,
    progress::SyncProgress,
};

/// Subcommands of `portico stage`.
#[derive(Debug, Subcommand)]
pub enum StageCommand {
    /// Print how far each stage is
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Run one stage over the blocks that the stages before it have done
    Run {
        #[command(flatten)]
        on: StageOn,
        /// Up to this block; as far as possible without it
        #[arg(long, value_name = "BLOCK")]
        to: Option<u64>,
    },
    /// Take all stages back to a block
    Unwind {
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        stages: StageArgs,
        /// Block that becomes the head
        #[arg(long, value_name = "BLOCK")]
        to: u64,
    },
    /// Delete what a stage derived from other tables and derive it anew
    Rebuild {
        #[command(flatten)]
        on: StageOn,
    },
}

/// One stage of one database.
#[derive(Debug, clap::Args)]
pub struct StageOn {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    stages: StageArgs,
    /// The stage
    #[arg(value_enum, ignore_case = true)]
    stage: StageName,
}

/// A stage, as users type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StageName(StageId);

impl ValueEnum for StageName {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [StageName; 13] = {
            let mut names = [StageName(FORWARD[0]); 13];
            let mut position = 0;
            while position < 13 {
                names[position] = StageName(FORWARD[position]);
                position += 1;
            }
            names
        };
        &NAMES
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

pub(crate) fn run(command: StageCommand) -> Result<()> {
    match command {
        StageCommand::List { database } => list(&database.open_read_only()?),
        StageCommand::Run { on, to } => run_one(&on, to),
        StageCommand::Unwind { chain, database, stages, to } => unwind(&chain, &database, &stages, to),
        StageCommand::Rebuild { on } => rebuild(&on),
    }
}

fn list(database: &Database) -> Result<()> {
    let txn = database.begin_ro()?;
    println!("{:<16} {:>12} {:>12}", "stage", "block", "pruned to");
    for stage in FORWARD {
        let pruned = prune_checkpoint(&txn, stage.name())?.map_or("-".to_owned(), |block| block.to_string());
        println!("{:<16} {:>12} {:>12}", stage.name(), read_checkpoint(&txn, stage.name())?, pruned);
    }
    Ok(())
}

/// Opens the database for writing and makes sure that it is of this chain.
fn open(chain: &ChainArgs, database: &DatabaseArgs) -> Result<(Arc<ChainSpec>, Database)> {
    let spec = chain.load()?;
    // Says so when there is none, rather than making one.
    drop(database.open_read_only()?);
    let database = database.open(SyncMode::Durable)?;
    check_identity(&database.begin_ro()?, identity(&spec))?;
    Ok((spec, database))
}

fn with_pipeline<T>(
    chain: &ChainArgs,
    args: &DatabaseArgs,
    settings: &StageSettings,
    work: impl FnOnce(&Database, &mut Pipeline<'_>) -> Result<T>,
) -> Result<T> {
    let (spec, database) = open(chain, args)?;
    let stop = stop_on_signals()?;
    let observer = SyncProgress::new(Some(head(&database)?));
    let scratch = args.data_dir().scratch()?;
    let config = PipelineConfig {
        database: &database,
        spec: &spec,
        settings,
        stop: &stop,
        observer: &observer,
        scratch,
        light_caches: Default::default(),
    };
    let source: SharedSource = Rc::new(RefCell::new(NoBlocks));
    let result = work(&database, &mut Pipeline::new(config, &source));
    observer.finish();
    result
}

fn run_one(on: &StageOn, to: Option<u64>) -> Result<()> {
    let StageName(stage) = on.stage;
    if matches!(stage, StageId::Headers | StageId::Bodies) {
        bail!("stage {stage} takes blocks from outside: use portico import");
    }
    with_pipeline(&on.chain, &on.database, &on.stages.settings(), |database, pipeline| {
        let txn = database.begin_rw()?;
        let position = FORWARD.iter().position(|id| *id == stage).expect("every stage is in the order");
        let available = read_checkpoint(&txn, FORWARD[position - 1].name())?;
        let to = to.unwrap_or(available);
        if to > available {
            bail!(
                "block {to} is not done by stage {} yet, which stands at {available}",
                FORWARD[position - 1]
            );
        }
        let reached = pipeline.run_stage(&txn, stage, to)?;
        txn.commit()?;
        println!("{stage}: block {reached}");
        Ok(())
    })
}

fn unwind(chain: &ChainArgs, database: &DatabaseArgs, stages: &StageArgs, to: u64) -> Result<()> {
    with_pipeline(chain, database, &stages.settings(), |database, pipeline| {
        let from = head(database)?;
        if to > from {
            bail!("block {to} is not there: the head is block {from}");
        }
        if to == from {
            println!("the head is block {from} already");
            return Ok(());
        }
        pipeline.unwind(to)?;
        let hash = canonical_hash(&database.begin_ro()?, to)?.unwrap_or_default();
        println!("unwound {} blocks: the head is block {to} {hash}", from - to);
        Ok(())
    })
}

fn rebuild(on: &StageOn) -> Result<()> {
    let StageName(stage) = on.stage;
    with_pipeline(&on.chain, &on.database, &on.stages.settings(), |database, pipeline| {
        let txn = database.begin_rw()?;
        pipeline.rebuild_stage(&txn, stage)?;
        txn.commit()?;
        println!("{stage}: rebuilt");
        Ok(())
    })
}
