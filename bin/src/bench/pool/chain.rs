//! The chain that a node follows while it is attacked, and who is on it.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::Address;
use eyre::{Result, ensure};
use portico_chain::BlockParts;
use portico_chainspec::ChainSpec;
use portico_files::BlockFiles;
use portico_generator::{ForkSchedule, GeneratorConfig, accounts::Accounts};
use portico_spec::{BesidePayload, new_payload_call};
use portico_stages::StopSignal;
use serde_json::{Value, json};

use super::attack::{Attack, Attacker};
use crate::bench::generate::generate_chain;

/// Accounts beyond attackers and honest senders at least, for the chain's own transactions.
const BYSTANDERS: usize = 20_000;

/// The chain, and who is on it.
pub(super) struct Chain {
    pub(super) genesis: PathBuf,
    pub(super) spec: Arc<ChainSpec>,
    blocks: std::vec::IntoIter<BlockParts>,
    pub(super) attackers: Vec<Attacker>,
    pub(super) honest: Vec<Attacker>,
}

impl Chain {
    /// Makes a chain of so many blocks in a folder, on which neither attackers nor honest senders have sent anything.
    pub(super) fn make(folder: &Path, blocks: u64, senders: usize, honest: usize) -> Result<Self> {
        let users = u32::try_from(senders * 2 + honest + BYSTANDERS)?;
        let forks = ForkSchedule { prague: None, osaka: None, ..ForkSchedule::default() };
        let config = GeneratorConfig { genesis_users: users, forks, ..GeneratorConfig::default() };
        println!("making {blocks} blocks and {users} accounts");
        let chain = generate_chain(&config, blocks, folder, &StopSignal::default(), &mut |_| {})?;
        let mut blocks = Vec::new();
        let mut busy: HashSet<Address> = HashSet::new();
        for block in BlockFiles::discover(&[chain.chain])?.blocks() {
            let block = block?;
            for transaction in &block.transactions {
                busy.insert(transaction.recover_signer()?);
            }
            blocks.push(BlockParts {
                hash: block.hash,
                header: block.header,
                transactions: block.transactions,
                ommers: block.ommers,
                withdrawals: block.withdrawals,
            });
        }
        let accounts = Accounts::new(config.seed, users, 0);
        let idle = (0..users).map(|index| accounts.user(index)).filter(|user| !busy.contains(&user.address));
        let mut idle: Vec<Attacker> = idle.map(Attacker::from).collect();
        ensure!(idle.len() >= honest + senders, "the chain leaves only {} accounts alone", idle.len());
        let honest = idle.split_off(idle.len() - honest);
        idle.truncate(senders);
        let spec = ChainSpec::load(&chain.genesis.to_string_lossy())?;
        Ok(Self { genesis: chain.genesis, spec, blocks: blocks.into_iter(), attackers: idle, honest })
    }

    /// The next blocks as calls.
    pub(super) fn payloads(&mut self, count: u64) -> Vec<Payload> {
        let blocks = self.blocks.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX));
        let payload = |block: BlockParts| Payload {
            call: new_payload_call(&self.spec, &block, BesidePayload::default()),
            hash: json!(block.hash),
        };
        blocks.map(payload).collect()
    }
}

/// A block as a call.
pub(super) struct Payload {
    /// Method and parameters.
    pub(super) call: (String, Value),
    pub(super) hash: Value,
}

/// Accounts of one attack alone: half of all for the one that is about their number.
pub(super) fn share(accounts: &[Attacker], attack: Attack) -> &[Attacker] {
    let (many, few) = accounts.split_at(accounts.len() / 2);
    if attack == Attack::Senders {
        return many;
    }
    let position = Attack::ALL.iter().position(|other| *other == attack).unwrap_or_default();
    let size = few.len() / Attack::ALL.len();
    &few[position * size..(position + 1) * size]
}
