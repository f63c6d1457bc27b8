//! A small stream of transactions, so that a development network has something to show.

use std::time::Duration;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, U256};
use eyre::{Result, bail};
use portico_chainspec::{DEV_ACCOUNTS, DEV_KEYS};
use portico_engine::sign_with;
use portico_generator::{GeneratorConfig, accounts::Accounts};
use portico_query::{CallRequest, Query, QueryError};
use portico_stages::StopSignal;
use secp256k1::SecretKey;

/// Users of a generated chain who send.
const GENERATED_SENDERS: u32 = 10;
/// Wei of a transfer: hardly anything.
const VALUE: u64 = 1_000_000_000;
/// Wei that a sender must have.
const BALANCE_MIN: u64 = 1_000_000_000_000_000_000;

/// Sends transfers between the funded ones of the accounts that everybody knows and of those of generated chains, so many
/// a second, on a thread of its own until `stop`.
///
/// # Errors
/// When none of these accounts has anything on this chain.
pub(crate) fn start(query: &Query, per_second: f64, stop: &StopSignal) -> Result<()> {
    let senders = funded(query)?;
    if senders.len() < 2 {
        bail!("--dev.stream: none of the accounts whose keys are known has any ether on this chain");
    }
    let (query, stop) = (query.clone(), stop.clone());
    let pause = Duration::from_secs_f64(1.0 / per_second.clamp(0.001, 1_000.0));
    std::thread::Builder::new().name("dev-stream".to_owned()).spawn(move || {
        for turn in 0_usize.. {
            std::thread::sleep(pause);
            if stop.is_stopped() {
                return;
            }
            let (from, key) = &senders[turn % senders.len()];
            let (to, _) = &senders[(turn + 1) % senders.len()];
            if let Err(error) = send(&query, *from, key, *to) {
                tracing::warn!(%error, %from, "a transaction of the stream was not taken");
            }
        }
    })?;
    Ok(())
}

fn funded(query: &Query) -> Result<Vec<(Address, SecretKey)>> {
    let config = GeneratorConfig::default();
    let generated = Accounts::new(config.seed, GENERATED_SENDERS, 0);
    let generated = (0..GENERATED_SENDERS).map(|index| generated.user(index));
    let generated: Vec<_> = generated.map(|user| (user.address, *user.key())).collect();
    let keys = DEV_KEYS.iter().filter_map(|key| SecretKey::from_byte_array(key.0).ok());
    let known = DEV_ACCOUNTS.into_iter().zip(keys).chain(generated);
    let snapshot = query.snapshot()?;
    let mut funded = Vec::new();
    for (address, key) in known {
        let account = snapshot.account(&address, snapshot.head())?.unwrap_or_default();
        if account.balance >= U256::from(BALANCE_MIN) {
            funded.push((address, key));
        }
    }
    Ok(funded)
}

fn send(query: &Query, from: Address, key: &SecretKey, to: Address) -> Result<(), QueryError> {
    let snapshot = query.snapshot()?;
    let request = CallRequest {
        from: Some(from),
        to: Some(to.into()),
        value: Some(U256::from(VALUE)),
        ..CallRequest::default()
    };
    let signed = sign_with(key, snapshot.spec().chain_id(), snapshot.fill_transaction(request)?);
    snapshot.submit(&signed.encoded_2718()).map(drop)
}
