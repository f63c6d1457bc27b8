//! `portico db check`: what must hold between tables whatever the blocks are.
//!
//! ```text
//!  every block       header chain, hashes, bodies against their headers, transaction numbers
//!  head              the trie's root is the header's
//!  looked into       receipts root and bloom; senders against signatures; lookups by hash; changes against history;
//!                    plain against hashed state of what changed
//! ```
//! Looked into are one block in a hundred and the newest, or all of them.

use std::time::{Duration, Instant};

use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, TxReceipt,
    proofs::{
        calculate_ommers_root, calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root,
    },
    transaction::SignerRecoverable,
};
use alloy_primitives::{B256, Bloom, keccak256};
use eyre::{Result, bail};
use portico_chain::{
    BlockParts, StoredBody, block_number_of, canonical_hash, find_transaction, prune_checkpoint, read_block,
    read_block_receipts, read_body, read_checkpoint, read_header, read_senders, read_state_root_after,
};
use portico_db::{Database, RoTxn};
use portico_stages::{FORWARD, StageId};
use portico_state::{
    HistoryBounds, StateAt, read_account, read_account_changes, read_hashed_account, read_storage_changes,
};
use portico_trie::{ChangedKeys, incremental_root};

/// Without `--deep`, one block in so many is looked into.
const SAMPLE_EVERY: u64 = 100;
/// The newest blocks are always looked into: they are what a crash could have touched.
const NEWEST: u64 = 16;
/// How often a log line tells how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(super) fn check(database: &Database, deep: bool) -> Result<()> {
    let txn = database.begin_ro()?;
    let mut check = Check::new(&txn, deep)?;
    check.stages()?;
    check.blocks()?;
    check.row_counts(database)?;
    check.state_root()?;
    let Check { head, faults, looked_into, next_tx, .. } = check;
    if faults > 0 {
        bail!("{faults} faults");
    }
    println!("{} blocks and {next_tx} transactions agree; {looked_into} blocks were looked into", head + 1);
    if !deep {
        println!("(--deep looks into all of them)");
    }
    Ok(())
}

struct Check<'t, 'd> {
    txn: &'t RoTxn<'d>,
    deep: bool,
    head: u64,
    /// Changes of blocks up to this one are pruned.
    changes_pruned: u64,
    lookups_pruned: u64,
    faults: u64,
    looked_into: u64,
    next_tx: u64,
    told: Instant,
}

impl<'t, 'd> Check<'t, 'd> {
    fn new(txn: &'t RoTxn<'d>, deep: bool) -> Result<Self> {
        let pruned = |stage: StageId| prune_checkpoint(txn, stage.name());
        let changes_pruned = pruned(StageId::Execution)?.max(pruned(StageId::History)?);
        Ok(Self {
            txn,
            deep,
            head: read_checkpoint(txn, StageId::Finish.name())?,
            changes_pruned: changes_pruned.unwrap_or_default(),
            lookups_pruned: pruned(StageId::TxLookup)?.unwrap_or_default(),
            faults: 0,
            looked_into: 0,
            next_tx: 0,
            told: Instant::now(),
        })
    }

    fn fault(&mut self, what: impl std::fmt::Display) {
        self.faults += 1;
        println!("FAULT {what}");
    }

    fn stages(&mut self) -> Result<()> {
        for stage in FORWARD {
            let reached = read_checkpoint(self.txn, stage.name())?;
            if reached < self.head {
                self.fault(format!("stage {stage} stands at block {reached}, the head is {}", self.head));
            }
        }
        Ok(())
    }

    fn blocks(&mut self) -> Result<()> {
        let mut parent = None;
        for number in 0..=self.head {
            self.tell(number);
            let header = (canonical_hash(self.txn, number)?, read_header(self.txn, number)?);
            let (Some(hash), Some(header)) = header else {
                self.fault(format!("block {number} has no header"));
                parent = None;
                continue;
            };
            self.header(number, hash, &header, parent)?;
            parent = Some(hash);
            self.body(number, &header)?;
        }
        Ok(())
    }

