//! A node that follows a chain while somebody attacks its pool, by turns with rests.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use alloy_primitives::{Bytes, hex};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use portico_spec::EngineClient;
use serde_json::{Value, json};

use super::{
    PoolArgs,
    attack::{Attacker, GWEI, sign, transfer},
    chain::Payload,
};
use crate::bench::node_process::{NodeCommand, NodeProcess};

/// Niceness of the attackers' threads: in life they are on other machines.
const CLIENTS_NICE: i32 = 19;
/// Blocks that come before attackers begin or rest again.
const TURN_BLOCKS: usize = 4;
/// How often an attacker who rests looks whether to go on.
const REST: Duration = Duration::from_millis(1);
/// What honest senders pay: more than any attacker.
const HONEST_TIP: u128 = 150 * GWEI;

/// The node under attack.
pub(super) struct Node {
    process: NodeProcess,
    rpc: EngineClient,
    engine: EngineClient,
    chain_id: u64,
    /// Hashes of honest transactions.
    sent: Vec<Value>,
}

/// What was seen during an attack.
#[derive(Debug, Default)]
pub(super) struct Seen {
    sent: u64,
    taken: u64,
    /// Of attack.
    seconds: f64,
    resting: Vec<Duration>,
    payload: Vec<Duration>,
    choice: Vec<Duration>,
    pending: u64,
    queued: u64,
    memory: u64,
    honest: usize,
    honest_max: usize,
    pub(super) refusals: BTreeMap<String, u64>,
}

fn quantile(times: &[Duration], part: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    sorted[(sorted.len() * part / 100).min(last)].as_secs_f64() * 1e3
}

impl Seen {
    pub(super) fn print(&self, name: &str) {
        println!(
            "{name:<14} {:>8.0} {:>8} {:>11.1} {:>9.1} {:>11.1} {:>9.1} {:>9.2} {:>8} {:>7} {:>6} {:>9}",
            self.sent as f64 / self.seconds.max(1e-9),
            self.taken,
            quantile(&self.resting, 50),
            quantile(&self.resting, 95),
            quantile(&self.payload, 50),
            quantile(&self.payload, 95),
            quantile(&self.choice, 95),
            self.pending,
            self.queued,
            self.memory >> 20,
            format!("{}/{}", self.honest, self.honest_max),
        );
    }
}

impl Node {
    pub(super) fn start(command: &NodeCommand, chain_id: u64) -> Result<Self> {
        let process = command.start()?;
        let (rpc, engine) = (process.connect()?, process.connect_engine()?);
        Ok(Self { process, rpc, engine, chain_id, sent: Vec::new() })
    }

    pub(super) fn end(self) -> Result<()> {
        let status = self.process.terminate()?;
        ensure!(status.success(), "the node ended with {status}");
        Ok(())
    }

    fn result(&mut self, method: &str, params: &Value) -> Result<Value> {
        let answer = self.rpc.call(method, params)?;
        match answer.get("error") {
            Some(error) => bail!("{method}: {error}"),
            None => Ok(answer["result"].clone()),
        }
    }

    pub(super) fn send_honest(&mut self, senders: &[Attacker]) -> Result<()> {
        for sender in senders {
            let raw = sign(sender, transfer(self.chain_id, HONEST_TIP));
            let hash =
                self.result("eth_sendRawTransaction", &json!([raw])).wrap_err("an honest transaction")?;
            self.sent.push(hash);
        }
        Ok(())
    }

