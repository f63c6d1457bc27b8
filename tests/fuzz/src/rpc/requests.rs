//! Requests that bytes choose: a method of the node's own description, and arguments of the kinds that it names, of
//! other kinds, and of none.

use std::sync::OnceLock;

use alloy_primitives::{Address, B256};
use portico_generator::GeneratedBlock;
use serde_json::{Map, Value, json};

/// Calls of a batch, at most.
const BATCH_MAX: usize = 3;
/// How deep objects lie in each other.
const DEPTH_MAX: usize = 3;

/// Code that never ends, that fails, that makes contracts, that uses much memory, and none.
const CODES: [&str; 6] =
    ["0x5b600056", "0xfe", "0x60006000f0", "0x6000633fffffff52", "0x3d6000fd5f5ff3", "0x"];

const NUMBERS: [&str; 14] = [
    "0x0",
    "0x1",
    "0x2",
    "0x5",
    "0x6",
    "0x7",
    "0x64",
    "0xff",
    "0xffffffff",
    "0x7fffffffffffffff",
    "0xffffffffffffffff",
    "0x10000000000000000",
    "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0x00",
];

const TAGS: [&str; 6] = ["latest", "earliest", "pending", "safe", "finalized", "nonsense"];

const WORDS: [&str; 14] = [
    "",
    "0x",
    "0x0",
    "trace",
    "vmTrace",
    "stateDiff",
    "legacy",
    "canonical",
    "Headers",
    "AccountHistory/0x00",
    "\u{1f600}\u{0}\"",
    "0xzz",
    "union",
    "0x68656c6c6f",
];

const TRACERS: [&str; 14] = [
    "callTracer",
    "flatCallTracer",
    "prestateTracer",
    "4byteTracer",
    "muxTracer",
    "noopTracer",
    "erc7562Tracer",
    "keccak256PreimageTracer",
    "unigramTracer",
    "nonsense",
    "{",
    "{fault(){},result(){return this}}",
    "{a:[],step(l){this.a.push(l.op.toString())},fault(){},result(){return this.a}}",
    "{step(l,d){throw l},fault(){},result(c,d){for(;;){}}}",
];

/// Members of objects that methods take.
const MEMBERS: [&str; 56] = [
    "from",
    "to",
    "gas",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "maxFeePerBlobGas",
    "value",
    "data",
    "input",
    "nonce",
    "chainId",
    "type",
    "accessList",
    "authorizationList",
    "blobVersionedHashes",
    "blobs",
    "blockHash",
    "blockNumber",
    "requireCanonical",
    "fromBlock",
    "toBlock",
    "address",
    "topics",
    "fromAddress",
    "toAddress",
    "after",
    "count",
    "mode",
    "tracer",
    "tracerConfig",
    "timeout",
    "limit",
    "enableMemory",
    "disableStack",
    "disableStorage",
    "enableReturnData",
    "txIndex",
    "stateOverrides",
    "blockOverrides",
    "balance",
    "code",
    "state",
    "stateDiff",
    "movePrecompileToAddress",
    "number",
    "time",
    "gasLimit",
    "baseFeePerGas",
    "transactions",
    "blockOverride",
    "transactionIndex",
    "blockStateCalls",
    "calls",
    "validation",
    "traceTransfers",
];

/// What is there to be asked for.
#[derive(Debug)]
pub(super) struct Sample {
    addresses: Vec<Address>,
    hashes: Vec<B256>,
    blocks: Vec<String>,
    methods: OnceLock<Vec<Method>>,
}

#[derive(Debug)]
struct Method {
    name: String,
    /// The schema of each parameter.
    params: Vec<Value>,
}

