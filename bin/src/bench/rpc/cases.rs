//! What is asked: parameters taken from the chain itself.

use std::{collections::BTreeMap, sync::Arc};

use eyre::{Result, ensure, eyre};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::client::{Ask, Client};

/// Blocks that are looked at to find addresses, transactions and topics.
const SAMPLED: usize = 64;

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
    pub topic: Option<String>,
    /// An address that logs seldom.
    pub sparse: Option<String>,
    /// The last transaction of the heaviest block that was looked at.
    pub heaviest: String,
}

/// One row of the table.
pub(super) struct Case {
    pub name: &'static str,
    pub ask: Ask,
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
            heaviest: String::new(),
        };
        let (mut heaviest_gas, mut topics, mut loggers) = (0, BTreeMap::new(), BTreeMap::new());
        for _ in 0..SAMPLED {
            let block_number = random.random_range(1..=head);
            let block = client.result("eth_getBlockByNumber", &json!([hex(block_number), true])).await?;
            let transactions = block["transactions"].as_array().cloned().unwrap_or_default();
            for transaction in &transactions {
                sample.transactions.extend(text(&transaction["hash"]));
                sample.users.extend(text(&transaction["from"]));
                let is_token_call = text(&transaction["input"]).is_some_and(|input| input.len() == 138);
                if let (true, Some(to), Some(from)) =
                    (is_token_call, text(&transaction["to"]), text(&transaction["from"]))
                {
                    sample.calls.push((to, from));
                }
            }
            let gas = number(&block["gasUsed"])?;
            if let Some(last) = transactions.last()
                && gas > heaviest_gas
            {
                heaviest_gas = gas;
                sample.heaviest = text(&last["hash"]).unwrap_or_default();
            }
            let logs = json!([{ "fromBlock": hex(block_number), "toBlock": hex(block_number) }]);
            for log in client.result("eth_getLogs", &logs).await?.as_array().into_iter().flatten() {
                if let Some(topic) = text(&log["topics"][0]) {
                    *topics.entry(topic).or_insert(0u64) += 1;
                }
                if let Some(address) = text(&log["address"]) {
                    *loggers.entry(address).or_insert(0u64) += 1;
                }
            }
        }
        ensure!(!sample.transactions.is_empty(), "no transactions were found");
        sample.topic = topics.into_iter().max_by_key(|(_, count)| *count).map(|(topic, _)| topic);
        sample.sparse = loggers.into_iter().min_by_key(|(_, count)| *count).map(|(address, _)| address);
        Ok(sample)
    }

    fn balance(&self, block: impl Fn(&mut StdRng) -> String + Send + Sync + 'static) -> Ask {
        let users = self.users.clone();
        Arc::new(move |random| ("eth_getBalance", json!([users.choose(random), block(random)])))
    }

    fn call(&self, block: impl Fn(&mut StdRng) -> String + Send + Sync + 'static) -> Ask {
        let calls = self.calls.clone();
        Arc::new(move |random| {
            let (to, holder) = calls.choose(random).cloned().unwrap_or_default();
            let data = format!("0x70a08231{:0>64}", holder.trim_start_matches("0x"));
            ("eth_call", json!([{ "to": to, "data": data }, block(random)]))
        })
    }

    fn of_transaction(&self, method: &'static str, options: Value) -> Ask {
        let transactions = self.transactions.clone();
        Arc::new(move |random| (method, json!([transactions.choose(random), options])))
    }

    fn of_block(&self, method: &'static str, more: Vec<Value>) -> Ask {
        let head = self.head;
        Arc::new(move |random| {
            let mut params = vec![json!(hex(random.random_range(1..=head)))];
            params.extend(more.iter().cloned());
            (method, Value::Array(params))
        })
    }

    /// Everything that is measured, in the order of the table.
    pub fn cases(&self) -> Vec<Case> {
        let head = self.head;
        let tip = |_: &mut StdRng| "latest".to_owned();
        let old = move |random: &mut StdRng| hex(random.random_range(1..=head / 2));
        let call_tracer = json!({ "tracer": "callTracer" });
        let no_options = json!({});
        let mut cases = vec![
            Case { name: "getBalance at the tip", ask: self.balance(tip) },
            Case { name: "getBalance at old blocks", ask: self.balance(old) },
            Case {
                name: "getBlockByNumber, full",
                ask: self.of_block("eth_getBlockByNumber", vec![json!(true)]),
            },
            Case {
                name: "traceTransaction callTracer",
                ask: self.of_transaction("debug_traceTransaction", call_tracer.clone()),
            },
            Case {
                name: "traceTransaction struct log",
                ask: self.of_transaction("debug_traceTransaction", no_options.clone()),
            },
            Case { name: "  last of the heaviest block", ask: self.heaviest(call_tracer) },
            Case { name: "trace_block", ask: self.of_block("trace_block", Vec::new()) },
            Case {
                name: "replayBlockTransactions",
                ask: self.of_block(
                    "trace_replayBlockTransactions",
                    vec![json!(["trace", "stateDiff", "vmTrace"])],
                ),
            },
            Case { name: "trace_filter, one address, all", ask: self.trace_filter() },
            Case { name: "getProof at the tip", ask: self.proof(tip) },
            Case {
                name: "getProof 100 blocks back",
                ask: self.proof(move |_| hex(head.saturating_sub(100))),
            },
        ];
        if !self.calls.is_empty() {
            let calls = [
                Case { name: "eth_call at the tip", ask: self.call(tip) },
                Case { name: "eth_call at old blocks", ask: self.call(old) },
            ];
            cases.splice(2..2, calls);
        }
        if let (Some(address), Some(topic)) = (&self.sparse, &self.topic) {
            let (address, topic) = (address.clone(), topic.clone());
            let sparse = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": address }]);
            cases.push(Case {
                name: "getLogs, sparse address, all",
                ask: Arc::new(move |_| ("eth_getLogs", sparse.clone())),
            });
            let span = head.min(1000);
            cases.push(Case {
                name: "getLogs, dense topic, 1000 blocks",
                ask: Arc::new(move |random| {
                    let from = random.random_range(0..=head - span);
                    let filter =
                        json!([{ "fromBlock": hex(from), "toBlock": hex(from + span), "topics": [topic] }]);
                    ("eth_getLogs", filter)
                }),
            });
        }
        cases
    }

    fn heaviest(&self, options: Value) -> Ask {
        let hash = self.heaviest.clone();
        Arc::new(move |_| ("debug_traceTransaction", json!([hash, options])))
    }

    fn trace_filter(&self) -> Ask {
        let user = self.users.first().cloned();
        Arc::new(move |_| ("trace_filter", json!([{ "fromAddress": [user] }])))
    }

    fn proof(&self, block: impl Fn(&mut StdRng) -> String + Send + Sync + 'static) -> Ask {
        let users = self.users.clone();
        Arc::new(move |random| ("eth_getProof", json!([users.choose(random), [], block(random)])))
    }

    /// The heaviest calls, mixed.
    pub fn heaviest_calls(&self) -> Ask {
        let (head, transactions, topic) = (self.head, self.transactions.clone(), self.topic.clone());
        Arc::new(move |random| match random.random_range(0..5) {
            0 => {
                let block = hex(random.random_range(1..=head));
                ("trace_replayBlockTransactions", json!([block, ["trace", "vmTrace", "stateDiff"]]))
            }
            1 => ("debug_traceBlockByNumber", json!([hex(random.random_range(1..=head)), {}])),
            2 => ("debug_traceTransaction", json!([transactions.choose(random), {}])),
            3 => ("trace_filter", json!([{ "fromBlock": "0x1", "toBlock": "latest" }])),
            _ => {
                let filter = json!([{ "fromBlock": "0x0", "toBlock": "latest", "topics": [topic] }]);
                ("eth_getLogs", filter)
            }
        })
    }

    /// What must stay fast.
    pub fn cheap_calls(&self) -> Ask {
        let (users, head) = (self.users.clone(), self.head);
        Arc::new(move |random| match random.random_range(0..3) {
            0 => ("eth_blockNumber", json!([])),
            1 => ("eth_getBalance", json!([users.choose(random), "latest"])),
            _ => ("eth_getBlockByNumber", json!([hex(random.random_range(1..=head)), false])),
        })
    }
}

fn hex(number: u64) -> String {
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
