//! Absurd arguments: every answer is a result or an error that is the caller's, never ours.

use std::time::Duration;

use portico_query::QuerySettings;
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

const CHAIN: &str = "execution-apis/chain-54-osaka-bpo";
const EMITTER: &str = "0x7dcd17433742f4c0ca53122ab541d0ba67fc27df";
/// Random calls of each method.
const CALLS: usize = 150;
/// Methods with the kinds of their arguments.
const METHODS: [(&str, &[Kind]); 27] = [
    ("eth_call", &[Kind::Request, Kind::Block, Kind::State, Kind::Overrides]),
    ("eth_estimateGas", &[Kind::Request, Kind::Block, Kind::State, Kind::Overrides]),
    ("eth_createAccessList", &[Kind::Request, Kind::Block, Kind::State]),
    ("eth_fillTransaction", &[Kind::Request]),
    ("eth_callMany", &[Kind::Bundles, Kind::Within, Kind::State]),
    ("eth_callBundle", &[Kind::Words, Kind::Block, Kind::Number]),
    ("eth_simulateV1", &[Kind::Simulation, Kind::Block]),
    ("eth_feeHistory", &[Kind::Number, Kind::Block, Kind::Percentiles]),
    ("eth_getProof", &[Kind::Address, Kind::Words, Kind::Block]),
    ("eth_getAccount", &[Kind::Address, Kind::Block]),
    ("eth_getStorageValues", &[Kind::Slots, Kind::Block]),
    ("eth_getStorageAt", &[Kind::Address, Kind::Word, Kind::Block]),
    ("eth_getHeaderByNumber", &[Kind::Block]),
    ("eth_getHeaderByHash", &[Kind::Word]),
    ("eth_getRawTransactionByHash", &[Kind::Word]),
    ("eth_getRawTransactionByBlockNumberAndIndex", &[Kind::Block, Kind::Number]),
    ("eth_getRawTransactionByBlockHashAndIndex", &[Kind::Word, Kind::Number]),
    ("eth_getBlockAccessList", &[Kind::Block]),
    ("eth_newFilter", &[Kind::Filter]),
    ("eth_getLogs", &[Kind::Filter]),
    ("eth_getFilterChanges", &[Kind::Number]),
    ("eth_getFilterLogs", &[Kind::Number]),
    ("eth_uninstallFilter", &[Kind::Number]),
    ("eth_submitWork", &[Kind::Word, Kind::Word, Kind::Word]),
    ("eth_config", &[Kind::Number]),
    ("eth_capabilities", &[Kind::Number]),
    ("eth_gasPrice", &[Kind::Number]),
];

/// What an argument is supposed to be.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Address,
    Block,
    Bundles,
    Filter,
    Number,
    Overrides,
    Percentiles,
    Request,
    Simulation,
    Slots,
    State,
    Within,
    Word,
    Words,
}

struct Absurd(StdRng);

/// A field's name, and what makes values for it.
type Field<'a> = (&'a str, fn(&mut Absurd) -> Value);

impl Absurd {
    fn pick<T: Clone>(&mut self, values: &[T]) -> T {
        values.choose(&mut self.0).expect("there are some").clone()
    }

    fn number(&mut self) -> Value {
        let texts = [
            "0x0",
            "0x1",
            "0x2",
            "0x14",
            "0x36",
            "0x37",
            "0x5208",
            "0xffff",
            "0x2faf080",
            "0xffffffffffffffff",
            "0x10000000000000000",
            "0xffffffffffffffffffffffffffffffff",
            "0x",
            "-0x1",
            "0x00",
            "1",
            "latest",
        ];
        if self.0.random_ratio(1, 8) { self.nonsense() } else { self.pick(&texts).into() }
    }

    fn nonsense(&mut self) -> Value {
        self.pick(&[
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!(-1),
            json!(1.5),
            json!("é"),
            json!(u64::MAX),
        ])
    }

