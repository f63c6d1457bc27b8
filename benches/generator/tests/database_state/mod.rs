//! Chains executed by Portico in a database are those that revm makes in memory, block by block.

use crate::{config, in_memory::InMemoryState};
use alloy_consensus::transaction::Recovered;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, b256};
use portico_db::Database;
use portico_generator::{
    ChainState, DatabaseState, ExecutedBlock, ForkSchedule, Generator, GeneratorConfig, HeaderTemplate,
    Transaction, open_state_database,
};
use std::error::Error;
use tempfile::TempDir;

/// A new database in a temporary folder.
fn database() -> (TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = open_state_database(&folder.path().join("db")).unwrap();
    (folder, database)
}

/// Makes `count` blocks in memory and in a database and compares them.
fn assert_same_blocks(config: &GeneratorConfig, count: usize) {
    let (folder, database) = database();
    let in_database =
        Generator::new(config.clone(), |genesis| DatabaseState::new(&database, genesis, folder.path()))
            .unwrap();
    let in_memory =
        Generator::new(config.clone(), |genesis| Ok(InMemoryState::new(config, genesis))).unwrap();
    for (expected, block) in in_memory.zip(in_database).take(count) {
        let (expected, block) = (expected.unwrap(), block.unwrap());
        assert_eq!(block.refused, []);
        assert_eq!(block.receipts, expected.receipts, "block {}", expected.block.header.number);
        assert_eq!(block.block, expected.block);
        assert_eq!(block.hash, expected.hash);
    }
}

#[test]
fn thirty_blocks_are_those_made_in_memory() {
    assert_same_blocks(&config(), 30);
}

#[test]
fn blocks_of_all_forks_are_those_made_in_memory() {
    let mut config = config();
    config.forks = ForkSchedule::passing_through(config.genesis_timestamp, 48);
    assert_same_blocks(&config, 30);
}

/// Many small blocks, so that the state goes over commits.
#[test]
fn blocks_after_a_commit_are_those_made_in_memory() {
    let config = GeneratorConfig { genesis_users: 20, tokens: 2, transactions_per_block: 2, ..config() };
    assert_same_blocks(&config, 1005);
}

/// The same block as in `chain_is_pinned`, also when transactions come that may not be in it.
#[test]
fn refused_transactions_leave_no_trace() {
    let (folder, database) = database();
    let mut generator = Generator::new(config(), |genesis| {
        Ok(Stuttering(DatabaseState::new(&database, genesis, folder.path())?))
    })
    .unwrap();
    let tip = generator.by_ref().take(3).last().unwrap().unwrap();
    assert_eq!(tip.hash, b256!("0x7ee7485d581882fcdd9c2d826b5b251ded395c123387f5ca5bfffb891c6d91f4"));
}

/// Puts some transactions into the block more than once; their nonces are too low then.
struct Stuttering<'db>(DatabaseState<'db>);

impl ChainState for Stuttering<'_> {
    fn execute(
        &mut self,
        header: &HeaderTemplate,
        transactions: &[Recovered<Transaction>],
        withdrawals: &[Withdrawal],
    ) -> Result<ExecutedBlock, Box<dyn Error + Send + Sync>> {
        let repeated = [5, 6, 20, transactions.len() + 3];
        let mut stuttered = transactions.to_vec();
        for position in repeated {
            stuttered.insert(position, stuttered[position - 1].clone());
        }
        let executed = self.0.execute(header, &stuttered, withdrawals)?;
        assert_eq!(executed.refused, repeated);
        Ok(ExecutedBlock { refused: Vec::new(), ..executed })
    }

    fn state_root(&mut self) -> Result<B256, Box<dyn Error + Send + Sync>> {
        self.0.state_root()
    }
}
