//! What the pool measures. Each metric's unit and meaning is told to the recorder by [`describe`].

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::{
    Origin, PoolError,
    standing::{Crowding, Totals},
};

/// Why a transaction left the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// A block has it, or another with its nonce.
    Mined,
    /// Its sender cannot pay for it any more, or no block has room for it.
    Unpayable,
    /// Its sender sent another with its nonce.
    Replaced,
    /// There is no room.
    Crowded(Crowding),
    /// It waited too long.
    Expired,
    /// The next block's fork does not allow it.
    Fork,
}

impl Removal {
    fn name(self) -> &'static str {
        match self {
            Self::Mined => "mined",
            Self::Unpayable => "unpayable",
            Self::Replaced => "replaced",
            Self::Crowded(Crowding::Share) => "share",
            Self::Crowded(Crowding::Price) => "underpriced",
            Self::Expired => "expired",
            Self::Fork => "fork",
        }
    }
}

/// Describes all metrics of the pool; call once, after a recorder was installed.
pub fn describe() {
    describe_gauge!("portico_txpool_transactions", Unit::Count, "transactions in the pool, by state");
    describe_gauge!("portico_txpool_senders", Unit::Count, "accounts with transactions in the pool");
    describe_gauge!(
        "portico_txpool_bytes",
        Unit::Bytes,
        "memory of transactions in the pool, about, by kind"
    );
    describe_counter!("portico_txpool_added_total", Unit::Count, "transactions that were taken, by origin");
    describe_counter!(
        "portico_txpool_refused_total",
        Unit::Count,
        "transactions that were refused, by reason"
    );
    describe_counter!("portico_txpool_removed_total", Unit::Count, "transactions that left, by reason");
    describe_counter!("portico_txpool_reinjected_total", Unit::Count, "transactions of blocks taken back");
}

pub(crate) fn added(origin: Origin) {
    counter!("portico_txpool_added_total", "origin" => origin.name()).increment(1);
}

pub(crate) fn refused(error: &PoolError) {
    counter!("portico_txpool_refused_total", "reason" => error.reason()).increment(1);
}

pub(crate) fn removed(why: Removal) {
    counter!("portico_txpool_removed_total", "reason" => why.name()).increment(1);
}

pub(crate) fn reinjected(count: usize) {
    counter!("portico_txpool_reinjected_total").increment(count as u64);
}

pub(crate) fn sizes(totals: &Totals, senders: usize, kept_bytes: usize) {
    gauge!("portico_txpool_transactions", "state" => "pending").set(totals.pending as f64);
    gauge!("portico_txpool_transactions", "state" => "queued").set(totals.queued as f64);
    gauge!("portico_txpool_senders").set(senders as f64);
    gauge!("portico_txpool_bytes", "kind" => "blob").set(totals.blob_bytes as f64);
    gauge!("portico_txpool_bytes", "kind" => "other").set((totals.bytes - totals.blob_bytes) as f64);
    gauge!("portico_txpool_bytes", "kind" => "kept").set(kept_bytes as f64);
}
