//! What is asked: parameters taken from the chain itself.

use std::{ops::RangeInclusive, sync::Arc};

use portico_query::QuerySettings;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::{
    client::Ask,
    sample::{Hits, Sample, Topic, hex, received, received_tokens},
};

/// Blocks that the case of a dense topic covers.
const DENSE_BLOCKS: u64 = 1000;

/// One row of the table.
pub(super) struct Case {
    pub name: String,
    pub ask: Ask,
}

impl Case {
    fn new(name: impl Into<String>, ask: Ask) -> Self {
        Self { name: name.into(), ask }
    }

    /// The same parameters each time.
    fn fixed(name: impl Into<String>, method: &'static str, params: Value) -> Self {
        Self::new(name, Arc::new(move |_| vec![(method, params.clone())]))
    }
}

/// Where state is read.
type At = Arc<dyn Fn(&mut StdRng) -> String + Send + Sync>;

impl Sample {
    /// Everything that is measured, in the order of the table.
    pub fn cases(&self) -> Vec<Case> {
        let head = self.head;
        let tip: At = Arc::new(|_| "latest".to_owned());
        let old: At = Arc::new(move |random| hex(random.random_range(1..=head / 2)));
        let recent: At = Arc::new(move |_| hex(head.saturating_sub(100)));
        let mut cases = vec![
            Case::new("getBalance at the tip", self.balance(tip.clone())),
            Case::new("getBalance at old blocks", self.balance(old.clone())),
        ];
        if !self.calls.is_empty() {
            cases.push(Case::new("eth_call at the tip", self.call(tip.clone())));
            cases.push(Case::new("eth_call at old blocks", self.call(old)));
        }
        let call_tracer = json!({ "tracer": "callTracer" });
        let kinds = json!(["trace", "stateDiff", "vmTrace"]);
        let senders = json!([{ "fromAddress": [self.users.first()] }]);
        cases.extend([
            Case::new("getBlockByNumber, full", self.of_block("eth_getBlockByNumber", vec![json!(true)])),
            Case::new(
                "traceTransaction callTracer",
                self.of_transaction("debug_traceTransaction", call_tracer.clone()),
            ),
            Case::new(
                "traceTransaction struct log",
                self.of_transaction("debug_traceTransaction", json!({})),
            ),
            Case::fixed(
                "  last of the heaviest block",
                "debug_traceTransaction",
                json!([self.heaviest, call_tracer]),
            ),
            Case::fixed("  the same, struct log", "debug_traceTransaction", json!([self.heaviest, {}])),
            Case::new("trace_block", self.of_block("trace_block", Vec::new())),
            Case::new("replayBlockTransactions", self.of_block("trace_replayBlockTransactions", vec![kinds])),
            Case::fixed("trace_filter, one sender, all blocks", "trace_filter", senders),
            Case::new("getProof at the tip", self.proof(tip)),
            Case::new("getProof 100 blocks back", self.proof(recent)),
            Case::new("executionWitness, last 100 blocks", self.witness()),
        ]);
        if let Some(hits) = &self.receiver {
            cases.extend(self.over_ranges("trace_filter", hits, received));
        }
        if let Some(address) = &self.sparse {
            let filter = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": address }]);
            cases.push(Case::fixed("getLogs, sparse address, all blocks", "eth_getLogs", filter));
        }
        if let Some(hits) = &self.token_receiver {
            cases.extend(self.over_ranges("eth_getLogs", hits, received_tokens));
        }
        cases.extend(self.topic.as_ref().map(|topic| self.dense(topic)));
        cases
    }

    fn balance(&self, at: At) -> Ask {
        let users = self.users.clone();
        Arc::new(move |random| vec![("eth_getBalance", json!([users.choose(random), at(random)]))])
    }

    fn call(&self, at: At) -> Ask {
        let calls = self.calls.clone();
        Arc::new(move |random| {
            let (to, holder) = calls.choose(random).cloned().unwrap_or_default();
            let data = format!("0x70a08231{:0>64}", holder.trim_start_matches("0x"));
            vec![("eth_call", json!([{ "to": to, "data": data }, at(random)]))]
        })
    }

    fn proof(&self, at: At) -> Ask {
        let users = self.users.clone();
        Arc::new(move |random| vec![("eth_getProof", json!([users.choose(random), [], at(random)]))])
    }