    fn tell(&mut self, number: u64) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            tracing::info!(block_number = number, head = self.head, "checking");
        }
    }

    fn header(&mut self, number: u64, hash: B256, header: &Header, parent: Option<B256>) -> Result<()> {
        if header.hash_slow() != hash {
            self.fault(format!("block {number}: the header's hash is not {hash}"));
        }
        if parent.is_some_and(|parent| header.parent_hash != parent) {
            self.fault(format!("block {number} does not continue block {}", number - 1));
        }
        if block_number_of(self.txn, &hash)? != Some(number) {
            self.fault(format!("block {number} is not found by its hash {hash}"));
        }
        Ok(())
    }

    fn body(&mut self, number: u64, header: &Header) -> Result<()> {
        let Some(body) = read_body(self.txn, number)? else {
            self.fault(format!("block {number} has no body"));
            return Ok(());
        };
        let expected = std::mem::replace(&mut self.next_tx, body.tx_numbers().end);
        if body.first_tx_number != expected {
            let first = body.first_tx_number;
            self.fault(format!("block {number}: first transaction number {first}, expected {expected}"));
        }
        // Rows that are missing or damaged are this block's fault, not the end of the check.
        let block = match read_block(self.txn, number) {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.fault(format!("block {number}: {error}"));
                return Ok(());
            }
        };
        if let Some(what) = body_fault(&block, header) {
            self.fault(format!("block {number}: {what}"));
        }
        let is_new = number + NEWEST > self.head;
        if number > 0 && (self.deep || is_new || number.is_multiple_of(SAMPLE_EVERY)) {
            self.looked_into += 1;
            if let Err(error) = self.look_into(&block, &body) {
                self.fault(format!("block {number}: {error}"));
            }
        }
        Ok(())
    }

    fn look_into(&mut self, block: &BlockParts, body: &StoredBody) -> Result<()> {
        self.receipts(block, body)?;
        self.senders(block, body)?;
        let number = block.header.number;
        if number > self.lookups_pruned {
            self.lookups(block, body)?;
        }
        if number > self.changes_pruned {
            self.changes(number)?;
        }
        Ok(())
    }

    /// Receipts against the header's root and bloom; those from before Byzantium need the state roots that go in.
    fn receipts(&mut self, block: &BlockParts, body: &StoredBody) -> Result<()> {
        let number = block.header.number;
        let mut envelopes = Vec::new();
        let mut bloom = Bloom::ZERO;
        for (tx_number, receipt) in body.tx_numbers().zip(read_block_receipts(self.txn, body, number)?) {
            let status = match read_state_root_after(self.txn, tx_number)? {
                Some(root) => Eip658Value::PostState(root),
                None => receipt.success.into(),
            };
            let (tx_type, cumulative_gas_used, logs) =
                (receipt.tx_type, receipt.cumulative_gas_used, receipt.logs);
            let receipt = Receipt { status, cumulative_gas_used, logs };
            bloom |= receipt.bloom();
            envelopes.push(ReceiptEnvelope::from_typed(tx_type, receipt.with_bloom()));
        }
        let root = calculate_receipt_root(&envelopes);
        if root != block.header.receipts_root {
            let expected = block.header.receipts_root;
            self.fault(format!("block {number}: its receipts have root {root}, the header {expected}"));
        }
        if bloom != block.header.logs_bloom {
            self.fault(format!("block {number}: the bloom of its logs is not the header's"));
        }
        Ok(())
    }

    fn senders(&mut self, block: &BlockParts, body: &StoredBody) -> Result<()> {
        let number = block.header.number;
        let senders = read_senders(self.txn, body, number)?;
        for (index, (transaction, sender)) in block.transactions.iter().zip(senders).enumerate() {
            if transaction.recover_signer_unchecked().ok() != Some(sender) {
                self.fault(format!("block {number}: transaction {index} is not signed by {sender}"));
            }
        }
        Ok(())
    }

    fn lookups(&mut self, block: &BlockParts, body: &StoredBody) -> Result<()> {
        let number = block.header.number;
        for (tx_number, transaction) in body.tx_numbers().zip(&block.transactions) {
            let hash = transaction.tx_hash();
            let found = find_transaction(self.txn, hash)?.map(|(found, _)| found);
            if found != Some(tx_number) {
                self.fault(format!("block {number}: transaction {hash} is not found by its hash"));
            }
        }
        Ok(())
    }

    /// What a block changed: the history says the same of the state before it, and the hashed state has what the
    /// plain state has now.
    fn changes(&mut self, number: u64) -> Result<()> {
        let bounds = HistoryBounds { first: 0, head: self.head };
        let mut before = StateAt::new(self.txn, number - 1, bounds)?;
        for change in read_account_changes(self.txn, number)? {
            let address = change.address;
            if before.account(&address)? != change.before {
                self.fault(format!("block {number}: history and changes differ in account {address}"));
            }
            if read_hashed_account(self.txn, &keccak256(address))? != read_account(self.txn, &address)? {
                self.fault(format!("plain and hashed state differ in account {address}"));
            }
        }
        for change in read_storage_changes(self.txn, number)? {
            let (address, slot) = (change.address, change.slot);
            if before.storage(&address, &slot)? != change.before {
                self.fault(format!("block {number}: history and changes differ in slot {slot} of {address}"));
            }
        }
        Ok(())
    }

    fn row_counts(&mut self, database: &Database) -> Result<()> {
        for table in database.table_stats()? {
            let counts = matches!(table.info.name, "Transactions" | "TransactionSenders" | "Receipts");
            if counts && table.entries as u64 != self.next_tx {
                let (name, rows, expected) = (table.info.name, table.entries, self.next_tx);
                self.fault(format!("{name} has {rows} rows, the bodies count {expected} transactions"));
            }
        }
        Ok(())
    }

    /// The root of the stored trie.
    fn state_root(&mut self) -> Result<()> {
        let Some(header) = read_header(self.txn, self.head)? else { return Ok(()) };
        let (root, _) = incremental_root(self.txn, &ChangedKeys::default())?;
        if root != header.state_root {
            let (head, expected) = (self.head, header.state_root);
            self.fault(format!("the trie's root is {root}, that of block {head} is {expected}"));
        }
        Ok(())
    }
}

/// How transactions, ommers or withdrawals are not those of the header.
fn body_fault(block: &BlockParts, header: &Header) -> Option<&'static str> {
    if calculate_transaction_root(&block.transactions) != header.transactions_root {
        return Some("its transactions are not those of its header");
    }
    if calculate_ommers_root(&block.ommers) != header.ommers_hash {
        return Some("its ommers are not those of its header");
    }
    let withdrawals = block.withdrawals.as_deref().map(calculate_withdrawals_root);
    (withdrawals != header.withdrawals_root).then_some("its withdrawals are not those of its header")
}
