//! `portico bench pool`: a node follows a chain while somebody attacks its transaction pool.
//!
//! ```text
//!  generated blocks ──newPayload, forkchoice, timed──> portico node <──eth_sendRawTransaction── attackers (nice 19)
//!                                                        memory, pool status, honest transactions: looked at after each attack
//! ```

mod attack;
mod chain;
mod insertion;
mod siege;

use clap::Args;
use eyre::{Result, ensure};

pub use attack::{Attack, Attacker};

use super::node_process::NodeCommand;
use chain::{Chain, share};
use siege::Node;

/// Accounts that send one well-paid transaction before everything else, and as many during each attack.
const HONEST: usize = 32;

/// Flags of `portico bench pool`.
#[derive(Debug, Args)]
pub struct PoolArgs {
    /// Accounts that attack
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    senders: usize,
    /// Seconds of each attack, of which half are rests
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    seconds: u64,
    /// Pause between two blocks, in milliseconds: on the network it is twelve seconds
    #[arg(long, default_value_t = 250, value_name = "MS")]
    pause: u64,
    /// Connections over which transactions are sent
    #[arg(long, default_value_t = 4, value_name = "N")]
    clients: usize,
    /// Take what is sent for local, as the node does unless it has --txpool.nolocals
    #[arg(long)]
    locals: bool,
}

pub(crate) fn run(args: &PoolArgs) -> Result<()> {
    ensure!(args.senders >= 100 && args.clients > 0, "nobody attacks: a hundred accounts are the least");
    let folder = tempfile::tempdir()?;
    let blocks = args.seconds.saturating_mul(1000) / args.pause.max(1);
    let attacks = Attack::ALL.len();
    let mut chain =
        Chain::make(folder.path(), blocks * attacks as u64, args.senders, HONEST * (attacks + 1))?;
    insertion::measure(&chain.attackers)?.print();
    let command = NodeCommand {
        program: std::env::current_exe()?,
        genesis: chain.genesis.clone(),
        datadir: folder.path().join("data"),
        flags: if args.locals { Vec::new() } else { vec!["--txpool.nolocals".to_owned()] },
    };
    let chain_id = chain.spec.chain_id();
    let mut node = Node::start(&command, chain_id)?;
    print_heading(args);
    node.send_honest(&chain.honest[..HONEST])?;
    let mut refusals = Vec::new();
    for (turn, attack) in Attack::ALL.into_iter().enumerate() {
        let payloads = chain.payloads(blocks);
        let newcomers = &chain.honest[(turn + 1) * HONEST..(turn + 2) * HONEST];
        let raw = attack.transactions(share(&chain.attackers, attack), chain_id, args.senders);
        let seen = node.phase(args, (&raw, attack.batch()), &payloads, newcomers)?;
        seen.print(attack.name());
        refusals.push((attack, seen.refusals));
    }
    println!(
        "(p50, p95: from newPayload to VALID; choose: p95 of forkchoiceUpdated during the attack; honest: how many of \
         {HONEST} transactions before and {HONEST} more during each attack are in the pool)"
    );
    for (attack, refusals) in refusals {
        for (reason, count) in refusals {
            println!("  {:<14} {count:>8} × {reason}", attack.name());
        }
    }
    node.end()
}

fn print_heading(args: &PoolArgs) {
    println!(
        "\n{} accounts attack, {} s each by turns with rests, over {} connections:",
        args.senders, args.seconds, args.clients
    );
    println!(
        "{:<14} {:>8} {:>8} {:>21} {:>21} {:>9} {:>8} {:>7} {:>6} {:>9}",
        "",
        "sent/s",
        "taken",
        "resting p50, p95 ms",
        "attack p50, p95 ms",
        "choose",
        "pending",
        "queued",
        "MiB",
        "honest"
    );
}