    fn block(&mut self) -> Value {
        let tags = [
            "earliest",
            "latest",
            "pending",
            "safe",
            "finalized",
            "0x0",
            "0x1",
            "0x14",
            "0x35",
            "0x36",
            "0x37",
        ];
        match self.0.random_range(0..8) {
            0 => self.number(),
            1 => json!({ "blockNumber": self.number() }),
            2 => json!({ "blockHash": self.word(), "requireCanonical": true }),
            3 => self.word(),
            _ => self.pick(&tags).into(),
        }
    }

    fn word(&mut self) -> Value {
        let known = "0xd226371d0b1551adb03fb52b71f08e3e11247fe9b1af994768af8cdaa8e7dcd7".to_owned();
        let words =
            [known, format!("0x{}", "0".repeat(64)), format!("0x{}", "f".repeat(64)), "0x1".to_owned()];
        if self.0.random_ratio(1, 10) { self.nonsense() } else { self.pick(&words).into() }
    }

    fn address(&mut self) -> Value {
        let addresses = [
            EMITTER,
            "0x0000000000000000000000000000000000000000",
            "0x0000000000000000000000000000000000000001",
            "0x0000000000000000000000000000000000000100",
            "0x0c2c51a0990aee1d73c1228de158688341557508",
            "0xffffffffffffffffffffffffffffffffffffffff",
            "0x000f3df6d732807ef1319fb7b8bb8522d0beac02",
        ];
        if self.0.random_ratio(1, 20) { self.nonsense() } else { self.pick(&addresses).into() }
    }

    fn known_address(&mut self) -> String {
        loop {
            if let Value::String(address) = self.address()
                && address.len() == 42
            {
                return address;
            }
        }
    }

    fn code(&mut self) -> Value {
        self.pick(&[
            "0x",
            "0x01",
            "0xfe",
            "0x5b600056",
            "0xef0100",
            "0x5f5f5ffd",
            "0x5f355f5260205ff3",
            "0x5f5f5f5f305aff",
            "0x60015f55",
            "0x4945405f5260205ff3",
        ])
        .into()
    }