    /// Follows the chain while somebody attacks, by turns.
    pub(super) fn phase(
        &mut self,
        args: &PoolArgs,
        (raw, batch): (&[Bytes], usize),
        payloads: &[Payload],
        newcomers: &[Attacker],
    ) -> Result<Seen> {
        let signal = Signal::default();
        let mut seen = std::thread::scope(|scope| -> Result<Seen> {
            let mut attackers = Vec::new();
            for number in 0..args.clients {
                let (client, signal) = (self.process.connect()?, &signal);
                attackers
                    .push(scope.spawn(move || flood(client, raw, batch, (number, args.clients), signal)));
            }
            let followed = self.follow(args, payloads, newcomers, &signal);
            signal.stop.store(true, Ordering::Relaxed);
            let mut seen = followed?;
            for attacker in attackers {
                let flooded = attacker.join().map_err(|_| eyre!("an attacker panicked"))??;
                seen.sent += flooded.sent;
                seen.taken += flooded.taken;
                for (reason, count) in flooded.refusals {
                    *seen.refusals.entry(reason).or_default() += count;
                }
            }
            Ok(seen)
        })?;
        let status = self.result("txpool_status", &json!([]))?;
        let number = |name: &str| {
            status[name].as_str().and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok())
        };
        (seen.pending, seen.queued) =
            (number("pending").unwrap_or_default(), number("queued").unwrap_or_default());
        seen.memory = self.process.memory_bytes();
        seen.honest_max = self.sent.len();
        for hash in self.sent.clone() {
            seen.honest += usize::from(!self.result("eth_getTransactionByHash", &json!([hash]))?.is_null());
        }
        Ok(seen)
    }

    fn follow(
        &mut self,
        args: &PoolArgs,
        payloads: &[Payload],
        newcomers: &[Attacker],
        signal: &Signal,
    ) -> Result<Seen> {
        let mut seen = Seen::default();
        for (position, payload) in payloads.iter().enumerate() {
            let rests = (position / TURN_BLOCKS).is_multiple_of(2);
            signal.attack.store(!rests, Ordering::Relaxed);
            let turn = Instant::now();
            std::thread::sleep(Duration::from_millis(args.pause));
            let (method, params) = &payload.call;
            let begun = Instant::now();
            let answer = self.engine.call(method, params)?;
            if rests { &mut seen.resting } else { &mut seen.payload }.push(begun.elapsed());
            ensure!(answer["result"]["status"] == "VALID", "{method}: {answer}");
            let state = json!({
                "headBlockHash": payload.hash,
                "safeBlockHash": payload.hash,
                "finalizedBlockHash": format!("{:#066x}", 0),
            });
            let begun = Instant::now();
            let answer = self.engine.call("engine_forkchoiceUpdatedV3", &json!([state, null]))?;
            if !rests {
                seen.choice.push(begun.elapsed());
                seen.seconds += turn.elapsed().as_secs_f64();
            }
            ensure!(answer["result"]["payloadStatus"]["status"] == "VALID", "forkchoice: {answer}");
            if position == payloads.len() / 2 {
                self.send_honest(newcomers)?;
            }
        }
        Ok(seen)
    }
}

/// What attackers are to do.
#[derive(Debug, Default)]
struct Signal {
    attack: AtomicBool,
    stop: AtomicBool,
}

/// Sends transactions again and again, beginning at a place of one's own.
fn flood(
    mut client: EngineClient,
    raw: &[Bytes],
    batch: usize,
    (number, clients): (usize, usize),
    signal: &Signal,
) -> Result<Seen> {
    // Only for measuring: without it the figures are worse.
    let _ = rustix::process::nice(CLIENTS_NICE);
    let mut seen = Seen::default();
    let mut position = raw.len() / clients * number;
    while !signal.stop.load(Ordering::Relaxed) {
        if !signal.attack.load(Ordering::Relaxed) {
            std::thread::sleep(REST);
            continue;
        }
        let request = |offset: usize| {
            let bytes = &raw[(position + offset) % raw.len()];
            let params = [hex::encode_prefixed(bytes)];
            json!({ "jsonrpc": "2.0", "id": offset, "method": "eth_sendRawTransaction", "params": params })
        };
        let body: Vec<Value> = (0..batch).map(request).collect();
        position += batch;
        let reply = client.exchange(&json!(body).to_string())?;
        let answers: Value = serde_json::from_slice(&reply.body)
            .wrap_err_with(|| format!("status {}: {}", reply.status, String::from_utf8_lossy(&reply.body)))?;
        let answers = answers.as_array().cloned().unwrap_or_else(|| vec![answers]);
        for answer in answers {
            seen.sent += 1;
            match answer["error"]["message"].as_str() {
                None => seen.taken += 1,
                Some(message) => {
                    // Amounts and hashes differ from one to another.
                    let reason = message.split([':', ',']).next().unwrap_or_default().to_owned();
                    *seen.refusals.entry(reason).or_default() += 1;
                }
            }
        }
    }
    Ok(seen)
}