    fn witness(&self) -> Ask {
        let head = self.head;
        Arc::new(move |random| {
            let block = random.random_range(head.saturating_sub(100).max(1)..=head);
            vec![("debug_executionWitness", json!([hex(block)]))]
        })
    }

    fn of_transaction(&self, method: &'static str, options: Value) -> Ask {
        let transactions = self.transactions.clone();
        Arc::new(move |random| vec![(method, json!([transactions.choose(random), options]))])
    }

    fn of_block(&self, method: &'static str, more: Vec<Value>) -> Ask {
        let head = self.head;
        Arc::new(move |random| {
            let mut params = vec![json!(hex(random.random_range(1..=head)))];
            params.extend(more.iter().cloned());
            vec![(method, Value::Array(params))]
        })
    }

    /// The same hits, looked for where they are and in more and more blocks around them.
    fn over_ranges(
        &self,
        method: &'static str,
        hits: &Hits,
        search: fn(&str, RangeInclusive<u64>) -> Value,
    ) -> Vec<Case> {
        let span = hits.last_block - hits.first_block + 1;
        let mut sizes: Vec<u64> = [span, 100, 1000, 10_000, self.head].into();
        sizes.retain(|size| *size >= span && *size <= self.head);
        sizes.dedup();
        let cases = sizes.into_iter().map(|size| {
            let from = hits.first_block.min(self.head - size);
            let to = (from + size - 1).max(hits.last_block);
            let name = format!("{}, {} hits in {size} blocks", short(method), hits.count);
            Case::fixed(name, method, search(&hits.whom, from..=to))
        });
        cases.collect()
    }

    /// A topic that is in most blocks: as many calls as it takes for their logs to be within the limit of each.
    fn dense(&self, topic: &Topic) -> Case {
        // Blocks differ: half the limit on average stays below it.
        let page_logs = QuerySettings::default().log_results_max as f64 / 2.0;
        let page = ((page_logs / topic.per_block) as u64).clamp(1, DENSE_BLOCKS);
        let span = DENSE_BLOCKS.min(self.head);
        let (head, topic) = (self.head, topic.topic.clone());
        let calls = span.div_ceil(page);
        let name = format!("getLogs, dense topic, {span} blocks in {calls} calls");
        let ask = move |random: &mut StdRng| {
            let first = random.random_range(1..=head - span + 1);
            let pages = (first..first + span).step_by(page as usize).map(|from| {
                let to = (from + page).min(first + span) - 1;
                let filter = json!([{ "fromBlock": hex(from), "toBlock": hex(to), "topics": [topic] }]);
                ("eth_getLogs", filter)
            });
            pages.collect()
        };
        Case::new(name, Arc::new(ask))
    }

    /// The heaviest calls, mixed.
    pub fn heaviest_calls(&self) -> Ask {
        let (head, transactions) = (self.head, self.transactions.clone());
        let topic = self.topic.as_ref().map(|topic| topic.topic.clone());
        Arc::new(move |random| {
            let block = hex(random.random_range(1..=head));
            vec![match random.random_range(0..5) {
                0 => ("trace_replayBlockTransactions", json!([block, ["trace", "vmTrace", "stateDiff"]])),
                1 => ("debug_traceBlockByNumber", json!([block, {}])),
                2 => ("debug_traceTransaction", json!([transactions.choose(random), {}])),
                3 => ("trace_filter", json!([{ "fromBlock": "0x1", "toBlock": "latest" }])),
                _ => {
                    let filter = json!([{ "fromBlock": "0x0", "toBlock": "latest", "topics": [topic] }]);
                    ("eth_getLogs", filter)
                }
            }]
        })
    }

    /// What must stay fast.
    pub fn cheap_calls(&self) -> Ask {
        let (users, head) = (self.users.clone(), self.head);
        Arc::new(move |random| {
            vec![match random.random_range(0..3) {
                0 => ("eth_blockNumber", json!([])),
                1 => ("eth_getBalance", json!([users.choose(random), "latest"])),
                _ => ("eth_getBlockByNumber", json!([hex(random.random_range(1..=head)), false])),
            }]
        })
    }
}

/// A method without the namespace that everybody knows.
fn short(method: &str) -> &str {
    method.strip_prefix("eth_").unwrap_or(method)
}
