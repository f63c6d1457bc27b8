//! What a chain has that can be asked for.

use std::collections::BTreeMap;

use eyre::{Result, ensure, eyre};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::client::Client;

/// Blocks that are looked at to find addresses, transactions and topics.
const SAMPLED: u64 = 64;

/// Recipients that are tried to find one with few hits.
const TRIED: usize = 64;

/// Hits from which on a recipient is not rare.
const MANY: usize = 20;

/// What the chain has that can be asked for.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub head: u64,
    /// Senders.
    pub users: Vec<String>,
    /// Token contracts and somebody whose balance to ask for.
    pub calls: Vec<(String, String)>,
    pub transactions: Vec<String>,
    /// A topic that is in most blocks.
    pub topic: Option<Topic>,
    /// An address that logs seldom.
    pub sparse: Option<String>,
    /// Somebody who seldom receives ether.
    pub receiver: Option<Hits>,
    /// Somebody, as a topic, who seldom receives tokens.
    pub token_receiver: Option<Hits>,
    /// The last transaction of the heaviest block that was looked at.
    pub heaviest: String,
}

/// A topic, and how many logs of a block have it on average.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub topic: String,
    pub per_block: f64,
}

/// Whom a search finds where.
#[derive(Debug, Clone)]
pub(super) struct Hits {
    pub whom: String,
    pub count: usize,
    pub first_block: u64,
    pub last_block: u64,
}

impl Hits {
    /// From the results of a search.
    fn of(whom: &str, found: &Value, block_number: impl Fn(&Value) -> Option<u64>) -> Option<Self> {
        let found = found.as_array()?;
        let blocks = || found.iter().filter_map(&block_number);
        let (first_block, last_block) = (blocks().min()?, blocks().max()?);
        Some(Self { whom: whom.to_owned(), count: found.len(), first_block, last_block })
    }

    /// Whether this one says more of whether time goes with the range: fewer hits, closer together.
    fn is_rarer(&self, other: &Self) -> bool {
        let rarity = |hits: &Self| (hits.count, hits.last_block - hits.first_block);
        rarity(self) < rarity(other)
    }
}

/// What is seen in the blocks that are looked at.
#[derive(Debug, Default)]
struct Seen {
    heaviest_gas: u64,
    topics: BTreeMap<String, u64>,
    loggers: BTreeMap<String, u64>,
    receivers: Vec<String>,
    token_receivers: Vec<String>,
}

impl Sample {
    /// Looks at blocks all over the chain.
    pub async fn take(client: &Client) -> Result<Self> {
        let head = number(&client.result("eth_blockNumber", &json!([])).await?)?;
        ensure!(head >= 16, "the chain has {head} blocks: too few to measure anything");
        let mut random = StdRng::seed_from_u64(1);
        let mut sample = Self {
            head,
            users: Vec::new(),
            calls: Vec::new(),
            transactions: Vec::new(),
            topic: None,
            sparse: None,
            receiver: None,
            token_receiver: None,
            heaviest: String::new(),
        };
        let mut seen = Seen::default();
        for _ in 0..SAMPLED {
            let block_number = hex(random.random_range(1..=head));
            let block = client.result("eth_getBlockByNumber", &json!([block_number, true])).await?;
            sample.add_block(&block, &mut seen)?;
            let logs = json!([{ "fromBlock": block_number, "toBlock": block_number }]);
            seen.add_logs(&client.result("eth_getLogs", &logs).await?);
        }
        ensure!(!sample.transactions.is_empty(), "no transactions were found");
        let dense = seen.topics.into_iter().max_by_key(|(_, count)| *count);
        sample.topic = dense.map(|(topic, count)| Topic { topic, per_block: count as f64 / SAMPLED as f64 });
        sample.sparse = seen.loggers.into_iter().min_by_key(|(_, count)| *count).map(|(address, _)| address);
        sample.receiver = rarest(client, &seen.receivers, "trace_filter", received).await;
        sample.token_receiver = rarest(client, &seen.token_receivers, "eth_getLogs", received_tokens).await;
        Ok(sample)
    }

