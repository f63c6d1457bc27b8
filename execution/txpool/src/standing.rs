//! How full the pool is, and who has to go first.
//!
//! Each account is in one class: *protected* (it has local transactions), *blob* (it has blob transactions) or *plain*.
//! Each class has its own room, so that none can push out another. Within the plain class those that wait have their
//! own room as well.

use std::{cmp::Reverse, collections::BTreeSet};

use alloy_primitives::Address;

use crate::{
    Settings,
    priority::{Fees, Priority},
    sender::Sender,
};

/// Counts over all accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub pending: usize,
    pub queued: usize,
    pub blobs: usize,
    pub bytes: usize,
    pub plain_pending_slots: usize,
    pub plain_queued_slots: usize,
    pub plain_bytes: usize,
    pub blob_bytes: usize,
    pub protected_slots: usize,
}

/// Why a transaction is dropped for lack of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowding {
    /// Its account has more than its share.
    Share,
    /// It pays least.
    Price,
}

/// Which of an account's transactions goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The one with the highest nonce.
    Last,
    /// The pending one with the highest nonce.
    LastPending,
}

/// Who goes first, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Victim {
    pub sender: Address,
    pub part: Part,
    pub why: Crowding,
}

/// The keys under which an account stands, and what it adds to the totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Keys {
    totals: Totals,
    heavy: Option<(usize, Address)>,
    cheap: Option<(Priority, Reverse<u64>, Address)>,
    queued: Option<(usize, Reverse<Priority>, u64, Address)>,
    blob: Option<(Priority, Reverse<u64>, Address)>,
}

/// The order in which accounts lose transactions.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub totals: Totals,
    /// Plain accounts with more pending slots than their share; the last is the heaviest.
    heavy: BTreeSet<(usize, Address)>,
    /// Plain accounts by the least that one of their pending transactions pays; among equals the newest tail first.
    cheap: BTreeSet<(Priority, Reverse<u64>, Address)>,
    /// Plain accounts by queued slots; among equals the cheapest tail is last, then the newest.
    queued: BTreeSet<(usize, Reverse<Priority>, u64, Address)>,
    /// Blob accounts as in `cheap`; those that wait for a nonce first.
    blobs: BTreeSet<(Priority, Reverse<u64>, Address)>,
}

impl Standing {
    /// Takes an account in, as it is now.
    pub fn enter(&mut self, address: Address, sender: &Sender, settings: &Settings, fees: Fees) {
        let keys = keys(address, sender, settings, fees);
        self.totals.add(&keys.totals);
        self.heavy.extend(keys.heavy);
        self.cheap.extend(keys.cheap);
        self.queued.extend(keys.queued);
        self.blobs.extend(keys.blob);
    }

    /// Takes an account out; it must not have changed since it was taken in.
    pub fn leave(&mut self, address: Address, sender: &Sender, settings: &Settings, fees: Fees) {
        let keys = keys(address, sender, settings, fees);
        self.totals.subtract(&keys.totals);
        keys.heavy.map(|key| self.heavy.remove(&key));
        keys.cheap.map(|key| self.cheap.remove(&key));
        keys.queued.map(|key| self.queued.remove(&key));
        keys.blob.map(|key| self.blobs.remove(&key));
    }

    /// Who has to give up a transaction for the limits to hold; `None` when they do.
    pub fn crowded_out(&self, settings: &Settings) -> Option<Victim> {
        let totals = &self.totals;
        if totals.blob_bytes > settings.blob_bytes_max {
            let (_, _, sender) = self.blobs.first()?;
            return Some(Victim { sender: *sender, part: Part::Last, why: Crowding::Price });
        }
        let bytes_over = totals.plain_bytes > settings.bytes_max;
        if (bytes_over || totals.plain_queued_slots > settings.global_queue)
            && let Some((_, _, _, sender)) = self.queued.last()
        {
            return Some(Victim { sender: *sender, part: Part::Last, why: Crowding::Share });
        }
        if !bytes_over && totals.plain_pending_slots <= settings.global_slots {
            return None;
        }
        if let Some((_, sender)) = self.heavy.last() {
            return Some(Victim { sender: *sender, part: Part::LastPending, why: Crowding::Share });
        }
        let (_, _, sender) = self.cheap.first()?;
        Some(Victim { sender: *sender, part: Part::LastPending, why: Crowding::Price })
    }

    /// What a transaction that is alone must pay more than, to be taken into a full pool; `None` while there is room.
    pub fn entry_price(
        &self,
        settings: &Settings,
        is_blob: bool,
        slots: usize,
        bytes: usize,
    ) -> Option<Priority> {
        let totals = &self.totals;
        if is_blob {
            let is_full = totals.blob_bytes + bytes > settings.blob_bytes_max;
            return self.blobs.first().filter(|_| is_full).map(|(priority, _, _)| *priority);
        }
        let is_full = totals.plain_pending_slots + slots > settings.global_slots && self.heavy.is_empty();
        self.cheap.first().filter(|_| is_full).map(|(priority, _, _)| *priority)
    }
}

fn keys(address: Address, sender: &Sender, settings: &Settings, fees: Fees) -> Keys {
    let (pending, pending_slots) = (sender.pending_len(), sender.pending_slots());
    let mut keys = Keys {
        totals: Totals {
            pending,
            queued: sender.len() - pending,
            blobs: sender.blobs(),
            bytes: sender.footprint(),
            ..Totals::default()
        },
        ..Keys::default()
    };
    let queued_tail = sender.queued_tail(fees);
    let pending_tail = sender.pending_tail();
    if sender.is_local() {
        keys.totals.protected_slots = sender.slots();
        return keys;
    }
    if sender.blobs() > 0 {
        keys.totals.blob_bytes = sender.footprint();
        let waiting = queued_tail.map(|(tail, _)| (Priority::Waiting(0), Reverse(tail.sequence()), address));
        let pending = pending_tail.map(|(tail, worst)| (worst, Reverse(tail.sequence()), address));
        keys.blob = waiting.or(pending);
        return keys;
    }
    let queued_slots = sender.slots() - pending_slots;
    keys.totals.plain_bytes = sender.footprint();
    keys.totals.plain_pending_slots = pending_slots;
    keys.totals.plain_queued_slots = queued_slots;
    keys.heavy = (pending_slots > settings.account_slots).then_some((pending_slots, address));
    keys.cheap = pending_tail.map(|(tail, worst)| (worst, Reverse(tail.sequence()), address));
    keys.queued =
        queued_tail.map(|(tail, priority)| (queued_slots, Reverse(priority), tail.sequence(), address));
    keys
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.pending += other.pending;
        self.queued += other.queued;
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.plain_pending_slots += other.plain_pending_slots;
        self.plain_queued_slots += other.plain_queued_slots;
        self.plain_bytes += other.plain_bytes;
        self.blob_bytes += other.blob_bytes;
        self.protected_slots += other.protected_slots;
    }

    fn subtract(&mut self, other: &Self) {
        self.pending -= other.pending;
        self.queued -= other.queued;
        self.blobs -= other.blobs;
        self.bytes -= other.bytes;
        self.plain_pending_slots -= other.plain_pending_slots;
        self.plain_queued_slots -= other.plain_queued_slots;
        self.plain_bytes -= other.plain_bytes;
        self.blob_bytes -= other.blob_bytes;
        self.protected_slots -= other.protected_slots;
    }
}
