//! Flags about the transaction pool, named as go-ethereum names them.

use std::{path::Path, str::FromStr};

use clap::Args;
use portico_txpool::Settings;

/// Flags about the transaction pool.
#[derive(Debug, Args)]
pub(crate) struct TxpoolArgs {
    /// Treat transactions that come over RPC as all others
    #[arg(long = "txpool.nolocals", env = "PORTICO_TXPOOL_NOLOCALS")]
    no_locals: bool,
    /// File for local transactions across restarts, in the data folder unless it is absolute; empty for none
    #[arg(
        long = "txpool.journal",
        env = "PORTICO_TXPOOL_JOURNAL",
        default_value = "transactions.rlp",
        value_name = "FILE"
    )]
    journal: String,
    /// Time after which the journal is written anew
    #[arg(
        long = "txpool.rejournal",
        env = "PORTICO_TXPOOL_REJOURNAL",
        default_value = "1h",
        value_name = "DURATION"
    )]
    rejournal: Seconds,
    /// Least priority fee that is taken, in wei
    #[arg(
        long = "txpool.pricelimit",
        env = "PORTICO_TXPOOL_PRICELIMIT",
        default_value_t = 1,
        value_name = "WEI"
    )]
    price_limit: u128,
    /// By how many percent a replacement must pay more
    #[arg(
        long = "txpool.pricebump",
        env = "PORTICO_TXPOOL_PRICEBUMP",
        default_value_t = 10,
        value_name = "PERCENT"
    )]
    price_bump: u64,
    /// Slots (32 KiB) of executable transactions that an account keeps when the pool is full
    #[arg(
        long = "txpool.accountslots",
        env = "PORTICO_TXPOOL_ACCOUNTSLOTS",
        default_value_t = 16,
        value_name = "N"
    )]
    account_slots: usize,
    /// Slots of executable transactions of all accounts
    #[arg(
        long = "txpool.globalslots",
        env = "PORTICO_TXPOOL_GLOBALSLOTS",
        default_value_t = 5120,
        value_name = "N"
    )]
    global_slots: usize,
    /// Slots of an account's transactions that wait for others
    #[arg(
        long = "txpool.accountqueue",
        env = "PORTICO_TXPOOL_ACCOUNTQUEUE",
        default_value_t = 64,
        value_name = "N"
    )]
    account_queue: usize,
    /// Slots of all accounts' transactions that wait for others
    #[arg(
        long = "txpool.globalqueue",
        env = "PORTICO_TXPOOL_GLOBALQUEUE",
        default_value_t = 1024,
        value_name = "N"
    )]
    global_queue: usize,
    /// How long transactions wait for others
    #[arg(
        long = "txpool.lifetime",
        env = "PORTICO_TXPOOL_LIFETIME",
        default_value = "3h",
        value_name = "DURATION"
    )]
    lifetime: Seconds,
    /// Bytes of memory for blob transactions
    #[arg(
        long = "blobpool.datacap",
        env = "PORTICO_BLOBPOOL_DATACAP",
        default_value_t = 256 << 20,
        value_name = "BYTES"
    )]
    blob_bytes: usize,
    /// By how many percent a replacement of a blob transaction must pay more
    #[arg(
        long = "blobpool.pricebump",
        env = "PORTICO_BLOBPOOL_PRICEBUMP",
        default_value_t = 100,
        value_name = "PERCENT"
    )]
    blob_price_bump: u64,
}

impl TxpoolArgs {
    /// Limits and prices of the pool.
    pub fn settings(&self, datadir: &Path) -> Settings {
        Settings {
            price_limit: self.price_limit,
            price_bump: self.price_bump,
            blob_price_bump: self.blob_price_bump,
            account_slots: self.account_slots,
            global_slots: self.global_slots,
            account_queue: self.account_queue,
            global_queue: self.global_queue,
            blob_bytes_max: self.blob_bytes,
            lifetime_seconds: self.lifetime.0,
            no_locals: self.no_locals,
            journal: (!self.journal.is_empty()).then(|| datadir.join(&self.journal)),
            rejournal_seconds: self.rejournal.0,
            ..Settings::default()
        }
    }
}

/// A time in seconds: a number, or go-ethereum's form as `1h30m0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seconds(u64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self(seconds));
        }
        let refused =
            || format!("{text:?} is no time: give seconds, or hours, minutes and seconds as 1h30m0s");
        let mut sum = 0u64;
        let mut rest = text;
        while let Some(end) = rest.find(|letter: char| !letter.is_ascii_digit()) {
            let number: u64 = rest[..end].parse().map_err(|_| refused())?;
            let unit = match rest.as_bytes()[end] {
                b'h' => 3600,
                b'm' => 60,
                b's' => 1,
                _ => return Err(refused()),
            };
            sum = number.checked_mul(unit).and_then(|part| sum.checked_add(part)).ok_or_else(refused)?;
            rest = &rest[end + 1..];
        }
        if rest.is_empty() && !text.is_empty() { Ok(Self(sum)) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_hours_minutes_and_seconds() {
        for (text, seconds) in [("90", 90), ("3h0m0s", 10_800), ("1h30m", 5_400), ("5s", 5), ("0", 0)] {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text}");
        }
        for text in ["", "h", "1d", "1h5", "-1s", "1.5h", "9999999999999999999h", "1hé"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }
}