impl Sample {
    pub fn of(blocks: &[GeneratedBlock]) -> Self {
        let mut addresses: Vec<Address> = blocks.iter().flat_map(|block| block.senders.clone()).collect();
        let logs = blocks.iter().flat_map(|block| &block.receipts).flat_map(|receipt| receipt.logs());
        addresses.extend(logs.map(|log| log.address));
        addresses.sort_unstable();
        addresses.dedup();
        addresses.extend([Address::ZERO, Address::with_last_byte(4), Address::repeat_byte(0xee)]);
        let transactions = blocks.iter().flat_map(|block| &block.block.body.transactions);
        let mut hashes: Vec<B256> = transactions.map(|transaction| *transaction.tx_hash()).collect();
        hashes.extend(blocks.iter().map(|block| block.hash));
        hashes.extend([B256::ZERO, B256::with_last_byte(1), B256::repeat_byte(0xff)]);
        let mut raw: Vec<Vec<u8>> = blocks.iter().map(|block| alloy_rlp::encode(&block.block)).collect();
        let transactions = blocks.iter().flat_map(|block| &block.block.body.transactions);
        raw.extend(transactions.map(alloy_eips::eip2718::Encodable2718::encoded_2718));
        let blocks = raw.iter().map(alloy_primitives::hex::encode_prefixed).collect();
        Self { addresses, hashes, blocks, methods: OnceLock::new() }
    }

    /// All methods, as the node describes them.
    fn methods(&self) -> &[Method] {
        self.methods.get_or_init(|| {
            let answer = super::served().ask(br#"{"jsonrpc":"2.0","id":1,"method":"rpc_discover"}"#);
            let answer = answer.expect("an answer that comes in time");
            let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
            let described = answer["result"]["methods"].as_array().expect("a list of methods");
            let methods = described.iter().map(|method| {
                let params = method["params"].as_array().into_iter().flatten();
                Method {
                    name: method["name"].as_str().unwrap_or_default().to_owned(),
                    params: params.map(|param| param["schema"].clone()).collect(),
                }
            });
            methods.collect()
        })
    }
}

/// Makes a request from bytes; what is missing of them is zero.
pub(super) struct Requests<'a> {
    sample: &'a Sample,
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Requests<'a> {
    pub fn new(sample: &'a Sample, bytes: &'a [u8]) -> Self {
        Self { sample, bytes: bytes.iter() }
    }

    fn byte(&mut self) -> usize {
        self.bytes.next().copied().unwrap_or_default().into()
    }