    fn add_block(&mut self, block: &Value, seen: &mut Seen) -> Result<()> {
        let transactions = block["transactions"].as_array().map(Vec::as_slice).unwrap_or_default();
        for transaction in transactions {
            let (from, to) = (text(&transaction["from"]), text(&transaction["to"]));
            self.transactions.extend(text(&transaction["hash"]));
            self.users.extend(from.clone());
            let input_len = transaction["input"].as_str().map_or(0, str::len);
            match (to, from) {
                (Some(to), _) if input_len == "0x".len() => seen.receivers.push(to),
                (Some(to), Some(from)) if input_len == TOKEN_CALL_LEN => self.calls.push((to, from)),
                _ => {}
            }
        }
        let gas = number(&block["gasUsed"])?;
        if let Some(last) = transactions.last()
            && gas > seen.heaviest_gas
        {
            seen.heaviest_gas = gas;
            self.heaviest = text(&last["hash"]).unwrap_or_default();
        }
        Ok(())
    }
}

/// Characters of a call with two arguments, as `transfer` has.
const TOKEN_CALL_LEN: usize = "0x".len() + 2 * (4 + 32 + 32);

impl Seen {
    fn add_logs(&mut self, logs: &Value) {
        for log in logs.as_array().into_iter().flatten() {
            if let Some(topic) = text(&log["topics"][0]) {
                *self.topics.entry(topic).or_default() += 1;
            }
            if let Some(address) = text(&log["address"]) {
                *self.loggers.entry(address).or_default() += 1;
            }
            self.token_receivers.extend(text(&log["topics"][2]));
        }
    }
}

/// Whoever of some receivers is found least often; those that are found too often for one answer are not looked for.
async fn rarest(
    client: &Client,
    receivers: &[String],
    method: &str,
    search: fn(&str, std::ops::RangeInclusive<u64>) -> Value,
) -> Option<Hits> {
    let mut rarest: Option<Hits> = None;
    let step = receivers.len().div_ceil(TRIED).max(1);
    for whom in receivers.iter().step_by(step) {
        let mut params = search(whom, 0..=u64::MAX);
        // Logs are found without executing anything, and the method knows no such member.
        params[0]["count"] = json!(MANY);
        let Ok(found) = client.result(method, &params).await else { continue };
        let block_number =
            |hit: &Value| hit["blockNumber"].as_u64().or_else(|| number(&hit["blockNumber"]).ok());
        let Some(hits) = Hits::of(whom, &found, block_number) else { continue };
        if hits.count >= MANY {
            continue;
        }
        if rarest.as_ref().is_none_or(|rarest| hits.is_rarer(rarest)) {
            rarest = Some(hits);
        }
    }
    rarest
}

/// A search for the calls that reach somebody.
pub(super) fn received(whom: &str, blocks: std::ops::RangeInclusive<u64>) -> Value {
    let (from, to) = ends(blocks);
    json!([{ "fromBlock": from, "toBlock": to, "toAddress": [whom] }])
}

/// A search for the logs of transfers to somebody.
pub(super) fn received_tokens(whom: &str, blocks: std::ops::RangeInclusive<u64>) -> Value {
    let (from, to) = ends(blocks);
    json!([{ "fromBlock": from, "toBlock": to, "topics": [null, null, whom] }])
}

/// The ends of a range as parameters; no block has the last number.
fn ends(blocks: std::ops::RangeInclusive<u64>) -> (String, String) {
    let end = if *blocks.end() == u64::MAX { "latest".to_owned() } else { hex(*blocks.end()) };
    (hex(*blocks.start()), end)
}

pub(super) fn hex(number: u64) -> String {
    format!("{number:#x}")
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Result<u64> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.ok_or_else(|| eyre!("{value} is not a quantity"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}