    fn fields(&mut self, fields: &[Field<'_>], odds: u32) -> Value {
        let mut object = serde_json::Map::new();
        for (name, value) in fields {
            if self.0.random_ratio(1, odds) {
                object.insert((*name).to_owned(), value(self));
            }
        }
        Value::Object(object)
    }

    fn request(&mut self) -> Value {
        self.fields(
            &[
                ("from", Self::address),
                ("to", Self::address),
                ("to", Self::address),
                ("gas", Self::number),
                ("gasPrice", Self::number),
                ("maxFeePerGas", Self::number),
                ("maxPriorityFeePerGas", Self::number),
                ("maxFeePerBlobGas", Self::number),
                ("value", Self::number),
                ("nonce", Self::number),
                ("input", Self::code),
                ("chainId", Self::number),
                ("type", Self::number),
                ("blobVersionedHashes", Self::words),
                ("accessList", |_| json!([{ "address": EMITTER, "storageKeys": [] }])),
                ("authorizationList", |_| json!([])),
            ],
            5,
        )
    }

    fn words(&mut self) -> Value {
        let count = self.pick(&[0, 1, 2, 7]);
        (0..count).map(|_| self.word()).collect()
    }

    fn slots(&mut self) -> Value {
        let count = self.pick(&[0, 1, 3]);
        Value::Object((0..count).map(|_| (self.known_address(), self.words())).collect())
    }

    fn storage(&mut self) -> Value {
        let slot = format!("0x{}", "0".repeat(64));
        json!({ slot: self.word() })
    }

    fn state(&mut self) -> Value {
        let count = self.pick(&[0, 1, 3]);
        let account = |this: &mut Self| {
            this.fields(
                &[
                    ("balance", Self::number),
                    ("nonce", Self::number),
                    ("code", Self::code),
                    ("state", Self::storage),
                    ("stateDiff", Self::storage),
                    ("movePrecompileToAddress", Self::address),
                ],
                3,
            )
        };
        Value::Object((0..count).map(|_| (self.known_address(), account(self))).collect())
    }

    fn overrides(&mut self) -> Value {
        self.fields(
            &[
                ("number", Self::number),
                ("time", Self::number),
                ("gasLimit", Self::number),
                ("feeRecipient", Self::address),
                ("prevRandao", Self::word),
                ("baseFeePerGas", Self::number),
                ("blobBaseFee", Self::number),
                ("difficulty", Self::number),
                ("beaconRoot", Self::word),
                ("blockHash", |this| json!({ "7": this.word() })),
                ("withdrawals", |this| json!([{ "index": "0x0", "validatorIndex": "0x0", "address": EMITTER, "amount": this.number() }])),
            ],
            6,
        )
    }

    fn calls(&mut self) -> Value {
        let count = self.pick(&[0, 1, 3]);
        (0..count).map(|_| self.request()).collect()
    }

    fn simulation(&mut self) -> Value {
        let count = self.pick(&[0, 1, 1, 2, 4]);
        let block = |this: &mut Self| {
            this.fields(
                &[
                    ("blockOverrides", Self::overrides),
                    ("stateOverrides", Self::state),
                    ("calls", Self::calls),
                ],
                2,
            )
        };
        let blocks: Value = (0..count).map(|_| block(self)).collect();
        let flag = |this: &mut Self| json!(this.0.random::<bool>());
        json!({
            "blockStateCalls": blocks, "validation": flag(self), "traceTransfers": flag(self),
            "returnFullTransactions": flag(self),
        })
    }

    fn filter(&mut self) -> Value {
        self.fields(
            &[
                ("fromBlock", Self::block),
                ("toBlock", Self::block),
                ("blockHash", Self::word),
                ("address", Self::address),
                ("topics", Self::words),
            ],
            3,
        )
    }

    fn argument(&mut self, kind: Kind) -> Value {
        if self.0.random_ratio(1, 30) {
            return self.nonsense();
        }
        match kind {
            Kind::Address => self.address(),
            Kind::Block => self.block(),
            Kind::Bundles => json!([{ "transactions": self.calls(), "blockOverride": self.overrides() }]),
            Kind::Filter => self.filter(),
            Kind::Number => self.number(),
            Kind::Overrides => self.overrides(),
            Kind::Percentiles => {
                self.pick(&[json!([]), json!([0, 50, 100]), json!([1e308]), json!([-0.0, 1])])
            }
            Kind::Request => self.request(),
            Kind::Simulation => self.simulation(),
            Kind::Slots => self.slots(),
            Kind::State => self.state(),
            Kind::Within => {
                json!({ "blockNumber": self.block(), "transactionIndex": self.pick(&[-1, 0, 1, 9]) })
            }
            Kind::Word => self.word(),
            Kind::Words => self.words(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_arguments_are_the_callers_fault() {
    let Some(folder) = fixture(CHAIN) else { return };
    let settings = QuerySettings { call_time_max: Duration::from_millis(200), ..QuerySettings::default() };
    let (genesis, chain) = (folder.join("genesis.json"), folder.join("chain.rlp"));
    let node = RpcNode::import_with(&genesis, &chain, settings).unwrap();
    node.apply_forkchoice(&folder.join("headfcu.json")).unwrap();
    let mut absurd = Absurd(StdRng::seed_from_u64(4));
    let mut answered = 0;
    for (method, kinds) in METHODS {
        for _ in 0..CALLS {
            let count = absurd.0.random_range(kinds.len().saturating_sub(1)..=kinds.len());
            let params: Vec<Value> = kinds[..count].iter().map(|kind| absurd.argument(*kind)).collect();
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            let response = node.call(&request).await.unwrap();
            let Some(error) = response.get("error") else {
                answered += 1;
                continue;
            };
            // Simulations have this code for transactions that are invalid in ways that have no code.
            let is_ours = error["code"] == -32603 && method != "eth_simulateV1";
            let is_lost = error["message"] == "internal error";
            assert!(!is_ours && !is_lost, "{method} {}: {error}", json!(params));
        }
    }
    assert!(answered > CALLS * METHODS.len() / 5, "{answered} calls were answered");
}