    fn choose<T>(&mut self, from: &'a [T]) -> &'a T {
        // Two bytes: there are more than 256 of some things.
        let choice = self.byte() << 8 | self.byte();
        &from[choice % from.len()]
    }

    /// A call, or a few of them.
    pub fn body(&mut self) -> Value {
        match self.byte() % 8 {
            0 => {
                let calls = 1 + self.byte() % BATCH_MAX;
                (0..calls).map(|_| self.call()).collect()
            }
            _ => self.call(),
        }
    }

    fn call(&mut self) -> Value {
        let sample = self.sample;
        let method = self.choose(sample.methods());
        let given = match self.byte() % 8 {
            0 => self.byte() % 6,
            1 => 0,
            _ => method.params.len(),
        };
        let params: Vec<Value> =
            (0..given).map(|position| self.argument(method.params.get(position))).collect();
        json!({ "jsonrpc": "2.0", "id": 1, "method": method.name, "params": params })
    }

    /// An argument: mostly of the kind that the schema names.
    fn argument(&mut self, schema: Option<&Value>) -> Value {
        let Some(schema) = schema.filter(|_| !self.byte().is_multiple_of(8)) else { return self.anything(0) };
        if schema["type"] == "array" {
            let count = self.byte() % 4;
            return (0..count).map(|_| self.argument(Some(&schema["items"]))).collect();
        }
        let title = schema["title"].as_str().unwrap_or_default();
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        match () {
            () if pattern.contains("{64}") => self.hash(),
            () if pattern.contains("{40}") => self.address(),
            () if pattern.contains("{2}") => self.data(),
            () if title.starts_with("block number") => self.block(),
            () if !pattern.is_empty() || title == "Number" || schema["type"] == "integer" => self.number(),
            () if schema["type"] == "boolean" => json!(self.byte().is_multiple_of(2)),
            () if schema["type"] == "string" || title == "TraceType" => json!(self.choose(&WORDS)),
            () if title.contains("Tracing") => self.tracing(),
            () if title.starts_with('(') => json!([self.object(0), self.anything(1)]),
            () => self.object(0),
        }
    }

    fn block(&mut self) -> Value {
        match self.byte() % 8 {
            0 => json!(self.choose(&TAGS)),
            1 => self.hash(),
            2 => json!({ "blockHash": self.hash(), "requireCanonical": self.byte().is_multiple_of(2) }),
            3 => json!({ "blockNumber": self.choose(&NUMBERS) }),
            _ => json!(NUMBERS[self.byte() % 6]),
        }
    }

    fn hash(&mut self) -> Value {
        json!(self.choose(&self.sample.hashes))
    }

    fn address(&mut self) -> Value {
        json!(self.choose(&self.sample.addresses))
    }

    fn data(&mut self) -> Value {
        match self.byte() % 3 {
            0 => json!(self.choose(&self.sample.blocks)),
            1 => json!(self.choose(&CODES)),
            _ => {
                let length = self.byte() % 70;
                let bytes: Vec<u8> = (0..length).map(|_| self.byte() as u8).collect();
                json!(alloy_primitives::hex::encode_prefixed(bytes))
            }
        }
    }

    fn number(&mut self) -> Value {
        match self.byte() % 6 {
            0 => json!(self.byte()),
            1 => json!(u64::MAX),
            2 => json!(-1),
            3 => json!(1.5),
            _ => json!(self.choose(&NUMBERS)),
        }
    }

    fn tracing(&mut self) -> Value {
        let mut options = match self.object(1) {
            Value::Object(options) => options,
            _ => Map::new(),
        };
        if !self.byte().is_multiple_of(4) {
            options.insert("tracer".to_owned(), json!(self.choose(&TRACERS)));
        }
        Value::Object(options)
    }

    fn object(&mut self, depth: usize) -> Value {
        let count = self.byte() % 6;
        let mut members = Map::new();
        for _ in 0..count {
            let name = *self.choose(&MEMBERS);
            members.insert(name.to_owned(), self.member(name, depth));
        }
        if self.byte().is_multiple_of(16) {
            members.insert(self.address().as_str().unwrap_or_default().to_owned(), self.anything(depth + 1));
        }
        Value::Object(members)
    }

    /// Something that mostly fits the name.
    fn member(&mut self, name: &str, depth: usize) -> Value {
        if self.byte().is_multiple_of(8) {
            return self.anything(depth + 1);
        }
        match name {
            "from" | "to" | "movePrecompileToAddress" => self.address(),
            "address" | "fromAddress" | "toAddress" => json!([self.address()]),
            "data" | "input" | "code" => self.data(),
            "fromBlock" | "toBlock" | "blockNumber" => json!(NUMBERS[self.byte() % 8]),
            "blockHash" => self.hash(),
            "topics" | "blobVersionedHashes" => json!([null, self.hash(), [self.hash(), self.hash()]]),
            "tracer" => json!(self.choose(&TRACERS)),
            "timeout" => json!("100ms"),
            "validation" | "traceTransfers" | "requireCanonical" => json!(self.byte().is_multiple_of(2)),
            "enableMemory" | "disableStack" | "disableStorage" | "enableReturnData" => {
                json!(self.byte().is_multiple_of(2))
            }
            "stateOverrides" | "state" | "stateDiff" => {
                json!({ self.address().as_str().unwrap_or_default(): self.object_below(depth) })
            }
            "transactions" | "blockStateCalls" | "calls" | "accessList" | "authorizationList" => {
                json!([self.object_below(depth)])
            }
            "tracerConfig" | "blockOverrides" | "blockOverride" => self.object_below(depth),
            _ => self.number(),
        }
    }

    fn object_below(&mut self, depth: usize) -> Value {
        if depth >= DEPTH_MAX { Value::Null } else { self.object(depth + 1) }
    }

    fn anything(&mut self, depth: usize) -> Value {
        let kinds = if depth >= DEPTH_MAX { 9 } else { 12 };
        match self.byte() % kinds {
            0 => Value::Null,
            1 => json!(self.byte().is_multiple_of(2)),
            2 => self.number(),
            3 => json!(self.choose(&WORDS)),
            4 => self.block(),
            5 => self.hash(),
            6 => self.address(),
            7 => self.data(),
            8 => json!(self.choose(&NUMBERS)),
            9 => self.object(depth),
            10 => self.tracing(),
            _ => {
                let count = self.byte() % 4;
                (0..count).map(|_| self.anything(depth + 1)).collect()
            }
        }
    }
}
